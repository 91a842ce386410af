//! A series with timestamps of its own: a little ring of (moment, value). Series without live in the rows of a block.

use std::collections::VecDeque;

use crate::model::{STALE, is_stale};

/// Samples of one series, oldest first, moments strictly increasing; STALE is a marker as in Prometheus.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    samples: VecDeque<(i64, f64)>,
    /// Whether the newest sample came without a timestamp: only such a series is marked stale when it vanishes.
    unstamped: bool,
    /// The scrape that brought the newest sample.
    pub(super) scraped: i64,
}

impl Ring {
    /// Samples in `(after, until]`, oldest first, markers included.
    pub fn between(&self, after: i64, until: i64) -> impl Iterator<Item = (i64, f64)> + '_ {
        let start = self.samples.partition_point(|(at, _)| *at <= after);
        let end = self.samples.partition_point(|(at, _)| *at <= until);
        self.samples.range(start..end.max(start)).copied()
    }

    /// The newest sample in `(after, until]`; `None` where there is none or it is the marker.
    #[must_use]
    pub fn newest(&self, after: i64, until: i64) -> Option<(i64, f64)> {
        let end = self.samples.partition_point(|(at, _)| *at <= until);
        let sample = *self.samples.get(end.checked_sub(1)?)?;
        (sample.0 > after && !is_stale(sample.1)).then_some(sample)
    }

    /// Takes a sample; one that is not newer than the newest is dropped, as Prometheus drops it.
    pub(super) fn push(&mut self, at: i64, value: f64, stamped: bool) {
        if self.samples.back().is_none_or(|(newest, _)| *newest < at) {
            self.samples.push_back((at, value));
            self.unstamped = !stamped;
        }
    }

    /// The page came without the series: a marker, unless its samples carry timestamps.
    pub(super) fn vanish(&mut self, at: i64) {
        if self.unstamped {
            self.end(at);
        }
    }

    /// A marker whatever the samples carry: the target did not answer.
    pub(super) fn end(&mut self, at: i64) {
        if self
            .samples
            .back()
            .is_some_and(|(_, value)| !is_stale(*value))
        {
            self.push(at, STALE, !self.unstamped);
        }
    }

    /// Forgets what lies before `after`, except the newest of it: an instant selector may still see that one.
    pub(super) fn forget(&mut self, after: i64) {
        while self.samples.get(1).is_some_and(|(at, _)| *at <= after) {
            self.samples.pop_front();
        }
    }
}
