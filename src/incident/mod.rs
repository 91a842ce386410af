//! What is owed to people and machines. For now: a delivery's retries.

mod delivery;

pub use delivery::{Answer, Next, after, again};
