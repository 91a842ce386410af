//! What people say to a running gated and ask of it, through the real command line: freeze, thaw, veto, explain,
//! status, deliveries.

mod seen;

use std::process::Output;

use expect_test::{Expect, expect};
use regex::Regex;
use serde_json::Value;

use crate::binary::{Daemon, Exporter, House, RULES, Receiver, Said, config, eventually, told};

/// A command to the daemon, said by ada.
fn say(house: &House, daemon: &Daemon, arguments: &[&str]) -> Output {
    let address = daemon.address().to_string();
    let mut command = house.command(arguments);
    let command = command.args(["--listen", &address]).env("USER", "ada");
    command.output().unwrap()
}

/// What it printed, where it went well.
fn good(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Its exit code and what it complained of.
fn bad(output: &Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    (output.status.code(), text)
}

/// What differs between runs, masked.
fn masked(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, mask) in [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
        (r"dec_[0-9a-f]{32}", "[decision]"),
        (r"msg_[0-9a-f]{32}", "[delivery]"),
        (r"\d+(\.\d+)?(ms|s)( \d+ms)?\b", "[duration]"),
        (r"\d+ of \d+ readings", "[readings]"),
    ] {
        let pattern = Regex::new(pattern).unwrap();
        text = pattern.replace_all(&text, mask).into_owned();
    }
    text
}

fn shows(text: &str, expected: &Expect) {
    expected.assert_eq(&masked(text));
}

/// The text of a page: what stands between its tags, without what the text form does not say.
fn words_of(page: &str) -> String {
    let body = page.split_once("<body>").unwrap().1;
    let text = Regex::new("<[^>]*>").unwrap().replace_all(body, " ");
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    let text = text.replace("&quot;", "\"").replace("&#39;", "'");
    text.replace("&amp;", "&")
}

/// The three forms hold the same: every line of the text stands on the page, and the JSON has the decision.
fn agree(house: &House, daemon: &Daemon, id: &str) -> String {
    let text = good(&say(house, daemon, &["explain", id]));
    let page = daemon.get(&format!("/explain/{id}"));
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/html"), "{page:?}");
    assert!(
        page.head
            .contains("content-security-policy: default-src 'none'")
    );
    let words: Vec<String> = words_of(&page.body)
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    for word in text.split_whitespace() {
        let word = word.trim_matches(['[', ']']);
        assert!(words.iter().any(|it| it == word), "{word}: {words:?}");
    }
    let mut json: Value = serde_json::from_str(&good(&say(
        house,
        daemon,
        &["explain", id, "--format", "json"],
    )))
    .unwrap();
    // Without a journal there are none.
    let minutes = json.as_object_mut().unwrap().remove("minutes");
    assert_eq!(minutes, Some(Value::Null));
    let api = daemon.get(&format!("/api/v1/decisions/{id}")).json();
    assert_eq!(json, api["data"]);
    text
}

fn refused_by(daemon: &Daemon, guard: &str) -> bool {
    let mut decisions = daemon.decisions().into_iter();
    decisions.any(|it| it["refused_by"] == guard)
}

fn rollback(daemon: &Daemon) -> Option<Value> {
    let mut decisions = daemon.decisions().into_iter();
    decisions.find(|it| it["do"] == "rollback")
}

fn armed(exporter: &Exporter, receiver: &Receiver, more: &str) -> String {
    let config = config(&[&exporter.url()], &receiver.url(), &told("2"));
    config.replace("mode = \"armed\"", &format!("mode = \"armed\"\n{more}"))
}

#[test]
fn a_freeze_stops_a_rollback_and_a_thaw_lets_it_be_decided() {
    let exporter = Exporter::start(false);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let house = House::new(&armed(&exporter, &receiver, ""), RULES);
    let daemon = house.start();
    daemon.wait_for("green");
    let freeze = ["freeze", "--for", "1h", "--reason", "database failover"];
    let frozen = good(&say(&house, &daemon, &freeze));
    assert_eq!(
        masked(&frozen),
        "rollbacks are frozen until [time]; `gated thaw` ends it before\n"
    );
    exporter.set(true);
    eventually("the refusal", || refused_by(&daemon, "frozen"));
    let id = daemon.decisions()[0]["id"].as_str().unwrap().to_owned();
    shows(
        &agree(&house, &daemon, &id),
        &expect![[r"
            no rollback: refused by frozen; escalated instead
            breakage: broken > 0 held for [duration], now 1; no rollback: frozen by ada until [time]: database failover

            Decision
              id          [decision]
              at          [time]
              asked       rollback
              done        escalate, P1
            ✗ refused by  frozen

            What tripped
              trigger     breakage, in phase watch
              expression  max(broken)
              reading     1 (broken)
              threshold   broken > 0
              held for    [duration]

            Rollout
              id       shop@2@[time]
              version  2 (before it: 1)
              began    [time]; gated was told of it at [time]
              state    in progress, turned red

            Guards
            ✓ no_rollout    rollout of 2 is in progress
            ✓ superseded    no other version has taken its place
            ✓ not_armed     phase watch is armed
            ✓ irreversible  the rollout can be undone
            ✗ frozen        frozen by ada until [time]: database failover  <- refused

            Around it
              [time]  ada froze rollbacks until [time]: database failover
        "]],
    );
    daemon.wait_for("red");
    shows(
        &good(&say(&house, &daemon, &["status"])),
        &expect![[r"
        shop · phase watch: NO GO (red)
        - breakage: broken > 0, now 1
        - Broken parts is 1, should be == 0

        rollout     2 (before it: 1), since [time]
        rollback    armed
        frozen      by ada until [time]: database failover
        targets     1 of 1 up
        firing      breakage: broken > 0, since [time]
        deliveries  none open
        decided     escalate (rollback refused by frozen) at [time]: breakage: broken > 0 held for [duration], now 1; no rollback: frozen by ada until [time]: database failover [[decision]]
    "]],
    );
    assert_eq!(daemon.metric("gated_rollbacks_frozen"), Some(1.0));
    assert_eq!(receiver.posted().len(), 0);

    let thawed = good(&say(&house, &daemon, &["thaw", "--by", "bob"]));
    assert_eq!(thawed, "rollbacks are decided again\n");
    eventually("the request", || receiver.posted().len() == 1);
    assert_eq!(daemon.metric("gated_rollbacks_frozen"), Some(0.0));
    let again = good(&say(&house, &daemon, &["thaw"]));
    assert_eq!(again, "rollbacks were not frozen\n");
    let after = good(&say(&house, &daemon, &["explain", &id]));
    assert!(
        after.contains("  bob let rollbacks be decided again: no reason given\n"),
        "{after}"
    );
    assert!(after.contains("  decided: rollback: breakage: "), "{after}");
}

#[test]
fn a_veto_in_time_cancels_the_request() {
    let exporter = Exporter::start(true);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let house = House::new(&armed(&exporter, &receiver, "veto = \"60s\""), RULES);
    let daemon = house.start();
    eventually("the decision", || rollback(&daemon).is_some());
    let id = rollback(&daemon).unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let open = good(&say(&house, &daemon, &["deliveries", "--open"]));
    shows(
        &open,
        &expect![[r"
        rollback [decision] at [time]
                    deployer: rollback.requested: owed, next at [time]
                    [delivery]
    "]],
    );
    assert_eq!(
        daemon.metric("gated_deliveries_open{state=\"owed\"}"),
        Some(1.0)
    );
    let veto = ["veto", &id[4..10], "--reason", "we fix forward"];
    let vetoed = good(&say(&house, &daemon, &veto));
    assert!(vetoed.starts_with("rollout shop@2@"), "{vetoed}");
    shows(
        &agree(&house, &daemon, &id),
        &expect![[r"
        rollback decided; the request was cancelled: vetoed by ada: we fix forward
        breakage: broken > 0 held for [duration], now 1

        Decision
          id     [decision]
          at     [time]
          asked  rollback
          done   rollback, P1

        What tripped
          trigger     breakage, in phase watch
          expression  max(broken)
          reading     1 (broken)
          threshold   broken > 0
          held for    [duration]

        Rollout
          id       shop@2@[time]
          version  2 (before it: 1)
          began    [time]; gated was told of it at [time]
        ✗ vetoed   by ada at [time]: we fix forward
          state    in progress, turned red

        Guards
        ✓ no_rollout       rollout of 2 is in progress
        ✓ superseded       no other version has taken its place
        ✓ not_armed        phase watch is armed
        ✓ irreversible     the rollout can be undone
        ✓ frozen           nobody has frozen rollbacks
        ✓ predates         broken > 0: too little is known of the 10m before the rollout; this is allowed
        ✓ already_decided  no rollback was decided for this rollout
        ✓ known_bad        nothing is held against the version to go back to
        ✓ rolled_back      this is not the version of a rollback
        ✓ cooldown         no rollback was decided within the cooldown
        ✓ budget           0 of 2 rollbacks decided in the last 24 hours
        ✓ not_leader       this gated acts
        ✓ store            the ledger is sound
        ✓ vetoed           nobody has said no
        ✓ shadow           [rollback] mode is armed

        Deliveries
        ✗ deployer  rollback.requested: cancelled at [time]: vetoed by ada: we fix forward
                    [delivery]

        Around it
          [time]  ada vetoed the rollback: we fix forward
    "]],
    );
    let open = good(&say(&house, &daemon, &["deliveries", "--open"]));
    assert_eq!(open, "no delivery is open\n");
    let status = good(&say(&house, &daemon, &["status"]));
    assert!(
        status.contains(", vetoed by ada: we fix forward\n"),
        "{status}"
    );
    assert_eq!(receiver.posted().len(), 0);
    let trail = daemon.get("/api/v1/audit").json();
    let line = &trail["data"]["items"][0];
    assert_eq!((&line["do"], &line["by"]), (&"veto".into(), &"ada".into()));
}

#[test]
fn a_delivered_rollback_is_explained_with_every_attempt_and_from_the_ledger_too() {
    let exporter = Exporter::start(true);
    let receiver = Receiver::start(|number, _| Said::Status(if number == 0 { 503 } else { 200 }));
    let house = House::new(
        &armed(&exporter, &receiver, "verify_within = \"1s\""),
        RULES,
    );
    let mut daemon = house.start();
    let delivered =
        || rollback(&daemon).is_some_and(|it| it["deliveries"][0]["state"] == "delivered");
    eventually("the delivery", delivered);
    let id = rollback(&daemon).unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let verified = || {
        daemon.get(&format!("/api/v1/decisions/{id}")).json()["data"]["verification"]["outcome"]
            .clone()
    };
    eventually("its end", || verified() == "ineffective");
    let metric = "gated_rollback_verifications_total{outcome=\"ineffective\"}";
    assert_eq!(daemon.metric(metric), Some(1.0));
    let live = agree(&house, &daemon, &id);
    shows(
        &live,
        &expect![[r"
            rollback decided; the request was delivered to deployer
            breakage: broken > 0 held for [duration], now 1

            Decision
              id     [decision]
              at     [time]
              asked  rollback
              done   rollback, P1

            What tripped
              trigger     breakage, in phase watch
              expression  max(broken)
              reading     1 (broken)
              threshold   broken > 0
              held for    [duration]

            Rollout
              id       shop@2@[time]
              version  2 (before it: 1)
              began    [time]; gated was told of it at [time]
              state    in progress, turned red

            Guards
            ✓ no_rollout       rollout of 2 is in progress
            ✓ superseded       no other version has taken its place
            ✓ not_armed        phase watch is armed
            ✓ irreversible     the rollout can be undone
            ✓ frozen           nobody has frozen rollbacks
            ✓ predates         broken > 0: too little is known of the 10m before the rollout; this is allowed
            ✓ already_decided  no rollback was decided for this rollout
            ✓ known_bad        nothing is held against the version to go back to
            ✓ rolled_back      this is not the version of a rollback
            ✓ cooldown         no rollback was decided within the cooldown
            ✓ budget           0 of 2 rollbacks decided in the last 24 hours
            ✓ not_leader       this gated acts
            ✓ store            the ledger is sound
            ✓ vetoed           nobody has said no
            ✓ shadow           [rollback] mode is armed

            Deliveries
            ✓ deployer  rollback.requested: delivered at [time] (HTTP 200)
                        [delivery]
                        attempt 1 at [time]: HTTP 503
                        attempt 2 at [time]: HTTP 200

            Around it
            ✗ [time]  ineffective: the rollback did not help
        "]],
    );

    daemon.kill();
    let before = house.contents();
    let gone = say(&house, &daemon, &["explain"]);
    let note = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert!(note.contains("no gated answers at"), "{note}");
    assert!(note.contains("note: read from the ledger at "), "{note}");
    assert_eq!(good(&gone), live);
    let json = good(&say(
        &house,
        &daemon,
        &["explain", &id[..9], "--format", "json"],
    ));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["verification"]["outcome"], "ineffective");
    let unknown = bad(&say(&house, &daemon, &["explain", "ffff-no"]));
    assert!(
        unknown.1.contains("error: there is no decision `ffff-no`"),
        "{unknown:?}"
    );
    assert_eq!(house.contents(), before, "the ledger is only read");
}
