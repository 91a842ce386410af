//! The ledger in the storm: it takes the records of one input whole or not at all, late, or not, and remembers.

use gated::engine::{Record, Restored};

use super::dice::Dice;
use crate::ledger::remember;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    /// Takes its time.
    Slow,
    Failing,
    /// Now and then it fails.
    Flaky,
}

/// What came of a commit.
#[derive(Debug, PartialEq, Eq)]
pub enum Committed {
    Yes,
    No(String),
    /// It was said to have failed, and is there all the same.
    Unsaid(String),
}

#[derive(Debug)]
pub struct Disk {
    mood: Mood,
    pub memory: Restored,
}

impl Disk {
    pub fn new() -> Self {
        Self {
            mood: Mood::Well,
            memory: Restored::default(),
        }
    }

    pub fn weather(&mut self, dice: &mut Dice) -> String {
        self.mood = *dice.pick(&[
            Mood::Well,
            Mood::Well,
            Mood::Slow,
            Mood::Failing,
            Mood::Flaky,
        ]);
        format!("the disk is {:?}", self.mood)
    }

    pub fn heal(&mut self) {
        self.mood = Mood::Well;
    }

    /// How long the next commit takes.
    pub fn takes(&self, dice: &mut Dice) -> i64 {
        match self.mood {
            Mood::Well | Mood::Flaky => dice.between(0, 3),
            Mood::Slow | Mood::Failing => dice.between(0, 3000),
        }
    }

    pub fn commit(&mut self, records: &[Record], dice: &mut Dice) -> Committed {
        let fails = match self.mood {
            Mood::Well | Mood::Slow => false,
            Mood::Failing => true,
            Mood::Flaky => dice.one_in(3),
        };
        if fails && !dice.one_in(8) {
            return Committed::No("the disk is full".into());
        }
        let mut next = self.memory.clone();
        for record in records {
            if let Record::Delivery(it) = record
                && next.deliveries.iter().all(|known| known.key != it.key)
            {
                return Committed::No(format!("there is no delivery {}", it.key));
            }
            if let Record::Owed(it, _) = record
                && next.decisions.iter().all(|known| known.id != it.decision)
            {
                return Committed::No(format!("there is no decision {}", it.decision));
            }
            remember(&mut next, record.clone());
        }
        self.memory = next;
        if fails {
            Committed::Unsaid("the disk failed after it had written".into())
        } else {
            Committed::Yes
        }
    }
}
