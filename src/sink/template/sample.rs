//! Notices as they may come, to try a template with before it is needed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{
    Action, Decision, DecisionId, Guard, IncidentId, Notice, NoticeIncident, NoticeKind, Rollout,
    RolloutId, Severity, Timestamp, Unit,
};

/// Two of the kind: one that says everything, one that says as little as it may.
pub(super) fn notices(kind: NoticeKind) -> Vec<Notice> {
    vec![full(kind), sparse(kind)]
}

fn full(kind: NoticeKind) -> Notice {
    let at = Timestamp::from_millis(1_780_000_000_000);
    let rollback = is_rollback(kind);
    Notice {
        kind,
        at,
        decision: Decision {
            id: DecisionId("dec_00000000000000000000000000000000".into()),
            at,
            action: if rollback {
                Action::Rollback
            } else {
                Action::Escalate
            },
            asked: Action::Rollback,
            refused_by: (!rollback).then_some(Guard::Cooldown),
            guards: Vec::new(),
            trigger: "latency".into(),
            rollout: Some(RolloutId("api@2.0.0#1".into())),
            phase: "deployment".into(),
            severity: Severity::P1,
            signal: Some("api_latency_p95".into()),
            value: Some(0.612),
            unit: Unit::Seconds,
            condition: "api_latency_p95 > 500ms".into(),
            expr: "…".into(),
            held_for: Duration::from_secs(30),
            reason: "latency: api_latency_p95 > 500ms held for 30s, now 612ms".into(),
        },
        rollout: Some(rollout(at, Some("1.9.0"))),
        service: "api".into(),
        environment: "production".into(),
        labels: BTreeMap::from([("owner".into(), "team-api".into())]),
        expires_at: (kind == NoticeKind::RollbackRequested).then_some(at),
        external_url: Some("https://gated.example.com".into()),
        report: None,
        incident: Some(NoticeIncident {
            id: IncidentId("inc_00000000000000000000000000000000".into()),
            sequence: 1,
            level: Some(1),
            role: Some("on-call engineer".into()),
            acknowledged_by: (kind == NoticeKind::Notification).then(|| "ops@example.com".into()),
        }),
    }
}

fn sparse(kind: NoticeKind) -> Notice {
    let full = full(kind);
    let rollback = is_rollback(kind);
    Notice {
        decision: Decision {
            asked: full.decision.action,
            refused_by: None,
            rollout: None,
            signal: None,
            value: None,
            phase: String::new(),
            ..full.decision
        },
        rollout: rollback.then(|| rollout(full.at, None)),
        environment: String::new(),
        labels: BTreeMap::new(),
        external_url: None,
        report: None,
        incident: None,
        ..full
    }
}

/// Whether it is about a rollback, and so about a rollout.
fn is_rollback(kind: NoticeKind) -> bool {
    match kind {
        NoticeKind::RollbackRequested
        | NoticeKind::RollbackAnnounced
        | NoticeKind::RollbackCancelled
        | NoticeKind::RollbackVerified
        | NoticeKind::RollbackIneffective
        | NoticeKind::RollbackUnverified => true,
        NoticeKind::EscalationRaised
        | NoticeKind::IncidentResolved
        | NoticeKind::Notification
        | NoticeKind::ReportReady
        | NoticeKind::Test => false,
    }
}

fn rollout(at: Timestamp, previous: Option<&str>) -> Rollout {
    Rollout {
        past: std::sync::Arc::default(),
        vetoed: None,
        id: RolloutId("api@2.0.0#1".into()),
        service: "api".into(),
        environment: "production".into(),
        version: "2.0.0".into(),
        previous_version: previous.map(str::to_owned),
        started_at: at,
        seen_at: at,
        told: true,
        irreversible: false,
        baseline: BTreeMap::new(),
        turned_red: true,
        end: None,
    }
}
