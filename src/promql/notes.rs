//! What Prometheus says beside a result: something evaluates, and may not be meant.
//!
//! A node that may have something to say holds a [`Slate`]. It is wiped when a new evaluation writes on it first, and
//! keeps its memory, so that saying the same at every evaluation allocates nothing. Texts are made when they are asked for.

use super::node::{Kind, Node, Times};
use super::range::Source;
use super::scalar::Scalar;
use super::shown;

/// Most things that one node says of one evaluation.
const SAYINGS_MAX: usize = 16;

/// What Prometheus says beside a result: something parses, and may not be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// `PromQL warning`; else `PromQL info`.
    pub warns: bool,
    /// In Prometheus' words, with line and column.
    pub text: String,
}

/// Line and column, both from one.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// Of a byte in a text.
    pub fn of(text: &str, start: usize) -> Self {
        let before = &text[..start];
        Self {
            line: before.matches('\n').count() + 1,
            column: start - before.rfind('\n').map_or(0, |at| at + 1) + 1,
        }
    }
}

/// What a node finds while it is evaluated.
#[derive(Copy, Clone, Debug)]
pub(super) enum Saying {
    /// A quantile that is no share.
    Quantile(f64),
    /// A ratio beyond one.
    Ratio(f64),
    /// A rate of what is named like a gauge; the number of its name.
    Gauge(usize),
    /// Buckets without a bound that can be read; the number of their name and bound.
    Unbounded(usize),
    /// Buckets whose counts fell.
    Raised,
}

/// What one node has said of the evaluation that wrote on it last.
#[derive(Clone, Debug, Default)]
pub(super) struct Slate {
    /// Of the number that must be a share, and of the series.
    number: Place,
    series: Place,
    turn: u64,
    said: Vec<Saying>,
}

impl Slate {
    pub fn new(number: Place, series: Place) -> Self {
        Self {
            number,
            series,
            ..Self::default()
        }
    }

    pub fn say(&mut self, times: Times, saying: Saying) {
        if std::mem::replace(&mut self.turn, times.turn) != times.turn {
            self.said.clear();
        }
        let known = self.said.iter().any(|it| it.is(saying));
        if !known && self.said.len() < SAYINGS_MAX {
            self.said.push(saying);
        }
    }

    pub fn say_quantile(&mut self, times: Times, quantile: f64) {
        if !(0.0..=1.0).contains(&quantile) {
            self.say(times, Saying::Quantile(quantile));
        }
    }

    pub fn say_ratio(&mut self, times: Times, ratio: f64) {
        if ratio.abs() > 1.0 {
            self.say(times, Saying::Ratio(ratio));
        }
    }

    /// `gauges` and `unbounded` are what a saying's number counts.
    fn tell(
        &self,
        turn: u64,
        gauges: &[(String, Vec<u32>)],
        unbounded: &[(String, String)],
        told: &mut Vec<Note>,
    ) {
        if self.turn != turn {
            return;
        }
        for saying in &self.said {
            let note = match *saying {
                Saying::Quantile(quantile) => quantile_note(quantile, self.number),
                Saying::Ratio(ratio) => ratio_note(ratio, self.number),
                Saying::Gauge(name) => gauge_note(&gauges[name].0, self.series),
                Saying::Unbounded(name) => {
                    let (name, bound) = &unbounded[name];
                    let mut text = format!(
                        "bucket label \"le\" is missing or has a malformed value of {bound:?}"
                    );
                    if !name.is_empty() {
                        text = format!("{text} for metric name {name:?}");
                    }
                    note(true, &text, self.series)
                }
                Saying::Raised => note(false, RAISED, self.series),
            };
            if !told.contains(&note) {
                told.push(note);
            }
        }
    }
}

const RAISED: &str = "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";

impl Saying {
    fn is(self, other: Self) -> bool {
        match (self, other) {
            (Self::Quantile(a), Self::Quantile(b)) | (Self::Ratio(a), Self::Ratio(b)) => {
                a.to_bits() == b.to_bits()
            }
            (Self::Gauge(a), Self::Gauge(b)) | (Self::Unbounded(a), Self::Unbounded(b)) => a == b,
            (Self::Raised, Self::Raised) => true,
            _ => false,
        }
    }
}

fn note(warns: bool, text: &str, Place { line, column }: Place) -> Note {
    let grade = if warns { "warning" } else { "info" };
    Note {
        warns,
        text: format!("PromQL {grade}: {text} ({line}:{column})"),
    }
}

pub(super) fn quantile_note(quantile: f64, place: Place) -> Note {
    let quantile = shown(quantile);
    let text = format!("quantile value should be between 0 and 1, got {quantile}");
    note(true, &text, place)
}

pub(super) fn ratio_note(ratio: f64, place: Place) -> Note {
    let (shown, cap) = (shown(ratio), ratio.signum());
    let text = format!("ratio value should be between -1 and 1, got {shown}, capping to {cap}");
    note(true, &text, place)
}

/// Whether a metric is not named as counters are.
pub(super) fn is_gauge(name: &str) -> bool {
    let endings = ["_total", "_sum", "_count", "_bucket"];
    !name.is_empty() && !endings.iter().any(|ending| name.ends_with(ending))
}

pub(super) fn gauge_note(name: &str, place: Place) -> Note {
    let text = format!(
        "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}"
    );
    note(false, &text, place)
}

impl Node {
    /// What was said in this node and in those below it.
    pub fn tell(&self, turn: u64, told: &mut Vec<Note>) {
        match &self.kind {
            Kind::Newest(_) | Kind::Timestamp(_) => {}
            Kind::Range(over) => {
                over.slate.tell(turn, &over.gauges, &[], told);
                over.parameters.iter().for_each(|it| it.tell(turn, told));
                if let Source::Steps(subquery) = &over.source {
                    subquery.of.tell(turn, told);
                }
            }
            Kind::Map(map) => {
                map.of.tell(turn, told);
                map.parameters.iter().for_each(|it| it.tell(turn, told));
            }
            Kind::WithScalar(operation) => {
                operation.of.tell(turn, told);
                operation.scalar.tell(turn, told);
            }
            Kind::Pairing(pairing) => {
                pairing.sides().iter().for_each(|it| it.tell(turn, told));
            }
            Kind::Set(operation) => {
                operation.sides().iter().for_each(|it| it.tell(turn, told));
            }
            Kind::Aggregate(aggregate) => {
                aggregate.slate.tell(turn, &[], &[], told);
                let parameter = aggregate.parameter.iter();
                parameter.for_each(|it| it.tell(turn, told));
                aggregate.of.tell(turn, told);
            }
            Kind::Buckets(buckets) => {
                buckets.slate.tell(turn, &[], &buckets.unbounded, told);
                buckets.scalars(&mut |it| it.tell(turn, told));
                buckets.of.tell(turn, told);
            }
            Kind::CountValues(counted) => counted.of.tell(turn, told),
            Kind::Info(info) => info.of.tell(turn, told),
            Kind::Relabel(relabel) => relabel.of.tell(turn, told),
            Kind::Vector(scalar) => scalar.tell(turn, told),
            Kind::Absent { of, .. } | Kind::Sort { of, .. } | Kind::SortByLabel { of, .. } => {
                of.tell(turn, told);
            }
        }
    }
}

impl Scalar {
    /// What was said in the vectors within.
    pub fn tell(&self, turn: u64, told: &mut Vec<Note>) {
        match self {
            Self::Number(_) | Self::Time | Self::Query(_) => {}
            Self::Of(vector) => vector.tell(turn, told),
            Self::Negate(inner) => inner.tell(turn, told),
            Self::Binary(_, sides) | Self::Extreme { sides, .. } => {
                sides.0.tell(turn, told);
                sides.1.tell(turn, told);
            }
        }
    }
}
