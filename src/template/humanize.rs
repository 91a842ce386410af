//! Numbers for people: Prometheus' `humanize` family and `parseDuration`.

use crate::template::float::four_digits;
use crate::template::literal::magnitude;
use crate::template::literal::parse_float;
use crate::template::literal::quote;
use crate::template::time;
use crate::template::value::Value;

const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// What Prometheus takes for a number: floats, integers, numeric strings and durations, the last in seconds.
pub(super) fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(float) => Ok(*float),
        Value::Int(int) => Ok(magnitude(*int)),
        Value::Text(text) => parse_float(text),
        Value::Duration(nanos) => Ok(seconds(*nanos)),
        Value::Missing
        | Value::Bool(_)
        | Value::Byte(_)
        | Value::Html(_)
        | Value::Labels(_)
        | Value::Sample(_)
        | Value::NoSample
        | Value::Samples(_)
        | Value::Args(_)
        | Value::Data(_)
        | Value::Time(_)
        | Value::Month(_)
        | Value::Weekday(_) => Err(format!("can't convert {} to float", value.type_name())),
    }
}

/// Go's `Duration.Seconds`: whole seconds and the rest apart, so that no digit is lost.
pub(super) fn seconds(nanos: i64) -> f64 {
    magnitude(nanos / time::SECOND) + magnitude(nanos % time::SECOND) / 1e9
}

/// Divides by `base` until fewer digits are left; the prefix says how often.
fn scaled_down(mut value: f64, base: f64, prefixes: [&'static str; 8]) -> (f64, &'static str) {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < base {
            break;
        }
        prefix = next;
        value /= base;
    }
    (value, prefix)
}

fn scaled_up(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    (value, prefix)
}

/// `1.235M`, `120m`: four digits and a metric prefix.
pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four_digits(value);
    }
    let (value, prefix) = if value.abs() >= 1.0 {
        scaled_down(value, 1000.0, ["k", "M", "G", "T", "P", "E", "Z", "Y"])
    } else {
        scaled_up(value)
    };
    format!("{}{prefix}", four_digits(value))
}

/// `1.177Mi`: four digits and a binary prefix.
pub(super) fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four_digits(value);
    }
    let prefixes = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
    let (value, prefix) = scaled_down(value, 1024.0, prefixes);
    format!("{}{prefix}", four_digits(value))
}

/// Seconds as `1d 2h 3m 4s`, `1.234s`, `100ms`.
pub(super) fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return four_digits(value);
    }
    if value == 0.0 {
        return format!("{}s", four_digits(value));
    }
    if value.abs() < 1.0 {
        let (value, prefix) = scaled_up(value);
        return format!("{}{prefix}s", four_digits(value));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = time::truncate(value.abs());
    let (days, hours) = (whole / 86_400, whole / 3_600 % 24);
    let (minutes, seconds) = (whole / 60 % 60, whole % 60);
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", four_digits(value.abs()))
    }
}

/// A share as `12.35%`.
pub(super) fn humanize_percentage(value: f64) -> String {
    format!("{}%", four_digits(value * 100.0))
}

/// Seconds since the Unix epoch as `2015-06-23 13:19:44.128 +0000 UTC`.
pub(super) fn humanize_timestamp(value: f64) -> Result<String, String> {
    if !value.is_finite() {
        return Ok(four_digits(value));
    }
    time::moment(value).map(time::show)
}

/// Prometheus' `model.ParseDuration`, `1h30m`, in seconds: whole numbers with units from `y` to `ms`, largest first.
pub(super) fn parse_duration(text: &str) -> Result<f64, String> {
    const UNITS: [(&str, u64); 7] = [
        ("y", 31_536_000_000),
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let bad = || format!("not a valid duration string: {}", quote(text));
    match text {
        "" => return Err("empty duration string".to_owned()),
        "0" => return Ok(0.0),
        _ => {}
    }
    let (mut rest, mut millis, mut units) = (text, 0_u64, UNITS.as_slice());
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (digits, behind) = rest.split_at(end);
        let end = behind
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(behind.len());
        let (name, behind) = behind.split_at(end);
        let at = units.iter().position(|(unit, _)| *unit == name);
        let at = at.filter(|_| !digits.is_empty()).ok_or_else(bad)?;
        millis = digits
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(units[at].1))
            .and_then(|added| millis.checked_add(added))
            .filter(|millis| *millis <= i64::MAX.unsigned_abs() / 1_000_000)
            .ok_or_else(|| "duration out of range".to_owned())?;
        units = &units[at + 1..];
        rest = behind;
    }
    let nanos = i64::try_from(millis)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000_000);
    Ok(magnitude(nanos) / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_seconds() {
        for (text, seconds) in [
            ("0", Ok(0.0)),
            ("1h2m10ms", Ok(3720.01)),
            ("1y1w1d", Ok(32_227_200.0)),
            ("5m", Ok(300.0)),
            ("", Err("empty duration string")),
            ("1m1h", Err("not a valid duration string: \"1m1h\"")),
            ("1.5h", Err("not a valid duration string: \"1.5h\"")),
            ("-1s", Err("not a valid duration string: \"-1s\"")),
            ("10", Err("not a valid duration string: \"10\"")),
            ("300y", Err("duration out of range")),
        ] {
            assert_eq!(
                parse_duration(text),
                seconds.map_err(str::to_owned),
                "{text}"
            );
        }
    }
}
