//! The daemon as the real binary: a real Alertmanager, reloads, the gate, the token, draining, a store that cannot be
//! used, and targets that misbehave beside one that does not.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gated::model::DeliveryState;
use serde_json::Value;

use crate::binary::{Exporter, House, RULES, Receiver, Said, config, eventually, told};
use crate::fault_server::{Answer, FaultServer};
use crate::peers::{Peer, amtool, installed};

fn listed(peer: &Peer) -> Vec<String> {
    let text = amtool(&peer.url, &["alert", "query", "-o", "json"]);
    let alerts: Vec<Value> = serde_json::from_str(&text).unwrap();
    let name = |it: &Value| it["labels"]["alertname"].as_str().unwrap().to_owned();
    alerts.iter().map(name).collect()
}

#[test]
fn alertmanager_lists_what_fires_after_its_restart_too_and_not_after_recovery() {
    let mut peer = Peer::alertmanager();
    let exporter = Exporter::start(false);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let alerting = format!("[alertmanager]\nurls = [{:?}]\nresend = \"1s\"\n", peer.url);
    let config = config(&[&exporter.url()], &receiver.url(), &told("2"));
    let house = House::new(&(config + &alerting), RULES);
    let daemon = house.start();
    daemon.wait_for("green");
    let fires = |peer: &Peer| listed(peer).iter().any(|it| it == "breakage");
    eventually("the watchdog", || {
        listed(&peer).iter().any(|it| it == "Watchdog")
    });
    assert!(!fires(&peer));
    exporter.set(true);
    eventually("the alert", || fires(&peer));
    peer.restart();
    eventually("the alert after a restart", || fires(&peer));
    exporter.set(false);
    eventually("the alert's end", || !fires(&peer));
    eventually("still watched", || {
        listed(&peer).iter().any(|it| it == "Watchdog")
    });
}

#[test]
fn a_broken_reload_keeps_the_old_configuration_and_a_good_one_takes_effect() {
    let exporter = Exporter::start(false);
    let hook = "http://127.0.0.1:9/";
    let house = House::new(&config(&[&exporter.url()], hook, &told("2")), RULES);
    let daemon = house.start();
    daemon.wait_for("green");
    let metric = "gated_config_last_reload_successful";
    let bearer = format!("authorization: Bearer {}\r\n", house.token());
    let condition = || daemon.verdict()["checks"][0]["condition"].clone();
    assert_eq!(condition(), "== 0");
    house.rule(&RULES.replace("max(broken)", "max(broken"));
    daemon.signal("HUP");
    eventually("the metric that says so", || {
        daemon.metric(metric) == Some(0.0)
    });
    eventually("the log that says so", || {
        daemon.log().contains("the old one goes on")
    });
    let refused = daemon.ask("POST", "/-/reload", &bearer, "");
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(
        refused.json()["error"]
            .as_str()
            .unwrap()
            .contains("rules.toml:"),
        "{refused:?}"
    );
    assert_eq!(
        (condition(), daemon.verdict()["status"].clone()),
        ("== 0".into(), "green".into())
    );
    house.rule(&RULES.replace("== 0", "< 5"));
    let taken = daemon.ask("POST", "/-/reload", &bearer, "");
    assert_eq!(taken.status, 200, "{taken:?}");
    eventually("the new condition", || condition() == "< 5");
    assert_eq!(daemon.metric(metric), Some(1.0));
    house.rule(&RULES.replace("== 0", "< 6"));
    daemon.signal("HUP");
    eventually("the next condition", || condition() == "< 6");
    daemon.wait_for("green");
}

#[test]
fn p1_asked_to_stop_it_lets_a_delivery_under_way_end() {
    let exporter = Exporter::start(true);
    let released = Arc::new(AtomicBool::new(false));
    let waits = Arc::clone(&released);
    let receiver = Receiver::start(move |_, _| {
        eventually("the release", || waits.load(Ordering::SeqCst));
        Said::Status(200)
    });
    let house = House::new(
        &config(&[&exporter.url()], &receiver.url(), &told("2")),
        RULES,
    );
    let mut daemon = house.start();
    eventually("the request", || receiver.posted().len() == 1);
    daemon.signal("TERM");
    eventually("the word", || daemon.log().contains("stopping"));
    released.store(true, Ordering::SeqCst);
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.log());
    let ledger = house.ledger();
    let state = &ledger.deliveries[0].state;
    assert!(
        matches!(state, DeliveryState::Delivered { status: 200, .. }),
        "{state:?}"
    );
    assert_eq!(receiver.posted().len(), 1);
}

#[test]
fn p2_asked_twice_it_stops_at_once_and_still_owes() {
    let exporter = Exporter::start(true);
    let over = Arc::new(AtomicBool::new(false));
    let waits = Arc::clone(&over);
    let receiver = Receiver::start(move |_, _| {
        eventually("the end", || waits.load(Ordering::SeqCst));
        Said::Nothing
    });
    let config = config(&[&exporter.url()], &receiver.url(), &told("2"));
    let house = House::new(&(config + "timeout = \"60s\"\n"), RULES);
    let mut daemon = house.start();
    eventually("the request", || receiver.posted().len() == 1);
    daemon.signal("TERM");
    eventually("the word", || daemon.log().contains("stopping"));
    daemon.signal("TERM");
    daemon.ended();
    over.store(true, Ordering::SeqCst);
    let ledger = house.ledger();
    assert_eq!(ledger.decisions.len(), 1);
    assert!(matches!(
        ledger.deliveries[0].state,
        DeliveryState::UnderWay { .. }
    ));
}

#[test]
fn the_gate_is_shut_before_the_first_evaluation_and_then_answers_by_verdict() {
    let exporter = Exporter::start(false);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let silent = FaultServer::always(Answer::Hang);
    let slow = config(&[&silent.url()], &receiver.url(), &told("2"));
    let slow = slow
        .replace("\"100ms\"", "\"60s\"")
        .replace("\"90ms\"", "\"59s\"");
    let house = House::new(&slow, RULES);
    let daemon = house.start();
    let shut = daemon.get("/gate");
    assert_eq!(shut.status, 503, "{shut:?}");
    assert!(shut.head.contains("\nretry-after: "), "{shut:?}");
    assert_eq!(shut.json()["verdict"], "unknown");
    assert_eq!(daemon.get("/-/healthy").status, 200);
    assert_eq!(daemon.get("/-/ready").status, 503);
    drop(daemon);
    house.configure(&config(&[&exporter.url()], &receiver.url(), &told("2")));
    let daemon = house.start();
    eventually("go", || daemon.get("/gate").status == 200);
    eventually("ready", || daemon.get("/-/ready").status == 200);
    exporter.set(true);
    eventually("no go", || daemon.get("/gate").status == 403);
    let no = daemon.get("/gate").json();
    assert_eq!(
        (&no["verdict"], &no["fail"]),
        (&"no_go".into(), &true.into())
    );
    eventually("the decision", || !daemon.decisions().is_empty());
    promtool(&daemon.get("/metrics").body);
}

/// What `promtool check metrics` has to say: nothing.
fn promtool(page: &str) {
    let mut child = Command::new(installed("promtool", "prometheus"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let said = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.status.success() && words.is_empty(), "{words}\n{page}");
}

#[test]
fn writers_need_the_token_and_the_command_line_finds_it() {
    let exporter = Exporter::start(false);
    let house = House::new(
        &config(&[&exporter.url()], "http://127.0.0.1:9/", ""),
        RULES,
    );
    let mut daemon = house.start();
    let json = "content-type: application/json\r\n";
    let wrong = format!("{json}authorization: Bearer 0123456789abcdef0123456789abcdef\r\n");
    for head in [json, wrong.as_str()] {
        for path in [
            "/api/v1/rollouts",
            "/api/v1/rollouts/x/finish",
            "/api/v1/incidents/x/ack",
            "/-/reload",
        ] {
            let reply = daemon.ask("POST", path, head, r#"{"version":"9"}"#);
            assert_eq!(reply.status, 401, "{path}: {reply:?}");
        }
    }
    let address = daemon.address().to_string();
    let rollout = |arguments: &[&str]| {
        let mut all = vec!["rollout"];
        all.extend(arguments);
        all.extend(["--listen", &address]);
        let output = house.run(&all);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    assert_eq!(
        rollout(&["list"]),
        (Some(0), "no rollout is known\n".into(), String::new())
    );
    let (code, said, _) = rollout(&["start", "--version", "3", "--previous", "2", "--id", "ci-7"]);
    assert!(
        code == Some(0) && said.contains("ci-7") && said.contains("3 (after 2)"),
        "{said}"
    );
    daemon.wait_for("green");
    assert!(rollout(&["list"]).1.contains("in progress"));
    let (code, said, _) = rollout(&["finish"]);
    assert!(code == Some(0) && said.contains("finished"), "{said}");
    let (code, _, error) = rollout(&["finish"]);
    assert!(
        code == Some(1) && error.contains("no rollout in progress"),
        "{error}"
    );
    daemon.kill();
    let (code, said, error) = rollout(&["list"]);
    assert_eq!((code, said.as_str()), (Some(1), ""), "{error}");
    assert!(
        error.contains("no gated answers at") && error.contains("--listen"),
        "{error}"
    );
}

#[test]
fn a_store_that_cannot_be_used_is_exit_code_five() {
    let exporter = Exporter::start(false);
    let house = House::new(
        &config(&[&exporter.url()], "http://127.0.0.1:9/", ""),
        RULES,
    );
    let daemon = house.start();
    let second = house.run(&["--listen", "127.0.0.1:0"]);
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(5), "{said}");
    assert!(
        said.contains(&daemon.id().to_string()),
        "the owner is not named: {said}"
    );
    assert_eq!(daemon.get("/-/healthy").status, 200);
    drop(daemon);
    fs::remove_dir_all(house.data()).unwrap();
    fs::create_dir_all(house.database()).unwrap();
    let folder = house.run(&["--listen", "127.0.0.1:0"]);
    assert_eq!(
        folder.status.code(),
        Some(5),
        "a folder stands where the database should"
    );
    let text = fs::read_to_string(house.path("gated.toml")).unwrap();
    house.configure(&(text + "[storage]\npath = \"/proc/nowhere/gated.db\"\n"));
    let mut command = crate::binary::gated(&["--listen", "127.0.0.1:0", "--config"]);
    command
        .arg(house.path("gated.toml"))
        .arg("--rules")
        .arg(house.path("rules.toml"));
    let unwritable = command.output().unwrap();
    let said = String::from_utf8(unwritable.stderr).unwrap();
    assert_eq!(unwritable.status.code(), Some(5), "{said}");
    assert!(said.contains("/proc/nowhere"), "{said}");
}

#[test]
fn bad_targets_are_named_with_their_reason_and_delay_nobody() {
    let exporter = Exporter::start(false);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let hang = FaultServer::always(Answer::Hang);
    let html = FaultServer::always(Answer::With(
        "Content-Type: text/html\r\n",
        b"<html>hello</html>".to_vec(),
    ));
    let cut =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 900\r\n\r\nbroken 1\n";
    let cut = FaultServer::always(Answer::Raw(cut.to_vec()));
    let urls = [exporter.url(), hang.url(), html.url(), cut.url()];
    let targets: Vec<&str> = urls.iter().map(String::as_str).collect();
    let house = House::new(&config(&targets, &receiver.url(), &told("2")), RULES);
    let daemon = house.start();
    daemon.wait_for("green");
    let state = |url: &str| {
        let answer = daemon.get("/api/v1/targets").json();
        let all = answer["data"]["activeTargets"].as_array().unwrap().clone();
        let one = all.into_iter().find(|it| it["scrapeUrl"] == url).unwrap();
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        (text("health"), text("lastError"))
    };
    let mut reasons = Vec::new();
    for url in &urls[1..] {
        eventually("a bad target's reason", || state(url).0 == "down");
        let (_, reason) = state(url);
        println!("{reason}");
        assert!(!reason.is_empty());
        assert!(
            daemon.log().contains(&reason[..reason.len().min(12)]),
            "not in the log: {reason}"
        );
        reasons.push(reason);
    }
    reasons.sort();
    reasons.dedup();
    assert_eq!(reasons.len(), 3, "each has a reason of its own");
    assert_eq!(state(&urls[0]), ("up".into(), String::new()));
    // The hanging target holds up neither the good one's scrapes nor what is judged from them.
    let scraped = exporter.scrapes();
    eventually("further scrapes", || exporter.scrapes() > scraped + 5);
    exporter.set(true);
    eventually("the rollback", || receiver.taken() == 1);
}

#[test]
fn a_heavy_question_holds_nobody_up() {
    let mut page = String::from("broken 0\n");
    for i in 0..2000 {
        page += &format!("big{{n=\"{i}\"}} {i}\n");
    }
    let server = FaultServer::always(Answer::Page(page));
    let config = config(&[&server.url()], "http://127.0.0.1:9/", &told("2"));
    let house = House::new(&(config + "[window]\nretain = \"5m\"\n"), RULES);
    let daemon = house.start();
    let scrapes = |within: &str| {
        let reply = daemon.get(&format!(
            "/api/v1/query?query=count_over_time(up[{within}])"
        ));
        let body = reply.json();
        let value = body["data"]["result"][0]["value"][1].as_str();
        value.map_or(0, |it| it.parse::<u32>().unwrap())
    };
    eventually("scraped", || scrapes("1s") > 5);
    // More than a debug build does in a minute. Each asks for its two seconds and goes away.
    let heavy = "/api/v1/query?timeout=2s&query=max_over_time(sum_over_time(big[5m:1s])[5m:1s])";
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(daemon.get(heavy).json()["errorType"], "timeout"));
        }
    });
    let counted = scrapes("2s");
    assert!(
        counted >= 10,
        "{counted} of 20 scrapes were judged meanwhile"
    );
}

/// Stopped while an alert was pending, and continued when all is well again: the time in between counts for nothing.
#[test]
fn a_pause_rolls_nothing_back() {
    const QUIET: &str = "clock = \"rollout\"\n[[phase]]\nname = \"watch\"\nfrom = \"0s\"\nuntil = \"1h\"\nrollback = \"armed\"\n";
    const GROUP: &str = "groups:\n- name: g\n  interval: 100ms\n  rules:\n  - {alert: Broken, expr: broken == 1, for: 3s, labels: {gated_do: rollback}}\n";
    let exporter = Exporter::start(true);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let config = config(&[&exporter.url()], &receiver.url(), &told("2"));
    let house = House::new(&config, QUIET);
    fs::write(house.path("rules.yml"), GROUP).unwrap();
    let daemon = house.start();
    eventually("pending", || {
        let alerts = daemon.get("/api/v1/alerts").json();
        alerts["data"]["alerts"][0]["state"] == "pending"
    });
    daemon.signal("STOP");
    exporter.set(false);
    std::thread::sleep(std::time::Duration::from_secs(4));
    daemon.signal("CONT");
    eventually("missed", || {
        daemon.log().contains("rule group iterations missed")
    });
    eventually("well", || {
        let alerts = daemon.get("/api/v1/alerts").json();
        alerts["data"]["alerts"] == Value::Array(Vec::new())
    });
    assert_eq!(daemon.decisions(), Vec::<Value>::new());
    assert_eq!(receiver.taken(), 0);
}

#[test]
fn an_incident_is_listed_taken_and_stays_taken_after_a_kill() {
    let exporter = Exporter::start(true);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let hook = receiver.url();
    let people = format!(
        "[[webhook]]\nname = \"pager\"\nurl = {hook:?}\n[[webhook]]\nname = \"phone\"\nurl = {hook:?}\n\
         [severity.P1]\nlevels = [{{ role = \"on-call\", hooks = [\"pager\"] }}, \
         {{ role = \"CTO\", hooks = [\"phone\"], after = \"1h\" }}]\n"
    );
    let config = config(&[&exporter.url()], &hook, &told("2"));
    let house = House::new(&(config + &people), RULES);
    let mut daemon = house.start();
    let run = |address: &str, arguments: &[&str]| {
        let all = [arguments, &["--listen", address]].concat();
        let output = house.run(&all);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    };
    let address = daemon.address().to_string();
    eventually("the incident", || {
        run(&address, &["incidents"]).1.contains("called   on-call")
    });
    let (code, said) = run(&address, &["ack", "inc_", "--by", "ada", "--note", "on it"]);
    assert!(code == Some(0) && said.contains("by ada: on it"), "{said}");
    eventually("its word", || {
        let bodies = receiver.posted().into_iter();
        bodies
            .filter(|it| it.body.contains("\"acknowledged_by\":\"ada\""))
            .count()
            == 1
    });
    let (_, why) = run(&address, &["explain"]);
    assert!(why.contains("ada acknowledged inc_"), "{why}");
    daemon.kill();
    let (code, said) = run(&address, &["incidents"]);
    assert!(
        code == Some(1) && said.contains("no gated answers at"),
        "{said}"
    );
    let daemon = house.start();
    let address = daemon.address().to_string();
    let (code, said) = run(&address, &["incidents"]);
    assert!(code == Some(0) && said.contains("taken"), "{said}");
    exporter.set(false);
    eventually("its end", || {
        run(&address, &["incidents"]).1 == "no incident is open\n"
    });
    let (_, said) = run(&address, &["incidents", "--all"]);
    assert!(said.contains("what opened it is over"), "{said}");
}

/// The receivers that `gated init` writes: a rollback hook, which is told of no day, and an Alertmanager.
#[test]
fn what_is_due_and_no_receiver_is_told_of_is_at_alertmanager() {
    let peer = Peer::alertmanager();
    let exporter = Exporter::start(false);
    let alerting = format!("[alertmanager]\nurls = [{:?}]\nresend = \"1s\"\n", peer.url);
    // It was due a moment ago, which is soon enough to tell; a minute of yesterday is none.
    let now = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC);
    let due = now.strftime("%H:%M").to_string();
    let began = now.timestamp() - jiff::SignedDuration::from_mins(2);
    let rollout = format!("{}\ngo_live = \"{began:.0}\"", told("2"));
    let config = config(&[&exporter.url()], "http://127.0.0.1:9/", &rollout);
    let rules = format!(
        "clock = \"go_live\"\n[[phase]]\nname = \"day\"\nfrom = \"0s\"\n[[phase.activity]]\ntitle = \"Stand-up\"\nat = \"{due}\"\ntext = \"Who is on call?\"\n"
    );
    let house = House::new(&(config + &alerting), &rules);
    let checked = house.run(&["check", "config"]);
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert!(!checked.contains("nobody"), "{checked}");
    let _daemon = house.start();
    let seen = || {
        let text = amtool(&peer.url, &["alert", "query", "-o", "json"]);
        let alerts: Vec<Value> = serde_json::from_str(&text).unwrap();
        let mut alerts = alerts.into_iter();
        alerts.find(|it| it["labels"]["alertname"] == "ActivityDue")
    };
    eventually("the stand-up", || seen().is_some());
    let alert = seen().unwrap();
    assert_eq!(alert["labels"]["activity"], "Stand-up");
    assert_eq!(alert["labels"]["severity"], "P4");
    assert_eq!(alert["annotations"]["description"], "Who is on call?");
}
