//! One segment's file, read block after block. No length is believed before it is looked at, and a block is unpacked up to the
//! size that it says, and no further.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use zstd::stream::write::Decoder as Unpacker;

use super::zone;
use crate::engine::Input;
use crate::journal::segment::{
    BLOCK_HEAD_BYTES, BlockHead, HEAD_BYTES, Head, HeadFault, Number, WINDOW_LOG,
};
use crate::journal::{Decoder, Entry, Opening};

pub(super) struct Segment {
    path: PathBuf,
    number: Number,
    file: BufReader<File>,
    unpacker: Unpacker<'static, Bounded>,
    decoder: Decoder<'static>,
    block: Vec<u8>,
    /// How far the block has been read.
    read: usize,
    /// Where it begins in the file, and where it ends.
    at: u64,
    end: u64,
}

/// Why nothing more follows.
#[derive(Debug)]
pub(super) enum Ended {
    /// The file ends, and its last entry is no end. So many bytes of half a block follow.
    Open { torn: u64 },
    /// It cannot be read from this byte on.
    Damaged { at: u64, why: String },
}

impl Ended {
    /// Whether more may be written.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

/// How a file begins.
pub(super) fn head(path: &Path) -> Result<Head, Ended> {
    let mut file = File::open(path).map_err(|error| damaged(0, &error))?;
    read_head(&mut file)
}

fn read_head(file: &mut impl Read) -> Result<Head, Ended> {
    let mut bytes = [0; HEAD_BYTES];
    let read = fill(file, &mut bytes).map_err(|error| damaged(0, &error))?;
    if read < HEAD_BYTES {
        return Err(Ended::Open { torn: read as u64 });
    }
    Head::read(&bytes).map_err(|fault: HeadFault| damaged(0, &fault))
}

fn damaged(at: u64, why: &dyn std::error::Error) -> Ended {
    let why = why.to_string();
    Ended::Damaged { at, why }
}

impl Segment {
    /// The file of this name and number.
    pub fn open(path: &Path, number: Number) -> Result<Self, Ended> {
        let file = File::open(path).map_err(|error| damaged(0, &error))?;
        let mut file = BufReader::new(file);
        let head = read_head(&mut file)?;
        if head.number != number {
            return Err(Ended::Damaged {
                at: 0,
                why: format!("it is {} under another name", head.number.file_name()),
            });
        }
        let mut unpacker = Unpacker::new(Bounded::default()).map_err(|error| damaged(0, &error))?;
        let window = unpacker.window_log_max(WINDOW_LOG);
        window.map_err(|error| damaged(0, &error))?;
        Ok(Self {
            path: path.to_owned(),
            number,
            file,
            unpacker,
            decoder: Decoder::new(&zone),
            block: Vec::new(),
            read: 0,
            at: HEAD_BYTES as u64,
            end: HEAD_BYTES as u64,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub const fn number(&self) -> Number {
        self.number
    }

    /// Its first entry.
    pub fn opening(&mut self) -> Result<Box<Opening>, Ended> {
        match self.next()? {
            Entry::Opened(opening) => Ok(opening),
            Entry::Input { .. } | Entry::Woke(_) | Entry::Closed { .. } => {
                unreachable!("the decoder gives no other entry first")
            }
        }
    }

    /// See [`Decoder::start_over`].
    pub fn start_over(&mut self, opening: &Opening) -> Vec<Input> {
        self.decoder.start_over(opening)
    }

    pub fn next(&mut self) -> Result<Entry, Ended> {
        while self.read == self.block.len() {
            self.next_block()?;
        }
        let entry = self.decoder.entry(&self.block[self.read..]);
        let (entry, bytes) = entry.map_err(|fault| damaged(self.at, &fault))?;
        self.read += bytes;
        Ok(entry)
    }

    fn next_block(&mut self) -> Result<(), Ended> {
        self.at = self.end;
        let io = |error: io::Error| damaged(self.at, &error);
        let mut head = [0; BLOCK_HEAD_BYTES];
        let read = fill(&mut self.file, &mut head).map_err(io)?;
        if read < BLOCK_HEAD_BYTES {
            return Err(Ended::Open { torn: read as u64 });
        }
        let broken = |why: &str| Ended::Damaged {
            at: self.at,
            why: why.to_owned(),
        };
        let head = BlockHead::read(&head).ok_or_else(|| broken("a block of no possible size"))?;
        let mut packed = Vec::new();
        let mut file = self.file.by_ref().take(u64::from(head.packed));
        let read = file.read_to_end(&mut packed).map_err(io)?;
        if read < head.packed as usize {
            let torn = (BLOCK_HEAD_BYTES + read) as u64;
            return Err(Ended::Open { torn });
        }
        if !head.fits(&packed) {
            return Err(broken("the block is not what was written"));
        }
        self.unpacker.get_mut().most = head.unpacked as usize;
        let unpacked = self.unpacker.write_all(&packed);
        let unpacked = unpacked.and_then(|()| self.unpacker.flush());
        unpacked.map_err(|error| damaged(self.at, &error))?;
        self.block = std::mem::take(&mut self.unpacker.get_mut().bytes);
        self.read = 0;
        if self.block.len() != head.unpacked as usize {
            return Err(Ended::Damaged {
                at: self.at,
                why: "the block unpacks to another size than it says".to_owned(),
            });
        }
        self.end += (BLOCK_HEAD_BYTES + packed.len()) as u64;
        Ok(())
    }
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment")
            .field("path", &self.path)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// As many bytes as there are, up to all that fit.
fn fill(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match from.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// What a block unpacks to, up to so many bytes.
#[derive(Debug, Default)]
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(io::Error::other("the block unpacks to more than it says"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
