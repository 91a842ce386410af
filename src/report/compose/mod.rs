//! Facts → report: which template, and what all of them share. Each template stands in a file of its own.

mod achievements;
mod day;
mod hypercare;
mod lists;
mod says;
mod status;
mod tables;
mod week;

use super::chart;
use super::document::Block;
use super::document::Item;
use super::document::Report;
use super::document::Section;
use super::document::Span;
use super::document::Title;
use super::document::blank;
use super::document::bounded;
use super::document::own;
use super::document::place;
use super::document::told;
use super::facts::Facts;
use super::facts::Kind;
use super::figures::Figures;
use super::minutes::MINUTES_MAX;
use super::overall::Overall;
use super::overall::is_opened;
use super::overall::overall;
use super::when;
use crate::model::Status;
use crate::model::Timestamp;

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("a report's period must end after it begins: it begins at {from} and ends at {until}")]
    Backwards { from: Timestamp, until: Timestamp },
    #[error("a report's period must be 62 days at most: it begins at {from} and ends at {until}")]
    TooLong { from: Timestamp, until: Timestamp },
    #[error("the report's period begins at {from}, and at {made_at} that is still to come")]
    ToCome { from: Timestamp, made_at: Timestamp },
}

/// What a template is filled from.
struct Sheet<'a> {
    facts: &'a Facts,
    figures: &'a Figures,
    overall: &'a Overall,
    /// The end of the period as far as it has happened.
    until: Timestamp,
    /// Opened in the period, by severity.
    opened: [usize; 4],
}

/// What a template gives.
struct Filled {
    title: Title,
    sections: Vec<Section>,
    closing: Option<Item>,
}

/// The report of these facts.
pub fn compose(facts: &Facts) -> Result<Report, Unfit> {
    let (from, until, made_at) = (facts.from, facts.until, facts.made_at);
    if until <= from {
        return Err(Unfit::Backwards { from, until });
    }
    let most = i64::try_from(MINUTES_MAX).unwrap_or(i64::MAX) * when::MINUTE;
    if until.millis().saturating_sub(from.millis()) > most {
        return Err(Unfit::TooLong { from, until });
    }
    if made_at <= from {
        return Err(Unfit::ToCome { from, made_at });
    }
    let until = until.min(made_at);
    let figures = Figures::of(facts, until);
    let overall = overall(facts, &figures, until);
    let mut opened = [0; 4];
    for it in &facts.incidents {
        if is_opened(&it.incident, from, until) {
            opened[place(it.incident.severity)] += 1;
        }
    }
    let sheet = Sheet {
        facts,
        figures: &figures,
        overall: &overall,
        until,
        opened,
    };
    let Filled {
        title,
        sections,
        closing,
    } = match facts.kind {
        Kind::Day => sheet.day_report(),
        Kind::Status => sheet.status_mail(),
        Kind::Week => sheet.week_report(),
        Kind::Hypercare => sheet.hypercare_report(),
    };
    let (lead, dashboard, footnotes) = (sheet.lead(), sheet.tables(), sheet.footnotes());
    let charts = chart::charts(facts, &figures, until);
    Ok(Report {
        kind: facts.kind,
        service: bounded(&facts.service),
        environment: bounded(&facts.environment),
        project: bounded(&facts.project),
        zone: facts.zone.iana_name().map(str::to_owned),
        from,
        until,
        made_at,
        title,
        lead,
        sections,
        closing,
        dashboard,
        charts,
        footnotes,
        opened,
        rows: figures.rows,
        overall,
    })
}

/// The runbook's mark and word.
pub(super) const fn light(status: Status) -> &'static str {
    match status {
        Status::Green => "🟢 GREEN",
        Status::Amber => "🟡 AMBER",
        Status::Red => "🔴 RED",
        Status::Unknown => "⚪ UNKNOWN",
    }
}

impl Sheet<'_> {
    /// Service, period, its length, and when the report was made.
    fn lead(&self) -> Vec<Span> {
        let facts = self.facts;
        let (from, until) = (
            when::moment(facts.from, &facts.zone),
            when::moment(self.until, &facts.zone),
        );
        let length = when::period_length(facts.from, self.until, &facts.zone);
        let mut lead = vec![told(&facts.service)];
        if !facts.environment.is_empty() {
            lead.extend([own(" ("), told(&facts.environment), own(")")]);
        }
        let so_far = if self.until < facts.until {
            let end = when::moment(facts.until, &facts.zone);
            format!("; the period ends at {end}")
        } else {
            String::new()
        };
        let made = when::moment(facts.made_at, &facts.zone);
        lead.push(own(format!(
            ", {from} to {until} ({length}){so_far}. Made at {made}."
        )));
        lead
    }

    /// Which day of the go-live the period's last moment falls on.
    fn day_number(&self) -> Option<i64> {
        let last = Timestamp::from_millis(self.until.millis() - 1);
        when::day_number(last, self.facts.go_live?, &self.facts.zone)
    }

    /// The same for its first moment.
    fn first_day(&self) -> Option<i64> {
        let live = self.facts.go_live?;
        let first = self.facts.from.max(live);
        when::day_number(first, live, &self.facts.zone)
    }

    /// `Day 3`, or a blank where nobody has said when the go-live was.
    fn day(&self, before: &'static str) -> Vec<Span> {
        match self.day_number() {
            Some(number) => vec![own(format!("{before}{number}"))],
            None => vec![own(before), blank("day of the go-live")],
        }
    }

    /// The colour and its reasons, under a heading that names it.
    fn overall_section(&self) -> Section {
        let reasons = self.overall.reasons.iter();
        let reasons = reasons.map(|it| {
            let mut spans = vec![own(it.what.clone())];
            if !it.about.is_empty() {
                spans.extend([own(": "), told(&it.about)]);
            }
            Item::line(spans)
        });
        let heading = format!("Overall Status: {}", light(self.overall.status));
        Section::new(
            "overall_status",
            heading,
            vec![Block::Bullets(reasons.collect())],
        )
    }
}
