//! The exposition reader from outside: the public conformance suites, what the columns promise from page to page, and
//! that a page read through the memory of the last ones is the page read fresh.

#![allow(
    clippy::unwrap_used,
    clippy::format_push_string,
    clippy::format_collect,
    clippy::doc_markdown,
    reason = "a test's helpers may panic; pages are put together for reading"
)]

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

/// Lines on which the public parsers disagree, whom gated follows, and why.
///
/// The rule: what Prometheus itself scrapes is read (`textparse`), unless a broken exporter is likelier behind it than
/// a sloppy one, or the reference suite of the format refuses it: then the page is refused (`expfmt` for text, the
/// reference parser of OpenMetrics).
const DISPUTED: &[(Format, &str, bool, &str)] = &[
    (
        Format::Text,
        "a 1",
        true,
        "textparse: no newline at the end; the transport tells a cut body",
    ),
    (
        Format::Text,
        "a{b=\"1\" c=\"2\"} 1\n",
        true,
        "textparse: a comma left out is unambiguous",
    ),
    (
        Format::Text,
        "# TYPE a gauge_histogram\na_count 1\n",
        true,
        "expfmt: a kind more harms nobody",
    ),
    (
        Format::Text,
        "a 1\n# TYPE b COUNTER\n",
        false,
        "textparse: the format writes kinds in lower case",
    ),
    (
        Format::Text,
        "# TYPE a\n",
        false,
        "textparse: TYPE without a type",
    ),
    (
        Format::Text,
        "a{b=\"1\n2\"} 1\n",
        false,
        "expfmt: a raw newline ends the line, always",
    ),
    (
        Format::Text,
        "a{b=\"\\t\"} 1\n",
        false,
        "expfmt: an unknown escape hides what was meant",
    ),
    (
        Format::Text,
        "a{__name__=\"b\"} 1\n",
        false,
        "expfmt: two names for one series",
    ),
    (
        Format::Text,
        "# TYPE a gauge\n# TYPE a gauge\n",
        false,
        "expfmt: two exporters on one page",
    ),
    (
        Format::Text,
        "a 1\n# TYPE a gauge\n",
        false,
        "expfmt: what was read before it is in doubt",
    ),
    (
        Format::Text,
        "# HELP a b\n# HELP a c\n",
        false,
        "expfmt: two exporters on one page",
    ),
    (
        Format::Text,
        "# TYPE a histogram\na_bucket{le=\"x\"} 1\n",
        false,
        "expfmt: no bound",
    ),
    (
        Format::Text,
        "# TYPE a summary\na{quantile=\"x\"} 1\n",
        false,
        "expfmt: no quantile",
    ),
    (
        Format::Text,
        "# TYPE a histogram\na_count -1\n",
        false,
        "expfmt: a count below zero",
    ),
    (
        Format::OpenMetrics,
        "a 1 # {b=\"c\"} 1\n# EOF\n",
        true,
        "textparse: nothing says that a is no counter",
    ),
    (
        Format::OpenMetrics,
        "# TYPE a summary\na_sum 1\nb 1\na_count 1\n# EOF\n",
        true,
        "textparse: a sample more, of a family that is declared",
    ),
    (
        Format::OpenMetrics,
        "a 1e400\n# EOF\n",
        false,
        "textparse: the reference reads infinity",
    ),
    (
        Format::OpenMetrics,
        "a{b=\"1\",} 1\n# EOF\n",
        false,
        "reference suite: comma before the brace",
    ),
    (
        Format::OpenMetrics,
        "a{b=\"1\"} 1\nc 1\na 1\n# EOF\n",
        false,
        "reference suite: family in pieces",
    ),
    (
        Format::OpenMetrics,
        "# TYPE a info\na 1\n# EOF\n",
        false,
        "reference suite: a_info is the sample",
    ),
    (
        Format::OpenMetrics,
        "# TYPE a gauge\n# TYPE a gauge\n# EOF\n",
        false,
        "reference suite: TYPE twice",
    ),
    (
        Format::OpenMetrics,
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 1\n# EOF\n",
        false,
        "reference suite: count without sum",
    ),
];

#[test]
fn where_parsers_disagree() {
    for (format, page, ok, why) in DISPUTED {
        let read = read_once(page.as_bytes(), *format);
        assert_eq!(read.is_ok(), *ok, "{page:?} ({why}): {read:?}");
    }
}

#[test]
fn hostile_bytes_are_refused_and_named() {
    for page in [
        &b"\xef\xbb\xbfa 1\n"[..],
        b"a\r\n",
        b"a 1\r\n",
        b"a 1\rb 2\n",
        b"\0",
        b"a\0 1\n",
        b"a{b=\"\xff\"} 1\n",
        b"a 1\n# \xff\n",
        b"<!DOCTYPE html>\n<html><body>502</body></html>\n",
        b"a{",
        b"a{\"",
        b"a{b=\"\\",
        b"{} 1\n",
        b"{\"\"} 1\n",
        b"{\"a\",\"b\"} 1\n",
        b"a{b=\"1\",b=\"2\"} 1\n",
        b"a +nan\n",
        b"a 1 9223372036854775808\n",
    ] {
        let error = read_once(page, Format::Text).expect_err(&page.escape_ascii().to_string());
        assert!(matches!(error, PageError::Malformed { .. }), "{error}");
        assert!(!error.to_string().contains(char::is_control), "{error:?}");
    }
    let long = format!("a{{b=\"{}\"}} 1\n", "x".repeat(1 << 20));
    assert_eq!(
        read_once(long.as_bytes(), Format::Text)
            .unwrap()
            .0
            .samples_scraped,
        1
    );
}

#[test]
fn one_bad_line_among_a_thousand_refuses_the_page() {
    let mut page: String = (0..1000).map(|n| format!("a{{n=\"{n}\"}} {n}\n")).collect();
    page.insert_str(
        page.find("a{n=\"500\"}").unwrap(),
        &format!("a\u{7}{} \n", "é".repeat(100)),
    );
    let error = read_once(page.as_bytes(), Format::Text).unwrap_err();
    let PageError::Malformed { line, excerpt, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*line, 501);
    assert!(
        excerpt.len() <= 80 && excerpt.starts_with(r"a\u{7}é"),
        "{excerpt}"
    );
}

#[test]
fn empty_page_is_a_page_without_series() {
    let mut target = Target::new();
    target.read("a 1\n").unwrap();
    let (columns, _) = target.read("").unwrap();
    assert_eq!((columns.gone, columns.samples_scraped), (vec![Slot(0)], 0));
    assert!(read_once(b"", Format::OpenMetrics).is_err());
}

#[test]
fn values_as_prometheus_reads_them() {
    let mut target = Target::new();
    let page = "a NaN\nb +Inf\nc -Inf\nd 1e308\ne 0x1\n";
    assert!(target.read(page).is_err());
    let (columns, _) = target.read(&page.replace("0x1", "-0")).unwrap();
    assert!(columns.values[0].is_nan() && !is_stale(columns.values[0]));
    assert_eq!(
        columns.values[1..4],
        [f64::INFINITY, f64::NEG_INFINITY, 1e308]
    );
    assert_eq!(columns.values[4].to_bits(), (-0.0_f64).to_bits());
    // Go's ParseFloat answers "out of range" and Prometheus refuses the page; it does not store infinity.
    assert!(target.read("a 1e400\n").is_err());
}

#[test]
fn slots_are_dense_reused_lowest_first_and_survive_a_failed_read() {
    let mut target = Target::new();
    let (columns, _) = target.read("a 1\nb 2\nc 3\n").unwrap();
    assert_eq!(
        columns
            .born
            .iter()
            .map(|(slot, _)| slot.0)
            .collect::<Vec<_>>(),
        [0, 1, 2]
    );
    let (columns, _) = target.read("a 1\nc 3\n").unwrap();
    assert_eq!((columns.gone, columns.born.len()), (vec![Slot(1)], 0));
    // A slot that goes with this page is free from the next one on.
    let (columns, _) = target.read("d 4\nc 3\ne 5\n").unwrap();
    assert_eq!(columns.gone, [Slot(0)]);
    assert_eq!(
        columns
            .born
            .iter()
            .map(|(slot, _)| slot.0)
            .collect::<Vec<_>>(),
        [1, 3]
    );
    assert!(target.read("x 1\ny 1\nbroken\n").is_err());
    let (columns, _) = target.read("d 4\nc 3\ne 6\n").unwrap();
    assert_eq!((columns.gone.len(), columns.born.len()), (0, 0));
    assert_eq!(columns.values[1..], [4.0, 3.0, 6.0]);
    let (columns, _) = target.read("f 1\nd 4\nc 3\ne 6\n").unwrap();
    assert_eq!(columns.born[0].0, Slot(0));
}

#[test]
fn fate_is_asked_once_per_series() {
    let mut reader = Reader::new(NO_LIMITS);
    let mut asked = Vec::new();
    let mut fate = |labels: Labels| {
        asked.push(labels.to_string());
        match labels.name() {
            "u" => Fate::Unwanted,
            "d" => Fate::Dropped,
            _ => Fate::Wanted(labels.with("job", "api")),
        }
    };
    let mut read = |reader: &mut Reader, page: &str| {
        reader
            .read(page.as_bytes(), Format::Text, AT, false, &mut fate)
            .unwrap()
            .0
    };
    let first = read(&mut reader, "a 1\nu 2\nd 3\n");
    assert_eq!((first.samples_scraped, first.samples_kept), (3, 2));
    assert_eq!(first.born[0].1.to_string(), "a{job=\"api\"}");
    for page in ["a 1\nu 2\nd 3\n", "d 3\nu 2\na 1\n", "b 1\na 1\nu 2\nd 3\n"] {
        assert_eq!(
            read(&mut reader, page).values[0].to_bits(),
            1.0_f64.to_bits()
        );
    }
    reader.forget();
    let again = read(&mut reader, "a 4\nu 2\nd 3\n");
    // Asked again; wanted as before, so its slot goes on. What is no longer there is gone.
    assert_eq!(
        (again.born.len(), &again.gone[..], again.values[0]),
        (0, &[Slot(1)][..], 4.0)
    );
    assert_eq!(asked, ["a", "u", "d", "b", "a", "u", "d"]);
}

#[test]
fn of_a_repeated_series_the_first_counts() {
    let mut target = Target::new();
    let page = "a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\na{x=\"1\",y=\"2\"} 3\nu 1\nu 2\n";
    for page in [page, page] {
        let (columns, stats) = target.read(page).unwrap();
        assert_eq!(
            (&columns.values[..], stats.duplicates),
            (&[1.0, 1.0][..], 3)
        );
    }
    // The first goes, the second spelling takes over its slot.
    let (columns, stats) = target.read("a{y=\"2\",x=\"1\"} 2\nu 1\n").unwrap();
    assert_eq!(
        (&columns.values[..], stats.duplicates),
        (&[2.0, 1.0][..], 0)
    );
    assert!(columns.born.is_empty() && columns.gone.is_empty());
}

#[test]
fn timestamps_count_only_where_honoured_and_near() {
    let at = AT.millis();
    let page = |a: i64, b: i64| format!("a 1 {a}\nb 2 {b}\nc 3\n");
    let mut target = Target::new();
    let mut read = |page: &str, honor| {
        target
            .read_as(page.as_bytes(), Format::Text, honor, &mut wanted)
            .unwrap()
    };
    let (columns, stats) = read(&page(at + 600_001, at - 300_001), false);
    assert_eq!(
        (
            columns.born.len(),
            columns.stamped.len(),
            stats.out_of_bounds
        ),
        (3, 0, 0)
    );
    for _ in 0..2 {
        let (columns, stats) = read(&page(at + 600_000, at - 300_000), true);
        let stamps: Vec<_> = columns.stamped.iter().map(|(_, at)| at.millis()).collect();
        assert_eq!(
            (stamps, stats.out_of_bounds),
            (vec![at + 600_000, at - 300_000], 0)
        );
    }
    let (columns, stats) = read(&page(at + 600_001, at - 300_001), true);
    assert_eq!(
        (
            columns.gone.len(),
            stats.out_of_bounds,
            columns.samples_scraped
        ),
        (2, 2, 3)
    );
    let (columns, stats) = read(&page(at + 600_001, at - 300_001), true);
    assert_eq!((columns.gone.len(), stats.out_of_bounds), (0, 2));
    let (columns, _) = read(&page(at, at), true);
    assert_eq!((columns.born.len(), columns.stamped.len()), (2, 2));

    let seconds = format!("a 1 {}.25\n# EOF\n", at / 1000);
    let read = Target::new().read_as(seconds.as_bytes(), Format::OpenMetrics, true, &mut wanted);
    assert_eq!(read.unwrap().0.stamped[0].1.millis(), at + 250);
}

#[test]
fn limits_refuse_the_page() {
    let limits = Limits {
        samples: 2,
        labels: 2,
        label_name_bytes: 3,
        label_value_bytes: 4,
    };
    let read = |page: &str| {
        Target::limited(limits)
            .read(page)
            .map(|(columns, _)| columns)
    };
    assert!(read("abcd 1\nb{abc=\"1234\",d=\"\"} 1\n").is_ok());
    assert_eq!(read("a 1\nb 1\nc 1\n"), Err(PageError::SampleLimit(2)));
    for (page, text) in [
        (
            "a{b=\"\",c=\"\",d=\"\"} 1\n",
            "line 1: 3 labels: a{b=\"\",c=\"\",d=\"\"} 1",
        ),
        (
            "a 1\na{abcd=\"\"} 1\n",
            "line 2: label name of 4 bytes: a{abcd=\"\"} 1",
        ),
        (
            "a{b=\"12345\"} 1\n",
            "line 1: label value of 5 bytes: a{b=\"12345\"} 1",
        ),
        ("abcde 1\n", "line 1: metric name of 5 bytes: abcde 1"),
    ] {
        assert_eq!(read(page).unwrap_err().to_string(), text);
    }
    // Dropped samples do not count against the limit.
    let mut drop = |_| Fate::Dropped;
    let read = Reader::new(limits).read(b"a 1\nb 1\nc 1\n", Format::Text, AT, false, &mut drop);
    assert_eq!(read.unwrap().0.samples_kept, 0);
}

#[test]
fn a_page_like_the_last_one_allocates_its_values_and_nothing_else() {
    let metrics = |value: u32| {
        let mut page = "# HELP h A histogram.\n# TYPE h histogram\n".to_owned();
        for path in 0..100 {
            for le in ["0.1", "1", "+Inf"] {
                page += &format!("h_bucket{{path=\"/api/{path}\",le=\"{le}\"}} {value}\n");
            }
            page += &format!("h_sum{{path=\"/api/{path}\"}} {value}.25\n");
            page += &format!("h_count{{path=\"/api/{path}\"}} {value}\n");
        }
        page + "g -1.5e-07\n"
    };
    for format in [Format::Text, Format::OpenMetrics] {
        let page = |value| match format {
            Format::Text => metrics(value),
            Format::OpenMetrics => metrics(value) + "# EOF\n",
        };
        let mut reader = Reader::new(NO_LIMITS);
        let mut read = |page: &str| reader.read(page.as_bytes(), format, AT, true, &mut wanted);
        let (first, _) = read(&page(1)).unwrap();
        assert_eq!(first.born.len(), 501);
        let next = page(4_000_000);
        let counted = allocation_counter::measure(|| {
            let (columns, _) = read(&next).unwrap();
            assert_eq!(columns.values[0].to_bits(), 4e6_f64.to_bits());
        });
        assert_eq!(counted.count_total, 1, "{format:?}");
    }
}

/// Lines from which text pages are put together: spellings of a few series, metadata, now and then a bad one.
fn text_line() -> impl Strategy<Value = String> {
    let at = AT.millis();
    let head = prop::sample::select(vec![
        "a",
        "b",
        "a{x=\"1\"}",
        "a{x=\"1\",y=\"2\"}",
        "a{y=\"2\",x=\"1\"}",
        "a{x=\"1\",y=\"2\",z=\"\"}",
        "{\"a\",x=\"1\"}",
        "  a",
        "a {x=\"1\"}",
        "a.b{}",
        "u",
        "u{x=\"1\"}",
        "d",
        "h_bucket{le=\"1\"}",
        "h_bucket{le=\"x\"}",
        "h_count",
        "s{quantile=\"0.5\"}",
        "s{quantile=\"x\"}",
    ]);
    let value = prop::sample::select(vec!["0", "1", "2.5", "-1", "NaN", "1e3", "1 "]);
    let stamp = prop::sample::select(vec![0, 1_000, -400_000, 700_000]);
    let sample = (head, value, prop::option::weighted(0.2, stamp)).prop_map(move |(h, v, t)| {
        let stamp = t.map_or(String::new(), |t: i64| format!(" {}", at + t));
        format!("{} {v}{stamp}\n", h.replace("a.b", "ab"))
    });
    let meta = prop::sample::select(vec![
        "# TYPE h histogram\n",
        "# TYPE h gauge\n",
        "# TYPE s summary\n",
        "# HELP h one\n",
        "# comment\n",
        "\n",
    ]);
    let bad = prop::sample::select(vec!["a{\n", "a\n", "a b\n"]);
    prop_oneof![40 => sample, 4 => meta.prop_map(str::to_owned), 1 => bad.prop_map(str::to_owned)]
}

/// One family of an OpenMetrics page, mostly valid, by what is drawn for it.
fn family(kind: u32, n: u32, stamp: bool) -> String {
    let stamp = if stamp { " 1700000000" } else { "" };
    let late = if n == 3 { "-1" } else { "2" };
    match kind {
        0 => format!("# TYPE g gauge\ng{{x=\"1\"}} {late}\ng{{x=\"2\"}} {n}{stamp}\n"),
        1 => format!(
            "# TYPE c counter\nc_total{{x=\"1\"}} {late} # {{t=\"1\"}} {n}\nc_created{{x=\"1\"}} {n}\n"
        ),
        2 => format!(
            "# HELP h {n}\n# TYPE h histogram\nh_bucket{{le=\"1\"}} {n}{stamp}\nh_bucket{{le=\"+Inf\"}} 2{stamp}\nh_count 2{stamp}\nh_sum 1{stamp}\n"
        ),
        3 => format!("# TYPE i info\ni_info{{v=\"{n}\"}} 1\n"),
        4 => format!("# TYPE q summary\nq{{quantile=\"0.5\"}} {late}\nq_sum {n}\nq_count {n}\n"),
        5 => format!("u {n}\n"),
        _ => format!(
            "# TYPE z stateset\nz{{z=\"a\"}} {}\nz{{z=\"b\"}} 1\n",
            n.min(2)
        ),
    }
}

fn fate_by_name(labels: Labels) -> Fate {
    match labels.name() {
        "u" => Fate::Unwanted,
        "d" => Fate::Dropped,
        _ => Fate::Wanted(labels),
    }
}

/// Reads the pages through one reader and each through a fresh one; all but the slots must be the same.
fn same_as_fresh(pages: &[String], format: Format, honor: bool) -> Result<(), TestCaseError> {
    let mut target = Target::new();
    for page in pages {
        let mut fresh = Target::new();
        let read = target.read_as(page.as_bytes(), format, honor, &mut fate_by_name);
        let anew = fresh.read_as(page.as_bytes(), format, honor, &mut fate_by_name);
        match (read, anew) {
            (Ok((read, stats)), Ok((anew, expected))) => {
                prop_assert_eq!(stats, expected);
                prop_assert_eq!(target.values(&read), fresh.values(&anew));
                prop_assert_eq!(read.samples_scraped, anew.samples_scraped);
                prop_assert_eq!(read.samples_kept, anew.samples_kept);
                let stamps = |target: &Target, columns: &Columns| -> BTreeMap<Labels, i64> {
                    let stamped = columns.stamped.iter();
                    stamped
                        .map(|(slot, at)| (target.series[slot].clone(), at.millis()))
                        .collect()
                };
                prop_assert_eq!(stamps(&target, &read), stamps(&fresh, &anew));
            }
            (read, anew) => prop_assert_eq!(read.err(), anew.err()),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn remembered_text_reads_as_fresh(
        first in prop::collection::vec(text_line(), 0..12),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, text_line()), 0..12),
        honor in any::<bool>(),
    ) {
        let mut lines = first;
        let mut pages = vec![lines.concat()];
        for (at, what, line) in edits {
            let at = at.index(lines.len() + 1);
            match what {
                0 => lines.insert(at, line),
                1 if at < lines.len() => { lines.remove(at); }
                2 if at < lines.len() => lines[at] = line,
                3 if at < lines.len() => lines.swap(0, at),
                _ => {}
            }
            pages.push(lines.concat());
        }
        same_as_fresh(&pages, Format::Text, honor)?;
    }

    #[test]
    fn remembered_openmetrics_reads_as_fresh(
        pages in prop::collection::vec(
            prop::collection::vec((0..7_u32, 0..4_u32, prop::bool::weighted(0.1)), 0..5),
            1..8,
        ),
        honor in any::<bool>(),
        sorted in prop::bool::weighted(0.8),
    ) {
        let page = |mut families: Vec<(u32, u32, bool)>| {
            if sorted {
                families.sort_unstable();
                families.dedup_by_key(|family| family.0);
            }
            let text: String = families.into_iter().map(|(k, n, t)| family(k, n, t)).collect();
            text + "# EOF\n"
        };
        let pages: Vec<String> = pages.into_iter().map(page).collect();
        same_as_fresh(&pages, Format::OpenMetrics, honor)?;
    }

    #[test]
    fn no_bytes_make_it_panic(
        pages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..4),
        text in "[a-c{}=\",\\\\# 0-9eE.+\\-\n\t_NaInfTYPEHL]{0,80}",
    ) {
        let mut target = Target::new();
        for format in [Format::Text, Format::OpenMetrics] {
            for page in pages.iter().map(Vec::as_slice).chain([text.as_bytes()]) {
                let _ = target.read_as(page, format, true, &mut wanted);
            }
        }
    }
}

/// What the fuzz target does with each file of its corpus, in the tests that everybody runs.
#[test]
fn fuzz_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/exposition");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for format in [Format::Text, Format::OpenMetrics] {
            let mut target = Target::new();
            for page in bytes.splitn(2, |byte| *byte == 0x1e) {
                let mut fresh = Target::new();
                let read = target.read_as(page, format, true, &mut wanted);
                let anew = fresh.read_as(page, format, true, &mut wanted);
                match (read, anew) {
                    (Ok((read, _)), Ok((anew, _))) => {
                        assert_eq!(target.values(&read), fresh.values(&anew));
                    }
                    (read, anew) => assert_eq!(read.err(), anew.err()),
                }
            }
        }
        files += 1;
    }
    assert!(files >= 6, "{files} files");
}
