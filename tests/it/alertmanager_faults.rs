//! The real binary and real Alertmanagers that die, forget, answer 503 or are one of three: what they list is what is so.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binary::{Exporter, House, RULES, Receiver, Said, config, eventually, told};
use crate::peers::{Peer, amtool};

/// What stands before an Alertmanager and can say 503 in its place.
struct Proxy {
    url: String,
    ill: Arc<AtomicBool>,
}

impl Proxy {
    fn before(peer: &Peer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let ill = Arc::new(AtomicBool::new(false));
        let (is_ill, behind) = (Arc::clone(&ill), peer.url.replace("http://", ""));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (is_ill, behind) = (is_ill.load(Ordering::SeqCst), behind.clone());
                // Either side may hang up at any moment.
                thread::spawn(move || pass(&stream.unwrap(), is_ill, &behind));
            }
        });
        Self { url, ill }
    }
}

fn pass(mut stream: &TcpStream, ill: bool, behind: &str) -> std::io::Result<()> {
    if ill {
        // The request is read, or the answer would be lost with what was not.
        let mut buffer = vec![0; 1 << 16];
        let _ = stream.read(&mut buffer)?;
        let answer =
            b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return stream.write_all(answer);
    }
    let peer = TcpStream::connect(behind)?;
    let (mut from, mut to) = (stream.try_clone()?, peer.try_clone()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    std::io::copy(&mut &peer, &mut stream)?;
    stream.shutdown(Shutdown::Both)
}

/// Name, label `region` and end of everything that is active.
fn active(peer: &Peer) -> Vec<Value> {
    let text = amtool(&peer.url, &["alert", "query", "-o", "json"]);
    serde_json::from_str(&text).unwrap()
}

fn names(peer: &Peer) -> Vec<String> {
    let name = |it: &Value| it["labels"]["alertname"].as_str().unwrap().to_owned();
    let mut names: Vec<String> = active(peer).iter().map(name).collect();
    names.sort();
    names
}

fn posting_to(urls: &[&str]) -> String {
    format!("[alertmanager]\nurls = {urls:?}\nresend = \"1s\"\nlabels = {{ region = \"eu\" }}\n")
}

/// A1, A3, A6: dead, restarted without memory, and answering 503.
#[test]
fn a1_a3_whatever_befalls_an_alertmanager_it_lists_what_is_so_soon_after() {
    let mut peer = Peer::alertmanager();
    let proxy = Proxy::before(&peer);
    let exporter = Exporter::start(false);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let text = config(&[&exporter.url()], &receiver.url(), &told("2"));
    let house = House::new(&(text + &posting_to(&[&proxy.url])), RULES);
    let daemon = house.start();
    daemon.wait_for("green");
    eventually("calm", || names(&peer) == ["Watchdog"]);
    exporter.set(true);
    let firing = ["RollbackDecided", "Watchdog", "breakage"];
    eventually("what fires", || names(&peer) == firing);
    let started = |peer: &Peer| -> Vec<String> {
        let texts = active(peer);
        let mut texts: Vec<String> = texts
            .iter()
            .map(|it| format!("{} {}", it["fingerprint"], it["startsAt"]))
            .collect();
        texts.sort();
        texts
    };
    let before = started(&peer);
    for alert in active(&peer) {
        assert_eq!(alert["labels"]["region"], "eu", "{alert}");
        // A6: the end lies far enough that no late post resolves it.
        let time = |key: &str| {
            alert[key]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .unwrap()
        };
        let valid = time("endsAt").duration_since(time("updatedAt"));
        assert!(valid.as_secs() > 170, "{alert}");
    }

    peer.restart();
    assert_eq!(
        names(&peer),
        [] as [&str; 0],
        "it keeps alerts in memory only"
    );
    eventually("the same alerts again", || started(&peer) == before);

    // It fails while the trigger calms: what resolved meanwhile is said when it is back.
    proxy.ill.store(true, Ordering::SeqCst);
    let failures = "gated_alertmanager_failures_total{peer=\"0\"}";
    eventually("a refused post", || {
        daemon.metric(failures).is_some_and(|it| it > 0.0)
    });
    exporter.set(false);
    daemon.wait_for("green");
    assert_eq!(names(&peer), firing, "it cannot know yet");
    proxy.ill.store(false, Ordering::SeqCst);
    eventually("the end", || {
        names(&peer) == ["RollbackDecided", "Watchdog"]
    });

    // Dead while the trigger fires again.
    peer.kill();
    exporter.set(true);
    daemon.wait_for("red");
    peer.restart();
    eventually("what fires now", || {
        names(&peer).contains(&"breakage".to_owned())
    });
}

/// A2: one of three is gone, and the others are told as ever.
#[test]
fn a2_three_peers_of_which_one_is_down() {
    let (first, mut second, third) = (
        Peer::alertmanager(),
        Peer::alertmanager(),
        Peer::alertmanager(),
    );
    let exporter = Exporter::start(true);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let text = config(&[&exporter.url()], &receiver.url(), &told("2"));
    second.kill();
    let urls = [first.url.as_str(), &second.url, &third.url];
    let house = House::new(&(text + &posting_to(&urls)), RULES);
    let daemon = house.start();
    let firing = ["RollbackDecided", "Watchdog", "breakage"];
    eventually("both that live", || {
        names(&first) == firing && names(&third) == firing
    });
    let failures = |peer: u32| {
        let head = format!("gated_alertmanager_failures_total{{peer=\"{peer}\"}}");
        daemon.metric(&head).unwrap_or(0.0)
    };
    eventually("the dead one is counted", || failures(1) > 0.0);
    assert_eq!((failures(0), failures(2)), (0.0, 0.0));
    assert!(!daemon.log().contains("no Alertmanager took the alerts"));
    second.restart();
    eventually("the third", || names(&second) == firing);
}

/// A7: a trigger that calms before an Alertmanager has grouped tells nobody, and the decision's own alert does.
#[test]
fn a7_a_decision_reaches_people_though_its_trigger_calmed_within_group_wait() {
    let people = Receiver::start(|_, _| Said::Status(200));
    let peer = Peer::alertmanager_with(&format!(
        "route: {{ receiver: people, group_by: [alertname], group_wait: 3s }}
receivers:
- name: people
  webhook_configs: [{{ url: '{}' }}]
",
        people.url()
    ));
    let (exporter, deployer) = (
        Exporter::start(false),
        Receiver::start(|_, _| Said::Status(200)),
    );
    let text = config(&[&exporter.url()], &deployer.url(), &told("2"));
    let house = House::new(&(text + &posting_to(&[&peer.url])), RULES);
    let daemon = house.start();
    daemon.wait_for("green");
    exporter.set(true);
    eventually("the rollback", || deployer.taken() == 1);
    exporter.set(false);
    daemon.wait_for("green");
    let told = |name: &str| people.posted().iter().any(|it| it.body.contains(name));
    eventually("people hear of it", || told("RollbackDecided"));
    assert!(
        !told("\"alertname\":\"breakage\""),
        "it was over before anybody heard"
    );
}

/// A6: posted at gated's usual pace, what fires is in a real Alertmanager at every look for longer than one post is valid,
/// and its end is the trigger's.
#[test]
fn a6_what_fires_is_never_resolved_by_a_timeout() {
    let peer = Peer::alertmanager();
    let exporter = Exporter::start(true);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let text = config(&[&exporter.url()], &receiver.url(), &told("2"));
    let alertmanager = format!("[alertmanager]\nurls = [{:?}]\n", peer.url);
    let house = House::new(&(text + &alertmanager), RULES);
    let daemon = house.start();
    daemon.wait_for("red");
    let breakage = || {
        let mut all = active(&peer).into_iter();
        all.find(|it| it["labels"]["alertname"] == "breakage")
    };
    eventually("what fires", || breakage().is_some());
    let since = breakage().unwrap()["startsAt"].clone();
    let until = Instant::now() + Duration::from_secs(190);
    let mut posts = BTreeSet::new();
    while Instant::now() < until {
        let alert = breakage().expect("it fires on");
        assert_eq!(alert["startsAt"], since);
        posts.insert(alert["updatedAt"].to_string());
        thread::sleep(Duration::from_secs(2));
    }
    assert!((3..=6).contains(&posts.len()), "a post a minute: {posts:?}");
    exporter.set(false);
    eventually("its end", || breakage().is_none());
}
