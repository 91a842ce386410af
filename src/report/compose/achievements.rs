//! "Key Achievements" of the 30-day report: the template's four, each as it came out. One is claimed only where nearly
//! all of the minutes that it is about are known; a miss that was seen is told however few they are. Deliberately
//! absent: the rest of that template.

use super::Sheet;
use super::says::figure;
use super::says::no_readings;
use super::says::unknown;
use super::says::unknown_of;
use crate::model::Severity;
use crate::report::document::Item;
use crate::report::document::Span;
use crate::report::document::blank_because;
use crate::report::document::own;
use crate::report::document::told;
use crate::report::facts::Comparison;
use crate::report::figures::Fared;
use crate::report::figures::Row;
use crate::report::measure::float;
use crate::report::note::Field;
use crate::report::number;
use crate::report::overall::MISSED_SHARE_MAX;
use crate::report::overall::is_open;
use crate::report::overall::is_opened;
use crate::report::signals::MODEL_ACCURACY;
use crate::report::signals::UPTIME;
use crate::report::signals::USER_ADOPTION;
use crate::report::trend::CHANGE_SHARE_MIN;
use crate::report::trend::Direction;

/// The uptime that the template speaks of.
const UPTIME_ACHIEVED: f64 = 0.999;

impl Sheet<'_> {
    /// The template's four, and what people name.
    pub(super) fn achievements(&self) -> Vec<Item> {
        let mut items = vec![
            Item::line(self.no_p1()),
            Item::line(self.uptime_achieved()),
            Item::line(self.adoption()),
            Item::line(self.accuracy()),
        ];
        items.extend(self.noted(Field::Achievement, &["Other achievements"]));
        items
    }

    fn no_p1(&self) -> Vec<Span> {
        let words = "Zero P1 incidents";
        let (from, until) = (self.facts.from, self.until);
        let all = self.facts.incidents.iter().map(|it| &it.incident);
        let p1 = all.filter(|it| {
            it.severity == Severity::P1 && (is_opened(it, from, until) || is_open(it, until))
        });
        let p1 = p1.count();
        if p1 > 0 {
            return vec![own(format!("{words}: not achieved, there were {p1}"))];
        }
        // Without its readings nothing opens an incident.
        match self.unseen() {
            None => vec![own(words)],
            Some(unseen) => unknown_whether(words, "P1 incidents", &unseen),
        }
    }

    /// The signal that tells how much of the period was watched: the uptime, else the one that is known best.
    pub(super) fn watched(&self) -> Option<&Row> {
        let best = || self.figures.rows.iter().max_by_key(|it| it.measure.known);
        let row = self.figures.get(UPTIME).or_else(best)?;
        (row.measure.known > 0).then_some(row)
    }

    fn uptime_achieved(&self) -> Vec<Span> {
        let words = "99.9%+ uptime achieved";
        let Some(row) = self.figures.get(UPTIME) else {
            return vec![own(format!("{words}: ")), no_readings(UPTIME, "uptime")];
        };
        if row.measure.value.is_some_and(|it| it < UPTIME_ACHIEVED) {
            let mut spans = vec![own(format!("{words}: not achieved, it was "))];
            spans.extend(self.uptime());
            return spans;
        }
        if row.measure.is_enough() {
            return vec![own(words)];
        }
        unknown_whether(words, "uptime", &unknown(row))
    }

    fn adoption(&self) -> Vec<Span> {
        let words = "User adoption exceeded target";
        let Some(row) = self.figures.get(USER_ADOPTION) else {
            return vec![
                own(format!("{words} (")),
                no_readings(USER_ADOPTION, "adoption"),
                own(")"),
            ];
        };
        let last = row.measure.value.unwrap_or(f64::NAN);
        let shown = || figure(USER_ADOPTION, row);
        if row.targets.is_empty() {
            return enclosed(&format!("{words}: there is no target for it ("), shown());
        }
        if let Some(missed) = row.targets.iter().find(|it| it.is_met == Some(false)) {
            let then = missed.figure.unwrap_or(last);
            let mut spans = vec![own(format!("{words}: not achieved, it was "))];
            if then.to_bits() == last.to_bits() {
                spans.extend(shown());
            } else {
                spans.push(own(number::by_unit(row.unit, then)));
            }
            spans.extend([own(" (target "), told(&missed.target.text), own(")")]);
            if then.to_bits() != last.to_bits() {
                spans.push(own(", and at the end "));
                spans.extend(shown());
            }
            return spans;
        }
        // The target's time may be over, and the figure is the last one.
        if row.targets.iter().any(|it| !is_within(it, last)) {
            let mut spans = vec![own(format!("{words}: not achieved, it was "))];
            spans.extend(shown());
            return spans;
        }
        if let Some(it) = row.targets.iter().find(|it| it.is_met.is_none()) {
            return unknown_whether(words, "adoption", &unknown_of(it.known, it.total));
        }
        let exceeds = |it: &Fared| {
            let values = [it.figure.unwrap_or(f64::NAN), last];
            values.iter().all(|value| *value > it.target.bound)
        };
        if row.targets.iter().all(exceeds) {
            enclosed(&format!("{words} ("), shown())
        } else {
            enclosed("User adoption met its target (", shown())
        }
    }

    /// Maintained: every target below it is met to the end, or without one it never lies far below its first value for
    /// long; and it does not get worse.
    fn accuracy(&self) -> Vec<Span> {
        let words = "Model accuracy maintained";
        let (Some(row), Some(track)) = (
            self.figures.get(MODEL_ACCURACY),
            self.figures.track(MODEL_ACCURACY),
        ) else {
            return vec![
                own(format!("{words} (")),
                no_readings(MODEL_ACCURACY, "accuracy"),
                own(")"),
            ];
        };
        let last = row.measure.value.unwrap_or(f64::NAN);
        let values = || track.minutes.values.iter().flatten().copied();
        let first = values().next().unwrap_or(last);
        let floors: Vec<&Fared> = row
            .targets
            .iter()
            .filter(|it| is_floor(it.target.comparison))
            .collect();
        let missed = floors.iter().find(|it| {
            it.is_met == Some(false) || it.share() > MISSED_SHARE_MAX || !is_within(it, last)
        });
        let matters = row.known.map_or(0.0, |it| it.matters);
        let floor = first - matters.max(first.abs() * CHANGE_SHARE_MIN);
        let below = values().filter(|it| *it < floor).count();
        let share = float(below) / float(row.measure.known.max(1));
        let fell = floors.is_empty() && (last < floor || share > MISSED_SHARE_MAX);
        let worse = row.trend.direction == Direction::Degrading;
        if missed.is_some() || fell || worse {
            let ends_low = last < floor || worse || missed.is_some_and(|it| !is_within(it, last));
            let mut spans = vec![own(format!("{words}: not achieved, "))];
            spans.extend(self.fall(row, first, ends_low && last < first));
            if let Some(it) = missed {
                spans.extend([own(" (target "), told(&it.target.text), own(")")]);
            }
            return spans;
        }
        if !row.measure.is_enough() {
            return unknown_whether(words, "accuracy", &unknown(row));
        }
        if let Some(it) = floors.iter().find(|it| it.is_met.is_none()) {
            return unknown_whether(words, "accuracy", &unknown_of(it.known, it.total));
        }
        enclosed(&format!("{words} ("), figure(MODEL_ACCURACY, row))
    }

    /// `it fell from 94% to 55%`; `it was as low as 55% at 2026-12-09 14:00` where it came back.
    fn fall(&self, row: &Row, first: f64, ends_low: bool) -> Vec<Span> {
        match row.measure.far {
            Some((lowest, at)) if !ends_low => {
                let (lowest, at) = (number::by_unit(row.unit, lowest), self.clock(at));
                vec![own(format!("it was as low as {lowest} at {at}"))]
            }
            Some(_) | None => {
                let first = number::by_unit(row.unit, first);
                let mut spans = vec![own(format!("it fell from {first} to "))];
                spans.extend(figure(MODEL_ACCURACY, row));
                spans
            }
        }
    }
}

/// A claim that too little is known for, with a blank for it.
fn unknown_whether(words: &str, what: &str, why: &str) -> Vec<Span> {
    let blank = blank_because(what, why);
    vec![own(format!("{words} (")), blank, own(")")]
}

/// The words, a figure, and the parenthesis that closes.
fn enclosed(before: &str, figure: Vec<Span>) -> Vec<Span> {
    let mut spans = vec![own(before)];
    spans.extend(figure);
    spans.push(own(")"));
    spans
}

/// Whether a value would meet the target, in whatever minute.
fn is_within(it: &Fared, value: f64) -> bool {
    it.target.comparison.is_met(value, it.target.bound)
}

/// Whether a figure that falls misses it.
fn is_floor(comparison: Comparison) -> bool {
    match comparison {
        Comparison::Above | Comparison::AtLeast | Comparison::Equal => true,
        Comparison::Below | Comparison::AtMost | Comparison::NotEqual => false,
    }
}
