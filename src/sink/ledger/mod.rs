//! The ledger: what was decided and what is owed, in one `SQLite` file that survives `kill -9` at any instant.
//!
//! One writer, kept alone by a lock file; WAL with `synchronous=FULL`; all records of one input in one transaction.
//! A damaged file is moved aside, never deleted. Deliberately absent: any clock.

mod cells;
mod error;
mod history;
mod incident;
mod place;
mod reader;
mod retention;
mod rows;
mod schema;
mod told;

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior};

use self::schema::Found;
use crate::engine::{Record, Restored};
use crate::model::{DecisionId, DeliveryKey, Minutes, Notice, Timestamp};
use crate::sink::lock::{Lock, LockFault};

pub use self::error::{CommitError, LedgerError};
pub use self::reader::{read, read_minutes};

/// How long a commit waits for a person's `sqlite3` that holds the file.
const BUSY: Duration = Duration::from_secs(5);
/// Set aside while there is room, given back to the disk when a commit finds it full.
const BALLAST_BYTES: usize = 1 << 20;

/// The open ledger. Dropping or [closing](Ledger::close) it folds the WAL into the file and lets the next owner in.
pub struct Ledger {
    path: PathBuf,
    db: Connection,
    quarantine: Option<Quarantine>,
    _lock: Lock,
}

/// A damaged ledger was moved aside and nobody has confirmed that gated may act without what it held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    pub at: Timestamp,
    pub moved_to: PathBuf,
    pub reason: String,
}

/// The version of the SQLite that is built in.
#[must_use]
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// What a delivery sends: the same bytes on every attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBody {
    /// The wire's `Idempotency-Key`.
    pub decision: DecisionId,
    pub bytes: Vec<u8>,
}

impl Ledger {
    /// Opens the ledger, making its folder and file (for this user only) where they are missing, and gives what it
    /// remembers; of signals' minutes the first and the last. `now` names the file that a damaged ledger is moved to.
    pub fn open(path: &Path, now: Timestamp) -> Result<(Self, Restored), LedgerError> {
        let denied = |source| denied(path, source);
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(denied)?;
            if let Some(kind) =
                place::network_file_system(&Path::new(".").join(folder)).map_err(denied)?
            {
                let path = path.to_owned();
                return Err(LedgerError::Network { path, kind });
            }
        }
        let lock = Lock::exclusive(&beside(path, ".lock")).map_err(|fault| match fault {
            LockFault::Held(pid) => LedgerError::Locked {
                path: path.to_owned(),
                pid,
            },
            LockFault::Io(source) => denied(source),
        })?;
        create(path).map_err(denied)?;
        let (db, mut restored) = match prepare(path)? {
            Prepared::Sound(db, restored) => (db, restored),
            Prepared::Damaged(reason) => {
                let moved_to = move_aside(path, now).map_err(denied)?;
                create(path).map_err(denied)?;
                match prepare(path)? {
                    Prepared::Sound(db, restored) => {
                        record_quarantine(&db, now, &moved_to, &reason)
                            .map_err(|source| sqlite(path, source))?;
                        (db, restored)
                    }
                    Prepared::Damaged(reason) => {
                        let path = path.to_owned();
                        return Err(LedgerError::Corrupt { path, reason });
                    }
                }
            }
        };
        let quarantine = unconfirmed(&db).map_err(|source| sqlite(path, source))?;
        restored.held = quarantine.as_ref().map(|it| {
            let moved_to = it.moved_to.file_name().unwrap_or_default();
            format!(
                "the ledger was damaged and moved aside to {}",
                moved_to.display()
            )
        });
        // Without room for it there is none: commits then fail as soon as the disk is full.
        let _ = keep_ballast(path);
        let path = path.to_owned();
        let ledger = Self {
            path,
            db,
            quarantine,
            _lock: lock,
        };
        Ok((ledger, *restored))
    }

    /// The minutes that end after what `from` says of their signal; none of it without.
    pub fn minutes(
        &self,
        from: &dyn Fn(&str) -> Option<Timestamp>,
    ) -> Result<Vec<Minutes>, LedgerError> {
        history::between(&self.db, from, Timestamp::MAX)
            .map_err(|source| sqlite(&self.path, source))
    }

    /// All records of one input, or none. `render` makes the bytes that are owed to a receiver; they are stored in
    /// the same transaction and never change. A full disk or a failed write is tried once more, with the ballast
    /// given back and the file opened and checked again; every record may be written twice.
    pub fn commit(
        &mut self,
        records: &[Record],
        render: impl Fn(&str, &Notice) -> Vec<u8>,
    ) -> Result<(), CommitError> {
        let error = match self.write(records, &render) {
            Err(Written::Sqlite(error)) => error,
            Err(Written::NoSuchDelivery(key)) => return Err(CommitError::NoSuchDelivery(key)),
            Ok(()) => return Ok(()),
        };
        let again = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => self.drop_ballast(),
            // A quota shows as a failed write too. What a failed fsync left in memory cannot be trusted.
            Some(ErrorCode::SystemIoFailure) => {
                self.drop_ballast();
                self.reopen()
            }
            _ => false,
        };
        let error = if again {
            match self.write(records, &render) {
                Err(Written::Sqlite(error)) => error,
                Err(Written::NoSuchDelivery(key)) => return Err(CommitError::NoSuchDelivery(key)),
                Ok(()) => return Ok(()),
            }
        } else {
            error
        };
        let path = self.path.clone();
        Err(match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => CommitError::Full { path },
            _ => CommitError::Failed {
                path,
                source: error,
            },
        })
    }

    /// What the delivery sends; `None` for a key that was never owed.
    pub fn body(&self, key: &DeliveryKey) -> Result<Option<StoredBody>, LedgerError> {
        self.db
            .prepare_cached("SELECT decision, body FROM deliveries WHERE key = ?1")
            .and_then(|mut query| {
                query
                    .query_row([key], |row| {
                        Ok(StoredBody {
                            decision: row.get(0)?,
                            bytes: row.get(1)?,
                        })
                    })
                    .optional()
            })
            .map_err(|source| sqlite(&self.path, source))
    }

    /// Present from the day a damaged ledger was moved aside until a person has confirmed it, over restarts: until
    /// then nobody knows what was decided before, so rollbacks are held.
    pub fn quarantine(&self) -> Option<&Quarantine> {
        self.quarantine.as_ref()
    }

    /// Lets go of what is settled and older than `keep`.
    pub fn sweep(&mut self, now: Timestamp, keep: Duration) -> Result<(), LedgerError> {
        retention::sweep(&mut self.db, now, keep).map_err(|source| sqlite(&self.path, source))
    }

    /// Folds the WAL into the file, so that one file holds everything.
    pub fn close(self) -> Result<(), LedgerError> {
        self.db
            .close()
            .map_err(|(_, source)| sqlite(&self.path, source))
    }

    fn write(
        &mut self,
        records: &[Record],
        render: &impl Fn(&str, &Notice) -> Vec<u8>,
    ) -> Result<(), Written> {
        let tx = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for record in records {
            match record {
                Record::Rollout(it) => rows::put_rollout(&tx, it)?,
                Record::Decision(it) => rows::put_decision(&tx, it)?,
                Record::Owed(it, notice) => {
                    // A commit before this one failed, and who decided does not know it yet.
                    if !rows::knows_decision(&tx, &it.decision)? {
                        return Err(Written::NoSuchDelivery(it.key.clone()));
                    }
                    rows::put_owed(&tx, it, &render(&it.receiver, notice))?;
                }
                Record::Delivery(it) => {
                    if !rows::put_delivery(&tx, it)? {
                        return Err(Written::NoSuchDelivery(it.key.clone()));
                    }
                }
                Record::Incident(it) => incident::put(&tx, it)?,
                Record::Trigger(it) => rows::put_trigger(&tx, it)?,
                Record::TriggerGone { name, series } => rows::drop_trigger(&tx, name, series)?,
                Record::Alert(it) => rows::put_alert(&tx, it)?,
                Record::AlertGone(it) => rows::drop_alert(&tx, it)?,
                Record::AlertsSeen(it) => rows::put_group(&tx, it)?,
                Record::Audit(it) => rows::put_audit(&tx, it)?,
                Record::PhaseRun(it) => rows::put_phase_run(&tx, it)?,
                Record::Observation(it) => told::put_observation(&tx, it)?,
                Record::Attestation(it) => told::put_attestation(&tx, it)?,
                Record::Minute(it) => history::put(&tx, it)?,
                Record::Verification(it) => rows::put_verification(&tx, it)?,
            }
        }
        Ok(tx.commit()?)
    }

    /// Whether there was any.
    fn drop_ballast(&self) -> bool {
        fs::remove_file(beside(&self.path, ".ballast")).is_ok()
    }

    /// Whether the file, read afresh, is sound.
    fn reopen(&mut self) -> bool {
        match prepare(&self.path) {
            Ok(Prepared::Sound(db, _)) => {
                self.db = db;
                true
            }
            Ok(Prepared::Damaged(_)) | Err(_) => false,
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("path", &self.path)
            .field("quarantine", &self.quarantine)
            .finish_non_exhaustive()
    }
}

/// How one try to write ended badly.
enum Written {
    Sqlite(rusqlite::Error),
    NoSuchDelivery(DeliveryKey),
}

impl From<rusqlite::Error> for Written {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

enum Prepared {
    Sound(Connection, Box<Restored>),
    Damaged(String),
}

/// Opens the file, checks it whole, brings it to the current schema and reads it.
fn prepare(path: &Path) -> Result<Prepared, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(|source| sqlite(path, source))?;
    match load(&mut db) {
        Ok(Loaded::Sound(restored)) => Ok(Prepared::Sound(db, restored)),
        Ok(Loaded::Damaged(reason)) => Ok(Prepared::Damaged(reason)),
        Ok(Loaded::Refused(found)) => Err(refused(path, &found)),
        Err(error) if is_damage(&error) => Ok(Prepared::Damaged(error.to_string())),
        Err(source) => Err(sqlite(path, source)),
    }
}

enum Loaded {
    Sound(Box<Restored>),
    Damaged(String),
    Refused(Found),
}

fn load(db: &mut Connection) -> rusqlite::Result<Loaded> {
    db.busy_timeout(BUSY)?;
    // A damaged file is kept as it was found: closing the connection must not fold the WAL into it.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let version = match schema::look(db)? {
        Found::Empty => 0,
        Found::Ours(version) => version,
        found @ (Found::Newer(_) | Found::Foreign) => return Ok(Loaded::Refused(found)),
    };
    if let Some(reason) = quick_check(db)? {
        return Ok(Loaded::Damaged(reason));
    }
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Ok(Loaded::Damaged(format!("journal mode stays {mode}")));
    }
    db.pragma_update(None, "synchronous", "FULL")?;
    schema::migrate(db, version)?;
    let restored = Restored {
        minutes: history::between(db, &|_| None, Timestamp::EPOCH)?,
        ..rows::restore(db)?
    };
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(Loaded::Sound(Box::new(restored)))
}

/// What `SQLite` finds wrong with the file's structure.
fn quick_check(db: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// Whether the file's content is to blame, rather than the system around it.
fn is_damage(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure
                | ErrorCode::DiskFull
                | ErrorCode::OutOfMemory
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NoLargeFileSupport
        )
    )
}

/// `<path>.corrupt-<time>`, with the WAL beside it, so that `sqlite3` opens the pair.
fn move_aside(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let stamp = now.to_string().replace(':', "");
    let free = (0..=u32::MAX)
        .map(|n| match n {
            0 => beside(path, &format!(".corrupt-{stamp}")),
            _ => beside(path, &format!(".corrupt-{stamp}.{n}")),
        })
        .find(|candidate| !candidate.exists())
        .expect("the numbers outlast the files of a folder");
    for suffix in ["-wal", "-shm"] {
        match fs::rename(beside(path, suffix), beside(&free, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, &free)?;
    Ok(free)
}

fn record_quarantine(
    db: &Connection,
    now: Timestamp,
    moved_to: &Path,
    reason: &str,
) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO quarantines (at, moved_to, reason) VALUES (?1, ?2, ?3)",
        (now, moved_to.to_string_lossy(), reason),
    )
    .map(drop)
}

fn unconfirmed(db: &Connection) -> rusqlite::Result<Option<Quarantine>> {
    db.query_row(
        "SELECT at, moved_to, reason FROM quarantines WHERE confirmed_at IS NULL
         ORDER BY seq DESC LIMIT 1",
        [],
        |row| {
            Ok(Quarantine {
                at: row.get(0)?,
                moved_to: PathBuf::from(row.get::<_, String>(1)?),
                reason: row.get(2)?,
            })
        },
    )
    .optional()
}

/// An empty file that only this user may read; `SQLite` gives its WAL the same mode.
fn create(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
}

fn keep_ballast(path: &Path) -> io::Result<()> {
    let ballast = beside(path, ".ballast");
    if fs::metadata(&ballast).is_ok_and(|found| found.len() == BALLAST_BYTES as u64) {
        return Ok(());
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&ballast)?;
    // Bytes are written, not just counted: a hole in the file would give nothing back.
    let written = file
        .write_all(&vec![0; BALLAST_BYTES])
        .and_then(|()| file.sync_all());
    if written.is_err() {
        fs::remove_file(&ballast)?;
    }
    written
}

/// `path` with `suffix` after its last name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn denied(path: &Path, source: io::Error) -> LedgerError {
    LedgerError::Denied {
        path: path.to_owned(),
        // The owner of this process's own entry is the user it runs as.
        uid: fs::metadata("/proc/self").map_or(u32::MAX, |me| me.uid()),
        source,
    }
}

fn refused(path: &Path, found: &Found) -> LedgerError {
    let path = path.to_owned();
    match *found {
        Found::Newer(found) => LedgerError::Newer {
            path,
            found,
            known: schema::VERSION,
        },
        Found::Foreign | Found::Empty | Found::Ours(_) => LedgerError::Foreign { path },
    }
}

fn sqlite(path: &Path, source: rusqlite::Error) -> LedgerError {
    let path = path.to_owned();
    LedgerError::Sqlite { path, source }
}
