//! Prometheus' rule files → groups.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::group::{AlertRule, GroupRule, GroupRuleKind, RuleGroup};
use crate::model::{Action, Severity};
use crate::promql::Expr;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    interval: Option<String>,
    query_offset: Option<String>,
    #[serde(default)]
    limit: usize,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    record: Option<String>,
    alert: Option<String>,
    expr: Text,
    #[serde(rename = "for")]
    hold: Option<String>,
    keep_firing_for: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Integer(i64),
    Float(f64),
    Written(String),
}

const UNITS: [(&str, u64); 7] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
    ("y", 31_536_000_000),
];

fn millis(text: Option<&String>) -> Result<Option<Duration>, String> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || format!("`{text}` is no duration");
    if text == "0" {
        return Ok(Some(Duration::ZERO));
    }
    let (mut all, mut rest) = (0, text.as_str());
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let each = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(wrong)?
            .1;
        all += number.parse::<u64>().map_err(|_| wrong())? * each;
        rest = tail;
    }
    Ok(Some(Duration::from_millis(all)))
}

/// # Errors
/// The first thing that is wrong.
pub fn rule_groups(path: &str, text: &str) -> Result<Vec<RuleGroup>, String> {
    let options = serde_saphyr::options! { budget: None };
    let file: File = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| format!("{path}: {error}"))?;
    let mut groups = Vec::new();
    for group in file.groups {
        let mut rules = Vec::new();
        for rule in group.rules {
            let expr = match rule.expr {
                Text::Integer(number) => number.to_string(),
                Text::Float(number) => number.to_string(),
                Text::Written(text) => text,
            };
            let expr = Expr::parse(&expr)
                .map_err(|error| format!("{path}: {}: {expr}: {error}", group.name))?;
            let mut labels = group.labels.clone();
            labels.extend(rule.labels);
            let (name, kind) = match (rule.record, rule.alert) {
                (Some(name), None) => (name, GroupRuleKind::Record),
                (None, Some(name)) => {
                    let action = labels.get("gated_do").and_then(|it| Action::from_word(it));
                    let severity = labels.get("severity").and_then(|it| match it.as_str() {
                        "critical" | "page" | "P1" => Some(Severity::P1),
                        "warning" | "P2" => Some(Severity::P2),
                        "info" | "P3" => Some(Severity::P3),
                        "P4" => Some(Severity::P4),
                        _ => None,
                    });
                    let alert = AlertRule {
                        hold: millis(rule.hold.as_ref())?.unwrap_or_default(),
                        keep_firing_for: millis(rule.keep_firing_for.as_ref())?.unwrap_or_default(),
                        annotations: rule.annotations,
                        severity,
                        action,
                    };
                    (name, GroupRuleKind::Alert(alert))
                }
                _ => return Err(format!("{path}: a rule is either record or alert")),
            };
            rules.push(GroupRule {
                name,
                expr,
                labels,
                kind,
            });
        }
        groups.push(RuleGroup {
            name: group.name,
            file: path.to_owned(),
            interval: millis(group.interval.as_ref())?,
            query_offset: millis(group.query_offset.as_ref())?,
            limit: group.limit,
            rules,
        });
    }
    Ok(groups)
}
