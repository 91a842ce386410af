//! What people tell gated that no machine knows: values, and lines of a checklist that are done.

use super::{Labels, Timestamp};

/// A value that somebody observed.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The series, with its name.
    pub labels: Labels,
    /// Finite.
    pub value: f64,
    pub at: Timestamp,
    /// From then on it says nothing any more.
    pub until: Timestamp,
    pub by: String,
}

/// Somebody says that something was done, or takes that back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// `PHASE/words-of-the-item`, `report/FIELD`, or what is due after an incident.
    pub item: String,
    pub at: Timestamp,
    pub by: String,
    pub note: Option<String>,
    /// `false`: it was not done after all.
    pub done: bool,
}
