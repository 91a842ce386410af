//! What sources are told of rollouts, and what they tell of components for people. Judging a critical one is its trigger's
//! business; that another one fails is amber.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Check;
use super::LastScrape;
use super::Outcome;
use super::Role;
use super::ScrapeError;
use super::Times;
use super::engine::Engine;
use super::signals::SignalWatch;
use crate::model::Reading;
use crate::model::TargetId;
use crate::model::Timestamp;
use crate::runbook::component_of;

/// A probe that asks more rarely than this is not waited for again by a dry run: its one answer speaks.
pub const PROBE_INTERVAL_QUICK_MAX: Duration = Duration::from_secs(30);

impl Engine {
    /// Tells sources of a rollout that has begun or ended since, or of a clock that was set.
    pub(super) fn renew_times(&mut self) {
        let current = self.rollouts.current().map(|it| it.started_at);
        // A dry run's own configuration tells of what is about to go live, not of what has.
        let begun = |at: &Timestamp| self.settings.preview.is_none() || *at < self.made_at;
        let times = Times {
            rollout_began: current.filter(begun).map(|at| self.wall.shows(at)),
            wall: self.wall,
        };
        if times != self.interest.times() {
            self.interest = Arc::new(self.interest.at(times));
        }
    }

    /// The components of which no check says anything yet, since nothing is done when they fail: amber while they do. What
    /// cannot be asked is shown, and nobody waits for it.
    pub(super) fn component_checks(&self, others: &[Check]) -> Vec<Check> {
        let signals = self.settings.rules.signals.iter().zip(&self.signals);
        let components = signals.enumerate().filter(|(_, (signal, _))| {
            let name = &signal.name;
            self.probed(name).is_some() && others.iter().all(|it| it.name != *name)
        });
        let checks = components.map(|(s, (signal, watch))| {
            let name = &signal.name;
            let (outcome, reason) = match watch.reading() {
                Reading::Value(up) if up > 0.0 => (Outcome::Met, String::new()),
                Reading::Value(_) => {
                    let why = self.why_failing(name);
                    (Outcome::Missed, format!("{name}: its probe fails{why}"))
                }
                Reading::Empty
                | Reading::Nan
                | Reading::Infinite
                | Reading::Stale
                | Reading::Thin
                | Reading::Ambiguous
                | Reading::SourceError => (Outcome::Unknown, format!("{name}: {}", self.why(s))),
            };
            Check {
                name: name.clone(),
                signal: name.clone(),
                role: Role::Component,
                reading: watch.reading(),
                unit: signal.unit,
                condition: "probe_success == 1".to_owned(),
                expected: true,
                shadow: false,
                thresholds: BTreeMap::new(),
                outcome,
                reason,
            }
        });
        checks.collect()
    }

    /// Why the component that a signal or a trigger of this name is about fails its probe, in the source's words.
    pub(super) fn failing(&self, name: &str) -> Option<&str> {
        self.probed(name)?.note.as_deref()
    }

    /// Why the probe of that component could not be made.
    pub(super) fn unmade(&self, name: &str) -> Option<&ScrapeError> {
        self.probed(name)?.error.as_ref()
    }

    fn probed(&self, name: &str) -> Option<&LastScrape> {
        let component = component_of(name)?;
        let mut probed = self.targets.range(TargetId::PROBES..).map(|(_, it)| it);
        let own = probed.find(|it| it.info.labels.get("component") == Some(component));
        own?.last.as_ref()
    }

    /// Whether nothing but probes that seldom ask is behind it.
    pub(super) fn is_seldom(&self, watch: &SignalWatch) -> bool {
        let seldom = |id: &TargetId| {
            let info = self.targets.get(id).map(|it| &it.info);
            *id >= TargetId::PROBES && info.is_some_and(|it| it.interval > PROBE_INTERVAL_QUICK_MAX)
        };
        let targets = watch.targets();
        !targets.is_empty() && targets.iter().all(seldom)
    }
}
