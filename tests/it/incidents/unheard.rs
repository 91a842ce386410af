//! W6: people whose hook refuses what it is sent, or is gone: the next of them are called, and nothing is sent in vain.

use std::sync::Arc;

use gated::engine::{Event, Input, Settings};
use gated::model::{DeliveryState, NoticeIncident, NoticeKind, Severity};

use super::{four_levels, incident, restart, rolled_back, told};
use crate::world::World;

/// Answers what is on its way to this hook.
fn answer(world: &mut World, hook: &str, status: u16) {
    for key in world.sent_to(hook) {
        world.answer(&key, status);
    }
}

/// Who was called, and after how many minutes.
fn calls(world: &World) -> Vec<String> {
    let call = |(after, receiver, _, incident): (
        std::time::Duration,
        String,
        _,
        Option<NoticeIncident>,
    )| {
        let role = incident?.role?;
        Some(format!("{}m {role} {receiver}", after.as_secs() / 60))
    };
    told(world).into_iter().filter_map(call).collect()
}

fn open_to(world: &World, hook: &str) -> Vec<DeliveryState> {
    let decisions = world.snapshot().decisions;
    let owed = decisions.iter().flat_map(|(_, owed)| owed);
    let owed = owed.filter(|it| it.receiver == hook && !it.is_settled());
    owed.map(|it| it.state.clone()).collect()
}

#[test]
fn w6_a_level_that_refuses_is_not_waited_for() {
    let mut world = rolled_back(four_levels());
    answer(&mut world, "pager", 404);
    assert_eq!(
        calls(&world),
        [
            "0m on-call engineer pager",
            "0m operations manager managers"
        ]
    );
    // It is asked on, slowly, for somebody may mend the configuration.
    assert!(matches!(
        open_to(&world, "pager")[..],
        [DeliveryState::Owed { .. }]
    ));
    answer(&mut world, "managers", 200);
    world.rounds(9 * 60);
    assert_eq!(calls(&world).len(), 2, "one that took it ends the hurry");
    world.rounds(2 * 60);
    assert_eq!(
        calls(&world)[2],
        "10m technical lead lead",
        "at its own time"
    );
    let owed = world.sent_to("managers");
    assert_eq!(owed.len(), 1);
    assert!(incident(&world).acknowledged.is_none());
}

#[test]
fn w6_all_levels_that_refuse_are_gone_through_at_once_and_once() {
    let mut world = rolled_back(four_levels());
    for hook in ["pager", "managers", "lead", "phone"] {
        answer(&mut world, hook, 400);
    }
    let at_once = [
        "0m on-call engineer pager",
        "0m operations manager managers",
        "0m technical lead lead",
        "0m CTO phone",
    ];
    assert_eq!(calls(&world), at_once);
    // The last is repeated as ever: fifteen minutes later.
    world.rounds(14 * 60);
    assert_eq!(calls(&world), at_once);
}

/// One of two at a level took it: that level knows.
#[test]
fn w6_who_stands_beside_one_that_refuses_is_enough() {
    let mut both = four_levels();
    let first = &mut both.people.paths.of_mut(Severity::P1).levels[0];
    first.hooks.push("people".into());
    let mut world = rolled_back(both);
    answer(&mut world, "people", 200);
    answer(&mut world, "pager", 404);
    world.rounds(4 * 60);
    assert_eq!(
        calls(&world),
        ["0m on-call engineer people", "0m on-call engineer pager"]
    );
}

#[test]
fn w6_a_hook_that_is_gone_is_sent_nothing_until_the_files_are_read_again() {
    let mut world = rolled_back(four_levels());
    answer(&mut world, "pager", 410);
    assert_eq!(world.snapshot().gone, ["pager"]);
    assert!(open_to(&world, "pager").is_empty(), "given up");
    assert_eq!(calls(&world)[1], "0m operations manager managers");
    assert_eq!(world.told(|it| matches!(it, Event::ReceiverGone { .. })), 1);
    answer(&mut world, "managers", 200);
    world.deploy("2.0.0", 0.0);
    world.rounds(10 * 60);
    assert!(!incident(&world).is_open());
    assert!(
        world
            .owed()
            .contains(&("pager".into(), NoticeKind::IncidentResolved))
    );
    assert_eq!(
        world.sent_to("pager").len(),
        1,
        "its end was not sent there"
    );
    let reload = |settings: Settings| Input::Reload(Arc::new(settings));
    world.input(reload(four_levels()));
    assert!(world.snapshot().gone.is_empty());
    world.deploy("2.0.0", 0.5);
    world.rounds(10 * 60);
    assert_eq!(world.sent_to("pager").len(), 2, "{:?}", calls(&world));
}

/// The rollback's hook is gone: people are told at once, and a restart asks it again.
#[test]
fn w6_a_deployer_that_is_gone_calls_people() {
    let mut settings = four_levels();
    settings.rollback.verify_within = std::time::Duration::ZERO;
    let mut world = World::new(settings.clone());
    world.rounds(120);
    world.tell("2.0.0", false);
    world.deploy("2.0.0", 0.5);
    world.rounds(120);
    answer(&mut world, "deployer", 410);
    assert_eq!(world.snapshot().gone, ["deployer"]);
    assert!(
        world
            .owed()
            .contains(&("pager".into(), NoticeKind::EscalationRaised))
    );
    let again = restart(&world, settings, 1000);
    assert!(again.snapshot().gone.is_empty());
}
