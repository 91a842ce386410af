//! Signs that files may have changed: what the system tells of their directories, and a poll in case it tells
//! nothing. Deliberately absent: what the files hold; whoever waits here reads them again and compares.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::Event;
use notify::EventKind;
use notify::RecommendedWatcher;
use notify::RecursiveMode;
use notify::Watcher as _;
use notify::event::AccessKind;
use notify::event::AccessMode;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio::time::timeout;
use tracing::warn;

/// After a sign of change the files are left alone for this long: writers write in pieces.
const SETTLE: Duration = Duration::from_millis(100);

/// Watches directories, not files: a file that is swapped by renaming, as editors and Kubernetes do, is another file.
#[derive(Debug)]
pub struct Changes {
    /// Where the system cannot tell, polling remains.
    watcher: Option<RecommendedWatcher>,
    directories: BTreeSet<PathBuf>,
    changed: Arc<Notify>,
}

impl Changes {
    #[must_use]
    pub fn new() -> Self {
        let changed = Arc::new(Notify::new());
        let sign = Arc::clone(&changed);
        let tell = move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_write(event.kind)) {
                sign.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(tell)
            .inspect_err(|error| warn!(%error, "files are not watched, only polled"))
            .ok();
        Self {
            watcher,
            directories: BTreeSet::new(),
            changed,
        }
    }

    /// Watches one more directory; one that is not there yet may be added again later.
    pub fn add(&mut self, directory: &Path) {
        if let Some(watcher) = &mut self.watcher
            && !self.directories.contains(directory)
            && watcher
                .watch(directory, RecursiveMode::NonRecursive)
                .is_ok()
        {
            self.directories.insert(directory.to_owned());
        }
    }

    /// Waits for a sign of change, and until the writer is likely done; for `poll` at most.
    pub async fn wait(&self, poll: Duration) {
        if timeout(poll, self.changed.notified()).await.is_ok() {
            sleep(SETTLE).await;
        }
    }
}

impl Default for Changes {
    fn default() -> Self {
        Self::new()
    }
}

/// Reading is no change: whoever reads the files after a sign must not wake themselves by it.
fn is_write(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

/// The directory of a file or pattern.
#[must_use]
pub fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_swapped_by_renaming_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let (file, new) = (
            folder.path().join("targets.json"),
            folder.path().join("new"),
        );
        std::fs::write(&file, "[]").unwrap();
        std::fs::write(&new, "[1]").unwrap();
        let mut changes = Changes::new();
        changes.add(directory(&file));
        std::fs::rename(&new, &file).unwrap();
        let patience = Duration::from_secs(20);
        let told = timeout(patience, changes.changed.notified()).await;
        assert!(told.is_ok());
    }

    #[test]
    fn reading_is_no_write() {
        use notify::event::CreateKind;
        for (kind, write) in [
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), false),
            (EventKind::Access(AccessKind::Read), false),
            (
                EventKind::Access(AccessKind::Close(AccessMode::Read)),
                false,
            ),
            (
                EventKind::Access(AccessKind::Close(AccessMode::Write)),
                true,
            ),
            (EventKind::Create(CreateKind::File), true),
            (EventKind::Any, true),
        ] {
            assert_eq!(is_write(kind), write, "{kind:?}");
        }
    }
}
