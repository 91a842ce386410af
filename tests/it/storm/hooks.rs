//! The receivers in the storm: what becomes of a request, and what a deployer does for it.

use std::collections::BTreeMap;
use std::time::Duration;

use gated::engine::Attempted;
use gated::model::DeliveryKey;

use super::dice::Dice;

/// What a receiver is like for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// Answers, but late.
    Late,
    /// Does what it is asked for; its answer is lost.
    Mute,
    Unreachable,
    Broken,
    /// Wants to be asked again later.
    Limited,
    Refuses,
    Gone,
}

const MOODS: [Mood; 10] = [
    Mood::Well,
    Mood::Well,
    Mood::Late,
    Mood::Mute,
    Mood::Mute,
    Mood::Unreachable,
    Mood::Broken,
    Mood::Limited,
    Mood::Refuses,
    Mood::Gone,
];

/// A request that has left, and the answer on its way.
#[derive(Debug)]
pub struct Passed {
    /// It arrived and was acted on.
    pub acted: bool,
    pub answer: Attempted,
    pub after: i64,
    /// The answer comes twice.
    pub twice: bool,
}

#[derive(Debug, Default)]
pub struct Hooks {
    moods: BTreeMap<String, Mood>,
    /// How often each request was acted on.
    pub acts: BTreeMap<DeliveryKey, u32>,
}

impl Hooks {
    pub fn weather(&mut self, receiver: &str, dice: &mut Dice) -> String {
        let mood = *dice.pick(&MOODS);
        self.moods.insert(receiver.to_owned(), mood);
        format!("{receiver} is {mood:?}")
    }

    pub fn heal(&mut self) {
        self.moods.clear();
    }

    /// What becomes of one request.
    pub fn pass(&mut self, receiver: &str, key: &DeliveryKey, dice: &mut Dice) -> Passed {
        let mood = self.moods.get(receiver).copied().unwrap_or(Mood::Well);
        let status = |status| Attempted::Answered {
            status,
            retry_after: None,
        };
        let silence = |reached| Attempted::NoAnswer {
            reason: "no answer".into(),
            reached,
        };
        let soon = dice.between(1, 300);
        let (acted, answer, after) = match mood {
            Mood::Well => (true, status(*dice.pick(&[200, 202, 204])), soon),
            Mood::Late => (true, status(200), dice.between(3000, 14_000)),
            Mood::Mute => (true, silence(true), dice.between(1000, 15_000)),
            Mood::Unreachable => (false, silence(false), soon),
            Mood::Broken => (false, status(*dice.pick(&[500, 502, 503])), soon),
            Mood::Limited => {
                let told = *dice.pick(&[0, 5, 30, 100_000]);
                let answer = Attempted::Answered {
                    status: 429,
                    retry_after: Some(Duration::from_secs(told)),
                };
                (false, answer, soon)
            }
            Mood::Refuses => (false, status(*dice.pick(&[400, 401, 404, 422, 302])), soon),
            Mood::Gone => (false, status(410), soon),
        };
        if acted {
            *self.acts.entry(key.clone()).or_default() += 1;
        }
        Passed {
            acted,
            answer,
            after,
            twice: dice.one_in(20),
        }
    }
}
