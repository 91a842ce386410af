//! What the engine says to Alertmanager of a decision, and for how long it stands.

use std::sync::Arc;
use std::time::Duration;

use gated::engine::{Alert, Alerting, Effect, Input, Restored};
use gated::model::Timestamp;

use crate::world::{RULES, World, settings};

/// The last word on an alert, as posted.
fn last(world: &World, name: &str) -> (Timestamp, Alert) {
    let posts = world.effects.iter().rev();
    let mut posts = posts.filter_map(|(at, effect)| match effect {
        Effect::Alerts(alerts) => Some((at, alerts)),
        _ => None,
    });
    let found = posts.find_map(|(at, alerts)| {
        let alert = alerts.iter().find(|it| it.labels["alertname"] == name)?;
        Some((*at, alert.clone()))
    });
    found.unwrap_or_else(|| panic!("{name} was never posted"))
}

fn fires(world: &World, name: &str) -> bool {
    let (at, alert) = last(world, name);
    alert.ends_at > at
}

/// Three calm minutes, a bad version, and its rollback.
fn rolled_back(settings: gated::engine::Settings) -> World {
    let mut world = World::new(settings);
    world.rounds(180);
    world.deploy("2.0.0", 0.3);
    while world.decisions().is_empty() {
        world.round();
    }
    world
}

#[test]
fn a_rollback_that_was_decided_is_an_alert_for_five_minutes_however_soon_all_is_well() {
    let mut world = rolled_back(settings(RULES));
    let decided = world.decisions()[0].clone();
    let (at, alert) = last(&world, "RollbackDecided");
    assert_eq!(
        (alert.starts_at, at),
        (decided.at, decided.at),
        "told at once"
    );
    for (label, value) in [
        ("trigger", "errors"),
        ("version", "2.0.0"),
        ("severity", "P1"),
        ("source", "gated"),
        ("owner", "team-api"),
    ] {
        assert_eq!(alert.labels[label], value, "{alert:?}");
    }
    assert_eq!(alert.labels["rollout"], decided.rollout.unwrap().0);
    assert_eq!(alert.annotations["summary"], decided.reason);
    assert!(alert.annotations["value"].ends_with('%'), "{alert:?}");
    let page = format!("http://gated.example/explain/{}", decided.id);
    assert_eq!(alert.generator_url, page);
    assert_eq!(
        last(&world, "Watchdog").1.generator_url,
        "http://gated.example/"
    );

    world.deploy("1.0.0", 0.0);
    world.rounds(240);
    assert!(!fires(&world, "errors"), "the trigger has calmed");
    assert_eq!(last(&world, "errors").1.generator_url, page);
    assert!(fires(&world, "RollbackDecided"));
    assert_eq!(last(&world, "RollbackDecided").1.starts_at, alert.starts_at);
    world.rounds(70);
    assert!(!fires(&world, "RollbackDecided"));
}

#[test]
fn a_restart_ends_no_alert_of_a_decision_early() {
    let mut world = rolled_back(settings(RULES));
    let decided_at = world.decisions()[0].at;
    world.rounds(60);
    let mut restarted = World::restored(settings(RULES), world.ledger(), world.now + 5000);
    restarted.rounds(60);
    assert!(fires(&restarted, "RollbackDecided"));
    assert_eq!(last(&restarted, "RollbackDecided").1.starts_at, decided_at);
}

#[test]
fn a_rollback_that_was_refused_says_by_which_guard() {
    let mut settings = settings(RULES);
    settings.rollback.mode = gated::engine::RollbackMode::Shadow;
    let world = rolled_back(settings);
    let (_, alert) = last(&world, "RollbackRefused");
    let guard = world.decisions()[0].refused_by.unwrap().to_string();
    assert_eq!(alert.annotations["refused_by"], guard);
    assert_eq!(alert.labels["trigger"], "errors");
}

#[test]
fn a_rule_that_is_only_tried_calls_nobody() {
    let rules = RULES.replace("do = \"rollback\"", "mode = \"shadow\"\ndo = \"rollback\"");
    let world = rolled_back(settings(&rules));
    let mut all = world.effects.iter().filter_map(|(_, effect)| match effect {
        Effect::Alerts(alerts) => Some(alerts),
        _ => None,
    });
    let refused = |it: &Alert| it.labels["alertname"].starts_with("Rollback");
    assert!(!all.any(|alerts| alerts.iter().any(refused)));
}

/// A6: too short an end, and a post that waits behind a slow peer resolves what fires.
#[test]
fn a6_what_fires_is_valid_for_four_resends_and_three_minutes_at_least() {
    for (resend, valid) in [(1, 180), (45, 180), (60, 240)] {
        let mut settings = settings(RULES);
        settings.alerting = Some(Alerting {
            resend: Duration::from_secs(resend),
        });
        let mut world = World::restored(settings, Restored::default(), crate::world::START);
        world.rounds(180);
        let (at, watchdog) = last(&world, "Watchdog");
        // Posted at its own time, up to a round before the world looks.
        let meant = at + Duration::from_secs(valid);
        let early = meant.since(watchdog.ends_at);
        assert!(
            watchdog.ends_at <= meant && early < Duration::from_secs(6),
            "{early:?}"
        );
    }
}

#[test]
fn without_an_external_url_an_alert_still_has_an_absolute_one() {
    let mut settings = settings(RULES);
    settings.external_url = None;
    let world = rolled_back(settings);
    let decided = &world.decisions()[0].id;
    let (_, alert) = last(&world, "RollbackDecided");
    assert_eq!(
        alert.generator_url,
        format!("http://localhost/explain/{decided}")
    );
}

/// Without levels Alertmanager is all that people hear: what no trigger shows must reach it too.
#[test]
fn without_levels_alertmanager_hears_of_rollbacks_that_did_not_arrive_or_did_not_help() {
    let alone = || {
        let mut alone = settings(RULES);
        alone.people = gated::engine::People::default();
        alone.rollback.give_up_after = Duration::from_secs(300);
        alone
    };
    let summary = |world: &World, name: &str| {
        let (_, alert) = last(world, name);
        assert_eq!(alert.labels["severity"], "P1");
        assert!(alert.generator_url.contains("/explain/"));
        assert!(alert.annotations.contains_key("incident"));
        alert.annotations["summary"].clone()
    };
    // Refused, and given up after a while.
    let mut world = rolled_back(alone());
    let key = world.sent_to("deployer")[0].clone();
    world.answer(&key, 404);
    world.rounds(10);
    assert!(
        world
            .owed()
            .iter()
            .all(|(receiver, _)| receiver == "deployer")
    );
    let text = summary(&world, "RollbackNotDelivered");
    assert!(text.contains("not delivered: HTTP 404"), "{text}");
    let first = last(&world, "RollbackNotDelivered").1.starts_at;
    for _ in 0..80 {
        world.round();
        world.answer(&key, 404);
    }
    let text = summary(&world, "RollbackNotDelivered");
    assert!(text.contains("undelivered for 5m"), "{text}");
    assert!(fires(&world, "RollbackNotDelivered"));
    assert_eq!(last(&world, "RollbackNotDelivered").1.starts_at, first);
    // Delivered, and of no help.
    let mut world = rolled_back(alone());
    let key = world.sent_to("deployer")[0].clone();
    world.answer(&key, 200);
    world.deploy("1.0.0", 0.3);
    world.rounds(900);
    let text = summary(&world, "RollbackIneffective");
    assert!(text.contains("did not help"), "{text}");
    // Delivered, and nothing can be seen any more.
    let mut world = rolled_back(alone());
    let key = world.sent_to("deployer")[0].clone();
    world.answer(&key, 200);
    world.rounds(10);
    world.instances.iter_mut().for_each(|it| it.down = true);
    world.rounds(900);
    let (_, alert) = last(&world, "RollbackUnverified");
    assert!(alert.annotations["summary"].contains("cannot be seen"));
}

/// With the receivers that `gated init` writes (a rollback hook and an Alertmanager) no webhook is told of the day.
#[test]
fn what_no_receiver_is_told_of_is_an_alert_for_a_quarter_of_an_hour() {
    let rules = RULES.to_owned()
        + "[[phase.activity]]\ntitle = \"Stand-up\"\nat = \"00:30\"\ntext = \"How was the night?\"\nchecklist = [\"Check incident log\"]\n\
           [[phase.activity]]\ntitle = \"Look\"\nat = \"00:30\"\nnotify = false\n";
    let alone = |alerting: bool| {
        let mut alone = settings(&rules);
        alone.people = gated::engine::People::default();
        alone.receivers.retain(|it| it.name == "deployer");
        alone.alerting = alone.alerting.filter(|_| alerting);
        assert_eq!(alone.notifies(gated::model::Severity::P3), alerting);
        alone
    };
    let mut world = World::new(alone(true));
    world.rounds(60);
    world.deploy("2.0.0", 0.0);
    world.rounds(30 * 60);
    let due = world.decisions();
    let due: Vec<_> = due
        .iter()
        .filter(|it| it.trigger == "due:Stand-up")
        .collect();
    let [due] = due[..] else { panic!("{due:?}") };
    assert!(world.owed().is_empty(), "{:?}", world.owed());
    let (_, alert) = last(&world, "ActivityDue");
    for (label, value) in [
        ("activity", "Stand-up"),
        ("phase", "bake"),
        ("severity", "P4"),
        ("decision", due.id.as_str()),
    ] {
        assert_eq!(alert.labels[label], value, "{alert:?}");
    }
    assert_eq!(alert.annotations["summary"], "Stand-up");
    let more = "How was the night?\n- Check incident log";
    assert_eq!(alert.annotations["description"], more);
    assert_eq!(alert.starts_at, due.at);
    assert!(fires(&world, "ActivityDue"));
    // A restart neither ends it nor tells it again.
    let mut restarted = World::restored(alone(true), world.ledger(), world.now + 5000);
    restarted.rounds(60);
    assert!(fires(&restarted, "ActivityDue"));
    assert_eq!(
        last(&restarted, "ActivityDue").1,
        Alert {
            ends_at: last(&restarted, "ActivityDue").1.ends_at,
            ..alert.clone()
        }
    );
    // It ends by itself, whether anything is scraped or not, and is not posted for ever.
    world.advance_to(due.at.millis() + 17 * 60_000);
    assert!(!fires(&world, "ActivityDue"));
    for minute in 18..40 {
        world.advance_to(due.at.millis() + minute * 60_000);
    }
    let (at, _) = last(&world, "ActivityDue");
    assert!(at.since(due.at) < Duration::from_secs(33 * 60), "{at}");

    // Whoever is told needs no alert.
    let mut world = World::new(settings(&rules));
    world.rounds(60);
    world.deploy("2.0.0", 0.0);
    world.rounds(30 * 60);
    assert_eq!(world.owed().len(), 1);
    let mut posted = world.effects.iter().filter_map(|(_, effect)| match effect {
        Effect::Alerts(alerts) => Some(alerts),
        _ => None,
    });
    assert!(posted.all(|it| it.iter().all(|it| it.labels["alertname"] != "ActivityDue")));
}

#[test]
fn a_reload_gives_a_calm_watchdog_its_labels() {
    let alerting = |owner: &str| {
        let mut settings = settings(RULES);
        let resend = Duration::from_secs(10);
        settings.alerting = Some(Alerting { resend });
        settings.labels = [("owner".to_owned(), owner.to_owned())].into();
        settings
    };
    let mut world = World::new(alerting("ada"));
    world.rounds(60);
    assert_eq!(last(&world, "Watchdog").1.labels["owner"], "ada");
    world.input(Input::Reload(Arc::new(alerting("bob"))));
    world.rounds(60);
    assert_eq!(last(&world, "Watchdog").1.labels["owner"], "bob");
}
