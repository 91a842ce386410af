//! A group of Prometheus' rules, as a file says it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::Action;
use crate::model::Severity;
use crate::promql::Expr;

#[derive(Clone, Debug)]
pub struct RuleGroup {
    pub name: String,
    /// As named when it was read.
    pub file: String,
    /// `None`: the configuration's.
    pub interval: Option<Duration>,
    pub query_offset: Option<Duration>,
    /// Most series, or alerts, of one rule; 0 for any number.
    pub limit: usize,
    /// With the group's own labels merged into each rule's.
    pub rules: Vec<GroupRule>,
}

#[derive(Clone, Debug)]
pub struct GroupRule {
    /// Of the recorded series, or of the alert.
    pub name: String,
    pub expr: Expr,
    pub labels: BTreeMap<String, String>,
    pub kind: GroupRuleKind,
}

#[derive(Clone, Debug)]
pub enum GroupRuleKind {
    Record,
    Alert(AlertRule),
}

#[derive(Clone, Debug, Default)]
pub struct AlertRule {
    /// `for`
    pub hold: Duration,
    pub keep_firing_for: Duration,
    pub annotations: BTreeMap<String, String>,
    /// What its templates ask the window, as far as they write it down: `query "up"`, or the parts of what they build.
    pub queries: Vec<Expr>,
    /// What the label `severity` maps to.
    pub severity: Option<Severity>,
    /// The label `gated_do`: what a firing alert asks for, under the same guards as a trigger.
    pub action: Option<Action>,
}
