//! `anchored` and `smoothed` as they are written: which selector they stand behind.
//!
//! The parser crate does not know them, but keeps them as words of its own. They are taken out of the text, and a matcher that matches everything is left in
//! the selector to say which of them it was.

use std::ops::Range;

use super::edges::Edges;
use super::lex::{ParseError, Piece, Token};

/// A place in the text and what stands there instead.
pub(super) type Change = (Range<usize>, String);

/// The label of the marker.
pub(super) const MARKER: &str = "__gated_edges__";

/// The changes that take the word at `index` out and mark its selector; `None` where no selector stands before it: the
/// parser then refuses it, since it keeps both words.
///
/// # Errors
/// Behind a subquery, and where the selector has one already.
pub(super) fn changes(
    text: &str,
    tokens: &[Token],
    index: usize,
) -> Result<Option<[Change; 2]>, ParseError> {
    let behind = Behind { text, tokens };
    let span = tokens[index].span.clone();
    let Some(edges) = Edges::named(&text[span.clone()]) else {
        return Ok(None);
    };
    let Some(found) = behind.selector(index)? else {
        return Ok(None);
    };
    let matcher = format!("{MARKER}=~\"{}|\"", edges.name());
    let mark = match found {
        Selector::Name(at) => {
            let Range { start, end } = tokens[at].span.clone();
            let word = &text[start..end];
            if Edges::named(word).is_some() {
                (start..end, format!("{{\"{word}\",{matcher}}}"))
            } else {
                (end..end, format!("{{{matcher}}}"))
            }
        }
        Selector::Braces(open) => {
            let end = tokens[open].span.end;
            let empty = tokens[open + 1].piece == Piece::Close;
            (end..end, matcher + if empty { "" } else { "," })
        }
    };
    Ok(Some([mark, (span, String::new())]))
}

/// The change that quotes the word at `index` where it is the name of a metric or of a label; `open`: the bracket it
/// stands in. `None` for what is no such word, and where no name may stand.
pub(super) fn name(
    text: &str,
    tokens: &[Token],
    index: usize,
    open: Option<&usize>,
) -> Option<Change> {
    let behind = Behind { text, tokens };
    let span = tokens[index].span.clone();
    let word = &text[span.clone()];
    Edges::named(word)?;
    let bracket = open.map_or("", |open| behind.word(*open));
    if bracket == "{" || open.is_some_and(|open| behind.groups(*open)) {
        return Some((span, format!("\"{word}\"")));
    }
    let named = match index.checked_sub(1) {
        None => true,
        Some(before) => match tokens[before].piece {
            Piece::Close => behind.groups(behind.partner(before)),
            Piece::Word => behind.is(before, &BETWEEN),
            Piece::Open | Piece::Operator | Piece::Mark => true,
            Piece::Number | Piece::Text => false,
        },
    };
    let next = tokens.get(index + 1).map(|it| it.span.clone());
    let next = next.map_or("", |it| &text[it]);
    match next {
        _ if !named || bracket == "[" => None,
        "(" => None,
        "{" => {
            let end = tokens[index + 1].span.end;
            Some((span.start..end, format!("{{\"{word}\",")))
        }
        _ => Some((span, format!("{{\"{word}\"}}"))),
    }
}

/// Words between operands.
const BETWEEN: [&str; 7] = [
    "and",
    "or",
    "unless",
    "atan2",
    "bool",
    "group_left",
    "group_right",
];
/// Words before labels in brackets.
const GROUPING: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// The expression with markers as people write it: the word stands behind the selector's range.
pub(super) fn unmarked(mut text: String) -> String {
    let marker = format!("{MARKER}=~\"");
    while let Some(at) = text.find(&marker) {
        let word = at + marker.len();
        let Some(bar) = text[word..].find('|').map(|bar| word + bar) else {
            return text;
        };
        let name = text[word..bar].to_owned();
        let end = bar + 2;
        // The comma behind it, or the one before it.
        let rest = text[end..].trim_start_matches([',', ' ']).len();
        let (mut from, until) = (at, text.len() - rest);
        if text[until..].starts_with('}') {
            from = text[..at].trim_end_matches([',', ' ']).len();
        }
        text.replace_range(from..until, "");
        let mut close = from + braces(&text[from..]);
        if text[..from].ends_with('{') && text[from..].starts_with('}') && named(&text[..from - 1])
        {
            text.replace_range(from - 1..=from, "");
            close = from - 1;
        }
        if text[close..].starts_with('[') {
            close += text[close..].find(']').map_or(0, |it| it + 1);
        }
        text.insert_str(close, &format!(" {name}"));
    }
    text
}

/// Whether braces may be left out here: a name stands before them.
fn named(before: &str) -> bool {
    before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

/// Bytes up to and with the brace that closes, past the strings before it.
fn braces(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// By the index of its name or of its opening brace.
enum Selector {
    Name(usize),
    Braces(usize),
}

struct Behind<'a> {
    text: &'a str,
    tokens: &'a [Token],
}

impl Behind<'_> {
    fn word(&self, index: usize) -> &str {
        &self.text[self.tokens[index].span.clone()]
    }

    fn is(&self, index: usize, words: &[&str]) -> bool {
        words
            .iter()
            .any(|it| self.word(index).eq_ignore_ascii_case(it))
    }

    /// Whether the bracket holds the labels of a grouping.
    fn groups(&self, open: usize) -> bool {
        let before = open.checked_sub(1);
        before.is_some_and(|it| self.is(it, &GROUPING))
    }

    /// The selector that ends, with its range, `@` and `offset`, before the token at `end`.
    fn selector(&self, mut end: usize) -> Result<Option<Selector>, ParseError> {
        let modifier = end;
        while let Some(last) = end.checked_sub(1) {
            end = match (self.tokens[last].piece, self.word(last)) {
                (Piece::Number, _) => match self.before_number(last) {
                    Some(end) => end,
                    None => return Ok(None),
                },
                (Piece::Close, "]") => {
                    let open = self.partner(last);
                    let inside = open + 1..last;
                    if inside.clone().any(|it| self.word(it) == ":") {
                        return Err(self.wrong(modifier, "is not for subqueries"));
                    }
                    open
                }
                (Piece::Close, "}") => return Ok(Some(Selector::Braces(self.partner(last)))),
                (Piece::Close, _) => match self.before_brackets(self.partner(last)) {
                    Some(end) => end,
                    None => return Ok(None),
                },
                (Piece::Word, _) if last > 0 && self.is(last, &BETWEEN) => return Ok(None),
                (Piece::Word, word) => {
                    if Edges::named(word).is_some() && self.selector(last)?.is_some() {
                        return Err(self.wrong(modifier, "stands behind another such word"));
                    }
                    return Ok(Some(Selector::Name(last)));
                }
                _ => return Ok(None),
            };
        }
        Ok(None)
    }

    fn wrong(&self, index: usize, why: &str) -> ParseError {
        let span = self.tokens[index].span.clone();
        ParseError::new(format!("`{}` {why}", self.word(index)), Some(span))
    }

    /// Where `@ 17`, `@ -17` or `offset 5m` begins.
    fn before_number(&self, number: usize) -> Option<usize> {
        let before = number.checked_sub(1)?;
        let signed = self.tokens[before].piece == Piece::Operator;
        let before = before.checked_sub(usize::from(signed))?;
        self.is(before, &["@", "offset"]).then_some(before)
    }

    /// Where `@ start()`, `offset (…)` or `offset step()` begins.
    fn before_brackets(&self, open: usize) -> Option<usize> {
        let mut before = open.checked_sub(1)?;
        if self.tokens[before].piece == Piece::Word && !self.is(before, &["offset"]) {
            before = before.checked_sub(1)?;
        }
        let signed = self.tokens[before].piece == Piece::Operator;
        let before = before.checked_sub(usize::from(signed))?;
        self.is(before, &["@", "offset"]).then_some(before)
    }

    /// The bracket that opens what is closed at `close`.
    fn partner(&self, close: usize) -> usize {
        let mut depth = 0;
        for index in (0..=close).rev() {
            match self.tokens[index].piece {
                Piece::Close => depth += 1,
                Piece::Open => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return index;
            }
        }
        debug_assert!(self.tokens.is_empty(), "brackets match");
        0
    }
}
