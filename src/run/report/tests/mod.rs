//! Reports of a go-live on 2026-03-02 at midnight in UTC, over a ledger that each test fills by itself: what people said and
//! when, what was read, and when the report is made.

mod checklist;
mod figures;
mod notes;

use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::Context;
use crate::engine::Record;
use crate::model::Attestation;
use crate::model::Minute;
use crate::model::Timestamp;
use crate::report::Kind;
use crate::run::live::Files;
use crate::sink::Ledger;

const GO_LIVE: &str = "2026-03-02T00:00:00Z";

const RULES: &str = r#"
clock = "go_live"
[uptime]
down = "broken > 0"
[signals.broken]
expr = "broken"
[signals.smoke]
expr = "smoke"
[signals.throughput]
expr = "rate(calls[1m])"
unit = "per_second"
[signals.active_users]
expr = "users"
unit = "count"
[signals.support_tickets_opened]
expr = "support_tickets_opened_today"
unit = "count"

[[phase]]
name = "early"
title = "Hours 0-4"
from = "0h"
until = "4h"
checklist = [
  { item = "Plan accessible", required = true },
  { item = "Smoke tests passed", when = "smoke == 0", required = true },
  "Banner removed",
]
[[phase.activity]]
title = "Support"
at = "03:00"
checklist = ["Support logs in"]

[[phase]]
name = "week"
title = "Days 1-7"
from = "0d"
until = "7d"
[[phase.activity]]
title = "Every morning"
at = "08:00"
checklist = [{ item = "Check incident log", required = true }]
[[phase.activity]]
title = "Kick-off"
at = "10:00"
once = true
checklist = ["Team met"]
"#;

/// A ledger with its configuration.
struct Days {
    folder: TempDir,
    context: Context,
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

impl Days {
    /// Every minute from `from` until `until` was up.
    fn up(from: &str, until: &str) -> Self {
        let days = Self::of(GO_LIVE);
        days.read("uptime", from, until, |_| Some(1.0));
        days
    }

    fn of(go_live: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (config, rules) = (
            folder.path().join("gated.toml"),
            folder.path().join("r.toml"),
        );
        let text = format!(
            "[service]\nname = \"api\"\ntimezone = \"UTC\"\n[rollout]\ngo_live = \"{go_live}\"\n"
        );
        std::fs::write(&config, text).expect("a file");
        std::fs::write(&rules, RULES).expect("a file");
        let files = Files {
            config,
            rules: vec![rules],
            data: Some(folder.path().to_owned()),
        };
        let loaded = files.load(false).expect("a configuration");
        let (config, rules) = (loaded.config, loaded.rules);
        let context = Context { config, rules };
        Self { folder, context }
    }

    fn record(&self, records: &[Record]) {
        let path = self.folder.path().join("gated.db");
        let (mut ledger, _) = Ledger::open(&path, at(GO_LIVE)).expect("a ledger");
        ledger.commit(records, |_, _| Vec::new()).expect("a commit");
        ledger.close().expect("an end");
    }

    /// What a signal reads in each minute that begins in `[from, until)`.
    fn read(
        &self,
        signal: &str,
        from: &str,
        until: &str,
        value: impl Fn(Timestamp) -> Option<f64>,
    ) {
        let minute = Duration::from_secs(60);
        let mut records = Vec::new();
        let mut begins = at(from);
        while begins < at(until) {
            let values = value(begins).map(|value| (signal.to_owned(), value));
            let values: Vec<_> = values.into_iter().collect();
            // A minute is named after its end.
            let at = begins + minute;
            records.push(Record::Minute(Minute { at, values }));
            begins = at;
        }
        self.record(&records);
    }

    fn say(&self, when: &str, item: &str, note: &str) {
        self.record(&[Record::Attestation(Attestation {
            item: item.to_owned(),
            at: at(when),
            by: "ada".to_owned(),
            note: Some(note.to_owned()).filter(|it| !it.is_empty()),
            done: true,
        })]);
    }

    fn report(&self, kind: Kind, date: &str, made_at: &str) -> Made {
        let date = date.parse().expect("a date");
        let report = self.context.report(kind, date, at(made_at), None);
        let report = report.expect("a report");
        Made {
            text: report.markdown(),
            json: report.json(),
        }
    }
}

struct Made {
    text: String,
    json: Value,
}

impl Made {
    #[track_caller]
    fn says(&self, line: &str) -> &Self {
        assert!(
            self.text.contains(line),
            "`{line}` is not in\n{}",
            self.text
        );
        self
    }

    #[track_caller]
    fn never(&self, line: &str) -> &Self {
        assert!(!self.text.contains(line), "`{line}` is in\n{}", self.text);
        self
    }

    #[track_caller]
    fn is(&self, status: &str) -> &Self {
        assert_eq!(self.json["status"]["status"], status, "{}", self.text);
        self
    }
}
