//! What day it is, in UTC, of seconds since 1970.

/// Years, months (1 to 12), days (1 to 31) and days of the year (1 to 366) of the proleptic Gregorian calendar.
struct Date {
    year: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
}

const DAY: i64 = 86_400;

/// Whole seconds; what is no number of seconds stays no number.
fn whole(seconds: f64, of: impl Fn(i64) -> i64) -> f64 {
    if !seconds.is_finite() {
        return f64::NAN;
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "as Prometheus: whole seconds, saturating"
    )]
    let known = of(seconds as i64) as f64;
    known
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn length(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Counts from 1 March of the year 0 in cycles of 400 years, so that the leap day is the last of a year.
fn date(seconds: i64) -> Date {
    let days = seconds.div_euclid(DAY) + 719_468;
    let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let from_march = day - (365 * year + year / 4 - year / 100);
    let month = (5 * from_march + 2) / 153;
    let day = from_march - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + cycle * 400 + i64::from(month <= 2);
    let before = (1..month).map(|month| length(year, month)).sum::<i64>();
    Date {
        year,
        month,
        day,
        day_of_year: before + day,
    }
}

pub(super) fn minute(seconds: f64) -> f64 {
    whole(seconds, |s| s.rem_euclid(3600) / 60)
}

pub(super) fn hour(seconds: f64) -> f64 {
    whole(seconds, |s| s.rem_euclid(DAY) / 3600)
}

/// Sunday is 0. 1970 began on a Thursday.
pub(super) fn day_of_week(seconds: f64) -> f64 {
    whole(seconds, |s| (s.div_euclid(DAY) + 4).rem_euclid(7))
}

pub(super) fn day_of_month(seconds: f64) -> f64 {
    whole(seconds, |s| date(s).day)
}

pub(super) fn day_of_year(seconds: f64) -> f64 {
    whole(seconds, |s| date(s).day_of_year)
}

pub(super) fn days_in_month(seconds: f64) -> f64 {
    whole(seconds, |s| {
        let date = date(s);
        length(date.year, date.month)
    })
}

pub(super) fn month(seconds: f64) -> f64 {
    whole(seconds, |s| date(s).month)
}

pub(super) fn year(seconds: f64) -> f64 {
    whole(seconds, |s| date(s).year)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn days_are_those_of_the_calendar(days in -700_000_i64..2_000_000) {
            let shown = jiff::civil::date(1970, 1, 1)
                .checked_add(jiff::Span::new().days(days))
                .unwrap();
            let date = date(days * DAY);
            prop_assert_eq!(
                (date.year, date.month, date.day, date.day_of_year),
                (
                    i64::from(shown.year()),
                    i64::from(shown.month()),
                    i64::from(shown.day()),
                    i64::from(shown.day_of_year())
                )
            );
            prop_assert_eq!(length(date.year, date.month), i64::from(shown.days_in_month()));
        }
    }
}
