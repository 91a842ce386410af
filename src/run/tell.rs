//! What happened, as log lines: fields over sentences, each event once.

use tracing::error;
use tracing::info;
use tracing::warn;

use crate::engine::Event;
use crate::model::Action;
use crate::model::Helped;
use crate::model::PhaseOutcome;
use crate::model::Verdict;

/// Logs one event at the level it deserves.
#[allow(clippy::too_many_lines, reason = "one arm an event, nothing else")]
pub(super) fn log(event: &Event) {
    match event {
        Event::TargetUp { instance } => info!(instance, "target answers again"),
        Event::TargetDown { instance, error } => warn!(instance, %error, "scrape failed"),
        Event::RolloutBegan(rollout) => {
            let (id, version) = (rollout.id.as_str(), rollout.version.as_str());
            let previous = rollout.previous_version.as_deref().unwrap_or("unknown");
            info!(
                rollout = id,
                version,
                previous,
                told = rollout.told,
                "rollout began"
            );
        }
        Event::RolloutEnded(rollout) => {
            let how = rollout.end.map_or("", |(_, how)| how.word());
            info!(
                rollout = rollout.id.as_str(),
                version = rollout.version,
                how,
                "rollout ended"
            );
        }
        Event::Settled { rollout } => info!(rollout, "settled; triggers are judged from here on"),
        Event::PhaseEntered { phase, title } => info!(phase, title, "phase entered"),
        Event::PhaseEnded {
            phase,
            outcome: PhaseOutcome::NotEvaluated,
        } => warn!(phase, "the phase went by and nothing was judged in it"),
        Event::PhaseEnded { phase, outcome } => {
            info!(phase, outcome = outcome.word(), "phase over");
        }
        Event::ClockSet(wall) => warn!(
            ahead_millis = wall.ahead_millis(),
            "the wall clock was set while gated ran: phases after the go-live and quiet hours follow it"
        ),
        Event::ReadingChanged {
            signal,
            from,
            to,
            why,
        } => {
            info!(
                signal,
                from = from.word(),
                to = to.word(),
                value = to.value(),
                why,
                "reading changed"
            );
        }
        Event::TriggerPending {
            trigger,
            series,
            value,
            condition,
            hold,
        } => {
            let hold = humantime::format_duration(*hold);
            info!(trigger, series, value, condition, %hold, "trigger pending");
        }
        Event::TriggerCalmed {
            trigger,
            series,
            value,
        } => info!(trigger, series, value, "trigger calm again"),
        Event::TriggerFiring {
            trigger,
            series,
            value,
            condition,
            held_for,
        } => {
            let held_for = humantime::format_duration(*held_for);
            warn!(trigger, series, value, condition, %held_for, "trigger fires");
        }
        Event::TriggerResolved {
            trigger,
            series,
            value,
        } => info!(trigger, series, value, "trigger resolved"),
        Event::RuleFailed { group, rule, why } => warn!(group, rule, why, "rule failed"),
        Event::RuleWell { group, rule } => info!(group, rule, "rule is evaluated again"),
        Event::SlotsMissed { group, slots } => {
            warn!(group, slots, "rule group iterations missed");
        }
        Event::Decided(decision) => {
            let refused_by = decision.refused_by.map_or("", |guard| guard.word());
            let (id, action) = (decision.id.as_str(), decision.action.word());
            let (asked, severity) = (decision.asked.word(), decision.severity.word());
            let (trigger, reason) = (decision.trigger.as_str(), decision.reason.as_str());
            match decision.action {
                Action::Rollback | Action::Escalate => {
                    warn!(
                        decision_id = id,
                        action, asked, refused_by, severity, trigger, reason, "decided"
                    );
                }
                Action::Notify => info!(
                    decision_id = id,
                    action, severity, trigger, reason, "decided"
                ),
            }
        }
        Event::DeliveryAttempt {
            key,
            receiver,
            attempt,
        } => {
            info!(
                delivery_id = key.as_str(),
                receiver, attempt, "delivery attempt"
            );
        }
        Event::DeliverySucceeded {
            key,
            receiver,
            attempt,
            status,
        } => {
            info!(
                delivery_id = key.as_str(),
                receiver, attempt, status, "delivered"
            );
        }
        Event::DeliveryFailed {
            key,
            receiver,
            attempt,
            reason,
            next,
        } => {
            let next = next.map(|next| next.to_string());
            warn!(
                delivery_id = key.as_str(),
                receiver, attempt, reason, next, "delivery failed"
            );
        }
        Event::DeliveryCancelled { key, receiver, why } => {
            warn!(
                delivery_id = key.as_str(),
                receiver, why, "delivery cancelled"
            );
        }
        Event::Said(audit) => {
            let (subject, until) = (&audit.subject, audit.until.map(|it| it.to_string()));
            let (by, reason) = (&audit.said.by, &audit.said.reason);
            warn!(deed = audit.deed.word(), by, reason, subject, until, "said");
        }
        Event::Observed(it) => {
            let (series, until) = (it.labels.to_string(), it.until.to_string());
            info!(series, value = it.value, until, by = it.by, "observed");
        }
        Event::ReportFailed { kind, date, reason } => {
            warn!(
                kind,
                date, reason, "a report could not be made or kept; it is tried again for a week"
            );
        }
        Event::Attested(it) => {
            let note = it.note.as_deref();
            info!(item = it.item, done = it.done, by = it.by, note, "attested");
        }
        Event::FreezeEnded => warn!("the freeze is over; rollbacks are decided again"),
        Event::RollbackWatched {
            decision,
            helped,
            reason,
        } => {
            let decision = decision.as_str();
            match helped {
                Helped::Verified => info!(decision, reason, "rollback verified"),
                Helped::Ineffective => error!(decision, reason, "rollback ineffective"),
                Helped::Unverified => warn!(decision, reason, "rollback unverified"),
            }
        }
        Event::ReceiverGone { receiver } => error!(
            receiver,
            "the receiver answered 410 and is sent nothing more until the configuration is read again"
        ),
        Event::IncidentOpened(it) => {
            let (id, severity) = (it.id.as_str(), it.severity.word());
            let (signal, reason) = (it.signal.as_str(), it.reason.as_str());
            warn!(
                incident_id = id,
                severity, signal, reason, "incident opened"
            );
        }
        Event::IncidentWorse(it) => {
            let (id, severity) = (it.id.as_str(), it.severity.word());
            let reason = it.reason.as_str();
            warn!(
                incident_id = id,
                severity, reason, "incident is worse; its path begins again"
            );
        }
        Event::IncidentCalled {
            id,
            level,
            role,
            receivers,
        } => {
            let (role, receivers) = (role.as_deref().unwrap_or_default(), receivers.join(", "));
            warn!(
                incident_id = id.as_str(),
                level, role, receivers, "level called"
            );
        }
        Event::IncidentAcknowledged { id, by } => {
            info!(incident_id = id.as_str(), by, "incident acknowledged");
        }
        Event::IncidentBreached {
            id,
            severity,
            within,
        } => {
            let (severity, within) = (severity.word(), humantime::format_duration(*within));
            error!(incident_id = id.as_str(), severity, %within, "nobody acknowledged the incident in time");
        }
        Event::IncidentResolved { id, how } => {
            info!(incident_id = id.as_str(), how, "incident resolved");
        }
        Event::VerdictChanged { from, to, reasons } => {
            let (from, verdict, status) = (from.1.word(), to.0, to.1.word());
            let reason = reasons.first().map_or("", String::as_str);
            match verdict {
                Verdict::Go => info!(from, status, "verdict: go"),
                Verdict::NoGo => warn!(from, status, reason, "verdict: no go"),
                Verdict::Unknown => warn!(from, status, reason, "verdict: unknown"),
            }
        }
        Event::NotRecorded {
            action,
            refused_by,
            reason,
        } => {
            error!(
                action = action.word(),
                refused_by = refused_by.word(),
                reason,
                "not recorded, so not sent"
            );
        }
        Event::Reloaded => info!("configuration reloaded"),
    }
}
