//! What was expected beside what came, so that a person sees the difference.

use std::fmt::Write as _;

/// Nothing where both lists hold the same, each as often; else the lines of both: with `-` those that are only expected,
/// with `+` those that only came.
pub(super) fn differing<T>(
    head: &str,
    wanted: &[T],
    got: &[T],
    same: impl Fn(&T, &T) -> bool,
    line: impl Fn(&T) -> String,
) -> Option<String> {
    // One that is expected accounts for one that came, not for all of its like.
    let mut missing: Vec<&T> = wanted.iter().collect();
    let mut known = Vec::new();
    for it in got {
        let place = missing.iter().position(|wanted| same(wanted, it));
        known.push(place.map(|place| missing.remove(place)).is_some());
    }
    if missing.is_empty() && known.iter().all(|known| *known) {
        return None;
    }
    let mut text = head.to_owned();
    for it in missing {
        let _ = write!(text, "\n  - {}", line(it));
    }
    for (it, known) in got.iter().zip(known) {
        let sign = if known { ' ' } else { '+' };
        let _ = write!(text, "\n  {sign} {}", line(it));
    }
    if wanted.is_empty() {
        text += "\n  (nothing was expected)";
    }
    if got.is_empty() {
        text += "\n  (nothing came)";
    }
    Some(text)
}

/// Exactly, or but for the last digit of a float. NaN equals NaN, other than in promtool.
#[allow(clippy::float_cmp, reason = "that is what exactly means")]
pub(super) fn alike(a: f64, b: f64, fuzzy: bool) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    fuzzy && (a.next_up() == b || a.next_down() == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_counts_as_often_as_it_stands_there() {
        let shown = |wanted: &[&str], got: &[&str]| {
            let told = differing("", wanted, got, |a, b| a == b, |it: &&str| (*it).to_owned());
            told.unwrap_or_else(|| "same".to_owned())
        };
        for (wanted, got, expected) in [
            (&["a"][..], &["a"][..], "same"),
            (&[], &[], "same"),
            (&["b", "a"], &["a", "b"], "same"),
            (&["a"], &["a", "a"], "\n    a\n  + a"),
            (&["a", "a"], &["a"], "\n  - a\n    a"),
            (&["a"], &["b"], "\n  - a\n  + b"),
            (&[], &["b"], "\n  + b\n  (nothing was expected)"),
            (&["a"], &[], "\n  - a\n  (nothing came)"),
        ] {
            assert_eq!(shown(wanted, got), expected, "{wanted:?} {got:?}");
        }
    }
}
