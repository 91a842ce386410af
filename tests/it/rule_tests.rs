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
