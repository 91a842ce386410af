//! Go's literals: what quoted strings, characters and numbers stand for, and how strings are quoted again.
//!
//! Strings are UTF-8 here: an escape that makes other bytes yields U+FFFD. Deliberately absent: complex numbers.

use std::fmt::Write as _;

/// The text of a string literal in `"` or `` ` ``; `None` if Go's `strconv.Unquote` refuses it.
pub(super) fn unquote(literal: &str) -> Option<String> {
    if let Some(raw) = literal.strip_prefix('`').and_then(|r| r.strip_suffix('`')) {
        return Some(raw.replace('\r', ""));
    }
    let body = literal.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        if c == '\\' {
            match escape(&mut rest, '"')? {
                Escaped::Char(c) => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
                Escaped::Byte(byte) => bytes.push(byte),
            }
        } else {
            bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
            rest = &rest[c.len_utf8()..];
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The character of a literal in `'`.
fn unquote_char(literal: &str) -> Option<i64> {
    let body = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut rest = body;
    let code = match rest.chars().next()? {
        '\\' => match escape(&mut rest, '\'')? {
            Escaped::Char(c) => i64::from(u32::from(c)),
            Escaped::Byte(byte) => i64::from(byte),
        },
        '\'' => return None,
        c => {
            rest = &rest[c.len_utf8()..];
            i64::from(u32::from(c))
        }
    };
    rest.is_empty().then_some(code)
}

enum Escaped {
    Char(char),
    Byte(u8),
}

/// Reads one escape off the front of `rest`, which begins with the backslash.
fn escape(rest: &mut &str, quote: char) -> Option<Escaped> {
    let c = rest[1..].chars().next()?;
    let (skip, radix, digits) = match c {
        'x' => (2, 16, 2),
        'u' => (2, 16, 4),
        'U' => (2, 16, 8),
        '0'..='7' => (1, 8, 3),
        _ => {
            let plain = match c {
                'a' => '\u{7}',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                '\\' => '\\',
                _ if c == quote => quote,
                _ => return None,
            };
            *rest = &rest[2..];
            return Some(Escaped::Char(plain));
        }
    };
    let number = rest.get(skip..skip + digits)?;
    // `from_str_radix` takes a sign, a literal does not.
    if !number.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let code = u32::from_str_radix(number, radix).ok()?;
    *rest = &rest[skip + digits..];
    if digits > 3 {
        char::from_u32(code).map(Escaped::Char)
    } else {
        u8::try_from(code).ok().map(Escaped::Byte)
    }
}

/// What a number literal can stand for; a place that wants an integer takes `1.0` too.
#[derive(Clone, Debug)]
pub(super) struct Number {
    pub text: String,
    pub int: Option<i64>,
    pub float: f64,
    /// Where the place asks for no type, the syntax decides between `int` and `float64`.
    pub float_by_syntax: bool,
}

impl Number {
    /// A number or character literal. The message is Go's.
    pub fn parse(text: &str) -> Result<Self, String> {
        let owned = text.to_owned();
        if text.starts_with('\'') {
            let Some(code) = unquote_char(text) else {
                return Err(format!("malformed character constant: {text}"));
            };
            return Ok(Self::integer(owned, Some(code), magnitude(code)));
        }
        if let Some((negative, size)) = parse_int(text) {
            let int = if negative {
                0_i64.checked_sub_unsigned(size)
            } else {
                i64::try_from(size).ok()
            };
            if int.is_some() || !text.starts_with(['+', '-']) {
                let float = int.map_or_else(|| magnitude_unsigned(size), magnitude);
                return Ok(Self::integer(owned, int, float));
            }
        }
        let Ok(float) = parse_float(text) else {
            return Err(format!("illegal number syntax: {}", quote(text)));
        };
        if !text.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(format!("integer overflow: {}", quote(text)));
        }
        #[allow(
            clippy::cast_possible_truncation,
            reason = "compared below with what it came from"
        )]
        let int = float as i64;
        Ok(Self {
            text: owned,
            int: (magnitude(int).to_bits() == float.to_bits()).then_some(int),
            float,
            float_by_syntax: true,
        })
    }

    fn integer(text: String, int: Option<i64>, float: f64) -> Self {
        Self {
            text,
            int,
            float,
            float_by_syntax: false,
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "Go converts an integer to float64 the same way"
)]
pub(super) fn magnitude(int: i64) -> f64 {
    int as f64
}

#[allow(
    clippy::cast_precision_loss,
    reason = "Go converts an integer to float64 the same way"
)]
fn magnitude_unsigned(int: u64) -> f64 {
    int as f64
}

/// Sign and size of an integer as Go writes it: base by prefix, underscores between digits.
fn parse_int(text: &str) -> Option<(bool, u64)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    let (radix, digits) = if let Some(hex) = lower.strip_prefix("0x") {
        (16, hex)
    } else if let Some(octal) = lower.strip_prefix("0o") {
        (8, octal)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        (2, binary)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if !underscores_fit(&lower) || digits.starts_with(['+', '-']) {
        return None;
    }
    let size = u64::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    Some((text.starts_with('-'), size))
}

/// Underscores stand between digits, or between a base prefix and a digit. `unsigned` is in lower case.
fn underscores_fit(unsigned: &str) -> bool {
    if !unsigned.contains('_') {
        return true;
    }
    let hex = unsigned.starts_with("0x");
    let based = hex || unsigned.starts_with("0o") || unsigned.starts_with("0b");
    let mut before = if based { '0' } else { '.' };
    for c in unsigned.chars().skip(if based { 2 } else { 0 }) {
        let digit = c.is_ascii_digit() || (hex && c.is_ascii_hexdigit());
        match (before, digit, c) {
            (_, true, _) => before = '0',
            ('0', false, '_') => before = '_',
            ('_', false, _) | (_, false, '_') => return false,
            _ => before = '.',
        }
    }
    before != '_'
}

/// Go's `strconv.ParseFloat` for 64 bits, with its messages.
pub(super) fn parse_float(text: &str) -> Result<f64, String> {
    let fail = |why: &str| format!("strconv.ParseFloat: parsing {}: {why}", quote(text));
    let lower = text.to_ascii_lowercase();
    let unsigned = lower.strip_prefix(['+', '-']).unwrap_or(&lower);
    let word = matches!(unsigned, "inf" | "infinity");
    if word || lower == "nan" {
        return lower.parse().map_err(|_| fail("invalid syntax"));
    }
    let numeric = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if !numeric || !underscores_fit(unsigned) {
        return Err(fail("invalid syntax"));
    }
    let plain = unsigned.replace('_', "");
    let size = if let Some(hex) = plain.strip_prefix("0x") {
        parse_hex(hex)
    } else {
        plain.parse::<f64>().ok()
    };
    match size {
        None => Err(fail("invalid syntax")),
        Some(size) if size.is_infinite() => Err(fail("value out of range")),
        Some(size) if lower.starts_with('-') => Ok(-size),
        Some(size) => Ok(size),
    }
}

/// `1.8p3` behind `0x`. Digits past the 60th bit do not count.
fn parse_hex(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = whole.len() + fraction.len();
    let all_hex = |s: &str| s.bytes().all(|b| b.is_ascii_hexdigit());
    if digits == 0 || !all_hex(whole) || !all_hex(fraction) {
        return None;
    }
    let (mut size, mut scale) = (0_u64, 0_i32);
    for (i, c) in whole.chars().chain(fraction.chars()).enumerate() {
        let kept = size < 1 << 56;
        if kept {
            size = size * 16 + u64::from(c.to_digit(16)?);
        }
        scale += match (i < whole.len(), kept) {
            (true, false) => 4,
            (false, true) => -4,
            _ => 0,
        };
    }
    let power = exponent.saturating_add(scale).clamp(-4000, 4000);
    // Two steps, so that 2^power alone does not underflow where the product does not.
    let half = power / 2;
    Some(magnitude_unsigned(size) * 2_f64.powi(half) * 2_f64.powi(power - half))
}

/// Whether Go's `unicode.IsPrint` takes it: no control or format characters, of spaces only U+0020.
pub(super) fn printable(c: char) -> bool {
    c == ' '
        || !(c.is_whitespace()
            || c.is_control()
            || c.escape_debug().len() > 1 && !matches!(c, '\\' | '\'' | '"'))
}

/// Go's `%U`, and with `shown` its `%#U`: `U+00A0`, `U+0040 '@'`.
pub(super) fn unicode(c: char, shown: bool) -> String {
    let code = u32::from(c);
    if shown && printable(c) {
        format!("U+{code:04X} '{c}'")
    } else {
        format!("U+{code:04X}")
    }
}

/// Go's `strconv.Quote`.
pub(super) fn quote(text: &str) -> String {
    quote_with(text, '"', false)
}

/// Quoted by `mark`; with `ascii`, characters outside of ASCII are escaped too.
pub(super) fn quote_with(text: &str, mark: char, ascii: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(mark);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            _ if c == mark => {
                out.push('\\');
                out.push(c);
            }
            _ if printable(c) && (!ascii || c.is_ascii()) => out.push(c),
            _ => escape_into(&mut out, c),
        }
    }
    out.push(mark);
    out
}

fn escape_into(out: &mut String, c: char) {
    let code = u32::from(c);
    let written = match code {
        0..=0x1f | 0x7f => write!(out, "\\x{code:02x}"),
        0..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
    written.expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        for (literal, text) in [
            (r#""a\tb""#, Some("a\tb")),
            (r#""\x41\u00e9\U0001F600\101""#, Some("Aé😀A")),
            (r#""\xc3\xa9""#, Some("é")),
            ("`a\\n\r\nb`", Some("a\\n\nb")),
            (r#""\'""#, None),
            (r#""\x+4""#, None),
            (r#""\ud800""#, None),
            (r#""\400""#, None),
        ] {
            assert_eq!(unquote(literal).as_deref(), text, "{literal}");
        }
        assert_eq!(quote("a\"\u{1}\u{a0}é😀\n"), r#""a\"\x01\u00a0é😀\n""#);
    }

    #[test]
    fn numbers() {
        for (text, int, float) in [
            ("12", Some(12), 12.0),
            ("-3", Some(-3), -3.0),
            ("0x_1F", Some(31), 31.0),
            ("0b101", Some(5), 5.0),
            ("0o17", Some(15), 15.0),
            ("017", Some(15), 15.0),
            ("1_000", Some(1000), 1000.0),
            ("'a'", Some(97), 97.0),
            (r"'\n'", Some(10), 10.0),
            ("1e3", Some(1000), 1000.0),
            ("1.5", None, 1.5),
            ("0x1.8p1", Some(3), 3.0),
            ("18446744073709551615", None, 1.844_674_407_370_955_2e19),
        ] {
            let number = Number::parse(text).expect(text);
            assert_eq!(number.int, int, "{text}");
            assert_eq!(number.float.to_bits(), f64::to_bits(float), "{text}");
        }
        for text in ["1__0", "_1", "0x", "08", "''", "'ab'", "1e", "0x1.8", "1_"] {
            assert!(Number::parse(text).is_err(), "{text}");
        }
        for text in ["", " 1", "+nan", "one", "0x1", "1e999", "--1"] {
            assert!(parse_float(text).is_err(), "{text}");
        }
        assert_eq!(parse_float("-Inf"), Ok(f64::NEG_INFINITY));
    }
}
