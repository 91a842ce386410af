//! Moments and spans of time for people: in the service's zone, with its abbreviation. The days of a period are the
//! zone's own, so one of them may have 23 or 25 hours.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::model::Timestamp;
use crate::model::calendar::local_date;
use crate::model::calendar::midnight;
use crate::model::calendar::shown;

/// One minute, in milliseconds.
pub(super) const MINUTE: i64 = 60_000;

/// The date and time that clocks in `zone` show; `None` beyond year 9999.
fn local(at: Timestamp, zone: &TimeZone) -> Option<(DateTime, jiff::Timestamp)> {
    let moment = jiff::Timestamp::from_millisecond(at.millis()).ok()?;
    Some((zone.to_datetime(moment), moment))
}

/// `2026-12-01`.
pub(super) fn date(at: Timestamp, zone: &TimeZone) -> String {
    local_date(at, zone).map_or_else(|| at.to_string(), |it| it.to_string())
}

/// `2026-12-01 14:32 CET`.
pub(super) fn moment(at: Timestamp, zone: &TimeZone) -> String {
    let shown = shown(at, zone);
    match local(at, zone) {
        Some((_, moment)) => format!("{shown} {}", zone.to_offset_info(moment).abbreviation()),
        None => shown,
    }
}

/// `14:32` in a period of one day, else with the date.
pub(super) fn short(
    at: Timestamp,
    (from, until): (Timestamp, Timestamp),
    zone: &TimeZone,
) -> String {
    let last = Timestamp::from_millis(until.millis().saturating_sub(1));
    let one_day = local_date(from, zone) == local_date(last, zone);
    match local(at, zone) {
        Some((local, _)) if one_day => format!("{:02}:{:02}", local.hour(), local.minute()),
        Some((local, _)) => {
            let date = local.date();
            format!("{date} {:02}:{:02}", local.hour(), local.minute())
        }
        None => at.to_string(),
    }
}

/// Where the zone's days begin strictly between the two; `most` of them at most.
pub(super) fn midnights(
    from: Timestamp,
    until: Timestamp,
    zone: &TimeZone,
    most: usize,
) -> Vec<Timestamp> {
    let mut found = Vec::new();
    let mut day = local_date(from, zone);
    while let Some(next) = day.and_then(|it| it.tomorrow().ok()) {
        // A day whose clock leaves midnight out begins when the clock goes on.
        let Ok(begins) = zone.to_timestamp(next.at(0, 0, 0, 0)) else {
            break;
        };
        let begins = Timestamp::from_millis(begins.as_millisecond());
        if begins >= until || found.len() >= most {
            break;
        }
        if begins > from {
            found.push(begins);
        }
        day = Some(next);
    }
    found
}

/// Which day of the go-live `at` falls on, from 1; `None` before it.
pub(super) fn day_number(at: Timestamp, go_live: Timestamp, zone: &TimeZone) -> Option<i64> {
    let (day, first) = (local_date(at, zone)?, local_date(go_live, zone)?);
    let days = day.duration_since(first).as_hours() / 24;
    (days >= 0).then_some(days + 1)
}

/// `38 s`, `42 min`, `3 h 5 min`, `2 days 4 h`: the two largest units.
pub(super) fn length(span: Duration) -> String {
    let seconds = span.as_secs();
    if seconds < 60 {
        return format!("{seconds} s");
    }
    let minutes = seconds / 60;
    let (hours, days) = (minutes / 60, minutes / 1440);
    let two = |large: String, small: u64, unit: &str| {
        if small == 0 {
            large
        } else {
            format!("{large} {small} {unit}")
        }
    };
    if minutes < 60 {
        format!("{minutes} min")
    } else if hours < 24 {
        two(format!("{hours} h"), minutes % 60, "min")
    } else {
        let large = format!("{days} day{}", if days == 1 { "" } else { "s" });
        two(large, hours % 24, "h")
    }
}

/// How long a period is: whole days where it begins and ends with one, and has several; else as much as passed, so that
/// a day of 23 or 25 hours shows.
pub(super) fn period_length(from: Timestamp, until: Timestamp, zone: &TimeZone) -> String {
    let is_midnight = |at: Timestamp| {
        let date = local_date(at, zone);
        date.and_then(|date| midnight(date, zone)) == Some(at)
    };
    let days = days(from, until, zone);
    if days > 1 && is_midnight(from) && is_midnight(until) {
        return format!("{days} days");
    }
    let minutes = until.since(from).as_secs() / 60;
    let hours = minutes / 60;
    if minutes.is_multiple_of(60) {
        format!("{hours} hours")
    } else {
        format!("{hours} h {} min", minutes % 60)
    }
}

/// How many days of the calendar a period touches.
pub(super) fn days(from: Timestamp, until: Timestamp, zone: &TimeZone) -> i64 {
    let last = Timestamp::from_millis(until.millis().saturating_sub(1));
    day_number(last, from, zone).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Germany's rules without its table.
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    fn zone() -> TimeZone {
        TimeZone::posix(BERLIN).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn moments_name_their_zone() {
        for (moment_, text) in [
            ("2026-07-01T12:30:00Z", "2026-07-01 14:30 CEST"),
            ("2026-12-01T12:30:59Z", "2026-12-01 13:30 CET"),
        ] {
            assert_eq!(moment(at(moment_), &zone()), text);
        }
        let far = Timestamp::MAX;
        assert!(moment(far, &zone()).ends_with("ms"));
    }

    #[test]
    fn a_day_has_the_hours_that_passed() {
        for (from, until, length) in [
            (
                "2026-12-01T00:00:00+01:00",
                "2026-12-02T00:00:00+01:00",
                "24 hours",
            ),
            (
                "2026-10-25T00:00:00+02:00",
                "2026-10-26T00:00:00+01:00",
                "25 hours",
            ),
            (
                "2026-03-29T00:00:00+01:00",
                "2026-03-30T00:00:00+02:00",
                "23 hours",
            ),
            (
                "2026-12-01T00:00:00+01:00",
                "2026-12-01T17:30:00+01:00",
                "17 h 30 min",
            ),
            (
                "2026-10-20T00:00:00+02:00",
                "2026-10-27T00:00:00+01:00",
                "7 days",
            ),
            (
                "2026-12-01T15:00:00+01:00",
                "2026-12-03T00:00:00+01:00",
                "33 hours",
            ),
            (
                "2026-12-01T00:00:00+01:00",
                "2026-12-07T18:46:00+01:00",
                "162 h 46 min",
            ),
            (
                "2026-12-01T00:00:00+01:00",
                "2026-12-31T00:00:00+01:00",
                "30 days",
            ),
        ] {
            assert_eq!(period_length(at(from), at(until), &zone()), length);
        }
        let touched = |from, until| days(at(from), at(until), &zone());
        let first = "2026-10-24T15:00:00+02:00";
        assert_eq!(touched(first, "2026-10-25T00:00:00+02:00"), 1);
        assert_eq!(touched(first, "2026-10-26T00:00:01+01:00"), 3);
        let nights = midnights(
            at("2026-10-24T12:00:00+02:00"),
            at("2026-10-27T00:00:00+01:00"),
            &zone(),
            9,
        );
        assert_eq!(
            nights,
            [
                at("2026-10-25T00:00:00+02:00"),
                at("2026-10-26T00:00:00+01:00")
            ]
        );
    }

    #[test]
    fn days_are_counted_from_the_go_live() {
        let live = at("2026-10-24T15:00:00+02:00");
        for (day, number) in [
            ("2026-10-24T15:00:00+02:00", Some(1)),
            ("2026-10-25T00:00:00+02:00", Some(2)),
            ("2026-10-26T00:00:00+01:00", Some(3)),
            ("2026-10-23T23:00:00+02:00", None),
        ] {
            assert_eq!(day_number(at(day), live, &zone()), number, "{day}");
        }
    }

    #[test]
    fn lengths() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_600, "1 h"),
            (11_100, "3 h 5 min"),
            (86_400, "1 day"),
            (187_200, "2 days 4 h"),
        ] {
            assert_eq!(length(Duration::from_secs(seconds)), text);
        }
    }
}
