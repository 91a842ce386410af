//! A file of tests, typed: promtool's keys and no others. What is wrong with its structure refuses the file; a series or
//! an expression that does not read fails its own test.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::block;
use super::reading::{Reading, Table};
use super::recorded::{self, RecordedTest};
use crate::model::{Labels, Timestamp};
use crate::promql::Expr;
use crate::run::gated_test::GatedTest;
use crate::runbook::yaml::{self, Kind, Node};
use crate::runbook::{Faults, Source};
use crate::source::script::{self, Samples};

const FILE_KEYS: [&str; 5] = [
    "rule_files",
    "evaluation_interval",
    "group_eval_order",
    "fuzzy_compare",
    "tests",
];
const TEST_KEYS: [&str; 10] = [
    "name",
    "interval",
    "start_timestamp",
    "input_series",
    "external_labels",
    "external_url",
    "alert_rule_test",
    "promql_expr_test",
    "gated_test",
    "backtest",
];

/// Between evaluations where a file does not say.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(60);

pub(super) struct TestFile {
    /// Patterns, and where they stand.
    pub rule_files: Vec<(String, Range<usize>)>,
    /// Between evaluations.
    pub step: Duration,
    /// Names of groups, each once.
    pub order: Vec<String>,
    pub fuzzy: bool,
    pub tests: Vec<Test>,
}

pub(super) struct Test {
    pub name: String,
    pub line: usize,
    /// Between samples.
    pub interval: Duration,
    pub start: Timestamp,
    /// Labels, and samples by interval; `None` where one of them does not read.
    pub series: Option<Vec<(Labels, Samples)>>,
    pub external_labels: BTreeMap<String, String>,
    pub external_url: String,
    pub alerts: Vec<AlertTest>,
    pub exprs: Vec<ExprTest>,
    pub gated: Option<GatedTest>,
    pub recorded: Option<RecordedTest>,
    /// Of series, values and expressions.
    pub faults: Faults,
}

pub(super) struct AlertTest {
    pub line: usize,
    pub at: Duration,
    pub name: String,
    pub expected: Vec<ExpectedAlert>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ExpectedAlert {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

pub(super) struct ExprTest {
    pub line: usize,
    pub at: Duration,
    pub expr: Expr,
    pub expected: Vec<(Labels, f64)>,
}

/// The tests of a text, or everything that is wrong with its structure.
pub(super) fn read(source: &Source) -> Result<TestFile, Faults> {
    let reading = Reading::new(source);
    let tree = match yaml::parse(&source.text) {
        Ok(tree) => tree,
        Err(broken) => {
            reading.fault(broken.span, broken.message, broken.help);
            return Err(reading.take());
        }
    };
    let file = reading.file(&tree);
    let faults = reading.take();
    match file {
        Some(file) if faults.is_empty() => Ok(file),
        _ => Err(faults),
    }
}

impl Reading<'_> {
    fn file(&self, tree: &Node) -> Option<TestFile> {
        let empty = Node {
            kind: Kind::Map(Vec::new()),
            span: 0..0,
        };
        let tree = match tree.kind {
            Kind::Null => &empty,
            Kind::Scalar(_) | Kind::List(_) | Kind::Map(_) => tree,
        };
        let top = self.table(tree, &FILE_KEYS, "a file of tests")?;
        // As in promtool, nought means the default.
        let of = |table: &Table<'_>, key: &str| {
            let read = self.duration(table, key);
            read.filter(|it| !it.is_zero())
        };
        let step = of(&top, "evaluation_interval").unwrap_or(INTERVAL_DEFAULT);
        let patterns = self.list(&top, "rule_files").iter();
        let rule_files = patterns
            .filter_map(|node| Some((self.text(node)?, node.span.clone())))
            .collect();
        let mut order = Vec::new();
        for node in self.list(&top, "group_eval_order") {
            let Some(name) = self.text(node) else {
                continue;
            };
            if order.contains(&name) {
                let message = format!("group `{name}` stands in the order twice");
                self.fault(node.span.clone(), message, "take one out");
            }
            order.push(name);
        }
        let mut tests = Vec::new();
        for node in self.list(&top, "tests") {
            if let Some(table) = self.table(node, &TEST_KEYS, "a test") {
                let interval = of(&table, "interval").unwrap_or(step);
                tests.push(self.test(&table, interval));
            }
        }
        Some(TestFile {
            rule_files,
            step,
            order,
            fuzzy: self.flag(&top, "fuzzy_compare", false),
            tests,
        })
    }

    fn test(&self, table: &Table<'_>, interval: Duration) -> Test {
        // What its contents do wrong is gathered apart: it is this test's failure alone.
        let contents = Reading::new(self.source);
        let start = table.get("start_timestamp").and_then(|node| {
            let text = self.text(node)?;
            let read = text.parse::<Timestamp>();
            if read.is_err() {
                let message = format!("`start_timestamp` is `{text}`");
                let help = "write RFC 3339 (2026-12-01T00:00:00Z) or Unix seconds";
                self.fault(node.span.clone(), message, help);
            }
            read.ok()
        });
        let items = |key: &str| self.list(table, key).iter();
        let series = items("input_series").map(|node| self.series(node, &contents));
        // To the end: every series is looked at, also after one that does not read.
        let series: Vec<Option<_>> = series.collect();
        let alerts = items("alert_rule_test").filter_map(|node| self.alert_test(node));
        let alerts = alerts.collect();
        let exprs = items("promql_expr_test").filter_map(|node| self.expr_test(node, &contents));
        let exprs = exprs.collect();
        Test {
            name: self.word(table, "name").unwrap_or_default(),
            line: self.line(table.first().start),
            interval,
            start: start.unwrap_or(Timestamp::EPOCH),
            series: series.into_iter().collect(),
            external_labels: self.texts(table, "external_labels"),
            external_url: self.word(table, "external_url").unwrap_or_default(),
            alerts,
            exprs,
            gated: table
                .get("gated_test")
                .and_then(|node| block::read(self, node)),
            recorded: table
                .get("backtest")
                .and_then(|node| recorded::read(self, node)),
            faults: contents.take(),
        }
    }

    fn series(&self, node: &Node, contents: &Reading<'_>) -> Option<(Labels, Samples)> {
        let what = "an item of `input_series`";
        let table = self.table(node, &["series", "values"], what)?;
        let series = self.needed(&table, "series", what)?;
        let values = self.needed(&table, "values", what)?;
        let read = |key: &str, error: script::ScriptError| {
            let node = table.get(key).expect("it was just read");
            let span = node.spot(0, &self.source.text).at(error.span).span;
            contents.fault(span, error.message, "");
        };
        let labels = script::labels(&series).map_err(|error| read("series", error));
        let samples = script::values(&values).map_err(|error| read("values", error));
        Some((labels.ok()?, samples.ok()?))
    }

    fn alert_test(&self, node: &Node) -> Option<AlertTest> {
        let what = "an item of `alert_rule_test`";
        let table = self.table(node, &["eval_time", "alertname", "exp_alerts"], what)?;
        let name = self.needed(&table, "alertname", what)?;
        let mut expected = Vec::new();
        for node in self.list(&table, "exp_alerts") {
            let keys = ["exp_labels", "exp_annotations"];
            let Some(alert) = self.table(node, &keys, "an expected alert") else {
                continue;
            };
            let mut labels = self.texts(&alert, "exp_labels");
            labels.insert("alertname".to_owned(), name.clone());
            expected.push(ExpectedAlert {
                labels,
                annotations: self.texts(&alert, "exp_annotations"),
            });
        }
        Some(AlertTest {
            line: self.line(table.first().start),
            at: self.duration(&table, "eval_time").unwrap_or_default(),
            name,
            expected,
        })
    }

    fn expr_test(&self, node: &Node, contents: &Reading<'_>) -> Option<ExprTest> {
        let what = "an item of `promql_expr_test`";
        let table = self.table(node, &["expr", "eval_time", "exp_samples"], what)?;
        let text = self.needed(&table, "expr", what)?;
        let samples = self.list(&table, "exp_samples").iter();
        let samples: Vec<Option<_>> = samples.map(|it| self.sample(it, contents)).collect();
        let at = self.duration(&table, "eval_time").unwrap_or_default();
        let expr = Expr::parse(&text).map_err(|error| {
            let node = table.get("expr").expect("it was just read");
            let span = error.span.clone().unwrap_or(0..text.trim_end().len());
            let span = node.spot(0, &self.source.text).at(span).span;
            contents.fault(span, error.message.clone(), error.help());
        });
        Some(ExprTest {
            line: self.line(table.first().start),
            at,
            expr: expr.ok()?,
            expected: samples.into_iter().collect::<Option<_>>()?,
        })
    }

    fn sample(&self, node: &Node, contents: &Reading<'_>) -> Option<(Labels, f64)> {
        let keys = ["labels", "value", "histogram"];
        let table = self.table(node, &keys, "an expected sample")?;
        if let Some(node) = table.get("histogram") {
            let message = "native histograms are not evaluated by gated";
            contents.fault(node.span.clone(), message, "");
            return None;
        }
        let labels = self.word(&table, "labels").unwrap_or_default();
        let labels = script::labels(&labels).map_err(|error| {
            let span = table.get("labels").map(|it| it.span.clone());
            contents.fault(span.unwrap_or(table.first()), error.message, "");
        });
        let value = self.word(&table, "value");
        let number = script::number(value.as_deref().unwrap_or("0"));
        if number.is_none() {
            let span = table.get("value").map(|it| it.span.clone());
            let message = format!("`{}` is no number", value.unwrap_or_default());
            contents.fault(
                span.unwrap_or(table.first()),
                message,
                "write 1, 2.5, 1e3, NaN or +Inf",
            );
        }
        Some((labels.ok()?, number?))
    }
}
