//! What queries mean: Prometheus' own test cases and compliance queries over the window.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};
use gated::model::Labels;
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
    promql_expr_test: Vec<Eval>,
}

#[derive(Deserialize, Clone)]
struct Series {
    series: String,
    values: String,
}

#[derive(Deserialize, Clone)]
struct Eval {
    expr: String,
    eval_time: String,
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
    eval_time: String,
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
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(folder)
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

fn duration(text: &str) -> std::time::Duration {
    if text == "0" {
        return std::time::Duration::ZERO;
    }
    humantime::parse_duration(text).unwrap()
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
    refused: BTreeMap<String, usize>,
    failed: Vec<String>,
}

impl Tally {
    fn refuse(&mut self, feature: &str) {
        *self.refused.entry(feature.to_owned()).or_default() += 1;
    }

    fn check(&self, expected: &Expect) {
        assert!(
            self.failed.is_empty(),
            "{} failed:\n{}",
            self.failed.len(),
            self.failed.join("\n")
        );
        let mut summary = format!("{} passed\n", self.passed);
        for (feature, count) in &self.refused {
            summary += &format!("{count} {feature}\n");
        }
        expected.assert_eq(&summary);
    }

    /// Parses, or counts the refusal.
    fn parse(&mut self, id: &str, expr: &str) -> Option<Expr> {
        match Expr::parse(expr) {
            Ok(parsed) => Some(parsed),
            Err(error) if error.message.contains("not evaluated by gated yet") => {
                self.refuse(&error.message);
                None
            }
            Err(error) => {
                self.failed.push(format!("{id}: {expr}: {error}"));
                None
            }
        }
    }

    fn run(&mut self, id: &str, series: &[Series], interval: &str, evals: &[Eval]) {
        let Some(_) = load(series, interval, Load::Scraped) else {
            return self.refuse("native histograms");
        };
        if evals.iter().any(|e| e.exp_samples.iter().any(|s| s.histogram.is_some())) {
            return self.refuse("native histograms");
        }
        for mode in [Load::Scraped, Load::Stamped] {
            let window = load(series, interval, mode).unwrap();
            let mut plans: HashMap<&str, Plan> = HashMap::new();
            for eval in evals.iter().filter(|eval| eval.expr != "vector(1)") {
                if !plans.contains_key(&*eval.expr) {
                    let Some(expr) = self.parse(id, &eval.expr) else {
                        return;
                    };
                    plans.insert(&eval.expr, Plan::new(&expr));
                }
                let plan = plans.get_mut(&*eval.expr).unwrap();
                let outcome = result(plan, &window, &eval.eval_time)
                    .and_then(|got| compare(&got, &eval.exp_samples));
                if let Err(why) = outcome {
                    let (expr, time) = (&eval.expr, &eval.eval_time);
                    return self
                        .failed
                        .push(format!("{id} ({mode:?}): {expr} at {time}: {why}"));
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
        let file: File = serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        for test in file.tests {
            if needs[&test.name] == wanted {
                let evals = &test.promql_expr_test;
                tally.run(&test.name, &test.input_series, &test.interval, evals);
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
            eval_time: point.eval_time.clone(),
            exp_samples: point.exp_samples.clone(),
        })
        .collect();
    tally.run(&case.id, &case.input_series, &case.interval, &evals);
}

#[test]
fn core_cases_of_prometheus() {
    cases("core").check(&expect![[""]]);
}
