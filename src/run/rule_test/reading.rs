//! A YAML tree read key by key: every getter reports what is wrong under its words instead of stopping. Deliberately
//! absent: which keys there are.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use crate::model::time;
use crate::runbook::yaml::{Key, Kind, Node};
use crate::runbook::{Fault, Faults, Grade, Source, nearest};

/// One file while it is read, and what was found wrong with it.
pub(super) struct Reading<'s> {
    pub source: &'s Source,
    faults: RefCell<Vec<Fault>>,
}

/// The pairs of a table, by name.
pub(super) struct Table<'t> {
    pairs: BTreeMap<&'t str, (&'t Key, &'t Node)>,
    pub span: Range<usize>,
}

impl<'t> Table<'t> {
    /// What is null is not there.
    pub fn get(&self, name: &str) -> Option<&'t Node> {
        let node = self.pairs.get(name).map(|(_, node)| *node);
        node.filter(|node| !matches!(node.kind, Kind::Null))
    }

    /// Its first key: what stands for the whole of it.
    pub fn first(&self) -> Range<usize> {
        let keys = self.pairs.values().map(|(key, _)| key.span.clone());
        let first = keys.min_by_key(|span| span.start);
        first.unwrap_or_else(|| self.span.clone())
    }
}

impl<'s> Reading<'s> {
    pub fn new(source: &'s Source) -> Self {
        Self {
            source,
            faults: RefCell::default(),
        }
    }

    pub fn fault(&self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.faults.borrow_mut().push(Fault {
            grade: Grade::Error,
            source: 0,
            span,
            message: message.into(),
            help: help.into(),
            also: None,
        });
    }

    /// Everything found so far, in the order of the file.
    pub fn take(&self) -> Faults {
        let mut faults = self.faults.take();
        faults.sort_by_key(|it| it.span.start);
        Faults {
            sources: vec![self.source.clone()],
            faults,
        }
    }

    /// The line of a byte, from 1.
    pub fn line(&self, at: usize) -> usize {
        let before = self.source.text.bytes().take(at);
        1 + before.filter(|byte| *byte == b'\n').count()
    }

    /// The pairs of a table whose keys must be among `keys`.
    pub fn table<'t>(&self, node: &'t Node, keys: &[&str], what: &str) -> Option<Table<'t>> {
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
        for (key, value) in pairs {
            if keys.contains(&key.name.as_str()) {
                table.pairs.insert(&key.name, (key, value));
                continue;
            }
            let message = format!("{what} has no key `{}`", key.name);
            let mut help = format!("its keys are {}", keys.join(", "));
            if let Some(known) = nearest(&key.name, keys.iter().copied()) {
                help = format!("did you mean `{known}`? {help}");
            }
            self.fault(key.span.clone(), message, help);
        }
        Some(table)
    }

    /// The items under a key; none where it is absent.
    pub fn list<'t>(&self, table: &Table<'t>, key: &str) -> &'t [Node] {
        let Some(node) = table.get(key) else {
            return &[];
        };
        if let Kind::List(items) = &node.kind {
            return items;
        }
        let message = format!("`{key}` is a list, not {}", node.what());
        self.fault(node.span.clone(), message, "begin each item with `- `");
        &[]
    }

    pub fn text(&self, node: &Node) -> Option<String> {
        match &node.kind {
            Kind::Scalar(text) => Some(text.clone()),
            Kind::Null => Some(String::new()),
            Kind::List(_) | Kind::Map(_) => {
                let message = format!("a text is expected here, not {}", node.what());
                let help = "write it on one line, or after `|`";
                self.fault(node.span.clone(), message, help);
                None
            }
        }
    }

    /// The text under a key; `None` where it is absent.
    pub fn word(&self, table: &Table<'_>, key: &str) -> Option<String> {
        table.get(key).and_then(|node| self.text(node))
    }

    /// The text under a key that has to be there.
    pub fn needed(&self, table: &Table<'_>, key: &str, what: &str) -> Option<String> {
        let Some(node) = table.get(key) else {
            let help = format!("write {key}: …");
            self.fault(table.first(), format!("{what} has no `{key}`"), help);
            return None;
        };
        self.text(node)
    }

    /// Names and texts.
    pub fn texts(&self, table: &Table<'_>, key: &str) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        let Some(node) = table.get(key) else {
            return texts;
        };
        let Kind::Map(pairs) = &node.kind else {
            let message = format!("`{key}` is a table of names and texts, not {}", node.what());
            let help = "write NAME: TEXT on lines of their own";
            self.fault(node.span.clone(), message, help);
            return texts;
        };
        for (key, value) in pairs {
            texts.extend(self.text(value).map(|text| (key.name.clone(), text)));
        }
        texts
    }

    pub fn flag(&self, table: &Table<'_>, key: &str, default: bool) -> bool {
        let Some(node) = table.get(key) else {
            return default;
        };
        match self.text(node).as_deref() {
            Some("true" | "yes" | "on") => true,
            Some("false" | "no" | "off") | None => false,
            Some(other) => {
                let message = format!("`{key}` is `{other}`");
                self.fault(node.span.clone(), message, "write true or false");
                default
            }
        }
    }

    pub fn duration(&self, table: &Table<'_>, key: &str) -> Option<Duration> {
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

    /// One of several words; `None` where the key is absent, or says another.
    pub fn one_of<T: Copy>(
        &self,
        table: &Table<'_>,
        key: &str,
        known: &[T],
        spelling: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let node = table.get(key)?;
        let text = self.text(node)?;
        let found = known.iter().find(|it| spelling(**it) == text);
        if found.is_none() {
            let words: Vec<&str> = known.iter().map(|it| spelling(*it)).collect();
            let mut help = format!("write one of {}", words.join(", "));
            if let Some(near) = nearest(&text, words) {
                help = format!("did you mean `{near}`? {help}");
            }
            self.fault(node.span.clone(), format!("`{key}` is `{text}`"), help);
        }
        found.copied()
    }
}
