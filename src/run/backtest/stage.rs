//! The engine that runs live, over what was recorded: inputs in, effects into memory. Deliberately absent: where the
//! inputs come from, and how what was decided is shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::outcome::{Collector, Outcome};
use crate::engine::{Attempted, Call, Effect, Engine, Input, Record, Refusal, Restored, Settings};
use crate::model::{DeliveryKey, Timestamp};

/// Who answers what the engine sends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Receivers {
    /// Nobody is there: each attempt is answered 200 at once.
    Memory,
    /// What really came is among the inputs.
    Recorded,
}

/// One run of one set of rules.
#[derive(Debug)]
pub struct Stage {
    engine: Engine,
    receivers: Receivers,
    /// No input may be stamped earlier.
    floor: Timestamp,
    effects: Vec<Effect>,
    /// Attempts that are to be answered.
    sent: Vec<DeliveryKey>,
    tokens: u64,
    /// Of the engines before this one.
    evaluations: u64,
    refused: BTreeMap<u64, Refusal>,
    collector: Collector,
}

impl Stage {
    /// An engine that begins at `at`. What happens before `start` is the past, and not shown.
    #[must_use]
    pub fn new(
        settings: Arc<Settings>,
        restored: Restored,
        at: Timestamp,
        start: Timestamp,
        receivers: Receivers,
    ) -> Self {
        let mut effects = Vec::new();
        let collector = Collector::new(&settings, start);
        let engine = Engine::new(settings, restored, at, &mut effects);
        let mut stage = Self {
            engine,
            receivers,
            floor: at,
            effects,
            sent: Vec::new(),
            tokens: 0,
            evaluations: 0,
            refused: BTreeMap::new(),
            collector,
        };
        stage.take(at);
        stage
    }

    /// Draws what every signal reads between `start` and `end` into so many columns.
    #[must_use]
    pub fn drawing(mut self, end: Timestamp, columns: usize) -> Self {
        self.collector.draw(end, columns);
        self
    }

    /// Takes one input, after every deadline before it.
    pub fn feed(&mut self, at: Timestamp, input: Input) {
        self.reach(Timestamp::from_millis(at.millis() - 1));
        let at = at.max(self.floor);
        self.apply(at, input);
        self.floor = at;
        self.take(at);
    }

    fn apply(&mut self, at: Timestamp, input: Input) {
        self.collector.count(&input);
        if let Input::Reload(settings) = &input {
            self.collector.judges_by(settings);
        }
        self.engine.apply(at, input, &mut self.effects);
    }

    /// gated was started anew: another engine goes on.
    pub fn reopen(&mut self, settings: Arc<Settings>, restored: Restored, at: Timestamp) {
        self.collector.judges_by(&settings);
        self.evaluations += self.engine.evaluations();
        self.engine = Engine::new(settings, restored, at, &mut self.effects);
        self.floor = at;
        self.take(at);
    }

    /// Takes one input or wake of a journal exactly as it was.
    pub fn repeat(&mut self, at: Timestamp, input: Option<Input>) {
        if let Some(input) = input {
            self.apply(at, input);
            self.floor = at;
        } else {
            self.engine.advance(at, &mut self.effects);
            self.floor = Timestamp::from_millis(at.millis() + 1);
        }
        self.take(at);
    }

    /// As it stands.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Tells of a rollout.
    ///
    /// # Errors
    /// The engine refuses it.
    pub fn tell(
        &mut self,
        at: Timestamp,
        version: &str,
        previous_version: Option<&str>,
    ) -> Result<(), Refusal> {
        self.tokens += 1;
        let token = self.tokens;
        let call = Call::StartRollout {
            id: None,
            version: version.to_owned(),
            previous_version: previous_version.map(str::to_owned),
            // What began before there is anything to see is told of late.
            started_at: (at < self.floor).then_some(at),
            irreversible: false,
        };
        self.feed(at.max(self.floor), Input::Operator { token, call });
        self.refused.remove(&token).map_or(Ok(()), Err)
    }

    /// Fires every deadline up to `to`, each at its own time, so that what it changes is seen then.
    fn reach(&mut self, to: Timestamp) {
        while let Some(due) = self.engine.next_deadline().filter(|due| *due <= to) {
            let due = due.max(self.floor).min(to);
            self.engine.advance(due, &mut self.effects);
            self.floor = Timestamp::from_millis(due.millis() + 1);
            self.take(due);
        }
    }

    /// What became of it all up to `end`.
    #[must_use]
    pub fn end(mut self, end: Timestamp) -> Outcome {
        self.reach(end);
        self.stop(end)
    }

    /// The same, with nothing more fired than was.
    #[must_use]
    pub fn stop(self, end: Timestamp) -> Outcome {
        let evaluations = self.evaluations + self.engine.evaluations();
        self.collector.finish(end, evaluations, &self.engine)
    }

    fn take(&mut self, at: Timestamp) {
        loop {
            for effect in std::mem::take(&mut self.effects) {
                match effect {
                    Effect::Send { key, .. } => {
                        if self.receivers == Receivers::Memory {
                            self.sent.push(key);
                        }
                    }
                    Effect::Record(Record::Decision(decision)) => self.collector.decided(*decision),
                    Effect::Tell(event) => self.collector.told(at, event),
                    Effect::Answer { token, answer } => {
                        if let Err(refusal) = answer {
                            self.refused.insert(token, refusal);
                        }
                    }
                    // Of the other records decisions and events say what people want to know.
                    Effect::Record(_) | Effect::Alerts(_) | Effect::Report(_) => {}
                }
            }
            let Some(key) = self.sent.pop() else { break };
            let outcome = Attempted::Answered {
                status: 200,
                retry_after: None,
            };
            let input = Input::Attempted { key, outcome };
            self.engine.apply(self.floor, input, &mut self.effects);
        }
        self.collector.see(at, &self.engine);
    }
}
