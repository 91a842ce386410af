//! Regular expressions of matchers: compiled as Prometheus reads them, and written so that the parser crate takes them.
//!
//! The parser compiles each of them by rules of its own and refuses some that Go knows. Such a one is written as a text
//! of letters, digits and characters for private use, which stand for the rest of ASCII; the tree gets it back as it was.

use std::borrow::Cow;

use regex::Regex;

use crate::model::pattern::translated;

/// Begins what stands for a pattern.
const MARK: char = '\u{f00ff}';
/// Where the copy of ASCII begins.
const COPY: u32 = 0xf_0000;

/// Anchored, and `.` matches a line's end, as in Prometheus 3.
///
/// # Errors
/// In Go's words where it is Go that would refuse it.
pub(super) fn compiled(pattern: &str) -> Result<Regex, String> {
    // Go is given the anchors too: text that `\Q` begins and nothing ends would swallow them.
    let anchored = format!("^(?s:{pattern})$");
    let translated = translated(&anchored).map_err(|why| format!("error parsing regexp: {why}"))?;
    Regex::new(&translated).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or("not a regular expression");
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        format!("error parsing regexp: {reason}: `{pattern}`")
    })
}

/// The string literal that the parser takes for a pattern; `None` where it takes the pattern itself.
///
/// # Errors
/// As [`compiled`].
pub(super) fn readable(pattern: &str) -> Result<Option<String>, String> {
    let empty = compiled(pattern)?.is_match("");
    let taken = Regex::new(&format!("^(?:{pattern})$"));
    if taken.is_ok_and(|it| it.is_match("") == empty) {
        return Ok(None);
    }
    let copy = pattern.chars().map(|c| match c {
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => {
            char::from_u32(COPY + u32::from(c)).unwrap_or(c)
        }
        c => c,
    });
    let copy: String = copy.collect();
    // The parser wants to know of every selector whether it matches the empty text.
    let bar = if empty { "|" } else { "" };
    Ok(Some(format!("\"{bar}{MARK}{copy}\"")))
}

/// The pattern that the parser read.
pub(super) fn written(read: &str) -> Cow<'_, str> {
    match read.strip_prefix('|').unwrap_or(read).strip_prefix(MARK) {
        Some(copy) => Cow::Owned(copy.chars().map(original).collect()),
        None => Cow::Borrowed(read),
    }
}

/// An expression with the patterns in it as people write them.
pub(super) fn unmarked(mut text: String) -> String {
    while let Some(mark) = text.find(MARK) {
        let from = mark + MARK.len_utf8();
        let end = text[from..].find('"').map_or(text.len(), |end| from + end);
        let mut pattern = String::new();
        for c in text[from..end].chars().map(original) {
            match c {
                '\\' | '"' => pattern.extend(['\\', c]),
                '\n' => pattern += "\\n",
                '\r' => pattern += "\\r",
                '\t' => pattern += "\\t",
                c => pattern.push(c),
            }
        }
        let bar = usize::from(text[..mark].ends_with("\"|"));
        text.replace_range(mark - bar..end, &pattern);
    }
    text
}

fn original(c: char) -> char {
    let ascii = u32::from(c).checked_sub(COPY).filter(|code| *code < 0x80);
    ascii.and_then(char::from_u32).unwrap_or(c)
}
