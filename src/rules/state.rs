//! The life of a trigger: inactive → pending (`for`) → firing (`keep_firing_for`) → inactive, as Prometheus' alerting
//! rules have it, and with a third answer: without a value the state stays and the time does not count.

use std::collections::VecDeque;
use std::time::Duration;

use super::Truth;
use crate::model::Timestamp;
use crate::runbook::Hold;

/// How long things must hold.
#[derive(Copy, Clone, Debug)]
pub struct Timing {
    pub hold: Hold,
    pub keep_firing_for: Duration,
    /// A pending state without values falls back after this long.
    pub hold_for: Duration,
}

/// State carries its own facts.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum State {
    #[default]
    Inactive,
    Pending {
        active_at: Timestamp,
        /// Time seen true; gaps without a value are left out.
        counted: Duration,
        /// The last observation, when it was true.
        last_true: Option<Timestamp>,
        /// Since when there has been no value.
        blind_since: Option<Timestamp>,
    },
    Firing {
        active_at: Timestamp,
        fired_at: Timestamp,
        /// Since when the condition has been false while `keep_firing_for` keeps it.
        kept_since: Option<Timestamp>,
    },
}

/// One judgement of a condition.
#[derive(Copy, Clone, Debug)]
pub struct Observation {
    pub at: Timestamp,
    pub truth: Truth,
    /// The first judgement of its interval: what `after` counts.
    pub counts: bool,
}

/// The state after `seen`. `recent` holds the last counted readings of an `after` trigger and is kept by the caller.
pub fn observe(
    state: &State,
    recent: &mut VecDeque<bool>,
    timing: Timing,
    seen: Observation,
) -> State {
    match timing.hold {
        Hold::For(hold) => step(state, hold, timing, seen),
        Hold::After { need, of } => {
            if seen.counts && seen.truth != Truth::Unknown {
                recent.push_back(seen.truth == Truth::True);
                while recent.len() > of as usize {
                    recent.pop_front();
                }
            }
            let hits = recent.iter().filter(|hit| **hit).count();
            if hits >= need as usize {
                step(
                    state,
                    Duration::ZERO,
                    timing,
                    Observation {
                        truth: Truth::True,
                        ..seen
                    },
                )
            } else if hits > 0
                && (seen.truth == Truth::True || matches!(state, State::Pending { .. }))
                && !matches!(state, State::Firing { .. })
            {
                // Shown as pending; only the count makes it fire.
                step(
                    state,
                    Duration::MAX,
                    timing,
                    Observation {
                        truth: Truth::True,
                        ..seen
                    },
                )
            } else {
                step(
                    state,
                    Duration::MAX,
                    timing,
                    Observation {
                        truth: Truth::False,
                        ..seen
                    },
                )
            }
        }
    }
}

fn step(state: &State, hold: Duration, timing: Timing, seen: Observation) -> State {
    let at = seen.at;
    match (state, seen.truth) {
        (State::Inactive, Truth::False | Truth::Unknown)
        | (State::Pending { .. }, Truth::False) => State::Inactive,
        (State::Inactive, Truth::True) => ripen(at, Duration::ZERO, hold, at),
        (
            State::Pending {
                active_at,
                counted,
                last_true,
                ..
            },
            Truth::True,
        ) => {
            let counted = *counted + last_true.map_or(Duration::ZERO, |last| at.since(last));
            ripen(*active_at, counted, hold, at)
        }
        (
            State::Pending {
                active_at,
                counted,
                blind_since,
                ..
            },
            Truth::Unknown,
        ) => {
            let since = blind_since.unwrap_or(at);
            if at.since(since) >= timing.hold_for {
                return State::Inactive;
            }
            let (active_at, counted) = (*active_at, *counted);
            State::Pending {
                active_at,
                counted,
                last_true: None,
                blind_since: Some(since),
            }
        }
        (
            State::Firing {
                active_at,
                fired_at,
                ..
            },
            Truth::True,
        ) => State::Firing {
            active_at: *active_at,
            fired_at: *fired_at,
            kept_since: None,
        },
        (State::Firing { .. }, Truth::Unknown) => state.clone(),
        (
            State::Firing {
                active_at,
                fired_at,
                kept_since,
            },
            Truth::False,
        ) => {
            let since = kept_since.unwrap_or(at);
            if at.since(since) < timing.keep_firing_for {
                let (active_at, fired_at) = (*active_at, *fired_at);
                State::Firing {
                    active_at,
                    fired_at,
                    kept_since: Some(since),
                }
            } else {
                State::Inactive
            }
        }
    }
}

fn ripen(active_at: Timestamp, counted: Duration, hold: Duration, at: Timestamp) -> State {
    if counted >= hold {
        State::Firing {
            active_at,
            fired_at: at,
            kept_since: None,
        }
    } else {
        State::Pending {
            active_at,
            counted,
            last_true: Some(at),
            blind_since: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn timing(hold: Duration, keep: Duration) -> Timing {
        Timing {
            hold: Hold::For(hold),
            keep_firing_for: keep,
            hold_for: 60 * S,
        }
    }

    /// One letter an observation, five seconds apart: t, f, u; the state after each as one letter: i, p, F.
    fn run(timing: Timing, truths: &str) -> String {
        let (mut state, mut recent) = (State::Inactive, VecDeque::new());
        truths
            .chars()
            .enumerate()
            .map(|(i, letter)| {
                let truth = match letter {
                    't' => Truth::True,
                    'f' => Truth::False,
                    _ => Truth::Unknown,
                };
                let at = Timestamp::from_millis(i64::try_from(i).unwrap() * 5000);
                state = observe(
                    &state,
                    &mut recent,
                    timing,
                    Observation {
                        at,
                        truth,
                        counts: true,
                    },
                );
                match state {
                    State::Inactive => 'i',
                    State::Pending { .. } => 'p',
                    State::Firing { .. } => 'F',
                }
            })
            .collect()
    }

    #[test]
    fn for_and_keep_firing_for() {
        let table = [
            (timing(Duration::ZERO, Duration::ZERO), "ftf", "iFi"),
            (timing(10 * S, Duration::ZERO), "tttf", "ppFi"),
            (timing(10 * S, Duration::ZERO), "ttftt", "ppipp"),
            // A `for` shorter than the interval fires at the second evaluation.
            (timing(S, Duration::ZERO), "tt", "pF"),
            // Kept while `at - since < keep`, strictly, and again from its own start after a true in between.
            (timing(Duration::ZERO, 10 * S), "tfff", "FFFi"),
            (timing(Duration::ZERO, 10 * S), "tfftfff", "FFFFFFi"),
        ];
        for (timing, truths, states) in table {
            assert_eq!(run(timing, truths), states, "{truths} {timing:?}");
        }
    }

    #[test]
    fn time_without_a_value_does_not_count_and_changes_nothing() {
        // Five seconds counted, a gap, five more: fires with the tenth counted second, not with the wall clock's.
        assert_eq!(
            run(timing(10 * S, Duration::ZERO), "ttuuutt"),
            "pppppp".to_owned() + "F"
        );
        assert_eq!(
            run(timing(Duration::ZERO, Duration::ZERO), "tuuuuf"),
            "FFFFFi"
        );
        assert_eq!(run(timing(Duration::ZERO, Duration::ZERO), "uuuu"), "iiii");
        // After hold_for (60 s = 12 steps) without a value pending falls back.
        assert_eq!(
            run(timing(99 * S, Duration::ZERO), "tuuuuuuuuuuuuu"),
            "pppppppppppppi"
        );
    }

    #[test]
    fn three_of_five_readings() {
        let hold = Hold::After { need: 3, of: 5 };
        let timing = Timing {
            hold,
            keep_firing_for: Duration::ZERO,
            hold_for: 60 * S,
        };
        assert_eq!(run(timing, "tfttffff"), "pppFFiii");
        // Two of three known hits are not three; readings without a value are no readings.
        assert_eq!(run(timing, "tutufuffff"), "pppppppppi");
    }
}
