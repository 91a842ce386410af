//! Markdown for a pull request: the decisions first, the timeline folded away.

use std::fmt::Write as _;

use super::lines::{deed, lines, why};
use super::notes::{decided, looked_at, notes, span};
use super::table::{missing, percent, seconds};
use super::{Shown, clock, moment};
use crate::model::text::markdown as cell;

/// The text, ending with a newline.
#[must_use]
pub fn markdown(shown: &Shown<'_>) -> String {
    let (outcome, zone) = (shown.outcome, &shown.settings.zone);
    let mut out = String::new();
    let service = cell(&shown.settings.service);
    let _ = writeln!(out, "## {service}: {}\n", decided(shown));
    let _ = writeln!(out, "{}, {}.", cell(&span(shown)), looked_at(shown));
    if !outcome.decisions.is_empty() {
        out.push_str(
            "\n| at | decision | trigger | phase | severity | why |\n|---|---|---|---|---|---|\n",
        );
    }
    for it in &outcome.decisions {
        let (at, trigger) = (moment(it.at, zone), cell(&it.trigger));
        let (phase, why) = (cell(&it.phase), cell(&why(it)));
        let _ = writeln!(
            out,
            "| {at} | {} | {trigger} | {phase} | {} | {why} |",
            deed(it),
            it.severity
        );
    }
    if !outcome.phases.is_empty() {
        out.push_str("\n| phase | from | until | green | amber | red | unknown |\n|---|---|---|---|---|---|---|\n");
    }
    for it in &outcome.phases {
        let (from, until) = (moment(it.from, zone), moment(it.until, zone));
        let [green, amber, red, unknown] = it.status_millis.map(seconds);
        let name = cell(&it.name);
        let _ = writeln!(
            out,
            "| {name} | {from} | {until} | {green} | {amber} | {red} | {unknown} |"
        );
    }
    if !outcome.signals.is_empty() {
        out.push_str("\n| signal | readings | known | lowest | highest | without a value |\n|---|---|---|---|---|---|\n");
    }
    for it in &outcome.signals {
        let value = |value: f64| match it.known {
            0 => "–".to_owned(),
            _ => it.unit.show(value),
        };
        let (lowest, highest) = (value(it.lowest), value(it.highest));
        let (name, known, missing) = (cell(&it.name), percent(it), missing(it));
        let _ = writeln!(
            out,
            "| {name} | {} | {known} | {lowest} | {highest} | {missing} |",
            it.readings
        );
    }
    let notes = notes(shown);
    if !notes.is_empty() {
        out.push('\n');
    }
    for note in notes {
        let _ = writeln!(out, "- {}", cell(&note));
    }
    let lines = lines(shown);
    if !lines.is_empty() {
        out.push_str("\n<details><summary>Timeline</summary>\n\n| at | | |\n|---|---|---|\n");
        for line in lines {
            let (at, text) = (clock(line.at, zone), cell(&line.text));
            let _ = writeln!(out, "| {at} | {} | {text} |", line.word);
        }
        out.push_str("\n</details>\n");
    }
    out
}
