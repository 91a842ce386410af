//! Chance from a seed: even, normal, Poisson and binomial. The same seed gives the same recording on every machine that
//! computes with IEEE doubles.

use std::f64::consts::{SQRT_2, TAU};

/// `SplitMix64` (Steele, Lea and Flood 2014).
pub struct Luck(u64);

impl Luck {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A seed for something named.
    pub fn of(name: &str, number: usize) -> Self {
        let fold = |seed: u64, byte: u8| (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let mut luck = Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, fold) ^ number as u64);
        luck.next();
        luck
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly in `(0, 1]`.
    pub fn share(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.share()
    }

    /// Evenly by magnitude.
    pub fn by_size(&mut self, from: f64, to: f64) -> f64 {
        self.between(from.ln(), to.ln()).exp()
    }

    pub fn whole(&mut self, from: usize, to: usize) -> usize {
        from + (self.next() % (to - from + 1) as u64) as usize
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.whole(0, of.len() - 1)]
    }

    pub fn happens(&mut self, share: f64) -> bool {
        self.share() <= share
    }

    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.share().ln()).sqrt();
        radius * (TAU * self.share()).cos()
    }

    /// How many arrive where so many are expected.
    pub fn poisson(&mut self, expected: f64) -> u64 {
        if expected > 40.0 {
            return (expected + expected.sqrt() * self.normal() + 0.5).max(0.0) as u64;
        }
        let (floor, mut product, mut count) = ((-expected).exp(), self.share(), 0);
        while product > floor {
            product *= self.share();
            count += 1;
        }
        count
    }

    /// How many of `of` are hit, each with this probability.
    pub fn binomial(&mut self, of: u64, share: f64) -> u64 {
        let (mean, spread) = (of as f64 * share, of as f64 * share * (1.0 - share));
        if share <= 0.0 || of == 0 {
            0
        } else if spread > 40.0 {
            let hit = (mean + spread.sqrt() * self.normal() + 0.5).max(0.0) as u64;
            hit.min(of)
        } else if share < 0.05 && of > 40 {
            self.poisson(mean).min(of)
        } else {
            (0..of).filter(|_| self.share() <= share).count() as u64
        }
    }
}

/// The share of a normal distribution below `z` (Abramowitz and Stegun 7.1.26, to 1.5e-7).
pub fn below(z: f64) -> f64 {
    let x = z.abs() / SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let poly = ((((1.061_405_429 * t - 1.453_152_027) * t + 1.421_413_741) * t - 0.284_496_736)
        * t
        + 0.254_829_592)
        * t;
    let erf = 1.0 - poly * (-x * x).exp();
    if z < 0.0 {
        (1.0 - erf) / 2.0
    } else {
        f64::midpoint(1.0, erf)
    }
}

/// The share of Poisson draws that are at least `count`.
pub fn poisson_at_least(count: u64, expected: f64) -> f64 {
    let mut term = (-expected).exp();
    let mut less = 0.0;
    for n in 0..count {
        less += term;
        term *= expected / (n + 1) as f64;
    }
    (1.0 - less).max(0.0)
}
