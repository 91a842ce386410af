//! What an engine was given, as bytes and back: its opening, every stamped input, every wake. Pure: files, threads and
//! compression are the edges' (`sink::journal` writes, `source::journal` reads).
//!
//! A journal is a row of *segments*, each of which can be read alone: it begins with an [`Opening`], and nothing in it refers
//! to what stood before. The first of a run opens with what the engine was made from, so a replay from there gives every
//! effect again. A later one opens with what stood by then and what the ledger had: as if gated had been started anew.

mod decoder;
mod encoder;
mod given;
mod opening;
mod page;
mod records;
pub mod segment;
mod settings;
mod values;
mod wire;

pub use decoder::{Decoder, Entry};
pub use encoder::Encoder;
pub use opening::{Began, Opening, Standing};
pub use wire::{Malformed, Zones};

/// What this gated writes, and all that it reads. Another whenever a record changes.
pub const FORMAT: u32 = 1;

/// The kinds of entries, as they are written.
mod tag {
    pub const OPENED: u8 = 1;
    pub const WOKE: u8 = 2;
    pub const SCRAPED: u8 = 3;
    pub const TARGET: u8 = 4;
    pub const TARGET_GONE: u8 = 5;
    pub const OPERATOR: u8 = 6;
    pub const ATTEMPTED: u8 = 7;
    pub const COMMIT_FAILED: u8 = 8;
    pub const REPORTED: u8 = 9;
    pub const SLEPT: u8 = 10;
    pub const CLOCK_SET: u8 = 11;
    pub const RELOAD: u8 = 12;
    pub const RECALLED: u8 = 13;
    pub const CLOSED: u8 = 14;
}
