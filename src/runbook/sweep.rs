//! `error_rate=0.5%..3%`, `for=0s..5m`: the same rules with one number moved, step by step. Deliberately absent: what
//! comes of it.

use std::time::Duration;

use super::condition::signal_help;
use super::quantity::{self, Wrong};
use super::{Bound, Condition, Hold, Rules, Trigger, When};
use crate::model::Unit;

/// Steps of one sweep at most.
const STEPS_MAX: u32 = 12;
const HELP: &str =
    "write SIGNAL=FROM..TO or for=FROM..TO, such as error_rate=0.5%..3% or for=0s..5m";

/// One number of the rules, and the values that it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// As written before the `=`.
    pub name: String,
    what: What,
    steps: Vec<Step>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum What {
    /// What triggers compare this signal with.
    Bound { signal: usize },
    /// How long triggers hold.
    Hold,
}

#[derive(Clone, Debug, PartialEq)]
struct Step {
    value: Value,
    text: String,
}

#[derive(Copy, Clone, Debug, PartialEq)]
enum Value {
    Bound(Bound),
    Hold(Duration),
}

impl Sweep {
    /// Reads one sweep of these rules.
    ///
    /// # Errors
    /// What is wrong with it and what to write, for people.
    pub fn parse(text: &str, rules: &Rules) -> Result<Self, String> {
        let parts = text
            .split_once('=')
            .and_then(|(name, range)| Some((name.trim(), range.split_once("..")?)));
        let (name, (from, to)) = parts.ok_or_else(|| format!("`{text}` is no sweep: {HELP}"))?;
        let (from, to) = (from.trim(), to.trim());
        let told = |wrong: Wrong| format!("`{text}`: {}: {}", wrong.message, wrong.help);
        let triggers = || rules.phases.iter().flat_map(|it| &it.triggers);
        if name == "for" {
            let duration = |text| quantity::duration(text).map_err(told);
            let (from, to) = (duration(from)?, duration(to)?);
            if !triggers().any(|it| matches!(it.hold, Hold::For(_))) {
                return Err(format!("`{text}`: no trigger has a `for`"));
            }
            let steps = steps(from.as_secs_f64(), to.as_secs_f64(), text, of_time)?;
            let steps = steps.into_iter().map(|seconds| {
                let hold = Duration::from_secs_f64(seconds.max(0.0));
                Step {
                    value: Value::Hold(hold),
                    text: quantity::spelled(hold).replace(' ', ""),
                }
            });
            return Ok(Self {
                name: name.to_owned(),
                what: What::Hold,
                steps: steps.collect(),
            });
        }
        let signal = rules.signals.iter().position(|it| it.name == name);
        let signal = signal.ok_or_else(|| {
            let help = signal_help(name, &rules.signals);
            format!("`{text}`: there is no signal `{name}`: {help}")
        })?;
        let compared = |it: &Trigger| match &it.when {
            When::Condition(condition) => compares(condition, signal),
            When::Expr(_) => false,
        };
        if !triggers().any(compared) {
            return Err(format!(
                "`{text}`: no trigger compares `{name}` with anything"
            ));
        }
        let unit = rules.signals[signal].unit;
        let bound = |text| quantity::bound(text, unit).map_err(told);
        let bounds = (bound(from)?, bound(to)?);
        let (from, to, share) = match bounds {
            (Bound::Value(from), Bound::Value(to)) => (from, to, false),
            (Bound::OfBaseline(from), Bound::OfBaseline(to)) => (from, to, true),
            _ => {
                return Err(format!(
                    "`{text}`: one end is a share of the baseline and one is not"
                ));
            }
        };
        let steps = steps(from, to, text, of_ten)?
            .into_iter()
            .map(|value| Step {
                value: Value::Bound(if share {
                    Bound::OfBaseline(value)
                } else {
                    Bound::Value(value)
                }),
                text: if share {
                    format!("{} of baseline", Unit::Ratio.show(value))
                } else {
                    unit.show(value)
                },
            });
        Ok(Self {
            name: name.to_owned(),
            what: What::Bound { signal },
            steps: steps.collect(),
        })
    }

    /// How many values there are; at least one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Never: a sweep has a step.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// A value as people read it.
    #[must_use]
    pub fn text(&self, step: usize) -> &str {
        &self.steps[step].text
    }

    /// Gives the rules one of the values.
    pub fn apply(&self, step: usize, rules: &mut Rules) {
        let Step { value, text } = &self.steps[step];
        for trigger in rules.phases.iter_mut().flat_map(|it| &mut it.triggers) {
            match (self.what, *value) {
                (What::Hold, Value::Hold(hold)) => {
                    if let Hold::For(own) = &mut trigger.hold {
                        *own = hold;
                    }
                }
                (What::Bound { signal }, Value::Bound(bound)) => {
                    if let When::Condition(condition) = &mut trigger.when {
                        rebound(condition, signal, bound, text, &mut trigger.text);
                    }
                }
                (What::Hold, Value::Bound(_)) | (What::Bound { .. }, Value::Hold(_)) => {}
            }
        }
    }
}

fn compares(condition: &Condition, signal: usize) -> bool {
    match condition {
        Condition::Compare { signal: own, .. } => *own == signal,
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().any(|it| compares(it, signal))
        }
        Condition::Not(part) => compares(part, signal),
    }
}

/// Moves each comparison of the signal; `whole` is the text that they stand in.
fn rebound(condition: &mut Condition, signal: usize, to: Bound, text: &str, whole: &mut String) {
    match condition {
        Condition::Compare {
            signal: own,
            threshold,
        } if *own == signal => {
            let op = quantity::op(&threshold.text).map_or("", |(_, rest)| {
                threshold.text[..threshold.text.len() - rest.len()].trim_end()
            });
            let written = format!("{op} {text}");
            *whole = whole.replace(&threshold.text, &written);
            threshold.text = written;
            threshold.bound = to;
        }
        Condition::Compare { .. } => {}
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                rebound(part, signal, to, text, whole);
            }
        }
        Condition::Not(part) => rebound(part, signal, to, text, whole),
    }
}

/// Both ends and round numbers between them.
fn steps(from: f64, to: f64, text: &str, round: fn(f64) -> f64) -> Result<Vec<f64>, String> {
    if to < from {
        return Err(format!(
            "`{text}` goes backwards: write the smaller end first"
        ));
    }
    if to <= from {
        return Ok(vec![from]);
    }
    let step = round((to - from) / f64::from(STEPS_MAX - 2) * 0.999);
    let mut values = vec![from];
    let first = (from / step).floor() + 1.0;
    for nth in 0..STEPS_MAX {
        let value = (first + f64::from(nth)) * step;
        if value >= to - step * 1e-6 {
            break;
        }
        if value > from + step * 1e-6 {
            values.push(value);
        }
    }
    values.push(to);
    Ok(values)
}

/// The next round number of tens.
fn of_ten(least: f64) -> f64 {
    let magnitude = 10_f64.powf(least.log10().floor());
    let round = [1.0, 2.0, 2.5, 5.0].map(|it| it * magnitude);
    let found = round.into_iter().find(|it| *it >= least);
    found.unwrap_or(10.0 * magnitude)
}

/// The next round number of seconds.
fn of_time(least: f64) -> f64 {
    let round = [
        1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0,
    ];
    if least < 1.0 {
        return of_ten(least);
    }
    let found = round.into_iter().find(|it| *it >= least);
    found.unwrap_or_else(|| (least / 3600.0).ceil() * 3600.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::{Source, load};

    fn rules() -> Rules {
        let text = r#"
            clock = "rollout"
            [signals.error_rate]
            expr = "errors"
            unit = "ratio"
            [signals.latency]
            expr = "latency"
            unit = "seconds"
            [[phase]]
            name = "p"
            from = "0s"
            until = "1h"
            [[phase.trigger]]
            name = "a"
            when = "error_rate > 1% and latency < 50% of baseline"
            for = "30s"
            do = "rollback"
            [[phase.trigger]]
            name = "b"
            when = "error_rate >= 5%"
            after = "3 of 5"
            do = "notify"
        "#;
        let source = Source {
            path: "rules.toml".into(),
            text: text.into(),
        };
        load(&[source]).unwrap()
    }

    #[test]
    fn steps_are_round_and_hold_both_ends() {
        for (text, expected) in [
            (
                "error_rate=0.5%..3%",
                "0.5% 0.75% 1% 1.25% 1.5% 1.75% 2% 2.25% 2.5% 2.75% 3%",
            ),
            (
                "for=0s..5m",
                "0s 30s 1m 1m30s 2m 2m30s 3m 3m30s 4m 4m30s 5m",
            ),
            ("for=10s..1m", "10s 15s 20s 25s 30s 35s 40s 45s 50s 55s 1m"),
            ("for=30s..30s", "30s"),
            (
                "latency=50% of baseline..80% of baseline",
                "50% of baseline 55% of baseline 60% of baseline 65% of baseline 70% of baseline 75% of baseline 80% of baseline",
            ),
            ("for=0s..1s", "0s 100ms 200ms 300ms"),
        ] {
            let sweep = Sweep::parse(text, &rules()).unwrap();
            let all: Vec<&str> = (0..sweep.len()).map(|it| sweep.text(it)).collect();
            assert!(all.join(" ").starts_with(expected), "{text}: {all:?}");
            assert!(sweep.len() <= STEPS_MAX as usize);
        }
    }

    #[test]
    fn only_what_is_swept_is_moved() {
        let mut moved = rules();
        Sweep::parse("error_rate=2%..3%", &rules())
            .unwrap()
            .apply(0, &mut moved);
        Sweep::parse("for=1m..2m", &rules())
            .unwrap()
            .apply(0, &mut moved);
        let triggers = &moved.phases[0].triggers;
        assert_eq!(
            triggers[0].text,
            "error_rate > 2% and latency < 50% of baseline"
        );
        assert_eq!(triggers[1].text, "error_rate >= 2%");
        assert_eq!(triggers[0].hold, Hold::For(Duration::from_secs(60)));
        assert_eq!(triggers[1].hold, Hold::After { need: 3, of: 5 });
    }

    #[test]
    fn what_cannot_be_swept_says_why() {
        for (text, expected) in [
            ("", "write SIGNAL=FROM..TO"),
            ("error_rate=1%", "write SIGNAL=FROM..TO"),
            ("eror_rate=1%..2%", "error_rate"),
            ("error_rate=1..2", "error_rate=1..2"),
            ("error_rate=2%..1%", "backwards"),
            ("error_rate=1%..50% of baseline", "one end is a share"),
            ("for=1..2", "has no unit"),
        ] {
            let error = Sweep::parse(text, &rules()).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
