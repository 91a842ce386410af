//! Where the bytes of a scalar's value stand in the file.
//!
//! The parser gives a value and the lines it was written on, but not how one became the other. The writing is decoded
//! here a second time, byte by byte, and the places count only if the same value comes out.

use std::ops::Range;

/// For each byte of the value, the bytes of the file it stands for. Only a trailing line break may be missing.
pub(super) type Places = Vec<Range<usize>>;

/// `None` where the value is written in a way that is not known here (an alias, for one).
pub(super) fn places(text: &str, span: &Range<usize>, value: &str) -> Option<Places> {
    let raw = text.get(span.clone())?;
    let before = &text[..span.start];
    let indent = span.start - before.rfind('\n').map_or(0, |it| it + 1);
    // Blank lines before the first word are no part of what the parser shows.
    let blank = value.len() - value.trim_start_matches('\n').len();
    let wanted = value[blank..].trim_end_matches('\n');
    let ways: [fn(&str, usize) -> Option<Decoded>; 4] = [quoted, literal, folded, plain];
    let decoded = ways
        .iter()
        .filter_map(|way| way(raw, indent))
        .find(|it| it.value.trim_end_matches('\n') == wanted)?;
    let moved = decoded.places.into_iter();
    let moved = moved.map(|it| it.start + span.start..it.end + span.start);
    // Lines behind the last word are no part of the value, though the parser shows them.
    let moved = moved.take(value.len() - blank);
    Some(
        vec![span.start..span.start; blank]
            .into_iter()
            .chain(moved)
            .collect(),
    )
}

#[derive(Default)]
struct Decoded {
    value: String,
    places: Places,
}

impl Decoded {
    /// As it is written.
    fn copy(&mut self, text: &str, at: usize) {
        self.value.push_str(text);
        self.places
            .extend((at..at + text.len()).map(|it| it..it + 1));
    }

    /// A character that these bytes stand for.
    fn stand_in(&mut self, what: char, place: &Range<usize>) {
        self.value.push(what);
        let bytes = what.len_utf8();
        self.places
            .extend(std::iter::repeat_n(place.clone(), bytes));
    }

    /// What lies between two lines with so many blank ones between them.
    fn fold(&mut self, blanks: usize, at: usize) {
        if blanks == 0 {
            self.stand_in(' ', &(at..at));
        }
        for _ in 0..blanks {
            self.stand_in('\n', &(at..at));
        }
    }
}

/// The lines without their breaks, and where each begins.
fn lines(raw: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    raw.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, line.trim_end_matches('\n').trim_end_matches('\r'))
    })
}

/// A line of a block scalar without the block's indentation; the first one comes without it.
fn dedented((start, line): (usize, &str), indent: usize) -> (usize, &str) {
    let spaces = line.len() - line.trim_start_matches(' ').len();
    let cut = if start == 0 { 0 } else { spaces.min(indent) };
    (start + cut, &line[cut..])
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "one of several ways to read a scalar"
)]
fn literal(raw: &str, indent: usize) -> Option<Decoded> {
    let mut decoded = Decoded::default();
    for line in lines(raw) {
        let (at, line) = dedented(line, indent);
        decoded.copy(line, at);
        decoded.stand_in('\n', &(at + line.len()..at + line.len()));
    }
    Some(decoded)
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "one of several ways to read a scalar"
)]
fn folded(raw: &str, indent: usize) -> Option<Decoded> {
    let mut decoded = Decoded::default();
    let (mut blanks, mut kept) = (0, None);
    for line in lines(raw) {
        let (at, line) = dedented(line, indent);
        if line.is_empty() {
            blanks += 1;
            continue;
        }
        let keeps = line.starts_with([' ', '\t']);
        if let Some(kept) = kept {
            let breaks = if kept || keeps { blanks + 1 } else { blanks };
            decoded.fold(breaks, at);
        }
        decoded.copy(line, at);
        (blanks, kept) = (0, Some(keeps));
    }
    Some(decoded)
}

fn plain(raw: &str, _: usize) -> Option<Decoded> {
    let mut decoded = Decoded::default();
    flow(raw, &mut decoded, |decoded, line, at| {
        decoded.copy(line, at);
        Some(false)
    })?;
    Some(decoded)
}

fn quoted(raw: &str, _: usize) -> Option<Decoded> {
    let quote = raw.chars().next().filter(|it| matches!(it, '"' | '\''))?;
    let inner = raw.trim_end().strip_prefix(quote)?.strip_suffix(quote)?;
    let mut decoded = Decoded::default();
    let line = if quote == '"' { escaped } else { doubled };
    flow(inner, &mut decoded, line)?;
    // The quote itself stands before everything.
    for place in &mut decoded.places {
        *place = place.start + 1..place.end + 1;
    }
    Some(decoded)
}

/// Lines that are folded wherever they break. `each` says whether its line goes on in the next one.
fn flow(
    raw: &str,
    decoded: &mut Decoded,
    each: fn(&mut Decoded, &str, usize) -> Option<bool>,
) -> Option<()> {
    let last = lines(raw).count().saturating_sub(1);
    let (mut blanks, mut goes_on) = (0, false);
    for (index, (start, line)) in lines(raw).enumerate() {
        let lead = line.len() - line.trim_start_matches([' ', '\t']).len();
        let lead = if index == 0 { 0 } else { lead };
        let mut line = &line[lead..];
        if index < last {
            let trimmed = line.trim_end_matches([' ', '\t']);
            // An escaped blank at a line's end is none that is trimmed.
            line = if trimmed.ends_with('\\') {
                line
            } else {
                trimmed
            };
        }
        if line.is_empty() && index > 0 && index < last {
            blanks += 1;
            continue;
        }
        let at = start + lead;
        if index > 0 && !goes_on {
            decoded.fold(blanks, at);
        }
        goes_on = each(decoded, line, at)?;
        blanks = 0;
    }
    Some(())
}

/// Within single quotes: a quote is written twice.
#[allow(
    clippy::unnecessary_wraps,
    reason = "one of several ways to read a line"
)]
fn doubled(decoded: &mut Decoded, line: &str, at: usize) -> Option<bool> {
    let mut rest = line.char_indices();
    while let Some((offset, c)) = rest.next() {
        let start = at + offset;
        if c == '\'' {
            rest.next();
            decoded.stand_in(c, &(start..start + 2));
        } else {
            decoded.copy(&line[offset..offset + c.len_utf8()], start);
        }
    }
    Some(false)
}

/// Within double quotes; `None` for an escape that is none.
fn escaped(decoded: &mut Decoded, line: &str, at: usize) -> Option<bool> {
    let mut offset = 0;
    while let Some(c) = line[offset..].chars().next() {
        let start = at + offset;
        if c != '\\' {
            decoded.copy(&line[offset..offset + c.len_utf8()], start);
            offset += c.len_utf8();
            continue;
        }
        let Some(kind) = line[offset + 1..].chars().next() else {
            return Some(true);
        };
        let digits = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let len = 1 + kind.len_utf8() + digits;
        let character = match kind {
            'x' | 'u' | 'U' => {
                let code = line.get(offset + 2..offset + len)?;
                char::from_u32(u32::from_str_radix(code, 16).ok()?)?
            }
            '0' => '\0',
            'a' => '\x07',
            'b' => '\x08',
            't' | '\t' => '\t',
            'n' => '\n',
            'v' => '\x0b',
            'f' => '\x0c',
            'r' => '\r',
            'e' => '\x1b',
            ' ' | '"' | '/' | '\\' => kind,
            'N' => '\u{85}',
            '_' => '\u{a0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            _ => return None,
        };
        decoded.stand_in(character, &(start..start + len));
        offset += len;
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::places;
    use crate::runbook::yaml::{Kind, parse};

    /// What the first occurrence of `»…«`, taken out of the value, stands at.
    #[test]
    fn values_are_found_where_they_are_written() {
        for (text, wanted, found) in [
            ("a: |\n  # up\n  up[5m]\nb: c\n", "up[5m]", "up[5m]"),
            ("a: |-\n  up\n   two\n# no\nb: c\n", " two", " two"),
            ("a: |\n  foo == (\n  (\n", "\n(", "\n  ("),
            (
                "a: >-\n  sum(up\n  ) by job\n\n  two\n   more\n  less\nb: c\n",
                "by job",
                "by job",
            ),
            ("a: >-\n  x\n   more\n  less\nb: c\n", "less", "less"),
            ("a: >\n\n\n  x\n", "x", "x"),
            ("a: |+2\n    x\n\n\n", "x", "x"),
            ("a: \"x\\\"y\n    z\\\n    w\\u00e9!\" # c\n", "w", "w"),
            (
                "a: \"x\\\"y\n    z\\\n    w\\u00e9!\" # c\n",
                "é",
                "\\u00e9",
            ),
            ("a: \"x\\\"y\n    z\\\n    w\\u00e9!\" # c\n", "!", "!"),
            ("a: 'it''s\n    two' # c\n", "two", "two"),
            ("a: 'it''s'\n", "'s", "''s"),
            ("a: plain\n  two # c\n", "two", "two"),
            ("a:\n  up\n  == 0\n\n  or b\n\nb: d\n", "or", "or"),
            ("é: é ü\n", "ü", "ü"),
            ("a: |\r\n  x\r\n  y\r\nb: c\r\n", "y", "y"),
            ("a: [x, \"y\"]\n", "y", "y"),
        ] {
            let tree = parse(text).unwrap();
            let Kind::Map(pairs) = &tree.kind else {
                panic!("{text}");
            };
            let mut node = &pairs[0].1;
            if let Kind::List(items) = &node.kind {
                node = &items[1];
            }
            let Kind::Scalar(value) = &node.kind else {
                panic!("{text}");
            };
            let places = places(text, &node.span, value).unwrap_or_else(|| panic!("{text:?}"));
            let at = value.find(wanted).unwrap();
            let place = places[at].start..places[at + wanted.len() - 1].end;
            assert_eq!(&text[place], found, "{text:?}");
        }
        assert_eq!(places("a: *b\n", &(3..5), "value"), None);
    }
}
