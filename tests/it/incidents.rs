//! Incidents through the engine: who is called when, what stops it, what a restart and a full disk change (nothing).

mod order;
mod unheard;

use std::time::Duration;

use gated::engine::{
    Answer, Attempted, Call, Effect, Event, Input, Receiver, Record, Refusal, Settings,
};
use gated::incident::{Level, QuietHours};
use gated::model::{
    Cause, Incident, IncidentId, NoticeIncident, NoticeKind, RolloutId, Severity, Timestamp,
};
use jiff::tz::TimeZone;

use crate::world::{INTERVAL, RULES, START, World, level, settings};

const MINUTE: i64 = 60_000;

/// The runbook's path for a P1, each level on its own hook.
fn path() -> Vec<Level> {
    vec![
        level("on-call engineer", "pager", 0),
        level("operations manager", "managers", 300),
        level("technical lead", "lead", 600),
        level("CTO", "phone", 900),
    ]
}

fn four_levels() -> Settings {
    let mut settings = settings(RULES);
    let hook = settings.receivers[1].clone();
    for name in ["pager", "managers", "lead", "phone"] {
        let name = name.to_owned();
        settings.receivers.push(Receiver {
            name,
            ..hook.clone()
        });
    }
    let p1 = settings.people.paths.of_mut(Severity::P1);
    p1.levels = path();
    p1.repeat = Some(Duration::from_secs(900));
    settings
}

/// A bad version: its rollback was decided just now, and was delivered.
fn rolled_back(mut settings: Settings) -> World {
    // Whether it helps is another story.
    settings.rollback.verify_within = Duration::ZERO;
    let mut world = World::new(settings);
    world.rounds(120);
    world.tell("2.0.0", false);
    world.deploy("2.0.0", 0.5);
    while world.snapshot().incidents.is_empty() {
        assert!(world.now < START + 10 * MINUTE, "nothing was opened");
        world.round();
    }
    for key in world.sent_to("deployer") {
        world.answer(&key, 200);
    }
    world
}

fn incidents(world: &World) -> Vec<Incident> {
    let shown = world.snapshot().incidents;
    shown.into_iter().map(|it| it.incident).collect()
}

/// The only one.
fn incident(world: &World) -> Incident {
    let mut all = incidents(world);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

/// What was owed to people: since when the incident is open, to whom, as what, on which level.
fn told(world: &World) -> Vec<(Duration, String, NoticeKind, Option<NoticeIncident>)> {
    let opened = incidents(world)
        .first()
        .map_or(Timestamp::EPOCH, |it| it.opened_at);
    let owed = |record| match record {
        Record::Owed(it, notice) if it.kind != NoticeKind::RollbackRequested => {
            assert_eq!(
                it.incident,
                notice.incident.as_ref().map(|it| it.id.clone())
            );
            Some((
                notice.at.since(opened),
                it.receiver.clone(),
                it.kind,
                notice.incident.clone(),
            ))
        }
        _ => None,
    };
    world.records().into_iter().filter_map(owed).collect()
}

/// `15m CTO phone`: calls to a level.
fn calls(world: &World) -> Vec<String> {
    let call = |(after, receiver, _, incident): (Duration, String, _, Option<NoticeIncident>)| {
        let role = incident?.role?;
        let minutes = after.as_secs() / 60;
        assert!(after.as_secs() % 60 == 0, "{after:?}");
        Some(format!("{minutes}m {role} {receiver}"))
    };
    told(world).into_iter().filter_map(call).collect()
}

const WALK: [&str; 6] = [
    "0m on-call engineer pager",
    "5m operations manager managers",
    "10m technical lead lead",
    "15m CTO phone",
    "30m CTO phone",
    "45m CTO phone",
];

fn acknowledge(world: &mut World, id: &IncidentId, by: &str) -> Result<Answer, Refusal> {
    let (incident, by) = (id.clone(), by.to_owned());
    let note = Some("looking".to_owned());
    world.input(Input::Operator {
        token: 7,
        call: Call::Acknowledge { incident, by, note },
    });
    let answer = |(_, effect): &(Timestamp, Effect)| match effect {
        Effect::Answer { token: 7, answer } => Some(answer.clone()),
        _ => None,
    };
    world.effects.iter().rev().find_map(answer).unwrap()
}

/// A new engine from what was recorded, `gap` later; the service is as it was.
fn restart(world: &World, settings: Settings, gap: i64) -> World {
    let mut next = World::restored(settings, world.ledger(), world.now + gap);
    next.instances.clone_from(&world.instances);
    let mut before = world.effects.clone();
    before.append(&mut next.effects);
    next.effects = before;
    next
}

#[test]
fn a_p1_nobody_acknowledges_walks_all_four_levels() {
    let mut world = rolled_back(four_levels());
    for _ in 0..50 {
        world.rounds(60);
        // What a receiver has not answered holds up what follows about the same.
        for (_, key) in world.sent() {
            world.answer(&key, 200);
        }
    }
    assert_eq!(calls(&world), WALK);
    let it = incident(&world);
    assert_eq!((it.reached, it.repeats), (4, 2));
    assert_eq!(
        it.breached_at,
        Some(it.opened_at + Duration::from_secs(900))
    );
    let breached = |event: &Event| matches!(event, Event::IncidentBreached { .. });
    assert_eq!(world.told(breached), 1);
    // The first of it is what was decided; what follows calls on.
    let kinds: Vec<NoticeKind> = told(&world)
        .into_iter()
        .map(|(_, _, kind, _)| kind)
        .collect();
    assert_eq!(kinds[0], NoticeKind::Notification);
    assert!(
        kinds[1..]
            .iter()
            .all(|it| *it == NoticeKind::EscalationRaised)
    );
    // Each call is a delivery of its own.
    let keys: std::collections::BTreeSet<_> = world.sent().into_iter().collect();
    assert_eq!(keys.len(), 7, "six calls and the rollback");
    let reason = |record: &Record| match record {
        Record::Owed(it, notice) if it.receiver == "phone" => Some(notice.decision.reason.clone()),
        _ => None,
    };
    let reason = world.records().iter().find_map(reason).unwrap();
    assert!(
        reason.starts_with("nobody has acknowledged this for 15m: errors:"),
        "{reason}"
    );
}

#[test]
fn waking_more_often_changes_no_call() {
    let mut world = rolled_back(four_levels());
    for second in (0..50 * 60 * 1000).step_by(1700) {
        let _ = world.snapshot();
        world.advance_to(world.now.max(START + 3 * MINUTE + second));
        if second % 5100 == 0 {
            world.round();
        }
    }
    assert_eq!(calls(&world), WALK);
}

#[test]
fn one_acknowledged_stops() {
    let mut world = rolled_back(four_levels());
    world.rounds(6 * 60);
    let it = incident(&world);
    assert_eq!(
        world.snapshot().incidents[0].owner.as_deref(),
        Some("operations manager")
    );
    let Ok(Answer::Incident(taken)) = acknowledge(&mut world, &it.id, "ada") else {
        panic!("not acknowledged");
    };
    assert_eq!(taken.acknowledged.as_ref().unwrap().by, "ada");
    // Whoever was called hears of it, and says who has it.
    let heard = told(&world);
    let heard: Vec<(&str, NoticeKind, Option<&str>)> = heard[2..]
        .iter()
        .map(|(_, receiver, kind, it)| {
            (
                &**receiver,
                *kind,
                it.as_ref().and_then(|it| it.acknowledged_by.as_deref()),
            )
        })
        .collect();
    let by = Some("ada");
    let kind = NoticeKind::Notification;
    assert_eq!(heard, [("pager", kind, by), ("managers", kind, by)]);
    // Said twice is said once; that somebody else came too late is a line of the trail and no more.
    let before = world.records().len();
    for by in ["ada", "bob"] {
        let again = acknowledge(&mut world, &it.id, by).unwrap();
        assert_eq!(again, Answer::Incident(taken.clone()));
    }
    let after = world.records();
    let [Record::Audit(line)] = &after[before..] else {
        panic!("{:?}", &after[before..]);
    };
    assert_eq!((&*line.said.by, &*line.subject), ("bob", it.id.as_str()));
    world.rounds(50 * 60);
    assert_eq!(calls(&world), WALK[..2]);
    let shown = &world.snapshot().incidents[0];
    assert_eq!((shown.acknowledge_by, shown.next.clone()), (None, None));
    assert_eq!(incident(&world).breached_at, None);
}

#[test]
fn restarted_in_between_it_goes_on_where_it_was() {
    for minutes in [0, 1, 5, 7, 12, 15, 20, 40] {
        let mut world = rolled_back(four_levels());
        world.rounds(minutes * 60);
        let mut world = restart(&world, four_levels(), 0);
        world.rounds((50 - minutes) * 60);
        assert_eq!(calls(&world), WALK, "after {minutes} minutes");
    }
    // And one that was acknowledged stays so.
    let mut world = rolled_back(four_levels());
    let id = incident(&world).id;
    acknowledge(&mut world, &id, "ada").unwrap();
    let mut world = restart(&world, four_levels(), 0);
    world.rounds(50 * 60);
    assert_eq!(calls(&world), WALK[..1]);
}

#[test]
fn a_time_in_which_gated_was_down_counts_and_who_was_missed_is_called_at_once() {
    let mut world = rolled_back(four_levels());
    world.rounds(60);
    let mut back = restart(&world, four_levels(), 11 * MINUTE);
    back.round();
    let at_once: Vec<(String, u32)> = told(&back)[1..]
        .iter()
        .map(|(_, receiver, _, it)| (receiver.clone(), it.as_ref().unwrap().level.unwrap()))
        .collect();
    assert_eq!(
        at_once,
        [("managers".to_owned(), 2), ("lead".to_owned(), 3)]
    );
    // Repeats that were missed are one.
    world.rounds(14 * 60);
    let mut back = restart(&world, four_levels(), 300 * MINUTE);
    back.round();
    assert_eq!(told(&back).len(), 5);
    back.round();
    assert_eq!(told(&back).len(), 5);
}

/// Two triggers on one signal, and what `do` says of the second.
fn two_triggers(second: &str) -> Settings {
    let trigger = "[[phase.trigger]]\nname = \"errors\"";
    let rules = RULES.replacen(
        trigger,
        &format!(
            "[[phase.trigger]]\nname = \"more\"\nwhen = \"error_rate > 20%\"\nfor = \"1m\"\n{second}\n\n{trigger}"
        ),
        1,
    );
    let mut settings = settings(&rules);
    settings.receivers.push(Receiver {
        name: "pager".into(),
        ..settings.receivers[1].clone()
    });
    settings.people.paths.of_mut(Severity::P1).levels = vec![
        level("on-call engineer", "people", 0),
        level("CTO", "pager", 600),
    ];
    settings
}

#[test]
fn many_triggers_of_a_rollout_and_signal_are_one_incident() {
    let mut world = rolled_back(two_triggers("do = \"escalate\"\nseverity = \"P2\""));
    world.rounds(60);
    assert_eq!(world.decided(), ["rollback errors", "escalate more"]);
    let it = incident(&world);
    assert_eq!((it.decisions.len(), it.causes.len()), (2, 2));
    assert_eq!(
        (it.severity, it.since),
        (Severity::P1, it.opened_at),
        "no worse"
    );
    let receivers: Vec<String> = told(&world).into_iter().map(|it| it.1).collect();
    assert_eq!(
        receivers,
        ["people", "people"],
        "told once each, on the level reached"
    );
    // One of them calm is not the end.
    for it in &mut world.instances {
        it.errors = 0.1;
    }
    world.rounds(60);
    let it = incident(&world);
    assert!(it.is_open() && it.causes.len() == 1, "{it:?}");
}

#[test]
fn one_that_gets_worse_begins_again_and_needs_another_acknowledgement() {
    let second = two_triggers("do = \"escalate\"\nseverity = \"P1\"");
    let text = RULES.replacen("severity = \"P1\"", "severity = \"P3\"", 1).replacen(
        "[[phase.trigger]]\nname = \"errors\"",
        "[[phase.trigger]]\nname = \"more\"\nwhen = \"error_rate > 20%\"\nfor = \"1m\"\ndo = \"escalate\"\nseverity = \"P1\"\n\n[[phase.trigger]]\nname = \"errors\"",
        1,
    );
    let settings = Settings {
        rules: self::settings(&text).rules,
        ..second
    };
    let mut world = rolled_back(settings);
    let it = incident(&world);
    assert_eq!(it.severity, Severity::P3);
    acknowledge(&mut world, &it.id, "ada").unwrap();
    world.rounds(60);
    let it = incident(&world);
    assert_eq!(
        (it.severity, it.rounds, it.acknowledged),
        (Severity::P1, 1, None)
    );
    assert!(it.since > it.opened_at);
    world.rounds(11 * 60);
    assert_eq!(
        world.sent_to("pager").len(),
        1,
        "the CTO, ten minutes after it got worse"
    );
}

#[test]
fn it_resolves_when_its_trigger_does_and_whoever_was_told_hears_so() {
    let mut world = rolled_back(four_levels());
    world.rounds(6 * 60);
    world.deploy("2.0.0", 0.0);
    world.rounds(60);
    let it = incident(&world);
    assert_eq!(it.resolved.as_ref().unwrap().1, "what opened it is over");
    let ended = told(&world);
    let ended: Vec<_> = ended[2..].iter().map(|it| (&*it.1, it.2)).collect();
    let kind = NoticeKind::IncidentResolved;
    assert_eq!(ended, [("pager", kind), ("managers", kind)]);
    world.rounds(30 * 60);
    assert_eq!(calls(&world), WALK[..2]);
    let refused = acknowledge(&mut world, &it.id, "ada").unwrap_err();
    assert!(matches!(refused, Refusal::Conflict(_)), "{refused}");
    assert!(refused.to_string().contains("was resolved at"), "{refused}");
    let nobody = acknowledge(&mut world, &IncidentId("inc_0".into()), "ada").unwrap_err();
    assert_eq!(nobody, Refusal::NoSuchIncident("inc_0".into()));
}

#[test]
fn a_rollout_that_ends_takes_its_incidents_with_it() {
    let mut world = rolled_back(four_levels());
    let rollout = incident(&world).rollout.unwrap();
    world.input(Input::Operator {
        token: 1,
        call: Call::FinishRollout(RolloutId(rollout.0)),
    });
    assert!(!incident(&world).is_open());
}

#[test]
fn the_escalation_of_a_refused_rollback_never_reaches_the_rollback_hook() {
    let mut settings = four_levels();
    // Not even where somebody wrote it into a level, or the hook asks for it.
    for level in &mut settings.people.paths.of_mut(Severity::P1).levels {
        level.hooks.push("deployer".into());
    }
    settings.receivers[0].events = vec![
        NoticeKind::RollbackRequested,
        NoticeKind::EscalationRaised,
        NoticeKind::Notification,
        NoticeKind::IncidentResolved,
    ];
    let mut world = World::new(settings);
    world.rounds(120);
    world.tell("2.0.0", true);
    world.deploy("2.0.0", 0.5);
    world.rounds(30 * 60);
    assert_eq!(world.decided(), ["escalate errors (irreversible)"]);
    assert_eq!(calls(&world), WALK[..4]);
    let id = incident(&world).id;
    acknowledge(&mut world, &id, "ada").unwrap();
    world.deploy("2.0.0", 0.0);
    world.rounds(60);
    assert!(!incident(&world).is_open());
    assert_eq!(world.sent_to("deployer"), []);
}

#[test]
fn a_rollback_given_up_is_a_p1_that_ends_when_somebody_has_it() {
    let mut world = World::new(four_levels());
    world.rounds(120);
    world.tell("2.0.0", false);
    world.deploy("2.0.0", 0.5);
    world.rounds(90);
    let key = world.sent_to("deployer").remove(0);
    world.answer(&key, 410);
    let it = incident(&world);
    let what = "given up".to_owned();
    assert!(it.causes.contains(&Cause::Unseen { what }), "{it:?}");
    let pager = told(&world).into_iter().filter(|it| it.1 == "pager");
    let kinds: Vec<NoticeKind> = pager.map(|it| it.2).collect();
    let expected = [NoticeKind::Notification, NoticeKind::EscalationRaised];
    assert_eq!(kinds, expected, "decided, then given up");
    world.deploy("2.0.0", 0.0);
    world.rounds(60);
    assert!(
        incident(&world).is_open(),
        "no machine sees the end of that"
    );
    acknowledge(&mut world, &it.id, "ada").unwrap();
    let (_, how) = incident(&world).resolved.unwrap();
    assert_eq!(how, "acknowledged by ada");
}

#[test]
fn a_refused_attempt_calls_people_once_however_often_it_is_refused() {
    let mut world = World::new(four_levels());
    world.rounds(120);
    world.tell("2.0.0", false);
    world.deploy("2.0.0", 0.5);
    world.rounds(90);
    let key = world.sent_to("deployer").remove(0);
    world.answer(&key, 404);
    let id = incident(&world).id;
    acknowledge(&mut world, &id, "ada").unwrap();
    world.deploy("2.0.0", 0.0);
    world.rounds(60);
    assert!(!incident(&world).is_open());
    let before = told(&world).len();
    world.answer(&key, 404);
    assert_eq!((told(&world).len(), incidents(&world).len()), (before, 1));
}

#[test]
fn a_blind_signal_is_a_p2_that_ends_with_its_value_even_over_a_restart() {
    let mut world = World::new(settings(RULES));
    world.rounds(120);
    world.tell("2.0.0", false);
    world.rounds(60);
    for it in &mut world.instances {
        it.down = true;
    }
    world.rounds(300);
    let it = incident(&world);
    assert_eq!((it.severity, it.causes.len()), (Severity::P2, 1));
    let mut world = restart(&world, settings(RULES), 0);
    world.rounds(30);
    assert!(incident(&world).is_open());
    for it in &mut world.instances {
        it.down = false;
    }
    // What answers first after a start says little of what nobody saw.
    let mut world = restart(&world, settings(RULES), 0);
    for _ in 0..5 {
        world.scrape(0);
        world.advance_to(world.now + 5000);
    }
    let value = |world: &World| world.snapshot().signals[0].reading.value();
    assert!(value(&world).is_some(), "{:?}", world.snapshot().signals[0]);
    assert!(incident(&world).is_open());
    world.rounds(60);
    assert!(!incident(&world).is_open(), "{:?}", incident(&world));
}

#[test]
fn what_only_tells_and_what_only_watches_opens_none() {
    for second in ["do = \"notify\"", "do = \"escalate\"\nmode = \"shadow\""] {
        let text = RULES.replacen(
            "when = \"error_rate > 1%\"\nfor = \"30s\"\ndo = \"rollback\"",
            &format!("when = \"error_rate > 1%\"\nfor = \"30s\"\n{second}"),
            1,
        );
        let mut world = World::new(settings(&text));
        world.rounds(120);
        world.tell("2.0.0", false);
        world.deploy("2.0.0", 0.5);
        world.rounds(120);
        assert_eq!(world.decisions().len(), 1, "{second}");
        assert_eq!(incidents(&world), [], "{second}");
        let owed = usize::from(second.contains("notify"));
        assert_eq!(world.owed().len(), owed, "{second}");
    }
}

#[test]
fn without_levels_alertmanager_is_told_alone_else_every_webhook() {
    for (alerting, expected) in [
        (true, &["listener"][..]),
        (false, &["people", "listener", "people", "listener"]),
    ] {
        let mut settings = settings(RULES);
        settings.receivers.push(Receiver {
            name: "listener".into(),
            events: vec![NoticeKind::Notification, NoticeKind::EscalationRaised],
            ..settings.receivers[1].clone()
        });
        settings.people = gated::engine::People::default();
        settings.people.paths.p1.repeat = Some(Duration::from_secs(600));
        if !alerting {
            settings.alerting = None;
        }
        let mut world = rolled_back(settings);
        if !alerting {
            world.rounds(11 * 60);
        }
        let told = told(&world);
        let receivers: Vec<&str> = told.iter().map(|it| &*it.1).collect();
        assert_eq!(receivers, expected);
        assert!(told.iter().all(|it| it.3.as_ref().unwrap().level.is_none()));
    }
}

#[test]
fn a_p3_of_the_night_waits_for_the_morning() {
    let text = RULES.replace("severity = \"P1\"", "severity = \"P3\"");
    let mut settings = settings(&text);
    // START is midnight.
    settings.people.paths.p3.quiet = QuietHours::new("23:00", "00:30", TimeZone::UTC);
    let mut world = rolled_back(settings);
    assert_eq!(world.decided(), ["rollback errors"], "that does not wait");
    assert_eq!(world.sent_to("deployer").len(), 1);
    assert_eq!(told(&world), []);
    let half_past = Timestamp::from_millis(START + 30 * MINUTE);
    let shown = &world.snapshot().incidents[0];
    assert_eq!(shown.next.as_ref().unwrap().0, half_past);
    let four_hours = Duration::from_secs(4 * 3600);
    assert_eq!(shown.acknowledge_by, Some(half_past + four_hours));
    let wait = half_past.millis() - 2 * 5000 - world.now;
    world.rounds(wait / 1000);
    assert_eq!(told(&world), []);
    world.rounds(30);
    let told = told(&world);
    assert_eq!((told.len(), &*told[0].1), (1, "people"));
    let opened = incident(&world).opened_at;
    assert_eq!(told[0].0, half_past.since(opened));
}

/// What came of the last input or wake could not be committed.
fn lose(world: &mut World, from: usize) {
    let lost = world.effects.split_off(from);
    let records = lost.into_iter().filter_map(|(_, effect)| match effect {
        Effect::Record(record) => Some(record),
        _ => None,
    });
    let (records, reason) = (records.collect(), "disk full".to_owned());
    world.input(Input::CommitFailed { records, reason });
}

#[test]
fn a_call_that_was_not_recorded_is_made_and_an_incident_that_was_not_is_opened_again() {
    let mut world = rolled_back(four_levels());
    // Up to the second level's call, which is lost.
    let due = incident(&world).opened_at + Duration::from_secs(300);
    while world.now + 5000 < due.millis() {
        world.round();
    }
    let before = world.effects.len();
    world.advance_to(due.millis() + 1);
    assert!(world.effects.len() > before, "the call is due");
    lose(&mut world, before);
    world.rounds(60);
    assert_eq!(
        world.sent_to("managers").len(),
        1,
        "sent once it is recorded"
    );
    assert_eq!(world.ledger().incidents[0].reached, 2);
    // What is in the ledger is in order: no attempt of a delivery that is not there.
    let mut owed = std::collections::BTreeSet::new();
    for record in world.records() {
        match record {
            Record::Owed(it, _) => drop(owed.insert(it.key)),
            Record::Delivery(it) => assert!(owed.contains(&it.key), "{it:?}"),
            _ => {}
        }
    }

    let mut world = World::new(four_levels());
    world.rounds(120);
    world.tell("2.0.0", false);
    world.deploy("2.0.0", 0.5);
    let before = loop {
        let before = world.effects.len();
        world.scrape(0);
        world.scrape(1);
        world.scrape(2);
        if !incidents(&world).is_empty() {
            break before;
        }
        world.advance_to(world.now + 5000);
    };
    let lost = incident(&world);
    lose(&mut world, before);
    assert_eq!(incidents(&world), [], "nothing was decided");
    world.advance_to(world.now + i64::try_from(INTERVAL.as_millis()).unwrap());
    world.rounds(10);
    assert_ne!(incident(&world).id, lost.id);
    assert_eq!(world.sent_to("pager").len(), 1);
    assert_eq!(world.ledger().incidents, [incident(&world)]);
}

#[test]
fn an_answer_that_never_came_is_no_second_call() {
    let mut world = rolled_back(four_levels());
    let key = world.sent_to("pager").remove(0);
    let outcome = Attempted::NoAnswer {
        reason: "timeout".into(),
        reached: true,
    };
    world.input(Input::Attempted {
        key: key.clone(),
        outcome,
    });
    world.rounds(30);
    let keys = world.sent_to("pager");
    assert!(
        keys.len() > 1 && keys.iter().all(|it| *it == key),
        "tried again under its key"
    );
    assert_eq!(calls(&world).len(), 1);
}

/// What the ledger could not take is recorded again before somebody is told of it: the answer would not outlive a crash.
#[test]
fn an_answer_that_rests_on_what_is_not_recorded_waits_for_its_record() {
    let mut world = rolled_back(four_levels());
    let id = incident(&world).id;
    acknowledge(&mut world, &id, "ada").unwrap();
    let taken = incident(&world);
    let failed = Input::CommitFailed {
        records: vec![Record::Incident(Box::new(taken.clone()))],
        reason: "the disk is full".into(),
    };
    world.input(failed);
    let before = world.records().len();
    acknowledge(&mut world, &id, "ada").unwrap();
    let after = world.records();
    let again = |it: &Record| matches!(it, Record::Incident(it) if **it == taken);
    assert!(after[before..].iter().any(again), "{:?}", &after[before..]);
}
