//! What is kept of signals for longer than the window: one reading a minute.

use super::Timestamp;

/// The values that signals had at the end of one minute, by name. A signal without a value is not in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Minute {
    /// The end of the minute.
    pub at: Timestamp,
    pub values: Vec<(String, f64)>,
}

/// One signal's minutes, oldest first, those without a value left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Minutes {
    pub signal: String,
    /// The first minute that is known, and the last; `values` may hold a part of them alone.
    pub since: Timestamp,
    pub until: Timestamp,
    pub values: Vec<(Timestamp, f64)>,
}
