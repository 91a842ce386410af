//! Numbers with units, as people write them: `2h 30m`, `0.5%`, `64MiB`, `> 50% of baseline`. The home of `humantime`.
//! Deliberately absent: places in files; spans here count from the start of the text that was given.

use std::ops::Range;
use std::time::Duration;

use super::{Bound, Op};
use crate::model::{Ratio, Unit};

/// Ten years: more is a slip of the pen, and windows are bounded by it.
const DURATION_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What is wrong with a text, where in it, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub span: Range<usize>,
    pub message: String,
    pub help: String,
}

impl Wrong {
    pub(super) fn new(
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            span,
            message: message.into(),
            help: help.into(),
        }
    }

    /// The same, counted from `by` bytes earlier.
    pub(super) fn shifted(mut self, by: usize) -> Self {
        self.span = self.span.start + by..self.span.end + by;
        self
    }
}

/// Reads `30s`, `1h30m`, `2h 30m`, `1d`. A bare number, a repeated unit and `M` (a month to some, a minute to others)
/// are refused, as is more than ten years.
pub fn duration(text: &str) -> Result<Duration, Wrong> {
    let all = 0..text.len();
    let help = "write a duration with its unit, such as \"30s\", \"500ms\", \"2h 30m\" or \"1d\"";
    if let Ok(number) = text.trim().parse::<f64>() {
        return Err(if number.is_finite() {
            let help = format!("write \"{number}s\" for seconds, \"{number}m\" for minutes");
            Wrong::new(all, format!("`{text}` has no unit"), help)
        } else {
            Wrong::new(all, format!("`{text}` is not a duration"), help)
        });
    }
    let mut seen: Vec<&str> = Vec::new();
    for unit in text
        .split(|c: char| !c.is_alphabetic())
        .filter(|u| !u.is_empty())
    {
        if unit == "M" {
            let message = format!("`M` in `{text}` would be a month");
            let help = "write \"m\" for minutes, \"30d\" for a month";
            return Err(Wrong::new(all, message, help));
        }
        if seen.contains(&unit) {
            let message = format!("`{text}` names the unit `{unit}` twice");
            return Err(Wrong::new(all, message, "write each unit once"));
        }
        seen.push(unit);
    }
    match humantime::parse_duration(text) {
        Ok(duration) if duration > DURATION_MAX => Err(Wrong::new(
            all,
            format!("`{text}` is too long"),
            "write ten years at most",
        )),
        Ok(duration) => Ok(duration),
        Err(_) => Err(Wrong::new(all, format!("`{text}` is not a duration"), help)),
    }
}

/// As people write it: `1m 30s`.
pub fn spelled(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// Reads `64MiB`, `10kB`, `512 B`: bytes.
pub fn size(text: &str) -> Result<f64, Wrong> {
    const UNITS: [(&str, f64); 9] = [
        ("B", 1.0),
        ("kB", 1e3),
        ("KB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("TiB", 1_099_511_627_776.0),
    ];
    let (number, unit) = number_and_rest(text);
    let scale = UNITS.iter().find(|(name, _)| *name == unit);
    match (number, scale) {
        (Some(number), Some((_, scale))) => Ok(number * scale),
        (Some(number), None) if unit.is_empty() => Err(Wrong::new(
            0..text.len(),
            format!("`{text}` has no unit"),
            format!("write \"{number}MiB\", or \"{number}B\" for bytes"),
        )),
        _ => Err(Wrong::new(
            0..text.len(),
            format!("`{text}` is not a size"),
            "write a size with its unit, such as \"64MiB\" or \"10kB\"",
        )),
    }
}

/// Reads `0.5%` or `0.005`. A bare number above 1 is refused: it was meant as percent or was not, who knows.
pub fn share(text: &str) -> Result<f64, Wrong> {
    let wrong = |message: String, help: String| Err(Wrong::new(0..text.len(), message, help));
    match text.parse::<Ratio>() {
        Ok(share) if share.get().abs() > 1.0 && !text.contains('%') => wrong(
            format!("`{text}` as a share is {share}"),
            format!("write \"{}%\" or \"{share}\"", text.trim()),
        ),
        Ok(share) => Ok(share.get()),
        Err(_) => wrong(
            format!("`{text}` is not a share"),
            "write \"0.5%\" or 0.005".to_owned(),
        ),
    }
}

/// Reads what a signal in `unit` is compared with: `500ms`, `1%`, `400MiB`, `5`, `5 per hour`, `50% of baseline`.
pub fn bound(text: &str, unit: Unit) -> Result<Bound, Wrong> {
    if let Some(part) = text.strip_suffix("of baseline") {
        let percent = part
            .trim_end()
            .strip_suffix('%')
            .and_then(|n| finite(n.trim()));
        return match percent {
            Some(percent) if percent >= 0.0 => Ok(Bound::OfBaseline(percent / 100.0)),
            _ => Err(Wrong::new(
                0..text.len(),
                format!("`{}` is no share of a baseline", part.trim()),
                "write \"50% of baseline\" or \"150% of baseline\"",
            )),
        };
    }
    let value = match unit {
        Unit::Seconds => duration(text)
            .map(|it| it.as_secs_f64())
            .map_err(|wrong| in_seconds(text, wrong)),
        Unit::Ratio => share(text),
        Unit::Bytes => size(text),
        Unit::PerSecond | Unit::PerMinute | Unit::PerHour => per(text, unit),
        Unit::Count | Unit::Score | Unit::None => finite(text).ok_or_else(|| {
            let help = match number_and_rest(text).0 {
                Some(number) => format!("write {number}"),
                None => "write a number".to_owned(),
            };
            let message = format!("`{text}` is not a number, and the signal's unit is `{unit}`");
            Wrong::new(0..text.len(), message, help)
        }),
    }?;
    Ok(Bound::Value(value))
}

/// For a signal in seconds most bounds are a few hundred milliseconds: a bare number above 10 was meant as these.
fn in_seconds(text: &str, wrong: Wrong) -> Wrong {
    let Some(number) = finite(text) else {
        return wrong;
    };
    let suggested = if number > 10.0 { "ms" } else { "s" };
    Wrong {
        message: format!("`{text}` has no unit, and the signal is measured in seconds"),
        help: format!("write \"{number}{suggested}\""),
        ..wrong
    }
}

/// A rate: bare in the signal's own unit, or `5 per hour`, `5/h`.
fn per(text: &str, unit: Unit) -> Result<f64, Wrong> {
    const SECONDS: [(f64, Unit, &[&str]); 3] = [
        (
            1.0,
            Unit::PerSecond,
            &["per second", "/s", "per_second", "rps"],
        ),
        (
            60.0,
            Unit::PerMinute,
            &["per minute", "/m", "/min", "per_minute"],
        ),
        (3600.0, Unit::PerHour, &["per hour", "/h", "per_hour"]),
    ];
    let (number, rest) = number_and_rest(text);
    let own = SECONDS.iter().find(|it| it.1 == unit);
    let given = SECONDS.iter().find(|it| it.2.contains(&rest));
    match (number, own, given) {
        (Some(number), ..) if rest.is_empty() => Ok(number),
        (Some(number), Some(own), Some(given)) => Ok(number * own.0 / given.0),
        _ => Err(Wrong::new(
            0..text.len(),
            format!("`{text}` is not a rate, and the signal's unit is `{unit}`"),
            "write a number in the signal's unit, or \"5 per second\", \"5 per minute\", \"5 per hour\"",
        )),
    }
}

/// The leading number and what follows it.
fn number_and_rest(text: &str) -> (Option<f64>, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| !matches!(c, '0'..='9' | '.' | '-' | '+'))
        .unwrap_or(text.len());
    (finite(&text[..end]), text[end..].trim())
}

/// A finite decimal number; `nan`, `inf` and hexadecimal are none.
pub fn finite(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|it: &f64| it.is_finite())
}

/// Takes the comparison off the front of `> 500ms`.
pub fn op(text: &str) -> Result<(Op, &str), Wrong> {
    const OPS: [(&str, Op); 6] = [
        ("<=", Op::Le),
        (">=", Op::Ge),
        ("==", Op::Eq),
        ("!=", Op::Ne),
        ("<", Op::Lt),
        (">", Op::Gt),
    ];
    OPS.iter()
        .find_map(|(word, op)| text.strip_prefix(word).map(|rest| (*op, rest)))
        .ok_or_else(|| {
            let first = text.chars().next().map_or(0, char::len_utf8);
            let help = if text.starts_with('=') {
                "write `==` to compare for equality"
            } else {
                "write one of < <= > >= == != and then the bound, such as \"< 100ms\""
            };
            Wrong::new(0..first, "a comparison is missing here", help)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_in_the_signals_unit() {
        for (text, unit, value) in [
            ("500ms", Unit::Seconds, 0.5),
            ("1m 30s", Unit::Seconds, 90.0),
            ("1h30m", Unit::Seconds, 5400.0),
            ("1%", Unit::Ratio, 0.01),
            ("0.01", Unit::Ratio, 0.01),
            ("150%", Unit::Ratio, 1.5),
            ("0%", Unit::Ratio, 0.0),
            ("400MiB", Unit::Bytes, 419_430_400.0),
            ("1.5 kB", Unit::Bytes, 1500.0),
            ("5", Unit::Count, 5.0),
            ("-2.5", Unit::Score, -2.5),
            ("1e3", Unit::None, 1000.0),
            ("5", Unit::PerHour, 5.0),
            ("5 per hour", Unit::PerHour, 5.0),
            ("5 per minute", Unit::PerHour, 300.0),
            ("120 per minute", Unit::PerSecond, 2.0),
            ("3/s", Unit::PerMinute, 180.0),
        ] {
            assert_eq!(bound(text, unit), Ok(Bound::Value(value)), "{text}");
        }
        assert_eq!(
            bound("50% of baseline", Unit::PerSecond),
            Ok(Bound::OfBaseline(0.5))
        );
        assert_eq!(
            bound("150 %  of baseline", Unit::Seconds),
            Ok(Bound::OfBaseline(1.5))
        );
    }

    #[test]
    fn a_bound_without_its_unit_says_what_to_write() {
        for (text, unit, help) in [
            ("500", Unit::Seconds, "write \"500ms\""),
            ("0.5", Unit::Seconds, "write \"0.5s\""),
            ("5", Unit::Ratio, "write \"5%\" or \"500%\""),
            (
                "400",
                Unit::Bytes,
                "write \"400MiB\", or \"400B\" for bytes",
            ),
            ("4/5", Unit::Score, "write 4"),
            (
                "1M",
                Unit::Seconds,
                "write \"m\" for minutes, \"30d\" for a month",
            ),
        ] {
            assert_eq!(bound(text, unit).unwrap_err().help, help, "{text}");
        }
    }

    #[test]
    fn what_is_not_finite_or_not_of_the_unit_is_refused() {
        for unit in Unit::ALL {
            for text in [
                "nan",
                "inf",
                "-inf",
                "NaN%",
                "",
                "x",
                "of baseline",
                "nan% of baseline",
                "1 2",
            ] {
                assert!(bound(text, *unit).is_err(), "{text} as {unit}");
            }
        }
        for (text, unit) in [
            ("1%", Unit::Seconds),
            ("500ms", Unit::Ratio),
            ("5s", Unit::Bytes),
            ("5s", Unit::PerSecond),
        ] {
            assert!(bound(text, unit).is_err(), "{text} as {unit}");
        }
    }

    #[test]
    fn durations_take_both_spellings_and_no_slips() {
        for (text, seconds) in [
            ("90s", 90),
            ("1d", 86_400),
            ("1h30m", 5400),
            ("2h 30m", 9000),
            ("1w", 604_800),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in [
            "",
            "30",
            "1M",
            "2h2h",
            "-5s",
            "soon",
            "5 parsecs",
            "nan",
            "inf",
            "100y",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
