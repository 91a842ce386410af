//! What users fear, told through the engine: each story ends with what was sent and what was not.

mod real;

use std::time::Duration;

use gated::engine::{Attempted, Call, Input, OnDoubt, PredatesPolicy, Record, Settings, Word};
use gated::model::{
    Decision, DeliveryKey, DeliveryState, Guard, Helped, NoticeKind, Timestamp, Verification,
};

use crate::world::{RULES, START, World, settings};

/// As shipped: the past is looked at, and unknown is what it is by default.
fn shipped() -> Settings {
    let mut settings = settings(RULES);
    settings.rollback.predates = PredatesPolicy::default();
    settings
}

/// A service that has been watched for twelve minutes.
fn watched(settings: Settings) -> World {
    let mut world = World::new(settings);
    world.rounds(720);
    world
}

fn errors(world: &mut World, share: f64) {
    world.instances.iter_mut().for_each(|it| it.errors = share);
}

fn call(world: &mut World, call: Call) {
    world.input(Input::Operator { token: 9, call });
}

fn word(reason: &str) -> Word {
    Word {
        by: "ada".into(),
        reason: reason.into(),
    }
}

fn freeze(world: &mut World, minutes: u64) {
    let hold = Duration::from_secs(60 * minutes);
    let said = word("the database moves");
    call(world, Call::Freeze { said, hold });
}

/// Crashed, and started again a second later on what the ledger holds.
fn restarted(world: &World, settings: Settings) -> World {
    let mut again = World::restored(settings, world.ledger(), world.now + 1000);
    for (new, old) in again.instances.iter_mut().zip(&world.instances) {
        *new = old.clone();
    }
    again
}

fn state(world: &World, key: &DeliveryKey) -> DeliveryState {
    let ledger = world.ledger();
    let known = ledger.deliveries.iter().find(|it| it.key == *key);
    known.expect("it is owed").state.clone()
}

fn last(world: &World) -> Decision {
    world
        .decisions()
        .last()
        .expect("something is decided")
        .clone()
}

fn helped(world: &World) -> Vec<Helped> {
    let outcome = |record| match record {
        Record::Verification(Verification { outcome, .. }) => outcome.map(|it| it.1),
        _ => None,
    };
    world.records().into_iter().filter_map(outcome).collect()
}

fn told_people(world: &World, kind: NoticeKind) -> usize {
    let mut owed = world.owed();
    owed.retain(|it| *it == ("people".to_owned(), kind));
    owed.len()
}

/// 2.0.0 is bad and its rollback decided; the hook's delivery is under way.
fn decided(settings: Settings) -> (World, DeliveryKey) {
    let mut world = watched(settings);
    world.deploy("2.0.0", 0.05);
    world.rounds(120);
    assert_eq!(world.decided(), ["rollback errors"]);
    let key = world.sent_to("deployer")[0].clone();
    (world, key)
}

/// The hook is down for so many minutes.
fn unavailable(world: &mut World, key: &DeliveryKey, minutes: u32) {
    for _ in 0..minutes {
        if matches!(state(world, key), DeliveryState::UnderWay { .. }) {
            world.answer(key, 503);
        }
        world.rounds(60);
    }
}

#[test]
fn the_deployer_answers_four_hours_later_and_a_hotfix_runs() {
    let mut patient = shipped();
    patient.rollback.give_up_after = Duration::from_secs(5 * 3600);
    let (mut world, key) = decided(patient);
    unavailable(&mut world, &key, 4 * 60);
    let before = world.sent_to("deployer").len();
    assert!(before > 20, "{before}");
    world.deploy("2.0.1", 0.0);
    unavailable(&mut world, &key, 20);
    let DeliveryState::Cancelled { why, .. } = state(&world, &key) else {
        panic!("{:?}", state(&world, &key));
    };
    assert_eq!(why, "superseded: rollout of 2.0.1 has begun");
    assert!(world.sent_to("deployer").len() <= before + 1);
}

/// T13: a person, or Argo, has rolled back while the deployer was down: the version before runs again.
#[test]
fn what_somebody_has_rolled_back_already_is_not_rolled_back_again() {
    let (mut world, key) = decided(shipped());
    world.answer(&key, 503);
    world.deploy("1.0.0", 0.0);
    world.rounds(120);
    unavailable(&mut world, &key, 20);
    let DeliveryState::Cancelled { why, .. } = state(&world, &key) else {
        panic!("{:?}", state(&world, &key));
    };
    assert!(why.starts_with("superseded: "), "{why}");
    assert_eq!(world.decided(), ["rollback errors"], "and nothing follows");
}

#[test]
fn a_sidecar_on_an_empty_disk_in_an_outage_rolls_nothing_back() {
    // Inferred: what runs is adopted.
    let mut world = World::new(shipped());
    errors(&mut world, 0.05);
    world.rounds(300);
    assert_eq!(told_people(&world, NoticeKind::RollbackRequested), 0);
    assert!(
        world.sent_to("deployer").is_empty(),
        "{:?}",
        world.decided()
    );
    // Told by the pod's environment: which version, or also when it was rolled out, two hours ago.
    for started_at in [None, Some(Timestamp::from_millis(START - 7_200_000))] {
        let rules = RULES.replace("until = \"20m\"", "until = \"5h\"");
        let mut told = settings(&rules.replace("from = \"20m\"\nuntil = \"2h\"", "from = \"5h\""));
        told.rollback.predates = PredatesPolicy::default();
        told.rollout.told = Some(gated::engine::ToldRollout {
            version: "1.0.0".into(),
            previous_version: Some("0.9.0".into()),
            started_at,
        });
        let mut world = World::new(told);
        errors(&mut world, 0.05);
        world.rounds(300);
        assert_eq!(
            world.decided(),
            ["escalate errors (predates)"],
            "{started_at:?}"
        );
        assert!(world.sent_to("deployer").is_empty());
    }
}

#[test]
fn a_receiver_that_acts_and_times_out_and_ignores_the_key_is_not_asked_twice() {
    let mut doubtful = shipped();
    doubtful.receivers[0].on_doubt = OnDoubt::Hold;
    let (mut world, key) = decided(doubtful.clone());
    let outcome = Attempted::NoAnswer {
        reason: "timed out".into(),
        reached: true,
    };
    let key_of = key.clone();
    world.input(Input::Attempted {
        key: key_of,
        outcome,
    });
    world.rounds(60);
    assert!(matches!(state(&world, &key), DeliveryState::Held { .. }));
    assert_eq!(world.sent_to("deployer").len(), 1);
    let told = world.owed();
    assert!(told.contains(&("people".into(), NoticeKind::EscalationRaised)));
    // Nor after a restart, nor where gated ended during the attempt.
    let mut again = restarted(&world, doubtful.clone());
    again.rounds(600);
    assert!(again.sent_to("deployer").is_empty());
    let (world, key) = decided(doubtful.clone());
    let mut again = restarted(&world, doubtful);
    again.rounds(60);
    assert!(again.sent_to("deployer").is_empty());
    // A person says that it is to be sent again.
    let call_again = Call::Settle {
        delivery: key.clone(),
        arrived: false,
        said: word("the deployer has no trace of it"),
    };
    call(&mut again, call_again);
    assert_eq!(again.sent_to("deployer"), [key]);
}

#[test]
fn what_follows_a_bad_version_and_is_bad_too_is_not_rolled_back_to_it() {
    let mut plain = shipped();
    plain.rollback.cooldown = Duration::ZERO;
    let (mut world, key) = decided(plain);
    world.answer(&key, 200);
    // Four times as bad: it does not pass for what was there before.
    world.tell_of("2.0.1", Some("2.0.0"), false);
    world.deploy("2.0.1", 0.2);
    world.rounds(120);
    assert_eq!(world.decided()[1..], ["escalate errors (known_bad)"]);
    assert_eq!(world.sent_to("deployer").len(), 1);
}

#[test]
fn an_outage_is_not_held_against_the_fix_that_ships_into_it() {
    let mut world = watched(shipped());
    errors(&mut world, 0.05);
    world.rounds(240);
    world.deploy("2.0.0", 0.05);
    world.rounds(120);
    assert_eq!(world.decided(), ["escalate errors (predates)"]);
    let decision = last(&world);
    assert!(
        decision
            .reason
            .contains("predates the rollout: it was 5% before it and is 5% now"),
        "{}",
        decision.reason
    );
    assert_eq!(decision.severity.word(), "P1");
    assert!(world.sent_to("deployer").is_empty());
    // The same after a restart: the past is in the ledger.
    let mut again = restarted(&world, shipped());
    again.rounds(120);
    assert!(
        again.sent_to("deployer").is_empty(),
        "{:?}",
        again.decided()
    );
}

#[test]
fn a_rolling_deploy_that_brings_the_errors_and_is_announced_at_its_end_is_rolled_back() {
    let mut world = watched(shipped());
    for n in 0..3 {
        world.instances[n].version = "2.0.0";
        world.instances[n].errors = 0.05;
        if n == 1 {
            // Most instances run it: told of before it is inferred would be another story.
            world.tell("2.0.0", false);
        }
        world.rounds(120);
    }
    assert_eq!(world.decided(), ["rollback errors"]);
    // Announced six minutes late, and never inferred: no version label.
    let mut silent = shipped();
    silent.rollout.version_from = Some("nothing_says_it".into());
    let mut world = watched(silent);
    world.tell("2.0.0", false);
    world.deploy("2.0.0", 0.05);
    world.rounds(180);
    assert_eq!(world.decided(), ["rollback errors"]);
}

#[test]
fn frozen_while_it_fires_and_thawed_it_is_decided_then() {
    let mut world = watched(shipped());
    freeze(&mut world, 30);
    world.deploy("2.0.0", 0.05);
    world.rounds(120);
    assert_eq!(world.decided(), ["escalate errors (frozen)"]);
    let reason = last(&world).reason;
    assert!(reason.contains("frozen by ada until"), "{reason}");
    // Over a restart too.
    let mut again = restarted(&world, shipped());
    again.rounds(60);
    assert!(
        again.sent_to("deployer").is_empty(),
        "{:?}",
        again.decided()
    );
    call(&mut again, Call::Thaw(word("it has moved")));
    again.rounds(60);
    assert_eq!(again.decided(), ["rollback errors"]);
    // Or the freeze ends by itself.
    world.rounds(1800);
    assert!(!world.snapshot().frozen.is_some_and(|it| it.contains("ada")));
    // The phase is not armed any more by then: it is told apart from the freeze.
    assert_eq!(last(&world).refused_by, None, "{:?}", world.decided());
}

#[test]
fn a_freeze_after_the_decision_cancels_what_was_not_sent() {
    let (mut world, key) = decided(shipped());
    world.answer(&key, 503);
    freeze(&mut world, 30);
    world.rounds(30);
    let DeliveryState::Cancelled { why, .. } = state(&world, &key) else {
        panic!("{:?}", state(&world, &key));
    };
    assert!(why.starts_with("frozen by ada"), "{why}");
    assert_eq!(world.sent_to("deployer").len(), 1);
    assert_eq!(told_people(&world, NoticeKind::RollbackCancelled), 1);
}

#[test]
fn a_rollback_waits_for_a_veto_and_ends_with_it() {
    let mut slow = shipped();
    slow.rollback.veto = Duration::from_secs(60);
    let begin = || {
        let mut world = watched(slow.clone());
        world.deploy("2.0.0", 0.05);
        while world.decided().is_empty() {
            world.round();
        }
        assert_eq!(world.decided(), ["rollback errors"]);
        assert_eq!(told_people(&world, NoticeKind::RollbackAnnounced), 1);
        assert!(world.sent_to("deployer").is_empty());
        world
    };
    // Nobody says no.
    let mut world = begin();
    world.rounds(50);
    assert!(world.sent_to("deployer").is_empty());
    world.rounds(20);
    assert_eq!(world.sent_to("deployer").len(), 1);
    // Somebody does, and after a restart it still stands.
    let mut world = begin();
    let decision = last(&world).id;
    let said = word("we fix forward");
    call(&mut world, Call::Veto { decision, said });
    world.rounds(300);
    assert!(world.sent_to("deployer").is_empty());
    let ledger = world.ledger();
    let mut hook = ledger
        .deliveries
        .iter()
        .filter(|it| it.receiver == "deployer");
    let DeliveryState::Cancelled { why, .. } = &hook.next().unwrap().state else {
        panic!("it is cancelled");
    };
    assert_eq!(why, "vetoed by ada: we fix forward");
    assert_eq!(told_people(&world, NoticeKind::RollbackCancelled), 1);
    let mut again = restarted(&world, slow.clone());
    again.rounds(300);
    assert!(again.sent_to("deployer").is_empty());
    assert!(
        again
            .snapshot()
            .audit
            .iter()
            .any(|it| it.deed.word() == "veto")
    );
    // It calms by itself.
    let mut world = begin();
    errors(&mut world, 0.0);
    world.rounds(120);
    assert!(world.sent_to("deployer").is_empty());
    assert_eq!(told_people(&world, NoticeKind::RollbackCancelled), 1);
}

#[test]
fn a_veto_ahead_of_the_decision_is_named() {
    let mut world = watched(shipped());
    freeze(&mut world, 30);
    world.deploy("2.0.0", 0.05);
    world.rounds(120);
    let decision = last(&world).id;
    let said = word("not this one");
    call(&mut world, Call::Veto { decision, said });
    call(&mut world, Call::Thaw(word("go on")));
    world.rounds(30);
    assert_eq!(last(&world).refused_by, Some(Guard::Vetoed));
    assert!(world.sent_to("deployer").is_empty());
}

#[test]
fn a_terminating_pod_that_answers_again_begins_nothing() {
    let (mut world, key) = decided(shipped());
    world.answer(&key, 200);
    world.deploy("1.0.0", 0.0);
    world.rounds(60);
    // One pod of 2.0.0 vanishes and answers again.
    for down in [true, false] {
        let pod = &mut world.instances[2];
        (pod.version, pod.down, pod.errors) = ("2.0.0", down, 0.05);
        world.rounds(60);
    }
    world.deploy("1.0.0", 0.0);
    world.rounds(60);
    let rollouts = world.snapshot().rollouts;
    let versions: Vec<&str> = rollouts.iter().map(|it| it.version.as_str()).collect();
    assert_eq!(versions, ["1.0.0", "2.0.0", "1.0.0"]);
    assert_eq!(world.sent_to("deployer").len(), 1);
}

#[test]
fn a_rollback_that_helped_says_so() {
    let (mut world, key) = decided(shipped());
    world.answer(&key, 200);
    world.deploy("1.0.0", 0.0);
    world.rounds(300);
    assert_eq!(helped(&world), [Helped::Verified]);
    assert_eq!(told_people(&world, NoticeKind::RollbackVerified), 1);
    assert_eq!(world.decided(), ["rollback errors"]);
}

#[test]
fn a_rollback_that_does_not_help_is_said_once_and_not_repeated() {
    let (mut world, key) = decided(shipped());
    world.answer(&key, 200);
    world.deploy("1.0.0", 0.05);
    // Restarted in the middle of the watch, and reloaded.
    world.rounds(300);
    assert!(helped(&world).is_empty());
    let mut again = restarted(&world, shipped());
    again.rounds(60);
    again.input(Input::Reload(std::sync::Arc::new(shipped())));
    again.rounds(300);
    assert_eq!(helped(&again), [Helped::Ineffective]);
    assert_eq!(told_people(&again, NoticeKind::RollbackIneffective), 1);
    let mut later = restarted(&again, shipped());
    later.rounds(900);
    assert!(helped(&later).is_empty());
    for world in [&again, &later] {
        assert!(
            world.sent_to("deployer").is_empty(),
            "{:?}",
            world.decided()
        );
    }
}

#[test]
fn what_does_not_exist_after_a_good_rollback_is_unverified() {
    let (mut world, key) = decided(shipped());
    world.answer(&key, 200);
    world.deploy("1.0.0", 0.0);
    world.instances.iter_mut().for_each(|it| it.down = true);
    world.rounds(660);
    assert_eq!(helped(&world), [Helped::Unverified]);
    assert_eq!(told_people(&world, NoticeKind::RollbackUnverified), 1);
    assert_eq!(told_people(&world, NoticeKind::RollbackIneffective), 0);
}

#[test]
fn two_hundred_and_lost_is_noticed() {
    let mut asks = shipped();
    asks.receivers[0].confirm_within = Some(Duration::from_secs(120));
    // Nothing comes.
    let (mut world, key) = decided(asks.clone());
    world.answer(&key, 200);
    assert!(matches!(
        state(&world, &key),
        DeliveryState::Unconfirmed { .. }
    ));
    world.rounds(130);
    let DeliveryState::GivenUp { why, .. } = state(&world, &key) else {
        panic!("{:?}", state(&world, &key));
    };
    assert_eq!(why, "deployer answered and did not confirm it");
    assert!(
        world
            .owed()
            .contains(&("people".into(), NoticeKind::EscalationRaised))
    );
    // The receiver says so, or another version runs.
    let (mut world, key) = decided(asks.clone());
    world.answer(&key, 200);
    let arrived = Call::Settle {
        delivery: key.clone(),
        arrived: true,
        said: word("deployed"),
    };
    call(&mut world, arrived);
    assert!(matches!(
        state(&world, &key),
        DeliveryState::Delivered { status: 200, .. }
    ));
    let (mut world, key) = decided(asks);
    world.answer(&key, 200);
    world.deploy("1.0.0", 0.0);
    world.rounds(30);
    assert!(matches!(
        state(&world, &key),
        DeliveryState::Delivered { status: 200, .. }
    ));
}

#[test]
fn a_go_live_keeps_its_phases_and_a_hotfix_its_own_settle_and_past() {
    let rules = RULES
        .replace("clock = \"rollout\"", "clock = \"go_live\"")
        .replace("until = \"20m\"", "until = \"3h\"")
        .replace(
            "from = \"20m\"\nuntil = \"2h\"",
            "from = \"3h\"\nuntil = \"9h\"",
        );
    let mut plain = settings(&rules);
    plain.rollback.predates = PredatesPolicy::default();
    plain.rollout.go_live = Some(Timestamp::from_millis(START));
    let mut world = World::new(plain);
    world.rounds(4200);
    world.deploy("2.0.0", 0.0);
    world.rounds(1800);
    assert_eq!(world.verdict().phase, "watch");
    world.deploy("2.0.1", 0.05);
    let began = world.now;
    while world.decided().is_empty() {
        world.round();
    }
    assert_eq!(world.decided(), ["rollback errors"]);
    // Settle and `for`, from the hotfix's first sight.
    let waited = (world.now - began) / 1000;
    assert!((60..90).contains(&waited), "{waited}");
    let rollout = world.snapshot().rollouts.last().unwrap().clone();
    assert_eq!(rollout.version, "2.0.1");
    assert!(rollout.past.change.millis() >= began);
    // Past the band the same would only escalate: the go-live's clock goes on through both.
    world.rounds(3 * 3600);
    assert_eq!(world.verdict().phase, "bake");
}

/// Judged for each instance, for a share of them, and by a bare expression: each has a past of its own.
#[test]
fn series_shares_and_expressions_have_a_past_too() {
    let by_instance = "sum by (instance) (rate(http_requests_total{status=~\"5..\"}[15s])) / sum by (instance) (rate(http_requests_total[15s]))";
    for trigger in [
        "when = \"by_instance > 1%\"\neach = true".to_owned(),
        "when = \"by_instance > 1%\"\neach = true\nquorum = \"50%\"".to_owned(),
        format!("expr = '{by_instance} > 0.01'"),
        format!("expr = '{by_instance} > 0.01'\neach = true"),
    ] {
        let signal = format!(
            "[signals.by_instance]\ntitle = \"By instance\"\nexpr = '{by_instance}'\nunit = \"ratio\"\nempty = 0\n[[phase]]"
        );
        let rules = RULES.replacen("[[phase]]", &signal, 1).replacen(
            "when = \"error_rate > 1%\"",
            &trigger,
            1,
        );
        let mut shipped = settings(&rules);
        shipped.rollback.predates = PredatesPolicy::default();
        let mut old = watched(shipped.clone());
        errors(&mut old, 0.05);
        old.rounds(240);
        old.deploy("2.0.0", 0.05);
        old.rounds(120);
        assert!(old.sent_to("deployer").is_empty(), "{trigger}");
        let refused = old.decided();
        assert!(
            refused.iter().all(|it| it == "escalate errors (predates)") && !refused.is_empty(),
            "{trigger}: {refused:?}"
        );
        let reason = last(&old).reason;
        assert!(reason.contains("predates the rollout: it was"), "{reason}");
        let mut new = watched(shipped);
        new.deploy("2.0.0", 0.05);
        new.rounds(120);
        assert_eq!(
            new.sent_to("deployer").len(),
            1,
            "{trigger}: {:?}",
            new.decided()
        );
    }
}
