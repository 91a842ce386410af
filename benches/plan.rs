//! What an evaluation and an append cost: a narrow rule, a wide one, one page into the window.

use std::collections::BTreeMap;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gated::model::{Labels, Slot, TargetId, Timestamp};
use gated::promql::{Expr, Output, Plan};
use gated::rules::{AlertTiming, Group, GroupRule, World};
use gated::store::Window;

const BOUNDS: [&str; 12] = [
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf",
];
const SPAN: Duration = Duration::from_secs(5);
const P95: &str =
    "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5s])))";
const ERROR_RATIO: &str =
    r#"sum(rate(http_requests_total{status=~"5.."}[5s])) / sum(rate(http_requests_total[5s]))"#;

/// Pages as a service shows them: of 1000 series 36 histograms of 12 buckets, 400 counters by status, the rest gauges.
fn page(series: usize) -> Vec<Labels> {
    let instance = "10.0.0.1:8080";
    (0..series)
        .map(|i| match i % 1000 {
            n @ 0..432 => Labels::new([
                ("__name__", "http_request_duration_seconds_bucket"),
                ("path", &format!("/api/v1/{}", (i - n) + n / 12)),
                ("le", BOUNDS[n % 12]),
                ("instance", instance),
            ]),
            n @ 432..832 => Labels::new([
                ("__name__", "http_requests_total"),
                ("path", &format!("/api/v1/{}", (i - n) + n / 5)),
                ("status", ["200", "201", "404", "500", "503"][n % 5]),
                ("instance", instance),
            ]),
            n => Labels::new([
                ("__name__", format!("go_gauge_{n}").as_str()),
                ("part", &i.to_string()),
                ("instance", instance),
            ]),
        })
        .collect()
}

#[allow(clippy::cast_precision_loss, reason = "counters of a benchmark")]
fn values(len: usize, scrape: i64) -> Vec<f64> {
    (0..len)
        .map(|i| scrape as f64 * (1 + i % 97) as f64)
        .collect()
}

fn at(scrape: i64) -> Timestamp {
    Timestamp::from_millis(1_785_542_400_000 + scrape * 1000)
}

/// `targets` with `series` each, scraped every second ten times.
fn window(targets: u32, series: usize) -> Window {
    let mut window = Window::default();
    for id in 0..targets {
        let target = TargetId(id);
        window.add_target(target, Duration::from_secs(1));
        for (slot, labels) in (0..).zip(page(series)) {
            let labels = labels.with("instance", &format!("10.0.0.{id}:8080"));
            window.born(target, Slot(slot), labels, SPAN);
        }
    }
    for scrape in 0..10 {
        let values = values(series, scrape);
        for id in 0..targets {
            window.append(TargetId(id), at(scrape), &values, &[]);
        }
    }
    window
}

fn evaluate(c: &mut Criterion, name: &str, window: &Window, text: &str) {
    let mut plan = Plan::new(&Expr::parse(text).expect("written above"));
    plan.refresh(window);
    let mut group = c.benchmark_group("eval");
    group.throughput(Throughput::Elements(plan.matched() as u64));
    group.bench_function(name, |b| {
        b.iter(|| match plan.eval(window, at(9)) {
            Ok(Output::Vector(vector)) => vector.iter().map(|(_, v)| v).sum::<f64>(),
            other => panic!("{other:?}"),
        });
    });
    group.finish();
}

fn plans(c: &mut Criterion) {
    let narrow = window(1, 12);
    evaluate(c, "p95 over 12 series", &narrow, P95);
    evaluate(
        c,
        "rate of 12 series",
        &narrow,
        "sum(rate(http_request_duration_seconds_bucket[5s]))",
    );
    let wide = window(100, 1000);
    evaluate(c, "p95 over 43 k of 100 k", &wide, P95);
    evaluate(c, "error ratio over 40 k of 100 k", &wide, ERROR_RATIO);
    evaluate(
        c,
        "sum of an instant selector, 43 k",
        &wide,
        "sum(http_request_duration_seconds_bucket)",
    );
    let mut group = c.benchmark_group("bind");
    group.sample_size(20);
    group.bench_function("p95 over 43 k of 100 k", |b| {
        let expr = Expr::parse(P95).expect("written above");
        b.iter(|| Plan::new(&expr).refresh(&wide));
    });
    group.finish();
}

fn append(c: &mut Criterion) {
    let series = 10_000;
    let mut window = window(1, series);
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(series as u64));
    let values = values(series, 11);
    let mut scrape = 10;
    group.bench_function("a page of 10 k series", |b| {
        b.iter(|| {
            scrape += 1;
            window.append(TargetId(0), at(scrape), &values, &[]);
        });
    });
    group.finish();
}

/// A thousand rules of a group in one slot, over the series of ten targets: recordings by path, and alerts that read
/// what was recorded.
fn rules(c: &mut Criterion) {
    let mut window = window(10, 1000);
    let interval = Duration::from_secs(1);
    let mut group = Group::new("bench", "bench.yml", interval, Duration::ZERO);
    for number in 0..1000u32 {
        let target = TargetId(1 << 30 | number);
        let path = format!("/api/v1/{}", 87 + (number / 2) % 79);
        let rule = if number % 2 == 0 {
            let text =
                format!("sum by (status) (rate(http_requests_total{{path=\"{path}\"}}[5s]))");
            let expr = Expr::parse(&text).expect("written above");
            GroupRule::record(
                &format!("path:rate:{number}"),
                &expr,
                BTreeMap::new(),
                target,
            )
        } else {
            let text = format!(
                "{{__name__=\"path:rate:{}\",status=\"500\"}} > 1e9",
                number - 1
            );
            let expr = Expr::parse(&text).expect("written above");
            let timing = AlertTiming {
                hold: Duration::from_secs(60),
                keep_firing_for: Duration::ZERO,
            };
            GroupRule::alert("TooMany", &expr, timing, Default::default(), target)
        };
        group.rules.push(rule);
    }
    let none = Labels::empty();
    let world = World {
        external_labels: &none,
        external_url: "",
        span: &|_| SPAN,
    };
    let mut scrape = 9;
    group.eval(&mut window, at(scrape), &world);
    assert_eq!(group.unhealthy().count(), 0);
    c.bench_function("1000 rules in one slot", |b| {
        b.iter(|| {
            scrape += 1;
            // Without new pages there would soon be nothing to evaluate.
            let values = values(1000, scrape);
            for id in 0..10 {
                window.append(TargetId(id), at(scrape), &values, &[]);
            }
            group.eval(&mut window, at(scrape), &world);
        });
    });
    assert_eq!(window.series(), 10 * 1000 + 500 * 5);
}

criterion_group!(benches, plans, append, rules);
criterion_main!(benches);
