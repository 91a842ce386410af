//! Where Prometheus and the parser crate, or Prometheus and first thoughts, part: each answer here is Prometheus'.

use crate::model::{Labels, Slot, TargetId, Timestamp};
use crate::store::Window;

use super::{Expr, Output, Plan, pretty, text};

/// Series as `name{label=value,…} sample`, all of one scrape at zero.
fn window(series: &[(&str, f64)]) -> Window {
    let mut window = Window::default();
    let hour = std::time::Duration::from_secs(3600);
    window.add_target(TargetId(0), hour);
    for (slot, (series, _)) in (0..).zip(series) {
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let pairs = labels.trim_end_matches('}').split(',');
        let pairs = pairs.filter_map(|pair| pair.split_once('='));
        let labels = Labels::new([("__name__", name)].into_iter().chain(pairs));
        window.born(TargetId(0), Slot(slot), labels, hour);
    }
    let page: Vec<f64> = series.iter().map(|(_, value)| *value).collect();
    window.append(TargetId(0), Timestamp::from_millis(0), &page, &[]);
    window
}

/// The result as text: `{labels} value` in their order, or why there is none.
fn told(window: &Window, text: &str) -> String {
    let mut plan = match Expr::parse(text) {
        Ok(expr) => Plan::new(&expr),
        Err(error) => return format!("refused: {error}"),
    };
    match plan.eval(window, Timestamp::from_millis(0)) {
        Err(error) => format!("failed: {error}"),
        Ok(Output::Scalar(value)) => value.to_string(),
        Ok(Output::Vector(vector)) => {
            let mut all: Vec<String> = vector.iter().map(|(l, v)| format!("{l} {v}")).collect();
            all.sort();
            all.join("; ")
        }
    }
}

#[track_caller]
fn check(window: &Window, cases: &[(&str, &str)]) {
    for (text, wanted) in cases {
        assert_eq!(told(window, text), *wanted, "{text}");
    }
}

#[track_caller]
fn refused(cases: &[(&str, &str, &str)]) {
    for (text, message, place) in cases {
        let error = Expr::parse(text).expect_err(text);
        assert!(error.message.contains(message), "{text}: {error}");
        let span = error.span.clone().unwrap_or_default();
        assert_eq!(&text[span], *place, "{text}: {error}");
    }
}

#[test]
fn raw_strings_hold_backslashes() {
    let window = window(&[("p{q=a.b}", 1.0), ("p{q=axb}", 2.0), ("p{q=a\\\"\n}", 3.0)]);
    check(
        &window,
        &[
            (r"p{q=~`a\.b`}", "p{q=\"a.b\"} 1"),
            (r"p{q=~`\w+`}", "p{q=\"axb\"} 2"),
            ("count(p{q=`a\\\"\n`} or p{q!~`\\w+.*`})", "{} 1"),
            (
                r#"label_replace(p{q="axb"}, "z", "$1", "q", `(\w).*`)"#,
                "p{q=\"axb\",z=\"a\"} 2",
            ),
        ],
    );
    assert_eq!(text(r"`\d`").as_deref(), Some(r"\d"));
    assert_eq!(pretty(r"p{q=~`\d`}").unwrap(), r#"p{q=~"\\d"}"#);
    refused(&[
        (
            r"p{q=~`a\.b`} + nosuch(p)",
            "no function `nosuch`",
            "nosuch",
        ),
        (r"p{q=~`\w(`}", "regex", r"`\w(`"),
    ]);
}

/// What lies in a bucket without an end counts as lying at its finite bound.
#[test]
fn fractions_of_buckets_without_an_end() {
    let window = window(&[
        ("hf{le=1}", 2.0),
        ("hf{le=10}", 6.0),
        ("hf{le=+Inf}", 10.0),
        ("hn{le=-2}", 2.0),
        ("hn{le=2}", 6.0),
        ("hn{le=+Inf}", 10.0),
        ("falls{le=1}", 10.0),
        ("falls{le=2}", 4.0),
        ("falls{le=+Inf}", 5.0),
        ("only{le=+Inf}", 5.0),
    ]);
    check(
        &window,
        &[
            ("histogram_fraction(0, 20, hf)", "{} 0.6"),
            ("histogram_fraction(-Inf, 20, hf)", "{} 0.6"),
            ("histogram_fraction(20, +Inf, hf)", "{} 0.4"),
            ("histogram_fraction(-1, 0.5, hf)", "{} 0.1"),
            ("histogram_fraction(-5, 0, hn)", "{} 0.2"),
            ("histogram_fraction(-5, 2, hn)", "{} 0.4"),
            ("histogram_fraction(-Inf, -2.5, hn)", "{} 0.2"),
            ("histogram_fraction(-2.5, +Inf, hn)", "{} 0.8"),
            ("histogram_fraction(-Inf, +Inf, hn)", "{} 1"),
            // No share is more than all.
            ("histogram_fraction(0, 1, falls)", "{} 1"),
            ("histogram_fraction(0, 5, only)", "{} 0"),
            ("histogram_fraction(0, +Inf, only)", "{} 1"),
        ],
    );
}

/// Buckets of different names are different histograms, whose results may carry equal labels.
#[test]
fn histograms_keep_their_names_apart() {
    let window = window(&[
        ("h1_bucket{le=1}", 1.0),
        ("h1_bucket{le=+Inf}", 2.0),
        ("h2_bucket{le=1}", 3.0),
        ("h2_bucket{le=+Inf}", 3.0),
    ]);
    let crowded = "failed: vector cannot contain metrics with the same labelset";
    let both = "{__name__=~\"h1_bucket|h2_bucket\"}";
    for text in [
        format!("histogram_quantile(0.5, {both})"),
        format!("histogram_fraction(0, 1, {both})"),
        format!("histogram_quantiles({both}, \"q\", 0.1, 0.9)"),
        format!("histogram_quantile(0.5, sum by (le, __name__) ({both}))"),
    ] {
        check(&window, &[(&text, crowded)]);
    }
    check(
        &window,
        &[
            (
                "histogram_quantile(0.25, {__name__=\"h1_bucket\"})",
                "{} 0.5",
            ),
            (
                "histogram_quantile(0.5, sum by (le) ({le!=\"\"}))",
                "{} 0.625",
            ),
        ],
    );
}

#[test]
fn patterns_are_those_of_go() {
    let window = window(&[
        ("p{q=é}", 1.0),
        ("p{q=a&&b}", 2.0),
        ("p{q=a[b}", 3.0),
        ("p{q=café}", 4.0),
        ("p{q=a{b}}", 5.0),
        ("p{q=}", 6.0),
    ]);
    check(
        &window,
        &[
            (r#"p{q=~"\\w+"}"#, ""),
            (r#"p{q=~"a[&&]+b"}"#, "p{q=\"a&&b\"} 2"),
            (r#"p{q=~"a[[]b"}"#, "p{q=\"a[b\"} 3"),
            (r#"p{q=~"\\Qcafe\\E|\\Qcafé\\E"}"#, "p{q=\"café\"} 4"),
            (r#"p{q!~"[^[]+"}"#, "p 6; p{q=\"a[b\"} 3"),
            (r#"{q=~"[[]*",__name__="p"}"#, "p 6"),
            (
                r#"label_replace(p{q="a[b"}, "z", "$1", "q", "a([[])b")"#,
                "p{q=\"a[b\",z=\"[\"} 3",
            ),
        ],
    );
    refused(&[
        (
            r#"p{q=~"x{1001}"}"#,
            "invalid repeat count: `{1001}`",
            r#""x{1001}""#,
        ),
        (
            r#"p{q!~"c**"}"#,
            "invalid nested repetition operator: `**`",
            r#""c**""#,
        ),
        (r#"p{q=~"\\Qa"}"#, "unclosed group", r#""\\Qa""#),
        (r#"p{q=~"[a"}"#, "missing closing ]: `[a)$`", "["),
        // It matches the empty text, as the parser must be told.
        (r#"{q=~"[[]*"}"#, "at least one non-empty matcher", ""),
    ]);
    let odd = r#"p{a="b",q=~"a[[]\\w\"\n",r!~"[[]*"}"#;
    assert_eq!(pretty(odd).unwrap(), odd);
}

#[test]
fn numbers_have_underscores() {
    let window = window(&[("p", 1.0)]);
    check(
        &window,
        &[
            ("1_000", "1000"),
            ("0x_1F + 0x1_f", "62"),
            ("1_000.5_0 * 1e0_1", "10005"),
            ("count_over_time(p[1_0])", "{} 1"),
            ("p offset 0_0", "p 1"),
            ("p + on() fill(1_0) q", "{} 11"),
        ],
    );
    for text in ["1__0", "1_", "1_.5", "1._5", "1e_5", "0x1F_", "_1 2"] {
        assert!(Expr::parse(text).is_err(), "{text}");
    }
}

#[test]
fn ranges_of_numbers_durations_and_moments() {
    refused(&[
        ("rate(a[0])", "duration must be greater than 0", "0"),
        ("rate(a[5m:0s])", "duration must be greater than 0", "0s"),
        ("a offset 1000000y", "duration out of range", "1000000y"),
        ("a offset -1000000y", "duration out of range", "1000000y"),
        ("rate(a[300000y])", "duration out of range", "300000y"),
        ("rate(a[1e30])", "duration out of range", "1e30"),
        (
            "rate(a[200y + 200y])",
            "duration out of range",
            "200y + 200y",
        ),
        (
            "a @ 1e20",
            "timestamp out of bounds for @ modifier: 100000000000000000000.000000",
            "1e20",
        ),
        ("a @ -1e20", "timestamp out of bounds", "1e20"),
        ("1e400", "out of range", "1e400"),
    ]);
    let longest = |text: &str| Expr::parse(text).unwrap().longest_range().as_millis();
    assert_eq!(longest("rate(a[30d + 30d])"), 5_184_000_000);
    assert_eq!(longest("rate(a[5000000000ms])"), 5_000_000_000);
    assert_eq!(longest("rate(a[2y * 1.5 + 1ms] offset 1m)"), 94_608_060_001);
    assert_eq!(longest("rate(a[1ms + 1ms] offset (1s + 1ms))"), 1_003);
    for text in [
        "rate(a[292y])",
        "a offset -292y",
        "a @ 1e9",
        "1e308",
        "rate(a[30d + 30d])",
    ] {
        assert!(Expr::parse(text).is_ok(), "{text}: {:?}", Expr::parse(text));
    }
}

#[test]
fn absent_sets_and_forgets_labels_in_their_order() {
    check(
        &window(&[]),
        &[
            ("absent(nope{a=~\"1\",a=\"1\"})", "{a=\"1\"} 1"),
            ("absent(nope{a=\"1\",a=~\"1\"})", "{} 1"),
            ("absent(nope{a=\"1\",a=\"1\",b=\"2\"})", "{b=\"2\"} 1"),
            ("absent(nope{a!=\"1\",a=\"1\",a=\"2\"})", "{} 1"),
            (
                "absent_over_time(nope{a!=\"2\",a=\"1\"}[5m])",
                "{a=\"1\"} 1",
            ),
        ],
    );
}

/// Go's `math.Max` and `math.Min`: an infinity on their side outweighs a NaN.
#[test]
fn extremes_of_nan_and_infinities() {
    let window = window(&[("odd", f64::NAN)]);
    check(
        &window,
        &[
            ("clamp_min(odd, Inf)", "{} inf"),
            ("clamp_max(odd, -Inf)", "{} -inf"),
            ("clamp_min(odd, -Inf)", "{} NaN"),
            ("clamp_max(odd, 1)", "{} NaN"),
            ("clamp_min(vector(1), NaN)", "{} NaN"),
            ("clamp(odd, -Inf, Inf)", "{} NaN"),
            ("clamp(odd, Inf, Inf)", "{} inf"),
            ("max_of(NaN, Inf)", "inf"),
            ("min_of(-Inf, NaN)", "-inf"),
            ("max_of(NaN, 1)", "NaN"),
            ("1 / max_of(-0, 0)", "inf"),
            ("1 / min_of(0, -0)", "-inf"),
        ],
    );
}

#[test]
fn only_vectors_are_filled() {
    refused(&[
        ("a and fill(1) b", "fill is not for set operators", "fill"),
        (
            "a or fill_left(1) b",
            "fill is not for set operators",
            "fill_left",
        ),
        (
            "a + fill(1) 1",
            "fill is only for two instant vectors",
            "fill",
        ),
        (
            "1 + fill_right(1) a",
            "fill is only for two instant vectors",
            "fill_right",
        ),
    ]);
    assert!(Expr::parse("fill + fill(1) a").is_ok());
}

/// A subquery that gives no step is counted with the default one.
#[test]
fn long_subqueries_are_refused_when_they_are_read() {
    refused(&[
        (
            "max_over_time(a[2000d:])",
            "a subquery of 2880000 steps",
            ":",
        ),
        (
            "max_over_time(a[2000d:1m])",
            "a subquery of 2880000 steps",
            ":",
        ),
    ]);
    assert!(Expr::parse("max_over_time(a[7d:])").is_ok());
}

#[test]
fn several_quantiles_are_named_as_open_metrics_names_them() {
    let window = window(&[("h{le=1}", 2.0), ("h{le=+Inf}", 2.0), ("half", 0.5)]);
    check(
        &window,
        &[
            (
                "histogram_quantiles(h, \"q\", 0, 1, 0.5)",
                "{q=\"0.0\"} 0; {q=\"0.5\"} 0.5; {q=\"1.0\"} 1",
            ),
            (
                "histogram_quantiles(h, \"q\", 0.00001, -1, 2)",
                "{q=\"-1.0\"} -inf; {q=\"1e-05\"} 0.00001; {q=\"2.0\"} inf",
            ),
            (
                "histogram_quantiles(h, \"q\", 1 / 4, scalar(half))",
                "{q=\"0.25\"} 0.25; {q=\"0.5\"} 0.5",
            ),
            (
                "histogram_quantiles(h, \"q\", time() + 1e6, scalar(nope))",
                "{q=\"1e+06\"} inf; {q=\"NaN\"} NaN",
            ),
        ],
    );
}

/// Moments at the far ends of time are none of the window's.
#[test]
fn moments_at_the_ends_of_time_are_empty() {
    let window = window(&[("a", 1.0), ("target_info", 1.0)]);
    for moment in [
        "-9223372036854776",
        "-9223372036854775",
        "9223372036854775",
        "9223372036854776",
        "-9223372036854775 offset 292y",
        "9223372036854775 offset -292y",
    ] {
        for text in [
            "a @ T",
            "timestamp(a @ T)",
            "info(a @ T)",
            "a smoothed @ T",
            "rate(a[5m] @ T)",
            "rate(a[5m] smoothed @ T)",
            "rate(a[5m] anchored @ T)",
            "rate(a[5m:1m] @ T)",
            "max_over_time(timestamp(a)[10s:1s] @ T)",
            "max_over_time(rate(a[292y:40d] @ T)[10s:1s])",
            "predict_linear(a[5m] @ T, 60)",
        ] {
            let (before, after) = text.split_once('T').unwrap();
            let text = format!("{before}{moment}{after}");
            assert_eq!(told(&window, &text), "", "{text}");
        }
        let absent = format!("absent(a @ {moment})");
        assert_eq!(told(&window, &absent), "{} 1", "{absent}");
    }
    assert_eq!(
        told(&window, "info(a offset -292y offset 292y)"),
        "refused: offset may not be set multiple times"
    );
}

#[test]
fn offsets_may_come_to_nothing() {
    let window = window(&[("a", 1.0)]);
    for text in [
        "a offset step()",
        "a offset -step()",
        "a @ end() offset step()",
        "a offset max_of(step(), 0s)",
        "a offset (0)",
        "a offset (1s - 1s)",
        "a offset 0",
        "a offset 0s",
        "a offset -0s",
        "a offset +0ms",
        "a offset 0h0m",
        "a offset 0x0",
        "a offset (1e-9)",
        "a offset -(0) @ 0",
    ] {
        assert_eq!(told(&window, text), "a 1", "{text}");
    }
    assert!(Expr::parse("rate(a[10s] smoothed offset step())").is_ok());
    for text in ["a offset (0) offset 1s", "a offset 1s offset -step()"] {
        assert!(Expr::parse(text).is_err(), "{text}");
    }
}

#[test]
fn the_colon_of_a_subquery_stands_between_any_two_durations() {
    let window = window(&[("a", 1.0), ("b:c", 2.0), (":d", 3.0)]);
    check(
        &window,
        &[
            ("sum_over_time(vector(1)[10s:max_of(step(),1s)])", "{} 10"),
            ("sum_over_time(vector(1)[10s:range()+1s])", "{} 10"),
            (
                "sum_over_time(vector(1)[max_of(10s,20s):min_of(5s,1s)])",
                "{} 20",
            ),
            ("sum_over_time(a[max_of(step(),2s):1s] @ end())", "{} 1"),
            ("sum_over_time(b:c[10s + range():])", "{} 2"),
            (":d + on() max_over_time(b:c[10s:])", "{} 5"),
        ],
    );
    let second = std::time::Duration::from_secs(1);
    for text in ["rate(a[5m:step()])", "rate(a[range():step()])"] {
        let expr = Expr::parse_within(text, second, second * 10);
        assert!(expr.is_ok(), "{text}: {expr:?}");
    }
    refused(&[(
        "rate(a[5m:step()])",
        "duration must be greater than 0",
        "step()",
    )]);
}

#[test]
fn what_is_formatted_means_the_same() {
    for (text, wanted) in [
        ("info( a,{__name__=\"b\"} )", "info(a, {__name__=\"b\"})"),
        (
            "info(a, {c=~\"d|\",e!=\"f\"})",
            "info(a, {c=~\"d|\",e!=\"f\"})",
        ),
        ("info(a, {})", "info(a, {})"),
        ("a offset -0s", "a offset -0s"),
        (
            " rate( a[max_of(step(),10s)] )\n",
            "rate( a[max_of(step(),10s)] )",
        ),
        ("rate(a[step()])", "rate(a[step()])"),
        ("rate(a[1h:range()/10])", "rate(a[1h:range()/10])"),
        ("a offset -(5m - 1h)", "a offset -(5m - 1h)"),
        ("a  offset step()", "a  offset step()"),
    ] {
        assert_eq!(pretty(text).as_deref(), Ok(wanted), "{text}");
        assert_eq!(pretty(wanted).as_deref(), Ok(wanted));
    }
    for text in ["rate(a[5m +])", "rate(a[steps()])", "rate(a[0s])"] {
        assert!(pretty(text).is_err(), "{text}");
    }
}

#[test]
fn numbers_in_messages_are_those_of_go() {
    let window = window(&[("a", 1.0)]);
    let fault = "failed: scalar value 1e+300 overflows int64";
    check(
        &window,
        &[("topk(1e300, a)", fault), ("limitk(1e300, a)", fault)],
    );
}

#[test]
fn words_of_modifiers_are_names_too() {
    let window = window(&[
        ("anchored{a=b}", 1.0),
        ("smoothed{anchored=x}", 2.0),
        ("Anchored", 3.0),
        ("p{anchored=x,smoothed=y}", 4.0),
    ]);
    check(
        &window,
        &[
            ("anchored", "anchored{a=\"b\"} 1"),
            ("smoothed smoothed", "smoothed{anchored=\"x\"} 2"),
            ("anchored{a=\"b\"} @ 0 smoothed", "anchored{a=\"b\"} 1"),
            ("anchored{}", "anchored{a=\"b\"} 1"),
            ("anchored{} smoothed offset 0s", "anchored{a=\"b\"} 1"),
            ("Anchored + 1", "{} 4"),
            ("-(anchored)", "{a=\"b\"} -1"),
            ("changes(anchored[5m] anchored)", "{a=\"b\"} 0"),
            ("sum by (anchored) (p)", "{anchored=\"x\"} 4"),
            (
                "sum(p) by (smoothed, anchored)",
                "{anchored=\"x\",smoothed=\"y\"} 4",
            ),
            (
                "p{anchored=\"x\",smoothed!=\"\"}",
                "p{anchored=\"x\",smoothed=\"y\"} 4",
            ),
            (
                "p{anchored=~\"x.*\"} * on (anchored) smoothed",
                "{anchored=\"x\"} 8",
            ),
            (
                "p * on (anchored) group_left smoothed",
                "{anchored=\"x\",smoothed=\"y\"} 8",
            ),
            ("nope or anchored", "anchored{a=\"b\"} 1"),
            ("1 == bool anchored", "{a=\"b\"} 1"),
            ("2 * anchored unless Anchored", "{a=\"b\"} 2"),
        ],
    );
    for text in [
        "anchored anchored smoothed",
        "sum(p) anchored",
        "anchored(p)",
        "rate(p[anchored])",
        "1 anchored",
    ] {
        assert!(Expr::parse(text).is_err(), "{text}");
    }
    assert_eq!(
        pretty("sum by (anchored) (smoothed{anchored=\"x\"})").unwrap(),
        "sum by (anchored) ({__name__=\"smoothed\",anchored=\"x\"})",
    );
}
