//! What the ledger lets go of: the settled past. Never what is unanswered, nor what a decision to come rests on:
//! the newest rollouts, their decisions, a freeze.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};

use super::history;
use crate::engine::HISTORY_KEPT;
use crate::model::Timestamp;

/// Rollouts kept however old they are: what is good to go back to, and what was rolled back.
const ROLLOUTS_KEPT: u32 = 50;
/// Decisions kept at most; past that the oldest settled ones that are no rollbacks go, however young.
const DECISIONS_MAX: u32 = 20_000;
/// What was sent and what was read before a rollout is of use for this long.
const BULK_KEPT: Duration = Duration::from_secs(7 * 86_400);
/// What became of each phase, what people attested and what incidents there were is kept for this long at least: the
/// report on thirty days tells it.
const PHASES_KEPT: Duration = Duration::from_secs(40 * 86_400);

/// Deletes what is older than `keep` and settled. All of it or nothing; the pages are used again.
pub(super) fn sweep(db: &mut Connection, now: Timestamp, keep: Duration) -> rusqlite::Result<()> {
    let (before, bulk) = (now - keep, now - BULK_KEPT.min(keep));
    let phases = now - keep.max(PHASES_KEPT);
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute(
        "DELETE FROM rollouts WHERE ended_at < ?1
             AND seq NOT IN (SELECT seq FROM rollouts ORDER BY seq DESC LIMIT ?2)",
        params![before, ROLLOUTS_KEPT],
    )?;
    tx.execute(
        "DELETE FROM decisions WHERE id NOT IN (SELECT decision FROM deliveries
                 WHERE state NOT IN ('delivered', 'cancelled', 'given_up'))
             AND id NOT IN (SELECT value FROM incidents, json_each(incidents.decisions)
                 WHERE resolved_at IS NULL)
             AND ((at < ?1 AND (rollout IS NULL OR rollout NOT IN (SELECT id FROM rollouts)))
                 OR (action <> 'rollback'
                     AND seq NOT IN (SELECT seq FROM decisions ORDER BY seq DESC LIMIT ?2)))",
        params![before, DECISIONS_MAX],
    )?;
    tx.execute(
        "DELETE FROM deliveries WHERE state IN ('delivered', 'cancelled', 'given_up')
             AND decision NOT IN (SELECT id FROM decisions)",
        [],
    )?;
    tx.execute(
        "DELETE FROM verifications WHERE decision NOT IN (SELECT id FROM decisions)",
        [],
    )?;
    history::sweep(&tx, now - HISTORY_KEPT)?;
    tx.execute(
        "DELETE FROM observations WHERE until < ?1",
        params![now - HISTORY_KEPT],
    )?;
    tx.execute("DELETE FROM attestations WHERE at < ?1", params![phases])?;
    tx.execute("DELETE FROM phases WHERE ended_at < ?1", params![phases])?;
    tx.execute(
        "DELETE FROM incidents WHERE resolved_at < ?1",
        params![phases],
    )?;
    tx.execute(
        "DELETE FROM audit WHERE at < ?1
             AND seq <> (SELECT max(seq) FROM audit WHERE deed IN ('freeze', 'thaw'))",
        params![before],
    )?;
    tx.execute(
        "UPDATE deliveries SET body = x'' WHERE settled_at < ?1 AND length(body) > 0
             AND state IN ('delivered', 'cancelled', 'given_up')",
        params![bulk],
    )?;
    tx.execute(
        "UPDATE rollouts SET past = NULL WHERE ended_at < ?1 AND past IS NOT NULL",
        params![bulk],
    )?;
    tx.commit()
}
