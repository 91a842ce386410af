//! Help for the person who wrote the rules: nearest metric names, and triggers that can never trip.

use std::collections::BTreeSet;

use super::engine::Engine;
use crate::model::Reading;
use crate::promql::Expr;
use crate::rules::signals_of;
use crate::runbook::Bound;
use crate::runbook::Condition;
use crate::runbook::Op;
use crate::runbook::Trigger;
use crate::runbook::When;

/// Names further away than this share of their letters are no help.
const LIKENESS_MIN: f64 = 0.6;
const NAMES_SHOWN: usize = 3;

impl Engine {
    /// For a signal whose selectors match nothing: the metric names of the pages that are nearest to those it asks for.
    pub(super) fn hint(&self, signal: usize) -> Option<String> {
        let watch = &self.signals[signal];
        // Too little traffic is what a wrong name looks like to `enough`.
        if !matches!(watch.reading(), Reading::Empty | Reading::Thin)
            || watch.plan.any_selector_matched()
            || self.settings.preview.is_none()
            // What a source has is not known here.
            || self.is_asked(signal)
        {
            return None;
        }
        let known = self.metric_names();
        let expr = &self.settings.rules.signals[signal].expr;
        let selectors = expr.selectors();
        let asked = selectors.iter().filter_map(|(matchers, _)| matchers.name());
        let missing = asked
            .filter(|name| !known.contains(*name))
            .collect::<Vec<_>>();
        let Some(missing) = missing.first() else {
            return Some("its metrics exist, but no series has these labels".into());
        };
        let mut near: Vec<(f64, &str)> = known
            .iter()
            .map(|name| {
                (
                    strsim::normalized_damerau_levenshtein(missing, name),
                    name.as_str(),
                )
            })
            .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        let near: Vec<&str> = near
            .into_iter()
            .take(NAMES_SHOWN)
            .map(|(_, name)| name)
            .collect();
        Some(match near.as_slice() {
            [] => format!("no target has a metric like `{missing}`"),
            names => format!("no target has `{missing}`; nearest: {}", names.join(", ")),
        })
    }

    /// Why a trigger can never trip, in a dry run: a quantile of a histogram never exceeds its highest finite bucket.
    pub(super) fn cannot_trip(&self, trigger: &Trigger) -> Option<String> {
        self.settings.preview.as_ref()?;
        let When::Condition(condition) = &trigger.when else {
            return None;
        };
        let Condition::Compare { signal, threshold } = condition else {
            return None;
        };
        let signal = &self.settings.rules.signals[*signal];
        let Bound::Value(bound) = threshold.bound else {
            return None;
        };
        if !matches!(threshold.op, Op::Gt | Op::Ge)
            || !signal
                .expr
                .text()
                .trim_start()
                .starts_with("histogram_quantile(")
        {
            return None;
        }
        let highest = self.highest_finite_bucket(&signal.expr)?;
        let beyond = if threshold.op == Op::Gt {
            bound >= highest
        } else {
            bound > highest
        };
        debug_assert_eq!(signals_of(condition).len(), 1);
        beyond.then(|| {
            let (bound, highest) = (signal.unit.show(bound), signal.unit.show(highest));
            format!(
                "{} is never above its highest finite bucket {highest}, the threshold is {bound}",
                signal.title
            )
        })
    }

    fn highest_finite_bucket(&self, expr: &Expr) -> Option<f64> {
        let mut highest: Option<f64> = None;
        for (matchers, _) in expr.selectors() {
            self.window.visit(matchers.name(), &mut |_, labels| {
                let bound = labels.get("le").and_then(|le| le.parse::<f64>().ok());
                if let Some(bound) =
                    bound.filter(|bound| bound.is_finite() && matchers.matches(labels))
                {
                    highest = Some(highest.map_or(bound, |known| known.max(bound)));
                }
            });
        }
        highest
    }

    fn metric_names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        self.window.visit(None, &mut |_, labels| {
            if !names.contains(labels.name()) {
                names.insert(labels.name().to_owned());
            }
        });
        names
    }
}
