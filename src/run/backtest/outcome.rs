//! What a backtest gives: decisions, phases, what happened on the way and what was read. Deliberately absent: drawing it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::{Engine, Event, Input, Settings, VerdictState};
use crate::model::{Action, Decision, Reading, Status, Timestamp, Unit, is_stale};

/// Events kept at most; a timeline of more is read by nobody.
const EVENTS_MAX: usize = 10_000;

/// What was decided between two moments, and why.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub start: Timestamp,
    pub end: Timestamp,
    /// Oldest first.
    pub decisions: Vec<Decision>,
    /// Decisions before `start`, which are not among them.
    pub before: usize,
    /// Oldest first.
    pub events: Vec<(Timestamp, Event)>,
    /// Events past the most that are kept.
    pub events_left_out: u64,
    /// In the order in which they were entered.
    pub phases: Vec<PhaseSpan>,
    /// In the order of the rules.
    pub signals: Vec<SignalSeen>,
    /// From when on the status was which.
    pub statuses: Vec<(Timestamp, Status)>,
    /// What the gate says at the end.
    pub verdict: VerdictState,
    /// Targets that were silent often: the instance, how often, and how often they answered.
    pub silent: Vec<(String, u64, u64)>,
    /// Targets that ended without an `up` that says whether they failed or were removed: the instances.
    pub ended_without_up: Vec<String>,
    /// What was asked to be looked at goes on, up to here.
    pub asked_end: Option<Timestamp>,
    /// How long triggers were judged: a phase was active, and no rollout was settling.
    pub judged: Duration,
    /// Signals and bare expressions that no series was there for.
    pub unmatched: Vec<String>,
    /// Samples given to the engine.
    pub samples: u64,
    pub evaluations: u64,
}

impl Outcome {
    /// Decisions that would have been acted on: what is only tried acts on nothing.
    pub fn of(&self, action: Action) -> impl Iterator<Item = &Decision> {
        let acted = self.decisions.iter().filter(|it| !it.is_tried());
        acted.filter(move |it| it.action == action)
    }

    /// Decisions of what is only tried.
    pub fn tried(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter().filter(|it| it.is_tried())
    }

    /// Why nothing could be decided at all; `None` where something could.
    #[must_use]
    pub fn nothing_judged(&self) -> Option<&'static str> {
        if self.phases.is_empty() {
            return Some(
                "no phase of the rules was active in this time, so nothing was judged: say when a rollout began (--rollout VERSION@T, `rollouts` of a test, version_from of [rollout]); rules with clock = \"go_live\" need --go-live T",
            );
        }
        self.judged.is_zero().then_some(
            "the rollout was settling until the end of this time, so nothing was judged: look at more of what comes after it, or settle for a shorter time ([judging] settle)",
        )
    }
}

/// A phase, as long as it was the one judged.
#[derive(Clone, Debug)]
pub struct PhaseSpan {
    pub name: String,
    pub from: Timestamp,
    pub until: Timestamp,
    /// Milliseconds of each status, in the order of [`Status::ALL`].
    pub status_millis: [u64; 4],
}

/// What a signal gave.
#[derive(Clone, Debug)]
pub struct SignalSeen {
    pub name: String,
    pub unit: Unit,
    /// Readings with a value, and all.
    pub known: u64,
    pub readings: u64,
    pub lowest: f64,
    pub highest: f64,
    /// How often there was no value, by why; and the newest reason in words.
    pub missing: BTreeMap<&'static str, u64>,
    pub why: String,
    /// By column of time; empty where nothing is drawn.
    pub columns: Vec<Column>,
}

/// The readings of a short time.
#[derive(Copy, Clone, Debug, Default)]
pub struct Column {
    pub lowest: f64,
    pub highest: f64,
    pub known: u32,
    pub readings: u32,
}

/// Collects an [`Outcome`].
#[derive(Debug)]
pub struct Collector {
    outcome: Outcome,
    phase: String,
    status: Status,
    since: Timestamp,
    /// Since when triggers are judged.
    judging: Option<Timestamp>,
    /// The moment of each signal's last reading.
    read_at: Vec<Option<Timestamp>>,
    /// Signals that a later configuration does not have.
    gone: Vec<SignalSeen>,
}

impl Collector {
    pub fn new(settings: &Settings, start: Timestamp) -> Self {
        let signals = settings.rules.signals.iter();
        let signals: Vec<SignalSeen> = signals
            .map(|it| SignalSeen::new(&it.name, it.unit, 0))
            .collect();
        Self {
            gone: Vec::new(),
            read_at: vec![None; signals.len()],
            outcome: Outcome {
                start,
                end: start,
                decisions: Vec::new(),
                before: 0,
                events: Vec::new(),
                events_left_out: 0,
                phases: Vec::new(),
                signals,
                statuses: Vec::new(),
                silent: Vec::new(),
                ended_without_up: Vec::new(),
                asked_end: None,
                judged: Duration::ZERO,
                unmatched: Vec::new(),
                verdict: VerdictState::nothing_yet(),
                samples: 0,
                evaluations: 0,
            },
            phase: String::new(),
            status: Status::Unknown,
            since: start,
            judging: None,
        }
    }

    /// Keeps what is read for drawing.
    pub fn draw(&mut self, end: Timestamp, columns: usize) {
        self.outcome.end = end;
        for signal in &mut self.outcome.signals {
            signal.columns = vec![Column::default(); columns];
        }
    }

    /// From here on other settings hold. Signals of the same name and unit go on.
    pub fn judges_by(&mut self, settings: &Settings) {
        let columns = self
            .outcome
            .signals
            .first()
            .map_or(0, |it| it.columns.len());
        let mut known = std::mem::take(&mut self.outcome.signals);
        known.append(&mut self.gone);
        let signals = settings.rules.signals.iter().map(|signal| {
            let same = |it: &SignalSeen| it.name == signal.name && it.unit == signal.unit;
            match known.iter().position(same) {
                Some(place) => known.swap_remove(place),
                None => SignalSeen::new(&signal.name, signal.unit, columns),
            }
        });
        self.outcome.signals = signals.collect();
        self.read_at = vec![None; self.outcome.signals.len()];
        self.gone = known;
    }

    pub fn count(&mut self, input: &Input) {
        if let Input::Scraped(scrape) = input
            && let Ok(columns) = &scrape.outcome
        {
            let values = columns.values.iter().filter(|it| !is_stale(**it));
            self.outcome.samples += values.count() as u64;
        }
    }

    pub fn decided(&mut self, decision: Decision) {
        if decision.at < self.outcome.start {
            self.outcome.before += 1;
        } else {
            self.outcome.decisions.push(decision);
        }
    }

    pub fn told(&mut self, at: Timestamp, event: Event) {
        if at < self.outcome.start {
            return;
        }
        if self.outcome.events.len() < EVENTS_MAX {
            self.outcome.events.push((at, event));
        } else {
            self.outcome.events_left_out += 1;
        }
    }

    /// Looks at the engine after something happened to it.
    pub fn see(&mut self, at: Timestamp, engine: &Engine) {
        if at < self.outcome.start {
            return;
        }
        if let Some(since) = self.judging.replace(at) {
            self.outcome.judged += at.since(since);
        }
        self.judging = self.judging.filter(|_| engine.is_judging());
        let (_, status, phase) = engine.standing();
        if phase != self.phase || status != self.status {
            self.pass(at);
            if phase != self.phase {
                phase.clone_into(&mut self.phase);
                if !self.phase.is_empty() {
                    self.outcome.phases.push(PhaseSpan {
                        name: self.phase.clone(),
                        from: at,
                        until: at,
                        status_millis: [0; 4],
                    });
                }
            }
            self.status = status;
            self.outcome.statuses.push((at, self.status));
        }
        let Outcome {
            start,
            end,
            signals,
            ..
        } = &mut self.outcome;
        let seen = signals.iter_mut().zip(&mut self.read_at);
        for ((signal, last), (read_at, reading, why)) in seen.zip(engine.readings()) {
            if read_at == *last {
                continue;
            }
            *last = read_at;
            signal.take(at, reading, why, (*start, *end));
        }
    }

    /// The time until `at` had the status that it had.
    fn pass(&mut self, at: Timestamp) {
        let passed = at.since(self.since);
        if let Some(span) = self
            .outcome
            .phases
            .last_mut()
            .filter(|_| !self.phase.is_empty())
        {
            let place = Status::ALL.iter().position(|it| *it == self.status);
            span.status_millis[place.expect("one of all")] +=
                u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
            span.until = at;
        }
        self.since = at;
    }

    pub fn finish(mut self, end: Timestamp, evaluations: u64, engine: &Engine) -> Outcome {
        self.pass(end);
        self.outcome.judged += self
            .judging
            .map_or(Duration::ZERO, |since| end.since(since));
        self.outcome.unmatched = engine.unmatched().map(str::to_owned).collect();
        self.outcome.end = end;
        self.outcome.evaluations = evaluations;
        self.outcome.verdict = engine.verdict();
        self.outcome.signals.append(&mut self.gone);
        self.outcome
    }
}

impl SignalSeen {
    fn new(name: &str, unit: Unit, columns: usize) -> Self {
        Self {
            name: name.to_owned(),
            unit,
            known: 0,
            readings: 0,
            lowest: f64::INFINITY,
            highest: f64::NEG_INFINITY,
            missing: BTreeMap::new(),
            why: String::new(),
            columns: vec![Column::default(); columns],
        }
    }

    fn take(
        &mut self,
        at: Timestamp,
        reading: Reading,
        why: &str,
        (start, end): (Timestamp, Timestamp),
    ) {
        self.readings += 1;
        let value = reading.value();
        if let Some(value) = value {
            self.known += 1;
            self.lowest = self.lowest.min(value);
            self.highest = self.highest.max(value);
        } else {
            *self.missing.entry(reading.word()).or_default() += 1;
            if self.why != why {
                why.clone_into(&mut self.why);
            }
        }
        let count = self.columns.len() as u128;
        let place = at.since(start).as_millis() * count / end.since(start).as_millis().max(1);
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let last = self.columns.len().saturating_sub(1);
        let Some(column) = self.columns.get_mut(place.min(last)) else {
            return;
        };
        column.readings += 1;
        if let Some(value) = value {
            let first = column.known == 0;
            column.known += 1;
            column.lowest = if first {
                value
            } else {
                column.lowest.min(value)
            };
            column.highest = if first {
                value
            } else {
                column.highest.max(value)
            };
        }
    }
}
