//! One figure of a period out of a signal's minutes, by the signal's own way ([`How`]), with how much of the period it
//! knows. Deliberately absent: words and formats.

use std::ops::Range;

use jiff::tz::TimeZone;

use super::minutes::Minutes;
use super::overall::UNKNOWN_SHARE_MAX;
use super::signals::How;
use super::trend::Better;
use super::trend::median;
use super::when::MINUTE;
use super::when::midnights;
use crate::model::Timestamp;
use crate::model::Unit;

/// After a gap over midnight longer than this a count that is the same is another one.
const GAP: i64 = 15 * MINUTE;

/// A figure, and what it rests on.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct Measure {
    /// `None`: no minute has a reading.
    pub value: Option<f64>,
    pub known: usize,
    pub total: usize,
    /// The worst minute (the highest where neither way is better) and when it was.
    pub far: Option<(f64, Timestamp)>,
    /// What a weighted mean was weighted with.
    pub basis: Basis,
}

impl Measure {
    /// Whether so many of its minutes are known that something may be claimed of all of them.
    pub fn is_enough(&self) -> bool {
        is_enough(self.known, self.total)
    }
}

/// What a weighted mean was weighted with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// It is no weighted mean.
    None,
    /// The throughput; so many minutes without it counted as average ones.
    Throughput { without: usize },
    /// Nothing: the throughput has no readings.
    Plain,
}

/// A signal's minutes, ready to be reckoned with.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub minutes: Minutes,
    /// What is added up for [`How::Total`] and [`How::SinceMidnight`]; empty for the others.
    parts: Vec<Option<f64>>,
    weights: Vec<f64>,
    weight_known: Vec<bool>,
    how: How,
    better: Better,
}

impl Track {
    /// `before` is the last reading before the period, from which a count goes on.
    pub fn new(
        minutes: Minutes,
        (how, better): (How, Better),
        unit: Unit,
        before: Option<(Timestamp, f64)>,
        zone: &TimeZone,
    ) -> Self {
        let parts = match how {
            How::Total => {
                let a_minute = per_minute(unit);
                let parts = minutes.values.iter();
                parts.map(|it| Some((*it)? * a_minute)).collect()
            }
            How::SinceMidnight => increases(&minutes, before, zone),
            How::Up
            | How::Median
            | How::Mean
            | How::Weighted
            | How::Last
            | How::LastAndMost
            | How::Ever => Vec::new(),
        };
        Self {
            minutes,
            parts,
            weights: Vec::new(),
            weight_known: Vec::new(),
            how,
            better,
        }
    }

    /// Weights the mean with `throughput`, where that has any reading above zero.
    pub fn weigh(&mut self, throughput: &Minutes) {
        let known: Vec<f64> = throughput
            .values
            .iter()
            .flatten()
            .map(|it| it.max(0.0))
            .collect();
        let sum: f64 = known.iter().sum();
        if self.how != How::Weighted || known.is_empty() || !sum.is_normal() {
            return;
        }
        let average = sum / float(known.len());
        let weight = |it: &Option<f64>| it.map_or(average, |it| it.max(0.0));
        self.weights = throughput.values.iter().map(weight).collect();
        self.weight_known = throughput.values.iter().map(Option::is_some).collect();
    }

    /// The figure of the whole period.
    pub fn measure(&self) -> Measure {
        let all = 0..self.minutes.values.len();
        Measure {
            value: self.figure(&all),
            known: self.minutes.known(),
            total: self.minutes.values.len(),
            far: self.far(),
            basis: self.basis(),
        }
    }

    /// The figure of a part. A sum is taken to the part's whole length, so that parts compare.
    pub fn part(&self, places: &Range<usize>) -> Option<f64> {
        let figure = self.figure(places)?;
        match self.how {
            How::Total | How::SinceMidnight => {
                let known = self.known(places);
                Some(figure / float(known.max(1)) * float(places.len()))
            }
            How::Up
            | How::Median
            | How::Mean
            | How::Weighted
            | How::Last
            | How::LastAndMost
            | How::Ever => Some(figure),
        }
    }

    /// Minutes of the part that have a reading.
    pub fn known(&self, places: &Range<usize>) -> usize {
        self.slice(places).iter().flatten().count()
    }

    fn slice(&self, places: &Range<usize>) -> &[Option<f64>] {
        self.minutes.values.get(places.clone()).unwrap_or_default()
    }

    /// The figure of the minutes at `places`; `None` where none has a reading.
    pub fn figure(&self, places: &Range<usize>) -> Option<f64> {
        let known: Vec<f64> = self.slice(places).iter().flatten().copied().collect();
        let last = *known.last()?;
        let mean = || known.iter().sum::<f64>() / float(known.len());
        let figure = match self.how {
            How::Up => float(known.iter().filter(|it| **it >= 1.0).count()) / float(known.len()),
            How::Median => median(known)?,
            How::Mean => mean(),
            How::Weighted => self.weighted(places).unwrap_or_else(mean),
            How::Total | How::SinceMidnight => {
                let parts = self.parts.get(places.clone()).unwrap_or_default();
                parts.iter().flatten().sum()
            }
            How::Last | How::LastAndMost => last,
            How::Ever => f64::from(u8::from(known.iter().any(|it| *it >= 1.0))),
        };
        figure.is_finite().then_some(figure)
    }

    fn weighted(&self, places: &Range<usize>) -> Option<f64> {
        let weights = self.weights.get(places.clone())?;
        let (mut sum, mut weight) = (0.0, 0.0);
        for (value, by) in self.slice(places).iter().zip(weights) {
            if let Some(value) = value {
                sum += value * by;
                weight += by;
            }
        }
        let mean = sum / weight;
        mean.is_finite().then_some(mean)
    }

    fn basis(&self) -> Basis {
        if self.how != How::Weighted {
            return Basis::None;
        }
        if self.weights.is_empty() {
            return Basis::Plain;
        }
        let both = self.minutes.values.iter().zip(&self.weight_known);
        let without = both.filter(|(value, known)| value.is_some() && !**known);
        Basis::Throughput {
            without: without.count(),
        }
    }

    fn far(&self) -> Option<(f64, Timestamp)> {
        let mut far: Option<(f64, usize)> = None;
        for (place, value) in self.minutes.values.iter().enumerate() {
            let Some(value) = *value else { continue };
            let further = far.is_none_or(|(known, _)| match self.better {
                Better::Higher => value < known,
                Better::Lower | Better::Neither => value > known,
            });
            if further {
                far = Some((value, place));
            }
        }
        far.map(|(value, place)| (value, self.minutes.at(place)))
    }
}

/// What one minute at a rate of one adds up to.
fn per_minute(unit: Unit) -> f64 {
    match unit {
        Unit::PerMinute => 1.0,
        Unit::PerHour => 1.0 / 60.0,
        Unit::PerSecond
        | Unit::Seconds
        | Unit::Ratio
        | Unit::Bytes
        | Unit::Count
        | Unit::Score
        | Unit::None => 60.0,
    }
}

/// By how much a count since midnight rose, at each minute that has a reading. At midnight begins a new count: what
/// stands unchanged from the day before, as an observation does, is that day's and counts nothing until it changes.
fn increases(
    minutes: &Minutes,
    before: Option<(Timestamp, f64)>,
    zone: &TimeZone,
) -> Vec<Option<f64>> {
    let far = Timestamp::MAX;
    let midnight = |after: Timestamp| midnights(after, far, zone, 1).first().copied();
    let mut last = before;
    let mut ends = before.and_then(|(then, _)| midnight(then));
    let mut is_old = false;
    let mut parts = Vec::with_capacity(minutes.values.len());
    for (place, value) in minutes.values.iter().enumerate() {
        let Some(value) = *value else {
            parts.push(None);
            continue;
        };
        let at = minutes.at(place);
        let is_next_day = ends.is_some_and(|ends| at >= ends);
        if is_next_day || last.is_none() {
            ends = midnight(at);
        }
        let base = match last {
            None => 0.0,
            Some((then, count)) => {
                let is_same = value.to_bits() == count.to_bits();
                let gap = at.millis().saturating_sub(then.millis());
                let was_old = is_old;
                is_old = is_same && (was_old || is_next_day) && (!is_next_day || gap <= GAP);
                let goes_on = !was_old && !is_next_day && value >= count;
                if is_old || goes_on { count } else { 0.0 }
            }
        };
        parts.push(Some(value - base));
        last = Some((at, value));
    }
    parts
}

/// Whether so many of the minutes are known that something may be claimed of all of them.
pub(super) fn is_enough(known: usize, total: usize) -> bool {
    let unknown = float(total.saturating_sub(known)) / float(total.max(1));
    known > 0 && unknown <= UNKNOWN_SHARE_MAX
}

/// Counts stay far below 2^53.
pub(super) fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(place: i64) -> Timestamp {
        Timestamp::from_millis(place * MINUTE)
    }

    fn track(how: How, unit: Unit, values: &[Option<f64>], before: Option<(i64, f64)>) -> Track {
        let readings: Vec<_> = (0..).map(minute).zip(values.iter().copied()).collect();
        let until = minute(i64::try_from(values.len()).unwrap());
        let minutes = Minutes::lay(&readings, minute(0), until);
        let before = before.map(|(at, value)| (minute(at), value));
        Track::new(minutes, (how, Better::Lower), unit, before, &TimeZone::UTC)
    }

    const N: Option<f64> = None;

    #[allow(clippy::unnecessary_wraps, reason = "tables read better")]
    fn s(value: f64) -> Option<f64> {
        Some(value)
    }

    #[test]
    #[rustfmt::skip]
    fn each_way_by_hand() {
        for (how, values, figure) in [
            (How::Up, vec![s(1.0), s(1.0), s(0.5), N, s(1.0)], s(0.75)),
            (How::Median, vec![s(3.0), N, s(1.0), s(200.0)], s(3.0)),
            (How::Mean, vec![s(3.0), N, s(1.0)], s(2.0)),
            (How::Weighted, vec![s(3.0), N, s(1.0)], s(2.0)),
            (How::Total, vec![s(2.0), N, s(1.0)], s(180.0)),
            (How::Last, vec![s(2.0), s(7.0), N], s(7.0)),
            (How::LastAndMost, vec![s(9.0), s(7.0), N], s(7.0)),
            (How::Ever, vec![s(0.0), s(1.0), s(0.0)], s(1.0)),
            (How::Ever, vec![s(0.0), N], s(0.0)),
            (How::SinceMidnight, vec![s(4.0), N, s(9.0), s(2.0), s(2.0), s(5.0)], s(14.0)),
            (How::Up, vec![N, N], N),
            (How::Total, vec![N], N),
            (How::Median, vec![], N),
        ] {
            let found = track(how, Unit::PerSecond, &values, None).measure();
            assert_eq!(found.value, figure, "{how:?} of {values:?}");
            assert_eq!((found.known, found.total), (values.iter().flatten().count(), values.len()));
        }
    }

    #[test]
    fn a_rate_adds_up_by_its_unit() {
        for (unit, total) in [
            (Unit::PerSecond, 600.0),
            (Unit::PerMinute, 10.0),
            (Unit::PerHour, 10.0 / 60.0),
        ] {
            let found = track(How::Total, unit, &[s(10.0)], None).measure();
            assert_eq!(found.value, Some(total));
        }
    }

    /// A count goes on from the period before, starts again at midnight, and is not counted twice when its last
    /// reading of yesterday is still there a moment after midnight.
    #[test]
    fn counts_since_midnight() {
        let day = 1440;
        for (before, values, total) in [
            (None, vec![s(800.0), s(810.0)], 810.0),
            (Some((-1, 3_400.0)), vec![s(3_400.0), s(0.0), s(5.0)], 5.0),
            (Some((-1, 3_400.0)), vec![N, s(3.0)], 3.0),
            // The later count is larger, and yet a new one.
            (Some((-600, 100.0)), vec![s(150.0)], 150.0),
            (Some((-10, 100.0)), vec![s(150.0)], 150.0),
            (Some((-600, 100.0)), vec![s(100.0)], 100.0),
            // An observation of the day before stands until the next one.
            (
                Some((-1, 12.0)),
                vec![s(12.0), N, s(12.0), s(14.0), s(15.0)],
                15.0,
            ),
            (Some((-1, 12.0)), vec![s(12.0), s(5.0), s(5.0)], 5.0),
            (Some((-1, 12.0)), vec![s(12.0), N, s(12.0)], 0.0),
        ] {
            let found = track(How::SinceMidnight, Unit::Count, &values, before).measure();
            assert_eq!(found.value, Some(total), "{before:?} {values:?}");
        }
        // Within one day a gap hides nothing.
        let mut values = vec![N; 700];
        values[0] = s(10.0);
        values[699] = s(90.0);
        let found = track(How::SinceMidnight, Unit::Count, &values, None).measure();
        assert_eq!(found.value, Some(90.0));
        let mut values = vec![N; day + 60];
        values[day - 1] = s(50.0);
        values[day + 30] = s(60.0);
        let found = track(How::SinceMidnight, Unit::Count, &values, None).measure();
        assert_eq!(found.value, Some(110.0));
        // Told once a day, each time for a day: 12, 14, nothing on the third.
        let told = |place: usize| match place {
            540..1980 => s(12.0),
            1980..3900 => s(14.0),
            _ => None,
        };
        let values: Vec<_> = (0..3 * day).map(told).collect();
        let counted = track(How::SinceMidnight, Unit::Count, &values, None);
        let days = [0..day, day..2 * day, 2 * day..3 * day];
        let counts = days.map(|places| counted.figure(&places));
        assert_eq!(counts, [Some(12.0), Some(14.0), Some(0.0)]);
    }

    #[test]
    fn errors_weigh_by_the_calls_they_hit() {
        let values = [s(0.10), s(0.01), N, s(0.04)];
        let mut errors = track(How::Weighted, Unit::Ratio, &values, None);
        assert_eq!(errors.measure().basis, Basis::Plain);
        let calls = track(
            How::Total,
            Unit::PerSecond,
            &[s(1.0), s(99.0), s(50.0), N],
            None,
        );
        errors.weigh(&calls.minutes);
        let found = errors.measure();
        // The last minute has no throughput: it counts with the average, 50.
        let expected = (0.10 + 0.99 + 0.04 * 50.0) / 150.0;
        assert!((found.value.unwrap() - expected).abs() < 1e-12);
        assert_eq!(found.basis, Basis::Throughput { without: 1 });
        assert_eq!(found.far, Some((0.10, minute(0))));
        // Nobody called: every minute is as good as another.
        let idle = track(How::Total, Unit::PerSecond, &[s(0.0), N, N, N], None);
        let mut errors = track(How::Weighted, Unit::Ratio, &values, None);
        errors.weigh(&idle.minutes);
        assert_eq!(errors.measure().basis, Basis::Plain);
    }

    #[test]
    fn parts_compare_though_some_are_half_blind() {
        let values = [s(1.0), s(1.0), s(1.0), N];
        let calls = track(How::Total, Unit::PerMinute, &values, None);
        assert_eq!(calls.part(&(0..2)), Some(2.0));
        assert_eq!(calls.part(&(2..4)), Some(2.0));
        assert_eq!(calls.part(&(3..4)), None);
    }
}
