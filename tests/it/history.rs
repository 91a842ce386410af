//! Signals once a minute: what is kept, what comes back after a restart, and that nobody's absence counts as up.

use std::sync::Arc;
use std::time::Duration;

use gated::engine::{HISTORY, HISTORY_KEPT, Input, Record, Restored, Settings, look_back};
use gated::model::{Minute, Minutes, Reading, Timestamp};
use gated::sink::Ledger;

use crate::binary::RULES as BROKEN;
use crate::binary::{Exporter, House, Receiver, Said, config, eventually, told};
use crate::world::{RULES, START, World, settings};

/// Uptime of the last ten minutes, beside the rules that every world has.
fn looking_back() -> Settings {
    let rules = format!(
        "{RULES}\n[uptime]\ndown = \"error_rate > 1%\"\nobjective = \"99%\"\nover = \"1h\"\n\n[signals.uptime_10m]\n\
         expr = 'avg_over_time({HISTORY}{{signal=\"uptime\"}}[10m])'\nunit = \"ratio\"\n\n[signals.errors_now]\n\
         expr = '{HISTORY}{{signal=\"error_rate\"}}'\nunit = \"ratio\"\n"
    );
    settings(&rules)
}

fn kept<'a>(restored: &'a Restored, signal: &str) -> &'a [(Timestamp, f64)] {
    let found = restored.minutes.iter().find(|it| it.signal == signal);
    found.map_or(&[], |it: &Minutes| &it.values)
}

fn reading(world: &World, signal: &str) -> Reading {
    let snapshot = world.snapshot();
    let found = snapshot.signals.iter().find(|it| it.name == signal);
    found.unwrap().reading
}

fn break_it(world: &mut World, errors: f64) {
    for instance in &mut world.instances {
        instance.errors = errors;
    }
}

#[test]
fn every_minute_ends_with_what_each_signal_gave() {
    let mut world = World::new(looking_back());
    world.rounds(180);
    break_it(&mut world, 0.5);
    world.rounds(60);
    break_it(&mut world, 0.0);
    world.rounds(120);
    let ledger = world.ledger();
    let throughput = kept(&ledger, "throughput");
    let ends: Vec<i64> = throughput.iter().map(|(at, _)| at.millis()).collect();
    let minutes: Vec<i64> = (1..=6).map(|minute| START + minute * 60_000).collect();
    assert_eq!(ends, minutes);
    assert!(
        throughput
            .iter()
            .all(|(_, value)| (*value - 60.0).abs() < 0.1)
    );
    // The bad minute, and the one after it, into which its rate reaches.
    let up: Vec<f64> = kept(&ledger, "uptime").iter().map(|(_, up)| *up).collect();
    assert_eq!(up, [1.0, 1.0, 1.0, 0.0, 0.0, 1.0]);
    // … and the minutes that rules ask for stand in the window, the newest as it is.
    assert_eq!(reading(&world, "errors_now"), Reading::Value(0.0));
    assert!(
        matches!(reading(&world, "uptime_10m"), Reading::Thin),
        "ten minutes have not gone by"
    );
    world.rounds(360);
    let Reading::Value(share) = reading(&world, "uptime_10m") else {
        panic!("{:?}", reading(&world, "uptime_10m"));
    };
    assert!((share - 0.8).abs() < 1e-9, "{share}");
}

/// A gated that was away knows nothing of that time: it is neither up nor down, and an average leaves it out.
#[test]
fn what_nobody_saw_is_unknown_and_a_restart_goes_on_from_the_ledger() {
    let mut world = World::new(looking_back());
    break_it(&mut world, 0.5);
    world.rounds(120);
    break_it(&mut world, 0.0);
    world.rounds(240);
    let before = world.ledger();
    let later = world.now + 20 * 60_000;
    let mut again = World::restored(looking_back(), before.clone(), later);
    again.rounds(125);
    let uptime = again.snapshot().uptime.unwrap();
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    // Six minutes were seen before (the first three with errors), one after: of the first minute after a start the rates
    // do not know enough. Twenty were seen by nobody.
    let known = kept(&before, "uptime");
    let down = known.iter().filter(|(_, up)| *up == 0.0).count() as u64;
    assert_eq!(uptime.down, minutes(down));
    assert_eq!(uptime.up + uptime.down, minutes(known.len() as u64 + 1));
    assert!(uptime.unknown >= minutes(19), "{uptime:?}");
    assert_eq!(uptime.seen, uptime.up + uptime.down + uptime.unknown);
    let left = 3600.0 * 0.01 - 60.0 * down as f64;
    assert!((uptime.budget_left() - left).abs() < 1e-6);
    // The average of the last ten minutes is that of the minutes since: all up.
    assert_eq!(reading(&again, "uptime_10m"), Reading::Value(1.0));
    // The same without the ledger's minutes has seen too little.
    let forgotten = Restored {
        minutes: Vec::new(),
        ..before
    };
    let mut fresh = World::restored(looking_back(), forgotten, later);
    fresh.rounds(125);
    assert_eq!(reading(&fresh, "uptime_10m"), Reading::Thin);
}

/// What was judged before the machine slept says nothing of the minutes in which it slept.
#[test]
fn minutes_that_were_slept_through_are_not_kept() {
    let mut world = World::new(looking_back());
    world.rounds(120);
    let until = Timestamp::from_millis(world.now + 10 * 60_000);
    world.input(Input::Slept { until });
    world.advance_to(until.millis());
    world.rounds(120);
    let ledger = world.ledger();
    let ends: Vec<i64> = kept(&ledger, "throughput")
        .iter()
        .map(|(at, _)| (at.millis() - START) / 60_000)
        .collect();
    assert_eq!(ends.first(), Some(&1));
    assert!(
        ends.iter().all(|minute| *minute <= 2 || *minute >= 12),
        "{ends:?}"
    );
    assert!(ends.len() >= 3, "{ends:?}");
}

/// Without a value of what is judged there is no uptime, in neither direction; and nothing said of down is nothing known.
#[test]
fn what_has_no_value_is_neither_up_nor_down() {
    let mut world = World::new(looking_back());
    world.rounds(60);
    for instance in &mut world.instances {
        instance.down = true;
    }
    world.rounds(300);
    let uptime = world.snapshot().uptime.unwrap();
    assert!(uptime.down.is_zero(), "{uptime:?}");
    assert!(uptime.unknown >= Duration::from_secs(240), "{uptime:?}");
    let silent = World::new(settings(RULES));
    assert_eq!(silent.snapshot().uptime, None);
}

/// What was seen of a minute before a restart is lost, so the minute is not up; down it is if that is seen again.
#[test]
fn a_minute_that_a_restart_cut_is_not_up() {
    for (errors, expected) in [(0.0, None), (0.5, Some(0.0))] {
        let mut world = World::new(looking_back());
        world.rounds(135);
        let mut again = World::restored(looking_back(), world.ledger(), world.now);
        break_it(&mut again, errors);
        again.rounds(110);
        let ledger = again.ledger();
        let cut = Timestamp::from_millis(START + 180_000);
        let uptime = kept(&ledger, "uptime").iter();
        let found = uptime.clone().find(|(at, _)| *at == cut);
        assert_eq!(found.map(|(_, up)| *up), expected, "{errors}");
        assert!(uptime.clone().any(|(at, _)| *at > cut), "{errors}");
    }
}

/// A minute that was known for a third is not known.
#[test]
fn a_minute_is_up_when_more_of_it_was_known_than_not() {
    for (seconds, known) in [(40, false), (10, true)] {
        let mut world = World::new(looking_back());
        world.rounds(180);
        for instance in &mut world.instances {
            instance.down = true;
        }
        world.rounds(seconds);
        for instance in &mut world.instances {
            instance.down = false;
        }
        world.rounds(65 - seconds);
        let ledger = world.ledger();
        let minute = Timestamp::from_millis(START + 240_000);
        let mut uptime = kept(&ledger, "uptime").iter();
        assert_eq!(uptime.any(|(at, _)| *at == minute), known, "{seconds} s");
    }
}

fn errors_over(range: &str) -> Settings {
    settings(&format!(
        "{RULES}\n[signals.errors_then]\nexpr = 'avg_over_time({HISTORY}{{signal=\"error_rate\"}}[{range}])'\n\
         unit = \"ratio\"\n"
    ))
}

/// A reload that begins to look back sees what comes from there on, and says that it is too little until the ledger's
/// minutes are there. One that looks back further gets those from before what it has.
#[test]
fn a_reload_looks_back_on_what_the_ledger_has() {
    let mut world = World::new(settings(RULES));
    break_it(&mut world, 0.5);
    world.rounds(300);
    break_it(&mut world, 0.0);
    world.rounds(360);
    world.input(Input::Reload(Arc::new(looking_back())));
    world.rounds(60);
    assert!(!matches!(reading(&world, "uptime_10m"), Reading::Value(_)));
    let mean = |world: &World, minutes: usize| {
        let ledger = world.ledger();
        let known = kept(&ledger, "error_rate");
        let last = known[known.len() - minutes..].iter();
        last.map(|(_, value)| value).sum::<f64>() / minutes as f64
    };
    for (range, minutes) in [("4m", 4), ("8m", 8), ("14m", 14)] {
        world.input(Input::Reload(Arc::new(errors_over(range))));
        world.rounds(60);
        if minutes != 4 {
            let so_far = reading(&world, "errors_then").value();
            assert!(so_far.is_none_or(|it| it == 0.0), "{range}: {so_far:?}");
        }
        let until = Timestamp::from_millis(world.now);
        let from = look_back(&errors_over(range), until);
        let mut minutes_read = world.ledger().minutes;
        for it in &mut minutes_read {
            let from = from(&it.signal);
            it.values
                .retain(|(at, _)| from.is_some_and(|from| *at > from));
        }
        world.input(Input::Recalled(minutes_read));
        world.rounds(5);
        let Reading::Value(shown) = reading(&world, "errors_then") else {
            panic!("{range}: {:?}", reading(&world, "errors_then"));
        };
        let expected = mean(&world, minutes);
        assert!(
            (shown - expected).abs() < 1e-9,
            "{range}: {shown} and not {expected}"
        );
        assert_eq!(expected > 0.0, minutes == 14, "{range}");
    }
}

/// What nobody looks back on stays in the ledger.
#[test]
fn what_is_looked_back_on_is_read_and_nothing_else() {
    let at = Timestamp::from_millis(START);
    let since = |settings: &Settings, signal: &str| {
        look_back(settings, at)(signal).map(|from| at.since(from))
    };
    let seconds = Duration::from_secs;
    assert_eq!(since(&settings(RULES), "error_rate"), None);
    assert_eq!(
        since(&errors_over("14m"), "error_rate"),
        Some(seconds(14 * 60 + 1))
    );
    assert_eq!(since(&errors_over("14m"), "throughput"), None);
    assert_eq!(since(&settings(RULES), "uptime"), Some(HISTORY_KEPT));
}

/// A rules file that is changed beside a running gated, whose ledger has the last half hour.
#[test]
fn the_binary_looks_back_after_a_reload() {
    let exporter = Exporter::start(false);
    let hook = Receiver::start(|_, _| Said::Status(200));
    let house = House::new(&config(&[&exporter.url()], &hook.url(), &told("2")), BROKEN);
    std::fs::create_dir_all(house.data()).unwrap();
    let minute = jiff::Timestamp::now().as_second().div_euclid(60);
    let at = |ago: i64| Timestamp::from_millis((minute - ago) * 60_000);
    let (mut ledger, _) = Ledger::open(&house.database(), at(0)).unwrap();
    let minutes = (1..=30).rev().map(|ago| {
        Record::Minute(Minute {
            at: at(ago),
            values: vec![("broken".to_owned(), if ago > 20 { 4.0 } else { 0.0 })],
        })
    });
    let minutes: Vec<Record> = minutes.collect();
    ledger.commit(&minutes, |_, _| Vec::new()).unwrap();
    ledger.close().unwrap();
    let daemon = house.start();
    daemon.wait_for("green");
    let worst = "[signals.worst]\nexpr = 'max_over_time(gated_signal{signal=\"broken\"}[25m])'\nunit = \"count\"\n";
    house.rule(&format!("{BROKEN}\n{worst}"));
    let head = format!("Authorization: Bearer {}\r\n", house.token());
    let reply = daemon.ask("POST", "/-/reload", &head, "");
    assert_eq!(reply.status, 200, "{}", reply.body);
    let reading = || daemon.metric("gated_signal{signal=\"worst\",unit=\"count\"}");
    eventually("what was before", || reading() == Some(4.0));
}
