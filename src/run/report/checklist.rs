//! The lines of the runbook's checklists that were due in a period, and how each stood: those of every phase that ran in
//! it, each time of day that came, and what was due after incidents. A person's word is looked up in the ledger; what a
//! machine sees is asked of the running gated for a phase that goes on, and of the minutes for one that is over.
//! Deliberately absent: the gate, which wants the required lines at once (the engine knows).

use std::time::Duration;

use super::Context;
use super::sight::Past;
use crate::engine::ItemState;
use crate::engine::Restored;
use crate::engine::Snapshot;
use crate::model::Attestation;
use crate::model::Incident;
use crate::model::Timestamp;
use crate::model::calendar::local_date;
use crate::model::calendar::midnight;
use crate::report::ChecklistItem;
use crate::report::Standing;
use crate::runbook::After;
use crate::runbook::Clock;
use crate::runbook::Phase;
use crate::runbook::Response;
use crate::runbook::words;

const MILLISECOND: Duration = Duration::from_millis(1);
/// One item's times that are looked at; a period of 62 days has no more.
const TURNS_MAX: usize = 64;

/// One run of a phase.
struct Band {
    /// When its clock began.
    began: Timestamp,
    from: Timestamp,
    until: Option<Timestamp>,
    /// When its clock began again.
    again: Option<Timestamp>,
}

/// One time that an item was due.
struct Turn {
    /// When the clock of its phase began.
    began: Timestamp,
    /// A word counts for it from here on, and until its next turn.
    since: Timestamp,
    before: Option<Timestamp>,
    /// When its time was over, as far as the period goes.
    over: Timestamp,
}

struct Book<'a> {
    context: &'a Context,
    known: &'a Restored,
    from: Timestamp,
    until: Timestamp,
    made_at: Timestamp,
    /// Of a gated that runs, where the period goes on.
    snapshot: Option<&'a Snapshot>,
}

/// Every line that was due in `[from, until)` by the time the report is made.
pub(super) fn checklist(
    context: &Context,
    known: &Restored,
    (from, until): (Timestamp, Timestamp),
    made_at: Timestamp,
    snapshot: Option<&Snapshot>,
) -> Vec<ChecklistItem> {
    let book = Book {
        context,
        known,
        from,
        until,
        made_at,
        snapshot: snapshot.filter(|_| (from..until).contains(&made_at)),
    };
    let mut items = Vec::new();
    for phase in &context.rules.phases {
        let bands = book.bands(phase);
        for item in &phase.checklist {
            let turns = bands.iter().flat_map(|band| book.turns(phase, item, band));
            let turns: Vec<Turn> = turns.take(TURNS_MAX).collect();
            let states = turns.iter().map(|turn| book.standing(item, turn));
            items.extend(joined(item, states.collect()));
        }
    }
    items.extend(book.after_incidents());
    items
}

/// All times of an item in one line; `None` without any.
fn joined(item: &crate::runbook::ChecklistItem, states: Vec<Standing>) -> Option<ChecklistItem> {
    let all = states.len();
    let open = states.iter().filter(|it| **it == Standing::Open).count();
    let mut unknown = states.iter().filter(|it| **it == Standing::Unknown);
    let unknown = unknown.next().cloned();
    let state = if open > 0 {
        Standing::Open
    } else {
        unknown.or_else(|| states.into_iter().next_back())?
    };
    let text = if open > 0 && all > 1 {
        format!("{} ({open} of {all} times)", item.text)
    } else {
        item.text.clone()
    };
    Some(ChecklistItem {
        id: item.id.clone(),
        text,
        required: item.required,
        state,
    })
}

impl Book<'_> {
    /// The end of the period as far as it has happened.
    fn end(&self) -> Timestamp {
        self.until.min(self.made_at)
    }

    /// The runs of a phase that the period has a part of.
    fn bands(&self, phase: &Phase) -> Vec<Band> {
        let zone = self.context.config.zone();
        let band = |began, again: Option<Timestamp>| {
            let (from, until) = phase.band(began, &zone)?;
            let until = until.into_iter().chain(again).min();
            let runs = from < self.end() && until.is_none_or(|it| it > self.from.max(from));
            runs.then_some(Band {
                began,
                from,
                until,
                again,
            })
        };
        match phase.clock {
            Clock::GoLive | Clock::Wall => {
                let go_live = self.context.config.rollout.go_live;
                go_live.and_then(|it| band(it, None)).into_iter().collect()
            }
            Clock::Rollout => {
                let rollouts = &self.known.rollouts;
                let all = rollouts.iter().enumerate().filter_map(|(place, rollout)| {
                    let ended = rollout.end.map(|(at, _)| at);
                    let next = rollouts.get(place + 1).map(|it| it.started_at);
                    band(rollout.started_at, ended.into_iter().chain(next).min())
                });
                all.collect()
            }
        }
    }

    /// The times of an item in one run of its phase: that run, or each time of day in it.
    fn turns(&self, phase: &Phase, item: &crate::runbook::ChecklistItem, band: &Band) -> Vec<Turn> {
        let end = self.end();
        let ends = band.until.map_or(end, |it| it.min(end));
        let Some(due) = &item.due else {
            return vec![Turn {
                began: band.began,
                since: band.began - phase.clock.lead(),
                before: band.again,
                over: ends,
            }];
        };
        let zone = self.context.config.zone();
        let day = |at| local_date(at, &zone).and_then(|date| midnight(date, &zone));
        let mut activities = phase.activities.iter();
        let once = activities.any(|it| it.once && Some(&it.title) == item.activity.as_ref());
        let begins = if once {
            band.from
        } else {
            band.from.max(self.from)
        };
        let has_come = |at: Timestamp| {
            at < self.until && at <= self.made_at && band.until.is_none_or(|it| at < it)
        };
        let mut turns = Vec::new();
        let mut next = due.next(begins - MILLISECOND, &zone);
        while let Some(at) = next.filter(|at| has_come(*at) && turns.len() < TURNS_MAX) {
            next = due.next(at, &zone).filter(|_| !once);
            let within = next.filter(|it| band.until.is_none_or(|ends| *it < ends));
            let before = within.and_then(day);
            if at >= self.from {
                turns.push(Turn {
                    began: band.began,
                    since: day(at).unwrap_or(at),
                    before,
                    over: before.map_or(ends, |it| it.min(ends)),
                });
            }
        }
        turns
    }

    fn standing(&self, item: &crate::runbook::ChecklistItem, turn: &Turn) -> Standing {
        let said = self.said(&item.id, turn.since, turn.before);
        let Some(sight) = &item.seen else {
            return said.unwrap_or(Standing::Open);
        };
        let past = Past {
            rules: &self.context.rules,
            known: self.known,
        };
        let end = self.end();
        let at_the_end = || {
            self.sees(&item.id)
                .or_else(|| past.saw(sight, turn.began, end))
        };
        let goes_on = turn.over >= end;
        let then = if goes_on {
            at_the_end()
        } else {
            past.saw(sight, turn.began, turn.over)
        };
        let by_gated = |at| Standing::Done {
            at,
            by: "gated".to_owned(),
        };
        match then {
            Some(true) => by_gated(turn.over),
            // Mended since, in the same period.
            Some(false) if !goes_on && at_the_end() == Some(true) => by_gated(end),
            Some(false) => Standing::Open,
            // What no machine sees somebody may have seen.
            None => said.unwrap_or(Standing::Unknown),
        }
    }

    /// What the running gated sees of it.
    fn sees(&self, id: &str) -> Option<bool> {
        let mut items = self.snapshot?.checklist.iter();
        let found = items.find(|it| it.id == id && it.by_machine)?;
        match found.state {
            ItemState::Done => Some(true),
            ItemState::Open => Some(false),
            ItemState::Later | ItemState::Unknown => None,
        }
    }

    /// The last word about it, where that is that it is done.
    fn said(&self, id: &str, since: Timestamp, before: Option<Timestamp>) -> Option<Standing> {
        let counts = |it: &&Attestation| {
            let in_time = it.at >= since && before.is_none_or(|before| it.at < before);
            it.item == id && in_time && it.at <= self.made_at
        };
        let last = self.known.attestations.iter().rev().find(counts)?;
        last.done.then(|| Standing::Done {
            at: last.at,
            by: last.by.clone(),
        })
    }

    /// What must be attested after incidents, while it was open in the period.
    fn after_incidents(&self) -> impl Iterator<Item = ChecklistItem> {
        let incidents = self.known.incidents.iter();
        incidents.flat_map(|incident| {
            let responses = self.context.rules.responses.iter();
            responses.filter_map(|it| self.after_incident(incident, it))
        })
    }

    fn after_incident(&self, incident: &Incident, response: &Response) -> Option<ChecklistItem> {
        let (over, _) = incident.resolved.as_ref()?;
        let asked = response.after == After::Resolution && response.severity == incident.severity;
        if !asked || response.until.is_none() || *over >= self.end() {
            return None;
        }
        let id = format!("incidents/{}/{}", incident.id, words(&response.title));
        let state = self.said(&id, *over, None).unwrap_or(Standing::Open);
        if let Standing::Done { at, .. } = &state
            && *at < self.from
        {
            return None;
        }
        Some(ChecklistItem {
            id,
            text: format!(
                "{}: {} ({})",
                response.title, incident.reason, incident.severity
            ),
            required: false,
            state,
        })
    }
}
