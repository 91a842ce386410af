//! Phases with their targets and triggers.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::{Activity, ChecklistItem, Condition, Criterion, Response, Signal};
use crate::model::calendar::wall_after;
use crate::model::{Action, Severity, Status, Timestamp};
use crate::promql::Expr;

/// All rules files together.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Names are unique over all files.
    pub signals: Vec<Signal>,
    /// In the order of the files.
    pub phases: Vec<Phase>,
    pub uptime: super::Uptime,
    /// What is due in an incident, in the order of the files.
    pub responses: Vec<Response>,
    /// Prometheus' rule groups, in the order of the files.
    pub groups: Vec<super::RuleGroup>,
    /// What all of it was read from. Shared: it is large and never changes.
    pub texts: Arc<super::Texts>,
}

impl Rules {
    /// What gated's own rules read: signals, what says whether there is traffic enough, bare triggers.
    pub fn own_expressions(&self) -> impl Iterator<Item = &Expr> {
        let signals = self.signals.iter();
        let signals = signals.flat_map(|it| std::iter::once(&it.expr).chain(&it.enough));
        let triggers = self.phases.iter().flat_map(|phase| &phase.triggers);
        let bare = triggers.filter_map(|it| match &it.when {
            When::Expr(expr) => Some(expr),
            When::Condition(_) => None,
        });
        signals.chain(bare)
    }

    /// The same, and those of Prometheus' rules.
    pub fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let groups = self.groups.iter().flat_map(|group| &group.rules);
        self.own_expressions().chain(groups.map(|it| &it.expr))
    }
}

/// From which moment a file's phases count.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Clock {
    GoLive,
    /// The go-live too, but hours and days are those that the wall of the service's zone shows: `8h` after a go-live at
    /// midnight is 08:00, whatever was done to the clock.
    Wall,
    Rollout,
}

impl Clock {
    /// What is ticked so long before it begins is ticked for it.
    #[must_use]
    pub const fn lead(self) -> Duration {
        match self {
            Self::GoLive | Self::Wall => Duration::from_secs(7 * 86_400),
            Self::Rollout => Duration::from_secs(3600),
        }
    }
}

/// A band of time `[from, until)` on its clock.
#[derive(Clone, Debug)]
pub struct Phase {
    pub name: String,
    pub title: String,
    pub clock: Clock,
    pub from: Duration,
    /// `None`: until the next rollout or go-live.
    pub until: Option<Duration>,
    /// `rollback = "armed"`; elsewhere a rollback trigger escalates instead.
    pub armed: bool,
    /// The worst status that still lets the gate say go.
    pub gate: Status,
    /// Judged by `--dry-run` unless `--phase` says otherwise.
    pub preflight: bool,
    /// `mode = "shadow"` of its file: judged, decided and shown; the verdict, people and receivers hear nothing of it.
    pub shadow: bool,
    pub targets: Vec<Target>,
    pub triggers: Vec<Trigger>,
    /// Items of the phase first, then those of its activities.
    pub checklist: Vec<ChecklistItem>,
    pub activities: Vec<Activity>,
    /// What must be met before hypercare ends.
    pub criteria: Vec<Criterion>,
}

impl Phase {
    /// From when until when it is on its clock, which began at `start`. By the wall where the clock is the wall's.
    #[must_use]
    pub fn band(
        &self,
        start: Timestamp,
        zone: &TimeZone,
    ) -> Option<(Timestamp, Option<Timestamp>)> {
        let moment = |after: Duration| match self.clock {
            Clock::GoLive | Clock::Rollout => Some(start + after),
            Clock::Wall => wall_after(start, after, zone),
        };
        let until = match self.until {
            Some(until) => Some(moment(until)?),
            None => None,
        };
        Some((moment(self.from)?, until))
    }
}

/// What should hold. Missed: amber.
#[derive(Clone, Debug)]
pub struct Target {
    /// Index in [`Rules::signals`].
    pub signal: usize,
    pub condition: Condition,
    /// As written: `< 100ms`.
    pub text: String,
    /// Of `[phase.expected]`: missed it is amber as well, but nobody waits for its value.
    pub expected: bool,
}

/// What must not happen. Firing: red, and something is done.
#[derive(Clone, Debug)]
pub struct Trigger {
    pub name: String,
    pub when: When,
    /// `when` or `expr` as written.
    pub text: String,
    pub hold: Hold,
    pub keep_firing_for: Duration,
    pub action: Action,
    pub severity: Severity,
    pub no_data: NoData,
    /// Judge every series of the signal by itself.
    pub each: bool,
    /// With `each`: fire once, when at least this share of all series known in the window agrees.
    pub quorum: Option<f64>,
    /// `mode = "shadow"`: judged and shown, never acted on.
    pub shadow: bool,
}

#[derive(Clone, Debug)]
pub enum When {
    Condition(Condition),
    /// `PromQL` that returns something when the trigger should fire.
    Expr(Expr),
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// True without a break for this long.
    For(Duration),
    /// True in `need` of the last `of` readings, one reading an interval.
    After { need: u32, of: u32 },
}

/// What no value means.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum NoData {
    /// The state stays.
    Hold,
    /// As if the condition were false.
    Pass,
    /// As if it were true; never with `do = "rollback"`.
    Trip,
}
