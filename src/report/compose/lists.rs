//! The templates' lists: issues resolved and open, outstanding items, and what people said.

use std::time::Duration;

use super::Sheet;
use crate::model::Incident;
use crate::model::Timestamp;
use crate::report::document::ITEMS_MAX;
use crate::report::document::Item;
use crate::report::document::Span;
use crate::report::document::blank;
use crate::report::document::own;
use crate::report::document::said;
use crate::report::document::told;
use crate::report::facts::ChecklistItem;
use crate::report::facts::IncidentFact;
use crate::report::facts::Standing;
use crate::report::note::Field;
use crate::report::note::Note;
use crate::report::overall::is_open;
use crate::report::when;

/// Items of a list that are named in one line.
const NAMED_MAX: usize = 5;

impl Sheet<'_> {
    /// Resolved in the period, oldest end first: when, after how long, and how.
    pub(super) fn resolved(&self) -> impl Iterator<Item = (&IncidentFact, Duration, &str)> {
        let within = |at: Timestamp| self.facts.from <= at && at < self.until;
        let mut all: Vec<_> = self
            .facts
            .incidents
            .iter()
            .filter_map(|it| {
                let (at, how) = it.incident.resolved.as_ref()?;
                within(*at).then(|| (*at, it, at.since(it.incident.opened_at), how.as_str()))
            })
            .collect();
        all.sort_by(|a, b| (a.0, &a.1.incident.id).cmp(&(b.0, &b.1.incident.id)));
        all.into_iter().map(|(_, it, took, how)| (it, took, how))
    }

    /// Open at the period's end, the worst and oldest first.
    pub(super) fn open(&self) -> Vec<&IncidentFact> {
        let all = self.facts.incidents.iter();
        let mut open: Vec<_> = all.filter(|it| is_open(&it.incident, self.until)).collect();
        open.sort_by_key(|it| (it.incident.severity, it.incident.opened_at, &it.incident.id));
        open
    }

    /// `[Issue] - [Resolution]`.
    pub(super) fn resolved_items(&self) -> Vec<Item> {
        let items = self.resolved().map(|(it, took, how)| {
            let mut spans = vec![
                own(format!("{} ", it.incident.severity)),
                told(&issue(it)),
                own(" - "),
            ];
            spans.push(match self.note_about(&it.incident, Field::Resolution) {
                Some(note) => said(&note.text, &note.by),
                None => told(how),
            });
            spans.push(own(format!(" (after {})", when::length(took))));
            Item::line(spans)
        });
        none_or(items.collect(), "no incident was resolved in this period")
    }

    /// `[P2] [Issue] - Owner: [Name], ETA: [Date]`.
    pub(super) fn open_items(&self) -> Vec<Item> {
        let open = self.open();
        let items = open.iter().map(|it| {
            let mut spans = vec![
                own(format!("[{}] ", it.incident.severity)),
                told(&issue(it)),
            ];
            spans.extend(self.owner_and_eta(it));
            Item::line(spans)
        });
        none_or(items.collect(), "no incident is open")
    }

    /// Open incidents, open items of the checklists, and what people named, each with owner and ETA.
    pub(super) fn outstanding_items(&self) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        for it in self.open() {
            let mut spans = vec![own(format!("{} ", it.incident.severity)), told(&issue(it))];
            spans.extend(self.owner_and_eta(it));
            items.push(Item::line(spans));
        }
        for note in self.notes(Field::Item) {
            let part = |name: &str, what: &str| match note.part(name) {
                Some(text) => told(text),
                None => blank(what),
            };
            items.push(Item::line(vec![
                said(&note.text, &note.by),
                own(" - Owner: "),
                part("owner", "owner"),
                own(", ETA: "),
                part("eta", "ETA"),
            ]));
        }
        let all = self.facts.checklist.iter();
        for (state, required, others) in [
            (Standing::Open, "required item", "not ticked"),
            (
                Standing::Unknown,
                "required item, not known whether it is done",
                "not known to be done",
            ),
        ] {
            let found = all.clone().filter(|it| it.state == state);
            let (grave, rest): (Vec<_>, Vec<_>) = found.partition(|it| it.required);
            for it in grave {
                items.push(Item::line(vec![
                    told(&it.text),
                    own(format!(" ({required}) - Owner: ")),
                    blank("owner"),
                    own(", ETA: "),
                    blank("ETA"),
                ]));
            }
            items.extend(named(&rest, others));
        }
        none_or(items, "nothing is outstanding that gated knows of")
    }

    fn owner_and_eta(&self, it: &IncidentFact) -> [Span; 4] {
        let incident = &it.incident;
        let owner = match (
            self.note_about(incident, Field::Owner),
            &incident.acknowledged,
            &it.role,
        ) {
            (Some(note), ..) => said(&note.text, &note.by),
            (None, Some(taken), _) => told(&taken.by),
            (None, None, Some(role)) => told(&format!("{role}, who has not acknowledged it")),
            (None, None, None) => blank("owner"),
        };
        let eta = match self.note_about(incident, Field::Eta) {
            Some(note) => said(&note.text, &note.by),
            None => blank("ETA"),
        };
        [own(" - Owner: "), owner, own(", ETA: "), eta]
    }

    /// The latest note of that field about that incident.
    pub(super) fn note_about(&self, incident: &Incident, field: Field) -> Option<&Note> {
        let about = |it: &&Note| it.about.as_deref() == Some(incident.id.as_str());
        self.notes(field).filter(about).last()
    }

    /// What people said for that field, in the order given.
    pub(super) fn notes(&self, field: Field) -> impl Iterator<Item = &Note> {
        self.facts.notes.iter().filter(move |it| it.field == field)
    }

    /// A line for each note of that field; without any, a blank for each of `blanks`.
    pub(super) fn noted(&self, field: Field, blanks: &[&str]) -> Vec<Item> {
        let items: Vec<Item> = self
            .notes(field)
            .map(|it| Item::line(vec![said(&it.text, &it.by)]))
            .collect();
        if items.is_empty() {
            return blanks
                .iter()
                .map(|it| Item::line(vec![blank(*it)]))
                .collect();
        }
        bounded_list(items)
    }

    /// `[Optimization 1] - Impact: [Result]`.
    pub(super) fn optimizations(&self, before: &'static str) -> Vec<Item> {
        let items: Vec<Item> = self
            .notes(Field::Optimization)
            .map(|it| {
                let result = it.part("impact").or_else(|| it.part("result"));
                let result = result.map_or_else(|| blank("impact"), told);
                Item::line(vec![said(&it.text, &it.by), own(before), result])
            })
            .collect();
        if items.is_empty() {
            let blanks = ["Optimization 1", "Optimization 2"];
            let blanks = blanks.map(|it| vec![blank(it), own(before), blank("impact")]);
            return blanks.into_iter().map(Item::line).collect();
        }
        bounded_list(items)
    }
}

/// Optional items in one line: they hold nothing up, and would hide what does.
fn named(items: &[&ChecklistItem], what: &str) -> Option<Item> {
    if items.is_empty() {
        return None;
    }
    let s = if items.len() == 1 { "" } else { "s" };
    let text = format!("{} other item{s} of the checklist {what}: ", items.len());
    let mut spans = vec![own(text)];
    for (place, it) in items.iter().take(NAMED_MAX).enumerate() {
        spans.extend((place > 0).then(|| own("; ")));
        spans.push(told(&it.text));
    }
    spans.extend((items.len() > NAMED_MAX).then(|| own("; …")));
    Some(Item::line(spans))
}

/// What is wrong: `Error rate: 4.2% of requests fail`.
pub(super) fn issue(it: &IncidentFact) -> String {
    let title = if it.title.is_empty() {
        &it.incident.signal
    } else {
        &it.title
    };
    format!("{title}: {}", it.incident.reason)
}

/// The list, or one line that says why there is none.
pub(super) fn none_or(items: Vec<Item>, none: &str) -> Vec<Item> {
    if items.is_empty() {
        return vec![Item::line(vec![own(format!("None: {none}"))])];
    }
    bounded_list(items)
}

/// The first ones, and how many more there are.
fn bounded_list(mut items: Vec<Item>) -> Vec<Item> {
    let more = items.len().saturating_sub(ITEMS_MAX);
    if more > 0 {
        items.truncate(ITEMS_MAX);
        items.push(Item::line(vec![own(format!("and {more} more"))]));
    }
    items
}
