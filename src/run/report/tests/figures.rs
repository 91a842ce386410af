//! Figures that depend on what was read before the period, and on when the report is made.

use super::*;

/// Support tells the tickets of the day at nine, each time for a day.
#[test]
fn tickets_that_are_told_once_a_day_count_whole() {
    let days = Days::of(GO_LIVE);
    let (first, second, third) = (
        "2026-03-02T09:00:00Z",
        "2026-03-03T09:00:00Z",
        "2026-03-04T09:00:00Z",
    );
    days.read("support_tickets_opened", first, second, |_| Some(12.0));
    days.read("support_tickets_opened", second, third, |_| Some(14.0));
    for (date, tickets) in [
        ("2026-03-02", "Support tickets: 12 ("),
        ("2026-03-03", "Support tickets: 14 ("),
    ] {
        let made = days.report(Kind::Day, date, "2026-03-05T00:00:00Z");
        made.says(tickets);
    }
    let made = days.report(Kind::Week, "2026-03-08", "2026-03-09T00:00:00Z");
    made.says("| Tickets Opened | 26 |");
}

/// The mail of 17:00 on days that are all alike: quiet nights, and most people at noon and late in the evening.
#[test]
fn a_part_of_a_day_is_compared_with_the_same_part_of_the_day_before() {
    let days = Days::of(GO_LIVE);
    let until = "2026-03-05T00:00:00Z";
    let hour =
        |it: Timestamp| f64::from(i32::try_from(it.millis() / 3_600_000 % 24).expect("hours"));
    days.read("throughput", GO_LIVE, until, |it| Some(1.0 + hour(it)));
    days.read("active_users", GO_LIVE, until, |it| Some(10.0 * hour(it)));
    // Each minute of an hour makes 60 s times its rate.
    let calls: f64 = (0..17).map(|hour| 3600.0 * (1.0 + f64::from(hour))).sum();
    assert!((calls - 550_800.0).abs() < 1e-9);
    days.report(Kind::Status, "2026-03-04", "2026-03-04T17:00:00Z")
        .says("- API Calls: 550,800 (±0.0%); 0 of 1,020 minutes unknown")
        .says("- Active Users: 160 (±0 vs yesterday)");
    // The whole day with the whole day before.
    days.report(Kind::Status, "2026-03-04", "2026-03-06T17:00:00Z")
        .says("- API Calls: 1,080,000 (±0.0%); 0 of 1,440 minutes unknown")
        .says("- Active Users: 230 (±0 vs yesterday)");
    // Of the day before the go-live nothing is known.
    days.report(Kind::Status, "2026-03-02", "2026-03-02T17:00:00Z")
        .says("- API Calls: 550,800 (too few calls known to compare with the day before)")
        .says("- Active Users: 160 (no reading of the day before)");
}

/// gated watched from noon; the go-live was at three in the afternoon of a Wednesday.
#[test]
fn what_was_before_the_go_live_is_no_day_of_it() {
    let days = Days::of("2026-03-04T15:00:00Z");
    days.read(
        "uptime",
        "2026-03-04T12:00:00Z",
        "2026-03-07T00:00:00Z",
        |_| Some(1.0),
    );
    days.say("2026-03-04T15:10:00Z", "early/plan-accessible", "");
    days.say("2026-03-04T15:11:00Z", "early/smoke-tests-passed", "");
    for day in ["05", "06"] {
        days.say(
            &format!("2026-03-{day}T08:10:00Z"),
            "week/check-incident-log",
            "",
        );
    }
    days.report(Kind::Day, "2026-03-04", "2026-03-07T09:00:00Z")
        .is("green")
        .says("2026-03-04 15:00 UTC to 2026-03-05 00:00 UTC (9 hours)")
        .says("- Uptime: 100% (0 of 540 minutes unknown)");
    days.report(Kind::Week, "2026-03-06", "2026-03-07T09:00:00Z")
        .is("green")
        .says("# Week 1 Hypercare Report")
        .says("2026-03-04 15:00 UTC to 2026-03-07 00:00 UTC (57 hours)")
        .says("- Total uptime: 100% (0 of 3,420 minutes unknown)");
    days.report(Kind::Hypercare, "2026-04-03", "2026-04-03T09:00:00Z")
        .says("- **Duration:** 2026-03-04 - 2026-04-02 (30 days)");
    // Before it has come that day is like any other.
    days.report(Kind::Day, "2026-03-04", "2026-03-04T14:00:00Z")
        .says("2026-03-04 00:00 UTC to 2026-03-04 14:00 UTC (14 hours)");
}
