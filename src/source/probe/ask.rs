//! One probe. A component that does not answer as expected is data; a probe that gated itself cannot make is not.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::config::{Ask, HttpProbe, ProbeConfig};
use crate::engine::{ScrapeError, ScrapeFault};
use crate::source::scrape::fault::{fault, of_request};
use crate::source::scrape::resolve::{ResolveFor, Resolver};
use crate::source::scrape::tls::{self, TlsFiles};

/// Of an answer's body this much is looked through.
const BODY_BYTES_MAX: usize = 64 << 10;
/// A process or a machine that has no more files to open.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

/// Why a component failed its probe, for people.
pub(super) type Failing = String;

/// What one probe came to, unless gated could not make it.
type Outcome = Result<Result<(), Failing>, ScrapeError>;

#[derive(Debug)]
pub(super) struct Asker {
    config: Arc<ProbeConfig>,
    resolver: Resolver,
    /// The client with the edition of the TLS files it was made with. It keeps no connection: each probe meets the
    /// component as a new caller does.
    client: Option<(u64, Client)>,
    tls: Option<TlsFiles>,
}

impl Asker {
    pub(super) fn new(config: Arc<ProbeConfig>, resolver: Resolver) -> Self {
        let tls = match &config.ask {
            Ask::Http(http) if http.url.scheme() == "https" => {
                Some(TlsFiles::new(http.tls.clone()))
            }
            Ask::Http(_) | Ask::Tcp { .. } => None,
        };
        Self {
            config,
            resolver,
            client: None,
            tls,
        }
    }

    /// Asks once, within the timeout.
    pub(super) async fn ask(&mut self) -> Outcome {
        let config = Arc::clone(&self.config);
        let host = match &config.ask {
            Ask::Http(http) => http.url.host_str().unwrap_or_default(),
            Ask::Tcp { host, .. } => host,
        };
        let began = tokio::time::Instant::now();
        // By itself and first: no answer from the servers of names says nothing of the component.
        let found = timeout(config.timeout, self.addresses(host)).await;
        let late = || {
            fault(
                ScrapeFault::Dns,
                format!("{host}: the servers of names do not answer"),
            )
        };
        let addresses = match found.map_err(|_| late())?? {
            Ok(addresses) => addresses,
            Err(failing) => return Ok(Err(failing)),
        };
        let left = config.timeout.saturating_sub(began.elapsed());
        let asked = async {
            match &config.ask {
                Ask::Http(http) => self.http(http).await,
                Ask::Tcp { port, .. } => connect(&addresses, *port).await,
            }
        };
        timeout(left, asked).await.unwrap_or_else(|_| {
            let within =
                Duration::from_millis(config.timeout.as_millis().try_into().unwrap_or(u64::MAX));
            let within = humantime::format_duration(within);
            Ok(Err(format!("no answer within {within}")))
        })
    }

    async fn addresses(&self, host: &str) -> Result<Result<Vec<IpAddr>, Failing>, ScrapeError> {
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return Ok(Ok(vec![address]));
        }
        match self.resolver.addresses(host).await {
            Ok(found) => Ok(Ok(found)),
            Err(failed) if failed.is_answer() => Ok(Err(failed.to_string())),
            Err(failed) => Err(fault(ScrapeFault::Dns, failed.to_string())),
        }
    }

    async fn http(&mut self, http: &HttpProbe) -> Outcome {
        let client = self.client(http).await?;
        let mut url = http.url.clone();
        let name = http
            .tls
            .server_name
            .as_deref()
            .filter(|_| self.tls.is_some());
        if let Some(name) = name {
            // The connection goes to the URL's host all the same: see `ResolveFor`.
            url.set_host(Some(name)).map_err(|_| {
                fault(
                    ScrapeFault::Tls,
                    format!("server_name `{name}` is not a host"),
                )
            })?;
        }
        let request = client
            .request(http.method.clone(), url)
            .headers(http.headers.clone())
            .build()
            .map_err(|error| of_request(&error))?;
        match client.execute(request).await {
            Ok(response) => Ok(expected(http, response).await),
            Err(error) => told(&error),
        }
    }

    /// The client there is, or another where the TLS files changed.
    async fn client(&mut self, http: &HttpProbe) -> Result<Client, ScrapeError> {
        let (edition, files) = match &self.tls {
            Some(files) => {
                let current = files.current().await;
                current.map_err(|error| fault(ScrapeFault::Tls, error.to_string()))?
            }
            None => (0, tls::none()),
        };
        if let Some((of, client)) = &self.client
            && *of == edition
        {
            return Ok(client.clone());
        }
        let named = http.tls.server_name.as_ref().filter(|_| self.tls.is_some());
        let resolve = ResolveFor {
            resolver: self.resolver.clone(),
            host: named.and(http.url.host_str()).map(str::to_owned),
        };
        let client = tls::client(files, resolve)
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| of_request(&error))?;
        self.client = Some((edition, client.clone()));
        Ok(client)
    }
}

/// Whether the answer is what was expected.
async fn expected(http: &HttpProbe, mut response: Response) -> Result<(), Failing> {
    let status = response.status();
    let right = match http.status {
        Some(wanted) => status.as_u16() == wanted,
        None => status.is_success(),
    };
    if !right {
        return Err(format!("the answer is {}", shown(status)));
    }
    let Some(wanted) = &http.body else {
        return Ok(());
    };
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
        if wanted.is_empty()
            || body[from..]
                .windows(wanted.len())
                .any(|it| it == wanted.as_bytes())
        {
            return Ok(());
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the answer is {}, without the expected text",
        shown(status)
    ))
}

fn shown(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or_default();
    format!("{} {reason}", status.as_u16())
        .trim_end()
        .to_owned()
}

/// A request without an answer: the component's failing, unless it never left gated.
fn told(error: &reqwest::Error) -> Outcome {
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
    Ok(Err(told.text))
}

/// Whether the failure is gated's own: no file left to open, no network to send by.
fn is_own(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::PermissionDenied
    ) || matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

/// The first address that takes a connection.
async fn connect(addresses: &[IpAddr], port: u16) -> Outcome {
    let mut failing = Ok(Err("the name has no address".to_owned()));
    for address in addresses {
        match TcpStream::connect(SocketAddr::new(*address, port)).await {
            Ok(_) => return Ok(Ok(())),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                failing = Ok(Err("nothing listens there".to_owned()));
            }
            Err(error) if is_own(&error) => {
                failing = Err(fault(ScrapeFault::Connect, error.to_string()));
            }
            Err(error) => failing = Ok(Err(error.to_string())),
        }
    }
    failing
}
