//! What the rules of the example scenarios can tell, reckoned from their text: how soon, and what chance alone would do.
//! A share within the noise of the threshold is left out of the variations: there nothing is right or wrong.

use std::time::Duration;

use gated::model::Timestamp;

use super::Right;
use super::fleet::{Story, stamp};
use super::luck::poisson_at_least;

/// `error_rate > 1%`, `error_rate_2m > 1%`.
pub const THRESHOLD: f64 = 0.01;
/// `[judging] settle`.
pub const SETTLE: f64 = 30.0;
/// The ranges behind the triggers, and their `for`.
pub const RANGE: f64 = 15.0;
pub const HOLD: f64 = 30.0;
pub const LONG_RANGE: f64 = 120.0;
pub const LONG_HOLD: f64 = 180.0;
/// `[judging] blind_after`.
pub const BLIND_AFTER: f64 = 180.0;
/// `enough`: requests a second.
pub const ENOUGH: f64 = 5.0;

/// So many deviations from the threshold a share is told from it in every one of the looks that a trigger takes.
const CLEAR: f64 = 4.5;
/// A look that is over the threshold by chance; two more must follow it before a trigger fires.
const CHANCE: f64 = 0.01;

impl Story {
    /// Requests whose outcome a range shows: that between its first and last samples.
    fn seen(&self, range: f64) -> f64 {
        self.rps * (range - self.interval)
    }

    fn clear(&self, share: f64, range: f64) -> bool {
        let deviation = (share * (1.0 - share) / self.seen(range)).sqrt();
        (share - THRESHOLD) / deviation >= CLEAR
    }

    /// Whether every 15 s show that a share is above the threshold.
    pub fn is_clear(&self, share: f64) -> bool {
        self.interval < RANGE && self.clear(share, RANGE)
    }

    /// Whether every two minutes do.
    pub fn is_clear_in_long(&self, share: f64) -> bool {
        self.clear(share, LONG_RANGE)
    }

    /// Whether a share of failures is below the threshold, chance included.
    pub fn is_calm(&self, share: f64, rps: f64) -> bool {
        [RANGE, LONG_RANGE].iter().all(|range| {
            let seen = rps * (range - self.interval).max(1.0);
            let over = (seen * THRESHOLD) as u64 + 1;
            poisson_at_least(over, seen * share) <= CHANCE
        })
    }

    /// A scrape until it is seen, and one until it has held long enough.
    fn scrapes(&self) -> f64 {
        2.0 * self.interval + self.jitter
    }

    /// A rollback by the triggers over 15 s, of the rollout at `rollout` for what is wrong from `fault` on: once `share` of
    /// the range lies behind the fault and the rollout has settled, `for` begins.
    pub fn soon(&self, rollout: f64, fault: f64, share: f64) -> Right {
        self.rolled_back((rollout, fault), RANGE * share, HOLD)
    }

    /// The same for so large a share of failures.
    pub fn soon_of(&self, rollout: f64, fault: f64, failing: f64) -> Right {
        self.soon(rollout, fault, (2.0 * THRESHOLD / failing).min(1.0))
    }

    /// The same by the trigger over two minutes.
    pub fn later(&self, rollout: f64, fault: f64, failing: f64) -> Right {
        let share = (2.0 * THRESHOLD / failing).min(1.0);
        self.rolled_back((rollout, fault), LONG_RANGE * share, LONG_HOLD)
    }

    fn rolled_back(&self, (rollout, fault): (f64, f64), shown: f64, hold: f64) -> Right {
        let fault = fault.max(rollout);
        let begins = (fault + shown).max(rollout + SETTLE);
        Right::Rollback {
            fault: moment(fault),
            within: Duration::from_secs_f64(begins - fault + hold + self.scrapes()),
        }
    }

    /// Somebody is called by a trigger over 15 s, or by that over two minutes.
    pub fn called(&self, rollout: f64, fault: f64, long: bool) -> Right {
        let (range, hold) = if long {
            (LONG_RANGE, LONG_HOLD)
        } else {
            (RANGE, HOLD)
        };
        let begins = (fault + range).max(rollout + SETTLE);
        let fault = fault.max(rollout);
        Right::Escalate {
            fault: moment(fault),
            within: Duration::from_secs_f64(begins - fault + hold + self.scrapes()),
        }
    }

    /// gated says that it has been blind since `from`.
    pub fn told_blind(&self, rollout: f64, from: f64) -> Right {
        let begins = from.max(rollout + SETTLE);
        Right::Escalate {
            fault: moment(from),
            within: Duration::from_secs_f64(begins - from + BLIND_AFTER + self.scrapes()),
        }
    }
}

pub fn moment(t: f64) -> Timestamp {
    Timestamp::from_millis(stamp(t))
}

/// Nothing to do, and nobody to call.
pub const QUIET: Right = Right::NoRollback { quiet: true };
/// Nothing to roll back; people may hear that gated is blind.
pub const BLIND: Right = Right::NoRollback { quiet: false };
