//! The syntax of one line, both formats: head (`name{labels}`), tail (value, timestamp, exemplar), metadata.
//! Deliberately absent: what lines mean together; `text` and `openmetrics` hold that.

use std::borrow::Cow;

use super::{Format, Limits, number};
use crate::model::Labels;
use crate::model::labels::NAME;

/// Why a line is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    Syntax(&'static str),
    /// Well formed, but over a limit.
    Limit(String),
    /// One sample more than the page may have.
    Samples,
}

impl From<&'static str> for Fault {
    fn from(message: &'static str) -> Self {
        Self::Syntax(message)
    }
}

/// A label's name and value.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Pairs as plain texts.
pub fn texts<'p>(pairs: &'p [Pair<'_>]) -> impl Iterator<Item = (&'p str, &'p str)> + Clone {
    pairs
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_ref()))
}

/// A head, unescaped. One is reused for all lines of a page.
#[derive(Debug, Default)]
pub struct Head<'a> {
    pub name: Cow<'a, str>,
    /// Sorted by name, each name once, without the metric's name.
    pub labels: Vec<Pair<'a>>,
}

impl Head<'_> {
    /// The series' labels, its name among them.
    pub fn series(&self) -> Labels {
        let at = self
            .labels
            .partition_point(|(name, _)| name.as_ref() < NAME);
        let (before, after) = self.labels.split_at(at);
        let name = std::iter::once((NAME, self.name.as_ref()));
        Labels::from_sorted(texts(before).chain(name).chain(texts(after)))
    }

    pub fn label(&self, name: &str) -> Option<&str> {
        let at = self.labels.binary_search_by(|(n, _)| n.as_ref().cmp(name));
        at.ok().map(|at| self.labels[at].1.as_ref())
    }
}

/// What stands behind a head.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Tail {
    pub value: f64,
    /// Milliseconds since the epoch.
    pub stamp: Option<i64>,
    pub exemplar: bool,
}

/// A line that is no sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meta<'a> {
    Help(Cow<'a, str>, &'a str),
    Type(Cow<'a, str>, &'a str),
    Unit(Cow<'a, str>, &'a str),
    /// A comment or an empty line; text pages only.
    Comment,
    /// `# EOF`; `OpenMetrics` only.
    Eof,
}

/// The longest exemplar, label names and values together, in characters. Definition: `OpenMetrics` 1.0.
const EXEMPLAR_CHARS_MAX: usize = 128;

/// Reads the head at the start of `line` and gives its length.
pub fn head<'a>(
    line: &'a str,
    format: Format,
    limits: &Limits,
    out: &mut Head<'a>,
) -> Result<usize, Fault> {
    out.labels.clear();
    let bytes = line.as_bytes();
    let bare = name_end(bytes, 0, true);
    let brace = blanks(bytes, bare, format);
    let mut name = (bare > 0).then(|| Cow::Borrowed(&line[..bare]));
    let mut end = bare;
    if bytes.get(brace) == Some(&b'{') {
        let at = brace + 1;
        end = labels(line, at, format, Some(&mut name), &mut out.labels)?;
    }
    out.name = name.ok_or("expected a metric name")?;
    if out.labels.len() > limits.labels {
        let count = out.labels.len();
        return Err(Fault::Limit(format!("{count} labels")));
    }
    if out.name.len() > limits.label_value_bytes {
        let bytes = out.name.len();
        return Err(Fault::Limit(format!("metric name of {bytes} bytes")));
    }
    for (name, value) in &out.labels {
        if name.len() > limits.label_name_bytes {
            let bytes = name.len();
            return Err(Fault::Limit(format!("label name of {bytes} bytes")));
        }
        if value.len() > limits.label_value_bytes {
            let bytes = value.len();
            return Err(Fault::Limit(format!("label value of {bytes} bytes")));
        }
    }
    Ok(end)
}

/// Reads labels from behind the opening brace to behind the closing one. `name` takes the quoted metric name that
/// may stand among them; without it (exemplars) none may.
fn labels<'a>(
    line: &'a str,
    mut at: usize,
    format: Format,
    mut name: Option<&mut Option<Cow<'a, str>>>,
    out: &mut Vec<Pair<'a>>,
) -> Result<usize, Fault> {
    let bytes = line.as_bytes();
    // A comma before the closing brace is an accident that text pages are forgiven.
    let mut comma = false;
    loop {
        at = blanks(bytes, at, format);
        let label = match bytes.get(at) {
            Some(b'}') if comma && format == Format::OpenMetrics => {
                return Err("comma before the closing brace".into());
            }
            Some(b'}') => break,
            Some(b'"') => {
                let (text, end) = quoted(line, at, format)?;
                at = blanks(bytes, end, format);
                if matches!(bytes.get(at), Some(b',' | b'}'))
                    && let Some(name) = name.as_deref_mut()
                {
                    if name.replace(text).is_some() {
                        return Err("second metric name".into());
                    }
                    comma = bytes[at] == b',';
                    at += usize::from(comma);
                    continue;
                }
                text
            }
            Some(_) | None => {
                let end = name_end(bytes, at, false);
                let text = &line[at..end];
                at = blanks(bytes, end, format);
                Cow::Borrowed(text)
            }
        };
        if label.is_empty() {
            return Err("expected a label name".into());
        }
        if bytes.get(at) != Some(&b'=') {
            return Err("expected '=' after the label name".into());
        }
        at = blanks(bytes, at + 1, format);
        if bytes.get(at) != Some(&b'"') {
            return Err("expected a label value in quotes".into());
        }
        let (value, end) = quoted(line, at, format)?;
        out.push((label, value));
        at = blanks(bytes, end, format);
        comma = bytes.get(at) == Some(&b',');
        if comma {
            at += 1;
        } else if bytes.get(at) != Some(&b'}')
            && (format == Format::OpenMetrics || name_end(bytes, at, false) == at)
        {
            return Err("expected a comma or a closing brace".into());
        }
    }
    if name.is_some_and(|name| name.as_ref().is_some_and(|name| name.is_empty())) {
        return Err("empty metric name".into());
    }
    in_order(out)?;
    Ok(at + 1)
}

fn in_order(labels: &mut [Pair<'_>]) -> Result<(), &'static str> {
    // Exporters mostly write them in order.
    if !labels.is_sorted_by(|a, b| a.0 < b.0) {
        labels.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        if labels.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err("label name repeated");
        }
    }
    if labels.iter().any(|(name, _)| name == NAME) {
        return Err("label __name__ is reserved");
    }
    Ok(())
}

/// A quoted string from its opening quote on, unescaped, and where it ends.
fn quoted(line: &str, quote: usize, format: Format) -> Result<(Cow<'_, str>, usize), &'static str> {
    let text = &line[quote + 1..];
    let bytes = text.as_bytes();
    let mut owned: Option<String> = None;
    let mut from = 0;
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', &bytes[at..]).ok_or("quote never closed")?;
        if bytes[at] == b'"' {
            break;
        }
        let plain = match bytes.get(at + 1) {
            Some(b'n') => Some('\n'),
            Some(b'\\') => Some('\\'),
            Some(b'"') => Some('"'),
            // OpenMetrics keeps the backslash of an escape it does not know; the text format knows no others.
            Some(_) if format == Format::OpenMetrics => None,
            Some(_) => return Err("invalid escape sequence"),
            None => return Err("quote never closed"),
        };
        let owned = owned.get_or_insert_default();
        owned.push_str(&text[from..at]);
        owned.push(plain.unwrap_or('\\'));
        from = at + 1 + usize::from(plain.is_some());
        at = from;
    }
    let end = quote + 1 + at + 1;
    Ok(match owned {
        Some(mut owned) => {
            owned.push_str(&text[from..at]);
            (Cow::Owned(owned), end)
        }
        None => (Cow::Borrowed(&text[..at]), end),
    })
}

/// Which bytes an unquoted name is made of; the colon is looked at apart.
const WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'_';
        byte += 1;
    }
    table
};

/// Where the unquoted name that starts at `at` ends; colons belong to metric names only.
fn name_end(bytes: &[u8], at: usize, colon: bool) -> usize {
    if bytes.get(at).is_some_and(u8::is_ascii_digit) {
        return at;
    }
    let mut end = at;
    while let Some(byte) = bytes.get(end)
        && (WORD[usize::from(*byte)] || (colon && *byte == b':'))
    {
        end += 1;
    }
    end
}

/// Past blanks, where the format allows any.
fn blanks(bytes: &[u8], at: usize, format: Format) -> usize {
    match format {
        Format::OpenMetrics => at,
        Format::Text => {
            let blank = |b: &&u8| **b == b' ' || **b == b'\t';
            at + bytes[at.min(bytes.len())..]
                .iter()
                .take_while(blank)
                .count()
        }
    }
}

/// Reads what stands behind a head. In text a value may touch the closing brace of a `braced` head.
pub fn tail(rest: &str, braced: bool, format: Format) -> Result<Tail, Fault> {
    if let Some(text) = rest.strip_prefix(' ')
        && let Some((value, used)) = number::plain(text.as_bytes())
        && used == text.len()
    {
        return Ok(Tail {
            value,
            stamp: None,
            exemplar: false,
        });
    }
    match format {
        Format::Text => {
            if !braced && !rest.starts_with([' ', '\t']) {
                return Err("expected a blank and a value after the metric".into());
            }
            let mut tokens = rest.split([' ', '\t']).filter(|token| !token.is_empty());
            let value = number::float(tokens.next().ok_or("expected a value")?)?;
            let stamp = tokens.next().map(number::millis).transpose()?;
            if tokens.next().is_some() {
                return Err("text after the timestamp".into());
            }
            Ok(Tail {
                value,
                stamp,
                exemplar: false,
            })
        }
        Format::OpenMetrics => {
            let rest = rest
                .strip_prefix(' ')
                .ok_or("expected one space before the value")?;
            let (value, mut rest) = token(rest);
            let value = number::float(value)?;
            let mut stamp = None;
            if let Some(more) = rest
                && !more.starts_with('#')
            {
                let (text, more) = token(more);
                stamp = Some(number::seconds(text)?);
                rest = more;
            }
            if let Some(text) = rest {
                exemplar(text)?;
            }
            Ok(Tail {
                value,
                stamp,
                exemplar: rest.is_some(),
            })
        }
    }
}

/// Up to a space; what follows the space.
fn token(text: &str) -> (&str, Option<&str>) {
    match text.split_once(' ') {
        Some((token, rest)) => (token, Some(rest)),
        None => (text, None),
    }
}

/// `# {labels} value [timestamp]`.
fn exemplar(text: &str) -> Result<(), Fault> {
    let inner = text.strip_prefix("# {").ok_or("expected an exemplar")?;
    let mut pairs = Vec::new();
    let end = labels(inner, 0, Format::OpenMetrics, None, &mut pairs)?;
    let chars = |pair: &(Cow<str>, Cow<str>)| pair.0.chars().count() + pair.1.chars().count();
    if pairs.iter().map(chars).sum::<usize>() > EXEMPLAR_CHARS_MAX {
        return Err("exemplar labels over 128 characters".into());
    }
    let rest = inner[end..]
        .strip_prefix(' ')
        .ok_or("expected one space before the exemplar's value")?;
    let (value, stamp) = token(rest);
    number::float(value)?;
    stamp.map(number::seconds).transpose()?;
    Ok(())
}

/// Reads a line that starts with `#` or, in text pages, is blank.
pub fn meta(line: &str, format: Format) -> Result<Meta<'_>, &'static str> {
    let strict = format == Format::OpenMetrics;
    if strict && line == "# EOF" {
        return Ok(Meta::Eof);
    }
    let blank: &[char] = if strict { &[' '] } else { &[' ', '\t'] };
    let Some(text) = line.strip_prefix('#').and_then(|t| t.strip_prefix(blank)) else {
        return if strict {
            Err("only HELP, TYPE, UNIT and EOF may follow '#'")
        } else {
            Ok(Meta::Comment)
        };
    };
    let text = if strict {
        text
    } else {
        text.trim_start_matches(blank)
    };
    let (word, rest) = match text.split_once(blank) {
        Some((word @ ("HELP" | "TYPE"), rest)) => (word, rest),
        Some((word @ "UNIT", rest)) if strict => (word, rest),
        Some(_) | None if strict => return Err("only HELP, TYPE, UNIT and EOF may follow '#'"),
        Some(_) | None => return Ok(Meta::Comment),
    };
    let rest = if strict {
        rest
    } else {
        rest.trim_start_matches(blank)
    };
    if rest.is_empty() && word == "HELP" && !strict {
        return Ok(Meta::Comment);
    }
    let (name, end) = if rest.starts_with('"') {
        quoted(rest, 0, format)?
    } else {
        let end = name_end(rest.as_bytes(), 0, true);
        (Cow::Borrowed(&rest[..end]), end)
    };
    if name.is_empty() {
        return Err("invalid metric name in comment");
    }
    let rest = &rest[end..];
    let text = match rest.strip_prefix(blank) {
        Some(text) if strict => text,
        Some(text) => text.trim_start_matches(blank),
        None if rest.is_empty() && !strict => rest,
        None if rest.is_empty() => return Err("expected a text after the name"),
        None => return Err("invalid metric name in comment"),
    };
    Ok(match word {
        "HELP" => Meta::Help(name, text),
        "TYPE" => Meta::Type(name, text),
        _ => Meta::Unit(name, text),
    })
}

/// The first of a line for a message: control characters escaped, 80 bytes at most.
pub fn excerpt(line: &[u8]) -> String {
    const BYTES_MAX: usize = 80;
    let mut text = String::new();
    for char in String::from_utf8_lossy(&line[..line.len().min(BYTES_MAX)]).chars() {
        let before = text.len();
        match char {
            '"' | '\'' => text.push(char),
            _ => text.extend(char.escape_debug()),
        }
        if text.len() > BYTES_MAX {
            text.truncate(before);
            break;
        }
    }
    text
}
