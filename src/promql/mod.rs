//! PromQL: text → [`Expr`] → [`Plan`] → values.

use std::ops::Range;
use std::time::Duration;

use crate::model::{Labels, TargetId, Timestamp};
use crate::store::Window;

/// The matchers of one selector, the name's equality apart.
#[derive(Clone, Debug)]
pub struct Matchers {}

impl Matchers {
    /// The metric's name where the selector fixes it.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        todo!()
    }

    #[must_use]
    pub fn matches(&self, _labels: &Labels) -> bool {
        todo!()
    }
}

/// A parsed, type-checked expression that the planner can carry out whole.
#[derive(Clone, Debug)]
pub struct Expr {
    text: String,
}

/// Why a text is not an expression that gated evaluates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// Lower case, names the thing and the way out.
    pub message: String,
    /// Bytes of the text that are at fault, where known.
    pub span: Option<Range<usize>>,
}

impl Expr {
    /// # Errors
    /// What does not parse, is over 4 KiB or 500 tokens, has wrong types, or uses what gated does not evaluate (by name).
    pub fn parse(_text: &str) -> Result<Self, ParseError> {
        todo!()
    }

    /// As written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Every selector with how far back it looks: range + offset, or lookback (5 min) + offset.
    #[must_use]
    pub fn selectors(&self) -> Vec<(Matchers, Duration)> {
        todo!()
    }

    /// The longest range of a range selector with its offset; zero without one. A reading over it is `thin` before that much was watched.
    #[must_use]
    pub fn longest_range(&self) -> Duration {
        todo!()
    }
}

/// A compiled expression, bound to the window's series and kept up to date with them.
#[derive(Debug)]
pub struct Plan {}

/// An instant result. Only what is present is listed.
#[derive(Debug)]
pub enum Output<'a> {
    Scalar(f64),
    Vector(Vector<'a>),
}

/// An instant vector: borrowed from the plan that made it.
#[derive(Debug)]
pub struct Vector<'a> {
    _plan: &'a Plan,
}

impl Vector<'_> {
    #[must_use]
    pub fn iter(&self) -> impl Iterator<Item = (&Labels, f64)> {
        [].into_iter()
    }
}

/// What fails at run time: many-to-many matches and the like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvalError(pub String);

impl Plan {
    #[must_use]
    pub fn new(_expr: &Expr) -> Self {
        todo!()
    }

    /// The value at `at`. In the steady state (no series born or gone) it allocates nothing and reads no label.
    ///
    /// # Errors
    /// As Prometheus: vector matches that are not one-to-one where they must be, and the like.
    pub fn eval(&mut self, _window: &Window, _at: Timestamp) -> Result<Output<'_>, EvalError> {
        todo!()
    }

    /// Binds to the window's series as they are, without evaluating.
    pub fn refresh(&mut self, _window: &Window) {
        todo!()
    }

    /// Whether any series that the selectors match belongs to `target`.
    #[must_use]
    pub fn has_target(&self, _target: TargetId) -> bool {
        todo!()
    }

    /// The result of the last `eval`.
    #[must_use]
    pub fn last(&self) -> Output<'_> {
        todo!()
    }

    /// Targets with series that the selectors match, sorted, as of the last `eval`.
    #[must_use]
    pub fn targets(&self) -> &[TargetId] {
        todo!()
    }

    /// Series that the selectors match, as of the last `eval`.
    #[must_use]
    pub fn matched(&self) -> usize {
        todo!()
    }
}
