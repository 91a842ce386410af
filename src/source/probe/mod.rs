//! Probes: a component is asked over HTTP, TCP or DNS, by a command, by its tests' reports or for numbers in JSON, and
//! what it said becomes `probe_success`, `probe_duration_seconds` and the series of its kind, of a target of its own. A
//! failing probe is data: the target stays up.

mod ask;
mod command;
mod config;
mod http;
mod json;
mod junit;
mod watch;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, mpsc};

pub use config::{
    Ask, CommandProbe, Expect, HttpProbe, HttpRequest, JsonProbe, JsonValue, JunitProbe,
    ProbeConfig, Scalar,
};
pub use junit::ReportPattern;

use self::watch::Watch;
use super::scrape::resolve::Resolver;
use super::task::{Task, end};
use super::{Now, Tuning};
use crate::engine::{Input, Interest};
use crate::model::TargetId;

/// The job of every probe's target.
pub const JOB: &str = "probe";

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
        for id in end(gone.into_iter().map(|it| (it.id, it.task))).await {
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
        let running = self.running.into_inner().into_iter();
        end(running.map(|it| (it.id, it.task))).await;
    }

    fn begin(&self, config: ProbeConfig) -> Running {
        let next = self
            .next_id
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = TargetId(next);
        let config = Arc::new(config);
        let watch = Watch::new(id, &config, self);
        let task = Task::new(tokio::spawn(watch.run()));
        Running { id, config, task }
    }
}
