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

/// The period of the same length before it.
#[must_use]
pub fn before(from: Timestamp, until: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let (first, end) = (local_date(from, zone)?, local_date(until, zone)?);
    let days = i64::from(first.until(end).ok()?.get_days());
    midnight(plus(first, -days)?, zone)
}

/// The day on which the report on hypercare is due.
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
        assert_eq!(hypercare_day(go_live, &berlin), Some(date("2026-03-31")));
        let day = (
            at("2026-03-30T00:00:00+02:00"),
            at("2026-03-31T00:00:00+02:00"),
        );
        assert_eq!(
            before(day.0, day.1, &berlin),
            Some(at("2026-03-29T00:00:00+01:00"))
        );
    }
}
