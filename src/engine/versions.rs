//! Which versions run: the label `version` of the metric that `[rollout] version_from` names.

use std::collections::BTreeMap;

use super::Effect;
use super::engine::Engine;
use crate::gate::Told;
use crate::model::TargetId;
use crate::model::Timestamp;
use crate::promql::Expr;
use crate::promql::Output;
use crate::promql::Plan;
use crate::store::Window;

#[derive(Debug)]
pub(super) struct VersionWatch {
    plan: Plan,
}

impl VersionWatch {
    pub fn new(expr: &Expr) -> Self {
        Self {
            plan: Plan::new(expr),
        }
    }

    /// How many series carry each version now; `None` when a scrape of `target` cannot have changed it.
    fn counts(
        &mut self,
        window: &Window,
        target: TargetId,
        at: Timestamp,
    ) -> Option<BTreeMap<String, usize>> {
        self.plan.refresh(window);
        if !self.plan.has_target(target) {
            return None;
        }
        let mut counts = BTreeMap::new();
        if let Ok(Output::Vector(vector)) = self.plan.eval(window, at) {
            for version in vector
                .iter()
                .filter_map(|(labels, _)| labels.get("version"))
            {
                // One string for each new version: the map is tiny and this runs once a scrape.
                *counts.entry(version.to_owned()).or_default() += 1;
            }
        }
        Some(counts)
    }
}

impl Engine {
    /// Infers a rollout from what runs after a scrape of `target`.
    pub(super) fn watch_versions(
        &mut self,
        target: TargetId,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(versions) = &mut self.versions else {
            return;
        };
        if let Some(counts) = versions.counts(&self.window, target, at) {
            let change = self.rollouts.observe(&counts, at);
            self.changed(change, at, out);
        }
    }

    /// A rollout that the configuration tells of begins with gated, unless the ledger knows it already.
    pub(super) fn tell_configured(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let Some(told) = self.settings.rollout.told.clone() else {
            return;
        };
        let newest = self.rollouts.all().last();
        let known = newest.is_some_and(|newest| {
            newest.version == told.version
                && told
                    .started_at
                    .is_none_or(|started| newest.told && newest.started_at == started)
        });
        if !known {
            let (version, previous_version) = (told.version, told.previous_version);
            let started_at = told.started_at;
            let told = Told {
                version,
                previous_version,
                started_at,
                ..Told::default()
            };
            let change = self.rollouts.tell(told, at);
            self.changed(change, at, out);
        }
    }
}
