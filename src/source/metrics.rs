//! Names of the metrics that sources write, and what they mean. Their labels take a closed set of values.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};

use crate::engine::ScrapeFault;

pub const SCRAPES: &str = "gated_scrapes_total";
/// Label `reason`: a word of [`crate::engine::ScrapeFault`].
pub const FAILURES: &str = "gated_scrape_failures_total";
pub const DURATION: &str = "gated_scrape_duration_seconds";
pub const LATE: &str = "gated_scrape_late_seconds";
pub const MISSED: &str = "gated_scrape_slots_missed_total";
pub const BYTES: &str = "gated_scrape_bytes_total";
pub const SAMPLES: &str = "gated_scrape_samples_total";
pub const DUPLICATES: &str = "gated_scrape_samples_duplicate_total";
pub const OUT_OF_BOUNDS: &str = "gated_scrape_samples_out_of_bounds_total";
pub const SUSPECT: &str = "gated_scrapes_suspect_total";
pub const TARGETS: &str = "gated_targets";
pub const TARGETS_DUPLICATE: &str = "gated_targets_duplicate_total";
pub const PANICS: &str = "gated_scrape_panics_total";
/// Posts of Alertmanager.
pub const ALERT_POSTS: &str = "gated_alertmanager_received_posts_total";
pub const ALERTS_LEFT_OUT: &str = "gated_alertmanager_received_alerts_left_out_total";
/// Label `kind`: `file` or `dns`.
pub const DISCOVERY_FAILURES: &str = "gated_discovery_failures_total";

/// Tells the recorder what the names mean; call once, after it is installed.
pub fn describe() {
    let counters = [
        (SCRAPES, "Scrapes begun."),
        (FAILURES, "Scrapes that failed, by reason."),
        (
            MISSED,
            "Slots skipped because the scrape before them was still under way.",
        ),
        (BYTES, "Bytes of pages, decoded."),
        (SAMPLES, "Samples on the pages, wanted or not."),
        (
            DUPLICATES,
            "Samples left out because another of the page has the same labels.",
        ),
        (
            OUT_OF_BOUNDS,
            "Samples left out because their own timestamp lies too far off.",
        ),
        (
            SUSPECT,
            "Pages of unknown length with less than half the samples of the page before: perhaps cut off.",
        ),
        (
            TARGETS_DUPLICATE,
            "Targets left out because another has the same URL and labels.",
        ),
        (
            PANICS,
            "Scraping tasks that died of a bug and were begun again.",
        ),
        (ALERT_POSTS, "Posts of Alertmanager that were taken."),
        (
            ALERTS_LEFT_OUT,
            "Firing alerts that Alertmanager posted and that had no room.",
        ),
        (
            DISCOVERY_FAILURES,
            "Discoveries that failed; the targets known before are kept.",
        ),
    ];
    for (name, help) in counters {
        describe_counter!(name, help);
    }
    // At 0 from the start: `increase` misses the first of a series that was born with it.
    for fault in ScrapeFault::ALL {
        counter!(FAILURES, "reason" => fault.word()).increment(0);
    }
    describe_gauge!(TARGETS, "Targets configured and discovered.");
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "From slot to whole page or failure."
    );
    describe_histogram!(
        LATE,
        Unit::Seconds,
        "How long after its slot a scrape began."
    );
}
