//! Reads a `gated_test` block. What it means is `run/gated_test.rs`'.

use std::time::Duration;

use super::reading::{Reading, Table};
use crate::model::{Action, Guard, Severity, Status, Verdict};
use crate::run::gated_test::{Expected, ExpectedDecision, GatedTest, Told};
use crate::runbook::yaml::Node;

const BLOCK_KEYS: [&str; 6] = [
    "armed",
    "settle",
    "version_from",
    "go_live",
    "rollouts",
    "expect",
];
const ROLLOUT_KEYS: [&str; 4] = ["at", "version", "previous_version", "irreversible"];
const EXPECT_KEYS: [&str; 5] = ["at", "phase", "verdict", "status", "decisions"];
const DECISION_KEYS: [&str; 5] = ["do", "trigger", "refused_by", "severity", "phase"];

/// The block; faults go to `reading`, and a part with one is left out.
pub(super) fn read(reading: &Reading<'_>, node: &Node) -> Option<GatedTest> {
    let table = reading.table(node, &BLOCK_KEYS, "`gated_test`")?;
    let rollouts = reading.list(&table, "rollouts").iter();
    let mut rollouts: Vec<Told> = rollouts.filter_map(|it| told(reading, it)).collect();
    // The engine's time does not go back, in whatever order they are written.
    rollouts.sort_by_key(|it| it.at);
    let expect = reading.list(&table, "expect").iter();
    let mut expect: Vec<Expected> = expect.filter_map(|it| expected(reading, it)).collect();
    expect.sort_by_key(|it| it.at);
    Some(GatedTest {
        armed: reading.flag(&table, "armed", true),
        settle: reading.duration(&table, "settle"),
        version_from: reading.word(&table, "version_from"),
        go_live: reading.duration(&table, "go_live"),
        rollouts,
        expect,
    })
}

fn told(reading: &Reading<'_>, node: &Node) -> Option<Told> {
    let what = "an item of `rollouts`";
    let table = reading.table(node, &ROLLOUT_KEYS, what)?;
    reading.needed(&table, "at", what)?;
    Some(Told {
        version: reading.needed(&table, "version", what)?,
        at: reading.duration(&table, "at")?,
        previous_version: reading.word(&table, "previous_version"),
        irreversible: reading.flag(&table, "irreversible", false),
    })
}

fn expected(reading: &Reading<'_>, node: &Node) -> Option<Expected> {
    expected_at(reading, node, |table| reading.duration(table, "at"))
        .map(|(at, expected)| Expected { at, ..expected })
}

/// What must be so at a moment, which `at` reads.
pub(super) fn expected_at<T>(
    reading: &Reading<'_>,
    node: &Node,
    at: impl FnOnce(&Table<'_>) -> Option<T>,
) -> Option<(T, Expected)> {
    let what = "an item of `expect`";
    let table = reading.table(node, &EXPECT_KEYS, what)?;
    let decisions = table.get("decisions").map(|_| {
        let items = reading.list(&table, "decisions").iter();
        items.filter_map(|it| decision(reading, it)).collect()
    });
    let verdict = reading.one_of(&table, "verdict", Verdict::ALL, Verdict::word);
    let status = reading.one_of(&table, "status", Status::ALL, Status::word);
    reading.needed(&table, "at", what)?;
    let expected = Expected {
        at: Duration::ZERO,
        line: reading.line(table.first().start),
        phase: reading.word(&table, "phase"),
        verdict,
        status,
        decisions,
    };
    Some((at(&table)?, expected))
}

fn decision(reading: &Reading<'_>, node: &Node) -> Option<ExpectedDecision> {
    let what = "an item of `decisions`";
    let table = reading.table(node, &DECISION_KEYS, what)?;
    let refused_by = reading.one_of(&table, "refused_by", Guard::ALL, Guard::word);
    let severity = reading.one_of(&table, "severity", Severity::ALL, Severity::word);
    reading.needed(&table, "do", what)?;
    Some(ExpectedDecision {
        action: reading.one_of(&table, "do", Action::ALL, Action::word)?,
        trigger: reading.word(&table, "trigger"),
        refused_by,
        severity,
        phase: reading.word(&table, "phase"),
    })
}
