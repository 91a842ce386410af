//! What the rules files say, typed. Deliberately absent: reading files (`run` does) and judging (`rules` does).

mod fault;
mod file;
mod phase;
mod signal;
mod threshold;

pub use fault::{Fault, Faults, Source};
pub use file::{RulesText, load};
pub use phase::{Clock, Hold, NoData, Phase, Rules, Target, Trigger, When};
pub use signal::Signal;
pub use threshold::{Bound, Condition, Op, Threshold};
