//! Numbers as exposition text writes them: Go's `ParseFloat` without hexadecimal and underscores.
//! Deliberately absent: any rounding of our own; what the fast path cannot do exactly goes to `str::parse`.

/// Powers of ten that a double holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Integers up to here are exact in a double.
const EXACT: u64 = 1 << 53;

/// A plain decimal at the start of `text`, with how many bytes it took.
///
/// `None` where it is no plain decimal or one step of arithmetic could not give the nearest double: up to 19 digits
/// whose integer stays below 2^53, scaled by at most 10^22, is one exactly rounded operation on two exact numbers.
#[inline]
pub fn plain(text: &[u8]) -> Option<(f64, usize)> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let mut at = start;
    let mut mantissa: u64 = 0;
    at = digits(text, at, &mut mantissa);
    let mut count = at - start;
    let mut scale = 0_i32;
    if text.get(at) == Some(&b'.') {
        let fraction = at + 1;
        at = digits(text, fraction, &mut mantissa);
        count += at - fraction;
        scale = -i32::try_from(at - fraction).ok()?;
    }
    if count == 0 || count > 19 || mantissa > EXACT {
        return None;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let (exponent, end) = exponent(text, at + 1)?;
        scale += exponent;
        at = end;
    }
    #[allow(
        clippy::cast_precision_loss,
        reason = "at most 2^53, so the double is exact"
    )]
    let mut value = mantissa as f64;
    if scale != 0 {
        let power = *TENS.get(usize::try_from(scale.unsigned_abs()).ok()?)?;
        value = if scale < 0 {
            value / power
        } else {
            value * power
        };
    }
    Some((if negative { -value } else { value }, at))
}

/// Adds the digits from `at` on to `mantissa`; wraps past 19 digits, which the caller refuses by their count.
#[inline]
fn digits(text: &[u8], mut at: usize, mantissa: &mut u64) -> usize {
    while let Some(digit) = text.get(at).map(|b| b.wrapping_sub(b'0'))
        && digit < 10
    {
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    at
}

/// A signed exponent of at most three digits, and where it ends.
#[inline]
fn exponent(text: &[u8], at: usize) -> Option<(i32, usize)> {
    let negative = text.get(at) == Some(&b'-');
    let start = at + usize::from(matches!(text.get(at), Some(b'-' | b'+')));
    let mut value = 0_u64;
    let end = digits(text, start, &mut value);
    if end == start || end - start > 3 {
        return None;
    }
    let value = i32::try_from(value).ok()?;
    Some((if negative { -value } else { value }, end))
}

/// One whole number token. Over the range of a double it is refused, as Go does, and not rounded to infinity.
pub fn float(token: &str) -> Result<f64, &'static str> {
    if let Some((value, used)) = plain(token.as_bytes())
        && used == token.len()
    {
        return Ok(value);
    }
    let value: f64 = token.parse().map_err(|_| "expected a number")?;
    if value.is_nan() {
        // Go reads no sign before NaN. One bit pattern for all: the staleness marker cannot come from a page.
        return if token.eq_ignore_ascii_case("nan") {
            Ok(f64::NAN)
        } else {
            Err("expected a number")
        };
    }
    if value.is_infinite() && token.bytes().any(|byte| byte.is_ascii_digit()) {
        return Err("number out of range");
    }
    Ok(value)
}

/// Milliseconds of a text page's timestamp.
pub fn millis(token: &str) -> Result<i64, &'static str> {
    let digits = token.strip_prefix('-').unwrap_or(token);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("expected milliseconds as timestamp");
    }
    token.parse().map_err(|_| "timestamp out of range")
}

/// Milliseconds of an `OpenMetrics` timestamp, which is in seconds; far ones saturate.
pub fn seconds(token: &str) -> Result<i64, &'static str> {
    let seconds = float(token).map_err(|_| "expected seconds as timestamp")?;
    if !seconds.is_finite() {
        return Err("timestamp is not finite");
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a cast from float saturates; such a time is out of bounds anyway"
    )]
    Ok((seconds * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_go_reads_and_what_not() {
        for (text, value) in [
            ("08", 8.0),
            ("1.", 1.0),
            (".3", 0.3),
            ("+1", 1.0),
            ("-0", -0.0),
            ("1e+06", 1e6),
            ("1.7560473e+07", 1.756_047_3e7),
            ("7.424100000000001e-05", 7.424_100_000_000_001e-5),
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("123456789012345678901234567890", 1.234_567_890_123_456_8e29),
            ("1e-400", 0.0),
            ("+Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("infinity", f64::INFINITY),
        ] {
            assert_eq!(float(text).map(f64::to_bits), Ok(value.to_bits()), "{text}");
        }
        assert!(float("NaN").unwrap().is_nan() && !crate::model::is_stale(float("nan").unwrap()));
        for bad in [
            "", "-", ".", "1_2", "0x1", "0x1p-3", "0b1", "0O1", "1e", "e5", "-nan", "+NaN",
            "1e400", "1 ", " 1", "1\r", "1\t", "--1", "1.2.3", "in", "१",
        ] {
            assert!(float(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn timestamps() {
        assert_eq!(millis("-2"), Ok(-2));
        assert!(millis("1.5").is_err() && millis("+1").is_err() && millis("").is_err());
        assert!(millis("9223372036854775808").is_err());
        assert_eq!(seconds("1.5e3"), Ok(1_500_000));
        assert_eq!(seconds("1520879607.789"), Ok(1_520_879_607_789));
        assert_eq!(seconds("12345678901234567890.5"), Ok(i64::MAX));
        assert!(seconds("NaN").is_err() && seconds("-Inf").is_err() && seconds("z").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_fast_path_gives_the_value_of_parse(
            text in r"-?[0-9]{0,21}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,4})?"
        ) {
            match plain(text.as_bytes()) {
                Some((value, used)) if used == text.len() => {
                    let expected: f64 = text.parse().expect("the fast path reads decimals only");
                    prop_assert_eq!(value.to_bits(), expected.to_bits());
                }
                Some(_) | None => {}
            }
        }

        #[test]
        fn printed_doubles_come_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            for text in [format!("{value}"), format!("{value:e}"), format!("{value:.3}")] {
                if !value.is_nan() {
                    prop_assert_eq!(float(&text), Ok(text.parse::<f64>().unwrap()));
                }
            }
        }
    }
}
