//! Chance for the demo's traffic, from a seed: the same seed gives the same service. Not for secrets, and never for
//! anything that is decided.

use std::f64::consts::TAU;

/// `SplitMix64` (Steele, Lea and Flood 2014): one 64-bit state, a Weyl sequence and a mixing function.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly in `(0, 1]`: never 0, so that its logarithm is finite.
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    pub fn share(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// One of `0..of`, which is small: the remainder's preference for low numbers is below 2^-60.
    #[allow(clippy::cast_possible_truncation, reason = "below `of`")]
    pub fn pick(&mut self, of: usize) -> usize {
        (self.next() % of as u64) as usize
    }

    /// Time to the next arrival of a Poisson process with `rate` arrivals a second.
    pub fn gap(&mut self, rate: f64) -> f64 {
        -self.share().ln() / rate
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.share().ln()).sqrt() * (TAU * self.share()).cos()
    }

    /// Log-normal with this median; `spread` is the deviation of the logarithm.
    pub fn log_normal(&mut self, median: f64, spread: f64) -> f64 {
        median * (spread * self.normal()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THROWS: u32 = 200_000;

    fn mean(throw: impl FnMut() -> f64) -> f64 {
        std::iter::repeat_with(throw)
            .take(THROWS as usize)
            .sum::<f64>()
            / f64::from(THROWS)
    }

    #[test]
    fn a_seed_gives_the_published_sequence() {
        let mut dice = Dice::new(1_234_567);
        let drawn: Vec<u64> = (0..5).map(|_| dice.next()).collect();
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn draws_have_the_shape_they_claim() {
        let mut dice = Dice::new(7);
        let near = |what: &str, got: f64, want: f64| {
            assert!(
                (got - want).abs() < 0.02 * want.max(1.0),
                "{what}: {got}, not {want}"
            );
        };
        near("even", mean(|| dice.share()), 0.5);
        near(
            "picked",
            mean(|| f64::from(u8::from(dice.pick(3) == 2))),
            1.0 / 3.0,
        );
        near("gap", mean(|| dice.gap(4.0)), 0.25);
        near("normal", mean(|| dice.normal()), 0.0);
        near("deviation", mean(|| dice.normal().powi(2)), 1.0);
        near(
            "median",
            mean(|| f64::from(u8::from(dice.log_normal(3.0, 0.5) < 3.0))),
            0.5,
        );
    }

    #[test]
    fn an_even_draw_is_never_zero() {
        let mut dice = Dice::new(0);
        assert!(
            (0..THROWS)
                .map(|_| dice.share())
                .all(|share| share > 0.0 && share <= 1.0)
        );
    }
}
