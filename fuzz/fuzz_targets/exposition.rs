//! Bytes as two pages, split at the first 0x1E: no panic in either format, and the second page read through the memory
//! of the first gives what a fresh reader gives.
#![no_main]

use gated::model::{Labels, Timestamp};
use gated::source::exposition::{Fate, Format, Limits, Reader};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    samples: 1 << 16,
    labels: 64,
    label_name_bytes: 1 << 10,
    label_value_bytes: 1 << 16,
};

fuzz_target!(|bytes: &[u8]| {
    let at = Timestamp::from_millis(1_700_000_000_000);
    let mut wanted = |labels: Labels| Fate::Wanted(labels);
    for format in [Format::Text, Format::OpenMetrics] {
        let mut reader = Reader::new(LIMITS);
        for page in bytes.splitn(2, |byte| *byte == 0x1e) {
            let read = reader.read(page, format, at, true, &mut wanted);
            let fresh = Reader::new(LIMITS).read(page, format, at, true, &mut wanted);
            match (read, fresh) {
                (Ok((columns, stats)), Ok((anew, expected))) => {
                    assert_eq!(stats, expected);
                    assert_eq!(columns.samples_scraped, anew.samples_scraped);
                    let live = columns.values.iter().filter(|v| !gated::model::is_stale(**v));
                    assert_eq!(live.count(), anew.values.len());
                }
                (read, fresh) => assert_eq!(read.err(), fresh.err()),
            }
        }
    }
});
