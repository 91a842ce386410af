//! Where inputs come from: scraping, exposition text, discovery, probes, other Prometheus servers, Alertmanager's
//! posts.

mod alerts;
pub mod changes;
mod discovery;
pub mod exposition;
pub mod journal;
pub mod metrics;
mod probe;
mod prometheus;
pub mod recording;
mod scrape;
pub mod script;
mod task;

pub use alerts::AlertInbox;
pub use journal::{Entries, Journal, JournalError, Recorded, Remark};
pub use probe::{
    Ask, CommandProbe, Expect, HttpProbe, HttpRequest, JOB as PROBE_JOB, JsonProbe, JsonValue,
    JunitProbe, ProbeConfig, Prober, ReportPattern, Scalar,
};
pub use prometheus::{
    History, HistoryError, JOB as SOURCE_JOB, PrometheusConfig, Querier, SignalQuery,
};
pub use reqwest::Method;
pub use scrape::config::{
    BadTarget, BasicAuth, DnsKind, DnsName, HeaderMap, Password, ScrapeConfig, Secret, Tls, Url,
    base_url, target_url,
};
pub use scrape::relabel::{Action, Anchored, Relabel};
pub use scrape::{Now, Scraper, Tuning};
