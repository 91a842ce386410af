//! `gated backtest` as a person runs it: files however they are packed, every fault at once, exit codes, formats.

use std::io::Write as _;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::example;
use crate::binary::gated;

const FILE: &str = "errors_2_5_percent.om.gz";
const ROLLOUT: &str = "1.9.0..2.0.0@2026-04-01T13:11:00.295Z";

/// The examples' configuration and rules, and what else is said.
fn backtest(more: &[&str]) -> std::process::Command {
    let (config, rules) = (example("gated.toml"), example("rules"));
    let (config, rules) = (config.to_str().unwrap(), rules.to_str().unwrap());
    let mut arguments = vec!["backtest", "--config", config, "--rules", rules];
    arguments.extend(more);
    gated(&arguments)
}

/// The exit code, what was printed, and what was said beside it.
pub fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

/// Exit 0 and nothing to complain about.
fn shown(more: &[&str]) -> String {
    let (code, out, errors) = said(&backtest(more).output().unwrap());
    assert_eq!((code, errors.as_str()), (0, ""));
    out
}

fn document(more: &[&str]) -> Value {
    serde_json::from_str(&shown(&[more, &["--format", "json"]].concat())).unwrap()
}

fn path(name: &str) -> String {
    example(name).to_str().unwrap().to_owned()
}

fn text_of(name: &str) -> String {
    let file = std::fs::File::open(example(name)).unwrap();
    std::io::read_to_string(flate2::read::GzDecoder::new(file)).unwrap()
}

#[test]
fn the_json_has_the_pinned_keys() {
    let document = document(&["--openmetrics", &path(FILE), "--rollout", ROLLOUT]);
    let keys = |it: &Value| -> Vec<String> { it.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(
        keys(&document),
        ["decisions", "evaluations", "phases", "samples"]
    );
    assert_eq!(
        document["decisions"][0],
        json!({
            "at": "2026-04-01T13:14:00.295Z", "do": "rollback", "asked": "rollback", "refused_by": null,
            "trigger": "errors", "rollout": "api@2.0.0@2026-04-01T13:11:00.295Z", "phase": "watch",
            "severity": "P1", "value": 0.020_768_431_983_385_252, "condition": "error_rate > 1%"
        })
    );
    assert_eq!(document["decisions"][1]["refused_by"], "already_decided");
    let phase = &document["phases"][0];
    assert_eq!(keys(phase), ["from", "name", "status_seconds", "until"]);
    let seconds = &phase["status_seconds"];
    assert_eq!(keys(seconds), ["amber", "green", "red", "unknown"]);
    let whole: f64 = ["amber", "green", "red", "unknown"]
        .iter()
        .map(|it| seconds[it].as_f64().unwrap())
        .sum();
    assert!(
        (whole - 420.0).abs() < 1.0,
        "the seven minutes after the rollout: {seconds}"
    );
    // Order is a part of what people read and diff.
    let text = shown(&[
        "--openmetrics",
        &path(FILE),
        "--rollout",
        ROLLOUT,
        "--format",
        "json",
    ]);
    let order = [
        "\"decisions\"",
        "\"at\"",
        "\"do\"",
        "\"asked\"",
        "\"phases\"",
        "\"samples\"",
        "\"evaluations\"",
    ];
    let places: Vec<usize> = order.iter().map(|it| text.find(it).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn a_recording_is_the_same_however_it_is_packed_split_and_shuffled() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let text = text_of(FILE);
    let whole = document(&["--openmetrics", &path(FILE), "--rollout", ROLLOUT]);
    let alike = |files: &[&str]| {
        let arguments = [&["--rollout", ROLLOUT, "--openmetrics"], files].concat();
        assert_eq!(document(&arguments), whole, "{files:?}");
    };
    alike(&[&write("plain", text.as_bytes())]);
    alike(&[&write(
        "zst",
        &zstd::encode_all(text.as_bytes(), 3).unwrap(),
    )]);
    // Half of the lines in each of two files, and the second file first.
    let samples: Vec<&str> = text.lines().filter(|it| !it.starts_with('#')).collect();
    let part = |is: &dyn Fn(usize) -> bool| -> String {
        let lines = samples
            .iter()
            .enumerate()
            .filter(|(n, _)| is(*n))
            .map(|(_, line)| format!("{line}\n"));
        lines.collect::<String>() + "# EOF\n"
    };
    let (even, odd) = (part(&|n| n % 2 == 0), part(&|n| n % 2 == 1));
    alike(&[
        &write("odd", odd.as_bytes()),
        &write("even", even.as_bytes()),
    ]);
    // By time instead of series after series, and each line twice.
    let mut by_time = samples.clone();
    by_time.sort_by_key(|line| line.rsplit_once(' ').unwrap().1.to_owned());
    let by_time: Vec<&str> = by_time.iter().flat_map(|line| [*line, *line]).collect();
    let by_time = by_time.join("\n") + "\n";
    let by_time = write("by_time", (by_time + "# EOF\n").as_bytes());
    alike(&[&by_time]);
    let told = shown(&["--rollout", ROLLOUT, "--openmetrics", &by_time]);
    // What no rule reads is not kept, and not told of.
    assert!(
        told.contains("- 11,682 samples were there twice: the first counts"),
        "{told}"
    );

    let mut piped = backtest(&[
        "--rollout",
        ROLLOUT,
        "--openmetrics",
        "-",
        "--format",
        "json",
    ])
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let packed = std::fs::read(example(FILE)).unwrap();
    piped.stdin.take().unwrap().write_all(&packed).unwrap();
    let piped = piped.wait_with_output().unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&piped.stdout).unwrap(),
        whole
    );
}

#[test]
fn every_fault_of_every_file_is_told_with_its_line() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let bad = write(
        "bad.om",
        "# TYPE a gauge\na{b=\"1\"} 1 1775034005\na{b=\"1\"} 1\na{b=} 1 2\na x 3\n# EOF\n",
    );
    let cut = write("cut.om", "a 1 1775034005\n");
    let empty = write("empty.om", "# EOF\n");
    let (code, out, errors) = said(
        &backtest(&["--openmetrics", &bad, &cut, &empty, "/nowhere.om"])
            .output()
            .unwrap(),
    );
    assert_eq!((code, out.as_str()), (2, ""));
    let errors = errors.replace(folder.path().to_str().unwrap(), "");
    expect_test::expect![[r#"
        error: /bad.om:3: expected a timestamp in seconds after the value: a recording says when: a{b="1"} 1
        error: /bad.om:4: expected a label value in quotes: a{b=} 1 2
        error: /bad.om:5: expected a number: a x 3
        error: /cut.om: it does not end with `# EOF`: it was cut short; where this is all of it, write a last line `# EOF`
        error: /empty.om: there is no sample in it
        error: /nowhere.om: it cannot be read: No such file or directory (os error 2)
          help: OpenMetrics text with timestamps is expected, as `promtool tsdb dump-openmetrics` writes it
    "#]]
    .assert_eq(&errors);
}

#[test]
fn what_cannot_be_judged_says_why() {
    let folder = TempDir::new().unwrap();
    let far = folder.path().join("far.om");
    let line = "http_requests_total{job=\"api\",instance=\"a\",status=\"200\"}";
    std::fs::write(&far, format!("{line} 1 5\n{line} 2 1775034005\n# EOF\n")).unwrap();
    let other = folder.path().join("other.om");
    std::fs::write(&other, "somebody_elses 1 1775034005\n# EOF\n").unwrap();
    let (far, other, file) = (far.to_str().unwrap(), other.to_str().unwrap(), path(FILE));
    for (arguments, told) in [
        (
            vec!["--openmetrics", far],
            "or past the year 2200; are its timestamps in seconds?",
        ),
        (
            vec!["--openmetrics", other],
            "none of the recorded series is read by the rules at this time: 1 samples",
        ),
        (
            vec!["--openmetrics", &file, "--start", "1775134005"],
            "none of the recorded series",
        ),
        (
            vec!["--openmetrics", &file, "--rollout", "2.0@1775134005"],
            "lies behind the end of the recording",
        ),
        (
            vec!["--openmetrics", &file, "--sweep", "error_rat=1%..2%"],
            "did you mean `error_rate`?",
        ),
        (
            vec![
                "--openmetrics",
                &file,
                "--sweep",
                "for=0s..1m",
                "--format",
                "html",
            ],
            "--sweep is printed as table",
        ),
        (
            vec!["--openmetrics", &file, "--compare", "/nowhere"],
            "/nowhere cannot be read",
        ),
        (
            vec!["--openmetrics", &file, "--interval", "10ms"],
            "from 100ms to 1day",
        ),
        (
            vec!["--prometheus", "ftp://x", "--start", "1"],
            "neither the name of a [[prometheus]] nor a URL",
        ),
        (
            vec!["--prometheus", "http://ada:pw@x", "--start", "1"],
            "write a [[prometheus]] with basic_auth",
        ),
        (vec!["--prometheus", "http://x"], "--start"),
        (vec![], "--openmetrics"),
    ] {
        let (code, out, errors) = said(&backtest(&arguments).output().unwrap());
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {errors}");
        assert!(errors.contains(told), "{arguments:?}: {errors}");
        assert!(!errors.contains("pw"), "{errors}");
    }
}

#[test]
fn what_was_never_judged_is_not_as_expected() {
    let file = path(FILE);
    for rollout in [None, Some("2.0.0@1")] {
        let mut arguments = vec!["--openmetrics", file.as_str(), "--expect", "none"];
        arguments.extend(rollout.into_iter().flat_map(|it| ["--rollout", it]));
        let (code, out, errors) = said(&backtest(&arguments).output().unwrap());
        assert_eq!(code, 2, "{errors}");
        assert!(
            errors.contains("no phase of the rules was active"),
            "{errors}"
        );
        assert!(out.contains("no phase of the rules was active"), "{out}");
    }
    for arguments in [
        "--openmetrics FILE --start 1775049000 --end 1775048000",
        "--openmetrics FILE --sweep error_rate=1%..2% --sweep error_rate=1%..3%",
        "--prometheus http://127.0.0.1:9 --start 1",
    ] {
        let arguments = arguments.replace("FILE", &file);
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let (code, _, errors) = said(&backtest(&arguments).output().unwrap());
        assert_eq!(code, 2, "{arguments:?}");
        let told = ["behind --end", "is swept twice", "more than 400 days"];
        assert!(told.iter().any(|it| errors.contains(it)), "{errors}");
    }
    let many = ["--sweep", "error_rate=0%..100%"].repeat(40);
    let arguments = [&["--openmetrics", file.as_str()][..], &many].concat();
    assert_eq!(said(&backtest(&arguments).output().unwrap()).0, 2);
}

#[test]
fn an_incident_becomes_a_regression_test() {
    for (file, rollout, expect, code) in [
        (FILE, ROLLOUT, "rollback", 0),
        (FILE, ROLLOUT, "rollback@2026-04-01T13:13:50Z+-30s", 0),
        (FILE, ROLLOUT, "rollback@2026-04-01T13:13:50Z+-5s", 1),
        (FILE, ROLLOUT, "none", 1),
        (FILE, ROLLOUT, "escalate", 1),
        (
            "broken_before.om.gz",
            "2.0.0@2026-04-02T01:11:00.804Z",
            "escalate",
            0,
        ),
        (
            "broken_before.om.gz",
            "2.0.0@2026-04-02T01:11:00.804Z",
            "escalate@2026-04-02T01:12:00Z±10s",
            0,
        ),
        (
            "broken_before.om.gz",
            "2.0.0@2026-04-02T01:11:00.804Z",
            "rollback",
            1,
        ),
        (
            "good_release.om.gz",
            "2.0.0@2026-04-01T09:11:00.263Z",
            "none",
            0,
        ),
        (
            "good_release.om.gz",
            "2.0.0@2026-04-01T09:11:00.263Z",
            "rollback",
            1,
        ),
    ] {
        let arguments = [
            "--openmetrics",
            &path(file),
            "--rollout",
            rollout,
            "--expect",
            expect,
        ];
        let (ended, _, errors) = said(&backtest(&arguments).output().unwrap());
        assert_eq!(ended, code, "{file} {expect}: {errors}");
        assert_eq!(errors.contains("expected: "), code == 1, "{errors}");
    }
}

#[test]
fn the_timeline_says_what_changed_when_and_why() {
    let text = shown(&["--openmetrics", &path(FILE), "--rollout", ROLLOUT]);
    expect_test::expect_file!["../../data/backtest/table.txt"].assert_eq(&text);
    let text = shown(&[
        "--openmetrics",
        &path(FILE),
        "--rollout",
        ROLLOUT,
        "--format",
        "markdown",
    ]);
    expect_test::expect_file!["../../data/backtest/page.md"].assert_eq(&text);
}

#[test]
fn the_page_draws_every_signal_and_holds_no_script() {
    let html = shown(&[
        "--openmetrics",
        &path(FILE),
        "--rollout",
        "<b>..2\"'<script>@2026-04-01T13:11:00.295Z",
        "--format",
        "html",
    ]);
    assert_eq!(
        html.matches("<svg").count(),
        7,
        "the status and six signals"
    );
    assert!(html.contains("class=\"d-rollback\"") && html.contains("class=\"d-escalate\""));
    assert!(
        html.contains("errors &gt; 1%") && html.contains("&lt; 100ms"),
        "thresholds"
    );
    assert!(
        !html.contains("<script") && !html.contains("<b>") && !html.contains("http"),
        "{html}"
    );
}

#[test]
fn two_sets_of_rules_are_compared_decision_by_decision() {
    let folder = TempDir::new().unwrap();
    let rules = std::fs::read_to_string(example("rules/rollout.toml")).unwrap();
    let next = folder.path().join("next.toml");
    std::fs::write(
        &next,
        rules.replacen("error_rate > 1%", "error_rate > 3.3%", 1),
    )
    .unwrap();
    let next = next.to_str().unwrap();
    let common = ["--openmetrics", &path(FILE), "--rollout", ROLLOUT];
    let same = document(&[&common[..], &["--compare", &path("rules")]].concat());
    assert_eq!(same["same_decisions"], true);
    assert_eq!(same["rules"], same["compare"]);
    let other = document(&[&common[..], &["--compare", next]].concat());
    assert_eq!(other["same_decisions"], false);
    assert_eq!(other["rules"], same["rules"]);
    assert_eq!(
        other["compare"]["decisions"][0]["trigger"],
        "errors-on-and-off"
    );
    let text = shown(&[&common[..], &["--compare", next]].concat());
    assert!(
        text.contains("not any more") && text.contains("new"),
        "{text}"
    );
}

#[test]
fn a_sweep_counts_decisions_value_by_value() {
    let common = ["--openmetrics", &path(FILE), "--rollout", ROLLOUT];
    let swept = document(
        &[
            &common[..],
            &["--sweep", "error_rate=1%..4%", "--sweep", "for=10s..30s"],
        ]
        .concat(),
    );
    let rows = swept["rows"].as_array().unwrap();
    let of = |rate: &str, hold: &str| {
        let values = json!({ "error_rate": rate, "for": hold });
        rows.iter()
            .find(|it| it["values"] == values)
            .unwrap_or_else(|| panic!("{swept:#}"))
    };
    assert_eq!(rows[0]["values"], Value::Null);
    assert_eq!(rows[0]["first_rollback"], "2026-04-01T13:14:00.295Z");
    assert_eq!(of("1%", "30s")["first_rollback"], rows[0]["first_rollback"]);
    assert_eq!(
        of("1%", "10s")["first_rollback"],
        "2026-04-01T13:13:40.295Z"
    );
    // Nothing reaches four percent; what is judged over two minutes is another signal's.
    assert_eq!(
        of("4%", "30s")["first_rollback"],
        "2026-04-01T13:14:40.295Z"
    );
}

#[test]
fn rollouts_are_found_from_the_version_label() {
    let folder = TempDir::new().unwrap();
    let config = std::fs::read_to_string(example("gated.toml")).unwrap();
    let inferred = folder.path().join("gated.toml");
    std::fs::write(
        &inferred,
        config + "\n[rollout]\nversion_from = \"app_build_info\"\n",
    )
    .unwrap();
    let (config, rules) = (inferred.to_str().unwrap(), path("rules"));
    let run = gated(&[
        "backtest",
        "--config",
        config,
        "--rules",
        &rules,
        "--openmetrics",
        &path(FILE),
        "--format",
        "json",
    ]);
    let (code, out, errors) = said(&{ run }.output().unwrap());
    assert_eq!((code, errors.as_str()), (0, ""));
    let document: Value = serde_json::from_str(&out).unwrap();
    let first = &document["decisions"][0];
    assert_eq!(
        (&first["do"], &first["rollout"]),
        (&"rollback".into(), &"api@2.0.0#1".into()),
        "{document:#}"
    );
}

#[test]
fn the_past_before_the_start_counts_and_is_not_shown() {
    let whole = document(&[
        "--openmetrics",
        &path("broken_before.om.gz"),
        "--rollout",
        "2.0.0@2026-04-02T01:11:00.804Z",
    ]);
    let late = document(&[
        "--openmetrics",
        &path("broken_before.om.gz"),
        "--rollout",
        "2.0.0@2026-04-02T01:11:00.804Z",
        "--start",
        "2026-04-02T01:11:30Z",
        "--end",
        "2026-04-02T01:13:00Z",
    ]);
    assert_eq!(late["decisions"].as_array().unwrap().len(), 1);
    assert_eq!(
        late["decisions"][0], whole["decisions"][0],
        "refused since it predates the rollout"
    );
    // A rollout of long ago is told of late, and is past every phase.
    let file = path(FILE);
    let old = [
        "--openmetrics",
        &file,
        "--rollout",
        "2.0.0@1",
        "--format",
        "json",
    ];
    let (code, out, errors) = said(&backtest(&old).output().unwrap());
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["decisions"]), (0, &json!([])));
    assert!(
        errors.contains("no phase of the rules was active"),
        "{errors}"
    );
}
