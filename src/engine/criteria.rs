//! When hypercare may end: each criterion met, not met, or blocked until a time, and why. What is counted is minutes, so
//! the answer is worked out once a minute and when somebody attests something.

use std::sync::Arc;
use std::time::Duration;

use super::Check;
use super::Outcome;
use super::Role;
use super::engine::Engine;
use crate::model::Incident;
use crate::model::Reading;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::model::Unit;
use crate::model::time::millis;
use crate::report::UNKNOWN_SHARE_MAX;
use crate::report::trend::Better;
use crate::report::trend::Direction;
use crate::report::trend::median;
use crate::report::trend::trend;
use crate::rules::Truth;
use crate::rules::bound;
use crate::rules::judge;
use crate::rules::signals_of;
use crate::runbook::Back;
use crate::runbook::Condition;
use crate::runbook::Criterion;
use crate::runbook::Phase;
use crate::runbook::Sight;
use crate::runbook::SightKind;
use crate::runbook::Threshold;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// A criterion, as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct CriterionState {
    pub id: String,
    pub phase: String,
    pub text: String,
    pub outcome: CriterionOutcome,
    /// What was found, in words.
    pub why: String,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum CriterionOutcome {
    Met,
    /// Met at that time at the earliest, if nothing else goes wrong; `None`: nobody can say.
    NotMet(Option<Timestamp>),
    /// Too little is known: not before that time.
    Blocked(Option<Timestamp>),
}

impl CriterionOutcome {
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet(_) => "not_met",
            Self::Blocked(_) => "blocked",
        }
    }

    /// The same where no time makes it better.
    const fn for_good(self) -> Self {
        match self {
            Self::Met => Self::Met,
            Self::NotMet(_) => Self::NotMet(None),
            Self::Blocked(_) => Self::Blocked(None),
        }
    }

    /// Not before then.
    #[must_use]
    pub const fn earliest(self) -> Option<Timestamp> {
        match self {
            Self::Met => None,
            Self::NotMet(at) | Self::Blocked(at) => at,
        }
    }
}

/// Minutes of a span: good, bad, and how many the span has.
struct Counted {
    good: u32,
    bad: u32,
    all: u32,
}

impl Counted {
    fn unknown(&self) -> u32 {
        self.all.saturating_sub(self.good + self.bad)
    }

    fn is_known(&self) -> bool {
        f64::from(self.unknown()) <= f64::from(self.all) * UNKNOWN_SHARE_MAX
    }

    /// Good by known; zero while nothing is known.
    fn share(&self) -> f64 {
        f64::from(self.good) / f64::from((self.good + self.bad).max(1))
    }
}

/// Minutes of which it is known whether they were good, oldest first.
type Known = Vec<(Timestamp, bool)>;

impl Engine {
    /// Judges every criterion of every phase.
    pub(super) fn judge_criteria(&mut self, at: Timestamp) {
        let rules = Arc::clone(&self.settings.rules);
        let mut states = Vec::new();
        for phase in &rules.phases {
            for criterion in &phase.criteria {
                let (outcome, why) = self.criterion(phase, criterion, at);
                states.push(CriterionState {
                    id: criterion.id.clone(),
                    phase: phase.name.clone(),
                    text: criterion.text.clone(),
                    outcome,
                    why,
                });
            }
        }
        self.criteria = states.into();
    }

    fn criterion(
        &self,
        phase: &Phase,
        criterion: &Criterion,
        at: Timestamp,
    ) -> (CriterionOutcome, String) {
        if let Some(sight) = &criterion.seen {
            return self.see(phase, sight, at);
        }
        let since = self.ticks_since(phase, at);
        if self.checklist.is_done(&criterion.id, since) {
            return (CriterionOutcome::Met, String::new());
        }
        let id = &criterion.id;
        let why = format!("nobody has attested it: `gated attest {id} --by NAME`");
        (CriterionOutcome::NotMet(None), why)
    }

    /// What a machine sees. What looks back ends with its phase.
    pub(super) fn see(
        &self,
        phase: &Phase,
        sight: &Sight,
        at: Timestamp,
    ) -> (CriterionOutcome, String) {
        let band = self.band(phase);
        let end = band.and_then(|it| it.until).map_or(at, |it| it.min(at));
        let over = match sight.back {
            Back::Now => Duration::ZERO,
            Back::Over(over) => over,
            Back::GoLive => match self.clock_began(phase).filter(|it| *it < end) {
                Some(began) => end.since(began),
                None => {
                    return (
                        CriterionOutcome::Blocked(None),
                        "it has not begun".to_owned(),
                    );
                }
            },
        };
        let (outcome, why) = match &sight.kind {
            SightKind::Uptime(threshold) => self.uptime_criterion(threshold, over, end),
            SightKind::NoIncidents(severity) => self.calm_criterion(*severity, over, end),
            SightKind::Held(condition) if over.is_zero() => {
                let (truth, why) = self.truth(condition);
                match truth {
                    Truth::True => (CriterionOutcome::Met, String::new()),
                    Truth::False => (CriterionOutcome::NotMet(None), why),
                    Truth::Unknown => (CriterionOutcome::Blocked(None), why),
                }
            }
            SightKind::Held(condition) => self.held_criterion(condition, over, end),
            SightKind::Stable(signal) => self.stable_criterion(*signal, over, end),
        };
        match sight.back {
            Back::Over(over) if end == at => self.watched_for(over, outcome, why, at),
            // A time that only grows, or is over, leaves nothing bad behind.
            Back::Now | Back::Over(_) | Back::GoLive => (outcome.for_good(), why),
        }
    }

    /// Who has not watched for two weeks does not know two weeks, however good the days were.
    fn watched_for(
        &self,
        over: Duration,
        outcome: CriterionOutcome,
        why: String,
        at: Timestamp,
    ) -> (CriterionOutcome, String) {
        let began = self.history.began().unwrap_or(at);
        let whole = whole_minute(began + over);
        if whole <= at {
            return (outcome, why);
        }
        match outcome {
            CriterionOutcome::Met => {
                let why = format!("so far it is so, watched since {began}: {why}");
                (CriterionOutcome::Blocked(Some(whole)), why)
            }
            CriterionOutcome::NotMet(earliest) => {
                (CriterionOutcome::NotMet(earliest.max(Some(whole))), why)
            }
            CriterionOutcome::Blocked(earliest) => {
                (CriterionOutcome::Blocked(earliest.max(Some(whole))), why)
            }
        }
    }

    fn uptime_criterion(
        &self,
        threshold: &Threshold,
        over: Duration,
        at: Timestamp,
    ) -> (CriterionOutcome, String) {
        let known: Known = self.history.known(at - over, at).collect();
        let counted = count(&known, over);
        let met = |counted: &Counted| {
            let bound = bound(threshold, || None).unwrap_or(f64::NAN);
            counted.is_known() && threshold.op.holds(counted.share(), bound)
        };
        let share = match counted.good + counted.bad {
            0 => "nothing is known of the minutes".to_owned(),
            _ => format!("{} of the known minutes were up", percent(counted.share())),
        };
        let why = format!(
            "{share}: {} down, {} of {} unknown",
            minutes(counted.bad),
            minutes(counted.unknown()),
            minutes(counted.all),
        );
        if met(&counted) {
            return (CriterionOutcome::Met, why);
        }
        let earliest = earliest(&known, over, at, &met);
        if counted.is_known() {
            (CriterionOutcome::NotMet(earliest), why)
        } else {
            (CriterionOutcome::Blocked(earliest), why)
        }
    }

    /// Every known minute must have been good.
    fn held_criterion(
        &self,
        condition: &Condition,
        over: Duration,
        at: Timestamp,
    ) -> (CriterionOutcome, String) {
        let known = self.judged_minutes(condition, at - over, at);
        let counted = count(&known, over);
        let met = |counted: &Counted| counted.is_known() && counted.bad == 0;
        let why = format!(
            "so in {} of {}: {} not so, {} unknown",
            minutes(counted.good),
            minutes(counted.all),
            minutes(counted.bad),
            minutes(counted.unknown()),
        );
        if met(&counted) {
            return (CriterionOutcome::Met, why);
        }
        let earliest = earliest(&known, over, at, &met);
        if counted.bad > 0 {
            (CriterionOutcome::NotMet(earliest), why)
        } else {
            (CriterionOutcome::Blocked(earliest), why)
        }
    }

    /// The minutes in which everything that the condition reads was known, and whether it held.
    fn judged_minutes(&self, condition: &Condition, from: Timestamp, until: Timestamp) -> Known {
        let rules = &self.settings.rules;
        let read = signals_of(condition);
        let Some(first) = read.first() else {
            return Vec::new();
        };
        let name = |signal: usize| rules.signals[signal].name.as_str();
        let median = |signal: usize| self.median_before(name(signal));
        let minutes = self.history.minutes(name(*first), from, until);
        let judged = minutes.filter_map(|(at, of_first)| {
            let value = |signal: usize| {
                let is_first = signal == *first;
                let other = || self.history.at(name(signal), at);
                if is_first { Some(of_first) } else { other() }
            };
            match judge(condition, &value, &median).truth {
                Truth::True => Some((at, true)),
                Truth::False => Some((at, false)),
                Truth::Unknown => None,
            }
        });
        judged.collect()
    }

    fn calm_criterion(
        &self,
        severity: Severity,
        over: Duration,
        at: Timestamp,
    ) -> (CriterionOutcome, String) {
        let grave = self.incidents.all().filter(|it| it.severity <= severity);
        let grave = grave.filter(|it| it.opened_at <= at);
        let ended = |it: &Incident| it.resolved.as_ref().map(|(ended, _)| *ended);
        let open = grave
            .clone()
            .find(|it| ended(it).is_none_or(|ended| ended > at));
        if let Some(open) = open {
            let why = format!("{} is open: {}", open.id, open.reason);
            return (CriterionOutcome::NotMet(Some(at + over)), why);
        }
        let last = grave.filter_map(|it| Some((ended(it)?, it)));
        let last = last.max_by_key(|(at, _)| *at);
        if let Some((ended, incident)) = last.filter(|(ended, _)| at.since(*ended) < over) {
            let why = format!("{} ended {ended}: {}", incident.id, incident.reason);
            return (CriterionOutcome::NotMet(Some(ended + over)), why);
        }
        // Who has not watched has not seen that there was none.
        let watched = self.watched(at - over, at);
        let counted = count(&watched, over);
        let why = format!(
            "none was seen; {} of {} unknown",
            minutes(counted.unknown()),
            minutes(counted.all),
        );
        if counted.is_known() {
            return (CriterionOutcome::Met, why);
        }
        let earliest = earliest(&watched, over, at, &Counted::is_known);
        (CriterionOutcome::Blocked(earliest), why)
    }

    /// Minutes in which it is known how the service was; where nothing says what down is, all since the first reading.
    fn watched(&self, from: Timestamp, until: Timestamp) -> Known {
        if self.settings.rules.uptime.down.is_empty() {
            let began = self.history.began().unwrap_or(until).max(from);
            let minutes = (1..).map(|n| began + MINUTE * n);
            let minutes = minutes.take_while(|at| *at <= until);
            return minutes.map(|at| (at, true)).collect();
        }
        let known = self.history.known(from, until);
        known.map(|(at, _)| (at, true)).collect()
    }

    fn stable_criterion(
        &self,
        signal: usize,
        over: Duration,
        at: Timestamp,
    ) -> (CriterionOutcome, String) {
        let signal = &self.settings.rules.signals[signal];
        let minutes: Vec<(Timestamp, f64)> =
            self.history.minutes(&signal.name, at - over, at).collect();
        let first = minutes.first().map(|(at, _)| *at);
        let began = first.is_some_and(|first| at.since(first) + MINUTE >= over);
        if !began {
            let since = first.unwrap_or(at);
            let why = format!("{} is known since {since}", signal.title);
            return (CriterionOutcome::Blocked(Some(since + over)), why);
        }
        // Whoever tracks it by the hour sees the course of each day; days are compared.
        let days = over.as_secs().div_ceil(DAY.as_secs());
        let days = (0..u32::try_from(days).unwrap_or(0)).map(|day| {
            let (from, until) = (at - over + DAY * day, at - over + DAY * (day + 1));
            let of_day = minutes.iter().filter(|(at, _)| *at > from && *at <= until);
            median(of_day.map(|(_, value)| *value).collect())
        });
        let days: Vec<Option<f64>> = days.collect();
        let found = trend(&days, Better::Lower, 0.0);
        let change = signal.unit.show(found.change.abs());
        let (way, outcome) = match found.direction {
            Direction::Stable | Direction::Rising | Direction::Falling => {
                ("no trend", CriterionOutcome::Met)
            }
            Direction::Improving => ("falling", CriterionOutcome::Met),
            Direction::Degrading => ("rising", CriterionOutcome::NotMet(None)),
            Direction::Unknown => ("too few days to tell", CriterionOutcome::Blocked(None)),
        };
        let p = found.p;
        let why = format!(
            "{}: {way}, {change} over the days (Mann-Kendall, p = {p:.3})",
            signal.title
        );
        (outcome, why)
    }

    /// The criteria of active phases as checks of the verdict.
    pub(super) fn criteria_checks(&self, active: &[usize]) -> Vec<Check> {
        let phases = &self.settings.rules.phases;
        let of_active = |it: &&CriterionState| active.iter().any(|p| phases[*p].name == it.phase);
        let checks = self.criteria.iter().filter(of_active).map(|it| {
            let earliest = it.outcome.earliest();
            let earliest =
                earliest.map_or_else(String::new, |at| format!("; {at} at the earliest"));
            let (outcome, reason) = match it.outcome {
                CriterionOutcome::Met => (Outcome::Met, String::new()),
                CriterionOutcome::NotMet(_) => {
                    let reason = format!("not met: {}: {}{earliest}", it.text, it.why);
                    (Outcome::Missed, reason)
                }
                CriterionOutcome::Blocked(_) => {
                    let reason = format!("blocked: {}: {}{earliest}", it.text, it.why);
                    (Outcome::Unknown, reason)
                }
            };
            Check {
                name: it.id.clone(),
                signal: String::new(),
                role: Role::Checklist,
                reading: Reading::Empty,
                unit: Unit::None,
                condition: it.text.clone(),
                expected: false,
                thresholds: std::collections::BTreeMap::new(),
                outcome,
                reason,
            }
        });
        checks.collect()
    }
}

fn count(known: &[(Timestamp, bool)], over: Duration) -> Counted {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let good = number(known.iter().filter(|(_, good)| *good).count());
    Counted {
        good,
        bad: number(known.len()) - good,
        all: u32::try_from(over.as_secs() / 60)
            .unwrap_or(u32::MAX)
            .max(1),
    }
}

/// The first minute at which `met` would hold of the span up to it, if every minute from `at` on were good.
fn earliest(
    known: &[(Timestamp, bool)],
    over: Duration,
    at: Timestamp,
    met: &dyn Fn(&Counted) -> bool,
) -> Option<Timestamp> {
    let mut counted = count(known, over);
    let mut oldest = known.iter().peekable();
    for ahead in 1..=counted.all {
        let end = at + MINUTE * ahead;
        counted.good += 1;
        while let Some((_, good)) = oldest.next_if(|(minute, _)| end.since(*minute) >= over) {
            *(if *good {
                &mut counted.good
            } else {
                &mut counted.bad
            }) -= 1;
        }
        if met(&counted) {
            return Some(whole_minute(end));
        }
    }
    None
}

fn whole_minute(at: Timestamp) -> Timestamp {
    let minute = millis(MINUTE);
    Timestamp::from_millis((at.millis() + minute - 1).div_euclid(minute) * minute)
}

fn percent(share: f64) -> String {
    format!("{:.3}%", share * 100.0)
}

fn minutes(count: u32) -> String {
    let span = MINUTE * count;
    humantime::format_duration(span).to_string()
}
