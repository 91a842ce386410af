//! Scalars and the arithmetic that scalars and vectors share.

use super::node::{Moment, Node, Times};
use super::plan::EvalError;

/// An expression that gives one number at a moment.
#[derive(Clone, Debug)]
pub(super) enum Scalar {
    Number(f64),
    Time,
    /// `start()`, `end()`, `step()`, `range()`: of the query, in seconds.
    Query(fn(Times) -> i64),
    /// `scalar(v)`: the value of the only element, else NaN.
    Of(Box<Node>),
    Negate(Box<Scalar>),
    /// `max_of` and `min_of`.
    Extreme {
        most: bool,
        sides: Box<(Scalar, Scalar)>,
    },
    /// Comparisons give 0 or 1.
    Binary(Op, Box<(Scalar, Scalar)>),
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
}

impl Op {
    pub fn compares(self) -> bool {
        self.comparison(0.0, 0.0).is_some()
    }

    /// Whether the comparison holds; `None` for arithmetic. NaN is unequal to everything, as IEEE 754 has it.
    #[allow(
        clippy::float_cmp,
        reason = "PromQL's == is exact equality of two floats"
    )]
    pub fn comparison(self, left: f64, right: f64) -> Option<bool> {
        match self {
            Self::Equal => Some(left == right),
            Self::NotEqual => Some(left != right),
            Self::Greater => Some(left > right),
            Self::GreaterEqual => Some(left >= right),
            Self::Less => Some(left < right),
            Self::LessEqual => Some(left <= right),
            Self::Add | Self::Sub | Self::Mul | Self::Div | Self::Mod | Self::Pow | Self::Atan2 => {
                None
            }
        }
    }

    /// The number: for a comparison 1 where it holds, else 0.
    pub fn apply(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Add => left + right,
            Self::Sub => left - right,
            Self::Mul => left * right,
            Self::Div => left / right,
            Self::Mod => left % right,
            Self::Pow => left.powf(right),
            Self::Atan2 => left.atan2(right),
            Self::Equal
            | Self::NotEqual
            | Self::Greater
            | Self::GreaterEqual
            | Self::Less
            | Self::LessEqual => f64::from(u8::from(self.comparison(left, right) == Some(true))),
        }
    }
}

impl Scalar {
    pub fn eval(&mut self, moment: &mut Moment<'_>) -> Result<f64, EvalError> {
        Ok(match self {
            Self::Number(number) => *number,
            Self::Time => moment.seconds(),
            #[allow(
                clippy::cast_precision_loss,
                reason = "milliseconds stay below 2^53 for 285 000 years"
            )]
            Self::Query(of) => of(moment.times) as f64 / 1000.0,
            Self::Negate(inner) => -inner.eval(moment)?,
            Self::Extreme { most, sides } => {
                let (a, b) = (sides.0.eval(moment)?, sides.1.eval(moment)?);
                if *most { larger(a, b) } else { smaller(a, b) }
            }
            Self::Binary(op, sides) => {
                let left = sides.0.eval(moment)?;
                op.apply(left, sides.1.eval(moment)?)
            }
            Self::Of(vector) => {
                vector.eval(moment)?;
                let mut present = vector.present();
                match (present.next(), present.next()) {
                    (Some((_, value)), None) => value,
                    _ => f64::NAN,
                }
            }
        })
    }

    /// The number, where it is one.
    pub fn constant(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Negate(inner) => inner.constant().map(|number| -number),
            _ => None,
        }
    }

    /// The vectors inside, for binding.
    pub fn vectors<'a>(&'a mut self, see: &mut dyn FnMut(&'a mut Node)) {
        match self {
            Self::Number(_) | Self::Time | Self::Query(_) => {}
            Self::Of(vector) => see(vector),
            Self::Negate(inner) => inner.vectors(see),
            Self::Binary(_, sides) | Self::Extreme { sides, .. } => {
                sides.0.vectors(see);
                sides.1.vectors(see);
            }
        }
    }
}

/// Go's `math.Max`: an infinity outweighs NaN, NaN every other number, and -0 lies below 0.
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { b } else { a }
    } else {
        a.max(b)
    }
}

/// Go's `math.Min`, as [`larger`].
pub(super) fn smaller(a: f64, b: f64) -> f64 {
    -larger(-a, -b)
}
