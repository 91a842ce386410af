//! One gated per ledger, and per folder of a journal: an exclusive lock on a file beside, which holds the owner's process
//! id. The kernel lets go of it however the owner dies. The file itself stays: removing it would race with the next owner.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// A dry run holds the lock for as long as it reads, a few milliseconds; an owner keeps it for life.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Lock {
    _held: File,
}

#[derive(Debug)]
pub(super) enum LockFault {
    Held(Option<u32>),
    Io(io::Error),
}

impl Lock {
    /// For the owner: nobody else may hold it, however briefly. Leaves this process's id in the file.
    pub(super) fn exclusive(path: &Path) -> Result<Self, LockFault> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(LockFault::Io)?;
        for _ in 1..TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(owned(file)),
                Err(TryLockError::Error(error)) => return Err(LockFault::Io(error)),
                Err(TryLockError::WouldBlock) => thread::sleep(BETWEEN_TRIES),
            }
        }
        let mut text = String::new();
        // Whoever holds it may not have written its id yet: then it stays unknown.
        let _ = file.read_to_string(&mut text);
        Err(LockFault::Held(text.trim().parse().ok()))
    }

    /// For a reader: `None` when an owner is alive. Changes nothing; without a lock file there is no owner, and `locked` is
    /// looked at instead.
    pub(super) fn shared(path: &Path, locked: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => File::open(locked)?,
            other => other?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(Self { _held: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn owned(mut file: File) -> Lock {
    // The id only serves the message that another gated prints, so a full disk is no reason to stop.
    let _ = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    Lock { _held: file }
}
