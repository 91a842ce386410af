//! Calls of functions, each by its name.

use promql_parser::parser::{self, Call};

use super::selector::{edges, offset, pin};
use super::{Reader, bare, node};
use crate::model::labels::NAME;
use crate::model::{Labels, time};
use crate::promql::LOOKBACK;
use crate::promql::dynamic::Info;
use crate::promql::edges::Edges;
use crate::promql::functions::{self, Asked, Buckets, Function, Map, Relabel, Rewrite};
use crate::promql::lex::ParseError;
use crate::promql::matchers::{Matcher, Matchers, Test};
use crate::promql::node::{Kind, Node, Pin};
use crate::promql::notes::Slate;
use crate::promql::range::{OverRange, Source};
use crate::promql::scalar::Scalar;
use crate::promql::select::Selector;

use std::time::Duration;

impl Reader<'_> {
    pub(super) fn call(&mut self, call: &Call) -> Result<Node, ParseError> {
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
            "absent" => self.absent(call),
            "absent_over_time" => self.absent_over_time(call),
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

    fn absent(&mut self, call: &Call) -> Result<Node, ParseError> {
        let labels = match call.args.args.first().map(|arg| bare(arg)) {
            Some(parser::Expr::VectorSelector(selector)) => self.matchers(selector)?.equalities(),
            _ => Labels::empty(),
        };
        let of = Box::new(self.argument(call, 0)?);
        self.reads_absence = true;
        node(Kind::Absent { of, labels })
    }

    fn absent_over_time(&mut self, call: &Call) -> Result<Node, ParseError> {
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

    pub(super) fn over_range(
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
                    self.note_rate(function.name, &matrix.vs, matrix.range);
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

    pub(super) fn edges_allow(&self, function: &str, edges: Edges) -> Result<(), ParseError> {
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
    pub(super) fn text(&self, call: &Call, index: usize) -> Result<String, ParseError> {
        match call.args.args.get(index).map(|argument| bare(argument)) {
            Some(parser::Expr::StringLiteral(text)) => Ok(text.val.clone()),
            _ => Err(self.missing(call)),
        }
    }

    pub(super) fn argument(&mut self, call: &Call, index: usize) -> Result<Node, ParseError> {
        match call.args.args.get(index) {
            Some(argument) => self.vector(argument),
            None => Err(self.missing(call)),
        }
    }

    pub(super) fn scalar_argument(
        &mut self,
        call: &Call,
        index: usize,
    ) -> Result<Scalar, ParseError> {
        match call.args.args.get(index) {
            Some(argument) => self.scalar(argument),
            None => Err(self.missing(call)),
        }
    }

    pub(super) fn missing(&self, call: &Call) -> ParseError {
        let name = call.func.name;
        self.wrong(format!("`{name}` misses an argument"), name)
    }

    pub(super) fn relabel(&mut self, call: &Call) -> Result<Node, ParseError> {
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

    /// `info(v, {…})`: the second argument chooses info series and their labels; without a name they are `target_info`.
    pub(super) fn info(&mut self, call: &Call) -> Result<Node, ParseError> {
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
        let offsets = path.iter().map(|(_, offset)| *offset);
        let back = offsets.fold(LOOKBACK, i64::saturating_add);
        let back = back.saturating_add(self.outer.unwrap_or(0));
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

    /// The functions of classic histograms.
    pub(super) fn buckets(&mut self, call: &Call) -> Result<Node, ParseError> {
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
}

pub(super) fn map(function: Function, of: Node, parameters: Vec<Scalar>) -> Kind {
    Kind::Map(Box::new(Map {
        function,
        of,
        parameters,
    }))
}

/// `@` and offset of the subqueries and the selector on the way to an expression's first selector.
pub(super) fn path_to_selector(expr: &parser::Expr) -> Option<Vec<(Pin, i64)>> {
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
