//! `backtest` blocks in a file of `gated test`: a recording beside the rules, and what should have been decided.

use std::fs;

use expect_test::{Expect, expect};
use gated::run::rule_test;

use super::example;

/// What is said of one test with this block, and the exit code.
fn told(block: &str) -> (u8, String) {
    let folder = tempfile::tempdir().unwrap();
    for file in ["errors_2_5_percent.om.gz", "good_release.om.gz"] {
        fs::copy(example(file), folder.path().join(file)).unwrap();
    }
    fs::write(folder.path().join("broken.om"), "a 1 2\nb one 2\n# EOF\n").unwrap();
    let rules = example("rules/rollout.toml");
    let lines = block.trim().lines();
    let block: String = lines.flat_map(|it| ["    ", it, "\n"]).collect();
    let text = format!(
        "rule_files: [{}]\ntests:\n- name: one\n  backtest:\n{block}",
        rules.display()
    );
    let file = folder.path().join("t.yml");
    fs::write(&file, text).unwrap();
    let report = rule_test::report(&rule_test::run(&[file], None, &|_| None));
    let shown = report.text.replace(folder.path().to_str().unwrap(), "…");
    (report.code, shown)
}

#[allow(clippy::needless_pass_by_value, reason = "as `expect!` gives it")]
fn fails(code: u8, block: &str, expected: Expect) {
    let (got, shown) = told(block);
    assert_eq!(got, code, "{shown}");
    expected.assert_eq(&shown);
}

const INCIDENT: &str = "
openmetrics: errors_2_5_percent.om.gz
rollouts: [{at: 2026-04-01T13:11:00.295Z, version: 2.0.0, previous_version: 1.9.0}]
";

#[test]
fn an_incident_is_a_test_beside_the_rules() {
    for expect in [
        "expect: rollback",
        "expect: rollback@2026-04-01T13:14:00Z+-10s",
        "expect: rollback@1775049240±10s",
        // The recording begins at 13:00:00.
        "expect: rollback@14m+-10s",
        "end: 2026-04-01T13:13:00Z\nexpect: none",
        "end: 13m\nexpect: none",
        "interval: 10s\nexpect: rollback@14m+-15s",
        "settle: 4m\nexpect: rollback@15m30s+-10s",
        "armed: false\nexpect: escalate",
        "start: 12m\nexpect: rollback",
        "expect:\n- {at: 13m, phase: watch, status: green, decisions: []}\n- {at: 14m30s, status: red, verdict: no_go, decisions: [{do: rollback, trigger: errors, severity: P1}]}",
    ] {
        let (code, shown) = told(&format!("{INCIDENT}{expect}"));
        assert_eq!(code, 0, "{expect}\n{shown}");
    }
    let good =
        "openmetrics: [good_release.om.gz]\nrollouts: [{at: 11m, version: 2.0.0}]\nexpect: none";
    assert_eq!(told(good).0, 0);
    // Nobody tells of it.
    let inferred =
        "openmetrics: errors_2_5_percent.om.gz\nversion_from: app_build_info\nexpect: rollback";
    assert_eq!(told(inferred).0, 0);
}

#[test]
fn what_was_decided_otherwise_is_told() {
    fails(
        1,
        &format!("{INCIDENT}expect: none"),
        expect![[r"
        …/t.yml
          FAILED  one
                  backtest (line 5): expected: nothing that rolls back or calls people; decided:
                      2026-04-01T13:14:00.295Z rollback: errors: error_rate > 1% held for 30s, now 2.08%
                      2026-04-01T13:17:10.295Z escalate: errors-on-and-off: error_rate_2m > 1% held for 3m, now 2.36%; no rollback: a rollback was already decided: dec_221bb6ba85c2bb3a615bca3a5c94a953
        0 passed, 1 failed
    "]],
    );
    fails(
        1,
        &format!("{INCIDENT}expect: rollback@12m+-10s"),
        expect![[r"
            …/t.yml
              FAILED  one
                      backtest (line 5): expected: one rollback, at 2026-04-01T13:12:05.295Z ± 10s; decided:
                          2026-04-01T13:14:00.295Z rollback: errors: error_rate > 1% held for 30s, now 2.08%
                          2026-04-01T13:17:10.295Z escalate: errors-on-and-off: error_rate_2m > 1% held for 3m, now 2.36%; no rollback: a rollback was already decided: dec_221bb6ba85c2bb3a615bca3a5c94a953
            0 passed, 1 failed
        "]],
    );
    fails(
        1,
        &format!("{INCIDENT}expect:\n- {{at: 14m30s, status: green, decisions: []}}"),
        expect![[r"
            …/t.yml
              FAILED  one
                      status at 2026-04-01T13:14:35.295Z (line 8): red, expected green
                          errors: error_rate > 1%, now 2.39%
                          Share of failed requests is 2.39%, should be < 0.5%
                          errors-on-and-off: error_rate_2m > 1%, now 1.66%
                      decisions at 2026-04-01T13:14:35.295Z (line 8)
                        + rollback trigger=errors severity=P1 phase=watch (errors: error_rate > 1% held for 30s, now 2.08%)
                        (nothing was expected)
            0 passed, 1 failed
        "]],
    );
    fails(
        1,
        "openmetrics: [gone.om, broken.om]\nexpect: none",
        expect![[r"
            …/t.yml
              FAILED  one
                      backtest (line 5): error: …/gone.om: it cannot be read: No such file or directory (os error 2)
                      error: …/broken.om:2: expected a number: b one 2
                        help: OpenMetrics text with timestamps is expected, as `promtool tsdb dump-openmetrics` writes it
            0 passed, 1 failed
        "]],
    );
}

#[test]
fn every_fault_of_a_block_has_its_line() {
    fails(
        2,
        "
openmetric: a.om
rollouts: [{at: soon}, {version: 1, version_from: x}]
start: noon
interval: 1ms
expect: rolback@11m+-1s
",
        expect![[r"
            …/t.yml
              FAILED: the file cannot be run
              error: `backtest` has no key `openmetric`
               --> …/t.yml:5:5
                |
              5 |     openmetric: a.om
                |     ^^^^^^^^^^
                |
                = help: did you mean `openmetrics`? its keys are openmetrics, rollouts, start, end, interval, go_live, armed, settle, version_from, expect

              error: `backtest` has no `openmetrics`
               --> …/t.yml:6:5
                |
              6 |     rollouts: [{at: soon}, {version: 1, version_from: x}]
                |     ^^^^^^^^
                |
                = help: write openmetrics: incident.om.gz

              error: an item of `rollouts` has no `version`
               --> …/t.yml:6:17
                |
              6 |     rollouts: [{at: soon}, {version: 1, version_from: x}]
                |                 ^^
                |
                = help: write version: …

              error: `at` is `soon`
               --> …/t.yml:6:21
                |
              6 |     rollouts: [{at: soon}, {version: 1, version_from: x}]
                |                     ^^^^
                |
                = help: write RFC 3339 (2026-04-01T13:11:00Z), Unix seconds, or how long after the recording's start: 11m

              error: an item of `rollouts` has no `at`
               --> …/t.yml:6:29
                |
              6 |     rollouts: [{at: soon}, {version: 1, version_from: x}]
                |                             ^^^^^^^
                |
                = help: write at: …

              error: an item of `rollouts` has no key `version_from`
               --> …/t.yml:6:41
                |
              6 |     rollouts: [{at: soon}, {version: 1, version_from: x}]
                |                                         ^^^^^^^^^^^^
                |
                = help: did you mean `version`? its keys are at, version, previous_version

              error: `start` is `noon`
               --> …/t.yml:7:12
                |
              7 |     start: noon
                |            ^^^^
                |
                = help: write RFC 3339 (2026-04-01T13:11:00Z), Unix seconds, or how long after the recording's start: 11m

              error: `interval` is too short or too long
               --> …/t.yml:8:15
                |
              8 |     interval: 1ms
                |               ^^^
                |
                = help: write a duration from 100ms to 1d

              error: `rolback` cannot be expected: write rollback, none or escalate, and when: rollback@2026-04-01T13:13:50Z+-30s
               --> …/t.yml:9:13
                |
              9 |     expect: rolback@11m+-1s
                |             ^^^^^^^^^^^^^^^
            0 passed, 0 failed, 1 file could not be run
        "]],
    );
}

#[test]
fn a_block_needs_files_and_what_is_expected() {
    fails(
        2,
        "openmetrics: '-'\nexpect: rollback@11m",
        expect![[r"
            …/t.yml
              FAILED: the file cannot be run
              error: `-` is no file
               --> …/t.yml:5:18
                |
              5 |     openmetrics: '-'
                |                  ^^^
                |
                = help: name files of OpenMetrics text with timestamps, from this file's folder

              error: `rollback@11m`: how near is not said: write rollback@11m+-30s
               --> …/t.yml:6:13
                |
              6 |     expect: rollback@11m
                |             ^^^^^^^^^^^^
            0 passed, 0 failed, 1 file could not be run
        "]],
    );
    fails(
        2,
        "openmetrics: a.om",
        expect![[r"
        …/t.yml
          FAILED: the file cannot be run
          error: `backtest` has no `expect`
           --> …/t.yml:5:5
            |
          5 |     openmetrics: a.om
            |     ^^^^^^^^^^^
            |
            = help: write expect: rollback, none or escalate, or a list as in `gated_test`
        0 passed, 0 failed, 1 file could not be run
    "]],
    );
}
