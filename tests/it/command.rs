//! Commands as receivers: really run, with what they are given and what becomes of them.

use std::collections::BTreeMap;
use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gated::engine::Attempted;
use gated::model::{DecisionId, DeliveryKey, Notice, NoticeKind};
use gated::sink::{Command, CommandConfig, Secret, Targets, render};
use serde_json::Value;

use crate::binary::eventually;
use crate::body::rolled_back;

fn request() -> Notice {
    static REQUEST: LazyLock<Notice> = LazyLock::new(|| {
        let mut all = rolled_back().into_iter();
        let request = all.find(|it| it.kind == NoticeKind::RollbackRequested);
        request.unwrap()
    });
    REQUEST.clone()
}

fn config(run: &[&str]) -> CommandConfig {
    let targets = BTreeMap::from([("1.0.0".to_owned(), "41".to_owned())]);
    CommandConfig {
        name: "undo".into(),
        run: run.iter().map(|it| (*it).to_owned()).collect(),
        timeout: Duration::from_secs(30),
        env: Vec::new(),
        targets: Targets::listed(targets),
    }
}

async fn run(config: &CommandConfig, notice: &Notice) -> Attempted {
    let command = Command::new(config).unwrap();
    let (key, decision) = (DeliveryKey("msg_1".into()), DecisionId("dec_1".into()));
    command
        .attempt(&key, &decision, Bytes::from(render(notice)))
        .await
}

fn ran(code: i32, output: &str) -> Attempted {
    Attempted::Ran {
        code,
        output: output.to_owned(),
    }
}

#[tokio::test]
async fn it_gets_its_arguments_the_body_and_a_small_environment() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("undo");
    let text = "#!/bin/sh\nprintf '%s\\n' \"$@\" > args\ncat > body\nenv > env\necho done\necho aside >&2\n";
    fs::write(&script, text).unwrap();
    let go = format!("cd {} && exec sh undo \"$@\"", folder.path().display());
    let mut config = config(&[
        "sh",
        "-c",
        &go,
        "sh",
        "--to-revision={target}",
        "{previous_version}",
        "$(id) `id` ;",
        "{\"spec\":{}}",
    ]);
    config.env.push(("EXTRA".into(), Secret::new("one two")));
    let Attempted::Ran { code: 0, output } = run(&config, &request()).await else {
        panic!();
    };
    assert!(
        output.contains("done") && output.contains("aside"),
        "{output}"
    );
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(
        read("args"),
        "--to-revision=41\n1.0.0\n$(id) `id` ;\n{\"spec\":{}}\n"
    );
    let body: Value = serde_json::from_str(&read("body")).unwrap();
    assert_eq!(body["type"], "gated.rollback.requested");
    let env = read("env");
    for line in [
        "GATED_TARGET=41",
        "GATED_VERSION=2.0.0",
        "GATED_DECISION=dec_1",
        "EXTRA=one two",
    ] {
        assert!(env.lines().any(|it| it == line), "{line}: {env}");
    }
    assert!(!env.contains("CARGO_"), "{env}");
}

#[tokio::test]
async fn its_end_is_told_with_the_end_of_its_output() {
    assert_eq!(run(&config(&["true"]), &request()).await, ran(0, ""));
    let failed = config(&["sh", "-c", "printf 'no\\033[31m such\\ndeployment'; exit 3"]);
    assert_eq!(
        run(&failed, &request()).await,
        ran(3, "no\\u{1b}[31m such\\ndeployment")
    );
    assert_eq!(
        run(&config(&["sh", "-c", "kill -9 $$"]), &request()).await,
        ran(137, "")
    );
    let loud = config(&["sh", "-c", "yes | head -c 1000000; echo the end"]);
    let Attempted::Ran { code: 0, output } = run(&loud, &request()).await else {
        panic!();
    };
    assert!(
        output.len() <= 500 && output.ends_with("the end"),
        "{output}"
    );
}

#[tokio::test]
async fn what_it_prints_of_its_secrets_is_not_told() {
    let mut config = config(&["sh", "-c", "echo token=$TOKEN; exit 1"]);
    config.env.push(("TOKEN".into(), Secret::new("CANARY")));
    assert_eq!(run(&config, &request()).await, ran(1, "token=[secret]"));
    assert!(!format!("{config:?} {:?}", Command::new(&config)).contains("CANARY"));
}

#[tokio::test]
async fn at_the_timeout_it_is_killed_with_everything_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("child");
    let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
    let mut config = config(&["sh", "-c", &script]);
    config.timeout = Duration::from_millis(700);
    let began = Instant::now();
    let outcome = run(&config, &request()).await;
    let Attempted::NoAnswer {
        reason,
        reached: true,
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!(reason, "killed after 700ms");
    assert!(began.elapsed() < Duration::from_secs(20));
    let child = fs::read_to_string(&file).unwrap();
    let alive = || {
        let status = fs::read_to_string(format!("/proc/{}/stat", child.trim()));
        status.is_ok_and(|it| !it.contains(") Z "))
    };
    eventually("the end of the grandchild", || !alive());
}

/// A process that it leaves behind keeps neither it nor gated waiting.
#[tokio::test]
async fn what_it_leaves_behind_is_not_waited_for() {
    let began = Instant::now();
    let outcome = run(
        &config(&["sh", "-c", "sleep 20 & echo started"]),
        &request(),
    )
    .await;
    assert_eq!(outcome, ran(0, "started"));
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn what_cannot_be_run_or_must_not_be_is_not() {
    let mut dashed = request();
    dashed.rollout.as_mut().unwrap().previous_version = Some("--all".into());
    let mut cut = request();
    cut.rollout.as_mut().unwrap().previous_version = Some("1\n2".into());
    let mut unknown = request();
    unknown.rollout.as_mut().unwrap().previous_version = Some("0.1".into());
    let mut escalation = request();
    escalation.kind = NoticeKind::EscalationRaised;
    for (run_this, notice, says) in [
        (["no-such-program-at-all", "x"], request(), "cannot be run"),
        (
            ["true", "{previous_version}"],
            dashed,
            "`--all` must not stand",
        ),
        (
            ["true", "{previous_version}"],
            cut,
            "`1\\n2` must not stand",
        ),
        (
            ["true", "{target}"],
            unknown,
            "says nothing for version `0.1`",
        ),
        (["true", "x"], escalation, "asks for no rollback"),
    ] {
        let outcome = run(&config(&run_this), &notice).await;
        let Attempted::NoAnswer {
            reason,
            reached: false,
        } = &outcome
        else {
            panic!("{run_this:?}: {outcome:?}");
        };
        assert!(reason.contains(says), "{reason}");
    }
    for bad in [&[][..], &[""], &["{target}"], &["true", "{targte}"]] {
        assert!(Command::new(&config(bad)).is_err(), "{bad:?}");
    }
}
