//! Times of day in a zone, on all days or some days of the week, through changes of the clock: an hour that is left out
//! comes right after the gap, one that is shown twice comes the first time.

use std::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

use super::Timestamp;
use super::time::millis;

/// Days that are looked through for the next or the last occurrence: any day of the week comes within them.
const DAYS: i32 = 8;

/// `08:00` on some days of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeOfDay {
    time: Time,
    /// Empty: every day.
    on: Vec<Weekday>,
}

impl TimeOfDay {
    /// `time` as `8:00` or `08:00`; `None` where that is no time of day.
    #[must_use]
    pub fn new(time: &str, on: Vec<Weekday>) -> Option<Self> {
        let time = clock_time(time)?;
        Some(Self { time, on })
    }

    /// The time, and the days; every day where there are none.
    #[must_use]
    pub fn parts(&self) -> (Time, &[Weekday]) {
        (self.time, &self.on)
    }

    /// The first occurrence after `after`, on the wall of `zone`.
    #[must_use]
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let today = local_date(after, zone)?;
        let days = (-1..=DAYS).filter_map(|days| self.on_day(today, days, zone));
        days.filter(|at| *at > after).min()
    }

    /// The last occurrence that is not after `until`.
    #[must_use]
    pub fn last(&self, until: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let today = local_date(until, zone)?;
        let days = (-DAYS..=1).filter_map(|days| self.on_day(today, days, zone));
        days.filter(|at| *at <= until).max()
    }

    /// The last day on which it comes, up to the day of `until`, whatever the time of day is there: its occurrence.
    #[must_use]
    pub fn of_day(&self, until: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let today = local_date(until, zone)?;
        let days = (-DAYS..=0).filter_map(|days| self.on_day(today, days, zone));
        days.max()
    }

    fn on_day(&self, today: Date, days: i32, zone: &TimeZone) -> Option<Timestamp> {
        let span = jiff::Span::new().try_days(days).ok()?;
        let date = today.checked_add(span).ok()?;
        if !self.on.is_empty() && !self.on.contains(&date.weekday()) {
            return None;
        }
        stamp(date.to_datetime(self.time), zone)
    }
}

/// `08:00`, and the days where it is not every day.
impl std::fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.time.hour(), self.time.minute())?;
        let days: Vec<String> = self.on.iter().map(|day| format!("{day:?}")).collect();
        if days.is_empty() {
            Ok(())
        } else {
            write!(f, " {}", days.join(", "))
        }
    }
}

/// `8:00` or `08:00`; `None` where that is no time of day.
#[must_use]
pub fn clock_time(text: &str) -> Option<Time> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let digits = |it: &str| (1..=2).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit());
    if !digits(hours) || minutes.len() != 2 || !digits(minutes) {
        return None;
    }
    Time::new(hours.parse().ok()?, minutes.parse().ok()?, 0, 0).ok()
}

/// The date that the wall of `zone` shows.
#[must_use]
pub fn local_date(at: Timestamp, zone: &TimeZone) -> Option<Date> {
    let at = jiff::Timestamp::from_millisecond(at.millis()).ok()?;
    Some(zone.to_datetime(at).date())
}

/// What the wall of `zone` shows, for people: `2026-12-01 14:00`.
#[must_use]
pub fn shown(at: Timestamp, zone: &TimeZone) -> String {
    shown_as(at, zone, "%Y-%m-%d %H:%M")
}

/// The same in another form, as `strftime` has them.
#[must_use]
pub fn shown_as(at: Timestamp, zone: &TimeZone, form: &str) -> String {
    let Ok(moment) = jiff::Timestamp::from_millisecond(at.millis()) else {
        return at.to_string();
    };
    zone.to_datetime(moment).strftime(form).to_string()
}

/// The moment at which the wall of `zone` shows the beginning of a date.
#[must_use]
pub fn midnight(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    stamp(date.to_datetime(Time::midnight()), zone)
}

/// `after` on the wall: what a clock of hands shows when it has gone on for that long, whatever was done to it.
#[must_use]
pub fn wall_after(from: Timestamp, after: Duration, zone: &TimeZone) -> Option<Timestamp> {
    let from = jiff::Timestamp::from_millisecond(from.millis()).ok()?;
    let span = jiff::SignedDuration::from_millis(millis(after));
    let local = zone.to_datetime(from).checked_add(span).ok()?;
    stamp(local, zone)
}

fn stamp(local: jiff::civil::DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let at = zone.to_ambiguous_timestamp(local).compatible().ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Germany's rules without its table: forward at 02:00 on the last Sunday of March, back at 03:00 in October.
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    fn zone() -> TimeZone {
        TimeZone::posix(BERLIN).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_of_day_comes_once_a_day_whatever_the_clock_does() {
        let every = |time: &str| TimeOfDay::new(time, Vec::new()).unwrap();
        for (time, after, next) in [
            (
                "08:00",
                "2026-12-01T07:59:59+01:00",
                "2026-12-01T08:00:00+01:00",
            ),
            (
                "8:00",
                "2026-12-01T08:00:00+01:00",
                "2026-12-02T08:00:00+01:00",
            ),
            (
                "00:00",
                "2026-12-31T12:00:00+01:00",
                "2027-01-01T00:00:00+01:00",
            ),
            // 02:30 is left out: it comes when the clock shows 03:30.
            (
                "02:30",
                "2026-03-29T01:00:00+01:00",
                "2026-03-29T03:30:00+02:00",
            ),
            // 02:30 is shown twice: it comes the first time, and only then.
            (
                "02:30",
                "2026-10-25T01:00:00+02:00",
                "2026-10-25T02:30:00+02:00",
            ),
            (
                "02:30",
                "2026-10-25T02:30:00+02:00",
                "2026-10-26T02:30:00+01:00",
            ),
            (
                "08:00",
                "2026-03-28T08:00:00+01:00",
                "2026-03-29T08:00:00+02:00",
            ),
        ] {
            let found = every(time).next(at(after), &zone());
            assert_eq!(found, Some(at(next)), "{time} after {after}");
            let last = every(time).last(at(next), &zone());
            assert_eq!(last, Some(at(next)), "{time} until {next}");
        }
        for wrong in ["", "8", "24:00", "8:60", "8:0", "-1:00", "08:00:00", "8 am"] {
            assert_eq!(TimeOfDay::new(wrong, Vec::new()), None, "{wrong}");
        }
    }

    #[test]
    fn some_days_of_the_week() {
        let friday = TimeOfDay::new("17:00", vec![Weekday::Friday]).unwrap();
        let next = friday.next(at("2026-12-04T17:00:00+01:00"), &zone());
        assert_eq!(next, Some(at("2026-12-11T17:00:00+01:00")));
        let last = friday.last(at("2026-12-10T00:00:00+01:00"), &zone());
        assert_eq!(last, Some(at("2026-12-04T17:00:00+01:00")));
        // In the morning of a Friday its day has come, and its time has not.
        let morning = at("2026-12-11T09:00:00+01:00");
        assert_eq!(
            friday.of_day(morning, &zone()),
            Some(at("2026-12-11T17:00:00+01:00"))
        );
        assert_eq!(friday.to_string(), "17:00 Friday");
    }

    #[test]
    fn hours_on_the_wall_are_not_hours_that_pass() {
        let start = at("2026-03-28T00:00:00+01:00");
        let hours = |hours: u64| Duration::from_secs(3600 * hours);
        for (after, shown) in [
            (hours(8), "2026-03-28T08:00:00+01:00"),
            (hours(24), "2026-03-29T00:00:00+01:00"),
            (hours(32), "2026-03-29T08:00:00+02:00"),
            (hours(48), "2026-03-30T00:00:00+02:00"),
        ] {
            assert_eq!(wall_after(start, after, &zone()), Some(at(shown)));
        }
        let date = local_date(start, &zone()).unwrap();
        assert_eq!(midnight(date, &zone()), Some(start));
    }
}
