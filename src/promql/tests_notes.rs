//! What Prometheus says beside results, and where it points.

use std::time::Duration;

use crate::model::{Labels, Slot, TargetId, Timestamp};
use crate::store::Window;

use super::{Expr, Plan};

const COUNTER: &str =
    "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
const SHARE: &str = "PromQL warning: quantile value should be between 0 and 1, got";
const LE: &str = "PromQL warning: bucket label \"le\" is missing or has a malformed value of";
const RAISED: &str = "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";

/// Each series (`name@le`) stays as it is from scrape to scrape, one in ten seconds.
fn window(series: &[(&str, f64)], scrapes: i64) -> Window {
    let mut window = Window::default();
    window.add_target(TargetId(0), Duration::from_secs(10));
    for (slot, (text, _)) in (0..).zip(series) {
        let (name, le) = text.split_once('@').unwrap_or((text, ""));
        let labels = Labels::new([("__name__", name), ("le", le)]);
        window.born(TargetId(0), Slot(slot), labels, Duration::from_secs(600));
    }
    let page: Vec<f64> = series.iter().map(|(_, value)| *value).collect();
    for scrape in 0..scrapes {
        let at = Timestamp::from_millis(scrape * 10_000);
        window.append(TargetId(0), at, &page, &[]);
    }
    window
}

fn told(plan: &mut Plan, window: &Window) -> Vec<String> {
    plan.eval(window, Timestamp::from_millis(20_000)).unwrap();
    plan.notes().into_iter().map(|note| note.text).collect()
}

#[track_caller]
fn check(window: &Window, text: &str, wanted: &[String]) {
    let mut plan = Plan::new(&Expr::parse(text).unwrap());
    assert_eq!(told(&mut plan, window), wanted, "{text}");
    // Of the last evaluation, and no more of two than of one.
    assert_eq!(told(&mut plan, window), wanted, "{text}");
}

#[test]
fn rates_of_gauges_with_samples() {
    let window = window(&[("foo", 1.0), ("bar", 1.0), ("x_total", 1.0)], 3);
    let gauge = |name: &str, place: &str| format!("{COUNTER} \"{name}\" ({place})");
    check(&window, "rate(foo[1m])", &[gauge("foo", "1:6")]);
    check(&window, "rate(nope[1m])", &[]);
    check(&window, "rate(x_total[1m])", &[]);
    check(&window, "irate(foo[1m])", &[]);
    check(&window, "foo and rate(foo[1m])", &[gauge("foo", "1:14")]);
    check(
        &window,
        "scalar(rate(nope[1m])) * rate(foo[1m]) + on()\n  increase((bar[1m]))",
        &[gauge("foo", "1:31"), gauge("bar", "2:13")],
    );
}

#[test]
fn names_of_gauges_are_those_of_the_series() {
    let window = window(&[("foo", 1.0), ("x_total", 1.0)], 3);
    let gauge = format!("{COUNTER} \"foo\" (1:12)");
    check(
        &window,
        "count(rate({__name__=\"foo\"}[1m]))",
        std::slice::from_ref(&gauge),
    );
    check(&window, "count(rate(foo[1m:10s]))", &[gauge]);
}

#[test]
fn quantiles_that_are_no_shares() {
    let window = window(&[("two", 2.0), ("half", 0.5)], 3);
    let share = |value: &str, place: &str| format!("{SHARE} {value} ({place})");
    check(
        &window,
        "quantile(scalar(two), half)",
        &[share("2", "1:10")],
    );
    check(&window, "quantile(scalar(half), half)", &[]);
    check(
        &window,
        "quantile by (le) (scalar(nope), half)",
        &[share("NaN", "1:19")],
    );
    check(
        &window,
        "quantile_over_time(scalar(two) * Inf, half[1m])",
        &[share("+Inf", "1:20")],
    );
    check(&window, "quantile_over_time(2, nope[1m])", &[]);
    check(
        &window,
        "quantile(0.5, half) + histogram_quantile((-1), nope) + quantile(-2, half)",
        &[share("-1", "1:43"), share("-2", "1:65")],
    );
}

#[test]
fn ratios_beyond_one() {
    let window = window(&[("a", 1.0), ("two", 2.0)], 3);
    let ratio = |value: &str, cap: i32, place: &str| {
        format!(
            "PromQL warning: ratio value should be between -1 and 1, got {value}, capping to {cap} ({place})"
        )
    };
    check(&window, "limit_ratio(2, a)", &[ratio("2", 1, "1:13")]);
    check(&window, "limit_ratio(-2, a)", &[ratio("-2", -1, "1:13")]);
    check(
        &window,
        "limit_ratio(1, a) or limit_ratio by (le) (-scalar(two) * 1e6, nope)",
        &[ratio("-2e+06", -1, "1:43")],
    );
    check(&window, "limit_ratio(-1, a)", &[]);
    let expr = Expr::parse("limit_ratio(1.5, a)").unwrap();
    assert_eq!(expr.notes()[0].text, ratio("1.5", 1, "1:13"));
}

#[test]
fn buckets_that_are_none_or_fall() {
    let window = window(
        &[
            ("h@x", 1.0),
            ("g", 1.0),
            ("f@1", 2.0),
            ("f@2", 1.0),
            ("f@+Inf", 2.0),
        ],
        3,
    );
    check(
        &window,
        "histogram_quantile(0.5, h) or histogram_fraction(0, 1, g)",
        &[
            format!("{LE} \"x\" for metric name \"h\" (1:25)"),
            format!("{LE} \"\" for metric name \"g\" (1:56)"),
        ],
    );
    check(
        &window,
        "histogram_quantile(0.5, sum by (le) (h))",
        &[format!("{LE} \"x\" (1:25)")],
    );
    check(
        &window,
        "max_over_time(histogram_quantile(0.5, f)[20s:10s])",
        &[format!("{RAISED} (1:39)")],
    );
    check(&window, "histogram_quantile(0.5, nope)", &[]);
}

/// What was said of one evaluation is not said of the next.
#[test]
fn notes_pass_with_what_they_were_said_of() {
    let mut window = window(&[("share", 2.0), ("x", 1.0)], 3);
    let mut plan = Plan::new(&Expr::parse("quantile(scalar(share), x)").unwrap());
    assert_eq!(told(&mut plan, &window).len(), 1);
    window.append(
        TargetId(0),
        Timestamp::from_millis(20_001),
        &[0.5, 1.0],
        &[],
    );
    plan.eval(&window, Timestamp::from_millis(21_000)).unwrap();
    assert!(plan.notes().is_empty());
    let mut all = plan.notes();
    told(&mut plan, &window);
    plan.note(&mut all);
    plan.note(&mut all);
    assert_eq!(all.len(), 1);
}
