//! What is scraped, and why it is not, in Prometheus' spelling.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use super::Shared;
use super::params::Asked;
use super::params::decoded;
use super::wire::NEVER;
use crate::engine::ScrapeState;
use crate::engine::TargetInfo;
use crate::model::time;
use crate::serve::answer::success;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_field_names, reason = "keys are pinned")]
struct Targets<'a> {
    active_targets: Vec<TargetLine<'a>>,
    /// gated forgets what discovery drops, so nothing is counted either.
    dropped_targets: [(); 0],
    dropped_target_counts: BTreeMap<&'a str, u64>,
}

pub(super) async fn targets(State(service): Shared, asked: Asked) -> Response {
    let state = asked.get("state").unwrap_or("any").to_lowercase();
    let shown = matches!(&*state, "any" | "active");
    let pool = asked.get("scrapePool");
    let snapshot = service.snapshot.load_full();
    let active = snapshot.targets.iter();
    let active = active.filter(|it| shown && pool.is_none_or(|pool| pool == it.info.job));
    let targets = Targets {
        active_targets: active.map(TargetLine::new).collect(),
        dropped_targets: [],
        dropped_target_counts: BTreeMap::new(),
    };
    success(StatusCode::OK, targets)
}

/// Jobs that have a target.
pub(super) async fn scrape_pools(State(service): Shared) -> Response {
    let snapshot = service.snapshot.load_full();
    let jobs = snapshot.targets.iter().map(|it| &*it.info.job);
    let pools: BTreeSet<&str> = jobs.collect();
    success(StatusCode::OK, json!({"scrapePools": pools}))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetLine<'a> {
    discovered_labels: BTreeMap<String, String>,
    labels: BTreeMap<&'a str, &'a str>,
    scrape_pool: &'a str,
    scrape_url: &'a str,
    global_url: &'a str,
    last_error: String,
    last_scrape: String,
    last_scrape_duration: f64,
    health: &'static str,
    scrape_interval: String,
    scrape_timeout: String,
}

impl<'a> TargetLine<'a> {
    fn new(state: &'a ScrapeState) -> Self {
        let info = &state.info;
        let last = state.last.as_ref();
        let error = last.and_then(|last| last.error.as_ref());
        Self {
            discovered_labels: discovered(info),
            labels: info.labels.iter().collect(),
            scrape_pool: &info.job,
            scrape_url: &info.url,
            global_url: &info.url,
            last_error: error.map(ToString::to_string).unwrap_or_default(),
            last_scrape: last.map_or_else(|| NEVER.to_owned(), |last| last.at.to_string()),
            last_scrape_duration: last.map_or(0.0, |last| last.duration.as_secs_f64()),
            health: match (last, error) {
                (None, _) => "unknown",
                (Some(_), None) => "up",
                (Some(_), Some(_)) => "down",
            },
            scrape_interval: spelled(info.interval),
            scrape_timeout: spelled(info.timeout),
        }
    }
}

/// The labels before relabelling that the target's URL and its job tell. What discovery knew beside (`__meta_…`) is not
/// kept.
fn discovered(info: &TargetInfo) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut put = |name: &str, value: &str| labels.insert(name.to_owned(), value.to_owned());
    put("job", &info.job);
    put("__scrape_interval__", &spelled(info.interval));
    put("__scrape_timeout__", &spelled(info.timeout));
    if let Ok(url) = info.url.parse::<Uri>()
        && let (Some(scheme), Some(address)) = (url.scheme_str(), url.authority())
    {
        put("__scheme__", scheme);
        put("__address__", address.as_str());
        put("__metrics_path__", url.path());
        for (name, value) in decoded(url.query().unwrap_or_default().as_bytes()) {
            put(&format!("__param_{name}"), &value);
        }
    }
    labels
}

/// As Prometheus writes a duration: `1m30s`, `100ms`.
fn spelled(duration: Duration) -> String {
    const UNITS: [(&str, i64); 5] = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let mut rest = time::millis(duration);
    let mut text = String::new();
    for (unit, millis) in UNITS {
        if rest >= millis {
            text.extend([&(rest / millis).to_string(), unit]);
            rest %= millis;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Labels;
    use crate::model::TargetId;

    #[test]
    fn durations_as_prometheus_writes_them() {
        for text in ["0s", "100ms", "15s", "1m30s", "1d1h", "1s500ms"] {
            let duration = if text == "0s" {
                Some(Duration::ZERO)
            } else {
                time::duration(text)
            };
            assert_eq!(spelled(duration.expect(text)), text);
        }
    }

    #[test]
    fn what_a_url_tells_of_its_discovery() {
        let info = TargetInfo {
            id: TargetId(1),
            job: "probe".into(),
            instance: "shown".into(),
            url: "https://db/probe?module=a+b".into(),
            labels: Labels::empty(),
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(2),
        };
        let known: Vec<(String, String)> = discovered(&info).into_iter().collect();
        let expected = [
            ("__address__", "db"),
            ("__metrics_path__", "/probe"),
            ("__param_module", "a b"),
            ("__scheme__", "https"),
            ("__scrape_interval__", "15s"),
            ("__scrape_timeout__", "2s"),
            ("job", "probe"),
        ];
        assert_eq!(known, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }
}
