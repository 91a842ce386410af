//! Bounds a text before it is parsed, and points into it afterwards.
//!
//! The parser recurses without a limit and says what is wrong, but not where. This lexer knows just enough of the
//! language to count tokens and brackets, and to find the place that a message is about.

use std::ops::Range;

/// A longer expression is refused before it is parsed.
pub const BYTES_MAX: usize = 65_536;
/// An expression of more tokens is refused before it is parsed. The parser takes more than twice as long for twice the
/// text: for the worst shape of this many tokens, `x+x+x+…`, 0.28 s in a debug build (0.32 s for 2000).
pub const TOKENS_MAX: usize = 1500;
/// Brackets within brackets; people write fewer than ten.
const DEPTH_MAX: usize = 100;

/// Why a text is not an expression that gated evaluates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// Lower case, names the thing and the way out.
    pub message: String,
    /// Bytes of the text that are at fault, where known.
    pub span: Option<Range<usize>>,
    /// What to write instead; empty where the message says it.
    pub(super) remedy: String,
}

/// How the refusal of what a later version will evaluate ends.
const NOT_YET: &str = "not evaluated by gated yet";

impl ParseError {
    pub(super) fn new(message: impl Into<String>, span: Option<Range<usize>>) -> Self {
        Self {
            message: message.into(),
            span,
            remedy: String::new(),
        }
    }

    pub(super) fn remedied(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// What to write instead, where the message does not say it.
    #[must_use]
    pub fn help(&self) -> &str {
        if !self.remedy.is_empty() {
            &self.remedy
        } else if self.message.ends_with(NOT_YET) {
            "write it without; a later version will understand it"
        } else if self.message.starts_with("expected type matrix") {
            "write a range after the selector, such as foo[5m]"
        } else {
            ""
        }
    }
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A name or a keyword.
    Word,
    /// A number or a duration.
    Number,
    Text,
    Open,
    Close,
    /// An operator that stands between or before operands.
    Operator,
    /// `,` `:` `@`
    Mark,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub piece: Piece,
    pub span: Range<usize>,
}

/// # Errors
/// A text over the bounds, a string without an end, brackets that do not match, a character of no token.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    if text.len() > BYTES_MAX {
        return Err(ParseError::new(
            format!("expression of {} bytes; {BYTES_MAX} at most", text.len()),
            None,
        ));
    }
    let mut tokens: Vec<Token> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        // A range has a colon between two durations; elsewhere it is part of a name.
        let in_range = open.iter().any(|it| text[*it..].starts_with('['));
        let Some((piece, len)) = next(&text[at..], (first, in_range), at)? else {
            at += skipped(&text[at..], first);
            continue;
        };
        let span = at..at + len;
        if piece == Piece::Close {
            close(text, &mut open, &span)?;
        }
        let asked = tokens.last().map_or("", |it| &text[it.span.clone()]);
        let asked = matches!(asked, "[" | ":") || asked.eq_ignore_ascii_case("offset");
        if piece == Piece::Number && too_long(&text[span.clone()], asked) {
            return Err(ParseError::new("duration out of range", Some(span))
                .remedied("292 years are the most, as in Prometheus"));
        }
        tokens.push(Token {
            piece,
            span: span.clone(),
        });
        if piece == Piece::Open {
            open.push(at);
            if open.len() > DEPTH_MAX {
                return Err(ParseError::new(
                    format!("more than {DEPTH_MAX} brackets within each other"),
                    Some(span),
                ));
            }
        }
        if tokens.len() > TOKENS_MAX {
            return Err(ParseError::new(
                format!(
                    "expression of more than {TOKENS_MAX} tokens; split it into recording rules"
                ),
                Some(span),
            ));
        }
        at += len;
    }
    match open.last() {
        None => Ok(tokens),
        Some(at) => Err(unclosed(text, *at)),
    }
}

fn close(text: &str, open: &mut Vec<usize>, span: &Range<usize>) -> Result<(), ParseError> {
    let bracket = &text[span.clone()];
    let partner = match bracket {
        ")" => "(",
        "]" => "[",
        _ => "{",
    };
    match open.pop() {
        Some(at) if &text[at..=at] == partner => Ok(()),
        Some(at) => Err(unclosed(text, at)),
        None => Err(ParseError::new(
            format!("`{bracket}` closes nothing"),
            Some(span.clone()),
        )),
    }
}

fn unclosed(text: &str, at: usize) -> ParseError {
    let bracket = &text[at..=at];
    let partner = match bracket {
        "(" => ")",
        "[" => "]",
        _ => "}",
    };
    let message = format!("`{bracket}` is never closed");
    let remedy = format!("write a `{partner}` for each `{bracket}`");
    ParseError::new(message, Some(at..at + 1)).remedied(remedy)
}

/// Bytes of blanks or of a comment at the start of `rest`.
fn skipped(rest: &str, first: char) -> usize {
    if first == '#' {
        rest.find('\n').unwrap_or(rest.len())
    } else {
        first.len_utf8()
    }
}

/// The token at the start of `rest` and its length in bytes; `None` for blanks and comments.
fn next(
    rest: &str,
    (first, in_range): (char, bool),
    at: usize,
) -> Result<Option<(Piece, usize)>, ParseError> {
    let word = || {
        let end = rest.find(|c| !in_word(c) || (in_range && c == ':'));
        (Piece::Word, end.unwrap_or(rest.len()))
    };
    Ok(Some(match first {
        ' ' | '\t' | '\n' | '\r' | '#' => return Ok(None),
        'a'..='z' | 'A'..='Z' | '_' => word(),
        ':' if !in_range && rest[1..].starts_with(|c: char| in_word(c) && !c.is_ascii_digit()) => {
            word()
        }
        '0'..='9' | '.' => (Piece::Number, number(rest)),
        '"' | '\'' | '`' => (Piece::Text, string(rest, first, at)?),
        '(' | '[' | '{' => (Piece::Open, 1),
        ')' | ']' | '}' => (Piece::Close, 1),
        ',' | ':' | '@' => (Piece::Mark, 1),
        '=' | '!' | '<' | '>' => {
            let two = rest[1..].starts_with(['=', '~']);
            (Piece::Operator, 1 + usize::from(two))
        }
        '+' | '-' | '*' | '/' | '%' | '^' => (Piece::Operator, 1),
        other => {
            return Err(ParseError::new(
                format!("`{}` has no meaning in PromQL", other.escape_debug()),
                Some(at..at + other.len_utf8()),
            )
            .remedied(match other {
                '&' => "write `and`",
                '|' => "write `or`",
                _ => "",
            }));
        }
    }))
}

fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// A number with its exponent, or a duration.
fn number(rest: &str) -> usize {
    let mut end = 0;
    let hex = rest.starts_with("0x") || rest.starts_with("0X");
    for (at, c) in rest.char_indices() {
        let exponent = !hex && rest[..at].ends_with(['e', 'E']) && (c == '+' || c == '-');
        if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || exponent) {
            break;
        }
        end = at + c.len_utf8();
    }
    end
}

/// Whether it is a duration that does not fit into Go's 64 bits of nanoseconds. `seconds`: a plain number is one too.
fn too_long(word: &str, seconds: bool) -> bool {
    const NANOSECONDS_MAX: u128 = i64::MAX.unsigned_abs() as u128;
    if let Ok(number) = word.parse::<f64>() {
        return seconds && number >= 9.2e9;
    }
    let mut rest = word;
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let letters = rest[digits..].find(|c: char| !c.is_ascii_alphabetic());
        let end = letters.map_or(rest.len(), |it| digits + it);
        let second = 1_000_000_000;
        let unit: u128 = match &rest[digits..end] {
            "ms" => second / 1000,
            "s" => second,
            "m" => 60 * second,
            "h" => 3600 * second,
            "d" => 86_400 * second,
            "w" => 7 * 86_400 * second,
            "y" => 365 * 86_400 * second,
            _ => return false,
        };
        // More digits than a number holds are too many in any unit.
        let count = rest[..digits].parse::<u64>().unwrap_or(u64::MAX);
        total = total.saturating_add(u128::from(count).saturating_mul(unit));
        rest = &rest[end..];
    }
    total > NANOSECONDS_MAX
}

fn string(rest: &str, quote: char, at: usize) -> Result<usize, ParseError> {
    let mut escaped = false;
    for (offset, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
            let code = &rest[offset..];
            let byte = code.starts_with('x') && code[1..].starts_with(|c: char| c >= '8');
            if byte || code.starts_with(['2', '3']) {
                return Err(ParseError::new(
                    "an escape that stands for a byte, not for a character; write the character",
                    Some(at + offset - 1..at + offset + 1),
                ));
            }
        } else if c == '\\' && quote != '`' {
            escaped = true;
        } else if c == quote {
            return Ok(offset + 1);
        } else if c == '\n' && quote != '`' {
            break;
        }
    }
    Err(ParseError::new(
        "the string is never closed",
        Some(at..at + rest.len().min(1)),
    ))
}

/// The place of a name, whatever its case.
pub(super) fn find(text: &str, tokens: &[Token], word: &str) -> Option<Range<usize>> {
    let token = tokens
        .iter()
        .find(|token| text[token.span.clone()].eq_ignore_ascii_case(word))?;
    Some(token.span.clone())
}

pub(super) fn refused(feature: &str, span: Option<Range<usize>>) -> ParseError {
    let verb = if feature.ends_with('s') && feature.contains(' ') {
        "are"
    } else {
        "is"
    };
    let feature = if feature.contains(' ') {
        feature.to_owned()
    } else {
        format!("`{feature}`")
    };
    ParseError::new(format!("{feature} {verb} {NOT_YET}"), span)
}
