//! Incidents as the engine keeps them: opened and joined by decisions, called for level by level, acknowledged, resolved.
//! `incident` says what is due when, `people` who is told, `causes` when an incident is over.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Answer;
use super::Effect;
use super::Event;
use super::IncidentCounts;
use super::IncidentState;
use super::Record;
use super::Refusal;
use super::ResponseState;
use super::Word;
use super::decide::whole;
use super::deliver::Owing;
use super::engine::Engine;
use super::people::Told;
use crate::incident;
use crate::incident::Joined;
use crate::incident::Path;
use crate::incident::Report;
use crate::incident::Step;
use crate::model::Acknowledgement;
use crate::model::Action;
use crate::model::Cause;
use crate::model::Decision;
use crate::model::DecisionId;
use crate::model::Deed;
use crate::model::Delivery;
use crate::model::Incident;
use crate::model::IncidentId;
use crate::model::NoticeIncident;
use crate::model::NoticeKind;
use crate::model::RolloutId;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::runbook::After;

/// Resolved incidents kept for showing, at least; older ones stay in the ledger. Open ones are kept whatever their
/// number, which rollouts and signals bound.
const RESOLVED_SHOWN_MAX: usize = 200;

/// Every open incident and the newest resolved ones, in the order in which they opened.
#[derive(Debug, Default)]
pub(super) struct IncidentBook {
    pub all: Vec<Held>,
    /// Whose decisions the ledger has let go of: nothing is told of them any more, and they were.
    past: Vec<Incident>,
    /// One was recorded since criteria were judged.
    pub changed: bool,
    counts: IncidentCounts,
}

#[derive(Debug)]
pub(super) struct Held {
    pub incident: Incident,
    /// What notices are about: the first decision that is as severe as the incident.
    decision: Arc<Decision>,
    /// The last decision that joined and what was before it, for when that cannot be recorded.
    undo: Option<(DecisionId, Box<Incident>, Arc<Decision>)>,
}

/// Something that a person must own.
#[derive(Debug)]
pub(super) struct Raise<'a> {
    pub decision: &'a Decision,
    pub severity: Severity,
    pub cause: Cause,
    /// As what it is told to whoever is called first.
    pub kind: NoticeKind,
    /// One sentence for a person.
    pub reason: String,
    /// Nobody was told of it so far, whatever the incident knows.
    pub untold: bool,
}

/// One telling of an incident.
struct Telling<'a> {
    decision: &'a Decision,
    /// What sets it apart from other tellings about the same decision.
    event: &'a str,
    level: Option<u32>,
    role: Option<String>,
}

impl IncidentBook {
    pub fn restore(incidents: Vec<Incident>, decisions: &[Arc<Decision>]) -> Self {
        let (mut all, mut past) = (Vec::new(), Vec::new());
        for incident in incidents {
            let known = |id: &DecisionId| decisions.iter().find(|it| it.id == *id);
            let mut about = incident.decisions.iter().filter_map(known);
            let as_severe = about.find(|it| it.severity == incident.severity);
            let first = incident.decisions.first().and_then(known);
            match as_severe.or(first).map(Arc::clone) {
                Some(decision) => all.push(Held {
                    decision,
                    incident,
                    undo: None,
                }),
                None => past.push(incident),
            }
        }
        let mut book = Self {
            all,
            past,
            changed: false,
            counts: IncidentCounts::default(),
        };
        book.forget_oldest();
        book
    }

    /// Now and then, so that not every resolved one moves all others.
    pub fn forget_oldest(&mut self) {
        if self.all.len() <= 2 * RESOLVED_SHOWN_MAX {
            return;
        }
        let resolved = self.all.iter().filter(|it| !it.incident.is_open()).count();
        let mut surplus = resolved.saturating_sub(RESOLVED_SHOWN_MAX);
        self.all.retain(|it| {
            // The end of hypercare asks for two weeks without a P1.
            let grave = it.incident.severity == Severity::P1;
            let goes = surplus > 0 && !it.incident.is_open() && !grave;
            surplus -= usize::from(goes);
            !goes
        });
    }

    /// In the order in which they opened.
    pub fn all(&self) -> impl Iterator<Item = &Incident> + Clone {
        let held = self.all.iter().map(|it| &it.incident);
        self.past.iter().chain(held)
    }

    /// The open one about this rollout and signal.
    fn about(&self, rollout: Option<&RolloutId>, signal: &str) -> Option<usize> {
        self.all.iter().position(|it| {
            let it = &it.incident;
            it.is_open() && it.rollout.as_ref() == rollout && it.signal == signal
        })
    }

    /// What no machine sees end is told once a decision, or every failed attempt would call people again.
    fn knows(&self, raise: &Raise<'_>) -> bool {
        let known = |it: &Incident| {
            it.decisions.contains(&raise.decision.id) && it.causes.contains(&raise.cause)
        };
        !raise.cause.is_seen() && !raise.untold && self.all.iter().any(|it| known(&it.incident))
    }

    /// A decision was not recorded, so it opened and joined nothing.
    pub fn take_back(&mut self, decision: &DecisionId) {
        let opened = |it: &Held| it.incident.decisions.first() == Some(decision);
        for it in self.all.iter().filter(|it| opened(it)) {
            let count = self.counts.opened.entry(it.incident.severity).or_default();
            *count = count.saturating_sub(1);
        }
        self.all.retain(|it| !opened(it));
        for it in &mut self.all {
            if let Some((_, before, about)) = it.undo.take_if(|it| it.0 == *decision) {
                it.incident = *before;
                it.decision = about;
            }
        }
    }

    /// The open one that a decision belongs to.
    pub fn of(&self, decision: &DecisionId) -> Option<usize> {
        self.all
            .iter()
            .position(|it| it.incident.is_open() && it.incident.decisions.contains(decision))
    }

    /// As it is now.
    pub fn get(&self, id: &IncidentId) -> Option<&Incident> {
        let found = self.all.iter().find(|it| it.incident.id == *id);
        found.map(|it| &it.incident)
    }
}

impl Engine {
    /// Opens the incident of a decision that somebody must act on, or joins it.
    pub(super) fn raise_for(&mut self, decision: &Decision, at: Timestamp, out: &mut Vec<Effect>) {
        let vetoable = !self.settings.rollback.veto.is_zero();
        let kind = match decision.action {
            Action::Rollback if vetoable => NoticeKind::RollbackAnnounced,
            Action::Rollback | Action::Notify => NoticeKind::Notification,
            Action::Escalate => NoticeKind::EscalationRaised,
        };
        let raise = Raise {
            decision,
            severity: decision.severity,
            cause: self.cause_of(decision),
            kind,
            reason: decision.reason.clone(),
            untold: false,
        };
        self.raise(raise, at, out);
    }

    /// Opens the incident of the decision's rollout and signal, or joins it. What is no worse than before is told once
    /// to the levels reached so far; what is worse, or says that the rollback did not help, starts the path again.
    pub(super) fn raise(&mut self, raise: Raise<'_>, at: Timestamp, out: &mut Vec<Effect>) {
        if self.incidents.knows(&raise) {
            return;
        }
        let decision = raise.decision;
        let signal = decision.signal.as_ref().unwrap_or(&decision.trigger);
        let (rollout, kind) = (decision.rollout.clone(), raise.kind);
        let report = Report {
            decision: decision.id.clone(),
            severity: raise.severity,
            cause: raise.cause,
            reason: raise.reason,
            afresh: kind == NoticeKind::RollbackIneffective,
        };
        if let Some(place) = self.incidents.about(rollout.as_ref(), signal) {
            self.join(place, decision, report, kind, at, out);
            return;
        }
        let of = (&*self.settings.service, &*self.settings.environment);
        let incident = incident::open(of, rollout, signal.clone(), report, at);
        let counts = &mut self.incidents.counts;
        *counts.opened.entry(incident.severity).or_default() += 1;
        let told = Box::new(incident.clone());
        out.push(Effect::Tell(Event::IncidentOpened(told)));
        self.incidents.all.push(Held {
            incident,
            decision: Arc::new(decision.clone()),
            undo: None,
        });
        let place = self.incidents.all.len() - 1;
        self.call_first(place, kind, at, out);
        self.record_incident(place, out);
    }

    fn join(
        &mut self,
        place: usize,
        decision: &Decision,
        report: Report,
        kind: NoticeKind,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let held = &mut self.incidents.all[place];
        let before = Box::new(held.incident.clone());
        let event = match &report.cause {
            Cause::Unseen { what } => format!("{kind} {} {what}", held.incident.id),
            Cause::Trigger { .. }
            | Cause::Alert { .. }
            | Cause::Blind { .. }
            | Cause::Verification => format!("{kind} {} joined", held.incident.id),
        };
        let decision = Decision {
            severity: report.severity,
            reason: report.reason.clone(),
            ..decision.clone()
        };
        let joined = incident::join(&mut held.incident, report, at);
        if decision.id != held.decision.id {
            let about = Arc::clone(&held.decision);
            held.undo = Some((decision.id.clone(), before.clone(), about));
            if joined == Joined::Worse {
                held.decision = Arc::new(decision.clone());
            }
        }
        let severity = held.incident.severity;
        let mut to: BTreeSet<Told> = match joined {
            Joined::Alike => (0..before.reached)
                .flat_map(|level| self.called(severity, level, kind))
                .collect(),
            Joined::Worse => {
                let told = Box::new(held.incident.clone());
                out.push(Effect::Tell(Event::IncidentWorse(told)));
                self.call_first(place, kind, at, out);
                self.hearing(&before.hooks, kind).into_iter().collect()
            }
        };
        if joined == Joined::Worse {
            let first = self.called(severity, 0, kind);
            to.retain(|told| !first.contains(told));
        }
        let telling = Telling {
            decision: &decision,
            event: &event,
            level: None,
            role: None,
        };
        self.tell_incident(place, to, &telling, at, out);
        if self.incidents.all[place].incident != *before {
            self.record_incident(place, out);
        }
    }

    /// Calls the first level, unless its time is yet to come.
    fn call_first(&mut self, place: usize, kind: NoticeKind, at: Timestamp, out: &mut Vec<Effect>) {
        let it = &self.incidents.all[place].incident;
        let step = incident::due(it, self.path(it), at);
        if let Some(step @ Step::Call { level: 0 }) = step {
            self.call(place, step, kind, at, out);
        }
    }

    /// One call to one level.
    fn call(
        &mut self,
        place: usize,
        step: Step,
        kind: NoticeKind,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let again = !matches!(step, Step::Call { level: 0 });
        let why = again.then(|| {
            let waited = whole(at.since(self.incidents.all[place].incident.since));
            format!("nobody has acknowledged this for {waited}")
        });
        self.call_level(place, step, why, kind, at, out);
    }

    /// A level's receivers do not take its call: the next level is called, whatever its time.
    pub(super) fn call_next(
        &mut self,
        delivery: &Delivery,
        said: &str,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let mut all = self.incidents.all.iter();
        let Some(place) = all.position(|it| Some(&it.incident.id) == delivery.incident.as_ref())
        else {
            return;
        };
        let it = &self.incidents.all[place].incident;
        let level = it.reached;
        let more = (level as usize) < self.path(it).levels.len();
        let waits = it.is_open() && it.acknowledged.is_none() && level > 0;
        if !(waits && more) {
            return;
        }
        let call = NoticeKind::EscalationRaised;
        let called = self.called(it.severity, level - 1, call);
        let is_one = called.iter().any(|(name, _)| *name == delivery.receiver);
        if !is_one || !called.iter().all(|(name, _)| self.outbox.refuses(name)) {
            return;
        }
        let why = format!("{} could not be told ({said})", delivery.receiver);
        self.call_level(place, Step::Call { level }, Some(why), call, at, out);
        self.record_incident(place, out);
        self.attempt_due(at, out);
    }

    /// `why`: said before the incident's reason, where its time or its first call is past.
    fn call_level(
        &mut self,
        place: usize,
        step: Step,
        why: Option<String>,
        kind: NoticeKind,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let (Step::Call { level } | Step::Repeat { level }) = step else {
            return;
        };
        let settings = Arc::clone(&self.settings);
        let held = &mut self.incidents.all[place];
        let it = &mut held.incident;
        let path = settings.people.paths.of(it.severity);
        incident::done(it, path, step, at);
        let role = path.levels.get(level as usize).map(|it| it.role.clone());
        let mut reason = it.reason.clone();
        if let Some(why) = why {
            reason = format!("{why}: {reason}");
        }
        let decision = Decision {
            severity: it.severity,
            reason,
            ..(*held.decision).clone()
        };
        let (id, round, repeats) = (it.id.clone(), it.rounds, it.repeats);
        let event = format!("{kind} {id} {round}.{}.{repeats}", level + 1);
        let to = self.called(decision.severity, level, kind);
        let receivers = to.iter().map(|(name, _)| name.clone()).collect();
        let in_particular = !path.levels.is_empty();
        let telling = Telling {
            decision: &decision,
            event: &event,
            level: in_particular.then_some(level + 1),
            role: role.clone(),
        };
        self.tell_incident(place, to, &telling, at, out);
        out.push(Effect::Tell(Event::IncidentCalled {
            id,
            level: level + 1,
            role,
            receivers,
        }));
    }

    fn tell_incident(
        &mut self,
        place: usize,
        to: impl IntoIterator<Item = Told>,
        telling: &Telling<'_>,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let it = &self.incidents.all[place].incident;
        let not_before = self.path(it).awake(at);
        let (id, taken) = (it.id.clone(), it.acknowledged.clone());
        for (receiver, kind) in to {
            let incident = NoticeIncident {
                id: id.clone(),
                sequence: self.outbox.sequence(&id, &receiver),
                level: telling.level,
                role: telling.role.clone(),
                acknowledged_by: taken.as_ref().map(|taken| taken.by.clone()),
            };
            let owing = Owing {
                decision: telling.decision,
                receiver: &receiver,
                kind,
                event: telling.event,
                incident: Some(incident),
                report: None,
                not_before,
            };
            self.owe(owing, at, out);
            self.incidents.all[place].incident.hooks.insert(receiver);
        }
    }

    /// Tells whoever was told of an incident what became of it.
    pub(super) fn tell_end(
        &mut self,
        place: usize,
        kind: NoticeKind,
        said: &str,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let held = &self.incidents.all[place];
        let it = &held.incident;
        let decision = Decision {
            severity: it.severity,
            reason: format!("{said}: {}", it.reason),
            ..(*held.decision).clone()
        };
        let event = format!("{kind} {} {} {}", it.id, it.rounds, at.millis());
        let telling = Telling {
            decision: &decision,
            event: &event,
            level: None,
            role: None,
        };
        let to = self.hearing(&it.hooks, kind);
        self.tell_incident(place, to, &telling, at, out);
    }

    pub(super) fn record_incident(&mut self, place: usize, out: &mut Vec<Effect>) {
        self.incidents.changed = true;
        let it = self.incidents.all[place].incident.clone();
        out.push(Effect::Record(Record::Incident(Box::new(it))));
    }

    fn path(&self, it: &Incident) -> &Path {
        self.settings.people.paths.of(it.severity)
    }

    /// When the next level is called, or somebody should have acknowledged an incident.
    pub(super) fn next_incident_step(&self) -> Option<Timestamp> {
        let all = self.incidents.all.iter().map(|it| &it.incident);
        let next = all.filter_map(|it| incident::next(it, self.path(it)));
        next.map(|(at, _)| at).min()
    }

    /// Takes every step that is due.
    pub(super) fn take_incident_steps(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        for place in 0..self.incidents.all.len() {
            let mut changed = false;
            loop {
                let it = &self.incidents.all[place].incident;
                let Some(step) = incident::due(it, self.path(it), at) else {
                    break;
                };
                changed = true;
                if step == Step::Breach {
                    self.breach(place, at, out);
                } else {
                    self.call(place, step, NoticeKind::EscalationRaised, at, out);
                }
            }
            if changed {
                self.record_incident(place, out);
            }
        }
    }

    fn breach(&mut self, place: usize, at: Timestamp, out: &mut Vec<Effect>) {
        let settings = Arc::clone(&self.settings);
        let it = &mut self.incidents.all[place].incident;
        let path = settings.people.paths.of(it.severity);
        incident::done(it, path, Step::Breach, at);
        let (id, severity) = (it.id.clone(), it.severity);
        let counts = &mut self.incidents.counts;
        *counts.breached.entry(severity).or_default() += 1;
        let within = path.acknowledge_within;
        out.push(Effect::Tell(Event::IncidentBreached {
            id,
            severity,
            within,
        }));
    }

    /// Somebody takes an incident: nobody else is called for it.
    pub(super) fn acknowledge(
        &mut self,
        id: &IncidentId,
        by: String,
        note: Option<String>,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        if by.trim().is_empty() {
            return Err(Refusal::Invalid("say by whom it is acknowledged".into()));
        }
        let mut all = self.incidents.all.iter();
        let Some(place) = all.position(|it| it.incident.id == *id) else {
            return Err(Refusal::NoSuchIncident(id.0.clone()));
        };
        let it = &mut self.incidents.all[place].incident;
        let said = match &note {
            Some(note) => format!("acknowledged by {by} ({note})"),
            None => format!("acknowledged by {by}"),
        };
        let word = Word {
            by: by.clone(),
            reason: note.clone().unwrap_or_default(),
        };
        let taken = Acknowledgement { at, by, note };
        let (by, waited) = (taken.by.clone(), at.since(it.since));
        let first = incident::acknowledge(it, taken);
        let first = first.map_err(|over| Refusal::Conflict(over.to_string()))?;
        let taken = it.clone();
        if first {
            let counts = &mut self.incidents.counts;
            counts.acknowledged += 1;
            counts.acknowledge_seconds += waited.as_secs_f64();
            let id = id.clone();
            self.note(Deed::Acknowledge, word.clone(), id.0.clone(), None, at, out);
            out.push(Effect::Tell(Event::IncidentAcknowledged {
                id,
                by: by.clone(),
            }));
            self.tell_end(place, NoticeKind::Notification, &said, at, out);
            self.record_incident(place, out);
            self.resolve_incidents(at, out);
            self.attempt_due(at, out);
        }
        if !first && taken.acknowledged.as_ref().is_some_and(|it| it.by != by) {
            // Who has it keeps it; that somebody else has come is worth a line.
            self.note(Deed::Acknowledge, word, id.0.clone(), None, at, out);
        }
        let it = self.incidents.get(id).cloned().unwrap_or(taken);
        Ok(Answer::Incident(Box::new(it)))
    }

    /// Tells whoever was told of the rollback's incident what became of the rollback.
    pub(super) fn tell_of_rollback(
        &mut self,
        decision: &Decision,
        kind: NoticeKind,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(place) = self.incidents.of(&decision.id) else {
            return;
        };
        let to = self.hearing(&self.incidents.all[place].incident.hooks, kind);
        let telling = Telling {
            decision,
            event: kind.word(),
            level: None,
            role: None,
        };
        self.tell_incident(place, to, &telling, at, out);
    }

    /// What the snapshot says of incidents.
    pub(super) fn incidents_shown(&self) -> Vec<IncidentState> {
        let all = self.incidents.all.iter().map(|it| &it.incident);
        let shown = all.map(|it| {
            let path = self.path(it);
            let waits = it.is_open() && it.acknowledged.is_none();
            let role = |level: u32| path.levels.get(level as usize).map(|it| it.role.clone());
            let next = incident::next(it, path).and_then(|(at, step)| match step {
                Step::Call { level } | Step::Repeat { level } => Some((at, role(level))),
                Step::Breach => None,
            });
            let owner = it.reached.checked_sub(1).and_then(role);
            let contacts = &self.settings.people.contacts;
            IncidentState {
                incident: it.clone(),
                acknowledge_by: waits.then(|| incident::acknowledge_by(it, path)),
                contact: owner
                    .as_ref()
                    .and_then(|role| contacts.get(role)?.name.clone()),
                owner,
                next,
                response: self.response(it),
            }
        });
        shown.collect()
    }

    /// What the runbook asks for, from when it opened and from when it was over.
    fn response(&self, incident: &Incident) -> Vec<ResponseState> {
        let responses = self.settings.rules.responses.iter();
        let mine = responses.filter(|it| it.severity == incident.severity);
        let states = mine.filter_map(|it| {
            let began = match it.after {
                After::Opening => incident.opened_at,
                After::Resolution => incident.resolved.as_ref()?.0,
            };
            Some(ResponseState {
                title: it.title.clone(),
                from: began + it.from,
                until: it.until.map(|until| began + until),
                steps: it.steps.clone(),
            })
        });
        states.collect()
    }

    pub(super) fn incident_counts(&self) -> IncidentCounts {
        let mut counts = self.incidents.counts.clone();
        // From the start, so that the first incident of a process is a step and not a line that appears.
        let all: [&mut BTreeMap<Severity, u64>; 2] = [&mut counts.opened, &mut counts.breached];
        for counts in all {
            for severity in Severity::ALL {
                counts.entry(*severity).or_default();
            }
        }
        counts
    }
}
