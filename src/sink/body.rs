//! The default webhook body, as documented: rendered once per delivery, stored, and sent as it is. What there is
//! nothing to say about is left out; no key is ever null. Deliberately absent: bodies of particular
//! receivers (`template`).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{Guard, Notice, Rollout};

/// Longest name (version, phase, trigger …) in bytes; what is longer is cut and marked.
const NAME_BYTES_MAX: usize = 512;
/// Longest sum of labels, in bytes as written.
const LABELS_BYTES_MAX: usize = 8192;
/// Longest sentence or condition, in bytes. With every byte escaped a body still stays below 64 kB.
const TEXT_BYTES_MAX: usize = 2048;
/// Longest report, in bytes; the whole of it stands in the folder and on the page.
const REPORT_BYTES_MAX: usize = 32 << 10;

#[derive(Serialize)]
struct Body {
    r#type: &'static str,
    timestamp: String,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    service: String,
    environment: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    /// How many labels there was no room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels_left_out: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<RolloutData>,
    phase: String,
    trigger: String,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
    /// Finite: JSON has no spelling for anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    unit: &'static str,
    condition: String,
    held_for_seconds: f64,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Links>,
    /// What was asked for, where something else is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<ReportData>,
}

#[derive(Serialize)]
struct ReportData {
    kind: String,
    date: String,
    status: &'static str,
    title: String,
    markdown: String,
}

#[derive(Serialize)]
struct RolloutData {
    id: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_version: Option<String>,
    started_at: String,
}

#[derive(Serialize)]
struct Links {
    status: String,
    explain: String,
}

/// The bytes that tell a receiver of `notice`: one line of JSON, keys in the documented order.
pub fn render(notice: &Notice) -> Vec<u8> {
    serde_json::to_vec(&body(notice)).expect("keys are words and numbers are finite")
}

/// The same, to be read.
pub(super) fn value(notice: &Notice) -> serde_json::Value {
    serde_json::to_value(body(notice)).expect("keys are words and numbers are finite")
}

fn body(notice: &Notice) -> Body {
    let decision = &notice.decision;
    let incident = notice.incident.as_ref();
    let labels = labels(&notice.labels);
    Body {
        r#type: notice.kind.word(),
        timestamp: notice.at.to_string(),
        id: decision.id.to_string(),
        expires_at: notice.expires_at.map(|at| at.to_string()),
        data: Data {
            service: name(&notice.service),
            environment: name(&notice.environment),
            labels_left_out: Some(notice.labels.len() - labels.len()).filter(|it| *it > 0),
            labels,
            rollout: notice.rollout.as_ref().map(rollout),
            phase: name(&decision.phase),
            trigger: name(&decision.trigger),
            severity: decision.severity.word(),
            signal: decision.signal.as_deref().map(name),
            value: decision.value.filter(|value| value.is_finite()),
            unit: decision.unit.word(),
            condition: cut(&decision.condition, TEXT_BYTES_MAX),
            held_for_seconds: decision.held_for.as_secs_f64(),
            reason: cut(&decision.reason, TEXT_BYTES_MAX),
            links: notice.external_url.as_ref().map(|url| Links {
                status: url.clone(),
                explain: decision.id.page(url),
            }),
            asked: (decision.asked != decision.action).then(|| decision.asked.word()),
            refused_by: decision.refused_by.map(Guard::word),
            incident: incident.map(|it| it.id.to_string()),
            sequence: incident.map(|it| it.sequence),
            level: incident.and_then(|it| it.level),
            role: incident.and_then(|it| it.role.as_deref()).map(name),
            acknowledged_by: incident
                .and_then(|it| it.acknowledged_by.as_deref())
                .map(name),
            report: notice.report.as_deref().map(|it| ReportData {
                kind: name(&it.kind),
                date: name(&it.date),
                status: it.status.word(),
                title: name(&it.title),
                markdown: cut(&it.markdown, REPORT_BYTES_MAX),
            }),
        },
    }
}

fn labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut room = LABELS_BYTES_MAX;
    let cut = labels.iter().map(|(label, text)| (name(label), name(text)));
    let fits = |(label, text): &(String, String)| {
        // Quotes, colon and comma besides.
        let written = serde_json::to_string(&(label, text)).map_or(usize::MAX, |it| it.len() + 2);
        room.checked_sub(written).map(|left| room = left).is_some()
    };
    cut.take_while(fits).collect()
}

fn rollout(it: &Rollout) -> RolloutData {
    RolloutData {
        id: name(it.id.as_str()),
        version: name(&it.version),
        previous_version: it.previous_version.as_deref().map(name),
        started_at: it.started_at.to_string(),
    }
}

fn name(text: &str) -> String {
    cut(text, NAME_BYTES_MAX)
}

/// At most `bytes_max` bytes and a mark where something is missing.
pub(super) fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = (0..=bytes_max).rfind(|&at| text.is_char_boundary(at));
    format!("{}…", &text[..end.unwrap_or(0)])
}
