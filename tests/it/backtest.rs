//! `gated backtest`: recordings through the live engine, and whether what it decides is right. Deliberately absent: how a
//! recording becomes scrapes, whose tests stand beside the code.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gated::model::{Action, Decision, RolloutId, Timestamp};
use gated::run::backtest::{Judge, Outcome, Play, judge, play, reads};
use gated::run::cli::Told;
use gated::source::recording::{MEMORY_BYTES, Recording};

mod block;
mod command;
mod doubts;
mod fleet;
mod kinds;
mod luck;
mod packed;
mod readings;
mod reckon;
mod scenarios;
mod server;
mod variations;

/// A file of the example scenarios.
fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/scenarios")
        .join(name)
}

/// The rules and the configuration of the example scenarios, unchanged.
fn examples_judge() -> Judge {
    let (config, rules) = (example("gated.toml"), example("rules"));
    judge(&config, &[rules], false).unwrap_or_else(|faults| panic!("{faults}"))
}

/// A recording that keeps what the judge reads.
fn recording_for(judge: &Judge) -> Recording {
    Recording::new(vec![reads(&judge.settings)], MEMORY_BYTES)
}

fn played(judge: &Judge, recording: &Recording, rollouts: &[Told]) -> Outcome {
    let it = Play {
        recording,
        rollouts,
        interval: None,
        start: None,
        end: None,
        draw: false,
    };
    let settings = Arc::new(judge.settings.clone());
    play(&it, settings, &mut |_| ()).unwrap_or_else(|error| panic!("{error}"))
}

/// What is right for a rollout.
#[derive(Clone, Debug)]
enum Right {
    /// Exactly one rollback, not before `fault` and at most `within` later.
    Rollback { fault: Timestamp, within: Duration },
    /// Nothing is rolled back. `quiet`: nobody is called either.
    NoRollback { quiet: bool },
    /// Somebody is called between these two, and nothing is rolled back.
    Escalate { fault: Timestamp, within: Duration },
}

/// How what was decided differs from what is right.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Wrong {
    /// Something was rolled back that should not have been, or too early, or twice.
    False,
    /// It was not rolled back, nobody was called, or too late.
    Miss,
    /// Nothing was to be done, and people were called.
    Noise,
}

/// Holds the decisions on one version against what is right for it; how long after the fault it came.
fn weigh(right: &Right, decisions: &[&Decision]) -> Result<Option<Duration>, Wrong> {
    let of = |action: Action| decisions.iter().filter(move |it| it.action == action);
    let rollbacks: Vec<_> = of(Action::Rollback).map(|it| it.at).collect();
    let timely = |at: Timestamp, fault: Timestamp, within: Duration| {
        let late = at.since(fault);
        if late > within {
            Err(Wrong::Miss)
        } else {
            Ok(Some(late))
        }
    };
    match (right, rollbacks[..].first()) {
        (Right::Rollback { .. }, None) => Err(Wrong::Miss),
        (Right::Rollback { fault, within }, Some(at)) => {
            if rollbacks.len() > 1 || at < fault {
                return Err(Wrong::False);
            }
            timely(*at, *fault, *within)
        }
        (Right::NoRollback { .. } | Right::Escalate { .. }, Some(_)) => Err(Wrong::False),
        (Right::NoRollback { quiet }, None) => match decisions.first() {
            Some(_) if *quiet => Err(Wrong::Noise),
            _ => Ok(None),
        },
        (Right::Escalate { fault, within }, None) => {
            let called = of(Action::Escalate).find(|it| it.at >= *fault);
            called.map_or(Err(Wrong::Miss), |it| timely(it.at, *fault, *within))
        }
    }
}

/// The decisions on one version.
fn decisions_on<'o>(outcome: &'o Outcome, version: &str) -> Vec<&'o Decision> {
    let on = |it: &&Decision| {
        let rollout = it.rollout.as_ref().map(RolloutId::as_str);
        rollout.is_some_and(|it| it.split(['@', '#']).nth(1) == Some(version))
    };
    outcome.decisions.iter().filter(on).collect()
}

/// Every decision on a line of its own.
fn listed(outcome: &Outcome) -> String {
    if outcome.decisions.is_empty() {
        return "    (nothing was decided)\n".to_owned();
    }
    let line = |it: &Decision| {
        let rollout = it.rollout.as_ref().map_or("no rollout", RolloutId::as_str);
        let refused = it.refused_by.map(|guard| format!(" refused by {guard}"));
        let (at, action, refused) = (it.at, it.action, refused.unwrap_or_default());
        let (trigger, phase, reason) = (&it.trigger, &it.phase, &it.reason);
        format!("    {at} {action}{refused} {trigger} in {phase} of {rollout}: {reason}\n")
    };
    outcome.decisions.iter().map(line).collect()
}
