//! What Prometheus says beside a result and the text alone tells: see [`notes`].

use std::time::Duration;

use promql_parser::parser::VectorSelector;

use super::Reader;
use super::selector::edges;
use crate::promql::edges::Edges;
use crate::promql::notes::{self, Place};
use crate::promql::places::Arguments;
use crate::promql::scalar::Scalar;

impl Reader<'_> {
    /// A rate of what is named like a gauge.
    pub(super) fn note_counter(&mut self, function: &str, selector: &VectorSelector, place: Place) {
        let rates = matches!(function, "rate" | "increase" | "irate");
        let Some(name) = selector.name.as_ref().filter(|_| rates) else {
            return;
        };
        self.rated.insert(name.clone());
        if function != "irate" && notes::is_gauge(name) {
            self.notes.push(notes::gauge_note(name, place));
        }
    }

    /// A range that shows nothing while it holds one sample.
    pub(super) fn note_rate(&mut self, function: &str, selector: &VectorSelector, range: Duration) {
        let wants_two = matches!(
            function,
            "rate" | "increase" | "irate" | "delta" | "idelta" | "deriv" | "predict_linear"
        );
        if wants_two && self.outer.is_none() && edges(selector) == Edges::Plain {
            let shortest = self.shortest_rate.map_or(range, |known| known.min(range));
            self.shortest_rate = Some(shortest);
        }
    }

    /// A quantile that is no share.
    pub(super) fn note_quantile(&mut self, quantile: &Scalar, place: Place) {
        if let Some(value) = quantile.constant().filter(|it| !(0.0..=1.0).contains(it)) {
            self.notes.push(notes::quantile_note(value, place));
        }
    }

    /// A ratio beyond one.
    pub(super) fn note_ratio(&mut self, ratio: &Scalar, place: Place) {
        if let Some(value) = ratio.constant().filter(|it| it.abs() > 1.0) {
            self.notes.push(notes::ratio_note(value, place));
        }
    }

    /// Where the arguments stand of the call of `name` that is read next.
    pub(super) fn places(&mut self, name: &str) -> Arguments {
        self.places.next(self.text, &self.tokens, name)
    }
}
