//! One test while it runs: samples, evaluations and questions in promtool's order. Deliberately absent: what rules mean
//! (`rules` knows).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::compare::{alike, differing};
use super::file::{AlertTest, ExpectedAlert, ExprTest, Test, TestFile};
use crate::model::{Labels, Slot, TargetId, Timestamp, is_stale};
use crate::promql::{Output, Plan};
use crate::rules::{AlertState, AlertTiming, Group, GroupRule, RuleAlerts, RuleKind, World};
use crate::run::spelled;
use crate::runbook::{GroupRuleKind, RuleGroup};
use crate::source::script::Samples;
use crate::store::Window;

/// Nothing that a test loads or records is forgotten.
const EVER: Duration = Duration::from_secs(1000 * 365 * 86_400);
/// The window's targets that stand for rules; those of input series are numbered from zero.
const RULES_FROM: u32 = 1 << 30;
/// Evaluations of one test: far above what promtool would run in minutes.
pub(super) const EVALUATIONS_MAX: u128 = 10_000_000;

/// Labels and value.
type Sample = (Labels, f64);

pub(super) struct Bench<'a> {
    test: &'a Test,
    fuzzy: bool,
    /// Between evaluations.
    step: Duration,
    window: Window,
    groups: Vec<Group>,
    /// By target, then by interval.
    series: Vec<&'a Samples>,
    /// Intervals whose samples are in the window.
    loaded: usize,
    external: Labels,
    failures: Vec<String>,
}

impl<'a> Bench<'a> {
    pub fn new(
        file: &TestFile,
        test: &'a Test,
        series: &'a [(Labels, Samples)],
        groups: &[RuleGroup],
    ) -> Self {
        let mut window = Window::default();
        for (id, (labels, _)) in (0..).zip(series) {
            let target = TargetId(id);
            window.add_target(target, test.interval);
            window.born(target, Slot(0), labels.clone(), EVER);
        }
        let mut next = RULES_FROM;
        let mut made: Vec<Group> = groups
            .iter()
            .map(|group| compiled(group, file.step, &mut next))
            .collect();
        for group in &mut made {
            group.restore(&|_, _| None, None, Timestamp::EPOCH);
        }
        Self {
            test,
            fuzzy: file.fuzzy,
            step: file.step,
            window,
            groups: made,
            series: series.iter().map(|(_, samples)| samples).collect(),
            loaded: 0,
            external: Labels::new(&test.external_labels),
            failures: Vec::new(),
        }
    }

    /// What is not as expected, one text each.
    pub fn run(mut self) -> Vec<String> {
        let alerts = self.test.alerts.iter().map(|it| it.at);
        let exprs = self.test.exprs.iter().map(|it| it.at);
        let end = alerts.chain(exprs).max().unwrap_or_default();
        let steps = end.as_millis() / self.step.as_millis().max(1);
        if steps > EVALUATIONS_MAX {
            return vec![format!("{steps} evaluations; {EVALUATIONS_MAX} at most")];
        }
        for index in 0..=u32::try_from(steps).expect("below ten million") {
            let since = self.step * index;
            self.load_until(since);
            if !self.evaluate(self.test.start + since) {
                // As promtool: what comes after a rule that failed says nothing.
                return self.failures;
            }
            let due = since..since + self.step;
            let test = self.test;
            for expected in test.alerts.iter().filter(|it| due.contains(&it.at)) {
                self.check_alerts(expected);
            }
        }
        for expected in &self.test.exprs {
            self.check_expr(expected);
        }
        self.failures
    }

    /// Every sample up to and including this long after the start.
    fn load_until(&mut self, since: Duration) {
        let until = usize::try_from(since.as_millis() / self.test.interval.as_millis().max(1));
        let until = until.unwrap_or(usize::MAX).saturating_add(1);
        let longest = self.series.iter().map(|it| it.len()).max().unwrap_or(0);
        for index in self.loaded..until.min(longest) {
            let passed = u32::try_from(index).unwrap_or(u32::MAX);
            let at = self.test.start + self.test.interval * passed;
            for (id, values) in (0..).zip(&self.series) {
                if let Some(Some(value)) = values.get(index) {
                    self.window.append(TargetId(id), at, &[*value], &[]);
                }
            }
        }
        self.loaded = until.min(longest).max(self.loaded);
    }

    /// Whether every rule could be evaluated.
    fn evaluate(&mut self, at: Timestamp) -> bool {
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
        self.groups.iter().all(|it| it.unhealthy().next().is_none())
    }

    fn check_alerts(&mut self, expected: &AlertTest) {
        let texts = |labels: &Labels| -> BTreeMap<String, String> {
            let pairs = labels.iter();
            let owned = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
            owned.collect()
        };
        // One name may stand in several groups.
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        let mut got: Vec<ExpectedAlert> = rules
            .filter(|rule| rule.name == expected.name)
            .filter_map(|rule| match &rule.kind {
                RuleKind::Alert { alerts, .. } => Some(alerts),
                RuleKind::Record => None,
            })
            .flat_map(RuleAlerts::iter)
            .filter(|alert| alert.state == AlertState::Firing)
            .map(|alert| ExpectedAlert {
                labels: texts(&alert.labels),
                annotations: alert.annotations.clone(),
            })
            .collect();
        let mut wanted = expected.expected.clone();
        got.sort();
        wanted.sort();
        let head = format!(
            "alert {} at {} (line {})",
            expected.name,
            spelled(expected.at),
            expected.line
        );
        let told = differing(&head, &wanted, &got, PartialEq::eq, shown);
        self.failures.extend(told);
    }

    fn check_expr(&mut self, expected: &ExprTest) {
        let time = spelled(expected.at);
        let head = format!(
            "{} at {time} (line {})",
            expected.expr.text().trim(),
            expected.line
        );
        match self.samples(expected) {
            Err(why) => self.failures.push(format!("{head}: {why}")),
            Ok(got) => {
                let mut wanted = expected.expected.clone();
                wanted.sort_by(|a, b| a.0.cmp(&b.0));
                let fuzzy = self.fuzzy;
                let same = |a: &Sample, b: &Sample| a.0 == b.0 && alike(a.1, b.1, fuzzy);
                let line = |(labels, value): &Sample| format!("{labels} {value}");
                self.failures
                    .extend(differing(&head, &wanted, &got, same, line));
            }
        }
    }

    /// What came, sorted by labels.
    fn samples(&self, expected: &ExprTest) -> Result<Vec<Sample>, String> {
        let mut plan = Plan::new(&expected.expr).stepping(self.step);
        let at = self.test.start + expected.at;
        let came = plan.eval(&self.window, at);
        let mut got = match came.map_err(|error| error.to_string())? {
            Output::Scalar(value) => vec![(Labels::empty(), value)],
            Output::Vector(vector) => vector
                .iter()
                .filter(|(_, value)| !is_stale(*value))
                .map(|(labels, value)| (labels.clone(), value))
                .collect(),
        };
        got.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(got)
    }
}

fn shown(alert: &ExpectedAlert) -> String {
    let mut text = Labels::new(&alert.labels).to_string();
    for (name, value) in &alert.annotations {
        let _ = write!(text, "\n      {name}: {value}");
    }
    text
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
