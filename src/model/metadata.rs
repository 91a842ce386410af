//! What a page says of a metric beside its samples. Deliberately absent: units, and types of `OpenMetrics` alone.

/// The kind of a metric, in the text format's words.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum MetricKind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    #[default]
    Untyped,
}

impl MetricKind {
    /// As Prometheus' API writes it: `untyped` is `unknown` there.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "unknown",
        }
    }
}

/// What the `# TYPE` and `# HELP` lines of a page say of one metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The family's name: a histogram's without `_bucket`.
    pub name: String,
    pub kind: MetricKind,
    /// Its escapes resolved; empty where there is none.
    pub help: String,
}
