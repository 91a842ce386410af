//! A report as a typed document: what every face of it (Markdown, HTML, JSON) shows, in the runbook's order. Texts of
//! others are marked as such and shortened; each face escapes them in its own way.

use super::chart::Chart;
use super::facts::Kind;
use super::figures::Row;
use super::overall::Overall;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::model::Unit;

/// Longer texts of others are cut.
const TEXT_MAX: usize = 300;
/// Items of a list that are shown; the rest is counted.
pub(super) const ITEMS_MAX: usize = 40;

/// A report. Its faces are [`Report::markdown`], [`Report::html`] and [`Report::json`].
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub kind: Kind,
    pub(super) service: String,
    pub(super) environment: String,
    pub(super) project: String,
    pub(super) zone: Option<String>,
    /// As far as it has happened.
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) made_at: Timestamp,
    pub(super) overall: Overall,
    pub(super) title: Title,
    /// What it covers, in one line.
    pub(super) lead: Vec<Span>,
    pub(super) sections: Vec<Section>,
    /// The last line of the daily status and of the 30-day report.
    pub(super) closing: Option<Item>,
    pub(super) dashboard: Vec<Table>,
    pub(super) charts: Vec<Chart>,
    pub(super) footnotes: Vec<Vec<Span>>,
    pub(super) rows: Vec<Row>,
    /// Opened in the period, P1 to P4.
    pub(super) opened: [usize; 4],
}

impl Report {
    /// Its colour.
    #[must_use]
    pub fn status(&self) -> crate::model::Status {
        self.overall.status
    }

    /// Its first line, as text.
    #[must_use]
    pub fn title(&self) -> String {
        self.title.spans.iter().map(Span::text).collect()
    }
}

/// The first line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Title {
    /// `Subject: …` of a mail, not a heading.
    pub is_subject: bool,
    pub spans: Vec<Span>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Section {
    /// In JSON.
    pub key: &'static str,
    /// The runbook's own, without what an outsider chose.
    pub heading: String,
    pub blocks: Vec<Block>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Block {
    Paragraph(Vec<Span>),
    Bullets(Vec<Item>),
    Numbered(Vec<Item>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Item {
    /// Before the colon; empty for a line without one.
    pub label: &'static str,
    pub is_strong: bool,
    pub spans: Vec<Span>,
    pub below: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    pub heading: &'static str,
    pub columns: &'static [&'static str],
    pub rows: Vec<Vec<Vec<Span>>>,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Span {
    /// gated's or the runbook's own words.
    Own(String),
    /// Chosen by somebody else.
    Told(String),
    /// A signal's or a field's name: code.
    Name(String),
    /// A figure: its key in JSON, the value where it is one number, and how people read it.
    Figure {
        key: &'static str,
        value: Option<f64>,
        unit: Unit,
        shown: String,
    },
    /// A moment or a date, in JSON by itself.
    Moment {
        key: &'static str,
        at: Timestamp,
        shown: String,
    },
    /// What a person is to fill in, and why no machine did.
    Blank { what: String, why: Why },
    /// A person's words, and whose.
    Said { text: String, by: String },
}

/// Why something was left blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// No machine knows it.
    People,
    /// The signal of that name has no reading in the period.
    NoReadings(String),
    /// In a few words.
    Because(String),
}

impl Item {
    pub fn of(label: &'static str, spans: Vec<Span>) -> Self {
        Self {
            label,
            is_strong: false,
            spans,
            below: Vec::new(),
        }
    }

    pub fn line(spans: Vec<Span>) -> Self {
        Self::of("", spans)
    }

    pub fn strong(label: &'static str, spans: Vec<Span>) -> Self {
        Self {
            is_strong: true,
            ..Self::of(label, spans)
        }
    }
}

impl Section {
    pub fn new(key: &'static str, heading: impl Into<String>, blocks: Vec<Block>) -> Self {
        let heading = heading.into();
        Self {
            key,
            heading,
            blocks,
        }
    }
}

pub(super) fn own(text: impl Into<String>) -> Span {
    Span::Own(text.into())
}

/// Text that somebody else chose, cut to a bearable length.
pub(super) fn told(text: &str) -> Span {
    Span::Told(bounded(text))
}

pub(super) fn name(text: &str) -> Span {
    Span::Name(bounded(text))
}

pub(super) fn said(text: &str, by: &str) -> Span {
    Span::Said {
        text: bounded(text),
        by: bounded(by),
    }
}

/// What no machine knows.
pub(super) fn blank(what: impl Into<String>) -> Span {
    Span::Blank {
        what: what.into(),
        why: Why::People,
    }
}

pub(super) fn blank_because(what: impl Into<String>, why: impl Into<String>) -> Span {
    Span::Blank {
        what: what.into(),
        why: Why::Because(why.into()),
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of incidents and minutes are small"
)]
pub(super) fn count(key: &'static str, count: usize) -> Span {
    Span::Figure {
        key,
        value: Some(count as f64),
        unit: Unit::Count,
        shown: super::number::whole(count as f64),
    }
}

/// At most [`TEXT_MAX`] characters, with a mark where it was cut; lines become spaces.
pub(super) fn bounded(text: &str) -> String {
    let text = text.trim();
    let mut out: String = text.chars().take(TEXT_MAX).map(unbroken).collect();
    if text.chars().nth(TEXT_MAX).is_some() {
        out.push('…');
    }
    out
}

fn unbroken(c: char) -> char {
    if matches!(c, '\n' | '\r' | '\t') {
        ' '
    } else {
        c
    }
}

impl Span {
    /// As text, without any escape: what a face shows of it.
    pub fn text(&self) -> String {
        match self {
            Self::Own(text) | Self::Told(text) | Self::Name(text) => text.clone(),
            Self::Figure { shown, .. } | Self::Moment { shown, .. } => shown.clone(),
            Self::Blank { what, why } => match why {
                Why::People => format!("[fill in: {what}]"),
                Why::NoReadings(signal) => format!("[fill in: {what}, no readings of `{signal}`]"),
                Why::Because(why) => format!("[fill in: {what}, {why}]"),
            },
            Self::Said { text, by } => format!("{text} (said by {by})"),
        }
    }

    pub fn is_blank(&self) -> bool {
        matches!(self, Self::Blank { .. })
    }
}

/// A place of [`Severity::ALL`].
pub(super) fn place(severity: Severity) -> usize {
    match severity {
        Severity::P1 => 0,
        Severity::P2 => 1,
        Severity::P3 => 2,
        Severity::P4 => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_are_one_line_of_bounded_length() {
        assert_eq!(bounded(" a\r\nb\tc "), "a  b c");
        let long = bounded(&"ä".repeat(5_000));
        assert_eq!(long.chars().count(), TEXT_MAX + 1);
        assert!(long.ends_with('…'));
        let fits = "ä".repeat(TEXT_MAX);
        assert_eq!(bounded(&fits), fits);
    }
}
