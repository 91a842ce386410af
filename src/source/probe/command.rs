//! A command as a probe: `pytest -q tests/smoke`. One run, without a shell, with a small environment, killed with its
//! whole process group at the timeout or when the probe ends. Deliberately absent: what its output means.

use std::collections::VecDeque;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::ask::{Answer, Outcome, in_words};
use super::config::CommandProbe;
use crate::engine::ScrapeFault;
use crate::source::Secret;
use crate::source::scrape::fault::fault;

/// Of its output this much of the end is told, in bytes, escaped.
const OUTPUT_BYTES_MAX: usize = 500;
/// … and this much is looked at, so that a secret is known whole.
const KEPT_BYTES_MAX: usize = 16 * 1024;
/// A process that it left behind may hold its output open; it is not waited for longer than this.
const OUTPUT_WAIT: Duration = Duration::from_secs(1);
/// What of gated's own environment it sees.
const PASSED_ON: [&str; 7] = [
    "PATH",
    "HOME",
    "LANG",
    "TZ",
    "TMPDIR",
    "KUBECONFIG",
    "VIRTUAL_ENV",
];

/// Kills the process group of a child that has not been waited for when it is dropped.
struct Group(Option<Pid>);

impl Group {
    fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            // An error says that nobody is left in it.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs it once.
pub(super) async fn run(probe: &CommandProbe, limit: Duration) -> Outcome {
    let program = probe.run.first().map_or("", Secret::expose);
    let mut command = Command::new(program);
    command
        .args(probe.run.iter().skip(1).map(Secret::expose))
        .env_clear()
        .envs(passed_on())
        .envs(probe.env.iter().map(|(name, it)| (name, it.expose())))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    match command.spawn() {
        Ok(child) => Ok(watch(probe, child, limit).await),
        Err(error) => Err(fault(
            ScrapeFault::Command,
            format!(
                "`{}` cannot be run: {error}",
                probe.shown.first().map_or("", String::as_str)
            ),
        )),
    }
}

/// Waits for its end.
async fn watch(probe: &CommandProbe, mut child: Child, limit: Duration) -> Answer {
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    // Dropped before the child is: the number is still its own.
    let mut group = Group(pid);
    let kept = Mutex::new(VecDeque::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let output = async {
        tokio::join!(keep(stdout, &kept), keep(stderr, &kept));
    };
    let mut output = std::pin::pin!(output);
    let mut said_all = false;
    let ending = async {
        loop {
            tokio::select! {
                status = child.wait() => break status,
                () = &mut output, if !said_all => said_all = true,
            }
        }
    };
    let ended = timeout(limit, ending).await;
    if ended.is_ok() {
        // It was waited for: its number may be another's by now.
        group.0 = None;
    } else {
        group.kill();
        let _ = child.wait().await;
    }
    if !said_all {
        let _ = timeout(OUTPUT_WAIT, output).await;
    }
    let kept: Vec<u8> = kept.lock().await.iter().copied().collect();
    let said = shown(probe, &kept);
    match ended {
        Ok(ended) => judged(probe, ended, &said),
        Err(_) => Answer::failing(with(format!("killed after {}", in_words(limit)), &said)),
    }
}

fn judged(probe: &CommandProbe, ended: io::Result<ExitStatus>, said: &str) -> Answer {
    let status = match ended {
        Ok(status) => status,
        Err(error) => return Answer::failing(format!("its end was not seen: {error}")),
    };
    // As shells number an end by a signal.
    let signal = status.signal();
    let code = status.code().unwrap_or_else(|| 128 + signal.unwrap_or(0));
    let answer = if code == i32::from(probe.exit) && signal.is_none() {
        Answer::good()
    } else {
        let how = match signal {
            Some(signal) => format!("ended by signal {signal}"),
            None => format!("exit code {code}"),
        };
        Answer::failing(with(how, said))
    };
    answer.with([Some(code.into())])
}

fn with(how: String, said: &str) -> String {
    if said.is_empty() {
        how
    } else {
        format!("{how}: {said}")
    }
}

/// The end of its output in one line, without the values of its configured environment.
fn shown(probe: &CommandProbe, kept: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(kept).into_owned();
    for (_, secret) in &probe.env {
        for part in secret.expose().lines().filter(|it| !it.trim().is_empty()) {
            text = text.replace(part, "[secret]");
        }
    }
    let text = text.trim().escape_debug().to_string();
    let from = text.len().saturating_sub(OUTPUT_BYTES_MAX);
    let from = (from..=text.len()).find(|&at| text.is_char_boundary(at));
    text[from.unwrap_or(text.len())..].to_owned()
}

fn passed_on() -> impl Iterator<Item = (String, std::ffi::OsString)> {
    let passes = |name: &str| {
        PASSED_ON.contains(&name) || name.starts_with("LC_") || name.starts_with("KUBERNETES_")
    };
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(move |(name, _)| passes(name))
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
