//! What compares the samples of a range: rate, increase, delta and their kin.
//!
//! `rate` has two ways to the same numbers: per series ([`rate`], the definition) and over whole rows of neighbouring
//! columns ([`columns`]), where the scrape times, and so the extrapolation, are the target's and not the series'.

use crate::model::{STALE, is_stale};
use crate::store::Row;

use super::super::select::Columns;
use super::Span;

/// Which of the three extrapolating functions.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Extrapolation {
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
    counter: bool,
}

#[allow(
    clippy::cast_precision_loss,
    reason = "differences of milliseconds and numbers of samples stay below 2^53"
)]
fn seconds(from: i64, to: i64) -> f64 {
    (to - from) as f64 / 1000.0
}

impl Stretch {
    /// `first` and `last` of at least two samples, `gaps` between them.
    fn new(kind: Extrapolation, span: &Span, first: i64, last: i64, gaps: u32) -> Self {
        let sampled = seconds(first, last);
        let average = sampled / f64::from(gaps);
        let threshold = average * 1.1;
        let bounded = |gap: f64| if gap >= threshold { average / 2.0 } else { gap };
        Self {
            sampled,
            to_start: bounded(seconds(span.after, first)),
            to_end: bounded(seconds(last, span.until)),
            per: match kind {
                Extrapolation::Rate => seconds(span.after, span.until),
                Extrapolation::Increase | Extrapolation::Delta => 1.0,
            },
            counter: kind != Extrapolation::Delta,
        }
    }

    /// `difference` over the samples, resets added, stretched to the range. A counter is not stretched past its zero.
    #[inline]
    fn apply(&self, first: f64, difference: f64) -> f64 {
        let mut to_start = self.to_start;
        if self.counter && difference > 0.0 && first >= 0.0 {
            let to_zero = self.sampled * (first / difference);
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
        difference * ((self.sampled + to_start + self.to_end) / self.sampled / self.per)
    }
}

pub(in super::super) fn rate(samples: &mut [(i64, f64)], span: &Span) -> Option<f64> {
    extrapolated(Extrapolation::Rate, samples, span)
}

pub(in super::super) fn increase(samples: &mut [(i64, f64)], span: &Span) -> Option<f64> {
    extrapolated(Extrapolation::Increase, samples, span)
}

pub(in super::super) fn delta(samples: &mut [(i64, f64)], span: &Span) -> Option<f64> {
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

/// [`extrapolated`] for many columns of one block. Where a column has a hole in the range, `one` answers for it.
pub(in super::super) fn columns<'a>(
    kind: Extrapolation,
    rows: impl DoubleEndedIterator<Item = &'a Row> + Clone,
    columns: &Columns,
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
    let gaps = u32::try_from(rows.clone().count() - 1).unwrap_or(u32::MAX);
    let stretch = Stretch::new(kind, span, first.at, last.at, gaps);
    for (chunk, out) in out.chunks_mut(LANES).enumerate() {
        let from = chunk * LANES;
        let whole = match columns {
            Columns::Run { start, .. } => {
                let (from, len) = (start + from, out.len());
                let rows = rows.clone().map(|row| row.values.get(from..from + len));
                whole_runs(&stretch, rows, out)
            }
            Columns::Listed(list) => {
                let list = &list[from..from + out.len()];
                whole_lists(&stretch, rows.clone(), list, out)
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
    stretch: &Stretch,
    mut rows: impl Iterator<Item = Option<&'a [f64]>>,
    out: &mut [f64],
) -> bool {
    let Some(Some(first)) = rows.next() else {
        return false;
    };
    let mut holes = holes(first);
    let mut resets = [0.0; LANES];
    let resets = &mut resets[..out.len()];
    let mut previous = first;
    for row in rows {
        let Some(row) = row else { return false };
        holes |= step(previous, row, resets);
        previous = row;
    }
    if holes == 0 {
        finish(stretch, first, previous, resets, out);
    }
    holes == 0
}

/// [`whole_runs`] through copies of the listed columns.
fn whole_lists<'a>(
    stretch: &Stretch,
    mut rows: impl Iterator<Item = &'a Row>,
    list: &[u32],
    out: &mut [f64],
) -> bool {
    let pick = |row: &Row, into: &mut [f64]| {
        for (value, column) in into.iter_mut().zip(list) {
            *value = row.get(*column);
        }
    };
    let mut buffers = [[0.0; LANES]; 4];
    let [first, previous, current, resets] = &mut buffers;
    let len = out.len();
    let (first, resets) = (&mut first[..len], &mut resets[..len]);
    let (mut previous, mut current) = (&mut previous[..len], &mut current[..len]);
    let Some(row) = rows.next() else { return false };
    pick(row, first);
    previous.copy_from_slice(first);
    let mut holes = holes(first);
    for row in rows {
        pick(row, current);
        holes |= step(previous, current, resets);
        std::mem::swap(&mut previous, &mut current);
    }
    if holes == 0 {
        finish(stretch, first, previous, resets, out);
    }
    holes == 0
}

/// Not zero where a value is missing.
#[inline]
fn holes(row: &[f64]) -> u64 {
    row.iter()
        .fold(0, |holes, value| holes | u64::from(is_stale(*value)))
}

/// Adds what counters lost between two rows; answers not zero where a value is missing.
#[inline]
fn step(previous: &[f64], row: &[f64], resets: &mut [f64]) -> u64 {
    let mut holes = 0;
    for ((lost, before), value) in resets.iter_mut().zip(previous).zip(row) {
        *lost += if value < before { *before } else { 0.0 };
        holes |= u64::from(is_stale(*value));
    }
    holes
}

#[inline]
fn finish(stretch: &Stretch, first: &[f64], last: &[f64], resets: &[f64], out: &mut [f64]) {
    for (((out, first), last), lost) in out.iter_mut().zip(first).zip(last).zip(resets) {
        let lost = if stretch.counter { *lost } else { 0.0 };
        *out = stretch.apply(*first, (last - first) + lost);
    }
}

/// Per second, between the last two samples; after a reset the last one counts alone.
pub(in super::super) fn irate(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
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

pub(in super::super) fn idelta(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    let [.., (_, before), (_, last)] = samples else {
        return None;
    };
    Some(*last - *before)
}

/// Per second, by simple linear regression around the first sample.
pub(in super::super) fn deriv(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    let [(origin, first), _, ..] = *samples else {
        return None;
    };
    if samples.iter().all(|(_, value)| *value == first) {
        return Some(if first.is_infinite() { f64::NAN } else { 0.0 });
    }
    let mut n = 0.0;
    let [mut x, mut y, mut xy, mut xx] = [super::over_time::Kahan::default(); 4];
    for (at, value) in samples.iter() {
        let t = seconds(origin, *at);
        n += 1.0;
        x.add(t);
        y.add(*value);
        xy.add(t * value);
        xx.add(t * t);
    }
    let (x, y, xy, xx) = (x.sum(), y.sum(), xy.sum(), xx.sum());
    Some((xy - x * y / n) / (xx - x * x / n))
}

pub(in super::super) fn changes(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    let differ = |pair: &&[(i64, f64)]| {
        let (before, value) = (pair[0].1, pair[1].1);
        before != value && !(before.is_nan() && value.is_nan())
    };
    Some(counted(samples.windows(2).filter(differ).count()))
}

pub(in super::super) fn resets(samples: &mut [(i64, f64)], _: &Span) -> Option<f64> {
    let falls = |pair: &&[(i64, f64)]| pair[1].1 < pair[0].1;
    Some(counted(samples.windows(2).filter(falls).count()))
}

#[allow(
    clippy::cast_precision_loss,
    reason = "numbers of samples stay below 2^53"
)]
pub(in super::super) fn counted(count: usize) -> f64 {
    count as f64
}
