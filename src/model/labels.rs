//! A label set in one allocation, sorted by name, cheap to clone and to compare.

use std::fmt;
use std::sync::Arc;

/// Label names with values, sorted by name, each name once, no empty values; the metric's name is `__name__`.
///
/// One string holds everything: each name and value after its length in bytes, written as one `char`
/// (so that a set costs one allocation and about a byte per piece, without unsafe code).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

/// The label that holds the metric's name.
pub const NAME: &str = "__name__";

/// A series for each alert that another Alertmanager says fires, with the alert's labels.
pub const HEARD_ALERTS: &str = "alertmanager_alerts";
/// What every alerting rule writes beside its alerts: its state, and since when it is active.
pub const ALERT_SERIES: [&str; 2] = ["ALERTS", "ALERTS_FOR_STATE"];

/// What a scrape says of itself, in Prometheus' words: of the target, and not on its page.
pub const ABOUT_THE_SCRAPE: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

/// Whether gated makes series of this name itself: no page of a target has them, and nobody observes them.
#[must_use]
pub fn is_own(name: &str) -> bool {
    let begins = ["gated_", "probe_", "scrape_"];
    let named = ["up", HEARD_ALERTS].contains(&name) || ALERT_SERIES.contains(&name);
    named || begins.iter().any(|it| name.starts_with(it))
}

/// `char` has a gap between D800 and DFFF; lengths past it are shifted.
const GAP: u32 = 0xD800;
/// The longest piece a length `char` can announce, in bytes. Scrape limits keep labels far below.
pub const PIECE_BYTES_MAX: usize = 0x10_F7FF;

impl Labels {
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::from(""))
    }

    /// From pairs in any order. Empty values are dropped; of equal names the last pair counts.
    /// Pieces longer than [`PIECE_BYTES_MAX`] are cut at a character's border.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut pairs: Vec<(N, V)> = pairs.into_iter().collect();
        pairs.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
        let mut text = String::with_capacity(
            pairs
                .iter()
                .map(|(n, v)| n.as_ref().len() + v.as_ref().len() + 2)
                .sum(),
        );
        for (i, (name, value)) in pairs.iter().enumerate() {
            let repeated = pairs
                .get(i + 1)
                .is_some_and(|next| next.0.as_ref() == name.as_ref());
            if !repeated && !value.as_ref().is_empty() {
                push(&mut text, name.as_ref());
                push(&mut text, value.as_ref());
            }
        }
        Self(Arc::from(text))
    }

    /// From pairs in the order of their names, each name once; empty values are dropped.
    /// For pieces no longer than [`PIECE_BYTES_MAX`]; longer ones are cut as in [`Labels::new`].
    #[must_use]
    pub fn from_sorted<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)> + Clone) -> Self {
        debug_assert!(pairs.clone().is_sorted_by(|a, b| a.0 < b.0));
        let bytes = pairs.clone().map(|(n, v)| n.len() + v.len() + 2).sum();
        let mut text = String::with_capacity(bytes);
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            push(&mut text, name);
            push(&mut text, value);
        }
        Self(Arc::from(text))
    }

    /// Pairs in the order of their names.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(&self.0)
    }

    /// The value of `name`; `None` where the label is missing.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(n, v)| (n == name).then_some(v))
    }

    /// The metric's name; empty where there is none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.get(NAME).unwrap_or("")
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many labels, `__name__` included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The same set with `name` set to `value`; an empty value removes it.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        Self::new(self.iter().chain([(name, value)]))
    }

    /// The labels for which `keep` answers true.
    #[must_use]
    pub fn filter(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        Self::new(self.iter().filter(|(n, _)| keep(n)))
    }
}

fn push(text: &mut String, piece: &str) {
    let mut end = piece.len().min(PIECE_BYTES_MAX);
    while !piece.is_char_boundary(end) {
        end -= 1;
    }
    let bytes = u32::try_from(end).expect("bounded by PIECE_BYTES_MAX");
    let length = if bytes < GAP { bytes } else { bytes + 0x800 };
    text.push(char::from_u32(length).expect("below the gap or shifted past it"));
    text.push_str(&piece[..end]);
}

/// See [`Labels::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a>(&'a str);

impl<'a> Iter<'a> {
    fn piece(&mut self) -> Option<&'a str> {
        let mut chars = self.0.chars();
        let length = u32::from(chars.next()?);
        let bytes = if length < GAP { length } else { length - 0x800 };
        let (piece, rest) = chars.as_str().split_at(bytes as usize);
        self.0 = rest;
        Some(piece)
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.piece()?, self.piece()?))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// By pairs in turn, as Prometheus sorts label sets.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// As PromQL writes it: `up{job="api"}`; `{}` when empty. Quotes, backslashes and control characters are escaped.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        f.write_str(name)?;
        let mut rest = self.iter().filter(|(n, _)| *n != NAME).peekable();
        if rest.peek().is_none() && !name.is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        for (i, (name, value)) in rest.enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sorts_drops_empty_and_keeps_the_last() {
        let labels = Labels::new([
            ("job", "api"),
            ("a", ""),
            ("__name__", "up"),
            ("job", "web"),
        ]);
        assert_eq!(labels.to_string(), r#"up{job="web"}"#);
        assert_eq!(
            (labels.get("a"), labels.get("job"), labels.len()),
            (None, Some("web"), 2)
        );
        assert_eq!(labels.with("job", "").to_string(), "up");
        assert_eq!(Labels::empty().to_string(), "{}");
    }

    #[test]
    fn lengths_around_the_gap_of_char() {
        for bytes in [0xD7FF, 0xD800, 0xDFFF, 0xE000, 0x1_0000] {
            let value = "x".repeat(bytes);
            assert_eq!(
                Labels::new([("a", value.as_str()), ("b", "1")]).get("a"),
                Some(value.as_str())
            );
        }
    }

    proptest! {
        #[test]
        fn sorted_pairs_give_the_same(map in proptest::collection::btree_map(".{1,20}", ".{0,30}", 0..8)) {
            let pairs = map.iter().map(|(n, v)| (n.as_str(), v.as_str()));
            prop_assert_eq!(Labels::from_sorted(pairs), Labels::new(&map));
        }

        #[test]
        fn gives_back_what_it_took(map in proptest::collection::btree_map(".{1,20}", ".{1,300}", 0..8)) {
            let labels = Labels::new(&map);
            let back: Vec<_> = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(back, map.into_iter().collect::<Vec<_>>());
        }
    }
}
