//! What the ledger knows of active alerts, so that a long `for` outlives a restart, and so does the knowledge that an
//! alert which asks for a rollback was active before the rollout.

use std::collections::BTreeMap;
use std::time::Duration;

use super::GroupWatch;
use crate::engine::Effect;
use crate::engine::Record;
use crate::engine::Restored;
use crate::engine::RestoredAlert;
use crate::engine::RestoredGroup;
use crate::model::Action;
use crate::model::Labels;
use crate::model::Timestamp;
use crate::rules::FOR_GRACE;
use crate::rules::RuleAlert;
use crate::rules::RuleKind;

/// The ledger hears with an evaluation that a group's alerts are still active, once this much has gone by: what a long
/// `for` loses at most when gated ends without a word, beside the group's interval.
const SEEN_EVERY: Duration = Duration::from_secs(15);

/// What the ledger knows of one group.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// By the alert's labels, which hold its name and what its rule says, and so outlive a rule's place in its group.
    /// Of two rules whose alerts have the same labels the first speaks, as of two equal series in Prometheus.
    alerts: BTreeMap<String, RestoredAlert>,
    /// When it was told last that they are still active.
    seen_at: Option<Timestamp>,
}

impl GroupWatch {
    /// Takes over what was active before a restart.
    pub(super) fn restore(&mut self, before: &Restored, at: Timestamp) {
        let (name, file) = (self.group.name.clone(), self.group.file.clone());
        let alerts = before.alerts.iter();
        let own: Vec<&RestoredAlert> = alerts
            .filter(|it| it.group == name && it.file == file)
            .collect();
        let groups = before.groups.iter();
        let seen = groups
            .filter(|it| it.group == name && it.file == file)
            .map(|it| it.seen_at);
        let down_at = own.iter().map(|it| it.seen_at).chain(seen).max();
        let active_at = |rule: &str, labels: &Labels| {
            let labels = labels.to_string();
            let found = own.iter().find(|it| it.rule == rule && it.labels == labels);
            found.map(|it| it.active_at)
        };
        self.group.restore(&active_at, down_at, at);
        let known = own.into_iter().map(|it| (it.labels.clone(), it.clone()));
        self.kept.alerts = known.collect();
    }

    /// Since when an alert has been active, as far as is known. After a restart its `active_at` says less.
    pub(super) fn since(&self, alert: &RuleAlert, before: &Restored) -> Timestamp {
        let labels = alert.labels.to_string();
        let kept = self.kept.alerts.get(&labels);
        // Not taken over yet: its first evaluations are still to come.
        let is = |it: &&RestoredAlert| {
            let own = (&it.group, &it.file) == (&self.group.name, &self.group.file);
            own && it.labels == labels
        };
        let known = kept.or_else(|| {
            let awaited = !self.group.restored;
            before.alerts.iter().find(is).filter(|_| awaited)
        });
        known.map_or(alert.active_at, |it| it.since.min(alert.active_at))
    }

    /// Tells the ledger which alerts are active whose state a restart would restore.
    pub(super) fn record_alerts(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        if !self.group.restored {
            return;
        }
        let active = self.active(at);
        let kept = &mut self.kept;
        for (labels, record) in &active {
            let known = kept.alerts.get(labels);
            if known.is_none_or(|it| it.active_at != record.active_at) {
                out.push(Effect::Record(Record::Alert(record.clone())));
            }
        }
        for (labels, record) in &kept.alerts {
            if !active.contains_key(labels) {
                out.push(Effect::Record(Record::AlertGone(record.clone())));
            }
        }
        kept.alerts = active;
        let told = kept.seen_at.is_some_and(|it| at.since(it) < SEEN_EVERY);
        if !kept.alerts.is_empty() && !told {
            kept.seen_at = Some(at);
            out.push(Effect::Record(Record::AlertsSeen(RestoredGroup {
                file: self.group.file.clone(),
                group: self.group.name.clone(),
                seen_at: at,
            })));
        }
    }

    /// Active alerts with a long `for` or that ask for a rollback, by their labels.
    fn active(&self, at: Timestamp) -> BTreeMap<String, RestoredAlert> {
        let mut active = BTreeMap::new();
        for (rule, asks) in self.group.rules.iter().zip(&self.asks) {
            let RuleKind::Alert { timing, alerts, .. } = &rule.kind else {
                continue;
            };
            let action = asks.as_ref().and_then(|asks| asks.action);
            if timing.hold < FOR_GRACE && action != Some(Action::Rollback) {
                continue;
            }
            for alert in alerts.active() {
                let labels = alert.labels.to_string();
                let known = self.kept.alerts.get(&labels);
                active
                    .entry(labels.clone())
                    .or_insert_with(|| RestoredAlert {
                        file: self.group.file.clone(),
                        group: self.group.name.clone(),
                        rule: rule.name.clone(),
                        labels,
                        active_at: alert.active_at,
                        since: known.map_or(alert.active_at, |it| it.since.min(alert.active_at)),
                        seen_at: at,
                    });
            }
        }
        active
    }
}
