//! The journal's writer: what the engine is given, into segments of a folder, on a thread of its own. The engine's thread
//! encodes into memory and never waits: what the disk cannot take, or takes too slowly, is a gap, and said once.
//!
//! Deliberately absent: the bytes of entries (`journal`), reading (`source::journal`), any clock.

mod folder;
mod past;
mod recorder;
mod segment;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use self::folder::Folder;
pub use self::recorder::Recorder;
use self::recorder::Shared;
use self::writer::Writer;
use crate::engine::{Restored, Settings};
use crate::model::Timestamp;
use crate::sink::metrics::{JOURNAL_BYTES, JOURNAL_FAILURES};

/// `[journal]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// The folder.
    pub path: PathBuf,
    pub keep: Keep,
}

/// What is let go of, the oldest first.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// What is older; `None`: nothing is too old.
    pub age: Option<Duration>,
    /// What is more, in bytes. The segment that is being written stays in any case.
    pub bytes: u64,
}

/// A week, and no more than any disk has.
impl Default for Keep {
    fn default() -> Self {
        Self {
            age: Some(Duration::from_secs(7 * 86_400)),
            bytes: 1 << 30,
        }
    }
}

impl JournalConfig {
    /// In a folder, without anything more being said.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        let keep = Keep::default();
        Self { path, keep }
    }
}

/// Why there can be no journal here. That a folder cannot be written is none: that may pass.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(
        "the journal in {} is written by another gated{}; give each a folder of its own with [journal] path",
        path.display(),
        pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
    )]
    Locked { path: PathBuf, pid: Option<u32> },
    #[error("no thread for the journal")]
    Thread(#[source] io::Error),
}

/// What the ledger had at a moment, for an engine with these settings.
pub type AskPast = Box<dyn Fn(&Settings, Timestamp) -> Result<Restored, String> + Send>;

/// A folder that is ours to write, where it could be made.
#[derive(Debug)]
pub struct Journal {
    config: JournalConfig,
    folder: Option<Folder>,
}

impl Journal {
    /// Makes the folder, for this user only, and takes its lock. Where the disk says no it is tried again later.
    ///
    /// # Errors
    /// Another gated writes there.
    pub fn open(config: JournalConfig) -> Result<Self, JournalError> {
        // At 0 from the start: `increase` misses the first of a series that was born with it.
        metrics::counter!(JOURNAL_FAILURES).increment(0);
        metrics::gauge!(JOURNAL_BYTES).set(0.0);
        let folder = match Folder::open(&config.path) {
            Ok(folder) => Some(folder),
            Err(folder::Fault::Locked(pid)) => {
                let path = config.path;
                return Err(JournalError::Locked { path, pid });
            }
            Err(folder::Fault::Io(error)) => {
                writer::tell_failure(&config.path, &error);
                None
            }
        };
        Ok(Self { config, folder })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.config.path
    }

    /// Begins a run with an engine that is made from `settings` and `restored` at `at`. `past` is asked for the openings of
    /// later segments. The thread ends once the recorder has [finished](Recorder::finish).
    pub fn begin(
        self,
        settings: Arc<Settings>,
        restored: Restored,
        at: Timestamp,
        past: AskPast,
    ) -> Result<(Recorder, JoinHandle<()>), JournalError> {
        let shared = Arc::<Shared>::default();
        let recorder = Recorder::begin(settings, restored, at, Arc::clone(&shared));
        let writer = Writer::new(self.config, self.folder, shared, past);
        let thread = std::thread::Builder::new().name("journal".into());
        let thread = thread.spawn(move || writer.run());
        Ok((recorder, thread.map_err(JournalError::Thread)?))
    }
}
