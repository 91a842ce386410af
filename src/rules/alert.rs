//! The life of Prometheus' alerts, as its rule manager has it: pending, firing, kept firing, resolved, sent again.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::Labels;
use crate::model::Timestamp;

/// A resolved alert is remembered, and sent again, this long.
const RESOLVED_KEPT: Duration = Duration::from_secs(15 * 60);
/// An alert that is sent is valid for this many intervals, or re-send delays where they are longer.
const VALID_FOR: u32 = 4;
/// No state is restored for a shorter `for`, and none fires sooner than this after a restart.
pub const FOR_GRACE: Duration = Duration::from_secs(10 * 60);
/// What ended longer ago than this is not restored.
const OUTAGE_MAX: Duration = Duration::from_secs(3600);

/// One active, or lately resolved, alert of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleAlert {
    /// With `alertname`, without the metric's name.
    pub labels: Labels,
    pub annotations: BTreeMap<String, String>,
    pub value: f64,
    pub state: AlertState,
    pub active_at: Timestamp,
    pub fired_at: Option<Timestamp>,
    pub keep_firing_since: Option<Timestamp>,
    pub sent_at: Option<Timestamp>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum AlertState {
    Pending,
    Firing,
    Resolved { at: Timestamp },
}

impl RuleAlert {
    #[must_use]
    pub fn is_active(&self) -> bool {
        !matches!(self.state, AlertState::Resolved { .. })
    }

    /// Whether it is due to be sent at `at`: never while pending, at once when it resolved since the last time, and
    /// otherwise once more than `resend` has gone by.
    #[must_use]
    pub fn is_due(&self, at: Timestamp, resend: Duration) -> bool {
        let long_ago = self.sent_at.is_none_or(|sent| sent + resend < at);
        match self.state {
            AlertState::Pending => false,
            AlertState::Firing => long_ago,
            AlertState::Resolved { at: ended } => {
                long_ago || self.sent_at.is_none_or(|sent| ended > sent)
            }
        }
    }

    /// Until when Alertmanager is to believe in it, when it is sent at `at`.
    #[must_use]
    pub fn ends_at(&self, at: Timestamp, interval: Duration, resend: Duration) -> Timestamp {
        match self.state {
            AlertState::Resolved { at: ended } => ended,
            AlertState::Pending | AlertState::Firing => at + interval.max(resend) * VALID_FOR,
        }
    }
}

/// The times of an alerting rule.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct AlertTiming {
    /// `for`
    pub hold: Duration,
    pub keep_firing_for: Duration,
}

/// Every alert of one rule, by its labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleAlerts(BTreeMap<Labels, RuleAlert>);

/// What a rule's expression gave for one series, with its labels and annotations expanded.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertSample {
    pub labels: Labels,
    pub annotations: BTreeMap<String, String>,
    pub value: f64,
}

impl RuleAlerts {
    pub fn iter(&self) -> impl Iterator<Item = &RuleAlert> {
        self.0.values()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut RuleAlert> {
        self.0.values_mut()
    }

    /// Those that are pending or firing.
    pub fn active(&self) -> impl Iterator<Item = &RuleAlert> {
        self.0.values().filter(|alert| alert.is_active())
    }

    /// All state is forgotten: what the limit of a group does.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// One evaluation at `at`. The samples' labels are distinct.
    pub fn observe(&mut self, samples: Vec<AlertSample>, timing: AlertTiming, at: Timestamp) {
        let mut seen = BTreeSet::new();
        for sample in samples {
            seen.insert(sample.labels.clone());
            match self.0.get_mut(&sample.labels) {
                Some(known) if known.is_active() => {
                    known.value = sample.value;
                    known.annotations = sample.annotations;
                }
                _ => {
                    let alert = RuleAlert {
                        labels: sample.labels.clone(),
                        annotations: sample.annotations,
                        value: sample.value,
                        state: AlertState::Pending,
                        active_at: at,
                        fired_at: None,
                        keep_firing_since: None,
                        sent_at: None,
                    };
                    self.0.insert(sample.labels, alert);
                }
            }
        }
        self.0.retain(|labels, alert| {
            if seen.contains(labels) {
                alert.hold(timing, at);
                true
            } else {
                alert.lapse(timing, at)
            }
        });
    }

    /// What was active before a restart, as far as it may be restored at `at`: `before` knows since when an alert with
    /// these labels was active; `down_at` is when that was last so.
    pub fn restore(
        &mut self,
        before: &dyn Fn(&Labels) -> Option<Timestamp>,
        down_at: Timestamp,
        timing: AlertTiming,
        at: Timestamp,
    ) {
        if timing.hold < FOR_GRACE || at.since(down_at) > OUTAGE_MAX {
            return;
        }
        for alert in self.0.values_mut().filter(|alert| alert.is_active()) {
            let Some(active_at) = before(&alert.labels) else {
                continue;
            };
            let spent = down_at.since(active_at);
            let remaining = timing.hold.saturating_sub(spent);
            alert.active_at = if remaining.is_zero() {
                active_at
            } else if remaining < FOR_GRACE {
                at + FOR_GRACE - timing.hold
            } else {
                active_at + at.since(down_at)
            };
        }
    }
}

impl RuleAlert {
    /// It is among the results.
    fn hold(&mut self, timing: AlertTiming, at: Timestamp) {
        self.keep_firing_since = None;
        let held = at.since(self.active_at) >= timing.hold && at >= self.active_at;
        match (self.state, held) {
            (AlertState::Pending, true) => {
                self.state = AlertState::Firing;
                self.fired_at = Some(at);
            }
            // The rule was given a longer `for`.
            (AlertState::Firing, false) => {
                self.state = AlertState::Pending;
                self.fired_at = None;
                self.sent_at = None;
            }
            (AlertState::Pending | AlertState::Firing | AlertState::Resolved { .. }, _) => {}
        }
    }

    /// It is not among the results. Answers whether it is still remembered.
    fn lapse(&mut self, timing: AlertTiming, at: Timestamp) -> bool {
        match self.state {
            AlertState::Pending => false,
            AlertState::Resolved { at: ended } => at.since(ended) <= RESOLVED_KEPT,
            AlertState::Firing => {
                if !timing.keep_firing_for.is_zero() {
                    let since = *self.keep_firing_since.get_or_insert(at);
                    if at.since(since) < timing.keep_firing_for {
                        return true;
                    }
                }
                self.state = AlertState::Resolved { at };
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn sample(value: f64) -> Vec<AlertSample> {
        vec![AlertSample {
            labels: Labels::new([("alertname", "A")]),
            annotations: BTreeMap::new(),
            value,
        }]
    }

    fn timing(hold: u64, keep: u64) -> AlertTiming {
        AlertTiming {
            hold: Duration::from_secs(hold),
            keep_firing_for: Duration::from_secs(keep),
        }
    }

    /// `p` pending, `f` firing, `r` resolved, `-` unknown; one letter for each evaluation, 30 s apart.
    fn story(seen: &str, timing: AlertTiming) -> String {
        let mut alerts = RuleAlerts::default();
        let evaluate = |(step, seen): (i64, char)| {
            let samples = if seen == '1' { sample(1.0) } else { Vec::new() };
            alerts.observe(samples, timing, at(step * 30));
            match alerts.iter().next().map(|it| it.state) {
                None => '-',
                Some(AlertState::Pending) => 'p',
                Some(AlertState::Firing) => 'f',
                Some(AlertState::Resolved { .. }) => 'r',
            }
        };
        (0..).zip(seen.chars()).map(evaluate).collect()
    }

    #[test]
    fn alerts_live_as_prometheus_has_it() {
        for (seen, hold, keep, expected) in [
            ("0110", 0, 0, "-ffr"),
            ("0110", 15, 0, "-pfr"),
            ("0110", 60, 0, "-pp-"),
            ("01110", 60, 0, "-ppfr"),
            ("011011", 0, 0, "-ffrff"),
            ("0110011", 60, 0, "-pp--pp"),
            ("1000001", 0, 60, "fffrrrf"),
            ("1001000", 0, 60, "ffffffr"),
        ] {
            assert_eq!(
                story(seen, timing(hold, keep)),
                expected,
                "{seen} for {hold} keep {keep}"
            );
        }
        // 15 minutes, and the evaluation after them forgets.
        let long = format!("1{}", "0".repeat(33));
        assert_eq!(story(&long, timing(0, 0)), format!("f{}--", "r".repeat(31)));
    }

    #[test]
    fn a_longer_for_takes_firing_back() {
        let mut alerts = RuleAlerts::default();
        alerts.observe(sample(1.0), timing(0, 0), at(0));
        alerts.observe(sample(2.0), timing(60, 0), at(30));
        let alert = alerts.iter().next().unwrap();
        assert_eq!((alert.state, alert.fired_at), (AlertState::Pending, None));
        assert_eq!((alert.active_at, alert.value), (at(0), 2.0));
    }

    #[test]
    fn what_is_sent_and_when() {
        let resend = Duration::from_secs(60);
        let mut alerts = RuleAlerts::default();
        let mut sent = Vec::new();
        for step in 0..12 {
            let now = at(step * 30);
            let samples = if (1..8).contains(&step) {
                sample(1.0)
            } else {
                Vec::new()
            };
            alerts.observe(samples, timing(30, 0), now);
            for alert in alerts.iter_mut().filter(|alert| alert.is_due(now, resend)) {
                alert.sent_at = Some(now);
                let until = alert.ends_at(now, Duration::from_secs(30), resend);
                sent.push((step * 30, until.millis() / 1000));
            }
        }
        // Every 90 s, since more than a minute must have gone by; at once when it ends, and then again.
        assert_eq!(sent, [(60, 300), (150, 390), (240, 240), (330, 240)]);
    }

    #[test]
    fn what_was_active_before_a_restart_goes_on() {
        let labels = sample(1.0).remove(0).labels;
        let before = |of: &Labels| (*of == labels).then_some(at(0));
        for (hold, down_at, expected) in [
            // Less than the grace is left: it fires ten minutes from now at the soonest.
            (1800, 1500, 2000 + 600 - 1800),
            // More is left: the time away does not count.
            (3600, 1500, 500),
            (1200, 1500, 0),
            // A short `for` is not restored.
            (300, 1500, 2000),
        ] {
            let mut alerts = RuleAlerts::default();
            alerts.observe(sample(1.0), timing(hold, 0), at(2000));
            alerts.restore(&before, at(down_at), timing(hold, 0), at(2000));
            let restored = alerts.iter().next().unwrap().active_at;
            assert_eq!(restored, at(expected), "{hold}");
        }
    }
}
