//! Two outcomes side by side.

use std::fmt::Write as _;

use serde_json::json;

use super::lines::{deed, tone};
use super::notes::{decided, looked_at, span};
use super::table::{seconds, shade};
use super::{Shown, moment, value};
use crate::model::Decision;
use crate::model::text::{markdown as cell, visible};
use crate::run::backtest::PhaseSpan;
use crate::run::backtest::compare::{Pair, pairs};
use crate::run::show::grid::{Cell, grid};
use crate::run::show::{BOLD, paint};
use crate::run::spelled;

/// The names of both sets of rules, as people know them.
pub type Names<'a> = (&'a str, &'a str);

/// For a terminal.
#[must_use]
pub fn compared(ours: &Shown<'_>, others: &Shown<'_>, names: Names<'_>, colour: bool) -> String {
    let mut out = String::new();
    let service = visible(&ours.settings.service);
    let _ = writeln!(out, "{service} · {}\n{}\n", span(ours), looked_at(ours));
    let rows = pairs(ours.outcome, others.outcome);
    let rows = rows.iter().map(|pair| {
        let either = either(pair);
        let word = match shade(tone(either)) {
            Some(shade) => Cell::painted(deed(either), shade),
            None => Cell::plain(deed(either)),
        };
        let (own, other) = (at(pair.ours, ours), at(pair.others, others));
        vec![
            word,
            Cell::plain(&either.trigger),
            Cell::plain(own),
            Cell::plain(other),
            Cell::plain(differs(pair)),
        ]
    });
    let heads = ["decision", "trigger", names.0, names.1, ""];
    grid(&mut out, &heads, rows.collect(), colour);
    let heads = ["phase", "rules", "green", "amber", "red", "unknown"];
    grid(&mut out, &heads, statuses(ours, others, names), colour);
    for (shown, name) in [(ours, names.0), (others, names.1)] {
        let line = format!("{}: {}", visible(name), decided(shown));
        let _ = writeln!(out, "{}", paint(&line, BOLD, colour));
    }
    out
}

/// For a pull request.
#[must_use]
pub fn markdown(ours: &Shown<'_>, others: &Shown<'_>, names: Names<'_>) -> String {
    let mut out = String::new();
    let names = (cell(names.0), cell(names.1));
    let service = cell(&ours.settings.service);
    let _ = writeln!(out, "## {service}: two sets of rules\n");
    let _ = writeln!(out, "{}, {}.\n", cell(&span(ours)), looked_at(ours));
    let _ = writeln!(
        out,
        "| decision | trigger | {} | {} | |\n|---|---|---|---|---|",
        names.0, names.1
    );
    for pair in pairs(ours.outcome, others.outcome) {
        let it = either(&pair);
        let (own, other) = (at(pair.ours, ours), at(pair.others, others));
        let (trigger, differs) = (cell(&it.trigger), cell(&differs(&pair)));
        let _ = writeln!(
            out,
            "| {} | {trigger} | {own} | {other} | {differs} |",
            deed(it)
        );
    }
    let _ = writeln!(
        out,
        "\n- {}: {}\n- {}: {}",
        names.0,
        decided(ours),
        names.1,
        decided(others)
    );
    out
}

/// Both documents, and whether anything was decided otherwise.
#[must_use]
pub fn document(ours: &Shown<'_>, others: &Shown<'_>) -> String {
    let same = pairs(ours.outcome, others.outcome)
        .iter()
        .all(Pair::is_alike);
    let document = json!({
        "same_decisions": same,
        "rules": value(ours.outcome),
        "compare": value(others.outcome),
    });
    let mut text = serde_json::to_string_pretty(&document).expect("plain texts and numbers");
    text.push('\n');
    text
}

fn either<'a>(pair: &Pair<'a>) -> &'a Decision {
    pair.ours
        .or(pair.others)
        .expect("a pair holds one at least")
}

fn at(decision: Option<&Decision>, shown: &Shown<'_>) -> String {
    match decision {
        None => "–".to_owned(),
        Some(it) => {
            let refused = it
                .refused_by
                .map_or_else(String::new, |it| format!(" ({it})"));
            format!("{}{refused}", moment(it.at, &shown.settings.zone))
        }
    }
}

fn differs(pair: &Pair<'_>) -> String {
    match (pair.ours, pair.others) {
        _ if pair.is_alike() => String::new(),
        (Some(_), None) => "not any more".to_owned(),
        (None, _) => "new".to_owned(),
        (Some(own), Some(other)) => {
            let mut parts = Vec::new();
            if other.at > own.at {
                parts.push(format!("{} later", spelled(other.at.since(own.at))));
            } else if own.at > other.at {
                parts.push(format!("{} earlier", spelled(own.at.since(other.at))));
            }
            if own.refused_by != other.refused_by || own.asked != other.asked {
                parts.push("refused otherwise".to_owned());
            }
            if own.severity != other.severity {
                parts.push(format!("{} instead of {}", other.severity, own.severity));
            }
            if own.phase != other.phase {
                parts.push(format!("in {}", visible(&other.phase)));
            }
            if own.is_tried() != other.is_tried() {
                let word = if other.is_tried() {
                    "in shadow"
                } else {
                    "live"
                };
                parts.push(word.to_owned());
            }
            parts.join(", ")
        }
    }
}

/// A row for each phase and set of rules.
fn statuses(ours: &Shown<'_>, others: &Shown<'_>, names: Names<'_>) -> Vec<Vec<Cell>> {
    let mut spans = Vec::new();
    for (shown, name) in [(ours, names.0), (others, names.1)] {
        spans.extend(shown.outcome.phases.iter().map(|it| (it, name)));
    }
    spans.sort_by_key(|(it, _)| it.from);
    let row = |(it, name): (&PhaseSpan, &str)| {
        let heads = [&it.name, name].map(Cell::plain);
        let times = it.status_millis.map(|millis| Cell::plain(seconds(millis)));
        heads.into_iter().chain(times).collect()
    };
    spans.into_iter().map(row).collect()
}
