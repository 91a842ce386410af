//! Operators between vectors, and between a vector and a scalar.
//!
//! Binding pairs the elements by their labels. Where a match group has one element on each side, which is the rule,
//! that is a list of index pairs. Where it has more, at most one of the "one" side may be present at a moment (an old
//! target's series beside its successor's), and which one it is decides at that moment; two are an error.

use crate::model::{Labels, STALE, is_stale};

use super::functions::each;
use super::layout::{Grouping, Groups, Layout, describes_value};
use super::node::{Binding, Moment, Node, bind_scalar};
use super::plan::EvalError;
use super::scalar::{Op, Scalar};

/// `of op scalar`, or `scalar op of`.
#[derive(Clone, Debug)]
pub(super) struct WithScalar {
    pub op: Op,
    pub of: Node,
    pub scalar: Scalar,
    pub scalar_left: bool,
    pub return_bool: bool,
}

impl WithScalar {
    /// A comparison without `bool` passes or drops elements and leaves them as they are.
    pub fn filters(&self) -> bool {
        self.op.compares() && !self.return_bool
    }

    pub fn bind(&mut self, binding: &mut Binding<'_>) -> Result<Layout, EvalError> {
        bind_scalar(&mut self.scalar, binding)?;
        self.of.bind(binding)
    }

    pub fn eval(&mut self, moment: &mut Moment<'_>, out: &mut [f64]) -> Result<(), EvalError> {
        let scalar = self.scalar.eval(moment)?;
        self.of.eval(moment)?;
        let (op, values) = (self.op, &self.of.out);
        let sides = |value| {
            if self.scalar_left {
                (scalar, value)
            } else {
                (value, scalar)
            }
        };
        if self.filters() {
            each(values, out, |value| {
                let (left, right) = sides(value);
                let holds = op.comparison(left, right) == Some(true);
                if holds { value } else { STALE }
            });
        } else {
            each(values, out, |value| {
                let (left, right) = sides(value);
                op.apply(left, right)
            });
        }
        Ok(())
    }
}

/// Which side may have many elements in a match group.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Cardinality {
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
}

/// How two vectors are matched.
#[derive(Clone, Debug)]
pub(super) struct Matching {
    /// `on (…)` or `ignoring (…)`.
    pub grouping: Grouping,
    pub cardinality: Cardinality,
    /// Labels that `group_left (…)` copies from the "one" side.
    pub include: Vec<String>,
    /// What stands for an element that has no partner: `fill_left (…)`, `fill_right (…)`.
    pub fill_left: Option<f64>,
    pub fill_right: Option<f64>,
}

/// An arithmetic or comparison operator between two vectors.
#[derive(Clone, Debug)]
pub(super) struct Pairing {
    op: Op,
    return_bool: bool,
    matching: Matching,
    left: Node,
    right: Node,
    /// (many, one, element of the result)
    pairs: Vec<(u32, u32, u32)>,
    crowds: Vec<Crowd>,
}

/// A match group with several elements on a side.
#[derive(Clone, Debug)]
struct Crowd {
    many: Vec<u32>,
    /// With the number of its variant: the labels that the "one" side lends differ.
    one: Vec<(u32, u32)>,
    /// The result of `many[i]` with variant `v` stands at `first + i * variants + v`.
    first: u32,
    variants: u32,
    /// With a fill: the result of `many[i]` alone stands at `alone + i`, that of `one[j]` alone behind them.
    alone: u32,
}

/// Most elements a result may have. Far above what rules match; reached only by matches that would fail anyway.
const ELEMENTS_MAX: usize = 4_000_000;

impl Pairing {
    /// What stands left and right.
    pub fn sides(&self) -> [&Node; 2] {
        [&self.left, &self.right]
    }

    pub fn new(op: Op, return_bool: bool, matching: Matching, left: Node, right: Node) -> Self {
        Self {
            op,
            return_bool,
            matching,
            left,
            right,
            pairs: Vec::new(),
            crowds: Vec::new(),
        }
    }

    /// Whether the right side is the "many" side.
    fn swapped(&self) -> bool {
        self.matching.cardinality == Cardinality::OneToMany
    }

    pub fn bind(&mut self, binding: &mut Binding<'_>) -> Result<Layout, EvalError> {
        let left = self.left.bind(binding)?;
        let right = self.right.bind(binding)?;
        let (many, one) = if self.swapped() {
            (right, left)
        } else {
            (left, right)
        };
        self.pairs.clear();
        self.crowds.clear();
        let mut groups = Groups::default();
        let many_members = members(&many, &self.matching.grouping, &mut groups);
        let one_members = members(&one, &self.matching.grouping, &mut groups);
        let mut labels: Vec<Labels> = Vec::new();
        for (group, one_side) in one_members.into_iter().enumerate() {
            let many_side = many_members.get(group).cloned().unwrap_or_default();
            let first = number(labels.len());
            let (fill_many, fill_one) = self.fills();
            let fills = fill_many.is_some() || fill_one.is_some();
            if !fills && let ([m], [o]) = (&many_side[..], &one_side[..]) {
                self.pairs.push((*m, *o, first));
                labels.push(self.result(&many, *m, &one, *o));
                continue;
            }
            let mut variants = Groups::default();
            let borrowed = Grouping::By(self.matching.include.clone());
            let one_side: Vec<(u32, u32)> = one_side
                .iter()
                .map(|o| (*o, variants.number(one.key(*o as usize, &borrowed))))
                .collect();
            if labels.len() + many_side.len() * variants.len() > ELEMENTS_MAX {
                return Err(EvalError(format!(
                    "the match would have more than {ELEMENTS_MAX} elements"
                )));
            }
            for m in &many_side {
                for variant in 0..number(variants.len()) {
                    let lender = one_side.iter().find(|(_, v)| *v == variant);
                    let (o, _) = lender.expect("every variant was made by an element");
                    labels.push(self.result(&many, *m, &one, *o));
                }
            }
            let alone = number(labels.len());
            if fills {
                let keys = |layout: &Layout, element: &u32| {
                    let key = layout.key(*element as usize, &self.matching.grouping);
                    Layout::new(vec![key], true)
                };
                for m in &many_side {
                    labels.push(self.result(&many, *m, &keys(&many, m), 0));
                }
                for (o, _) in &one_side {
                    labels.push(self.result(&keys(&one, o), 0, &one, *o));
                }
            }
            // A crowd without a "many" side still fails when two of its "one" side are present.
            let may_fail = one_side.len() > 1 || !many_side.is_empty();
            if fills || (!one_side.is_empty() && may_fail) {
                self.crowds.push(Crowd {
                    many: many_side,
                    one: one_side,
                    first,
                    variants: number(variants.len()),
                    alone,
                });
            }
        }
        Ok(Layout::new(labels, false))
    }

    /// What stands for a missing element of the "many" side, and of the "one" side. With `group_right` Prometheus
    /// swaps the sides and not the fills, so that `fill_left` fills the "many" side there too.
    fn fills(&self) -> (Option<f64>, Option<f64>) {
        (self.matching.fill_left, self.matching.fill_right)
    }

    /// The labels of a match's result.
    fn result(&self, many: &Layout, m: u32, one: &Layout, o: u32) -> Labels {
        let keeps_name = self.op.compares() && !self.return_bool;
        let labels = many.labels(m as usize);
        let one_to_one = self.matching.cardinality == Cardinality::OneToOne;
        let mut labels = labels.filter(|label| {
            if describes_value(label) && !keeps_name {
                return false;
            }
            match &self.matching.grouping {
                Grouping::By(names) => !one_to_one || names.iter().any(|n| n == label),
                Grouping::Without(names) => !one_to_one || names.iter().all(|n| n != label),
            }
        });
        for name in &self.matching.include {
            labels = labels.with(name, one.get(o as usize, name));
        }
        labels
    }

    pub fn eval(&mut self, moment: &mut Moment<'_>, out: &mut [f64]) -> Result<(), EvalError> {
        self.left.eval(moment)?;
        self.right.eval(moment)?;
        out.fill(STALE);
        let swapped = self.swapped();
        let (many, one) = if swapped {
            (&self.right.out, &self.left.out)
        } else {
            (&self.left.out, &self.right.out)
        };
        let filters = self.op.compares() && !self.return_bool;
        let compute = |many: f64, one: f64| {
            let (left, right) = if swapped { (one, many) } else { (many, one) };
            if !filters {
                return self.op.apply(left, right);
            }
            let holds = self.op.comparison(left, right) == Some(true);
            if holds { left } else { STALE }
        };
        for (m, o, element) in &self.pairs {
            let (a, b) = (many[*m as usize], one[*o as usize]);
            if !is_stale(a) && !is_stale(b) {
                out[*element as usize] = compute(a, b);
            }
        }
        let fills = self.fills();
        // Without elements on the "many" side nothing is looked at, unless something may be filled in.
        let lone = fills != (None, None) || many.iter().any(|value| !is_stale(*value));
        if !self.crowds.is_empty() && lone {
            let single = self.matching.cardinality == Cardinality::OneToOne;
            for crowd in &self.crowds {
                crowd.eval(many, one, single, fills, &compute, out)?;
            }
        }
        Ok(())
    }
}

impl Crowd {
    fn eval(
        &self,
        many: &[f64],
        one: &[f64],
        single: bool,
        (fill_many, fill_one): (Option<f64>, Option<f64>),
        compute: &impl Fn(f64, f64) -> f64,
        out: &mut [f64],
    ) -> Result<(), EvalError> {
        let mut present = (0u32..)
            .zip(&self.one)
            .filter(|(_, (o, _))| !is_stale(one[*o as usize]));
        let partner = present.next();
        if present.next().is_some() {
            return Err(EvalError(
                "found duplicate series for a match group; many-to-many matching not allowed: \
                 matching labels must be unique on one side"
                    .to_owned(),
            ));
        }
        let mut matches = 0;
        for (i, m) in (0u32..).zip(&self.many) {
            let value = many[*m as usize];
            if is_stale(value) {
                continue;
            }
            matches += 1;
            match (partner, fill_one) {
                (Some((_, (o, variant))), _) => {
                    let result = compute(value, one[*o as usize]);
                    out[(self.first + i * self.variants + variant) as usize] = result;
                }
                (None, Some(fill)) => out[(self.alone + i) as usize] = compute(value, fill),
                (None, None) => return Ok(()),
            }
        }
        if let (0, Some((j, (o, _))), Some(fill)) = (matches, partner, fill_many) {
            let element = self.alone as usize + self.many.len() + j as usize;
            out[element] = compute(fill, one[*o as usize]);
        }
        if single && matches > 1 {
            return Err(EvalError(
                "multiple matches for labels: many-to-one matching must be explicit \
                 (group_left/group_right)"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("results are bounded by ELEMENTS_MAX")
}

/// By group: the elements in it.
fn members(layout: &Layout, grouping: &Grouping, groups: &mut Groups) -> Vec<Vec<u32>> {
    let numbers = layout.groups(grouping, groups);
    let mut members = vec![Vec::new(); groups.len()];
    for (element, group) in (0u32..).zip(numbers) {
        members[group as usize].push(element);
    }
    members
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum SetOp {
    And,
    Or,
    Unless,
}

/// `and`, `or`, `unless`: elements pass as they are, by whether their match group has a present element on the other side.
#[derive(Clone, Debug)]
pub(super) struct SetOperation {
    op: SetOp,
    grouping: Grouping,
    left: Node,
    right: Node,
    left_groups: Vec<u32>,
    right_groups: Vec<u32>,
    /// By group: whether the side that decides is present.
    present: Vec<bool>,
}

impl SetOperation {
    /// What stands left and right.
    pub fn sides(&self) -> [&Node; 2] {
        [&self.left, &self.right]
    }

    pub fn new(op: SetOp, grouping: Grouping, left: Node, right: Node) -> Self {
        Self {
            op,
            grouping,
            left,
            right,
            left_groups: Vec::new(),
            right_groups: Vec::new(),
            present: Vec::new(),
        }
    }

    pub fn bind(&mut self, binding: &mut Binding<'_>) -> Result<Layout, EvalError> {
        let left = self.left.bind(binding)?;
        let right = self.right.bind(binding)?;
        let mut groups = Groups::default();
        self.left_groups = left.groups(&self.grouping, &mut groups);
        self.right_groups = right.groups(&self.grouping, &mut groups);
        self.present = vec![false; groups.len()];
        if self.op != SetOp::Or {
            return Ok(left);
        }
        let mut labels = left.into_labels();
        labels.extend(right.into_labels());
        Ok(Layout::new(labels, false))
    }

    pub fn eval(&mut self, moment: &mut Moment<'_>, out: &mut [f64]) -> Result<(), EvalError> {
        self.left.eval(moment)?;
        self.right.eval(moment)?;
        let (left, right) = (&self.left.out, &self.right.out);
        let (deciding, groups) = match self.op {
            SetOp::Or => (left, &self.left_groups),
            SetOp::And | SetOp::Unless => (right, &self.right_groups),
        };
        self.present.fill(false);
        for (value, group) in deciding.iter().zip(groups) {
            self.present[*group as usize] |= !is_stale(*value);
        }
        let (asked, groups, out, wanted) = match self.op {
            SetOp::And => (left, &self.left_groups, out, true),
            SetOp::Unless => (left, &self.left_groups, out, false),
            SetOp::Or => {
                let (kept, more) = out.split_at_mut(left.len());
                kept.copy_from_slice(left);
                (right, &self.right_groups, more, false)
            }
        };
        for ((out, value), group) in out.iter_mut().zip(asked).zip(groups) {
            let passes = self.present[*group as usize] == wanted;
            *out = if passes { *value } else { STALE };
        }
        Ok(())
    }
}
