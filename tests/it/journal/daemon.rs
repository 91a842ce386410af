//! The journal of the real daemon, replayed by the real command.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::binary::{
    Daemon, Exporter, House, RULES, Receiver, Said, config, eventually, gated, told,
};

pub const JOURNAL: &str = "[journal]\npath = \"journal\"\n";
/// What a backtest lists of a decision.
const KEYS: [&str; 10] = [
    "at",
    "do",
    "asked",
    "refused_by",
    "trigger",
    "rollout",
    "phase",
    "severity",
    "value",
    "condition",
];

/// A decision with these keys alone, as text.
fn line(decision: &Value) -> String {
    let keys = KEYS.iter().map(|key| {
        let value = decision.get(*key);
        let value = value.unwrap_or_else(|| panic!("no {key} in {decision}"));
        (*key, value)
    });
    serde_json::to_string(&keys.collect::<Vec<_>>()).unwrap()
}

fn lines(decisions: &[Value]) -> Vec<String> {
    decisions.iter().map(line).collect()
}

/// What a replay of a folder prints, as text.
fn backtest(journal: &Path, more: &[&str]) -> Output {
    let path = journal.to_str().unwrap();
    let mut command = gated(&["backtest", "--journal", path, "--format", "json"]);
    command.args(more).output().unwrap()
}

fn replayed(journal: &Path, more: &[&str]) -> (Vec<String>, String) {
    let output = backtest(journal, more);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    (lines(document["decisions"].as_array().unwrap()), said)
}

/// As the API lists them, oldest first.
fn decided(daemon: &Daemon) -> Vec<String> {
    let mut all = daemon.decisions();
    all.sort_by_key(|it| it["at"].as_str().unwrap().to_owned());
    lines(&all)
}

/// An error that goes to people as well, so that more than one thing is decided.
fn rules(share: &str) -> String {
    let people = r#"
[[phase.trigger]]
name = "people"
when = "broken > SHARE"
do = "escalate"
severity = "P2"
"#;
    RULES.to_owned() + &people.replace("SHARE", share)
}

#[test]
fn a_replay_decides_what_was_decided_over_a_reload_and_a_restart() {
    let exporter = Exporter::start(false);
    let receiver = Receiver::start(|number, _| Said::Status(if number == 0 { 503 } else { 200 }));
    let text = config(&[&exporter.url()], &receiver.url(), &told("2")) + JOURNAL;
    let house = House::new(&text, &rules("7"));
    let journal = house.path("journal");
    let checked = house.run(&["check", "config"]);
    assert!(checked.status.success(), "{checked:?}");
    house.run(&["--dry-run", "--skip-hooks", "--for", "1s"]);
    assert!(!journal.exists(), "what only looks makes no folder");

    let mut daemon = house.start();
    daemon.wait_for("green");
    house.rule(&rules("0"));
    daemon.signal("HUP");
    eventually("the reload", || daemon.log().contains("reloaded"));
    exporter.set(true);
    eventually("both decisions", || daemon.decisions().len() >= 2);
    eventually("the rollback's delivery", || receiver.taken() >= 1);
    daemon.get("/");
    let bearer = format!("authorization: Bearer {}\r\n", house.token());
    let freeze = r#"{"by":"ada","reason":"we look","for":"1h"}"#;
    let kind = "content-type: application/json\r\n";
    let frozen = daemon.ask("POST", "/api/v1/freeze", &(bearer + kind), freeze);
    assert_eq!(frozen.status, 200, "{frozen:?}");
    exporter.set(false);
    daemon.wait_for("green");
    assert!(daemon.metric("gated_journal_bytes").unwrap() > 0.0);
    assert_eq!(daemon.metric("gated_journal_failures_total"), Some(0.0));
    assert_eq!(daemon.metric("gated_journal_recording"), Some(1.0));
    daemon.signal("TERM");
    assert_eq!(daemon.ended().code(), Some(0));

    let mut daemon = house.start();
    daemon.wait_for("green");
    exporter.set(true);
    eventually("one more", || daemon.decisions().len() >= 3);
    exporter.set(false);
    daemon.wait_for("green");
    let live = decided(&daemon);
    daemon.signal("TERM");
    assert_eq!(daemon.ended().code(), Some(0));

    let (again, said) = replayed(&journal, &[]);
    assert_eq!((again, said.as_str()), (live, ""));
    let all = fs::read_dir(&journal).unwrap();
    for entry in all {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(&house.token()) && !text.contains("/hook"));
    }

    let expected = |more: &[&str]| {
        let output = backtest(&journal, &[&["--expect", "rollback"], more].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), said)
    };
    assert_eq!(expected(&[]).0, 0);
    // The rollback may not be the only one where something is missing in the middle.
    let mut all: Vec<_> = fs::read_dir(&journal).unwrap().collect();
    all.sort_by_key(|it| it.as_ref().unwrap().file_name());
    let first = all[0].as_ref().unwrap().path();
    let mut bytes = fs::read(&first).unwrap();
    let end = bytes.len() - 40;
    bytes[end] ^= 1;
    fs::write(&first, bytes).unwrap();
    let (code, said) = expected(&[]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("--expect cannot be answered: "), "{said}");
    assert!(said.contains("damaged at byte"), "{said}");
}

#[test]
fn other_rules_are_judged_as_if_armed() {
    let exporter = Exporter::start(false);
    let text = config(&[&exporter.url()], "http://127.0.0.1:9/", &told("2"));
    let text = text.replace("mode = \"armed\"", "mode = \"shadow\"") + JOURNAL;
    let house = House::new(&text, RULES);
    let mut daemon = house.start();
    daemon.wait_for("green");
    exporter.set(true);
    eventually("a decision", || !daemon.decisions().is_empty());
    let live = decided(&daemon);
    daemon.signal("TERM");
    assert_eq!(daemon.ended().code(), Some(0));
    let journal = house.path("journal");
    let (again, _) = replayed(&journal, &[]);
    assert_eq!(again, live);
    assert!(live[0].contains("[\"refused_by\",\"shadow\"]"), "{live:?}");

    let other = house.path("other.toml");
    let path = other.to_str().unwrap();
    fs::write(&other, RULES).unwrap();
    let (armed, said) = replayed(&journal, &["--rules", path]);
    assert_eq!((armed.len(), said.as_str()), (1, ""));
    assert!(armed[0].contains("[\"refused_by\",null]"), "{armed:?}");
    fs::write(&other, RULES.replace("> 0", "> 1")).unwrap();
    let (calm, _) = replayed(&journal, &["--rules", path]);
    assert_eq!(calm, [""; 0]);
    let printed = |more: &[&str]| {
        let mut all = vec!["backtest", "--journal", journal.to_str().unwrap()];
        all.extend(more);
        let output = gated(&all).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let compared = printed(&["--compare", path]);
    assert!(compared.contains("the rules of then"), "{compared}");
    let page = printed(&["--format", "html"]);
    assert!(page.contains("<svg") && page.contains("breakage"), "{page}");
    fs::write(&other, RULES.replace("max(broken)", "max(fixed)")).unwrap();
    let (_, said) = replayed(&journal, &["--rules", path]);
    assert!(said.contains("the journal has no `fixed`"), "{said}");
    let none = backtest(&house.path("nowhere"), &[]);
    let said = String::from_utf8(none.stderr).unwrap();
    assert_eq!(none.status.code(), Some(2), "{said}");
    assert!(said.contains("nowhere cannot be read"), "{said}");
}

/// Killed in the middle, everything up to a moment before is there.
#[test]
fn a_kill_leaves_a_journal_that_can_be_read() {
    let exporter = Exporter::start(true);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let text = config(&[&exporter.url()], &receiver.url(), &told("2")) + JOURNAL;
    let house = House::new(&text, RULES);
    let mut daemon = house.start();
    eventually("the decision", || !daemon.decisions().is_empty());
    let live = decided(&daemon);
    let size = || daemon.metric("gated_journal_bytes").unwrap();
    let before = size();
    eventually("blocks after it", || size() > before + 200.0);
    daemon.kill();
    let (again, said) = replayed(&house.path("journal"), &[]);
    assert_eq!(again, live);
    assert!(said.contains("gated was killed"), "{said}");
    let daemon = house.start();
    eventually("another run", || size_of(&daemon) > 0.0);
    let (both, _) = replayed(&house.path("journal"), &[]);
    assert_eq!(both[..live.len()], live);
}

fn size_of(daemon: &Daemon) -> f64 {
    daemon.metric("gated_journal_bytes").unwrap_or_default()
}

#[test]
fn a_journal_belongs_to_one_gated() {
    let exporter = Exporter::start(false);
    let shared = tempfile::tempdir().unwrap();
    let journal = format!("[journal]\npath = {:?}\n", shared.path());
    let text = config(&[&exporter.url()], "http://127.0.0.1:9/", &told("2")) + &journal;
    let (first, second) = (House::new(&text, RULES), House::new(&text, RULES));
    let daemon = first.start();
    let mut refused = second.spawn();
    assert_eq!(refused.ended().code(), Some(5), "{}", refused.log());
    let log = refused.log();
    let process = format!("is written by another gated (process {})", daemon.id());
    assert!(log.contains(&process), "{log}");
}

/// A folder that cannot be written takes nothing else along.
#[test]
fn a_folder_that_is_removed_under_it_is_said_counted_and_made_anew() {
    let exporter = Exporter::start(false);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let text = config(&[&exporter.url()], &receiver.url(), &told("2")) + JOURNAL;
    let house = House::new(&text, &rules("0.5"));
    let daemon = house.start();
    let folder = house.path("journal");
    let segments = || {
        let files = fs::read_dir(&folder).into_iter().flatten().flatten();
        files
            .filter(|it| it.path().extension().is_some_and(|it| it == "journal"))
            .count()
    };
    eventually("a segment", || segments() > 0);
    fs::remove_dir_all(&folder).unwrap();
    eventually("the loss on /metrics", || {
        daemon.metric("gated_journal_failures_total") == Some(1.0)
    });
    eventually("another segment", || {
        segments() > 0 && daemon.metric("gated_journal_recording") == Some(1.0)
    });
    assert!(
        daemon.log().contains("somebody removed the segment"),
        "{}",
        daemon.log()
    );
}

#[test]
fn a_journal_that_cannot_be_written_is_said_and_counted() {
    let exporter = Exporter::start(true);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let text = config(&[&exporter.url()], &receiver.url(), &told("2")) + JOURNAL;
    let house = House::new(&text, RULES);
    fs::write(house.path("journal"), "a file is in its place").unwrap();
    let daemon = house.start();
    eventually("the decision", || !daemon.decisions().is_empty());
    assert_eq!(daemon.metric("gated_journal_failures_total"), Some(1.0));
    assert_eq!(daemon.metric("gated_journal_recording"), Some(0.0));
    assert!(daemon.log().contains("the journal cannot be written"));
    fs::remove_file(house.path("journal")).unwrap();
    eventually("the journal", || {
        daemon.metric("gated_journal_recording") == Some(1.0)
    });
    assert!(daemon.log().contains("the journal is written again"));
    let (_, said) = replayed(&house.path("journal"), &[]);
    assert!(said.contains("begins anew"), "{said}");
    // What is decided from here on is in it; that it began late is said.
    exporter.set(false);
    daemon.wait_for("green");
    exporter.set(true);
    eventually("another decision", || daemon.decisions().len() >= 2);
    let address = daemon.address().to_string();
    eventually("its minutes", || {
        let page = house.run(&["explain", "--listen", &address]).stdout;
        let page = String::from_utf8(page).unwrap();
        page.contains("◆ ") && page.contains("on, where the journal begins anew: ")
    });
}

#[test]
fn the_demo_replayed_decides_what_it_decided() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let path = journal.to_str().unwrap();
    let output = folder.path().join("screen");
    let screen = fs::File::create(&output).unwrap();
    let demo = gated(&["demo", "--keep", "--journal", path])
        .stdout(screen)
        .spawn()
        .unwrap();
    let shown = || fs::read_to_string(&output).unwrap();
    let mut rounds = 0;
    while !shown().contains("until you press Ctrl-C") {
        std::thread::sleep(std::time::Duration::from_millis(100));
        rounds += 1;
        assert!(rounds < 1800, "{}", shown());
    }
    let page = shown();
    let (_, address) = page.split_once("http://").unwrap();
    let (address, _) = address.split_once('/').unwrap();
    let mut daemon = Daemon::of(demo, output.clone(), address.parse().unwrap());
    let live = decided(&daemon);
    daemon.signal("INT");
    assert_eq!(daemon.ended().code(), Some(0), "{}", shown());
    assert!(live.iter().any(|it| it.contains("rollback")), "{live:?}");
    let (again, said) = replayed(&journal, &[]);
    assert_eq!((again, said.as_str()), (live, ""));
}
