//! One life of gated, from a start to a crash: the engine, what went into it, and a digest of what came out.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use gated::engine::{Effect, Engine, Input, Record, Restored, Settings};
use gated::journal::{self, Decoder, Encoder, Entry, Opening};
use gated::model::{Timestamp, Verdict};

use super::dice::Dice;

/// A slot that is evaluated this late was slept through: as `run::core` has it.
const GAP_MIN: i64 = 2000;

/// The effects of one input: its records commit together, then the rest is carried out.
#[derive(Debug)]
pub struct Batch {
    pub at: Timestamp,
    pub records: Vec<Record>,
    pub rest: Vec<Effect>,
    /// As in the daemon: what was made before a failure was heard of fails too.
    pub failures_heard: u64,
}

enum Step {
    Advance(Timestamp),
    Apply(Timestamp, Input),
}

/// What an engine is made from.
type Began = (Arc<Settings>, Restored, Timestamp);

pub struct Life {
    pub engine: Engine,
    /// Waiting for the ledger, oldest first.
    pub queue: VecDeque<Batch>,
    /// Failed commits that the engine has heard of, and that it was told of.
    pub failures_heard: u64,
    pub failures_told: u64,
    /// The last verdict that was told.
    pub verdict: Verdict,
    floor: i64,
    began: Began,
    journal: Vec<Step>,
    digest: Vec<u64>,
}

impl Life {
    pub fn begin(
        settings: Arc<Settings>,
        restored: Restored,
        now: i64,
        out: &mut Vec<Effect>,
    ) -> Self {
        let at = Timestamp::from_millis(now);
        let engine = Engine::new(Arc::clone(&settings), restored.clone(), at, out);
        let mut life = Self {
            engine,
            queue: VecDeque::new(),
            failures_heard: 0,
            failures_told: 0,
            verdict: Verdict::Unknown,
            floor: now,
            began: (settings, restored, at),
            journal: Vec::new(),
            digest: Vec::new(),
        };
        life.note(out);
        life
    }

    /// Somebody was there all the time, or the engine hears that nobody was. Gives its stamp with the effects.
    pub fn gap(&mut self, now: i64, out: &mut Vec<Effect>) -> Option<Timestamp> {
        let slot = self.engine.next_slot()?.millis();
        if now - slot <= GAP_MIN {
            return None;
        }
        let at = Timestamp::from_millis(self.floor);
        let until = Timestamp::from_millis(now);
        self.step(Step::Apply(at, Input::Slept { until }), out);
        Some(at)
    }

    /// The next input is stamped no earlier.
    pub fn floor(&self) -> Timestamp {
        Timestamp::from_millis(self.floor)
    }

    pub fn apply(&mut self, now: i64, input: Input, out: &mut Vec<Effect>) -> Timestamp {
        self.floor = self.floor.max(now);
        let at = Timestamp::from_millis(self.floor);
        self.step(Step::Apply(at, input), out);
        at
    }

    pub fn wake(&mut self, now: i64, out: &mut Vec<Effect>) -> Timestamp {
        let to = Timestamp::from_millis(self.floor.max(now));
        self.step(Step::Advance(to), out);
        self.floor = to.millis() + 1;
        to
    }

    fn step(&mut self, step: Step, out: &mut Vec<Effect>) {
        step.go(&mut self.engine, out);
        self.journal.push(step);
        self.note(out);
    }

    fn note(&mut self, out: &[Effect]) {
        self.digest.extend(out.iter().map(digest));
    }

    /// The same inputs in a fresh engine, with wakes in between where `wakes`, else as a journal has them: the same
    /// effects?
    pub fn replays(&self, wakes: Option<&mut Dice>) -> Result<(), String> {
        let recorded = wakes.is_none().then(|| self.recorded()).transpose()?;
        let (began, steps) = match &recorded {
            Some((began, steps)) => (began, steps),
            None => (&self.began, &self.journal),
        };
        let (settings, restored, began) = began;
        let mut out = Vec::new();
        let mut engine = Engine::new(Arc::clone(settings), restored.clone(), *began, &mut out);
        let (mut last, mut told) = (began.millis(), 0);
        let mut wakes = wakes;
        for step in steps {
            let until = step.at().millis();
            if let Some(dice) = &mut wakes
                && until - last > 1
                && dice.one_in(3)
            {
                let to = Timestamp::from_millis(dice.between(last, until));
                engine.advance(to, &mut out);
            }
            step.go(&mut engine, &mut out);
            last = until;
            // A wake in between brings forward what the next step would have fired: only what was told is compared.
            for effect in out.drain(..) {
                if self.digest.get(told) != Some(&digest(&effect)) {
                    return Err(format!(
                        "by {} it gives another effect: {effect:?}",
                        step.at()
                    ));
                }
                told += 1;
            }
        }
        if told == self.digest.len() {
            Ok(())
        } else {
            let live = self.digest.len();
            Err(format!("it gives {told} effects, live there were {live}"))
        }
    }
}

impl Life {
    /// What the journal of this life holds, once it was written and read again: a segment every few entries.
    fn recorded(&self) -> Result<(Began, Vec<Step>), String> {
        const SEGMENT: usize = 100;
        let (settings, restored, at) = &self.began;
        let mut encoder = Encoder::new(Arc::clone(settings), *at);
        let opening = |encoder: &Encoder, began, at, restored: Restored| Opening {
            gated: "storm".into(),
            at,
            began,
            standing: encoder.standing(),
            restored,
        };
        let mut segments = vec![Vec::new()];
        opening(&encoder, journal::Began::Run, *at, restored.clone()).put(&mut segments[0]);
        for (place, step) in self.journal.iter().enumerate() {
            if place % SEGMENT == SEGMENT - 1 {
                encoder.close(true, segments.last_mut().expect("the first is there"));
                let mut next = Vec::new();
                opening(
                    &encoder,
                    journal::Began::Later,
                    step.at(),
                    Restored::default(),
                )
                .put(&mut next);
                encoder.begin(step.at());
                segments.push(next);
            }
            let to = segments.last_mut().expect("the first is there");
            match step {
                Step::Advance(at) => encoder.woke(*at, to),
                Step::Apply(at, input) => encoder.input(*at, input, to),
            }
        }
        encoder.close(false, segments.last_mut().expect("the first is there"));
        let (mut began, mut steps) = (None, Vec::new());
        for segment in &segments {
            for entry in entries(segment)? {
                match entry {
                    Entry::Opened(it) if began.is_none() => {
                        began = Some((it.standing.settings, it.restored, it.at));
                    }
                    Entry::Input { at, input } => steps.push(Step::Apply(at, input)),
                    Entry::Woke(at) => steps.push(Step::Advance(at)),
                    Entry::Opened(_) | Entry::Closed { .. } => {}
                }
            }
        }
        Ok((began.ok_or("it has no opening")?, steps))
    }
}

fn entries(segment: &[u8]) -> Result<Vec<Entry>, String> {
    let zones = |name: &str| jiff::tz::TimeZone::get(name).ok();
    let mut decoder = Decoder::new(&zones);
    let (mut rest, mut entries) = (segment, Vec::new());
    while !rest.is_empty() {
        let read = decoder.entry(rest);
        let (entry, bytes) = read.map_err(|fault| format!("its journal is none: {fault}"))?;
        entries.push(entry);
        rest = &rest[bytes..];
    }
    Ok(entries)
}

impl Step {
    fn at(&self) -> Timestamp {
        match self {
            Self::Advance(at) | Self::Apply(at, _) => *at,
        }
    }

    fn go(&self, engine: &mut Engine, out: &mut Vec<Effect>) {
        match self {
            Self::Advance(to) => engine.advance(*to, out),
            Self::Apply(at, input) => engine.apply(*at, input.clone(), out),
        }
    }
}

fn digest(effect: &Effect) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{effect:?}").hash(&mut hasher);
    hasher.finish()
}
