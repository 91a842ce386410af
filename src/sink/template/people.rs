//! Messages that people read: Slack's incoming webhook, an Adaptive Card for Teams. What comes from outside stands in
//! them as text: no mention, link or mark-up can be made of it.

use serde_json::{Value, json};

use super::{explained, facts, headline, plain};
use crate::model::{Notice, NoticeKind, Severity};

const REASON_BYTES_MAX: usize = 2000;
/// Slack refuses a longer header.
const SLACK_HEADER_CHARS_MAX: usize = 150;

/// `text` is what a phone shows; `blocks` what the channel shows.
pub(super) fn slack(notice: &Notice) -> Value {
    let headline = headline(notice);
    let reason = plain(&notice.decision.reason, REASON_BYTES_MAX);
    let header: String = headline.chars().take(SLACK_HEADER_CHARS_MAX).collect();
    let fields = facts(notice).into_iter().take(10);
    let fields: Vec<Value> = fields
        .map(|(name, text)| json!({"type": "plain_text", "text": format!("{name}: {text}")}))
        .collect();
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": header}}),
        json!({"type": "section", "text": {"type": "plain_text", "text": filled(&reason)}}),
        json!({"type": "section", "fields": fields}),
    ];
    if let Some(url) = explained(notice) {
        let link = format!("<{}|why>", mrkdwn(&url));
        blocks.push(json!({"type": "context", "elements": [{"type": "mrkdwn", "text": link}]}));
    }
    json!({"text": mrkdwn(&format!("{headline}: {reason}")), "blocks": blocks})
}

/// Slack refuses a block without text.
fn filled(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// The three characters from which Slack makes mentions and links.
fn mrkdwn(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Well below the 28 kB that a workflow takes.
pub(super) fn teams(notice: &Notice) -> Value {
    let color = match (notice.kind, notice.decision.severity) {
        (NoticeKind::IncidentResolved | NoticeKind::RollbackVerified, _) => "Good",
        (_, Severity::P1 | Severity::P2) => "Attention",
        (_, Severity::P3 | Severity::P4) => "Warning",
    };
    let mut body = vec![
        // Text runs, unlike text blocks and facts, are no Markdown.
        rich(&[
            json!({"type": "TextRun", "text": headline(notice), "weight": "Bolder",
                      "size": "Medium", "color": color}),
        ]),
        rich(&[run(&plain(&notice.decision.reason, REASON_BYTES_MAX))]),
    ];
    let facts = facts(notice).into_iter();
    body.extend(facts.map(|(name, text)| {
        let name = json!({"type": "TextRun", "text": format!("{name}: "), "weight": "Bolder"});
        rich(&[name, run(&text)])
    }));
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard", "version": "1.2", "body": body,
        "msteams": {"width": "full"},
    });
    if let Some(url) = explained(notice) {
        card["actions"] = json!([{"type": "Action.OpenUrl", "title": "Why", "url": url}]);
    }
    let attachment = json!({
        "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card,
    });
    json!({"type": "message", "attachments": [attachment]})
}

fn rich(inlines: &[Value]) -> Value {
    json!({"type": "RichTextBlock", "inlines": inlines})
}

fn run(text: &str) -> Value {
    json!({"type": "TextRun", "text": filled(text)})
}
