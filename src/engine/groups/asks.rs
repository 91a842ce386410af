//! What the alerts of Prometheus' rules ask for: decided under the same guards as a trigger's, and told to the verdict.

use std::collections::BTreeMap;
use std::time::Duration;

use super::GroupWatch;
use crate::engine::Check;
use crate::engine::Effect;
use crate::engine::Outcome;
use crate::engine::Role;
use crate::engine::decide::whole;
use crate::engine::engine::Engine;
use crate::engine::show::PREVIEW_READINGS_MIN;
use crate::engine::triggers::Handled;
use crate::gate::Before;
use crate::model::Action;
use crate::model::Decision;
use crate::model::DecisionId;
use crate::model::Guard;
use crate::model::Reading;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::model::Unit;
use crate::rules::AlertState;
use crate::rules::GroupRule;
use crate::rules::RuleAlert;
use crate::rules::RuleKind;

impl GroupWatch {
    /// A dry run calls an alert firing that was active in every evaluation, of at least three, and does not believe a
    /// rule that reads nothing.
    fn preview(&self, rule: &GroupRule, check: &mut Check) {
        let RuleKind::Alert { alerts, .. } = &rule.kind else {
            return;
        };
        let throughout = |alert: &RuleAlert| Some(alert.active_at) == self.first_at;
        let enough = self.evaluations >= PREVIEW_READINGS_MIN;
        check.outcome = if rule.matched() == 0 {
            check.reason = format!("{}: its selectors match no series", rule.name);
            Outcome::Unknown
        } else if enough && alerts.active().any(throughout) {
            Outcome::Firing
        } else if alerts.active().next().is_some() {
            Outcome::Pending
        } else {
            Outcome::Quiet
        };
    }
}

impl Engine {
    /// Decides for every alert that asks for something, fires, and was not dealt with. What a rule said before its
    /// evaluation failed is kept, and nothing is decided on it.
    pub(super) fn decide_alerts(&mut self, index: usize, at: Timestamp, out: &mut Vec<Effect>) {
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
                firing.insert(alert.labels.clone());
                let open = watch
                    .handled
                    .get(&alert.labels)
                    .is_none_or(|it| it.is_open(action));
                if open && rule.health.why().is_none() {
                    due.push((r, action, asked.severity, alert.clone()));
                }
            }
        }
        watch.handled.retain(|labels, _| firing.contains(labels));
        for (rule, action, severity, alert) in due {
            // While a rollout settles nothing is decided; what was active before stays so.
            if action == Action::Rollback && self.settle_until.is_some() {
                continue;
            }
            let decision = self.drafted_for_alert(index, rule, action, severity, &alert, at);
            let handled = Handled {
                decision: decision.id.clone(),
                asked: action,
                refused_by: decision.refused_by,
            };
            let known = self.groups[index].handled.get(&alert.labels);
            if known.is_some_and(|it| (it.asked, it.refused_by) == (action, decision.refused_by)) {
                continue;
            }
            self.groups[index].handled.insert(alert.labels, handled);
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
        let since = self.groups[index].since(alert, &self.before);
        let before = match settled.filter(|settled| since < *settled) {
            None => Before::No("it began after the rollout had settled".to_owned()),
            Some(settled) => Before::Yes(format!(
                "it predates the rollout: it was active before that had settled at {settled}"
            )),
        };
        let guards = self.guards_for(asked, &before, phase, armed, at);
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
    pub(in crate::engine) fn group_checks(&self) -> Vec<Check> {
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

fn check(rule: &GroupRule, why: Option<&str>) -> Check {
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
        (_, Some(_)) => Outcome::Unknown,
        (Some(AlertState::Firing), None) => Outcome::Firing,
        (Some(AlertState::Pending | AlertState::Resolved { .. }), None) => Outcome::Pending,
        (None, None) => Outcome::Quiet,
    };
    let reason = match (why, speaker) {
        (Some(why), _) => format!("{}: {why}", rule.name),
        (None, Some(it)) => format!("{}: {}, now {}", rule.name, rule.expr, it.value),
        (None, None) => String::new(),
    };
    let reading = match (why, speaker) {
        (Some(_), _) => Reading::SourceError,
        (None, Some(it)) => Reading::Value(it.value),
        (None, None) => Reading::Empty,
    };
    Check {
        name: rule.name.clone(),
        signal: String::new(),
        role: Role::Trigger,
        reading,
        unit: Unit::None,
        condition: rule.expr.clone(),
        thresholds: BTreeMap::new(),
        expected: false,
        shadow: false,
        outcome,
        reason,
    }
}
