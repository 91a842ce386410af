//! `gated backtest --journal`: what gated was given, once more. Under the rules of then it decides what it decided, to the
//! byte; under other rules it is judged as if armed, and what receivers answered then is no answer to what is sent here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::answer::{compared, expected, named, rendered, tell_doubts};
use super::outcome::Outcome;
use super::play::COLUMNS;
use super::rules::{HOOK, rules};
use super::show::Shown;
use super::stage::{Receivers, Stage};
use crate::engine::{Input, Interest, Settings};
use crate::journal::Opening;
use crate::model::{Action, Timestamp};
use crate::run::bar::Bar;
use crate::run::cli::{Backtest, BacktestFormat, Global, colour};
use crate::run::entry::print;
use crate::runbook::Rules;
use crate::source::{Journal, JournalError, Recorded};

/// Metrics that the journal lacks are named up to here.
const LACKS_SHOWN: usize = 20;

/// What is replayed, and from when until when it is looked at.
#[derive(Clone, Debug)]
pub struct Replay<'a> {
    pub path: &'a Path,
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    /// `None`: those of then.
    pub rules: Option<&'a Rules>,
    /// Up to when what is read is kept for drawing.
    pub draw: Option<Timestamp>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Replayed {
    pub outcome: Outcome,
    /// Those at the end.
    pub settings: Arc<Settings>,
    /// What was not as it was, for people.
    pub remarks: Vec<String>,
    /// The first of them that is about a gap in the time that is looked at.
    pub gap: Option<String>,
    /// The first that is about that time at all.
    pub doubt: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("nothing of the journal in {} can be replayed: {}", path.display(), remarks.join("; "))]
    Nothing { path: PathBuf, remarks: Vec<String> },
}

/// Prints what came of a journal; the exit code.
///
/// # Errors
/// Whatever is the user's to mend, rendered.
pub(super) fn run(flags: &Backtest, global: &Global, path: &Path) -> Result<u8, String> {
    let load = |paths: &[PathBuf]| rules(paths, colour());
    let own = global
        .rules_named
        .then(|| load(&global.rules))
        .transpose()?;
    let compares = !flags.compare.is_empty();
    let other = compares.then(|| load(&flags.compare)).transpose()?;
    let ours = replayed(flags, path, own.as_ref())?;
    if let Some(other) = &other {
        let others = replayed(flags, path, Some(other))?;
        let names = match &own {
            Some(_) => named(&global.rules),
            None => "the rules of then".to_owned(),
        };
        let names = (names.as_str(), &*named(&flags.compare));
        print(&compared(
            &ours.shown(),
            &others.shown(),
            names,
            flags.format,
        ));
        tell_doubts(&[&ours.shown(), &others.shown()]);
        return Ok(0);
    }
    print(&rendered(&ours.shown(), flags.format));
    if flags.format == BacktestFormat::Json {
        tell_doubts(&[&ours.shown()]);
    }
    // A rollback that was found is there, whatever is missing around it. In a gap there may be another.
    let found = ours.outcome.of(Action::Rollback).next().is_some();
    let doubt = ours.doubt.as_deref().filter(|_| !found);
    expected(flags, &ours.outcome, ours.gap.as_deref().or(doubt))
}

/// With a bar, as long as the journal's files say that it is.
fn replayed(flags: &Backtest, path: &Path, rules: Option<&Rules>) -> Result<Replayed, String> {
    let journal = Journal::open(path).map_err(|error| crate::run::chain(&error))?;
    let since = flags.start.or(journal.since()).unwrap_or_default();
    let until = flags.end.or(journal.until()).unwrap_or_default();
    let it = Replay {
        path,
        start: flags.start,
        end: flags.end,
        rules,
        draw: (flags.format == BacktestFormat::Html).then_some(until),
    };
    let whole = until.since(since).as_secs_f64().max(1.0);
    let mut bar = Bar::new("replaying");
    let replayed = replay(&it, &mut |at| {
        bar.show(at.since(since).as_secs_f64() / whole);
    });
    bar.clear();
    replayed.map_err(|error| crate::run::chain(&error))
}

impl Replayed {
    fn shown(&self) -> Shown<'_> {
        Shown {
            outcome: &self.outcome,
            settings: &self.settings,
            tally: None,
            notes: &self.remarks,
        }
    }
}

/// Plays a journal. `progress` hears of the moment that is reached.
///
/// # Errors
/// There is no journal, or nothing in it that can be read.
pub fn replay(
    it: &Replay<'_>,
    progress: &mut dyn FnMut(Timestamp),
) -> Result<Replayed, ReplayError> {
    let journal = Journal::open(it.path)?;
    let mut run = Run {
        rules: it.rules,
        draw: it.draw,
        start: it.start.unwrap_or(Timestamp::EPOCH),
        end: it.end.unwrap_or(Timestamp::MAX),
        stage: None,
        settings: None,
        reached: Timestamp::EPOCH,
        remarks: Vec::new(),
        last_remark: None,
        gap: None,
        doubt: None,
    };
    for recorded in journal.entries() {
        if !run.take(recorded) {
            break;
        }
        progress(run.reached);
    }
    let (Some(stage), Some(settings)) = (run.stage, run.settings) else {
        return Err(ReplayError::Nothing {
            path: it.path.to_owned(),
            remarks: run.remarks,
        });
    };
    let at_the_end = run.last_remark.map(|(remark, _)| remark);
    Ok(Replayed {
        outcome: stage.stop(run.end.min(run.reached).max(run.start)),
        settings,
        remarks: run.remarks,
        gap: run.gap,
        doubt: run.doubt.or(at_the_end),
    })
}

struct Run<'a> {
    rules: Option<&'a Rules>,
    draw: Option<Timestamp>,
    start: Timestamp,
    end: Timestamp,
    stage: Option<Stage>,
    settings: Option<Arc<Settings>>,
    reached: Timestamp,
    remarks: Vec<String>,
    /// What was just remarked, and whether anything was replayed before; what follows it shows when it was.
    last_remark: Option<(String, bool)>,
    gap: Option<String>,
    doubt: Option<String>,
}

impl Run<'_> {
    /// Whether to go on.
    fn take(&mut self, recorded: Recorded) -> bool {
        let (at, input) = match recorded {
            Recorded::Remark(remark) => {
                let remark = remark.to_string();
                let amid = self.stage.is_some();
                self.last_remark.get_or_insert((remark.clone(), amid));
                self.remarks.push(remark);
                return true;
            }
            Recorded::Opened(opening) => {
                if opening.at > self.end {
                    return false;
                }
                self.follows_remark(opening.at);
                self.open(*opening);
                return true;
            }
            Recorded::Input { at, input } => (at, Some(input)),
            Recorded::Woke(at) => (at, None),
        };
        if at > self.end {
            return false;
        }
        self.follows_remark(at);
        self.reached = at;
        if self.rules.is_some() {
            self.judge_anew(at, input);
        } else if let Some(stage) = &mut self.stage {
            if let Some(Input::Reload(settings)) = &input {
                self.settings = Some(Arc::clone(settings));
            }
            stage.repeat(at, input);
        }
        true
    }

    fn follows_remark(&mut self, at: Timestamp) {
        if let Some((remark, amid)) = self.last_remark.take().filter(|_| at >= self.start) {
            if amid {
                self.gap.get_or_insert(remark.clone());
            }
            self.doubt.get_or_insert(remark);
        }
    }

    fn open(&mut self, opening: Opening) {
        let Opening {
            at,
            standing,
            restored,
            ..
        } = opening;
        let settings = match self.rules {
            Some(rules) => {
                self.lacks(&standing.settings, rules);
                under(&standing.settings, rules)
            }
            None => standing.settings,
        };
        self.settings = Some(Arc::clone(&settings));
        self.reached = at;
        if let Some(stage) = &mut self.stage {
            stage.reopen(settings, restored, at);
            return;
        }
        let receivers = match self.rules {
            Some(_) => Receivers::Memory,
            None => Receivers::Recorded,
        };
        self.start = self.start.max(at);
        let stage = Stage::new(settings, restored, at, self.start, receivers);
        self.stage = Some(match self.draw {
            Some(end) => stage.drawing(end, COLUMNS),
            None => stage,
        });
    }

    /// What people and targets said stays; what became of what was sent and recorded does not.
    fn judge_anew(&mut self, at: Timestamp, input: Option<Input>) {
        let (Some(stage), Some(rules)) = (&mut self.stage, self.rules) else {
            return;
        };
        let input = match input {
            None | Some(Input::Attempted { .. } | Input::CommitFailed { .. }) => return,
            Some(Input::Reload(settings)) => {
                let settings = under(&settings, rules);
                self.settings = Some(Arc::clone(&settings));
                Input::Reload(settings)
            }
            Some(input) => input,
        };
        stage.feed(at, input);
    }

    /// The journal holds what the rules of then asked for.
    fn lacks(&mut self, settings: &Settings, rules: &Rules) {
        let held = Interest::of(settings);
        // Ranges may be longer than those of then: samples are all there, from the opening on.
        let written = rules.groups.iter().flat_map(|group| &group.rules);
        let written = written.map(|it| it.name.clone());
        let held = held.writing(written);
        for expr in rules.expressions() {
            let Err(name) = held.holds(expr) else {
                continue;
            };
            let remark = format!(
                "the journal has no `{name}`, or not all of its series: the rules of then did not ask for it, so `{}` may read nothing",
                expr.text()
            );
            if self.remarks.len() < LACKS_SHOWN && !self.remarks.contains(&remark) {
                self.doubt.get_or_insert(remark.clone());
                self.remarks.push(remark);
            }
        }
    }
}

/// The settings of then with other rules, and armed.
fn under(settings: &Settings, rules: &Rules) -> Arc<Settings> {
    let components = &settings.rules.texts.components;
    let rules = Arc::new(rules.clone().watching(components));
    let settings = Settings {
        rules,
        ..settings.clone()
    };
    Arc::new(settings.armed(HOOK))
}
