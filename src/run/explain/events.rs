//! What happened in the minutes around a decision, in a few words each.

use super::asked::Asked;
use crate::engine::Event;
use crate::model::DeliveryKey;

/// `None` for what has nothing to do with it. What becomes of its trigger is seen from the evaluations.
pub(super) fn words(event: &Event, asked: &Asked) -> Option<String> {
    let owed = |key: &DeliveryKey| asked.deliveries.contains(key.as_str());
    Some(match event {
        Event::Decided(it) if it.id.as_str() == asked.id || it.trigger == asked.trigger => {
            match it.refused_by {
                None => format!("decided: {}", it.action),
                Some(guard) => format!("decided: {}, refused by {guard}", it.action),
            }
        }
        Event::DeliveryAttempt {
            key,
            receiver,
            attempt,
        } if owed(key) => format!("sent to {receiver}, attempt {attempt}"),
        Event::DeliverySucceeded {
            key,
            receiver,
            status,
            ..
        } if owed(key) => format!("delivered to {receiver} (HTTP {status})"),
        Event::DeliveryFailed {
            key,
            receiver,
            reason,
            ..
        } if owed(key) => format!("not delivered to {receiver}: {reason}"),
        Event::DeliveryCancelled { key, receiver, why } if owed(key) => {
            format!("cancelled for {receiver}: {why}")
        }
        Event::RollbackWatched {
            decision, helped, ..
        } if decision.as_str() == asked.id => format!("rollback {helped}"),
        Event::RolloutBegan(it) => format!("rollout of {} begins", it.version),
        Event::RolloutEnded(it) => {
            let how = it.end.map_or("over", |(_, how)| how.word());
            format!("rollout of {} is {how}", it.version)
        }
        Event::Settled { .. } => "settled".to_owned(),
        Event::PhaseEntered { phase, .. } => format!("phase {phase} begins"),
        Event::TargetUp { instance } => format!("{instance} answers again"),
        Event::TargetDown { instance, error } => format!("{instance}: {}", error.text),
        Event::Said(it) => format!("{}: {} ({})", it.said.by, it.deed, it.said.reason),
        Event::FreezeEnded => "the freeze ends".to_owned(),
        Event::Reloaded => "configuration read again".to_owned(),
        Event::NotRecorded { reason, .. } => format!("not recorded: {reason}"),
        Event::Decided(_)
        | Event::DeliveryAttempt { .. }
        | Event::DeliverySucceeded { .. }
        | Event::DeliveryFailed { .. }
        | Event::DeliveryCancelled { .. }
        | Event::RollbackWatched { .. }
        | Event::ReceiverGone { .. }
        | Event::PhaseEnded { .. }
        | Event::ReadingChanged { .. }
        | Event::TriggerPending { .. }
        | Event::TriggerCalmed { .. }
        | Event::TriggerFiring { .. }
        | Event::TriggerResolved { .. }
        | Event::RuleFailed { .. }
        | Event::RuleWell { .. }
        | Event::SlotsMissed { .. }
        | Event::ClockSet(_)
        | Event::IncidentOpened(_)
        | Event::IncidentWorse(_)
        | Event::IncidentCalled { .. }
        | Event::IncidentAcknowledged { .. }
        | Event::IncidentBreached { .. }
        | Event::IncidentResolved { .. }
        | Event::VerdictChanged { .. }
        | Event::ReportFailed { .. }
        | Event::Observed(_)
        | Event::Attested(_) => return None,
    })
}
