//! Scraping: one task per target, so that a bad one delays no other. Inputs come out of a channel.

mod body;
pub mod config;
pub(super) mod fault;
pub(super) mod fetch;
mod labelling;
mod page;
pub mod relabel;
pub(super) mod resolve;
mod roster;
mod target;
pub(super) mod tls;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use config::ScrapeConfig;
use roster::{Command, Roster};

use crate::engine::{Input, Interest};
use crate::model::Timestamp;

/// The clock, as the hall gives it.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Bounds and intervals that no configuration file sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Scrapes under way at once, and so connections and look-ups.
    pub in_flight_max: usize,
    /// Bytes of all pages under way.
    pub in_flight_bytes_max: usize,
    /// Servers of names; empty: the system's.
    pub name_servers: Vec<SocketAddr>,
    /// Names are resolved into targets again this often.
    pub dns_refresh: Duration,
    /// Target files are read again this often, whatever the system tells of changes.
    pub files_poll: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            in_flight_max: 512,
            in_flight_bytes_max: 512 << 20,
            name_servers: Vec::new(),
            dns_refresh: Duration::from_secs(30),
            files_poll: Duration::from_secs(60),
        }
    }
}

/// Scrapes until it is stopped. Dropping it ends everything without a word to the engine.
#[derive(Debug)]
pub struct Scraper {
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

impl Scraper {
    /// Begins to scrape, on the runtime it is called in. `inputs` gets a [`Input::Target`] before a target's first
    /// [`Input::Scraped`], and nothing of it after its [`Input::TargetGone`].
    pub fn start(
        configs: Vec<ScrapeConfig>,
        tuning: Tuning,
        interest: Arc<ArcSwap<Interest>>,
        now: Now,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        let (commands, received) = mpsc::channel(1);
        let roster = Roster::new(tuning, interest, now, inputs);
        let task = tokio::spawn(roster.run(configs, received));
        Self { commands, task }
    }

    /// Follows another configuration. Targets that stayed alike keep their task, connection, memory and id.
    /// Returns when the targets that are gone have stopped and the others have begun.
    pub async fn reload(&self, configs: Vec<ScrapeConfig>) {
        let (done, follows) = oneshot::channel();
        if self
            .commands
            .send(Command::Reload(configs, done))
            .await
            .is_ok()
        {
            // An error means that nobody listens to the inputs any more, and nothing is scraped.
            let _ = follows.await;
        }
    }

    /// Stops all scrapes; those under way come to nothing. The engine is told of no target's end.
    pub async fn stop(mut self) {
        let (done, stopped) = oneshot::channel();
        if self.commands.send(Command::Stop(done)).await.is_ok() {
            let _ = stopped.await;
        }
        let _ = (&mut self.task).await;
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        self.task.abort();
    }
}
