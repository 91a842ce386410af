//! One segment's file while it is written: a head, then block after block, each of them flushed to the system. What could not
//! be written whole is cut off again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder;

use crate::journal::segment::{BlockHead, Head, WINDOW_LOG};
use crate::model::Timestamp;

/// zstd's own middle.
const LEVEL: i32 = 3;

pub(super) struct Segment {
    pub path: PathBuf,
    /// Of its opening.
    pub at: Timestamp,
    /// Of its last entry.
    pub last: Timestamp,
    /// Of the file.
    pub bytes: u64,
    /// Of the file before the first entry.
    pub opening_bytes: u64,
    file: File,
    packer: Encoder<'static, Vec<u8>>,
}

impl Segment {
    /// A new file; one that is there already is somebody else's.
    pub fn create(path: &Path, head: &Head) -> io::Result<Self> {
        let mut packer = Encoder::new(Vec::new(), LEVEL)?;
        packer.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let bytes = head.bytes();
        if let Err(error) = file.write_all(&bytes) {
            // Nothing can be read of it.
            let _ = std::fs::remove_file(path);
            return Err(error);
        }
        Ok(Self {
            path: path.to_owned(),
            at: head.at,
            last: head.at,
            bytes: bytes.len() as u64,
            opening_bytes: 0,
            file,
            packer,
        })
    }

    /// Writes whole entries, the last of them stamped so.
    pub fn block(&mut self, entries: &[u8], last: Timestamp) -> io::Result<()> {
        self.packer.write_all(entries)?;
        self.packer.flush()?;
        let packed = std::mem::take(self.packer.get_mut());
        let head = BlockHead::of(&packed, entries.len());
        let head = head.ok_or_else(|| io::Error::other("a block is too large"))?;
        let head = head.bytes();
        let written = self
            .file
            .write_all(&head)
            .and_then(|()| self.file.write_all(&packed));
        if let Err(error) = written {
            // Half a block would be taken for damage.
            let _ = self.file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes += (head.len() + packed.len()) as u64;
        self.last = last;
        Ok(())
    }
}
