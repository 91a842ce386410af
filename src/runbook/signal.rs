//! A signal: a named expression with a unit, evaluated here or by a `[[prometheus]]`.

use std::borrow::Cow;
use std::time::Duration;

use super::Remote;
use crate::model::Unit;
use crate::promql::Expr;

#[derive(Clone, Debug)]
pub struct Signal {
    pub name: String,
    /// For people; the name where the file gives none.
    pub title: String,
    /// What gated evaluates. With a `remote` it reads what the source answered.
    pub expr: Expr,
    pub unit: Unit,
    /// What an empty result means while its source answers (no 5xx series yet: no errors).
    pub empty: Option<f64>,
    /// True (non-empty) when there is traffic enough to judge; otherwise the reading is `thin`.
    pub enough: Option<Expr>,
    /// What another than gated evaluates.
    pub remote: Option<Remote>,
}

impl Signal {
    /// The expression that people wrote, with who evaluates it where that is not gated.
    #[must_use]
    pub fn shown(&self) -> Cow<'_, str> {
        match &self.remote {
            None => self.expr.text().into(),
            Some(remote) => {
                // A comment, so that it can be copied as it is; on a line of its own where the last may be one too.
                let gap = if remote.expr.contains(['\n', '#']) {
                    "\n"
                } else {
                    "  "
                };
                format!(
                    "{}{gap}# asked of {}",
                    remote.expr.trim_end(),
                    remote.source
                )
                .into()
            }
        }
    }

    /// How far back the expression that people wrote looks; nothing where gated cannot read it.
    #[must_use]
    pub fn longest_range(&self) -> Duration {
        match &self.remote {
            None => self.expr.longest_range(),
            Some(remote) => remote.range.unwrap_or_default(),
        }
    }
}
