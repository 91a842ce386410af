//! What the engine wants done: a closed list. One input's effects belong together: all its records commit in one
//! transaction before anything else of them is carried out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::input::ScrapeError;
use crate::model::{
    Action, Attestation, Audit, Decision, DecisionId, Delivery, DeliveryKey, Guard, Helped,
    Incident, IncidentId, Minute, Notice, Observation, PhaseOutcome, PhaseRun, Reading, Rollout,
    RolloutId, Severity, Status, Timestamp, Verdict, Verification, WallClock,
};

#[derive(Clone, Debug)]
pub enum Effect {
    /// To be committed.
    Record(Record),
    /// One attempt of a recorded delivery; its outcome comes back as `Input::Attempted`.
    Send {
        key: DeliveryKey,
        receiver: String,
        attempt: u32,
    },
    /// Every alert that Alertmanager should know now: firing ones again, resolved ones for a while.
    Alerts(Vec<Alert>),
    /// A report to be made; what became of it comes back as `Input::Reported`.
    Report(super::ReportDue),
    /// The answer to `Input::Operator` with this token.
    Answer {
        token: u64,
        answer: Result<Answer, Refusal>,
    },
    /// Something a person may want to read: the log, the demo's screen.
    Tell(Event),
}

/// One row to write. A record with a known key replaces the row.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    Rollout(Rollout),
    /// Its id is unique: a second insert of the same id must leave the first row alone.
    Decision(Box<Decision>),
    /// A new delivery with what it says; rendered and stored in the same transaction.
    Owed(Box<Delivery>, Box<Notice>),
    /// A changed state of a known delivery.
    Delivery(Box<Delivery>),
    /// An incident was opened, or something became of it.
    Incident(Box<Incident>),
    /// A trigger began or stopped firing: what a restart needs so that nobody is called twice.
    Trigger(super::RestoredTrigger),
    /// An alert of a Prometheus rule with a long `for` is active since then.
    Alert(super::RestoredAlert),
    /// It is active no longer.
    AlertGone(super::RestoredAlert),
    /// All of a group's recorded alerts were still active at that moment: said every few seconds.
    AlertsSeen(super::RestoredGroup),
    /// A person did something: a line of the audit trail.
    Audit(Box<Audit>),
    /// A phase was entered, or is over.
    PhaseRun(PhaseRun),
    /// Somebody observed a value: it replaces the one of the same series.
    Observation(Observation),
    /// Somebody attested a line of the checklist.
    Attestation(Attestation),
    /// A minute is over: what every signal gave.
    Minute(Minute),
    /// A delivered rollback is watched, or something came of it.
    Verification(Verification),
    /// A trigger is inactive again.
    TriggerGone {
        name: String,
        series: String,
    },
}

/// An alert as Alertmanager's API v2 takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// The identity: never holds a changing value. Includes `alertname`.
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// An absolute URI.
    pub generator_url: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Begun, or the one that had already begun under this id.
    Rollout {
        rollout: Box<Rollout>,
        created: bool,
    },
    /// Until when rollbacks are frozen.
    Frozen {
        until: Timestamp,
    },
    /// What was lifted; nothing where nothing stood in the way.
    Thawed {
        frozen: bool,
        held: bool,
    },
    Vetoed {
        decision: DecisionId,
        rollout: RolloutId,
    },
    Delivery(Box<Delivery>),
    Attested(Attestation),
    Announced(Box<super::Announcing>),
    /// What was taken, and names of series that no rule reads.
    Observed {
        taken: Vec<Observation>,
        unread: Vec<String>,
    },
    /// As it is from here on.
    Incident(Box<Incident>),
}

/// Why an operator's call was refused; the text is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no rollout `{0}`")]
    NoSuchRollout(String),
    #[error("there is no decision `{0}`")]
    NoSuchDecision(String),
    #[error("there is no delivery `{0}`")]
    NoSuchDelivery(String),
    #[error("there is no incident `{0}`")]
    NoSuchIncident(String),
    #[error("there is no item `{item}` in the checklist{}", near.as_ref().map_or_else(String::new, |it| format!("; did you mean `{it}`?")))]
    NoSuchItem { item: String, near: Option<String> },
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Invalid(String),
}

/// What happened, for the log and the demo's screen.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    TargetUp {
        instance: String,
    },
    TargetDown {
        instance: String,
        error: ScrapeError,
    },
    RolloutBegan(Rollout),
    RolloutEnded(Rollout),
    /// `settle` is over: from here on triggers are judged.
    Settled {
        rollout: String,
    },
    PhaseEntered {
        phase: String,
        title: String,
    },
    /// A phase is over.
    PhaseEnded {
        phase: String,
        outcome: PhaseOutcome,
    },
    /// Somebody set the machine's clock while gated ran.
    ClockSet(WallClock),
    /// A signal has a value again, or lost it.
    ReadingChanged {
        signal: String,
        from: Reading,
        to: Reading,
        why: String,
    },
    TriggerPending {
        trigger: String,
        series: String,
        value: Option<f64>,
        condition: String,
        hold: Duration,
    },
    /// Pending fell back before its time.
    TriggerCalmed {
        trigger: String,
        series: String,
        value: Option<f64>,
    },
    TriggerFiring {
        trigger: String,
        series: String,
        value: Option<f64>,
        condition: String,
        held_for: Duration,
    },
    TriggerResolved {
        trigger: String,
        series: String,
        value: Option<f64>,
    },
    /// A rule of Prometheus cannot be evaluated from here on; what it said before stands.
    RuleFailed {
        group: String,
        rule: String,
        why: String,
    },
    /// It can be evaluated again.
    RuleWell {
        group: String,
        rule: String,
    },
    /// A group was not evaluated at that many slots, because nothing ran then.
    SlotsMissed {
        group: String,
        slots: u64,
    },
    Decided(Box<Decision>),
    DeliveryAttempt {
        key: DeliveryKey,
        receiver: String,
        attempt: u32,
    },
    DeliverySucceeded {
        key: DeliveryKey,
        receiver: String,
        attempt: u32,
        status: u16,
    },
    DeliveryFailed {
        key: DeliveryKey,
        receiver: String,
        attempt: u32,
        reason: String,
        next: Option<Timestamp>,
    },
    DeliveryCancelled {
        key: DeliveryKey,
        receiver: String,
        why: String,
    },
    /// It answered 410: nothing is sent to it any more.
    ReceiverGone {
        receiver: String,
    },
    IncidentOpened(Box<Incident>),
    /// Its path begins again.
    IncidentWorse(Box<Incident>),
    /// A level was called, counted from 1.
    IncidentCalled {
        id: IncidentId,
        level: u32,
        role: Option<String>,
        receivers: Vec<String>,
    },
    IncidentAcknowledged {
        id: IncidentId,
        by: String,
    },
    /// Nobody acknowledged it in time.
    IncidentBreached {
        id: IncidentId,
        severity: Severity,
        within: Duration,
    },
    IncidentResolved {
        id: IncidentId,
        how: String,
    },
    VerdictChanged {
        from: (Verdict, Status),
        to: (Verdict, Status),
        reasons: Vec<String>,
    },
    /// A rollback could not be recorded, so it was not sent.
    NotRecorded {
        action: Action,
        refused_by: Guard,
        reason: String,
    },
    Reloaded,
    /// Somebody gave a value.
    Observed(Box<Observation>),
    /// It is asked for again.
    ReportFailed {
        kind: String,
        date: String,
        reason: String,
    },
    /// Somebody attested a line of the checklist.
    Attested(Box<Attestation>),
    /// A person did something.
    Said(Box<Audit>),
    /// The freeze is over.
    FreezeEnded,
    /// Whether a rollback helped.
    RollbackWatched {
        decision: DecisionId,
        helped: Helped,
        reason: String,
    },
}
