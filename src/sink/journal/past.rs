//! What the ledger had at a moment, as far as that can still be told: rows say when they were made, and only the newest state
//! of each is there. For segments that begin while gated runs: their entries follow, and must not be known before.

use std::sync::Arc;

use crate::engine::Restored;
use crate::model::{Past, Timestamp};

/// `restored` without what came after `at`.
pub(super) fn as_of(mut restored: Restored, at: Timestamp) -> Restored {
    let Restored {
        rollouts,
        decisions,
        deliveries,
        triggers,
        alerts,
        groups: _,
        audit,
        verifications,
        phase_runs,
        incidents,
        attestations,
        observations,
        minutes,
        held: _,
    } = &mut restored;
    rollouts.retain(|it| it.seen_at <= at);
    for rollout in rollouts {
        rollout.end = rollout.end.take().filter(|(end, _)| *end <= at);
        // What was before a rollout is asked for while it is current.
        if rollout.end.is_some() {
            rollout.past = Arc::new(Past::default());
        }
    }
    decisions.retain(|it| it.at <= at);
    deliveries.retain(|it| it.created_at <= at);
    triggers.retain(|it| it.fired_at <= at);
    alerts.retain(|it| it.active_at <= at);
    audit.retain(|it| it.said.at <= at);
    verifications.retain(|it| it.since <= at);
    phase_runs.retain(|it| it.from <= at);
    incidents.retain(|it| it.opened_at <= at);
    attestations.retain(|it| it.at <= at);
    observations.retain(|it| it.at <= at);
    for it in minutes.iter_mut() {
        it.values.retain(|(minute, _)| *minute <= at);
        it.until = it.until.min(at);
    }
    minutes.retain(|it| it.since <= at);
    restored
}
