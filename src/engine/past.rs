//! What was read before a rollout, captured when it begins, and whether a symptom predates it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::judge::INTERVAL_UNKNOWN;
use super::judge::TOLD_LATE;
use super::signals::SignalWatch;
use super::triggers::TriggerWatch;
use crate::gate::Before;
use crate::gate::Leaf;
use crate::gate::Unknown;
use crate::gate::Worse;
use crate::gate::before;
use crate::model::Action;
use crate::model::Past;
use crate::model::Rollout;
use crate::model::Seen;
use crate::model::Sight;
use crate::model::Timestamp;
use crate::model::Unit;
use crate::rules::TrueLeaf;
use crate::rules::true_leaves;
use crate::runbook::Op;
use crate::runbook::Trigger;
use crate::runbook::When;

/// Sights of one signal that are kept with a rollout.
const SIGHTS_MAX: usize = 600;

impl Engine {
    /// Notes, at the start of a rollout, what every signal read before it.
    pub(super) fn capture_past(&mut self, at: Timestamp) {
        let Some(change) = self.rollouts.change(at - TOLD_LATE) else {
            return;
        };
        let medians = self.medians(change - self.settings.rollout.baseline, change);
        let from = change - self.settings.rollback.predates.window;
        let mut readings = BTreeMap::new();
        for watch in self.triggers.iter().filter(|it| self.asks_for_rollback(it)) {
            if let Some(expr) = &watch.expr {
                readings.insert(watch.text.clone(), sights(expr, from, change));
            }
            for signal in &watch.signals {
                let name = &self.settings.rules.signals[*signal].name;
                let seen = sights(&self.signals[*signal], from, change);
                readings.insert(name.clone(), seen);
            }
        }
        self.rollouts.set_past(Past { change, readings }, medians);
    }

    fn asks_for_rollback(&self, watch: &TriggerWatch) -> bool {
        let phases = &self.settings.rules.phases;
        let mut places = watch.places.iter();
        places.any(|(p, t)| phases[*p].triggers[*t].action == Action::Rollback)
    }

    /// Which histories are kept series by series: where a trigger that asks for a rollback judges each of them, or any.
    pub(super) fn choose_histories(&mut self) {
        let asks: Vec<bool> = self
            .triggers
            .iter()
            .map(|it| self.asks_for_rollback(it))
            .collect();
        for signal in &mut self.signals {
            signal.history.by_series = false;
        }
        let phases = &self.settings.rules.phases;
        for (watch, asks) in self.triggers.iter_mut().zip(asks) {
            if let Some(expr) = &mut watch.expr {
                expr.history.by_series = asks;
            }
            let mut places = watch.places.iter();
            let each = places.any(|(p, t)| phases[*p].triggers[*t].each);
            if let (true, Some(first)) = (each && asks, watch.signals.first()) {
                self.signals[*first].history.by_series = true;
            }
        }
    }

    /// Whether what makes a trigger fire for `series` was so before the rollout in progress.
    pub(super) fn predates(&self, t: usize, trigger: &Trigger, series: &str) -> Before {
        let policy = self.settings.rollback.predates;
        if policy.window.is_zero() || self.settings.preview.is_some() {
            return Before::No("nobody asks whether it predates the rollout".to_owned());
        }
        let Some(rollout) = self.rollouts.current() else {
            return Before::No("no rollout is in progress".to_owned());
        };
        let leaves = self.leaves(t, trigger, series, &rollout.past);
        before(&leaves, rollout.past.change, policy)
    }

    /// Whether an unknown past lets a rollback pass: it does where somebody told of the rollout as it began.
    pub(super) fn unknown_past_allowed(&self, rollout: &Rollout) -> bool {
        match self.settings.rollback.predates.unknown {
            Some(Unknown::Allow) => true,
            Some(Unknown::Refuse) => false,
            None => {
                let told = self.settings.rollout.told.as_ref();
                // A gated that starts on an empty disk is told which version runs, not that it has just begun.
                let start_untold = told.is_some_and(|told| {
                    told.version == rollout.version && told.started_at.is_none()
                }) && self
                    .rollouts
                    .all()
                    .first()
                    .is_some_and(|first| first.id == rollout.id);
                let late = rollout.seen_at.since(rollout.started_at);
                let in_time = late <= self.settings.rollback.predates.window;
                rollout.told && in_time && !start_untold
            }
        }
    }

    fn leaves(&self, t: usize, trigger: &Trigger, series: &str, past: &Past) -> Vec<Leaf> {
        let watch = &self.triggers[t];
        let it = watch.series.get(series);
        let now = it.and_then(|it| it.value);
        let condition = match &trigger.when {
            When::Condition(condition) => condition,
            When::Expr(_) => {
                let sights = past
                    .readings
                    .get(&watch.text)
                    .map_or(&[][..], Vec::as_slice);
                let held = |seen: &Seen| any_or_one(seen, series);
                return vec![Leaf {
                    name: watch.text.clone(),
                    now,
                    worse: Worse::Neither,
                    sights: seen_by(sights, held),
                    interval: self.interval_of(watch.expr.as_ref()),
                    unit: Unit::None,
                }];
            }
        };
        let rules = Arc::clone(&self.settings.rules);
        let first = watch.signals.first().copied();
        let value = |signal: usize| match (trigger.each, Some(signal) == first) {
            (true, true) => now,
            _ => self.signals[signal].reading().value(),
        };
        let median = |signal: usize| self.median_before(signal);
        let leaf = |it: TrueLeaf| {
            let signal = &rules.signals[it.signal];
            let sights = past
                .readings
                .get(&signal.name)
                .map_or(&[][..], Vec::as_slice);
            let holds = |value: f64| it.op.holds(value, it.bound) != it.negated;
            let each = trigger.each && Some(it.signal) == first;
            let held = |seen: &Seen| match (each, trigger.quorum) {
                (false, _) => seen.value().map(|value| (holds(value), value)),
                (true, None) => one_series(seen, series, holds),
                (true, Some(quorum)) => enough_series(seen, quorum, holds),
            };
            Leaf {
                name: format!("{} {}", signal.name, it.text),
                now: it.value,
                worse: worse(it.op, it.negated),
                sights: seen_by(sights, held),
                interval: self.interval_of(Some(&self.signals[it.signal])),
                unit: signal.unit,
            }
        };
        true_leaves(condition, &value, &median)
            .into_iter()
            .map(leaf)
            .collect()
    }

    /// How far apart the readings of a history are.
    fn interval_of(&self, watch: Option<&SignalWatch>) -> Duration {
        let targets = watch.into_iter().flat_map(SignalWatch::targets);
        let targets = targets.filter_map(|id| self.targets.get(&super::engine::behind(*id).0));
        let fastest = targets.map(|target| target.info.interval).min();
        let thinned =
            self.settings.rollback.predates.window / u32::try_from(SIGHTS_MAX).unwrap_or(1);
        fastest.unwrap_or(INTERVAL_UNKNOWN).max(thinned)
    }
}

/// The sights in `[from, until)`, thinned evenly where there are many.
fn sights(watch: &SignalWatch, from: Timestamp, until: Timestamp) -> Vec<Sight> {
    let within = watch
        .history
        .sights
        .iter()
        .filter(|it| it.at >= from && it.at < until);
    let all: Vec<&Sight> = within.collect();
    let step = all.len().div_ceil(SIGHTS_MAX).max(1);
    all.into_iter().step_by(step).cloned().collect()
}

fn seen_by(
    sights: &[Sight],
    held: impl Fn(&Seen) -> Option<(bool, f64)>,
) -> Vec<(Timestamp, Option<(bool, f64)>)> {
    sights
        .iter()
        .map(|sight| (sight.at, held(&sight.seen)))
        .collect()
}

/// What a series said; one that was not there was calm.
fn one_series(seen: &Seen, name: &str, holds: impl Fn(f64) -> bool) -> Option<(bool, f64)> {
    match seen {
        Seen::Blind => None,
        Seen::Value(value) => Some((holds(*value), *value)),
        Seen::Series(series) => {
            let found = series.iter().find(|(labels, _)| labels == name);
            Some(found.map_or((false, 0.0), |(_, value)| (holds(*value), *value)))
        }
    }
}

fn enough_series(seen: &Seen, quorum: f64, holds: impl Fn(f64) -> bool) -> Option<(bool, f64)> {
    let Seen::Series(series) = seen else {
        return seen.value().map(|value| (holds(value), value));
    };
    let held: Vec<f64> = series
        .iter()
        .map(|it| it.1)
        .filter(|value| holds(*value))
        .collect();
    #[allow(
        clippy::cast_precision_loss,
        reason = "counts of series are far below 2^52"
    )]
    let enough = !held.is_empty() && held.len() as f64 >= quorum * series.len() as f64;
    Some((enough, held.first().copied().unwrap_or_default()))
}

/// A bare expression held where it gave something: for this series where it judges each, else at all.
fn any_or_one(seen: &Seen, name: &str) -> Option<(bool, f64)> {
    match seen {
        Seen::Blind => None,
        Seen::Value(value) => Some((true, *value)),
        Seen::Series(series) => {
            let mut found = series
                .iter()
                .filter(|(labels, _)| name.is_empty() || labels == name);
            Some(
                found
                    .next()
                    .map_or((false, 0.0), |(_, value)| (true, *value)),
            )
        }
    }
}

fn worse(op: Op, negated: bool) -> Worse {
    match (op, negated) {
        (Op::Gt | Op::Ge, false) | (Op::Lt | Op::Le, true) => Worse::Higher,
        (Op::Lt | Op::Le, false) | (Op::Gt | Op::Ge, true) => Worse::Lower,
        (Op::Eq | Op::Ne, _) => Worse::Neither,
    }
}
