//! What an alert's templates ask the window by `query`: known before they are expanded, or their series are not kept.

use super::Fault;
use crate::promql::Expr;
use crate::template::Template;

/// Stands for what a format's verb becomes outside of a matcher.
const NUMBER: &str = "1";

/// What to do about a query that cannot be read before it is asked.
const HELP: &str = "write the expression as one string: query \"…\", or printf \"…\" and its values; or keep every series with [window] retain";

/// What one template asks.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub exprs: Vec<Expr>,
    /// Some of it is only known when the template is expanded.
    pub unread: bool,
}

/// Whether a warning is about series that `[window] retain` keeps where it is a duration.
#[must_use]
pub fn is_about_keeping(fault: &Fault) -> bool {
    fault.help == HELP
}

/// What is wrong with such a template, and what to do about it.
pub(super) const fn unread() -> (&'static str, &'static str) {
    let message = "this template builds what it asks by `query` of parts, so nothing keeps those series under `[window] retain = \"rules\"`";
    (message, HELP)
}

/// What the template of that text asks; nothing where it is none.
pub(super) fn of(text: &str) -> Vec<Expr> {
    Template::parse(text).map_or_else(|_| Vec::new(), |it| asked(&it).exprs)
}

/// What a template passes to `query`. Where that is built, every string in it that is an expression counts, after the
/// verbs of a format are taken out, so that it asks for whatever the verbs may become.
pub(super) fn asked(template: &Template) -> Asked {
    let found = template.queries();
    let written = found.written.iter();
    let mut asked = Asked {
        exprs: written.filter_map(|it| Expr::parse(it).ok()).collect(),
        unread: found.built,
    };
    if found.built {
        for literal in found
            .literals
            .iter()
            .filter(|it| !found.written.contains(it))
        {
            let read = pattern(literal).and_then(|it| Expr::parse(&it).ok());
            let read = read.or_else(|| Expr::parse(literal).ok());
            if let Some(expr) = read.filter(|it| !it.selectors().is_empty()) {
                asked.unread = false;
                asked.exprs.push(expr);
            }
        }
    }
    asked
}

/// The expression that a format makes, whatever its values: a matcher that holds a verb is left out, elsewhere a verb
/// is a number. `None` where a verb makes a range, for then nobody knows how long the series are needed.
fn pattern(format: &str) -> Option<String> {
    let mut pattern = Pattern::default();
    let (mut quote, mut in_range) = (None, false);
    let mut rest = format;
    while let Some(c) = rest.chars().next() {
        let length = match (verb(rest), quote) {
            (Some(length), _) => {
                match &rest[..length] {
                    "%%" => pattern.push("%"),
                    _ if in_range => return None,
                    _ => pattern.verb(),
                }
                length
            }
            (None, Some(mark)) => {
                let mut length = c.len_utf8();
                if c == mark {
                    quote = None;
                } else if c == '\\' && mark != '`' {
                    length += rest[1..].chars().next().map_or(0, char::len_utf8);
                }
                pattern.push(&rest[..length]);
                length
            }
            (None, None) => {
                match c {
                    '"' | '\'' | '`' => quote = Some(c),
                    '[' | ']' => in_range = c == '[',
                    _ => {}
                }
                pattern.bare(c);
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    pattern.within.is_none().then_some(pattern.out)
}

/// What [`pattern`] has made so far.
#[derive(Debug, Default)]
struct Pattern {
    out: String,
    /// The matchers of the braces that are open: each as text, and whether it holds a verb.
    within: Option<Vec<(String, bool)>>,
}

impl Pattern {
    fn push(&mut self, text: &str) {
        match self.within.as_mut().and_then(|it| it.last_mut()) {
            Some((matcher, _)) => matcher.push_str(text),
            None => self.out.push_str(text),
        }
    }

    fn verb(&mut self) {
        match self.within.as_mut().and_then(|it| it.last_mut()) {
            Some((_, holds)) => *holds = true,
            None => self.out.push_str(NUMBER),
        }
    }

    /// A character outside of quotes.
    fn bare(&mut self, c: char) {
        match (c, &mut self.within) {
            ('{', None) => self.within = Some(vec![Default::default()]),
            ('}', Some(matchers)) => {
                let kept = matchers.drain(..).filter(|(_, holds)| !holds);
                let kept: Vec<String> = kept.map(|(text, _)| text).collect();
                self.within = None;
                self.out.push('{');
                self.out.push_str(&kept.join(","));
                self.out.push('}');
            }
            (',', Some(matchers)) => matchers.push(Default::default()),
            (c, _) => self.push(c.encode_utf8(&mut [0; 4])),
        }
    }
}

/// Length of the verb of Go's formats at the front: `%s`, `%-5.2f`, `%[1]q`, `%%`.
fn verb(text: &str) -> Option<usize> {
    let body = text.strip_prefix('%')?;
    let flags = |c: char| "+-# 0123456789.[]*".contains(c);
    let verb = body.trim_start_matches(flags);
    let c = verb.chars().next()?;
    let length = text.len() - verb.len() + 1;
    (c.is_ascii_alphabetic() || c == '%').then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_as_expressions() {
        for (format, expected) in [
            ("m{job='%s'}", Some("m{}")),
            ("m{job='%s',a=\"b\"}", Some("m{a=\"b\"}")),
            ("m{job=%q, a=`b}`} > %.2f", Some("m{ a=`b}`} > 1")),
            ("m{a=~'x|%[1]s.*',b='1',c!=\"%v\"}", Some("m{b='1'}")),
            (
                "sum(rate(m{a='%s'}[5m])) by (x) / 100 %% 7",
                Some("sum(rate(m{}[5m])) by (x) / 100 % 7"),
            ),
            (
                "label_replace(m, 'a', '%s', 'b', '(.*)')",
                Some("label_replace(m, 'a', '1', 'b', '(.*)')"),
            ),
            ("m{a='\\'%s'}", Some("m{}")),
            ("rate(m[%s])", None),
            ("m{a='", None),
        ] {
            assert_eq!(pattern(format).as_deref(), expected, "{format}");
        }
    }

    #[test]
    fn what_templates_ask() {
        for (text, exprs, unread) in [
            ("{{ $value }}", &[][..], false),
            ("{{ query \"up\" }}", &["up"], false),
            (
                "{{ printf \"m{job='%s'}\" $labels.job | query }}",
                &["m{}"],
                false,
            ),
            ("{{ $q := \"sum(m)\" }}{{ query $q }}", &["sum(m)"], false),
            (
                "{{ query (printf \"m %% 2 == %d\" 1) }}",
                &["m % 2 == 1"],
                false,
            ),
            // No format: the remainder of a division.
            (
                "{{ $q := \"m % on (a) n\" }}{{ query $q }}",
                &["m % on (a) n"],
                false,
            ),
            (
                "{{ printf \"%s{job='%s'}\" \"m\" $labels.job | query }}",
                &["m"],
                false,
            ),
            (
                "{{ print \"m{job='\" $labels.job \"'}\" | query }}",
                &[],
                true,
            ),
            ("{{ printf \"rate(m[%s])\" \"5m\" | query }}", &[], true),
            ("{{ $labels.expr | query }}", &[], true),
            ("{{ printf \"%.2f\" 1.0 | query }}", &[], true),
        ] {
            let asked = asked(&Template::parse(text).unwrap());
            let texts: Vec<&str> = asked.exprs.iter().map(Expr::text).collect();
            assert_eq!((&texts[..], asked.unread), (exprs, unread), "{text}");
        }
    }
}
