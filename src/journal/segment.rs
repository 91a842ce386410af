//! The file of a segment: its name, its head, and the heads of its blocks. What is in the blocks is one stream of zstd, cut
//! after whole entries, so that what is written can be read up to the last whole block. Deliberately absent: files and zstd.

use xxhash_rust::xxh3::xxh3_64;

use super::{Began, FORMAT};
use crate::model::Timestamp;

/// What a folder of a journal holds besides: whoever records keeps it locked.
pub const LOCK: &str = "journal.lock";
const SUFFIX: &str = ".journal";
const MAGIC: &[u8; 8] = b"gatedjnl";
/// Of a file's head.
pub const HEAD_BYTES: usize = 36;
/// Of a block's.
pub const BLOCK_HEAD_BYTES: usize = 16;
/// A block is no larger once it is unpacked; an entry that is cannot be recorded.
pub const BLOCK_BYTES_MAX: usize = 256 << 20;
/// zstd's window: what a reader needs at most, beside the block.
pub const WINDOW_LOG: u32 = 21;

/// Where a segment stands among the others.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    /// Counted from 1: each start of gated is another.
    pub run: u32,
    /// Within its run, from 0.
    pub segment: u32,
}

impl Number {
    /// Names sort as numbers do, up to a million runs.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{:06}-{:06}{SUFFIX}", self.run, self.segment)
    }

    /// The number that a file is named after.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        let (run, segment) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        let number = Self {
            run: run.parse().ok()?,
            segment: segment.parse().ok()?,
        };
        (number.file_name() == name).then_some(number)
    }
}

/// How a file begins.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub number: Number,
    /// As of its opening.
    pub at: Timestamp,
    pub began: Began,
}

/// Why a file's head is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadFault {
    #[error("it is no segment of a journal")]
    Foreign,
    #[error("its head is damaged")]
    Damaged,
    #[error("it was written in format {0}, and this gated reads format {FORMAT}")]
    Format(u32),
}

impl Head {
    #[must_use]
    pub fn bytes(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.number.run.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.number.segment.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.at.millis().to_le_bytes());
        bytes[28] = u8::from(self.began == Began::Later);
        let sum = sum(&bytes[..32]);
        bytes[32..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads what [`Head::bytes`] wrote.
    pub fn read(bytes: &[u8; HEAD_BYTES]) -> Result<Self, HeadFault> {
        if &bytes[..8] != MAGIC {
            return Err(HeadFault::Foreign);
        }
        let format = number(bytes, 8);
        if format != FORMAT {
            return Err(HeadFault::Format(format));
        }
        if number(bytes, 32) != sum(&bytes[..32]) {
            return Err(HeadFault::Damaged);
        }
        let mut at = [0; 8];
        at.copy_from_slice(&bytes[20..28]);
        Ok(Self {
            number: Number {
                run: number(bytes, 12),
                segment: number(bytes, 16),
            },
            at: Timestamp::from_millis(i64::from_le_bytes(at)),
            began: match bytes[28] {
                0 => Began::Run,
                _ => Began::Later,
            },
        })
    }
}

/// What stands before a block's bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct BlockHead {
    /// Of what follows.
    pub packed: u32,
    /// Of what it unpacks to.
    pub unpacked: u32,
    sum: u64,
}

impl BlockHead {
    /// For a block of these bytes, which unpack to so many; `None` where they are too many.
    #[must_use]
    pub fn of(packed: &[u8], unpacked: usize) -> Option<Self> {
        let fits = |bytes: usize| {
            u32::try_from(bytes)
                .ok()
                .filter(|_| bytes <= BLOCK_BYTES_MAX)
        };
        Some(Self {
            unpacked: fits(unpacked)?,
            sum: xxh3_64(packed),
            packed: fits(packed.len())?,
        })
    }

    #[must_use]
    pub fn bytes(&self) -> [u8; BLOCK_HEAD_BYTES] {
        let mut bytes = [0; BLOCK_HEAD_BYTES];
        bytes[..4].copy_from_slice(&self.packed.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.unpacked.to_le_bytes());
        bytes[8..].copy_from_slice(&self.sum.to_le_bytes());
        bytes
    }

    /// `None` where no block is so large.
    #[must_use]
    pub fn read(bytes: &[u8; BLOCK_HEAD_BYTES]) -> Option<Self> {
        let mut sum = [0; 8];
        sum.copy_from_slice(&bytes[8..]);
        let head = Self {
            packed: number(bytes, 0),
            unpacked: number(bytes, 4),
            sum: u64::from_le_bytes(sum),
        };
        let sound = |bytes: u32| (bytes as usize) <= BLOCK_BYTES_MAX;
        (sound(head.packed) && sound(head.unpacked)).then_some(head)
    }

    /// Whether these are the block's bytes.
    #[must_use]
    pub fn fits(&self, packed: &[u8]) -> bool {
        packed.len() == self.packed as usize && xxh3_64(packed) == self.sum
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// The low half of the hash.
fn sum(bytes: &[u8]) -> u32 {
    number(&xxh3_64(bytes).to_le_bytes(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_name_and_head() {
        let number = Number {
            run: 12,
            segment: 345,
        };
        assert_eq!(number.file_name(), "000012-000345.journal");
        assert_eq!(Number::of_file(&number.file_name()), Some(number));
        for other in ["12-345.journal", "000012-000345", "a-b.journal", LOCK] {
            assert_eq!(Number::of_file(other), None, "{other}");
        }
        for began in [Began::Run, Began::Later] {
            let at = Timestamp::from_millis(1_767_225_600_123);
            let head = Head { number, at, began };
            assert_eq!(Head::read(&head.bytes()), Ok(head));
        }
    }

    #[test]
    fn a_head_that_is_none_says_why() {
        let head = Head {
            number: Number { run: 1, segment: 0 },
            at: Timestamp::EPOCH,
            began: Began::Run,
        };
        let with = |at: usize, byte: u8| {
            let mut bytes = head.bytes();
            bytes[at] = byte;
            Head::read(&bytes)
        };
        assert_eq!(with(0, b'G'), Err(HeadFault::Foreign));
        assert_eq!(with(8, 77), Err(HeadFault::Format(77)));
        assert_eq!(with(13, 1), Err(HeadFault::Damaged));
    }
}
