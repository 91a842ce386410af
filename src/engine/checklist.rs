//! The runbook's checklist: what a machine can see of it and what somebody must attest. A required line that is open
//! holds the gate, once its time has come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Answer;
use super::Check;
use super::CriterionOutcome;
use super::Effect;
use super::Event;
use super::Outcome;
use super::Record;
use super::Refusal;
use super::Role;
use super::Word;
use super::engine::Engine;
use super::history::HISTORY_KEPT;
use super::phases::Band;
use crate::model::Attestation;
use crate::model::Incident;
use crate::model::Reading;
use crate::model::Timestamp;
use crate::model::Unit;
use crate::model::calendar::local_date;
use crate::model::calendar::midnight;
use crate::report::Field;
use crate::rules::Truth;
use crate::rules::judge;
use crate::runbook::After;
use crate::runbook::Back;
use crate::runbook::ChecklistItem;
use crate::runbook::Clock;
use crate::runbook::Condition;
use crate::runbook::Phase;
use crate::runbook::Response;
use crate::runbook::nearest;

/// Before a field of a report that people fill in.
pub const REPORT: &str = "report/";

/// The last word about each item, and what is shown of the checklist. Earlier words are the ledger's.
#[derive(Debug, Default)]
pub(super) struct ChecklistBook {
    said: BTreeMap<String, Attestation>,
    /// By item: the word about it that counts at this time, and whether its time has come.
    ticks: BTreeMap<String, Tick>,
}

/// How an item stands that somebody must attest.
#[derive(Clone, Debug, Default)]
struct Tick {
    /// The word that counts.
    said: Option<Attestation>,
    /// The time that it is about, or comes next.
    due: Option<Timestamp>,
    /// That time has come; of an item without one, its phase has begun.
    has_come: bool,
    /// What a machine saw that looks back.
    seen: Option<(CriterionOutcome, String)>,
}

/// A line of the checklist, as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ChecklistState {
    pub id: String,
    pub phase: String,
    pub text: String,
    pub required: bool,
    pub state: ItemState,
    /// A condition says it, and no person.
    pub by_machine: bool,
    pub said: Option<Attestation>,
    pub due: Option<Timestamp>,
    /// Why it is open or not known; empty where it is done.
    pub why: String,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ItemState {
    Done,
    Open,
    /// Its time has not come.
    Later,
    /// The machine that says it sees nothing.
    Unknown,
}

impl ItemState {
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Open => "open",
            Self::Later => "later",
            Self::Unknown => "unknown",
        }
    }
}

impl ChecklistBook {
    /// `all` oldest first.
    pub fn restore(all: Vec<Attestation>) -> Self {
        let said = all.into_iter().map(|it| (it.item.clone(), it));
        Self {
            said: said.collect(),
            ..Self::default()
        }
    }

    /// The last word about an item, said at `since` or later.
    fn last(&self, item: &str, since: Timestamp) -> Option<&Attestation> {
        self.said.get(item).filter(|it| it.at >= since)
    }

    /// Whether somebody said that it is done, and nobody took that back.
    pub fn is_done(&self, item: &str, since: Timestamp) -> bool {
        self.last(item, since).is_some_and(|it| it.done)
    }
}

impl Engine {
    /// A line is done, or was not after all.
    pub(super) fn attest(
        &mut self,
        item: &str,
        word: Word,
        done: bool,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        self.may_attest(item)?;
        let attestation = Attestation {
            item: item.to_owned(),
            at,
            by: word.by,
            note: Some(word.reason).filter(|it| !it.is_empty()),
            done,
        };
        out.push(Effect::Record(Record::Attestation(attestation.clone())));
        out.push(Effect::Tell(Event::Attested(Box::new(attestation.clone()))));
        self.checklist
            .said
            .insert(attestation.item.clone(), attestation.clone());
        self.tick(at);
        self.judge_criteria(at);
        self.conclude(at, out);
        Ok(Answer::Attested(attestation))
    }

    fn may_attest(&self, item: &str) -> Result<(), Refusal> {
        let phases = self.settings.rules.phases.iter();
        let items = phases.clone().flat_map(|phase| &phase.checklist);
        let criteria = phases.flat_map(|phase| &phase.criteria);
        let mut known: Vec<&str> = items.map(|it| it.id.as_str()).collect();
        known.extend(criteria.map(|it| it.id.as_str()));
        let due: Vec<String> = self.due_after_incidents().map(|(id, ..)| id).collect();
        known.extend(due.iter().map(String::as_str));
        let fields = Field::ALL.iter().map(|it| format!("{REPORT}{}", it.word()));
        let fields: Vec<String> = fields.collect();
        known.extend(fields.iter().map(String::as_str));
        if known.contains(&item) {
            return Ok(());
        }
        let near = nearest(item, known.iter().copied());
        Err(Refusal::NoSuchItem {
            item: item.to_owned(),
            near: near.map(str::to_owned),
        })
    }

    /// Since when a word counts for a phase's items that have no time of their own.
    pub(super) fn ticks_since(&self, phase: &Phase, at: Timestamp) -> Timestamp {
        // A dry run before the go-live, or before the rollout: what was ticked of late is about it.
        match self.clock_began(phase) {
            Some(began) => began - phase.clock.lead(),
            None => at - Clock::GoLive.lead(),
        }
    }

    /// Looks which words count at `at`. Calendars are slow, so it is done once a minute and when something was said.
    pub(super) fn tick(&mut self, at: Timestamp) {
        let rules = Arc::clone(&self.settings.rules);
        let mut ticks = BTreeMap::new();
        for phase in &rules.phases {
            let since = self.ticks_since(phase, at);
            let band = self.band(phase);
            let begun = self.settings.preview.is_some() || band.is_some_and(|band| band.from <= at);
            for item in &phase.checklist {
                let mut tick = match &item.due {
                    None => Tick {
                        said: self.checklist.last(&item.id, since).cloned(),
                        has_come: begun,
                        ..Tick::default()
                    },
                    Some(_) => self.timed(item, band, at),
                };
                let back = item.seen.as_ref().filter(|it| it.back != Back::Now);
                tick.seen = back.map(|sight| self.see(phase, sight, at));
                ticks.insert(item.id.clone(), tick);
            }
        }
        self.checklist.ticks = ticks;
    }

    /// An item that comes again: a word counts from the day of its time on.
    fn timed(&self, item: &ChecklistItem, band: Option<Band>, at: Timestamp) -> Tick {
        let (Some(due), Some(band)) = (&item.due, band) else {
            return Tick::default();
        };
        let (zone, wall) = (&self.settings.zone, self.wall);
        let shown = wall.shows(at);
        let begins = wall.shows(band.from);
        // Of a phase that is over its last time counts.
        let ends = band
            .until
            .map(|it| wall.shows(it) - Duration::from_millis(1));
        let last = due.of_day(ends.map_or(shown, |ends| shown.min(ends)), zone);
        let last = last.filter(|it| *it >= begins && ends.is_none_or(|ends| *it <= ends));
        let Some(last) = last else {
            let next = due.next(shown.max(begins - Duration::from_millis(1)), zone);
            let next = next.filter(|next| ends.is_none_or(|ends| *next <= ends));
            return Tick {
                due: next.map(|next| wall.when_it_shows(next)),
                ..Tick::default()
            };
        };
        let day = local_date(last, zone).and_then(|date| midnight(date, zone));
        let since = wall.when_it_shows(day.unwrap_or(last));
        let due = wall.when_it_shows(last);
        Tick {
            said: self.checklist.last(&item.id, since).cloned(),
            due: Some(due),
            has_come: due <= at,
            seen: None,
        }
    }

    /// Whether what a machine can see of it is so.
    pub(super) fn truth(&self, condition: &Condition) -> (Truth, String) {
        let rules = &self.settings.rules;
        let median = |signal: usize| self.median_before(signal);
        let value = |signal: usize| {
            let watch = self.signals.get(signal)?;
            watch.reading().value()
        };
        let judged = judge(condition, &value, &median);
        let signal = &rules.signals[judged.signal];
        let why = match (judged.truth, judged.value) {
            (Truth::True, _) => String::new(),
            (Truth::False, Some(value)) => {
                format!("{} is {}", signal.title, signal.unit.show(value))
            }
            (Truth::Unknown, Some(_)) => {
                format!("{}: no baseline from before the rollout", signal.title)
            }
            (_, None) => format!("{}: {}", signal.title, self.signals[judged.signal].read.why),
        };
        (judged.truth, why)
    }

    fn state_of(&self, phase: &Phase, item: &ChecklistItem) -> ChecklistState {
        let tick = self.checklist.ticks.get(&item.id);
        let looked = tick.and_then(|it| it.seen.clone());
        let seen = item.seen.as_ref();
        let seen = looked.or_else(|| seen.map(|sight| self.see(phase, sight, self.settled)));
        // What no machine sees somebody may have seen.
        let attested = |it: &Tick| it.said.as_ref().is_some_and(|said| said.done);
        let unseen =
            |(found, _): &(CriterionOutcome, String)| matches!(found, CriterionOutcome::Blocked(_));
        let seen = seen.filter(|it| !unseen(it) || !tick.is_some_and(attested));
        let by_machine = seen.is_some();
        let (state, why) = match seen {
            Some((found, why)) => {
                let state = match found {
                    CriterionOutcome::Met => ItemState::Done,
                    CriterionOutcome::NotMet(_) => ItemState::Open,
                    CriterionOutcome::Blocked(_) => ItemState::Unknown,
                };
                let why = Some(why).filter(|_| state != ItemState::Done);
                (state, why.unwrap_or_default())
            }
            None => match tick {
                Some(Tick {
                    said: Some(said), ..
                }) if said.done => (ItemState::Done, String::new()),
                Some(tick) if tick.has_come => {
                    (ItemState::Open, "nobody has attested it".to_owned())
                }
                Some(_) | None => (ItemState::Later, String::new()),
            },
        };
        ChecklistState {
            id: item.id.clone(),
            phase: phase.name.clone(),
            text: item.text.clone(),
            required: item.required,
            state,
            by_machine,
            said: tick.and_then(|it| it.said.clone()),
            due: tick.and_then(|it| it.due),
            why,
        }
    }

    /// Every line of every phase, in the order of the files, and then what is due after incidents.
    pub(super) fn checklist_shown(&self, at: Timestamp) -> Vec<ChecklistState> {
        let phases = self.settings.rules.phases.iter();
        let lines = phases.flat_map(|phase| {
            let items = phase.checklist.iter();
            items.map(|item| self.state_of(phase, item))
        });
        let after = self
            .due_after_incidents()
            .map(|(id, incident, response, due)| {
                let over = incident.resolved.as_ref().map_or(due, |(at, _)| *at);
                let said = self.checklist.last(&id, over).cloned();
                let done = said.as_ref().is_some_and(|it| it.done);
                ChecklistState {
                    phase: "incidents".to_owned(),
                    text: format!(
                        "{}: {} ({})",
                        response.title, incident.reason, incident.severity
                    ),
                    required: false,
                    state: if done {
                        ItemState::Done
                    } else {
                        ItemState::Open
                    },
                    by_machine: false,
                    said,
                    due: Some(due),
                    why: if done {
                        String::new()
                    } else if due <= at {
                        "overdue".to_owned()
                    } else {
                        "nobody has attested it".to_owned()
                    },
                    id,
                }
            });
        lines.chain(after).collect()
    }

    /// What must be attested after incidents that are over: name, incident, what, by when.
    pub(super) fn due_after_incidents(
        &self,
    ) -> impl Iterator<Item = (String, &Incident, &Response, Timestamp)> {
        let responses = &self.settings.rules.responses;
        self.incidents.all().flat_map(move |incident| {
            let over = incident.resolved.as_ref().map(|(at, _)| *at);
            let over = over.filter(|over| self.settled.since(*over) < HISTORY_KEPT);
            responses.iter().filter_map(move |it| {
                let asked = it.after == After::Resolution && it.severity == incident.severity;
                let by = it.until.filter(|_| asked)?;
                Some((incident_item(incident, it), incident, it, over? + by))
            })
        })
    }

    /// The required lines of active phases as checks of the verdict.
    pub(super) fn checklist_checks(&self, active: &[usize]) -> Vec<Check> {
        let phases = active.iter().map(|p| &self.settings.rules.phases[*p]);
        let items = phases.flat_map(|phase| {
            let required = phase.checklist.iter().filter(|it| it.required);
            required.map(|item| self.state_of(phase, item))
        });
        let checks = items.map(|it| {
            let outcome = match it.state {
                ItemState::Done | ItemState::Later => Outcome::Met,
                ItemState::Open => Outcome::Missed,
                ItemState::Unknown => Outcome::Unknown,
            };
            let reason = match it.state {
                ItemState::Done | ItemState::Later => String::new(),
                ItemState::Open if it.by_machine => {
                    format!("checklist: {} is not so: {}", it.text, it.why)
                }
                ItemState::Open => format!(
                    "checklist: {} is open; when it is done: `gated attest {} --by NAME`",
                    it.text, it.id
                ),
                ItemState::Unknown => {
                    format!("checklist: whether {} is not known: {}", it.text, it.why)
                }
            };
            Check {
                name: it.id,
                signal: String::new(),
                role: Role::Checklist,
                reading: Reading::Empty,
                unit: Unit::None,
                condition: it.text,
                expected: false,
                shadow: false,
                thresholds: BTreeMap::new(),
                outcome,
                reason,
            }
        });
        checks.collect()
    }
}

/// `incidents/ID/words-of-the-title`.
fn incident_item(incident: &Incident, response: &Response) -> String {
    let words = crate::runbook::words(&response.title);
    format!("incidents/{}/{words}", incident.id)
}
