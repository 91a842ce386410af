//! Rules against a page of a target at hand: selectors that match nothing on it, rates of what it calls a gauge.
//! What the page cannot show is taken as given: the labels of the target itself, `up` and its like, what rules record.

use std::collections::BTreeSet;

use super::check::UNLIMITED;
use crate::model::{Labels, Metadata, MetricKind, Timestamp};
use crate::promql::Expr;
use crate::runbook::{GroupRuleKind, Rules, When};
use crate::source::exposition::{Fate, Format, PageError, Reader};

/// Labels that a scrape adds.
const OF_THE_TARGET: [&str; 2] = ["job", "instance"];
/// Metrics that a scrape or a rule adds.
const ADDED: [&str; 3] = ["up", "ALERTS", "ALERTS_FOR_STATE"];
/// Names less alike than this are no help.
const LIKENESS_MIN: f64 = 0.6;

/// What stands on the page.
pub struct AtHand {
    series: BTreeSet<Labels>,
    metadata: Vec<Metadata>,
}

impl AtHand {
    /// # Errors
    /// The page is faulty: `gated check metrics` says more.
    pub fn read(page: &[u8], format: Format) -> Result<Self, PageError> {
        let mut series = BTreeSet::new();
        let mut fate = |labels| {
            series.insert(labels);
            Fate::Unwanted
        };
        let at = Timestamp::EPOCH;
        let (columns, _) = Reader::new(UNLIMITED).read(page, format, at, false, &mut fate)?;
        let metadata = columns.metadata.map_or_else(Vec::new, |it| it.to_vec());
        Ok(Self { series, metadata })
    }

    /// A sentence for each expression and selector that likely asks for something else than it means.
    #[must_use]
    pub fn lints(&self, rules: &Rules) -> Vec<String> {
        let of_groups = || rules.groups.iter().flat_map(|it| &it.rules);
        let recorded = of_groups().filter(|it| matches!(it.kind, GroupRuleKind::Record));
        let recorded: BTreeSet<&str> = recorded.map(|it| it.name.as_str()).collect();
        let mut lints = Vec::new();
        let mut look = |who: &str, expr: &Expr| self.look(who, expr, &recorded, &mut lints);
        for signal in &rules.signals {
            look(&format!("signal `{}`", signal.name), &signal.expr);
            if let Some(enough) = &signal.enough {
                look(&format!("`enough` of signal `{}`", signal.name), enough);
            }
        }
        for phase in &rules.phases {
            for trigger in &phase.triggers {
                if let When::Expr(expr) = &trigger.when {
                    let who = format!("trigger `{}` of phase `{}`", trigger.name, phase.name);
                    look(&who, expr);
                }
            }
        }
        for rule in of_groups() {
            let kind = match rule.kind {
                GroupRuleKind::Record => "recording rule",
                GroupRuleKind::Alert(_) => "alert",
            };
            look(&format!("{kind} `{}`", rule.name), &rule.expr);
        }
        lints
    }

    fn look(&self, who: &str, expr: &Expr, recorded: &BTreeSet<&str>, lints: &mut Vec<String>) {
        let typed = |name: &str| self.metadata.iter().find(|it| it.name == name);
        for name in expr.rated() {
            if typed(name).is_some_and(|it| it.kind == MetricKind::Gauge) {
                lints.push(format!(
                    "{who}: `{name}` is a gauge on the page (# TYPE) and is read as a counter: a gauge has a delta or a deriv"
                ));
            }
        }
        for (matchers, _) in expr.selectors() {
            let name = matchers.name().map(str::to_owned);
            let given = |name: &str| {
                ADDED.contains(&name) || name.starts_with("scrape_") || recorded.contains(name)
            };
            if name.as_deref().is_some_and(given) {
                continue;
            }
            let matchers = matchers.without(&OF_THE_TARGET);
            if self.series.iter().any(|it| matchers.matches(it)) {
                continue;
            }
            let what = match &name {
                None => "a selector without a name matches nothing on the page".to_owned(),
                Some(name) if self.series.iter().any(|it| it.name() == name) => {
                    format!("`{name}` is on the page, but no series of it has these labels")
                }
                Some(name) => {
                    let near = self.nearest(name);
                    let near = near.map_or(String::new(), |it| format!("; did you mean `{it}`?"));
                    format!("`{name}` is not on the page{near}")
                }
            };
            let lint = format!("{who}: {what}");
            if !lints.contains(&lint) {
                lints.push(lint);
            }
        }
    }

    fn nearest(&self, name: &str) -> Option<&str> {
        let names: BTreeSet<&str> = self.series.iter().map(Labels::name).collect();
        let alike = names
            .into_iter()
            .map(|it| (strsim::normalized_damerau_levenshtein(it, name), it));
        let near = alike.filter(|(likeness, _)| *likeness >= LIKENESS_MIN);
        near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, it)| it)
    }
}
