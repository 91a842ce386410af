//! The event that a dry run sends to a receiver that says that it takes one. Whatever can be read in it says that it is
//! a test.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::model::{Action, Decision, DecisionId, Notice, NoticeKind, Severity, Timestamp, Unit};

const TEST: &str = "test";

/// A notice about nothing: no rollout, no incident, nothing to go back to, the lowest severity.
pub fn test_event(id: DecisionId, service: &str, environment: &str, at: Timestamp) -> Notice {
    Notice {
        kind: NoticeKind::Test,
        at,
        decision: Decision {
            id,
            at,
            action: Action::Notify,
            asked: Action::Notify,
            refused_by: None,
            guards: Vec::new(),
            trigger: TEST.to_owned(),
            rollout: None,
            phase: TEST.to_owned(),
            severity: Severity::P4,
            signal: None,
            value: None,
            unit: Unit::None,
            condition: TEST.to_owned(),
            expr: String::new(),
            held_for: Duration::ZERO,
            reason: "gated.test: a dry run tries this hook; nothing has happened and nothing is to be done"
                .to_owned(),
        },
        rollout: None,
        service: service.to_owned(),
        environment: environment.to_owned(),
        labels: BTreeMap::new(),
        expires_at: None,
        external_url: None,
        report: None,
        incident: None,
    }
}

/// Whether a body has the event's type as a value of its own, by which a machine knows it.
pub fn says_so(body: &[u8]) -> bool {
    fn holds(value: &Value) -> bool {
        match value {
            Value::String(text) => text == NoticeKind::Test.word(),
            Value::Array(list) => list.iter().any(holds),
            Value::Object(map) => map.values().any(holds),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    serde_json::from_slice(body).is_ok_and(|value| holds(&value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::template::Template;

    #[test]
    fn only_a_value_of_its_own_says_that_it_is_a_test() {
        let id = DecisionId("test_1".to_owned());
        let notice = test_event(id, "api", "production", Timestamp::EPOCH);
        assert!(says_so(&Template::Generic.render(&notice).unwrap()));
        assert!(says_so(br#"{"inputs": [{"kind": "gated.test"}]}"#));
        for body in [
            &b"gated.test"[..],
            br#"{"ref": "main"}"#,
            br#"{"text": "gated.test: it"}"#,
            br#"{"gated.test": 1}"#,
        ] {
            assert!(!says_so(body), "{}", String::from_utf8_lossy(body));
        }
    }
}
