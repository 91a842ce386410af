//! What became of each phase: entered with the first scrape that is judged in it, and over with what the gate says then.
//! One that went by while nobody judged is never one that passed.

use std::sync::Arc;
use std::time::Duration;

use super::Effect;
use super::Event;
use super::Record;
use super::engine::Engine;
use crate::model::PhaseOutcome;
use crate::model::PhaseRun;
use crate::model::Timestamp;
use crate::model::Verdict;
use crate::model::WallClock;
use crate::runbook::Clock;

/// Runs kept in memory besides those that the clocks plan; older ones stay in the ledger.
const RUNS_SHOWN_MAX: usize = 200;
/// A phase that has been over for longer is no news, whether somebody judged it or not. The ledger keeps it as long.
const NEWS: Duration = Duration::from_secs(40 * 86_400);

/// The runs of phases, as far as anything is known of them.
#[derive(Debug, Default)]
pub(super) struct PhaseBook {
    /// In the order in which they were entered or missed.
    pub runs: Vec<PhaseRun>,
    /// When a scrape was last judged.
    landed_at: Option<Timestamp>,
    /// The active phases of which everything is noted.
    noted: Option<Vec<usize>>,
}

impl PhaseBook {
    pub fn restore(runs: Vec<PhaseRun>) -> Self {
        Self {
            runs,
            ..Self::default()
        }
    }

    /// Clocks or rules have changed: what is planned may be another run of the same phase.
    pub fn look_again(&mut self) {
        self.noted = None;
    }

    fn known(&mut self, phase: &str, from: Timestamp) -> Option<&mut PhaseRun> {
        let mut runs = self.runs.iter_mut();
        runs.find(|run| run.phase == phase && run.from == from)
    }
}

/// A run of a phase as its clock plans it.
struct Planned {
    /// Index of the phase.
    place: usize,
    name: String,
    from: Timestamp,
    /// The stamp at which it is over.
    over: Option<Timestamp>,
}

impl Engine {
    /// Somebody set the machine's clock: phases after the go-live and quiet hours go by the wall. However far it went
    /// there is one change of phase, and what it went past is said.
    pub(super) fn clock_set(&mut self, wall: WallClock, at: Timestamp, out: &mut Vec<Effect>) {
        self.wall = wall;
        self.quiet_by_the_wall();
        self.phases_at = at;
        self.phases.look_again();
        self.look_at_calendar(at);
        out.push(Effect::Tell(Event::ClockSet(wall)));
        self.judge(at, None, out);
    }

    pub(super) fn quiet_by_the_wall(&mut self) {
        let settings = Arc::make_mut(&mut self.settings);
        settings.people.paths.set_wall(self.wall);
    }

    /// Notes which phases were entered, are over, or went by. Comes before the verdict of `at`, so that a phase ends
    /// with the last one that was about it.
    pub(super) fn follow_phases(
        &mut self,
        active: &[usize],
        landed: bool,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if self.settings.preview.is_some() {
            return;
        }
        if self.phases.noted.as_deref() != Some(active) {
            let planned = self.planned_runs();
            self.end_runs(&planned, active, at, out);
            self.begin_runs(&planned, active, landed, at, out);
            self.phases.noted = landed.then(|| active.to_vec());
        }
        if landed {
            self.phases.landed_at = Some(at);
        }
    }

    fn planned_runs(&self) -> Vec<Planned> {
        let phases = self.settings.rules.phases.iter().enumerate();
        let planned = phases.filter_map(|(place, phase)| {
            let band = self.band(phase)?;
            let from = match phase.clock {
                Clock::GoLive | Clock::Wall => self.wall.shows(band.from),
                Clock::Rollout => band.from,
            };
            Some(Planned {
                place,
                name: phase.name.clone(),
                from,
                over: band.until,
            })
        });
        planned.collect()
    }

    fn end_runs(
        &mut self,
        planned: &[Planned],
        active: &[usize],
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let recent = |last: Timestamp| at.since(last) < self.settings.judging.blind_after;
        let outcome = match self.standing.verdict {
            Verdict::Go => PhaseOutcome::Passed,
            Verdict::NoGo => PhaseOutcome::Failed,
            Verdict::Unknown => PhaseOutcome::Unknown,
        };
        let seen = self.phases.landed_at.is_some_and(recent);
        let outcome = if seen { outcome } else { PhaseOutcome::Unknown };
        let goes_on = |run: &PhaseRun| {
            let mut planned = planned.iter();
            planned
                .any(|it| it.name == run.phase && it.from == run.from && active.contains(&it.place))
        };
        for run in &mut self.phases.runs {
            if run.end.is_none() && !goes_on(run) {
                run.end = Some((at, outcome));
                tell_run(run, out);
            }
        }
        let mut surplus = self.phases.runs.len().saturating_sub(RUNS_SHOWN_MAX);
        self.phases.runs.retain(|run| {
            let is_planned = |it: &Planned| it.name == run.phase && it.from == run.from;
            let goes = surplus > 0 && run.end.is_some() && !planned.iter().any(is_planned);
            surplus -= usize::from(goes);
            !goes
        });
    }

    fn begin_runs(
        &mut self,
        planned: &[Planned],
        active: &[usize],
        landed: bool,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        for it in planned {
            let is_active = active.contains(&it.place);
            if let Some(run) = self.phases.known(&it.name, it.from) {
                // A clock that was set back: it is not over yet.
                if is_active && landed && run.end.take().is_some() {
                    run.entered_at.get_or_insert(at);
                    tell_run(run, out);
                }
                continue;
            }
            let (entered_at, end) = if is_active {
                if !landed {
                    continue;
                }
                (Some(at), None)
            } else {
                let is_news = |over: &Timestamp| *over <= at && at.since(*over) < NEWS;
                let Some(over) = it.over.filter(is_news) else {
                    continue;
                };
                (None, Some((over, PhaseOutcome::NotEvaluated)))
            };
            let run = PhaseRun {
                phase: it.name.clone(),
                from: it.from,
                entered_at,
                end,
            };
            tell_run(&run, out);
            self.phases.runs.push(run);
        }
    }
}

fn tell_run(run: &PhaseRun, out: &mut Vec<Effect>) {
    out.push(Effect::Record(Record::PhaseRun(run.clone())));
    if let Some((_, outcome)) = run.end {
        let phase = run.phase.clone();
        out.push(Effect::Tell(Event::PhaseEnded { phase, outcome }));
    }
}
