//! Text that others chose: labels of targets, reasons of people. Made harmless for a page, for Markdown and for a
//! person's terminal.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;

/// Whether a character does something to the text around it: control characters, and those that turn its direction
/// or take no room. Whoever shows the text shows them, or leaves them out.
#[must_use]
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Text that cannot become markup, in content and in quoted attributes.
#[derive(Debug)]
pub struct Html<'a>(pub &'a str);

impl fmt::Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c if acts(c) => write!(f, "{}", c.escape_default())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Characters that would move the cursor, colour the screen or turn the text round, made visible: texts of targets and
/// of people reach a terminal through here.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) {
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Text that stays text in Markdown: no markup, no HTML, no second cell or line.
#[must_use]
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '!' | '~' | '@' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts() {
        for (text, terminal, page) in [
            ("plain µ ✓", "plain µ ✓", "plain µ ✓"),
            (
                "a\u{1b}[2J\n\u{9b}1m",
                "a\\u{1b}[2J\\n\\u{9b}1m",
                "a\\u{1b}[2J\\n\\u{9b}1m",
            ),
            ("\u{202e}oob", "\\u{202e}oob", "\\u{202e}oob"),
            (
                "<b a='1'>&\"",
                "<b a='1'>&\"",
                "&lt;b a=&#39;1&#39;&gt;&amp;&quot;",
            ),
        ] {
            assert_eq!(visible(text), terminal);
            assert_eq!(Html(text).to_string(), page);
        }
    }
}
