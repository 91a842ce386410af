//! An existing Prometheus, Thanos, Mimir or `VictoriaMetrics` as the source of signals: each signal's texts are asked by
//! instant queries, and what is answered becomes series of a target of its own. A question that fails is a failed scrape
//! of that target alone. Deliberately absent: what the answers mean, which the engine judges.

mod answer;
mod ask;
mod config;
mod history;
mod series;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use metrics::counter;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{error, info, warn};

pub use config::{PrometheusConfig, SignalQuery};
pub use history::{History, HistoryError};

use self::ask::Asker;
use self::series::Series;
use super::metrics as names;
use super::scrape::fault::fault;
use super::scrape::resolve::Resolver;
use super::task::{Task, end};
use super::{Now, Tuning};
use crate::engine::{Columns, Input, Interest, Scrape, ScrapeError, ScrapeFault, TargetInfo};
use crate::model::{Labels, TargetId, Timestamp, asked};

/// The job of every question's target. A Prometheus that is scraped likely has the job `prometheus`.
pub const JOB: &str = "source";

/// Asks until it is stopped. Dropping it ends everything without a word to the engine.
pub struct Querier {
    interest: Arc<ArcSwap<Interest>>,
    now: Now,
    inputs: mpsc::Sender<Input>,
    resolver: Resolver,
    running: Mutex<Vec<Running>>,
    next_id: AtomicU32,
}

#[derive(Debug)]
struct Running {
    id: TargetId,
    query: SignalQuery,
    /// Shared with all that is asked of the same server.
    asker: Arc<Asker>,
    task: Task,
}

impl std::fmt::Debug for Querier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Querier")
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

impl Querier {
    /// Begins to ask, on the runtime it is called in. `inputs` gets a [`Input::Target`] before a question's first
    /// [`Input::Scraped`], and nothing of it after its [`Input::TargetGone`].
    pub fn start(
        queries: Vec<SignalQuery>,
        tuning: &Tuning,
        interest: Arc<ArcSwap<Interest>>,
        now: Now,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        let mut started = Self {
            interest,
            now,
            inputs,
            resolver: Resolver::new(&tuning.name_servers),
            running: Mutex::default(),
            next_id: TargetId::ASKED.0.into(),
        };
        let mut running = Vec::with_capacity(queries.len());
        for query in queries {
            let begun = started.begin(query, &running);
            running.push(begun);
        }
        *started.running.get_mut() = running;
        started
    }

    /// Follows other rules or another configuration. Questions that stayed alike go on as they are.
    pub async fn reload(&self, queries: Vec<SignalQuery>) {
        let mut running = self.running.lock().await;
        let (stay, gone): (Vec<Running>, Vec<Running>) = running
            .drain(..)
            .partition(|it| queries.contains(&it.query));
        *running = stay;
        for id in end(gone.into_iter().map(|it| (it.id, it.task))).await {
            // An error means that nobody listens to the inputs any more, and nothing is asked.
            let _ = self.inputs.send(Input::TargetGone(id)).await;
        }
        for query in queries {
            if !running.iter().any(|it| it.query == query) {
                let begun = self.begin(query, &running);
                running.push(begun);
            }
        }
    }

    /// Stops all questions; those under way come to nothing. The engine is told of no target's end.
    pub async fn stop(self) {
        let running = self.running.into_inner().into_iter();
        end(running.map(|it| (it.id, it.task))).await;
    }

    fn begin(&self, query: SignalQuery, running: &[Running]) -> Running {
        let id = TargetId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let alike = running.iter().find(|it| it.query.source == query.source);
        let asker = alike.map(|it| Arc::clone(&it.asker));
        let asker = asker.unwrap_or_else(|| {
            let config = PrometheusConfig::clone(&query.source);
            Arc::new(Asker::new(config, self.resolver.clone()))
        });
        let watch = Watch {
            id,
            query: query.clone(),
            asker: Arc::clone(&asker),
            interest: Arc::clone(&self.interest),
            series: Series::default(),
            notes: Vec::new(),
            now: Arc::clone(&self.now),
            inputs: self.inputs.clone(),
        };
        let task = Task::new(tokio::spawn(watch.run()));
        Running {
            id,
            query,
            asker,
            task,
        }
    }
}

/// One signal's task.
struct Watch {
    id: TargetId,
    query: SignalQuery,
    asker: Arc<Asker>,
    interest: Arc<ArcSwap<Interest>>,
    series: Series,
    /// What the server said beside its last answer, so that the log says it once.
    notes: Vec<String>,
    now: Now,
    inputs: mpsc::Sender<Input>,
}

impl Watch {
    /// Asks until nobody listens any more. A question that is still under way skips the slots it covers.
    async fn run(mut self) {
        let target = Input::Target(self.target());
        if self.inputs.send(target).await.is_err() {
            return;
        }
        let mut slots = interval(self.query.source.interval);
        slots.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            slots.tick().await;
            let at = (self.now)();
            let began = Instant::now();
            let outcome = AssertUnwindSafe(self.answer(at)).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| {
                counter!(names::PANICS).increment(1);
                error!(source = %self.query.source.name, signal = %self.query.signal, "asking panicked; it goes on");
                let text = "the question met a bug of gated's";
                Err(fault(ScrapeFault::NotAnAnswer, text))
            });
            if let Err(error) = &outcome {
                counter!(names::FAILURES, "reason" => error.fault.word()).increment(1);
            }
            let scrape = Scrape {
                target: self.id,
                at,
                duration: began.elapsed(),
                outcome,
            };
            if self.inputs.send(Input::Scraped(scrape)).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&mut self, at: Timestamp) -> Result<Columns, ScrapeError> {
        let query = &self.query;
        let asker = &self.asker;
        let both = async {
            let enough = async {
                match &query.enough {
                    Some(text) => asker.ask(text, at).await.map(Some),
                    None => Ok(None),
                }
            };
            tokio::try_join!(asker.ask(&query.expr, at), enough)
        };
        let limit = query.source.timeout;
        let (answer, enough) = timeout(limit, both).await.map_err(|_| {
            let limit = humantime::format_duration(limit);
            fault(ScrapeFault::Timeout, format!("no answer within {limit}"))
        })??;
        let names = (query.source.name.as_str(), query.signal.as_str());
        let interest = self.interest.load_full();
        let columns = self.series.columns(names, answer, enough, interest);
        if columns.notes != self.notes {
            let (source, signal) = names;
            if columns.notes.is_empty() {
                info!(source, signal, "the answer comes without warnings again");
            } else {
                warn!(source, signal, said = ?columns.notes, "the source says something beside its answer");
            }
            self.notes.clone_from(&columns.notes);
        }
        Ok(columns)
    }

    fn target(&self) -> TargetInfo {
        let query = &self.query;
        let source = &query.source;
        let instance = format!("{}/{}", source.name, query.signal);
        let labels = [
            ("job", JOB),
            ("instance", &instance),
            (asked::SOURCE, &source.name),
            (asked::SIGNAL, &query.signal),
            (asked::QUERY, &query.expr),
            (
                asked::QUERY_ENOUGH,
                query.enough.as_deref().unwrap_or_default(),
            ),
        ];
        TargetInfo {
            id: self.id,
            job: JOB.to_owned(),
            labels: Labels::new(labels),
            instance,
            url: source.shown(&query.signal),
            interval: source.interval,
            timeout: source.timeout,
        }
    }
}
