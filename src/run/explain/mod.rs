//! `gated explain`: why something was decided, from the daemon or from the ledger, and the minutes around it, from the journal.

mod asked;
mod draw;
mod events;
mod minutes;

use std::io::Write as _;

use serde_json::Value;

use self::asked::Asked;
use self::minutes::Minutes;
use super::cli::{Explain, ExplainFormat};
use super::entry::print;
use super::reach::Reach;
use super::remote::RemoteError;
use crate::serve::explain::Known;
use crate::sink::ledger;

/// An explanation, wherever it is from.
struct Told {
    /// As text; empty where JSON is asked for.
    text: String,
    /// `Null` where nobody needs it.
    document: Value,
}

impl Reach {
    /// From the daemon; where none answers, from the ledger, which is only read.
    pub(super) async fn explain(&self, explain: &Explain) -> anyhow::Result<()> {
        let told = self.told(explain).await?;
        let minutes = self.minutes(&told.document);
        match explain.format {
            ExplainFormat::Text => {
                let minutes = match minutes {
                    Ok(Some(minutes)) => draw::text(&minutes),
                    Ok(None) => String::new(),
                    Err(why) => draw::none(&why),
                };
                print(&(told.text + &minutes));
            }
            ExplainFormat::Json => {
                let mut document = told.document;
                document["minutes"] = match minutes {
                    Ok(minutes) => minutes.as_ref().map_or(Value::Null, draw::json),
                    Err(why) => {
                        let _ = writeln!(std::io::stderr(), "note: {why}");
                        Value::Null
                    }
                };
                print(&format!("{document:#}\n"));
            }
        }
        Ok(())
    }

    /// `None` where nothing is recorded, or the decision rests on no reading; else why they are not known.
    fn minutes(&self, document: &Value) -> Result<Option<Minutes>, String> {
        let (Some(path), Some(asked)) = (&self.journal, Asked::of(document)) else {
            return Ok(None);
        };
        minutes::replay(path, &asked).map_err(|error| super::chain(&error))
    }

    async fn told(&self, explain: &Explain) -> anyhow::Result<Told> {
        let error = match self.live(explain).await {
            Ok(told) => return Ok(told),
            Err(error) => error,
        };
        match &error {
            RemoteError::NoDaemon { .. } | RemoteError::Answer { .. } => {}
            // The daemon shows the newest; the ledger goes further back.
            RemoteError::Refused { status: 404, .. } if self.storage.exists() => {
                let older = self.recorded(explain).ok();
                let (note, told) = older.ok_or(error)?;
                let _ = std::io::stderr().write_all(note.as_bytes());
                return Ok(told);
            }
            RemoteError::Refused { .. }
            | RemoteError::Token { .. }
            | RemoteError::NoToken(_)
            | RemoteError::NoRollout
            | RemoteError::NoIncident(_)
            | RemoteError::ManyIncidents { .. }
            | RemoteError::Client(_) => return Err(error.into()),
        }
        if !self.storage.exists() {
            let path = self.storage.display();
            let error = anyhow::Error::from(error);
            return Err(error.context(format!(
                "there is neither a running gated nor a ledger at {path}"
            )));
        }
        // Said first: a ledger that cannot be read is then no riddle.
        let _ = writeln!(std::io::stderr(), "note: {error}");
        let (note, told) = self.recorded(explain)?;
        let _ = std::io::stderr().write_all(note.as_bytes());
        Ok(told)
    }

    /// As the daemon tells it. The text is asked for by the id of the document, so that both are of one decision.
    async fn live(&self, explain: &Explain) -> Result<Told, RemoteError> {
        let mut id = explain.id.clone();
        let mut document = Value::Null;
        if self.journal.is_some() || explain.format == ExplainFormat::Json {
            document = self.daemon.explanation_json(id.as_deref()).await?;
            id = document["id"].as_str().map(str::to_owned).or(id);
        }
        let text = match explain.format {
            ExplainFormat::Text => self.daemon.explanation(id.as_deref()).await?,
            ExplainFormat::Json => String::new(),
        };
        Ok(Told { text, document })
    }

    /// The explanation as the ledger has it, and a note that says so.
    fn recorded(&self, explain: &Explain) -> anyhow::Result<(String, Told)> {
        let recorded = ledger::read(&self.storage)?;
        let known = Known::recorded(&recorded);
        let explanation = known.explain(explain.id.as_deref())?;
        let note = format!("note: read from the ledger at {}\n", self.storage.display());
        let text = match explain.format {
            ExplainFormat::Text => explanation.text(),
            ExplainFormat::Json => String::new(),
        };
        let document = serde_json::to_value(explanation.json())?;
        Ok((note, Told { text, document }))
    }
}
