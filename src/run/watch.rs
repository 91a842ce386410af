//! The configuration's and the rules' files, watched: a change of what they hold asks for a reload.

use std::path::Path;
use std::time::Duration;

use tracing::info;
use xxhash_rust::xxh3::Xxh3Default;

use super::config::read_config;
use super::config::read_rules;
use super::live::Files;
use crate::source::changes::Changes;
use crate::source::changes::directory;

/// In case a change was not told of.
const POLL: Duration = Duration::from_secs(60);

/// After a look in vain: something else in the folder is written to, a log perhaps.
const IN_VAIN: Duration = Duration::from_secs(1);

/// Waits for the files to hold something else than when last looked at.
#[derive(Debug)]
pub(super) struct Watch {
    files: Files,
    changes: Changes,
    held: u64,
}

impl Watch {
    pub fn new(files: Files) -> Self {
        let mut changes = Changes::new();
        changes.add(directory(&files.config));
        for path in &files.rules {
            changes.add(if path.is_dir() { path } else { directory(path) });
        }
        let held = fingerprint(&files);
        Self {
            files,
            changes,
            held,
        }
    }

    /// Returns when the files have changed. A broken file is told of once, not at every look.
    pub async fn changed(&mut self) {
        loop {
            self.changes.wait(POLL).await;
            let files = self.files.clone();
            let held = tokio::task::spawn_blocking(move || fingerprint(&files)).await;
            // A look that broke off is made again.
            if let Ok(held) = held
                && held != self.held
            {
                self.held = held;
                info!("configuration or rules have changed on disk");
                return;
            }
            tokio::time::sleep(IN_VAIN).await;
        }
    }
}

/// A hash of all texts, or of what is wrong with reading them.
fn fingerprint(files: &Files) -> u64 {
    let mut hash = Xxh3Default::new();
    let mut take = |path: &str, text: &str| {
        for part in [path, text] {
            hash.update(&part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
    };
    match read_config(Path::new(&files.config)) {
        Ok(source) => take(&source.path, &source.text),
        Err(error) => take("", &error.to_string()),
    }
    match read_rules(&files.rules) {
        Ok(sources) => sources.iter().for_each(|it| take(&it.path, &it.text)),
        Err(error) => take("", &error.to_string()),
    }
    hash.digest()
}
