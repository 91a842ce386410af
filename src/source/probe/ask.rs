//! One probe. A component that does not answer as expected is data; a probe that gated itself cannot make is not.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::config::{Ask, ProbeConfig};
use super::http::{Client, is_own};
use super::{command, http, json, junit};
use crate::engine::{ScrapeError, ScrapeFault, Times};
use crate::model::Timestamp;
use crate::source::scrape::fault::fault;
use crate::source::scrape::resolve::Resolver;

/// Why a component failed its probe, for people.
pub(super) type Failing = String;

/// What a component said.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// `None`: as expected.
    pub failing: Option<Failing>,
    /// The further series of its kind, in the order of [`ProbeConfig::series`]; those that end early have no value.
    pub more: Vec<Option<f64>>,
}

/// What one probe came to, unless gated could not make it.
pub(super) type Outcome = Result<Answer, ScrapeError>;

impl Answer {
    pub(super) fn good() -> Self {
        Self::default()
    }

    pub(super) fn failing(why: impl Into<Failing>) -> Self {
        Self {
            failing: Some(why.into()),
            more: Vec::new(),
        }
    }

    pub(super) fn with(mut self, more: impl IntoIterator<Item = Option<f64>>) -> Self {
        self.more = more.into_iter().collect();
        self
    }
}

#[derive(Debug)]
pub(super) struct Asker {
    config: Arc<ProbeConfig>,
    resolver: Resolver,
    client: Option<Client>,
}

impl Asker {
    pub(super) fn new(config: Arc<ProbeConfig>, resolver: Resolver) -> Self {
        let client = config.ask.request();
        let client = client.map(|request| Client::new(request, resolver.clone()));
        Self {
            config,
            resolver,
            client,
        }
    }

    /// Asks once, within the timeout. `times`, `at`: what files are measured by.
    pub(super) async fn ask(&mut self, times: Times, at: Timestamp) -> Outcome {
        let config = Arc::clone(&self.config);
        let limit = config.timeout;
        match &config.ask {
            Ask::Http(it) => {
                let began = tokio::time::Instant::now();
                let host = it.request.url.host_str().unwrap_or_default();
                let Some(client) = &mut self.client else {
                    return Ok(Answer::good());
                };
                let now = times.wall.shows(at);
                let asked = async |_| http::probe(client, it, began, now).await;
                let said = at_host(&self.resolver, host, limit, asked).await?;
                // As the blackbox exporter has it: 0 where there was no answer.
                Ok(if said.more.is_empty() {
                    said.with([Some(0.0)])
                } else {
                    said
                })
            }
            Ask::Json(it) => {
                let host = it.request.url.host_str().unwrap_or_default();
                let Some(client) = &mut self.client else {
                    return Ok(Answer::good());
                };
                let asked = async |_| json::probe(client, it).await;
                at_host(&self.resolver, host, limit, asked).await
            }
            Ask::Tcp { host, port } => {
                let asked = async |addresses: Vec<IpAddr>| connect(&addresses, *port).await;
                at_host(&self.resolver, host, limit, asked).await
            }
            Ask::Dns { name, addresses } => {
                let asked = look_up(&self.resolver, name, addresses);
                timeout(limit, asked).await.map_err(|_| silent(name))?
            }
            Ask::Command(it) => command::run(it, limit).await,
            Ask::Junit(it) => junit::probe(it, limit, times, at).await,
        }
    }
}

/// Looks the host up, then asks it.
async fn at_host(
    resolver: &Resolver,
    host: &str,
    limit: Duration,
    ask: impl AsyncFnOnce(Vec<IpAddr>) -> Outcome,
) -> Outcome {
    let began = tokio::time::Instant::now();
    // By itself and first: no answer from the servers of names says nothing of the component.
    let found = timeout(limit, addresses(resolver, host)).await;
    let addresses = match found.map_err(|_| silent(host))?? {
        Ok(addresses) => addresses,
        Err(failing) => return Ok(Answer::failing(failing)),
    };
    let left = limit.saturating_sub(began.elapsed());
    timeout(left, ask(addresses)).await.unwrap_or_else(|_| {
        let why = format!("no answer within {}", in_words(limit));
        Ok(Answer::failing(why))
    })
}

fn silent(host: &str) -> ScrapeError {
    fault(
        ScrapeFault::Dns,
        format!("{host}: the servers of names do not answer"),
    )
}

/// In whole milliseconds.
pub(super) fn in_words(duration: Duration) -> humantime::FormattedDuration {
    let millis = duration.as_millis().try_into().unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(millis))
}

async fn addresses(
    resolver: &Resolver,
    host: &str,
) -> Result<Result<Vec<IpAddr>, Failing>, ScrapeError> {
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        return Ok(Ok(vec![address]));
    }
    match resolver.addresses(host).await {
        Ok(found) => Ok(Ok(found)),
        Err(failed) if failed.is_answer() => Ok(Err(failed.to_string())),
        Err(failed) => Err(fault(ScrapeFault::Dns, failed.to_string())),
    }
}

/// What the name stands for, and whether that is what was expected.
async fn look_up(resolver: &Resolver, name: &str, expected: &[IpAddr]) -> Outcome {
    let sixth = expected.iter().any(IpAddr::is_ipv6);
    let found = match resolver.answers(name, sixth).await {
        Ok(found) => found,
        Err(failed) if failed.is_answer() => {
            return Ok(Answer::failing(failed.to_string()).with([Some(0.0)]));
        }
        Err(failed) => return Err(fault(ScrapeFault::Dns, failed.to_string())),
    };
    let missing: Vec<String> = expected
        .iter()
        .filter(|it| !found.contains(it))
        .map(ToString::to_string)
        .collect();
    let answer = if missing.is_empty() {
        Answer::good()
    } else {
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        Answer::failing(format!(
            "{name} is {}, not {}",
            found.join(", "),
            missing.join(", ")
        ))
    };
    let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
    Ok(answer.with([Some(count.into())]))
}

/// The first address that takes a connection.
async fn connect(addresses: &[IpAddr], port: u16) -> Outcome {
    let mut failing = Ok(Answer::failing("the name has no address"));
    for address in addresses {
        match TcpStream::connect(SocketAddr::new(*address, port)).await {
            Ok(_) => return Ok(Answer::good()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                failing = Ok(Answer::failing("nothing listens there"));
            }
            Err(error) if is_own(&error) => {
                failing = Err(fault(ScrapeFault::Connect, error.to_string()));
            }
            Err(error) => failing = Ok(Answer::failing(error.to_string())),
        }
    }
    failing
}
