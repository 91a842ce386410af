//! What an evaluation and an append cost: a narrow rule, a wide one, one page into the window.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gated::model::{Labels, TargetId};
use gated::promql::{Expr, Output, Plan};
use gated::rules::World;
use gated::store::Window;

mod service;

use service::{ERROR_RATIO, P95, SPAN, at, group, values, window};

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

fn rules(c: &mut Criterion) {
    let mut window = window(10, 1000);
    let mut group = group();
    let none = Labels::empty();
    let world = World {
        external_labels: &none,
        external_url: "",
        span: &|_| SPAN,
        kept: &|_| Ok(()),
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
