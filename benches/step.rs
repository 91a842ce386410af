//! What one landing scrape costs the engine: 30 targets of 330 series each, rules as in a release's first minutes.
//! `quiet`: evaluated, judged, nothing changes. `decides`: the same scrape trips a trigger and a rollback is decided.
//! `day1`: the shipped runbook on its 20th day, with the minutes that it looks back on: a scrape, the end of a minute, and
//! what is shown to people.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use gated::engine::{
    Columns, Engine, Input, Judging, OnDoubt, Receiver, Restored, RollbackMode, RollbackPolicy,
    RolloutPolicy, Scrape, Settings, TargetInfo, ToldRollout, look_back,
};
use gated::model::{Labels, Minutes, Slot, TargetId, Timestamp};
use gated::runbook::{Source, load};

const TARGETS: u32 = 30;
const INTERVAL: i64 = 1000;
const START: i64 = 1_767_225_600_000;
const RULES: &str = r#"
clock = "rollout"
[signals.error_rate]
expr = 'sum(rate(http_requests_total{status=~"5.."}[5s])) / sum(rate(http_requests_total[5s]))'
unit = "ratio"
[signals.latency_p95]
expr = 'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5s])))'
unit = "seconds"
[signals.cpu]
expr = 'avg(cpu_utilization_ratio)'
unit = "ratio"
[[phase]]
name = "canary"
from = "0s"
rollback = "armed"
[phase.targets]
error_rate = "< 0.5%"
latency_p95 = "< 100ms"
cpu = "< 60%"
[[phase.trigger]]
name = "errors"
when = "error_rate > 1%"
for = "0s"
do = "rollback"
severity = "P1"
[[phase.trigger]]
name = "latency"
when = "latency_p95 > 500ms"
for = "30s"
do = "rollback"
severity = "P1"
"#;

fn settings() -> Settings {
    let source = Source {
        path: "rules.toml".into(),
        text: RULES.into(),
    };
    Settings {
        service: "api".into(),
        environment: "production".into(),
        labels: BTreeMap::new(),
        rules: Arc::new(load(&[source]).expect("the rules load")),
        judging: Judging {
            settle: Duration::ZERO,
            ..Judging::default()
        },
        rollback: RollbackPolicy {
            mode: RollbackMode::Armed,
            hook: Some("deployer".into()),
            ..RollbackPolicy::default()
        },
        rollout: RolloutPolicy {
            told: Some(ToldRollout {
                version: "2.0.0".into(),
                previous_version: Some("1.0.0".into()),
                started_at: Some(Timestamp::from_millis(START)),
            }),
            version_from: None,
            go_live: None,
            baseline: Duration::from_secs(600),
        },
        people: gated::engine::People::default(),
        receivers: vec![Receiver {
            name: "deployer".into(),
            give_up_after: Duration::from_secs(86_400),
            events: Vec::new(),
            on_doubt: OnDoubt::Resend,
            confirm_within: None,
        }],
        alerting: None,
        external_url: None,
        retain: None,
        reports: Vec::new(),
        zone: jiff::tz::TimeZone::UTC,
        announcement: None,
        alerts_repeat: Duration::from_secs(4 * 3600),
        preview: None,
    }
}

/// 330 series: 18 routes of 12 buckets and 5 status codes, the rest gauges.
fn page(target: u32) -> Vec<Labels> {
    let instance = format!("10.0.0.{target}:8080");
    let mut all = Vec::new();
    for route in 0..18 {
        let path = format!("/api/v1/{route}");
        for le in [
            "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf",
        ] {
            all.push(Labels::new([
                ("__name__", "http_request_duration_seconds_bucket"),
                ("instance", &instance),
                ("path", &path),
                ("le", le),
            ]));
        }
        for status in ["200", "201", "404", "500", "503"] {
            all.push(Labels::new([
                ("__name__", "http_requests_total"),
                ("instance", &instance),
                ("path", &path),
                ("status", status),
            ]));
        }
    }
    for n in all.len()..330 {
        all.push(Labels::new([
            ("__name__", "cpu_utilization_ratio"),
            ("instance", &instance),
            ("core", &n.to_string()),
        ]));
    }
    all
}

/// The values of a scrape: counters that grow by 10 a second, none of them errors until `faulty`.
fn values(labels: &[Labels], round: i64, faulty: bool) -> Vec<f64> {
    #[allow(clippy::cast_precision_loss, reason = "counters of a benchmark")]
    let grown = round as f64 * 10.0;
    let value = |it: &Labels| match (it.name(), it.get("status"), it.get("le")) {
        ("cpu_utilization_ratio", ..) => 0.2,
        (_, Some("500" | "503"), _) => {
            if faulty {
                grown
            } else {
                0.0
            }
        }
        (_, _, Some("0.005" | "0.01")) => grown * 0.5,
        _ => grown,
    };
    labels.iter().map(value).collect()
}

fn scrape(target: u32, labels: &[Labels], round: i64, faulty: bool) -> Input {
    let born = if round == 0 {
        let slots = labels.iter().enumerate();
        slots
            .map(|(slot, it)| (Slot(u32::try_from(slot).expect("330 slots")), it.clone()))
            .collect()
    } else {
        Vec::new()
    };
    Input::Scraped(Scrape {
        target: TargetId(target),
        at: Timestamp::from_millis(START + round * INTERVAL + i64::from(target)),
        duration: Duration::from_millis(1),
        outcome: Ok(Columns {
            values: values(labels, round, faulty),
            born,
            samples_scraped: 330,
            samples_kept: 330,
            ..Columns::default()
        }),
    })
}

/// An engine after 20 rounds, one target short of the next.
fn ready(pages: &[Vec<Labels>], settings: Settings, restored: Restored) -> Engine {
    let mut out = Vec::new();
    let start = Timestamp::from_millis(START);
    let mut engine = Engine::new(Arc::new(settings), restored, start, &mut out);
    for target in 0..TARGETS {
        let instance = format!("10.0.0.{target}:8080");
        let info = TargetInfo {
            id: TargetId(target),
            job: "api".into(),
            url: format!("http://{instance}/metrics"),
            labels: Labels::new([("job", "api"), ("instance", &instance)]),
            instance,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
        };
        engine.apply(start, Input::Target(info), &mut out);
    }
    for round in 0..20 {
        for target in 0..TARGETS {
            let input = scrape(target, &pages[target as usize], round, false);
            let at = START + round * INTERVAL + i64::from(target);
            engine.apply(Timestamp::from_millis(at), input, &mut out);
            out.clear();
        }
    }
    engine
}

fn steps(c: &mut Criterion) {
    let pages: Vec<Vec<Labels>> = (0..TARGETS).map(page).collect();
    let mut group = c.benchmark_group("step");
    for (name, faulty) in [("quiet", false), ("decides", true)] {
        group.bench_function(name, |b| {
            b.iter_batched(
                || {
                    (
                        ready(&pages, settings(), Restored::default()),
                        scrape(0, &pages[0], 20, faulty),
                    )
                },
                |(mut engine, input)| {
                    let mut out = Vec::new();
                    let at = Timestamp::from_millis(START + 20 * INTERVAL);
                    engine.apply(at, input, &mut out);
                    black_box((engine, out))
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// The runbook 20 days after the go-live, and what its ledger has.
fn runbook() -> (Settings, Restored) {
    let source = Source {
        path: "rules/day1.toml".into(),
        text: include_str!("../rules/day1.toml").into(),
    };
    let start = Timestamp::from_millis(START);
    let mut settings = settings();
    settings.rules = Arc::new(load(&[source]).expect("the rules load"));
    settings.rollout.go_live = Some(start - Duration::from_secs(20 * 86_400));
    let back = look_back(&settings, start);
    let names = settings.rules.signals.iter().map(|it| it.name.clone());
    let minutes = names.chain(["uptime".to_owned()]).filter_map(|signal| {
        let since = back(&signal)?.max(start - Duration::from_secs(20 * 86_400));
        let count = start.since(since).as_secs() / 60;
        let at = |n: u64| since + Duration::from_secs(60 * n);
        let values: Vec<(Timestamp, f64)> = (1..=count).map(|n| (at(n), 1.0)).collect();
        let (since, until) = (at(1), at(count));
        Some(Minutes {
            signal,
            since,
            until,
            values,
        })
    });
    let minutes = minutes.collect();
    let restored = Restored {
        minutes,
        ..Restored::default()
    };
    (settings, restored)
}

fn day1(c: &mut Criterion) {
    let of_job = |target| {
        let labels = page(target).into_iter();
        labels.map(|it| it.with("job", "api")).collect()
    };
    let pages: Vec<Vec<Labels>> = (0..TARGETS).map(of_job).collect();
    let (settings, restored) = runbook();
    let mut engine = ready(&pages, settings, restored);
    let mut group = c.benchmark_group("day1");
    let (mut out, mut round, mut at) = (Vec::new(), 20, START + 20 * INTERVAL);
    group.bench_function("a scrape", |b| {
        b.iter(|| {
            round += 1;
            at += INTERVAL;
            let input = scrape(0, &pages[0], round, false);
            engine.apply(Timestamp::from_millis(at), input, &mut out);
            out.clear();
        });
    });
    group.bench_function("a minute", |b| {
        b.iter(|| {
            at += 60_000;
            engine.advance(Timestamp::from_millis(at), &mut out);
            out.clear();
        });
    });
    group.bench_function("what is shown", |b| {
        b.iter(|| black_box(engine.snapshot(Timestamp::from_millis(at))));
    });
    group.finish();
}

criterion_group!(benches, steps, day1);
criterion_main!(benches);
