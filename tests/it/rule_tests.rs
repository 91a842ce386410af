//! `gated test`: promtool's own unit tests, and those of the projects that write theirs for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::{expect, expect_file};
use gated::run::rule_test;

fn data(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(folder)
}

fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(data(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "yml"))
        .collect();
    files.sort();
    files
}

/// Every case passes but those that hold native histograms, which are refused by name.
#[test]
fn unit_tests_written_for_promtool_pass() {
    let mut shown = String::new();
    for path in files("unittest") {
        let outcomes = rule_test::run(std::slice::from_ref(&path), None, &|_| None);
        let outcome = &outcomes[0];
        let passed = outcome.tests.iter().filter(|it| it.failures.is_empty());
        let name = path.file_name().unwrap().to_str().unwrap();
        shown += &format!(
            "{name}: {} of {} passed\n",
            passed.count(),
            outcome.tests.len()
        );
        if let Some(why) = &outcome.refused {
            shown += &format!("  refused: {why}\n");
        }
        for test in outcome.tests.iter().filter(|it| !it.failures.is_empty()) {
            let first = |it: &String| it.lines().next().unwrap().to_owned();
            let failures: Vec<String> = test.failures.iter().map(first).collect();
            shown += &format!("  {}: {}\n", test.name, failures.join("; "));
        }
    }
    expect![[r"
        kubernetes_mixin_absent_alert.yml: 9 of 9 passed
        kubernetes_mixin_apiserver-availability.yml: 1 of 1 passed
        kubernetes_mixin_apps_alerts.yml: 3 of 3 passed
        kubernetes_mixin_kube_scheduler.yml: 4 of 4 passed
        kubernetes_mixin_kubelet.yml: 1 of 1 passed
        kubernetes_mixin_resource_alerts.yml: 3 of 3 passed
        kubernetes_mixin_rules-pod-owner.yml: 4 of 4 passed
        kubernetes_mixin_tests.yml: 39 of 39 passed
        prometheus_long_period.yml: 1 of 1 passed
        prometheus_no_test_group_interval.yml: 1 of 1 passed
        prometheus_unittest.yml: 3 of 4 passed
          prometheus_unittest#0: error: native histograms are not evaluated by gated
        thanos_examples.yml: 2 of 2 passed
    "]]
    .assert_eq(&shown);
}

#[test]
fn the_shipped_rules_do_what_their_tests_say() {
    let file = data("../scripts/rollout.yml");
    let outcomes = rule_test::run(&[file], None, &|_| None);
    let report = rule_test::report(&outcomes);
    assert_eq!(
        (report.code, outcomes[0].tests.len()),
        (0, 4),
        "{}",
        report.text
    );
}

/// What `--help` and the README teach runs, and passes.
#[test]
fn the_blocks_that_teach_pass() {
    let root = data("../..");
    let help = Command::new(env!("CARGO_BIN_EXE_gated"))
        .args(["test", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    for (text, indent) in [(help, "  "), (readme, "")] {
        let begin = format!("{indent}rule_files:");
        let lines = text.lines().skip_while(|line| !line.starts_with(&begin));
        let block = lines.take_while(|line| line.starts_with(indent) && !line.starts_with("```"));
        let block: Vec<&str> = block.map(|line| &line[indent.len()..]).collect();
        let rules = root.join("rules").display().to_string();
        let block = block.join("\n").replace("../rules", &rules);
        let (code, shown) = told(&block);
        assert_eq!(code, 0, "{block}\n{shown}");
        assert!(shown.contains("1 passed"), "{block}\n{shown}");
    }
}

/// Whole files are judged by how promtool exits.
#[test]
fn whole_files_exit_as_promtool_does() {
    let folders = fs::read_dir(data("unittest/whole")).unwrap();
    let mut judged = 0;
    for folder in folders.map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(folder.join("expected.json")).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
        let file = folder.join(expected["file"].as_str().unwrap());
        let report = rule_test::report(&rule_test::run(&[file], None, &|_| None));
        assert_eq!(expected["exit_zero"], report.code == 0, "{}", report.text);
        judged += 1;
    }
    assert_eq!(judged, 4);
}

/// What is said of one file of tests, beside rules that record `two` from `one` and fire on `one`; and the exit code.
fn told(text: &str) -> (u8, String) {
    let folder = tempfile::tempdir().unwrap();
    let rules = "groups:\n- name: two\n  rules:\n  - {record: two, expr: one * 2}\n  - {alert: Fires, expr: one > 1, labels: {severity: page}}\n- name: again\n  rules:\n  - {record: three, expr: two + 1}\n  - {alert: Fires, expr: one > 2, labels: {severity: page}}\n";
    fs::write(folder.path().join("rules.yml"), rules).unwrap();
    let file = folder.path().join("t.yml");
    fs::write(&file, text).unwrap();
    let report = rule_test::report(&rule_test::run(&[file], None, &|_| None));
    let shown = report.text.replace(folder.path().to_str().unwrap(), "…");
    (report.code, shown)
}

/// Tests that all have to pass, one file each.
fn pass(texts: &[&str]) {
    for text in texts {
        let (code, shown) = told(text);
        assert_eq!(code, 0, "{text}\n{shown}");
    }
}

#[test]
fn a_pattern_without_a_match_is_told_and_no_fault() {
    let text = "rule_files:\n- rules.yml\n- gone.yml\n- gone/*.yml\ntests:\n- name: one\n  promql_expr_test:\n  - {expr: one, eval_time: 1m}\n";
    let (code, shown) = told(text);
    assert_eq!(code, 0, "{shown}");
    expect![[r"
        …/t.yml
          warning: no file matches `gone.yml`
           --> …/t.yml:3:3
            |
          3 | - gone.yml
            |   ^^^^^^^^
            |
            = help: the tests run without its rules; patterns count from this file's folder

          warning: no file matches `gone/*.yml`
           --> …/t.yml:4:3
            |
          4 | - gone/*.yml
            |   ^^^^^^^^^^
            |
            = help: the tests run without its rules; patterns count from this file's folder
          ok      one
        1 passed, 0 failed
    "]]
    .assert_eq(&shown);
    let (code, shown) = told("rule_files: ['[a.yml']\n");
    assert_eq!(code, 2, "{shown}");
    expect![[r"
        …/t.yml
          FAILED: the file cannot be run
          error: `[a.yml` is no pattern: a bracket is not closed, or holds nothing
           --> …/t.yml:1:14
            |
          1 | rule_files: ['[a.yml']
            |              ^^^^^^^^
        0 passed, 0 failed, 1 file could not be run
    "]]
    .assert_eq(&shown);
}

#[test]
fn an_alert_that_comes_twice_is_marked_once() {
    let (code, shown) = told(
        r"
rule_files: [rules.yml]
tests:
- input_series:
  - {series: one, values: 5x3}
  alert_rule_test:
  - {eval_time: 1m, alertname: Fires, exp_alerts: [{exp_labels: {severity: page}}]}
",
    );
    assert_eq!(code, 1);
    expect![[r#"
        …/t.yml
          FAILED  (no name, line 4)
                  alert Fires at 1m (line 7)
                      {alertname="Fires",severity="page"}
                    + {alertname="Fires",severity="page"}
        0 passed, 1 failed
    "#]]
    .assert_eq(&shown);
}

#[test]
fn every_fault_of_a_file_has_its_place() {
    let (code, shown) = told(
        r#"
rule_file: [rules.yml]
evaluation_interval: soon
group_eval_order: [a, b, a]
fuzzy_compare: maybe
tests:
- nme: one
  interval: 1 minute
  start_timestamp: today
  input_series: {a: b}
  alert_rule_test:
  - eval_time: 5
    exp_alert: []
  promql_expr_test:
  - exp_samples:
    - {valu: 1}
  gated_test:
    setle: 5s
    rollouts:
    - {version: "2"}
    expect:
    - at: 5m
      verdict: g0
      status: gren
      decision: []
      decisions:
      - {do: rolback, refused_by: zzz, severity: p1}
"#,
    );
    assert_eq!(code, 2);
    expect_file!["../data/unittest_faults.txt"].assert_eq(&shown);
}

#[test]
fn what_is_no_yaml_has_its_place() {
    let (code, shown) = told("tests:\n- name: [\n");
    assert_eq!(code, 2);
    expect![[r"
        …/t.yml
          FAILED: the file cannot be run
          error: this bracket is never closed
           --> …/t.yml:2:9
            |
          2 | - name: [
            |         ^
            |
            = help: close it, or put the value in quotes
        0 passed, 0 failed, 1 file could not be run
    "]]
    .assert_eq(&shown);
    let (_, shown) = told("tests:\n- name: a\n  name: b\n");
    expect![[r"
        …/t.yml
          FAILED: the file cannot be run
          error: `name` stands here a second time
           --> …/t.yml:3:3
            |
          3 |   name: b
            |   ^^^^
            |
            = help: take one of them out
        0 passed, 0 failed, 1 file could not be run
    "]]
    .assert_eq(&shown);
}

/// As in promtool, the other tests of the file run.
#[test]
fn what_does_not_read_fails_its_own_test_with_its_place() {
    let (code, shown) = told(
        r#"
rule_files: [rules.yml]
tests:
- name: series
  input_series:
  - {series: 'one{', values: 1}
  - series: one
    values: 1 2 5x b
  - {series: h, values: '{{schema:1}}'}
- name: expressions
  input_series:
  - {series: one, values: 1x5}
  promql_expr_test:
  - expr: |
      one +
        tow(one)
    eval_time: 1m
  - {expr: '"text"'}
  - {expr: 'one[5m]'}
  - {expr: one, exp_samples: [{labels: 'one{', value: 1}, {labels: one, value: many}]}
  - {expr: one, exp_samples: [{labels: one, histogram: '{{schema:1}}'}]}
  - {expr: one, exp_samples: [{labels: one, value: 7}]}
- name: fine
"#,
    );
    assert_eq!(code, 1);
    expect![[r#"
        …/t.yml
          FAILED  series
                  error: `one{` is not a series: the braces are not closed
                   --> …/t.yml:6:15
                    |
                  6 |   - {series: 'one{', values: 1}
                    |               ^^^^

                  error: `5x` is no value; write 1, 1+2x3, _, _x3 or stale
                   --> …/t.yml:8:17
                    |
                  8 |     values: 1 2 5x b
                    |                 ^^

                  error: native histograms are not evaluated by gated
                   --> …/t.yml:9:26
                    |
                  9 |   - {series: h, values: '{{schema:1}}'}
                    |                          ^^^^^^^^^^^^
          FAILED  expressions
                  error: there is no function `tow`
                    --> …/t.yml:16:9
                     |
                  16 |         tow(one)
                     |         ^^^

                  error: a string is not a value to judge
                    --> …/t.yml:18:13
                     |
                  18 |   - {expr: '"text"'}
                     |             ^^^^^^

                  error: a range has many values; put a function around it, such as rate(…)
                    --> …/t.yml:19:13
                     |
                  19 |   - {expr: 'one[5m]'}
                     |             ^^^^^^^

                  error: `one{` is not a series: the braces are not closed
                    --> …/t.yml:20:40
                     |
                  20 |   - {expr: one, exp_samples: [{labels: 'one{', value: 1}, {labels: one, value: many}]}
                     |                                        ^^^^^^

                  error: `many` is no number
                    --> …/t.yml:20:80
                     |
                  20 |   - {expr: one, exp_samples: [{labels: 'one{', value: 1}, {labels: one, value: many}]}
                     |                                                                                ^^^^
                     |
                     = help: write 1, 2.5, 1e3, NaN or +Inf

                  error: native histograms are not evaluated by gated
                    --> …/t.yml:21:56
                     |
                  21 |   - {expr: one, exp_samples: [{labels: one, histogram: '{{schema:1}}'}]}
                     |                                                        ^^^^^^^^^^^^^^
                  one at 0s (line 22)
                    - one 7
                    + one 1
          ok      fine
        1 passed, 2 failed
    "#]].assert_eq(&shown);
}

#[test]
fn details_are_promtools() {
    pass(&[
        // An empty file, nulls for lists and nought for intervals.
        "",
        "rule_files:\ntests:\n- {interval: 0s, alert_rule_test: }\nevaluation_interval: 0s\n",
        // Omitted expectations mean none; a minute is the default, and an interval defaults to that of evaluations.
        "rule_files: [rules.yml]\ntests:\n- input_series: [{series: one, values: 0 0 5}]\n  alert_rule_test:\n  - {eval_time: 1m59s, alertname: Fires}\n  promql_expr_test:\n  - {expr: one > 1, eval_time: 1m59s}\n",
        "evaluation_interval: 20s\nrule_files: [rules.yml]\ntests:\n- input_series: [{series: one, values: 1 2 3}]\n  promql_expr_test:\n  - {expr: two, eval_time: 40s, exp_samples: [{labels: two, value: 6}]}\n",
        // Between evaluations the one before answers; alerts of one name are merged over groups; names may repeat.
        "rule_files: [rules.yml]\ntests:\n- name: n\n  input_series: [{series: one, values: 0 5}]\n  alert_rule_test:\n  - eval_time: 1m59s\n    alertname: Fires\n    exp_alerts: [{exp_labels: {severity: page}}, {exp_labels: {severity: page}}]\n- name: n\n",
        // What the order does not know is passed over; `again` before `two` sees the evaluation before.
        "rule_files: [rules.yml]\ngroup_eval_order: [gone, again, two]\ntests:\n- input_series: [{series: one, values: 1 2 3}]\n  promql_expr_test:\n  - {expr: three, eval_time: 2m, exp_samples: [{labels: three, value: 5}]}\n",
        // 0x10 is ten more zeros, as YAML's and as notation's; a value may be hexadecimal.
        "tests:\n- input_series: [{series: one, values: 0x10}, {series: n, values: NaN}, {series: s, values: 1 stale}, {series: i, values: '_x2 -5x2 Inf 1.5e3'}]\n  promql_expr_test:\n  - {expr: 'count_over_time(one[1h])', eval_time: 30m, exp_samples: [{value: 0xb}]}\n  - {expr: n, exp_samples: [{labels: n, value: NaN}]}\n  - {expr: n, exp_samples: [{labels: n, value: .nan}]}\n  - {expr: s, eval_time: 1m}\n  - {expr: i, eval_time: 1m}\n  - {expr: i, eval_time: 4m, exp_samples: [{labels: i, value: -5}]}\n  - {expr: i, eval_time: 5m, exp_samples: [{labels: i, value: .inf}]}\n  - {expr: i, eval_time: 6m, exp_samples: [{labels: i, value: 1500}]}\n",
        // A start in either spelling.
        "tests:\n- start_timestamp: 2026-12-01T00:00:00Z\n  promql_expr_test: [{expr: time(), eval_time: 5s, exp_samples: [{value: 1796083205}]}]\n- start_timestamp: 1796083200\n  promql_expr_test: [{expr: time(), eval_time: 5s, exp_samples: [{labels: '{}', value: 1796083205}]}]\n",
        "fuzzy_compare: true\ntests:\n- input_series: [{series: one, values: 2.9999999999999996}]\n  promql_expr_test: [{expr: one, exp_samples: [{labels: one, value: 3}]}]\n",
    ]);
}

/// The address and labels of a test reach the templates of rules.
#[test]
fn external_labels_and_address_reach_templates() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "groups:\n- name: a\n  rules:\n  - {alert: A, expr: vector(1), annotations: {a: '{{ externalURL }} {{ $externalLabels.region }}'}}\n";
    fs::write(folder.path().join("r.yml"), rules).unwrap();
    let file = folder.path().join("t.yml");
    fs::write(&file, "rule_files: [r.yml]\ntests:\n- external_url: http://p\n  external_labels: {region: eu}\n  alert_rule_test: [{alertname: A, exp_alerts: [{exp_annotations: {a: http://p eu}}]}]\n").unwrap();
    let report = rule_test::report(&rule_test::run(&[file], None, &|_| None));
    assert_eq!(report.code, 0, "{}", report.text);
}

/// A rule that fails ends its test, and is told once.
#[test]
fn a_rule_that_fails_ends_its_test() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "groups:\n- name: a\n  rules:\n  - {record: r, expr: 'a + on() b'}\n";
    fs::write(folder.path().join("r.yml"), rules).unwrap();
    let file = folder.path().join("t.yml");
    fs::write(&file, "rule_files: [r.yml]\ntests:\n- input_series:\n  - {series: 'a', values: 1x9}\n  - {series: 'b{x=\"1\"}', values: _ _ 1x9}\n  - {series: 'b{x=\"2\"}', values: _ _ 1x9}\n  promql_expr_test: [{expr: a, eval_time: 9m}]\n").unwrap();
    let outcomes = rule_test::run(&[file], None, &|_| None);
    let failures = &outcomes[0].tests[0].failures;
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(failures[0].contains("00:02:00"), "{failures:?}");
}

/// Rollouts in any order, and decisions beside those expected.
#[test]
fn a_block_that_fails_shows_decisions_in_their_order() {
    let (code, shown) = told(
        r#"
rule_files: [SHIPPED]
evaluation_interval: 5s
tests:
- name: one
  input_series:
  - series: http_requests_total{job="api",instance="a",status="200"}
    values: 0+500x60 30000+450x240
  - series: http_requests_total{job="api",instance="a",status="500"}
    values: 0x60 0+50x240
  gated_test:
    rollouts:
    - {at: 30m, version: "3.0"}
    - {at: 5m, version: "2.0"}
    expect:
    - at: 15m
      phase: ""
      verdict: go
      decisions:
      - {do: rollback, trigger: errors}
      - {do: escalate, trigger: errors-on-and-off}
    - at: 4m
      decisions: []
"#
        .replace(
            "SHIPPED",
            data("../../rules/rollout.toml").to_str().unwrap(),
        )
        .as_str(),
    );
    assert_eq!(code, 1);
    expect![[r#"
        …/t.yml
          FAILED  one
                  phase at 15m (line 16): canary, expected ""
                  verdict at 15m (line 16): no_go, expected go
                      errors: release_error_rate > 1%, now 10%
                      errors-on-and-off: release_error_rate_2m > 1%, now 10%
                      API latency p95: its selectors match no series
                      CPU utilization: its selectors match no series
                      Memory of the largest instance: its selectors match no series
                      latency: its selectors match no series
                      Share of failed requests is 10%, should be < 0.5%
                  decisions at 15m (line 16)
                      rollback trigger=errors severity=P1 phase=canary (errors: release_error_rate > 1% held for 30s, now 10%)
                    - escalate trigger=errors-on-and-off
                    + escalate trigger=errors-on-and-off refused_by=already_decided severity=P1 phase=canary (errors-on-and-off: release_error_rate_2m > 1% held for 3m, now 10%; no rollback: a rollback was already decided: dec_f531a4d06dd5e87f9234bd70a00e6f50)
                    + escalate trigger=blind:release_latency_p95 severity=P2 phase=canary (API latency p95 has had no value for 8m 30s: its selectors match no series)
        0 passed, 1 failed
    "#]].assert_eq(&shown);
}

#[test]
fn what_was_not_expected_is_shown_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.yml");
    let text = r#"
rule_files: []
tests:
- name: one
  interval: 1m
  input_series:
  - {series: 'a{b="1"}', values: 1 2 3}
  promql_expr_test:
  - {expr: a, eval_time: 1m, exp_samples: [{labels: 'a{b="2"}', value: 2}]}
  - {expr: 'a > 5', eval_time: 1m, exp_samples: []}
  - {expr: 'a *', eval_time: 1m}
  alert_rule_test:
  - {eval_time: 1m, alertname: Gone, exp_alerts: [{exp_labels: {b: "1"}, exp_annotations: {c: d}}]}
- name: two
"#;
    fs::write(&file, text).unwrap();
    let files = [file, folder.path().join("none.yml")];
    let outcomes = rule_test::run(&files, None, &|_| None);
    let report = rule_test::report(&outcomes);
    assert_eq!(report.code, 2, "a file that cannot be read");
    let shown = report.text.replace(folder.path().to_str().unwrap(), "…");
    expect![[r#"
        …/t.yml
          FAILED  one
                  error: an operand is missing after this
                    --> …/t.yml:11:15
                     |
                  11 |   - {expr: 'a *', eval_time: 1m}
                     |               ^
                  alert Gone at 1m (line 13)
                    - {alertname="Gone",b="1"}
                        c: d
                    (nothing came)
                  a at 1m (line 9)
                    - a{b="2"} 2
                    + a{b="1"} 2
          ok      two
        …/none.yml
          FAILED: the file cannot be run
          it cannot be read: No such file or directory (os error 2)
        1 passed, 1 failed, 1 file could not be run
    "#]]
    .assert_eq(&shown);
    let one = regex::Regex::new("tw").unwrap();
    let chosen = rule_test::run(&files[..1], Some(&one), &|_| None);
    assert_eq!(chosen[0].tests.len(), 1);
    let xml = rule_test::junit(&outcomes);
    assert!(
        xml.contains("tests=\"2\" failures=\"1\" errors=\"0\""),
        "{xml}"
    );
    assert!(xml.contains("<error message=\""), "{xml}");
}

/// A subquery without a step of its own steps by the evaluation interval, in a template as in a rule.
#[test]
fn a_query_in_a_template_steps_by_the_evaluation_interval() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    write(
        "r.yml",
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: count_over_time(vector(1)[1m:]) == 4\n    annotations:\n      says: '{{ query \"count_over_time(vector(1)[1m:])\" | first | value }}'\n",
    );
    let test = write(
        "t.yml",
        "rule_files: [r.yml]\nevaluation_interval: 15s\ntests:\n- alert_rule_test:\n  - alertname: A\n    eval_time: 5m\n    exp_alerts:\n    - exp_annotations: {says: '4'}\n",
    );
    let report = rule_test::report(&rule_test::run(&[test], None, &|_| None));
    assert_eq!(report.code, 0, "{}", report.text);
}
