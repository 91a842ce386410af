//! Go's `Sprint`, `Sprintln` and `Sprintf`: many values in one text.

use crate::template::print::Flags;
use crate::template::print::Printer;
use crate::template::value::Value;

/// A width or precision past this is refused, as Go does.
const NUMBER_MAX: usize = 1_000_000;

/// Spaces between operands of which neither is a string.
pub(super) fn sprint(values: &[Value], bytes_max: usize) -> Result<String, String> {
    let mut printer = Printer::new(bytes_max);
    let mut text_before = true;
    for value in values {
        let text = value.str().is_some();
        if !text && !text_before {
            printer.write(" ");
        }
        printer.plain(value);
        text_before = text;
    }
    printer.finish()
}

/// Spaces between all operands, and a line's end.
pub(super) fn sprintln(values: &[Value], bytes_max: usize) -> Result<String, String> {
    let mut printer = Printer::new(bytes_max);
    for (i, value) in values.iter().enumerate() {
        printer.write(if i == 0 { "" } else { " " });
        printer.plain(value);
    }
    printer.write("\n");
    printer.finish()
}

/// By a format; what does not fit is said in the text (`%!d(string=hi)`), as Go does.
pub(super) fn sprintf(format: &str, values: &[Value], bytes_max: usize) -> Result<String, String> {
    let mut formatter = Formatter {
        rest: format,
        values,
        next: 0,
        reordered: false,
        good_index: true,
        printer: Printer::new(bytes_max),
    };
    while let Some(percent) = formatter.rest.find('%') {
        let (text, rest) = formatter.rest.split_at(percent);
        formatter.printer.write(text);
        formatter.rest = &rest[1..];
        formatter.verb();
    }
    formatter.printer.write(formatter.rest);
    if !formatter.reordered && formatter.next < values.len() {
        formatter.extra();
    }
    formatter.printer.finish()
}

struct Formatter<'f> {
    rest: &'f str,
    values: &'f [Value],
    /// The value that the next verb takes.
    next: usize,
    /// An explicit index was used, so values left over are no fault.
    reordered: bool,
    /// The index of this verb, if it has one, was a number within the values.
    good_index: bool,
    printer: Printer,
}

impl Formatter<'_> {
    fn take(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Behind `%`.
    fn verb(&mut self) {
        self.good_index = true;
        let mut flags = Flags::default();
        while let Some(c) = self.rest.chars().next() {
            match c {
                '#' => flags.sharp = true,
                '0' => flags.zero = true,
                '+' => flags.plus = true,
                '-' => flags.minus = true,
                ' ' => flags.space = true,
                _ => break,
            }
            self.rest = &self.rest[1..];
        }
        let mut indexed = self.index();
        if self.take('*') {
            match self.star() {
                Some(width) => {
                    flags.minus |= width < 0;
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => self.printer.write("%!(BADWIDTH)"),
            }
            indexed = false;
        } else {
            flags.width = self.number();
            if indexed && flags.width.is_some() {
                self.good_index = false;
            }
        }
        if self.take('.') {
            if indexed {
                self.good_index = false;
            }
            indexed = self.index();
            if self.take('*') {
                // A negative precision counts as none.
                match self.star() {
                    Some(precision) => flags.precision = usize::try_from(precision).ok(),
                    None => self.printer.write("%!(BADPREC)"),
                }
                indexed = false;
            } else {
                flags.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !indexed {
            self.index();
        }
        let Some(verb) = self.rest.chars().next() else {
            return self.printer.write("%!(NOVERB)");
        };
        self.rest = &self.rest[verb.len_utf8()..];
        self.argument(verb, flags);
    }

    fn argument(&mut self, verb: char, mut flags: Flags) {
        if verb == '%' {
            return self.printer.write("%");
        }
        if !self.good_index {
            return self.printer.write(&format!("%!{verb}(BADINDEX)"));
        }
        let Some(value) = self.values.get(self.next) else {
            return self.printer.write(&format!("%!{verb}(MISSING)"));
        };
        self.next += 1;
        if verb == 'v' {
            flags.source = std::mem::take(&mut flags.sharp);
            flags.named = std::mem::take(&mut flags.plus);
        }
        self.printer.flags = flags;
        match verb {
            'T' => {
                let name = Value::text(value.type_name());
                self.printer.value(&name, 's', 0);
            }
            'p' => self.printer.bad(verb, value),
            _ => self.printer.value(value, verb, 0),
        }
    }

    /// Decimal digits; `None` if there are none or they make too large a number.
    fn number(&mut self) -> Option<usize> {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse().ok().filter(|number| *number <= NUMBER_MAX)
    }

    /// `[2]` says which value comes next, counted from 1. Whether there was one.
    fn index(&mut self) -> bool {
        let Some(rest) = self.rest.strip_prefix('[') else {
            return false;
        };
        self.reordered = true;
        let Some(end) = rest.find(']') else {
            self.good_index = false;
            self.rest = rest;
            return false;
        };
        self.rest = &rest[end + 1..];
        let index = rest[..end].parse::<usize>().ok();
        match index.filter(|index| (1..=self.values.len()).contains(index)) {
            Some(index) => self.next = index - 1,
            None => self.good_index = false,
        }
        true
    }

    /// The value that stands for a width or precision.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        let bound = i64::try_from(NUMBER_MAX).unwrap_or(i64::MAX);
        value.int().filter(|int| (-bound..=bound).contains(int))
    }

    fn extra(&mut self) {
        self.printer.flags = Flags::default();
        self.printer.write("%!(EXTRA ");
        for (i, value) in self.values[self.next..].iter().enumerate() {
            self.printer.write(if i == 0 { "" } else { ", " });
            if matches!(value, Value::Missing) {
                self.printer.write("<nil>");
            } else {
                self.printer.write(value.type_name());
                self.printer.write("=");
                self.printer.value(value, 'v', 0);
            }
        }
        self.printer.write(")");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_prints_them() {
        let text = |text: &str| Value::text(text);
        let (int, float) = (Value::Int, Value::Float);
        for (format, values, expected) in [
            (
                "%d|%5d|%-5d|%05d|%+d|% d",
                vec![int(7); 6],
                "7|    7|7    |00007|+7| 7",
            ),
            (
                "%x|%X|%#x|%o|%#o|%O|%b|%c|%U|%q",
                vec![int(65); 10],
                "41|41|0x41|101|0101|0o101|1000001|A|U+0041|'A'",
            ),
            ("%.3d|%08.3d|%d", vec![int(-5); 3], "-005|    -005|-5"),
            (
                "%v|%g|%e|%f|%.2f|%G",
                vec![float(1e6); 6],
                "1e+06|1e+06|1.000000e+06|1000000.000000|1000000.00|1E+06",
            ),
            (
                "%5.1f|%-7.1f|%07.1f|%+.1f|% .0f",
                vec![float(-2.25); 5],
                " -2.2|-2.2   |-0002.2|-2.2|-2",
            ),
            (
                "%6.2f|%06.2f|%+g|% g",
                vec![float(2.5); 4],
                "  2.50|002.50|+2.5| 2.5",
            ),
            (
                "%f|%5.1f|%05f|%+f",
                vec![float(f64::INFINITY); 4],
                "+Inf| +Inf| +Inf|+Inf",
            ),
            ("%f|%d", vec![float(f64::NAN); 2], "NaN|%!d(float64=NaN)"),
            (
                "%s|%q|%10s|%-10s|.%.2s|%x|% X",
                vec![text("hé"); 7],
                "hé|\"hé\"|        hé|hé        |.hé|68c3a9|68 C3 A9",
            ),
            (
                "%+q|%#q|%v|%#v",
                vec![text("hé"); 4],
                "\"h\\u00e9\"|`hé`|hé|\"hé\"",
            ),
        ] {
            assert_eq!(
                sprintf(format, &values, 1000).as_deref(),
                Ok(expected),
                "{format}"
            );
        }
        assert!(sprintf("%999999d", &[int(1)], 1000).is_err());
        let values = [int(1), int(2), text("a"), int(3), float(0.5)];
        assert_eq!(sprint(&values, 100).as_deref(), Ok("1 2a3 0.5"));
        assert_eq!(sprintln(&values, 100).as_deref(), Ok("1 2 a 3 0.5\n"));
    }

    #[test]
    fn what_does_not_fit_is_said_in_the_text() {
        let text = |text: &str| Value::text(text);
        let (int, float) = (Value::Int, Value::Float);
        for (format, values, expected) in [
            (
                "%t|%v|%d",
                vec![Value::Bool(true); 3],
                "true|true|%!d(bool=true)",
            ),
            (
                "%d|%.2f|%z",
                vec![text("hi"); 3],
                "%!d(string=hi)|%!f(string=hi)|%!z(string=hi)",
            ),
            (
                "%s|%d|%.1f",
                vec![float(11.0); 3],
                "%!s(float64=11)|%!d(float64=11)|11.0",
            ),
            (
                "%s|%v|%T",
                vec![Value::Missing; 3],
                "%!s(<nil>)|<nil>|<nil>",
            ),
            ("%d %d", vec![int(1)], "1 %!d(MISSING)"),
            (
                "%d",
                vec![int(1), text("a"), Value::Missing],
                "1%!(EXTRA string=a, <nil>)",
            ),
            ("100%", vec![], "100%!(NOVERB)"),
            ("100%%|%5%", vec![], "100%|%"),
            ("%[2]d %[1]d %d", vec![int(1), int(2)], "2 1 2"),
            (
                "%[3]d|%[x]d|%[1d",
                vec![int(1)],
                "%!d(BADINDEX)|%!d(BADINDEX)|%!d(BADINDEX)",
            ),
            (
                "%*d|%.*f|%-*d|",
                vec![int(4), int(1), int(2), float(1.0), int(3), int(1)],
                "   1|1.00|1  |",
            ),
            ("%*d", vec![text("a"), int(1)], "%!(BADWIDTH)1"),
            (
                "%T %T %T",
                vec![int(1), float(1.0), text("")],
                "int float64 string",
            ),
        ] {
            assert_eq!(
                sprintf(format, &values, 1000).as_deref(),
                Ok(expected),
                "{format}"
            );
        }
    }
}
