//! The journal's thread: twice a second what has come is packed and written. When the disk says no, what comes is dropped for a
//! while, and then a segment begins that needs nothing of what is missing.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use super::folder::{Fault, Folder};
use super::past::as_of;
use super::recorder::{Mode, Piece, Shared};
use super::segment::Segment;
use super::{AskPast, JournalConfig};
use crate::journal::segment::Head;
use crate::journal::{Began, Opening};
use crate::sink::metrics::{JOURNAL_BYTES, JOURNAL_FAILURES, JOURNAL_RECORDING};

/// What waits is written this often.
const ROUND: Duration = Duration::from_millis(500);
/// Rounds after which a disk that said no is tried again.
const ROUNDS_DEAF: u32 = 20;
/// A segment ends after this long, so that what is let go of goes in small pieces …
const SEGMENT_SPAN: Duration = Duration::from_secs(3600);
/// … or when it has so many bytes beside its opening, or the share of all that may be kept.
const SEGMENT_BYTES: u64 = 16 << 20;
const SEGMENT_SHARE: u64 = 4;

pub(super) struct Writer {
    config: JournalConfig,
    folder: Option<Folder>,
    shared: Arc<Shared>,
    past: AskPast,
    segment: Option<Segment>,
    /// Rounds until the disk is tried again; zero: nothing is wrong.
    deaf_for: u32,
}

/// Says it in the log and on `/metrics`.
pub(super) fn tell_failure(path: &Path, error: &io::Error) {
    metrics::counter!(JOURNAL_FAILURES).increment(1);
    metrics::gauge!(JOURNAL_RECORDING).set(0.0);
    warn!(
        path = %path.display(),
        %error,
        "the journal cannot be written; what happens until it can is missing in it"
    );
}

impl Writer {
    pub fn new(
        config: JournalConfig,
        folder: Option<Folder>,
        shared: Arc<Shared>,
        past: AskPast,
    ) -> Self {
        let deaf_for = if folder.is_some() { 0 } else { ROUNDS_DEAF };
        if folder.is_none() {
            shared.lock().mode = Mode::Deaf;
        }
        Self {
            config,
            folder,
            shared,
            past,
            segment: None,
            deaf_for,
        }
    }

    pub fn run(mut self) {
        loop {
            let (pieces, is_over) = self.next();
            self.mind_removal();
            self.take(pieces);
            self.let_go();
            if is_over {
                return;
            }
            self.listen_again();
            self.turn();
        }
    }

    /// What has come within a round, or sooner where there is much of it.
    fn next(&self) -> (Vec<Piece>, bool) {
        let state = self.shared.lock();
        let state = if state.is_over {
            state
        } else {
            let waited = self.shared.hurry.wait_timeout(state, ROUND);
            waited.unwrap_or_else(PoisonError::into_inner).0
        };
        let mut state = state;
        state.bytes = 0;
        (std::mem::take(&mut state.pieces), state.is_over)
    }

    /// A file that somebody removed takes what is written to it, and nobody can read it any more.
    fn mind_removal(&mut self) {
        let removed = |it: &Segment| !it.path.exists();
        if self.segment.as_ref().is_some_and(removed) {
            let text = "somebody removed the segment that is being written";
            self.break_off(&io::Error::new(io::ErrorKind::NotFound, text));
            // Nothing is wrong with the disk.
            self.deaf_for = 1;
        }
    }

    fn take(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            let written = match piece {
                Piece::Opening(opening) => self.open(*opening),
                Piece::Entries(bytes, last) => match &mut self.segment {
                    Some(segment) => segment.block(&bytes, last),
                    None => Ok(()),
                },
            };
            if let Err(error) = written {
                self.break_off(&error);
            }
        }
    }

    fn open(&mut self, mut opening: Opening) -> io::Result<()> {
        self.end_segment();
        let Some(folder) = &mut self.folder else {
            return Ok(());
        };
        if opening.began == Began::Later {
            let settings = &opening.standing.settings;
            match (self.past)(settings, opening.at) {
                Ok(restored) => opening.restored = as_of(restored, opening.at),
                Err(why) => {
                    // Whoever begins here must not take it for an empty one.
                    let held = format!("what the ledger had was not known to the journal: {why}");
                    opening.restored.held = Some(held);
                }
            }
        }
        let (path, number) = folder.next();
        let (at, began) = (opening.at, opening.began);
        let head = Head { number, at, began };
        let mut segment = Segment::create(&path, &head)?;
        let mut bytes = Vec::new();
        opening.put(&mut bytes);
        if let Err(error) = segment.block(&bytes, at) {
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        segment.opening_bytes = segment.bytes;
        self.segment = Some(segment);
        metrics::gauge!(JOURNAL_RECORDING).set(1.0);
        if self.deaf_for > 0 {
            self.deaf_for = 0;
            info!(path = %self.config.path.display(), "the journal is written again");
        }
        Ok(())
    }

    fn end_segment(&mut self) {
        if let (Some(segment), Some(folder)) = (self.segment.take(), &mut self.folder) {
            folder.keep(segment.path, segment.bytes, segment.last);
        }
    }

    /// What the disk does not take is missing. It is said when it begins.
    fn break_off(&mut self, error: &io::Error) {
        if self.deaf_for == 0 {
            tell_failure(&self.config.path, error);
        }
        self.end_segment();
        if !self.config.path.exists() {
            // With its lock: it is made anew.
            self.folder = None;
        }
        self.deaf_for = ROUNDS_DEAF;
        let mut state = self.shared.lock();
        state.mode = Mode::Deaf;
        state.pieces.clear();
        state.bytes = 0;
    }

    /// Where nothing is taken any more, whether it can be again.
    fn listen_again(&mut self) {
        let state = self.shared.lock();
        let (mode, waits) = (state.mode, !state.pieces.is_empty());
        drop(state);
        if mode != Mode::Deaf || waits {
            return;
        }
        match self.deaf_for {
            // The disk was slow, and has taken all that waited.
            0 => {
                let error = io::Error::other("more comes than it takes");
                tell_failure(&self.config.path, &error);
                self.deaf_for = 1;
            }
            1 => {}
            _ => {
                self.deaf_for -= 1;
                return;
            }
        }
        if self.folder.is_none() {
            self.folder = match Folder::open(&self.config.path) {
                Ok(folder) => Some(folder),
                Err(Fault::Locked(_) | Fault::Io(_)) => {
                    self.deaf_for = ROUNDS_DEAF;
                    return;
                }
            };
        }
        self.shared.lock().mode = Mode::Turn;
    }

    /// Asks for another segment where this one is old or large enough.
    fn turn(&self) {
        let Some(segment) = &self.segment else { return };
        let bytes = segment.bytes - segment.opening_bytes;
        let most = SEGMENT_BYTES.min(self.config.keep.bytes / SEGMENT_SHARE);
        if segment.last.since(segment.at) >= SEGMENT_SPAN || bytes >= most {
            let mut state = self.shared.lock();
            if state.mode == Mode::Recording {
                state.mode = Mode::Turn;
            }
        }
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "a disk of more than 2^53 bytes is none"
    )]
    fn let_go(&mut self) {
        let Some(folder) = &mut self.folder else {
            return;
        };
        let open = self.segment.as_ref().map_or(0, |it| it.bytes);
        if let Some(segment) = &self.segment
            && let Err(error) = folder.let_go(self.config.keep, open, segment.last)
        {
            self.break_off(&error);
            return;
        }
        metrics::gauge!(JOURNAL_BYTES).set((folder.bytes() + open) as f64);
    }
}
