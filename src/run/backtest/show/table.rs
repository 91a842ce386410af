//! The timeline for people at a terminal: what changed, when, and why; then phases, signals, and what was decided.

use std::fmt::Write as _;

use super::lines::{Tone, lines};
use super::notes::{decided, looked_at, notes, span};
use super::{Shown, clock, moment};
use crate::model::calendar::local_date;
use crate::model::text::visible;
use crate::run::backtest::outcome::SignalSeen;
use crate::run::show::grid::{Cell, grid};
use crate::run::show::{BOLD, GREEN, RED, YELLOW, paint};
use crate::run::spelled;
use std::time::Duration;

/// The text, ending with a newline.
#[must_use]
pub fn table(shown: &Shown<'_>, colour: bool) -> String {
    let (outcome, zone) = (shown.outcome, &shown.settings.zone);
    let mut out = String::new();
    let service = visible(&shown.settings.service);
    let _ = writeln!(out, "{service} · {}", span(shown));
    let _ = writeln!(out, "{}\n", looked_at(shown));
    let mut day = local_date(outcome.start, zone);
    for line in lines(shown) {
        let date = local_date(line.at, zone);
        if date != day {
            day = date;
            let text = moment(line.at, zone);
            let _ = writeln!(out, "{}", paint(&text[..10.min(text.len())], BOLD, colour));
        }
        let word = format!("{:<11}", line.word);
        let word = match shade(line.tone) {
            Some(shade) => paint(&word, shade, colour),
            None => word,
        };
        let _ = writeln!(
            out,
            "{}  {word} {}",
            clock(line.at, zone),
            visible(&line.text)
        );
    }
    if !outcome.events.is_empty() {
        out.push('\n');
    }
    let phases = outcome.phases.iter().map(|phase| {
        let mut row = vec![
            Cell::plain(&phase.name),
            Cell::plain(clock(phase.from, zone)),
            Cell::plain(clock(phase.until, zone)),
        ];
        row.extend(
            phase
                .status_millis
                .map(|millis| Cell::plain(seconds(millis))),
        );
        row
    });
    let heads = ["phase", "from", "until", "green", "amber", "red", "unknown"];
    grid(&mut out, &heads, phases.collect(), colour);
    let signals = outcome.signals.iter().map(signal);
    let heads = [
        "signal",
        "readings",
        "known",
        "lowest",
        "highest",
        "without a value",
    ];
    grid(&mut out, &heads, signals.collect(), colour);
    for note in notes(shown) {
        let _ = writeln!(out, "- {}", visible(&note));
    }
    let _ = writeln!(out, "{}", paint(&decided(shown), BOLD, colour));
    out
}

fn signal(it: &SignalSeen) -> Vec<Cell> {
    let value = |value: f64| {
        let known = it.known > 0;
        Cell::plain(if known {
            it.unit.show(value)
        } else {
            "–".to_owned()
        })
    };
    vec![
        Cell::plain(&it.name),
        Cell::plain(it.readings.to_string()),
        Cell::plain(percent(it)),
        value(it.lowest),
        value(it.highest),
        Cell::plain(missing(it)),
    ]
}

/// The share of readings with a value.
pub fn percent(it: &SignalSeen) -> String {
    if it.readings == 0 {
        return "–".to_owned();
    }
    #[allow(clippy::cast_precision_loss, reason = "a share for people")]
    let share = it.known as f64 / it.readings as f64 * 100.0;
    format!("{share:.0}%")
}

/// `thin 12, stale 3`.
pub fn missing(it: &SignalSeen) -> String {
    let parts = it
        .missing
        .iter()
        .map(|(why, count)| format!("{why} {count}"));
    parts.collect::<Vec<_>>().join(", ")
}

pub fn seconds(millis: u64) -> String {
    match millis / 1000 {
        0 => "–".to_owned(),
        seconds => spelled(Duration::from_secs(seconds)),
    }
}

pub const fn shade(tone: Tone) -> Option<&'static str> {
    match tone {
        Tone::Plain => None,
        Tone::Good => Some(GREEN),
        Tone::Warn => Some(YELLOW),
        Tone::Bad => Some(RED),
    }
}
