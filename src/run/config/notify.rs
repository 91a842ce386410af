//! `[[webhook]]` and `[alertmanager]`: who is told. What a service wants in particular is `service`'s.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};

use super::scrape::basic_auth;
use super::service::{self, Form, Service};
use super::{label_name, nearest, path};
use crate::engine::{Alerting, OnDoubt, Receiver};
use crate::model::NoticeKind;
use crate::runbook::{Place, Reader, Section, Text};
use crate::sink::{
    Cidr, Credentials, DenyList, Matcher, Own, Secret, SecretUrl, Template, WebhookConfig, matchers,
};
use crate::source::{BasicAuth, Password};

/// What a list may name and what nobody is told for it: the test of a dry run, which `accepts_test` allows.
const LATER_EVENTS: [&str; 1] = ["gated.test"];

/// Alertmanager's own default.
const REPEAT_DEFAULT: Duration = Duration::from_secs(4 * 3600);

/// What is critical, unless somebody says.
const CRITICAL: &str = "severity=\"critical\"";

/// Headers that every attempt has already.
const RESERVED: [&str; 7] = [
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "idempotency-key",
    "content-type",
    "content-length",
    "host",
];

/// `[[webhook]]`.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub name: String,
    /// A secret: the URLs of chat hooks hold one. Empty where `url_file` holds it.
    pub url: Secret,
    pub url_file: Option<PathBuf>,
    /// What it is sent.
    pub form: Form,
    /// A bearer token, or a service's key: read before every attempt.
    pub token_file: Option<PathBuf>,
    /// Certificate authorities instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Holds the key of the Standard Webhooks signature.
    pub secret_file: Option<PathBuf>,
    pub headers: Vec<(String, Secret)>,
    /// Over one whole attempt.
    pub timeout: Duration,
    /// An undelivered notice ends after this long.
    pub give_up_after: Duration,
    /// What a dry run may ask.
    pub health: Option<Secret>,
    pub accepts_test: bool,
    /// What it is told of; empty: everything.
    pub events: Vec<NoticeKind>,
    /// What becomes of a delivery whose answer was lost.
    pub on_doubt: OnDoubt,
    /// An answer of 2xx counts once the receiver has confirmed it.
    pub confirm_within: Option<Duration>,
    /// Where it must not be sent to, whatever its name resolves to.
    pub deny: DenyList,
}

/// What the files hold that a [`Webhook`] names.
#[derive(Debug, Default)]
pub struct Held {
    /// Of `secret_file`.
    pub secret: Option<Secret>,
    /// Of `url_file`.
    pub url: Option<Secret>,
    /// Of `ca_file`.
    pub ca: Option<Vec<u8>>,
    /// Of `template_file`.
    pub own: Option<Own>,
}

impl Webhook {
    pub(super) fn receiver(&self) -> Receiver {
        Receiver {
            name: self.name.clone(),
            give_up_after: self.give_up_after,
            events: self.events.clone(),
            on_doubt: self.on_doubt,
            confirm_within: self.confirm_within,
        }
    }

    /// What an attempt needs.
    #[must_use]
    pub fn sender(&self, held: Held) -> WebhookConfig {
        let template = match (&self.form, held.own) {
            (Form::Ready(template), _) => template.clone(),
            (Form::File(_), Some(own)) => Template::Own(own),
            (Form::File(_), None) => Template::Generic,
        };
        WebhookConfig {
            name: self.name.clone(),
            url: held.url.unwrap_or_else(|| self.url.clone()),
            secret: held.secret,
            headers: self.headers.clone(),
            timeout: self.timeout,
            template,
            token_file: self.token_file.clone(),
            ca: held.ca,
            deny: self.deny.clone(),
        }
    }
}

/// `[alertmanager]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alertmanager {
    /// Without a slash at the end. They may hold a password.
    pub urls: Vec<Secret>,
    pub resend: Duration,
    /// Of every alert that has none of that name.
    pub labels: BTreeMap<String, String>,
    pub credentials: Option<Credentials>,
    /// What a dry run takes for a critical alert.
    pub critical: Vec<Matcher>,
}

impl Alertmanager {
    pub(super) fn alerting(&self) -> Alerting {
        Alerting {
            resend: self.resend,
        }
    }
}

/// Every hook with the place of its name; `rollback` is `[rollback] hook`.
pub(super) fn webhooks(root: &mut Section, rollback: Option<&str>) -> Vec<(Webhook, Place)> {
    let mut hooks: Vec<(Webhook, Place)> = Vec::new();
    for section in root.sections("webhook") {
        let Some((hook, place)) = webhook(section, rollback) else {
            continue;
        };
        if let Some((_, first)) = hooks.iter().find(|(it, _)| it.name == hook.name) {
            let message = format!("webhook `{}` is defined twice", hook.name);
            root.reader.clash(
                &place,
                message,
                "give one another name",
                first,
                "first here",
            );
        }
        hooks.push((hook, place));
    }
    hooks
}

fn webhook(mut section: Section, rollback: Option<&str>) -> Option<(Webhook, Place)> {
    let name = section.required("name", "\"deployer\"");
    let url_place = section.key_place("url");
    let Service {
        form,
        url,
        url_file,
        token_file,
        ca_file,
    } = service::service(&mut section);
    let deny = deny(&mut section);
    if let Some(denied) = url.as_ref().and_then(|it| deny.literal(it.expose())) {
        let help = "name another address, or let this one hook reach it with `deny_cidr`: a list of what stays forbidden, [] for nothing";
        section.reader.fault(&url_place, denied.to_string(), help);
    }
    let secret_file = path(&mut section, "secret_file");
    let headers = headers(&mut section);
    for (name, place, _) in &headers {
        let bearer = token_file.is_some() && name.as_str() == "authorization";
        if RESERVED.contains(&name.as_str()) || bearer {
            let message = format!("the header `{name}` is gated's own");
            section.reader.fault(place, message, "remove it");
        }
    }
    let timeout = timeout(&mut section, Duration::from_secs(5));
    let give_up_after = section
        .duration("give_up_after")
        .unwrap_or(Duration::from_secs(86_400));
    let health = section.told("health").map(|it| {
        http_url(section.reader, &it);
        Secret::new(it.value)
    });
    let test_place = section.key_place("accepts_test");
    let accepts_test = section.flag("accepts_test").unwrap_or(false);
    if let (true, Form::Ready(template)) = (accepts_test, &form)
        && template.acts()
    {
        let message = format!(
            "`{}` acts on whatever it is sent, a test too",
            template.word()
        );
        let help = "remove it; `health` may name a URL that a dry run asks instead";
        section.reader.fault(&test_place, message, help);
    }
    let mut events = events(&mut section);
    if events.is_empty()
        && let Form::Ready(Template::PagerDuty) = form
    {
        events = service::PAGED.to_vec();
    }
    // Who reads a body of the user's making likely ignores gated's key.
    let is_hook = name
        .as_ref()
        .is_some_and(|it| rollback == Some(it.value.as_str()));
    let undoes = match &form {
        Form::Ready(template) => template.undoes(),
        Form::File(_) => is_hook,
    };
    let unsaid = if undoes {
        OnDoubt::Hold
    } else {
        OnDoubt::Resend
    };
    let on_doubt = on_doubt(&mut section).unwrap_or(unsaid);
    let confirm_within = section.duration("confirm");
    let name = name?;
    Some((
        Webhook {
            name: name.value,
            // A faulty URL is reported, and the hook stays known by its name.
            url: Secret::new(url.map_or(String::new(), |it| it.expose().to_string())),
            url_file,
            form,
            token_file,
            ca_file,
            secret_file,
            headers: headers
                .into_iter()
                .map(|(name, _, value)| (name.to_string(), Secret::new(value)))
                .collect(),
            timeout,
            give_up_after,
            health,
            accepts_test,
            events,
            on_doubt,
            confirm_within,
            deny,
        },
        name.place,
    ))
}

pub(super) fn timeout(section: &mut Section, unsaid: Duration) -> Duration {
    let place = section.key_place("timeout");
    let timeout = section.duration("timeout").unwrap_or(unsaid);
    if timeout.is_zero() {
        let message = "a timeout of nothing lets no attempt succeed";
        section.reader.fault(&place, message, "write \"5s\"");
    }
    timeout
}

pub(super) fn on_doubt(section: &mut Section) -> Option<OnDoubt> {
    section.word(
        "on_doubt",
        &[("resend", OnDoubt::Resend), ("hold", OnDoubt::Hold)],
    )
}

fn deny(section: &mut Section) -> DenyList {
    if !section.has("deny_cidr") {
        return DenyList::default();
    }
    let mut blocks = Vec::new();
    for text in section.texts("deny_cidr") {
        if let Ok(cidr) = text.value.parse::<Cidr>() {
            blocks.push(cidr);
        } else {
            let message = format!("`{}` is no block of addresses", text.shown());
            let help = "write an address and how many bits of it count: \"169.254.0.0/16\"";
            section.reader.fault(&text.place, message, help);
        }
    }
    DenyList(blocks)
}

/// Without any, a hook is told of everything: a list that names only what comes later must not mean that.
pub(super) fn events(section: &mut Section) -> Vec<NoticeKind> {
    let mut kinds = Vec::new();
    let place = section.key_place("events");
    let texts = section.texts("events");
    let words = texts.iter().map(|it| it.value.as_str());
    if !texts.is_empty() && words.clone().all(|it| LATER_EVENTS.contains(&it)) {
        let message = "this version sends none of these events";
        let help = "name one that it sends, or remove this webhook";
        section.reader.fault(&place, message, help);
    }
    for text in &texts {
        if LATER_EVENTS.contains(&text.value.as_str()) {
            continue;
        }
        if let Some(kind) = NoticeKind::from_word(&text.value) {
            kinds.push(kind);
            continue;
        }
        let known = NoticeKind::ALL.iter().map(|it| it.word());
        let help = match nearest(&text.value, known.clone()) {
            Some(known) => format!("did you mean \"{known}\"?"),
            None => format!("write one of {}", known.collect::<Vec<_>>().join(", ")),
        };
        let message = format!("there is no event `{}`", text.shown());
        section.reader.fault(&text.place, message, help);
    }
    kinds
}

/// Names, places and values of a request's headers; the values may be secret.
pub(super) fn headers(section: &mut Section) -> Vec<(HeaderName, Place, String)> {
    let mut headers = Vec::new();
    for (name, value) in section.pairs("headers") {
        value.hide(section.reader);
        let Ok(header) = name.value.parse::<HeaderName>() else {
            let message = format!("`{}` cannot be a header's name", name.value);
            let help = "write letters, digits and `-`";
            section.reader.fault(&name.place, message, help);
            continue;
        };
        if value.value.parse::<HeaderValue>().is_err() {
            let message = format!("the value of `{header}` cannot stand in a header");
            let help = "write it in one line of printable characters";
            section.reader.fault(&value.place, message, help);
            continue;
        }
        headers.push((header, name.place, value.value));
    }
    headers
}

/// Who is posted to, and how often one that posts to gated repeats itself.
pub(super) fn alertmanager(root: &mut Section) -> (Option<Alertmanager>, Duration) {
    let Some(mut section) = root.section("alertmanager") else {
        return (None, REPEAT_DEFAULT);
    };
    let repeat_place = section.key_place("repeat");
    let given = section.duration("repeat");
    let repeat = given.unwrap_or(REPEAT_DEFAULT);
    if repeat < Duration::from_secs(1) {
        let message = "an Alertmanager repeats nothing more than once a second";
        let help = "write the `repeat_interval` of its route to gated: \"5m\"";
        section.reader.fault(&repeat_place, message, help);
    }
    let place = section.place.clone();
    let mut labels = BTreeMap::new();
    for (name, value) in section.pairs("labels") {
        label_name(section.reader, &name.value, &name.place);
        labels.insert(name.value, value.value);
    }
    let credentials = credentials(&mut section);
    let critical = critical(&mut section);
    let urls = section.texts("urls");
    if urls.is_empty() && given.is_some() {
        // It posts here, and nothing is posted there.
        return (None, repeat);
    }
    if urls.is_empty() {
        let help = "write urls = [\"http://127.0.0.1:9093\"], or remove [alertmanager]";
        section
            .reader
            .missing(&place, "[alertmanager] has no `urls`", help);
    }
    let resend_place = section.key_place("resend");
    let resend = section
        .duration("resend")
        .unwrap_or(Duration::from_secs(60));
    if resend < Duration::from_secs(1) {
        let message = "alerts cannot be posted again more than once a second";
        section.reader.fault(&resend_place, message, "write \"1m\"");
    }
    for url in &urls {
        http_url(section.reader, url);
    }
    let urls = urls
        .into_iter()
        .map(|it| Secret::new(it.value.trim_end_matches('/')));
    let alertmanager = Alertmanager {
        urls: urls.collect(),
        resend,
        labels,
        credentials,
        critical,
    };
    (Some(alertmanager), repeat)
}

/// Which alerts are critical, as `amtool alert query` takes it.
fn critical(section: &mut Section) -> Vec<Matcher> {
    let unsaid = || matchers(CRITICAL).expect("it is a matcher");
    let Some(text) = section.told("critical") else {
        return unsaid();
    };
    matchers(&text.value).unwrap_or_else(|fault| {
        let message = format!("`{}` matches no alerts: {fault}", text.shown());
        let help = "write matchers as amtool takes them: 'severity=\"critical\" team=~\"api|web\"'";
        section.reader.fault(&text.place, message, help);
        unsaid()
    })
}

/// How gated shows every peer who it is.
fn credentials(section: &mut Section) -> Option<Credentials> {
    let place = section.key_place("bearer_token_file");
    let bearer = path(section, "bearer_token_file");
    let basic = section.section("basic_auth").and_then(basic_auth);
    if bearer.is_some() && basic.is_some() {
        let message = "either `bearer_token_file` or `basic_auth`, not both";
        section.reader.fault(&place, message, "remove one");
    }
    let basic = basic.map(|BasicAuth { username, password }| match password {
        Password::Here(secret) => Credentials::Basic {
            username,
            password: Secret::new(secret.expose()),
        },
        Password::File(password) => Credentials::BasicFile { username, password },
    });
    bearer.map(Credentials::BearerFile).or(basic)
}

/// A whole URL, unlike a target's address: scheme and host must stand there.
pub(super) fn http_url(reader: &Reader, text: &Text) {
    let shown = text.hide_url(reader);
    if SecretUrl::parse(&text.value).is_none() {
        let message = format!("`{shown}` is no http or https URL");
        reader.fault(&text.place, message, "write \"https://host/path\"");
    }
}
