//! `gated announce`: the go-live announcement, shown or sent.

use std::fmt::Write as _;

use serde_json::Value;
use serde_json::json;

use super::cli::Announce;
use super::entry::print;
use super::reach::Reach;
use super::reach::speaker;
use crate::model::text::visible;

impl Reach {
    pub(super) async fn announce(&self, announce: &Announce) -> anyhow::Result<()> {
        let body = json!({
            "by": speaker(&announce.speaker)?,
            "dry_run": announce.look,
            "force": announce.force,
        });
        let answer = self.say(&["announce"], &body).await?;
        print(&drawn(&answer));
        Ok(())
    }
}

fn drawn(answer: &Value) -> String {
    let words = |key: &str| -> Vec<String> {
        let all = answer[key].as_array().into_iter().flatten();
        all.map(|it| visible(it.as_str().unwrap_or("?")).into_owned())
            .collect()
    };
    let hooks = words("hooks").join(", ");
    if answer["announced"] == true {
        let id = visible(answer["decision"].as_str().unwrap_or("?"));
        return format!("announced to {hooks}; `gated explain {id}` shows what became of it\n");
    }
    let mut out = String::new();
    for line in answer["text"].as_str().unwrap_or_default().lines() {
        let _ = writeln!(out, "{}", visible(line));
    }
    let _ = writeln!(out, "\nto {hooks}");
    let blanks = words("blanks");
    if !blanks.is_empty() {
        let _ = writeln!(out, "still blank: {}", blanks.join(", "));
    }
    for why in words("against") {
        if !why.starts_with("still blank") {
            let _ = writeln!(out, "not sent unless forced: {why}");
        }
    }
    out
}
