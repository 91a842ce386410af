//! Judging: readings (a value, or why there is none), conditions in three values, trigger states.
//! Deliberately absent: what follows from a firing trigger (`gate` and `engine` know).

mod alert;
mod condition;
mod group;
mod reading;
mod state;

pub use alert::FOR_GRACE;
pub use alert::{AlertSample, AlertState, AlertTiming, RuleAlert, RuleAlerts};
pub use condition::{
    Judged, TrueLeaf, Truth, bound, judge, signals_of, thresholds_of, true_leaves,
};
pub use group::{Group, GroupRule, Health, RuleKind, World};
pub use reading::{Behind, Bounds, Read, SignalPlan};
pub use state::{Observation, State, Timing, observe};
