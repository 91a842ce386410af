//! Decisions counted as they pass through the snapshot, which holds only the newest: a counter may not fall.

use std::collections::BTreeMap;

use crate::engine::Snapshot;
use crate::model::Action;
use crate::model::Guard;

/// Counts by what was done and which guard refused more (empty where none did).
#[derive(Debug, Default)]
pub struct Tally {
    last: Option<String>,
    counts: BTreeMap<(Action, &'static str), u32>,
}

impl Tally {
    /// Counts the decisions of `snapshot` that came after the last one counted.
    pub fn take(&mut self, snapshot: &Snapshot) {
        // From the start, so that the first rollback of a process is a step and not a line that appears.
        for action in Action::ALL {
            self.counts.entry((*action, "")).or_default();
        }
        let decisions = &snapshot.decisions;
        let counted = self
            .last
            .as_ref()
            .and_then(|last| decisions.iter().rposition(|(it, _)| it.id.as_str() == last));
        for (decision, _) in &decisions[counted.map_or(0, |i| i + 1)..] {
            let refused = decision.refused_by.map_or("", Guard::word);
            *self.counts.entry((decision.action, refused)).or_default() += 1;
            self.last = Some(decision.id.0.clone());
        }
    }

    pub fn counts(&self) -> impl Iterator<Item = (Action, &'static str, u32)> {
        self.counts
            .iter()
            .map(|(&(action, refused), &count)| (action, refused, count))
    }
}
