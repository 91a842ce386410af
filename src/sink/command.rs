//! A command as a receiver: `kubectl rollout undo …`. One run, without a shell, with a small environment, the stored body
//! on its standard input, and its whole process group killed at the timeout. Deliberately absent: which command may run
//! at all (the configuration names it twice).

use std::collections::VecDeque;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::{Access, access};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;
use tokio::sync::Mutex;

use super::secret::Secret;
use super::template::{Facts, Targets};
use crate::engine::Attempted;
use crate::model::{DecisionId, DeliveryKey, NoticeKind};

/// Words that may stand in braces in an argument.
pub const PLACEHOLDERS: [&str; 7] = [
    "target",
    "version",
    "previous_version",
    "service",
    "environment",
    "rollout",
    "decision",
];

/// Of its output this much of the end is told, in bytes, escaped.
const OUTPUT_BYTES_MAX: usize = 500;
/// … and this much is looked at, so that a secret is known whole.
const KEPT_BYTES_MAX: usize = 16 * 1024;
/// A process that it left behind may hold its output open; it is not waited for longer than this.
const OUTPUT_WAIT: Duration = Duration::from_secs(1);
/// What of gated's own environment it sees.
const PASSED_ON: [&str; 3] = ["PATH", "HOME", "KUBECONFIG"];

/// A `[[command]]` as configured.
#[derive(Clone, Debug)]
pub struct CommandConfig {
    pub name: String,
    /// Program and arguments.
    pub run: Vec<String>,
    pub timeout: Duration,
    pub env: Vec<(String, Secret)>,
    pub targets: Targets,
}

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("command `{0}` names no program to run")]
    Empty(String),
    #[error("command `{0}` has a placeholder in its program")]
    Program(String),
    #[error("command `{command}` has the placeholder `{{{placeholder}}}`, which is none")]
    Placeholder {
        command: String,
        placeholder: String,
    },
}

/// A command, ready to be run.
#[derive(Debug)]
pub struct Command {
    config: CommandConfig,
}

impl Command {
    pub fn new(config: &CommandConfig) -> Result<Self, CommandError> {
        let name = &config.name;
        let program = config.run.first().filter(|it| !it.is_empty());
        let program = program.ok_or_else(|| CommandError::Empty(name.clone()))?;
        if placeholders(program).next().is_some() {
            return Err(CommandError::Program(name.clone()));
        }
        let mut all = config.run.iter().flat_map(|it| placeholders(it));
        if let Some(unknown) = all.find(|it| !PLACEHOLDERS.contains(it)) {
            return Err(CommandError::Placeholder {
                command: name.clone(),
                placeholder: unknown.to_owned(),
            });
        }
        Ok(Self {
            config: config.clone(),
        })
    }

    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Where its program is, as a run would find it; or what is wrong with it. Nothing is run.
    pub fn found(&self) -> Result<PathBuf, String> {
        let program = Path::new(&self.config.run[0]);
        let runs = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
        if self.config.run[0].contains('/') {
            return match (program.exists(), runs(program)) {
                (_, true) => Ok(program.to_owned()),
                (true, false) => Err(format!(
                    "its program {} cannot be executed: make it executable for gated",
                    program.display()
                )),
                (false, false) => Err(format!(
                    "its program {} is not there: install it, or mend `run`",
                    program.display()
                )),
            };
        }
        let own = self.config.env.iter().find(|(name, _)| name == "PATH");
        let path = match own {
            Some((_, path)) => Some(path.expose().into()),
            None => std::env::var_os("PATH"),
        };
        let folders = path.unwrap_or_default();
        let mut places = std::env::split_paths(&folders).map(|it| it.join(program));
        places.find(|it| runs(it)).ok_or_else(|| {
            let name = program.display();
            format!("its program `{name}` is in no folder of PATH: install it, or write its whole path in `run`")
        })
    }

    /// Runs it once for the stored generic body.
    pub async fn attempt(
        &self,
        key: &DeliveryKey,
        decision: &DecisionId,
        body: Bytes,
    ) -> Attempted {
        match self.prepare(key, decision, &body) {
            Ok(mut command) => match command.spawn() {
                Ok(child) => self.watch(child, &body).await,
                Err(error) => {
                    let program = &self.config.run[0];
                    unsent(format!("`{program}` cannot be run: {error}"))
                }
            },
            Err(reason) => unsent(format!("not run: {reason}")),
        }
    }

    fn prepare(
        &self,
        key: &DeliveryKey,
        decision: &DecisionId,
        body: &[u8],
    ) -> Result<tokio::process::Command, String> {
        let facts = Facts::read(body).ok_or("the stored body is not gated's own")?;
        if facts.r#type != NoticeKind::RollbackRequested.word() {
            return Err(format!("`{}` asks for no rollback", facts.r#type));
        }
        let rollout = facts.data.rollout.as_ref();
        let previous = facts.data.previous_version();
        let target = self.config.targets.of(previous);
        let value = |word: &str| match word {
            "target" => target.clone().map_err(|refused| refused.to_string()),
            "version" => Ok(rollout.map_or(String::new(), |it| it.version.clone())),
            "previous_version" => Ok(previous.unwrap_or("").to_owned()),
            "service" => Ok(facts.data.service.clone()),
            "environment" => Ok(facts.data.environment.clone()),
            "rollout" => Ok(rollout.map_or(String::new(), |it| it.id.clone())),
            _ => Ok(decision.as_str().to_owned()),
        };
        let mut arguments = Vec::new();
        for argument in &self.config.run {
            arguments.push(filled(argument, &value)?);
        }
        let mut command = tokio::process::Command::new(&arguments[0]);
        command
            .args(&arguments[1..])
            .env_clear()
            .envs(passed_on())
            .env("GATED_TYPE", &facts.r#type)
            .env("GATED_DELIVERY", key.as_str())
            .env("GATED_REASON", without_nul(&facts.data.reason));
        for word in PLACEHOLDERS {
            let name = format!("GATED_{}", word.to_uppercase());
            if let Ok(value) = value(word) {
                command.env(name, without_nul(&value));
            }
        }
        let own = self.config.env.iter();
        command
            .envs(own.map(|(name, secret)| (name, secret.expose())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        Ok(command)
    }

    /// Feeds it and waits for its end.
    async fn watch(&self, mut child: Child, body: &[u8]) -> Attempted {
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let kept = Mutex::new(VecDeque::new());
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // It may not want to read.
                let _ = stdin.write_all(body).await;
            }
        };
        let output = async {
            tokio::join!(keep(stdout, &kept), keep(stderr, &kept));
        };
        let (mut feed, mut output) = (std::pin::pin!(feed), std::pin::pin!(output));
        let (mut took_all, mut said_all) = (false, false);
        let ending = async {
            loop {
                tokio::select! {
                    status = child.wait() => break status,
                    () = &mut feed, if !took_all => took_all = true,
                    () = &mut output, if !said_all => said_all = true,
                }
            }
        };
        let Ok(ended) = tokio::time::timeout(self.config.timeout, ending).await else {
            if let Some(group) = group {
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = child.wait().await;
            let reason = format!(
                "killed after {}",
                humantime::format_duration(self.config.timeout)
            );
            return Attempted::NoAnswer {
                reason,
                reached: true,
            };
        };
        if !said_all {
            let _ = tokio::time::timeout(OUTPUT_WAIT, output).await;
        }
        let kept: Vec<u8> = kept.lock().await.iter().copied().collect();
        self.ran(ended, &kept)
    }

    fn ran(&self, ended: io::Result<ExitStatus>, kept: &[u8]) -> Attempted {
        match ended {
            Ok(status) => Attempted::Ran {
                // As shells number an end by a signal.
                code: status
                    .code()
                    .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
                output: self.shown(kept),
            },
            Err(error) => Attempted::NoAnswer {
                reason: format!("its end was not seen: {error}"),
                reached: true,
            },
        }
    }

    /// The end of its output in one line, without the values of its configured environment.
    fn shown(&self, kept: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(kept).into_owned();
        for (_, secret) in &self.config.env {
            for part in secret.expose().lines().filter(|it| !it.trim().is_empty()) {
                text = text.replace(part, "[secret]");
            }
        }
        let text = text.trim().escape_debug().to_string();
        let from = text.len().saturating_sub(OUTPUT_BYTES_MAX);
        let from = (from..=text.len()).find(|&at| text.is_char_boundary(at));
        text[from.unwrap_or(text.len())..].to_owned()
    }
}

fn unsent(reason: String) -> Attempted {
    Attempted::NoAnswer {
        reason,
        reached: false,
    }
}

/// Every word in braces, known or not. Other braces (JSON, a JSON path) are none of ours.
pub fn placeholders(argument: &str) -> impl Iterator<Item = &str> {
    argument.match_indices('{').filter_map(|(at, _)| {
        let rest = &argument[at + 1..];
        let word = &rest[..rest.find('}')?];
        let is_word =
            |it: &str| !it.is_empty() && it.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        is_word(word).then_some(word)
    })
}

/// The argument with its placeholders filled, from left to right: what was filled in is not looked at again.
fn filled(
    argument: &str,
    value: &impl Fn(&str) -> Result<String, String>,
) -> Result<String, String> {
    let mut whole = String::new();
    let mut rest = argument;
    while let Some(word) = placeholders(rest).next() {
        let written = format!("{{{word}}}");
        let (before, after) = rest.split_once(&written).expect("it was found there");
        let filling = value(word)?;
        if filling.is_empty() {
            return Err(format!("there is nothing to put for `{written}`"));
        }
        if filling.starts_with('-') || filling.chars().any(char::is_control) {
            let shown = filling.escape_debug();
            return Err(format!("`{shown}` must not stand for `{written}`"));
        }
        whole.push_str(before);
        whole.push_str(&filling);
        rest = after;
    }
    whole.push_str(rest);
    Ok(whole)
}

fn passed_on() -> Vec<(String, std::ffi::OsString)> {
    let passes = |name: &str| PASSED_ON.contains(&name) || name.starts_with("KUBERNETES_");
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| passes(name))
        .collect()
}

/// No variable may hold a NUL.
fn without_nul(text: &str) -> String {
    text.replace('\0', " ")
}

/// Reads to the end and keeps what came last.
async fn keep(pipe: Option<impl AsyncRead + Unpin>, kept: &Mutex<VecDeque<u8>>) {
    let Some(mut pipe) = pipe else {
        return;
    };
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        let mut kept = kept.lock().await;
        kept.extend(&buffer[..read]);
        let over = kept.len().saturating_sub(KEPT_BYTES_MAX);
        kept.drain(..over);
    }
}
