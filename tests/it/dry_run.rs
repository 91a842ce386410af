//! `gated --dry-run` as a pipeline runs it: the real binary before a real `node_exporter` and the demo's service. Exit
//! codes, the four formats, what is printed where something is wrong, and nothing changed on disk.

use std::process::Output;
use std::time::{Duration, Instant};

use gated::run::demo::service::{Health, Service, Traffic};
use serde_json::Value;

use crate::binary::{House, eventually};
use crate::peers::{Peer, free_address};

/// The machine and the service. `NODE` and `LATENCY` are replaced.
const RULES: &str = r#"
clock = "rollout"
[signals.machine]
title = "Load of the machine"
expr = 'max(NODE{job="node"})'
unit = "count"
[signals.error_rate]
title = "Error rate"
expr = 'sum(rate(http_requests_total{job="shop",status=~"5.."}[2s])) / sum(rate(http_requests_total{job="shop"}[2s]))'
unit = "ratio"
empty = 0
[signals.latency]
title = "API latency p95"
expr = 'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{job="shop"}[2s])))'
unit = "seconds"
[[phase]]
name = "preflight"
preflight = true
from = "0s"
rollback = "armed"
gate = "amber"
[phase.targets]
machine = "< LOAD"
error_rate = "< 20%"
[[phase.trigger]]
name = "errors"
when = "error_rate > 20%"
for = "1m"
no_data = "pass"
do = "rollback"
severity = "P1"
[[phase.trigger]]
name = "slowness"
when = "latency > LATENCY"
for = "1m"
do = "rollback"
severity = "P1"
"#;

fn rules(node: &str, load: &str, latency: &str) -> String {
    let rules = RULES.replace("NODE", node);
    rules.replace("LOAD", load).replace("LATENCY", latency)
}

fn healthy() -> String {
    rules("node_load1", "100000", "900ms")
}

fn config(node: &str, service: &Service) -> String {
    let targets: Vec<String> = service
        .targets()
        .iter()
        .map(|it| format!("{it:?}"))
        .collect();
    let targets = targets.join(", ");
    format!(
        r#"
[service]
name = "shop"
[[scrape]]
job = "node"
targets = ["{node}/metrics"]
interval = "1s"
timeout = "900ms"
[[scrape]]
job = "shop"
targets = [{targets}]
interval = "500ms"
timeout = "400ms"
[rollback]
mode = "armed"
hook = "deployer"
[[webhook]]
name = "deployer"
url = "http://127.0.0.1:9/hook"
"#
    )
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    let text = text(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Runs all of these dry runs at once, since each has to look for a while.
fn look(houses: &[(&House, &[&str])]) -> Vec<Output> {
    let started: Vec<_> = houses
        .iter()
        .map(|(house, arguments)| {
            let mut command = house.command(&["--dry-run", "--skip-hooks", "--for", "4s"]);
            command.args(*arguments);
            command.stdout(std::process::Stdio::piped());
            command.stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    started
        .into_iter()
        .map(|it| it.wait_with_output().unwrap())
        .collect()
}

fn traffic() -> Traffic {
    Traffic {
        requests_per_second: 300.0,
        step: Duration::from_millis(100),
        ..Traffic::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exit_codes_formats_and_hints() {
    let node = Peer::node_exporter();
    let service = Service::start("1.4.0", traffic()).await.unwrap();
    let sound = House::new(&config(&node.url, &service), &healthy());
    let missing = House::new(
        &config(&node.url, &service),
        &rules("node_laod1", "100000", "900ms"),
    );
    let nowhere = format!("http://{}", free_address());
    let down = House::new(&config(&nowhere, &service), &healthy());
    let amber = House::new(
        &config(&node.url, &service),
        &rules("node_boot_time_seconds", "1", "900ms"),
    );
    let beyond = House::new(
        &config(&node.url, &service),
        &rules("node_load1", "100000", "1h"),
    );
    let found = tokio::task::spawn_blocking(move || {
        let found = look(&[
            (&sound, &["--format", "json"]),
            (&sound, &["--format", "table"]),
            (&sound, &["--format", "junit"]),
            (&sound, &["--format", "markdown"]),
            (&missing, &["--format", "json"]),
            (&down, &["--format", "json"]),
            (&amber, &["--format", "json"]),
            (&amber, &["--format", "json", "--strict"]),
            (&amber, &["--format", "junit", "--strict"]),
            (&beyond, &["--format", "json"]),
        ]);
        for house in [&sound, &missing, &down, &amber, &beyond] {
            assert!(!house.data().exists(), "a dry run made something on disk");
        }
        found
    });
    let found = found.await.unwrap();
    service.stop().await;
    let codes: Vec<i32> = found.iter().map(code).collect();
    let said = found
        .iter()
        .map(|it| text(&it.stdout))
        .collect::<Vec<_>>()
        .join("\n----\n");
    assert_eq!(codes, [0, 0, 0, 0, 3, 3, 0, 1, 1, 1], "{said}");

    pinned(&json(&found[0]));
    assert!(
        text(&found[1].stdout).trim_end().ends_with("GO (green)"),
        "{said}"
    );
    assert!(well_formed(&text(&found[2].stdout)).contains("failures=\"0\" errors=\"0\""));
    let markdown = text(&found[3].stdout);
    assert!(markdown.starts_with("## shop: ✅ go\n"), "{markdown}");
    assert!(markdown.contains("|---|---|---|"), "{markdown}");
    for it in &found {
        assert!(
            !it.stdout.contains(&0x1b) && !it.stderr.contains(&0x1b),
            "no terminal, no colour"
        );
    }

    let reasons = |n: usize| json(&found[n])["reasons"].to_string();
    assert!(
        reasons(4).contains("no target has `node_laod1`; nearest: node_load1"),
        "{}",
        reasons(4)
    );
    let scrapes = json(&found[5])["scrapes"].clone();
    let lost = scrapes
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["job"] == "node")
        .unwrap();
    assert_eq!(lost["up"], false);
    assert!(
        lost["error"].as_str().unwrap().contains("refused"),
        "{lost}"
    );
    let amber = json(&found[6]);
    assert_eq!(
        (&amber["verdict"], &amber["status"]),
        (&"go".into(), &"amber".into())
    );
    let strict = json(&found[7]);
    assert_eq!(
        (&strict["verdict"], &strict["status"]),
        (&"no_go".into(), &"amber".into())
    );
    assert_eq!(
        (&strict["ok"], &strict["fail"]),
        (&false.into(), &true.into())
    );
    assert!(reasons(7).contains("--strict"), "{strict}");
    let junit = text(&found[8].stdout);
    assert!(!well_formed(&junit).contains("failures=\"0\""), "{junit}");
    assert!(junit.contains("name=\"no_go\""), "{junit}");
    assert!(
        reasons(9).contains("slowness cannot trip"),
        "{}",
        reasons(9)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_is_no_go_and_says_what_would_be_done() {
    let node = Peer::node_exporter();
    let service = Service::start("1.4.0", traffic()).await.unwrap();
    service.deploy(
        "1.5.0",
        Health::Bad {
            error_share: 0.6,
            latency_factor: 1.0,
        },
    );
    let deployer = service.deployer();
    let house = House::new(&config(&node.url, &service), &healthy());
    let found = tokio::task::spawn_blocking(move || {
        eventually("the bad version", || deployer.versions() == ["1.5.0"; 3]);
        let found = look(&[
            (&house, &["--format", "json"]),
            (&house, &["--phase", "preflight"]),
        ]);
        let wrong = house.run(&["--dry-run", "--phase", "nothing"]);
        (found, wrong)
    });
    let (found, wrong) = found.await.unwrap();
    service.stop().await;
    assert_eq!(code(&found[0]), 1, "{}", text(&found[0].stdout));
    let verdict = json(&found[0]);
    pinned(&verdict);
    assert_eq!(verdict["status"], "red");
    assert_eq!(verdict["would_fire"][0]["because"][0], "errors");
    assert_eq!(code(&found[1]), 1);
    assert!(text(&found[1].stdout).trim_end().ends_with("NO GO (red)"));
    assert_eq!(code(&wrong), 2);
    assert!(
        text(&wrong.stderr).contains("no phase `nothing`"),
        "{}",
        text(&wrong.stderr)
    );
}

#[test]
fn a_broken_file_is_shown_with_line_caret_and_remedy() {
    let good = crate::binary::config(&["http://127.0.0.1:9/metrics"], "http://127.0.0.1:9/", "");
    let rules = crate::binary::RULES;
    let cases = [
        (
            good.replace("interval", "intervall"),
            rules.to_owned(),
            "gated.toml:",
            "interval",
        ),
        (
            good.clone(),
            rules.replace("\"broken > 0\"", "\"broke > 0\""),
            "rules.toml:",
            "broken",
        ),
        (
            good.clone(),
            rules.replace("max(broken)", "max(broken"),
            "rules.toml:",
            "expr",
        ),
        (
            good.replace("[service]", "[service"),
            rules.to_owned(),
            "gated.toml:",
            "service",
        ),
    ];
    for (config, rules, file, remedy) in cases {
        let house = House::new(&config, &rules);
        let output = house.run(&["--dry-run"]);
        let said = text(&output.stderr);
        assert_eq!(code(&output), 2, "{said}");
        for part in [file, "^", "error", remedy] {
            assert!(said.contains(part), "{part} is missing:\n{said}");
        }
        assert!(output.stdout.is_empty(), "a verdict was printed");
        assert!(!house.data().exists());
    }
    let house = House::new(&good, rules);
    std::fs::remove_file(house.path("gated.toml")).unwrap();
    let output = house.run(&["--dry-run"]);
    assert_eq!(code(&output), 2);
    assert!(text(&output.stderr).contains("gated.toml"));
}

/// Beside a daemon: nothing of its data is touched, and it goes on.
#[test]
fn beside_a_running_daemon_it_changes_nothing() {
    let exporter = crate::binary::Exporter::start(false);
    let config = crate::binary::config(
        &[&exporter.url()],
        "http://127.0.0.1:9/",
        &crate::binary::told("2"),
    );
    let house = House::new(&config, crate::binary::RULES);
    let mut daemon = house.start();
    daemon.wait_for("green");
    let before = house.contents();
    assert!(before.iter().any(|(name, _)| name == "gated.db"));
    let started = Instant::now();
    let output = house.run(&[
        "--dry-run",
        "--skip-hooks",
        "--for",
        "1s",
        "--format",
        "json",
    ]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert!(
        started.elapsed() >= Duration::from_secs(1),
        "--for says how long"
    );
    assert!(!text(&output.stderr).contains("too short"));
    assert_eq!(daemon.verdict()["verdict"], "go");
    // The index in shared memory holds the marks of its readers, which are no data.
    let data = |all: Vec<(String, Vec<u8>)>| -> Vec<_> {
        all.into_iter()
            .filter(|(name, _)| !name.ends_with("-shm"))
            .collect()
    };
    assert_eq!(data(house.contents()), data(before));
    daemon.signal("TERM");
    assert!(daemon.ended().success());
    // And after it, where only the files are left.
    let before = house.contents();
    assert_eq!(
        code(&house.run(&["--dry-run", "--skip-hooks", "--for", "1s"])),
        0
    );
    assert_eq!(house.contents(), before);
}

/// Less would be an answer of nothing but "less than 3s watched".
#[test]
fn it_looks_for_no_shorter_than_the_rules_need_and_says_so() {
    let exporter = crate::binary::Exporter::start(false);
    let targets = [exporter.url()];
    let targets = targets.each_ref().map(String::as_str);
    let config = crate::binary::config(&targets, "http://127.0.0.1:9/", "version = \"2\"");
    let rules = crate::binary::RULES.replace("max(broken)", "max(max_over_time(broken[3s]))");
    let house = House::new(&config, &rules);
    let arguments = ["--dry-run", "--skip-hooks", "--for", "100ms"];
    let output = house.run(&arguments);
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(code(&output), 0, "{shown}{said}");
    assert!(
        said.contains("--for 100ms is too short: looking for 3s 400ms"),
        "{said}"
    );
    assert!(!shown.contains("too short"), "{shown}");
}

/// The pinned keys, all of them and no others.
fn pinned(verdict: &Value) {
    let keys = |value: &Value| {
        let mut keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys.join(" ")
    };
    let top = "checks evaluated_at fail ok phase reasons scrapes service status verdict would_fire";
    assert_eq!(keys(verdict), top);
    let rows = [
        ("scrapes", "duration_seconds error job samples target up"),
        (
            "checks",
            "condition name outcome reading reason role signal unit value",
        ),
        ("would_fire", "because do hook refused_by"),
    ];
    for (list, expected) in rows {
        for row in verdict[list].as_array().unwrap() {
            assert_eq!(keys(row), expected);
        }
    }
    assert!(!verdict["checks"].as_array().unwrap().is_empty());
    let at = verdict["evaluated_at"].as_str().unwrap();
    at.parse::<jiff::Timestamp>().unwrap();
}

/// Fails unless every element is closed, in order; gives the first element after the declaration.
fn well_formed(xml: &str) -> String {
    let mut open = Vec::new();
    let mut first = None;
    let body = xml
        .strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
        .unwrap();
    for piece in body.split('<').skip(1) {
        let (tag, after) = piece
            .split_once('>')
            .unwrap_or_else(|| panic!("no end: {piece}"));
        assert!(
            !after.contains(['>', '&']) || after.contains(';'),
            "{after}"
        );
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{xml}");
        } else if !tag.ends_with('/') {
            first.get_or_insert_with(|| tag.to_owned());
            open.push(tag.split(' ').next().unwrap());
        }
    }
    assert!(open.is_empty(), "{open:?}");
    first.unwrap()
}
