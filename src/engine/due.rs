//! What the runbook's day asks people to do at its times: told when its time has come, once, and after a start if that went
//! by meanwhile: with how late it is, where it is no news any more. Reports are due in the same way.

use std::sync::Arc;
use std::time::Duration;

use super::Effect;
use super::engine::Engine;
use super::phases::Band;
use crate::model::Action;
use crate::model::Decision;
use crate::model::DecisionId;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::model::Unit;
use crate::model::calendar::shown;
use crate::runbook::Activity;
use crate::runbook::Phase;

/// What was due while gated was away is told as if it were due now; later than that it is told as missed.
const CATCH_UP: Duration = Duration::from_secs(15 * 60);
/// What fell due longer ago is not told any more.
const MISSED_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Before the title of what was due, in place of a trigger's name.
pub const DUE: &str = "due:";
/// Whoever is told of a P3 is told of what is due.
pub const DUE_SEVERITY: Severity = Severity::P3;

/// Up to when everything due was told, and what is next.
#[derive(Debug)]
pub(super) struct DueBook {
    told: Timestamp,
    pub next: Option<Timestamp>,
}

impl DueBook {
    /// `last_seen`: the newest minute that the ledger has. Whoever has none was not there before, and missed nothing.
    pub fn new(last_seen: Option<Timestamp>, at: Timestamp) -> Self {
        let soon = at - CATCH_UP;
        let away = last_seen.map_or(soon, |seen| seen.max(at - MISSED_MAX));
        Self {
            told: soon.min(away),
            next: None,
        }
    }
}

impl Engine {
    /// Clocks, rules or zones have changed: what is due, what is ticked and what is met may be others.
    pub(super) fn look_at_calendar(&mut self, at: Timestamp) {
        self.tick(at);
        self.judge_criteria(at);
        self.plan_due();
        self.plan_reports();
    }

    /// When something is due next. Calendars are slow, so it is worked out when something may have changed.
    pub(super) fn plan_due(&mut self) {
        if self.settings.preview.is_some() {
            return;
        }
        let rules = Arc::clone(&self.settings.rules);
        let told = self.due.told;
        let mut next = Vec::new();
        for phase in &rules.phases {
            let Some(band) = self.band(phase) else {
                continue;
            };
            let activities = phase.activities.iter();
            next.extend(activities.filter_map(|it| self.next_of(it, band, told)));
        }
        next.extend(self.next_after_incident(told));
        self.due.next = next.into_iter().min();
    }

    /// When an activity is due next after `after`, within its phase.
    fn next_of(&self, activity: &Activity, band: Band, after: Timestamp) -> Option<Timestamp> {
        let (zone, wall) = (&self.settings.zone, self.wall);
        let before = band.from - Duration::from_millis(1);
        let after = if activity.once {
            before
        } else {
            after.max(before)
        };
        let next = activity.due.next(wall.shows(after), zone)?;
        let next = wall.when_it_shows(next);
        let within = band.until.is_none_or(|until| next < until);
        (within && next > self.due.told).then_some(next)
    }

    /// When something must have been attested after an incident.
    fn next_after_incident(&self, after: Timestamp) -> Option<Timestamp> {
        let due = self.due_after_incidents();
        due.map(|(.., due)| due).filter(|due| *due > after).min()
    }

    /// Tells of everything whose time has come.
    pub(super) fn tell_due(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let rules = Arc::clone(&self.settings.rules);
        while let Some(due) = self.due.next.filter(|due| *due <= at) {
            let mut told = Vec::new();
            for phase in &rules.phases {
                let Some(band) = self.band(phase) else {
                    continue;
                };
                let notified = phase.activities.iter().filter(|it| it.notify);
                for activity in notified {
                    if self.next_of(activity, band, self.due.told) != Some(due) {
                        continue;
                    }
                    // Of what was missed day after day the last time is enough.
                    let again = self.next_of(activity, band, due).filter(|it| *it > due);
                    let late = at.since(due) > CATCH_UP;
                    if !(late && again.is_some_and(|it| it <= at)) {
                        told.push(self.due_now(phase, activity, (due, late), at));
                    }
                }
            }
            told.extend(self.overdue(due, at));
            self.due.told = due;
            for decision in told {
                self.record(decision, true, at, out);
            }
            self.tick(at);
            self.plan_due();
            self.conclude(at, out);
        }
    }

    fn due_now(
        &self,
        phase: &Phase,
        activity: &Activity,
        (due, late): (Timestamp, bool),
        at: Timestamp,
    ) -> Decision {
        let items = phase.checklist.iter();
        let items = items.filter(|it| it.activity.as_ref() == Some(&activity.title));
        let lines: Vec<String> = items.map(|it| format!("- {}", it.text)).collect();
        let was_due = || {
            let local = |at| shown(self.wall.shows(at), &self.settings.zone);
            let (due, now) = (local(due), local(at.max(self.made_at)));
            format!(" (was due at {due}; gated was away until {now})")
        };
        let was_due = late.then(was_due).unwrap_or_default();
        let said = [
            Some(format!("{}{was_due}", activity.title)),
            Some(activity.text.clone()).filter(|it| !it.is_empty()),
            Some(lines.join("\n")).filter(|it| !it.is_empty()),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        let parts = [&phase.name, &activity.title, &due.millis().to_string()];
        let parts = parts.map(String::as_str);
        let (title, name) = (&activity.title, &phase.name);
        self.reminder((title, name), &parts, said.join("\n"), at)
    }

    /// What should have been attested after an incident by now, and was not.
    fn overdue(&self, due: Timestamp, at: Timestamp) -> Vec<Decision> {
        let all = self.due_after_incidents();
        let now = all.filter(|(id, incident, _, by)| {
            let over = incident.resolved.as_ref().map_or(due, |(at, _)| *at);
            *by == due && !self.checklist.is_done(id, over)
        });
        let reminders = now.map(|(id, incident, response, _)| {
            let reason = format!(
                "{} is due for {} ({}), and nobody has attested it: `gated attest {id} --by NAME`",
                response.title, incident.id, incident.reason
            );
            let parts = ["incident", &id, &due.millis().to_string()];
            self.reminder((&response.title, &self.phase_shown), &parts, reason, at)
        });
        reminders.collect()
    }

    fn reminder(
        &self,
        (title, phase): (&str, &str),
        parts: &[&str],
        reason: String,
        at: Timestamp,
    ) -> Decision {
        // Not of a rollout: it is due whatever goes live meanwhile.
        let (service, environment) = (&*self.settings.service, &*self.settings.environment);
        Decision {
            id: DecisionId::other(&[&[service, environment, DUE], parts].concat()),
            at,
            action: Action::Notify,
            asked: Action::Notify,
            refused_by: None,
            guards: Vec::new(),
            trigger: format!("{DUE}{title}"),
            rollout: None,
            phase: phase.to_owned(),
            severity: DUE_SEVERITY,
            signal: None,
            value: None,
            unit: Unit::None,
            condition: String::new(),
            expr: String::new(),
            held_for: Duration::ZERO,
            reason,
        }
    }
}
