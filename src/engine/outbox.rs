//! Every delivery that is remembered, and whose turn is next. Deliberately absent: why one is owed, and what becomes of
//! an attempt (`deliver`).

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::DecisionId;
use crate::model::Delivery;
use crate::model::DeliveryKey;
use crate::model::DeliveryState;
use crate::model::NoticeKind;
use crate::model::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    all: BTreeMap<DeliveryKey, Arc<Delivery>>,
    /// Those of which more may become: few, whatever has been delivered before.
    open: BTreeSet<DeliveryKey>,
    /// Those of each decision, in the order in which they were owed.
    of: BTreeMap<DecisionId, Vec<DeliveryKey>>,
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
        if self.all.insert(key.clone(), Arc::new(delivery)).is_none() {
            self.of.entry(decision).or_default().push(key);
        }
    }

    pub fn get(&self, key: &DeliveryKey) -> Option<&Delivery> {
        self.all.get(key).map(AsRef::as_ref)
    }

    pub fn all(&self) -> impl Iterator<Item = &Delivery> {
        self.all.values().map(AsRef::as_ref)
    }

    /// Those of which more may become.
    pub fn open(&self) -> impl Iterator<Item = &Delivery> {
        self.open.iter().map(|key| &*self.all[key])
    }

    /// Of one decision, in the order in which they were owed.
    pub fn of(&self, decision: &DecisionId) -> impl Iterator<Item = &Arc<Delivery>> {
        let keys = self.of.get(decision).into_iter().flatten();
        keys.map(|key| &self.all[key])
    }

    /// Its decision was not recorded, so it is not owed.
    pub fn forget(&mut self, key: &DeliveryKey) {
        self.open.remove(key);
        if let Some(gone) = self.all.remove(key)
            && let Some(keys) = self.of.get_mut(&gone.decision)
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

    /// A receiver answered, or is not to blame; or it did not, and the next of what it is owed is tried `next`.
    pub fn receiver_fails(&mut self, receiver: &str, next: Option<Timestamp>) {
        match next {
            None => drop(self.failing.remove(receiver)),
            Some(next) => drop(self.failing.insert(receiver.to_owned(), next)),
        }
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
            (!self.is_blocked(delivery)).then_some((at, next, delivery.created_at, &delivery.key))
        });
        due.min().map(|(at, _, _, key)| (at, key.clone()))
    }

    /// What is about the same comes in its order; and who does not answer is sent one at a time.
    fn is_blocked(&self, delivery: &Delivery) -> bool {
        let mut others = self.open();
        others.any(|it| {
            let blocks = match it.state {
                DeliveryState::UnderWay { .. } => {
                    it.is_about_same(delivery) || self.failing.contains_key(&it.receiver)
                }
                DeliveryState::Owed { .. } => it.is_about_same(delivery) && it.precedes(delivery),
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
                && delivery.precedes(it)
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
