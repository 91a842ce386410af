//! What the `# HELP` and `# TYPE` lines of a page say, read by `prometheus-parse`, for people: nothing is decided by it.
//! That crate is not trusted with samples (it drops labels and skips lines silently); in the tests of this file it is
//! the second opinion on pages that both can read. Deliberately absent: names in quotes or with a colon, which it
//! cannot read, and the types of `OpenMetrics` that it does not know, which are untyped here.

use std::collections::BTreeMap;

use prometheus_parse::{LineInfo, SampleType};

use super::Format;
use crate::model::{Metadata, MetricKind as Kind};

/// The metadata of a page in this format, sorted by name. Lines that say nothing of a metric are passed over: whether the page is
/// valid is the reader's to say.
#[must_use]
pub fn metadata(body: &str, format: Format) -> Vec<Metadata> {
    let mut families: BTreeMap<String, Metadata> = BTreeMap::new();
    let mut entry = |name: String, set: &dyn Fn(&mut Metadata)| {
        let family = families.entry(name.clone()).or_default();
        family.name = name;
        set(family);
    };
    for line in body.lines().filter(|line| line.starts_with('#')) {
        match LineInfo::parse(line) {
            LineInfo::Doc { metric_name, doc } => {
                entry(metric_name.to_owned(), &|family| {
                    family.help = unescaped(doc, format);
                });
            }
            LineInfo::Type {
                metric_name,
                metric_alias,
                sample_type,
            } => {
                let kind = match sample_type {
                    SampleType::Counter => Kind::Counter,
                    SampleType::Gauge => Kind::Gauge,
                    SampleType::Histogram => Kind::Histogram,
                    SampleType::Summary => Kind::Summary,
                    SampleType::Untyped => Kind::Untyped,
                };
                entry(metric_alias.unwrap_or(metric_name), &|family| {
                    family.kind = kind;
                });
            }
            LineInfo::Sample { .. } | LineInfo::Empty | LineInfo::Ignored => {}
        }
    }
    families.into_values().collect()
}

/// A help text with its escapes resolved: `\n` and `\\`, in `OpenMetrics` `\"` too. Any other backslash stands for itself.
fn unescaped(text: &str, format: Format) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let escaped = match rest.clone().next() {
            _ if c != '\\' => None,
            Some('n') => Some('\n'),
            Some('\\') => Some('\\'),
            Some('"') if format == Format::OpenMetrics => Some('"'),
            _ => None,
        };
        if escaped.is_some() {
            rest.next();
        }
        out.push(escaped.unwrap_or(c));
    }
    out
}

#[cfg(test)]
#[allow(
    clippy::format_push_string,
    clippy::default_trait_access,
    reason = "pages put together for reading; chrono's types are not ours to name"
)]
mod tests {
    use std::collections::BTreeMap;

    use prometheus_parse::{Scrape, Value};
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Labels, Timestamp};
    use crate::source::exposition::{Fate, Limits, Reader};

    #[test]
    fn names_kinds_and_helps() {
        let page = "# HELP h A histogram: 1 # 2\n# TYPE h histogram\nh_count 1\n# TYPE c counter\n# a comment\n\
                    # HELP only help\n# TYPE x stateset\n";
        let read: Vec<_> = metadata(page, Format::Text)
            .into_iter()
            .map(|family| (family.name, family.kind, family.help))
            .collect();
        let family = |name: &str, kind, help: &str| (name.to_owned(), kind, help.to_owned());
        assert_eq!(
            read,
            [
                family("c", Kind::Counter, ""),
                family("h", Kind::Histogram, "A histogram: 1 # 2"),
                family("only", Kind::Untyped, "help"),
                family("x", Kind::Untyped, ""),
            ]
        );
    }

    #[test]
    fn helps_are_unescaped_as_their_format_escapes() {
        let line = r#"# HELP x Requests \n in \\n and \"quotes\", \t \"#;
        let page = format!("{line}\n# TYPE x gauge\nx 1\n");
        for (format, help) in [
            (Format::Text, r#" in \n and \"quotes\", \t \"#),
            (Format::OpenMetrics, r#" in \n and "quotes", \t \"#),
        ] {
            assert_eq!(
                metadata(&page, format)[0].help,
                format!("Requests \n{help}")
            );
        }
    }

    /// Series by their text, as our reader sees the page.
    fn ours(page: &str) -> BTreeMap<String, u64> {
        let mut reader = Reader::new(Limits {
            samples: usize::MAX,
            labels: usize::MAX,
            label_name_bytes: usize::MAX,
            label_value_bytes: usize::MAX,
        });
        let at = Timestamp::EPOCH;
        let (columns, _) = reader
            .read(page.as_bytes(), Format::Text, at, false, &mut Fate::Wanted)
            .expect("generated pages are valid");
        let value = |slot: u32| columns.values[slot as usize].to_bits();
        columns
            .born
            .iter()
            .map(|(slot, labels)| (labels.to_string(), value(slot.0)))
            .collect()
    }

    /// The same, as `prometheus-parse` sees it: histograms and summaries taken apart again.
    fn theirs(page: &str) -> BTreeMap<String, u64> {
        let lines = page.lines().map(|line| Ok(line.to_owned()));
        let scrape = Scrape::parse_at(lines, Default::default()).expect("lines come from memory");
        let mut series = BTreeMap::new();
        for sample in scrape.samples {
            let mut put = |name: &str, extra: Option<(&str, String)>, value: f64| {
                let labels = sample.labels.iter().map(|(n, v)| (n.as_str(), v.clone()));
                let labels = labels.chain([("__name__", name.to_owned())]).chain(extra);
                series.insert(Labels::new(labels).to_string(), value.to_bits());
            };
            match sample.value {
                Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => {
                    put(&sample.metric, None, value);
                }
                Value::Histogram(buckets) => {
                    for bucket in buckets {
                        let name = format!("{}_bucket", sample.metric);
                        put(
                            &name,
                            Some(("le", bucket.less_than.to_string())),
                            bucket.count,
                        );
                    }
                }
                Value::Summary(quantiles) => {
                    for it in quantiles {
                        put(
                            &sample.metric,
                            Some(("quantile", it.quantile.to_string())),
                            it.count,
                        );
                    }
                }
            }
        }
        series
    }

    /// A family that both can read: no colons, no quotes or escapes, no `,` `=` `}` in values, no empty braces; bounds
    /// spelled as doubles print, histograms and summaries with a label beside theirs.
    fn family(n: usize) -> impl Strategy<Value = String> {
        let value = any::<f64>().prop_filter("NaN has many bits", |value| !value.is_nan());
        let label = ("[a-z]{1,5}", "[ -!#-+./-<>-|~é☃-]{1,12}");
        let rows = prop::collection::btree_map(label, value, 1..5);
        (0..5_u8, rows).prop_map(move |(kind, rows)| {
            let name = format!("m{n}");
            let kind = ["counter", "gauge", "untyped", "histogram", "summary"][kind as usize];
            let mut text = format!("# HELP {name} some help\n# TYPE {name} {kind}\n");
            for ((label, word), value) in rows {
                let word = word.replace('\\', "/");
                let pair = format!("k{label}=\"{word}\"");
                match kind {
                    "histogram" => {
                        let count = value.abs();
                        for le in ["0.5", "2", "inf"] {
                            text += &format!("{name}_bucket{{{pair},le=\"{le}\"}} {count}\n");
                        }
                        text += &format!(
                            "{name}_sum{{{pair}}} {value}\n{name}_count{{{pair}}} {count:e}\n"
                        );
                    }
                    "summary" => {
                        text += &format!("{name}{{{pair},quantile=\"0.9\"}} {value:e}\n");
                        text += &format!("{name}_count{{{pair}}}   {value}\n");
                    }
                    _ => text += &format!("{name}{{{pair}}} {value}\n"),
                }
            }
            text
        })
    }

    proptest! {
        #[test]
        fn the_second_opinion_agrees(
            a in family(0), b in family(1), c in family(2), bare in any::<i32>(),
        ) {
            let page = format!("{a}{b}\n# comment\n{c}bare {bare}\n");
            prop_assert_eq!(ours(&page), theirs(&page));
        }
    }
}
