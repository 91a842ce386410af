//! The ledger on a real disk: what comes back after a restart, a crash, a full disk, a second owner and a flipped bit.

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
    Acknowledgement, Action, AttemptLine, Audit, Cause, Decision, DecisionId, Deed, Delivery,
    DeliveryKey, DeliveryState, Guard, GuardAnswer, Helped, Incident, IncidentId, Notice,
    NoticeKind, Past, Rollout, RolloutEnd, RolloutId, Said, Seen, Severity, Sight, Timestamp, Unit,
    Verification,
};
use gated::sink::ledger::read;
use gated::sink::{CommitError, Ledger, LedgerError};
use proptest::prelude::*;
use proptest::sample::select;
use rusqlite::Connection;

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
    Ledger::open(path, NOW).unwrap()
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
        Record::AlertsSeen(it) => put(&mut memory.groups, it, |a, b| {
            (&a.file, &a.group) == (&b.file, &b.group)
        }),
    }
}

fn same_alert(a: &RestoredAlert, b: &RestoredAlert) -> bool {
    (&a.file, &a.group, &a.rule, &a.labels) == (&b.file, &b.group, &b.rule, &b.labels)
}

prop_compose! {
    fn times()(millis in prop_oneof![
        0..4_000_000_000_000_i64,
        // Before 1970, before year 0, and what no calendar has.
        Just(-1), Just(-70_000_000_000_000), Just(i64::MAX), Just(i64::MIN),
    ]) -> Timestamp {
        Timestamp::from_millis(millis)
    }
}

/// Few, so that records meet; odd, so that nothing is lost on the way.
fn names() -> impl Strategy<Value = String> {
    select(vec![
        "",
        "a",
        "b",
        "'; DROP TABLE decisions; --",
        "größe\n\u{0}\"\\",
    ])
    .prop_map(String::from)
}

fn floats() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
}

fn maybe<T: Strategy>(some: T) -> impl Strategy<Value = Option<T::Value>>
where
    T::Value: Clone,
{
    proptest::option::of(some)
}

prop_compose! {
    fn rollouts()(
        id in names(), texts in [names(), names(), names()], previous_version in maybe(names()),
        at in [times(), times(), times()], flags: [bool; 3],
        baseline in proptest::collection::btree_map(names(), floats(), 0..3),
        end in maybe(select(RolloutEnd::ALL)), past in pasts(), vetoed in maybe(said()),
    ) -> Record {
        let [service, environment, version] = texts;
        let [started_at, seen_at, ended_at] = at;
        let [told, irreversible, turned_red] = flags;
        Record::Rollout(Rollout {
            id: RolloutId(id), service, environment, version, previous_version, started_at, seen_at,
            told, irreversible, baseline, turned_red, end: end.map(|end| (ended_at, end)),
            past: Arc::new(past), vetoed,
        })
    }
}

prop_compose! {
    fn said()(at in times(), by in names(), reason in names()) -> Said { Said { at, by, reason } }
}

fn sight() -> impl Strategy<Value = Seen> {
    let finite = any::<i32>().prop_map(f64::from);
    prop_oneof![
        Just(Seen::Blind),
        finite.prop_map(Seen::Value),
        proptest::collection::vec((names(), 0.0..9.0), 0..3).prop_map(Seen::Series),
    ]
}

prop_compose! {
    fn pasts()(
        change in times(),
        readings in proptest::collection::btree_map(names(),
            proptest::collection::vec((times(), sight()), 0..4), 0..3),
    ) -> Past {
        let sights = |it: Vec<(Timestamp, Seen)>| it.into_iter().map(|(at, seen)| Sight { at, seen }).collect();
        Past { change, readings: readings.into_iter().map(|(name, it)| (name, sights(it))).collect() }
    }
}

prop_compose! {
    fn words()(
        said in said(), deed in select(Deed::ALL), subject in names(), until in maybe(times()),
        helped in maybe((times(), select(Helped::ALL))), since in times(), audits: bool,
    ) -> Record {
        if audits { return Record::Audit(Box::new(Audit { deed, said, subject, until })) }
        Record::Verification(Verification { decision: DecisionId(subject), since, outcome: helped })
    }
}

prop_compose! {
    fn decisions()(
        texts in [names(), names(), names(), names(), names(), names()], at in times(),
        actions in [select(Action::ALL), select(Action::ALL)], refused_by in maybe(select(Guard::ALL)),
        guards in proptest::collection::vec((select(Guard::ALL), any::<bool>(), names()), 0..4),
        rollout in maybe(names()), severity in select(Severity::ALL), unit in select(Unit::ALL),
        signal in maybe(names()), value in maybe(floats()), held_ms in 0..1_000_000_000_000_u64,
    ) -> Record {
        let [id, trigger, phase, condition, expr, reason] = texts;
        let [action, asked] = actions;
        Record::Decision(Box::new(Decision {
            id: DecisionId(id), at, action, asked, refused_by,
            guards: guards.into_iter()
                .map(|(guard, passed, note)| GuardAnswer { guard, passed, note }).collect(),
            trigger, rollout: rollout.map(RolloutId), phase, severity, signal, value, unit,
            condition, expr, held_for: Duration::from_millis(held_ms), reason,
        }))
    }
}

fn states() -> impl Strategy<Value = DeliveryState> {
    prop_oneof![
        times().prop_map(|next| DeliveryState::Owed { next }),
        times().prop_map(|since| DeliveryState::UnderWay { since }),
        (times(), any::<u16>())
            .prop_map(|(until, status)| DeliveryState::Unconfirmed { until, status }),
        (times(), names()).prop_map(|(at, why)| DeliveryState::Held { at, why }),
        (times(), any::<u16>()).prop_map(|(at, status)| DeliveryState::Delivered { at, status }),
        (times(), names()).prop_map(|(at, why)| DeliveryState::Cancelled { at, why }),
        (times(), names()).prop_map(|(at, why)| DeliveryState::GivenUp { at, why }),
    ]
}

prop_compose! {
    fn deliveries()(
        texts in [names(), names(), names()], rollout in maybe(names()), created_at in times(),
        kind in select(NoticeKind::ALL), attempts: u32, last_error in maybe(names()), state in states(),
        log in proptest::collection::vec((any::<u32>(), times(), names()), 0..3),
        incident in maybe(names()), owed: bool,
    ) -> Record {
        let [key, decided, receiver] = texts;
        let it = Box::new(Delivery {
            key: DeliveryKey(key), decision: DecisionId(decided), rollout: rollout.map(RolloutId),
            incident: incident.map(IncidentId), receiver, kind, created_at, attempts, last_error, state,
            log: log.into_iter()
                .map(|(attempt, at, outcome)| AttemptLine { attempt, at, outcome }).collect(),
        });
        if owed { Record::Owed(it, Box::new(notice(decision("dec_1")))) } else { Record::Delivery(it) }
    }
}

prop_compose! {
    fn triggers()(
        name in names(), series in names(), condition in names(), rollout in maybe(names()),
        at in [times(), times()], gone: bool,
    ) -> Record {
        let [active_at, fired_at] = at;
        if gone { return Record::TriggerGone { name, series } }
        Record::Trigger(RestoredTrigger { name, series, condition, rollout, active_at, fired_at })
    }
}

prop_compose! {
    fn alerts()(
        texts in [names(), names(), names(), names()], at in [times(), times(), times()], gone: bool,
    ) -> Record {
        let ([file, group, rule, labels], [active_at, since, seen_at]) = (texts, at);
        let it = RestoredAlert { file, group, rule, labels, active_at, since, seen_at };
        if gone { Record::AlertGone(it) } else { Record::Alert(it) }
    }
}

prop_compose! {
    fn seen()(texts in [names(), names()], seen_at in times()) -> Record {
        let [file, group] = texts;
        Record::AlertsSeen(RestoredGroup { file, group, seen_at })
    }
}

fn causes() -> impl Strategy<Value = Cause> {
    prop_oneof![
        (names(), names()).prop_map(|(name, series)| Cause::Trigger { name, series }),
        names().prop_map(|labels| Cause::Alert { labels }),
        names().prop_map(|signal| Cause::Blind { signal }),
        Just(Cause::Verification),
        names().prop_map(|what| Cause::Unseen { what }),
    ]
}

prop_compose! {
    fn incidents()(
        texts in [names(), names(), names()], rollout in maybe(names()), at in [times(), times()],
        severity in select(Severity::ALL), counts: [u32; 3], called_at in maybe(times()),
        decisions in proptest::collection::vec(names(), 1..3),
        causes in proptest::collection::btree_set(causes(), 0..3),
        hooks in proptest::collection::btree_set(names(), 0..3),
        taken in maybe((times(), names(), maybe(names()))), resolved in maybe((times(), names())),
        breached_at in maybe(times()),
    ) -> Record {
        let ([id, signal, reason], [opened_at, since], [rounds, reached, repeats]) = (texts, at, counts);
        Record::Incident(Box::new(Incident {
            id: IncidentId(id), rollout: rollout.map(RolloutId), signal, severity, opened_at, since, rounds,
            reason, decisions: decisions.into_iter().map(DecisionId).collect(), causes, reached, called_at,
            repeats, hooks, acknowledged: taken.map(|(at, by, note)| Acknowledgement { at, by, note }),
            resolved, breached_at,
        }))
    }
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let any_record = prop_oneof![
        rollouts().boxed(),
        decisions().boxed(),
        deliveries().boxed(),
        triggers().boxed(),
        words().boxed(),
        alerts().boxed(),
        seen().boxed(),
        incidents().boxed(),
    ];
    proptest::collection::vec(any_record, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// What was committed is what a restart remembers, to the bit, and what a reader sees meanwhile.
    #[test]
    fn commits_come_back_as_they_were(commits in proptest::collection::vec(records(), 1..8)) {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        let mut memory = Restored::default();
        let (mut ledger, _) = open(&path);
        for commit in commits {
            // Nothing is owed without a decision.
            let decided = commit.into_iter().flat_map(|record| {
                let of = match &record {
                    Record::Owed(it, _) => Some(Record::Decision(Box::new(decision(it.decision.as_str())))),
                    _ => None,
                };
                of.into_iter().chain([record])
            });
            let commit: Vec<Record> = decided.collect();
            let mut after = memory.clone();
            for record in &commit {
                remember(&mut after, record.clone());
            }
            // A change of a delivery that was never owed fails the commit whole.
            let mut owed: BTreeSet<&DeliveryKey> = memory.deliveries.iter().map(|it| &it.key).collect();
            let sound = commit.iter().all(|record| match record {
                Record::Owed(it, _) => { owed.insert(&it.key); true }
                Record::Delivery(it) => owed.contains(&it.key),
                Record::Rollout(_) | Record::Decision(_) | Record::Trigger(_) | Record::TriggerGone { .. }
                | Record::Audit(_) | Record::Verification(_) | Record::Incident(_)
                | Record::Alert(_) | Record::AlertGone(_) | Record::AlertsSeen(_) => true,
            });
            let outcome = ledger.commit(&commit, body);
            if sound {
                prop_assert!(outcome.is_ok(), "{outcome:?}");
                memory = after;
            } else {
                prop_assert!(matches!(outcome, Err(CommitError::NoSuchDelivery(_))), "{outcome:?}");
            }
        }
        assert_same(&read(&path).unwrap(), &memory);
        ledger.close().unwrap();
        assert_same(&read(&path).unwrap(), &memory);
        assert_same(&open(&path).1, &memory);
    }
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

/// Killed between two rows of one transaction: neither is there.
#[test]
fn killed_inside_a_transaction_leaves_nothing_of_it() {
    if let Some(path) = std::env::var_os(CHILD) {
        let (mut ledger, _) = open(Path::new(&path));
        ledger.commit(&pair(1), body).unwrap();
        // The body is rendered after the decision's row was written.
        let _ = ledger.commit(&pair(2), |_, _| std::process::abort());
        unreachable!("the process is gone");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let test = "ledger::killed_inside_a_transaction_leaves_nothing_of_it";
    let output = child(test, &path).output().unwrap();
    assert!(
        !output.status.success() && output.status.code().is_none(),
        "{output:?}"
    );
    let before = contents(&path);
    let read = read(&path).unwrap();
    assert_eq!(contents(&path), before, "a reader changes nothing");
    assert_eq!(read.decisions, [decision("dec_1")]);
    let (_, restored) = open(&path);
    assert_same(&restored, &read);
    assert_eq!(restored.deliveries, [delivery("msg_1", "dec_1")]);
}

/// `kill -9` at whatever moment: what was acknowledged is there, a decision never without its delivery, and doing
/// the interrupted commit again makes no second row.
#[test]
fn killed_at_any_moment_keeps_what_was_acknowledged() {
    const ROUNDS: usize = 12;
    if let Some(path) = std::env::var_os(CHILD) {
        let (mut ledger, restored) = open(Path::new(&path));
        for n in restored.decisions.len().. {
            ledger.commit(&pair(n), body).unwrap();
            println!("committed {n}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let test = "ledger::killed_at_any_moment_keeps_what_was_acknowledged";
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let mut running = child(test, &path).spawn().unwrap();
        let lines = BufReader::new(running.stdout.take().unwrap()).lines();
        let committed = lines.filter_map(|line| {
            let line = line.unwrap();
            let (_, n) = line.split_once("committed ")?;
            Some(n.parse::<usize>().unwrap() + 1)
        });
        // Another number of commits each round; the kill then lands wherever the child has come to.
        let mut seen = 0;
        for n in committed {
            acknowledged = n;
            seen += 1;
            if seen == 3 + round {
                running.kill().unwrap();
            }
        }
        running.wait().unwrap();
        assert!(seen >= 3 + round, "the child ended by itself after {seen}");

        let (mut ledger, restored) = open(&path);
        assert!(ledger.quarantine().is_none());
        let found = restored.decisions.len();
        assert!(
            found >= acknowledged,
            "{acknowledged} acknowledged, {found} found"
        );
        assert!(
            found <= acknowledged + 1,
            "{acknowledged} acknowledged, {found} found"
        );
        let decided: Vec<&DecisionId> = restored.decisions.iter().map(|it| &it.id).collect();
        let owed: Vec<&DecisionId> = restored.deliveries.iter().map(|it| &it.decision).collect();
        assert_eq!(decided, owed);
        ledger.commit(&pair(found - 1), body).unwrap();
        assert_eq!(read(&path).unwrap().decisions.len(), found);
    }
}

#[test]
fn a_second_owner_is_told_who_the_first_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let (ledger, _) = open(&path);
    let error = Ledger::open(&path, NOW).unwrap_err();
    let LedgerError::Locked { pid, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*pid, Some(std::process::id()));
    assert!(
        error
            .to_string()
            .contains(&format!("process {}", std::process::id()))
    );
    drop(ledger);
    open(&path);
}

#[test]
fn what_a_later_gated_wrote_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    open(&path).0.close().unwrap();
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    for error in [
        Ledger::open(&path, NOW).unwrap_err(),
        read(&path).unwrap_err(),
    ] {
        assert!(
            matches!(error, LedgerError::Newer { found: 99, .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("later gated"), "{error}");
    }
    let db = Connection::open(&path).unwrap();
    let version: i64 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 99);
}

/// A dry run beside a gated of before reads what there is; the next owner brings the file up to date.
#[test]
fn an_older_file_is_read_as_it_is_and_brought_up_to_date() {
    let later = [
        "incidents",
        "audit",
        "verifications",
        "rule_groups",
        "alerts",
    ];
    for (version, dropped) in [
        (4, &later[..1]),
        (3, &later[..3]),
        (2, &later[..4]),
        (1, &later[..]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        let mut ledger = open(&path).0;
        let [one, two] = pair(1);
        ledger.commit(&[one, two], body).unwrap();
        let expected = read(&path).unwrap();
        ledger.close().unwrap();
        let db = Connection::open(&path).unwrap();
        for table in dropped {
            db.execute(&format!("DROP TABLE {table}"), ()).unwrap();
        }
        db.execute("ALTER TABLE deliveries DROP COLUMN incident", ())
            .unwrap();
        let columns = [
            "rollouts DROP COLUMN past",
            "rollouts DROP COLUMN vetoed",
            "deliveries DROP COLUMN log",
        ];
        for column in columns.iter().filter(|_| version < 4) {
            db.execute(&format!("ALTER TABLE {column}"), ()).unwrap();
        }
        if version == 2 {
            db.execute("ALTER TABLE alerts DROP COLUMN since", ())
                .unwrap();
        }
        db.pragma_update(None, "user_version", version).unwrap();
        drop(db);
        assert_same(&read(&path).unwrap(), &expected);
        let (mut ledger, restored) = open(&path);
        assert_same(&restored, &expected);
        let seen = RestoredGroup {
            file: "a.yml".into(),
            group: "g".into(),
            seen_at: NOW,
        };
        ledger
            .commit(&[Record::AlertsSeen(seen.clone())], body)
            .unwrap();
        assert_eq!(read(&path).unwrap().groups, [seen]);
    }
}

#[test]
fn somebody_elses_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x)")
        .unwrap();
    let before = fs::read(&path).unwrap();
    for error in [
        Ledger::open(&path, NOW).unwrap_err(),
        read(&path).unwrap_err(),
    ] {
        assert!(matches!(error, LedgerError::Foreign { .. }), "{error:?}");
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// A damaged file is kept under another name, and gated says so, over restarts, until a person has confirmed.
#[test]
fn a_damaged_file_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let (mut ledger, _) = open(&path);
    ledger.commit(&pair(1), body).unwrap();
    ledger.close().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[..16].copy_from_slice(b"not a database!!");
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(read(&path), Err(LedgerError::Corrupt { .. })));

    let (ledger, restored) = open(&path);
    assert_same(&restored, &Restored::default());
    let held = "the ledger was damaged and moved aside to gated.db.corrupt-2026-12-01T000000.000Z";
    assert_eq!(restored.held.as_deref(), Some(held));
    let quarantine = ledger.quarantine().unwrap().clone();
    assert_eq!(quarantine.at, NOW);
    assert_eq!(
        quarantine.moved_to,
        path.with_file_name("gated.db.corrupt-2026-12-01T000000.000Z")
    );
    assert_eq!(fs::read(&quarantine.moved_to).unwrap(), bytes);
    ledger.close().unwrap();
    let (mut ledger, restored) = open(&path);
    assert_eq!(ledger.quarantine(), Some(&quarantine));
    assert_eq!(restored.held.as_deref(), Some(held), "over restarts");
    let (by, reason) = ("on-call".to_owned(), "nothing was owed".to_owned());
    let thaw = Record::Audit(Box::new(Audit {
        deed: Deed::Thaw,
        said: Said {
            at: NOW,
            by,
            reason,
        },
        subject: String::new(),
        until: None,
    }));
    ledger.commit(&[thaw], body).unwrap();
    ledger.close().unwrap();
    let (ledger, restored) = open(&path);
    assert_eq!((ledger.quarantine(), restored.held), (None, None));
    ledger.close().unwrap();

    // A second one within the same millisecond does not overwrite the first.
    fs::write(&path, b"junk").unwrap();
    let (ledger, _) = open(&path);
    let second = &ledger.quarantine().unwrap().moved_to;
    assert_ne!(*second, quarantine.moved_to);
    assert_eq!(fs::read(second).unwrap(), b"junk");
}

/// Whatever a flipped bit, a cut or a junk page does: the ledger opens as it was, opens without what is damaged, moves
/// the file aside, or refuses another schema. It never panics and never invents a decision.
#[test]
fn random_damage_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let sound = file(&folder);
    let (mut ledger, _) = open(&sound);
    for n in 0..20 {
        ledger.commit(&pair(n), body).unwrap();
    }
    ledger.close().unwrap();
    let whole = fs::read(&sound).unwrap();
    let mut random = proptest::test_runner::TestRng::deterministic_rng(
        proptest::test_runner::RngAlgorithm::ChaCha,
    );
    let (mut moved, mut kept) = (0, 0);
    for round in 0..150 {
        let mut bytes = whole.clone();
        // The first page holds the header and the tables' definitions; it gets its share.
        let end = if round % 2 == 0 { 4096 } else { bytes.len() };
        let at = usize::try_from(random.next_u64()).unwrap() % end;
        match round % 5 {
            0 => bytes.truncate(at),
            1 => bytes[at..(at + 64).min(end)].fill(0xA5),
            _ => bytes[at] ^= 1 << (random.next_u32() % 8),
        }
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, &bytes).unwrap();
        match Ledger::open(&path, NOW) {
            Ok((mut ledger, restored)) => {
                if let Some(quarantine) = ledger.quarantine() {
                    assert_eq!(fs::read(&quarantine.moved_to).unwrap(), bytes);
                    moved += 1;
                } else {
                    assert!(restored.decisions.len() <= 20);
                    kept += 1;
                }
                ledger.commit(&pair(30), body).unwrap();
            }
            Err(LedgerError::Newer { .. } | LedgerError::Foreign { .. }) if at < 100 => {}
            Err(error) => panic!("round {round}, byte {at}: {error:?}"),
        }
    }
    assert!(moved > 10 && kept > 10, "{moved} moved, {kept} kept");
}

#[test]
fn a_reader_changes_and_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    assert!(matches!(read(&path), Err(LedgerError::Absent { .. })));
    assert!(!path.parent().unwrap().exists());

    let (mut ledger, _) = open(&path);
    ledger.commit(&pair(1), body).unwrap();
    let before = names_in(&path);
    assert_eq!(
        read(&path).unwrap().decisions.len(),
        1,
        "what is only in the WAL"
    );
    assert_eq!(names_in(&path), before);
    ledger.close().unwrap();

    let before = contents(&path);
    assert_eq!(read(&path).unwrap().decisions.len(), 1);
    assert_eq!(contents(&path), before);

    // Copied away, with odd characters in its name and without a lock file.
    let copy = folder.path().join("a copy?mode=rwc#50%.db");
    fs::copy(&path, &copy).unwrap();
    let before = names_in(&copy);
    assert_eq!(read(&copy).unwrap().decisions.len(), 1);
    assert_eq!(names_in(&copy), before);
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

// Disks with a bound, or that cannot be written.

/// A file system in memory, gone when dropped. Needs the right to mount: without it the test fails and says so.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = Self(folder);
        disk.mount(&format!("size={size}"), &["-t", "tmpfs", "tmpfs"]);
        disk
    }

    fn mount(&self, options: &str, rest: &[&str]) {
        let output = Command::new("mount")
            .args(["-o", options])
            .args(rest)
            .arg(self.0.path())
            .output()
            .expect("mount is installed");
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "this test needs to mount a tmpfs (run it as root): {why}"
        );
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("gated.db")
    }

    /// Takes every byte that is left; the file to remove for them.
    fn fill(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        let mut file = fs::File::create(&path).unwrap();
        for size in [4096, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Commits until one fails; how many did not.
fn commit_until_full(ledger: &mut Ledger, from: usize) -> (usize, CommitError) {
    for n in from.. {
        if let Err(error) = ledger.commit(&pair(n), |_, _| vec![b'x'; 2000]) {
            return (n, error);
        }
        assert!(n < 100_000, "the disk never got full");
    }
    unreachable!()
}

#[test]
fn a_full_disk_fails_the_commit_whole_and_loses_nothing_before_it() {
    // A size at which the last commit leaves a page or two: opening needs one for the index of the WAL.
    let disk = SmallDisk::new("568k");
    let (mut ledger, _) = open(&disk.path());
    let (kept, error) = commit_until_full(&mut ledger, 0);
    assert!(
        kept > 0 && matches!(error, CommitError::Full { .. }),
        "{kept} {error:?}"
    );
    assert!(error.to_string().contains("gated.db is full"), "{error}");
    let found = read(&disk.path()).unwrap();
    assert_eq!(
        (found.decisions.len(), found.deliveries.len()),
        (kept, kept)
    );
    // The same ledger fails again and again without harm, and so does one that is opened on the full disk.
    assert!(
        ledger
            .commit(&pair(kept), |_, _| vec![b'x'; 100_000])
            .is_err()
    );
    drop(ledger);
    let (ledger, restored) = open(&disk.path());
    assert!(ledger.quarantine().is_none());
    assert_eq!(
        (restored.decisions.len(), restored.deliveries.len()),
        (kept, kept)
    );
}

#[test]
fn the_ballast_takes_one_more_decision_on_a_full_disk() {
    let disk = SmallDisk::new("4m");
    let (mut ledger, _) = open(&disk.path());
    ledger.commit(&pair(0), body).unwrap();
    let ballast = disk.0.path().join("gated.db.ballast");
    assert_eq!(fs::metadata(&ballast).unwrap().len(), 1 << 20);
    disk.fill("other");

    ledger.commit(&pair(1), |_, _| vec![b'x'; 50_000]).unwrap();
    assert!(!ballast.exists());
    let filler = disk.fill("more");
    let (kept, error) = commit_until_full(&mut ledger, 2);
    assert!(matches!(error, CommitError::Full { .. }), "{error:?}");
    // With room again it goes on, no restart needed.
    fs::remove_file(filler).unwrap();
    ledger.commit(&pair(kept), body).unwrap();
    assert_eq!(read(&disk.path()).unwrap().decisions.len(), kept + 1);
}

#[test]
fn a_read_only_disk_is_named_and_can_be_read() {
    let disk = SmallDisk::new("4m");
    let (mut ledger, _) = open(&disk.path());
    ledger.commit(&pair(1), body).unwrap();
    ledger.close().unwrap();
    disk.mount("remount,ro", &[]);
    let error = Ledger::open(&disk.path(), NOW).unwrap_err();
    let LedgerError::Denied { source, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(
        error
            .to_string()
            .contains("gated.db cannot be used by user"),
        "{error}"
    );
    assert_eq!(source.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(read(&disk.path()).unwrap().decisions.len(), 1);
}

/// An owner that died on a disk that has become read-only since: its WAL is read too.
#[test]
fn what_a_dead_owner_left_in_the_wal_is_read() {
    if let Some(path) = std::env::var_os(CHILD) {
        let (mut ledger, _) = open(Path::new(&path));
        ledger.commit(&pair(1), body).unwrap();
        std::process::abort();
    }
    let disk = SmallDisk::new("8m");
    let test = "ledger::what_a_dead_owner_left_in_the_wal_is_read";
    let mut running = child(test, &disk.path()).spawn().unwrap();
    let mut text = String::new();
    running
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    running.wait().unwrap();
    assert!(disk.0.path().join("gated.db-wal").exists(), "{text}");
    fs::remove_file(disk.0.path().join("gated.db-shm")).unwrap();
    disk.mount("remount,ro", &[]);
    let before = contents(&disk.path());
    assert_eq!(read(&disk.path()).unwrap().decisions, [decision("dec_1")]);
    assert_eq!(contents(&disk.path()), before);
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
