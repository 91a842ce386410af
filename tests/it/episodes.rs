//! From a trigger's firing to its end is an episode: one decision in each, however it flaps and whatever fires with it.

use gated::engine::Event;
use gated::model::Severity;
use proptest::prelude::*;

use crate::world::{RULES, World, settings};

/// T6: the errors walk at random around the threshold, five seconds a step.
fn walk(steps: &[bool], keep: &str) -> World {
    let rules = RULES.replace("do = \"rollback\"", &format!("do = \"escalate\"{keep}"));
    let mut world = World::new(settings(&rules));
    world.rounds(120);
    world.tell("2.0.0", false);
    world.deploy("2.0.0", 0.0);
    let mut errors: f64 = 0.01;
    for up in steps {
        errors = (errors + if *up { 0.002 } else { -0.002 }).clamp(0.0, 0.03);
        for instance in &mut world.instances {
            instance.errors = errors;
        }
        world.round();
    }
    world
}

fn episodes(world: &World) -> usize {
    world.told(|it| matches!(it, Event::TriggerFiring { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn t6_flapping_decides_at_most_once_an_episode(steps in prop::collection::vec(any::<bool>(), 50..200)) {
        let world = walk(&steps, "");
        prop_assert_eq!(world.decisions().len(), episodes(&world));
        // Held on while it comes and goes, it is one episode.
        let held = walk(&steps, "\nkeep_firing_for = \"1h\"");
        prop_assert!(episodes(&held) <= 1);
        prop_assert_eq!(held.decisions().len(), episodes(&held));
        prop_assert_eq!(episodes(&held) == 1, episodes(&world) > 0);
    }
}

/// T12: the least is written first, and all become true with the same reading.
#[test]
fn t12_of_triggers_that_fire_together_the_gravest_is_decided_first() {
    let trigger = |name: &str, action: &str, severity: &str| {
        format!(
            "[[phase.trigger]]\nname = \"{name}\"\nwhen = \"error_rate > 1%\"\nfor = \"30s\"\ndo = \"{action}\"\nseverity = \"{severity}\"\n\n"
        )
    };
    let first = RULES.find("[[phase.trigger]]").unwrap();
    let (head, tail) = RULES.split_at(first);
    let mild = trigger("mild", "notify", "P4") + &trigger("bad", "escalate", "P2");
    let mut world = World::new(settings(&format!("{head}{mild}{tail}")));
    world.rounds(120);
    world.tell("2.0.0", false);
    world.deploy("2.0.0", 0.5);
    world.rounds(600);
    // The rollback is decided first, people are called once, and the incident names what fired with it.
    assert_eq!(
        world.decided(),
        ["rollback errors", "escalate bad", "notify mild"]
    );
    let shown = world.snapshot().incidents;
    assert_eq!(shown.len(), 1);
    let incident = &shown[0].incident;
    assert_eq!(incident.severity, Severity::P1);
    assert_eq!(incident.causes.len(), 2, "{:?}", incident.causes);
    assert_eq!(incident.reached, 1);
}
