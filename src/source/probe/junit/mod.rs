//! Test reports in files: which there are, whether they are of this rollout, what they say together. Half a report, an
//! old one or none is no data and never success.

mod pattern;
mod report;

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;

pub use self::pattern::ReportPattern;
use self::report::{Report, read};
use super::ask::{Answer, Outcome, in_words};
use super::config::JunitProbe;
use crate::engine::{ScrapeError, ScrapeFault, Times};
use crate::model::Timestamp;
use crate::source::scrape::fault::{fault, one_line};

/// A longer report is not read.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// More reports are none of one run.
pub(super) const FILES_MAX: usize = 1000;
/// Of the failing tests so many are named.
const NAMED_MAX: usize = 3;
/// … each with so much of its name.
const NAME_BYTES_MAX: usize = 150;

/// Nobody waits for the answer any more, and the thread that looks for it need not go on.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads all reports once.
pub(super) async fn probe(
    junit: &JunitProbe,
    limit: Duration,
    times: Times,
    at: Timestamp,
) -> Outcome {
    let over = Arc::new(AtomicBool::new(false));
    let waiting = Waiting(Arc::clone(&over));
    let (own, now) = (junit.clone(), times.wall.shows(at));
    let since = times.rollout_began;
    let reading = tokio::task::spawn_blocking(move || {
        let found = gather(&own, since, now, &over)?;
        Ok(told(&found))
    });
    let read = timeout(limit, reading).await;
    drop(waiting);
    match read {
        Ok(Ok(read)) => read.map_err(|why: String| fault(ScrapeFault::Report, why)),
        Ok(Err(died)) => Err(fault(ScrapeFault::Report, died.to_string())),
        Err(_) => Err(late(limit)),
    }
}

fn late(limit: Duration) -> ScrapeError {
    let why = format!("the reports were not read within {}", in_words(limit));
    fault(ScrapeFault::Report, why)
}

/// Everything that the reports say, unless one of them says nothing about what runs.
fn gather(
    junit: &JunitProbe,
    since: Option<Timestamp>,
    now: Timestamp,
    over: &AtomicBool,
) -> Result<Gathered, String> {
    let files = junit.reports.files(over)?;
    if files.is_empty() {
        return Err(format!("there is no file {}", junit.reports));
    }
    let mut all = Gathered {
        report: Report::default(),
        oldest: now,
    };
    for path in files {
        let shown = path.display();
        let (report, written) = one(&path, over).map_err(|why| format!("{shown}: {why}"))?;
        let time = report.time.map_or(written, |it| it.min(written));
        match since {
            Some(began) if time < began => {
                return Err(format!(
                    "{shown} is stale: it is from {time}, and the rollout began at {began}"
                ));
            }
            None if now.since(time) > junit.max_age => {
                let most = humantime::format_duration(junit.max_age);
                return Err(format!(
                    "{shown} is stale: it is from {time}, older than {most}"
                ));
            }
            Some(_) | None => {}
        }
        all.oldest = all.oldest.min(time);
        all.report.add(report);
    }
    if all.report.tests == 0 {
        return Err(format!("{} holds no test", junit.reports));
    }
    if all.report.tests == all.report.skipped && !all.report.fails() {
        return Err(format!("every test of {} was skipped", junit.reports));
    }
    Ok(all)
}

struct Gathered {
    report: Report,
    oldest: Timestamp,
}

/// One report with the time its file was written.
fn one(path: &Path, over: &AtomicBool) -> Result<(Report, Timestamp), String> {
    let said = |error: std::io::Error| error.to_string();
    let file = File::open(path).map_err(said)?;
    let meta = file.metadata().map_err(said)?;
    if meta.len() > FILE_BYTES_MAX {
        return Err(format!("longer than {} MiB", FILE_BYTES_MAX >> 20));
    }
    let written = meta.mtime().saturating_mul(1000) + meta.mtime_nsec() / 1_000_000;
    // It may grow while it is read.
    let report = read(BufReader::new(file.take(FILE_BYTES_MAX)), over)?;
    Ok((report, Timestamp::from_millis(written)))
}

fn told(found: &Gathered) -> Answer {
    let report = &found.report;
    let answer = if report.fails() {
        let failed = report.failing_count.max(1);
        let mut why = format!("{failed} of {} tests failed", report.tests);
        for (i, name) in report.failing.iter().enumerate() {
            why += if i == 0 { ": " } else { ", " };
            why += &one_line(name, NAME_BYTES_MAX);
        }
        if report.failing.len() < report.failing_count && !report.failing.is_empty() {
            why += ", …";
        }
        Answer::failing(why)
    } else {
        Answer::good()
    };
    #[allow(
        clippy::cast_precision_loss,
        reason = "milliseconds of this era are exact"
    )]
    let oldest = found.oldest.millis() as f64 / 1000.0;
    let counts = [report.tests, report.failures, report.errors, report.skipped];
    #[allow(clippy::cast_precision_loss, reason = "far fewer tests than 2^53")]
    let counts = counts.map(|it| Some(it as f64));
    answer.with(counts.into_iter().chain([Some(oldest)]))
}
