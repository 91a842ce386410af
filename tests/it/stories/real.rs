//! The first three stories with the real binary, real sockets and a real ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::binary::{Daemon, Exporter, House, RULES, Receiver, Said, config, eventually, told};

/// The state of the request for the rollback, and why it is so.
fn request(daemon: &Daemon) -> (String, String) {
    let decisions = daemon.decisions();
    let owed = decisions
        .iter()
        .flat_map(|it| it["deliveries"].as_array().unwrap().clone());
    let mut requests = owed.filter(|it| it["type"] == "gated.rollback.requested");
    let Some(request) = requests.next() else {
        return Default::default();
    };
    assert!(requests.next().is_none(), "{decisions:#?}");
    let text = |key: &str| request[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("why"))
}

#[test]
fn the_deployer_answers_when_a_hotfix_runs_and_is_asked_for_nothing() {
    let exporter = Exporter::start(true);
    let up = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&up);
    let receiver = Receiver::start(move |_, _| {
        let up = answers.load(Ordering::SeqCst);
        Said::Status(if up { 200 } else { 503 })
    });
    let text = config(&[&exporter.url()], &receiver.url(), &told("2"));
    let house = House::new(&text, RULES);
    let mut daemon = house.start();
    eventually("an attempt", || !receiver.posted().is_empty());
    // Through a restart: what is owed goes on being asked for.
    daemon.kill();
    let daemon = house.start();
    exporter.set(false);
    let head = format!(
        "authorization: Bearer {}\r\ncontent-type: application/json\r\n",
        house.token()
    );
    let begun = daemon.ask("POST", "/api/v1/rollouts", &head, "{\"version\": \"3\"}");
    assert_eq!(begun.status, 201, "{begun:?}");
    let asked = receiver.posted().len();
    up.store(true, Ordering::SeqCst);
    eventually("its end", || request(&daemon).0 == "cancelled");
    assert_eq!(request(&daemon).1, "superseded: rollout of 3 has begun");
    assert_eq!(receiver.posted().len(), asked);
}

#[test]
fn a_sidecar_on_an_empty_disk_in_an_outage_asks_for_nothing() {
    let exporter = Exporter::start(true);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let rollout = "version = \"2\"\nprevious_version = \"1\"";
    let house = House::new(&config(&[&exporter.url()], &receiver.url(), rollout), RULES);
    let daemon = house.start();
    eventually("a decision", || !daemon.decisions().is_empty());
    let decision = daemon.decisions().remove(0);
    assert_eq!(decision["do"], "escalate", "{decision:#}");
    assert_eq!(decision["refused_by"], "predates");
    let reason = decision["reason"].as_str().unwrap();
    assert!(
        reason.contains("whether it predates the rollout is unknown"),
        "{reason}"
    );
    assert!(receiver.posted().is_empty());
}

#[test]
fn a_receiver_that_acted_and_gave_no_answer_is_not_asked_twice() {
    let exporter = Exporter::start(true);
    let receiver = Receiver::start(|_, _| Said::Nothing);
    let text = config(&[&exporter.url()], &receiver.url(), &told("2")) + "on_doubt = \"hold\"\n";
    let house = House::new(&text, RULES);
    let mut daemon = house.start();
    eventually("the doubt", || request(&daemon).0 == "held");
    daemon.kill();
    let daemon = house.start();
    daemon.wait_for("red");
    let (state, why) = request(&daemon);
    assert_eq!(state, "held");
    assert!(why.contains("may have arrived"), "{why}");
    assert_eq!(receiver.posted().len(), 1);
    // A person says that it is to be sent again.
    let address = daemon.address().to_string();
    let id = receiver.posted()[0].id.clone();
    let word = [
        "deliveries",
        "resend",
        &id,
        "--reason",
        "no trace of it",
        "--by",
        "ada",
    ];
    let output = house.run(&[&word[..], &["--listen", &address]].concat());
    assert!(output.status.success(), "{output:?}");
    eventually("another attempt", || receiver.posted().len() == 2);
    let posted = receiver.posted();
    assert_eq!(
        (&posted[0].id, &posted[0].body),
        (&posted[1].id, &posted[1].body)
    );
}

/// W17: a receiver whose clock is off refuses the signature's time: that is shown at once, with how far off it is.
#[test]
fn w17_a_receiver_with_a_wrong_clock_is_shown_with_how_far_it_is_off() {
    let exporter = Exporter::start(true);
    let receiver = Receiver::start(|_, _| Said::LongAgo(401));
    let house = House::new(
        &config(&[&exporter.url()], &receiver.url(), &told("2")),
        RULES,
    );
    let daemon = house.start();
    eventually("an attempt", || !receiver.posted().is_empty());
    let needs = || {
        daemon
            .get("/api/v1/decisions")
            .body
            .contains("HTTP 401: needs attention")
    };
    eventually("its refusal", needs);
    let skew: f64 = daemon
        .metric("gated_webhook_clock_skew_seconds{receiver=\"deployer\"}")
        .unwrap();
    // 1994 is more than thirty years ago.
    assert!(skew < -30.0 * 365.0 * 86_400.0, "{skew}");
}
