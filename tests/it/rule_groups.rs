//! Prometheus' rule groups over reloads and restarts: what is carried on, and what the ledger knows of it.

use std::sync::Arc;
use std::time::Duration;

use gated::engine::{
    Effect, Engine, Event, Input, Record, Restored, Scrape, ScrapeError, ScrapeFault, Settings,
};
use gated::model::{TargetId, Timestamp};

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

const ASKS: &str = "{alert: Errors, expr: 'sum(rate(http_requests_total{status=~\"5..\"}[15s])) > 1', for: 20s, labels: {gated_do: rollback}}";

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
    world.rounds(20);
    assert_eq!(active(&world, "Seen").len(), 1);
    // Its slots begin with the reload, not with the start.
    let since = active(&world, "Later")[0];
    assert!(since <= 20, "{since}");
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

const SLOW: &str = "{alert: Slow, expr: 'sum(rate(http_requests_total[15s])) > 1', for: 20m}";

#[test]
fn a_rule_that_takes_another_place_keeps_what_the_ledger_knows() {
    let mut world = World::new(one_group(&[SLOW]));
    world.rounds(900);
    let before = world.ledger().alerts;
    assert_eq!(before.len(), 1);
    world.input(Input::Reload(Arc::new(one_group(&[ALWAYS, SLOW]))));
    world.rounds(30);
    let after = world.ledger().alerts;
    assert_eq!(after.len(), 1, "{after:?}");
    assert_eq!(after[0].active_at, before[0].active_at);
    // Nothing about it changed, so nothing more was said of it.
    let said = |it: &&Record| matches!(it, Record::Alert(_) | Record::AlertGone(_));
    assert_eq!(world.records().iter().filter(said).count(), 1);
    world.input(Input::Reload(Arc::new(one_group(&[ALWAYS]))));
    world.rounds(30);
    assert_eq!(world.ledger().alerts, []);
}

#[test]
fn rules_of_one_name_are_told_apart_by_their_labels() {
    let page = SLOW.replace("for", "labels: {severity: page}, for");
    let info = SLOW.replace("for", "labels: {severity: info}, for");
    let rules = || one_group(&[&page, &info]);
    let mut world = World::new(rules());
    world.rounds(900);
    let before = world.ledger();
    assert_eq!(before.alerts.len(), 2);
    let mut again = World::restored(rules(), before, world.now + 120_000);
    again.rounds(80);
    let held = active(&again, "Slow");
    assert_eq!(held.len(), 2);
    assert!(held.iter().all(|it| (640..=700).contains(it)), "{held:?}");
    assert_eq!(again.ledger().alerts.len(), 2);
    let gone = |it: &Record| matches!(it, Record::AlertGone(_));
    assert!(!again.records().iter().any(gone));
}

/// The one place where time that went by is lost is the time away: a crash loop does not stop a long `for`.
#[test]
fn a_long_for_goes_on_through_a_crash_loop() {
    let mut ledger = gated::engine::Restored::default();
    let (mut now, mut lived) = (crate::world::START, 0);
    while lived < 60 * 40 {
        let mut world = World::restored(one_group(&[SLOW]), ledger.clone(), now);
        world.rounds(40);
        (now, lived) = (world.now + 1000, lived + 40);
        let told = world.ledger();
        ledger.alerts.extend(told.alerts);
        if !told.groups.is_empty() {
            ledger.groups = told.groups;
        }
        let mut last = std::collections::BTreeMap::new();
        for alert in ledger.alerts.drain(..) {
            last.insert(alert.labels.clone(), alert);
        }
        ledger.alerts = last.into_values().collect();
        let seen_at = ledger.groups.iter().map(|it| it.seen_at).max();
        if let Some(seen_at) = seen_at {
            assert!(world.now - seen_at.millis() <= 25_000, "{seen_at}");
        }
    }
    let held = now - ledger.alerts[0].active_at.millis();
    assert!(held >= 600_000, "{held}");
}

#[test]
fn the_ledger_hears_of_a_group_and_not_of_each_alert_that_stays() {
    let each = SLOW.replace(
        "sum(rate(http_requests_total[15s]))",
        "rate(http_requests_total[15s])",
    );
    let mut world = World::new(one_group(&[&each]));
    world.rounds(600);
    let count = |is: fn(&Record) -> bool| world.records().iter().filter(|it| is(it)).count();
    assert_eq!(count(|it| matches!(it, Record::Alert(_))), 3);
    let seen = count(|it| matches!(it, Record::AlertsSeen(_)));
    assert!((25..=31).contains(&seen), "{seen}");
}

#[test]
fn a_decision_is_not_made_again_because_a_rule_has_another_place() {
    let asks = "{alert: Asks, expr: 'vector(1)', labels: {gated_do: escalate}}";
    let mut world = World::new(one_group(&[asks]));
    world.rounds(60);
    assert_eq!(world.decided(), ["escalate Asks"]);
    world.input(Input::Reload(Arc::new(one_group(&[ALWAYS, asks]))));
    world.rounds(60);
    assert_eq!(world.decided(), ["escalate Asks"]);
}

/// What the annotation `says` became.
fn says(world: &World, rule: &str) -> String {
    let groups = world.snapshot().groups;
    let mut rules = groups.iter().flat_map(|group| &group.rules);
    let rule = rules.find(|it| it.name == rule).unwrap();
    let alerts = &rule.alerting.as_ref().unwrap().alerts;
    alerts[0].annotations["says"].clone()
}

/// A rule whose alert says that, beside one that always fires. Nothing else reads `app_build_info`.
fn saying(template: &str) -> Settings {
    let rule = format!(
        "{{alert: Asks, expr: 'vector(1) and on () up', annotations: {{says: '{template}'}}}}"
    );
    let mut settings = one_group(&[ALWAYS, &rule]);
    settings.rollout.version_from = None;
    settings
}

fn said(settings: Settings) -> String {
    let mut world = World::new(settings);
    world.rounds(30);
    says(&world, "Asks")
}

#[test]
fn what_a_template_asks_for_is_kept_however_it_asks() {
    let build = |of: &str| {
        let labels = [
            ("__name__", "app_build_info"),
            ("instance", of),
            ("version", "1.0.0"),
        ];
        gated::model::Labels::new(labels)
    };
    for template in [
        "{{ query \"app_build_info\" | first | label \"version\" }}",
        "{{ with printf \"app_build_info{instance=\\\"%s\\\"}\" \"10.0.0.0:80\" | query }}{{ . | first | label \"version\" }}{{ end }}",
        "{{ $q := `max by (version) (app_build_info)` }}{{ query $q | first | label \"version\" }}",
    ] {
        let world = World::new(saying(template));
        assert!(
            world.engine.interest().span(&build("any")).is_some(),
            "{template}"
        );
        assert_eq!(said(saying(template)), "1.0.0", "{template}");
    }
}

#[test]
fn a_query_for_what_nothing_keeps_is_an_error_and_not_nothing() {
    let built = "{{ with print \"app_build\" \"_info\" | query }}{{ . | first | label \"version\" }}{{ else }}none{{ end }}";
    let text = said(saying(built));
    assert!(text.starts_with("<error expanding template: "), "{text}");
    assert!(text.contains("nothing keeps `app_build_info`"), "{text}");
    // What something keeps anyway, and what rules write.
    for (template, expected) in [
        (
            "{{ print \"u\" \"p{instance=`10.0.0.0:80`}\" | query | first | value }}",
            "1",
        ),
        (
            "{{ print \"AL\" \"ERTS{alertname=`Always`}\" | query | len }}",
            "1",
        ),
    ] {
        assert_eq!(said(saying(template)), expected, "{template}");
    }
    let mut all = saying(built);
    all.retain = Some(std::time::Duration::from_secs(60));
    assert_eq!(said(all), "1.0.0");
}

#[test]
fn a_rule_that_fails_is_told_of_once_and_once_when_it_is_well_again() {
    // Fails while two instances are up, with another text for each that is down.
    let rule = "{record: r, expr: 'vector(1) * on () group_left () (up == 1)'}";
    let mut world = World::new(one_group(&[ALWAYS, rule]));
    world
        .instances
        .iter_mut()
        .take(2)
        .for_each(|it| it.down = true);
    world.rounds(60);
    let failed = |world: &World| {
        world.told(|it| matches!(it, Event::RuleFailed { group, rule, why } if group == "g" && rule == "r" && why.contains("match")))
    };
    let well = |world: &World| {
        world
            .told(|it| matches!(it, Event::RuleWell { group, rule } if group == "g" && rule == "r"))
    };
    assert_eq!((failed(&world), well(&world)), (0, 0));
    world.instances[0].down = false;
    world.rounds(60);
    assert_eq!((failed(&world), well(&world)), (1, 0));
    world.input(Input::Reload(Arc::new(one_group(&[rule, ALWAYS]))));
    world.rounds(60);
    assert_eq!((failed(&world), well(&world)), (1, 0));
    world.instances[0].down = true;
    world.rounds(60);
    assert_eq!((failed(&world), well(&world)), (1, 1));
    let all = world.told(|it| matches!(it, Event::RuleFailed { .. } | Event::RuleWell { .. }));
    assert_eq!(all, 2);
}

fn missed(world: &World) -> Vec<u64> {
    let missed = |(_, effect): &(_, Effect)| match effect {
        Effect::Tell(Event::SlotsMissed { group, slots }) if group == "g" => Some(*slots),
        _ => None,
    };
    world.effects.iter().filter_map(missed).collect()
}

/// Nobody is there for so many seconds.
fn slept(world: &mut World, seconds: i64) {
    let until = Timestamp::from_millis(world.now + seconds * 1000);
    world.input(Input::Slept { until });
    world.now = until.millis();
}

/// Stopped and continued: what was not evaluated in time is not evaluated late, one slot after the other.
#[test]
fn slots_of_a_pause_are_missed_and_counted() {
    let mut world = World::new(one_group(&[ALWAYS]));
    world.rounds(60);
    let before = world.snapshot().evaluations;
    slept(&mut world, 600);
    world.advance_to(world.now + 20_000);
    assert_eq!(world.snapshot().evaluations, before);
    assert_eq!(missed(&world), [0; 0]);
    world.rounds(60);
    let told = missed(&world);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!((61..=63).contains(&told[0]), "{told:?}");
    // From then on every slot is evaluated.
    let on = world.snapshot().evaluations;
    world.rounds(100);
    assert_eq!(missed(&world).len(), 1);
    assert!(world.snapshot().evaluations - on >= 10);
}

#[test]
fn a_slow_scrape_misses_no_slot() {
    let mut world = World::new(one_group(&[ALWAYS]));
    (0..3).for_each(|id| world.input(Input::TargetGone(TargetId(id))));
    // Nobody to wait for.
    world.advance_to(world.now + 600_000);
    let at = world.at();
    let rules = |world: &World| world.snapshot().groups[0].evaluated_at.unwrap();
    assert!(at.since(rules(&world)).as_secs() <= 10);
    let mut slow = world
        .inputs
        .iter()
        .find_map(|(_, input)| match input {
            Input::Target(info) => Some(info.clone()),
            _ => None,
        })
        .unwrap();
    slow.interval = Duration::from_secs(60);
    world.input(Input::Target(slow.clone()));
    // Begins as late as it can and takes as long as it may, then at once, then late again.
    for wait in [119, 1, 119, 60, 119, 1] {
        world.advance_to(world.now + wait * 1000);
        assert!(world.at().since(rules(&world)).as_secs() <= 10, "{wait}");
        let at = world.at();
        world.input(Input::Scraped(Scrape {
            target: slow.id,
            at,
            duration: Duration::from_secs(60),
            outcome: Err(ScrapeError {
                fault: ScrapeFault::Timeout,
                text: "slow".into(),
            }),
        }));
    }
    assert_eq!(missed(&world), [0; 0]);
}

#[test]
fn a_pause_misses_the_same_slots_whatever_the_wakes() {
    let rules = || one_group(&[ALWAYS, "{record: r, expr: 'count(up)'}"]);
    let mut world = World::new(rules());
    for pause in [0, 7, 12, 30, 90, 300] {
        world.rounds(30);
        slept(&mut world, pause);
    }
    world.rounds(30);
    let replay = |wakes: i64| {
        let mut out = Vec::new();
        let at = Timestamp::from_millis(crate::world::START);
        let mut engine = Engine::new(Arc::new(rules()), Restored::default(), at, &mut out);
        let mut last = at.millis();
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
        out.iter().map(|it| format!("{it:?}")).collect::<Vec<_>>()
    };
    let once = replay(0);
    let told = once.iter().filter(|it| it.contains("SlotsMissed")).count();
    assert_eq!(told, 5);
    assert_eq!(once, replay(1));
    assert_eq!(once, replay(7));
}

/// An alert was pending when gated was stopped, and the service is well when it goes on.
#[test]
fn nothing_is_decided_on_what_was_seen_before_a_pause() {
    let rule = "{alert: Errors, expr: 'sum(http_requests_total{status=\"500\"}) > 20', for: 20s, labels: {gated_do: rollback}}";
    let story = |pause: bool| {
        let mut world = World::new(one_group(&[rule]));
        world.rounds(60);
        world.deploy("2.0.0", 0.0);
        world.rounds(60);
        world.instances.iter_mut().for_each(|it| it.errors = 0.05);
        world.rounds(25);
        assert_eq!(active(&world, "Errors").len(), 1);
        if pause {
            slept(&mut world, 40);
            // Its counters begin anew.
            world.deploy("2.0.0", 0.0);
            world.advance_to(world.now + 4000);
            assert_eq!(world.decided(), [""; 0]);
        }
        world.rounds(60);
        world.decided()
    };
    assert_eq!(story(true), [""; 0]);
    assert_eq!(story(false), ["rollback Errors"]);
}

/// A `for` that is not restored counts anew after a restart; what was before the rollout stays so.
#[test]
fn an_alert_from_before_the_rollout_rolls_nothing_back_after_a_restart_either() {
    let mut world = World::new(one_group(&[ASKS]));
    world.instances.iter_mut().for_each(|it| it.errors = 0.05);
    world.rounds(60);
    world.deploy("2.0.0", 0.05);
    world.rounds(120);
    let mut world = World::restored(one_group(&[ASKS]), world.ledger(), world.now + 3000);
    world.deploy("2.0.0", 0.05);
    world.rounds(120);
    assert_eq!(world.decided(), ["escalate Errors (predates)"]);
    // Once it was not active, it may be the rollout's.
    world.instances.iter_mut().for_each(|it| it.errors = 0.0);
    world.rounds(60);
    world.instances.iter_mut().for_each(|it| it.errors = 0.05);
    world.rounds(60);
    assert_eq!(world.decided().last().unwrap(), "rollback Errors");
}
