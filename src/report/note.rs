//! What people say for the report: which blank it fills, and the shape of a line as the templates write it. Who said
//! it stands beside it in the report.

use crate::model::Timestamp;

/// A blank that people fill in. Its word is the name under which it is said (`gated observe` or `attest`).
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Achievement,
    Highlight,
    /// For tomorrow.
    Focus,
    /// For next week.
    Priority,
    Lesson,
    /// About usage patterns.
    Observation,
    /// With its impact: `Cached the tokens - Impact: 20 ms less`.
    Optimization,
    /// Outstanding, though no incident: `Dark mode - Owner: Ada, ETA: 2026-12-09`.
    Item,
    /// `Slow search - Impact: …, Resolution: …, Lesson: …`
    Challenge,
    Recommendation,
    /// `Hand over - Owner: Ada, Due: 2027-01-04`
    NextStep,
    BauStart,
    SupportModel,
    /// How an incident hit people: `inc_…: 40 users could not log in`.
    Impact,
    /// What ended an incident, in a person's words: `inc_…: …`.
    Resolution,
    /// Whose an open incident is: `inc_…: Ada`.
    Owner,
    /// When an open incident will be over: `inc_…: 2026-12-02`.
    Eta,
}

impl Field {
    pub const ALL: &'static [Self] = &[
        Self::Achievement,
        Self::Highlight,
        Self::Focus,
        Self::Priority,
        Self::Lesson,
        Self::Observation,
        Self::Optimization,
        Self::Item,
        Self::Challenge,
        Self::Recommendation,
        Self::NextStep,
        Self::BauStart,
        Self::SupportModel,
        Self::Impact,
        Self::Resolution,
        Self::Owner,
        Self::Eta,
    ];

    /// Its one spelling.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Achievement => "achievement",
            Self::Highlight => "highlight",
            Self::Focus => "focus",
            Self::Priority => "priority",
            Self::Lesson => "lesson",
            Self::Observation => "observation",
            Self::Optimization => "optimization",
            Self::Item => "item",
            Self::Challenge => "challenge",
            Self::Recommendation => "recommendation",
            Self::NextStep => "next_step",
            Self::BauStart => "bau_start",
            Self::SupportModel => "support_model",
            Self::Impact => "impact",
            Self::Resolution => "resolution",
            Self::Owner => "owner",
            Self::Eta => "eta",
        }
    }

    /// The field spelled `word`.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.word() == word)
    }
}

/// One thing that a person said for the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub field: Field,
    /// The incident that it is about.
    pub about: Option<String>,
    pub text: String,
    /// `("owner", "Ada")`, in lower case: what stands behind the text, by the names of [`PARTS`].
    pub parts: Vec<(String, String)>,
    pub by: String,
    pub at: Timestamp,
}

/// What may stand behind a note's text, as the templates write it.
pub const PARTS: &[&str] = &[
    "owner",
    "eta",
    "due",
    "impact",
    "result",
    "resolution",
    "lesson",
];

impl Note {
    /// Reads a line as the templates write one: an incident's id and a colon before it, and behind ` - ` parts such as
    /// `Owner: Ada, ETA: tomorrow`. What is none of these stays in the text.
    #[must_use]
    pub fn read(field: Field, line: &str, by: &str, at: Timestamp) -> Self {
        let line = line.trim();
        let named = line
            .split_once(':')
            .filter(|(id, _)| id.starts_with("inc_") && !id.contains(char::is_whitespace));
        let (about, rest) = match named {
            Some((id, rest)) => (Some(id.to_owned()), rest.trim()),
            None => (None, line),
        };
        let (text, parts) = parts_of(rest);
        Self {
            field,
            about,
            text: text.to_owned(),
            parts,
            by: by.to_owned(),
            at,
        }
    }

    /// What stands behind the text under this name.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<&str> {
        let found = self.parts.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The text, and the parts behind its first ` - ` that begins one.
fn parts_of(line: &str) -> (&str, Vec<(String, String)>) {
    let starts = line
        .match_indices(" - ")
        .map(|(at, dash)| (at, at + dash.len()));
    for (end, start) in starts {
        if part(&line[start..]).is_none() {
            continue;
        }
        let mut parts: Vec<(String, String)> = Vec::new();
        for piece in line[start..].split(", ") {
            match (part(piece), parts.last_mut()) {
                (Some((name, value)), _) => parts.push((name.to_owned(), value.to_owned())),
                // A comma within a part.
                (None, Some((_, value))) => {
                    value.push_str(", ");
                    value.push_str(piece.trim());
                }
                (None, None) => {}
            }
        }
        return (line[..end].trim(), parts);
    }
    (line, Vec::new())
}

/// `Owner: Ada` as a known name and its value.
fn part(piece: &str) -> Option<(&'static str, &str)> {
    let (name, value) = piece.split_once(':')?;
    let known = PARTS
        .iter()
        .find(|it| name.trim().eq_ignore_ascii_case(it))?;
    let value = value.trim();
    (!value.is_empty()).then_some((known, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_the_templates_write_it() {
        for (line, about, text, parts) in [
            ("Cached the tokens", None, "Cached the tokens", vec![]),
            (
                "Cached - twice - Impact: 20 ms, or more",
                None,
                "Cached - twice",
                vec![("impact", "20 ms, or more")],
            ),
            (
                "Hand over - Owner: Ada, DUE: 2027-01-04",
                None,
                "Hand over",
                vec![("owner", "Ada"), ("due", "2027-01-04")],
            ),
            ("inc_12: Ada", Some("inc_12"), "Ada", vec![]),
            ("inc_ 12: Ada", None, "inc_ 12: Ada", vec![]),
            ("a - Owner:", None, "a - Owner:", vec![]),
            (" - Owner: Ada", None, "- Owner: Ada", vec![]),
            ("", None, "", vec![]),
        ] {
            let note = Note::read(Field::Item, line, "me", Timestamp::EPOCH);
            let found: Vec<_> = note
                .parts
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            assert_eq!(
                (note.about.as_deref(), note.text.as_str(), found),
                (about, text, parts),
                "{line}"
            );
        }
    }

    #[test]
    fn a_field_has_one_spelling() {
        for field in Field::ALL {
            assert_eq!(Field::from_word(field.word()), Some(*field));
        }
    }
}
