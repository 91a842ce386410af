//! What a reader remembers of a page, 24 bytes a line, and the walk over a page like it: a keyed hash and a number
//! per line, no allocation but the values. Deliberately absent: errors. Whatever is not as it was leaves the page to
//! `page`, which reads it from its first line and knows what to say.

use super::class::{Buckets, Class};
use super::key::Key;
use super::number;
use super::{Format, Stats, line, out_of_bounds};
use crate::engine::Columns;
use crate::model::{STALE, Slot, Timestamp};

/// One line of a page that was read.
#[derive(Copy, Clone, Debug)]
pub struct Line {
    /// The keyed hash of its head, or of the whole line where it is no sample; see [`Line::name`].
    hash: [u64; 2],
    /// Length of what was hashed, first-of-a-histogram, repeated, class: 26 + 1 + 1 + 4 bits.
    shape: u32,
    slot: u32,
}

/// What `slot` says where it is no slot.
pub const UNWANTED: u32 = u32::MAX;
pub const DROPPED: u32 = u32::MAX - 1;
/// Not a sample.
pub const META: u32 = u32::MAX - 2;
/// A wanted series whose sample was out of bounds: it has no slot, and is asked about when it comes back.
pub const UNASKED: u32 = u32::MAX - 3;
/// Slots stay below this.
pub const SLOTS_MAX: u32 = u32::MAX - 3;

/// Heads are shorter than this; 64 MiB.
pub const HEAD_BYTES_MAX: usize = 1 << 26;
const CLASS_BITS: u32 = 4;
const REPEATED: u32 = 1 << CLASS_BITS;
const FIRST: u32 = 1 << (CLASS_BITS + 1);
const LENGTH_SHIFT: u32 = CLASS_BITS + 2;

impl Line {
    /// Of a head below [`HEAD_BYTES_MAX`].
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the halves of a hash; a length below 2^26"
    )]
    pub fn new(name: u128, bytes: usize, class: Class, first: bool, slot: u32) -> Self {
        debug_assert!(bytes < HEAD_BYTES_MAX);
        let first = if first { FIRST } else { 0 };
        Self {
            hash: [name as u64, (name >> 64) as u64],
            shape: (bytes as u32) << LENGTH_SHIFT | first | class.code(),
            slot,
        }
    }

    #[must_use]
    pub const fn repeated(mut self) -> Self {
        self.shape |= REPEATED;
        self
    }

    #[must_use]
    pub const fn at(mut self, slot: u32) -> Self {
        self.slot = slot;
        self
    }

    pub fn name(&self) -> u128 {
        u128::from(self.hash[0]) | u128::from(self.hash[1]) << 64
    }

    pub const fn bytes(&self) -> usize {
        (self.shape >> LENGTH_SHIFT) as usize
    }

    pub fn class(&self) -> Class {
        Class::from_code(self.shape & (REPEATED - 1))
    }

    pub const fn is_repeated(&self) -> bool {
        self.shape & REPEATED != 0
    }

    const fn is_first(&self) -> bool {
        self.shape & FIRST != 0
    }

    pub const fn slot(&self) -> u32 {
        self.slot
    }
}

/// The page that a reader expects.
#[derive(Debug, Default)]
pub struct Script {
    pub lines: Vec<Line>,
    /// The hashes of its metadata lines, summed: whether any of them is another one than before.
    pub told: u128,
    pub scraped: u32,
    pub kept: u32,
}

/// Reads a page that has the lines of `script`, no others, none missing; `None` where it has not.
pub fn walk(
    script: &Script,
    slots: usize,
    key: &Key,
    body: &[u8],
    format: Format,
    at: Option<Timestamp>,
) -> Option<(Columns, Stats)> {
    let mut columns = Columns {
        values: vec![STALE; slots],
        samples_scraped: script.scraped,
        samples_kept: script.kept,
        ..Columns::default()
    };
    let mut stats = Stats::default();
    let mut buckets = Buckets::default();
    let mut pos = 0;
    for line in &script.lines {
        let rest = body.get(pos..)?;
        let head = rest.get(..line.bytes())?;
        if key.bytes(head) != line.name() {
            return None;
        }
        let rest = &rest[line.bytes()..];
        if line.slot == META {
            pos += line.bytes();
            match rest.first() {
                Some(b'\n') => pos += 1,
                Some(_) => return None,
                None => {}
            }
            continue;
        }
        let (value, stamp, used) = tail(rest, head, line.class(), format)?;
        pos += line.bytes() + used;
        line.class().check(value).ok()?;
        if format == Format::OpenMetrics {
            if line.is_first() {
                buckets.finish().ok()?;
                buckets = Buckets::default();
            }
            buckets.take(line.class(), value).ok()?;
        }
        if line.is_repeated() {
            stats.duplicates += 1;
            continue;
        }
        let stamp = at.and_then(|at| Some((stamp?, at)));
        let out = stamp.is_some_and(|(stamp, at)| out_of_bounds(stamp, at));
        match line.slot {
            UNASKED | UNWANTED if out => stats.out_of_bounds += 1,
            UNASKED => return None,
            UNWANTED | DROPPED => {}
            _ if out => return None,
            slot => {
                *columns.values.get_mut(slot as usize)? = value;
                if let Some((stamp, _)) = stamp {
                    let stamped = (Slot(slot), Timestamp::from_millis(stamp));
                    columns.stamped.push(stamped);
                }
            }
        }
    }
    buckets.finish().ok()?;
    (pos == body.len()).then_some((columns, stats))
}

/// Value, timestamp and length of what stands behind a known head, the line's end included.
#[inline]
fn tail(
    rest: &[u8],
    head: &[u8],
    class: Class,
    format: Format,
) -> Option<(f64, Option<i64>, usize)> {
    if rest.first() == Some(&b' ')
        && let Some((value, used)) = number::plain(&rest[1..])
        && rest.get(used + 1) == Some(&b'\n')
    {
        return Some((value, None, used + 2));
    }
    let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    let text = std::str::from_utf8(&rest[..end]).ok()?;
    let tail = line::tail(text, head.last() == Some(&b'}'), format).ok()?;
    // Timestamps of OpenMetrics have rules across lines, and exemplars belong to some classes only.
    let strange = format == Format::OpenMetrics && tail.stamp.is_some();
    if strange || (tail.exemplar && !class.takes_exemplar()) {
        return None;
    }
    Some((tail.value, tail.stamp, (end + 1).min(rest.len())))
}
