//! What a span that is over was like, by its minutes and its incidents: one judgement for the engine, which keeps them, and
//! for a report, which reads them from the ledger. Deliberately absent: what is so at this moment.

use std::time::Duration;

use super::CriterionOutcome;
use crate::model::Incident;
use crate::model::Severity;
use crate::model::Timestamp;
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
use crate::runbook::Rules;
use crate::runbook::Sight;
use crate::runbook::SightKind;
use crate::runbook::Threshold;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Who remembers minutes, named after their ends, and incidents.
pub trait Remembers {
    fn rules(&self) -> &Rules;
    /// Since when anything has been known.
    fn began(&self) -> Option<Timestamp>;
    /// The known minutes of `(from, until]`, oldest first, and whether the service was up in each.
    fn uptime(&self, span: (Timestamp, Timestamp)) -> Known;
    /// What a signal gave in `(from, until]`, oldest first.
    fn minutes(&self, signal: &str, span: (Timestamp, Timestamp)) -> Vec<(Timestamp, f64)>;
    /// What it gave in that minute.
    fn at(&self, signal: &str, minute: Timestamp) -> Option<f64>;
    /// Its median before the rollout that was in progress at `at`.
    fn median_before(&self, signal: &str, at: Timestamp) -> Option<f64>;
    fn incidents(&self) -> Vec<&Incident>;
}

/// What the span that a sight looks back on up to `at` says, and why. `began`: when the clock of its phase did.
#[must_use]
pub fn look_back_on(
    past: &impl Remembers,
    sight: &Sight,
    began: Option<Timestamp>,
    at: Timestamp,
) -> (CriterionOutcome, String) {
    let over = match sight.back {
        Back::Now => Duration::ZERO,
        Back::Over(over) => over,
        Back::GoLive => {
            let Some(began) = began.filter(|it| *it < at) else {
                let why = "it has not begun".to_owned();
                return (CriterionOutcome::Blocked(None), why);
            };
            at.since(began)
        }
    };
    let (outcome, why) = match &sight.kind {
        SightKind::Uptime(threshold) => uptime_criterion(past, threshold, over, at),
        SightKind::NoIncidents(severity) => calm_criterion(past, *severity, over, at),
        SightKind::Held(condition) => held_criterion(past, condition, over, at),
        SightKind::Stable(signal) => stable_criterion(past, *signal, over, at),
    };
    match sight.back {
        Back::Over(over) => watched_for(past, over, outcome, why, at),
        // A time that only grows leaves nothing bad behind.
        Back::Now | Back::GoLive => (outcome.for_good(), why),
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
pub type Known = Vec<(Timestamp, bool)>;

/// Who has not watched for two weeks does not know two weeks, however good the days were.
fn watched_for(
    past: &impl Remembers,
    over: Duration,
    outcome: CriterionOutcome,
    why: String,
    at: Timestamp,
) -> (CriterionOutcome, String) {
    let began = past.began().unwrap_or(at);
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
    past: &impl Remembers,
    threshold: &Threshold,
    over: Duration,
    at: Timestamp,
) -> (CriterionOutcome, String) {
    let known: Known = past.uptime((at - over, at));
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
    past: &impl Remembers,
    condition: &Condition,
    over: Duration,
    at: Timestamp,
) -> (CriterionOutcome, String) {
    let known = judged_minutes(past, condition, (at - over, at));
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
fn judged_minutes(
    past: &impl Remembers,
    condition: &Condition,
    (from, until): (Timestamp, Timestamp),
) -> Known {
    let rules = past.rules();
    let read = signals_of(condition);
    let Some(first) = read.first() else {
        return Vec::new();
    };
    let name = |signal: usize| rules.signals[signal].name.as_str();
    let minutes = past.minutes(name(*first), (from, until)).into_iter();
    let judged = minutes.filter_map(|(at, of_first)| {
        let value = |signal: usize| {
            let is_first = signal == *first;
            let other = || past.at(name(signal), at);
            if is_first { Some(of_first) } else { other() }
        };
        let median = |signal: usize| past.median_before(name(signal), at);
        match judge(condition, &value, &median).truth {
            Truth::True => Some((at, true)),
            Truth::False => Some((at, false)),
            Truth::Unknown => None,
        }
    });
    judged.collect()
}

fn calm_criterion(
    past: &impl Remembers,
    severity: Severity,
    over: Duration,
    at: Timestamp,
) -> (CriterionOutcome, String) {
    let grave = past
        .incidents()
        .into_iter()
        .filter(|it| it.severity <= severity);
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
    let watched = watched(past, (at - over, at));
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
fn watched(past: &impl Remembers, (from, until): (Timestamp, Timestamp)) -> Known {
    if past.rules().uptime.down.is_empty() {
        let began = past.began().unwrap_or(until).max(from);
        let minutes = (1..).map(|n| began + MINUTE * n);
        let minutes = minutes.take_while(|at| *at <= until);
        return minutes.map(|at| (at, true)).collect();
    }
    let known = past.uptime((from, until)).into_iter();
    known.map(|(at, _)| (at, true)).collect()
}

fn stable_criterion(
    past: &impl Remembers,
    signal: usize,
    over: Duration,
    at: Timestamp,
) -> (CriterionOutcome, String) {
    let signal = &past.rules().signals[signal];
    let minutes: Vec<(Timestamp, f64)> = past.minutes(&signal.name, (at - over, at));
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
