//! What is owed to people and machines: an incident's life, who is called when, a delivery's retries.

mod delivery;
mod lifecycle;
mod quiet;
mod sla;

pub use delivery::{Answer, Next, after, again};
pub use lifecycle::{Joined, Left, Over, Report, acknowledge, join, open, settle};
pub use quiet::QuietHours;
pub use sla::{Level, Path, Paths, Step, acknowledge_by, done, due, next};
