//! What compares the samples of a range: rate, increase, delta and their kin.
//!
//! `rate` has two ways to the same numbers: per series ([`rate`], the definition) and over whole rows of neighbouring
//! columns ([`columns`]), where the scrape times, and so the extrapolation, are the target's and not the series'.

#![allow(
    clippy::unnecessary_wraps,
    reason = "all functions over ranges have one shape, and some have no answer"
)]
#![allow(
    clippy::float_cmp,
    reason = "a change is any difference of two samples"
)]

use crate::model::{STALE, is_stale};
use crate::store::Row;

use super::Span;
use crate::promql::select::Columns;

/// Which of the three extrapolating functions.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::promql) enum Extrapolation {
    /// A counter's increase per second.
    Rate,
    /// A counter's increase.
    Increase,
    /// A gauge's difference: no resets, no zero to start from.
    Delta,
}

/// How far the sampled part of a range is stretched to its ends, in seconds. The same for all series of one target.
#[derive(Copy, Clone, Debug)]
struct Stretch {
    sampled: f64,
    to_start: f64,
    to_end: f64,
    /// Divides the result: the range for `rate`.
    per: f64,
    /// What a difference is multiplied by where no counter's zero is nearer than `to_start`.
    factor: f64,
    /// A counter whose first sample is below this share of its increase was zero after the range began.
    share: f64,
}

#[allow(
    clippy::cast_precision_loss,
    reason = "differences of milliseconds and numbers of samples stay below 2^53"
)]
pub(in crate::promql) fn seconds(from: i64, to: i64) -> f64 {
    to.saturating_sub(from) as f64 / 1000.0
}

impl Stretch {
    /// `first` and `last` of at least two samples, `gaps` between them.
    fn new(kind: Extrapolation, span: &Span, first: i64, last: i64, gaps: u32) -> Self {
        let sampled = seconds(first, last);
        let average = sampled / f64::from(gaps);
        let threshold = average * 1.1;
        let bounded = |gap: f64| if gap >= threshold { average / 2.0 } else { gap };
        let to_start = bounded(seconds(span.after, first));
        let to_end = bounded(seconds(last, span.until));
        let per = match kind {
            Extrapolation::Rate => seconds(span.after, span.until),
            Extrapolation::Increase | Extrapolation::Delta => 1.0,
        };
        Self {
            sampled,
            to_start,
            to_end,
            per,
            factor: (sampled + to_start + to_end) / sampled / per,
            share: match kind {
                Extrapolation::Rate | Extrapolation::Increase => to_start / sampled,
                Extrapolation::Delta => f64::NEG_INFINITY,
            },
        }
    }

    /// Whether a counter was zero after the range began.
    #[inline]
    #[allow(
        clippy::needless_bitwise_bool,
        reason = "without branches it is one pass of vector instructions"
    )]
    fn starts_after(&self, first: f64, difference: f64) -> bool {
        (difference > 0.0) & (first >= 0.0) & (first < difference * self.share)
    }

    /// `difference` over the samples, resets added, stretched to the range. A counter is not stretched past its zero.
    #[inline]
    fn apply(&self, first: f64, difference: f64) -> f64 {
        if !self.starts_after(first, difference) {
            return difference * self.factor;
        }
        let to_zero = (self.sampled * (first / difference)).min(self.to_start);
        difference * ((self.sampled + to_zero + self.to_end) / self.sampled / self.per)
    }
}

pub(in crate::promql) fn rate(samples: &mut [(i64, f64)], span: &Span) -> Option<f64> {
    extrapolated(Extrapolation::Rate, samples, span)
}

pub(in crate::promql) fn increase(samples: &mut [(i64, f64)], span: &Span) -> Option<f64> {
    extrapolated(Extrapolation::Increase, samples, span)
}

pub(in crate::promql) fn delta(samples: &mut [(i64, f64)], span: &Span) -> Option<f64> {
    extrapolated(Extrapolation::Delta, samples, span)
}

/// Prometheus' `extrapolatedRate`.
fn extrapolated(kind: Extrapolation, samples: &[(i64, f64)], span: &Span) -> Option<f64> {
    let (Some((first_at, first)), Some((last_at, last))) = (samples.first(), samples.last()) else {
        return None;
    };
    let gaps = u32::try_from(samples.len() - 1).unwrap_or(u32::MAX);
    if gaps == 0 {
        return None;
    }
    let mut difference = last - first;
    if kind != Extrapolation::Delta {
        for pair in samples.windows(2) {
            if pair[1].1 < pair[0].1 {
                difference += pair[0].1;
            }
        }
    }
    Some(Stretch::new(kind, span, *first_at, *last_at, gaps).apply(*first, difference))
}

/// Columns handled at once: a few rows of this many values stay in the first-level cache.
const LANES: usize = 256;
/// The same for lists, which are copied: lists are short, and the copies' memory is cleared first.
const LANES_LISTED: usize = 32;

/// [`extrapolated`] for many columns of one block, of which its [`Block::breaks`](crate::store::Block::breaks) tell where
/// the ends of the range suffice. Where a column has a hole in the range, `one` answers for it.
pub(in crate::promql) fn columns<'a>(
    kind: Extrapolation,
    rows: &(impl DoubleEndedIterator<Item = &'a Row> + ExactSizeIterator + Clone),
    (columns, breaks): (&Columns, &[i64]),
    span: &Span,
    out: &mut [f64],
    one: &mut dyn FnMut(usize) -> f64,
) {
    let (Some(first), Some(last)) = (rows.clone().next(), rows.clone().next_back()) else {
        out.fill(STALE);
        return;
    };
    if first.at == last.at {
        out.fill(STALE);
        return;
    }
    let gaps = rows.len() - 1;
    let stretch = Stretch::new(
        kind,
        span,
        first.at,
        last.at,
        u32::try_from(gaps).unwrap_or(u32::MAX),
    );
    let climbs = |column: usize| breaks.get(column).is_some_and(|broke| *broke <= first.at);
    let counter = kind != Extrapolation::Delta;
    let lanes = match columns {
        Columns::Run { .. } => LANES,
        Columns::Listed(_) => LANES_LISTED,
    };
    for (chunk, out) in out.chunks_mut(lanes).enumerate() {
        let from = chunk * lanes;
        let whole = match columns {
            Columns::Run { start, .. } => {
                let (from, len) = (start + from, out.len());
                let step = if (from..from + len).all(climbs) {
                    gaps
                } else {
                    1
                };
                let rows = rows
                    .clone()
                    .step_by(step)
                    .map(|row| row.values.get(from..from + len));
                whole_runs((counter, &stretch), rows, out)
            }
            Columns::Listed(columns) => {
                let columns = &columns[from..from + out.len()];
                let whole = columns.iter().all(|column| climbs(*column as usize));
                let rows = rows.clone().step_by(if whole { gaps } else { 1 });
                whole_lists((counter, &stretch), rows, columns, out)
            }
        };
        if !whole {
            for (index, out) in out.iter_mut().enumerate() {
                *out = one(from + index);
            }
        }
    }
}

/// Answers false, with `out` undefined, where a value is missing.
fn whole_runs<'a>(
    (counter, stretch): (bool, &Stretch),
    mut rows: impl DoubleEndedIterator<Item = Option<&'a [f64]>> + Clone,
    out: &mut [f64],
) -> bool {
    let (Some(Some(last)), Some(Some(first))) = (rows.clone().next_back(), rows.next()) else {
        return false;
    };
    subtract(first, last, out);
    let mut holes = holes(first);
    let mut previous = first;
    for row in rows {
        let Some(row) = row else { return false };
        holes |= step(counter, previous, row, out);
        previous = row;
    }
    if holes == 0 {
        finish(stretch, first, out);
    }
    holes == 0
}

/// [`whole_runs`] through copies of the listed columns.
fn whole_lists<'a>(
    (counter, stretch): (bool, &Stretch),
    mut rows: impl DoubleEndedIterator<Item = &'a Row> + Clone,
    list: &[u32],
    out: &mut [f64],
) -> bool {
    let pick = |row: &Row, into: &mut [f64]| {
        for (value, column) in into.iter_mut().zip(list) {
            *value = row.get(*column);
        }
    };
    let mut buffers = [[0.0; LANES_LISTED]; 3];
    let [first, previous, current] = &mut buffers;
    let first = &mut first[..out.len()];
    let (mut previous, mut current) = (&mut previous[..out.len()], &mut current[..out.len()]);
    let (Some(last_row), Some(first_row)) = (rows.clone().next_back(), rows.next()) else {
        return false;
    };
    pick(first_row, first);
    pick(last_row, current);
    subtract(first, current, out);
    previous.copy_from_slice(first);
    let mut holes = holes(first);
    for row in rows {
        pick(row, current);
        holes |= step(counter, previous, current, out);
        std::mem::swap(&mut previous, &mut current);
    }
    if holes == 0 {
        finish(stretch, first, out);
    }
    holes == 0
}

fn subtract(first: &[f64], last: &[f64], out: &mut [f64]) {
    for ((out, first), last) in out.iter_mut().zip(first).zip(last) {
        *out = last - first;
    }
}

/// Not zero where a value is missing.
fn holes(row: &[f64]) -> u64 {
    row.iter()
        .fold(0, |holes, value| holes | u64::from(is_stale(*value)))
}

/// Gives back what counters lost between two rows; answers not zero where a value is missing.
fn step(counter: bool, previous: &[f64], row: &[f64], difference: &mut [f64]) -> u64 {
    if !counter {
        return holes(row);
    }
    let mut holes = 0;
    for ((difference, before), value) in difference.iter_mut().zip(previous).zip(row) {
        *difference += if value < before { *before } else { 0.0 };
        holes |= u64::from(is_stale(*value));
    }
    holes
}

fn finish(stretch: &Stretch, first: &[f64], difference: &mut [f64]) {
    let from_zero = |(first, difference): (&f64, &f64)| stretch.starts_after(*first, *difference);
    let pairs = || first.iter().zip(&*difference).map(from_zero);
    if pairs().fold(false, |any, one| any | one) {
        for (difference, first) in difference.iter_mut().zip(first) {
            *difference = stretch.apply(*first, *difference);
        }
    } else {
        for difference in difference {
            *difference *= stretch.factor;
        }
    }
}

/// Per second, between the last two samples; after a reset the last one counts alone.
pub(in crate::promql) fn irate(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    let [.., (before_at, before), (last_at, last)] = samples else {
        return None;
    };
    let increase = if *last < *before {
        *last
    } else {
        *last - *before
    };
    Some(increase / seconds(*before_at, *last_at))
}

pub(in crate::promql) fn idelta(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    let [.., (_, before), (_, last)] = samples else {
        return None;
    };
    Some(*last - *before)
}

/// Per second, by simple linear regression around the first sample.
pub(in crate::promql) fn deriv(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    let origin = samples.first()?.0;
    regression(samples, origin).map(|(slope, _)| slope)
}

/// What the regression line reads so many seconds after the moment of evaluation.
pub(in crate::promql) fn predict_linear(samples: &mut [(i64, f64)], span: &Span) -> Option<f64> {
    let (slope, now) = regression(samples, span.at)?;
    Some(slope * span.parameters[0] + now)
}

/// Slope per second and the value at `origin`.
fn regression(samples: &[(i64, f64)], origin: i64) -> Option<(f64, f64)> {
    let [(_, first), _, ..] = *samples else {
        return None;
    };
    if samples.iter().all(|(_, value)| *value == first) {
        let known = if first.is_infinite() {
            (f64::NAN, f64::NAN)
        } else {
            (0.0, first)
        };
        return Some(known);
    }
    let mut n = 0.0;
    let [mut x, mut y, mut xy, mut xx] = [super::over_time::Kahan::default(); 4];
    for (at, value) in samples {
        let t = seconds(origin, *at);
        n += 1.0;
        x.add(t);
        y.add(*value);
        xy.add(t * value);
        xx.add(t * t);
    }
    let (x, y, xy, xx) = (x.sum(), y.sum(), xy.sum(), xx.sum());
    let slope = (xy - x * y / n) / (xx - x * x / n);
    Some((slope, y / n - slope * x / n))
}

pub(in crate::promql) fn changes(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    let differ = |pair: &&[(i64, f64)]| {
        let (before, value) = (pair[0].1, pair[1].1);
        before != value && !(before.is_nan() && value.is_nan())
    };
    Some(counted(samples.windows(2).filter(differ).count()))
}

pub(in crate::promql) fn resets(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    let falls = |pair: &&[(i64, f64)]| pair[1].1 < pair[0].1;
    Some(counted(samples.windows(2).filter(falls).count()))
}

#[allow(
    clippy::cast_precision_loss,
    reason = "numbers of samples stay below 2^53"
)]
pub(in crate::promql) fn counted(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;
    use std::sync::Arc;

    use super::*;
    use proptest::prelude::*;

    fn span(after: i64, until: i64) -> Span {
        Span {
            after,
            until,
            at: until,
            parameters: [0.0; 2],
        }
    }

    /// Seconds and values to milliseconds and values.
    fn samples(of: &[(i64, f64)]) -> Vec<(i64, f64)> {
        of.iter().map(|(at, value)| (at * 1000, *value)).collect()
    }

    #[test]
    fn extrapolation() {
        // Range (0, 60], `increase` and `delta`; the sampled part is stretched as the note says.
        for (of, increased, differed, note) in [
            (&[(10, 5.0)][..], None, None, "one sample is none"),
            (
                &[(10, 10.0), (30, 30.0), (50, 50.0)],
                Some(60.0),
                Some(60.0),
                "both gaps of 10 s are below 1.1 of the average 20 s: to both ends",
            ),
            (
                &[(25, 100.0), (35, 110.0)],
                Some(20.0),
                Some(20.0),
                "both gaps of 25 s are too wide: half an average on each side",
            ),
            (
                &[(21, 0.0), (31, 10.0), (41, 20.0), (60, 39.0)],
                Some(39.0),
                Some(39.0 * (39.0 + 6.5) / 39.0),
                "a counter does not start below zero, a gauge may",
            ),
            (
                &[(10, 10.0), (30, 4.0), (50, 8.0)],
                Some(60.0 / 40.0 * 8.0),
                Some(60.0 / 40.0 * -2.0),
                "a fall is a reset of a counter",
            ),
            (
                &[(10, 0.0), (60, 0.0)],
                Some(0.0),
                Some(0.0),
                "nothing happened",
            ),
        ] {
            let (mut of, span) = (samples(of), span(0, 60_000));
            let near = |a: Option<f64>, b: Option<f64>| match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-9,
                (a, b) => a == b,
            };
            let (up, diff) = (increase(&mut of, &span), delta(&mut of, &span));
            assert!(near(up, increased), "{note}: increase {up:?}");
            assert!(near(diff, differed), "{note}: delta {diff:?}");
            assert!(
                near(rate(&mut of, &span), increased.map(|i| i / 60.0)),
                "{note}: rate"
            );
        }
    }

    #[test]
    fn between_the_last_two_and_pairs() {
        let span = span(0, 60_000);
        let mut of = samples(&[(10, 7.0), (20, 9.0), (25, 4.0)]);
        assert_eq!(irate(&mut of, &span), Some(0.8));
        assert_eq!(idelta(&mut of, &span), Some(-5.0));
        assert_eq!(resets(&mut of, &span), Some(1.0));
        assert_eq!(changes(&mut of, &span), Some(2.0));
        assert_eq!(irate(&mut of[..1], &span), None);
        let mut nan = samples(&[(10, f64::NAN), (20, f64::NAN), (30, 1.0)]);
        assert_eq!(changes(&mut nan, &span), Some(1.0));
        let mut line = samples(&[(10, 1.0), (20, 3.0), (30, 5.0)]);
        assert!((deriv(&mut line, &span).unwrap() - 0.2).abs() < 1e-12);
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            20 => (0..50u8).prop_map(f64::from),
            1 => Just(STALE),
            1 => Just(f64::NAN),
            1 => Just(f64::INFINITY),
            1 => Just(1e308),
        ]
    }

    proptest! {
        /// Whole rows give what series by series gives.
        #[test]
        fn rows_and_series_agree(
            table in prop::collection::vec(prop::collection::vec(value(), 0..400), 0..7),
            start in 0usize..3,
            listed in any::<bool>(),
        ) {
            let rows: Vec<Row> = (1..).zip(&table).map(|(i, values)| Row {
                at: i * 10_000 + i * i,
                values: Arc::new(values.clone()),
            }).collect();
            let span = span(0, 70_000);
            let breaks: Vec<i64> = (0..400).map(|column| {
                let falls = |pair: &&[Row]| {
                    let (before, value) = (pair[0].get(column), pair[1].get(column));
                    value.partial_cmp(&before).is_none_or(Ordering::is_lt)
                };
                rows.windows(2).filter(falls).map(|pair| pair[1].at).max().unwrap_or(0)
            }).collect();
            let columns_of = if listed {
                Columns::Listed((0..300).map(|i| (i * 7 + 1) % 400).collect())
            } else {
                Columns::Run { start, len: 390 }
            };
            for (kind, by_series) in [
                (Extrapolation::Rate, rate as fn(&mut [(i64, f64)], &Span) -> Option<f64>),
                (Extrapolation::Increase, increase),
                (Extrapolation::Delta, delta),
            ] {
                let one = |index: usize| {
                    let column = columns_of.get(index);
                    let mut of: Vec<(i64, f64)> = rows
                        .iter()
                        .map(|row| (row.at, row.get(column)))
                        .filter(|(_, value)| !is_stale(*value))
                        .collect();
                    by_series(&mut of, &span).unwrap_or(STALE)
                };
                let mut out = vec![0.0; columns_of.len()];
                let columns_of = (&columns_of, &breaks[..]);
                columns(kind, &rows.iter(), columns_of, &span, &mut out, &mut |i| one(i));
                for (index, got) in out.iter().enumerate() {
                    let wanted = one(index);
                    let same = got.to_bits() == wanted.to_bits()
                        || (got.is_nan() && wanted.is_nan() && !is_stale(*got) && !is_stale(wanted));
                    prop_assert!(same, "{kind:?} {index}: {got} {wanted}");
                }
            }
        }
    }
}
