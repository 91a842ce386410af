//! What is owed to receivers: who gets what, every attempt re-checked, retries from the engine.

use std::collections::BTreeMap;

use super::Attempted;
use super::Effect;
use super::Event;
use super::OnDoubt;
use super::Record;
use super::engine::Engine;
use super::incidents::Raise;
use crate::incident::Answer;
use crate::incident::Next;
use crate::incident::after;
use crate::incident::again;
use crate::model::Action;
use crate::model::Cause;
use crate::model::Decision;
use crate::model::Delivery;
use crate::model::DeliveryKey;
use crate::model::DeliveryState;
use crate::model::Notice;
use crate::model::NoticeIncident;
use crate::model::NoticeKind;
use crate::model::Severity;
use crate::model::Timestamp;

/// What the ledger could not take is recorded, and begun, again after this long.
const NOT_RECORDED_RETRY: std::time::Duration = std::time::Duration::from_secs(5);

/// What ended longer ago than this calls nobody at a start.
const CALLED_AFTER_ALL_MAX: std::time::Duration = std::time::Duration::from_secs(86_400);

/// Every delivery that is remembered.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub all: BTreeMap<DeliveryKey, Delivery>,
    /// Receivers that do not answer, and when the next of what they are owed is tried: one at a time.
    failing: BTreeMap<String, Timestamp>,
    /// What the ledger could not take and is true all the same; of new ones with what they say.
    unrecorded: BTreeMap<DeliveryKey, Option<Box<Notice>>>,
    /// When those are recorded again, as they are then.
    record_at: Option<Timestamp>,
}

impl Outbox {
    pub fn restore(deliveries: Vec<Delivery>) -> Self {
        let failed = deliveries
            .iter()
            .filter(|it| !it.is_settled() && it.attempts > 0);
        let failing = failed.map(|it| (it.receiver.clone(), Timestamp::EPOCH));
        Self {
            failing: failing.collect(),
            unrecorded: BTreeMap::new(),
            record_at: None,
            all: deliveries
                .into_iter()
                .map(|delivery| (delivery.key.clone(), delivery))
                .collect(),
        }
    }

    /// When a delivery is to be attempted; `None` while it waits for another or for a word.
    fn due(&self, delivery: &Delivery) -> Option<Timestamp> {
        let DeliveryState::Owed { next } = delivery.state else {
            return None;
        };
        let mut others = self
            .all
            .values()
            .filter(|it| it.receiver == delivery.receiver && it.key != delivery.key);
        let blocked = others.any(|it| match it.state {
            // What is about the same comes in its order; else one at a time to who does not answer.
            DeliveryState::UnderWay { .. } => {
                it.is_about_same(delivery) || self.failing.contains_key(&it.receiver)
            }
            DeliveryState::Owed { .. } => it.is_about_same(delivery) && it.precedes(delivery),
            DeliveryState::Unconfirmed { .. }
            | DeliveryState::Held { .. }
            | DeliveryState::Delivered { .. }
            | DeliveryState::Cancelled { .. }
            | DeliveryState::GivenUp { .. } => false,
        });
        let open = self.failing.get(&delivery.receiver).copied();
        // What the ledger has no row of is not sent.
        let is_new = |notice: &Option<Box<Notice>>| notice.is_some();
        let waits = self.unrecorded.get(&delivery.key).is_some_and(is_new);
        let recorded = self.record_at.filter(|_| waits);
        (!blocked).then(|| next.max(open.unwrap_or(next)).max(recorded.unwrap_or(next)))
    }

    /// The delivery whose turn is first, and when.
    fn next(&self) -> Option<(Timestamp, DeliveryKey)> {
        let due = self.all.values().filter_map(|delivery| {
            let DeliveryState::Owed { next } = delivery.state else {
                return None;
            };
            Some((
                self.due(delivery)?,
                next,
                delivery.created_at,
                &delivery.key,
            ))
        });
        due.min().map(|(at, _, _, key)| (at, key.clone()))
    }

    /// A call that its receiver did not take, and the end of its incident is owed to the same: the end says it all.
    fn is_overtaken(&self, delivery: &Delivery) -> bool {
        let ends = |it: &Delivery| {
            it.kind == NoticeKind::IncidentResolved
                && it.receiver == delivery.receiver
                && it.incident == delivery.incident
                && !it.is_settled()
        };
        delivery.attempts > 0
            && delivery.incident.is_some()
            && delivery.kind != NoticeKind::IncidentResolved
            && self.all.values().any(ends)
    }

    /// The next attempt or record, or the end of the time that a receiver has to confirm.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let unconfirmed = self
            .all
            .values()
            .filter_map(|delivery| match delivery.state {
                DeliveryState::Unconfirmed { until, .. } => Some(until),
                _ => None,
            });
        unconfirmed
            .chain(self.next().map(|(at, _)| at))
            .chain(self.record_at)
            .min()
    }

    /// Its decision was not recorded, so it is not owed.
    pub fn forget(&mut self, key: &DeliveryKey) {
        self.all.remove(key);
        self.unrecorded.remove(key);
    }

    /// The ledger could not take this; `notice` where it was new. Attempts of it that were not recorded were not sent,
    /// and are due again; what has become of it since stays.
    pub fn not_recorded(&mut self, failed: &Delivery, notice: Option<Box<Notice>>, at: Timestamp) {
        let Some(delivery) = self.all.get_mut(&failed.key) else {
            return;
        };
        let again = at + NOT_RECORDED_RETRY;
        let same = |it: &DeliveryState| {
            matches!(it, DeliveryState::UnderWay { .. }) && delivery.attempts == failed.attempts
        };
        if same(&failed.state) && same(&delivery.state) {
            delivery.state = DeliveryState::Owed { next: again };
        }
        let known = self.unrecorded.entry(failed.key.clone()).or_default();
        *known = notice.or(known.take());
        self.record_at.get_or_insert(again);
    }

    /// Something else could not be recorded: it is tried again with what is owed.
    pub fn record_later(&mut self, at: Timestamp) {
        self.record_at.get_or_insert(at + NOT_RECORDED_RETRY);
    }

    /// What the ledger could not take, as it is now, once it is time for it.
    fn record_again(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        if self.record_at.is_none_or(|due| due > at) {
            return;
        }
        self.record_at = None;
        let all = std::mem::take(&mut self.unrecorded);
        self.record_all(all, out);
    }

    /// What is owed for an incident and could not be recorded, as it is now: it is recorded with the incident.
    pub fn record_of(&mut self, incident: &crate::model::IncidentId, out: &mut Vec<Effect>) {
        let all = std::mem::take(&mut self.unrecorded);
        let of = |key: &DeliveryKey| {
            let delivery = self.all.get(key);
            delivery.is_some_and(|it| it.incident.as_ref() == Some(incident))
        };
        let (its, rest) = all.into_iter().partition(|(key, _)| of(key));
        self.unrecorded = rest;
        self.record_all(its, out);
    }

    fn record_all(&self, all: BTreeMap<DeliveryKey, Option<Box<Notice>>>, out: &mut Vec<Effect>) {
        for (key, notice) in all {
            let Some(delivery) = self.all.get(&key).cloned().map(Box::new) else {
                continue;
            };
            if let Some(notice) = notice {
                out.push(Effect::Record(Record::Owed(delivery.clone(), notice)));
            }
            // A row that is there in spite of what the ledger said would stay as it was.
            out.push(Effect::Record(Record::Delivery(delivery)));
        }
    }

    /// Of one decision, in the order of their keys.
    pub fn of<'a>(&'a self, decision: &'a Decision) -> impl Iterator<Item = &'a Delivery> {
        self.all
            .values()
            .filter(|delivery| delivery.decision == decision.id)
    }
}

/// A notice as it is to be owed.
#[derive(Debug)]
pub(super) struct Owing<'a> {
    pub decision: &'a Decision,
    pub receiver: &'a str,
    pub kind: NoticeKind,
    /// What sets it apart from others about this decision to this receiver: part of its key.
    pub event: &'a str,
    pub incident: Option<NoticeIncident>,
    /// It is not attempted earlier.
    pub not_before: Timestamp,
}

impl Engine {
    /// Owes what a decision calls for and attempts it at once. The rollback hook gets rollback requests and nothing
    /// else; `people` says who is told of the rest.
    pub(super) fn owe_for(&mut self, decision: &Decision, at: Timestamp, out: &mut Vec<Effect>) {
        let hook = self.settings.rollback.hook.clone();
        if let (Action::Rollback, Some(hook)) = (decision.action, hook) {
            let kind = NoticeKind::RollbackRequested;
            let owing = Owing {
                decision,
                receiver: &hook,
                kind,
                event: kind.word(),
                incident: None,
                not_before: at + self.settings.rollback.veto,
            };
            self.owe(owing, at, out);
        }
        match decision.action {
            Action::Rollback | Action::Escalate => self.raise_for(decision, at, out),
            Action::Notify => self.notify(decision, at, out),
        }
        self.attempt_due(at, out);
    }

    /// Owes a notice, once.
    pub(super) fn owe(&mut self, owing: Owing<'_>, at: Timestamp, out: &mut Vec<Effect>) {
        let Owing {
            decision,
            receiver,
            kind,
            event,
            incident,
            not_before,
        } = owing;
        let key = DeliveryKey::new(&decision.id, event, receiver);
        if self.outbox.all.contains_key(&key) {
            return;
        }
        let rollback = kind == NoticeKind::RollbackRequested;
        let delivery = Delivery {
            key: key.clone(),
            decision: decision.id.clone(),
            rollout: decision.rollout.clone(),
            incident: incident.as_ref().map(|it| it.id.clone()),
            receiver: receiver.to_owned(),
            kind,
            created_at: at,
            attempts: 0,
            last_error: None,
            state: DeliveryState::Owed { next: not_before },
            log: Vec::new(),
        };
        let notice = Notice {
            kind,
            at,
            decision: decision.clone(),
            rollout: decision
                .rollout
                .as_ref()
                .and_then(|id| self.rollouts.get(id))
                .cloned(),
            service: self.settings.service.clone(),
            environment: self.settings.environment.clone(),
            labels: self.settings.labels.clone(),
            expires_at: rollback.then(|| at + self.patience(&delivery)),
            external_url: self.settings.external_url.clone(),
            incident,
        };
        out.push(Effect::Record(Record::Owed(
            Box::new(delivery.clone()),
            Box::new(notice),
        )));
        self.outbox.all.insert(key, delivery);
    }

    /// After a start: an attempt that was under way may have arrived, or never left.
    pub(super) fn resume_deliveries(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let lost = "gated ended during the attempt (it may have arrived)";
        let since = |it: &Delivery| match it.state {
            DeliveryState::UnderWay { since } => Some(since),
            _ => None,
        };
        let under_way = self.outbox.all.values();
        let under_way = under_way.filter_map(|it| Some((since(it)?, it.clone())));
        let (held, resent): (Vec<_>, Vec<_>) =
            under_way.partition(|(_, it)| self.on_doubt(&it.receiver) == OnDoubt::Hold);
        for (since, mut delivery) in resent {
            // A gated that is killed over and over does not flood its receivers.
            let next = match delivery.attempts {
                0 | 1 => at,
                attempt => again(&delivery.key, attempt, since),
            };
            delivery.note(at, lost);
            delivery.state = DeliveryState::Owed { next };
            out.push(Effect::Record(Record::Delivery(Box::new(delivery.clone()))));
            self.outbox.all.insert(delivery.key.clone(), delivery);
        }
        // Last, for people are called at once, and whatever else is due goes out with it.
        for (_, mut delivery) in held {
            delivery.note(at, lost);
            self.hold(delivery, lost, at, out);
        }
        self.call_after_all(at, out);
    }

    /// A rollback that did not arrive, of which the ledger could take the end and not who is to be told: gated was
    /// killed before it could record that again.
    fn call_after_all(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let end = |it: &Delivery| match &it.state {
            DeliveryState::Cancelled { at, why } => {
                Some((NoticeKind::RollbackCancelled, *at, why.clone()))
            }
            DeliveryState::Held { at, why } | DeliveryState::GivenUp { at, why } => {
                Some((NoticeKind::EscalationRaised, *at, why.clone()))
            }
            DeliveryState::Owed { .. }
            | DeliveryState::UnderWay { .. }
            | DeliveryState::Unconfirmed { .. }
            | DeliveryState::Delivered { .. } => None,
        };
        let ended = self.outbox.all.values();
        let ended: Vec<_> = ended
            .filter_map(|it| Some((it.clone(), end(it)?)))
            .filter(|(_, (_, ended_at, _))| at.since(*ended_at) < CALLED_AFTER_ALL_MAX)
            .collect();
        for (delivery, (kind, _, why)) in ended {
            let is_told = |it: &Delivery| (&it.decision, it.kind) == (&delivery.decision, kind);
            if !self.outbox.all.values().any(is_told) {
                self.call_people(&delivery, (kind, true), &why, at, out);
            }
        }
    }

    fn on_doubt(&self, receiver: &str) -> OnDoubt {
        let mut receivers = self.settings.receivers.iter();
        let known = receivers.find(|it| it.name == receiver);
        known.map_or(OnDoubt::Hold, |it| it.on_doubt)
    }

    /// Begins every attempt that is due, or ends the delivery where it is no longer right.
    pub(super) fn attempt_due(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        if self.outbox.record_at.is_some_and(|due| due <= at) {
            self.record_incidents_again(out);
        }
        self.outbox.record_again(at, out);
        while let Some((_, key)) = self.outbox.next().filter(|(due, _)| *due <= at) {
            let mut delivery = self.outbox.all[&key].clone();
            if let Some(state) = self.no_longer_right(&delivery, at) {
                self.end(delivery, state, at, out);
                continue;
            }
            if self.outbox.is_overtaken(&delivery) {
                let why =
                    "superseded: the incident was resolved before anybody took this".to_owned();
                self.end(delivery, DeliveryState::Cancelled { at, why }, at, out);
                continue;
            }
            delivery.attempts += 1;
            delivery.state = DeliveryState::UnderWay { since: at };
            let (receiver, attempt) = (delivery.receiver.clone(), delivery.attempts);
            out.push(Effect::Record(Record::Delivery(Box::new(delivery.clone()))));
            self.outbox.all.insert(key.clone(), delivery);
            out.push(Effect::Tell(Event::DeliveryAttempt {
                key: key.clone(),
                receiver: receiver.clone(),
                attempt,
            }));
            out.push(Effect::Send {
                key,
                receiver,
                attempt,
            });
        }
        self.end_unconfirmed(at, out);
    }

    /// A receiver that answered and did not say that it acted has lost it.
    fn end_unconfirmed(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let late = |it: &&Delivery| matches!(it.state, DeliveryState::Unconfirmed { until, .. } if until <= at);
        let late: Vec<Delivery> = self.outbox.all.values().filter(late).cloned().collect();
        for delivery in late {
            let why = format!("{} answered and did not confirm it", delivery.receiver);
            self.end(delivery, DeliveryState::GivenUp { at, why }, at, out);
        }
    }

    /// Ends rollbacks that wait and are no longer right, without waiting for their turn.
    pub(super) fn recheck_rollbacks(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let waits = |it: &&Delivery| {
            it.kind == NoticeKind::RollbackRequested
                && matches!(it.state, DeliveryState::Owed { .. })
        };
        let waiting: Vec<Delivery> = self.outbox.all.values().filter(waits).cloned().collect();
        for delivery in waiting {
            if let Some(why) = self.rollback_is_wrong(&delivery, at) {
                self.end(delivery, DeliveryState::Cancelled { at, why }, at, out);
            }
        }
    }

    /// A delivery in doubt is settled by what runs: another version than the one to be rolled back is its doing.
    pub(super) fn confirm_by_version(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let waits = |it: &&Delivery| {
            it.kind == NoticeKind::RollbackRequested
                && matches!(
                    it.state,
                    DeliveryState::Unconfirmed { .. } | DeliveryState::Held { .. }
                )
        };
        let waiting: Vec<Delivery> = self.outbox.all.values().filter(waits).cloned().collect();
        for mut delivery in waiting {
            let rollout = delivery
                .rollout
                .as_ref()
                .and_then(|id| self.rollouts.get(id));
            let running = self.rollouts.running();
            let (Some(rollout), Some(running)) = (rollout, running) else {
                continue;
            };
            if running != rollout.version {
                delivery.note(at, &format!("confirmed: version {running} is running"));
                let status = match delivery.state {
                    DeliveryState::Unconfirmed { status, .. } => status,
                    _ => 0,
                };
                self.delivered(delivery, status, at, out);
            }
        }
    }

    /// How a delivery ends instead of being attempted; `None` when it is still right.
    fn no_longer_right(&self, delivery: &Delivery, at: Timestamp) -> Option<DeliveryState> {
        let rollback = delivery.kind == NoticeKind::RollbackRequested;
        if rollback && let Some(why) = self.rollback_is_wrong(delivery, at) {
            return Some(DeliveryState::Cancelled { at, why });
        }
        let receiver = self
            .settings
            .receivers
            .iter()
            .find(|it| it.name == delivery.receiver);
        if receiver.is_none() {
            let why = format!("there is no receiver `{}` any more", delivery.receiver);
            return Some(DeliveryState::GivenUp { at, why });
        }
        let patience = self.patience(delivery);
        (at.since(delivery.created_at) >= patience).then(|| {
            let last = delivery.last_error.as_deref().unwrap_or("never attempted");
            let why = format!(
                "undelivered for {}: {last}",
                humantime::format_duration(patience)
            );
            DeliveryState::GivenUp { at, why }
        })
    }

    /// How long a delivery is tried.
    fn patience(&self, delivery: &Delivery) -> std::time::Duration {
        if delivery.kind == NoticeKind::RollbackRequested {
            return self.settings.rollback.veto + self.settings.rollback.give_up_after;
        }
        let receivers = &self.settings.receivers;
        let receiver = receivers.iter().find(|it| it.name == delivery.receiver);
        receiver.map_or(std::time::Duration::ZERO, |it| it.give_up_after)
    }

    /// Why a rollback must not be sent any more: whatever changed since it was decided.
    fn rollback_is_wrong(&self, delivery: &Delivery, at: Timestamp) -> Option<String> {
        let id = delivery.rollout.as_ref()?;
        let rollout = match self.rollouts.current() {
            Some(current) if current.id == *id => current,
            Some(other) => {
                return Some(format!(
                    "superseded: rollout of {} has begun",
                    other.version
                ));
            }
            None => return Some("superseded: the rollout was finished".to_owned()),
        };
        if let Some(other) = self.rollouts.displaced_by() {
            return Some(format!("superseded: version {other} is running"));
        }
        if let Some(said) = &rollout.vetoed {
            return Some(format!("vetoed by {}: {}", said.by, said.reason));
        }
        if let Some(freeze) = self.frozen(at) {
            return Some(freeze);
        }
        if rollout.irreversible {
            return Some("the rollout is marked irreversible since".to_owned());
        }
        if self.settings.rollback.mode != super::RollbackMode::Armed {
            return Some("rollbacks are in shadow mode since".to_owned());
        }
        let announced = !self.settings.rollback.veto.is_zero() && delivery.attempts == 0;
        (announced && self.has_calmed(&delivery.decision))
            .then(|| "what tripped resolved before the time for a veto was over".to_owned())
    }

    /// No trigger that this decision was made for fires any more. Of alerts of Prometheus' rules nobody knows here.
    fn has_calmed(&self, id: &crate::model::DecisionId) -> bool {
        let Some(decision) = self.decisions.iter().find(|it| it.id == *id) else {
            return false;
        };
        let named = |it: &&super::triggers::TriggerWatch| {
            it.name == decision.trigger && it.text == decision.condition
        };
        let mut watches = self.triggers.iter().filter(named).peekable();
        watches.peek().is_some()
            && !watches.any(|it| it.series.values().any(|it| it.firing().is_some()))
    }

    /// Settles a delivery; a rollback that ends undelivered calls people, never silently.
    fn end(
        &mut self,
        mut delivery: Delivery,
        state: DeliveryState,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let (key, receiver) = (delivery.key.clone(), delivery.receiver.clone());
        let people = match &state {
            DeliveryState::Cancelled { why, .. } => {
                out.push(Effect::Tell(Event::DeliveryCancelled {
                    key: key.clone(),
                    receiver,
                    why: why.clone(),
                }));
                Some((NoticeKind::RollbackCancelled, why.clone()))
            }
            DeliveryState::GivenUp { why, .. } => {
                let (attempt, reason) = (delivery.attempts, format!("given up: {why}"));
                let key = key.clone();
                out.push(Effect::Tell(Event::DeliveryFailed {
                    key,
                    receiver,
                    attempt,
                    reason,
                    next: None,
                }));
                Some((NoticeKind::EscalationRaised, why.clone()))
            }
            DeliveryState::Owed { .. }
            | DeliveryState::UnderWay { .. }
            | DeliveryState::Unconfirmed { .. }
            | DeliveryState::Held { .. }
            | DeliveryState::Delivered { .. } => None,
        };
        delivery.state = state;
        out.push(Effect::Record(Record::Delivery(Box::new(delivery.clone()))));
        self.outbox.all.insert(key, delivery.clone());
        if let Some((kind, why)) = people {
            self.call_people(&delivery, (kind, false), &why, at, out);
        }
    }

    /// Tells people, once of each kind, that a rollback does not reach its hook. Other deliveries concern nobody else.
    fn call_people(
        &mut self,
        delivery: &Delivery,
        (kind, untold): (NoticeKind, bool),
        why: &str,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if delivery.kind != NoticeKind::RollbackRequested {
            return;
        }
        let known = self.decisions.iter().find(|it| it.id == delivery.decision);
        let Some(decision) = known.cloned() else {
            return;
        };
        let reason = format!(
            "the rollback was not delivered: {why}; it was asked for because {}",
            decision.reason
        );
        let what = match delivery.state {
            DeliveryState::Owed { .. }
            | DeliveryState::UnderWay { .. }
            | DeliveryState::Unconfirmed { .. }
            | DeliveryState::Delivered { .. } => "refused",
            DeliveryState::Held { .. } => "in doubt",
            DeliveryState::Cancelled { .. } => "cancelled",
            DeliveryState::GivenUp { .. } => "given up",
        };
        let what = what.to_owned();
        let raise = Raise {
            decision: &decision,
            severity: Severity::P1,
            cause: Cause::Unseen { what },
            kind,
            reason,
            untold,
        };
        self.raise(raise, at, out);
        self.attempt_due(at, out);
    }

    /// It was delivered. What a rollback is to mend is watched from here on.
    pub(super) fn delivered(
        &mut self,
        mut delivery: Delivery,
        status: u16,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        delivery.state = DeliveryState::Delivered { at, status };
        delivery.last_error = None;
        out.push(Effect::Tell(Event::DeliverySucceeded {
            key: delivery.key.clone(),
            receiver: delivery.receiver.clone(),
            attempt: delivery.attempts,
            status,
        }));
        out.push(Effect::Record(Record::Delivery(Box::new(delivery.clone()))));
        if delivery.kind == NoticeKind::RollbackRequested {
            self.watch_rollback(&delivery.decision, at, out);
        }
        self.outbox.all.insert(delivery.key.clone(), delivery);
    }

    /// It may have arrived, and this receiver would do it twice: it is not sent again until a person says so.
    fn hold(&mut self, mut delivery: Delivery, said: &str, at: Timestamp, out: &mut Vec<Effect>) {
        let why = format!("{said}; it is not sent again until somebody says so");
        delivery.last_error = Some(said.to_owned());
        delivery.state = DeliveryState::Held {
            at,
            why: why.clone(),
        };
        out.push(Effect::Tell(Event::DeliveryFailed {
            key: delivery.key.clone(),
            receiver: delivery.receiver.clone(),
            attempt: delivery.attempts,
            reason: why.clone(),
            next: None,
        }));
        out.push(Effect::Record(Record::Delivery(Box::new(delivery.clone()))));
        self.outbox
            .all
            .insert(delivery.key.clone(), delivery.clone());
        if delivery.kind == NoticeKind::RollbackRequested {
            self.watch_rollback(&delivery.decision, at, out);
        }
        self.call_people(
            &delivery,
            (NoticeKind::EscalationRaised, false),
            &why,
            at,
            out,
        );
    }

    /// An attempt was answered, or not.
    pub(super) fn attempted(
        &mut self,
        key: &DeliveryKey,
        outcome: &Attempted,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let known = self.outbox.all.get(key);
        // An outcome that no attempt under way belongs to says nothing: it must not push the next attempt away.
        let under_way = |it: &&Delivery| matches!(it.state, DeliveryState::UnderWay { .. });
        let Some(mut delivery) = known.filter(under_way).cloned() else {
            return;
        };
        let (answer, said) = answer(outcome);
        delivery.note(at, &said);
        let receiver = delivery.receiver.clone();
        match after(key, delivery.attempts, answer, at) {
            Next::Delivered => {
                self.outbox.failing.remove(&receiver);
                self.answered(delivery, answer, at, out);
            }
            Next::Gone => {
                self.outbox.failing.remove(&receiver);
                let why = "the receiver answered 410: it is gone for good".to_owned();
                self.end(delivery, DeliveryState::GivenUp { at, why }, at, out);
            }
            Next::Retry {
                at: next,
                attention,
            } => {
                let doubt = matches!(outcome, Attempted::NoAnswer { reached: true, .. });
                if attention {
                    self.outbox.failing.remove(&receiver);
                } else {
                    self.outbox.failing.insert(receiver.clone(), next);
                }
                if doubt && self.on_doubt(&receiver) == OnDoubt::Hold {
                    self.hold(delivery, &said, at, out);
                } else {
                    self.retry(delivery, (next, attention), said, at, out);
                }
            }
        }
        // What waited for this one may go.
        self.attempt_due(at, out);
    }

    fn answered(
        &mut self,
        mut delivery: Delivery,
        answer: Answer,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Answer::Status { status, .. } = answer else {
            return;
        };
        let mut receivers = self.settings.receivers.iter();
        let receiver = receivers.find(|it| it.name == delivery.receiver);
        match receiver.and_then(|it| it.confirm_within) {
            None => self.delivered(delivery, status, at, out),
            Some(within) => {
                let until = at + within;
                delivery.state = DeliveryState::Unconfirmed { until, status };
                delivery.last_error = None;
                out.push(Effect::Record(Record::Delivery(Box::new(delivery.clone()))));
                self.outbox.all.insert(delivery.key.clone(), delivery);
            }
        }
    }

    fn retry(
        &mut self,
        mut delivery: Delivery,
        (next, attention): (Timestamp, bool),
        said: String,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        // Given up on time, not with the attempt after it.
        let next = next
            .min(delivery.created_at + self.patience(&delivery))
            .max(at);
        let why = attention.then(|| format!("{said}; it is tried on"));
        let reason = if attention {
            format!("{said}: needs attention")
        } else {
            said
        };
        delivery.last_error = Some(reason.clone());
        delivery.state = DeliveryState::Owed { next };
        out.push(Effect::Tell(Event::DeliveryFailed {
            key: delivery.key.clone(),
            receiver: delivery.receiver.clone(),
            attempt: delivery.attempts,
            reason,
            next: Some(next),
        }));
        out.push(Effect::Record(Record::Delivery(Box::new(delivery.clone()))));
        self.outbox
            .all
            .insert(delivery.key.clone(), delivery.clone());
        if let Some(why) = why {
            self.call_people(
                &delivery,
                (NoticeKind::EscalationRaised, false),
                &why,
                at,
                out,
            );
        }
    }
}

/// What an attempt's outcome means, and how it is said.
fn answer(outcome: &Attempted) -> (Answer, String) {
    match outcome {
        Attempted::Answered {
            status,
            retry_after,
        } => (
            Answer::Status {
                status: *status,
                retry_after: *retry_after,
            },
            format!("HTTP {status}"),
        ),
        Attempted::NoAnswer { reason, reached } => {
            let doubt = if *reached {
                " (it may have arrived)"
            } else {
                ""
            };
            (Answer::Nothing, format!("{reason}{doubt}"))
        }
        Attempted::Ran { code: 0, .. } => (
            Answer::Status {
                status: 200,
                retry_after: None,
            },
            "exit code 0".to_owned(),
        ),
        Attempted::Ran { code, output } => (Answer::Failed, format!("exit code {code}: {output}")),
    }
}
