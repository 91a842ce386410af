//! A server's past: chunks as short as it wants them; and a real Prometheus that scraped the demo's service as the source of a backtest: it decides what the daemon beside it
//! decided live.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gated::engine::Interest;
use gated::model::Timestamp;
use gated::promql::Expr;
use gated::run::demo::service::{Health, Service, Traffic};
use gated::source::recording::{MEMORY_BYTES, Reads, Recording};
use gated::source::{History, PrometheusConfig};
use serde_json::Value;

use crate::binary::{House, Receiver, Said, eventually, gated};
use crate::fault_server::{Answer, FaultServer};
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

    let rollouts = daemon.get("/api/v1/rollouts").json();
    let rollouts = rollouts["data"]["rollouts"].as_array().unwrap();
    let bad = rollouts.iter().find(|it| it["version"] == "1.5.0").unwrap();
    let seen_at = bad["seen_at"].as_str().unwrap();

    let start = Timestamp::from_millis(live.0.millis() - 25_000).to_string();
    let (config, rules) = (house.path("gated.toml"), house.path("rules.toml"));
    let (config, rules) = (config.to_str().unwrap(), rules.to_str().unwrap());
    let backtest = |more: &[&str]| -> Vec<Value> {
        let mut arguments = vec![
            "backtest", "--config", config, "--rules", rules, "--format", "json",
        ];
        arguments.extend(["--prometheus", &prometheus.url, "--start", &start]);
        arguments.extend(more);
        let ran = gated(&arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{errors}");
        let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
        document["decisions"].as_array().unwrap().clone()
    };
    let count = |all: &[Value]| all.iter().filter(|it| it["do"] == "rollback").count();
    let near = |decisions: &[Value], intervals: i64| {
        assert_eq!(
            (count(decisions), count(&all_live)),
            (1, 1),
            "{decisions:#?}"
        );
        let replayed = rollback(decisions).unwrap();
        let apart = (replayed.0.millis() - live.0.millis()).abs();
        assert!(
            apart <= intervals * INTERVAL_MILLIS,
            "live {live:?}, replayed {replayed:?}"
        );
        assert_eq!(replayed.1, live.1);
        replayed.2
    };
    // Of the same rollout, by the scrapes of another: within one of them.
    near(
        &backtest(&["--rollout", &format!("1.4.2..1.5.0@{seen_at}")]),
        1,
    );
    // That the version changed is seen by a scrape too, and what follows by the next.
    assert_eq!(near(&backtest(&[]), 2), live.2);
    drop(daemon);
    runtime.block_on(service.stop());
}

#[test]
fn a_past_that_may_lack_something_is_none_unless_it_is_accepted() {
    let body = r#"{"status":"success","data":{"resultType":"matrix","result":[]},"warnings":["a store did not answer"]}"#;
    let server = FaultServer::start(move |_, _| {
        Answer::With(
            "Content-Type: application/json\r\n",
            body.as_bytes().to_vec(),
        )
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let span = (Timestamp::from_millis(1), Timestamp::from_millis(60_000));
    for accept_partial in [false, true] {
        let mut config = PrometheusConfig::new("thanos", server.url().parse().unwrap());
        config.accept_partial = accept_partial;
        let mut recording = Recording::new(vec![Reads::default()], MEMORY_BYTES);
        let history = History::new(&config);
        let mut see = |_| ();
        let read = history.read("{a=\"b\"}", span, &mut recording, &mut see);
        let read = runtime.block_on(read);
        assert_eq!(read.is_ok(), accept_partial, "{read:?}");
        if let Err(error) = read {
            assert!(
                error.to_string().contains("a store did not answer"),
                "{error}"
            );
        }
    }
}

/// A Prometheus that answers short ranges alone, and holds both ends of them, as Prometheus 2 does.
fn shy(first: i64, last: i64, longest: i64) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut read = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while read.read_line(&mut line).unwrap() > 2 {
                if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
                    length = text.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            read.read_exact(&mut body).unwrap();
            let said: BTreeMap<String, String> =
                form_urlencoded::parse(&body).into_owned().collect();
            let (selector, range) = said["query"].rsplit_once('[').unwrap();
            let range: i64 = range.trim_end_matches("ms]").parse().unwrap();
            let until = (said["time"].parse::<f64>().unwrap() * 1000.0).round() as i64;
            let (status, body) = if range > longest {
                count.fetch_add(1, Ordering::Relaxed);
                let text = r#"{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory in query execution"}"#;
                ("422 Unprocessable Entity", text.to_owned())
            } else {
                let values = (first..=last)
                    .step_by(5000)
                    .filter(|at| (until - range..=until).contains(at));
                let values: Vec<String> = values
                    .map(|at| format!("[{}.{:03},\"{}\"]", at / 1000, at % 1000, at / 5000))
                    .collect();
                let name = if selector.contains("requests") {
                    "requests_total"
                } else {
                    "up"
                };
                let series = format!(
                    r#"{{"metric":{{"__name__":"{name}","job":"api","instance":"a"}},"values":[{}]}}"#,
                    values.join(",")
                );
                (
                    "200 OK",
                    format!(
                        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}"#
                    ),
                )
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
    });
    (url, refused)
}

#[test]
fn a_server_that_refuses_long_ranges_is_asked_for_shorter_ones_and_no_sample_is_lost_or_doubled() {
    let (first, last) = (1_775_034_000_000_i64, 1_775_034_000_000 + 6 * 3_600_000);
    let (url, refused) = shy(first, last, 20 * 60_000);
    let reads = Reads {
        interest: Interest::new(
            Expr::parse("rate(requests_total[1m])").unwrap().selectors(),
            None,
        ),
        ..Reads::default()
    };
    let mut recording = Recording::new(vec![reads.clone()], MEMORY_BYTES);
    let config = PrometheusConfig::new("shy", url.parse().unwrap());
    let history = History::new(&config);
    let span = (
        Timestamp::from_millis(first - 1),
        Timestamp::from_millis(last),
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut shares = Vec::new();
    let selectors = reads.interest.selectors();
    assert_eq!(
        Vec::from_iter(&selectors),
        [r#"{__name__="requests_total"}"#]
    );
    for selector in &selectors {
        let mut see = |share| shares.push(share);
        runtime
            .block_on(history.read(selector, span, &mut recording, &mut see))
            .unwrap();
    }
    let ups = recording.ups().unwrap();
    assert_eq!(ups, r#"up{job=~"api"}"#);
    runtime
        .block_on(history.read(&ups, span, &mut recording, &mut |_| ()))
        .unwrap();
    recording.sort().unwrap();
    let tally = recording.tally();
    let each = (last - first) as u64 / 5000 + 1;
    assert_eq!(
        (tally.kept, tally.duplicates, tally.late, tally.series),
        (2 * each, 0, 0, 2)
    );
    assert!(
        refused.load(Ordering::Relaxed) >= 2,
        "it was asked for too much at first"
    );
    assert!(
        shares.is_sorted() && shares.last() == Some(&1.0),
        "{shares:?}"
    );
}
