//! Figures for people: [`Unit::show`] and what a report adds to it, whole counts, uptime that never rounds up to
//! "always", scores out of five.

use super::signals::DATA_DRIFT;
use super::signals::THROUGHPUT;
use super::signals::TIME_SAVED;
use super::signals::UPTIME;
use crate::model::Unit;

/// Above it a count has lost its last digit anyway.
const WHOLE_MAX: f64 = 9e15;

/// One signal's value as the report shows it.
pub(super) fn show(signal: &str, unit: Unit, value: f64) -> String {
    match signal {
        UPTIME => uptime(value),
        DATA_DRIFT => (if value >= 1.0 { "Yes" } else { "No" }).to_owned(),
        TIME_SAVED if unit == Unit::Seconds => format!("{} hours", whole(value / 3600.0)),
        _ => by_unit(unit, value),
    }
}

/// One minute's value: a rate where the period's figure is a sum.
pub(super) fn by_unit(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Count => whole(value),
        Unit::Score => format!("{value:.1}/5"),
        Unit::PerSecond => unit.show(value).replace("/s", " req/s"),
        Unit::Seconds if value.abs() >= 120.0 => minutes(value),
        Unit::Ratio => percent(value),
        Unit::Seconds | Unit::Bytes | Unit::PerMinute | Unit::PerHour | Unit::None => {
            unit.show(value)
        }
    }
}

/// As short as an axis has room for.
pub(super) fn on_axis(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Score => whole(value),
        Unit::Ratio => by_unit(unit, value),
        Unit::Count
        | Unit::Seconds
        | Unit::Bytes
        | Unit::PerSecond
        | Unit::PerMinute
        | Unit::PerHour
        | Unit::None => unit.show(value),
    }
}

/// What a period's figure is in: a rate that was added up is a count.
pub(super) fn figure(signal: &str, unit: Unit, value: f64) -> String {
    if signal == THROUGHPUT {
        whole(value)
    } else {
        show(signal, unit, value)
    }
}

/// `12,345`; with one digit behind the point where it is below 100 and no whole number.
pub(super) fn whole(value: f64) -> String {
    if !value.is_finite() || value.abs() >= WHOLE_MAX {
        return Unit::Count.show(value);
    }
    let is_whole = value.fract() == 0.0;
    let text = if is_whole || value.abs() >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    };
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or(("", text.as_str()), |it| ("-", it));
    let (digits, rest) = digits.split_once('.').unwrap_or((digits, ""));
    let mut out = String::with_capacity(text.len() + text.len() / 3 + 1);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if out == "0" && rest.trim_matches('0').is_empty() {
        ""
    } else {
        sign
    };
    format!("{sign}{out}{point}{rest}")
}

/// `99.95%`, cut off and not rounded: 99.999 % is not "100%".
fn uptime(share: f64) -> String {
    // The product is a hair below the written number now and then: 0.9995 × 10 000.
    let cut = (share * 10_000.0 + 1e-6).floor() / 100.0;
    let text = format!("{cut:.2}");
    format!("{}%", text.strip_suffix(".00").unwrap_or(&text))
}

/// `0.12%`, `94.2%`, `under 0.01%`: nobody needs a third digit behind the point, and little is not nothing.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let size = percent.abs();
    if size == 0.0 || size >= 100.0 || !size.is_finite() {
        return Unit::Ratio.show(share);
    }
    if size < 0.005 {
        return (if percent < 0.0 {
            "above -0.01%"
        } else {
            "under 0.01%"
        })
        .to_owned();
    }
    let text = if size >= 10.0 {
        format!("{percent:.1}")
    } else {
        format!("{percent:.2}")
    };
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `12.5 min`, `1.5 h`.
fn minutes(seconds: f64) -> String {
    let shown = Unit::Seconds.show(seconds);
    let end = shown.find(char::is_alphabetic).unwrap_or(shown.len());
    let (number, unit) = shown.split_at(end);
    format!("{number} {unit}")
}

/// `+12`, `-3`, `±0`.
pub(super) fn change(now: f64, then: f64) -> String {
    signed(&whole(now - then))
}

/// `+4.2%`; `None` where nothing was there before.
pub(super) fn change_share(now: f64, then: f64) -> Option<String> {
    let share = (now - then) / then;
    (share.is_finite() && then > 0.0).then(|| signed(&format!("{:.1}%", share * 100.0)))
}

fn signed(text: &str) -> String {
    if text.starts_with('-') && text.contains(|c: char| ('1'..='9').contains(&c)) {
        text.to_owned()
    } else if text.contains(|c: char| ('1'..='9').contains(&c)) {
        format!("+{text}")
    } else {
        format!("±{}", text.trim_start_matches('-'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::signals::*;

    #[test]
    #[rustfmt::skip]
    fn as_the_runbook_writes_them() {
        for (signal, unit, value, text) in [
            (UPTIME, Unit::Ratio, 0.999_5, "99.95%"),
            (UPTIME, Unit::Ratio, 0.999_999, "99.99%"),
            (UPTIME, Unit::Ratio, 1.0, "100%"),
            (UPTIME, Unit::None, 0.0, "0%"),
            (API_LATENCY_P95, Unit::Seconds, 0.087, "87ms"),
            (ERROR_RATE, Unit::Ratio, 0.001_2, "0.12%"),
            (TRANSACTIONS, Unit::Count, 3_456.0, "3,456"),
            (TRANSACTIONS, Unit::Count, 1_234_567.0, "1,234,567"),
            (TRANSACTIONS, Unit::Count, 999.0, "999"),
            (SESSION_DURATION, Unit::Seconds, 750.0, "12.5 min"),
            (TICKET_RESOLUTION_TIME, Unit::Seconds, 2_280.0, "38 min"),
            (USER_SATISFACTION, Unit::Score, 4.2, "4.2/5"),
            (ERROR_RATE, Unit::Ratio, 0.000_396, "0.04%"),
            (ERROR_RATE, Unit::Ratio, 0.000_001, "under 0.01%"),
            (ERROR_RATE, Unit::Ratio, 0.0, "0%"),
            (ERROR_RATE, Unit::Ratio, 0.1, "10%"),
            (MODEL_ACCURACY, Unit::Ratio, 0.942, "94.2%"),
            (MODEL_ACCURACY, Unit::Ratio, 1.0, "100%"),
            (DATA_DRIFT, Unit::None, 0.0, "No"),
            (DATA_DRIFT, Unit::None, 1.0, "Yes"),
            (TIME_SAVED, Unit::Seconds, 432_000.0, "120 hours"),
        ] {
            assert_eq!(show(signal, unit, value), text, "{signal} {value}");
        }
        assert_eq!(by_unit(Unit::PerSecond, 1_234.0), "1.23K req/s");
        assert_eq!(figure(THROUGHPUT, Unit::PerSecond, 98_765.4), "98,765");
    }

    #[test]
    fn changes_have_a_sign() {
        for (now, then, by, share) in [
            (12.0, 10.0, "+2", Some("+20.0%")),
            (8.0, 10.0, "-2", Some("-20.0%")),
            (10.0, 10.0, "±0", Some("±0.0%")),
            (9.999_99, 10.0, "±0.0", Some("±0.0%")),
            (5.0, 0.0, "+5", None),
        ] {
            assert_eq!(change(now, then), by);
            assert_eq!(change_share(now, then).as_deref(), share);
        }
        assert_eq!(whole(-0.0), "0");
    }
}
