//! Markdown for a job's summary page.

use std::fmt::Write as _;

use super::reading;
use super::scrape;
use super::title;
use crate::engine::Snapshot;
use crate::model::Verdict;
use crate::model::text::markdown as cell;
use crate::model::text::visible;

pub fn render(snapshot: &Snapshot) -> String {
    let state = &snapshot.verdict;
    let mut out = String::new();
    let verdict = match state.verdict {
        Verdict::Go => "✅ go",
        Verdict::NoGo => "❌ no go",
        Verdict::Unknown => "❔ unknown",
    };
    let service = cell(&snapshot.service);
    let _ = writeln!(
        out,
        "## {service}: {verdict}\n\nStatus **{}**, phase {}",
        state.status,
        code(&state.phase)
    );
    if let Some(at) = state.evaluated_at {
        let _ = writeln!(out, "at {at}");
    }
    out.push('\n');
    for reason in &state.reasons {
        let _ = writeln!(out, "- {}", cell(reason));
    }
    for fire in &state.would_fire {
        let refused = fire
            .refused_by
            .map_or_else(String::new, |it| format!(", refused by {it}"));
        let _ = writeln!(
            out,
            "- would **{}** because of {}{refused}",
            fire.action,
            cell(&fire.because.join(", "))
        );
    }
    if !state.checks.is_empty() {
        out.push_str("\n| check | reading | condition | outcome | |\n|---|---|---|---|---|\n");
    }
    for check in &state.checks {
        let (name, reading, reason) = (
            cell(&title(check)),
            cell(&reading(check)),
            cell(&check.reason),
        );
        let (condition, outcome) = (code(&check.condition), check.outcome.word());
        let _ = writeln!(
            out,
            "| {name} | {reading} | {condition} | {outcome} | {reason} |"
        );
    }
    if !snapshot.targets.is_empty() {
        out.push_str("\n| job | target | scrape |\n|---|---|---|\n");
    }
    for target in &snapshot.targets {
        let scrape = scrape(target).unwrap_or_else(|error| format!("**down**: {}", cell(&error)));
        let _ = writeln!(
            out,
            "| {} | {} | {scrape} |",
            cell(&target.info.job),
            code(&target.info.url)
        );
    }
    out
}

/// A span of code in a cell; what could end it or the cell is replaced.
fn code(text: &str) -> String {
    if text.is_empty() {
        return "none".to_owned();
    }
    format!("`{}`", visible(text).replace('`', "'").replace('|', "\\|"))
}
