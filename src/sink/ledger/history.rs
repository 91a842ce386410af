//! The minutes of signals: a row for each, by number of the signal and second, since there are a million of them. People
//! read the view `readings`, which has names and times.

use rusqlite::{Connection, Transaction, params};

use crate::model::{Minute, Minutes, Timestamp};

pub(super) fn put(tx: &Transaction<'_>, it: &Minute) -> rusqlite::Result<()> {
    let mut named = tx.prepare_cached("INSERT OR IGNORE INTO signals (name) VALUES (?1)")?;
    let mut put = tx.prepare_cached(
        "INSERT OR REPLACE INTO minutes (signal, at, value)
         SELECT id, ?2, ?3 FROM signals WHERE name = ?1",
    )?;
    for (signal, value) in &it.values {
        named.execute([signal])?;
        put.execute(params![signal, seconds(it.at), value])?;
    }
    Ok(())
}

/// The minutes that end after what `from` says of their signal (none without) and up to `until`, by signal, of every
/// signal that has any. None in a file that was made before they were kept.
pub(super) fn between(
    db: &Connection,
    from: &dyn Fn(&str) -> Option<Timestamp>,
    until: Timestamp,
) -> rusqlite::Result<Vec<Minutes>> {
    if !db.table_exists(None, "minutes")? {
        return Ok(Vec::new());
    }
    let mut signals = db.prepare("SELECT id, name FROM signals ORDER BY name")?;
    let signals: Vec<(i64, String)> = signals
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut ends = db.prepare(
        "SELECT (SELECT min(at) FROM minutes WHERE signal = ?1),
                (SELECT max(at) FROM minutes WHERE signal = ?1)",
    )?;
    let mut read = db.prepare(
        "SELECT at, value FROM minutes WHERE signal = ?1 AND at > ?2 AND at <= ?3 ORDER BY at",
    )?;
    let mut all = Vec::new();
    for (id, signal) in signals {
        let ends: (Option<i64>, Option<i64>) =
            ends.query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (Some(since), Some(last)) = ends else {
            continue;
        };
        let from = from(&signal).map_or(i64::MAX, seconds);
        let rows = read.query_map(params![id, from, seconds(until)], |row| {
            Ok((timestamp(row.get(0)?), row.get(1)?))
        })?;
        all.push(Minutes {
            signal,
            since: timestamp(since),
            until: timestamp(last),
            values: rows.collect::<rusqlite::Result<_>>()?,
        });
    }
    Ok(all)
}

/// Lets go of what ended before `before`.
pub(super) fn sweep(tx: &Transaction<'_>, before: Timestamp) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM minutes WHERE at < ?1", [seconds(before)])?;
    tx.execute(
        "DELETE FROM signals WHERE id NOT IN (SELECT signal FROM minutes)",
        [],
    )
    .map(drop)
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds.saturating_mul(1000))
}

fn seconds(at: Timestamp) -> i64 {
    at.millis().div_euclid(1000)
}
