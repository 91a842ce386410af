//! Every delivery that is remembered, and whose turn is next. Deliberately absent: why one is owed, and what becomes of
//! an attempt (`deliver`).

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::DecisionId;
use crate::model::Delivery;
use crate::model::DeliveryKey;
use crate::model::DeliveryState;
use crate::model::IncidentId;
use crate::model::NoticeKind;
use crate::model::Timestamp;

/// A delivery and its place among all: many may be owed in one millisecond.
#[derive(Debug)]
struct Kept {
    place: u64,
    delivery: Arc<Delivery>,
}

/// How a receiver took what it was sent.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Took {
    Well,
    /// It refuses this as it is: somebody should look.
    Refused,
    Gone,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    all: BTreeMap<DeliveryKey, Kept>,
    /// How many were ever owed.
    owed: u64,
    /// Those of which more may become: few, whatever has been delivered before.
    open: BTreeSet<DeliveryKey>,
    /// Those of each decision, in the order in which they were owed.
    of: BTreeMap<DecisionId, Vec<DeliveryKey>>,
    /// Receivers that refuse what they are sent, or are gone for good: nobody hears what they are owed.
    refusing: BTreeSet<String>,
    /// Receivers that said 410: nothing is sent to them until a reload or a restart.
    gone: BTreeSet<String>,
    /// Receivers that do not answer, and when the next of what they are owed is tried: one at a time.
    failing: BTreeMap<String, Timestamp>,
}

impl Outbox {
    /// Oldest first.
    pub fn restore(deliveries: Vec<Delivery>) -> Self {
        let mut outbox = Self::default();
        for delivery in deliveries {
            if !delivery.is_settled() && delivery.attempts > 0 {
                let receiver = delivery.receiver.clone();
                outbox.failing.insert(receiver, Timestamp::EPOCH);
            }
            outbox.put(delivery);
        }
        outbox
    }

    /// Remembers a delivery as it is now.
    pub fn put(&mut self, delivery: Delivery) {
        let key = delivery.key.clone();
        if delivery.is_settled() {
            self.open.remove(&key);
        } else {
            self.open.insert(key.clone());
        }
        let decision = delivery.decision.clone();
        let delivery = Arc::new(delivery);
        if let Some(kept) = self.all.get_mut(&key) {
            kept.delivery = delivery;
            return;
        }
        self.owed += 1;
        let place = self.owed;
        self.all.insert(key.clone(), Kept { place, delivery });
        self.of.entry(decision).or_default().push(key);
    }

    pub fn get(&self, key: &DeliveryKey) -> Option<&Delivery> {
        self.all.get(key).map(|it| &*it.delivery)
    }

    pub fn all(&self) -> impl Iterator<Item = &Delivery> {
        self.all.values().map(|it| &*it.delivery)
    }

    /// Those of which more may become.
    pub fn open(&self) -> impl Iterator<Item = &Delivery> {
        self.open.iter().map(|key| &*self.all[key].delivery)
    }

    /// Of one decision, in the order in which they were owed.
    pub fn of(&self, decision: &DecisionId) -> impl Iterator<Item = &Arc<Delivery>> {
        let keys = self.of.get(decision).into_iter().flatten();
        keys.map(|key| &self.all[key].delivery)
    }

    /// Its decision was not recorded, so it is not owed.
    pub fn forget(&mut self, key: &DeliveryKey) {
        self.open.remove(key);
        if let Some(gone) = self.all.remove(key)
            && let Some(keys) = self.of.get_mut(&gone.delivery.decision)
        {
            keys.retain(|it| it != key);
        }
    }

    /// What was owed for a decision that is shown no longer; the ledger has it.
    pub fn forget_all(&mut self, decision: &DecisionId) {
        for key in self.of.remove(decision).unwrap_or_default() {
            self.open.remove(&key);
            self.all.remove(&key);
        }
    }

    /// A receiver did not answer; the next of what it is owed is tried then.
    pub fn fails(&mut self, receiver: &str, next: Timestamp) {
        self.failing.insert(receiver.to_owned(), next);
    }

    /// The delivery whose turn is first, and when. `waits`: until when one is not to be sent for another reason.
    pub fn next(
        &self,
        waits: impl Fn(&DeliveryKey) -> Option<Timestamp>,
    ) -> Option<(Timestamp, DeliveryKey)> {
        let due = self.open().filter_map(|delivery| {
            let DeliveryState::Owed { next } = delivery.state else {
                return None;
            };
            let failing = self.failing.get(&delivery.receiver).copied();
            let at = [Some(next), failing, waits(&delivery.key)]
                .into_iter()
                .max()??;
            (!self.is_blocked(delivery)).then_some((at, next, self.turn(delivery), &delivery.key))
        });
        due.min().map(|(at, _, _, key)| (at, key.clone()))
    }

    /// Sorts deliveries as they were owed.
    fn turn(&self, delivery: &Delivery) -> (Timestamp, u64) {
        let kept = self.all.get(&delivery.key);
        (delivery.created_at, kept.map_or(u64::MAX, |it| it.place))
    }

    /// Of these, in the order in which they were owed.
    pub fn in_order(&self, keys: impl Iterator<Item = DeliveryKey>) -> Vec<DeliveryKey> {
        let mut keys: Vec<DeliveryKey> = keys.collect();
        keys.sort_by_key(|key| self.get(key).map(|it| self.turn(it)));
        keys
    }

    /// Which notice of its incident to its receiver the next one is, from 1.
    pub fn sequence(&self, incident: &IncidentId, receiver: &str) -> usize {
        let about =
            |it: &&Delivery| it.incident.as_ref() == Some(incident) && it.receiver == receiver;
        self.all().filter(about).count() + 1
    }

    /// A receiver answered: it took it, refused it as it is, or is gone for good.
    pub fn heard(&mut self, receiver: &str, took: Took) {
        self.failing.remove(receiver);
        if took == Took::Well {
            self.refusing.remove(receiver);
        } else {
            self.refusing.insert(receiver.to_owned());
        }
        if took == Took::Gone {
            self.gone.insert(receiver.to_owned());
        }
    }

    /// Whether it refused what it was sent last.
    pub fn refuses(&self, receiver: &str) -> bool {
        self.refusing.contains(receiver)
    }

    /// Receivers to which nothing is sent any more.
    pub const fn gone(&self) -> &BTreeSet<String> {
        &self.gone
    }

    /// The configuration was read afresh: who was gone may be somewhere else.
    pub fn ask_again(&mut self) {
        self.gone.clear();
        self.refusing.clear();
    }

    /// What is about the same comes in its order; and who does not answer is sent one at a time.
    fn is_blocked(&self, delivery: &Delivery) -> bool {
        let mut others = self.open();
        others.any(|it| {
            let blocks = match it.state {
                DeliveryState::UnderWay { .. } => {
                    it.is_about_same(delivery) || self.failing.contains_key(&it.receiver)
                }
                DeliveryState::Owed { .. } => {
                    it.is_about_same(delivery) && self.turn(it) < self.turn(delivery)
                }
                DeliveryState::Unconfirmed { .. }
                | DeliveryState::Held { .. }
                | DeliveryState::Delivered { .. }
                | DeliveryState::Cancelled { .. }
                | DeliveryState::GivenUp { .. } => false,
            };
            blocks && it.receiver == delivery.receiver && it.key != delivery.key
        })
    }

    /// Its receiver did not take it when it could have, and is owed what says more: the end of the incident, or the
    /// next call. Who was down for hours hears how it stands, not all of how it came to that.
    pub fn is_overtaken(&self, delivery: &Delivery) -> bool {
        let says_more = |it: &Delivery| {
            it.receiver == delivery.receiver
                && it.incident == delivery.incident
                && self.turn(delivery) < self.turn(it)
                && (it.kind == NoticeKind::IncidentResolved || it.kind == delivery.kind)
        };
        let waited = delivery.attempts > 0 || self.failing.contains_key(&delivery.receiver);
        waited && delivery.incident.is_some() && self.open().any(says_more)
    }

    /// When the first of those that answered should have confirmed that they acted.
    pub fn next_unconfirmed(&self) -> Option<Timestamp> {
        let until = self.open().filter_map(|delivery| match delivery.state {
            DeliveryState::Unconfirmed { until, .. } => Some(until),
            _ => None,
        });
        until.min()
    }
}
