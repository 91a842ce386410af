//! From a firing trigger to a decision: the guards are asked, the answer is recorded, and what is owed with it.

use std::sync::Arc;
use std::time::Duration;

use super::Effect;
use super::Event;
use super::Record;
use super::engine::DECISIONS_SHOWN_MAX;
use super::engine::Engine;
use super::triggers::Handled;
use crate::gate::Before;
use crate::gate::Facts;
use crate::gate::Predates;
use crate::gate::ask;
use crate::model::Action;
use crate::model::Decision;
use crate::model::DecisionId;
use crate::model::Guard;
use crate::model::GuardAnswer;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::model::Unit;
use crate::rules::Truth;
use crate::runbook::Hold;
use crate::runbook::Trigger;

/// What a budget is counted over.
const DAY: Duration = Duration::from_secs(86_400);

/// What a blind signal's decision is named after.
pub(super) const BLIND: &str = "blind";

impl Engine {
    /// Decides for every series that fires in an active phase and was not dealt with in this episode: the strongest and
    /// gravest first, so that what fires together with it joins its incident and calls nobody again.
    pub(super) fn decide(&mut self, at: Timestamp, active: &[usize], out: &mut Vec<Effect>) {
        if self.settings.preview.is_some() {
            return;
        }
        let mut due = Vec::new();
        for (t, watch) in self.triggers.iter().enumerate() {
            if watch.series.values().all(|it| it.firing().is_none()) {
                continue;
            }
            let (place, is_active) = self.place(t, active);
            let trigger = &self.settings.rules.phases[place.0].triggers[place.1];
            let asked = trigger.action;
            let of = watch
                .series
                .iter()
                .filter(|(_, it)| is_active && it.firing().is_some())
                // What fires on without a value, or by `keep_firing_for`, rolls nothing back.
                .filter(|(_, it)| asked != Action::Rollback || it.truth == Truth::True)
                .filter(|(_, it)| it.handled.as_ref().is_none_or(|it| it.is_open(asked)))
                .map(|(series, _)| (asked, trigger.severity, t, place, series.clone()));
            due.extend(of);
        }
        due.sort_by_key(|(asked, severity, ..)| (*asked, *severity));
        for (_, _, t, place, series) in due {
            self.decide_one(t, place, &series, at, out);
        }
    }

    fn decide_one(
        &mut self,
        t: usize,
        place: (usize, usize),
        series: &str,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let rules = Arc::clone(&self.settings.rules);
        let phase = &rules.phases[place.0];
        let trigger = &phase.triggers[place.1];
        let guards = self.guards((t, series), trigger, &phase.name, phase.armed, at);
        let refused_by = guards
            .last()
            .filter(|answer| !answer.passed)
            .map(|answer| answer.guard);
        let handled = self.triggers[t].series[series].handled.as_ref();
        let now = (trigger.action, refused_by);
        if handled.is_some_and(|it| (it.asked, it.refused_by) == now) {
            return;
        }
        let decision = self.drafted(t, trigger, series, &phase.name, guards, at);
        let handled = Handled {
            decision: decision.id.clone(),
            asked: trigger.action,
            refused_by,
        };
        if let Some(it) = self.triggers[t].series.get_mut(series) {
            it.handled = Some(handled);
        }
        if trigger.shadow || refused_by == Some(Guard::Shadow) {
            // Judged and shown as "would have"; for a whole shadow mode people are told, for a shadow rule nobody is.
            let quiet = trigger.shadow;
            self.record(decision, !quiet, at, out);
        } else {
            self.record(decision, true, at, out);
        }
    }

    /// The guards' answers for what `trigger` asks, for one of its series; none are asked for anything but a rollback.
    pub(super) fn guards(
        &self,
        (t, series): (usize, &str),
        trigger: &Trigger,
        phase: &str,
        phase_armed: bool,
        at: Timestamp,
    ) -> Vec<GuardAnswer> {
        let before = match trigger.action {
            Action::Rollback => self.predates(t, trigger, series),
            Action::Escalate | Action::Notify => Before::No(String::new()),
        };
        let mut guards = self.guards_for(trigger.action, &before, phase, phase_armed, at);
        if trigger.shadow {
            // Whoever reads what it would have done must see whether it would have been let.
            let refused = guards.pop_if(|it| !it.passed);
            let refused = refused.map_or_else(String::new, |it| {
                format!("; live it would be refused by {}: {}", it.guard, it.note)
            });
            let note = format!("{}{refused}", Decision::TRIED);
            guards.retain(|it| it.guard != Guard::Shadow);
            guards.push(GuardAnswer {
                guard: Guard::Shadow,
                passed: false,
                note,
            });
        }
        guards
    }

    /// As [`Engine::guards`], for what asks for `action` and was so before the rollout as `before` says.
    pub(super) fn guards_for(
        &self,
        action: Action,
        before: &Before,
        phase: &str,
        phase_armed: bool,
        at: Timestamp,
    ) -> Vec<GuardAnswer> {
        if action != Action::Rollback {
            return Vec::new();
        }
        let current = self.rollouts.current();
        let decided = current.and_then(|rollout| {
            let id = DecisionId::rollback(&rollout.service, &rollout.environment, &rollout.id);
            self.decided.get(&id)
        });
        let cooldown = self.settings.rollback.cooldown;
        let last = self.rollbacks.iter().max().copied();
        let previewed = self.settings.preview.as_ref().map(|_| "the dry run");
        let frozen = self.frozen(at);
        let vetoed = current.and_then(crate::model::Rollout::veto);
        ask(Facts {
            rollout: current
                .map(|rollout| rollout.version.as_str())
                .or(previewed),
            running_instead: self.rollouts.displaced_by(),
            phase,
            phase_armed,
            irreversible: current.is_some_and(|rollout| rollout.irreversible),
            frozen: frozen.as_deref(),
            predates: match before {
                Before::No(why) => Predates::No(why),
                Before::Yes(why) => Predates::Yes(why),
                Before::Unknown(why) => Predates::Unknown {
                    why,
                    allowed: current.is_none_or(|rollout| self.unknown_past_allowed(rollout)),
                },
            },
            returned_from: self.rollouts.returned_from(),
            leader: None,
            held: self.held.as_deref(),
            vetoed: vetoed.as_deref(),
            decided: decided.map(DecisionId::as_str),
            known_bad: self.rollouts.known_bad(),
            cooling: last
                .map(|last| at.since(last))
                .filter(|ago| *ago < cooldown),
            spent: self
                .rollbacks
                .iter()
                .filter(|it| at.since(**it) < DAY)
                .count(),
            budget: self.settings.rollback.max_per_day,
            armed: self.settings.rollback.mode == super::RollbackMode::Armed,
        })
    }

    fn drafted(
        &self,
        t: usize,
        trigger: &Trigger,
        series: &str,
        phase: &str,
        guards: Vec<GuardAnswer>,
        at: Timestamp,
    ) -> Decision {
        let watch = &self.triggers[t];
        let it = &watch.series[series];
        let (active_at, fired_at) = it.firing().expect("only firing series are decided on");
        let refused_by = guards
            .last()
            .filter(|answer| !answer.passed)
            .map(|answer| answer.guard);
        let action = match (trigger.action, refused_by) {
            (Action::Rollback, Some(_)) => Action::Escalate,
            (action, _) => action,
        };
        let rollout = self.rollouts.current();
        let signal = it.signal.map(|signal| &self.settings.rules.signals[signal]);
        let unit = signal.map_or(Unit::None, |signal| signal.unit);
        let id = match (action, rollout) {
            (Action::Rollback, Some(rollout)) => {
                DecisionId::rollback(&rollout.service, &rollout.environment, &rollout.id)
            }
            _ => self.id_of_other(&[
                &trigger.name,
                series,
                action.word(),
                refused_by.map_or("", Guard::word),
                &fired_at.millis().to_string(),
            ]),
        };
        let held_for = at.since(active_at);
        let mut reason = reason(trigger, it.value, unit, series, held_for, guards.last());
        if let Some(why) = self.failing(&trigger.name) {
            reason = format!("{reason}; its probe fails: {why}");
        }
        Decision {
            id,
            at,
            action,
            asked: trigger.action,
            refused_by,
            guards,
            trigger: trigger.name.clone(),
            rollout: rollout.map(|rollout| rollout.id.clone()),
            phase: phase.to_owned(),
            severity: trigger.severity,
            signal: signal.map(|signal| signal.name.clone()),
            value: it.value,
            unit,
            condition: watch.text.clone(),
            expr: signal.map_or(watch.text.clone(), |signal| signal.shown().into_owned()),
            held_for,
            reason,
        }
    }

    /// The id of anything but a rollback: of what it is about and the episode.
    pub(super) fn id_of_other(&self, parts: &[&str]) -> DecisionId {
        let rollout = self
            .rollouts
            .current()
            .map_or("", |rollout| rollout.id.as_str());
        let head = [
            self.settings.service.as_str(),
            self.settings.environment.as_str(),
            rollout,
        ];
        DecisionId::other(&[&head, parts].concat())
    }

    /// Records a decision with what is owed for it, once: an id that is known already changes nothing.
    pub(super) fn record(
        &mut self,
        decision: Decision,
        tell_people: bool,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if !self.decided.insert(decision.id.clone()) {
            return;
        }
        if decision.action == Action::Rollback
            && let Some(rollout) = self.rollouts.current()
        {
            let version = rollout.version.clone();
            self.rollouts.mark_rolled_back(&version);
            self.rollbacks.retain(|it| at.since(*it) < DAY);
            self.rollbacks.push(decision.at);
        }
        out.push(Effect::Record(Record::Decision(Box::new(decision.clone()))));
        out.push(Effect::Tell(Event::Decided(Box::new(decision.clone()))));
        // Known before anything is owed: what ends at once calls people, who are told of the decision.
        let decision = Arc::new(decision);
        self.decisions.push(Arc::clone(&decision));
        if tell_people || decision.action == Action::Rollback {
            self.owe_for(&decision, at, out);
        }
        if self.decisions.len() > 2 * DECISIONS_SHOWN_MAX {
            self.forget_old_decisions();
        }
    }

    /// What is shown no longer and has come to its end is the ledger's alone. Rollbacks stay: more may become of them.
    fn forget_old_decisions(&mut self) {
        let mut old = 0;
        let outbox = &mut self.outbox;
        self.decisions.retain(|it| {
            old += 1;
            let over = old <= DECISIONS_SHOWN_MAX
                && it.action != Action::Rollback
                && outbox.of(&it.id).all(|owed| owed.is_settled());
            if over {
                outbox.forget_all(&it.id);
            }
            !over
        });
    }

    /// When the next signal that a judged trigger reads will have had no value for `blind_after`.
    pub(super) fn next_blindness(&self) -> Option<Timestamp> {
        if self.settle_until.is_some() {
            return None;
        }
        let blind = self.untold_blind_signals(self.settled).into_iter();
        let since = blind.map(|(_, since)| since.max(self.judged_from)).min()?;
        Some(since + self.settings.judging.blind_after)
    }

    /// Being blind is an event of its own: people are told, nothing is rolled back.
    pub(super) fn tell_blindness(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let rules = Arc::clone(&self.settings.rules);
        let after = self.settings.judging.blind_after;
        if self.settle_until.is_some() || self.settings.preview.is_some() {
            return;
        }
        for (s, since) in self.untold_blind_signals(at) {
            if since.max(self.judged_from) + after > at {
                continue;
            }
            self.signals[s].blind_told = true;
            let signal = &rules.signals[s];
            let held_for = at.since(since);
            let why = &self.signals[s].read.why;
            let reason = format!(
                "{} has had no value for {}: {why}",
                signal.title,
                whole(held_for),
            );
            let decision = Decision {
                id: self.id_of_other(&[BLIND, &signal.name, &since.millis().to_string()]),
                at,
                action: Action::Escalate,
                asked: Action::Escalate,
                refused_by: None,
                guards: Vec::new(),
                trigger: format!("{BLIND}:{}", signal.name),
                rollout: self.rollouts.current().map(|rollout| rollout.id.clone()),
                phase: self.phase_shown.clone(),
                severity: Severity::P2,
                signal: Some(signal.name.clone()),
                value: None,
                unit: signal.unit,
                condition: format!("no value for {}", humantime::format_duration(after)),
                expr: signal.shown().into_owned(),
                held_for,
                reason,
            };
            self.record(decision, true, at, out);
            self.conclude(at, out);
        }
    }

    /// Signals that the triggers of active phases read and that have no value, of which nobody was told: ascending, and since
    /// when.
    fn untold_blind_signals(&self, at: Timestamp) -> Vec<(usize, Timestamp)> {
        let blind = |s: usize| {
            let signal = &self.signals[s];
            signal.blind_since.filter(|_| !signal.blind_told)
        };
        // Mostly there are none.
        if (0..self.signals.len()).all(|s| blind(s).is_none()) {
            return Vec::new();
        }
        let active = self.active_phases(at);
        let mut read: Vec<(usize, Timestamp)> = (0..self.triggers.len())
            .filter(|t| {
                let ((phase, trigger), is_active) = self.place(*t, &active);
                let rules = &self.settings.rules;
                // Nobody is called for what is only tried.
                is_active && !rules.phases[phase].triggers[trigger].shadow
            })
            .flat_map(|t| self.triggers[t].signals.iter())
            .filter_map(|s| Some((*s, blind(*s)?)))
            .collect();
        read.sort_unstable();
        read.dedup();
        read
    }
}

/// One sentence for a person: what held, for how long, and which guard refused.
fn reason(
    trigger: &Trigger,
    value: Option<f64>,
    unit: Unit,
    series: &str,
    held_for: std::time::Duration,
    last: Option<&GuardAnswer>,
) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{}: {}", trigger.name, trigger.text);
    if !series.is_empty() {
        let _ = write!(text, " for {series}");
    }
    match trigger.hold {
        Hold::For(_) if held_for.is_zero() => {}
        Hold::For(_) => {
            let _ = write!(text, " held for {}", whole(held_for));
        }
        Hold::After { need, of } => {
            let _ = write!(text, " in {need} of {of} readings");
        }
    }
    if let Some(value) = value {
        let _ = write!(text, ", now {}", unit.show(value));
    }
    if let Some(answer) = last.filter(|answer| !answer.passed) {
        let undone = match trigger.action {
            Action::Rollback => "no rollback",
            Action::Escalate | Action::Notify => "nobody is told",
        };
        let _ = write!(text, "; {undone}: {}", answer.note);
    }
    text
}

/// In whole seconds; below one, in milliseconds.
pub(super) fn whole(duration: std::time::Duration) -> humantime::FormattedDuration {
    use std::time::Duration;
    humantime::format_duration(match duration.as_secs() {
        0 => Duration::from_millis(u64::from(duration.subsec_millis())),
        seconds => Duration::from_secs(seconds),
    })
}
