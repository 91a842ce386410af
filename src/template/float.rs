//! Floats as digits: Go's `strconv.FormatFloat` for 64 bits.

/// `%e`, `%f`, `%g` and `%x` of Go, upper or lower case apart. The sign stands in front of negative numbers only.
/// Without a precision, the fewest digits that give the same number back.
pub(super) fn format_float(value: f64, verb: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let size = value.abs();
    let digits = match (verb, precision) {
        ('e', Some(precision)) => exponential(&format!("{size:.precision$e}")),
        ('e', None) => exponential(&format!("{size:e}")),
        ('f', Some(precision)) => format!("{size:.precision$}"),
        ('f', None) => format!("{size}"),
        ('x', _) => hex(size, precision),
        _ => general(size, precision),
    };
    format!("{sign}{digits}")
}

/// Go's `%.4g`, which all of Prometheus' humanizing ends in.
pub(super) fn four_digits(value: f64) -> String {
    format_float(value, 'g', Some(4))
}

/// `1.5e7` → `1.5e+07`.
fn exponential(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// The shorter of exponential and plain form; no zeros at the end of the fraction.
fn general(size: f64, precision: Option<usize>) -> String {
    let precision = precision.map(|precision| precision.max(1));
    let text = match precision {
        Some(precision) => format!("{size:.*e}", precision - 1),
        None => format!("{size:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = mantissa.replace('.', "");
    let digits = digits.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let limit = match precision {
        // The shortest form keeps all of its digits, but chooses the form as if six had been asked for.
        None => 6,
        Some(precision) => {
            let precision = i32::try_from(precision).unwrap_or(i32::MAX);
            if precision > count && count > exponent {
                count
            } else {
                precision
            }
        }
    };
    if exponent < -4 || exponent >= limit {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return exponential(&format!("{first}{point}{rest}e{exponent}"));
    }
    let decimals = usize::try_from(count - 1 - exponent).unwrap_or(0);
    match usize::try_from(exponent) {
        Ok(exponent) if digits.len() <= exponent + 1 => format!("{digits:0<0$}", exponent + 1),
        Ok(exponent) => {
            let (whole, fraction) = digits.split_at(exponent + 1);
            format!("{whole}.{fraction}")
        }
        Err(_) => format!("0.{digits:0>decimals$}"),
    }
}

/// `0x1.8p+01`: the leading digit is 1 except for zero.
fn hex(size: f64, precision: Option<usize>) -> String {
    const FRACTION: u32 = 52;
    let bits = size.to_bits();
    let stored = i64::try_from(bits >> FRACTION).unwrap_or(0);
    let fraction = bits & ((1 << FRACTION) - 1);
    let (mut mantissa, mut exponent) = match (stored, fraction) {
        (0, 0) => (0, 0),
        (0, _) => (fraction, -1022),
        _ => (fraction | 1 << FRACTION, stored - 1023),
    };
    while mantissa != 0 && mantissa >> FRACTION == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(digits) = precision.filter(|digits| *digits < 13) {
        let dropped = FRACTION - 4 * u32::try_from(digits).unwrap_or(0);
        let rest = mantissa & ((1 << dropped) - 1);
        let half = 1 << (dropped - 1);
        mantissa >>= dropped;
        if rest > half || (rest == half && mantissa & 1 == 1) {
            mantissa += 1;
        }
        mantissa <<= dropped;
        if mantissa >> FRACTION == 2 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let whole = mantissa >> FRACTION;
    let fraction = format!("{:013x}", mantissa & ((1 << FRACTION) - 1));
    let fraction = match precision {
        None => fraction.trim_end_matches('0').to_owned(),
        Some(digits) if digits <= 13 => fraction[..digits].to_owned(),
        Some(digits) => format!("{fraction:0<digits$}"),
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("0x{whole}{point}{fraction}p{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_prints_them() {
        for (value, verb, precision, text) in [
            (11.0, 'g', None, "11"),
            (1e6, 'g', None, "1e+06"),
            (123_456.0, 'g', None, "123456"),
            (1_234_567.0, 'g', None, "1.234567e+06"),
            (100_000.0, 'g', None, "100000"),
            (1.5e-7, 'g', None, "1.5e-07"),
            (0.000_12, 'g', None, "0.00012"),
            (0.0, 'g', None, "0"),
            (-0.0, 'g', None, "-0"),
            (0.1, 'g', None, "0.1"),
            (-2.5, 'g', None, "-2.5"),
            (1e21, 'g', None, "1e+21"),
            (f64::MAX, 'g', None, "1.7976931348623157e+308"),
            (5e-324, 'g', None, "5e-324"),
            (1234.5, 'g', Some(4), "1234"),
            (1235.5, 'g', Some(4), "1236"),
            (12345.0, 'g', Some(4), "1.234e+04"),
            (100.0, 'g', Some(4), "100"),
            (999.96, 'g', Some(4), "1000"),
            (9999.96, 'g', Some(4), "1e+04"),
            (0.12, 'g', Some(4), "0.12"),
            (20.0, 'g', Some(1), "2e+01"),
            (3.0, 'g', Some(0), "3"),
            (2.5, 'f', Some(0), "2"),
            (6.543_21, 'f', Some(2), "6.54"),
            (1e22, 'f', Some(0), "10000000000000000000000"),
            (12345.678, 'e', Some(2), "1.23e+04"),
            (1e100, 'e', None, "1e+100"),
            (3.0, 'x', None, "0x1.8p+01"),
            (1.0, 'x', Some(3), "0x1.000p+00"),
            (0.0, 'x', None, "0x0p+00"),
            (1.999_999, 'x', Some(1), "0x1.0p+01"),
            (f64::INFINITY, 'g', Some(4), "+Inf"),
            (f64::NAN, 'f', Some(2), "NaN"),
        ] {
            assert_eq!(format_float(value, verb, precision), text);
        }
    }
}
