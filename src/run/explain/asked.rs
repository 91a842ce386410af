//! Which decision is asked about, read from its explanation, wherever that is from.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::engine::About;
use crate::model::Timestamp;

/// A decision, as its explanation has it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub id: String,
    pub at: Timestamp,
    pub trigger: String,
    pub condition: String,
    /// The labels of the series that it was decided for; empty where it is no single one.
    pub series: String,
    pub signal: Option<String>,
    pub deliveries: BTreeSet<String>,
}

impl Asked {
    /// `None` for what is no explanation.
    pub fn of(document: &Value) -> Option<Self> {
        let text = |key: &str| document[key].as_str().map(str::to_owned);
        let (trigger, condition) = (text("trigger")?, text("condition")?);
        let owed = document["deliveries"].as_array().into_iter().flatten();
        Some(Self {
            id: text("id")?,
            at: text("at")?.parse().ok()?,
            series: series(&text("reason")?, &trigger, &condition).to_owned(),
            trigger,
            condition,
            signal: text("signal"),
            deliveries: owed
                .filter_map(|it| it["id"].as_str().map(str::to_owned))
                .collect(),
        })
    }

    pub fn about(&self) -> About<'_> {
        About {
            trigger: &self.trigger,
            condition: &self.condition,
            series: &self.series,
            signal: self.signal.as_deref(),
        }
    }
}

/// The labels in `TRIGGER: CONDITION for {…} held for …`: what a reason says first.
fn series<'a>(reason: &'a str, trigger: &str, condition: &str) -> &'a str {
    let rest = reason.strip_prefix(trigger);
    let rest = rest.and_then(|it| it.strip_prefix(": ")?.strip_prefix(condition));
    let Some(rest) = rest.and_then(|it| it.strip_prefix(" for ")) else {
        return "";
    };
    let (mut quoted, mut escaped) = (false, false);
    for (i, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return &rest[..=i],
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_its_series_first() {
        let of = |reason| series(reason, "slow", "p95 > 1s");
        for (reason, text) in [
            ("slow: p95 > 1s held for 3s, now 2s", ""),
            ("slow: p95 > 1s for {pod=\"a\"} held for 3s", "{pod=\"a\"}"),
            (
                "slow: p95 > 1s for {pod=\"}\\\"} for {\"} held",
                "{pod=\"}\\\"} for {\"}",
            ),
            ("slow: p95 > 1s for {pod=\"a", ""),
            ("fast: p95 > 1s for {pod=\"a\"}", ""),
        ] {
            assert_eq!(of(reason), text, "{reason}");
        }
    }
}
