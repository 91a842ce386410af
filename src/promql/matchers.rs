//! The matchers of one selector.

use std::fmt;

use regex::Regex;

use crate::model::Labels;
use crate::model::labels::NAME;

/// The matchers of one selector, the name's equality apart.
#[derive(Clone, Debug, Default)]
pub struct Matchers {
    pub(super) name: Option<String>,
    pub(super) others: Vec<Matcher>,
}

#[derive(Clone, Debug)]
pub(super) struct Matcher {
    pub label: String,
    pub test: Test,
}

/// A missing label has the empty value. Regexes are anchored at both ends.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Equal(String),
    NotEqual(String),
    Matches(Regex),
    MatchesNot(Regex),
}

impl Matchers {
    /// The metric's name where the selector fixes it.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.name.as_ref().is_none_or(|name| labels.name() == name)
            && self
                .others
                .iter()
                .all(|matcher| matcher.test.holds(labels.get(&matcher.label).unwrap_or("")))
    }

    /// Whether it asks anything of this label.
    #[must_use]
    pub fn asks(&self, label: &str) -> bool {
        self.others.iter().any(|it| it.label == label)
    }

    /// Whether all it asks of this label holds for this value.
    #[must_use]
    pub fn admits(&self, label: &str, value: &str) -> bool {
        let mut asked = self.others.iter().filter(|it| it.label == label);
        asked.all(|it| it.test.holds(value))
    }

    /// The same without what it asks of these labels.
    #[must_use]
    pub fn without(mut self, labels: &[&str]) -> Self {
        self.others.retain(|it| !labels.contains(&&*it.label));
        self
    }

    /// What `absent` says of a selector that matches nothing: its equalities. In their order, every other matcher of a
    /// label takes back what an equality said of it; so does a second equality.
    pub(super) fn equalities(&self) -> Labels {
        let mut told: Vec<(&str, Option<&str>)> = Vec::new();
        for matcher in self.others.iter().filter(|it| it.label != NAME) {
            let known = told.iter_mut().find(|(label, _)| *label == matcher.label);
            match (&matcher.test, known) {
                (Test::Equal(value), None) => told.push((&matcher.label, Some(value))),
                (_, Some((_, value))) => *value = None,
                (Test::NotEqual(_) | Test::Matches(_) | Test::MatchesNot(_), None) => {}
            }
        }
        let told = told.into_iter();
        Labels::new(told.filter_map(|(label, value)| Some((label, value?))))
    }
}

/// As a selector that `PromQL` reads.
impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        let name = self.name.as_ref().map(|it| (NAME, "=", it.as_str()));
        let others = self.others.iter().map(|it| {
            let (op, value) = match &it.test {
                Test::Equal(value) => ("=", value.as_str()),
                Test::NotEqual(value) => ("!=", value.as_str()),
                Test::Matches(regex) => ("=~", regex.as_str()),
                Test::MatchesNot(regex) => ("!~", regex.as_str()),
            };
            (it.label.as_str(), op, value)
        });
        for (place, (label, op, value)) in name.into_iter().chain(others).enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let bare = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if label.chars().all(bare) && !label.starts_with(|c: char| c.is_ascii_digit()) {
                write!(f, "{comma}{label}{op}{value:?}")?;
            } else {
                write!(f, "{comma}{label:?}{op}{value:?}")?;
            }
        }
        f.write_str("}")
    }
}

impl Test {
    pub fn holds(&self, value: &str) -> bool {
        match self {
            Self::Equal(wanted) => wanted == value,
            Self::NotEqual(unwanted) => unwanted != value,
            Self::Matches(regex) => regex.is_match(value),
            Self::MatchesNot(regex) => !regex.is_match(value),
        }
    }
}
