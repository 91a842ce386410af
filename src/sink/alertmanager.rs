//! Posting alerts to every Alertmanager (API v2): each peer by itself, in chunks, with one bad alert found and left
//! out rather than losing the rest. Deliberately absent: what is firing and when it is posted again (the engine's).

mod look;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Url};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use super::http;
use super::metrics::{ALERTMANAGER_FAILURES, ALERTMANAGER_POSTS, ALERTMANAGER_QUARANTINED};
use super::secret::Secret;
use crate::engine::Alert;

pub use look::{ActiveAlert, PeerSeen};

/// Alerts in one request.
const CHUNK: usize = 64;
/// A refused alert is tried again after this long: a rule may have been mended, or the peer.
const QUARANTINE: Duration = Duration::from_secs(3600);
/// Tokens and passwords are short; a file that is not is the wrong one.
const SECRET_BYTES_MAX: u64 = 64 << 10;
/// Refused alerts remembered per peer; past that they are refused again each time.
const QUARANTINE_MAX: usize = 1000;
/// Of a refusal's text this much is read and logged.
const EXCERPT_BYTES_MAX: usize = 300;

#[derive(Debug, thiserror::Error)]
pub enum AlertmanagerError {
    #[error("the url of alertmanager {0} is not an absolute http or https URL")]
    Url(usize),
    #[error("no HTTP client for the alertmanagers")]
    Client(#[source] reqwest::Error),
}

/// All configured peers. Calls of [`Alertmanagers::post`] may overlap: a peer is given one post after the other, and
/// of those that wait only the latest, since each holds everything.
#[derive(Debug)]
pub struct Alertmanagers {
    peers: Vec<Peer>,
    client: Client,
    latest: AtomicU64,
    /// Of every alert that has none of that name, as `external_labels` in Prometheus.
    labels: BTreeMap<String, String>,
    credentials: Option<Credentials>,
    quarantine: Duration,
}

/// How gated shows every peer who it is. Files are read before each post: they may be rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    BearerFile(PathBuf),
    Basic { username: String, password: Secret },
    BasicFile { username: String, password: PathBuf },
}

type Quarantine = BTreeMap<BTreeMap<String, String>, Instant>;

struct Peer {
    /// Its place in the configuration: what metrics and logs call it.
    index: String,
    alerts: Url,
    /// Labels of alerts that it refuses, and since when.
    refused: Mutex<Quarantine>,
}

/// What became of one post, peer by peer in the order of the configuration.
#[derive(Debug)]
pub struct Posted {
    pub peers: Vec<Result<Taken, PeerFault>>,
}

impl Posted {
    /// Whether somebody hears of it: one peer is enough, since peers tell each other.
    pub fn accepted(&self) -> bool {
        self.peers.iter().any(Result::is_ok)
    }
}

/// What a peer took.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub alerts: usize,
    /// Left out, then or before, because this peer refuses them.
    pub quarantined: usize,
}

/// Why a peer did not take everything it could have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerFault {
    #[error("answered {0}")]
    Status(u16),
    #[error("{0}")]
    NoAnswer(String),
    /// It refuses each alert by itself: more likely its fault than that of all of them.
    #[error("refused every alert ({0})")]
    RefusedAll(u16),
    /// A later post came while this one waited for its turn.
    #[error("overtaken by a later post")]
    Overtaken,
}

impl Alertmanagers {
    /// `urls` as configured, each with its path prefix and without `/api/v2`; `timeout` is one request's.
    pub fn new(urls: &[String], timeout: Duration) -> Result<Self, AlertmanagerError> {
        let peers = urls.iter().enumerate().map(|(index, url)| {
            let alerts = endpoint(url).ok_or(AlertmanagerError::Url(index))?;
            Ok(Peer {
                index: index.to_string(),
                alerts,
                refused: Mutex::default(),
            })
        });
        Ok(Self {
            peers: peers.collect::<Result<_, _>>()?,
            client: http::client(timeout).map_err(AlertmanagerError::Client)?,
            latest: AtomicU64::new(0),
            labels: BTreeMap::new(),
            credentials: None,
            quarantine: QUARANTINE,
        })
    }

    /// The same with labels for every alert; those that an alert has win.
    #[must_use]
    pub fn labelled(self, labels: BTreeMap<String, String>) -> Self {
        Self { labels, ..self }
    }

    /// The same with what every peer is shown.
    #[must_use]
    pub fn authorized(self, credentials: Option<Credentials>) -> Self {
        Self {
            credentials,
            ..self
        }
    }

    /// The same where a refused alert is tried again after `quarantine`; an hour unless said otherwise.
    #[must_use]
    pub fn retrying_after(self, quarantine: Duration) -> Self {
        Self { quarantine, ..self }
    }

    /// Posts all alerts to all peers at the same time. A peer that is dead or slow delays no other.
    pub async fn post(&self, alerts: &[Alert]) -> Posted {
        let turn = self.latest.fetch_add(1, Ordering::Relaxed) + 1;
        let alerts = alerts.iter().map(|it| WireAlert::new(it, &self.labels));
        let alerts: Vec<WireAlert> = alerts.collect();
        let shown = match &self.credentials {
            None => Ok(None),
            Some(credentials) => credentials.header().await.map(Some),
        };
        let shown = shown.map_err(PeerFault::NoAnswer);
        let posts = self.peers.iter().map(|peer| async {
            let mut refused = peer.refused.lock().await;
            if self.latest.load(Ordering::Relaxed) > turn {
                return Err(PeerFault::Overtaken);
            }
            let outcome = match &shown {
                Err(unread) => Err(unread.clone()),
                Ok(shown) => {
                    let ask = Ask {
                        client: &self.client,
                        authorization: shown.as_ref(),
                    };
                    refused.retain(|_, since| since.elapsed() < self.quarantine);
                    peer.take(&ask, &alerts, &mut refused).await
                }
            };
            if let Err(error) = &outcome {
                warn!(peer = %peer.index, %error, "alertmanager did not take the alerts");
                metrics::counter!(ALERTMANAGER_FAILURES, "peer" => peer.index.clone()).increment(1);
            }
            outcome
        });
        Posted {
            peers: join_all(posts).await,
        }
    }
}

impl Peer {
    /// Gives it everything it does not refuse. Ends at the first sign that the peer, not an alert, is at fault: the
    /// rest would only wait for the same.
    async fn take(
        &self,
        ask: &Ask<'_>,
        alerts: &[WireAlert],
        refused: &mut Quarantine,
    ) -> Result<Taken, PeerFault> {
        let wanted: Vec<&WireAlert> = alerts
            .iter()
            .filter(|alert| !refused.contains_key(&alert.labels))
            .collect();
        let mut taken = 0;
        let mut bad: Vec<(&WireAlert, u16, String)> = Vec::new();
        let mut waiting: Vec<&[&WireAlert]> = wanted.chunks(CHUNK).rev().collect();
        while let Some(chunk) = waiting.pop() {
            match self.request(ask, chunk).await? {
                Reply::Taken => taken += chunk.len(),
                Reply::Refused(status, why) => {
                    if let [alert] = chunk {
                        bad.push((alert, status, why));
                    } else {
                        let (first, second) = chunk.split_at(chunk.len() / 2);
                        waiting.extend([second, first]);
                    }
                }
            }
            if taken == 0 && bad.len() >= CHUNK {
                break;
            }
        }
        if let (0, [(_, status, _), ..]) = (taken, &bad[..]) {
            return Err(PeerFault::RefusedAll(*status));
        }
        for (alert, status, why) in bad {
            let name = alert.labels.get("alertname").map_or("", String::as_str);
            warn!(peer = %self.index, alert = name, status, why, "alertmanager refuses an alert");
            metrics::counter!(ALERTMANAGER_QUARANTINED, "peer" => self.index.clone()).increment(1);
            if refused.len() < QUARANTINE_MAX {
                refused.insert(alert.labels.clone(), Instant::now());
            }
        }
        Ok(Taken {
            alerts: taken,
            quarantined: alerts.len() - taken,
        })
    }

    async fn request(&self, ask: &Ask<'_>, chunk: &[&WireAlert]) -> Result<Reply, PeerFault> {
        let mut url = self.alerts.clone();
        if ask.authorization.is_some() {
            // Those of the URL, which would be sent otherwise. Fails only on URLs that cannot have any.
            let _ = url.set_username("");
            let _ = url.set_password(None);
        }
        let shown = ask.authorization.map(|it| (AUTHORIZATION, it.clone()));
        let response = ask
            .client
            .post(url)
            .headers(shown.into_iter().collect())
            .json(chunk)
            .send()
            .await
            .map_err(|error| PeerFault::NoAnswer(http::reason(error)))?;
        match response.status().as_u16() {
            200..=299 => {
                metrics::counter!(ALERTMANAGER_POSTS, "peer" => self.index.clone()).increment(1);
                Ok(Reply::Taken)
            }
            // Invalid for its rules, for its schema, or too much at once: halves tell which alert it is.
            status @ (400 | 413 | 422) => Ok(Reply::Refused(
                status,
                http::excerpt(response, EXCERPT_BYTES_MAX).await,
            )),
            status => Err(PeerFault::Status(status)),
        }
    }
}

/// A URL may hold a password.
impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("index", &self.index)
            .field("host", &self.alerts.host_str())
            .finish_non_exhaustive()
    }
}

/// With what a request is made.
struct Ask<'a> {
    client: &'a Client,
    authorization: Option<&'a HeaderValue>,
}

impl Credentials {
    /// The header, or why it cannot be made.
    async fn header(&self) -> Result<HeaderValue, String> {
        let basic = |username: &str, password: &str| {
            let pair = format!("{username}:{password}");
            format!("Basic {}", STANDARD.encode(pair))
        };
        let text = match self {
            Self::BearerFile(path) => format!("Bearer {}", read_secret(path).await?),
            Self::Basic { username, password } => basic(username, password.expose()),
            Self::BasicFile { username, password } => {
                basic(username, &read_secret(password).await?)
            }
        };
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| "the token holds characters that cannot be sent".to_owned())?;
        value.set_sensitive(true);
        Ok(value)
    }
}

async fn read_secret(path: &Path) -> Result<String, String> {
    let refused = |why: String| format!("{} cannot be read: {why}", path.display());
    let meta = tokio::fs::metadata(path).await;
    let bytes = meta.map_err(|error| refused(error.to_string()))?.len();
    if bytes > SECRET_BYTES_MAX {
        return Err(refused(format!("{bytes} bytes are no token")));
    }
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|error| refused(error.to_string()))?;
    Ok(text.trim().to_owned())
}

/// What a peer said to one request.
enum Reply {
    Taken,
    /// Status and an escaped excerpt of why.
    Refused(u16, String),
}

/// `<url>/api/v2/alerts`, below whatever path the URL has.
fn endpoint(url: &str) -> Option<Url> {
    let mut url = Url::parse(url.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return None;
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = format!("{}/api/v2/alerts", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Some(url)
}

/// One element of the array that API v2 takes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireAlert {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    starts_at: String,
    ends_at: String,
    /// An absolute URI, or left out: one that is not makes a peer refuse the whole array.
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<String>,
}

impl WireAlert {
    fn new(alert: &Alert, external: &BTreeMap<String, String>) -> Self {
        let mut labels = names_of_old(&alert.labels);
        for (name, value) in names_of_old(external) {
            labels.entry(name).or_insert(value);
        }
        Self {
            labels,
            annotations: names_of_old(&alert.annotations),
            starts_at: alert.starts_at.to_string(),
            ends_at: alert.ends_at.to_string(),
            generator_url: Url::parse(&alert.generator_url).ok().map(String::from),
        }
    }
}

/// Names as every Alertmanager takes them: whatever does not stand in `[a-zA-Z_][a-zA-Z0-9_]*` becomes `_`, as
/// Prometheus does. A name that is written so already wins over one that becomes it. Empty values are dropped.
fn names_of_old(pairs: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut wire = BTreeMap::new();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        let mut plain: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        if !plain.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            plain.insert(0, '_');
        }
        if plain == *name {
            wire.insert(plain, value.clone());
        } else {
            wire.entry(plain).or_insert_with(|| value.clone());
        }
    }
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_an_old_alertmanager_refuses_are_rewritten() {
        let pairs = |list: &[(&str, &str)]| -> BTreeMap<String, String> {
            list.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        for (given, wire) in [
            (
                &[("job", "api"), ("a_9", "1")][..],
                &[("job", "api"), ("a_9", "1")][..],
            ),
            (&[("bad-name", "x"), ("empty", "")], &[("bad_name", "x")]),
            (
                &[("bad-name", "x"), ("bad_name", "y")],
                &[("bad_name", "y")],
            ),
            (
                &[("bad_name", "y"), ("bad.name", "x")],
                &[("bad_name", "y")],
            ),
            (
                &[("9lives", "x"), ("größe", "y"), ("", "z")],
                &[("_9lives", "x"), ("gr__e", "y"), ("_", "z")],
            ),
        ] {
            assert_eq!(names_of_old(&pairs(given)), pairs(wire), "{given:?}");
        }
    }

    #[test]
    fn the_endpoint_keeps_the_prefix() {
        let show = |url: &str| endpoint(url).map(String::from);
        assert_eq!(
            show("http://127.0.0.1:9093").as_deref(),
            Some("http://127.0.0.1:9093/api/v2/alerts")
        );
        assert_eq!(
            show("https://am.example.com/alertmanager/?x=1").as_deref(),
            Some("https://am.example.com/alertmanager/api/v2/alerts")
        );
        assert_eq!((show("am:9093"), show("/x"), show("")), (None, None, None));
    }
}
