//! Text → a tree of nodes. The only file that knows the parser crate.
//!
//! The tree that comes out is typed by construction (what is not a scalar here is a vector) and holds only what a plan
//! can carry out whole; everything else is refused by its name.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use promql_parser::label::{MatchOp, Matcher as ParsedMatcher};
use promql_parser::parser::token::{self, TokenType};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{
    self, AggregateExpr, AtModifier, BinModifier, BinaryExpr, Call, LabelModifier, Offset,
    SubqueryExpr, VectorMatchCardinality, VectorMatchFillValues, VectorSelector,
};
use regex::Regex;

use crate::model::labels::NAME;
use crate::model::{Labels, time};

use super::LOOKBACK;
use super::aggregate::{Aggregate, Operation};
use super::binary::{Cardinality, Matching, Pairing, SetOp, SetOperation, WithScalar};
use super::dynamic::{CountValues, Info};
use super::edges::Edges;
use super::expr::Root;
use super::functions::{self, Asked, Buckets, Function, Map, Relabel, Rewrite};
use super::layout::Grouping;
use super::lex::{self, ParseError, Token};
use super::matchers::{Matcher, Matchers, Test};
use super::modifier;
use super::node::{Kind, Node, Pin};
use super::notes::{self, Note, Place, Slate};
use super::pattern;
use super::places::{Arguments, Places};
use super::range::{NESTED_STEPS_MAX, OverRange, STEP_DEFAULT, STEPS_MAX, Source, Subquery};
use super::raw::RawRange;
use super::rewrite::{self, Query};
use super::scalar::{Op, Scalar};
use super::select::Selector;

/// What a text reads as: its tree, its selectors with the history each needs, and its longest range.
pub(super) struct Parsed {
    pub root: Root,
    pub selectors: Vec<(Matchers, Duration)>,
    pub longest_range: Duration,
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
        .map_err(|message| lex::explain(text, &tokens, &message))?;
    let mut reader = Reader::new(text, tokens, query);
    let root = reader.root(&parsed)?;
    Ok(Parsed {
        root,
        selectors: reader.selectors,
        longest_range: reader.longest_range,
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
/// # Errors
/// What does not parse. Duration arithmetic is not kept as it was written.
pub fn pretty(expr: &str) -> Result<String, ParseError> {
    let tokens = lex::tokens(expr)?;
    let readable = rewrite::rewritten(expr, &tokens, Query::default())?;
    let parsed = parser::parse(readable.as_deref().unwrap_or(expr))
        .map_err(|message| lex::explain(expr, &tokens, &message))?;
    Ok(pattern::unmarked(modifier::unmarked(parsed.prettify())))
}

struct Reader<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    query: Query,
    selectors: Vec<(Matchers, Duration)>,
    longest_range: Duration,
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
        match expr.value_type() {
            ValueType::Scalar => Ok(Root::Scalar(self.scalar(expr)?)),
            ValueType::Vector => Ok(Root::Vector(Box::new(self.vector(expr)?))),
            ValueType::String => Err(ParseError::new(
                "a string is not a value to judge",
                Some(0..self.text.len()),
            )),
            ValueType::Matrix => Err(ParseError::new(
                "a range has many values; put a function around it, such as rate(…)",
                Some(0..self.text.len()),
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
                "range" => Ok(Scalar::Query(|times| times.end - times.start)),
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

    fn selector(
        &mut self,
        selector: &VectorSelector,
        range: Option<Duration>,
    ) -> Result<Selector, ParseError> {
        let offset = offset(selector.offset.as_ref());
        let matchers = self.matchers(selector)?;
        let edges = edges(selector);
        let history = match range {
            Some(range) => time::millis(range)
                .saturating_add(offset)
                .saturating_add(edges.before()),
            None if edges == Edges::Smoothed => LOOKBACK.saturating_add(offset),
            None if offset <= 0 && self.outer.is_none() && selector.at.is_none() => 0,
            None => LOOKBACK.saturating_add(offset),
        };
        let history = history.saturating_add(self.outer.unwrap_or(0));
        let history = Duration::from_millis(u64::try_from(history).unwrap_or(0));
        if range.is_some() || self.outer.is_some() {
            self.longest_range = self.longest_range.max(history);
        }
        self.selectors.push((matchers.clone(), history));
        let pin = pin(selector.at.as_ref());
        Ok(Selector::new(matchers, pin, offset, edges))
    }

    /// What a subquery's steps need is looked back for from each of them.
    fn subquery(&mut self, subquery: &SubqueryExpr) -> Result<Subquery, ParseError> {
        let offset = offset(subquery.offset.as_ref());
        let range = time::millis(subquery.range);
        let step = subquery.step.map(time::millis);
        let steps = range / step.filter(|step| *step > 0).unwrap_or(STEP_DEFAULT);
        if steps > STEPS_MAX {
            let message = format!("a subquery of {steps} steps; {STEPS_MAX} at most");
            return Err(self.wrong(message, ":"));
        }
        // Subqueries within each other multiply.
        let steps = steps + 1;
        let around = self.steps;
        self.steps = around.saturating_mul(steps);
        if self.steps > NESTED_STEPS_MAX {
            let message = format!(
                "subqueries within each other of {} steps together; {NESTED_STEPS_MAX} at most",
                self.steps
            );
            return Err(self.wrong(message, ":"));
        }
        let before = self.outer;
        let dynamic = std::mem::replace(&mut self.dynamic, false);
        let back = range.saturating_add(offset);
        self.outer = Some(before.unwrap_or(0).saturating_add(back).max(0));
        let of = self.vector(&subquery.expr);
        self.outer = before;
        self.steps = around;
        let within = self.dynamic;
        self.dynamic |= dynamic;
        let pin = pin(subquery.at.as_ref());
        Ok(Subquery::new(of?, pin, offset, step, within))
    }

    fn matchers(&self, selector: &VectorSelector) -> Result<Matchers, ParseError> {
        if !selector.matchers.or_matchers.is_empty() {
            return Err(self.refused("or"));
        }
        let mut matchers = Matchers {
            name: selector.name.clone(),
            others: Vec::new(),
        };
        let written =
            |it: &&ParsedMatcher| it.name != rewrite::INFO_MARKER && it.name != modifier::MARKER;
        for matcher in selector.matchers.matchers.iter().filter(written) {
            let test = self.test(matcher)?;
            match test {
                Test::Equal(name)
                    if matcher.name == NAME && matchers.name.is_none() && !name.is_empty() =>
                {
                    matchers.name = Some(name);
                }
                test => matchers.others.push(Matcher {
                    label: matcher.name.clone(),
                    test,
                }),
            }
        }
        Ok(matchers)
    }

    fn test(&self, matcher: &ParsedMatcher) -> Result<Test, ParseError> {
        Ok(match &matcher.op {
            MatchOp::Equal => Test::Equal(matcher.value.clone()),
            MatchOp::NotEqual => Test::NotEqual(matcher.value.clone()),
            MatchOp::Re(_) => Test::Matches(self.regex(&pattern::written(&matcher.value))?),
            MatchOp::NotRe(_) => Test::MatchesNot(self.regex(&pattern::written(&matcher.value))?),
        })
    }

    fn regex(&self, pattern: &str) -> Result<Regex, ParseError> {
        pattern::compiled(pattern).map_err(|message| self.wrong(message, pattern))
    }

    fn call(&mut self, call: &Call) -> Result<Node, ParseError> {
        let name = call.func.name;
        if let Some(function) = functions::range_function(name) {
            return self.over_range(call, function);
        }
        if let Some(function) = Function::named(name) {
            let of = if call.args.args.is_empty() {
                // Of the calendar's functions, whose argument may be left out.
                Node::new(Kind::Vector(Scalar::Time))
            } else {
                self.argument(call, 0)?
            };
            let parameters = call.args.args.iter().skip(1);
            let parameters: Result<Vec<Scalar>, ParseError> =
                parameters.map(|p| self.scalar(p)).collect();
            return node(map(function, of, parameters?));
        }
        match name {
            "absent" => {
                let labels = match call.args.args.first().map(|arg| bare(arg)) {
                    Some(parser::Expr::VectorSelector(selector)) => {
                        self.matchers(selector)?.equalities()
                    }
                    _ => Labels::empty(),
                };
                let of = Box::new(self.argument(call, 0)?);
                self.reads_absence = true;
                node(Kind::Absent { of, labels })
            }
            "absent_over_time" => {
                let present = functions::range_function("present_over_time")
                    .expect("it is among the range functions");
                let of = self.over_range(call, present)?;
                let labels = match &of.kind {
                    Kind::Range(over) => match &over.source {
                        Source::Series(selector) => selector.matchers.equalities(),
                        Source::Steps(_) => Labels::empty(),
                    },
                    _ => Labels::empty(),
                };
                self.reads_absence = true;
                node(Kind::Absent {
                    of: Box::new(of),
                    labels,
                })
            }
            "timestamp" => {
                let argument = call.args.args.first().map(|arg| bare(arg));
                if let Some(parser::Expr::VectorSelector(selector)) = argument {
                    return node(Kind::Timestamp(self.selector(selector, None)?));
                }
                let of = self.argument(call, 0)?;
                node(map(Function::Time, of, Vec::new()))
            }
            "vector" => node(Kind::Vector(self.scalar_argument(call, 0)?)),
            "sort" | "sort_desc" => node(Kind::Sort {
                of: Box::new(self.argument(call, 0)?),
                descending: name == "sort_desc",
            }),
            "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => {
                self.buckets(call)
            }
            "sort_by_label" | "sort_by_label_desc" => {
                let of = Box::new(self.argument(call, 0)?);
                let labels = 1..call.args.args.len();
                let by: Result<Vec<String>, ParseError> =
                    labels.map(|index| self.text(call, index)).collect();
                node(Kind::SortByLabel {
                    of,
                    by: by?,
                    descending: name == "sort_by_label_desc",
                    sorted: Vec::new(),
                })
            }
            "info" => self.info(call),
            "label_replace" | "label_join" => self.relabel(call),
            other => Err(self.refused(other)),
        }
    }

    /// The functions of classic histograms.
    fn buckets(&mut self, call: &Call) -> Result<Node, ParseError> {
        let name = call.func.name;
        let places = self.places(name);
        let (asked, of) = match name {
            "histogram_quantile" => {
                let quantile = self.scalar_argument(call, 0)?;
                self.note_quantile(&quantile, places.place(0));
                (Asked::Quantile(quantile), self.argument(call, 1)?)
            }
            "histogram_fraction" => {
                let lower = self.scalar_argument(call, 0)?;
                let upper = self.scalar_argument(call, 1)?;
                (Asked::Fraction { lower, upper }, self.argument(call, 2)?)
            }
            _ => {
                let of = self.argument(call, 0)?;
                let label = self.text(call, 1)?;
                let quantiles = call.args.args.iter().skip(2);
                let quantiles: Result<Vec<Scalar>, ParseError> =
                    quantiles.map(|it| self.scalar(it)).collect();
                let quantiles = quantiles?;
                self.dynamic |= quantiles.iter().any(|it| it.constant().is_none());
                let all = Vec::new();
                let asked = Asked::Quantiles {
                    label,
                    quantiles,
                    all,
                };
                (asked, of)
            }
        };
        let series = match &asked {
            Asked::Quantile(_) => 1,
            Asked::Quantiles { .. } => 0,
            Asked::Fraction { .. } => 2,
        };
        let slate = Slate::new(places.place(0), places.place(series));
        node(Kind::Buckets(Box::new(Buckets::new(asked, of, slate))))
    }

    /// A rate of what is named like a gauge.
    fn note_counter(&mut self, function: &str, selector: &VectorSelector, place: Place) {
        let rates = matches!(function, "rate" | "increase" | "irate");
        let Some(name) = selector.name.as_ref().filter(|_| rates) else {
            return;
        };
        self.rated.insert(name.clone());
        if function != "irate" && notes::is_gauge(name) {
            self.notes.push(notes::gauge_note(name, place));
        }
    }

    /// A quantile that is no share.
    fn note_quantile(&mut self, quantile: &Scalar, place: Place) {
        if let Some(value) = quantile.constant().filter(|it| !(0.0..=1.0).contains(it)) {
            self.notes.push(notes::quantile_note(value, place));
        }
    }

    /// Where the arguments stand of the call of `name` that is read next.
    fn places(&mut self, name: &str) -> Arguments {
        self.places.next(self.text, &self.tokens, name)
    }

    fn over_range(
        &mut self,
        call: &Call,
        function: &'static functions::RangeFunction,
    ) -> Result<Node, ParseError> {
        let mut parameters = Vec::new();
        let mut source = None;
        let place = self.places(call.func.name).place(0);
        for argument in &call.args.args {
            match bare(argument) {
                parser::Expr::MatrixSelector(matrix) => {
                    self.note_counter(function.name, &matrix.vs, place);
                    self.edges_allow(function.name, edges(&matrix.vs))?;
                    let selector = self.selector(&matrix.vs, Some(matrix.range))?;
                    source = Some((Source::Series(selector), matrix.range));
                }
                parser::Expr::Subquery(subquery) => {
                    let steps = Source::Steps(Box::new(self.subquery(subquery)?));
                    source = Some((steps, subquery.range));
                }
                other => parameters.push(self.scalar(other)?),
            }
        }
        let Some((source, range)) = source else {
            return Err(self.missing(call));
        };
        if let ("quantile_over_time", Some(quantile)) = (function.name, parameters.first()) {
            self.note_quantile(quantile, place);
        }
        node(Kind::Range(Box::new(OverRange {
            function,
            source,
            range: time::millis(range),
            parameters,
            slate: Slate::new(place, place),
            gauges: Vec::new(),
        })))
    }

    fn edges_allow(&self, function: &str, edges: Edges) -> Result<(), ParseError> {
        match edges.functions() {
            Some(functions) if !functions.contains(&function) => {
                let (word, functions) = (edges.name(), functions.join(", "));
                let message =
                    format!("`{word}` can only be used with: {functions} - not with {function}");
                Err(self.wrong(message, word))
            }
            _ => Ok(()),
        }
    }

    /// The string at `index`.
    fn text(&self, call: &Call, index: usize) -> Result<String, ParseError> {
        match call.args.args.get(index).map(|argument| bare(argument)) {
            Some(parser::Expr::StringLiteral(text)) => Ok(text.val.clone()),
            _ => Err(self.missing(call)),
        }
    }

    fn argument(&mut self, call: &Call, index: usize) -> Result<Node, ParseError> {
        match call.args.args.get(index) {
            Some(argument) => self.vector(argument),
            None => Err(self.missing(call)),
        }
    }

    fn scalar_argument(&mut self, call: &Call, index: usize) -> Result<Scalar, ParseError> {
        match call.args.args.get(index) {
            Some(argument) => self.scalar(argument),
            None => Err(self.missing(call)),
        }
    }

    fn missing(&self, call: &Call) -> ParseError {
        let name = call.func.name;
        self.wrong(format!("`{name}` misses an argument"), name)
    }

    fn relabel(&mut self, call: &Call) -> Result<Node, ParseError> {
        let of = self.argument(call, 0)?;
        let mut texts = Vec::new();
        for argument in call.args.args.iter().skip(1) {
            match bare(argument) {
                parser::Expr::StringLiteral(text) => texts.push(text.val.clone()),
                _ => return Err(self.missing(call)),
            }
        }
        let name = call.func.name;
        let (destination, rewrite) = match (name, &texts[..]) {
            ("label_replace", [destination, replacement, source, regex]) => {
                let rewrite = Rewrite::Replace {
                    replacement: replacement.clone(),
                    source: source.clone(),
                    regex: self.regex(regex)?,
                };
                (destination, rewrite)
            }
            ("label_join", [destination, separator, sources @ ..]) => {
                let rewrite = Rewrite::Join {
                    separator: separator.clone(),
                    sources: sources.to_vec(),
                };
                (destination, rewrite)
            }
            _ => return Err(self.missing(call)),
        };
        if destination.is_empty() {
            return Err(self.wrong(format!("`{name}` wants the name of a label"), name));
        }
        node(Kind::Relabel(Box::new(Relabel {
            of,
            destination: destination.clone(),
            rewrite,
        })))
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr) -> Result<Node, ParseError> {
        let operation = match aggregate.op.id() {
            token::T_SUM => Operation::Sum,
            token::T_AVG => Operation::Avg,
            token::T_MIN => Operation::Min,
            token::T_MAX => Operation::Max,
            token::T_COUNT => Operation::Count,
            token::T_GROUP => Operation::Group,
            token::T_STDDEV => Operation::Stddev,
            token::T_STDVAR => Operation::Stdvar,
            token::T_QUANTILE => Operation::Quantile,
            token::T_TOPK => Operation::Topk,
            token::T_BOTTOMK => Operation::Bottomk,
            token::T_LIMITK => Operation::Limitk,
            token::T_LIMIT_RATIO => Operation::LimitRatio,
            token::T_COUNT_VALUES => return self.count_values(aggregate),
            _ => return Err(self.operator(aggregate.op)),
        };
        let place = match operation {
            Operation::Quantile => self.places("quantile").place(0),
            _ => Place::default(),
        };
        let parameter = match &aggregate.param {
            Some(parameter) => Some(self.scalar(parameter)?),
            None => None,
        };
        if let (Operation::Quantile, Some(quantile)) = (operation, &parameter) {
            self.note_quantile(quantile, place);
        }
        let grouping = grouping(aggregate.modifier.as_ref(), Grouping::By(Vec::new()));
        let of = self.vector(&aggregate.expr)?;
        node(Kind::Aggregate(Box::new(Aggregate::new(
            operation,
            grouping,
            parameter,
            of,
            Slate::new(place, place),
        ))))
    }

    /// `info(v, {…})`: the second argument chooses info series and their labels; without a name they are `target_info`.
    fn info(&mut self, call: &Call) -> Result<Node, ParseError> {
        let of = self.argument(call, 0)?;
        let mut matchers = match call.args.args.get(1).map(|argument| bare(argument)) {
            None => Matchers::default(),
            Some(parser::Expr::VectorSelector(selector)) => self.matchers(selector)?,
            Some(_) => {
                return Err(self.wrong("`info` wants a selector to choose labels by", "info"));
            }
        };
        let (mut names, data): (Vec<Matcher>, Vec<Matcher>) = std::mem::take(&mut matchers.others)
            .into_iter()
            .partition(|matcher| matcher.label == NAME);
        let chooses = matchers.name.is_some() || !names.is_empty();
        let spares = chooses || call.args.args.len() < 2;
        if !chooses {
            matchers.name = Some("target_info".to_owned());
        }
        let says_not = |it: &Matcher| matches!(it.test, Test::NotEqual(_) | Test::MatchesNot(_));
        if matchers.name.is_none() && !names.is_empty() && names.iter().all(says_not) {
            // Whoever says only which info series not to take means the others that are called so.
            names.push(Matcher {
                label: NAME.to_owned(),
                test: Test::Matches(self.regex(".+_info")?),
            });
        }
        matchers.others = names;
        let path = call.args.args.first().and_then(|it| path_to_selector(it));
        let path = path.unwrap_or_default();
        let back = path.iter().map(|(_, offset)| *offset).sum::<i64>();
        let back = back.saturating_add(self.outer.unwrap_or(0) + LOOKBACK);
        let history = Duration::from_millis(u64::try_from(back).unwrap_or(0));
        self.selectors.push((matchers.clone(), history));
        self.dynamic = true;
        let infos = Selector::new(matchers, Pin::Now, 0, Edges::Plain);
        node(Kind::Info(Box::new(Info::new(
            of,
            path,
            (infos, spares),
            data,
        ))))
    }

    fn count_values(&mut self, aggregate: &AggregateExpr) -> Result<Node, ParseError> {
        let label = match aggregate.param.as_deref().map(bare) {
            Some(parser::Expr::StringLiteral(text)) => text.val.clone(),
            _ => return Err(self.wrong("`count_values` wants the name of a label", "count_values")),
        };
        if label.is_empty() {
            return Err(self.wrong(format!("invalid label name {label:?}"), "count_values"));
        }
        let grouping = grouping(aggregate.modifier.as_ref(), Grouping::By(Vec::new()));
        let of = self.vector(&aggregate.expr)?;
        self.dynamic = true;
        node(Kind::CountValues(Box::new(CountValues::new(
            grouping, label, of,
        ))))
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

/// What the marker in it says.
fn edges(selector: &VectorSelector) -> Edges {
    let matchers = &selector.matchers.matchers;
    let marker = matchers.iter().find(|it| it.name == modifier::MARKER);
    marker
        .and_then(|it| Edges::named(it.value.trim_end_matches('|')))
        .unwrap_or_default()
}

/// Milliseconds; negative looks ahead.
fn offset(offset: Option<&Offset>) -> i64 {
    match offset {
        None => 0,
        Some(Offset::Pos(offset)) => time::millis(*offset),
        Some(Offset::Neg(offset)) => -time::millis(*offset),
    }
}

fn pin(at: Option<&AtModifier>) -> Pin {
    match at {
        None => Pin::Now,
        Some(AtModifier::Start) => Pin::Start,
        Some(AtModifier::End) => Pin::End,
        Some(AtModifier::At(at)) => Pin::At(match at.duration_since(UNIX_EPOCH) {
            Ok(after) => time::millis(after),
            Err(before) => -time::millis(before.duration()),
        }),
    }
}

/// `@` and offset of the subqueries and the selector on the way to an expression's first selector.
fn path_to_selector(expr: &parser::Expr) -> Option<Vec<(Pin, i64)>> {
    let first = |all: &[Box<parser::Expr>]| all.iter().find_map(|it| path_to_selector(it));
    match expr {
        parser::Expr::VectorSelector(it) => {
            Some(vec![(pin(it.at.as_ref()), offset(it.offset.as_ref()))])
        }
        parser::Expr::MatrixSelector(it) => Some(vec![(
            pin(it.vs.at.as_ref()),
            offset(it.vs.offset.as_ref()),
        )]),
        parser::Expr::Subquery(it) => {
            let mut path = vec![(pin(it.at.as_ref()), offset(it.offset.as_ref()))];
            path.extend(path_to_selector(&it.expr)?);
            Some(path)
        }
        parser::Expr::Paren(it) => path_to_selector(&it.expr),
        parser::Expr::Unary(it) => path_to_selector(&it.expr),
        parser::Expr::Aggregate(it) => path_to_selector(&it.expr),
        parser::Expr::Binary(it) => path_to_selector(&it.lhs).or_else(|| path_to_selector(&it.rhs)),
        parser::Expr::Call(it) => first(&it.args.args),
        parser::Expr::NumberLiteral(_)
        | parser::Expr::StringLiteral(_)
        | parser::Expr::Extension(_) => None,
    }
}

fn map(function: Function, of: Node, parameters: Vec<Scalar>) -> Kind {
    Kind::Map(Box::new(Map {
        function,
        of,
        parameters,
    }))
}

fn matching(modifier: Option<&BinModifier>) -> Grouping {
    let matching = modifier.and_then(|modifier| modifier.matching.as_ref());
    grouping(matching, Grouping::Without(Vec::new()))
}

fn grouping(modifier: Option<&LabelModifier>, default: Grouping) -> Grouping {
    match modifier {
        Some(LabelModifier::Include(labels)) => Grouping::By(labels.labels.clone()),
        Some(LabelModifier::Exclude(labels)) => Grouping::Without(labels.labels.clone()),
        None => default,
    }
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
