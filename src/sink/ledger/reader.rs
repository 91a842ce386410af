//! Reading a ledger without creating or changing a file: for the dry run, beside a living gated or after a dead one.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{self, Path};

use rusqlite::{Connection, OpenFlags};

use super::lock::Lock;
use super::schema::{self, Found};
use super::{LedgerError, beside, denied, is_damage, quick_check, refused, rows, sqlite};
use crate::engine::Restored;

/// What the ledger at `path` remembers, at the moment of its last commit.
pub fn read(path: &Path) -> Result<Restored, LedgerError> {
    if !path.exists() {
        return Err(LedgerError::Absent {
            path: path.to_owned(),
        });
    }
    let lock = Lock::shared(path).map_err(|source| denied(path, source))?;
    let how = match lock {
        // The owner keeps WAL and shared memory there, so none is made.
        None => How::BesideOwner,
        Some(_) if beside(path, "-wal").exists() => How::LeftBehind,
        Some(_) => How::Still,
    };
    restore(path, how).map_err(|error| match error {
        Unread::Refused(found) => refused(path, &found),
        Unread::Damaged(reason) => LedgerError::Corrupt {
            path: path.to_owned(),
            reason,
        },
        Unread::Sqlite(error) if is_damage(&error) => LedgerError::Corrupt {
            path: path.to_owned(),
            reason: error.to_string(),
        },
        Unread::Sqlite(source) => sqlite(path, source),
    })
}

/// In which state the files are found.
#[derive(Copy, Clone)]
enum How {
    BesideOwner,
    /// A WAL without an owner. Its index is built in this process's memory; the lock held here keeps owners away.
    LeftBehind,
    /// One whole file.
    Still,
}

enum Unread {
    Refused(Found),
    Damaged(String),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Unread {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn restore(path: &Path, how: How) -> Result<Restored, Unread> {
    let options = match how {
        How::BesideOwner => "mode=ro",
        How::LeftBehind => "mode=ro&nolock=1",
        How::Still => "mode=ro&immutable=1",
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(uri(path, options), flags)?;
    db.busy_timeout(super::BUSY)?;
    if let How::LeftBehind = how {
        db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    }
    match schema::look(&db)? {
        Found::Empty => return Ok(Restored::default()),
        Found::Ours(schema::VERSION) => {}
        found @ (Found::Ours(_) | Found::Newer(_) | Found::Foreign) => {
            return Err(Unread::Refused(found));
        }
    }
    if let Some(reason) = quick_check(&db)? {
        return Err(Unread::Damaged(reason));
    }
    Ok(rows::restore(&db)?)
}

/// The file as `SQLite`'s URI, every unusual byte escaped.
fn uri(path: &Path, options: &str) -> String {
    let absolute = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut uri = String::from("file:");
    for &byte in absolute.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri + "?" + options
}
