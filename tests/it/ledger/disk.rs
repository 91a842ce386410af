//! Disks with a bound, or that cannot be written.

use super::*;

/// A file system in memory, gone when dropped. Needs the right to mount: without it the test fails and says so.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub fn new(size: &str) -> Self {
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

    pub fn folder(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("gated.db")
    }

    /// Takes every byte that is left; the file to remove for them.
    pub fn fill(&self, name: &str) -> PathBuf {
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
    let test = "ledger::disk::what_a_dead_owner_left_in_the_wal_is_read";
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
