//! One instant query → one answer. Absent: the deadline, which lies around all of it.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderValue};
use reqwest::{Client, Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::answer::{self, Answer};
use super::config::PrometheusConfig;
use crate::engine::{ScrapeError, ScrapeFault};
use crate::model::Timestamp;
use crate::source::scrape::fault::{fault, hung_up, of_request};
use crate::source::scrape::fetch::{Credentials, authority, credentials};
use crate::source::scrape::resolve::{ResolveFor, Resolver};
use crate::source::scrape::tls::{self, TlsFiles};

/// An answer to an instant query is far smaller.
const BODY_BYTES_MAX: usize = 8 << 20;
/// Requests to one server under way at once.
const UNDER_WAY_MAX: usize = 16;
/// A connection is used no longer than this: names are resolved again, and a rotation is followed.
const CONNECTION_LIFE: Duration = Duration::from_secs(300);
/// As far back as a query looks for a sample: one that is older is none.
const LOOKBACK: Duration = Duration::from_secs(300);
/// No sample may be dated further ahead than this: as on a page that is scraped.
const AHEAD_MAX: Duration = Duration::from_secs(600);
/// Of a page of text that is no answer this much is shown.
const WORDS_BYTES_MAX: usize = 120;
/// A shorter secret is no secret, and would make holes in every text.
const SECRET_BYTES_MIN: usize = 4;

/// The way to one server, shared by all that is asked of it.
#[derive(Debug)]
pub(super) struct Asker {
    config: PrometheusConfig,
    resolver: Resolver,
    tls: TlsFiles,
    made: Mutex<Option<Made>>,
    turns: Semaphore,
}

#[derive(Debug)]
struct Made {
    client: Client,
    since: Instant,
    /// Of the TLS files it was made with.
    edition: u64,
}

/// What is never to be shown, whoever repeats it.
#[derive(Default)]
struct Unspeakable(Vec<String>);

impl Asker {
    pub(super) fn new(config: PrometheusConfig, resolver: Resolver) -> Self {
        Self {
            tls: TlsFiles::new(config.tls.clone()),
            config,
            resolver,
            made: Mutex::default(),
            turns: Semaphore::new(UNDER_WAY_MAX),
        }
    }

    /// Asks once. `now`: for a server that does not say what time it is.
    pub(super) async fn ask(&self, query: &str, now: Timestamp) -> Result<Answer, ScrapeError> {
        let _turn = self.turns.acquire().await.expect("never closed");
        let client = self.client().await?;
        let mut secrets = Unspeakable::default();
        let request = self.request(&client, query, None, &mut secrets).await?;
        let asked = self.answer(&client, request, now).await;
        match asked {
            Ok(mut answer) => {
                for note in answer.notes.iter_mut().chain(&mut answer.partial) {
                    *note = secrets.hide(std::mem::take(note));
                }
                self.whole(answer.partial.as_deref())?;
                Ok(answer)
            }
            Err(error) => Err(secrets.hidden(error)),
        }
    }

    /// Asks what a query gave at a moment: the data of a good answer, which has at most so many bytes, and how many it has.
    pub(super) async fn ask_at<D: DeserializeOwned>(
        &self,
        query: &str,
        at: Timestamp,
        bytes_max: usize,
    ) -> Result<(D, usize), ScrapeError> {
        let _turn = self.turns.acquire().await.expect("never closed");
        let client = self.client().await?;
        let mut secrets = Unspeakable::default();
        let request = self.request(&client, query, Some(at), &mut secrets).await?;
        let asked = self.body(&client, request, bytes_max).await;
        let opened = asked.and_then(|(_, body)| {
            let opened = answer::open(&body)?;
            self.whole(opened.partial.as_deref())?;
            Ok((opened.data, body.len()))
        });
        opened.map_err(|error| secrets.hidden(error))
    }

    /// Whether an answer counts that may lack something.
    fn whole(&self, partial: Option<&str>) -> Result<(), ScrapeError> {
        match partial {
            Some(why) if !self.config.accept_partial => {
                let text = format!("the answer may lack data: {why}");
                Err(fault(ScrapeFault::Partial, text))
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn answer(
        &self,
        client: &Client,
        request: Request,
        now: Timestamp,
    ) -> Result<Answer, ScrapeError> {
        let (headers, body) = self.body(client, request, BODY_BYTES_MAX).await?;
        let mut answer = answer::read(&body)?;
        fresh(&mut answer, date(&headers).unwrap_or(now))?;
        Ok(answer)
    }

    async fn body(
        &self,
        client: &Client,
        request: Request,
        bytes_max: usize,
    ) -> Result<(HeaderMap, Vec<u8>), ScrapeError> {
        // A connection that was kept may have died of age meanwhile; asking twice changes nothing.
        let again = request.try_clone();
        let response = match (client.execute(request).await, again) {
            (Err(error), Some(again)) if hung_up(&error) => client.execute(again).await,
            (answer, _) => answer,
        };
        let response = response.map_err(|error| of_request(&error))?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = receive(response, bytes_max).await?;
        if status != StatusCode::OK {
            return Err(refused(status, &headers, &body));
        }
        Ok((headers, body))
    }

    /// The client there is, or another where its connections are too old or the TLS files changed.
    async fn client(&self) -> Result<Client, ScrapeError> {
        let (edition, files) = if self.config.url.scheme() == "https" {
            let files = self.tls.current().await;
            files.map_err(|error| fault(ScrapeFault::Tls, error.to_string()))?
        } else {
            (0, tls::none())
        };
        let mut made = self.made.lock().await;
        if let Some(made) = made.as_ref()
            && made.edition == edition
            && made.since.elapsed() < CONNECTION_LIFE
        {
            return Ok(made.client.clone());
        }
        let named = self.server_name();
        let resolve = ResolveFor {
            resolver: self.resolver.clone(),
            host: named.and(self.config.url.host_str()).map(str::to_owned),
        };
        let client = tls::client(files, resolve)
            .pool_max_idle_per_host(UNDER_WAY_MAX)
            .pool_idle_timeout(CONNECTION_LIFE)
            .build()
            .map_err(|error| of_request(&error))?;
        *made = Some(Made {
            client: client.clone(),
            since: Instant::now(),
            edition,
        });
        Ok(client)
    }

    fn server_name(&self) -> Option<&str> {
        let https = self.config.url.scheme() == "https";
        self.config.tls.server_name.as_deref().filter(|_| https)
    }

    async fn request(
        &self,
        client: &Client,
        query: &str,
        at: Option<Timestamp>,
        secrets: &mut Unspeakable,
    ) -> Result<Request, ScrapeError> {
        let config = &self.config;
        let mut url = config.endpoint();
        if !config.query.is_empty() {
            let pairs = config.query.iter();
            let pairs = pairs.map(|(name, value)| (name, value.expose()));
            url.query_pairs_mut().extend_pairs(pairs);
        }
        let host = authority(&url);
        if let Some(name) = self.server_name() {
            // The connection goes to the URL's host all the same: see `ResolveFor`.
            url.set_host(Some(name)).map_err(|_| {
                let text = format!("server_name `{name}` is not a host");
                fault(ScrapeFault::Tls, text)
            })?;
        }
        let token = config.bearer_token_file.as_deref();
        let credentials = credentials(token, config.basic_auth.as_ref()).await?;
        let limit = format!("{}ms", config.timeout.as_millis());
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("query", query);
        form.append_pair("timeout", &limit);
        if let Some(at) = at {
            form.append_pair("time", &format!("{:.3}", at.seconds()));
        }
        let form = form.finish();
        let mut request = client
            .post(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form);
        if self.server_name().is_some() {
            request = request.header(HOST, host);
        }
        request = match credentials {
            Some(Credentials::Bearer(token)) => {
                secrets.0.push(token.clone());
                request.bearer_auth(token)
            }
            Some(Credentials::Basic(name, password)) => {
                secrets.0.push(password.clone());
                request.basic_auth(name, Some(password))
            }
            None => request,
        };
        let values = config.query.iter().map(|(_, value)| value.expose());
        secrets.0.extend(values.map(str::to_owned));
        let values = config.headers.values().filter(|it| it.is_sensitive());
        let values = values.filter_map(|it| it.to_str().ok());
        secrets.0.extend(values.map(str::to_owned));
        request
            .headers(config.headers.clone())
            .build()
            .map_err(|_| {
                let text = "a header would hold characters that cannot be sent";
                fault(ScrapeFault::Credentials, text)
            })
    }
}

impl Unspeakable {
    fn hidden(&self, error: ScrapeError) -> ScrapeError {
        ScrapeError {
            text: self.hide(error.text),
            ..error
        }
    }

    fn hide(&self, mut text: String) -> String {
        for secret in self.0.iter().filter(|it| it.len() >= SECRET_BYTES_MIN) {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), "[secret]");
            }
        }
        text
    }
}

async fn receive(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, ScrapeError> {
    let encoding = response.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|it| it != "identity") {
        let text = "the answer is encoded, and that was not asked for";
        return Err(fault(ScrapeFault::Encoding, text));
    }
    let too_large = || {
        let text = format!("the answer has more than {bytes_max} bytes");
        fault(ScrapeFault::BodyTooLarge, text)
    };
    let announced = response.content_length();
    if announced.is_some_and(|it| it > bytes_max as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| of_request(&error))? {
        if body.len() + piece.len() > bytes_max {
            return Err(too_large());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// An answer other than 200: in the server's words, where it has any.
fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ScrapeError {
    let code = status.as_u16();
    if let Some(words) = answer::refusal(body) {
        return fault(ScrapeFault::Query, format!("{code} {words}"));
    }
    let reason = status.canonical_reason().unwrap_or_default();
    let mut text = format!("the answer is {code} {reason}")
        .trim_end()
        .to_owned();
    let plain = |it: &HeaderValue| it.as_bytes().starts_with(b"text/plain");
    if headers.get(CONTENT_TYPE).is_some_and(plain) {
        let words = &body[..body.len().min(WORDS_BYTES_MAX)];
        let words = String::from_utf8_lossy(words);
        let words = words.trim().lines().next().unwrap_or_default().to_owned();
        if !words.is_empty() {
            text = format!("{text}: {}", answer::line_of(&words));
        }
    }
    fault(ScrapeFault::Status, text)
}

/// The server's time, as it says it. A sample's age is told by the clock that dated the sample.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_millis(date.timestamp().as_millisecond()))
}

/// Leaves out what is older than a query looks back, and what has yet to be.
fn fresh(answer: &mut Answer, at: Timestamp) -> Result<(), ScrapeError> {
    let before = answer.samples.len();
    answer.samples.retain(|it| it.at.since(at) <= AHEAD_MAX);
    let (ahead, due) = (before - answer.samples.len(), answer.samples.len());
    answer.samples.retain(|it| at.since(it.at) <= LOOKBACK);
    if before == 0 || !answer.samples.is_empty() {
        return Ok(());
    }
    let what = match (ahead, due) {
        (0, _) => "is older than five minutes",
        (_, 0) => "is dated more than ten minutes ahead",
        (_, _) => "is older than five minutes or dated more than ten ahead",
    };
    let text = format!("every sample {what}: a cache, or a clock that is wrong");
    Err(fault(ScrapeFault::NotAnAnswer, text))
}
