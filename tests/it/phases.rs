//! What became of each phase: entered, over with what the gate said, or gone by with nothing judged in it.

use gated::engine::{Effect, Event, Input, Record, Restored, Settings};
use gated::model::{PhaseOutcome, PhaseRun, Timestamp, WallClock};

use crate::binary::{self, Exporter, House, Receiver, Said, config, eventually};
use crate::world::{RULES, START, World, settings};

const HOUR: i64 = 3_600_000;

/// Three phases of an hour, one after the other, after a go-live at the start.
fn three_hours() -> Settings {
    let head = &RULES[..RULES.find("[[phase]]").unwrap()];
    let phase = |name: &str, from: &str, until: &str| {
        format!(
            "[[phase]]\nname = \"{name}\"\nfrom = \"{from}\"\nuntil = \"{until}\"\ngate = \"amber\"\n[phase.targets]\nerror_rate = \"< 0.5%\"\n[[phase.trigger]]\nname = \"errors\"\nwhen = \"error_rate > 1%\"\nfor = \"30s\"\ndo = \"escalate\"\nseverity = \"P1\"\n\n"
        )
    };
    let rules = head.replace("clock = \"rollout\"", "clock = \"go_live\"")
        + &phase("first", "0h", "1h")
        + &phase("second", "1h", "2h")
        + &phase("third", "2h", "3h");
    let mut settings = settings(&rules);
    settings.rollout.go_live = Some(Timestamp::from_millis(START));
    settings
}

fn runs(world: &World) -> Vec<(String, Option<PhaseOutcome>)> {
    let runs = world.snapshot().phase_runs;
    let shown = runs
        .iter()
        .map(|run| (run.phase.clone(), run.end.map(|(_, how)| how)));
    shown.collect()
}

fn entered(world: &World) -> Vec<String> {
    let phase = |(_, effect): &(Timestamp, Effect)| match effect {
        Effect::Tell(Event::PhaseEntered { phase, .. }) => Some(phase.clone()),
        _ => None,
    };
    world.effects.iter().filter_map(phase).collect()
}

/// What the records of phases come to: what a restart remembers.
fn remembered(world: &World) -> Vec<PhaseRun> {
    world.ledger().phase_runs
}

fn set_clock(world: &mut World, hours: i64) {
    world.input(Input::ClockSet(WallClock::ahead_by(hours * HOUR)));
}

#[test]
fn a_phase_ends_with_what_the_gate_said() {
    let mut world = World::new(three_hours());
    world.rounds(3500);
    for instance in &mut world.instances {
        instance.errors = 0.2;
    }
    world.rounds(60);
    world.rounds(200);
    assert_eq!(
        runs(&world)[0],
        ("first".into(), Some(PhaseOutcome::Failed))
    );
    for instance in &mut world.instances {
        instance.errors = 0.0;
    }
    world.rounds(3600);
    let expected = [
        ("first".to_owned(), Some(PhaseOutcome::Failed)),
        ("second".to_owned(), Some(PhaseOutcome::Passed)),
        ("third".to_owned(), None),
    ];
    assert_eq!(runs(&world), expected);
    let first = &world.snapshot().phase_runs[0];
    assert_eq!(first.from.millis(), START);
    // The boundary ends it, to the millisecond, and not the scrape after it.
    assert_eq!(first.end.unwrap().0.millis(), START + HOUR);
    assert_eq!(remembered(&world), world.snapshot().phase_runs.to_vec());
}

/// T1: set back an hour, nothing is judged twice and no state moves; what goes by the wall waits for it.
#[test]
fn t1_an_hour_back_starts_no_phase_again() {
    let mut world = World::new(three_hours());
    world.rounds(3600 + 60);
    assert_eq!(entered(&world), ["first", "second"]);
    let fired = world.decisions().len();
    set_clock(&mut world, -1);
    world.rounds(60);
    // It is 00:02 again: the first hour, which was judged already.
    assert_eq!(entered(&world), ["first", "second", "first"]);
    assert_eq!(world.decisions().len(), fired);
    world.rounds(3600);
    assert_eq!(entered(&world), ["first", "second", "first", "second"]);
    let firsts = remembered(&world)
        .iter()
        .filter(|run| run.phase == "first")
        .count();
    assert_eq!(firsts, 1, "one run, not two");
    let expected = [
        ("first".to_owned(), Some(PhaseOutcome::Passed)),
        ("second".to_owned(), None),
    ];
    assert_eq!(runs(&world), expected);
}

/// T2: six hours ahead is one step, and what it went past is said and is never one that passed.
#[test]
fn t2_hours_ahead_are_one_step_and_what_was_skipped_is_told() {
    let mut world = World::new(three_hours());
    world.rounds(600);
    set_clock(&mut world, 2);
    assert_eq!(entered(&world), ["first", "third"]);
    let skipped = ("second".to_owned(), Some(PhaseOutcome::NotEvaluated));
    assert!(runs(&world).contains(&skipped), "{:?}", runs(&world));
    // A missed evaluation is not made up for: each signal is read once, at this moment.
    let before = world.snapshot().evaluations;
    set_clock(&mut world, 6);
    assert!(world.snapshot().evaluations - before < 10);
    world.rounds(10);
    assert_eq!(entered(&world), ["first", "third"]);
    assert_eq!(
        runs(&world),
        [
            ("first".to_owned(), Some(PhaseOutcome::Passed)),
            skipped,
            ("third".to_owned(), Some(PhaseOutcome::NotEvaluated)),
        ]
    );
    assert_eq!(remembered(&world), world.snapshot().phase_runs.to_vec());
}

/// Nobody was there: not while gated was down, and not while its machine slept.
#[test]
fn a_phase_that_nobody_judged_has_not_passed() {
    let mut world = World::new(three_hours());
    world.rounds(600);
    let restored = Restored {
        phase_runs: remembered(&world),
        ..Restored::default()
    };
    let mut later = World::restored(three_hours(), restored, START + 2 * HOUR + 60_000);
    later.rounds(60);
    let expected = [
        ("first".to_owned(), Some(PhaseOutcome::Unknown)),
        ("second".to_owned(), Some(PhaseOutcome::NotEvaluated)),
        ("third".to_owned(), None),
    ];
    assert_eq!(runs(&later), expected);
    // It slept through the second: its boundaries come one after the other, and nothing landed in it.
    world.advance_to(START + 2 * HOUR + 60_000);
    world.rounds(60);
    assert_eq!(runs(&world), expected);
}

/// A rollout's phases are its own: the next has its own runs of them.
#[test]
fn each_rollout_has_its_own_runs() {
    let mut world = World::new(settings(RULES));
    world.rounds(120);
    world.tell("2.0.0", false);
    world.deploy("2.0.0", 0.0);
    world.rounds(600);
    world.tell("2.0.1", false);
    world.deploy("2.0.1", 0.0);
    world.rounds(25 * 60);
    let expected = [
        ("watch".to_owned(), Some(PhaseOutcome::Passed)),
        ("watch".to_owned(), Some(PhaseOutcome::Passed)),
        ("bake".to_owned(), None),
    ];
    assert_eq!(runs(&world), expected);
}

/// What the ledger could not take is recorded again.
#[test]
fn a_run_that_was_not_recorded_is_recorded_again() {
    let mut world = World::new(three_hours());
    world.rounds(60);
    let run = remembered(&world);
    assert_eq!(run.len(), 1);
    world.effects.clear();
    world.input(Input::CommitFailed {
        records: run.iter().cloned().map(Record::PhaseRun).collect(),
        reason: "disk full".into(),
    });
    world.rounds(30);
    assert_eq!(remembered(&world), run);
}

/// The binary, started a minute after the go-live: the ledger knows how each phase ended, also after a `kill -9`.
#[test]
fn the_status_tells_how_the_phases_ended() {
    let exporter = Exporter::start(false);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(60);
    let config = config(
        &[&exporter.url()],
        &receiver.url(),
        &format!("go_live = \"{at:.3}\""),
    );
    let (head, _) = binary::RULES.split_once("[[phase]]").unwrap();
    let phase = |name: &str, from: &str, until: &str| {
        format!(
            "[[phase]]\nname = \"{name}\"\nfrom = \"{from}\"\nuntil = \"{until}\"\n[phase.targets]\nbroken = \"== 0\"\n"
        )
    };
    let rules = head.replace("\"rollout\"", "\"go_live\"")
        + &phase("missed", "0s", "30s")
        + &phase("watched", "30s", "72s")
        + &phase("last", "72s", "1h");
    let house = House::new(&config, &rules);
    let mut daemon = house.start();
    daemon.wait_for("green");
    let outcomes = |daemon: &binary::Daemon| {
        let status = daemon.get("/api/v1/status").json();
        let runs = status["data"]["phases"].as_array().unwrap().clone();
        let shown = runs
            .iter()
            .map(|run| format!("{} {}", run["phase"], run["outcome"]));
        shown.collect::<Vec<String>>().join(", ").replace('"', "")
    };
    assert_eq!(outcomes(&daemon), "missed not_evaluated, watched null");
    let all = "missed not_evaluated, watched passed, last null";
    eventually("the last phase", || outcomes(&daemon) == all);
    assert!(
        daemon
            .log()
            .contains("the phase went by and nothing was judged in it")
    );
    daemon.kill();
    let daemon = house.start();
    daemon.wait_for("green");
    assert_eq!(outcomes(&daemon), all);
    let address = daemon.address().to_string();
    let output = house
        .command(&["status", "--listen", &address])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("\nphases      missed: not evaluated, over at "),
        "{text}"
    );
    assert!(
        text.contains("\n            watched: passed, over at "),
        "{text}"
    );
}
