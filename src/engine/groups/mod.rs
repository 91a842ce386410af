//! Prometheus' rule groups in the engine: how they are made from the rules, and when they are evaluated.
//!
//! `kept` tells the ledger of active alerts, `sent` tells Alertmanager, `asks` decides what alerts ask for, `shown` is
//! what the snapshot says of them.

mod asks;
mod kept;
mod sent;
mod shown;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use self::kept::Kept;
use self::shown::shown;
use crate::engine::Effect;
use crate::engine::Event;
use crate::engine::engine::Engine;
use crate::engine::signals::SignalWatch;
use crate::engine::triggers::Handled;
use crate::model::DecisionId;
use crate::model::Labels;
use crate::model::TargetId;
use crate::model::Timestamp;
use crate::rules::AlertTiming;
use crate::rules::Group;
use crate::rules::GroupRule;
use crate::rules::RuleKind;
use crate::rules::World;
use crate::runbook::AlertRule;
use crate::runbook::GroupRuleKind;
use crate::runbook::RuleGroup;
use crate::store::Window;

/// Groups that give no interval are evaluated this often, as in Prometheus.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(60);
/// In front of the numbers of the window's targets that stand for rules. Scraped targets are numbered from zero.
const RULE_BIT: u32 = 1 << 30;

/// A group as the engine follows it.
#[derive(Debug)]
pub(in crate::engine) struct GroupWatch {
    pub group: Group,
    /// By rule: what an alerting rule says beside its expression; `None` for a recording one.
    asks: Vec<Option<AlertRule>>,
    /// What was decided for alerts that fire on, by their labels: a rule may have another place after a reload.
    handled: BTreeMap<Labels, Handled>,
    kept: Kept,
    /// The last slot, whether it was evaluated or missed; before the first, when the group was made.
    slot_at: Timestamp,
    /// Slots missed since the last evaluation.
    missed: u64,
    /// Evaluations since gated started: after the second, state of before is taken over.
    evaluations: u32,
    /// The first of them.
    first_at: Option<Timestamp>,
}

/// Whether a target of the window stands for a rule.
pub(in crate::engine) const fn is_rule(id: TargetId) -> bool {
    id.0 & RULE_BIT != 0 && id.0 >> 31 == 0
}

impl GroupWatch {
    /// The labels of the alert that a decision was made for.
    pub fn decided(&self, decision: &DecisionId) -> Option<String> {
        let mut handled = self.handled.iter();
        let found = handled.find(|(_, it)| it.decision == *decision);
        found.map(|(labels, _)| labels.to_string())
    }

    /// Whether it is known that no alert with these labels is active. Soon after a start it is not.
    pub fn is_calm(&self, labels: &str) -> bool {
        let active = |rule: &GroupRule| match &rule.kind {
            RuleKind::Alert { alerts, .. } => {
                alerts.active().any(|it| it.labels.to_string() == labels)
            }
            RuleKind::Record => false,
        };
        self.evaluations >= 2 && !self.group.rules.iter().any(active)
    }

    /// One evaluation. Tells of every rule that fails from here on, or can be evaluated again.
    fn eval(
        &mut self,
        window: &mut Window,
        slot: Timestamp,
        world: &World<'_>,
        out: &mut Vec<Effect>,
    ) {
        if self.missed > 0 {
            out.push(Effect::Tell(Event::SlotsMissed {
                group: self.group.name.clone(),
                slots: std::mem::take(&mut self.missed),
            }));
        }
        let rules = self.group.rules.iter();
        let failed: Vec<bool> = rules.map(|it| it.health.why().is_some()).collect();
        self.group.eval(window, slot, world);
        self.first_at.get_or_insert(slot);
        self.evaluations += 1;
        for (rule, failed) in self.group.rules.iter().zip(failed) {
            let (group, name) = (self.group.name.clone(), rule.name.clone());
            match (failed, rule.health.why()) {
                (false, Some(why)) => out.push(Effect::Tell(Event::RuleFailed {
                    group,
                    rule: name,
                    why: why.to_owned(),
                })),
                (true, None) => out.push(Effect::Tell(Event::RuleWell { group, rule: name })),
                (false, None) | (true, Some(_)) => {}
            }
        }
    }
}

impl Engine {
    /// Makes the groups anew from the rules, carrying on the state of what stayed alike.
    pub(in crate::engine) fn compile_groups(&mut self, at: Timestamp) {
        let rules = Arc::clone(&self.settings.rules);
        let mut before = std::mem::take(&mut self.groups);
        for spec in &rules.groups {
            let (mut group, asks) = self.made(spec);
            // As in Prometheus: a group that a reload adds takes nothing over.
            group.restored = true;
            let mut watch = GroupWatch {
                group,
                asks,
                handled: BTreeMap::new(),
                kept: Kept::default(),
                slot_at: at,
                missed: 0,
                evaluations: 0,
                first_at: None,
            };
            let alike =
                |old: &GroupWatch| (&old.group.name, &old.group.file) == (&spec.name, &spec.file);
            if let Some(place) = before.iter().position(alike) {
                let old = before.remove(place);
                (watch.slot_at, watch.missed) = (old.slot_at, old.missed);
                watch.evaluations = old.evaluations;
                watch.first_at = old.first_at;
                watch.handled = old.handled;
                watch.kept = old.kept;
                let targets: Vec<TargetId> = old.group.targets().collect();
                watch.group.carry_on(old.group);
                for target in targets {
                    if !watch.group.targets().any(|kept| kept == target) {
                        self.window.remove_target(target, at);
                    }
                }
            }
            self.groups.push(watch);
        }
        for gone in before {
            for target in gone.group.targets() {
                self.window.remove_target(target, at);
            }
        }
    }

    /// After a start: what was active before is taken over, once it is known what is active.
    pub(in crate::engine) fn await_restored(&mut self) {
        for watch in &mut self.groups {
            watch.group.restored = false;
        }
    }

    fn made(&mut self, spec: &RuleGroup) -> (Group, Vec<Option<AlertRule>>) {
        let interval = spec.interval.unwrap_or(INTERVAL_DEFAULT);
        let shift = Group::shift_of(&spec.name, &spec.file, interval);
        let mut group = Group::new(&spec.name, &spec.file, interval, shift);
        group.query_offset = spec.query_offset.unwrap_or_default();
        group.limit = spec.limit;
        let mut asks = Vec::with_capacity(spec.rules.len());
        for rule in &spec.rules {
            let target = TargetId(RULE_BIT | self.rule_targets);
            self.rule_targets += 1;
            let (made, asked) = match &rule.kind {
                GroupRuleKind::Record => {
                    let labels = rule.labels.clone();
                    (
                        GroupRule::record(&rule.name, &rule.expr, labels, target),
                        None,
                    )
                }
                GroupRuleKind::Alert(alert) => {
                    let timing = AlertTiming {
                        hold: alert.hold,
                        keep_firing_for: alert.keep_firing_for,
                    };
                    let texts = (rule.labels.clone(), alert.annotations.clone());
                    let made = GroupRule::alert(&rule.name, &rule.expr, timing, texts, target);
                    (made, Some(alert.clone()))
                }
            };
            group.rules.push(made);
            asks.push(asked);
        }
        (group, asks)
    }

    /// The next slot of any group.
    pub(in crate::engine) fn next_group_slot(&self) -> Option<Timestamp> {
        let slots = self.groups.iter();
        slots
            .map(|watch| watch.group.next_slot(watch.slot_at))
            .min()
    }

    /// Whether a slot is missed, as in Prometheus, and not evaluated late over what was seen before.
    ///
    /// When gated was stopped or its machine slept, an input says so before the slots of that time come. They are
    /// missed, and so are those after it while a target is overdue that has not been heard since, whether it answers or
    /// not: what they would find is old, and something may be done about it. Only inputs count and no wake does, so a
    /// replay misses the same slots.
    fn misses(&self, slot: Timestamp) -> bool {
        let overdue = |until: Timestamp| {
            let mut targets = self.targets.values().filter(|it| it.heard_at < until);
            targets.any(|it| it.heard_at + it.info.interval * 2 < slot)
        };
        self.slept
            .is_some_and(|until| slot < until || overdue(until))
    }

    /// Evaluates every group whose slot has come.
    pub(in crate::engine) fn eval_groups(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let external = self.external_labels();
        let url = self.settings.external_url.clone().unwrap_or_default();
        let interest = Arc::clone(&self.interest);
        let world = World {
            external_labels: &external,
            external_url: &url,
            span: &|labels| interest.span(labels).unwrap_or_default(),
            kept: &|expr| interest.covers(expr),
        };
        let missed: Vec<bool> = (self.groups.iter())
            .map(|watch| self.misses(watch.group.next_slot(watch.slot_at)))
            .collect();
        let mut evaluated = Vec::new();
        for (index, watch) in self.groups.iter_mut().enumerate() {
            let slot = watch.group.next_slot(watch.slot_at);
            if slot > at {
                continue;
            }
            watch.slot_at = slot;
            if missed[index] {
                watch.missed += 1;
                continue;
            }
            watch.eval(&mut self.window, slot, &world, out);
            self.evaluations += watch.group.rules.len() as u64;
            self.evaluation_failures += watch.group.unhealthy().count() as u64;
            if watch.evaluations >= 2 && !watch.group.restored {
                watch.restore(&self.before, slot);
            }
            watch.record_alerts(slot, out);
            evaluated.push((index, slot));
        }
        for (index, slot) in &evaluated {
            self.send_group(*index, *slot, &external, out);
            self.decide_alerts(*index, at, out);
        }
        if evaluated.is_empty() {
            return;
        }
        self.groups_shown = self.groups.iter().map(shown).collect();
        let reads_rules =
            |watch: &SignalWatch| watch.targets().iter().any(|target| is_rule(*target));
        if self.signals.iter().any(reads_rules) {
            self.judge(at, None, out);
        } else {
            self.conclude(at, out);
        }
    }

    /// A dry run looks once and for a short while: its groups are evaluated with every scrape that lands.
    pub(in crate::engine) fn preview_groups(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let external = self.external_labels();
        let interest = Arc::clone(&self.interest);
        let world = World {
            external_labels: &external,
            external_url: "",
            span: &|labels| interest.span(labels).unwrap_or_default(),
            kept: &|expr| interest.covers(expr),
        };
        for watch in &mut self.groups {
            if watch.group.evaluated_at.is_none_or(|last| last < at) {
                watch.eval(&mut self.window, at, &world, out);
            }
        }
    }

    /// What `$externalLabels` are, and what alerts carry where they do not say otherwise.
    fn external_labels(&self) -> Labels {
        let own = [
            ("service", &self.settings.service),
            ("environment", &self.settings.environment),
        ];
        let own = own.into_iter().map(|(name, value)| (name, value.as_str()));
        let more = self.settings.labels.iter();
        Labels::new(
            more.map(|(name, value)| (name.as_str(), value.as_str()))
                .chain(own)
                .filter(|(_, value)| !value.is_empty()),
        )
    }
}
