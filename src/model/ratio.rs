//! Shares: `"0.5%"` and `0.005` are the same value.

use std::fmt;
use std::str::FromStr;

/// A share; 1.0 is the whole. Finite, never NaN.
#[derive(Copy, Clone, Debug, PartialEq, PartialOrd)]
pub struct Ratio(f64);

impl Ratio {
    /// `None` for NaN and infinities.
    #[must_use]
    pub fn new(share: f64) -> Option<Self> {
        share.is_finite().then_some(Self(share))
    }

    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for Ratio {
    type Err = NotARatio;

    fn from_str(text: &str) -> Result<Self, NotARatio> {
        let trimmed = text.trim();
        let (number, scale) = match trimmed.strip_suffix('%') {
            Some(percent) => (percent.trim_end(), 100.0),
            None => (trimmed, 1.0),
        };
        number
            .parse::<f64>()
            .ok()
            .and_then(|n| Self::new(n / scale))
            .ok_or_else(|| NotARatio(text.to_owned()))
    }
}

/// As percent: `0.5%`.
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Shares are written with few digits; rounding at the twelfth hides 0.005 * 100 = 0.5000000000000001.
        write!(f, "{}%", (self.0 * 1e14).round() / 1e12)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a share; write \"0.5%\" or 0.005")]
pub struct NotARatio(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_and_share_are_one_value() {
        for (text, share) in [
            ("0.5%", 0.005),
            ("0.005", 0.005),
            ("100 %", 1.0),
            ("-3%", -0.03),
        ] {
            assert!(
                (text.parse::<Ratio>().unwrap().get() - share).abs() < 1e-15,
                "{text}"
            );
        }
        for bad in ["", "%", "nan", "inf%", "5 percent"] {
            assert!(bad.parse::<Ratio>().is_err(), "{bad}");
        }
        assert_eq!("0.5%".parse::<Ratio>().unwrap().to_string(), "0.5%");
    }
}
