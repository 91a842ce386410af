//! The folder of a journal: whose it is, which segments lie in it, and what is let go of. What is not named as a segment is
//! left alone.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::Keep;
use crate::journal::segment::{LOCK, Number};
use crate::model::Timestamp;
use crate::sink::lock::{Lock, LockFault};

#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    next: Number,
    /// All that are over, the oldest first.
    kept: VecDeque<Kept>,
    _lock: Lock,
}

#[derive(Debug)]
struct Kept {
    path: PathBuf,
    bytes: u64,
    last: Timestamp,
}

#[derive(Debug)]
pub(super) enum Fault {
    Locked(Option<u32>),
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Folder {
    /// For a run that begins: its number is one more than that of any before.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let lock = Lock::exclusive(&path.join(LOCK)).map_err(|fault| match fault {
            LockFault::Held(pid) => Fault::Locked(pid),
            LockFault::Io(error) => Fault::Io(error),
        })?;
        let mut found = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name();
            if let Some(number) = name.to_str().and_then(Number::of_file) {
                let about = entry.metadata()?;
                let last = Timestamp::from_millis(about.mtime().saturating_mul(1000));
                let (path, bytes) = (entry.path(), about.len());
                found.push((number, Kept { path, bytes, last }));
            }
        }
        found.sort_by_key(|(number, _)| *number);
        let run = found.last().map_or(1, |(it, _)| it.run.saturating_add(1));
        Ok(Self {
            path: path.to_owned(),
            next: Number { run, segment: 0 },
            kept: found.into_iter().map(|(_, kept)| kept).collect(),
            _lock: lock,
        })
    }

    /// The file for another segment, and its number: no other segment gets it, whatever becomes of this one.
    pub fn next(&mut self) -> (PathBuf, Number) {
        let number = self.next;
        self.next.segment += 1;
        (self.path.join(number.file_name()), number)
    }

    /// A segment is over; its last entry is stamped so.
    pub fn keep(&mut self, path: PathBuf, bytes: u64, last: Timestamp) {
        self.kept.push_back(Kept { path, bytes, last });
    }

    /// Lets go of what is too old, or too much beside the `open` bytes of the segment that is being written.
    pub fn let_go(&mut self, keep: Keep, open: u64, now: Timestamp) -> io::Result<()> {
        while let Some(oldest) = self.kept.front() {
            let is_old = keep.age.is_some_and(|age| now.since(oldest.last) > age);
            if !is_old && self.bytes() + open <= keep.bytes {
                break;
            }
            match fs::remove_file(&oldest.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.kept.pop_front(),
            };
        }
        Ok(())
    }

    /// Of all segments that are over.
    pub fn bytes(&self) -> u64 {
        self.kept.iter().map(|it| it.bytes).sum()
    }
}
