//! The tree that an expression is parsed into and a plan carries out: what a vector is made of.
//!
//! A node is unbound when parsed. Binding gives it its series or indexes and its layout, and sizes its buffers.

use crate::model::{Labels, STALE, TargetId, is_stale};
use crate::store::{SeriesAt, Window};

use super::aggregate::Aggregate;
use super::binary::{Pairing, SetOperation, WithScalar};
use super::dynamic::{CountValues, Info};
use super::functions::{Buckets, Map, Relabel};
use super::layout::{Layout, Twins};
use super::plan::EvalError;
use super::range::OverRange;
use super::scalar::Scalar;
use super::select::Selector;
use super::stop::Stop;

/// An instant vector in the making: how it is computed and, by element, its value or STALE where it is absent.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub kind: Kind,
    pub out: Vec<f64>,
    /// Elements in the order of the result, where the kind has one.
    pub order: Option<Vec<u32>>,
    twins: Twins,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Newest(Selector),
    /// `timestamp()` of a selector: when each newest sample was taken.
    Timestamp(Selector),
    Range(Box<OverRange>),
    Map(Box<Map>),
    WithScalar(Box<WithScalar>),
    Pairing(Box<Pairing>),
    Set(Box<SetOperation>),
    Aggregate(Box<Aggregate>),
    Buckets(Box<Buckets>),
    CountValues(Box<CountValues>),
    Info(Box<Info>),
    Relabel(Box<Relabel>),
    Absent {
        of: Box<Node>,
        labels: Labels,
    },
    Vector(Scalar),
    Sort {
        of: Box<Node>,
        descending: bool,
    },
    /// `sort_by_label`: the order is known once the labels are.
    SortByLabel {
        of: Box<Node>,
        by: Vec<String>,
        descending: bool,
        sorted: Vec<u32>,
    },
}

/// When a plan is evaluated, in milliseconds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub at: i64,
    /// Of the whole query: `@ start()` and `@ end()`. For an instant one both are its moment.
    pub start: i64,
    pub end: i64,
    /// Of a range query, and of a subquery that gives none.
    pub step: i64,
    /// Which of the plan's evaluations this is; zero for none.
    pub turn: u64,
}

/// When, over what, and with which reusable memory a plan is evaluated.
pub(super) struct Moment<'a> {
    pub window: &'a Window,
    pub times: Times,
    /// One series' samples in a range.
    pub samples: &'a mut Vec<(i64, f64)>,
    pub stop: &'a Stop,
}

impl Moment<'_> {
    #[allow(
        clippy::cast_precision_loss,
        reason = "milliseconds stay below 2^53 for 285 000 years"
    )]
    pub fn seconds(&self) -> f64 {
        self.times.at as f64 / 1000.0
    }
}

/// The moment that a selector or a subquery counts from, before its offset.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Pin {
    Now,
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
    /// `@ 1700000000`, in milliseconds.
    At(i64),
}

impl Pin {
    pub fn of(self, times: Times) -> i64 {
        match self {
            Self::Now => times.at,
            Self::Start => times.start,
            Self::End => times.end,
            Self::At(at) => at,
        }
    }
}

/// What binding learns beside the layouts.
pub(super) struct Binding<'a> {
    pub window: &'a Window,
    /// For what is evaluated while binding, because its labels come from values.
    pub times: Times,
    pub stop: &'a Stop,
    pub targets: Vec<TargetId>,
    pub matched: Vec<SeriesAt>,
}

impl Node {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            out: Vec::new(),
            order: None,
            twins: Twins::default(),
        }
    }

    /// Present elements with their numbers.
    pub fn present(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let values = self.out.iter().copied().enumerate();
        values.filter(|(_, value)| !is_stale(*value))
    }

    pub fn bind(&mut self, binding: &mut Binding<'_>) -> Result<Layout, EvalError> {
        self.twins = Twins::default();
        let layout = match &mut self.kind {
            Kind::Newest(selector) => selector.bind(binding),
            Kind::Timestamp(selector) => {
                let mut layout = selector.bind(binding);
                self.twins = layout.unnamed();
                layout
            }
            Kind::Range(over) => {
                let mut layout = over.bind(binding)?;
                if !over.function.keeps_name {
                    self.twins = layout.unnamed();
                }
                layout
            }
            Kind::Map(map) => {
                let mut layout = map.bind(binding)?;
                self.twins = layout.unnamed();
                layout
            }
            Kind::WithScalar(operation) => {
                let mut layout = operation.bind(binding)?;
                if !operation.filters() {
                    self.twins = layout.unnamed();
                }
                layout
            }
            Kind::Pairing(pairing) => {
                let layout = pairing.bind(binding)?;
                self.twins = Twins::of((0..layout.len()).map(|i| layout.labels(i)));
                layout
            }
            Kind::Set(operation) => operation.bind(binding)?,
            Kind::Aggregate(aggregate) => aggregate.bind(binding, &mut self.order)?,
            Kind::Buckets(buckets) => {
                let mut layout = buckets.bind(binding)?;
                self.twins = layout.unnamed();
                layout
            }
            Kind::CountValues(counted) => counted.bind(binding)?,
            Kind::Info(info) => info.bind(binding)?,
            Kind::Relabel(relabel) => {
                let layout = relabel.bind(binding)?;
                self.twins = Twins::of((0..layout.len()).map(|i| layout.labels(i)));
                layout
            }
            Kind::Absent { of, labels } => {
                of.bind(binding)?;
                Layout::new(vec![labels.clone()], true)
            }
            Kind::Vector(scalar) => {
                bind_scalar(scalar, binding)?;
                Layout::new(vec![Labels::empty()], true)
            }
            Kind::Sort { of, .. } => {
                let layout = of.bind(binding)?;
                self.order = Some(Vec::with_capacity(layout.len()));
                layout
            }
            Kind::SortByLabel {
                of,
                by,
                descending,
                sorted,
            } => {
                let layout = of.bind(binding)?;
                self.order = Some(Vec::with_capacity(layout.len()));
                *sorted = sorted_by_label(&layout, by, *descending);
                layout
            }
        };
        self.out.clear();
        self.out.resize(layout.len(), STALE);
        self.out.shrink_to_fit();
        Ok(layout)
    }

    pub fn eval(&mut self, moment: &mut Moment<'_>) -> Result<(), EvalError> {
        if moment.stop.asked() {
            return Err(EvalError("nobody waits for the answer".into()));
        }
        let out = &mut self.out[..];
        match &mut self.kind {
            Kind::Newest(selector) => selector.newest(moment, out),
            Kind::Timestamp(selector) => selector.timestamps(moment, out),
            Kind::Range(over) => over.eval(moment, out)?,
            Kind::Map(map) => map.eval(moment, out)?,
            Kind::WithScalar(operation) => operation.eval(moment, out)?,
            Kind::Pairing(pairing) => pairing.eval(moment, out)?,
            Kind::Set(operation) => operation.eval(moment, out)?,
            Kind::Aggregate(aggregate) => aggregate.eval(moment, out, self.order.as_mut())?,
            Kind::Buckets(buckets) => buckets.eval(moment, out)?,
            Kind::CountValues(counted) => out.copy_from_slice(&counted.counts),
            Kind::Info(info) => out.copy_from_slice(&info.values),
            Kind::Relabel(relabel) => {
                relabel.of.eval(moment)?;
                out.copy_from_slice(&relabel.of.out);
            }
            Kind::Absent { of, .. } => {
                of.eval(moment)?;
                out[0] = if of.present().next().is_none() {
                    1.0
                } else {
                    STALE
                };
            }
            Kind::Vector(scalar) => out[0] = scalar.eval(moment)?,
            Kind::Sort { of, descending } => {
                of.eval(moment)?;
                out.copy_from_slice(&of.out);
                if let Some(order) = &mut self.order {
                    sort(order, out, *descending);
                }
            }
            Kind::SortByLabel { of, sorted, .. } => {
                of.eval(moment)?;
                out.copy_from_slice(&of.out);
                if let Some(order) = &mut self.order {
                    order.clear();
                    let present = sorted.iter().filter(|i| !is_stale(out[**i as usize]));
                    order.extend(present);
                }
            }
        }
        self.twins.check(&self.out)
    }
}

/// Numbers of the present elements by value, NaN last either way, equal ones as they stood.
fn sort(order: &mut Vec<u32>, values: &[f64], descending: bool) {
    order.clear();
    let numbered = (0u32..).zip(values);
    order.extend(numbered.filter(|(_, v)| !is_stale(**v)).map(|(i, _)| i));
    order.sort_unstable_by(|a, b| {
        let (x, y) = (values[*a as usize], values[*b as usize]);
        let by_value = if descending {
            y.partial_cmp(&x)
        } else {
            x.partial_cmp(&y)
        };
        let by_value = by_value.unwrap_or_else(|| x.is_nan().cmp(&y.is_nan()));
        by_value.then(a.cmp(b))
    });
}

/// Elements by the values of labels in the order of the natural numbers in them, then by all their labels.
fn sorted_by_label(layout: &Layout, by: &[String], descending: bool) -> Vec<u32> {
    let mut sorted: Vec<u32> = (0..).take(layout.len()).collect();
    sorted.sort_by(|a, b| {
        let (a, b) = (*a as usize, *b as usize);
        let differ = by
            .iter()
            .map(|label| natural(layout.get(a, label), layout.get(b, label)))
            .find(|order| order.is_ne());
        let order = differ.unwrap_or_else(|| layout.labels(a).cmp(&layout.labels(b)));
        if descending { order.reverse() } else { order }
    });
    sorted
}

/// Texts with runs of digits compared as numbers: `a2` before `a10`.
fn natural(left: &str, right: &str) -> std::cmp::Ordering {
    fn chunk(text: &str) -> (bool, &str, &str) {
        let digits = text.starts_with(|c: char| c.is_ascii_digit());
        let end = text.find(|c: char| c.is_ascii_digit() != digits);
        let (head, tail) = text.split_at(end.unwrap_or(text.len()));
        (digits, head, tail)
    }
    let (mut rest, mut other_rest) = (left, right);
    while !rest.is_empty() && !other_rest.is_empty() {
        let (digits, head, tail) = chunk(rest);
        let (other_digits, other, other_tail) = chunk(other_rest);
        let order = if digits && other_digits {
            let (number, of) = (head.trim_start_matches('0'), other.trim_start_matches('0'));
            number.len().cmp(&of.len()).then_with(|| number.cmp(of))
        } else {
            head.cmp(other)
        };
        if order.is_ne() {
            return order;
        }
        (rest, other_rest) = (tail, other_tail);
    }
    rest.len()
        .cmp(&other_rest.len())
        .then_with(|| left.cmp(right))
}

pub(super) fn bind_scalar(scalar: &mut Scalar, binding: &mut Binding<'_>) -> Result<(), EvalError> {
    let mut bound = Ok(());
    scalar.vectors(&mut |vector| {
        if bound.is_ok() {
            bound = vector.bind(binding).map(|_| ());
        }
    });
    bound
}
