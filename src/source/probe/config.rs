//! `[[probe]]`, typed. Absent: reading it from a file, which is the configuration's business.

use std::time::Duration;

use reqwest::{Method, Url};

use crate::source::{HeaderMap, Tls};

/// One `[[probe]]`: a component and how it is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeConfig {
    /// The label `component`; unique.
    pub component: String,
    pub ask: Ask,
    /// At least 100 ms.
    pub interval: Duration,
    /// Over the whole probe: look-up, connection and answer. Below `interval`.
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
}

#[derive(Clone, Debug, PartialEq)]
pub struct HttpProbe {
    pub url: Url,
    pub method: Method,
    /// Sent with each request; mark values that are secret as sensitive.
    pub headers: HeaderMap,
    pub tls: Tls,
    /// The status that is expected; `None`: any from 200 to 299. Redirects are not followed.
    pub status: Option<u16>,
    /// A text that stands in the first 64 KiB of the answer.
    pub body: Option<String>,
}

impl ProbeConfig {
    /// `host:port` of what is asked.
    pub(super) fn instance(&self) -> String {
        match &self.ask {
            Ask::Http(http) => {
                let host = http.url.host_str().unwrap_or_default();
                let port = http.url.port_or_known_default();
                port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
            }
            Ask::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Ask::Tcp { host, port } => format!("{host}:{port}"),
        }
    }

    /// For people: without credentials.
    pub(super) fn shown(&self) -> String {
        match &self.ask {
            Ask::Http(http) => {
                let mut url = http.url.clone();
                // Both fail only on URLs that cannot have credentials.
                let _ = url.set_username("");
                let _ = url.set_password(None);
                url.to_string()
            }
            Ask::Tcp { .. } => format!("tcp://{}", self.instance()),
        }
    }
}
