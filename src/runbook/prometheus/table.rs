//! Tables, lists and words of a rule file, each checked as it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use super::Reading;
use crate::model::labels::NAME;
use crate::model::time;
use crate::runbook::condition::nearest;
use crate::runbook::yaml::{Key, Kind, Node};

/// The pairs of a table, by name.
pub(super) struct Table<'t> {
    pairs: BTreeMap<&'t str, (&'t Key, &'t Node)>,
    pub span: Range<usize>,
}

impl<'t> Table<'t> {
    pub fn get(&self, name: &str) -> Option<&'t Node> {
        let node = self.pairs.get(name).map(|(_, node)| *node);
        node.filter(|node| !matches!(node.kind, Kind::Null))
    }

    pub fn key(&self, name: &str) -> Range<usize> {
        let known = self.pairs.get(name).map(|(key, _)| key.span.clone());
        known.unwrap_or_else(|| self.span.clone())
    }
}

impl Reading<'_, '_> {
    /// Labels or annotations: names and texts.
    pub(super) fn labels(&self, node: Option<&Node>, what: &str) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        let Some(node) = node else { return labels };
        let Kind::Map(pairs) = &node.kind else {
            let message = format!(
                "{what}s are a table of names and texts, not {}",
                node.what()
            );
            self.fault(
                node.span.clone(),
                message,
                "write NAME: TEXT on lines of their own",
            );
            return labels;
        };
        for (key, value) in pairs {
            if key.name.is_empty() || (what == "label" && key.name == NAME) {
                let message = format!("`{}` is no name for a {what}", key.name);
                self.fault(
                    key.span.clone(),
                    message,
                    "the metric's name is said by `record`",
                );
                continue;
            }
            if let Some(text) = self.text(value) {
                labels.insert(key.name.clone(), text);
            }
        }
        labels
    }

    pub(super) fn positive(&self, table: &Table<'_>, key: &str) -> Option<Duration> {
        let duration = self.duration(table, key)?;
        if duration.is_zero() {
            // As in Prometheus: nought means the default.
            return None;
        }
        Some(duration)
    }

    pub(super) fn duration(&self, table: &Table<'_>, key: &str) -> Option<Duration> {
        let node = table.get(key)?;
        let text = self.text(node)?;
        let read = time::duration(&text);
        if read.is_none() {
            let message = format!("`{key}` is `{text}`");
            let help = "write a duration as Prometheus does: 30s, 5m, 1h30m, 1d, 0s";
            self.fault(node.span.clone(), message, help);
        }
        read
    }

    pub(super) fn text(&self, node: &Node) -> Option<String> {
        match &node.kind {
            Kind::Scalar(text) => Some(text.clone()),
            Kind::Null => Some(String::new()),
            Kind::List(_) | Kind::Map(_) => {
                let message = format!("a text is expected here, not {}", node.what());
                self.fault(
                    node.span.clone(),
                    message,
                    "write it on one line, or after `|`",
                );
                None
            }
        }
    }

    pub(super) fn list<'t>(&self, node: &'t Node, what: &str) -> &'t [Node] {
        match &node.kind {
            Kind::List(items) => items,
            Kind::Null => &[],
            Kind::Scalar(_) | Kind::Map(_) => {
                let message = format!("`{what}` is a list, not {}", node.what());
                self.fault(node.span.clone(), message, "begin each item with `- `");
                &[]
            }
        }
    }

    /// The pairs of a table whose keys must be among `keys`.
    pub(super) fn table<'t>(&self, node: &'t Node, keys: &[&str], what: &str) -> Option<Table<'t>> {
        let Kind::Map(pairs) = &node.kind else {
            let message = format!("{what} is a table, not {}", node.what());
            let help = format!("its keys are {}", keys.join(", "));
            self.fault(node.span.clone(), message, help);
            return None;
        };
        let mut table = Table {
            pairs: BTreeMap::new(),
            span: node.span.clone(),
        };
        let mut told = BTreeSet::new();
        for (key, value) in pairs {
            if !keys.contains(&key.name.as_str()) {
                if told.insert(&key.name) {
                    let help = match nearest(&key.name, keys.iter().copied()) {
                        Some(known) => format!("did you mean `{known}`?"),
                        None => format!("the keys of {what} are {}", keys.join(", ")),
                    };
                    let message = format!("{what} has no key `{}`", key.name);
                    self.fault(key.span.clone(), message, help);
                }
                continue;
            }
            table.pairs.insert(&key.name, (key, value));
        }
        Some(table)
    }
}

/// The first key of a table: what stands for the whole of it.
pub(super) fn first(table: &Table<'_>) -> Range<usize> {
    let keys = table.pairs.values().map(|(key, _)| key.span.clone());
    keys.min_by_key(|span| span.start)
        .unwrap_or_else(|| table.span.clone())
}
