//! Functions over ranges: of a selector's samples, or of what a subquery gave at its steps.

use crate::model::labels::NAME;
use crate::model::{STALE, is_stale};

use super::edges::Edges;
use super::functions::{RangeFunction, Span, rate};
use super::layout::{Groups, Layout};
use super::node::{Binding, Moment, Node, Pin, Times, bind_scalar};
use super::notes::{Saying, Slate, is_gauge};
use super::plan::EvalError;
use super::scalar::Scalar;
use super::select::{Selector, gather};

/// Most steps of one subquery, so that no expression holds the engine up for long.
pub(super) const STEPS_MAX: i64 = 100_000;

/// Most evaluations of what stands within several subqueries.
pub(super) const NESTED_STEPS_MAX: i64 = 100_000;

/// Milliseconds between the steps of a subquery that gives none.
pub(super) const STEP_DEFAULT: i64 = 60_000;

/// A function over each series' samples in a range.
#[derive(Clone, Debug)]
pub(super) struct OverRange {
    pub function: &'static RangeFunction,
    pub source: Source,
    /// Milliseconds.
    pub range: i64,
    /// The scalar arguments, in their order.
    pub parameters: Vec<Scalar>,
    pub slate: Slate,
    /// Of a rate: the names of gauges among its series, each with its elements.
    pub gauges: Vec<(String, Vec<u32>)>,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    Series(Selector),
    Steps(Box<Subquery>),
}

impl OverRange {
    pub fn bind(&mut self, binding: &mut Binding<'_>) -> Result<Layout, EvalError> {
        for parameter in &mut self.parameters {
            bind_scalar(parameter, binding)?;
        }
        let layout = match &mut self.source {
            Source::Series(selector) => selector.bind(binding),
            Source::Steps(subquery) => subquery.bind(self.range, binding)?,
        };
        self.gauges.clear();
        if matches!(self.function.name, "rate" | "increase") {
            self.find_gauges(&layout);
        }
        Ok(layout)
    }

    fn find_gauges(&mut self, layout: &Layout) {
        for element in 0..layout.len() {
            let name = layout.get(element, NAME);
            if !is_gauge(name) {
                continue;
            }
            let element = u32::try_from(element).expect("series are numbered in 32 bits");
            match self.gauges.iter_mut().find(|(known, _)| known == name) {
                Some((_, elements)) => elements.push(element),
                None => self.gauges.push((name.to_owned(), vec![element])),
            }
        }
    }

    /// What there is to say beside the values.
    fn say(&mut self, times: Times, parameter: f64, out: &[f64]) {
        for (number, (_, elements)) in self.gauges.iter().enumerate() {
            if elements.iter().any(|it| !is_stale(out[*it as usize])) {
                self.slate.say(times, Saying::Gauge(number));
            }
        }
        if self.function.name == "quantile_over_time" && out.iter().any(|it| !is_stale(*it)) {
            self.slate.say_quantile(times, parameter);
        }
    }

    pub fn eval(&mut self, moment: &mut Moment<'_>, out: &mut [f64]) -> Result<(), EvalError> {
        let mut parameters = [0.0; 2];
        for (value, parameter) in parameters.iter_mut().zip(&mut self.parameters) {
            *value = parameter.eval(moment)?;
        }
        if self.function.name == "double_exponential_smoothing" {
            for (what, factor) in ["smoothing", "trend"].iter().zip(parameters) {
                if !(factor > 0.0 && factor < 1.0) {
                    return Err(EvalError(format!(
                        "invalid {what} factor. Expected: 0 < factor < 1, got: {factor}"
                    )));
                }
            }
        }
        let until = match &self.source {
            Source::Series(selector) => selector.until(moment),
            Source::Steps(subquery) => subquery.until(moment.times),
        };
        let span = Span {
            after: until.saturating_sub(self.range),
            until,
            at: moment.times.at,
            parameters,
        };
        match &mut self.source {
            Source::Series(selector) => over_series(self.function, selector, &span, moment, out),
            Source::Steps(subquery) => {
                if !subquery.dynamic {
                    subquery.walk(self.range, moment)?;
                }
                for (element, out) in out.iter_mut().enumerate() {
                    subquery.samples(element, moment.samples);
                    *out = compute(self.function, moment.samples, &span);
                }
            }
        }
        self.say(moment.times, parameters[0], out);
        Ok(())
    }
}

fn compute(function: &RangeFunction, samples: &mut [(i64, f64)], span: &Span) -> f64 {
    if samples.is_empty() {
        return STALE;
    }
    (function.compute)(samples, span).unwrap_or(STALE)
}

fn over_series(
    function: &RangeFunction,
    selector: &Selector,
    span: &Span,
    moment: &mut Moment<'_>,
    out: &mut [f64],
) {
    let (window, samples) = (moment.window, &mut *moment.samples);
    let edges = selector.edges;
    if edges != Edges::Plain {
        let bounds = edges.widened((span.after, span.until));
        return selector.each(window, bounds, samples, &mut |element, samples| {
            let value = edges.compute(function, samples, span);
            out[element] = value.unwrap_or(STALE);
        });
    }
    for segment in &selector.segments {
        let out = &mut out[segment.first..segment.first + segment.columns.len()];
        let Some(block) = segment.block(window) else {
            out.fill(STALE);
            continue;
        };
        let mut one = |index: usize| {
            samples.clear();
            segment.samples(block, index, (span.after, span.until), samples);
            compute(function, samples, span)
        };
        match &function.extrapolation {
            Some(kind) => {
                let rows = block.between(span.after, span.until);
                let columns = (&segment.columns, block.breaks());
                rate::columns(*kind, &rows, columns, span, out, &mut one);
            }
            None => {
                for (index, out) in out.iter_mut().enumerate() {
                    *out = one(index);
                }
            }
        }
    }
    for (element, places) in &selector.scattered {
        gather(window, places, span.after, span.until, samples);
        out[*element as usize] = compute(function, samples, span);
    }
}

/// An expression evaluated at every multiple of its step within a range.
#[derive(Clone, Debug)]
pub(super) struct Subquery {
    pub of: Node,
    pub pin: Pin,
    /// Milliseconds; negative looks ahead.
    pub offset: i64,
    /// Milliseconds; `None`: that of the moment.
    pub step: Option<i64>,
    /// Its labels depend on its values, so that it is bound anew at every step.
    pub dynamic: bool,
    /// By element of `of`: the series of the range it belongs to. Two elements that carry equal labels at different
    /// steps are one series.
    series: Vec<u32>,
    width: usize,
    /// The steps, and what every series was at each, row after row.
    steps: Vec<i64>,
    values: Vec<f64>,
}

impl Subquery {
    pub fn new(of: Node, pin: Pin, offset: i64, step: Option<i64>, dynamic: bool) -> Self {
        Self {
            of,
            pin,
            offset,
            step,
            dynamic,
            series: Vec::new(),
            width: 0,
            steps: Vec::new(),
            values: Vec::new(),
        }
    }

    fn until(&self, times: Times) -> i64 {
        self.pin.of(times).saturating_sub(self.offset)
    }

    /// The first step, how many there are, and how far they are apart.
    fn plan(&self, range: i64, times: Times) -> Result<(i64, i64, i64), EvalError> {
        let until = self.until(times);
        let step = self.step.unwrap_or(times.step).max(1);
        let after = until.saturating_sub(range);
        let first = (after.div_euclid(step) + 1).checked_mul(step);
        let Some(first) = first.filter(|first| *first <= until) else {
            return Ok((until, 0, step));
        };
        // At the far ends of time no count of steps is small enough.
        let count = until.saturating_sub(first).div_euclid(step);
        let count = count.saturating_add(1);
        if count > STEPS_MAX {
            return Err(EvalError(format!(
                "a subquery of {count} steps; {STEPS_MAX} at most: give it a longer step"
            )));
        }
        Ok((first, count, step))
    }

    fn bind(&mut self, range: i64, binding: &mut Binding<'_>) -> Result<Layout, EvalError> {
        let mut groups = Groups::default();
        if self.dynamic {
            return self.bind_every_step(range, binding, groups);
        }
        let layout = self.of.bind(binding)?;
        self.series = (0..layout.len())
            .map(|element| groups.number(layout.labels(element)))
            .collect();
        self.width = groups.len();
        let (_, count, _) = self.plan(range, binding.times)?;
        let steps = usize::try_from(count).unwrap_or(0) + 1;
        self.steps.reserve(steps);
        self.values.reserve(steps * self.width);
        Ok(Layout::new(groups.labels, false))
    }

    /// Evaluates every step of the range.
    fn walk(&mut self, range: i64, moment: &mut Moment<'_>) -> Result<(), EvalError> {
        let (first, count, step) = self.plan(range, moment.times)?;
        self.steps.clear();
        self.values.clear();
        for index in 0..count {
            let at = first + index * step;
            let mut then = Moment {
                window: moment.window,
                times: Times { at, ..moment.times },
                samples: &mut *moment.samples,
                stop: moment.stop,
            };
            self.of.eval(&mut then)?;
            let row = self.values.len();
            self.steps.push(at);
            self.values.resize(row + self.width, STALE);
            for (value, series) in self.of.out.iter().zip(&self.series) {
                if !is_stale(*value) {
                    self.values[row + *series as usize] = *value;
                }
            }
        }
        Ok(())
    }

    fn bind_every_step(
        &mut self,
        range: i64,
        binding: &mut Binding<'_>,
        mut groups: Groups,
    ) -> Result<Layout, EvalError> {
        let (first, count, step) = self.plan(range, binding.times)?;
        let outer = binding.times;
        let mut rows = Vec::new();
        self.steps.clear();
        for index in 0..count {
            binding.times.at = first + index * step;
            let layout = self.of.bind(binding)?;
            binding.eval(&mut self.of)?;
            let row: Vec<(u32, f64)> = self
                .of
                .present()
                .map(|(element, value)| (groups.number(layout.labels(element)), value))
                .collect();
            self.steps.push(binding.times.at);
            rows.push(row);
        }
        binding.times = outer;
        self.width = groups.len();
        self.values.clear();
        self.values.resize(self.steps.len() * self.width, STALE);
        for (step, row) in rows.iter().enumerate() {
            for (series, value) in row {
                self.values[step * self.width + *series as usize] = *value;
            }
        }
        Ok(Layout::new(groups.labels, false))
    }

    /// One series' samples over the steps, oldest first.
    fn samples(&self, series: usize, samples: &mut Vec<(i64, f64)>) {
        let rows = self.values.chunks_exact(self.width.max(1));
        let values = rows.map(|row| row[series]);
        samples.clear();
        samples.extend(
            self.steps
                .iter()
                .copied()
                .zip(values)
                .filter(|(_, value)| !is_stale(*value)),
        );
    }
}
