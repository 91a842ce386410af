//! PagerDuty's Events API v2. The routing key is part of the body by that contract, and a secret: the sender puts it in.

use serde_json::{Value, json};

use super::{explained, headline, plain};
use crate::model::{Notice, NoticeKind, Severity};
use crate::sink::body;

/// Bounds of the service; a summary is counted in characters, so bytes are on the safe side.
const SUMMARY_BYTES_MAX: usize = 1000;
const DEDUP_KEY_BYTES_MAX: usize = 255;

/// One event. Everything about one incident goes to one alert.
pub(super) fn event(notice: &Notice) -> Value {
    let decision = &notice.decision;
    let incident = notice.incident.as_ref();
    let key = incident.map_or(decision.id.as_str(), |it| it.id.as_str());
    let mut key = key.to_owned();
    key.truncate(DEDUP_KEY_BYTES_MAX);
    let acknowledged = incident.is_some_and(|it| it.acknowledged_by.is_some());
    let action = match notice.kind {
        NoticeKind::IncidentResolved => "resolve",
        NoticeKind::Notification if acknowledged => "acknowledge",
        NoticeKind::RollbackRequested
        | NoticeKind::RollbackAnnounced
        | NoticeKind::RollbackCancelled
        | NoticeKind::RollbackVerified
        | NoticeKind::RollbackIneffective
        | NoticeKind::RollbackUnverified
        | NoticeKind::EscalationRaised
        | NoticeKind::Notification
        | NoticeKind::ReportReady
        | NoticeKind::Test => "trigger",
    };
    let mut event = json!({"event_action": action, "dedup_key": key});
    if action == "trigger" {
        let said = format!(
            "{}: {}",
            headline(notice),
            plain(&decision.reason, SUMMARY_BYTES_MAX)
        );
        event["payload"] = json!({
            "summary": plain(&said, SUMMARY_BYTES_MAX),
            "source": source(notice),
            "severity": severity(decision.severity),
            "timestamp": notice.at.to_string(),
            "component": plain(&notice.service, 100),
            "class": plain(&decision.trigger, 100),
            "custom_details": body::value(notice)["data"],
        });
        event["client"] = "gated".into();
        if let Some(url) = explained(notice) {
            event["client_url"] = url.clone().into();
            event["links"] = json!([{"href": url, "text": "why"}]);
        }
    }
    event
}

fn source(notice: &Notice) -> String {
    let service = plain(&notice.service, 100);
    match notice.environment.as_str() {
        "" => service,
        environment => format!("{service} ({})", plain(environment, 100)),
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::P1 => "critical",
        Severity::P2 => "error",
        Severity::P3 => "warning",
        Severity::P4 => "info",
    }
}
