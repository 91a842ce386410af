//! What the ledger knows of active alerts, so that a long `for` outlives a restart.

use std::time::Duration;

use super::GroupWatch;
use crate::engine::Effect;
use crate::engine::Record;
use crate::engine::RestoredAlert;
use crate::model::Labels;
use crate::model::Timestamp;
use crate::rules::FOR_GRACE;
use crate::rules::RuleKind;

/// The ledger hears this often that an alert is still active.
const SEEN_EVERY: Duration = Duration::from_secs(60);

impl GroupWatch {
    /// Takes over what was active before a restart.
    pub(super) fn restore(&mut self, before: &[RestoredAlert], at: Timestamp) {
        let (name, file) = (self.group.name.clone(), self.group.file.clone());
        let own: Vec<&RestoredAlert> = before
            .iter()
            .filter(|it| it.group == name && it.file == file)
            .collect();
        let down_at = own.iter().map(|it| it.seen_at).max();
        let active_at = |rule: &str, labels: &Labels| {
            let labels = labels.to_string();
            let found = own.iter().find(|it| it.rule == rule && it.labels == labels);
            found.map(|it| it.active_at)
        };
        self.group.restore(&active_at, down_at, at);
        for it in own {
            let rules = self.group.rules.iter();
            if let Some(place) = rules.enumerate().find(|(_, rule)| rule.name == it.rule) {
                let key = (place.0, it.labels.clone());
                self.recorded.insert(key, it.clone());
            }
        }
    }

    /// Tells the ledger which alerts are active whose state a restart would restore.
    pub(super) fn record_alerts(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        if !self.group.restored {
            return;
        }
        let mut active = std::collections::BTreeSet::new();
        for (place, rule) in self.group.rules.iter().enumerate() {
            let RuleKind::Alert { timing, alerts, .. } = &rule.kind else {
                continue;
            };
            if timing.hold < FOR_GRACE {
                continue;
            }
            for alert in alerts.active() {
                let key = (place, alert.labels.to_string());
                let known = self.recorded.get(&key);
                active.insert(key.clone());
                if known.is_some_and(|it| {
                    it.active_at == alert.active_at && at.since(it.seen_at) < SEEN_EVERY
                }) {
                    continue;
                }
                let record = RestoredAlert {
                    file: self.group.file.clone(),
                    group: self.group.name.clone(),
                    rule: rule.name.clone(),
                    labels: key.1.clone(),
                    active_at: alert.active_at,
                    seen_at: at,
                };
                self.recorded.insert(key, record.clone());
                out.push(Effect::Record(Record::Alert(record)));
            }
        }
        self.recorded.retain(|key, record| {
            let stays = active.contains(key);
            if !stays {
                out.push(Effect::Record(Record::AlertGone(record.clone())));
            }
            stays
        });
    }
}
