//! `gated observe`, `gated attest`, `gated checklist`: what people tell a running gated that no machine knows.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::Value;
use serde_json::json;

use super::cli::Attest;
use super::cli::Checklist;
use super::cli::ListFormat;
use super::cli::Observe;
use super::entry::print;
use super::reach::Reach;
use super::reach::speaker;
use crate::model::text::visible;
use crate::serve::explain::find;

impl Reach {
    pub(super) async fn observe(&self, observe: &Observe) -> anyhow::Result<()> {
        let labels: serde_json::Map<String, Value> = observe
            .labels
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        let body = json!({
            "by": speaker(&observe.speaker)?,
            "name": observe.name,
            "value": observe.value,
            "labels": labels,
            "for": humantime::format_duration(observe.lasts).to_string(),
        });
        let taken = self.say(&["observations"], &body).await?;
        let mut text = String::new();
        for it in taken["observations"].as_array().into_iter().flatten() {
            let (name, value) = (shown(it, "name"), &it["value"]);
            let _ = writeln!(text, "{name} is {value} until {}", shown(it, "until"));
        }
        for name in taken["unread"].as_array().into_iter().flatten() {
            let name = visible(name.as_str().unwrap_or("?"));
            let _ = writeln!(text, "warning: no rule reads `{name}`");
        }
        print(&text);
        Ok(())
    }

    pub(super) async fn attest(&self, attest: &Attest) -> anyhow::Result<()> {
        let item = self.item(&attest.item).await?;
        let body = json!({
            "by": speaker(&attest.speaker)?,
            "note": attest.note,
            "done": !attest.undo,
        });
        let path: Vec<&str> = ["checklist"].into_iter().chain(item.split('/')).collect();
        let said = self.say(&path, &body).await?;
        let word = if attest.undo { "open again" } else { "done" };
        let (item, by, at) = (shown(&said, "item"), shown(&said, "by"), shown(&said, "at"));
        let mut text = format!("{item} is {word}: {by}, {at}\n");
        // What a machine sees no word changes.
        let lists = self.checklists().await?;
        let mut all = ["items", "criteria"]
            .iter()
            .flat_map(|key| lists[key].as_array().into_iter().flatten());
        let good = |it: &Value| it["state"] == "done" || it["state"] == "met";
        if let Some(it) = all
            .find(|it| it["id"] == said["item"])
            .filter(|it| !attest.undo && !good(it))
        {
            let (state, why) = (shown(it, "state"), shown(it, "why"));
            text = format!("{item}: noted for {by}, and a machine decides: {state}, {why}\n");
        }
        print(&text);
        Ok(())
    }

    /// The whole name of an item; a part of it does where no other item begins so.
    async fn item(&self, asked: &str) -> anyhow::Result<String> {
        if asked.starts_with(crate::engine::REPORT) {
            return Ok(asked.to_owned());
        }
        let lists = self.checklists().await?;
        let all = ["items", "criteria"].iter().flat_map(|key| {
            let items = lists[key].as_array().into_iter().flatten();
            items.filter_map(|it| it["id"].as_str())
        });
        let all: Vec<&str> = all.collect();
        // One that is unknown is for gated to refuse: it knows what is near.
        let named = all.iter().any(|it| it.starts_with(asked));
        if !named || all.contains(&asked) {
            return Ok(asked.to_owned());
        }
        Ok(find("item", all.iter().copied(), asked)?.to_owned())
    }

    async fn checklists(&self) -> anyhow::Result<Value> {
        let request = self.daemon.request(Method::GET, &["checklist"]);
        Ok(self.daemon.send(request).await?)
    }

    pub(super) async fn checklist(&self, asked: &Checklist) -> anyhow::Result<()> {
        let mut lists = self.checklists().await?;
        let phase = lists["phase"].as_str().unwrap_or_default().to_owned();
        let text = |it: &Value| it.as_str().map(str::to_owned);
        let active: Vec<String> = lists["active"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(text)
            .collect();
        if let Some(named) = &asked.phase {
            known_phase(&lists, named)?;
        }
        let wanted = |it: &Value| {
            let phase = it["phase"].as_str().unwrap_or_default();
            let is_active = || active.iter().any(|it| it == phase);
            match &asked.phase {
                Some(named) => phase == named,
                None if asked.all => true,
                None => phase == "incidents" || is_active(),
            }
        };
        for key in ["items", "criteria"] {
            if let Value::Array(all) = &mut lists[key] {
                all.retain(wanted);
            }
        }
        if asked.format == ListFormat::Json {
            print(&format!("{lists:#}\n"));
            return Ok(());
        }
        let of = asked.phase.as_ref().unwrap_or(&phase);
        print(&drawn(&lists, of));
        Ok(())
    }
}

fn shown<'a>(value: &'a Value, key: &str) -> std::borrow::Cow<'a, str> {
    visible(value[key].as_str().unwrap_or("?"))
}

/// A phase without a checklist is as unknown here as one that is not there: the error names those that have one.
fn known_phase(lists: &Value, named: &str) -> anyhow::Result<()> {
    let all = ["items", "criteria"].iter().flat_map(|key| {
        let items = lists[key].as_array().into_iter().flatten();
        items.filter_map(|it| it["phase"].as_str())
    });
    let known: std::collections::BTreeSet<&str> = all.collect();
    if known.contains(named) {
        return Ok(());
    }
    let known: Vec<&str> = known.into_iter().collect();
    anyhow::bail!(
        "no phase `{}` has a checklist; these have: {}",
        visible(named),
        visible(&known.join(", "))
    )
}

/// For people: by phase, with what is to be done about it.
fn drawn(lists: &Value, active: &str) -> String {
    let mut text = String::new();
    let mut phase = None;
    for it in lists["items"].as_array().into_iter().flatten() {
        let of = it["phase"].as_str().unwrap_or_default();
        if phase != Some(of) {
            let gap = if phase.is_some() { "\n" } else { "" };
            let _ = writeln!(text, "{gap}{}", visible(of));
            phase = Some(of);
        }
        let mark = match it["state"].as_str() {
            Some("done") => "x",
            Some("open") => " ",
            Some("unknown") => "?",
            _ => "-",
        };
        let required = if it["required"] == true {
            " (required)"
        } else {
            ""
        };
        let _ = writeln!(text, "  [{mark}] {}{required}", shown(it, "text"));
        let said = &it["said"];
        let mut about = vec![shown(it, "id").into_owned()];
        if let Some(due) = it["due"].as_str() {
            about.push(format!("due {}", visible(due)));
        }
        if it["state"] == "done" && !said.is_null() {
            about.push(format!("{}, {}", shown(said, "by"), shown(said, "at")));
            about.extend(said["note"].as_str().map(|note| visible(note).into_owned()));
        } else if it["why"].as_str().is_some_and(|why| !why.is_empty()) {
            about.push(shown(it, "why").into_owned());
        }
        let _ = writeln!(text, "      {}", about.join("; "));
    }
    let criteria = lists["criteria"].as_array().into_iter().flatten();
    for (place, it) in criteria.enumerate() {
        if place == 0 {
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}exit to business as usual");
        }
        let _ = writeln!(text, "  {:<8} {}", shown(it, "state"), shown(it, "text"));
        let mut about = vec![shown(it, "id").into_owned()];
        about.extend(it["why"].as_str().map(|why| visible(why).into_owned()));
        if let Some(at) = it["earliest"].as_str() {
            about.push(format!("{} at the earliest", visible(at)));
        }
        let _ = writeln!(text, "           {}", about.join("; "));
    }
    if text.is_empty() {
        let now = if active.is_empty() {
            "no phase is active".to_owned()
        } else {
            format!("phase {} has no checklist", visible(active))
        };
        text = format!("{now}; `gated checklist --all` shows every phase\n");
    }
    text
}
