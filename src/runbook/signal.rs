//! A signal: a named expression with a unit.

use crate::model::Unit;
use crate::promql::Expr;

#[derive(Clone, Debug)]
pub struct Signal {
    pub name: String,
    /// For people; the name where the file gives none.
    pub title: String,
    pub expr: Expr,
    pub unit: Unit,
    /// What an empty result means while its source answers (no 5xx series yet: no errors).
    pub empty: Option<f64>,
    /// True (non-empty) when there is traffic enough to judge; otherwise the reading is `thin`.
    pub enough: Option<Expr>,
}
