//! Conditions in three values: true, false, or unknown because a reading is missing.

use std::collections::BTreeMap;

use crate::runbook::Bound;
use crate::runbook::Condition;
use crate::runbook::Op;
use crate::runbook::Threshold;

/// Kleene's three values.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(it: bool) -> Self {
        if it { Self::True } else { Self::False }
    }
}

/// A judged condition, with the reading that speaks for it.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Judged {
    pub truth: Truth,
    /// The first leaf whose truth is the whole's: its signal and value. Without one, the first leaf.
    pub signal: usize,
    pub value: Option<f64>,
}

/// Judges `condition`. `value` gives a signal's reading as a value, `baseline` its median before the rollout.
pub fn judge(
    condition: &Condition,
    value: &dyn Fn(usize) -> Option<f64>,
    baseline: &dyn Fn(usize) -> Option<f64>,
) -> Judged {
    match condition {
        Condition::Compare { signal, threshold } => {
            let value = value(*signal);
            let bound = bound(threshold, || baseline(*signal));
            let truth = match (value, bound) {
                (Some(value), Some(bound)) => threshold.op.holds(value, bound).into(),
                _ => Truth::Unknown,
            };
            Judged {
                truth,
                signal: *signal,
                value,
            }
        }
        Condition::All(parts) => fold(parts, Truth::False, value, baseline),
        Condition::Any(parts) => fold(parts, Truth::True, value, baseline),
        Condition::Not(part) => {
            let inner = judge(part, value, baseline);
            Judged {
                truth: inner.truth.not(),
                ..inner
            }
        }
    }
}

/// The number a threshold compares with; `None` where it needs a baseline that there is not.
pub fn bound(threshold: &Threshold, baseline: impl Fn() -> Option<f64>) -> Option<f64> {
    match threshold.bound {
        Bound::Value(value) => Some(value),
        Bound::OfBaseline(share) => baseline().map(|median| median * share),
    }
}

/// `decisive` decides at once; else unknown where any part is; else its opposite.
fn fold(
    parts: &[Condition],
    decisive: Truth,
    value: &dyn Fn(usize) -> Option<f64>,
    baseline: &dyn Fn(usize) -> Option<f64>,
) -> Judged {
    let judged: Vec<Judged> = parts
        .iter()
        .map(|part| judge(part, value, baseline))
        .collect();
    let find = |truth| judged.iter().find(|part| part.truth == truth).copied();
    find(decisive)
        .or_else(|| find(Truth::Unknown))
        .or_else(|| judged.first().copied())
        .expect("a parsed `and` or `or` has parts")
}

/// Indexes of the signals that a condition reads, in the order written.
#[must_use]
pub fn signals_of(condition: &Condition) -> Vec<usize> {
    let mut signals = Vec::new();
    walk(condition, &mut |signal, _| {
        if !signals.contains(&signal) {
            signals.push(signal);
        }
    });
    signals
}

/// The bound of each signal's first threshold, for showing beside the value.
#[must_use]
pub fn thresholds_of(
    condition: &Condition,
    baseline: &dyn Fn(usize) -> Option<f64>,
) -> BTreeMap<usize, f64> {
    let mut bounds = BTreeMap::new();
    walk(condition, &mut |signal, threshold| {
        if let Some(number) = bound(threshold, || baseline(signal)) {
            bounds.entry(signal).or_insert(number);
        }
    });
    bounds
}

/// A comparison that makes a condition true.
#[derive(Clone, Debug, PartialEq)]
pub struct TrueLeaf {
    pub signal: usize,
    pub op: Op,
    pub bound: f64,
    /// Under an odd number of `not`: it speaks by not holding.
    pub negated: bool,
    pub value: Option<f64>,
    /// As written.
    pub text: String,
}

/// Every comparison that speaks for `condition`, in the order written: it holds, or does not under a `not`.
#[must_use]
pub fn true_leaves(
    condition: &Condition,
    value: &dyn Fn(usize) -> Option<f64>,
    baseline: &dyn Fn(usize) -> Option<f64>,
) -> Vec<TrueLeaf> {
    let mut leaves = Vec::new();
    speak_for(condition, false, (value, baseline), &mut leaves);
    leaves
}

type Numbers<'a> = &'a dyn Fn(usize) -> Option<f64>;

fn speak_for(
    condition: &Condition,
    negated: bool,
    (value, baseline): (Numbers<'_>, Numbers<'_>),
    leaves: &mut Vec<TrueLeaf>,
) {
    match condition {
        Condition::Compare { signal, threshold } => {
            let (now, bound) = (value(*signal), bound(threshold, || baseline(*signal)));
            let (Some(value), Some(bound)) = (now, bound) else {
                return;
            };
            if threshold.op.holds(value, bound) != negated {
                leaves.push(TrueLeaf {
                    signal: *signal,
                    op: threshold.op,
                    bound,
                    negated,
                    value: now,
                    text: threshold.text.clone(),
                });
            }
        }
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                speak_for(part, negated, (value, baseline), leaves);
            }
        }
        Condition::Not(part) => speak_for(part, !negated, (value, baseline), leaves),
    }
}

fn walk<'a>(condition: &'a Condition, leaf: &mut dyn FnMut(usize, &'a Threshold)) {
    match condition {
        Condition::Compare { signal, threshold } => leaf(*signal, threshold),
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                walk(part, leaf);
            }
        }
        Condition::Not(part) => walk(part, leaf),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(signal: usize) -> Condition {
        let threshold = Threshold {
            op: Op::Gt,
            bound: Bound::Value(1.0),
            text: "> 1".into(),
        };
        Condition::Compare { signal, threshold }
    }

    #[test]
    fn kleene_tables() {
        use Truth::{False, True, Unknown};
        // Signal 0 is true, 1 is false, 2 has no value.
        let value = |signal: usize| [Some(2.0), Some(0.0), None][signal];
        let all = |a, b| Condition::All(vec![leaf(a), leaf(b)]);
        let any = |a, b| Condition::Any(vec![leaf(a), leaf(b)]);
        let table = [
            (all(0, 0), True),
            (all(0, 1), False),
            (all(0, 2), Unknown),
            (all(2, 1), False),
            (any(1, 0), True),
            (any(2, 0), True),
            (any(1, 2), Unknown),
            (any(1, 1), False),
            (Condition::Not(Box::new(leaf(2))), Unknown),
            (Condition::Not(Box::new(leaf(1))), True),
        ];
        for (condition, truth) in table {
            assert_eq!(
                judge(&condition, &value, &|_| None).truth,
                truth,
                "{condition:?}"
            );
        }
    }

    #[test]
    fn every_operator_is_unknown_without_a_value() {
        for op in [Op::Lt, Op::Le, Op::Gt, Op::Ge, Op::Eq, Op::Ne] {
            let threshold = Threshold {
                op,
                bound: Bound::Value(1.0),
                text: String::new(),
            };
            let condition = Condition::Compare {
                signal: 0,
                threshold,
            };
            assert_eq!(
                judge(&condition, &|_| None, &|_| None).truth,
                Truth::Unknown,
                "{op:?}"
            );
        }
    }

    #[test]
    fn a_share_of_the_baseline_needs_one() {
        let threshold = Threshold {
            op: Op::Gt,
            bound: Bound::OfBaseline(0.5),
            text: String::new(),
        };
        let condition = Condition::Compare {
            signal: 0,
            threshold,
        };
        let truth = |baseline: Option<f64>| judge(&condition, &|_| Some(6.0), &|_| baseline).truth;
        assert_eq!(
            (truth(Some(10.0)), truth(Some(20.0)), truth(None)),
            (Truth::True, Truth::False, Truth::Unknown)
        );
    }
}
