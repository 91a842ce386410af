//! The engine: inputs in, effects out, a snapshot beside. Pure: no clock, network, disk, thread or randomness.

mod effect;
mod input;
mod interest;
mod settings;
mod snapshot;

pub use effect::{Alert, Answer, Effect, Event, Record, Refusal};
pub use input::{Attempted, Call, Columns, Input, Scrape, ScrapeError, ScrapeFault, TargetInfo};
pub use interest::Interest;
pub use settings::{
    Alerting, Judging, Receiver, Restored, RestoredTrigger, RollbackMode, RollbackPolicy,
    RolloutPolicy, Settings, ToldRollout,
};
pub use snapshot::{
    Check, LastScrape, Outcome, Role, ScrapeState, SignalState, Snapshot, TriggerState,
    VerdictState, WouldFire,
};
