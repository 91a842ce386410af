//! Reports by the real program: caught up after a start, kept in a folder, told to a receiver, asked for over HTTP and on the
//! command line, with and without a running gated.

use std::sync::Arc;
use std::time::Duration;

use gated::engine::{Effect, Input, Record, ReportPlan, Reported, Settings};
use gated::model::calendar::TimeOfDay;
use gated::model::{Minute, NoticeReport, Status, Timestamp};
use gated::report::Kind;
use gated::sink::Ledger;
use serde_json::Value;

use crate::binary::{Exporter, House, RULES, Receiver, Said, config, eventually, told};
use crate::world::{self, World, settings};

/// The world's rules with a report each evening at 20:00.
fn evenings() -> Settings {
    let mut settings = settings(world::RULES);
    settings.reports = vec![ReportPlan {
        kind: Kind::Day,
        due: TimeOfDay::new("20:00", Vec::new()).unwrap(),
        hooks: Vec::new(),
    }];
    settings
}

/// The days whose reports were asked for.
fn asked(world: &World) -> Vec<String> {
    let due = |(_, effect): &(Timestamp, Effect)| match effect {
        Effect::Report(due) => Some(due.date.to_string()),
        _ => None,
    };
    world.effects.iter().filter_map(due).collect()
}

fn hours(world: &mut World, hours: i64) {
    for _ in 0..hours * 6 {
        world.rounds(20);
        world.advance_to(world.now + 580_000);
    }
}

fn answer(world: &mut World, date: &str, outcome: Result<NoticeReport, String>) {
    world.input(Input::Reported(Reported {
        kind: Kind::Day,
        date: date.parse().unwrap(),
        outcome,
        unkept: None,
    }));
    world.advance_to(world.now + 1000);
}

fn made(date: &str) -> NoticeReport {
    NoticeReport {
        kind: "day".into(),
        date: date.into(),
        status: Status::Green,
        title: "Day".into(),
        markdown: "# Day".into(),
        html: "<p>Day</p>".into(),
    }
}

/// It is told once, and asked for until its folder takes it; people see which one is troubled.
#[test]
fn a_report_that_is_told_and_not_kept_is_tried_again() {
    let mut world = World::new(evenings());
    hours(&mut world, 21);
    let unkept = |world: &mut World, reason: Option<&str>| {
        world.input(Input::Reported(Reported {
            kind: Kind::Day,
            date: "2026-01-01".parse().unwrap(),
            outcome: Ok(made("2026-01-01")),
            unkept: reason.map(str::to_owned),
        }));
    };
    let trouble = |world: &World| world.snapshot().reports[0].trouble.clone();
    assert_eq!(asked(&world), ["2026-01-01"]);
    unkept(&mut world, Some("the disk is full"));
    assert_eq!(trouble(&world).unwrap().1, "the disk is full");
    world.rounds(320);
    assert_eq!(asked(&world), ["2026-01-01", "2026-01-01"]);
    unkept(&mut world, None);
    world.rounds(640);
    assert_eq!(asked(&world).len(), 2);
    assert_eq!(trouble(&world), None);
    let is_told = |it: &Effect| matches!(it, Effect::Record(Record::Decision(it)) if it.trigger == "report:day");
    let told = world.effects.iter().filter(|(_, it)| is_told(it));
    assert_eq!(told.count(), 1);
    let state = &world.snapshot().reports[0];
    assert!(state.made_at.is_some());
    assert_eq!(state.next.unwrap().to_string(), "2026-01-02T20:00:00.000Z");
    // Nobody waits for it for ever.
    hours(&mut world, 24);
    assert_eq!(asked(&world).last().unwrap(), "2026-01-02");
    hours(&mut world, 24 * 8);
    world.input(Input::Reported(Reported {
        kind: Kind::Day,
        date: "2026-01-02".parse().unwrap(),
        outcome: Err("the disk is full".into()),
        unkept: None,
    }));
    assert_eq!(trouble(&world), None);
}

/// Whoever asks for reports later does not get those of the days before.
#[test]
fn a_report_that_is_asked_for_later_begins_with_its_next_time() {
    let mut world = World::new(settings(world::RULES));
    hours(&mut world, 45);
    world.input(Input::Reload(Arc::new(evenings())));
    world.rounds(120);
    assert_eq!(asked(&world), [] as [&str; 0]);
    hours(&mut world, 24);
    assert_eq!(asked(&world), ["2026-01-03"]);
}

/// Days that gated was away for come one after the other, in their order; one that fails is tried again.
#[test]
fn reports_are_caught_up_in_their_order_and_once() {
    let mut world = World::new(evenings());
    hours(&mut world, 10);
    let ledger = world.ledger();
    let later = world.now + 3 * 86_400_000;
    let mut again = World::restored(evenings(), ledger, later);
    again.rounds(60);
    assert_eq!(asked(&again), ["2026-01-01"], "one at a time");
    answer(&mut again, "2026-01-01", Ok(made("2026-01-01")));
    assert_eq!(asked(&again), ["2026-01-01", "2026-01-02"]);
    answer(&mut again, "2026-01-02", Err("the disk is full".into()));
    answer(&mut again, "2026-01-03", Ok(made("2026-01-03")));
    again.rounds(320);
    let days = asked(&again);
    assert_eq!(
        days,
        ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-02"],
        "{days:?}"
    );
    answer(&mut again, "2026-01-02", Ok(made("2026-01-02")));
    // Another start knows what was made.
    let mut third = World::restored(evenings(), again.ledger(), again.now + 1000);
    third.rounds(60);
    assert_eq!(asked(&third), [] as [&str; 0]);
}

/// A gated that was away at the time of yesterday's report: its ledger has the minutes of yesterday, the first hundred of
/// them up, ten of them down.
fn yesterday(house: &House) -> String {
    let today = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date();
    let yesterday = today.yesterday().unwrap();
    let midnight = yesterday.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
    let start = Timestamp::from_millis(midnight.timestamp().as_millisecond());
    std::fs::create_dir_all(house.data()).unwrap();
    let (mut ledger, _) = Ledger::open(&house.database(), start).unwrap();
    let minutes = (1..=110).map(|n| {
        let values = vec![
            ("uptime".to_owned(), if n <= 100 { 1.0 } else { 0.0 }),
            ("broken".to_owned(), if n <= 100 { 0.0 } else { 2.0 }),
        ];
        Record::Minute(Minute {
            at: start + Duration::from_secs(60 * n),
            values,
        })
    });
    let minutes: Vec<Record> = minutes.collect();
    ledger.commit(&minutes, |_, _| Vec::new()).unwrap();
    ledger.close().unwrap();
    yesterday.to_string()
}

fn reporting(exporter: &Exporter, hook: &str, people: &str, folder: &str) -> String {
    config(&[&exporter.url()], hook, &told("2"))
        + &format!(
            "[[webhook]]\nname = \"chat\"\nurl = \"{people}\"\n\
             [[report]]\nkind = \"day\"\nat = \"23:59\"\nfolder = \"{folder}\"\nhooks = [\"chat\"]\n"
        )
}

#[test]
fn a_report_that_fell_due_while_gated_was_away_is_made_and_told_once() {
    let exporter = Exporter::start(false);
    let (hook, people) = (
        Receiver::start(|_, _| Said::Status(200)),
        Receiver::start(|_, _| Said::Status(200)),
    );
    let house = House::new("", &format!("{RULES}\n[uptime]\ndown = \"broken > 0\"\n"));
    let folder = house.path("reports");
    let date = yesterday(&house);
    let text = reporting(
        &exporter,
        &hook.url(),
        &people.url(),
        folder.to_str().unwrap(),
    );
    house.configure(&text);
    let mut daemon = house.start();
    daemon.wait_for("green");
    let ready = || {
        let posted = people.posted();
        let bodies = posted.iter().map(crate::reports::body);
        bodies
            .filter(|it| it["type"] == "gated.report.ready")
            .collect::<Vec<Value>>()
    };
    eventually("the report", || !ready().is_empty());
    let body = &ready()[0];
    let report = &body["data"]["report"];
    assert_eq!(
        (report["kind"].as_str(), report["date"].as_str()),
        (Some("day"), Some(&*date))
    );
    let markdown = report["markdown"].as_str().unwrap();
    assert!(
        markdown.contains("90.9"),
        "100 of 110 known minutes were up: {markdown}"
    );
    for ending in ["md", "html", "json"] {
        let file = folder.join(format!("{date}-day.{ending}"));
        let kept =
            std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{error}: {file:?}"));
        assert!(!kept.is_empty());
        if ending == "md" {
            assert!(kept.starts_with("# Day"), "{kept}");
        }
    }
    let listen = daemon.address().to_string();
    let asked = [
        "report",
        "hypercare",
        "--date",
        "2026-12-01",
        "--listen",
        &listen,
    ];
    let out = house.run(&asked);
    let errors = String::from_utf8(out.stderr).unwrap();
    assert!(
        !out.status.success() && errors.contains("whatever the date"),
        "{errors}"
    );
    // The rollback hook hears of rollbacks alone.
    assert!(hook.posted().is_empty());
    // Once: a restart does not tell it again.
    let delivered = |it: &Value| it["deliveries"][0]["state"] == "delivered";
    eventually("the delivery", || daemon.decisions().iter().any(delivered));
    daemon.kill();
    let daemon = house.start();
    daemon.wait_for("green");
    eventually("a minute's decision", || !daemon.decisions().is_empty());
    let told = daemon.decisions();
    let reports = told
        .iter()
        .filter(|it| it["trigger"] == "report:day")
        .count();
    assert_eq!((reports, ready().len()), (1, 1), "{told:?}");
    asked_for(&house, daemon, &date);
}

/// Three faces, a past day, what is no report, and the same without a running gated.
fn asked_for(house: &House, daemon: crate::binary::Daemon, date: &str) {
    let get = |query: &str| daemon.get(&format!("/api/v1/reports/{query}"));
    let json = get(&format!("day?date={date}")).json();
    let uptime = json["data"]["signals"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["name"] == "uptime")
        .unwrap()
        .clone();
    assert!(
        (uptime["value"].as_f64().unwrap() - 100.0 / 110.0).abs() < 1e-9,
        "{uptime}"
    );
    assert_eq!(
        json["data"]["status"]["status"], "amber",
        "most of the day is unknown: {}",
        json["data"]["status"]
    );
    let html = get(&format!("day?date={date}&format=html"));
    assert!(
        html.status == 200 && html.body.contains("<svg"),
        "{}",
        html.body.len()
    );
    for (query, status, text) in [
        ("month", 404, "hypercare"),
        ("day?date=yesterday", 400, "write one as"),
        ("day?format=pdf", 400, "markdown, html or json"),
        ("hypercare", 400, "go_live"),
        ("day?date=2199-01-01", 400, "still to come"),
    ] {
        let reply = get(query);
        assert!(
            reply.status == status && reply.body.contains(text),
            "{query}: {}",
            reply.body
        );
    }
    let listen = daemon.address().to_string();
    let live = house.run(&["report", "day", "--date", date, "--listen", &listen]);
    assert!(
        live.status.success(),
        "{}",
        String::from_utf8_lossy(&live.stderr)
    );
    drop(daemon);
    let cold = house.run(&["report", "day", "--date", date, "--listen", "127.0.0.1:1"]);
    assert!(
        cold.status.success(),
        "{}",
        String::from_utf8_lossy(&cold.stderr)
    );
    assert!(String::from_utf8_lossy(&cold.stderr).contains("from the ledger"));
    assert!(String::from_utf8_lossy(&cold.stdout).contains("90.9"));
}

fn body(posted: &crate::binary::Posted) -> Value {
    serde_json::from_str(&posted.body).unwrap_or(Value::Null)
}

/// What cannot be kept is told all the same, and the log says so; where nobody is told it is tried again.
#[test]
fn a_folder_that_cannot_be_written_keeps_nobody_from_being_told() {
    let exporter = Exporter::start(false);
    let (hook, people) = (
        Receiver::start(|_, _| Said::Status(200)),
        Receiver::start(|_, _| Said::Status(200)),
    );
    for hooks in ["hooks = [\"chat\"]", ""] {
        let house = House::new("", &format!("{RULES}\n[uptime]\ndown = \"broken > 0\"\n"));
        yesterday(&house);
        std::fs::write(house.path("file"), "in the way").unwrap();
        let folder = house.path("file").join("reports");
        let text = reporting(
            &exporter,
            &hook.url(),
            &people.url(),
            folder.to_str().unwrap(),
        );
        house.configure(&text.replace("hooks = [\"chat\"]", hooks));
        let daemon = house.start();
        daemon.wait_for("green");
        let says = "a report could not be made or kept";
        eventually(says, || daemon.log().contains(says));
        let failing = || daemon.metric("gated_report_failing{kind=\"day\"}");
        eventually("its metric", || failing() == Some(1.0));
        let listen = daemon.address().to_string();
        let out = house.run(&["status", "--listen", &listen]);
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(
            text.contains("is tried again: the report cannot be kept in"),
            "{text}"
        );
        eventually("the report", || !people.posted().is_empty());
    }
    let posted = people.posted();
    assert!(
        posted
            .iter()
            .all(|it| it.body.contains("gated.report.ready"))
    );
    assert_eq!(posted.len(), 1);
}
