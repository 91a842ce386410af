//! Two people who do not talk to each other, and what they were promised.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gated::engine::{Announce, Answer, Call, Observed, Restored, Word};
use gated::model::labels::NAME;
use gated::model::{DeliveryKey, DeliveryState, Labels, RolloutId, Timestamp};

use super::dice::Dice;
use super::fleet::Fleet;

/// A line of the checklist that nobody but people know of.
pub const ITEM: &str = "watch/the-team-is-there";

/// What somebody was told has been done; it holds over every crash.
#[derive(Debug, Default)]
pub struct Sworn {
    pub frozen_until: Option<Timestamp>,
    /// The last call to freeze or thaw; the answer of an earlier one comes too late to count.
    last_word: u64,
    pub vetoed: BTreeSet<RolloutId>,
    pub finished: BTreeSet<RolloutId>,
    /// How often somebody asked for a delivery once more.
    pub resends: BTreeMap<DeliveryKey, u32>,
}

impl Sworn {
    /// A call is made: from here on, and before it is answered, either is right.
    pub fn called(&mut self, token: u64, call: &Call, at: Timestamp) {
        if let Call::Thaw(_) | Call::Freeze { .. } = call {
            self.last_word = token;
        }
        match call {
            Call::Thaw(_) => self.frozen_until = None,
            Call::Freeze { hold, .. } => {
                let until = at + *hold;
                self.frozen_until = self.frozen_until.map(|it| it.min(until));
            }
            Call::Settle {
                delivery,
                arrived: false,
                ..
            } => *self.resends.entry(delivery.clone()).or_default() += 1,
            Call::StartRollout { .. }
            | Call::FinishRollout(_)
            | Call::Veto { .. }
            | Call::Acknowledge { .. }
            | Call::Observe { .. }
            | Call::Attest { .. }
            | Call::Announce(_)
            | Call::Settle { .. } => {}
        }
    }

    pub fn answered(&mut self, token: u64, answer: &Answer) {
        match answer {
            Answer::Frozen { until } => {
                if token == self.last_word {
                    self.frozen_until = Some(*until);
                }
            }
            Answer::Vetoed { rollout, .. } => drop(self.vetoed.insert(rollout.clone())),
            Answer::Rollout { rollout, .. } => {
                if rollout.end.is_some() {
                    self.finished.insert(rollout.id.clone());
                }
            }
            Answer::Thawed { .. }
            | Answer::Delivery(_)
            | Answer::Incident(_)
            | Answer::Observed { .. }
            | Answer::Announced(_)
            | Answer::Attested(_) => {}
        }
    }
}

/// What one of the two asks for, by what the ledger shows.
pub fn call(who: usize, shown: &Restored, fleet: &Fleet, now: i64, dice: &mut Dice) -> Call {
    let said = Word {
        by: ["ann", "bob"][who].into(),
        reason: "because".into(),
    };
    let waits = |state: &DeliveryState| {
        matches!(
            state,
            DeliveryState::Held { .. } | DeliveryState::Unconfirmed { .. }
        )
    };
    let waiting: Vec<_> = shown
        .deliveries
        .iter()
        .filter(|it| waits(&it.state))
        .collect();
    match dice.below(16) {
        0 | 1 => start(fleet, now, dice),
        2 if !shown.rollouts.is_empty() => {
            let newest = shown.rollouts.last().filter(|_| !dice.one_in(4));
            let any = newest.unwrap_or_else(|| dice.pick(&shown.rollouts));
            Call::FinishRollout(any.id.clone())
        }
        3 => Call::Freeze {
            said,
            hold: Duration::from_secs(*dice.pick(&[0, 10, 60, 120])),
        },
        4 => Call::Thaw(said),
        5 | 6 if !shown.decisions.is_empty() => Call::Veto {
            decision: dice.pick(&shown.decisions).id.clone(),
            said,
        },
        _ if !waiting.is_empty() => Call::Settle {
            delivery: dice.pick(&waiting).key.clone(),
            arrived: dice.one_in(2),
            said,
        },
        7 if !shown.deliveries.is_empty() => Call::Settle {
            delivery: dice.pick(&shown.deliveries).key.clone(),
            arrived: dice.one_in(2),
            said,
        },
        8 => start(fleet, now, dice),
        9 | 10 if !shown.incidents.is_empty() => Call::Acknowledge {
            incident: dice.pick(&shown.incidents).id.clone(),
            by: said.by,
            note: None,
        },
        11 | 12 => Call::Observe {
            values: vec![Observed {
                labels: Labels::new([
                    (NAME, "support_tickets_open"),
                    ("queue", *dice.pick(&["a", "b"])),
                ]),
                value: f64::from(u32::try_from(dice.below(100)).unwrap()),
            }],
            lifetime: Duration::from_secs(*dice.pick(&[60, 300])),
            by: said.by,
        },
        13 => Call::Attest {
            item: ITEM.into(),
            said,
            done: !dice.one_in(3),
        },
        14 => Call::Announce(Announce {
            by: said.by,
            look: dice.one_in(4),
            forced: dice.one_in(4),
        }),
        _ => Call::Thaw(said),
    }
}

fn start(fleet: &Fleet, now: i64, dice: &mut Dice) -> Call {
    let running = &dice.pick(&fleet.instances).version;
    let version = match dice.below(6) {
        0 => "v77".to_owned(),
        1 => String::new(),
        2 => running.replace('v', ""),
        _ => running.clone(),
    };
    Call::StartRollout {
        id: dice
            .one_in(4)
            .then(|| RolloutId(format!("told-{}", dice.below(3)))),
        version,
        previous_version: dice.one_in(3).then(|| "v0".into()),
        started_at: match dice.below(4) {
            0 => Some(Timestamp::from_millis(now - dice.between(0, 90_000))),
            1 => Some(Timestamp::from_millis(now + dice.between(0, 90_000))),
            _ => None,
        },
        irreversible: dice.one_in(8),
    }
}
