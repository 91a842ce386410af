//! One rule: an alert or a recording, with its expression, labels and templates.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Reading;
use super::table::{Table, first};
use crate::model::{Action, Severity};
use crate::promql::Expr;
use crate::runbook::fault::Place;
use crate::runbook::group::{AlertRule, GroupRule, GroupRuleKind};
use crate::runbook::lint::Written;
use crate::runbook::template_queries;
use crate::runbook::yaml::{Kind, Node};
use crate::template::Template;

const RULE_KEYS: [&str; 7] = [
    "record",
    "alert",
    "expr",
    "for",
    "keep_firing_for",
    "labels",
    "annotations",
];

/// The label by which an alert asks for something.
const DO: &str = "gated_do";

/// How bad what `severity` says is. Other words leave it open.
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

impl Reading<'_, '_> {
    /// The rule and where its name stands.
    pub(super) fn rule(
        &self,
        node: &Node,
        shared: &BTreeMap<String, String>,
    ) -> Option<(GroupRule, Range<usize>)> {
        let table = self.table(node, &RULE_KEYS, "a rule")?;
        let (name, key) = self.named(&table)?;
        let is_alert = key == "alert";
        let place = table.get(key).map_or(0..0, |it| it.span.clone());
        if !is_alert {
            self.recorded(&table, &name, place.clone());
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
        let expr = self.expr(&table, &name, is_alert)?;
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

    /// Its name and the key that says it.
    fn named(&self, table: &Table<'_>) -> Option<(String, &'static str)> {
        let of = |key: &str| {
            table
                .get(key)
                .and_then(|it| self.text(it))
                .filter(|it| !it.is_empty())
        };
        let (record, alert) = (of("record"), of("alert"));
        match (record, alert) {
            (Some(name), None) => Some((name, "record")),
            (None, Some(name)) => Some((name, "alert")),
            (Some(_), Some(_)) => {
                let help = "make two rules of it";
                self.fault(
                    table.key("alert"),
                    "a rule has both `record` and `alert`",
                    help,
                );
                None
            }
            (None, None) => {
                let help = "write record: NAME or alert: NAME";
                self.fault(
                    first(table),
                    "a rule has neither `record` nor `alert`",
                    help,
                );
                None
            }
        }
    }

    /// What belongs to alerts alone, and what no metric is called.
    fn recorded(&self, table: &Table<'_>, name: &str, place: Range<usize>) {
        for refused in ["for", "keep_firing_for", "annotations"] {
            if table.get(refused).is_some() {
                let message = format!("`{refused}` belongs to alerts, and `{name}` is recorded");
                self.fault(table.key(refused), message, format!("take `{refused}` out"));
            }
        }
        if name.contains(['{', '}']) {
            let message = format!("`{name}` holds braces");
            let help = "a recorded metric has a name alone; labels go under `labels`";
            self.fault(place, message, help);
        }
    }

    fn expr(&self, table: &Table<'_>, name: &str, alert: bool) -> Option<Expr> {
        let node = table.get("expr");
        let text = node
            .and_then(|it| self.text(it))
            .filter(|it| !it.trim().is_empty());
        let (Some(node), Some(text)) = (node, text) else {
            let message = format!("`{name}` has no `expr`");
            self.fault(first(table), message, "write expr: EXPRESSION");
            return None;
        };
        let spot = node.spot(self.source, &self.file.text);
        match Expr::parse(&text) {
            Ok(expr) => {
                self.written.borrow_mut().push(Written {
                    expr: expr.clone(),
                    spot,
                    alert,
                });
                Some(expr)
            }
            Err(error) => {
                let span = error.span.clone().unwrap_or(0..text.trim_end().len());
                self.reader
                    .fault(&spot.at(span), error.message.clone(), error.help());
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
                let spot = value.spot(self.source, &self.file.text);
                let help = "templates are Go's: {{ $labels.instance }}, {{ $value | humanize }}";
                self.reader
                    .fault(&spot.at(start..end.max(start)), error.message, help);
            }
        }
    }
}

fn severity(word: &str) -> Option<Severity> {
    let known = SEVERITIES.iter().find(|(name, _)| *name == word);
    known.map(|(_, severity)| *severity)
}
