//! `metric_relabel`: rules over one series' labels, as Prometheus' `metric_relabel_configs` defines them.
//!
//! Absent: `hashmod`, `lowercase`, `uppercase`, `keepequal`, `dropequal`.

use std::collections::BTreeMap;
use std::fmt;

use regex::Regex;

use crate::model::pattern::translated;

/// One rule. [`Relabel::default`] has Prometheus' defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relabel {
    pub action: Action,
    /// Their values, joined by `separator`, are what `regex` is held against.
    pub source_labels: Vec<String>,
    pub separator: String,
    pub regex: Anchored,
    /// Of `replace`; may refer to groups of the expression.
    pub target_label: String,
    /// Of `replace` and `labelmap`; may refer to groups of the expression.
    pub replacement: String,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Replace,
    Keep,
    Drop,
    LabelMap,
    LabelDrop,
    LabelKeep,
}

impl Default for Relabel {
    fn default() -> Self {
        Self {
            action: Action::Replace,
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            regex: Anchored::new("(.*)").expect("a constant that parses"),
            target_label: String::new(),
            replacement: "$1".to_owned(),
        }
    }
}

/// A regular expression that must match the whole text.
#[derive(Clone)]
pub struct Anchored {
    text: String,
    regex: Regex,
}

impl Anchored {
    /// # Errors
    /// What is not a regular expression, or a huge one.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        let anchored = format!("^(?s:{text})$");
        let translated = translated(&anchored).map_err(regex::Error::Syntax)?;
        Ok(Self {
            text: text.to_owned(),
            regex: Regex::new(&translated)?,
        })
    }

    fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// `template` with the groups of the match; `None` without one.
    fn expand(&self, text: &str, template: &str) -> Option<String> {
        let captures = self.regex.captures(text)?;
        let mut expanded = String::new();
        captures.expand(template, &mut expanded);
        Some(expanded)
    }
}

impl PartialEq for Anchored {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Anchored {}

impl fmt::Debug for Anchored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.text)
    }
}

/// Labels under way: what rules change.
pub(super) type Working = BTreeMap<String, String>;

/// Carries the rules out in turn. `false`: the series is dropped.
pub(super) fn apply(rules: &[Relabel], labels: &mut Working) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

impl Relabel {
    fn apply(&self, labels: &mut Working) -> bool {
        match self.action {
            Action::Keep => return self.regex.matches(&self.source(labels)),
            Action::Drop => return !self.regex.matches(&self.source(labels)),
            Action::Replace => self.replace(labels),
            Action::LabelMap => {
                let mapped: Vec<_> = labels
                    .iter()
                    .filter_map(|(name, value)| {
                        let target = self.regex.expand(name, &self.replacement)?;
                        Some((target, value.clone()))
                    })
                    .collect();
                labels.extend(mapped);
            }
            Action::LabelDrop => labels.retain(|name, _| !self.regex.matches(name)),
            Action::LabelKeep => labels.retain(|name, _| self.regex.matches(name)),
        }
        true
    }

    fn source(&self, labels: &Working) -> String {
        let values: Vec<&str> = self
            .source_labels
            .iter()
            .map(|name| labels.get(name).map_or("", String::as_str))
            .collect();
        values.join(&self.separator)
    }

    fn replace(&self, labels: &mut Working) {
        let source = self.source(labels);
        let Some(target) = self.regex.expand(&source, &self.target_label) else {
            return;
        };
        if target.is_empty() {
            return;
        }
        match self.regex.expand(&source, &self.replacement) {
            Some(value) if !value.is_empty() => labels.insert(target, value),
            _ => labels.remove(&target),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(action: Action, source: &[&str], regex: &str) -> Relabel {
        Relabel {
            action,
            source_labels: source.iter().map(|&s| s.to_owned()).collect(),
            regex: Anchored::new(regex).unwrap(),
            ..Relabel::default()
        }
    }

    fn replace(source: &[&str], regex: &str, target: &str, replacement: &str) -> Relabel {
        Relabel {
            target_label: target.to_owned(),
            replacement: replacement.to_owned(),
            ..rule(Action::Replace, source, regex)
        }
    }

    fn run(rules: &[Relabel], labels: &[(&str, &str)]) -> Option<String> {
        let mut labels: Working = labels
            .iter()
            .map(|&(n, v)| (n.to_owned(), v.to_owned()))
            .collect();
        apply(rules, &mut labels).then(|| {
            let pairs: Vec<_> = labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
            pairs.join(",")
        })
    }

    /// The cases of Prometheus' own table that use these actions, and the corners of each.
    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn as_prometheus() {
        let abc: &[(&str, &str)] = &[("a", "foo"), ("b", "bar"), ("c", "baz")];
        let map = Relabel {
            replacement: "bar_${1}".to_owned(),
            ..rule(Action::LabelMap, &[], "(.*)1")
        };
        for (name, rules, labels, want) in [
            (
                "whole value",
                vec![replace(&["a"], "f(.*)", "d", "ch${1}-ch${1}")],
                abc,
                Some("a=foo,b=bar,c=baz,d=choo-choo"),
            ),
            (
                "in turn",
                vec![
                    replace(&["a", "b"], "f(.*);(.*)r", "a", "b${1}${2}m"),
                    replace(&["c", "a"], "(b).*b(.*)ba(.*)", "d", "$1$2$2$3"),
                ],
                abc,
                Some("a=boobam,b=bar,c=baz,d=boooom"),
            ),
            (
                "drop",
                vec![
                    rule(Action::Drop, &["a"], ".*o.*"),
                    replace(&["a"], "f(.*)", "d", "x"),
                ],
                abc,
                None,
            ),
            (
                "drop is anchored",
                vec![rule(Action::Drop, &["a"], "o")],
                abc,
                Some("a=foo,b=bar,c=baz"),
            ),
            (
                "keep",
                vec![rule(Action::Keep, &["a"], "no-match")],
                abc,
                None,
            ),
            (
                "keep it",
                vec![rule(Action::Keep, &["a"], "f.*")],
                abc,
                Some("a=foo,b=bar,c=baz"),
            ),
            (
                "anchored over all branches",
                vec![rule(Action::Keep, &["a"], "fo|x")],
                abc,
                None,
            ),
            (
                "a dot is any character",
                vec![rule(Action::Keep, &["a"], "x.y")],
                &[("a", "x\ny")],
                Some("a=x\ny"),
            ),
            (
                "a class knows ASCII only",
                vec![rule(Action::Keep, &["a"], r"\w+")],
                &[("a", "é")],
                None,
            ),
            (
                "no match, no change",
                vec![replace(&["a"], ".*(b).*", "d", "$1")],
                abc,
                Some("a=foo,b=bar,c=baz"),
            ),
            (
                "an empty result removes",
                vec![replace(&["a"], "(f).*", "b", "$2")],
                abc,
                Some("a=foo,c=baz"),
            ),
            (
                "missing is empty",
                vec![replace(&["x"], "", "d", "none")],
                abc,
                Some("a=foo,b=bar,c=baz,d=none"),
            ),
            (
                "target from a group",
                vec![replace(&["a"], "some-([^-]+)-.*", "${1}", "v")],
                &[("a", "some-job-B")],
                Some("a=some-job-B,job=v"),
            ),
            (
                "labelmap",
                vec![map],
                &[("a", "foo"), ("b1", "x"), ("b2", "y")],
                Some("a=foo,b1=x,b2=y,bar_b=x"),
            ),
            (
                "labeldrop",
                vec![rule(Action::LabelDrop, &[], "b.*")],
                &[("a", "foo"), ("b1", "x")],
                Some("a=foo"),
            ),
            (
                "labelkeep",
                vec![rule(Action::LabelKeep, &[], "a")],
                abc,
                Some("a=foo"),
            ),
        ] {
            assert_eq!(run(&rules, labels).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn the_separator_joins() {
        let rule = Relabel {
            separator: "/".to_owned(),
            ..replace(&["a", "b"], "(.*)", "c", "$1")
        };
        assert_eq!(
            run(&[rule], &[("a", "1"), ("b", "2")]).as_deref(),
            Some("a=1,b=2,c=1/2")
        );
    }
}
