//! A page of exposition text that somebody posts as observations.

use crate::engine::Observed;
use crate::model::Timestamp;
use crate::source::exposition::Fate;
use crate::source::exposition::Format;
use crate::source::exposition::Limits;
use crate::source::exposition::Reader;

const LIMITS: Limits = Limits {
    samples: 1000,
    labels: 64,
    label_name_bytes: 256,
    label_value_bytes: 1024,
};

/// The samples of a page that somebody posts. One is observed when it is posted: none has a time of its own.
pub(super) fn observed(page: &[u8], openmetrics: bool) -> Result<Vec<Observed>, String> {
    let format = if openmetrics {
        Format::OpenMetrics
    } else {
        Format::Text
    };
    let mut all = Vec::new();
    let mut reader = Reader::new(LIMITS);
    let read = reader.read(page, format, Timestamp::EPOCH, true, &mut |labels| {
        all.push(labels.clone());
        Fate::Wanted(labels)
    });
    let (columns, stats) = read.map_err(|error| error.to_string())?;
    if stats.out_of_bounds > 0 || !columns.stamped.is_empty() {
        return Err("a sample on the page has a time of its own: leave the times out, since a value is observed when it \
                    is posted"
            .to_owned());
    }
    if stats.duplicates > 0 {
        return Err("a series stands on the page twice: give it once".to_owned());
    }
    let values = all.into_iter().zip(columns.values);
    let observed = values.map(|(labels, value)| Observed { labels, value });
    Ok(observed.collect())
}
