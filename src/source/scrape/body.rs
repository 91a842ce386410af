//! A page's bytes: received and decoded as a stream into one reused buffer, within bounds on what comes out.

use std::sync::{Arc, Mutex, PoisonError};

use flate2::{Decompress, FlushDecompress, Status};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zstd::stream::raw::{DParameter, Operation};

use super::fault::fault;
use crate::engine::{ScrapeError, ScrapeFault};

/// What buffers grow by at least, and the unit of [`Memory`].
const STEP: usize = 64 << 10;
/// Spare buffers keep this many bytes together at most.
const SPARE_BYTES_MAX: usize = 32 << 20;
/// HTTP's bound on zstd windows is 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// zlib's 15 bits: a window of 32 KiB.
const GZIP_WINDOW_BITS: u8 = 15;

/// The memory of all pages under way: a bound on their sum, and buffers for the next ones.
#[derive(Debug)]
pub(super) struct Memory {
    steps: Arc<Semaphore>,
    steps_max: usize,
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Memory {
    pub(super) fn new(bytes_max: usize) -> Self {
        let steps_max = (bytes_max / STEP).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            steps: Arc::new(Semaphore::new(steps_max)),
            steps_max,
            spare: Mutex::default(),
        }
    }

    fn take(&self) -> Vec<u8> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.pop().unwrap_or_default()
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = spare.iter().map(Vec::capacity).sum();
        if buffer.capacity() > 0 && kept + buffer.capacity() <= SPARE_BYTES_MAX {
            spare.push(buffer);
        }
    }
}

/// How a body is encoded.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

enum Decoder {
    Identity,
    Gzip(Decompress),
    Zstd(zstd::stream::raw::Decoder<'static>),
}

/// One page under way. Its buffer goes back when it is dropped.
pub(super) struct Body {
    memory: Arc<Memory>,
    held: Option<OwnedSemaphorePermit>,
    /// As long as it may be filled; `filled` bytes of it are the page.
    buffer: Vec<u8>,
    filled: usize,
    limit: usize,
    decoder: Decoder,
    /// Within a gzip member or a zstd frame, or before the first: the end of the input would come too early.
    unfinished: bool,
    wire_bytes: usize,
}

/// What one step of decoding did.
struct Step {
    read: usize,
    wrote: usize,
}

impl Body {
    /// A page of at most `limit` decoded bytes.
    pub(super) fn new(
        memory: &Arc<Memory>,
        limit: usize,
        encoding: Encoding,
    ) -> Result<Self, ScrapeError> {
        let decoder = match encoding {
            Encoding::Identity => Decoder::Identity,
            Encoding::Gzip => Decoder::Gzip(Decompress::new_gzip(GZIP_WINDOW_BITS)),
            Encoding::Zstd => {
                let undecoded =
                    |error: std::io::Error| fault(ScrapeFault::Encoding, error.to_string());
                let mut decoder = zstd::stream::raw::Decoder::new().map_err(undecoded)?;
                decoder
                    .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))
                    .map_err(undecoded)?;
                Decoder::Zstd(decoder)
            }
        };
        Ok(Self {
            memory: Arc::clone(memory),
            held: None,
            buffer: Vec::new(),
            filled: 0,
            limit,
            decoder,
            unfinished: encoding != Encoding::Identity,
            wire_bytes: 0,
        })
    }

    /// Takes a piece as it came. Waits while other pages hold all the memory there is.
    pub(super) async fn feed(&mut self, mut piece: &[u8]) -> Result<(), ScrapeError> {
        self.wire_bytes = self.wire_bytes.saturating_add(piece.len());
        if self.wire_bytes > self.limit {
            return Err(self.too_large());
        }
        // A decoder may hold back output that did not fit: it is done when it neither reads nor writes.
        loop {
            if self.filled == self.buffer.len() {
                self.grow().await?;
            }
            let step = self.step(piece)?;
            piece = &piece[step.read..];
            self.filled += step.wrote;
            if self.filled > self.limit {
                return Err(self.too_large());
            }
            let full = self.filled == self.buffer.len();
            if piece.is_empty() && !full {
                return Ok(());
            }
            if step.read == 0 && step.wrote == 0 && !full {
                return Err(fault(
                    ScrapeFault::Encoding,
                    "the encoded body does not go on",
                ));
            }
            if piece.is_empty() && matches!(self.decoder, Decoder::Identity) {
                return Ok(());
            }
        }
    }

    /// The whole page.
    pub(super) fn finish(&self) -> Result<&[u8], ScrapeError> {
        if self.unfinished {
            return Err(fault(
                ScrapeFault::Encoding,
                "the encoded body ends too early",
            ));
        }
        Ok(self.bytes())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// One byte over the limit is room enough to see that a page is over it.
    async fn grow(&mut self) -> Result<(), ScrapeError> {
        if self.buffer.is_empty() {
            self.buffer = self.memory.take();
            self.buffer.truncate(self.limit.saturating_add(1));
        }
        let mut len = self.buffer.len();
        if len == self.filled {
            len = (len * 2).max(STEP).min(self.limit.saturating_add(1));
        }
        self.hold(len.div_ceil(STEP)).await?;
        // Exactly: what a growing vector takes in advance would not be counted.
        self.buffer.reserve_exact(len - self.buffer.len());
        self.buffer.resize(len, 0);
        Ok(())
    }

    async fn hold(&mut self, steps: usize) -> Result<(), ScrapeError> {
        let held = self
            .held
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        if steps > self.memory.steps_max {
            return Err(self.too_large());
        }
        let more = u32::try_from(steps.saturating_sub(held)).unwrap_or(u32::MAX);
        let all = Arc::clone(&self.memory.steps);
        let more = all
            .acquire_many_owned(more)
            .await
            .expect("the semaphore is never closed");
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }

    fn step(&mut self, piece: &[u8]) -> Result<Step, ScrapeError> {
        let room = &mut self.buffer[self.filled..];
        match &mut self.decoder {
            Decoder::Identity => {
                let bytes = piece.len().min(room.len());
                room[..bytes].copy_from_slice(&piece[..bytes]);
                Ok(Step {
                    read: bytes,
                    wrote: bytes,
                })
            }
            Decoder::Gzip(gzip) => {
                let (read, wrote) = (gzip.total_in(), gzip.total_out());
                if !self.unfinished {
                    if piece.is_empty() {
                        return Ok(Step { read: 0, wrote: 0 });
                    }
                    // Another member: a gzip file may be several, one after the other.
                    *gzip = Decompress::new_gzip(GZIP_WINDOW_BITS);
                    self.unfinished = true;
                    return self.step(piece);
                }
                let status = gzip
                    .decompress(piece, room, FlushDecompress::None)
                    .map_err(|error| fault(ScrapeFault::Encoding, format!("gzip: {error}")))?;
                self.unfinished = status != Status::StreamEnd;
                Ok(Step {
                    read: difference(gzip.total_in(), read),
                    wrote: difference(gzip.total_out(), wrote),
                })
            }
            Decoder::Zstd(zstd) => {
                if !self.unfinished && piece.is_empty() {
                    return Ok(Step { read: 0, wrote: 0 });
                }
                let status = zstd
                    .run_on_buffers(piece, room)
                    .map_err(|error| fault(ScrapeFault::Encoding, format!("zstd: {error}")))?;
                self.unfinished = status.remaining != 0;
                Ok(Step {
                    read: status.bytes_read,
                    wrote: status.bytes_written,
                })
            }
        }
    }

    fn too_large(&self) -> ScrapeError {
        let limit = self.limit.min(self.memory.steps_max.saturating_mul(STEP));
        fault(
            ScrapeFault::BodyTooLarge,
            format!("the page has more than {limit} bytes"),
        )
    }
}

/// One step's part of a counter over the whole stream; bounded by the buffers' lengths.
fn difference(after: u64, before: u64) -> usize {
    usize::try_from(after - before).expect("no more than a buffer holds")
}

impl Drop for Body {
    fn drop(&mut self) {
        self.memory.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn bomb(encoding: Encoding) -> Vec<u8> {
        use std::io::Write as _;
        let zeros = vec![0; 8 << 20];
        if encoding == Encoding::Zstd {
            return zstd::encode_all(zeros.as_slice(), 1).expect("memory is written to");
        }
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&zeros).expect("memory is written to");
        gzip.finish().expect("memory is written to")
    }

    #[tokio::test]
    async fn s6_a_bomb_takes_no_more_memory_than_its_limit() {
        let memory = Arc::new(Memory::new(64 << 20));
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let limit = 300_000;
            let mut body = Body::new(&memory, limit, encoding).unwrap();
            let error = body.feed(&bomb(encoding)).await.unwrap_err();
            assert_eq!(error.fault, ScrapeFault::BodyTooLarge);
            assert!(
                body.buffer.capacity() <= limit + STEP,
                "{}",
                body.buffer.capacity()
            );
        }
        assert_eq!(memory.steps.available_permits(), memory.steps_max);
    }

    /// As a stream comes: in pieces of any size, each byte by itself too.
    #[tokio::test]
    async fn pieces_do_not_matter() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let zstd = zstd::encode_all(text.as_slice(), 1).unwrap();
        let memory = Arc::new(Memory::new(64 << 20));
        for (encoding, bytes, sizes) in [
            (Encoding::Identity, &text, [7, 1000, usize::MAX]),
            (Encoding::Zstd, &zstd, [1, 1000, usize::MAX]),
        ] {
            for size in sizes {
                let mut body = Body::new(&memory, text.len(), encoding).unwrap();
                for piece in bytes.chunks(size) {
                    body.feed(piece).await.unwrap();
                }
                assert!(body.finish().unwrap() == text, "{encoding:?} {size}");
            }
        }
    }

    #[tokio::test]
    async fn pages_under_way_share_one_bound() {
        let memory = Arc::new(Memory::new(2 * STEP));
        let mut first = Body::new(&memory, 1 << 20, Encoding::Identity).unwrap();
        first.feed(&vec![b'x'; 2 * STEP - 1]).await.unwrap();
        let mut second = Body::new(&memory, 1 << 20, Encoding::Identity).unwrap();
        {
            let feed = second.feed(b"x");
            tokio::pin!(feed);
            assert!((&mut feed).now_or_never().is_none());
            drop(first);
            feed.await.unwrap();
        }
        drop(second);
        // What no wait could make room for fails at once.
        let mut huge = Body::new(&memory, 1 << 20, Encoding::Identity).unwrap();
        let error = huge.feed(&vec![b'x'; 3 * STEP]).await.unwrap_err();
        assert_eq!(error.fault, ScrapeFault::BodyTooLarge);
    }
}
