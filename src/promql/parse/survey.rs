//! What stands in an expression and where, for whoever looks for what is likely not meant.
//!
//! The parser crate gives no places. Selectors and comparisons come in the order of the text, so the places are found
//! by counting tokens; where the counts differ the whole text is marked. Deliberately absent: what to say about it.

use std::ops::Range;
use std::time::Duration;

use promql_parser::parser;

use super::value::{Value, value};
use super::{Reader, arithmetic};
use crate::promql::lex::{self, Piece, Token};
use crate::promql::matchers::Matchers;
use crate::promql::modifier;
use crate::promql::rewrite::{self, Query};
use crate::promql::scalar::Op;

/// A longer left side of a comparison is not repeated in a message.
const SHOWN_MAX: usize = 60;

/// Everything that was found, in the order of the text.
#[derive(Clone, Debug)]
pub struct Survey {
    pub selectors: Vec<Sight>,
    pub comparisons: Vec<Comparison>,
    /// What the whole gives.
    pub value: Value,
}

/// A selector.
#[derive(Clone, Debug)]
pub struct Sight {
    pub matchers: Matchers,
    /// Its own range, without an offset.
    pub range: Option<Duration>,
    pub span: Range<usize>,
    /// Within `absent` or `absent_over_time`: it is meant to match nothing.
    pub absence: bool,
}

/// A comparison with a number that filters.
#[derive(Clone, Debug)]
pub struct Comparison {
    op: Op,
    /// The number.
    pub bound: f64,
    /// What is compared with it.
    pub value: Value,
    /// As a person would write it.
    pub text: String,
    /// What is compared, where it is short enough to be said again.
    pub left: Option<String>,
    /// The operator and the number.
    pub span: Range<usize>,
    /// It stands beside something in `and`, `or` or `unless`.
    pub guarded: bool,
    /// The expression is nothing but this.
    pub whole: bool,
}

/// When a comparison holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Never,
    Perhaps,
    Always,
}

impl Comparison {
    /// For the values that what is compared may have.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome_within(self.value.low, self.value.high)
    }

    /// For values from `low` to `high`.
    #[must_use]
    pub fn outcome_within(&self, low: f64, high: f64) -> Outcome {
        let bound = self.bound;
        let (never, always) = match self.op {
            Op::Greater => (high <= bound, low > bound),
            Op::GreaterEqual => (high < bound, low >= bound),
            Op::Less => (low >= bound, high < bound),
            Op::LessEqual => (low > bound, high <= bound),
            Op::Equal => (bound < low || bound > high, false),
            _ => (false, false),
        };
        match (never, always) {
            (true, _) => Outcome::Never,
            (_, true) => Outcome::Always,
            _ => Outcome::Perhaps,
        }
    }

    /// It holds once more than this share of events is of a kind: for a share of events only.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let Value { scale, shift, .. } = self.value;
        if !self.value.is_share() || scale == 0.0 {
            return None;
        }
        let bound = (self.bound - shift) / scale;
        let above = match self.op {
            Op::Greater | Op::GreaterEqual => scale > 0.0,
            Op::Less | Op::LessEqual => scale < 0.0,
            _ => return None,
        };
        // Fewer than 99% of good ones are more than 1% of bad ones.
        Some(if above { bound } else { 1.0 - bound })
    }
}

/// A look at an expression; `None` for what does not parse.
#[must_use]
pub fn survey(text: &str) -> Option<Survey> {
    let tokens = lex::tokens(text).ok()?;
    let query = Query::default();
    let readable = rewrite::rewritten(text, &tokens, query).ok()?;
    let parsed = parser::parse(readable.as_deref().unwrap_or(text)).ok()?;
    let reader = Reader::new(text, tokens, query);
    let mut surveyor = Surveyor {
        survey: Survey {
            selectors: Vec::new(),
            comparisons: Vec::new(),
            value: value(&parsed, &reader),
        },
        reader: &reader,
        compared: 0,
        at: Vec::new(),
        absence: false,
        guarded: false,
    };
    surveyor.see(&parsed);
    let Surveyor {
        mut survey,
        compared,
        at,
        ..
    } = surveyor;
    let whole = 0..text.trim_end().len();
    let selectors = selectors(text, &reader.tokens);
    let found = selectors.len() == survey.selectors.len();
    for (sight, place) in survey.selectors.iter_mut().zip(selectors) {
        sight.span = if found { place } else { whole.clone() };
    }
    let operators = comparisons(text, &reader.tokens);
    let found = operators.len() == compared;
    for (comparison, index) in survey.comparisons.iter_mut().zip(at) {
        comparison.span = match operators.get(index).filter(|_| found) {
            Some(place) => place.clone(),
            None => whole.clone(),
        };
    }
    if let (parser::Expr::Binary(_), [only]) = (super::bare(&parsed), &mut survey.comparisons[..]) {
        only.whole = compared == 1 && !only.guarded;
    }
    Some(survey)
}

struct Surveyor<'r, 'a> {
    survey: Survey,
    reader: &'r Reader<'a>,
    /// Comparisons seen, those between vectors too.
    compared: usize,
    /// The number of each comparison that is kept.
    at: Vec<usize>,
    absence: bool,
    guarded: bool,
}

impl Surveyor<'_, '_> {
    fn see(&mut self, expr: &parser::Expr) {
        match expr {
            parser::Expr::Paren(it) => self.see(&it.expr),
            parser::Expr::Unary(it) => self.see(&it.expr),
            parser::Expr::Subquery(it) => self.see(&it.expr),
            parser::Expr::Aggregate(it) => {
                if let Some(parameter) = &it.param {
                    self.see(parameter);
                }
                self.see(&it.expr);
            }
            parser::Expr::Call(it) => {
                let around = self.absence;
                self.absence |= it.func.name.starts_with("absent");
                for argument in &it.args.args {
                    self.see(argument);
                }
                self.absence = around;
            }
            parser::Expr::Binary(it) => self.binary(it),
            parser::Expr::VectorSelector(it) => self.selector(it, None),
            parser::Expr::MatrixSelector(it) => self.selector(&it.vs, Some(it.range)),
            parser::Expr::NumberLiteral(_)
            | parser::Expr::StringLiteral(_)
            | parser::Expr::Extension(_) => {}
        }
    }

    fn selector(&mut self, selector: &parser::VectorSelector, range: Option<Duration>) {
        self.survey.selectors.push(Sight {
            matchers: self.reader.matchers(selector).unwrap_or_default(),
            range,
            span: 0..0,
            absence: self.absence,
        });
    }

    fn binary(&mut self, binary: &parser::BinaryExpr) {
        let around = self.guarded;
        self.guarded |= binary.op.is_set_operator();
        self.see(&binary.lhs);
        if binary.op.is_comparison_operator() {
            self.comparison(binary);
            self.compared += 1;
        }
        self.see(&binary.rhs);
        self.guarded = around;
    }

    fn comparison(&mut self, binary: &parser::BinaryExpr) {
        let gives_bool = binary.modifier.as_ref().is_some_and(|it| it.return_bool);
        let Some(op) = arithmetic(binary.op).filter(|_| !gives_bool) else {
            return;
        };
        let (left, right) = (
            value(&binary.lhs, self.reader),
            value(&binary.rhs, self.reader),
        );
        let (op, value, bound, side) = match (left.constant(), right.constant()) {
            (None, Some(bound)) => (op, left, bound, &binary.lhs),
            (Some(bound), None) => (turned(op), right, bound, &binary.rhs),
            _ => return,
        };
        let said = |expr: &parser::Expr| {
            let text = modifier::unmarked(expr.to_string());
            (text.len() <= SHOWN_MAX && !text.contains("__gated")).then_some(text)
        };
        let sign = match op {
            Op::Greater => ">",
            Op::GreaterEqual => ">=",
            Op::Less => "<",
            Op::LessEqual => "<=",
            Op::Equal => "==",
            _ => "!=",
        };
        let left = said(side);
        let shown = left.as_deref().unwrap_or("…");
        self.at.push(self.compared);
        self.survey.comparisons.push(Comparison {
            op,
            bound,
            value,
            text: format!("{shown} {sign} {bound}"),
            left,
            span: 0..0,
            guarded: self.guarded,
            whole: false,
        });
    }
}

/// The same comparison with its sides changed.
fn turned(op: Op) -> Op {
    match op {
        Op::Greater => Op::Less,
        Op::GreaterEqual => Op::LessEqual,
        Op::Less => Op::Greater,
        Op::LessEqual => Op::GreaterEqual,
        other => other,
    }
}

/// Words that stand between or before operands.
const KEYWORDS: [&str; 16] = [
    "and",
    "or",
    "unless",
    "atan2",
    "bool",
    "offset",
    "anchored",
    "smoothed",
    "inf",
    "nan",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// Where selectors stand, with their braces and ranges.
fn selectors(text: &str, tokens: &[Token]) -> Vec<Range<usize>> {
    let word = |at: usize| tokens.get(at).map_or("", |it| &text[it.span.clone()]);
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let Token { piece, span } = &tokens[at];
        let is_keyword = KEYWORDS.iter().any(|it| it.eq_ignore_ascii_case(word(at)));
        let follows = |what: &str| word(at + 1).eq_ignore_ascii_case(what);
        let selects = match piece {
            Piece::Open if word(at) == "[" => {
                at = closed(tokens, at) + 1;
                continue;
            }
            Piece::Open => word(at) == "{",
            Piece::Word if is_keyword && follows("(") => {
                let labels = !["and", "or", "unless", "atan2", "bool", "offset"]
                    .iter()
                    .any(|it| it.eq_ignore_ascii_case(word(at)));
                at = if labels { closed(tokens, at + 1) } else { at } + 1;
                continue;
            }
            Piece::Word => !is_keyword && !follows("(") && !follows("by") && !follows("without"),
            _ => false,
        };
        if selects {
            let mut end = at;
            if *piece == Piece::Open {
                end = closed(tokens, at);
            } else if word(at + 1) == "{" {
                end = closed(tokens, at + 1);
            }
            if word(end + 1) == "[" && !holds_colon(text, tokens, end + 1) {
                end = closed(tokens, end + 1);
            }
            found.push(span.start..tokens[end].span.end);
            at = end;
        }
        at += 1;
    }
    found
}

fn holds_colon(text: &str, tokens: &[Token], open: usize) -> bool {
    let inside = &tokens[open..=closed(tokens, open)];
    inside.iter().any(|it| &text[it.span.clone()] == ":")
}

/// The token that closes the bracket at `open`, or the last one.
fn closed(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.piece {
            Piece::Open => depth += 1,
            Piece::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    tokens.len() - 1
}

/// Where comparisons stand: the operator and the number beside it.
fn comparisons(text: &str, tokens: &[Token]) -> Vec<Range<usize>> {
    let word = |at: usize| tokens.get(at).map_or("", |it| &text[it.span.clone()]);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if word(at) == "{" {
            at = closed(tokens, at);
        } else if ["==", "!=", "<", ">", "<=", ">="].contains(&word(at)) {
            let signed = usize::from(word(at + 1) == "-" || word(at + 1) == "+");
            let next = at + 1 + signed;
            let is = |at: usize| tokens.get(at).is_some_and(|it| it.piece == Piece::Number);
            let (from, until) = if is(next) {
                (at, next)
            } else if word(next) == "(" {
                (at, closed(tokens, next))
            } else if at > 0 && is(at - 1) {
                (at - 1, at)
            } else {
                (at, at)
            };
            found.push(tokens[from].span.start..tokens[until].span.end);
        }
        at += 1;
    }
    found
}
