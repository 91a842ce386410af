//! `[[probe]]`, typed. Absent: reading it from a file, which is the configuration's business.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Method, Url};

use super::junit::ReportPattern;
use crate::model::Labels;
use crate::model::labels::NAME;
use crate::source::{HeaderMap, Secret, Tls};

/// What was last said is said again after this long. A small part of the five minutes that `PromQL` looks back.
pub(super) const REPEAT: Duration = Duration::from_secs(60);

/// One `[[probe]]`: a component and how it is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeConfig {
    /// The label `component`; unique.
    pub component: String,
    pub ask: Ask,
    /// At least 100 ms.
    pub interval: Duration,
    /// Over the whole probe: look-up, connection and answer; the command's run. Below `interval`.
    pub timeout: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    Http(Box<HttpProbe>),
    /// A connection that is taken is all that is asked for.
    Tcp {
        host: String,
        port: u16,
    },
    Dns {
        name: String,
        /// Each must be among the answers.
        addresses: Vec<IpAddr>,
    },
    Command(CommandProbe),
    Junit(JunitProbe),
    Json(Box<JsonProbe>),
}

/// How a request is made.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRequest {
    pub url: Url,
    pub method: Method,
    /// Sent with each request; mark values that are secret as sensitive.
    pub headers: HeaderMap,
    pub tls: Tls,
}

#[derive(Clone, Debug, PartialEq)]
pub struct HttpProbe {
    pub request: HttpRequest,
    pub expect: Expect,
}

/// What an answer must be. Redirects are not followed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect {
    /// `None`: any from 200 to 299.
    pub status: Option<u16>,
    /// A text that stands in the first 64 KiB.
    pub body: Option<String>,
    /// Headers that are there and hold a text, in whatever case.
    pub headers: Vec<(String, String)>,
    /// JSON pointers with what stands there.
    pub json: Vec<(String, Scalar)>,
    /// The whole probe takes no longer.
    pub latency: Option<Duration>,
    /// The server's own certificate is valid for so long yet.
    pub certificate: Option<Duration>,
}

/// A JSON value that is no list and no object.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    Text(String),
    Number(f64),
    Flag(bool),
}

/// A program that is run without a shell, in gated's working directory.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandProbe {
    /// Program and arguments; not empty. Something of it may have come from the environment.
    pub run: Vec<Secret>,
    /// The same as it is written, for people.
    pub shown: Vec<String>,
    /// The exit code of success.
    pub exit: u8,
    pub env: Vec<(String, Secret)>,
}

/// Test reports, as pytest and many others write them.
#[derive(Clone, Debug, PartialEq)]
pub struct JunitProbe {
    pub reports: ReportPattern,
    /// Without a rollout in progress an older report says nothing.
    pub max_age: Duration,
}

/// Numbers of a JSON document that become series.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonProbe {
    pub request: HttpRequest,
    /// Not empty.
    pub values: Vec<JsonValue>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct JsonValue {
    /// RFC 6901.
    pub pointer: String,
    /// Name of the series.
    pub metric: String,
    /// Beside `job`, `instance` and `component`.
    pub labels: Vec<(String, String)>,
}

impl HttpRequest {
    fn instance(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default();
        port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    fn shown(&self) -> String {
        let mut url = self.url.clone();
        // Both fail only on URLs that cannot have credentials.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.to_string()
    }
}

impl Ask {
    /// The request that it makes, where it makes one.
    #[must_use]
    pub fn request(&self) -> Option<&HttpRequest> {
        match self {
            Self::Http(http) => Some(&http.request),
            Self::Json(json) => Some(&json.request),
            Self::Tcp { .. } | Self::Dns { .. } | Self::Command(_) | Self::Junit(_) => None,
        }
    }
}

impl ProbeConfig {
    /// The label `instance`: `host:port` of what is asked, else what is looked up, run or read.
    pub(super) fn instance(&self) -> String {
        match &self.ask {
            Ask::Http(http) => http.request.instance(),
            Ask::Json(json) => json.request.instance(),
            Ask::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Ask::Tcp { host, port } => format!("{host}:{port}"),
            Ask::Dns { name, .. } => name.clone(),
            Ask::Command(command) => command.shown.first().cloned().unwrap_or_default(),
            Ask::Junit(junit) => junit.reports.to_string(),
        }
    }

    /// How often the engine hears of it. Once it has answered, no run and no pause between runs makes that longer.
    #[must_use]
    pub fn heard_every(&self) -> Duration {
        self.interval.min(REPEAT)
    }

    /// For people: without credentials.
    pub(super) fn shown(&self) -> String {
        match &self.ask {
            Ask::Http(http) => http.request.shown(),
            Ask::Json(json) => json.request.shown(),
            Ask::Tcp { .. } => format!("tcp://{}", self.instance()),
            Ask::Dns { name, .. } => format!("dns:{name}"),
            Ask::Command(command) => command.shown.join(" "),
            Ask::Junit(junit) => junit.reports.to_string(),
        }
    }

    /// The labels of the target and of every series of it.
    pub(super) fn labels(&self, job: &str) -> Labels {
        let instance = self.instance();
        Labels::new([
            ("component", self.component.as_str()),
            ("instance", &instance),
            ("job", job),
        ])
    }

    /// The series of its kind, in the order of [`super::ask::Answer::more`].
    pub(super) fn series(&self, own: &Labels) -> Vec<Labels> {
        let names: &[&str] = match &self.ask {
            Ask::Http(_) => &["probe_http_status_code", "probe_ssl_earliest_cert_expiry"],
            Ask::Tcp { .. } => &[],
            Ask::Dns { .. } => &["probe_dns_answer_rrs"],
            Ask::Command(_) => &["probe_command_exit_code"],
            Ask::Junit(_) => &[
                "probe_junit_tests",
                "probe_junit_failures",
                "probe_junit_errors",
                "probe_junit_skipped",
                "probe_junit_time_seconds",
            ],
            Ask::Json(json) => {
                let named = json.values.iter().map(|it| {
                    let own = own.with(NAME, &it.metric);
                    let more = it.labels.iter();
                    more.fold(own, |labels, (name, value)| labels.with(name, value))
                });
                return named.collect();
            }
        };
        names.iter().map(|name| own.with(NAME, name)).collect()
    }
}
