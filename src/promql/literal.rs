//! Numbers, strings and durations as Prometheus reads them, where the parser crate reads them otherwise.

use std::ops::Range;

use super::lex::ParseError;

/// Seconds that a duration may have: what 64 bits hold in nanoseconds.
const SECONDS_MAX: f64 = 9_223_372_036.854_775;

/// What the parser is given instead of a string or a number; `None`: what is written.
///
/// # Errors
/// A number that no float holds.
pub(super) fn readable(word: &str, span: &Range<usize>) -> Result<Option<String>, ParseError> {
    if let Some(raw) = word.strip_prefix('`') {
        // The parser takes a backslash for an escape in raw strings too.
        let raw = raw.strip_suffix('`').filter(|raw| raw.contains('\\'));
        return Ok(raw.map(quoted));
    }
    match number(word) {
        Some(number) if number.is_infinite() => {
            let message = format!("`{word}` is out of range");
            Err(ParseError::new(message, Some(span.clone())))
        }
        Some(_) if word.contains('_') => Ok(Some(word.replace('_', ""))),
        _ => Ok(None),
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '\\' | '"' => out.extend(['\\', c]),
            '\n' => out += "\\n",
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A number that is no duration: decimal or `0x…`, with `_` between digits.
pub(super) fn number(word: &str) -> Option<f64> {
    if !word.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !separates(word) {
        return None;
    }
    let digits = word.replace('_', "");
    let hex = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    match hex {
        #[allow(
            clippy::cast_precision_loss,
            reason = "what the nearest float to a whole number is, is what is asked"
        )]
        Some(hex) => i64::from_str_radix(hex, 16).ok().map(|it| it as f64),
        None => digits.parse().ok(),
    }
}

/// Whether every `_` stands between two digits, or between `0x` and one.
fn separates(word: &str) -> bool {
    let hex = word.starts_with("0x") || word.starts_with("0X");
    let digit = |b: u8| b.is_ascii_digit() || (hex && b.is_ascii_hexdigit());
    let bytes = word.as_bytes();
    let mut places = (0..bytes.len()).filter(|at| bytes[*at] == b'_');
    places.all(|at| {
        let before = at > 0 && (digit(bytes[at - 1]) || (hex && at == 2));
        before && bytes.get(at + 1).is_some_and(|b| digit(*b))
    })
}

/// # Errors
/// A length of time that Prometheus cannot hold, about 292 years.
pub(super) fn within_range(seconds: f64, span: &Range<usize>) -> Result<f64, ParseError> {
    if seconds.abs() < SECONDS_MAX {
        return Ok(seconds);
    }
    Err(ParseError::new("duration out of range", Some(span.clone())))
}

/// # Errors
/// As [`within_range`], and what is not after zero.
pub(super) fn positive(seconds: f64, span: &Range<usize>) -> Result<f64, ParseError> {
    if seconds > 0.0 {
        return within_range(seconds, span);
    }
    Err(ParseError::new(
        "duration must be greater than 0",
        Some(span.clone()),
    ))
}

/// The moment behind `@`, as a number with its sign.
///
/// # Errors
/// More seconds than 64 bits hold.
pub(super) fn moment(seconds: f64, span: &Range<usize>) -> Result<(), ParseError> {
    if seconds.abs() < 2.0_f64.powi(63) {
        return Ok(());
    }
    let message = format!("timestamp out of bounds for @ modifier: {seconds:.6}");
    Err(ParseError::new(message, Some(span.clone())))
}
