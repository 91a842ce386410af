//! Text that others chose, made harmless: for a page, and for a person's terminal.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;

use crate::model::text::acts;

/// Text that cannot become markup, in content and in quoted attributes.
pub(super) struct Html<'a>(pub &'a str);

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
