//! What happened, one line each, in the words that every format shares.

use std::time::Duration;

use super::Shown;
use crate::engine::Event;
use crate::model::{Action, Decision, Helped, Status, Timestamp, Unit, Verdict};
use crate::run::spelled;
use crate::runbook::{Condition, When};

/// How grave a line is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Warn,
    Bad,
}

/// One line of the timeline.
#[derive(Clone, Debug)]
pub struct Line {
    pub at: Timestamp,
    pub tone: Tone,
    pub word: &'static str,
    pub text: String,
}

/// Every event that people want to see, oldest first.
pub fn lines(shown: &Shown<'_>) -> Vec<Line> {
    let events = shown.outcome.events.iter();
    let told = events.filter_map(|(at, event)| {
        let (tone, word, text) = line(event, shown)?;
        Some(Line {
            at: *at,
            tone,
            word,
            text,
        })
    });
    told.collect()
}

/// What a decision did, in one word.
pub fn deed(decision: &Decision) -> &'static str {
    if decision.is_tried() {
        return "would have";
    }
    match decision.action {
        Action::Rollback => "ROLLBACK",
        Action::Escalate => "ESCALATE",
        Action::Notify => "notify",
    }
}

/// Why it was decided, and what was asked where that is something else.
pub fn why(decision: &Decision) -> String {
    let reason = &decision.reason;
    if decision.is_tried() {
        let would = match decision.asked {
            Action::Rollback => "rolled back",
            Action::Escalate => "called people",
            Action::Notify => "told people",
        };
        return format!("{would}: {reason}");
    }
    match decision.refused_by {
        Some(guard) => format!("{reason} ({guard})"),
        None => reason.clone(),
    }
}

pub fn tone(decision: &Decision) -> Tone {
    match decision.action {
        _ if decision.is_tried() => Tone::Warn,
        Action::Rollback => Tone::Bad,
        Action::Escalate => Tone::Warn,
        Action::Notify => Tone::Plain,
    }
}

#[allow(clippy::too_many_lines, reason = "one arm an event, nothing else")]
fn line(event: &Event, shown: &Shown<'_>) -> Option<(Tone, &'static str, String)> {
    use Tone::{Bad, Good, Plain, Warn};
    let told = |trigger: &str, series: &str, value: Option<f64>| {
        let value = value.map(|it| unit_of(shown, trigger).show(it));
        let of = |text: &str| {
            if text.is_empty() {
                String::new()
            } else {
                format!(" for {text}")
            }
        };
        let now = value.map_or_else(String::new, |it| format!(", now {it}"));
        (of(series), now)
    };
    Some(match event {
        Event::RolloutBegan(it) => {
            let before = it.previous_version.as_deref().unwrap_or("unknown");
            let how = if it.told {
                ""
            } else {
                ", found from the version label"
            };
            let text = format!("{} goes live (before it: {before}{how})", it.version);
            (Plain, "rollout", text)
        }
        Event::RolloutEnded(it) => {
            let how = it.end.map_or("over", |(_, how)| how.word());
            (Plain, "rollout", format!("{} is {how}", it.version))
        }
        Event::Settled { .. } => (Plain, "settled", "triggers are judged from here on".into()),
        Event::PhaseEntered { phase, title } => {
            let title = if title == phase {
                String::new()
            } else {
                format!(": {title}")
            };
            (Plain, "phase", format!("{phase}{title}"))
        }
        Event::PhaseEnded { phase, outcome } => {
            (Plain, "phase", format!("{phase} is over: {outcome}"))
        }
        Event::TargetUp { instance } => (Good, "target", format!("{instance} answers again")),
        Event::TargetDown { instance, error } => {
            (Warn, "target", format!("{instance}: {}", error.text))
        }
        Event::ReadingChanged {
            signal, to, why, ..
        } => match to.value() {
            Some(_) => (Plain, "reading", format!("{signal} has a value")),
            None => (Warn, "reading", format!("{signal} has none: {why}")),
        },
        Event::TriggerPending {
            trigger,
            series,
            value,
            condition,
            hold,
        } => {
            let (of, now) = told(trigger, series, *value);
            let after = match *hold {
                Duration::ZERO => String::new(),
                hold => format!("; fires after {}", spelled(hold)),
            };
            (
                Warn,
                "pending",
                format!("{trigger}: {condition}{of}{now}{after}"),
            )
        }
        Event::TriggerCalmed {
            trigger,
            series,
            value,
        } => {
            let (of, now) = told(trigger, series, *value);
            (Plain, "calm", format!("{trigger}{of}{now}"))
        }
        Event::TriggerFiring {
            trigger,
            series,
            value,
            condition,
            held_for,
        } => {
            let (of, now) = told(trigger, series, *value);
            let held = match *held_for {
                Duration::ZERO => String::new(),
                held => format!(
                    " for {}",
                    spelled(Duration::from_secs(held.as_secs().max(1)))
                ),
            };
            (
                Bad,
                "fires",
                format!("{trigger}: {condition}{of}{held}{now}"),
            )
        }
        Event::TriggerResolved {
            trigger,
            series,
            value,
        } => {
            let (of, now) = told(trigger, series, *value);
            (Good, "resolved", format!("{trigger}{of}{now}"))
        }
        Event::Decided(it) => (tone(it), deed(it), why(it)),
        Event::DeliveryAttempt {
            receiver, attempt, ..
        } => (Plain, "asks", format!("{receiver}, attempt {attempt}")),
        Event::DeliverySucceeded {
            receiver, status, ..
        } => (Plain, "delivered", format!("{receiver} answered {status}")),
        Event::DeliveryFailed {
            receiver, reason, ..
        } => (Warn, "undelivered", format!("{receiver}: {reason}")),
        Event::DeliveryCancelled { receiver, why, .. } => {
            (Warn, "cancelled", format!("{receiver}: {why}"))
        }
        Event::ReceiverGone { receiver } => (Bad, "gone", format!("{receiver} answered 410")),
        Event::IncidentOpened(it) => {
            let text = format!("{} opens: {}", it.severity, it.reason);
            (Warn, "incident", text)
        }
        Event::IncidentWorse(it) => {
            let text = format!("is {} now: {}", it.severity, it.reason);
            (Warn, "incident", text)
        }
        Event::IncidentCalled {
            level,
            role,
            receivers,
            ..
        } => {
            let whom = role.clone().unwrap_or_else(|| receivers.join(", "));
            let whom = if whom.is_empty() {
                "nobody: no receiver is configured".to_owned()
            } else {
                whom
            };
            (Warn, "calls", format!("{whom} (level {level})"))
        }
        Event::IncidentAcknowledged { by, .. } => (Plain, "incident", format!("{by} has it")),
        Event::IncidentBreached {
            severity, within, ..
        } => {
            let text = format!(
                "nobody has acknowledged the {severity} within {}",
                spelled(*within)
            );
            (Bad, "incident", text)
        }
        Event::IncidentResolved { how, .. } => (Good, "incident", format!("is resolved: {how}")),
        Event::VerdictChanged {
            to: (verdict, status),
            reasons,
            ..
        } => {
            let tone = match (verdict, status) {
                (Verdict::NoGo, _) => Bad,
                (Verdict::Unknown, _) | (Verdict::Go, Status::Amber) => Warn,
                (Verdict::Go, _) => Good,
            };
            let reason = reasons
                .first()
                .map_or_else(String::new, |it| format!(": {it}"));
            (tone, "verdict", format!("{verdict} ({status}){reason}"))
        }
        Event::RollbackWatched { helped, reason, .. } => {
            let tone = if *helped == Helped::Verified {
                Good
            } else {
                Bad
            };
            (tone, "watched", reason.clone())
        }
        Event::NotRecorded { action, reason, .. } => {
            (Bad, "unrecorded", format!("{action}: {reason}"))
        }
        Event::Said(it) => {
            let text = format!("{} by {}: {}", it.deed, it.said.by, it.said.reason);
            (Plain, "said", text)
        }
        Event::FreezeEnded => (Plain, "said", "the freeze is over".into()),
        Event::RuleFailed { group, rule, why } => (Bad, "rule", format!("{group}/{rule}: {why}")),
        Event::Reloaded => (Plain, "reload", "the configuration was read again".into()),
        // What is said of them changes no decision.
        Event::RuleWell { .. }
        | Event::SlotsMissed { .. }
        | Event::ClockSet(_)
        | Event::Observed(_)
        | Event::Attested(_)
        | Event::ReportFailed { .. } => return None,
    })
}

/// In what a trigger's value is measured.
fn unit_of(shown: &Shown<'_>, trigger: &str) -> Unit {
    let rules = &shown.settings.rules;
    let mut triggers = rules.phases.iter().flat_map(|it| &it.triggers);
    let found = triggers.find(|it| it.name == trigger);
    let signal = found.and_then(|it| match &it.when {
        When::Condition(condition) => first_signal(condition),
        When::Expr(_) => None,
    });
    signal.map_or(Unit::None, |signal| rules.signals[signal].unit)
}

fn first_signal(condition: &Condition) -> Option<usize> {
    match condition {
        Condition::Compare { signal, .. } => Some(*signal),
        Condition::All(parts) | Condition::Any(parts) => parts.iter().find_map(first_signal),
        Condition::Not(part) => first_signal(part),
    }
}
