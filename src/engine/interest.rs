//! Which series anything wants. Sources ask once, when a series is born; what nobody wants is validated and dropped.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::Labels;
use crate::promql::Matchers;

/// Every selector of every rule, by metric name. Immutable; a reload makes another.
#[derive(Clone, Debug, Default)]
pub struct Interest {
    by_name: HashMap<String, Vec<(Matchers, Duration)>>,
    /// Selectors without an equality on the name.
    any_name: Vec<(Matchers, Duration)>,
    /// `[window] retain = "15m"`: every series is wanted, for this long at least.
    retain: Option<Duration>,
}

impl Interest {
    /// From selectors with how far back each looks (range + offset, or the lookback).
    #[must_use]
    pub fn new(
        selectors: impl IntoIterator<Item = (Matchers, Duration)>,
        retain: Option<Duration>,
    ) -> Self {
        let mut interest = Self {
            retain,
            ..Self::default()
        };
        for (matchers, span) in selectors {
            match matchers.name() {
                Some(name) => interest
                    .by_name
                    .entry(name.to_owned())
                    .or_default()
                    .push((matchers, span)),
                None => interest.any_name.push((matchers, span)),
            }
        }
        interest
    }

    /// How far back the series is needed; `None` when nothing wants it.
    #[must_use]
    pub fn span(&self, labels: &Labels) -> Option<Duration> {
        let named = self.by_name.get(labels.name()).into_iter().flatten();
        named
            .chain(&self.any_name)
            .filter(|(matchers, _)| matchers.matches(labels))
            .map(|(_, span)| *span)
            .chain(self.retain)
            .max()
    }
}
