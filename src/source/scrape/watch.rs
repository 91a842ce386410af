//! One target's task: a scrape at each slot, what came of it as an input.

use std::sync::Arc;

use arc_swap::ArcSwap;
use metrics::{counter, histogram};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};
use tracing::warn;

use super::Now;
use super::config::ScrapeConfig;
use super::fault::fault;
use super::fetch::{Fetched, Fetcher};
use super::page::Pages;
use crate::engine::{Columns, Input, Interest, Scrape, ScrapeError, ScrapeFault};
use crate::model::{TargetId, Timestamp};
use crate::source::metrics as names;

/// A page over this is read on a thread of its own kind: it would hold up what shares a worker's thread.
const INLINE_BYTES_MAX: usize = 4 << 20;

/// All that one target's scrapes need. Dropped when the target is gone.
pub(super) struct Watch {
    pub(super) id: TargetId,
    /// For the log, without credentials.
    pub(super) url: String,
    pub(super) config: Arc<ScrapeConfig>,
    pub(super) fetcher: Fetcher,
    /// `None` while a page is being read elsewhere.
    pub(super) pages: Option<Pages>,
    pub(super) interest: Arc<ArcSwap<Interest>>,
    pub(super) now: Now,
    pub(super) in_flight: Arc<Semaphore>,
    pub(super) inputs: mpsc::Sender<Input>,
    /// Samples of the last good page.
    pub(super) samples: u32,
}

impl Watch {
    /// Scrapes until nobody listens any more. Slots lie whole intervals after `first`, whenever a scrape ends;
    /// one that is still under way skips those it covers. `at_once`: the first scrape does not wait for its slot.
    pub(super) async fn run(mut self, first: Instant, at_once: bool) {
        let interval = self.config.interval;
        if at_once && !self.scrape(Instant::now()).await {
            return;
        }
        let mut slots = interval_at(first, interval);
        slots.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut last: Option<Instant> = None;
        loop {
            let slot = slots.tick().await;
            if let Some(last) = last {
                let passed = (slot - last).as_nanos() / interval.as_nanos().max(1);
                counter!(names::MISSED)
                    .increment(u64::try_from(passed).unwrap_or(1).saturating_sub(1));
            }
            last = Some(slot);
            if !self.scrape(slot).await {
                return;
            }
        }
    }

    /// One scrape; `false` when nobody listens any more.
    async fn scrape(&mut self, slot: Instant) -> bool {
        let at = (self.now)();
        let started = Instant::now();
        histogram!(names::LATE).record((started - slot).as_secs_f64());
        counter!(names::SCRAPES).increment(1);
        let outcome = self.page(at, started).await;
        let duration = started.elapsed();
        histogram!(names::DURATION).record(duration.as_secs_f64());
        if let Err(error) = &outcome {
            counter!(names::FAILURES, "reason" => error.fault.word()).increment(1);
        }
        let scrape = Scrape {
            target: self.id,
            at,
            duration,
            outcome,
        };
        self.inputs.send(Input::Scraped(scrape)).await.is_ok()
    }

    /// The deadline covers all of it: waiting for a turn, look-up, connection, headers and body.
    async fn page(&mut self, at: Timestamp, started: Instant) -> Result<Columns, ScrapeError> {
        let deadline = started + self.config.timeout;
        let in_flight = Arc::clone(&self.in_flight);
        let fetched = timeout_at(deadline, async {
            let turn = in_flight.acquire_owned().await;
            let turn = turn.expect("the semaphore is never closed");
            self.fetcher.fetch().await.map(|fetched| (fetched, turn))
        });
        let (fetched, _turn) = fetched.await.map_err(|_| {
            let timeout = self.config.timeout;
            fault(
                ScrapeFault::Timeout,
                format!("no whole page within {timeout:?}"),
            )
        })??;
        counter!(names::BYTES).increment(fetched.body.bytes().len() as u64);
        let framed = fetched.framed;
        let columns = self.read(fetched, at).await?;
        self.suspect(&columns, framed);
        Ok(columns)
    }

    async fn read(&mut self, fetched: Fetched, at: Timestamp) -> Result<Columns, ScrapeError> {
        let interest = self.interest.load_full();
        let inline = fetched.body.bytes().len() <= INLINE_BYTES_MAX;
        let mut pages = self.pages.take().expect("given back by the read before");
        let read = move || {
            let body = fetched.body.bytes();
            (pages.read(body, fetched.format, at, interest), pages)
        };
        let (columns, pages) = if inline {
            read()
        } else {
            match tokio::task::spawn_blocking(read).await {
                Ok(read) => read,
                Err(died) if died.is_panic() => std::panic::resume_unwind(died.into_panic()),
                // The runtime shuts down, and this task with it.
                Err(_) => std::future::pending().await,
            }
        };
        self.pages = Some(pages);
        columns
    }

    /// A page whose end nothing marks may have been cut off at the end of a line.
    fn suspect(&mut self, columns: &Columns, framed: bool) {
        let before = std::mem::replace(&mut self.samples, columns.samples_scraped);
        if !framed && columns.samples_scraped < before / 2 {
            counter!(names::SUSPECT).increment(1);
            let (samples, url) = (columns.samples_scraped, &self.url);
            warn!(%url, samples, before, "less than half a page, and nothing marks its end: cut off?");
        }
    }
}
