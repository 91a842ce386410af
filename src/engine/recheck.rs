//! Whether what is owed is still right: asked before every attempt, and of rollbacks that wait at every reading.

use std::time::Duration;

use super::Effect;
use super::RollbackMode;
use super::engine::Engine;
use super::triggers::TriggerWatch;
use crate::model::DecisionId;
use crate::model::Delivery;
use crate::model::DeliveryState;
use crate::model::NoticeKind;
use crate::model::Timestamp;

impl Engine {
    /// Ends rollbacks that wait and are no longer right, without waiting for their turn.
    pub(super) fn recheck_rollbacks(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let waits = |it: &&Delivery| {
            it.kind == NoticeKind::RollbackRequested
                && matches!(it.state, DeliveryState::Owed { .. })
        };
        let waiting: Vec<Delivery> = self.outbox.open().filter(waits).cloned().collect();
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
        let waiting: Vec<Delivery> = self.outbox.open().filter(waits).cloned().collect();
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
    pub(super) fn no_longer_right(
        &self,
        delivery: &Delivery,
        at: Timestamp,
    ) -> Option<DeliveryState> {
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
    pub(super) fn patience(&self, delivery: &Delivery) -> Duration {
        if delivery.kind == NoticeKind::RollbackRequested {
            return self.settings.rollback.veto + self.settings.rollback.give_up_after;
        }
        let receivers = &self.settings.receivers;
        let receiver = receivers.iter().find(|it| it.name == delivery.receiver);
        receiver.map_or(Duration::ZERO, |it| it.give_up_after)
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
        if let Some(veto) = rollout.veto() {
            return Some(veto);
        }
        if let Some(freeze) = self.frozen(at) {
            return Some(freeze);
        }
        if rollout.irreversible {
            return Some("the rollout is marked irreversible since".to_owned());
        }
        if self.settings.rollback.mode != RollbackMode::Armed {
            return Some("rollbacks are in shadow mode since".to_owned());
        }
        let announced = !self.settings.rollback.veto.is_zero() && delivery.attempts == 0;
        (announced && self.has_calmed(&delivery.decision))
            .then(|| "what tripped resolved before the time for a veto was over".to_owned())
    }

    /// No trigger that this decision was made for fires any more. Of alerts of Prometheus' rules nobody knows here.
    fn has_calmed(&self, id: &DecisionId) -> bool {
        let Some(decision) = self.decisions.iter().find(|it| it.id == *id) else {
            return false;
        };
        let named =
            |it: &&TriggerWatch| it.name == decision.trigger && it.text == decision.condition;
        let mut watches = self.triggers.iter().filter(named).peekable();
        watches.peek().is_some()
            && !watches.any(|it| it.series.values().any(|it| it.firing().is_some()))
    }
}
