//! One value under one verb: what Go's `fmt` writes for it, with width, precision and flags.
//!
//! A pointer prints as what it points at where Go would print an address, which no one can foresee.

use std::fmt::Write as _;

use crate::template::float::format_float;
use crate::template::literal::quote;
use crate::template::literal::quote_with;
use crate::template::literal::unicode;
use crate::template::time;
use crate::template::value::Sample;
use crate::template::value::Value;

/// The flags of one verb.
#[derive(Copy, Clone, Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one of Go's flags, any of them goes with any other"
)]
pub(super) struct Flags {
    pub width: Option<usize>,
    pub precision: Option<usize>,
    pub minus: bool,
    pub plus: bool,
    pub sharp: bool,
    pub space: bool,
    pub zero: bool,
    /// `%+v`: with the names of fields.
    pub named: bool,
    /// `%#v`: as Go's source would have it.
    pub source: bool,
}

/// Text that grows up to a bound and then takes no more.
#[derive(Debug)]
pub(super) struct Printer {
    pub out: String,
    pub flags: Flags,
    bytes_max: usize,
}

impl Printer {
    pub fn new(bytes_max: usize) -> Self {
        Self {
            out: String::new(),
            flags: Flags::default(),
            bytes_max,
        }
    }

    /// The text; an error if it would have grown past the bound.
    pub fn finish(self) -> Result<String, String> {
        if self.full() {
            return Err(format!("text is longer than {} bytes", self.bytes_max));
        }
        Ok(self.out)
    }

    pub fn full(&self) -> bool {
        self.out.len() > self.bytes_max
    }

    /// Past the bound nothing is written, so that a value that holds another many times cannot take forever.
    pub fn write(&mut self, text: &str) {
        if !self.full() {
            self.out.push_str(text);
        }
    }

    fn pad(&mut self, text: &str) {
        let width = self.flags.width.unwrap_or(0);
        let missing = width.saturating_sub(text.chars().count());
        if self.flags.minus {
            self.write(text);
            self.write(&" ".repeat(missing));
        } else {
            let fill = if self.flags.zero { "0" } else { " " };
            self.write(&fill.repeat(missing));
            self.write(text);
        }
    }

    fn pad_unfilled(&mut self, text: &str) {
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(text);
        self.flags.zero = zero;
    }

    /// What `print` and an action write: `%v` without flags.
    pub fn plain(&mut self, value: &Value) {
        self.flags = Flags::default();
        self.value(value, 'v', 0);
    }

    /// `depth` counts the values around this one.
    pub fn value(&mut self, value: &Value, verb: char, depth: usize) {
        if self.full() {
            return;
        }
        if let (Some(text), 'v' | 's' | 'x' | 'X' | 'q') = (stringer(value), verb) {
            return self.text(&text, verb, value);
        }
        match value {
            Value::Missing if verb == 'v' => self.pad("<nil>"),
            Value::Bool(truth) if matches!(verb, 't' | 'v') => {
                self.pad(if *truth { "true" } else { "false" });
            }
            Value::Missing | Value::Bool(_) | Value::Time(_) | Value::Duration(_) => {
                self.bad(verb, value);
            }
            Value::Int(int) => self.int(*int, verb, value),
            Value::Byte(byte) if verb == 'v' && self.flags.source => {
                self.pad(&format!("{byte:#x}"));
            }
            Value::Byte(small) | Value::Month(small) | Value::Weekday(small) => {
                self.int(i64::from(*small), verb, value);
            }
            Value::Float(float) => self.float(*float, verb, value),
            Value::Text(text) | Value::Html(text) => self.text(text, verb, value),
            Value::Labels(labels) => {
                let pairs = labels.iter();
                self.map(value, pairs.map(|(n, v)| (n, Value::text(v))), verb, depth);
            }
            Value::Args(args) => {
                let pairs = args.values.iter();
                self.map(
                    value,
                    pairs.map(|(n, v)| (n.as_str(), v.clone())),
                    verb,
                    depth,
                );
            }
            Value::Samples(samples) => {
                let open = if self.flags.source {
                    "template.queryResult{"
                } else {
                    "["
                };
                self.write(open);
                for (i, sample) in samples.iter().enumerate() {
                    self.between(i);
                    self.sample(sample, verb, depth);
                }
                self.write(if self.flags.source { "}" } else { "]" });
            }
            Value::Sample(sample) => {
                self.write("&");
                self.sample(sample, verb, depth);
            }
            Value::NoSample => self.pad(if self.flags.source {
                "(*template.sample)(nil)"
            } else {
                "<nil>"
            }),
            Value::Data(data) => {
                let fields = [
                    ("Labels", Value::Labels(data.labels.clone())),
                    (
                        "ExternalLabels",
                        Value::Labels(data.external_labels.clone()),
                    ),
                    ("ExternalURL", Value::Text(data.external_url.clone())),
                    ("Value", Value::Float(data.value)),
                ];
                self.fields(value.type_name(), &fields, verb, depth);
            }
        }
    }

    /// The struct behind the pointer.
    pub fn sample(&mut self, sample: &Sample, verb: char, depth: usize) {
        let fields = [
            ("Labels", Value::Labels(sample.labels.clone())),
            ("Value", Value::Float(sample.value)),
        ];
        self.fields("template.sample", &fields, verb, depth);
    }

    fn between(&mut self, index: usize) {
        if index > 0 {
            self.write(if self.flags.source { ", " } else { " " });
        }
    }

    fn fields(&mut self, of: &str, fields: &[(&str, Value)], verb: char, depth: usize) {
        if self.flags.source {
            self.write(of);
        }
        self.write("{");
        for (i, (name, field)) in fields.iter().enumerate() {
            self.between(i);
            if self.flags.named || self.flags.source {
                self.write(name);
                self.write(":");
            }
            self.value(field, verb, depth + 1);
        }
        self.write("}");
    }

    fn map<'p>(
        &mut self,
        of: &Value,
        pairs: impl Iterator<Item = (&'p str, Value)>,
        verb: char,
        depth: usize,
    ) {
        if self.flags.source {
            self.write(of.type_name());
            self.write("{");
        } else {
            self.write("map[");
        }
        for (i, (name, element)) in pairs.enumerate() {
            self.between(i);
            self.value(&Value::text(name), verb, depth + 1);
            self.write(":");
            self.value(&element, verb, depth + 1);
        }
        self.write(if self.flags.source { "}" } else { "]" });
    }

    /// `%!d(string=hi)`: the verb does not fit the type.
    pub fn bad(&mut self, verb: char, value: &Value) {
        self.write(&format!("%!{verb}("));
        if matches!(value, Value::Missing) {
            self.write("<nil>");
        } else {
            self.write(value.type_name());
            self.write("=");
            self.value(value, 'v', 0);
        }
        self.write(")");
    }

    fn text(&mut self, text: &str, verb: char, value: &Value) {
        let cut: String;
        let cut = match self.flags.precision {
            Some(precision) if !matches!(verb, 'x' | 'X') => {
                cut = text.chars().take(precision).collect();
                &cut
            }
            _ => text,
        };
        match verb {
            'v' if self.flags.source => self.pad(&quote(cut)),
            'v' | 's' => self.pad(cut),
            'q' if self.flags.sharp && raw_fits(cut) => self.pad(&format!("`{cut}`")),
            'q' => self.pad(&quote_with(cut, '"', self.flags.plus)),
            'x' | 'X' => {
                let bytes = self.hex_bytes(text, verb == 'X');
                self.pad(&bytes);
            }
            _ => self.bad(verb, value),
        }
    }

    fn hex_bytes(&self, text: &str, upper: bool) -> String {
        let (prefix, mut out) = (if upper { "0X" } else { "0x" }, String::new());
        let bytes = text
            .bytes()
            .take(self.flags.precision.unwrap_or(usize::MAX));
        for (i, byte) in bytes.enumerate() {
            if self.flags.space && i > 0 {
                out.push(' ');
            }
            if self.flags.sharp && (self.flags.space || i == 0) {
                out.push_str(prefix);
            }
            let written = if upper {
                write!(out, "{byte:02X}")
            } else {
                write!(out, "{byte:02x}")
            };
            written.expect("a string takes everything");
        }
        out
    }

    fn int(&mut self, int: i64, verb: char, value: &Value) {
        let size = int.unsigned_abs();
        let char = || u32::try_from(int).ok().and_then(char::from_u32);
        let (digits, prefix) = match verb {
            'v' | 'd' => (size.to_string(), ""),
            'b' => (format!("{size:b}"), "0b"),
            'o' => (format!("{size:o}"), "0"),
            'O' => (format!("{size:o}"), "0o"),
            'x' => (format!("{size:x}"), "0x"),
            'X' => (format!("{size:X}"), "0X"),
            'c' => return self.pad(&char().unwrap_or('\u{fffd}').to_string()),
            'q' => {
                let quoted = char().unwrap_or('\u{fffd}').to_string();
                return self.pad(&quote_with(&quoted, '\'', self.flags.plus));
            }
            'U' => {
                let text =
                    char().map_or_else(|| format!("U+{int:04X}"), |c| unicode(c, self.flags.sharp));
                return self.pad_unfilled(&text);
            }
            _ => return self.bad(verb, value),
        };
        let flags = self.flags;
        if flags.precision == Some(0) && int == 0 {
            return self.pad_unfilled("");
        }
        let sign = match (int < 0, flags.plus, flags.space) {
            (true, _, _) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let least = match flags.precision {
            Some(precision) => precision,
            None if flags.zero && !flags.minus => {
                flags.width.unwrap_or(0).saturating_sub(sign.len())
            }
            None => 0,
        };
        let prefix = if flags.sharp && verb != 'v' || verb == 'O' {
            prefix
        } else {
            ""
        };
        let prefix = if prefix == "0" && digits.starts_with('0') {
            ""
        } else {
            prefix
        };
        self.pad_unfilled(&format!("{sign}{prefix}{digits:0>least$}"));
    }

    fn float(&mut self, float: f64, verb: char, value: &Value) {
        let (form, precision) = match verb {
            'v' => ('g', self.flags.precision),
            'g' | 'x' => (verb, self.flags.precision),
            'G' | 'X' => (verb.to_ascii_lowercase(), self.flags.precision),
            'e' | 'f' => (verb, self.flags.precision.or(Some(6))),
            'E' | 'F' => (verb.to_ascii_lowercase(), self.flags.precision.or(Some(6))),
            _ => return self.bad(verb, value),
        };
        let mut text = format_float(float, form, precision);
        if verb.is_ascii_uppercase() && float.is_finite() {
            text.make_ascii_uppercase();
        }
        let flags = self.flags;
        let (sign, digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) => (&text[..1], digits),
            None if float.is_nan() && !flags.plus && !flags.space => ("", text.as_str()),
            None => ("+", text.as_str()),
        };
        let sign = if sign == "+" && flags.space && !flags.plus {
            " "
        } else {
            sign
        };
        if !float.is_finite() {
            return self.pad_unfilled(&format!("{sign}{digits}"));
        }
        if sign == "+" && !flags.plus {
            return self.pad(digits);
        }
        let width = flags.width.unwrap_or(0);
        if flags.zero && !flags.minus && width > text.len() {
            // The sign stands before the zeros.
            let digits = format!("{digits:0>0$}", width - 1);
            return self.write(&format!("{sign}{digits}"));
        }
        self.pad(&format!("{sign}{digits}"));
    }
}

/// Types that say themselves how they print.
fn stringer(value: &Value) -> Option<String> {
    match value {
        Value::Time(nanos) => Some(time::show(*nanos)),
        Value::Duration(nanos) => Some(time::show_duration(*nanos)),
        Value::Month(month) => Some(time::month(*month).to_owned()),
        Value::Weekday(day) => Some(time::weekday(*day).to_owned()),
        _ => None,
    }
}

/// Whether a text fits between backquotes.
fn raw_fits(text: &str) -> bool {
    text.chars()
        .all(|c| c == '\t' || !(c.is_control() || c == '`' || c == '\u{feff}'))
}
