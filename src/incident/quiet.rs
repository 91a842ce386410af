//! Hours in which nobody is called for what can wait: wall-clock times of the service's zone, over midnight where they
//! say so, through changes of the clock.

use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::model::Timestamp;
use crate::model::WallClock;
use crate::model::calendar::clock_time;

/// Every day from `from` up to, and not including, `until`; over midnight where `until` is the earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietHours {
    from: Time,
    until: Time,
    zone: TimeZone,
    wall: WallClock,
}

impl QuietHours {
    /// Both as `22:00`; `None` where that is no time of day, or where they are the same.
    #[must_use]
    pub fn new(from: &str, until: &str, zone: TimeZone) -> Option<Self> {
        let (from, until) = (clock_time(from)?, clock_time(until)?);
        let wall = WallClock::default();
        (from != until).then_some(Self {
            from,
            until,
            zone,
            wall,
        })
    }

    /// From when until when, where, and by which clock.
    #[must_use]
    pub const fn parts(&self) -> (Time, Time, &TimeZone, WallClock) {
        (self.from, self.until, &self.zone, self.wall)
    }

    /// `at`, or the end of the quiet hours that it falls in: the first moment whose clock shows none of them.
    #[must_use]
    pub fn end(&self, at: Timestamp) -> Timestamp {
        self.wall.when_it_shows(self.end_by(self.wall.shows(at)))
    }

    /// From here on the wall shows another time than the stamps say.
    pub const fn set_wall(&mut self, wall: WallClock) {
        self.wall = wall;
    }

    fn end_by(&self, at: Timestamp) -> Timestamp {
        let Ok(now) = jiff::Timestamp::from_millisecond(at.millis()) else {
            return at;
        };
        if !self.hold(now) {
            return at;
        }
        let local = self.zone.to_datetime(now);
        let today = local.date();
        let day = if self.from > self.until && local.time() >= self.from {
            today.tomorrow().unwrap_or(today)
        } else {
            today
        };
        // A clock that is put back shows the end twice, and one that is put forward may leave it out.
        let end = self
            .zone
            .to_ambiguous_timestamp(day.to_datetime(self.until));
        let change = self.zone.following(now).next().map(|it| it.timestamp());
        let ends = [end.earlier().ok(), end.later().ok(), change];
        let ends = ends.into_iter().flatten();
        let end = ends.filter(|end| *end > now && !self.hold(*end)).min();
        end.map_or(at, |end| Timestamp::from_millis(end.as_millisecond()))
    }

    fn hold(&self, at: jiff::Timestamp) -> bool {
        let now = self.zone.to_datetime(at).time();
        if self.from < self.until {
            self.from <= now && now < self.until
        } else {
            now >= self.from || now < self.until
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Germany's rules without its table: forward at 02:00 on the last Sunday of March, back at 03:00 in October.
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    fn quiet(from: &str, until: &str) -> QuietHours {
        QuietHours::new(from, until, TimeZone::posix(BERLIN).unwrap()).unwrap()
    }

    #[test]
    fn what_falls_in_them_waits_for_their_end() {
        let night = ("22:00", "07:00");
        for (hours, at, end) in [
            (night, "2026-12-01T21:59:59+01:00", None),
            (
                night,
                "2026-12-01T22:00:00+01:00",
                Some("2026-12-02T07:00:00+01:00"),
            ),
            (
                night,
                "2026-12-02T06:59:59+01:00",
                Some("2026-12-02T07:00:00+01:00"),
            ),
            (night, "2026-12-02T07:00:00+01:00", None),
            (
                night,
                "2026-12-31T23:00:00+01:00",
                Some("2027-01-01T07:00:00+01:00"),
            ),
            // A night of eight hours, and one of ten.
            (
                night,
                "2026-03-28T23:00:00+01:00",
                Some("2026-03-29T07:00:00+02:00"),
            ),
            (
                night,
                "2026-10-24T23:00:00+02:00",
                Some("2026-10-25T07:00:00+01:00"),
            ),
            (
                ("12:00", "13:30"),
                "2026-07-01T12:30:00+02:00",
                Some("2026-07-01T13:30:00+02:00"),
            ),
            (("12:00", "13:30"), "2026-07-01T23:30:00+02:00", None),
            // 02:30 is left out in March: at 03:00 it is past.
            (
                ("23:00", "02:30"),
                "2026-03-29T01:30:00+01:00",
                Some("2026-03-29T03:00:00+02:00"),
            ),
            // And comes twice in October.
            (
                ("23:00", "02:30"),
                "2026-10-25T01:30:00+02:00",
                Some("2026-10-25T02:30:00+02:00"),
            ),
            (
                ("23:00", "02:30"),
                "2026-10-25T02:10:00+01:00",
                Some("2026-10-25T02:30:00+01:00"),
            ),
        ] {
            let at: Timestamp = at.parse().unwrap();
            let end = end.map_or(at, |end| end.parse().unwrap());
            assert_eq!(quiet(hours.0, hours.1).end(at), end, "{hours:?} at {at}");
        }
    }

    #[test]
    fn what_is_no_time_of_day_is_refused() {
        for (from, until) in [
            ("22", "07:00"),
            ("24:00", "07:00"),
            ("22:60", "7:00"),
            ("22:0", "7:00"),
            ("+2:00", "7:00"),
            ("07:00", "7:00"),
        ] {
            assert_eq!(
                QuietHours::new(from, until, TimeZone::UTC),
                None,
                "{from}-{until}"
            );
        }
        assert!(QuietHours::new("22:00", "7:00", TimeZone::UTC).is_some());
    }

    /// T1, T2: set an hour back, seven in the morning comes an hour later by the stamps.
    #[test]
    fn t1_t2_they_go_by_the_clock_on_the_wall() {
        let mut night = quiet("22:00", "07:00");
        let at: Timestamp = "2026-01-15T06:30:00+01:00".parse().unwrap();
        assert_eq!(night.end(at).since(at).as_secs(), 30 * 60);
        night.set_wall(WallClock::ahead_by(-3_600_000));
        assert_eq!(night.end(at).since(at).as_secs(), 90 * 60);
        night.set_wall(WallClock::ahead_by(6 * 3_600_000));
        assert_eq!(night.end(at), at, "half past twelve");
    }

    proptest! {
        /// The end lies ahead, is quiet no longer, and everything before it is.
        #[test]
        fn the_end_is_the_first_moment_after_them(
            from in 0..24 * 60_u32, until in 0..24 * 60_u32, minute in 0..366 * 24 * 60_i64, part in 0.0..1.0_f64,
        ) {
            prop_assume!(from != until);
            let text = |it: u32| format!("{:02}:{:02}", it / 60, it % 60);
            let hours = quiet(&text(from), &text(until));
            let at = Timestamp::from_millis(1_767_225_600_000 + minute * 60_000);
            let end = hours.end(at);
            prop_assert!(end >= at);
            prop_assert_eq!(hours.end(end), end);
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a day at most")]
            let between = at.millis() + ((end.millis() - at.millis()) as f64 * part) as i64;
            if between < end.millis() {
                prop_assert_eq!(hours.end(Timestamp::from_millis(between)), end);
            }
        }
    }
}
