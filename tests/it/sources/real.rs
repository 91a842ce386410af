//! The real binary before a real Prometheus that is stopped and started again, and before one that is not good.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{sample, vector};
use crate::binary::{Daemon, Exporter, House, Receiver, Said, eventually, told};
use crate::fault_server::{Answer, FaultServer};
use crate::peers::Peer;

/// Errors as another counts them; `empty = 0` must not make a zero of silence.
const RULES: &str = r#"
clock = "rollout"
[signals.broken]
title = "Broken parts"
expr = 'max(broken)'
source = "prom"
unit = "count"
empty = 0
[[phase]]
name = "watch"
from = "0s"
rollback = "armed"
gate = "green"
[phase.targets]
broken = "== 0"
[[phase.trigger]]
name = "breakage"
when = "broken > 0"
for = "4s"
do = "rollback"
severity = "P1"
"#;

fn config(url: &str, hook: &str, more: &str) -> String {
    let rollout = told("2");
    format!(
        r#"
[service]
name = "shop"
[[prometheus]]
name = "prom"
url = "{url}"
interval = "100ms"
timeout = "90ms"
{more}
[rollout]
{rollout}
[judging]
settle = "0s"
[rollback]
mode = "armed"
hook = "deployer"
predates = "0s"
[[webhook]]
name = "deployer"
url = "{hook}"
"#
    )
}

fn check(daemon: &Daemon, role: &str) -> Value {
    let verdict = daemon.verdict();
    let checks = verdict["checks"].as_array().unwrap().clone();
    let found = checks.into_iter().find(|it| it["role"] == role);
    found.unwrap_or_else(|| panic!("no {role} in {verdict}"))
}

/// From the first unknown verdict on it is nothing else for this long.
fn stays_unknown(daemon: &Daemon, length: Duration) {
    daemon.wait_for("unknown");
    let end = Instant::now() + length;
    while Instant::now() < end {
        let verdict = daemon.verdict();
        assert_eq!(
            (&verdict["status"], &verdict["verdict"]),
            (&"unknown".into(), &"unknown".into()),
            "{verdict}"
        );
        assert_eq!(daemon.get("/gate").status, 503);
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_prometheus_that_is_stopped_and_started_again_is_unknown_meanwhile() {
    let exporter = Exporter::start(false);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let target = exporter
        .url()
        .replace("http://", "")
        .replace("/metrics", "");
    let mut prometheus = Peer::prometheus(&format!(
        "global: {{ scrape_interval: 100ms, scrape_timeout: 90ms }}\nscrape_configs:\n- job_name: shop\n  static_configs: [{{ targets: ['{target}'] }}]\n"
    ));
    eventually("a sample in Prometheus", || {
        prometheus
            .get("/api/v1/query?query=broken")
            .contains("\"value\"")
    });
    let house = House::new(&config(&prometheus.url, &receiver.url(), ""), RULES);
    let daemon = house.start();
    daemon.wait_for("green");
    let met = check(&daemon, "target");
    assert_eq!(
        (&met["outcome"], &met["value"]),
        (&"met".into(), &0.0.into()),
        "{met}"
    );

    prometheus.kill();
    stays_unknown(&daemon, Duration::from_secs(3));
    let blind = check(&daemon, "target");
    assert_eq!(blind["reading"], "source_error", "{blind}");
    assert_eq!(
        blind["reason"],
        "Broken parts: prom: connect_refused: nothing listens there"
    );
    let pool = daemon.get("/api/v1/targets?scrapePool=source").json();
    let target = &pool["data"]["activeTargets"][0];
    assert_eq!(
        (&target["health"], &target["labels"]["query"]),
        (&"down".into(), &"max(broken)".into()),
        "{pool}"
    );
    prometheus.restart();
    daemon.wait_for("green");

    // A condition that holds when it is stopped holds no longer by being remembered.
    exporter.set(true);
    eventually("pending", || {
        check(&daemon, "trigger")["outcome"] == "pending"
    });
    prometheus.kill();
    stays_unknown(&daemon, Duration::from_secs(6));
    assert_eq!((daemon.decisions(), receiver.taken()), (Vec::new(), 0));
    prometheus.restart();
    daemon.wait_for("red");
    eventually("the rollback", || receiver.taken() == 1);
    let decided = &daemon.decisions()[0];
    assert_eq!(
        (&decided["do"], &decided["trigger"]),
        (&"rollback".into(), &"breakage".into())
    );
    let id = decided["id"].as_str().unwrap();
    let explained = daemon.get(&format!("/api/v1/decisions/{id}")).body;
    assert!(
        explained.contains("max(broken)  # asked of prom"),
        "{explained}"
    );
    assert!(
        daemon
            .get(&format!("/explain/{id}"))
            .body
            .contains("asked of prom")
    );
}

/// What stands before a signal's value: a warning that something may be missing, and what is said of the expression.
#[test]
fn a_partial_answer_is_no_value_and_what_is_said_is_shown() {
    let lacks = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&lacks);
    let server = FaultServer::start(move |_, _| {
        let at = jiff::Timestamp::now().as_second().to_string();
        let more = if seen.load(Ordering::SeqCst) {
            r#","warnings":["store 10.0.0.1 <b> is down"]"#
        } else {
            r#","infos":["PromQL info: <i> no counter"]"#
        };
        let one = sample("", "0").replace(&super::NOW.to_string(), &at);
        vector(&one, more)
    });
    let url = format!("http://{}", server.address);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let house = House::new(&config(&url, &receiver.url(), ""), RULES);
    let daemon = house.start();
    daemon.wait_for("green");
    let status = daemon.get("/api/v1/status").json();
    let noted = &status["data"]["notes"][0];
    assert_eq!(
        (&noted["signal"], &noted["notes"][0]),
        (&"broken".into(), &"PromQL info: <i> no counter".into()),
        "{status}"
    );
    assert!(
        daemon
            .get("/")
            .body
            .contains("PromQL info: &lt;i&gt; no counter")
    );
    let logged = daemon.log().matches("beside its answer").count();
    assert_eq!(logged, 1, "said once");
    lacks.store(true, Ordering::SeqCst);
    daemon.wait_for("unknown");
    let blind = check(&daemon, "target");
    assert_eq!(
        blind["reason"],
        "Broken parts: prom: partial: the answer may lack data: store 10.0.0.1 <b> is down"
    );
    // It counts where somebody says so, after a reload.
    house.configure(&config(&url, &receiver.url(), "partial = \"accept\""));
    daemon.signal("HUP");
    daemon.wait_for("green");
    assert!(
        daemon
            .get("/")
            .body
            .contains("store 10.0.0.1 &lt;b&gt; is down")
    );
}

#[test]
fn a_reload_asks_what_the_rules_say_then() {
    let server = FaultServer::start(|_, request| {
        let value = if request.contains("other") { "1" } else { "0" };
        let at = jiff::Timestamp::now().as_second().to_string();
        vector(&sample("", value).replace(&super::NOW.to_string(), &at), "")
    });
    let url = format!("http://{}", server.address);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let house = House::new(&config(&url, &receiver.url(), ""), RULES);
    let daemon = house.start();
    daemon.wait_for("green");
    house.rule(&RULES.replace("max(broken)", "max(other)"));
    daemon.signal("HUP");
    eventually("the other answer", || {
        check(&daemon, "target")["value"] == 1.0
    });
    house.rule(&RULES.replace("source = \"prom\"", "source = \"prim\""));
    daemon.signal("HUP");
    eventually("the refusal", || {
        daemon.log().contains("did you mean `prom`?")
    });
    assert_eq!(check(&daemon, "target")["value"], 1.0);
    // Nothing is asked any more once no rule reads it.
    house.rule(&RULES.replace("source = \"prom\"\n", ""));
    daemon.signal("HUP");
    eventually("the end", || {
        let pool = daemon.get("/api/v1/targets?scrapePool=source").json();
        pool["data"]["activeTargets"]
            .as_array()
            .is_some_and(Vec::is_empty)
    });
}

#[test]
fn a_dry_run_asks_and_a_source_that_does_not_answer_is_no_go_ahead() {
    let exporter = Exporter::start(false);
    let good = FaultServer::start(|_, _| {
        let at = jiff::Timestamp::now().as_second().to_string();
        vector(&sample("", "0").replace(&super::NOW.to_string(), &at), "")
    });
    let bad = FaultServer::always(Answer::status("503 Service Unavailable", ""));
    for (server, code, outcome) in [(&good, 0, "met"), (&bad, 3, "unknown")] {
        let url = format!("http://{}", server.address);
        let text = config(&url, &exporter.url(), "")
            .replace("100ms", "30s")
            .replace("90ms", "2s");
        let house = House::new(&text, RULES);
        let began = Instant::now();
        let output = house.run(&["--dry-run", "--format", "json"]);
        let body: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{body}");
        // Three readings within seconds, however seldom the daemon asks.
        assert!(began.elapsed() < Duration::from_secs(60) && server.requests().len() >= 3);
        let target = &body["checks"][0];
        assert_eq!(
            (&target["role"], &target["outcome"]),
            (&"target".into(), &outcome.into()),
            "{body}"
        );
        assert_eq!(body["scrapes"][0]["job"], "source", "{body}");
        assert_eq!(fs::read_dir(house.data()).map_or(0, Iterator::count), 0);
    }
}
