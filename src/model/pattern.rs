//! Regular expressions as Go's `regexp/syntax` reads them, written for the `regex` crate.
//!
//! The two agree on most of what people write. Where they do not, the text is changed (classes that know ASCII only,
//! `\Q…\E`, octal escapes, brackets and braces that mean themselves) or refused in Go's words. Deliberately absent: the
//! compiled expression; each room chooses its anchors and bounds.

/// Most repeats that `{n,m}` may ask for, by itself and with those that it repeats.
const REPEATS_MAX: u32 = 1000;

/// `pattern` in the syntax of the `regex` crate, which may still refuse it.
///
/// # Errors
/// What Go refuses and the crate would not, as Go says it: `invalid repeat count: {1001}` with the place in backticks.
pub fn translated(pattern: &str) -> Result<String, String> {
    let mut reader = Reader {
        rest: pattern,
        out: String::with_capacity(pattern.len()),
    };
    let mut repeated = None;
    let mut nested = Nested::default();
    while let Some(c) = reader.rest.chars().next() {
        let before = repeated.take();
        let start = reader.rest;
        match c {
            '\\' => reader.escape()?,
            '[' => reader.class()?,
            '(' if reader.rest.starts_with("(?") => reader.group()?,
            '*' | '+' | '?' => repeated = Some(reader.repeat(1, before)?),
            '{' => {
                if let Some((len, count)) = counted(reader.rest)? {
                    repeated = Some(reader.repeat(len, before)?);
                    if nested.repeat(count) > REPEATS_MAX {
                        return fault("invalid repeat count", reader.since(start));
                    }
                } else {
                    reader.out.push('\\');
                    reader.copy(1);
                }
            }
            _ => reader.copy(c.len_utf8()),
        }
        match c {
            // Flags for what follows are no group.
            '(' if !reader.since(start).ends_with(')') => nested.open(),
            ')' => nested.close(),
            _ if repeated.is_none() => nested.atom(),
            _ => {}
        }
    }
    Ok(reader.out)
}

/// How often the counts in a pattern repeat what stands in them all.
#[derive(Default)]
struct Nested {
    /// Of the atom read last, and the most of those before it in its group.
    last: u32,
    most: u32,
    /// The most in each group around it.
    around: Vec<u32>,
}

impl Nested {
    fn atom(&mut self) {
        self.most = self.most.max(self.last);
        self.last = 1;
    }

    fn open(&mut self) {
        self.around.push(self.most.max(self.last));
        (self.last, self.most) = (1, 1);
    }

    fn close(&mut self) {
        self.last = self.most.max(self.last);
        self.most = self.around.pop().unwrap_or(1);
    }

    fn repeat(&mut self, count: u32) -> u32 {
        self.last = self.last.saturating_mul(count);
        self.last
    }
}

fn fault<T>(what: &str, place: &str) -> Result<T, String> {
    Err(format!("{what}: `{place}`"))
}

struct Reader<'a> {
    rest: &'a str,
    out: String,
}

impl<'a> Reader<'a> {
    fn copy(&mut self, len: usize) {
        self.out.push_str(&self.rest[..len]);
        self.rest = &self.rest[len..];
    }

    /// What has been read since `start`.
    fn since(&self, start: &'a str) -> &'a str {
        &start[..start.len() - self.rest.len()]
    }

    /// An operator of `len` bytes with the `?` that makes it lazy; `before` begins at one right before it.
    fn repeat(&mut self, len: usize, before: Option<&'a str>) -> Result<&'a str, String> {
        let start = self.rest;
        let lazy = start[len..].starts_with('?');
        self.copy(len + usize::from(lazy));
        match before {
            None => Ok(start),
            Some(before) => fault("invalid nested repetition operator", self.since(before)),
        }
    }

    /// A backslash outside a class.
    fn escape(&mut self) -> Result<(), String> {
        let escaped = self.rest[1..].chars().next();
        match escaped {
            None => return Err("trailing backslash at end of expression: ``".to_owned()),
            Some('A' | 'z') => self.copy(2),
            Some(border @ ('b' | 'B')) => {
                self.out += if border == 'b' {
                    "(?-u:\\b)"
                } else {
                    "(?-u:\\B)"
                };
                self.rest = &self.rest[2..];
            }
            Some('Q') => {
                let text = &self.rest[2..];
                let (literal, rest) = text.split_once("\\E").unwrap_or((text, ""));
                self.out += &regex::escape(literal);
                self.rest = rest;
            }
            Some('p' | 'P') => self.property()?,
            Some(class) if perl(class).is_some() => {
                let (negated, members) = perl(class).unwrap_or_default();
                let caret = if negated { "^" } else { "" };
                self.out.extend(["[", caret, members, "]"]);
                self.rest = &self.rest[2..];
            }
            Some(_) => {
                let character = self.character()?;
                self.out += &regex::escape(character.encode_utf8(&mut [0; 4]));
            }
        }
        Ok(())
    }

    /// `\pL`, `\p{Greek}`, `\P{^Greek}`.
    fn property(&mut self) -> Result<(), String> {
        const RANGE: &str = "invalid character class range";
        let start = self.rest;
        let Some(name) = start[2..].strip_prefix('{') else {
            let Some(letter) = start[2..].chars().next() else {
                return fault(RANGE, start);
            };
            self.copy(2 + letter.len_utf8());
            return Ok(());
        };
        let Some((name, rest)) = name.split_once('}') else {
            return fault(RANGE, start);
        };
        let mut negated = start.starts_with("\\P");
        let bare = name.strip_prefix('^');
        negated ^= bare.is_some();
        let letter = if negated { "\\P{" } else { "\\p{" };
        self.out.extend([letter, bare.unwrap_or(name), "}"]);
        self.rest = rest;
        Ok(())
    }

    /// The character that a backslash and what follows it stand for.
    fn character(&mut self) -> Result<char, String> {
        const ESCAPE: &str = "invalid escape sequence";
        let start = self.rest;
        let mut chars = start[1..].chars();
        let Some(escaped) = chars.next() else {
            return Err("trailing backslash at end of expression: ``".to_owned());
        };
        self.rest = chars.as_str();
        let code = match escaped {
            '0'..='7' => {
                let digits = 1 + self.run(2, |c| matches!(c, '0'..='7'));
                // One digit would be a reference to a group.
                let code = u32::from_str_radix(&start[1..=digits], 8).ok();
                self.rest = &start[1 + digits..];
                code.filter(|_| escaped == '0' || digits > 1)
            }
            'x' => self.hex(),
            'a' => Some(7),
            'f' => Some(12),
            't' => Some(9),
            'n' => Some(10),
            'r' => Some(13),
            'v' => Some(11),
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => Some(u32::from(other)),
            _ => None,
        };
        match code.and_then(char::from_u32) {
            Some(character) => Ok(character),
            None => fault(ESCAPE, self.since(start)),
        }
    }

    /// The code behind `\x`: in braces, or two digits.
    fn hex(&mut self) -> Option<u32> {
        let start = self.rest;
        let Some(braced) = start.strip_prefix('{') else {
            let digits = self.run(2, |c| c.is_ascii_hexdigit());
            self.rest = &start[digits..];
            let code = u32::from_str_radix(&start[..digits], 16).ok();
            return code.filter(|_| digits == 2);
        };
        let digits = braced
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(braced.len());
        let closed = braced[digits..].starts_with('}');
        self.rest = &start[1 + digits + usize::from(closed)..];
        let code = u32::from_str_radix(&braced[..digits], 16).ok();
        code.filter(|_| closed)
    }

    /// How many of the next characters, at most so many and all ASCII, belong.
    fn run(&self, most: usize, belongs: fn(char) -> bool) -> usize {
        let run = self.rest.chars().take(most);
        run.take_while(|c| belongs(*c)).count()
    }

    fn class(&mut self) -> Result<(), String> {
        let start = self.rest;
        let negated = start[1..].starts_with('^');
        self.copy(1 + usize::from(negated));
        let mut first = true;
        loop {
            let Some(next) = self.rest.chars().next() else {
                return fault("missing closing ]", start);
            };
            if next == ']' && !first {
                self.copy(1);
                return Ok(());
            }
            first = false;
            self.member()?;
        }
    }

    /// A named class, a character or a range of them within brackets.
    fn member(&mut self) -> Result<(), String> {
        const RANGE: &str = "invalid character class range";
        let start = self.rest;
        if start.starts_with("[:")
            && let Some(end) = start[2..].find(":]")
        {
            let name = &start[2..2 + end];
            if !NAMED.contains(&name.strip_prefix('^').unwrap_or(name)) {
                return fault(RANGE, &start[..end + 4]);
            }
            self.copy(end + 4);
            return Ok(());
        }
        let escaped = start.strip_prefix('\\');
        match escaped.and_then(|it| it.chars().next()) {
            Some('p' | 'P') => return self.property(),
            Some(class) if perl(class).is_some() => {
                let (negated, members) = perl(class).unwrap_or_default();
                if negated {
                    self.out.extend(["[^", members, "]"]);
                } else {
                    self.out += members;
                }
                self.rest = &start[2..];
                return Ok(());
            }
            _ => {}
        }
        let low = self.single()?;
        self.out += &literal(low);
        let behind = self.rest.strip_prefix('-');
        if let Some(behind) = behind.filter(|it| !it.is_empty() && !it.starts_with(']')) {
            self.rest = behind;
            let high = self.single()?;
            if high < low {
                return fault(RANGE, self.since(start));
            }
            self.out.push('-');
            self.out += &literal(high);
        }
        Ok(())
    }

    fn single(&mut self) -> Result<char, String> {
        let mut chars = self.rest.chars();
        match chars.next() {
            Some('\\') => self.character(),
            Some(character) => {
                self.rest = chars.as_str();
                Ok(character)
            }
            None => Err("missing closing ]: ``".to_owned()),
        }
    }

    /// `(?P<name>`, `(?<name>`, `(?i)`, `(?i-s:`.
    fn group(&mut self) -> Result<(), String> {
        let start = self.rest;
        let behind = &start[2..];
        let named = behind
            .strip_prefix("P<")
            .or_else(|| behind.strip_prefix('<'));
        if let Some(name) = named {
            let end = name.find(|c: char| !(c == '_' || c.is_ascii_alphanumeric()));
            let end = end.unwrap_or(name.len());
            if end == 0 || !name[end..].starts_with('>') {
                return fault(
                    "invalid named capture",
                    &start[..start.len() - name.len() + end],
                );
            }
            self.copy(start.len() - name.len() + end + 1);
            return Ok(());
        }
        let end = behind.find(|c| !matches!(c, 'i' | 'm' | 's' | 'U' | '-'));
        let flags = &behind[..end.unwrap_or(behind.len())];
        let (_, off) = flags.split_once('-').unwrap_or((flags, "s"));
        let closed = behind[flags.len()..].starts_with([':', ')']);
        if !closed || off.is_empty() || off.contains('-') {
            let next = behind[flags.len()..]
                .chars()
                .next()
                .map_or(0, char::len_utf8);
            let place = &start[..2 + flags.len() + next];
            return fault("invalid or unsupported Perl syntax", place);
        }
        // Flags that change nothing are none to the crate.
        if flags.is_empty() && behind.starts_with(')') {
            self.rest = &start[3..];
        } else {
            self.copy(2 + flags.len() + 1);
        }
        Ok(())
    }
}

const NAMED: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// Whether it is the others that are meant, and the members; of ASCII only.
fn perl(class: char) -> Option<(bool, &'static str)> {
    Some(match class {
        'd' => (false, "0-9"),
        'D' => (true, "0-9"),
        'w' => (false, "0-9A-Za-z_"),
        'W' => (true, "0-9A-Za-z_"),
        's' => (false, "\\t\\n\\f\\r\\x20"),
        'S' => (true, "\\t\\n\\f\\r\\x20"),
        _ => return None,
    })
}

/// A character within brackets that means itself.
fn literal(character: char) -> String {
    let means_more = character.is_ascii_punctuation() && !matches!(character, '<' | '>');
    let backslash = if means_more { "\\" } else { "" };
    format!("{backslash}{character}")
}

/// The length of `{n}`, `{n,}` or `{n,m}` at the start of `rest` and how often it repeats at most; `None` for a brace that means itself.
fn counted(rest: &str) -> Result<Option<(usize, u32)>, String> {
    let Some((inside, _)) = rest[1..].split_once('}') else {
        return Ok(None);
    };
    let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits && (text == "0" || !text.starts_with('0'))
    };
    if !number(least) || !(most.is_empty() || number(most)) {
        return Ok(None);
    }
    let value = |text: &str| text.parse().unwrap_or(u32::MAX);
    let least = value(least);
    let most = if most.is_empty() { least } else { value(most) };
    if least > REPEATS_MAX || most > REPEATS_MAX || least > most {
        return fault("invalid repeat count", &rest[..inside.len() + 2]);
    }
    Ok(Some((inside.len() + 2, most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the whole of a text matches.
    fn matches(pattern: &str, text: &str) -> bool {
        let translated = translated(pattern).expect(pattern);
        let regex = regex::Regex::new(&format!("^(?s:{translated})$"));
        regex.expect(pattern).is_match(text)
    }

    #[test]
    fn reads_as_go_does() {
        for (pattern, yes, no) in [
            (r"\d+", "12", "٣"),
            (r"\w\W", "a-", "aé-"),
            (r"\s", "\t", "\u{a0}"),
            (r"[\w-z]+", "a-z", "é"),
            (r"[^\S]", " ", "\u{2003}"),
            (r"é\bx\B.*", "éxy", "éx y"),
            (r"a[&&]+b", "a&&b", "ab"),
            (r"a[[]b", "a[b", "ab"),
            (r"[a[]+", "a[", "]"),
            (r"[]a]+", "]a", "b"),
            (r"[^]a]", "b", "]"),
            (r"[+--]+", "+,-", "."),
            (r"[a\-z]+", "a-z", "b"),
            (r"[~~x]+", "~x", "!"),
            (r"[[:alpha:]_]+", "a_b", "1"),
            (r"[[:^digit:]]", "a", "1"),
            (r"\Qa.[\E+", "a.[[", "ab["),
            (r"\Qcafé", "café", "cafe"),
            (r"\<\_\/\x41\x{e9}\101", "<_/AéA", "<_/AéB"),
            (r"a{b}{,2}", "a{b}{,2}", "ab"),
            (r"a{2}b{1,}c{0,1}?", "aabb", "abb"),
            (r"a{01}", "a{01}", "a"),
            (r"\p{Lu}\pN\P{^Greek}\p{^Lu}", "A1αa", "A1aa"),
            (r"(?i:A)(?P<n>b)(?<m>c)", "abc", "aBc"),
            (r"(?)a.b", "a\nb", "ab"),
            (
                r"(x{10}){2}(y{30}){1,30}(?i)(z{1000})?",
                &("x".repeat(20) + &"y".repeat(30)),
                "x",
            ),
            (r"(x{600}){0}x{600}|y", "y", "x"),
            (r"x{1000}", &"x".repeat(1000), "x"),
            (r"a*?b??", "aab", "c"),
            (r"(^a|b$)|^*c", "a", "ab"),
        ] {
            assert!(matches(pattern, yes), "{pattern}: {yes}");
            assert!(!matches(pattern, no), "{pattern}: {no}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for (pattern, fault) in [
            ("c**", "invalid nested repetition operator: `**`"),
            ("a+?*", "invalid nested repetition operator: `+?*`"),
            ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
            ("x{1001}", "invalid repeat count: `{1001}`"),
            ("((((x{100}){100}){10}))", "invalid repeat count: `{100}`"),
            (
                "a(?i)(b|(?:x{2}c){500}d?){2,}?",
                "invalid repeat count: `{2,}?`",
            ),
            ("x{2,1}", "invalid repeat count: `{2,1}`"),
            (r"\1", r"invalid escape sequence: `\1`"),
            (r"\q", r"invalid escape sequence: `\q`"),
            (r"[\b]", r"invalid escape sequence: `\b`"),
            (r"\x4", r"invalid escape sequence: `\x4`"),
            ("[z-a]", "invalid character class range: `z-a`"),
            ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
            ("[a", "missing closing ]: `[a`"),
            ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
            ("(?-:a)", "invalid or unsupported Perl syntax: `(?-:`"),
            ("(?<=a)", "invalid named capture: `(?<`"),
            ("a\\", "trailing backslash at end of expression: ``"),
        ] {
            assert_eq!(translated(pattern), Err(fault.to_owned()), "{pattern}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(pattern in r"[\\\[\](){}?*+|^$a-cQEPpxd0-9:,é-]{0,24}") {
            if let Ok(translated) = translated(&pattern) {
                let _ = regex::Regex::new(&translated);
            }
        }
    }
}
