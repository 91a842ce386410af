//! Exposition text → columns: Prometheus text 0.0.4 and 1.0.0, `OpenMetrics` 1.0.
//!
//! One bad line refuses the page. A page like the last one is walked (`known`): a keyed hash says that the head at
//! this place is the one that stood here, and its value is read and checked. Any other page is read in full (`page`).
//! Deliberately absent: transport, compression, relabelling, and what the metadata lines say beyond the checks
//! (`metadata` reads those).

mod class;
mod key;
mod known;
mod line;
mod metadata;
mod number;
mod openmetrics;
mod page;
mod text;

use std::time::Duration;

use crate::engine::Columns;
use crate::model::time::millis;
use crate::model::{Labels, Timestamp};
use key::Key;
use known::Script;

pub use line::{Fault as Refused, Head, Meta, excerpt, head, meta, tail};
pub use metadata::metadata;

/// How far ahead of the scrape a sample's own time may lie. Definition: Prometheus.
const AHEAD_MAX: Duration = Duration::from_secs(600);
/// How far behind: the lookback, past which no instant selector would see it.
const BEHIND_MAX: Duration = Duration::from_secs(300);

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/plain` 0.0.4 or 1.0.0.
    Text,
    /// `application/openmetrics-text`.
    OpenMetrics,
}

/// Bounds of one page; over any of them the scrape fails. Bytes are those of the text as sent.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Samples that `metric_relabel` leaves, as in Prometheus.
    pub samples: usize,
    /// Labels of one series, the metric's name not counted.
    pub labels: usize,
    pub label_name_bytes: usize,
    /// Also the longest metric name.
    pub label_value_bytes: usize,
}

/// What becomes of a series that appears for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Kept under these (relabelled) labels.
    Wanted(Labels),
    /// Counted and validated, not kept.
    Unwanted,
    /// Dropped by `metric_relabel`: validated, not counted as kept.
    Dropped,
}

/// What `read` saw besides the columns.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lines that repeat a series of the same page; the first counts.
    pub duplicates: u32,
    /// Samples whose own timestamp lies too far off; left out.
    pub out_of_bounds: u32,
}

/// Why a page is refused whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    #[error("line {line}: {message}: {excerpt}")]
    Malformed {
        line: u32,
        message: &'static str,
        excerpt: String,
    },
    #[error("more than {0} samples")]
    SampleLimit(usize),
    #[error("line {line}: {message}: {excerpt}")]
    LabelLimit {
        line: u32,
        message: String,
        excerpt: String,
    },
}

/// One target's memory of its page: which head stands at which place, and which slot it has.
///
/// 24 bytes a line, wanted or not, and 16 a slot; label texts are not kept.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    key: Key,
    format: Format,
    script: Script,
    /// By slot: the keyed name of its labels, 0 where it is free.
    slots: Vec<u128>,
}

impl Reader {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            key: Key::random(),
            format: Format::Text,
            script: Script::default(),
            slots: Vec::new(),
        }
    }

    /// Forgets every head, so that each series is asked about again (the rules or relabelling changed).
    /// Slots live on: a series that is wanted under the same labels keeps its slot and is not born again; the next page
    /// says which are gone.
    pub fn forget(&mut self) {
        self.script = Script::default();
    }

    /// Reads one page. `fate` is asked once per series, when its head is seen for the first time.
    ///
    /// Timestamps in the text count only with `honor_timestamps`; a sample more than ten minutes ahead of `at` or more
    /// than five behind it is left out, as if it were not on the page.
    ///
    /// # Errors
    /// The page is refused whole; what the reader remembers is as before it.
    pub fn read(
        &mut self,
        body: &[u8],
        format: Format,
        at: Timestamp,
        honor_timestamps: bool,
        fate: &mut dyn FnMut(Labels) -> Fate,
    ) -> Result<(Columns, Stats), PageError> {
        let at = honor_timestamps.then_some(at);
        let known = if format == self.format && !self.script.lines.is_empty() {
            known::walk(&self.script, self.slots.len(), &self.key, body, format, at)
        } else {
            None
        };
        if let Some(read) = known {
            return Ok(read);
        }
        let before = page::Before {
            limits: &self.limits,
            key: &self.key,
            script: &self.script,
            same_format: format == self.format,
            slots: &self.slots,
        };
        let mut read = page::read(before, body, format, at, fate)?;
        if read.script.told != self.script.told {
            let text = std::str::from_utf8(body).unwrap_or_default();
            read.columns.metadata = Some(metadata(text, format).into());
        }
        self.script = read.script;
        self.slots = read.slots;
        self.format = format;
        Ok((read.columns, read.stats))
    }
}

/// Whether a sample's own time is too far from the scrape's to be used.
fn out_of_bounds(stamp: i64, at: Timestamp) -> bool {
    let ahead = stamp.saturating_sub(at.millis());
    ahead > millis(AHEAD_MAX) || ahead < -millis(BEHIND_MAX)
}
