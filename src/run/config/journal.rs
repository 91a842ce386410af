//! `[journal]`: where what happens is recorded, and how much of it is kept.

use std::path::PathBuf;
use std::time::Duration;

use crate::runbook::{Amount, Section};
use crate::sink::{JournalConfig, Keep};

/// Less is not even the segment that is being written.
const BYTES_MIN: u64 = 16 << 20;
const AGE_MIN: Duration = Duration::from_secs(3600);

pub(super) fn journal(root: &mut Section) -> Option<JournalConfig> {
    let mut section = root.section("journal")?;
    let path = section.required("path", "\"journal\"")?;
    if path.value.trim().is_empty() {
        let help = "write the folder, such as \"journal\"";
        section.reader.fault(&path.place, "`path` is empty", help);
    }
    let keep_place = section.key_place("keep");
    let kept = section.amount("keep");
    let limit_place = section.key_place("size_limit");
    let with_limit = section.has("size_limit");
    let limit = section.size("size_limit");
    let mut keep = Keep::default();
    keep.bytes = limit.map_or(keep.bytes, whole);
    let mut bytes_place = &limit_place;
    match kept {
        Some(Amount::Time(age)) => {
            if age < AGE_MIN {
                let message = "a journal of less than an hour";
                section
                    .reader
                    .fault(&keep_place, message, "write \"1h\" or more");
            }
            keep.age = Some(age);
        }
        Some(Amount::Bytes(bytes)) => {
            if with_limit {
                let message = "`keep` says the size already";
                let help = "write one of them, or keep = \"7d\" beside a size_limit";
                section.reader.fault(&limit_place, message, help);
            }
            bytes_place = &keep_place;
            keep = Keep {
                age: None,
                bytes: whole(bytes),
            };
        }
        None => {}
    }
    if keep.bytes < BYTES_MIN {
        let message = "a journal of less than 16MiB holds next to nothing";
        section
            .reader
            .fault(bytes_place, message, "write \"256MiB\"");
    }
    Some(JournalConfig {
        path: PathBuf::from(path.value),
        keep,
    })
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer saturates, and a disk of 2^64 bytes is none"
)]
fn whole(bytes: f64) -> u64 {
    bytes as u64
}
