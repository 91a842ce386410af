//! Which values an expression can have at all, from its functions alone: a count is one at least, `up` is 0 or 1.
//!
//! A bound stands here only where it holds for whatever data there is; everything else is unbounded.

use promql_parser::parser::value::ValueType;
use promql_parser::parser::{self, AggregateExpr, BinaryExpr, Call, token};

use super::{Reader, arithmetic, bare};
use crate::promql::matchers::Matchers;
use crate::promql::scalar::Op;

/// What an expression can give: `scale` × something + `shift`, from `low` to `high`.
#[derive(Clone, Debug)]
pub struct Value {
    pub low: f64,
    pub high: f64,
    pub scale: f64,
    pub shift: f64,
    /// It divides, so it may be NaN.
    pub divides: bool,
    /// It counts series: where there are none there is no result, not 0.
    pub counts: bool,
    of: Of,
}

#[derive(Clone, Debug)]
enum Of {
    /// The number `shift`.
    Nothing,
    /// The share of some events among others.
    Share,
    /// A quantile of these buckets.
    Quantile(Matchers),
    Anything,
}

impl Value {
    fn between(low: f64, high: f64) -> Self {
        Self {
            low,
            high,
            scale: 1.0,
            shift: 0.0,
            divides: false,
            counts: false,
            of: Of::Anything,
        }
    }

    fn any() -> Self {
        Self::between(f64::NEG_INFINITY, f64::INFINITY)
    }

    fn positive() -> Self {
        Self::between(0.0, f64::INFINITY)
    }

    fn number(value: f64) -> Self {
        Self {
            scale: 0.0,
            shift: value,
            of: Of::Nothing,
            ..Self::between(value, value)
        }
    }

    /// The same bounds of something else.
    fn bounds(&self) -> Self {
        Self {
            divides: self.divides,
            ..Self::between(self.low, self.high)
        }
    }

    /// The number that it is.
    #[must_use]
    pub fn constant(&self) -> Option<f64> {
        matches!(self.of, Of::Nothing).then_some(self.shift)
    }

    #[must_use]
    pub fn is_share(&self) -> bool {
        matches!(self.of, Of::Share)
    }

    /// The buckets that a quantile is taken of.
    #[must_use]
    pub fn buckets(&self) -> Option<&Matchers> {
        match &self.of {
            Of::Quantile(matchers) => Some(matchers),
            Of::Nothing | Of::Share | Of::Anything => None,
        }
    }

    /// The highest value where what it is made of is `highest` at most.
    #[must_use]
    pub fn at(&self, highest: f64) -> f64 {
        self.scale * highest + self.shift
    }

    fn scaled(mut self, by: f64) -> Self {
        let (low, high) = (times(self.low, by), times(self.high, by));
        (self.low, self.high) = if by < 0.0 { (high, low) } else { (low, high) };
        self.scale *= by;
        self.shift *= by;
        self.counts &= by > 0.0;
        self
    }

    fn shifted(mut self, by: f64) -> Self {
        self.low += by;
        self.high += by;
        self.shift += by;
        self
    }
}

/// Nothing of infinitely much is nothing here: the bound is reached, not passed.
fn times(left: f64, right: f64) -> f64 {
    if left == 0.0 || right == 0.0 {
        0.0
    } else {
        left * right
    }
}

pub(super) fn value(expr: &parser::Expr, reader: &Reader<'_>) -> Value {
    match expr {
        parser::Expr::NumberLiteral(it) => Value::number(it.val),
        parser::Expr::Paren(it) => value(&it.expr, reader),
        parser::Expr::Unary(it) => value(&it.expr, reader).scaled(-1.0),
        parser::Expr::VectorSelector(it) => named(it.name.as_deref().unwrap_or("")),
        parser::Expr::MatrixSelector(it) => named(it.vs.name.as_deref().unwrap_or("")),
        parser::Expr::Subquery(it) => value(&it.expr, reader),
        parser::Expr::Aggregate(it) => aggregated(it, reader),
        parser::Expr::Call(it) => called(it, reader),
        parser::Expr::Binary(it) => combined(it, reader),
        parser::Expr::StringLiteral(_) | parser::Expr::Extension(_) => Value::any(),
    }
}

/// What Prometheus itself writes, and counters by the ending of their names.
fn named(name: &str) -> Value {
    match name {
        "up" | "probe_success" => Value::between(0.0, 1.0),
        "ALERTS" => Value::between(1.0, 1.0),
        _ if name.ends_with("_total") || name.ends_with("_bucket") => Value::positive(),
        _ => Value::any(),
    }
}

fn aggregated(aggregate: &AggregateExpr, reader: &Reader<'_>) -> Value {
    let of = value(&aggregate.expr, reader);
    let share = |of: &Value| of.constant().is_some_and(|it| (0.0..=1.0).contains(&it));
    match aggregate.op.id() {
        token::T_COUNT | token::T_COUNT_VALUES => Value {
            counts: true,
            ..Value::between(1.0, f64::INFINITY)
        },
        token::T_GROUP => Value::between(1.0, 1.0),
        token::T_STDDEV | token::T_STDVAR => Value::positive(),
        token::T_SUM if of.low >= 0.0 => Value {
            divides: of.divides,
            ..Value::between(of.low, f64::INFINITY)
        },
        token::T_AVG
        | token::T_MIN
        | token::T_MAX
        | token::T_TOPK
        | token::T_BOTTOMK
        | token::T_LIMITK
        | token::T_LIMIT_RATIO => of,
        token::T_QUANTILE => match &aggregate.param {
            Some(parameter) if share(&value(parameter, reader)) => of.bounds(),
            _ => Value::any(),
        },
        _ => Value::any(),
    }
}

fn called(call: &Call, reader: &Reader<'_>) -> Value {
    let argument = |index: usize| {
        let argument = call.args.args.get(index);
        argument.map_or_else(Value::any, |it| value(it, reader))
    };
    match call.func.name {
        "rate" | "increase" | "irate" | "resets" | "changes" | "stddev_over_time"
        | "stdvar_over_time" | "abs" | "sqrt" | "time" => Value::positive(),
        "count_over_time" => Value {
            counts: true,
            ..Value::between(1.0, f64::INFINITY)
        },
        "absent" | "absent_over_time" | "present_over_time" => Value::between(1.0, 1.0),
        "sgn" => Value::between(-1.0, 1.0),
        "histogram_fraction" => Value::between(0.0, 1.0),
        "minute" => Value::between(0.0, 59.0),
        "hour" => Value::between(0.0, 23.0),
        "day_of_week" => Value::between(0.0, 6.0),
        "day_of_month" => Value::between(1.0, 31.0),
        "month" => Value::between(1.0, 12.0),
        "avg_over_time" | "min_over_time" | "max_over_time" | "last_over_time"
        | "first_over_time" => argument(0).bounds(),
        "sum_over_time" if argument(0).low >= 0.0 => Value::positive(),
        "sort" | "sort_desc" | "label_replace" | "label_join" | "vector" | "scalar" => {
            let of = argument(0);
            // What is written as a vector is one; the number in it is not what others are compared with.
            if of.constant().is_some() {
                of.bounds()
            } else {
                of
            }
        }
        "clamp_min" => match argument(1).constant() {
            Some(least) => Value::between(argument(0).low.max(least), f64::INFINITY),
            None => Value::any(),
        },
        "histogram_quantile" => quantile(call, reader),
        _ => Value::any(),
    }
}

fn quantile(call: &Call, reader: &Reader<'_>) -> Value {
    let mut selectors = Vec::new();
    if let Some(of) = call.args.args.get(1) {
        collect(of, &mut selectors);
    }
    match selectors[..] {
        [only] => match reader.matchers(only) {
            Ok(matchers) => Value {
                of: Of::Quantile(matchers),
                ..Value::any()
            },
            Err(_) => Value::any(),
        },
        _ => Value::any(),
    }
}

/// The selectors of buckets that are only summed and rated.
fn collect<'e>(expr: &'e parser::Expr, selectors: &mut Vec<&'e parser::VectorSelector>) {
    match expr {
        parser::Expr::Paren(it) => collect(&it.expr, selectors),
        parser::Expr::Aggregate(it) => collect(&it.expr, selectors),
        parser::Expr::VectorSelector(it) => selectors.push(it),
        parser::Expr::MatrixSelector(it) => selectors.push(&it.vs),
        parser::Expr::Call(it) => it.args.args.iter().for_each(|it| collect(it, selectors)),
        parser::Expr::Binary(_)
        | parser::Expr::Unary(_)
        | parser::Expr::Subquery(_)
        | parser::Expr::NumberLiteral(_)
        | parser::Expr::StringLiteral(_)
        | parser::Expr::Extension(_) => {}
    }
}

fn combined(binary: &BinaryExpr, reader: &Reader<'_>) -> Value {
    let fills = binary.modifier.as_ref().is_some_and(|it| {
        let fill = &it.fill_values;
        fill.lhs.is_some() || fill.rhs.is_some()
    });
    if fills {
        return Value::any();
    }
    let (left, right) = (value(&binary.lhs, reader), value(&binary.rhs, reader));
    match binary.op.id() {
        token::T_LAND | token::T_LUNLESS => return left,
        token::T_LOR => {
            return Value::between(left.low.min(right.low), left.high.max(right.high));
        }
        _ => {}
    }
    let gives_bool = binary.modifier.as_ref().is_some_and(|it| it.return_bool);
    let Some(op) = arithmetic(binary.op) else {
        return Value::any();
    };
    if op.compares() {
        // What passes a filter keeps its value: the vector's, on whichever side it stands.
        return match (gives_bool, binary.lhs.value_type()) {
            (true, _) => Value::between(0.0, 1.0),
            (false, ValueType::Scalar) => right,
            (false, _) => left,
        };
    }
    let divides = left.divides || right.divides || matches!(op, Op::Div | Op::Mod);
    let positive = left.low >= 0.0 && right.low >= 0.0;
    let combined = match (op, left.constant(), right.constant()) {
        (Op::Add, _, Some(by)) => left.shifted(by),
        (Op::Add, Some(by), _) => right.shifted(by),
        (Op::Sub, _, Some(by)) => left.shifted(-by),
        (Op::Sub, Some(by), _) => right.scaled(-1.0).shifted(by),
        (Op::Mul, _, Some(by)) => left.scaled(by),
        (Op::Mul, Some(by), _) => right.scaled(by),
        (Op::Div, _, Some(by)) if by != 0.0 => left.scaled(1.0 / by),
        (Op::Div, None, None) if events(&binary.lhs) && events(&binary.rhs) => Value {
            of: Of::Share,
            ..Value::positive()
        },
        (Op::Add | Op::Mul | Op::Div, ..) if positive => Value::positive(),
        _ => Value::any(),
    };
    Value {
        divides,
        ..combined
    }
}

/// Whether it is a rate of things that happen, one by one: not of seconds or bytes.
fn events(expr: &parser::Expr) -> bool {
    match bare(expr) {
        parser::Expr::Aggregate(it) => it.op.id() == token::T_SUM && events(&it.expr),
        parser::Expr::Call(it) if matches!(it.func.name, "rate" | "increase" | "irate") => {
            let Some(parser::Expr::MatrixSelector(matrix)) =
                it.args.args.first().map(|it| bare(it))
            else {
                return false;
            };
            let name = matrix.vs.name.as_deref().unwrap_or("_sum");
            let counted = name.ends_with("_count") || name.ends_with("_bucket");
            let measured = ["sum", "seconds", "bytes", "time", "ms", "octets", "cpu"];
            counted || !name.split('_').any(|it| measured.contains(&it))
        }
        _ => false,
    }
}
