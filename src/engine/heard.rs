//! Alerts that an Alertmanager posts here: what a post says, and when an expression over them may be believed.
//!
//! No news is no good news: that nothing fires is known only while Alertmanager is heard, and only once everything that
//! fires has been repeated since.

use std::collections::BTreeMap;
use std::time::Duration;

use super::engine::Engine;
use crate::model::TargetId;
use crate::model::Timestamp;
use crate::model::labels::HEARD_ALERTS;
use crate::promql::Expr;
use crate::promql::Matchers;
use crate::store::SeriesAt;

/// One post: a group of alerts as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertPost {
    /// Alertmanager's `groupKey`; empty where a custom payload has none, and then the group is not whole.
    pub group: String,
    /// All alerts of the group stand in the post.
    pub whole: bool,
    pub alerts: Vec<PostedAlert>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedAlert {
    /// Tells alerts apart within their group.
    pub fingerprint: String,
    pub firing: bool,
    pub labels: BTreeMap<String, String>,
    /// When it ends unless it is repeated, where the post says so.
    pub ends_at: Option<Timestamp>,
}

/// How long after the last word of Alertmanager what it said still stands: its repeats, and a quarter for being late.
#[must_use]
pub fn heard_for(repeat: Duration) -> Duration {
    repeat + repeat / 4
}

/// What an expression asks of alerts that were posted.
pub(super) fn asked_of(exprs: &[&Expr]) -> Vec<Matchers> {
    let selectors = exprs.iter().flat_map(|expr| expr.selectors());
    let matchers = selectors.map(|(matchers, _)| matchers);
    matchers
        .filter(|it| it.name() == Some(HEARD_ALERTS))
        .collect()
}

impl Engine {
    /// Whether an expression that asks `asked` has an answer at `at`: an alert it asks for fires, or it is known that
    /// none does. Else why not.
    pub(super) fn alerts_known(&self, asked: &[Matchers], at: Timestamp) -> Result<(), String> {
        if self.settings.alerts_repeat.is_zero() {
            return Ok(());
        }
        let mut targets = self.targets.keys();
        let Some(target) = targets.find(|id| id.is_alerts()) else {
            return Err("no Alertmanager has posted to gated yet, or for long".into());
        };
        if asked.iter().any(|it| self.any_fires(*target, it, at)) {
            return Ok(());
        }
        let within = heard_for(self.settings.alerts_repeat);
        let since = self.window.watched_since(*target).unwrap_or(at);
        let heard = Duration::from_secs(at.since(since).as_secs());
        if at.since(since) >= within {
            return Ok(());
        }
        let shown = humantime::format_duration;
        Err(format!(
            "Alertmanager is heard for {}, and what fires may be repeated as late as after {}",
            shown(heard),
            shown(within)
        ))
    }

    fn any_fires(&self, target: TargetId, asked: &Matchers, at: Timestamp) -> bool {
        let mut found = false;
        let mut see = |place: SeriesAt, labels: &crate::model::Labels| {
            if found || place.target != target || !asked.matches(labels) {
                return;
            }
            let block = self.window.block(target, place.block);
            let newest = block.and_then(|it| it.newest(i64::MIN, at.millis()));
            found = newest.is_some_and(|row| !row.get(place.column).is_nan());
        };
        self.window.visit(Some(HEARD_ALERTS), &mut see);
        found
    }
}
