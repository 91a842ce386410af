//! The minutes around a decision as text for a terminal and as JSON. Every text passes an escape on its way.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::minutes::{Minutes, Row, Signal};
use crate::model::text::visible;
use crate::model::{Reading, Timestamp};

/// Rows on a terminal, and in JSON.
const TEXT_ROWS_MAX: usize = 60;
const JSON_ROWS_MAX: usize = 2000;
/// Columns of a picture.
const COLUMNS_MAX: usize = 60;
/// What is said of one evaluation at most.
const EVENTS_MAX: usize = 8;
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const TITLE: &str = "\nThe minutes around it\n";

/// Why they are not there, as they would stand.
pub(super) fn none(why: &str) -> String {
    format!("{TITLE}  {}\n", visible(why))
}

pub(super) fn text(minutes: &Minutes) -> String {
    let mut out = TITLE.to_owned();
    pictures(&mut out, minutes);
    out.push('\n');
    let chosen = chosen(minutes, TEXT_ROWS_MAX);
    table(&mut out, minutes, &chosen);
    let all = minutes.rows.len() + minutes.skipped;
    if chosen.len() < all {
        let _ = writeln!(
            out,
            "  {} of {all} evaluations: the others are left out evenly",
            chosen.len()
        );
    }
    if let Some(at) = minutes.cold {
        let _ = writeln!(
            out,
            "  replayed from {at} on, where the journal begins anew: what looks back further may differ"
        );
    }
    for remark in &minutes.remarks {
        let _ = writeln!(out, "  {}", visible(remark));
    }
    out
}

/// One picture a signal, and below them when the condition held.
fn pictures(out: &mut String, minutes: &Minutes) {
    let columns = columns(&minutes.rows);
    let held = "condition";
    let names = minutes.signals.iter().map(|it| width(&title(it)));
    let widest = names.chain([width(held)]).max().unwrap_or(0);
    for (place, signal) in minutes.signals.iter().enumerate() {
        let values = minutes
            .rows
            .iter()
            .filter_map(|it| it.readings[place].0.value());
        let low = values.clone().reduce(f64::min);
        let (Some(low), Some(high)) = (low, values.reduce(f64::max)) else {
            let _ = writeln!(out, "  {:widest$}  no value", title(signal));
            continue;
        };
        let limit = signal.threshold.as_ref().map(|(at, _)| *at);
        let scale = Scale::new(
            low.min(limit.unwrap_or(low)),
            high.max(limit.unwrap_or(high)),
        );
        let blocks = columns.iter().map(|column| {
            let value = speaker(column).readings[place].0.value();
            value.map_or('·', |it| scale.block(it))
        });
        let blocks: String = blocks.collect();
        let show = |value| signal.unit.show(value);
        let range = if low < high {
            format!("{} to {}", show(low), show(high))
        } else {
            show(low)
        };
        let limit = signal.threshold.as_ref().map(|(at, text)| {
            format!(
                "; its threshold, {}, is at {}",
                visible(text),
                scale.block(*at)
            )
        });
        let limit = limit.unwrap_or_default();
        let _ = writeln!(out, "  {:widest$}  {blocks}  {range}{limit}", title(signal));
    }
    let marks: String = columns.iter().map(|it| mark(it, minutes)).collect();
    let of = match minutes.series.as_str() {
        "" => String::new(),
        series => format!(" for {}", visible(series)),
    };
    let condition = visible(&minutes.condition).into_owned();
    let _ = writeln!(
        out,
        "  {held:widest$}  {marks}  ━ {condition}{of}; ◆ decided"
    );
}

fn mark(column: &[Row], minutes: &Minutes) -> char {
    let decided = minutes.rows[minutes.decided].at;
    if column.iter().any(|it| it.at == decided) {
        return '◆';
    }
    match speaker(column).held {
        Some(true) => '━',
        Some(false) => '─',
        None => '·',
    }
}

/// Evaluations in their order, as many to each column as to any other.
fn columns(rows: &[Row]) -> Vec<&[Row]> {
    let count = rows.len().min(COLUMNS_MAX);
    let at = |column: usize| column * rows.len() / count;
    (0..count).map(|it| &rows[at(it)..at(it + 1)]).collect()
}

/// What is shown of several: the last that held, else the last.
fn speaker(column: &[Row]) -> &Row {
    let held = column.iter().rev().find(|it| it.held == Some(true));
    held.unwrap_or(&column[column.len() - 1])
}

struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    const fn new(low: f64, high: f64) -> Self {
        Self { low, high }
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of seven: it saturates"
    )]
    fn block(&self, value: f64) -> char {
        let span = self.high - self.low;
        let share = if span > 0.0 {
            (value - self.low) / span
        } else {
            0.0
        };
        BLOCKS[((share * 7.0).round() as usize).min(7)]
    }
}

fn table(out: &mut String, minutes: &Minutes, chosen: &BTreeSet<usize>) {
    let mut lines = vec![head(minutes)];
    let mut why_before = vec![""; minutes.signals.len()];
    for place in chosen {
        let row = &minutes.rows[*place];
        let mut cells = vec![clock(row.at)];
        let mut said: Vec<String> = Vec::new();
        for ((signal, (reading, why)), before) in minutes
            .signals
            .iter()
            .zip(&row.readings)
            .zip(&mut why_before)
        {
            cells.push(match reading.value() {
                Some(value) => signal.unit.show(value),
                None => reading.word().to_owned(),
            });
            // Said where it begins.
            if !why.is_empty() && why != *before {
                let what = match minutes.signals.len() {
                    1 => reading.word().into(),
                    _ => title(signal),
                };
                said.push(format!("{what}: {}", visible(why)));
            }
            *before = why;
        }
        cells.push(held(row.held).to_owned());
        said.extend(events(row));
        cells.push(said.join("; "));
        lines.push(cells);
    }
    let mut widths = vec![0; lines[0].len()];
    for line in &lines {
        for (widest, cell) in widths.iter_mut().zip(line) {
            *widest = width(cell).max(*widest);
        }
    }
    let decided = chosen.iter().position(|it| *it == minutes.decided);
    for (number, line) in lines.iter().enumerate() {
        let mut shown = if Some(number) == decided.map(|it| it + 1) {
            "◆".to_owned()
        } else {
            " ".to_owned()
        };
        for (cell, widest) in line.iter().zip(&widths) {
            let gap = widest - width(cell);
            let _ = write!(shown, " {cell}{:gap$} ", "");
        }
        let _ = writeln!(out, "{}", shown.trim_end());
    }
}

fn head(minutes: &Minutes) -> Vec<String> {
    let mut cells = vec!["time".to_owned()];
    cells.extend(minutes.signals.iter().map(title));
    cells.extend(["held", "what happened"].map(str::to_owned));
    cells
}

fn title(signal: &Signal) -> String {
    match signal.name.as_str() {
        "" => "value".to_owned(),
        name => visible(name).into_owned(),
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// The time of the day, as the rest of an explanation writes moments.
fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    text.split_once('T')
        .map_or(text.clone(), |(_, clock)| clock.to_owned())
}

const fn held(held: Option<bool>) -> &'static str {
    match held {
        Some(true) => "yes",
        Some(false) => "no",
        None => "?",
    }
}

fn events(row: &Row) -> Vec<String> {
    let shown = row.events.iter().take(EVENTS_MAX);
    let mut all: Vec<String> = shown.map(|it| visible(it).into_owned()).collect();
    if row.events.len() > EVENTS_MAX {
        all.push(format!("{} more", row.events.len() - EVENTS_MAX));
    }
    all
}

/// Places of the rows that are shown: those with something to tell first, the rest evenly.
fn chosen(minutes: &Minutes, most: usize) -> BTreeSet<usize> {
    let (told, quiet): (Vec<usize>, Vec<usize>) =
        (0..minutes.rows.len()).partition(|it| !minutes.rows[*it].events.is_empty());
    let mut chosen = BTreeSet::from([minutes.decided]);
    chosen.extend(evenly(&told, most - 1));
    let left = most - chosen.len();
    chosen.extend(evenly(&quiet, left));
    chosen
}

fn evenly(places: &[usize], most: usize) -> impl Iterator<Item = usize> {
    let count = places.len().min(most);
    (0..count).map(move |it| places[it * places.len() / count])
}

/// By signal, as `gated explain --format json` has them.
pub(super) fn json(minutes: &Minutes) -> Value {
    let chosen = chosen(minutes, JSON_ROWS_MAX);
    let signals = minutes.signals.iter().enumerate();
    let signals = signals.map(|(place, signal)| {
        let rows = chosen.iter().map(|it| &minutes.rows[*it]);
        let readings: Vec<Value> = rows
            .map(|row| {
                let (reading, why) = &row.readings[place];
                json!({
                    "at": row.at.to_string(),
                    "reading": reading.word(),
                    "value": value(*reading),
                    "why": Some(why).filter(|it| !it.is_empty()),
                    "held": row.held,
                    "events": row.events,
                })
            })
            .collect();
        json!({
            "signal": Some(&signal.name).filter(|it| !it.is_empty()),
            "unit": signal.unit.word(),
            "condition": minutes.condition,
            "threshold": signal.threshold.as_ref().map(|(at, _)| at),
            "readings": readings,
        })
    });
    signals.collect()
}

fn value(reading: Reading) -> Option<f64> {
    reading.value().filter(|it| it.is_finite())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::expect;

    use super::*;
    use crate::engine::TriggerStanding;
    use crate::model::Unit;

    /// One evaluation a second; the value is its number, and what is above 700 holds.
    fn minutes(count: u32) -> Minutes {
        let at = |second: u32| Timestamp::EPOCH + Duration::from_secs(second.into());
        let row = |second: u32| Row {
            at: at(second),
            readings: vec![match second {
                0..10 => (Reading::Thin, "too \u{202e}little".to_owned()),
                _ => (Reading::Value(second.into()), String::new()),
            }],
            held: (second >= 10).then_some(second > 700),
            standing: TriggerStanding::Calm,
            events: match second {
                701 => vec!["pending".to_owned()],
                703 => vec!["firing".to_owned(), "decided: rollback".to_owned()],
                _ => Vec::new(),
            },
        };
        Minutes {
            condition: "load > 700".to_owned(),
            series: String::new(),
            signals: vec![Signal {
                name: "load".to_owned(),
                unit: Unit::Count,
                threshold: Some((700.0, "> 700".to_owned())),
            }],
            rows: (0..count).map(row).collect(),
            decided: 703.min(count as usize - 1),
            skipped: 0,
            cold: None,
            remarks: Vec::new(),
        }
    }

    #[test]
    fn few_are_all_shown() {
        let shown = text(&Minutes {
            cold: Some(Timestamp::EPOCH),
            series: "{pod=\"\u{202e}\"}".to_owned(),
            ..minutes(12)
        });
        expect![[r#"

            The minutes around it
              load       ··········▁▁  10 to 11; its threshold, > 700, is at █
              condition  ··········─◆  ━ load > 700 for {pod="\u{202e}"}; ◆ decided

              time           load  held  what happened
              00:00:00.000Z  thin  ?     thin: too \u{202e}little
              00:00:01.000Z  thin  ?
              00:00:02.000Z  thin  ?
              00:00:03.000Z  thin  ?
              00:00:04.000Z  thin  ?
              00:00:05.000Z  thin  ?
              00:00:06.000Z  thin  ?
              00:00:07.000Z  thin  ?
              00:00:08.000Z  thin  ?
              00:00:09.000Z  thin  ?
              00:00:10.000Z  10    no
            ◆ 00:00:11.000Z  11    no
              replayed from 1970-01-01T00:00:00.000Z on, where the journal begins anew: what looks back further may differ
        "#]]
        .assert_eq(&shown);
    }

    #[test]
    fn of_many_some_are_shown_and_all_that_tells_something() {
        let shown = text(&minutes(1000));
        let rows: Vec<&str> = shown.lines().filter(|it| it.contains("000Z")).collect();
        assert_eq!(rows.len(), TEXT_ROWS_MAX);
        for says in [
            "701   yes   pending",
            "◆ 00:11:43.000Z  703   yes   firing; decided",
        ] {
            assert!(rows.iter().any(|it| it.contains(says)), "{says}: {shown}");
        }
        let gap = |pair: &[usize]| pair[1] - pair[0];
        let all: Vec<usize> = chosen(&minutes(1000), TEXT_ROWS_MAX).into_iter().collect();
        assert!(all.windows(2).all(|pair| gap(pair) <= 18), "{all:?}");
        assert!(shown.contains("60 of 1000 evaluations"), "{shown}");
        let readings = json(&minutes(5000))[0]["readings"]
            .as_array()
            .unwrap()
            .len();
        assert_eq!(readings, JSON_ROWS_MAX);
    }

    /// More happens than there are rows.
    #[test]
    fn there_are_never_more_rows_than_that() {
        let mut many = minutes(1000);
        for row in &mut many.rows {
            row.events = vec!["pending".to_owned(); 20];
        }
        let chosen = chosen(&many, TEXT_ROWS_MAX);
        assert!(chosen.len() <= TEXT_ROWS_MAX && chosen.contains(&many.decided));
        assert!(text(&many).contains("; pending; 12 more"));
    }
}
