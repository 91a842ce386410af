//! What the API may ask for and no rule may say: the samples of a range as they are, and a text.

use std::time::Duration;

use crate::model::{Labels, Timestamp, time};
use crate::store::Window;

use super::lex::ParseError;
use super::node::{Binding, Moment, Times};
use super::parse;
use super::select::Selector;
use super::stop::Stop;

/// `selector[range]`, by itself.
#[derive(Clone, Debug)]
pub struct RawRange {
    pub(super) selector: Selector,
    pub(super) range: Duration,
}

impl RawRange {
    /// `None` where the text is another kind of expression, or none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Result<Self, ParseError>> {
        parse::raw_range(text)
    }

    /// Every series with its samples in the range that ends at `at`, by labels.
    #[must_use]
    pub fn samples(
        mut self,
        window: &Window,
        at: Timestamp,
    ) -> Vec<(Labels, Vec<(Timestamp, f64)>)> {
        let at = at.millis();
        let times = Times {
            turn: 0,
            at,
            start: at,
            end: at,
            step: 1,
        };
        let stop = Stop::default();
        let mut binding = Binding {
            window,
            times,
            stop: &stop,
            targets: Vec::new(),
            matched: Vec::new(),
        };
        let layout = self.selector.bind(&mut binding);
        let moment = Moment {
            window,
            times,
            samples: &mut Vec::new(),
            stop: &stop,
        };
        let until = self.selector.until(&moment);
        let after = until.saturating_sub(time::millis(self.range));
        let mut samples = Vec::new();
        let mut found = Vec::new();
        let edges = self.selector.edges;
        let bounds = edges.widened((after, until));
        self.selector
            .each(window, bounds, &mut samples, &mut |element, samples| {
                let points: Vec<(Timestamp, f64)> = edges
                    .shown(samples, (after, until))
                    .into_iter()
                    .map(|(at, value)| (Timestamp::from_millis(at), value))
                    .collect();
                if !points.is_empty() {
                    found.push((layout.labels(element), points));
                }
            });
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }
}
