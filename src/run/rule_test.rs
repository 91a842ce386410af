//! `gated test`: promtool's rule unit tests. Deliberately absent: what rules mean (`rules` knows), printing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::model::{Labels, Slot, TargetId, Timestamp, is_stale, time};
use crate::promql::{Expr, Output, Plan};
use crate::rules::{AlertState, AlertTiming, Group, GroupRule, RuleAlerts, RuleKind, World};
use crate::runbook::{Env, GroupRuleKind, RuleGroup, Rules, load_with};
use crate::source::script;
use crate::store::Window;

use super::check::Report;
use super::gated_test::{self, GatedTest};

/// Nothing that a test loads or records is forgotten.
const EVER: Duration = Duration::from_secs(1000 * 365 * 86_400);
/// The window's targets that stand for rules; those of input series are numbered from zero.
const RULES_FROM: u32 = 1 << 30;
/// Evaluations of one test: far above what promtool would run in minutes.
const EVALUATIONS_MAX: i64 = 10_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestFile {
    #[serde(default)]
    rule_files: Vec<String>,
    evaluation_interval: Option<Span>,
    #[serde(default)]
    group_eval_order: Vec<String>,
    #[serde(default)]
    tests: Vec<TestGroup>,
    #[serde(default)]
    fuzzy_compare: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestGroup {
    #[serde(default)]
    name: String,
    interval: Option<Span>,
    #[serde(default)]
    input_series: Vec<InputSeries>,
    #[serde(default)]
    alert_rule_test: Vec<AlertTest>,
    #[serde(default)]
    promql_expr_test: Vec<ExprTest>,
    #[serde(default)]
    external_labels: BTreeMap<String, String>,
    #[serde(default)]
    external_url: String,
    start_timestamp: Option<Moment>,
    gated_test: Option<GatedTest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InputSeries {
    series: String,
    values: Scalar,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertTest {
    #[serde(default)]
    eval_time: Span,
    alertname: String,
    #[serde(default)]
    exp_alerts: Vec<ExpectedAlert>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedAlert {
    #[serde(default)]
    exp_labels: BTreeMap<String, String>,
    #[serde(default)]
    exp_annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExprTest {
    expr: String,
    #[serde(default)]
    eval_time: Span,
    #[serde(default)]
    exp_samples: Vec<ExpectedSample>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedSample {
    #[serde(default)]
    labels: String,
    #[serde(default)]
    value: Option<Scalar>,
    #[serde(default)]
    histogram: Option<String>,
}

/// A duration as Prometheus writes it.
#[derive(Clone, Copy, Default)]
pub(super) struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Scalar(text) = Scalar::deserialize(from)?;
        time::duration(&text).map(Self).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no duration; write 30s, 5m, 1h30m or 0"
            ))
        })
    }
}

/// What YAML may write as a number or as a text, as text.
pub(super) struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Integer(i64),
            Float(f64),
            Text(String),
        }
        Ok(Self(match Either::deserialize(from)? {
            Either::Integer(number) => number.to_string(),
            Either::Float(number) => number.to_string(),
            Either::Text(text) => text,
        }))
    }
}

/// A start: RFC 3339 or Unix seconds.
pub(super) struct Moment(pub Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Scalar(text) = Scalar::deserialize(from)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// How one test went.
#[derive(Debug)]
pub struct Outcome {
    pub name: String,
    /// Empty when it passed.
    pub failures: Vec<String>,
}

/// How the tests of one file went.
#[derive(Debug)]
pub struct FileOutcome {
    pub path: String,
    /// Why the file could not be run at all.
    pub refused: Option<String>,
    /// There is no such file, or it cannot be read.
    pub unread: bool,
    pub tests: Vec<Outcome>,
}

impl FileOutcome {
    #[must_use]
    pub fn passed(&self) -> bool {
        self.refused.is_none() && self.tests.iter().all(|test| test.failures.is_empty())
    }
}

/// Runs every file, or of each the tests whose name matches `only`.
#[must_use]
pub fn run(files: &[PathBuf], only: Option<&Regex>, env: Env<'_>) -> Vec<FileOutcome> {
    files.iter().map(|path| run_file(path, only, env)).collect()
}

/// What a person reads, and how the process exits: 0 all passed, 1 not, 2 a file cannot be read.
#[must_use]
pub fn report(outcomes: &[FileOutcome]) -> Report {
    let mut text = String::new();
    let mut code = 0;
    for outcome in outcomes {
        let _ = writeln!(text, "{}", outcome.path);
        if let Some(why) = &outcome.refused {
            code = code.max(if outcome.unread { 2 } else { 1 });
            let _ = writeln!(text, "  FAILED: {why}");
        }
        for test in &outcome.tests {
            let name = if test.name.is_empty() {
                "(no name)"
            } else {
                &test.name
            };
            if test.failures.is_empty() {
                let _ = writeln!(text, "  ok      {name}");
                continue;
            }
            code = code.max(1);
            let _ = writeln!(text, "  FAILED  {name}");
            for failure in &test.failures {
                for line in failure.lines() {
                    let _ = writeln!(text, "          {line}");
                }
            }
        }
    }
    let all = outcomes.iter().flat_map(|it| &it.tests);
    let failed = all.clone().filter(|it| !it.failures.is_empty()).count();
    let refused = outcomes.iter().filter(|it| it.refused.is_some()).count();
    let _ = writeln!(
        text,
        "{} passed, {failed} failed{}",
        all.count() - failed,
        match refused {
            0 => String::new(),
            1 => ", 1 file could not be run".to_owned(),
            n => format!(", {n} files could not be run"),
        }
    );
    Report { text, code }
}

/// For a pipeline: one suite a file, one case a test.
#[must_use]
pub fn junit(outcomes: &[FileOutcome]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for outcome in outcomes {
        let failures = outcome.tests.iter().filter(|it| !it.failures.is_empty());
        let refused = usize::from(outcome.refused.is_some());
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{refused}\">",
            escaped(&outcome.path),
            outcome.tests.len() + refused,
            failures.count()
        );
        if let Some(why) = &outcome.refused {
            let _ = writeln!(
                xml,
                "    <testcase name=\"file\"><error message=\"{}\"/></testcase>",
                escaped(why)
            );
        }
        for test in &outcome.tests {
            let _ = write!(xml, "    <testcase name=\"{}\"", escaped(&test.name));
            if test.failures.is_empty() {
                xml.push_str("/>\n");
            } else {
                let text = test.failures.join("\n");
                let _ = writeln!(xml, "><failure>{}</failure></testcase>", escaped(&text));
            }
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            c if c.is_control() && c != '\n' => " ".to_owned(),
            c => c.to_string(),
        })
        .collect()
}

fn run_file(path: &Path, only: Option<&Regex>, env: Env<'_>) -> FileOutcome {
    let mut outcome = FileOutcome {
        path: path.display().to_string(),
        refused: None,
        unread: false,
        tests: Vec::new(),
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            outcome.refused = Some(format!("it cannot be read: {error}"));
            outcome.unread = true;
            return outcome;
        }
    };
    let loaded = load(path, &text, env);
    let (file, rules) = match loaded {
        Ok(loaded) => loaded,
        Err(why) => {
            outcome.refused = Some(why);
            return outcome;
        }
    };
    let chosen = |test: &&TestGroup| only.is_none_or(|only| only.is_match(&test.name));
    for test in file.tests.iter().filter(chosen) {
        outcome.tests.push(Outcome {
            name: test.name.clone(),
            failures: run_test(&file, test, &rules),
        });
    }
    outcome
}

fn run_test(file: &TestFile, test: &TestGroup, rules: &Arc<Rules>) -> Vec<String> {
    let mut failures = match Bench::new(file, test, &rules.groups) {
        Ok(bench) => bench.run(),
        Err(why) => return vec![why],
    };
    if let Some(block) = &test.gated_test {
        let interval = test.interval.or(file.evaluation_interval);
        let interval = interval.map_or(Duration::from_secs(60), |it| it.0);
        let time = (interval, test.start_timestamp.as_ref());
        let input = &test.input_series;
        match gated_test::run(block, rules, input, time, &test.external_labels) {
            Ok(more) => failures.extend(more),
            Err(why) => failures.push(why),
        }
    }
    failures
}

/// A test file and its rules, the groups, in the order in which they are evaluated.
fn load(path: &Path, text: &str, env: Env<'_>) -> Result<(TestFile, Arc<Rules>), String> {
    let options = serde_saphyr::options! {
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
        budget: None
    };
    let file: TestFile =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut files = Vec::new();
    for pattern in &file.rule_files {
        let found = script::expanded(&folder.join(pattern)).map_err(|error| error.to_string())?;
        if found.is_empty() {
            return Err(format!("rule_files: nothing is there for {pattern}"));
        }
        files.extend(found);
    }
    let mut rules = rules_of(&files, env)?;
    for (place, name) in file.group_eval_order.iter().enumerate() {
        if file.group_eval_order[..place].contains(name) {
            return Err(format!("group_eval_order: `{name}` stands there twice"));
        }
    }
    // As promtool: what the order does not name comes with its first.
    let place = |name: &String| file.group_eval_order.iter().position(|it| it == name);
    let first = |group: &RuleGroup| place(&group.name).unwrap_or(0);
    rules.groups.sort_by_key(first);
    Ok((file, Arc::new(rules)))
}

fn rules_of(files: &[PathBuf], env: Env<'_>) -> Result<Rules, String> {
    let sources = super::config::read_rules(files).map_err(|error| error.to_string())?;
    let loaded = load_with(&sources, env, None);
    Ok(loaded.map_err(|faults| faults.render(false))?.0)
}

/// Series and their samples by interval.
pub(super) fn loaded_series(
    input: &[InputSeries],
) -> Result<Vec<(Labels, script::Samples)>, String> {
    let wrong = |error: script::ScriptError| format!("input_series: {error}");
    input
        .iter()
        .map(|it| {
            let labels = script::labels(&it.series).map_err(wrong)?;
            Ok((labels, script::values(&it.values.0).map_err(wrong)?))
        })
        .collect()
}

/// One test while it runs.
struct Bench<'a> {
    test: &'a TestGroup,
    fuzzy: bool,
    start: Timestamp,
    /// Between evaluations.
    step: Duration,
    window: Window,
    groups: Vec<Group>,
    /// Labels, and the samples that are still to come.
    series: Vec<script::Samples>,
    /// Between samples.
    interval: Duration,
    loaded: usize,
    external: Labels,
    failures: Vec<String>,
}

impl<'a> Bench<'a> {
    fn new(file: &TestFile, test: &'a TestGroup, groups: &[RuleGroup]) -> Result<Self, String> {
        let minute = Duration::from_secs(60);
        let step = file.evaluation_interval.map_or(minute, |it| it.0);
        let interval = test.interval.map_or(step, |it| it.0);
        if step.is_zero() || interval.is_zero() {
            return Err("an interval of 0 has no end".to_owned());
        }
        let mut window = Window::default();
        let mut series = Vec::new();
        for (id, (labels, samples)) in (0..).zip(loaded_series(&test.input_series)?) {
            series.push(samples);
            let target = TargetId(id);
            window.add_target(target, interval);
            window.born(target, Slot(0), labels, EVER);
        }
        let mut next = RULES_FROM;
        let mut made: Vec<Group> = groups
            .iter()
            .map(|group| compiled(group, step, &mut next))
            .collect();
        for group in &mut made {
            group.restore(&|_, _| None, None, Timestamp::EPOCH);
        }
        Ok(Self {
            test,
            fuzzy: file.fuzzy_compare,
            start: test
                .start_timestamp
                .as_ref()
                .map_or(Timestamp::EPOCH, |it| it.0),
            step,
            window,
            groups: made,
            series,
            interval,
            loaded: 0,
            external: Labels::new(&test.external_labels),
            failures: Vec::new(),
        })
    }

    fn run(mut self) -> Vec<String> {
        let alerts = self.test.alert_rule_test.iter().map(|it| it.eval_time.0);
        let exprs = self.test.promql_expr_test.iter().map(|it| it.eval_time.0);
        let end = alerts.chain(exprs).max().unwrap_or_default();
        let steps = i64::try_from(end.as_millis() / self.step.as_millis().max(1));
        let steps = steps.unwrap_or(i64::MAX);
        if steps > EVALUATIONS_MAX {
            return vec![format!("{steps} evaluations; {EVALUATIONS_MAX} at most")];
        }
        for index in 0..=steps {
            let since = self.step * u32::try_from(index).unwrap_or(u32::MAX);
            self.load_until(since);
            self.evaluate(self.start + since);
            let due = since..since + self.step;
            for expected in &self.test.alert_rule_test {
                if due.contains(&expected.eval_time.0) {
                    self.check_alerts(expected);
                }
            }
        }
        for expected in &self.test.promql_expr_test {
            self.check_expr(expected);
        }
        self.failures
    }

    /// Every sample up to and including this long after the start.
    fn load_until(&mut self, since: Duration) {
        let until = usize::try_from(since.as_millis() / self.interval.as_millis().max(1));
        let until = until.unwrap_or(usize::MAX).saturating_add(1);
        let longest = self.series.iter().map(Vec::len).max().unwrap_or(0);
        for index in self.loaded..until.min(longest) {
            let at = self.start + self.interval * u32::try_from(index).unwrap_or(u32::MAX);
            for (id, values) in (0..).zip(&self.series) {
                if let Some(Some(value)) = values.get(index) {
                    self.window.append(TargetId(id), at, &[*value], &[]);
                }
            }
        }
        self.loaded = until.min(longest).max(self.loaded);
    }

    fn evaluate(&mut self, at: Timestamp) {
        let world = World {
            external_labels: &self.external,
            external_url: &self.test.external_url,
            span: &|_| EVER,
            kept: &|_| Ok(()),
        };
        for group in &mut self.groups {
            group.eval(&mut self.window, at, &world);
            for rule in group.unhealthy() {
                let why = rule.health.why().unwrap_or_default();
                let failure = format!("rule {} at {at}: {why}", rule.name);
                self.failures.push(failure);
            }
        }
    }

    fn check_alerts(&mut self, expected: &AlertTest) {
        type Shown = (BTreeMap<String, String>, BTreeMap<String, String>);
        let texts = |labels: &Labels| -> BTreeMap<String, String> {
            labels
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        };
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        let mut got: Vec<Shown> = rules
            .filter(|rule| rule.name == expected.alertname)
            .filter_map(|rule| match &rule.kind {
                RuleKind::Alert { alerts, .. } => Some(alerts),
                RuleKind::Record => None,
            })
            .flat_map(RuleAlerts::iter)
            .filter(|alert| alert.state == AlertState::Firing)
            .map(|alert| (texts(&alert.labels), alert.annotations.clone()))
            .collect();
        let name = || ("alertname".to_owned(), expected.alertname.clone());
        let mut wanted: Vec<Shown> = expected
            .exp_alerts
            .iter()
            .map(|it| {
                let mut labels = it.exp_labels.clone();
                labels.extend([name()]);
                (labels, it.exp_annotations.clone())
            })
            .collect();
        got.sort();
        wanted.sort();
        if got == wanted {
            return;
        }
        let line = |(labels, annotations): &Shown| {
            let mut text = format!("{}", Labels::new(labels));
            for (name, value) in annotations {
                let _ = write!(text, "\n      {name}: {value}");
            }
            text
        };
        let head = format!(
            "alert {} at {}",
            expected.alertname,
            humantime::format_duration(expected.eval_time.0)
        );
        self.failures.push(differing(&head, &wanted, &got, line));
    }

    fn check_expr(&mut self, expected: &ExprTest) {
        let time = humantime::format_duration(expected.eval_time.0);
        let head = format!("{} at {time}", expected.expr);
        match self.samples(expected) {
            Err(why) => self.failures.push(format!("{head}: {why}")),
            Ok((wanted, got)) => {
                let fuzzy = self.fuzzy;
                let same = wanted.len() == got.len()
                    && wanted
                        .iter()
                        .zip(&got)
                        .all(|(a, b)| a.0 == b.0 && alike(a.1, b.1, fuzzy));
                if !same {
                    let line = |(labels, value): &(Labels, f64)| format!("{labels} {value}");
                    self.failures.push(differing(&head, &wanted, &got, line));
                }
            }
        }
    }

    /// What was expected and what came, both sorted by labels.
    #[allow(clippy::type_complexity, reason = "two lists of the same kind")]
    fn samples(
        &mut self,
        expected: &ExprTest,
    ) -> Result<(Vec<(Labels, f64)>, Vec<(Labels, f64)>), String> {
        let mut wanted = Vec::new();
        for sample in &expected.exp_samples {
            if sample.histogram.is_some() {
                return Err("native histograms are not evaluated by gated".to_owned());
            }
            let labels = script::labels(&sample.labels).map_err(|error| error.to_string())?;
            let value = sample.value.as_ref().map_or("0", |it| &it.0);
            let value = script::number(value).ok_or_else(|| format!("`{value}` is no number"))?;
            wanted.push((labels, value));
        }
        let expr = Expr::parse(&expected.expr).map_err(|error| error.to_string())?;
        let mut plan = Plan::new(&expr).stepping(self.step);
        let at = self.start + expected.eval_time.0;
        let mut got = match plan
            .eval(&self.window, at)
            .map_err(|error| error.to_string())?
        {
            Output::Scalar(value) => vec![(Labels::empty(), value)],
            Output::Vector(vector) => vector
                .iter()
                .filter(|(_, value)| !is_stale(*value))
                .map(|(labels, value)| (labels.clone(), value))
                .collect(),
        };
        got.sort_by(|a, b| a.0.cmp(&b.0));
        wanted.sort_by(|a, b| a.0.cmp(&b.0));
        Ok((wanted, got))
    }
}

/// A group as promtool runs it: its own interval does not count.
fn compiled(spec: &RuleGroup, step: Duration, next: &mut u32) -> Group {
    let mut group = Group::new(&spec.name, &spec.file, step, Duration::ZERO);
    group.query_offset = spec.query_offset.unwrap_or_default();
    group.limit = spec.limit;
    for rule in &spec.rules {
        let target = TargetId(*next);
        *next += 1;
        let (name, expr, labels) = (&rule.name, &rule.expr, rule.labels.clone());
        let made = match &rule.kind {
            GroupRuleKind::Record => GroupRule::record(name, expr, labels, target),
            GroupRuleKind::Alert(alert) => {
                let timing = AlertTiming {
                    hold: alert.hold,
                    keep_firing_for: alert.keep_firing_for,
                };
                let texts = (labels, alert.annotations.clone());
                GroupRule::alert(name, expr, timing, texts, target)
            }
        };
        group.rules.push(made.stepping(step));
    }
    group
}

/// Lines that are only expected with `-`, those that only came with `+`.
fn differing<T: PartialEq>(
    head: &str,
    wanted: &[T],
    got: &[T],
    line: impl Fn(&T) -> String,
) -> String {
    let mut text = head.to_owned();
    for it in wanted.iter().filter(|it| !got.contains(it)) {
        let _ = write!(text, "\n  - {}", line(it));
    }
    for it in got {
        let sign = if wanted.contains(it) { ' ' } else { '+' };
        let _ = write!(text, "\n  {sign} {}", line(it));
    }
    if wanted.is_empty() {
        text += "\n  (nothing was expected)";
    }
    if got.is_empty() {
        text += "\n  (nothing came)";
    }
    text
}

/// Exactly, or but for the last digit of a float. NaN equals NaN, other than in promtool.
#[allow(clippy::float_cmp, reason = "that is what exactly means")]
fn alike(a: f64, b: f64, fuzzy: bool) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    fuzzy && (a.next_up() == b || a.next_down() == b)
}
