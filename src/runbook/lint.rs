//! What loads and still is likely not meant: rules of thumb, as warnings.

use std::time::Duration;

use super::fault::Place;
use super::quantity::spelled as text;
use super::reader::Reader;
use super::{Bound, Condition, Hold, Op, Rules, Signal, Threshold, Trigger, When};
use crate::model::{Ratio, Unit};
use crate::promql::Expr;

/// A window with fewer scrapes is noise.
const SCRAPES_MIN: u32 = 3;
/// A share at or below this needs traffic to mean anything: one in twenty.
const SMALL_SHARE: f64 = 0.05;

/// Where the names of the rules stand, in their order.
#[derive(Debug, Default)]
pub struct Placed {
    pub signals: Vec<Place>,
    pub phases: Vec<Place>,
    /// By phase.
    pub triggers: Vec<Vec<Place>>,
    /// Names of signals whose expressions are at fault.
    pub unparsed: Vec<String>,
}

pub fn lint(reader: &Reader, rules: &Rules, placed: &Placed, interval: Option<Duration>) {
    for (signal, place) in rules.signals.iter().zip(&placed.signals) {
        expression(reader, &signal.expr, place, interval);
    }
    for (phase, places) in rules.phases.iter().zip(&placed.triggers) {
        for (trigger, place) in phase.triggers.iter().zip(places) {
            burst(reader, rules, trigger, place, interval);
            few_requests(reader, rules, trigger, place);
            never(reader, rules, trigger, place);
            if let When::Expr(expr) = &trigger.when {
                expression(reader, expr, place, interval);
            }
        }
    }
}

/// What is likely not meant in an expression by itself.
pub fn expression(reader: &Reader, expr: &Expr, place: &Place, interval: Option<Duration>) {
    noise(reader, expr, place, interval);
    for note in expr.notes() {
        let text = note.text.trim_start_matches("PromQL info: ");
        let text = text.trim_start_matches("PromQL warning: ");
        let text = text.rsplit_once(" (").map_or(text, |(text, _)| text);
        let help = if note.warns {
            "write a share between 0 and 1"
        } else {
            "a gauge has a delta or a deriv; name a counter with _total at its end"
        };
        reader.warn(place, text, help);
    }
}

/// A threshold that no value of the signal's unit reaches.
fn never(reader: &Reader, rules: &Rules, trigger: &Trigger, place: &Place) {
    let When::Condition(condition) = &trigger.when else {
        return;
    };
    if matches!(condition, Condition::Not(_)) {
        return;
    }
    leaves(condition, &mut |signal, threshold| {
        let Signal { name, unit, .. } = &rules.signals[signal];
        let Bound::Value(bound) = threshold.bound else {
            return;
        };
        // Scores and what has no unit may be anything.
        let lowest = (!matches!(unit, Unit::Score | Unit::None)).then_some(0.0);
        let highest = (*unit == Unit::Ratio).then_some(1.0);
        let below = |it: f64| bound < it || (bound <= it && threshold.op == Op::Lt);
        let above = |it: f64| bound > it || (bound >= it && threshold.op == Op::Gt);
        let reached = match threshold.op {
            Op::Lt | Op::Le => !lowest.is_some_and(below),
            Op::Gt | Op::Ge => !highest.is_some_and(above),
            Op::Eq | Op::Ne => true,
        };
        if !reached {
            let message = format!("`{name} {}` is never true of a {unit}", threshold.text);
            let help = "compare with a value that it can have, in the signal's own unit";
            reader.warn(place, message, help);
        }
    });
}

/// A range that holds fewer than three scrapes.
fn noise(reader: &Reader, expr: &Expr, place: &Place, interval: Option<Duration>) {
    let range = expr.longest_range();
    let Some(interval) = interval.filter(|it| !range.is_zero() && range < *it * SCRAPES_MIN) else {
        return;
    };
    let message = format!(
        "a range of {} holds fewer than {SCRAPES_MIN} scrapes at an interval of {}: noise",
        text(range),
        text(interval)
    );
    let help = format!("write a range of {} at least", text(interval * SCRAPES_MIN));
    reader.warn(place, message, help);
}

/// A window longer than `for` remembers a burst for long enough to fire.
fn burst(
    reader: &Reader,
    rules: &Rules,
    trigger: &Trigger,
    place: &Place,
    interval: Option<Duration>,
) {
    let Hold::For(hold) = trigger.hold else {
        return;
    };
    let window = match &trigger.when {
        When::Expr(expr) => expr.longest_range(),
        When::Condition(condition) => {
            let mut longest = Duration::ZERO;
            leaves(condition, &mut |signal, _| {
                longest = longest.max(rules.signals[signal].expr.longest_range());
            });
            longest
        }
    };
    if !hold.is_zero() && window > hold {
        let burst = interval.unwrap_or(Duration::from_secs(1)).min(hold);
        let message = format!(
            "a burst of {} s fires this: its range of {} is longer than its `for` of {}",
            burst.as_secs_f64(),
            text(window),
            text(hold)
        );
        let help = "write a shorter range, or a longer `for`";
        reader.warn(place, message, help);
    }
}

/// A small share of little traffic is a single request.
fn few_requests(reader: &Reader, rules: &Rules, trigger: &Trigger, place: &Place) {
    let When::Condition(condition) = &trigger.when else {
        return;
    };
    leaves(condition, &mut |signal, threshold| {
        let Signal {
            name, enough, unit, ..
        } = &rules.signals[signal];
        let above = matches!(threshold.op, Op::Gt | Op::Ge);
        if let Bound::Value(value) = threshold.bound
            && above
            && *unit == Unit::Ratio
            && enough.is_none()
            && value > 0.0
            && value <= SMALL_SHARE
        {
            let share = Ratio::new(value).map_or(String::new(), |it| it.to_string());
            let requests = (1.0 / value).ceil();
            let message = format!(
                "`{name} {}` fires on a single request when there are fewer than {requests}",
                threshold.text
            );
            let help = format!(
                "{share} wants `enough` of at least {requests} requests: enough = 'sum(increase(http_requests_total[1m])) >= {requests}'"
            );
            reader.warn(place, message, help);
        }
    });
}

fn leaves(condition: &Condition, see: &mut impl FnMut(usize, &Threshold)) {
    match condition {
        Condition::Compare { signal, threshold } => see(*signal, threshold),
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                leaves(part, see);
            }
        }
        Condition::Not(inner) => leaves(inner, see),
    }
}
