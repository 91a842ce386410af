//! Selectors bound to the window: which columns of which targets stand behind which elements.

use std::collections::HashMap;

use crate::model::{Labels, STALE, TargetId, is_stale};
use crate::store::{Block, SeriesAt, Window};

use super::LOOKBACK;
use super::edges::{self, Edges};
use super::layout::Layout;
use super::matchers::Matchers;
use super::node::{Binding, Moment, Pin};

/// A selector and, once bound, its series.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    pub matchers: Matchers,
    pub pin: Pin,
    /// Milliseconds; negative looks ahead.
    pub offset: i64,
    pub edges: Edges,
    pub segments: Vec<Segment>,
    /// Elements whose samples carry their own timestamps or come from several places (a target that was replaced by one
    /// with the same labels): read one by one.
    pub scattered: Vec<(u32, Vec<SeriesAt>)>,
}

/// Elements `first..` that stand in one block.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    target: TargetId,
    block: u16,
    pub first: usize,
    pub columns: Columns,
}

/// Neighbouring columns, or any.
#[derive(Clone, Debug)]
pub(super) enum Columns {
    Run { start: usize, len: usize },
    Listed(Vec<u32>),
}

/// Below this many neighbours on average a list of columns is read faster than many runs.
const RUN_MIN: usize = 8;

impl Columns {
    pub fn len(&self) -> usize {
        match self {
            Self::Run { len, .. } => *len,
            Self::Listed(columns) => columns.len(),
        }
    }

    pub fn get(&self, index: usize) -> u32 {
        match self {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "made from a column number of 32 bits"
            )]
            Self::Run { start, .. } => (start + index) as u32,
            Self::Listed(columns) => columns[index],
        }
    }
}

/// Takes an element and its samples, oldest first.
type See<'a> = dyn FnMut(usize, &mut [(i64, f64)]) + 'a;

impl Selector {
    pub fn new(matchers: Matchers, pin: Pin, offset: i64, edges: Edges) -> Self {
        Self {
            matchers,
            pin,
            offset,
            edges,
            segments: Vec::new(),
            scattered: Vec::new(),
        }
    }

    pub fn bind(&mut self, binding: &mut Binding<'_>) -> Layout {
        let window = binding.window;
        let mut found: Vec<(SeriesAt, &Labels)> = Vec::new();
        // Labels are borrowed for the sort only; the layout clones what it keeps.
        let mut places = Vec::new();
        window.visit(self.matchers.name(), &mut |at, labels| {
            if self.matchers.matches(labels) {
                places.push(at);
            }
        });
        places.sort_unstable();
        found.extend(
            places
                .iter()
                .filter_map(|at| Some((*at, window.labels(*at)?))),
        );
        binding.matched.extend_from_slice(&places);
        let targets = places.iter().map(|at| at.target);
        binding
            .targets
            .extend(targets.filter(|target| window.has_target(*target)));
        binding.targets.dedup();

        let mut numbers: HashMap<&Labels, usize> = HashMap::with_capacity(found.len());
        let mut elements: Vec<(&Labels, Vec<SeriesAt>, SeriesAt)> = Vec::with_capacity(found.len());
        for (at, labels) in found {
            if let Some(element) = numbers.get(labels) {
                let (_, more, first) = &mut elements[*element];
                if more.is_empty() {
                    more.push(*first);
                }
                more.push(at);
                continue;
            }
            numbers.insert(labels, elements.len());
            let ring = window
                .block(at.target, at.block)
                .and_then(|b| b.ring(at.column));
            let scattered = if ring.is_some() { vec![at] } else { Vec::new() };
            elements.push((labels, scattered, at));
        }
        self.scattered.clear();
        let mut plain = Vec::with_capacity(elements.len());
        let mut kept = Vec::with_capacity(elements.len());
        for (number, (labels, places, at)) in elements.into_iter().enumerate() {
            kept.push(labels.clone());
            if places.is_empty() {
                plain.push((number, at));
            } else {
                let number = u32::try_from(number).expect("series are numbered in 32 bits");
                self.scattered.push((number, places));
            }
        }
        self.segments = segments(&plain);
        Layout::new(kept, self.matchers.name().is_some())
    }

    /// The newest moment that it looks at.
    pub fn until(&self, moment: &Moment<'_>) -> i64 {
        self.pin.of(moment.times).saturating_sub(self.offset)
    }

    /// By element, the newest sample within the lookback.
    pub fn newest(&self, moment: &mut Moment<'_>, out: &mut [f64]) {
        if self.edges == Edges::Smoothed {
            let at = self.until(moment);
            let bounds = self.edges.widened((at, at));
            self.each(
                moment.window,
                bounds,
                moment.samples,
                &mut |element, samples| {
                    out[element] = edges::smooth(samples, at).unwrap_or(STALE);
                },
            );
        } else {
            self.newest_with(moment, out, None);
        }
    }

    /// By element, when its newest sample was taken, in seconds.
    pub fn timestamps(&self, moment: &Moment<'_>, out: &mut [f64]) {
        self.newest_with(moment, out, Some(()));
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "milliseconds stay below 2^53 for 285 000 years"
    )]
    fn newest_with(&self, moment: &Moment<'_>, out: &mut [f64], times: Option<()>) {
        let until = self.until(moment);
        let after = until.saturating_sub(LOOKBACK);
        for segment in &self.segments {
            let out = &mut out[segment.first..segment.first + segment.columns.len()];
            let row = segment
                .block(moment.window)
                .and_then(|b| b.newest(after, until));
            let Some(row) = row else {
                out.fill(STALE);
                continue;
            };
            match &segment.columns {
                Columns::Run { start, len } => {
                    let values = row.values.get(*start..).unwrap_or(&[]);
                    let values = &values[..values.len().min(*len)];
                    out[..values.len()].copy_from_slice(values);
                    out[values.len()..].fill(STALE);
                }
                Columns::Listed(columns) => {
                    for (out, column) in out.iter_mut().zip(columns) {
                        *out = row.get(*column);
                    }
                }
            }
            if times.is_some() {
                let taken = row.at as f64 / 1000.0;
                for value in out.iter_mut().filter(|value| !is_stale(**value)) {
                    *value = taken;
                }
            }
        }
        for (element, places) in &self.scattered {
            let samples = places
                .iter()
                .filter_map(|at| newest_at(moment.window, *at, after, until));
            out[*element as usize] = match samples.max_by_key(|(at, _)| *at) {
                None => STALE,
                Some((at, _)) if times.is_some() => at as f64 / 1000.0,
                Some((_, value)) => value,
            };
        }
    }
}

impl Selector {
    /// Shows every element's samples in `(after, until]`, oldest first, without markers.
    pub fn each(
        &self,
        window: &Window,
        (after, until): (i64, i64),
        samples: &mut Vec<(i64, f64)>,
        see: &mut See<'_>,
    ) {
        for segment in &self.segments {
            let block = segment.block(window);
            for index in 0..segment.columns.len() {
                samples.clear();
                if let Some(block) = block {
                    segment.samples(block, index, (after, until), samples);
                }
                see(segment.first + index, samples);
            }
        }
        for (element, places) in &self.scattered {
            gather(window, places, after, until, samples);
            see(*element as usize, samples);
        }
    }
}

fn newest_at(window: &Window, at: SeriesAt, after: i64, until: i64) -> Option<(i64, f64)> {
    let block = window.block(at.target, at.block)?;
    if let Some(ring) = block.ring(at.column) {
        return ring.newest(after, until);
    }
    let row = block.newest(after, until)?;
    let value = row.get(at.column);
    (!is_stale(value)).then_some((row.at, value))
}

/// The samples of one series in `(after, until]`, oldest first, without markers.
pub(super) fn gather(
    window: &Window,
    places: &[SeriesAt],
    after: i64,
    until: i64,
    samples: &mut Vec<(i64, f64)>,
) {
    samples.clear();
    for at in places {
        let Some(block) = window.block(at.target, at.block) else {
            continue;
        };
        if let Some(ring) = block.ring(at.column) {
            samples.extend(ring.between(after, until));
        } else {
            let rows = block.between(after, until);
            samples.extend(rows.map(|row| (row.at, row.get(at.column))));
        }
    }
    samples.retain(|(_, value)| !is_stale(*value));
    if places.len() > 1 {
        samples.sort_unstable_by_key(|(at, _)| *at);
        samples.dedup_by_key(|(at, _)| *at);
    }
}

impl Segment {
    /// Adds the samples of its element at `index` in `(after, until]`, without markers.
    pub fn samples(
        &self,
        block: &Block,
        index: usize,
        (after, until): (i64, i64),
        samples: &mut Vec<(i64, f64)>,
    ) {
        let column = self.columns.get(index);
        let rows = block.between(after, until);
        let values = rows.map(|row| (row.at, row.get(column)));
        samples.extend(values.filter(|(_, value)| !is_stale(*value)));
    }

    pub fn block<'a>(&self, window: &'a Window) -> Option<&'a Block> {
        window.block(self.target, self.block)
    }
}

/// Cuts elements, ordered by place, into segments: long runs by themselves, everything else as lists.
fn segments(plain: &[(usize, SeriesAt)]) -> Vec<Segment> {
    let follows = |a: &(usize, SeriesAt), b: &(usize, SeriesAt)| {
        (a.0 + 1, a.1.target, a.1.block) == (b.0, b.1.target, b.1.block)
    };
    let mut segments = Vec::new();
    for group in plain.chunk_by(follows) {
        let adjoins = |a: &(usize, SeriesAt), b: &(usize, SeriesAt)| a.1.column + 1 == b.1.column;
        let runs = group.chunk_by(adjoins).count();
        let (first, at) = group[0];
        let segment = |first, columns| Segment {
            target: at.target,
            block: at.block,
            first,
            columns,
        };
        if runs > 1 && group.len() / runs < RUN_MIN {
            let columns = group.iter().map(|(_, at)| at.column).collect();
            segments.push(segment(first, Columns::Listed(columns)));
        } else {
            segments.extend(group.chunk_by(adjoins).map(|run| {
                let start = run[0].1.column as usize;
                segment(
                    run[0].0,
                    Columns::Run {
                        start,
                        len: run.len(),
                    },
                )
            }));
        }
    }
    segments
}
