//! What the storm has found, each fault as the few inputs that it takes.

use gated::model::NoticeKind;

use crate::world::{RULES, World, settings};

/// A world in which version 2 has just made errors for as long as it takes to roll it back.
fn rolled_back(mut world: World) -> World {
    world.rounds(60);
    world.deploy("2.0.0", 0.05);
    world.rounds(120);
    assert!(world.decided().contains(&"rollback errors".to_owned()));
    world
}

/// Escalations that people are owed.
fn raised(world: &World) -> usize {
    let people = ("people".to_owned(), NoticeKind::EscalationRaised);
    world.owed().iter().filter(|it| **it == people).count()
}

#[test]
fn people_are_called_when_the_hook_is_gone_before_the_rollback_is_decided() {
    let mut settings = settings(RULES);
    settings.receivers.retain(|it| it.name != "deployer");
    let world = rolled_back(World::new(settings));
    assert_eq!(raised(&world), 1);
}
