//! A component asked over HTTP: the client, and whether the answer is what was expected.

use std::io;
use std::time::Duration;

use reqwest::tls::TlsInfo;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::time::Instant;
use x509_parser::parse_x509_certificate;

use super::ask::{Answer, Failing, Outcome, in_words};
use super::config::{Expect, HttpProbe, HttpRequest, Scalar};
use crate::engine::{ScrapeError, ScrapeFault};
use crate::model::Timestamp;
use crate::source::scrape::fault::{fault, of_request};
use crate::source::scrape::resolve::{ResolveFor, Resolver};
use crate::source::scrape::tls::{self, TlsFiles};

/// Of an answer's body this much is looked through for a text.
const BODY_BYTES_MAX: usize = 64 << 10;
/// A JSON document longer than this is not read.
pub(super) const JSON_BYTES_MAX: usize = 8 << 20;
/// A process or a machine that has no more files to open.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

/// Makes the requests of one probe.
#[derive(Debug)]
pub(super) struct Client {
    request: HttpRequest,
    resolver: Resolver,
    /// The client with the edition of the TLS files it was made with. It keeps no connection: each probe meets the
    /// component as a new caller does.
    made: Option<(u64, reqwest::Client)>,
    tls: Option<TlsFiles>,
}

/// An answer, or why the component gave none.
pub(super) type Sent = Result<Result<Response, Failing>, ScrapeError>;

impl Client {
    pub(super) fn new(request: &HttpRequest, resolver: Resolver) -> Self {
        let is_secure = request.url.scheme() == "https";
        Self {
            tls: is_secure.then(|| TlsFiles::new(request.tls.clone())),
            request: request.clone(),
            resolver,
            made: None,
        }
    }

    pub(super) async fn send(&mut self) -> Sent {
        let client = self.current().await?;
        let mut url = self.request.url.clone();
        if let Some(name) = self.server_name() {
            // The connection goes to the URL's host all the same: see `ResolveFor`.
            url.set_host(Some(name)).map_err(|_| {
                fault(
                    ScrapeFault::Tls,
                    format!("server_name `{name}` is not a host"),
                )
            })?;
        }
        let request = client
            .request(self.request.method.clone(), url)
            .headers(self.request.headers.clone())
            .build()
            .map_err(|error| of_request(&error))?;
        match client.execute(request).await {
            Ok(response) => Ok(Ok(response)),
            Err(error) => told(&error).map(Err),
        }
    }

    fn server_name(&self) -> Option<&str> {
        let name = self.request.tls.server_name.as_deref();
        name.filter(|_| self.tls.is_some())
    }

    /// The client there is, or another where the TLS files changed.
    async fn current(&mut self) -> Result<reqwest::Client, ScrapeError> {
        let (edition, files) = match &self.tls {
            Some(files) => {
                let current = files.current().await;
                current.map_err(|error| fault(ScrapeFault::Tls, error.to_string()))?
            }
            None => (0, tls::none()),
        };
        if let Some((of, client)) = &self.made
            && *of == edition
        {
            return Ok(client.clone());
        }
        let host = self.server_name().and(self.request.url.host_str());
        let resolve = ResolveFor {
            resolver: self.resolver.clone(),
            host: host.map(str::to_owned),
        };
        let client = tls::client(files, resolve)
            .pool_max_idle_per_host(0)
            .tls_info(true)
            .build()
            .map_err(|error| of_request(&error))?;
        self.made = Some((edition, client.clone()));
        Ok(client)
    }
}

/// Asks once and compares; everything that is not as expected is said.
pub(super) async fn probe(
    client: &mut Client,
    http: &HttpProbe,
    began: Instant,
    now: Timestamp,
) -> Outcome {
    let response = match client.send().await? {
        Ok(response) => response,
        Err(failing) => return Ok(Answer::failing(failing)),
    };
    let expect = &http.expect;
    let status = response.status();
    let expiry = expiry(&response);
    let mut wrong = Vec::new();
    let right = match expect.status {
        Some(wanted) => status.as_u16() == wanted,
        None => status.is_success(),
    };
    if right {
        wrong.extend(headers(expect, &response));
        wrong.extend(content(expect, response).await);
    } else {
        wrong.push(format!("the answer is {}", shown(status)));
    }
    if let Some(least) = expect.certificate {
        wrong.extend(certificate(expiry, least, now));
    }
    let took = began.elapsed();
    if let Some(most) = expect.latency.filter(|most| took > *most) {
        let (took, most) = (in_words(took), in_words(most));
        wrong.push(format!("it took {took}, more than {most}"));
    }
    let answer = if wrong.is_empty() {
        Answer::good()
    } else {
        Answer::failing(wrong.join("; "))
    };
    #[allow(clippy::cast_precision_loss, reason = "seconds of this era are exact")]
    let expiry = expiry.map(|seconds| seconds as f64);
    Ok(answer.with([Some(status.as_u16().into()), expiry]))
}

/// When the server's own certificate expires, in Unix seconds; `None` without TLS.
fn expiry(response: &Response) -> Option<i64> {
    let info = response.extensions().get::<TlsInfo>()?;
    let (_, certificate) = parse_x509_certificate(info.peer_certificate()?).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

fn certificate(expiry: Option<i64>, least: Duration, now: Timestamp) -> Option<Failing> {
    let Some(expiry) = expiry else {
        return Some("the server showed no certificate that can be read".to_owned());
    };
    let expires = Timestamp::from_millis(expiry.saturating_mul(1000));
    let left = expires.since(now);
    (left < least).then(|| {
        let least = humantime::format_duration(least);
        let left = humantime::format_duration(Duration::from_secs(left.as_secs()));
        format!("the certificate expires at {expires}, in {left}, less than {least}")
    })
}

fn headers(expect: &Expect, response: &Response) -> Vec<Failing> {
    let missing = expect.headers.iter().filter_map(|(name, text)| {
        let wanted = text.to_ascii_lowercase();
        let mut values = response.headers().get_all(name).iter().peekable();
        if values.peek().is_none() {
            return Some(format!("the answer has no header {name}"));
        }
        let holds = |value: &reqwest::header::HeaderValue| {
            let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            value.contains(&wanted)
        };
        let is_there = values.any(holds);
        (!is_there).then(|| format!("the answer's header {name} does not hold `{text}`"))
    });
    missing.collect()
}

/// What is wrong with the body.
async fn content(expect: &Expect, mut response: Response) -> Vec<Failing> {
    let status = response.status();
    let mut wrong = Vec::new();
    let absent = || format!("the answer is {}, without the expected text", shown(status));
    if expect.json.is_empty() {
        if let Some(text) = &expect.body {
            match holds(&mut response, text).await {
                Ok(true) => {}
                Ok(false) => wrong.push(absent()),
                Err(failing) => wrong.push(failing),
            }
        }
        return wrong;
    }
    let body = match whole(response).await {
        Ok(body) => body,
        Err(failing) => return vec![failing],
    };
    if let Some(text) = &expect.body {
        let looked_at = &body[..body.len().min(BODY_BYTES_MAX)];
        if memchr::memmem::find(looked_at, text.as_bytes()).is_none() {
            wrong.push(absent());
        }
    }
    match serde_json::from_slice::<Value>(&body) {
        Ok(document) => {
            let expected = expect.json.iter();
            wrong.extend(
                expected.filter_map(|(pointer, wanted)| differs(&document, pointer, wanted)),
            );
        }
        Err(error) => wrong.push(format!("the answer is no JSON: {error}")),
    }
    wrong
}

fn differs(document: &Value, pointer: &str, wanted: &Scalar) -> Option<Failing> {
    let Some(found) = document.pointer(pointer) else {
        return Some(format!("the answer has nothing at {pointer}"));
    };
    let (same, wanted) = match wanted {
        Scalar::Text(text) => (found.as_str() == Some(text), Value::from(text.as_str())),
        #[allow(clippy::float_cmp, reason = "both were read from decimal text")]
        Scalar::Number(number) => (found.as_f64() == Some(*number), Value::from(*number)),
        Scalar::Flag(flag) => (found.as_bool() == Some(*flag), Value::from(*flag)),
    };
    (!same).then(|| format!("{pointer} is {}, not {wanted}", brief(found)))
}

/// A JSON value for people.
pub(super) fn brief(value: &Value) -> String {
    const CHARS_MAX: usize = 60;
    let text = match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    };
    match text.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// Whether the text stands in the body's first bytes. Nobody waits for the rest of one in which it does.
async fn holds(response: &mut Response, wanted: &str) -> Result<bool, Failing> {
    let mut body: Vec<u8> = Vec::new();
    while body.len() < BODY_BYTES_MAX {
        let piece = response.chunk().await;
        let Some(piece) = piece.map_err(|error| of_request(&error).text)? else {
            break;
        };
        let room = BODY_BYTES_MAX - body.len();
        // What was looked through already needs no second look, but for a text that lies across the seam.
        let from = body.len().saturating_sub(wanted.len());
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if memchr::memmem::find(&body[from..], wanted.as_bytes()).is_some() {
            return Ok(true);
        }
    }
    Ok(wanted.is_empty())
}

/// The body, to its end.
pub(super) async fn whole(mut response: Response) -> Result<Vec<u8>, Failing> {
    let mut body = Vec::new();
    loop {
        let piece = response.chunk().await;
        let Some(piece) = piece.map_err(|error| of_request(&error).text)? else {
            return Ok(body);
        };
        if body.len() + piece.len() > JSON_BYTES_MAX {
            return Err(format!(
                "the answer is longer than {} MiB",
                JSON_BYTES_MAX >> 20
            ));
        }
        body.extend_from_slice(&piece);
    }
}

pub(super) fn shown(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or_default();
    format!("{} {reason}", status.as_u16())
        .trim_end()
        .to_owned()
}

/// A request without an answer: the component's failing, unless it never left gated.
fn told(error: &reqwest::Error) -> Result<Failing, ScrapeError> {
    let told = of_request(error);
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            if is_own(io) {
                return Err(told);
            }
            // `source` of a wrapping `io::Error` skips what it wraps.
            if let Some(inner) = io.get_ref() {
                cause = Some(inner);
                continue;
            }
        }
        cause = error.source();
    }
    Ok(told.text)
}

/// Whether the failure is gated's own: no file left to open, no network to send by.
pub(super) fn is_own(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::PermissionDenied
    ) || matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}
