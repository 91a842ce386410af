//! Aggregations: which elements make which group is decided when the plan is bound.

use crate::model::{Labels, STALE, is_stale};

use super::functions::{Kahan, Mean, counted, quantile};
use super::layout::{Grouping, Groups, Layout};
use super::node::{Binding, Moment, Node, bind_scalar};
use super::notes::Slate;
use super::plan::EvalError;
use super::scalar::Scalar;
use super::shown;

/// `operation by (…) (parameter, of)`.
#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    operation: Operation,
    grouping: Grouping,
    pub parameter: Option<Scalar>,
    pub of: Node,
    /// Of `quantile` and `limit_ratio`.
    pub slate: Slate,
    /// By element: its group.
    group_of: Vec<u32>,
    groups: usize,
    /// By group.
    states: Vec<State>,
    /// Elements in the order in which `topk` meets them: by labels, as a tie goes to the first.
    by_labels: Vec<u32>,
    /// Present elements, group by group.
    members: Vec<(u32, f64)>,
    /// For `limit_ratio`, by element: where its labels' hash lies between 0 and 1.
    places: Vec<f64>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Quantile,
    Topk,
    Bottomk,
    Limitk,
    LimitRatio,
}

/// What a group has seen so far. One shape for all operations keeps the buffer's size fixed.
#[derive(Copy, Clone, Debug, Default)]
struct State {
    count: f64,
    sum: Kahan,
    mean: Mean,
    /// Minimum or maximum; the running mean of the variance.
    value: f64,
    squares: f64,
}

impl Aggregate {
    pub fn new(
        operation: Operation,
        grouping: Grouping,
        parameter: Option<Scalar>,
        of: Node,
        slate: Slate,
    ) -> Self {
        Self {
            operation,
            grouping,
            parameter,
            of,
            slate,
            group_of: Vec::new(),
            groups: 0,
            states: Vec::new(),
            by_labels: Vec::new(),
            members: Vec::new(),
            places: Vec::new(),
        }
    }

    pub fn bind(
        &mut self,
        binding: &mut Binding<'_>,
        order: &mut Option<Vec<u32>>,
    ) -> Result<Layout, EvalError> {
        if let Some(parameter) = &mut self.parameter {
            bind_scalar(parameter, binding)?;
        }
        let layout = self.of.bind(binding)?;
        let mut groups = Groups::default();
        self.group_of = layout.groups(&self.grouping, &mut groups);
        self.groups = groups.len();
        self.members = Vec::new();
        self.states = Vec::new();
        match self.operation {
            Operation::Topk | Operation::Bottomk => {
                let numbers = 0..u32::try_from(layout.len()).unwrap_or(u32::MAX);
                self.by_labels = numbers.collect();
                self.by_labels
                    .sort_by_cached_key(|i| layout.labels(*i as usize));
                self.members.reserve_exact(layout.len());
                *order = Some(Vec::with_capacity(layout.len()));
                return Ok(layout);
            }
            Operation::Limitk => {
                let numbers = 0..u32::try_from(layout.len()).unwrap_or(u32::MAX);
                self.by_labels = numbers.collect();
                self.by_labels
                    .sort_by_cached_key(|i| layout.labels(*i as usize));
                self.states = vec![State::default(); self.groups];
                return Ok(layout);
            }
            Operation::LimitRatio => {
                let labels = (0..layout.len()).map(|i| layout.labels(i));
                self.places = labels.map(|labels| place(&labels)).collect();
                return Ok(layout);
            }
            Operation::Quantile => self.members.reserve_exact(layout.len()),
            _ => self.states = vec![State::default(); self.groups],
        }
        Ok(Layout::new(groups.labels, false))
    }

    pub fn eval(
        &mut self,
        moment: &mut Moment<'_>,
        out: &mut [f64],
        order: Option<&mut Vec<u32>>,
    ) -> Result<(), EvalError> {
        let parameter = match &mut self.parameter {
            Some(parameter) => parameter.eval(moment)?,
            None => 0.0,
        };
        self.of.eval(moment)?;
        match self.operation {
            Operation::Topk | Operation::Bottomk => {
                out.fill(STALE);
                if let Some(order) = order {
                    self.pick(count_of(parameter)?, out, order);
                }
            }
            Operation::Limitk => {
                let k = counted(count_of(parameter)?);
                out.fill(STALE);
                self.states.fill(State::default());
                for element in &self.by_labels {
                    let element = *element as usize;
                    let state = &mut self.states[self.group_of[element] as usize];
                    let value = self.of.out[element];
                    if !is_stale(value) && state.count < k {
                        state.count += 1.0;
                        out[element] = value;
                    }
                }
            }
            Operation::LimitRatio => {
                if parameter.is_nan() {
                    return Err(EvalError("ratio value is NaN".to_owned()));
                }
                self.slate.say_ratio(moment.times, parameter);
                let ratio = parameter.clamp(-1.0, 1.0);
                for ((out, value), place) in out.iter_mut().zip(&self.of.out).zip(&self.places) {
                    let taken = if ratio >= 0.0 {
                        *place < ratio
                    } else {
                        *place >= 1.0 + ratio
                    };
                    *out = if taken { *value } else { STALE };
                }
            }
            Operation::Quantile => {
                self.slate.say_quantile(moment.times, parameter);
                self.quantiles(parameter, out);
            }
            Operation::Sum => self.fold(out, |s, v| s.sum.add(v), |s| s.sum.sum()),
            Operation::Avg => self.fold(out, |s, v| s.mean.add(v), |s| s.mean.mean()),
            Operation::Count => self.fold(out, |_, _| {}, |s| s.count),
            Operation::Group => self.fold(out, |_, _| {}, |_| 1.0),
            Operation::Min => self.fold(out, |s, v| s.keep(v, v < s.value), |s| s.value),
            Operation::Max => self.fold(out, |s, v| s.keep(v, v > s.value), |s| s.value),
            Operation::Stdvar => self.fold(out, State::vary, |s| s.squares / s.count),
            Operation::Stddev => self.fold(out, State::vary, |s| (s.squares / s.count).sqrt()),
        }
        Ok(())
    }

    /// Runs every present element through its group's state. `add` sees the count with the element already in it.
    #[inline]
    fn fold(
        &mut self,
        out: &mut [f64],
        add: impl Fn(&mut State, f64),
        result: impl Fn(&State) -> f64,
    ) {
        let values = &self.of.out;
        if let [state] = &mut self.states[..] {
            // One group: the state stays in registers.
            let mut all = State::default();
            for value in values.iter().filter(|value| !is_stale(**value)) {
                all.count += 1.0;
                add(&mut all, *value);
            }
            *state = all;
        } else {
            self.states.fill(State::default());
            for (value, group) in values.iter().zip(&self.group_of) {
                if !is_stale(*value) {
                    let state = &mut self.states[*group as usize];
                    state.count += 1.0;
                    add(state, *value);
                }
            }
        }
        for (out, state) in out.iter_mut().zip(&self.states) {
            *out = if state.count > 0.0 {
                result(state)
            } else {
                STALE
            };
        }
    }

    /// Present elements as (element, value), sorted by group; within a group by `by_labels` or as they stand.
    fn gather(&mut self) {
        self.members.clear();
        let present = self.of.present();
        #[allow(
            clippy::cast_possible_truncation,
            reason = "series are numbered in 32 bits"
        )]
        self.members
            .extend(present.map(|(i, value)| (i as u32, value)));
        let group_of = &self.group_of;
        self.members
            .sort_unstable_by_key(|(i, _)| (group_of[*i as usize], *i));
    }

    fn quantiles(&mut self, q: f64, out: &mut [f64]) {
        out.fill(STALE);
        self.gather();
        let group_of = &self.group_of;
        let same =
            |a: &(u32, f64), b: &(u32, f64)| group_of[a.0 as usize] == group_of[b.0 as usize];
        for group in self.members.chunk_by_mut(same) {
            let number = group_of[group[0].0 as usize] as usize;
            out[number] = quantile(q, group, |member| member.1);
        }
    }

    /// The `k` largest (or smallest) of each group, NaN last; equal values by their labels.
    fn pick(&mut self, k: usize, out: &mut [f64], order: &mut Vec<u32>) {
        let descending = self.operation == Operation::Topk;
        order.clear();
        self.members.clear();
        let values = &self.of.out;
        for (rank, element) in (0u32..).zip(&self.by_labels) {
            let value = values[*element as usize];
            if !is_stale(value) {
                self.members.push((rank, value));
            }
        }
        let (group_of, by_labels) = (&self.group_of, &self.by_labels);
        let group = |member: &(u32, f64)| group_of[by_labels[member.0 as usize] as usize];
        self.members.sort_unstable_by(|a, b| {
            let by_value = if descending {
                b.1.partial_cmp(&a.1)
            } else {
                a.1.partial_cmp(&b.1)
            };
            let by_value = by_value.unwrap_or_else(|| a.1.is_nan().cmp(&b.1.is_nan()));
            group(a).cmp(&group(b)).then(by_value).then(a.0.cmp(&b.0))
        });
        for members in self.members.chunk_by(|a, b| group(a) == group(b)) {
            for (rank, value) in members.iter().take(k) {
                let element = by_labels[*rank as usize];
                out[element as usize] = *value;
                order.push(element);
            }
        }
    }
}

impl State {
    fn keep(&mut self, value: f64, better: bool) {
        if self.count <= 1.0 || better || self.value.is_nan() {
            self.value = value;
        }
    }

    /// Welford's running variance.
    fn vary(&mut self, value: f64) {
        if self.count <= 1.0 {
            self.value = value;
            self.squares = if value.is_finite() { 0.0 } else { f64::NAN };
            return;
        }
        let delta = value - self.value;
        self.value += delta / self.count;
        self.squares += delta * (value - self.value);
    }
}

/// Where a label set's hash lies between 0 and 1: Prometheus' hash of its own encoding, in which every text stands
/// after its length, so that a `limit_ratio` takes the same series here as there.
fn place(labels: &Labels) -> f64 {
    let mut bytes = Vec::new();
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        let len = text.len().to_le_bytes();
        match text.len() {
            0..255 => bytes.push(len[0]),
            _ => bytes.extend([255, len[0], len[1], len[2]]),
        }
        bytes.extend(text.as_bytes());
    }
    #[allow(
        clippy::cast_precision_loss,
        reason = "as Prometheus: the hash as a float, by the largest one"
    )]
    let place = xxhash_rust::xxh64::xxh64(&bytes, 0) as f64 / u64::MAX as f64;
    place
}

/// How many elements `topk` and `bottomk` take.
fn count_of(parameter: f64) -> Result<usize, EvalError> {
    if parameter.is_nan() {
        return Err(EvalError("parameter value is NaN".to_owned()));
    }
    if parameter >= counted(usize::MAX) {
        return Err(EvalError(format!(
            "scalar value {} overflows int64",
            shown(parameter)
        )));
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "below usize::MAX, and negative saturates at zero"
    )]
    Ok(parameter as usize)
}
