//! Uptime and its budget, the checklist and the criteria of the exit.

use std::collections::BTreeMap;

use super::flag;
use super::text::Kind::Gauge;
use super::text::Page;
use crate::engine::CriterionOutcome;
use crate::engine::Snapshot;
use crate::model::Timestamp;

pub(super) fn write(page: &mut Page, snapshot: &Snapshot) {
    uptime(page, snapshot);
    let mut items: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for it in &snapshot.checklist {
        *items.entry((&it.phase, it.state.word())).or_default() += 1;
    }
    let samples = items
        .into_iter()
        .map(|((phase, state), count)| ([("phase", phase), ("state", state)], f64::from(count)));
    let help = "Lines of the checklist: done, open, unknown, or later.";
    page.family(Gauge, "gated_checklist_items", help, samples);
    let made = snapshot.reports.iter().filter_map(|it| {
        let since_epoch = it.made_at?.since(Timestamp::EPOCH);
        Some(([("kind", it.kind.word())], since_epoch.as_secs_f64()))
    });
    let help = "When a report of the kind was last made.";
    page.family(Gauge, "gated_report_made_timestamp_seconds", help, made);
    let reports = snapshot.reports.iter();
    let failing = reports.map(|it| ([("kind", it.kind.word())], flag(it.trouble.is_some())));
    let help = "Reports: 1 while one of the kind could not be made or kept.";
    page.family(Gauge, "gated_report_failing", help, failing);
    let criteria = snapshot.criteria.iter();
    let samples = criteria.map(|it| {
        let met = flag(it.outcome == CriterionOutcome::Met);
        ([("criterion", it.id.as_str())], met)
    });
    let help = "Criteria for the end of hypercare: 1 where one is met.";
    page.family(Gauge, "gated_criterion_met", help, samples);
}

fn uptime(page: &mut Page, snapshot: &Snapshot) {
    const NONE: [(&str, &str); 0] = [];
    let Some(uptime) = &snapshot.uptime else {
        return;
    };
    let share = uptime.share().map(|share| (NONE, share));
    let help = "Share of the known minutes of [uptime] over that were up.";
    page.family(Gauge, "gated_uptime_ratio", help, share);
    let help = "Of [uptime] over: neither seen up nor down.";
    let unknown = [(NONE, uptime.unknown.as_secs_f64())];
    page.family(Gauge, "gated_uptime_unknown_seconds", help, unknown);
    let help = "What the objective leaves to be down; negative once it is missed.";
    let left = [(NONE, uptime.budget_left())];
    page.family(Gauge, "gated_error_budget_remaining_seconds", help, left);
}
