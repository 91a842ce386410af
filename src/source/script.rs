//! promtool's series notation (`1+1x10`, `_`, `stale`): what a rule test's input looks like at each interval.

use std::ops::Range;

use crate::model::Labels;
use crate::model::STALE;

/// More samples of one series than any test needs: what is longer is a slip of the pen.
const SAMPLES_MAX: usize = 1_000_000;

/// By interval from the start: a value (the staleness marker for `stale`), or no sample.
pub type Samples = Vec<Option<f64>>;

/// Why a text is not a series, or not its values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScriptError {
    pub message: String,
    /// Bytes of the text at fault.
    pub span: Range<usize>,
}

impl ScriptError {
    fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        let message = message.into();
        Self { message, span }
    }
}

/// A label set as a selector of equalities writes it: `name{label="value"}`, `{label="value"}`, `{}`.
///
/// # Errors
/// What is no label set.
pub fn labels(text: &str) -> Result<Labels, ScriptError> {
    let wrong = |why: &str| {
        let message = format!("`{text}` is not a series: {why}");
        ScriptError::new(message, 0..text.len())
    };
    let (name, rest) = match text.find('{') {
        Some(brace) => text.split_at(brace),
        None => (text, "{}"),
    };
    let name = name.trim();
    if name.contains(|c: char| c.is_whitespace() || c == '"') {
        return Err(wrong("a name has no blanks"));
    }
    let inside = rest
        .trim()
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or_else(|| wrong("the braces are not closed"))?;
    let mut pairs: Vec<(String, String)> = Vec::new();
    if !name.is_empty() {
        pairs.push((crate::model::labels::NAME.to_owned(), name.to_owned()));
    }
    let mut rest = inside.trim_start();
    while !rest.is_empty() {
        let (label, after) = label_name(rest).ok_or_else(|| wrong("a label's name is missing"))?;
        let after = after.trim_start();
        let value = match after.strip_prefix('=') {
            Some(value) => value.trim_start(),
            // A quoted name alone is the metric's.
            None if rest.starts_with(['"', '\'']) => {
                pairs.push((crate::model::labels::NAME.to_owned(), label));
                rest = comma(after).ok_or_else(|| wrong("a comma is missing"))?;
                continue;
            }
            None => return Err(wrong("write label=\"value\"")),
        };
        let (value, after) = quoted(value).ok_or_else(|| wrong("a value stands in quotes"))?;
        if pairs.iter().any(|(known, _)| *known == label) {
            return Err(wrong(&format!("`{label}` stands there twice")));
        }
        pairs.push((label, value));
        rest = comma(after).ok_or_else(|| wrong("a comma is missing"))?;
    }
    Ok(Labels::new(pairs))
}

fn comma(rest: &str) -> Option<&str> {
    let rest = rest.trim_start();
    match rest.strip_prefix(',') {
        Some(rest) => Some(rest.trim_start()),
        None => rest.is_empty().then_some(rest),
    }
}

fn label_name(text: &str) -> Option<(String, &str)> {
    if text.starts_with(['"', '\'']) {
        return quoted(text);
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    (!name.is_empty()).then(|| (name.to_owned(), rest))
}

/// A string in double, single or back quotes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote != '`' => value.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            }),
            _ if c == quote => return Some((value, &text[at + c.len_utf8()..])),
            _ => value.push(c),
        }
    }
    None
}

/// By interval: values of `1 2 3`, `1+2x3`, `_x5`, `stale`.
///
/// # Errors
/// What is no such list, and native histograms, which gated does not hold.
pub fn values(text: &str) -> Result<Samples, ScriptError> {
    if let Some(start) = text.find("{{") {
        let end = text.rfind("}}").map_or(text.len(), |end| end + 2);
        let message = "native histograms are not evaluated by gated";
        return Err(ScriptError::new(message, start..end.max(start)));
    }
    let mut values = Vec::new();
    for item in text.split_whitespace() {
        let start = item.as_ptr() as usize - text.as_ptr() as usize;
        let span = start..start + item.len();
        let wrong = || {
            let message = format!("`{item}` is no value; write 1, 1+2x3, _, _x3 or stale");
            ScriptError::new(message, span.clone())
        };
        match item.split_once('x') {
            None if item == "_" => values.push(None),
            None if item == "stale" => values.push(Some(STALE)),
            None => values.push(Some(number(item).ok_or_else(wrong)?)),
            Some((start, times)) => {
                let digits = times.bytes().all(|it| it.is_ascii_digit());
                let times = times.parse().ok().filter(|_| digits);
                let times: usize = times.ok_or_else(wrong)?;
                if values.len().saturating_add(times) > SAMPLES_MAX {
                    let message = format!("`{item}`: more than {SAMPLES_MAX} samples of a series");
                    return Err(ScriptError::new(message, span));
                }
                if start == "_" {
                    values.extend(vec![None; times]);
                    continue;
                }
                let (mut value, step) = progression(start).ok_or_else(wrong)?;
                for _ in 0..=times {
                    values.push(Some(value));
                    value += step;
                }
            }
        }
    }
    Ok(values)
}

/// `1+2` or `1-2` or `1`; signs of exponents and of the first number are not the step's.
fn progression(text: &str) -> Option<(f64, f64)> {
    let sign = text.char_indices().skip(1).find(|(at, c)| {
        let exponent = text[..*at].ends_with(['e', 'E']);
        (*c == '+' || *c == '-') && !exponent
    });
    match sign {
        Some((at, _)) => Some((number(&text[..at])?, number(&text[at..])?)),
        None => Some((number(text)?, 0.0)),
    }
}

/// A value as YAML and the notation write it: `NaN`, `Inf`, `.nan`, `.inf` and hexadecimal ones too.
#[must_use]
pub fn number(text: &str) -> Option<f64> {
    let unsigned = text.trim_start_matches(['+', '-']);
    if let Some(hex) = unsigned.strip_prefix("0x").or(unsigned.strip_prefix("0X")) {
        #[allow(
            clippy::cast_precision_loss,
            reason = "as Go reads a hexadecimal float"
        )]
        let value = u64::from_str_radix(hex, 16).ok()? as f64;
        return Some(if text.starts_with('-') { -value } else { value });
    }
    let special = match unsigned.to_ascii_lowercase().as_str() {
        ".nan" => Some(f64::NAN),
        ".inf" => Some(f64::INFINITY),
        _ => None,
    };
    match special {
        Some(value) => Some(if text.starts_with('-') { -value } else { value }),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_promtools() {
        let shown = |text: &str| {
            let one = |value: &Option<f64>| match value {
                None => "_".to_owned(),
                Some(value) if crate::model::is_stale(*value) => "stale".to_owned(),
                Some(value) => value.to_string(),
            };
            match values(text) {
                Ok(values) => values.iter().map(one).collect::<Vec<_>>().join(" "),
                Err(error) => error.to_string(),
            }
        };
        for (text, expected) in [
            ("", ""),
            (
                "1 _ stale -2.5 1e3 NaN -Inf",
                "1 _ stale -2.5 1000 NaN -inf",
            ),
            ("1+2x3", "1 3 5 7"),
            ("-1-1x2", "-1 -2 -3"),
            ("1x2 _x2 1e-1+1x1", "1 1 1 _ _ 0.1 1.1"),
            ("0x3", "0 0 0 0"),
            ("0x10", "0 0 0 0 0 0 0 0 0 0 0"), // not sixteen
            ("1+1x3 1-1x3 -5x2", "1 2 3 4 1 0 -1 -2 -5 -5 -5"),
            ("1.5e3 Inf +Inf .5 1e1+1e1x1", "1500 inf inf 0.5 10 20"),
            (
                "1x+3",
                "`1x+3` is no value; write 1, 1+2x3, _, _x3 or stale",
            ),
            ("1+2", "`1+2` is no value; write 1, 1+2x3, _, _x3 or stale"),
            (
                "0x1f",
                "`0x1f` is no value; write 1, 1+2x3, _, _x3 or stale",
            ),
            (
                "stalex3",
                "`stalex3` is no value; write 1, 1+2x3, _, _x3 or stale",
            ),
            (
                "1_000",
                "`1_000` is no value; write 1, 1+2x3, _, _x3 or stale",
            ),
            ("1 b", "`b` is no value; write 1, 1+2x3, _, _x3 or stale"),
            ("1x", "`1x` is no value; write 1, 1+2x3, _, _x3 or stale"),
            (
                "{{count:1}}",
                "native histograms are not evaluated by gated",
            ),
            (
                "1x9999999",
                "`1x9999999`: more than 1000000 samples of a series",
            ),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn series_are_label_sets() {
        for (text, expected) in [
            ("up", "up"),
            ("up{}", "up"),
            ("{}", "{}"),
            ("a{b=\"c\", d='e}',}", "a{b=\"c\",d=\"e}\"}"),
            ("{__name__=\"a\",b=\"x\\\"y\"}", "a{b=\"x\\\"y\"}"),
            ("{\"a.b\", c=\"d\"}", "a.b{c=\"d\"}"),
        ] {
            let read = labels(text).unwrap();
            let again = labels(&read.to_string()).unwrap();
            assert_eq!(read, again, "{text}");
            assert_eq!(read.to_string(), expected, "{text}");
        }
        for text in [
            "a{",
            "a{b}",
            "a{b=c}",
            "a b",
            "a{b=\"c\" d=\"e\"}",
            "a{b=\"1\",b=\"2\"}",
        ] {
            assert!(labels(text).is_err(), "{text}");
        }
    }
}
