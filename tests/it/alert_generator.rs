//! The four cases of the alert-generator compliance suite, with a simulated clock: what is pending and firing when, what
//! Alertmanager is sent and how often, and how each alert ends. `tests/data/alert_generator` says where they are from.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use expect_test::{Expect, expect};
use gated::engine::{
    AlertState, Columns, Effect, Engine, Input, Restored, Scrape, Settings, TargetInfo,
};
use gated::model::{Labels, Slot, TargetId, Timestamp};
use gated::rules::Group;
use gated::runbook::Rules;
use gated::source::script;

use crate::world;

const RULES: &str = include_str!("../data/alert_generator/rules.yaml");
const STEP: i64 = 15_000;
const INTERVAL: Duration = Duration::from_secs(30);

/// One group of the suite's rules, and when its clock is at a slot.
fn only(group: &str) -> (Settings, i64) {
    let mut groups = world::groups(RULES);
    groups.retain(|it| it.name == group);
    let mut settings = world::settings("clock = \"rollout\"\n");
    settings.rules = Arc::new(Rules {
        groups,
        ..Rules::default()
    });
    settings.labels.clear();
    settings.external_url = Some("http://gated.example".into());
    let shift = Group::shift_of(group, "rules.yml", INTERVAL);
    (
        settings,
        world::START + i64::try_from(shift.as_millis()).unwrap(),
    )
}

/// Feeds samples of `series` every 15 s, carrying their own times, for as long as the longest and `more` after it, and
/// tells what every slot changed.
fn story(group: &str, series: &[(&str, &str)], more: i64) -> String {
    let (settings, start) = only(group);
    let at = |millis: i64| Timestamp::from_millis(start + millis);
    let mut out = Vec::new();
    let mut engine = Engine::new(
        Arc::new(settings),
        Restored::default(),
        at(-30_000),
        &mut out,
    );
    let samples: Vec<_> = series
        .iter()
        .map(|(_, values)| suites_own(values))
        .collect();
    for (id, (labels, _)) in (0..).zip(series) {
        let labels = script::labels(labels).unwrap();
        let info = TargetInfo {
            id: TargetId(id),
            job: "suite".into(),
            instance: id.to_string(),
            url: String::new(),
            labels: Labels::new([("instance", id.to_string())]),
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(15),
        };
        let first = i64::from(id) * 2 - 20_000;
        engine.apply(at(first), Input::Target(info), &mut out);
        let born = Columns {
            born: vec![(Slot(0), labels)],
            values: vec![gated::model::STALE],
            ..Columns::default()
        };
        engine.apply(at(first + 1), scraped(id, at(first + 1), born), &mut out);
    }
    // The suite's samples come to an end while everything else goes on: a target that shows nothing is scraped on.
    let other = u32::try_from(series.len()).unwrap();
    let info = TargetInfo {
        id: TargetId(other),
        job: "other".into(),
        instance: "other".into(),
        url: String::new(),
        labels: Labels::new([("instance", "other")]),
        interval: Duration::from_secs(15),
        timeout: Duration::from_secs(15),
    };
    engine.apply(at(-10_000), Input::Target(info), &mut out);
    let longest = samples.iter().map(Vec::len).max().unwrap_or(0);
    let mut told = String::new();
    let mut before = String::new();
    let steps = i64::try_from(longest).unwrap() + more / STEP;
    for step in 0..steps {
        let now = step * STEP;
        let nothing = scraped(other, at(now), Columns::default());
        engine.apply(at(now), nothing, &mut out);
        for (id, values) in (0..).zip(&samples) {
            if let Some(Some(value)) = values.get(usize::try_from(step).unwrap()) {
                let columns = Columns {
                    values: vec![*value],
                    stamped: vec![(Slot(0), at(now))],
                    ..Columns::default()
                };
                engine.apply(at(now), scraped(id, at(now), columns), &mut out);
            }
        }
        out.clear();
        engine.advance(at(now), &mut out);
        let seen = shown(&engine, at(now), start);
        if seen != before {
            let _ = write!(told, "{}: {seen}", clock(now));
            before = seen;
        }
        for effect in &out {
            let Effect::Alerts(alerts) = effect else {
                continue;
            };
            for alert in alerts
                .iter()
                .filter(|it| it.labels["alertname"] != "Watchdog")
            {
                let left = alert.ends_at.millis() - start - now;
                let end = if left > 0 {
                    format!("ends in {}", clock(left))
                } else {
                    format!("ended {} ago", clock(-left))
                };
                let _ = writeln!(
                    told,
                    "{}:   sent {}, began {}, {end}",
                    clock(now),
                    name(&alert.labels),
                    clock(alert.starts_at.millis() - start),
                );
            }
        }
    }
    told
}

/// The suite's notation: `AxN` is N more samples, each A more than the one before it.
fn suites_own(text: &str) -> script::Samples {
    let mut samples: script::Samples = Vec::new();
    for item in text.split_whitespace() {
        match item.split_once('x') {
            None => samples.push(item.parse().ok()),
            Some((more, times)) => {
                let mut last = samples.last().copied().flatten().unwrap();
                for _ in 0..times.parse::<usize>().unwrap() {
                    last += more.parse::<f64>().unwrap();
                    samples.push(Some(last));
                }
            }
        }
    }
    samples
}

fn scraped(id: u32, at: Timestamp, columns: Columns) -> Input {
    Input::Scraped(Scrape {
        target: TargetId(id),
        at,
        duration: Duration::from_millis(1),
        outcome: Ok(columns),
    })
}

fn clock(millis: i64) -> String {
    format!("{:02}:{:02}", millis / 60_000, millis / 1000 % 60)
}

fn name(labels: &std::collections::BTreeMap<String, String>) -> String {
    let variant = labels.get("variant").map(|it| format!(" ({it})"));
    labels["alertname"].rsplit('_').next().unwrap().to_owned() + &variant.unwrap_or_default()
}

/// Every active alert in a line: state, since when, annotations.
fn shown(engine: &Engine, at: Timestamp, start: i64) -> String {
    let snapshot = engine.snapshot(at);
    let rules = snapshot.groups.iter().flat_map(|group| &group.rules);
    let mut lines = Vec::new();
    for rule in rules {
        assert_eq!(rule.health.why(), None, "{}", rule.name);
        for alert in &rule.alerting.as_ref().unwrap().alerts {
            let labels = alert.labels.iter();
            let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let state = match alert.state {
                AlertState::Pending => "pending",
                AlertState::Firing => "firing",
                AlertState::Resolved { .. } => "resolved",
            };
            let since = clock(alert.active_at.millis() - start);
            let mut line = format!("{} {state} since {since}", name(&labels.collect()));
            for (name, text) in &alert.annotations {
                let _ = write!(line, "; {name}: {text}");
            }
            lines.push(line);
        }
    }
    if lines.is_empty() {
        return "nothing is active\n".to_owned();
    }
    lines.join("\n       ") + "\n"
}

fn check(group: &str, series: &[(&str, &str)], more: i64, expected: &Expect) {
    expected.assert_eq(&story(group, series, more));
}

#[test]
fn pending_and_firing_and_resolved() {
    check(
        "PendingAndFiringAndResolved",
        &[(
            "alert_generator_test_suite{alertname=\"PendingAndFiringAndResolved_SimpleAlert\",rulegroup=\"PendingAndFiringAndResolved\"}",
            "3 5 0x2 9 0x3 11 0x12 15 0x11 0x20 19 0x15 9 0x19 15 0x24 0x20 8 0x15",
        )],
        0,
        &expect![[r"
            00:00: nothing is active
            02:00: SimpleAlert pending since 02:00; description: SimpleAlert is firing; summary: The value is 11 11
            05:30: SimpleAlert pending since 02:00; description: SimpleAlert is firing; summary: The value is 15 15
            08:00: SimpleAlert firing since 02:00; description: SimpleAlert is firing; summary: The value is 15 15
            08:00:   sent SimpleAlert, began 08:00, ends in 04:00
            09:30:   sent SimpleAlert, began 08:00, ends in 04:00
            11:00:   sent SimpleAlert, began 08:00, ends in 04:00
            12:30:   sent SimpleAlert, began 08:00, ends in 04:00
            13:30: SimpleAlert firing since 02:00; description: SimpleAlert is firing; summary: The value is 19 19
            14:00:   sent SimpleAlert, began 08:00, ends in 04:00
            15:30:   sent SimpleAlert, began 08:00, ends in 04:00
            17:00:   sent SimpleAlert, began 08:00, ends in 04:00
            17:30: nothing is active
            17:30:   sent SimpleAlert, began 08:00, ended 00:00 ago
            19:00:   sent SimpleAlert, began 08:00, ended 01:30 ago
            20:30:   sent SimpleAlert, began 08:00, ended 03:00 ago
            22:00:   sent SimpleAlert, began 08:00, ended 04:30 ago
            22:30: SimpleAlert pending since 22:30; description: SimpleAlert is firing; summary: The value is 15 15
            28:30: SimpleAlert firing since 22:30; description: SimpleAlert is firing; summary: The value is 15 15
            28:30:   sent SimpleAlert, began 28:30, ends in 04:00
            30:00:   sent SimpleAlert, began 28:30, ends in 04:00
            31:30:   sent SimpleAlert, began 28:30, ends in 04:00
            33:00:   sent SimpleAlert, began 28:30, ends in 04:00
            33:30: nothing is active
            33:30:   sent SimpleAlert, began 28:30, ended 00:00 ago
            35:00:   sent SimpleAlert, began 28:30, ended 01:30 ago
            36:30:   sent SimpleAlert, began 28:30, ended 03:00 ago
        "]],
    );
}

#[test]
fn pending_and_resolved_and_always_inactive() {
    let values = "3 5 0x2 9 0x3 11 0x10 9";
    check(
        "PendingAndResolved_AlwaysInactive",
        &[
            (
                "alert_generator_test_suite{alertname=\"PendingAndResolved_AlwaysInactive_PendingAlert\",rulegroup=\"PendingAndResolved_AlwaysInactive\"}",
                values,
            ),
            (
                "alert_generator_test_suite{alertname=\"PendingAndResolved_AlwaysInactive_InactiveAlert\",rulegroup=\"PendingAndResolved_AlwaysInactive\"}",
                values,
            ),
        ],
        10 * 60_000,
        &expect![[r"
            00:00: nothing is active
            02:00: PendingAlert pending since 02:00; description: SimpleAlert is firing
            05:00: nothing is active
        "]],
    );
}

#[test]
fn zero_for_and_small_for() {
    let values = "3 5 0x2 9 0x3 15 0x12 9 0x71 11 0x12 9";
    check(
        "ZeroFor_SmallFor",
        &[
            (
                "alert_generator_test_suite{alertname=\"ZeroFor_SmallFor_ZeroFor\",rulegroup=\"ZeroFor_SmallFor\"}",
                values,
            ),
            (
                "alert_generator_test_suite{alertname=\"ZeroFor_SmallFor_SmallFor\",rulegroup=\"ZeroFor_SmallFor\"}",
                values,
            ),
            (
                "alert_generator_test_suite{rulegroup=\"ZeroFor_SmallFor\",for=\"template\",id=\"10\"}",
                "1 0x120",
            ),
            (
                "alert_generator_test_suite{rulegroup=\"ZeroFor_SmallFor\",for=\"template\",id=\"2\"}",
                "2 0x120",
            ),
        ],
        5 * 60_000,
        &expect![[r"
            00:00: nothing is active
            02:00: ZeroFor firing since 02:00; description: This should immediately fire; template_query_test: Args are: foo bar 99. first_id:10,10:1,2:2,; template_test: 1.049M 1Mi 2m 15s 95.9% 2022-01-25 12:36:43 +0000 UTC
                   SmallFor pending since 02:00; description: This should fire after an interval; template_test: This Part IS TESTING the strings. ::1 127.0.0.1. 7815. replaced text. .
            02:00:   sent ZeroFor, began 02:00, ends in 04:00
            02:30: ZeroFor firing since 02:00; description: This should immediately fire; template_query_test: Args are: foo bar 99. first_id:10,10:1,2:2,; template_test: 1.049M 1Mi 2m 15s 95.9% 2022-01-25 12:36:43 +0000 UTC
                   SmallFor firing since 02:00; description: This should fire after an interval; template_test: This Part IS TESTING the strings. ::1 127.0.0.1. 7815. replaced text. .
            02:30:   sent SmallFor, began 02:30, ends in 04:00
            03:30:   sent ZeroFor, began 02:00, ends in 04:00
            04:00:   sent SmallFor, began 02:30, ends in 04:00
            05:00:   sent ZeroFor, began 02:00, ends in 04:00
            05:30: nothing is active
            05:30:   sent ZeroFor, began 02:00, ended 00:00 ago
            05:30:   sent SmallFor, began 02:30, ended 00:00 ago
            07:00:   sent ZeroFor, began 02:00, ended 01:30 ago
            07:00:   sent SmallFor, began 02:30, ended 01:30 ago
            08:30:   sent ZeroFor, began 02:00, ended 03:00 ago
            08:30:   sent SmallFor, began 02:30, ended 03:00 ago
            10:00:   sent ZeroFor, began 02:00, ended 04:30 ago
            10:00:   sent SmallFor, began 02:30, ended 04:30 ago
            11:30:   sent ZeroFor, began 02:00, ended 06:00 ago
            11:30:   sent SmallFor, began 02:30, ended 06:00 ago
            13:00:   sent ZeroFor, began 02:00, ended 07:30 ago
            13:00:   sent SmallFor, began 02:30, ended 07:30 ago
            14:30:   sent ZeroFor, began 02:00, ended 09:00 ago
            14:30:   sent SmallFor, began 02:30, ended 09:00 ago
            16:00:   sent ZeroFor, began 02:00, ended 10:30 ago
            16:00:   sent SmallFor, began 02:30, ended 10:30 ago
            17:30:   sent ZeroFor, began 02:00, ended 12:00 ago
            17:30:   sent SmallFor, began 02:30, ended 12:00 ago
            19:00:   sent ZeroFor, began 02:00, ended 13:30 ago
            19:00:   sent SmallFor, began 02:30, ended 13:30 ago
            20:30:   sent ZeroFor, began 02:00, ended 15:00 ago
            20:30:   sent SmallFor, began 02:30, ended 15:00 ago
            23:30: ZeroFor firing since 23:30; description: This should immediately fire; template_query_test: Args are: foo bar 99. first_id:10,10:1,2:2,; template_test: 1.049M 1Mi 2m 15s 95.9% 2022-01-25 12:36:43 +0000 UTC
            23:30:   sent ZeroFor, began 23:30, ends in 04:00
            25:00:   sent ZeroFor, began 23:30, ends in 04:00
            26:30: nothing is active
            26:30:   sent ZeroFor, began 23:30, ended 00:00 ago
            28:00:   sent ZeroFor, began 23:30, ended 01:30 ago
            29:30:   sent ZeroFor, began 23:30, ended 03:00 ago
            31:00:   sent ZeroFor, began 23:30, ended 04:30 ago
            32:30:   sent ZeroFor, began 23:30, ended 06:00 ago
            34:00:   sent ZeroFor, began 23:30, ended 07:30 ago
        "]],
    );
}

#[test]
fn new_alerts_in_order() {
    let series = |variant: &str| {
        format!(
            "alert_generator_test_suite{{alertname=\"NewAlerts_OrderCheck_Rule1\",rulegroup=\"NewAlerts_OrderCheck\",variant=\"{variant}\"}}"
        )
    };
    check(
        "NewAlerts_OrderCheck",
        &[
            (&series("one"), "1 0x7 11 0x64 9 0x20"),
            (&series("two"), "1 0x31 11 0x32 9 0x20"),
        ],
        0,
        &expect![[r"
            00:00: nothing is active
            02:00: Rule1 (one) pending since 02:00; description: This should produce more alerts later
            05:00: Rule1 (one) firing since 02:00; description: This should produce more alerts later
            05:00:   sent Rule1 (one), began 05:00, ends in 04:00
            06:30:   sent Rule1 (one), began 05:00, ends in 04:00
            08:00: Rule1 (one) firing since 02:00; description: This should produce more alerts later
                   Rule1 (two) pending since 08:00; description: This should produce more alerts later
            08:00:   sent Rule1 (one), began 05:00, ends in 04:00
            09:30:   sent Rule1 (one), began 05:00, ends in 04:00
            11:00: Rule1 (one) firing since 02:00; description: This should produce more alerts later
                   Rule1 (two) firing since 08:00; description: This should produce more alerts later
                   Rule2 firing since 11:00; description: Based on ALERTS. Old alertname was NewAlerts_OrderCheck_Rule1. foo was bar.
            11:00:   sent Rule1 (one), began 05:00, ends in 04:00
            11:00:   sent Rule1 (two), began 11:00, ends in 04:00
            11:00:   sent Rule2, began 11:00, ends in 04:00
            12:30:   sent Rule1 (one), began 05:00, ends in 04:00
            12:30:   sent Rule1 (two), began 11:00, ends in 04:00
            12:30:   sent Rule2, began 11:00, ends in 04:00
            14:00:   sent Rule1 (one), began 05:00, ends in 04:00
            14:00:   sent Rule1 (two), began 11:00, ends in 04:00
            14:00:   sent Rule2, began 11:00, ends in 04:00
            15:30:   sent Rule1 (one), began 05:00, ends in 04:00
            15:30:   sent Rule1 (two), began 11:00, ends in 04:00
            15:30:   sent Rule2, began 11:00, ends in 04:00
            16:30: Rule1 (one) firing since 02:00; description: This should produce more alerts later
            16:30:   sent Rule1 (two), began 11:00, ended 00:00 ago
            16:30:   sent Rule2, began 11:00, ended 00:00 ago
            17:00:   sent Rule1 (one), began 05:00, ends in 04:00
            18:00:   sent Rule1 (two), began 11:00, ended 01:30 ago
            18:00:   sent Rule2, began 11:00, ended 01:30 ago
            18:30: nothing is active
            18:30:   sent Rule1 (one), began 05:00, ended 00:00 ago
            19:30:   sent Rule1 (two), began 11:00, ended 03:00 ago
            19:30:   sent Rule2, began 11:00, ended 03:00 ago
            20:00:   sent Rule1 (one), began 05:00, ended 01:30 ago
            21:00:   sent Rule1 (two), began 11:00, ended 04:30 ago
            21:00:   sent Rule2, began 11:00, ended 04:30 ago
            21:30:   sent Rule1 (one), began 05:00, ended 03:00 ago
            22:30:   sent Rule1 (two), began 11:00, ended 06:00 ago
            22:30:   sent Rule2, began 11:00, ended 06:00 ago
            23:00:   sent Rule1 (one), began 05:00, ended 04:30 ago
        "]],
    );
}
