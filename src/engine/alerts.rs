//! What Alertmanager should know: firing triggers of active phases, what was decided of late, blind signals, and a Watchdog whose absence says
//! that gated died. Sent when something changes and again every `resend`; Alertmanager forgets over a restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Alert;
use super::Alerting;
use super::Effect;
use super::Settings;
use super::deliver::UNDELIVERED;
use super::engine::Engine;
use super::incidents::Held;
use super::notices::NOTICE_HELD;
use super::triggers::TriggerWatch;
use super::verify::UNVERIFIED;
use crate::model::Action;
use crate::model::Cause;
use crate::model::Decision;
use crate::model::DecisionId;
use crate::model::DeliveryState;
use crate::model::Helped;
use crate::model::Incident;
use crate::model::NoticeKind;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::model::Unit;

/// Resolved alerts are sent this long, as Prometheus does, in case a peer was away.
const RESOLVED_KEPT: Duration = Duration::from_secs(15 * 60);
/// A firing alert is valid for this many resend intervals: fewer and a late post resolves it.
const RESENDS_VALID: u32 = 4;
/// … and for this long at least: a post that waits behind a slow peer must not resolve what fires.
const VALID_MIN: Duration = Duration::from_secs(3 * 60);
/// What was decided about a rollback is an alert for this long, however soon the trigger calms: an Alertmanager that
/// waits to group would tell nobody otherwise.
const DECISION_HELD: Duration = Duration::from_secs(5 * 60);

const NO_HELP: &str = "the rollback did not help, and no other follows";
const UNKNOWN_HELP: &str = "whether the rollback helped cannot be seen";

type Key = BTreeMap<String, String>;

/// Alerts that fire or have lately resolved.
#[derive(Debug)]
pub(super) struct AlertBook {
    firing: BTreeMap<Key, Alert>,
    resolved: BTreeMap<Key, Alert>,
    started_at: Timestamp,
    sent_at: Option<Timestamp>,
    /// The settings that the alerts' labels are of.
    drawn_for: Option<Arc<Settings>>,
}

impl AlertBook {
    pub fn new(at: Timestamp) -> Self {
        Self {
            firing: BTreeMap::new(),
            resolved: BTreeMap::new(),
            started_at: at,
            sent_at: None,
            drawn_for: None,
        }
    }

    /// Whether only the Watchdog fires, and nothing has ended of late.
    fn is_calm(&self, settings: &Arc<Settings>) -> bool {
        let drawn = self.drawn_for.as_ref();
        let current = drawn.is_some_and(|it| Arc::ptr_eq(it, settings));
        current && self.firing.len() == 1 && self.resolved.is_empty()
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
        // The rule, with every scrape: a map of texts that says what it said is not drawn again.
        if self.alerts.is_calm(&self.settings) && self.is_nothing_to_tell(at) {
            return;
        }
        let firing = self.firing_alerts(active, at);
        let changed = self.alerts.update(firing, at);
        self.alerts.drawn_for = Some(Arc::clone(&self.settings));
        if changed && self.settings.alerting.is_some() && self.alerts.sent_at.is_some() {
            self.send_alerts(at, out);
        }
    }

    /// Whether nothing that [`Engine::firing_alerts`] looks at is there, but for the Watchdog.
    fn is_nothing_to_tell(&self, at: Timestamp) -> bool {
        let held = DECISION_HELD.max(NOTICE_HELD);
        let fires = |it: &TriggerWatch| it.series.values().any(|it| it.firing().is_some());
        let is_open = |it: &Held| it.incident.is_open();
        !self.triggers.iter().any(fires)
            && !self.signals.iter().any(|it| it.blind_told)
            && !self.incidents.all.iter().any(is_open)
            && self
                .decisions
                .last()
                .is_none_or(|it| at.since(it.at) >= held)
    }

    pub(super) fn send_alerts(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let Some(alerting) = self.settings.alerting else {
            return;
        };
        self.alerts.sent_at = Some(at);
        let ends_at = at + VALID_MIN.max(alerting.resend * RESENDS_VALID);
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
                let mut alert =
                    self.alert(&watch.name, trigger.severity, series, summary, fired_at);
                if let Some(handled) = &it.handled {
                    alert.generator_url = self.explanation(&handled.decision);
                }
                add(alert);
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
        for alert in self
            .unseen_alerts()
            .into_iter()
            .chain(self.unheard_notices(at))
        {
            firing.insert(alert.labels.clone(), alert);
        }
        for alert in self.decided_lately(at) {
            let known = firing.get(&alert.labels);
            let starts_at = known.map_or(alert.starts_at, |it: &Alert| it.starts_at);
            firing.insert(alert.labels.clone(), Alert { starts_at, ..alert });
        }
        firing
    }

    /// What was decided about rollbacks in the last minutes, oldest first. The ledger remembers it, so a restart ends no
    /// alert early.
    fn decided_lately(&self, at: Timestamp) -> Vec<Alert> {
        let lately = self.decisions.iter().rev();
        let lately = lately.take_while(|it| at.since(it.at) < DECISION_HELD);
        let asked = lately.filter(|it| it.asked == Action::Rollback && !self.is_shadow_rule(it));
        let mut alerts: Vec<Alert> = asked.map(|it| self.alert_of(it)).collect();
        alerts.reverse();
        alerts
    }

    /// What is open and no trigger shows: a rollback that did not arrive, that did not help, of which nobody can say.
    fn unseen_alerts(&self) -> Vec<Alert> {
        let open = self.incidents.all.iter().map(|it| &it.incident);
        let open = open.filter(|it| it.is_open());
        let alerts = open.flat_map(|it| {
            let causes = it.causes.iter();
            causes.filter_map(|cause| self.unseen_alert(it, cause))
        });
        alerts.collect()
    }

    fn unseen_alert(&self, incident: &Incident, cause: &Cause) -> Option<Alert> {
        let mut decisions = self.decisions.iter().rev();
        let of = |it: &&Arc<Decision>| incident.decisions.contains(&it.id);
        let rollback = |it: &&Arc<Decision>| it.action == Action::Rollback;
        let decision = decisions.clone().filter(of).find(rollback);
        let decision = decision.or_else(|| decisions.find(of))?;
        let because = |said: &str| format!("{said} ({})", decision.reason);
        let (name, summary) = match cause {
            Cause::Verification => {
                let mut watched = self.watched.iter().map(|it| &it.verification);
                let of = watched.find(|it| it.decision == decision.id)?;
                let (_, helped) = of.outcome?;
                let is_bad = helped == Helped::Ineffective;
                is_bad.then(|| ("RollbackIneffective", because(NO_HELP)))?
            }
            Cause::Unseen { what } if what == UNVERIFIED => {
                ("RollbackUnverified", because(UNKNOWN_HELP))
            }
            Cause::Unseen { what } if UNDELIVERED.contains(&what.as_str()) => (
                "RollbackNotDelivered",
                because(&self.undelivered(&decision.id)?),
            ),
            // Of a trigger that is not in the rules any more.
            Cause::Unseen { what } => (what.as_str(), incident.reason.clone()),
            Cause::Trigger { .. } | Cause::Alert { .. } | Cause::Blind { .. } => return None,
        };
        let labels = self.labels_of(decision);
        let starts_at = incident.opened_at;
        let mut alert = self.alert(name, incident.severity, labels, summary, starts_at);
        let mut say = |key: &str, text: String| alert.annotations.insert(key.to_owned(), text);
        say("decision", decision.id.0.clone());
        say("incident", incident.id.0.clone());
        alert.generator_url = self.explanation(&decision.id);
        Some(alert)
    }

    /// How the request for a rollback stands, where it did not arrive.
    fn undelivered(&self, decision: &DecisionId) -> Option<String> {
        let mut owed = self.outbox.of(decision);
        let request = owed.find(|it| it.kind == NoticeKind::RollbackRequested)?;
        let said = match &request.state {
            DeliveryState::Held { why, .. }
            | DeliveryState::Cancelled { why, .. }
            | DeliveryState::GivenUp { why, .. } => why,
            DeliveryState::Owed { .. } | DeliveryState::UnderWay { .. } => {
                request.last_error.as_ref()?
            }
            DeliveryState::Unconfirmed { .. } | DeliveryState::Delivered { .. } => return None,
        };
        Some(format!("the rollback was not delivered: {said}"))
    }

    /// A rule that is only tried calls nobody.
    fn is_shadow_rule(&self, decision: &Decision) -> bool {
        let phases = self.settings.rules.phases.iter();
        let phase = phases.filter(|it| it.name == decision.phase);
        let mut triggers = phase.flat_map(|it| &it.triggers);
        triggers.any(|it| it.name == decision.trigger && it.shadow)
    }

    fn alert_of(&self, decision: &Decision) -> Alert {
        let name = match decision.action {
            Action::Rollback => "RollbackDecided",
            Action::Escalate | Action::Notify => "RollbackRefused",
        };
        let labels = self.labels_of(decision);
        let reason = decision.reason.clone();
        let mut alert = self.alert(name, decision.severity, labels, reason, decision.at);
        let mut say = |key: &str, text: String| alert.annotations.insert(key.to_owned(), text);
        say("decision", decision.id.0.clone());
        say("condition", decision.condition.clone());
        if let Some(value) = decision.value {
            say("value", decision.unit.show(value));
        }
        if let Some(guard) = decision.refused_by {
            say("refused_by", guard.to_string());
        }
        alert.generator_url = self.explanation(&decision.id);
        alert
    }

    fn labels_of<'a>(&'a self, decision: &'a Decision) -> [(&'a str, &'a str); 3] {
        let rollout = decision.rollout.as_ref();
        let rollout = rollout.and_then(|id| self.rollouts.get(id));
        [
            ("trigger", decision.trigger.as_str()),
            ("rollout", rollout.map_or("", |it| it.id.as_str())),
            ("version", rollout.map_or("", |it| it.version.as_str())),
        ]
    }

    /// The page that explains a decision.
    pub(super) fn explanation(&self, decision: &DecisionId) -> String {
        decision.page(self.page())
    }

    /// Where people reach gated: an absolute URI even where nobody said, since peers refuse alerts without one.
    fn page(&self) -> &str {
        let url = self.settings.external_url.as_deref();
        url.unwrap_or("http://localhost")
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

    pub(super) fn alert<'a>(
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
        Alert {
            labels: all,
            annotations: BTreeMap::from([("summary".to_owned(), summary)]),
            starts_at,
            ends_at: starts_at,
            generator_url: format!("{}/", self.page()),
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
