//! The verdict and the snapshot: what the engine shows of itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Check;
use super::Effect;
use super::Event;
use super::Outcome;
use super::Role;
use super::ScrapeState;
use super::SignalState;
use super::Snapshot;
use super::TriggerState;
use super::VerdictState;
use super::WouldFire;
use super::engine::DECISIONS_SHOWN_MAX;
use super::engine::Engine;
use super::say::AUDIT_SHOWN_MAX;
use super::triggers::SeriesState;
use super::triggers::TriggerWatch;
use crate::gate::conclude;
use crate::model::Action;
use crate::model::Reading;
use crate::model::Status;
use crate::model::Timestamp;
use crate::model::Unit;
use crate::model::Verdict;
use crate::rules::State;
use crate::rules::Truth;
use crate::rules::thresholds_of;
use crate::runbook::Condition;
use crate::runbook::Trigger;
use crate::runbook::When;
use crate::runbook::component_of;

/// A dry run calls a condition firing that held in every reading, of at least this many.
pub(super) const PREVIEW_READINGS_MIN: u32 = 3;

impl VerdictState {
    /// Before the first evaluation.
    pub fn nothing_yet() -> Self {
        Self {
            verdict: Verdict::Unknown,
            status: Status::Unknown,
            phase: String::new(),
            evaluated_at: None,
            reasons: vec!["nothing was evaluated yet".into()],
            checks: Vec::new(),
            would_fire: Vec::new(),
        }
    }
}

impl Engine {
    /// Draws the verdict afresh, tells Alertmanager and people what changed.
    pub(super) fn conclude(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        if self.settings.preview.is_none() {
            self.resolve_incidents(at, out);
            if std::mem::take(&mut self.incidents.changed) {
                self.tick(at);
                self.judge_criteria(at);
            }
        }
        let active = self.active_phases(at);
        self.update_alerts(&active, at, out);
        let next = self.stands(&active, at);
        let before = (self.standing.verdict, self.standing.status);
        let after = (next.verdict, next.status);
        if before != after && next.evaluated_at.is_some() {
            out.push(Effect::Tell(Event::VerdictChanged {
                from: before,
                to: after,
                reasons: self.verdict_of(&active, at).reasons,
            }));
        }
        if next.status == Status::Red && self.settings.preview.is_none() {
            self.mark_red(out);
        }
        self.standing = next;
    }

    /// What the gate says, without the words, which are many and are drawn when somebody looks.
    fn stands(&self, active: &[usize], at: Timestamp) -> Standing {
        let evaluated_at = self.evaluated_at();
        let rules = &self.settings.rules;
        let mut next = Standing {
            verdict: Verdict::Unknown,
            status: Status::Unknown,
            phase: active.first().copied().filter(|_| evaluated_at.is_some()),
            evaluated_at,
            at,
        };
        let live = active.iter().filter(|p| !rules.phases[**p].shadow);
        let gate = live.map(|p| rules.phases[*p].gate).min();
        let (Some(_), None, Some(gate)) = (evaluated_at, self.settle_until, gate) else {
            return next;
        };
        let mut counted = Counted::default();
        let median = |signal: usize| self.median_before(signal);
        for phase in active
            .iter()
            .map(|p| &rules.phases[*p])
            .filter(|it| !it.shadow)
        {
            for target in &phase.targets {
                let (outcome, _) = self.target_outcome(target, &median);
                // Nobody waits for what is only expected.
                if !(target.expected && outcome == Outcome::Unknown) {
                    counted.count(Role::Target, outcome);
                }
            }
        }
        for (t, trigger) in self.counting_triggers(active) {
            if !trigger.shadow {
                counted.count(Role::Trigger, self.trigger_outcome(t, trigger).0);
            }
        }
        for check in self
            .other_checks(active)
            .iter()
            .filter(|it| it.is_waited_for())
        {
            counted.count(check.role, check.outcome);
        }
        (next.verdict, next.status) = counted.conclude(gate);
        next
    }

    fn evaluated_at(&self) -> Option<Timestamp> {
        let evaluated = self.signals.iter().filter_map(|signal| signal.at).max();
        evaluated.or_else(|| {
            let last = self.targets.values().filter_map(|it| it.last.as_ref());
            last.map(|last| last.at).max()
        })
    }

    /// The triggers of active phases, of those with one name that of the shortest band.
    fn counting_triggers<'a>(
        &'a self,
        active: &'a [usize],
    ) -> impl Iterator<Item = (usize, &'a Trigger)> {
        let phases = &self.settings.rules.phases;
        (0..self.triggers.len()).filter_map(move |t| {
            // The place is that of the first active phase that has it.
            let ((phase, trigger), is_active) = self.place(t, active);
            is_active.then(|| (t, &phases[phase].triggers[trigger]))
        })
    }

    /// What is no target and no trigger: failing components, rule groups, the checklist, criteria.
    fn other_checks(&self, active: &[usize]) -> Vec<Check> {
        let judged = |name: &str| {
            let mut counting = self.counting_triggers(active);
            counting.any(|(_, it)| it.name == name)
        };
        let mut checks = self.component_checks(&judged);
        checks.extend(self.group_checks());
        checks.extend(self.checklist_checks(active));
        checks.extend(self.criteria_checks(active));
        checks
    }

    /// What another version does, that took its place, is no fault of the rollout in progress.
    fn mark_red(&mut self, out: &mut Vec<Effect>) {
        if self.rollouts.displaced_by().is_some() {
            return;
        }
        if let Some(rollout) = self
            .rollouts
            .current_mut()
            .filter(|rollout| !rollout.turned_red)
        {
            rollout.turned_red = true;
            out.push(Effect::Record(super::Record::Rollout(rollout.clone())));
        }
    }

    /// As [`Engine::stands`], with every check and its words.
    fn verdict_of(&self, active: &[usize], at: Timestamp) -> VerdictState {
        let standing = self.stands(active, at);
        let mut next = VerdictState {
            verdict: standing.verdict,
            status: standing.status,
            evaluated_at: standing.evaluated_at,
            ..VerdictState::nothing_yet()
        };
        if standing.evaluated_at.is_none() {
            return next;
        }
        let rules = &self.settings.rules;
        let Some(first) = active.first() else {
            next.reasons = vec![match self.rollouts.current() {
                None => "no rollout is in progress, so no phase is active".into(),
                Some(_) => "no phase is active at this time of the rollout".into(),
            }];
            return next;
        };
        next.phase.clone_from(&rules.phases[*first].name);
        next.checks = self.checks(active);
        for check in next.checks.iter_mut().filter(|it| it.shadow) {
            let gap = if check.reason.is_empty() { "" } else { ": " };
            check.reason = format!("in shadow{gap}{}", check.reason);
        }
        next.reasons = if let Some(until) = self.settle_until {
            let seconds = std::time::Duration::from_secs(until.since(at).as_secs().max(1));
            let left = humantime::format_duration(seconds);
            vec![format!(
                "the rollout settles for another {left}: nothing is judged yet"
            )]
        } else if active.iter().all(|p| rules.phases[*p].shadow) {
            vec!["only rules in shadow are active: they say nothing".into()]
        } else {
            next.would_fire = self.would_fire(active, at);
            reasons(&next.checks)
        };
        next
    }

    fn checks(&self, active: &[usize]) -> Vec<Check> {
        let rules = &self.settings.rules;
        let median = |signal: usize| self.median_before(signal);
        let mut checks = Vec::new();
        for phase in active {
            let shadow = rules.phases[*phase].shadow;
            for target in &rules.phases[*phase].targets {
                let check = self.check_target(target, &median);
                checks.push(Check { shadow, ..check });
            }
        }
        for (t, trigger) in self.counting_triggers(active) {
            checks.push(self.check_trigger(t, trigger, &median));
        }
        checks.extend(self.other_checks(active));
        checks
    }

    fn target_outcome(
        &self,
        target: &crate::runbook::Target,
        median: &dyn Fn(usize) -> Option<f64>,
    ) -> (Outcome, Option<f64>) {
        let value = |s: usize| self.signals[s].reading().value();
        let judged = crate::rules::judge(&target.condition, &value, median);
        let outcome = match judged.truth {
            Truth::True => Outcome::Met,
            Truth::False => Outcome::Missed,
            Truth::Unknown => Outcome::Unknown,
        };
        (outcome, judged.value)
    }

    fn check_target(
        &self,
        target: &crate::runbook::Target,
        median: &dyn Fn(usize) -> Option<f64>,
    ) -> Check {
        let rules = &self.settings.rules;
        let signal = &rules.signals[target.signal];
        let watch = &self.signals[target.signal];
        let condition = &target.condition;
        let (outcome, value) = self.target_outcome(target, median);
        let reason = match outcome {
            Outcome::Missed => {
                let now = value.map(|value| signal.unit.show(value));
                format!(
                    "{} is {}, should be {}{}",
                    signal.title,
                    now.unwrap_or_default(),
                    target.text,
                    self.why_failing(&signal.name)
                )
            }
            Outcome::Unknown if value.is_some() => {
                format!("{}: no baseline from before the rollout", signal.title)
            }
            Outcome::Unknown => format!("{}: {}", signal.title, self.why(target.signal)),
            Outcome::Met | Outcome::Quiet | Outcome::Pending | Outcome::Firing => String::new(),
        };
        Check {
            name: signal.name.clone(),
            signal: signal.name.clone(),
            role: Role::Target,
            reading: watch.reading(),
            unit: signal.unit,
            condition: target.text.clone(),
            thresholds: self.thresholds(condition, median),
            expected: target.expected,
            shadow: false,
            outcome,
            reason,
        }
    }

    /// What is said of a trigger, and by which of its series.
    fn trigger_outcome(&self, t: usize, trigger: &Trigger) -> (Outcome, Option<&SeriesState>) {
        let watch = &self.triggers[t];
        let rank = |it: &SeriesState| match self.outcome(watch, it) {
            Outcome::Firing => 4,
            Outcome::Unknown => 3,
            Outcome::Pending => 2,
            Outcome::Quiet | Outcome::Met | Outcome::Missed => 1,
        };
        let speaker = watch.series.values().max_by_key(|it| rank(it));
        let outcome = match (self.cannot_trip(trigger), speaker) {
            (Some(_), _) => Outcome::Firing,
            (None, Some(it)) => self.outcome(watch, it),
            // An `each` trigger without any calm series kept: its signal says whether that is quiet.
            (None, None) => match speaking(watch, None).map(|s| self.signals[s].reading()) {
                Some(Reading::Stale | Reading::Thin | Reading::SourceError | Reading::Empty) => {
                    Outcome::Unknown
                }
                Some(Reading::Value(_) | Reading::Nan | Reading::Infinite | Reading::Ambiguous)
                | None => Outcome::Quiet,
            },
        };
        (outcome, speaker)
    }

    fn check_trigger(
        &self,
        t: usize,
        trigger: &Trigger,
        median: &dyn Fn(usize) -> Option<f64>,
    ) -> Check {
        let watch = &self.triggers[t];
        let component = component_of(&trigger.name);
        let (outcome, speaker) = self.trigger_outcome(t, trigger);
        let signal = speaking(watch, speaker);
        let unit = signal.map_or(Unit::None, |s| self.settings.rules.signals[s].unit);
        let reading = speaker.map_or(Reading::Empty, |it| it.reading);
        let cannot = self.cannot_trip(trigger);
        let now = speaker
            .and_then(|it| it.value)
            .map(|value| format!(", now {}", unit.show(value)));
        let reason = match (cannot, outcome) {
            (Some(why), _) => format!("{} cannot trip: {why}", trigger.name),
            (None, Outcome::Firing | Outcome::Pending) if component.is_some() => {
                let why = self.why_failing(&trigger.name);
                format!("{}: its probe fails{why}", trigger.name)
            }
            (None, Outcome::Firing | Outcome::Pending) => {
                format!(
                    "{}: {}{}",
                    trigger.name,
                    trigger.text,
                    now.unwrap_or_default()
                )
            }
            (None, Outcome::Unknown) => {
                let why = match signal {
                    Some(s) => self.why(s),
                    None => speaker.map(|it| it.why.clone()).unwrap_or_default(),
                };
                format!("{}: {why}", trigger.name)
            }
            (None, Outcome::Quiet | Outcome::Met | Outcome::Missed) => String::new(),
        };
        let thresholds = match &trigger.when {
            When::Condition(condition) => self.thresholds(condition, median),
            When::Expr(_) => BTreeMap::new(),
        };
        Check {
            name: trigger.name.clone(),
            signal: signal
                .map_or_else(String::new, |s| self.settings.rules.signals[s].name.clone()),
            role: match component {
                Some(_) => Role::Component,
                None => Role::Trigger,
            },
            reading,
            unit,
            condition: trigger.text.clone(),
            expected: false,
            shadow: trigger.shadow,
            thresholds,
            outcome,
            reason,
        }
    }

    /// `: ` and the words of the component's failing, where they are known.
    pub(super) fn why_failing(&self, name: &str) -> String {
        self.failing(name)
            .map_or_else(String::new, |why| format!(": {why}"))
    }

    fn outcome(&self, watch: &TriggerWatch, it: &SeriesState) -> Outcome {
        if self.settings.preview.is_some() {
            let read = it.signal.map(|s| &self.signals[s]);
            let seldom = read
                .or(watch.expr.as_ref())
                .is_some_and(|read| self.is_seldom(read));
            let enough = if seldom { 1 } else { PREVIEW_READINGS_MIN };
            return match it.truth {
                Truth::Unknown => Outcome::Unknown,
                Truth::False => Outcome::Quiet,
                Truth::True if it.held == it.readings && it.readings >= enough => Outcome::Firing,
                Truth::True => Outcome::Pending,
            };
        }
        match (&it.state, it.truth) {
            (State::Firing { .. }, _) => Outcome::Firing,
            (_, Truth::Unknown) => Outcome::Unknown,
            (State::Pending { .. }, _) => Outcome::Pending,
            (State::Inactive, _) => Outcome::Quiet,
        }
    }

    fn thresholds(
        &self,
        condition: &Condition,
        median: &dyn Fn(usize) -> Option<f64>,
    ) -> BTreeMap<String, f64> {
        let names = &self.settings.rules.signals;
        thresholds_of(condition, median)
            .into_iter()
            .map(|(s, bound)| (names[s].name.clone(), bound))
            .collect()
    }

    /// Why a signal has no value, with the nearest metric names where it matched nothing.
    pub(super) fn why(&self, signal: usize) -> String {
        let why = &self.signals[signal].read.why;
        let probe = self.unmade(&self.settings.rules.signals[signal].name);
        if let Some(error) = probe {
            return format!("its probe cannot be made: {error}");
        }
        match self.hint(signal) {
            Some(hint) => format!("{why}; {hint}"),
            None => why.to_string(),
        }
    }

    /// What firing triggers would do, grouped by deed and refusal.
    fn would_fire(&self, active: &[usize], at: Timestamp) -> Vec<WouldFire> {
        let rules = &self.settings.rules;
        let mut all: Vec<WouldFire> = Vec::new();
        for t in 0..self.triggers.len() {
            let ((p, i), is_active) = self.place(t, active);
            let trigger = &rules.phases[p].triggers[i];
            let mut series = self.triggers[t].series.iter();
            let fires =
                series.find(|(_, it)| self.outcome(&self.triggers[t], it) == Outcome::Firing);
            let (true, Some((series, _))) = (is_active, fires) else {
                continue;
            };
            let phase = &rules.phases[p];
            let guards = self.guards((t, series), trigger, &phase.name, phase.armed, at);
            let refused_by = guards
                .last()
                .filter(|answer| !answer.passed)
                .map(|answer| answer.guard);
            let action = if refused_by.is_some() {
                Action::Escalate
            } else {
                trigger.action
            };
            let hook = self
                .settings
                .rollback
                .hook
                .clone()
                .filter(|_| action == Action::Rollback);
            let known = all
                .iter_mut()
                .find(|it| it.action == action && it.refused_by == refused_by);
            match known {
                Some(known) => known.because.push(trigger.name.clone()),
                None => all.push(WouldFire {
                    action,
                    hook,
                    because: vec![trigger.name.clone()],
                    refused_by,
                }),
            }
        }
        all
    }

    /// What the gate says and why, as of the last input or deadline.
    #[must_use]
    pub fn verdict(&self) -> VerdictState {
        self.verdict_at(self.standing.at)
    }

    /// The verdict with its words, as of a moment.
    pub(super) fn verdict_at(&self, at: Timestamp) -> VerdictState {
        self.verdict_of(&self.active_phases(at), at)
    }

    /// Everything that edges show.
    #[must_use]
    pub fn snapshot(&self, at: Timestamp) -> Snapshot {
        let active = self.active_phases(at);
        let newest = self.decisions.len().saturating_sub(DECISIONS_SHOWN_MAX);
        Snapshot {
            at,
            service: self.settings.service.clone(),
            environment: self.settings.environment.clone(),
            verdict: Arc::new(self.verdict_at(self.standing.at)),
            targets: self
                .targets
                .values()
                .map(|it| ScrapeState {
                    info: Arc::clone(&it.info),
                    last: it.last.clone(),
                })
                .collect(),
            signals: self.signals_shown(),
            triggers: self.triggers_shown(&active),
            groups: Arc::clone(&self.groups_shown),
            alerts: self.alerts_shown().into(),
            rollouts: self.rollouts.all().iter().cloned().map(Arc::new).collect(),
            decisions: self.decisions[newest..]
                .iter()
                .map(|decision| {
                    (
                        Arc::clone(decision),
                        self.outbox.of(&decision.id).cloned().collect(),
                    )
                })
                .collect(),
            incidents: self.incidents_shown(),
            incident_counts: self.incident_counts(),
            evaluations: self.evaluations,
            evaluation_failures: self.evaluation_failures,
            samples_appended: self.samples,
            series: self.window.series(),
            held_since: self.window.held_since(),
            rollback_armed: self.settings.rollback.mode == super::RollbackMode::Armed,
            gone: self.outbox.gone().iter().cloned().collect(),
            audit: self.audit[self.audit.len().saturating_sub(AUDIT_SHOWN_MAX)..].into(),
            frozen: self.frozen(at),
            held: self.held.clone(),
            checklist: self.checklist_shown(at),
            criteria: Arc::clone(&self.criteria),
            contacts: self.settings.people.contacts.clone(),
            observations: Arc::clone(&self.observed.shown),
            uptime: self.history.shown,
            reports: Arc::clone(&self.reports.shown),
            phase_runs: self.phases.runs.as_slice().into(),
            verifications: self
                .watched
                .iter()
                .map(|it| it.verification.clone())
                .collect(),
        }
    }

    fn signals_shown(&self) -> Vec<SignalState> {
        let signals = self.settings.rules.signals.iter().zip(&self.signals);
        let shown = (0..).zip(signals).map(|(s, (signal, watch))| SignalState {
            name: signal.name.clone(),
            title: signal.title.clone(),
            unit: signal.unit,
            expr: signal.shown().into_owned(),
            reading: watch.reading(),
            why: watch.read.why.to_string(),
            notes: self.notes_on(s),
            at: watch.at,
        });
        shown.collect()
    }

    fn triggers_shown(&self, active: &[usize]) -> Vec<TriggerState> {
        let mut shown = Vec::new();
        for (t, watch) in self.triggers.iter().enumerate() {
            let ((p, i), is_active) = self.place(t, active);
            let (phase, trigger) = (
                &self.settings.rules.phases[p],
                &self.settings.rules.phases[p].triggers[i],
            );
            for (series, it) in watch.series.iter().filter(|_| is_active) {
                let (active_at, fired_at) = match it.state {
                    State::Inactive => (None, None),
                    State::Pending { active_at, .. } => (Some(active_at), None),
                    State::Firing {
                        active_at,
                        fired_at,
                        ..
                    } => (Some(active_at), Some(fired_at)),
                };
                shown.push(TriggerState {
                    name: watch.name.clone(),
                    phase: phase.name.clone(),
                    series: series.clone(),
                    condition: watch.text.clone(),
                    severity: trigger.severity,
                    action: trigger.action,
                    outcome: self.outcome(watch, it),
                    active_at,
                    fired_at,
                });
            }
        }
        shown
    }
}

/// The signal that a trigger's check is about.
fn speaking(watch: &TriggerWatch, speaker: Option<&SeriesState>) -> Option<usize> {
    let said = speaker.and_then(|it| it.signal);
    said.or_else(|| watch.signals.first().copied())
}

/// What the gate says.
#[derive(Copy, Clone, Debug)]
pub(super) struct Standing {
    pub verdict: Verdict,
    pub status: Status,
    /// The active phase that is shown.
    pub phase: Option<usize>,
    pub evaluated_at: Option<Timestamp>,
    /// As of when.
    pub at: Timestamp,
}

/// Outcomes that a verdict rests on.
#[allow(
    clippy::struct_excessive_bools,
    reason = "four facts, none of which follows from another"
)]
#[derive(Default)]
struct Counted {
    firing: bool,
    unknown: bool,
    missed: bool,
    /// A line that must be done holds the gate, however much the phase lets pass and whatever else is not known.
    held: bool,
}

impl Counted {
    fn count(&mut self, role: Role, outcome: Outcome) {
        self.firing |= outcome == Outcome::Firing;
        self.unknown |= outcome == Outcome::Unknown;
        self.missed |= outcome == Outcome::Missed;
        self.held |= role == Role::Checklist && outcome == Outcome::Missed;
    }

    fn conclude(&self, gate: Status) -> (Verdict, Status) {
        let (verdict, status) = conclude(self.firing, self.unknown, self.missed, gate);
        match verdict {
            Verdict::Go | Verdict::Unknown if self.held => (Verdict::NoGo, status),
            Verdict::Go | Verdict::NoGo | Verdict::Unknown => (verdict, status),
        }
    }
}

/// What speaks against go, firing first, one sentence each.
fn reasons(checks: &[Check]) -> Vec<String> {
    let order = [
        Outcome::Firing,
        Outcome::Unknown,
        Outcome::Missed,
        Outcome::Pending,
    ];
    let mut reasons: Vec<String> = Vec::new();
    for outcome in order {
        for check in checks
            .iter()
            .filter(|it| it.outcome == outcome && it.is_waited_for())
        {
            if !reasons.contains(&check.reason) {
                reasons.push(check.reason.clone());
            }
        }
    }
    reasons
}
