//! A backtest's outcome as JSON, text, Markdown and a page.

pub mod compared;
mod html;
mod json;
mod lines;
mod markdown;
mod notes;
mod svg;
pub mod swept;
mod table;

use jiff::tz::TimeZone;

use super::Outcome;
use crate::engine::Settings;
use crate::model::Timestamp;
use crate::source::recording::Tally;

pub use html::html;
pub use json::{json, value};
pub use markdown::markdown;
pub use table::table;

/// What is shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    pub outcome: &'a Outcome,
    pub settings: &'a Settings,
    /// `None` for a journal, of which nothing was left out.
    pub tally: Option<Tally>,
    /// What else people should know.
    pub notes: &'a [String],
}

/// The wall's time of a day: `13:11:00`.
fn clock(at: Timestamp, zone: &TimeZone) -> String {
    written(at, zone, "%H:%M:%S")
}

/// The wall's date and time: `2026-04-01 13:11:00`.
fn moment(at: Timestamp, zone: &TimeZone) -> String {
    written(at, zone, "%Y-%m-%d %H:%M:%S")
}

fn written(at: Timestamp, zone: &TimeZone, format: &str) -> String {
    let Ok(moment) = jiff::Timestamp::from_millisecond(at.millis()) else {
        return at.to_string();
    };
    zone.to_datetime(moment).strftime(format).to_string()
}

/// `11,033`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `2 rollbacks`.
fn counted(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}
