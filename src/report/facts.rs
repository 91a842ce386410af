//! What a report is made of: the facts of a period, as the caller has them. Deliberately absent: where they come
//! from (the ledger, the snapshot, the configuration), and any reckoning.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::note::Note;
use crate::model::Decision;
use crate::model::Incident;
use crate::model::PhaseRun;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::model::Unit;

/// Which of the runbook's four templates.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// "Day 1 Operations Report", at 20:00.
    Day,
    /// "Daily Status Email", at 17:00.
    Status,
    /// "Week 1-2 Hypercare Report", on Friday.
    Week,
    /// "30-Day Hypercare Report", in the morning after day 30.
    Hypercare,
}

impl Kind {
    pub const ALL: &'static [Self] = &[Self::Day, Self::Status, Self::Week, Self::Hypercare];

    /// Its one spelling, in files, paths and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Status => "status",
            Self::Week => "week",
            Self::Hypercare => "hypercare",
        }
    }

    /// The kind spelled `word`.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.word() == word)
    }
}

/// Everything a report may say. Texts may be anything, and of any length: they are escaped and shortened where shown.
#[derive(Clone, Debug)]
pub struct Facts {
    pub kind: Kind,
    pub service: String,
    pub environment: String,
    /// The service's name for people; `[Project]` of the templates.
    pub project: String,
    /// In which days begin and times are shown.
    pub zone: TimeZone,
    /// Half open, by the wall clock, 62 days at most. What lies after `made_at` has not happened yet and counts as
    /// neither known nor unknown.
    pub from: Timestamp,
    pub until: Timestamp,
    pub made_at: Timestamp,
    /// From which the days of the runbook are numbered.
    pub go_live: Option<Timestamp>,
    /// Each name once; of a name that comes twice the first counts.
    pub signals: Vec<SignalHistory>,
    /// The period before, to compare with.
    pub earlier: Option<Earlier>,
    pub targets: Vec<Target>,
    /// Open in the period at any time; others are left out. In any order.
    pub incidents: Vec<IncidentFact>,
    /// Others than the period's are left out.
    pub decisions: Vec<Decision>,
    pub phases: Vec<PhaseFact>,
    pub checklist: Vec<ChecklistItem>,
    /// What people filled in.
    pub notes: Vec<Note>,
    /// The criteria of the exit to business as usual; empty where they are not judged.
    pub criteria: Vec<Criterion>,
    /// Within which an incident must be acknowledged.
    pub acknowledge_within: Vec<(Severity, Duration)>,
    pub uptime_budget: Option<UptimeBudget>,
}

/// One signal's readings, one a minute at most: a second one in the same minute replaces the first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SignalHistory {
    /// As in the rules file; the names of [`super::SIGNALS`] fill the templates.
    pub name: String,
    /// For people.
    pub title: String,
    pub unit: Option<Unit>,
    /// `None`, a value that is not finite and an absent minute are all unknown.
    pub minutes: Vec<(Timestamp, Option<f64>)>,
}

/// The same signals over an earlier period: as long a part of it as has passed of the report's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Earlier {
    pub from: Timestamp,
    pub until: Timestamp,
    /// What lies between it and the report's own period may be there too: a count goes on from its last reading.
    pub signals: Vec<SignalHistory>,
}

/// How a target compares.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
    NotEqual,
}

impl Comparison {
    /// Whether `value` meets a target of `bound`. Equality is exact, as in the rules.
    #[must_use]
    #[allow(
        clippy::float_cmp,
        reason = "targets compare as written, as the rules do"
    )]
    pub fn is_met(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Below => value < bound,
            Self::AtMost => value <= bound,
            Self::Above => value > bound,
            Self::AtLeast => value >= bound,
            Self::Equal => value == bound,
            Self::NotEqual => value != bound,
        }
    }
}

/// What a signal should hold, and when: the targets of the phases differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub signal: String,
    /// As written: `< 150ms`.
    pub text: String,
    /// In the signal's unit.
    pub bound: f64,
    pub comparison: Comparison,
    /// The part of the period in which it applies; `None`: all of it.
    pub during: Option<(Timestamp, Timestamp)>,
}

/// An incident, and what its own record does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentFact {
    pub incident: Incident,
    /// The signal's title; its name where that is empty.
    pub title: String,
    /// Who is called for it and has not acknowledged it yet: `on-call engineer`.
    pub role: Option<String>,
}

/// A phase's run with its title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseFact {
    pub run: PhaseRun,
    pub title: String,
}

/// One line of the runbook's checklists that was due in the period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChecklistItem {
    /// `preflight/smoke-tests-passed`.
    pub id: String,
    pub text: String,
    pub required: bool,
    pub state: Standing,
}

/// How a line of a checklist stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Since when, and who says so.
    Done {
        at: Timestamp,
        by: String,
    },
    Open,
    /// A machine sees it, and nothing is known of that time.
    Unknown,
}

/// One criterion of the exit to business as usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criterion {
    pub text: String,
    /// `None`: nobody can say.
    pub met: Option<bool>,
    /// In a few words.
    pub why: String,
}

/// How much downtime an uptime target leaves over its window.
#[derive(Clone, Debug, PartialEq)]
pub struct UptimeBudget {
    /// As written: `99.9% over 14d`.
    pub text: String,
    pub allowed: Duration,
    pub used: Duration,
    /// Of the window: neither up nor down.
    pub unknown: Duration,
}
