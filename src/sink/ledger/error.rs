//! Why the ledger cannot be used, by what a caller does next.

use std::io;
use std::path::PathBuf;

use crate::model::DeliveryKey;

/// Opening or reading failed. Nothing was changed on disk.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("{path} is in use by another gated{}", holder(*pid))]
    Locked { path: PathBuf, pid: Option<u32> },
    #[error(
        "{path} was written by a later gated (schema {found}, this one knows {known}); start that one, or use another file"
    )]
    Newer {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    #[error("{path} is an SQLite database, but not gated's; use another file")]
    Foreign { path: PathBuf },
    #[error("{path} cannot be used by user {uid}")]
    Denied {
        path: PathBuf,
        uid: u32,
        #[source]
        source: io::Error,
    },
    #[error(
        "{path} lies on {kind}, whose locks cannot be relied on: put [storage] path on a disk of this machine (a block volume is one)"
    )]
    Network { path: PathBuf, kind: &'static str },
    #[error("there is no {path}")]
    Absent { path: PathBuf },
    /// Only from [`super::read`]: opening for writing moves such a file aside instead.
    #[error("{path} is damaged: {reason}")]
    Corrupt { path: PathBuf, reason: String },
    #[error("{path} cannot be used")]
    Sqlite {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

/// Nothing of the commit was kept. What is not recorded is not sent.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error("the disk that holds {path} is full")]
    Full { path: PathBuf },
    #[error("{path} cannot be written: {source}")]
    Failed {
        path: PathBuf,
        source: rusqlite::Error,
    },
    #[error("there is no delivery {0} whose state could change")]
    NoSuchDelivery(DeliveryKey),
}
