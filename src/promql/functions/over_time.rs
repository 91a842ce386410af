//! `*_over_time`, and the sums, means and quantiles that aggregations share with them.

#![allow(
    clippy::unnecessary_wraps,
    reason = "all functions over ranges have one shape, and some have no answer"
)]

use super::Span;
use super::rate::counted;

/// A sum that keeps what each addition loses (Neumaier's form of Kahan's).
#[derive(Copy, Clone, Debug, Default)]
pub(in crate::promql) struct Kahan {
    total: f64,
    lost: f64,
}

impl Kahan {
    #[inline]
    pub fn add(&mut self, value: f64) {
        let total = self.total + value;
        if total.is_infinite() {
            self.lost = 0.0;
        } else if self.total.abs() >= value.abs() {
            self.lost += (self.total - total) + value;
        } else {
            self.lost += (value - total) + self.total;
        }
        self.total = total;
    }

    pub fn sum(self) -> f64 {
        self.total + self.lost
    }
}

/// The arithmetic mean: a sum divided at the end, or an incremental mean from where the sum would overflow.
#[derive(Copy, Clone, Debug, Default)]
pub(in crate::promql) struct Mean {
    sum: Kahan,
    count: f64,
    incremental: bool,
}

impl Mean {
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let mut sum = self.sum;
            sum.add(value);
            if self.count <= 1.0 || !sum.total.is_infinite() {
                self.sum = sum;
                return;
            }
            self.incremental = true;
            self.sum.total /= self.count - 1.0;
            self.sum.lost /= self.count - 1.0;
        }
        let mean = self.sum.total;
        if mean.is_infinite() {
            let same = value.is_infinite() && (mean > 0.0) == (value > 0.0);
            if same || value.is_finite() {
                // An infinite mean stays as it is, and infinities of one sign cannot be subtracted.
                return;
            }
        }
        let share = (self.count - 1.0) / self.count;
        self.sum.total *= share;
        self.sum.lost *= share;
        self.sum.add(value / self.count);
    }

    pub fn mean(self) -> f64 {
        if self.incremental {
            self.sum.sum()
        } else {
            self.sum.total / self.count + self.sum.lost / self.count
        }
    }
}

pub(super) fn avg(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    let mut mean = Mean::default();
    for (_, value) in samples.iter() {
        mean.add(*value);
    }
    Some(mean.mean())
}

pub(super) fn sum(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    let mut sum = Kahan::default();
    for (_, value) in samples.iter() {
        sum.add(*value);
    }
    Some(sum.sum())
}

/// NaN only where nothing else is there.
pub(super) fn min(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    let values = samples.iter().map(|(_, value)| *value);
    values.reduce(|low, value| {
        if value < low || low.is_nan() {
            value
        } else {
            low
        }
    })
}

/// NaN only where nothing else is there.
pub(super) fn max(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    let values = samples.iter().map(|(_, value)| *value);
    values.reduce(|high, value| {
        if value > high || high.is_nan() {
            value
        } else {
            high
        }
    })
}

pub(super) fn count(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    Some(counted(samples.len()))
}

pub(super) fn present(_: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    Some(1.0)
}

pub(super) fn last(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    samples.last().map(|(_, value)| *value)
}

pub(super) fn first(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    samples.first().map(|(_, value)| *value)
}

#[allow(
    clippy::cast_precision_loss,
    reason = "milliseconds stay below 2^53 for 285 000 years"
)]
fn seconds(at: i64) -> f64 {
    at as f64 / 1000.0
}

pub(super) fn ts_of_first(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    samples.first().map(|(at, _)| seconds(*at))
}

pub(super) fn ts_of_last(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    samples.last().map(|(at, _)| seconds(*at))
}

/// The last of equal ones; NaN only where nothing else is there.
pub(super) fn ts_of_max(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    let best = samples.iter().reduce(|best, sample| {
        let better = sample.1 >= best.1 || best.1.is_nan();
        if better { sample } else { best }
    });
    best.map(|(at, _)| seconds(*at))
}

/// The last of equal ones; NaN only where nothing else is there.
pub(super) fn ts_of_min(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    let best = samples.iter().reduce(|best, sample| {
        let better = sample.1 <= best.1 || best.1.is_nan();
        if better { sample } else { best }
    });
    best.map(|(at, _)| seconds(*at))
}

/// The median of the distances from the median.
pub(super) fn mad(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    if samples.iter().any(|(_, value)| value.is_nan()) {
        return Some(f64::NAN);
    }
    let median = quantile(0.5, samples, |sample| sample.1);
    for (_, value) in samples.iter_mut() {
        *value = (*value - median).abs();
    }
    Some(quantile(0.5, samples, |sample| sample.1))
}

/// Holt's double exponential smoothing: the first parameter weighs new values, the second the trend.
pub(super) fn smoothed(samples: &mut [(i64, f64)], span: &Span) -> Option<f64> {
    let [level, trend] = span.parameters;
    let [(_, first), (_, second), ..] = *samples else {
        return None;
    };
    let (mut before, mut smooth) = (0.0, first);
    let mut slope = second - first;
    for (index, (_, value)) in samples.iter().enumerate().skip(1) {
        let raw = level * value;
        if index > 1 {
            slope = trend * (smooth - before) + (1.0 - trend) * slope;
        }
        before = smooth;
        smooth = raw + (1.0 - level) * (smooth + slope);
    }
    Some(smooth)
}

pub(super) fn stdvar(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    let mut count = 0.0;
    let [mut mean, mut squares] = [Kahan::default(); 2];
    for (_, value) in samples.iter() {
        count += 1.0;
        let delta = value - mean.sum();
        mean.add(delta / count);
        squares.add(delta * (value - mean.sum()));
    }
    Some(squares.sum() / count)
}

pub(super) fn stddev(samples: &mut [(i64, f64)], span: &Span) -> Option<f64> {
    stdvar(samples, span).map(f64::sqrt)
}

pub(super) fn quantile_of(samples: &mut [(i64, f64)], span: &Span) -> Option<f64> {
    Some(quantile(span.parameters[0], samples, |sample| sample.1))
}

/// The q-quantile with linear interpolation; NaN sorts below everything. Reorders `items`.
pub(in crate::promql) fn quantile<T>(q: f64, items: &mut [T], value: impl Fn(&T) -> f64) -> f64 {
    if items.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    items.sort_unstable_by(|a, b| {
        let (a, b) = (value(a), value(b));
        a.partial_cmp(&b)
            .unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
    });
    let rank = q * counted(items.len() - 1);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between zero and the number of items"
    )]
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(items.len() - 1);
    let weight = rank - rank.floor();
    value(&items[lower]) * (1.0 - weight) + value(&items[upper]) * weight
}
