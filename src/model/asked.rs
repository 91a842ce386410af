//! How the answers of a `[[prometheus]]` stand in the window: what is asked writes them, what is judged reads them.

/// What the query of a signal gave. Its labels are those of the answer, and [`SOURCE`] and [`SIGNAL`].
pub const ANSWER: &str = "gated_source";
/// What the query for `enough` gave.
pub const ENOUGH: &str = "gated_source_enough";
/// The label that names the `[[prometheus]]`.
pub const SOURCE: &str = "source";
/// The label that names the signal.
pub const SIGNAL: &str = "signal";

/// Labels of the target that stands for what is asked: the two above, and the texts that are sent.
pub const QUERY: &str = "query";
pub const QUERY_ENOUGH: &str = "enough";
