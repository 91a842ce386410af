//! Go's `time.Time` and `time.Duration` as templates see them, always in UTC.

use std::fmt::Write as _;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::template::float::format_float;
use crate::template::literal::magnitude;

pub(super) const SECOND: i64 = 1_000_000_000;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// From 1.
pub(super) fn month(month: u8) -> &'static str {
    MONTHS[usize::from(month.wrapping_sub(1) % 12)]
}

/// From 0, Sunday.
pub(super) fn weekday(day: u8) -> &'static str {
    WEEKDAYS[usize::from(day % 7)]
}

/// Date and time of day of a moment in nanoseconds since the Unix epoch.
pub(super) fn civil(nanos: i64) -> DateTime {
    let at = jiff::Timestamp::from_nanosecond(i128::from(nanos))
        .expect("64 bits of nanoseconds reach from 1677 to 2262");
    TimeZone::UTC.to_datetime(at)
}

/// As `Time.String` gives it: `2015-06-23 13:19:44.128 +0000 UTC`.
pub(super) fn show(nanos: i64) -> String {
    format(nanos, "2006-01-02 15:04:05.999999999 -0700 MST")
}

/// As `Duration.String` gives it: `1h2m3.5s`, `1.5ms`, `0s`.
pub(super) fn show_duration(nanos: i64) -> String {
    let size = nanos.unsigned_abs();
    let sign = if nanos < 0 { "-" } else { "" };
    let fraction = |size: u64, unit: u64| {
        let (whole, part) = (size / unit, size % unit);
        if part == 0 {
            return whole.to_string();
        }
        let digits = unit.to_string().len() - 1;
        let part = format!("{part:0>digits$}");
        format!("{whole}.{}", part.trim_end_matches('0'))
    };
    let (second, minute) = (SECOND.unsigned_abs(), 60 * SECOND.unsigned_abs());
    let text = match size {
        0 => "0s".to_owned(),
        1..1_000 => format!("{size}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(size, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(size, 1_000_000)),
        _ => {
            let seconds = fraction(size % minute, second);
            let minutes = size / minute;
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    };
    format!("{sign}{text}")
}

/// The pieces of a layout, longest first where one begins another.
const PIECES: &[&str] = &[
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "-07:00:00",
    "-070000",
    "-07:00",
    "-0700",
    "-07",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "Z0700",
    "Z07",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "__2",
    "_2",
    "PM",
    "pm",
    "1",
    "2",
    "3",
    "4",
    "5",
];

/// Go's `Time.Format`: a layout written as the reference time, `Mon Jan 2 15:04:05 MST 2006`.
pub(super) fn format(nanos: i64, layout: &str) -> String {
    let at = civil(nanos);
    let mut out = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = fraction_digits(rest) {
            fraction(&mut out, at, &rest[..length]);
            rest = &rest[length..];
            continue;
        }
        let piece = PIECES.iter().find(|piece| {
            rest.strip_prefix(**piece)
                .is_some_and(|behind| match **piece {
                    // `Jan` within `Janet` is a name, and `_2006` is an underscore before the year.
                    "Jan" | "Mon" => !behind.starts_with(|c: char| c.is_ascii_lowercase()),
                    "_2" => !behind.starts_with("006"),
                    _ => true,
                })
        });
        if let Some(piece) = piece {
            push(&mut out, at, piece);
            rest = &rest[piece.len()..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

fn push(out: &mut String, at: DateTime, piece: &str) {
    let hour12 = (at.hour() + 11) % 12 + 1;
    let month = at.month().unsigned_abs();
    let weekday = weekday(at.weekday().to_sunday_zero_offset().unsigned_abs());
    let written = match piece {
        "January" => write!(out, "{}", self::month(month)),
        "Jan" => write!(out, "{}", &self::month(month)[..3]),
        "Monday" => write!(out, "{weekday}"),
        "Mon" => write!(out, "{}", &weekday[..3]),
        "MST" => write!(out, "UTC"),
        "2006" => write!(out, "{:04}", at.year()),
        "06" => write!(out, "{:02}", at.year().rem_euclid(100)),
        "01" => write!(out, "{month:02}"),
        "1" => write!(out, "{month}"),
        "002" => write!(out, "{:03}", at.day_of_year()),
        "__2" => write!(out, "{:3}", at.day_of_year()),
        "02" => write!(out, "{:02}", at.day()),
        "_2" => write!(out, "{:2}", at.day()),
        "2" => write!(out, "{}", at.day()),
        "15" => write!(out, "{:02}", at.hour()),
        "03" => write!(out, "{hour12:02}"),
        "3" => write!(out, "{hour12}"),
        "04" => write!(out, "{:02}", at.minute()),
        "4" => write!(out, "{}", at.minute()),
        "05" => write!(out, "{:02}", at.second()),
        "5" => write!(out, "{}", at.second()),
        "PM" => write!(out, "{}", if at.hour() < 12 { "AM" } else { "PM" }),
        "pm" => write!(out, "{}", if at.hour() < 12 { "am" } else { "pm" }),
        _ if piece.starts_with('Z') => write!(out, "Z"),
        // An offset: the reference time's own digits with a plus and zeros.
        _ => write!(out, "{}", piece.replace('-', "+").replace('7', "0")),
    };
    written.expect("a string takes everything");
}

/// Length of `.000`, `,000`, `.999` at the front of a layout, if no further digit follows.
fn fraction_digits(rest: &str) -> Option<usize> {
    let digit = rest.strip_prefix(['.', ','])?.chars().next()?;
    if !matches!(digit, '0' | '9') {
        return None;
    }
    let digits = rest[1..].chars().take_while(|c| *c == digit).count();
    let behind = &rest[1 + digits..];
    (!behind.starts_with(|c: char| c.is_ascii_digit())).then_some(1 + digits)
}

fn fraction(out: &mut String, at: DateTime, piece: &str) {
    let nanos = format!("{:09}", at.subsec_nanosecond());
    let digits = format!("{nanos:0<0$}", piece.len() - 1);
    let digits = &digits[..piece.len() - 1];
    let digits = if piece.ends_with('9') {
        digits.trim_end_matches('0')
    } else {
        digits
    };
    if !digits.is_empty() {
        out.push_str(&piece[..1]);
        out.push_str(digits);
    }
}

/// Nanoseconds of a number of seconds, cut to whole milliseconds as Prometheus does for moments.
pub(super) fn moment(seconds: f64) -> Result<i64, String> {
    if !seconds.is_finite() {
        return Err("value is NaN or Inf".to_owned());
    }
    let nanos = seconds * 1e9;
    if nanos > magnitude(i64::MAX) || nanos < magnitude(i64::MIN) {
        let seconds = format_float(seconds, 'g', None);
        return Err(format!(
            "{seconds} cannot be represented as a nanoseconds timestamp since it overflows int64"
        ));
    }
    Ok(truncate(nanos) / 1_000_000 * 1_000_000)
}

/// Go reckons multiples of a duration from the year 1, in nanoseconds before the Unix epoch.
const YEAR_ONE: i128 = 62_135_596_800 * SECOND as i128;

/// Go's `Time.Truncate`: down to a multiple of `step` since the year 1.
pub(super) fn truncate_time(nanos: i64, step: i64) -> i64 {
    if step <= 0 {
        return nanos;
    }
    let rest = (i128::from(nanos) + YEAR_ONE).rem_euclid(i128::from(step));
    within(i128::from(nanos) - rest)
}

/// Go's `Time.Round`: to the nearest multiple of `step` since the year 1, halves up.
pub(super) fn round_time(nanos: i64, step: i64) -> i64 {
    if step <= 0 {
        return nanos;
    }
    let rest = (i128::from(nanos) + YEAR_ONE).rem_euclid(i128::from(step));
    let up = if rest * 2 < i128::from(step) { 0 } else { step };
    within(i128::from(nanos) - rest + i128::from(up))
}

/// Go's `Duration.Round`: to the nearest multiple of `step`, halves away from zero.
pub(super) fn round_duration(nanos: i64, step: i64) -> i64 {
    if step <= 0 {
        return nanos;
    }
    let (size, step) = (i128::from(nanos).abs(), i128::from(step));
    let rest = size % step;
    let up = if rest * 2 < step { 0 } else { step };
    within((size - rest + up) * i128::from(nanos.signum()))
}

/// Go's `Time.AddDate`: the same time of day that many years, months and days on. What no month has runs over into the
/// next: a month after 31 January is 2 or 3 March.
pub(super) fn add_date(nanos: i64, (years, months, days): (i64, i64, i64)) -> i64 {
    let at = civil(nanos);
    let of_day = nanos.rem_euclid(86_400 * SECOND);
    let months = (i128::from(at.year()) + i128::from(years)) * 12 + i128::from(months);
    let months = months + i128::from(at.month()) - 1;
    // Days of the Gregorian calendar before a month's first, counted in years that begin in March.
    let (year, month) = ((months - 2).div_euclid(12), (months - 2).rem_euclid(12));
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let first = year * 365 + leaps + (153 * month + 2) / 5 - 719_468;
    let day = first + i128::from(at.day()) - 1 + i128::from(days);
    within(day * 86_400 * i128::from(SECOND) + i128::from(of_day))
}

/// What 64 bits hold.
fn within(nanos: i128) -> i64 {
    let bounds = (i128::from(i64::MIN), i128::from(i64::MAX));
    i64::try_from(nanos.clamp(bounds.0, bounds.1)).expect("it was just clamped")
}

/// Towards zero, within 64 bits.
#[allow(
    clippy::cast_possible_truncation,
    reason = "truncation is what is asked for, and it saturates"
)]
pub(super) fn truncate(float: f64) -> i64 {
    float as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts() {
        let at = 1_435_065_584_128_000_000;
        for (layout, text) in [
            ("2006-01-02T15:04:05Z07:00", "2015-06-23T13:19:44Z"),
            (
                "Mon Jan _2 15:04:05 MST 2006",
                "Tue Jun 23 13:19:44 UTC 2015",
            ),
            (
                "Monday, 02-Jan-06 3:4:5PM -0700",
                "Tuesday, 23-Jun-15 1:19:44PM +0000",
            ),
            ("15:04:05.000000 002", "13:19:44.128000 174"),
            ("15:04:05.999 -07:00 pm", "13:19:44.128 +00:00 pm"),
            ("January Janet 1/2", "June Janet 6/23"),
            ("5.00x", "44.12x"),
        ] {
            assert_eq!(format(at, layout), text, "{layout}");
        }
        assert_eq!(show(-SECOND), "1969-12-31 23:59:59 +0000 UTC");
        assert_eq!(show(i64::MIN), "1677-09-21 00:12:43.145224192 +0000 UTC");
    }

    #[test]
    fn durations() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (-90 * SECOND, "-1m30s"),
            (3_600 * SECOND, "1h0m0s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(show_duration(nanos), text);
        }
    }
}
