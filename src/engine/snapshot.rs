//! What the engine shows: plain, owned, immutable. Edges read it and write their own wire types.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::effect::Alert;
use super::input::{ScrapeError, TargetInfo};
use crate::model::{
    Action, Audit, Decision, Delivery, Guard, Incident, Observation, PhaseRun, Reading, Rollout,
    Severity, Status, Timestamp, Unit, Verdict, Verification,
};

#[derive(Clone, Debug)]
pub struct Snapshot {
    pub at: Timestamp,
    pub service: String,
    pub environment: String,
    pub verdict: Arc<VerdictState>,
    pub targets: Vec<ScrapeState>,
    pub signals: Vec<SignalState>,
    pub triggers: Vec<TriggerState>,
    pub groups: Arc<[GroupState]>,
    /// Firing now (and the Watchdog).
    pub alerts: Arc<[Alert]>,
    /// Oldest first.
    pub rollouts: Vec<Arc<Rollout>>,
    /// Oldest first, each with its deliveries; the newest 500.
    pub decisions: Vec<(Arc<Decision>, Vec<Arc<Delivery>>)>,
    /// Every open one and the newest resolved ones, in the order in which they opened.
    pub incidents: Vec<IncidentState>,
    pub incident_counts: IncidentCounts,
    pub evaluations: u64,
    pub evaluation_failures: u64,
    pub samples_appended: u64,
    pub series: usize,
    /// The oldest scrape of which the window holds samples.
    pub held_since: Option<Timestamp>,
    /// `[rollback] mode`; what is armed may be frozen or held all the same.
    pub rollback_armed: bool,
    /// Receivers that answered 410: nothing is sent to them.
    pub gone: Vec<String>,
    /// The newest lines of the audit trail, oldest first.
    pub audit: Arc<[Audit]>,
    /// Who has frozen rollbacks, in words.
    pub frozen: Option<String>,
    /// Why rollbacks are held, whatever the settings say: the ledger was damaged.
    pub held: Option<String>,
    /// Rollbacks that are or were watched.
    pub verifications: Vec<Verification>,
    /// Every line of the checklist, in the order of the rules, then what is due after incidents.
    pub checklist: Vec<super::ChecklistState>,
    /// The criteria for the end of hypercare.
    pub criteria: Arc<[super::CriterionState]>,
    /// Who stands behind each role.
    pub contacts: BTreeMap<String, super::Contact>,
    /// What people observed, by series.
    pub observations: Arc<[Observation]>,
    /// `None` where nothing says what counts as down.
    pub uptime: Option<super::UptimeState>,
    /// Each kind of report that is asked for.
    pub reports: Arc<[super::ReportState]>,
    /// The newest, in the order in which they were entered or missed.
    pub phase_runs: Arc<[PhaseRun]>,
}

/// An incident, and who must do what by when.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentState {
    pub incident: Incident,
    /// By when somebody must have acknowledged it; `None` when nobody has to any more.
    pub acknowledge_by: Option<Timestamp>,
    /// The role at the level last reached.
    pub owner: Option<String>,
    /// That person's name.
    pub contact: Option<String>,
    /// The next call, and to which role.
    pub next: Option<(Timestamp, Option<String>)>,
    /// What is to be done in it and by when, in the order of the rules.
    pub response: Vec<ResponseState>,
}

/// A stretch of an incident with what is due in it.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseState {
    pub title: String,
    pub from: Timestamp,
    /// `None`: as long as it takes.
    pub until: Option<Timestamp>,
    pub steps: Vec<String>,
}

impl ResponseState {
    #[must_use]
    pub fn is_due(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// Incidents since gated started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IncidentCounts {
    pub opened: BTreeMap<Severity, u64>,
    /// Not acknowledged in time.
    pub breached: BTreeMap<Severity, u64>,
    pub acknowledged: u64,
    /// From when its clock began until somebody acknowledged it, over all that were.
    pub acknowledge_seconds: f64,
}

/// The pinned verdict: `/gate`, `/api/v1/verdict` and `--dry-run` write it.
#[derive(Clone, Debug, PartialEq)]
pub struct VerdictState {
    pub verdict: Verdict,
    pub status: Status,
    /// The active phase of the shortest band; empty when none is active.
    pub phase: String,
    /// `None` before the first evaluation: the gate then answers 503.
    pub evaluated_at: Option<Timestamp>,
    /// One sentence each.
    pub reasons: Vec<String>,
    pub checks: Vec<Check>,
    pub would_fire: Vec<WouldFire>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeState {
    pub info: Arc<TargetInfo>,
    /// `None` before the first scrape.
    pub last: Option<LastScrape>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LastScrape {
    pub at: Timestamp,
    pub duration: Duration,
    /// Samples on the page.
    pub samples: u32,
    /// What the source says of it for people: why a component fails its probe.
    pub note: Option<Arc<str>>,
    pub error: Option<ScrapeError>,
    /// What the source said beside its samples.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SignalState {
    pub name: String,
    pub title: String,
    pub unit: Unit,
    pub expr: String,
    pub reading: Reading,
    /// Why there is no value; empty when there is one.
    pub why: String,
    /// What its source said beside its last answer: warnings and infos.
    pub notes: Vec<String>,
    /// `None` before the first evaluation.
    pub at: Option<Timestamp>,
}

/// A trigger of an active phase, per series for `each`.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerState {
    pub name: String,
    pub phase: String,
    pub series: String,
    pub condition: String,
    pub severity: Severity,
    pub action: Action,
    pub outcome: Outcome,
    /// Since when the condition has held.
    pub active_at: Option<Timestamp>,
    pub fired_at: Option<Timestamp>,
}

/// A group of Prometheus' rules after its last evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupState {
    pub name: String,
    pub file: String,
    pub interval: Duration,
    /// 0 for none.
    pub limit: usize,
    pub evaluated_at: Option<Timestamp>,
    pub rules: Vec<RuleState>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RuleState {
    pub name: String,
    pub expr: String,
    pub labels: BTreeMap<String, String>,
    pub health: super::Health,
    pub evaluated_at: Option<Timestamp>,
    /// `None` for a recording rule.
    pub alerting: Option<AlertingState>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AlertingState {
    /// `for`
    pub hold: Duration,
    pub keep_firing_for: Duration,
    /// As written.
    pub annotations: BTreeMap<String, String>,
    /// Pending and firing.
    pub alerts: Vec<super::RuleAlert>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Role {
    Target,
    Trigger,
    /// The trigger of a critical component's probe; in a dry run also a hook, an Alertmanager, its critical alerts.
    Component,
    /// A line of the checklist, or a criterion.
    Checklist,
}

impl Role {
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Trigger => "trigger",
            Self::Component => "component",
            Self::Checklist => "checklist",
        }
    }
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A target holds.
    Met,
    /// A target does not hold.
    Missed,
    /// A trigger's condition is false.
    Quiet,
    Pending,
    Firing,
    Unknown,
}

impl Outcome {
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Quiet => "quiet",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Unknown => "unknown",
        }
    }
}

/// One line of the verdict: a target or a trigger with its reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    pub name: String,
    /// Empty for a trigger made of a bare expression.
    pub signal: String,
    pub role: Role,
    pub reading: Reading,
    pub unit: Unit,
    pub condition: String,
    /// The thresholds in the condition, in the signal's unit, by signal: what `/metrics` shows beside the value.
    pub thresholds: BTreeMap<String, f64>,
    /// A target of `[phase.expected]`.
    pub expected: bool,
    /// It is only tried: the verdict does not rest on it.
    pub shadow: bool,
    pub outcome: Outcome,
    /// Empty when there is nothing to say.
    pub reason: String,
}

impl Check {
    /// Whether the verdict rests on it: not on what is only tried, nor on an expected figure that nobody has.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        !self.shadow && !(self.expected && self.outcome == Outcome::Unknown)
    }
}

/// What would be done if this were live and armed as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct WouldFire {
    pub action: Action,
    pub hook: Option<String>,
    /// Names of triggers.
    pub because: Vec<String>,
    pub refused_by: Option<Guard>,
}
