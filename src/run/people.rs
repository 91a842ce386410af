//! What people tell and ask a running gated from the command line: freeze, thaw, veto, deliveries, status.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use serde_json::json;

use super::cli::Command;
use super::cli::Deliveries;
use super::cli::DeliveryWord;
use super::cli::Freeze;
use super::cli::Global;
use super::cli::Said;
use super::cli::Speaker;
use super::cli::Status;
use super::cli::Thaw;
use super::cli::Veto;
use super::cli::colour;
use super::entry::print;
use super::reach::Reach;
use super::reach::speaker;
use super::remote::RemoteError;
use super::standing;
use crate::model::text::visible;
use crate::serve::explain::find;

/// How often `status --watch` looks.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// Cursor home, and everything from there on cleared.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J\u{1b}[3J";

/// Carries out what talks to a running daemon.
pub(super) async fn carry_out(
    reach: &Reach,
    command: &Command,
    global: &Global,
) -> anyhow::Result<()> {
    match command {
        Command::Rollout(rollout) => {
            let text = reach.daemon.rollout(rollout, || reach.token()).await?;
            print(&text);
            Ok(())
        }
        Command::Incidents(it) => {
            print(&reach.daemon.incidents(it).await?);
            Ok(())
        }
        Command::Ack(it) => {
            let by = speaker(&it.speaker)?;
            let text = reach.daemon.acknowledge(it, &by, || reach.token()).await?;
            print(&text);
            Ok(())
        }
        Command::Freeze(it) => reach.freeze(it).await,
        Command::Thaw(it) => reach.thaw(it).await,
        Command::Veto(it) => reach.veto(it).await,
        Command::Explain(it) => reach.explain(it).await,
        Command::Status(it) => reach.status(it).await,
        Command::Report(it) => reach.report(it, global).await,
        Command::Observe(it) => reach.observe(it).await,
        Command::Attest(it) => reach.attest(it).await,
        Command::Checklist(it) => reach.checklist(it).await,
        Command::Announce(it) => reach.announce(it).await,
        Command::Deliveries(it) => reach.deliveries(it).await,
        Command::Init(_)
        | Command::Check(_)
        | Command::Test(_)
        | Command::Backtest(_)
        | Command::Demo(_) => {
            unreachable!("it needs no daemon")
        }
    }
}

/// `by` and `reason`, as the API takes them.
fn words(who: &Speaker, reason: &str) -> anyhow::Result<Value> {
    Ok(json!({ "by": speaker(who)?, "reason": reason }))
}

/// Text of a key, safe on a terminal.
fn text<'a>(value: &'a Value, key: &str) -> std::borrow::Cow<'a, str> {
    visible(value[key].as_str().unwrap_or("?"))
}

impl Reach {
    /// Says something that changes state.
    pub(super) async fn say(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        let token = self.token().map_err(RemoteError::NoToken)?;
        let request = self.daemon.request(Method::POST, path);
        Ok(self
            .daemon
            .send(request.bearer_auth(token).json(body))
            .await?)
    }

    async fn freeze(&self, freeze: &Freeze) -> anyhow::Result<()> {
        let mut body = words(&freeze.said.speaker, &freeze.said.reason)?;
        body["for"] = humantime::format_duration(freeze.hold).to_string().into();
        let frozen = self.say(&["freeze"], &body).await?;
        let until = text(&frozen, "frozen_until");
        print(&format!(
            "rollbacks are frozen until {until}; `gated thaw` ends it before\n"
        ));
        Ok(())
    }

    async fn thaw(&self, thaw: &Thaw) -> anyhow::Result<()> {
        let body = words(&thaw.speaker, &thaw.reason)?;
        let thawed = self.say(&["thaw"], &body).await?;
        let text = match (thawed["frozen"] == true, thawed["held"] == true) {
            (true, _) => "rollbacks are decided again\n",
            (false, true) => {
                "rollbacks are decided again: what the damaged ledger held is given up\n"
            }
            (false, false) => "rollbacks were not frozen\n",
        };
        print(text);
        Ok(())
    }

    async fn veto(&self, veto: &Veto) -> anyhow::Result<()> {
        let body = words(&veto.said.speaker, &veto.said.reason)?;
        let decisions = self.decisions().await?;
        let ids = decisions.iter().filter_map(|it| it["id"].as_str());
        let id = find("decision", ids, &veto.id)?;
        let vetoed = self.say(&["decisions", id, "veto"], &body).await?;
        let rollout = text(&vetoed, "rollout");
        print(&format!(
            "rollout {rollout} is not rolled back; `gated explain {id}` shows what became of it\n"
        ));
        Ok(())
    }

    async fn decisions(&self) -> Result<Vec<Value>, RemoteError> {
        let request = self.daemon.request(Method::GET, &["decisions"]);
        let mut data = self.daemon.send(request).await?;
        match data["decisions"].take() {
            Value::Array(decisions) => Ok(decisions),
            _ => Ok(Vec::new()),
        }
    }

    async fn status(&self, status: &Status) -> anyhow::Result<()> {
        let shown = standing::draw(&self.standing().await?, colour());
        if status.watch {
            self.watch(shown).await;
        } else {
            print(&shown);
        }
        Ok(())
    }

    /// Draws it again and again: in place on a terminal, elsewhere whenever it has changed.
    async fn watch(&self, mut shown: String) {
        let terminal = std::io::stdout().is_terminal();
        print(&if terminal {
            format!("{CLEAR}{shown}")
        } else {
            shown.clone()
        });
        loop {
            tokio::select! {
                () = tokio::time::sleep(WATCH_EVERY) => {}
                _ = tokio::signal::ctrl_c() => return,
            }
            // Who watches a restart wants to see it come back.
            let drawn = match self.standing().await {
                Ok(standing) => standing::draw(&standing, colour()),
                Err(error) => format!("{error}\n"),
            };
            if terminal {
                print(&format!("{CLEAR}{drawn}"));
            } else if drawn != shown {
                print(&format!("\n{drawn}"));
            }
            shown = drawn;
        }
    }

    async fn standing(&self) -> Result<Value, RemoteError> {
        let request = self.daemon.request(Method::GET, &["status"]);
        self.daemon.send(request).await
    }

    async fn deliveries(&self, deliveries: &Deliveries) -> anyhow::Result<()> {
        match &deliveries.word {
            None => {
                let listed = list(&self.decisions().await?, deliveries.open);
                print(&listed);
                Ok(())
            }
            Some(DeliveryWord::Ack(it)) => self.settle(&it.id, "ack", &it.said).await,
            Some(DeliveryWord::Resend(it)) => self.settle(&it.id, "resend", &it.said).await,
        }
    }

    async fn settle(&self, id: &str, word: &str, said: &Said) -> anyhow::Result<()> {
        let body = words(&said.speaker, &said.reason)?;
        let decisions = self.decisions().await?;
        let owed = decisions.iter().flat_map(owed_for);
        let id = find("delivery", owed.filter_map(|it| it["id"].as_str()), id)?;
        let settled = self.say(&["deliveries", id, word], &body).await?;
        let mut out = String::new();
        standing::delivery(&mut out, &settled);
        print(&out);
        Ok(())
    }
}

fn owed_for(decision: &Value) -> impl Iterator<Item = &Value> {
    decision["deliveries"].as_array().into_iter().flatten()
}

fn list(decisions: &[Value], open: bool) -> String {
    let mut out = String::new();
    for decision in decisions {
        let mut owed = owed_for(decision)
            .filter(|it| !open || it["settled_at"].is_null())
            .peekable();
        if owed.peek().is_none() {
            continue;
        }
        let (action, id) = (text(decision, "do"), text(decision, "id"));
        let _ = writeln!(out, "{action} {id} at {}", text(decision, "at"));
        for delivery in owed {
            standing::delivery(&mut out, delivery);
        }
    }
    if out.is_empty() {
        let which = if open { "open" } else { "known" };
        let _ = writeln!(out, "no delivery is {which}");
    }
    out
}
