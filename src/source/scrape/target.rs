//! A target: what is asked, and the labels that all its series carry.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use reqwest::Url;

use super::config::{BadTarget, ScrapeConfig, join_target};
use crate::engine::TargetInfo;
use crate::model::{Labels, TargetId};
use crate::source::discovery::Found;

/// What makes two targets the same: a URL and its labels, `job` and `instance` among them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) labels: Labels,
}

impl Target {
    /// A target that the configuration names.
    pub(super) fn configured(config: &ScrapeConfig, url: &Url) -> Self {
        Self::new(config, url.clone(), &[])
    }

    /// A target that discovery found. Its labels may set `job`, `instance`, `__scheme__`, `__metrics_path__`,
    /// `__address__` and `__param_…`, as in Prometheus.
    pub(super) fn discovered(config: &ScrapeConfig, found: &Found) -> Result<Self, BadTarget> {
        let label = |name: &str| {
            let known = found.labels.iter().find(|(n, _)| n == name);
            known.map(|(_, value)| value.as_str())
        };
        let mut url = join_target(
            label("__address__").unwrap_or(&found.address),
            label("__scheme__").unwrap_or(&config.scheme),
            label("__metrics_path__").unwrap_or(&config.metrics_path),
        )?;
        for (name, value) in &found.labels {
            if let Some(parameter) = name.strip_prefix("__param_") {
                url.query_pairs_mut().append_pair(parameter, value);
            }
        }
        Ok(Self::new(config, url, &found.labels))
    }

    fn new(config: &ScrapeConfig, url: Url, discovered: &[(String, String)]) -> Self {
        let instance = host_and_port(&url);
        let made = [
            ("job", config.job.as_str()),
            ("instance", instance.as_str()),
        ];
        // Of equal names the last pair counts: what was found is more particular than what is configured.
        let given = config.labels.iter().chain(discovered);
        let labels = Labels::new(
            made.into_iter()
                .chain(given.map(|(n, v)| (n.as_str(), v.as_str()))),
        );
        let labels = labels.filter(|name| !name.starts_with("__"));
        Self { url, labels }
    }

    pub(super) fn info(&self, id: TargetId, config: &ScrapeConfig) -> TargetInfo {
        let label = |name| self.labels.get(name).unwrap_or_default().to_owned();
        TargetInfo {
            id,
            job: label("job"),
            instance: label("instance"),
            url: self.shown_url(),
            labels: self.labels.clone(),
            interval: config.interval,
            timeout: config.timeout,
        }
    }

    /// Without credentials: a password in it is neither shown nor logged.
    pub(super) fn shown_url(&self) -> String {
        let mut url = self.url.clone();
        // Both fail only on URLs that cannot have credentials.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.to_string()
    }

    /// How long after the interval's begin this target is due: the same at every start.
    pub(super) fn offset(&self, interval: Duration) -> Duration {
        let mut hash = DefaultHasher::new();
        (self.url.as_str(), self.labels.to_string()).hash(&mut hash);
        let nanos = u64::try_from(interval.as_nanos())
            .unwrap_or(u64::MAX)
            .max(1);
        Duration::from_nanos(hash.finish() % nanos)
    }

    /// On the same host: bytes are cheap there, and inflating them costs more than all else.
    pub(super) fn is_loopback(&self) -> bool {
        let Some(host) = self.url.host_str() else {
            return false;
        };
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::target_url;

    #[test]
    fn labels_and_url_of_what_was_found() {
        let mut config = ScrapeConfig::new("api");
        config.labels = vec![("tier".into(), "edge".into()), ("zone".into(), "a".into())];
        let found = |labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|&(n, v)| (n.to_owned(), v.to_owned()));
            let found = Found {
                address: "db:5432".into(),
                labels: labels.collect(),
            };
            let target = Target::discovered(&config, &found).unwrap();
            (target.url.to_string(), target.labels.to_string())
        };
        assert_eq!(
            found(&[("zone", "b"), ("__meta_x", "y")]),
            (
                "http://db:5432/metrics".to_owned(),
                r#"{instance="db:5432",job="api",tier="edge",zone="b"}"#.to_owned()
            )
        );
        let (url, labels) = found(&[
            ("__scheme__", "https"),
            ("__metrics_path__", "/probe"),
            ("__param_module", "a b"),
            ("job", "blackbox"),
            ("instance", "shown"),
        ]);
        assert_eq!(url, "https://db:5432/probe?module=a+b");
        assert!(labels.contains(r#"job="blackbox""#) && labels.contains(r#"instance="shown""#));
    }

    #[test]
    fn credentials_are_not_shown_and_ports_are() {
        let config = ScrapeConfig::new("api");
        let url = target_url("https://user:canary@api/m").unwrap();
        let info = Target::configured(&config, &url).info(TargetId(1), &config);
        assert_eq!(
            (info.url.as_str(), info.instance.as_str()),
            ("https://api/m", "api:443")
        );
        assert!(!format!("{info:?}").contains("canary"));
    }

    #[test]
    fn starts_are_spread_over_the_interval() {
        let config = ScrapeConfig::new("api");
        let interval = Duration::from_secs(10);
        let mut tenths = [0; 10];
        for i in 0..1000 {
            let url = target_url(&format!("http://pod-{i}:9100")).unwrap();
            let offset = Target::configured(&config, &url).offset(interval);
            tenths[usize::try_from(offset.as_secs()).unwrap()] += 1;
        }
        assert!(
            tenths.iter().all(|&n| (60..=140).contains(&n)),
            "{tenths:?}"
        );
    }
}
