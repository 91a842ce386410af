//! Rules in shadow, one trigger or a whole file: evaluated live, decided and shown as "would have"; nobody hears of it and
//! the verdict does not rest on it.

use std::sync::Arc;

use gated::engine::{Effect, Event, Outcome, Settings};
use gated::model::{Action, Guard, Status, Verdict};
use gated::run::cli::Format;
use gated::run::show;
use gated::runbook::{Source, load};

use crate::world::{RULES, World, settings};

/// Stricter than what is live: what its owner would like to arm next.
const NEXT: &str = r#"
clock = "rollout"
mode = "shadow"
[[phase]]
name = "next"
from = "0s"
until = "5m"
rollback = "armed"
gate = "green"
[phase.targets]
error_rate = "== 0%"
[[phase.trigger]]
name = "errors-next"
when = "error_rate > 0.5%"
for = "10s"
do = "rollback"
[[phase.trigger]]
name = "blind-next"
when = "nothing_at_all > 1"
do = "escalate"
[signals.nothing_at_all]
expr = "no_such_metric"
unit = "count"
"#;

fn both(live: &str, next: &str) -> Settings {
    let source = |path: &str, text: &str| Source {
        path: path.into(),
        text: text.into(),
    };
    let rules = load(&[source("rules.toml", live), source("next.toml", next)]);
    let rules = rules.unwrap_or_else(|faults| panic!("{}", faults.render(false)));
    Settings {
        rules: Arc::new(rules),
        ..settings(live)
    }
}

/// One in a hundred fails: under what is live, over what is tried.
fn released(settings: Settings) -> World {
    let mut world = World::new(settings);
    world.rounds(60);
    world.deploy("2.0.0", 0.009);
    world.rounds(290);
    world
}

#[test]
fn a_file_in_shadow_decides_and_nobody_hears_of_it() {
    let live = RULES.replace("error_rate = \"< 0.5%\"", "error_rate = \"< 5%\"");
    let world = released(both(&live, NEXT));
    assert_eq!(world.decided(), ["escalate errors-next (shadow)"]);
    let decision = &world.decisions()[0];
    assert_eq!(decision.asked, Action::Rollback);
    let last = decision.guards.last().unwrap();
    assert_eq!(last.note, "the rule says mode = \"shadow\"");
    // Every other guard was asked, so that its owner sees that it would have been let.
    assert_eq!(decision.guards.len(), Guard::ALL.len());
    assert!(decision.guards.iter().rev().skip(1).all(|it| it.passed));
    // Neither is anybody called nor anything sent, and a signal without a value is nobody's alarm.
    assert_eq!(world.owed(), []);
    assert_eq!(world.sent(), []);
    let snapshot = world.snapshot();
    assert!(snapshot.incidents.is_empty());
    let alerts: Vec<&str> = snapshot
        .alerts
        .iter()
        .map(|it| it.labels["alertname"].as_str())
        .collect();
    assert_eq!(alerts, ["Watchdog"]);
    // The verdict is that of the live rules alone; what is tried is shown beside it.
    let verdict = world.verdict();
    assert_eq!(
        (verdict.verdict, verdict.status),
        (Verdict::Go, Status::Green),
        "{verdict:?}"
    );
    assert_eq!(
        (verdict.phase.as_str(), &verdict.reasons[..]),
        ("watch", &[][..])
    );
    let tried = verdict.checks.iter().filter(|it| it.shadow);
    let outcomes: Vec<Outcome> = tried.map(|it| it.outcome).collect();
    assert!(
        outcomes.contains(&Outcome::Firing) && outcomes.contains(&Outcome::Missed),
        "{outcomes:?}"
    );
    let entered = |it: &Event| matches!(it, Event::PhaseEntered { phase, .. } if phase == "next");
    assert_eq!(world.told(entered), 0);
    assert!(
        world
            .effects
            .iter()
            .any(|(_, it)| matches!(it, Effect::Tell(Event::Decided(_))))
    );
}

#[test]
fn a_pipeline_sees_what_is_tried_and_does_not_fail_by_it() {
    let live = RULES.replace("error_rate = \"< 0.5%\"", "error_rate = \"< 5%\"");
    let snapshot = released(both(&live, NEXT)).snapshot();
    let junit = show::render(&snapshot, Format::Junit, false);
    assert!(
        junit.contains("failures=\"0\"") && junit.contains("<skipped"),
        "{junit}"
    );
    let json = show::render(&snapshot, Format::Json, false);
    assert!(json.contains("\"in shadow: errors-next: "), "{json}");
}

#[test]
fn what_would_have_refused_it_is_said() {
    let next = NEXT.replace("rollback = \"armed\"\n", "");
    let live = RULES.replace("error_rate = \"< 0.5%\"", "error_rate = \"< 5%\"");
    let world = released(both(&live, &next));
    assert_eq!(world.decided(), ["escalate errors-next (shadow)"]);
    let decision = world.decisions().remove(0);
    let note = &decision.guards.last().unwrap().note;
    assert!(
        note.contains("; live it would be refused by not_armed: "),
        "{note}"
    );
}

#[test]
fn where_only_shadow_is_active_there_is_no_verdict() {
    let live = RULES.replace(
        "from = \"0s\"\nuntil = \"20m\"",
        "from = \"19m\"\nuntil = \"20m\"",
    );
    let world = released(both(&live, NEXT));
    let verdict = world.verdict();
    assert_eq!(verdict.verdict, Verdict::Unknown);
    assert_eq!(
        verdict.reasons,
        ["only rules in shadow are active: they say nothing"]
    );
}

#[test]
fn a_trigger_in_shadow_turns_no_gate() {
    let rules = RULES.replace(
        "name = \"errors\"\n",
        "name = \"errors\"\nmode = \"shadow\"\n",
    );
    let rules = rules.replace("error_rate = \"< 0.5%\"", "error_rate = \"< 50%\"");
    let mut world = World::new(settings(&rules));
    world.rounds(60);
    world.deploy("2.0.0", 0.05);
    world.rounds(120);
    assert_eq!(world.decided(), ["escalate errors (shadow)"]);
    let verdict = world.verdict();
    assert_eq!(
        (verdict.verdict, verdict.status),
        (Verdict::Go, Status::Green),
        "{verdict:?}"
    );
}

#[test]
fn what_is_only_tried_takes_no_live_trigger_s_place() {
    let tried = r#"
[[phase]]
name = "canary"
from = "0s"
until = "10m"
[[phase.trigger]]
name = "errors"
mode = "shadow"
when = "error_rate > 1%"
for = "30s"
do = "rollback"
"#;
    let mut world = World::new(settings(&format!("{RULES}{tried}")));
    world.rounds(60);
    world.deploy("2.0.0", 0.05);
    world.rounds(120);
    // Its band is the shorter one, and it does not count all the same.
    assert_eq!(world.verdict().phase, "canary");
    assert_eq!(world.decided(), ["rollback errors"]);
}

#[test]
fn what_a_file_in_shadow_cannot_hold_is_named_with_its_place() {
    let next = r#"
mode = "shadow"
[uptime]
down = "error_rate > 5%"
[[phase]]
name = "next"
from = "0s"
preflight = true
checklist = ["backup taken"]
[[phase.trigger]]
name = "errors"
when = "error_rate > 1%"
do = "rollback"
[[phase.trigger]]
name = "own"
mode = "live"
when = "error_rate > 1%"
do = "rollback"
"#;
    let source = |path: &str, text: &str| Source {
        path: path.into(),
        text: text.into(),
    };
    let faults = load(&[source("rules.toml", RULES), source("next.toml", next)]).unwrap_err();
    let mut said: Vec<String> = faults.faults.iter().map(|it| it.message.clone()).collect();
    said.sort();
    expect_test::expect![[r#"
        [
            "`checklist` in a file with mode = \"shadow\"",
            "`preflight` in a file with mode = \"shadow\"",
            "`uptime` in a file with mode = \"shadow\"",
            "this trigger would be live, and its file is in shadow",
            "trigger `errors` is in shadow here and live elsewhere",
        ]
    "#]]
    .assert_debug_eq(&said);
}
