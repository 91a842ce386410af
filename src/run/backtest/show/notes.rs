//! Sentences that belong to an outcome: what was looked at, what was decided, what to bear in mind.

use std::time::Duration;

use super::{Shown, counted, grouped, moment};
use crate::model::Action;
use crate::run::backtest::outcome::SignalSeen;
use crate::run::spelled;
use crate::runbook::Hold;

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
    let mut notes = doubts(shown);
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
    notes
}

/// What makes the outcome doubtful.
pub fn doubts(shown: &Shown<'_>) -> Vec<String> {
    let outcome = shown.outcome;
    let mut notes = shown.notes.to_vec();
    notes.extend(outcome.nothing_judged().map(str::to_owned));
    for (instance, silent, pages) in &outcome.silent {
        notes.push(format!(
            "{instance} was silent where a scrape was due {silent} times, and answered {pages} times: where it was recorded less often than elsewhere, --interval says so"
        ));
    }
    if let Some(asked) = outcome.asked_end {
        let (zone, end) = (&shown.settings.zone, outcome.end);
        notes.push(format!(
            "nothing is recorded after {}: the time until {} was not looked at",
            moment(end, zone),
            moment(asked, zone)
        ));
    }
    if !outcome.ended_without_up.is_empty() {
        let ended = outcome.ended_without_up.join(", ");
        notes.push(format!(
            "no `up` of {ended} is recorded: they end before the recording does, and that is taken for their removal; live, a target that does not answer is one that failed. Record `up` with the rest"
        ));
    }
    let soonest = soonest(shown);
    if outcome.nothing_judged().is_none() && outcome.judged < soonest {
        notes.push(format!(
            "conditions were judged for {} alone, and every one must hold for {} or more: look at more of what comes after a rollout",
            spelled(Duration::from_secs(outcome.judged.as_secs())),
            spelled(soonest)
        ));
    }
    for signal in &outcome.signals {
        if signal.readings > 0 && signal.known == 0 {
            notes.push(format!("{} never had a value: {}", signal.name, signal.why));
        }
    }
    for name in &outcome.unmatched {
        let silent = |it: &SignalSeen| it.name == *name && it.known == 0;
        if !outcome.signals.iter().any(silent) {
            notes.push(format!(
                "{name} looked at nothing: its selectors match no series of the recording. Are its names, labels and jobs those of the recording?"
            ));
        }
    }
    notes
}

/// How long the conditions must hold of which that is asked for the shortest time.
fn soonest(shown: &Shown<'_>) -> Duration {
    let phases = shown.settings.rules.phases.iter();
    let holds = phases.flat_map(|it| &it.triggers).map(|it| match it.hold {
        Hold::For(hold) => hold,
        Hold::After { .. } => Duration::ZERO,
    });
    holds.min().unwrap_or_default()
}
