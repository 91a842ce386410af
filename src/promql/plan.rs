//! A compiled expression, bound to the window's series and kept up to date with them.

use std::time::Duration;

use crate::model::{Labels, TargetId, Timestamp, is_stale, time};
use crate::store::Window;

use super::expr::{Expr, Root};
use super::node::{Binding, Moment, Times, bind_scalar};
use super::notes::Note;
use super::range::STEP_DEFAULT;
use super::stop::Stop;

/// What fails at run time: many-to-many matches and the like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvalError(pub String);

/// A compiled expression. Cheap to evaluate, bound afresh when series that it may read are born or dropped.
#[derive(Clone, Debug)]
pub struct Plan {
    root: Root,
    /// The names that its selectors fix and the version of each when the plan was bound; `None`: any name.
    watched: Vec<(Option<String>, u64)>,
    /// The window's generation at the last look; `None` before the first.
    generation: Option<u64>,
    /// Why the plan could not be bound.
    failed: Option<EvalError>,
    labels: Vec<Labels>,
    targets: Vec<TargetId>,
    matched: usize,
    samples: Vec<(i64, f64)>,
    /// Milliseconds: of subqueries that give none.
    step: i64,
    /// Labels come from values: bound anew at every evaluation.
    dynamic: bool,
    stop: Stop,
    /// How many evaluations there have been.
    turn: u64,
}

/// An instant result. Only what is present is listed.
#[derive(Debug)]
pub enum Output<'a> {
    Scalar(f64),
    Vector(Vector<'a>),
}

/// An instant vector: borrowed from the plan that made it.
#[derive(Debug)]
pub struct Vector<'a> {
    labels: &'a [Labels],
    values: &'a [f64],
    order: Option<&'a [u32]>,
}

impl Vector<'_> {
    /// Elements in the order of `sort` and `topk`, else in an order that stays the same from evaluation to evaluation.
    pub fn iter(&self) -> impl Iterator<Item = (&Labels, f64)> {
        let places = self.order.map_or(self.values.len(), <[u32]>::len);
        (0..places).filter_map(|place| {
            let element = self.order.map_or(place, |order| order[place] as usize);
            let value = self.values[element];
            (!is_stale(value)).then(|| (&self.labels[element], value))
        })
    }

    /// Elements that the window's series could give and that are not there now.
    pub fn absent(&self) -> impl Iterator<Item = &Labels> {
        let elements = self.labels.iter().zip(self.values);
        elements
            .filter(|(_, value)| is_stale(**value))
            .map(|(labels, _)| labels)
    }
}

impl Plan {
    #[must_use]
    pub fn new(expr: &Expr) -> Self {
        Self {
            root: expr.root.clone(),
            watched: expr.names().map(|name| (name, 0)).collect(),
            generation: None,
            failed: None,
            labels: Vec::new(),
            targets: Vec::new(),
            matched: 0,
            samples: Vec::new(),
            step: STEP_DEFAULT,
            dynamic: expr.is_dynamic(),
            stop: Stop::default(),
            turn: 0,
        }
    }

    /// Ends an evaluation with an error soon after `stop` is asked.
    #[must_use]
    pub fn until(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// With another step for the subqueries that give none: Prometheus' global evaluation interval, 1 minute unless said.
    #[must_use]
    pub fn stepping(mut self, step: Duration) -> Self {
        self.step = time::millis(step).max(1);
        self
    }

    /// The value at `at`. In the steady state (no series born or gone) it allocates nothing and reads no label.
    ///
    /// # Errors
    /// As Prometheus: vector matches that are not one-to-one where they must be, and the like.
    pub fn eval(&mut self, window: &Window, at: Timestamp) -> Result<Output<'_>, EvalError> {
        self.eval_within(window, at, (at, at))
    }

    /// As [`Plan::eval`], for one moment of a query from `whole.0` to `whole.1`, which `@ start()` and `@ end()` mean.
    ///
    /// # Errors
    /// As [`Plan::eval`].
    pub fn eval_within(
        &mut self,
        window: &Window,
        at: Timestamp,
        whole: (Timestamp, Timestamp),
    ) -> Result<Output<'_>, EvalError> {
        self.turn += 1;
        let times = Times {
            at: at.millis(),
            start: whole.0.millis(),
            end: whole.1.millis(),
            step: self.step,
            turn: self.turn,
        };
        if self.dynamic {
            self.generation = None;
        }
        self.refresh_at(window, times);
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let mut moment = Moment {
            window,
            times,
            samples: &mut self.samples,
            stop: &self.stop,
        };
        match &mut self.root {
            Root::Scalar(scalar) => Ok(Output::Scalar(scalar.eval(&mut moment)?)),
            Root::Vector(node) => {
                node.eval(&mut moment)?;
                Ok(Output::Vector(Vector {
                    labels: &self.labels,
                    values: &node.out,
                    order: node.order.as_deref(),
                }))
            }
        }
    }

    /// Binds the plan to the window's series where they changed; answers whether it did. `eval` calls it.
    pub fn refresh(&mut self, window: &Window) -> bool {
        let long_ago = i64::MIN / 4;
        let times = Times {
            at: long_ago,
            start: long_ago,
            end: long_ago,
            step: self.step,
            turn: 0,
        };
        self.refresh_at(window, times)
    }

    fn refresh_at(&mut self, window: &Window, times: Times) -> bool {
        let generation = window.generation();
        if self.generation == Some(generation) {
            return false;
        }
        let version = |name: &Option<String>| match name {
            Some(name) => window.version(name),
            None => generation,
        };
        let known = self.generation.replace(generation).is_some();
        if known
            && self
                .watched
                .iter()
                .all(|(name, seen)| version(name) == *seen)
        {
            return false;
        }
        for (name, seen) in &mut self.watched {
            *seen = version(name);
        }
        self.bind(window, times);
        true
    }

    fn bind(&mut self, window: &Window, times: Times) {
        let mut binding = Binding {
            window,
            times,
            stop: &self.stop,
            targets: Vec::new(),
            matched: Vec::new(),
        };
        let bound = match &mut self.root {
            Root::Scalar(scalar) => bind_scalar(scalar, &mut binding).map(|()| Vec::new()),
            Root::Vector(node) => node
                .bind(&mut binding)
                .map(super::layout::Layout::into_labels),
        };
        let Binding {
            mut targets,
            mut matched,
            ..
        } = binding;
        targets.sort_unstable();
        targets.dedup();
        matched.sort_unstable();
        matched.dedup();
        self.targets = targets;
        self.matched = matched.len();
        (self.labels, self.failed) = match bound {
            Ok(labels) => (labels, None),
            Err(error) => (Vec::new(), Some(error)),
        };
    }

    /// What Prometheus would say beside the result of the last evaluation, each thing once; allocates only then.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        let mut told = Vec::new();
        self.note(&mut told);
        told
    }

    /// As [`Plan::notes`], added to what was said of the query's other moments.
    pub fn note(&self, told: &mut Vec<Note>) {
        if self.turn > 0 {
            match &self.root {
                Root::Scalar(scalar) => scalar.tell(self.turn, told),
                Root::Vector(node) => node.tell(self.turn, told),
            }
        }
    }

    /// Targets with series that the selectors match, sorted, as of the last `eval` or `refresh`; removed ones are not
    /// among them, failing ones are.
    #[must_use]
    pub fn targets(&self) -> &[TargetId] {
        &self.targets
    }

    /// Whether the plan reads series of `target`, as of the last `eval` or `refresh`.
    #[must_use]
    pub fn has_target(&self, target: TargetId) -> bool {
        self.targets.binary_search(&target).is_ok()
    }

    /// Series that the selectors match, each counted once, as of the last `eval` or `refresh`.
    #[must_use]
    pub fn matched(&self) -> usize {
        self.matched
    }
}
