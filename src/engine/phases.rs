//! Which phases are active, and when that changes.

use std::time::Duration;

use super::Effect;
use super::Event;
use super::engine::Engine;
use crate::model::Timestamp;
use crate::model::WallClock;
use crate::runbook::Clock;
use crate::runbook::Phase;

/// `[from, until)`, as stamps.
#[derive(Copy, Clone, Debug)]
pub(super) struct Band {
    pub from: Timestamp,
    pub until: Option<Timestamp>,
}

impl Engine {
    /// From when until when a phase is, by its clock; `None` while that does not run. The go-live is a time of day that
    /// people agreed on, so it moves with the wall.
    pub(super) fn band(&self, phase: &Phase) -> Option<Band> {
        let wall = match phase.clock {
            Clock::GoLive | Clock::Wall => self.wall,
            Clock::Rollout => WallClock::default(),
        };
        let start = match phase.clock {
            Clock::GoLive | Clock::Wall => self.settings.rollout.go_live?,
            Clock::Rollout => self.rollouts.current()?.started_at,
        };
        let (from, until) = phase.band(start, &self.settings.zone)?;
        Some(Band {
            from: wall.when_it_shows(from),
            until: until.map(|it| wall.when_it_shows(it)),
        })
    }

    /// When a phase's clock began; `None` when it does not run.
    pub(super) fn clock_began(&self, phase: &Phase) -> Option<Timestamp> {
        match phase.clock {
            Clock::GoLive | Clock::Wall => {
                Some(self.wall.when_it_shows(self.settings.rollout.go_live?))
            }
            Clock::Rollout => self.rollouts.current().map(|rollout| rollout.started_at),
        }
    }

    /// Indexes of the active phases at `at`: those in shadow last, the shortest band first.
    pub(super) fn active_phases(&self, at: Timestamp) -> Vec<usize> {
        let phases = &self.settings.rules.phases;
        if let Some(preview) = &self.settings.preview {
            return (0..phases.len())
                .filter(|p| phases[*p].name == *preview)
                .collect();
        }
        let mut active: Vec<usize> = (0..phases.len())
            .filter(|p| self.is_active(&phases[*p], at))
            .collect();
        active.sort_by_key(|p| (phases[*p].shadow, length(&phases[*p]), *p));
        active
    }

    fn is_active(&self, phase: &Phase, at: Timestamp) -> bool {
        self.band(phase)
            .is_some_and(|band| at >= band.from && band.until.is_none_or(|until| at < until))
    }

    /// The next moment at which a phase begins or ends.
    pub(super) fn next_phase_boundary(&self) -> Option<Timestamp> {
        let boundaries = self.settings.rules.phases.iter().filter_map(|phase| {
            let Band { from, until } = self.band(phase)?;
            [Some(from), until]
                .into_iter()
                .flatten()
                .filter(|at| *at > self.phases_at)
                .min()
        });
        boundaries.min()
    }

    /// Until when a rollout that is in progress settles; `None` when it has.
    pub(super) fn settling(&self, at: Timestamp) -> Option<Timestamp> {
        if self.settings.preview.is_some() {
            return None;
        }
        self.settled_at().filter(|until| *until > at)
    }

    /// When the rollout in progress has settled, or will have.
    pub(super) fn settled_at(&self) -> Option<Timestamp> {
        let rollout = self.rollouts.current()?;
        let from = if rollout.told {
            rollout.started_at
        } else {
            rollout.seen_at
        };
        Some(from + self.settings.judging.settle)
    }

    /// The rollout has settled: triggers start afresh and are judged from here on.
    pub(super) fn settle(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        self.settle_until = None;
        self.judged_from = at;
        self.start_afresh(out);
        if let Some(rollout) = self.rollouts.current() {
            out.push(Effect::Tell(Event::Settled {
                rollout: rollout.id.0.clone(),
            }));
        }
        self.judge(at, None, out);
    }

    /// Says so when the shown phase has changed.
    pub(super) fn tell_phase(&mut self, active: &[usize], at: Timestamp, out: &mut Vec<Effect>) {
        let phases = &self.settings.rules.phases;
        let shown = active.first().map(|p| &phases[*p]);
        let name = shown.map_or("", |phase| &phase.name);
        if name != self.phase_shown {
            if self.phase_shown.is_empty() {
                self.judged_from = self.judged_from.max(at);
            }
            name.clone_into(&mut self.phase_shown);
            if let Some(phase) = shown {
                let (phase, title) = (phase.name.clone(), phase.title.clone());
                out.push(Effect::Tell(Event::PhaseEntered { phase, title }));
            }
        }
    }
}

fn length(phase: &Phase) -> Duration {
    phase
        .until
        .map_or(Duration::MAX, |until| until.saturating_sub(phase.from))
}
