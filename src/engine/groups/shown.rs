//! Groups as the snapshot shows them.

use super::GroupWatch;
use crate::engine::AlertingState;
use crate::engine::GroupState;
use crate::engine::RuleState;
use crate::rules::RuleKind;

pub(super) fn shown(watch: &GroupWatch) -> GroupState {
    let group = &watch.group;
    let rules = group.rules.iter().map(|rule| RuleState {
        name: rule.name.clone(),
        expr: rule.expr.clone(),
        labels: rule.labels.clone(),
        health: rule.health.clone(),
        evaluated_at: rule.evaluated_at,
        alerting: match &rule.kind {
            RuleKind::Record => None,
            RuleKind::Alert {
                timing,
                annotations,
                alerts,
                ..
            } => Some(AlertingState {
                hold: timing.hold,
                keep_firing_for: timing.keep_firing_for,
                annotations: annotations.clone(),
                alerts: alerts.active().cloned().collect(),
            }),
        },
    });
    GroupState {
        name: group.name.clone(),
        file: group.file.clone(),
        interval: group.interval,
        limit: group.limit,
        evaluated_at: group.evaluated_at,
        rules: rules.collect(),
    }
}
