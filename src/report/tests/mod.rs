//! Reports as a whole: the templates' own words in their order, numbers reckoned a second time, and what is left blank.

mod achievements;
mod hostile;
mod overall;

use expect_test::expect_file;
use regex::Regex;

use super::sample;
use super::sample::at;
use super::sample::facts;
use super::sample::reading;
use super::signals as s;
use super::*;
use crate::model::Timestamp;

fn report(facts: &Facts) -> Report {
    compose(facts).expect("a fit period")
}

#[test]
fn each_kind_as_markdown() {
    for (kind, expected) in [
        (
            Kind::Day,
            expect_file!["../../../tests/data/reports/day.md"],
        ),
        (
            Kind::Status,
            expect_file!["../../../tests/data/reports/status.md"],
        ),
        (
            Kind::Week,
            expect_file!["../../../tests/data/reports/week.md"],
        ),
        (
            Kind::Hypercare,
            expect_file!["../../../tests/data/reports/hypercare.md"],
        ),
    ] {
        expected.assert_eq(&report(&facts(kind)).markdown());
    }
}

/// The lines of the template of that kind that are headings, bullets or labelled.
fn template(kind: Kind) -> Vec<&'static str> {
    let all = include_str!("../../../tests/data/reports/templates.md");
    let begins = format!("<!-- {} -->\n```markdown\n", kind.word());
    let (_, behind) = all.split_once(&begins).expect("a template");
    let (text, _) = behind.split_once("\n```").expect("its end");
    text.lines().filter(|it| !it.trim().is_empty()).collect()
}

/// What of a template's line stands in a report as it is: the pieces between its placeholders.
fn pieces(line: &str) -> Vec<String> {
    let placeholder = Regex::new(r"\[[^\]]*\]|\+/- |\b[XYZ][XYZ,.]*|\b0\b").expect("a pattern");
    let light = Regex::new("🟢.*").expect("a pattern");
    let line = light.replace(line, "");
    placeholder
        .split(&line)
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
        .collect()
}

fn has(line: &str, pieces: &[String]) -> bool {
    let mut rest = line;
    for (place, piece) in pieces.iter().enumerate() {
        match rest.find(piece.as_str()) {
            Some(0) => rest = &rest[piece.len()..],
            Some(found) if place > 0 => rest = &rest[found + piece.len()..],
            Some(_) | None => return false,
        }
    }
    true
}

/// Every heading and bullet of the runbook's four templates, in its order and with its words.
#[test]
fn the_templates_words_are_all_there_in_order() {
    let mut lines = 0;
    for kind in Kind::ALL {
        let made = report(&facts(*kind)).markdown();
        let mut rest = made.lines();
        for line in template(*kind) {
            // The one line of prose begins with the project's name.
            let pieces = pieces(line);
            assert!(
                rest.any(|it| has(it, &pieces)
                    || (line.starts_with("[Project") && it.contains(&pieces[0]))),
                "{}: `{line}` ({pieces:?}) is not in its place of\n{made}",
                kind.word()
            );
            lines += 1;
        }
    }
    assert_eq!(lines, 109);
}

#[test]
#[allow(clippy::cast_precision_loss, reason = "minutes of a day")]
fn the_figures_of_the_day_are_those_of_its_readings() {
    let made = report(&facts(Kind::Day));
    let row = |name: &str| {
        made.rows
            .iter()
            .find(|it| it.name == name)
            .expect("a signal")
    };
    let known: Vec<i64> = (0..1200).filter(|it| !(180..200).contains(it)).collect();
    let sum = |of: &dyn Fn(i64) -> f64| known.iter().map(|it| of(*it)).sum::<f64>();
    let close = |name: &str, expected: f64| {
        let value = row(name).measure.value.expect("a value");
        assert!(
            (value - expected).abs() < 1e-9 * expected.max(1.0),
            "{name}: {value}, not {expected}"
        );
    };
    close(s::UPTIME, 1175.0 / 1180.0);
    let calls = sum(&|it| reading(s::THROUGHPUT, it));
    close(s::THROUGHPUT, 60.0 * calls);
    let weighted = sum(&|it| reading(s::THROUGHPUT, it) * reading(s::ERROR_RATE, it));
    close(s::ERROR_RATE, weighted / calls);
    let mut latencies: Vec<f64> = known
        .iter()
        .map(|it| reading(s::API_LATENCY_P95, *it))
        .collect();
    latencies.sort_by(f64::total_cmp);
    close(
        s::API_LATENCY_P95,
        f64::midpoint(latencies[589], latencies[590]),
    );
    close(s::TRANSACTIONS, reading(s::TRANSACTIONS, 1199));
    close(s::ACTIVE_USERS, reading(s::ACTIVE_USERS, 1199));
    let (worst, when) = row(s::API_LATENCY_P95).measure.far.expect("a worst minute");
    assert!((worst - latencies[1179]).abs() < 1e-12);
    assert!((550..565).contains(&((when.millis() - made.from.millis()) / 60_000)));
    let latency = row(s::API_LATENCY_P95);
    let fared: Vec<_> = latency
        .targets
        .iter()
        .map(|it| (it.known, it.missed))
        .collect();
    // Between 01:00 and 03:00 some minutes are above 100 ms; from 09:00 the bad ones are above 150.
    let above: usize = (60..180)
        .filter(|it| reading(s::API_LATENCY_P95, *it) >= 0.1)
        .count();
    assert_eq!(fared, [(120, above), (660, 15)]);
}

/// What a count adds up to over days that each begin at zero.
#[test]
fn two_weeks_of_counts_add_up() {
    let made = report(&facts(Kind::Week));
    let row = made
        .rows
        .iter()
        .find(|it| it.name == s::TRANSACTIONS)
        .expect("a signal");
    assert_eq!(row.measure.value, Some(14.0 * 3.0 * 1439.0));
    let latency = made
        .rows
        .iter()
        .find(|it| it.name == s::API_LATENCY_P95)
        .expect("a signal");
    assert_eq!(latency.trend.direction.word(), "Improving");
    assert!(
        (latency.trend.change + 0.013).abs() < 1e-3,
        "{:?}",
        latency.trend
    );
}

/// An hour of which a few minutes are known says little about that hour.
#[test]
fn hours_that_are_mostly_unknown_make_no_trend() {
    for (known, direction) in [(29, "Unknown"), (30, "Degrading")] {
        let mut day = facts(Kind::Day);
        let minutes = (0_u32..1200).filter(|it| it % 60 < known).map(|it| {
            let at = day.from + std::time::Duration::from_mins(u64::from(it));
            (at, Some(f64::from(it)))
        });
        day.signals = vec![SignalHistory {
            name: s::API_LATENCY_P95.to_owned(),
            minutes: minutes.collect(),
            ..SignalHistory::default()
        }];
        let trend = report(&day).rows[0].trend;
        assert_eq!(trend.direction.word(), direction);
    }
}

#[test]
fn what_nobody_knows_is_a_blank_that_says_so() {
    for kind in Kind::ALL {
        let mut bare = facts(*kind);
        bare.signals.clear();
        bare.earlier = None;
        bare.notes.clear();
        bare.incidents.clear();
        bare.checklist.clear();
        bare.targets.clear();
        bare.criteria.clear();
        bare.go_live = None;
        bare.acknowledge_within.clear();
        bare.decisions.clear();
        let made = report(&bare);
        let text = made.markdown();
        assert!(text.contains("no readings of `uptime`]"), "{text}");
        let status = if *kind == Kind::Status {
            "Status: ⚪ Unknown"
        } else {
            "Status: ⚪ UNKNOWN"
        };
        assert!(text.contains(status), "{text}");
        assert!(!text.contains('%') || text.contains("5%"), "{text}");
        assert_eq!(made.charts, []);
        assert!(made.html().contains("<mark>[fill in: "));
        let line = match kind {
            Kind::Day => "Day [fill in: day of the go-live] Operations Report",
            Kind::Status => {
                "Subject: Parcel Tracker - Day [fill in: day of the go-live] Status Report"
            }
            Kind::Week => "Week [fill in: week since the go-live] Hypercare Report",
            Kind::Hypercare => "**BAU Start Date:** [fill in: date]",
        };
        let ready = text.contains("✅ Ready") || text.contains("successfully");
        assert!(!ready, "{text}");
        for signal in ["total_users", "active_users"] {
            let named = text.contains(&format!("no readings of `{signal}`]"));
            let asked = (signal == "active_users") == (*kind == Kind::Status);
            assert_eq!(named, asked, "{signal} in {text}");
        }
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn the_template_congratulates_only_where_the_facts_do() {
    let mut bad = facts(Kind::Hypercare);
    bad.criteria[1].met = Some(false);
    let p1 = sample::incident(
        crate::model::Severity::P1,
        "2026-12-05T10:00:00+01:00",
        "down",
    );
    bad.incidents.push(sample::fact(p1, "Uptime"));
    let minutes = &mut bad
        .signals
        .iter_mut()
        .find(|it| it.name == s::UPTIME)
        .expect("it")
        .minutes;
    for (_, value) in minutes.iter_mut().take(100) {
        *value = Some(0.0);
    }
    bad.signals
        .iter_mut()
        .find(|it| it.name == s::USER_ADOPTION)
        .expect("it")
        .minutes
        .iter_mut()
        .for_each(|it| it.1 = Some(0.5));
    bad.signals.retain(|it| it.name != s::MODEL_ACCURACY);
    let text = report(&bad).markdown();
    for line in [
        "is not ready to transition to standard operations: 1 of 3 success criteria",
        "1. Zero P1 incidents: not achieved, there were 1",
        "2. 99.9%+ uptime achieved: not achieved, it was 99.75%",
        "3. User adoption exceeded target: not achieved, it was 50%",
        "4. Model accuracy maintained ([fill in: accuracy, no readings of `model_accuracy`])",
        "**Status:** ❌ Not ready for BAU Operations",
    ] {
        assert!(text.contains(line), "`{line}` is not in\n{text}");
    }
    assert!(!text.contains("successfully completed"));
    bad.criteria[2].met = None;
    let text = report(&bad).markdown();
    let both = "1 of 3 success criteria is not met, and 1 is not known";
    assert!(text.contains(both), "{text}");
    bad.criteria[1].met = None;
    let text = report(&bad).markdown();
    assert!(
        text.contains("**Status:** ❔ Not known whether ready"),
        "{text}"
    );
}

/// Of a time that nobody watched nothing is said to have been none.
#[test]
fn what_was_not_watched_was_not_none() {
    let mut blind = facts(Kind::Hypercare);
    blind.incidents.clear();
    blind.notes.clear();
    let text = report(&blind).markdown();
    assert!(text.contains("(P1: 0, P2: 0, P3: 0, P4: 0)\n"), "{text}");
    assert!(
        text.contains("None: there was no P1 or P2 incident"),
        "{text}"
    );
    for signal in &mut blind.signals {
        signal.minutes.truncate(100);
    }
    let text = report(&blind).markdown();
    assert!(text.contains("P4: 0), as far as gated saw: "), "{text}");
    assert!(
        text.contains("None: gated saw no P1 or P2 incident ("),
        "{text}"
    );
    for signal in &mut blind.signals {
        signal.minutes.clear();
    }
    let text = report(&blind).markdown();
    assert!(
        text.contains("P4: 0), as far as gated saw: nothing was read"),
        "{text}"
    );
}

#[test]
fn a_long_checklist_says_how_much_of_it_is_left_out() {
    let mut facts = facts(Kind::Day);
    let item = facts.checklist[0].clone();
    facts.checklist = (0..205)
        .map(|n| ChecklistItem {
            text: format!("item {n}"),
            state: Standing::Open,
            ..item.clone()
        })
        .collect();
    let text = report(&facts).markdown();
    assert!(text.contains("| item 199 | open"), "{text}");
    assert!(
        text.contains("| … and 5 more | 5 of them not done |"),
        "{text}"
    );
}

#[test]
fn optional_items_hide_nothing_that_is_outstanding() {
    let mut facts = facts(Kind::Day);
    let item = facts.checklist[0].clone();
    let optional = (1..=12).map(|n| ChecklistItem {
        text: format!("optional {n}"),
        required: false,
        state: Standing::Open,
        ..item.clone()
    });
    facts.checklist = optional.collect();
    let text = report(&facts).markdown();
    let line = "12 other items of the checklist not ticked: optional 1; optional 2; optional 3; optional 4; optional 5; …";
    assert!(text.contains(line), "{text}");
    assert!(!text.contains(". optional"), "{text}");
}

#[test]
fn a_day_with_a_change_of_clock_has_the_hours_that_passed() {
    for (from, until, words, minutes) in [
        (
            "2026-10-25T00:00:00+02:00",
            "2026-10-26T00:00:00+01:00",
            "2026-10-25 00:00 CEST to 2026-10-26 00:00 CET (25 hours)",
            1500,
        ),
        (
            "2027-03-28T00:00:00+01:00",
            "2027-03-29T00:00:00+02:00",
            "2027-03-28 00:00 CET to 2027-03-29 00:00 CEST (23 hours)",
            1380,
        ),
    ] {
        let mut day = facts(Kind::Day);
        (day.from, day.until) = (at(from), at(until));
        (day.made_at, day.go_live) = (day.until, Some(day.from));
        day.signals = sample::signals(day.from, day.until);
        let made = report(&day);
        assert!(made.markdown().contains(words), "{}", made.markdown());
        assert_eq!(made.rows[0].measure.total, minutes);
        assert_eq!(made.json()["period"]["seconds"], minutes * 60);
        assert!(made.markdown().starts_with("# Day 1 Operations Report"));
    }
}

/// A report made before its period is over counts what has happened, and says so.
#[test]
fn what_has_not_happened_yet_is_not_unknown() {
    let mut day = facts(Kind::Day);
    day.made_at = at("2026-12-01T10:00:00+01:00");
    let made = report(&day);
    assert_eq!(
        (made.rows[0].measure.known, made.rows[0].measure.total),
        (580, 600)
    );
    assert!(
        made.markdown()
            .contains("; the period ends at 2026-12-01 20:00 CET")
    );
    // The incident of 16:30 has not happened either.
    assert!(!made.markdown().contains("jobs"));
}

#[test]
fn a_period_that_cannot_be_is_refused() {
    let mut day = facts(Kind::Day);
    let hour = std::time::Duration::from_hours(1);
    day.until = day.from;
    assert!(matches!(compose(&day), Err(Unfit::Backwards { .. })));
    day.until = day.from + hour * 24 * 63;
    assert!(matches!(compose(&day), Err(Unfit::TooLong { .. })));
    (day.from, day.until) = (Timestamp::from_millis(i64::MIN), Timestamp::MAX);
    assert!(matches!(compose(&day), Err(Unfit::TooLong { .. })));
    let mut day = facts(Kind::Day);
    day.made_at = day.from;
    assert!(matches!(compose(&day), Err(Unfit::ToCome { .. })));
}

#[test]
fn json_has_numbers_and_nulls() {
    let mut day = facts(Kind::Day);
    day.signals.retain(|it| it.name != s::USER_SATISFACTION);
    let json = report(&day).json();
    let items = |key: &str| {
        let sections = json["sections"].as_array().expect("sections");
        let section = sections
            .iter()
            .find(|it| it["key"] == key)
            .expect("a section");
        section["items"].as_array().expect("items").clone()
    };
    assert_eq!(json["kind"], "day");
    assert_eq!(json["incidents_opened"]["P2"], 2);
    let uptime = &items("summary")[4];
    assert_eq!(uptime["label"], "Uptime");
    assert!(
        (uptime["values"]["uptime"].as_f64().expect("a number") - 1175.0 / 1180.0).abs() < 1e-12
    );
    let live = &items("summary")[0]["values"]["go_live"];
    assert_eq!(live, "2026-11-30T23:00:00.000Z");
    let satisfaction = &items("key_metrics")[2];
    assert_eq!(
        (&satisfaction["blank"], &satisfaction["text"]),
        (&true.into(), &serde_json::Value::Null)
    );
    assert!(satisfaction["values"]["user_satisfaction"].is_null());
    assert_eq!(satisfaction["blanks"][0]["signal"], "user_satisfaction");
    assert_eq!(items("tomorrows_focus")[0]["said_by"][0], "grace");
    let signals = json["signals"].as_array().expect("signals");
    let errors = signals
        .iter()
        .find(|it| it["name"] == "error_rate")
        .expect("it");
    assert_eq!(
        (&errors["unknown_minutes"], &errors["unit"]),
        (&20.into(), &"ratio".into())
    );
}

/// The table in the room's head is the one that the figures are made by.
#[test]
fn the_head_says_how_each_signal_is_reckoned() {
    let head = include_str!("../mod.rs");
    let rows: Vec<Vec<&str>> = head
        .lines()
        .filter_map(|it| it.strip_prefix("//! | `"))
        .map(|it| it.trim_end_matches(" |").split(" | ").collect())
        .collect();
    let expected: Vec<Vec<String>> = SIGNALS
        .iter()
        .map(|it| {
            let better = match it.better {
                super::trend::Better::Lower => "lower",
                super::trend::Better::Higher => "higher",
                super::trend::Better::Neither => "neither",
            };
            vec![
                format!("{}`", it.name),
                format!("`{}`", it.unit),
                it.how.word().to_owned(),
                better.to_owned(),
                it.matters.to_string(),
            ]
        })
        .collect();
    assert_eq!(rows, expected, "the head must say what SIGNALS does");
}
