//! What people say about rollbacks: freeze, thaw, veto, and what became of a delivery in doubt. Each leaves a line in
//! the audit trail.

use std::time::Duration;

use super::Answer;
use super::Effect;
use super::Event;
use super::Record;
use super::Refusal;
use super::Word;
use super::engine::Engine;
use crate::model::Audit;
use crate::model::DecisionId;
use crate::model::Deed;
use crate::model::DeliveryKey;
use crate::model::DeliveryState;
use crate::model::Said;
use crate::model::Timestamp;

/// A freeze that nobody thaws ends by itself, within a month.
const FREEZE_MAX: Duration = Duration::from_secs(31 * 86_400);
/// Lines of the audit trail kept in memory for showing.
pub(super) const AUDIT_SHOWN_MAX: usize = 200;

/// Since when and by whom rollbacks are frozen, as the audit trail's last word says: the last by its time, for one that
/// the ledger could not take at first stands behind later ones.
pub(super) fn freeze_of(audit: &[Audit]) -> Option<Audit> {
    let words = audit
        .iter()
        .filter(|it| matches!(it.deed, Deed::Freeze | Deed::Thaw));
    let last = words.max_by_key(|it| it.said.at)?;
    (last.deed == Deed::Freeze).then(|| last.clone())
}

impl Engine {
    /// Who has frozen rollbacks at `at`, in words.
    pub(super) fn frozen(&self, at: Timestamp) -> Option<String> {
        let freeze = self.freeze.as_ref()?;
        let until = freeze.until.filter(|until| at < *until)?;
        let (by, reason) = (&freeze.said.by, &freeze.said.reason);
        Some(format!("frozen by {by} until {until}: {reason}"))
    }

    /// When the freeze ends by itself.
    pub(super) fn freeze_ends(&self) -> Option<Timestamp> {
        self.freeze.as_ref().and_then(|freeze| freeze.until)
    }

    /// The freeze is over: what fires is judged again.
    pub(super) fn end_freeze(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        if self.freeze_ends().is_some_and(|until| until <= at) {
            self.freeze = None;
            out.push(Effect::Tell(Event::FreezeEnded));
            self.judge(at, None, out);
        }
    }

    pub(super) fn freeze(
        &mut self,
        word: Word,
        hold: Duration,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        if hold.is_zero() || hold > FREEZE_MAX {
            let said = humantime::format_duration(hold);
            return Err(Refusal::Invalid(format!(
                "a freeze lasts up to 31 days, not {said}: say how long, such as 1h"
            )));
        }
        let until = at + hold;
        let audit = self.note(Deed::Freeze, word, String::new(), Some(until), at, out);
        self.freeze = Some(audit);
        self.judge(at, None, out);
        Ok(Answer::Frozen { until })
    }

    /// Lifts a freeze, and the hold after a damaged ledger: a person has looked.
    pub(super) fn thaw(&mut self, word: Word, at: Timestamp, out: &mut Vec<Effect>) -> Answer {
        let frozen = self.frozen(at).is_some();
        let held = self.held.is_some();
        if frozen || held {
            self.note(Deed::Thaw, word, String::new(), None, at, out);
        }
        self.freeze = None;
        self.held = None;
        self.judge(at, None, out);
        Answer::Thawed { frozen, held }
    }

    /// The rollout of this decision is not to be rolled back; what is owed to the hook ends cancelled.
    pub(super) fn veto(
        &mut self,
        id: &DecisionId,
        word: Word,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        let decision = self.decisions.iter().find(|it| it.id == *id);
        let decision = decision.ok_or_else(|| Refusal::NoSuchDecision(id.0.clone()))?;
        let Some(rollout) = decision.rollout.clone() else {
            return Err(Refusal::Conflict(format!(
                "decision `{id}` belongs to no rollout: there is nothing to roll back"
            )));
        };
        let sent = |it: &&crate::model::Delivery| {
            it.kind == crate::model::NoticeKind::RollbackRequested
                && matches!(it.state, DeliveryState::Delivered { .. })
        };
        if let Some(sent) = self.outbox.of(id).map(AsRef::as_ref).find(sent) {
            return Err(Refusal::Conflict(format!(
                "the rollback was delivered to {} already: undo it there",
                sent.receiver
            )));
        }
        let audit = self.note(Deed::Veto, word, id.0.clone(), None, at, out);
        if let Some(vetoed) = self.rollouts.veto(&rollout, audit.said) {
            out.push(Effect::Record(Record::Rollout(vetoed.clone())));
        }
        self.recheck_rollbacks(at, out);
        self.judge(at, None, out);
        Ok(Answer::Vetoed {
            decision: id.clone(),
            rollout,
        })
    }

    /// A delivery that waits for a word: it arrived, or it is to be sent again.
    pub(super) fn settle_delivery(
        &mut self,
        key: &DeliveryKey,
        arrived: bool,
        word: Word,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        let known = self.outbox.get(key).cloned();
        let mut delivery = known.ok_or_else(|| Refusal::NoSuchDelivery(key.0.clone()))?;
        match (&delivery.state, arrived) {
            // Receivers say so again when they are not sure that they were heard.
            (DeliveryState::Delivered { .. }, true) => {
                return Ok(Answer::Delivery(Box::new(delivery)));
            }
            (DeliveryState::Unconfirmed { .. } | DeliveryState::Held { .. }, true)
            | (DeliveryState::Held { .. }, false) => {}
            (state, _) => {
                return Err(Refusal::Conflict(format!(
                    "delivery `{key}` is {}: it waits for no word",
                    state.word()
                )));
            }
        }
        let deed = if arrived { Deed::Confirm } else { Deed::Resend };
        let audit = self.note(deed, word, key.0.clone(), None, at, out);
        if arrived {
            let said = format!("confirmed by {}", audit.said.by);
            let status = match delivery.state {
                DeliveryState::Unconfirmed { status, .. } => status,
                _ => 0,
            };
            delivery.note(at, &said);
            self.delivered(delivery.clone(), status, at, out);
        } else {
            delivery.state = DeliveryState::Owed { next: at };
            self.change(delivery.clone(), out);
            self.attempt_due(at, out);
        }
        let now = self.outbox.get(key).cloned().unwrap_or(delivery);
        Ok(Answer::Delivery(Box::new(now)))
    }

    /// Writes a line of the audit trail.
    pub(super) fn note(
        &mut self,
        deed: Deed,
        word: Word,
        subject: String,
        until: Option<Timestamp>,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Audit {
        let Word { by, reason } = word;
        let audit = Audit {
            deed,
            said: Said { at, by, reason },
            subject,
            until,
        };
        out.push(Effect::Record(Record::Audit(Box::new(audit.clone()))));
        out.push(Effect::Tell(Event::Said(Box::new(audit.clone()))));
        self.audit.push(audit.clone());
        if self.audit.len() > 2 * AUDIT_SHOWN_MAX {
            self.audit.drain(..AUDIT_SHOWN_MAX);
        }
        audit
    }
}
