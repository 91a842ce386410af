//! `gated incidents` and `gated ack`: asks the daemon, prints for people or as JSON.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::Value;
use serde_json::json;

use super::Daemon;
use super::RemoteError;
use crate::model::text::visible;
use crate::run::cli::Ack;
use crate::run::cli::Incidents;
use crate::run::cli::ListFormat;
use crate::run::token::TokenError;

impl Daemon {
    /// What `gated incidents` prints.
    pub async fn incidents(&self, asked: &Incidents) -> Result<String, RemoteError> {
        let mut incidents = self.known_incidents().await?;
        if !asked.all {
            incidents.retain(|it| it["resolved_at"].is_null());
        }
        if asked.format == ListFormat::Json {
            let text = serde_json::to_string_pretty(&json!({ "incidents": incidents }));
            return Ok(text.expect("JSON that was read can be written") + "\n");
        }
        if incidents.is_empty() {
            return Ok(if asked.all {
                "no incident is known\n".to_owned()
            } else {
                "no incident is open\n".to_owned()
            });
        }
        Ok(incidents
            .iter()
            .map(describe)
            .collect::<Vec<_>>()
            .join("\n"))
    }

    /// Acknowledges an incident, which a part of its id may stand for, and gives what to print.
    pub async fn acknowledge(
        &self,
        ack: &Ack,
        by: &str,
        token: impl FnOnce() -> Result<String, TokenError>,
    ) -> Result<String, RemoteError> {
        let id = self.whole_id(&ack.id).await?;
        let body = json!({ "by": by, "note": ack.note });
        let request = self.request(Method::POST, &["incidents", &id, "ack"]);
        let it = self.send(request.bearer_auth(token()?).json(&body)).await?;
        Ok(describe(&it))
    }

    async fn known_incidents(&self) -> Result<Vec<Value>, RemoteError> {
        let mut data = self.send(self.request(Method::GET, &["incidents"])).await?;
        match data["incidents"].take() {
            Value::Array(incidents) => Ok(incidents),
            _ => Ok(Vec::new()),
        }
    }

    /// The one id that begins so, with or without its `inc_`; of several the one that is open.
    async fn whole_id(&self, begins: &str) -> Result<String, RemoteError> {
        let incidents = self.known_incidents().await?;
        let fits = |it: &&Value| {
            let id = it["id"].as_str().unwrap_or_default();
            let short = id.strip_prefix("inc_").unwrap_or(id);
            !begins.is_empty() && (id.starts_with(begins) || short.starts_with(begins))
        };
        let ids = |all: &[&Value]| -> Vec<String> {
            let ids = all.iter().filter_map(|it| it["id"].as_str());
            ids.map(ToOwned::to_owned).collect()
        };
        let found: Vec<&Value> = incidents.iter().filter(fits).collect();
        let open: Vec<&Value> = found
            .iter()
            .copied()
            .filter(|it| it["resolved_at"].is_null())
            .collect();
        match (&found[..], &open[..]) {
            ([], _) => Err(RemoteError::NoIncident(begins.to_owned())),
            ([one], _) | (_, [one]) => Ok(ids(&[one]).remove(0)),
            (several, _) => Err(RemoteError::ManyIncidents {
                begins: begins.to_owned(),
                ids: ids(several),
            }),
        }
    }
}

/// One incident for people.
fn describe(it: &Value) -> String {
    let text = |key: &str| it[key].as_str();
    let or = |key: &str| text(key).unwrap_or("?");
    let mut out = format!("incident {}  {}\n", or("id"), or("severity"));
    let _ = writeln!(out, "about    {}", or("signal"));
    if let Some(rollout) = text("rollout") {
        let _ = writeln!(out, "rollout  {rollout}");
    }
    let _ = writeln!(out, "reason   {}", or("reason"));
    let _ = writeln!(out, "opened   {}", or("opened_at"));
    if let Some(by) = text("acknowledged_by") {
        let note = text("note").map_or_else(String::new, |note| format!(": {note}"));
        let _ = writeln!(out, "taken    {} by {by}{note}", or("acknowledged_at"));
    }
    if let Some(by) = text("acknowledge_by") {
        let missed = text("breached_at").map_or("", |_| ", missed");
        let _ = writeln!(out, "ack by   {by}{missed}");
    }
    if let Some(owner) = text("owner") {
        let name = text("contact").map_or_else(String::new, |name| format!(" ({name})"));
        let _ = writeln!(out, "called   {owner}{name} at {}", or("called_at"));
    }
    if let Some(at) = text("next_call_at") {
        let role = text("next_role").map_or_else(String::new, |role| format!("{role} "));
        let _ = writeln!(out, "next     {role}at {at}");
    }
    if text("resolved_at").is_none() {
        due(&mut out, it["response"].as_array());
    }
    if let Some(at) = text("resolved_at") {
        let _ = writeln!(out, "resolved {at}: {}", or("resolution"));
    }
    out
}

/// What is to be done in it, stretch by stretch: the runbook's clock.
fn due(out: &mut String, response: Option<&Vec<Value>>) {
    for step in response.into_iter().flatten() {
        let until = step["until"].as_str().map(visible);
        let until = until.map_or_else(String::new, |until| format!(" until {until}"));
        let title = visible(step["title"].as_str().unwrap_or("?"));
        let _ = writeln!(out, "due      {title}{until}");
        for line in step["steps"].as_array().into_iter().flatten() {
            let _ = writeln!(out, "         - {}", visible(line.as_str().unwrap_or("?")));
        }
    }
}
