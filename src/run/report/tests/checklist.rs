//! What of the checklists was due in a period, and how it stood.

use super::*;

const EVE: &str = "2026-03-01T00:00:00Z";
const DAY_2: &str = "2026-03-03T00:00:00Z";
const LATER: &str = "2026-03-20T09:00:00Z";

#[test]
fn a_past_day_keeps_its_open_items() {
    let days = Days::up(EVE, DAY_2);
    days.read("smoke", EVE, DAY_2, |_| Some(0.0));
    days.report(Kind::Day, "2026-03-02", LATER)
        .is("amber")
        .says("A required item is open: Plan accessible")
        .says("A required item is open: Check incident log")
        .says("Plan accessible (required item) - Owner: [fill in: owner]")
        .says(
            "3 other items of the checklist not ticked: Banner removed; Support logs in; Team met",
        )
        .says("| Smoke tests passed | done, says gated, 2026-03-02 04:00 UTC |");
    // Before the go-live, in the day, and long after it.
    days.say("2026-02-27T12:00:00Z", "early/banner-removed", "");
    days.say("2026-03-02T07:00:00Z", "week/check-incident-log", "");
    days.say("2026-03-08T12:00:00Z", "early/plan-accessible", "");
    days.report(Kind::Day, "2026-03-02", LATER)
        .is("green")
        .says("| Plan accessible | done, says ada, 2026-03-08 12:00 UTC |")
        .says("| Banner removed | done, says ada, 2026-02-27 12:00 UTC |")
        .says("2 other items of the checklist not ticked: Support logs in; Team met");
    // Nobody knew of that word then.
    days.report(Kind::Day, "2026-03-02", "2026-03-03T00:05:00Z")
        .is("amber")
        .says("Plan accessible (required item)");
}

#[test]
fn what_a_machine_saw_is_not_guessed() {
    let attested = |days: &Days| {
        days.say("2026-03-02T00:10:00Z", "early/plan-accessible", "");
        days.say("2026-03-02T08:10:00Z", "week/check-incident-log", "");
    };
    // Read at no time of the phase, and well after it.
    let days = Days::up(EVE, DAY_2);
    days.read("smoke", "2026-03-02T12:00:00Z", DAY_2, |_| Some(0.0));
    attested(&days);
    days.report(Kind::Day, "2026-03-02", LATER)
        .is("amber")
        .says("Whether a required item is done is not known: Smoke tests passed")
        .says("Smoke tests passed (required item, not known whether it is done) - Owner")
        .says("| Smoke tests passed | not known, and required |");
    // What no machine saw somebody did.
    days.say("2026-03-02T00:20:00Z", "early/smoke-tests-passed", "");
    days.report(Kind::Day, "2026-03-02", LATER)
        .is("green")
        .says("| Smoke tests passed | done, says ada, 2026-03-02 00:20 UTC |");
    // It saw failures until the phase was over; mended at noon, or not.
    for (mended, status, line) in [
        (
            "2026-03-02T12:00:00Z",
            "green",
            "done, says gated, 2026-03-03 00:00 UTC |",
        ),
        (DAY_2, "amber", "open, and required |"),
    ] {
        let days = Days::up(EVE, DAY_2);
        days.read("smoke", EVE, DAY_2, |it| {
            Some(f64::from(u8::from(it < at(mended))))
        });
        attested(&days);
        let made = days.report(Kind::Day, "2026-03-02", LATER);
        made.is(status)
            .says(&format!("| Smoke tests passed | {line}"));
    }
}

#[test]
fn a_day_lists_what_was_due_in_it() {
    let days = Days::up(EVE, "2026-03-06T00:00:00Z");
    // The word of the fourth is not about the third.
    days.say("2026-03-04T08:01:00Z", "week/check-incident-log", "");
    days.report(Kind::Day, "2026-03-03", LATER)
        .is("amber")
        .says("A required item is open: Check incident log")
        .never("Plan accessible")
        .never("Support logs in")
        .never("Team met");
    days.report(Kind::Day, "2026-03-04", LATER)
        .is("green")
        .says("| Check incident log | done, says ada, 2026-03-04 08:01 UTC |");
    // Before eight nothing of that day is due.
    days.report(Kind::Day, "2026-03-05", "2026-03-05T07:59:00Z")
        .never("Check incident log");
    days.report(Kind::Day, "2026-03-05", "2026-03-05T08:00:00Z")
        .says("| Check incident log | open, and required |");
    // All phases are over.
    days.report(Kind::Day, "2026-04-02", "2026-04-02T20:00:00Z")
        .never("### Checklist");
    // Of five mornings one was attested.
    days.report(Kind::Week, "2026-03-06", "2026-03-06T16:00:00Z")
        .says("| Check incident log (4 of 5 times) | open, and required |")
        .says("| Team met | open |");
}
