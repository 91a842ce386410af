//! The functions that gated evaluates, by name. What is not listed is refused when an expression is parsed.

mod calendar;
mod histogram;
mod labels;
mod map;
mod over_time;
pub(super) mod rate;

pub(super) use histogram::{Asked, Buckets};
pub(super) use labels::{Relabel, Rewrite};
pub(super) use map::each;
pub(super) use map::{Function, Map};
pub(super) use over_time::{Kahan, Mean, quantile};
pub(super) use rate::{Extrapolation, counted};

/// The range a function looks at: samples in `(after, until]`, milliseconds.
#[derive(Copy, Clone, Debug)]
pub(super) struct Span {
    pub after: i64,
    pub until: i64,
    /// The moment of evaluation, before `@` and `offset`.
    pub at: i64,
    /// The scalar arguments.
    pub parameters: [f64; 2],
}

/// From one series' samples in a range.
type Compute = fn(&mut [(i64, f64)], &Span) -> Option<f64>;

/// A function over one series' samples: not empty, oldest first, without staleness markers. It may reorder them.
#[derive(Debug)]
pub(super) struct RangeFunction {
    pub name: &'static str,
    pub compute: Compute,
    /// `last_over_time` and `first_over_time` return samples as they are.
    pub keeps_name: bool,
    /// Computed for whole stretches of columns at once where samples have no holes.
    pub extrapolation: Option<Extrapolation>,
}

const fn plain(name: &'static str, compute: Compute) -> RangeFunction {
    RangeFunction {
        name,
        compute,
        keeps_name: false,
        extrapolation: None,
    }
}

const fn extrapolated(name: &'static str, compute: Compute, kind: Extrapolation) -> RangeFunction {
    RangeFunction {
        name,
        compute,
        keeps_name: false,
        extrapolation: Some(kind),
    }
}

const fn keeping(name: &'static str, compute: Compute) -> RangeFunction {
    RangeFunction {
        name,
        compute,
        keeps_name: true,
        extrapolation: None,
    }
}

const RANGE_FUNCTIONS: &[RangeFunction] = &[
    extrapolated("rate", rate::rate, Extrapolation::Rate),
    extrapolated("increase", rate::increase, Extrapolation::Increase),
    extrapolated("delta", rate::delta, Extrapolation::Delta),
    plain("irate", rate::irate),
    plain("idelta", rate::idelta),
    plain("deriv", rate::deriv),
    plain("changes", rate::changes),
    plain("resets", rate::resets),
    plain("avg_over_time", over_time::avg),
    plain("min_over_time", over_time::min),
    plain("max_over_time", over_time::max),
    plain("sum_over_time", over_time::sum),
    plain("count_over_time", over_time::count),
    plain("quantile_over_time", over_time::quantile_of),
    plain("stddev_over_time", over_time::stddev),
    plain("stdvar_over_time", over_time::stdvar),
    plain("present_over_time", over_time::present),
    plain("mad_over_time", over_time::mad),
    plain("ts_of_first_over_time", over_time::ts_of_first),
    plain("ts_of_last_over_time", over_time::ts_of_last),
    plain("ts_of_max_over_time", over_time::ts_of_max),
    plain("ts_of_min_over_time", over_time::ts_of_min),
    plain("predict_linear", rate::predict_linear),
    plain("double_exponential_smoothing", over_time::smoothed),
    keeping("first_over_time", over_time::first),
    keeping("last_over_time", over_time::last),
];

pub(super) fn range_function(name: &str) -> Option<&'static RangeFunction> {
    RANGE_FUNCTIONS.iter().find(|f| f.name == name)
}
