//! Probes: a component is asked over HTTP or TCP, and what it said becomes `probe_success` and
//! `probe_duration_seconds` of a target of its own. A failing probe is data: the target stays up.

mod ask;
mod config;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use metrics::counter;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{error, info, warn};

pub use config::{Ask, HttpProbe, ProbeConfig};

use self::ask::{Asker, Failing};
use super::metrics as names;
use super::scrape::fault::fault;
use super::scrape::resolve::Resolver;
use super::{Now, Tuning};
use crate::engine::{Columns, Input, Interest, Scrape, ScrapeFault, TargetInfo};
use crate::model::labels::NAME;
use crate::model::{Labels, Slot, TargetId};

/// The job of every probe's target.
pub const JOB: &str = "probe";
/// By slot.
const SERIES: [&str; 2] = ["probe_success", "probe_duration_seconds"];

/// Probes until it is stopped. Dropping it ends everything without a word to the engine.
pub struct Prober {
    interest: Arc<ArcSwap<Interest>>,
    now: Now,
    inputs: mpsc::Sender<Input>,
    resolver: Resolver,
    running: Mutex<Vec<Running>>,
    next_id: std::sync::atomic::AtomicU32,
}

#[derive(Debug)]
struct Running {
    id: TargetId,
    config: Arc<ProbeConfig>,
    task: Task,
}

/// Ends with what owns it.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl std::fmt::Debug for Prober {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prober")
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

impl Prober {
    /// Begins to probe, on the runtime it is called in. `inputs` gets a [`Input::Target`] before a probe's first
    /// [`Input::Scraped`], and nothing of it after its [`Input::TargetGone`].
    pub fn start(
        configs: Vec<ProbeConfig>,
        tuning: &Tuning,
        interest: Arc<ArcSwap<Interest>>,
        now: Now,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        let mut prober = Self {
            interest,
            now,
            inputs,
            resolver: Resolver::new(&tuning.name_servers),
            running: Mutex::default(),
            next_id: TargetId::PROBES.0.into(),
        };
        let begun = configs.into_iter().map(|it| prober.begin(it)).collect();
        *prober.running.get_mut() = begun;
        prober
    }

    /// Follows another configuration. Probes that stayed alike go on as they are.
    pub async fn reload(&self, configs: Vec<ProbeConfig>) {
        let mut running = self.running.lock().await;
        let (stay, gone): (Vec<Running>, Vec<Running>) = running
            .drain(..)
            .partition(|it| configs.contains(&it.config));
        *running = stay;
        for id in end(gone).await {
            // An error means that nobody listens to the inputs any more, and nothing is probed.
            let _ = self.inputs.send(Input::TargetGone(id)).await;
        }
        for config in configs {
            if !running.iter().any(|it| *it.config == config) {
                running.push(self.begin(config));
            }
        }
    }

    /// Stops all probes; those under way come to nothing. The engine is told of no target's end.
    pub async fn stop(self) {
        end(self.running.into_inner()).await;
    }

    fn begin(&self, config: ProbeConfig) -> Running {
        let next = self
            .next_id
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = TargetId(next);
        let config = Arc::new(config);
        let watch = Watch {
            id,
            asker: Asker::new(Arc::clone(&config), self.resolver.clone()),
            config: Arc::clone(&config),
            interest: Arc::clone(&self.interest),
            told: None,
            now: Arc::clone(&self.now),
            inputs: self.inputs.clone(),
            failing: None,
        };
        let task = Task(tokio::spawn(watch.run()));
        Running { id, config, task }
    }
}

async fn end(ended: Vec<Running>) -> Vec<TargetId> {
    for it in &ended {
        it.task.0.abort();
    }
    let mut ids = Vec::with_capacity(ended.len());
    for mut it in ended {
        // An error says that it was aborted, as it should be.
        let _ = (&mut it.task.0).await;
        ids.push(it.id);
    }
    ids
}

/// One probe's task.
struct Watch {
    id: TargetId,
    config: Arc<ProbeConfig>,
    asker: Asker,
    interest: Arc<ArcSwap<Interest>>,
    /// What the engine wanted when it was last told of the series.
    told: Option<Arc<Interest>>,
    now: Now,
    inputs: mpsc::Sender<Input>,
    /// Why the last probe failed, so that the log says it once.
    failing: Option<Failing>,
}

impl Watch {
    /// Probes until nobody listens any more. A probe that is still under way skips the slots it covers.
    async fn run(mut self) {
        let target = Input::Target(self.target());
        if self.inputs.send(target).await.is_err() {
            return;
        }
        let mut slots = interval(self.config.interval);
        slots.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            slots.tick().await;
            let at = (self.now)();
            let began = Instant::now();
            let asked = AssertUnwindSafe(self.asker.ask()).catch_unwind().await;
            let asked = asked.unwrap_or_else(|_| {
                counter!(names::PANICS).increment(1);
                error!(component = %self.config.component, "probing panicked; it goes on");
                Err(fault(
                    ScrapeFault::Connect,
                    "the probe met a bug of gated's",
                ))
            });
            let duration = began.elapsed();
            if let Err(error) = &asked {
                counter!(names::FAILURES, "reason" => error.fault.word()).increment(1);
            }
            let outcome = asked.map(|answer| {
                self.tell(answer.as_ref().err());
                self.columns(answer.is_ok(), duration.as_secs_f64())
            });
            let scrape = Scrape {
                target: self.id,
                at,
                duration,
                outcome,
            };
            if self.inputs.send(Input::Scraped(scrape)).await.is_err() {
                return;
            }
        }
    }

    fn labels(&self) -> Labels {
        let instance = self.config.instance();
        Labels::new([
            ("component", self.config.component.as_str()),
            ("instance", &instance),
            ("job", JOB),
        ])
    }

    fn target(&self) -> TargetInfo {
        TargetInfo {
            id: self.id,
            job: JOB.to_owned(),
            instance: self.config.instance(),
            url: self.config.shown(),
            labels: self.labels(),
            interval: self.config.interval,
            timeout: self.config.timeout,
        }
    }

    /// The log hears of a change, not of every probe.
    fn tell(&mut self, failing: Option<&Failing>) {
        let component = &self.config.component;
        match (&self.failing, failing) {
            (None, Some(why)) => warn!(component, why, "the probe fails"),
            (Some(_), None) => info!(component, "the probe succeeds again"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        self.failing = failing.cloned();
    }

    /// Both series are always there; they are named again when rules changed, for how far back they are needed.
    fn columns(&mut self, success: bool, seconds: f64) -> Columns {
        let interest = self.interest.load_full();
        let afresh = self
            .told
            .as_ref()
            .is_none_or(|it| !Arc::ptr_eq(it, &interest));
        let mut columns = Columns {
            values: vec![f64::from(u8::from(success)), seconds],
            samples_scraped: 2,
            samples_kept: 2,
            ..Columns::default()
        };
        if afresh {
            let labels = self.labels();
            for (slot, name) in (0..).zip(SERIES) {
                columns.born.push((Slot(slot), labels.with(NAME, name)));
            }
            columns.series_added = if self.told.is_none() { 2 } else { 0 };
            self.told = Some(interest);
        }
        columns
    }
}
