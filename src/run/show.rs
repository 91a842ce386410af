//! Printing a verdict in the four formats of a dry run. The JSON is `serve`'s, key for key.

pub(super) mod grid;
mod junit;
mod markdown;
mod table;

use super::cli::Format;
use crate::engine::Check;
use crate::engine::ScrapeState;
use crate::engine::Snapshot;
use crate::model::Reading;
use crate::model::Unit;
use crate::serve::wire;

pub(super) const RED: &str = "31";
pub(super) const GREEN: &str = "32";
pub(super) const YELLOW: &str = "33";
pub(super) const BOLD: &str = "1";

/// The snapshot's verdict, ending with a newline. `colour` matters to the table only.
#[must_use]
pub fn render(snapshot: &Snapshot, format: Format, colour: bool) -> String {
    match format {
        Format::Table => table::render(snapshot, colour),
        Format::Json => {
            let verdict = wire::Verdict::of(snapshot);
            let json =
                serde_json::to_string_pretty(&verdict).expect("strings and numbers are JSON");
            json + "\n"
        }
        Format::Junit => junit::render(snapshot),
        Format::Markdown => markdown::render(snapshot),
    }
}

/// The reading for people: `87ms`, or why there is none.
fn reading(check: &Check) -> String {
    match check.reading {
        Reading::Value(value) => check.unit.show(value),
        other => format!("no value ({})", other.word()),
    }
}

/// How the last scrape went: `812 samples in 4ms` (with why a probe fails), or why there are none.
fn scrape(state: &ScrapeState) -> Result<String, String> {
    match &state.last {
        None => Err("not scraped yet".to_owned()),
        Some(last) => last.error.as_ref().map_or_else(
            || {
                let took = Unit::Seconds.show(last.duration.as_secs_f64());
                let fails = last.note.as_deref();
                let fails = fails.map_or_else(String::new, |why| format!("; fails: {why}"));
                Ok(format!("{} samples in {took}{fails}", last.samples))
            },
            |error| Err(error.to_string()),
        ),
    }
}

/// The check's name, with the signal where that says more.
fn title(check: &Check) -> String {
    if check.signal.is_empty() || check.signal == check.name {
        check.name.clone()
    } else {
        format!("{} ({})", check.name, check.signal)
    }
}

/// `text` in a colour, where there is colour.
pub(super) fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}
