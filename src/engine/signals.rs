//! A signal as the engine follows it: its plan, its last reading, its history at one reading an interval.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::Reading;
use crate::model::TargetId;
use crate::model::Timestamp;
use crate::model::time::millis;
use crate::promql::Matchers;
use crate::rules::Read;
use crate::rules::SignalPlan;
use crate::runbook::Signal;

#[derive(Debug)]
pub(super) struct SignalWatch {
    pub plan: SignalPlan,
    /// What it asks of alerts that Alertmanager posted.
    pub alerts: Vec<Matchers>,
    pub read: Read,
    /// The last evaluation.
    pub at: Option<Timestamp>,
    /// Since when there has been no value.
    pub blind_since: Option<Timestamp>,
    /// People were told of this blindness.
    pub blind_told: bool,
    /// One reading an interval, oldest first, as far back as the baseline looks.
    pub history: VecDeque<(Timestamp, Option<f64>)>,
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
            read: Read::nothing_yet(),
            at: None,
            blind_since: None,
            blind_told: false,
            history: VecDeque::new(),
            slot: i64::MIN,
            counts: false,
            fresh: false,
        }
    }

    /// Takes a reading at `at`. `interval` is that of the fastest target behind it; `keep` bounds the history.
    pub fn take(&mut self, read: Read, at: Timestamp, interval: Duration, keep: Duration) {
        let value = read.reading.value();
        self.read = read;
        self.at = Some(at);
        self.fresh = true;
        let slot = at.millis().div_euclid(millis(interval).max(1));
        self.counts = slot != self.slot;
        self.slot = slot;
        if self.counts {
            self.history.push_back((at, value));
            while self
                .history
                .front()
                .is_some_and(|(oldest, _)| at.since(*oldest) > keep)
            {
                self.history.pop_front();
            }
        }
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
        let within = self
            .history
            .iter()
            .filter(|(at, _)| *at >= from && *at < until);
        let mut values: Vec<f64> = within.filter_map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => None,
            n if n % 2 == 1 => Some(values[middle]),
            _ => Some(f64::midpoint(values[middle - 1], values[middle])),
        }
    }

    pub fn reading(&self) -> Reading {
        self.read.reading
    }

    /// Targets behind it, for their intervals.
    pub fn targets(&self) -> &[TargetId] {
        self.plan.targets()
    }
}
