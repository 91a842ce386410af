//! Prometheus' rule files: those of the world load, and what is wrong with a file is told all at once, in its place.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::{expect, expect_file};
use gated::model::{Action, Severity};
use gated::runbook::{GroupRuleKind, Known, Source, load, load_knowing};

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
    expect![[r"
        4: `A` waits 10s and is looked at every 1m: it fires at the second look
        5: a range of 5s holds fewer than 3 scrapes at an interval of 5s: noise
        11: quantile value should be between 0 and 1, got 1.5
        11: `errors > 100%` is never true of a ratio
        11: `queue < 0` is never true of a count
    "]]
    .assert_eq(&(told.join("\n") + "\n"));
}

/// Warnings of one alert with this expression: what is marked, and what is said about it.
fn warnings(expr: &str, known: &Known<'_>) -> String {
    let indented = expr.replace('\n', "\n      ");
    let text = format!(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      {indented}\n  - record: rec\n    expr: up\n"
    );
    let (_, lints) = load_knowing(&[source("r.rules", &text)], &|_| None, known)
        .unwrap_or_else(|faults| panic!("{}", faults.render(false)));
    let told: Vec<String> = lints
        .faults
        .iter()
        .map(|it| {
            format!(
                "    {} | {} | {}",
                &text[it.span.clone()],
                it.message,
                it.help
            )
        })
        .collect();
    told.join("\n")
}

#[test]
fn thresholds_that_cannot_trip_and_shares_of_nothing() {
    let share = "sum(rate(errors_total[5m])) / sum(rate(requests_total[5m]))";
    let mut said = String::new();
    for expr in [
        "up > 1".to_owned(),
        "up < 0".to_owned(),
        "up == 2".to_owned(),
        "1 < up".to_owned(),
        "up >= 0".to_owned(),
        "count(up == 1) == 0".to_owned(),
        "count by (job) (up) < 1".to_owned(),
        "sum(rate(a_total[5m])) < 0".to_owned(),
        "100 * avg(up) > 100".to_owned(),
        "absent(up) > 1".to_owned(),
        "1 - avg by (job) (up) >= 1.5".to_owned(),
        "x > 1 and\nup == -1".to_owned(),
        format!("{share} > 0.01"),
        format!("100 * ({share}) > 5"),
        format!("1 - {share} < 0.999"),
        format!("max by (job) ({share}) >= 14.4 * 0.001"),
        // Nothing is said of these.
        "up == 0".to_owned(),
        "up != 1".to_owned(),
        "count(up == 0) > 0".to_owned(),
        "absent(up) == 1".to_owned(),
        "sum(up) / count(up) > 1".to_owned(),
        "x / y > 1".to_owned(),
        "count(x) == 0 or vector(0) == 0 unless count(x) > bool 0 == 3".to_owned(),
        "(count(x) or vector(0)) == 0".to_owned(),
        "delta(x[5m]) < 0".to_owned(),
        "x + y > 1".to_owned(),
        format!("{share} > 0.5"),
        format!("{share} > 0.01 and sum(rate(requests_total[5m])) > 1"),
        "sum(rate(a_seconds_sum[5m])) / sum(rate(a_seconds_count[5m])) > 0.01".to_owned(),
        "rate(cpu_seconds_total{mode=\"io\"}[5m]) / rate(cpu_seconds_total[5m]) > 0.01".to_owned(),
        "rate(a_total[5m]) / (rate(b_total[5m]) > 10) > 0.01".to_owned(),
        "rate(temperature[5m]) > 1".to_owned(),
    ] {
        let _ = writeln!(said, "{expr}\n{}", warnings(&expr, &Known::default()));
    }
    expect_file!["../data/prometheus_lints.txt"].assert_eq(&said);
}

#[test]
fn a_range_is_measured_by_the_job_that_may_hold_the_series() {
    let seconds = std::time::Duration::from_secs;
    let scrapes = vec![
        ("api".to_owned(), seconds(5)),
        ("slow".to_owned(), seconds(60)),
    ];
    let known = Known {
        scrapes,
        ..Known::default()
    };
    for (expr, expected) in [
        // A faster job may have it.
        ("rate(a_total[1m]) > 1", ""),
        (
            "rate(a_total[10s] offset 1h) > 1",
            "a_total[10s] | a range of 10s holds fewer than 3 scrapes at an interval of 5s: noise | write a range of 15s at least",
        ),
        (
            "1 < rate(a_total{job=\"slow\"}[1m])",
            "a_total{job=\"slow\"}[1m] | a range of 1m holds fewer than 3 scrapes at an interval of 1m of job `slow`: noise | write a range of 3m at least",
        ),
        ("rate(a_total{job=~\"api|slow\"}[1m]) > 1", ""),
        (
            "rate(a_total{job!=\"api\"}[1m]) > 1",
            "a_total{job!=\"api\"}[1m] | a range of 1m holds fewer than 3 scrapes at an interval of 1m of job `slow`: noise | write a range of 3m at least",
        ),
        // Who scrapes that is not known, and a rule records as often as it is evaluated.
        ("rate(a_total{job=\"elsewhere\"}[1s]) > 1", ""),
        ("max_over_time(rec[1s]) > 1", ""),
        ("max_over_time(x[30s:1s]) > 1", ""),
    ] {
        assert_eq!(warnings(expr, &known).trim(), expected, "{expr}");
    }
}

#[test]
fn a_fault_in_a_scalar_stands_where_it_is_written() {
    for (scalar, marked) in [
        ("|\n      foo == (\n      (\n      bar", "6:("),
        ("|\n      # up\n      up[5m]", "6:up[5m]"),
        ("|2\n        up +", "5:+"),
        (">-\n      sum(up\n      ) by job\n", "6:by"),
        (">\n      up\n\n      raet(x[5m])\n      + 1", "7:raet"),
        ("\"up{a=\\\"b\\\" c=\\\"d\\\"}\"", "4:c"),
        ("\"up\n      + raet(x)\"", "5:raet"),
        ("'up{a=''b''} raet'", "4:raet"),
        ("up{a=\"b\"}\n      raet", "5:raet"),
        ("up{a=\"b\" c=\"d\"} # raet", "4:c"),
    ] {
        let text = format!(
            "groups:\n- name: g\n  rules:\n  - expr: {scalar}\n    record: b\n  - alert: raet\n    expr: up\n"
        );
        let faults = load(&[source("r.yml", &text)]).expect_err(scalar);
        let first = &faults.faults[0];
        let found = format!(
            "{}:{}",
            first.line(&faults.sources),
            &text[first.span.clone()]
        );
        assert_eq!(found, marked, "{text}");
    }
}

/// In our words, and in the line where it goes wrong.
#[test]
fn what_the_yaml_parser_says_is_translated() {
    let rule = "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: ";
    let mut said = String::new();
    for text in [
        "groups:\n- name: a\n  name: b\n".to_owned(),
        "groups:\n- name: a\n\trules: []\n".to_owned(),
        "groups: []\n---\ngroups: []\n".to_owned(),
        "groups:\n- name: a\n   rules: []\n".to_owned(),
        "groups:\n- name: a\n  limit: 1e999999\n".to_owned(),
        "groups:\n- name: a\n  limit: !!int x\n".to_owned(),
        "groups: [\n".to_owned(),
        format!("{rule}*up\n"),
        format!("{rule}{{{{ x }}}}\n"),
        format!("{rule}\"up\n"),
        format!("{rule}\"\\d\"\n"),
        format!("{rule}@x\n"),
        format!("{rule}%x\n"),
        format!("{rule}`x`\n"),
        format!("{rule}a: b\n"),
    ] {
        let faults = load(&[source("r.yml", &text)]).expect_err(&text);
        for fault in &faults.faults {
            let line = fault.line(&faults.sources);
            let marked = &text[fault.span.clone()];
            let _ = writeln!(
                said,
                "{line}: {marked:?} | {} | {}",
                fault.message, fault.help
            );
        }
        let shown = faults.render(false);
        assert!(
            !["Options", "from_str", "Error "]
                .iter()
                .any(|it| shown.contains(it)),
            "{shown}"
        );
    }
    expect_file!["../data/yaml_faults.txt"].assert_eq(&said);
}

/// Each level stands for ten of the one before.
#[test]
fn aliases_that_stand_for_too_much_are_refused_soon() {
    let mut text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, of) in ["b", "c", "d", "e", "f", "g", "h"]
        .iter()
        .zip("abcdefg".chars())
    {
        let list = vec![format!("*{of}"); 10].join(",");
        let _ = writeln!(text, "{name}: &{name} [{list}]");
    }
    let faults = load(&[source("r.yml", &text)]).unwrap_err();
    assert_eq!(
        faults.faults[0].message,
        "the aliases of this file stand for too much"
    );
}

#[test]
fn long_expressions_that_people_write_load() {
    let regex = (0..900)
        .map(|it| format!("service-{it}"))
        .collect::<Vec<_>>()
        .join("|");
    let window = "(job:errors:ratio_rate5m{job=\"a\"} > (14.4 * 0.001) and job:errors:ratio_rate1h{job=\"a\"} > (14.4 * 0.001))";
    let windows = vec![window; 24].join("\n or ");
    for expr in [
        format!("sum(rate(x_total{{service=~\"{regex}\"}}[5m])) > 1"),
        windows,
        "avg_over_time(up[30d:1m]) < 0.999".to_owned(),
    ] {
        assert_eq!(warnings(&expr, &Known::default()), "", "{expr}");
    }
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
