//! The names of what the sinks count. Labels hold a receiver's configured name or a peer's number, never a URL.

use metrics::Unit;
use metrics::describe_counter;
use metrics::describe_gauge;

/// Attempts to deliver, by `receiver` and `outcome` (a status class such as `2xx`, `no_answer`, a command's `exit_1`).
pub const WEBHOOK_ATTEMPTS: &str = "gated_webhook_attempts_total";
/// Notices whose template failed and that carry the generic body instead, by `receiver`.
pub const TEMPLATE_FAILURES: &str = "gated_template_failures_total";
/// The receiver's clock (its `Date` header) minus gated's, by `receiver`. Signed timestamps are refused when it is large.
pub const WEBHOOK_CLOCK_SKEW: &str = "gated_webhook_clock_skew_seconds";
/// Requests that an Alertmanager took, by `peer`.
pub const ALERTMANAGER_POSTS: &str = "gated_alertmanager_posts_total";
/// Rounds in which an Alertmanager could not be given everything, by `peer`.
pub const ALERTMANAGER_FAILURES: &str = "gated_alertmanager_failures_total";
/// Alerts that an Alertmanager refuses and that are not posted to it again, by `peer`.
pub const ALERTMANAGER_QUARANTINED: &str = "gated_alertmanager_quarantined_total";
/// Bytes that the journal takes on its disk.
pub const JOURNAL_BYTES: &str = "gated_journal_bytes";
/// Whether what happens is recorded.
pub const JOURNAL_RECORDING: &str = "gated_journal_recording";
/// How often recording broke off.
pub const JOURNAL_FAILURES: &str = "gated_journal_failures_total";

/// Tells the recorder what the names mean; call once, after it is installed.
pub fn describe() {
    let counters = [
        (
            WEBHOOK_ATTEMPTS,
            "Attempts to deliver, by receiver and outcome.",
        ),
        (
            TEMPLATE_FAILURES,
            "Notices whose template failed and that carry the generic body instead.",
        ),
        (ALERTMANAGER_POSTS, "Requests that an Alertmanager took."),
        (
            ALERTMANAGER_FAILURES,
            "Rounds in which an Alertmanager could not be given everything.",
        ),
        (
            ALERTMANAGER_QUARANTINED,
            "Alerts that an Alertmanager refuses and that are not posted to it again.",
        ),
        (
            JOURNAL_FAILURES,
            "How often the journal broke off: a disk that is full or slow.",
        ),
    ];
    for (name, help) in counters {
        describe_counter!(name, help);
    }
    describe_gauge!(
        JOURNAL_BYTES,
        Unit::Bytes,
        "What the journal takes on its disk."
    );
    describe_gauge!(
        JOURNAL_RECORDING,
        "Whether what happens is recorded in the journal."
    );
    describe_gauge!(
        WEBHOOK_CLOCK_SKEW,
        Unit::Seconds,
        "The receiver's clock minus gated's."
    );
}
