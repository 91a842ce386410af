//! A page of a target at hand, read so that rules can be checked against it.

use std::collections::BTreeSet;

use super::check::UNLIMITED;
use crate::model::Timestamp;
use crate::runbook::Page;
use crate::source::exposition::{Fate, Format, PageError, Reader};

/// # Errors
/// The page is faulty: `gated check metrics` says more.
pub fn read_page(page: &[u8], format: Format) -> Result<Page, PageError> {
    let mut series = BTreeSet::new();
    let mut fate = |labels| {
        series.insert(labels);
        Fate::Unwanted
    };
    let at = Timestamp::EPOCH;
    let (columns, _) = Reader::new(UNLIMITED).read(page, format, at, false, &mut fate)?;
    let metadata = columns.metadata.map_or_else(Vec::new, |it| it.to_vec());
    Ok(Page { series, metadata })
}
