//! The columns of one target that are needed equally long: one row of values per scrape.
//!
//! An append gathers one row; a range selector over neighbouring columns walks rows. A row ends at the last column that
//! existed when it was written, so a birth moves nothing, and a failed scrape is a row without values.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::{Labels, STALE, Slot, is_stale};

use super::series::Ring;

/// No slot feeds the column: its series is gone.
const UNFED: u32 = u32::MAX;

/// One scrape: when it began and its values by column. A column past the end has no sample there.
/// Copies of the window share its values.
#[derive(Clone, Debug)]
pub struct Row {
    pub at: i64,
    pub values: Arc<Vec<f64>>,
}

impl Row {
    /// The value in `column`, or STALE.
    #[must_use]
    pub fn get(&self, column: u32) -> f64 {
        self.values.get(column as usize).copied().unwrap_or(STALE)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Column {
    /// `None`: the column is free.
    pub labels: Option<Labels>,
    /// Since when the series is no longer on the page.
    pub gone: Option<i64>,
    /// Present once a sample carried a timestamp; the rows do not count for the series from then on.
    pub ring: Option<Arc<Ring>>,
}

/// See the file's head.
#[derive(Clone, Debug)]
pub struct Block {
    /// How far back the columns are needed, in milliseconds. The newest row stays even when that is zero.
    pub(super) span: i64,
    rows: VecDeque<Row>,
    pub(super) columns: Arc<Vec<Column>>,
    /// By column: the slot that feeds it.
    slots: Vec<u32>,
    /// By column: see [`Block::breaks`].
    breaks: Vec<i64>,
    free: Vec<u32>,
    /// Columns with a ring.
    rings: Vec<u32>,
    /// The last dropped row's memory, for the next row.
    spare: Option<Arc<Vec<f64>>>,
}

impl Block {
    pub(super) fn new(span: i64) -> Self {
        Self {
            span,
            rows: VecDeque::new(),
            columns: Arc::default(),
            slots: Vec::new(),
            breaks: Vec::new(),
            free: Vec::new(),
            rings: Vec::new(),
            spare: None,
        }
    }

    /// Rows of the scrapes in `(after, until]`, oldest first.
    #[must_use]
    pub fn between(
        &self,
        after: i64,
        until: i64,
    ) -> impl DoubleEndedIterator<Item = &Row> + ExactSizeIterator + Clone {
        let start = self.rows.partition_point(|row| row.at <= after);
        let end = self.end(until);
        self.rows.range(start..end.max(start))
    }

    /// The newest row in `(after, until]`. A series that it lacks is stale: there is no looking behind it.
    #[must_use]
    pub fn newest(&self, after: i64, until: i64) -> Option<&Row> {
        let row = &self.rows[self.end(until).checked_sub(1)?];
        (row.at > after).then_some(row)
    }

    /// How many rows there are up to `until`: mostly all.
    fn end(&self, until: i64) -> usize {
        match self.rows.back() {
            Some(row) if row.at <= until => self.rows.len(),
            _ => self.rows.partition_point(|row| row.at <= until),
        }
    }

    /// By column, a moment: rows from then on all have a value, none below the one before. Of a counter without a reset
    /// the ends of such a stretch say everything.
    #[must_use]
    pub fn breaks(&self) -> &[i64] {
        &self.breaks
    }

    /// The ring of a column whose samples carry timestamps of their own.
    #[must_use]
    pub fn ring(&self, column: u32) -> Option<&Ring> {
        self.columns.get(column as usize)?.ring.as_deref()
    }

    pub(super) fn newest_at(&self) -> Option<i64> {
        self.rows.back().map(|row| row.at)
    }

    /// The oldest row that has values.
    pub(super) fn oldest_at(&self) -> Option<i64> {
        let mut held = self.rows.iter().filter(|row| !row.values.is_empty());
        held.next().map(|row| row.at)
    }

    /// Gives a series a column.
    pub(super) fn settle(&mut self, labels: Labels, slot: Slot) -> u32 {
        let column = Column {
            labels: Some(labels),
            gone: None,
            ring: None,
        };
        let columns = Arc::make_mut(&mut self.columns);
        if let Some(free) = self.free.pop() {
            columns[free as usize] = column;
            self.slots[free as usize] = slot.0;
            self.breaks[free as usize] = i64::MAX;
            return free;
        }
        columns.push(column);
        self.slots.push(slot.0);
        self.breaks.push(i64::MAX);
        u32::try_from(columns.len() - 1).expect("slots are numbered in 32 bits")
    }

    /// The series in `column` is on the page again.
    pub(super) fn revive(&mut self, column: u32, slot: Slot) {
        self.column(column).gone = None;
        self.slots[column as usize] = slot.0;
    }

    /// The series in `column` is not on the page of `at`.
    pub(super) fn depart(&mut self, column: u32, at: i64) {
        self.slots[column as usize] = UNFED;
        let column = self.column(column);
        column.gone = Some(at);
        if let Some(ring) = &mut column.ring {
            Arc::make_mut(ring).vanish(at);
        }
    }

    /// Frees the column. Its rows hold no sample of the series any more, or never will be read again.
    pub(super) fn vacate(&mut self, column: u32) {
        let index = column as usize;
        if self.columns[index].ring.is_some() {
            self.rings.retain(|c| *c != column);
        }
        *self.column(column) = Column {
            labels: None,
            gone: None,
            ring: None,
        };
        self.slots[index] = UNFED;
        for row in self.rows.iter_mut().filter(|row| index < row.values.len()) {
            Arc::make_mut(&mut row.values)[index] = STALE;
        }
        self.free.push(column);
    }

    /// One page's values by slot.
    pub(super) fn append(&mut self, at: i64, values: &[f64]) {
        self.evict(at);
        let mut row = self.spare.take().unwrap_or_default();
        let cells = Arc::make_mut(&mut row);
        cells.clear();
        cells.reserve_exact(self.slots.len());
        cells.extend(
            self.slots
                .iter()
                .map(|slot| values.get(*slot as usize).copied().unwrap_or(STALE)),
        );
        let before = self.rows.back().map_or(&[][..], |row| &row.values);
        let pairs = cells.iter().zip(before);
        for ((value, before), broke) in pairs.zip(&mut self.breaks) {
            // STALE is not a number: it is neither above nor below anything.
            *broke = if value >= before { *broke } else { at };
        }
        self.breaks[before.len()..].fill(at);
        self.rows.push_back(Row { at, values: row });
    }

    /// A sample with a timestamp of its own, on the page of `scraped`, whose row comes next.
    /// Answers whether it is the column's first.
    pub(super) fn stamp(&mut self, column: u32, at: i64, value: f64, scraped: i64) -> bool {
        let first = self.columns[column as usize].ring.is_none();
        if first {
            let mut ring = Ring::default();
            for row in &self.rows {
                let value = row.get(column);
                if is_stale(value) {
                    ring.vanish(row.at);
                } else {
                    ring.push(row.at, value, false);
                }
            }
            self.column(column).ring = Some(Arc::new(ring));
            self.rings.push(column);
        }
        let ring = self.column(column).ring.as_mut();
        let ring = Arc::make_mut(ring.expect("set just above where it was missing"));
        ring.push(at, value, true);
        ring.scraped = scraped;
        first
    }

    /// After the page's row: its unstamped samples of series that have a ring.
    pub(super) fn settle_rings(&mut self, at: i64) {
        let newest = self.rows.back();
        let horizon = at.saturating_sub(self.span);
        each_ring(&mut self.columns, &self.rings, |column, ring| {
            let value = newest.map_or(STALE, |row| row.get(column));
            if ring.scraped != at {
                if is_stale(value) {
                    ring.vanish(at);
                } else {
                    ring.push(at, value, false);
                }
            }
            ring.forget(horizon);
        });
    }

    /// A failed scrape.
    pub(super) fn fail(&mut self, at: i64) {
        self.evict(at);
        self.rows.push_back(Row {
            at,
            values: Arc::default(),
        });
        self.breaks.fill(at);
        let horizon = at.saturating_sub(self.span);
        each_ring(&mut self.columns, &self.rings, |_, ring| {
            ring.end(at);
            ring.forget(horizon);
        });
    }

    /// Takes the ring out of a column that leaves the block.
    pub(super) fn take_ring(&mut self, column: u32) -> Option<Arc<Ring>> {
        self.column(column).ring.take()
    }

    fn column(&mut self, column: u32) -> &mut Column {
        &mut Arc::make_mut(&mut self.columns)[column as usize]
    }

    fn evict(&mut self, at: i64) {
        let horizon = at.saturating_sub(self.span);
        while self.rows.front().is_some_and(|row| row.at <= horizon) {
            let Some(row) = self.rows.pop_front() else {
                continue;
            };
            let spare = self.spare.as_ref().map_or(0, |spare| spare.capacity());
            // What a copy of the window still reads cannot be written again.
            if row.values.capacity() > spare && Arc::strong_count(&row.values) == 1 {
                self.spare = Some(row.values);
            }
        }
    }

    /// The samples of a column, oldest first, for a move to another block.
    pub(super) fn history(&self, column: u32) -> Vec<(i64, f64)> {
        let rows = self.rows.iter().map(|row| (row.at, row.get(column)));
        rows.filter(|(_, value)| !is_stale(*value)).collect()
    }

    /// Writes what [`Block::history`] gave into a column of this block, making older rows where there are none.
    pub(super) fn adopt(&mut self, column: u32, history: &[(i64, f64)], ring: Option<Arc<Ring>>) {
        let index = column as usize;
        for &(at, value) in history {
            let place = self.rows.partition_point(|row| row.at < at);
            if self.rows.get(place).is_none_or(|row| row.at != at) {
                let values = Arc::default();
                self.rows.insert(place, Row { at, values });
            }
            let values = Arc::make_mut(&mut self.rows[place].values);
            if values.len() <= index {
                values.resize(index + 1, STALE);
            }
            values[index] = value;
        }
        // Rows that were made have nothing in the other columns.
        if let Some(newest) = self.newest_at() {
            self.breaks.fill(newest);
        }
        if ring.is_some() {
            self.column(column).ring = ring;
            self.rings.push(column);
        }
    }

    /// How long after its end the series in `column` is kept. Without a marker an instant selector still sees the
    /// last sample for the lookback.
    pub(super) fn linger(&self, column: u32) -> i64 {
        const LOOKBACK: i64 = 5 * 60 * 1000;
        match self.columns[column as usize].ring {
            Some(_) => self.span.max(LOOKBACK),
            None => self.span,
        }
    }
}

/// Changes the rings of the `listed` columns. Without one nothing is copied.
fn each_ring(columns: &mut Arc<Vec<Column>>, listed: &[u32], mut see: impl FnMut(u32, &mut Ring)) {
    if listed.is_empty() {
        return;
    }
    let columns = Arc::make_mut(columns);
    for &column in listed {
        if let Some(ring) = &mut columns[column as usize].ring {
            see(column, Arc::make_mut(ring));
        }
    }
}
