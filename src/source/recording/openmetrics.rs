//! `OpenMetrics` text with timestamps, as `promtool tsdb dump-openmetrics` writes it: plain, gzip or zstd, told apart by
//! the first bytes. Each line is validated; what families and groups mean together is not asked, since an export leaves
//! the metadata out. Deliberately absent: which files, and how far reading is.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};

use super::{Recording, SeriesId};
use crate::source::exposition::{Format, Head, Limits, Meta, Refused, excerpt, head, meta, tail};

/// A longer line is no sample.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Faults of one file that are shown.
const FAULTS_MAX: usize = 10;
/// Heads that nothing wants are remembered up to here; later ones are read again each time they come.
const HEADS_MAX: usize = 1 << 16;
const BUFFER_BYTES: usize = 256 << 10;
/// As Prometheus bounds what it takes.
const LIMITS: Limits = Limits {
    samples: usize::MAX,
    labels: 256,
    label_name_bytes: 4 << 10,
    label_value_bytes: 64 << 10,
};

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("it cannot be read")]
    Io(#[source] io::Error),
    #[error("its samples cannot be kept in the folder of temporary files")]
    Spool(#[source] io::Error),
    /// Every fault, up to a few.
    #[error("{}", told(.faults, *.more))]
    Malformed { faults: Vec<LineFault>, more: u64 },
    #[error(
        "it does not end with `# EOF`: it was cut short; where this is all of it, write a last line `# EOF`"
    )]
    NoEnd,
    #[error("there is no sample in it")]
    Nothing,
}

/// A line that is no sample.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}: {excerpt}")]
pub struct LineFault {
    /// From 1.
    pub line: u64,
    pub message: String,
    /// Escaped.
    pub excerpt: String,
}

fn told(faults: &[LineFault], more: u64) -> String {
    let mut lines: Vec<String> = faults.iter().map(LineFault::to_string).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

/// Reads all of `from` into `recording`.
///
/// # Errors
/// The file cannot be read, or is not what it should be; what was read of it is then in the recording all the same.
pub fn read<'f>(from: impl Read + 'f, recording: &mut Recording) -> Result<(), ReadError> {
    let mut from = unpacked(from).map_err(ReadError::Io)?;
    let mut lines = Lines {
        recording,
        heads: HashMap::new(),
        newest: Vec::new(),
        series: None,
        samples: 0,
        ended: false,
    };
    let (mut faults, mut more) = (Vec::new(), 0);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut bounded = Read::take(&mut from, LINE_BYTES_MAX);
        let read = bounded
            .read_until(b'\n', &mut line)
            .map_err(ReadError::Io)?;
        if read == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let message = match lines.take(text) {
            Ok(()) => continue,
            Err(LineError::Spool(error)) => return Err(ReadError::Spool(error)),
            Err(LineError::Wrong(message)) => message,
        };
        if faults.len() < FAULTS_MAX {
            let excerpt = excerpt(text);
            faults.push(LineFault {
                line: number,
                message,
                excerpt,
            });
        } else {
            more += 1;
        }
    }
    match (faults.is_empty(), lines.ended, lines.samples) {
        (false, ..) => Err(ReadError::Malformed { faults, more }),
        (true, _, 0) => Err(ReadError::Nothing),
        (true, false, _) => Err(ReadError::NoEnd),
        (true, true, _) => Ok(()),
    }
}

/// The text, whatever it is packed in.
fn unpacked<'f>(from: impl Read + 'f) -> io::Result<Box<dyn BufRead + 'f>> {
    let mut from = BufReader::with_capacity(BUFFER_BYTES, from);
    let first = from.fill_buf()?;
    let gzip = first.starts_with(&[0x1f, 0x8b]);
    let zstd = first.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    Ok(if gzip {
        let text = flate2::bufread::MultiGzDecoder::new(from);
        Box::new(BufReader::with_capacity(BUFFER_BYTES, text))
    } else if zstd {
        let text = zstd::stream::read::Decoder::with_buffer(from)?;
        Box::new(BufReader::with_capacity(BUFFER_BYTES, text))
    } else {
        Box::new(from)
    })
}

enum LineError {
    Wrong(String),
    Spool(io::Error),
}

impl From<Refused> for LineError {
    fn from(refused: Refused) -> Self {
        Self::Wrong(match refused {
            Refused::Syntax(message) => message.to_owned(),
            Refused::Limit(what) => format!("{what} are too many"),
            Refused::Samples => "too many samples".to_owned(),
        })
    }
}

impl From<&'static str> for LineError {
    fn from(message: &'static str) -> Self {
        Self::Wrong(message.to_owned())
    }
}

struct Lines<'r> {
    recording: &'r mut Recording,
    /// Heads as they are written.
    heads: HashMap<Box<[u8]>, Option<SeriesId>>,
    /// The head of the last sample: an export gives series after series.
    newest: Vec<u8>,
    series: Option<SeriesId>,
    samples: u64,
    ended: bool,
}

impl Lines<'_> {
    fn take(&mut self, line: &[u8]) -> Result<(), LineError> {
        if let Some(rest) = line.strip_prefix(&self.newest[..])
            && !self.newest.is_empty()
            && rest.first() == Some(&b' ')
        {
            return self.sample(rest);
        }
        let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
        if text.starts_with('#') {
            self.ended = meta(text, Format::OpenMetrics)? == Meta::Eof;
            return Ok(());
        }
        let mut parts = Head::default();
        let end = head(text, Format::OpenMetrics, &LIMITS, &mut parts)?;
        let (start, rest) = line.split_at(end);
        let known = self.heads.get(start).copied();
        let series = known.unwrap_or_else(|| {
            let series = self.recording.series(parts.series());
            if series.is_some() || self.heads.len() < HEADS_MAX {
                self.heads.insert(start.into(), series);
            }
            series
        });
        self.series = series;
        self.newest.clear();
        self.newest.extend_from_slice(start);
        self.sample(rest)
    }

    fn sample(&mut self, rest: &[u8]) -> Result<(), LineError> {
        let rest = std::str::from_utf8(rest).map_err(|_| "it is not UTF-8")?;
        let tail = tail(rest, true, Format::OpenMetrics)?;
        let at = tail
            .stamp
            .ok_or("expected a timestamp in seconds after the value: a recording says when")?;
        self.ended = false;
        self.samples += 1;
        match self.series {
            None => self.recording.skip(),
            Some(series) => {
                let pushed = self.recording.push(series, at, tail.value);
                pushed.map_err(LineError::Spool)?;
            }
        }
        Ok(())
    }
}
