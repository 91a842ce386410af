//! Configuration and rules from the disk, as text.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Config, Form};
use crate::model::NoticeKind;
use crate::runbook::{Fault, Faults, Grade, Source, is_about_keeping, is_rule_file};
use crate::sink::{Credentials, Own, Template, TemplateFault};
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
    #[error("{0} holds no rules: there is no *.toml, *.yml, *.yaml or *.rules in it")]
    Empty(String),
    #[error("{path}:{line}:{column}: a byte that is no UTF-8: save the file as UTF-8")]
    NotText {
        path: String,
        line: usize,
        column: usize,
    },
    #[error(
        "{0} is no rules file by its name: *.toml are gated's own, *.yml, *.yaml and *.rules are Prometheus'"
    )]
    Ending(String),
    #[error("{0}")]
    Several(String),
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
    match String::from_utf8(fs::read(path).map_err(failed)?) {
        Ok(text) => Ok(Source { path: name, text }),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let before = String::from_utf8_lossy(&error.as_bytes()[..good]);
            let line = before.rsplit('\n').next().unwrap_or("");
            Err(Unread::NotText {
                path: name,
                line: before.matches('\n').count() + 1,
                column: line.chars().count() + 1,
            })
        }
    }
}

/// Rules files, and those in folders (sorted by name). A file named twice is read once.
///
/// # Errors
/// As [`read_config`], a folder without rules, and a name that is no rules file's: all of them.
pub fn read_rules(paths: &[PathBuf]) -> Result<Vec<Source>, Unread> {
    let (sources, mut unread) = read_what_can_be(paths);
    match unread.len() {
        0 => Ok(sources),
        1 => Err(unread.remove(0)),
        _ => {
            let all: Vec<String> = unread.iter().map(Unread::to_string).collect();
            Err(Unread::Several(all.join("; ")))
        }
    }
}

/// As [`read_rules`]: what can be read, and why the rest cannot.
#[must_use]
pub fn read_what_can_be(paths: &[PathBuf]) -> (Vec<Source>, Vec<Unread>) {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut unread = Vec::new();
    for path in paths {
        if path.is_dir() {
            match folder(path) {
                Ok(within) if within.is_empty() => {
                    unread.push(Unread::Empty(path.display().to_string()));
                }
                Ok(within) => files.extend(within),
                Err(error) => unread.push(error),
            }
        } else {
            files.push(path.clone());
        }
    }
    let mut sources: Vec<Source> = Vec::new();
    for file in files {
        if sources.iter().any(|it| Path::new(&it.path) == file) {
            continue;
        }
        match read_config(&file) {
            Ok(_) if !has_ending(&file) => {
                unread.push(Unread::Ending(file.display().to_string()));
            }
            Ok(source) => sources.push(source),
            Err(error) => unread.push(error),
        }
    }
    (sources, unread)
}

fn folder(path: &Path) -> Result<Vec<PathBuf>, Unread> {
    let failed = |error| Unread::Io {
        path: path.display().to_string(),
        error,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if has_ending(&file) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Whether it is a rules file by its name.
fn has_ending(path: &Path) -> bool {
    let ending = path.extension().and_then(|it| it.to_str());
    let toml = ending.is_some_and(|it| it.eq_ignore_ascii_case("toml"));
    toml || is_rule_file(&path.to_string_lossy())
}

fn tried(source: &Source, takes: impl Fn(NoticeKind) -> bool) -> Result<Own, TemplateFault> {
    let own = Own::new(&source.path, &source.text)?;
    Template::Own(own.clone()).check(takes)?;
    Ok(own)
}

/// The fault of a template, at its place in the file.
fn shown(source: Source, fault: &TemplateFault) -> Faults {
    let line = || {
        let before = fault.line.unwrap_or(1).saturating_sub(1);
        let start: usize = source
            .text
            .split_inclusive('\n')
            .take(before)
            .map(str::len)
            .sum();
        let length = source.text[start..].lines().next().map_or(0, str::len);
        start..start + length
    };
    let fault = Fault {
        grade: Grade::Error,
        source: 0,
        span: fault.span.clone().unwrap_or_else(line),
        message: fault.reason.clone(),
        help: fault.help.to_owned(),
        also: None,
    };
    Faults {
        sources: vec![source],
        faults: vec![fault],
    }
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

    /// The templates of the user's, by webhook, each tried with every kind of notice that it may get; else every fault,
    /// rendered.
    ///
    /// # Errors
    /// A file that cannot be read, does not parse, names what is not there, or makes what is no JSON.
    pub fn templates(&self, colour: bool) -> Result<BTreeMap<String, Own>, String> {
        let mut templates = BTreeMap::new();
        let mut faults = Vec::new();
        for hook in &self.webhooks {
            let Form::File(path) = &hook.form else {
                continue;
            };
            // The rollback hook gets nothing else.
            let is_hook = self.rollback.hook.as_ref() == Some(&hook.name);
            let takes = |kind| {
                if kind == NoticeKind::Test {
                    hook.accepts_test
                } else if is_hook {
                    kind == NoticeKind::RollbackRequested
                } else {
                    hook.receiver().takes(kind)
                }
            };
            match read_config(path) {
                Err(error) => faults.push(format!("error: {error}")),
                Ok(source) => match tried(&source, takes) {
                    Ok(own) => drop(templates.insert(hook.name.clone(), own)),
                    Err(fault) => faults.push(shown(source, &fault).render(colour)),
                },
            }
        }
        if faults.is_empty() {
            Ok(templates)
        } else {
            Err(faults.join("\n"))
        }
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
        // All of them go through one server.
        if let Some(mail) = self.mails.first() {
            let smtp = &mail.config.smtp;
            let password = smtp.login.as_ref().map(|(_, file)| file);
            for (key, file) in [
                ("password_file", password),
                ("ca_file", smtp.ca_file.as_ref()),
            ] {
                named.extend(file.map(|it| (format!("{key} of [smtp]"), it.as_path())));
            }
        }
        let shown = self.alertmanager.as_ref();
        let shown = shown.and_then(|it| it.credentials.as_ref());
        if let Some(Credentials::BearerFile(file) | Credentials::BasicFile { password: file, .. }) =
            shown
        {
            named.push(("a secret of [alertmanager]".to_owned(), file));
        }
        for probe in &self.probes {
            let Some(request) = probe.config.ask.request() else {
                continue;
            };
            let tls = &request.tls;
            for (key, file) in [
                ("ca_file", &tls.ca_file),
                ("cert_file", &tls.cert_file),
                ("key_file", &tls.key_file),
            ] {
                let what = format!("{key} of the probe of `{}`", probe.config.component);
                named.extend(file.as_deref().map(|it| (what, it)));
            }
        }
        let scrapes = self.scrapes.iter().map(|it| {
            let of = format!("job `{}`", it.job);
            (of, &it.basic_auth, &it.bearer_token_file, &it.tls)
        });
        let sources = self.sources.iter().map(|it| {
            let of = format!("source `{}`", it.name);
            (of, &it.basic_auth, &it.bearer_token_file, &it.tls)
        });
        for (of, basic_auth, token, tls) in scrapes.chain(sources) {
            let password = match basic_auth {
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
                ("bearer_token_file", token.as_ref()),
                ("password_file", password),
                ("ca_file", tls.ca_file.as_ref()),
                ("cert_file", tls.cert_file.as_ref()),
                ("key_file", tls.key_file.as_ref()),
            ] {
                let file = file.map(|it| (format!("{key} of {of}"), it.as_path()));
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
