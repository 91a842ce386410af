//! Why a text is no expression, in words and with a place: the parser crate says little of the one and nothing of the
//! other. The common mistakes are looked for in the tokens, each by its own rule.

mod names;

use std::ops::Range;

use super::lex::{self, ParseError, Piece, Token};
#[cfg(test)]
pub(super) use names::FUNCTIONS;
use names::{AGGREGATIONS, BETWEEN, GROUPING, nearest, signature};

/// What the parser refused without saying where.
pub(super) fn explain(text: &str, tokens: &[Token], message: &str) -> ParseError {
    let words = Words { text, tokens };
    if let Some(found) = words.of_the_message(message) {
        return found;
    }
    if let Some(found) = (0..tokens.len()).find_map(|at| words.wrong_at(at)) {
        return found;
    }
    if let Some(token) = tokens.last().filter(|it| it.piece == Piece::Operator) {
        return ParseError::new("an operand is missing after this", Some(token.span.clone()));
    }
    let message = match message {
        "invalid promql query" => "not a PromQL expression",
        other => other,
    };
    ParseError::new(message, None)
}

/// A matcher's text that is no regular expression. `message`: in Go's words.
pub(super) fn regex(text: &str, token: &Token, message: String) -> ParseError {
    let span = token.span.clone();
    let pattern = &text[span.start + 1..span.end - 1];
    // Only where the text stands as it is do its bytes have places.
    let place = match regex_fault(pattern) {
        Some(within) if !pattern.contains('\\') => {
            let start = span.start + 1 + within.start;
            start..(span.start + 1 + within.end).clamp(start, span.end - 1)
        }
        _ => span,
    };
    let remedy = "write it as in Go (RE2): escape a character by two backslashes";
    ParseError::new(message, Some(place)).remedied(remedy)
}

struct Words<'w> {
    text: &'w str,
    tokens: &'w [Token],
}

impl Words<'_> {
    fn at(&self, index: usize) -> &str {
        self.tokens
            .get(index)
            .map_or("", |it| &self.text[it.span.clone()])
    }

    fn is(&self, index: usize, words: &[&str]) -> bool {
        words
            .iter()
            .any(|it| it.eq_ignore_ascii_case(self.at(index)))
    }

    fn wrong(&self, index: usize, message: impl Into<String>, remedy: &str) -> ParseError {
        let span = self.tokens.get(index).map(|it| it.span.clone());
        ParseError::new(message, span).remedied(remedy)
    }

    /// What the parser names in its message is looked for.
    fn of_the_message(&self, message: &str) -> Option<ParseError> {
        let named = message.split('\'').nth(1).unwrap_or("");
        if message.starts_with("unknown function") {
            let remedy = nearest(named).map_or(String::new(), |it| format!("did you mean `{it}`?"));
            let message = format!("there is no function `{named}`");
            return Some(ParseError::new(message, self.call(named)).remedied(remedy));
        }
        if message.contains("argument(s) in call") {
            let plain = message
                .replace("argument(s)", "arguments")
                .replace('\'', "`");
            let plain = plain.replace("expected 1 arguments", "expected 1 argument");
            return Some(ParseError::new(plain, self.call(named)).remedied(signature(named)));
        }
        if message.starts_with("expected type") && message.contains("call to function") {
            let remedy = match message.split(' ').nth(2) {
                Some("matrix") => "write a range after the selector, such as foo[5m]",
                Some("vector") => "a range has many values; take it out, or put rate(…) around it",
                _ => "",
            };
            return Some(ParseError::new(message, self.call(named)).remedied(remedy));
        }
        if let Some(wrong) = message.strip_prefix("bad number or duration syntax: ") {
            let at = self.tokens.iter().position(|it| {
                let here = &self.text[it.span.clone()];
                it.piece == Piece::Number && here.starts_with(wrong)
            })?;
            return Some(self.bad_number(at));
        }
        let durations = message.contains("duration");
        if durations {
            let at = (0..self.tokens.len()).find(|at| self.is_bad_duration(*at))?;
            return Some(self.bad_number(at));
        }
        None
    }

    fn bad_number(&self, at: usize) -> ParseError {
        if self.tokens[at].piece == Piece::Close {
            let remedy = "write a duration, such as foo[5m]";
            return self.wrong(at, "a duration is missing before this", remedy);
        }
        let message = format!("`{}` is neither a number nor a duration", self.at(at));
        let remedy = "write a duration with its unit: 30s, 5m, 1h30m, 1d";
        self.wrong(at, message, remedy)
    }

    /// A number within square brackets or behind `offset` that is no duration.
    fn is_bad_duration(&self, at: usize) -> bool {
        let word = self.at(at);
        let asked = self.at(at.wrapping_sub(1)) == "[" || self.is(at.wrapping_sub(1), &["offset"]);
        let number = word.parse::<f64>().is_ok();
        asked && !number && crate::model::time::duration(word).is_none()
    }

    /// The name of a call, at its place.
    fn call(&self, name: &str) -> Option<Range<usize>> {
        let called = |at: &usize| self.is(*at, &[name]) && self.at(at + 1) == "(";
        let at = (0..self.tokens.len()).find(called);
        let span = at.map(|at| self.tokens[at].span.clone());
        span.or_else(|| lex::find(self.text, self.tokens, name))
    }

    /// A mistake that shows at this token and the next.
    fn wrong_at(&self, at: usize) -> Option<ParseError> {
        if self.braces(at) {
            return self.within_braces(at);
        }
        let operand = |at: usize| {
            let token = self.tokens.get(at)?;
            Some(match token.piece {
                Piece::Number | Piece::Text => true,
                Piece::Word => !self.is(at, &GROUPING) && !self.is(at, &BETWEEN) && !self.other(at),
                _ => false,
            })
        };
        let operand = |at: usize| operand(at).unwrap_or(false);
        if self.is(at, &GROUPING) {
            return self.grouping(at);
        }
        let ends = operand(at) || matches!(self.at(at), ")" | "]" | "}");
        let begins = operand(at + 1) && !self.listed(at + 1);
        if ends && begins && !self.headed(at) {
            let remedy = "write an operator between the two: + - * / == > and or unless";
            return Some(self.wrong(at + 1, "an operator is missing before this", remedy));
        }
        if self.at(at) == "," && matches!(self.at(at + 1), ")" | ",") && !self.listed(at) {
            return Some(self.wrong(at, "an argument is missing after this", ""));
        }
        let arithmetic = |at: usize| {
            let token = self.tokens.get(at);
            token.is_some_and(|it| it.piece == Piece::Operator) || self.is(at, &BETWEEN)
        };
        let closes = |at: usize| matches!(self.at(at), ")" | "]" | ",");
        if arithmetic(at) && (closes(at + 1) || at + 1 == self.tokens.len()) {
            return Some(self.wrong(at, "an operand is missing after this", ""));
        }
        let sign = matches!(self.at(at + 1), "+" | "-");
        if arithmetic(at) && arithmetic(at + 1) && !sign {
            let remedy = match (self.at(at), self.at(at + 1)) {
                ("=", _) => "write `==` to compare",
                _ => "",
            };
            return Some(self.wrong(at + 1, "an operand is missing before this", remedy));
        }
        if self.at(at) == "=" {
            return Some(self.wrong(at, "`=` compares labels, not values", "write `==`"));
        }
        if matches!(self.at(at), "=~" | "!~") {
            let message = "a regular expression is for labels, not for values";
            return Some(self.wrong(at, message, "write it in braces: foo{label=~\"…\"}"));
        }
        None
    }

    /// Words that are no operands, but stand between them.
    fn other(&self, at: usize) -> bool {
        self.is(at, &["bool", "offset", "anchored", "smoothed"])
    }

    /// Whether the word or bracket at `at` is the head of what follows: `sum by (a)`, `by (a) (…)`, `bool 1`, `on (a) b`.
    fn headed(&self, at: usize) -> bool {
        // `sum by (a) (b)`, `x * on (a) y`: the bracket belongs to the grouping.
        self.closes(at, &GROUPING)
    }

    /// Whether the token at `at` closes the bracket behind one of these words.
    fn closes(&self, at: usize, words: &[&str]) -> bool {
        let mut depth = 0_usize;
        for index in (0..=at).rev() {
            match self.at(index) {
                ")" => depth += 1,
                "(" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return index < at && index > 0 && self.is(index - 1, words);
            }
        }
        false
    }

    /// Whether the token stands among the labels of a grouping.
    fn listed(&self, at: usize) -> bool {
        let open = (0..at)
            .rev()
            .find(|it| self.at(*it) == "(" || self.at(*it) == ")");
        open.is_some_and(|it| self.at(it) == "(" && it > 0 && self.is(it - 1, &GROUPING))
    }

    fn braces(&self, at: usize) -> bool {
        let before = (0..at).rev().find(|it| matches!(self.at(*it), "{" | "}"));
        before.is_some_and(|it| self.at(it) == "{") && self.at(at) != "}"
    }

    fn within_braces(&self, at: usize) -> Option<ParseError> {
        let piece = |at: usize| self.tokens.get(at).map(|it| it.piece);
        let (here, next) = (piece(at)?, piece(at + 1));
        let label = "write label=\"value\"";
        match (here, next) {
            (Piece::Text, Some(Piece::Word | Piece::Text)) => {
                let remedy = "write a comma between two matchers";
                Some(self.wrong(at + 1, "a comma is missing before this", remedy))
            }
            (Piece::Word, Some(Piece::Word | Piece::Text | Piece::Number)) => {
                let message = "a comparison is missing before this: = != =~ !~";
                Some(self.wrong(at + 1, message, label))
            }
            (Piece::Operator, _) if !matches!(self.at(at), "=" | "!=" | "=~" | "!~") => {
                let message = format!("`{}` does not compare labels", self.at(at));
                Some(self.wrong(at, message, "write one of = != =~ !~"))
            }
            (Piece::Operator, Some(Piece::Word | Piece::Number)) => {
                let message = format!("`{}` is not in quotes", self.at(at + 1));
                let remedy = format!("write \"{}\"", self.at(at + 1));
                Some(self.wrong(at + 1, message, &remedy))
            }
            (Piece::Operator, _) if piece(at + 1) != Some(Piece::Text) => {
                Some(self.wrong(at, "a text in quotes is missing after this", label))
            }
            (Piece::Word, Some(Piece::Close)) => {
                Some(self.wrong(at, "nothing is asked of this label", label))
            }
            _ => None,
        }
    }

    /// `by`, `on` and their like.
    fn grouping(&self, at: usize) -> Option<ParseError> {
        let word = self.at(at).to_lowercase();
        let sides = word.starts_with("group_");
        if self.at(at + 1) != "(" && !sides {
            let message = format!("`{word}` wants labels in brackets");
            let next = self.tokens.get(at + 1).filter(|it| it.piece == Piece::Word);
            let label = next.map_or("label", |_| self.at(at + 1));
            let remedy = format!("write {word} ({label})");
            return Some(self.wrong(at, message, &remedy));
        }
        let open = at + 1;
        let close = (open..self.tokens.len()).find(|it| self.at(*it) == ")");
        let close = if self.at(open) == "(" { close? } else { at };
        for inside in open + 1..close {
            let piece = self.tokens[inside].piece;
            let label = matches!(piece, Piece::Word | Piece::Text) || self.at(inside) == ",";
            if !label {
                let message = format!("`{}` is no label", self.at(inside));
                let remedy = format!("after `{word}` stand the names of labels alone");
                return Some(self.wrong(inside, message, &remedy));
            }
            let next = self.tokens.get(inside + 1).map(|it| it.piece);
            if self.at(inside) != "," && next == Some(Piece::Word) {
                return Some(self.wrong(inside + 1, "a comma is missing before this", ""));
            }
        }
        let matching = matches!(word.as_str(), "on" | "ignoring") || sides;
        let before = at.checked_sub(1);
        let operator = |at: usize| {
            self.tokens[at].piece == Piece::Operator
                || self.is(at, &BETWEEN)
                || self.is(at, &["bool"])
                // `on (a) group_left (b)`
                || (sides && (self.headed(at) || self.at(at) == ")"))
        };
        if matching && !before.is_some_and(operator) {
            let message = format!("`{word}` stands behind an operator");
            let remedy = format!("write it between two operands: a / {word} (label) b");
            return Some(self.wrong(at, message, &remedy));
        }
        if !matching && before.is_none_or(|it| !self.aggregates(it)) {
            let message = format!("`{word}` stands behind an aggregation");
            let remedy = format!("write sum {word} (label) (…), or sum(…) {word} (label)");
            return Some(self.wrong(at, message, &remedy));
        }
        None
    }

    /// Whether this token ends what a `by` may follow: the word of an aggregation, or its bracket.
    fn aggregates(&self, at: usize) -> bool {
        self.is(at, &AGGREGATIONS) || self.closes(at, &AGGREGATIONS)
    }
}

/// The bytes of a pattern that are at fault, as the crate draws them: behind four blanks, carets under them.
fn regex_fault(pattern: &str) -> Option<Range<usize>> {
    let error = regex::Regex::new(pattern).err()?.to_string();
    let mut lines = error.lines();
    let carets = lines.find(|it| it.contains('^') && it.trim_matches([' ', '^']).is_empty())?;
    let start = carets.find('^')?.checked_sub(4)?;
    let end = carets.rfind('^')? + 1 - 4;
    (end <= pattern.len() && pattern.is_ascii()).then_some(start..end)
}
