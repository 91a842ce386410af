//! Reading a ledger without creating or changing a file: for the dry run, beside a living gated or after a dead one.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{self, Path};

use rusqlite::{Connection, OpenFlags};

use super::schema::{self, Found};
use super::{LedgerError, beside, denied, history, is_damage, quick_check, refused, rows, sqlite};
use crate::engine::Restored;
use crate::model::Timestamp;
use crate::sink::lock::Lock;

/// What the ledger at `path` remembers, at the moment of its last commit; of signals' minutes the first and the last.
pub fn read(path: &Path) -> Result<Restored, LedgerError> {
    read_minutes(path, &|_| None, Timestamp::EPOCH)
}

/// The same, with the minutes that end after what `from` says of their signal (none without) and up to `until`: all of
/// them are a million rows.
pub fn read_minutes(
    path: &Path,
    from: &dyn Fn(&str) -> Option<Timestamp>,
    until: Timestamp,
) -> Result<Restored, LedgerError> {
    if !path.exists() {
        return Err(LedgerError::Absent {
            path: path.to_owned(),
        });
    }
    let lock = Lock::shared(&beside(path, ".lock"), path).map_err(|source| denied(path, source))?;
    let how = match lock {
        // The owner keeps WAL and shared memory there, so none is made.
        None => How::BesideOwner,
        Some(_) if beside(path, "-wal").exists() => How::LeftBehind,
        Some(_) => How::Still,
    };
    restore(path, how, from, until).map_err(|error| match error {
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
        Unread::Copy(source) => denied(path, source),
    })
}

/// In which state the files are found.
#[derive(Copy, Clone)]
enum How {
    BesideOwner,
    /// A WAL without an owner. Reading it would write its index beside it, so a copy is read.
    LeftBehind,
    /// One whole file.
    Still,
}

enum Unread {
    Refused(Found),
    Damaged(String),
    Sqlite(rusqlite::Error),
    Copy(io::Error),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Self::Copy(error)
    }
}

impl From<rusqlite::Error> for Unread {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn restore(
    path: &Path,
    how: How,
    from: &dyn Fn(&str) -> Option<Timestamp>,
    until: Timestamp,
) -> Result<Restored, Unread> {
    // Gone with its files when this returns.
    let mut folder = None;
    let (path, options) = match how {
        How::BesideOwner => (path.to_owned(), "mode=ro"),
        How::LeftBehind => {
            let folder = folder.insert(tempfile::tempdir()?);
            let copy = folder.path().join("ledger");
            fs::copy(path, &copy)?;
            fs::copy(beside(path, "-wal"), beside(&copy, "-wal"))?;
            // Files of a disk that is read-only are copied with that permission.
            for file in [copy.clone(), beside(&copy, "-wal")] {
                fs::set_permissions(file, fs::Permissions::from_mode(0o600))?;
            }
            (copy, "mode=rw")
        }
        How::Still => (path.to_owned(), "mode=ro&immutable=1"),
    };
    let open = match how {
        How::LeftBehind => OpenFlags::SQLITE_OPEN_READ_WRITE,
        How::BesideOwner | How::Still => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let flags = open | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(uri(&path, options), flags)?;
    db.busy_timeout(super::BUSY)?;
    match schema::look(&db)? {
        Found::Empty => return Ok(Restored::default()),
        // An older file is read as it is: bringing it up to date is its owner's.
        Found::Ours(_) => {}
        found @ (Found::Newer(_) | Found::Foreign) => {
            return Err(Unread::Refused(found));
        }
    }
    if let Some(reason) = quick_check(&db)? {
        return Err(Unread::Damaged(reason));
    }
    let minutes = history::between(&db, from, until)?;
    Ok(Restored {
        minutes,
        ..rows::restore(&db)?
    })
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
