//! Selectors and subqueries: matchers, `offset`, `@`, and how much history they need.

use std::time::{Duration, UNIX_EPOCH};

use promql_parser::label::{MatchOp, Matcher as ParsedMatcher};
use promql_parser::parser::{AtModifier, Offset, SubqueryExpr, VectorSelector};
use regex::Regex;

use super::Reader;
use crate::model::labels::NAME;
use crate::model::time;
use crate::promql::LOOKBACK;
use crate::promql::edges::Edges;
use crate::promql::lex::ParseError;
use crate::promql::matchers::{Matcher, Matchers, Test};
use crate::promql::modifier;
use crate::promql::node::Pin;
use crate::promql::pattern;
use crate::promql::range::{NESTED_STEPS_MAX, STEP_DEFAULT, STEPS_MAX, Subquery};
use crate::promql::rewrite;
use crate::promql::select::Selector;

impl Reader<'_> {
    pub(super) fn selector(
        &mut self,
        selector: &VectorSelector,
        range: Option<Duration>,
    ) -> Result<Selector, ParseError> {
        let offset = offset(selector.offset.as_ref());
        let matchers = self.matchers(selector)?;
        let edges = edges(selector);
        let history = match range {
            Some(range) => time::millis(range)
                .saturating_add(offset)
                .saturating_add(edges.before()),
            None if edges == Edges::Smoothed => LOOKBACK.saturating_add(offset),
            None if offset <= 0 && self.outer.is_none() && selector.at.is_none() => 0,
            None => LOOKBACK.saturating_add(offset),
        };
        let history = history.saturating_add(self.outer.unwrap_or(0));
        let history = Duration::from_millis(u64::try_from(history).unwrap_or(0));
        if range.is_some() || self.outer.is_some() {
            self.longest_range = self.longest_range.max(history);
        }
        self.selectors.push((matchers.clone(), history));
        let pin = pin(selector.at.as_ref());
        Ok(Selector::new(matchers, pin, offset, edges))
    }

    /// What a subquery's steps need is looked back for from each of them.
    pub(super) fn subquery(&mut self, subquery: &SubqueryExpr) -> Result<Subquery, ParseError> {
        let offset = offset(subquery.offset.as_ref());
        let range = time::millis(subquery.range);
        let step = subquery.step.map(time::millis);
        let steps = range / step.filter(|step| *step > 0).unwrap_or(STEP_DEFAULT);
        if steps > STEPS_MAX {
            let message = format!("a subquery of {steps} steps; {STEPS_MAX} at most");
            return Err(self.wrong(message, ":"));
        }
        // Subqueries within each other multiply.
        let steps = steps + 1;
        let around = self.steps;
        self.steps = around.saturating_mul(steps);
        if self.steps > NESTED_STEPS_MAX {
            let message = format!(
                "subqueries within each other of {} steps together; {NESTED_STEPS_MAX} at most",
                self.steps
            );
            return Err(self.wrong(message, ":"));
        }
        let before = self.outer;
        let dynamic = std::mem::replace(&mut self.dynamic, false);
        let back = range.saturating_add(offset);
        self.outer = Some(before.unwrap_or(0).saturating_add(back).max(0));
        let of = self.vector(&subquery.expr);
        self.outer = before;
        self.steps = around;
        let within = self.dynamic;
        self.dynamic |= dynamic;
        let pin = pin(subquery.at.as_ref());
        Ok(Subquery::new(of?, pin, offset, step, within))
    }

    pub(super) fn matchers(&self, selector: &VectorSelector) -> Result<Matchers, ParseError> {
        if !selector.matchers.or_matchers.is_empty() {
            return Err(self.refused("or"));
        }
        let mut matchers = Matchers {
            name: selector.name.clone(),
            others: Vec::new(),
        };
        let written =
            |it: &&ParsedMatcher| it.name != rewrite::INFO_MARKER && it.name != modifier::MARKER;
        for matcher in selector.matchers.matchers.iter().filter(written) {
            let test = self.test(matcher)?;
            match test {
                Test::Equal(name)
                    if matcher.name == NAME && matchers.name.is_none() && !name.is_empty() =>
                {
                    matchers.name = Some(name);
                }
                test => matchers.others.push(Matcher {
                    label: matcher.name.clone(),
                    test,
                }),
            }
        }
        Ok(matchers)
    }

    pub(super) fn test(&self, matcher: &ParsedMatcher) -> Result<Test, ParseError> {
        Ok(match &matcher.op {
            MatchOp::Equal => Test::Equal(matcher.value.clone()),
            MatchOp::NotEqual => Test::NotEqual(matcher.value.clone()),
            MatchOp::Re(_) => Test::Matches(self.regex(&pattern::written(&matcher.value))?),
            MatchOp::NotRe(_) => Test::MatchesNot(self.regex(&pattern::written(&matcher.value))?),
        })
    }

    pub(super) fn regex(&self, pattern: &str) -> Result<Regex, ParseError> {
        pattern::compiled(pattern).map_err(|message| self.wrong(message, pattern))
    }
}

/// What the marker in it says.
pub(super) fn edges(selector: &VectorSelector) -> Edges {
    let matchers = &selector.matchers.matchers;
    let marker = matchers.iter().find(|it| it.name == modifier::MARKER);
    marker
        .and_then(|it| Edges::named(it.value.trim_end_matches('|')))
        .unwrap_or_default()
}

/// Milliseconds; negative looks ahead.
pub(super) fn offset(offset: Option<&Offset>) -> i64 {
    match offset {
        None => 0,
        Some(Offset::Pos(offset)) => time::millis(*offset),
        Some(Offset::Neg(offset)) => -time::millis(*offset),
    }
}

pub(super) fn pin(at: Option<&AtModifier>) -> Pin {
    match at {
        None => Pin::Now,
        Some(AtModifier::Start) => Pin::Start,
        Some(AtModifier::End) => Pin::End,
        Some(AtModifier::At(at)) => Pin::At(match at.duration_since(UNIX_EPOCH) {
            Ok(after) => time::millis(after),
            Err(before) => -time::millis(before.duration()),
        }),
    }
}
