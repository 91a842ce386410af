//! The exposition reader from outside: the public conformance suites, what the columns promise from page to page, and
//! that a page read through the memory of the last ones is the page read fresh.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gated::engine::Columns;
use gated::model::{Labels, Slot, Timestamp, is_stale};
use gated::source::exposition::{Fate, Format, Limits, PageError, Reader, Stats};
use proptest::prelude::*;

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

const NO_LIMITS: Limits = Limits {
    samples: usize::MAX,
    labels: usize::MAX,
    label_name_bytes: usize::MAX,
    label_value_bytes: usize::MAX,
};

fn wanted(labels: Labels) -> Fate {
    Fate::Wanted(labels)
}

/// A reader and what the engine would know of its slots.
struct Target {
    reader: Reader,
    series: BTreeMap<Slot, Labels>,
}

impl Target {
    fn new() -> Self {
        Self::limited(NO_LIMITS)
    }

    fn limited(limits: Limits) -> Self {
        Self {
            reader: Reader::new(limits),
            series: BTreeMap::new(),
        }
    }

    fn read(&mut self, page: &str) -> Result<(Columns, Stats), PageError> {
        self.read_as(page.as_bytes(), Format::Text, false, &mut wanted)
    }

    fn read_as(
        &mut self,
        page: &[u8],
        format: Format,
        honor_timestamps: bool,
        fate: &mut dyn FnMut(Labels) -> Fate,
    ) -> Result<(Columns, Stats), PageError> {
        let read = self.reader.read(page, format, AT, honor_timestamps, fate);
        if let Ok((columns, _)) = &read {
            for slot in &columns.gone {
                assert!(self.series.remove(slot).is_some(), "{slot:?} was not born");
            }
            for (slot, labels) in &columns.born {
                let before = self.series.insert(*slot, labels.clone());
                assert_eq!(before, None, "{slot:?} born twice");
            }
            for (at, value) in (0..).zip(&columns.values) {
                let live = self.series.contains_key(&Slot(at));
                assert_eq!(is_stale(*value), !live, "slot {at} of {columns:?}");
            }
        }
        read
    }

    /// Series and bits of their values.
    fn values(&self, columns: &Columns) -> BTreeMap<Labels, u64> {
        let value = |slot: &Slot| columns.values[slot.0 as usize].to_bits();
        let series = self.series.iter();
        series
            .map(|(slot, labels)| (labels.clone(), value(slot)))
            .collect()
    }
}

fn read_once(page: &[u8], format: Format) -> Result<(Columns, Stats), PageError> {
    Target::new().read_as(page, format, false, &mut wanted)
}

fn cases(suite: &str) -> Vec<(String, PathBuf, serde_json::Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(suite);
    let mut cases: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| {
            let expected = fs::read(path.join("expected.json")).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, path, serde_json::from_slice(&expected).unwrap())
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    cases
}

fn format_of(expected: &serde_json::Value) -> Format {
    match expected["format"].as_str() {
        Some("text") => Format::Text,
        Some("openmetrics") => Format::OpenMetrics,
        other => panic!("format {other:?}"),
    }
}

/// Every case of a suite, read fresh and read again by the reader that has just read it.
fn run_suite(suite: &str, input: &str) -> usize {
    let mut faults = Vec::new();
    let cases = cases(suite);
    for (name, path, expected) in &cases {
        let page = fs::read(path.join(input)).unwrap();
        let format = format_of(expected);
        let mut target = Target::new();
        let first = target.read_as(&page, format, false, &mut wanted);
        let again = target.read_as(&page, format, false, &mut wanted);
        let outcome = if first.is_ok() { "ok" } else { "err" };
        if expected["outcome"] != outcome {
            faults.push(format!("{name}: {outcome}, expected {expected}: {first:?}"));
            continue;
        }
        assert_eq!(first.is_ok(), again.is_ok(), "{name} read again");
        let Ok((columns, _)) = first else { continue };
        let read = u64::from(columns.samples_scraped) - created(name, &page);
        if let Some(samples) = expected["samples"].as_u64()
            && samples != read
        {
            faults.push(format!("{name}: {read} samples, expected {samples}"));
        }
        for head in expected["series"].as_array().into_iter().flatten() {
            let line = format!("{} 1\n", head.as_str().unwrap());
            let (alone, _) = read_once(line.as_bytes(), Format::Text).expect(&line);
            let labels = &alone.born[0].1;
            if !target.series.values().any(|it| it == labels) {
                faults.push(format!("{name}: no series {labels}"));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {}:\n{}",
        faults.len(),
        cases.len(),
        faults.join("\n")
    );
    cases.len()
}

/// Upstream's parser hides `_created` lines from its callers as start times; here they are samples like others.
fn created(name: &str, page: &[u8]) -> u64 {
    if !name.starts_with("textparse_om_") {
        return 0;
    }
    let text = String::from_utf8_lossy(page);
    let heads = text.lines().filter(|line| !line.starts_with('#'));
    heads.filter(|line| line.contains("_created")).count() as u64
}

#[test]
fn conformance_openmetrics() {
    assert_eq!(run_suite("openmetrics", "metrics"), 85);
}

#[test]
fn conformance_exposition() {
    assert_eq!(run_suite("exposition", "input"), 70);
}
