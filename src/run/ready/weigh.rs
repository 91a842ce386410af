//! What was found of the ways out, put together: a pure function of the findings. Deliberately absent: finding anything.

use crate::model::{Status, Verdict};

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What `[rollback] hook` names.
    Rollback,
    /// A hook for people.
    People,
    /// One of the Alertmanagers.
    Alertmanager,
    /// The critical alerts that they list.
    Alerts,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Well,
    /// It works and will not for long.
    Soon,
    /// It does not work; of alerts: there are some.
    Broken,
    /// Of alerts: nobody said.
    Untold,
}

#[derive(Clone, Copy, Debug)]
pub struct Piece {
    pub part: Part,
    /// Whether somebody is called through it for a P1.
    pub called: bool,
    pub condition: Condition,
}

/// What one piece means for the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    Nothing,
    Amber,
    Unknown,
    NoGo,
}

/// What each piece means, in their order. No rollback without its hook; no go where a P1 would call nobody. Alerts are
/// posted to every Alertmanager, and one is enough to read them.
pub fn weigh(pieces: &[Piece]) -> Vec<Weight> {
    let broken = |it: &Piece| it.condition == Condition::Broken;
    let mut called = pieces.iter().filter(|it| it.called).peekable();
    let nobody_is_called = called.peek().is_some() && called.all(broken);
    let answers = pieces
        .iter()
        .any(|it| it.part == Part::Alertmanager && !broken(it));
    let one = |it: &Piece| match (it.condition, it.part) {
        (Condition::Well, _) => Weight::Nothing,
        (Condition::Broken, Part::People) if it.called && nobody_is_called => Weight::NoGo,
        (Condition::Broken, Part::Alertmanager) if !answers => Weight::Unknown,
        (Condition::Soon, _) | (Condition::Broken, Part::People | Part::Alertmanager) => {
            Weight::Amber
        }
        (Condition::Untold, _) => Weight::Unknown,
        (Condition::Broken, Part::Rollback | Part::Alerts) => Weight::NoGo,
    };
    pieces.iter().map(one).collect()
}

/// The verdict with that added to it; `gate` is the worst status of the phase that still lets it say go.
pub fn conclude(
    (verdict, status): (Verdict, Status),
    weights: &[Weight],
    gate: Status,
) -> (Verdict, Status) {
    let worst = weights.iter().max().copied().unwrap_or(Weight::Nothing);
    match (worst, verdict) {
        (Weight::NoGo, _) => (Verdict::NoGo, Status::Red),
        (Weight::Unknown, Verdict::Go | Verdict::Unknown) => (Verdict::Unknown, Status::Unknown),
        (Weight::Nothing, _)
        | (Weight::Unknown, Verdict::NoGo)
        | (Weight::Amber, Verdict::NoGo | Verdict::Unknown) => (verdict, status),
        (Weight::Amber, Verdict::Go) => {
            let status = status.max(Status::Amber);
            let verdict = if status <= gate {
                Verdict::Go
            } else {
                Verdict::NoGo
            };
            (verdict, status)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Condition::{Broken, Soon, Untold, Well};
    use super::Part::{Alertmanager, Alerts, People, Rollback};
    use super::Weight::{Amber, NoGo, Nothing, Unknown};
    use super::*;

    #[test]
    fn what_each_finding_means() {
        // Part, whether a P1 calls through it, its condition, and what that means.
        type Row = (Part, bool, Condition, Weight);
        let table: &[&[Row]] = &[
            &[(Rollback, false, Well, Nothing)],
            &[(Rollback, false, Soon, Amber)],
            &[(Rollback, false, Broken, NoGo)],
            // Nobody would be told.
            &[(People, true, Broken, NoGo)],
            &[(People, true, Broken, NoGo), (People, true, Broken, NoGo)],
            // Somebody would.
            &[(People, true, Broken, Amber), (People, true, Well, Nothing)],
            &[(People, true, Broken, Amber), (People, true, Soon, Amber)],
            // Not called for a P1.
            &[(People, false, Broken, Amber)],
            &[
                (People, false, Broken, Amber),
                (People, true, Well, Nothing),
            ],
            &[(People, false, Well, Nothing), (People, true, Broken, NoGo)],
            // The rollback hook calls nobody.
            &[
                (Rollback, false, Well, Nothing),
                (People, true, Broken, NoGo),
            ],
            &[
                (Alertmanager, true, Well, Nothing),
                (Alerts, false, Well, Nothing),
            ],
            &[
                (Alertmanager, true, Well, Nothing),
                (Alerts, false, Broken, NoGo),
            ],
            &[
                (Alertmanager, true, Broken, Unknown),
                (Alerts, false, Untold, Unknown),
            ],
            &[
                (Alertmanager, true, Broken, Amber),
                (Alertmanager, true, Well, Nothing),
                (Alerts, false, Well, Nothing),
            ],
            // Whoever is called by a hook is not called by an Alertmanager.
            &[
                (People, true, Broken, NoGo),
                (Alertmanager, false, Well, Nothing),
            ],
            &[],
        ];
        for rows in table {
            let piece = |(part, called, condition, _): &Row| Piece {
                part: *part,
                called: *called,
                condition: *condition,
            };
            let pieces: Vec<Piece> = rows.iter().map(piece).collect();
            let expected: Vec<Weight> = rows.iter().map(|it| it.3).collect();
            assert_eq!(weigh(&pieces), expected, "{pieces:?}");
        }
    }

    #[test]
    fn the_worst_of_both_is_the_verdict() {
        let go = (Verdict::Go, Status::Green);
        let amber = (Verdict::Go, Status::Amber);
        let red = (Verdict::NoGo, Status::Red);
        let unknown = (Verdict::Unknown, Status::Unknown);
        for (before, weights, gate, after) in [
            (go, &[][..], Status::Green, go),
            (go, &[Nothing][..], Status::Green, go),
            (go, &[Nothing, Amber], Status::Amber, amber),
            (go, &[Amber], Status::Green, (Verdict::NoGo, Status::Amber)),
            (go, &[Unknown, Amber], Status::Red, unknown),
            (go, &[Unknown, NoGo, Amber], Status::Red, red),
            (amber, &[Amber], Status::Amber, amber),
            (red, &[Amber], Status::Amber, red),
            (red, &[Unknown], Status::Amber, red),
            (unknown, &[Amber], Status::Amber, unknown),
            (unknown, &[Unknown], Status::Amber, unknown),
            // What is known to be broken needs no more to be known.
            (unknown, &[NoGo], Status::Amber, red),
        ] {
            assert_eq!(
                conclude(before, weights, gate),
                after,
                "{before:?} {weights:?}"
            );
        }
    }
}
