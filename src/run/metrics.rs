//! What the hall itself counts, and the one place where every room describes its names.

use metrics::Unit;
use metrics::describe_counter;
use metrics::describe_gauge;
use metrics::describe_histogram;

use super::clock::Clock;
use crate::model::WallClock;

const RELOAD_SUCCESSFUL: &str = "gated_config_last_reload_successful";
const RELOAD_TIMESTAMP: &str = "gated_config_last_reload_success_timestamp_seconds";
const DRIFT: &str = "gated_clock_drift_seconds";
/// How long the engine took for one input.
pub(super) const EVALUATION_DURATION: &str = "gated_evaluation_duration_seconds";
pub(super) const LEDGER_COMMITS: &str = "gated_ledger_commits_total";
pub(super) const LEDGER_FAILURES: &str = "gated_ledger_commit_failures_total";

/// Installs the process' recorder; a room that counts later has its help on the page.
pub(super) fn install() {
    crate::serve::metrics::install();
    crate::source::metrics::describe();
    crate::sink::metrics::describe();
    describe_gauge!(
        RELOAD_SUCCESSFUL,
        "Whether the last reload of the configuration succeeded."
    );
    describe_gauge!(
        RELOAD_TIMESTAMP,
        Unit::Seconds,
        "When the configuration was last loaded without a fault, in Unix seconds."
    );
    describe_gauge!(
        DRIFT,
        Unit::Seconds,
        "How far the wall clock was set since gated started; 0 within 5 s."
    );
    describe_histogram!(
        EVALUATION_DURATION,
        Unit::Seconds,
        "How long the engine took for one input."
    );
    describe_counter!(LEDGER_COMMITS, "Transactions that the ledger committed.");
    describe_counter!(
        LEDGER_FAILURES,
        "Transactions that the ledger could not commit."
    );
    metrics::counter!(LEDGER_FAILURES).increment(0);
}

/// Notes how a reload, or the first load, went.
pub(super) fn loaded(well: bool, clock: Clock) {
    metrics::gauge!(RELOAD_SUCCESSFUL).set(if well { 1.0 } else { 0.0 });
    if well {
        #[allow(clippy::cast_precision_loss, reason = "milliseconds fit for ages")]
        let seconds = clock.now().millis() as f64 / 1000.0;
        metrics::gauge!(RELOAD_TIMESTAMP).set(seconds);
    }
}

/// Notes how far somebody has set the wall clock away from gated's own.
pub(super) fn drift(wall: WallClock) {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds fit for ages")]
    let seconds = wall.ahead_millis() as f64 / 1000.0;
    metrics::gauge!(DRIFT).set(seconds);
}
