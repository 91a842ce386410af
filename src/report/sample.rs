//! Facts to make reports of in tests: a go-live in Berlin on 2026-12-01 with one bad quarter of an hour, a gap, two
//! incidents resolved and one open, and people who filled in what they know. Every reading is a formula, so that a
//! test can reckon a figure by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::facts::ChecklistItem;
use super::facts::Comparison;
use super::facts::Criterion;
use super::facts::Earlier;
use super::facts::Facts;
use super::facts::IncidentFact;
use super::facts::Kind;
use super::facts::PhaseFact;
use super::facts::SignalHistory;
use super::facts::Standing;
use super::facts::Target;
use super::facts::UptimeBudget;
use super::note::Field;
use super::note::Note;
use super::signals as s;
use crate::model::Acknowledgement;
use crate::model::Action;
use crate::model::Decision;
use crate::model::DecisionId;
use crate::model::Guard;
use crate::model::Incident;
use crate::model::IncidentId;
use crate::model::PhaseOutcome;
use crate::model::PhaseRun;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::model::Unit;

/// Germany's rules without its table.
pub(crate) const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
pub(crate) const LIVE: &str = "2026-12-01T00:00:00+01:00";
const MINUTE: i64 = 60_000;

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

pub(crate) fn zone() -> TimeZone {
    TimeZone::posix(BERLIN).expect("a zone")
}

/// Minutes of a go-live that are not known: 03:00 to 03:20 of the first day.
fn is_gap(minute: i64) -> bool {
    (180..200).contains(&minute)
}

/// 09:10 to 09:25 of the first day.
fn is_bad(minute: i64) -> bool {
    (550..565).contains(&minute)
}

/// Between 0 and 1, without order.
fn noise(minute: i64) -> f64 {
    f64::from(i32::try_from((minute * 7919).rem_euclid(101)).expect("below 101")) / 101.0
}

/// More people at noon: 0.2 to 1.
fn daytime(minute: i64) -> f64 {
    let hour = f64::from(i32::try_from(minute.rem_euclid(1440)).expect("below a day")) / 60.0;
    0.6 - 0.4 * (hour * std::f64::consts::TAU / 24.0).cos()
}

/// Minutes since the go-live, as a number.
fn day(minute: i64) -> f64 {
    f64::from(i32::try_from(minute.div_euclid(1440)).expect("some days"))
}

/// What `signal` reads in that minute of the go-live.
#[allow(clippy::cast_precision_loss, reason = "minutes of a month")]
pub(crate) fn reading(signal: &str, minute: i64) -> f64 {
    let since = |a_minute: f64| (minute.rem_euclid(1440) as f64 * a_minute).floor();
    match signal {
        s::UPTIME => f64::from(u8::from(!(555..560).contains(&minute))),
        s::API_LATENCY_P95 if is_bad(minute) => 0.412 + noise(minute) / 10.0,
        s::API_LATENCY_P95 => 0.078 - 0.001 * day(minute) + 0.02 * noise(minute),
        s::ERROR_RATE if is_bad(minute) => 0.042,
        s::ERROR_RATE => 0.0008 * noise(minute),
        s::THROUGHPUT => 1200.0 * daytime(minute),
        s::CPU_UTILIZATION => 0.2 + 0.1 * daytime(minute),
        s::ACTIVE_USERS => (250.0 * daytime(minute) + 3.0 * day(minute)).floor(),
        s::TOTAL_USERS => 400.0 + (minute as f64 / 60.0).floor(),
        s::NEW_USERS => since(0.1),
        s::TRANSACTIONS => since(3.0),
        s::SESSION_DURATION => 750.0,
        s::USER_ADOPTION => 0.83,
        s::SUPPORT_TICKETS_OPEN => 12.0,
        s::SUPPORT_TICKETS_OPENED => since(0.02),
        s::SUPPORT_TICKETS_RESOLVED => since(0.01),
        s::TICKET_RESOLUTION_TIME => 2280.0,
        s::USER_SATISFACTION => 4.2 + 0.01 * day(minute),
        s::PREDICTIONS => since(7.0),
        s::PREDICTION_LATENCY => 0.045,
        s::MODEL_ACCURACY => 0.942,
        s::DATA_DRIFT => 0.0,
        s::COST_SAVINGS => 12_500.0,
        s::TIME_SAVED => 432_000.0,
        s::REVENUE_INCREASE => 8_000.0,
        s::USER_PRODUCTIVITY => 0.12,
        _ => 1.0,
    }
}

const READ: &[(&str, Unit)] = &[
    (s::UPTIME, Unit::Ratio),
    (s::API_LATENCY_P95, Unit::Seconds),
    (s::ERROR_RATE, Unit::Ratio),
    (s::THROUGHPUT, Unit::PerSecond),
    (s::CPU_UTILIZATION, Unit::Ratio),
    (s::ACTIVE_USERS, Unit::Count),
    (s::TOTAL_USERS, Unit::Count),
    (s::NEW_USERS, Unit::Count),
    (s::TRANSACTIONS, Unit::Count),
    (s::SESSION_DURATION, Unit::Seconds),
    (s::USER_ADOPTION, Unit::Ratio),
    (s::SUPPORT_TICKETS_OPEN, Unit::Count),
    (s::SUPPORT_TICKETS_OPENED, Unit::Count),
    (s::SUPPORT_TICKETS_RESOLVED, Unit::Count),
    (s::TICKET_RESOLUTION_TIME, Unit::Seconds),
    (s::USER_SATISFACTION, Unit::Score),
    (s::PREDICTIONS, Unit::Count),
    (s::PREDICTION_LATENCY, Unit::Seconds),
    (s::MODEL_ACCURACY, Unit::Ratio),
    (s::DATA_DRIFT, Unit::None),
    (s::COST_SAVINGS, Unit::Count),
    (s::TIME_SAVED, Unit::Seconds),
    (s::REVENUE_INCREASE, Unit::Count),
    (s::USER_PRODUCTIVITY, Unit::Ratio),
    ("queue_depth", Unit::Count),
];

pub(crate) fn signals(from: Timestamp, until: Timestamp) -> Vec<SignalHistory> {
    let live = at(LIVE).millis();
    let first = (from.millis() - live).div_euclid(MINUTE);
    let last = (until.millis() - live).div_euclid(MINUTE);
    let history = |(name, unit): &(&str, Unit)| SignalHistory {
        name: (*name).to_owned(),
        title: String::new(),
        unit: Some(*unit),
        minutes: (first..last)
            .filter(|minute| !is_gap(*minute))
            .map(|minute| {
                let when = Timestamp::from_millis(live + minute * MINUTE);
                (when, Some(reading(name, minute)))
            })
            .collect(),
    };
    READ.iter().map(history).collect()
}

/// The facts of a report of that kind: the first day until 20:00, the second day until 17:00, two weeks, 30 days.
pub(crate) fn facts(kind: Kind) -> Facts {
    let (from, until, before) = match kind {
        Kind::Day => (LIVE, "2026-12-01T20:00:00+01:00", None),
        Kind::Status => (
            "2026-12-02T00:00:00+01:00",
            "2026-12-02T17:00:00+01:00",
            Some((LIVE, "2026-12-01T17:00:00+01:00")),
        ),
        Kind::Week => (LIVE, "2026-12-15T00:00:00+01:00", None),
        Kind::Hypercare => (LIVE, "2026-12-31T00:00:00+01:00", None),
    };
    let (from, until) = (at(from), at(until));
    let earlier = before.map(|(from, until)| (at(from), at(until)));
    Facts {
        kind,
        service: "api".to_owned(),
        environment: "production".to_owned(),
        project: "Parcel Tracker".to_owned(),
        zone: zone(),
        from,
        until,
        made_at: until,
        go_live: Some(at(LIVE)),
        signals: signals(from, until),
        earlier: earlier.map(|(from, until)| Earlier {
            from,
            until,
            signals: signals(from, until),
        }),
        targets: targets(),
        incidents: incidents(kind),
        decisions: vec![decision()],
        phases: phases(),
        checklist: checklist(kind),
        notes: notes(),
        criteria: criteria(),
        acknowledge_within: vec![
            (Severity::P1, Duration::from_mins(15)),
            (Severity::P2, Duration::from_hours(1)),
            (Severity::P3, Duration::from_hours(4)),
        ],
        uptime_budget: Some(UptimeBudget {
            text: "> 99.9% over 14d".to_owned(),
            allowed: Duration::from_mins(20),
            used: Duration::from_mins(5),
            unknown: Duration::from_mins(20),
        }),
    }
}

pub(crate) fn target(signal: &str, text: &str, bound: f64, comparison: Comparison) -> Target {
    Target {
        signal: signal.to_owned(),
        text: text.to_owned(),
        bound,
        comparison,
        during: None,
    }
}

fn targets() -> Vec<Target> {
    let hours = |text, bound, from, until| Target {
        during: Some((at(from), at(until))),
        ..target(s::API_LATENCY_P95, text, bound, Comparison::Below)
    };
    vec![
        target(s::UPTIME, "> 99%", 0.99, Comparison::Above),
        hours(
            "< 100ms",
            0.1,
            "2026-12-01T01:00:00+01:00",
            "2026-12-01T03:00:00+01:00",
        ),
        hours(
            "< 150ms",
            0.15,
            "2026-12-01T09:00:00+01:00",
            "2027-01-01T00:00:00+01:00",
        ),
        target(s::ERROR_RATE, "< 0.5%", 0.005, Comparison::Below),
        target(s::USER_ADOPTION, "> 80%", 0.8, Comparison::Above),
    ]
}

pub(crate) fn incident(severity: Severity, opened: &str, reason: &str) -> Incident {
    let opened_at = at(opened);
    Incident {
        id: IncidentId(format!("inc_{}", opened_at.millis() / 1000)),
        rollout: None,
        signal: s::ERROR_RATE.to_owned(),
        severity,
        opened_at,
        since: opened_at,
        rounds: 0,
        reason: reason.to_owned(),
        decisions: Vec::new(),
        causes: BTreeSet::new(),
        reached: 0,
        called_at: None,
        repeats: 0,
        hooks: BTreeSet::new(),
        acknowledged: None,
        resolved: None,
        breached_at: None,
    }
}

pub(crate) fn fact(incident: Incident, title: &str) -> IncidentFact {
    IncidentFact {
        incident,
        title: title.to_owned(),
        role: None,
    }
}

fn incidents(kind: Kind) -> Vec<IncidentFact> {
    let day = if kind == Kind::Status { "02" } else { "01" };
    let time = |time: &str| format!("2026-12-{day}T{time}:00+01:00");
    let mut errors = incident(Severity::P2, &time("09:11"), "4.2% of requests fail");
    errors.acknowledged = Some(Acknowledgement {
        at: at(&time("09:15")),
        by: "ada".to_owned(),
        note: None,
    });
    errors.resolved = Some((at(&time("09:53")), "recovered".to_owned()));
    let mut latency = incident(Severity::P3, &time("09:12"), "p95 is 420ms, above 150ms");
    latency.resolved = Some((at(&time("09:40")), "recovered".to_owned()));
    let mut all = vec![fact(latency, "API latency p95"), fact(errors, "Error rate")];
    if matches!(kind, Kind::Day | Kind::Status) {
        let open = incident(Severity::P2, &time("16:30"), "queue `jobs` is 40 | long");
        let mut open = fact(open, "Queue");
        open.role = Some("on-call engineer".to_owned());
        all.push(open);
        let mut slow = incident(Severity::P4, &time("12:00"), "search is slow");
        slow.acknowledged = Some(Acknowledgement {
            at: at(&time("12:30")),
            by: "grace".to_owned(),
            note: None,
        });
        all.push(fact(slow, "Search"));
    }
    all
}

pub(crate) fn decision() -> Decision {
    Decision {
        id: DecisionId("dec_1".to_owned()),
        at: at("2026-12-01T09:11:00+01:00"),
        action: Action::Escalate,
        asked: Action::Rollback,
        refused_by: Some(Guard::NotArmed),
        guards: Vec::new(),
        trigger: "error-rate".to_owned(),
        rollout: None,
        phase: "peak".to_owned(),
        severity: Severity::P2,
        signal: Some(s::ERROR_RATE.to_owned()),
        value: Some(0.042),
        unit: Unit::Ratio,
        condition: "> 1%".to_owned(),
        expr: "rate(errors[1m])".to_owned(),
        held_for: Duration::from_mins(1),
        reason: "error rate is 4.2%, above 1%, for 1m".to_owned(),
    }
}

fn phases() -> Vec<PhaseFact> {
    let phase = |phase: &str, title: &str, from: &str, until: &str| PhaseFact {
        run: PhaseRun {
            phase: phase.to_owned(),
            from: at(from),
            entered_at: Some(at(from)),
            end: Some((at(until), PhaseOutcome::Passed)),
        },
        title: title.to_owned(),
    };
    let times = [
        LIVE,
        "2026-12-01T01:00:00+01:00",
        "2026-12-01T03:00:00+01:00",
        "2026-12-01T05:00:00+01:00",
    ];
    vec![
        phase(
            "preflight",
            "Hour 0: pre-go-live final check",
            times[0],
            times[1],
        ),
        phase("deployment", "Hours 1-2: deployment", times[1], times[2]),
        phase("access", "Hours 3-4: user access", times[2], times[3]),
    ]
}

fn checklist(kind: Kind) -> Vec<ChecklistItem> {
    let item = |text: &str, required, done: Option<&str>| ChecklistItem {
        id: format!("preflight/{}", text.to_lowercase().replace(' ', "-")),
        text: text.to_owned(),
        required,
        state: done.map_or(Standing::Open, |by| Standing::Done {
            at: at("2026-12-01T00:20:00+01:00"),
            by: by.to_owned(),
        }),
    };
    let mut items = vec![item("Hypercare schedule confirmed", true, Some("ada"))];
    if kind == Kind::Day {
        items.push(item("Update status page", true, None));
    }
    items
}

fn notes() -> Vec<Note> {
    let note =
        |field, line: &str| Note::read(field, line, "grace", at("2026-12-01T18:00:00+01:00"));
    let errors = at("2026-12-01T09:11:00+01:00").millis() / 1000;
    vec![
        note(Field::Achievement, "All pilot users are in"),
        note(Field::Achievement, "No rollback"),
        note(Field::Achievement, "Support answered within 30 minutes"),
        note(Field::Highlight, "All pilot users are in"),
        note(Field::Highlight, "The queue was drained"),
        note(Field::Focus, "Raise the pool of the queue"),
        note(Field::Focus, "Answer the first surveys"),
        note(Field::Priority, "Load test"),
        note(Field::Priority, "Second region"),
        note(Field::Priority, "Rotate keys"),
        note(Field::Lesson, "Warm the cache before users come"),
        note(Field::Lesson, "Fewer dashboards"),
        note(Field::Observation, "Most calls come before noon"),
        note(
            Field::Optimization,
            "Cached the tokens - Impact: 20 ms less",
        ),
        note(
            Field::Optimization,
            "Larger pool - Impact: no more queueing",
        ),
        note(Field::Item, "Dark mode - Owner: Ada, ETA: 2026-12-09"),
        note(
            Field::Challenge,
            "Slow search - Impact: complaints, Resolution: an index, Lesson: look at plans",
        ),
        note(Field::Recommendation, "Keep the rota"),
        note(Field::Recommendation, "Budget for a second region"),
        note(Field::Recommendation, "Review alerts"),
        note(Field::NextStep, "Hand over - Owner: Ada, Due: 2027-01-04"),
        note(
            Field::NextStep,
            "Close the war room - Owner: Grace, Due: 2027-01-05",
        ),
        note(Field::BauStart, "2027-01-04"),
        note(
            Field::SupportModel,
            "L1 service desk, L2 operations, L3 engineering",
        ),
        note(
            Field::Impact,
            &format!("inc_{errors}: 40 users could not log in"),
        ),
        note(
            Field::Lesson,
            &format!("inc_{errors}: warm the cache first"),
        ),
        note(
            Field::Resolution,
            &format!("inc_{errors}: the pool was doubled"),
        ),
    ]
}

fn criteria() -> Vec<Criterion> {
    [
        "Uptime >99.9% for 2 consecutive weeks",
        "Zero P1 incidents in last 2 weeks",
        "User satisfaction >4/5",
    ]
    .map(|text| Criterion {
        text: text.to_owned(),
        met: Some(true),
        why: "since 2026-12-15".to_owned(),
    })
    .into()
}
