//! HTTP: the gate, rollouts, decisions, metrics and a plain page over the latest snapshot, and Prometheus' API.
//!
//! What the [`Snapshot`] holds is read from it alone. What it does not hold (expressions, series, metadata) and what
//! changes state is asked of the [`Desk`], which `run` implements. Deliberately absent: a clock (run passes a closure)
//! and the engine itself.

mod access;
mod acts;
mod alerts;
mod announce;
mod answer;
mod api;
mod attest;
mod day;
pub mod explain;
mod extract;
mod incidents;
mod listen;
pub mod metrics;
mod page;
mod prometheus;
mod reports;
mod status;
mod told;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;

use crate::engine::AlertPost;
use crate::engine::Answer;
use crate::engine::Answered;
use crate::engine::AskError;
use crate::engine::Call;
use crate::engine::Observed;
use crate::engine::Question;
use crate::engine::Refusal;
use crate::engine::Snapshot;
use crate::model::Timestamp;
use crate::report::Kind;
use crate::report::Report;

pub use access::{Token, WeakToken};
pub use listen::{Server, start};

/// What a request needs beyond the snapshot.
pub trait Desk: Send + Sync + 'static {
    /// Asks the engine for something and waits until its answer is recorded.
    fn act(&self, call: Call) -> BoxFuture<'_, Result<Answer, ActError>>;
    /// Asks the engine a question and waits for the answer, two minutes or as long as `timeout` says.
    fn ask(
        &self,
        question: Question,
        timeout: Option<Duration>,
    ) -> BoxFuture<'_, Result<Answered, AskFailure>>;
    /// Takes what Alertmanager posts.
    fn receive(&self, post: AlertPost) -> BoxFuture<'_, Result<(), ActError>>;
    /// Reads a page of exposition text that somebody posts; `Err` says which line is wrong.
    fn read_page(&self, page: &[u8], openmetrics: bool) -> Result<Vec<Observed>, String>;
    /// Makes a report from the history, as it is at this moment.
    fn report(&self, kind: Kind, date: Option<String>)
    -> BoxFuture<'_, Result<Report, Unreported>>;
    /// Reads the configuration again; `Err` holds every fault, rendered, and the old one goes on.
    fn reload(&self) -> BoxFuture<'_, Result<(), String>>;
    /// Whether requests may be sent here; `Err` says what is missing, for a person.
    fn ready(&self) -> Result<(), String>;
}

/// Why a report was not made, for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreported {
    /// Nobody can make the report that is asked for.
    #[error("{0}")]
    Asked(String),
    #[error("{0}")]
    Failed(String),
}

/// Why a question was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskFailure {
    #[error(transparent)]
    Refused(#[from] AskError),
    #[error("query timed out in expression evaluation")]
    Timeout,
    #[error("too many questions are being answered; ask again")]
    Busy,
    #[error("gated is starting or stopping")]
    Unavailable,
}

/// Why a call was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the store cannot record it")]
    Store,
    #[error("gated is starting or stopping")]
    Unavailable,
}

/// What [`start`] serves, and under which rules.
pub struct Service {
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub desk: Arc<dyn Desk>,
    /// What a writer must present.
    pub token: Token,
    /// The moment, on the clock that stamps the snapshot.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// An evaluation older than this is no verdict: the gate then says unknown.
    pub stale_after: Duration,
    /// Names under which a server on loopback may be asked for, beside `localhost` and addresses
    /// (the host of `external_url`). A server on another address answers to every name.
    pub hosts: Vec<String>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("token", &self.token)
            .field("stale_after", &self.stale_after)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

/// In whole seconds; below one, in milliseconds.
fn for_people(duration: Duration) -> String {
    let whole = match duration.as_secs() {
        0 => Duration::from_millis(u64::from(duration.subsec_millis())),
        seconds => Duration::from_secs(seconds),
    };
    humantime::format_duration(whole).to_string()
}
