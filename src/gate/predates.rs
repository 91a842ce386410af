//! Did the symptom predate the rollout? Judged for each comparison that is true, over what was read before it.

use std::time::Duration;

use crate::model::Timestamp;
use crate::model::Unit;

/// A symptom without a break over this long before the change was there before it.
const UNBROKEN: Duration = Duration::from_secs(60);
/// With less than this share of the window known, the past is unknown.
const KNOWN_SHARE_MIN: f64 = 0.25;

/// `[rollback] predates`, `predates_margin`, `predates_unknown`.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct PredatesPolicy {
    /// How far to look back; zero does not look.
    pub window: Duration,
    /// A symptom that is worse now by this factor counts as a new one.
    pub margin: f64,
    /// What an unknown past means. `None`: allow where somebody told of the rollout as it began, else refuse.
    pub unknown: Option<Unknown>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    Allow,
    Refuse,
}

impl Default for PredatesPolicy {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(600),
            margin: 2.0,
            unknown: None,
        }
    }
}

/// One true comparison: what it reads now, and what it read before.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// As people call it: `error_rate > 1%`.
    pub name: String,
    pub now: Option<f64>,
    pub worse: Worse,
    /// Oldest first. `None`: there was no value; else whether the comparison held, and the value.
    pub sights: Vec<(Timestamp, Option<(bool, f64)>)>,
    /// How far apart readings are.
    pub interval: Duration,
    pub unit: Unit,
}

/// Which way is worse.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Worse {
    Higher,
    Lower,
    /// Equality has no way.
    Neither,
}

/// Whether something was so before a rollout. Each says why, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    No(String),
    Yes(String),
    Unknown(String),
}

/// Whether all of `leaves` were so before `change`: one that is new is the rollout's doing.
#[must_use]
pub fn before(leaves: &[Leaf], change: Timestamp, policy: PredatesPolicy) -> Before {
    let mut unknown = None;
    let mut old = None;
    for leaf in leaves {
        match leaf_before(leaf, change, policy) {
            Before::No(why) => return Before::No(why),
            Before::Yes(why) => old = old.or(Some(why)),
            Before::Unknown(why) => unknown = unknown.or(Some(why)),
        }
    }
    match (unknown, old) {
        (Some(why), _) => Before::Unknown(why),
        (None, Some(why)) => Before::Yes(why),
        (None, None) => Before::Unknown("nothing says what was read before the rollout".to_owned()),
    }
}

fn leaf_before(leaf: &Leaf, change: Timestamp, policy: PredatesPolicy) -> Before {
    let from = change - policy.window;
    let within = leaf
        .sights
        .iter()
        .filter(|(at, _)| *at >= from && *at < change);
    let known: Vec<(Timestamp, bool, f64)> = within
        .filter_map(|(at, seen)| seen.map(|(held, value)| (*at, held, value)))
        .collect();
    let window = humantime::format_duration(policy.window);
    let mut held: Vec<f64> = known.iter().filter(|it| it.1).map(|it| it.2).collect();
    let unbroken = unbroken(&known, change, leaf.interval);
    #[allow(
        clippy::cast_precision_loss,
        reason = "counts of readings are far below 2^52"
    )]
    let share = known.len() as f64 * leaf.interval.as_secs_f64() / policy.window.as_secs_f64();
    if share < KNOWN_SHARE_MIN && !unbroken {
        return Before::Unknown(format!(
            "{}: too little is known of the {window} before the rollout",
            leaf.name
        ));
    }
    if held.len() * 2 < known.len() && !unbroken {
        return Before::No(format!(
            "{} held in {} of {} readings of the {window} before the rollout",
            leaf.name,
            held.len(),
            known.len()
        ));
    }
    held.sort_by(f64::total_cmp);
    let median = held[held.len() / 2];
    let said = leaf.now.map_or_else(
        || format!("it was {} before it", leaf.unit.show(median)),
        |now| {
            format!(
                "it was {} before it and is {} now",
                leaf.unit.show(median),
                leaf.unit.show(now)
            )
        },
    );
    if leaf
        .now
        .is_some_and(|now| is_worse(leaf.worse, median, now, policy.margin))
    {
        return Before::No(format!(
            "{} held before the rollout and is worse since: {said}",
            leaf.name
        ));
    }
    Before::Yes(format!("{} predates the rollout: {said}", leaf.name))
}

/// Whether it held in every reading of the last minute, from about its beginning on.
fn unbroken(known: &[(Timestamp, bool, f64)], change: Timestamp, interval: Duration) -> bool {
    let from = change - UNBROKEN;
    let last: Vec<_> = known.iter().filter(|it| it.0 >= from).collect();
    let reaches = |at: Timestamp| at.since(from) <= (interval * 2).max(Duration::from_secs(10));
    last.first().is_some_and(|first| reaches(first.0)) && last.iter().all(|it| it.1)
}

fn is_worse(worse: Worse, median: f64, now: f64, margin: f64) -> bool {
    match worse {
        Worse::Higher => median > 0.0 && now >= median * margin,
        Worse::Lower => median > 0.0 && now <= median / margin,
        Worse::Neither => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// A reading each 5 s of the ten minutes before the change at 600 s; `value` by its second.
    fn leaf(now: f64, value: impl Fn(i64) -> Option<f64>) -> Leaf {
        let sights = (0..120).map(|n| n * 5);
        Leaf {
            name: "error_rate > 1%".into(),
            now: Some(now),
            worse: Worse::Higher,
            sights: sights
                .map(|second| (at(second), value(second).map(|it| (it > 0.01, it))))
                .collect(),
            interval: Duration::from_secs(5),
            unit: Unit::Ratio,
        }
    }

    fn judged(leaf: Leaf) -> &'static str {
        match before(&[leaf], at(600), PredatesPolicy::default()) {
            Before::No(_) => "no",
            Before::Yes(_) => "yes",
            Before::Unknown(_) => "unknown",
        }
    }

    #[test]
    fn half_of_the_window_or_its_last_minute_makes_it_old() {
        let table: [(&str, Leaf); 11] = [
            ("no", leaf(0.05, |_| Some(0.0))),
            ("yes", leaf(0.05, |_| Some(0.05))),
            // Half of the readings, and one fewer.
            (
                "yes",
                leaf(0.05, |s| Some(if s < 300 { 0.05 } else { 0.0 })),
            ),
            ("no", leaf(0.05, |s| Some(if s < 295 { 0.05 } else { 0.0 }))),
            // Four minutes into an outage, and its last minute alone.
            (
                "yes",
                leaf(0.05, |s| Some(if s >= 360 { 0.05 } else { 0.0 })),
            ),
            (
                "yes",
                leaf(0.05, |s| Some(if s >= 540 { 0.05 } else { 0.0 })),
            ),
            (
                "no",
                leaf(0.05, |s| Some(if s >= 560 { 0.05 } else { 0.0 })),
            ),
            // Worse by the margin.
            ("no", leaf(0.1, |_| Some(0.05))),
            ("yes", leaf(0.099, |_| Some(0.05))),
            // A quarter of the window must be known.
            ("unknown", leaf(0.05, |s| (s < 145).then_some(0.0))),
            ("no", leaf(0.05, |s| (s < 150).then_some(0.0))),
        ];
        for (n, (expected, leaf)) in table.into_iter().enumerate() {
            assert_eq!(judged(leaf), expected, "{n}");
        }
    }

    #[test]
    fn one_new_comparison_is_enough() {
        let (new, old, blind) = (
            leaf(0.05, |_| Some(0.0)),
            leaf(0.05, |_| Some(0.05)),
            leaf(0.05, |_| None),
        );
        let all = |leaves: &[&Leaf]| {
            let leaves: Vec<Leaf> = leaves.iter().map(|it| (*it).clone()).collect();
            before(&leaves, at(600), PredatesPolicy::default())
        };
        assert!(matches!(all(&[&old, &new]), Before::No(_)));
        assert!(matches!(all(&[&old, &blind]), Before::Unknown(_)));
        assert!(matches!(all(&[&blind, &new]), Before::No(_)));
        assert!(matches!(all(&[]), Before::Unknown(_)));
        let Before::Yes(why) = all(&[&old]) else {
            panic!("it is old");
        };
        assert_eq!(
            why,
            "error_rate > 1% predates the rollout: it was 5% before it and is 5% now"
        );
    }
}
