//! Configuration and rules from the disk, as text.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Config;
use crate::runbook::{Faults, Source, is_about_keeping};
use crate::source::{BasicAuth, Password};

/// A file of rules is far smaller; a larger one is something else.
const BYTES_MAX: u64 = 4 << 20;

/// Why a file that was named is not there as text.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    #[error("{path} cannot be read: {error}")]
    Io { path: String, error: io::Error },
    #[error("{0} is larger than 4 MiB: no file of rules")]
    TooLarge(String),
    #[error("{0} holds no rules: there is no *.toml, *.yml or *.yaml in it")]
    Empty(String),
}

/// One file.
///
/// # Errors
/// A file that is not there, is huge, or is not UTF-8.
pub fn read_config(path: &Path) -> Result<Source, Unread> {
    let name = path.display().to_string();
    let failed = |error| Unread::Io {
        path: path.display().to_string(),
        error,
    };
    if fs::metadata(path).map_err(failed)?.len() > BYTES_MAX {
        return Err(Unread::TooLarge(name));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    Ok(Source { path: name, text })
}

/// Rules files, and those in folders (`*.toml`, sorted by name). A file named twice is read once.
///
/// # Errors
/// As [`read_config`], a folder without rules, and Prometheus' rule groups.
pub fn read_rules(paths: &[PathBuf]) -> Result<Vec<Source>, Unread> {
    let mut files: Vec<PathBuf> = Vec::new();
    for path in paths {
        if path.is_dir() {
            let within = folder(path)?;
            if within.is_empty() {
                return Err(Unread::Empty(path.display().to_string()));
            }
            files.extend(within);
        } else {
            files.push(path.clone());
        }
    }
    let mut sources: Vec<Source> = Vec::new();
    for file in files {
        if !sources.iter().any(|it| Path::new(&it.path) == file) {
            sources.push(read_config(&file)?);
        }
    }
    Ok(sources)
}

fn folder(path: &Path) -> Result<Vec<PathBuf>, Unread> {
    let failed = |error| Unread::Io {
        path: path.display().to_string(),
        error,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if has_ending(&file, &["toml", "yml", "yaml"]) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(|it| it.to_str());
    ending.is_some_and(|it| endings.contains(&it))
}

/// A variable of this process' environment.
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Config {
    /// The rules' warnings as this configuration leaves them: where every series is kept, none says that some are not.
    #[must_use]
    pub fn heeded(&self, mut lints: Faults) -> Faults {
        if self.retain.is_some() {
            lints.faults.retain(|it| !is_about_keeping(it));
        }
        lints
    }

    /// Files that the configuration names and that cannot be opened, one sentence each. For the daemon: a check does
    /// not need them.
    #[must_use]
    pub fn unreadable(&self) -> Vec<String> {
        let mut named: Vec<(String, &Path)> = Vec::new();
        if let Some(file) = &self.server.token_file {
            named.push(("[server] token_file".to_owned(), file));
        }
        for hook in &self.webhooks {
            if let Some(file) = &hook.secret_file {
                named.push((format!("secret_file of webhook `{}`", hook.name), file));
            }
        }
        for scrape in &self.scrapes {
            let password = match &scrape.basic_auth {
                Some(BasicAuth {
                    password: Password::File(file),
                    ..
                }) => Some(file),
                Some(BasicAuth {
                    password: Password::Here(_),
                    ..
                })
                | None => None,
            };
            for (key, file) in [
                ("bearer_token_file", scrape.bearer_token_file.as_ref()),
                ("password_file", password),
                ("ca_file", scrape.tls.ca_file.as_ref()),
                ("cert_file", scrape.tls.cert_file.as_ref()),
                ("key_file", scrape.tls.key_file.as_ref()),
            ] {
                let file = file.map(|it| (format!("{key} of job `{}`", scrape.job), it.as_path()));
                named.extend(file);
            }
        }
        let tried = named
            .into_iter()
            .map(|(what, file)| (what, file, fs::File::open(file)));
        tried
            .filter_map(|(what, file, opened)| {
                let error = opened.err()?;
                Some(format!(
                    "{what}: {} cannot be read: {error}",
                    file.display()
                ))
            })
            .collect()
    }
}
