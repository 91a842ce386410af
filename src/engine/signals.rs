//! A signal as the engine follows it: its plan, its last reading, its history at one reading an interval.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::Reading;
use crate::model::Seen;
use crate::model::Sight;
use crate::model::TargetId;
use crate::model::Timestamp;
use crate::model::time::millis;
use crate::promql::Matchers;
use crate::rules::Read;
use crate::rules::SignalPlan;
use crate::runbook::Signal;

/// Sights that a history holds at most; with shorter intervals some are left out.
const SIGHTS_MAX: u32 = 2400;
/// Series of one sight; with more the past is not known.
const SERIES_MAX: usize = 200;

#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the last evaluation or the expression"
)]
pub(super) struct SignalWatch {
    pub plan: SignalPlan,
    /// What it asks of alerts that Alertmanager posted.
    pub alerts: Vec<Matchers>,
    /// It reads what was kept of signals, once a minute.
    pub looks_back: bool,
    /// The target that stands for what its source is asked; `None` where it has none, or is not asked yet.
    pub asked: Option<TargetId>,
    pub read: Read,
    /// Its selectors have matched a series.
    pub matched: bool,
    /// The last evaluation.
    pub at: Option<Timestamp>,
    /// Since when there has been no value.
    pub blind_since: Option<Timestamp>,
    /// People were told of this blindness.
    pub blind_told: bool,
    pub history: History,
    slot: i64,
    /// The last evaluation was the first of its interval.
    pub counts: bool,
    /// A scrape of one of its targets has just landed.
    pub fresh: bool,
}

impl SignalWatch {
    pub fn new(signal: &Signal) -> Self {
        Self {
            plan: SignalPlan::new(&signal.expr, signal.enough.as_ref()),
            alerts: super::heard::asked_of(&[&signal.expr]),
            looks_back: super::history::is_asked_by(&[&signal.expr]),
            asked: None,
            read: Read::nothing_yet(),
            matched: false,
            at: None,
            blind_since: None,
            blind_told: false,
            history: History::default(),
            slot: i64::MIN,
            counts: false,
            fresh: false,
        }
    }

    /// Takes a reading at `at`. `interval` is that of the fastest target behind it; `keep` bounds the history.
    pub fn take(&mut self, read: Read, at: Timestamp, interval: Duration, keep: Duration) {
        let value = read.reading.value();
        self.read = read;
        self.matched |= self.plan.any_selector_matched();
        self.at = Some(at);
        self.fresh = true;
        let slot = at.millis().div_euclid(millis(interval).max(1));
        self.counts = slot != self.slot;
        self.slot = slot;
        self.history
            .remember(&self.read, &self.plan, at, interval, keep);
        match value {
            Some(_) => {
                self.blind_since = None;
                self.blind_told = false;
            }
            None => self.blind_since = self.blind_since.or(Some(at)),
        }
    }

    /// Median of the readings in `[from, until)`; `None` without one.
    pub fn median(&self, from: Timestamp, until: Timestamp) -> Option<f64> {
        self.history.median(from, until)
    }

    pub fn reading(&self) -> Reading {
        self.read.reading
    }

    /// What it reads changes with every minute that ends: history, or what somebody observed.
    pub fn is_read_by_the_minute(&self) -> bool {
        self.looks_back || self.targets().iter().any(|it| it.is_observed())
    }

    /// Targets behind it, for their intervals.
    pub fn targets(&self) -> &[TargetId] {
        self.plan.targets()
    }
}

/// One reading an interval, oldest first, as far back as the baseline and "predates" look.
#[derive(Debug, Default)]
pub(super) struct History {
    pub sights: VecDeque<Sight>,
    /// Kept series by series: a trigger judges each of them, or any.
    pub by_series: bool,
    slot: Option<i64>,
}

impl History {
    /// Takes a reading, the first of each interval.
    fn remember(
        &mut self,
        read: &Read,
        plan: &SignalPlan,
        at: Timestamp,
        interval: Duration,
        keep: Duration,
    ) {
        let spacing = interval.max(keep / SIGHTS_MAX);
        let slot = Some(at.millis().div_euclid(millis(spacing).max(1)));
        if slot == self.slot {
            return;
        }
        self.slot = slot;
        let seen = self.seen(read, plan);
        self.sights.push_back(Sight { at, seen });
        let old = |sight: &Sight| at.since(sight.at) > keep;
        while self.sights.front().is_some_and(old) {
            self.sights.pop_front();
        }
    }

    /// A reading as the past keeps it.
    fn seen(&self, read: &Read, plan: &SignalPlan) -> Seen {
        if !self.by_series {
            return read.reading.value().map_or(Seen::Blind, Seen::Value);
        }
        if plan.is_blind(read.reading) || read.series.len() > SERIES_MAX {
            return Seen::Blind;
        }
        let series = read.series.iter();
        let series = series.filter_map(|(labels, it)| Some((labels.to_string(), it.value()?)));
        Seen::Series(series.collect())
    }

    fn median(&self, from: Timestamp, until: Timestamp) -> Option<f64> {
        let within = self
            .sights
            .iter()
            .filter(|it| it.at >= from && it.at < until);
        let mut values: Vec<f64> = within.filter_map(|it| it.seen.value()).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => None,
            n if n % 2 == 1 => Some(values[middle]),
            _ => Some(f64::midpoint(values[middle - 1], values[middle])),
        }
    }
}
