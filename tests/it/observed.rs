//! Values that people observe: read as any series, for as long as they are good, over restarts and reloads.

use std::sync::Arc;
use std::time::Duration;

use gated::engine::{Answer, Call, Effect, Input, Observed, Refusal, Settings};
use gated::model::{Labels, Reading, Timestamp};

use crate::binary::{Daemon, Exporter, House, Receiver, Said, config, eventually, told};
use crate::world::{RULES, World, settings};

fn reading_tickets() -> Settings {
    let rules = format!(
        "{RULES}\n[signals.tickets]\nexpr = 'sum(support_tickets_open)'\nunit = \"count\"\n\n[signals.satisfaction]\n\
         expr = 'avg(user_satisfaction)'\nunit = \"score\"\nempty = 0\n"
    );
    settings(&rules)
}

fn series(name: &str) -> Labels {
    Labels::new([("__name__", name)])
}

fn observe(world: &mut World, name: &str, value: f64, minutes: u64) -> Result<Answer, Refusal> {
    observe_all(world, vec![(series(name), value)], minutes)
}

fn observe_all(
    world: &mut World,
    values: Vec<(Labels, f64)>,
    minutes: u64,
) -> Result<Answer, Refusal> {
    let values = values.into_iter();
    let values = values.map(|(labels, value)| Observed { labels, value });
    world.input(Input::Operator {
        token: 7,
        call: Call::Observe {
            values: values.collect(),
            lifetime: Duration::from_secs(60 * minutes),
            by: "ada".into(),
        },
    });
    let answers = world.effects.iter().rev();
    let mut answers = answers.filter_map(|(_, effect)| match effect {
        Effect::Answer { answer, .. } => Some(answer.clone()),
        _ => None,
    });
    answers.next().unwrap()
}

fn reading(world: &World, signal: &str) -> (Reading, String) {
    let snapshot = world.snapshot();
    let found = snapshot.signals.iter().find(|it| it.name == signal);
    let found = found.unwrap();
    (found.reading, found.why.clone())
}

#[test]
fn an_observation_is_read_at_once_and_for_its_time() {
    let mut world = World::new(reading_tickets());
    world.rounds(60);
    assert_eq!(reading(&world, "tickets").0, Reading::Empty);
    observe(&mut world, "support_tickets_open", 12.0, 30).unwrap();
    assert_eq!(reading(&world, "tickets").0, Reading::Value(12.0));
    // Longer than an instant selector looks back.
    world.rounds(20 * 60);
    assert_eq!(reading(&world, "tickets").0, Reading::Value(12.0));
    observe(&mut world, "support_tickets_open", 9.0, 10).unwrap();
    assert_eq!(reading(&world, "tickets").0, Reading::Value(9.0));
    let until = world.now + 10 * 60_000;
    world.advance_to(until - 5);
    assert_eq!(reading(&world, "tickets").0, Reading::Value(9.0));
    world.advance_to(until + 5);
    let (stale, why) = reading(&world, "tickets");
    assert_eq!(stale, Reading::Stale);
    assert!(
        why.contains("support_tickets_open") && why.contains("gated observe"),
        "{why}"
    );
    // It is none of the targets, and stands in the history.
    assert!(world.snapshot().targets.len() == 3);
    let minutes = world.ledger().minutes;
    let kept = minutes.iter().find(|it| it.signal == "tickets").unwrap();
    assert!(kept.values.len() > 25, "{}", kept.values.len());
}

#[test]
fn a_restart_and_a_reload_keep_what_is_good_and_nothing_else() {
    let mut world = World::new(reading_tickets());
    observe(&mut world, "support_tickets_open", 12.0, 60).unwrap();
    observe(&mut world, "user_satisfaction", 4.5, 1).unwrap();
    world.rounds(300);
    let ledger = world.ledger();
    let mut again = World::restored(reading_tickets(), ledger.clone(), world.now + 5000);
    again.rounds(10);
    assert_eq!(reading(&again, "tickets").0, Reading::Value(12.0));
    // `empty = 0` is no word about what somebody should have observed.
    assert_eq!(reading(&again, "satisfaction").0, Reading::Stale);
    let mut later = World::restored(reading_tickets(), ledger, world.now + 3_600_000);
    later.rounds(10);
    assert_eq!(reading(&later, "tickets").0, Reading::Stale);
    // Rules that did not read it before, and do after a reload.
    let mut world = World::new(settings(RULES));
    let Ok(Answer::Observed { unread, .. }) = observe(&mut world, "support_tickets_open", 3.0, 60)
    else {
        panic!("refused");
    };
    assert_eq!(unread, ["support_tickets_open"]);
    world.rounds(60);
    world.input(Input::Reload(Arc::new(reading_tickets())));
    world.rounds(65);
    assert_eq!(reading(&world, "tickets").0, Reading::Value(3.0));
}

#[test]
fn what_is_no_observation_is_refused_whole() {
    let mut world = World::new(reading_tickets());
    for (value, minutes, why) in [
        (f64::NAN, 60, "observe a number"),
        (f64::INFINITY, 60, "observe a number"),
        (1.0, 0, "one minute at least"),
        (1.0, 60 * 24 * 41, "40 days at most"),
    ] {
        let values = vec![(series("good"), 1.0), (series("bad"), value)];
        let refused = observe_all(&mut world, values, minutes).unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
    }
    for own in [
        "up",
        "gated_signal",
        "probe_success",
        "ALERTS",
        "alertmanager_alerts",
    ] {
        let refused = observe(&mut world, own, 1.0, 60).unwrap_err();
        assert!(
            refused.to_string().contains("gated makes itself"),
            "{refused}"
        );
    }
    assert!(observe_all(&mut world, Vec::new(), 60).is_err());
    assert!(world.snapshot().observations.is_empty());
    for n in 0..10 {
        let many = (0..1000).map(|i| {
            let name = format!("m{}", n * 1000 + i);
            (series(&name), 1.0)
        });
        observe_all(&mut world, many.collect(), 60).unwrap();
    }
    let refused = observe(&mut world, "one_more", 1.0, 60).unwrap_err();
    assert!(refused.to_string().contains("10000"), "{refused}");
    // One that is known has room.
    observe_all(
        &mut world,
        vec![(series("m5").with("job", "observed"), 2.0)],
        60,
    )
    .unwrap();
}

/// A value that a machine posts is held against nothing else than one that a person gives.
#[test]
fn a_trigger_over_an_observation_fires_and_calms() {
    let rules = format!(
        "{}\n[signals.tickets]\nexpr = 'sum(support_tickets_open)'\nunit = \"count\"\n",
        RULES.replace("when = \"error_rate > 1%\"", "when = \"tickets > 10\"")
    );
    let head = rules.find("[signals.tickets]").unwrap();
    let rules = format!(
        "clock = \"rollout\"\n{}{}",
        &rules[head..],
        &rules[rules.find("[signals.error").unwrap()..head]
    );
    let mut world = World::new(settings(&rules));
    world.rounds(60);
    world.tell("2.0.0", false);
    world.rounds(60);
    observe(&mut world, "support_tickets_open", 3.0, 60).unwrap();
    world.rounds(60);
    assert_eq!(world.decided(), [] as [String; 0]);
    observe(&mut world, "support_tickets_open", 30.0, 60).unwrap();
    world.rounds(180);
    assert_eq!(world.decided().len(), 1, "{:?}", world.decided());
}

/// The real program: a person at the command line, a machine with a page of exposition text, and a restart.
#[test]
fn a_person_and_a_machine_observe() {
    let exporter = Exporter::start(false);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let rules = format!(
        "{}\n[signals.tickets]\nexpr = 'sum(support_tickets_open)'\nunit = \"count\"\n",
        crate::binary::RULES
    );
    let house = House::new(
        &config(&[&exporter.url()], &receiver.url(), &told("2")),
        &rules,
    );
    let mut daemon = house.start();
    daemon.wait_for("green");
    let listen = daemon.address().to_string();
    let say = |line: &[&str]| {
        let out = house.run(&[line, &["--listen", &listen]].concat());
        let errors = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{line:?}: {errors}");
        String::from_utf8(out.stdout).unwrap()
    };
    let text = say(&["observe", "support_tickets_open", "12", "--by", "ada"]);
    assert!(text.starts_with("support_tickets_open is 12"), "{text}");
    let text = say(&["observe", "suport_tickets", "1"]);
    assert!(
        text.contains("warning: no rule reads `suport_tickets`"),
        "{text}"
    );
    let tickets =
        |daemon: &Daemon| daemon.metric("gated_signal{signal=\"tickets\",unit=\"count\"}");
    eventually("the reading", || tickets(&daemon) == Some(12.0));
    let token = house.token();
    let post = |daemon: &Daemon, query: &str, kind: &str, body: &str| {
        let head = format!("Authorization: Bearer {token}\r\nContent-Type: {kind}\r\n");
        let path = format!("/api/v1/observations{query}");
        let reply = daemon.ask("POST", &path, &head, body);
        (reply.status, reply.body)
    };
    let page = "# TYPE support_tickets_open gauge\nsupport_tickets_open{queue=\"a\"} 2\nsupport_tickets_open{queue=\"b\"} 3\n";
    let (code, body) = post(&daemon, "?for=1h&by=exporter", "text/plain", page);
    assert_eq!(code, 201, "{body}");
    eventually("the sum", || tickets(&daemon) == Some(17.0));
    let (code, body) = post(&daemon, "", "text/plain", "no page\n");
    assert!(code == 400 && body.contains("line 1"), "{body}");
    let (code, body) = post(&daemon, "", "application/json", "{\"name\": \"x\"}");
    assert!(code == 400 && body.contains("observations"), "{body}");
    for (page, told) in [
        ("x 1 1700000000000\n", "time of its own"),
        ("x 1 1\n", "time of its own"),
        ("x 1\nx 2\n", "twice"),
    ] {
        let (code, body) = post(&daemon, "", "text/plain", page);
        assert!(code == 400 && body.contains(told), "{page:?}: {body}");
    }
    let twice =
        "{\"observations\": [{\"name\": \"x\", \"value\": 1}, {\"name\": \"x\", \"value\": 2}]}";
    let (code, body) = post(&daemon, "", "application/json", twice);
    assert!(code == 400 && body.contains("twice"), "{body}");
    for word in ["nan", "inf", "twelve"] {
        let out = house.run(&["observe", "x", word]);
        let errors = String::from_utf8(out.stderr).unwrap();
        assert!(errors.contains("a finite number"), "{word}: {errors}");
    }
    let unsaid = daemon.ask(
        "POST",
        "/api/v1/observations",
        "Content-Type: text/plain\r\n",
        page,
    );
    assert_eq!(unsaid.status, 401);
    daemon.kill();
    let daemon = house.start();
    let all = daemon.get("/api/v1/observations").json();
    let all = all["data"]["observations"].as_array().unwrap().clone();
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(
        all.iter()
            .any(|it| it["by"] == "exporter" && it["labels"]["queue"] == "b")
    );
    let good = |it: &serde_json::Value| it["until"].as_str().unwrap().parse::<Timestamp>().is_ok();
    assert!(all.iter().all(good));
    eventually("the sum again", || tickets(&daemon) == Some(17.0));
}
