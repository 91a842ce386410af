//! The message that tells of a notice, as RFC 5322 has it: text and HTML beside each other, ASCII throughout. The home of
//! `mail_builder`. The same notice makes the same bytes.

use std::fmt::Write as _;

use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::MimePart;
use ring::digest;

use super::{MailConfig, Mailbox};
use crate::engine::ANNOUNCED;
use crate::model::text::{Html, acts};
use crate::model::{DeliveryKey, Notice, NoticeKind};
use crate::sink::body::cut;
use crate::sink::template::{explained, facts, headline, plain};

/// Longest subject, in bytes before it is encoded.
const SUBJECT_BYTES_MAX: usize = 200;
/// Longest text, in bytes.
const TEXT_BYTES_MAX: usize = 256 << 10;
/// A page longer than this is left out; its text stands there all the same.
const HTML_BYTES_MAX: usize = 4 << 20;
/// How every stored letter begins.
const BEGIN: &[u8] = b"Message-ID: <";

/// What a letter says, before it is encoded.
struct Said {
    subject: String,
    text: String,
    html: String,
}

pub(super) fn of(config: &MailConfig, notice: &Notice) -> Vec<u8> {
    let incident = notice.incident.as_ref();
    let sequence = incident.map_or(String::new(), |it| it.sequence.to_string());
    let id = hash(&[
        notice.decision.id.as_str(),
        notice.kind.word(),
        &notice.at.millis().to_string(),
        &sequence,
        &config.name,
    ]);
    let thread = incident.map(|it| hash(&[it.id.as_str()]));
    write(
        config,
        &id,
        thread.as_deref(),
        notice.at.millis().div_euclid(1000),
        said(notice),
    )
}

/// Whether stored bytes are a letter.
pub(super) fn is_one(stored: &[u8]) -> bool {
    stored.starts_with(BEGIN)
}

/// A letter around what was stored for a receiver of another kind.
pub(super) fn around(config: &MailConfig, key: &DeliveryKey, stored: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(stored);
    let told: serde_json::Value = serde_json::from_slice(stored).unwrap_or_default();
    let word = |it: &serde_json::Value| plain(it.as_str().unwrap_or(""), SUBJECT_BYTES_MAX / 2);
    let subject = format!("{} {}", word(&told["type"]), word(&told["data"]["service"]));
    let text = lines(&text);
    let html = page(&subject, &paragraph(&text));
    let at = told["timestamp"].as_str().and_then(|it| it.parse().ok());
    let at: crate::model::Timestamp = at.unwrap_or(crate::model::Timestamp::EPOCH);
    let said = Said {
        subject,
        text,
        html,
    };
    write(
        config,
        &hash(&[key.as_str()]),
        None,
        at.millis().div_euclid(1000),
        said,
    )
}

fn write(config: &MailConfig, id: &str, thread: Option<&str>, at: i64, said: Said) -> Vec<u8> {
    let domain = config.from.domain();
    // No text in quoted-printable or base64 holds `=_`; that of a plain one cannot know its own hash.
    let boundary = format!("=_{}", hash(&[id, &said.text, &said.html]));
    let kind = ContentType::new("multipart/alternative").attribute("boundary", boundary);
    let parts = vec![
        MimePart::new("text/plain", said.text),
        MimePart::new("text/html", said.html),
    ];
    let mut letter = MessageBuilder::new()
        .message_id(format!("{id}@{domain}"))
        .date(at)
        .from(address(&config.from))
        .to(addresses(&config.to));
    if !config.cc.is_empty() {
        letter = letter.cc(addresses(&config.cc));
    }
    if let Some(thread) = thread {
        letter = letter.header("References", MessageId::new(format!("{thread}@{domain}")));
    }
    letter
        .subject(plain(&said.subject, SUBJECT_BYTES_MAX))
        .header("Auto-Submitted", Raw::new("auto-generated"))
        .body(MimePart::new(kind, parts))
        .write_to_vec()
        .expect("memory takes what is written")
}

fn address(mailbox: &Mailbox) -> Address<'_> {
    Address::new_address(mailbox.name.as_deref(), mailbox.address())
}

fn addresses(all: &[Mailbox]) -> Address<'_> {
    Address::new_list(all.iter().map(address).collect())
}

fn said(notice: &Notice) -> Said {
    if let (NoticeKind::ReportReady, Some(report)) = (notice.kind, &notice.report) {
        let title = report.title.trim();
        let title = title.strip_prefix("Subject:").unwrap_or(title).trim();
        let status = report.status.word().to_uppercase();
        // The title may say it already.
        let subject = if title.to_uppercase().contains(&status) {
            title.to_owned()
        } else {
            format!("{title} [{status}]")
        };
        let text = lines(&report.markdown);
        let html = if report.html.is_empty() || report.html.len() > HTML_BYTES_MAX {
            page(&subject, &paragraph(&text))
        } else {
            report.html.clone()
        };
        return Said {
            subject,
            text,
            html,
        };
    }
    let reason = lines(&notice.decision.reason);
    if notice.kind == NoticeKind::Notification && notice.decision.trigger == ANNOUNCED {
        let (subject, text) = reason.split_once('\n').unwrap_or((&reason, ""));
        let subject = subject.strip_prefix("Subject:").unwrap_or(subject).trim();
        let text = text.trim().to_owned() + "\n";
        return Said {
            html: page(subject, &paragraph(&text)),
            subject: subject.to_owned(),
            text,
        };
    }
    told(notice, &reason)
}

/// What has happened, why, and the facts beside it.
fn told(notice: &Notice, reason: &str) -> Said {
    let subject = headline(notice);
    let mut text = format!("{subject}\n\n{reason}\n\n");
    let mut rows = String::new();
    for (name, fact) in facts(notice) {
        let _ = writeln!(text, "{name}: {fact}");
        let _ = write!(
            rows,
            "<tr><td>{}</td><td>{}</td></tr>",
            Html(name),
            Html(&fact)
        );
    }
    let mut html = format!(
        "<h1 style=\"font-size:1.2em\">{}</h1>{}<table>{rows}</table>",
        Html(&subject),
        paragraph(reason)
    );
    if let Some(url) = explained(notice) {
        let _ = write!(text, "\nWhy: {url}\n");
        let _ = write!(html, "<p><a href=\"{0}\">{0}</a></p>", Html(&url));
    }
    Said {
        html: page(&subject, &html),
        subject,
        text,
    }
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><title>{}</title></head><body style=\"font-family:sans-serif\">{body}</body></html>\n",
        Html(title)
    )
}

fn paragraph(text: &str) -> String {
    let lines = text.trim().lines().map(|line| Html(line).to_string());
    format!("<p>{}</p>", lines.collect::<Vec<_>>().join("<br>\n"))
}

/// Text of others with its lines, and nothing else that acts.
fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let shown = text
        .chars()
        .map(|c| if c != '\n' && acts(c) { ' ' } else { c });
    cut(&shown.collect::<String>(), TEXT_BYTES_MAX)
}

fn hash(parts: &[&str]) -> String {
    let mut whole = digest::Context::new(&digest::SHA256);
    for part in parts {
        whole.update(&(part.len() as u64).to_be_bytes());
        whole.update(part.as_bytes());
    }
    let mut text = String::new();
    for byte in whole.finish().as_ref().iter().take(16) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
