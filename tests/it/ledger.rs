//! The ledger on a real disk: what comes back after a restart, a crash, a full disk, a second owner and a flipped bit.

mod crash;
pub mod disk;
mod file;
mod records;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gated::engine::{Record, Restored, RestoredAlert, RestoredGroup, RestoredTrigger};
use gated::model::{
    Acknowledgement, Action, AttemptLine, Attestation, Audit, Cause, Decision, DecisionId, Deed,
    Delivery, DeliveryKey, DeliveryState, Guard, GuardAnswer, Helped, Incident, IncidentId, Labels,
    Minute, Notice, NoticeKind, Observation, Past, PhaseOutcome, PhaseRun, Rollout, RolloutEnd,
    RolloutId, Said, Seen, Severity, Sight, Timestamp, Unit, Verification,
};
use gated::sink::ledger::{read, read_minutes};
use gated::sink::{CommitError, Ledger, LedgerError};
use proptest::prelude::*;
use proptest::sample::select;
use rusqlite::Connection;

use crate::world::remember_minute;

const NOW: Timestamp = Timestamp::from_millis(1_796_083_200_000);

fn decision(id: &str) -> Decision {
    Decision {
        id: DecisionId(id.into()),
        at: NOW,
        action: Action::Rollback,
        asked: Action::Rollback,
        refused_by: None,
        guards: vec![GuardAnswer {
            guard: Guard::NoRollout,
            passed: true,
            note: "api 1.4.0 is going live".into(),
        }],
        trigger: "latency".into(),
        rollout: Some(RolloutId("api@1.4.0#3".into())),
        phase: "deployment".into(),
        severity: Severity::P1,
        signal: Some("api_latency_p95".into()),
        value: Some(0.8),
        unit: Unit::Seconds,
        condition: "> 500ms".into(),
        expr: "histogram_quantile(0.95, …)".into(),
        held_for: Duration::from_secs(30),
        reason: "p95 was above 500 ms for 30 s".into(),
    }
}

fn delivery(key: &str, decision: &str) -> Delivery {
    Delivery {
        key: DeliveryKey(key.into()),
        decision: DecisionId(decision.into()),
        rollout: Some(RolloutId("api@1.4.0#3".into())),
        incident: None,
        receiver: "deployer".into(),
        kind: NoticeKind::RollbackRequested,
        created_at: NOW,
        attempts: 0,
        last_error: None,
        state: DeliveryState::Owed { next: NOW },
        log: Vec::new(),
    }
}

fn notice(decision: Decision) -> Notice {
    Notice {
        kind: NoticeKind::RollbackRequested,
        at: NOW,
        decision,
        rollout: None,
        service: "api".into(),
        environment: "production".into(),
        labels: BTreeMap::new(),
        expires_at: None,
        external_url: None,
        report: None,
        incident: None,
    }
}

/// A decision and the delivery it owes.
fn pair(n: usize) -> [Record; 2] {
    let (id, key) = (format!("dec_{n}"), format!("msg_{n}"));
    let notice = notice(decision(&id));
    [
        Record::Decision(Box::new(decision(&id))),
        Record::Owed(Box::new(delivery(&key, &id)), Box::new(notice)),
    ]
}

fn body(_: &str, notice: &Notice) -> Vec<u8> {
    format!("body of {}", notice.decision.id).into_bytes()
}

fn open(path: &Path) -> (Ledger, Restored) {
    let (ledger, mut restored) = Ledger::open(path, NOW).unwrap();
    restored.minutes = ledger.minutes(&|_| Some(Timestamp::EPOCH)).unwrap();
    (ledger, restored)
}

fn read_all(path: &Path) -> Restored {
    let (from, until) = (Some(Timestamp::EPOCH), Timestamp::MAX);
    read_minutes(path, &|_| from, until).unwrap()
}

fn file(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("data").join("gated.db")
}

fn assert_same(found: &Restored, expected: &Restored) {
    assert_eq!(found.rollouts, expected.rollouts);
    assert_eq!(found.decisions, expected.decisions);
    assert_eq!(found.deliveries, expected.deliveries);
    assert_eq!(found.triggers, expected.triggers);
    assert_eq!(found.alerts, expected.alerts);
    assert_eq!(found.groups, expected.groups);
    assert_eq!(found.audit, expected.audit);
    assert_eq!(found.verifications, expected.verifications);
    assert_eq!(found.incidents, expected.incidents);
    assert_eq!(found.phase_runs, expected.phase_runs);
    assert_eq!(found.minutes, expected.minutes);
    assert_eq!(found.observations, expected.observations);
    assert_eq!(found.attestations, expected.attestations);
}

// What the records mean, in memory.

fn put<T>(rows: &mut Vec<T>, it: T, same: impl Fn(&T, &T) -> bool) {
    match rows.iter_mut().find(|row| same(row, &it)) {
        Some(row) => *row = it,
        None => rows.push(it),
    }
}

pub fn remember(memory: &mut Restored, record: Record) {
    match record {
        Record::Rollout(it) => put(&mut memory.rollouts, it, |a, b| a.id == b.id),
        Record::Decision(it) => {
            if memory.decisions.iter().all(|row| row.id != it.id) {
                memory.decisions.push(*it);
            }
        }
        Record::Owed(it, _) => {
            if memory.deliveries.iter().all(|row| row.key != it.key) {
                memory.deliveries.push(*it);
            }
        }
        Record::Delivery(it) => put(&mut memory.deliveries, *it, |a, b| a.key == b.key),
        Record::Incident(it) => put(&mut memory.incidents, *it, |a, b| a.id == b.id),
        Record::Trigger(it) => put(&mut memory.triggers, it, |a, b| {
            (&a.name, &a.series) == (&b.name, &b.series)
        }),
        Record::TriggerGone { name, series } => memory
            .triggers
            .retain(|row| (&row.name, &row.series) != (&name, &series)),
        Record::Alert(it) => put(&mut memory.alerts, it, same_alert),
        Record::AlertGone(it) => memory.alerts.retain(|row| !same_alert(row, &it)),
        Record::Audit(it) => {
            let same =
                |a: &Audit| (a.said.at, a.deed, &a.subject) == (it.said.at, it.deed, &it.subject);
            if !memory.audit.iter().any(same) {
                memory.audit.push(*it);
            }
        }
        Record::Verification(it) => {
            put(&mut memory.verifications, it, |a, b| {
                a.decision == b.decision
            });
        }
        Record::PhaseRun(it) => put(&mut memory.phase_runs, it, |a, b| {
            (&a.phase, a.from) == (&b.phase, b.from)
        }),
        Record::Observation(it) => put(&mut memory.observations, it, |a, b| a.labels == b.labels),
        Record::Attestation(it) => put(&mut memory.attestations, it, |a, b| {
            (&a.item, a.at) == (&b.item, b.at)
        }),
        Record::Minute(it) => remember_minute(&mut memory.minutes, it),
        Record::AlertsSeen(it) => put(&mut memory.groups, it, |a, b| {
            (&a.file, &a.group) == (&b.file, &b.group)
        }),
    }
}

fn same_alert(a: &RestoredAlert, b: &RestoredAlert) -> bool {
    (&a.file, &a.group, &a.rule, &a.labels) == (&b.file, &b.group, &b.rule, &b.labels)
}

#[test]
fn the_first_row_of_a_decision_and_of_a_body_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(&file(&folder));
    ledger.commit(&pair(1), body).unwrap();
    let mut other = decision("dec_1");
    other.reason = "another".into();
    let again = [
        Record::Decision(Box::new(other.clone())),
        Record::Decision(Box::new(decision("dec_2"))),
        Record::Owed(
            Box::new(delivery("msg_1", "dec_2")),
            Box::new(notice(other)),
        ),
    ];
    ledger
        .commit(&again, |_, _| b"other bytes".to_vec())
        .unwrap();
    let stored = ledger.body(&DeliveryKey("msg_1".into())).unwrap().unwrap();
    assert_eq!(
        (stored.decision.as_str(), &stored.bytes[..]),
        ("dec_1", &b"body of dec_1"[..])
    );
    assert!(ledger.body(&DeliveryKey("msg_2".into())).unwrap().is_none());
    ledger.close().unwrap();
    let decisions = [decision("dec_1"), decision("dec_2")];
    assert_eq!(open(&file(&folder)).1.decisions, decisions);
}

/// Support opens the file with `sqlite3`: words, RFC 3339 and JSON.
#[test]
fn people_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let (mut ledger, _) = open(&path);
    let rollout = Rollout {
        id: RolloutId("api@1.4.0#3".into()),
        service: "api".into(),
        environment: "production".into(),
        version: "1.4.0".into(),
        previous_version: None,
        started_at: NOW,
        seen_at: NOW,
        told: true,
        irreversible: false,
        baseline: BTreeMap::from([("throughput".into(), 12.5)]),
        turned_red: true,
        end: Some((NOW, RolloutEnd::Superseded)),
        past: Arc::default(),
        vetoed: None,
    };
    ledger.commit(&[Record::Rollout(rollout)], body).unwrap();
    ledger.commit(&pair(1), body).unwrap();
    let db = Connection::open(&path).unwrap();
    let line = |sql: &str| -> String { db.query_row(sql, [], |row| row.get(0)).unwrap() };
    for (sql, text) in [
        (
            "SELECT started_at || ' ' || ended || ' ' || baseline FROM rollouts",
            r#"2026-12-01T00:00:00.000Z superseded {"throughput":12.5}"#,
        ),
        (
            "SELECT at || ' ' || action || ' ' || guards || ' ' || held_for_seconds FROM decisions",
            r#"2026-12-01T00:00:00.000Z rollback [{"guard":"no_rollout","passed":true,"note":"api 1.4.0 is going live"}] 30.0"#,
        ),
        (
            "SELECT kind || ' ' || state || ' ' || next_at || ' ' || CAST(body AS TEXT) FROM deliveries",
            "gated.rollback.requested owed 2026-12-01T00:00:00.000Z body of dec_1",
        ),
        ("PRAGMA journal_mode", "wal"),
    ] {
        assert_eq!(line(sql), text);
    }
}

#[test]
fn files_are_for_this_user_only_and_one_is_left_after_closing() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let (mut ledger, _) = open(&path);
    ledger.commit(&pair(1), body).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for name in names_in(&path) {
        assert_eq!(mode(&path.with_file_name(&name)), 0o600, "{name}");
    }
    ledger.close().unwrap();
    assert_eq!(
        names_in(&path),
        ["gated.db", "gated.db.ballast", "gated.db.lock"]
    );
}

fn names_in(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Every file beside the ledger with its bytes and the moment it was last written.
fn contents(path: &Path) -> BTreeMap<String, (Vec<u8>, std::time::SystemTime)> {
    names_in(path)
        .into_iter()
        .map(|name| {
            let file = path.with_file_name(&name);
            let modified = fs::metadata(&file).unwrap().modified().unwrap();
            (name, (fs::read(file).unwrap(), modified))
        })
        .collect()
}

// Crashes. A test runs itself again in a process of its own, which is told by a variable where its ledger is.

const CHILD: &str = "GATED_LEDGER_TEST_FILE";

fn child(test: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Thirty days of a service that flaps: the file stays small, and what is unanswered stays in it.
#[test]
fn d8_retention_lets_go_of_what_is_settled_and_of_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let mut ledger = open(&path).0;
    let day = Duration::from_secs(86_400);
    let keep = day * 7;
    let at = |n: u32, minutes: u32| NOW + day * n + Duration::from_secs(60) * minutes;
    for n in 0..30_u32 {
        for hour in 0..24_u32 {
            let id = format!("{n}-{hour}");
            let decided = Decision {
                at: at(n, hour * 60),
                action: Action::Escalate,
                rollout: None,
                ..decision(&format!("dec_{id}"))
            };
            // One of each day is never answered.
            let state = match hour {
                0 => DeliveryState::Held {
                    at: at(n, 1),
                    why: "it may have arrived".into(),
                },
                _ => DeliveryState::Delivered {
                    at: at(n, hour * 60),
                    status: 200,
                },
            };
            let owed = Delivery {
                state,
                ..delivery(&format!("msg_{id}"), &format!("dec_{id}"))
            };
            let notice = notice(decided.clone());
            let records = [
                Record::Decision(Box::new(decided)),
                Record::Owed(Box::new(owed), Box::new(notice)),
            ];
            ledger.commit(&records, |_, _| vec![b'x'; 20_000]).unwrap();
        }
        ledger.sweep(at(n, 1439), keep).unwrap();
    }
    let found = read(&path).unwrap();
    let unanswered = found.deliveries.iter().filter(|it| !it.is_settled());
    assert_eq!(unanswered.count(), 30);
    assert_eq!(found.decisions.len(), 30 + 7 * 23);
    assert_eq!(found.deliveries.len(), 30 + 7 * 23);
    ledger.close().unwrap();
    let size = fs::metadata(&path).unwrap().len();
    assert!(size < 10 << 20, "{size} bytes");
}

/// What a decision to come rests on is no past: who was rolled back, and a freeze.
#[test]
fn retention_keeps_what_decides() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let mut ledger = open(&path).0;
    let freeze = Audit {
        deed: Deed::Freeze,
        said: Said {
            at: NOW,
            by: "ada".into(),
            reason: "the database moves".into(),
        },
        subject: String::new(),
        until: None,
    };
    let veto = Audit {
        deed: Deed::Veto,
        subject: "dec_0".into(),
        ..freeze.clone()
    };
    let rolled_back = rollout("api@1.4.0#3");
    let [decided, _] = pair(1);
    let records = [
        Record::Rollout(rolled_back),
        decided,
        Record::Audit(Box::new(freeze.clone())),
        Record::Audit(Box::new(veto)),
    ];
    ledger.commit(&records, body).unwrap();
    let day = Duration::from_secs(86_400);
    ledger.sweep(NOW + day * 400, day * 90).unwrap();
    let found = read(&path).unwrap();
    assert_eq!((found.rollouts.len(), found.decisions.len()), (1, 1));
    assert_eq!(found.audit, [freeze]);
}

/// An open incident is about decisions, however old they are; of one that is over the two weeks of the exit want to know.
#[test]
fn retention_keeps_incidents_and_what_open_ones_are_about() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let mut ledger = open(&path).0;
    let day = Duration::from_secs(86_400);
    let incident = |id: &str, over: bool| Incident {
        id: IncidentId(format!("inc_{id}")),
        rollout: None,
        signal: "errors".into(),
        severity: Severity::P1,
        opened_at: NOW,
        since: NOW,
        rounds: 0,
        reason: "errors".into(),
        decisions: vec![DecisionId(format!("dec_{id}"))],
        causes: BTreeSet::new(),
        reached: 0,
        called_at: None,
        repeats: 0,
        hooks: BTreeSet::new(),
        acknowledged: None,
        resolved: over.then(|| (NOW + day, "over".into())),
        breached_at: None,
    };
    let mut records = Vec::new();
    for (id, over) in [("open", false), ("over", true)] {
        records.push(Record::Decision(Box::new(Decision {
            action: Action::Escalate,
            rollout: None,
            ..decision(&format!("dec_{id}"))
        })));
        records.push(Record::Incident(Box::new(incident(id, over))));
    }
    ledger.commit(&records, body).unwrap();
    let kept = |ledger: &mut Ledger, days: u32| {
        ledger.sweep(NOW + day * days, day * 7).unwrap();
        let found = read(&path).unwrap();
        let decisions = found.decisions.iter().map(|it| it.id.0.clone());
        let incidents = found.incidents.iter().map(|it| it.id.0.clone());
        (decisions.collect::<Vec<_>>(), incidents.collect::<Vec<_>>())
    };
    let (decisions, incidents) = kept(&mut ledger, 20);
    assert_eq!(decisions, ["dec_open"]);
    assert_eq!(incidents, ["inc_open", "inc_over"]);
    let (decisions, incidents) = kept(&mut ledger, 60);
    assert_eq!(decisions, ["dec_open"]);
    assert_eq!(incidents, ["inc_open"]);
}

fn rollout(id: &str) -> Rollout {
    Rollout {
        id: RolloutId(id.into()),
        service: "api".into(),
        environment: "production".into(),
        version: "1.4.0".into(),
        previous_version: None,
        started_at: NOW,
        seen_at: NOW,
        told: false,
        irreversible: false,
        baseline: BTreeMap::new(),
        turned_red: true,
        end: Some((NOW, RolloutEnd::Superseded)),
        past: Arc::default(),
        vetoed: None,
    }
}
