//! Every signal once a minute: into the ledger, and back in the window as `gated_signal{signal="…"}`, after a restart as
//! well. And uptime, which is made of minutes. A minute in which nobody looked is unknown, never up.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Effect;
use super::Interest;
use super::Record;
use super::Settings;
use super::engine::Engine;
use super::signals::SignalWatch;
use crate::model::Labels;
use crate::model::Minute;
use crate::model::Minutes;
use crate::model::Slot;
use crate::model::TargetId;
use crate::model::Timestamp;
use crate::model::labels::NAME;
use crate::model::time::millis;
use crate::promql::Expr;
use crate::rules::Truth;
use crate::rules::judge;
use crate::rules::signals_of;
use crate::runbook::Back;
use crate::runbook::Rules;
use crate::runbook::SightKind;
use crate::runbook::UPTIME;
use crate::runbook::Uptime;
use crate::store::Window;

/// The series of every signal's minutes.
pub const HISTORY: &str = "gated_signal";
/// Minutes are kept for this long.
pub const HISTORY_KEPT: Duration = Duration::from_secs(40 * 86_400);
const MINUTE: Duration = Duration::from_secs(60);
const QUARTER: Duration = Duration::from_secs(15 * 60);

/// Whether an expression may read minutes.
pub(super) fn is_asked_by(exprs: &[&Expr]) -> bool {
    let selectors = exprs.iter().flat_map(|expr| expr.selectors());
    let mut names = selectors.map(|(matchers, _)| matchers.name() == Some(HISTORY));
    names.any(|it| it)
}

/// What is known of the minutes that are over.
#[derive(Debug)]
pub(super) struct HistoryBook {
    /// Before this minute's end everything is kept.
    pub minute: Timestamp,
    /// By signal: its place among the window's targets, and since when it has been known.
    signals: BTreeMap<String, (TargetId, Option<Timestamp>)>,
    /// The minutes of signals that criteria look back on, oldest first.
    kept: BTreeMap<String, VecDeque<(Timestamp, f64)>>,
    /// Which minutes were up, oldest first; unknown ones are left out. With how many were down up to each, so that a span
    /// is counted by its ends.
    up: VecDeque<(Timestamp, bool, u64)>,
    /// What was seen in the minute that goes on.
    moments: Moments,
    /// The minute that goes on had begun when gated started: what was before in it nobody knows.
    is_partial: bool,
    /// As of the last minute.
    pub shown: Option<UptimeState>,
}

/// How often the service was seen up, down, and neither.
#[derive(Debug, Default)]
struct Moments {
    up: u32,
    down: u32,
    unknown: u32,
}

impl Moments {
    /// Down when it was seen down at all; up when more of the minute was known than not.
    fn verdict(&self) -> Option<bool> {
        if self.down > 0 {
            return Some(false);
        }
        (self.up > self.unknown).then_some(true)
    }
}

/// Uptime over `[uptime] over`, and what the objective leaves.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct UptimeState {
    /// A share, of the known minutes.
    pub objective: f64,
    /// `[uptime] over`.
    pub span: Duration,
    /// As much of it as there has been since the first known minute.
    pub seen: Duration,
    pub up: Duration,
    pub down: Duration,
    /// Neither seen up nor down: nobody looked, or what is judged had no value.
    pub unknown: Duration,
}

impl UptimeState {
    /// Up by known; `None` while nothing is known.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let known = self.up + self.down;
        (!known.is_zero()).then(|| self.up.as_secs_f64() / known.as_secs_f64())
    }

    /// Seconds that it may still be down within the span; negative once that is more than the objective allows.
    #[must_use]
    pub fn budget_left(&self) -> f64 {
        self.span.as_secs_f64() * (1.0 - self.objective) - self.down.as_secs_f64()
    }
}

impl HistoryBook {
    /// Goes on from what the ledger has.
    pub fn restore(minutes: &[Minutes], at: Timestamp) -> Self {
        let mut book = Self {
            minute: end_of_minute(at),
            signals: BTreeMap::new(),
            kept: BTreeMap::new(),
            up: VecDeque::new(),
            moments: Moments::default(),
            is_partial: at + MINUTE > end_of_minute(at),
            shown: None,
        };
        for it in minutes {
            book.place(&it.signal).1 = Some(it.since);
            if it.signal == UPTIME {
                for (at, value) in &it.values {
                    book.push(*at, *value > 0.0);
                }
            }
        }
        book
    }

    fn push(&mut self, at: Timestamp, up: bool) {
        let down = self.up.back().map_or(0, |(.., down)| *down);
        self.up.push_back((at, up, down + u64::from(!up)));
    }

    /// How many minutes of `(from, until]` were up, and how many down.
    fn counted(&self, from: Timestamp, until: Timestamp) -> (u32, u32) {
        let start = self.up.partition_point(|(at, ..)| *at <= from);
        let end = self.up.partition_point(|(at, ..)| *at <= until).max(start);
        let downs = |place: usize| match place.checked_sub(1) {
            Some(last) => self.up[last].2,
            None => self
                .up
                .front()
                .map_or(0, |(_, up, down)| down - u64::from(!up)),
        };
        let number = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let down = number(downs(end) - downs(start));
        (number((end - start) as u64) - down, down)
    }

    fn place(&mut self, signal: &str) -> &mut (TargetId, Option<Timestamp>) {
        let next = u32::try_from(self.signals.len()).expect("far fewer signals");
        let target = TargetId(TargetId::HISTORY.0 + next);
        self.signals
            .entry(signal.to_owned())
            .or_insert((target, None))
    }

    /// Since when the signal behind a target of the window has been known.
    pub fn since(&self, target: TargetId) -> Option<Timestamp> {
        let mut signals = self.signals.values();
        signals
            .find(|(id, _)| *id == target)
            .and_then(|(_, since)| *since)
    }

    /// The minutes of `[from, until)` that are known, oldest first, and whether each was up.
    pub fn known(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, bool)> {
        let start = self.up.partition_point(|(at, ..)| *at <= from);
        let end = self.up.partition_point(|(at, ..)| *at <= until);
        let range = self.up.range(start..end.max(start));
        range.map(|(at, up, _)| (*at, *up))
    }

    /// Since when anything has been known.
    pub fn began(&self) -> Option<Timestamp> {
        let since = self.signals.values().filter_map(|(_, since)| *since);
        since.min().map(|at| at - MINUTE)
    }

    /// The minutes of a signal that criteria look back on, in `(from, until]`, oldest first.
    pub fn minutes(
        &self,
        signal: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, f64)> {
        let all = self.kept.get(signal);
        let within = all.map(|all| {
            let start = all.partition_point(|(at, _)| *at <= from);
            let end = all.partition_point(|(at, _)| *at <= until);
            all.range(start..end.max(start)).copied()
        });
        within.into_iter().flatten()
    }

    /// What such a signal gave at the end of a minute.
    pub fn at(&self, signal: &str, minute: Timestamp) -> Option<f64> {
        let all = self.kept.get(signal)?;
        let place = all.partition_point(|(at, _)| *at < minute);
        let (at, value) = *all.get(place)?;
        (at == minute).then_some(value)
    }

    /// Keeps the minutes of these signals; `before` is what the ledger has of them.
    fn keep(&mut self, names: &BTreeSet<&str>, before: &[Minutes]) {
        self.kept.retain(|name, _| names.contains(name.as_str()));
        for name in names {
            let kept = self.kept.entry((*name).to_owned()).or_default();
            let since = kept.front().map(|(at, _)| *at);
            let older = |at: Timestamp| since.is_none_or(|since| at < since);
            let minutes = before.iter().find(|it| it.signal == **name);
            let values = minutes.map_or(&[][..], |it| &it.values);
            for minute in values.iter().rev().filter(|(at, _)| older(*at)) {
                kept.push_front(*minute);
            }
        }
    }

    /// What is known of the last `span` of minutes up to `until`, from the first known minute on.
    fn uptime(&self, span: Duration, until: Timestamp, objective: f64) -> UptimeState {
        let from = until - span;
        let first = self.up.front().map_or(until, |(at, ..)| *at - MINUTE);
        let seen = until.since(from.max(first));
        let (up, down) = self.counted(from, until);
        let (up, down) = (MINUTE * up, MINUTE * down);
        UptimeState {
            objective,
            span,
            seen,
            up,
            down,
            unknown: seen.saturating_sub(up + down),
        }
    }

    /// Gives the signals that rules look back on a series each. `before`: what the ledger has of them.
    fn bear(
        &mut self,
        names: &[&str],
        interest: &Interest,
        window: &mut Window,
        before: &[Minutes],
        at: Timestamp,
    ) {
        for name in names {
            let labels = series(name);
            let Some(span) = interest.span(&labels) else {
                continue;
            };
            let (target, _) = *self.place(name);
            window.add_target(target, MINUTE);
            window.born(target, Slot(0), labels, span);
            let minutes = before.iter().find(|it| it.signal == **name);
            let values = minutes.map_or(&[][..], |it| &it.values);
            let within = values.partition_point(|(minute, _)| at.since(*minute) > span);
            window.precede(target, Slot(0), &values[within..]);
        }
    }
}

/// Names of all signals, gated's own among them.
fn names(rules: &Rules) -> impl Iterator<Item = &str> {
    let signals = rules.signals.iter().map(|signal| signal.name.as_str());
    signals.chain([UPTIME])
}

fn series(signal: &str) -> Labels {
    Labels::new([(NAME, HISTORY), ("signal", signal)])
}

/// The signals whose minutes checklists and criteria count.
fn counted(rules: &Rules) -> BTreeSet<&str> {
    let sights = rules.phases.iter().flat_map(|phase| {
        let items = phase.checklist.iter().filter_map(|it| it.seen.as_ref());
        items.chain(phase.criteria.iter().filter_map(|it| it.seen.as_ref()))
    });
    let signals = sights.flat_map(|it| match &it.kind {
        SightKind::Held(condition) if it.back != Back::Now => signals_of(condition),
        SightKind::Stable(signal) => vec![*signal],
        SightKind::Held(_) | SightKind::Uptime(_) | SightKind::NoIncidents(_) => Vec::new(),
    });
    let names = signals.map(|signal| rules.signals[signal].name.as_str());
    names.collect()
}

/// How far back an engine with these settings looks at `at` on the minutes of a signal; `None`: not at all.
pub fn look_back(settings: &Settings, at: Timestamp) -> impl Fn(&str) -> Option<Timestamp> + use<> {
    let interest = Interest::of(settings);
    let counted = counted(&settings.rules);
    let spans = names(&settings.rules).filter_map(|name| {
        let whole = name == UPTIME || counted.contains(name);
        let span = interest.span(&series(name));
        let span = span.max(whole.then_some(HISTORY_KEPT))?;
        Some((name.to_owned(), at - span))
    });
    let spans: BTreeMap<String, Timestamp> = spans.collect();
    move |signal| spans.get(signal).copied()
}

/// The end of the minute that `at` lies in, after `at` itself.
fn end_of_minute(at: Timestamp) -> Timestamp {
    let minute = millis(MINUTE);
    Timestamp::from_millis((at.millis().div_euclid(minute) + 1) * minute)
}

impl Engine {
    /// The end of the minute that goes on.
    pub(super) fn next_minute(&self) -> Timestamp {
        self.history.minute
    }

    /// Makes the series that rules look back on. `before`: minutes of the ledger.
    pub(super) fn remember(&mut self, before: &[Minutes], at: Timestamp) {
        let interest = self.interest();
        let rules = Arc::clone(&self.settings.rules);
        self.history.keep(&counted(&rules), before);
        let names: Vec<&str> = names(&rules).collect();
        self.history
            .bear(&names, &interest, &mut self.window, before, at);
        self.count_uptime();
    }

    /// A scrape was judged: was the service up?
    pub(super) fn see_uptime(&mut self) {
        let signals = &self.signals;
        let value = |signal: usize| {
            let watch: Option<&SignalWatch> = signals.get(signal);
            watch.and_then(|it| it.reading().value())
        };
        let Uptime { down, .. } = &self.settings.rules.uptime;
        let truths = down.iter().map(|it| judge(it, &value, &|_| None).truth);
        let moments = &mut self.history.moments;
        let mut seen = None;
        for truth in truths {
            seen = match (seen, truth) {
                (Some(Truth::True), _) | (_, Truth::True) => Some(Truth::True),
                (Some(Truth::Unknown), _) | (_, Truth::Unknown) => Some(Truth::Unknown),
                (Some(Truth::False) | None, Truth::False) => Some(Truth::False),
            };
        }
        match seen {
            Some(Truth::True) => moments.down += 1,
            Some(Truth::False) => moments.up += 1,
            Some(Truth::Unknown) | None => moments.unknown += 1,
        }
    }

    /// The minute is over: what every signal gave goes into the ledger and the window.
    pub(super) fn end_minute(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let ended = self.history.minute;
        if ended > at {
            return;
        }
        self.history.minute = end_of_minute(at);
        self.repeat_observations(at, out);
        let moments = std::mem::take(&mut self.history.moments);
        let is_partial = std::mem::take(&mut self.history.is_partial);
        // Nobody looked while gated slept, and what was seen before it is not what was then.
        let slept = self.slept.is_some_and(|until| ended < until) || at.since(ended) >= MINUTE;
        let mut values = Vec::new();
        if !slept {
            let signals = self.settings.rules.signals.iter().zip(&self.signals);
            let known = signals.filter_map(|(signal, watch)| {
                Some((signal.name.clone(), watch.reading().value()?))
            });
            values.extend(known);
            if let Some(up) = moments.verdict().filter(|up| !(is_partial && *up)) {
                self.history.push(ended, up);
                values.push((UPTIME.to_owned(), f64::from(u8::from(up))));
            }
        }
        let old = |(at, ..): &(Timestamp, bool, u64)| ended.since(*at) > HISTORY_KEPT;
        while self.history.up.front().is_some_and(old) {
            self.history.up.pop_front();
        }
        for kept in self.history.kept.values_mut() {
            while kept
                .front()
                .is_some_and(|(at, _)| ended.since(*at) > HISTORY_KEPT)
            {
                kept.pop_front();
            }
        }
        for (signal, value) in &values {
            let place = self.history.place(signal);
            place.1.get_or_insert(ended);
            let target = place.0;
            if let Some(kept) = self.history.kept.get_mut(signal) {
                kept.push_back((ended, *value));
            }
            self.window.append(target, ended, &[*value], &[]);
        }
        let places: Vec<TargetId> = self.history.signals.values().map(|(id, _)| *id).collect();
        for target in places {
            // Changes nothing for those that have a value.
            self.window.fail(target, ended);
        }
        if !values.is_empty() {
            out.push(Effect::Record(Record::Minute(Minute { at: ended, values })));
        }
        self.count_uptime();
        self.look_again(ended, at);
        if self.reports.next.is_none() {
            self.plan_reports();
        }
        if self.signals.iter().any(SignalWatch::is_read_by_the_minute) {
            self.judge(at, Some(TargetId::HISTORY), out);
        }
    }

    /// What looks at a calendar is looked at each quarter of an hour; what looks back over days each hour, and each minute
    /// while a phase waits for its criteria.
    fn look_again(&mut self, ended: Timestamp, at: Timestamp) {
        let every = |span: Duration| ended.millis().rem_euclid(millis(span)) == 0;
        if every(QUARTER) {
            self.tick(at);
        }
        let phases = &self.settings.rules.phases;
        let active = self.active_phases(at);
        if every(QUARTER * 4) || active.iter().any(|p| !phases[*p].criteria.is_empty()) {
            self.judge_criteria(at);
        }
    }

    /// Counts the minutes of `[uptime] over`; nothing where nothing says what down is.
    fn count_uptime(&mut self) {
        let uptime = &self.settings.rules.uptime;
        let until = self.history.minute - MINUTE;
        let shown = (!uptime.down.is_empty())
            .then(|| (self.history).uptime(uptime.over, until, uptime.objective));
        self.history.shown = shown;
    }
}
