//! One attempt to deliver one body to one webhook, signed as Standard Webhooks says. Deliberately absent: whether
//! and when to try again (the engine's decision), and what is sent (stored bytes, but for a token that a service wants
//! in them).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::dns::Resolve;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderName,
    HeaderValue, RETRY_AFTER,
};
use reqwest::{Client, Method, Response, Url};
use ring::hmac;

use super::deny::{Denied, DenyList};
use super::http;
use super::metrics::WEBHOOK_CLOCK_SKEW;
use super::secret::{Secret, SecretUrl};
use super::service::{token_field, token_of, unfit, unread, whole_resource, with_field};
use super::template::Template;
use crate::engine::Attempted;
use crate::model::{DecisionId, DeliveryKey, Timestamp};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const GITHUB_VERSION: HeaderName = HeaderName::from_static("x-github-api-version");

/// Of a reply this much is read, so that a well-behaved receiver sees its answer taken.
const REPLY_BYTES_MAX: usize = 4096;
/// The answer counts once its head is there; its body is waited for no longer than this.
const REPLY_WAIT: Duration = Duration::from_secs(1);
/// Bounds of what `Retry-After` may ask for.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// A `[[webhook]]` as configured.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    pub name: String,
    pub url: Secret,
    /// Standard Webhooks keys, separated by spaces, each `whsec_` and base64 or taken as it stands. Every key signs,
    /// so that a receiver may change from one to the next.
    pub secret: Option<Secret>,
    pub headers: Vec<(String, Secret)>,
    /// Of one attempt, connecting included.
    pub timeout: Duration,
    pub template: Template,
    /// Holds what the receiver knows gated by: a bearer token, or the field of the body that a service wants. Read
    /// before every attempt, since such files are replaced.
    pub token_file: Option<PathBuf>,
    /// The receiver's certificate authorities, in PEM, instead of the system's.
    pub ca: Option<Vec<u8>>,
    pub deny: DenyList,
}

impl WebhookConfig {
    /// The generic body to this URL, within five seconds, and nothing else.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: Secret::new(url),
            secret: None,
            headers: Vec::new(),
            timeout: Duration::from_secs(5),
            template: Template::Generic,
            token_file: None,
            ca: None,
            deny: DenyList::default(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("the url of webhook `{0}` is not an absolute http or https URL")]
    Url(String),
    #[error("a key of webhook `{0}` starts with `whsec_` and is not base64 after it")]
    Key(String),
    #[error("webhook `{0}` has an empty secret")]
    NoKey(String),
    #[error("webhook `{webhook}` has the header `{}`, which cannot be sent", header.escape_debug())]
    Header { webhook: String, header: String },
    #[error("webhook `{webhook}` sets the header `{header}`, which is gated's own")]
    Reserved { webhook: String, header: String },
    #[error("webhook `{webhook}`: {denied}")]
    Denied { webhook: String, denied: Denied },
    #[error("the token of webhook `{webhook}` cannot be used: {reason}")]
    Token { webhook: String, reason: String },
    #[error("no HTTP client for webhook `{webhook}`")]
    Client {
        webhook: String,
        #[source]
        source: reqwest::Error,
    },
}

/// A receiver, ready to be posted to.
pub struct Webhook {
    name: String,
    url: SecretUrl,
    keys: Vec<hmac::Key>,
    headers: HeaderMap,
    template: Template,
    token_file: Option<PathBuf>,
    client: Client,
}

impl Webhook {
    /// Names are resolved as the system does.
    pub fn new(config: &WebhookConfig) -> Result<Self, WebhookError> {
        Self::resolving(config, None)
    }

    /// Names are resolved by `resolver`; what `deny` forbids is not connected to, whatever it says.
    pub fn resolving(
        config: &WebhookConfig,
        resolver: Option<Arc<dyn Resolve>>,
    ) -> Result<Self, WebhookError> {
        let name = &config.name;
        let url =
            SecretUrl::parse(config.url.expose()).ok_or_else(|| WebhookError::Url(name.clone()))?;
        if let Some(denied) = config.deny.literal(url.expose()) {
            return Err(WebhookError::Denied {
                webhook: name.clone(),
                denied,
            });
        }
        if let Some(file) = &config.token_file {
            let token = std::fs::read_to_string(file);
            let token = token
                .map_err(|error| unread(file, &error))
                .and_then(|it| token_of(&it, file));
            token.map_err(|reason| WebhookError::Token {
                webhook: name.clone(),
                reason,
            })?;
        }
        let keys = match &config.secret {
            Some(secret) => keys(name, secret.expose())?,
            None => Vec::new(),
        };
        Ok(Self {
            name: name.clone(),
            url,
            keys,
            headers: headers(name, &config.headers)?,
            template: config.template.clone(),
            token_file: config.token_file.clone(),
            client: http::guarded(
                config.timeout,
                &config.deny.resolver(resolver),
                config.ca.as_deref(),
            )
            .map_err(|source| WebhookError::Client {
                webhook: name.clone(),
                source,
            })?,
        })
    }

    pub fn template(&self) -> &Template {
        &self.template
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it leads, fit for a log or a page.
    pub fn url(&self) -> &SecretUrl {
        &self.url
    }

    /// Sends `body` once. `key` names the delivery and `decision` what it is about, both alike on every attempt;
    /// timestamp and signature are made afresh from `now`. Every status is an answer, redirects included.
    pub async fn attempt(
        &self,
        key: &DeliveryKey,
        decision: &DecisionId,
        body: Bytes,
        now: Timestamp,
    ) -> Attempted {
        let (body, headers) = match self.prepare(key, decision, body, now).await {
            Ok(prepared) => prepared,
            Err(reason) => return unsent(reason),
        };
        let url = self.url.expose();
        match self.exchange(url, &headers, &body).await {
            // A rollout whose resource has no status of its own is patched whole.
            Ok(response) if response.status() == 404 => match whole_resource(&self.template, url) {
                Some(url) => match self.exchange(&url, &headers, &body).await {
                    Ok(response) => self.answered(response, now).await,
                    Err(lost) => lost,
                },
                None => self.answered(response, now).await,
            },
            Ok(response) => self.answered(response, now).await,
            Err(lost) => lost,
        }
    }

    /// GETs `url` with the headers and the token of an attempt, unsigned: the status, or why there is none.
    pub(super) async fn get(&self, url: &Url) -> Result<u16, String> {
        let mut headers = self.headers.clone();
        if let (Some(file), true) = (&self.token_file, token_field(&self.template).is_none()) {
            headers.insert(AUTHORIZATION, bearer(file, &token(file).await?)?);
        }
        let answer = self.client.get(url.clone()).headers(headers).send().await;
        let answer = answer.map_err(http::reason)?;
        let status = answer.status().as_u16();
        let _ = tokio::time::timeout(REPLY_WAIT, drain(answer)).await;
        Ok(status)
    }

    async fn exchange(
        &self,
        url: &Url,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Response, Attempted> {
        let method = match self.template {
            Template::ArgoRollouts => Method::PATCH,
            _ => Method::POST,
        };
        let request = self.client.request(method, url.clone());
        let request = request.headers(headers.clone()).body(body.clone()).build();
        let request = request.map_err(|error| unsent(http::reason(error)))?;
        let answer = self.client.execute(request).await;
        answer.map_err(|error| Attempted::NoAnswer {
            reached: !error.is_connect(),
            reason: http::reason(error),
        })
    }

    /// The bytes and headers of one attempt, or why there is none.
    async fn prepare(
        &self,
        key: &DeliveryKey,
        decision: &DecisionId,
        stored: Bytes,
        now: Timestamp,
    ) -> Result<(Bytes, HeaderMap), String> {
        if let Some(refused) = self.template.refuses(&stored) {
            return Err(format!("not sent: {refused}"));
        }
        let value = |text: &str| {
            HeaderValue::from_str(text).map_err(|_| "its id cannot stand in a header".to_owned())
        };
        let seconds = now.millis().div_euclid(1000);
        let mut headers = self.headers.clone();
        let mut body = stored;
        if let Some(file) = &self.token_file {
            let token = token(file).await?;
            if let Some(field) = token_field(&self.template) {
                body = with_field(&body, field, &token)?;
            } else {
                headers.insert(AUTHORIZATION, bearer(file, &token)?);
            }
        }
        let kind = match self.template {
            Template::ArgoRollouts => "application/merge-patch+json",
            _ => "application/json",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Template::GithubDispatch { .. } | Template::GithubWorkflow { .. } = self.template {
            headers.insert(
                ACCEPT,
                HeaderValue::from_static("application/vnd.github+json"),
            );
            headers.insert(GITHUB_VERSION, HeaderValue::from_static("2022-11-28"));
        }
        headers.insert(ID, value(key.as_str())?);
        headers.insert(TIMESTAMP, HeaderValue::from(seconds));
        headers.insert(IDEMPOTENCY_KEY, value(decision.as_str())?);
        if !self.keys.is_empty() {
            headers.insert(SIGNATURE, value(&self.signatures(key, seconds, &body))?);
        }
        Ok((body, headers))
    }

    /// `v1,<base64>` per key over `id.timestamp.body`, separated by spaces.
    fn signatures(&self, key: &DeliveryKey, seconds: i64, body: &[u8]) -> String {
        let signed = [format!("{key}.{seconds}.").as_bytes(), body].concat();
        let signatures: Vec<String> = self
            .keys
            .iter()
            .map(|key| format!("v1,{}", STANDARD.encode(hmac::sign(key, &signed))))
            .collect();
        signatures.join(" ")
    }

    async fn answered(&self, response: Response, now: Timestamp) -> Attempted {
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).and_then(|it| it.to_str().ok());
        let retry_after = header(RETRY_AFTER).and_then(|text| retry_after(text, now));
        if let Some(theirs) = header(DATE).and_then(http_date) {
            metrics::gauge!(WEBHOOK_CLOCK_SKEW, "receiver" => self.name.clone())
                .set(theirs.seconds() - now.seconds());
        }
        let _ = tokio::time::timeout(REPLY_WAIT, drain(response)).await;
        Attempted::Answered {
            status,
            retry_after,
        }
    }
}

/// Headers of a configuration may hold keys; signing keys print nothing by themselves.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("name", &self.name)
            .field("url", &self.url)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

async fn token(file: &Path) -> Result<Secret, String> {
    let read = tokio::fs::read_to_string(file).await;
    token_of(&read.map_err(|error| unread(file, &error))?, file)
}

fn bearer(file: &Path, token: &Secret) -> Result<HeaderValue, String> {
    let bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()));
    let mut bearer = bearer.map_err(|_| unfit(file))?;
    bearer.set_sensitive(true);
    Ok(bearer)
}

fn unsent(reason: String) -> Attempted {
    Attempted::NoAnswer {
        reason,
        reached: false,
    }
}

/// Takes the reply off the wire and forgets it: a receiver may echo what it was sent, secrets included.
async fn drain(mut response: Response) {
    let mut taken = 0;
    while taken < REPLY_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => taken += chunk.len(),
            Ok(None) | Err(_) => return,
        }
    }
}

fn keys(webhook: &str, secret: &str) -> Result<Vec<hmac::Key>, WebhookError> {
    let keys: Vec<hmac::Key> = secret
        .split_whitespace()
        .map(|key| {
            let bytes = match key.strip_prefix("whsec_") {
                Some(encoded) => STANDARD
                    .decode(encoded)
                    .map_err(|_| WebhookError::Key(webhook.to_owned()))?,
                None => key.as_bytes().to_vec(),
            };
            Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
        })
        .collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(WebhookError::NoKey(webhook.to_owned()));
    }
    Ok(keys)
}

fn headers(webhook: &str, configured: &[(String, Secret)]) -> Result<HeaderMap, WebhookError> {
    let mut headers = HeaderMap::new();
    for (header, secret) in configured {
        let name = HeaderName::try_from(header.as_str());
        let value = HeaderValue::try_from(secret.expose());
        let (Ok(name), Ok(mut value)) = (name, value) else {
            return Err(WebhookError::Header {
                webhook: webhook.to_owned(),
                header: header.clone(),
            });
        };
        let own = [ID, TIMESTAMP, SIGNATURE, IDEMPOTENCY_KEY];
        if own.contains(&name) || [CONTENT_TYPE, CONTENT_LENGTH, HOST].contains(&name) {
            return Err(WebhookError::Reserved {
                webhook: webhook.to_owned(),
                header: header.clone(),
            });
        }
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// Seconds or an HTTP date, clamped to what is reasonable; `None` for anything else.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let wait = if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        http_date(text)?.since(now)
    } else if digits.len() < text.len() {
        Duration::ZERO
    } else {
        // More digits than fit ask for longer than the bound.
        Duration::from_secs(digits.parse().unwrap_or(u64::MAX))
    };
    Some(wait.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    let at = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_millis(at.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_understood_and_clamped() {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        for (text, seconds) in [
            ("0", Some(1)),
            ("7", Some(7)),
            (" 120 ", Some(120)),
            ("-5", Some(1)),
            ("86400", Some(3600)),
            ("99999999999999999999999999", Some(3600)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(1)),
            ("Sun, 06 Nov 2094 08:49:37 GMT", None),
            ("Sat, 06 Nov 2094 08:49:37 GMT", Some(3600)),
            ("", None),
            ("-", None),
            ("soon", None),
            ("1.5", None),
            ("1e3", None),
            ("NaN", None),
        ] {
            assert_eq!(
                retry_after(text, now),
                seconds.map(Duration::from_secs),
                "{text:?}"
            );
        }
    }

    fn config() -> WebhookConfig {
        WebhookConfig::new("deployer", "https://deploy.example.com/CANARY")
    }

    /// Every way to be refused names the webhook and what is wrong, and no value.
    #[test]
    fn a_bad_configuration_is_refused_without_saying_its_secrets() {
        let header = |name: &str, value: &str| vec![(name.to_owned(), Secret::new(value))];
        for (config, says) in [
            (
                WebhookConfig {
                    url: Secret::new("deploy.example.com/CANARY"),
                    ..config()
                },
                "not an absolute http or https URL",
            ),
            (
                WebhookConfig {
                    secret: Some(Secret::new("whsec_CANARY!")),
                    ..config()
                },
                "not base64",
            ),
            (
                WebhookConfig {
                    secret: Some(Secret::new(" \n")),
                    ..config()
                },
                "empty secret",
            ),
            (
                WebhookConfig {
                    headers: header("x-key", "CANARY\r\nx-other: 1"),
                    ..config()
                },
                "`x-key`, which cannot be sent",
            ),
            (
                WebhookConfig {
                    headers: header("Webhook-Id", "CANARY"),
                    ..config()
                },
                "gated's own",
            ),
        ] {
            let error = Webhook::new(&config).unwrap_err();
            let text = format!("{error} {error:?} {config:?}");
            assert!(text.contains("`deployer`") && text.contains(says), "{text}");
            assert!(!text.contains("CANARY"), "{text}");
        }
    }
}
