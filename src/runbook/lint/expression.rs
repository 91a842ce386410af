//! What is likely not meant in a `PromQL` expression by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Known, SCRAPES_MIN, SMALL_SHARE};
use crate::model::Ratio;
use crate::promql::{Comparison, Expr, Outcome, Sight, Survey, survey};
use crate::runbook::quantity::spelled as text;
use crate::runbook::reader::Reader;
use crate::runbook::spot::Spot;

/// An expression and where it stands.
#[derive(Clone, Debug)]
pub struct Written {
    pub expr: Expr,
    pub spot: Spot,
    /// What it gives is an alert: a comparison in it is a threshold.
    pub alert: bool,
}

/// All that the expressions of the files say of themselves. `recorded`: metrics that rules make.
pub fn expressions(
    reader: &Reader<'_>,
    all: &[Written],
    recorded: &BTreeSet<&str>,
    known: &Known<'_>,
) {
    for written in all {
        // What parsed once parses again; where it does not, there is nothing to say.
        let Some(survey) = survey(written.expr.text()) else {
            continue;
        };
        noise(reader, written, &survey, recorded, known);
        quantiles(reader, written);
        if written.alert {
            for comparison in &survey.comparisons {
                never(reader, written, comparison);
                few_events(reader, written, comparison);
            }
        }
        if let Some(page) = known.page {
            page.lint(reader, written, &survey, recorded);
        }
    }
}

/// A range that holds fewer than three scrapes of any job that may have the series.
fn noise(
    reader: &Reader<'_>,
    written: &Written,
    survey: &Survey,
    recorded: &BTreeSet<&str>,
    known: &Known<'_>,
) {
    for sight in &survey.selectors {
        // What a rule records comes as often as its group is evaluated.
        let recorded = sight
            .matchers
            .name()
            .is_some_and(|it| recorded.contains(it));
        let (Some(range), Some((interval, job))) = (sight.range, pace(sight, known)) else {
            continue;
        };
        if recorded || range >= interval * SCRAPES_MIN {
            continue;
        }
        let of = job.map_or(String::new(), |job| format!(" of job `{job}`"));
        let message = format!(
            "a range of {} holds fewer than {SCRAPES_MIN} scrapes at an interval of {}{of}: noise",
            text(range),
            text(interval)
        );
        let help = format!("write a range of {} at least", text(interval * SCRAPES_MIN));
        reader.warn(&written.spot.at(sight.span.clone()), message, help);
    }
}

/// The interval of the fastest job that may have the series, and its name where the selector asks for jobs: the range
/// is too short for whoever holds the series only if it is too short for that one.
fn pace<'k>(sight: &Sight, known: &'k Known<'_>) -> Option<(Duration, Option<&'k str>)> {
    let jobs = known.scrapes.iter();
    let jobs = jobs.filter(|(job, _)| sight.matchers.admits("job", job));
    match jobs.min_by_key(|(_, interval)| *interval) {
        Some((job, interval)) => Some((
            *interval,
            sight.matchers.asks("job").then_some(job.as_str()),
        )),
        None if known.scrapes.is_empty() => known.fastest.map(|it| (it, None)),
        // Of a job that is not scraped from here nothing is known.
        None => None,
    }
}

/// What Prometheus says beside a result. That a metric's name has no `_total` is a guess: only a page can tell.
fn quantiles(reader: &Reader<'_>, written: &Written) {
    for note in written.expr.notes().iter().filter(|it| it.warns) {
        let text = note.text.trim_start_matches("PromQL warning: ");
        let text = text.rsplit_once(" (").map_or(text, |(text, _)| text);
        reader.warn(&written.spot.place(), text, "write a share between 0 and 1");
    }
}

fn never(reader: &Reader<'_>, written: &Written, comparison: &Comparison) {
    let place = written.spot.at(comparison.span.clone());
    let (value, shown) = (&comparison.value, &comparison.text);
    match comparison.outcome() {
        Outcome::Never if value.counts && comparison.bound < 1.0 => {
            let message = format!(
                "`{shown}` is never true: where there is nothing to count, there is no result rather than 0"
            );
            let help = "write absent(…), or `(…) or vector(0)` before the comparison";
            reader.warn(&place, message, help);
        }
        Outcome::Never => {
            let message = format!("`{shown}` is never true: {}", extent(comparison));
            reader.warn(&place, message, "compare with a value that it can have");
        }
        Outcome::Always if comparison.whole && !value.divides && value.low < value.high => {
            // `count(…) > 0` says that there is one, and that is what it is written for.
            if !value.counts {
                let message = format!("`{shown}` is always true: {}", extent(comparison));
                let help = "compare with a value that it can pass and stay below";
                reader.warn(&place, message, help);
            }
        }
        Outcome::Perhaps | Outcome::Always => {}
    }
}

fn extent(comparison: &Comparison) -> String {
    let what = comparison.left.as_ref();
    let what = what.map_or("what stands beside it".to_owned(), |it| format!("`{it}`"));
    let (low, high) = (comparison.value.low, comparison.value.high);
    match (low.is_finite(), high.is_finite()) {
        _ if low >= high => format!("{what} is {low} or nothing"),
        (true, true) => format!("{what} lies between {low} and {high}"),
        (true, false) => format!("{what} is {low} at least"),
        _ => format!("{what} is {high} at most"),
    }
}

/// A small share of little traffic is a single request.
fn few_events(reader: &Reader<'_>, written: &Written, comparison: &Comparison) {
    let share = comparison.share().filter(|_| !comparison.guarded);
    let Some(share) = share.filter(|it| *it > 0.0 && *it <= SMALL_SHARE) else {
        return;
    };
    let shown = Ratio::new(share).map_or(String::new(), |it| it.to_string());
    let events = (1.0 / share - 1e-6).ceil();
    let message = format!(
        "a share of {shown} is passed by a single event when there are fewer than {events} in the range"
    );
    let help = format!(
        "ask for traffic too: … and on() sum(increase(requests_total[5m])) >= {events}, with your metric and range"
    );
    reader.warn(&written.spot.at(comparison.span.clone()), message, help);
}
