//! Whose the file is, what wrote it, and what a flipped bit does.

use super::*;

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
        "minutes",
        "signals",
        "observations",
        "attestations",
        "phases",
        "incidents",
        "audit",
        "verifications",
        "rule_groups",
        "alerts",
    ];
    for (version, dropped) in [
        (4, &later[..6]),
        (3, &later[..8]),
        (2, &later[..9]),
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
        db.execute("DROP VIEW readings", ()).unwrap();
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

/// K10: one step fails; none of those before it is kept.
#[test]
fn k10_a_file_is_brought_up_to_date_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let mut ledger = open(&path).0;
    ledger.commit(&pair(1), body).unwrap();
    ledger.close().unwrap();
    let db = Connection::open(&path).unwrap();
    // As version 3 left it, but for a table that the last step is about to make.
    db.execute_batch(
        "DROP TABLE audit; DROP TABLE verifications;
         ALTER TABLE deliveries DROP COLUMN incident; ALTER TABLE deliveries DROP COLUMN log;
         ALTER TABLE rollouts DROP COLUMN past; ALTER TABLE rollouts DROP COLUMN vetoed;
         PRAGMA user_version = 3",
    )
    .unwrap();
    let schema = |db: &Connection| -> Vec<String> {
        let mut query = db
            .prepare("SELECT sql FROM sqlite_schema ORDER BY name")
            .unwrap();
        let rows = query
            .query_map([], |row| row.get::<_, Option<String>>(0))
            .unwrap();
        rows.filter_map(|it| it.unwrap()).collect()
    };
    let before = schema(&db);
    drop(db);
    // It is treated as damage: moved aside as it was, and rollbacks are held until somebody has looked.
    let (ledger, restored) = open(&path);
    assert!(restored.held.is_some());
    let aside = ledger.quarantine().unwrap().moved_to.clone();
    let db = Connection::open(aside).unwrap();
    assert_eq!(schema(&db), before);
    let version: i64 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 3);
}
