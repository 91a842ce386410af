//! What went wrong, as a kind and one line for people. Absent: URLs and headers, which may hold secrets.

use std::error::Error;
use std::io;

use super::resolve::LookupFailed;
use crate::engine::{ScrapeError, ScrapeFault};
use crate::model::certificate::refused;
use crate::source::exposition::PageError;

/// A text for people has this many bytes at most.
const TEXT_BYTES_MAX: usize = 200;

pub(in crate::source) fn fault(fault: ScrapeFault, text: impl AsRef<str>) -> ScrapeError {
    ScrapeError {
        fault,
        text: one_line(text.as_ref(), TEXT_BYTES_MAX),
    }
}

/// Control characters and those that turn writing around escaped, cut to `bytes_max`.
pub(in crate::source) fn one_line(text: &str, bytes_max: usize) -> String {
    let mut line = String::new();
    for c in text.chars() {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let piece: String = if c.is_control() || turns {
            c.escape_default().collect()
        } else {
            c.into()
        };
        if line.len() + piece.len() > bytes_max - '…'.len_utf8() {
            line.push('…');
            break;
        }
        line.push_str(&piece);
    }
    line
}

/// Which kind a failed request is, by the causes behind the error.
pub(in crate::source) fn of_request(error: &reqwest::Error) -> ScrapeError {
    let mut kind = if error.is_connect() {
        ScrapeFault::Connect
    } else {
        ScrapeFault::Truncated
    };
    let mut text = "the connection ended before the answer did".to_owned();
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(failed) = error.downcast_ref::<LookupFailed>() {
            return fault(ScrapeFault::Dns, failed.to_string());
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return fault(ScrapeFault::Tls, tls_text(tls));
        }
        if let Some(http) = error.downcast_ref::<hyper::Error>()
            && (http.is_parse() || http.is_parse_too_large())
        {
            return fault(
                ScrapeFault::NotExposition,
                format!("the answer is not HTTP: {http}"),
            );
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            if io.kind() == io::ErrorKind::ConnectionRefused {
                return fault(ScrapeFault::ConnectRefused, "nothing listens there");
            }
            // `source` of a wrapping `io::Error` skips what it wraps.
            if let Some(inner) = io.get_ref() {
                cause = Some(inner);
                continue;
            }
            text = io.to_string();
            if io.kind() == io::ErrorKind::TimedOut {
                kind = ScrapeFault::Timeout;
            }
        }
        cause = error.source();
    }
    fault(kind, text)
}

/// Whether the connection went away before anything of the answer came: a kept-alive one may have died of age.
pub(in crate::source) fn hung_up(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(http) = error.downcast_ref::<hyper::Error>()
            && (http.is_incomplete_message() || http.is_canceled())
        {
            return true;
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return matches!(
                io.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::ConnectionAborted
            );
        }
        cause = error.source();
    }
    false
}

fn tls_text(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(why) = error else {
        return error.to_string();
    };
    let named = "the URL or `server_name`";
    format!("the server's certificate {}", refused(why, named))
}

pub(super) fn of_page(error: &PageError, body: &[u8]) -> ScrapeError {
    let kind = match error {
        PageError::Malformed { .. } if looks_like_markup(body) => {
            return fault(ScrapeFault::NotExposition, "the page is HTML or XML");
        }
        PageError::Malformed { .. } => ScrapeFault::Malformed,
        PageError::SampleLimit(_) => ScrapeFault::SampleLimit,
        PageError::LabelLimit { .. } => ScrapeFault::LabelLimit,
    };
    fault(kind, error.to_string())
}

fn looks_like_markup(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_and_short() {
        assert_eq!(
            one_line("a\r\nb\u{202e}\u{1b}[31m", TEXT_BYTES_MAX),
            "a\\r\\nb\\u{202e}\\u{1b}[31m"
        );
        let long = one_line(&"ä\n".repeat(500), TEXT_BYTES_MAX);
        assert!(
            long.len() <= TEXT_BYTES_MAX && long.ends_with('…'),
            "{long}"
        );
    }
}
