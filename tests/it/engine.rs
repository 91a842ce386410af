//! The engine as a whole: what it decides, what it refuses, what it says of missing data; and that the same inputs
//! give the same effects.

use std::sync::Arc;
use std::time::Duration;

use gated::engine::{
    Attempted, Call, Effect, Engine, Event, Input, Record, Restored, RollbackMode, RollbackPolicy,
};
use gated::model::{
    Action, Guard, NoticeKind, Reading, RolloutEnd, RolloutId, Status, Timestamp, Verdict,
};

use crate::world::{RULES, START, World, settings};

/// A minute of 1.0.0, then 2.0.0 is deployed with this share of errors.
fn released(errors: f64) -> World {
    released_with(RULES, errors)
}

fn released_with(rules: &str, errors: f64) -> World {
    let mut world = World::new(settings(rules));
    world.rounds(60);
    world.deploy("2.0.0", errors);
    world
}

#[test]
fn a_bad_release_is_rolled_back_once_and_recorded_before_it_is_sent() {
    let mut world = released(0.05);
    world.rounds(120);
    assert_eq!(world.decided(), ["rollback errors"]);
    let decision = &world.decisions()[0];
    assert_eq!(
        (decision.asked, decision.phase.as_str()),
        (Action::Rollback, "watch")
    );
    assert!(decision.held_for >= Duration::from_secs(30), "{decision:?}");
    let owed = [
        ("deployer".to_owned(), NoticeKind::RollbackRequested),
        ("people".to_owned(), NoticeKind::Notification),
    ];
    assert_eq!(world.owed(), owed);
    assert_eq!(world.sent_to("deployer").len(), 1);
    // Decision, what is owed and the first attempt come out of one input, the records before the request.
    let place =
        |is: &dyn Fn(&Effect) -> bool| world.effects.iter().position(|(_, it)| is(it)).unwrap();
    let decided = place(&|it| matches!(it, Effect::Record(Record::Decision(_))));
    let owed = place(&|it| matches!(it, Effect::Record(Record::Owed(..))));
    let sent = place(&|it| matches!(it, Effect::Send { .. }));
    assert!(decided < owed && owed < sent);
    assert_eq!(world.effects[decided].0, world.effects[sent].0);
    assert_eq!(world.verdict().verdict, Verdict::NoGo);
}

#[test]
fn a_good_release_goes() {
    let mut world = released(0.0);
    world.rounds(300);
    assert_eq!(world.decided(), Vec::<String>::new());
    let verdict = world.verdict();
    assert_eq!(
        (verdict.verdict, verdict.status),
        (Verdict::Go, Status::Green)
    );
}

#[test]
fn nothing_is_judged_while_a_rollout_settles() {
    let mut world = released(0.05);
    world.rounds(25);
    assert_eq!(world.verdict().verdict, Verdict::Unknown);
    assert_eq!(
        world.told(|event| matches!(event, Event::TriggerPending { .. })),
        0
    );
    world.rounds(40);
    let begun = world.snapshot().rollouts.last().unwrap().seen_at;
    let fired = world.effects.iter().find_map(|(at, effect)| match effect {
        Effect::Tell(Event::TriggerFiring { .. }) => Some(*at),
        _ => None,
    });
    let fired = fired.unwrap();
    assert!(
        fired.since(begun) >= Duration::from_secs(60),
        "{begun} {fired}"
    );
}

#[test]
fn shadow_mode_tells_people_and_asks_nobody_for_a_rollback() {
    let mut shadow = settings(RULES);
    shadow.rollback.mode = RollbackMode::Shadow;
    let mut world = World::new(shadow.clone());
    world.rounds(60);
    world.deploy("2.0.0", 0.05);
    world.rounds(90);
    assert_eq!(world.decided(), ["escalate errors (shadow)"]);
    assert!(world.sent_to("deployer").is_empty());
    assert_eq!(
        world.owed(),
        [("people".to_owned(), NoticeKind::EscalationRaised)]
    );
    // Armed while it still fires: the same trigger is judged again, and now it acts.
    shadow.rollback.mode = RollbackMode::Armed;
    world.input(Input::Reload(Arc::new(shadow)));
    world.rounds(10);
    assert_eq!(
        world.decided(),
        ["escalate errors (shadow)", "rollback errors"]
    );
}

#[test]
fn outside_an_armed_phase_people_are_called_instead() {
    let mut world = released(0.0);
    world.rounds(21 * 60);
    world.instances.iter_mut().for_each(|it| it.errors = 0.05);
    world.rounds(90);
    assert_eq!(world.verdict().phase, "bake");
    assert_eq!(world.decided(), ["escalate errors"]);
}

#[test]
fn a_trigger_that_fires_as_an_armed_phase_begins_is_decided_then() {
    let rules = RULES
        .replace(
            "from = \"0s\"\nuntil = \"20m\"\nrollback = \"armed\"",
            "from = \"3m\"\nuntil = \"20m\"\nrollback = \"armed\"",
        )
        .replace(
            "name = \"bake\"\nfrom = \"20m\"",
            "name = \"bake\"\nfrom = \"0s\"",
        )
        .replace("do = \"escalate\"", "do = \"rollback\"");
    let mut world = released_with(&rules, 0.05);
    world.rounds(120);
    assert_eq!(world.decided(), ["escalate errors (not_armed)"]);
    world.rounds(90);
    assert_eq!(
        world.decided(),
        ["escalate errors (not_armed)", "rollback errors"]
    );
}

#[test]
fn a_fault_that_runs_into_a_phase_which_asks_for_more_is_decided_again_there() {
    let rollback = "for = \"30s\"\ndo = \"rollback\"";
    let early = |action: &str| {
        let mut rules = RULES.replacen(rollback, &format!("for = \"30s\"\ndo = \"{action}\""), 1);
        rules = rules.replacen("until = \"20m\"", "until = \"3m\"", 1);
        rules.replacen("from = \"20m\"", "from = \"3m\"\nrollback = \"armed\"", 1)
    };
    for (first, then, decided) in [
        (
            "escalate",
            "rollback",
            vec!["escalate errors", "rollback errors"],
        ),
        (
            "notify",
            "escalate",
            vec!["notify errors", "escalate errors"],
        ),
        ("rollback", "escalate", vec!["rollback errors"]),
        ("escalate", "notify", vec!["escalate errors"]),
        ("escalate", "escalate", vec!["escalate errors"]),
    ] {
        let rules = early(first);
        let (head, tail) = rules.rsplit_once("do = \"escalate\"").unwrap();
        let mut world = released_with(&format!("{head}do = \"{then}\"{tail}"), 0.05);
        world.rounds(150);
        assert_eq!(world.decided(), decided[..1], "{first} → {then}");
        world.rounds(150);
        assert_eq!(world.decided(), decided, "{first} → {then}");
    }
}

/// 2.0.0 fails and is rolled back, 1.0.0 settles and is well. The next rollback needs not wait.
fn rolled_back() -> World {
    let mut policy = settings(RULES).rollback;
    policy.cooldown = Duration::ZERO;
    let world = back_again(policy, 120);
    assert_eq!(world.decided(), ["rollback errors"]);
    world
}

/// 1.0.0 runs again after the rollback of 2.0.0, for so many seconds.
fn back_again(policy: RollbackPolicy, seconds: i64) -> World {
    let mut with = settings(RULES);
    with.rollback = policy;
    let mut world = World::new(with);
    world.rounds(60);
    world.deploy("2.0.0", 0.05);
    world.rounds(120);
    let key = world.sent_to("deployer")[0].clone();
    world.answer(&key, 200);
    world.deploy("1.0.0", 0.0);
    world.rounds(seconds);
    world
}

/// As [`back_again`], and then 3.0.0 fails.
fn failing_again(policy: RollbackPolicy, later: i64) -> World {
    let mut world = back_again(policy, later);
    world.deploy("3.0.0", 0.05);
    world.rounds(120);
    world
}

#[test]
fn a_rollback_soon_after_another_or_past_the_days_budget_calls_people_instead() {
    let armed = settings(RULES).rollback;
    let twice = ["rollback errors", "rollback errors"];
    let cool = ["rollback errors", "escalate errors (cooldown)"];
    let spent = ["rollback errors", "escalate errors (budget)"];
    for (cooldown, max_per_day, later, decided) in [
        (1800, 2, 600, cool),
        (1800, 2, 1800, twice),
        (0, 2, 600, twice),
        (0, 1, 600, spent),
    ] {
        let policy = RollbackPolicy {
            cooldown: Duration::from_secs(cooldown),
            max_per_day,
            ..armed.clone()
        };
        let world = failing_again(policy, later);
        assert_eq!(
            world.decided(),
            decided,
            "{cooldown} s, {max_per_day} a day"
        );
    }
    // What was decided before a restart counts.
    let world = failing_again(armed.clone(), 600);
    let mut again = World::restored(settings(RULES), world.ledger(), world.now + 5000);
    again.rounds(60);
    again.deploy("4.0.0", 0.05);
    again.rounds(150);
    let said = again.decided();
    assert_eq!(
        said.last().unwrap(),
        "escalate errors (cooldown)",
        "{said:?}"
    );
}

#[test]
fn nothing_goes_back_to_a_version_that_was_bad_itself() {
    let mut world = World::new(settings(RULES));
    world.rounds(60);
    // 2.0.0 is red in a phase that rolls nothing back, 2.0.1 takes its place and names it.
    world.tell("2.0.0", true);
    world.deploy("2.0.0", 0.05);
    world.rounds(120);
    assert_eq!(world.decided(), ["escalate errors (irreversible)"]);
    world.tell_of("2.0.1", Some("2.0.0"), false);
    // Worse than it was, so that it is not taken for what was there before.
    world.deploy("2.0.1", 0.2);
    world.rounds(120);
    assert_eq!(world.decided()[1..], ["escalate errors (known_bad)"]);
}

#[test]
fn what_a_version_does_that_came_back_is_not_held_against_the_one_it_replaced() {
    let mut world = rolled_back();
    world.deploy("2.0.0", 0.05);
    world.rounds(120);
    assert_eq!(
        world.decided(),
        ["rollback errors", "escalate errors (superseded)"]
    );
    let reason = &world.decisions()[1].reason;
    assert!(
        reason.ends_with("; no rollback: version 2.0.0 is running instead"),
        "{reason}"
    );
    let rollouts = world.snapshot().rollouts;
    assert!(!rollouts.last().unwrap().turned_red, "{rollouts:?}");
    // So the next release still has something to go back to.
    world.deploy("3.0.0", 0.2);
    world.rounds(120);
    assert_eq!(world.decided()[2..], ["rollback errors"]);
    let rollouts = world.snapshot().rollouts;
    let last = rollouts.last().unwrap();
    assert_eq!(
        (last.version.as_str(), last.previous_version.as_deref()),
        ("3.0.0", Some("1.0.0"))
    );
}

#[test]
fn a_ledger_that_lost_what_was_decided_holds_rollbacks_whatever_is_reloaded() {
    let why = "the ledger was damaged and moved aside";
    let restored = Restored {
        held: Some(why.into()),
        ..Restored::default()
    };
    let mut world = World::restored(settings(RULES), restored, START);
    world.rounds(60);
    world.deploy("2.0.0", 0.05);
    world.rounds(120);
    world.input(Input::Reload(Arc::new(settings(RULES))));
    world.rounds(60);
    assert_eq!(world.decided(), ["escalate errors (store)"]);
    let reason = &world.decisions()[0].reason;
    assert!(
        reason.ends_with(&format!("no rollback: {why}: rollbacks are held")),
        "{reason}"
    );
    assert!(world.snapshot().rollback_armed && world.snapshot().held.is_some());
}

#[test]
fn what_was_rolled_back_to_is_not_rolled_back_in_turn() {
    let mut world = rolled_back();
    world.instances.iter_mut().for_each(|it| it.errors = 0.2);
    world.rounds(120);
    assert_eq!(
        world.decided(),
        ["rollback errors", "escalate errors (rolled_back)"]
    );
    let reason = &world.decisions()[1].reason;
    assert!(
        reason.ends_with("this is what 2.0.0 was rolled back to"),
        "{reason}"
    );
    assert_eq!(world.sent_to("deployer").len(), 1);
}

#[test]
fn without_a_rollout_nothing_is_rolled_back() {
    let rules = RULES.replace("clock = \"rollout\"", "clock = \"go_live\"");
    let mut without = settings(&rules);
    without.rollout.go_live = Some(Timestamp::from_millis(START));
    let mut world = World::new(without);
    world.rounds(60);
    world.instances.iter_mut().for_each(|it| it.errors = 0.05);
    world.rounds(90);
    assert_eq!(world.decided(), ["escalate errors (no_rollout)"]);
    assert!(world.sent_to("deployer").is_empty());
}

#[test]
fn a_rollout_that_was_told_of_is_the_one_rolled_back() {
    let mut world = World::new(settings(RULES));
    world.rounds(60);
    world.tell("2.0.0", false);
    world.deploy("2.0.0", 0.05);
    world.rounds(120);
    assert_eq!(world.decided(), ["rollback errors"]);
    let rollouts = world.snapshot().rollouts;
    let told = rollouts.last().unwrap();
    assert_eq!(world.decisions()[0].rollout.as_ref(), Some(&told.id));
    assert_eq!(
        (told.version.as_str(), told.previous_version.as_deref()),
        ("2.0.0", Some("1.0.0")),
    );
    assert_eq!(
        rollouts.iter().filter(|it| it.version == "2.0.0").count(),
        1,
        "seeing the version that was told of begins no second rollout"
    );
}

#[test]
fn a_rollout_that_contradicts_itself_is_refused() {
    let mut world = World::new(settings(RULES));
    world.rounds(10);
    let (minute, now) = (Duration::from_secs(60), world.at());
    let start = |id: Option<&str>, version: &str, started_at| Call::StartRollout {
        id: id.map(|id| RolloutId(id.into())),
        version: version.into(),
        previous_version: (version == "same").then(|| version.into()),
        started_at,
        irreversible: false,
    };
    for (call, expected) in [
        (start(None, "", None), "a rollout needs a version"),
        (start(None, "same", None), "previous_version is `same`"),
        (
            start(None, "2.0.0", Some(now + minute + minute)),
            "lies ahead",
        ),
        (start(Some("ci-7"), "2.0.0", Some(now + minute)), ""),
        (start(Some("ci-7"), "2.0.0", None), ""),
        (
            start(Some("ci-7"), "2.0.1", None),
            "rollout `ci-7` is that of version `2.0.0`",
        ),
    ] {
        world.input(Input::Operator {
            token: 1,
            call: call.clone(),
        });
        let answer = world.effects.iter().rev().find_map(|(_, it)| match it {
            Effect::Answer { answer, .. } => Some(answer.clone()),
            _ => None,
        });
        let refusal = answer.unwrap().err().map(|it| it.to_string());
        match refusal {
            None => assert_eq!(expected, "", "{call:?}"),
            Some(text) => assert!(
                !expected.is_empty() && text.contains(expected),
                "{call:?}: {text}"
            ),
        }
    }
    let versions: Vec<_> = world.snapshot().rollouts;
    assert_eq!(versions.last().unwrap().version, "2.0.0");
}

#[test]
fn a_rollout_that_cannot_be_undone_calls_people_instead() {
    let mut world = World::new(settings(RULES));
    world.rounds(60);
    world.tell("2.0.0", true);
    world.deploy("2.0.0", 0.05);
    world.rounds(120);
    assert_eq!(world.decided(), ["escalate errors (irreversible)"]);
    assert_eq!(world.sent_to("deployer"), []);
}

#[test]
fn one_rollback_for_a_rollout_however_many_triggers_fire() {
    let second = RULES.replacen(
        "[[phase]]\nname = \"bake\"",
        "[[phase.trigger]]\nname = \"worse\"\nwhen = \"error_rate > 2%\"\nfor = \"30s\"\ndo = \"rollback\"\nseverity = \"P1\"\n\n[[phase]]\nname = \"bake\"",
        1,
    );
    let mut world = released_with(&second, 0.05);
    world.rounds(600);
    assert_eq!(
        world.decided(),
        ["rollback errors", "escalate worse (already_decided)"]
    );
}

#[test]
fn missing_thin_and_stale_data_never_fires_and_is_never_go() {
    type Change = fn(&mut World);
    let table: [(&str, Change, Reading); 3] = [
        (
            "no traffic",
            |world| world.instances.iter_mut().for_each(|it| it.traffic = 0.0),
            Reading::Thin,
        ),
        (
            "all down",
            |world| world.instances.iter_mut().for_each(|it| it.down = true),
            Reading::Stale,
        ),
        (
            "two of three down while the third fails",
            |world| {
                world.instances[0].down = true;
                world.instances[1].down = true;
                world.instances[2].errors = 0.5;
            },
            Reading::Stale,
        ),
    ];
    for (what, change, reading) in table {
        let mut world = released(0.0);
        world.rounds(60);
        assert_eq!(world.verdict().verdict, Verdict::Go, "{what}");
        change(&mut world);
        world.rounds(120);
        let verdict = world.verdict();
        assert_eq!(
            (verdict.verdict, verdict.status),
            (Verdict::Unknown, Status::Unknown),
            "{what}"
        );
        assert_eq!(verdict.checks[0].reading, reading, "{what}");
        assert_eq!(
            world.told(|event| matches!(event, Event::TriggerFiring { .. })),
            0,
            "{what}"
        );
        assert_eq!(world.decided(), Vec::<String>::new(), "{what}");
    }
}

/// NaN and the infinities are data, and no comparison of them is an answer: not even one that is turned round.
#[test]
fn f3_f4_f5_what_is_no_number_is_never_compared() {
    let healthy = "sum(rate(http_requests_total[20s]))";
    for (expr, reading) in [
        (format!("{healthy} * NaN"), Reading::Nan),
        (format!("{healthy} * 0 / 0"), Reading::Nan),
        (format!("{healthy} / 0"), Reading::Infinite),
        (format!("-{healthy} / 0"), Reading::Infinite),
    ] {
        for op in ["<", "<=", ">", ">=", "==", "!="] {
            for condition in [format!("strange {op} 1/s"), format!("not strange {op} 1/s")] {
                let rules = format!(
                    r#"
clock = "rollout"
[signals.strange]
expr = '{expr}'
unit = "per_second"
[[phase]]
name = "watch"
from = "0s"
rollback = "armed"
[phase.targets]
strange = "{op} 1/s"
[[phase.trigger]]
name = "strange"
when = "{condition}"
for = "0s"
do = "rollback"
severity = "P1"
"#
                );
                let mut world = released_with(&rules, 0.0);
                world.rounds(120);
                assert_eq!(world.decided(), Vec::<String>::new(), "{expr} {condition}");
                let verdict = world.verdict();
                assert_eq!(verdict.verdict, Verdict::Unknown, "{expr} {condition}");
                let check = &verdict.checks[0];
                assert_eq!(
                    std::mem::discriminant(&check.reading),
                    std::mem::discriminant(&reading),
                    "{expr}: {check:?}"
                );
            }
        }
    }
}

/// `empty = 0` is for a series that does not exist yet; before a deploy it may just as well be a name that never will.
#[test]
fn a_dry_run_tells_a_wrong_name_from_an_empty_result() {
    let verdict = |rules: &str| {
        let mut preview = settings(rules);
        preview.preview = Some("watch".into());
        preview.retain = Some(Duration::from_secs(300));
        let mut world = World::new(preview);
        world.rounds(120);
        world.verdict()
    };
    let healthy = verdict(RULES);
    assert_eq!(healthy.verdict, Verdict::Go, "{healthy:?}");
    let baseline = "throughput = \"> 50% of baseline\"";
    let against = verdict(&RULES.replace("error_rate = \"< 0.5%\"", baseline));
    assert_eq!(against.verdict, Verdict::Go, "{against:?}");
    let faulty = RULES.replace("error_rate > 1%", "error_rate >= 0%");
    let fires = verdict(&faulty);
    assert_eq!(
        (fires.verdict, fires.status),
        (Verdict::NoGo, Status::Red),
        "it held in every reading that said anything: {fires:?}"
    );
    let wrong = verdict(&RULES.replace("http_requests_total", "http_request_total"));
    assert_eq!(wrong.verdict, Verdict::Unknown, "{wrong:?}");
    let hint = "no target has `http_request_total`; nearest: http_requests_total";
    assert!(
        wrong.reasons.iter().any(|reason| reason.contains(hint)),
        "{:?}",
        wrong.reasons
    );
}

#[test]
fn one_instance_that_hangs_does_not_blind_the_others() {
    let mut world = released(0.05);
    world.instances[0].down = true;
    world.rounds(120);
    assert_eq!(world.decided(), ["rollback errors"]);
}

#[test]
fn f11_being_blind_calls_people_after_blind_after_and_not_before() {
    let mut world = released(0.0);
    world.rounds(60);
    world.instances.iter_mut().for_each(|it| it.down = true);
    let lost = world.now;
    // The last scrapes answered; the next ones, at once, do not. Blind from then on for three minutes.
    while world.now + 5000 < lost + 180_000 {
        world.round();
    }
    assert_eq!(world.decided(), Vec::<String>::new());
    world.rounds(10);
    assert_eq!(world.decided(), ["escalate blind:error_rate"]);
    let decision = &world.decisions()[0];
    // The second of three failing scrapes takes the coverage below half.
    assert_eq!(
        decision.at.millis(),
        lost + 180_001,
        "told at its own time, not at the next scrape"
    );
    world.rounds(600);
    assert_eq!(world.decided().len(), 1, "told once");
}

#[test]
fn a_rollback_that_is_superseded_is_not_sent_again() {
    let mut world = released(0.05);
    world.rounds(90);
    let key = world.sent_to("deployer")[0].clone();
    world.answer(&key, 503);
    world.deploy("2.0.1", 0.0);
    world.rounds(60);
    assert_eq!(world.sent_to("deployer").len(), 1);
    let snapshot = world.snapshot();
    let (_, deliveries) = &snapshot.decisions[0];
    let cancelled = deliveries.iter().find(|it| it.key == key).unwrap();
    assert_eq!(cancelled.state.word(), "cancelled", "{cancelled:?}");
    assert!(
        world
            .owed()
            .contains(&("people".to_owned(), NoticeKind::RollbackCancelled))
    );
    let old = snapshot
        .rollouts
        .iter()
        .find(|it| it.version == "2.0.0")
        .unwrap();
    assert_eq!(old.end.unwrap().1, RolloutEnd::Superseded);
}

#[test]
fn retries_carry_one_key_until_somebody_answers() {
    let mut world = released(0.05);
    world.rounds(90);
    let key = world.sent_to("deployer")[0].clone();
    for _ in 0..4 {
        let reason = "connection refused".to_owned();
        let outcome = Attempted::NoAnswer {
            reason,
            reached: false,
        };
        world.input(Input::Attempted {
            key: key.clone(),
            outcome,
        });
        world.rounds(20);
    }
    world.answer(&key, 200);
    world.rounds(120);
    let sent = world.sent_to("deployer");
    assert_eq!(sent.len(), 5);
    assert!(sent.iter().all(|it| *it == key));
    assert_eq!(world.decided(), ["rollback errors"]);
}

#[test]
fn a_rollback_that_is_refused_as_it_is_calls_people_at_once_and_is_tried_on() {
    let mut world = released(0.05);
    world.rounds(90);
    let key = world.sent_to("deployer")[0].clone();
    let raised = |world: &World| {
        let raised = ("people".to_owned(), NoticeKind::EscalationRaised);
        world.owed().iter().filter(|it| **it == raised).count()
    };
    for status in [503, 401, 302] {
        assert_eq!(raised(&world), usize::from(status == 302), "{status}");
        world.answer(&key, status);
        world.rounds(240);
    }
    assert_eq!(raised(&world), 1, "once, not with every attempt");
    world.answer(&key, 200);
    assert_eq!(world.sent_to("deployer").len(), 4);
    let notices = world
        .records()
        .into_iter()
        .filter_map(|record| match record {
            Record::Owed(_, notice) => Some(notice.decision.reason),
            _ => None,
        });
    let expected =
        "the rollback was not delivered: HTTP 401; it is tried on; it was asked for because ";
    let reasons: Vec<_> = notices.collect();
    assert!(
        reasons.iter().any(|it| it.starts_with(expected)),
        "{reasons:?}"
    );
}

#[test]
fn a_rollback_nobody_takes_is_given_up_and_people_are_called() {
    let mut world = released(0.05);
    world.rounds(90);
    let key = world.sent_to("deployer")[0].clone();
    for _ in 0..240 {
        let outcome = Attempted::NoAnswer {
            reason: "down".into(),
            reached: false,
        };
        world.input(Input::Attempted {
            key: key.clone(),
            outcome,
        });
        world.round();
    }
    let owed = world.owed();
    assert!(
        owed.contains(&("people".to_owned(), NoticeKind::EscalationRaised)),
        "{owed:?}"
    );
    let snapshot = world.snapshot();
    let states = snapshot.decisions[0]
        .1
        .iter()
        .filter(|it| it.receiver == "deployer");
    assert_eq!(
        states.map(|it| it.state.word()).collect::<Vec<_>>(),
        ["given_up"]
    );
}

#[test]
fn after_a_restart_nothing_is_decided_twice_and_what_is_owed_goes_first() {
    let mut world = released(0.05);
    world.rounds(90);
    assert_eq!(world.decided(), ["rollback errors"]);
    let key = world.sent_to("deployer")[0].clone();
    let mut again = World::restored(settings(RULES), world.ledger(), world.now);
    again.instances.clone_from(&world.instances);
    again.advance_to(again.now + 1000);
    assert_eq!(
        again.sent_to("deployer"),
        [key],
        "sent again before the first scrape"
    );
    again.rounds(300);
    assert_eq!(again.decided(), Vec::<String>::new());
}

/// A share of all instances that are known, not of those that happen to answer.
#[test]
fn a_quorum_counts_the_series_that_are_gone_silent() {
    let rules = r#"
[signals.errors]
expr = 'sum by (instance) (rate(http_requests_total{status="500"}[20s])) / sum by (instance) (rate(http_requests_total[20s]))'
unit = "ratio"

[[phase]]
name = "watch"
from = "0s"

[[phase.trigger]]
name = "half"
when = "errors > 1%"
each = true
quorum = "50%"
for = "10s"
do = "escalate"
severity = "P2"
"#;
    for (bad, decided) in [(1, &[][..]), (2, &["escalate half"][..])] {
        let mut world = World::new(settings(rules));
        world.rounds(60);
        world.deploy("2.0.0", 0.0001);
        world.rounds(60);
        for instance in &mut world.instances[..bad] {
            instance.errors = 0.5;
        }
        world.instances[2].down = true;
        world.rounds(120);
        assert_eq!(
            world.decided(),
            decided,
            "{bad} of 3 are bad, one is silent"
        );
    }
}

#[test]
fn what_cannot_be_recorded_is_taken_back_and_decided_again() {
    let mut world = released(0.05);
    while world.decided().is_empty() {
        world.round();
    }
    let records = world.records();
    let from = records
        .iter()
        .position(|it| matches!(it, Record::Decision(_)))
        .unwrap();
    let failed = records[from..].to_vec();
    world.input(Input::CommitFailed {
        records: failed,
        reason: "disk full".into(),
    });
    assert_eq!(world.snapshot().decisions.len(), 0);
    let guard = |event: &Event| {
        matches!(
            event,
            Event::NotRecorded {
                refused_by: Guard::Store,
                ..
            }
        )
    };
    assert_eq!(world.told(guard), 1);
    world.rounds(10);
    assert_eq!(world.snapshot().decisions.len(), 1);
    let ids: Vec<_> = world.decisions().into_iter().map(|it| it.id).collect();
    assert_eq!(ids[0], ids[1], "the same decision under the same id");
}

#[test]
fn readings_on_and_off_are_counted_once_an_interval() {
    let rules = RULES.replacen("for = \"30s\"", "after = \"3 of 5\"", 1);
    let mut world = released_with(&rules, 0.0);
    world.rounds(60);
    // A burst of one interval stands in two readings of the 15 s window: never three of five.
    for _ in 0..6 {
        world.instances.iter_mut().for_each(|it| it.errors = 0.05);
        world.round();
        world.instances.iter_mut().for_each(|it| it.errors = 0.0);
        world.rounds(25);
    }
    let fired = |world: &World| world.told(|event| matches!(event, Event::TriggerFiring { .. }));
    assert_eq!(fired(&world), 0);
    // Three scrapes land in each interval, and still it takes three intervals.
    world.instances.iter_mut().for_each(|it| it.errors = 0.05);
    world.rounds(10);
    assert_eq!(fired(&world), 0);
    world.rounds(10);
    assert_eq!(fired(&world), 1);
}

#[test]
fn a_share_of_the_baseline() {
    let rules = RULES.replace(
        "error_rate = \"< 0.5%\"",
        "throughput = \"> 50% of baseline\"",
    );
    let mut world = World::new(settings(&rules));
    world.rounds(300);
    world.deploy("2.0.0", 0.0);
    world.rounds(60);
    assert_eq!(world.verdict().status, Status::Green);
    world.instances.iter_mut().for_each(|it| it.traffic = 40.0);
    world.rounds(60);
    let verdict = world.verdict();
    assert_eq!(
        (verdict.verdict, verdict.status),
        (Verdict::Go, Status::Amber),
        "{verdict:?}"
    );
}

#[test]
fn alertmanager_hears_of_changes_at_once_and_again_every_resend() {
    let mut world = released(0.05);
    world.rounds(120);
    let posts: Vec<(Timestamp, Vec<String>)> = world
        .effects
        .iter()
        .filter_map(|(at, effect)| match effect {
            Effect::Alerts(alerts) => {
                let names = alerts.iter().map(|alert| alert.labels["alertname"].clone());
                Some((*at, names.collect()))
            }
            _ => None,
        })
        .collect();
    assert!(
        posts
            .iter()
            .all(|(_, names)| names.contains(&"Watchdog".to_owned()))
    );
    let labelled = world.effects.iter().all(|(_, effect)| match effect {
        Effect::Alerts(alerts) => alerts.iter().all(|it| it.labels["owner"] == "team-api"),
        _ => true,
    });
    assert!(labelled, "the service's labels are on everything sent");
    let fired = world.decisions()[0].at;
    let first = posts
        .iter()
        .find(|(_, names)| names.contains(&"errors".to_owned()))
        .unwrap();
    assert_eq!(first.0, fired);
    assert!(
        posts
            .windows(2)
            .all(|pair| pair[1].0.since(pair[0].0) <= Duration::from_secs(65))
    );
}

#[test]
fn the_same_inputs_give_the_same_effects_whatever_the_wakes() {
    let mut world = released(0.05);
    world.rounds(60);
    let key = |world: &World| world.sent_to("deployer").first().cloned();
    world.rounds(40);
    let key = key(&world).unwrap();
    world.answer(&key, 503);
    world.rounds(60);
    world.instances.iter_mut().for_each(|it| it.down = true);
    world.rounds(240);
    let text = |effects: &[Effect]| {
        effects
            .iter()
            .map(|effect| format!("{effect:?}"))
            .collect::<Vec<_>>()
    };
    let replay = |wakes: i64| {
        let mut out = Vec::new();
        let at = Timestamp::from_millis(START);
        let mut engine = Engine::new(Arc::new(settings(RULES)), Restored::default(), at, &mut out);
        let mut last = START;
        for (at, input) in &world.inputs {
            for wake in 1..=wakes {
                let to = last + (at.millis() - last) * wake / (wakes + 1);
                if to > last && to < at.millis() {
                    engine.advance(Timestamp::from_millis(to), &mut out);
                }
            }
            last = at.millis();
            engine.apply(*at, input.clone(), &mut out);
        }
        text(&out)
    };
    let once = replay(0);
    assert!(once.len() > 40, "the story has {} effects", once.len());
    assert_eq!(once, replay(0));
    assert_eq!(once, replay(1));
    assert_eq!(once, replay(7));
}

/// A rule of Prometheus beside gated's own, in a group that is evaluated every 10 s.
fn with_alert(rule: &str) -> gated::engine::Settings {
    let text = format!("groups:\n- name: g\n  interval: 10s\n  rules:\n  - {rule}\n");
    let mut with = settings(RULES);
    let mut rules = (*with.rules).clone();
    rules.groups = crate::world::groups(&text);
    rules.phases[0].triggers.clear();
    with.rules = Arc::new(rules);
    with
}

const ASKS: &str = "{alert: Errors, expr: 'sum(rate(http_requests_total{status=~\"5..\"}[15s])) > 1', for: 20s, labels: {gated_do: rollback, severity: page}, annotations: {summary: too many}}";

#[test]
fn an_alert_of_prometheus_may_ask_for_a_rollback_under_the_same_guards() {
    let mut world = World::new(with_alert(ASKS));
    world.rounds(60);
    world.deploy("2.0.0", 0.05);
    world.rounds(200);
    // It was active before the rollout had settled, so nobody knows whether the rollout is to blame.
    assert_eq!(world.decided(), ["escalate Errors (predates)"]);

    let mut world = World::new(with_alert(ASKS));
    world.rounds(60);
    world.deploy("2.0.0", 0.0);
    world.rounds(60);
    assert_eq!(world.verdict().verdict, Verdict::Go);
    world.instances.iter_mut().for_each(|it| it.errors = 0.05);
    world.rounds(60);
    assert_eq!(world.decided(), ["rollback Errors"]);
    let decision = &world.decisions()[0];
    assert_eq!(
        (
            decision.severity,
            decision.phase.as_str(),
            world.verdict().verdict
        ),
        (gated::model::Severity::P1, "watch", Verdict::NoGo)
    );
    assert!(
        decision.reason.ends_with("(too many)"),
        "{}",
        decision.reason
    );
    assert_eq!(world.sent_to("deployer").len(), 1);
    world.instances.iter_mut().for_each(|it| it.errors = 0.0);
    world.rounds(120);
    assert_eq!(world.decided().len(), 1);
}

#[test]
fn a_rule_that_fails_makes_the_verdict_unknown_and_keeps_its_state() {
    let rule = "{alert: A, expr: 'http_requests_total{status=\"200\"} - ignoring (instance) http_requests_total{status=\"200\"} > 0'}";
    let mut world = World::new(with_alert(rule));
    world.rounds(60);
    world.deploy("2.0.0", 0.0);
    world.rounds(120);
    let verdict = world.verdict();
    assert_eq!(verdict.verdict, Verdict::Unknown, "{verdict:?}");
    let why = "A: found duplicate series for a match group";
    assert!(verdict.reasons[0].starts_with(why), "{:?}", verdict.reasons);
    assert_eq!(world.decided(), [""; 0]);
}

#[test]
fn what_a_rule_said_before_it_failed_decides_nothing() {
    // Fails while two instances are down.
    let rule = "{alert: Errors, expr: 'sum(rate(http_requests_total{status=~\"5..\"}[15s])) > 0.1 or on () (vector(1) * on () group_left () (up == 0))', for: 20s, labels: {gated_do: rollback}}";
    let mut with = with_alert(rule);
    with.rollback.mode = RollbackMode::Shadow;
    let mut world = World::new(with.clone());
    world.rounds(60);
    world.deploy("2.0.0", 0.0);
    world.rounds(60);
    world.instances.iter_mut().for_each(|it| it.errors = 0.05);
    world.rounds(60);
    assert_eq!(world.decided(), ["escalate Errors (shadow)"]);
    let down = |world: &mut World, down: bool| {
        let two = world.instances.iter_mut().take(2);
        two.for_each(|it| it.down = down);
        world.rounds(30);
    };
    down(&mut world, true);
    assert_eq!(world.verdict().verdict, Verdict::Unknown);
    with.rollback.mode = RollbackMode::Armed;
    world.input(Input::Reload(Arc::new(with)));
    world.rounds(60);
    assert_eq!(world.decided().len(), 1, "{:?}", world.decided());
    // It kept what it had counted: once it can be evaluated again it acts at once.
    down(&mut world, false);
    assert_eq!(world.decided()[1..], ["rollback Errors"]);
}

#[test]
fn what_fires_on_without_a_value_rolls_nothing_back() {
    let mut shadow = settings(RULES);
    shadow.rollback.mode = RollbackMode::Shadow;
    let mut world = World::new(shadow.clone());
    world.rounds(60);
    world.deploy("2.0.0", 0.05);
    world.rounds(90);
    assert_eq!(world.decided(), ["escalate errors (shadow)"]);
    world.instances.iter_mut().for_each(|it| it.down = true);
    world.rounds(30);
    shadow.rollback.mode = RollbackMode::Armed;
    world.input(Input::Reload(Arc::new(shadow)));
    world.rounds(60);
    let rollbacks = |world: &World| {
        let all = world.decided();
        all.iter().filter(|it| it.starts_with("rollback")).count()
    };
    assert_eq!(rollbacks(&world), 0, "{:?}", world.decided());
    world.instances.iter_mut().for_each(|it| it.down = false);
    world.rounds(60);
    assert_eq!(rollbacks(&world), 1, "{:?}", world.decided());
}

#[test]
fn a_signal_reads_what_a_rule_records() {
    let mut with = with_alert(
        "{record: 'job:errors:rate', expr: 'sum(rate(http_requests_total{status=~\"5..\"}[15s]))'}",
    );
    let text = RULES.replace(
        "expr = 'sum(rate(http_requests_total[15s]))'",
        "expr = 'job:errors:rate'",
    );
    let mut rules = (*settings(&text).rules).clone();
    rules.groups.clone_from(&with.rules.groups);
    with.rules = Arc::new(rules);
    let mut world = World::new(with);
    world.rounds(60);
    world.deploy("2.0.0", 0.05);
    world.rounds(60);
    let snapshot = world.snapshot();
    let signal = snapshot
        .signals
        .iter()
        .find(|it| it.name == "throughput")
        .unwrap();
    let value = signal
        .reading
        .value()
        .unwrap_or_else(|| panic!("{signal:?}"));
    assert!((value - 3.0).abs() < 0.5, "{value}");
}

#[test]
fn a_long_for_outlives_a_restart() {
    let rule = "{alert: Slow, expr: 'sum(rate(http_requests_total[15s])) > 1', for: 20m}";
    let mut world = World::new(with_alert(rule));
    world.rounds(900);
    let before = world.ledger();
    assert_eq!(before.alerts.len(), 1);
    let down = i64::try_from(Duration::from_secs(120).as_millis()).unwrap();
    let mut again = World::restored(with_alert(rule), before, world.now + down);
    let active = |world: &World| {
        let groups = world.snapshot().groups;
        let alert = groups[0].rules[0]
            .alerting
            .as_ref()
            .unwrap()
            .alerts
            .first()
            .cloned();
        alert.map(|it| world.at().since(it.active_at).as_secs())
    };
    again.rounds(80);
    // A quarter of an hour before, the time away not counted; and not sooner than ten minutes after the start.
    let held = active(&again).unwrap();
    assert!((640..=700).contains(&held), "{held}");
}

#[test]
fn a_dry_run_asks_prometheus_alerts_that_act() {
    let table = [
        ("vector(1) > 0 and on () http_requests_total", "firing"),
        ("sum(http_requests_total) < 0", "quiet"),
        ("sum(http_request_total) > 0", "unknown"),
    ];
    for (expr, expected) in table {
        let rule =
            format!("{{alert: Asks, expr: '{expr}', for: 10m, labels: {{gated_do: rollback}}}}");
        let mut settings = with_alert(&rule);
        settings.preview = Some("watch".into());
        let mut world = World::new(settings);
        world.rounds(120);
        let verdict = world.verdict();
        let check = verdict.checks.iter().find(|it| it.name == "Asks").unwrap();
        assert_eq!(check.outcome.word(), expected, "{expr}: {check:?}");
        assert_eq!(
            verdict.verdict == Verdict::Go,
            expected == "quiet",
            "{verdict:?}"
        );
        assert_eq!(world.decided(), [""; 0]);
    }
}
