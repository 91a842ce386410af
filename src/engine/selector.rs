//! A series selector for labels that stand outside the window: those of rules.

use crate::model::Labels;
use crate::promql::Expr;
use crate::promql::Matchers;

#[derive(Clone, Debug)]
pub struct Selector(Matchers);

impl Selector {
    /// `None` where the text is not one series selector. The parser recurses, and not every thread has the stack for any
    /// text: give it what was answered before, as a [`super::Question`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let expr = Expr::parse(text).ok()?;
        expr.selector().cloned().map(Self)
    }

    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.matches(labels)
    }
}
