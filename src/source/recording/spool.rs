//! Many samples of many series, 16 bytes each, written once and read series by series: in memory up to a bound, in an
//! unnamed file past it. Deliberately absent: which series they belong to.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A moment in milliseconds since the epoch, and a value.
pub type Sample = (i64, f64);

/// Samples of one block: 1 MiB.
const BLOCK: usize = 1 << 16;
const SAMPLE_BYTES: usize = 16;

/// Samples by number, in the order in which they came.
#[derive(Debug)]
pub struct Spool {
    /// Whole blocks, the first ones.
    blocks: Vec<Box<[Sample]>>,
    /// Whole blocks kept in memory at most.
    blocks_max: usize,
    /// Whole blocks in the file.
    spilled: usize,
    file: Option<File>,
    /// The block being filled.
    filling: Vec<Sample>,
}

impl Spool {
    /// With at most so many bytes in memory, rounded down to whole blocks, and one block more.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            blocks: Vec::new(),
            blocks_max: bytes_max / (BLOCK * SAMPLE_BYTES),
            spilled: 0,
            file: None,
            filling: Vec::new(),
        }
    }

    /// How many samples there are: the number of the next one.
    #[must_use]
    pub fn len(&self) -> u64 {
        let whole = self.blocks.len() + self.spilled;
        (whole * BLOCK + self.filling.len()) as u64
    }

    /// Bytes in the file.
    #[must_use]
    pub fn spilled_bytes(&self) -> u64 {
        (self.spilled * BLOCK * SAMPLE_BYTES) as u64
    }

    /// # Errors
    /// The file cannot be made or written: no space is left in the folder of temporary files.
    pub fn push(&mut self, samples: &[Sample]) -> io::Result<()> {
        let mut samples = samples;
        while !samples.is_empty() {
            if self.filling.capacity() == 0 {
                // A small recording is far from a whole block.
                self.filling.reserve_exact(samples.len().min(BLOCK));
            }
            let take = samples.len().min(BLOCK - self.filling.len());
            self.filling.extend_from_slice(&samples[..take]);
            samples = &samples[take..];
            if self.filling.len() == BLOCK {
                self.settle()?;
            }
        }
        Ok(())
    }

    fn settle(&mut self) -> io::Result<()> {
        if self.spilled == 0 && self.blocks.len() < self.blocks_max {
            let next = Vec::with_capacity(BLOCK);
            let full = std::mem::replace(&mut self.filling, next);
            self.blocks.push(full.into_boxed_slice());
            return Ok(());
        }
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile()?);
        }
        let file = self.file.as_ref().expect("it was just made");
        let mut bytes = Vec::with_capacity(BLOCK * SAMPLE_BYTES);
        for (at, value) in &self.filling {
            bytes.extend_from_slice(&at.to_le_bytes());
            bytes.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        file.write_all_at(&bytes, self.spilled_bytes())?;
        self.spilled += 1;
        self.filling.clear();
        Ok(())
    }

    /// Appends the samples numbered `from`, and the next ones up to `count`, to `out`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self, from: u64, count: usize, out: &mut Vec<Sample>) -> io::Result<()> {
        let mut at = usize::try_from(from).map_err(io::Error::other)?;
        let mut left = count;
        while left > 0 {
            let (block, place) = (at / BLOCK, at % BLOCK);
            let take = left.min(BLOCK - place);
            if let Some(block) = self.blocks.get(block) {
                out.extend_from_slice(&block[place..place + take]);
            } else if block < self.blocks.len() + self.spilled {
                self.read_file(at - self.blocks.len() * BLOCK, take, out)?;
            } else {
                out.extend_from_slice(&self.filling[place..place + take]);
            }
            at += take;
            left -= take;
        }
        Ok(())
    }

    fn read_file(&self, place: usize, count: usize, out: &mut Vec<Sample>) -> io::Result<()> {
        let file = self.file.as_ref().expect("something was spilled");
        let mut bytes = vec![0; count * SAMPLE_BYTES];
        file.read_exact_at(&mut bytes, (place * SAMPLE_BYTES) as u64)?;
        let (samples, _) = bytes.as_chunks::<SAMPLE_BYTES>();
        out.extend(samples.iter().map(|bytes| {
            let (at, value) = bytes.split_at(SAMPLE_BYTES / 2);
            let word = |half: &[u8]| u64::from_le_bytes(half.try_into().expect("eight bytes"));
            (word(at).cast_signed(), f64::from_bits(word(value)))
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_is_read_again_from_memory_and_from_the_file() {
        let value = |n: u64| {
            let value = if n.is_multiple_of(7) {
                f64::NAN
            } else {
                f64::from(u32::try_from(n).unwrap())
            };
            (n.cast_signed() - 5, value)
        };
        for blocks_in_memory in [0, 1, 9] {
            let mut spool = Spool::new(blocks_in_memory * BLOCK * SAMPLE_BYTES);
            let total = 3 * BLOCK as u64 + 100;
            let all: Vec<Sample> = (0..total).map(value).collect();
            for part in all.chunks(1000) {
                spool.push(part).unwrap();
            }
            assert_eq!(spool.len(), total);
            let spilled = (3 - blocks_in_memory.min(3)) * BLOCK * SAMPLE_BYTES;
            assert_eq!(spool.spilled_bytes(), spilled as u64);
            let block = BLOCK as u64;
            for (from, count) in [
                (0, 3),
                (block - 1, 2),
                (block - 7, 2 * BLOCK + 20),
                (total - 5, 5),
            ] {
                let mut out = vec![(1, 1.0)];
                spool.read(from, count, &mut out).unwrap();
                let bits = |it: &[Sample]| -> Vec<(i64, u64)> {
                    it.iter()
                        .map(|(at, value)| (*at, value.to_bits()))
                        .collect()
                };
                let from = usize::try_from(from).unwrap();
                assert_eq!(bits(&out[1..]), bits(&all[from..from + count]));
            }
        }
    }
}
