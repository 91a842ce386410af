//! `gated_test` blocks: rollouts, phases, verdicts and decisions of gated's own rules, over a simulated clock. The engine
//! is the one that runs live; a script stands for the scrapes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::spelled;
use crate::engine::{
    Call, Columns, Effect, Engine, Input, Judging, Record, Restored, Scrape, ScrapeError,
    ScrapeFault, Settings, TargetInfo, VerdictState,
};
use crate::model::{
    Action, Decision, Guard, Labels, STALE, Severity, Slot, Status, TargetId, Timestamp, Verdict,
    is_stale,
};
use crate::runbook::Rules;
use crate::source::script::Samples;

/// The receiver of rollbacks in a test.
pub(super) const HOOK: &str = "deployer";

/// A block, as a person wrote it.
pub(super) struct GatedTest {
    /// `[rollback] mode`
    pub armed: bool,
    /// `[judging] settle`
    pub settle: Option<Duration>,
    /// `[rollout] version_from`
    pub version_from: Option<String>,
    /// `[rollout] go_live`, counted from the start.
    pub go_live: Option<Duration>,
    /// Sorted by time.
    pub rollouts: Vec<Told>,
    /// Sorted by time.
    pub expect: Vec<Expected>,
}

pub(super) struct Told {
    pub at: Duration,
    pub version: String,
    pub previous_version: Option<String>,
    pub irreversible: bool,
}

/// What must be so at a moment. What is left out may be anything.
pub(super) struct Expected {
    pub at: Duration,
    pub line: usize,
    pub phase: Option<String>,
    pub verdict: Option<Verdict>,
    pub status: Option<Status>,
    /// Everything decided so far, oldest first.
    pub decisions: Option<Vec<ExpectedDecision>>,
}

impl Expected {
    /// Whether it says more than what was decided.
    pub fn says_how_it_stands(&self) -> bool {
        self.phase.is_some() || self.verdict.is_some() || self.status.is_some()
    }
}

/// What is left out may be anything, but for `refused_by`: left out, nothing refused.
pub(super) struct ExpectedDecision {
    pub action: Action,
    pub trigger: Option<String>,
    pub refused_by: Option<Guard>,
    pub severity: Option<Severity>,
    pub phase: Option<String>,
}

/// What the targets show, and from when.
pub(super) struct Script<'a> {
    pub series: &'a [(Labels, Samples)],
    /// Between scrapes.
    pub interval: Duration,
    pub start: Timestamp,
    pub external: &'a BTreeMap<String, String>,
}

/// The page of one target: its series, and their samples by interval.
struct Page {
    info: TargetInfo,
    labels: Vec<Labels>,
    samples: Vec<Samples>,
}

/// Runs the block; what is not as expected, one text each.
pub(super) fn run(test: &GatedTest, rules: &Arc<Rules>, script: &Script<'_>) -> Vec<String> {
    let pages = pages(script);
    let mut stage = Stage::new(test, rules, &pages, script);
    let mut failures = Vec::new();
    for expected in &test.expect {
        stage.go_on(test, &pages, script.interval, expected.at);
        failures.extend(stage.compare(expected));
    }
    failures
}

/// Series that share job and instance stand on one page.
fn pages(script: &Script<'_>) -> Vec<Page> {
    let mut pages: Vec<Page> = Vec::new();
    for (labels, samples) in script.series {
        let of = |name: &str| labels.get(name).unwrap_or_default().to_owned();
        let (job, instance) = (of("job"), of("instance"));
        let known = pages
            .iter()
            .position(|page| page.info.job == job && page.info.instance == instance);
        let place = known.unwrap_or_else(|| {
            let id = TargetId(u32::try_from(pages.len()).expect("fewer targets than 2^32"));
            let own = [("job", job.clone()), ("instance", instance.clone())];
            let info = TargetInfo {
                id,
                url: format!("http://{instance}/metrics"),
                labels: Labels::new(own.into_iter().filter(|(_, value)| !value.is_empty())),
                job,
                instance,
                interval: script.interval,
                timeout: script.interval,
            };
            let (labels, samples) = (Vec::new(), Vec::new());
            pages.push(Page {
                info,
                labels,
                samples,
            });
            pages.len() - 1
        });
        pages[place].labels.push(labels.clone());
        pages[place].samples.push(samples.clone());
    }
    pages
}

impl Page {
    /// The scrape of interval `index`: failed where no series has a sample, although one had or will have.
    fn scrape(&self, index: usize, at: Timestamp) -> Scrape {
        let value = |samples: &Samples| samples.get(index).copied().flatten();
        let values: Vec<f64> = self
            .samples
            .iter()
            .map(|samples| value(samples).unwrap_or(STALE))
            .collect();
        let count = values.iter().filter(|value| !is_stale(**value)).count();
        let count = u32::try_from(count).expect("fewer series than 2^32");
        let slots = || (0..).map(Slot).zip(&self.labels);
        let columns = Columns {
            samples_scraped: count,
            samples_kept: count,
            series_added: if index == 0 { count } else { 0 },
            born: if index == 0 {
                slots()
                    .map(|(slot, labels)| (slot, labels.clone()))
                    .collect()
            } else {
                Vec::new()
            },
            values,
            ..Columns::default()
        };
        let failed = self.samples.iter().all(|samples| value(samples).is_none());
        Scrape {
            target: self.info.id,
            at,
            duration: Duration::from_millis(1),
            outcome: if failed && index > 0 {
                Err(ScrapeError {
                    fault: ScrapeFault::ConnectRefused,
                    text: "the test gives no sample here".to_owned(),
                })
            } else {
                Ok(columns)
            },
        }
    }
}

/// The engine while a test runs.
struct Stage {
    engine: Engine,
    start: Timestamp,
    decisions: Vec<Decision>,
    /// Intervals scraped, rollouts told.
    scraped: u32,
    told: usize,
}

impl Stage {
    fn new(test: &GatedTest, rules: &Arc<Rules>, pages: &[Page], script: &Script<'_>) -> Self {
        let start = script.start;
        let defaults = Judging::default();
        let mut settings = Settings::plain("test", Arc::clone(rules));
        if test.armed {
            settings = settings.armed(HOOK);
        }
        settings.labels = script.external.clone();
        settings.judging.settle = test.settle.unwrap_or(defaults.settle);
        settings.rollout.version_from.clone_from(&test.version_from);
        settings.rollout.go_live = test.go_live.map(|it| start + it);
        let before = start - Duration::from_secs(1);
        let mut out = Vec::new();
        let settings = Arc::new(settings);
        let mut engine = Engine::new(settings, Restored::default(), before, &mut out);
        for page in pages {
            engine.apply(before, Input::Target(page.info.clone()), &mut out);
        }
        let mut stage = Self {
            engine,
            start,
            decisions: Vec::new(),
            scraped: 0,
            told: 0,
        };
        stage.take(out);
        stage
    }

    fn take(&mut self, out: Vec<Effect>) {
        for effect in out {
            if let Effect::Record(Record::Decision(decision)) = effect {
                self.decisions.push(*decision);
            }
        }
    }

    /// Everything up to and including this long after the start: scrapes at their intervals, rollouts before them.
    fn go_on(&mut self, test: &GatedTest, pages: &[Page], interval: Duration, until: Duration) {
        let mut out = Vec::new();
        loop {
            let scrape = interval.saturating_mul(self.scraped);
            let told = test.rollouts.get(self.told).map(|it| it.at);
            match told.filter(|told| *told <= scrape.min(until)) {
                Some(at) => {
                    let told = &test.rollouts[self.told];
                    let call = Call::StartRollout {
                        id: None,
                        version: told.version.clone(),
                        previous_version: told.previous_version.clone(),
                        started_at: None,
                        irreversible: told.irreversible,
                    };
                    let token = self.told as u64;
                    let input = Input::Operator { token, call };
                    self.engine.apply(self.start + at, input, &mut out);
                    self.told += 1;
                }
                None if scrape <= until => {
                    let at = self.start + scrape;
                    for page in pages {
                        let scrape = page.scrape(self.scraped as usize, at);
                        self.engine.apply(at, Input::Scraped(scrape), &mut out);
                    }
                    self.scraped += 1;
                }
                None => break,
            }
        }
        self.engine.advance(self.start + until, &mut out);
        self.take(out);
    }

    fn compare(&self, expected: &Expected) -> Vec<String> {
        let now = format!("{} (line {})", spelled(expected.at), expected.line);
        let snapshot = self.engine.snapshot(self.start + expected.at);
        expected.compare(&snapshot.verdict, &self.decisions, &now)
    }
}

impl Expected {
    /// What is not so, one text each. `now`: the moment, for people.
    pub fn compare(
        &self,
        verdict: &VerdictState,
        decisions: &[Decision],
        now: &str,
    ) -> Vec<String> {
        let expected = self;
        let mut failures = Vec::new();
        let mut differs = |what: &str, wanted: Option<&str>, got: &str| {
            let wanted = wanted.filter(|wanted| *wanted != got);
            failures.extend(wanted.map(|wanted| {
                let (got, wanted) = (named(got), named(wanted));
                format!("{what} at {now}: {got}, expected {wanted}")
            }));
            wanted.is_some()
        };
        differs("phase", expected.phase.as_deref(), &verdict.phase);
        let wanted = expected.status.map(Status::word);
        let status = differs("status", wanted, verdict.status.word());
        let wanted = expected.verdict.map(Verdict::word);
        if differs("verdict", wanted, verdict.verdict.word()) || status {
            let last = failures.last_mut().expect("one of them differs");
            for reason in &verdict.reasons {
                let _ = write!(last, "\n    {reason}");
            }
        }
        failures.extend(
            expected
                .decisions
                .as_ref()
                .and_then(|it| differing(it, decisions, now)),
        );
        failures
    }
}

/// Where decisions are not those expected, in their order: both, with `-` and `+` from where they part.
fn differing(wanted: &[ExpectedDecision], decisions: &[Decision], now: &str) -> Option<String> {
    let pairs = wanted.iter().zip(decisions);
    let alike = pairs.take_while(|(a, b)| a.is(b)).count();
    if alike == wanted.len() && alike == decisions.len() {
        return None;
    }
    let mut text = format!("decisions at {now}");
    for it in &decisions[..alike] {
        let _ = write!(text, "\n    {}", shown(it));
    }
    for it in &wanted[alike..] {
        let _ = write!(text, "\n  - {}", it.shown());
    }
    for it in &decisions[alike..] {
        let _ = write!(text, "\n  + {}", shown(it));
    }
    if wanted.is_empty() {
        text += "\n  (nothing was expected)";
    }
    if decisions.is_empty() {
        text += "\n  (nothing was decided)";
    }
    Some(text)
}

/// As a file writes it: outside of every phase there is an empty name.
fn named(word: &str) -> &str {
    if word.is_empty() { "\"\"" } else { word }
}

impl ExpectedDecision {
    fn is(&self, decision: &Decision) -> bool {
        let same = |wanted: Option<&String>, got: &str| wanted.is_none_or(|wanted| wanted == got);
        self.action == decision.action
            && same(self.trigger.as_ref(), &decision.trigger)
            && self.severity.is_none_or(|it| it == decision.severity)
            && same(self.phase.as_ref(), &decision.phase)
            && self.refused_by == decision.refused_by
    }

    fn shown(&self) -> String {
        let parts = [
            ("trigger", self.trigger.as_deref()),
            ("refused_by", self.refused_by.map(Guard::word)),
            ("severity", self.severity.map(Severity::word)),
            ("phase", self.phase.as_deref()),
        ];
        let mut text = self.action.to_string();
        for (name, value) in parts {
            if let Some(value) = value {
                let _ = write!(text, " {name}={value}");
            }
        }
        text
    }
}

fn shown(decision: &Decision) -> String {
    let refused = decision
        .refused_by
        .map(|guard| format!(" refused_by={guard}"));
    format!(
        "{} trigger={}{} severity={} phase={} ({})",
        decision.action,
        decision.trigger,
        refused.unwrap_or_default(),
        decision.severity,
        decision.phase,
        decision.reason
    )
}
