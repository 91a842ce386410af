//! Targets from files, Prometheus' `file_sd` format in JSON or YAML, watched.
//!
//! A file that does not read (half written, broken) keeps the targets it gave before; one that is gone gives none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use metrics::counter;
use regex::Regex;
use serde::Deserialize;
use tracing::warn;

use super::{Board, Found, TARGETS_MAX};
use crate::source::changes::Changes;
use crate::source::changes::directory;
use crate::source::metrics as names;

const FILE_BYTES_MAX: u64 = 16 << 20;

/// Tells `board` what the files hold: at once, after each change, and every `poll` in case a change was not seen.
pub(in crate::source) async fn watch(patterns: Vec<PathBuf>, poll: Duration, board: Arc<Board>) {
    let mut changes = Changes::new();
    let mut files = Files::default();
    loop {
        for pattern in &patterns {
            changes.add(directory(pattern));
        }
        let read = tokio::task::spawn_blocking({
            let patterns = patterns.clone();
            move || {
                files.refresh(&patterns);
                files
            }
        });
        let Ok(read) = read.await else {
            // The runtime shuts down.
            return;
        };
        files = read;
        board.publish(files.targets());
        changes.wait(poll).await;
    }
}

/// What each file held when it last read well.
#[derive(Default)]
struct Files {
    good: BTreeMap<PathBuf, Vec<Found>>,
    broken: BTreeSet<PathBuf>,
}

impl Files {
    fn refresh(&mut self, patterns: &[PathBuf]) {
        let mut present = BTreeSet::new();
        for pattern in patterns {
            match expand(pattern) {
                Ok(paths) => present.extend(paths),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    // A directory that cannot be read says nothing about its files.
                    self.complain(pattern, &error.to_string());
                    let kept = self
                        .good
                        .keys()
                        .filter(|path| path.parent() == pattern.parent());
                    present.extend(kept.cloned());
                }
            }
        }
        self.good.retain(|path, _| present.contains(path));
        for path in present {
            match read(&path) {
                Ok(targets) => {
                    self.broken.remove(&path);
                    self.good.insert(path, targets);
                }
                Err(error) => self.complain(&path, &error.to_string()),
            }
        }
    }

    fn complain(&mut self, path: &Path, error: &str) {
        counter!(names::DISCOVERY_FAILURES, "kind" => "file").increment(1);
        if self.broken.insert(path.to_owned()) {
            warn!(file = %path.display(), %error, "target file refused; the targets known before are kept");
        }
    }

    fn targets(&self) -> Vec<Found> {
        self.good.values().flatten().cloned().collect()
    }
}

#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0} bytes are too many")]
    Large(u64),
    #[error("more than {TARGETS_MAX} targets")]
    Targets,
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("not YAML: {0}")]
    Yaml(String),
}

/// One group of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

fn read(path: &Path) -> Result<Vec<Found>, FileError> {
    let bytes = fs::metadata(path)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(FileError::Large(bytes));
    }
    let text = fs::read_to_string(path)?;
    let is_json = path
        .extension()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("json"));
    let groups: Vec<Group> = if is_json {
        serde_json::from_str(&text)?
    } else {
        // A file cut off before its first line, or of comments only, is `null` and no empty list.
        let groups: Option<Vec<Group>> =
            serde_saphyr::from_str(&text).map_err(|error| FileError::Yaml(error.to_string()))?;
        groups.ok_or_else(|| FileError::Yaml("holds no list".to_owned()))?
    };
    if groups
        .iter()
        .map(|group| group.targets.len())
        .sum::<usize>()
        > TARGETS_MAX
    {
        return Err(FileError::Targets);
    }
    let targets = groups.into_iter().flat_map(|group| {
        let labels: Vec<_> = group.labels.into_iter().collect();
        group.targets.into_iter().map(move |address| Found {
            address,
            labels: labels.clone(),
        })
    });
    Ok(targets.collect())
}

/// The files that a pattern stands for. `*` and `?` count in its last part only, as in Prometheus.
fn expand(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let last = pattern
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if !last.contains(['*', '?']) {
        return Ok(if pattern.try_exists()? {
            vec![pattern.to_owned()]
        } else {
            Vec::new()
        });
    }
    let escaped = regex::escape(last).replace(r"\*", ".*").replace(r"\?", ".");
    let Ok(name) = Regex::new(&format!("^(?s:{escaped})$")) else {
        return Ok(Vec::new());
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory(pattern))? {
        let entry = entry?;
        if entry
            .file_name()
            .to_str()
            .is_some_and(|file| name.is_match(file))
        {
            paths.push(pattern.with_file_name(entry.file_name()));
        }
    }
    Ok(paths)
}
