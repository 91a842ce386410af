//! What should have held in a period, and when: the targets of the phases. A share of a baseline is another number for
//! each rollout, so it becomes a target for each. Deliberately absent: how they fared.

use super::Context;
use super::facts::is_known;
use crate::model::Minutes;
use crate::model::Rollout;
use crate::model::Timestamp;
use crate::report::Comparison;
use crate::report::Target;
use crate::runbook::Bound;
use crate::runbook::Clock;
use crate::runbook::Condition;
use crate::runbook::Op;
use crate::runbook::Threshold;
use crate::runbook::UPTIME;

/// How rules read the minutes of the uptime.
const UPTIMES: &str = "gated_signal{signal=\"uptime\"}";

/// A span of time `[from, until)`.
type Span = (Timestamp, Timestamp);

/// The targets of the phases that count from the go-live, each with the part of the period in which it applied.
pub(super) fn targets(
    context: &Context,
    (from, until): Span,
    minutes: &[Minutes],
    rollouts: &[Rollout],
) -> Vec<Target> {
    let Some(go_live) = context.config.rollout.go_live else {
        return Vec::new();
    };
    let zone = context.config.zone();
    let mut targets = Vec::new();
    for phase in &context.rules.phases {
        let of_rollout = phase.clock == Clock::Rollout;
        let Some((begins, ends)) = phase.band(go_live, &zone).filter(|_| !of_rollout) else {
            continue;
        };
        let ends = ends.map_or(until, |it| it.min(until));
        let during = (begins.max(from), ends);
        if during.0 >= during.1 {
            continue;
        }
        for target in phase.targets.iter().filter(|_| !phase.shadow) {
            let signal = &context.rules.signals[target.signal];
            // An average of the uptime's minutes is held to what the period's own uptime is held to.
            let name = match signal.expr.text() {
                expr if expr.contains(UPTIMES) => UPTIME,
                _ => &signal.name,
            };
            // Nobody waits for a figure that is only expected.
            if target.expected && !is_known(minutes, name, from, until) {
                continue;
            }
            for threshold in thresholds(&target.condition) {
                for (bound, during) in bounds(threshold, name, during, rollouts) {
                    // A range has two ends, and a share of a baseline says no number.
                    let is_plain = matches!(target.condition, Condition::Compare { .. })
                        && matches!(threshold.bound, Bound::Value(_));
                    let text = if is_plain {
                        target.text.clone()
                    } else {
                        let (op, bound) = (threshold.op, signal.unit.show(bound));
                        format!("{} ({} {bound})", target.text, symbol(op))
                    };
                    let target = Target {
                        signal: name.to_owned(),
                        text,
                        bound,
                        comparison: comparison(threshold.op),
                        during: Some(during),
                    };
                    join(&mut targets, target);
                }
            }
        }
    }
    targets
}

/// What the target's signal is compared with: one bound, or the two of a range.
fn thresholds(condition: &Condition) -> Vec<&Threshold> {
    match condition {
        Condition::Compare { threshold, .. } => vec![threshold],
        Condition::All(parts) => parts.iter().flat_map(thresholds).collect(),
        // No target is written so.
        Condition::Any(_) | Condition::Not(_) => Vec::new(),
    }
}

/// The numbers of a bound, each with when it is that.
fn bounds(
    threshold: &Threshold,
    signal: &str,
    (from, until): Span,
    rollouts: &[Rollout],
) -> Vec<(f64, Span)> {
    let share = match threshold.bound {
        Bound::Value(bound) => return vec![(bound, (from, until))],
        Bound::OfBaseline(share) => share,
    };
    let of_each = rollouts.iter().enumerate().filter_map(|(place, rollout)| {
        let median = rollout.baseline.get(signal)?;
        let ended = rollout.end.map(|(at, _)| at);
        let next = rollouts.get(place + 1).map(|it| it.started_at);
        let over = ended.into_iter().chain(next).chain([until]).min()?;
        let during = (from.max(rollout.started_at), over);
        (during.0 < during.1).then_some((median * share, during))
    });
    of_each.collect()
}

const fn comparison(op: Op) -> Comparison {
    match op {
        Op::Lt => Comparison::Below,
        Op::Le => Comparison::AtMost,
        Op::Gt => Comparison::Above,
        Op::Ge => Comparison::AtLeast,
        Op::Eq => Comparison::Equal,
        Op::Ne => Comparison::NotEqual,
    }
}

const fn symbol(op: Op) -> &'static str {
    match op {
        Op::Lt => "<",
        Op::Le => "<=",
        Op::Gt => ">",
        Op::Ge => ">=",
        Op::Eq => "==",
        Op::Ne => "!=",
    }
}

/// One that another phase has as well, before or meanwhile, is one target.
fn join(targets: &mut Vec<Target>, it: Target) {
    for known in targets.iter_mut() {
        let alike = (&known.signal, known.comparison) == (&it.signal, it.comparison);
        let alike = alike && known.bound.to_bits() == it.bound.to_bits();
        if let (true, Some((from, until)), Some((begins, ends))) = (alike, known.during, it.during)
            && begins <= until
            && from <= ends
        {
            known.during = Some((from.min(begins), until.max(ends)));
            return;
        }
    }
    targets.push(it);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_of_two_phases_is_one() {
        let at = Timestamp::from_millis;
        let target = |bound, from, until| Target {
            signal: "errors".into(),
            text: format!("< {bound}%"),
            bound,
            comparison: Comparison::Below,
            during: Some((at(from), at(until))),
        };
        let mut all = Vec::new();
        for it in [
            target(1.0, 0, 10),
            target(2.0, 10, 20),
            target(1.0, 10, 30),
            target(1.0, 5, 8),
            target(1.0, 40, 50),
        ] {
            join(&mut all, it);
        }
        let spans: Vec<_> = all.iter().map(|it| (it.bound, it.during)).collect();
        let span = |from, until| Some((at(from), at(until)));
        let expected = [(1.0, span(0, 30)), (2.0, span(10, 20)), (1.0, span(40, 50))];
        assert_eq!(spans, expected);
    }

    /// Medians of 0.9 and then 0.8; the third rollout knows none.
    #[test]
    fn a_share_of_a_baseline_is_another_bound_for_each_rollout() {
        let at = Timestamp::from_millis;
        let rollout = |began, end: Option<i64>, median: Option<f64>| Rollout {
            id: crate::model::RolloutId(format!("r{began}")),
            service: "api".into(),
            environment: String::new(),
            version: "2".into(),
            previous_version: None,
            started_at: at(began),
            seen_at: at(began),
            told: true,
            irreversible: false,
            baseline: median
                .map(|it| ("accuracy".into(), it))
                .into_iter()
                .collect(),
            turned_red: false,
            end: end.map(|end| (at(end), crate::model::RolloutEnd::Superseded)),
            past: std::sync::Arc::default(),
            vetoed: None,
        };
        let rollouts = [
            rollout(0, Some(20), Some(0.9)),
            rollout(20, Some(25), Some(0.8)),
            rollout(30, None, None),
        ];
        let threshold = |bound| Threshold {
            op: Op::Ge,
            bound,
            text: String::new(),
        };
        let of_baseline = threshold(Bound::OfBaseline(0.5));
        let found = bounds(&of_baseline, "accuracy", (at(10), at(40)), &rollouts);
        assert_eq!(found, [(0.45, (at(10), at(20))), (0.4, (at(20), at(25)))]);
        assert_eq!(
            bounds(&of_baseline, "other", (at(10), at(40)), &rollouts),
            []
        );
        let fixed = threshold(Bound::Value(7.0));
        let found = bounds(&fixed, "accuracy", (at(10), at(40)), &rollouts);
        assert_eq!(found, [(7.0, (at(10), at(40)))]);
    }
}
