//! What may happen to the engine: a closed list. Every input is stamped by the caller and could be journalled.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Settings;
use crate::model::{
    DecisionId, DeliveryKey, IncidentId, Labels, Metadata, Minutes, RolloutId, Slot, TargetId,
    Timestamp, WallClock,
};

#[derive(Clone, Debug)]
pub enum Input {
    /// A target was configured or discovered. Comes before its first scrape.
    Target(TargetInfo),
    /// A target is no longer configured or discovered: its series go stale and nothing is behind it any more.
    TargetGone(TargetId),
    /// A scrape landed or failed.
    Scraped(Scrape),
    /// A person or a pipeline asks for something. The answer carries the same token.
    Operator { token: u64, call: Call },
    /// An attempt to deliver was answered, or not.
    Attempted {
        key: DeliveryKey,
        outcome: Attempted,
    },
    /// The ledger could not commit the records of one input's effects; nothing of them was sent or shown.
    CommitFailed {
        records: Vec<super::Record>,
        reason: String,
    },
    /// A report that was asked for was made, or could not be.
    Reported(super::Reported),
    /// Nobody was there until then: gated was stopped, or its machine slept. Comes before the deadlines of that time.
    Slept { until: Timestamp },
    /// Somebody set the machine's clock. The stamps go on as they were; what goes by the wall moves.
    ClockSet(WallClock),
    /// New configuration, already checked. States of triggers that stayed alike are carried over.
    Reload(Arc<Settings>),
    /// What the ledger has of the minutes that the engine [looks back on](super::look_back): after a reload.
    Recalled(Vec<Minutes>),
}

/// A scraped target, as the configuration and discovery say.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetInfo {
    pub id: TargetId,
    pub job: String,
    /// The `instance` label: host and port unless relabelled.
    pub instance: String,
    /// For people; credentials are not in it.
    pub url: String,
    /// Labels of the target itself, `job` and `instance` included: what `up` carries.
    pub labels: Labels,
    pub interval: Duration,
    /// How long a scrape of it may take.
    pub timeout: Duration,
}

/// One scrape of one target, whole or failed: half a page is worse than none.
#[derive(Clone, Debug)]
pub struct Scrape {
    pub target: TargetId,
    /// When the scrape began: the time of every sample without one of its own.
    pub at: Timestamp,
    pub duration: Duration,
    pub outcome: Result<Columns, ScrapeError>,
}

/// The wanted samples of one page, by slot. The source keeps which line stands at which slot.
///
/// After a failed scrape the slots of the last good one stay born: the next page says which are gone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    /// Slots whose series appear for the first time (or again after they were gone), with the final labels.
    pub born: Vec<(Slot, Labels)>,
    /// Slots whose series were on the page before and are not on this one. Their numbers may be born again later.
    pub gone: Vec<Slot>,
    /// By slot number: the value, or [`crate::model::STALE`] where the slot is free. Length: highest slot ever used + 1.
    pub values: Vec<f64>,
    /// Samples that carry a timestamp of their own (and get no staleness marker when they vanish).
    pub stamped: Vec<(Slot, Timestamp)>,
    /// Samples on the page, wanted or not.
    pub samples_scraped: u32,
    /// Samples left after `metric_relabel`.
    pub samples_kept: u32,
    /// Series of the page, wanted or not, that were not on the one before: `scrape_series_added`.
    pub series_added: u32,
    /// The page's `# TYPE` and `# HELP` lines by name, where they are not as on the page before. For people and lints.
    pub metadata: Option<Arc<[Metadata]>>,
    /// For people: why a component fails its probe. One line, already escaped, 1000 bytes at most.
    pub note: Option<Arc<str>>,
    /// What the source said beside its samples, for people: a line each, escaped.
    pub notes: Vec<String>,
}

/// Why a scrape failed: a kind for counting, a text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeError {
    pub fault: ScrapeFault,
    /// One line, already escaped, 200 bytes at most.
    pub text: String,
}

impl fmt::Display for ScrapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.fault.word(), self.text)
    }
}

impl std::error::Error for ScrapeError {}

/// The kinds of failed scrape: label values of `gated_scrape_failures_total{reason}`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScrapeFault {
    Dns,
    ConnectRefused,
    Connect,
    Tls,
    Timeout,
    /// The connection ended before the body did.
    Truncated,
    /// An answer other than 200; redirects are not followed.
    Status,
    /// Not exposition text: HTML, an unknown content type.
    NotExposition,
    BodyTooLarge,
    /// gzip or zstd that does not decode.
    Encoding,
    /// A line that is not exposition text, or `# EOF` missing.
    Malformed,
    SampleLimit,
    LabelLimit,
    /// The request could not be made: a token file that cannot be read.
    Credentials,
    /// A probe's command could not be started.
    Command,
    /// Test reports that are not there, not whole, or too old to say anything.
    Report,
    /// A Prometheus says why it has no answer to a query.
    Query,
    /// What a Prometheus answered is no answer to a query: not JSON, or of another kind.
    NotAnAnswer,
    /// A Prometheus says that its answer may lack something.
    Partial,
}

impl ScrapeFault {
    pub const ALL: [Self; 19] = [
        Self::Dns,
        Self::ConnectRefused,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Truncated,
        Self::Status,
        Self::NotExposition,
        Self::BodyTooLarge,
        Self::Encoding,
        Self::Malformed,
        Self::SampleLimit,
        Self::LabelLimit,
        Self::Credentials,
        Self::Command,
        Self::Report,
        Self::Query,
        Self::NotAnAnswer,
        Self::Partial,
    ];

    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::ConnectRefused => "connect_refused",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Truncated => "truncated",
            Self::Status => "status",
            Self::NotExposition => "not_exposition",
            Self::BodyTooLarge => "body_too_large",
            Self::Encoding => "encoding",
            Self::Malformed => "malformed",
            Self::SampleLimit => "sample_limit",
            Self::LabelLimit => "label_limit",
            Self::Credentials => "credentials",
            Self::Command => "command",
            Self::Report => "report",
            Self::Query => "query",
            Self::NotAnAnswer => "not_an_answer",
            Self::Partial => "partial",
        }
    }
}

/// What people and pipelines may ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    StartRollout {
        /// `None`: made of service, version and start.
        id: Option<RolloutId>,
        version: String,
        previous_version: Option<String>,
        /// `None`: now.
        started_at: Option<Timestamp>,
        irreversible: bool,
    },
    FinishRollout(RolloutId),
    /// Somebody gives values that no exporter has; good for so long.
    Observe {
        values: Vec<super::Observed>,
        lifetime: Duration,
        by: String,
    },
    /// A line of the checklist is done, or was not after all.
    Attest {
        item: String,
        /// The reason is a note, and may be empty.
        said: Word,
        done: bool,
    },
    /// Users are told that it is live.
    Announce(super::Announce),
    /// Somebody takes an incident.
    Acknowledge {
        incident: IncidentId,
        by: String,
        note: Option<String>,
    },
    /// No rollback for so long.
    Freeze {
        said: Word,
        hold: Duration,
    },
    /// Rollbacks are decided again; a damaged ledger's loss is accepted.
    Thaw(Word),
    /// This decision's rollout is not to be rolled back.
    Veto {
        decision: DecisionId,
        said: Word,
    },
    /// A delivery arrived, or is to be sent again although it may have.
    Settle {
        delivery: DeliveryKey,
        arrived: bool,
        said: Word,
    },
}

/// Who says something, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    pub by: String,
    pub reason: String,
}

/// How one attempt to deliver ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempted {
    Answered {
        status: u16,
        retry_after: Option<Duration>,
    },
    /// A mail's server answered, with a code of SMTP's: 4xx means later, 5xx never as it is. `text`: what it said, escaped,
    /// a few hundred bytes.
    Replied { code: u16, text: String },
    /// Nothing came back. `reached` when the request may have arrived (the answer was lost).
    NoAnswer { reason: String, reached: bool },
    /// A command ended by itself, with this exit code; 0 is success. `output`: its end, escaped, 500 bytes at most.
    Ran { code: i32, output: String },
}
