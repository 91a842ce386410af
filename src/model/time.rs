//! Moments as values. Nothing here reads a clock: `run/clock.rs` alone does.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

/// A moment: milliseconds since the Unix epoch, UTC. The unit of Prometheus' samples.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const EPOCH: Self = Self(0);
    /// After everything.
    pub const MAX: Self = Self(i64::MAX);

    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Seconds since the Unix epoch, as PromQL's `time()` gives them.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        reason = "milliseconds stay below 2^53 for 285 000 years"
    )]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Time passed since `earlier`; zero when `earlier` lies later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// What others' clocks show at a stamp: the same, unless somebody has set this machine's clock while gated ran.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct WallClock {
    ahead: i64,
}

impl WallClock {
    /// Ahead of the stamps by so many milliseconds; behind them where negative.
    #[must_use]
    pub const fn ahead_by(millis: i64) -> Self {
        Self { ahead: millis }
    }

    #[must_use]
    pub const fn ahead_millis(self) -> i64 {
        self.ahead
    }

    #[must_use]
    pub const fn shows(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.saturating_add(self.ahead))
    }

    /// The stamp at which it shows `wall`.
    #[must_use]
    pub const fn when_it_shows(self, wall: Timestamp) -> Timestamp {
        Timestamp(wall.0.saturating_sub(self.ahead))
    }
}

/// Whole milliseconds of a duration, saturating.
#[must_use]
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(millis(rhs)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(millis(rhs)))
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-12-01T00:00:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// Reads RFC 3339 with any offset, or Unix seconds (`1785542400`, `1785542400.5`).
impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(at.as_millisecond()));
        }
        let seconds: f64 = text.parse().map_err(|_| NotATime(text.to_owned()))?;
        if !seconds.is_finite() || seconds.abs() > 1e12 {
            return Err(NotATime(text.to_owned()));
        }
        #[allow(
            clippy::cast_possible_truncation,
            reason = "bounded by 1e15 just above"
        )]
        Ok(Self((seconds * 1000.0).round() as i64))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a time; write RFC 3339 (2026-12-01T00:00:00Z) or Unix seconds")]
pub struct NotATime(String);

/// A duration as Prometheus writes it: `1h30m`, `5m`, `1d`, `250ms`, `0`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut millis, mut rest, mut next) = (0u64, text, 0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit());
        let (unit, tail) = tail.split_at(end.unwrap_or(tail.len()));
        let place = UNITS.iter().position(|(name, _)| *name == unit)?;
        // Each unit at most once, the largest first.
        if place < next {
            return None;
        }
        next = place + 1;
        let each = number.parse::<u64>().ok()?.checked_mul(UNITS[place].1)?;
        millis = millis.checked_add(each)?;
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        let at: Timestamp = "2026-12-01T01:00:00+01:00".parse().unwrap();
        assert_eq!(at.to_string(), "2026-12-01T00:00:00.000Z");
        assert_eq!(
            "1785542400.5".parse::<Timestamp>().unwrap().millis(),
            1_785_542_400_500
        );
        assert!("nan".parse::<Timestamp>().is_err() && "soon".parse::<Timestamp>().is_err());
    }

    #[test]
    fn since_never_goes_below_zero() {
        let (a, b) = (Timestamp::from_millis(5), Timestamp::from_millis(9));
        assert_eq!(
            (b.since(a), a.since(b)),
            (Duration::from_millis(4), Duration::ZERO)
        );
    }

    /// T1, T2: an hour back, or six ahead.
    #[test]
    fn t1_t2_a_clock_that_was_set_shows_another_time() {
        let at = Timestamp::from_millis(10_000_000);
        assert_eq!(WallClock::default().shows(at), at);
        for (ahead, shown) in [(-3_600_000, 6_400_000), (21_600_000, 31_600_000)] {
            let wall = WallClock::ahead_by(ahead);
            assert_eq!(wall.shows(at).millis(), shown);
            assert_eq!(wall.when_it_shows(wall.shows(at)), at);
        }
    }

    #[test]
    fn durations_are_prometheus_own() {
        for (text, millis) in [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("1h30m", Some(5_400_000)),
            ("1d", Some(86_400_000)),
            ("1w2d3ms", Some(777_600_003)),
            ("250ms", Some(250)),
            ("", None),
            ("5", None),
            ("1m1h", None),
            ("1m1m", None),
            ("-5m", None),
            ("5 m", None),
        ] {
            let expected = millis.map(Duration::from_millis);
            assert_eq!(duration(text), expected, "{text}");
        }
    }
}
