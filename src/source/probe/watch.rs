//! One probe's task: asks at its pace and tells the engine. Between the runs of a probe that asks seldom its last answer
//! is told again and again, as an exporter would: a sample that is older than five minutes is none to `PromQL`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use metrics::counter;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};
use tracing::{error, info, warn};

use super::ask::{Answer, Asker, Failing};
use super::config::{ProbeConfig, REPEAT};
use super::{JOB, Prober};
use crate::engine::{Columns, Input, Interest, Scrape, ScrapeError, ScrapeFault, TargetInfo};
use crate::model::labels::NAME;
use crate::model::{Labels, STALE, Slot, TargetId, Timestamp};
use crate::source::Now;
use crate::source::metrics as names;
use crate::source::scrape::fault::{fault, one_line};

/// By slot; those of its kind come after them.
const SERIES: [&str; 2] = ["probe_success", "probe_duration_seconds"];
/// Of the words of a failing the engine is told this much, in bytes.
const NOTE_BYTES_MAX: usize = 1000;

pub(super) struct Watch {
    id: TargetId,
    config: Arc<ProbeConfig>,
    asker: Asker,
    interest: Arc<ArcSwap<Interest>>,
    now: Now,
    inputs: mpsc::Sender<Input>,
    /// Why the last probe failed, so that the log says it once.
    failing: Option<Failing>,
    series: Series,
    last: Option<Last>,
}

/// What the last run came to.
struct Last {
    outcome: Result<Answer, ScrapeError>,
    duration: Duration,
}

/// The series as the engine knows them.
struct Series {
    labels: Vec<Labels>,
    /// By slot: it has been born, and is not gone.
    known: Vec<bool>,
    /// What the engine wanted when it was last told of the series.
    told: Option<Arc<Interest>>,
}

impl Watch {
    pub(super) fn new(id: TargetId, config: &Arc<ProbeConfig>, prober: &Prober) -> Self {
        let own = config.labels(JOB);
        let all = SERIES.map(|name| own.with(NAME, name));
        let labels: Vec<Labels> = all.into_iter().chain(config.series(&own)).collect();
        Self {
            id,
            asker: Asker::new(Arc::clone(config), prober.resolver.clone()),
            config: Arc::clone(config),
            interest: Arc::clone(&prober.interest),
            now: Arc::clone(&prober.now),
            inputs: prober.inputs.clone(),
            failing: None,
            series: Series {
                known: vec![false; labels.len()],
                labels,
                told: None,
            },
            last: None,
        }
    }

    /// Whether the last answer is repeated. Answers then carry the time of their end, so that samples stay in order.
    fn repeats(&self) -> bool {
        self.config.interval > REPEAT
    }

    /// Probes until nobody listens any more. A probe that is still under way skips the slots it covers: there are never
    /// two.
    pub(super) async fn run(mut self) {
        let target = Input::Target(self.target());
        if self.inputs.send(target).await.is_err() {
            return;
        }
        let mut slots = interval(self.config.interval);
        slots.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut repeats = interval_at(Instant::now() + REPEAT, REPEAT);
        repeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = slots.tick() => {}
                _ = repeats.tick(), if self.repeats() => {
                    let at = (self.now)();
                    if !self.tell(at).await {
                        return;
                    }
                    continue;
                }
            }
            let (mut at, began) = ((self.now)(), Instant::now());
            let Some(outcome) = self.ask(at, &mut repeats).await else {
                return;
            };
            let duration = began.elapsed();
            if let Err(error) = &outcome {
                counter!(names::FAILURES, "reason" => error.fault.word()).increment(1);
            }
            self.log(&outcome);
            self.last = Some(Last { outcome, duration });
            if self.repeats() {
                at = (self.now)();
                repeats.reset();
            }
            if !self.tell(at).await {
                return;
            }
        }
    }

    /// Asks once; meanwhile what was last said stands. `None`: nobody listens any more.
    async fn ask(
        &mut self,
        at: Timestamp,
        repeats: &mut tokio::time::Interval,
    ) -> Option<Result<Answer, ScrapeError>> {
        let times = self.interest.load().times();
        let repeated = self.repeats();
        // Lent out for the time of the question, since what is told again is told from the rest.
        let Self {
            asker,
            last,
            series,
            interest,
            now,
            inputs,
            id,
            ..
        } = self;
        let asking = AssertUnwindSafe(asker.ask(times, at)).catch_unwind();
        let mut asking = std::pin::pin!(asking);
        let asked = loop {
            tokio::select! {
                asked = &mut asking => break asked,
                _ = repeats.tick(), if repeated => {
                    let Some(last) = last else { continue };
                    let scrape = last.scrape(*id, now(), series, interest);
                    inputs.send(Input::Scraped(scrape)).await.ok()?;
                }
            }
        };
        Some(asked.unwrap_or_else(|_| {
            counter!(names::PANICS).increment(1);
            error!(component = %self.config.component, "probing panicked; it goes on");
            Err(fault(
                ScrapeFault::Connect,
                "the probe met a bug of gated's",
            ))
        }))
    }

    /// Tells the engine what was last said; `false` when nobody listens.
    async fn tell(&mut self, at: Timestamp) -> bool {
        let Some(last) = &self.last else {
            return true;
        };
        let scrape = last.scrape(self.id, at, &mut self.series, &self.interest);
        self.inputs.send(Input::Scraped(scrape)).await.is_ok()
    }

    fn target(&self) -> TargetInfo {
        TargetInfo {
            id: self.id,
            job: JOB.to_owned(),
            instance: self.config.instance(),
            url: self.config.shown(),
            labels: self.config.labels(JOB),
            interval: self.config.heard_every(),
            timeout: self.config.timeout,
        }
    }

    /// The log hears of a change, not of every probe.
    fn log(&mut self, outcome: &Result<Answer, ScrapeError>) {
        let Ok(answer) = outcome else { return };
        let component = &self.config.component;
        match (&self.failing, &answer.failing) {
            (None, Some(why)) => warn!(component, why, "the probe fails"),
            (Some(_), None) => info!(component, "the probe succeeds again"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        self.failing.clone_from(&answer.failing);
    }
}

impl Last {
    fn scrape(
        &self,
        target: TargetId,
        at: Timestamp,
        series: &mut Series,
        interest: &ArcSwap<Interest>,
    ) -> Scrape {
        let outcome = match &self.outcome {
            Ok(answer) => {
                let seconds = self.duration.as_secs_f64();
                Ok(series.columns(answer, seconds, interest.load_full()))
            }
            Err(error) => Err(error.clone()),
        };
        Scrape {
            target,
            at,
            duration: self.duration,
            outcome,
        }
    }
}

impl Series {
    /// The first two series are always there, the others while they have a value. They are named again when rules
    /// changed, for how far back they are needed.
    fn columns(&mut self, answer: &Answer, seconds: f64, interest: Arc<Interest>) -> Columns {
        let success = f64::from(u8::from(answer.failing.is_none()));
        let values = [Some(success), Some(seconds)];
        let values = values.into_iter().chain(answer.more.iter().copied());
        let mut values: Vec<Option<f64>> = values.collect();
        values.resize(self.labels.len(), None);
        let afresh = self.told.as_ref().is_none_or(|it| !it.wants_as(&interest));
        self.told = Some(interest);

        let mut columns = Columns::default();
        for (slot, ((value, known), labels)) in
            (0..).zip(values.iter().zip(&mut self.known).zip(&self.labels))
        {
            let slot = Slot(slot);
            match (value, *known) {
                (Some(_), true) if afresh => columns.born.push((slot, labels.clone())),
                (Some(_), false) => {
                    columns.born.push((slot, labels.clone()));
                    columns.series_added += 1;
                }
                (None, true) => columns.gone.push(slot),
                (Some(_), true) | (None, false) => {}
            }
            *known = value.is_some();
            columns.samples_scraped += u32::from(value.is_some());
        }
        columns.samples_kept = columns.samples_scraped;
        columns.values = values.into_iter().map(|it| it.unwrap_or(STALE)).collect();
        let why = answer.failing.as_deref();
        columns.note = why.map(|why| one_line(why, NOTE_BYTES_MAX).into());
        columns
    }
}
