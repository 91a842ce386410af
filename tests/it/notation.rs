//! promtool's series notation (`1+1x10`, `_`, `stale`) into a window. For tests of what queries mean.

use std::time::Duration;

use gated::model::{Labels, STALE, Slot, TargetId, Timestamp};
use gated::store::Window;
use promql_parser::label::METRIC_NAME;
use promql_parser::parser::{self, Expr};

/// Long enough that nothing a test loads is forgotten.
pub const EVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// How samples get into the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// As scrapes: each series is a target of its own, so that a blank is no scrape rather than a vanished series.
    Scraped,
    /// As samples with timestamps of their own, all on one target.
    Stamped,
}

/// A label set as a selector writes it.
pub fn labels(text: &str) -> Labels {
    if text.trim() == "{}" {
        return Labels::empty();
    }
    let Ok(Expr::VectorSelector(selector)) = parser::parse(text) else {
        panic!("`{text}` is not a series");
    };
    let matchers = selector.matchers.matchers;
    let name = selector.name.map(|name| (METRIC_NAME.to_owned(), name));
    Labels::new(matchers.into_iter().map(|m| (m.name, m.value)).chain(name))
}

/// By interval: a value, STALE, or nothing. `None` for native histograms, which gated does not hold.
pub fn values(text: &str) -> Option<Vec<Option<f64>>> {
    let mut values = Vec::new();
    if text.contains("{{") {
        return None;
    }
    for item in text.split_whitespace() {
        match item.split_once('x') {
            None if item == "_" => values.push(None),
            None if item == "stale" => values.push(Some(STALE)),
            None => values.push(Some(number(item))),
            Some(("_", times)) => values.extend(vec![None; times.parse().unwrap()]),
            Some((start, times)) => {
                let (mut value, step) = progression(start);
                for _ in 0..=times.parse::<u32>().unwrap() {
                    values.push(Some(value));
                    value += step;
                }
            }
        }
    }
    Some(values)
}

/// `1+2` or `1-2` or `1`; signs of exponents and of the first number are not the step's.
fn progression(text: &str) -> (f64, f64) {
    let sign = text.char_indices().skip(1).find(|(at, c)| {
        let exponent = text[..*at].ends_with(['e', 'E']);
        (*c == '+' || *c == '-') && !exponent
    });
    match sign {
        Some((at, _)) => (number(&text[..at]), number(&text[at..])),
        None => (number(text), 0.0),
    }
}

pub fn number(text: &str) -> f64 {
    text.parse()
        .unwrap_or_else(|_| panic!("`{text}` is not a number"))
}

pub fn at(millis: u128) -> Timestamp {
    Timestamp::from_millis(i64::try_from(millis).unwrap())
}

/// A window with the samples of `series` (labels and values) at multiples of `interval`.
pub fn window(series: &[(Labels, Vec<Option<f64>>)], interval: Duration, load: Load) -> Window {
    let mut window = Window::default();
    let time = |index: usize| at(interval.as_millis() * index as u128);
    match load {
        Load::Scraped => {
            for (id, (labels, values)) in (0..).zip(series) {
                let target = TargetId(id);
                window.add_target(target, interval);
                window.born(target, Slot(0), labels.clone(), EVER);
                for (index, value) in values.iter().enumerate() {
                    if let Some(value) = value {
                        window.append(target, time(index), &[*value], &[]);
                    }
                }
            }
        }
        Load::Stamped => {
            let target = TargetId(0);
            window.add_target(target, interval);
            for (slot, (labels, _)) in (0..).zip(series) {
                window.born(target, Slot(slot), labels.clone(), EVER);
            }
            let length = series.iter().map(|(_, values)| values.len()).max();
            for index in 0..length.unwrap_or(0) {
                let page: Vec<f64> = series
                    .iter()
                    .map(|(_, values)| values.get(index).copied().flatten().unwrap_or(STALE))
                    .collect();
                let stamped: Vec<(Slot, Timestamp)> = (0..)
                    .zip(series)
                    .filter(|(_, (_, values))| values.get(index).copied().flatten().is_some())
                    .map(|(slot, _)| (Slot(slot), time(index)))
                    .collect();
                window.append(target, time(index), &page, &stamped);
            }
        }
    }
    window
}
