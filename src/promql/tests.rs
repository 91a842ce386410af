//! What the room promises as a whole: refusals by name and place, bounds, and the faults a page can bring.

use std::fmt::Write as _;
use std::time::Duration;

use crate::model::{Labels, STALE, Slot, TargetId, Timestamp};
use crate::store::Window;

use super::{BYTES_MAX, Expr, Output, Plan, TOKENS_MAX};

const SPAN: Duration = Duration::from_secs(600);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// A target that shows `series` (`name` or `name{le}` and values) every ten seconds from zero.
fn window(series: &[(&str, &[f64])]) -> Window {
    let mut window = Window::default();
    add(&mut window, TargetId(0), series);
    window
}

fn add(window: &mut Window, target: TargetId, series: &[(&str, &[f64])]) {
    window.add_target(target, Duration::from_secs(10));
    for (slot, (text, _)) in (0..).zip(series) {
        let (name, le) = text.split_once('@').unwrap_or((text, ""));
        let labels = Labels::new([("__name__", name), ("le", le)]);
        window.born(target, Slot(slot), labels, SPAN);
    }
    for scrape in 0..series[0].1.len() {
        let page: Vec<f64> = series.iter().map(|(_, values)| values[scrape]).collect();
        window.append(target, at(i64::try_from(scrape).unwrap() * 10), &page, &[]);
    }
}

fn values(window: &Window, text: &str, seconds: i64) -> Result<Vec<f64>, String> {
    let mut plan = Plan::new(&Expr::parse(text).unwrap());
    match plan.eval(window, at(seconds)) {
        Ok(Output::Scalar(value)) => Ok(vec![value]),
        Ok(Output::Vector(vector)) => Ok(vector.iter().map(|(_, value)| value).collect()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn what_is_not_evaluated_is_refused_by_name_and_place() {
    for (text, feature, place) in [
        ("sum(HISTOGRAM_AVG(x))", "there is no function", ""),
        ("histogram_avg(x)", "`histogram_avg`", "histogram_avg"),
        (
            "rate(x[5m + steps()])",
            "steps in duration expressions",
            "steps",
        ),
        ("integral(x[5m])", "`integral`", "integral"),
    ] {
        let error = Expr::parse(text).unwrap_err();
        assert!(error.message.contains(feature), "{text}: {error}");
        if !place.is_empty() {
            assert!(
                error.message.ends_with("not evaluated by gated yet"),
                "{error}"
            );
            assert_eq!(&text[error.span.unwrap()], place, "{text}");
        }
    }
}

#[test]
fn anchored_and_smoothed_stand_behind_a_selector() {
    for (text, pretty) in [
        ("rate(x[5m] anchored)", "rate(x[5m] anchored)"),
        (
            "rate(x[5m] offset 1m ANCHORED)",
            "rate(x[5m] anchored offset 1m)",
        ),
        (
            "delta(x{a=\"}\",b!=\"c\"}[5m] @ end() smoothed offset -1m)",
            "delta(x{a=\"}\",b!=\"c\"}[5m] smoothed @ end() offset -1m)",
        ),
        ("x smoothed @ 17", "x smoothed @ 17.000"),
        ("{a=\"b\"} smoothed", "{a=\"b\"} smoothed"),
        ("x{} anchored", "x anchored"),
    ] {
        assert!(Expr::parse(text).is_ok(), "{text}: {:?}", Expr::parse(text));
        assert_eq!(super::pretty(text).unwrap(), pretty, "{text}");
        assert_eq!(super::pretty(pretty).unwrap(), pretty);
    }
    for (text, message) in [
        ("rate(x[5m:] anchored)", "`anchored` is not for subqueries"),
        (
            "x anchored smoothed",
            "`smoothed` stands behind another such word",
        ),
        (
            "deriv(x[5m] anchored)",
            "`anchored` can only be used with: changes, delta, increase, rate, resets - not with deriv",
        ),
        ("sum(x) anchored", "not a PromQL expression"),
        ("{} smoothed", "at least one non-empty matcher"),
    ] {
        let error = Expr::parse(text).unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
    // What stands before the range is needed too.
    let expr = Expr::parse("rate(x[1m] anchored offset 1m) + y smoothed").unwrap();
    let history: Vec<u64> = (expr.selectors().iter().map(|(_, it)| it.as_secs())).collect();
    assert_eq!(history, [420, 300]);
}

#[test]
fn durations_may_ask_for_the_step_and_the_range_of_a_query() {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let range = |text: &str| {
        let expr = Expr::parse_within(text, minutes(1), minutes(30)).unwrap();
        expr.longest_range()
    };
    for (text, expected) in [
        ("rate(x[step()])", 1),
        ("rate(x[max_of(step(), 5m)])", 5),
        ("rate(x[min(step(), 5m) * 2])", 2),
        ("rate(x[range() - 5m])", 25),
        ("rate(x[1m] offset step())", 2),
        ("rate(x[5m] offset -min_of(step(), range()))", 4),
    ] {
        assert_eq!(range(text), minutes(expected), "{text}");
    }
    // A rule is an instant query, which has no step.
    let error = Expr::parse("rate(x[step()])").unwrap_err();
    assert_eq!(error.message, "duration must be greater than 0");
    assert!(Expr::parse("rate(x[5m + step()]) + step()").is_ok());
}

#[test]
fn faults_are_found_where_they_stand() {
    for (text, message, place) in [
        ("sum(rate(x[5m])", "`(` is never closed", Some(3..4)),
        ("sum(x))", "`)` closes nothing", Some(6..7)),
        ("x{a=\"b}", "the string is never closed", Some(4..5)),
        ("x ? y", "`?` has no meaning in PromQL", Some(2..3)),
        ("nosuch(x)", "there is no function `nosuch`", Some(0..6)),
        ("1 +", "an operand is missing after this", Some(2..3)),
        ("1 2", "an operator is missing before this", Some(2..3)),
        ("x{a=~\"(\"}", "unclosed group", Some(6..7)),
        ("x[5m]", "a range has many values", Some(0..5)),
        ("\"text\"", "a string is not a value to judge", Some(0..6)),
        (
            "x{a=\"\\xff\"}",
            "an escape that stands for a byte",
            Some(5..7),
        ),
        ("rate(x[5m - 5m])", "greater than 0", Some(7..14)),
        ("x offset (1 + )", "this is no duration", Some(14..15)),
        (
            "max_over_time(x[100d:1s])",
            "a subquery of 8640000 steps",
            Some(20..21),
        ),
        (
            "max_over_time(max_over_time(x[1h:1s])[1h:1s])",
            "within each other of 12967201 steps",
            None,
        ),
        ("1 > 2", "comparisons between scalars must use BOOL", None),
        ("{a=~\".*\"}", "at least one non-empty matcher", None),
        ("", "no expression found", None),
    ] {
        let error = Expr::parse(text).unwrap_err();
        assert!(error.message.contains(message), "{text}: {error}");
        if place.is_some() {
            assert_eq!(error.span, place, "{text}");
        }
    }
}

/// The mistakes people make, with the words that are marked and what to do.
#[test]
fn common_mistakes_are_named_and_marked() {
    let mut said = String::new();
    for text in [
        "up{job=\"a\" instance=\"b\"}",
        "up{job \"a\"}",
        "up{job==\"a\"}",
        "up{job=a}",
        "up{job=}",
        "up{job}",
        "sum(up) by job",
        "sum by job (up)",
        "up by (job)",
        "rate(x[5m]) by (job)",
        "a == 1 || b == 1",
        "sum by (job instance) (up)",
        "sum by (job=\"a\") (up)",
        "a / b on(job)",
        "on(job) a / b",
        "a / on job b",
        "a b",
        "sum(a) b",
        "sum(a b)",
        "a = 1",
        "a =~ \"x\"",
        "a + * b",
        "(a +)",
        "a and and b",
        "a >",
        "max(a,)",
        "raet(x[5m])",
        "sum(rate(x[5m]) / nosuchthing(x)",
        "nosuchthing(x)",
        "foo[5x]",
        "rate(foo[1h9999999999s])",
        "rate(foo[1e30])",
        "rate(foo[1e30 * 2])",
        "foo offset 1e30",
        "rate(foo[5mm])",
        "foo offset 5x",
        "rate(foo[])",
        "x{a=~\"b(c\"}",
        "x{b=~\"c\", a!~\"*b\"}",
        "round(x, 1, 2)",
        "histogram_quantile(0.9)",
        "rate(x)",
        "abs(x[5m])",
        "sum(x",
        "rate(x[5m)",
        "a[5m",
        "rate(a[300000y])",
        "a offset 300y",
        "a if b",
        "a == 1 && b == 1",
        "sum(rate(a[5m])) by (job) > 1 by (x)",
    ] {
        let error = Expr::parse(text).expect_err(text);
        let place = error.span.clone().map_or("-", |it| &text[it]);
        let _ = writeln!(said, "{text}\n  {place} | {error} | {}", error.help());
    }
    expect_test::expect_file!["../../tests/data/promql_faults.txt"].assert_eq(&said);
}

/// What is looked for in a fault must not be found in what is right.
#[test]
fn every_function_that_may_be_meant_exists() {
    for name in super::explain::FUNCTIONS {
        let message = Expr::parse(&format!("{name}()")).map(|_| String::new());
        let message = message.unwrap_or_else(|error| error.message);
        assert!(
            !message.contains("there is no function"),
            "{name}: {message}"
        );
    }
}

#[test]
fn long_texts_are_refused_before_they_are_parsed() {
    let sum = |terms: usize| vec!["1"; terms].join("+");
    assert!(Expr::parse(&sum(TOKENS_MAX / 10)).is_ok());
    let error = Expr::parse(&sum(TOKENS_MAX)).unwrap_err();
    let said = format!("more than {TOKENS_MAX} tokens; split it into recording rules");
    assert!(error.message.contains(&said), "{error}");
    let error = Expr::parse(&format!("x{{a=\"{}\"}}", "b".repeat(BYTES_MAX))).unwrap_err();
    assert!(error.message.contains("65536 at most"), "{error}");
}

#[test]
fn selectors_say_how_much_history_they_need() {
    let secs = Duration::from_secs;
    let expr = Expr::parse(
        "rate(a[20s] offset 5s) + on() b offset 1m > c or {__name__=\"d.e\",f!=\"\"} offset -1m",
    )
    .unwrap();
    let selectors = expr.selectors();
    let told: Vec<_> = selectors
        .iter()
        .map(|(m, span)| (m.name(), *span))
        .collect();
    let wanted = [
        (Some("a"), secs(25)),
        (Some("b"), secs(360)),
        (Some("c"), secs(0)),
        (Some("d.e"), secs(0)),
    ];
    assert_eq!(told, wanted);
    assert_eq!(expr.longest_range(), secs(25));
    let labels = |f| Labels::new([("__name__", "d.e"), ("f", f)]);
    assert!(selectors[3].0.matches(&labels("x")) && !selectors[3].0.matches(&labels("")));
    assert_eq!(Expr::parse("up == 0").unwrap().longest_range(), secs(0));
    let rate = |text: &str| Expr::parse(text).unwrap().shortest_rate();
    assert_eq!(
        rate("sum(rate(a[15s])) / sum(increase(b[2m]))"),
        Some(secs(15))
    );
    assert_eq!(
        rate("max_over_time(a[15s]) > 0 and deriv(b[20s]) > 1"),
        Some(secs(20))
    );
    // One sample is enough, or the steps are no scrapes.
    assert_eq!(rate("max_over_time(a[15s]) + a"), None);
    assert_eq!(rate("max_over_time(rate(a[15s])[1m:5s])"), None);
}

/// F3: NaN is data, and no comparison but `!=` holds for it.
#[test]
fn comparisons_with_nan() {
    let window = window(&[("x", &[f64::NAN])]);
    for op in ["==", ">", ">=", "<", "<="] {
        assert_eq!(values(&window, &format!("x {op} 1"), 0), Ok(vec![]));
        assert_eq!(values(&window, &format!("x {op} bool 1"), 0), Ok(vec![0.0]));
    }
    assert_eq!(values(&window, "x != bool 1", 0), Ok(vec![1.0]));
    assert!(values(&window, "x", 0).unwrap()[0].is_nan());
}

/// F4, F5: infinities and divisions by zero are computed as IEEE 754 has them.
#[test]
fn infinities_and_zero_denominators() {
    let window = window(&[
        ("huge", &[f64::INFINITY]),
        ("zero", &[0.0]),
        ("one", &[1.0]),
    ]);
    let value = |text| values(&window, text, 0).unwrap()[0];
    assert!(value("sum(zero) / sum(zero)").is_nan());
    assert!(value("sum(huge) - sum(huge)").is_nan());
    assert_eq!(
        value("sum(one) / sum(zero)").to_bits(),
        f64::INFINITY.to_bits()
    );
    assert_eq!(
        value("avg({__name__=~\"huge|one\"})").to_bits(),
        f64::INFINITY.to_bits()
    );
    assert_eq!(value("-sum(huge)").to_bits(), f64::NEG_INFINITY.to_bits());
}

/// F8, F9: a counter that falls was reset; jumps overflow nothing.
#[test]
fn resets_and_jumps() {
    let window = window(&[
        ("reset", &[10.0, 20.0, 5.0, 15.0]),
        ("jump", &[0.0, 1e18, 2e18, 1.0]),
        ("wrap", &[1.7e308, 0.0, 1.7e308, 0.0]),
    ]);
    // 5 counted afresh: (10) + 5 + 10 over 30 s, nothing to stretch to.
    assert_eq!(
        values(&window, "increase(reset[30s001ms])", 30),
        Ok(vec![25.0 * 30.001 / 30.0])
    );
    assert_eq!(values(&window, "resets(reset[40s])", 30), Ok(vec![1.0]));
    assert!(values(&window, "rate(jump[40s])", 30).unwrap()[0] > 4e16);
    assert_eq!(
        values(&window, "increase(wrap[40s])", 30),
        Ok(vec![f64::INFINITY])
    );
}

/// F15: falling buckets are raised, without `+Inf` there is no quantile, one bound in two spellings is one bucket.
#[test]
fn damaged_histograms() {
    let quantile = |buckets: &[(&str, f64)]| {
        let names: Vec<String> = buckets.iter().map(|(le, _)| format!("b@{le}")).collect();
        let counts: Vec<[f64; 1]> = buckets.iter().map(|(_, count)| [*count]).collect();
        let series: Vec<(&str, &[f64])> = names
            .iter()
            .zip(&counts)
            .map(|(name, count)| (name.as_str(), &count[..]))
            .collect();
        values(&window(&series), "histogram_quantile(0.5, b)", 0).unwrap()
    };
    assert_eq!(quantile(&[("1", 5.0), ("2", 10.0), ("+Inf", 10.0)]), [1.0]);
    assert_eq!(quantile(&[("1", 10.0), ("2", 4.0), ("+Inf", 10.0)]), [0.5]);
    assert!(quantile(&[("1", 5.0), ("2", 10.0)])[0].is_nan());
    assert!(quantile(&[("1", 0.0), ("+Inf", 0.0)])[0].is_nan());
    assert_eq!(quantile(&[("1", 0.0), ("2", 0.0), ("+Inf", 9.0)]), [2.0]);
    assert_eq!(
        quantile(&[("1", 2.0), ("1.0", 2.0), ("2", 8.0), ("+Inf", 8.0)]),
        [1.0]
    );
    assert_eq!(quantile(&[("", 3.0), ("x", 3.0)]), [0.0; 0]);
}

/// A target that is replaced by one with the same labels continues its series instead of doubling them.
#[test]
fn a_replaced_target_is_not_counted_twice() {
    let mut window = window(&[("x", &[10.0, 20.0, 30.0])]);
    window.remove_target(TargetId(0), at(25));
    let mut plan = Plan::new(&Expr::parse("sum(x)").unwrap());
    assert!(matches!(plan.eval(&window, at(25)), Ok(Output::Vector(v)) if v.iter().count() == 0));
    assert_eq!((plan.targets(), plan.matched()), (&[][..], 1));
    let next = TargetId(1);
    window.add_target(next, Duration::from_secs(10));
    window.born(next, Slot(0), Labels::new([("__name__", "x")]), SPAN);
    window.append(next, at(30), &[40.0], &[]);
    window.append(next, at(40), &[50.0], &[]);
    assert_eq!(values(&window, "sum(increase(x[50s]))", 40), Ok(vec![50.0]));
    assert_eq!(values(&window, "count(x)", 40), Ok(vec![1.0]));
    assert!(plan.refresh(&window) && !plan.refresh(&window));
    assert!(plan.has_target(next) && !plan.has_target(TargetId(0)));
}

/// A plan binds afresh only when series of the names it fixes come or go.
#[test]
fn other_names_do_not_bind_a_plan_afresh() {
    let mut window = window(&[("x", &[1.0])]);
    let mut named = Plan::new(&Expr::parse("sum(x)").unwrap());
    let mut any = Plan::new(&Expr::parse("sum({le=\"\",__name__!=\"\"})").unwrap());
    assert!(named.refresh(&window) && any.refresh(&window));
    window.born(TargetId(0), Slot(1), Labels::new([("__name__", "y")]), SPAN);
    window.append(TargetId(0), at(10), &[1.0, 2.0], &[]);
    assert!(!named.refresh(&window) && any.refresh(&window));
    let labels = Labels::new([("__name__", "x"), ("a", "b")]);
    window.born(TargetId(0), Slot(2), labels, SPAN);
    assert!(named.refresh(&window));
}

/// An error of many present elements passes when only one is left.
#[test]
fn crowded_matches_fail_only_while_both_are_present() {
    let mut window = window(&[("x", &[1.0]), ("y@1", &[2.0]), ("y@2", &[3.0])]);
    let mut plan = Plan::new(&Expr::parse("x * on() group_left(le) y").unwrap());
    let error = plan.eval(&window, at(0)).unwrap_err();
    assert!(error.to_string().contains("many-to-many"), "{error}");
    window.append(TargetId(0), at(10), &[1.0, STALE, 3.0], &[]);
    match plan.eval(&window, at(10)) {
        Ok(Output::Vector(vector)) => {
            let got: Vec<(String, f64)> = vector.iter().map(|(l, v)| (l.to_string(), v)).collect();
            assert_eq!(got, [("{le=\"2\"}".to_owned(), 3.0)]);
        }
        other => panic!("{other:?}"),
    }
}
