//! `gated backtest`: what would gated have done? The live engine over recorded series, with a sink in memory.

mod bar;
mod expect;
mod files;
mod journal;
mod outcome;
mod play;
mod rules;
mod show;
mod stage;

use std::io::Write as _;

use self::show::Shown;
use super::cli::{Backtest, BacktestFormat, Global, colour};
use super::entry::print;
pub use expect::Expect;
pub use journal::{Replay, Replayed, replay};
pub use outcome::{Outcome, PhaseSpan};
pub use play::{Play, PlayError, play};
pub use rules::{Judge, judge};
pub use stage::{Receivers, Stage};

use crate::source::recording::{MEMORY_BYTES, Recording};

/// A fault of the command line, the files or the data.
/// It was decided otherwise than expected.
const UNEXPECTED: u8 = 1;
const USAGE: u8 = 2;

/// Runs it; the exit code.
///
/// # Errors
/// Nothing that is the user's to mend.
pub fn run(flags: &Backtest, global: &Global) -> anyhow::Result<u8> {
    match carry_out(flags, global) {
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

fn carry_out(flags: &Backtest, global: &Global) -> Result<u8, String> {
    if let Some(path) = &flags.journal {
        return journal::run(flags, global, path);
    }
    let mut rollouts = flags.rollout.clone();
    rollouts.sort_by_key(|it| it.at);
    let judge = judge(&global.config, &global.rules, colour())?;
    let judge = judge.told(!rollouts.is_empty(), flags.go_live);
    let mut recording = Recording::new(vec![judge.interest()], judge.made(), MEMORY_BYTES);
    files::read(&flags.openmetrics, &mut recording)?;
    let it = Play {
        recording: &recording,
        rollouts: &rollouts,
        interval: flags.interval,
        start: flags.start,
        end: flags.end,
        draw: flags.format == BacktestFormat::Html,
    };
    let mut bar = bar::Bar::new("judging");
    let played = play(
        &it,
        std::sync::Arc::new(judge.settings.clone()),
        &mut |share| {
            bar.show(share);
        },
    );
    bar.clear();
    let outcome = played.map_err(|error| error.to_string())?;
    let shown = Shown {
        outcome: &outcome,
        settings: &judge.settings,
        tally: Some(recording.tally()),
        notes: &judge.warnings,
    };
    print(&match flags.format {
        BacktestFormat::Json => show::json(&outcome),
        BacktestFormat::Table => show::table(&shown, colour()),
        BacktestFormat::Markdown | BacktestFormat::Html => show::markdown(&shown),
    });
    if let Some(Err(text)) = flags.expect.as_ref().map(|it| it.check(&outcome)) {
        let _ = writeln!(std::io::stderr(), "error: {text}");
        return Ok(UNEXPECTED);
    }
    Ok(0)
}
