//! A real Alertmanager with gated as one of its receivers: what fires is a signal, and no news is no good news.

use serde_json::Value;

use crate::binary::{Daemon, Exporter, House, config, eventually, told};
use crate::peers::{Peer, amtool};

/// "Zero critical alerts", as people write it.
const RULES: &str = r#"
clock = "rollout"
[signals.critical]
title = "Critical alerts"
expr = 'count(alertmanager_alerts{severity="critical"}) or vector(0)'
unit = "count"
[signals.critical_too]
expr = 'count(alertmanager_alerts{severity="critical"})'
unit = "count"
empty = 0
[[phase]]
name = "watch"
from = "0s"
gate = "green"
[phase.targets]
critical = "== 0"
critical_too = "== 0"
"#;

/// Everything goes to gated, soon and often.
fn routed_to(daemon: &Daemon, house: &House) -> Peer {
    let (address, token) = (daemon.address(), house.data().join("token"));
    Peer::alertmanager_with(&format!(
        "route: {{ receiver: gated, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1s }}
receivers:
- name: gated
  webhook_configs:
  - url: http://{address}/api/v1/alerts/receive
    http_config:
      authorization:
        credentials_file: {}
",
        token.display()
    ))
}

fn readings(daemon: &Daemon) -> Vec<Value> {
    let verdict = daemon.verdict();
    let checks = verdict["checks"].as_array().unwrap();
    checks
        .iter()
        .map(|it| match &it["value"] {
            Value::Null => it["reading"].clone(),
            value => value.clone(),
        })
        .collect()
}

#[test]
fn what_alertmanager_posts_is_a_signal_and_its_silence_is_unknown() {
    let exporter = Exporter::start(false);
    let text = config(&[&exporter.url()], "http://127.0.0.1:9/", &told("2"));
    let house = House::new(&(text + "[alertmanager]\nrepeat = \"4s\"\n"), RULES);
    let mut daemon = house.start();
    eventually("scrapes", || exporter.scrapes() > 3);
    daemon.wait_for("unknown");
    let stale = || readings(&daemon) == ["stale", "stale"];
    eventually("nothing is known", stale);
    assert!(
        daemon
            .verdict()
            .to_string()
            .contains("no Alertmanager has posted")
    );

    let mut peer = routed_to(&daemon, &house);
    let add = |peer: &Peer, arguments: &[&str]| {
        let mut all = vec!["alert", "add"];
        all.extend(arguments);
        amtool(&peer.url, &all)
    };
    // gated's own come back to it, and are no alerts to it, but a sign of life.
    add(&peer, &["Watchdog", "source=gated", "severity=critical"]);
    eventually("Alertmanager is heard", || {
        daemon
            .verdict()
            .to_string()
            .contains("Alertmanager is heard for")
    });
    assert!(stale(), "one post is not all that fires");
    eventually("all has been repeated", || readings(&daemon) == [0.0, 0.0]);
    daemon.wait_for("green");

    add(
        &peer,
        &["Disk", "severity=critical", "instance=db-1", "job=node"],
    );
    add(&peer, &["Load", "severity=warning"]);
    eventually("the alert", || readings(&daemon) == [1.0, 1.0]);
    daemon.wait_for("amber");
    let query = "/api/v1/query?query=alertmanager_alerts%7Bseverity%3D%22critical%22%7D";
    let labels = daemon.get(query).json()["data"]["result"][0]["metric"].clone();
    assert_eq!(
        labels,
        serde_json::json!({"__name__": "alertmanager_alerts", "alertname": "Disk", "severity": "critical", "instance": "db-1", "job": "node"})
    );
    let past = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(1);
    let end = format!("--end={past:.0}");
    add(
        &peer,
        &[
            "Disk",
            "severity=critical",
            "instance=db-1",
            "job=node",
            &end,
        ],
    );
    eventually("its end", || readings(&daemon) == [0.0, 0.0]);
    daemon.wait_for("green");

    // After a restart of gated what fires says so at once, and that nothing does takes as long as repeats may take.
    add(&peer, &["Disk", "severity=critical"]);
    eventually("the alert again", || readings(&daemon) == [1.0, 1.0]);
    peer.kill();
    eventually("silence", || readings(&daemon) == ["stale", "stale"]);
    let pools = daemon.get("/api/v1/scrape_pools").json().to_string();
    assert!(!pools.contains("alertmanager"), "{pools}");
    daemon.kill();
    let daemon = house.start();
    let peer = routed_to(&daemon, &house);
    add(&peer, &["Disk", "severity=critical"]);
    eventually("at once", || readings(&daemon) == [1.0, 1.0]);
    assert!(
        daemon
            .get("/api/v1/targets?scrapePool=alertmanager")
            .body
            .contains("\"health\":\"up\"")
    );
}
