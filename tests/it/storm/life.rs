//! One life of gated, from a start to a crash: the engine, what went into it, and a digest of what came out.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use gated::engine::{Effect, Engine, Input, Record, Restored, Settings};
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
    began: (Arc<Settings>, Restored, Timestamp),
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

    /// The same inputs in a fresh engine, with wakes in between where `wakes`: the same effects?
    pub fn replays(&self, wakes: Option<&mut Dice>) -> Result<(), String> {
        let (settings, restored, began) = &self.began;
        let mut out = Vec::new();
        let mut engine = Engine::new(Arc::clone(settings), restored.clone(), *began, &mut out);
        let (mut last, mut told) = (began.millis(), 0);
        let mut wakes = wakes;
        for step in &self.journal {
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
