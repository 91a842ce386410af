//! Commands that talk to a running daemon over HTTP, and say so when there is none.

mod incidents;

use std::fmt::Write as _;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Client;
use reqwest::Method;
use reqwest::RequestBuilder;
use reqwest::Response;
use reqwest::header::ACCEPT;
use serde_json::Value;
use serde_json::json;

use super::cli::Rollout;
use super::token::TokenError;
use crate::model::text::visible;

/// How long a command waits for the daemon, which answers from memory or after one commit.
const TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error(
        "no gated answers at {address}; start one with `gated --config …`, or say with --listen where it is"
    )]
    NoDaemon {
        address: SocketAddr,
        source: reqwest::Error,
    },
    #[error("the answer of {address} broke off or was not gated's")]
    Answer {
        address: SocketAddr,
        source: reqwest::Error,
    },
    /// The daemon's own words.
    #[error("{error}")]
    Refused {
        status: u16,
        kind: String,
        error: String,
    },
    #[error("gated at {address} does not accept the token; give --data or --config of that gated")]
    Token { address: SocketAddr },
    #[error(
        "this needs the token of gated: run it where gated runs and as its user, or say with --config or --data where its files are"
    )]
    NoToken(#[from] TokenError),
    #[error("there is no rollout in progress")]
    NoRollout,
    #[error("there is no incident `{0}`; `gated incidents --all` lists them")]
    NoIncident(String),
    #[error("several incidents begin with `{begins}`: {}", ids.join(", "))]
    ManyIncidents { begins: String, ids: Vec<String> },
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
}

impl RemoteError {
    /// Whether the store could not be used: exit code 5.
    #[must_use]
    pub fn is_store(&self) -> bool {
        matches!(self, Self::Refused { kind, .. } if kind == "store")
    }
}

/// A daemon as a command reaches it.
#[derive(Debug)]
pub struct Daemon {
    address: SocketAddr,
    client: Client,
}

impl Daemon {
    /// The daemon that listens on `listen`; one that listens everywhere is asked on loopback.
    pub fn new(mut listen: SocketAddr) -> Result<Self, RemoteError> {
        match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
        // reqwest wants a TLS provider even for plain HTTP; the second of two calls may fail, and may.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(RemoteError::Client)?;
        Ok(Self {
            address: listen,
            client,
        })
    }

    /// Carries out one of `gated rollout …` and gives what to print. `token` is asked for only by what writes.
    pub async fn rollout(
        &self,
        command: &Rollout,
        token: impl FnOnce() -> Result<String, TokenError>,
    ) -> Result<String, RemoteError> {
        match command {
            Rollout::Start(start) => {
                let body = json!({
                    "version": start.version,
                    "previous_version": start.previous,
                    "irreversible": start.irreversible,
                    "started_at": start.started_at.map(|at| at.to_string()),
                    "id": start.id,
                });
                let request = self.request(Method::POST, &["rollouts"]);
                let rollout = self.send(request.bearer_auth(token()?).json(&body)).await?;
                Ok(describe(&rollout))
            }
            Rollout::Finish { id } => {
                let id = match id {
                    Some(id) => id.clone(),
                    None => self.current().await?,
                };
                let request = self.request(Method::POST, &["rollouts", &id, "finish"]);
                let rollout = self.send(request.bearer_auth(token()?)).await?;
                Ok(describe(&rollout))
            }
            Rollout::List => {
                let rollouts = self.rollouts().await?;
                if rollouts.is_empty() {
                    return Ok("no rollout is known\n".to_owned());
                }
                Ok(rollouts.iter().map(describe).collect::<Vec<_>>().join("\n"))
            }
        }
    }

    /// The id of the newest rollout that has not ended.
    async fn current(&self) -> Result<String, RemoteError> {
        let rollouts = self.rollouts().await?;
        let open = rollouts
            .iter()
            .rfind(|rollout| rollout["ended_at"].is_null());
        let id = open.and_then(|rollout| rollout["id"].as_str());
        id.map(ToOwned::to_owned).ok_or(RemoteError::NoRollout)
    }

    async fn rollouts(&self) -> Result<Vec<Value>, RemoteError> {
        let mut data = self.send(self.request(Method::GET, &["rollouts"])).await?;
        match data["rollouts"].take() {
            Value::Array(rollouts) => Ok(rollouts),
            _ => Ok(Vec::new()),
        }
    }

    /// The explanation of a decision, or of the newest, as the daemon draws it for a terminal.
    pub(super) async fn explanation(&self, id: Option<&str>) -> Result<String, RemoteError> {
        let response = self.answer(self.explain(id, "text/plain")).await?;
        let address = self.address;
        let text = response.text().await;
        text.map_err(|source| RemoteError::Answer { address, source })
    }

    /// The same as JSON.
    pub(super) async fn explanation_json(&self, id: Option<&str>) -> Result<Value, RemoteError> {
        self.send(self.explain(id, "application/json")).await
    }

    fn explain(&self, id: Option<&str>, accept: &str) -> RequestBuilder {
        let path = ["explain"].into_iter().chain(id);
        self.ask(Method::GET, path).header(ACCEPT, accept)
    }

    /// A request below `/api/v1`.
    pub(super) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let below = ["api", "v1"].into_iter().chain(path.iter().copied());
        self.ask(method, below)
    }

    /// A request; ids in its path may hold anything and are escaped.
    fn ask<'a>(&self, method: Method, path: impl Iterator<Item = &'a str>) -> RequestBuilder {
        let mut url = reqwest::Url::parse(&format!("http://{}", self.address))
            .expect("an address and a fixed path make a URL");
        url.path_segments_mut()
            .expect("http URLs have segments")
            .extend(path);
        self.client.request(method, url)
    }

    /// The `data` of a success.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Value, RemoteError> {
        let address = self.address;
        let mut body: Value = self
            .answer(request)
            .await?
            .json()
            .await
            .map_err(|source| RemoteError::Answer { address, source })?;
        Ok(body["data"].take())
    }

    /// The text of a success; `query` is encoded already.
    pub(super) async fn text(
        &self,
        request: RequestBuilder,
        query: &str,
    ) -> Result<String, RemoteError> {
        let address = self.address;
        let (client, request) = request.build_split();
        let mut request = request.map_err(RemoteError::Client)?;
        request.url_mut().set_query(Some(query));
        let request = RequestBuilder::from_parts(client, request);
        let text = self.answer(request).await?.text().await;
        text.map_err(|source| RemoteError::Answer { address, source })
    }

    /// A success, or what the daemon says against it.
    async fn answer(&self, request: RequestBuilder) -> Result<Response, RemoteError> {
        let address = self.address;
        let response = request.send().await.map_err(|source| {
            if source.is_connect() {
                RemoteError::NoDaemon { address, source }
            } else {
                RemoteError::Answer { address, source }
            }
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body: Value = response
            .json()
            .await
            .map_err(|source| RemoteError::Answer { address, source })?;
        if status == reqwest::StatusCode::UNAUTHORIZED {
            return Err(RemoteError::Token { address });
        }
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        Err(RemoteError::Refused {
            status: status.as_u16(),
            kind: text("errorType"),
            error: text("error"),
        })
    }
}

/// One rollout for people.
fn describe(rollout: &Value) -> String {
    // What was inferred is a target's word.
    let text = |key: &str| rollout[key].as_str().map(visible);
    let mut out = format!("rollout  {}\n", text("id").unwrap_or("?".into()));
    let previous = text("previous_version").map_or_else(String::new, |it| format!(" (after {it})"));
    let _ = writeln!(
        out,
        "version  {}{previous}",
        text("version").unwrap_or("?".into())
    );
    let _ = writeln!(out, "service  {}", text("service").unwrap_or("?".into()));
    let _ = writeln!(out, "began    {}", text("started_at").unwrap_or("?".into()));
    if rollout["irreversible"] == true {
        out.push_str("undo     not possible: gated escalates instead of rolling back\n");
    }
    let state = match (text("ended_at"), text("end")) {
        (Some(at), Some(end)) => format!("{end} {at}"),
        (Some(at), None) => format!("ended {at}"),
        (None, _) => "in progress".to_owned(),
    };
    let red = if rollout["turned_red"] == true {
        ", turned red"
    } else {
        ""
    };
    let _ = writeln!(out, "state    {state}{red}");
    out
}
