//! Rules against a page of a target at hand: selectors that match nothing on it, rates of what it calls a gauge,
//! thresholds above its highest bucket.
//!
//! What the page cannot show is taken as given: the labels of the target itself, what gated makes itself, what rules record.

use std::collections::BTreeSet;

use super::lint::Written;
use super::reader::Reader;
use crate::model::labels::is_own;
use crate::model::{Labels, Metadata, MetricKind};
use crate::promql::{Comparison, Matchers, Outcome, Sight, Survey, Value};

/// Labels that a scrape adds.
const OF_THE_TARGET: [&str; 2] = ["job", "instance"];
/// Names less alike than this are no help.
const LIKENESS_MIN: f64 = 0.6;

/// What stands on a page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub series: BTreeSet<Labels>,
    pub metadata: Vec<Metadata>,
}

impl Page {
    /// Warns of what in an expression likely asks for something else than it means. `recorded`: metrics that rules make.
    pub(super) fn lint(
        &self,
        reader: &Reader<'_>,
        written: &Written,
        survey: &Survey,
        recorded: &BTreeSet<&str>,
    ) {
        let typed = |name: &str| self.metadata.iter().find(|it| it.name == name);
        let mut told = BTreeSet::new();
        for sight in &survey.selectors {
            let name = sight.matchers.name().unwrap_or("");
            let gauge = typed(name).is_some_and(|it| it.kind == MetricKind::Gauge);
            let rated = sight.range.is_some() && written.expr.rated().contains(name);
            let (message, help) = if gauge && rated {
                let message =
                    format!("`{name}` is a gauge on the page (# TYPE) and is read as a counter");
                (message, "a gauge has a delta or a deriv".to_owned())
            } else if let Some(lacking) = self.lacks(sight, recorded) {
                lacking
            } else {
                continue;
            };
            if told.insert(message.clone()) {
                reader.warn(&written.spot.at(sight.span.clone()), message, help);
            }
        }
        for comparison in &survey.comparisons {
            self.bucket(reader, written, comparison);
        }
    }

    /// What to say of a selector that matches nothing here.
    fn lacks(&self, sight: &Sight, recorded: &BTreeSet<&str>) -> Option<(String, String)> {
        let name = sight.matchers.name();
        let given = |name: &str| is_own(name) || recorded.contains(name);
        if sight.absence || name.is_some_and(given) {
            return None;
        }
        let matchers = sight.matchers.clone().without(&OF_THE_TARGET);
        if self.series.iter().any(|it| matchers.matches(it)) {
            return None;
        }
        Some(match name {
            None => (
                "a selector without a name matches nothing on the page".to_owned(),
                String::new(),
            ),
            Some(name) if self.series.iter().any(|it| it.name() == name) => (
                format!("`{name}` is on the page, but no series of it has these labels"),
                self.nearest_labels(sight),
            ),
            Some(name) => {
                let near = self.nearest(name);
                let near = near.map_or(String::new(), |it| format!("did you mean `{it}`?"));
                (format!("`{name}` is not on the page"), near)
            }
        })
    }

    /// A series of the metric as it stands on the page.
    fn nearest_labels(&self, sight: &Sight) -> String {
        let name = sight.matchers.name().unwrap_or("");
        let series = self.series.iter().find(|it| it.name() == name);
        series.map_or(String::new(), |it| format!("on the page stands {it}"))
    }

    fn nearest(&self, name: &str) -> Option<&str> {
        let names: BTreeSet<&str> = self.series.iter().map(Labels::name).collect();
        let alike = names
            .into_iter()
            .map(|it| (strsim::normalized_damerau_levenshtein(it, name), it));
        let near = alike.filter(|(likeness, _)| *likeness >= LIKENESS_MIN);
        near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, it)| it)
    }

    fn bucket(&self, reader: &Reader<'_>, written: &Written, comparison: &Comparison) {
        let Some(highest) = self.highest(&comparison.value) else {
            return;
        };
        let most = comparison.value.at(highest);
        if comparison.outcome_within(f64::NEG_INFINITY, most) == Outcome::Never {
            let place = written.spot.at(comparison.span.clone());
            above_the_buckets(reader, &place, &comparison.text, highest);
        }
    }

    /// The highest finite bucket of what a quantile is taken of: it is never above that.
    pub(super) fn highest(&self, value: &Value) -> Option<f64> {
        let matchers: Matchers = value.buckets()?.clone().without(&OF_THE_TARGET);
        let here = self.series.iter().filter(|it| matchers.matches(it));
        let bounds = here.filter_map(|it| it.get("le")?.parse::<f64>().ok());
        // A negative scale turns the highest into the lowest: nothing is said of that.
        let finite = bounds.filter(|it| it.is_finite() && value.scale > 0.0);
        finite.max_by(f64::total_cmp)
    }
}

/// A quantile lies within the finite buckets.
pub(super) fn above_the_buckets(
    reader: &Reader<'_>,
    place: &super::fault::Place,
    condition: &str,
    highest: f64,
) {
    let message = format!(
        "`{condition}` is never true: the highest finite bucket on the page is {highest}, and no quantile lies above it"
    );
    reader.warn(
        place,
        message,
        "give the histogram higher buckets, or compare with less",
    );
}
