//! The days that a report is about, by the calendar of the service's zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::facts::Kind;
use crate::model::Timestamp;
use crate::model::calendar::local_date;
use crate::model::calendar::midnight;

/// Days of hypercare.
pub const HYPERCARE_DAYS: i64 = 30;
const WEEK_DAYS: i64 = 7;

/// `[from, until)` of the report that is named after `date`: that day; the week that ends with it; the thirty days from
/// the go-live, whatever the date. `None` where there was no go-live, or for years that no calendar has.
#[must_use]
pub fn period(
    kind: Kind,
    date: Date,
    go_live: Option<Timestamp>,
    zone: &TimeZone,
) -> Option<(Timestamp, Timestamp)> {
    let (first, days) = match kind {
        Kind::Day | Kind::Status => (date, 1),
        Kind::Week => (plus(date, 1 - WEEK_DAYS)?, WEEK_DAYS),
        Kind::Hypercare => (local_date(go_live?, zone)?, HYPERCARE_DAYS),
    };
    let until = plus(first, days)?;
    Some((midnight(first, zone)?, midnight(until, zone)?))
}

/// Where a period begins that a go-live lies in: with it, as soon as that has come. What was before is none of its days.
#[must_use]
pub fn from_go_live(
    (from, until): (Timestamp, Timestamp),
    made_at: Timestamp,
    go_live: Option<Timestamp>,
) -> Timestamp {
    let within = |live: &Timestamp| from < *live && *live < until.min(made_at);
    go_live.filter(within).unwrap_or(from)
}

/// What a period is compared with: as many days before it, by the wall. Of one that is not over at `made_at`, the part up
/// to the same time of day.
#[must_use]
pub fn before(
    (from, until): (Timestamp, Timestamp),
    made_at: Timestamp,
    zone: &TimeZone,
) -> Option<(Timestamp, Timestamp)> {
    let (first, end) = (local_date(from, zone)?, local_date(until, zone)?);
    let days = i64::from(first.until(end).ok()?.get_days());
    let back = jiff::Span::new().try_days(days).ok()?;
    let shifted = |at: Timestamp| {
        let moment = jiff::Timestamp::from_millisecond(at.millis()).ok()?;
        let local = zone.to_datetime(moment).checked_sub(back).ok()?;
        let found = zone.to_ambiguous_timestamp(local).compatible().ok()?;
        Some(Timestamp::from_millis(found.as_millisecond()))
    };
    Some((shifted(from)?, shifted(until.min(made_at))?))
}

/// The day on which the report on hypercare is due: the one after day 30, when all thirty are over. The runbook's "Day 30"
/// of the exit, `30d` after the go-live, is that morning.
#[must_use]
pub fn hypercare_day(go_live: Timestamp, zone: &TimeZone) -> Option<Date> {
    plus(local_date(go_live, zone)?, HYPERCARE_DAYS)
}

fn plus(date: Date, days: i64) -> Option<Date> {
    date.checked_add(jiff::Span::new().try_days(days).ok()?)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::when::day_number;

    #[test]
    fn days_are_those_of_the_zone() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let date = |text: &str| text.parse::<Date>().unwrap();
        let go_live = at("2026-03-01T00:00:00+01:00");
        for (kind, day, from, until) in [
            (
                Kind::Day,
                "2026-03-29",
                "2026-03-29T00:00:00+01:00",
                "2026-03-30T00:00:00+02:00",
            ),
            (
                Kind::Week,
                "2026-04-03",
                "2026-03-28T00:00:00+01:00",
                "2026-04-04T00:00:00+02:00",
            ),
            (
                Kind::Hypercare,
                "2026-03-31",
                "2026-03-01T00:00:00+01:00",
                "2026-03-31T00:00:00+02:00",
            ),
        ] {
            let found = period(kind, date(day), Some(go_live), &berlin);
            assert_eq!(found, Some((at(from), at(until))), "{kind:?}");
        }
        assert_eq!(
            period(Kind::Hypercare, date("2026-03-31"), None, &berlin),
            None
        );
        // The last moment is of day 30, and the report is made in the morning after it.
        assert_eq!(hypercare_day(go_live, &berlin), Some(date("2026-03-31")));
        let last = at("2026-03-30T23:59:59+02:00");
        assert_eq!(day_number(last, go_live, &berlin), Some(HYPERCARE_DAYS));
    }

    #[test]
    fn a_period_begins_with_the_go_live() {
        let at = Timestamp::from_millis;
        for (live, made_at, from) in [
            (None, 99, 10),
            (Some(5), 99, 10),
            (Some(10), 99, 10),
            (Some(15), 99, 15),
            // It has not come yet: a day like any other.
            (Some(15), 15, 10),
            (Some(20), 99, 10),
        ] {
            let found = from_go_live((at(10), at(20)), at(made_at), live.map(at));
            assert_eq!(found, at(from), "{live:?} {made_at}");
        }
    }

    #[test]
    fn a_part_of_a_period_is_compared_with_the_same_part() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (from, until, made_at, earlier) in [
            (
                "2026-03-30T00:00:00+02:00",
                "2026-03-31T00:00:00+02:00",
                "2026-04-02T12:00:00+02:00",
                ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
            ),
            // The clock went forward in that part: it has sixteen hours.
            (
                "2026-03-30T00:00:00+02:00",
                "2026-03-31T00:00:00+02:00",
                "2026-03-30T17:00:00+02:00",
                ("2026-03-29T00:00:00+01:00", "2026-03-29T17:00:00+02:00"),
            ),
            (
                "2026-03-21T00:00:00+01:00",
                "2026-03-28T00:00:00+01:00",
                "2026-03-27T16:00:00+01:00",
                ("2026-03-14T00:00:00+01:00", "2026-03-20T16:00:00+01:00"),
            ),
            // From a go-live in the afternoon.
            (
                "2026-03-10T15:00:00+01:00",
                "2026-03-11T00:00:00+01:00",
                "2026-03-10T17:00:00+01:00",
                ("2026-03-09T15:00:00+01:00", "2026-03-09T17:00:00+01:00"),
            ),
        ] {
            let found = before((at(from), at(until)), at(made_at), &berlin);
            assert_eq!(found, Some((at(earlier.0), at(earlier.1))), "{made_at}");
        }
    }
}
