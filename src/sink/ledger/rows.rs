//! Records as rows and back. What is read is exactly what was written; a row that no gated can have written makes
//! the file count as damaged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{FromSqlError, FromSqlResult};
use rusqlite::{Connection, Row, Transaction, params};

use super::cells::{GuardCell, Json, LogCell, PastCell, SaidCell, log_cell, log_lines, unknown};
use super::incident;
use super::told;
use crate::engine::{Restored, RestoredAlert, RestoredGroup, RestoredTrigger};
use crate::model::{
    Audit, Decision, DecisionId, Deed, Delivery, DeliveryState, Guard, GuardAnswer, Helped, Past,
    PhaseOutcome, PhaseRun, Rollout, RolloutEnd, Said, Timestamp, Verification,
};

pub(super) fn put_rollout(tx: &Transaction<'_>, it: &Rollout) -> rusqlite::Result<()> {
    let (ended_at, ended) = it.end.unzip();
    // JSON has no spelling for what is not finite, and the model promises medians of values.
    let baseline: BTreeMap<&String, f64> = it
        .baseline
        .iter()
        .filter(|(_, value)| value.is_finite())
        .map(|(signal, value)| (signal, *value))
        .collect();
    tx.prepare_cached(
        "INSERT INTO rollouts (id, service, environment, version, previous_version, started_at,
             seen_at, told, irreversible, baseline, turned_red, ended_at, ended, past, vetoed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (id) DO UPDATE SET service = ?2, environment = ?3, version = ?4,
             previous_version = ?5, started_at = ?6, seen_at = ?7, told = ?8, irreversible = ?9,
             baseline = ?10, turned_red = ?11, ended_at = ?12, ended = ?13, past = ?14, vetoed = ?15",
    )?
    .execute(params![
        it.id,
        it.service,
        it.environment,
        it.version,
        it.previous_version,
        it.started_at,
        it.seen_at,
        it.told,
        it.irreversible,
        Json(baseline),
        it.turned_red,
        ended_at,
        ended,
        Json(PastCell::new(&it.past)),
        it.vetoed.as_ref().map(SaidCell::new).map(Json),
    ])
    .map(drop)
}

/// The first row of an id stays as it is: a decision is made once.
pub(super) fn put_decision(tx: &Transaction<'_>, it: &Decision) -> rusqlite::Result<()> {
    let guards: Vec<GuardCell> = it
        .guards
        .iter()
        .map(|answer| GuardCell {
            guard: answer.guard.word().to_owned(),
            passed: answer.passed,
            note: answer.note.clone(),
        })
        .collect();
    tx.prepare_cached(
        "INSERT INTO decisions (id, at, action, asked, refused_by, guards, trigger, rollout, phase,
             severity, signal, value, unit, condition, expr, held_for_seconds, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
         ON CONFLICT (id) DO NOTHING",
    )?
    .execute(params![
        it.id,
        it.at,
        it.action,
        it.asked,
        it.refused_by,
        Json(guards),
        it.trigger,
        it.rollout,
        it.phase,
        it.severity,
        it.signal,
        it.value,
        it.unit,
        it.condition,
        it.expr,
        it.held_for.as_secs_f64(),
        it.reason,
    ])
    .map(drop)
}

/// The columns that a delivery's state fills: word, `next_at` (or since when, or until when), `settled_at` (or since
/// when it is held), status, why.
type StateCells<'a> = (
    &'static str,
    Option<Timestamp>,
    Option<Timestamp>,
    Option<u16>,
    Option<&'a str>,
);

fn state_cells(state: &DeliveryState) -> StateCells<'_> {
    let word = state.word();
    match state {
        DeliveryState::Owed { next } => (word, Some(*next), None, None, None),
        DeliveryState::UnderWay { since } => (word, Some(*since), None, None, None),
        DeliveryState::Unconfirmed { until, status } => {
            (word, Some(*until), None, Some(*status), None)
        }
        DeliveryState::Held { at, why } => (word, None, Some(*at), None, Some(why)),
        DeliveryState::Delivered { at, status } => (word, None, Some(*at), Some(*status), None),
        DeliveryState::Cancelled { at, why } | DeliveryState::GivenUp { at, why } => {
            (word, None, Some(*at), None, Some(why))
        }
    }
}

pub(super) fn knows_decision(tx: &Transaction<'_>, id: &DecisionId) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM decisions WHERE id = ?1")?
        .exists([id])
}

/// The first row of a key stays as it is: what is sent under a key never changes.
pub(super) fn put_owed(tx: &Transaction<'_>, it: &Delivery, body: &[u8]) -> rusqlite::Result<()> {
    let (state, next_at, settled_at, status, why) = state_cells(&it.state);
    tx.prepare_cached(
        "INSERT INTO deliveries (key, decision, rollout, receiver, kind, created_at, attempts,
             last_error, state, next_at, settled_at, status, why, body, log, incident)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
         ON CONFLICT (key) DO NOTHING",
    )?
    .execute(params![
        it.key,
        it.decision,
        it.rollout,
        it.receiver,
        it.kind,
        it.created_at,
        it.attempts,
        it.last_error,
        state,
        next_at,
        settled_at,
        status,
        why,
        body,
        Json(log_cell(&it.log)),
        it.incident,
    ])
    .map(drop)
}

/// Whether there was such a delivery.
pub(super) fn put_delivery(tx: &Transaction<'_>, it: &Delivery) -> rusqlite::Result<bool> {
    let (state, next_at, settled_at, status, why) = state_cells(&it.state);
    tx.prepare_cached(
        "UPDATE deliveries SET decision = ?2, rollout = ?3, receiver = ?4, kind = ?5,
             created_at = ?6, attempts = ?7, last_error = ?8, state = ?9, next_at = ?10,
             settled_at = ?11, status = ?12, why = ?13, log = ?14, incident = ?15
         WHERE key = ?1",
    )?
    .execute(params![
        it.key,
        it.decision,
        it.rollout,
        it.receiver,
        it.kind,
        it.created_at,
        it.attempts,
        it.last_error,
        state,
        next_at,
        settled_at,
        status,
        why,
        Json(log_cell(&it.log)),
        it.incident,
    ])
    .map(|rows| rows == 1)
}

pub(super) fn put_trigger(tx: &Transaction<'_>, it: &RestoredTrigger) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO triggers (name, series, condition, rollout, active_at, fired_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (name, series) DO UPDATE SET condition = ?3, rollout = ?4, active_at = ?5,
             fired_at = ?6",
    )?
    .execute(params![
        it.name,
        it.series,
        it.condition,
        it.rollout,
        it.active_at,
        it.fired_at
    ])
    .map(drop)
}

pub(super) fn drop_trigger(tx: &Transaction<'_>, name: &str, series: &str) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM triggers WHERE name = ?1 AND series = ?2")?
        .execute([name, series])
        .map(drop)
}

pub(super) fn put_alert(tx: &Transaction<'_>, it: &RestoredAlert) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO alerts (file, rule_group, rule, labels, active_at, seen_at, since)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (file, rule_group, rule, labels)
         DO UPDATE SET active_at = ?5, seen_at = ?6, since = ?7",
    )?
    .execute(params![
        it.file,
        it.group,
        it.rule,
        it.labels,
        it.active_at,
        it.seen_at,
        it.since
    ])
    .map(drop)
}

pub(super) fn drop_alert(tx: &Transaction<'_>, it: &RestoredAlert) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "DELETE FROM alerts WHERE file = ?1 AND rule_group = ?2 AND rule = ?3 AND labels = ?4",
    )?
    .execute(params![it.file, it.group, it.rule, it.labels])
    .map(drop)
}

pub(super) fn put_group(tx: &Transaction<'_>, it: &RestoredGroup) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO rule_groups (file, rule_group, seen_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (file, rule_group) DO UPDATE SET seen_at = ?3",
    )?
    .execute(params![it.file, it.group, it.seen_at])
    .map(drop)
}

/// A thaw also confirms that a person has looked at a damaged ledger's loss.
pub(super) fn put_audit(tx: &Transaction<'_>, it: &Audit) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO audit (at, deed, by, reason, subject, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (at, deed, subject) DO NOTHING",
    )?
    .execute(params![
        it.said.at,
        it.deed,
        it.said.by,
        it.said.reason,
        it.subject,
        it.until
    ])?;
    if it.deed == Deed::Thaw {
        tx.execute(
            "UPDATE quarantines SET confirmed_at = ?1, confirmed_by = ?2 WHERE confirmed_at IS NULL",
            params![it.said.at, it.said.by],
        )?;
    }
    Ok(())
}

pub(super) fn put_verification(tx: &Transaction<'_>, it: &Verification) -> rusqlite::Result<()> {
    let (ended_at, helped) = it.outcome.unzip();
    tx.prepare_cached(
        "INSERT INTO verifications (decision, since, helped, ended_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (decision) DO UPDATE SET since = ?2, helped = ?3, ended_at = ?4",
    )?
    .execute(params![it.decision, it.since, helped, ended_at])
    .map(drop)
}

pub(super) fn put_phase_run(tx: &Transaction<'_>, it: &PhaseRun) -> rusqlite::Result<()> {
    let (ended_at, outcome) = it.end.unzip();
    tx.prepare_cached(
        "INSERT INTO phases (phase, begins, entered_at, ended_at, outcome) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (phase, begins) DO UPDATE SET entered_at = ?3, ended_at = ?4, outcome = ?5",
    )?
    .execute(params![it.phase, it.from, it.entered_at, ended_at, outcome])
    .map(drop)
}

/// Everything but signals' minutes, oldest first. A table that an older file does not have yet is empty.
pub(super) fn restore(db: &Connection) -> rusqlite::Result<Restored> {
    Ok(Restored {
        rollouts: all(db, "SELECT * FROM rollouts ORDER BY seq", rollout)?,
        decisions: all(db, "SELECT * FROM decisions ORDER BY seq", decision)?,
        deliveries: all(
            db,
            &format!("SELECT {} FROM deliveries ORDER BY seq", columns(db)?),
            delivery,
        )?,
        triggers: all(db, "SELECT * FROM triggers ORDER BY seq", trigger)?,
        alerts: later(db, "alerts", alert)?,
        groups: later(db, "rule_groups", group)?,
        audit: later(db, "audit", audit)?,
        verifications: later(db, "verifications", verification)?,
        incidents: later(db, "incidents", incident::read)?,
        phase_runs: later(db, "phases", phase_run)?,
        minutes: Vec::new(),
        observations: later(db, "observations", told::observation)?,
        attestations: later(db, "attestations", told::attestation)?,
        held: None,
    })
}

/// Of a delivery, without its body. Older files do not know of incidents and attempts.
fn columns(db: &Connection) -> rusqlite::Result<String> {
    let mut columns =
        "key, decision, rollout, receiver, kind, created_at, attempts, last_error, state,
         next_at, settled_at, status, why"
            .to_owned();
    for later in ["log", "incident"] {
        columns.push_str(if db.column_exists(None, "deliveries", later)? {
            ", "
        } else {
            ", NULL AS "
        });
        columns.push_str(later);
    }
    Ok(columns)
}

/// Of a table that the first schema did not have.
fn later<T>(
    db: &Connection,
    table: &str,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    if !db.table_exists(None, table)? {
        return Ok(Vec::new());
    }
    all(db, &format!("SELECT * FROM {table} ORDER BY seq"), read)
}

fn all<T>(
    db: &Connection,
    sql: &str,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    db.prepare(sql)?.query_map([], read)?.collect()
}

fn rollout(row: &Row<'_>) -> rusqlite::Result<Rollout> {
    let ended: Option<RolloutEnd> = row.get("ended")?;
    Ok(Rollout {
        id: row.get("id")?,
        service: row.get("service")?,
        environment: row.get("environment")?,
        version: row.get("version")?,
        previous_version: row.get("previous_version")?,
        started_at: row.get("started_at")?,
        seen_at: row.get("seen_at")?,
        told: row.get("told")?,
        irreversible: row.get("irreversible")?,
        baseline: row.get::<_, Json<_>>("baseline")?.0,
        turned_red: row.get("turned_red")?,
        // Older files have neither.
        past: Arc::new(
            row.get::<_, Option<Json<PastCell>>>("past")
                .unwrap_or_default()
                .map_or_else(Past::default, |cell| cell.0.past()),
        ),
        vetoed: row
            .get::<_, Option<Json<SaidCell>>>("vetoed")
            .unwrap_or_default()
            .map(|cell| cell.0.said())
            .transpose()?,
        end: ended
            .map(|end| Ok::<_, rusqlite::Error>((row.get("ended_at")?, end)))
            .transpose()?,
    })
}

fn decision(row: &Row<'_>) -> rusqlite::Result<Decision> {
    let guards: Json<Vec<GuardCell>> = row.get("guards")?;
    let guards = guards.0.into_iter().map(|cell| {
        let guard = Guard::from_word(&cell.guard).ok_or_else(|| unknown(&cell.guard))?;
        Ok(GuardAnswer {
            guard,
            passed: cell.passed,
            note: cell.note,
        })
    });
    Ok(Decision {
        id: row.get("id")?,
        at: row.get("at")?,
        action: row.get("action")?,
        asked: row.get("asked")?,
        refused_by: row.get("refused_by")?,
        guards: guards.collect::<FromSqlResult<_>>()?,
        trigger: row.get("trigger")?,
        rollout: row.get("rollout")?,
        phase: row.get("phase")?,
        severity: row.get("severity")?,
        signal: row.get("signal")?,
        value: row.get("value")?,
        unit: row.get("unit")?,
        condition: row.get("condition")?,
        expr: row.get("expr")?,
        held_for: held_for(row.get("held_for_seconds")?)?,
        reason: row.get("reason")?,
    })
}

/// Durations between timestamps are whole milliseconds; rounding to them gives back what was written.
fn held_for(seconds: f64) -> FromSqlResult<Duration> {
    let exact = Duration::try_from_secs_f64(seconds).map_err(FromSqlError::other)?;
    let millis = exact.saturating_add(Duration::from_micros(500)).as_millis();
    let millis = u64::try_from(millis).map_err(FromSqlError::other)?;
    Ok(Duration::from_millis(millis))
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let word: String = row.get("state")?;
    let state = match word.as_str() {
        "owed" => DeliveryState::Owed {
            next: row.get("next_at")?,
        },
        "under_way" => DeliveryState::UnderWay {
            since: row.get("next_at")?,
        },
        "unconfirmed" => DeliveryState::Unconfirmed {
            until: row.get("next_at")?,
            status: row.get("status")?,
        },
        "held" => DeliveryState::Held {
            at: row.get("settled_at")?,
            why: row.get("why")?,
        },
        "delivered" => DeliveryState::Delivered {
            at: row.get("settled_at")?,
            status: row.get("status")?,
        },
        "cancelled" => DeliveryState::Cancelled {
            at: row.get("settled_at")?,
            why: row.get("why")?,
        },
        "given_up" => DeliveryState::GivenUp {
            at: row.get("settled_at")?,
            why: row.get("why")?,
        },
        _ => return Err(unknown(&word).into()),
    };
    Ok(Delivery {
        key: row.get("key")?,
        decision: row.get("decision")?,
        rollout: row.get("rollout")?,
        incident: row.get("incident")?,
        receiver: row.get("receiver")?,
        kind: row.get("kind")?,
        created_at: row.get("created_at")?,
        attempts: row.get("attempts")?,
        last_error: row.get("last_error")?,
        state,
        log: row
            .get::<_, Option<Json<LogCell>>>("log")?
            .map(|cell| log_lines(cell.0))
            .transpose()?
            .unwrap_or_default(),
    })
}

fn alert(row: &Row<'_>) -> rusqlite::Result<RestoredAlert> {
    let active_at = row.get("active_at")?;
    // Older files do not say.
    let since: Option<Timestamp> = row.get("since").unwrap_or_default();
    Ok(RestoredAlert {
        since: since.unwrap_or(active_at),
        file: row.get("file")?,
        group: row.get("rule_group")?,
        rule: row.get("rule")?,
        labels: row.get("labels")?,
        active_at,
        seen_at: row.get("seen_at")?,
    })
}

fn group(row: &Row<'_>) -> rusqlite::Result<RestoredGroup> {
    Ok(RestoredGroup {
        file: row.get("file")?,
        group: row.get("rule_group")?,
        seen_at: row.get("seen_at")?,
    })
}

fn audit(row: &Row<'_>) -> rusqlite::Result<Audit> {
    Ok(Audit {
        deed: row.get("deed")?,
        said: Said {
            at: row.get("at")?,
            by: row.get("by")?,
            reason: row.get("reason")?,
        },
        subject: row.get("subject")?,
        until: row.get("until")?,
    })
}

fn verification(row: &Row<'_>) -> rusqlite::Result<Verification> {
    let helped: Option<Helped> = row.get("helped")?;
    Ok(Verification {
        decision: row.get("decision")?,
        since: row.get("since")?,
        outcome: helped
            .map(|helped| Ok::<_, rusqlite::Error>((row.get("ended_at")?, helped)))
            .transpose()?,
    })
}

fn phase_run(row: &Row<'_>) -> rusqlite::Result<PhaseRun> {
    let outcome: Option<PhaseOutcome> = row.get("outcome")?;
    Ok(PhaseRun {
        phase: row.get("phase")?,
        from: row.get("begins")?,
        entered_at: row.get("entered_at")?,
        end: outcome
            .map(|outcome| Ok::<_, rusqlite::Error>((row.get("ended_at")?, outcome)))
            .transpose()?,
    })
}

fn trigger(row: &Row<'_>) -> rusqlite::Result<RestoredTrigger> {
    Ok(RestoredTrigger {
        name: row.get("name")?,
        series: row.get("series")?,
        condition: row.get("condition")?,
        rollout: row.get("rollout")?,
        active_at: row.get("active_at")?,
        fired_at: row.get("fired_at")?,
    })
}
