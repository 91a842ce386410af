//! The one place that reads a clock: the wall clock at start plus `CLOCK_BOOTTIME` since.
//!
//! Stamps never go back and never jump, and they count the time that a machine slept. A wall clock that is set
//! later is seen as drift; who keeps the clock decides what to say about it.

use rustix::time::ClockId;
use rustix::time::clock_gettime;

use crate::model::Timestamp;
use crate::model::WallClock;

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

    /// The wall clock as it is now, for those who compare what they are told with theirs: a receiver that checks when
    /// something was signed, an Alertmanager that ends what is over. Within [`DRIFT_MILLIS_MAX`] it is this one.
    #[must_use]
    pub fn wall(&self) -> WallClock {
        self.wall_at(read(ClockId::Realtime), read(ClockId::Boottime))
    }

    /// Whether the wall clock shows so much else than it did that those who go by it must be told.
    #[must_use]
    pub fn is_set(was: WallClock, is: WallClock) -> bool {
        let (was, is) = (was.ahead_millis(), is.ahead_millis());
        (is - was).abs() > DRIFT_MILLIS_MAX || (is == 0) != (was == 0)
    }

    fn wall_at(self, wall: i64, boot: i64) -> WallClock {
        let drift = wall - boot - self.offset;
        let drift = Some(drift).filter(|it| it.abs() > DRIFT_MILLIS_MAX);
        WallClock::ahead_by(drift.unwrap_or(0))
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
        assert_eq!(clock.wall(), WallClock::default());
    }

    #[test]
    fn a_wall_clock_that_is_set_is_drift() {
        let clock = Clock::starting_at(1_000_000, 500);
        let ahead = |wall, boot| clock.wall_at(wall, boot).ahead_millis();
        assert_eq!(ahead(1_060_000, 60_500), 0);
        assert_eq!(ahead(1_065_000, 60_500), 0);
        assert_eq!(ahead(1_065_001, 60_500), 5_001);
        assert_eq!(ahead(400_000, 60_500), -660_000);
    }

    /// T1, T2: what leaves carries the time that others see.
    #[test]
    fn t1_t2_what_leaves_has_the_walls_time() {
        let behind = Clock {
            offset: Clock::start().offset - 3_600_000,
        };
        let shown = behind.wall().shows(behind.now()).millis();
        assert!((shown - read(ClockId::Realtime)).abs() < DRIFT_MILLIS_MAX);
    }
}
