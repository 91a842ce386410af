//! Reads one recorded series forward, a few samples at a time.

use std::io;

use super::spool::Sample;
use super::{Recording, SeriesId};

/// Samples read together: what a series costs while it is played back is this, wherever its samples are.
const AHEAD: usize = 32;

#[derive(Debug)]
pub(super) struct Cursor {
    series: SeriesId,
    /// The run being read, and how much of it was.
    run: usize,
    used: u32,
    buffer: Vec<Sample>,
    place: usize,
}

impl Cursor {
    pub fn new(series: SeriesId) -> Self {
        Self {
            series,
            run: 0,
            used: 0,
            buffer: Vec::new(),
            place: 0,
        }
    }

    /// The next sample and the one after it, without going on.
    pub fn peek(&mut self, recording: &Recording) -> io::Result<(Option<Sample>, Option<Sample>)> {
        if self.buffer.len() - self.place < 2 {
            self.fill(recording)?;
        }
        let at = |place: usize| self.buffer.get(place).copied();
        Ok((at(self.place), at(self.place + 1)))
    }

    /// Goes on to the next sample.
    pub fn skip(&mut self) {
        self.place = (self.place + 1).min(self.buffer.len());
    }

    fn fill(&mut self, recording: &Recording) -> io::Result<()> {
        let runs = &recording.series[self.series.0 as usize].runs;
        self.buffer.drain(..self.place);
        self.place = 0;
        while self.buffer.len() < AHEAD
            && let Some((from, count)) = runs.get(self.run)
        {
            let left = (count - self.used) as usize;
            let take = left.min(AHEAD - self.buffer.len());
            let from = from + u64::from(self.used);
            recording.spool.read(from, take, &mut self.buffer)?;
            self.used += u32::try_from(take).expect("a few samples");
            if self.used == *count {
                (self.run, self.used) = (self.run + 1, 0);
            }
        }
        Ok(())
    }
}
