//! What the parser says is wrong with a file, in words that help, and where it is.

use std::ops::Range;

/// Why a text is no YAML.
#[derive(Debug)]
pub(crate) struct Broken {
    pub message: String,
    pub help: String,
    pub span: Range<usize>,
    /// Where the same key stood first.
    pub first: Option<Range<usize>>,
}

/// `place`: line and column, from 1, where the message does not say them itself.
pub(super) fn broken(text: &str, message: &str, place: Option<(u64, u64)>) -> Broken {
    let (said, within) = sentence(message);
    let (line, column) = within.or(place).unwrap_or((1, 1));
    let number = usize::try_from(line).unwrap_or(1).max(1);
    let column = usize::try_from(column).unwrap_or(1).max(1);
    let span = from(text, number, column);
    // The parser tells of a tab where the text before it began.
    if let Some(tab) = said.contains("tab").then(|| tab(text, number)).flatten() {
        return Broken {
            message: "a tab stands where YAML wants blanks".to_owned(),
            help: "indent with spaces".to_owned(),
            span: tab,
            first: None,
        };
    }
    let first = (said.contains("duplicate"))
        .then(|| first(text, number, &span))
        .flatten();
    let (message, help) = translated(&said, &text[span.clone()]);
    let span = match &first {
        Some(first) => span.start..span.start + first.len(),
        None => span,
    };
    Broken {
        message,
        help,
        span,
        first,
    }
}

/// From a place to the end of its line.
fn from(text: &str, number: usize, column: usize) -> Range<usize> {
    let before = text.split_inclusive('\n').take(number - 1).map(str::len);
    let start = before.sum::<usize>().min(text.len());
    let line = text[start..].lines().next().unwrap_or("");
    let within = line.char_indices().nth(column - 1);
    let within = within.map_or(line.len(), |(at, _)| at);
    start + within..start + line.len()
}

/// The first tab in an indentation, from a line on.
fn tab(text: &str, number: usize) -> Option<Range<usize>> {
    let mut at = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let lead = &line[..line.len() - line.trim_start_matches([' ', '\t', '-']).len()];
        if index + 1 >= number
            && let Some(tab) = lead.find('\t')
        {
            return Some(at + tab..at + tab + 1);
        }
        at += line.len();
    }
    None
}

/// The key of the same name and indentation above.
fn first(text: &str, number: usize, span: &Range<usize>) -> Option<Range<usize>> {
    let (key, _) = text[span.clone()].split_once(':')?;
    let column = span.start - text[..span.start].rfind('\n').map_or(0, |it| it + 1);
    let mut at = 0;
    let mut found = None;
    for line in text.split_inclusive('\n').take(number - 1) {
        let rest = line.get(column..).unwrap_or("");
        let lead = line.get(..column).unwrap_or("x");
        if lead.chars().all(|it| it == ' ' || it == '-')
            && rest.strip_prefix(key).is_some_and(|it| it.starts_with(':'))
        {
            found = Some(at + column..at + column + key.len());
        }
        at += line.len();
    }
    found
}

/// The parser's sentence → ours, and what to do. `rest` is the line from where it goes wrong.
fn translated(said: &str, rest: &str) -> (String, String) {
    let known = TRANSLATED.iter().find(|(theirs, ..)| said.contains(theirs));
    if let Some((_, ours, help)) = known {
        let key = rest.split(':').next().unwrap_or("").trim();
        return (ours.replace("KEY", key), (*help).to_owned());
    }
    // What speaks of the parser's settings and types says nothing to who wrote the file.
    let inside = ["Options", "policy", "::", "Error", "_", "u64", "i64", "f64"];
    if inside.iter().any(|it| said.contains(it)) {
        let word = rest.split_whitespace().next().unwrap_or("");
        let message = format!("`{word}` is no value that YAML has");
        return (message, "put it in quotes".to_owned());
    }
    let help =
        "a rule file is YAML: keys and values, lists with `- `, each level indented by spaces";
    (said.to_owned(), help.to_owned())
}

/// Words of the parser's message, what it means, what to do about it.
const TRANSLATED: [(&str, &str, &str); 13] = [
    (
        "duplicate mapping key",
        "`KEY` stands here a second time",
        "take one of them out",
    ),
    (
        "multiple YAML documents",
        "a second document begins before this",
        "take the `---` out, or make two files",
    ),
    (
        "mapping values are not allowed",
        "a `:` is not expected here",
        "put a value that holds `: ` in quotes; indent keys of one table alike",
    ),
    (
        "alias replay limit",
        "the aliases of this file stand for too much",
        "write out what they stand for",
    ),
    (
        "unknown anchor",
        "there is no anchor for this alias",
        "put a value that begins with `*` in quotes, or name the anchor: &NAME",
    ),
    (
        "expected string scalar",
        "`{` opens a table here, and its key is none",
        "put a value that begins with `{` in quotes",
    ),
    (
        "unclosed bracket",
        "this bracket is never closed",
        "close it, or put the value in quotes",
    ),
    (
        "unclosed quote",
        "this quote is never closed",
        "close it, or write the value after `|`",
    ),
    (
        "unknown escape character",
        "an escape in these double quotes that YAML does not have",
        "write `\\\\` for a backslash, or use single quotes",
    ),
    (
        "unexpected character: `%'",
        "a value cannot begin with `%`",
        "put it in quotes",
    ),
    (
        "unexpected character: `@'",
        "a value cannot begin with `@`",
        "put it in quotes",
    ),
    (
        "unexpected character: ``'",
        "a value cannot begin with a backquote",
        "put it in quotes",
    ),
    (
        "block collections are not allowed",
        "a list or a table cannot begin here",
        "begin it on a line of its own",
    ),
];

/// Without the place that the parser puts in front of it or behind, and that place.
fn sentence(message: &str) -> (String, Option<(u64, u64)>) {
    let first = message.lines().next().unwrap_or("not YAML");
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let place = |text: &str| -> Option<(u64, u64)> {
        let rest = text.strip_prefix("line ")?;
        let (line, column) = rest.split_once(" column ")?;
        Some((
            line.trim_end_matches(',').parse().ok()?,
            column.parse().ok()?,
        ))
    };
    if let Some((sentence, behind)) = first.rsplit_once(" at ")
        && let Some(place) = place(behind)
    {
        return (sentence.to_owned(), Some(place));
    }
    match first.split_once(": ") {
        Some((front, sentence)) if place(front).is_some() => (sentence.to_owned(), place(front)),
        _ => (first.to_owned(), None),
    }
}
