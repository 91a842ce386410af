//! The colour of a report, row by row of its table.

use crate::model::Action;
use crate::model::Severity;
use crate::model::Status;
use crate::report::compose;
use crate::report::facts::Comparison;
use crate::report::facts::Facts;
use crate::report::facts::Kind;
use crate::report::facts::Standing;
use crate::report::overall::Overall;
use crate::report::sample;
use crate::report::sample::at;
use crate::report::sample::facts;
use crate::report::signals as s;

/// A day on which nothing is wrong.
fn fine() -> Facts {
    let mut day = facts(Kind::Day);
    day.incidents.clear();
    day.decisions.clear();
    day.checklist.clear();
    day
}

fn overall(facts: &Facts) -> Overall {
    compose(facts).expect("a fit period").overall
}

#[track_caller]
fn check(change: impl FnOnce(&mut Facts), status: Status, reason: &str) {
    let mut day = fine();
    change(&mut day);
    let found = overall(&day);
    let reasons: Vec<String> = found
        .reasons
        .iter()
        .map(|it| format!("{}: {}", it.what, it.about))
        .collect();
    assert_eq!(found.status, status, "{reasons:?}");
    assert!(
        reasons.iter().any(|it| it.contains(reason)),
        "`{reason}` is not in {reasons:?}"
    );
}

fn incident(facts: &mut Facts, severity: Severity, over: Option<&str>) {
    let mut it = sample::incident(severity, "2026-12-01T10:00:00+01:00", "something broke");
    it.resolved = over.map(|over| (at(over), "recovered".to_owned()));
    facts.incidents.push(sample::fact(it, ""));
}

/// Sets so many minutes of a signal, from 05:00 on.
fn set(facts: &mut Facts, signal: &str, minutes: usize, value: Option<f64>) {
    let history = facts
        .signals
        .iter_mut()
        .find(|it| it.name == signal)
        .expect("a signal");
    for (_, reading) in history.minutes.iter_mut().skip(300).take(minutes) {
        *reading = value;
    }
}

#[test]
fn each_row_of_the_table() {
    check(|_| {}, Status::Green, "No P1 or P2 is open");
    check(
        |it| incident(it, Severity::P1, None),
        Status::Red,
        "A P1 incident is open: something broke",
    );
    let evening = "2026-12-01T19:59:00+01:00";
    check(
        |it| incident(it, Severity::P1, Some(evening)),
        Status::Amber,
        "There was a P1 incident",
    );
    // Resolved after the period: it was open as the period ended.
    let night = "2026-12-01T20:00:00+01:00";
    check(
        |it| incident(it, Severity::P1, Some(night)),
        Status::Red,
        "A P1 incident is open",
    );
    check(
        |it| incident(it, Severity::P2, None),
        Status::Amber,
        "A P2 incident is open",
    );
    check(
        |it| incident(it, Severity::P2, Some(evening)),
        Status::Green,
        "",
    );
    check(|it| incident(it, Severity::P3, None), Status::Green, "");
    check(
        |it| {
            let mut decision = sample::decision();
            decision.action = Action::Rollback;
            it.decisions.push(decision);
        },
        Status::Red,
        "A rollback was decided at 2026-12-01 09:11 CET: error rate",
    );
    // One of the day before, and one that a guard refused.
    check(
        |it| {
            let mut decision = sample::decision();
            it.decisions.push(decision.clone());
            decision.action = Action::Rollback;
            decision.at = at("2026-11-30T09:11:00+01:00");
            it.decisions.push(decision);
        },
        Status::Green,
        "",
    );
    check(
        |it| set(it, s::UPTIME, 12, Some(0.0)),
        Status::Red,
        "Uptime missed its target, down for 17 min: > 99%",
    );
    check(|it| set(it, s::UPTIME, 5, Some(0.0)), Status::Green, "");
    check(
        |it| it.checklist.extend(facts(Kind::Day).checklist),
        Status::Amber,
        "A required item is open: Update status page",
    );
    check(
        |it| {
            it.checklist.extend(facts(Kind::Day).checklist);
            it.checklist[1].state = Standing::Unknown;
        },
        Status::Amber,
        "Whether a required item is done is not known: Update status page",
    );
}

/// 5 % of the 1180 known minutes are 59.
#[test]
fn a_few_minutes_are_not_amber() {
    // Fifteen are bad in the sample already.
    check(
        |it| set(it, s::ERROR_RATE, 44, Some(0.02)),
        Status::Green,
        "",
    );
    check(
        |it| set(it, s::ERROR_RATE, 45, Some(0.02)),
        Status::Amber,
        "A target was missed in 5.08% of 1180 known minutes: Error Rate < 0.5%",
    );
    // Twenty of 1200 minutes are unknown in the sample, 60 may be.
    check(|it| set(it, s::ERROR_RATE, 40, None), Status::Green, "");
    check(
        |it| set(it, s::ERROR_RATE, 41, None),
        Status::Amber,
        "61 of 1200 minutes are unknown (5.08%): Error Rate",
    );
    // Of a signal that nobody judges it does not matter.
    check(
        |it| set(it, s::CPU_UTILIZATION, 900, None),
        Status::Green,
        "",
    );
    check(
        |it| set(it, s::UPTIME, 41, None),
        Status::Amber,
        "61 of 1200 minutes are unknown (5.08%)",
    );
}

#[test]
fn without_a_reading_nothing_is_green() {
    check(
        |it| it.signals.clear(),
        Status::Unknown,
        "No signal has a reading",
    );
    check(
        |it| {
            for signal in &mut it.signals {
                signal.minutes.iter_mut().for_each(|it| it.1 = None);
            }
            incident(it, Severity::P2, None);
        },
        Status::Unknown,
        "No signal has a reading",
    );
    check(
        |it| {
            it.signals.clear();
            incident(it, Severity::P1, None);
        },
        Status::Red,
        "A P1 incident is open",
    );
}

#[test]
fn reasons_are_bounded_and_the_worst_come_first() {
    let mut day = fine();
    for _ in 0..50 {
        incident(&mut day, Severity::P2, None);
    }
    incident(&mut day, Severity::P1, None);
    day.targets.push(sample::target(
        s::MODEL_ACCURACY,
        "> 99%",
        0.99,
        Comparison::Above,
    ));
    let found = overall(&day);
    assert_eq!((found.status, found.reasons.len()), (Status::Red, 21));
    assert_eq!(found.reasons[0].what, "A P1 incident is open");
    assert_eq!(found.reasons[20].what, "And 32 more reasons");
}
