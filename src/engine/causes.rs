//! Why incidents are open, and when they are over: causes come with decisions and go with what gated sees.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Effect;
use super::Event;
use super::decide::BLIND;
use super::engine::Engine;
use crate::incident;
use crate::incident::Left;
use crate::model::Cause;
use crate::model::Decision;
use crate::model::DecisionId;
use crate::model::NoticeKind;
use crate::model::Timestamp;

/// Targets that are asked more seldom than this are not waited for.
const ROUND_MAX: Duration = Duration::from_secs(60);

impl Engine {
    /// Resolves what is over, and tells whoever was told of it.
    pub(super) fn resolve_incidents(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let active = self.active_phases(at);
        let mut resolved = false;
        for place in 0..self.incidents.all.len() {
            let it = &self.incidents.all[place].incident;
            if !it.is_open() {
                continue;
            }
            let causes = it.causes.iter();
            let over: BTreeSet<Cause> = causes
                .filter(|cause| self.is_over(cause, &active, at))
                .cloned()
                .collect();
            let it = &mut self.incidents.all[place].incident;
            match incident::settle(it, |cause| over.contains(cause), at) {
                Left::Unchanged => {}
                Left::Fewer => self.record_incident(place, out),
                Left::Resolved => {
                    let how = it.resolved.clone().map_or(String::new(), |(_, how)| how);
                    let (id, said) = (it.id.clone(), format!("resolved, {how}"));
                    out.push(Effect::Tell(Event::IncidentResolved { id, how }));
                    self.tell_end(place, NoticeKind::IncidentResolved, &said, at, out);
                    self.record_incident(place, out);
                    resolved = true;
                }
            }
        }
        if resolved {
            self.attempt_due(at, out);
        }
        self.incidents.forget_oldest();
    }

    /// Why the decision was made, as far as gated sees when it ends.
    pub(super) fn cause_of(&self, decision: &Decision) -> Cause {
        let blind = decision.trigger.strip_prefix(BLIND);
        if let Some(signal) = blind.and_then(|it| it.strip_prefix(':'))
            && decision.signal.as_deref() == Some(signal)
        {
            let signal = signal.to_owned();
            return Cause::Blind { signal };
        }
        for watch in &self.triggers {
            for (series, it) in &watch.series {
                let handled = it.handled.as_ref();
                if handled.is_some_and(|it| it.decision == decision.id) {
                    let (name, series) = (watch.name.clone(), series.clone());
                    return Cause::Trigger { name, series };
                }
            }
        }
        let alert = self.groups.iter().find_map(|it| it.decided(&decision.id));
        match alert {
            Some(labels) => Cause::Alert { labels },
            None => Cause::Unseen {
                what: decision.trigger.clone(),
            },
        }
    }

    /// Whether what a machine sees is no longer so.
    fn is_over(&self, cause: &Cause, active: &[usize], at: Timestamp) -> bool {
        match cause {
            Cause::Trigger { name, series } => !self.triggers.iter().any(|watch| {
                let it = watch.series.get(series);
                watch.name == *name && it.is_some_and(|it| it.firing().is_some())
            }),
            // After a start nobody knows before the groups were evaluated.
            Cause::Alert { labels } => self.groups.iter().all(|it| it.is_calm(labels)),
            Cause::Blind { signal } => {
                let signals = &self.settings.rules.signals;
                let Some(s) = signals.iter().position(|it| it.name == *signal) else {
                    return true;
                };
                let mut triggers = self.triggers.iter().enumerate();
                let is_read =
                    triggers.any(|(t, it)| it.signals.contains(&s) && self.place(t, active).1);
                let seen = self.signals[s].reading().value().is_some();
                seen && self.has_looked_round(at) || !is_read
            }
            Cause::Verification | Cause::Unseen { .. } => false,
        }
    }

    /// Whether every target was heard since the start. What answers first says little of what nobody saw.
    fn has_looked_round(&self, at: Timestamp) -> bool {
        let intervals = self.targets.values().map(|it| it.info.interval);
        let longest = intervals.max().unwrap_or_default().min(ROUND_MAX);
        let heard = self.targets.values().all(|it| it.last.is_some());
        heard && at.since(self.made_at) >= longest
    }

    /// Whether it is still to be seen if a rollback helped: until that is known its incident stays open.
    pub(super) fn verifying(
        &mut self,
        decision: &DecisionId,
        under_way: bool,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(place) = self.incidents.of(decision) else {
            return;
        };
        let causes = &mut self.incidents.all[place].incident.causes;
        let changed = if under_way {
            causes.insert(Cause::Verification)
        } else {
            causes.remove(&Cause::Verification)
        };
        if changed {
            self.record_incident(place, out);
            self.resolve_incidents(at, out);
        }
    }
}
