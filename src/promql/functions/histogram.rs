//! `histogram_quantile` over classic buckets.

use crate::model::{STALE, is_stale};

use crate::promql::layout::{Grouping, Groups, Layout};
use crate::promql::node::{Binding, Moment, Node, bind_scalar};
use crate::promql::plan::EvalError;
use crate::promql::scalar::Scalar;

/// Series that differ only in `le` make one histogram; series without a readable `le` are left out.
#[derive(Clone, Debug)]
pub(in crate::promql) struct HistogramQuantile {
    quantile: Scalar,
    of: Node,
    /// Upper bounds and elements, histogram after histogram, ascending in each.
    buckets: Vec<(f64, u32)>,
    /// Where each histogram's buckets end.
    ends: Vec<usize>,
    /// One histogram's bounds and counts.
    scratch: Vec<(f64, f64)>,
}

impl HistogramQuantile {
    pub fn new(quantile: Scalar, of: Node) -> Self {
        Self {
            quantile,
            of,
            buckets: Vec::new(),
            ends: Vec::new(),
            scratch: Vec::new(),
        }
    }

    pub fn bind(&mut self, binding: &mut Binding<'_>) -> Result<Layout, EvalError> {
        bind_scalar(&mut self.quantile, binding)?;
        let layout = self.of.bind(binding)?;
        let grouping = Grouping::Without(vec!["le".to_owned()]);
        let mut groups = Groups::default();
        let mut members: Vec<Vec<(f64, u32)>> = Vec::new();
        for element in 0..layout.len() {
            let Ok(bound) = layout.get(element, "le").parse::<f64>() else {
                continue;
            };
            let group = groups.number(layout.key(element, &grouping)) as usize;
            if group == members.len() {
                members.push(Vec::new());
            }
            let element = u32::try_from(element).expect("series are numbered in 32 bits");
            members[group].push((bound, element));
        }
        self.buckets.clear();
        self.ends.clear();
        for mut histogram in members {
            histogram.sort_by(|a, b| a.0.total_cmp(&b.0));
            self.buckets.append(&mut histogram);
            self.ends.push(self.buckets.len());
        }
        Ok(Layout::new(groups.labels, true))
    }

    pub fn eval(&mut self, moment: &mut Moment<'_>, out: &mut [f64]) -> Result<(), EvalError> {
        let quantile = self.quantile.eval(moment)?;
        self.of.eval(moment)?;
        let mut start = 0;
        for (out, end) in out.iter_mut().zip(&self.ends) {
            self.scratch.clear();
            for (bound, element) in &self.buckets[start..*end] {
                let count = self.of.out[*element as usize];
                if !is_stale(count) {
                    coalesce(&mut self.scratch, *bound, count);
                }
            }
            start = *end;
            *out = if self.scratch.is_empty() {
                STALE
            } else {
                bucket_quantile(quantile, &mut self.scratch)
            };
        }
        Ok(())
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

/// Prometheus' `BucketQuantile`: linear within the bucket, the highest finite bound at most, NaN without `+Inf`.
fn bucket_quantile(q: f64, buckets: &mut [(f64, f64)]) -> f64 {
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
    repair(buckets);
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

/// Cumulative counts never fall: what falls is raised to the bucket before it, and what differs by rounding alone
/// (rates of one histogram scraped at slightly different moments) is made equal.
fn repair(buckets: &mut [(f64, f64)]) {
    let mut before = buckets[0].1;
    for (_, count) in &mut buckets[1..] {
        if alike(before, *count) || *count < before {
            *count = before;
        } else {
            before = *count;
        }
    }
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
