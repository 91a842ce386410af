//! The table for people: scrapes, checks, what would be done, reasons; the verdict is the last line.

use std::fmt::Write as _;

use super::BOLD;
use super::GREEN;
use super::RED;
use super::YELLOW;
use super::grid::Cell;
use super::grid::grid;
use super::paint;
use super::reading;
use super::scrape;
use super::title;
use crate::engine::Outcome;
use crate::engine::Snapshot;
use crate::model::Status;
use crate::model::Verdict;
use crate::model::text::visible;

pub fn render(snapshot: &Snapshot, colour: bool) -> String {
    let state = &snapshot.verdict;
    let mut out = String::new();
    let phase = if state.phase.is_empty() {
        "no phase"
    } else {
        &state.phase
    };
    let _ = writeln!(out, "{} · {}\n", visible(&snapshot.service), visible(phase));

    let scrapes = snapshot.targets.iter().map(|target| {
        let (word, detail) = match scrape(target) {
            Ok(detail) => (Cell::painted("up", GREEN), detail),
            Err(error) if target.last.is_none() => (Cell::painted("unknown", YELLOW), error),
            Err(error) => (Cell::painted("down", RED), error),
        };
        vec![
            Cell::plain(&target.info.job),
            Cell::plain(&target.info.url),
            word,
            Cell::plain(detail),
        ]
    });
    grid(
        &mut out,
        &["job", "target", "scrape", ""],
        scrapes.collect(),
        colour,
    );

    let checks = state.checks.iter().map(|check| {
        vec![
            Cell::plain(title(check)),
            Cell::plain(reading(check)),
            Cell::plain(&check.condition),
            Cell::painted(check.outcome.word(), shade(check.outcome)),
            Cell::plain(&check.reason),
        ]
    });
    grid(
        &mut out,
        &["check", "reading", "condition", "outcome", ""],
        checks.collect(),
        colour,
    );

    for fire in &state.would_fire {
        let hook = fire
            .hook
            .as_ref()
            .map_or_else(String::new, |hook| format!(" through {hook}"));
        let refused = fire
            .refused_by
            .map_or_else(String::new, |it| format!(" (refused by {it})"));
        let line = format!(
            "would {}{hook} because of {}{refused}",
            fire.action,
            fire.because.join(", ")
        );
        let _ = writeln!(out, "{}", visible(&line));
    }
    for reason in &state.reasons {
        let _ = writeln!(out, "- {}", visible(reason));
    }
    let (words, shade) = match state.verdict {
        Verdict::Go => ("GO", GREEN),
        Verdict::NoGo => ("NO GO", RED),
        Verdict::Unknown => ("UNKNOWN", YELLOW),
    };
    let shade = if state.status == Status::Amber {
        YELLOW
    } else {
        shade
    };
    let verdict = paint(&paint(words, shade, colour), BOLD, colour);
    let _ = writeln!(out, "{verdict} ({})", state.status);
    out
}

const fn shade(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Met | Outcome::Quiet => GREEN,
        Outcome::Missed | Outcome::Pending | Outcome::Unknown => YELLOW,
        Outcome::Firing => RED,
    }
}
