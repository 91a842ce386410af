//! Vectors whose labels come from values: a plan that holds one is bound anew at every evaluation.

use crate::model::labels::NAME;
use crate::model::{Labels, STALE, is_stale};

use super::layout::{Grouping, Groups, Layout};
use super::matchers::Matcher;
use super::node::{Binding, Moment, Node, Pin};
use super::plan::EvalError;
use super::scalar::Scalar;
use super::select::Selector;
use super::written;

/// `count_values by (…) ("label", of)`: how many elements of each group have each value.
#[derive(Clone, Debug)]
pub(super) struct CountValues {
    grouping: Grouping,
    label: String,
    pub of: Node,
    /// By element.
    pub counts: Vec<f64>,
}

impl CountValues {
    pub fn new(mut grouping: Grouping, label: String, of: Node) -> Self {
        match &mut grouping {
            Grouping::By(names) => names.push(label.clone()),
            Grouping::Without(names) => names.retain(|name| *name != label),
        }
        Self {
            grouping,
            label,
            of,
            counts: Vec::new(),
        }
    }

    pub fn bind(&mut self, binding: &mut Binding<'_>) -> Result<Layout, EvalError> {
        let layout = self.of.bind(binding)?;
        binding.eval(&mut self.of)?;
        let mut groups = Groups::default();
        self.counts.clear();
        for (element, value) in self.of.out.iter().enumerate() {
            if is_stale(*value) {
                continue;
            }
            let labels = layout.labels(element).with(&self.label, &written(*value));
            let one = Layout::new(vec![labels], true);
            let group = groups.number(one.key(0, &self.grouping)) as usize;
            self.counts.resize(groups.len(), 0.0);
            self.counts[group] += 1.0;
        }
        Ok(Layout::new(groups.labels, false))
    }
}

/// `info(of, {…})`: every element with the labels of the info series of its instance and job.
#[derive(Clone, Debug)]
pub(super) struct Info {
    pub of: Node,
    infos: Selector,
    /// Whether an element that is an info series itself stays as it is.
    spares: bool,
    /// `@` and offsets on the way to the first selector in `of`, outermost first: info series are looked at there too.
    path: Vec<(Pin, i64)>,
    /// Which labels are lent, and what their values must be; none: all.
    data: Vec<Matcher>,
    /// By element.
    pub values: Vec<f64>,
}

/// The labels by which an info series belongs to others.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// An info series with when it was sampled.
struct Lender {
    labels: Labels,
    at: f64,
}

impl Info {
    pub fn new(
        of: Node,
        path: Vec<(Pin, i64)>,
        (infos, spares): (Selector, bool),
        data: Vec<Matcher>,
    ) -> Self {
        Self {
            of,
            infos,
            spares,
            path,
            data,
            values: Vec::new(),
        }
    }

    pub fn bind(&mut self, binding: &mut Binding<'_>) -> Result<Layout, EvalError> {
        let layout = self.of.bind(binding)?;
        binding.eval(&mut self.of)?;
        let lenders = self.lenders(binding)?;
        let mut labels = Vec::new();
        self.values.clear();
        for (element, value) in self.of.out.iter().enumerate() {
            if is_stale(*value) {
                continue;
            }
            let own = layout.labels(element);
            let extended = if self.spares && self.infos.matchers.matches(&own) {
                Some(own)
            } else {
                self.extended(&own, &lenders)?
            };
            if let Some(extended) = extended {
                labels.push(extended);
                self.values.push(*value);
            }
        }
        Ok(Layout::new(labels, false))
    }

    /// Info series that are present and whose labels may be lent, the newest of each name, instance and job.
    fn lenders(&mut self, binding: &mut Binding<'_>) -> Result<Vec<Lender>, EvalError> {
        let infos = self.infos.bind(binding);
        let mut times = vec![STALE; infos.len()];
        let mut times_there = binding.times;
        for (pin, offset) in &self.path {
            times_there.at = pin.of(times_there).saturating_sub(*offset);
        }
        let moment = Moment {
            window: binding.window,
            times: times_there,
            samples: &mut Vec::new(),
            stop: binding.stop,
        };
        self.infos.timestamps(&moment, &mut times);
        let mut lenders: Vec<Lender> = Vec::new();
        for (element, at) in times.into_iter().enumerate() {
            let labels = infos.labels(element);
            let chosen = |it: &Matcher| it.test.holds(labels.get(&it.label).unwrap_or(""));
            if is_stale(at) || !self.data.iter().all(chosen) {
                continue;
            }
            let known = lenders.iter_mut().find(|known| {
                known.labels.name() == labels.name() && identity(&known.labels) == identity(&labels)
            });
            match known {
                None => lenders.push(Lender { labels, at }),
                Some(known) if known.at < at => *known = Lender { labels, at },
                Some(known) if known.at > at => {}
                Some(known) => {
                    return Err(EvalError(format!(
                        "found duplicate series for info metric: {} and {labels}",
                        known.labels
                    )));
                }
            }
        }
        Ok(lenders)
    }

    /// `own` with what is lent to it; `None` when it must have been lent something and was not.
    fn extended(&self, own: &Labels, lenders: &[Lender]) -> Result<Option<Labels>, EvalError> {
        let mut lent: Vec<(&str, &str)> = Vec::new();
        let mut found = false;
        for lender in lenders
            .iter()
            .filter(|it| identity(&it.labels) == identity(own))
        {
            found = true;
            for (name, value) in &lender.labels {
                let asked = self.data.is_empty() || self.data.iter().any(|it| it.label == name);
                if name == NAME || !asked || IDENTIFYING.contains(&name) {
                    continue;
                }
                match lent.iter().find(|(known, _)| *known == name) {
                    Some((_, other)) if *other != value => {
                        return Err(EvalError(format!("conflicting label: {name}")));
                    }
                    Some(_) => {}
                    None if own.get(name).is_some() => {}
                    None => lent.push((name, value)),
                }
            }
        }
        if !found && !self.data.iter().all(|it| it.test.holds("")) {
            return Ok(None);
        }
        let mut labels = own.clone();
        for (name, value) in lent {
            labels = labels.with(name, value);
        }
        Ok(Some(labels))
    }
}

fn identity(labels: &Labels) -> [&str; 2] {
    IDENTIFYING.map(|name| labels.get(name).unwrap_or(""))
}

impl Binding<'_> {
    /// Evaluates what was just bound, at the moment for which it was.
    pub fn eval(&self, node: &mut Node) -> Result<(), EvalError> {
        node.eval(&mut Moment {
            window: self.window,
            times: self.times,
            samples: &mut Vec::new(),
            stop: self.stop,
        })
    }

    /// As [`Binding::eval`], of a number.
    pub fn scalar(&self, scalar: &mut Scalar) -> Result<f64, EvalError> {
        scalar.eval(&mut Moment {
            window: self.window,
            times: self.times,
            samples: &mut Vec::new(),
            stop: self.stop,
        })
    }
}
