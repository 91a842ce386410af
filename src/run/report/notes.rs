//! What people filled in, of which period it is: what was said in it, and what was said after it where nothing was. What is
//! said of an incident belongs to every report that shows the incident. Deliberately absent: how a line is read.

use std::time::Duration;

use crate::engine::REPORT;
use crate::engine::Restored;
use crate::model::Attestation;
use crate::model::Timestamp;
use crate::report::Field;
use crate::report::Kind;
use crate::report::Note;

const DAY: Duration = Duration::from_secs(86_400);

/// For so long after its period a blank may still be filled.
const fn late(kind: Kind) -> Duration {
    match kind {
        Kind::Day | Kind::Status => DAY,
        Kind::Week | Kind::Hypercare => Duration::from_secs(7 * 86_400),
    }
}

/// What was said for the period `[from, until)` by the time that its report is made, oldest first.
pub(super) fn notes(
    known: &Restored,
    kind: Kind,
    (from, until): (Timestamp, Timestamp),
    made_at: Timestamp,
) -> Vec<Note> {
    let shown = |id: &str| {
        let mut incidents = known.incidents.iter();
        incidents.any(|it| {
            let was_open = it.resolved.as_ref().is_none_or(|(at, _)| *at >= from);
            it.id.as_str() == id && it.opened_at < until && was_open
        })
    };
    let said = known.attestations.iter().filter(|it| it.at <= made_at);
    let said: Vec<Note> = said.filter_map(note).collect();
    let within = |it: &Note| it.at >= from && it.at < until;
    let filled: Vec<Field> = said
        .iter()
        .filter(|it| it.about.is_none() && within(it))
        .map(|it| it.field)
        .collect();
    let counts = |it: &Note| match &it.about {
        Some(id) => within(it) || shown(id),
        None if filled.contains(&it.field) => within(it),
        None => it.at >= from && it.at < until + late(kind),
    };
    said.into_iter().filter(counts).collect()
}

/// `report/FIELD`, as somebody said it.
fn note(attested: &Attestation) -> Option<Note> {
    let field = Field::from_word(attested.item.strip_prefix(REPORT)?)?;
    let line = attested.note.as_deref().filter(|_| attested.done)?;
    Some(Note::read(field, line, &attested.by, attested.at))
}
