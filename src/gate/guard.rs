//! Why a rollback is refused: small pure questions, asked in one order. The first that refuses is named.

use std::time::Duration;

use crate::model::Guard;
use crate::model::GuardAnswer;

/// What the guards are asked about.
#[derive(Copy, Clone, Debug)]
pub struct Facts<'a> {
    /// The current rollout's version, when one is in progress.
    pub rollout: Option<&'a str>,
    /// The version that runs instead of the rollout's, once its turn is over.
    pub running_instead: Option<&'a str>,
    /// The phase in which the trigger fires, and whether it is armed.
    pub phase: &'a str,
    pub phase_armed: bool,
    pub irreversible: bool,
    /// A person's freeze, in words.
    pub frozen: Option<&'a str>,
    /// Whether what asks for the rollback was so before the rollout, in words.
    pub predates: Predates<'a>,
    /// A rollback was decided for this rollout before, with this id.
    pub decided: Option<&'a str>,
    /// The version to go back to, where it is known to be bad, and why.
    pub known_bad: Option<(&'a str, Bad)>,
    /// The last rollback was decided so long ago, less than `cooldown`.
    pub cooling: Option<Duration>,
    /// Rollbacks decided in the last 24 hours, and how many there may be.
    pub spent: usize,
    pub budget: usize,
    /// The version that this rollout's took the place of by a rollback.
    pub returned_from: Option<&'a str>,
    /// Who acts instead of this gated.
    pub leader: Option<&'a str>,
    /// Why the ledger cannot be relied on.
    pub held: Option<&'a str>,
    /// Who said that this rollout is not to be rolled back, in words.
    pub vetoed: Option<&'a str>,
    /// `[rollback] mode = "armed"`.
    pub armed: bool,
}

/// What is known of the past, in words.
#[derive(Copy, Clone, Debug)]
pub enum Predates<'a> {
    /// It began with the rollout, or nobody asks.
    No(&'a str),
    Yes(&'a str),
    Unknown {
        why: &'a str,
        allowed: bool,
    },
}

/// What is held against a version.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Bad {
    /// It was rolled back.
    RolledBack,
    /// Its newest rollout was red.
    Red,
}

/// A guard's question: `Ok` lets pass, both say why.
type Question = fn(Facts<'_>) -> Result<String, String>;

/// Every guard's answer up to the first that refuses.
#[must_use]
pub fn ask(facts: Facts<'_>) -> Vec<GuardAnswer> {
    let guards: [(Guard, Question); 15] = [
        (Guard::NoRollout, in_progress),
        (Guard::Superseded, running),
        (Guard::NotArmed, phase_armed),
        (Guard::Irreversible, reversible),
        (Guard::Frozen, not_frozen),
        (Guard::Predates, began_after),
        (Guard::AlreadyDecided, undecided),
        (Guard::KnownBad, good_to_go_back_to),
        (Guard::RolledBack, not_returned_to),
        (Guard::Cooldown, cooled_down),
        (Guard::Budget, within_budget),
        (Guard::NotLeader, leads),
        (Guard::Store, not_held),
        (Guard::Vetoed, not_vetoed),
        (Guard::Shadow, armed),
    ];
    let mut answers = Vec::with_capacity(guards.len());
    for (guard, question) in guards {
        let answer = question(facts);
        let passed = answer.is_ok();
        answers.push(GuardAnswer {
            guard,
            passed,
            note: answer.unwrap_or_else(|note| note),
        });
        if !passed {
            break;
        }
    }
    answers
}

fn in_progress(facts: Facts<'_>) -> Result<String, String> {
    match facts.rollout {
        Some(version) => Ok(format!("rollout of {version} is in progress")),
        None => Err("no rollout is in progress".into()),
    }
}

fn running(facts: Facts<'_>) -> Result<String, String> {
    match facts.running_instead {
        None => Ok("no other version has taken its place".into()),
        Some(other) => Err(format!("version {other} is running instead")),
    }
}

fn phase_armed(facts: Facts<'_>) -> Result<String, String> {
    if facts.phase_armed {
        Ok(format!("phase {} is armed", facts.phase))
    } else {
        Err(format!("phase {} is not armed", facts.phase))
    }
}

fn reversible(facts: Facts<'_>) -> Result<String, String> {
    if facts.irreversible {
        Err("the rollout is marked irreversible".into())
    } else {
        Ok("the rollout can be undone".into())
    }
}

fn not_frozen(facts: Facts<'_>) -> Result<String, String> {
    match facts.frozen {
        None => Ok("nobody has frozen rollbacks".into()),
        Some(freeze) => Err(freeze.to_owned()),
    }
}

fn began_after(facts: Facts<'_>) -> Result<String, String> {
    match facts.predates {
        Predates::No(why) => Ok(why.to_owned()),
        Predates::Yes(why) => Err(why.to_owned()),
        Predates::Unknown { why, allowed: true } => Ok(format!("{why}; this is allowed")),
        Predates::Unknown {
            why,
            allowed: false,
        } => Err(format!("whether it predates the rollout is unknown: {why}")),
    }
}

fn undecided(facts: Facts<'_>) -> Result<String, String> {
    match facts.decided {
        None => Ok("no rollback was decided for this rollout".into()),
        Some(id) => Err(format!("a rollback was already decided: {id}")),
    }
}

fn good_to_go_back_to(facts: Facts<'_>) -> Result<String, String> {
    match facts.known_bad {
        None => Ok("nothing is held against the version to go back to".into()),
        Some((version, Bad::RolledBack)) => Err(format!(
            "{version}, the version to go back to, was rolled back itself"
        )),
        Some((version, Bad::Red)) => Err(format!(
            "{version}, the version to go back to, was red itself"
        )),
    }
}

fn cooled_down(facts: Facts<'_>) -> Result<String, String> {
    match facts.cooling {
        None => Ok("no rollback was decided within the cooldown".into()),
        Some(ago) => Err(format!(
            "the last rollback was decided {} ago, within the cooldown",
            humantime::format_duration(Duration::from_secs(ago.as_secs()))
        )),
    }
}

fn within_budget(facts: Facts<'_>) -> Result<String, String> {
    let said = format!(
        "{} of {} rollbacks decided in the last 24 hours",
        facts.spent, facts.budget
    );
    if facts.spent < facts.budget {
        Ok(said)
    } else {
        Err(said)
    }
}

fn not_returned_to(facts: Facts<'_>) -> Result<String, String> {
    match facts.returned_from {
        None => Ok("this is not the version of a rollback".into()),
        Some(bad) => Err(format!("this is what {bad} was rolled back to")),
    }
}

fn not_held(facts: Facts<'_>) -> Result<String, String> {
    match facts.held {
        None => Ok("the ledger is sound".into()),
        Some(why) => Err(format!("{why}: rollbacks are held")),
    }
}

fn leads(facts: Facts<'_>) -> Result<String, String> {
    match facts.leader {
        None => Ok("this gated acts".into()),
        Some(other) => Err(format!("{other} is the leader and acts")),
    }
}

fn not_vetoed(facts: Facts<'_>) -> Result<String, String> {
    match facts.vetoed {
        None => Ok("nobody has said no".into()),
        Some(veto) => Err(veto.to_owned()),
    }
}

fn armed(facts: Facts<'_>) -> Result<String, String> {
    if facts.armed {
        Ok("[rollback] mode is armed".into())
    } else {
        Err("[rollback] mode is shadow: this is what would have been done".into())
    }
}

/// Refusals whose answer may change while the trigger fires: the same decision is then judged again.
#[must_use]
pub fn passes_by(guard: Guard) -> bool {
    matches!(
        guard,
        Guard::Superseded
            | Guard::NotArmed
            | Guard::Frozen
            | Guard::NotLeader
            | Guard::Store
            | Guard::Shadow
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const YES: Facts<'static> = Facts {
        rollout: Some("2.0.0"),
        running_instead: None,
        phase: "watch",
        phase_armed: true,
        irreversible: false,
        frozen: None,
        predates: Predates::No("it began with the rollout"),
        decided: None,
        known_bad: None,
        cooling: None,
        spent: 1,
        budget: 2,
        returned_from: None,
        leader: None,
        held: None,
        vetoed: None,
        armed: true,
    };

    /// What is so, and the guard that refuses then.
    const TABLE: &[(Facts<'static>, Option<Guard>)] = &[
        (YES, None),
        (
            Facts {
                rollout: None,
                phase_armed: false,
                ..YES
            },
            Some(Guard::NoRollout),
        ),
        (
            Facts {
                running_instead: Some("1.0.0"),
                phase_armed: false,
                ..YES
            },
            Some(Guard::Superseded),
        ),
        (
            Facts {
                phase_armed: false,
                irreversible: true,
                ..YES
            },
            Some(Guard::NotArmed),
        ),
        (
            Facts {
                irreversible: true,
                decided: Some("dec_1"),
                ..YES
            },
            Some(Guard::Irreversible),
        ),
        (
            Facts {
                frozen: Some("frozen by ada"),
                predates: Predates::Yes("it predates the rollout"),
                ..YES
            },
            Some(Guard::Frozen),
        ),
        (
            Facts {
                predates: Predates::Yes("it predates the rollout"),
                decided: Some("dec_1"),
                ..YES
            },
            Some(Guard::Predates),
        ),
        (
            Facts {
                predates: Predates::Unknown {
                    why: "gated has just started",
                    allowed: false,
                },
                ..YES
            },
            Some(Guard::Predates),
        ),
        (
            Facts {
                predates: Predates::Unknown {
                    why: "gated has just started",
                    allowed: true,
                },
                ..YES
            },
            None,
        ),
        (
            Facts {
                leader: Some("gated-1"),
                held: Some("the ledger was damaged"),
                ..YES
            },
            Some(Guard::NotLeader),
        ),
        (
            Facts {
                held: Some("the ledger was damaged"),
                vetoed: Some("vetoed by ada"),
                ..YES
            },
            Some(Guard::Store),
        ),
        (
            Facts {
                vetoed: Some("vetoed by ada"),
                armed: false,
                ..YES
            },
            Some(Guard::Vetoed),
        ),
        (
            Facts {
                decided: Some("dec_1"),
                returned_from: Some("3.0.0"),
                ..YES
            },
            Some(Guard::AlreadyDecided),
        ),
        (
            Facts {
                held: Some("the ledger was damaged"),
                armed: false,
                ..YES
            },
            Some(Guard::Store),
        ),
        (
            Facts {
                returned_from: Some("3.0.0"),
                armed: false,
                ..YES
            },
            Some(Guard::RolledBack),
        ),
        (
            Facts {
                decided: Some("dec_1"),
                armed: false,
                ..YES
            },
            Some(Guard::AlreadyDecided),
        ),
        (
            Facts {
                known_bad: Some(("1.9.0", Bad::Red)),
                returned_from: Some("3.0.0"),
                ..YES
            },
            Some(Guard::KnownBad),
        ),
        (
            Facts {
                cooling: Some(Duration::from_secs(60)),
                spent: 2,
                ..YES
            },
            Some(Guard::Cooldown),
        ),
        (
            Facts {
                spent: 2,
                held: Some("the ledger was damaged"),
                ..YES
            },
            Some(Guard::Budget),
        ),
        (
            Facts {
                armed: false,
                ..YES
            },
            Some(Guard::Shadow),
        ),
    ];

    #[test]
    fn the_first_refusal_is_named() {
        for &(facts, refused) in TABLE {
            let answers = ask(facts);
            let (last, before) = answers.split_last().unwrap();
            assert!(before.iter().all(|answer| answer.passed), "{facts:?}");
            assert_eq!((!last.passed).then_some(last.guard), refused, "{facts:?}");
        }
    }
}
