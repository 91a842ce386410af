//! One look at a webhook before anything is owed to it: its files, its name and address, its certificate, its `health`.
//! A receiver that says so gets a `gated.test` event; to no other is anything posted, since a plain one would take any
//! post for a request to act. Deliberately absent: what follows from what was found (run weighs it).

mod file;
mod reach;

use std::fmt::Write as _;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use ring::digest;
use tokio::time::Instant;

use super::secret::{Secret, SecretUrl};
use super::service::token_of;
use super::template::{Template, says_so, test_event};
use super::webhook::{Webhook, WebhookConfig, WebhookError};
use crate::engine::Attempted;
use crate::model::{DecisionId, DeliveryKey, Timestamp};

pub(super) use file::text as text_of;
pub(super) use reach::{Reached, Trust, reach, secured};

/// One look ends within this, whatever the receiver does.
pub const LOOK_MAX: Duration = Duration::from_secs(10);

/// What one look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Why it cannot be used as it is, each with the way out.
    pub broken: Vec<String>,
    /// What works and will not for long.
    pub soon: Vec<String>,
    /// What is worth knowing of what works.
    pub notes: Vec<String>,
}

/// A `[[webhook]]` to be looked at, with the files that it names and that were not read yet.
#[derive(Clone, Debug)]
pub struct WebhookLook {
    pub config: WebhookConfig,
    pub url_file: Option<PathBuf>,
    pub secret_file: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
    /// Answers GET with 2xx while the receiver is well.
    pub health: Option<Secret>,
    /// Whether it takes a `gated.test` event.
    pub accepts_test: bool,
    /// What the event says of whom it is about.
    pub service: String,
    pub environment: String,
}

impl WebhookLook {
    /// Looks; everything that is wrong is found, as far as one can see past it. `now` is the wall's time: certificates
    /// and signatures are judged by it.
    pub async fn look(mut self, now: Timestamp) -> Found {
        let mut found = Found::default();
        let steps = Steps {
            end: Instant::now() + LOOK_MAX,
            each: self.config.timeout,
        };
        if let Err(late) = steps.step("its files", self.read(&mut found)).await {
            found.broken.push(late);
        }
        if self.config.url.expose().is_empty() {
            return found;
        }
        // Known to be well, or reported and left out.
        let all_read = found.broken.is_empty();
        let webhook = match Webhook::new(&self.config) {
            Ok(webhook) => webhook,
            Err(error) => {
                found.broken.push(refused(&error));
                return found;
            }
        };
        if self.ca_file.is_some() && self.config.ca.is_none() {
            // Whom to trust is not known; what the system's authorities say would mislead.
            return found;
        }
        let trust = self
            .config
            .ca
            .as_deref()
            .map_or(Trust::System, Trust::These);
        let reached = reach(webhook.url().expose(), &self.config.deny, trust, now);
        match steps.step("the connection", reached).await {
            Ok(Ok(reached)) => reached.tell(&mut found),
            Ok(Err(why)) | Err(why) => found.broken.push(why),
        }
        if !all_read {
            return found;
        }
        if let Some(health) = &self.health {
            let asked = self.healthy(&webhook, health.expose());
            match steps.step("its `health`", asked).await {
                Ok(Ok(())) => found.notes.push("healthy".to_owned()),
                Ok(Err(why)) | Err(why) => found.broken.push(why),
            }
        }
        // Who is not well is not sent more.
        if self.accepts_test && found.broken.is_empty() {
            match steps.step("the test", self.test(&webhook, now)).await {
                Ok(Ok(())) => found.notes.push("took a gated.test event".to_owned()),
                Ok(Err(why)) | Err(why) => found.broken.push(why),
            }
        }
        found
    }

    /// Reads every file; what is wrong with one hides nothing of another.
    async fn read(&mut self, found: &mut Found) {
        let mut text = async |key, path: &Option<PathBuf>| {
            let path = path.as_ref()?;
            match file::text(key, path).await {
                Ok(text) => Some(text),
                Err(why) => {
                    found.broken.push(why);
                    None
                }
            }
        };
        if let Some(url) = text("url_file", &self.url_file).await {
            self.config.url = Secret::new(url);
        }
        if let Some(secret) = text("secret_file", &self.secret_file).await {
            self.config.secret = Some(Secret::new(secret));
        }
        let key = match self.config.template {
            Template::PagerDuty => "routing_key_file",
            _ => "token_file",
        };
        let token = text(key, &self.config.token_file).await;
        let authorities = text("ca_file", &self.ca_file).await;
        match (&self.config.token_file, token) {
            (Some(path), Some(token)) => {
                if let Err(why) = token_of(&token, path) {
                    found.broken.push(format!("{key}: {why}"));
                    self.config.token_file = None;
                }
            }
            (_, None) => self.config.token_file = None,
            (None, Some(_)) => {}
        }
        if let Some(pem) = authorities {
            match reach::authorities(pem.as_bytes()) {
                Ok(_) => self.config.ca = Some(pem.into_bytes()),
                Err(why) => found.broken.push(why),
            }
        }
    }

    async fn healthy(&self, webhook: &Webhook, health: &str) -> Result<(), String> {
        let url = SecretUrl::parse(health).ok_or("its `health` is no http or https URL")?;
        if let Some(denied) = self.config.deny.literal(url.expose()) {
            return Err(format!("its `health` is not asked: {denied}"));
        }
        match webhook.get(url.expose()).await {
            Ok(200..=299) => Ok(()),
            Ok(status) => Err(format!(
                "its `health` answered {status}, not 2xx: mend the receiver, or name another `health`"
            )),
            Err(why) => Err(format!(
                "its `health` gave no answer: {why}: mend the receiver, or name another `health`"
            )),
        }
    }

    /// Posts a test. The body must say by itself that it is one: a template of the user's may leave that out, and its
    /// receiver would do what it does about every other body.
    async fn test(&self, webhook: &Webhook, now: Timestamp) -> Result<(), String> {
        let template = webhook.template();
        if template.acts() {
            return Err("`accepts_test` is not for what acts on every body: remove it".to_owned());
        }
        let id = test_id(webhook.name(), now);
        let decision = DecisionId(format!("test_{id}"));
        let notice = test_event(decision.clone(), &self.service, &self.environment, now);
        let body = template.render(&notice);
        let body = body.map_err(|fault| format!("its template makes no test: {fault}"))?;
        if matches!(template, Template::Own(_)) && !says_so(&body) {
            return Err(
                "its template does not pass `type` on, so nothing was posted: its receiver could not tell a test from a request; write {{ type }} into it, or remove `accepts_test`"
                    .to_owned(),
            );
        }
        let key = DeliveryKey(format!("msg_test_{id}"));
        match webhook.attempt(&key, &decision, body.into(), now).await {
            Attempted::Answered {
                status: 200..=299, ..
            } => Ok(()),
            Attempted::Answered { status, .. } => Err(format!(
                "it answered {status} to a gated.test event, not 2xx: mend the receiver, or remove `accepts_test`"
            )),
            Attempted::NoAnswer { reason, .. } => Err(format!(
                "it gave no answer to a gated.test event: {reason}: mend the receiver"
            )),
            Attempted::Ran { .. } | Attempted::Replied { .. } => {
                unreachable!("a webhook is posted to")
            }
        }
    }
}

/// Within what time each step and all of them end.
pub(super) struct Steps {
    pub end: Instant,
    pub each: Duration,
}

impl Steps {
    pub async fn step<T>(&self, what: &str, doing: impl Future<Output = T>) -> Result<T, String> {
        let now = Instant::now();
        // A request has its own timeout, and says more of what happened.
        let each = self.each + Duration::from_millis(500);
        let end = (now + each).min(self.end);
        tokio::time::timeout_at(end, doing).await.map_err(|_| {
            let took = humantime::format_duration(Duration::from_secs(
                end.duration_since(now).as_secs().max(1),
            ));
            format!("{what} took longer than {took}: mend the receiver, or raise `timeout`")
        })
    }
}

/// What a receiver may keep apart: another look is another event.
pub(super) fn test_id(name: &str, now: Timestamp) -> String {
    let text = format!("{name}\n{}\n{}", now.millis(), std::process::id());
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let mut id = String::new();
    for byte in hash.as_ref().iter().take(16) {
        let _ = write!(id, "{byte:02x}");
    }
    id
}

/// Why there is nothing to be asked, with the way out.
fn refused(error: &WebhookError) -> String {
    match error {
        WebhookError::Denied { denied, .. } => {
            format!("{denied}: name another address, or let this hook reach it with `deny_cidr`")
        }
        WebhookError::Url(_) => "its URL is not an absolute http or https URL: mend it".to_owned(),
        WebhookError::Client { .. } => {
            "its `ca_file` holds no certificates that can be read: write them in PEM".to_owned()
        }
        WebhookError::Key(_)
        | WebhookError::NoKey(_)
        | WebhookError::Header { .. }
        | WebhookError::Reserved { .. }
        | WebhookError::Token { .. } => error.to_string(),
    }
}

/// `host:port`, fit to be shown.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or("");
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
