//! What Alertmanager's webhook posts (version 4), read leniently: a custom payload may lack almost everything.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::extract;
use crate::engine::{AlertPost, PostedAlert};

/// A group of some thousand alerts with long annotations.
pub const BODY_BYTES_MAX: usize = 8 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    #[serde(default)]
    group_key: Value,
    #[serde(default)]
    truncated_alerts: Value,
    /// What an alert without a status of its own has.
    #[serde(default)]
    status: Value,
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    #[serde(default)]
    status: Value,
    #[serde(default)]
    labels: BTreeMap<String, Value>,
    #[serde(default)]
    ends_at: Value,
    #[serde(default)]
    fingerprint: Value,
}

/// One post.
///
/// # Errors
/// What is no JSON object with a list of `alerts`, for a person.
pub fn parse(body: &[u8]) -> Result<AlertPost, String> {
    let post: Post = extract::object(body)
        .map_err(|error| format!("the body is not what Alertmanager's webhook sends: {error}"))?;
    let status = text(&post.status);
    Ok(AlertPost {
        group: text(&post.group_key),
        whole: post.truncated_alerts.as_u64().unwrap_or(0) == 0,
        alerts: post
            .alerts
            .into_iter()
            .map(|it| alert(&it, &status))
            .collect(),
    })
}

fn alert(alert: &Alert, of_post: &str) -> PostedAlert {
    let labels: BTreeMap<String, String> = alert
        .labels
        .iter()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect();
    let fingerprint = text(&alert.fingerprint);
    let status = text(&alert.status);
    let status = if status.is_empty() { of_post } else { &status };
    PostedAlert {
        // The labels are what an alert is told by.
        fingerprint: if fingerprint.is_empty() {
            format!("{labels:?}")
        } else {
            fingerprint
        },
        firing: !status.eq_ignore_ascii_case("resolved"),
        labels,
        // 0001-01-01 while it fires: before any time there is.
        ends_at: text(&alert.ends_at).parse().ok(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_4_and_less_is_read_and_garbage_is_not() {
        let read = |text: &str| parse(text.as_bytes());
        let post = read(
            r#"{"version":"4","groupKey":"{}:{}","truncatedAlerts":0,"status":"firing","receiver":"gated",
            "notification_reason":"first notification","alerts":[{"status":"firing","labels":{"alertname":"A","n":5},
            "startsAt":"2026-01-01T00:00:00Z","endsAt":"0001-01-01T00:00:00Z","fingerprint":"ab"},
            {"status":"resolved","labels":{"alertname":"B"},"endsAt":"2026-01-01T00:00:00.5Z"}]}"#,
        )
        .unwrap();
        assert!(post.whole && post.group == "{}:{}");
        let [a, b] = &post.alerts[..] else {
            panic!("{post:?}");
        };
        assert_eq!(
            (a.fingerprint.as_str(), a.firing, a.labels["n"].as_str()),
            ("ab", true, "5")
        );
        assert!(a.ends_at.is_none_or(|it| it.millis() < 0), "{a:?}");
        assert!(!b.firing && b.fingerprint.contains('B') && b.ends_at.is_some());
        let bare = read(r#"{"status":"resolved","truncatedAlerts":3,"alerts":[{}]}"#).unwrap();
        assert!(!bare.whole && !bare.alerts[0].firing);
        assert_eq!(read(r#"{"alerts":[]}"#).unwrap().alerts, []);
        for garbage in ["", "x", "[]", "{}", r#"{"alerts":5}"#, r#"{"alerts":[1]}"#] {
            assert!(read(garbage).is_err(), "{garbage}");
        }
    }
}
