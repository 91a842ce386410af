//! `--expect`: what should have been decided, so that an incident becomes a regression test.

use std::fmt::Write as _;
use std::time::Duration;

use super::Outcome;
use crate::model::{Action, Decision, Timestamp};
use crate::run::spelled;

const HELP: &str = "write rollback, none or escalate, and when: rollback@2026-04-01T13:13:50Z+-30s";

/// What should have been decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    what: What,
    /// A moment, and how far from it is near enough.
    at: Option<(Timestamp, Duration)>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum What {
    /// One rollback.
    Rollback,
    /// Nothing is rolled back and nobody is called.
    None,
    /// People are called, and nothing is rolled back.
    Escalate,
}

impl std::str::FromStr for Expect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, at) = match text.split_once('@') {
            Some((word, at)) => (word, Some(at)),
            None => (text, None),
        };
        let what = match word {
            "rollback" => What::Rollback,
            "none" => What::None,
            "escalate" => What::Escalate,
            _ => return Err(format!("`{word}` cannot be expected: {HELP}")),
        };
        let Some(at) = at else {
            return Ok(Self { what, at: None });
        };
        if what == What::None {
            return Err("nothing has no moment: write none alone".to_owned());
        }
        let parts = at.rsplit_once("+-").or_else(|| at.rsplit_once('±'));
        let (at, near) = parts.ok_or_else(|| format!("how near `{at}` is not said: {HELP}"))?;
        let moment = at.parse().map_err(|error| format!("{error}: {HELP}"))?;
        let near = humantime::parse_duration(near)
            .map_err(|error| format!("`{near}` is no duration ({error}): {HELP}"))?;
        Ok(Self {
            what,
            at: Some((moment, near)),
        })
    }
}

impl std::fmt::Display for Expect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.what {
            What::Rollback => "one rollback",
            What::None => "nothing that rolls back or calls people",
            What::Escalate => "people called and nothing rolled back",
        })?;
        match self.at {
            Some((at, near)) => write!(f, ", at {at} ± {}", spelled(near)),
            None => Ok(()),
        }
    }
}

impl Expect {
    /// Whether it was decided so.
    ///
    /// # Errors
    /// What was expected and what was decided, for people; ends without a newline.
    pub fn check(&self, outcome: &Outcome) -> Result<(), String> {
        let rollbacks: Vec<&Decision> = outcome.of(Action::Rollback).collect();
        let calls: Vec<&Decision> = outcome.of(Action::Escalate).collect();
        let near = |it: &&Decision| {
            self.at
                .is_none_or(|(at, near)| it.at.since(at).max(at.since(it.at)) <= near)
        };
        let so = match self.what {
            What::Rollback => rollbacks.len() == 1 && rollbacks.iter().all(near),
            What::None => rollbacks.is_empty() && calls.is_empty(),
            What::Escalate => rollbacks.is_empty() && calls.first().is_some_and(near),
        };
        if so {
            return Ok(());
        }
        let mut text = format!("expected: {self}; decided:");
        if rollbacks.is_empty() && calls.is_empty() {
            text += " nothing";
        }
        for it in rollbacks.into_iter().chain(calls) {
            let _ = write!(text, "\n  {} {}: {}", it.at, it.action, it.reason);
        }
        for it in outcome.tried() {
            let _ = write!(text, "\n  {} {} in shadow: {}", it.at, it.asked, it.reason);
        }
        Err(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_is_read() {
        for (text, expected) in [
            ("rollback", "one rollback"),
            ("none", "nothing that rolls back or calls people"),
            ("escalate", "people called and nothing rolled back"),
            (
                "rollback@2026-04-01T13:13:50Z+-30s",
                "one rollback, at 2026-04-01T13:13:50.000Z ± 30s",
            ),
            (
                "escalate@2026-04-01T15:13:50+02:00±1m 5s",
                "people called and nothing rolled back, at 2026-04-01T13:13:50.000Z ± 1m5s",
            ),
            (
                "rollback@1775049230.5+-1s",
                "one rollback, at 2026-04-01T13:13:50.500Z ± 1s",
            ),
        ] {
            assert_eq!(text.parse::<Expect>().unwrap().to_string(), expected);
        }
        for text in [
            "",
            "rollbacks",
            "none@1+-1s",
            "rollback@",
            "rollback@1",
            "rollback@1+-",
            "rollback@soon+-1s",
            "rollback@1+-1",
        ] {
            let error = text.parse::<Expect>().unwrap_err();
            assert!(error.contains("write "), "{text}: {error}");
        }
    }
}
