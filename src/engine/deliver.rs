//! What is owed to receivers: who gets what, every attempt re-checked, retries from the engine.

use std::sync::Arc;

use super::Attempted;
use super::Effect;
use super::Event;
use super::OnDoubt;
use super::Record;
use super::engine::Engine;
use super::incidents::Raise;
use super::outbox::Took;
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
use crate::model::NoticeReport;
use crate::model::Severity;
use crate::model::Timestamp;

/// What ended longer ago than this calls nobody at a start.
const CALLED_AFTER_ALL_MAX: std::time::Duration = std::time::Duration::from_secs(86_400);

const REFUSED: &str = "refused";
const IN_DOUBT: &str = "in doubt";
const CANCELLED: &str = "cancelled";
const GIVEN_UP: &str = "given up";
/// Of a rollback that did not arrive: causes of incidents that a person's acknowledgement ends.
pub(super) const UNDELIVERED: [&str; 4] = [REFUSED, IN_DOUBT, CANCELLED, GIVEN_UP];

/// Why nothing is sent to a receiver that said so.
const GONE: &str =
    "the receiver answered 410: it is gone for good, until the configuration is read again";

/// A notice as it is to be owed.
#[derive(Debug)]
pub(super) struct Owing<'a> {
    pub decision: &'a Decision,
    pub receiver: &'a str,
    pub kind: NoticeKind,
    /// What sets it apart from others about this decision to this receiver: part of its key.
    pub event: &'a str,
    pub incident: Option<NoticeIncident>,
    /// What was reported.
    pub report: Option<Arc<NoticeReport>>,
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
                report: None,
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
            report,
            not_before,
        } = owing;
        let key = DeliveryKey::new(&decision.id, event, receiver);
        if self.outbox.get(&key).is_some() {
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
            report,
            incident,
        };
        out.push(Effect::Record(Record::Owed(
            Box::new(delivery.clone()),
            Box::new(notice),
        )));
        self.outbox.put(delivery);
    }

    /// Remembers a delivery as it is now and records that.
    pub(super) fn change(&mut self, delivery: Delivery, out: &mut Vec<Effect>) {
        self.record_owed_first(&delivery, out);
        out.push(Effect::Record(Record::Delivery(Box::new(delivery.clone()))));
        self.outbox.put(delivery);
    }

    /// After a start: an attempt that was under way may have arrived, or never left.
    pub(super) fn resume_deliveries(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let lost = "gated ended during the attempt (it may have arrived)";
        let since = |it: &Delivery| match it.state {
            DeliveryState::UnderWay { since } => Some(since),
            _ => None,
        };
        let under_way = self.outbox.open();
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
            self.change(delivery, out);
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
        let ended = self.outbox.all();
        let ended: Vec<_> = ended
            .filter_map(|it| Some((it.clone(), end(it)?)))
            .filter(|(_, (_, ended_at, _))| at.since(*ended_at) < CALLED_AFTER_ALL_MAX)
            .collect();
        for (delivery, (kind, _, why)) in ended {
            if self.outbox.of(&delivery.decision).all(|it| it.kind != kind) {
                self.call_people(&delivery, (kind, true), &why, at, out);
            }
        }
    }

    fn on_doubt(&self, receiver: &str) -> OnDoubt {
        let mut receivers = self.settings.receivers.iter();
        let known = receivers.find(|it| it.name == receiver);
        known.map_or(OnDoubt::Hold, |it| it.on_doubt)
    }

    /// When something is to be sent, recorded again, or should have been confirmed.
    pub(super) fn next_delivery(&self) -> Option<Timestamp> {
        let waits = |key: &DeliveryKey| self.unrecorded.waits(key);
        let next = self.outbox.next(waits).map(|(at, _)| at);
        let all = [next, self.outbox.next_unconfirmed(), self.unrecorded.due()];
        all.into_iter().flatten().min()
    }

    fn due_delivery(&self, at: Timestamp) -> Option<Delivery> {
        let next = self.outbox.next(|key| self.unrecorded.waits(key));
        let (_, key) = next.filter(|(due, _)| *due <= at)?;
        self.outbox.get(&key).cloned()
    }

    /// Begins every attempt that is due, or ends the delivery where it is no longer right.
    pub(super) fn attempt_due(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        self.record_again(at, out);
        while let Some(mut delivery) = self.due_delivery(at) {
            let key = delivery.key.clone();
            if let Some(state) = self.no_longer_right(&delivery, at) {
                self.end(delivery, state, at, out);
                continue;
            }
            if self.outbox.gone().contains(&delivery.receiver) {
                let why = GONE.to_owned();
                self.end(delivery, DeliveryState::GivenUp { at, why }, at, out);
                continue;
            }
            if self.outbox.is_overtaken(&delivery) {
                let why = "superseded by a later notice of its incident before anybody took this"
                    .to_owned();
                self.end(delivery, DeliveryState::Cancelled { at, why }, at, out);
                continue;
            }
            delivery.attempts += 1;
            delivery.state = DeliveryState::UnderWay { since: at };
            let (receiver, attempt) = (delivery.receiver.clone(), delivery.attempts);
            self.change(delivery, out);
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
        let late: Vec<Delivery> = self.outbox.open().filter(late).cloned().collect();
        for delivery in late {
            let why = format!("{} answered and did not confirm it", delivery.receiver);
            self.end(delivery, DeliveryState::GivenUp { at, why }, at, out);
        }
    }

    /// Settles a delivery; a rollback that ends undelivered calls people, never silently.
    pub(super) fn end(
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
        self.change(delivery.clone(), out);
        if let Some((kind, why)) = people {
            self.call_people(&delivery, (kind, false), &why, at, out);
        }
    }

    /// Tells people, once of each kind, that a rollback does not reach its hook. Where it is they who cannot be told, the
    /// next of them are.
    fn call_people(
        &mut self,
        delivery: &Delivery,
        (kind, untold): (NoticeKind, bool),
        why: &str,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if delivery.kind != NoticeKind::RollbackRequested {
            self.call_next(delivery, why, at, out);
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
            | DeliveryState::Delivered { .. } => REFUSED,
            DeliveryState::Held { .. } => IN_DOUBT,
            DeliveryState::Cancelled { .. } => CANCELLED,
            DeliveryState::GivenUp { .. } => GIVEN_UP,
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
        self.change(delivery.clone(), out);
        if delivery.kind == NoticeKind::RollbackRequested {
            self.watch_rollback(&delivery.decision, at, out);
        }
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
        self.change(delivery.clone(), out);
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
        let known = self.outbox.get(key);
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
                self.outbox.heard(&receiver, Took::Well);
                self.answered(delivery, answer, at, out);
            }
            Next::Gone => {
                self.outbox.heard(&receiver, Took::Gone);
                out.push(Effect::Tell(Event::ReceiverGone {
                    receiver: receiver.clone(),
                }));
                let why = GONE.to_owned();
                self.end(delivery, DeliveryState::GivenUp { at, why }, at, out);
            }
            Next::Retry {
                at: next,
                attention,
            } => {
                let doubt = matches!(outcome, Attempted::NoAnswer { reached: true, .. });
                if attention {
                    self.outbox.heard(&receiver, Took::Refused);
                } else {
                    self.outbox.fails(&receiver, next);
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
                self.change(delivery, out);
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
        self.change(delivery.clone(), out);
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

/// HTTP's words for what a mail's server says: ask again, and mend it first.
const LATER: u16 = 503;
const NEVER: u16 = 422;

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
        Attempted::Replied { code, text } => {
            // SMTP's codes say by their first digit what HTTP's say by other numbers.
            let status = match code {
                200..=299 => *code,
                400..=499 => LATER,
                _ => NEVER,
            };
            (
                Answer::Status {
                    status,
                    retry_after: None,
                },
                format!("SMTP {code} {text}"),
            )
        }
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
