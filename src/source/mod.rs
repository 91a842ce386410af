//! Where inputs come from: scraping, exposition text, discovery.

pub mod changes;
mod discovery;
pub mod exposition;
pub mod metrics;
mod scrape;
pub mod script;

pub use scrape::config::{
    BadTarget, BasicAuth, DnsKind, DnsName, HeaderMap, Password, ScrapeConfig, Secret, Tls, Url,
    target_url,
};
pub use scrape::relabel::{Action, Anchored, Relabel};
pub use scrape::{Now, Scraper, Tuning};
