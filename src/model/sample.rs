//! A sample is a float at a moment. One bit pattern of NaN means "stale: the series ended here", as in Prometheus.

/// Prometheus' staleness marker: a NaN that no arithmetic yields. Compare bits, not values: see [`is_stale`].
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Whether `value` is the staleness marker (an ordinary NaN is data).
#[must_use]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_marker_is_stale() {
        assert!(is_stale(STALE) && !is_stale(f64::NAN) && !is_stale(STALE + 1.0) && !is_stale(0.0));
    }
}
