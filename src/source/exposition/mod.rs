//! Exposition text → columns: Prometheus text 0.0.4 and 1.0.0, OpenMetrics 1.0.

use crate::engine::Columns;
use crate::model::{Labels, Timestamp};

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
    pub samples: usize,
    pub labels: usize,
    pub label_name_bytes: usize,
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

/// One target's memory of its page: which head stands at which place, and which slot it has.
#[derive(Debug)]
pub struct Reader {
    _limits: Limits,
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

impl Reader {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { _limits: limits }
    }

    /// Forgets every head, so that each series is asked about again (the rules or relabelling changed).
    pub fn forget(&mut self) {}

    /// Reads one page. `fate` is asked once per series, when its head is seen for the first time.
    ///
    /// # Errors
    /// The page is refused whole; what the reader remembers is as before it.
    pub fn read(
        &mut self,
        _body: &[u8],
        _format: Format,
        _at: Timestamp,
        _honor_timestamps: bool,
        _fate: &mut dyn FnMut(Labels) -> Fate,
    ) -> Result<(Columns, Stats), PageError> {
        todo!()
    }
}
