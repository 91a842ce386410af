//! Series as they were recorded, from files or from another server: collected series after series, put in order, and
//! played back page by page as if they were scraped now. Deliberately absent: where they come from.

mod cursor;
mod cycle;
mod pages;
mod spool;
#[cfg(test)]
mod tests;

pub mod openmetrics;

use std::collections::{BTreeSet, HashMap};
use std::io;

use self::spool::{Sample, Spool};
use crate::engine::Interest;
use crate::model::labels::{ABOUT_THE_SCRAPE, ALERT_SERIES};
use crate::model::{Labels, Timestamp};

pub use pages::Pages;

/// Samples kept in memory, in bytes; the rest goes to a temporary file.
pub const MEMORY_BYTES: usize = 256 << 20;
/// Samples of a series that wait before they are spooled together.
const TAIL: usize = 64;

/// What was read, and what was not as it should be.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Samples read, wanted or not.
    pub read: u64,
    /// Of these, samples that the rules want.
    pub kept: u64,
    /// Samples of a series and moment that came before already; the first counts.
    pub duplicates: u64,
    /// Samples older than one of their series that came before; sorted in.
    pub late: u64,
    /// Series kept.
    pub series: usize,
}

/// The number of a kept series.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SeriesId(u32);

/// Samples of the series that anything wants. First everything is pushed, then [`Recording::sort`], then it is played
/// as often as anybody likes.
#[derive(Debug)]
pub struct Recording {
    readers: Vec<Reads>,
    series: Vec<Series>,
    known: HashMap<Labels, SeriesId>,
    spool: Spool,
    tally: Tally,
    /// One source may give a sample several times, and that is no fault of it.
    overlapping: bool,
    /// Samples outside are not kept.
    from: i64,
    until: i64,
}

/// One series: where its samples are.
#[derive(Debug)]
struct Series {
    labels: Labels,
    /// Numbers of its first sample and how many follow each other, oldest first once sorted.
    runs: Vec<(u64, u32)>,
    tail: Vec<Sample>,
    newest: i64,
    sorted: bool,
}

/// What one set of rules takes of a recording.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    pub interest: Interest,
    /// Names of its recording rules: it writes their series itself.
    pub written: Vec<String>,
    /// Names of its alerting rules: it raises these alerts itself.
    pub raised: Vec<String>,
}

impl Reads {
    fn takes(&self, labels: &Labels) -> bool {
        let name = labels.name();
        let raised = || {
            let alert = labels.get("alertname").unwrap_or_default();
            ALERT_SERIES.contains(&name) && self.raised.iter().any(|it| it == alert)
        };
        self.interest.span(labels).is_some()
            && !self.written.iter().any(|it| it == name)
            && !raised()
    }
}

impl Recording {
    /// Keeps what any of `readers` takes. `memory`: bytes of samples that stay in memory.
    #[must_use]
    pub fn new(readers: Vec<Reads>, memory: usize) -> Self {
        Self {
            readers,
            series: Vec::new(),
            known: HashMap::new(),
            spool: Spool::new(memory),
            tally: Tally::default(),
            overlapping: false,
            from: i64::MIN,
            until: i64::MAX,
        }
    }

    /// Of a source that is asked by several questions, whose answers overlap: repeats are not told of.
    #[must_use]
    pub fn overlapping(mut self) -> Self {
        self.overlapping = true;
        self
    }

    /// Keeps what lies between these moments alone.
    #[must_use]
    pub fn between(mut self, from: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        self.from = from.map_or(i64::MIN, Timestamp::millis);
        self.until = until.map_or(i64::MAX, Timestamp::millis);
        self
    }

    /// The series with these labels; `None` where nothing wants it.
    pub fn series(&mut self, labels: Labels) -> Option<SeriesId> {
        if let Some(known) = self.known.get(&labels) {
            return Some(*known);
        }
        let id = self.wants(&labels).then(|| {
            let id = u32::try_from(self.series.len()).expect("fewer series than 2^32");
            self.series.push(Series {
                labels: labels.clone(),
                runs: Vec::new(),
                tail: Vec::new(),
                newest: i64::MIN,
                sorted: true,
            });
            SeriesId(id)
        });
        if let Some(id) = id {
            self.known.insert(labels, id);
        }
        id
    }

    fn wants(&self, labels: &Labels) -> bool {
        ABOUT_THE_SCRAPE.contains(&labels.name()) || self.is_read(labels)
    }

    /// A sample that nothing wants was read.
    pub fn skip(&mut self) {
        self.tally.read += 1;
    }

    /// A sample of a series: `at` in milliseconds since the epoch, in whatever order.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn push(&mut self, id: SeriesId, at: i64, value: f64) -> io::Result<()> {
        self.tally.read += 1;
        if at < self.from || at > self.until {
            return Ok(());
        }
        let series = &mut self.series[id.0 as usize];
        if at > series.newest {
            series.newest = at;
        } else if at == series.newest && series.sorted {
            self.tally.duplicates += 1;
            return Ok(());
        } else {
            series.sorted = false;
        }
        series.tail.push((at, value));
        if series.tail.len() == TAIL {
            series.spool(&mut self.spool)?;
        }
        Ok(())
    }

    /// What selects whether the targets of the kept series were up; `None` where none of them has a job.
    #[must_use]
    pub fn ups(&self) -> Option<String> {
        let jobs = self.series.iter().filter_map(|it| it.labels.get("job"));
        let jobs: BTreeSet<String> = jobs.map(regex::escape).collect();
        let jobs = Vec::from_iter(jobs).join("|");
        (!jobs.is_empty()).then(|| format!("up{{job=~{jobs:?}}}"))
    }

    /// Puts the samples of each series in order, once all are there.
    ///
    /// # Errors
    /// The temporary file cannot be read or written.
    pub fn sort(&mut self) -> io::Result<()> {
        self.known = HashMap::new();
        let mut samples = Vec::new();
        self.tally.kept = 0;
        for series in &mut self.series {
            series.spool(&mut self.spool)?;
            series.tail = Vec::new();
            if !std::mem::replace(&mut series.sorted, true) {
                samples.clear();
                for (from, count) in &series.runs {
                    self.spool.read(*from, *count as usize, &mut samples)?;
                }
                let (late, duplicates) = in_order(&mut samples);
                self.tally.late += late;
                self.tally.duplicates += duplicates;
                series.runs.clear();
                series.add(&samples, &mut self.spool)?;
            }
            series.runs.shrink_to_fit();
            let kept: u64 = series.runs.iter().map(|run| u64::from(run.1)).sum();
            self.tally.kept += kept;
        }
        self.tally.series = self.series.len();
        Ok(())
    }

    #[must_use]
    pub fn tally(&self) -> Tally {
        let repeats = !self.overlapping;
        Tally {
            duplicates: self.tally.duplicates * u64::from(repeats),
            late: self.tally.late * u64::from(repeats),
            ..self.tally
        }
    }

    /// The first and the last moment of a sorted recording, as far as rules read it or it says whether the targets of
    /// what they read answered; `None` where they read nothing.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn span(&self) -> io::Result<Option<(Timestamp, Timestamp)>> {
        let mut span: Option<(i64, i64)> = None;
        let read = self.ids().filter(|id| self.is_read(self.labels(*id)));
        let read: Vec<SeriesId> = read.collect();
        let targets: BTreeSet<Labels> = read.iter().map(|id| target(self.labels(*id))).collect();
        let about = self.ids().filter(|id| {
            let labels = self.labels(*id);
            ABOUT_THE_SCRAPE.contains(&labels.name()) && targets.contains(&target(labels))
        });
        for id in read.iter().copied().chain(about) {
            let first = self.sample(id, 0)?;
            let last = self.sample(id, self.len(id).wrapping_sub(1))?;
            if let (Some((first, _)), Some((last, _))) = (first, last) {
                let (from, until) = span.unwrap_or((first, last));
                span = Some((from.min(first), until.max(last)));
            }
        }
        let moment = Timestamp::from_millis;
        Ok(span.map(|(from, until)| (moment(from), moment(until))))
    }

    /// The sample numbered `place` of a sorted series.
    fn sample(&self, series: SeriesId, place: usize) -> io::Result<Option<Sample>> {
        let mut place = place;
        for (from, count) in &self.series[series.0 as usize].runs {
            if place < *count as usize {
                let mut out = Vec::with_capacity(1);
                self.spool.read(from + place as u64, 1, &mut out)?;
                return Ok(out.pop());
            }
            place -= *count as usize;
        }
        Ok(None)
    }

    /// How many samples a sorted series has.
    fn len(&self, series: SeriesId) -> usize {
        let runs = self.series[series.0 as usize].runs.iter();
        runs.map(|(_, count)| *count as usize).sum()
    }

    fn labels(&self, series: SeriesId) -> &Labels {
        &self.series[series.0 as usize].labels
    }

    /// Whether a rule wants it, and not only playing it back.
    fn is_read(&self, labels: &Labels) -> bool {
        self.readers.iter().any(|it| it.takes(labels))
    }

    fn ids(&self) -> impl Iterator<Item = SeriesId> + use<> {
        let count = u32::try_from(self.series.len()).expect("fewer series than 2^32");
        (0..count).map(SeriesId)
    }
}

impl Series {
    /// Spools what waits.
    fn spool(&mut self, spool: &mut Spool) -> io::Result<()> {
        let tail = std::mem::take(&mut self.tail);
        let spooled = self.add(&tail, spool);
        self.tail = tail;
        self.tail.clear();
        spooled
    }

    fn add(&mut self, samples: &[Sample], spool: &mut Spool) -> io::Result<()> {
        for part in samples.chunks(1 << 30) {
            let count = u32::try_from(part.len()).expect("less than 2^30");
            let from = spool.len();
            spool.push(part)?;
            match self.runs.last_mut() {
                Some(last) if last.0 + u64::from(last.1) == from && last.1 < 1 << 30 => {
                    last.1 += count;
                }
                _ => self.runs.push((from, count)),
            }
        }
        Ok(())
    }
}

/// The labels that a target gives to each of its series.
fn target(labels: &Labels) -> Labels {
    labels.filter(|name| name == "job" || name == "instance")
}

/// Sorts by time, the first of each moment alone, and gives how many came late and how many were repeats.
fn in_order(samples: &mut Vec<Sample>) -> (u64, u64) {
    let mut newest = i64::MIN;
    let mut marked: Vec<(Sample, bool)> = Vec::with_capacity(samples.len());
    for sample in samples.iter() {
        marked.push((*sample, sample.0 < newest));
        newest = newest.max(sample.0);
    }
    marked.sort_by_key(|((at, _), _)| *at);
    marked.dedup_by_key(|((at, _), _)| *at);
    let late = marked.iter().filter(|(_, late)| *late).count();
    let duplicates = samples.len() - marked.len();
    samples.clear();
    samples.extend(marked.into_iter().map(|(sample, _)| sample));
    (late as u64, duplicates as u64)
}
