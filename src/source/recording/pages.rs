//! A recording played back: scrapes in the order in which they landed. What the format cannot say is put in: a series
//! that is absent at its target's next moment is gone, a target that is silent for one and a half intervals did not
//! answer, and one that never comes back is no target any more.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::time::Duration;

use super::cursor::Cursor;
use super::cycle::{Cycle, cycles};
use super::{Reads, Recording};
use crate::engine::{Columns, Input, Scrape, ScrapeError, ScrapeFault};
use crate::model::labels::ABOUT_THE_SCRAPE;
use crate::model::{STALE, Slot, Timestamp};

/// The inputs of a recording, oldest first.
#[derive(Debug)]
pub struct Pages<'r> {
    recording: &'r Recording,
    targets: Vec<Target>,
    /// The next event of each target: its moment and the target's place.
    next: BinaryHeap<Reverse<(i64, usize)>>,
    /// What comes before the next event.
    ready: VecDeque<(Timestamp, Input)>,
}

#[derive(Debug)]
struct Target {
    cycle: Cycle,
    cursors: Vec<Cursor>,
    about: [Option<Cursor>; ABOUT_THE_SCRAPE.len()],
    /// Which series count: they are never no number.
    counts: Vec<bool>,
    /// Which series' last sample was no number.
    no_number: Vec<bool>,
    /// Which series the last page had.
    alive: Vec<bool>,
    interval: i64,
    /// How often it was found silent, and how often it answered.
    silences: u64,
    answers: u64,
    /// The moment of the last page.
    last: Option<i64>,
    /// When it will be found silent.
    silent_at: Option<i64>,
    /// When it was found never to come back.
    gone_at: Option<i64>,
    /// Where it is looked at less often than it was recorded: the moment that the last page stands for, and from when on
    /// the next one is taken.
    slot: Option<i64>,
    not_before: i64,
}

impl<'r> Pages<'r> {
    /// Of a sorted recording, what is read of it. `interval`: how often it is looked at, where that is less often than it was recorded.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn new(
        recording: &'r Recording,
        reads: &Reads,
        interval: Option<Duration>,
    ) -> io::Result<Self> {
        let mut pages = Self {
            recording,
            targets: Vec::new(),
            next: BinaryHeap::new(),
            ready: VecDeque::new(),
        };
        for cycle in cycles(recording, reads, interval)? {
            let interval = cycle.info.interval.as_millis();
            pages.targets.push(Target {
                cursors: cycle.series.iter().copied().map(Cursor::new).collect(),
                about: cycle.about.map(|it| it.map(Cursor::new)),
                counts: cycle
                    .series
                    .iter()
                    .map(|id| counts(recording.labels(*id).name()))
                    .collect(),
                no_number: vec![false; cycle.series.len()],
                alive: vec![false; cycle.series.len()],
                interval: i64::try_from(interval).unwrap_or(i64::MAX / 4),
                silences: 0,
                answers: 0,
                last: None,
                silent_at: None,
                gone_at: None,
                slot: None,
                not_before: i64::MIN,
                cycle,
            });
            pages.schedule(pages.targets.len() - 1)?;
        }
        Ok(pages)
    }

    /// Targets that were found silent more than one time in ten: the instance, how often, and how often they answered.
    #[must_use]
    pub fn often_silent(&self) -> Vec<(String, u64, u64)> {
        let often = self
            .targets
            .iter()
            .filter(|it| it.silences * 10 > it.answers);
        let told = often.map(|it| (it.cycle.info.instance.clone(), it.silences, it.answers));
        told.collect()
    }

    /// The longest time between two scrapes of a target.
    #[must_use]
    pub fn interval(&self) -> Duration {
        let intervals = self.targets.iter().map(|it| it.cycle.info.interval);
        intervals.max().unwrap_or_default()
    }

    /// Targets that ended up to `until` and of which no `up` says whether they failed or were removed: the instances.
    #[must_use]
    pub fn ended_without_up(&self, until: Timestamp) -> Vec<String> {
        let ended = self.targets.iter().filter(|it| it.about[0].is_none());
        let ended = ended.filter(|it| it.gone_at.is_some_and(|at| at <= until.millis()));
        let ended = ended.filter(|it| !it.cycle.info.id.is_beside());
        ended.map(|it| it.cycle.info.instance.clone()).collect()
    }

    fn schedule(&mut self, place: usize) -> io::Result<()> {
        if let Some(at) = self.targets[place].next_event(self.recording)? {
            self.next.push(Reverse((at, place)));
        }
        Ok(())
    }

    fn step(&mut self) -> io::Result<Option<(Timestamp, Input)>> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Ok(Some(ready));
            }
            let Some(Reverse((at, place))) = self.next.pop() else {
                return Ok(None);
            };
            self.targets[place].happen(at, self.recording, &mut self.ready)?;
            self.schedule(place)?;
        }
    }
}

impl Iterator for Pages<'_> {
    type Item = io::Result<(Timestamp, Input)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

impl Target {
    /// The moment of its next page, or from when on it counts as silent; `None` where nothing more becomes of it.
    fn next_event(&mut self, recording: &Recording) -> io::Result<Option<i64>> {
        let page = self.next_page(recording)?;
        Ok(match (page, self.silent_at) {
            (Some(page), Some(silent)) => Some(page.min(silent)),
            (page, silent) => page.or(silent),
        })
    }

    /// The next moment at which any of its series has a sample.
    fn next_page(&mut self, recording: &Recording) -> io::Result<Option<i64>> {
        let mut next = None;
        let about = self.about.iter_mut().flatten();
        for cursor in self.cursors.iter_mut().chain(about) {
            while let (Some((at, _)), _) = cursor.peek(recording)? {
                if at >= self.not_before {
                    next = next.map_or(Some(at), |next: i64| Some(next.min(at)));
                    break;
                }
                cursor.skip();
            }
        }
        Ok(next)
    }

    fn happen(
        &mut self,
        at: i64,
        recording: &Recording,
        out: &mut VecDeque<(Timestamp, Input)>,
    ) -> io::Result<()> {
        let page = self.next_page(recording)?;
        let now = Timestamp::from_millis(at);
        let id = self.cycle.info.id;
        if page == Some(at) {
            if let Some(scrape) = self.scrape(at, recording)? {
                if self.last.is_none() {
                    let info = (*self.cycle.info).clone();
                    out.push_back((now, Input::Target(info)));
                }
                self.last = Some(at);
                self.answers += 1;
                self.silent_at = Some(at + self.interval + self.interval / 2);
                out.push_back((now, Input::Scraped(scrape)));
            }
            return Ok(());
        }
        if page.is_none() {
            self.silent_at = None;
            self.gone_at = Some(at);
            out.push_back((now, Input::TargetGone(id)));
            return Ok(());
        }
        self.silent_at = Some(at + self.interval);
        self.silences += 1;
        let text = "the recording has nothing of it here";
        let scrape = self.failed(now, ScrapeFault::Timeout, text);
        out.push_back((now, Input::Scraped(scrape)));
        Ok(())
    }

    /// The page at a moment; `None` where all that it holds is the end of what was there before.
    fn scrape(&mut self, at: i64, recording: &Recording) -> io::Result<Option<Scrape>> {
        let now = Timestamp::from_millis(at);
        if self.interval > self.cycle.spacing {
            // Scrapes are never quite in time.
            let late = self.cycle.spacing / 2;
            let slot = self.slot.get_or_insert(at);
            while *slot + self.interval <= at + late {
                *slot += self.interval;
            }
            self.not_before = *slot + self.interval - late;
        }
        let mut said = [None; ABOUT_THE_SCRAPE.len()];
        for (said, cursor) in said.iter_mut().zip(&mut self.about) {
            if let Some(cursor) = cursor {
                *said = take(cursor, at, (self.interval, true), &mut false, recording)?;
            }
        }
        let mut columns = Columns::default();
        let mut present = 0;
        for (slot, cursor) in self.cursors.iter_mut().enumerate() {
            let before = &mut self.no_number[slot];
            let value = take(
                cursor,
                at,
                (self.interval, self.counts[slot]),
                before,
                recording,
            )?;
            let place = Slot(u32::try_from(slot).expect("fewer series than 2^32"));
            match (value, self.alive[slot]) {
                (Some(_), false) => {
                    let labels = recording.labels(self.cycle.series[slot]).clone();
                    columns.born.push((place, labels));
                    self.alive[slot] = true;
                }
                (None, true) => {
                    columns.gone.push(place);
                    self.alive[slot] = false;
                }
                (Some(_), true) | (None, false) => {}
            }
            present += u32::from(value.is_some());
            columns.values.push(value.unwrap_or(STALE));
        }
        let [up, duration, scraped, kept, added] = said;
        if present == 0 && up.is_none() {
            // Where Prometheus ended series the export shows a value that is no number, at a moment of its own.
            self.as_before(&columns);
            return Ok(None);
        }
        if up == Some(0.0) {
            // After a failed scrape the slots of the last good one stay born.
            self.as_before(&columns);
            let text = "`up` is 0 in the recording";
            return Ok(Some(self.failed(now, ScrapeFault::Connect, text)));
        }
        let count = |said: Option<f64>, else_: u32| said.map_or(else_, whole);
        columns.samples_scraped = count(scraped, present);
        columns.samples_kept = count(kept, present);
        columns.series_added = count(added, u32::try_from(columns.born.len()).unwrap_or(u32::MAX));
        Ok(Some(Scrape {
            target: self.cycle.info.id,
            at: now,
            duration: duration.map_or(Duration::ZERO, seconds),
            outcome: Ok(columns),
        }))
    }

    /// The page does not count.
    fn as_before(&mut self, columns: &Columns) {
        for (place, _) in &columns.born {
            self.alive[place.0 as usize] = false;
        }
        for place in &columns.gone {
            self.alive[place.0 as usize] = true;
        }
    }

    fn failed(&self, at: Timestamp, fault: ScrapeFault, text: &str) -> Scrape {
        Scrape {
            target: self.cycle.info.id,
            at,
            duration: Duration::ZERO,
            outcome: Err(ScrapeError {
                fault,
                text: text.to_owned(),
            }),
        }
    }
}

/// The sample at this moment. The format has no staleness marker: an export shows it as a value that is no number. Of what
/// counts it can be nothing else. Two never follow each other, so of a gauge it is one where the samples beside it are
/// numbers, or nothing follows for longer than the interval. `before`: whether the last sample was no number.
fn take(
    cursor: &mut Cursor,
    at: i64,
    (interval, counts): (i64, bool),
    before: &mut bool,
    recording: &Recording,
) -> io::Result<Option<f64>> {
    let (Some((moment, value)), next) = cursor.peek(recording)? else {
        return Ok(None);
    };
    if moment != at {
        return Ok(None);
    }
    cursor.skip();
    let alone = !std::mem::replace(before, value.is_nan());
    let ends = |(next, after): (i64, f64)| {
        next > at + interval + interval / 2 || (alone && !after.is_nan())
    };
    let marks = value.is_nan() && (counts || next.is_none_or(ends));
    Ok(Some(value).filter(|_| !marks))
}

/// Whether a metric of this name is a counter, or part of a histogram.
fn counts(name: &str) -> bool {
    ["_total", "_bucket", "_count"]
        .iter()
        .any(|end| name.ends_with(end))
}

fn whole(value: f64) -> u32 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast from float saturates; no page has more samples"
    )]
    let whole = value as u32;
    whole
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}
