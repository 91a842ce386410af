//! Probes of what is beside gated: commands as real processes, reports of tests in real files; and their stories with the
//! real binary, live and as a dry run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gated::engine::{Input, Scrape, ScrapeFault, Times};
use gated::model::Timestamp;
use gated::source::{Ask, CommandProbe, JunitProbe, ProbeConfig, ReportPattern, Secret, Tuning};
use serde_json::Value;
use tempfile::TempDir;

use crate::binary::{Exporter, House, Receiver, Said, config, eventually, send_signal, told};
use crate::probe::{Rig, Told, asked, probe};

const FAILING: &str = include_str!("../data/junit/pytest_failing.xml");
const PASSING: &str = include_str!("../data/junit/pytest_passing.xml");
const NONE: &str = include_str!("../data/junit/pytest_none.xml");
/// Those of pytest are of 2026.
const EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

fn shell(script: &str) -> CommandProbe {
    CommandProbe {
        run: ["sh", "-c", script].map(Secret::new).to_vec(),
        shown: vec!["sh".into()],
        exit: 0,
        env: Vec::new(),
    }
}

async fn run(command: CommandProbe) -> Told {
    let ask = Ask::Command(command);
    asked(ask, &Tuning::default()).await.unwrap()
}

#[tokio::test]
async fn a_commands_exit_code_is_its_answer_and_its_output_the_reason() {
    let told = run(shell("echo fine; exit 0")).await;
    assert!(told.succeeded(), "{told:?}");
    assert_eq!(told.value("probe_command_exit_code"), Some(0.0));
    let told = run(shell("echo 1 passed; echo 'FAILED test_login' >&2; exit 3")).await;
    assert!(!told.succeeded());
    assert!(told.note.starts_with("exit code 3: "), "{told:?}");
    for said in ["1 passed", "FAILED test_login"] {
        assert!(told.note.contains(said), "{told:?}");
    }
    assert_eq!(told.value("probe_command_exit_code"), Some(3.0));
    let expecting = CommandProbe {
        exit: 3,
        ..shell("exit 3")
    };
    assert!(run(expecting.clone()).await.succeeded());
    let told = run(CommandProbe {
        exit: 3,
        ..shell("exit 0")
    })
    .await;
    assert_eq!(
        (told.succeeded(), told.note.as_str()),
        (false, "exit code 0")
    );
    let told = run(shell("kill -TERM $$")).await;
    assert_eq!(told.note, "ended by signal 15");
    assert_eq!(told.value("probe_command_exit_code"), Some(143.0));
    // The end of the output, in one line that turns no terminal around.
    let told = run(shell("seq 1 9999; printf 'a\\033[31mb\\nlast'; exit 1")).await;
    let (start, end) = ("exit code 1: ", "\\n9999\\na\\u{1b}[31mb\\nlast");
    assert!(told.note.ends_with(end), "{told:?}");
    assert_eq!(told.note.len(), start.len() + 500);
}

#[tokio::test]
async fn a_command_sees_little_of_the_environment_and_its_secrets_are_not_told() {
    let script = "env; test -z \"$CARGO_MANIFEST_DIR\" && test \"$TOKEN\" = canary && exit 1";
    let command = CommandProbe {
        env: vec![("TOKEN".into(), Secret::new("canary"))],
        ..shell(script)
    };
    let told = run(command).await;
    assert!(told.note.starts_with("exit code 1: "), "{told:?}");
    assert!(told.note.contains("TOKEN=[secret]"), "{told:?}");
    assert!(!told.note.contains("canary"), "{told:?}");
}

#[tokio::test]
async fn a_command_that_cannot_be_started_is_a_failed_scrape() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    for program in ["/nowhere/pytest", plain.to_str().unwrap()] {
        let command = CommandProbe {
            run: vec![Secret::new(program)],
            shown: vec![program.into()],
            ..shell("")
        };
        let failed = asked(Ask::Command(command), &Tuning::default()).await;
        let failed = failed.unwrap_err();
        assert_eq!(failed.fault, ScrapeFault::Command);
        assert!(
            failed
                .text
                .starts_with(&format!("`{program}` cannot be run: ")),
            "{failed}"
        );
    }
}

/// Whether the process whose number stands in the file is still there.
fn lives(number: &Path) -> bool {
    let number = fs::read_to_string(number).unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", number.trim()));
    // One that waits to be collected is dead.
    stat.is_ok_and(|it| !it.contains(") Z "))
}

fn quick(command: CommandProbe, interval: u64, timeout: u64) -> ProbeConfig {
    ProbeConfig {
        interval: Duration::from_millis(interval),
        timeout: Duration::from_millis(timeout),
        ..probe(Ask::Command(command))
    }
}

#[tokio::test]
async fn at_the_timeout_the_whole_process_group_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let number = folder.path().join("number");
    let script = format!(
        "sleep 600 & echo $! > {}; echo waiting; wait",
        number.display()
    );
    let config = quick(shell(&script), 60_000, 1000);
    let mut rig = Rig::start(vec![config], &Tuning::default());
    let told = Told::of(&rig.scrape().await.outcome.unwrap());
    assert_eq!(
        (told.succeeded(), told.note.as_str()),
        (false, "killed after 1s: waiting")
    );
    assert_eq!(told.value("probe_command_exit_code"), None);
    eventually("its end", || !lives(&number));
}

#[tokio::test]
async fn a_probe_that_is_stopped_leaves_no_process_behind() {
    let folder = tempfile::tempdir().unwrap();
    let number = folder.path().join("number");
    let script = format!(
        "sleep 600 & echo $! > {0}.part; mv {0}.part {0}; wait",
        number.display()
    );
    let rig = Rig::start(
        vec![quick(shell(&script), 700_000, 600_000)],
        &Tuning::default(),
    );
    while !number.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(lives(&number));
    rig.prober.stop().await;
    eventually("its end", || !lives(&number));
}

#[tokio::test]
async fn there_are_never_two_runs_of_one_command() {
    let folder = tempfile::tempdir().unwrap();
    let held = folder.path().join("held");
    let script = format!("mkdir {0} && sleep 0.2 && rmdir {0}", held.display());
    let mut rig = Rig::start(vec![quick(shell(&script), 50, 9000)], &Tuning::default());
    for _ in 0..4 {
        let columns = rig.scrape().await.outcome.unwrap();
        assert_eq!(columns.values[0], 1.0, "{columns:?}");
    }
}

/// A folder of reports and the probe of it.
struct Reports {
    folder: TempDir,
}

impl Reports {
    fn new(files: &[(&str, &str)]) -> Self {
        let reports = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for (name, text) in files {
            reports.write(name, text);
        }
        reports
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        let beside = path.with_extension("part");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, path).unwrap();
    }

    fn pattern(&self) -> String {
        format!("{}/*.xml", self.folder.path().display())
    }

    fn ask(&self) -> Ask {
        Ask::Junit(JunitProbe {
            reports: ReportPattern::new(&self.pattern()).unwrap(),
            max_age: EVER,
        })
    }

    async fn read(&self) -> Result<Told, gated::engine::ScrapeError> {
        asked(self.ask(), &Tuning::default()).await
    }
}

#[tokio::test]
async fn what_pytest_writes_is_read() {
    let told = Reports::new(&[("a.xml", PASSING)]).read().await.unwrap();
    assert!(told.succeeded(), "{told:?}");
    assert_eq!(told.value("probe_junit_tests"), Some(2.0));
    let both = Reports::new(&[("a.xml", PASSING), ("b.xml", FAILING)]);
    let told = both.read().await.unwrap();
    assert!(!told.succeeded());
    assert_eq!(
        told.note,
        "3 of 7 tests failed: tests.test_smoke.test_login, tests.test_smoke.test_orders, tests.test_smoke.test_cleanup"
    );
    for (series, expected) in [
        ("probe_junit_tests", 7.0),
        ("probe_junit_failures", 1.0),
        ("probe_junit_errors", 2.0),
        ("probe_junit_skipped", 1.0),
        // What the reports say themselves; the files were written just now.
        ("probe_junit_time_seconds", 1_795_788_847.807),
    ] {
        assert_eq!(told.value(series), Some(expected), "{series} of {told:?}");
    }
}

#[tokio::test]
async fn without_a_rollout_a_report_is_stale_when_it_is_older_than_max_age() {
    let reports = Reports::new(&[("a.xml", "<testsuite><testcase name='a'/></testsuite>")]);
    let file = reports.folder.path().join("a.xml");
    let read = async |age: u64| {
        let file = fs::File::options().append(true).open(&file).unwrap();
        let written = SystemTime::now() - Duration::from_secs(age);
        file.set_modified(written).unwrap();
        let ask = Ask::Junit(JunitProbe {
            reports: ReportPattern::new(&reports.pattern()).unwrap(),
            max_age: Duration::from_secs(3600),
        });
        asked(ask, &Tuning::default()).await
    };
    assert!(read(3500).await.unwrap().succeeded());
    let failed = read(3700).await.unwrap_err();
    assert_eq!(failed.fault, ScrapeFault::Report);
    assert!(failed.text.ends_with(", older than 1h"), "{failed}");
}

#[tokio::test]
async fn no_report_no_test_and_half_a_report_are_no_data() {
    let half = &PASSING[..PASSING.len() / 2];
    let skipped = "<testsuite><testcase name='a'><skipped/></testcase></testsuite>";
    for (files, words) in [
        (&[][..], "there is no file "),
        (&[("a.xml", NONE)], "holds no test"),
        (&[("a.xml", skipped)], "was skipped"),
        (&[("a.xml", "")], "a.xml: the file is empty"),
        (
            &[("a.xml", half), ("b.xml", PASSING)],
            "a.xml: no XML, or not whole: ",
        ),
        (
            &[("a.xml", "<testsuite>"), ("b.xml", PASSING)],
            "a.xml: the report breaks off",
        ),
        (
            &[("a.xml", PASSING), ("b.xml", "<html/>")],
            "b.xml: no test report",
        ),
    ] {
        let failed = Reports::new(files).read().await.unwrap_err();
        assert_eq!(failed.fault, ScrapeFault::Report);
        let text = failed.text.as_str();
        assert!(text.contains(words), "{text} without {words}");
    }
    let long = Reports::new(&[("a.xml", PASSING)]);
    let file = fs::File::create(long.folder.path().join("b.xml")).unwrap();
    file.set_len((64 << 20) + 1).unwrap();
    let failed = long.read().await.unwrap_err();
    assert!(
        failed.text.ends_with("b.xml: longer than 64 MiB"),
        "{failed}"
    );
}

/// The older of what the file system and the report itself say counts.
#[tokio::test]
async fn a_report_older_than_the_rollout_is_stale() {
    let reports = Reports::new(&[("a.xml", PASSING)]);
    let config = ProbeConfig {
        interval: Duration::from_millis(50),
        timeout: Duration::from_secs(9),
        ..probe(reports.ask())
    };
    let mut rig = Rig::start(vec![config], &Tuning::default());
    // What `timestamp` in it says.
    let ran: Timestamp = "2026-11-27T14:14:08.657244+00:00".parse().unwrap();
    let written = |rig: &Rig, millis: i64| {
        let times = Times {
            rollout_began: Some(Timestamp::from_millis(millis)),
            ..Times::default()
        };
        rig.interest.store(Arc::new(rig.interest.load().at(times)));
    };
    let until = async |rig: &mut Rig, holds: &dyn Fn(&Scrape) -> bool| loop {
        let scrape = rig.scrape().await;
        if holds(&scrape) {
            return scrape;
        }
    };
    assert!(rig.scrape().await.outcome.is_ok());
    written(&rig, ran.millis() + 1);
    let stale = until(&mut rig, &|it| it.outcome.is_err()).await;
    let failed = stale.outcome.unwrap_err();
    let words = "a.xml is stale: it is from 2026-11-27T14:14:08.657Z, and the rollout began at 2026-11-27T14:14:08.658Z";
    // The path of the folder may be long.
    let end = &words[..60];
    assert!(
        failed.fault == ScrapeFault::Report && failed.text.contains(end),
        "{failed}"
    );
    written(&rig, ran.millis());
    until(&mut rig, &|it| it.outcome.is_ok()).await;
    let file = fs::File::options()
        .append(true)
        .open(reports.folder.path().join("a.xml"));
    let hours_before =
        SystemTime::UNIX_EPOCH + Duration::from_millis(ran.millis().unsigned_abs() - 1);
    file.unwrap().set_modified(hours_before).unwrap();
    until(&mut rig, &|it| it.outcome.is_err()).await;
}

async fn heard(rig: &mut Rig) -> Scrape {
    match rig.inputs.recv().await {
        Some(Input::Scraped(scrape)) => scrape,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn between_runs_the_last_answer_stands() {
    let reports = Reports::new(&[("a.xml", PASSING)]);
    let config = ProbeConfig {
        interval: Duration::from_secs(300),
        timeout: Duration::from_secs(60),
        ..probe(reports.ask())
    };
    let mut rig = Rig::start(vec![config], &Tuning::default());
    // Without the patience of other tests, which would be what a clock that stands jumps to.
    let Some(Input::Target(info)) = rig.inputs.recv().await else {
        panic!("the target comes first");
    };
    // What the engine may expect of it is what it hears.
    assert_eq!(info.interval, Duration::from_secs(60));
    let began = tokio::time::Instant::now();
    let first = heard(&mut rig).await;
    assert_eq!(first.outcome.unwrap().values[0], 1.0);
    reports.write("a.xml", FAILING);
    let mut at = first.at;
    for minute in 1..=4 {
        let again = heard(&mut rig).await;
        assert!(again.at > at);
        at = again.at;
        assert_eq!(again.outcome.unwrap().values[0], 1.0);
        assert_eq!(began.elapsed().as_secs() / 60, minute);
    }
    let next = heard(&mut rig).await;
    let columns = next.outcome.unwrap();
    let columns = if columns.values[0] == 1.0 {
        // The repeat of the very minute in which it is asked again.
        heard(&mut rig).await.outcome.unwrap()
    } else {
        columns
    };
    assert_eq!(columns.values[0], 0.0);
    assert_eq!(began.elapsed().as_secs(), 300);
}

const RULES: &str = r#"
clock = "rollout"
[signals.broken]
expr = 'max(broken)'
unit = "count"
[[phase]]
name = "watch"
from = "0s"
rollback = "armed"
gate = "green"
[phase.targets]
broken = "== 0"
"component:tests" = "== 1"
"#;

/// A healthy service beside which something is probed.
struct Shop {
    exporter: Exporter,
    receiver: Receiver,
    house: House,
}

impl Shop {
    fn new(rollout: &str, probe: &str) -> Self {
        let (exporter, receiver) = (
            Exporter::start(false),
            Receiver::start(|_, _| Said::Status(200)),
        );
        let text = config(&[&exporter.url()], &receiver.url(), rollout);
        let house = House::new(
            &format!("{text}[[probe]]\ncomponent = \"tests\"\n{probe}\n"),
            RULES,
        );
        Self {
            exporter,
            receiver,
            house,
        }
    }

    fn dry_run(&self) -> (Option<i32>, Value, String) {
        let run = |format| {
            self.house
                .run(&["--dry-run", "--format", format, "--for", "1s"])
        };
        let output = run("json");
        let page = serde_json::from_slice(&output.stdout).unwrap();
        let table = String::from_utf8(run("table").stdout).unwrap();
        (output.status.code(), page, table)
    }
}

fn reasons(page: &Value) -> String {
    page["reasons"].to_string()
}

#[test]
fn a_command_that_fails_once_rolls_back_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    let script = format!(
        "test ! -e {} || {{ echo 2 failed, 8 passed; exit 1; }}",
        broken.display()
    );
    let probe = format!(
        "command = [\"sh\", \"-c\", {script:?}]\ninterval = \"500ms\"\ntimeout = \"450ms\"\ncritical = true"
    );
    let shop = Shop::new(&told("2"), &probe);
    let daemon = shop.house.start();
    daemon.wait_for("green");
    fs::write(broken, "").unwrap();
    eventually("the rollback", || shop.receiver.taken() == 1);
    let decided = &daemon.decisions()[0];
    assert_eq!(
        (&decided["do"], &decided["trigger"], &decided["severity"]),
        (&"rollback".into(), &"component:tests".into(), &"P1".into()),
        "{decided}"
    );
    let words = "exit code 1: 2 failed, 8 passed";
    assert!(
        decided["reason"].as_str().unwrap().contains(words),
        "{decided}"
    );
    assert!(daemon.verdict().to_string().contains(words));
    assert!(daemon.get("/gate").body.contains(words));
    assert!(daemon.get("/").body.contains(words));
    let posted = shop.receiver.posted();
    assert!(posted.iter().any(|it| it.body.contains(words)));
    assert!(daemon.log().contains(words), "{}", daemon.log());
    drop(shop.exporter);
}

#[test]
fn reports_are_judged_by_the_rollout_in_progress() {
    let reports = Reports::new(&[]);
    let fresh = "<testsuite><testcase name='a'/></testsuite>";
    reports.write("a.xml", fresh);
    let file = reports.folder.path().join("a.xml");
    let aged = |by: u64| {
        let file = fs::File::options().append(true).open(&file).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(by))
            .unwrap();
    };
    // The rollout began a minute ago.
    aged(120);
    let probe = format!(
        "junit = {:?}\ninterval = \"200ms\"\ntimeout = \"190ms\"\ncritical = true",
        reports.pattern()
    );
    let shop = Shop::new(&told("2"), &probe);
    let daemon = shop.house.start();
    daemon.wait_for("unknown");
    eventually("why", || {
        let said = daemon.verdict().to_string();
        said.contains("is stale: it is from") && said.contains("report: ")
    });
    aged(30);
    daemon.wait_for("green");
    // Another rollout begins, and what was tested is no longer what runs.
    let listen = daemon.address().to_string();
    let begun = shop
        .house
        .run(&["rollout", "start", "--version", "3", "--listen", &listen]);
    assert!(begun.status.success(), "{begun:?}");
    daemon.wait_for("unknown");
    eventually("why", || daemon.verdict().to_string().contains("is stale"));
    std::thread::sleep(Duration::from_millis(5));
    reports.write("a.xml", fresh);
    daemon.wait_for("green");
    assert_eq!(daemon.decisions(), Vec::<Value>::new());
    reports.write(
        "a.xml",
        "<testsuite><testcase classname='shop' name='cart'><failure/></testcase></testsuite>",
    );
    eventually("the rollback", || shop.receiver.taken() == 1);
    let decided = &daemon.decisions()[0];
    let reason = decided["reason"].as_str().unwrap();
    assert!(
        reason.contains("1 of 1 tests failed: shop.cart"),
        "{reason}"
    );
}

#[test]
fn a_dry_run_waits_for_a_command_that_takes_longer_than_it_looks() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    let runs = folder.path().join("runs");
    let script = format!(
        "echo run >> {}; sleep 3; test ! -e {} || {{ echo 1 failed; exit 1; }}",
        runs.display(),
        broken.display()
    );
    let shop = Shop::new(
        "",
        &format!("command = [\"sh\", \"-c\", {script:?}]\ncritical = true"),
    );
    let (code, page, _) = shop.dry_run();
    assert_eq!((code, &page["verdict"]), (Some(0), &"go".into()), "{page}");
    assert_eq!(fs::read_to_string(&runs).unwrap().lines().count(), 2);
    fs::write(broken, "").unwrap();
    let (code, page, table) = shop.dry_run();
    assert_eq!(
        (code, &page["verdict"]),
        (Some(1), &"no_go".into()),
        "{page}"
    );
    let words = "component:tests: its probe fails: exit code 1: 1 failed";
    assert!(reasons(&page).contains(words), "{page}");
    assert!(table.contains(words), "{table}");
    assert_eq!(
        page["would_fire"][0]["because"][0], "component:tests",
        "{page}"
    );
}

/// Whoever ends a dry run ends what its probes have started.
#[test]
fn a_dry_run_that_is_interrupted_leaves_nothing_running() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let folder = tempfile::tempdir().unwrap();
        let number = folder.path().join("number");
        let script = format!("sleep 300 & echo $! > {}; wait", number.display());
        let shop = Shop::new(
            "",
            &format!(
                "command = [\"sh\", \"-c\", {script:?}]\ntimeout = \"5m\"\ninterval = \"10m\""
            ),
        );
        let mut child = shop.house.command(&["--dry-run"]).spawn().unwrap();
        let begun = || fs::read_to_string(&number).is_ok_and(|text| text.ends_with('\n'));
        eventually("the command", begun);
        let process = fs::read_to_string(&number).unwrap();
        let state = format!("/proc/{}/stat", process.trim());
        // Where nobody collects it, it stays as a zombie.
        let runs = || fs::read_to_string(&state).is_ok_and(|it| !it.contains(") Z "));
        assert!(runs());
        send_signal(child.id(), name);
        assert_eq!(child.wait().unwrap().code(), Some(code));
        eventually("its end", || !runs());
    }
}

#[test]
fn a_dry_run_reads_pytests_report_of_before_the_rollout() {
    let reports = Reports::new(&[("a.xml", FAILING)]);
    let probe = format!(
        "junit = {:?}\nmax_age = \"3000d\"\ncritical = true",
        reports.pattern()
    );
    // What the configuration is told goes live after the dry run.
    let shop = Shop::new("version = \"2\"\nprevious_version = \"1\"", &probe);
    let (code, page, _) = shop.dry_run();
    assert_eq!(code, Some(1), "{page}");
    let words =
        "component:tests: its probe fails: 3 of 5 tests failed: tests.test_smoke.test_login";
    assert!(reasons(&page).contains(words), "{page}");
    reports.write("a.xml", PASSING);
    let (code, page, _) = shop.dry_run();
    assert_eq!(code, Some(0), "{page}");
    reports.write("a.xml", NONE);
    let (code, page, _) = shop.dry_run();
    assert_eq!(code, Some(3), "{page}");
    assert!(reasons(&page).contains("holds no test"), "{page}");
}

/// Nothing is done when it fails, and that it fails is no secret.
#[test]
fn a_failing_report_that_is_not_critical_is_amber_with_its_reason() {
    let reports = Reports::new(&[("a.xml", FAILING)]);
    let probe = format!("junit = {:?}\nmax_age = \"3000d\"", reports.pattern());
    let shop = Shop::new("version = \"2\"\nprevious_version = \"1\"", &probe);
    let words =
        "component:tests: its probe fails: 3 of 5 tests failed: tests.test_smoke.test_login";
    // What the phase lets pass is go or not.
    for (gate, code, verdict) in [("amber", 0, "go"), ("green", 1, "no_go")] {
        let rules = RULES.replace("gate = \"green\"", &format!("gate = \"{gate}\""));
        let rules = rules.replace("\"component:tests\" = \"== 1\"", "");
        shop.house.rule(&rules);
        let (found, page, table) = shop.dry_run();
        assert_eq!(found, Some(code), "{page}");
        assert_eq!(
            (&page["verdict"], &page["status"]),
            (&verdict.into(), &"amber".into()),
            "{page}"
        );
        assert!(reasons(&page).contains(words), "{page}");
        assert!(table.contains(words), "{table}");
        assert_eq!(page["would_fire"].as_array().unwrap().len(), 0, "{page}");
        let checks = page["checks"].as_array().unwrap();
        let mut own = checks.iter().filter(|it| it["name"] == "component:tests");
        let own = own.next().unwrap();
        assert_eq!(
            (&own["role"], &own["outcome"]),
            (&"component".into(), &"missed".into()),
            "{page}"
        );
    }
    reports.write("a.xml", PASSING);
    let (code, page, _) = shop.dry_run();
    assert_eq!(
        (code, &page["status"]),
        (Some(0), &"green".into()),
        "{page}"
    );
    // What cannot be asked is no failing.
    reports.write("a.xml", NONE);
    let (code, page, table) = shop.dry_run();
    assert_eq!(
        (code, &page["status"]),
        (Some(0), &"green".into()),
        "{page}"
    );
    assert!(table.contains("holds no test"), "{table}");
}
