//! Prometheus' rule groups over reloads and restarts: what is carried on, and what the ledger knows of it.

use std::sync::Arc;

use gated::engine::{Input, Settings};

use crate::world::{RULES, World, groups, settings};

/// gated's own rules beside groups of Prometheus.
fn with(text: &str) -> Settings {
    let mut with = settings(RULES);
    let mut rules = (*with.rules).clone();
    rules.groups = groups(text);
    rules.phases[0].triggers.clear();
    with.rules = Arc::new(rules);
    with
}

/// One group that is evaluated every 10 s.
fn group(name: &str, rules: &[&str]) -> String {
    let rules = rules.iter().map(|rule| format!("  - {rule}\n"));
    let rules: String = rules.collect();
    format!("- name: {name}\n  interval: 10s\n  rules:\n{rules}")
}

fn one_group(rules: &[&str]) -> Settings {
    with(&format!("groups:\n{}", group("g", rules)))
}

/// Since when the alerts of the rules of that name are active, in seconds before the world's time.
fn active(world: &World, rule: &str) -> Vec<i64> {
    let groups = world.snapshot().groups;
    let rules = groups.iter().flat_map(|group| &group.rules);
    let alerts = rules
        .filter(|it| it.name == rule)
        .flat_map(|it| &it.alerting.as_ref().unwrap().alerts);
    let since = alerts.map(|it| (world.now - it.active_at.millis()) / 1000);
    since.collect()
}

const ALWAYS: &str = "{alert: Always, expr: 'vector(1)'}";
const LATER: &str = "{alert: Later, expr: 'vector(1)', for: 5m}";
/// Fires with the series that the rules above write.
const SEEN: &str =
    "{alert: Seen, expr: 'ALERTS{alertname=\"Later\"} * on (alertname) ALERTS_FOR_STATE'}";

#[test]
fn what_a_reload_adds_writes_its_series_at_once() {
    let mut world = World::new(one_group(&[SEEN, ALWAYS]));
    world.rounds(60);
    assert_eq!(active(&world, "Seen").len(), 0);
    // A rule more.
    world.input(Input::Reload(Arc::new(one_group(&[SEEN, ALWAYS, LATER]))));
    world.rounds(30);
    assert_eq!(active(&world, "Later").len(), 1);
    assert_eq!(active(&world, "Seen").len(), 1);
    // The same rule with another label.
    let relabelled = LATER.replace("for", "labels: {team: a}, for");
    world.input(Input::Reload(Arc::new(one_group(&[
        SEEN,
        ALWAYS,
        &relabelled,
    ]))));
    world.rounds(30);
    assert_eq!(active(&world, "Seen").len(), 1);
    assert!(active(&world, "Seen")[0] < 30);
    // A group more: nothing was there before the start that it could take over.
    let mut world = World::new(one_group(&[SEEN, ALWAYS]));
    world.rounds(60);
    let (old, more) = (group("g", &[SEEN, ALWAYS]), group("h", &[LATER]));
    world.input(Input::Reload(Arc::new(with(&format!(
        "groups:\n{old}{more}"
    )))));
    world.advance_to(world.now + 19_000);
    assert_eq!(active(&world, "Seen").len(), 1);
}

#[test]
fn before_the_second_evaluation_after_a_start_no_series_are_written() {
    let seen = "{alert: Seen, expr: 'ALERTS_FOR_STATE'}";
    let mut world = World::new(one_group(&[seen, ALWAYS]));
    world.rounds(15);
    assert_eq!(active(&world, "Always").len(), 1);
    assert_eq!(active(&world, "Seen").len(), 0);
    world.rounds(30);
    assert_eq!(active(&world, "Seen").len(), 1);
}
