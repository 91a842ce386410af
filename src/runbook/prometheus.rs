//! Prometheus' rule files, read as its rule manager reads them: every fault of a file at once.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use super::condition::nearest;
use super::fault::{Place, Source};
use super::group::{AlertRule, GroupRule, GroupRuleKind, RuleGroup};
use super::lint;
use super::quantity::spelled;
use super::reader::Reader;
use super::template_queries;
use super::yaml::{self, Key, Kind, Node};
use crate::model::labels::NAME;
use crate::model::{Action, Severity, time};
use crate::promql::Expr;
use crate::template::Template;

const GROUP_KEYS: [&str; 6] = [
    "name",
    "interval",
    "query_offset",
    "limit",
    "labels",
    "rules",
];
const RULE_KEYS: [&str; 7] = [
    "record",
    "alert",
    "expr",
    "for",
    "keep_firing_for",
    "labels",
    "annotations",
];

/// Groups that give no interval are evaluated this often.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(60);

/// The label by which an alert asks for something.
const DO: &str = "gated_do";

/// How bad what `severity` says is. Other words leave it to what the alert asks for.
const SEVERITIES: [(&str, Severity); 10] = [
    ("P1", Severity::P1),
    ("critical", Severity::P1),
    ("page", Severity::P1),
    ("P2", Severity::P2),
    ("error", Severity::P2),
    ("warning", Severity::P2),
    ("P3", Severity::P3),
    ("info", Severity::P3),
    ("P4", Severity::P4),
    ("none", Severity::P4),
];

/// Whether a file is one of Prometheus', by its name.
pub fn is_rule_file(path: &str) -> bool {
    let ending = path.rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|it| it.eq_ignore_ascii_case("yml") || it.eq_ignore_ascii_case("yaml"))
}

/// The groups of one file; faults go to `reader`.
pub(super) fn groups(
    reader: &Reader<'_>,
    source: usize,
    file: &Source,
    interval: Option<Duration>,
) -> Vec<RuleGroup> {
    let reading = Reading {
        reader,
        interval,
        source,
        file,
    };
    let tree = match yaml::parse(&file.text) {
        Ok(tree) => tree,
        Err((message, span)) => {
            reading.fault(span, message, "this is not YAML as Prometheus reads it");
            return Vec::new();
        }
    };
    reading.file(&tree)
}

struct Reading<'r, 'e> {
    reader: &'r Reader<'e>,
    /// Of the fastest scrape.
    interval: Option<Duration>,
    source: usize,
    file: &'r Source,
}

/// What makes a rule another's double: name, labels, expression.
type Said = (String, BTreeMap<String, String>, String);

/// The pairs of a table, by name.
struct Table<'t> {
    pairs: BTreeMap<&'t str, (&'t Key, &'t Node)>,
    span: Range<usize>,
}

impl<'t> Table<'t> {
    fn get(&self, name: &str) -> Option<&'t Node> {
        let node = self.pairs.get(name).map(|(_, node)| *node);
        node.filter(|node| !matches!(node.kind, Kind::Null))
    }

    fn key(&self, name: &str) -> Range<usize> {
        let known = self.pairs.get(name).map(|(key, _)| key.span.clone());
        known.unwrap_or_else(|| self.span.clone())
    }
}

impl Reading<'_, '_> {
    fn fault(&self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        let place = Place {
            source: self.source,
            span,
        };
        self.reader.fault(&place, message, help);
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

    /// The rule and where its name stands.
    fn rule(
        &self,
        node: &Node,
        shared: &BTreeMap<String, String>,
    ) -> Option<(GroupRule, Range<usize>)> {
        let table = self.table(node, &RULE_KEYS, "a rule")?;
        let of = |key: &str| {
            table
                .get(key)
                .and_then(|it| self.text(it))
                .filter(|it| !it.is_empty())
        };
        let (record, alert) = (of("record"), of("alert"));
        let is_alert = alert.is_some();
        let (name, key) = match (record, alert) {
            (Some(name), None) => (name, "record"),
            (None, Some(name)) => (name, "alert"),
            (Some(_), Some(_)) => {
                let help = "make two rules of it";
                self.fault(
                    table.key("alert"),
                    "a rule has both `record` and `alert`",
                    help,
                );
                return None;
            }
            (None, None) => {
                let help = "write record: NAME or alert: NAME";
                self.fault(
                    first(&table),
                    "a rule has neither `record` nor `alert`",
                    help,
                );
                return None;
            }
        };
        let place = table.get(key).map_or(0..0, |it| it.span.clone());
        if !is_alert {
            for refused in ["for", "keep_firing_for", "annotations"] {
                if table.get(refused).is_some() {
                    let message =
                        format!("`{refused}` belongs to alerts, and `{name}` is recorded");
                    self.fault(table.key(refused), message, format!("take `{refused}` out"));
                }
            }
            if name.contains(['{', '}']) {
                let message = format!("`{name}` holds braces");
                let help = "a recorded metric has a name alone; labels go under `labels`";
                self.fault(place.clone(), message, help);
            }
        }
        let own = self.labels(table.get("labels"), "label");
        let mut labels = shared.clone();
        labels.extend(own);
        let action = self.action(&labels, table.get("labels"));
        let annotations = self.labels(table.get("annotations"), "annotation");
        if is_alert {
            self.templates(table.get("labels"));
            self.templates(table.get("annotations"));
        }
        let hold = self.duration(&table, "for").unwrap_or_default();
        let keep_firing_for = self.duration(&table, "keep_firing_for").unwrap_or_default();
        let expr = self.expr(&table, &name)?;
        let kind = if is_alert {
            let severity = labels.get("severity").and_then(|word| severity(word));
            let texts = labels.values().chain(annotations.values());
            GroupRuleKind::Alert(AlertRule {
                queries: texts.flat_map(|text| template_queries::of(text)).collect(),
                hold,
                keep_firing_for,
                annotations,
                severity,
                action,
            })
        } else {
            GroupRuleKind::Record
        };
        let rule = GroupRule {
            name,
            expr,
            labels,
            kind,
        };
        Some((rule, place))
    }

    fn expr(&self, table: &Table<'_>, name: &str) -> Option<Expr> {
        let node = table.get("expr");
        let text = node
            .and_then(|it| self.text(it))
            .filter(|it| !it.trim().is_empty());
        let (Some(node), Some(text)) = (node, text) else {
            let message = format!("`{name}` has no `expr`");
            self.fault(first(table), message, "write expr: EXPRESSION");
            return None;
        };
        match Expr::parse(&text) {
            Ok(expr) => {
                let place = Place {
                    source: self.source,
                    span: table.key("expr"),
                };
                lint::expression(self.reader, &expr, &place, self.interval);
                Some(expr)
            }
            Err(error) => {
                let span = error.span.clone().unwrap_or(0..text.trim_end().len());
                let place = node.at(&self.file.text, span);
                self.fault(place, error.message.clone(), error.help());
                None
            }
        }
    }

    fn action(&self, labels: &BTreeMap<String, String>, node: Option<&Node>) -> Option<Action> {
        let word = labels.get(DO)?;
        let action = Action::from_word(word);
        if action.is_none() {
            let span = node.map_or(0..0, |node| match &node.kind {
                Kind::Map(pairs) => pairs
                    .iter()
                    .find(|(key, _)| key.name == DO)
                    .map_or(node.span.clone(), |(_, value)| value.span.clone()),
                Kind::Null | Kind::Scalar(_) | Kind::List(_) => node.span.clone(),
            });
            let words: Vec<&str> = Action::ALL.iter().map(|it| it.word()).collect();
            let help = format!("write one of {}", words.join(", "));
            self.fault(span, format!("`{DO}` is `{word}`"), help);
        }
        action
    }

    /// Labels or annotations: names and texts.
    fn labels(&self, node: Option<&Node>, what: &str) -> BTreeMap<String, String> {
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

    /// Labels and annotations of an alert are templates.
    fn templates(&self, node: Option<&Node>) {
        let Some(Kind::Map(pairs)) = node.map(|it| &it.kind) else {
            return;
        };
        for (_, value) in pairs {
            let Kind::Scalar(text) = &value.kind else {
                continue;
            };
            let template = Template::parse(text);
            if let Ok(template) = &template
                && template_queries::asked(template).unread
            {
                let place = Place {
                    source: self.source,
                    span: value.span.clone(),
                };
                let (message, help) = template_queries::unread();
                self.reader.warn(&place, message, help);
            }
            if let Err(error) = template {
                let start = error.offset.min(text.len());
                let end = text[start..]
                    .find('\n')
                    .map_or(text.len(), |len| start + len);
                let place = value.at(&self.file.text, start..end.max(start));
                let help = "templates are Go's: {{ $labels.instance }}, {{ $value | humanize }}";
                self.fault(place, error.message, help);
            }
        }
    }

    fn positive(&self, table: &Table<'_>, key: &str) -> Option<Duration> {
        let duration = self.duration(table, key)?;
        if duration.is_zero() {
            // As in Prometheus: nought means the default.
            return None;
        }
        Some(duration)
    }

    fn duration(&self, table: &Table<'_>, key: &str) -> Option<Duration> {
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

    fn text(&self, node: &Node) -> Option<String> {
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

    fn list<'t>(&self, node: &'t Node, what: &str) -> &'t [Node] {
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
    fn table<'t>(&self, node: &'t Node, keys: &[&str], what: &str) -> Option<Table<'t>> {
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
fn first(table: &Table<'_>) -> Range<usize> {
    let keys = table.pairs.values().map(|(key, _)| key.span.clone());
    keys.min_by_key(|span| span.start)
        .unwrap_or_else(|| table.span.clone())
}

fn severity(word: &str) -> Option<Severity> {
    let known = SEVERITIES.iter().find(|(name, _)| *name == word);
    known.map(|(_, severity)| *severity)
}
