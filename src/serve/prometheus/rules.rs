//! Rules and alerts: which of them are asked for, and how many groups at once.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use ring::digest;
use serde_json::Value;
use serde_json::json;

use super::Shared;
use super::groups::group_json;
use super::groups::own_groups;
use super::params::Asked;
use super::params::invalid;
use super::params::of_parameter;
use crate::engine::Question;
use crate::engine::Selector;
use crate::model::Labels;
use crate::serve::Service;
use crate::serve::answer::Failure;
use crate::serve::answer::success;

/// Which rules of which groups; an empty list chooses all.
struct Chosen {
    kind: Option<&'static str>,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    selectors: Vec<Selector>,
}

/// Prometheus' rule groups, and gated's own triggers as one group for each phase.
pub(super) async fn rules(State(service): Shared, asked: Asked) -> Result<Response, Failure> {
    let chosen = Chosen::read(&service, &asked).await?;
    let without_alerts = asked.read("exclude_alerts", go_bool)?.unwrap_or(false);
    let page = Page::read(&asked)?;
    let snapshot = service.snapshot.load_full();
    let mut groups: Vec<Value> = snapshot.groups.iter().map(group_json).collect();
    groups.extend(own_groups(&snapshot));
    if let Some(page) = &page {
        page.skip(&mut groups)?;
    }
    groups.retain_mut(|group| chosen.narrow(group));
    let rest = page.and_then(|page| page.cut(&mut groups));
    if without_alerts {
        let rules = groups
            .iter_mut()
            .filter_map(|it| it["rules"].as_array_mut());
        for alerts in rules.flatten().filter_map(|it| it.get_mut("alerts")) {
            *alerts = json!([]);
        }
    }
    let mut told = json!({"groups": groups});
    if let Some(token) = rest {
        told["groupNextToken"] = token.into();
    }
    Ok(success(StatusCode::OK, told))
}

impl Chosen {
    async fn read(service: &Service, asked: &Asked) -> Result<Self, Failure> {
        let kind = asked.read("type", |text| match text.to_lowercase().as_str() {
            "alert" => Ok("alerting"),
            "record" => Ok("recording"),
            _ => Err(format!("not supported value \"{text}\"")),
        })?;
        Ok(Self {
            kind,
            names: asked.all("rule_name[]"),
            groups: asked.all("rule_group[]"),
            files: asked.all("file[]"),
            selectors: selectors(service, asked.all("match[]")).await?,
        })
    }

    /// Leaves the chosen rules in the group; whether it is chosen itself.
    fn narrow(&self, group: &mut Value) -> bool {
        if !among(&self.files, &group["file"]) || !among(&self.groups, &group["name"]) {
            return false;
        }
        let Some(rules) = group["rules"].as_array_mut() else {
            return false;
        };
        let all = rules.len();
        rules.retain(|rule| {
            self.kind.is_none_or(|kind| rule["type"] == kind)
                && among(&self.names, &rule["name"])
                && self.selects(&rule["labels"])
        });
        all == 0 || !rules.is_empty()
    }

    fn selects(&self, labels: &Value) -> bool {
        let pairs = labels.as_object().into_iter().flatten();
        let labels = Labels::new(pairs.map(|(name, value)| (name, value.as_str().unwrap_or(""))));
        self.selectors.is_empty() || self.selectors.iter().any(|it| it.matches(&labels))
    }
}

fn among(list: &[String], value: &Value) -> bool {
    list.is_empty() || list.iter().any(|it| value == it.as_str())
}

/// The core reads each first, since only it has the stack for any text: a question about targets, of which only the
/// faults count.
async fn selectors(service: &Service, texts: Vec<String>) -> Result<Vec<Selector>, Failure> {
    let mut selectors = Vec::new();
    for text in texts {
        let targets = Some(text.clone());
        let question = Question::Metadata { targets };
        let read = service.desk.ask(question, None).await;
        read.map_err(|it| of_parameter("match[]", it))?;
        selectors.extend(Selector::parse(&text));
    }
    Ok(selectors)
}

/// As Go's `strconv.ParseBool`.
fn go_bool(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "1" | "t" | "true" => Ok(true),
        "0" | "f" | "false" => Ok(false),
        _ => Err(format!("\"{text}\" is neither true nor false")),
    }
}

/// So many groups, from the one that the token of the answer before names.
struct Page {
    limit: usize,
    from: Option<String>,
}

impl Page {
    fn read(asked: &Asked) -> Result<Option<Self>, Failure> {
        let limit = asked.read("group_limit", |text| match text.parse::<u32>() {
            Ok(0) => Err("it must be greater than 0".to_owned()),
            Ok(limit) => Ok(limit as usize),
            Err(_) => Err("it must be a whole number".to_owned()),
        })?;
        let from = asked.get("group_next_token").map(str::to_owned);
        match (limit, from) {
            (Some(limit), from) => Ok(Some(Self { limit, from })),
            (None, Some(_)) => Err(invalid("group_next_token", "it needs group_limit")),
            (None, None) => Ok(None),
        }
    }

    /// Leaves out the groups of the pages before.
    fn skip(&self, groups: &mut Vec<Value>) -> Result<(), Failure> {
        if let Some(from) = &self.from {
            let place = groups.iter().position(|group| token(group) == *from);
            let why = "no group has this token. Were rule groups changed?";
            groups.drain(..place.ok_or_else(|| invalid("group_next_token", why))?);
        }
        Ok(())
    }

    /// Leaves out the groups of the pages behind; the token of the next one.
    fn cut(&self, groups: &mut Vec<Value>) -> Option<String> {
        let next = groups.get(self.limit).map(token);
        groups.truncate(self.limit);
        next
    }
}

/// Names a group by its file and name, as letters that a URL takes as they are.
fn token(group: &Value) -> String {
    let text = format!("{};{}", group["file"], group["name"]);
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let half = digest.as_ref().first_chunk().expect("SHA-256 has 32 bytes");
    format!("{:032x}", u128::from_be_bytes(*half))
}

/// Pending and firing alerts of the rule groups and of gated's own triggers.
pub(super) async fn alerts(State(service): Shared) -> Response {
    let snapshot = service.snapshot.load_full();
    let groups = snapshot.groups.iter().map(group_json);
    let groups: Vec<Value> = groups.chain(own_groups(&snapshot)).collect();
    let rules = groups.iter().filter_map(|group| group["rules"].as_array());
    let alerts: Vec<&Value> = rules
        .flatten()
        .filter_map(|rule| rule["alerts"].as_array())
        .flatten()
        .collect();
    success(StatusCode::OK, json!({"alerts": alerts}))
}
