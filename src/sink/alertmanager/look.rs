//! One look at every Alertmanager: does it answer, in which version, and which critical alerts does it hold? Nothing is
//! posted.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Response, Url};
use serde::Deserialize;
use tokio::time::Instant;

use super::{Alertmanagers, Peer};
use crate::model::Timestamp;
use crate::sink::deny::DenyList;
use crate::sink::http;
use crate::sink::look::{Found, LOOK_MAX, Steps, Trust, place, reach};
use crate::sink::matcher::Matcher;

/// Of an answer this much is read: thousands of alerts.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// What one peer is like.
#[derive(Clone, Debug)]
pub struct PeerSeen {
    /// `host:port`.
    pub place: String,
    pub found: Found,
    /// `None`: it did not say.
    pub critical: Option<Vec<ActiveAlert>>,
    /// All of them, critical or not.
    pub active: Option<Vec<ActiveAlert>>,
}

/// An alert that is active, neither silenced nor inhibited, and none of gated's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActiveAlert {
    pub labels: BTreeMap<String, String>,
    /// As Alertmanager writes it, RFC 3339.
    pub since: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(rename = "versionInfo")]
    version: Option<Version>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

#[derive(Deserialize)]
struct Listed {
    labels: BTreeMap<String, String>,
    #[serde(rename = "startsAt", default)]
    starts_at: String,
}

impl Alertmanagers {
    /// Asks all of them at the same time; `critical` says which alerts are looked for. In the order of the
    /// configuration.
    pub async fn look(&self, critical: &[Matcher], now: Timestamp) -> Vec<PeerSeen> {
        let shown = match &self.credentials {
            None => Ok(None),
            Some(credentials) => credentials.header().await.map(Some),
        };
        let looks = self.peers.iter().map(|peer| async {
            let mut seen = PeerSeen {
                place: place(&peer.alerts),
                found: Found::default(),
                critical: None,
                active: None,
            };
            match &shown {
                Ok(shown) => {
                    let ask = Ask {
                        client: &self.client,
                        shown: shown.as_ref(),
                    };
                    peer.look(&ask, critical, now, &mut seen).await;
                }
                Err(unread) => {
                    let text = format!("what gated shows it is missing: {unread}");
                    seen.found.broken.push(text);
                }
            }
            seen
        });
        join_all(looks).await
    }
}

impl Peer {
    async fn look(&self, ask: &Ask<'_>, critical: &[Matcher], now: Timestamp, seen: &mut PeerSeen) {
        let steps = Steps {
            end: Instant::now() + LOOK_MAX,
            each: LOOK_MAX,
        };
        // It may stand on an address that webhooks are kept from.
        let anywhere = DenyList(Vec::new());
        let reached = reach(&self.alerts, &anywhere, Trust::System, now);
        let found = &mut seen.found;
        match steps.step("the connection", reached).await {
            Ok(Ok(reached)) => reached.tell(found),
            Ok(Err(why)) | Err(why) => {
                found.broken.push(why);
                return;
            }
        }
        match steps.step("its status", self.version(ask)).await {
            Ok(Ok(Some(version))) => found.notes.push(format!("Alertmanager {version}")),
            Ok(Ok(None)) => found.notes.push("ready".to_owned()),
            Ok(Err(why)) | Err(why) => {
                found.broken.push(why);
                return;
            }
        }
        match steps.step("its alerts", self.active(ask, critical)).await {
            Ok(Ok(alerts)) => seen.critical = Some(alerts),
            Ok(Err(why)) | Err(why) => {
                found.broken.push(why);
                return;
            }
        }
        match steps.step("its alerts", self.active(ask, &[])).await {
            Ok(Ok(alerts)) => seen.active = Some(alerts),
            Ok(Err(why)) | Err(why) => found.broken.push(why),
        }
    }

    /// Its version; `None` from one that only says that it is ready.
    async fn version(&self, ask: &Ask<'_>) -> Result<Option<String>, String> {
        let status = ask.get(self.at("/api/v2/status")).await?;
        if status.status().is_success() {
            let body = read(status).await?;
            let status: Status = serde_json::from_slice(&body)
                .map_err(|_| "its status is not Alertmanager's: mend `urls`".to_owned())?;
            return Ok(status.version.map(|it| cut(&it.version, 40)));
        }
        let code = status.status().as_u16();
        let ready = ask.get(self.at("/-/ready")).await?;
        if ready.status().is_success() {
            return Ok(None);
        }
        Err(format!(
            "it answered {code} when asked for its status: mend it, or `urls`"
        ))
    }

    /// Those that match.
    async fn active(
        &self,
        ask: &Ask<'_>,
        matchers: &[Matcher],
    ) -> Result<Vec<ActiveAlert>, String> {
        let mut url = self.alerts.clone();
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs([("active", "true"), ("silenced", "false")]);
            query.append_pair("inhibited", "false");
            query.extend_pairs(matchers.iter().map(|it| ("filter", it.text())));
        }
        let answer = ask.get(url).await?;
        let status = answer.status().as_u16();
        if !(200..=299).contains(&status) {
            return Err(format!(
                "it answered {status} when asked for critical alerts: mend `critical`, or it"
            ));
        }
        let body = read(answer).await?;
        let listed: Vec<Listed> = serde_json::from_slice(&body)
            .map_err(|_| "its list of alerts is not Alertmanager's: mend `urls`".to_owned())?;
        let others = listed
            .into_iter()
            .filter(|it| it.labels.get("source").is_none_or(|it| it != "gated"));
        let alerts = others.map(|it| ActiveAlert {
            labels: it.labels,
            since: cut(&it.starts_at, 40),
        });
        Ok(alerts.collect())
    }

    /// `<url>/path`, below whatever path the URL has.
    fn at(&self, path: &str) -> Url {
        let mut url = self.alerts.clone();
        let prefix = url.path().trim_end_matches("/api/v2/alerts").to_owned();
        url.set_path(&format!("{prefix}{path}"));
        url
    }
}

struct Ask<'a> {
    client: &'a Client,
    shown: Option<&'a HeaderValue>,
}

impl Ask<'_> {
    async fn get(&self, mut url: Url) -> Result<Response, String> {
        if self.shown.is_some() {
            // Those of the URL, which would be sent otherwise.
            let _ = url.set_username("");
            let _ = url.set_password(None);
        }
        let shown = self.shown.map(|it| (AUTHORIZATION, it.clone()));
        let request = self.client.get(url).headers(shown.into_iter().collect());
        let answer = request.timeout(Duration::from_secs(5)).send().await;
        answer.map_err(|error| {
            format!(
                "it gave no answer: {}: mend it, or `urls`",
                http::reason(error)
            )
        })
    }
}

async fn read(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_BYTES_MAX => body.extend(chunk),
            Ok(Some(_)) => return Err("its answer has no end: mend `urls`".to_owned()),
            Ok(None) => return Ok(body),
            Err(error) => return Err(format!("its answer broke off: {}", http::reason(error))),
        }
    }
}

fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}
