//! The window: a short, bounded memory of samples, per target.

use std::time::Duration;

use crate::model::{Labels, Slot, TargetId, Timestamp};

/// Every target's recent samples. See [`Window::append`].
#[derive(Debug, Default)]
pub struct Window {}

impl Window {
    /// A target appears. Nothing is known of it yet.
    pub fn add_target(&mut self, _target: TargetId, _interval: Duration) {
        todo!()
    }

    /// A target vanished: its series go stale at `at`, and are dropped once their spans are over.
    pub fn remove_target(&mut self, _target: TargetId, _at: Timestamp) {
        todo!()
    }

    /// A series stands at `slot` of `target` from the next append on, needed for `span` back.
    pub fn born(&mut self, _target: TargetId, _slot: Slot, _labels: Labels, _span: Duration) {
        todo!()
    }

    /// The series at `slot` vanished from the page scraped at `at`: stale there, dropped once its span is over.
    pub fn gone(&mut self, _target: TargetId, _slot: Slot, _at: Timestamp) {
        todo!()
    }

    /// One page's values by slot (STALE where a slot is free), all at `at` except those `stamped`.
    pub fn append(
        &mut self,
        _target: TargetId,
        _at: Timestamp,
        _values: &[f64],
        _stamped: &[(Slot, Timestamp)],
    ) {
        todo!()
    }

    /// A failed scrape: every series of the target is stale at `at`, and stays known until the target answers without it.
    pub fn fail(&mut self, _target: TargetId, _at: Timestamp) {
        todo!()
    }

    /// Since when the target has been watched without a gap of more than 2.5 intervals between good scrapes.
    #[must_use]
    pub fn watched_since(&self, _target: TargetId) -> Option<Timestamp> {
        todo!()
    }

    /// Series held.
    #[must_use]
    pub fn series(&self) -> usize {
        todo!()
    }

    pub fn visit(&self, _name: Option<&str>, _see: &mut dyn FnMut((), &Labels)) {
        todo!()
    }
}
