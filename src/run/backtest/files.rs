//! Reads the files of a recording, with a bar on a terminal.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::run::bar::Bar;
use crate::source::recording::Recording;
use crate::source::recording::openmetrics::{self, ReadError};

/// Reads every file and sorts what came of them.
///
/// # Errors
/// Every file that cannot be read, with its faults.
pub fn read(paths: &[PathBuf], recording: &mut Recording) -> Result<(), String> {
    let (mut faults, mut other) = (Vec::new(), false);
    for path in paths {
        if let Err(error) = read_one(path, recording) {
            let name = path.display();
            match error {
                // A line each, so that an editor can jump there.
                ReadError::Malformed {
                    faults: lines,
                    more,
                } => {
                    other = true;
                    let lines = lines.iter().map(|it| {
                        format!("error: {name}:{}: {}: {}", it.line, it.message, it.excerpt)
                    });
                    faults.extend(lines);
                    if more > 0 {
                        faults.push(format!("error: {name}: and {more} lines more"));
                    }
                }
                other => faults.push(format!("error: {name}: {}", crate::run::chain(&other))),
            }
        }
    }
    if !faults.is_empty() {
        let help = "OpenMetrics text with timestamps is expected, as `promtool tsdb dump-openmetrics` writes it";
        if other {
            faults.push(format!("  help: {help}"));
        }
        return Err(faults.join("\n"));
    }
    let sorted = recording.sort();
    sorted.map_err(|error| format!("the recorded samples cannot be put in order: {error}"))
}

fn read_one(path: &Path, recording: &mut Recording) -> Result<(), ReadError> {
    if path == Path::new("-") {
        return openmetrics::read(io::stdin().lock(), recording);
    }
    let file = File::open(path).map_err(ReadError::Io)?;
    let bytes = file.metadata().map_or(0, |it| it.len());
    let bar = Bar::new(&format!("reading {}", path.display()));
    let counted = Counted {
        file,
        read: 0,
        bytes,
        bar,
    };
    openmetrics::read(counted, recording)
}

/// Draws a bar while it is read.
struct Counted {
    file: File,
    read: u64,
    bytes: u64,
    bar: Bar,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read += read as u64;
        #[allow(clippy::cast_precision_loss, reason = "a share for people")]
        let share = self.read as f64 / self.bytes.max(1) as f64;
        self.bar.show(share);
        Ok(read)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.bar.clear();
    }
}
