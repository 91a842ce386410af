//! The real binary as a child process: a folder with its files, a target and a receiver on real sockets, and what it
//! is asked over HTTP. Waiting is for conditions, with patience; nothing here sleeps for luck.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use gated::engine::Restored;
use gated::sink::ledger;
use serde_json::Value;
use tempfile::TempDir;

use crate::fault_server::{Answer, FaultServer};

/// Longest wait for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again until it holds; fails with `what` when it never does.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never came: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The binary, with an environment that says nothing to it.
pub fn gated(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gated"));
    command.args(arguments).stdin(Stdio::null());
    for name in [
        "CONFIG",
        "RULES",
        "DATA",
        "LISTEN",
        "LOG_FORMAT",
        "LOG_LEVEL",
    ] {
        command.env_remove(format!("GATED_{name}"));
    }
    command.env_remove("RUST_LOG");
    command
}

/// A folder with `gated.toml`, `rules.toml` and the data of one gated.
pub struct House {
    folder: TempDir,
}

impl House {
    pub fn new(config: &str, rules: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let house = Self { folder };
        house.configure(config);
        house.rule(rules);
        house
    }

    pub fn configure(&self, text: &str) {
        fs::write(self.path("gated.toml"), text).unwrap();
    }

    pub fn rule(&self, text: &str) {
        fs::write(self.path("rules.toml"), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub fn database(&self) -> PathBuf {
        self.data().join("gated.db")
    }

    pub fn token(&self) -> String {
        let text = fs::read_to_string(self.data().join("token")).unwrap();
        text.trim().to_owned()
    }

    /// What the ledger of a gated that is dead remembers.
    pub fn ledger(&self) -> Restored {
        ledger::read(&self.database()).unwrap()
    }

    /// A command with this house's files; more arguments may follow.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = gated(arguments);
        command
            .current_dir(self.folder.path())
            .arg("--config")
            .arg(self.path("gated.toml"))
            .arg("--rules")
            .arg(self.path("rules.toml"))
            .arg("--data")
            .arg(self.data());
        // Prometheus' rules beside gated's own, where a test has written some.
        let groups = self.path("rules.yml");
        if groups.exists() {
            command.arg("--rules").arg(groups);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts the daemon without waiting for anything, on a port of its own.
    pub fn spawn(&self) -> Daemon {
        self.spawn_with(&[])
    }

    fn spawn_with(&self, more: &[&str]) -> Daemon {
        // Not among the files that gated watches: at the level of traces it would tell of each line that it wrote.
        let logs = self.path("logs");
        fs::create_dir_all(&logs).unwrap();
        let log = logs.join("log");
        let file = fs::File::create(&log).unwrap();
        let child = self
            .command(&["--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(more)
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Daemon {
            child,
            log,
            address: None,
        }
    }

    /// Starts the daemon with a log of that level, and waits until it serves.
    pub fn start_at(&self, level: &str) -> Daemon {
        let mut daemon = self.spawn_with(&["--log-level", level]);
        daemon.wait_for_address();
        daemon
    }

    /// Starts the daemon and waits until it serves.
    pub fn start(&self) -> Daemon {
        let mut daemon = self.spawn();
        daemon.wait_for_address();
        daemon
    }

    /// Every file of the data folder and what stands in it.
    pub fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let Ok(entries) = fs::read_dir(self.data()) else {
            return Vec::new();
        };
        let mut all: Vec<_> = entries
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read(entry.path()).unwrap_or_default())
            })
            .collect();
        all.sort();
        all
    }
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    address: Option<SocketAddr>,
}

/// What came back over HTTP.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Daemon {
    /// One that something else started, and what it prints.
    pub fn of(child: Child, log: PathBuf, address: SocketAddr) -> Self {
        Self {
            child,
            log,
            address: Some(address),
        }
    }

    fn wait_for_address(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("gated ended with {status}:\n{}", self.log());
            }
            let log = self.log();
            let line = log.lines().find(|line| line.contains("gated runs"));
            if let Some(Ok(line)) = line.map(serde_json::from_str::<Value>) {
                let address = find(&line, "address").expect("the line names the address");
                self.address = Some(address.parse().unwrap());
                return;
            }
            assert!(Instant::now() < deadline, "gated does not start:\n{log}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn address(&self) -> SocketAddr {
        self.address.expect("started and waited for")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn signal(&self, name: &str) {
        send_signal(self.id(), name);
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the end of gated", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, "", "")
    }

    /// A request whose head has these further lines, each ended by CR LF.
    pub fn ask(&self, method: &str, path: &str, head: &str, body: &str) -> Reply {
        let address = self.address();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n{head}\r\n{body}"
        );
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Reply {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    pub fn verdict(&self) -> Value {
        self.get("/api/v1/verdict").json()
    }

    pub fn decisions(&self) -> Vec<Value> {
        let mut answer = self.get("/api/v1/decisions").json();
        serde_json::from_value(answer["data"]["decisions"].take()).unwrap()
    }

    /// Waits for a verdict of this status.
    pub fn wait_for(&self, status: &str) {
        eventually(&format!("status {status}"), || {
            self.verdict()["status"] == status
        });
    }

    /// The value of one sample on its page of metrics.
    pub fn metric(&self, head: &str) -> Option<f64> {
        let page = self.get("/metrics").body;
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(head)?.strip_prefix(' '));
        line.map(|value| value.parse().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The field of that name, wherever it stands.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    let fields = value.as_object()?;
    let here = fields.get(name).and_then(Value::as_str);
    here.or_else(|| fields.values().find_map(|inner| find(inner, name)))
}

/// Sends one process a signal by its name.
pub fn send_signal(process: u32, name: &str) {
    let process = rustix::process::Pid::from_raw(process.cast_signed()).unwrap();
    let signal = match name {
        "HUP" => rustix::process::Signal::HUP,
        "TERM" => rustix::process::Signal::TERM,
        "INT" => rustix::process::Signal::INT,
        "STOP" => rustix::process::Signal::STOP,
        "CONT" => rustix::process::Signal::CONT,
        "KILL" => rustix::process::Signal::KILL,
        other => panic!("no signal {other}"),
    };
    rustix::process::kill_process(process, signal).unwrap();
}

/// A target with one gauge, `broken`, that the test turns.
pub struct Exporter {
    server: FaultServer,
    value: Arc<AtomicU64>,
}

impl Exporter {
    pub fn start(broken: bool) -> Self {
        let value = Arc::new(AtomicU64::new(u64::from(broken)));
        let shown = Arc::clone(&value);
        let server = FaultServer::start(move |_, _| {
            let value = shown.load(Ordering::SeqCst);
            Answer::Page(format!("# TYPE broken gauge\nbroken {value}\n"))
        });
        Self { server, value }
    }

    pub fn set(&self, broken: bool) {
        self.value.store(u64::from(broken), Ordering::SeqCst);
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    pub fn scrapes(&self) -> usize {
        self.server.requests().len()
    }
}

/// A request that a receiver read whole.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Request line and headers, as they came.
    pub head: String,
    pub id: String,
    pub key: String,
    pub body: String,
}

/// How a receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Status(u16),
    /// With a clock that is years behind.
    LongAgo(u16),
    /// Hangs up without a word.
    Nothing,
}

/// A webhook's receiver; keeps what it read before it answers.
pub struct Receiver {
    address: SocketAddr,
    posted: Arc<Mutex<Vec<Posted>>>,
    answered: Arc<Mutex<Vec<Said>>>,
    over: Arc<AtomicBool>,
}

impl Receiver {
    /// `answer` gets the number of the request (from 0) and the request; it may take its time.
    pub fn start(answer: impl Fn(usize, &Posted) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            posted: Arc::default(),
            answered: Arc::default(),
            over: Arc::default(),
        };
        let (posted, answered) = (Arc::clone(&receiver.posted), Arc::clone(&receiver.answered));
        let over = Arc::clone(&receiver.over);
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (posted, answered) = (Arc::clone(&posted), Arc::clone(&answered));
                let answer = Arc::clone(&answer);
                thread::spawn(move || {
                    // The other side is killed at any moment.
                    let _ = receive(&stream.unwrap(), answer.as_ref(), &posted, &answered);
                });
            }
        });
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }

    /// How many were told 200.
    pub fn taken(&self) -> usize {
        let answered = self.answered.lock().unwrap();
        answered
            .iter()
            .filter(|said| **said == Said::Status(200))
            .count()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn receive(
    mut stream: &TcpStream,
    answer: &(impl Fn(usize, &Posted) -> Said + ?Sized),
    posted: &Mutex<Vec<Posted>>,
    answered: &Mutex<Vec<Said>>,
) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                return Ok(());
            }
            head.push(byte[0]);
        }
        let written = String::from_utf8_lossy(&head).into_owned();
        let head = written.to_lowercase();
        let field = |name: &str| {
            let line = head
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_default().to_owned()
        };
        let mut body = vec![0; field("content-length").parse().unwrap_or(0)];
        stream.read_exact(&mut body)?;
        let request = Posted {
            head: written,
            id: field("webhook-id"),
            key: field("idempotency-key"),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        let number = {
            let mut posted = posted.lock().unwrap();
            posted.push(request.clone());
            posted.len() - 1
        };
        let said = answer(number, &request);
        let written = match said {
            Said::Status(status) => {
                let head = "Content-Length: 0\r\nRetry-After: 1\r\n\r\n";
                stream.write_all(format!("HTTP/1.1 {status} Said\r\n{head}").as_bytes())
            }
            Said::LongAgo(status) => {
                let head = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(format!("HTTP/1.1 {status} Said\r\n{head}").as_bytes())
            }
            Said::Nothing => stream.shutdown(Shutdown::Both),
        };
        answered.lock().unwrap().push(said);
        if said == Said::Nothing {
            return Ok(());
        }
        written?;
    }
}

/// A configuration with short intervals: these targets, this hook, armed. More sections may follow.
pub fn config(targets: &[&str], hook: &str, rollout: &str) -> String {
    let targets: Vec<String> = targets.iter().map(|url| format!("{url:?}")).collect();
    let targets = targets.join(", ");
    format!(
        r#"
[service]
name = "shop"
environment = "test"
[[scrape]]
job = "shop"
targets = [{targets}]
interval = "100ms"
timeout = "90ms"
[rollout]
{rollout}
[judging]
settle = "0s"
[rollback]
mode = "armed"
hook = "deployer"
[[webhook]]
name = "deployer"
url = "{hook}"
"#
    )
}

/// Rolls back when `broken` has been 1 for a moment.
pub const RULES: &str = r#"
clock = "rollout"
[signals.broken]
title = "Broken parts"
expr = 'max(broken)'
unit = "count"
[[phase]]
name = "watch"
from = "0s"
rollback = "armed"
gate = "green"
[phase.targets]
broken = "== 0"
[[phase.trigger]]
name = "breakage"
when = "broken > 0"
for = "200ms"
do = "rollback"
severity = "P1"
"#;

/// A rollout that is told of, the same after each start.
pub fn told(version: &str) -> String {
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(60);
    format!("version = \"{version}\"\nprevious_version = \"1\"\nstarted_at = \"{at:.3}\"")
}
