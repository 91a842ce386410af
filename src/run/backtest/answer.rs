//! What came of it, as it was asked for: printed, and as an exit code.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use super::outcome::Outcome;
use super::show::{self, Shown};
use crate::run::cli::{Backtest, BacktestFormat, colour};

/// It was decided otherwise than expected.
const UNEXPECTED: u8 = 1;

pub fn rendered(shown: &Shown<'_>, format: BacktestFormat) -> String {
    match format {
        BacktestFormat::Json => show::json(shown.outcome),
        BacktestFormat::Table => show::table(shown, colour()),
        BacktestFormat::Markdown => show::markdown(shown),
        BacktestFormat::Html => show::html(shown),
    }
}

pub fn compared(
    ours: &Shown<'_>,
    others: &Shown<'_>,
    names: (&str, &str),
    format: BacktestFormat,
) -> String {
    match format {
        BacktestFormat::Json => show::compared::document(ours, others),
        BacktestFormat::Markdown => show::compared::markdown(ours, others, names),
        BacktestFormat::Table | BacktestFormat::Html => {
            show::compared::compared(ours, others, names, colour())
        }
    }
}

/// Rules as people know them.
pub fn named(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|it| it.display().to_string()).collect();
    names.join(" ")
}

/// What makes the outcome doubtful, where what is printed has no place for it.
pub fn tell_doubts(shown: &[&Shown<'_>]) {
    let doubts: BTreeSet<String> = shown.iter().flat_map(|it| show::doubts(it)).collect();
    for doubt in doubts {
        let _ = writeln!(std::io::stderr(), "warning: {doubt}");
    }
}

/// The exit code. What could not be judged is as little as expected as what was decided otherwise.
pub fn expected(flags: &Backtest, outcome: &Outcome, lacking: Option<&str>) -> Result<u8, String> {
    let Some(expect) = &flags.expect else {
        return Ok(0);
    };
    let unjudged = outcome.nothing_judged().or(lacking);
    if let Some(why) = unjudged {
        return Err(format!("--expect cannot be answered: {why}"));
    }
    match expect.check(outcome) {
        Ok(()) => Ok(0),
        Err(text) => {
            let _ = writeln!(std::io::stderr(), "error: {text}");
            Ok(UNEXPECTED)
        }
    }
}
