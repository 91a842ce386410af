//! A page → columns: the reader's memory of one target, with labelling and what anything wants.

use std::sync::Arc;

use metrics::counter;

use super::config::ScrapeConfig;
use super::fault::of_page;
use super::labelling::Labelling;
use crate::engine::{Columns, Interest, ScrapeError};
use crate::model::{Labels, Timestamp};
use crate::source::exposition::{Fate, Format, Limits, Reader};
use crate::source::metrics as names;

/// Everything that one target's next page is read with.
#[derive(Debug)]
pub(super) struct Pages {
    reader: Reader,
    labelling: Labelling,
    /// What the reader asked when it saw the series it knows.
    asked: Arc<Interest>,
    honor_timestamps: bool,
}

impl Pages {
    pub(super) fn new(config: &ScrapeConfig, target: &Labels, interest: Arc<Interest>) -> Self {
        Self {
            reader: Reader::new(Limits {
                samples: config.sample_limit,
                labels: config.label_limit,
                label_name_bytes: config.label_name_length_limit,
                label_value_bytes: config.label_value_length_limit,
            }),
            labelling: Labelling {
                target: target.clone(),
                honor_labels: config.honor_labels,
                rules: config.metric_relabel.clone(),
            },
            asked: interest,
            honor_timestamps: config.honor_timestamps,
        }
    }

    pub(super) fn read(
        &mut self,
        body: &[u8],
        format: Format,
        at: Timestamp,
        interest: Arc<Interest>,
    ) -> Result<Columns, ScrapeError> {
        let afresh = !self.asked.wants_as(&interest);
        if afresh {
            self.reader.forget();
            self.asked = interest;
        }
        let (labelling, interest) = (&self.labelling, &self.asked);
        let mut added = 0_u32;
        let mut fate = |page: Labels| {
            let Some(labels) = labelling.apply(&page) else {
                return Fate::Dropped;
            };
            added = added.saturating_add(1);
            match interest.span(&labels) {
                Some(_) => Fate::Wanted(labels),
                None => Fate::Unwanted,
            }
        };
        let (mut columns, stats) = self
            .reader
            .read(body, format, at, self.honor_timestamps, &mut fate)
            .map_err(|error| of_page(&error, body))?;
        // Asking again because the rules changed adds nothing to the page.
        columns.series_added = if afresh { 0 } else { added };
        counter!(names::DUPLICATES).increment(u64::from(stats.duplicates));
        counter!(names::OUT_OF_BOUNDS).increment(u64::from(stats.out_of_bounds));
        counter!(names::SAMPLES).increment(u64::from(columns.samples_scraped));
        Ok(columns)
    }
}
