//! What is recorded: rollouts, decisions, deliveries. The rooms `gate`, `incident`, `engine`, `sink` and `serve` share
//! these; each edge writes them in its own wire type.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{DecisionId, DeliveryKey, IncidentId, RolloutId, Timestamp};

/// An enum whose variants have one spelling everywhere: in files, JSON, SQL and labels.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its one spelling.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The variant spelled `word`.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.word() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words! {
    /// How bad, and by when somebody must have acknowledged it (15 min, 1 h, 4 h, 24 h).
    Severity { P1 = "P1", P2 = "P2", P3 = "P3", P4 = "P4" }
}

words! {
    /// What a trigger asks for and what a decision does, the strongest first.
    Action { Rollback = "rollback", Escalate = "escalate", Notify = "notify" }
}

words! {
    /// Why a rollback was refused, in the order in which the guards are asked.
    Guard {
        NoRollout = "no_rollout",
        /// Another version than the rollout's is running.
        Superseded = "superseded",
        NotArmed = "not_armed",
        Irreversible = "irreversible",
        Frozen = "frozen",
        Predates = "predates",
        AlreadyDecided = "already_decided",
        KnownBad = "known_bad",
        RolledBack = "rolled_back",
        Cooldown = "cooldown",
        Budget = "budget",
        NotLeader = "not_leader",
        Store = "store",
        Vetoed = "vetoed",
        /// `[rollback] mode = "shadow"`: everything else said yes, so this is what gated *would have* done.
        Shadow = "shadow",
    }
}

words! {
    /// In what a signal is measured. A threshold without a unit is refused where the signal has one.
    Unit {
        Seconds = "seconds",
        Ratio = "ratio",
        Bytes = "bytes",
        Count = "count",
        Score = "score",
        PerSecond = "per_second",
        PerMinute = "per_minute",
        PerHour = "per_hour",
        None = "none",
    }
}

words! {
    /// Of a phase; worse is greater, and `Unknown` opens no gate.
    Status { Green = "green", Amber = "amber", Red = "red", Unknown = "unknown" }
}

words! {
    /// May the release stay (or go)?
    Verdict { Go = "go", NoGo = "no_go", Unknown = "unknown" }
}

words! {
    /// The `type` of a webhook body.
    NoticeKind {
        RollbackRequested = "gated.rollback.requested",
        /// A rollback will be sent when the time for a veto is over.
        RollbackAnnounced = "gated.rollback.announced",
        RollbackCancelled = "gated.rollback.cancelled",
        /// What had tripped has recovered after the rollback.
        RollbackVerified = "gated.rollback.verified",
        /// What had tripped is as bad as before it.
        RollbackIneffective = "gated.rollback.ineffective",
        /// There is no value to see by whether it helped.
        RollbackUnverified = "gated.rollback.unverified",
        EscalationRaised = "gated.escalation.raised",
        IncidentResolved = "gated.incident.resolved",
        Notification = "gated.notification",
        /// A report was made; it stands in the notice.
        ReportReady = "gated.report.ready",
        /// Nothing has happened: a dry run asks a receiver that says that it takes such events.
        Test = "gated.test",
    }
}

/// What a signal gave at a moment: a value, or why there is none. Classified before it is compared.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Reading {
    /// Finite.
    Value(f64),
    /// The expression returned nothing.
    Empty,
    Nan,
    Infinite,
    /// Fewer than `coverage` of the targets behind it answered their last scrape.
    Stale,
    /// Too little traffic, or a range that gated has not watched in full.
    Thin,
    /// Several series where one was asked for.
    Ambiguous,
    /// The expression or its source failed.
    SourceError,
}

impl Reading {
    /// Its spelling in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Value(_) => "value",
            Self::Empty => "empty",
            Self::Nan => "nan",
            Self::Infinite => "infinite",
            Self::Stale => "stale",
            Self::Thin => "thin",
            Self::Ambiguous => "ambiguous",
            Self::SourceError => "source_error",
        }
    }

    #[must_use]
    pub const fn value(self) -> Option<f64> {
        match self {
            Self::Value(value) => Some(value),
            Self::Empty
            | Self::Nan
            | Self::Infinite
            | Self::Stale
            | Self::Thin
            | Self::Ambiguous
            | Self::SourceError => None,
        }
    }
}

/// One version going live.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    pub id: RolloutId,
    pub service: String,
    pub environment: String,
    pub version: String,
    pub previous_version: Option<String>,
    /// When it began, as told; when inferred, the first sight of the new version.
    pub started_at: Timestamp,
    /// When gated heard of it or first saw the version.
    pub seen_at: Timestamp,
    /// Told by configuration, command or API; otherwise inferred from a changed version label.
    pub told: bool,
    /// A rollback would do harm (a migration ran): gated escalates instead.
    pub irreversible: bool,
    /// Median reading of each signal in `[rollout] baseline` before the start; signals without one are left out.
    pub baseline: BTreeMap<String, f64>,
    /// Whether the status was ever red while this rollout was current.
    pub turned_red: bool,
    pub end: Option<(Timestamp, RolloutEnd)>,
    /// What was read before it: whether a symptom predates it.
    pub past: Arc<Past>,
    /// A person said that it is not to be rolled back.
    pub vetoed: Option<Said>,
}

impl Rollout {
    /// Who said that it is not to be rolled back, in words.
    #[must_use]
    pub fn veto(&self) -> Option<String> {
        let said = self.vetoed.as_ref()?;
        Some(format!("vetoed by {}: {}", said.by, said.reason))
    }
}

/// What was read before a rollout. Shared: it is large and never changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// When it changed what runs: its start or the first sight of its version, whichever came first.
    pub change: Timestamp,
    /// By what was read (a signal's name, the text of a bare expression), oldest first.
    pub readings: BTreeMap<String, Vec<Sight>>,
}

/// One reading of the past.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    pub at: Timestamp,
    pub seen: Seen,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// No value, whyever.
    Blind,
    Value(f64),
    /// An expression's result, series by series; empty: it returned nothing, and its source answered.
    Series(Vec<(String, f64)>),
}

impl Seen {
    /// The one value, where there is one.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Value(value) => Some(*value),
            Self::Series(series) => match &series[..] {
                [(_, value)] => Some(*value),
                _ => None,
            },
            Self::Blind => None,
        }
    }
}

/// What a person said, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub at: Timestamp,
    pub by: String,
    pub reason: String,
}

words! {
    /// What a person did to gated's decisions.
    Deed {
        Freeze = "freeze",
        Thaw = "thaw",
        Veto = "veto",
        Acknowledge = "acknowledge",
        /// A delivery arrived, says its receiver or a person.
        Confirm = "confirm",
        /// A delivery in doubt is to be sent again.
        Resend = "resend",
        /// Users were told of the go-live.
        Announce = "announce",
    }
}

/// One line of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    pub deed: Deed,
    pub said: Said,
    /// The decision, incident or delivery that it is about; empty for a freeze.
    pub subject: String,
    /// A freeze ends then.
    pub until: Option<Timestamp>,
}

/// Whether a delivered rollback helped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    pub decision: DecisionId,
    /// When it was delivered.
    pub since: Timestamp,
    pub outcome: Option<(Timestamp, Helped)>,
}

words! {
    /// What came of watching after a rollback.
    Helped { Verified = "verified", Ineffective = "ineffective", Unverified = "unverified" }
}

/// A phase, once: from when it was to begin until it was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseRun {
    pub phase: String,
    /// When it was to begin, by the clock that it counts from; with its name this tells runs apart.
    pub from: Timestamp,
    /// The first scrape that was judged in it.
    pub entered_at: Option<Timestamp>,
    /// When it was over, and what the gate said then.
    pub end: Option<(Timestamp, PhaseOutcome)>,
}

words! {
    /// What the gate said as a phase ended.
    PhaseOutcome {
        Passed = "passed",
        Failed = "failed",
        /// Nobody could say: no data, or gated was away.
        Unknown = "unknown",
        /// Nothing was judged in all of it: gated was away, or the clock was set past it.
        NotEvaluated = "not_evaluated",
    }
}

words! {
    /// How a rollout ended.
    RolloutEnd {
        /// Somebody said so.
        Finished = "finished",
        /// The next rollout began.
        Superseded = "superseded",
    }
}

/// What was done, why, and what guarded it. Recorded before anything is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub id: DecisionId,
    pub at: Timestamp,
    pub action: Action,
    /// What the trigger asked for.
    pub asked: Action,
    /// Where `action` differs from `asked`: which guard refused.
    pub refused_by: Option<Guard>,
    pub guards: Vec<GuardAnswer>,
    pub trigger: String,
    pub rollout: Option<RolloutId>,
    pub phase: String,
    pub severity: Severity,
    /// The first signal of the condition; `None` for a trigger made of a bare expression.
    pub signal: Option<String>,
    pub value: Option<f64>,
    pub unit: Unit,
    /// As written in the file: `> 500ms`, `error_rate > 1% and …`.
    pub condition: String,
    /// The expression behind it, as written.
    pub expr: String,
    /// How long the condition had held.
    pub held_for: Duration,
    /// One sentence for a person.
    pub reason: String,
}

impl Decision {
    /// How the note of [`Guard::Shadow`] begins where the rule itself is in shadow, and not every rollback.
    pub const TRIED: &'static str = "the rule says mode = \"shadow\"";

    /// Whether it is what a rule that is only tried would have done: nobody was told.
    #[must_use]
    pub fn is_tried(&self) -> bool {
        let last = self.guards.last();
        last.is_some_and(|it| it.guard == Guard::Shadow && it.note.starts_with(Self::TRIED))
    }
}

/// One guard's answer for a rollback, kept with the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardAnswer {
    pub guard: Guard,
    pub passed: bool,
    /// Why, in a few words.
    pub note: String,
}

/// What a delivery tells its receiver. Edges render it once; the bytes are stored and never change.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub kind: NoticeKind,
    pub at: Timestamp,
    pub decision: Decision,
    pub rollout: Option<Rollout>,
    pub service: String,
    pub environment: String,
    /// Of the service: owner, links.
    pub labels: BTreeMap<String, String>,
    /// A rollback request older than this must not be carried out.
    pub expires_at: Option<Timestamp>,
    /// Where people reach gated, without a slash at the end; links are left out without it.
    pub external_url: Option<String>,
    /// The incident that it belongs to, and whom it calls.
    pub incident: Option<NoticeIncident>,
    /// Of [`NoticeKind::ReportReady`].
    pub report: Option<Arc<NoticeReport>>,
}

/// A report as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeReport {
    /// `day`, `status`, `week` or `hypercare`.
    pub kind: String,
    /// The day that it is about, or ends with, as `2026-12-01`.
    pub date: String,
    pub status: Status,
    /// Its first line, for a mail's subject.
    pub title: String,
    pub markdown: String,
    /// One page by itself.
    pub html: String,
}

/// What a notice says of its incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeIncident {
    pub id: IncidentId,
    /// Which notice of it to this receiver this is, from 1: a later one says more than an earlier one that it overtook.
    pub sequence: usize,
    /// Step of the escalation path, from 1; `None` where nobody in particular is called.
    pub level: Option<u32>,
    /// Who stands at that step: `on-call engineer`.
    pub role: Option<String>,
    /// Who has acknowledged it.
    pub acknowledged_by: Option<String>,
}

/// One request owed to one receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub key: DeliveryKey,
    pub decision: DecisionId,
    /// The rollout it is about: what is re-checked before each attempt.
    pub rollout: Option<RolloutId>,
    /// The incident that it tells of.
    pub incident: Option<IncidentId>,
    /// The `name` of a `[[webhook]]`.
    pub receiver: String,
    pub kind: NoticeKind,
    pub created_at: Timestamp,
    /// Attempts begun.
    pub attempts: u32,
    pub last_error: Option<String>,
    pub state: DeliveryState,
    /// What came of the attempts, oldest first; of many the first and the latest.
    pub log: Vec<AttemptLine>,
}

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptLine {
    /// From 1.
    pub attempt: u32,
    pub at: Timestamp,
    /// `HTTP 503`, `timed out (it may have arrived)`, `confirmed by deployer`.
    pub outcome: String,
}

impl Delivery {
    /// Lines of the log that are kept from its beginning, and in all.
    const LOG_FIRST: usize = 4;
    const LOG_MAX: usize = 20;

    /// Notes what came of the attempt under way.
    pub fn note(&mut self, at: Timestamp, outcome: &str) {
        if self.log.len() >= Self::LOG_MAX {
            self.log.remove(Self::LOG_FIRST);
        }
        self.log.push(AttemptLine {
            attempt: self.attempts,
            at,
            outcome: outcome.to_owned(),
        });
    }

    /// Whether both are about one incident, or one decision where there is none.
    #[must_use]
    pub fn is_about_same(&self, other: &Self) -> bool {
        match (&self.incident, &other.incident) {
            (Some(one), Some(other)) => one == other,
            (None, None) => self.decision == other.decision,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// When it was delivered, cancelled or given up; `None` while it is open.
    #[must_use]
    pub const fn settled_at(&self) -> Option<Timestamp> {
        match self.state {
            DeliveryState::Delivered { at, .. }
            | DeliveryState::Cancelled { at, .. }
            | DeliveryState::GivenUp { at, .. } => Some(at),
            DeliveryState::Owed { .. }
            | DeliveryState::UnderWay { .. }
            | DeliveryState::Unconfirmed { .. }
            | DeliveryState::Held { .. } => None,
        }
    }

    /// Nothing more becomes of it.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.settled_at().is_some()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum DeliveryState {
    /// To be sent (again) at `next`.
    Owed { next: Timestamp },
    /// An attempt is under way. After a crash nobody knows what became of it.
    UnderWay { since: Timestamp },
    /// The receiver answered 2xx and has until then to confirm that it acted.
    Unconfirmed { until: Timestamp, status: u16 },
    /// It may have arrived, and sending it again might undo what it did: a person must say.
    Held { at: Timestamp, why: String },
    /// A receiver answered 2xx, and confirmed it where it must.
    Delivered { at: Timestamp, status: u16 },
    /// No longer right; never sent again.
    Cancelled { at: Timestamp, why: String },
    /// Too late or refused for good.
    GivenUp { at: Timestamp, why: String },
}

impl DeliveryState {
    /// Its spelling in JSON and SQL.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Owed { .. } => "owed",
            Self::UnderWay { .. } => "under_way",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Held { .. } => "held",
            Self::Delivered { .. } => "delivered",
            Self::Cancelled { .. } => "cancelled",
            Self::GivenUp { .. } => "given_up",
        }
    }
}
