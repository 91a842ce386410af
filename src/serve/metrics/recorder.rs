//! The process' recorder: what the rooms count through the `metrics` crate.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::Matcher;
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_exporter_prometheus::PrometheusHandle;

/// Upper bounds of every `_seconds` histogram: from an engine step to a scrape's timeout.
const BUCKETS_SECONDS: [f64; 15] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
];
/// How often the recorder folds what its histograms gathered.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder, once however often it is called. What rooms count before it is lost.
pub fn install() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS_SECONDS)
            .expect("there are buckets")
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            // Somebody who embeds gated has a recorder of their own; rooms then count there.
            tracing::warn!("another metrics recorder is installed already");
        }
        handle
    })
}

/// Keeps the recorder small while nobody asks for `/metrics`. Runs until it is dropped.
pub async fn upkeep() {
    let handle = install();
    let mut every = tokio::time::interval(UPKEEP);
    loop {
        every.tick().await;
        handle.run_upkeep();
    }
}
