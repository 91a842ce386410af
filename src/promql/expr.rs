//! An expression as the rest of gated holds it: parsed, checked, not yet bound to anything.

use std::collections::BTreeSet;
use std::time::Duration;

use super::lex::ParseError;
use super::matchers::Matchers;
use super::node::{Kind, Node};
use super::notes::Note;
use super::parse;
use super::rewrite::Query;
use super::scalar::Scalar;

/// A parsed, type-checked expression that the planner can carry out whole.
#[derive(Clone, Debug)]
pub struct Expr {
    text: String,
    pub(super) root: Root,
    selectors: Vec<(Matchers, Duration)>,
    longest_range: Duration,
    shortest_rate: Option<Duration>,
    reads_absence: bool,
    dynamic: bool,
    notes: Vec<Note>,
    rated: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Root {
    Scalar(Scalar),
    Vector(Box<Node>),
}

impl Expr {
    /// How far back an instant selector looks for its newest sample.
    pub const LOOKBACK: Duration = Duration::from_millis(super::LOOKBACK.unsigned_abs());

    /// # Errors
    /// What does not parse, is over 64 KiB or 1500 tokens, has wrong types, or uses what gated does not evaluate (by name).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_within(text, Duration::ZERO, Duration::ZERO)
    }

    /// As [`Expr::parse`], for a range query: its step and how long it is, which `step()` and `range()` mean.
    ///
    /// # Errors
    /// As [`Expr::parse`].
    pub fn parse_within(text: &str, step: Duration, range: Duration) -> Result<Self, ParseError> {
        let query = Query {
            step: step.as_secs_f64(),
            range: range.as_secs_f64(),
            unknown: false,
        };
        let parsed = parse::parse(text, query)?;
        Ok(Self {
            text: text.to_owned(),
            root: parsed.root,
            selectors: parsed.selectors,
            longest_range: parsed.longest_range,
            shortest_rate: parsed.shortest_rate,
            reads_absence: parsed.reads_absence,
            dynamic: parsed.dynamic,
            notes: parsed.notes,
            rated: parsed.rated,
        })
    }

    /// As written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Every selector with the history it needs: range + offset, lookback (5 min) + offset, and nothing for an instant
    /// selector without an offset, since the window always keeps the newest sample.
    #[must_use]
    pub fn selectors(&self) -> Vec<(Matchers, Duration)> {
        self.selectors.clone()
    }

    /// The longest range of a range selector with its offset; zero without one. A reading over it is `thin` before that much was watched.
    #[must_use]
    pub fn longest_range(&self) -> Duration {
        self.longest_range
    }

    /// The shortest range of a `rate`, `increase` or another function that gives nothing of a single sample; `None` without
    /// one. Those of subqueries are left out: their steps are no scrapes.
    #[must_use]
    pub fn shortest_rate(&self) -> Option<Duration> {
        self.shortest_rate
    }

    /// Whether `absent` or `absent_over_time` is in it: it gives a result *because* something is gone.
    #[must_use]
    pub fn reads_absence(&self) -> bool {
        self.reads_absence
    }

    /// What may not be meant, in Prometheus' words.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Metrics that a `rate`, an `irate` or an `increase` takes for counters, by name.
    #[must_use]
    pub fn rated(&self) -> &BTreeSet<String> {
        &self.rated
    }

    /// Its matchers, where it is one series selector and nothing else.
    #[must_use]
    pub fn selector(&self) -> Option<&Matchers> {
        match (&self.root, &self.selectors[..]) {
            (Root::Vector(node), [(one, _)]) if matches!(node.kind, Kind::Newest(_)) => Some(one),
            _ => None,
        }
    }

    /// Whether labels of the result come from values.
    pub(super) fn is_dynamic(&self) -> bool {
        self.dynamic
    }

    /// By selector: the metric's name where it is fixed.
    pub(super) fn names(&self) -> impl Iterator<Item = Option<String>> + '_ {
        let names = self.selectors.iter().map(|(matchers, _)| matchers.name());
        names.map(|name| name.map(str::to_owned))
    }
}
