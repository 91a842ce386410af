//! What is shown and what is refused: held deliveries, bodies, ids, daemons and tokens that are not there, status,
//! hostile labels.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;

use expect_test::expect;
use gated::engine::{self, Call, Snapshot, Word};
use gated::model::{DeliveryKey, DeliveryState};

use super::{armed, bad, good, rollback, say, shows};
use crate::binary::{Exporter, House, RULES, Receiver, Said, config, eventually, told};
use crate::fault_server::{Answer, FaultServer};
use crate::http;
use crate::show::{EVIL, at};

#[tokio::test]
async fn a_held_delivery_is_shown_everywhere_and_a_person_says_what_became_of_it() {
    let served = http::house().await;
    let held = |it: &mut Snapshot| {
        let why = format!("the answer was lost {EVIL}");
        std::sync::Arc::make_mut(&mut it.decisions[0].1[0]).state =
            DeliveryState::Held { at: at(-1), why };
        it.held = Some("the ledger was damaged".into());
    };
    served.change(held);
    let delivery = (*served.snapshot.load().decisions[0].1[0]).clone();
    *served.desk.answer.lock().unwrap() = Ok(engine::Answer::Delivery(Box::new(delivery)));
    let page = served.get("/").await.body;
    for text in [
        "<td>held<td>2, the last: 503<td>the answer was lost &lt;script&gt;",
        "gated deliveries ack msg_1 if it arrived",
        "Rollbacks are held: the ledger was damaged.",
        "<a href=\"explain/dec_1\">2027-01-15T07:59:55.000Z</a>",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let metrics = served.get("/metrics").await.body;
    for line in [
        "gated_deliveries_open{state=\"held\"} 1\n",
        "gated_deliveries_open{state=\"owed\"} 0\n",
        "gated_rollbacks_held 1\n",
        "gated_rollbacks_frozen 0\n",
        "gated_rollback_verifications_total{outcome=\"verified\"} 0\n",
        "gated_decisions_total{do=\"escalate\",refused_by=\"shadow\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(!metrics.contains("gated_deliveries_open{state=\"delivered\"}"));

    let house = House::new("", "");
    fs::create_dir_all(house.data()).unwrap();
    fs::write(house.data().join("token"), http::TOKEN).unwrap();
    let address = served.address.to_string();
    let say = async |arguments: &[&str]| {
        let mut command = house.command(arguments);
        command.args(["--listen", &address]).env("USER", "ada");
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    };
    let status = good(&say(&["status"]).await);
    assert!(
        status.contains("held        the ledger was damaged; `gated thaw` lets"),
        "{status}"
    );
    assert!(
        status.contains("slack: escalation.raised: held: the answer was lost"),
        "{status}"
    );
    let resend = ["deliveries", "resend", "msg", "--reason", "nothing arrived"];
    let resent = good(&say(&resend).await);
    assert!(resent.contains("msg_1"), "{resent}");
    good(
        &say(&[
            "deliveries",
            "ack",
            "msg_1",
            "--reason",
            "seen",
            "--by",
            "bob",
        ])
        .await,
    );
    let settle = |arrived, by: &str, reason: &str| Call::Settle {
        delivery: DeliveryKey("msg_1".into()),
        arrived,
        said: Word {
            by: by.into(),
            reason: reason.into(),
        },
    };
    assert_eq!(
        *served.desk.calls.lock().unwrap(),
        [
            settle(false, "ada", "nothing arrived"),
            settle(true, "bob", "seen")
        ]
    );
    let none = bad(&say(&["deliveries", "ack", "no", "--reason", "seen"]).await);
    assert!(none.1.contains("there is no delivery `no`"), "{none:?}");
    let text = good(&say(&["explain"]).await);
    assert!(
        text.contains("say `gated deliveries ack msg_1 --reason …` if it arrived"),
        "{text}"
    );
    for text in [status, text] {
        let moves = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(moves), "{text:?}");
    }
}

#[tokio::test]
async fn bodies_of_acts_are_small_and_say_nothing_unknown() {
    let served = http::house().await;
    let long = "x".repeat(257);
    let large = "x".repeat(70_000);
    let (by, why) = (r#""by":"ada""#, r#""reason":"x""#);
    for (path, body, code, expected) in [
        ("freeze", format!("{{{by},{why}}}"), 400, "for is missing"),
        (
            "freeze",
            format!(r#"{{{by},{why},"for":"soon"}}"#),
            400,
            "for: ",
        ),
        (
            "freeze",
            format!(r#"{{{by},{why},"for":"1h","until":"x"}}"#),
            400,
            "until",
        ),
        ("freeze", format!(r#"{{{by},"for":"1h"}}"#), 400, "reason"),
        (
            "thaw",
            format!(r#"{{{by},{why},"for":"1h"}}"#),
            400,
            "`for` belongs to a freeze",
        ),
        (
            "thaw",
            format!(r#"{{"by":" ",{why}}}"#),
            400,
            "by may not be empty",
        ),
        (
            "thaw",
            format!(r#"{{{by},"reason":"{long}"}}"#),
            400,
            "256 at most",
        ),
        (
            "thaw",
            format!(r#"{{{by},"reason":"a\nb"}}"#),
            400,
            "control characters",
        ),
        (
            "thaw",
            format!(r#"{{{by},"reason":"{large}"}}"#),
            413,
            "length",
        ),
        (
            "thaw",
            String::new(),
            400,
            "the body is not what is expected",
        ),
        (
            "decisions/dec_1/veto",
            format!(r#"{{{by},{why},"id":"x"}}"#),
            400,
            "id",
        ),
        (
            "deliveries/msg_1/ack",
            r#"{"note":"x"}"#.into(),
            400,
            "note",
        ),
        (
            "deliveries/msg_1/resend",
            format!(r#"{{"by":"{long}"}}"#),
            400,
            "256 at most",
        ),
    ] {
        let path = format!("/api/v1/{path}");
        let reply = served.write("POST", &path, &body).await;
        assert_eq!(reply.code, code, "{path} {reply:?}");
        assert!(
            reply.body.contains(expected),
            "{path} {expected}: {reply:?}"
        );
        let open = served
            .ask("POST", &path, &["Content-Type: application/json"], &body)
            .await;
        assert_eq!(open.code, 401, "{path}");
        assert_eq!(served.get(&path).await.code, 405, "{path}");
    }
    assert!(served.desk.calls.lock().unwrap().is_empty());
}

#[test]
fn ids_daemons_and_tokens_that_are_not_there() {
    let exporter = Exporter::start(true);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let rules = RULES.to_owned()
        + &RULES[RULES.find("[[phase.trigger]]").unwrap()..]
            .replace("breakage", "noise")
            .replace("do = \"rollback\"", "do = \"notify\"");
    let house = House::new(&armed(&exporter, &receiver, ""), &rules);
    let mut daemon = house.start();
    eventually("two decisions", || daemon.decisions().len() == 2);
    let (code, text) = bad(&say(&house, &daemon, &["explain", "dec_"]));
    assert_eq!(code, Some(1));
    assert!(
        text.starts_with("error: `dec_` may be any of several: dec_"),
        "{text}"
    );
    let (code, text) = bad(&say(&house, &daemon, &["veto", "dec_", "--reason", "x"]));
    assert_eq!(code, Some(1));
    assert!(text.contains("may be any of several"), "{text}");
    for arguments in [&["explain", "../x"][..], &["veto", "zz", "--reason", "x"]] {
        let (code, text) = bad(&say(&house, &daemon, arguments));
        assert_eq!(code, Some(1));
        assert!(text.starts_with("error: there is no decision `"), "{text}");
    }
    assert_eq!(daemon.get("/explain/zz").status, 404);
    assert_eq!(daemon.get("/explain/dec_").status, 400);

    let id = rollback(&daemon).unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    eventually("the request", || receiver.taken() == 1);
    let late = bad(&say(&house, &daemon, &["veto", &id, "--reason", "x"]));
    assert!(
        late.1.contains("was delivered to deployer already"),
        "{late:?}"
    );
    let long = "x".repeat(257);
    let wrong = bad(&say(&house, &daemon, &["thaw", "--reason", &long]));
    assert!(wrong.1.contains("256 at most"), "{wrong:?}");
    let ever = ["freeze", "--for", "1y", "--reason", "x"];
    assert!(
        bad(&say(&house, &daemon, &ever))
            .1
            .contains("up to 31 days")
    );

    let token = house.data().join("token");
    fs::write(&token, "0123456789abcdef0123456789abcdef").unwrap();
    let (code, text) = bad(&say(&house, &daemon, &["thaw"]));
    assert_eq!(code, Some(1));
    assert!(text.contains("does not accept the token"), "{text}");
    fs::remove_file(&token).unwrap();
    let (_, text) = bad(&say(&house, &daemon, &["thaw"]));
    assert!(
        text.starts_with("error: this needs the token of gated"),
        "{text}"
    );
    assert!(text.contains("data/token"), "{text}");
    good(&say(&house, &daemon, &["status"]));

    daemon.kill();
    for arguments in [
        &["status"][..],
        &["deliveries"],
        &["freeze", "--for", "1h", "--reason", "x"],
    ] {
        fs::write(&token, "0123456789abcdef0123456789abcdef").unwrap();
        let (code, text) = bad(&say(&house, &daemon, arguments));
        assert_eq!(code, Some(1));
        assert!(
            text.contains("no gated answers at") && text.contains("--listen"),
            "{text}"
        );
    }
    fs::remove_dir_all(house.data()).unwrap();
    let (code, text) = bad(&say(&house, &daemon, &["explain"]));
    assert_eq!(code, Some(1));
    assert!(
        text.contains("neither a running gated nor a ledger at"),
        "{text}"
    );
}

#[test]
fn another_server_on_the_port_is_not_taken_for_gated() {
    let other = FaultServer::always(Answer::Page("<html>hello</html>".into()));
    let address = other.url();
    let address = address.trim_start_matches("http://");
    let address = address.split('/').next().unwrap();
    let house = House::new("", "");
    let output = house.run(&["status", "--listen", address]);
    let (code, text) = bad(&output);
    assert_eq!(code, Some(1));
    assert!(text.contains("broke off or was not gated's"), "{text}");
}

#[test]
fn status_is_watched_and_has_no_colour_off_a_terminal() {
    let exporter = Exporter::start(false);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let house = House::new(&armed(&exporter, &receiver, ""), RULES);
    let daemon = house.start();
    daemon.wait_for("green");
    let green = say(&house, &daemon, &["status"]);
    shows(
        &good(&green),
        &expect![[r"
        shop · phase watch: GO (green)

        rollout     2 (before it: 1), since [time]
        rollback    armed
        targets     1 of 1 up
        firing      nothing
        deliveries  none open
        decided     nothing yet
    "]],
    );
    let address = daemon.address().to_string();
    let mut watch = house.command(&["status", "--watch", "--listen", &address]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let seen: Arc<Mutex<String>> = Arc::default();
    let sees = Arc::clone(&seen);
    let reader = thread::spawn(move || {
        lines.for_each(|line| *sees.lock().unwrap() += &(line.unwrap() + "\n"));
    });
    let seen = |text: &str| seen.lock().unwrap().contains(text);
    eventually("the first look", || seen("GO (green)\n"));
    exporter.set(true);
    eventually("the next", || seen("NO GO (red)\n"));
    watch.kill().unwrap();
    watch.wait().unwrap();
    reader.join().unwrap();
    assert!(!seen("\u{1b}"));
    // No go is an answer, not a failure.
    good(&say(&house, &daemon, &["status"]));
}

#[test]
fn labels_of_a_hostile_target_act_nowhere() {
    let target = FaultServer::always(Answer::Page(
        "# TYPE broken gauge\nbroken{part=\"<script>alert(1)</script>\u{1b}[2J\u{202e}\"} 1\n"
            .into(),
    ));
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let config = config(&[&target.url()], &receiver.url(), &told("2"));
    let rules = RULES
        .replace("max(broken)", "broken")
        .replace("for = \"200ms\"", "for = \"200ms\"\neach = true");
    let house = House::new(&config, &rules);
    let daemon = house.start();
    eventually("the decision", || rollback(&daemon).is_some());
    let text = good(&say(&house, &daemon, &["explain"]));
    assert!(text.contains("<script>alert(1)</script>"), "{text}");
    let status = good(&say(&house, &daemon, &["status"]));
    assert!(status.contains("alert(1)"), "{status}");
    for text in [text, status] {
        let moves = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(moves), "{text:?}");
    }
    for path in ["/explain", "/"] {
        let page = daemon.get(path).body;
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
            "{page}"
        );
        assert!(
            !page.contains("<script") && !page.contains('\u{202e}'),
            "{page}"
        );
    }
}

/// gated runs on with what it has read; people who need it now are not kept from it by what somebody broke since.
#[test]
fn a_configuration_that_was_broken_since_keeps_nobody_from_the_running_gated() {
    let exporter = Exporter::start(false);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let text = armed(&exporter, &receiver, "");
    let house = House::new(&text, RULES);
    let daemon = house.start();
    let listen = format!("[server]\nlisten = \"{}\"\n{text}", daemon.address());
    let freeze = ["freeze", "--for", "1h", "--reason", "x"];
    // A wrong value: where gated listens can still be read.
    house.configure(&listen.replace("settle = \"0s\"", "settle = \"soon\""));
    let output = house.run(&freeze);
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("soon") && told.contains("gated.toml is broken"),
        "{told}"
    );
    assert!(
        !told.contains("nobody would be told"),
        "what is only likely not meant: {told}"
    );
    // No TOML any more.
    house.configure(&format!("{listen}\noops="));
    let output = house.run(&["thaw"]);
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("the value is missing"), "{told}");
    // Nobody can tell which section is which any more.
    house.configure(&listen.replace("[server]", "[server"));
    let (code, text) = bad(&house.run(&["thaw"]));
    assert_eq!(code, Some(1));
    assert!(text.contains("nobody knows where gated listens"), "{text}");
    good(&say(&house, &daemon, &["status"]));
}

/// Written into the folder of the configuration, which gated watches, a log must not be about itself.
#[test]
fn a_log_at_trace_level_does_not_tell_of_its_own_lines() {
    let exporter = Exporter::start(false);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let house = House::new(&armed(&exporter, &receiver, ""), RULES);
    let log = fs::File::create(house.path("trace.log")).unwrap();
    let mut command = house.command(&["--log-level", "trace", "--listen", "127.0.0.1:0"]);
    let mut gated = command.stderr(log).stdout(Stdio::null()).spawn().unwrap();
    let text = || fs::read_to_string(house.path("trace.log")).unwrap();
    crate::binary::eventually("scrapes", || exporter.scrapes() > 10);
    let _ = gated.kill();
    let _ = gated.wait();
    let text = text();
    assert!(text.contains("trace"), "{text}");
    assert!(!text.contains("inotify event"), "{text}");
}
