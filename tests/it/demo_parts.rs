//! The demo's service and receiver over real HTTP: pages that Prometheus accepts, a rollback that really happens.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gated::model::Timestamp;
use gated::run::demo::receiver::{Receiver, Setup};
use gated::run::demo::service::{Health, Service, Traffic};
use serde_json::json;
use standardwebhooks::Webhook;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW: i64 = 1_800_000_000;

/// Sends one request on a connection of its own; gives the status and the body.
async fn exchange(url: &str, method: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let rest = url.strip_prefix("http://").unwrap();
    let (address, path) = rest.split_once('/').unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect::<Vec<_>>()
        .concat();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n{head}\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.to_owned(),
    )
}

async fn page(target: &str) -> String {
    let (status, body) = exchange(target, "GET", &[], "").await;
    assert_eq!(status, 200);
    body
}

/// The sum of one name's samples on a page, of those whose labels hold these. The values hold no spaces.
fn sum(page: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    page.lines()
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(head, _)| head.split('{').next() == Some(name))
        .filter(|(head, _)| {
            labels
                .iter()
                .all(|(k, v)| head.contains(&format!("{k}=\"{v}\"")))
        })
        .map(|(_, value)| value.parse::<f64>().unwrap())
        .sum()
}

/// Asks again until it holds: the service runs in real time.
async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut holds: F) {
    let patience = tokio::time::timeout(Duration::from_secs(20), async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    patience
        .await
        .unwrap_or_else(|_| panic!("never came: {what}"));
}

fn brisk() -> Traffic {
    Traffic {
        requests_per_second: 600.0,
        step: Duration::from_millis(200),
        ..Traffic::default()
    }
}

#[tokio::test]
async fn three_instances_serve_pages_that_prometheus_accepts() {
    let service = Service::start("1.4.0", brisk()).await.unwrap();
    let targets = service.targets();
    assert_eq!(targets.len(), 3);
    for target in &targets {
        eventually("traffic", async || {
            sum(&page(target).await, "http_requests_total", &[]) > 50.0
        })
        .await;
        let page = page(target).await;
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool, of Debian's package prometheus");
        promtool
            .stdin
            .take()
            .unwrap()
            .write_all(page.as_bytes())
            .unwrap();
        let said = promtool.wait_with_output().unwrap();
        assert!(
            said.status.success(),
            "{}\n{page}",
            String::from_utf8_lossy(&said.stderr)
        );
        assert!(sum(&page, "app_build_info", &[("version", "1.4.0")]) > 0.5);
        assert!(
            sum(
                &page,
                "http_requests_total",
                &[("status", "200"), ("method", "GET")]
            ) > 0.0
        );
        for gauge in ["cpu_utilization_ratio", "memory_utilization_ratio"] {
            assert!((0.01..1.0).contains(&sum(&page, gauge, &[])), "{gauge}");
        }
        assert!(sum(&page, "process_resident_memory_bytes", &[]) > 1e8);
        let buckets = page
            .lines()
            .filter(|line| line.contains("path=\"/api/catalogue\",le="))
            .count();
        assert_eq!(buckets, 12);
    }
    assert_eq!(
        exchange(&targets[0].replace("/metrics", "/other"), "GET", &[], "")
            .await
            .0,
        404
    );
    service.stop().await;
}

#[tokio::test]
async fn a_bad_version_shows_and_going_back_mends_it() {
    let service = Service::start("1.4.0", brisk()).await.unwrap();
    let targets = service.targets();
    assert_eq!(service.current_version(), "1.4.0");
    service.deploy(
        "1.5.0",
        Health::Bad {
            error_share: 0.5,
            latency_factor: 10.0,
        },
    );
    eventually("the new version", async || {
        service.deployer().versions() == ["1.5.0"; 3]
    })
    .await;
    let failed = async || {
        sum(
            &page(&targets[2]).await,
            "http_requests_total",
            &[("status", "500")],
        )
    };
    eventually("errors", async || failed().await > 0.0).await;
    assert_eq!(service.current_version(), "1.5.0");
    service.deploy("1.4.0", Health::Good);
    eventually("the old version", async || {
        service.deployer().versions() == ["1.4.0"; 3]
    })
    .await;
    eventually("traffic", async || {
        sum(&page(&targets[2]).await, "http_requests_total", &[]) > 20.0
    })
    .await;
    assert!(failed().await < 0.5);
    service.stop().await;
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_listeners() {
    let service = Service::start("1.4.0", brisk()).await.unwrap();
    let target = service.targets()[0].clone();
    let address = target
        .strip_prefix("http://")
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let mut idle = TcpStream::connect(&address).await.unwrap();
    idle.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    service.stop().await;
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(
        TcpStream::connect(&address).await.is_err(),
        "still listening"
    );
}

struct Call {
    id: &'static str,
    key: &'static str,
    at: i64,
    secret: &'static str,
    body: String,
}

impl Call {
    fn rollback(key: &'static str) -> Self {
        let body = json!({
            "type": "gated.rollback.requested",
            "id": key,
            "data": { "rollout": { "version": "1.5.0", "previous_version": "1.4.0" } },
        });
        Self {
            id: "msg_1",
            key,
            at: NOW,
            secret: SECRET,
            body: body.to_string(),
        }
    }

    async fn send(&self, url: &str) -> u16 {
        let signature = Webhook::new(self.secret)
            .unwrap()
            .sign(self.id, self.at, self.body.as_bytes())
            .unwrap();
        let stamp = self.at.to_string();
        let headers = [
            ("content-type", "application/json"),
            ("webhook-id", self.id),
            ("webhook-timestamp", &stamp),
            ("webhook-signature", &signature),
            ("idempotency-key", self.key),
        ];
        exchange(url, "POST", &headers, &self.body).await.0
    }
}

async fn receiver(fail_first: usize) -> (Receiver, Arc<Mutex<Vec<String>>>) {
    let versions = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&versions);
    let setup = Setup {
        secret: SECRET.to_owned(),
        fail_first,
        now: Box::new(|| Timestamp::from_millis(NOW * 1000)),
        on_rollback: Box::new(move |version| seen.lock().unwrap().push(version.to_owned())),
    };
    (Receiver::start(setup).await.unwrap(), versions)
}

#[tokio::test]
async fn a_rollback_is_acted_on_once_after_a_first_failure() {
    let (receiver, versions) = receiver(1).await;
    let url = receiver.url();
    let call = Call::rollback("dec_1");
    assert_eq!(call.send(&url).await, 503);
    assert!(versions.lock().unwrap().is_empty());
    assert_eq!(call.send(&url).await, 200);
    assert_eq!(call.send(&url).await, 200);
    assert_eq!(*versions.lock().unwrap(), ["1.4.0"]);
    let came = receiver.received();
    let told: Vec<_> = came
        .iter()
        .map(|r| (r.id.as_str(), r.key.as_str(), r.status, r.repeat))
        .collect();
    assert_eq!(
        told,
        [
            ("msg_1", "dec_1", 503, false),
            ("msg_1", "dec_1", 200, false),
            ("msg_1", "dec_1", 200, true)
        ]
    );
    assert_eq!(came[0].body["data"]["rollout"]["version"], "1.5.0");
    receiver.stop().await;
    assert!(
        TcpStream::connect(url.split('/').nth(2).unwrap())
            .await
            .is_err(),
        "still listening"
    );
}

#[tokio::test]
async fn what_is_not_ours_is_refused() {
    let (receiver, versions) = receiver(0).await;
    let url = receiver.url();
    let wrong_key = Call {
        secret: "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ..Call::rollback("dec_1")
    };
    assert_eq!(wrong_key.send(&url).await, 401);
    for at in [NOW - 301, NOW + 301] {
        assert_eq!(
            Call {
                at,
                ..Call::rollback("dec_1")
            }
            .send(&url)
            .await,
            401,
            "{at}"
        );
    }
    assert_eq!(
        exchange(&url, "POST", &[], &Call::rollback("dec_1").body)
            .await
            .0,
        401
    );
    let bodies = [
        ("not json", 400),
        (r#"{"type":"gated.rollback.requested","data":{}}"#, 422),
    ];
    for (body, status) in bodies {
        let call = Call {
            body: body.to_owned(),
            ..Call::rollback("dec_1")
        };
        assert_eq!(call.send(&url).await, status, "{body}");
    }
    assert_eq!(Call::rollback("").send(&url).await, 400);
    assert!(versions.lock().unwrap().is_empty());
    assert_eq!(
        Call {
            at: NOW - 299,
            ..Call::rollback("dec_1")
        }
        .send(&url)
        .await,
        200
    );
    assert_eq!(*versions.lock().unwrap(), ["1.4.0"]);
    receiver.stop().await;
}

#[tokio::test]
async fn other_kinds_are_noted_and_change_nothing() {
    let (receiver, versions) = receiver(0).await;
    let body = json!({ "type": "gated.escalation.raised", "data": {} }).to_string();
    let call = Call {
        body,
        ..Call::rollback("dec_2")
    };
    assert_eq!(call.send(&receiver.url()).await, 200);
    assert_eq!(receiver.received()[0].kind, "gated.escalation.raised");
    assert!(versions.lock().unwrap().is_empty());
    receiver.stop().await;
}

#[tokio::test]
async fn the_receiver_rolls_the_service_back() {
    let service = Service::start("1.4.0", brisk()).await.unwrap();
    let deployer = service.deployer();
    let setup = Setup {
        secret: SECRET.to_owned(),
        fail_first: 1,
        now: Box::new(|| Timestamp::from_millis(NOW * 1000)),
        on_rollback: Box::new(move |version| deployer.deploy(version, Health::Good)),
    };
    let receiver = Receiver::start(setup).await.unwrap();
    service.deploy(
        "1.5.0",
        Health::Bad {
            error_share: 0.5,
            latency_factor: 10.0,
        },
    );
    eventually("the bad version", async || {
        service.current_version() == "1.5.0"
    })
    .await;
    let call = Call::rollback("dec_3");
    assert_eq!(call.send(&receiver.url()).await, 503);
    assert_eq!(service.current_version(), "1.5.0");
    assert_eq!(call.send(&receiver.url()).await, 200);
    eventually("the old version", async || {
        service.deployer().versions() == ["1.4.0"; 3]
    })
    .await;
    receiver.stop().await;
    service.stop().await;
}
