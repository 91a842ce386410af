//! What stands behind the templates' text: the runbook's dashboard with every signal of the period, the phases,
//! decisions, checklists and criteria, and how the figures were made.

use super::Sheet;
use super::says::basis;
use super::says::figure;
use super::says::no_readings;
use super::says::unknown;
use super::says::unknown_of;
use crate::model::Unit;
use crate::report::document::ITEMS_MAX;
use crate::report::document::Span;
use crate::report::document::Table;
use crate::report::document::name;
use crate::report::document::own;
use crate::report::document::told;
use crate::report::facts::Standing;
use crate::report::figures::Row;
use crate::report::measure::float;
use crate::report::measure::is_enough;
use crate::report::number;
use crate::report::overall::MISSED_SHARE_MAX;
use crate::report::overall::UNKNOWN_SHARE_MAX;
use crate::report::signals::ERROR_RATE;
use crate::report::signals::Group;
use crate::report::signals::How;
use crate::report::signals::SIGNALS;
use crate::report::signals::UPTIME;
use crate::report::trend::BUCKETS_MIN;
use crate::report::trend::CHANGE_SHARE_MIN;
use crate::report::trend::LEVEL;
use crate::report::when;

const METRICS: &[&str] = &["Metric", "Figure", "Unknown", "Targets", "Trend"];
/// Targets of one signal that a cell names.
const TARGETS_SHOWN: usize = 3;

type Cells = Vec<Vec<Span>>;

/// Lines of the checklist that are shown; the whole runbook has fewer.
const LINES_MAX: usize = 200;

impl Sheet<'_> {
    pub(super) fn tables(&self) -> Vec<Table> {
        let mut tables = Vec::new();
        for (group, heading) in [
            (Group::System, "System Health"),
            (Group::Users, "User Metrics"),
            (Group::Support, "Support Metrics"),
            (Group::Model, "ML Model Metrics"),
        ] {
            tables.push(metrics(heading, self.group(group)));
        }
        let others = self.figures.rows.iter().filter(|it| it.known.is_none());
        let others = others
            .take(ITEMS_MAX)
            .map(|it| self.metric(told(&it.title), it));
        tables.push(metrics("Other Signals", others.collect()));
        tables.extend([
            self.phases(),
            self.decisions(),
            self.checklist(),
            self.criteria(),
        ]);
        tables.retain(|it| !it.rows.is_empty());
        tables
    }

    fn group(&self, group: Group) -> Vec<Cells> {
        let mut rows = Vec::new();
        for known in SIGNALS.iter().filter(|it| it.group == group) {
            if let Some(row) = self.figures.rows.iter().find(|it| it.name == known.name) {
                rows.push(self.metric(own(known.label), row));
            }
        }
        if let (Group::System, Some(budget)) = (group, &self.facts.uptime_budget) {
            let [used, allowed, unknown] =
                [budget.used, budget.allowed, budget.unknown].map(when::length);
            let left = budget.allowed.checked_sub(budget.used);
            let left = left.map_or_else(
                || "it is spent".to_owned(),
                |it| format!("{} left", when::length(it)),
            );
            rows.push(vec![
                vec![own("Error Budget")],
                vec![own(format!("{used} of {allowed} used, {left}"))],
                vec![own(unknown)],
                vec![told(&budget.text)],
                vec![],
            ]);
        }
        rows
    }

    fn metric(&self, label: Span, row: &Row) -> Cells {
        let shown = if row.measure.value.is_none() {
            vec![no_readings(&row.name, &row.title)]
        } else {
            self.shown(row)
        };
        let trend = row.trend.direction.word();
        vec![
            vec![label],
            shown,
            vec![own(unknown(row).replace(" minutes unknown", " min"))],
            targets(row),
            vec![own(trend)],
        ]
    }

    /// The figure, and what is told beside it.
    fn shown(&self, row: &Row) -> Vec<Span> {
        let key = row.known.map_or("", |it| it.name);
        let mut spans = figure(key, row);
        let far = |word: &str| {
            row.measure.far.map_or_else(String::new, |(value, at)| {
                let at = self.clock(at);
                format!(" ({word} {} at {at})", number::by_unit(row.unit, value))
            })
        };
        let beside = match row.known.map_or(How::Mean, |it| it.how) {
            How::Median => far("worst"),
            How::LastAndMost => far("at most"),
            How::Mean if row.known.is_none() => far("mean, at most"),
            How::Weighted => format!(" ({})", basis(row)),
            How::Total => {
                let minutes = float(row.measure.known.max(1));
                let a_minute = row.measure.value.unwrap_or(0.0) / minutes;
                let rate = number::by_unit(Unit::PerSecond, a_minute / 60.0);
                format!(" ({rate} on average)")
            }
            How::Up | How::Mean | How::SinceMidnight | How::Last | How::Ever => String::new(),
        };
        spans.push(own(beside));
        spans
    }

    fn phases(&self) -> Table {
        let zone = &self.facts.zone;
        let rows = self.facts.phases.iter().take(ITEMS_MAX).map(|it| {
            let run = &it.run;
            let title = if it.title.is_empty() {
                &run.phase
            } else {
                &it.title
            };
            let entered = run
                .entered_at
                .map_or_else(|| "not judged".to_owned(), |at| when::moment(at, zone));
            let end = run.end.map_or_else(
                || "under way".to_owned(),
                |(at, outcome)| {
                    format!(
                        "{} at {}",
                        outcome.word().replace('_', " "),
                        when::moment(at, zone)
                    )
                },
            );
            let from = when::moment(run.from, zone);
            vec![
                vec![told(title)],
                vec![own(from)],
                vec![own(entered)],
                vec![own(end)],
            ]
        });
        Table {
            heading: "Phases",
            columns: &["Phase", "From", "Judged since", "Outcome"],
            rows: rows.collect(),
        }
    }

    fn decisions(&self) -> Table {
        let within = |at| self.facts.from <= at && at < self.until;
        let mut all: Vec<_> = self
            .facts
            .decisions
            .iter()
            .filter(|it| within(it.at))
            .collect();
        all.sort_by_key(|it| (it.at, &it.id));
        let rows = all.into_iter().take(ITEMS_MAX).map(|it| {
            let refused = it.refused_by.map_or_else(String::new, |by| {
                format!(" ({} asked, refused by {by})", it.asked)
            });
            let at = when::moment(it.at, &self.facts.zone);
            vec![
                vec![own(at)],
                vec![own(format!("{}{refused}", it.action))],
                vec![own(it.severity.word())],
                vec![told(&it.reason)],
            ]
        });
        Table {
            heading: "Decisions",
            columns: &["At", "Done", "Severity", "Reason"],
            rows: rows.collect(),
        }
    }

    fn checklist(&self) -> Table {
        let rows = self.facts.checklist.iter().take(LINES_MAX).map(|it| {
            let done = match &it.state {
                Standing::Done { at, by } => vec![
                    own("done, says "),
                    told(by),
                    own(format!(", {}", when::moment(*at, &self.facts.zone))),
                ],
                Standing::Open if it.required => vec![own("open, and required")],
                Standing::Open => vec![own("open")],
                Standing::Unknown if it.required => vec![own("not known, and required")],
                Standing::Unknown => vec![own("not known")],
            };
            vec![vec![told(&it.text)], done]
        });
        let mut rows: Vec<Cells> = rows.collect();
        let left_out = self.facts.checklist.iter().skip(LINES_MAX);
        let open = left_out
            .clone()
            .filter(|it| !matches!(it.state, Standing::Done { .. }));
        let (more, open) = (left_out.count(), open.count());
        if more > 0 {
            let text = format!("… and {more} more");
            rows.push(vec![
                vec![own(text)],
                vec![own(format!("{open} of them not done"))],
            ]);
        }
        Table {
            heading: "Checklist",
            columns: &["Item", "State"],
            rows,
        }
    }

    fn criteria(&self) -> Table {
        let rows = self.facts.criteria.iter().take(ITEMS_MAX).map(|it| {
            let met = match it.met {
                Some(true) => "met",
                Some(false) => "not met",
                None => "unknown",
            };
            vec![vec![told(&it.text)], vec![own(met)], vec![told(&it.why)]]
        });
        Table {
            heading: "Hypercare Success Criteria",
            columns: &["Criterion", "", "Why"],
            rows: rows.collect(),
        }
    }

    /// How the figures were made.
    pub(super) fn footnotes(&self) -> Vec<Vec<Span>> {
        let percent = |share: f64| number::by_unit(Unit::Ratio, share);
        let mut notes = vec![vec![own(
            "Figures come from one reading a minute. Minutes without a reading are left out of every figure and \
             counted beside it; they are neither good nor bad. Uptime is the share of known minutes that were up. \
             API calls are the throughput added up over its known minutes.",
        )]];
        if let Some(row) = self.figures.get(ERROR_RATE) {
            notes.push(vec![own(format!(
                "The error rate is a {}.",
                mean_of(&basis(row))
            ))]);
        }
        let counts = self.figures.rows.iter();
        let counts = counts.filter(|it| it.known.is_some_and(|it| it.how == How::SinceMidnight));
        let counts: Vec<_> = counts.filter(|it| it.measure.value.is_some()).collect();
        if !counts.is_empty() {
            let mut note = vec![own("Counts since midnight, whose increases are added up: ")];
            for (place, row) in counts.into_iter().enumerate() {
                note.extend([own(if place == 0 { "" } else { ", " }), name(&row.name)]);
            }
            note.push(own("."));
            notes.push(note);
        }
        let bucket = self.figures.bucket;
        notes.push(vec![own(format!(
            "A trend is told where Mann-Kendall's test over {bucket} finds one (two-sided, {} level, at least \
             {BUCKETS_MIN} {bucket}) and Theil-Sen's slope changes the figure over the period by at least {} of its \
             median and by what matters for that signal; otherwise it is stable.",
            percent(LEVEL),
            percent(CHANGE_SHARE_MIN),
        ))]);
        notes.push(vec![own(format!(
            "RED: a P1 is open, a rollback was decided, or uptime is below its target. AMBER: a P2 is open, there was \
             a P1, a target was missed in more than {} of its known minutes, more than {} of the minutes of the \
             uptime or of a signal with a target are unknown, or a required item is open or not known. UNKNOWN: no reading at all.",
            percent(MISSED_SHARE_MAX),
            percent(UNKNOWN_SHARE_MAX),
        ))]);
        notes
    }
}

/// `mean weighted by throughput`, `plain mean of …`.
fn mean_of(basis: &str) -> String {
    if basis.starts_with("plain") {
        basis.to_owned()
    } else {
        format!("mean {basis}")
    }
}

fn metrics(heading: &'static str, rows: Vec<Cells>) -> Table {
    Table {
        heading,
        columns: METRICS,
        rows,
    }
}

/// `< 150ms: met`, `< 150ms: missed in 30 of 600 min (5%)`, `< 150ms: not known, 90 of 600 minutes unknown`.
fn targets(row: &Row) -> Vec<Span> {
    let mut spans = Vec::new();
    for it in row.targets.iter().take(TARGETS_SHOWN) {
        if !spans.is_empty() {
            spans.push(own("; "));
        }
        let whole = row.name == UPTIME;
        let unknown = unknown_of(it.known, it.total);
        let outcome = match it.is_met {
            Some(false) if whole => ": missed".to_owned(),
            _ if !whole && it.missed > 0 => {
                let share = number::by_unit(Unit::Ratio, it.share());
                format!(": missed in {} of {} min ({share})", it.missed, it.known)
            }
            _ if !is_enough(it.known, it.total) => format!(": not known, {unknown}"),
            Some(_) => ": met".to_owned(),
            None => ": not known".to_owned(),
        };
        spans.extend([told(&it.target.text), own(outcome)]);
    }
    let more = row.targets.len().saturating_sub(TARGETS_SHOWN);
    if more > 0 {
        spans.push(own(format!("; and {more} more")));
    }
    spans
}
