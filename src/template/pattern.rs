//! Regular expressions as Go's `regexp` reads them, carried out by the `regex` crate, and Go's `$1` in replacements.

use std::collections::BTreeMap;

use regex::Captures;
use regex::Regex;
use regex::RegexBuilder;

use crate::model::pattern::translated;
use crate::template::literal::quote;

/// Compiled patterns kept during one expansion; a template that loops over one compiles it once.
const KEPT_MAX: usize = 16;
/// Bytes of one compiled pattern.
const COMPILED_BYTES_MAX: usize = 1 << 18;

#[derive(Debug, Default)]
pub(super) struct Patterns(BTreeMap<String, Regex>);

impl Patterns {
    pub fn knows(&self, pattern: &str) -> bool {
        self.0.contains_key(pattern)
    }

    /// The message is that of Go's `regexp.Compile`, with this engine's reason.
    pub fn get(&mut self, pattern: &str) -> Result<&Regex, String> {
        if self.0.len() >= KEPT_MAX && !self.knows(pattern) {
            self.0.clear();
        }
        match self.0.entry(pattern.to_owned()) {
            std::collections::btree_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::btree_map::Entry::Vacant(free) => Ok(free.insert(compile(pattern)?)),
        }
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    let translated =
        translated(pattern).map_err(|reason| format!("error parsing regexp: {reason}"))?;
    RegexBuilder::new(&translated)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            format!("error parsing regexp: {reason}: {}", quote(pattern))
        })
}

/// Go's `ReplaceAllString`; an error if the text would grow past `bytes_max`.
pub(super) fn replace_all(
    regex: &Regex,
    text: &str,
    with: &str,
    bytes_max: usize,
) -> Result<String, String> {
    let mut out = String::new();
    let mut end = 0;
    for captures in regex.captures_iter(text) {
        let found = captures.get_match();
        out.push_str(&text[end..found.start()]);
        expand(&mut out, with, &captures);
        end = found.end();
        if out.len() > bytes_max {
            return Err(format!("text is longer than {bytes_max} bytes"));
        }
    }
    out.push_str(&text[end..]);
    Ok(out)
}

/// Writes a replacement: `$name`, `${name}` and `$$`; a group that did not match is empty.
fn expand(out: &mut String, with: &str, captures: &Captures<'_>) {
    let mut rest = with;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let Some((name, after)) = group(rest) else {
            out.push('$');
            continue;
        };
        rest = after;
        let found = match name.parse::<usize>() {
            Ok(number) => captures.get(number),
            Err(_) => captures.name(name),
        };
        out.push_str(found.map_or("", |found| found.as_str()));
    }
    out.push_str(rest);
}

/// The name behind `$`, and what follows it.
fn group(text: &str) -> Option<(&str, &str)> {
    let (braced, body) = match text.strip_prefix('{') {
        Some(body) => (true, body),
        None => (false, text),
    };
    let end = body
        .find(|c: char| !(c == '_' || c.is_alphanumeric()))
        .unwrap_or(body.len());
    let (name, after) = body.split_at(end);
    if name.is_empty() {
        return None;
    }
    let after = if braced {
        after.strip_prefix('}')?
    } else {
        after
    };
    Some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_as_go_does() {
        for (pattern, with, text, expected) in [
            ("(a)b", "x$1", "ab", "xa"),
            ("(a)b", "$1x", "ab", ""),
            ("(a)b", "${1}x", "ab", "ax"),
            ("(?P<n>a)b", "<$n>", "abab", "<a><a>"),
            ("(a)|b", "[$1]", "ab", "[a][]"),
            ("a", "$$ $ ${ ${x-y} $9", "a", "$ $ ${ ${x-y} "),
            ("x*", "-", "axb", "-a-b-"),
            (r"\d+", "n", "7 ٣", "n ٣"),
            (r"[\w[]+", "w", "a[é", "wé"),
            (r"[^\s&&]", "s", "a& \u{a0}", "s& s"),
            (r"\Qa.b\E+", "q", "a.bb a+b", "q a+b"),
            (r"[]a]", "b", "]a", "bb"),
            (r"[[:alpha:]]\b", "z", "ab", "az"),
            (r"(?i)A\.b$", "m", "a.B", "m"),
            (r"[--x]", "m", "-x", "mm"),
        ] {
            let regex = compile(pattern).expect(pattern);
            let replaced = replace_all(&regex, text, with, 100);
            assert_eq!(replaced.as_deref(), Ok(expected), "{pattern}");
        }
        assert!(compile("(").is_err_and(|e| e.starts_with("error parsing regexp: ")));
        let regex = compile("").expect("a pattern");
        assert!(replace_all(&regex, "aaaa", "bbbb", 10).is_err());
    }

    #[test]
    fn keeps_few() {
        let mut patterns = Patterns::default();
        for i in 0..100 {
            patterns.get(&format!("a{i}")).expect("a pattern");
        }
        assert!(patterns.0.len() <= KEPT_MAX);
    }
}
