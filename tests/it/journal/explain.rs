//! `gated explain` redraws the minutes around a decision from the journal, or says in a sentence why it does not.

use std::fs;
use std::process::Output;

use serde_json::Value;

use super::daemon::JOURNAL;
use crate::binary::{Daemon, Exporter, House, RULES, Receiver, Said, config, eventually, told};
use crate::fault_server::{Answer, FaultServer};

const TITLE: &str = "\nThe minutes around it\n";

fn explain(house: &House, daemon: &Daemon, more: &[&str]) -> Output {
    let address = daemon.address().to_string();
    let mut command = house.command(&["explain", "--listen", &address]);
    command.args(more).output().unwrap()
}

fn good(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The explanation, and what stands under the title; nothing where that is missing.
fn parts(text: &str) -> (&str, &str) {
    text.split_once(TITLE).unwrap_or((text, ""))
}

/// The one row that is marked as the decision's.
fn decided(text: &str) -> &str {
    let mut rows = parts(text).1.lines().filter(|it| it.starts_with('◆'));
    let row = rows.next().unwrap_or_else(|| panic!("no row: {text}"));
    assert_eq!(rows.next(), None, "{text}");
    row
}

/// The document, and what was said beside it.
fn json(house: &House, daemon: &Daemon, more: &[&str]) -> (Value, String) {
    let output = explain(house, daemon, &[&["--format", "json"], more].concat());
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    (serde_json::from_str(&good(&output)).unwrap(), said)
}

/// The reading of a signal at the moment of the decision.
fn reading_then(minutes: &Value, decision: &Value) -> Value {
    let readings = minutes["readings"].as_array().unwrap();
    let then = readings.iter().find(|it| it["at"] == decision["at"]);
    then.unwrap_or_else(|| panic!("none then: {minutes}"))
        .clone()
}

/// Whether the condition held, row after row.
fn held(text: &str) -> Vec<&str> {
    let rows = parts(text).1.lines().filter(|it| it.contains("Z  "));
    let words = rows.map(|it| {
        let mut words = it.split_whitespace();
        words.find(|it| ["yes", "no", "?"].contains(it)).unwrap()
    });
    words.collect()
}

#[test]
fn the_minutes_are_drawn_while_the_journal_is_written() {
    let exporter = Exporter::start(false);
    let receiver = Receiver::start(|number, _| Said::Status(if number == 0 { 503 } else { 200 }));
    let text = config(&[&exporter.url()], &receiver.url(), &told("2"));
    // A second signal that never has a value.
    let second = "[signals.nowhere]\nexpr = 'max(nowhere)'\nunit = \"count\"\n[[phase]]";
    let rules = RULES.replacen("[[phase]]", second, 1);
    let rules = rules.replace("\"broken > 0\"", "\"broken > 0 or nowhere > 5\"");
    let house = House::new(&(text.clone() + JOURNAL), &rules);
    let mut daemon = house.start();
    eventually("a few readings", || exporter.scrapes() > 5);
    exporter.set(true);
    eventually("the delivery", || receiver.taken() >= 1);
    let decision = daemon.decisions().remove(0);
    let bearer = format!("authorization: Bearer {}\r\n", house.token());
    let freeze = r#"{"by":"ada","reason":"\u202edet","for":"1h"}"#;
    let kind = "content-type: application/json\r\n";
    let frozen = daemon.ask("POST", "/api/v1/freeze", &(bearer + kind), freeze);
    assert_eq!(frozen.status, 200, "{frozen:?}");
    let mut page = String::new();
    eventually("all of it in the journal", || {
        page = good(&explain(&house, &daemon, &[]));
        parts(&page).1.contains("ada: ")
    });

    let row = decided(&page).to_owned();
    let at = decision["at"].as_str().unwrap();
    for says in [
        at.split_once('T').unwrap().1,
        "  1       empty    yes ",
        "firing; decided: rollback; sent to deployer, attempt 1",
    ] {
        assert!(row.contains(says), "{says}: {row}");
    }
    let minutes = parts(&page).1;
    for says in [
        "not delivered to deployer: HTTP 503",
        "delivered to deployer (HTTP 200)",
        "nowhere: its selectors match no series",
        "0 to 1; its threshold, > 0, is at ▁",
        "▁▁██",
        "━◆━",
        "ada: freeze (\\u{202e}det)",
    ] {
        assert!(minutes.contains(says), "{says}: {minutes}");
    }
    assert!(!page.contains('\u{202e}'), "{page}");
    // Nobody knows of the second signal, so the condition holds by the first or is not known.
    let held = held(&page);
    let first = held.iter().position(|it| *it == "yes").unwrap();
    assert!(first > 0 && held[..first].iter().all(|it| *it == "?"));
    assert!(held[first..].iter().all(|it| *it == "yes"), "{held:?}");

    let (document, said) = json(&house, &daemon, &[]);
    assert_eq!(said, "");
    let signals = document["minutes"].as_array().unwrap();
    assert_eq!(signals.len(), 2);
    let broken = &signals[0];
    assert_eq!(
        (&broken["signal"], &broken["unit"]),
        (&"broken".into(), &"count".into())
    );
    assert_eq!(broken["condition"], decision["condition"]);
    assert_eq!(broken["threshold"], 0.0);
    let then = reading_then(broken, &decision);
    assert_eq!(
        (&then["reading"], &then["held"]),
        (&"value".into(), &true.into())
    );
    assert_eq!(then["value"], decision["value"]);
    assert_eq!(then["events"][1], "decided: rollback");
    let then = reading_then(&signals[1], &decision);
    assert_eq!(
        (&then["reading"], &then["value"]),
        (&"empty".into(), &Value::Null)
    );
    assert_eq!(then["why"], "its selectors match no series");

    // To the ledger's explanation too, where no gated answers.
    daemon.kill();
    let gone = good(&explain(&house, &daemon, &[]));
    assert_eq!(decided(&gone), row);
    house.configure(&text);
    let plain = good(&explain(&house, &daemon, &[]));
    assert_eq!(
        plain,
        parts(&gone).0,
        "without [journal] nothing is said of it"
    );
    assert_eq!(json(&house, &daemon, &[]).0["minutes"], Value::Null);
}

#[test]
fn why_there_are_no_minutes_is_a_sentence() {
    let exporter = Exporter::start(false);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let text = |version| config(&[&exporter.url()], &receiver.url(), &told(version)) + JOURNAL;
    let (own, others) = (text("2"), text("3"));
    let (house, other) = (House::new(&own, RULES), House::new(&others, RULES));
    let (mut daemon, mut stranger) = (house.start(), other.start());
    daemon.wait_for("green");
    stranger.wait_for("green");
    exporter.set(true);
    let decision = |it: &Daemon| it.decisions().into_iter().find(|it| it["do"] == "rollback");
    eventually("both deliveries", || receiver.taken() == 2);
    let id = decision(&daemon).unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    eventually("the decision in the journal", || {
        parts(&good(&explain(&house, &daemon, &[&id])))
            .1
            .contains("delivered to")
    });
    // More of both after it.
    let size = |it: &Daemon| it.metric("gated_journal_bytes").unwrap();
    let before = [&daemon, &stranger].map(size);
    eventually("blocks after it", || {
        size(&daemon) > before[0] && size(&stranger) > before[1]
    });
    for daemon in [&mut daemon, &mut stranger] {
        daemon.signal("TERM");
        daemon.ended();
    }
    let first = house.path("journal/000001-000000.journal");
    let whole = fs::read(&first).unwrap();
    // Another life of the same gated: what it records is from later.
    let daemon = house.start();
    daemon.wait_for("red");
    eventually("its journal", || {
        house.path("journal/000002-000000.journal").exists()
    });

    let page = good(&explain(&house, &daemon, &[&id]));
    assert!(decided(&page).contains("decided: rollback"), "{page}");
    let plain = parts(&page).0;
    // Its second life's journal lies in the folder too, where that is said.
    let says = |first: Option<&[u8]>, with_second: bool, what: &[&str]| {
        let folder = house.path("copy");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        if let Some(bytes) = first {
            fs::write(folder.join("000001-000000.journal"), bytes).unwrap();
        }
        if with_second {
            let name = "000002-000000.journal";
            fs::copy(house.path("journal").join(name), folder.join(name)).unwrap();
        }
        house.configure(&own.replace("\"journal\"", "\"copy\""));
        let text = good(&explain(&house, &daemon, &[&id]));
        let (rest, said) = parts(&text);
        for what in what {
            assert!(said.contains(what), "{what}: {text}");
        }
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(rest, plain);
        let (document, note) = json(&house, &daemon, &[&id]);
        assert_eq!(document["minutes"], Value::Null);
        assert!(note.contains(what[0]), "{note}");
    };
    let mut damaged = whole.clone();
    damaged[whole.len() / 8] ^= 0x55;
    let nothing = "the journal in copy has nothing of that time";
    let another = "the journal in copy does not come to this decision: ";
    says(
        Some(&damaged),
        false,
        &[nothing, ": copy/000001", "damaged at byte"],
    );
    says(Some(&damaged), true, &[another, "damaged at byte"]);
    says(
        None,
        true,
        &["the journal in copy does not reach back to it: it begins at "],
    );
    says(None, false, &["there is no journal in copy"]);
    let theirs = fs::read(other.path("journal/000001-000000.journal")).unwrap();
    says(Some(&theirs), false, &[another, "it is another gated's"]);
    let half = &whole[..whole.len() - 7];
    fs::write(house.path("copy/000001-000000.journal"), half).unwrap();
    let page = good(&explain(&house, &daemon, &[&id]));
    assert!(decided(&page).contains("decided: rollback"), "{page}");
    assert!(
        parts(&page).1.contains("are half a block and left out"),
        "{page}"
    );
}

/// One series of several, a bare expression and a Prometheus alert: each with the value that it was decided by.
#[test]
fn whatever_was_decided_is_drawn_with_its_value() {
    let target = FaultServer::always(Answer::Page(
        "# TYPE broken gauge\nbroken{part=\"a\"} 0\nbroken{part=\"b \u{1b}[2J\"} 5\n".into(),
    ));
    let people = r#"
[[phase.trigger]]
name = "bare"
expr = 'sum(broken) > 4'
do = "escalate"
"#;
    let rules = RULES
        .replace("max(broken)", "broken")
        .replace("for = \"200ms\"", "for = \"200ms\"\neach = true")
        .replace("\"rollback\"\nsev", "\"escalate\"\nsev");
    let alert = "groups:\n- name: parts\n  interval: 200ms\n  rules:\n  - alert: Parts\n    expr: max(broken) * 2 > 9\n    labels: {gated_do: escalate}\n";
    let begins = "version = \"2\"\nprevious_version = \"1\"";
    let text = config(&[&target.url()], "http://127.0.0.1:9/", begins) + JOURNAL;
    let text = text.replace("settle = \"0s\"", "settle = \"500ms\"");
    let house = House::new(&text, &(rules + people));
    fs::write(house.path("rules.yml"), alert).unwrap();
    let daemon = house.start();
    let triggers = ["breakage", "bare", "Parts"];
    let of = |name: &str| {
        daemon
            .decisions()
            .into_iter()
            .find(|it| it["trigger"] == name)
    };
    eventually("all decisions", || {
        triggers.iter().all(|it| of(it).is_some())
    });
    for (trigger, value, signal) in [
        ("breakage", 5.0, Value::from("broken")),
        ("bare", 5.0, Value::Null),
        ("Parts", 10.0, Value::Null),
    ] {
        let decision = of(trigger).unwrap();
        let id = decision["id"].as_str().unwrap();
        let mut minutes = Value::Null;
        eventually("its minutes", || {
            minutes = json(&house, &daemon, &[id]).0["minutes"].take();
            !minutes.is_null()
        });
        assert_eq!(minutes.as_array().unwrap().len(), 1);
        assert_eq!(minutes[0]["signal"], signal, "{trigger}");
        let then = reading_then(&minutes[0], &decision);
        assert_eq!(then["value"], decision["value"], "{trigger}: {then}");
        assert_eq!(
            (&then["value"], &then["held"]),
            (&value.into(), &true.into())
        );
        if trigger != "Parts" {
            // What is not judged yet is seen.
            let readings = minutes[0]["readings"].as_array().unwrap();
            let settled = |it: &Value| it["events"].to_string().contains("settled");
            let settled = readings.iter().position(settled).unwrap();
            assert!(readings[..settled].iter().any(|it| it["held"] == true));
        }
        let page = good(&explain(&house, &daemon, &[id]));
        assert!(decided(&page).contains("decided: escalate"), "{page}");
        assert!(
            !page.contains(|c: char| c.is_control() && c != '\n'),
            "{page:?}"
        );
    }
}
