//! Alerts against the real Alertmanager of Debian (0.25), which takes less than later ones do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use gated::engine::Alert;
use gated::model::Timestamp;
use gated::sink::{Alertmanagers, PeerFault, Posted, Taken};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::peers::{Peer, amtool, free_address};

const HOUR: Duration = Duration::from_secs(3600);

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::from_millis(i64::try_from(since.unwrap().as_millis()).unwrap())
}

fn alert(name: &str) -> Alert {
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    Alert {
        labels: map(&[("alertname", name), ("service", "api"), ("empty", "")]),
        annotations: map(&[("summary", "latency > 500ms for 30 s")]),
        starts_at: now() - Duration::from_secs(60),
        ends_at: now() + HOUR,
        generator_url: "http://127.0.0.1:9755/".to_owned(),
    }
}

/// Its end lies before its start: every Alertmanager refuses it.
fn poison(name: &str) -> Alert {
    Alert {
        ends_at: now() - 2 * HOUR,
        ..alert(name)
    }
}

fn peers(urls: &[&str]) -> Alertmanagers {
    let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
    Alertmanagers::new(&urls, Duration::from_secs(10)).unwrap()
}

/// Alert name and fingerprint of everything that `amtool alert query` lists.
fn listed(peer: &Peer) -> BTreeMap<String, String> {
    let text = amtool(&peer.url, &["alert", "query", "--output=json"]);
    let alerts: Vec<Value> = serde_json::from_str(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    alerts
        .iter()
        .map(|alert| {
            (
                text(&alert["labels"]["alertname"]),
                text(&alert["fingerprint"]),
            )
        })
        .collect()
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "it stands beside what a post answers"
)]
fn taken(alerts: usize, quarantined: usize) -> Result<Taken, PeerFault> {
    Ok(Taken {
        alerts,
        quarantined,
    })
}

fn only(posted: Posted) -> Result<Taken, PeerFault> {
    let [outcome] = <[_; 1]>::try_from(posted.peers).unwrap();
    outcome
}

#[tokio::test]
async fn firing_is_listed_resolved_is_not_and_a_restart_brings_the_same_alert_back() {
    let mut peer = Peer::alertmanager();
    let managers = peers(&[&peer.url]);
    let firing = alert("GatedLatency");

    assert_eq!(
        only(managers.post(std::slice::from_ref(&firing)).await),
        taken(1, 0)
    );
    let before = listed(&peer);
    assert_eq!(before.keys().collect::<Vec<_>>(), ["GatedLatency"]);

    peer.kill();
    let posted = managers.post(std::slice::from_ref(&firing)).await;
    assert!(matches!(&posted.peers[..], [Err(PeerFault::NoAnswer(_))]) && !posted.accepted());

    peer.restart();
    assert_eq!(
        listed(&peer),
        BTreeMap::new(),
        "it keeps alerts in memory only"
    );
    assert!(
        managers
            .post(std::slice::from_ref(&firing))
            .await
            .accepted()
    );
    assert_eq!(
        listed(&peer),
        before,
        "the same fingerprint: the same alert"
    );

    let resolved = Alert {
        ends_at: now(),
        ..firing
    };
    assert!(managers.post(&[resolved]).await.accepted());
    assert_eq!(listed(&peer), BTreeMap::new());
}

#[tokio::test]
async fn one_bad_alert_among_many_is_found_and_left_out() {
    let peer = Peer::alertmanager();
    let managers = peers(&[&peer.url]);
    let mut alerts: Vec<Alert> = (0..150).map(|n| alert(&format!("Good{n}"))).collect();
    alerts.insert(70, poison("Poison"));
    let good: BTreeSet<String> = (0..150).map(|n| format!("Good{n}")).collect();

    assert_eq!(only(managers.post(&alerts).await), taken(150, 1));
    assert_eq!(listed(&peer).into_keys().collect::<BTreeSet<_>>(), good);
    // Mended or not, its labels stay out for an hour, and the others are not split again.
    alerts[70] = alert("Poison");
    assert_eq!(only(managers.post(&alerts).await), taken(150, 1));
    assert_eq!(listed(&peer).into_keys().collect::<BTreeSet<_>>(), good);
}

/// A rule may be mended, or the peer: what was refused once is not lost for ever.
#[tokio::test]
async fn a4_what_was_refused_is_tried_again_later() {
    let peer = Peer::alertmanager();
    let managers = peers(&[&peer.url]).retrying_after(Duration::from_secs(2));
    let alerts = [alert("Good"), poison("Poison")];
    assert_eq!(only(managers.post(&alerts).await), taken(1, 1));
    let mended = [alert("Good"), alert("Poison")];
    assert_eq!(only(managers.post(&mended).await), taken(1, 1));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(only(managers.post(&mended).await), taken(2, 0));
    assert_eq!(listed(&peer).len(), 2);
}

/// A8.
#[tokio::test]
async fn a8_three_thousand_alerts_are_taken_in_chunks() {
    let peer = Peer::alertmanager();
    let managers = peers(&[&peer.url]);
    let alerts: Vec<Alert> = (0..3000).map(|n| alert(&format!("A{n}"))).collect();
    let began = std::time::Instant::now();
    assert_eq!(only(managers.post(&alerts).await), taken(3000, 0));
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(listed(&peer).len(), 3000);
    let page = peer.get("/metrics");
    let line = "alertmanager_alerts_received_total{status=\"firing\",version=\"v2\"} 3000";
    assert!(page.contains(line), "{page}");
    let reply: String = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into();
    let replies = vec![reply; 47].into_iter().map(Into::into).collect();
    let recorder = crate::webhook::Recorder::answering(replies).await;
    let managers = peers(&[&recorder.url("")]);
    assert_eq!(only(managers.post(&alerts).await), taken(3000, 0));
    assert_eq!(recorder.requests().await.len(), 47, "64 in each");
}

#[tokio::test]
async fn labels_of_the_configuration_and_what_peers_are_shown_go_with_every_post() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "abc\n").unwrap();
    let basic = |name: &str| gated::sink::Credentials::Basic {
        username: name.to_owned(),
        password: gated::sink::Secret::new("pass"),
    };
    for (shown, header) in [
        (None, None),
        (
            Some(gated::sink::Credentials::BearerFile(token.clone())),
            Some("authorization: bearer abc"),
        ),
        (
            Some(basic("user")),
            Some("authorization: basic dxnlcjpwyxnz"),
        ),
    ] {
        let recorder = crate::webhook::Recorder::answering(vec![
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(),
        ])
        .await;
        let labels = [("region", "eu"), ("service", "other"), ("bad-name", "x")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let managers = peers(&[&recorder.url("")]).labelled(labels.into());
        let managers = managers.authorized(shown);
        assert_eq!(only(managers.post(&[alert("A")]).await), taken(1, 0));
        let request = &recorder.requests().await[0];
        let head = request.head.to_lowercase();
        let found = head.lines().find(|it| it.starts_with("authorization"));
        assert_eq!(found, header, "{head}");
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let labels = &body[0]["labels"];
        assert_eq!(
            (&labels["region"], &labels["service"], &labels["bad_name"]),
            (&"eu".into(), &"api".into(), &"x".into())
        );
    }
    let managers = peers(&["http://127.0.0.1:9"]);
    let gone = gated::sink::Credentials::BearerFile(folder.path().join("gone"));
    let outcome = only(managers.authorized(Some(gone)).post(&[alert("A")]).await);
    assert!(
        matches!(&outcome, Err(PeerFault::NoAnswer(why)) if why.contains("cannot be read")),
        "{outcome:?}"
    );
}

/// A peer that refuses everything may be the wrong server: nothing is held against the alerts.
#[tokio::test]
async fn refusing_every_alert_quarantines_none() {
    let peer = Peer::alertmanager();
    let managers = peers(&[&peer.url]);
    let refused = managers.post(&[poison("A"), poison("B")]).await;
    assert_eq!(only(refused), Err(PeerFault::RefusedAll(400)));
    assert_eq!(
        only(managers.post(&[alert("A"), alert("B")]).await),
        taken(2, 0)
    );
}

/// What Alertmanager 0.25 refuses or answers 422 to, and an alert must not be lost for.
#[tokio::test]
async fn names_and_urls_that_it_would_refuse_are_mended() {
    let peer = Peer::alertmanager();
    let managers = peers(&[&peer.url]);
    let mut odd = alert("Odd");
    odd.labels.insert("bad-name".into(), "x".into());
    odd.annotations.insert("how.to".into(), "y".into());
    odd.generator_url = "not a url".into();
    assert_eq!(
        only(managers.post(&[odd, alert("Plain")]).await),
        taken(2, 0)
    );
    let found = amtool(
        &peer.url,
        &["alert", "query", "bad_name=x", "--output=json"],
    );
    assert!(found.contains("\"how_to\":\"y\""), "{found}");
}

#[tokio::test]
async fn dead_and_hanging_peers_delay_nobody() {
    let alive = Peer::alertmanager();
    // Accepted by the kernel, never answered.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let urls = [
        format!("http://{}", free_address()),
        format!("http://{}", hanging.local_addr().unwrap()),
        alive.url.clone(),
    ];
    let managers = Alertmanagers::new(&urls, Duration::from_secs(3)).unwrap();
    let alerts = [alert("Alive")];
    let post = managers.post(&alerts);
    tokio::pin!(post);
    // The living one has it while the post still waits for the hanging one.
    while listed(&alive).is_empty() {
        tokio::select! {
            posted = &mut post => panic!("ended before the hanging peer did: {posted:?}"),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
    let posted = post.await;
    assert!(posted.accepted());
    let [
        Err(PeerFault::NoAnswer(dead)),
        Err(PeerFault::NoAnswer(hung)),
        Ok(taken),
    ] = &posted.peers[..]
    else {
        panic!("{posted:?}");
    };
    assert!(
        dead.contains("refused") && hung == "timed out",
        "{posted:?}"
    );
    assert_eq!(taken.alerts, 1);
}

/// Posts that wait behind a slow peer give way to the latest, which holds everything.
#[tokio::test]
async fn a_waiting_post_is_overtaken_by_a_later_one() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", hanging.local_addr().unwrap());
    let managers = Alertmanagers::new(&[url], Duration::from_secs(1)).unwrap();
    let alerts = [alert("A")];
    let (first, second, third) = tokio::join!(
        managers.post(&alerts),
        managers.post(&alerts),
        managers.post(&alerts)
    );
    assert_eq!(only(second), Err(PeerFault::Overtaken));
    for posted in [first, third] {
        assert_eq!(only(posted), Err(PeerFault::NoAnswer("timed out".into())));
    }
}

/// Every status that is neither "taken" nor about an alert is the peer's fault; a redirect is not followed.
#[tokio::test]
async fn other_answers_are_the_peers_fault() {
    for status in [302, 401, 404, 410, 500, 503] {
        let reply =
            format!("HTTP/1.1 {status} X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
        let recorder = crate::webhook::Recorder::answering(vec![reply.into()]).await;
        let managers = peers(&[&recorder.url("")]);
        let outcome = only(managers.post(&[alert("A")]).await);
        assert_eq!(outcome, Err(PeerFault::Status(status)));
        let requests = recorder.requests().await;
        assert_eq!(requests.len(), 1, "{requests:?}");
        assert!(requests[0].head.starts_with("POST /api/v2/alerts HTTP/1.1"));
    }
}

#[test]
fn a_password_in_a_url_is_not_printed() {
    let managers = peers(&["http://user:CANARY@127.0.0.1:9093/"]);
    assert!(!format!("{managers:?}").contains("CANARY"));
    let error = Alertmanagers::new(&["CANARY".into()], HOUR).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("CANARY"));
}
