//! Incidents as rows and back: what a restart needs to go on where it was.

use std::collections::BTreeSet;

use rusqlite::{Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::cells::Json;
use crate::model::{Acknowledgement, Cause, DecisionId, Incident, Timestamp};

/// The wire form of a cause in the column `causes`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CauseCell {
    Trigger { name: String, series: String },
    Alert(String),
    Blind(String),
    Verification,
    Unseen(String),
}

impl From<Cause> for CauseCell {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Trigger { name, series } => Self::Trigger { name, series },
            Cause::Alert { labels } => Self::Alert(labels),
            Cause::Blind { signal } => Self::Blind(signal),
            Cause::Verification => Self::Verification,
            Cause::Unseen { what } => Self::Unseen(what),
        }
    }
}

impl From<CauseCell> for Cause {
    fn from(cell: CauseCell) -> Self {
        match cell {
            CauseCell::Trigger { name, series } => Self::Trigger { name, series },
            CauseCell::Alert(labels) => Self::Alert { labels },
            CauseCell::Blind(signal) => Self::Blind { signal },
            CauseCell::Verification => Self::Verification,
            CauseCell::Unseen(what) => Self::Unseen { what },
        }
    }
}

/// What an incident is stays as it was opened; what became of it is replaced.
pub(super) fn put(tx: &Transaction<'_>, it: &Incident) -> rusqlite::Result<()> {
    let decisions: Vec<&str> = it.decisions.iter().map(DecisionId::as_str).collect();
    let causes: Vec<CauseCell> = it.causes.iter().cloned().map(CauseCell::from).collect();
    let taken = it.acknowledged.as_ref();
    tx.prepare_cached(
        "INSERT INTO incidents (id, rollout, signal, severity, opened_at, since, rounds, reason,
             decisions, causes, reached, called_at, repeats, hooks, acknowledged_at,
             acknowledged_by, note, resolved_at, resolved, breached_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
             ?19, ?20)
         ON CONFLICT (id) DO UPDATE SET rollout = ?2, signal = ?3, severity = ?4, opened_at = ?5,
             since = ?6, rounds = ?7, reason = ?8, decisions = ?9, causes = ?10, reached = ?11,
             called_at = ?12, repeats = ?13, hooks = ?14, acknowledged_at = ?15,
             acknowledged_by = ?16, note = ?17, resolved_at = ?18, resolved = ?19,
             breached_at = ?20",
    )?
    .execute(params![
        it.id,
        it.rollout,
        it.signal,
        it.severity,
        it.opened_at,
        it.since,
        it.rounds,
        it.reason,
        Json(decisions),
        Json(causes),
        it.reached,
        it.called_at,
        it.repeats,
        Json(&it.hooks),
        taken.map(|taken| taken.at),
        taken.map(|taken| &taken.by),
        taken.and_then(|taken| taken.note.as_ref()),
        it.resolved.as_ref().map(|(at, _)| *at),
        it.resolved.as_ref().map(|(_, how)| how),
        it.breached_at,
    ])
    .map(drop)
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Incident> {
    let decisions: Json<Vec<String>> = row.get("decisions")?;
    let causes: Json<Vec<CauseCell>> = row.get("causes")?;
    let hooks: Json<BTreeSet<String>> = row.get("hooks")?;
    let acknowledged_at: Option<Timestamp> = row.get("acknowledged_at")?;
    let resolved_at: Option<Timestamp> = row.get("resolved_at")?;
    let acknowledged = acknowledged_at.map(|at| {
        Ok::<_, rusqlite::Error>(Acknowledgement {
            at,
            by: row.get("acknowledged_by")?,
            note: row.get("note")?,
        })
    });
    let resolved = resolved_at.map(|at| Ok::<_, rusqlite::Error>((at, row.get("resolved")?)));
    Ok(Incident {
        id: row.get("id")?,
        rollout: row.get("rollout")?,
        signal: row.get("signal")?,
        severity: row.get("severity")?,
        opened_at: row.get("opened_at")?,
        since: row.get("since")?,
        rounds: row.get("rounds")?,
        reason: row.get("reason")?,
        decisions: decisions.0.into_iter().map(DecisionId).collect(),
        causes: causes.0.into_iter().map(Cause::from).collect(),
        reached: row.get("reached")?,
        called_at: row.get("called_at")?,
        repeats: row.get("repeats")?,
        hooks: hooks.0,
        acknowledged: acknowledged.transpose()?,
        resolved: resolved.transpose()?,
        breached_at: row.get("breached_at")?,
    })
}
