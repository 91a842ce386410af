//! What must hold in every storm. Each law panics with its name and what broke it.

use std::collections::BTreeMap;

use gated::engine::{
    ANNOUNCED, Effect, OnDoubt, People, Record, Restored, Role, Settings, Snapshot,
};
use gated::model::{
    Action, Decision, DecisionId, Delivery, DeliveryKey, DeliveryState, Notice, NoticeKind,
    Reading, RolloutId, Timestamp, Verdict,
};

use super::disk::Committed;
use super::files::PEOPLE;
use super::fleet::Fleet;
use super::operators::{ITEM, Sworn};
use crate::ledger::remember;

/// Ends the seed: this law does not hold.
pub fn broken(law: &str, how: impl AsRef<str>) -> ! {
    panic!("the law `{law}` is broken: {}", how.as_ref())
}

/// What the laws remember over every crash, and what this life of gated has said so far.
#[derive(Debug, Default)]
pub struct Laws {
    /// Rollbacks as committed.
    decided: BTreeMap<RolloutId, DecisionId>,
    /// Committed although the ledger said no: these may be decided again, under their id.
    unsaid: Vec<DecisionId>,
    /// Where each key goes.
    receivers: BTreeMap<DeliveryKey, (String, NoticeKind)>,
    /// How deliveries ended, as committed.
    over: BTreeMap<DeliveryKey, DeliveryState>,
    /// All records of this life on top of what it was restored from, committed or not.
    said: Restored,
}

impl Laws {
    pub fn life_begins(&mut self, restored: &Restored) {
        self.said = restored.clone();
    }

    /// The effects of one input, as the engine gives them.
    pub fn given(&mut self, effects: &[Effect], settings: &Settings, at: Timestamp) {
        for effect in effects {
            match effect {
                Effect::Record(record) => {
                    if let Record::Decision(decision) = record {
                        a_decision_owes_what_it_calls_for(decision, effects, settings, &self.said);
                    }
                    if let Record::Owed(delivery, _) = record {
                        the_hook_gets_requests_and_nothing_else(delivery, settings);
                    }
                    remember(&mut self.said, record.clone());
                }
                Effect::Send { key, .. } => {
                    let mut known = self.said.deliveries.iter();
                    if let Some(delivery) = known.find(|it| it.key == *key) {
                        only_a_right_rollback_is_sent(delivery, &self.said, settings, at);
                    }
                }
                Effect::Alerts(_) | Effect::Report(_) | Effect::Answer { .. } | Effect::Tell(_) => {
                }
            }
        }
    }

    /// The ledger has taken one input's records, and holds this now.
    pub fn committed(
        &mut self,
        records: &[Record],
        how: &Committed,
        memory: &Restored,
        people: &People,
    ) {
        for record in records {
            match record {
                Record::Decision(it) => {
                    self.one_rollback_for_one_rollout(it, how);
                    nothing_is_decided_from_nothing(it);
                }
                Record::Owed(it, notice) => {
                    nobody_is_called_early(notice, it.created_at, memory, people);
                    if !memory.decisions.iter().any(|known| known.id == it.decision) {
                        let owed = format!("{} is owed for {}", it.key, it.decision);
                        broken("nothing is owed without a decision", owed);
                    }
                    self.a_key_belongs_to_one_receiver(it);
                }
                Record::Delivery(it) => self.what_is_over_stays_so(it, how),
                Record::Rollout(_)
                | Record::Trigger(_)
                | Record::TriggerGone { .. }
                | Record::Alert(_)
                | Record::AlertGone(_)
                | Record::AlertsSeen(_)
                | Record::Audit(_)
                | Record::Incident(_)
                | Record::PhaseRun(_)
                | Record::Minute(_)
                | Record::Observation(_)
                | Record::Attestation(_)
                | Record::Verification(_) => {}
            }
        }
    }

    fn one_rollback_for_one_rollout(&mut self, decision: &Decision, how: &Committed) {
        const LAW: &str = "one rollback for one rollout";
        if decision.action != Action::Rollback {
            return;
        }
        let Some(rollout) = decision.rollout.clone() else {
            broken(LAW, format!("{} rolls back no rollout", decision.id));
        };
        let id = decision.id.clone();
        if let Some(before) = self.decided.insert(rollout.clone(), id.clone())
            && (before != id || !self.unsaid.contains(&id))
        {
            broken(LAW, format!("{rollout} by {before}, and again by {id}"));
        }
        match how {
            Committed::Unsaid(_) => self.unsaid.push(id),
            Committed::Yes | Committed::No(_) => self.unsaid.retain(|it| *it != id),
        }
    }

    fn a_key_belongs_to_one_receiver(&mut self, delivery: &Delivery) {
        let to = (delivery.receiver.clone(), delivery.kind);
        let known = self.receivers.entry(delivery.key.clone());
        let known = known.or_insert_with(|| to.clone());
        if *known != to {
            let both = format!("{}: {known:?}, then {to:?}", delivery.key);
            broken("a key belongs to one receiver", both);
        }
    }

    fn what_is_over_stays_so(&mut self, delivery: &Delivery, how: &Committed) {
        let key = &delivery.key;
        // gated was told that it is not so, and acts by that.
        if let Committed::Unsaid(_) = how {
            self.over.remove(key);
            return;
        }
        if let Some(over) = self.over.get(key)
            && *over != delivery.state
        {
            let both = format!("{key} was {over:?} and is {:?}", delivery.state);
            broken("what is over stays so", both);
        }
        if delivery.is_settled() {
            self.over.insert(key.clone(), delivery.state.clone());
        }
    }

    /// A request leaves for its receiver.
    pub fn sent(&self, key: &DeliveryKey, attempt: u32, memory: &Restored) {
        const LAW: &str = "what is not recorded is not sent";
        let recorded = memory.deliveries.iter().find(|it| it.key == *key);
        let Some(recorded) = recorded else {
            broken(LAW, format!("{key} is not in the ledger"));
        };
        let under_way = matches!(recorded.state, DeliveryState::UnderWay { .. });
        if !under_way || recorded.attempts != attempt {
            broken(LAW, format!("attempt {attempt} of {recorded:?}"));
        }
        if let Some(over) = self.over.get(key) {
            broken("what is over is not sent", format!("{key} is {over:?}"));
        }
    }
}

fn a_decision_owes_what_it_calls_for(
    decision: &Decision,
    effects: &[Effect],
    settings: &Settings,
    said: &Restored,
) {
    let hook = settings.rollback.hook.as_deref();
    let kind = match decision.action {
        Action::Rollback if settings.rollback.veto.is_zero() => NoticeKind::Notification,
        Action::Rollback => NoticeKind::RollbackAnnounced,
        Action::Escalate => NoticeKind::EscalationRaised,
        Action::Notify => NoticeKind::Notification,
    };
    let people = settings
        .receivers
        .iter()
        .filter(|it| Some(it.name.as_str()) != hook);
    // Users are told it, and nobody else.
    let users = settings.announcement.iter().flat_map(|it| &it.hooks);
    let users: Vec<&String> = users.collect();
    let announced = decision.trigger == ANNOUNCED;
    let people = people.filter(|it| !announced || users.contains(&&it.name));
    let mut expected: Vec<_> = people.map(|it| (it.name.as_str(), kind)).collect();
    if decision.action == Action::Rollback {
        expected.extend(hook.map(|hook| (hook, NoticeKind::RollbackRequested)));
    }
    for (receiver, kind) in expected {
        let is = |it: &Delivery| {
            it.decision == decision.id && it.receiver == receiver && it.kind == kind
        };
        let now = effects
            .iter()
            .any(|it| matches!(it, Effect::Record(Record::Owed(it, _)) if is(it)));
        if !now && !said.deliveries.iter().any(is) {
            let missing = format!("{} owes {receiver} no {kind}: {decision:?}", decision.id);
            broken("a decision owes what it calls for", missing);
        }
    }
}

fn the_hook_gets_requests_and_nothing_else(delivery: &Delivery, settings: &Settings) {
    let hook = settings.rollback.hook.as_deref() == Some(&delivery.receiver);
    if hook != (delivery.kind == NoticeKind::RollbackRequested) {
        let owed = format!("{} is owed {}", delivery.receiver, delivery.kind);
        broken("the hook gets requests and nothing else", owed);
    }
}

fn only_a_right_rollback_is_sent(
    delivery: &Delivery,
    said: &Restored,
    settings: &Settings,
    at: Timestamp,
) {
    if delivery.kind != NoticeKind::RollbackRequested {
        return;
    }
    let newest = said.rollouts.last();
    let current = newest.filter(|it| it.end.is_none() && Some(&it.id) == delivery.rollout.as_ref());
    let words = said.audit.iter().filter(|it| {
        use gated::model::Deed;
        matches!(it.deed, Deed::Freeze | Deed::Thaw)
    });
    // One that could not be recorded at first stands behind what was said after it.
    let freeze = words.max_by_key(|it| it.said.at);
    let frozen = freeze.and_then(|it| it.until).is_some_and(|it| at < it);
    let wrong = match current {
        None => Some("its rollout is not the one in progress"),
        Some(current) if current.vetoed.is_some() => Some("its rollout is vetoed"),
        Some(current) if current.irreversible => Some("its rollout is irreversible"),
        Some(_) if frozen => Some("rollbacks are frozen"),
        Some(_) if settings.rollback.mode != gated::engine::RollbackMode::Armed => {
            Some("rollbacks are in shadow mode")
        }
        Some(_) => None,
    };
    if let Some(wrong) = wrong {
        broken(
            "only a right rollback is sent",
            format!("{wrong}: {delivery:?}"),
        );
    }
}

fn nothing_is_decided_from_nothing(decision: &Decision) {
    let value = decision.value.is_some_and(f64::is_finite);
    if decision.action == Action::Rollback && !value {
        broken(
            "nothing is rolled back without a value",
            format!("{decision:?}"),
        );
    }
}

/// After everything has healed: what the ledger could not take at first is recorded by then.
pub fn people_hear_of_rollbacks_that_do_not_arrive(memory: &Restored) {
    for delivery in &memory.deliveries {
        let kind = match delivery.state {
            DeliveryState::Cancelled { .. } => NoticeKind::RollbackCancelled,
            DeliveryState::GivenUp { .. } | DeliveryState::Held { .. } => {
                NoticeKind::EscalationRaised
            }
            DeliveryState::Owed { .. }
            | DeliveryState::UnderWay { .. }
            | DeliveryState::Unconfirmed { .. }
            | DeliveryState::Delivered { .. } => continue,
        };
        let is_told = |it: &Delivery| {
            it.decision == delivery.decision && it.receiver == PEOPLE && it.kind == kind
        };
        let asks = delivery.kind == NoticeKind::RollbackRequested;
        if asks && !memory.deliveries.iter().any(is_told) {
            let how = format!("nobody is owed {kind} for {delivery:?}");
            broken("people hear of rollbacks that do not arrive", how);
        }
    }
}

/// `decided_at`: when the engine gave this attempt.
pub fn what_people_were_told_holds(delivery: &Delivery, sworn: &Sworn, decided_at: Timestamp) {
    const LAW: &str = "what people were told holds";
    let (true, Some(rollout)) = (
        delivery.kind == NoticeKind::RollbackRequested,
        &delivery.rollout,
    ) else {
        return;
    };
    if sworn.vetoed.contains(rollout) {
        broken(LAW, format!("{rollout} was vetoed, and is rolled back"));
    }
    if sworn.finished.contains(rollout) {
        broken(LAW, format!("{rollout} was finished, and is rolled back"));
    }
    if let Some(until) = sworn.frozen_until.filter(|it| decided_at < *it) {
        broken(
            LAW,
            format!("frozen until {until}, and {rollout} is rolled back"),
        );
    }
}

/// A receiver that ignores the key acts once, and once more for each time that somebody asked for it.
pub fn nothing_is_done_twice(delivery: &Delivery, acts: u32, on_doubt: OnDoubt, sworn: &Sworn) {
    let asked = sworn.resends.get(&delivery.key).copied().unwrap_or(0);
    if on_doubt == OnDoubt::Hold && acts > 1 + asked {
        let how = format!("{acts} times, asked again {asked} times: {delivery:?}");
        broken("nothing is done twice", how);
    }
}

pub fn unknown_is_never_go(told: Verdict, shown: &Snapshot, fleet: &Fleet) {
    const LAW: &str = "unknown is never go";
    if shown.verdict.verdict != told {
        let shown = shown.verdict.verdict;
        broken(LAW, format!("{told} was told, {shown} is shown"));
    }
    if told != Verdict::Go {
        return;
    }
    if shown.verdict.evaluated_at.is_none() || !fleet.is_seen() {
        let how = format!("nothing was seen: {:?}", fleet.instances);
        broken(LAW, how);
    }
    let triggers = shown.verdict.checks.iter();
    for check in triggers.filter(|it| it.role == Role::Trigger) {
        let mut signals = shown.signals.iter();
        let read = signals.find(|it| it.name == check.signal);
        if !read.is_some_and(|it| matches!(it.reading, Reading::Value(_))) {
            broken(LAW, format!("{} reads nothing: {read:?}", check.name));
        }
    }
}

/// After everything has healed, and time went by.
pub fn everything_settles(memory: &Restored) {
    if let Some(delivery) = memory.deliveries.iter().find(|it| !it.is_settled()) {
        broken("everything settles", format!("{delivery:?}"));
    }
}

/// Nothing is on its way to the ledger: both must know the same.
pub fn what_is_shown_is_recorded(shown: &Snapshot, memory: &Restored) {
    const LAW: &str = "what is shown is recorded";
    for (decision, deliveries) in &shown.decisions {
        if !memory.decisions.iter().any(|it| it.id == decision.id) {
            broken(LAW, format!("not in the ledger: {decision:?}"));
        }
        for delivery in deliveries {
            let recorded = memory.deliveries.iter().find(|it| it.key == delivery.key);
            if recorded != Some(delivery) {
                broken(LAW, format!("{delivery:?}, and in the ledger {recorded:?}"));
            }
        }
    }
    for rollout in &shown.rollouts {
        let recorded = memory.rollouts.iter().find(|it| it.id == rollout.id);
        if recorded != Some(rollout) {
            broken(LAW, format!("{rollout:?}, and in the ledger {recorded:?}"));
        }
    }
    for it in shown.observations.iter() {
        if !memory.observations.contains(it) {
            broken(LAW, format!("not in the ledger: {it:?}"));
        }
    }
    let item = shown.checklist.iter().find(|it| it.id == ITEM);
    if let Some(said) = item.and_then(|it| it.said.as_ref())
        && !memory.attestations.contains(said)
    {
        broken(LAW, format!("not in the ledger: {said:?}"));
    }
    for watched in &shown.verifications {
        let mut recorded = memory.verifications.iter();
        if !recorded.any(|it| it == watched) {
            broken(LAW, format!("not in the ledger: {watched:?}"));
        }
    }
}

/// A level is called no earlier than the path says.
fn nobody_is_called_early(
    notice: &Notice,
    created_at: Timestamp,
    memory: &Restored,
    people: &People,
) {
    let Some((incident, level)) = notice
        .incident
        .as_ref()
        .and_then(|it| Some((&it.id, it.level?)))
    else {
        return;
    };
    let mut known = memory.incidents.iter();
    let Some(incident) = known.find(|it| it.id == *incident) else {
        broken(
            "nobody is called early",
            format!("for no incident: {notice:?}"),
        );
    };
    let path = people.paths.of(incident.severity);
    let after = path.levels.get(level as usize - 1).map(|it| it.after);
    // A call of before it got worse may be recorded late, or have come in the same millisecond.
    let begin = if created_at <= incident.since && incident.rounds > 0 {
        incident.opened_at
    } else {
        incident.since
    };
    // Where those before could not be told, and only there, nobody waits for the time.
    let instead = level > 1 && notice.decision.reason.contains(" could not be told (");
    if !instead && after.is_some_and(|after| created_at < begin + after) {
        broken(
            "nobody is called early",
            format!("level {level} at {created_at}: {incident:?}"),
        );
    }
}

/// After everything has healed, and time has gone by: whoever stands on the path of what nobody has taken was called.
pub fn every_deadline_of_an_escalation_is_kept(memory: &Restored, people: &People, now: Timestamp) {
    const LAW: &str = "every deadline of an escalation is kept";
    let waits = memory.incidents.iter();
    for incident in waits.filter(|it| it.is_open() && it.acknowledged.is_none()) {
        let path = people.paths.of(incident.severity);
        for (level, it) in path.levels.iter().enumerate() {
            if incident.since + it.after < now && incident.reached as usize <= level {
                broken(
                    LAW,
                    format!("level {} was not called: {incident:?}", level + 1),
                );
            }
        }
        let missed = path.repeat.zip(incident.called_at);
        if missed.is_some_and(|(repeat, called)| called + repeat < now) {
            broken(LAW, format!("nobody was called again: {incident:?}"));
        }
        if incident.since + path.acknowledge_within < now && incident.breached_at.is_none() {
            broken(LAW, format!("nobody noticed that it is late: {incident:?}"));
        }
    }
}
