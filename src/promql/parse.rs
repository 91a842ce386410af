//! Text → a tree of nodes. With the files of its folder the only one that knows the parser crate.
//!
//! The tree that comes out is typed by construction (what is not a scalar here is a vector) and holds only what a plan
//! can carry out whole; everything else is refused by its name.

mod aggregate;
mod call;
mod note;
mod selector;
mod survey;
mod value;

use std::collections::BTreeSet;
use std::time::Duration;

use promql_parser::parser::token::{self, TokenType};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{
    self, BinModifier, BinaryExpr, VectorMatchCardinality, VectorMatchFillValues,
};

use super::binary::{Cardinality, Matching, Pairing, SetOp, SetOperation, WithScalar};
use super::explain;
use super::expr::Root;
use super::functions::Function;
use super::layout::Grouping;
use super::lex::{self, ParseError, Token};
use super::matchers::Matchers;
use super::modifier;
use super::node::{Kind, Node};
use super::notes::Note;
use super::pattern;
use super::places::Places;
use super::raw::RawRange;
use super::rewrite::{self, Query};
use super::scalar::{Op, Scalar};
use aggregate::grouping;
use call::map;
pub use survey::{Comparison, Outcome, Sight, Survey, survey};
pub use value::Value;

/// What a text reads as: its tree, its selectors with the history each needs, and its longest range.
pub(super) struct Parsed {
    pub root: Root,
    pub selectors: Vec<(Matchers, Duration)>,
    pub longest_range: Duration,
    pub shortest_rate: Option<Duration>,
    pub reads_absence: bool,
    /// Labels come from values.
    pub dynamic: bool,
    pub notes: Vec<Note>,
    pub rated: BTreeSet<String>,
}

/// # Errors
/// See [`super::Expr::parse`].
pub(super) fn parse(text: &str, query: Query) -> Result<Parsed, ParseError> {
    let tokens = lex::tokens(text)?;
    let readable = rewrite::rewritten(text, &tokens, query)?;
    let parsed = parser::parse(readable.as_deref().unwrap_or(text))
        .map_err(|message| explain::explain(text, &tokens, &message))?;
    let mut reader = Reader::new(text, tokens, query);
    let root = reader.root(&parsed)?;
    Ok(Parsed {
        root,
        selectors: reader.selectors,
        longest_range: reader.longest_range,
        shortest_rate: reader.shortest_rate,
        reads_absence: reader.reads_absence,
        dynamic: reader.dynamic,
        notes: reader.notes,
        rated: reader.rated,
    })
}

/// `selector[range]` by itself; `None` for any other text.
pub(super) fn raw_range(text: &str) -> Option<Result<RawRange, ParseError>> {
    let tokens = lex::tokens(text).ok()?;
    let query = Query::default();
    let readable = rewrite::rewritten(text, &tokens, query).ok()?;
    let parsed = parser::parse(readable.as_deref().unwrap_or(text)).ok()?;
    let parser::Expr::MatrixSelector(matrix) = bare(&parsed) else {
        return None;
    };
    let mut reader = Reader::new(text, tokens, query);
    let selector = reader.selector(&matrix.vs, Some(matrix.range));
    let range = matrix.range;
    Some(selector.map(|selector| RawRange { selector, range }))
}

/// The text that a string literal by itself stands for; `None` for any other expression.
#[must_use]
pub fn text(expr: &str) -> Option<String> {
    if !expr.trim_start().starts_with(['"', '\'', '`']) {
        return None;
    }
    let tokens = lex::tokens(expr).ok()?;
    let readable = rewrite::rewritten(expr, &tokens, Query::default()).ok()?;
    match parser::parse(readable.as_deref().unwrap_or(expr)).ok()? {
        parser::Expr::StringLiteral(text) => Some(text.val),
        _ => None,
    }
}

/// The expression as Prometheus' `format_query` writes it: short ones on a line, long ones indented.
///
/// One with a duration that is computed (`[5m + step()]`) comes back as it was written, without the blanks around it:
/// the parser only sees what such a duration comes to, and that is not what the expression says.
///
/// # Errors
/// What does not parse.
pub fn pretty(expr: &str) -> Result<String, ParseError> {
    let tokens = lex::tokens(expr)?;
    let query = Query {
        unknown: true,
        ..Query::default()
    };
    let readable = rewrite::rewritten(expr, &tokens, query)?;
    let parsed = parser::parse(readable.as_deref().unwrap_or(expr))
        .map_err(|message| explain::explain(expr, &tokens, &message))?;
    if rewrite::computes(expr, &tokens) {
        return Ok(expr.trim().to_owned());
    }
    let marked = modifier::unmarked(parsed.prettify());
    Ok(pattern::unmarked(rewrite::unmarked(marked)))
}

struct Reader<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    query: Query,
    selectors: Vec<(Matchers, Duration)>,
    longest_range: Duration,
    shortest_rate: Option<Duration>,
    reads_absence: bool,
    dynamic: bool,
    /// How far back the subqueries around this place look, in milliseconds.
    outer: Option<i64>,
    /// How often these evaluate what stands here.
    steps: i64,
    notes: Vec<Note>,
    places: Places,
    rated: BTreeSet<String>,
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "it ends functions that may refuse"
)]
fn node(kind: Kind) -> Result<Node, ParseError> {
    Ok(Node::new(kind))
}

fn bare(expr: &parser::Expr) -> &parser::Expr {
    match expr {
        parser::Expr::Paren(paren) => bare(&paren.expr),
        other => other,
    }
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, tokens: Vec<Token>, query: Query) -> Self {
        Self {
            text,
            tokens,
            query,
            selectors: Vec::new(),
            longest_range: Duration::ZERO,
            shortest_rate: None,
            reads_absence: false,
            dynamic: false,
            outer: None,
            steps: 1,
            notes: Vec::new(),
            places: Places::default(),
            rated: BTreeSet::new(),
        }
    }

    fn refused(&self, feature: &str) -> ParseError {
        lex::refused(feature, lex::find(self.text, &self.tokens, feature))
    }

    fn wrong(&self, message: impl Into<String>, near: &str) -> ParseError {
        ParseError::new(message, lex::find(self.text, &self.tokens, near))
    }

    fn root(&mut self, expr: &parser::Expr) -> Result<Root, ParseError> {
        // From the first word to the last: comments and blanks around them are not at fault.
        let first = self.tokens.first().map_or(0, |it| it.span.start);
        let whole = first..self.tokens.last().map_or(0, |it| it.span.end);
        match expr.value_type() {
            ValueType::Scalar => Ok(Root::Scalar(self.scalar(expr)?)),
            ValueType::Vector => Ok(Root::Vector(Box::new(self.vector(expr)?))),
            ValueType::String => Err(ParseError::new(
                "a string is not a value to judge",
                Some(whole),
            )),
            ValueType::Matrix => Err(ParseError::new(
                "a range has many values; put a function around it, such as rate(…)",
                Some(whole),
            )),
        }
    }

    fn scalar(&mut self, expr: &parser::Expr) -> Result<Scalar, ParseError> {
        match expr {
            parser::Expr::NumberLiteral(number) => Ok(Scalar::Number(number.val)),
            parser::Expr::Paren(paren) => self.scalar(&paren.expr),
            parser::Expr::Unary(unary) => Ok(Scalar::Negate(Box::new(self.scalar(&unary.expr)?))),
            parser::Expr::Binary(binary) => {
                let op = arithmetic(binary.op).ok_or_else(|| self.operator(binary.op))?;
                let left = self.scalar(&binary.lhs)?;
                Ok(Scalar::Binary(
                    op,
                    Box::new((left, self.scalar(&binary.rhs)?)),
                ))
            }
            parser::Expr::Call(call) => match call.func.name {
                "time" => Ok(Scalar::Time),
                "pi" => Ok(Scalar::Number(std::f64::consts::PI)),
                "start" => Ok(Scalar::Query(|times| times.start)),
                "end" => Ok(Scalar::Query(|times| times.end)),
                "range" => Ok(Scalar::Query(|times| times.end.saturating_sub(times.start))),
                "step" => Ok(Scalar::Number(self.query.step)),
                "max_of" | "min_of" => Ok(Scalar::Extreme {
                    most: call.func.name == "max_of",
                    sides: Box::new((
                        self.scalar_argument(call, 0)?,
                        self.scalar_argument(call, 1)?,
                    )),
                }),
                "scalar" => Ok(Scalar::Of(Box::new(self.argument(call, 0)?))),
                other => Err(self.refused(other)),
            },
            _ => Err(ParseError::new("expected a scalar", None)),
        }
    }

    fn operator(&self, op: TokenType) -> ParseError {
        self.refused(&op.to_string())
    }

    fn vector(&mut self, expr: &parser::Expr) -> Result<Node, ParseError> {
        match expr {
            parser::Expr::Paren(paren) => self.vector(&paren.expr),
            parser::Expr::VectorSelector(selector) => {
                node(Kind::Newest(self.selector(selector, None)?))
            }
            parser::Expr::Unary(unary) => {
                let of = self.vector(&unary.expr)?;
                node(map(Function::Negate, of, Vec::new()))
            }
            parser::Expr::Binary(binary) => self.binary(binary),
            parser::Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            parser::Expr::Call(call) => self.call(call),
            parser::Expr::Extension(_) => Err(self.refused("extensions")),
            parser::Expr::NumberLiteral(_)
            | parser::Expr::StringLiteral(_)
            | parser::Expr::Subquery(_)
            | parser::Expr::MatrixSelector(_) => {
                Err(ParseError::new("expected an instant vector", None))
            }
        }
    }

    /// # Errors
    /// Where there is nobody to fill in for.
    fn fills(&self, set: bool, binary: &BinaryExpr) -> Result<(), ParseError> {
        let vector = |side: &parser::Expr| side.value_type() == ValueType::Vector;
        let message = if set {
            "fill is not for set operators"
        } else if vector(&binary.lhs) && vector(&binary.rhs) {
            return Ok(());
        } else {
            "fill is only for two instant vectors"
        };
        let fills = |pair: &&[Token]| {
            let word = &self.text[pair[0].span.clone()];
            let names = ["fill", "fill_left", "fill_right"];
            pair[1].piece == lex::Piece::Open
                && names.iter().any(|it| word.eq_ignore_ascii_case(it))
        };
        let place = self.tokens.windows(2).find(fills);
        Err(ParseError::new(
            message,
            place.map(|pair| pair[0].span.clone()),
        ))
    }

    fn binary(&mut self, binary: &BinaryExpr) -> Result<Node, ParseError> {
        let modifier = binary.modifier.as_ref();
        let return_bool = modifier.is_some_and(|m| m.return_bool);
        let scalar = |side: &parser::Expr| side.value_type() == ValueType::Scalar;
        let set = match binary.op.id() {
            token::T_LAND => Some(SetOp::And),
            token::T_LOR => Some(SetOp::Or),
            token::T_LUNLESS => Some(SetOp::Unless),
            _ => None,
        };
        if modifier.is_some_and(|it| it.fill_values != VectorMatchFillValues::default()) {
            self.fills(set.is_some(), binary)?;
        }
        if let Some(op) = set {
            let (left, right) = (self.vector(&binary.lhs)?, self.vector(&binary.rhs)?);
            let grouping = matching(modifier);
            let operation = SetOperation::new(op, grouping, left, right);
            return node(Kind::Set(Box::new(operation)));
        }
        let op = arithmetic(binary.op).ok_or_else(|| self.operator(binary.op))?;
        let scalar_left = scalar(&binary.lhs);
        if scalar_left || scalar(&binary.rhs) {
            let (number, vector) = if scalar_left {
                (&binary.lhs, &binary.rhs)
            } else {
                (&binary.rhs, &binary.lhs)
            };
            // In the order of the text, which tells calls of one name apart.
            let first = scalar_left.then(|| self.scalar(number)).transpose()?;
            let of = self.vector(vector)?;
            let operation = WithScalar {
                op,
                of,
                scalar: first.map_or_else(|| self.scalar(number), Ok)?,
                scalar_left,
                return_bool,
            };
            return node(Kind::WithScalar(Box::new(operation)));
        }
        let (cardinality, include) = match modifier.map(|m| &m.card) {
            Some(VectorMatchCardinality::ManyToOne(labels)) => {
                (Cardinality::ManyToOne, labels.labels.clone())
            }
            Some(VectorMatchCardinality::OneToMany(labels)) => {
                (Cardinality::OneToMany, labels.labels.clone())
            }
            _ => (Cardinality::OneToOne, Vec::new()),
        };
        let matching = Matching {
            grouping: matching(modifier),
            cardinality,
            include,
            fill_left: modifier.and_then(|modifier| modifier.fill_values.lhs),
            fill_right: modifier.and_then(|modifier| modifier.fill_values.rhs),
        };
        let (left, right) = (self.vector(&binary.lhs)?, self.vector(&binary.rhs)?);
        let pairing = Pairing::new(op, return_bool, matching, left, right);
        node(Kind::Pairing(Box::new(pairing)))
    }
}

fn matching(modifier: Option<&BinModifier>) -> Grouping {
    let matching = modifier.and_then(|modifier| modifier.matching.as_ref());
    grouping(matching, Grouping::Without(Vec::new()))
}

fn arithmetic(op: TokenType) -> Option<Op> {
    Some(match op.id() {
        token::T_ADD => Op::Add,
        token::T_SUB => Op::Sub,
        token::T_MUL => Op::Mul,
        token::T_DIV => Op::Div,
        token::T_MOD => Op::Mod,
        token::T_POW => Op::Pow,
        token::T_ATAN2 => Op::Atan2,
        token::T_EQLC => Op::Equal,
        token::T_NEQ => Op::NotEqual,
        token::T_GTR => Op::Greater,
        token::T_GTE => Op::GreaterEqual,
        token::T_LSS => Op::Less,
        token::T_LTE => Op::LessEqual,
        _ => return None,
    })
}
