//! The window: a short, bounded memory of samples, per target.
//!
//! [`Window`] takes pages and keeps families (which series carry a name); [`Block`] keeps the columns of one target
//! that are needed equally long; [`Ring`] keeps a series whose samples carry timestamps of their own.
//! Deliberately absent: matchers and everything else of `PromQL`, which reads the window from outside.

mod block;
mod series;
#[cfg(test)]
mod tests;
mod window;

pub use block::{Block, Row};
pub use series::Ring;
pub use window::{SeriesAt, Window};
