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
use crate::model::calendar::shown_as;
use crate::run::counted;
use crate::source::recording::Tally;

pub use html::html;
pub use json::{json, value};
pub use markdown::markdown;
pub use notes::doubts;
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
    shown_as(at, zone, "%H:%M:%S")
}

/// The wall's date and time: `2026-04-01 13:11:00`.
fn moment(at: Timestamp, zone: &TimeZone) -> String {
    shown_as(at, zone, "%Y-%m-%d %H:%M:%S")
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
