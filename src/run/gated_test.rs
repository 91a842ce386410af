//! `gated_test` blocks: rollouts, phases, verdicts and decisions of gated's own rules, over a simulated clock. The engine
//! is the one that runs live; a script stands for the scrapes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::rule_test::{InputSeries, Moment, Span, loaded_series};
use crate::engine::{
    Call, Columns, Effect, Engine, Input, Judging, Receiver, Record, Restored, RollbackMode,
    RollbackPolicy, RolloutPolicy, Scrape, ScrapeError, ScrapeFault, Settings, TargetInfo,
};
use crate::model::{Decision, Labels, STALE, Slot, TargetId, Timestamp, is_stale};
use crate::runbook::Rules;
use crate::source::script;

/// The receiver of rollbacks in a test.
const HOOK: &str = "deployer";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GatedTest {
    /// `[rollback] mode`
    #[serde(default = "yes")]
    armed: bool,
    /// `[judging] settle`
    settle: Option<Span>,
    /// `[rollout] version_from`
    version_from: Option<String>,
    /// `[rollout] go_live`, counted from the start.
    go_live: Option<Span>,
    #[serde(default)]
    rollouts: Vec<Told>,
    #[serde(default)]
    expect: Vec<Expected>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    at: Span,
    version: String,
    previous_version: Option<String>,
    #[serde(default)]
    irreversible: bool,
}

/// What must be so at a moment. What is left out may be anything.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    at: Span,
    phase: Option<String>,
    verdict: Option<String>,
    status: Option<String>,
    /// Everything decided so far, oldest first.
    decisions: Option<Vec<ExpectedDecision>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedDecision {
    #[serde(rename = "do")]
    action: String,
    trigger: Option<String>,
    refused_by: Option<String>,
    severity: Option<String>,
    phase: Option<String>,
}

/// The page of one target: its series, and their samples by interval.
struct Page {
    info: TargetInfo,
    labels: Vec<Labels>,
    samples: Vec<script::Samples>,
}

/// Runs the block; what is not as expected, one text each.
pub(super) fn run(
    test: &GatedTest,
    rules: &Arc<Rules>,
    input: &[InputSeries],
    (interval, start): (Duration, Option<&Moment>),
    external: &BTreeMap<String, String>,
) -> Result<Vec<String>, String> {
    let start = start.map_or(Timestamp::EPOCH, |it| it.0);
    let pages = pages(input, interval)?;
    let mut stage = Stage::new(test, rules, &pages, external, start);
    let mut failures = Vec::new();
    let mut moments: Vec<&Expected> = test.expect.iter().collect();
    moments.sort_by_key(|it| it.at.0);
    for expected in moments {
        stage.go_on(test, &pages, interval, expected.at.0);
        failures.extend(stage.compare(expected));
    }
    Ok(failures)
}

/// Series that share job and instance stand on one page.
fn pages(input: &[InputSeries], interval: Duration) -> Result<Vec<Page>, String> {
    let mut pages: Vec<Page> = Vec::new();
    for (labels, samples) in loaded_series(input)? {
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
                interval,
                timeout: interval,
            };
            let (labels, samples) = (Vec::new(), Vec::new());
            pages.push(Page {
                info,
                labels,
                samples,
            });
            pages.len() - 1
        });
        pages[place].labels.push(labels);
        pages[place].samples.push(samples);
    }
    Ok(pages)
}

impl Page {
    /// The scrape of interval `index`: failed where no series has a sample, although one had or will have.
    fn scrape(&self, index: usize, at: Timestamp) -> Scrape {
        let value = |samples: &script::Samples| samples.get(index).copied().flatten();
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
    fn new(
        test: &GatedTest,
        rules: &Arc<Rules>,
        pages: &[Page],
        external: &BTreeMap<String, String>,
        start: Timestamp,
    ) -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let defaults = Judging::default();
        let settings = Settings {
            service: "test".to_owned(),
            environment: String::new(),
            labels: external.clone(),
            rules: Arc::clone(rules),
            judging: Judging {
                settle: test.settle.map_or(defaults.settle, |it| it.0),
                ..defaults
            },
            rollback: RollbackPolicy {
                mode: if test.armed {
                    RollbackMode::Armed
                } else {
                    RollbackMode::Shadow
                },
                hook: Some(HOOK.to_owned()),
                give_up_after: minutes(15),
            },
            rollout: RolloutPolicy {
                told: None,
                version_from: test.version_from.clone(),
                go_live: test.go_live.map(|it| start + it.0),
                baseline: minutes(10),
            },
            receivers: vec![Receiver {
                name: HOOK.to_owned(),
                give_up_after: minutes(15),
                events: Vec::new(),
            }],
            alerting: None,
            external_url: None,
            retain: None,
            preview: None,
        };
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
            let told = test.rollouts.get(self.told).map(|it| it.at.0);
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
        let now = humantime::format_duration(expected.at.0);
        let snapshot = self.engine.snapshot(self.start + expected.at.0);
        let verdict = &snapshot.verdict;
        let mut failures = Vec::new();
        let mut differs = |what: &str, wanted: Option<&String>, got: &str| {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != got) {
                let why = verdict.reasons.join("; ");
                failures.push(format!("{what} at {now}: {got}, expected {wanted} ({why})"));
            }
        };
        differs("phase", expected.phase.as_ref(), &verdict.phase);
        differs("verdict", expected.verdict.as_ref(), verdict.verdict.word());
        differs("status", expected.status.as_ref(), verdict.status.word());
        if let Some(wanted) = &expected.decisions {
            let same = wanted.len() == self.decisions.len()
                && wanted.iter().zip(&self.decisions).all(|(a, b)| a.is(b));
            if !same {
                let mut text = format!("decisions at {now}");
                for it in wanted {
                    let _ = write!(text, "\n  - {}", it.shown());
                }
                for it in &self.decisions {
                    let _ = write!(text, "\n  + {}", shown(it));
                }
                if self.decisions.is_empty() {
                    text += "\n  (nothing was decided)";
                }
                failures.push(text);
            }
        }
        failures
    }
}

impl ExpectedDecision {
    fn is(&self, decision: &Decision) -> bool {
        let same = |wanted: Option<&String>, got: &str| wanted.is_none_or(|wanted| wanted == got);
        self.action == decision.action.word()
            && same(self.trigger.as_ref(), &decision.trigger)
            && same(self.severity.as_ref(), decision.severity.word())
            && same(self.phase.as_ref(), &decision.phase)
            && self.refused_by.as_deref() == decision.refused_by.map(crate::model::Guard::word)
    }

    fn shown(&self) -> String {
        let mut text = self.action.clone();
        let parts = [
            ("trigger", &self.trigger),
            ("refused_by", &self.refused_by),
            ("severity", &self.severity),
            ("phase", &self.phase),
        ];
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
