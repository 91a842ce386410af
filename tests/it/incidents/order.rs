//! What several notices to one receiver do to each other.

use std::time::Duration;

use gated::engine::{Effect, Record};
use gated::model::{DeliveryKey, DeliveryState, NoticeKind, Severity, Timestamp};

use super::{MINUTE, acknowledge, calls, four_levels, incident, restart, rolled_back};
use crate::world::{RULES, World, settings};

/// W8, W10: what is about one incident comes to a receiver in its order, and waits for nobody else.
#[test]
fn w8_w10_the_end_of_an_incident_does_not_overtake_the_call() {
    let mut world = rolled_back(four_levels());
    world.rounds(6 * 60);
    let call = |world: &World, hook: &str| world.sent_to(hook).remove(0);
    let (pager, managers) = (call(&world, "pager"), call(&world, "managers"));
    // The pager hangs; the managers' hook has answered.
    world.answer(&managers, 200);
    world.deploy("2.0.0", 0.0);
    world.rounds(60);
    assert!(!incident(&world).is_open());
    assert_eq!(world.sent_to("pager"), std::slice::from_ref(&pager));
    assert_eq!(world.sent_to("managers").len(), 2, "the end, at once");
    world.answer(&pager, 200);
    world.rounds(5);
    let sent = world.sent_to("pager");
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_ne!(sent[1], pager, "the end comes after the call");
}

/// W9: who was down for hours hears how it ended, not each call of the time that has gone by; and one request at a time
/// finds out that it is up again.
#[test]
fn w9_a_receiver_that_was_down_is_told_the_end_alone() {
    let mut settings = four_levels();
    // All levels call one hook, and the last again and again.
    for level in &mut settings.people.paths.of_mut(Severity::P1).levels {
        level.hooks = vec!["pager".into()];
    }
    let mut world = rolled_back(settings);
    let down = world.now + 6 * 60 * MINUTE;
    while world.now < down {
        refuse_all(&mut world, 503);
        world.rounds(60);
    }
    assert!(calls(&world).len() > 20, "{:?}", calls(&world));
    world.deploy("2.0.0", 0.0);
    for _ in 0..15 {
        refuse_all(&mut world, 503);
        world.rounds(60);
    }
    assert!(!incident(&world).is_open());
    let before = world.sent_to("pager").len();
    while under_way(&world).is_empty() {
        world.round();
    }
    // It is up.
    for _ in 0..100 {
        for key in under_way(&world) {
            world.answer(&key, 200);
        }
        world.round();
    }
    let after = world.sent_to("pager").split_off(before);
    let ends: Vec<_> = world
        .ledger()
        .deliveries
        .into_iter()
        .filter(|it| after.contains(&it.key))
        .collect();
    let kinds: Vec<_> = ends.iter().map(|it| it.kind).collect();
    assert!(!kinds.is_empty());
    assert!(
        kinds.iter().all(|it| *it == NoticeKind::IncidentResolved),
        "{kinds:?}"
    );
    assert!(
        world
            .ledger()
            .deliveries
            .iter()
            .all(gated::model::Delivery::is_settled)
    );
}

fn under_way(world: &World) -> Vec<DeliveryKey> {
    let deliveries = world.ledger().deliveries.into_iter();
    deliveries
        .filter(|it| matches!(it.state, DeliveryState::UnderWay { .. }))
        .map(|it| it.key)
        .collect()
}

/// At most one request is under way to who fails, and it fails too.
fn refuse_all(world: &mut World, status: u16) {
    let mut first = true;
    loop {
        let keys = under_way(world);
        if keys.is_empty() {
            return;
        }
        assert!(first || keys.len() == 1, "{keys:?}");
        for key in keys {
            world.answer(&key, status);
        }
        first = false;
    }
}

/// K12: killed every two seconds with the request under way, it does not flood who never answers.
#[test]
fn k12_a_crash_loop_sends_no_more_than_the_back_off_allows() {
    let settings = four_levels();
    let mut world = rolled_back(settings.clone());
    let mut sent = 0;
    for _ in 0..150 {
        sent += world.sent_to("pager").len();
        world
            .effects
            .retain(|(_, it)| matches!(it, Effect::Record(_)));
        world = restart(&world, settings.clone(), 2000);
        world.advance_to(world.now + 1);
    }
    // Five minutes: the first two at once, then at waits that double from a second on.
    assert!((6..=12).contains(&sent), "{sent} requests");
}

/// W9: one request at a time finds out whether who was down is up again, however many wait.
#[test]
fn w9_who_fails_is_asked_one_at_a_time() {
    let notify = |n: usize| {
        format!(
            "[[phase.trigger]]\nname = \"n{n}\"\nwhen = \"error_rate > {n}%\"\nfor = \"30s\"\ndo = \"notify\"\nseverity = \"P4\"\n\n"
        )
    };
    let (head, tail) = RULES.split_at(RULES.find("[[phase.trigger]]").unwrap());
    let three: String = (2..5).map(notify).collect();
    let mut world = rolled_back(settings(&format!("{head}{three}{tail}")));
    assert_eq!(under_way(&world).len(), 4, "three notices and a call");
    for key in under_way(&world) {
        world.answer(&key, 503);
    }
    let mut asked = 0;
    for _ in 0..120 {
        world.round();
        let keys = under_way(&world);
        assert!(keys.len() <= 1, "{keys:?}");
        asked += keys.len();
        for key in keys {
            world.answer(&key, 503);
        }
    }
    assert!((5..30).contains(&asked), "{asked} requests in ten minutes");
}

/// W10: owed in one millisecond, they come in the order in which they were owed, and say which is which.
#[test]
fn w10_what_is_owed_in_one_moment_keeps_its_order() {
    for version in ["2.0.0", "2.0.1", "2.0.2", "2.0.3", "2.0.4", "2.0.5"] {
        let mut settings = four_levels();
        settings.rollback.verify_within = Duration::ZERO;
        let mut world = World::new(settings);
        world.rounds(120);
        world.tell(version, false);
        world.deploy(version, 0.5);
        world.rounds(120);
        // The deployer refuses it: that is over when somebody has taken the incident.
        let requests = world.sent_to("deployer");
        for key in &requests {
            world.answer(key, 404);
        }
        world.deploy(version, 0.0);
        world.rounds(120);
        // The second is sent when the first was answered.
        for n in 0..2 {
            let key = world.sent_to("pager")[n].clone();
            world.answer(&key, 200);
        }
        let open = incident(&world);
        assert!(open.is_open());
        // Taken and over in one step.
        acknowledge(&mut world, &open.id, "ann").unwrap();
        let about = |(_, effect): &(Timestamp, Effect)| match effect {
            Effect::Record(Record::Owed(it, notice)) if it.receiver == "pager" => {
                let sequence = notice.incident.as_ref().unwrap().sequence;
                Some((it.created_at, sequence, it.kind, it.key.clone()))
            }
            _ => None,
        };
        let owed: Vec<_> = world.effects.iter().filter_map(about).collect();
        let [.., taken, over] = &owed[..] else {
            panic!("{owed:?}");
        };
        assert_eq!(taken.0, over.0, "one moment");
        assert_eq!(
            (taken.2, over.2),
            (NoticeKind::Notification, NoticeKind::IncidentResolved)
        );
        let sequences: Vec<usize> = owed.iter().map(|it| it.1).collect();
        assert_eq!(sequences, (1..=owed.len()).collect::<Vec<_>>());
        let first = world.sent_to("pager").pop().unwrap();
        assert_eq!(first, taken.3, "the end waits for the one before");
        world.answer(&first, 200);
        assert_eq!(world.sent_to("pager").last(), Some(&over.3));
    }
}
