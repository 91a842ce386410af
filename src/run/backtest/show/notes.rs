//! Sentences that belong to an outcome: what was looked at, what was decided, what to bear in mind.

use super::{Shown, counted, grouped, moment};
use crate::model::Action;
use crate::run::spelled;
use std::time::Duration;

/// What was looked at: `11,033 samples of 58 series, 4,564 readings, 18m`.
pub fn looked_at(shown: &Shown<'_>) -> String {
    let outcome = shown.outcome;
    let series = shown
        .tally
        .map_or_else(String::new, |it| format!(" of {} series", it.series));
    let seconds = outcome.end.since(outcome.start).as_secs();
    format!(
        "{} samples{series}, {} readings in {}",
        grouped(outcome.samples),
        grouped(outcome.evaluations),
        spelled(Duration::from_secs(seconds))
    )
}

/// From when until when, by the service's wall.
pub fn span(shown: &Shown<'_>) -> String {
    let (outcome, zone) = (shown.outcome, &shown.settings.zone);
    let name = zone.iana_name().unwrap_or("UTC");
    let (from, until) = (moment(outcome.start, zone), moment(outcome.end, zone));
    format!("{from} – {until} {name}")
}

/// What was decided, in numbers.
pub fn decided(shown: &Shown<'_>) -> String {
    let count = |action| shown.outcome.of(action).count();
    let mut parts = vec![
        counted(count(Action::Rollback), "rollback"),
        counted(count(Action::Escalate), "escalation"),
        counted(count(Action::Notify), "notification"),
    ];
    let shadowed = shown.outcome.tried().count();
    if shadowed > 0 {
        parts.push(format!("{shadowed} in shadow"));
    }
    parts.join(", ")
}

/// What to bear in mind.
pub fn notes(shown: &Shown<'_>) -> Vec<String> {
    let outcome = shown.outcome;
    let mut notes = shown.notes.to_vec();
    notes.extend(outcome.nothing_judged().map(str::to_owned));
    for (instance, silent, pages) in &outcome.silent {
        notes.push(format!(
            "{instance} was silent where a scrape was due {silent} times, and answered {pages} times: where it was recorded less often than elsewhere, --interval says so"
        ));
    }
    if outcome.of(Action::Rollback).next().is_some() {
        let text = "the recorded service was not rolled back: what comes after a rollback is what was, not what would have been";
        notes.push(text.to_owned());
    }
    if let Some(tally) = shown.tally {
        if tally.duplicates > 0 {
            let count = grouped(tally.duplicates);
            notes.push(format!(
                "{count} samples were there twice: the first counts"
            ));
        }
        if tally.late > 0 {
            let count = grouped(tally.late);
            notes.push(format!("{count} samples came late and were sorted in"));
        }
    }
    if outcome.before > 0 {
        let count = counted(outcome.before, "decision");
        notes.push(format!(
            "{count} before --start are left out, and count for the guards"
        ));
    }
    if outcome.events_left_out > 0 {
        let count = grouped(outcome.events_left_out);
        notes.push(format!("{count} later lines of the timeline are left out"));
    }
    for signal in &outcome.signals {
        if signal.readings > 0 && signal.known == 0 {
            notes.push(format!("{} never had a value: {}", signal.name, signal.why));
        }
    }
    notes
}
