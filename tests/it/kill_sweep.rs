//! The real binary under `strace`, killed at every system call with which the ledger's thread records the decision and
//! what comes of it, then started again: never two decisions, never one lost.
//!
//! `GATED_SWEEP=all` tries every call; otherwise a sample, evenly spread.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use gated::engine::Restored;
use gated::model::{Action, DeliveryState};
use gated::sink::ledger;

use crate::binary::{Exporter, House, RULES, Receiver, Said, config, eventually, told};

/// What SQLite writes with. The rest of gated hardly uses them.
const CALLS: [&str; 4] = ["pwrite64", "fsync", "ftruncate", "unlink"];
const SAMPLES: usize = 60;
/// A run that is not killed ends by itself after this long.
const PATIENCE: Duration = Duration::from_secs(20);

struct Stage {
    exporter: Exporter,
    receiver: Receiver,
    house: House,
}

impl Stage {
    /// Its ledger is there already, so that what is written next is the rollout, the decision and what comes of it.
    fn new() -> Self {
        let exporter = Exporter::start(false);
        let receiver = Receiver::start(|_, _| Said::Status(200));
        let house = House::new(
            &config(&[&exporter.url()], &receiver.url(), &told("2")),
            RULES,
        );
        let mut first = house.start();
        first.wait_for("green");
        first.signal("TERM");
        assert!(first.ended().success(), "{}", first.log());
        exporter.set(true);
        Self {
            exporter,
            receiver,
            house,
        }
    }

    /// gated under strace, with its calls of these kinds in a file.
    fn traced(&self, more: &[String]) -> Traced {
        let gated = self.house.command(&["--listen", "127.0.0.1:0"]);
        let mut command = std::process::Command::new("strace");
        command.args(["-f", "-qq", "-e", "signal=none"]);
        command.arg("-e").arg(format!("trace={}", CALLS.join(",")));
        command.arg("-o").arg(self.house.path("trace")).args(more);
        command.arg(gated.get_program()).args(gated.get_args());
        for (name, value) in gated.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let log = fs::File::create(self.house.path("log")).unwrap();
        let child = command
            .current_dir(self.house.path("."))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|why| panic!("this test needs strace (apt-get install strace): {why}"));
        Traced(child)
    }

    fn ledger(&self) -> Restored {
        ledger::read(&self.house.database()).unwrap_or_default()
    }

    fn is_delivered(&self) -> bool {
        let ledger = self.ledger();
        let mut states = ledger.deliveries.iter().map(|it| &it.state);
        states.any(|it| matches!(it, DeliveryState::Delivered { .. }))
    }

    /// How often one thread, the ledger's, made each call: strace counts each thread's for itself.
    fn calls(&self) -> BTreeMap<String, usize> {
        let trace = fs::read_to_string(self.house.path("trace")).unwrap_or_default();
        assert!(
            !trace.trim().is_empty(),
            "strace traced nothing. Where ptrace is not permitted, allow it: in a container with \
             `--cap-add SYS_PTRACE`, on a host with `sysctl kernel.yama.ptrace_scope=1`:\n{}",
            fs::read_to_string(self.house.path("log")).unwrap_or_default()
        );
        let mut by_thread: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for line in trace.lines() {
            let mut words = line.split_whitespace();
            let (thread, call) = (words.next().unwrap(), words.next().unwrap_or_default());
            if let Some((name, _)) = call.split_once('(') {
                *by_thread.entry((name, thread)).or_default() += 1;
            }
        }
        let mut most = BTreeMap::new();
        for ((name, _), count) in by_thread {
            let known = most.entry(name.to_owned()).or_insert(count);
            *known = count.max(*known);
        }
        most
    }
}

/// strace and the gated below it, in a process group of their own; both end with it.
struct Traced(Child);

impl Traced {
    /// Whether it ended by itself before `over`.
    fn ends_before(&mut self, mut over: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.0.try_wait().unwrap().is_some() {
                return true;
            }
            if over() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("neither killed nor done in {PATIENCE:?}");
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|it| it.is_none()) {
            let group = rustix::process::Pid::from_raw(self.0.id().cast_signed()).unwrap();
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

/// How often each call is made until the delivery is recorded.
fn measured() -> BTreeMap<String, usize> {
    let stage = Stage::new();
    let mut traced = stage.traced(&[]);
    assert!(
        !traced.ends_before(|| stage.is_delivered()),
        "{}",
        log(&stage)
    );
    stage.calls()
}

fn log(stage: &Stage) -> String {
    fs::read_to_string(stage.house.path("log")).unwrap_or_default()
}

#[test]
fn killed_at_any_write_it_decides_once_and_loses_nothing() {
    let counted = measured();
    let every = std::env::var("GATED_SWEEP").is_ok_and(|it| it == "all");
    let mut steps: Vec<(&String, usize)> = Vec::new();
    for (call, count) in &counted {
        // A few more than were counted: no two runs are alike to the call.
        steps.extend((1..=count + 3).map(|n| (call, n)));
    }
    let stride = if every {
        1
    } else {
        steps.len().div_ceil(SAMPLES)
    };
    println!("calls until the delivery is recorded: {counted:?}");
    println!(
        "{:<12}{:>4}  {:<40}after the next start",
        "call", "N", "after the kill"
    );
    let mut killed_between = 0;
    for (call, n) in steps.into_iter().rev().step_by(stride) {
        killed_between += usize::from(one_kill(call, n));
    }
    assert!(
        killed_between > 0,
        "no kill came upon a decision that was not delivered"
    );
}

/// Whether the kill came between decision and delivery.
fn one_kill(call: &str, n: usize) -> bool {
    let stage = Stage::new();
    let kill = format!("inject={call}:signal=SIGKILL:when={n}");
    let mut traced = stage.traced(&["-e".into(), kill]);
    let killed = traced.ends_before(|| stage.is_delivered());
    drop(traced);
    let before = stage.ledger();
    let sent_before = stage.receiver.posted().len();
    assert!(before.decisions.len() <= 1, "{call} {n}: decided twice");
    assert!(
        sent_before == 0 || !before.decisions.is_empty(),
        "{call} {n}: sent what is not recorded"
    );
    let mut daemon = stage.house.start();
    eventually("the delivery", || stage.is_delivered());
    daemon.kill();
    let (after, posted) = (stage.ledger(), stage.receiver.posted());
    println!(
        "{call:<12}{n:>4}  {:<40}{}, {} sent in all",
        format!(
            "{}{}, {sent_before} sent",
            if killed { "" } else { "(too late) " },
            state(&before)
        ),
        state(&after),
        posted.len()
    );
    let rollbacks = after
        .decisions
        .iter()
        .filter(|it| it.action == Action::Rollback);
    let ids: Vec<_> = rollbacks.map(|it| it.id.clone()).collect();
    assert_eq!(ids.len(), 1, "{call} {n}");
    assert!(
        before.decisions.iter().all(|it| it.id == ids[0]),
        "{call} {n}: one was lost"
    );
    assert!(!posted.is_empty(), "{call} {n}");
    for it in &posted {
        assert_eq!(it.key, ids[0].as_str(), "{call} {n}");
        assert_eq!(
            (&it.id, &it.body),
            (&posted[0].id, &posted[0].body),
            "{call} {n}"
        );
    }
    assert_sound(&stage);
    assert!(stage.exporter.scrapes() > 0);
    killed && !before.decisions.is_empty() && !before.deliveries[0].is_settled()
}

fn state(ledger: &Restored) -> String {
    let decided = ledger.decisions.len();
    let delivery = ledger
        .deliveries
        .first()
        .map_or("nothing owed", |it| it.state.word());
    format!("{decided} decided, {delivery}")
}

fn assert_sound(stage: &Stage) {
    let db = rusqlite::Connection::open(stage.house.database()).unwrap();
    let found: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, "ok");
    let aside = stage.house.contents();
    assert!(aside.iter().all(|(name, _)| !name.contains("corrupt")));
}

/// D1, D6: while the ledger cannot record it, the rollback is held: nothing is sent, gated goes on and says so. When the
/// disk is well again it is decided and delivered.
#[test]
fn d1_d6_while_the_ledger_cannot_record_it_the_rollback_is_held() {
    for fault in ["fsync:error=EIO", "pwrite64:error=ENOSPC"] {
        let stage = Stage::new();
        stage.exporter.set(false);
        let daemon = stage.house.start();
        daemon.wait_for("green");
        let mut strace = std::process::Command::new("strace");
        strace.args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-p",
            &daemon.id().to_string(),
        ]);
        let mut failing = Traced(
            strace
                .args(["-e", "signal=none", "-e", &format!("inject={fault}")])
                .process_group(0)
                .spawn()
                .unwrap_or_else(|why| panic!("this test needs strace: {why}")),
        );
        stage.exporter.set(true);
        eventually("a commit that fails", || {
            assert!(
                failing.0.try_wait().unwrap().is_none(),
                "strace may not attach"
            );
            daemon.log().contains("the ledger cannot record")
        });
        daemon.wait_for("red");
        assert!(
            daemon.log().contains("not recorded"),
            "{fault}: {}",
            daemon.log()
        );
        assert!(daemon.metric("gated_ledger_commit_failures_total") >= Some(1.0));
        assert_eq!(stage.ledger().decisions.len(), 0, "{fault}");
        assert!(
            stage.receiver.posted().is_empty(),
            "{fault}: sent unrecorded"
        );
        // strace lets go of it, and the disk is well.
        let tracer = rustix::process::Pid::from_raw(failing.0.id().cast_signed()).unwrap();
        rustix::process::kill_process(tracer, rustix::process::Signal::INT).unwrap();
        failing.0.wait().unwrap();
        eventually("the delivery", || stage.is_delivered());
        let (ledger, posted) = (stage.ledger(), stage.receiver.posted());
        assert_eq!(
            (ledger.decisions.len(), posted.len()),
            (1, 1),
            "{fault}: {ledger:?}"
        );
        assert_eq!(posted[0].key, ledger.decisions[0].id.as_str());
        assert_sound(&stage);
    }
}
