//! `[[prometheus]]`, typed. Absent: reading it from a file, which is the configuration's business.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use crate::source::{BasicAuth, HeaderMap, Secret, Tls};

/// One `[[prometheus]]`: a Prometheus, Thanos, Mimir or `VictoriaMetrics` that evaluates signals.
#[derive(Clone, Debug, PartialEq)]
pub struct PrometheusConfig {
    /// What signals call it; unique.
    pub name: String,
    /// Without `/api/v1/query`, credentials and parameters; a path is kept.
    pub url: Url,
    /// Each signal is asked for this often. At least 100 ms.
    pub interval: Duration,
    /// Over one answer: look-up, connection and body. Below `interval`. The server is told of it.
    pub timeout: Duration,
    pub basic_auth: Option<BasicAuth>,
    /// Read before each request.
    pub bearer_token_file: Option<PathBuf>,
    pub tls: Tls,
    /// Sent with each request; mark values that are secret as sensitive.
    pub headers: HeaderMap,
    /// Further parameters of each request's URL.
    pub query: Vec<(String, Secret)>,
    /// An answer that may lack something counts as one.
    pub accept_partial: bool,
}

impl PrometheusConfig {
    /// The defaults.
    #[must_use]
    pub fn new(name: impl Into<String>, url: Url) -> Self {
        Self {
            name: name.into(),
            url,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            basic_auth: None,
            bearer_token_file: None,
            tls: Tls::default(),
            headers: HeaderMap::new(),
            query: Vec::new(),
            accept_partial: false,
        }
    }

    /// Where instant queries go, without the further parameters.
    pub(super) fn endpoint(&self) -> Url {
        let mut url = self.url.clone();
        // Fails only on URLs that cannot have a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", "query"]);
        }
        url
    }

    /// For people: with what is asked for, which tells questions apart.
    pub(super) fn shown(&self, signal: &str) -> String {
        let mut url = self.endpoint();
        url.set_fragment(Some(signal));
        url.to_string()
    }
}

/// What is asked for one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalQuery {
    pub source: Arc<PrometheusConfig>,
    /// The signal's name.
    pub signal: String,
    /// Sent as it is.
    pub expr: String,
    /// Whether there is traffic enough; sent as it is.
    pub enough: Option<String>,
}
