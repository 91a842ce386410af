//! What stands below TOML's values: how its strings are written, what its parser says, `${NAME}` in strings.

use std::ops::Range;

use super::fault::{Fault, Grade, Place};

/// The parser's errors as faults. A repeated key names the place where it stood first.
pub fn faults(source: usize, text: &str, errors: Vec<(String, Range<usize>)>) -> Vec<Fault> {
    let mut errors = errors;
    errors.sort_by_key(|(_, span)| span.start);
    let mut faults: Vec<Fault> = Vec::new();
    for (message, span) in errors {
        // A table that is repeated repeats its keys: one fault says it.
        let header_repeats = faults.last().is_some_and(|last| {
            last.also.is_some()
                && is_header(text, last.span.start)
                && !text[last.span.end..span.start.max(last.span.end)].contains("\n[")
        });
        if message == "duplicate key" && header_repeats {
            continue;
        }
        faults.push(fault(source, text, &message, span));
    }
    faults
}

fn fault(source: usize, text: &str, message: &str, span: Range<usize>) -> Fault {
    let mut fault = Fault {
        grade: Grade::Error,
        source,
        span: span.clone(),
        message: format!("this is not TOML: {message}"),
        help: String::new(),
        also: None,
    };
    if message == "duplicate key" {
        let what = &text[span.clone()];
        fault.message = format!("`{what}` stands here a second time");
        "remove one, or give it another name".clone_into(&mut fault.help);
        fault.also =
            first(text, &span).map(|span| (Place { source, span }, "first here".to_owned()));
    } else if message.starts_with("string values must be quoted") {
        let what = text[line_around(text, span.start)].split_once('=');
        let value = what.map_or("", |(_, value)| value.trim());
        if value.is_empty() {
            "the value is missing".clone_into(&mut fault.message);
            "write one after the `=`".clone_into(&mut fault.help);
        } else {
            fault.message = format!("`{value}` is no TOML value");
            let quote = if value.contains('"') { '\'' } else { '"' };
            fault.help = format!("write {quote}{value}{quote}");
        }
    }
    fault
}

/// Where a repeated header or key stood before.
fn first(text: &str, span: &Range<usize>) -> Option<Range<usize>> {
    let line = text[line_around(text, span.start)].trim();
    let before = &text[..line_around(text, span.start).start];
    let header = is_header(text, span.start);
    let start_of_table = before.rfind("\n[").map_or(0, |at| at + 1);
    let mut at = if header { 0 } else { start_of_table };
    for earlier in before[at..].split_inclusive('\n') {
        let same = if header {
            earlier.trim() == line
        } else {
            earlier.split('=').next().map(str::trim) == Some(&text[span.clone()])
        };
        if same {
            return Some(at..at + earlier.trim_end().len());
        }
        at += earlier.len();
    }
    None
}

fn is_header(text: &str, at: usize) -> bool {
    text[line_around(text, at)].trim_start().starts_with('[')
}

/// The line that holds a byte, without its line break.
pub fn line_around(text: &str, at: usize) -> Range<usize> {
    let at = (0..=at.min(text.len()))
        .rev()
        .find(|it| text.is_char_boundary(*it))
        .unwrap_or(0);
    let start = text[..at].rfind('\n').map_or(0, |it| it + 1);
    let end = text[at..].find('\n').map_or(text.len(), |it| at + it);
    start..end
}

/// Where `value` begins in a string as written (quotes included), if it stands there byte for byte.
pub fn verbatim(written: &str, value: &str) -> Option<usize> {
    let quote = ["\"\"\"", "'''", "\"", "'"]
        .into_iter()
        .find(|it| written.starts_with(it) && written.len() >= 2 * it.len())?;
    let inner = written.strip_prefix(quote)?.strip_suffix(quote)?;
    let trimmed = if quote.len() == 3 {
        inner
            .strip_prefix("\r\n")
            .or(inner.strip_prefix('\n'))
            .unwrap_or(inner)
    } else {
        inner
    };
    (trimmed == value).then(|| written.len() - quote.len() - trimmed.len())
}

/// Puts values for `${NAME}` and `${NAME:-default}`; `$${` is a plain `${`, and so is one that no name follows
/// (`PromQL`'s `${1}`). Names without a value are listed.
pub fn expand(raw: &str, env: &dyn Fn(&str) -> Option<String>, unset: &mut Vec<String>) -> String {
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            value.push_str(&rest[..at - 1]);
            value.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        value.push_str(&rest[..at]);
        let after = &rest[at + 2..];
        let Some((inner, tail)) = after.split_once('}') else {
            value.push_str("${");
            rest = after;
            continue;
        };
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        if is_name(name) {
            // As in a shell, `:-` also stands in for a variable that is set to nothing.
            let found = env(name).filter(|it| default.is_none() || !it.is_empty());
            match found.or(default.map(str::to_owned)) {
                Some(found) => value.push_str(&found),
                None => unset.push(name.to_owned()),
            }
            rest = tail;
        } else {
            value.push_str("${");
            rest = after;
        }
    }
    value.push_str(rest);
    value
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_put_in() {
        let env = |name: &str| match name {
            "A" => Some("one".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (raw, value, missing) in [
            ("${A} and ${A}", "one and one", vec![]),
            ("${B:-two}", "two", vec![]),
            ("[${EMPTY}${EMPTY:-x}]", "[x]", vec![]),
            ("${B}/${C}", "/", vec!["B", "C"]),
            ("$${A} $A ${1} ${", "${A} $A ${1} ${", vec![]),
            ("é${A}é", "éoneé", vec![]),
        ] {
            let mut unset = Vec::new();
            assert_eq!(expand(raw, &env, &mut unset), value, "{raw}");
            assert_eq!(unset, missing, "{raw}");
        }
    }

    #[test]
    fn a_plain_string_is_found_in_its_quotes() {
        for (written, value, at) in [
            ("\"a b\"", "a b", Some(1)),
            ("'a'", "a", Some(1)),
            ("'''\na'''", "a", Some(4)),
            ("\"\"\"a\"\"\"", "a", Some(3)),
            ("\"a\\nb\"", "a\nb", None),
            ("\"${A}\"", "one", None),
            ("\"", "", None),
            ("''", "", Some(1)),
        ] {
            assert_eq!(verbatim(written, value), at, "{written}");
        }
    }
}
