//! What Alertmanager should know: firing triggers of active phases, blind signals, and a Watchdog whose absence says
//! that gated died. Sent when something changes and again every `resend`; Alertmanager forgets over a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Alert;
use super::Alerting;
use super::Effect;
use super::engine::Engine;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::model::Unit;

/// Resolved alerts are sent this long, as Prometheus does, in case a peer was away.
const RESOLVED_KEPT: Duration = Duration::from_secs(15 * 60);
/// A firing alert is valid for this many resend intervals: fewer and a late post resolves it.
const RESENDS_VALID: u32 = 4;

type Key = BTreeMap<String, String>;

/// Alerts that fire or have lately resolved.
#[derive(Debug)]
pub(super) struct AlertBook {
    firing: BTreeMap<Key, Alert>,
    resolved: BTreeMap<Key, Alert>,
    started_at: Timestamp,
    sent_at: Option<Timestamp>,
}

impl AlertBook {
    pub fn new(at: Timestamp) -> Self {
        Self {
            firing: BTreeMap::new(),
            resolved: BTreeMap::new(),
            started_at: at,
            sent_at: None,
        }
    }

    pub fn next_resend(&self, alerting: Alerting) -> Timestamp {
        self.sent_at
            .map_or(self.started_at, |sent| sent + alerting.resend)
    }

    /// Takes what fires at `at`. Answers whether anything began or ended.
    fn update(&mut self, firing: BTreeMap<Key, Alert>, at: Timestamp) -> bool {
        let ended: Vec<Key> = self
            .firing
            .keys()
            .filter(|key| !firing.contains_key(*key))
            .cloned()
            .collect();
        let begun = firing.keys().any(|key| !self.firing.contains_key(key));
        for key in &ended {
            if let Some(alert) = self.firing.remove(key) {
                self.resolved.insert(
                    key.clone(),
                    Alert {
                        ends_at: at,
                        ..alert
                    },
                );
            }
        }
        for key in firing.keys() {
            self.resolved.remove(key);
        }
        self.resolved
            .retain(|_, alert| at.since(alert.ends_at) <= RESOLVED_KEPT);
        self.firing = firing;
        begun || !ended.is_empty()
    }
}

impl Engine {
    /// Compares what fires with what was told, and tells Alertmanager at once when something changed.
    pub(super) fn update_alerts(&mut self, active: &[usize], at: Timestamp, out: &mut Vec<Effect>) {
        let firing = self.firing_alerts(active, at);
        let changed = self.alerts.update(firing, at);
        if changed && self.settings.alerting.is_some() && self.alerts.sent_at.is_some() {
            self.send_alerts(at, out);
        }
    }

    pub(super) fn send_alerts(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let Some(alerting) = self.settings.alerting else {
            return;
        };
        self.alerts.sent_at = Some(at);
        let ends_at = at + alerting.resend * RESENDS_VALID;
        let firing = self.alerts.firing.values().map(|alert| Alert {
            ends_at,
            ..alert.clone()
        });
        let resolved = self.alerts.resolved.values().cloned();
        out.push(Effect::Alerts(firing.chain(resolved).collect()));
    }

    /// What fires now: what the snapshot shows.
    pub(super) fn alerts_shown(&self) -> Vec<Alert> {
        self.alerts.firing.values().cloned().collect()
    }

    fn firing_alerts(&self, active: &[usize], at: Timestamp) -> BTreeMap<Key, Alert> {
        let mut firing = BTreeMap::new();
        let mut add = |alert: Alert| {
            firing.insert(alert.labels.clone(), alert);
        };
        add(self.watchdog(at));
        for (t, watch) in self.triggers.iter().enumerate() {
            let ((phase, trigger), is_active) = self.place(t, active);
            let trigger = &self.settings.rules.phases[phase].triggers[trigger];
            if !is_active || trigger.shadow || self.settle_until.is_some() {
                continue;
            }
            for it in watch.series.values() {
                let Some((_, fired_at)) = it.firing() else {
                    continue;
                };
                let unit = it.signal.map_or(Unit::None, |signal| {
                    self.settings.rules.signals[signal].unit
                });
                let now = it
                    .value
                    .map_or_else(|| "no value".to_owned(), |value| unit.show(value));
                let summary = format!("{}: {} (now {now})", watch.name, watch.text);
                let series = it
                    .labels
                    .iter()
                    .filter(|(name, _)| *name != crate::model::labels::NAME);
                add(self.alert(&watch.name, trigger.severity, series, summary, fired_at));
            }
        }
        for (s, watch) in self
            .signals
            .iter()
            .enumerate()
            .filter(|(_, watch)| watch.blind_told)
        {
            let signal = &self.settings.rules.signals[s];
            let since = watch.blind_since.unwrap_or(at);
            let summary = format!("{} has no value: {}", signal.title, watch.read.why);
            let labels = [("signal", signal.name.as_str())];
            add(self.alert("SignalBlind", Severity::P2, labels, summary, since));
        }
        firing
    }

    fn watchdog(&self, at: Timestamp) -> Alert {
        let summary = "gated is alive; when this alert ends, it is not".to_owned();
        let started = self.alerts.started_at.min(at);
        let mut alert = self.alert(
            "Watchdog",
            Severity::P4,
            std::iter::empty(),
            summary,
            started,
        );
        alert.labels.insert("severity".into(), "none".into());
        alert
    }

    fn alert<'a>(
        &self,
        name: &str,
        severity: Severity,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        summary: String,
        starts_at: Timestamp,
    ) -> Alert {
        let text = |text: &str| text.to_owned();
        let mut all = self.settings.labels.clone();
        all.extend(
            labels
                .into_iter()
                .map(|(name, value)| (text(name), text(value))),
        );
        // gated's own labels win over those of a series: routing rests on them.
        all.insert("alertname".into(), text(name));
        all.insert("severity".into(), text(severity.word()));
        all.insert("service".into(), self.settings.service.clone());
        all.insert("environment".into(), self.settings.environment.clone());
        all.insert("source".into(), "gated".into());
        all.retain(|_, value| !value.is_empty());
        let url = self
            .settings
            .external_url
            .as_deref()
            .unwrap_or("http://localhost");
        Alert {
            labels: all,
            annotations: BTreeMap::from([("summary".to_owned(), summary)]),
            starts_at,
            ends_at: starts_at,
            generator_url: format!("{url}/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(name: &str) -> (Key, Alert) {
        let labels = Key::from([("alertname".to_owned(), name.to_owned())]);
        let at = Timestamp::EPOCH;
        let alert = Alert {
            labels: labels.clone(),
            annotations: BTreeMap::new(),
            starts_at: at,
            ends_at: at,
            generator_url: String::new(),
        };
        (labels, alert)
    }

    #[test]
    fn what_ends_is_resolved_for_fifteen_minutes_unless_it_fires_again() {
        let minute = |m: i64| Timestamp::from_millis(m * 60_000);
        let mut book = AlertBook::new(minute(0));
        assert!(book.update(BTreeMap::from([alert("a")]), minute(1)));
        assert!(
            !book.update(BTreeMap::from([alert("a")]), minute(2)),
            "nothing began or ended"
        );
        assert!(book.update(BTreeMap::new(), minute(3)));
        assert_eq!(
            book.resolved
                .values()
                .map(|it| it.ends_at)
                .collect::<Vec<_>>(),
            [minute(3)]
        );
        assert!(!book.update(BTreeMap::new(), minute(18)));
        assert_eq!(book.resolved.len(), 1);
        book.update(BTreeMap::new(), minute(19));
        assert_eq!(book.resolved.len(), 0);
        book.update(BTreeMap::from([alert("a")]), minute(20));
        book.update(BTreeMap::new(), minute(21));
        book.update(BTreeMap::from([alert("a")]), minute(22));
        assert_eq!((book.firing.len(), book.resolved.len()), (1, 0));
    }
}
