//! A journal read again: entries of all runs of a folder, in their order, and remarks on what is missing between them. Files
//! may be anybody's. Deliberately absent: the bytes of entries (`journal`), writing (`sink::journal`), replaying (`run`).

mod remark;
mod segment;

use std::collections::VecDeque;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

pub use self::remark::Remark;
use self::segment::{Ended, Segment};
use crate::engine::Input;
use crate::journal::segment::{Head, LOCK, Number};
use crate::journal::{Began, Entry, Opening};
use crate::model::Timestamp;

/// The folder cannot be read as a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the journal in {} cannot be read", path.display())]
    Unread {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("there is no journal in {}: [journal] path names the folder", path.display())]
    Empty { path: PathBuf },
}

/// A folder of segments, as it is found.
#[derive(Clone, Debug)]
pub struct Journal {
    segments: Vec<Found>,
    /// Someone is writing it: its end is not over.
    is_written: bool,
}

/// A segment that is there.
#[derive(Clone, Debug)]
struct Found {
    path: PathBuf,
    number: Number,
    /// `None` where it is none that can be read; the reader says why.
    head: Option<Head>,
}

/// What is found in a journal, in this order.
#[derive(Debug)]
pub enum Recorded {
    /// An engine is made from this; of the one before nothing more follows.
    Opened(Box<Opening>),
    /// `Engine::apply` was called.
    Input { at: Timestamp, input: Input },
    /// `Engine::advance` was called.
    Woke(Timestamp),
    /// Something is missing, or not as it was.
    Remark(Remark),
}

impl Journal {
    /// Looks which segments there are.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let unread = |source| JournalError::Unread {
            path: path.to_owned(),
            source,
        };
        // Asked before the segments are looked at: who begins to write later adds to them.
        let is_written = is_written(path);
        let mut segments = Vec::new();
        for entry in fs::read_dir(path).map_err(unread)? {
            let path = entry.map_err(unread)?.path();
            let name = path.file_name().and_then(|it| it.to_str());
            if let Some(number) = name.and_then(Number::of_file) {
                let head = segment::head(&path).ok();
                let found = Found { path, number, head };
                segments.push(found);
            }
        }
        if segments.is_empty() {
            let path = path.to_owned();
            return Err(JournalError::Empty { path });
        }
        segments.sort_by_key(|it| it.number);
        Ok(Self {
            segments,
            is_written,
        })
    }

    /// From when on anything is recorded.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        let heads = self.segments.iter().filter_map(|it| it.head);
        heads.map(|it| it.at).min()
    }

    /// Up to when anything is, about: as its last file was written.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        let last = fs::metadata(&self.segments.last()?.path).ok()?;
        Some(Timestamp::from_millis(last.mtime().saturating_mul(1000)))
    }

    /// How much there is to read up to `at`, in bytes of the segments that begin before it.
    #[must_use]
    pub fn bytes_until(&self, at: Timestamp) -> u64 {
        let begins = |it: &&Found| it.head.is_none_or(|head| head.at <= at);
        let files = self.segments.iter().filter(begins);
        let sizes = files.filter_map(|it| Some(fs::metadata(&it.path).ok()?.len()));
        sizes.sum()
    }

    /// Without what is before the newest segment that begins at `at` or earlier. Where that is none, all of it.
    #[must_use]
    pub fn from(mut self, at: Timestamp) -> Self {
        let begins = |it: &Found| it.head.is_some_and(|head| head.at <= at);
        let first = self.segments.iter().rposition(begins).unwrap_or(0);
        self.segments.drain(..first);
        self
    }

    /// Everything, entry after entry. Holds one block at a time.
    #[must_use]
    pub fn entries(self) -> Entries {
        Entries {
            segments: self.segments.into(),
            is_written: self.is_written,
            current: None,
            before: None,
            ready: VecDeque::new(),
        }
    }
}

/// See [`Journal::entries`].
#[derive(Debug)]
pub struct Entries {
    segments: VecDeque<Found>,
    is_written: bool,
    current: Option<Segment>,
    /// The segment that ended last, where the next one may follow it without a gap.
    before: Option<Number>,
    ready: VecDeque<Recorded>,
}

impl Iterator for Entries {
    type Item = Recorded;

    fn next(&mut self) -> Option<Recorded> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            match self.current.take() {
                Some(segment) => self.go_on(segment),
                None => self.open_next()?,
            }
        }
    }
}

impl Entries {
    /// One more entry of the segment, or its end.
    fn go_on(&mut self, mut segment: Segment) {
        match segment.next() {
            Ok(Entry::Input { at, input }) => self.ready.push_back(Recorded::Input { at, input }),
            Ok(Entry::Woke(at)) => self.ready.push_back(Recorded::Woke(at)),
            // The opening was taken when the segment was opened, and a second one is refused.
            Ok(Entry::Opened(_)) => {}
            Ok(Entry::Closed { goes_on }) => {
                self.before = Some(segment.number()).filter(|_| goes_on);
                return;
            }
            Err(ended) => {
                self.before = None;
                let is_last = self.segments.is_empty();
                if !(is_last && self.is_written && ended.is_open()) {
                    let remark = ended.remark(segment.path(), is_last);
                    self.ready.push_back(Recorded::Remark(remark));
                }
                return;
            }
        }
        self.current = Some(segment);
    }

    /// `None`: there is no other.
    fn open_next(&mut self) -> Option<()> {
        let found = self.segments.pop_front()?;
        let follows = self.before.take().is_some_and(|before| {
            let next = before.segment.checked_add(1);
            found.number.run == before.run && Some(found.number.segment) == next
        });
        let opened = Segment::open(&found.path, found.number);
        let opened = opened.and_then(|mut segment| Ok((segment.opening()?, segment)));
        match opened {
            Ok((opening, mut segment)) => {
                if !follows {
                    self.begin(opening, &mut segment);
                }
                self.current = Some(segment);
            }
            Err(ended) => {
                let remark = ended.remark(&found.path, self.segments.is_empty());
                self.ready.push_back(Recorded::Remark(remark));
            }
        }
        Some(())
    }

    /// The segment is replayed from its own opening.
    fn begin(&mut self, opening: Box<Opening>, segment: &mut Segment) {
        let at = opening.at;
        if opening.began == Began::Later {
            let path = segment.path().to_owned();
            let remark = Remark::Cold { path, at };
            self.ready.push_back(Recorded::Remark(remark));
        }
        let standing = segment.start_over(&opening);
        self.ready.push_back(Recorded::Opened(opening));
        let standing = standing.into_iter();
        let standing = standing.map(|input| Recorded::Input { at, input });
        self.ready.extend(standing);
    }
}

/// Whether somebody holds the folder's lock. Changes nothing.
fn is_written(folder: &Path) -> bool {
    let lock = File::open(folder.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The system's list of zones, else the one that is built in.
fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

impl Ended {
    fn remark(self, path: &Path, is_last: bool) -> Remark {
        let path = path.to_owned();
        match self {
            Self::Open { torn: 0 } => Remark::Unfinished { path, is_last },
            Self::Open { torn } => Remark::Torn { path, torn },
            Self::Damaged { at, why } => Remark::Damaged { path, at, why },
        }
    }
}
