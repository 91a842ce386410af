//! What people told gated: observations, one row a series, and attestations.

use std::collections::BTreeMap;

use rusqlite::{Row, Transaction, params};

use super::cells::Json;
use crate::model::{Attestation, Labels, Observation};

pub(super) fn put_observation(tx: &Transaction<'_>, it: &Observation) -> rusqlite::Result<()> {
    let series: BTreeMap<&str, &str> = it.labels.iter().collect();
    tx.prepare_cached(
        "INSERT INTO observations (series, value, at, until, by) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (series) DO UPDATE SET value = ?2, at = ?3, until = ?4, by = ?5",
    )?
    .execute(params![Json(series), it.value, it.at, it.until, it.by])
    .map(drop)
}

pub(super) fn observation(row: &Row<'_>) -> rusqlite::Result<Observation> {
    let series: Json<BTreeMap<String, String>> = row.get("series")?;
    Ok(Observation {
        labels: Labels::new(series.0),
        value: row.get("value")?,
        at: row.get("at")?,
        until: row.get("until")?,
        by: row.get("by")?,
    })
}

pub(super) fn put_attestation(tx: &Transaction<'_>, it: &Attestation) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO attestations (item, at, by, note, done) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (item, at) DO UPDATE SET by = ?3, note = ?4, done = ?5",
    )?
    .execute(params![it.item, it.at, it.by, it.note, it.done])
    .map(drop)
}

pub(super) fn attestation(row: &Row<'_>) -> rusqlite::Result<Attestation> {
    Ok(Attestation {
        item: row.get("item")?,
        at: row.get("at")?,
        by: row.get("by")?,
        note: row.get("note")?,
        done: row.get("done")?,
    })
}
