//! The engine's side of the journal: entries into a buffer that the writer empties. Whatever the writer does, nothing here
//! takes longer than encoding.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::engine::{Input, Restored, Settings};
use crate::journal::segment::BLOCK_BYTES_MAX;
use crate::journal::{Began, Encoder, Opening};
use crate::model::Timestamp;

/// What waits for the disk beyond this is a gap.
const BACKLOG_BYTES_MAX: usize = 8 << 20;
/// A larger entry fits into no block together with what waits.
const ENTRY_BYTES_MAX: usize = BLOCK_BYTES_MAX - 2 * BACKLOG_BYTES_MAX;
/// So much is written at once and does not wait for its second to be over.
const HURRY_BYTES: usize = 1 << 20;

/// What both sides hold.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// There is much to write, or nothing more comes.
    pub hurry: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub pieces: Vec<Piece>,
    /// Of the entries among them.
    pub bytes: usize,
    pub mode: Mode,
    /// Nothing more comes.
    pub is_over: bool,
}

#[derive(Debug)]
pub(super) enum Piece {
    /// A segment begins.
    Opening(Box<Opening>),
    /// Whole entries, the last of them stamped so.
    Entries(Vec<u8>, Timestamp),
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Recording,
    /// The next entry begins a segment.
    Turn,
    /// The disk does not take what comes: nothing is kept of it until the writer wants a segment.
    Deaf,
}

impl Shared {
    /// A panic elsewhere leaves the state whole: nothing in it is changed by halves.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes down what an engine is given, before it is given it.
#[derive(Debug)]
pub struct Recorder {
    encoder: Encoder,
    shared: Arc<Shared>,
    /// Nothing of the segment is missing so far.
    whole: bool,
}

impl Recorder {
    pub(super) fn begin(
        settings: Arc<Settings>,
        restored: Restored,
        at: Timestamp,
        shared: Arc<Shared>,
    ) -> Self {
        let encoder = Encoder::new(settings, at);
        let opening = opening(&encoder, Began::Run, restored, at);
        shared.lock().pieces.push(opening);
        Self {
            encoder,
            shared,
            whole: true,
        }
    }

    /// `Engine::apply` is about to be called.
    pub fn input(&mut self, at: Timestamp, input: &Input) {
        let written = self.write(at, |encoder, to| encoder.input(at, input, to));
        if !written {
            self.encoder.note(input);
        }
    }

    /// `Engine::advance` is about to be called.
    pub fn woke(&mut self, at: Timestamp) {
        self.write(at, |encoder, to| encoder.woke(at, to));
    }

    /// The engine is given nothing more.
    pub fn finish(self) {
        let mut state = self.shared.lock();
        if self.whole && state.mode != Mode::Deaf {
            let last = self.encoder.last();
            self.encoder.close(false, state.entries(last));
        }
        state.is_over = true;
        self.shared.hurry.notify_one();
    }

    /// Whether it was.
    fn write(&mut self, at: Timestamp, put: impl FnOnce(&mut Encoder, &mut Vec<u8>)) -> bool {
        let mut state = self.shared.lock();
        if state.mode == Mode::Turn {
            if self.whole {
                let last = self.encoder.last();
                self.encoder.close(true, state.entries(last));
            }
            let opening = opening(&self.encoder, Began::Later, Restored::default(), at);
            state.pieces.push(opening);
            self.encoder.begin(at);
            state.mode = Mode::Recording;
            self.whole = true;
        }
        if state.mode == Mode::Deaf || state.bytes > BACKLOG_BYTES_MAX {
            state.mode = Mode::Deaf;
            self.whole = false;
            return false;
        }
        let entries = state.entries(at);
        let before = entries.len();
        put(&mut self.encoder, entries);
        let written = entries.len() - before;
        state.bytes += written;
        if written > ENTRY_BYTES_MAX {
            // No block holds it: whoever reads would take it for damage.
            state.entries(at).truncate(before);
            state.mode = Mode::Deaf;
            self.whole = false;
        }
        if state.bytes > HURRY_BYTES {
            self.shared.hurry.notify_one();
        }
        true
    }
}

impl State {
    /// Where the next entry goes.
    fn entries(&mut self, at: Timestamp) -> &mut Vec<u8> {
        if !matches!(self.pieces.last(), Some(Piece::Entries(..))) {
            self.pieces.push(Piece::Entries(Vec::new(), at));
        }
        match self.pieces.last_mut() {
            Some(Piece::Entries(bytes, last)) => {
                *last = at;
                bytes
            }
            Some(Piece::Opening(_)) | None => unreachable!("it was just pushed"),
        }
    }
}

fn opening(encoder: &Encoder, began: Began, restored: Restored, at: Timestamp) -> Piece {
    Piece::Opening(Box::new(Opening {
        gated: env!("CARGO_PKG_VERSION").to_owned(),
        at,
        began,
        standing: encoder.standing(),
        restored,
    }))
}
