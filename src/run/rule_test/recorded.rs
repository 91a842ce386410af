//! A `backtest` block: a recording through the engine that runs live, and what should have been decided. An incident
//! becomes a regression test beside the rules.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::block::expected_at;
use super::reading::{Reading, Table};
use crate::engine::Settings;
use crate::model::{Timestamp, time};
use crate::run::backtest::{Expect, Outcome, Play, files, local, play, reads};
use crate::run::cli::Told;
use crate::run::gated_test::{Expected, HOOK};
use crate::runbook::Rules;
use crate::runbook::yaml::{Kind, Node};
use crate::source::recording::{MEMORY_BYTES, Recording};

const BLOCK_KEYS: [&str; 10] = [
    "openmetrics",
    "rollouts",
    "start",
    "end",
    "interval",
    "go_live",
    "armed",
    "settle",
    "version_from",
    "expect",
];
const ROLLOUT_KEYS: [&str; 3] = ["at", "version", "previous_version"];
/// Between two looks.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(86_400);
/// Moments that are looked at: each plays the recording up to there.
const MOMENTS_MAX: usize = 100;
const MOMENT: &str = "write RFC 3339 (2026-04-01T13:11:00Z), Unix seconds, or how long after the recording's start: 11m";

/// A block, as a person wrote it.
pub(super) struct RecordedTest {
    /// From the test file's folder.
    files: Vec<PathBuf>,
    rollouts: Vec<Rollout>,
    start: Option<When>,
    end: Option<When>,
    interval: Option<Duration>,
    /// `[rollout] go_live`
    go_live: Option<When>,
    /// `[rollback] mode`
    armed: bool,
    /// `[judging] settle`
    settle: Option<Duration>,
    /// `[rollout] version_from`
    version_from: Option<String>,
    expect: Wanted,
    line: usize,
}

struct Rollout {
    at: When,
    version: String,
    previous_version: Option<String>,
}

enum Wanted {
    /// As `gated backtest --expect`: what, and when, how near.
    Whole(String, Option<(When, String)>),
    /// As `gated_test` has it.
    Moments(Vec<(When, Expected)>),
}

/// A moment of a recording.
#[derive(Copy, Clone)]
enum When {
    At(Timestamp),
    /// After its start.
    After(Duration),
}

impl When {
    fn read(text: &str) -> Option<Self> {
        let at = text.parse().map(Self::At).ok();
        at.or_else(|| time::duration(text).map(Self::After))
    }

    fn of(self, start: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::After(passed) => start + passed,
        }
    }
}

/// The block; faults go to `reading`.
pub(super) fn read(reading: &Reading<'_>, node: &Node) -> Option<RecordedTest> {
    let table = reading.table(node, &BLOCK_KEYS, "`backtest`")?;
    let files = read_files(reading, &table);
    let rollouts = reading.list(&table, "rollouts").iter();
    // To the end: every rollout is looked at, also after one that does not read.
    let rollouts: Vec<Option<Rollout>> = rollouts.map(|it| rollout(reading, it)).collect();
    let moment = |key: &str| when(reading, &table, key);
    let (start, end, go_live) = (moment("start"), moment("end"), moment("go_live"));
    let (interval, settle) = (
        interval(reading, &table),
        reading.duration(&table, "settle"),
    );
    let armed = reading.flag(&table, "armed", true);
    let expect = read_expect(reading, &table);
    Some(RecordedTest {
        files: files?,
        rollouts: rollouts.into_iter().collect::<Option<_>>()?,
        start,
        end,
        interval,
        go_live,
        armed,
        settle,
        version_from: reading.word(&table, "version_from"),
        expect: expect?,
        line: reading.line(table.first().start),
    })
}

/// One file, or a list of them.
fn read_files(reading: &Reading<'_>, table: &Table<'_>) -> Option<Vec<PathBuf>> {
    let nodes = match table.get("openmetrics") {
        Some(Node {
            kind: Kind::List(nodes),
            ..
        }) => nodes.iter().collect(),
        Some(node) => vec![node],
        None => Vec::new(),
    };
    if nodes.is_empty() {
        let message = "`backtest` has no `openmetrics`";
        reading.fault(table.first(), message, "write openmetrics: incident.om.gz");
        return None;
    }
    let file = |node: &Node| {
        let text = reading.text(node)?;
        if text.is_empty() || text == "-" {
            let message = format!("`{text}` is no file");
            let help = "name files of OpenMetrics text with timestamps, from this file's folder";
            reading.fault(node.span.clone(), message, help);
            return None;
        }
        Some(PathBuf::from(text))
    };
    let files: Vec<Option<PathBuf>> = nodes.into_iter().map(file).collect();
    files.into_iter().collect()
}

fn rollout(reading: &Reading<'_>, node: &Node) -> Option<Rollout> {
    let what = "an item of `rollouts`";
    let table = reading.table(node, &ROLLOUT_KEYS, what)?;
    let version = reading.needed(&table, "version", what);
    reading.needed(&table, "at", what)?;
    Some(Rollout {
        at: when(reading, &table, "at")?,
        version: version?,
        previous_version: reading.word(&table, "previous_version"),
    })
}

fn when(reading: &Reading<'_>, table: &Table<'_>, key: &str) -> Option<When> {
    let node = table.get(key)?;
    let text = reading.text(node)?;
    let read = When::read(&text);
    if read.is_none() {
        reading.fault(node.span.clone(), format!("`{key}` is `{text}`"), MOMENT);
    }
    read
}

fn interval(reading: &Reading<'_>, table: &Table<'_>) -> Option<Duration> {
    let interval = reading.duration(table, "interval")?;
    if !(INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
        let span = table.get("interval").map(|it| it.span.clone());
        let span: Range<usize> = span.unwrap_or_else(|| table.first());
        let message = "`interval` is too short or too long";
        reading.fault(span, message, "write a duration from 100ms to 1d");
    }
    Some(interval)
}

fn read_expect(reading: &Reading<'_>, table: &Table<'_>) -> Option<Wanted> {
    let Some(node) = table.get("expect") else {
        let message = "`backtest` has no `expect`";
        let help = "write expect: rollback, none or escalate, or a list as in `gated_test`";
        reading.fault(table.first(), message, help);
        return None;
    };
    if let Kind::List(items) = &node.kind {
        let at = |table: &Table<'_>| when(reading, table, "at");
        let moments = items.iter().map(|it| expected_at(reading, it, at));
        let moments: Vec<Option<_>> = moments.collect();
        if moments.len() > MOMENTS_MAX {
            let message = format!("{} moments are expected", moments.len());
            let help = format!("{MOMENTS_MAX} at most: each plays the recording up to there");
            reading.fault(node.span.clone(), message, help);
        }
        return moments
            .into_iter()
            .collect::<Option<_>>()
            .map(Wanted::Moments);
    }
    let text = reading.text(node)?;
    let read = whole(&text);
    if let Err(message) = &read {
        reading.fault(node.span.clone(), message.clone(), "");
    }
    read.ok()
}

/// `WHAT[@T+-D]`, where T may count from the recording's start.
fn whole(text: &str) -> Result<Wanted, String> {
    let Some((what, at)) = text.split_once('@') else {
        text.parse::<Expect>()?;
        return Ok(Wanted::Whole(text.to_owned(), None));
    };
    let near = at.rfind("+-").or_else(|| at.rfind('±'));
    let (moment, near) = at.split_at(near.unwrap_or(at.len()));
    if near.is_empty() {
        let message = "how near is not said: write";
        return Err(format!("`{text}`: {message} {what}@{moment}+-30s"));
    }
    let after = time::duration(moment).filter(|_| moment.parse::<Timestamp>().is_err());
    let moment = after.map_or_else(|| moment.to_owned(), |_| Timestamp::EPOCH.to_string());
    // Whatever the moment, the rest is read once, so that its faults are told here.
    format!("{what}@{moment}{near}").parse::<Expect>()?;
    let at = match after {
        Some(after) => When::After(after),
        None => When::At(moment.parse().map_err(|_| MOMENT.to_owned())?),
    };
    Ok(Wanted::Whole(what.to_owned(), Some((at, near.to_owned()))))
}

impl RecordedTest {
    /// Plays the recording; what is not as expected, one text each.
    pub fn run(
        &self,
        folder: &Path,
        rules: &Rules,
        external: &BTreeMap<String, String>,
    ) -> Vec<String> {
        let outcome = self.go(folder, rules, external);
        outcome.unwrap_or_else(|why| vec![format!("backtest (line {}): {why}", self.line)])
    }

    fn go(
        &self,
        folder: &Path,
        rules: &Rules,
        external: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, String> {
        let mut settings = self.settings(local(rules)?, external);
        let mut recording = Recording::new(vec![reads(&settings)], MEMORY_BYTES);
        let paths: Vec<PathBuf> = self.files.iter().map(|it| folder.join(it)).collect();
        files::read(&paths, &mut recording)?;
        let span = recording.span().map_err(|error| error.to_string())?;
        let start = span.map_or(Timestamp::EPOCH, |(from, _)| from);
        settings.rollout.go_live = self.go_live.map(|it| it.of(start));
        let settings = Arc::new(settings);
        let told = |it: &Rollout| Told {
            version: it.version.clone(),
            previous_version: it.previous_version.clone(),
            at: it.at.of(start),
        };
        let mut rollouts: Vec<Told> = self.rollouts.iter().map(told).collect();
        rollouts.sort_by_key(|it| it.at);
        let until = |end: Option<Timestamp>| {
            // Up to a moment, of the rollouts only those that had begun are known.
            let begun = rollouts.partition_point(|it| end.is_none_or(|end| it.at <= end));
            let it = Play {
                recording: &recording,
                rollouts: &rollouts[..begun],
                interval: self.interval,
                start: self.start.map(|it| it.of(start)),
                end,
                draw: false,
            };
            play(&it, Arc::clone(&settings), &mut |_| ()).map_err(|error| error.to_string())
        };
        let end = self.end.map(|it| it.of(start));
        match &self.expect {
            Wanted::Whole(what, at) => {
                let at = at
                    .as_ref()
                    .map(|(at, near)| format!("@{}{near}", at.of(start)));
                let expect: Expect = format!("{what}{}", at.unwrap_or_default()).parse()?;
                let outcome = until(end)?;
                if let Some(why) = outcome.nothing_judged() {
                    return Err(why.to_owned());
                }
                let so = expect.check(&outcome);
                Ok(so.err().into_iter().map(|why| self.told(&why)).collect())
            }
            Wanted::Moments(moments) => {
                let mut failures = Vec::new();
                // That nothing was decided says nothing where nothing was judged at any of them.
                let mut unjudged = Vec::new();
                for (at, expected) in moments {
                    let at = at.of(start);
                    if end.is_some_and(|end| at > end) {
                        return Err(format!("{at} (line {}) lies behind the end", expected.line));
                    }
                    let outcome: Outcome = until(Some(at))?;
                    let now = format!("{at} (line {})", expected.line);
                    failures.extend(expected.compare(&outcome.verdict, &outcome.decisions, &now));
                    let says = expected.says_how_it_stands();
                    unjudged.extend(outcome.nothing_judged().filter(|_| !says));
                }
                match unjudged.first() {
                    Some(why) if unjudged.len() == moments.len() => Err((*why).to_owned()),
                    _ => Ok(failures),
                }
            }
        }
    }

    fn told(&self, why: &str) -> String {
        format!(
            "backtest (line {}): {}",
            self.line,
            why.replace('\n', "\n  ")
        )
    }

    fn settings(&self, rules: Rules, external: &BTreeMap<String, String>) -> Settings {
        let mut settings = Settings::plain("test", Arc::new(rules));
        if self.armed {
            settings = settings.armed(HOOK);
        }
        settings.labels = external.clone();
        settings.judging.settle = self.settle.unwrap_or(settings.judging.settle);
        // Who is told of rollouts infers none.
        let inferred = self.version_from.clone();
        settings.rollout.version_from = inferred.filter(|_| self.rollouts.is_empty());
        settings
    }
}
