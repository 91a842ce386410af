//! What the ledger could not take and is true all the same: it is recorded again, as it is by then, all of it together.
//!
//! Whatever rests on a row that is not there yet must not be recorded before it: an incident stands for people who were
//! told, a thaw comes after its freeze, the next rollout after the end of the one before. So nothing goes before this.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::time::Duration;

use super::Effect;
use super::Event;
use super::Record;
use super::RestoredTrigger;
use super::decide::BLIND;
use super::engine::Engine;
use crate::model::Action;
use crate::model::Decision;
use crate::model::DecisionId;
use crate::model::Delivery;
use crate::model::DeliveryKey;
use crate::model::DeliveryState;
use crate::model::Guard;
use crate::model::IncidentId;
use crate::model::Labels;
use crate::model::Minute;
use crate::model::Notice;
use crate::model::RolloutId;
use crate::model::Timestamp;

/// A ledger that failed is tried again after this long.
const AGAIN: Duration = Duration::from_secs(5);
/// Minutes that wait; older ones are unknown from then on.
const MINUTES_MAX: usize = 1440;

#[derive(Debug, Default)]
pub(super) struct Unrecorded {
    /// When all of it is recorded again.
    at: Option<Timestamp>,
    rollouts: BTreeSet<RolloutId>,
    verifications: BTreeSet<DecisionId>,
    incidents: BTreeSet<IncidentId>,
    /// By name and beginning.
    phase_runs: BTreeSet<(String, Timestamp)>,
    /// Of new ones with what they say.
    deliveries: BTreeMap<DeliveryKey, Option<Box<Notice>>>,
    /// Name and series.
    triggers: BTreeSet<(String, String)>,
    /// What happened at a moment and stays as it was.
    facts: Vec<Record>,
    observations: BTreeSet<Labels>,
    /// The newest.
    minutes: VecDeque<Minute>,
}

impl Unrecorded {
    pub fn due(&self) -> Option<Timestamp> {
        self.at
    }

    fn keep_minute(&mut self, minute: Minute) {
        self.minutes.push_back(minute);
        if self.minutes.len() > MINUTES_MAX {
            self.minutes.pop_front();
        }
    }

    /// Until when a delivery that the ledger has no row of is not sent.
    pub fn waits(&self, key: &DeliveryKey) -> Option<Timestamp> {
        let is_new = self.deliveries.get(key).is_some_and(Option::is_some);
        self.at.filter(|_| is_new)
    }
}

impl Engine {
    /// The ledger could not commit: what is not recorded is not sent. Decisions are taken back, to be judged again
    /// while their trigger fires; the rest stays true.
    pub(super) fn not_recorded(
        &mut self,
        records: Vec<Record>,
        reason: &str,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.unrecorded.at.get_or_insert(at + AGAIN);
        for record in records {
            let known = &mut self.unrecorded;
            match record {
                Record::Decision(decision) => self.take_back(&decision, reason, out),
                Record::Owed(delivery, notice) => {
                    // Decided again, it opened another incident: nobody is called for the one that never was.
                    let incident = delivery.incident.as_ref();
                    let stands = incident.is_none_or(|id| self.incidents.get(id).is_some());
                    if stands && self.decided.contains(&delivery.decision) {
                        self.delivery_not_recorded(&delivery, Some(notice), at);
                    } else {
                        self.unrecorded.deliveries.remove(&delivery.key);
                        self.outbox.forget(&delivery.key);
                    }
                }
                Record::Delivery(delivery) => self.delivery_not_recorded(&delivery, None, at),
                Record::Incident(it) => known.incidents.extend([it.id]),
                Record::Rollout(it) => known.rollouts.extend([it.id]),
                Record::Verification(it) => known.verifications.extend([it.decision]),
                Record::PhaseRun(it) => known.phase_runs.extend([(it.phase, it.from)]),
                Record::Trigger(it) => known.triggers.extend([(it.name, it.series)]),
                Record::TriggerGone { name, series } => known.triggers.extend([(name, series)]),
                fact @ (Record::Alert(_)
                | Record::AlertGone(_)
                | Record::Audit(_)
                | Record::Attestation(_)) => {
                    known.facts.push(fact);
                }
                Record::Observation(it) => known.observations.extend([it.labels]),
                Record::Minute(it) => known.keep_minute(it),
                // It is said again before long, and would be out of date by then.
                Record::AlertsSeen(_) => {}
            }
        }
        self.conclude(at, out);
    }

    fn take_back(&mut self, decision: &Decision, reason: &str, out: &mut Vec<Effect>) {
        self.incidents.take_back(&decision.id);
        self.decided.remove(&decision.id);
        self.decisions.retain(|known| known.id != decision.id);
        let rollout = decision.rollout.as_ref();
        let rollout = rollout.and_then(|id| self.rollouts.get(id));
        let version = rollout.map(|rollout| rollout.version.clone());
        if let (Action::Rollback, Some(version)) = (decision.action, version) {
            self.rollouts.unmark_rolled_back(&version);
            self.rollbacks.retain(|it| *it != decision.at);
        }
        let watches = self.triggers.iter_mut();
        for it in watches.flat_map(|watch| watch.series.values_mut()) {
            it.handled
                .take_if(|handled| handled.decision == decision.id);
        }
        for signal in &mut self.signals {
            signal.blind_told &= !decision.trigger.starts_with(BLIND);
        }
        out.push(Effect::Tell(Event::NotRecorded {
            action: decision.action,
            refused_by: Guard::Store,
            reason: reason.to_owned(),
        }));
    }

    /// An attempt that was not recorded was not sent, and is due again; what has become of it since stays.
    fn delivery_not_recorded(
        &mut self,
        failed: &Delivery,
        notice: Option<Box<Notice>>,
        at: Timestamp,
    ) {
        let Some(delivery) = self.outbox.get(&failed.key) else {
            return;
        };
        let under_way = |it: &DeliveryState| matches!(it, DeliveryState::UnderWay { .. });
        if under_way(&failed.state)
            && under_way(&delivery.state)
            && delivery.attempts == failed.attempts
        {
            let next = at + AGAIN;
            let state = DeliveryState::Owed { next };
            self.outbox.put(Delivery {
                state,
                ..delivery.clone()
            });
        }
        let known = self.unrecorded.deliveries.entry(failed.key.clone());
        let known = known.or_default();
        *known = notice.or(known.take());
    }

    /// A delivery is about to be recorded: where the ledger has no row of it, what it says goes first.
    pub(super) fn record_owed_first(&mut self, delivery: &Delivery, out: &mut Vec<Effect>) {
        if let Some(Some(notice)) = self.unrecorded.deliveries.remove(&delivery.key) {
            let owed = Record::Owed(Box::new(delivery.clone()), notice);
            out.push(Effect::Record(owed));
        }
    }

    /// What one input or deadline records or answers begins with what could not be recorded before.
    pub(super) fn put_first(&mut self, from: usize, at: Timestamp, out: &mut Vec<Effect>) {
        // What somebody is told must stand: an answer may rest on it as well.
        let rests = |it: &Effect| match it {
            Effect::Record(_) => true,
            Effect::Answer { answer, .. } => answer.is_ok(),
            Effect::Send { .. } | Effect::Report(_) | Effect::Alerts(_) | Effect::Tell(_) => false,
        };
        if self.unrecorded.at.is_some() && out[from..].iter().any(rests) {
            let mut first = Vec::new();
            self.record_unrecorded(&mut first);
            out.splice(from..from, first);
            // What waited for its row may go.
            self.attempt_due(at, out);
        }
    }

    /// Records it, once it is time for that.
    pub(super) fn record_again(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        if self.unrecorded.at.is_some_and(|due| due <= at) {
            self.record_unrecorded(out);
        }
    }

    /// Records all of it as it is now.
    pub(super) fn record_unrecorded(&mut self, out: &mut Vec<Effect>) {
        let all = std::mem::take(&mut self.unrecorded);
        let mut record = |it: Record| out.push(Effect::Record(it));
        all.facts.into_iter().for_each(&mut record);
        let observed = self.observed.all();
        let observed = observed.filter(|it| all.observations.contains(&it.labels));
        observed.for_each(|it| record(Record::Observation(it.clone())));
        let minutes = all.minutes.into_iter().map(Record::Minute);
        minutes.for_each(&mut record);
        // In their order, for the ledger gives them back as they came.
        let rollouts = self.rollouts.all().iter();
        let rollouts = rollouts.filter(|it| all.rollouts.contains(&it.id));
        rollouts.for_each(|it| record(Record::Rollout(it.clone())));
        for (name, series) in all.triggers {
            record(match self.firing_trigger(&name, &series) {
                Some(it) => Record::Trigger(it),
                None => Record::TriggerGone { name, series },
            });
        }
        let mut deliveries = all.deliveries;
        for key in self.outbox.in_order(deliveries.keys().cloned()) {
            let notice = deliveries.remove(&key).flatten();
            let Some(delivery) = self.outbox.get(&key).cloned().map(Box::new) else {
                continue;
            };
            if let Some(notice) = notice {
                record(Record::Owed(delivery.clone(), notice));
            }
            // A row that is there in spite of what the ledger said would stay as it was.
            record(Record::Delivery(delivery));
        }
        let incidents = all.incidents.iter().filter_map(|id| self.incidents.get(id));
        incidents.for_each(|it| record(Record::Incident(Box::new(it.clone()))));
        let runs = self.phases.runs.iter();
        let runs = runs.filter(|it| all.phase_runs.contains(&(it.phase.clone(), it.from)));
        runs.for_each(|it| record(Record::PhaseRun(it.clone())));
        for it in self.watched.iter().map(|it| &it.verification) {
            if all.verifications.contains(&it.decision) {
                record(Record::Verification(it.clone()));
            }
        }
    }

    fn firing_trigger(&self, name: &str, series: &str) -> Option<RestoredTrigger> {
        let mut named = self.triggers.iter().filter(|it| it.name == name);
        named.find_map(|watch| {
            let (active_at, fired_at) = watch.series.get(series)?.firing()?;
            Some(RestoredTrigger {
                name: name.to_owned(),
                series: series.to_owned(),
                condition: watch.text.clone(),
                rollout: self.rollouts.current().map(|rollout| rollout.id.0.clone()),
                active_at,
                fired_at,
            })
        })
    }
}
