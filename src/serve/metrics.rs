//! `/metrics`: what the rooms count through the recorder, and the snapshot. Each room names and describes what it
//! counts itself. No label holds a URL or a label of a target beyond `job` and `instance`.

mod day;
mod process;
mod recorder;
mod tally;
mod text;

use std::collections::BTreeMap;

use crate::engine::Alert;
use crate::engine::Check;
use crate::engine::Outcome;
use crate::engine::Snapshot;
use crate::engine::VerdictState;
use crate::model::Helped;
use crate::model::Reading;
use crate::model::Severity;
use crate::model::Status;
use crate::model::Verdict;
pub use recorder::install;
pub use recorder::upkeep;
pub use tally::Tally;
use text::Kind::Counter;
use text::Kind::Gauge;
use text::Page;

/// The page: the recorder's part, then `snapshot` with `state` as its verdict.
pub fn render(snapshot: &Snapshot, state: &VerdictState, tally: &mut Tally) -> String {
    let mut page = Page::new(install().render());
    verdict(&mut page, state);
    signals(&mut page, snapshot);
    thresholds(&mut page, snapshot, state);
    alerts(&mut page, snapshot);
    targets(&mut page, snapshot);
    tally.take(snapshot);
    decisions(&mut page, snapshot, tally);
    incidents(&mut page, snapshot);
    day::write(&mut page, snapshot);
    rollbacks(&mut page, snapshot);
    totals(&mut page, snapshot);
    process::write(&mut page);
    page.finish()
}

fn verdict(page: &mut Page, state: &VerdictState) {
    let build = [("version", env!("CARGO_PKG_VERSION"))];
    page.family(
        Gauge,
        "gated_build_info",
        "The version that runs.",
        [(build, 1.0)],
    );
    let all = Verdict::ALL.iter();
    let samples = all.map(|it| ([("verdict", it.word())], flag(*it == state.verdict)));
    page.family(
        Gauge,
        "gated_verdict",
        "May the release stay: 1 for the verdict that holds.",
        samples,
    );
    let all = Status::ALL.iter();
    let samples = all.map(|it| ([("status", it.word())], flag(*it == state.status)));
    page.family(
        Gauge,
        "gated_status",
        "Status of the phase: 1 for the one that holds.",
        samples,
    );
    let phase = Some(state.phase.as_str()).filter(|phase| !phase.is_empty());
    let samples = phase.map(|phase| ([("phase", phase)], 1.0));
    page.family(Gauge, "gated_phase_info", "The active phase.", samples);
}

/// Every word a reading can have.
const READINGS: [Reading; 8] = [
    Reading::Value(0.0),
    Reading::Empty,
    Reading::Nan,
    Reading::Infinite,
    Reading::Stale,
    Reading::Thin,
    Reading::Ambiguous,
    Reading::SourceError,
];

fn signals(page: &mut Page, snapshot: &Snapshot) {
    let values = snapshot.signals.iter().filter_map(|signal| {
        let labels = [
            ("signal", signal.name.as_str()),
            ("unit", signal.unit.word()),
        ];
        Some((labels, signal.reading.value()?))
    });
    page.family(
        Gauge,
        "gated_signal",
        "Value of a signal, in its unit; absent without one.",
        values,
    );
    let readings = snapshot.signals.iter().flat_map(|signal| {
        READINGS.map(|it| {
            let word = it.word();
            let labels = [("signal", signal.name.as_str()), ("reading", word)];
            (labels, flag(word == signal.reading.word()))
        })
    });
    let help = "What a signal gave: 1 for a value or for why there is none.";
    page.family(Gauge, "gated_signal_reading", help, readings);
}

fn thresholds(page: &mut Page, snapshot: &Snapshot, state: &VerdictState) {
    let samples = state.checks.iter().flat_map(|check| {
        let trigger = snapshot.triggers.iter().find(|it| it.name == check.name);
        let phase = trigger.map_or(state.phase.as_str(), |trigger| trigger.phase.as_str());
        check.thresholds.iter().map(move |(signal, bound)| {
            let labels = [
                ("signal", signal.as_str()),
                ("phase", phase),
                ("role", check.role.word()),
                ("name", check.name.as_str()),
                ("op", operator(check, signal)),
            ];
            (labels, *bound)
        })
    });
    page.family(
        Gauge,
        "gated_threshold",
        "What a signal is compared with, in its unit.",
        samples,
    );
}

/// The comparison of `signal` in the check's condition: `> 500ms` or `… signal > 1% and …`; empty where there is none.
fn operator<'a>(check: &'a Check, signal: &str) -> &'a str {
    let condition = check.condition.trim_start();
    let after = if condition.starts_with(['<', '>', '=', '!']) {
        Some(condition)
    } else {
        condition.match_indices(signal).find_map(|(i, _)| {
            let whole = !condition[..i].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let rest = condition[i + signal.len()..].trim_start();
            (whole && rest.starts_with(['<', '>', '=', '!'])).then_some(rest)
        })
    };
    let after = after.unwrap_or("");
    let end = after
        .find(|c| !matches!(c, '<' | '>' | '=' | '!'))
        .unwrap_or(after.len());
    &after[..end]
}

fn alerts(page: &mut Page, snapshot: &Snapshot) {
    fn labels(alert: &Alert) -> Vec<(&str, &str)> {
        let own = alert
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let own = own.filter(|(name, _)| *name != "alertstate");
        own.chain([("alertstate", "firing")]).collect()
    }
    let firing = snapshot.alerts.iter().map(|alert| (labels(alert), 1.0));
    let pending = snapshot
        .triggers
        .iter()
        .filter(|it| it.outcome == Outcome::Pending)
        .map(|it| {
            let labels = vec![
                ("alertname", it.name.as_str()),
                ("service", snapshot.service.as_str()),
                ("phase", it.phase.as_str()),
                ("severity", it.severity.word()),
                ("series", it.series.as_str()),
                ("alertstate", "pending"),
            ];
            (labels, 1.0)
        });
    page.family(
        Gauge,
        "ALERTS",
        "Alerts pending and firing, as Prometheus shows its own.",
        firing.chain(pending),
    );
}

fn targets(page: &mut Page, snapshot: &Snapshot) {
    // Two pages of one instance share these labels: the instance is up when both are.
    let mut up: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    for target in &snapshot.targets {
        if let Some(last) = &target.last {
            let key = (target.info.job.as_str(), target.info.instance.as_str());
            *up.entry(key).or_insert(true) &= last.error.is_none();
        }
    }
    let samples = up
        .into_iter()
        .map(|((job, instance), up)| ([("job", job), ("instance", instance)], flag(up)));
    page.family(
        Gauge,
        "gated_target_up",
        "Whether the last scrape of a target succeeded.",
        samples,
    );
}

fn decisions(page: &mut Page, snapshot: &Snapshot, tally: &Tally) {
    let samples = tally.counts().map(|(action, refused, count)| {
        (
            [("do", action.word()), ("refused_by", refused)],
            f64::from(count),
        )
    });
    page.family(
        Counter,
        "gated_decisions_total",
        "Decisions by what was done and which guard refused more.",
        samples,
    );
    deliveries(page, snapshot);
}

/// Every state of a delivery, so that the first of its kind is a step and not a line that appears.
const SETTLED: [&str; 3] = ["cancelled", "delivered", "given_up"];
const OPEN: [&str; 4] = ["held", "owed", "unconfirmed", "under_way"];

fn deliveries(page: &mut Page, snapshot: &Snapshot) {
    let mut states: BTreeMap<&str, u32> = SETTLED.iter().chain(&OPEN).map(|it| (*it, 0)).collect();
    for delivery in snapshot.decisions.iter().flat_map(|(_, owed)| owed) {
        *states.entry(delivery.state.word()).or_default() += 1;
    }
    let sample = |(state, count): (&&'static str, &u32)| ([("state", *state)], f64::from(*count));
    page.family(
        Gauge,
        "gated_deliveries",
        "Deliveries of the decisions shown, by state.",
        states.iter().map(sample),
    );
    let open = states.iter().filter(|(state, _)| !SETTLED.contains(*state));
    page.family(
        Gauge,
        "gated_deliveries_open",
        "Deliveries that are not settled, by state; held ones wait for a person.",
        open.map(sample),
    );
}

/// What people and a damaged ledger hold back, and whether rollbacks helped.
fn rollbacks(page: &mut Page, snapshot: &Snapshot) {
    for (name, help, on) in [
        (
            "gated_rollback_armed",
            "Whether [rollback] mode is armed (1) or shadow (0); gated_rollbacks_frozen and gated_rollbacks_held hold it back.",
            snapshot.rollback_armed,
        ),
        (
            "gated_rollbacks_frozen",
            "Whether a person has frozen rollbacks (1).",
            snapshot.frozen.is_some(),
        ),
        (
            "gated_rollbacks_held",
            "Whether rollbacks wait for a person because the ledger was damaged (1).",
            snapshot.held.is_some(),
        ),
    ] {
        page.single(Gauge, name, help, flag(on));
    }
    page.single(
        Gauge,
        "gated_receivers_gone",
        "Webhooks that answered 410: nothing is sent to them until the configuration is read again.",
        f64::from(u32::try_from(snapshot.gone.len()).unwrap_or(u32::MAX)),
    );
    let outcomes = snapshot.verifications.iter().filter_map(|it| it.outcome);
    let samples = Helped::ALL.iter().map(|helped| {
        let count = outcomes.clone().filter(|(_, it)| it == helped).count();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        ([("outcome", helped.word())], f64::from(count))
    });
    page.family(
        Counter,
        "gated_rollback_verifications_total",
        "Delivered rollbacks by whether they helped, as far back as the ledger goes.",
        samples,
    );
}

const INCIDENTS_OPEN: &str = "gated_incidents_open";
const INCIDENTS_OPENED: &str = "gated_incidents_opened_total";
const INCIDENTS_BREACHED: &str = "gated_incidents_sla_missed_total";
const INCIDENTS_ACKNOWLEDGED: &str = "gated_incidents_acknowledged_total";
const ACKNOWLEDGE_SECONDS: &str = "gated_incident_acknowledge_seconds_total";

#[allow(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn incidents(page: &mut Page, snapshot: &Snapshot) {
    let open = Severity::ALL.iter().map(|severity| {
        let all = snapshot.incidents.iter().map(|it| &it.incident);
        let open = all.filter(|it| it.is_open() && it.severity == *severity);
        ([("severity", severity.word())], open.count() as f64)
    });
    page.family(
        Gauge,
        INCIDENTS_OPEN,
        "Incidents that are not resolved.",
        open,
    );
    let counts = &snapshot.incident_counts;
    for (name, help, counts) in [
        (INCIDENTS_OPENED, "Incidents opened.", &counts.opened),
        (
            INCIDENTS_BREACHED,
            "Incidents that nobody acknowledged in time.",
            &counts.breached,
        ),
    ] {
        let samples = counts
            .iter()
            .map(|(severity, count)| ([("severity", severity.word())], *count as f64));
        page.family(Counter, name, help, samples);
    }
    page.single(
        Counter,
        INCIDENTS_ACKNOWLEDGED,
        "Incidents that somebody acknowledged.",
        counts.acknowledged as f64,
    );
    page.single(
        Counter,
        ACKNOWLEDGE_SECONDS,
        "Time that passed until incidents were acknowledged, over all of them.",
        counts.acknowledge_seconds,
    );
}

#[allow(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn totals(page: &mut Page, snapshot: &Snapshot) {
    let counters = [
        (
            "gated_rule_evaluations_total",
            "Evaluations of expressions.",
            snapshot.evaluations,
        ),
        (
            "gated_rule_evaluation_failures_total",
            "Evaluations that failed.",
            snapshot.evaluation_failures,
        ),
        (
            "gated_samples_appended_total",
            "Samples taken into the window.",
            snapshot.samples_appended,
        ),
    ];
    for (name, help, value) in counters {
        page.single(Counter, name, help, value as f64);
    }
    page.single(
        Gauge,
        "gated_series",
        "Series in the window.",
        snapshot.series as f64,
    );
}

fn flag(on: bool) -> f64 {
    if on { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Role;
    use crate::model::Unit;

    #[test]
    fn the_operator_stands_behind_its_own_signal() {
        let check = |condition: &str| Check {
            name: "t".into(),
            signal: String::new(),
            role: Role::Trigger,
            reading: Reading::Empty,
            unit: Unit::None,
            condition: condition.into(),
            thresholds: BTreeMap::new(),
            expected: false,
            shadow: false,
            outcome: Outcome::Quiet,
            reason: String::new(),
        };
        for (condition, signal, op) in [
            ("> 500ms", "p95", ">"),
            ("== 0%", "p95", "=="),
            ("p95>=1s", "p95", ">="),
            (
                "error_rate > 1% and (p95 != 3s or not rate < 5%)",
                "rate",
                "<",
            ),
            (
                "error_rate > 1% and (p95 != 3s or not rate < 5%)",
                "p95",
                "!=",
            ),
            ("vector(1)", "p95", ""),
        ] {
            assert_eq!(operator(&check(condition), signal), op, "{condition}");
        }
    }
}
