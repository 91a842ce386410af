//! `[[mail]]` and `[smtp]`: who is written to, and through which server. Deliberately absent: opening any file that is
//! named here.

use std::time::Duration;

use super::notify::{events, on_doubt, timeout};
use super::{Command, Webhook, path};
use crate::engine::{OnDoubt, Receiver};
use crate::model::NoticeKind;
use crate::runbook::{Place, Reader, Section, Text};
use crate::sink::{MailConfig, MailTls, Mailbox, SmtpConfig};

/// Addresses of one mail; a list server reaches more.
const ADDRESSES_MAX: usize = 50;
const PORTS: std::ops::RangeInclusive<u64> = 1..=65_535;

/// `[[mail]]`.
#[derive(Clone, Debug)]
pub struct Mail {
    pub config: MailConfig,
    pub give_up_after: Duration,
    /// What it is told of; empty: everything.
    pub events: Vec<NoticeKind>,
    pub on_doubt: OnDoubt,
    /// Whether a dry run may send it a test.
    pub accepts_test: bool,
}

impl Mail {
    pub(super) fn receiver(&self) -> Receiver {
        Receiver {
            name: self.config.name.clone(),
            give_up_after: self.give_up_after,
            events: self.events.clone(),
            on_doubt: self.on_doubt,
            confirm_within: None,
        }
    }
}

/// Every mail with the place of its name.
pub(super) fn mails(root: &mut Section) -> Vec<(Mail, Place)> {
    let smtp = root.section("smtp");
    let smtp_place = smtp.as_ref().map(|it| it.place.clone());
    let smtp = smtp.and_then(server);
    let sections = root.sections("mail");
    if let (Some(place), true) = (&smtp_place, sections.is_empty()) {
        let help = "write [[mail]] with name, from and to, or remove [smtp]";
        root.reader.warn(
            place,
            "[smtp] is there, and no [[mail]] goes through it",
            help,
        );
    }
    if let (None, Some(first)) = (&smtp_place, sections.first()) {
        let help = "write [smtp] and below it host = \"smtp.example.com\"";
        root.reader.missing(
            &first.place,
            "a mail needs a server, and there is no [smtp]",
            help,
        );
    }
    let read = sections.into_iter().map(|it| mail(it, smtp.as_ref()));
    read.collect::<Vec<_>>().into_iter().flatten().collect()
}

fn server(mut section: Section) -> Option<SmtpConfig> {
    let host = section.required("host", "\"smtp.example.com\"");
    if let Some(host) = &host
        && !is_host(&host.value)
    {
        let message = format!("`{}` is no host", host.shown());
        let help = "write a name or an address, and the port as `port`: \"smtp.example.com\"";
        section.reader.fault(&host.place, message, help);
    }
    let words = [
        ("starttls", MailTls::StartTls),
        ("implicit", MailTls::Implicit),
        ("none", MailTls::None),
    ];
    let tls = section.word("tls", &words).unwrap_or(MailTls::StartTls);
    let port = section.whole("port", PORTS);
    let port = port.and_then(|it| u16::try_from(it).ok());
    let login = login(&mut section, tls, host.as_ref());
    let hello = section.told("hello");
    if let Some(hello) = &hello
        && !is_host(&hello.value)
    {
        let message = format!("`{}` is no name to greet with", hello.shown());
        let help = "write the name of gated's host: \"gated.example.com\"";
        section.reader.fault(&hello.place, message, help);
    }
    Some(SmtpConfig {
        port: port.unwrap_or(match tls {
            MailTls::StartTls => 587,
            MailTls::Implicit => 465,
            MailTls::None => 25,
        }),
        tls,
        login,
        timeout: timeout(&mut section, Duration::from_secs(30)),
        ca_file: path(&mut section, "ca_file"),
        hello: hello.map(|it| it.value),
        host: host?.value,
    })
}

fn login(
    section: &mut Section,
    tls: MailTls,
    host: Option<&Text>,
) -> Option<(String, std::path::PathBuf)> {
    let place = section.key_place("username");
    let file_place = section.key_place("password_file");
    let user = section.told("username").map(|it| it.value);
    match (user, path(section, "password_file")) {
        (Some(user), Some(file)) => {
            let here = host.is_none_or(|it| is_here(&it.value));
            if tls == MailTls::None && !here {
                let message = "the password would cross the network in plain text";
                let help = "write tls = \"starttls\" or \"implicit\", or remove `username` and `password_file`";
                section.reader.fault(&place, message, help);
            }
            Some((user, file))
        }
        (Some(_), None) => {
            let help = "write password_file = \"/etc/gated/smtp.password\" below it";
            let message = "`username` is there without `password_file`";
            section.reader.missing(&place, message, help);
            None
        }
        (None, Some(_)) => {
            let message = "`password_file` is there without `username`";
            let help = "write username = \"gated\" above it";
            section.reader.missing(&file_place, message, help);
            None
        }
        (None, None) => None,
    }
}

fn mail(mut section: Section, smtp: Option<&SmtpConfig>) -> Option<(Mail, Place)> {
    let name = section.required("name", "\"ops-mail\"");
    let place = section.place.clone();
    let from = section.required("from", "\"gated <gated@example.com>\"");
    let from = from.and_then(|it| mailbox(section.reader, &it));
    let to_place = section.key_place("to");
    let to = mailboxes(&mut section, "to");
    let cc = mailboxes(&mut section, "cc");
    if to.as_ref().is_some_and(Vec::is_empty) {
        let help = "write to = [\"ops@example.com\"]";
        section
            .reader
            .missing(&place, "this [[mail]] goes to nobody", help);
    }
    let count = to.as_ref().map_or(0, Vec::len) + cc.as_ref().map_or(0, Vec::len);
    if count > ADDRESSES_MAX {
        let message = format!("{count} addresses are more than {ADDRESSES_MAX}");
        let help = "write to a mailing list instead";
        section.reader.fault(&to_place, message, help);
    }
    let give_up_after = section.duration("give_up_after");
    let events = events(&mut section);
    let on_doubt = on_doubt(&mut section).unwrap_or(OnDoubt::Resend);
    let accepts_test = section.flag("accepts_test").unwrap_or(false);
    // What is faulty is reported, and the receiver stays known by its name.
    let name = name?;
    let unread = || "gated@localhost.invalid".parse::<Mailbox>();
    let config = MailConfig {
        name: name.value,
        from: from.or_else(|| unread().ok())?,
        to: to.unwrap_or_default(),
        cc: cc.unwrap_or_default(),
        smtp: smtp.cloned().unwrap_or_else(|| SmtpConfig {
            host: String::new(),
            port: 25,
            tls: MailTls::StartTls,
            login: None,
            timeout: Duration::from_secs(30),
            ca_file: None,
            hello: None,
        }),
    };
    let mail = Mail {
        config,
        give_up_after: give_up_after.unwrap_or(Duration::from_secs(86_400)),
        events,
        on_doubt,
        accepts_test,
    };
    Some((mail, name.place))
}

/// `None` where one of them is none.
fn mailboxes(section: &mut Section, key: &'static str) -> Option<Vec<Mailbox>> {
    let texts = section.texts_or_one(key);
    let read: Vec<Option<Mailbox>> = texts.iter().map(|it| mailbox(section.reader, it)).collect();
    read.into_iter().collect()
}

fn mailbox(reader: &Reader, text: &Text) -> Option<Mailbox> {
    let read = text.value.parse();
    if read.is_err() {
        let message = format!("`{}` is no mail address", text.shown());
        let help =
            "write \"ops@example.com\" or \"Operations <ops@example.com>\", the address in ASCII";
        reader.fault(&text.place, message, help);
    }
    read.ok()
}

fn is_host(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
        || text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
            && !text.is_empty()
}

/// Whether nothing leaves the machine.
fn is_here(host: &str) -> bool {
    let ip = host.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|it| it.is_loopback())
}

/// A name is one receiver's, and a mail undoes no release.
pub(super) fn who_is_written_to(
    reader: &Reader,
    hook: Option<&str>,
    mails: &[(Mail, Place)],
    webhooks: &[(Webhook, Place)],
    commands: &[(Command, Place)],
) {
    for (at, (mail, place)) in mails.iter().enumerate() {
        let name = &mail.config.name;
        let taken = webhooks.iter().any(|(it, _)| it.name == *name)
            || commands.iter().any(|(it, _)| it.config.name == *name)
            || mails[..at].iter().any(|(it, _)| it.config.name == *name);
        if taken {
            let message = format!("`{name}` is the name of another receiver too");
            reader.fault(place, message, "give one another name");
        }
        if hook == Some(name) {
            let message = format!("a mail undoes no release, and [rollback] hook is `{name}`");
            let help = "name a [[webhook]] or a [[command]] there";
            reader.fault(place, message, help);
        }
    }
}
