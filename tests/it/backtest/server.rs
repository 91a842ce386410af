//! A real Prometheus that scraped the demo's service as the source of a backtest: it decides what the daemon beside it
//! decided live.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gated::model::Timestamp;
use gated::run::demo::service::{Health, Service, Traffic};
use serde_json::Value;

use crate::binary::{House, Receiver, Said, eventually, gated};
use crate::peers::Peer;

const RULES: &str = include_str!("../../../src/run/demo/rules.toml");
/// Half a second, as the demo scrapes.
const INTERVAL_MILLIS: i64 = 500;

fn config(targets: &[String], hook: &str) -> String {
    format!(
        r#"
[service]
name = "shop"
environment = "demo"
[[scrape]]
job = "shop"
targets = {targets:?}
interval = "500ms"
timeout = "400ms"
[rollout]
version_from = "app_build_info"
[judging]
settle = "3s"
[rollback]
mode = "armed"
hook = "deployer"
predates = "6s"
verify_within = "30s"
[[webhook]]
name = "deployer"
url = {hook:?}
"#
    )
}

fn rollback(decisions: &[Value]) -> Option<(Timestamp, String, String)> {
    let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
    let it = decisions.iter().find(|it| it["do"] == "rollback")?;
    let at = text(it, "at").parse().unwrap();
    Some((at, text(it, "trigger"), text(it, "rollout")))
}

#[test]
fn a_prometheus_that_scraped_the_demo_gives_the_decision_of_the_daemon_beside_it() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = runtime
        .block_on(Service::start("1.4.1", Traffic::default()))
        .unwrap();
    let deployer = Arc::new(Mutex::new(service.deployer()));
    let receiver = Receiver::start(move |_, _| {
        // As the demo's deployer does: what came back is well.
        deployer.lock().unwrap().deploy("1.4.2", Health::Good);
        Said::Status(200)
    });
    let targets = service.targets();
    let hosts = targets.iter().map(|it| {
        let host = it
            .trim_start_matches("http://")
            .trim_end_matches("/metrics");
        format!("'{host}'")
    });
    let hosts = hosts.collect::<Vec<_>>().join(", ");
    let prometheus = Peer::prometheus(&format!(
        "global: {{ scrape_interval: 500ms, scrape_timeout: 400ms }}\nscrape_configs:\n- job_name: shop\n  static_configs: [{{ targets: [{hosts}] }}]\n"
    ));
    let house = House::new(&config(&targets, &receiver.url()), RULES);
    let daemon = house.start();
    let begun = |version: &str| daemon.get("/api/v1/rollouts").body.contains(version);
    eventually("samples in Prometheus", || {
        prometheus
            .get("/api/v1/query?query=app_build_info")
            .contains("1.4.1")
    });
    // Prometheus and gated have both seen it for a while, as in the demo.
    thread::sleep(Duration::from_secs(5));
    service.deploy("1.4.2", Health::Good);
    eventually("the good release", || begun("1.4.2"));
    daemon.wait_for("green");
    let bad = Health::Bad {
        error_share: 0.12,
        latency_factor: 14.0,
    };
    service.deploy("1.5.0", bad);
    eventually("a rollback", || rollback(&daemon.decisions()).is_some());
    let live = rollback(&daemon.decisions()).unwrap();
    // What came back is watched for a while too.
    thread::sleep(Duration::from_secs(8));
    let all_live = daemon.decisions();

    let start = Timestamp::from_millis(live.0.millis() - 25_000);
    let config = house.path("gated.toml");
    let rules = house.path("rules.toml");
    let (start, config, rules) = (start.to_string(), config.display(), rules.display());
    let ran = gated(&[
        "backtest",
        "--config",
        &config.to_string(),
        "--rules",
        &rules.to_string(),
        "--prometheus",
        &prometheus.url,
        "--start",
        &start,
        "--format",
        "json",
    ])
    .output()
    .unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{errors}");
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let decisions = document["decisions"].as_array().unwrap();
    let replayed = rollback(decisions).unwrap_or_else(|| panic!("{document:#}"));
    let apart = (replayed.0.millis() - live.0.millis()).abs();
    assert!(
        apart <= INTERVAL_MILLIS,
        "live {live:?}, replayed {replayed:?}"
    );
    assert_eq!((&live.1, &live.2), (&replayed.1, &replayed.2));
    let count = |all: &[Value]| all.iter().filter(|it| it["do"] == "rollback").count();
    assert_eq!((count(decisions), count(&all_live)), (1, 1));
    drop(daemon);
    runtime.block_on(service.stop());
}
