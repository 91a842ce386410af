//! A period as a row of minutes, each with a reading or none. Deliberately absent: what the readings mean.

use super::when::MINUTE;
use crate::model::Timestamp;

/// A period holds no more: 62 days.
pub const MINUTES_MAX: usize = 62 * 1440;

/// One signal's readings, minute by minute.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Minutes {
    from: Timestamp,
    pub values: Vec<Option<f64>>,
}

impl Minutes {
    /// Lays `readings` into the minutes of `[from, until)`; the last minute may be cut short. Readings outside, and
    /// values that are not finite, are dropped.
    pub fn lay(readings: &[(Timestamp, Option<f64>)], from: Timestamp, until: Timestamp) -> Self {
        let mut values = vec![None; count(from, until)];
        for (at, value) in readings {
            if *at < from || *at >= until {
                continue;
            }
            let place = place(from, *at);
            if let Some(minute) = values.get_mut(place) {
                *minute = value.filter(|it| it.is_finite());
            }
        }
        Self { from, values }
    }

    /// When the minute at `place` begins.
    pub fn at(&self, place: usize) -> Timestamp {
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        let after = place.saturating_mul(MINUTE);
        Timestamp::from_millis(self.from.millis().saturating_add(after))
    }

    /// Minutes with a reading.
    pub fn known(&self) -> usize {
        self.values.iter().flatten().count()
    }

    /// The places of the minutes that begin in `[from, until)`.
    pub fn places(&self, from: Timestamp, until: Timestamp) -> std::ops::Range<usize> {
        let edge = |at: Timestamp| count(self.from, at).min(self.values.len());
        let start = edge(from);
        start..edge(until).max(start)
    }
}

/// How many minutes begin in `[from, until)`.
fn count(from: Timestamp, until: Timestamp) -> usize {
    let span = until.millis().saturating_sub(from.millis()).max(0);
    let whole = span / MINUTE + i64::from(span % MINUTE != 0);
    usize::try_from(whole)
        .unwrap_or(MINUTES_MAX)
        .min(MINUTES_MAX)
}

fn place(from: Timestamp, at: Timestamp) -> usize {
    let after = at.millis().saturating_sub(from.millis());
    usize::try_from(after / MINUTE).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn readings_fall_into_their_minutes() {
        let readings = [
            (at(-1), Some(9.0)),
            (at(0), Some(1.0)),
            (at(59), Some(2.0)),
            (at(125), Some(3.0)),
            (at(190), Some(f64::NAN)),
            (at(250), None),
            (at(270), Some(9.0)),
        ];
        let minutes = Minutes::lay(&readings, at(0), at(270));
        assert_eq!(minutes.values, [Some(2.0), None, Some(3.0), None, None]);
        assert_eq!((minutes.known(), minutes.at(2)), (2, at(120)));
    }

    #[test]
    fn no_period_is_too_long_or_backwards() {
        let forever = Minutes::lay(&[], Timestamp::from_millis(i64::MIN), Timestamp::MAX);
        assert_eq!(forever.values.len(), MINUTES_MAX);
        assert!(Minutes::lay(&[], at(60), at(0)).values.is_empty());
    }

    #[test]
    fn parts_of_a_period() {
        let minutes = Minutes::lay(&[], at(0), at(600));
        assert_eq!(minutes.places(at(60), at(180)), 1..3);
        assert_eq!(minutes.places(at(61), at(180)), 2..3);
        assert_eq!(minutes.places(at(-600), at(9_999)), 0..10);
        assert_eq!(minutes.places(at(300), at(60)), 5..5);
    }
}
