//! The engine: inputs in, effects out, a snapshot beside. Pure: no clock, network, disk, thread or randomness.

mod alerts;
mod announce;
mod asked;
mod causes;
mod checklist;
mod compared;
mod components;
mod criteria;
mod decide;
mod deliver;
mod due;
mod effect;
#[allow(
    clippy::module_inception,
    reason = "the engine is what this room is about"
)]
mod engine;
mod groups;
mod heard;
mod hindsight;
mod hint;
mod history;
mod incidents;
mod input;
mod interest;
mod judge;
mod notices;
mod observed;
mod operate;
mod outbox;
mod past;
mod people;
mod phase_runs;
mod phases;
mod question;
mod recheck;
mod reports;
mod say;
mod selector;
mod settings;
mod show;
mod signals;
mod snapshot;
mod triggers;
mod unrecorded;
mod verify;
mod versions;

pub use crate::gate::PredatesPolicy;
pub use crate::gate::Unknown as UnknownPast;
pub use crate::promql::{Note, Stop};
pub use announce::{ANNOUNCED, Announce, Announcement, Announcing};
pub use checklist::{ChecklistState, ItemState, REPORT};
pub use compared::{About, Compared, ComparedSignal, TriggerStanding};
pub use components::PROBE_INTERVAL_QUICK_MAX;
pub use criteria::{CriterionOutcome, CriterionState};
pub use due::{DUE, DUE_SEVERITY};
pub use effect::{Alert, Answer, Effect, Event, Record, Refusal};
pub use engine::Engine;
pub use heard::{AlertPost, PostedAlert, heard_for};
pub use hindsight::{Known, Remembers, look_back_on};
pub use history::{HISTORY, HISTORY_KEPT, UptimeState, look_back};
pub use input::{
    Attempted, Call, Columns, Input, Scrape, ScrapeError, ScrapeFault, TargetInfo, Word,
};
pub use interest::{Interest, Times};
pub use observed::{OBSERVED_JOB, Observed};
pub use question::{Answered, AskError, Question, Told, View};
pub use reports::{REPORTED, ReportDue, ReportState, Reported};
pub use selector::Selector;
pub use settings::{
    Alerting, Contact, Judging, OnDoubt, People, Receiver, ReportPlan, Restored, RestoredAlert,
    RestoredGroup, RestoredTrigger, RollbackMode, RollbackPolicy, RolloutPolicy, Settings,
    ToldRollout,
};
pub use snapshot::{
    AlertingState, Check, GroupState, IncidentCounts, IncidentState, LastScrape, Outcome,
    ResponseState, Role, RuleState, ScrapeState, SignalState, Snapshot, TriggerState, VerdictState,
    WouldFire,
};

pub use crate::rules::{AlertState, Health, RuleAlert};
