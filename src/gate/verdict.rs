//! From outcomes to one answer. Red is no go; unknown is never go.

use crate::model::Status;
use crate::model::Verdict;

/// The worst status that a phase's checks leave, and what the gate then says.
///
/// A firing trigger is red whatever else is missing; otherwise one unknown makes the whole unknown.
/// `gate` is the worst status that still lets the gate say go.
#[must_use]
pub fn conclude(firing: bool, unknown: bool, missed: bool, gate: Status) -> (Verdict, Status) {
    let status = if firing {
        Status::Red
    } else if unknown {
        Status::Unknown
    } else if missed {
        Status::Amber
    } else {
        Status::Green
    };
    let verdict = match status {
        Status::Unknown => Verdict::Unknown,
        Status::Green | Status::Amber | Status::Red if status <= gate => Verdict::Go,
        Status::Green | Status::Amber | Status::Red => Verdict::NoGo,
    };
    (verdict, status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_not_green() {
        let table = [
            (
                (false, false, false, Status::Green),
                (Verdict::Go, Status::Green),
            ),
            (
                (false, false, true, Status::Amber),
                (Verdict::Go, Status::Amber),
            ),
            (
                (false, false, true, Status::Green),
                (Verdict::NoGo, Status::Amber),
            ),
            (
                (false, true, true, Status::Amber),
                (Verdict::Unknown, Status::Unknown),
            ),
            (
                (false, true, false, Status::Red),
                (Verdict::Unknown, Status::Unknown),
            ),
            (
                (true, true, true, Status::Amber),
                (Verdict::NoGo, Status::Red),
            ),
        ];
        for ((firing, unknown, missed, gate), expected) in table {
            assert_eq!(conclude(firing, unknown, missed, gate), expected);
        }
    }
}
