//! `[[scrape]]`, typed. Absent: reading it from a file, which is the configuration's business.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use reqwest::Url;
pub use reqwest::header::HeaderMap;

use super::relabel::Relabel;

/// One `[[scrape]]`. Names mean what they mean in Prometheus' `scrape_config`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeConfig {
    pub job: String,
    /// Made by [`target_url`].
    pub targets: Vec<Url>,
    /// `file_sd`: paths whose last part may hold `*` and `?`.
    pub files: Vec<PathBuf>,
    pub dns: Vec<DnsName>,
    /// For discovered targets that bring none.
    pub scheme: String,
    /// For discovered targets that bring none.
    pub metrics_path: String,
    /// At least 100 ms.
    pub interval: Duration,
    /// Over the whole scrape: look-up, connection, headers and body. Below `interval`.
    pub timeout: Duration,
    /// Decoded bytes of a page.
    pub body_size_limit: usize,
    pub sample_limit: usize,
    pub label_limit: usize,
    pub label_name_length_limit: usize,
    pub label_value_length_limit: usize,
    /// Added to every series of every target.
    pub labels: Vec<(String, String)>,
    /// The page's labels win over the target's.
    pub honor_labels: bool,
    pub honor_timestamps: bool,
    pub basic_auth: Option<BasicAuth>,
    /// Read before each scrape.
    pub bearer_token_file: Option<PathBuf>,
    pub tls: Tls,
    /// Sent with each request; mark values that are secret as sensitive.
    pub headers: HeaderMap,
    pub metric_relabel: Vec<Relabel>,
}

impl ScrapeConfig {
    /// The defaults, without targets.
    #[must_use]
    pub fn new(job: impl Into<String>) -> Self {
        Self {
            job: job.into(),
            targets: Vec::new(),
            files: Vec::new(),
            dns: Vec::new(),
            scheme: "http".to_owned(),
            metrics_path: "/metrics".to_owned(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            body_size_limit: 64 << 20,
            sample_limit: 500_000,
            label_limit: 64,
            label_name_length_limit: 512,
            label_value_length_limit: 4096,
            labels: Vec::new(),
            honor_labels: false,
            honor_timestamps: true,
            basic_auth: None,
            bearer_token_file: None,
            tls: Tls::default(),
            headers: HeaderMap::new(),
            metric_relabel: Vec::new(),
        }
    }
}

/// A name that DNS turns into targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsName {
    pub name: String,
    pub kind: DnsKind,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum DnsKind {
    A {
        port: u16,
    },
    Aaaa {
        port: u16,
    },
    /// Brings its ports.
    Srv,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    pub username: String,
    pub password: Password,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    Here(Secret),
    /// Read before each scrape; white space at the ends does not count.
    File(PathBuf),
}

/// Files are read again when they change on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM; instead of the system's authorities.
    pub ca_file: Option<PathBuf>,
    /// PEM; the client's own certificate with its chain. Needs `key_file`.
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// The DNS name asked for and expected in the certificate, instead of the URL's host.
    pub server_name: Option<String>,
    pub insecure_skip_verify: bool,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Why a text names no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    #[error("`{0}` is not a URL; write http://host:port/metrics or host:port")]
    NotAUrl(String),
    #[error("`{0}` is neither http nor https")]
    Scheme(String),
    #[error("`{0}` has no host")]
    NoHost(String),
}

/// Reads a URL, or Prometheus' plain `host:port`. Without a path `/metrics` is meant.
///
/// # Errors
/// What is neither, or is not HTTP.
pub fn target_url(text: &str) -> Result<Url, BadTarget> {
    join_target(text, "http", "/metrics")
}

/// Reads a server's URL, or its `host:port`; a path is kept.
///
/// # Errors
/// As [`target_url`].
pub fn base_url(text: &str) -> Result<Url, BadTarget> {
    join_target(text, "http", "/")
}

/// As [`target_url`], with what `host:port` is completed with.
pub(in crate::source) fn join_target(
    text: &str,
    scheme: &str,
    path: &str,
) -> Result<Url, BadTarget> {
    let text = text.trim();
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("{scheme}://{text}")
    };
    let mut url = Url::parse(&full).map_err(|_| BadTarget::NotAUrl(text.to_owned()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(BadTarget::Scheme(text.to_owned()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(BadTarget::NoHost(text.to_owned()));
    }
    let authority = full.split_once("://").map_or("", |(_, rest)| rest);
    if !authority.contains(['/', '?', '#']) {
        let (path, query) = path
            .split_once('?')
            .map_or((path, None), |(p, q)| (p, Some(q)));
        url.set_path(path);
        url.set_query(query);
    }
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_as_people_write_them() {
        let read = |text| target_url(text).map(|url| url.to_string());
        for (text, url) in [
            ("api:9100", "http://api:9100/metrics"),
            ("10.0.0.1", "http://10.0.0.1/metrics"),
            ("[::1]:80", "http://[::1]/metrics"),
            ("http://api:8080", "http://api:8080/metrics"),
            ("http://api:8080/", "http://api:8080/"),
            ("https://api/m?x=1#f", "https://api/m?x=1"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(url), "{text}");
        }
        assert!(matches!(read("ftp://x/"), Err(BadTarget::Scheme(_))));
        assert!(matches!(read("http://"), Err(BadTarget::NotAUrl(_))));
        assert!(matches!(read("a b"), Err(BadTarget::NotAUrl(_))));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let mut config = ScrapeConfig::new("api");
        config.basic_auth = Some(BasicAuth {
            username: "u".into(),
            password: Password::Here(Secret::new("canary")),
        });
        let mut value = reqwest::header::HeaderValue::from_static("canary");
        value.set_sensitive(true);
        config.headers.insert("x-key", value);
        let secret = Secret::new("canary");
        let printed = format!("{config:?} {config:#?} {secret} {secret:?}");
        assert!(!printed.contains("canary"), "{printed}");
    }
}
