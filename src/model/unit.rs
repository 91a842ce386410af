//! Values as people read them, by unit: `87ms`, `0.12%`, `1.2K/s`, `400MiB`. Three significant digits; never for
//! machines.

use super::Unit;

impl Unit {
    /// `value` in this unit, as people read it.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Seconds => seconds(value),
            Self::Ratio => format!("{}%", digits(value * 100.0)),
            Self::Bytes => bytes(value),
            Self::Count => short(value),
            Self::Score | Self::None => digits(value),
            Self::PerSecond => format!("{}/s", short(value)),
            Self::PerMinute => format!("{}/min", short(value)),
            Self::PerHour => format!("{}/h", short(value)),
        }
    }
}

fn seconds(value: f64) -> String {
    let size = value.abs();
    let (scale, unit) = match size {
        _ if size == 0.0 => (1.0, "s"),
        _ if size < 0.999_5e-6 => (1e9, "ns"),
        _ if size < 0.999_5e-3 => (1e6, "µs"),
        _ if size < 0.999_5 => (1e3, "ms"),
        _ if size < 120.0 => (1.0, "s"),
        _ if size < 7_200.0 => (1.0 / 60.0, "min"),
        _ if size < 172_800.0 => (1.0 / 3_600.0, "h"),
        _ => (1.0 / 86_400.0, "d"),
    };
    format!("{}{unit}", digits(value * scale))
}

fn bytes(value: f64) -> String {
    scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
}

fn short(value: f64) -> String {
    scaled(value, 1000.0, &["", "K", "M", "G", "T", "P"])
}

/// `value` divided by `step` until it has few digits before the point, with the name of that power.
fn scaled(value: f64, step: f64, names: &[&str]) -> String {
    let mut value = value;
    let mut names = names.iter();
    let mut name = names.next().copied().unwrap_or("");
    // What would round up to the next step is shown in that step: 999.6 is 1K, not 1000.
    while value.abs() >= step - 0.5 {
        let Some(next) = names.next() else { break };
        value /= step;
        name = next;
    }
    format!("{}{name}", digits(value))
}

/// Three significant digits where there is a fraction, whole digits kept, no trailing zeros.
fn digits(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let size = value.abs();
    if size >= 100.0 || size == 0.0 {
        return format!("{value:.0}").replace("-0", "0");
    }
    if size < 1e-4 {
        return format!("{value:.2e}");
    }
    let places = match size {
        _ if size >= 10.0 => 1,
        _ if size >= 1.0 => 2,
        _ if size >= 0.1 => 3,
        _ if size >= 0.01 => 4,
        _ if size >= 0.001 => 5,
        _ => 6,
    };
    let text = format!("{value:.places$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn by_unit() {
        for (value, unit, text) in [
            (0.087, Unit::Seconds, "87ms"),
            (0.000_123_4, Unit::Seconds, "123µs"),
            (3e-8, Unit::Seconds, "30ns"),
            (0.0, Unit::Seconds, "0s"),
            (-0.0, Unit::Seconds, "0s"),
            (0.999_9, Unit::Seconds, "1s"),
            (1.234_5, Unit::Seconds, "1.23s"),
            (90.0, Unit::Seconds, "90s"),
            (600.0, Unit::Seconds, "10min"),
            (86_400.0, Unit::Seconds, "24h"),
            (259_200.0, Unit::Seconds, "3d"),
            (-0.25, Unit::Seconds, "-250ms"),
            (0.001_2, Unit::Ratio, "0.12%"),
            (0.5, Unit::Ratio, "50%"),
            (1.0, Unit::Ratio, "100%"),
            (1e-9, Unit::Ratio, "1.00e-7%"),
            (1_234.0, Unit::PerSecond, "1.23K/s"),
            (0.5, Unit::PerMinute, "0.5/min"),
            (999.6, Unit::PerHour, "1K/h"),
            (419_430_400.0, Unit::Bytes, "400MiB"),
            (1_023.0, Unit::Bytes, "1023B"),
            (1_023.7, Unit::Bytes, "1KiB"),
            (0.0, Unit::Bytes, "0B"),
            (1.5e15, Unit::Count, "1.5P"),
            (1e20, Unit::Count, "100000P"),
            (12.0, Unit::Count, "12"),
            (4.25, Unit::Score, "4.25"),
            (1_500.0, Unit::None, "1500"),
            (f64::NAN, Unit::None, "NaN"),
        ] {
            assert_eq!(unit.show(value), text, "{value} {unit}");
        }
    }
}
