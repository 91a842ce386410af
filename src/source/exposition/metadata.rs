//! What the `# HELP` and `# TYPE` lines of a page say, read by `prometheus-parse`, for people: nothing is decided by it.
//! That crate is not trusted with samples (it drops labels and skips lines silently); in the tests of this file it is
//! the second opinion on pages that both can read. Deliberately absent: names in quotes or with a colon, which it
//! cannot read, and the types of OpenMetrics that it does not know, which are untyped here.

use std::collections::BTreeMap;

use prometheus_parse::{LineInfo, SampleType};

/// The kind of a metric, in the text format's words.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    #[default]
    Untyped,
}

/// What a page says of one metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The family's name: a histogram's without `_bucket`.
    pub name: String,
    pub kind: Kind,
    /// As written; empty where there is none.
    pub help: String,
}

/// The metadata of a page, sorted by name. Lines that say nothing of a metric are passed over: whether the page is
/// valid is the reader's to say.
#[must_use]
pub fn metadata(body: &str) -> Vec<Metadata> {
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
                    doc.clone_into(&mut family.help)
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
                    family.kind = kind
                });
            }
            LineInfo::Sample { .. } | LineInfo::Empty | LineInfo::Ignored => {}
        }
    }
    families.into_values().collect()
}
