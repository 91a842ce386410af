//! Killed at whatever moment: whole, or not at all.

use super::*;

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
    let test = "ledger::crash::killed_inside_a_transaction_leaves_nothing_of_it";
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
    let test = "ledger::crash::killed_at_any_moment_keeps_what_was_acknowledged";
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
