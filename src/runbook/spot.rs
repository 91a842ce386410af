//! Where a text that was read out of a file stands in it, byte by byte.

use std::ops::Range;

use super::fault::Place;

/// Bytes of a text → bytes of its file.
#[derive(Clone, Debug)]
pub struct Spot {
    pub source: usize,
    /// All of it, for what has no place of its own.
    pub whole: Range<usize>,
    pub map: Map,
}

#[derive(Clone, Debug)]
pub enum Map {
    /// Where the bytes went is not known.
    Lost,
    /// It stands there as it is, from this byte on.
    From(usize),
    /// Each byte for itself.
    Each(Vec<Range<usize>>),
}

impl Spot {
    /// Some bytes of the text; all of it where they cannot be told apart.
    pub fn at(&self, span: Range<usize>) -> Place {
        let found = match &self.map {
            Map::Lost => None,
            Map::From(start) => Some(start + span.start..start + span.end),
            Map::Each(places) => each(places, &span),
        };
        Place {
            source: self.source,
            span: found.unwrap_or_else(|| self.whole.clone()),
        }
    }

    pub fn place(&self) -> Place {
        Place {
            source: self.source,
            span: self.whole.clone(),
        }
    }
}

fn each(places: &[Range<usize>], span: &Range<usize>) -> Option<Range<usize>> {
    let last = places.last()?;
    let start = places.get(span.start).map_or(last.end, |it| it.start);
    let end = span.end.min(places.len()).checked_sub(1);
    let end = end.filter(|it| *it >= span.start);
    let end = end.and_then(|it| places.get(it)).map_or(start, |it| it.end);
    Some(start..end.max(start))
}
