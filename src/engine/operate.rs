//! What people ask for, what the ledger refuses, what a reload changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Answer;
use super::Effect;
use super::Event;
use super::Interest;
use super::Record;
use super::Refusal;
use super::Settings;
use super::engine::Engine;
use super::signals::SignalWatch;
use super::triggers::TriggerWatch;
use super::versions::VersionWatch;
use crate::gate::Rollouts;
use crate::gate::Told;
use crate::model::RolloutId;
use crate::model::Timestamp;
use crate::promql::Expr;

/// How far ahead of ours another host's clock may be.
const AHEAD_MAX: Duration = Duration::from_secs(60);

impl Engine {
    pub(super) fn start_rollout(
        &mut self,
        told: Told,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        self.may_start(&told, at)?;
        let id = told.id.clone();
        let change = self.rollouts.tell(told, at);
        let created = change.begun.is_some();
        let amended = change.amended.clone();
        self.changed(change, at, out);
        self.judge(at, None, out);
        let known = id.and_then(|id| self.rollouts.get(&id).cloned());
        let newest = || {
            self.rollouts
                .all()
                .last()
                .cloned()
                .expect("one was told of just now")
        };
        let rollout = if created {
            newest()
        } else {
            amended.or(known).unwrap_or_else(newest)
        };
        let rollout = Box::new(rollout);
        Ok(Answer::Rollout { rollout, created })
    }

    /// A rollout that lies ahead would keep everything unjudged until then, and one id names one rollout.
    fn may_start(&self, told: &Told, at: Timestamp) -> Result<(), Refusal> {
        if told.version.is_empty() {
            return Err(Refusal::Invalid("a rollout needs a version".into()));
        }
        if told.previous_version.as_ref() == Some(&told.version) {
            return Err(Refusal::Invalid(format!(
                "previous_version is `{}` like version itself: name what to go back to, or leave it out",
                told.version
            )));
        }
        if let Some(started_at) = told.started_at.filter(|it| *it > at + AHEAD_MAX) {
            return Err(Refusal::Invalid(format!(
                "started_at {started_at} lies ahead, and here it is {at}: say so when it starts, or leave it out"
            )));
        }
        let known = told.id.as_ref().and_then(|id| self.rollouts.get(id));
        match known.filter(|known| known.version != told.version) {
            None => Ok(()),
            Some(known) => Err(Refusal::Conflict(format!(
                "rollout `{}` is that of version `{}`; give another id, or none",
                known.id, known.version
            ))),
        }
    }

    pub(super) fn finish_rollout(
        &mut self,
        id: &RolloutId,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        let Some(known) = self.rollouts.get(id).cloned() else {
            return Err(Refusal::NoSuchRollout(id.0.clone()));
        };
        if let Some((ended, how)) = known.end {
            return Err(Refusal::Conflict(format!(
                "rollout `{id}` ended already: {how} at {ended}"
            )));
        }
        let rollout = self
            .rollouts
            .finish(id, at)
            .expect("it is known and has not ended, and all but the newest have");
        self.settle_until = None;
        out.push(Effect::Record(Record::Rollout(rollout.clone())));
        out.push(Effect::Tell(Event::RolloutEnded(rollout.clone())));
        self.start_afresh(out);
        self.judge(at, None, out);
        Ok(Answer::Rollout {
            rollout: Box::new(rollout),
            created: false,
        })
    }

    /// The median of a signal before the rollout in progress.
    pub(super) fn median_before(&self, signal: usize) -> Option<f64> {
        median_before((&self.settings, &self.rollouts, &self.signals), signal)
    }

    /// Of every signal that had a value in `[from, until)`.
    pub(super) fn medians(&self, from: Timestamp, until: Timestamp) -> BTreeMap<String, f64> {
        let signals = self.settings.rules.signals.iter().zip(&self.signals);
        signals
            .filter_map(|(signal, watch)| Some((signal.name.clone(), watch.median(from, until)?)))
            .collect()
    }

    /// New configuration. The window, rollouts, decisions and the states of triggers that stayed alike live on.
    pub(super) fn reload(&mut self, settings: Arc<Settings>, at: Timestamp, out: &mut Vec<Effect>) {
        if self.settings.reports != settings.reports {
            self.reports.start_afresh(at);
        }
        self.settings = settings;
        self.quiet_by_the_wall();
        self.phases.look_again();
        self.outbox.ask_again();
        self.compile(at);
        self.remember(&[], at);
        self.bear_observations(at);
        self.look_at_calendar(at);
        let ids: Vec<_> = self.targets.keys().copied().collect();
        for id in ids {
            self.bear_synthetic(id);
        }
        self.settle_until = self.settle_until.and(self.settling(at));
        self.tell_configured(at, out);
        out.push(Effect::Tell(Event::Reloaded));
        self.judge(at, None, out);
    }

    /// Compiles the settings' expressions, keeping what is known of signals and triggers that stayed alike.
    pub(super) fn compile(&mut self, at: Timestamp) {
        let rules = Arc::clone(&self.settings.rules);
        let mut before: BTreeMap<String, SignalWatch> = std::mem::take(&mut self.signal_names)
            .into_iter()
            .zip(std::mem::take(&mut self.signals))
            .collect();
        for signal in &rules.signals {
            let key = signal_key(signal);
            let watch = before
                .remove(&key)
                .unwrap_or_else(|| SignalWatch::new(signal));
            self.signals.push(watch);
            self.signal_names.push(key);
        }
        self.go_on_asking();
        let old = std::mem::replace(&mut self.triggers, TriggerWatch::all(&rules));
        for was in old {
            let alike =
                |watch: &&mut TriggerWatch| watch.name == was.name && watch.text == was.text;
            if let Some(watch) = self.triggers.iter_mut().find(alike) {
                watch.series = was.series;
            }
        }
        let version_expr = self.settings.rollout.version_from.as_deref();
        let version_expr = version_expr.and_then(|text| Expr::parse(text).ok());
        self.versions = version_expr.as_ref().map(VersionWatch::new);
        self.choose_histories();
        let interest = Interest::of(&self.settings);
        self.interest = Arc::new(interest.at(self.interest.times()));
        self.compile_groups(at);
    }
}

/// A signal with the same key reads the same.
fn signal_key(signal: &crate::runbook::Signal) -> String {
    let enough = signal.enough.as_ref().map_or("", |enough| enough.text());
    let remote = signal.remote.as_ref();
    let remote = remote.map(|it| (&it.source, &it.expr, &it.enough));
    format!(
        "{}\n{}\n{enough}\n{remote:?}",
        signal.name,
        signal.expr.text()
    )
}

/// See [`Engine::median_before`]. A dry run before a rollout judges as if it had just begun: what it sees is what was before.
pub(super) fn median_before(
    (settings, rollouts, signals): (&Settings, &Rollouts, &[SignalWatch]),
    signal: usize,
) -> Option<f64> {
    match rollouts.current() {
        Some(rollout) => {
            let name = &settings.rules.signals[signal].name;
            rollout.baseline.get(name).copied()
        }
        None if settings.preview.is_some() => {
            signals[signal].median(Timestamp::EPOCH, Timestamp::MAX)
        }
        None => None,
    }
}
