//! What loads and still is likely not meant: rules of thumb, as warnings.

mod expression;

use std::collections::BTreeSet;
use std::time::Duration;

pub use expression::Written;

use super::fault::Place;
use super::page::{self, Page};
use super::quantity::spelled as text;
use super::reader::Reader;
use super::{Bound, Condition, GroupRuleKind, Hold, Op, Rules, Signal, Threshold, Trigger, When};
use crate::model::{Ratio, Unit};
use crate::promql::{Outcome, survey};

/// A window with fewer scrapes is noise.
const SCRAPES_MIN: u32 = 3;
/// A share at or below this needs traffic to mean anything: one in twenty.
const SMALL_SHARE: f64 = 0.05;

/// What is known of where the samples come from.
#[derive(Clone, Debug, Default)]
pub struct Known<'k> {
    /// The shortest scrape interval, where jobs are not told apart.
    pub fastest: Option<Duration>,
    /// Jobs and how often each is scraped.
    pub scrapes: Vec<(String, Duration)>,
    /// Components of probes; `None` where no configuration is known, and any may be named.
    pub components: Option<Vec<String>>,
    /// Names of every `[[prometheus]]`; `None` where no configuration is known, and any may be named.
    pub sources: Option<Vec<String>>,
    /// A page of a target.
    pub page: Option<&'k Page>,
}

impl Known<'_> {
    /// Of any job.
    fn shortest(&self) -> Option<Duration> {
        let scrapes = self.scrapes.iter().map(|(_, interval)| *interval);
        scrapes.chain(self.fastest).min()
    }
}

/// Where the names of the rules stand, in their order.
#[derive(Debug, Default)]
pub struct Placed {
    pub signals: Vec<Place>,
    pub phases: Vec<Place>,
    /// By phase.
    pub triggers: Vec<Vec<Place>>,
    /// Names of signals whose expressions are at fault.
    pub unparsed: Vec<String>,
    /// Every expression of the files.
    pub expressions: Vec<Written>,
}

pub fn lint(reader: &Reader, rules: &Rules, placed: &Placed, known: &Known<'_>) {
    let recorded = rules.groups.iter().flat_map(|it| &it.rules);
    let recorded = recorded.filter(|it| matches!(it.kind, GroupRuleKind::Record));
    let recorded: BTreeSet<&str> = recorded.map(|it| it.name.as_str()).collect();
    expression::expressions(reader, &placed.expressions, &recorded, known);
    for (phase, places) in rules.phases.iter().zip(&placed.triggers) {
        for (trigger, place) in phase.triggers.iter().zip(places) {
            burst(reader, rules, trigger, place, known.shortest());
            if let When::Condition(condition) = &trigger.when {
                few_requests(reader, rules, condition, place);
                let mut judge = Judge {
                    reader,
                    rules,
                    place,
                    page: known.page,
                };
                judge.condition(condition, false);
            }
        }
    }
}

/// Comparisons of signals that no value of the signal's unit makes true, or none makes false.
struct Judge<'j, 'r> {
    reader: &'j Reader<'r>,
    rules: &'j Rules,
    place: &'j Place,
    page: Option<&'j Page>,
}

impl Judge<'_, '_> {
    fn condition(&mut self, condition: &Condition, denied: bool) {
        match condition {
            Condition::Compare { signal, threshold } => self.compare(*signal, threshold, denied),
            Condition::All(parts) | Condition::Any(parts) => {
                for part in parts {
                    self.condition(part, denied);
                }
            }
            Condition::Not(inner) => self.condition(inner, !denied),
        }
    }

    fn compare(&mut self, signal: usize, threshold: &Threshold, denied: bool) {
        let signal = &self.rules.signals[signal];
        let Bound::Value(bound) = threshold.bound else {
            return;
        };
        let unit = signal.unit;
        // Scores and what has no unit may be anything.
        let low = match unit {
            Unit::Score | Unit::None => f64::NEG_INFINITY,
            _ => 0.0,
        };
        let high = if unit == Unit::Ratio {
            1.0
        } else {
            f64::INFINITY
        };
        let not = if denied { "not " } else { "" };
        let said = format!("{not}{} {}", signal.name, threshold.text);
        let outcome = match (outcome(threshold.op, bound, low, high), denied) {
            (Outcome::Never, true) => Outcome::Always,
            (Outcome::Always, true) => Outcome::Never,
            (outcome, _) => outcome,
        };
        let word = match outcome {
            Outcome::Never => "never",
            Outcome::Always => "always",
            Outcome::Perhaps => return self.buckets(signal, threshold.op, bound, &said, denied),
        };
        let of = match unit {
            Unit::Ratio | Unit::Count | Unit::Score => format!("a {unit}"),
            _ => format!("a value in {unit}"),
        };
        let message = format!("`{said}` is {word} true of {of}");
        let help = "compare with a value that it can have, in the signal's own unit";
        self.reader.warn(self.place, message, help);
    }

    /// A quantile above the highest bucket.
    fn buckets(&self, signal: &Signal, op: Op, bound: f64, said: &str, denied: bool) {
        let Some(page) = self.page.filter(|_| !denied) else {
            return;
        };
        let Some(value) = survey(signal.expr.text()).map(|it| it.value) else {
            return;
        };
        let Some(highest) = page.highest(&value) else {
            return;
        };
        if outcome(op, bound, f64::NEG_INFINITY, value.at(highest)) == Outcome::Never {
            page::above_the_buckets(self.reader, self.place, said, highest);
        }
    }
}

/// Of a comparison with what lies between two values.
fn outcome(op: Op, bound: f64, low: f64, high: f64) -> Outcome {
    let beyond = bound < low || bound > high;
    let (never, always) = match op {
        Op::Lt => (low >= bound, high < bound),
        Op::Le => (low > bound, high <= bound),
        Op::Gt => (high <= bound, low > bound),
        Op::Ge => (high < bound, low >= bound),
        Op::Eq => (beyond, false),
        Op::Ne => (false, beyond),
    };
    match (never, always) {
        (true, _) => Outcome::Never,
        (_, true) => Outcome::Always,
        (false, false) => Outcome::Perhaps,
    }
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
                longest = longest.max(rules.signals[signal].longest_range());
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
fn few_requests(reader: &Reader, rules: &Rules, condition: &Condition, place: &Place) {
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
