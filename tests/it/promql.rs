//! What queries mean: Prometheus' own test cases and compliance queries over the window.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use expect_test::{Expect, expect};
use gated::model::{Labels, Slot, TargetId, Timestamp};
use gated::promql::{Expr, Output, Plan};
use gated::store::Window;
use serde::Deserialize;

use crate::notation::{self, Load};

#[derive(Deserialize)]
struct File {
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    name: String,
    interval: String,
    #[serde(default)]
    input_series: Vec<Series>,
    #[serde(rename = "promql_expr_test")]
    evals: Vec<Eval>,
}

#[derive(Deserialize, Clone)]
struct Series {
    series: String,
    values: String,
}

#[derive(Deserialize, Clone)]
struct Eval {
    expr: String,
    #[serde(rename = "eval_time")]
    at: String,
    #[serde(default)]
    exp_samples: Vec<Sample>,
}

#[derive(Deserialize, Clone)]
struct Sample {
    labels: String,
    #[serde(default)]
    value: Option<Value>,
    #[serde(default)]
    histogram: Option<String>,
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum Value {
    Number(f64),
    Text(String),
}

/// `NAME.nan.json`: as a test, with JSON's names.
#[derive(Deserialize)]
struct Nan {
    id: String,
    expr: String,
    interval: String,
    input_series: Vec<Series>,
    points: Vec<Point>,
}

#[derive(Deserialize)]
struct Point {
    #[serde(rename = "eval_time")]
    at: String,
    exp_samples: Vec<Sample>,
}

#[derive(Deserialize)]
struct Fail {
    id: String,
    expr: String,
    interval: String,
    start: String,
    input_series: Vec<Series>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    needs: Option<String>,
}

fn data(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(folder)
}

/// Files of a folder whose names end so, sorted.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(data(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(ending))
        .collect();
    files.sort();
    files
}

fn json<T: for<'a> Deserialize<'a>>(path: &Path) -> T {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn yaml(path: &Path) -> File {
    let options = serde_saphyr::options! {
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
        budget: None
    };
    serde_saphyr::from_str_with_options(&fs::read_to_string(path).unwrap(), options).unwrap()
}

fn duration(text: &str) -> Duration {
    if text == "0" {
        return Duration::ZERO;
    }
    humantime::parse_duration(text).unwrap()
}

/// The same samples as scrapes and as samples with timestamps; `None` where one is a native histogram.
fn both(series: &[Series], interval: &str) -> Option<Vec<(Load, Window)>> {
    [Load::Scraped, Load::Stamped]
        .into_iter()
        .map(|mode| Some((mode, load(series, interval, mode)?)))
        .collect()
}

/// `None` where an input series is a native histogram.
fn load(series: &[Series], interval: &str, load: Load) -> Option<Window> {
    let series: Option<Vec<(Labels, Vec<Option<f64>>)>> = series
        .iter()
        .map(|s| Some((notation::labels(&s.series), notation::values(&s.values)?)))
        .collect();
    Some(notation::window(&series?, duration(interval), load))
}

fn result(plan: &mut Plan, window: &Window, time: &str) -> Result<Vec<(Labels, f64)>, String> {
    let at = notation::at(duration(time).as_millis());
    match plan.eval(window, at) {
        Ok(Output::Scalar(value)) => Ok(vec![(Labels::empty(), value)]),
        Ok(Output::Vector(vector)) => Ok(vector.iter().map(|(l, v)| (l.clone(), v)).collect()),
        Err(error) => Err(error.to_string()),
    }
}

/// promqltest's tolerance.
fn alike(a: f64, b: f64) -> bool {
    (a.is_nan() && b.is_nan())
        || a == b
        || (a - b).abs() <= 1e-6 * a.abs().min(b.abs()).max(f64::MIN_POSITIVE)
}

fn compare(got: &[(Labels, f64)], expected: &[Sample]) -> Result<(), String> {
    let mut wanted: Vec<(Labels, f64)> = expected
        .iter()
        .map(|sample| {
            let value = match sample.value.as_ref().expect("a float") {
                Value::Number(number) => *number,
                Value::Text(text) => notation::number(text),
            };
            (notation::labels(&sample.labels), value)
        })
        .collect();
    let mut sorted = got.to_vec();
    wanted.sort_by(|a, b| a.0.cmp(&b.0));
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let same = sorted.len() == wanted.len()
        && (sorted.iter().zip(&wanted)).all(|(a, b)| a.0 == b.0 && alike(a.1, b.1));
    if same {
        Ok(())
    } else {
        Err(format!("got {sorted:?}, wanted {wanted:?}"))
    }
}

/// Counts of outcomes, and everything that is neither a pass nor a refusal by name.
#[derive(Default)]
struct Tally {
    passed: usize,
    /// By feature: the cases.
    refused: BTreeMap<String, Vec<String>>,
    failed: Vec<String>,
}

impl Tally {
    fn refuse(&mut self, id: &str, feature: &str) {
        let refused = self.refused.entry(feature.to_owned()).or_default();
        refused.push(id.to_owned());
    }

    fn check(&self, expected: &Expect) {
        assert!(
            self.failed.is_empty(),
            "{} failed:\n{}",
            self.failed.len(),
            self.failed.join("\n")
        );
        expected.assert_eq(&self.summary());
    }

    fn summary(&self) -> String {
        let mut summary = format!("{} passed\n", self.passed);
        for (feature, ids) in &self.refused {
            summary += &format!("{} {feature}:", ids.len());
            for (index, id) in ids.iter().enumerate() {
                summary += if index % 5 == 0 { "\n " } else { "" };
                summary += &format!(" {id}");
            }
            summary += "\n";
        }
        summary
    }

    /// Parses, or counts the refusal.
    fn parse(&mut self, id: &str, expr: &str) -> Option<Expr> {
        match Expr::parse(expr) {
            Ok(parsed) => Some(parsed),
            Err(error) if error.message.contains("not evaluated by gated yet") => {
                self.refuse(id, &error.message);
                None
            }
            Err(error) => {
                self.failed.push(format!("{id}: {expr}: {error}"));
                None
            }
        }
    }

    /// One case: its evaluations over the same samples, loaded both ways.
    fn run(&mut self, id: &str, windows: Option<&[(Load, Window)]>, evals: &[Eval]) {
        let histograms = |eval: &Eval| eval.exp_samples.iter().any(|s| s.histogram.is_some());
        let Some(windows) = windows.filter(|_| !evals.iter().any(histograms)) else {
            return self.refuse(id, "native histograms");
        };
        for (mode, window) in windows {
            let mut plans: HashMap<&str, Plan> = HashMap::new();
            // `vector(1)` stands there to make promtool load every sample.
            for eval in evals.iter().filter(|eval| eval.expr != "vector(1)") {
                if !plans.contains_key(&*eval.expr) {
                    let Some(expr) = self.parse(id, &eval.expr) else {
                        return;
                    };
                    plans.insert(&eval.expr, Plan::new(&expr));
                }
                let plan = plans.get_mut(&*eval.expr).unwrap();
                let outcome =
                    result(plan, window, &eval.at).and_then(|got| compare(&got, &eval.exp_samples));
                if let Err(why) = outcome {
                    let (expr, time) = (&eval.expr, &eval.at);
                    let failure = format!("{id} ({mode:?}): {expr} at {time}: {why}");
                    return self.failed.push(failure);
                }
            }
        }
        self.passed += 1;
    }
}

fn needs() -> HashMap<String, String> {
    let cases: Vec<Case> = json(&data("promql/cases.json"));
    cases
        .into_iter()
        .filter_map(|case| Some((case.id, case.needs?)))
        .collect()
}

/// Runs the cases that need `wanted`, from the YAML and the NaN files alike.
fn cases(wanted: &str) -> Tally {
    let needs = needs();
    let mut tally = Tally::default();
    for path in files("promql", ".yml") {
        for test in yaml(&path).tests {
            if needs[&test.name] == wanted {
                let windows = both(&test.input_series, &test.interval);
                tally.run(&test.name, windows.as_deref(), &test.evals);
            }
        }
    }
    for path in files("promql", ".nan.json") {
        for case in json::<Vec<Nan>>(&path) {
            if needs[&case.id] == wanted {
                run_nan(&mut tally, &case);
            }
        }
    }
    tally
}

fn run_nan(tally: &mut Tally, case: &Nan) {
    let evals: Vec<Eval> = case
        .points
        .iter()
        .map(|point| Eval {
            expr: case.expr.clone(),
            at: point.at.clone(),
            exp_samples: point.exp_samples.clone(),
        })
        .collect();
    let windows = both(&case.input_series, &case.interval);
    tally.run(&case.id, windows.as_deref(), &evals);
}

#[test]
fn core_cases_of_prometheus() {
    cases("core").check(&expect![[r"
        366 passed
    "]]);
}

/// Cases that need a feature flag or a Prometheus newer than promtool 3.5. They run all the same; those that differ are
/// named. All five need a flag that is off by default: four `delayed-name-removal` (in gated a dropped name is gone at
/// once), `type_and_unit:92` `type-and-unit-labels`.
#[test]
fn cases_behind_flags() {
    let mut outcomes = String::new();
    for needs in [
        "experimental_functions",
        "delayed_name_removal",
        "newer_than_promtool",
    ] {
        let tally = cases(needs);
        outcomes += &format!("{needs}: {}", tally.summary());
        for failure in &tally.failed {
            outcomes += &format!("differs: {}\n", failure.split(' ').next().unwrap());
        }
    }
    expect![[r"
        experimental_functions: 21 passed
        delayed_name_removal: 0 passed
        differs: name_label_dropping:74
        differs: name_label_dropping:89
        differs: name_label_dropping:123
        differs: type_and_unit:92
        newer_than_promtool: 81 passed
        differs: name_label_dropping:119
    "]]
    .assert_eq(&outcomes);
}

#[test]
fn compliance_queries() {
    let mut tally = Tally::default();
    for test in yaml(&data("promql_compliance/compliance.yml")).tests {
        let windows = both(&test.input_series, &test.interval);
        let evals = test.evals.iter();
        for eval in evals.filter(|eval| eval.expr != "vector(1)") {
            tally.run(&eval.expr, windows.as_deref(), std::slice::from_ref(eval));
        }
    }
    for case in json::<Vec<Nan>>(&data("promql_compliance/compliance.nan.json")) {
        run_nan(&mut tally, &case);
    }
    tally.check(&expect![[r"
        432 passed
    "]]);
}

#[test]
fn what_must_fail_fails() {
    let mut outcomes = String::new();
    for path in files("promql", ".fail.json") {
        for case in json::<Vec<Fail>>(&path) {
            let why = match Expr::parse(&case.expr) {
                Err(error) => format!("refused: {error}"),
                Ok(expr) => {
                    let window = load(&case.input_series, &case.interval, Load::Scraped);
                    let window = window.expect("only refused cases hold histograms");
                    let got = result(&mut Plan::new(&expr), &window, &case.start);
                    format!("failed: {}", got.expect_err(&case.expr))
                }
            };
            outcomes += &format!("{} {}\n  {why}\n", case.id, case.expr);
        }
    }
    expect![[r#"
        aggregators:425 limitk(NaN, non_existent)
          failed: parameter value is NaN
        collision:20 ceil({__name__=~'testmetric1|testmetric2'})
          failed: vector cannot contain metrics with the same labelset
        extended_vectors:379 max_over_time(foo[3m] smoothed)
          refused: `smoothed` can only be used with: delta, increase, rate - not with max_over_time
        functions:523 label_replace(testmetric, "\xff", "", "src", "(.*)")
          refused: an escape that stands for a byte, not for a character; write the character
        functions:591 label_join(dup, "label", "", "this")
          failed: vector cannot contain metrics with the same labelset
        histograms:632 histogram_quantiles(testhistogram3_bucket, "start", 0, 0.25, 0.5, 0.75, 1)
          failed: vector cannot contain metrics with the same labelset
        name_label_dropping:84 sum by (__name__) (rate({env="1"}[10m]))
          failed: vector cannot contain metrics with the same labelset
        operators:333 many_side >= on(job) one_side
          failed: multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)
    "#]].assert_eq(&outcomes);
}

/// `sort` and `topk` promise an order; everywhere else only the set counts.
#[test]
fn ordered_cases_keep_their_order() {
    let (mut checked, mut refused) = (0, Vec::new());
    let mut orders: HashMap<String, Vec<String>> = HashMap::new();
    for path in files("promql", ".ordered.json") {
        orders.extend(json::<HashMap<String, Vec<String>>>(&path));
    }
    let mut check = |id: &str, series: &[Series], interval: &str, expr: &str, time: &str| {
        let Some(order) = orders.get(id) else { return };
        let window = load(series, interval, Load::Scraped).unwrap();
        let parsed = match Expr::parse(expr) {
            Ok(parsed) => parsed,
            Err(error) => {
                assert!(
                    error.message.contains("not evaluated by gated yet"),
                    "{error}"
                );
                refused.push(error.message);
                return;
            }
        };
        let got = result(&mut Plan::new(&parsed), &window, time).unwrap();
        let got: Vec<Labels> = got.into_iter().map(|(labels, _)| labels).collect();
        let wanted: Vec<Labels> = order.iter().map(|text| notation::labels(text)).collect();
        assert_eq!(got, wanted, "{id}: {expr}");
        checked += 1;
    };
    for path in files("promql", ".yml") {
        for test in yaml(&path).tests {
            for eval in test.evals.iter().filter(|e| e.expr != "vector(1)") {
                check(
                    &test.name,
                    &test.input_series,
                    &test.interval,
                    &eval.expr,
                    &eval.at,
                );
            }
        }
    }
    for path in files("promql", ".nan.json") {
        for case in json::<Vec<Nan>>(&path) {
            for point in &case.points {
                check(
                    &case.id,
                    &case.input_series,
                    &case.interval,
                    &case.expr,
                    &point.at,
                );
            }
        }
    }
    refused.sort();
    expect![[r"
        6 in order

    "]]
    .assert_eq(&format!("{checked} in order\n{}\n", refused.join("\n")));
}

/// What would overflow the stack of a careless parser, in every shape that nests, on the stack that gated gives it.
#[test]
fn nested_expressions_within_the_bounds_fit_the_stack() {
    let shapes = [
        ("(", ")"),
        ("abs(", ")"),
        ("-", ""),
        ("sum by (a) (", ")"),
        ("x^", ""),
        ("x+", ""),
        ("x and ", ""),
    ];
    let run = move || {
        let mut accepted = 0;
        for (open, close) in shapes {
            for depth in [50, 99, 240, 740, 250_000] {
                let text = format!("{}x{}", open.repeat(depth), close.repeat(depth));
                if let Ok(expr) = Expr::parse(&text) {
                    assert!(result(&mut Plan::new(&expr), &Window::default(), "0s").is_ok());
                    assert!(gated::promql::survey(&text).is_some());
                    accepted += 1;
                }
            }
        }
        accepted
    };
    let thread = std::thread::Builder::new().stack_size(16 << 20).spawn(run);
    assert_eq!(thread.unwrap().join().unwrap(), 22);
}

/// In the steady state an evaluation allocates nothing, and neither does an append.
#[test]
fn the_steady_state_allocates_nothing() {
    const SERIES: usize = 600;
    let target = TargetId(0);
    let mut window = Window::default();
    window.add_target(target, Duration::from_secs(1));
    for (slot, i) in (0..).zip(0..SERIES) {
        let (bucket, code) = (["0.1", "1", "+Inf"][i % 3], ["200", "500"][i % 2]);
        let labels = Labels::new([
            ("__name__", if i < 300 { "b" } else { "c" }),
            ("le", bucket),
            ("code", code),
            ("n", &(i % 300).to_string()),
        ]);
        window.born(target, Slot(slot), labels, Duration::from_secs(5));
    }
    let page: Vec<f64> = (0..SERIES).map(|i| i as f64).collect();
    let mut second = 0;
    let mut append = |window: &mut Window, holes: bool| {
        second += 1;
        let mut page = page.clone();
        if holes {
            page[second as usize % SERIES] = gated::model::STALE;
        }
        let time = Timestamp::from_millis(second * 1000);
        let append = || window.append(target, time, &page, &[]);
        (allocation_counter::measure(append).count_total, time)
    };
    for _ in 0..20 {
        append(&mut window, true);
    }
    for text in [
        "histogram_quantile(0.95, sum by (le) (rate(b[5s])))",
        "sum(rate(c{code=\"500\"}[5s])) / sum(rate(c[5s]))",
        "avg without (n) (c) > 3 or max(b) unless min(c) == 0",
        "b * on (n) group_left c > bool 2",
        "topk(3, b) + on (n, le, code) bottomk by (code) (2, c) and on (n) c",
        "quantile by (code) (0.9, stddev_over_time(b[5s]))",
        "sort_desc(label_replace(clamp(c, 1, 50), \"x\", \"$1\", \"n\", \"(.).*\"))",
        "absent(b{n=\"none\"}) or absent_over_time(c[5s]) or vector(scalar(b) + time())",
        "quantile_over_time(0.5, c[5s] offset 1s) - timestamp(c) % deriv(c[5s])",
        "max_over_time(rate(b[3s])[4s:1s]) + predict_linear(c[5s] @ end(), 60)",
        "limitk by (code) (2, c) or limit_ratio(0.5, b) + on (n, le, code) fill(0) b",
        "sum(avg_over_time(sum by (n) (c)[4s:2s] offset 1s)) + hour() - mad_over_time(b[5s])",
        "rate(c[5s] anchored) + on (n, le, code) increase(b[5s] smoothed) or c smoothed",
        "changes(b[5s] anchored) - resets(b[5s] anchored offset 1s)",
        "histogram_quantile(0.5, c) or count(rate({__name__=\"c\"}[5s])) + quantile(scalar(b), c)",
        "histogram_fraction(0, 0.5, b) or sort_by_label(c, \"n\") or sin(b)",
    ] {
        let mut plan = Plan::new(&Expr::parse(text).unwrap());
        for _ in 0..7 {
            let (_, time) = append(&mut window, false);
            plan.eval(&window, time).unwrap();
        }
        let (appending, time) = append(&mut window, false);
        let evaluating = allocation_counter::measure(|| {
            let output = plan.eval(&window, time).unwrap();
            if let Output::Vector(vector) = output {
                assert!(vector.iter().count() <= SERIES);
            }
        });
        assert_eq!((appending, evaluating.count_total), (0, 0), "{text}");
    }
}

/// What the fuzz target does with one text.
fn survive(text: &str, window: &Window) {
    let _ = (gated::promql::text(text), gated::promql::pretty(text));
    let at = notation::at(295_000);
    if let Some(Ok(raw)) = gated::promql::RawRange::parse(text) {
        let _ = raw.samples(window, at);
    }
    if let Ok(expr) = Expr::parse(text) {
        let mut plan = Plan::new(&expr);
        let _ = plan.eval(window, at);
        let _ = plan.eval(window, notation::at(305_000));
    }
}

fn small_window() -> Window {
    let samples = |step: f64| (0..30).map(|i| Some(f64::from(i) * step)).collect();
    let named = |name: &str, le: &str| Labels::new([("__name__", name), ("le", le), ("job", "j")]);
    let series = [
        (named("x", ""), samples(1.0)),
        (named("a", "1"), samples(2.0)),
        (named("a", "+Inf"), samples(f64::NAN)),
        (named("target_info", ""), samples(0.0)),
    ];
    notation::window(&series, Duration::from_secs(10), Load::Scraped)
}

fn corpus() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/promql");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned())
        .collect()
}

/// What the fuzz target does with each file of its corpus, in the tests that everybody runs.
#[test]
fn fuzz_corpus() {
    let window = small_window();
    let texts = corpus();
    assert!(texts.len() > 90);
    for text in texts {
        survive(&text, &window);
    }
}

/// Expressions with pieces of others in them, cut and doubled: refused or evaluated, never a panic.
#[test]
fn mutated_expressions_never_panic() {
    let window = small_window();
    let texts = corpus();
    let mut dice = crate::generator::Dice::new(7, true);
    for _ in 0..4000 {
        let mut text: Vec<char> = texts[dice.roll(texts.len())].chars().collect();
        for _ in 0..=dice.roll(3) {
            let other: Vec<char> = texts[dice.roll(texts.len())].chars().collect();
            let (at, from) = (dice.roll(text.len() + 1), dice.roll(other.len() + 1));
            let len = dice.roll(other.len() - from + 1);
            match dice.roll(3) {
                0 => text.truncate(at),
                1 => drop(text.splice(at..at, other[from..from + len].iter().copied())),
                _ => drop(text.splice(at.., other[from..].iter().copied())),
            }
        }
        let text: String = text.into_iter().collect();
        survive(&text, &window);
    }
}
