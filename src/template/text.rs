//! Functions from text to text: letters, escapes for HTML, JavaScript and URLs, hosts and ports.

// Addresses are read as text here and no socket is opened, so the types come from `core`.
use core::net::IpAddr;
use std::fmt::Write as _;

use crate::template::literal::printable;

/// One letter for one, as Go's `unicode.ToUpper`: a letter whose capital takes two stays.
fn upper(c: char) -> char {
    let mut capital = c.to_uppercase();
    match (capital.next(), capital.next()) {
        (Some(capital), None) => capital,
        _ => c,
    }
}

pub(super) fn to_upper(text: &str) -> String {
    text.chars().map(upper).collect()
}

pub(super) fn to_lower(text: &str) -> String {
    // The one letter whose small form takes two in Unicode's full mapping; the simple one drops the dot.
    let lower = |c: char| c.to_lowercase().next().unwrap_or(c);
    text.chars().map(lower).collect()
}

/// Go's `strings.Title`: the first letter of each word as a capital, the others as they are.
pub(super) fn title(text: &str) -> String {
    let mut before = ' ';
    text.chars()
        .map(|c| {
            let begins = if before.is_ascii() {
                !(before.is_ascii_alphanumeric() || before == '_')
            } else {
                before.is_whitespace()
            };
            before = c;
            if begins { upper(c) } else { c }
        })
        .collect()
}

/// Go's `template.HTMLEscapeString`.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(c),
        }
    }
    out
}

/// Go's `template.JSEscapeString`.
pub(super) fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => out.extend(['\\', c]),
            '<' | '>' | '&' | '=' | '\0'..' ' => code(&mut out, c),
            _ if c.is_ascii() || printable(c) => out.push(c),
            _ => code(&mut out, c),
        }
    }
    out
}

fn code(out: &mut String, c: char) {
    write!(out, "\\u{:04X}", u32::from(c)).expect("a string takes everything");
}

/// Go's `url.QueryEscape`.
pub(super) fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => write!(out, "%{byte:02X}").expect("a string takes everything"),
        }
    }
    out
}

/// The path of a URL, percent signs decoded.
pub(super) fn path(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let path = match url.split_once("://") {
        Some((_, behind)) => behind.find('/').map_or("", |slash| &behind[slash..]),
        None => url,
    };
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let decoded = rest
            .get(1..3)
            .filter(|_| *first == b'%')
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() {
            &rest[3..]
        } else {
            behind
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Go's `net.SplitHostPort`: `host:port` or `[host]:port`; `None` where that refuses.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (before, port) = text.rsplit_once(':')?;
    let host = match before.strip_prefix('[') {
        Some(inside) => {
            let (host, behind) = inside.split_once(']')?;
            if !behind.is_empty() {
                return None;
            }
            host
        }
        None if before.contains(':') => return None,
        None => before,
    };
    let stray = |part: &str| part.contains(['[', ']']);
    (!stray(host) && !stray(port)).then_some((host, port))
}

/// The host of `host:port`; the text itself if it has no port.
pub(super) fn strip_port(text: &str) -> &str {
    split_host_port(text).map_or(text, |(host, _)| host)
}

/// `foo.example.com:80` → `foo:80`; addresses stay.
pub(super) fn strip_domain(text: &str) -> String {
    let (host, port) = split_host_port(text).unwrap_or((text, ""));
    if host.parse::<IpAddr>().is_ok() {
        return text.to_owned();
    }
    let host = host.split('.').next().unwrap_or_default();
    if port.is_empty() {
        host.to_owned()
    } else if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_gives_them() {
        assert_eq!(to_upper("straße é ﬁ"), "STRAßE É ﬁ");
        assert_eq!(to_lower("ΑΣ İ"), "ας i".replace('ς', "σ"));
        assert_eq!(title("aa bb-cc d_e l'été ünï"), "Aa Bb-Cc D_e L'Été Ünï");
        assert_eq!(
            html("<a href='x'>&\"\0"),
            "&lt;a href=&#39;x&#39;&gt;&amp;&#34;\u{fffd}"
        );
        assert_eq!(
            js("'\\\"<=>&\n\u{a0}é"),
            r#"\'\\\"\u003C\u003D\u003E\u0026\u000A\u00A0é"#
        );
        assert_eq!(query_escape("a b&c/d~é{}"), "a+b%26c%2Fd~%C3%A9%7B%7D");
        assert_eq!(path("http://h:9090/a%20b/c?x=/y#z"), "/a b/c");
        assert_eq!(
            (path("http://h"), path("/p%zz")),
            (String::new(), "/p%zz".to_owned())
        );
    }
}
