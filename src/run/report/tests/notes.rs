//! Whose period a person's words are.

use super::*;
use crate::model::Incident;
use crate::model::IncidentId;
use crate::model::Severity;

fn incident(id: &str, opened_at: &str, resolved: Option<&str>) -> Record {
    let opened_at = at(opened_at);
    Record::Incident(Box::new(Incident {
        id: IncidentId(id.to_owned()),
        rollout: None,
        signal: "broken".to_owned(),
        severity: Severity::P2,
        opened_at,
        since: opened_at,
        rounds: 0,
        reason: "it is broken".to_owned(),
        decisions: Vec::new(),
        causes: std::collections::BTreeSet::new(),
        reached: 0,
        called_at: None,
        repeats: 0,
        hooks: std::collections::BTreeSet::new(),
        acknowledged: None,
        resolved: resolved.map(|it| (at(it), "recovered".to_owned())),
        breached_at: None,
    }))
}

#[test]
fn a_blank_is_filled_for_a_while_after_its_period() {
    let days = Days::up("2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z");
    let focus = "1. [fill in: Priority 1]";
    let later = "2026-03-20T09:00:00Z";
    days.report(Kind::Day, "2026-03-02", later).says(focus);
    days.say("2026-03-04T00:00:00Z", "report/focus", "a day too late");
    days.report(Kind::Day, "2026-03-02", later).says(focus);
    days.say(
        "2026-03-03T09:00:00Z",
        "report/focus",
        "said in the morning",
    );
    // What is said after a report is made stands in the next one that is made of that day.
    days.report(Kind::Day, "2026-03-02", "2026-03-03T08:59:00Z")
        .says(focus);
    days.report(Kind::Day, "2026-03-02", later)
        .says("1. said in the morning (said by ada)")
        .never("too late");
    days.say("2026-03-02T18:00:00Z", "report/focus", "said in the day");
    days.report(Kind::Day, "2026-03-02", later)
        .says("1. said in the day (said by ada)")
        .never("morning");
}

#[test]
fn a_retrospective_fills_the_report_of_thirty_days() {
    let days = Days::up("2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z");
    days.say(
        "2026-04-01T10:30:00Z",
        "report/recommendation",
        "Keep the rota",
    );
    days.say("2026-04-07T23:59:00Z", "report/next_step", "Hand over");
    days.say("2026-04-08T00:00:00Z", "report/bau_start", "2026-04-09");
    days.report(Kind::Hypercare, "2026-04-01", "2026-04-01T09:00:00Z")
        .says("1. [fill in: Recommendation 1]");
    days.report(Kind::Hypercare, "2026-04-01", "2026-04-20T09:00:00Z")
        .says("1. Keep the rota (said by ada)")
        .says("1. Hand over (said by ada) - Owner: ")
        .says("- **BAU Start Date:** [fill in: date]");
}

#[test]
fn what_is_said_of_an_incident_stands_wherever_it_is_shown() {
    let days = Days::up("2026-03-01T00:00:00Z", "2026-03-05T00:00:00Z");
    days.record(&[
        incident(
            "inc_1",
            "2026-03-02T10:00:00Z",
            Some("2026-03-04T12:00:00Z"),
        ),
        incident(
            "inc_2",
            "2026-03-02T11:00:00Z",
            Some("2026-03-02T12:00:00Z"),
        ),
    ]);
    days.say("2026-03-02T10:30:00Z", "report/owner", "inc_1: Grace");
    days.say("2026-03-03T11:00:00Z", "report/eta", "inc_1: Wednesday");
    days.say(
        "2026-03-19T11:00:00Z",
        "report/resolution",
        "inc_1: the pool was doubled",
    );
    days.say(
        "2026-03-19T11:01:00Z",
        "report/resolution",
        "inc_2: it was restarted",
    );
    let later = "2026-03-20T09:00:00Z";
    let open = "it is broken - Owner: Grace (said by ada), ETA: Wednesday (said by ada)";
    for date in ["2026-03-02", "2026-03-03"] {
        days.report(Kind::Day, date, later).says(open);
    }
    days.report(Kind::Day, "2026-03-02", "2026-03-03T00:00:00Z")
        .says("it is broken - Owner: Grace (said by ada), ETA: [fill in: ETA]");
    let resolved = " - the pool was doubled (said by ada) (after 2 days 2 h)";
    days.report(Kind::Day, "2026-03-04", later)
        .says(resolved)
        .never("restarted");
    days.report(Kind::Day, "2026-03-02", later)
        .says(" - it was restarted (said by ada) (after 1 h)");
}
