//! Prometheus' rule files, read as its rule manager reads them: every fault of a file at once.

mod rule;
mod table;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::fault::{Place, Source};
use super::group::{GroupRule, GroupRuleKind, RuleGroup};
use super::lint::Written;
use super::quantity::spelled;
use super::reader::Reader;
use super::yaml::{self, Broken, Kind, Node};
use table::{Table, first};

const GROUP_KEYS: [&str; 6] = [
    "name",
    "interval",
    "query_offset",
    "limit",
    "labels",
    "rules",
];

/// Groups that give no interval are evaluated this often.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(60);

/// Whether a file is one of Prometheus', by its name.
pub fn is_rule_file(path: &str) -> bool {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    let endings = ["yml", "yaml", "rules"];
    endings.iter().any(|it| ending.eq_ignore_ascii_case(it))
}

/// The groups of one file and their expressions; faults go to `reader`.
pub(super) fn groups(
    reader: &Reader<'_>,
    source: usize,
    file: &Source,
) -> (Vec<RuleGroup>, Vec<Written>) {
    let reading = Reading {
        reader,
        source,
        file,
        written: RefCell::default(),
    };
    let groups = match yaml::parse(&file.text) {
        Ok(tree) => reading.file(&tree),
        Err(broken) => {
            reading.broken(broken);
            Vec::new()
        }
    };
    (groups, reading.written.into_inner())
}

struct Reading<'r, 'e> {
    reader: &'r Reader<'e>,
    source: usize,
    file: &'r Source,
    /// Every expression that parses, for the lints.
    written: RefCell<Vec<Written>>,
}

/// What makes a rule another's double: name, labels, expression.
type Said = (String, BTreeMap<String, String>, String);

impl Reading<'_, '_> {
    fn fault(&self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        let place = Place {
            source: self.source,
            span,
        };
        self.reader.fault(&place, message, help);
    }

    fn broken(&self, broken: Broken) {
        let place = |span| Place {
            source: self.source,
            span,
        };
        let Broken {
            message,
            help,
            span,
            first,
        } = broken;
        match first {
            Some(first) => {
                let (here, first) = (place(span), place(first));
                self.reader
                    .clash(&here, message, &help, &first, "first here");
            }
            None => self.fault(span, message, help),
        }
    }

    fn file(&self, tree: &Node) -> Vec<RuleGroup> {
        if matches!(tree.kind, Kind::Null) {
            return Vec::new();
        }
        let Some(top) = self.table(tree, &["groups"], "a rule file") else {
            return Vec::new();
        };
        let Some(groups) = top.get("groups") else {
            return Vec::new();
        };
        let mut names: BTreeMap<String, Range<usize>> = BTreeMap::new();
        let mut read = Vec::new();
        for node in self.list(groups, "groups") {
            let Some(table) = self.table(node, &GROUP_KEYS, "a group") else {
                continue;
            };
            let name = table.get("name").and_then(|it| self.text(it));
            let Some(name) = name.filter(|it| !it.is_empty()) else {
                self.fault(first(&table), "a group has no name", "write name: NAME");
                continue;
            };
            let span = table.get("name").map_or(0..0, |it| it.span.clone());
            if let Some(other) = names.insert(name.clone(), span.clone()) {
                let place = |span: Range<usize>| Place {
                    source: self.source,
                    span,
                };
                self.reader.clash(
                    &place(span),
                    format!("there are two groups `{name}` in this file"),
                    "give one another name",
                    &place(other),
                    "first here",
                );
            }
            read.push(self.group(name, &table));
        }
        read
    }

    fn group(&self, name: String, table: &Table<'_>) -> RuleGroup {
        let shared = self.labels(table.get("labels"), "label");
        let limit = table.get("limit").and_then(|node| {
            let text = self.text(node)?;
            let number = text.parse::<usize>().ok();
            if number.is_none() {
                let message = format!("`limit` is `{text}`");
                self.fault(
                    node.span.clone(),
                    message,
                    "write a whole number; 0 is no limit",
                );
            }
            number
        });
        let interval = self.positive(table, "interval");
        let mut rules = Vec::new();
        // Recordings of one name and labels may well give different series; twice the same rule cannot.
        let mut known: BTreeMap<Said, Range<usize>> = BTreeMap::new();
        for node in table
            .get("rules")
            .map_or(&[][..], |it| self.list(it, "rules"))
        {
            let Some((rule, span)) = self.rule(node, &shared) else {
                continue;
            };
            let expr = rule.expr.text().trim().to_owned();
            let key = (rule.name.clone(), rule.labels.clone(), expr);
            if let Some(other) = known.insert(key, span.clone()) {
                let place = |span: Range<usize>| Place {
                    source: self.source,
                    span,
                };
                self.reader.clash(
                    &place(span.clone()),
                    format!(
                        "`{}` stands in group `{name}` twice, with the same labels and expression",
                        rule.name
                    ),
                    "take one out, or give it a label of its own",
                    &place(other),
                    "first here",
                );
            }
            self.short(&rule, interval.unwrap_or(INTERVAL_DEFAULT), span);
            rules.push(rule);
        }
        RuleGroup {
            interval,
            query_offset: self.duration(table, "query_offset"),
            limit: limit.unwrap_or(0),
            file: self.file.path.clone(),
            name,
            rules,
        }
    }

    /// A `for` that is over before anybody looks again.
    fn short(&self, rule: &GroupRule, interval: Duration, span: Range<usize>) {
        let GroupRuleKind::Alert(alert) = &rule.kind else {
            return;
        };
        if !alert.hold.is_zero() && alert.hold < interval {
            let place = Place {
                source: self.source,
                span,
            };
            let message = format!(
                "`{}` waits {} and is looked at every {}: it fires at the second look",
                rule.name,
                spelled(alert.hold),
                spelled(interval)
            );
            let help = "give the group a shorter interval, or the alert a longer `for`";
            self.reader.warn(&place, message, help);
        }
    }
}
