//! One landing scrape (or one deadline): evaluate what reads it, classify, move the triggers, decide, conclude.

use std::sync::Arc;
use std::time::Duration;

use super::Effect;
use super::Event;
use super::Record;
use super::RestoredTrigger;
use super::engine::Engine;
use super::engine::behind;
use super::groups::is_rule;
use super::operate::median_before;
use super::signals::SignalWatch;
use crate::model::Reading;
use crate::model::TargetId;
use crate::model::Timestamp;
use crate::rules::Behind;
use crate::rules::Bounds;
use crate::rules::Read;
use crate::rules::State;
use crate::runbook::Hold;
use crate::runbook::Trigger;

/// Where no target is behind a signal its readings count once in this long.
pub(super) const INTERVAL_UNKNOWN: Duration = Duration::from_secs(5);

/// A rollout that somebody tells of this late, after a rolling deploy, still has its past.
pub(super) const TOLD_LATE: Duration = Duration::from_secs(30 * 60);

impl Engine {
    /// Judges what reads `landed`, or everything at a deadline.
    pub(super) fn judge(&mut self, at: Timestamp, landed: Option<TargetId>, out: &mut Vec<Effect>) {
        self.take_readings(at, landed, out);
        let scraped = landed.filter(|target| !target.is_own());
        if let Some(target) = scraped {
            self.watch_versions(target, at, out);
            self.see_uptime();
        }
        let active = self.active_phases(at);
        self.follow_phases(&active, scraped.is_some(), at, out);
        self.tell_phase(&active, at, out);
        if self.settle_until.is_none() {
            self.move_triggers(at, &active, out);
            self.decide(at, &active, out);
        }
        self.look_after_rollbacks(at);
        self.end_verifications(at, out);
        self.confirm_by_version(at, out);
        if !self.settings.rollback.veto.is_zero() {
            self.recheck_rollbacks(at, out);
        }
        self.conclude(at, out);
        for signal in &mut self.signals {
            signal.fresh = false;
        }
        for expr in self
            .triggers
            .iter_mut()
            .filter_map(|trigger| trigger.expr.as_mut())
        {
            expr.fresh = false;
        }
    }

    /// Evaluates every signal and bare expression that a scrape of `landed` can have changed.
    fn take_readings(&mut self, at: Timestamp, landed: Option<TargetId>, out: &mut Vec<Effect>) {
        let rules = Arc::clone(&self.settings.rules);
        let keep = self.history_kept();
        for (s, signal) in rules.signals.iter().enumerate() {
            if self.is_read(Followed::Signal(s), landed) {
                let before = self.signals[s].reading();
                let (read, interval) = self.read(Followed::Signal(s), signal.empty, at);
                let watch = &mut self.signals[s];
                watch.take(read, at, interval, keep);
                let after = watch.reading();
                if before.value().is_some() != after.value().is_some() {
                    let (signal, why) = (signal.name.clone(), watch.read.why.to_string());
                    out.push(Effect::Tell(Event::ReadingChanged {
                        signal,
                        from: before,
                        to: after,
                        why,
                    }));
                }
            }
        }
        for t in 0..self.triggers.len() {
            if self.triggers[t].expr.is_some() && self.is_read(Followed::Expr(t), landed) {
                let (read, interval) = self.read(Followed::Expr(t), None, at);
                if let Some(watch) = &mut self.triggers[t].expr {
                    watch.take(read, at, interval, keep);
                }
            }
        }
    }

    fn is_read(&mut self, which: Followed, landed: Option<TargetId>) -> bool {
        let Some(target) = landed else { return true };
        if target.is_history() {
            return self.followed(which).is_read_by_the_minute();
        }
        if let Followed::Signal(s) = which
            && self.is_asked(s)
        {
            let watch = &self.signals[s];
            return watch.asked.is_none_or(|it| it == target) || watch.at.is_none();
        }
        let watch = match which {
            Followed::Signal(s) => &mut self.signals[s],
            Followed::Expr(t) => self.triggers[t]
                .expr
                .as_mut()
                .expect("only asked of bare expressions"),
        };
        watch.plan.reads(&self.window, target)
            || watch.plan.has_target(super::engine::companion(target))
            || watch.at.is_none()
            // What the last scrape took from it must still be noticed.
            || watch.targets().is_empty()
    }

    fn followed(&self, which: Followed) -> &SignalWatch {
        match which {
            Followed::Signal(s) => &self.signals[s],
            Followed::Expr(t) => self.triggers[t]
                .expr
                .as_ref()
                .expect("only asked of bare expressions"),
        }
    }

    /// Reads one signal, with the interval of the fastest target behind it.
    fn read(&mut self, which: Followed, empty: Option<f64>, at: Timestamp) -> (Read, Duration) {
        self.evaluations += 1;
        let answered = match which {
            Followed::Signal(s) => match self.unanswered(s, at) {
                Some(unanswered) => return unanswered,
                None => self.is_asked(s),
            },
            Followed::Expr(_) => false,
        };
        let asked = &self.followed(which).alerts;
        let asks = !asked.is_empty();
        if asks && let Err(why) = self.alerts_known(asked, at) {
            return (Read::none(Reading::Stale, why), INTERVAL_UNKNOWN);
        }
        let targets = &self.targets;
        let window = &self.window;
        let (history, observed) = (&self.history, &self.observed);
        // A probe that answers says nothing of series that a page would have.
        let scraped = targets.iter().filter(|(id, _)| id.is_scraped());
        let any_up = scraped
            .filter_map(|(_, it)| it.last.as_ref())
            .any(|last| last.error.is_none());
        let bounds = Bounds {
            coverage: self.settings.judging.coverage,
            empty,
            // An answer that is empty is an answer, and so is a list of alerts.
            must_match: self.settings.preview.is_some() && !answered && !asks,
            any_up: any_up || asks || answered,
        };
        let watch: &mut SignalWatch = match which {
            Followed::Signal(s) => &mut self.signals[s],
            Followed::Expr(t) => self.triggers[t]
                .expr
                .as_mut()
                .expect("only asked of bare expressions"),
        };
        let unscraped = |up, since| {
            let two = Some(at);
            Some(Behind { up, since, two })
        };
        let known = |id: TargetId| {
            if id.is_history() {
                return unscraped(true, history.since(id));
            }
            if id.is_observed() {
                return unscraped(observed.stands(id), window.watched_since(id));
            }
            if is_rule(id) {
                return unscraped(true, window.watched_since(id));
            }
            let (real, is_companion) = behind(id);
            let target = targets.get(&real)?;
            let last = target.last.as_ref()?;
            let up = is_companion || last.error.is_none();
            let (since, two) = window.scraped_since(id);
            Some(Behind { up, since, two })
        };
        let mut read = watch.plan.read(window, &known, bounds, at);
        if read.reading == Reading::Stale {
            let mut behind = watch.targets().iter();
            let why = behind.find_map(|id| observed.why_not(*id));
            read.why = why.map_or(read.why, Into::into);
        }
        if read.reading == Reading::SourceError {
            self.evaluation_failures += 1;
        }
        let intervals = watch
            .targets()
            .iter()
            .filter_map(|id| targets.get(&behind(*id).0));
        let interval = intervals
            .map(|target| target.info.interval)
            .min()
            .unwrap_or(INTERVAL_UNKNOWN);
        (read, interval)
    }

    /// Moves every trigger whose readings are fresh, active or not: so the past is known when a phase begins.
    fn move_triggers(&mut self, at: Timestamp, active: &[usize], out: &mut Vec<Effect>) {
        let rules = Arc::clone(&self.settings.rules);
        for t in 0..self.triggers.len() {
            let (place, is_active) = self.place(t, active);
            let trigger = &rules.phases[place.0].triggers[place.1];
            let watch = &mut self.triggers[t];
            let fresh = match &watch.expr {
                Some(expr) => expr.fresh,
                None => watch
                    .signals
                    .iter()
                    .any(|signal| self.signals[*signal].fresh),
            };
            if !fresh {
                continue;
            }
            let hold_for = self.settings.judging.hold_for;
            let known = (&*self.settings, &self.rollouts, &*self.signals);
            let median = |signal: usize| median_before(known, signal);
            let changed = watch.judge(trigger, &self.signals, &median, hold_for, at);
            for (series, before) in changed {
                self.state_changed(t, trigger, series, &before, (at, is_active), out);
            }
        }
    }

    /// Records and tells that a trigger's state is another kind than before.
    fn state_changed(
        &mut self,
        t: usize,
        trigger: &Trigger,
        series: String,
        before: &State,
        (at, is_active): (Timestamp, bool),
        out: &mut Vec<Effect>,
    ) {
        let rollout = self.rollouts.current().map(|rollout| rollout.id.0.clone());
        let watch = &mut self.triggers[t];
        let (name, condition) = (watch.name.clone(), watch.text.clone());
        let Some(it) = watch.series.get_mut(&series) else {
            return;
        };
        if it.state == State::Inactive {
            it.handled = None;
        }
        let value = it.value;
        if let State::Firing {
            active_at,
            fired_at,
            ..
        } = it.state
        {
            let (name, series, condition) = (name.clone(), series.clone(), condition.clone());
            let fired = RestoredTrigger {
                name,
                series,
                condition,
                rollout,
                active_at,
                fired_at,
            };
            out.push(Effect::Record(Record::Trigger(fired)));
        } else if matches!(before, State::Firing { .. }) {
            let (name, series) = (name.clone(), series.clone());
            out.push(Effect::Record(Record::TriggerGone { name, series }));
        }
        if is_active {
            let trigger_name = name;
            out.push(Effect::Tell(match (before, &it.state) {
                (_, State::Pending { .. }) => {
                    let hold = match trigger.hold {
                        Hold::For(hold) => hold,
                        Hold::After { .. } => Duration::ZERO,
                    };
                    Event::TriggerPending {
                        trigger: trigger_name,
                        series,
                        value,
                        condition,
                        hold,
                    }
                }
                (_, State::Firing { active_at, .. }) => {
                    let held_for = at.since(*active_at);
                    Event::TriggerFiring {
                        trigger: trigger_name,
                        series,
                        value,
                        condition,
                        held_for,
                    }
                }
                (State::Firing { .. }, State::Inactive) => Event::TriggerResolved {
                    trigger: trigger_name,
                    series,
                    value,
                },
                (_, State::Inactive) => Event::TriggerCalmed {
                    trigger: trigger_name,
                    series,
                    value,
                },
            }));
        }
    }

    /// The trigger's definition that counts: that of the active phase with the shortest band, else the first. One that is
    /// only tried never takes a live one's place.
    pub(super) fn place(&self, trigger: usize, active: &[usize]) -> ((usize, usize), bool) {
        let places = &self.triggers[trigger].places;
        let phases = &self.settings.rules.phases;
        let in_order = active
            .iter()
            .filter_map(|phase| places.iter().find(|(p, _)| p == phase));
        let live = |it: &&(usize, usize)| !phases[it.0].triggers[it.1].shadow;
        let found = in_order
            .clone()
            .find(live)
            .or_else(|| in_order.clone().next());
        (*found.unwrap_or(&places[0]), found.is_some())
    }

    /// Every trigger calm and uncounted, as at the start of a rollout.
    pub(super) fn start_afresh(&mut self, out: &mut Vec<Effect>) {
        for watch in &mut self.triggers {
            for (series, it) in &mut watch.series {
                if it.firing().is_some() {
                    let (name, series) = (watch.name.clone(), series.clone());
                    out.push(Effect::Record(Record::TriggerGone { name, series }));
                }
                it.start_afresh();
            }
        }
    }

    pub(super) fn history_kept(&self) -> Duration {
        let looks_back = self.settings.rollback.predates.window;
        looks_back.max(self.settings.rollout.baseline) + TOLD_LATE
    }
}

/// Something with a plan: a signal, or the bare expression of a trigger.
#[derive(Copy, Clone)]
enum Followed {
    Signal(usize),
    Expr(usize),
}
