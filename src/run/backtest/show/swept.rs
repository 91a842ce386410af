//! What came of a sweep: how often, when first.

use std::fmt::Write as _;

use serde_json::json;

use super::notes::{looked_at, span};
use super::{Shown, moment};
use crate::model::Timestamp;
use crate::model::text::{markdown as cell, visible};
use crate::run::backtest::sweep::Row;
use crate::run::show::grid::{Cell, grid};
use crate::runbook::Sweep;

const HEADS: [&str; 4] = ["rollbacks", "first", "escalations", "first"];
/// The rules without a change.
const WRITTEN: &str = "as written";

/// For a terminal. `shown`: the rules as they are written.
#[must_use]
pub fn swept(shown: &Shown<'_>, sweeps: &[Sweep], rows: &[Row], colour: bool) -> String {
    let mut out = String::new();
    let service = visible(&shown.settings.service);
    let _ = writeln!(out, "{service} · {}\n{}\n", span(shown), looked_at(shown));
    let names = sweeps.iter().map(|it| it.name.as_str());
    let heads: Vec<&str> = names.chain(HEADS).collect();
    let cells = |it: &Row| {
        columns(it, sweeps, shown)
            .into_iter()
            .map(Cell::plain)
            .collect()
    };
    grid(&mut out, &heads, rows.iter().map(cells).collect(), colour);
    out
}

/// For a pull request.
#[must_use]
pub fn markdown(shown: &Shown<'_>, sweeps: &[Sweep], rows: &[Row]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "## {}: other thresholds\n",
        cell(&shown.settings.service)
    );
    let _ = writeln!(out, "{}, {}.\n", cell(&span(shown)), looked_at(shown));
    let names = sweeps.iter().map(|it| cell(&it.name));
    let heads: Vec<String> = names.chain(HEADS.map(str::to_owned)).collect();
    let _ = writeln!(
        out,
        "| {} |\n|{}",
        heads.join(" | "),
        "---|".repeat(heads.len())
    );
    for row in rows {
        let _ = writeln!(out, "| {} |", columns(row, sweeps, shown).join(" | "));
    }
    out
}

/// For a program: values by name, `null` for the rules as they are written.
#[must_use]
pub fn document(sweeps: &[Sweep], rows: &[Row]) -> String {
    let moment = |at: Option<Timestamp>| at.map(|it| it.to_string());
    let rows = rows.iter().map(|it| {
        let values = sweeps.iter().zip(&it.values);
        let values = values.map(|(sweep, value)| (sweep.name.clone(), value.clone().into()));
        let values: serde_json::Map<String, serde_json::Value> = values.collect();
        json!({
            "values": if it.values.is_empty() { None } else { Some(values) },
            "rollbacks": it.rollbacks,
            "first_rollback": moment(it.first_rollback),
            "escalations": it.escalations,
            "first_escalation": moment(it.first_escalation),
        })
    });
    let document = json!({ "rows": rows.collect::<Vec<_>>() });
    let mut text = serde_json::to_string_pretty(&document).expect("plain texts and numbers");
    text.push('\n');
    text
}

fn columns(row: &Row, sweeps: &[Sweep], shown: &Shown<'_>) -> Vec<String> {
    let mut columns = row.values.clone();
    if columns.is_empty() {
        columns = vec![WRITTEN.to_owned(); sweeps.len()];
    }
    let first = |at: Option<Timestamp>| match at {
        Some(at) => moment(at, &shown.settings.zone),
        None => "–".to_owned(),
    };
    columns.extend([
        row.rollbacks.to_string(),
        first(row.first_rollback),
        row.escalations.to_string(),
        first(row.first_escalation),
    ]);
    columns
}
