//! What the benchmarks look at: a service's pages, its rules, and a window that holds them.
#![allow(dead_code, reason = "each benchmark uses its part")]

use std::collections::BTreeMap;
use std::time::Duration;

use gated::model::{Labels, Slot, TargetId, Timestamp};
use gated::promql::Expr;
use gated::rules::{AlertTiming, Group, GroupRule};
use gated::store::Window;

const BOUNDS: [&str; 12] = [
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf",
];
pub const SPAN: Duration = Duration::from_secs(5);
pub const P95: &str =
    "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5s])))";
pub const ERROR_RATIO: &str =
    r#"sum(rate(http_requests_total{status=~"5.."}[5s])) / sum(rate(http_requests_total[5s]))"#;

/// Pages as a service shows them: of 1000 series 36 histograms of 12 buckets, 400 counters by status, the rest gauges.
pub fn page(series: usize) -> Vec<Labels> {
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
pub fn values(len: usize, scrape: i64) -> Vec<f64> {
    (0..len)
        .map(|i| scrape as f64 * (1 + i % 97) as f64)
        .collect()
}

pub fn at(scrape: i64) -> Timestamp {
    Timestamp::from_millis(1_785_542_400_000 + scrape * 1000)
}

/// `targets` with `series` each, scraped every second ten times.
pub fn window(targets: u32, series: usize) -> Window {
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

/// A thousand rules of a group, by name and expression: recordings by path (`record`), and alerts that read what was
/// recorded.
pub fn thousand() -> impl Iterator<Item = (bool, String, String)> {
    (0..1000).map(|number| {
        let path = format!("/api/v1/{}", 87 + (number / 2) % 79);
        if number % 2 == 0 {
            let text =
                format!("sum by (status) (rate(http_requests_total{{path=\"{path}\"}}[5s]))");
            (true, format!("path:rate:{number}"), text)
        } else {
            let of = number - 1;
            let text = format!("{{__name__=\"path:rate:{of}\",status=\"500\"}} > 1e9");
            (false, "TooMany".to_owned(), text)
        }
    })
}

/// They, ready to be evaluated.
pub fn group() -> Group {
    let interval = Duration::from_secs(1);
    let mut group = Group::new("bench", "bench.yml", interval, Duration::ZERO);
    for (number, (record, name, text)) in (0_u32..).zip(thousand()) {
        let target = TargetId(1 << 30 | number);
        let expr = Expr::parse(&text).expect("written above");
        group.rules.push(if record {
            GroupRule::record(&name, &expr, BTreeMap::new(), target)
        } else {
            let timing = AlertTiming {
                hold: Duration::from_secs(60),
                keep_firing_for: Duration::ZERO,
            };
            GroupRule::alert(&name, &expr, timing, Default::default(), target)
        });
    }
    group
}
