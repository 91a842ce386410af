//! The one place that reads a clock: the wall clock at start plus `CLOCK_BOOTTIME` since.
//!
//! Stamps never go back and never jump, and they count the time that a machine slept. A wall clock that is set
//! later is seen as drift; who keeps the clock decides what to say about it.

use rustix::time::ClockId;
use rustix::time::clock_gettime;

use crate::model::Timestamp;

/// Cheap to copy; all copies tell the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Wall time at which `CLOCK_BOOTTIME` was zero, as of the start, in milliseconds.
    offset: i64,
}

/// A wall clock further off than this is worth a word, in milliseconds.
pub const DRIFT_MILLIS_MAX: i64 = 5_000;

impl Clock {
    #[must_use]
    pub fn start() -> Self {
        Self::starting_at(read(ClockId::Realtime), read(ClockId::Boottime))
    }

    const fn starting_at(wall: i64, boot: i64) -> Self {
        Self {
            offset: wall - boot,
        }
    }

    /// The moment. Of two calls the later never gives less.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.offset + read(ClockId::Boottime))
    }

    /// How far the wall clock has moved away from this one since the start, in milliseconds: positive when it is
    /// ahead; `None` within [`DRIFT_MILLIS_MAX`].
    #[must_use]
    pub fn drift_millis(&self) -> Option<i64> {
        self.drift(read(ClockId::Realtime), read(ClockId::Boottime))
    }

    /// What the wall clock shows at a moment of this clock: for those who compare it with theirs, a receiver that checks
    /// when something was signed, an Alertmanager that ends what is over.
    #[must_use]
    pub fn on_the_wall(&self, at: Timestamp) -> Timestamp {
        moved(at, self.drift_millis())
    }

    fn drift(self, wall: i64, boot: i64) -> Option<i64> {
        let drift = wall - boot - self.offset;
        (drift.abs() > DRIFT_MILLIS_MAX).then_some(drift)
    }
}

const fn moved(at: Timestamp, drift: Option<i64>) -> Timestamp {
    match drift {
        Some(drift) => Timestamp::from_millis(at.millis().saturating_add(drift)),
        None => at,
    }
}

fn read(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_goes_back_and_starts_at_the_wall() {
        let wall = read(ClockId::Realtime);
        let clock = Clock::start();
        let mut last = clock.now();
        assert!((last.millis() - wall).abs() < DRIFT_MILLIS_MAX);
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
        assert_eq!(clock.drift_millis(), None);
    }

    #[test]
    fn a_wall_clock_that_is_set_is_drift() {
        let clock = Clock::starting_at(1_000_000, 500);
        assert_eq!(clock.drift(1_060_000, 60_500), None);
        assert_eq!(clock.drift(1_065_000, 60_500), None);
        assert_eq!(clock.drift(1_065_001, 60_500), Some(5_001));
        assert_eq!(clock.drift(400_000, 60_500), Some(-660_000));
    }

    /// T1, T2: set an hour back or six ahead, what leaves carries the time that others see.
    #[test]
    fn t1_t2_what_leaves_has_the_walls_time() {
        let at = Timestamp::from_millis(10_000_000);
        assert_eq!(moved(at, None), at);
        assert_eq!(moved(at, Some(-3_600_000)).millis(), 6_400_000);
        assert_eq!(moved(at, Some(21_600_000)).millis(), 31_600_000);
        // Nobody has set it: both show the same.
        let clock = Clock::start();
        assert_eq!(clock.on_the_wall(at), at);
        // It was set an hour ahead since.
        let behind = Clock {
            offset: clock.offset - 3_600_000,
        };
        let shown = behind.on_the_wall(behind.now()).millis();
        assert!((shown - read(ClockId::Realtime)).abs() < DRIFT_MILLIS_MAX);
    }
}
