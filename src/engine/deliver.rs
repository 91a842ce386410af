//! What is owed to receivers: who gets what, every attempt re-checked, retries from the engine.

use std::collections::BTreeMap;

use super::Attempted;
use super::Effect;
use super::Event;
use super::Record;
use super::engine::Engine;
use super::incidents::Raise;
use crate::incident::Answer;
use crate::incident::Next;
use crate::incident::after;
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

/// An attempt that could not be recorded is begun again after this long.
const NOT_RECORDED_RETRY: std::time::Duration = std::time::Duration::from_secs(5);

/// Every delivery that is remembered; the open ones with whether an attempt is under way.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub all: BTreeMap<DeliveryKey, Delivery>,
    /// Attempts whose outcome has not come back. Not restored: after a crash nobody knows, so it is sent again.
    in_flight: std::collections::BTreeSet<DeliveryKey>,
}

impl Outbox {
    pub fn restore(deliveries: Vec<Delivery>) -> Self {
        let all = deliveries
            .into_iter()
            .map(|delivery| (delivery.key.clone(), delivery))
            .collect();
        Self {
            all,
            ..Self::default()
        }
    }

    fn due(&self) -> impl Iterator<Item = (Timestamp, &Delivery)> {
        self.all
            .values()
            .filter_map(|delivery| match delivery.state {
                DeliveryState::Owed { next } if !self.in_flight.contains(&delivery.key) => {
                    Some((next, delivery))
                }
                _ => None,
            })
    }

    pub fn next_attempt(&self) -> Option<Timestamp> {
        self.due().map(|(next, _)| next).min()
    }

    /// Its decision was not recorded, so it is not owed.
    pub fn forget(&mut self, key: &DeliveryKey) {
        self.all.remove(key);
        self.in_flight.remove(key);
    }

    /// The attempt was not recorded, so it was not sent: it is due again.
    pub fn not_begun(&mut self, recorded: &Delivery, at: Timestamp) {
        self.in_flight.remove(&recorded.key);
        if let Some(delivery) = self.all.get_mut(&recorded.key)
            && let DeliveryState::Owed { next } = &mut delivery.state
        {
            *next = at + NOT_RECORDED_RETRY;
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
                not_before: at,
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
        };
        let rollback = kind == NoticeKind::RollbackRequested;
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
            expires_at: rollback.then(|| at + self.settings.rollback.give_up_after),
            external_url: self.settings.external_url.clone(),
            incident,
        };
        out.push(Effect::Record(Record::Owed(
            Box::new(delivery.clone()),
            Box::new(notice),
        )));
        self.outbox.all.insert(key, delivery);
    }

    /// Begins every attempt that is due, or ends the delivery where it is no longer right.
    pub(super) fn attempt_due(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let due: Vec<DeliveryKey> = self
            .outbox
            .due()
            .filter(|(next, _)| *next <= at)
            .map(|(_, it)| it.key.clone())
            .collect();
        for key in due {
            let delivery = self.outbox.all[&key].clone();
            if let Some(state) = self.no_longer_right(&delivery, at) {
                self.end(delivery, state, at, out);
                continue;
            }
            let delivery = self.outbox.all.get_mut(&key).expect("it is due");
            delivery.attempts += 1;
            let (receiver, attempt) = (delivery.receiver.clone(), delivery.attempts);
            out.push(Effect::Record(Record::Delivery(Box::new(delivery.clone()))));
            self.outbox.in_flight.insert(key.clone());
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
    }

    /// How a delivery ends instead of being attempted; `None` when it is still right.
    fn no_longer_right(&self, delivery: &Delivery, at: Timestamp) -> Option<DeliveryState> {
        let rollback = delivery.kind == NoticeKind::RollbackRequested;
        if rollback && let Some(why) = self.superseded(delivery) {
            return Some(DeliveryState::Cancelled { at, why });
        }
        let receiver = self
            .settings
            .receivers
            .iter()
            .find(|it| it.name == delivery.receiver);
        if receiver.is_none() {
            let why = format!("there is no [[webhook]] `{}` any more", delivery.receiver);
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
            return self.settings.rollback.give_up_after;
        }
        let receivers = &self.settings.receivers;
        let receiver = receivers.iter().find(|it| it.name == delivery.receiver);
        receiver.map_or(std::time::Duration::ZERO, |it| it.give_up_after)
    }

    /// Why a rollback must not be sent any more.
    fn superseded(&self, delivery: &Delivery) -> Option<String> {
        let id = delivery.rollout.as_ref()?;
        match self.rollouts.current() {
            Some(current) if current.id == *id => {}
            Some(other) => {
                return Some(format!(
                    "superseded: rollout of {} has begun",
                    other.version
                ));
            }
            None => return Some("superseded: the rollout was finished".to_owned()),
        }
        let other = self.rollouts.displaced_by()?;
        Some(format!("superseded: version {other} is running"))
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
            DeliveryState::Owed { .. } | DeliveryState::Delivered { .. } => None,
        };
        delivery.state = state;
        out.push(Effect::Record(Record::Delivery(Box::new(delivery.clone()))));
        self.outbox.in_flight.remove(&key);
        self.outbox.all.insert(key, delivery.clone());
        if let Some((kind, why)) = people {
            self.call_people(&delivery, kind, &why, at, out);
        }
    }

    /// Tells people, once of each kind, that a rollback does not reach its hook. Other deliveries concern nobody else.
    fn call_people(
        &mut self,
        delivery: &Delivery,
        kind: NoticeKind,
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
            DeliveryState::Owed { .. } | DeliveryState::Delivered { .. } => "refused",
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
        };
        self.raise(raise, at, out);
        self.attempt_due(at, out);
    }

    /// An attempt was answered, or not.
    pub(super) fn attempted(
        &mut self,
        key: &DeliveryKey,
        outcome: &Attempted,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        // An outcome that no attempt under way belongs to says nothing: it must not push the next attempt away.
        if !self.outbox.in_flight.remove(key) {
            return;
        }
        let Some(mut delivery) = self.outbox.all.get(key).cloned() else {
            return;
        };
        let (answer, said) = match outcome {
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
            Attempted::Ran { code, output } => {
                (Answer::Failed, format!("exit code {code}: {output}"))
            }
        };
        let (receiver, attempt) = (delivery.receiver.clone(), delivery.attempts);
        match after(key, attempt, answer, at) {
            Next::Delivered => {
                let Answer::Status { status, .. } = answer else {
                    return;
                };
                delivery.state = DeliveryState::Delivered { at, status };
                delivery.last_error = None;
                let key = key.clone();
                out.push(Effect::Tell(Event::DeliverySucceeded {
                    key,
                    receiver,
                    attempt,
                    status,
                }));
                out.push(Effect::Record(Record::Delivery(Box::new(delivery.clone()))));
                self.outbox.all.insert(delivery.key.clone(), delivery);
            }
            Next::Gone => {
                let why = "the receiver answered 410: it is gone for good".to_owned();
                self.end(delivery, DeliveryState::GivenUp { at, why }, at, out);
            }
            Next::Retry {
                at: next,
                attention,
            } => {
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
                let (key, next) = (key.clone(), Some(next));
                out.push(Effect::Tell(Event::DeliveryFailed {
                    key,
                    receiver,
                    attempt,
                    reason,
                    next,
                }));
                out.push(Effect::Record(Record::Delivery(Box::new(delivery.clone()))));
                self.outbox
                    .all
                    .insert(delivery.key.clone(), delivery.clone());
                if let Some(why) = why {
                    self.call_people(&delivery, NoticeKind::EscalationRaised, &why, at, out);
                }
            }
        }
    }
}
