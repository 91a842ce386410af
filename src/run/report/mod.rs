//! Reports: the facts of a period are read from the ledger and the rules, composed by `report`, kept in folders.
//!
//! What gated knows beyond the ledger (what a machine sees of the checklist, the criteria) comes from the snapshot of the
//! one that runs; without it those stand as not known.

mod ask;
mod checklist;
mod facts;
mod notes;
mod sight;
mod targets;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::civil::Date;

use self::facts::facts;
use super::config::Config;
use crate::engine::ReportDue;
use crate::engine::Reported;
use crate::engine::Snapshot;
use crate::model::NoticeReport;
use crate::model::Timestamp;
use crate::model::calendar::local_date;
use crate::report::Kind;
use crate::report::Report;
use crate::report::compose;
use crate::report::from_go_live;
use crate::report::period;
use crate::runbook::Rules;
use crate::runbook::UPTIME;
use crate::sink::ledger;

/// What a report is made by; a reload makes another.
#[derive(Debug)]
pub(super) struct Context {
    pub config: Config,
    pub rules: Arc<Rules>,
}

/// Makes reports, for the engine and for who asks.
#[derive(Debug)]
pub(super) struct Reporter {
    context: ArcSwap<Context>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReportError {
    #[error(
        "the report on hypercare counts from the go-live: write go_live = \"…\" below [rollout], or export GO_LIVE"
    )]
    NoGoLive,
    #[error(
        "the report on hypercare is that of the thirty days from the go-live, whatever the date: leave it out"
    )]
    Dateless,
    #[error("`{0}` is no date: write one as 2026-12-01")]
    NoDate(String),
    #[error(transparent)]
    Ledger(#[from] ledger::LedgerError),
    #[error(transparent)]
    Unfit(#[from] crate::report::Unfit),
    #[error("the report cannot be kept in {folder}")]
    Kept {
        folder: PathBuf,
        source: std::io::Error,
    },
}

impl Reporter {
    pub fn new(config: Config, rules: Arc<Rules>) -> Self {
        let context = ArcSwap::from_pointee(Context { config, rules });
        Self { context }
    }

    pub fn reload(&self, config: Config, rules: Arc<Rules>) {
        self.context.store(Arc::new(Context { config, rules }));
    }

    /// Makes what is due and keeps it in its folders. Reads and writes files.
    pub fn make(&self, due: ReportDue, snapshot: &Snapshot) -> Reported {
        let ReportDue {
            kind,
            date,
            made_at,
        } = due;
        let (outcome, unkept) = match self.made(due, made_at, snapshot) {
            Ok((report, unkept)) => (Ok(report), unkept),
            Err(error) => (Err(super::chain(&error)), None),
        };
        Reported {
            kind,
            date,
            outcome,
            unkept,
        }
    }

    fn made(
        &self,
        due: ReportDue,
        made_at: Timestamp,
        snapshot: &Snapshot,
    ) -> Result<(NoticeReport, Option<String>), ReportError> {
        let context = self.context.load();
        let report = context.report(due.kind, due.date, made_at, Some(snapshot))?;
        let plans = context.config.reports.iter();
        let plans = plans.filter(|it| it.plan.kind == due.kind);
        let told = plans.clone().any(|it| !it.plan.hooks.is_empty());
        let mut unkept = None;
        for folder in plans.filter_map(|it| it.folder.as_ref()) {
            let kept = keep(&report, folder, due).map_err(|source| ReportError::Kept {
                folder: folder.clone(),
                source,
            });
            match kept {
                // A folder that takes nothing keeps nobody from being told.
                Err(error) if told => unkept = Some(super::chain(&error)),
                kept => kept?,
            }
        }
        let notice = NoticeReport {
            kind: due.kind.word().to_owned(),
            date: due.date.to_string(),
            status: report.status(),
            title: report.title(),
            markdown: report.markdown(),
            html: report.html(),
        };
        Ok((notice, unkept))
    }

    /// For who asks, at `made_at`. `date` is today unless somebody says.
    pub fn asked(
        &self,
        kind: Kind,
        date: Option<&str>,
        made_at: Timestamp,
        snapshot: &Snapshot,
    ) -> Result<Report, ReportError> {
        let context = self.context.load();
        let date = context.date(kind, date, made_at)?;
        context.report(kind, date, made_at, Some(snapshot))
    }
}

impl Context {
    /// The date that was asked for, else that of `now`.
    pub fn date(
        &self,
        kind: Kind,
        asked: Option<&str>,
        now: Timestamp,
    ) -> Result<Date, ReportError> {
        match asked {
            Some(_) if kind == Kind::Hypercare => Err(ReportError::Dateless),
            Some(asked) => asked
                .parse()
                .map_err(|_| ReportError::NoDate(asked.to_owned())),
            None => local_date(now, &self.config.zone())
                .ok_or_else(|| ReportError::NoDate(now.to_string())),
        }
    }

    /// Composes one report from the ledger.
    pub fn report(
        &self,
        kind: Kind,
        date: Date,
        made_at: Timestamp,
        snapshot: Option<&Snapshot>,
    ) -> Result<Report, ReportError> {
        let zone = self.config.zone();
        let go_live = self.config.rollout.go_live;
        let span = period(kind, date, go_live, &zone);
        let (from, until) = span.ok_or_else(|| match go_live {
            None if kind == Kind::Hypercare => ReportError::NoGoLive,
            _ => ReportError::NoDate(date.to_string()),
        })?;
        let from = from_go_live((from, until), made_at, go_live);
        let compared = crate::report::before((from, until), made_at, &zone);
        let earlier = compared.map_or(from, |(earlier, _)| earlier);
        // The error budget looks back further than the report does.
        let budget = until.min(made_at) - self.rules.uptime.over;
        let since = |signal: &str| match signal {
            UPTIME => Some(budget.min(earlier)),
            _ => Some(earlier),
        };
        let known = ledger::read_minutes(&self.config.storage, &since, until)?;
        let facts = facts(self, kind, (from, until), made_at, known, snapshot);
        Ok(compose(&facts)?)
    }
}

/// Three files beside each other. Each is written whole and put in its place at once.
fn keep(report: &Report, folder: &Path, due: ReportDue) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let json = format!("{:#}\n", report.json());
    for (ending, text) in [
        ("md", report.markdown()),
        ("html", report.html()),
        ("json", json),
    ] {
        let name = format!("{}-{}.{ending}", due.date, due.kind.word());
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(folder.join(name))
            .map_err(|error| error.error)?;
    }
    Ok(())
}
