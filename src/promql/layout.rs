//! The labels of a vector's elements while a plan is being bound. Nothing here runs in the steady state.

use std::collections::HashMap;

use crate::model::labels::NAME;
use crate::model::{Labels, is_stale};

use super::plan::EvalError;

/// Labels that say what the values are, and no longer hold once the values change.
pub(super) fn describes_value(label: &str) -> bool {
    matches!(label, NAME | "__type__" | "__unit__")
}

/// By element: its labels. Elements that may be absent at a moment are listed all the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    labels: Vec<Labels>,
    /// The metric's name (with type and unit) no longer counts, although `labels` still holds it, so that dropping it
    /// copies nothing.
    nameless: bool,
    /// All elements stay distinct without their names.
    distinct: bool,
}

/// Which labels make a group: `by (…)` and `on (…)`, or `without (…)` and `ignoring (…)`.
#[derive(Clone, Debug)]
pub(super) enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

/// Elements that would carry equal labels. Only one of each may be present.
#[derive(Clone, Debug, Default)]
pub(super) struct Twins(Vec<Vec<u32>>);

impl Layout {
    /// `one_name`: the elements differ in more than their names.
    pub fn new(labels: Vec<Labels>, one_name: bool) -> Self {
        Self {
            labels,
            nameless: false,
            distinct: one_name,
        }
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// The value of a label, empty where it is missing.
    pub fn get(&self, element: usize, label: &str) -> &str {
        if self.nameless && describes_value(label) {
            return "";
        }
        self.labels[element].get(label).unwrap_or("")
    }

    pub fn labels(&self, element: usize) -> Labels {
        let labels = &self.labels[element];
        if self.nameless && labels.iter().any(|(label, _)| describes_value(label)) {
            labels.filter(|label| !describes_value(label))
        } else {
            labels.clone()
        }
    }

    pub fn into_labels(self) -> Vec<Labels> {
        if self.nameless {
            (0..self.len()).map(|i| self.labels(i)).collect()
        } else {
            self.labels
        }
    }

    /// Drops the metric's name, as every operation that changes values does.
    pub fn unnamed(&mut self) -> Twins {
        self.nameless = true;
        if std::mem::replace(&mut self.distinct, true) {
            return Twins::default();
        }
        let twins = Twins::of((0..self.len()).map(|i| self.labels(i)));
        self.distinct = twins.0.is_empty();
        twins
    }

    /// The labels that `grouping` keeps of an element; the metric's name only where it is asked for.
    pub fn key(&self, element: usize, grouping: &Grouping) -> Labels {
        match grouping {
            Grouping::By(names) => {
                Labels::new(names.iter().map(|name| (name, self.get(element, name))))
            }
            Grouping::Without(names) => self.labels[element].filter(|label| {
                let dropped = label == NAME || (self.nameless && describes_value(label));
                !dropped && !names.iter().any(|name| name == label)
            }),
        }
    }

    /// Numbers the groups in the order in which their first elements stand.
    pub fn groups(&self, grouping: &Grouping, known: &mut Groups) -> Vec<u32> {
        (0..self.len())
            .map(|element| known.number(self.key(element, grouping)))
            .collect()
    }
}

/// Groups and their labels, numbered as they appear.
#[derive(Debug, Default)]
pub(super) struct Groups {
    numbers: HashMap<Labels, u32>,
    pub labels: Vec<Labels>,
}

impl Groups {
    pub fn number(&mut self, key: Labels) -> u32 {
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let number = u32::try_from(self.labels.len()).expect("fewer groups than series");
        self.labels.push(key.clone());
        self.numbers.insert(key, number);
        number
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }
}

impl Twins {
    pub fn of(labels: impl Iterator<Item = Labels>) -> Self {
        let mut groups = Groups::default();
        let mut members: Vec<Vec<u32>> = Vec::new();
        for (element, labels) in (0..).zip(labels) {
            let group = groups.number(labels) as usize;
            if group == members.len() {
                members.push(Vec::new());
            }
            members[group].push(element);
        }
        members.retain(|group| group.len() > 1);
        Self(members)
    }

    /// # Errors
    /// When two elements with equal labels are present.
    pub fn check(&self, values: &[f64]) -> Result<(), EvalError> {
        let crowded = |group: &&Vec<u32>| {
            let present = group.iter().filter(|i| !is_stale(values[**i as usize]));
            present.count() > 1
        };
        match self.0.iter().find(crowded) {
            None => Ok(()),
            Some(_) => Err(EvalError(
                "vector cannot contain metrics with the same labelset".to_owned(),
            )),
        }
    }
}
