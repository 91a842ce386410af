//! What the storm has found, each fault as the few inputs that it takes.

use gated::engine::{Effect, Input, OnDoubt, Record, Restored, Settings};
use gated::model::{Deed, DeliveryKey, DeliveryState, NoticeKind};

use crate::world::{RULES, World, settings};

/// A world in which version 2 made errors for as long as it takes to roll it back; nothing was answered yet.
fn rolled_back(settings: Settings) -> World {
    let mut world = World::new(settings);
    world.rounds(60);
    world.deploy("2.0.0", 0.05);
    while !world.decided().contains(&"rollback errors".to_owned()) {
        world.round();
    }
    world
}

fn request(world: &World) -> DeliveryKey {
    world.sent_to("deployer")[0].clone()
}

/// How often people are owed a notice of this kind.
fn told(world: &World, kind: NoticeKind) -> usize {
    let people = ("people".to_owned(), kind);
    world.owed().iter().filter(|it| **it == people).count()
}

/// The ledger says that it could not take what came out since.
fn fails(world: &mut World, since: usize) {
    let records = world.effects[since..]
        .iter()
        .filter_map(|(_, it)| match it {
            Effect::Record(record) => Some(record.clone()),
            _ => None,
        });
    let records = records.collect();
    world.effects.truncate(since);
    let reason = "the disk is full".into();
    world.input(Input::CommitFailed { records, reason });
}

#[test]
fn people_are_called_when_the_hook_is_gone_before_the_rollback_is_decided() {
    let mut settings = settings(RULES);
    settings.receivers.retain(|it| it.name != "deployer");
    let world = rolled_back(settings);
    assert_eq!(told(&world, NoticeKind::EscalationRaised), 1);
}

#[test]
fn an_old_record_that_failed_does_not_undo_what_came_after_it() {
    let mut world = rolled_back(settings(RULES));
    let before = world.ledger().rollouts.last().unwrap().clone();
    let decision = world.decisions()[0].id.clone();
    world.input(Input::Operator {
        token: 1,
        call: gated::engine::Call::Veto {
            decision,
            said: gated::engine::Word::default(),
        },
    });
    world.input(Input::CommitFailed {
        records: vec![Record::Rollout(before)],
        reason: "the disk is full".into(),
    });
    world.rounds(10);
    let after = world.ledger().rollouts.last().unwrap().clone();
    assert!(after.vetoed.is_some(), "{after:?}");
}

#[test]
fn people_hear_of_it_although_the_ledger_failed_at_first() {
    let mut world = rolled_back(settings(RULES));
    let (key, since) = (request(&world), world.effects.len());
    world.answer(&key, 410);
    assert_eq!(told(&world, NoticeKind::EscalationRaised), 1);
    fails(&mut world, since);
    assert_eq!(told(&world, NoticeKind::EscalationRaised), 0);
    world.rounds(10);
    assert_eq!(told(&world, NoticeKind::EscalationRaised), 1);
    let ledger = world.ledger();
    let request = ledger.deliveries.iter().find(|it| it.key == key).unwrap();
    assert!(matches!(request.state, DeliveryState::GivenUp { .. }));
}

#[test]
fn an_attempt_under_way_is_not_begun_again_because_an_older_record_failed() {
    let mut world = rolled_back(settings(RULES));
    let (key, since) = (request(&world), world.effects.len());
    world.answer(&key, 503);
    let records = world.effects[since..]
        .iter()
        .filter_map(|(_, it)| match it {
            Effect::Record(record) => Some(record.clone()),
            _ => None,
        });
    let records = records.collect();
    world.advance_to(world.now + 2000);
    assert_eq!(world.sent_to("deployer").len(), 2);
    let reason = "the disk is full".into();
    world.input(Input::CommitFailed { records, reason });
    world.answer(&key, 200);
    world.rounds(30);
    assert_eq!(world.sent_to("deployer").len(), 2);
    let ledger = world.ledger();
    let request = ledger.deliveries.iter().find(|it| it.key == key).unwrap();
    assert!(matches!(request.state, DeliveryState::Delivered { .. }));
}

/// The deployer ignores the key.
fn careful() -> Settings {
    let mut settings = settings(RULES);
    settings.receivers[0].on_doubt = OnDoubt::Hold;
    settings
}

fn again(ledger: Restored, now: i64) -> World {
    let mut world = World::restored(careful(), ledger, now);
    world.advance_to(now + 1000);
    world
}

#[test]
fn a_restart_sends_what_was_under_way_once_although_another_is_held() {
    let before = rolled_back(careful());
    let notice = before.sent_to("people")[0].clone();
    let world = again(before.ledger(), before.now);
    let sent = world.sent_to("people");
    assert_eq!(sent.iter().filter(|it| **it == notice).count(), 1);
    let ledger = world.ledger();
    let notice = ledger.deliveries.iter().find(|it| it.key == notice);
    assert!(matches!(
        notice.unwrap().state,
        DeliveryState::UnderWay { .. }
    ));
}

#[test]
fn a_restart_calls_the_people_whom_the_ledger_does_not_know_of() {
    let mut before = rolled_back(careful());
    before.answer(&request(&before), 410);
    let mut ledger = before.ledger();
    let raised = NoticeKind::EscalationRaised;
    ledger.deliveries.retain(|it| it.kind != raised);
    ledger.incidents.clear();
    let world = again(ledger.clone(), before.now);
    assert_eq!(told(&world, raised), 1);
    let late = again(ledger, before.now + 2 * 86_400_000);
    assert_eq!(told(&late, raised), 0);
}

#[test]
fn a_freeze_that_was_recorded_late_does_not_outlive_its_thaw() {
    let mut before = rolled_back(settings(RULES));
    let said = gated::engine::Word::default();
    let hold = std::time::Duration::from_secs(3600);
    let freeze = gated::engine::Call::Freeze {
        said: said.clone(),
        hold,
    };
    for call in [freeze, gated::engine::Call::Thaw(said)] {
        before.input(Input::Operator { token: 1, call });
    }
    let mut ledger = before.ledger();
    ledger.audit.reverse();
    assert_eq!(ledger.audit[0].deed, Deed::Thaw);
    assert_eq!(again(ledger, before.now).snapshot().frozen, None);
}
