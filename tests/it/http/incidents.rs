//! Incidents over HTTP, on the page, in `/metrics` and through the commands that ask for them.

use std::collections::BTreeMap;

use gated::engine::IncidentCounts;
use gated::engine::IncidentState;
use gated::model::Acknowledgement;
use gated::model::Cause;
use gated::model::DecisionId;
use gated::model::Incident;
use gated::model::IncidentId;
use gated::model::Severity;
use gated::run::cli::Command as Asked;

use super::*;

fn incident(id: &str) -> Incident {
    Incident {
        id: IncidentId(id.into()),
        rollout: Some(RolloutId("r/2".into())),
        signal: "error_rate".into(),
        severity: Severity::P1,
        opened_at: at(0),
        since: at(0),
        rounds: 0,
        reason: format!("errors: error_rate > 1% {EVIL}"),
        decisions: vec![DecisionId("dec_1".into())],
        causes: [Cause::Unseen {
            what: "given up".into(),
        }]
        .into(),
        reached: 1,
        called_at: Some(at(0)),
        repeats: 0,
        hooks: ["pager".to_owned()].into(),
        acknowledged: None,
        resolved: None,
        breached_at: None,
    }
}

fn open(id: &str) -> IncidentState {
    IncidentState {
        incident: incident(id),
        acknowledge_by: Some(at(900)),
        owner: Some("on-call engineer".into()),
        contact: Some("Ada".into()),
        next: Some((at(300), Some("operations manager".into()))),
        response: Vec::new(),
    }
}

fn taken(id: &str) -> Incident {
    let (by, note) = ("ada".into(), Some("looking".into()));
    Incident {
        acknowledged: Some(Acknowledgement {
            at: at(5),
            by,
            note,
        }),
        ..incident(id)
    }
}

/// Two open ones, an older one resolved.
fn three(snapshot: &mut Snapshot) {
    let mut over = open("inc_aa00");
    over.incident.resolved = Some((at(3), "what opened it is over".into()));
    (over.acknowledge_by, over.next) = (None, None);
    snapshot.incidents = vec![over, open("inc_aa11"), open("inc_bb22")];
    snapshot.incident_counts = IncidentCounts {
        opened: BTreeMap::from([(Severity::P1, 3)]),
        breached: BTreeMap::from([(Severity::P1, 1)]),
        acknowledged: 2,
        acknowledge_seconds: 61.5,
    };
}

fn command(line: &str) -> Asked {
    Cli::read(line.split(' ')).unwrap().command.unwrap()
}

#[tokio::test]
async fn the_list_says_who_must_act_by_when() {
    let house = house().await;
    let none = house.get("/api/v1/incidents").await.json();
    assert_eq!(
        none,
        json!({"status": "success", "data": {"incidents": []}})
    );
    house.change(three);
    let list = house.get("/api/v1/incidents").await.json();
    let all = list["data"]["incidents"].as_array().unwrap();
    let states: Vec<&str> = all.iter().map(|it| it["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["resolved", "open", "open"]);
    let one = &all[1];
    for (key, expected) in [
        ("id", "inc_aa11".to_owned()),
        ("severity", "P1".into()),
        ("rollout", "r/2".into()),
        ("owner", "on-call engineer".into()),
        ("contact", "Ada".into()),
        ("acknowledge_by", at(900).to_string()),
        ("next_call_at", at(300).to_string()),
        ("next_role", "operations manager".into()),
    ] {
        assert_eq!(one[key], expected, "{key}");
    }
    assert_eq!(one["causes"], json!(["given up"]));
    assert!(one["acknowledged_by"].is_null() && one["resolved_at"].is_null());
    assert_eq!(all[0]["resolution"], "what opened it is over");
}

#[tokio::test]
async fn an_acknowledgement_reaches_the_engine_as_it_was_said() {
    let house = house().await;
    *house.desk.answer.lock().unwrap() = Ok(Answer::Incident(Box::new(taken("inc_aa11"))));
    let path = "/api/v1/incidents/inc_aa11/ack";
    let reply = house
        .write("POST", path, r#"{"by":"ada","note":"looking"}"#)
        .await;
    assert_eq!(reply.code, 200, "{reply:?}");
    let said = reply.json();
    assert_eq!(said["data"]["state"], "acknowledged");
    assert_eq!(said["data"]["acknowledged_by"], "ada");
    let call = Call::Acknowledge {
        incident: IncidentId("inc_aa11".into()),
        by: "ada".into(),
        note: Some("looking".into()),
    };
    assert_eq!(*house.desk.calls.lock().unwrap(), [call]);
}

#[tokio::test]
async fn what_is_no_acknowledgement_is_refused() {
    let house = house().await;
    let path = "/api/v1/incidents/inc_aa11/ack";
    let long = "x".repeat(2049);
    for (body, expected) in [
        (json!({}), "missing field `by`"),
        (json!({"by": " "}), "by may not be empty"),
        (json!({"by": "a\nb"}), "by may not contain control"),
        (
            json!({"by": "x".repeat(257)}),
            "by has 257 bytes; 256 at most",
        ),
        (
            json!({"by": "ada", "note": long}),
            "note has 2049 bytes; 2048 at most",
        ),
        (json!({"by": "ada", "why": "x"}), "unknown field `why`"),
    ] {
        let reply = house.write("POST", path, &body.to_string()).await;
        assert_eq!(reply.error(), error(400, "bad_data"), "{body}");
        let text = reply.json()["error"].as_str().unwrap().to_owned();
        assert!(text.contains(expected), "{body}: {text}");
    }
    assert!(house.desk.calls.lock().unwrap().is_empty());
    let json = "Content-Type: application/json";
    let bare = house.ask("POST", path, &[json], r#"{"by":"ada"}"#).await;
    assert_eq!(bare.error(), error(401, "unauthorized"));
    for (refusal, expected) in [
        (Refusal::NoSuchIncident("x".into()), error(404, "not_found")),
        (
            Refusal::Conflict("it was resolved".into()),
            error(409, "conflict"),
        ),
    ] {
        *house.desk.answer.lock().unwrap() = Err(ActError::Refused(refusal));
        let reply = house.write("POST", path, r#"{"by":"ada"}"#).await;
        assert_eq!(reply.error(), expected);
    }
}

#[tokio::test]
async fn the_page_and_the_metrics_show_what_is_open() {
    let house = house().await;
    let page = house.get("/").await.body;
    assert!(
        page.contains("<h2>Incidents</h2><p>None is open.</p>"),
        "{page}"
    );
    house.change(|snapshot| {
        three(snapshot);
        snapshot.incidents[2].incident = taken("inc_bb22");
        snapshot.incidents[2].acknowledge_by = None;
        snapshot.incidents[1].incident.breached_at = Some(at(9));
    });
    let page = house.get("/").await.body;
    for text in [
        "on-call engineer (Ada)",
        "(missed)",
        "ada has it",
        "operations manager",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("inc_aa00") && !page.contains(EVIL), "{page}");
    let metrics = house.get("/metrics").await.body;
    for line in [
        "gated_incidents_open{severity=\"P1\"} 2",
        "gated_incidents_open{severity=\"P4\"} 0",
        "gated_incidents_opened_total{severity=\"P1\"} 3",
        "gated_incidents_sla_missed_total{severity=\"P1\"} 1",
        "gated_incidents_acknowledged_total 2",
        "gated_incident_acknowledge_seconds_total 61.5",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn commands_list_incidents_and_take_one_by_a_part_of_its_id() {
    let house = house().await;
    let daemon = Daemon::new(house.address).unwrap();
    let list = async |line: &str| match command(line) {
        Asked::Incidents(asked) => daemon.incidents(&asked).await.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(list("gated incidents").await, "no incident is open\n");
    house.change(three);
    let text = list("gated incidents").await;
    assert_eq!(text.matches("incident inc_").count(), 2, "{text}");
    for part in [
        "ack by",
        "called   on-call engineer (Ada)",
        "next     operations manager at",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(list("gated incidents --all").await.contains("resolved"));
    let json: Value =
        serde_json::from_str(&list("gated incidents --all --format json").await).unwrap();
    assert_eq!(json["incidents"].as_array().unwrap().len(), 3);

    *house.desk.answer.lock().unwrap() = Ok(Answer::Incident(Box::new(taken("inc_aa11"))));
    let ack = async |id: &str| match command(&format!("gated ack {id} --by ada --note looking")) {
        Asked::Ack(it) => daemon.acknowledge(&it, "ada", || Ok(TOKEN.into())).await,
        other => panic!("{other:?}"),
    };
    // An open one before a resolved one that begins alike.
    for id in ["inc_aa11", "aa1", "inc_a"] {
        let said = ack(id).await.unwrap();
        assert!(
            said.contains("taken") && said.contains("by ada: looking"),
            "{said}"
        );
        let call = house.desk.calls.lock().unwrap().pop();
        let Some(Call::Acknowledge { incident, .. }) = call else {
            panic!("{call:?}");
        };
        assert_eq!(incident.as_str(), "inc_aa11", "{id}");
    }
    let nobody = ack("zz").await.unwrap_err().to_string();
    assert!(nobody.starts_with("there is no incident `zz`"), "{nobody}");
    let many = ack("inc_").await.unwrap_err().to_string();
    assert!(
        many.contains("inc_aa11") && many.contains("inc_bb22"),
        "{many}"
    );
    assert!(house.desk.calls.lock().unwrap().is_empty());
    house.server.shutdown(Duration::ZERO).await;
    let gone = ack("aa1").await.unwrap_err();
    assert!(matches!(gone, RemoteError::NoDaemon { .. }), "{gone:?}");
}
