//! Where a backtest's answer is less than it seems, it says so, and `--expect` does not take silence for calm.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Output;

use gated::run::rule_test;
use serde_json::Value;
use tempfile::TempDir;

use super::command::said;
use crate::binary::gated;

/// 2026-04-01T00:00:00Z
const BEGAN: i64 = 1_775_001_600;
const RULES: &str = r#"clock = "rollout"
[signals.error_rate]
expr = 'sum(rate(http_requests_total{job="api",status="500"}[30s])) / sum(rate(http_requests_total{job="api"}[30s]))'
unit = "ratio"
[signals.cpu]
expr = 'max(cpu{job="api"})'
unit = "ratio"
[[phase]]
name = "watch"
from = "0s"
rollback = "armed"
[[phase.trigger]]
name = "errors"
when = "error_rate > 5%"
for = "30s"
do = "rollback"
severity = "P1"
[[phase.trigger]]
name = "busy"
when = "cpu > 90%"
for = "30s"
do = "rollback"
severity = "P1"
"#;

/// A folder with rules and recordings.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn put(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn backtest(&self, rules: &str, more: &[&str]) -> Output {
        let rules = self.put("rules.toml", rules);
        let mut arguments = vec!["--rules", &rules, "backtest"];
        arguments.extend(more);
        let mut command = gated(&arguments);
        command.current_dir(self.0.path()).output().unwrap()
    }

    fn decisions(&self, rules: &str, more: &[&str]) -> Vec<(String, String)> {
        let output = self.backtest(rules, &[more, &["--format", "json"]].concat());
        let (_, out, errors) = said(&output);
        let document: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{errors}"));
        let text = |it: &Value| it.as_str().unwrap().to_owned();
        let all = document["decisions"].as_array().unwrap().iter();
        all.map(|it| (text(&it["do"]), text(&it["at"]))).collect()
    }
}

/// A quarter of the requests fail in the minutes that `bad` is for; a scrape every 5 s of three instances.
fn recorded(minutes: i64, bad: impl Fn(f64) -> bool, shows: impl Fn(&str, f64) -> bool) -> String {
    let mut text = String::new();
    for instance in ["a", "b", "c"] {
        for (head, good, broken) in [
            ("http_requests_total", 100, 75),
            ("http_requests_total_500", 0, 25),
            ("cpu", 0, 0),
            ("up", 0, 0),
        ] {
            let (name, status) = match head {
                "http_requests_total" => (head, ",status=\"200\""),
                "http_requests_total_500" => ("http_requests_total", ",status=\"500\""),
                other => (other, ""),
            };
            let mut count = 1000;
            for second in (0..minutes * 60).step_by(5) {
                #[allow(clippy::cast_precision_loss, reason = "a few hours")]
                let minute = second as f64 / 60.0;
                count += if bad(minute) { broken } else { good };
                let value = match head {
                    "cpu" => "0.2".to_owned(),
                    "up" => "1".to_owned(),
                    _ => count.to_string(),
                };
                if shows(instance, minute) && shows(head, minute) {
                    let labels = format!("job=\"api\",instance=\"{instance}\"{status}");
                    writeln!(text, "{name}{{{labels}}} {value} {}", BEGAN + second).unwrap();
                }
            }
        }
    }
    text + "# EOF\n"
}

fn at(minute: i64) -> String {
    (BEGAN + minute * 60).to_string()
}

const ALL: fn(&str, f64) -> bool = |_, _| true;

/// What stands at `--start` is what became of all that was before.
#[test]
fn a_later_start_changes_no_decision() {
    let desk = Desk::new();
    // Broken before the rollout of minute 20, healed a little after it, and broken again.
    let text = recorded(60, |minute| !(23.0..36.0).contains(&minute), ALL);
    let file = desk.put("sick.om", &text);
    let rollout = format!("2@{}", at(20));
    let long = RULES.replace("for = \"30s\"", "for = \"15m\"");
    for rules in [RULES, &long] {
        let named = ["--openmetrics", &file, "--rollout", &rollout];
        let whole = desk.decisions(rules, &named);
        assert!(!whole.is_empty());
        for minute in [20, 26, 34, 40, 49] {
            let start = at(minute);
            let late = desk.decisions(rules, &[&named[..], &["--start", &start]].concat());
            let from = start
                .parse::<gated::model::Timestamp>()
                .unwrap()
                .to_string();
            let rest: Vec<_> = whole.iter().filter(|it| it.1 >= from).cloned().collect();
            assert_eq!(late, rest, "from minute {minute}");
        }
    }
}

/// Samples tell of a rollout wherever it lies before `--start`.
#[test]
fn a_rollout_that_is_inferred_is_found_before_the_start() {
    let desk = Desk::new();
    let mut text = recorded(60, |minute| minute >= 50.0, ALL).replace("# EOF\n", "");
    for second in (0..3600).step_by(5) {
        let version = if second < 1200 { "1" } else { "2" };
        for instance in ["a", "b", "c"] {
            let labels = format!("job=\"api\",instance=\"{instance}\",version=\"{version}\"");
            writeln!(text, "app_build_info{{{labels}}} 1 {}", BEGAN + second).unwrap();
        }
    }
    let file = desk.put("told.om", &(text + "# EOF\n"));
    let config = desk.put(
        "gated.toml",
        "[service]\nname = \"api\"\n[rollout]\nversion_from = \"app_build_info\"\n[[scrape]]\njob = \"api\"\ntargets = [\"http://127.0.0.1:9/metrics\"]\n",
    );
    let start = at(48);
    let named = [
        "--config",
        &config,
        "--openmetrics",
        &file,
        "--start",
        &start,
    ];
    let decided = desk.decisions(RULES, &named);
    assert_eq!(decided.len(), 1, "{decided:?}");
    assert_eq!(decided[0].0, "rollback");
}

#[test]
fn nothing_is_as_expected_where_nothing_was_judged() {
    let desk = Desk::new();
    let file = desk.put("calm.om", &recorded(30, |_| false, ALL));
    let rollout = format!("2@{}", at(20));
    let named = ["--openmetrics", &file, "--rollout", &rollout];
    let judged = |more: &[&str]| said(&desk.backtest(RULES, &[&named[..], more].concat()));
    assert_eq!(judged(&["--expect", "none"]).0, 0);
    let end = (BEGAN + 1220).to_string();
    let (code, _, errors) = judged(&["--end", &end, "--expect", "none"]);
    assert_eq!(code, 2, "{errors}");
    assert!(
        errors.contains("the rollout was settling until the end"),
        "{errors}"
    );
    let (code, out, _) = judged(&["--end", &(BEGAN + 1250).to_string()]);
    assert_eq!(code, 0);
    let few = "conditions were judged for 20s alone, and every one must hold for 30s or more";
    assert!(out.contains(few), "{out}");
    // A test beside the rules says no less.
    let rules = desk.path("rules.toml");
    let block = |end: &str, expect: &str| {
        let text = format!(
            "rule_files: [{}]\ntests:\n- name: one\n  backtest:\n    openmetrics: {file}\n    rollouts: [{{at: 20m, version: 2}}]\n    end: {end}\n    expect: {expect}\n",
            rules.display()
        );
        let file = desk.path("t.yml");
        fs::write(&file, text).unwrap();
        let report = rule_test::report(&rule_test::run(&[file], None, &|_| None));
        (report.code, report.text)
    };
    for (end, expect, code) in [
        ("30m", "none", 0),
        ("20m20s", "none", 1),
        ("30m", "[{at: 25m, decisions: []}]", 0),
        (
            "30m",
            "[{at: 10m, decisions: []}, {at: 25m, decisions: []}]",
            0,
        ),
        (
            "30m",
            "[{at: 10m, decisions: []}, {at: 20m10s, decisions: []}]",
            1,
        ),
        ("30m", "[{at: 10m, verdict: unknown}]", 0),
    ] {
        let (got, text) = block(end, expect);
        assert_eq!(got, code, "{end} {expect}\n{text}");
        assert_eq!(text.contains("nothing was judged"), code == 1, "{text}");
    }
}

/// Exit 0, and what is said of what was looked at: on the page and, where that is for a machine, beside it.
fn doubted(desk: &Desk, rules: &str, more: &[&str], doubt: &str) {
    let (code, out, errors) = said(&desk.backtest(rules, more));
    assert_eq!((code, errors.as_str()), (0, ""), "{out}");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&out).contains(doubt), "{doubt}\n{out}");
    let (code, out, errors) = said(&desk.backtest(rules, &[more, &["--format", "json"]].concat()));
    assert_eq!(code, 0);
    serde_json::from_str::<Value>(&out).unwrap();
    assert!(errors.contains(&format!("warning: {doubt}")), "{errors}");
}

#[test]
fn what_makes_the_outcome_doubtful_is_said_in_every_format() {
    let desk = Desk::new();
    let bad = |minute: f64| minute >= 22.0;
    let file = desk.put("bad.om", &recorded(30, bad, ALL));
    let rollout = format!("2@{}", at(20));
    let named = ["--openmetrics", &file, "--rollout", &rollout];
    doubted(
        &desk,
        RULES,
        &named[..2],
        "no phase of the rules was active",
    );
    // A name that is mistaken is calm for ever, where `empty` says so.
    let typo = RULES
        .replace("job=\"api\",status", "job=\"apii\",status")
        .replace(
            "http_requests_total{job=\"api\"}",
            "http_requests_total{job=\"apii\"}",
        )
        .replace("[signals.cpu]", "empty = 0\n[signals.cpu]");
    doubted(
        &desk,
        &typo,
        &named,
        "error_rate looked at nothing: its selectors match no series",
    );
    let bare = RULES.replace(
        "when = \"cpu > 90%\"",
        "expr = 'max(cpuu{job=\"api\"}) > 0.9'",
    );
    doubted(
        &desk,
        &bare,
        &named,
        "busy looked at nothing: its selectors match no series",
    );
    let (code, _, errors) =
        said(&desk.backtest(RULES, &[&named[..], &["--format", "json"]].concat()));
    assert_eq!(
        (code, errors.as_str()),
        (0, ""),
        "an ordinary outcome leaves no doubt"
    );
    let other = desk.put("typo.toml", &typo);
    for more in [["--compare", &other], ["--sweep", "error_rate=5%..6%"]] {
        let rules = if more[0] == "--compare" { RULES } else { &typo };
        let (code, _, errors) = said(&desk.backtest(rules, &[&named[..], &more].concat()));
        assert_eq!(code, 0);
        assert!(
            errors.starts_with("warning: error_rate looked at nothing"),
            "{errors}"
        );
    }
    // What was not recorded is no silence of the service.
    let end = at(50);
    let doubt = "nothing is recorded after 2026-04-01 00:29:55: the time until 2026-04-01 00:50:00 was not looked at";
    doubted(
        &desk,
        RULES,
        &[&named[..], &["--end", &end]].concat(),
        doubt,
    );
    let calm = desk.put("calm.om", &recorded(30, |_| false, ALL));
    let named = ["--openmetrics", &calm, "--rollout", &rollout, "--end", &end];
    let (code, _, errors) =
        said(&desk.backtest(RULES, &[&named[..], &["--expect", "none"]].concat()));
    assert_eq!((code, errors.as_str()), (0, ""));
    // Instances that end without a word may have failed or been removed.
    let ends = |name: &str, minute: f64| name != "up" && (name != "b" || minute < 25.0);
    let file = desk.put("ends.om", &recorded(30, |_| false, ends));
    let named = ["--openmetrics", &file, "--rollout", &rollout];
    doubted(
        &desk,
        RULES,
        &named,
        "no `up` of b is recorded: they end before the recording does",
    );
    let ends = |name: &str, minute: f64| name != "b" || minute < 25.0;
    desk.put("ends.om", &recorded(30, |_| false, ends));
    let (_, out, _) = said(&desk.backtest(RULES, &named));
    assert!(!out.contains("no `up`"), "{out}");
}

#[test]
fn two_sets_of_rules_differ_in_all_that_people_would_notice() {
    let desk = Desk::new();
    let file = desk.put("bad.om", &recorded(30, |minute| minute >= 22.0, ALL));
    let rollout = format!("2@{}", at(20));
    for (other, differs) in [
        (RULES.to_owned(), ""),
        (RULES.replace("\"P1\"", "\"P4\""), "P4 instead of P1"),
        (RULES.replace("\"watch\"", "\"bake\""), "in bake"),
        (RULES.replace("30s\"\ndo", "40s\"\ndo"), "10s later"),
    ] {
        let other = desk.put("other.toml", &other);
        let named = [
            "--openmetrics",
            &file,
            "--rollout",
            &rollout,
            "--compare",
            &other,
        ];
        let (_, out, _) = said(&desk.backtest(RULES, &named));
        let line = out.lines().find(|it| it.contains("errors")).unwrap();
        assert!(line.trim_end().ends_with(differs), "{differs}: {out}");
        let (_, out, _) =
            said(&desk.backtest(RULES, &[&named[..], &["--format", "json"]].concat()));
        let document: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(document["same_decisions"], differs.is_empty(), "{differs}");
    }
}

#[test]
fn what_is_in_shadow_is_named_where_it_was_expected_and_swept_as_if_live() {
    let desk = Desk::new();
    let file = desk.put("bad.om", &recorded(30, |minute| minute >= 22.0, ALL));
    let rollout = format!("2@{}", at(20));
    let named = ["--openmetrics", &file, "--rollout", &rollout];
    let shadow = format!("mode = \"shadow\"\n{RULES}");
    let trigger = RULES.replace(
        "when = \"error_rate",
        "mode = \"shadow\"\nwhen = \"error_rate",
    );
    for rules in [&shadow, &trigger] {
        let (code, _, errors) =
            said(&desk.backtest(rules, &[&named[..], &["--expect", "rollback"]].concat()));
        assert_eq!(code, 1, "{errors}");
        assert!(errors.contains("decided: nothing\n"), "{errors}");
        assert!(errors.contains("in shadow"), "{errors}");
        let sweep = [&named[..], &["--sweep", "error_rate=5%..30%"]].concat();
        let (code, swept, _) = said(&desk.backtest(rules, &sweep));
        assert_eq!(code, 0);
        assert_eq!(swept, said(&desk.backtest(RULES, &sweep)).1);
        assert!(swept.contains("00:2"), "{swept}");
    }
}

/// Prometheus' end of a series is a value that is no number in an export, whatever the series is called.
#[test]
fn a_series_that_ends_for_a_scrape_hides_no_rollback() {
    let desk = Desk::new();
    let text = recorded(30, |minute| minute >= 22.0, ALL);
    let rules = RULES.replace("http_requests_total", "http_requests");
    let mut lines = Vec::new();
    for line in text.replace("http_requests_total", "http_requests").lines() {
        let (head, second) = line.rsplit_once(' ').unwrap();
        let flickers = head.contains("instance=\"b\",status=\"500\"");
        match second.parse::<i64>() {
            // One in four scrapes.
            Ok(second) if flickers && second >= BEGAN + 1260 && (second / 5) % 4 == 0 => {
                let (head, _) = head.rsplit_once(' ').unwrap();
                lines.push(format!("{head} NaN {second}"));
            }
            _ => lines.push(line.to_owned()),
        }
    }
    let file = desk.put("flickers.om", &(lines.join("\n") + "\n"));
    let rollout = format!("2@{}", at(20));
    let named = ["--openmetrics", &file, "--rollout", &rollout];
    let decided = desk.decisions(&rules, &named);
    assert_eq!(decided.len(), 1, "{decided:?}");
    assert_eq!(decided[0].0, "rollback");
    assert!(decided[0].1.as_str() < "2026-04-01T00:23:00", "{decided:?}");
}
