//! The tables and how an older file becomes a current one: each step in one transaction with its number in
//! `user_version`. Times are RFC 3339 text, enums are words, lists are JSON: made to be read with `sqlite3`.

use rusqlite::{Connection, TransactionBehavior};

/// What `file(1)` and [`super::LedgerError::Foreign`] tell gated's files by: "gatd".
const APPLICATION_ID: i64 = 0x6761_7464;

/// Step n brings `user_version` from n to n + 1. Released steps never change.
const STEPS: &[&str] = &[
    "
CREATE TABLE rollouts (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    service TEXT NOT NULL,
    environment TEXT NOT NULL,
    version TEXT NOT NULL,
    previous_version TEXT,
    started_at TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    told INTEGER NOT NULL CHECK (told IN (0, 1)),
    irreversible INTEGER NOT NULL CHECK (irreversible IN (0, 1)),
    baseline TEXT NOT NULL,
    turned_red INTEGER NOT NULL CHECK (turned_red IN (0, 1)),
    ended_at TEXT,
    ended TEXT
) STRICT;
CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at TEXT NOT NULL,
    action TEXT NOT NULL,
    asked TEXT NOT NULL,
    refused_by TEXT,
    guards TEXT NOT NULL,
    trigger TEXT NOT NULL,
    rollout TEXT,
    phase TEXT NOT NULL,
    severity TEXT NOT NULL,
    signal TEXT,
    value REAL,
    unit TEXT NOT NULL,
    condition TEXT NOT NULL,
    expr TEXT NOT NULL,
    held_for_seconds REAL NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    decision TEXT NOT NULL,
    rollout TEXT,
    receiver TEXT NOT NULL,
    kind TEXT NOT NULL,
    created_at TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    last_error TEXT,
    state TEXT NOT NULL,
    next_at TEXT,
    settled_at TEXT,
    status INTEGER,
    why TEXT,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX deliveries_by_decision ON deliveries (decision);
CREATE TABLE triggers (
    seq INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    series TEXT NOT NULL,
    condition TEXT NOT NULL,
    rollout TEXT,
    active_at TEXT NOT NULL,
    fired_at TEXT NOT NULL,
    UNIQUE (name, series)
) STRICT;
CREATE TABLE quarantines (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    moved_to TEXT NOT NULL,
    reason TEXT NOT NULL,
    confirmed_at TEXT,
    confirmed_by TEXT
) STRICT;
",
    "
CREATE TABLE alerts (
    seq INTEGER PRIMARY KEY,
    file TEXT NOT NULL,
    rule_group TEXT NOT NULL,
    rule TEXT NOT NULL,
    labels TEXT NOT NULL,
    active_at TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    UNIQUE (file, rule_group, rule, labels)
) STRICT;
",
    "
CREATE TABLE rule_groups (
    seq INTEGER PRIMARY KEY,
    file TEXT NOT NULL,
    rule_group TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    UNIQUE (file, rule_group)
) STRICT;
ALTER TABLE alerts ADD COLUMN since TEXT;
",
    "
ALTER TABLE rollouts ADD COLUMN past TEXT;
ALTER TABLE rollouts ADD COLUMN vetoed TEXT;
ALTER TABLE deliveries ADD COLUMN log TEXT;
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    deed TEXT NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL,
    subject TEXT NOT NULL,
    until TEXT,
    UNIQUE (at, deed, subject)
) STRICT;
CREATE TABLE verifications (
    seq INTEGER PRIMARY KEY,
    decision TEXT NOT NULL UNIQUE,
    since TEXT NOT NULL,
    helped TEXT,
    ended_at TEXT
) STRICT;
",
    "
CREATE TABLE incidents (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    rollout TEXT,
    signal TEXT NOT NULL,
    severity TEXT NOT NULL,
    opened_at TEXT NOT NULL,
    since TEXT NOT NULL,
    rounds INTEGER NOT NULL,
    reason TEXT NOT NULL,
    decisions TEXT NOT NULL,
    causes TEXT NOT NULL,
    reached INTEGER NOT NULL,
    called_at TEXT,
    repeats INTEGER NOT NULL,
    hooks TEXT NOT NULL,
    acknowledged_at TEXT,
    acknowledged_by TEXT,
    note TEXT,
    resolved_at TEXT,
    resolved TEXT,
    breached_at TEXT
) STRICT;
ALTER TABLE deliveries ADD COLUMN incident TEXT;
",
    "
CREATE TABLE phases (
    seq INTEGER PRIMARY KEY,
    phase TEXT NOT NULL,
    begins TEXT NOT NULL,
    entered_at TEXT,
    ended_at TEXT,
    outcome TEXT,
    UNIQUE (phase, begins)
) STRICT;
",
    "
CREATE TABLE signals (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE minutes (
    signal INTEGER NOT NULL REFERENCES signals (id),
    at INTEGER NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (signal, at)
) STRICT, WITHOUT ROWID;
CREATE TABLE observations (
    seq INTEGER PRIMARY KEY,
    series TEXT NOT NULL UNIQUE,
    value REAL NOT NULL,
    at TEXT NOT NULL,
    until TEXT NOT NULL,
    by TEXT NOT NULL
) STRICT;
CREATE TABLE attestations (
    seq INTEGER PRIMARY KEY,
    item TEXT NOT NULL,
    at TEXT NOT NULL,
    by TEXT NOT NULL,
    note TEXT,
    done INTEGER NOT NULL CHECK (done IN (0, 1)),
    UNIQUE (item, at)
) STRICT;
CREATE VIEW readings AS
    SELECT name AS signal, strftime('%Y-%m-%dT%H:%M:%SZ', at, 'unixepoch') AS at, value
    FROM minutes JOIN signals ON id = minutes.signal;
",
];

/// The schema that this gated writes.
#[allow(clippy::cast_possible_wrap, reason = "there are a handful of steps")]
pub(super) const VERSION: i64 = STEPS.len() as i64;

#[derive(Debug)]
pub(super) enum Found {
    /// Nothing in it yet.
    Empty,
    /// gated's, at this version (current or older).
    Ours(i64),
    Newer(i64),
    Foreign,
}

pub(super) fn look(db: &Connection) -> rusqlite::Result<Found> {
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let id: i64 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (id, version) {
        (0, 0) if tables == 0 => Found::Empty,
        (APPLICATION_ID, 1..=VERSION) => Found::Ours(version),
        (APPLICATION_ID, _) if version > VERSION => Found::Newer(version),
        _ => Found::Foreign,
    })
}

/// Brings the file from `from` to [`VERSION`], all steps or none.
pub(super) fn migrate(db: &mut Connection, from: i64) -> rusqlite::Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (step, sql) in (0..).zip(STEPS).filter(|(step, _)| *step >= from) {
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", step + 1)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.commit()
}
