//! What is missing in a journal, or not as it was, in words for people.

use std::path::PathBuf;

use crate::model::Timestamp;

/// A place of a journal at which a replay is not what happened, or does not know what happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Remark {
    /// What was before is not there any more, or could not be recorded.
    #[error(
        "{}: begins anew at {at}, from what stood then and what the ledger had: what came before is let go of or missing, and what looks back further may differ: ranges, and how long conditions have held",
        path.display()
    )]
    Cold { path: PathBuf, at: Timestamp },
    /// The last block was not written whole.
    #[error("{}: the last {torn} bytes are half a block and left out: gated was killed as it wrote them", path.display())]
    Torn { path: PathBuf, torn: u64 },
    /// Whole blocks, and no end.
    #[error(
        "{}: has no end: {}",
        path.display(),
        if *is_last { "gated was killed, or its disk took no more" } else { "gated was killed, or its disk took no more; what came next is missing" }
    )]
    Unfinished { path: PathBuf, is_last: bool },
    /// From there on nothing of the segment can be read.
    #[error("{}: damaged at byte {at}: {why}; the rest of it is left out", path.display())]
    Damaged { path: PathBuf, at: u64, why: String },
}
