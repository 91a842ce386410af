//! Whether a release may stay: rollouts, the guards of a rollback, the verdict.
//! Deliberately absent: expressions and states (`rules`), who is told and how (`incident`, `engine`).

mod guard;
mod predates;
mod rollout;
mod verdict;

pub use guard::{Bad, Facts, Predates, ask, passes_by};
pub use predates::{Before, Leaf, PredatesPolicy, Unknown, Worse, before};
pub use rollout::{Change, Rollouts, Told};
pub use verdict::conclude;
