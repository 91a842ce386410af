//! When to try again. Retries and their jitter are a function of the delivery's key and attempt, so a replay shows them too.

use std::time::Duration;

use crate::model::DeliveryKey;
use crate::model::Timestamp;

/// What came of one attempt.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
    Nothing,
    /// A command failed.
    Failed,
}

/// What follows from it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Next {
    Delivered,
    /// The receiver is gone for good (410).
    Gone,
    /// Try again. `attention`: the receiver refuses it as it is, a person should look.
    Retry {
        at: Timestamp,
        attention: bool,
    },
}

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// Refused as it is (400, 401, 404, a redirect): somebody may mend the configuration meanwhile.
const REFUSED: Duration = Duration::from_secs(60);

/// What follows from the answer to attempt number `attempt` (from 1) at `at`.
#[must_use]
pub fn after(key: &DeliveryKey, attempt: u32, answer: Answer, at: Timestamp) -> Next {
    let (wait, attention) = match answer {
        Answer::Status {
            status: 200..=299, ..
        } => return Next::Delivered,
        Answer::Status { status: 410, .. } => return Next::Gone,
        Answer::Status {
            status: 408 | 425 | 429 | 500..=599,
            retry_after,
        } => (
            retry_after.map_or_else(|| backoff(FIRST, key, attempt), |told| told.min(LONGEST)),
            false,
        ),
        Answer::Status { .. } | Answer::Failed => (backoff(REFUSED, key, attempt), true),
        Answer::Nothing => (backoff(FIRST, key, attempt), false),
    };
    Next::Retry {
        at: at + wait,
        attention,
    }
}

/// When to try again after attempt number `attempt`, begun at `since`, of which nothing was heard.
#[must_use]
pub fn again(key: &DeliveryKey, attempt: u32, since: Timestamp) -> Timestamp {
    since + backoff(FIRST, key, attempt)
}

/// Doubles from `first` to five minutes, less up to a quarter by the key's hash, so that receivers are not met in step.
fn backoff(first: Duration, key: &DeliveryKey, attempt: u32) -> Duration {
    let doubled = first
        .saturating_mul(1 << attempt.saturating_sub(1).min(16))
        .min(LONGEST);
    let seed = key.as_str().bytes().chain(attempt.to_be_bytes());
    // FNV-1a: spread, not secrecy.
    let hash = seed.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    });
    let percent = u32::try_from(hash >> 32).expect("the upper half of 64 bits") % 26;
    doubled * (100 - percent) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(attempt: u32, answer: Answer) -> Next {
        after(
            &DeliveryKey("msg_1".into()),
            attempt,
            answer,
            Timestamp::EPOCH,
        )
    }

    fn status(status: u16) -> Answer {
        Answer::Status {
            status,
            retry_after: None,
        }
    }

    #[test]
    fn what_each_answer_means() {
        assert_eq!(
            (next(1, status(204)), next(1, status(410))),
            (Next::Delivered, Next::Gone)
        );
        for retried in [408, 425, 429, 500, 502, 503, 504] {
            assert!(
                matches!(
                    next(1, status(retried)),
                    Next::Retry {
                        attention: false,
                        ..
                    }
                ),
                "{retried}"
            );
        }
        for refused in [302, 400, 401, 404, 422] {
            let Next::Retry {
                at,
                attention: true,
            } = next(1, status(refused))
            else {
                panic!("{refused}")
            };
            assert!(at.millis() >= 45_000, "retried slowly: {at}");
        }
        // Honoured, but a rollback does not wait for days.
        for (told, waits) in [(7, 7), (999_999, 300)] {
            let answer = Answer::Status {
                status: 503,
                retry_after: Some(Duration::from_secs(told)),
            };
            let expected = Next::Retry {
                at: Timestamp::from_millis(waits * 1000),
                attention: false,
            };
            assert_eq!(next(3, answer), expected, "{told}");
        }
    }

    #[test]
    fn waits_double_up_to_five_minutes_and_repeat_themselves() {
        let wait = |attempt| match next(attempt, Answer::Nothing) {
            Next::Retry { at, .. } => at.millis(),
            other => panic!("{other:?}"),
        };
        for attempt in 1..40 {
            let full = 1000 * (1_i64 << (attempt - 1).min(16)).min(300);
            assert!(
                (full * 3 / 4..=full).contains(&wait(attempt)),
                "{attempt}: {}",
                wait(attempt)
            );
            assert_eq!(wait(attempt), wait(attempt));
        }
    }
}
