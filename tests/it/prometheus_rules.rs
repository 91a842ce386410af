//! Prometheus' rule files: those of the world load, and what is wrong with a file is told all at once, in its place.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::{expect, expect_file};
use gated::model::{Action, Severity};
use gated::runbook::{GroupRuleKind, Source, load};

fn source(path: &str, text: &str) -> Source {
    Source {
        path: path.into(),
        text: text.into(),
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[test]
fn the_worlds_rule_files_load() {
    let (mut groups, mut alerts, mut records) = (0, 0, 0);
    let folders = ["prometheus_rules", "unittest/rules", "alert_generator"];
    for path in folders.into_iter().flat_map(files) {
        if path.extension().is_some_and(|it| it == "md") {
            continue;
        }
        let name = format!("{}.yml", path.file_stem().unwrap().display());
        let rules = load(&[source(&name, &fs::read_to_string(&path).unwrap())])
            .unwrap_or_else(|faults| panic!("{}", faults.render(false)));
        groups += rules.groups.len();
        for rule in rules.groups.iter().flat_map(|group| &group.rules) {
            match rule.kind {
                GroupRuleKind::Record => records += 1,
                GroupRuleKind::Alert(_) => alerts += 1,
            }
        }
    }
    expect![[r"
        180 groups, 572 alerts, 138 recorded
    "]]
    .assert_eq(&format!(
        "{groups} groups, {alerts} alerts, {records} recorded\n"
    ));
}

fn faults(text: &str) -> String {
    match load(&[source("rules.yml", text)]) {
        Ok(_) => "no faults".to_owned(),
        Err(faults) => faults.render(false),
    }
}

#[test]
fn every_fault_of_a_file_is_told_in_its_place() {
    let text = r"groups:
- name: one
  intervall: 30s
  limit: many
  rules:
  - alert: A
    expr: rate(foo[5m]
    for: 5 minutes
    labels:
      gated_do: reboot
  - alert: B
    record: b
    expr: foo
  - record: c
    expr: |
      sum by (job) (
        rate(foo[5m])
      ) / nosuch(bar)
    for: 1m
  - expr: foo
  - alert: D
  - alert: E
    expr: up == 0
    labels: {__name__: x, severity: page}
  - alert: F
    expr: up == 0
    annotations:
      summary: '{{ $labels.instance }} of {{ nosuch }}'
      description: |
        It is {{ if $value }}
        open
  - alert: E
    expr: up == 0
    labels: {severity: page}
- name: one
- rules: []
- text
";
    expect_file!["../data/prometheus_faults.txt"].assert_eq(&(faults(text) + "\n"));
}

#[test]
fn what_is_no_yaml_is_told_where() {
    for (text, expected) in [
        ("groups:\n- name: a\n   rules: []\n", "rules.yml:3"),
        ("groups: [\n", "rules.yml:"),
        ("groups:\n- name: a\n  name: b\n", "rules.yml:3"),
        ("- a\n", "rules.yml:1"),
    ] {
        let told = faults(text);
        assert!(
            told.contains(expected) && told.contains("help"),
            "{text}\n{told}"
        );
    }
    assert_eq!(faults(""), "no faults");
    assert_eq!(faults("groups:\n"), "no faults");
}

#[test]
fn labels_say_how_bad_and_what_to_do() {
    let text = "groups:\n- name: g\n  labels: {severity: warning, team: a}\n  rules:\n  - alert: A\n    expr: 1\n    for: 1d12h\n    labels: {severity: critical, gated_do: rollback}\n  - alert: B\n    expr: 'true_metric'\n    labels: {team: 7}\n";
    let rules = load(&[source("r.yaml", text)]).unwrap_or_else(|it| panic!("{}", it.render(false)));
    let alerts: Vec<_> = rules.groups[0]
        .rules
        .iter()
        .map(|rule| match &rule.kind {
            GroupRuleKind::Alert(it) => {
                let team = rule.labels["team"].clone();
                (it.severity, it.action, it.hold.as_secs(), team)
            }
            GroupRuleKind::Record => unreachable!(),
        })
        .collect();
    assert_eq!(
        alerts,
        [
            (
                Some(Severity::P1),
                Some(Action::Rollback),
                36 * 3600,
                "a".to_owned()
            ),
            (Some(Severity::P2), None, 0, "7".to_owned()),
        ]
    );
}

/// The window keeps only what somebody asks for, and templates ask too.
#[test]
fn what_templates_ask_for_is_known() {
    let text = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up == 0\n    annotations:\n      a: '{{ query \"sum(rate(a{b=\\\"c\\\"}[5m]))\" | first | value }}'\n      b: '{{ with query `d offset 1h` }}{{ . | first | value }}{{ end }}'\n      c: '{{ printf \"x\" | query }}'\n      d: '{{ with printf `m{job=\"%s\",a=\"b\"}` $labels.job | query }}{{ end }}'\n      e: '{{ $q := \"sum(n)\" }}{{ query $q }}'\n";
    let rules = load(&[source("r.yml", text)]).unwrap_or_else(|it| panic!("{}", it.render(false)));
    let GroupRuleKind::Alert(alert) = &rules.groups[0].rules[0].kind else {
        unreachable!()
    };
    let asked: Vec<&str> = alert
        .queries
        .iter()
        .map(gated::promql::Expr::text)
        .collect();
    assert_eq!(
        asked,
        [
            "sum(rate(a{b=\"c\"}[5m]))",
            "d offset 1h",
            "x",
            "m{a=\"b\"}",
            "sum(n)"
        ]
    );
}

#[test]
fn what_is_likely_not_meant_is_warned_of() {
    let yaml = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: rate(temperature[5s]) > 1\n    for: 10s\n  - alert: B\n    expr: rate(calls_total[5m]) > 1\n    for: 5m\n  - record: c\n    expr: quantile(1.5, a)\n";
    let toml = r#"
[signals.errors]
expr = 'a / b'
unit = "ratio"
[signals.queue]
expr = 'queue'
unit = "count"
[[phase]]
name = "watch"
[[phase.trigger]]
name = "never"
when = "errors > 100% or queue < 0"
for = "1m"
do = "notify"
severity = "P3"
[[phase.trigger]]
name = "sometimes"
when = "errors >= 100% or queue <= 0"
for = "1m"
do = "notify"
severity = "P3"
"#;
    let sources = [source("r.yml", yaml), source("r.toml", toml)];
    let interval = Some(std::time::Duration::from_secs(5));
    let (_, lints) = gated::runbook::load_with(&sources, &|_| None, interval)
        .unwrap_or_else(|faults| panic!("{}", faults.render(false)));
    let told: Vec<String> = lints
        .faults
        .iter()
        .map(|it| format!("{}: {}", it.line(&lints.sources), it.message))
        .collect();
    expect![[r#"
        4: `A` waits 10s and is looked at every 1m: it fires at the second look
        5: a range of 5s holds fewer than 3 scrapes at an interval of 5s: noise
        5: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "temperature"
        11: quantile value should be between 0 and 1, got 1.5
        11: `errors > 100%` is never true of a ratio
        11: `queue < 0` is never true of a count
    "#]].assert_eq(&(told.join("\n") + "\n"));
}

/// A query that nobody can read before it is asked finds nothing, unless every series is kept.
#[test]
fn a_query_that_cannot_be_read_is_warned_of() {
    let text = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up == 0\n    annotations:\n      a: '{{ query \"up\" }}'\n      b: '{{ printf \"m{job=`%s`}\" $labels.job | query }}'\n      c: '{{ print \"m{job=`\" $labels.job \"`}\" | query }}'\n";
    let (_, lints) = gated::runbook::load_with(&[source("r.yml", text)], &|_| None, None)
        .unwrap_or_else(|faults| panic!("{}", faults.render(false)));
    let told: Vec<String> = lints
        .faults
        .iter()
        .map(|it| format!("{}: {}", it.line(&lints.sources), it.message))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("9: ") && told[0].contains("[window] retain"),
        "{told:?}"
    );
}
