//! Functions that turn each value into another, and forget the metric's name.

use crate::model::{STALE, is_stale};

use super::calendar;
use crate::promql::layout::Layout;
use crate::promql::node::{Binding, Moment, Node, bind_scalar};
use crate::promql::plan::EvalError;
use crate::promql::scalar::{Scalar, larger, smaller};

/// `function(of, parameters…)`.
#[derive(Clone, Debug)]
pub(in crate::promql) struct Map {
    pub function: Function,
    pub of: Node,
    pub parameters: Vec<Scalar>,
}

#[derive(Copy, Clone, Debug)]
pub(in crate::promql) enum Function {
    Negate,
    Abs,
    Ceil,
    Floor,
    Round,
    Clamp,
    ClampMin,
    ClampMax,
    Sqrt,
    Exp,
    Ln,
    Log2,
    Log10,
    Sgn,
    /// Of one argument, in the standard library's words.
    Plain(fn(f64) -> f64),
    /// `timestamp()` of anything but a selector: the moment of evaluation.
    Time,
}

impl Function {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "abs" => Self::Abs,
            "ceil" => Self::Ceil,
            "floor" => Self::Floor,
            "round" => Self::Round,
            "clamp" => Self::Clamp,
            "clamp_min" => Self::ClampMin,
            "clamp_max" => Self::ClampMax,
            "sqrt" => Self::Sqrt,
            "exp" => Self::Exp,
            "ln" => Self::Ln,
            "log2" => Self::Log2,
            "log10" => Self::Log10,
            "sgn" => Self::Sgn,
            "sin" => Self::Plain(f64::sin),
            "cos" => Self::Plain(f64::cos),
            "tan" => Self::Plain(f64::tan),
            "asin" => Self::Plain(f64::asin),
            "acos" => Self::Plain(f64::acos),
            "atan" => Self::Plain(f64::atan),
            "sinh" => Self::Plain(f64::sinh),
            "cosh" => Self::Plain(f64::cosh),
            "tanh" => Self::Plain(f64::tanh),
            "asinh" => Self::Plain(f64::asinh),
            "acosh" => Self::Plain(f64::acosh),
            "atanh" => Self::Plain(f64::atanh),
            "deg" => Self::Plain(|radians| radians * 180.0 / std::f64::consts::PI),
            "rad" => Self::Plain(|degrees| degrees * std::f64::consts::PI / 180.0),
            "minute" => Self::Plain(calendar::minute),
            "hour" => Self::Plain(calendar::hour),
            "day_of_week" => Self::Plain(calendar::day_of_week),
            "day_of_month" => Self::Plain(calendar::day_of_month),
            "day_of_year" => Self::Plain(calendar::day_of_year),
            "days_in_month" => Self::Plain(calendar::days_in_month),
            "month" => Self::Plain(calendar::month),
            "year" => Self::Plain(calendar::year),
            _ => return None,
        })
    }
}

impl Map {
    pub fn bind(&mut self, binding: &mut Binding<'_>) -> Result<Layout, EvalError> {
        for parameter in &mut self.parameters {
            bind_scalar(parameter, binding)?;
        }
        self.of.bind(binding)
    }

    pub fn eval(&mut self, moment: &mut Moment<'_>, out: &mut [f64]) -> Result<(), EvalError> {
        self.of.eval(moment)?;
        let mut parameters = [0.0; 2];
        for (number, parameter) in parameters.iter_mut().zip(&mut self.parameters) {
            *number = parameter.eval(moment)?;
        }
        let [a, b] = parameters;
        let values = &self.of.out;
        match self.function {
            Function::Negate => each(values, out, |v| -v),
            Function::Abs => each(values, out, f64::abs),
            Function::Ceil => each(values, out, f64::ceil),
            Function::Floor => each(values, out, f64::floor),
            Function::Sqrt => each(values, out, f64::sqrt),
            Function::Exp => each(values, out, f64::exp),
            Function::Ln => each(values, out, f64::ln),
            Function::Log2 => each(values, out, f64::log2),
            Function::Log10 => each(values, out, f64::log10),
            Function::Sgn => each(values, out, |v| {
                if v < 0.0 {
                    -1.0
                } else if v > 0.0 {
                    1.0
                } else {
                    v
                }
            }),
            Function::Round => {
                let to = if self.parameters.is_empty() { 1.0 } else { a };
                let inverse = 1.0 / to;
                each(values, out, |v| (v * inverse + 0.5).floor() / inverse);
            }
            Function::Clamp if b < a => out.fill(STALE),
            Function::Clamp => each(values, out, |v| larger(a, smaller(b, v))),
            Function::ClampMin => each(values, out, |v| larger(a, v)),
            Function::ClampMax => each(values, out, |v| smaller(a, v)),
            Function::Plain(function) => each(values, out, function),
            Function::Time => {
                let now = moment.seconds();
                each(values, out, |_| now);
            }
        }
        Ok(())
    }
}

/// Absent stays absent.
pub(in crate::promql) fn each(values: &[f64], out: &mut [f64], function: impl Fn(f64) -> f64) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = if is_stale(*value) {
            STALE
        } else {
            function(*value)
        };
    }
}
