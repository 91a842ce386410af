//! What the engine is configured with, checked and typed, and what it is restored from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::gate::PredatesPolicy;
use crate::incident::Paths;
use crate::model::Attestation;
use crate::model::Audit;
use crate::model::Decision;
use crate::model::Delivery;
use crate::model::Incident;
use crate::model::Minutes;
use crate::model::NoticeKind;
use crate::model::Observation;
use crate::model::PhaseRun;
use crate::model::Rollout;
use crate::model::Timestamp;
use crate::model::Verification;
use crate::model::calendar::TimeOfDay;
use crate::report::Kind;
use crate::runbook::Rules;

/// Everything that a reload may change.
#[derive(Clone, Debug)]
pub struct Settings {
    pub service: String,
    pub environment: String,
    /// Owner, links and whatever else `[service]` says: labels of everything sent.
    pub labels: BTreeMap<String, String>,
    pub rules: Arc<Rules>,
    pub judging: Judging,
    pub rollback: RollbackPolicy,
    pub rollout: RolloutPolicy,
    /// Every `[[webhook]]`, in the order of the file.
    pub receivers: Vec<Receiver>,
    pub people: People,
    /// What users are told of the go-live.
    pub announcement: Option<super::Announcement>,
    pub alerting: Option<Alerting>,
    /// What is made of the history, and when.
    pub reports: Vec<ReportPlan>,
    /// For times of the day.
    pub zone: TimeZone,
    /// Where people reach gated, without a slash at the end.
    pub external_url: Option<String>,
    /// `[window] retain`; `None` keeps only what rules need.
    pub retain: Option<Duration>,
    /// An Alertmanager that posts to gated repeats what fires at least this often. Zero in a rule test and a backtest,
    /// whose series come from no Alertmanager and no `[[prometheus]]`.
    pub alerts_repeat: Duration,
    /// A dry run: judge this phase alone, as if a rollout had just begun and settled, and count a condition that held
    /// in every reading as firing. Nothing is decided.
    pub preview: Option<String>,
}

impl Settings {
    /// These rules without a configuration: a service of no environment, UTC, defaults, nobody to tell.
    #[must_use]
    pub fn plain(service: &str, rules: Arc<Rules>) -> Self {
        Self {
            service: service.to_owned(),
            environment: String::new(),
            labels: BTreeMap::new(),
            rules,
            judging: Judging::default(),
            rollback: RollbackPolicy::default(),
            rollout: RolloutPolicy::default(),
            receivers: Vec::new(),
            people: People::default(),
            announcement: None,
            alerting: None,
            reports: Vec::new(),
            zone: TimeZone::UTC,
            external_url: None,
            retain: None,
            alerts_repeat: Duration::ZERO,
            preview: None,
        }
    }

    /// The same where rollbacks are armed: without a hook of its own they go to one that is called `hook`.
    #[must_use]
    pub fn armed(mut self, hook: &str) -> Self {
        self.rollback.mode = RollbackMode::Armed;
        if self.rollback.hook.is_none() {
            self.rollback.hook = Some(hook.to_owned());
            self.receivers.push(Receiver {
                name: hook.to_owned(),
                give_up_after: self.rollback.give_up_after,
                events: Vec::new(),
                on_doubt: OnDoubt::Resend,
                confirm_within: None,
            });
        }
        self
    }

    /// A rule test or a backtest: every series comes from its script, whatever would write it otherwise.
    pub(super) fn is_scripted(&self) -> bool {
        self.alerts_repeat.is_zero()
    }
}

/// `[judging]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judging {
    /// After a rollout begins nothing is judged for this long.
    pub settle: Duration,
    /// How long a pending trigger without values keeps what it has counted.
    pub hold_for: Duration,
    /// A signal that a trigger reads without a value for this long is an event of its own.
    pub blind_after: Duration,
    /// Share of the targets behind a signal that must have answered their last scrape.
    pub coverage: f64,
}

impl Default for Judging {
    fn default() -> Self {
        let minutes = |m: u64| Duration::from_secs(m * 60);
        Self {
            settle: Duration::from_secs(30),
            hold_for: minutes(5),
            blind_after: minutes(3),
            coverage: 0.5,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollbackMode {
    /// Decide, record, tell people; send nothing to the hook.
    Shadow,
    Armed,
}

/// `[rollback]`.
#[derive(Clone, Debug, PartialEq)]
pub struct RollbackPolicy {
    pub mode: RollbackMode,
    /// The receiver of rollback requests; it gets nothing else.
    pub hook: Option<String>,
    /// An undelivered rollback request ends after this long.
    pub give_up_after: Duration,
    /// No rollback is decided this soon after another.
    pub cooldown: Duration,
    /// Nor more of them in any 24 hours.
    pub max_per_day: usize,
    pub predates: PredatesPolicy,
    /// How long a delivered rollback is given to help; zero does not watch it.
    pub verify_within: Duration,
    /// A rollback is announced this long before it is sent, for a person to say no.
    pub veto: Duration,
}

impl Default for RollbackPolicy {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Self {
            mode: RollbackMode::Shadow,
            hook: None,
            give_up_after: minutes(15),
            cooldown: minutes(30),
            max_per_day: 2,
            predates: PredatesPolicy::default(),
            verify_within: minutes(10),
            veto: Duration::ZERO,
        }
    }
}

/// `[rollout]`.
#[derive(Clone, Debug, PartialEq)]
pub struct RolloutPolicy {
    /// Told by the configuration: version, when it began (`None`: gated's start), previous version.
    pub told: Option<ToldRollout>,
    /// Inferred: the metric whose label `version` is watched.
    pub version_from: Option<String>,
    pub go_live: Option<Timestamp>,
    /// How long before the rollout readings make the baseline.
    pub baseline: Duration,
}

impl Default for RolloutPolicy {
    fn default() -> Self {
        Self {
            told: None,
            version_from: None,
            go_live: None,
            baseline: Duration::from_secs(10 * 60),
        }
    }
}

/// `[rollout] version`, `started_at`, `previous_version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldRollout {
    pub version: String,
    pub previous_version: Option<String>,
    pub started_at: Option<Timestamp>,
}

/// A `[[webhook]]` as far as deciding needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    pub name: String,
    pub give_up_after: Duration,
    /// What it is told of; empty: everything.
    pub events: Vec<NoticeKind>,
    pub on_doubt: OnDoubt,
    /// An answer of 2xx counts once the receiver has confirmed it, within this long; `None`: at once.
    pub confirm_within: Option<Duration>,
}

/// `[contacts]` and `[severity.P1]` …: who is called, when and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// By role.
    pub contacts: BTreeMap<String, Contact>,
    pub paths: Paths,
}

/// `[[report]]`, as far as the engine needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportPlan {
    pub kind: Kind,
    pub due: TimeOfDay,
    /// Receivers that are told when it was made, beside those that list the event.
    pub hooks: Vec<String>,
}

/// `[contacts."on-call engineer"]`. Who has no name is called all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    pub name: Option<String>,
    pub phone: Option<String>,
    pub email: Option<String>,
    pub backup: Option<String>,
}

/// What becomes of a delivery whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDoubt {
    /// Send it again: the receiver drops what it has had under this key.
    Resend,
    /// Ask a person: the receiver ignores the key, and a second undo undoes the undo.
    Hold,
}

impl Receiver {
    /// Whether it is told of `kind`.
    #[must_use]
    pub fn takes(&self, kind: NoticeKind) -> bool {
        self.events.is_empty() || self.events.contains(&kind)
    }
}

/// `[alertmanager]`, present when there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alerting {
    /// Firing alerts are posted again this often.
    pub resend: Duration,
}

/// What the ledger remembers at start.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Oldest first.
    pub rollouts: Vec<Rollout>,
    /// Oldest first.
    pub decisions: Vec<Decision>,
    /// Oldest first, settled ones included as far back as the decisions go.
    pub deliveries: Vec<Delivery>,
    pub triggers: Vec<RestoredTrigger>,
    pub alerts: Vec<RestoredAlert>,
    pub groups: Vec<RestoredGroup>,
    /// Oldest first.
    pub audit: Vec<Audit>,
    pub verifications: Vec<Verification>,
    /// The newest, in the order in which they were entered or missed.
    pub phase_runs: Vec<PhaseRun>,
    pub incidents: Vec<Incident>,
    /// Oldest first.
    pub attestations: Vec<Attestation>,
    /// By series, whether they still stand or not.
    pub observations: Vec<Observation>,
    /// Of every signal that has minutes; their values as far back as they are [looked back on](super::look_back).
    pub minutes: Vec<Minutes>,
    /// Why rollbacks are held until a person has looked: what was decided before is not known.
    pub held: Option<String>,
}

/// A pending or firing alert of a Prometheus rule, as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredAlert {
    pub file: String,
    pub group: String,
    pub rule: String,
    /// As they are shown.
    pub labels: String,
    /// What its `for` counts from. A restart moves it.
    pub active_at: Timestamp,
    /// Since when it was active in every evaluation, restarts or not.
    pub since: Timestamp,
    /// When it was recorded; [`RestoredGroup`] knows when it was last so.
    pub seen_at: Timestamp,
}

/// A Prometheus rule group with recorded alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredGroup {
    pub file: String,
    pub group: String,
    /// When its recorded alerts were last active: a few seconds, or one interval, before gated ended.
    pub seen_at: Timestamp,
}

/// A firing trigger, as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct RestoredTrigger {
    pub name: String,
    /// The series' labels for `each`, else empty.
    pub series: String,
    /// Its condition as written: a trigger that was changed since starts afresh.
    pub condition: String,
    /// The rollout in which it fired; a trigger starts afresh with each.
    pub rollout: Option<String>,
    pub active_at: Timestamp,
    pub fired_at: Timestamp,
}
