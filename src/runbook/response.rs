//! `[[response]]`: what is due in an incident, by its severity: the clock that people go by beside the levels that call
//! them, and what is due once it is over.

use std::time::Duration;

use super::file::Loading;
use super::reader::Section;
use crate::model::Severity;

/// A stretch of an incident's life with what is to be done in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    pub severity: Severity,
    pub title: String,
    /// Counted from when the incident opened, or from its end.
    pub from: Duration,
    /// `None`: as long as it takes.
    pub until: Option<Duration>,
    pub after: After,
    pub steps: Vec<String>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum After {
    Opening,
    /// With `until`, somebody must have attested it by then.
    Resolution,
}

impl<'r> Loading<'r> {
    pub(super) fn response(&mut self, mut section: Section<'r>) {
        let severities: Vec<(&str, Severity)> =
            Severity::ALL.iter().map(|it| (it.word(), *it)).collect();
        if !section.has("severity") {
            let message = "`severity` is missing in [[response]]";
            let help = "write severity = \"P1\"";
            section.reader.missing(&section.place, message, help);
        }
        let severity = section.word("severity", &severities);
        let title = section.required("title", "\"Initial assessment\"");
        let place = section.key_place("from");
        let from = section.duration("from").unwrap_or_default();
        let until = section.duration("until");
        if until.is_some_and(|until| until <= from) {
            let message = "this ends before it begins";
            let help = "write a `from` that is shorter than `until`";
            section.reader.fault(&place, message, help);
        }
        let words = [
            ("opening", After::Opening),
            ("resolution", After::Resolution),
        ];
        let after = section.word("after", &words).unwrap_or(After::Opening);
        let steps = section.texts("steps");
        if let (Some(severity), Some(title)) = (severity, title) {
            self.rules.responses.push(Response {
                severity,
                title: title.value,
                from,
                until,
                after,
                steps: steps.into_iter().map(|it| it.value).collect(),
            });
        }
    }
}
