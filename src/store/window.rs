//! Every target's recent samples, and which of its series carry which name.
//!
//! The core cannot fail here: what is told of an unknown target or slot is ignored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Labels, Slot, TargetId, Timestamp, time};

use super::block::Block;

/// Where a series stands. Valid until the window's [`Window::version`] of its name changes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesAt {
    pub target: TargetId,
    pub block: u16,
    pub column: u32,
}

/// Every target's recent samples. See [`Window::append`].
///
/// A clone shares everything and costs a reference for each target and each name; what changes afterwards is copied
/// then, rows of values never. So questions are answered from a clone, beside the window that goes on.
#[derive(Clone, Debug, Default)]
pub struct Window {
    targets: BTreeMap<TargetId, Arc<Target>>,
    families: BTreeMap<Arc<str>, Arc<Family>>,
    /// Counts births and drops: see [`Window::generation`].
    generation: u64,
    series: usize,
    /// Removed targets and when they are dropped.
    removed: Vec<(i64, TargetId)>,
}

#[derive(Clone, Debug)]
struct Target {
    interval: Duration,
    blocks: Vec<Arc<Block>>,
    /// By slot.
    places: Vec<Option<Place>>,
    /// Series that are off the page and not yet dropped.
    departed: BTreeMap<Labels, Place>,
    /// The earliest moment at which one of them is dropped.
    next_drop: i64,
    last_good: Option<Timestamp>,
    /// The good scrape before the last one.
    good_before: Option<Timestamp>,
    watched_since: Option<Timestamp>,
    removed: bool,
}

#[derive(Copy, Clone, Debug, PartialEq)]
struct Place {
    block: u16,
    column: u32,
}

/// The series of one name, as stretches of neighbouring columns, and the generation that last changed them.
#[derive(Clone, Debug, Default)]
struct Family {
    version: u64,
    stretches: Vec<(TargetId, Place, u32)>,
}

impl Window {
    /// A target appears. Nothing is known of it yet.
    pub fn add_target(&mut self, target: TargetId, interval: Duration) {
        let fresh = || Target {
            interval,
            blocks: Vec::new(),
            places: Vec::new(),
            departed: BTreeMap::new(),
            next_drop: i64::MAX,
            last_good: None,
            good_before: None,
            watched_since: None,
            removed: false,
        };
        self.targets
            .entry(target)
            .or_insert_with(|| Arc::new(fresh()));
    }

    /// A target vanished: its series go stale at `at`, and are dropped once their spans are over.
    /// It stands behind nothing from then on.
    pub fn remove_target(&mut self, target: TargetId, at: Timestamp) {
        let Some(leaving) = change(&mut self.targets, target) else {
            return;
        };
        if leaving.removed {
            return;
        }
        leaving.removed = true;
        leaving.watched_since = None;
        let mut span = 0;
        for block in leaving.blocks.iter_mut().map(Arc::make_mut) {
            span = span.max(block.span);
            if block.newest_at().is_none_or(|newest| newest < at.millis()) {
                block.fail(at.millis());
            }
        }
        self.touch_families(target);
        self.removed
            .push((at.millis().saturating_add(span), target));
        self.drop_removed(at.millis());
    }

    /// A series stands at `slot` of `target` from the next append on, needed for `span` back; the newest sample is kept
    /// even when that is zero. A series that vanished within its span continues where it ended. One that stands there
    /// already gets the `span`. Of one page, say what is gone before what is born: slots are reused.
    #[allow(clippy::needless_pass_by_value, reason = "the window keeps the labels")]
    pub fn born(&mut self, target: TargetId, slot: Slot, labels: Labels, span: Duration) {
        let Some(owner) = change(&mut self.targets, target) else {
            return;
        };
        let index = slot.0 as usize;
        if owner.places.len() <= index {
            owner.places.resize(index + 1, None);
        }
        let block = owner.block(time::millis(span));
        let standing = owner.places[index].filter(|place| owner.labels(*place) == Some(&labels));
        if standing.is_none() && owner.places[index].is_some() {
            let since = owner.newest_at().unwrap_or(i64::MIN);
            owner.depart(slot, since);
        }
        let known = standing.or_else(|| owner.departed.remove(&labels));
        let place = match known {
            Some(place) if place.block == block => {
                owner.own(block).revive(place.column, slot);
                owner.places[index] = Some(place);
                return;
            }
            Some(place) => {
                self.series -= 1;
                let moved = owner.relocate(place, block, &labels, slot);
                self.forget(target, &[labels.name()]);
                moved
            }
            None => {
                let column = owner.own(block).settle(labels.clone(), slot);
                Place { block, column }
            }
        };
        if let Some(owner) = change(&mut self.targets, target) {
            owner.places[index] = Some(place);
        }
        self.series += 1;
        self.enter(target, place, labels.name());
    }

    /// The series at `slot` vanished from the page scraped at `at`: stale there, dropped once its span is over.
    pub fn gone(&mut self, target: TargetId, slot: Slot, at: Timestamp) {
        if let Some(owner) = change(&mut self.targets, target) {
            owner.depart(slot, at.millis());
        }
    }

    /// Samples that the series at `slot` of `target` had besides those in the window, in any order. Meant for what is older;
    /// a series without values in between stays without.
    pub fn precede(&mut self, target: TargetId, slot: Slot, samples: &[(Timestamp, f64)]) {
        let Some(owner) = change(&mut self.targets, target) else {
            return;
        };
        let place = owner.places.get(slot.0 as usize).copied().flatten();
        let Some(place) = place else {
            return;
        };
        let samples = samples.iter().map(|(at, value)| (at.millis(), *value));
        let samples: Vec<(i64, f64)> = samples.collect();
        owner.own(place.block).adopt(place.column, &samples, None);
        self.touch_families(target);
    }

    /// One page's values by slot (STALE where a slot is free), all at `at` except those `stamped`.
    /// A series without a value is stale at `at`. A page that is not newer than the last one is ignored.
    pub fn append(
        &mut self,
        target: TargetId,
        at: Timestamp,
        values: &[f64],
        stamped: &[(Slot, Timestamp)],
    ) {
        let millis = at.millis();
        let Some(owner) = change(&mut self.targets, target) else {
            return;
        };
        if owner.removed || owner.newest_at().is_some_and(|newest| millis <= newest) {
            return;
        }
        owner.answered(at);
        let mut converted = Vec::new();
        for &(slot, own) in stamped {
            let index = slot.0 as usize;
            let place = owner.places.get(index).copied().flatten();
            if let (Some(place), Some(value)) = (place, values.get(index)) {
                let block = owner.own(place.block);
                if block.stamp(place.column, own.millis(), *value, millis) {
                    converted.push(place);
                }
            }
        }
        for block in owner.blocks.iter_mut().map(Arc::make_mut) {
            block.append(millis, values);
            block.settle_rings(millis);
        }
        for place in converted {
            let name = owner.labels(place).map_or("", Labels::name);
            self.generation += 1;
            if let Some(family) = self.families.get_mut(name) {
                Arc::make_mut(family).version = self.generation;
            }
        }
        self.sweep(target, millis);
    }

    /// A failed scrape: every series of the target is stale at `at`, and stays known until the target answers without it.
    pub fn fail(&mut self, target: TargetId, at: Timestamp) {
        let Some(owner) = change(&mut self.targets, target) else {
            return;
        };
        let millis = at.millis();
        if owner.removed || owner.newest_at().is_some_and(|newest| millis <= newest) {
            return;
        }
        if owner.last_good.is_none_or(|good| owner.gap(good, at)) {
            owner.watched_since = None;
        }
        for block in owner.blocks.iter_mut().map(Arc::make_mut) {
            block.fail(millis);
        }
        self.sweep(target, millis);
    }

    /// Since when the target has been watched without a gap of more than 2.5 intervals between good scrapes.
    #[must_use]
    pub fn watched_since(&self, target: TargetId) -> Option<Timestamp> {
        self.targets.get(&target)?.watched_since
    }

    /// That, and the older one of the target's two newest good scrapes; `None` where there were not two. A range that begins
    /// before it holds two samples of a series that stood on both.
    #[must_use]
    pub fn scraped_since(&self, target: TargetId) -> (Option<Timestamp>, Option<Timestamp>) {
        let known = self.targets.get(&target);
        known.map_or((None, None), |it| (it.watched_since, it.good_before))
    }

    /// Series held, vanished ones within their span included.
    #[must_use]
    pub fn series(&self) -> usize {
        self.series
    }

    /// The oldest scrape of which samples are held; `None` while there are none. A sample that carries a time of its own
    /// may be a little older.
    #[must_use]
    pub fn held_since(&self) -> Option<Timestamp> {
        let blocks = self
            .targets
            .values()
            .flat_map(|target| target.blocks.iter());
        let oldest = blocks.filter_map(|block| block.oldest_at()).min();
        oldest.map(Timestamp::from_millis)
    }

    /// Grows with every series born, moved or dropped. While it stands, every [`SeriesAt`] stays valid.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The generation that last changed the series named `name`; zero when there are none.
    #[must_use]
    pub fn version(&self, name: &str) -> u64 {
        self.families.get(name).map_or(0, |family| family.version)
    }

    /// Shows every series, or those named `name`, with its labels. No order is promised.
    pub fn visit(&self, name: Option<&str>, see: &mut dyn FnMut(SeriesAt, &Labels)) {
        let families = name.map(|name| self.families.get(name));
        let mut one = |family: &Family| {
            for &(target, Place { block, column }, len) in &family.stretches {
                for column in column..column + len {
                    let at = SeriesAt {
                        target,
                        block,
                        column,
                    };
                    if let Some(labels) = self.labels(at) {
                        see(at, labels);
                    }
                }
            }
        };
        match families {
            Some(family) => family.into_iter().for_each(|family| one(family)),
            None => self.families.values().for_each(|family| one(family)),
        }
    }

    #[must_use]
    pub fn labels(&self, at: SeriesAt) -> Option<&Labels> {
        let block = self.block(at.target, at.block)?;
        block.columns.get(at.column as usize)?.labels.as_ref()
    }

    /// Columns of `target`, for reading.
    #[must_use]
    pub fn block(&self, target: TargetId, block: u16) -> Option<&Block> {
        let blocks = &self.targets.get(&target)?.blocks;
        blocks.get(usize::from(block)).map(Arc::as_ref)
    }

    /// Whether the target is known and was not removed.
    #[must_use]
    pub fn has_target(&self, target: TargetId) -> bool {
        self.targets.get(&target).is_some_and(|t| !t.removed)
    }

    /// Enters a series into its family.
    fn enter(&mut self, target: TargetId, place: Place, name: &str) {
        self.generation += 1;
        if !self.families.contains_key(name) {
            self.families.insert(name.into(), Arc::default());
        }
        let family = self.families.get_mut(name).expect("entered just above");
        let family = Arc::make_mut(family);
        family.version = self.generation;
        match family.stretches.last_mut() {
            Some((owner, start, len))
                if *owner == target
                    && start.block == place.block
                    && start.column + *len == place.column =>
            {
                *len += 1;
            }
            _ => family.stretches.push((target, place, 1)),
        }
    }

    /// Takes columns of `target` that no longer hold these names out of their families.
    fn forget(&mut self, target: TargetId, names: &[&str]) {
        self.generation += 1;
        let owner = self.targets.get(&target);
        for name in names {
            let Some(family) = self.families.get_mut(*name).map(Arc::make_mut) else {
                continue;
            };
            family.version = self.generation;
            let mut kept: Vec<(TargetId, Place, u32)> = Vec::new();
            for (holder, start, len) in family.stretches.drain(..) {
                if holder != target {
                    kept.push((holder, start, len));
                    continue;
                }
                let mut open = false;
                for column in start.column..start.column + len {
                    let place = Place { column, ..start };
                    let holds = owner
                        .and_then(|o| o.labels(place))
                        .is_some_and(|labels| labels.name() == *name);
                    match kept.last_mut() {
                        Some((_, _, len)) if holds && open => *len += 1,
                        _ if holds => kept.push((target, place, 1)),
                        _ => {}
                    }
                    open = holds;
                }
            }
            family.stretches = kept;
            if family.stretches.is_empty() {
                self.families.remove(*name);
            }
        }
    }

    /// Plans that read the target bind afresh.
    fn touch_families(&mut self, target: TargetId) {
        self.generation += 1;
        for family in self.families.values_mut() {
            if family.stretches.iter().any(|(owner, ..)| *owner == target) {
                Arc::make_mut(family).version = self.generation;
            }
        }
    }

    /// Drops what vanished and is past its span.
    fn sweep(&mut self, target: TargetId, at: i64) {
        self.drop_removed(at);
        let Some(owner) = change(&mut self.targets, target) else {
            return;
        };
        if at < owner.next_drop {
            return;
        }
        let dropped = owner.drop_departed(at);
        self.series -= dropped.len();
        let mut names: Vec<&str> = dropped.iter().map(Labels::name).collect();
        names.sort_unstable();
        names.dedup();
        self.forget(target, &names);
    }

    fn drop_removed(&mut self, at: i64) {
        let mut due = Vec::new();
        self.removed.retain(|(end, target)| {
            let over = *end <= at;
            if over {
                due.push(*target);
            }
            !over
        });
        for target in due {
            self.touch_families(target);
            if let Some(owner) = self.targets.remove(&target) {
                self.series -= owner.series();
            }
            self.families.retain(|_, family| {
                if family.stretches.iter().any(|(owner, ..)| *owner == target) {
                    let family = Arc::make_mut(family);
                    family.stretches.retain(|(owner, ..)| *owner != target);
                }
                !family.stretches.is_empty()
            });
        }
    }
}

/// A target, to be changed.
fn change(targets: &mut BTreeMap<TargetId, Arc<Target>>, target: TargetId) -> Option<&mut Target> {
    targets.get_mut(&target).map(Arc::make_mut)
}

impl Target {
    /// A block, to be changed.
    fn own(&mut self, block: u16) -> &mut Block {
        Arc::make_mut(&mut self.blocks[usize::from(block)])
    }

    fn labels(&self, place: Place) -> Option<&Labels> {
        let block = self.blocks.get(usize::from(place.block))?;
        block.columns.get(place.column as usize)?.labels.as_ref()
    }

    fn series(&self) -> usize {
        let columns = self.blocks.iter().flat_map(|block| block.columns.iter());
        columns.filter(|column| column.labels.is_some()).count()
    }

    fn newest_at(&self) -> Option<i64> {
        self.blocks
            .iter()
            .filter_map(|block| block.newest_at())
            .max()
    }

    /// The block for `span`, made where it is missing. Spans are as many as rules have ranges.
    fn block(&mut self, span: i64) -> u16 {
        let place = self.blocks.iter().position(|block| block.span == span);
        let place = place.unwrap_or_else(|| {
            self.blocks.push(Arc::new(Block::new(span)));
            self.blocks.len() - 1
        });
        u16::try_from(place).expect("fewer spans than expressions")
    }

    fn gap(&self, good: Timestamp, at: Timestamp) -> bool {
        at.since(good) * 2 > self.interval * 5
    }

    fn answered(&mut self, at: Timestamp) {
        if self.watched_since.is_none() || self.last_good.is_none_or(|good| self.gap(good, at)) {
            self.watched_since = Some(at);
        }
        self.good_before = self.last_good;
        self.last_good = Some(at);
    }

    fn depart(&mut self, slot: Slot, at: i64) {
        let Some(place) = self.places.get_mut(slot.0 as usize).and_then(Option::take) else {
            return;
        };
        let block = self.own(place.block);
        block.depart(place.column, at);
        let end = at.saturating_add(block.linger(place.column));
        self.next_drop = self.next_drop.min(end);
        if let Some(labels) = self.labels(place).cloned() {
            self.departed.insert(labels, place);
        }
    }

    /// Moves a series with its samples to the block of another span.
    fn relocate(&mut self, from: Place, block: u16, labels: &Labels, slot: Slot) -> Place {
        let old = self.own(from.block);
        let history = old.history(from.column);
        let ring = old.take_ring(from.column);
        old.vacate(from.column);
        let block_to = self.own(block);
        let column = block_to.settle(labels.clone(), slot);
        block_to.adopt(column, &history, ring);
        Place { block, column }
    }

    fn drop_departed(&mut self, at: i64) -> Vec<Labels> {
        let mut dropped = Vec::new();
        let mut next = i64::MAX;
        let blocks = &mut self.blocks;
        self.departed.retain(|labels, place| {
            let block = &mut blocks[usize::from(place.block)];
            let gone = block.columns[place.column as usize].gone.unwrap_or(at);
            let end = gone.saturating_add(block.linger(place.column));
            if end > at {
                next = next.min(end);
                return true;
            }
            Arc::make_mut(block).vacate(place.column);
            dropped.push(labels.clone());
            false
        });
        self.next_drop = next;
        dropped
    }
}
