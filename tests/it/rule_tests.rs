//! `gated test`: promtool's own unit tests, and those of the projects that write theirs for it.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect;
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
            shown += &format!("  {}: {}\n", test.name, test.failures.join("; "));
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
          prometheus_unittest#0: input_series: native histograms are not evaluated by gated
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
                  alert Gone at 1m
                    - {alertname="Gone",b="1"}
                        c: d
                    (nothing came)
                  a at 1m
                    - a{b="2"} 2
                    + a{b="1"} 2
                  a * at 1m: an operand is missing after this
          ok      two
        …/none.yml
          FAILED: it cannot be read: No such file or directory (os error 2)
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
