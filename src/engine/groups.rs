//! Prometheus' rule groups in the engine: their slots, what Alertmanager hears of their alerts, what these ask for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Alert;
use super::Effect;
use super::GroupState;
use super::Record;
use super::RestoredAlert;
use super::RuleState;
use super::decide::whole;
use super::engine::Engine;
use super::triggers::Handled;
use crate::model::Action;
use crate::model::Decision;
use crate::model::DecisionId;
use crate::model::Guard;
use crate::model::Labels;
use crate::model::Severity;
use crate::model::TargetId;
use crate::model::Timestamp;
use crate::model::Unit;
use crate::rules::AlertState;
use crate::rules::AlertTiming;
use crate::rules::FOR_GRACE;
use crate::rules::Group;
use crate::rules::GroupRule;
use crate::rules::RuleAlert;
use crate::rules::RuleKind;
use crate::rules::World;
use crate::runbook::AlertRule;
use crate::runbook::GroupRuleKind;
use crate::runbook::RuleGroup;

/// Groups that give no interval are evaluated this often, as in Prometheus.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(60);
/// Alerts that no `[alertmanager]` sets the rhythm of.
const RESEND_DEFAULT: Duration = Duration::from_secs(60);
/// The ledger hears this often that an alert is still active.
const SEEN_EVERY: Duration = Duration::from_secs(60);
/// In front of the numbers of the window's targets that stand for rules. Scraped targets are numbered from zero.
const RULE_BIT: u32 = 1 << 30;

/// A group as the engine follows it.
#[derive(Debug)]
pub(super) struct GroupWatch {
    pub group: Group,
    /// By rule: what an alerting rule says beside its expression; `None` for a recording one.
    asks: Vec<Option<AlertRule>>,
    /// What was decided for alerts that fire on, by rule and labels.
    handled: BTreeMap<(usize, Labels), Handled>,
    /// What the ledger knows of active alerts, by rule and labels, and when it was told last.
    recorded: BTreeMap<(usize, String), RestoredAlert>,
    /// Evaluations since gated started: state is restored after the second.
    evaluations: u32,
    /// The first of them.
    first_at: Option<Timestamp>,
}

/// Whether a target of the window stands for a rule.
pub(super) const fn is_rule(id: TargetId) -> bool {
    id.0 & RULE_BIT != 0 && id.0 >> 31 == 0
}

impl GroupWatch {
    /// Takes over what was active before a restart.
    fn restore(&mut self, before: &[RestoredAlert], at: Timestamp) {
        let (name, file) = (self.group.name.clone(), self.group.file.clone());
        let own: Vec<&RestoredAlert> = before
            .iter()
            .filter(|it| it.group == name && it.file == file)
            .collect();
        let down_at = own.iter().map(|it| it.seen_at).max();
        let active_at = |rule: &str, labels: &Labels| {
            let labels = labels.to_string();
            let found = own.iter().find(|it| it.rule == rule && it.labels == labels);
            found.map(|it| it.active_at)
        };
        self.group.restore(&active_at, down_at, at);
        for it in own {
            let rules = self.group.rules.iter();
            if let Some(place) = rules.enumerate().find(|(_, rule)| rule.name == it.rule) {
                let key = (place.0, it.labels.clone());
                self.recorded.insert(key, it.clone());
            }
        }
    }

    /// A dry run calls an alert firing that was active in every evaluation, of at least three, and does not believe a
    /// rule that reads nothing.
    fn preview(&self, rule: &GroupRule, check: &mut super::Check) {
        let RuleKind::Alert { alerts, .. } = &rule.kind else {
            return;
        };
        let throughout = |alert: &RuleAlert| Some(alert.active_at) == self.first_at;
        let enough = self.evaluations >= super::show::PREVIEW_READINGS_MIN;
        check.outcome = if rule.matched() == 0 {
            check.reason = format!("{}: its selectors match no series", rule.name);
            super::Outcome::Unknown
        } else if enough && alerts.active().any(throughout) {
            super::Outcome::Firing
        } else if alerts.active().next().is_some() {
            super::Outcome::Pending
        } else {
            super::Outcome::Quiet
        };
    }

    /// Tells the ledger which alerts are active whose state a restart would restore.
    fn record_alerts(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        if self.evaluations < 2 {
            return;
        }
        let mut active = std::collections::BTreeSet::new();
        for (place, rule) in self.group.rules.iter().enumerate() {
            let RuleKind::Alert { timing, alerts, .. } = &rule.kind else {
                continue;
            };
            if timing.hold < FOR_GRACE {
                continue;
            }
            for alert in alerts.active() {
                let key = (place, alert.labels.to_string());
                let known = self.recorded.get(&key);
                active.insert(key.clone());
                if known.is_some_and(|it| {
                    it.active_at == alert.active_at && at.since(it.seen_at) < SEEN_EVERY
                }) {
                    continue;
                }
                let record = RestoredAlert {
                    file: self.group.file.clone(),
                    group: self.group.name.clone(),
                    rule: rule.name.clone(),
                    labels: key.1.clone(),
                    active_at: alert.active_at,
                    seen_at: at,
                };
                self.recorded.insert(key, record.clone());
                out.push(Effect::Record(Record::Alert(record)));
            }
        }
        self.recorded.retain(|key, record| {
            let stays = active.contains(key);
            if !stays {
                out.push(Effect::Record(Record::AlertGone(record.clone())));
            }
            stays
        });
    }
}

impl Engine {
    /// Makes the groups anew from the rules, carrying on the state of what stayed alike.
    pub(super) fn compile_groups(&mut self, at: Timestamp) {
        let rules = Arc::clone(&self.settings.rules);
        let mut before = std::mem::take(&mut self.groups);
        for spec in &rules.groups {
            let (group, asks) = self.made(spec);
            let mut watch = GroupWatch {
                group,
                asks,
                handled: BTreeMap::new(),
                recorded: BTreeMap::new(),
                evaluations: 0,
                first_at: None,
            };
            let alike =
                |old: &GroupWatch| (&old.group.name, &old.group.file) == (&spec.name, &spec.file);
            if let Some(place) = before.iter().position(alike) {
                let old = before.remove(place);
                watch.evaluations = old.evaluations;
                watch.first_at = old.first_at;
                // Rules may have other places now; whoever was told is told again at worst.
                watch.handled = old.handled;
                watch.recorded = old.recorded;
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
    pub(super) fn next_group_slot(&self) -> Option<Timestamp> {
        let slots = self.groups.iter().map(|watch| {
            let since = watch.group.evaluated_at.unwrap_or(self.started_at);
            watch.group.next_slot(since.max(self.started_at))
        });
        slots.min()
    }

    /// Evaluates every group whose slot has come.
    pub(super) fn eval_groups(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let external = self.external_labels();
        let url = self.settings.external_url.clone().unwrap_or_default();
        let interest = Arc::clone(&self.interest);
        let span = |labels: &Labels| interest.span(labels).unwrap_or_default();
        let mut groups = std::mem::take(&mut self.groups);
        let mut evaluated = Vec::new();
        for (index, watch) in groups.iter_mut().enumerate() {
            let since = watch.group.evaluated_at.unwrap_or(self.started_at);
            let slot = watch.group.next_slot(since.max(self.started_at));
            if slot > at {
                continue;
            }
            let world = World {
                external_labels: &external,
                external_url: &url,
                span: &span,
            };
            watch.group.eval(&mut self.window, slot, &world);
            watch.first_at.get_or_insert(slot);
            watch.evaluations += 1;
            self.evaluations += watch.group.rules.len() as u64;
            self.evaluation_failures += watch.group.unhealthy().count() as u64;
            if watch.evaluations == 2 {
                watch.restore(&self.alerts_before, slot);
            }
            watch.record_alerts(slot, out);
            evaluated.push((index, slot));
        }
        self.groups = groups;
        for (index, slot) in &evaluated {
            self.send_group(*index, *slot, &external, out);
            self.decide_alerts(*index, at, out);
        }
        if evaluated.is_empty() {
            return;
        }
        self.groups_shown = self.groups.iter().map(shown).collect();
        let reads_rules = |watch: &super::signals::SignalWatch| {
            watch.targets().iter().any(|target| is_rule(*target))
        };
        if self.signals.iter().any(reads_rules) {
            self.judge(at, None, out);
        } else {
            self.conclude(at, out);
        }
    }

    /// A dry run looks once and for a short while: its groups are evaluated with every scrape that lands.
    pub(super) fn preview_groups(&mut self, at: Timestamp) {
        let external = self.external_labels();
        let interest = Arc::clone(&self.interest);
        let span = |labels: &Labels| interest.span(labels).unwrap_or_default();
        let world = World {
            external_labels: &external,
            external_url: "",
            span: &span,
        };
        for watch in &mut self.groups {
            if watch.group.evaluated_at.is_none_or(|last| last < at) {
                watch.group.eval(&mut self.window, at, &world);
                watch.first_at.get_or_insert(at);
                watch.evaluations += 1;
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

    /// Alertmanager hears of what fires, again every `resend`, and of what resolved.
    fn send_group(
        &mut self,
        index: usize,
        at: Timestamp,
        external: &Labels,
        out: &mut Vec<Effect>,
    ) {
        let Some(alerting) = self.settings.alerting else {
            return;
        };
        let resend = if alerting.resend.is_zero() {
            RESEND_DEFAULT
        } else {
            alerting.resend
        };
        let url = self.settings.external_url.clone();
        let watch = &mut self.groups[index];
        let interval = watch.group.interval;
        let mut due = Vec::new();
        // As in Prometheus: a rule whose evaluation failed is not sent again.
        let rules = watch.group.rules.iter_mut();
        for rule in rules.filter(|rule| rule.health.why().is_none()) {
            let graph = generator_url(url.as_deref(), &rule.expr);
            let RuleKind::Alert { alerts, .. } = &mut rule.kind else {
                continue;
            };
            for alert in alerts.iter_mut().filter(|alert| alert.is_due(at, resend)) {
                alert.sent_at = Some(at);
                due.push(Alert {
                    labels: with_external(&alert.labels, external),
                    annotations: alert.annotations.clone(),
                    starts_at: alert.fired_at.unwrap_or(alert.active_at),
                    ends_at: alert.ends_at(at, interval, resend),
                    generator_url: graph.clone(),
                });
            }
        }
        if !due.is_empty() {
            out.push(Effect::Alerts(due));
        }
    }

    /// Decides for every alert that asks for something, fires, and was not dealt with. What a rule said before its
    /// evaluation failed is kept, and nothing is decided on it.
    fn decide_alerts(&mut self, index: usize, at: Timestamp, out: &mut Vec<Effect>) {
        if self.settings.preview.is_some() {
            return;
        }
        let mut due = Vec::new();
        let watch = &mut self.groups[index];
        let mut firing = std::collections::BTreeSet::new();
        for (r, rule) in watch.group.rules.iter().enumerate() {
            let (Some(asked), RuleKind::Alert { alerts, .. }) = (&watch.asks[r], &rule.kind) else {
                continue;
            };
            let Some(action) = asked.action else { continue };
            for alert in alerts.iter().filter(|it| it.state == AlertState::Firing) {
                let key = (r, alert.labels.clone());
                firing.insert(key.clone());
                let open = watch.handled.get(&key).is_none_or(|it| it.is_open(action));
                if open && rule.health.why().is_none() {
                    due.push((key, action, asked.severity, alert.clone()));
                }
            }
        }
        watch.handled.retain(|key, _| firing.contains(key));
        for (key, action, severity, alert) in due {
            // While a rollout settles nothing is decided; what was active before stays so.
            if action == Action::Rollback && self.settle_until.is_some() {
                continue;
            }
            let decision = self.drafted_for_alert(index, key.0, action, severity, &alert, at);
            let handled = Handled {
                decision: decision.id.clone(),
                asked: action,
                refused_by: decision.refused_by,
            };
            let known = self.groups[index].handled.get(&key);
            if known.is_some_and(|it| (it.asked, it.refused_by) == (action, decision.refused_by)) {
                continue;
            }
            self.groups[index].handled.insert(key, handled);
            self.record(decision, true, at, out);
        }
    }

    fn drafted_for_alert(
        &self,
        index: usize,
        rule: usize,
        asked: Action,
        severity: Option<Severity>,
        alert: &RuleAlert,
        at: Timestamp,
    ) -> Decision {
        let expr = &self.groups[index].group.rules[rule].expr;
        let name = alert.labels.get("alertname").unwrap_or_default().to_owned();
        let active = self.active_phases(at);
        let phase = active.first().map(|p| &self.settings.rules.phases[*p]);
        let (phase, armed) = phase.map_or(("", false), |phase| (&*phase.name, phase.armed));
        let settled = self.settled_at();
        let predates = settled.filter(|settled| alert.active_at < *settled);
        let guards = self.guards_for(asked, predates, phase, armed);
        let refusal = guards.last().filter(|answer| !answer.passed);
        let refused_by = refusal.map(|answer| answer.guard);
        let action = match (asked, refused_by) {
            (Action::Rollback, Some(_)) => Action::Escalate,
            (action, _) => action,
        };
        let rollout = self.rollouts.current();
        let labels = alert.labels.to_string();
        let fired_at = alert.fired_at.unwrap_or(at);
        let id = match (action, rollout) {
            (Action::Rollback, Some(rollout)) => {
                DecisionId::rollback(&rollout.service, &rollout.environment, &rollout.id)
            }
            _ => self.id_of_other(&[
                &name,
                &labels,
                action.word(),
                refused_by.map_or("", Guard::word),
                &fired_at.millis().to_string(),
            ]),
        };
        let held_for = at.since(alert.active_at);
        let held = match held_for {
            Duration::ZERO => String::new(),
            held_for => format!(" held for {}", whole(held_for)),
        };
        let summary = alert.annotations.get("summary");
        let summary = summary.map_or_else(String::new, |text| format!(" ({text})"));
        let refused = refusal.map(|answer| format!("; no rollback: {}", answer.note));
        let reason = format!(
            "{name}: {expr} for {labels}{held}, now {}{summary}{}",
            alert.value,
            refused.unwrap_or_default()
        );
        Decision {
            id,
            at,
            action,
            asked,
            refused_by,
            guards,
            trigger: name,
            rollout: rollout.map(|rollout| rollout.id.clone()),
            phase: phase.to_owned(),
            severity: severity.unwrap_or(Severity::P2),
            signal: None,
            value: Some(alert.value),
            unit: Unit::None,
            condition: expr.clone(),
            expr: expr.clone(),
            held_for,
            reason,
        }
    }

    /// Rules whose last evaluation failed, and alerts that ask for something: what the verdict hears of the groups.
    pub(super) fn group_checks(&self) -> Vec<super::Check> {
        let mut checks = Vec::new();
        for watch in &self.groups {
            for (rule, asked) in watch.group.rules.iter().zip(&watch.asks) {
                let why = rule.health.why();
                let asks = asked.as_ref().is_some_and(|it| it.action.is_some());
                if why.is_none() && !asks {
                    continue;
                }
                let mut check = check(rule, why);
                if self.settings.preview.is_some() && why.is_none() {
                    watch.preview(rule, &mut check);
                }
                checks.push(check);
            }
        }
        checks
    }
}

fn check(rule: &GroupRule, why: Option<&str>) -> super::Check {
    let firing = |it: &&RuleAlert| it.state == AlertState::Firing;
    let active: Vec<&RuleAlert> = match &rule.kind {
        RuleKind::Alert { alerts, .. } => alerts.active().collect(),
        RuleKind::Record => Vec::new(),
    };
    let speaker = active
        .iter()
        .copied()
        .find(firing)
        .or(active.first().copied());
    let outcome = match (speaker.map(|it| it.state), why) {
        (_, Some(_)) => super::Outcome::Unknown,
        (Some(AlertState::Firing), None) => super::Outcome::Firing,
        (Some(AlertState::Pending | AlertState::Resolved { .. }), None) => super::Outcome::Pending,
        (None, None) => super::Outcome::Quiet,
    };
    let reason = match (why, speaker) {
        (Some(why), _) => format!("{}: {why}", rule.name),
        (None, Some(it)) => format!("{}: {}, now {}", rule.name, rule.expr, it.value),
        (None, None) => String::new(),
    };
    let reading = match (why, speaker) {
        (Some(_), _) => crate::model::Reading::SourceError,
        (None, Some(it)) => crate::model::Reading::Value(it.value),
        (None, None) => crate::model::Reading::Empty,
    };
    super::Check {
        name: rule.name.clone(),
        signal: String::new(),
        role: super::Role::Trigger,
        reading,
        unit: Unit::None,
        condition: rule.expr.clone(),
        thresholds: BTreeMap::new(),
        outcome,
        reason,
    }
}

fn shown(watch: &GroupWatch) -> GroupState {
    let group = &watch.group;
    let rules = group.rules.iter().map(|rule| RuleState {
        name: rule.name.clone(),
        expr: rule.expr.clone(),
        labels: rule.labels.clone(),
        health: rule.health.clone(),
        evaluated_at: rule.evaluated_at,
        alerting: match &rule.kind {
            RuleKind::Record => None,
            RuleKind::Alert {
                timing,
                annotations,
                alerts,
                ..
            } => Some(super::AlertingState {
                hold: timing.hold,
                keep_firing_for: timing.keep_firing_for,
                annotations: annotations.clone(),
                alerts: alerts.active().cloned().collect(),
            }),
        },
    });
    GroupState {
        name: group.name.clone(),
        file: group.file.clone(),
        interval: group.interval,
        limit: group.limit,
        evaluated_at: group.evaluated_at,
        rules: rules.collect(),
    }
}

/// An alert's own labels win.
fn with_external(labels: &Labels, external: &Labels) -> BTreeMap<String, String> {
    let both = external.iter().chain(labels.iter());
    both.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Where a person sees the expression drawn, as Prometheus writes it.
fn generator_url(external: Option<&str>, expr: &str) -> String {
    use std::fmt::Write as _;
    let mut query = String::with_capacity(expr.len() * 2);
    for byte in expr.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                query.push(char::from(byte));
            }
            b' ' => query.push('+'),
            other => {
                let _ = write!(query, "%{other:02X}");
            }
        }
    }
    let external = external.unwrap_or("http://localhost");
    format!("{external}/graph?g0.expr={query}&g0.tab=1")
}
