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
