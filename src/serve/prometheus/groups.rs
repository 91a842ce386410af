//! Rule groups as JSON: those of Prometheus' files, and gated's own triggers as one group for each phase.

use serde_json::Value;
use serde_json::json;

use super::wire::NEVER;
use super::wire::metric;
use super::wire::number;
use crate::engine::AlertState;
use crate::engine::AlertingState;
use crate::engine::GroupState;
use crate::engine::Health;
use crate::engine::Outcome;
use crate::engine::RuleAlert;
use crate::engine::RuleState;
use crate::engine::Snapshot;
use crate::engine::TriggerState;
use crate::model::Timestamp;

/// What stands for the time that a group or a rule took. The engine has no clock, so nobody has measured it; the page of
/// metrics tells what inputs as a whole cost.
const NOT_MEASURED: f64 = 0.0;

pub(super) fn group_json(group: &GroupState) -> Value {
    let rules: Vec<Value> = group.rules.iter().map(rule_json).collect();
    json!({
        "name": group.name,
        "file": group.file,
        "interval": group.interval.as_secs_f64(),
        "limit": group.limit,
        "rules": rules,
        "evaluationTime": NOT_MEASURED,
        "lastEvaluation": evaluated(group.evaluated_at),
    })
}

fn evaluated(at: Option<Timestamp>) -> String {
    at.map_or_else(|| NEVER.to_owned(), |at| at.to_string())
}

fn rule_json(rule: &RuleState) -> Value {
    let (health, error) = match &rule.health {
        Health::Unknown => ("unknown", ""),
        Health::Good => ("ok", ""),
        Health::Bad(why) => ("err", why.as_str()),
    };
    let mut shown = json!({
        "name": rule.name,
        "query": rule.expr,
        "labels": rule.labels,
        "health": health,
        "evaluationTime": NOT_MEASURED,
        "lastEvaluation": evaluated(rule.evaluated_at),
        "type": "recording",
    });
    if !error.is_empty() {
        shown["lastError"] = error.into();
    }
    if let Some(AlertingState {
        hold,
        keep_firing_for,
        annotations,
        alerts,
    }) = &rule.alerting
    {
        shown["type"] = "alerting".into();
        shown["duration"] = hold.as_secs_f64().into();
        shown["keepFiringFor"] = keep_firing_for.as_secs_f64().into();
        shown["annotations"] = json!(annotations);
        shown["alerts"] = alerts.iter().map(alert_json).collect();
        let firing = alerts.iter().any(|it| it.state == AlertState::Firing);
        shown["state"] = match (firing, alerts.is_empty()) {
            (true, _) => "firing",
            (false, false) => "pending",
            (false, true) if rule.evaluated_at.is_none() => "unknown",
            (false, true) => "inactive",
        }
        .into();
    }
    shown
}

fn alert_json(alert: &RuleAlert) -> Value {
    let mut shown = json!({
        "labels": metric(&alert.labels),
        "annotations": alert.annotations,
        "state": match alert.state {
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
            AlertState::Resolved { .. } => "inactive",
        },
        "activeAt": alert.active_at.to_string(),
        "value": exponent(alert.value),
    });
    if let Some(since) = alert.keep_firing_since {
        shown["keepFiringSince"] = since.to_string().into();
    }
    shown
}

/// As Go's `'e'` writes it: `1.5e+01`.
fn exponent(value: f64) -> String {
    if !value.is_finite() {
        return number(value);
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(rest) => ('-', rest),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// gated's own triggers that are judged now, a group for each phase.
pub(super) fn own_groups(snapshot: &Snapshot) -> Vec<Value> {
    let mut groups: Vec<(String, Vec<Value>)> = Vec::new();
    for trigger in &snapshot.triggers {
        let rule = own_rule(trigger);
        match groups.iter_mut().find(|(name, _)| *name == trigger.phase) {
            Some((_, rules)) => rules.push(rule),
            None => groups.push((trigger.phase.clone(), vec![rule])),
        }
    }
    let evaluated = evaluated(snapshot.verdict.evaluated_at);
    groups
        .into_iter()
        .map(|(name, rules)| {
            json!({
                "name": name, "file": "gated", "interval": 0.0, "limit": 0, "rules": rules,
                "evaluationTime": NOT_MEASURED, "lastEvaluation": evaluated,
            })
        })
        .collect()
}

fn own_rule(trigger: &TriggerState) -> Value {
    let state = match trigger.outcome {
        Outcome::Firing => "firing",
        Outcome::Pending => "pending",
        Outcome::Unknown => "unknown",
        Outcome::Quiet | Outcome::Met | Outcome::Missed => "inactive",
    };
    let alerts: Vec<Value> = trigger
        .active_at
        .iter()
        .map(|at| {
            json!({
                "labels": {"alertname": trigger.name, "severity": trigger.severity.word(), "series": trigger.series},
                "annotations": {}, "state": state, "activeAt": at.to_string(), "value": "",
            })
        })
        .collect();
    json!({
        "name": trigger.name, "query": trigger.condition, "duration": 0.0, "keepFiringFor": 0.0,
        "labels": {"severity": trigger.severity.word(), "gated_do": trigger.action.word()},
        "annotations": {}, "alerts": alerts, "health": "ok", "evaluationTime": NOT_MEASURED,
        "lastEvaluation": evaluated(None), "type": "alerting", "state": state,
    })
}
