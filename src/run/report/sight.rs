//! What a machine would have said of a line of the checklist at a moment that is over, by the minutes and incidents of
//! the ledger. Deliberately absent: what it sees at this moment (the snapshot of a running gated has that).

use std::time::Duration;

use crate::engine::Restored;
use crate::model::Timestamp;
use crate::report::UNKNOWN_SHARE_MAX;
use crate::rules::Truth;
use crate::rules::bound;
use crate::rules::judge;
use crate::runbook::Back;
use crate::runbook::Condition;
use crate::runbook::Rules;
use crate::runbook::Sight;
use crate::runbook::SightKind;
use crate::runbook::UPTIME;

const MINUTE: Duration = Duration::from_secs(60);
/// A reading stands for so long, as a sample does in Prometheus' lookback.
const LOOKBACK: Duration = Duration::from_secs(5 * 60);

/// What is known of the past.
#[derive(Copy, Clone)]
pub(super) struct Past<'a> {
    pub rules: &'a Rules,
    pub known: &'a Restored,
}

impl Past<'_> {
    /// Whether it was so at `at` in a phase whose clock began at `began`; `None`: too little is known of then.
    pub fn saw(&self, sight: &Sight, began: Timestamp, at: Timestamp) -> Option<bool> {
        let over = match sight.back {
            Back::Now => Duration::ZERO,
            Back::Over(over) => over,
            Back::GoLive => at.since(began),
        };
        match &sight.kind {
            SightKind::Held(condition) if over.is_zero() => self.held(condition, at, LOOKBACK),
            SightKind::Held(condition) => {
                let minutes = moments(over, at).map(|it| self.held(condition, it, MINUTE));
                counted(minutes).map(|(_, bad)| bad == 0)
            }
            SightKind::Uptime(threshold) => {
                let minutes = moments(over, at).map(|it| {
                    let value = self.value(UPTIME, it, MINUTE)?;
                    Some(value >= 1.0)
                });
                let (good, bad) = counted(minutes)?;
                let share = f64::from(good) / f64::from((good + bad).max(1));
                let bound = bound(threshold, || None)?;
                Some(threshold.op.holds(share, bound))
            }
            SightKind::NoIncidents(severity) => {
                let mut grave = self.known.incidents.iter();
                let was = grave.any(|it| {
                    let over = it
                        .resolved
                        .as_ref()
                        .is_some_and(|(end, _)| *end <= at - over);
                    it.severity <= *severity && it.opened_at < at && !over
                });
                if was {
                    return Some(false);
                }
                // Without readings nothing opens an incident.
                let watched = moments(over, at).map(|it| self.watched(it).then_some(true));
                counted(watched).map(|_| true)
            }
            // A trend wants more days than are read for a report.
            SightKind::Stable(_) => None,
        }
    }

    fn held(&self, condition: &Condition, at: Timestamp, lookback: Duration) -> Option<bool> {
        let name = |signal: usize| &*self.rules.signals[signal].name;
        let value = |signal: usize| self.value(name(signal), at, lookback);
        let median = |signal: usize| {
            let rollouts = self.known.rollouts.iter().rev();
            let mut current =
                rollouts.filter(|it| it.started_at <= at && it.end.is_none_or(|(end, _)| end > at));
            current.next()?.baseline.get(name(signal)).copied()
        };
        match judge(condition, &value, &median).truth {
            Truth::True => Some(true),
            Truth::False => Some(false),
            Truth::Unknown => None,
        }
    }

    /// The last reading up to `at`, no older than `lookback`.
    fn value(&self, signal: &str, at: Timestamp, lookback: Duration) -> Option<f64> {
        let minutes = self.known.minutes.iter().find(|it| it.signal == signal)?;
        let behind = minutes.values.partition_point(|(then, _)| *then <= at);
        let (then, value) = minutes.values[..behind].last()?;
        (*then > at - lookback).then_some(*value)
    }

    /// Whether the uptime was read in that minute; without any uptime, whether anything was.
    fn watched(&self, at: Timestamp) -> bool {
        let mut all = self.known.minutes.iter();
        if all.any(|it| it.signal == UPTIME) {
            return self.value(UPTIME, at, MINUTE).is_some();
        }
        let mut all = self.known.minutes.iter();
        all.any(|it| self.value(&it.signal, at, MINUTE).is_some())
    }
}

/// The ends of the minutes of the span before `at`.
fn moments(over: Duration, at: Timestamp) -> impl Iterator<Item = Timestamp> {
    let minutes = u32::try_from(over.as_secs() / 60).unwrap_or(u32::MAX);
    (0..minutes).map(move |n| at - MINUTE * n)
}

/// How many were good and bad; `None` where too many are unknown.
fn counted(minutes: impl Iterator<Item = Option<bool>>) -> Option<(u32, u32)> {
    let (mut good, mut bad, mut unknown) = (0_u32, 0_u32, 0_u32);
    for minute in minutes {
        match minute {
            Some(true) => good += 1,
            Some(false) => bad += 1,
            None => unknown += 1,
        }
    }
    let all = f64::from(good + bad + unknown);
    (f64::from(unknown) <= all * UNKNOWN_SHARE_MAX).then_some((good, bad))
}
