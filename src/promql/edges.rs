//! What stands at the edges of a range: `anchored` and `smoothed`, whose samples are looked for beyond it.
//!
//! `anchored` begins with the newest sample at or before the range, so that an increase is the difference of two samples
//! that were. `smoothed` draws lines between the samples around either end and reads them there. Neither extrapolates.
//! Definition: Prometheus 3.16, where both are part of the language.

use std::ops::Range;

use super::LOOKBACK;
use super::functions::{Extrapolation, RangeFunction, Span, rate};

/// How a selector treats the edges of its range.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Edges {
    /// Samples within the range, and nothing else.
    #[default]
    Plain,
    Anchored,
    Smoothed,
}

type Samples<'a> = &'a [(i64, f64)];

impl Edges {
    pub fn named(name: &str) -> Option<Self> {
        let is = |word: &str| name.eq_ignore_ascii_case(word);
        match () {
            () if is("anchored") => Some(Self::Anchored),
            () if is("smoothed") => Some(Self::Smoothed),
            () => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Anchored => "anchored",
            Self::Smoothed => "smoothed",
        }
    }

    /// The functions that may look beyond the range; `None`: all.
    pub fn functions(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Plain => None,
            Self::Anchored => Some(&["changes", "delta", "increase", "rate", "resets"]),
            Self::Smoothed => Some(&["delta", "increase", "rate"]),
        }
    }

    /// Milliseconds before the range in which samples are looked for.
    pub fn before(self) -> i64 {
        match self {
            Self::Plain => 0,
            Self::Anchored | Self::Smoothed => LOOKBACK,
        }
    }

    /// Where the samples for a range `(after, until]` are.
    pub fn widened(self, (after, until): (i64, i64)) -> (i64, i64) {
        let beyond = match self {
            Self::Plain | Self::Anchored => 0,
            Self::Smoothed => LOOKBACK,
        };
        (
            after.saturating_sub(self.before()),
            until.saturating_add(beyond),
        )
    }

    /// One of [`Edges::functions`] over samples of the widened range.
    pub fn compute(
        self,
        function: &RangeFunction,
        samples: &mut [(i64, f64)],
        span: &Span,
    ) -> Option<f64> {
        if let Some(kind) = &function.extrapolation {
            return self.extended(*kind, samples, span);
        }
        let within = self.within(samples, (span.after, span.until))?;
        (function.compute)(&mut samples[within], span)
    }

    /// The first and the last sample that count, as a range of indexes; `None` where nothing stands in the range.
    fn within(self, samples: Samples<'_>, (after, until): (i64, i64)) -> Option<Range<usize>> {
        let newest = samples.len().checked_sub(1)?;
        let known = &samples[..newest];
        let first = known.partition_point(|(at, _)| *at <= after);
        let first = first.saturating_sub(1);
        let last = match self {
            Self::Smoothed => known.partition_point(|(at, _)| *at < until),
            Self::Plain | Self::Anchored => newest,
        };
        let before = samples[last].0 <= after;
        let beyond = self == Self::Smoothed && samples[first].0 > until;
        (!before && !beyond).then_some(first..last + 1)
    }

    /// The values at the two edges, and the samples between them.
    fn cut(
        self,
        samples: Samples<'_>,
        (after, until): (i64, i64),
        counter: bool,
    ) -> Option<(f64, Samples<'_>, f64)> {
        let Range { start, end } = self.within(samples, (after, until))?;
        let (mut first, mut end) = (start, end);
        let smooth = self == Self::Smoothed;
        let left = if smooth && samples[first].0 < after {
            between(samples[first], samples[first + 1], after, counter)
        } else {
            samples[first].1
        };
        let last = end - 1;
        let right = if smooth && last > 0 && samples[last].0 > until {
            between(samples[last - 1], samples[last], until, counter)
        } else {
            samples[last].1
        };
        first += usize::from(samples[first].0 <= after);
        end -= usize::from(samples[last].0 >= until);
        Some((left, samples.get(first..end).unwrap_or(&[]), right))
    }

    /// Prometheus' `extendedRate`.
    fn extended(self, kind: Extrapolation, samples: Samples<'_>, span: &Span) -> Option<f64> {
        let counter = kind != Extrapolation::Delta;
        let (left, inside, right) = self.cut(samples, (span.after, span.until), counter)?;
        let mut difference = right - left;
        if counter {
            let mut previous = left;
            let values = inside.iter().map(|(_, value)| *value);
            for value in values.chain([right]) {
                if value < previous {
                    difference += previous;
                }
                previous = value;
            }
        }
        Some(match kind {
            Extrapolation::Rate => difference / rate::seconds(span.after, span.until),
            Extrapolation::Increase | Extrapolation::Delta => difference,
        })
    }

    /// The range as it is shown: a sample at either edge and those between.
    pub fn shown(self, samples: Samples<'_>, bounds: (i64, i64)) -> Vec<(i64, f64)> {
        if self == Self::Plain {
            return samples.to_vec();
        }
        let Some((left, inside, right)) = self.cut(samples, bounds, false) else {
            return Vec::new();
        };
        let mut shown = vec![(bounds.0, left)];
        shown.extend_from_slice(inside);
        shown.push((bounds.1, right));
        shown
    }
}

/// What a `smoothed` selector reads at `at`: on the line between its neighbours, else the one before.
pub(super) fn smooth(samples: Samples<'_>, at: i64) -> Option<f64> {
    let next = samples.partition_point(|(then, _)| *then < at);
    match (samples.get(next), next.checked_sub(1)) {
        (Some((then, value)), _) if *then == at => Some(*value),
        (Some(after), Some(before)) => Some(between(samples[before], *after, at, false)),
        (None, Some(before)) => Some(samples[before].1),
        (_, None) => None,
    }
}

/// A counter that fell began again at zero.
#[allow(
    clippy::cast_precision_loss,
    reason = "differences of milliseconds stay below 2^53"
)]
fn between(from: (i64, f64), to: (i64, f64), at: i64, counter: bool) -> f64 {
    let begin = if counter && to.1 < from.1 {
        0.0
    } else {
        from.1
    };
    let gone = at.saturating_sub(from.0) as f64;
    begin + (to.1 - begin) * gone / to.0.saturating_sub(from.0) as f64
}
