//! The criteria of the exit, and the lines of a checklist that a machine sees: met or not, since when it could be, and what
//! nobody knows.

use std::sync::Arc;
use std::time::Duration;

use gated::engine::{Call, CriterionOutcome, CriterionState, Input, ItemState, Observed, Settings};
use gated::model::labels::NAME;
use gated::model::{Labels, Timestamp, Verdict};

use crate::checklist::{attest, item};
use crate::world::{RULES, START, World, settings};

const MINUTE: i64 = 60_000;

const EXIT: &str = r#"
[uptime]
down = "error_rate > 1%"

[signals.tickets]
expr = 'sum(support_tickets_open)'
unit = "count"

[[phase]]
name = "watch"
from = "0s"
until = "1h"

[[phase.trigger]]
name = "errors"
when = "error_rate > 1%"
for = "30s"
do = "escalate"
severity = "P1"

[[phase]]
name = "exit"
from = "1h"

[[phase.criterion]]
title = "Uptime > 90%"
uptime = "> 90%"
over = "2h"

[[phase.criterion]]
title = "Zero P1 incidents"
no_incidents = "P1"
over = "2h"

[[phase.criterion]]
title = "Few errors"
when = "error_rate < 0.5%"
over = "2h"

[[phase.criterion]]
title = "Few errors of late"
when = "error_rate < 0.5%"
over = "1h"

[[phase.criterion]]
title = "Errors now"
when = "error_rate < 0.5%"

[[phase.criterion]]
title = "Tickets stable"
stable = "tickets"
over = "2h"

[[phase.criterion]]
title = "Team trained"
attested = true
"#;

fn exit() -> Settings {
    let head = &RULES[..RULES.find("[[phase]]").unwrap()];
    let rules = head.to_owned() + EXIT;
    let mut settings = settings(&rules.replace("clock = \"rollout\"", "clock = \"go_live\""));
    settings.rollout.go_live = Some(Timestamp::from_millis(START));
    settings
}

fn criterion(world: &World, id: &str) -> CriterionState {
    let all = world.snapshot().criteria;
    all.iter()
        .find(|it| it.id == format!("exit/{id}"))
        .unwrap()
        .clone()
}

fn minute(at: Option<Timestamp>) -> i64 {
    let at = at.expect("a time");
    (at.millis() - START) / MINUTE
}

#[test]
fn criteria_say_met_or_not_and_from_when_at_the_earliest() {
    let mut world = World::new(exit());
    world.rounds(10 * 60);
    // Ten minutes are no two hours: blocked until they are over, whatever was good so far.
    for id in ["uptime-90", "zero-p1-incidents", "few-errors"] {
        let it = criterion(&world, id);
        let CriterionOutcome::Blocked(until) = it.outcome else {
            panic!("{it:?}");
        };
        assert!((110..=121).contains(&minute(until)), "{it:?}");
    }
    assert_eq!(
        criterion(&world, "errors-now").outcome,
        CriterionOutcome::Met
    );
    // Three bad minutes.
    for instance in &mut world.instances {
        instance.errors = 0.2;
    }
    world.rounds(3 * 60);
    for instance in &mut world.instances {
        instance.errors = 0.0;
    }
    world.rounds(118 * 60);
    let calm = criterion(&world, "zero-p1-incidents");
    let CriterionOutcome::NotMet(until) = calm.outcome else {
        panic!("{calm:?}");
    };
    let resolved = world.snapshot().incidents[0]
        .incident
        .resolved
        .clone()
        .unwrap()
        .0;
    assert_eq!(until, Some(resolved + Duration::from_secs(7200)));
    let few = criterion(&world, "few-errors");
    let CriterionOutcome::NotMet(until) = few.outcome else {
        panic!("{few:?}");
    };
    assert!((132..=135).contains(&minute(until)), "{few:?}");
    assert_eq!(
        criterion(&world, "uptime-90").outcome,
        CriterionOutcome::Met
    );
    assert!(
        criterion(&world, "team-trained")
            .why
            .contains("gated attest exit/team-trained")
    );
    let verdict = world.verdict();
    assert_ne!(verdict.verdict, Verdict::Go);
    assert!(
        verdict
            .reasons
            .iter()
            .any(|it| it.starts_with("not met: Zero P1 incidents")),
        "{:?}",
        verdict.reasons
    );
    // Each turns met when it said, not a minute before.
    let earliest = minute(until);
    world.advance_to(world.now);
    while (world.now - START) / MINUTE < earliest - 1 {
        world.rounds(60);
    }
    assert_ne!(
        criterion(&world, "few-errors").outcome,
        CriterionOutcome::Met
    );
    world.rounds(120);
    assert_eq!(
        criterion(&world, "few-errors").outcome,
        CriterionOutcome::Met
    );
    attest(&mut world, "exit/team-trained", true).unwrap();
    assert_eq!(
        criterion(&world, "team-trained").outcome,
        CriterionOutcome::Met
    );
}

/// A signal that is looked back on twice has its minutes once, after a restart as well.
#[test]
fn a_restart_counts_no_minute_twice() {
    let mut world = World::new(exit());
    world.rounds(70 * 60);
    let before = criterion(&world, "few-errors");
    assert!(
        matches!(before.outcome, CriterionOutcome::Blocked(_)),
        "{before:?}"
    );
    let mut again = World::restored(exit(), world.ledger(), world.now + 1000);
    again.rounds(60);
    let after = criterion(&again, "few-errors");
    assert!(
        matches!(after.outcome, CriterionOutcome::Blocked(_)),
        "{after:?}"
    );
}

/// What gated did not see for more than a twentieth of the time it does not call good.
#[test]
fn unknown_minutes_block_a_criterion() {
    let mut world = World::new(exit());
    world.rounds(60 * 60);
    for instance in &mut world.instances {
        instance.down = true;
    }
    world.rounds(10 * 60);
    for instance in &mut world.instances {
        instance.down = false;
    }
    world.rounds(55 * 60);
    let it = criterion(&world, "uptime-90");
    assert!(
        matches!(it.outcome, CriterionOutcome::Blocked(Some(_))),
        "{it:?}"
    );
    assert!(it.why.contains("unknown"), "{it:?}");
    // Who did not look has not seen that there was no incident.
    let calm = criterion(&world, "zero-p1-incidents");
    let CriterionOutcome::Blocked(Some(until)) = calm.outcome else {
        panic!("{calm:?}");
    };
    assert!(minute(Some(until)) > 125, "{calm:?}");
}

/// An incident is a reason at once, and for as long when the ledger has let go of the decisions about it.
#[test]
fn an_incident_counts_at_once_and_without_its_decisions() {
    let mut world = World::new(exit());
    // Seconds past the minute, so that no end of one is near.
    world.rounds(50 * 60 + 10);
    for instance in &mut world.instances {
        instance.errors = 0.2;
    }
    while world.snapshot().incidents.is_empty() {
        world.round();
    }
    let calm = |world: &World| criterion(world, "zero-p1-incidents");
    assert!(calm(&world).why.contains("is open"), "{:?}", calm(&world));
    for instance in &mut world.instances {
        instance.errors = 0.0;
    }
    while world.snapshot().incidents[0].incident.is_open() {
        world.round();
    }
    assert!(calm(&world).why.contains(" ended "), "{:?}", calm(&world));
    world.rounds(60 * 60);
    let mut ledger = world.ledger();
    ledger.decisions.clear();
    ledger.deliveries.clear();
    let later = World::restored(exit(), ledger, world.now + 1000);
    assert!(calm(&later).why.contains(" ended "), "{:?}", calm(&later));
}

/// A word stands for what no machine sees, and for nothing that it does see.
#[test]
fn a_word_counts_where_the_machine_is_blind() {
    let item_of = r#"until = "1h"
checklist = [{ item = "Few tickets", when = "tickets < 5" }]"#;
    let head = &RULES[..RULES.find("[[phase]]").unwrap()];
    let text = head.to_owned() + &EXIT.replacen("until = \"1h\"", item_of, 1);
    let mut seeing = exit();
    seeing.rules = settings(&text.replace("clock = \"rollout\"", "clock = \"go_live\"")).rules;
    let mut world = World::new(seeing);
    world.rounds(60);
    let state = |world: &World| {
        let it = item(world, "watch/few-tickets");
        (it.state, it.by_machine)
    };
    assert_eq!(state(&world), (ItemState::Unknown, true));
    attest(&mut world, "watch/few-tickets", true).unwrap();
    world.rounds(10);
    assert_eq!(state(&world), (ItemState::Done, false));
    for (value, expected) in [(9.0, ItemState::Open), (2.0, ItemState::Done)] {
        let labels = Labels::new([(NAME, "support_tickets_open")]);
        let call = Call::Observe {
            values: vec![Observed { labels, value }],
            lifetime: Duration::from_secs(3600),
            by: "ada".into(),
        };
        world.input(Input::Operator { token: 7, call });
        world.rounds(10);
        assert_eq!(state(&world), (expected, true), "{value}");
    }
}

/// Criteria that a reload brings look back on the ledger's minutes.
#[test]
fn criteria_of_a_reload_count_what_was_before() {
    let before = || {
        let mut settings = exit();
        let text = EXIT.split("[[phase.criterion]]").next().unwrap();
        let head = &RULES[..RULES.find("[[phase]]").unwrap()];
        let text = (head.to_owned() + text).replace("clock = \"rollout\"", "clock = \"go_live\"");
        settings.rules = crate::world::settings(&text).rules;
        settings
    };
    let mut world = World::new(before());
    world.rounds(130 * 60);
    world.input(Input::Reload(Arc::new(exit())));
    world.rounds(2 * 60);
    let few = |world: &World| criterion(world, "few-errors").outcome;
    assert!(
        matches!(few(&world), CriterionOutcome::Blocked(_)),
        "{:?}",
        few(&world)
    );
    let minutes = world.ledger().minutes;
    world.input(Input::Recalled(minutes));
    world.rounds(60);
    assert_eq!(few(&world), CriterionOutcome::Met);
}

/// Totals of the day count from the go-live to the end of their phase, whatever comes after.
#[test]
fn totals_since_the_go_live_end_with_their_phase() {
    let since = r#"until = "1h"
checklist = [
  { item = "No P1 so far", no_incidents = "P1", over = "go_live" },
  { item = "Up so far", uptime = "> 90%", over = "go_live" },
]"#;
    let totals = || {
        let mut settings = exit();
        let text = EXIT.replacen("until = \"1h\"", since, 1)
            + r#"
[[phase.trigger]]
name = "errors of the exit"
when = "error_rate > 1%"
for = "30s"
do = "escalate"
severity = "P1"
"#;
        let head = &RULES[..RULES.find("[[phase]]").unwrap()];
        let text = (head.to_owned() + &text).replace("clock = \"rollout\"", "clock = \"go_live\"");
        settings.rules = crate::world::settings(&text).rules;
        settings
    };
    let states = |world: &World| {
        let state = |id: &str| item(world, &format!("watch/{id}")).state;
        (state("no-p1-so-far"), state("up-so-far"))
    };
    let bad = |world: &mut World, minutes: i64| {
        for instance in &mut world.instances {
            instance.errors = 0.2;
        }
        world.rounds(minutes * 60);
        for instance in &mut world.instances {
            instance.errors = 0.0;
        }
    };
    // A bad start is not forgotten.
    let mut world = World::new(totals());
    world.rounds(5 * 60);
    bad(&mut world, 3);
    world.rounds(51 * 60);
    assert_eq!(states(&world), (ItemState::Open, ItemState::Done));
    world.rounds(90 * 60);
    assert_eq!(states(&world), (ItemState::Open, ItemState::Done));
    // What comes after the hour is none of its.
    let mut world = World::new(totals());
    world.rounds(61 * 60);
    assert_eq!(states(&world), (ItemState::Done, ItemState::Done));
    bad(&mut world, 20);
    assert_eq!(world.snapshot().incidents.len(), 1);
    world.rounds(20 * 60);
    assert_eq!(states(&world), (ItemState::Done, ItemState::Done));
}
