//! When a report is due, and what becomes of it: asked for once, asked for again where it failed, told to its hooks when it
//! was made. One that fell due while gated was away is made after the start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;

use super::Effect;
use super::Event;
use super::ReportPlan;
use super::deliver::Owing;
use super::engine::Engine;
use crate::model::Action;
use crate::model::Decision;
use crate::model::DecisionId;
use crate::model::NoticeKind;
use crate::model::NoticeReport;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::model::Unit;
use crate::model::calendar::local_date;
use crate::report::Kind;
use crate::report::hypercare_day;

/// A report that fell due longer ago is not made by itself any more.
const CATCH_UP: Duration = Duration::from_secs(7 * 86_400);
/// One that could not be made is asked for again after this long.
const AGAIN: Duration = Duration::from_secs(5 * 60);
/// Before the kind, in place of a trigger's name.
pub const REPORTED: &str = "report:";

/// A report that is to be made.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ReportDue {
    pub kind: Kind,
    /// The day that it is named after.
    pub date: Date,
    /// When it is made, by the wall.
    pub made_at: Timestamp,
}

/// What became of it: the report, or why there is none.
#[derive(Clone, Debug)]
pub struct Reported {
    pub kind: Kind,
    pub date: Date,
    pub outcome: Result<NoticeReport, String>,
    /// Why a report that was made does not lie in every folder it belongs into.
    pub unkept: Option<String>,
}

/// One kind of report that is asked for, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportState {
    pub kind: Kind,
    /// By the wall.
    pub next: Option<Timestamp>,
    pub made_at: Option<Timestamp>,
    /// The day of the newest that could not be made or kept, and why. It is tried again.
    pub trouble: Option<(Date, String)>,
}

#[derive(Debug)]
pub(super) struct ReportBook {
    /// Everything due up to here was asked for.
    asked_until: Timestamp,
    /// Of a kind that was made before the start: when it was made last. What fell due since is caught up.
    made: BTreeMap<Kind, Timestamp>,
    /// Of the other kinds what fell due from here on: gated was away.
    away_since: Timestamp,
    /// Asked for and not made or kept yet. One is awaited at a time, so that they are told in their order.
    open: BTreeMap<(Kind, Date), Open>,
    pub next: Option<Timestamp>,
    /// Of each kind that is asked for.
    pub shown: Arc<[ReportState]>,
}

#[derive(Debug, Default)]
struct Open {
    /// When to ask for it; `None` while the answer is awaited.
    again: Option<Timestamp>,
    /// What kept it from being made or kept the last time.
    trouble: Option<String>,
}

impl ReportBook {
    /// Whether an answer is awaited.
    fn awaits(&self) -> bool {
        self.open.values().any(|it| it.again.is_none())
    }

    /// `last_seen`: the newest minute that the ledger has.
    pub fn new(decisions: &[Decision], last_seen: Option<Timestamp>, at: Timestamp) -> Self {
        let mut made = BTreeMap::new();
        for decision in decisions {
            let word = decision.trigger.strip_prefix(REPORTED);
            if let Some(kind) = word.and_then(Kind::from_word) {
                made.insert(kind, decision.at);
            }
        }
        Self {
            asked_until: at - CATCH_UP,
            made,
            away_since: last_seen.unwrap_or(at),
            open: BTreeMap::new(),
            next: None,
            shown: Arc::new([]),
        }
    }

    /// Other reports are asked for: what fell due before is none of theirs.
    pub fn start_afresh(&mut self, at: Timestamp) {
        self.asked_until = self.asked_until.max(at);
    }
}

impl Engine {
    /// When a report is due or asked for again.
    pub(super) fn plan_reports(&mut self) {
        if self.settings.preview.is_some() {
            return;
        }
        let plans = self.settings.reports.iter();
        let shown = plans.map(|plan| {
            let next = self.next_report(plan, self.reports.asked_until);
            (next, self.report_state(plan.kind, next))
        });
        let (due, shown): (Vec<Option<Timestamp>>, Vec<ReportState>) = shown.unzip();
        let open = self.reports.open.values();
        let again = open.filter_map(|it| it.again);
        let again = again.filter(|_| !self.reports.awaits()).min();
        self.reports.next = due.into_iter().chain([again]).flatten().min();
        self.reports.shown = shown.into();
    }

    fn report_state(&self, kind: Kind, next: Option<Timestamp>) -> ReportState {
        let newest_first = self.reports.open.iter().rev();
        let mut of_kind = newest_first.filter(|((it, _), _)| *it == kind);
        let trouble = of_kind.find_map(|((_, date), it)| Some((*date, it.trouble.clone()?)));
        ReportState {
            kind,
            next: next.map(|at| self.wall.shows(at)),
            made_at: self.reports.made.get(&kind).copied(),
            trouble,
        }
    }

    /// The stamp of the first time after `after` at which a plan wants a report of days that gated has seen.
    fn next_report(&self, plan: &ReportPlan, after: Timestamp) -> Option<Timestamp> {
        let (zone, wall) = (&self.settings.zone, self.wall);
        let made = self.reports.made.get(&plan.kind);
        let since = *made.unwrap_or(&self.reports.away_since);
        let after = wall.shows(after.max(since).max(self.history.began()?));
        let day = match plan.kind {
            Kind::Day | Kind::Status | Kind::Week => None,
            Kind::Hypercare => Some(hypercare_day(self.settings.rollout.go_live?, zone)?),
        };
        let next = match day {
            None => plan.due.next(after, zone)?,
            // The day before has no further occurrence but the one that is wanted.
            Some(day) => {
                let eve = crate::model::calendar::midnight(day, zone)? - Duration::from_millis(1);
                plan.due.next(after.max(eve), zone)?
            }
        };
        let wanted = day.is_none_or(|day| local_date(next, zone) == Some(day));
        wanted.then(|| wall.when_it_shows(next))
    }

    /// Asks for every report whose time has come.
    pub(super) fn ask_for_reports(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        if self.reports.next.is_none_or(|next| next > at) {
            return;
        }
        let plans = self.settings.reports.clone();
        for plan in &plans {
            let mut after = self.reports.asked_until;
            while let Some(due) = self.next_report(plan, after).filter(|due| *due <= at) {
                after = due;
                let Some(date) = local_date(self.wall.shows(due), &self.settings.zone) else {
                    continue;
                };
                if !self.decided.contains(&self.report_id(plan.kind, date)) {
                    let again = Some(at);
                    let open = self.reports.open.entry((plan.kind, date)).or_default();
                    open.again = again;
                }
            }
        }
        self.reports.asked_until = at;
        let made_at = self.wall.shows(at);
        let awaits = self.reports.awaits();
        let due = |it: &Open| !awaits && it.again.is_some_and(|again| again <= at);
        let mut open = self.reports.open.iter_mut();
        if let Some(((kind, date), it)) = open.find(|(_, it)| due(it)) {
            it.again = None;
            let (kind, date) = (*kind, *date);
            out.push(Effect::Report(ReportDue {
                kind,
                date,
                made_at,
            }));
        }
        self.plan_reports();
    }

    fn report_id(&self, kind: Kind, date: Date) -> DecisionId {
        let (service, environment) = (&*self.settings.service, &*self.settings.environment);
        let date = date.to_string();
        DecisionId::other(&[service, environment, REPORTED, kind.word(), &date])
    }

    /// A report was made, or could not be.
    pub(super) fn reported(&mut self, reported: Reported, at: Timestamp, out: &mut Vec<Effect>) {
        let Reported {
            kind,
            date,
            outcome,
            unkept,
        } = reported;
        self.reports.open.remove(&(kind, date));
        let trouble = match outcome {
            Ok(report) => {
                self.tell_report(kind, date, report, at, out);
                unkept
            }
            Err(reason) => Some(reason),
        };
        if let Some(reason) = trouble {
            // By then somebody has seen it, and `gated report` makes it as well.
            let today = local_date(self.wall.shows(at), &self.settings.zone);
            let age = today.map_or(0, |today| date.until(today).map_or(0, |it| it.get_days()));
            if i64::from(age) <= CATCH_UP.as_secs().cast_signed() / 86_400 {
                let open = Open {
                    again: Some(at + AGAIN),
                    trouble: Some(reason.clone()),
                };
                self.reports.open.insert((kind, date), open);
            }
            let kind = kind.word().to_owned();
            let date = date.to_string();
            out.push(Effect::Tell(Event::ReportFailed { kind, date, reason }));
        }
        self.plan_reports();
    }

    fn tell_report(
        &mut self,
        kind: Kind,
        date: Date,
        report: NoticeReport,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let decision = Decision {
            id: self.report_id(kind, date),
            at,
            action: Action::Notify,
            asked: Action::Notify,
            refused_by: None,
            guards: Vec::new(),
            trigger: format!("{REPORTED}{}", kind.word()),
            rollout: None,
            phase: self.phase_shown.clone(),
            severity: Severity::P4,
            signal: None,
            value: None,
            unit: Unit::None,
            condition: String::new(),
            expr: String::new(),
            held_for: Duration::ZERO,
            reason: format!("{}: {}", report.title, report.status.word()),
        };
        if self.decided.contains(&decision.id) {
            return;
        }
        self.reports.made.insert(kind, at);
        self.record(decision.clone(), false, at, out);
        let report = Arc::new(report);
        let hook = self.settings.rollback.hook.clone();
        let plans = self.settings.reports.iter().filter(|it| it.kind == kind);
        let named: Vec<String> = plans.flat_map(|it| it.hooks.iter().cloned()).collect();
        let listed = |it: &super::Receiver| it.events.contains(&NoticeKind::ReportReady);
        let receivers = self.settings.receivers.iter();
        let told: Vec<String> = receivers
            .filter(|it| named.contains(&it.name) || listed(it))
            .map(|it| it.name.clone())
            .filter(|it| hook.as_ref() != Some(it))
            .collect();
        for receiver in told {
            let owing = Owing {
                decision: &decision,
                receiver: &receiver,
                kind: NoticeKind::ReportReady,
                event: NoticeKind::ReportReady.word(),
                incident: None,
                report: Some(Arc::clone(&report)),
                not_before: at,
            };
            self.owe(owing, at, out);
        }
        self.attempt_due(at, out);
    }
}
