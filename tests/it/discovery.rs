//! Targets from files and DNS, over real files and a real (tiny) server of names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gated::engine::{Input, ScrapeFault};
use gated::source::{DnsKind, DnsName, ScrapeConfig, Tuning, target_url};
use tokio::time::timeout;

use crate::fault_server::{Answer, FaultServer};
use crate::scrape::{PATIENCE, Rig, config};

/// Targets by URL, as the engine knows them.
#[derive(Default)]
struct Known(BTreeMap<u32, String>);

impl Known {
    /// Takes inputs until exactly these targets are known.
    async fn become_(&mut self, rig: &mut Rig, want: &[&str]) {
        let want: BTreeSet<&str> = want.iter().copied().collect();
        let follow = async {
            while self.0.values().map(String::as_str).collect::<BTreeSet<_>>() != want {
                match rig.next().await {
                    Input::Target(info) => drop(self.0.insert(info.id.0, info.url)),
                    Input::TargetGone(id) => drop(self.0.remove(&id.0)),
                    _ => {}
                }
            }
        };
        let followed = timeout(PATIENCE, follow).await;
        assert!(followed.is_ok(), "{:?} instead of {want:?}", self.0);
    }

    /// Takes so many scrapes, during which nothing comes or goes.
    async fn stay(&mut self, rig: &mut Rig, scrapes: u32) {
        let mut seen = 0;
        while seen < scrapes {
            match rig.next().await {
                Input::Scraped(_) => seen += 1,
                other => panic!("{other:?}"),
            }
        }
    }
}

fn from_files(folder: &Path) -> ScrapeConfig {
    let interval = Duration::from_millis(100);
    ScrapeConfig {
        files: vec![folder.join("*.json"), folder.join("more.yml")],
        interval,
        timeout: interval,
        ..ScrapeConfig::new("api")
    }
}

/// Written beside and renamed into place.
fn swap(path: &Path, text: &str) {
    let beside = path.with_extension("part");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

async fn files_are_followed(files_poll: Duration, folder: &Path) {
    let json = folder.join("a.json");
    swap(
        &json,
        r#"[{"targets": ["127.0.0.1:1"], "labels": {"zone": "a", "__metrics_path__": "/m"}}]"#,
    );
    let tuning = Tuning {
        files_poll,
        ..Tuning::default()
    };
    let mut rig = Rig::start(vec![from_files(folder)], tuning);
    let info = rig.target().await;
    assert_eq!(info.url, "http://127.0.0.1:1/m");
    assert_eq!(
        info.labels.to_string(),
        r#"{instance="127.0.0.1:1",job="api",zone="a"}"#
    );
    let mut known = Known::default();
    known.0.insert(info.id.0, info.url);
    let (one, two, three) = (
        "http://127.0.0.1:1/metrics",
        "http://127.0.0.1:2/metrics",
        "http://127.0.0.1:3/metrics",
    );

    swap(&json, r#"[{"targets": ["127.0.0.1:1", "127.0.0.1:2"]}]"#);
    known.become_(&mut rig, &[one, two]).await;
    fs::write(
        folder.join("more.yml"),
        "- targets: ['127.0.0.1:3', '127.0.0.1:2']\n",
    )
    .unwrap();
    known.become_(&mut rig, &[one, two, three]).await;
    // Half written, not a list, of other fields, no UTF-8: the targets stay.
    for broken in [
        &br#"[{"targets": ["127.0.0."#[..],
        b"",
        b"{}",
        br#"[{"target": []}]"#,
        b"\xff",
    ] {
        fs::write(&json, broken).unwrap();
        known.stay(&mut rig, 9).await;
    }
    for broken in [
        "",
        "# nothing\n",
        "targets: []\n",
        "- targets: ['127.0.0.1:3'",
    ] {
        fs::write(folder.join("more.yml"), broken).unwrap();
        known.stay(&mut rig, 9).await;
    }
    swap(&json, "[]");
    known.become_(&mut rig, &[two, three]).await;
    fs::remove_file(folder.join("more.yml")).unwrap();
    known.become_(&mut rig, &[]).await;
}

#[tokio::test]
async fn files_are_watched() {
    let folder = tempfile::tempdir().unwrap();
    files_are_followed(Duration::from_secs(3600), folder.path()).await;
}

/// Through a link into another folder, of which the watched one tells nothing.
#[tokio::test]
async fn files_are_polled_where_the_system_tells_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let real = tempfile::tempdir().unwrap();
    let path = real.path().join("targets");
    fs::write(&path, r#"[{"targets": ["127.0.0.1:1"]}]"#).unwrap();
    std::os::unix::fs::symlink(&path, folder.path().join("a.json")).unwrap();
    let tuning = Tuning {
        files_poll: Duration::from_millis(50),
        ..Tuning::default()
    };
    let mut rig = Rig::start(vec![from_files(folder.path())], tuning);
    let mut known = Known::default();
    known
        .become_(&mut rig, &["http://127.0.0.1:1/metrics"])
        .await;
    swap(&path, r#"[{"targets": ["127.0.0.1:2"]}]"#);
    known
        .become_(&mut rig, &["http://127.0.0.1:2/metrics"])
        .await;
}

#[tokio::test]
async fn s20_a_target_named_twice_is_one() {
    let server = FaultServer::always(Answer::Page("a 1\n".into()));
    let mut twice = config(&server.url());
    twice.targets.push(target_url(&server.url()).unwrap());
    let mut rig = Rig::start(vec![twice.clone(), twice], Tuning::default());
    let first = rig.target().await.id;
    for _ in 0..5 {
        assert_eq!(rig.scrape().await.target, first);
    }
    assert_eq!(server.connections(), 1);
}

/// What a name stands for; a name without an entry is never answered.
#[derive(Clone)]
pub enum Record {
    A(Vec<Ipv4Addr>),
    Srv(Vec<(u16, String)>),
    NoSuchName,
    ServerFails,
}

pub type Zone = Arc<Mutex<BTreeMap<String, Record>>>;

/// A server of names: enough of DNS for questions about one name, over UDP.
fn name_server(zone: Zone) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((bytes, from)) = socket.recv_from(&mut buffer) {
            if let Some(answer) = answer(&buffer[..bytes], &zone) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    address
}

fn answer(question: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    let mut at = 12;
    while question[at] != 0 {
        let length = usize::from(question[at]);
        name.push(String::from_utf8_lossy(&question[at + 1..=at + length]).to_ascii_lowercase());
        at += length + 1;
    }
    let end = at + 5;
    let record = zone.lock().unwrap().get(&name.join(".")).cloned()?;
    let asked = question[at + 2];
    let (code, data): (u8, Vec<(u8, Vec<u8>)>) = match record {
        Record::NoSuchName => (3, Vec::new()),
        Record::ServerFails => (2, Vec::new()),
        Record::A(list) if asked == 1 => {
            (0, list.iter().map(|ip| (1, ip.octets().to_vec())).collect())
        }
        Record::Srv(list) if asked == 33 => {
            let data = list.iter().map(|(port, host)| {
                let mut data = vec![0, 0, 0, 0];
                data.extend(port.to_be_bytes());
                for part in host.split('.') {
                    data.push(u8::try_from(part.len()).unwrap());
                    data.extend(part.as_bytes());
                }
                data.push(0);
                (33, data)
            });
            (0, data.collect())
        }
        _ => (0, Vec::new()),
    };
    let mut reply = question[..2].to_vec();
    reply.extend([
        0x81,
        0x80 | code,
        0,
        1,
        0,
        u8::try_from(data.len()).unwrap(),
        0,
        0,
        0,
        0,
    ]);
    reply.extend(&question[12..end]);
    for (kind, data) in data {
        // The question's name, class IN, a lifetime of 0.
        reply.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 0]);
        reply.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        reply.extend(data);
    }
    Some(reply)
}

/// A server of names that says of `db.example` that it cannot tell.
pub fn failing_name_server() -> SocketAddr {
    name_server(zone([("db.example", Record::ServerFails)]))
}

/// Names by a server that knows for sure that there is no `db.example`.
pub fn knowing_nothing() -> Tuning {
    resolving(&zone([("db.example", Record::NoSuchName)]))
}

pub fn resolving(zone: &Zone) -> Tuning {
    Tuning {
        name_servers: vec![name_server(Arc::clone(zone))],
        dns_refresh: Duration::from_millis(200),
        ..Tuning::default()
    }
}

pub fn zone(records: impl IntoIterator<Item = (&'static str, Record)>) -> Zone {
    let records = records
        .into_iter()
        .map(|(name, record)| (name.to_owned(), record));
    Arc::new(Mutex::new(records.collect()))
}

#[tokio::test]
async fn names_become_targets_and_stay_when_look_ups_fail() {
    let ip = |last| Ipv4Addr::new(127, 0, 0, last);
    let zone = zone([
        ("a.example", Record::A(vec![ip(1), ip(2)])),
        (
            "_m._tcp.example",
            Record::Srv(vec![(9100, "db.example".into())]),
        ),
        ("db.example", Record::A(vec![ip(1)])),
    ]);
    let dns = |name: &str, kind| DnsName {
        name: name.into(),
        kind,
    };
    let named = ScrapeConfig {
        dns: vec![
            dns("a.example.", DnsKind::A { port: 1 }),
            dns("_m._tcp.example.", DnsKind::Srv),
        ],
        interval: Duration::from_millis(100),
        timeout: Duration::from_millis(100),
        ..ScrapeConfig::new("api")
    };
    let mut rig = Rig::start(vec![named], resolving(&zone));
    let mut known = Known::default();
    let (one, two, db) = (
        "http://127.0.0.1:1/metrics",
        "http://127.0.0.2:1/metrics",
        "http://db.example:9100/metrics",
    );
    known.become_(&mut rig, &[one, two, db]).await;
    let set = |record| zone.lock().unwrap().insert("a.example".into(), record);
    set(Record::NoSuchName);
    known.stay(&mut rig, 15).await;
    set(Record::A(vec![ip(2)]));
    known.become_(&mut rig, &[two, db]).await;
}

#[tokio::test]
async fn s9_bad_names_fail_by_themselves() {
    let server = FaultServer::always(Answer::Page("a 1\n".into()));
    let zone = zone([
        ("good.example", Record::A(vec![Ipv4Addr::LOCALHOST])),
        ("missing.example", Record::NoSuchName),
    ]);
    let port = server.address.port();
    let at = |name: &str| config(&format!("http://{name}:{port}/metrics"));
    let mut rig = Rig::start(vec![at("missing.example.")], resolving(&zone));
    assert_eq!(rig.outcome().await.unwrap_err().fault, ScrapeFault::Dns);

    // 200 names that are never answered, and a good one that stays on time.
    let mut slow = at("slow.example.");
    slow.targets = (0..200)
        .map(|i| target_url(&format!("http://slow-{i}.example.:{port}/metrics")).unwrap())
        .collect();
    let mut rig = Rig::start(vec![slow, at("good.example.")], resolving(&zone));
    for _ in 0..10 {
        assert!(rig.outcome().await.is_ok());
    }
}
