//! What sources must know of the engine: which series anything wants, and since when a rollout is in progress. They ask
//! once, when a series is born; what nobody wants is validated and dropped.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Settings;
use crate::model::Labels;
use crate::model::Timestamp;
use crate::model::WallClock;
use crate::model::labels::ALERT_SERIES;
use crate::promql::Expr;
use crate::promql::Matchers;
use crate::runbook::GroupRuleKind;

/// Labels of one query that are left out of its selectors in turn: each doubles the work.
const LABELS_MAX: usize = 6;

/// Every selector of every rule, and the times that sources measure files by. Immutable: a reload makes another, and so
/// does a rollout that begins or ends. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Interest {
    wanted: Arc<Wanted>,
    times: Times,
}

/// Times of the world outside, by the wall clock.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// When the rollout in progress began; `None` without one.
    pub rollout_began: Option<Timestamp>,
    /// What the wall clock shows at a stamp of the core's.
    pub wall: WallClock,
}

/// Every selector of every rule, by metric name.
#[derive(Clone, Debug, Default)]
struct Wanted {
    by_name: HashMap<String, Vec<(Matchers, Duration)>>,
    /// Selectors without an equality on the name.
    any_name: Vec<(Matchers, Duration)>,
    /// `[window] retain = "15m"`: every series is wanted, for this long at least.
    retain: Option<Duration>,
    /// Every selector as it prints, which tells matchers apart, with the longest span that anything wants of it.
    printed: HashMap<String, Duration>,
    /// Names of series that rules write: the newest sample of each is in the window in any case.
    written: BTreeSet<String>,
}

impl Interest {
    /// What an engine with these settings asks of its window.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let rules = &settings.rules;
        let version_expr = settings.rollout.version_from.as_deref();
        let version_expr = version_expr.and_then(|text| Expr::parse(text).ok());
        let own = rules.own_expressions();
        let selectors = own.chain(&version_expr).flat_map(Expr::selectors);
        let grouped = rules.groups.iter().flat_map(|group| {
            let offset = group.query_offset.unwrap_or_default();
            let asked = group.rules.iter().flat_map(|rule| match &rule.kind {
                GroupRuleKind::Alert(alert) => &alert.queries[..],
                GroupRuleKind::Record => &[],
            });
            let exprs = group.rules.iter().map(|rule| &rule.expr).chain(asked);
            let selectors = exprs.flat_map(Expr::selectors);
            selectors.map(move |(matchers, span)| match offset {
                Duration::ZERO => (matchers, span),
                offset => (matchers, span.max(Expr::LOOKBACK) + offset),
            })
        });
        let selectors = selectors.chain(grouped);
        // A little more than the rules look back, so that a scrape that is late does not cut a range short.
        let margin = Duration::from_secs(1);
        let selectors = selectors.map(|(matchers, span)| (matchers, span + margin));
        let written = rules.groups.iter().flat_map(|group| &group.rules);
        let written = written.filter(|rule| matches!(rule.kind, GroupRuleKind::Record));
        let written = written.map(|rule| rule.name.clone());
        let alerts = ALERT_SERIES.map(str::to_owned);
        Self::new(selectors, settings.retain).writing(written.chain(alerts))
    }

    /// From selectors with how far back each looks (range + offset, or the lookback).
    #[must_use]
    pub fn new(
        selectors: impl IntoIterator<Item = (Matchers, Duration)>,
        retain: Option<Duration>,
    ) -> Self {
        let mut wanted = Wanted {
            retain,
            ..Wanted::default()
        };
        for (matchers, span) in selectors {
            let known = wanted.printed.entry(print(&matchers)).or_default();
            *known = span.max(*known);
            match matchers.name() {
                Some(name) => wanted
                    .by_name
                    .entry(name.to_owned())
                    .or_default()
                    .push((matchers, span)),
                None => wanted.any_name.push((matchers, span)),
            }
        }
        Self {
            wanted: Arc::new(wanted),
            times: Times::default(),
        }
    }

    /// The same where rules write series of these names.
    #[must_use]
    pub fn writing(mut self, names: impl IntoIterator<Item = String>) -> Self {
        Arc::make_mut(&mut self.wanted).written.extend(names);
        self
    }

    /// The same at other times.
    #[must_use]
    pub fn at(&self, times: Times) -> Self {
        Self {
            wanted: Arc::clone(&self.wanted),
            times,
        }
    }

    pub fn times(&self) -> Times {
        self.times
    }

    /// Whether both want the same series: nothing has to be asked again where only the times differ.
    #[must_use]
    pub fn wants_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.wanted, &other.wanted)
    }

    /// Whether an expression that nobody announced finds all of its series in the window: each of its selectors, or
    /// the same without what it asks of some labels, is one that is announced.
    ///
    /// # Errors
    /// The first metric of which something is missing.
    pub fn covers(&self, expr: &Expr) -> Result<(), String> {
        self.found(expr, |span| span)
    }

    /// The same of a record, which keeps what it has seen however far back an expression looks.
    ///
    /// # Errors
    /// The first metric of which something is missing.
    pub fn holds(&self, expr: &Expr) -> Result<(), String> {
        self.found(expr, |_| Duration::ZERO)
    }

    fn found(&self, expr: &Expr, needed: impl Fn(Duration) -> Duration) -> Result<(), String> {
        if self.wanted.retain.is_some() {
            return Ok(());
        }
        let labels = labels_in(expr.text());
        for (matchers, span) in expr.selectors() {
            let span = needed(span);
            // Without a name the whole expression has to say which.
            let name = matchers.name().unwrap_or(expr.text());
            if span.is_zero() && self.wanted.written.contains(name) {
                continue;
            }
            let wide = (0..1_usize << labels.len()).any(|chosen| {
                let left_out = labels.iter().enumerate();
                let left_out = left_out.filter(|(place, _)| chosen >> place & 1 == 1);
                let left_out: Vec<&str> = left_out.map(|(_, label)| *label).collect();
                let known = self
                    .wanted
                    .printed
                    .get(&print(&matchers.clone().without(&left_out)));
                known.is_some_and(|known| *known >= span)
            });
            if !wide {
                return Err(name.to_owned());
            }
        }
        Ok(())
    }

    /// Every selector that is wanted, as `PromQL` writes it, each once.
    #[must_use]
    pub fn selectors(&self) -> BTreeSet<String> {
        let named = self.wanted.by_name.values().flatten();
        let all = named.chain(&self.wanted.any_name);
        all.map(|(matchers, _)| matchers.to_string()).collect()
    }

    /// How far back the furthest of them looks.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let spans = self.wanted.printed.values().copied();
        spans.chain(self.wanted.retain).max().unwrap_or_default()
    }

    /// How far back the series is needed; `None` when nothing wants it.
    #[must_use]
    pub fn span(&self, labels: &Labels) -> Option<Duration> {
        let named = self.wanted.by_name.get(labels.name()).into_iter().flatten();
        named
            .chain(&self.wanted.any_name)
            .filter(|(matchers, _)| matchers.matches(labels))
            .map(|(_, span)| *span)
            .chain(self.wanted.retain)
            .max()
    }
}

/// Matchers cannot be compared, since patterns cannot; equal ones print alike.
fn print(matchers: &Matchers) -> String {
    format!("{matchers:?}")
}

/// What stands before `=`, `!=`, `=~` and `!~`: labels that a query may ask something of, and other words.
fn labels_in(text: &str) -> Vec<&str> {
    let mut labels = Vec::new();
    for (at, _) in text.match_indices(['=', '!']) {
        let before = text[..at].trim_end();
        let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let label = &before[before.trim_end_matches(name).len()..];
        if !label.is_empty() && !labels.contains(&label) && labels.len() < LABELS_MAX {
            labels.push(label);
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_covers_what_asks_for_less() {
        let announced = ["a", "b{x=\"1\"}", "rate(c{y=~\"z.*\"}[5m])", "{d=\"e\"}"];
        let announced = announced.map(|it| Expr::parse(it).unwrap().selectors());
        let interest = Interest::new(announced.into_iter().flatten(), None);
        let interest = interest.writing(["r".to_owned()]);
        for (expr, missing) in [
            ("a", None),
            ("sum by (x) (a{x=\"1\", y!~\"2\"}) / a{z=\"\"}", None),
            ("b{x=\"1\"} == 1", None),
            ("b{y=\"2\", x=\"1\"}", None),
            (
                "rate(c{y=~\"z.*\",w=\"1\"}[5m]) + increase(c{y=~\"z.*\"}[1m])",
                None,
            ),
            ("{d=\"e\"}", None),
            ("r{any=\"thing\"}", None),
            ("vector(1)", None),
            ("b", Some("b")),
            ("b{x=\"2\"}", Some("b")),
            ("a + c", Some("c")),
            ("rate(c{y=~\"z.*\"}[10m])", Some("c")),
            ("rate(a[1m])", Some("a")),
            ("rate(r[1m])", Some("r")),
            ("{d=\"f\"}", Some("{d=\"f\"}")),
        ] {
            let told = interest.covers(&Expr::parse(expr).unwrap());
            assert_eq!(told.err().as_deref(), missing, "{expr}");
        }
        let all = Interest::new([], Some(Duration::from_secs(60)));
        assert_eq!(all.covers(&Expr::parse("b").unwrap()), Ok(()));
    }
}
