//! Thresholds and conditions: `> 500ms`, `error_rate > 1% and not throughput > 50% of baseline`.

/// A comparison. Equality is exact, as in `PromQL`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
}

impl Op {
    /// `left op right`. Neither side is NaN: readings are classified first.
    #[must_use]
    #[allow(
        clippy::float_cmp,
        reason = "thresholds compare as written, as PromQL does"
    )]
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Lt => left < right,
            Self::Le => left <= right,
            Self::Gt => left > right,
            Self::Ge => left >= right,
            Self::Eq => left == right,
            Self::Ne => left != right,
        }
    }
}

/// What a reading is compared with, in the signal's unit.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Bound {
    Value(f64),
    /// This share of the signal's median before the rollout; no baseline, no comparison.
    OfBaseline(f64),
}

/// One comparison of one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    pub op: Op,
    pub bound: Bound,
    /// As written: `> 500ms`.
    pub text: String,
}

/// What a trigger's `when` says. Judged in three values: a leaf without a reading is unknown, and
/// `unknown or true` is true, `unknown and false` is false, as Kleene has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// `signal` is the index in [`super::Rules::signals`].
    Compare {
        signal: usize,
        threshold: Threshold,
    },
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
}
