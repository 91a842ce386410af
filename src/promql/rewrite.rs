//! Valid `PromQL` that the parser crate cannot read, written so that it can. Spans of faults stay those of the text as
//! it was written: only the parser sees what comes out here.
//!
//! - Arithmetic where a duration stands (`[5m + 1m]`, `offset (2 * 30s)`, `[max_of(step(), 1m)]`) becomes the duration.
//! - Raw strings that hold a backslash are quoted, numbers lose their `_` ([`literal`]), and patterns that only Go knows
//!   are written in other characters ([`pattern`]).
//! - `anchored` and `smoothed` become a marker in their selector, and are quoted where they are names ([`modifier`]).
//! - The selector of `info(v, {…})` may match the empty text; a marker in it keeps the parser from refusing that.

use super::explain;
use super::lex::{self, ParseError, Piece, Token};
use super::literal;
use super::modifier::{self, Change};
use super::parse;
use super::pattern;

/// The label of the marker in `info`'s selector.
pub(super) const INFO_MARKER: &str = "__gated_info__";

/// The expression without the marker in `info`'s selector.
pub(super) fn unmarked(mut text: String) -> String {
    let marker = format!("{INFO_MARKER}!=\"\"");
    while let Some(at) = text.find(&marker) {
        // The comma behind it, or the one before it.
        let end = at + marker.len();
        let behind = text[end..].len() - text[end..].trim_start_matches([',', ' ']).len();
        let from = if text[end + behind..].starts_with('}') {
            text[..at].trim_end_matches([',', ' ']).len()
        } else {
            at
        };
        text.replace_range(from..end + behind, "");
    }
    text
}

/// What `step()` and `range()` mean: seconds. Both are zero for a rule and for an instant query.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Query {
    pub step: f64,
    pub range: f64,
    /// Nothing is evaluated: durations that are computed may come to anything.
    pub unknown: bool,
}

/// The text for the parser; `None` where it can stay as it is.
///
/// # Errors
/// A duration that is not one.
pub(super) fn rewritten(
    text: &str,
    tokens: &[Token],
    query: Query,
) -> Result<Option<String>, ParseError> {
    let mut changes: Vec<Change> = Vec::new();
    let mut brackets: Vec<usize> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match &text[token.span.clone()] {
            "[" => {
                let close = partner(text, tokens, index);
                ranges(text, &tokens[index + 1..close], query, &mut changes)?;
            }
            "{" if is_info(text, tokens, &brackets, index) => {
                let close = tokens
                    .get(index + 1)
                    .is_some_and(|it| it.piece == Piece::Close);
                let comma = if close { "" } else { "," };
                let at = token.span.end;
                changes.push((at..at, format!("{INFO_MARKER}!=\"\"{comma}")));
            }
            word if word.eq_ignore_ascii_case("offset") => {
                let rest = &tokens[index + 1..];
                offset(text, rest, query, &mut changes)?;
            }
            "@" => at(text, &tokens[index + 1..])?,
            "=~" | "!~" => changes.extend(regex(text, tokens.get(index + 1))?),
            word if matches!(token.piece, Piece::Text | Piece::Number) => {
                let span = token.span.clone();
                changes.extend(literal::readable(word, &span)?.map(|new| (span, new)));
            }
            _ => match modifier::changes(text, tokens, index)? {
                Some(marking) => {
                    // What is marked may be a name that was written anew.
                    changes.retain(|(span, _)| *span != marking[0].0);
                    changes.extend(marking);
                }
                None => changes.extend(modifier::name(text, tokens, index, brackets.last())),
            },
        }
        match token.piece {
            Piece::Open => brackets.push(index),
            Piece::Close => {
                brackets.pop();
            }
            _ => {}
        }
    }
    if changes.is_empty() {
        return Ok(None);
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    changes.sort_by_key(|(span, _)| span.start);
    for (span, new) in changes {
        if span.start < at {
            // Within a place that is written anew as a whole, which came first.
            continue;
        }
        out.push_str(&text[at..span.start]);
        out.push_str(&new);
        at = span.end;
    }
    out.push_str(&text[at..]);
    Ok(Some(out))
}

/// The token that closes the bracket at `open`; brackets match, or the text would not have come this far.
fn partner(text: &str, tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.piece {
            Piece::Open => depth += 1,
            Piece::Close => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    debug_assert!(text.is_empty(), "brackets match");
    tokens.len()
}

/// Whether the brace at `index` opens the second argument of `info`.
fn is_info(text: &str, tokens: &[Token], brackets: &[usize], index: usize) -> bool {
    let word = |index: usize| &text[tokens[index].span.clone()];
    let Some(open) = brackets.last().filter(|open| **open > 0) else {
        return false;
    };
    word(open - 1) == "info" && index > 0 && word(index - 1) == ","
}

/// Whether a duration in the text is computed from others.
pub(super) fn computes(text: &str, tokens: &[Token]) -> bool {
    let computed = |(index, token): (usize, &Token)| {
        let rest = &tokens[index + 1..];
        match &text[token.span.clone()] {
            "[" => {
                let inside = &rest[..partner(text, tokens, index) - index - 1];
                parts(text, inside).iter().any(|part| part.len() > 1)
            }
            word => word.eq_ignore_ascii_case("offset") && bracket(text, rest).1,
        }
    };
    tokens.iter().enumerate().any(computed)
}

/// The range and the step within square brackets, each of which may be empty.
fn parts<'a>(text: &str, inside: &'a [Token]) -> [&'a [Token]; 2] {
    let colon = inside.iter().position(|it| &text[it.span.clone()] == ":");
    match colon {
        Some(colon) => [&inside[..colon], &inside[colon + 1..]],
        None => [inside, &[]],
    }
}

/// Where the number or the bracket stands in what follows `offset`, and whether it is a bracket.
fn bracket(text: &str, rest: &[Token]) -> (usize, bool) {
    let signed = usize::from(rest.first().is_some_and(|it| it.piece == Piece::Operator));
    let word = |at: usize| rest.get(at).map_or("", |it| &text[it.span.clone()]);
    let open = signed + usize::from(DURATION_FUNCTIONS.contains(&word(signed)));
    (open, word(open) == "(")
}

/// The range and the step within square brackets.
fn ranges(
    text: &str,
    inside: &[Token],
    query: Query,
    changes: &mut Vec<Change>,
) -> Result<(), ParseError> {
    for part in parts(text, inside) {
        if let [first, .., last] = part {
            let span = first.span.start..last.span.end;
            let seconds = Arithmetic::new(text, part, query).whole()?;
            changes.push((span.clone(), written(literal::positive(seconds, &span)?)));
        } else if let [only] = part
            && let Some(seconds) = seconds(&text[only.span.clone()])
        {
            literal::positive(seconds, &only.span)?;
            changes.extend(long(text, only, seconds));
        }
    }
    Ok(())
}

/// What follows `offset`: a number with or without a sign is the parser's; brackets and functions are ours.
fn offset(
    text: &str,
    rest: &[Token],
    query: Query,
    changes: &mut Vec<Change>,
) -> Result<(), ParseError> {
    let (open, computed) = bracket(text, rest);
    if !computed {
        if let Some(token) = rest.get(open)
            && let Some(seconds) = seconds(&text[token.span.clone()])
        {
            literal::within_range(seconds, &token.span)?;
            if millis(seconds) == 0.0 {
                changes.push((token.span.clone(), NO_OFFSET.to_owned()));
            } else {
                changes.extend(long(text, token, seconds));
            }
        }
        return Ok(());
    }
    let close = partner(text, rest, open);
    let part = &rest[..=close.min(rest.len() - 1)];
    let span = part[0].span.start..part[part.len() - 1].span.end;
    let seconds = Arithmetic::new(text, part, query).whole()?;
    let seconds = literal::within_range(seconds, &span)?;
    let new = if millis(seconds) == 0.0 {
        NO_OFFSET.to_owned()
    } else {
        written(seconds)
    };
    changes.push((span, new));
    Ok(())
}

/// What follows `@`, where it is a number.
fn at(text: &str, rest: &[Token]) -> Result<(), ParseError> {
    let signed = usize::from(rest.first().is_some_and(|it| it.piece == Piece::Operator));
    let Some(token) = rest.get(signed) else {
        return Ok(());
    };
    let Some(seconds) = literal::number(&text[token.span.clone()]) else {
        return Ok(());
    };
    literal::moment(seconds, &token.span)
}

/// The pattern behind `=~` and `!~`.
fn regex(text: &str, token: Option<&Token>) -> Result<Option<Change>, ParseError> {
    let Some(token) = token.filter(|it| it.piece == Piece::Text) else {
        return Ok(None);
    };
    let Some(pattern) = parse::text(&text[token.span.clone()]) else {
        return Ok(None);
    };
    let readable =
        pattern::readable(&pattern).map_err(|message| explain::regex(text, token, message))?;
    Ok(readable.map(|new| (token.span.clone(), new)))
}

/// A duration of numbers so long that the parser would take them for nothing, written with shorter ones.
fn long(text: &str, token: &Token, seconds: f64) -> Option<Change> {
    let word = &text[token.span.clone()];
    let mut numbers = word.split(|c: char| !c.is_ascii_digit());
    let unit = word.ends_with(|c: char| c.is_ascii_lowercase());
    let long = unit && numbers.any(|it| it.len() > 9);
    long.then(|| (token.span.clone(), written(seconds)))
}

/// An offset of nothing: the parser takes no duration of zero units, but a number of seconds.
const NO_OFFSET: &str = "0.0";

fn millis(seconds: f64) -> f64 {
    (seconds * 1000.0).round()
}

/// In units, each with a number of 32 bits at most, as the parser wants them.
fn written(seconds: f64) -> String {
    const YEAR: f64 = 31_536_000_000.0;
    let millis = millis(seconds);
    if millis.abs() < YEAR {
        let (whole, rest) = ((millis / 1000.0).trunc(), millis % 1000.0);
        return match (whole == 0.0, rest == 0.0) {
            (true, _) => format!("{rest}ms"),
            (false, true) => format!("{whole}s"),
            (false, false) => format!("{whole}s{}ms", rest.abs()),
        };
    }
    let rest = written(millis.abs() % YEAR / 1000.0);
    let years = (millis / YEAR).trunc();
    if rest == "0ms" {
        return format!("{years}y");
    }
    format!("{years}y{rest}")
}

/// `min` and `max` are what Prometheus 3.4 called the last two.
const DURATION_FUNCTIONS: [&str; 6] = ["step", "range", "min", "max", "min_of", "max_of"];

/// Arithmetic over durations and numbers, in seconds.
struct Arithmetic<'a> {
    text: &'a str,
    query: Query,
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Arithmetic<'a> {
    fn new(text: &'a str, tokens: &'a [Token], query: Query) -> Self {
        Self {
            text,
            query,
            tokens,
            at: 0,
        }
    }

    fn whole(mut self) -> Result<f64, ParseError> {
        let value = self.sum(0)?;
        match self.tokens.get(self.at) {
            None if self.query.unknown => Ok(1.0),
            None if value.is_finite() => Ok(value),
            None => Err(ParseError::new(
                "this is no finite duration",
                self.tokens.first().map(|it| it.span.clone()),
            )),
            Some(token) => Err(self.unexpected(Some(token))),
        }
    }

    fn unexpected(&self, token: Option<&Token>) -> ParseError {
        let token = token.or(self.tokens.last());
        match token.map(|it| (it.piece, it.span.clone())) {
            Some((Piece::Word, span)) => {
                let word = self.text[span.clone()].to_owned();
                lex::refused(&format!("{word} in duration expressions"), Some(span))
            }
            Some((_, span)) => ParseError::new("this is no duration", Some(span)),
            None => ParseError::new("a duration is missing", None),
        }
    }

    fn next(&mut self) -> Option<&'a str> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(&self.text[token.span.clone()])
    }

    fn peek(&self) -> Option<&'a str> {
        let token = self.tokens.get(self.at)?;
        Some(&self.text[token.span.clone()])
    }

    /// Operators of at least this strength, from the left; `^` from the right.
    fn sum(&mut self, least: u8) -> Result<f64, ParseError> {
        let mut left = self.operand()?;
        while let Some((op, strength)) = self.peek().and_then(strength) {
            if strength < least {
                break;
            }
            self.at += 1;
            let right = self.sum(if op == '^' { strength } else { strength + 1 })?;
            left = match op {
                '+' => left + right,
                '-' => left - right,
                '*' => left * right,
                '/' => left / right,
                '%' => left % right,
                _ => left.powf(right),
            };
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<f64, ParseError> {
        let token = self.tokens.get(self.at);
        match (self.next(), token.map(|it| it.piece)) {
            (Some("-"), _) => Ok(-self.sum(3)?),
            (Some("+"), _) => self.sum(3),
            (Some("("), _) => {
                let value = self.sum(0)?;
                self.expect(")")?;
                Ok(value)
            }
            (Some(name), Some(Piece::Word)) if DURATION_FUNCTIONS.contains(&name) => {
                self.function(name)
            }
            (Some(number), Some(Piece::Number)) => {
                seconds(number).ok_or_else(|| self.unexpected(token))
            }
            _ => Err(self.unexpected(token)),
        }
    }
}

impl Arithmetic<'_> {
    fn expect(&mut self, mark: &str) -> Result<(), ParseError> {
        if self.next() == Some(mark) {
            return Ok(());
        }
        Err(self.unexpected(self.tokens.get(self.at.saturating_sub(1))))
    }

    /// What stands behind one of [`DURATION_FUNCTIONS`].
    fn function(&mut self, name: &str) -> Result<f64, ParseError> {
        self.expect("(")?;
        let value = match name {
            "step" => self.query.step,
            "range" => self.query.range,
            extreme => {
                let first = self.sum(0)?;
                self.expect(",")?;
                let second = self.sum(0)?;
                if extreme.starts_with("max") {
                    first.max(second)
                } else {
                    first.min(second)
                }
            }
        };
        self.expect(")")?;
        Ok(value)
    }
}

fn strength(word: &str) -> Option<(char, u8)> {
    Some(match word {
        "+" => ('+', 1),
        "-" => ('-', 1),
        "*" => ('*', 2),
        "/" => ('/', 2),
        "%" => ('%', 2),
        "^" => ('^', 4),
        _ => return None,
    })
}

/// `1h30m`, or a number of seconds.
fn seconds(text: &str) -> Option<f64> {
    if let Some(number) = literal::number(text) {
        return Some(number);
    }
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit());
        let (unit, tail) = tail.split_at(end.unwrap_or(tail.len()));
        let each = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            "y" => 31_536_000.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * each;
        rest = tail;
    }
    Some(total)
}
