//! `PromQL`: text → [`Expr`] → [`Plan`] → values.
//!
//! `lex` bounds a text and points into it; `parse` turns it into a tree of nodes that the planner can carry out whole;
//! binding a node to the window resolves selectors to series and grouping to indexes, and from then on evaluation is
//! arithmetic over `f64` arrays. An absent element is the staleness marker, which no arithmetic yields.
//! Deliberately absent: native histograms, and whatever else `Expr::parse` refuses by name.

mod aggregate;
mod binary;
mod dynamic;
mod edges;
mod explain;
mod expr;
mod functions;
mod layout;
mod lex;
mod literal;
mod matchers;
mod modifier;
mod node;
mod notes;
mod parse;
mod pattern;
mod places;
mod plan;
mod range;
mod raw;
mod rewrite;
mod scalar;
mod select;
mod stop;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_notes;
#[cfg(test)]
mod tests_prometheus;

pub use expr::Expr;
pub use lex::{BYTES_MAX, ParseError, TOKENS_MAX};
pub use matchers::Matchers;
pub use notes::Note;
pub use parse::{Comparison, Outcome, Sight, Survey, Value, pretty, survey, text};
pub use plan::{EvalError, Output, Plan, Vector};
pub use raw::RawRange;
pub use stop::Stop;

/// A number as a label's value holds it: shortest, without an exponent.
fn written(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}

/// A number as Go's `%g` and `%v` show it: shortest, with an exponent where it is large or small.
fn shown(value: f64) -> String {
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !value.is_finite() || (-4..6).contains(&exponent) || value == 0.0 {
        return written(value);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// How far back an instant selector looks for its newest sample, in milliseconds.
const LOOKBACK: i64 = 5 * 60 * 1000;
