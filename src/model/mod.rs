//! The words all rooms share. Deliberately absent: anything that reads a clock, a file or a socket.

pub mod asked;
pub mod calendar;
pub mod certificate;
mod history;
pub mod id;
pub mod incident;
pub mod labels;
mod metadata;
pub mod pattern;
pub mod ratio;
pub mod record;
pub mod sample;
pub mod text;
pub mod time;
mod told;
mod unit;

pub use history::{Minute, Minutes};
pub use id::{DecisionId, DeliveryKey, IncidentId, RolloutId, Slot, TargetId};
pub use incident::{Acknowledgement, Cause, Incident};
pub use labels::Labels;
pub use metadata::{Metadata, MetricKind};
pub use ratio::Ratio;
pub use record::{
    Action, AttemptLine, Audit, Decision, Deed, Delivery, DeliveryState, Guard, GuardAnswer,
    Helped, Notice, NoticeIncident, NoticeKind, NoticeReport, Past, PhaseOutcome, PhaseRun,
    Reading, Rollout, RolloutEnd, Said, Seen, Severity, Sight, Status, Unit, Verdict, Verification,
};
pub use sample::{STALE, is_stale};
pub use time::{Timestamp, WallClock};
pub use told::{Attestation, Observation};
