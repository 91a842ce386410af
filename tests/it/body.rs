//! The webhook's default body, as a decision of the engine makes it.

use expect_test::expect;
use gated::engine::Record;
use gated::model::Guard;
use gated::model::Notice;
use gated::model::NoticeKind;
use gated::sink::render;
use serde_json::Value;

use crate::world::RULES;
use crate::world::World;
use crate::world::settings;

fn owed(world: &World) -> Vec<Notice> {
    let notice = |record| match record {
        Record::Owed(_, notice) => Some(*notice),
        _ => None,
    };
    world.records().into_iter().filter_map(notice).collect()
}

pub fn rolled_back() -> Vec<Notice> {
    let mut world = World::new(settings(RULES));
    world.rounds(60);
    world.deploy("2.0.0", 0.05);
    world.rounds(120);
    owed(&world)
}

#[test]
fn a_rollback_request_says_what_why_and_until_when() {
    let notices = rolled_back();
    let request = notices
        .iter()
        .find(|it| it.kind == NoticeKind::RollbackRequested)
        .unwrap();
    let body: Value = serde_json::from_slice(&render(request)).unwrap();
    expect![[r#"
        {
          "data": {
            "condition": "error_rate > 1%",
            "environment": "production",
            "held_for_seconds": 30.0,
            "labels": {
              "owner": "team-api"
            },
            "links": {
              "explain": "http://gated.example/explain/dec_e8faf215e69c8f0d2b16443dd2155a0a",
              "status": "http://gated.example"
            },
            "phase": "watch",
            "reason": "errors: error_rate > 1% held for 30s, now 5%",
            "rollout": {
              "id": "api@2.0.0#1",
              "previous_version": "1.0.0",
              "started_at": "2026-01-01T00:01:00.003Z",
              "version": "2.0.0"
            },
            "service": "api",
            "severity": "P1",
            "signal": "error_rate",
            "trigger": "errors",
            "unit": "ratio",
            "value": 0.05
          },
          "expires_at": "2026-01-01T00:17:00.004Z",
          "id": "dec_e8faf215e69c8f0d2b16443dd2155a0a",
          "timestamp": "2026-01-01T00:02:00.004Z",
          "type": "gated.rollback.requested"
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&body).unwrap());
}

#[test]
fn what_is_refused_says_what_was_asked_and_by_whom_it_was_refused() {
    let mut notice = rolled_back().remove(0);
    notice.kind = NoticeKind::EscalationRaised;
    notice.decision.action = gated::model::Action::Escalate;
    notice.decision.refused_by = Some(Guard::NotArmed);
    let body: Value = serde_json::from_slice(&render(&notice)).unwrap();
    assert_eq!(
        (
            &body["type"],
            &body["data"]["asked"],
            &body["data"]["refused_by"]
        ),
        (
            &"gated.escalation.raised".into(),
            &"rollback".into(),
            &"not_armed".into()
        )
    );
}

/// A service may have as many labels as it likes; a receiver takes 64 kB.
#[test]
fn w18_many_long_labels_are_counted_and_not_all_sent() {
    let mut notice = rolled_back().remove(0);
    for n in 0..5000 {
        notice
            .labels
            .insert(format!("label_{n:04}"), "\u{1}".repeat(1000));
    }
    let bytes = render(&notice);
    assert!(bytes.len() < 64_000, "{}", bytes.len());
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    let labels = body["data"]["labels"].as_object().unwrap();
    let left_out = body["data"]["labels_left_out"].as_u64().unwrap();
    assert_eq!(labels.len() as u64 + left_out, 5001);
    assert!(!labels.is_empty());
}

/// Labels, versions and reasons come from outside.
#[test]
fn hostile_text_stays_text_and_the_body_small() {
    let mut notice = rolled_back().remove(0);
    notice.decision.reason = "\"}]\u{1b}[31m\u{202e}".repeat(100_000);
    notice.decision.trigger = "\u{1}".repeat(100_000);
    notice.decision.value = Some(f64::NAN);
    let bytes = render(&notice);
    assert!(bytes.len() < 64_000, "{}", bytes.len());
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    assert!(body["data"]["value"].is_null());
    assert!(!bytes.contains(&0x1b) && !bytes.contains(&b'\n'));
}
