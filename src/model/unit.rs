//! Values as people read them, by unit.

use super::Unit;

impl Unit {
    /// `0.087 s` as `87ms`, `0.0012` as `0.12%`, `1234/s` as `1.23K/s`: three significant digits.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Seconds => seconds(value),
            Self::Ratio => format!("{}%", digits(value * 100.0)),
            Self::Bytes => scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"]),
            Self::PerSecond => format!("{}/s", thousands(value)),
            Self::PerMinute => format!("{}/min", thousands(value)),
            Self::PerHour => format!("{}/h", thousands(value)),
            Self::Count => thousands(value),
            Self::Score | Self::None => digits(value),
        }
    }
}

fn seconds(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0s".into()
    } else if size < 1e-3 {
        format!("{}us", digits(value * 1e6))
    } else if size < 1.0 {
        format!("{}ms", digits(value * 1e3))
    } else {
        format!("{}s", digits(value))
    }
}

fn thousands(value: f64) -> String {
    scaled(value, 1000.0, &["", "K", "M", "G", "T"])
}

fn scaled(value: f64, base: f64, units: &[&str]) -> String {
    let (mut value, mut unit) = (value, 0);
    while value.abs() >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{}{}", digits(value), units[unit])
}

/// Three significant digits, more only for whole numbers; no trailing zeros.
fn digits(value: f64) -> String {
    let size = value.abs();
    let places = if size >= 100.0 || size == 0.0 {
        0
    } else if size >= 10.0 {
        1
    } else if size >= 1.0 {
        2
    } else {
        // 0.00123 keeps three digits after its zeros; below 1e-9 nobody reads them.
        #[allow(
            clippy::cast_possible_truncation,
            reason = "between 0 and 9 after the clamp"
        )]
        #[allow(clippy::cast_sign_loss, reason = "between 0 and 9 after the clamp")]
        let zeros = (-size.log10()).ceil().clamp(0.0, 9.0) as usize;
        zeros + 2
    };
    let text = format!("{value:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_read_them() {
        let table = [
            (Unit::Seconds, 0.087, "87ms"),
            (Unit::Seconds, 1.5, "1.5s"),
            (Unit::Seconds, 0.0, "0s"),
            (Unit::Ratio, 0.0012, "0.12%"),
            (Unit::Ratio, 1.0, "100%"),
            (Unit::Ratio, 0.0, "0%"),
            (Unit::Bytes, 419_430_400.0, "400MiB"),
            (Unit::PerSecond, 1234.0, "1.23K/s"),
            (Unit::Count, 247.0, "247"),
            (Unit::Count, 3456.0, "3.46K"),
            (Unit::Score, 4.2, "4.2"),
            (Unit::None, -0.000_123_4, "-0.000123"),
        ];
        for (unit, value, text) in table {
            assert_eq!(unit.show(value), text, "{unit} {value}");
        }
    }
}
