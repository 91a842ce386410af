//! One request → one page, as bytes. Absent: the deadline, which lies around all of a scrape.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING,
};
use reqwest::{Client, Request, Response, StatusCode, Url};
use tokio::time::Instant;

use super::body::{Body, Encoding, Memory};
use super::config::{BasicAuth, Password, ScrapeConfig};
use super::fault::{fault, hung_up, of_request};
use super::resolve::{ResolveFor, Resolver};
use super::target::Target;
use super::tls::{self, TlsFiles};
use crate::engine::{ScrapeError, ScrapeFault};
use crate::source::exposition::Format;

/// As Prometheus asks, and in its order.
const ACCEPTED: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=0.0.1;q=0.5,\
    text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";
/// A connection is used no longer than this: names are resolved again, and a rotation is followed.
const CONNECTION_LIFE: Duration = Duration::from_secs(300);
/// Tokens and passwords are short; a file that is not is the wrong one.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// One target's way to its page.
#[derive(Debug)]
pub(super) struct Fetcher {
    config: Arc<ScrapeConfig>,
    target: Target,
    resolver: Resolver,
    tls: Arc<TlsFiles>,
    memory: Arc<Memory>,
    made: Option<Made>,
    /// The last answer came whole: the next request may meet a connection that died of age meanwhile.
    kept_alive: bool,
}

/// A client keeps at most one connection, since a target has one scrape under way at most.
#[derive(Debug)]
struct Made {
    client: Client,
    since: Instant,
    /// Of the TLS files it was made with.
    edition: u64,
}

/// A page that came whole.
pub(super) struct Fetched {
    pub(super) body: Body,
    pub(super) format: Format,
    /// Its end was marked (by a length, chunks or an encoding): it cannot have been cut off unseen.
    pub(super) framed: bool,
}

impl Fetcher {
    pub(super) fn new(
        config: Arc<ScrapeConfig>,
        target: Target,
        resolver: Resolver,
        tls: Arc<TlsFiles>,
        memory: Arc<Memory>,
    ) -> Self {
        Self {
            config,
            target,
            resolver,
            tls,
            memory,
            made: None,
            kept_alive: false,
        }
    }

    pub(super) async fn fetch(&mut self) -> Result<Fetched, ScrapeError> {
        let client = self.client().await?;
        let request = self.request(&client).await?;
        // Whatever ends this scrape early closes its connection.
        let kept_alive = std::mem::take(&mut self.kept_alive);
        let again = if kept_alive {
            request.try_clone()
        } else {
            None
        };
        let response = match (client.execute(request).await, again) {
            (Err(error), Some(again)) if hung_up(&error) => client.execute(again).await,
            (answer, _) => answer,
        };
        let response = response.map_err(|error| of_request(&error))?;
        let fetched = receive(response, &self.memory, self.config.body_size_limit).await?;
        self.kept_alive = true;
        Ok(fetched)
    }

    /// The client there is, or another where its connection is too old or the TLS files changed.
    async fn client(&mut self) -> Result<Client, ScrapeError> {
        let (edition, files) = if self.target.url.scheme() == "https" {
            let files = self.tls.current().await;
            files.map_err(|error| fault(ScrapeFault::Tls, error.to_string()))?
        } else {
            (0, tls::none())
        };
        if let Some(made) = &self.made
            && made.edition == edition
            && made.since.elapsed() < CONNECTION_LIFE
        {
            return Ok(made.client.clone());
        }
        let resolve = ResolveFor {
            resolver: self.resolver.clone(),
            host: self
                .server_name()
                .and(self.target.url.host_str())
                .map(str::to_owned),
        };
        let client = tls::client(files, resolve)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(CONNECTION_LIFE)
            .build()
            .map_err(|error| of_request(&error))?;
        self.kept_alive = false;
        self.made = Some(Made {
            client: client.clone(),
            since: Instant::now(),
            edition,
        });
        Ok(client)
    }

    fn server_name(&self) -> Option<&str> {
        let https = self.target.url.scheme() == "https";
        self.config.tls.server_name.as_deref().filter(|_| https)
    }

    async fn request(&self, client: &Client) -> Result<Request, ScrapeError> {
        let mut url = self.target.url.clone();
        if let Some(name) = self.server_name() {
            // The connection goes to the target's host all the same: see `ResolveFor`.
            url.set_host(Some(name)).map_err(|_| {
                fault(
                    ScrapeFault::Tls,
                    format!("server_name `{name}` is not a host"),
                )
            })?;
        }
        let (token, basic) = (&self.config.bearer_token_file, &self.config.basic_auth);
        let credentials = credentials(token.as_deref(), basic.as_ref()).await?;
        if credentials.is_some() {
            // Those of the URL, which would be sent otherwise. Fails only on URLs that cannot have any.
            let _ = url.set_username("");
            let _ = url.set_password(None);
        }
        let mut request = client.get(url).header(ACCEPT, ACCEPTED);
        if !self.target.is_loopback() {
            request = request.header(ACCEPT_ENCODING, "gzip, zstd");
        }
        if self.server_name().is_some() {
            request = request.header(HOST, authority(&self.target.url));
        }
        request = match credentials {
            Some(Credentials::Bearer(token)) => request.bearer_auth(token),
            Some(Credentials::Basic(name, password)) => request.basic_auth(name, Some(password)),
            None => request,
        };
        request
            .header(
                TIMEOUT_HEADER,
                self.config.timeout.as_secs_f64().to_string(),
            )
            .headers(self.config.headers.clone())
            .build()
            .map_err(|_| {
                let text = "a header would hold characters that cannot be sent";
                fault(ScrapeFault::Credentials, text)
            })
    }
}

/// What a request says of who asks.
pub(in crate::source) enum Credentials {
    Bearer(String),
    Basic(String, String),
}

/// Reads the files that are named; a bearer token counts before a name with a password.
pub(in crate::source) async fn credentials(
    bearer_token_file: Option<&Path>,
    basic_auth: Option<&BasicAuth>,
) -> Result<Option<Credentials>, ScrapeError> {
    if let Some(path) = bearer_token_file {
        return Ok(Some(Credentials::Bearer(read_secret(path).await?)));
    }
    let Some(auth) = basic_auth else {
        return Ok(None);
    };
    let password = match &auth.password {
        Password::Here(secret) => secret.expose().to_owned(),
        Password::File(path) => read_secret(path).await?,
    };
    Ok(Some(Credentials::Basic(auth.username.clone(), password)))
}

async fn receive(
    mut response: Response,
    memory: &Arc<Memory>,
    limit: usize,
) -> Result<Fetched, ScrapeError> {
    let status = response.status();
    if status != StatusCode::OK {
        let reason = status.canonical_reason().unwrap_or_default();
        let text = format!("the answer is {} {reason}", status.as_u16());
        return Err(fault(ScrapeFault::Status, text.trim_end()));
    }
    let format = format_of(response.headers().get(CONTENT_TYPE))?;
    let encoding = encoding_of(response.headers().get(CONTENT_ENCODING))?;
    let announced = response.content_length();
    if announced.is_some_and(|bytes| bytes > limit as u64) {
        let text = format!("the page has more than {limit} bytes");
        return Err(fault(ScrapeFault::BodyTooLarge, text));
    }
    let framed = announced.is_some()
        || response.headers().contains_key(TRANSFER_ENCODING)
        || encoding != Encoding::Identity;
    let mut body = Body::new(memory, limit, encoding)?;
    while let Some(piece) = response.chunk().await.map_err(|error| of_request(&error))? {
        body.feed(&piece).await?;
    }
    body.finish()?;
    Ok(Fetched {
        body,
        format,
        framed,
    })
}

/// A page without a type is taken for text; one of a type that is not exposition text is not read.
fn format_of(header: Option<&HeaderValue>) -> Result<Format, ScrapeError> {
    let Some(header) = header else {
        return Ok(Format::Text);
    };
    let text = String::from_utf8_lossy(header.as_bytes());
    let kind = text.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/openmetrics-text") {
        Ok(Format::OpenMetrics)
    } else if kind.is_empty() || kind.eq_ignore_ascii_case("text/plain") {
        Ok(Format::Text)
    } else {
        let text = format!("content type `{kind}`");
        Err(fault(ScrapeFault::NotExposition, text))
    }
}

fn encoding_of(header: Option<&HeaderValue>) -> Result<Encoding, ScrapeError> {
    let text = header.map_or(b"".as_slice(), HeaderValue::as_bytes);
    let text = String::from_utf8_lossy(text).trim().to_ascii_lowercase();
    match text.as_str() {
        "" | "identity" => Ok(Encoding::Identity),
        "gzip" | "x-gzip" => Ok(Encoding::Gzip),
        "zstd" => Ok(Encoding::Zstd),
        _ => Err(fault(
            ScrapeFault::Encoding,
            format!("content encoding `{text}`"),
        )),
    }
}

/// Host and, where it is not the scheme's own, port.
pub(in crate::source) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

async fn read_secret(path: &Path) -> Result<String, ScrapeError> {
    let refused = |why: String| {
        let path = path.display();
        fault(ScrapeFault::Credentials, format!("{path}: {why}"))
    };
    let meta = tokio::fs::metadata(path).await;
    let bytes = meta.map_err(|error| refused(error.to_string()))?.len();
    if bytes > SECRET_BYTES_MAX {
        return Err(refused(format!("{bytes} bytes are no token")));
    }
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|error| refused(error.to_string()))?;
    Ok(text.trim().to_owned())
}
