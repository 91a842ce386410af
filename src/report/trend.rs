//! Whether a figure gets better: a stated test over equal parts of the period.
//!
//! Two questions, and both must be answered with yes before a report says anything but "Stable":
//!
//! - *Is there a trend at all?* Mann-Kendall's test (Mann 1945, Kendall 1975), two-sided, at a level of 5 %. Up to ten
//!   buckets without ties the distribution is counted out; otherwise it is the normal one, with the variance corrected
//!   for ties and for continuity.
//! - *Does it matter?* Theil-Sen's slope (the median of all pairs' slopes) over the whole period, against a smallest
//!   change that anybody would care about: 5 % of the median bucket, and never less than what the signal's row in
//!   [`super::SIGNALS`] says, so that 87.0 ms → 87.1 ms is stable.
//!
//! Fewer than five buckets cannot be significant at that level (four give p = 2/24), so they are "Unknown". The test
//! takes the buckets for independent: hours of one day follow the day's own course, and a report says which it took.

/// Below it, no trend can be told: the most ordered four values still come about by chance once in twelve.
pub const BUCKETS_MIN: usize = 5;
/// How likely a trend is found where there is none.
pub const LEVEL: f64 = 0.05;
/// The smallest change over the period that matters, as a share of the median bucket.
pub const CHANGE_SHARE_MIN: f64 = 0.05;
/// More buckets are not compared: pairs grow with the square. A report of 62 days has as many days.
const BUCKETS_MAX: usize = 128;
/// Up to here the distribution is counted out.
const EXACT_MAX: usize = 10;

/// Which way is good.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Better {
    Lower,
    Higher,
    /// More calls are neither: the trend is told as rising or falling.
    Neither,
}

/// What the test says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Direction {
    Improving,
    Stable,
    Degrading,
    /// Where neither way is better.
    Rising,
    Falling,
    /// Too few buckets have a value.
    Unknown,
}

impl Direction {
    /// The templates' own word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Improving => "Improving",
            Self::Stable => "Stable",
            Self::Degrading => "Degrading",
            Self::Rising => "Rising",
            Self::Falling => "Falling",
            Self::Unknown => "Unknown",
        }
    }
}

/// A trend with what it rests on.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Trend {
    pub direction: Direction,
    /// Buckets that had a value.
    pub buckets: usize,
    /// Theil-Sen's slope times the span of the buckets, in the signal's unit.
    pub change: f64,
    /// Two-sided, of Mann-Kendall's test.
    pub p: f64,
}

/// The trend of `values` at evenly spaced places, `None` where a bucket has no value. `matters` is the smallest
/// absolute change that counts.
#[must_use]
pub fn trend(values: &[Option<f64>], better: Better, matters: f64) -> Trend {
    let known: Vec<(f64, f64)> = (0_u32..)
        .zip(values.iter().take(BUCKETS_MAX))
        .filter_map(|(place, value)| {
            let value = value.filter(|it| it.is_finite())?;
            Some((f64::from(place), value))
        })
        .collect();
    let buckets = known.len();
    if buckets < BUCKETS_MIN {
        return Trend {
            direction: Direction::Unknown,
            buckets,
            change: 0.0,
            p: 1.0,
        };
    }
    let heights: Vec<f64> = known.iter().map(|(_, value)| *value).collect();
    let p = mann_kendall(&heights);
    let span = known[buckets - 1].0 - known[0].0;
    let change = theil_sen(&known) * span;
    let floor = matters.max(CHANGE_SHARE_MIN * median(heights).unwrap_or(0.0).abs());
    let direction = if p >= LEVEL || change == 0.0 || change.abs() < floor {
        Direction::Stable
    } else {
        match (better, change > 0.0) {
            (Better::Lower, false) | (Better::Higher, true) => Direction::Improving,
            (Better::Lower, true) | (Better::Higher, false) => Direction::Degrading,
            (Better::Neither, true) => Direction::Rising,
            (Better::Neither, false) => Direction::Falling,
        }
    };
    Trend {
        direction,
        buckets,
        change,
        p,
    }
}

/// The median; of an even number the mean of the middle two. `None` of nothing.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(values[middle - 1].midpoint(upper))
}

/// Median of the slopes of all pairs.
fn theil_sen(points: &[(f64, f64)]) -> f64 {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (i, (x, y)) in points.iter().enumerate() {
        for (later, height) in &points[i + 1..] {
            slopes.push((height - y) / (later - x));
        }
    }
    median(slopes).filter(|it| it.is_finite()).unwrap_or(0.0)
}

/// Two-sided p of Mann-Kendall's test; 1 where all values are the same.
fn mann_kendall(values: &[f64]) -> f64 {
    let mut s = 0_i32;
    let mut tied = false;
    for (i, early) in values.iter().enumerate() {
        for late in &values[i + 1..] {
            match late.partial_cmp(early) {
                Some(std::cmp::Ordering::Greater) => s += 1,
                Some(std::cmp::Ordering::Less) => s -= 1,
                Some(std::cmp::Ordering::Equal) | None => tied = true,
            }
        }
    }
    if values.len() <= EXACT_MAX && !tied {
        exact(values.len(), s)
    } else {
        normal(values, s)
    }
}

/// How many of all orders of `n` values are at least as far from no trend as `s`.
fn exact(n: usize, s: i32) -> f64 {
    // Orders by their inversions: adding the k-th value adds 0 to k - 1 of them.
    let mut counts = vec![1_u32];
    for k in 2..=n {
        let mut next = vec![0_u32; counts.len() + k - 1];
        for (inversions, count) in counts.iter().enumerate() {
            for more in 0..k {
                next[inversions + more] += count;
            }
        }
        counts = next;
    }
    let pairs = i32::try_from(n * (n - 1) / 2).unwrap_or(i32::MAX);
    let (mut all, mut far) = (0_u32, 0_u32);
    for (inversions, count) in (0_i32..).zip(&counts) {
        all += count;
        if (pairs - 2 * inversions).abs() >= s.abs() {
            far += count;
        }
    }
    f64::from(far) / f64::from(all)
}

fn normal(values: &[f64], s: i32) -> f64 {
    let spread = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(clippy::float_cmp, reason = "a tie is the same value")]
    let ties: f64 = sorted
        .chunk_by(|a, b| a == b)
        .map(|tied| spread(count(tied.len())))
        .sum();
    let variance = (spread(count(values.len())) - ties) / 18.0;
    if variance <= 0.0 || s == 0 {
        return 1.0;
    }
    let z = (f64::from(s.abs()) - 1.0) / variance.sqrt();
    complementary_error(z / std::f64::consts::SQRT_2)
}

/// `erfc` for `x >= 0`, to 1.2e-7: Abramowitz and Stegun's form as refined in Numerical Recipes.
fn complementary_error(x: f64) -> f64 {
    const TERMS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let t = 1.0 / (1.0 + 0.5 * x);
    let sum = TERMS.iter().rev().fold(0.0, |sum, term| sum * t + term);
    t * (sum - x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64], better: Better) -> Trend {
        let values: Vec<_> = values.iter().copied().map(Some).collect();
        trend(&values, better, 0.0)
    }

    /// Exact values by trying all orders; the others by `pymannkendall` 1.4 and `scipy.stats.theilslopes`.
    #[test]
    #[rustfmt::skip]
    fn the_reference_gives_the_same() {
        for (values, p, slope) in [
            (vec![1.0, 2.0, 3.0, 4.0, 5.0], 2.0 / 120.0, 1.0),
            (vec![1.0, 2.0, 3.0, 5.0, 4.0], 10.0 / 120.0, 1.0),
            (vec![5.0, 4.0, 3.0, 2.0, 1.0], 2.0 / 120.0, -1.0),
            (vec![3.0, 1.0, 4.0, 1.5, 5.0, 9.0, 2.0, 6.0], 0.178_869_047_6, 0.464_285_714_3),
            ((1_u32..=10).map(f64::from).collect(), 5.511_463_844_8e-7, 1.0),
            (vec![10.0, 12.0, 11.0, 14.0, 13.0, 15.0, 17.0, 16.0, 18.0, 20.0, 19.0, 21.0], 9.281_898e-5, 1.0),
            (vec![1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0], 0.008_187_776_8, 0.5),
            (vec![87.0, 92.0, 90.0, 95.0, 91.0, 99.0, 97.0, 104.0, 101.0, 108.0, 103.0, 110.0, 109.0, 115.0],
             5.097_264_8e-5, 2.0),
            (vec![0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0.1, 0.1], 1.0, 0.0),
        ] {
            let found = of(&values, Better::Neither);
            let span = f64::from(u32::try_from(values.len()).unwrap() - 1);
            assert!((found.p - p).abs() < 1e-6 * p.max(0.2), "{values:?}: p {}, not {p}", found.p);
            assert!((found.change - slope * span).abs() < 1e-8, "{values:?}: {}", found.change);
        }
    }

    #[test]
    fn which_way_is_good_is_the_signals_to_say() {
        let rising = [1.0, 2.0, 3.0, 4.0, 5.0];
        let falling = [5.0, 4.0, 3.0, 2.0, 1.0];
        for (values, better, word) in [
            (rising, Better::Higher, "Improving"),
            (rising, Better::Lower, "Degrading"),
            (rising, Better::Neither, "Rising"),
            (falling, Better::Higher, "Degrading"),
            (falling, Better::Lower, "Improving"),
            (falling, Better::Neither, "Falling"),
        ] {
            assert_eq!(of(&values, better).direction.word(), word);
        }
    }

    #[test]
    fn what_nobody_would_notice_is_stable() {
        // As ordered as can be, and a thousandth of the whole.
        let creeping = [87.0, 87.02, 87.04, 87.06, 87.08, 87.1];
        let found = of(&creeping, Better::Lower);
        assert!(found.p < LEVEL);
        assert_eq!(found.direction, Direction::Stable);
        // A share of next to nothing is next to nothing: the signal's own floor says what matters.
        let tiny = [1e-5, 2e-5, 3e-5, 4e-5, 5e-5].map(Some);
        assert_eq!(
            trend(&tiny, Better::Lower, 0.001).direction,
            Direction::Stable
        );
        assert_eq!(
            trend(&tiny, Better::Lower, 0.0).direction,
            Direction::Degrading
        );
        // Four fifths of the median, and by chance: once in twelve.
        let chance = of(&[1.0, 2.0, 3.0, 5.0, 4.0], Better::Lower);
        assert!(chance.p >= LEVEL && chance.change > 2.0);
        assert_eq!(chance.direction, Direction::Stable);
        let wild = [50.0, 180.0, 20.0, 160.0, 90.0, 70.0, 200.0, 30.0];
        assert_eq!(of(&wild, Better::Lower).direction, Direction::Stable);
    }

    #[test]
    fn too_little_is_unknown() {
        for values in [
            vec![],
            vec![Some(1.0); 4],
            vec![
                Some(1.0),
                None,
                Some(2.0),
                None,
                Some(3.0),
                Some(f64::NAN),
                Some(4.0),
            ],
        ] {
            assert_eq!(
                trend(&values, Better::Lower, 0.0).direction,
                Direction::Unknown
            );
        }
        // A gap leaves the others in their places.
        let gap = [Some(1.0), None, Some(3.0), Some(4.0), Some(5.0), Some(6.0)];
        let found = trend(&gap, Better::Higher, 0.0);
        assert_eq!((found.buckets, found.direction), (5, Direction::Improving));
        assert!((found.change - 5.0).abs() < 1e-9);
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
