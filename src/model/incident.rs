//! Incidents as recorded: what a person owns, from the trigger that opened it to its end. When who is called is the
//! room `incident`'s to say; this is all it needs to know, so that a restart goes on where it was.

use std::collections::BTreeSet;

use super::{DecisionId, IncidentId, RolloutId, Severity, Timestamp};

/// One rollout, one signal, as many triggers as like: at most one such incident is unresolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    pub id: IncidentId,
    pub rollout: Option<RolloutId>,
    /// The first signal of the condition; the trigger's name where that is a bare expression.
    pub signal: String,
    /// Only ever gets worse.
    pub severity: Severity,
    pub opened_at: Timestamp,
    /// What the clocks count from: when it opened, or when it last got worse.
    pub since: Timestamp,
    /// How often the clocks were started again.
    pub rounds: u32,
    /// One sentence for a person.
    pub reason: String,
    /// In the order in which they were made. Notices are about the first.
    pub decisions: Vec<DecisionId>,
    /// Why it is open. Those that a machine sees end leave the set as they do.
    pub causes: BTreeSet<Cause>,
    /// Levels of the escalation path called in this round.
    pub reached: u32,
    /// The last call of this round.
    pub called_at: Option<Timestamp>,
    /// How often the level last reached was called again.
    pub repeats: u32,
    /// Receivers that were told of it: they hear of its end.
    pub hooks: BTreeSet<String>,
    pub acknowledged: Option<Acknowledgement>,
    pub resolved: Option<(Timestamp, String)>,
    /// Nobody had acknowledged it by then, and somebody should have.
    pub breached_at: Option<Timestamp>,
}

/// Somebody has taken it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    pub at: Timestamp,
    pub by: String,
    pub note: Option<String>,
}

/// Why an incident is open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A trigger fires, for one series where it judges each.
    Trigger { name: String, series: String },
    /// An alert of a Prometheus rule fires; its labels as they are shown.
    Alert { labels: String },
    /// A signal has no value.
    Blind { signal: String },
    /// It is not known yet whether the rollback helped.
    Verification,
    /// Something whose end no machine sees, in a word or two (`given up`): a person's acknowledgement ends it.
    Unseen { what: String },
}

impl Cause {
    /// Whether gated sees for itself that it is over.
    #[must_use]
    pub const fn is_seen(&self) -> bool {
        match self {
            Self::Trigger { .. } | Self::Alert { .. } | Self::Blind { .. } | Self::Verification => {
                true
            }
            Self::Unseen { .. } => false,
        }
    }
}

impl Incident {
    /// Whether anybody still has to do anything about it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.resolved.is_none()
    }
}
