//! How far long work is: a bar on a terminal, nothing elsewhere.

use std::io::{IsTerminal as _, Write as _};

const WIDTH: usize = 30;

/// So much of a hundred: `###...`.
#[must_use]
pub fn drawn(percent: u64) -> String {
    let full = (WIDTH * usize::try_from(percent).unwrap_or(100) / 100).min(WIDTH);
    format!("{}{}", "#".repeat(full), ".".repeat(WIDTH - full))
}

/// In whole hundredths.
#[must_use]
pub fn percent(share: f64) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a hundred"
    )]
    let percent = (share.clamp(0.0, 1.0) * 100.0) as u64;
    percent
}

#[derive(Debug)]
pub struct Bar {
    what: String,
    shown: bool,
    percent: u64,
}

impl Bar {
    /// `what` is done, in a few words.
    #[must_use]
    pub fn new(what: &str) -> Self {
        Self {
            what: what.escape_debug().to_string(),
            shown: std::io::stderr().is_terminal(),
            percent: u64::MAX,
        }
    }

    /// A share of it is done.
    pub fn show(&mut self, share: f64) {
        let percent = percent(share);
        if !self.shown || percent == self.percent {
            return;
        }
        self.percent = percent;
        let bar = drawn(percent);
        let _ = write!(std::io::stderr(), "\r{} [{bar}] {percent:>3} % ", self.what);
    }

    /// Leaves the line as it was.
    pub fn clear(&mut self) {
        if self.shown && self.percent != u64::MAX {
            let width = self.what.chars().count() + WIDTH + 10;
            let _ = write!(std::io::stderr(), "\r{:width$}\r", "");
        }
    }
}
