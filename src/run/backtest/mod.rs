//! `gated backtest`: what would gated have done? The live engine over recorded series, with a sink in memory.

mod answer;
mod compare;
mod expect;
pub mod files;
mod journal;
mod outcome;
mod play;
mod rules;
mod server;
mod show;
mod stage;
mod sweep;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Runtime;

use self::answer::{compared, expected, named, rendered, tell_doubts};
use self::show::Shown;
use super::bar::Bar;
use super::cli::{Backtest, BacktestFormat, Global, Told, colour};
use super::clock::Clock;
use super::entry::print;
pub use expect::Expect;
pub use journal::{Replay, Replayed, replay};
pub use outcome::{Outcome, PhaseSpan};
pub use play::{Play, PlayError, play};
pub use rules::{Judge, judge, local, past, reads};
pub use stage::{Receivers, Stage};

use crate::source::recording::{MEMORY_BYTES, Reads, Recording, Tally};

/// A fault of the command line, the files or the data.
const USAGE: u8 = 2;

/// Runs it; the exit code.
///
/// # Errors
/// Nothing that is the user's to mend.
pub fn run(flags: &Backtest, global: &Global, runtime: &Runtime) -> anyhow::Result<u8> {
    match carry_out(flags, global, runtime) {
        Ok(code) => Ok(code),
        Err(fault) => {
            let text = if fault.starts_with("error") {
                fault
            } else {
                format!("error: {fault}")
            };
            let _ = writeln!(std::io::stderr(), "{text}");
            Ok(USAGE)
        }
    }
}

fn carry_out(flags: &Backtest, global: &Global, runtime: &Runtime) -> Result<u8, String> {
    let compares = !flags.compare.is_empty();
    if flags.format == BacktestFormat::Html && (compares || !flags.sweep.is_empty()) {
        let what = if compares { "compare" } else { "sweep" };
        return Err(format!("--{what} is printed as table, json or markdown"));
    }
    if let (Some(start), Some(end)) = (flags.start, flags.end)
        && start > end
    {
        return Err(format!("--start {start} lies behind --end {end}"));
    }
    if let Some(path) = &flags.journal {
        return journal::run(flags, global, path);
    }
    let mut rollouts = flags.rollout.clone();
    rollouts.sort_by_key(|it| it.at);
    let told = |rules: &[PathBuf]| {
        let judge = judge(&global.config, rules, colour())?;
        Ok::<_, String>(judge.told(!rollouts.is_empty(), flags.go_live))
    };
    let own = told(&global.rules)?;
    let other = if compares {
        Some(told(&flags.compare)?)
    } else {
        None
    };
    let judges: Vec<&Judge> = std::iter::once(&own).chain(&other).collect();
    let recording = read(flags, &rollouts, &judges, runtime)?;
    let it = Play {
        recording: &recording,
        rollouts: &rollouts,
        interval: flags.interval,
        start: flags.start,
        end: flags.end,
        draw: flags.format == BacktestFormat::Html,
    };
    let outcome = judged(&it, &own)?;
    let own_shown = own.shown(&outcome, Some(recording.tally()));
    if let Some(other) = &other {
        let others = judged(&it, other)?;
        let other_shown = other.shown(&others, Some(recording.tally()));
        let names = (named(&global.rules), named(&flags.compare));
        print(&compared(
            &own_shown,
            &other_shown,
            (&names.0, &names.1),
            flags.format,
        ));
        tell_doubts(&[&own_shown, &other_shown]);
        return Ok(0);
    }
    if !flags.sweep.is_empty() {
        let (sweeps, rows) = sweep::sweep(&flags.sweep, &it, &own.settings)?;
        print(&match flags.format {
            BacktestFormat::Json => show::swept::document(&sweeps, &rows),
            BacktestFormat::Markdown => show::swept::markdown(&own_shown, &sweeps, &rows),
            BacktestFormat::Table | BacktestFormat::Html => {
                show::swept::swept(&own_shown, &sweeps, &rows, colour())
            }
        });
        tell_doubts(&[&own_shown]);
        return Ok(0);
    }
    print(&rendered(&own_shown, flags.format));
    if flags.format == BacktestFormat::Json {
        tell_doubts(&[&own_shown]);
    }
    expected(flags, &outcome, None)
}

impl Judge {
    fn shown<'a>(&'a self, outcome: &'a Outcome, tally: Option<Tally>) -> Shown<'a> {
        Shown {
            outcome,
            settings: &self.settings,
            tally,
            notes: &self.warnings,
        }
    }
}

/// All that any of the rules reads, from as far before the start, and before rollouts, as they look back.
fn read(
    flags: &Backtest,
    rollouts: &[Told],
    judges: &[&Judge],
    runtime: &Runtime,
) -> Result<Recording, String> {
    let readers: Vec<Reads> = judges.iter().map(|it| reads(&it.settings)).collect();
    let selectors = readers
        .iter()
        .flat_map(|it| it.interest.selectors())
        .collect();
    let past = judges
        .iter()
        .map(|it| past(&it.settings))
        .max()
        .unwrap_or_default();
    // What stands at the start is what became of the rollouts before it.
    let first = rollouts.first().map(|it| it.at);
    let from = flags.start.map(|it| it.min(first.unwrap_or(it)) - past);
    let mut recording = Recording::new(readers, MEMORY_BYTES);
    let Some(said) = &flags.prometheus else {
        // A rollout that the samples tell of may lie anywhere before.
        let infers = |it: &&Judge| it.settings.rollout.version_from.is_some();
        let from = from.filter(|_| !judges.iter().any(infers));
        recording = recording.between(from, flags.end);
        files::read(&flags.openmetrics, &mut recording)?;
        return Ok(recording);
    };
    recording = recording.between(from, flags.end).overlapping();
    let server = server::server(said, judges[0].config.as_ref())?;
    let from = from.ok_or("--prometheus needs --start: from when on?")?;
    let until = flags.end.unwrap_or_else(|| Clock::start().now());
    if until.since(from) > play::SPAN_MAX {
        return Err(format!(
            "from {from} to {until} are more than 400 days: say a shorter time with --start and --end, and later rollouts"
        ));
    }
    let asked = server::read(&server, &selectors, (from, until), &mut recording);
    runtime.block_on(asked)?;
    Ok(recording)
}

fn judged(it: &Play<'_>, judge: &Judge) -> Result<Outcome, String> {
    let mut bar = Bar::new("judging");
    let settings = Arc::new(judge.settings.clone());
    let played = play(it, settings, &mut |share| bar.show(share));
    bar.clear();
    played.map_err(|error| error.to_string())
}
