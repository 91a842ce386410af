//! The minutes around a decision, from the journal: its run is put through the engine again, and what the decision rests on is
//! kept after each evaluation. Deliberately absent: drawing it, and the words of what happened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::asked::Asked;
use super::events;
use crate::engine::{Compared, Engine, TriggerStanding};
use crate::journal::Began;
use crate::model::{Reading, Timestamp, Unit};
use crate::run::backtest::{Outcome, Receivers, Stage};
use crate::source::{Journal, JournalError, Recorded, Remark};

const BEFORE: Duration = Duration::from_secs(120);
const AFTER: Duration = Duration::from_secs(60);
/// A replay begins this long before it, so that ranges are whole; nearer where that is too much to read.
const LEADS: [Duration; 3] = [
    Duration::from_secs(2 * 3600),
    Duration::from_secs(3600),
    BEFORE,
];
/// At about a byte a sample, several seconds' work.
const BYTES_MAX: u64 = 8 << 20;
/// Of evaluations that follow each other more closely only those that change something are kept …
const APART: Duration = Duration::from_millis(25);
/// … and no more than these.
const ROWS_MAX: usize = 20_000;

/// What was read in them and what happened.
#[derive(Clone, Debug)]
pub struct Minutes {
    pub condition: String,
    pub series: String,
    pub signals: Vec<Signal>,
    /// Oldest first; never empty.
    pub rows: Vec<Row>,
    /// The last evaluation up to the decision.
    pub decided: usize,
    /// Evaluations that were left out on the way.
    pub skipped: usize,
    /// From when on it was replayed, where gated held more by then than the journal says.
    pub cold: Option<Timestamp>,
    /// What of the journal is damaged or missing.
    pub remarks: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Signal {
    /// Empty for a bare expression.
    pub name: String,
    pub unit: Unit,
    /// The number that it is compared with first, and how that is written.
    pub threshold: Option<(f64, String)>,
}

/// One evaluation.
#[derive(Clone, Debug)]
pub struct Row {
    pub at: Timestamp,
    /// By signal: the reading, and why it is no value.
    pub readings: Vec<(Reading, String)>,
    /// Whether the condition held; `None` where that is not known.
    pub held: Option<bool>,
    pub standing: TriggerStanding,
    /// What happened from here to the next evaluation.
    pub events: Vec<String>,
}

/// Why there are no minutes to draw.
#[derive(Debug, thiserror::Error)]
pub enum NoMinutes {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(
        "the journal in {} does not reach back to it: it begins at {since}",
        path.display()
    )]
    Before { path: PathBuf, since: Timestamp },
    #[error(
        "the journal in {} has nothing of that time{}{}",
        path.display(),
        reached.map_or_else(String::new, |it| format!(" (what it has before ends at {it})")),
        said(remarks)
    )]
    Nothing {
        path: PathBuf,
        reached: Option<Timestamp>,
        remarks: Vec<String>,
    },
    #[error(
        "the journal in {} does not come to this decision{}",
        path.display(),
        if remarks.is_empty() {
            ": it is another gated's, or something is missing in it".to_owned()
        } else {
            said(remarks)
        }
    )]
    Other { path: PathBuf, remarks: Vec<String> },
}

/// What is wrong with a journal, after a sentence.
fn said(remarks: &[String]) -> String {
    match remarks {
        [] => String::new(),
        remarks => format!(": {}", remarks.join("; ")),
    }
}

/// Replays them. `None` where the decision rests on no reading: a report, something that was due.
///
/// The journal may be written meanwhile: what was not written out yet is not there.
pub fn replay(path: &Path, asked: &Asked) -> Result<Option<Minutes>, NoMinutes> {
    let journal = Journal::open(path)?;
    if let Some(since) = journal.since().filter(|it| *it > asked.at) {
        let path = path.to_owned();
        return Err(NoMinutes::Before { path, since });
    }
    let mut replay = Replay::new(asked);
    for recorded in near(&journal, asked.at).entries() {
        if !replay.take(recorded) {
            break;
        }
    }
    replay.end(path)
}

/// The part of it that is replayed: with the longest lead that is not too much.
fn near(journal: &Journal, at: Timestamp) -> Journal {
    let [longer @ .., shortest] = LEADS.map(|lead| journal.clone().from(at - lead));
    let mut longer = longer.into_iter();
    let fits = |it: &Journal| it.bytes_until(at + AFTER) <= BYTES_MAX;
    longer.find(fits).unwrap_or(shortest)
}

struct Replay<'a> {
    asked: &'a Asked,
    from: Timestamp,
    until: Timestamp,
    stage: Option<Stage>,
    reached: Option<Timestamp>,
    /// When gated was started anew.
    starts: Vec<Timestamp>,
    kept: Kept,
    cold: Option<Timestamp>,
    remarks: Vec<String>,
}

/// What was read so far.
#[derive(Default)]
struct Kept {
    signals: Vec<Signal>,
    rows: Vec<Row>,
    skipped: usize,
}

impl<'a> Replay<'a> {
    fn new(asked: &'a Asked) -> Self {
        Self {
            asked,
            from: asked.at - BEFORE,
            until: asked.at + AFTER,
            stage: None,
            reached: None,
            starts: Vec::new(),
            kept: Kept::default(),
            cold: None,
            remarks: Vec::new(),
        }
    }

    /// Whether to go on.
    fn take(&mut self, recorded: Recorded) -> bool {
        let (at, input) = match recorded {
            Recorded::Remark(Remark::Cold { at, .. }) => {
                if at <= self.asked.at {
                    self.cold = Some(at);
                }
                return true;
            }
            Recorded::Remark(remark) => {
                self.remarks.push(remark.to_string());
                return true;
            }
            Recorded::Opened(opening) => {
                let at = opening.at;
                if at > self.until {
                    return false;
                }
                if opening.began == Began::Run {
                    self.cold = self.cold.filter(|_| at > self.asked.at);
                    self.starts.push(at);
                }
                let settings = opening.standing.settings;
                if let Some(stage) = &mut self.stage {
                    stage.reopen(settings, opening.restored, at);
                } else {
                    let stage = Stage::new(
                        settings,
                        opening.restored,
                        at,
                        self.from,
                        Receivers::Recorded,
                    );
                    self.stage = Some(stage);
                }
                return true;
            }
            Recorded::Input { at, input } => (at, Some(input)),
            Recorded::Woke(at) => (at, None),
        };
        if at > self.until {
            return false;
        }
        self.reached = Some(at);
        if let Some(stage) = &mut self.stage {
            stage.repeat(at, input);
            if at >= self.from {
                self.kept.look(stage.engine(), self.asked, self.from);
            }
        }
        true
    }

    fn end(self, path: &Path) -> Result<Option<Minutes>, NoMinutes> {
        let (path, asked) = (path.to_owned(), self.asked);
        let mut remarks = self.remarks;
        let reached = self.reached.filter(|reached| *reached >= asked.at);
        let (Some(stage), Some(end)) = (self.stage, reached) else {
            return Err(NoMinutes::Nothing {
                path,
                reached: self.reached,
                remarks,
            });
        };
        let outcome = stage.stop(end);
        let mut decisions = outcome.decisions.iter();
        if !decisions.any(|it| it.id.as_str() == asked.id && it.at == asked.at) {
            if let Some(at) = self.cold {
                let text = "and what led to it may lie further back";
                remarks.push(format!("it was replayed from {at} on, {text}"));
            }
            return Err(NoMinutes::Other { path, remarks });
        }
        let Kept {
            signals,
            mut rows,
            skipped,
        } = self.kept;
        if rows.is_empty() {
            return Ok(None);
        }
        tell(&mut rows, &outcome, asked, &self.starts);
        Ok(Some(Minutes {
            condition: asked.condition.clone(),
            series: asked.series.clone(),
            signals,
            decided: last_before(&rows, asked.at),
            rows,
            skipped,
            cold: self.cold,
            remarks,
        }))
    }
}

/// The last row up to `at`, else the first.
fn last_before(rows: &[Row], at: Timestamp) -> usize {
    rows.iter().rposition(|it| it.at <= at).unwrap_or(0)
}

fn tell(rows: &mut [Row], outcome: &Outcome, asked: &Asked, starts: &[Timestamp]) {
    let mut standing = rows[0].standing;
    for row in rows.iter_mut() {
        let word = match row.standing {
            TriggerStanding::Calm if standing == TriggerStanding::Firing => "resolved",
            TriggerStanding::Calm => "calm again",
            TriggerStanding::Pending => "pending",
            TriggerStanding::Firing => "firing",
        };
        if row.standing != standing {
            row.events.push(word.to_owned());
        }
        standing = row.standing;
    }
    let first = rows[0].at;
    for at in starts.iter().filter(|at| **at >= first) {
        let place = last_before(rows, *at);
        rows[place].events.push("gated starts".to_owned());
    }
    for (at, event) in &outcome.events {
        if let Some(text) = events::words(event, asked) {
            let place = last_before(rows, *at);
            rows[place].events.push(text);
        }
    }
}

impl Kept {
    fn look(&mut self, engine: &Engine, asked: &Asked, from: Timestamp) {
        let Some(compared) = engine.compared(asked.about()) else {
            return;
        };
        let Some(at) = compared.at.filter(|at| *at >= from) else {
            return;
        };
        self.name(&compared, at <= asked.at);
        let names = self.signals.iter().map(|it| &*it.name);
        if !names.eq(compared.signals.iter().map(|it| it.name)) {
            return;
        }
        if let Some(last) = self.rows.last() {
            if at <= last.at {
                return;
            }
            let is_like = (last.held, last.standing) == (compared.held, compared.standing);
            let is_close = at.since(last.at) < APART && is_like && at != asked.at;
            if is_close || (self.rows.len() >= ROWS_MAX && at != asked.at) {
                self.skipped += 1;
                return;
            }
        }
        let readings = compared.signals.iter();
        self.rows.push(Row {
            at,
            readings: readings
                .map(|it| (it.reading, it.why.to_string()))
                .collect(),
            held: compared.held,
            standing: compared.standing,
            events: Vec::new(),
        });
    }

    /// The signals of the condition that was decided by: what other rules compared before is let go of.
    fn name(&mut self, compared: &Compared<'_>, before: bool) {
        if !before && !self.signals.is_empty() {
            return;
        }
        let known = self.signals.iter().map(|it| &*it.name);
        if !known.eq(compared.signals.iter().map(|it| it.name)) {
            self.rows.clear();
        }
        let signals = compared.signals.iter().map(|it| Signal {
            name: it.name.to_owned(),
            unit: it.unit,
            threshold: it.threshold.map(|(at, text)| (at, text.to_owned())),
        });
        self.signals = signals.collect();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use super::*;
    use crate::journal::segment::{Head, Number};

    #[test]
    fn what_is_replayed_begins_nearer_where_there_is_much_of_it() {
        let hour = |it: u64| Timestamp::EPOCH + Duration::from_secs(it * 3600);
        for (bytes, begins) in [(1 << 20, 1), (3 << 20, 2), (5 << 20, 3)] {
            let folder = tempfile::tempdir().unwrap();
            // The last begins after the decision's minutes, and is no work.
            for segment in 0..=4 {
                let number = Number { run: 1, segment };
                let head = Head {
                    number,
                    at: hour(segment.into()),
                    began: Began::Later,
                };
                let mut file = File::create(folder.path().join(number.file_name())).unwrap();
                file.write_all(&head.bytes()).unwrap();
                file.set_len(bytes).unwrap();
            }
            let journal = Journal::open(folder.path()).unwrap();
            let decided = hour(3) + Duration::from_secs(1800);
            let near = near(&journal, decided);
            assert_eq!(near.since(), Some(hour(begins)), "{bytes}");
        }
    }
}
