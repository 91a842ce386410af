//! What a chart shows: a signal's minutes, down to so many points that a small picture can hold, without losing a
//! spike or closing a gap. Deliberately absent: how it is drawn.

use std::ops::Range;

use super::document::bounded;
use super::facts::Facts;
use super::figures::Figures;
use super::figures::Row;
use super::measure::Track;
use super::number;
use super::signals;
use super::signals::SIGNALS;
use super::signals::UPTIME;
use super::when;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::model::Unit;

/// Points of a line, and parts of a strip.
pub const POINTS_MAX: usize = 240;
/// Charts of a report.
const CHARTS_MAX: usize = 12;
/// Bands and marks of one chart.
const MARKS_MAX: usize = 40;

/// Charted where they have readings; any other signal where it has a target.
const CHARTED: &[&str] = &[
    UPTIME,
    signals::API_LATENCY_P95,
    signals::ERROR_RATE,
    signals::THROUGHPUT,
    signals::ACTIVE_USERS,
    signals::SUPPORT_TICKETS_OPEN,
    signals::USER_SATISFACTION,
    signals::PREDICTION_LATENCY,
    signals::MODEL_ACCURACY,
];

/// One signal over the period. Places are minutes from its beginning.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chart {
    pub title: String,
    /// For who cannot see it.
    pub description: String,
    pub unit: Unit,
    pub minutes: usize,
    /// As the axis writes them.
    pub begins: String,
    pub ends: String,
    pub shape: Shape,
    /// Where minutes are unknown, to the width of one point.
    pub unknown: Vec<Range<usize>>,
    pub targets: Vec<Line>,
    pub incidents: Vec<Band>,
    pub phases: Vec<Band>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// Pieces between gaps, and the highest value of the axis.
    Line {
        pieces: Vec<Vec<(usize, f64)>>,
        bottom: f64,
        top: f64,
    },
    /// Up, down or unknown; a part is as bad as its worst minute.
    Strip(Vec<(Range<usize>, State)>),
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Up,
    Down,
    Unknown,
}

/// A target where it applies.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub places: Range<usize>,
    pub value: f64,
    pub text: String,
}

/// A span of time with a name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Band {
    pub places: Range<usize>,
    pub severity: Option<Severity>,
    pub text: String,
}

/// The charts of the period up to `until`, in the table's order, signals of no table last.
pub(super) fn charts(facts: &Facts, figures: &Figures, until: Timestamp) -> Vec<Chart> {
    let mut rows: Vec<(usize, &Row, &Track)> = figures
        .rows
        .iter()
        .zip(&figures.tracks)
        .filter(|(row, _)| row.measure.known > 0)
        .filter(|(row, _)| CHARTED.contains(&row.name.as_str()) || !row.targets.is_empty())
        .map(|(row, track)| {
            let order = SIGNALS.iter().position(|it| it.name == row.name);
            (order.unwrap_or(SIGNALS.len()), row, track)
        })
        .collect();
    rows.sort_by_key(|(order, ..)| *order);
    let rows = rows.into_iter().take(CHARTS_MAX);
    rows.map(|(_, row, track)| chart(facts, row, track, until))
        .collect()
}

fn chart(facts: &Facts, row: &Row, track: &Track, until: Timestamp) -> Chart {
    let values = &track.minutes.values;
    let all = 0..values.len();
    let lines: Vec<Line> = row
        .targets
        .iter()
        .filter(|it| it.target.bound.is_finite() && row.name != UPTIME)
        .map(|it| Line {
            places: it.target.during.map_or(all.clone(), |(from, until)| {
                track.minutes.places(from, until)
            }),
            value: it.target.bound,
            text: bounded(&it.target.text),
        })
        .filter(|it| !it.places.is_empty())
        .collect();
    let shape = if row.name == UPTIME {
        Shape::Strip(strip(values))
    } else {
        line(values, &lines)
    };
    let zone = &facts.zone;
    Chart {
        title: bounded(row.known.map_or(&row.title, |it| it.label)),
        description: description(row),
        unit: row.unit,
        minutes: values.len(),
        begins: when::short(facts.from, (facts.from, until), zone),
        ends: when::short(until, (facts.from, until), zone),
        unknown: unknown(values),
        targets: lines,
        incidents: incidents(facts, track),
        phases: phases(facts, track),
        shape,
    }
}

fn description(row: &Row) -> String {
    let measure = &row.measure;
    let key = row.known.map_or("", |it| it.name);
    let figure = measure
        .value
        .map_or_else(String::new, |it| number::figure(key, row.unit, it));
    format!(
        "{figure}; {} of {} minutes known",
        measure.known, measure.total
    )
}

fn incidents(facts: &Facts, track: &Track) -> Vec<Band> {
    let bands = facts.incidents.iter().map(|it| {
        let incident = &it.incident;
        let end = incident.resolved.as_ref().map(|(at, _)| *at);
        let end = end.unwrap_or(Timestamp::MAX);
        Band {
            places: track.minutes.places(incident.opened_at, end),
            severity: Some(incident.severity),
            text: bounded(&format!("{} {}", incident.severity, incident.reason)),
        }
    });
    bands
        .filter(|it| !it.places.is_empty())
        .take(MARKS_MAX)
        .collect()
}

fn phases(facts: &Facts, track: &Track) -> Vec<Band> {
    let bands = facts.phases.iter().map(|it| {
        let end = it.run.end.map_or(Timestamp::MAX, |(at, _)| at);
        Band {
            places: track.minutes.places(it.run.from, end),
            severity: None,
            text: bounded(if it.title.is_empty() {
                &it.run.phase
            } else {
                &it.title
            }),
        }
    });
    bands
        .filter(|it| !it.places.is_empty())
        .take(MARKS_MAX)
        .collect()
}

/// `parts` equal parts of so many minutes; fewer where there are fewer minutes.
fn parts(minutes: usize, parts: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = parts.min(minutes);
    (0..parts).map(move |part| part * minutes / parts..(part + 1) * minutes / parts)
}

/// Each part gives its lowest and highest minute, in the order in which they came; an unknown minute between two
/// points breaks the line.
fn line(values: &[Option<f64>], targets: &[Line]) -> Shape {
    let mut pieces: Vec<Vec<(usize, f64)>> = Vec::new();
    let mut last: Option<usize> = None;
    let (mut bottom, mut top) = (0.0_f64, 0.0_f64);
    for range in parts(values.len(), POINTS_MAX / 2) {
        for (place, value) in lowest_and_highest(values, range) {
            let broken = last.is_none_or(|last| values[last..place].iter().any(Option::is_none));
            if broken {
                pieces.push(Vec::new());
            }
            if let Some(piece) = pieces.last_mut() {
                piece.push((place, value));
            }
            last = Some(place);
            bottom = bottom.min(value);
            top = top.max(value);
        }
    }
    for target in targets {
        bottom = bottom.min(target.value);
        top = top.max(target.value);
    }
    let (bottom, top) = (-round_up(-bottom), round_up(top));
    Shape::Line {
        pieces,
        bottom,
        top: if top > bottom { top } else { bottom + 1.0 },
    }
}

/// The next number that reads well on an axis; the same where there is none.
fn round_up(value: f64) -> f64 {
    const ROUND: [f64; 10] = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    if value <= 0.0 {
        return 0.0;
    }
    let power = 10.0_f64.powf(value.log10().floor());
    let mut candidates = ROUND.iter().map(|it| it * power);
    // A hair above a round number is that number: 0.3 is 0.1 × 3.
    let found = candidates.find(|it| it.is_normal() && *it >= value * (1.0 - 1e-9));
    found.unwrap_or(value).max(value)
}

/// At most two points, by place.
fn lowest_and_highest(values: &[Option<f64>], range: Range<usize>) -> Vec<(usize, f64)> {
    let known = range.filter_map(|place| Some((place, values[place]?)));
    let mut found: Option<((usize, f64), (usize, f64))> = None;
    for (place, value) in known {
        let (low, high) = found.get_or_insert(((place, value), (place, value)));
        if value < low.1 {
            *low = (place, value);
        }
        if value > high.1 {
            *high = (place, value);
        }
    }
    let Some((low, high)) = found else {
        return Vec::new();
    };
    match low.0.cmp(&high.0) {
        std::cmp::Ordering::Less => vec![low, high],
        std::cmp::Ordering::Equal => vec![low],
        std::cmp::Ordering::Greater => vec![high, low],
    }
}

fn strip(values: &[Option<f64>]) -> Vec<(Range<usize>, State)> {
    let mut strip: Vec<(Range<usize>, State)> = Vec::new();
    for range in parts(values.len(), POINTS_MAX) {
        let part = &values[range.clone()];
        let state = if part.iter().flatten().any(|it| *it < 1.0) {
            State::Down
        } else if part.iter().any(Option::is_none) {
            State::Unknown
        } else {
            State::Up
        };
        match strip.last_mut() {
            Some((known, last)) if *last == state => known.end = range.end,
            _ => strip.push((range, state)),
        }
    }
    strip
}

fn unknown(values: &[Option<f64>]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for range in parts(values.len(), POINTS_MAX) {
        if values[range.clone()].iter().all(Option::is_some) {
            continue;
        }
        match found.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => found.push(range),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[Option<f64>]) -> Vec<Vec<(usize, f64)>> {
        match line(values, &[]) {
            Shape::Line { pieces, .. } => pieces,
            Shape::Strip(_) => unreachable!("a line was asked for"),
        }
    }

    #[test]
    fn a_spike_of_one_minute_is_not_lost() {
        for minutes in [100, 1_440, 43_200] {
            // Neither is the first minute of its part.
            let (spike, dip) = (minutes / 3 + 5, minutes / 2 + 7);
            let mut values = vec![Some(1.0); minutes];
            values[spike] = Some(9.0);
            values[dip] = Some(-4.0);
            let pieces = points(&values);
            let all: Vec<_> = pieces.concat();
            assert!(all.len() <= POINTS_MAX, "{} points", all.len());
            assert!(all.contains(&(spike, 9.0)) && all.contains(&(dip, -4.0)));
            assert!(all.is_sorted_by_key(|(place, _)| *place));
            assert_eq!(pieces.len(), 1);
        }
    }

    #[test]
    fn a_gap_of_one_minute_breaks_the_line() {
        let mut values = vec![Some(1.0); 1_440];
        values[700] = None;
        assert_eq!(points(&values).len(), 2);
        assert_eq!(unknown(&values).len(), 1);
        let blind = unknown(&values)[0].clone();
        assert!(blind.contains(&700) && blind.len() == 6);
        assert!(points(&[None, None]).is_empty());
        assert_eq!(points(&[]), Vec::<Vec<_>>::new());
    }

    #[test]
    fn one_bad_minute_makes_its_part_of_the_strip_bad() {
        let mut values = vec![Some(1.0); 43_200];
        values[10_000] = Some(0.0);
        values[20_000] = None;
        let found = strip(&values);
        assert_eq!(found.len(), 5);
        assert!(found[1].0.contains(&10_000) && found[1].1 == State::Down);
        assert!(found[3].0.contains(&20_000) && found[3].1 == State::Unknown);
        assert_eq!(found.last().unwrap().0.end, 43_200);
    }

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, end) in [
            (0.507, 0.6),
            (250.0, 250.0),
            (1_201.0, 1_500.0),
            (1.0, 1.0),
            (0.0, 0.0),
            (-3.0, 0.0),
            (f64::MAX, f64::MAX),
        ] {
            assert!(
                (round_up(value) - end).abs() <= end * 1e-9,
                "{value}: {}",
                round_up(value)
            );
        }
    }

    #[test]
    fn no_axis_is_empty() {
        for values in [
            vec![Some(0.0)],
            vec![Some(f64::MAX), Some(f64::MIN)],
            vec![None],
        ] {
            let Shape::Line { bottom, top, .. } = line(&values, &[]) else {
                unreachable!("a line was asked for");
            };
            assert!(
                top > bottom && top.is_finite() && bottom.is_finite(),
                "{values:?}"
            );
        }
    }
}
