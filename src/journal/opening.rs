//! How a segment begins: everything that an engine needs before the first input.

use std::sync::Arc;

use super::tag;
use super::wire::{Bytes, Malformed, Wire, choice, record};
use crate::engine::{Restored, Settings, TargetInfo};
use crate::model::{Labels, Slot, Timestamp, WallClock};

/// What an engine is made from.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The version of gated that wrote it.
    pub gated: String,
    /// The moment of `Engine::new`.
    pub at: Timestamp,
    pub began: Began,
    pub standing: Standing,
    pub restored: Restored,
}

/// Why there is an opening.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Began {
    /// gated started: the engine began with just this.
    Run,
    /// gated went on: the engine held more in its window than stands here.
    Later,
}

/// What goes on over the end of a segment.
#[derive(Clone, Debug)]
pub struct Standing {
    pub settings: Arc<Settings>,
    pub wall: WallClock,
    /// Targets with the series that stand on their pages; none where a run begins.
    pub targets: Vec<(TargetInfo, Vec<(Slot, Labels)>)>,
}

choice!(Began { 0 => Run, 1 => Later });
record!(Standing {
    settings,
    wall,
    targets
});
record!(Opening {
    gated,
    at,
    began,
    standing,
    restored
});

impl Opening {
    /// Writes it as the first entry of a segment.
    pub fn put(&self, to: &mut Vec<u8>) {
        to.push(tag::OPENED);
        Wire::put(self, to);
    }

    pub(super) fn read(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        Wire::take(from)
    }
}
