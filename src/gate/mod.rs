//! Whether a release may stay: rollouts, the guards of a rollback, the verdict.
//! Deliberately absent: expressions and states (`rules`), who is told and how (`incident`, `engine`).

mod guard;
mod rollout;
mod verdict;

pub use guard::{Bad, Facts, ask, passes_by};
pub use rollout::{Change, Rollouts, Told};
pub use verdict::conclude;
