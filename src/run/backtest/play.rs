//! A recording through the engine: rollouts that the command line tells of, then page after page.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::outcome::Outcome;
use super::rules::reads;
use super::stage::{Receivers, Stage};
use crate::engine::{Refusal, Restored, Settings};
use crate::model::Timestamp;
use crate::run::cli::Told;
use crate::source::recording::{Pages, Recording};

/// Columns of a drawing: about one a pixel.
pub(super) const COLUMNS: usize = 1000;

/// What is played, and from when until when it is looked at.
#[derive(Clone, Debug)]
pub struct Play<'a> {
    pub recording: &'a Recording,
    /// By time.
    pub rollouts: &'a [Told],
    pub interval: Option<Duration>,
    /// `None`: where the recording begins and ends.
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    /// Whether what is read is kept for drawing.
    pub draw: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    #[error("the recorded samples cannot be read again: {0}")]
    Spool(#[from] io::Error),
    #[error(
        "none of the recorded series is read by the rules at this time: {0} samples were looked at; do names, labels, jobs, --start and --end fit?"
    )]
    NothingWanted(u64),
    #[error("--{what} {at} lies {side} of the recording, which goes from {from} to {until}")]
    Outside {
        what: &'static str,
        at: Timestamp,
        side: &'static str,
        from: Timestamp,
        until: Timestamp,
    },
    #[error(
        "the recording goes from {from} to {until}: more than 400 days, or past the year 2200; are its timestamps in seconds? --start and --end take a part of it"
    )]
    TooLong { from: Timestamp, until: Timestamp },
    #[error("the rollout of {version} at {at} is refused: {refusal}")]
    Rollout {
        version: String,
        at: Timestamp,
        refusal: Refusal,
    },
}

/// The engine begins this long before the first page.
const BEFORE: Duration = Duration::from_secs(1);
/// A recording that is longer holds a timestamp that is none.
pub const SPAN_MAX: Duration = Duration::from_secs(400 * 86_400);

/// The year 2200: later is a timestamp in milliseconds.
const LATEST: Timestamp = Timestamp::from_millis(7_258_118_400_000);

/// Plays it under these settings. `progress` hears of the moment that is reached.
///
/// # Errors
/// The temporary file cannot be read, or there is nothing to play at that time.
pub fn play(
    it: &Play<'_>,
    settings: Arc<Settings>,
    progress: &mut dyn FnMut(f64),
) -> Result<Outcome, PlayError> {
    let (first, last) = it
        .recording
        .span()?
        .ok_or(PlayError::NothingWanted(it.recording.tally().read))?;
    // What is not recorded is not known: that nothing answers says something of the recording alone.
    let end = it.end.unwrap_or(last).min(last);
    let start = it.start.unwrap_or(first);
    it.check((first, last), (start, end))?;
    if last.since(first) > SPAN_MAX || last > LATEST {
        return Err(PlayError::TooLong {
            from: first,
            until: last,
        });
    }
    let mut pages = Pages::new(it.recording, &reads(&settings), it.interval)?;
    let before = first - BEFORE;
    let mut stage = Stage::new(
        settings,
        Restored::default(),
        before,
        start,
        Receivers::Memory,
    );
    if it.draw {
        stage = stage.drawing(end, COLUMNS);
    }
    let mut told = it.rollouts.iter().peekable();
    let whole = end.since(first).as_secs_f64().max(1.0);
    while let Some(next) = pages.next().transpose()? {
        let (at, input) = next;
        while let Some(rollout) = told.next_if(|it| it.at <= at.min(end)) {
            start_rollout(&mut stage, rollout)?;
        }
        if at > end {
            break;
        }
        stage.feed(at, input);
        progress(at.since(first).as_secs_f64() / whole);
    }
    for rollout in told {
        start_rollout(&mut stage, rollout)?;
    }
    let mut outcome = stage.end(end);
    outcome.silent = pages.often_silent();
    outcome.ended_without_up = pages.ended_without_up(end);
    outcome.asked_end = it
        .end
        .filter(|asked| asked.since(end) > pages.interval() * 2);
    Ok(outcome)
}

fn start_rollout(stage: &mut Stage, told: &Told) -> Result<(), PlayError> {
    let previous = told.previous_version.as_deref();
    let answer = stage.tell(told.at, &told.version, previous);
    answer.map_err(|refusal| PlayError::Rollout {
        version: told.version.clone(),
        at: told.at,
        refusal,
    })
}

impl Play<'_> {
    fn check(
        &self,
        (from, until): (Timestamp, Timestamp),
        (start, end): (Timestamp, Timestamp),
    ) -> Result<(), PlayError> {
        let outside = |what, at, side| PlayError::Outside {
            what,
            at,
            side,
            from,
            until,
        };
        if start > until {
            return Err(outside("start", start, "behind the end"));
        }
        if end < from {
            return Err(outside("end", end, "before the beginning"));
        }
        let late = self.rollouts.iter().find(|it| it.at > end);
        late.map_or(Ok(()), |it| {
            Err(outside("rollout", it.at, "behind the end"))
        })
    }
}
