//! Mail as a receiver: what is written, read again by Python's `email`; how it is handed over, to a server that says what a
//! server may say; and the real binary that writes, waits and asks again.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gated::engine::Attempted;
use gated::model::{DeliveryKey, Notice, NoticeKind, NoticeReport, Status, Timestamp};
use gated::sink::{Mail, MailConfig, MailTls, SmtpConfig, render};
use serde_json::Value;
use tempfile::TempDir;

use crate::binary::{Exporter, House, Receiver, Said, eventually, told};
use crate::body::rolled_back;
use crate::peers::installed;
use crate::post_office::{Papers, PostOffice, Turn, Way};

const PASSWORD: &str = "correct horse";

fn config() -> MailConfig {
    MailConfig {
        name: "ops-mail".into(),
        from: "gated, für alle <gated@example.com>".parse().unwrap(),
        to: vec![
            "Operations <ops@example.com>".parse().unwrap(),
            "lead@example.com".parse().unwrap(),
        ],
        cc: vec!["archive@example.com".parse().unwrap()],
        smtp: SmtpConfig {
            host: "localhost".into(),
            port: 9,
            tls: MailTls::None,
            login: None,
            timeout: Duration::from_secs(10),
            ca_file: None,
            hello: Some("gated.example.com".into()),
        },
    }
}

fn notice(kind: NoticeKind) -> Notice {
    let mut all = rolled_back().into_iter();
    let mut notice = all
        .find(|it| it.kind == NoticeKind::RollbackRequested)
        .unwrap();
    notice.kind = kind;
    notice
}

/// What Python's `email` makes of a message: headers, texts, and whatever it finds wrong.
fn parsed(letter: &[u8]) -> Value {
    const READ: &str = r#"
import email, email.policy, json, sys
raw = sys.stdin.buffer.read()
it = email.message_from_bytes(raw, policy=email.policy.default)
defects = [repr(d) for part in it.walk() for d in part.defects]
defects += [repr(d) for part in it.walk() for h in part.values() for d in h.defects]
print(json.dumps({
  "headers": [[k, str(v)] for k, v in it.items()],
  "addresses": {k: [[a.display_name, a.addr_spec] for a in it[k].addresses] for k in ("From", "To", "Cc") if it[k]},
  "date": it["Date"].datetime.isoformat(),
  "type": it.get_content_type(),
  "parts": [[p.get_content_type(), p.get_content()] for p in it.iter_parts()],
  "defects": defects,
  "longest": max(len(line) for line in raw.split(b"\r\n")),
  "bare": raw.replace(b"\r\n", b"").count(b"\n") + raw.replace(b"\r\n", b"").count(b"\r"),
  "ascii": raw.isascii(),
}))
"#;
    let mut python = Command::new(installed("python3", "python3"))
        .args(["-c", READ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(letter).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(letter)
    );
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read["defects"], serde_json::json!([]), "{read}");
    assert_eq!((&read["bare"], &read["ascii"]), (&0.into(), &true.into()));
    assert!(read["longest"].as_u64().unwrap() <= 998, "{read}");
    read
}

fn header<'a>(read: &'a Value, name: &str) -> Vec<&'a str> {
    let all = read["headers"].as_array().unwrap().iter();
    let named = all.filter(|it| it[0] == name);
    named.map(|it| it[1].as_str().unwrap()).collect()
}

fn part(read: &Value, at: usize) -> String {
    read["parts"][at][1].as_str().unwrap().replace("\r\n", "\n")
}

#[test]
fn every_kind_of_notice_makes_a_message_that_others_can_read() {
    let mail = Mail::new(config());
    let mut ids = Vec::new();
    for kind in NoticeKind::ALL {
        let notice = notice(*kind);
        let letter = mail.render(&notice);
        assert_eq!(
            letter,
            mail.render(&notice),
            "the same notice, the same bytes"
        );
        let read = parsed(&letter);
        assert_eq!(read["type"], "multipart/alternative");
        assert_eq!(header(&read, "Auto-Submitted"), ["auto-generated"]);
        assert_eq!(header(&read, "MIME-Version"), ["1.0"]);
        let from = serde_json::json!([["gated, für alle", "gated@example.com"]]);
        assert_eq!(read["addresses"]["From"], from);
        let to = serde_json::json!([["Operations", "ops@example.com"], ["", "lead@example.com"]]);
        assert_eq!(read["addresses"]["To"], to);
        let cc = serde_json::json!([["", "archive@example.com"]]);
        assert_eq!(read["addresses"]["Cc"], cc);
        let at: jiff::Timestamp = read["date"].as_str().unwrap().parse().unwrap();
        assert_eq!(at.as_second(), notice.at.millis() / 1000);
        let (text, html) = (part(&read, 0), part(&read, 1));
        assert_eq!(read["parts"][0][0], "text/plain");
        assert_eq!(read["parts"][1][0], "text/html");
        for says in [&*notice.decision.reason, "Version: 2.0.0", "Phase: watch"] {
            assert!(text.contains(says), "{says}: {text}");
        }
        assert!(html.contains("error_rate &gt; 1%"), "{html}");
        let why = format!("http://gated.example/explain/{}", notice.decision.id);
        assert!(text.contains(&why) && html.contains(&why));
        ids.extend(header(&read, "Message-ID").into_iter().map(str::to_owned));
    }
    let subject = |kind| {
        let read = parsed(&mail.render(&notice(kind)));
        header(&read, "Subject")[0].to_owned()
    };
    assert_eq!(
        subject(NoticeKind::RollbackRequested),
        "P1 Rollback requested: api 2.0.0 (production)"
    );
    assert!(subject(NoticeKind::Test).contains("A test, nothing has happened"));
    assert!(
        ids.iter().all(|it| it.ends_with("@example.com>")),
        "{ids:?}"
    );
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "each has an id of its own");
    // Two receivers of one notice get two messages.
    let other = Mail::new(MailConfig {
        name: "other".into(),
        ..config()
    });
    let id = |mail: &Mail| {
        let read = parsed(&mail.render(&notice(NoticeKind::EscalationRaised)));
        header(&read, "Message-ID")[0].to_owned()
    };
    assert_ne!(id(&mail), id(&other));
}

#[test]
fn hostile_words_stay_words() {
    let mail = Mail::new(config());
    let mut notice = notice(NoticeKind::EscalationRaised);
    notice.service = "api\r\nBcc: everybody@example.com\r\n\r\nbody 🚀 \u{202e}x".into();
    notice.environment = "ü".repeat(500);
    notice.decision.reason =
        "<script>alert(1)</script>\r\n.\r\nQUIT\r\n--=_x\r\nline\u{0}\u{7}\n".repeat(50);
    notice.decision.phase = "x".repeat(5000);
    let letter = mail.render(&notice);
    let read = parsed(&letter);
    assert!(header(&read, "Bcc").is_empty(), "{read}");
    let subject = header(&read, "Subject");
    assert_eq!(subject.len(), 1);
    assert!(
        subject[0].contains("api  Bcc: everybody@example.com"),
        "{subject:?}"
    );
    assert!(subject[0].contains('🚀') && !subject[0].contains('\u{202e}'));
    assert!(subject[0].len() <= 210, "{subject:?}");
    assert_eq!(read["parts"].as_array().unwrap().len(), 2, "{read}");
    let (text, html) = (part(&read, 0), part(&read, 1));
    assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"));
    assert!(
        text.contains("\n.\nQUIT\n") && !text.contains('\u{0}'),
        "{text:?}"
    );
}

#[test]
fn a_report_is_its_markdown_and_its_page() {
    let mail = Mail::new(config());
    let mut notice = notice(NoticeKind::ReportReady);
    let report = |title: &str| {
        Some(Arc::new(NoticeReport {
            kind: "day".into(),
            date: "2026-12-01".into(),
            status: Status::Amber,
            title: title.into(),
            markdown: "# Day\n\n- **Uptime**: 99,9 %\n.\n".into(),
            html: format!("<!DOCTYPE html><p>Uptime ✓{}</p>", "x".repeat(300_000)),
        }))
    };
    notice.report = report("Subject: Day 1 – End of Day");
    let read = parsed(&mail.render(&notice));
    assert_eq!(header(&read, "Subject"), ["Day 1 – End of Day [AMBER]"]);
    assert_eq!(part(&read, 0), "# Day\n\n- **Uptime**: 99,9 %\n.\n");
    let page = part(&read, 1);
    assert!(page.starts_with("<!DOCTYPE html><p>Uptime ✓xxx") && page.len() > 300_000);
    // What the title says already is not said again.
    notice.report = report("Status: Amber");
    let read = parsed(&mail.render(&notice));
    assert_eq!(header(&read, "Subject"), ["Status: Amber"]);
}

#[test]
fn an_announcement_is_its_own_words() {
    let mail = Mail::new(config());
    let mut notice = notice(NoticeKind::Notification);
    notice.decision.trigger = gated::engine::ANNOUNCED.into();
    notice.decision.reason = "Subject: 🚀 Atlas Now Live!\n\nDear <all>,\n\nbye\n".into();
    let read = parsed(&mail.render(&notice));
    assert_eq!(header(&read, "Subject"), ["🚀 Atlas Now Live!"]);
    assert_eq!(part(&read, 0), "Dear <all>,\n\nbye\n");
    let html = part(&read, 1);
    assert!(
        html.contains("Dear &lt;all&gt;,<br>") && !html.contains("P1"),
        "{html}"
    );
}

/// A folder with the files that a configuration names.
struct Desk {
    folder: TempDir,
    papers: Papers,
}

impl Desk {
    fn new() -> Self {
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
            papers: Papers::new("localhost"),
        };
        fs::write(desk.path("password"), format!("{PASSWORD}\n")).unwrap();
        fs::write(desk.path("ca.pem"), &desk.papers.authority_pem).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, office: &PostOffice, tls: MailTls) -> MailConfig {
        let mut config = config();
        config.smtp.port = office.port();
        config.smtp.tls = tls;
        config.smtp.ca_file = Some(self.path("ca.pem"));
        config
    }

    fn with_login(&self, office: &PostOffice, tls: MailTls) -> MailConfig {
        let mut config = self.config(office, tls);
        config.smtp.login = Some(("gated".into(), self.path("password")));
        config
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

async fn attempt(config: MailConfig, letter: &[u8]) -> Attempted {
    let key = DeliveryKey("msg_1".into());
    let mail = Mail::new(config);
    mail.attempt(&key, Bytes::copy_from_slice(letter), now())
        .await
}

fn letter() -> Vec<u8> {
    let mut notice = notice(NoticeKind::EscalationRaised);
    notice.decision.reason = ".\n..\n.QUIT\nend".into();
    Mail::new(config()).render(&notice)
}

fn replied(code: u16, text: &str) -> Attempted {
    let text = text.to_owned();
    Attempted::Replied { code, text }
}

#[tokio::test]
async fn what_was_stored_arrives_whole_over_each_way() {
    let desk = Desk::new();
    let letter = letter();
    for (way, tls) in [
        (Way::Plain, MailTls::None),
        (Way::StartTls, MailTls::StartTls),
        (Way::Implicit, MailTls::Implicit),
    ] {
        let login = Some(("gated", PASSWORD));
        let office = PostOffice::open(way, &desk.papers, login, |_, _| None);
        for _ in 0..2 {
            let outcome = attempt(desk.with_login(&office, tls), &letter).await;
            assert_eq!(outcome, replied(250, "2.0.0 taken"), "{way:?}");
        }
        let taken = office.letters();
        assert_eq!(taken.len(), 2);
        for it in taken {
            assert_eq!(it.bytes, letter, "{way:?}");
            assert_eq!(it.from, "gated@example.com");
            let to = ["ops@example.com", "lead@example.com", "archive@example.com"];
            assert_eq!(it.to, to);
            assert_eq!(it.tls, way != Way::Plain);
            let login = ("gated".to_owned(), PASSWORD.to_owned());
            assert_eq!(it.login, Some(login));
        }
        let said = office.lines();
        assert!(
            said.contains(&"EHLO gated.example.com".to_owned()),
            "{said:?}"
        );
        assert_eq!(said.last().unwrap(), "QUIT");
    }
}

#[tokio::test]
async fn who_offers_only_login_is_told_so_and_who_has_no_name_says_its_address() {
    let desk = Desk::new();
    let login = Some(("gated", PASSWORD));
    let office = PostOffice::open(Way::Implicit, &desk.papers, login, |step, _| {
        (step == "EHLO").then(|| Turn::Say("250-post.example\r\n250 AUTH LOGIN".into()))
    });
    let mut config = desk.with_login(&office, MailTls::Implicit);
    config.smtp.hello = None;
    assert_eq!(
        attempt(config, &letter()).await,
        replied(250, "2.0.0 taken")
    );
    assert_eq!(office.lines()[0], "EHLO [127.0.0.1]");
    assert_eq!(office.letters()[0].login.as_ref().unwrap().1, PASSWORD);
}

/// Step, what the server says there, what becomes of the attempt.
#[tokio::test]
async fn each_refusal_is_told_by_its_code() {
    let desk = Desk::new();
    let refusals = [
        ("greet", "421 4.3.2 busy", 421, "4.3.2 busy"),
        ("greet", "554 5.7.1 not you", 554, "5.7.1 not you"),
        ("EHLO", "502 no", 502, "no"),
        (
            "AUTH",
            "454 4.7.0 later correct horse",
            454,
            "it does not take gated's name and password",
        ),
        (
            "AUTH",
            "535 5.7.8 no AGdhdGVkAGNvcnJlY3QgaG9yc2U=",
            535,
            "it does not take gated's name and password",
        ),
        ("MAIL", "553 5.1.8 who?", 553, "5.1.8 who?"),
        ("RCPT", "451 4.7.1 greylisted", 451, "4.7.1 greylisted"),
        (
            "RCPT",
            "550-5.1.1 nobody\r\n550 5.1.1 of that name",
            550,
            "5.1.1 nobody of that name",
        ),
        ("DATA", "451 4.3.0 full", 451, "4.3.0 full"),
        (
            ".",
            "552 5.3.4 correct horse\x1b[31m",
            552,
            "5.3.4 [secret]\\u{1b}[31m",
        ),
        (".", "451 4.3.0 later", 451, "4.3.0 later"),
    ];
    for (step, said, code, text) in refusals {
        let login = Some(("gated", PASSWORD));
        let office = PostOffice::open(Way::Implicit, &desk.papers, login, move |at, _| {
            at.starts_with(step).then(|| Turn::Say(said.into()))
        });
        let outcome = attempt(desk.with_login(&office, MailTls::Implicit), &letter()).await;
        assert_eq!(outcome, replied(code, text), "{step}: {said}");
        assert!(office.letters().is_empty());
    }
}

#[tokio::test]
async fn one_address_that_is_refused_keeps_the_mail_from_nobody_else() {
    let desk = Desk::new();
    let office = PostOffice::open(Way::Plain, &desk.papers, None, |step, _| {
        step.contains("lead@")
            .then(|| Turn::Say("550 5.1.1 unknown".into()))
    });
    let outcome = attempt(desk.config(&office, MailTls::None), &letter()).await;
    let text = "2.0.0 taken; not taken for lead@example.com: 550 5.1.1 unknown";
    assert_eq!(outcome, replied(250, text));
    let to = ["ops@example.com", "lead@example.com", "archive@example.com"];
    assert_eq!(office.letters()[0].to, to);
    // Where nobody is taken, one that may be taken later decides.
    let office = PostOffice::open(Way::Plain, &desk.papers, None, |step, _| {
        let said = if step.contains("lead@") {
            "450 later"
        } else {
            "550 never"
        };
        step.starts_with("RCPT").then(|| Turn::Say(said.into()))
    });
    let outcome = attempt(desk.config(&office, MailTls::None), &letter()).await;
    assert_eq!(outcome, replied(450, "later"));
}

fn nothing(outcome: &Attempted, reached_after_all: bool, says: &str) {
    let Attempted::NoAnswer { reason, reached } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(*reached, reached_after_all, "{reason}");
    assert!(reason.contains(says), "{reason}");
    assert!(!reason.contains(PASSWORD), "{reason}");
}

#[tokio::test]
async fn an_answer_that_is_lost_is_known_from_a_mail_that_never_left() {
    let desk = Desk::new();
    for (step, turn, reached) in [
        ("greet", Turn::Leave, false),
        ("RCPT", Turn::Leave, false),
        ("DATA", Turn::Leave, false),
        (".", Turn::Leave, true),
        ("RCPT", Turn::Hang, false),
        (".", Turn::Hang, true),
        (".", Turn::Say("what?".into()), true),
    ] {
        let hangs = matches!(turn, Turn::Hang);
        let said = turn.clone();
        let office = PostOffice::open(Way::Plain, &desk.papers, None, move |at, _| {
            at.starts_with(step).then(|| said.clone())
        });
        let mut config = desk.config(&office, MailTls::None);
        if hangs {
            config.smtp.timeout = Duration::from_millis(400);
        }
        let outcome = attempt(config, &letter()).await;
        let says = if hangs {
            "timed out"
        } else {
            "the conversation broke off"
        };
        nothing(&outcome, reached, says);
        assert_eq!(
            office.letters().len(),
            usize::from(reached && !matches!(turn, Turn::Say(_)))
        );
    }
    // Nobody is there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let mut config = config();
    config.smtp.port = port;
    nothing(
        &attempt(config.clone(), &letter()).await,
        false,
        "no connection to localhost",
    );
    config.smtp.host = "no-such-host.invalid".into();
    nothing(
        &attempt(config.clone(), &letter()).await,
        false,
        "mend `host` of [smtp]",
    );
    config.smtp.login = Some(("gated".into(), "no-such-file".into()));
    nothing(
        &attempt(config, &letter()).await,
        false,
        "password_file no-such-file cannot be read",
    );
}

/// Whoever stands in between may take STARTTLS out of the offers, speak before TLS, or show another certificate.
#[tokio::test]
async fn nothing_is_said_in_plain_text_where_tls_was_asked_for() {
    let desk = Desk::new();
    let said = |office: &PostOffice| office.lines().join("\n");
    let login = Some(("gated", PASSWORD));
    let stripped = PostOffice::open(Way::Plain, &desk.papers, login, |_, _| None);
    let outcome = attempt(desk.with_login(&stripped, MailTls::StartTls), &letter()).await;
    nothing(&outcome, false, "it offers no STARTTLS");
    assert_eq!(said(&stripped), "EHLO gated.example.com");

    let refusing = PostOffice::open(Way::StartTls, &desk.papers, login, |step, _| {
        (step == "STARTTLS").then(|| Turn::Say("454 4.7.0 no TLS today".into()))
    });
    let outcome = attempt(desk.with_login(&refusing, MailTls::StartTls), &letter()).await;
    assert_eq!(outcome, replied(454, "4.7.0 no TLS today"));
    assert_eq!(said(&refusing), "EHLO gated.example.com\nSTARTTLS");

    // All that the true server would say, said before: it must not be taken for its words.
    let injected = PostOffice::open(Way::StartTls, &desk.papers, login, |step, _| {
        let words = "220 go ahead\r\n250 post\r\n235 in\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken";
        (step == "STARTTLS").then(|| Turn::Say(words.into()))
    });
    let mut config = desk.config(&injected, MailTls::StartTls);
    config.smtp.timeout = Duration::from_secs(3);
    nothing(&attempt(config, &letter()).await, false, "");
    assert!(injected.letters().is_empty());

    for (papers, ca, says) in [
        (
            Papers::new("other.example"),
            true,
            "for another name: write the name that it is for in `host` of [smtp]",
        ),
        (Papers::new("localhost"), false, "not trusted here"),
    ] {
        for (way, tls) in [
            (Way::StartTls, MailTls::StartTls),
            (Way::Implicit, MailTls::Implicit),
        ] {
            let office = PostOffice::open(way, &papers, login, |_, _| None);
            let mut config = desk.with_login(&office, tls);
            if ca {
                fs::write(desk.path("other.pem"), &papers.authority_pem).unwrap();
                config.smtp.ca_file = Some(desk.path("other.pem"));
            }
            nothing(&attempt(config, &letter()).await, false, says);
            assert!(!said(&office).contains("AUTH"), "{}", said(&office));
        }
    }
}

#[tokio::test]
async fn a_server_that_never_stops_talking_is_not_listened_to() {
    let desk = Desk::new();
    let endless = "250-x\r\n".repeat(200_000);
    for (way, tls) in [
        (Way::Plain, MailTls::None),
        (Way::StartTls, MailTls::StartTls),
        (Way::Implicit, MailTls::Implicit),
    ] {
        let said = endless.clone();
        let office = PostOffice::open(way, &desk.papers, None, move |step, _| {
            (step == "EHLO").then(|| Turn::Say(said.clone()))
        });
        let began = Instant::now();
        nothing(
            &attempt(desk.config(&office, tls), &letter()).await,
            false,
            "",
        );
        assert!(began.elapsed() < Duration::from_secs(8), "{way:?}");
    }
    let line = "x".repeat(2 << 20);
    let office = PostOffice::open(Way::Plain, &desk.papers, None, move |step, _| {
        (step == "EHLO").then(|| Turn::Say(line.clone()))
    });
    nothing(
        &attempt(desk.config(&office, MailTls::None), &letter()).await,
        false,
        "",
    );
}

#[tokio::test]
async fn what_was_stored_for_a_receiver_of_another_kind_is_mailed_all_the_same() {
    let desk = Desk::new();
    let office = PostOffice::open(Way::Plain, &desk.papers, None, |_, _| None);
    let stored = render(&notice(NoticeKind::EscalationRaised));
    for _ in 0..2 {
        let outcome = attempt(desk.config(&office, MailTls::None), &stored).await;
        assert_eq!(outcome, replied(250, "2.0.0 taken"));
    }
    let [one, two] = &office.letters()[..] else {
        panic!();
    };
    assert_eq!(one.bytes, two.bytes);
    let read = parsed(&one.bytes);
    assert_eq!(header(&read, "Subject"), ["gated.escalation.raised api"]);
    let body: Value = serde_json::from_str(&part(&read, 0)).unwrap();
    assert_eq!(body["type"], "gated.escalation.raised");
}

const ESCALATES: &str = r#"
clock = "rollout"
[signals.broken]
title = "Broken parts"
expr = 'max(broken)'
unit = "count"
[[phase]]
name = "watch"
from = "0s"
gate = "green"
[[phase.trigger]]
name = "people"
when = "broken > 0"
for = "100ms"
do = "escalate"
severity = "P1"
"#;

fn house(exporter: &Exporter, office: &PostOffice, papers: &Papers, mail: &str) -> House {
    let (target, port, rollout) = (exporter.url(), office.port(), told("2"));
    let house = House::new(
        &format!(
            r#"
[service]
name = "shop"
environment = "test"
[[scrape]]
job = "shop"
targets = ["{target}"]
interval = "100ms"
timeout = "90ms"
[rollout]
{rollout}
[judging]
settle = "0s"
[smtp]
host = "localhost"
port = {port}
username = "gated"
password_file = "password"
ca_file = "ca.pem"
[[mail]]
name = "ops"
from = "gated@example.com"
to = ["ops@example.com"]
{mail}
"#
        ),
        ESCALATES,
    );
    fs::write(house.path("password"), PASSWORD).unwrap();
    fs::write(house.path("ca.pem"), &papers.authority_pem).unwrap();
    house
}

#[test]
fn the_daemon_mails_an_escalation_and_comes_again_to_who_greylists() {
    let (exporter, papers) = (Exporter::start(true), Papers::new("localhost"));
    let login = Some(("gated", PASSWORD));
    let office = PostOffice::open(Way::StartTls, &papers, login, |step, number| {
        match (step, number) {
            (".", 0) => Some(Turn::Say("451 4.7.1 greylisted, come again".into())),
            (".", 1) => Some(Turn::Leave),
            _ => None,
        }
    });
    let house = house(&exporter, &office, &papers, "");
    let daemon = house.start();
    eventually("a mail", || office.letters().len() == 2);
    let [lost, taken] = &office.letters()[..] else {
        panic!();
    };
    assert_eq!(lost.bytes, taken.bytes, "every attempt sends the same");
    let read = parsed(&taken.bytes);
    let subject = header(&read, "Subject")[0];
    assert_eq!(subject, "P1 Somebody is needed: shop 2 (test)");
    eventually("its delivery", || {
        let all = daemon.decisions();
        all.iter()
            .any(|it| it["deliveries"][0]["state"] == "delivered")
    });
    let page = daemon.get("/api/v1/decisions").body;
    let explained = String::from_utf8(
        house
            .run(&["--listen", &daemon.address().to_string(), "explain"])
            .stdout,
    )
    .unwrap();
    for says in [
        "SMTP 451 4.7.1 greylisted, come again",
        "it may have arrived",
        "SMTP 250 2.0.0 taken",
    ] {
        assert!(explained.contains(says), "{says}: {explained}");
    }
    assert!(!page.contains(PASSWORD));
    let metric = |outcome: &str| {
        daemon.metric(&format!(
            "gated_webhook_attempts_total{{receiver=\"ops\",outcome=\"{outcome}\"}}"
        ))
    };
    assert_eq!(
        (metric("4xx"), metric("2xx")),
        (Some(1.0), Some(1.0)),
        "{}",
        daemon.get("/metrics").body
    );
}

#[test]
fn the_daemon_tells_that_a_mail_is_refused() {
    let (exporter, papers) = (Exporter::start(true), Papers::new("localhost"));
    let office = PostOffice::open(
        Way::StartTls,
        &papers,
        Some(("gated", "another")),
        |_, _| None,
    );
    let house = house(&exporter, &office, &papers, "");
    let daemon = house.start();
    eventually("a refusal", || {
        daemon
            .log()
            .contains("SMTP 535 it does not take gated's name and password: needs attention")
    });
    assert!(office.letters().is_empty());
    assert!(!daemon.log().contains(PASSWORD));
}

/// What a dry run says of the mail's server.
fn looked(house: &House) -> (Value, Value) {
    let output = house.run(&["--dry-run", "--for", "500ms", "--format", "json"]);
    let page: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = page["checks"].as_array().unwrap();
    let check = checks.iter().find(|it| it["name"] == "hook:ops").unwrap();
    (check.clone(), page)
}

#[test]
fn a_dry_run_logs_in_and_mails_nobody_but_who_takes_tests() {
    let (exporter, papers) = (Exporter::start(false), Papers::new("localhost"));
    let login = Some(("gated", PASSWORD));
    let office = PostOffice::open(Way::StartTls, &papers, login, |_, _| None);
    let quiet = house(&exporter, &office, &papers, "");
    let (check, _) = looked(&quiet);
    assert_eq!(check["outcome"], "met", "{check}");
    let reason = check["reason"].as_str().unwrap();
    assert!(
        reason.contains("certificate good for") && reason.contains("logged in"),
        "{reason}"
    );
    assert!(office.letters().is_empty());
    let words: Vec<String> = office
        .lines()
        .iter()
        .map(|it| it.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(words, ["EHLO", "STARTTLS", "EHLO", "AUTH", "NOOP", "QUIT"]);

    let tried = house(&exporter, &office, &papers, "accepts_test = true");
    let (check, _) = looked(&tried);
    assert!(
        check["reason"]
            .as_str()
            .unwrap()
            .contains("took a gated.test event"),
        "{check}"
    );
    let [letter] = &office.letters()[..] else {
        panic!();
    };
    let read = parsed(&letter.bytes);
    assert_eq!(
        header(&read, "Subject"),
        ["P4 A test, nothing has happened: shop (test)"]
    );

    // What is wrong is named, with the way out; nobody else would be told.
    fs::write(quiet.path("password"), "wrong").unwrap();
    let (check, page) = looked(&quiet);
    assert_eq!(check["outcome"], "missed");
    let reason = check["reason"].as_str().unwrap();
    assert!(
        reason.contains("535 it does not take gated's name and password: mend `username`"),
        "{reason}"
    );
    assert!(reason.contains("nobody would be told of a P1"), "{reason}");
    assert_eq!(page["verdict"], "no_go");
    assert!(!page.to_string().contains("wrong"), "{page}");
    fs::remove_file(quiet.path("password")).unwrap();
    let (check, _) = looked(&quiet);
    assert!(
        check["reason"]
            .as_str()
            .unwrap()
            .contains("password_file password cannot be read"),
        "{check}"
    );
    assert_eq!(office.letters().len(), 1);
}

#[test]
fn a_mail_in_a_level_is_called_beside_a_webhook() {
    let (exporter, papers) = (Exporter::start(true), Papers::new("localhost"));
    let office = PostOffice::open(Way::StartTls, &papers, Some(("gated", PASSWORD)), |_, _| {
        None
    });
    let chat = Receiver::start(|_, _| Said::Status(200));
    let mail = format!(
        "[[webhook]]\nname = \"chat\"\nurl = \"{}\"\n[contacts.\"on-call engineer\"]\nname = \"Ada\"\n[severity.P1]\nlevels = [{{ role = \"on-call engineer\", hooks = [\"ops\", \"chat\"] }}]",
        chat.url()
    );
    let house = house(&exporter, &office, &papers, &mail);
    let _daemon = house.start();
    eventually("both are called", || {
        !office.letters().is_empty() && !chat.posted().is_empty()
    });
    let read = parsed(&office.letters()[0].bytes);
    assert_eq!(
        header(&read, "Subject"),
        ["P1 Calling the on-call engineer: shop 2 (test)"]
    );
}
