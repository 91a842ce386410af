//! Single figures in words, as the templates' bullets have them: the figure, and how much it rests on.

use std::time::Duration;

use super::Sheet;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::model::Unit;
use crate::report::document::Span;
use crate::report::document::Why;
use crate::report::document::bounded;
use crate::report::document::count;
use crate::report::document::name;
use crate::report::document::own;
use crate::report::figures::Row;
use crate::report::measure::Basis;
use crate::report::number;
use crate::report::signals::API_LATENCY_AVG;
use crate::report::signals::API_LATENCY_P95;
use crate::report::signals::ERROR_RATE;
use crate::report::signals::How;
use crate::report::signals::THROUGHPUT;
use crate::report::signals::UPTIME;
use crate::report::trend::BUCKETS_MIN;
use crate::report::trend::Direction;
use crate::report::when;

impl Sheet<'_> {
    /// The signal's figure alone, or a blank that names it.
    pub(super) fn figure(&self, signal: &'static str, what: &str) -> Vec<Span> {
        match self.figures.get(signal) {
            Some(row) => figure(signal, row),
            None => vec![no_readings(signal, what)],
        }
    }

    /// The moment of the go-live.
    pub(super) fn go_live(&self) -> Vec<Span> {
        match self.facts.go_live {
            Some(at) => vec![self.moment("go_live", at)],
            None => vec![crate::report::document::blank_because(
                "go-live time",
                "nobody has said it: set `[rollout] go_live`",
            )],
        }
    }

    pub(super) fn moment(&self, key: &'static str, at: Timestamp) -> Span {
        let shown = when::moment(at, &self.facts.zone);
        Span::Moment { key, at, shown }
    }

    /// The time of day, with the date where the period has several.
    pub(super) fn clock(&self, at: Timestamp) -> String {
        when::short(at, (self.facts.from, self.until), &self.facts.zone)
    }

    pub(super) fn date(&self, key: &'static str, at: Timestamp) -> Span {
        let shown = when::date(at, &self.facts.zone);
        Span::Moment { key, at, shown }
    }

    /// The period's end, as the date of its last moment.
    pub(super) fn last_day(&self) -> Span {
        let last = Timestamp::from_millis(self.until.millis().saturating_sub(1));
        Span::Moment {
            key: "until",
            at: self.until,
            shown: when::date(last, &self.facts.zone),
        }
    }

    /// `99.95% (down for 12 min, 3 of 1,440 minutes unknown)`.
    pub(super) fn uptime(&self) -> Vec<Span> {
        let Some(row) = self.figures.get(UPTIME) else {
            return vec![no_readings(UPTIME, "uptime")];
        };
        let (measure, share) = (&row.measure, row.measure.value.unwrap_or(0.0));
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of at most 89 280 minutes"
        )]
        let down = ((1.0 - share) * measure.known as f64).round() as u64;
        let down = if down == 0 {
            String::new()
        } else {
            format!(
                "down for {}, ",
                when::length(Duration::from_secs(60 * down))
            )
        };
        let mut spans = figure(UPTIME, row);
        spans.push(own(format!(" ({down}{})", unknown(row))));
        spans
    }

    /// `87ms (median of the minutes; worst minute 412ms at 14:32)`.
    pub(super) fn latency_p95(&self) -> Vec<Span> {
        let Some(row) = self.figures.get(API_LATENCY_P95) else {
            return vec![no_readings(API_LATENCY_P95, "API latency p95")];
        };
        let mut spans = figure(API_LATENCY_P95, row);
        spans.push(own(format!(
            " (median of the minutes; {})",
            self.worst(row)
        )));
        spans
    }

    /// The average where there is one, else what stands in for it.
    pub(super) fn latency(&self) -> Vec<Span> {
        if let Some(row) = self.figures.get(API_LATENCY_AVG) {
            let mut spans = figure(API_LATENCY_AVG, row);
            spans.push(own(format!(" ({})", basis(row))));
            return spans;
        }
        let Some(row) = self.figures.get(API_LATENCY_P95) else {
            return vec![no_readings(API_LATENCY_AVG, "average latency")];
        };
        let mut spans = figure(API_LATENCY_P95, row);
        spans.extend([
            own(" (median of the minutes' p95: no readings of "),
            name(API_LATENCY_AVG),
            own(")"),
        ]);
        spans
    }

    pub(super) fn error_rate(&self) -> Vec<Span> {
        let Some(row) = self.figures.get(ERROR_RATE) else {
            return vec![no_readings(ERROR_RATE, "error rate")];
        };
        let mut spans = figure(ERROR_RATE, row);
        spans.push(own(format!(" ({})", basis(row))));
        spans
    }

    /// `12,345 (3 of 1,440 minutes unknown)`.
    pub(super) fn calls(&self) -> Vec<Span> {
        let Some(row) = self.figures.get(THROUGHPUT) else {
            return vec![no_readings(THROUGHPUT, "API calls")];
        };
        let mut spans = figure(THROUGHPUT, row);
        spans.push(own(format!(" ({})", unknown(row))));
        spans
    }

    /// `3 (P1: 0, P2: 1, P3: 2)`; P4 where there is one or `always`, so that the sum is right.
    pub(super) fn incidents(&self, always_p4: bool) -> Vec<Span> {
        let [p1, p2, p3, p4] = self.opened;
        let mut spans = vec![
            count("incidents", p1 + p2 + p3 + p4),
            own(" (P1: "),
            count("p1", p1),
            own(", P2: "),
            count("p2", p2),
            own(", P3: "),
            count("p3", p3),
        ];
        if always_p4 || p4 > 0 {
            spans.extend([own(", P4: "), count("p4", p4)]);
        }
        spans.push(own(")"));
        if let Some(unseen) = self.unseen() {
            spans.push(own(format!(", as far as gated saw: {unseen}")));
        }
        spans
    }

    /// How much of the period nobody watched, where that is too much to say that nothing was.
    pub(super) fn unseen(&self) -> Option<String> {
        match self.watched() {
            Some(row) if row.measure.is_enough() => None,
            Some(row) => Some(unknown(row)),
            None => Some("nothing was read".to_owned()),
        }
    }

    /// `Improving (-12ms over 7 days)`, with what it rests on; of a sum, by how much a part of it changed.
    pub(super) fn trend(&self, signal: &'static str) -> Vec<Span> {
        let Some(row) = self.figures.get(signal) else {
            return vec![
                own(format!("{} (no readings of ", Direction::Unknown.word())),
                name(signal),
                own(")"),
            ];
        };
        let (trend, bucket) = (row.trend, self.figures.bucket);
        let word = trend.direction.word();
        vec![own(match trend.direction {
            Direction::Unknown => format!(
                "{word} ({} of the {BUCKETS_MIN} {bucket} that it takes have readings)",
                trend.buckets
            ),
            Direction::Stable => format!("{word} (over {} {bucket})", trend.buckets),
            Direction::Improving
            | Direction::Degrading
            | Direction::Rising
            | Direction::Falling => {
                let sign = if trend.change < 0.0 { "-" } else { "+" };
                let by = match row.known.map(|it| it.how) {
                    Some(How::Total | How::SinceMidnight) => {
                        let each = if bucket == "hours" {
                            "an hour"
                        } else {
                            "a day"
                        };
                        format!("{} {each}", number::whole(trend.change.abs()))
                    }
                    _ => number::by_unit(row.unit, trend.change.abs()),
                };
                let by = by.strip_suffix("/5").unwrap_or(&by);
                format!("{word} ({sign}{by} over {} {bucket})", trend.buckets)
            }
        })]
    }

    /// `worst minute 412ms at 14:32`.
    pub(super) fn worst(&self, row: &Row) -> String {
        let Some((value, at)) = row.measure.far else {
            return String::new();
        };
        let value = number::by_unit(row.unit, value);
        let at = self.clock(at);
        format!("worst minute {value} at {at}")
    }

    /// Mean time from opening to end of the period's resolved incidents, and how many those are.
    pub(super) fn resolution_time(&self) -> Option<(Duration, usize)> {
        let resolved: Vec<Duration> = self.resolved().map(|(_, took, _)| took).collect();
        let count = u32::try_from(resolved.len()).ok().filter(|it| *it > 0)?;
        Some((resolved.iter().sum::<Duration>() / count, resolved.len()))
    }

    /// `P1: 15 min, P2: 1 h`; a blank where none is configured.
    pub(super) fn slas(&self) -> Vec<Span> {
        let within = |severity: Severity| {
            let mut all = self.facts.acknowledge_within.iter();
            let found = all.find(|(known, _)| *known == severity);
            found.map(|(_, within)| format!("{severity}: {}", when::length(*within)))
        };
        let all: Vec<String> = Severity::ALL.iter().filter_map(|it| within(*it)).collect();
        if all.is_empty() {
            return vec![crate::report::document::blank("SLAs")];
        }
        vec![own(format!("{} to acknowledge", all.join(", ")))]
    }
}

/// The row's figure as a span.
pub(super) fn figure(key: &'static str, row: &Row) -> Vec<Span> {
    let value = row.measure.value.unwrap_or(0.0);
    vec![Span::Figure {
        key,
        value: Some(value),
        unit: row.unit,
        shown: number::figure(key, row.unit, value),
    }]
}

/// A blank that names the signal.
pub(super) fn no_readings(signal: &str, what: &str) -> Span {
    Span::Blank {
        what: what.to_owned(),
        why: Why::NoReadings(bounded(signal)),
    }
}

/// `3 of 1,440 minutes unknown`.
pub(super) fn unknown(row: &Row) -> String {
    unknown_of(row.measure.known, row.measure.total)
}

/// The same of a part of the minutes.
pub(super) fn unknown_of(known: usize, total: usize) -> String {
    let whole = |minutes: usize| count("", minutes).text();
    let (unknown, total) = (whole(total - known), whole(total));
    format!("{unknown} of {total} minutes unknown")
}

/// How a weighted mean was weighted.
pub(super) fn basis(row: &Row) -> String {
    match row.measure.basis {
        Basis::Throughput { without: 0 } => "weighted by throughput".to_owned(),
        Basis::Throughput { without } => {
            format!("weighted by throughput, {without} minutes without it counted as average ones")
        }
        Basis::Plain => "plain mean of the minutes: the throughput is not known".to_owned(),
        Basis::None => String::new(),
    }
}

/// Whether the change of a figure is told in its unit: `+12`, `+4.2%`.
pub(super) fn change(now: &Row, as_share: bool) -> Option<String> {
    let (value, then) = (now.measure.value?, now.earlier?);
    if as_share {
        number::change_share(value, then)
    } else if now.unit == Unit::Count {
        Some(number::change(value, then))
    } else {
        None
    }
}
