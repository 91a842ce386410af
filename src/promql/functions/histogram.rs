//! Quantiles and fractions of classic histograms, from their buckets.

use crate::model::labels::NAME;
use crate::model::{STALE, is_stale};

use crate::promql::layout::{Groups, Layout};
use crate::promql::node::{Binding, Moment, Node, bind_scalar};
use crate::promql::notes::{Saying, Slate};
use crate::promql::plan::EvalError;
use crate::promql::scalar::Scalar;
use crate::promql::shown;

/// Series that differ only in `le` make one histogram; series without a readable `le` are left out.
#[derive(Clone, Debug)]
pub(in crate::promql) struct Buckets {
    asked: Asked,
    pub of: Node,
    pub slate: Slate,
    /// Names of buckets without a bound that can be read, with what stands for it; by element which of them.
    pub unbounded: Vec<(String, String)>,
    unbounded_of: Vec<(u32, usize)>,
    /// Upper bounds and elements, histogram after histogram, ascending in each.
    bounds: Vec<(f64, u32)>,
    /// Where each histogram's buckets end.
    ends: Vec<usize>,
    /// One histogram's bounds and counts.
    scratch: Vec<(f64, f64)>,
}

/// What is asked of every histogram.
#[derive(Clone, Debug)]
pub(in crate::promql) enum Asked {
    /// `histogram_quantile`
    Quantile(Scalar),
    /// `histogram_quantiles`: several, told apart by a label.
    Quantiles {
        label: String,
        quantiles: Vec<Scalar>,
        /// What they were when the plan was bound.
        all: Vec<f64>,
    },
    /// `histogram_fraction`: the share of observations between two values.
    Fraction { lower: Scalar, upper: Scalar },
}

impl Buckets {
    pub fn new(asked: Asked, of: Node, slate: Slate) -> Self {
        Self {
            asked,
            of,
            slate,
            unbounded: Vec::new(),
            unbounded_of: Vec::new(),
            bounds: Vec::new(),
            ends: Vec::new(),
            scratch: Vec::new(),
        }
    }

    pub fn bind(&mut self, binding: &mut Binding<'_>) -> Result<Layout, EvalError> {
        match &mut self.asked {
            Asked::Quantile(quantile) => bind_scalar(quantile, binding)?,
            Asked::Quantiles { quantiles, all, .. } => {
                all.clear();
                for quantile in quantiles {
                    bind_scalar(quantile, binding)?;
                    all.push(binding.scalar(quantile)?);
                }
            }
            Asked::Fraction { lower, upper } => {
                bind_scalar(lower, binding)?;
                bind_scalar(upper, binding)?;
            }
        }
        let layout = self.of.bind(binding)?;
        let mut groups = Groups::default();
        let mut members: Vec<Vec<(f64, u32)>> = Vec::new();
        self.unbounded.clear();
        self.unbounded_of.clear();
        for element in 0..layout.len() {
            let Ok(bound) = layout.get(element, "le").parse::<f64>() else {
                self.leave_out(&layout, element);
                continue;
            };
            // With the name, where there is one: what is called otherwise is another histogram.
            let key = layout.labels(element).filter(|label| label != "le");
            let group = groups.number(key) as usize;
            if group == members.len() {
                members.push(Vec::new());
            }
            let element = u32::try_from(element).expect("series are numbered in 32 bits");
            members[group].push((bound, element));
        }
        self.bounds.clear();
        self.ends.clear();
        for mut histogram in members {
            histogram.sort_by(|a, b| a.0.total_cmp(&b.0));
            self.bounds.append(&mut histogram);
            self.ends.push(self.bounds.len());
        }
        if let Asked::Quantiles { label, all, .. } = &self.asked {
            let labels = all.iter().flat_map(|quantile| {
                let written = open_metrics(*quantile);
                groups.labels.iter().map(move |it| it.with(label, &written))
            });
            return Ok(Layout::new(labels.collect(), false));
        }
        Ok(Layout::new(groups.labels, false))
    }

    fn leave_out(&mut self, layout: &Layout, element: usize) {
        let (name, bound) = (layout.get(element, NAME), layout.get(element, "le"));
        let known = self.unbounded.iter();
        let known = known.clone().position(|it| it.0 == name && it.1 == bound);
        let number = known.unwrap_or_else(|| {
            self.unbounded.push((name.to_owned(), bound.to_owned()));
            self.unbounded.len() - 1
        });
        let element = u32::try_from(element).expect("series are numbered in 32 bits");
        self.unbounded_of.push((element, number));
    }

    /// The numbers that are asked with.
    pub fn scalars(&self, see: &mut dyn FnMut(&Scalar)) {
        match &self.asked {
            Asked::Quantile(quantile) => see(quantile),
            Asked::Quantiles { quantiles, .. } => quantiles.iter().for_each(see),
            Asked::Fraction { lower, upper } => {
                see(lower);
                see(upper);
            }
        }
    }

    pub fn eval(&mut self, moment: &mut Moment<'_>, out: &mut [f64]) -> Result<(), EvalError> {
        let mut raised = false;
        match &mut self.asked {
            Asked::Quantile(quantile) => {
                let quantile = quantile.eval(moment)?;
                self.of.eval(moment)?;
                self.slate.say_quantile(moment.times, quantile);
                self.each(out, |buckets| {
                    bucket_quantile(quantile, buckets, &mut raised)
                });
            }
            Asked::Fraction { lower, upper } => {
                let (lower, upper) = (lower.eval(moment)?, upper.eval(moment)?);
                self.of.eval(moment)?;
                self.each(out, |buckets| bucket_fraction(lower, upper, buckets));
            }
            Asked::Quantiles { all, .. } => {
                let all = std::mem::take(all);
                self.of.eval(moment)?;
                let width = self.ends.len().max(1);
                for (quantile, out) in all.iter().zip(out.chunks_mut(width)) {
                    self.each(out, |buckets| {
                        bucket_quantile(*quantile, buckets, &mut raised)
                    });
                }
                if let Asked::Quantiles { all: place, .. } = &mut self.asked {
                    *place = all;
                }
            }
        }
        if raised {
            self.slate.say(moment.times, Saying::Raised);
        }
        for (element, number) in &self.unbounded_of {
            if !is_stale(self.of.out[*element as usize]) {
                self.slate.say(moment.times, Saying::Unbounded(*number));
            }
        }
        Ok(())
    }

    /// By histogram, what `answer` says of its buckets.
    fn each(&mut self, out: &mut [f64], mut answer: impl FnMut(&mut [(f64, f64)]) -> f64) {
        let mut start = 0;
        for (out, end) in out.iter_mut().zip(&self.ends) {
            self.scratch.clear();
            for (bound, element) in &self.bounds[start..*end] {
                let count = self.of.out[*element as usize];
                if !is_stale(count) {
                    coalesce(&mut self.scratch, *bound, count);
                }
            }
            start = *end;
            *out = if self.scratch.is_empty() {
                STALE
            } else {
                answer(&mut self.scratch)
            };
        }
    }
}

/// Buckets with one bound written in two ways (`1` and `1.0`) count as one.
#[allow(
    clippy::float_cmp,
    reason = "bounds are equal when they read as the same float"
)]
fn coalesce(buckets: &mut Vec<(f64, f64)>, bound: f64, count: f64) {
    match buckets.last_mut() {
        Some((last, total)) if *last == bound => *total += count,
        _ => buckets.push((bound, count)),
    }
}

/// A number as a label of `OpenMetrics` holds it: never a whole one without a point or an exponent.
fn open_metrics(value: f64) -> String {
    if value == 0.0 {
        return "0.0".to_owned();
    }
    let text = shown(value);
    let whole = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if whole { text + ".0" } else { text }
}

/// Prometheus' `BucketQuantile`: linear within the bucket, the highest finite bound at most, NaN without `+Inf`.
/// Says where counts fell.
fn bucket_quantile(q: f64, buckets: &mut [(f64, f64)], raised: &mut bool) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let [.., (highest, _), (infinite, _)] = *buckets else {
        return f64::NAN;
    };
    if infinite != f64::INFINITY {
        return f64::NAN;
    }
    *raised |= repair(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].1;
    if observations == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * observations;
    // Not `count < rank`: a NaN count is never reached.
    #[allow(
        clippy::neg_cmp_op_on_partial_ord,
        reason = "NaN counts are searched past"
    )]
    let bucket = buckets[..last].partition_point(|(_, count)| !(*count >= rank));
    if bucket == last {
        return highest;
    }
    let (end, mut count) = buckets[bucket];
    if bucket == 0 && end <= 0.0 {
        return end;
    }
    let mut start = 0.0;
    if bucket > 0 {
        let (below, counted) = buckets[bucket - 1];
        start = below;
        count -= counted;
        rank -= counted;
    }
    start + (end - start) * (rank / count)
}

/// Prometheus' `BucketFraction`: linear within a bucket, NaN without `+Inf`.
fn bucket_fraction(lower: f64, upper: f64, buckets: &[(f64, f64)]) -> f64 {
    let (infinite, count) = *buckets
        .last()
        .expect("histograms without buckets are absent");
    if infinite != f64::INFINITY || count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank = |value: f64| {
        let below = rank(value, buckets);
        // Where counts fall, a bucket may hold more than all.
        if below > count { count } else { below }
    };
    (rank(upper) - rank(lower)) / count
}

/// How many observations lie below `value`.
fn rank(value: f64, buckets: &[(f64, f64)]) -> f64 {
    let mut below = 0.0;
    for (index, (end, count)) in buckets.iter().enumerate() {
        let start = match index.checked_sub(1) {
            Some(before) => buckets[before].0,
            // The first bucket of positive values begins at zero.
            None if *end > 0.0 => 0.0,
            None => f64::NEG_INFINITY,
        };
        if start >= value {
            return below;
        }
        if *end > value {
            // A bucket without an end has all of its observations at the bound that it has.
            if start == f64::NEG_INFINITY {
                return *count;
            }
            if *end == f64::INFINITY {
                return below;
            }
            return below + (count - below) * (value - start) / (end - start);
        }
        below = *count;
    }
    below
}

/// Cumulative counts never fall: what falls is raised to the bucket before it, and what differs by rounding alone
/// (rates of one histogram scraped at slightly different moments) is made equal. Whether any fell for real.
fn repair(buckets: &mut [(f64, f64)]) -> bool {
    let mut before = buckets[0].1;
    let mut fell = false;
    for (_, count) in &mut buckets[1..] {
        let alike = alike(before, *count);
        if alike || *count < before {
            fell |= !alike;
            *count = before;
        } else {
            before = *count;
        }
    }
    fell
}

#[allow(clippy::float_cmp, reason = "exactly equal counts need no tolerance")]
fn alike(a: f64, b: f64) -> bool {
    const TOLERANCE: f64 = 1e-12;
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (total, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || total < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / total.min(f64::MAX) < TOLERANCE
}
