//! A trigger as the engine follows it: one for each name and condition, whatever phases it stands in, so that its state
//! carries over from one phase into the next.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use super::RestoredTrigger;
use super::engine::Engine;
use super::signals::SignalWatch;
use crate::gate::passes_by;
use crate::model::Action;
use crate::model::DecisionId;
use crate::model::Guard;
use crate::model::Labels;
use crate::model::Reading;
use crate::model::Timestamp;
use crate::rules::Judged;
use crate::rules::Observation;
use crate::rules::Read;
use crate::rules::SignalPlan;
use crate::rules::State;
use crate::rules::Timing;
use crate::rules::Truth;
use crate::rules::judge;
use crate::rules::observe;
use crate::rules::signals_of;
use crate::runbook::Condition;
use crate::runbook::NoData;
use crate::runbook::Rules;
use crate::runbook::Trigger;
use crate::runbook::When;

/// Series of an `each` trigger that one trigger follows at most.
const SERIES_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct TriggerWatch {
    pub name: String,
    /// `when` or `expr` as written.
    pub text: String,
    /// Where it stands: (index of the phase, index in its triggers).
    pub places: Vec<(usize, usize)>,
    /// Indexes of the signals it reads; empty for a bare expression.
    pub signals: Vec<usize>,
    /// The bare expression.
    pub expr: Option<SignalWatch>,
    /// By series, one with an empty name unless it judges each.
    pub series: BTreeMap<String, SeriesState>,
}

/// The state of a trigger for one series.
#[derive(Clone, Debug)]
pub(super) struct SeriesState {
    pub labels: Labels,
    pub state: State,
    recent: VecDeque<bool>,
    pub truth: Truth,
    pub value: Option<f64>,
    pub reading: Reading,
    pub why: String,
    /// The signal that speaks for it.
    pub signal: Option<usize>,
    /// What was decided in this episode.
    pub handled: Option<Handled>,
    /// Counted readings that told true or false, and how many of them were true without a break up to the last.
    pub readings: u32,
    pub held: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Handled {
    pub decision: DecisionId,
    pub asked: Action,
    pub refused_by: Option<Guard>,
}

impl Handled {
    /// Whether a trigger that fires on and asks for `asked` is judged again: it asks for more than before, as in a
    /// phase that just began, or the answer of what refused it may have changed.
    pub fn is_open(&self, asked: Action) -> bool {
        asked < self.asked || self.refused_by.is_some_and(passes_by)
    }
}

impl SeriesState {
    fn new(labels: Labels) -> Self {
        Self {
            labels,
            state: State::Inactive,
            recent: VecDeque::new(),
            truth: Truth::Unknown,
            value: None,
            reading: Reading::Empty,
            why: "not evaluated yet".into(),
            signal: None,
            handled: None,
            readings: 0,
            held: 0,
        }
    }

    /// As after a rollout settled: nothing counted, nothing decided.
    pub fn start_afresh(&mut self) {
        self.state = State::Inactive;
        self.recent.clear();
        self.handled = None;
    }

    pub fn firing(&self) -> Option<(Timestamp, Timestamp)> {
        match self.state {
            State::Firing {
                active_at,
                fired_at,
                ..
            } => Some((active_at, fired_at)),
            State::Inactive | State::Pending { .. } => None,
        }
    }
}

/// One judgement of one series, before policy and state.
struct Seen {
    labels: Labels,
    truth: Truth,
    value: Option<f64>,
    reading: Reading,
    why: String,
    signal: Option<usize>,
}

impl TriggerWatch {
    /// Every trigger of the rules, each name and condition once.
    pub fn all(rules: &Rules) -> Vec<Self> {
        let mut watches: Vec<Self> = Vec::new();
        for (p, phase) in rules.phases.iter().enumerate() {
            for (t, trigger) in phase.triggers.iter().enumerate() {
                let known = watches
                    .iter_mut()
                    .find(|it| it.name == trigger.name && it.text == trigger.text);
                match known {
                    Some(watch) => watch.places.push((p, t)),
                    None => watches.push(Self::new(trigger, (p, t))),
                }
            }
        }
        watches
    }

    fn new(trigger: &Trigger, place: (usize, usize)) -> Self {
        let (signals, expr) = match &trigger.when {
            When::Condition(condition) => (signals_of(condition), None),
            When::Expr(expr) => {
                let bare = crate::runbook::Signal {
                    name: String::new(),
                    title: String::new(),
                    expr: expr.clone(),
                    unit: crate::model::Unit::None,
                    empty: None,
                    enough: None,
                    remote: None,
                };
                (Vec::new(), Some(SignalWatch::new(&bare)))
            }
        };
        let series = BTreeMap::from([(String::new(), SeriesState::new(Labels::empty()))]);
        Self {
            name: trigger.name.clone(),
            text: trigger.text.clone(),
            places: vec![place],
            signals,
            expr,
            series: if trigger.each && trigger.quorum.is_none() {
                BTreeMap::new()
            } else {
                series
            },
        }
    }

    /// Judges what the signals say and moves the states. Returns the series whose state changed, with the state before.
    pub fn judge(
        &mut self,
        trigger: &Trigger,
        signals: &[SignalWatch],
        baseline: &dyn Fn(usize) -> Option<f64>,
        hold_for: std::time::Duration,
        at: Timestamp,
    ) -> Vec<(String, State)> {
        let counts = match &self.expr {
            Some(expr) => expr.counts,
            None => self
                .signals
                .iter()
                .any(|signal| signals[*signal].fresh && signals[*signal].counts),
        };
        let timing = Timing {
            hold: trigger.hold,
            keep_firing_for: trigger.keep_firing_for,
            hold_for,
        };
        let mut changed = Vec::new();
        for seen in self.see(trigger, signals, baseline) {
            let name = if seen.labels.is_empty() {
                String::new()
            } else {
                seen.labels.to_string()
            };
            let Some(entry) = self.state_of(&name, &seen.labels) else {
                continue;
            };
            let truth = match (seen.truth, trigger.no_data) {
                (Truth::Unknown, NoData::Pass) => Truth::False,
                (Truth::Unknown, NoData::Trip) => Truth::True,
                (truth, _) => truth,
            };
            // What could not be told, at first because the range was not watched whole, speaks for neither side,
            // nor does `no_data = "pass"`: it keeps a trigger quiet and is no sight of a calm service.
            if counts && (seen.truth != Truth::Unknown || truth == Truth::True) {
                entry.readings += 1;
                entry.held = if truth == Truth::True {
                    entry.held + 1
                } else {
                    0
                };
            }
            let before = entry.state.clone();
            entry.state = observe(
                &before,
                &mut entry.recent,
                timing,
                Observation { at, truth, counts },
            );
            entry.labels = seen.labels;
            entry.truth = truth;
            entry.value = seen.value;
            entry.reading = seen.reading;
            entry.why = seen.why;
            entry.signal = seen.signal;
            if std::mem::discriminant(&before) != std::mem::discriminant(&entry.state) {
                changed.push((name, before));
            }
        }
        // An `each` series that is gone from the result, calm and forgotten by the window, leaves no trace.
        if trigger.each || self.series.len() > 1 {
            self.series.retain(|name, it| {
                name.is_empty()
                    || it.state != State::Inactive
                    || changed.iter().any(|(c, _)| c == name)
                    || it.truth == Truth::True
            });
        }
        changed
    }

    /// The state for one series; `None` where there are too many.
    fn state_of(&mut self, name: &str, labels: &Labels) -> Option<&mut SeriesState> {
        // Mostly there is one, without a name. A search would compare empty texts, whose pointers point nowhere: that
        // takes some processors a hundred nanoseconds.
        let nameless = |(first, _): (&String, &SeriesState)| first.is_empty();
        if name.is_empty() && self.series.first_key_value().is_some_and(nameless) {
            return self.series.values_mut().next();
        }
        if self.series.len() >= SERIES_MAX && !self.series.contains_key(name) {
            return None;
        }
        let new = || SeriesState::new(labels.clone());
        Some(self.series.entry(name.to_owned()).or_insert_with(new))
    }

    /// What the condition says by the last readings, over all series; no state moves.
    pub fn truth_now(
        &self,
        trigger: &Trigger,
        signals: &[SignalWatch],
        baseline: &dyn Fn(usize) -> Option<f64>,
    ) -> (Truth, Option<f64>) {
        let seen = self.see(trigger, signals, baseline);
        let find = |truth| seen.iter().find(|one| one.truth == truth);
        let speaker = find(Truth::True)
            .or_else(|| find(Truth::Unknown))
            .or_else(|| find(Truth::False));
        speaker.map_or((Truth::Unknown, None), |one| (one.truth, one.value))
    }

    /// The same for one of its series, which it may not follow; its name is empty where it judges no single one.
    pub fn seen_now(
        &self,
        trigger: &Trigger,
        series: &str,
        signals: &[SignalWatch],
        baseline: &dyn Fn(usize) -> Option<f64>,
    ) -> Option<(Truth, Reading, String)> {
        let seen = self.see(trigger, signals, baseline).into_iter();
        let mut named = seen.filter(|one| match series {
            "" => one.labels.is_empty(),
            series => one.labels.to_string() == series,
        });
        let one = named.next()?;
        Some((one.truth, one.reading, one.why))
    }

    /// What the condition says: once, or for every series.
    fn see(
        &self,
        trigger: &Trigger,
        signals: &[SignalWatch],
        baseline: &dyn Fn(usize) -> Option<f64>,
    ) -> Vec<Seen> {
        match (&trigger.when, &self.expr) {
            (When::Condition(condition), _) if !trigger.each => {
                let judged = judge(
                    condition,
                    &|signal| signals[signal].reading().value(),
                    baseline,
                );
                vec![speak(
                    judged,
                    Labels::empty(),
                    &signals[judged.signal].read,
                    judged.value,
                )]
            }
            (When::Condition(condition), _) => {
                self.see_each(condition, trigger.quorum, signals, baseline)
            }
            (When::Expr(_), Some(expr)) => {
                see_expr(&expr.read, &expr.plan, trigger.each, &self.series)
            }
            (When::Expr(_), None) => Vec::new(),
        }
    }

    fn see_each(
        &self,
        condition: &Condition,
        quorum: Option<f64>,
        signals: &[SignalWatch],
        baseline: &dyn Fn(usize) -> Option<f64>,
    ) -> Vec<Seen> {
        let first = self.signals[0];
        let read = &signals[first].read;
        let blind = matches!(
            read.reading,
            Reading::Stale | Reading::SourceError | Reading::Thin
        );
        let mut seen: Vec<Seen> = Vec::new();
        for (labels, reading) in &read.series {
            let value = |signal: usize| {
                if signal == first {
                    reading.value()
                } else {
                    beside(&signals[signal].read, labels)
                }
            };
            let judged = judge(condition, &value, baseline);
            let mut one = speak(
                judged,
                labels.clone(),
                &signals[judged.signal].read,
                judged.value,
            );
            one.reading = if judged.signal == first {
                *reading
            } else {
                one.reading
            };
            seen.push(one);
        }
        // Known series without a sample now: calm if their source answers, unknown if it does not.
        let followed = self.series.values().map(|it| &it.labels);
        let counted = quorum.map_or(&[][..], |_| &read.absent);
        for labels in followed.chain(counted) {
            if !labels.is_empty() && !seen.iter().any(|one| one.labels == *labels) {
                let truth = if blind { Truth::Unknown } else { Truth::False };
                let (why, reading) = (read.why.to_string(), Reading::Empty);
                seen.push(Seen {
                    labels: labels.clone(),
                    truth,
                    value: None,
                    reading,
                    why,
                    signal: Some(first),
                });
            }
        }
        match quorum {
            None => seen,
            Some(quorum) => vec![agree(&seen, quorum, read, first)],
        }
    }
}

/// A quorum over series: true when enough agree, unknown when those without a value could still make it so.
fn agree(seen: &[Seen], quorum: f64, read: &Read, signal: usize) -> Seen {
    let count = |truth| seen.iter().filter(|one| one.truth == truth).count();
    let (agreeing, unknown, all) = (count(Truth::True), count(Truth::Unknown), seen.len());
    #[allow(
        clippy::cast_precision_loss,
        reason = "counts of series are far below 2^52"
    )]
    let reaches = |n: usize| all > 0 && n as f64 >= quorum * all as f64;
    let truth = if all == 0 || (!reaches(agreeing) && reaches(agreeing + unknown)) {
        Truth::Unknown
    } else {
        reaches(agreeing).into()
    };
    let speaker = seen.iter().find(|one| one.truth == truth);
    Seen {
        labels: Labels::empty(),
        truth,
        value: speaker.and_then(|one| one.value),
        reading: speaker.map_or(read.reading, |one| one.reading),
        why: format!("{agreeing} of {all} series agree"),
        signal: Some(signal),
    }
}

/// A bare expression: a result means true; nothing means false as long as its source answers.
fn see_expr(
    read: &Read,
    plan: &SignalPlan,
    each: bool,
    known: &BTreeMap<String, SeriesState>,
) -> Vec<Seen> {
    let blind = plan.is_blind(read.reading);
    let one = |labels: &Labels, truth, reading: Reading| Seen {
        labels: labels.clone(),
        truth,
        value: reading.value(),
        reading,
        why: if truth == Truth::Unknown {
            read.why.to_string()
        } else {
            String::new()
        },
        signal: None,
    };
    let absent = if blind { Truth::Unknown } else { Truth::False };
    if !each {
        let truth = if !blind && read.reading != Reading::Empty {
            Truth::True
        } else {
            absent
        };
        let reading = match read.series.first() {
            Some((_, reading)) if truth == Truth::True => *reading,
            _ => read.reading,
        };
        return vec![one(&Labels::empty(), truth, reading)];
    }
    let mut seen: Vec<Seen> = Vec::new();
    if !blind {
        seen.extend(
            read.series
                .iter()
                .map(|(labels, reading)| one(labels, Truth::True, *reading)),
        );
    }
    for it in known.values() {
        if !seen.iter().any(|other| other.labels == it.labels) {
            seen.push(one(&it.labels, absent, Reading::Empty));
        }
    }
    seen
}

/// Another signal's value beside one series: that of the series with the same labels, else its only one.
fn beside(read: &Read, labels: &Labels) -> Option<f64> {
    let same = read.series.iter().find(|(other, _)| other == labels);
    same.map_or(read.reading, |(_, reading)| *reading).value()
}

fn speak(judged: Judged, labels: Labels, read: &Read, value: Option<f64>) -> Seen {
    let why = match (judged.truth, value) {
        (Truth::Unknown, Some(_)) => "there is no baseline from before the rollout".to_owned(),
        _ => read.why.to_string(),
    };
    Seen {
        labels,
        truth: judged.truth,
        value,
        reading: read.reading,
        why,
        signal: Some(judged.signal),
    }
}

impl Engine {
    /// Firing triggers of before a restart fire on, so that nobody is called twice. One that was changed since, or
    /// belongs to another rollout, starts afresh.
    pub(super) fn restore_triggers(&mut self, restored: Vec<RestoredTrigger>) {
        let current = self.rollouts.current().map(|rollout| rollout.id.0.clone());
        for it in restored {
            let watch = self
                .triggers
                .iter_mut()
                .find(|watch| watch.name == it.name && watch.text == it.condition);
            let Some(watch) = watch.filter(|_| it.rollout == current) else {
                continue;
            };
            let labels = Labels::empty();
            let entry = watch
                .series
                .entry(it.series.clone())
                .or_insert_with(|| SeriesState::new(labels));
            entry.state = State::Firing {
                active_at: it.active_at,
                fired_at: it.fired_at,
                kept_since: None,
            };
            entry.handled = self
                .decisions
                .iter()
                .rev()
                .find(|decision| {
                    decision.trigger == it.name
                        && decision
                            .rollout
                            .as_ref()
                            .map(crate::model::RolloutId::as_str)
                            == it.rollout.as_deref()
                })
                .map(|decision| Handled {
                    decision: decision.id.clone(),
                    asked: decision.asked,
                    refused_by: decision.refused_by,
                });
        }
    }
}
