//! After a rollback was delivered: did it help? What had tripped is watched until it has recovered or the time is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Effect;
use super::Event;
use super::Record;
use super::decide::whole;
use super::engine::Engine;
use super::incidents::Raise;
use crate::model::Action;
use crate::model::Cause;
use crate::model::Decision;
use crate::model::DecisionId;
use crate::model::Helped;
use crate::model::NoticeKind;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::model::Verification;
use crate::rules::Truth;
use crate::runbook::Hold;

/// Cause of an incident: nobody can see whether a rollback helped.
pub(super) const UNVERIFIED: &str = "unverified";

/// A rollback that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    pub verification: Verification,
    decision: Arc<Decision>,
    truth: Truth,
    value: Option<f64>,
    /// Since when the condition has been false without a break.
    calm_since: Option<Timestamp>,
    /// It has calmed, though the rollback did not help.
    is_over: bool,
}

impl Watched {
    pub fn new(verification: Verification, decision: Arc<Decision>) -> Self {
        Self {
            verification,
            decision,
            truth: Truth::Unknown,
            value: None,
            calm_since: None,
            is_over: false,
        }
    }

    fn is_open(&self) -> bool {
        self.verification.outcome.is_none()
    }

    /// What did not help is watched on: its incident ends when what tripped has calmed after all.
    fn is_watched(&self) -> bool {
        match self.verification.outcome {
            None => true,
            Some((_, Helped::Ineffective)) => !self.is_over,
            Some((_, Helped::Verified | Helped::Unverified)) => false,
        }
    }
}

impl Engine {
    /// What the ledger knows of rollbacks that were watched.
    pub(super) fn restore_watched(&mut self, restored: Vec<Verification>) {
        for verification in restored {
            let decision = self
                .decisions
                .iter()
                .find(|it| it.id == verification.decision);
            if let Some(decision) = decision.map(Arc::clone) {
                self.watched.push(Watched::new(verification, decision));
            }
        }
    }

    /// Begins to watch whether a rollback helps.
    pub(super) fn watch_rollback(&mut self, id: &DecisionId, at: Timestamp, out: &mut Vec<Effect>) {
        let known = self
            .watched
            .iter()
            .any(|it| it.verification.decision == *id);
        let decision = self.decisions.iter().find(|it| it.id == *id);
        let off = self.settings.rollback.verify_within.is_zero();
        let Some(decision) = decision.filter(|_| !known && !off).map(Arc::clone) else {
            return;
        };
        let verification = Verification {
            decision: id.clone(),
            since: at,
            outcome: None,
        };
        out.push(Effect::Record(Record::Verification(verification.clone())));
        self.watched.push(Watched::new(verification, decision));
        self.verifying(id, true, at, out);
    }

    /// When the next watched rollback has had its time, or has been calm for long enough.
    pub(super) fn next_verification(&self) -> Option<Timestamp> {
        let within = self.settings.rollback.verify_within;
        let watched = self.watched.iter().filter(|it| it.is_watched());
        let ends = watched.flat_map(|it| {
            let calm = it
                .calm_since
                .map(|since| since + self.calm_for(&it.decision));
            let over = it.is_open().then_some(it.verification.since + within);
            [over, calm]
        });
        ends.flatten().min()
    }

    /// Looks at what every watched rollback was decided for; nothing moves any state.
    pub(super) fn look_after_rollbacks(&mut self, at: Timestamp) {
        for w in 0..self.watched.len() {
            if !self.watched[w].is_watched() {
                continue;
            }
            let Some((truth, value)) = self.look(w) else {
                continue;
            };
            let it = &mut self.watched[w];
            (it.truth, it.value) = (truth, value);
            it.calm_since = match truth {
                Truth::False => it.calm_since.or(Some(at)),
                Truth::True | Truth::Unknown => None,
            };
        }
    }

    /// What the condition of a watched rollback says; `None` where nothing was read since.
    fn look(&self, w: usize) -> Option<(Truth, Option<f64>)> {
        let decision = &self.watched[w].decision;
        let named = |it: &&super::triggers::TriggerWatch| {
            it.name == decision.trigger && it.text == decision.condition
        };
        let Some(watch) = self.triggers.iter().find(named) else {
            // An alert of Prometheus' rules, or a trigger that a reload took away.
            return Some(self.look_at_alerts(&decision.trigger));
        };
        let read_at = match &watch.expr {
            Some(expr) => expr.at,
            None => watch
                .signals
                .iter()
                .filter_map(|s| self.signals[*s].at)
                .max(),
        };
        if read_at.is_none_or(|read| read <= self.watched[w].verification.since) {
            return None;
        }
        let (p, t) = watch.places[0];
        let trigger = &self.settings.rules.phases[p].triggers[t];
        let rollout = decision
            .rollout
            .as_ref()
            .and_then(|id| self.rollouts.get(id));
        let baseline = rollout.map_or_else(BTreeMap::new, |rollout| rollout.baseline.clone());
        let signals = &self.settings.rules.signals;
        let median = |signal: usize| baseline.get(&signals[signal].name).copied();
        Some(watch.truth_now(trigger, &self.signals, &median))
    }

    /// Firing says that it is still so; a rule that fails says nothing.
    fn look_at_alerts(&self, name: &str) -> (Truth, Option<f64>) {
        let rules = self.groups_shown.iter().flat_map(|group| &group.rules);
        let mut truth = Truth::Unknown;
        for rule in rules.filter(|rule| rule.name == name) {
            let Some(alerting) = rule
                .alerting
                .as_ref()
                .filter(|_| rule.health.why().is_none())
            else {
                continue;
            };
            if let Some(alert) = alerting.alerts.first() {
                return (Truth::True, Some(alert.value));
            }
            truth = Truth::False;
        }
        (truth, None)
    }

    /// How long the condition must have been false: as long as it had to hold.
    fn calm_for(&self, decision: &Decision) -> Duration {
        let phases = self.settings.rules.phases.iter();
        let mut triggers = phases.flat_map(|phase| &phase.triggers);
        let trigger =
            triggers.find(|it| it.name == decision.trigger && it.text == decision.condition);
        match trigger.map(|it| it.hold) {
            Some(Hold::For(hold)) => hold,
            Some(Hold::After { .. }) | None => Duration::ZERO,
        }
    }

    /// Says what came of the rollbacks whose time has come.
    pub(super) fn end_verifications(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let within = self.settings.rollback.verify_within;
        for w in 0..self.watched.len() {
            let it = &self.watched[w];
            if !it.is_watched() {
                continue;
            }
            let calm = it
                .calm_since
                .map(|since| since + self.calm_for(&it.decision));
            let over = it.verification.since + within <= at;
            if !it.is_open() {
                if calm.is_some_and(|calm| calm <= at) {
                    let id = it.decision.id.clone();
                    self.watched[w].is_over = true;
                    self.verifying(&id, false, at, out);
                }
                continue;
            }
            let helped = match (calm.is_some_and(|calm| calm <= at), over, it.truth) {
                (true, _, _) | (false, true, Truth::False) => Helped::Verified,
                (false, true, Truth::True) => Helped::Ineffective,
                (false, true, Truth::Unknown) => Helped::Unverified,
                (false, false, _) => continue,
            };
            self.end_verification(w, helped, at, out);
        }
    }

    fn end_verification(&mut self, w: usize, helped: Helped, at: Timestamp, out: &mut Vec<Effect>) {
        let it = &mut self.watched[w];
        it.verification.outcome = Some((at, helped));
        let after = whole(at.since(it.verification.since));
        let (decision, value) = (Arc::clone(&it.decision), it.value);
        let verification = it.verification.clone();
        let unit = decision.unit;
        let now = value.map_or_else(String::new, |value| format!(", now {}", unit.show(value)));
        let was = decision.value.map_or_else(String::new, |value| {
            format!(" ({} when it was decided)", unit.show(value))
        });
        let (trigger, condition) = (&decision.trigger, &decision.condition);
        let (severity, reason) = match helped {
            Helped::Verified => (
                decision.severity,
                format!(
                    "the rollback helped: {trigger}: {condition} holds no more, {after} after it was delivered{now}{was}"
                ),
            ),
            Helped::Ineffective => (
                Severity::P1,
                format!(
                    "the rollback did not help: {trigger}: {condition} still holds {after} after it was delivered{now}{was}; there will be no other rollback"
                ),
            ),
            Helped::Unverified => (
                Severity::P2,
                format!(
                    "nothing says whether the rollback helped: {trigger}: {condition} has had no value to see it by, {after} after it was delivered{was}"
                ),
            ),
        };
        out.push(Effect::Record(Record::Verification(verification)));
        out.push(Effect::Tell(Event::RollbackWatched {
            decision: decision.id.clone(),
            helped,
            reason: reason.clone(),
        }));
        debug_assert_eq!(decision.action, Action::Rollback);
        let said = Decision {
            reason,
            severity,
            value: value.or(decision.value),
            ..(*decision).clone()
        };
        self.tell_outcome(&said, helped, at, out);
    }

    fn tell_outcome(
        &mut self,
        said: &Decision,
        helped: Helped,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let raise = |kind, cause| Raise {
            decision: said,
            severity: said.severity,
            cause,
            kind,
            reason: said.reason.clone(),
            untold: false,
        };
        match helped {
            Helped::Verified => {
                self.tell_of_rollback(said, NoticeKind::RollbackVerified, at, out);
                self.verifying(&said.id, false, at, out);
            }
            Helped::Ineffective => {
                let raise = raise(NoticeKind::RollbackIneffective, Cause::Verification);
                self.raise(raise, at, out);
            }
            Helped::Unverified => {
                let what = UNVERIFIED.to_owned();
                let raise = raise(NoticeKind::RollbackUnverified, Cause::Unseen { what });
                self.raise(raise, at, out);
                self.verifying(&said.id, false, at, out);
            }
        }
        self.attempt_due(at, out);
    }
}
