//! Inputs → bytes, as they are given to the engine. Knows what stands on every target's page, so that a segment can begin at
//! any time.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::opening::Standing;
use super::page::Before;
use super::tag;
use super::wire::{Wire, put_signed};
use crate::engine::{Columns, Input, Scrape, Settings, TargetInfo};
use crate::model::{Labels, Slot, TargetId, Timestamp, WallClock};

/// Writes the entries of one run, segment after segment.
#[derive(Debug)]
pub struct Encoder {
    settings: Arc<Settings>,
    wall: WallClock,
    targets: BTreeMap<TargetId, Track>,
    /// The stamp of the entry before.
    last: Timestamp,
}

#[derive(Debug, Default)]
struct Track {
    /// A page may come of a target that nobody has told of; it is written, and the engine passes it over.
    info: Option<TargetInfo>,
    /// By slot.
    series: Vec<Option<Labels>>,
    before: Before,
}

impl Encoder {
    /// For an engine with these settings and without targets, at `at`: the first segment is begun.
    #[must_use]
    pub fn new(settings: Arc<Settings>, at: Timestamp) -> Self {
        Self {
            settings,
            wall: WallClock::default(),
            targets: BTreeMap::new(),
            last: at,
        }
    }

    /// What the opening of a segment that begins here holds.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let targets = self.targets.values().filter_map(|track| {
            let series = (0..).map(Slot).zip(&track.series);
            let series = series.filter_map(|(slot, labels)| Some((slot, labels.clone()?)));
            Some((track.info.clone()?, series.collect()))
        });
        Standing {
            settings: Arc::clone(&self.settings),
            wall: self.wall,
            targets: targets.collect(),
        }
    }

    /// From here on another segment is written, whose opening is stamped `at`: nothing refers to what stands before it.
    pub fn begin(&mut self, at: Timestamp) {
        self.last = at;
        for track in self.targets.values_mut() {
            track.before = Before::default();
        }
    }

    /// Writes what is about to be applied.
    pub fn input(&mut self, at: Timestamp, input: &Input, to: &mut Vec<u8>) {
        self.head(tag_of(input), at, to);
        match input {
            Input::Scraped(scrape) => self.scraped(at, scrape, to),
            Input::Target(info) => info.put(to),
            Input::TargetGone(id) => id.put(to),
            Input::Operator { token, call } => {
                token.put(to);
                call.put(to);
            }
            Input::Attempted { key, outcome } => {
                key.put(to);
                outcome.put(to);
            }
            Input::CommitFailed { records, reason } => {
                records.put(to);
                reason.put(to);
            }
            Input::Reported(reported) => reported.put(to),
            Input::Slept { until } => until.put(to),
            Input::ClockSet(wall) => wall.put(to),
            Input::Reload(settings) => settings.put(to),
            Input::Recalled(minutes) => minutes.put(to),
        }
        self.note(input);
    }

    /// Writes that the engine is about to fire its deadlines up to `to`.
    pub fn woke(&mut self, at: Timestamp, to: &mut Vec<u8>) {
        self.head(tag::WOKE, at, to);
    }

    /// Writes the end of a segment: nothing is missing up to here. `goes_on`: the next one follows without a gap.
    pub fn close(&self, goes_on: bool, to: &mut Vec<u8>) {
        to.push(tag::CLOSED);
        goes_on.put(to);
    }

    /// The stamp of the entry before.
    #[must_use]
    pub fn last(&self) -> Timestamp {
        self.last
    }

    /// Takes note of what is applied and not written: later openings know it.
    pub fn note(&mut self, input: &Input) {
        match input {
            Input::Target(info) => {
                let track = Track {
                    info: Some(info.clone()),
                    ..Track::default()
                };
                self.targets.insert(info.id, track);
            }
            Input::TargetGone(id) => drop(self.targets.remove(id)),
            Input::Scraped(scrape) => {
                if let Ok(page) = &scrape.outcome {
                    self.targets.entry(scrape.target).or_default().stand(page);
                }
            }
            Input::ClockSet(wall) => self.wall = *wall,
            Input::Reload(settings) => self.settings = Arc::clone(settings),
            Input::Operator { .. }
            | Input::Attempted { .. }
            | Input::CommitFailed { .. }
            | Input::Reported(_)
            | Input::Slept { .. }
            | Input::Recalled(_) => {}
        }
    }

    fn head(&mut self, tag: u8, at: Timestamp, to: &mut Vec<u8>) {
        to.push(tag);
        put_signed(at.millis().wrapping_sub(self.last.millis()), to);
        self.last = at;
    }

    fn scraped(&mut self, at: Timestamp, scrape: &Scrape, to: &mut Vec<u8>) {
        let Scrape {
            target,
            at: began,
            duration,
            outcome,
        } = scrape;
        target.put(to);
        put_signed(at.millis().wrapping_sub(began.millis()), to);
        duration.put(to);
        outcome.is_ok().put(to);
        match outcome {
            Ok(page) => {
                let track = self.targets.entry(*target).or_default();
                track.before.put(*began, page, to);
            }
            Err(error) => error.put(to),
        }
    }
}

impl Track {
    /// Which series stand on the page.
    fn stand(&mut self, page: &Columns) {
        for slot in &page.gone {
            if let Some(series) = self.series.get_mut(slot.0 as usize) {
                *series = None;
            }
        }
        for (slot, labels) in &page.born {
            let slot = slot.0 as usize;
            if self.series.len() <= slot {
                self.series.resize(slot + 1, None);
            }
            self.series[slot] = Some(labels.clone());
        }
    }
}

const fn tag_of(input: &Input) -> u8 {
    match input {
        Input::Target(_) => tag::TARGET,
        Input::TargetGone(_) => tag::TARGET_GONE,
        Input::Scraped(_) => tag::SCRAPED,
        Input::Operator { .. } => tag::OPERATOR,
        Input::Attempted { .. } => tag::ATTEMPTED,
        Input::CommitFailed { .. } => tag::COMMIT_FAILED,
        Input::Reported(_) => tag::REPORTED,
        Input::Slept { .. } => tag::SLEPT,
        Input::ClockSet(_) => tag::CLOCK_SET,
        Input::Reload(_) => tag::RELOAD,
        Input::Recalled(_) => tag::RECALLED,
    }
}
