//! The thirteen example releases, as the command judges them: the right decision for each rollout, in time, and none that
//! should not be.

use std::fs::File;
use std::time::Duration;

use gated::model::{Action, Timestamp};
use gated::run::cli::Told;
use gated::source::recording::openmetrics;
use serde_json::Value;

use super::{Right, decisions_on, example, examples_judge, listed, played, recording_for, weigh};
use crate::binary::gated;

/// How often the examples were scraped.
const SCRAPE: Duration = Duration::from_secs(5);
/// The triggers' `for`, the range behind them, and `settle`.
const HOLD: Duration = Duration::from_secs(30);
const RANGE: Duration = Duration::from_secs(15);
const SETTLE: Duration = Duration::from_secs(30);

/// What is right for one version, with how soon: a threshold of 1 % is passed once this share of the range lies behind the
/// fault, then the trigger holds; a scrape passes until it is seen, and one until it has held long enough.
fn after(share_of_range: f64) -> Duration {
    RANGE.mul_f64(share_of_range) + HOLD + 2 * SCRAPE
}

/// How soon the decision on each version must come. What is broken as the rollout begins is seen after `settle`.
fn within(file: &str, version: &str) -> Duration {
    match (file, version) {
        ("errors_2_5_percent", "2.0.0") => after(0.01 / 0.025),
        // A twentieth of all requests above 500 ms.
        ("latency_700", "2.0.0") => after(0.05 / 0.5),
        ("broken_before" | "rollout_in_waves", "2.0.0") => SETTLE + HOLD + 2 * SCRAPE,
        ("breaks_after_the_watch" | "restarts_and_errors" | "rolled_back_and_well", "2.0.0") => {
            after(0.01 / 0.15)
        }
        (file, version) => panic!("{file} {version} decides nothing"),
    }
}

/// Where nothing is rolled back people may be told that gated is blind, and of nothing else.
fn may_be_blind(file: &str) -> bool {
    ["few_requests", "scrapes_missing"].contains(&file)
}

fn expected() -> Vec<Value> {
    let text = std::fs::read_to_string(example("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn moment(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

fn rollouts(scenario: &Value) -> Vec<Told> {
    let told = |it: &Value| Told {
        version: it["version"].as_str().unwrap().to_owned(),
        previous_version: None,
        at: moment(&it["at"]),
    };
    scenario["rollouts"]
        .as_array()
        .unwrap()
        .iter()
        .map(told)
        .collect()
}

#[test]
fn each_example_is_decided_right_and_in_time() {
    let judge = examples_judge().told(true, None);
    let mut wrong = String::new();
    let scenarios = expected();
    assert_eq!(scenarios.len(), 13);
    for scenario in &scenarios {
        let file = scenario["file"].as_str().unwrap();
        let name = file.strip_suffix(".om.gz").unwrap();
        let mut recording = recording_for(&judge);
        openmetrics::read(File::open(example(file)).unwrap(), &mut recording).unwrap();
        recording.sort().unwrap();
        let rollouts = rollouts(scenario);
        let outcome = played(&judge, &recording, &rollouts);
        let mut told = 0;
        for (expected, rollout) in scenario["expect"].as_array().unwrap().iter().zip(&rollouts) {
            let version = expected["version"].as_str().unwrap();
            let fault = || rollout.at.max(moment(&expected["fault_at"]));
            let word = expected["expected"].as_str().unwrap();
            let right = match word {
                "rollback" => Right::Rollback {
                    fault: fault(),
                    within: within(name, version),
                },
                "escalate" => Right::Escalate {
                    fault: fault(),
                    within: within(name, version),
                },
                "no_rollback" => Right::NoRollback {
                    quiet: !may_be_blind(name),
                },
                other => panic!("{file} expects {other}"),
            };
            let decisions = decisions_on(&outcome, version);
            told += decisions.len();
            let blind_alone = decisions.iter().all(|it| it.trigger.starts_with("blind:"));
            let weighed = weigh(&right, &decisions);
            if weighed.is_err() || (word == "no_rollback" && !blind_alone) {
                let why = scenario["why"].as_str().unwrap();
                wrong += &format!("{name} ({why}): {version} {word}: {weighed:?}, {right:?}\n");
                wrong += &listed(&outcome);
            }
        }
        // A decision on no rollout is on none of those that were asked about.
        if told != outcome.decisions.len() {
            wrong += &format!("{name}: decisions on other rollouts\n{}", listed(&outcome));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_installed_program_decides_as_the_library_does() {
    let scenario = expected();
    let scenario = scenario
        .iter()
        .find(|it| it["file"] == "rollout_in_waves.om.gz")
        .unwrap();
    let rollout = &scenario["rollouts"][0];
    let (version, at) = (
        rollout["version"].as_str().unwrap(),
        rollout["at"].as_str().unwrap(),
    );
    let output = gated(&["backtest", "--format", "json", "--openmetrics"])
        .arg(example("rollout_in_waves.om.gz"))
        .args(["--rollout", &format!("{version}@{at}"), "--config"])
        .arg(example("gated.toml"))
        .arg("--rules")
        .arg(example("rules"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*said), (Some(0), ""));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let decisions = document["decisions"].as_array().unwrap();
    let rollbacks: Vec<_> = decisions
        .iter()
        .filter(|it| it["do"] == "rollback")
        .collect();
    assert_eq!(rollbacks.len(), 1, "{document:#}");
    let late = moment(&rollbacks[0]["at"]).since(moment(&rollout["at"]));
    assert!(late <= within("rollout_in_waves", version), "{document:#}");
    assert_eq!(rollbacks[0]["trigger"], "errors");
    assert_eq!(rollbacks[0]["asked"], Action::Rollback.word());
}
