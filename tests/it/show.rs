//! Verdicts printed in the four formats, and the snapshot that the HTTP tests serve too.
#![allow(clippy::too_many_lines, reason = "expected pages are long")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use expect_test::expect;
use gated::engine::Alert;
use gated::engine::Check;
use gated::engine::LastScrape;
use gated::engine::Outcome;
use gated::engine::Role;
use gated::engine::ScrapeError;
use gated::engine::ScrapeFault;
use gated::engine::ScrapeState;
use gated::engine::SignalState;
use gated::engine::Snapshot;
use gated::engine::TargetInfo;
use gated::engine::TriggerState;
use gated::engine::VerdictState;
use gated::engine::WouldFire;
use gated::model::Action;
use gated::model::Decision;
use gated::model::DecisionId;
use gated::model::Delivery;
use gated::model::DeliveryKey;
use gated::model::DeliveryState;
use gated::model::Guard;
use gated::model::GuardAnswer;
use gated::model::Labels;
use gated::model::NoticeKind;
use gated::model::Reading;
use gated::model::Rollout;
use gated::model::RolloutEnd;
use gated::model::RolloutId;
use gated::model::Severity;
use gated::model::Status;
use gated::model::TargetId;
use gated::model::Timestamp;
use gated::model::Unit;
use gated::model::Verdict;
use gated::run::cli::Format;
use gated::run::show;

/// What a hostile target or label may hold.
pub const EVIL: &str = "<script>alert('1')</script>|\"\\\n\u{1b}[31m&`_*";

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis((1_800_000_000 + seconds) * 1000)
}

fn check(
    name: &str,
    signal: &str,
    role: Role,
    reading: Reading,
    unit: Unit,
    condition: &str,
    outcome: Outcome,
) -> Check {
    let bound = condition
        .trim_matches(|c: char| !c.is_ascii_digit())
        .parse()
        .unwrap_or(0.5);
    Check {
        name: name.into(),
        signal: signal.into(),
        role,
        reading,
        unit,
        condition: condition.into(),
        thresholds: BTreeMap::from([(signal.to_owned(), bound)]),
        outcome,
        expected: false,
        shadow: false,
        reason: String::new(),
    }
}

fn target(id: u32, url: &str, last: Option<LastScrape>) -> ScrapeState {
    let instance = format!("10.0.0.{id}:8080");
    ScrapeState {
        info: std::sync::Arc::new(TargetInfo {
            id: TargetId(id),
            job: "api".into(),
            labels: Labels::new([("job", "api"), ("instance", &instance)]),
            instance,
            url: url.into(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
        }),
        last,
    }
}

fn targets() -> Vec<ScrapeState> {
    let up = LastScrape {
        at: at(-1),
        duration: Duration::from_millis(4),
        samples: 812,
        note: None,
        error: None,
        notes: Vec::new(),
    };
    let text = format!("line 3: {EVIL}");
    let error = Some(ScrapeError {
        fault: ScrapeFault::Malformed,
        text,
    });
    let down = LastScrape {
        at: at(-2),
        duration: Duration::from_millis(12),
        samples: 0,
        note: None,
        error,
        notes: Vec::new(),
    };
    vec![
        target(1, "http://10.0.0.1:8080/metrics", Some(up)),
        target(2, "http://10.0.0.2:8080/metrics", Some(down)),
        target(3, "http://10.0.0.3:8080/metrics", None),
    ]
}

/// A service in trouble: every outcome, every kind of text that needs care.
pub fn sample() -> Snapshot {
    let p95 = "api_latency_p95";
    let mut checks = vec![
        check(
            p95,
            p95,
            Role::Target,
            Reading::Value(0.62),
            Unit::Seconds,
            "< 100ms",
            Outcome::Missed,
        ),
        check(
            "error_rate",
            "error_rate",
            Role::Target,
            Reading::Value(0.0012),
            Unit::Ratio,
            "< 1%",
            Outcome::Met,
        ),
        check(
            "latency",
            p95,
            Role::Trigger,
            Reading::Value(0.62),
            Unit::Seconds,
            "> 500ms",
            Outcome::Firing,
        ),
        check(
            "errors",
            "error_rate",
            Role::Trigger,
            Reading::Value(0.0012),
            Unit::Ratio,
            "> 1%",
            Outcome::Quiet,
        ),
        check(
            "slow",
            p95,
            Role::Trigger,
            Reading::Value(0.62),
            Unit::Seconds,
            "> 300ms",
            Outcome::Pending,
        ),
        check(
            "cpu",
            "cpu",
            Role::Target,
            Reading::Stale,
            Unit::Ratio,
            "< 40%",
            Outcome::Unknown,
        ),
        // A broken promise of the engine's must not break the JSON.
        check(
            "odd",
            "odd",
            Role::Target,
            Reading::Value(f64::NAN),
            Unit::None,
            "< 1",
            Outcome::Unknown,
        ),
    ];
    checks[5].reason = format!("the targets behind cpu did not answer: {EVIL}");
    let signal = |name: &str, unit, reading| SignalState {
        name: name.into(),
        title: name.into(),
        unit,
        expr: "up".into(),
        reading,
        why: String::new(),
        notes: Vec::new(),
        at: Some(at(0)),
    };
    let trigger = |name: &str, outcome| TriggerState {
        name: name.into(),
        phase: "deployment".into(),
        series: String::new(),
        condition: "> 300ms".into(),
        severity: Severity::P1,
        action: Action::Rollback,
        outcome,
        active_at: Some(at(-30)),
        fired_at: None,
    };
    Snapshot {
        audit: Arc::new([]),
        frozen: None,
        held: None,
        verifications: Vec::new(),
        uptime: None,
        reports: Arc::new([]),
        checklist: Vec::new(),
        criteria: Arc::new([]),
        contacts: BTreeMap::new(),
        observations: Arc::new([]),
        phase_runs: Arc::new([]),
        incidents: Vec::new(),
        incident_counts: gated::engine::IncidentCounts::default(),
        at: at(0),
        service: "api".into(),
        environment: "production".into(),
        verdict: Arc::new(VerdictState {
            verdict: Verdict::NoGo,
            status: Status::Red,
            phase: "deployment".into(),
            evaluated_at: Some(at(0)),
            reasons: vec![format!("api_latency_p95 is 620ms, over 500ms {EVIL}")],
            checks,
            would_fire: vec![WouldFire {
                action: Action::Rollback,
                hook: Some("deployer".into()),
                because: vec!["latency".into()],
                refused_by: Some(Guard::Shadow),
            }],
        }),
        targets: targets(),
        signals: vec![
            signal(p95, Unit::Seconds, Reading::Value(0.62)),
            signal("cpu", Unit::Ratio, Reading::Stale),
        ],
        groups: Arc::new([]),
        triggers: vec![
            trigger("latency", Outcome::Firing),
            trigger("slow", Outcome::Pending),
        ],
        alerts: Arc::new([Alert {
            labels: BTreeMap::from([
                ("alertname".into(), "latency".into()),
                ("job-name".into(), EVIL.into()),
            ]),
            annotations: BTreeMap::new(),
            starts_at: at(-5),
            ends_at: at(60),
            generator_url: "http://gated/".into(),
        }]),
        rollouts: vec![
            Arc::new(rollout("r1", Some((at(-60), RolloutEnd::Finished)))),
            Arc::new(rollout("r/2", None)),
        ],
        decisions: vec![(Arc::new(decision("dec_1")), vec![Arc::new(delivery())])],
        evaluations: 42,
        evaluation_failures: 1,
        samples_appended: 9000,
        series: 330,
        held_since: Some(at(-600)),
        rollback_armed: false,
        gone: Vec::new(),
    }
}

pub fn rollout(id: &str, end: Option<(Timestamp, RolloutEnd)>) -> Rollout {
    Rollout {
        past: Arc::default(),
        vetoed: None,
        id: RolloutId(id.into()),
        service: "api".into(),
        environment: "production".into(),
        version: "1.4.2".into(),
        previous_version: Some("1.4.1".into()),
        started_at: at(-120),
        seen_at: at(-119),
        told: true,
        irreversible: false,
        baseline: BTreeMap::from([
            ("api_latency_p95".into(), 0.08),
            ("odd".into(), f64::INFINITY),
        ]),
        turned_red: true,
        end,
    }
}

pub fn decision(id: &str) -> Decision {
    Decision {
        id: DecisionId(id.into()),
        at: at(-5),
        action: Action::Escalate,
        asked: Action::Rollback,
        refused_by: Some(Guard::Shadow),
        guards: vec![GuardAnswer {
            guard: Guard::NoRollout,
            passed: true,
            note: "r/2".into(),
        }],
        trigger: "latency".into(),
        rollout: Some(RolloutId("r/2".into())),
        phase: "deployment".into(),
        severity: Severity::P1,
        signal: Some("api_latency_p95".into()),
        value: Some(0.62),
        unit: Unit::Seconds,
        condition: "> 500ms".into(),
        expr: "histogram_quantile(0.95, x)".into(),
        held_for: Duration::from_secs(30),
        reason: format!("latency: {EVIL}"),
    }
}

fn delivery() -> Delivery {
    Delivery {
        log: Vec::new(),
        incident: None,
        key: DeliveryKey("msg_1".into()),
        decision: DecisionId("dec_1".into()),
        rollout: Some(RolloutId("r/2".into())),
        receiver: "slack".into(),
        kind: NoticeKind::EscalationRaised,
        created_at: at(-5),
        attempts: 2,
        last_error: Some("503".into()),
        state: DeliveryState::Owed { next: at(3) },
    }
}

fn print(format: Format) -> String {
    show::render(&sample(), format, false)
}

#[test]
fn table() {
    expect![[r#"
        api · deployment

        JOB  TARGET                        SCRAPE
        api  http://10.0.0.1:8080/metrics  up       812 samples in 4ms
        api  http://10.0.0.2:8080/metrics  down     malformed: line 3: <script>alert('1')</script>|"\\n\u{1b}[31m&`_*
        api  http://10.0.0.3:8080/metrics  unknown  not scraped yet

        CHECK                      READING           CONDITION  OUTCOME
        api_latency_p95            620ms             < 100ms    missed
        error_rate                 0.12%             < 1%       met
        latency (api_latency_p95)  620ms             > 500ms    firing
        errors (error_rate)        0.12%             > 1%       quiet
        slow (api_latency_p95)     620ms             > 300ms    pending
        cpu                        no value (stale)  < 40%      unknown  the targets behind cpu did not answer: <script>alert('1')</script>|"\\n\u{1b}[31m&`_*
        odd                        NaN               < 1        unknown

        would rollback through deployer because of latency (refused by shadow)
        - api_latency_p95 is 620ms, over 500ms <script>alert('1')</script>|"\\n\u{1b}[31m&`_*
        NO GO (red)
    "#]].assert_eq(&print(Format::Table));
}

#[test]
fn junit() {
    expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites tests="11" failures="3" errors="4">
          <testsuite name="gated: api" tests="11" failures="3" errors="4" skipped="0" timestamp="2027-01-15T08:00:00.000Z">
            <testcase classname="scrape" name="api http://10.0.0.1:8080/metrics" time="0.004">
              <system-out>812 samples in 4ms</system-out>
            </testcase>
            <testcase classname="scrape" name="api http://10.0.0.2:8080/metrics" time="0.012">
              <error message="malformed: line 3: &lt;script&gt;alert('1')&lt;/script&gt;|&quot;\&#10;�[31m&amp;`_*"/>
            </testcase>
            <testcase classname="scrape" name="api http://10.0.0.3:8080/metrics" time="0.000">
              <error message="not scraped yet"/>
            </testcase>
            <testcase classname="target" name="api_latency_p95" time="0.000">
              <failure message="620ms &lt; 100ms: missed"/>
            </testcase>
            <testcase classname="target" name="error_rate" time="0.000">
              <system-out>0.12% &lt; 1%: met</system-out>
            </testcase>
            <testcase classname="trigger" name="latency (api_latency_p95)" time="0.000">
              <failure message="620ms &gt; 500ms: firing"/>
            </testcase>
            <testcase classname="trigger" name="errors (error_rate)" time="0.000">
              <system-out>0.12% &gt; 1%: quiet</system-out>
            </testcase>
            <testcase classname="trigger" name="slow (api_latency_p95)" time="0.000">
              <system-out>620ms &gt; 300ms: pending</system-out>
            </testcase>
            <testcase classname="target" name="cpu" time="0.000">
              <error message="no value (stale) &lt; 40%: unknown; the targets behind cpu did not answer: &lt;script&gt;alert('1')&lt;/script&gt;|&quot;\&#10;�[31m&amp;`_*"/>
            </testcase>
            <testcase classname="target" name="odd" time="0.000">
              <error message="NaN &lt; 1: unknown"/>
            </testcase>
            <testcase classname="verdict" name="no_go" time="0.000">
              <failure message="api_latency_p95 is 620ms, over 500ms &lt;script&gt;alert('1')&lt;/script&gt;|&quot;\&#10;�[31m&amp;`_*"/>
            </testcase>
          </testsuite>
        </testsuites>
    "#]].assert_eq(&print(Format::Junit));
}

/// What nobody waits for must not stop a pipeline that is told to go; that it is not known is said all the same.
#[test]
fn what_is_not_waited_for_is_no_error_of_a_go() {
    let mut sample = sample();
    let state = Arc::make_mut(&mut sample.verdict);
    (state.verdict, state.status) = (Verdict::Go, Status::Green);
    state.reasons.clear();
    state.checks.retain(|it| it.name == "cpu");
    state.checks[0].expected = true;
    let junit = show::render(&sample, Format::Junit, false);
    let cpu = "<testcase classname=\"target\" name=\"cpu\" time=\"0.000\">\n      <skipped message=\"no value (stale) &lt; 40%: unknown; the targets behind cpu did not answer";
    assert!(junit.contains(cpu), "{junit}");
    // One target of several did not answer, and the verdict stands without it.
    assert!(!junit.contains("<error"), "{junit}");
    let totals = "tests=\"5\" failures=\"0\" errors=\"0\" skipped=\"3\"";
    assert!(junit.contains(totals), "{junit}");
    for format in [Format::Table, Format::Markdown] {
        let text = show::render(&sample, format, false);
        assert!(
            text.contains("unknown") && !text.contains("error"),
            "{text}"
        );
    }
    // Where the verdict is not go, it is still not why.
    let state = Arc::make_mut(&mut sample.verdict);
    (state.verdict, state.status) = (Verdict::Unknown, Status::Unknown);
    let junit = show::render(&sample, Format::Junit, false);
    assert!(junit.contains(cpu), "{junit}");
    assert!(junit.contains("errors=\"3\" skipped=\"1\""), "{junit}");
}

#[test]
fn markdown() {
    expect![[r#"
        ## api: ❌ no go

        Status **red**, phase `deployment`
        at 2027-01-15T08:00:00.000Z

        - api\_latency\_p95 is 620ms, over 500ms &lt;script&gt;alert('1')&lt;/script&gt;\|"\\\\n\\u{1b}\[31m&amp;\`\_\*
        - would **rollback** because of latency, refused by shadow

        | check | reading | condition | outcome | |
        |---|---|---|---|---|
        | api\_latency\_p95 | 620ms | `< 100ms` | missed |  |
        | error\_rate | 0.12% | `< 1%` | met |  |
        | latency (api\_latency\_p95) | 620ms | `> 500ms` | firing |  |
        | errors (error\_rate) | 0.12% | `> 1%` | quiet |  |
        | slow (api\_latency\_p95) | 620ms | `> 300ms` | pending |  |
        | cpu | no value (stale) | `< 40%` | unknown | the targets behind cpu did not answer: &lt;script&gt;alert('1')&lt;/script&gt;\|"\\\\n\\u{1b}\[31m&amp;\`\_\* |
        | odd | NaN | `< 1` | unknown |  |

        | job | target | scrape |
        |---|---|---|
        | api | `http://10.0.0.1:8080/metrics` | 812 samples in 4ms |
        | api | `http://10.0.0.2:8080/metrics` | **down**: malformed: line 3: &lt;script&gt;alert('1')&lt;/script&gt;\|"\\\\n\\u{1b}\[31m&amp;\`\_\* |
        | api | `http://10.0.0.3:8080/metrics` | **down**: not scraped yet |
    "#]].assert_eq(&print(Format::Markdown));
}

#[test]
fn json() {
    expect![[r#"
        {
          "verdict": "no_go",
          "ok": false,
          "fail": true,
          "status": "red",
          "service": "api",
          "phase": "deployment",
          "evaluated_at": "2027-01-15T08:00:00.000Z",
          "reasons": [
            "api_latency_p95 is 620ms, over 500ms <script>alert('1')</script>|\"\\\n\u001b[31m&`_*"
          ],
          "scrapes": [
            {
              "job": "api",
              "target": "http://10.0.0.1:8080/metrics",
              "up": true,
              "samples": 812,
              "duration_seconds": 0.004,
              "error": null
            },
            {
              "job": "api",
              "target": "http://10.0.0.2:8080/metrics",
              "up": false,
              "samples": 0,
              "duration_seconds": 0.012,
              "error": "malformed: line 3: <script>alert('1')</script>|\"\\\n\u001b[31m&`_*"
            },
            {
              "job": "api",
              "target": "http://10.0.0.3:8080/metrics",
              "up": false,
              "samples": 0,
              "duration_seconds": null,
              "error": "not scraped yet"
            }
          ],
          "checks": [
            {
              "name": "api_latency_p95",
              "signal": "api_latency_p95",
              "role": "target",
              "reading": "value",
              "value": 0.62,
              "unit": "seconds",
              "condition": "< 100ms",
              "outcome": "missed",
              "reason": ""
            },
            {
              "name": "error_rate",
              "signal": "error_rate",
              "role": "target",
              "reading": "value",
              "value": 0.0012,
              "unit": "ratio",
              "condition": "< 1%",
              "outcome": "met",
              "reason": ""
            },
            {
              "name": "latency",
              "signal": "api_latency_p95",
              "role": "trigger",
              "reading": "value",
              "value": 0.62,
              "unit": "seconds",
              "condition": "> 500ms",
              "outcome": "firing",
              "reason": ""
            },
            {
              "name": "errors",
              "signal": "error_rate",
              "role": "trigger",
              "reading": "value",
              "value": 0.0012,
              "unit": "ratio",
              "condition": "> 1%",
              "outcome": "quiet",
              "reason": ""
            },
            {
              "name": "slow",
              "signal": "api_latency_p95",
              "role": "trigger",
              "reading": "value",
              "value": 0.62,
              "unit": "seconds",
              "condition": "> 300ms",
              "outcome": "pending",
              "reason": ""
            },
            {
              "name": "cpu",
              "signal": "cpu",
              "role": "target",
              "reading": "stale",
              "value": null,
              "unit": "ratio",
              "condition": "< 40%",
              "outcome": "unknown",
              "reason": "the targets behind cpu did not answer: <script>alert('1')</script>|\"\\\n\u001b[31m&`_*"
            },
            {
              "name": "odd",
              "signal": "odd",
              "role": "target",
              "reading": "value",
              "value": null,
              "unit": "none",
              "condition": "< 1",
              "outcome": "unknown",
              "reason": ""
            }
          ],
          "would_fire": [
            {
              "do": "rollback",
              "hook": "deployer",
              "because": [
                "latency"
              ],
              "refused_by": "shadow"
            }
          ]
        }
    "#]].assert_eq(&print(Format::Json));
}

#[test]
fn a_targets_text_never_steers_the_terminal() {
    for format in [Format::Table, Format::Json, Format::Junit, Format::Markdown] {
        assert!(!print(format).contains('\u{1b}'), "{format:?}");
    }
    let coloured = show::render(&sample(), Format::Table, true);
    assert!(coloured.contains("\u{1b}[31mfiring\u{1b}[0m"), "{coloured}");
    assert!(!coloured.contains("</script>|\"\\\n"), "{coloured}");
    let last = coloured.lines().last().unwrap();
    assert_eq!(last, "\u{1b}[1m\u{1b}[31mNO GO\u{1b}[0m\u{1b}[0m (red)");
}

#[test]
fn nothing_configured_is_still_a_page() {
    let mut empty = sample();
    empty.targets.clear();
    empty.verdict = Arc::new(VerdictState {
        verdict: Verdict::Unknown,
        status: Status::Unknown,
        phase: String::new(),
        evaluated_at: None,
        reasons: vec!["nothing was judged".into()],
        checks: Vec::new(),
        would_fire: Vec::new(),
    });
    let table = show::render(&empty, Format::Table, false);
    assert_eq!(
        table,
        "api · no phase\n\n- nothing was judged\nUNKNOWN (unknown)\n"
    );
    let junit = show::render(&empty, Format::Junit, false);
    assert!(
        junit.contains("tests=\"1\" failures=\"0\" errors=\"1\""),
        "{junit}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&show::render(&empty, Format::Json, false)).unwrap();
    assert_eq!(json["evaluated_at"], serde_json::Value::Null);
}
