//! One attempt at a time against a raw recorder: what goes over the wire, and what every kind of answer becomes.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use gated::engine::Attempted;
use gated::model::{DecisionId, DeliveryKey, Timestamp};
use gated::sink::{DenyList, Secret, Webhook, WebhookConfig};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use crate::peers::free_address;
use crate::scrape_tls::{self, Signed};

/// Keeps every request it gets and answers them in turn with what it was given.
pub struct Recorder {
    address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

#[derive(Clone, Debug)]
pub struct Request {
    /// Request line and headers, names in lower case.
    pub head: String,
    pub body: Vec<u8>,
}

/// What the recorder does after a request.
#[derive(Clone)]
pub enum Reply {
    /// Sends this and closes.
    Bytes(Vec<u8>),
    /// Sends this, then nothing more, and keeps the connection.
    ThenHang(Vec<u8>),
    /// Sends this, then zeros for as long as they are taken.
    ThenFlood(Vec<u8>),
    Hang,
    Close,
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes())
    }
}

impl From<&str> for Reply {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Recorder {
    /// The last reply goes on for ever.
    pub async fn answering(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut turn = 0;
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let reply = replies[turn.min(replies.len() - 1)].clone();
                turn += 1;
                tokio::spawn(serve(stream, reply, Arc::clone(&kept)));
            }
        });
        Self { address, requests }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn requests(&self) -> Vec<Request> {
        self.requests.lock().await.clone()
    }
}

impl Request {
    fn headers(&self) -> HeaderMap {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| {
                let name = HeaderName::try_from(name).unwrap();
                (name, HeaderValue::try_from(value).unwrap())
            })
            .collect()
    }

    fn header(&self, name: &str) -> String {
        let headers = self.headers();
        let mut values = headers.get_all(name).iter();
        let value = values.next().map_or("", |value| value.to_str().unwrap());
        assert!(values.next().is_none(), "{name} came twice");
        value.to_owned()
    }
}

async fn serve(mut stream: TcpStream, reply: Reply, kept: Arc<Mutex<Vec<Request>>>) {
    if let Some(request) = receive(&mut stream).await {
        kept.lock().await.push(request);
    }
    let (bytes, after) = match reply {
        Reply::Bytes(bytes) => (bytes, Reply::Close),
        Reply::ThenHang(bytes) => (bytes, Reply::Hang),
        Reply::ThenFlood(ref bytes) => (bytes.clone(), reply),
        Reply::Hang | Reply::Close => (Vec::new(), reply),
    };
    let mut open = stream.write_all(&bytes).await.is_ok();
    match after {
        Reply::Hang => drop(stream.read(&mut [0; 16]).await),
        Reply::ThenFlood(_) => {
            while open {
                open = stream.write_all(&[b'0'; 8192]).await.is_ok();
            }
        }
        Reply::Bytes(_) | Reply::ThenHang(_) | Reply::Close => {}
    }
}

async fn receive(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        while bytes.len() < end + 4 + length {
            stream.read_buf(&mut bytes).await.ok()?;
        }
        let body = bytes.split_off(end + 4);
        return Some(Request { head, body });
    }
}

const BODY: &[u8] = br#"{"type":"gated.rollback.requested","id":"dec_1"}"#;
const ONE_KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn config(url: &str) -> WebhookConfig {
    WebhookConfig {
        timeout: Duration::from_secs(30),
        ..WebhookConfig::new("deployer", url)
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::from_millis(i64::try_from(since.unwrap().as_millis()).unwrap())
}

async fn attempt_at(webhook: &Webhook, now: Timestamp) -> Attempted {
    let key = DeliveryKey("msg_1".into());
    let decision = DecisionId("dec_1".into());
    webhook
        .attempt(&key, &decision, Bytes::from_static(BODY), now)
        .await
}

async fn attempt(config: WebhookConfig) -> Attempted {
    attempt_at(&Webhook::new(&config).unwrap(), now()).await
}

fn answered(status: u16) -> Attempted {
    Attempted::Answered {
        status,
        retry_after: None,
    }
}

#[tokio::test]
async fn every_attempt_has_the_same_id_and_bytes_and_a_new_signature() {
    let recorder = Recorder::answering(vec![
        "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno".into(),
        Reply::Close,
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(),
    ])
    .await;
    let webhook = Webhook::new(&WebhookConfig {
        secret: Some(Secret::new(format!("{ONE_KEY} raw-key\n"))),
        headers: vec![("X-Team".into(), Secret::new("payments"))],
        ..config(&recorder.url("/hook?token=1"))
    })
    .unwrap();
    let start = now();
    let outcomes = [
        attempt_at(&webhook, start).await,
        attempt_at(&webhook, start + Duration::from_secs(2)).await,
        attempt_at(&webhook, start + Duration::from_secs(4)).await,
    ];
    let [
        Attempted::Answered {
            status: 503,
            retry_after: Some(wait),
        },
        Attempted::NoAnswer { reached: true, .. },
        Attempted::Answered {
            status: 200,
            retry_after: None,
        },
    ] = &outcomes
    else {
        panic!("{outcomes:?}");
    };
    assert_eq!(*wait, Duration::from_secs(7));

    let requests = recorder.requests().await;
    assert_eq!(requests.len(), 3);
    let mut signatures = Vec::new();
    for (n, request) in (0..).zip(&requests) {
        assert!(request.head.starts_with("POST /hook?token=1 HTTP/1.1\r\n"));
        assert_eq!(request.body, BODY);
        for (name, value) in [
            ("webhook-id", "msg_1"),
            ("idempotency-key", "dec_1"),
            ("content-type", "application/json"),
            ("user-agent", concat!("gated/", env!("CARGO_PKG_VERSION"))),
            ("x-team", "payments"),
        ] {
            assert_eq!(request.header(name), value, "{name}");
        }
        let at = start + Duration::from_secs(2 * n);
        let stamp = request.header("webhook-timestamp");
        assert_eq!(stamp, at.millis().div_euclid(1000).to_string());
        // The reference library, given either key alone, accepts the request.
        let keys = [
            standardwebhooks::Webhook::new(ONE_KEY),
            standardwebhooks::Webhook::from_bytes(b"raw-key".to_vec()),
        ];
        for key in keys {
            key.unwrap()
                .verify(&request.body, &request.headers())
                .unwrap();
        }
        let signature = request.header("webhook-signature");
        assert_eq!(signature.split(' ').count(), 2);
        signatures.push(signature);
    }
    signatures.dedup();
    assert_eq!(signatures.len(), 3);
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    let recorder = Recorder::answering(vec!["HTTP/1.1 204 Done\r\n\r\n".into()]).await;
    assert_eq!(attempt(config(&recorder.url("/"))).await, answered(204));
    let request = &recorder.requests().await[0];
    assert_eq!(request.header("webhook-signature"), "");
    assert_eq!(request.header("webhook-id"), "msg_1");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let elsewhere = Recorder::answering(vec!["HTTP/1.1 200 OK\r\n\r\n".into()]).await;
    for status in [301, 302, 303, 307, 308] {
        let location = elsewhere.url("/");
        let reply =
            format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let recorder = Recorder::answering(vec![reply.into()]).await;
        assert_eq!(attempt(config(&recorder.url("/"))).await, answered(status));
        assert_eq!(recorder.requests().await.len(), 1);
    }
    assert!(elsewhere.requests().await.is_empty());
}

/// Silence, dripping headers and half a head all end at the timeout, and the request may have arrived.
#[tokio::test]
async fn a_hang_is_cut_at_the_timeout() {
    for reply in [
        Reply::Hang,
        Reply::ThenHang(b"HTTP/1.1 200 OK\r\nX-Half".to_vec()),
    ] {
        let recorder = Recorder::answering(vec![reply]).await;
        let outcome = attempt(WebhookConfig {
            timeout: Duration::from_millis(300),
            ..config(&recorder.url("/"))
        })
        .await;
        let lost = Attempted::NoAnswer {
            reason: "timed out".into(),
            reached: true,
        };
        assert_eq!(outcome, lost);
        assert_eq!(
            recorder.requests().await.len(),
            1,
            "one attempt is one request"
        );
    }
}

/// The head is the answer: neither an endless body nor one that never comes takes it back.
#[tokio::test]
async fn an_endless_reply_is_cut() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n".to_vec();
    for reply in [Reply::ThenFlood(head.clone()), Reply::ThenHang(head)] {
        let recorder = Recorder::answering(vec![reply]).await;
        assert_eq!(attempt(config(&recorder.url("/"))).await, answered(200));
    }
}

#[tokio::test]
async fn a_connection_that_never_was_did_not_reach_anybody() {
    for url in [
        format!("http://{}/CANARY", free_address()),
        // Plain text where TLS is expected.
        {
            let recorder = Recorder::answering(vec!["HTTP/1.1 400 Bad\r\n\r\n".into()]).await;
            recorder.url("/CANARY").replace("http:", "https:")
        },
        "http://no-such-host.invalid/CANARY".to_owned(),
    ] {
        let outcome = attempt(config(&url)).await;
        let Attempted::NoAnswer {
            reason,
            reached: false,
        } = outcome
        else {
            panic!("{url}: {outcome:?}");
        };
        assert!(!reason.contains("CANARY") && !reason.is_empty(), "{reason}");
    }
}

/// A lost answer says nothing of where the request went or what was in it.
#[tokio::test]
async fn secrets_are_in_no_text() {
    let recorder = Recorder::answering(vec![Reply::Close, "HTTP/1.1 junk\r\n\r\n".into()]).await;
    let url = recorder
        .url("/CANARY?key=CANARY")
        .replace("http://", "http://u:CANARY@");
    let config = WebhookConfig {
        secret: Some(Secret::new("whsec_CANARYCANARY CANARY")),
        headers: vec![("Authorization".into(), Secret::new("Bearer CANARY"))],
        ..config(&url)
    };
    let webhook = Webhook::new(&config).unwrap();
    let mut text = format!(
        "{config:?} {webhook:?} {} {:?}",
        webhook.url(),
        webhook.url()
    );
    for _ in 0..2 {
        let outcome = attempt_at(&webhook, now()).await;
        assert!(
            matches!(outcome, Attempted::NoAnswer { reached: true, .. }),
            "{outcome:?}"
        );
        text += &format!(" {outcome:?}");
    }
    assert!(!text.contains("CANARY"), "{text}");
    assert!(text.contains("http://127.0.0.1:"), "{text}");
}

/// An image without certificates: the built-in roots serve. The variable is read when a client is built, so the test
/// runs itself again with it set.
#[test]
fn without_system_certificates_the_built_in_ones_serve() {
    if std::env::var_os("SSL_CERT_FILE").is_some_and(|file| file == "/nonexistent") {
        Webhook::new(&config("https://deploy.example.com/")).unwrap();
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "webhook::without_system_certificates_the_built_in_ones_serve",
        ])
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

/// Proxies of the environment are for people's browsers, not for a rollback.
#[test]
fn the_environments_proxy_is_not_used() {
    const VARIABLES: [&str; 3] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY"];
    const PROXY: &str = "http://127.0.0.1:1";
    if std::env::var("http_proxy").is_ok_and(|proxy| proxy == PROXY) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let recorder = Recorder::answering(vec!["HTTP/1.1 200 OK\r\n\r\n".into()]).await;
            assert_eq!(attempt(config(&recorder.url("/"))).await, answered(200));
        });
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "webhook::the_environments_proxy_is_not_used"])
        .envs(VARIABLES.map(|name| (name, PROXY)))
        .env_remove("REQUEST_METHOD")
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

/// Answers each question with the next list of addresses, the last one for ever.
struct Rebinding {
    answers: Vec<Vec<&'static str>>,
    asked: std::sync::atomic::AtomicUsize,
    port: u16,
}

impl Resolve for Rebinding {
    fn resolve(&self, _: Name) -> Resolving {
        let turn = self.asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let answer = self.answers[turn.min(self.answers.len() - 1)].clone();
        let port = self.port;
        Box::pin(async move {
            let addresses = answer.into_iter();
            let addresses = addresses.map(move |it| SocketAddr::new(it.parse().unwrap(), port));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// Checked is what is connected to: a name that was harmless a moment ago is refused when it leads to the metadata
/// service, and of several addresses only the allowed ones are used.
#[tokio::test]
async fn w14_a_name_that_rebinds_to_a_link_local_address_is_not_followed() {
    let recorder = Recorder::answering(vec!["HTTP/1.1 200 OK\r\n\r\n".into()]).await;
    let port = recorder.address.port();
    let resolver = Rebinding {
        answers: vec![
            vec!["127.0.0.1"],
            vec!["169.254.169.254"],
            vec!["::ffff:169.254.169.254", "fe80::1"],
            vec!["169.254.169.254", "127.0.0.1"],
        ],
        asked: 0.into(),
        port,
    };
    let config = config(&format!("http://deploy.example.com:{port}/CANARY"));
    let webhook = Webhook::resolving(&config, Some(Arc::new(resolver))).unwrap();
    assert_eq!(attempt_at(&webhook, now()).await, answered(200));
    for address in ["169.254.169.254", "fe80::1"] {
        let outcome = attempt_at(&webhook, now()).await;
        let Attempted::NoAnswer {
            reason,
            reached: false,
        } = outcome
        else {
            panic!("{outcome:?}");
        };
        assert!(
            reason.contains(address) && reason.contains("`deny_cidr` forbids"),
            "{reason}"
        );
        assert!(!reason.contains("CANARY"), "{reason}");
    }
    assert_eq!(attempt_at(&webhook, now()).await, answered(200));
    assert_eq!(recorder.requests().await.len(), 2);
}

#[test]
fn w14_an_address_that_is_forbidden_is_refused_when_it_is_configured() {
    for url in [
        "http://169.254.169.254/CANARY",
        "http://2852039166/CANARY",
        "http://[fe80::1]/CANARY",
    ] {
        let error = Webhook::new(&config(url)).unwrap_err().to_string();
        assert!(
            error.contains("deny_cidr") && !error.contains("CANARY"),
            "{error}"
        );
        let allowed = WebhookConfig {
            deny: DenyList(Vec::new()),
            ..config(url)
        };
        assert!(Webhook::new(&allowed).is_ok());
    }
}

/// The specification's own example, and what a receiver with the old or the new key makes of it.
#[tokio::test]
async fn w16_signatures_are_those_of_the_specification_for_every_key() {
    const BODY: &str = r#"{"test": 2432232314}"#;
    let recorder = Recorder::answering(vec!["HTTP/1.1 200 OK\r\n\r\n".into()]).await;
    let webhook = Webhook::new(&WebhookConfig {
        secret: Some(Secret::new(format!(
            "{ONE_KEY}\nwhsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n"
        ))),
        ..config(&recorder.url("/"))
    });
    let key = DeliveryKey("msg_p5jXN8AQM9LWM0D4loKWxJek".into());
    let decision = DecisionId("dec_1".into());
    let at = Timestamp::from_millis(1_614_265_330_000);
    webhook
        .unwrap()
        .attempt(&key, &decision, Bytes::from_static(BODY.as_bytes()), at)
        .await;
    let signature = recorder.requests().await[0].header("webhook-signature");
    let (first, second) = signature.split_once(' ').unwrap();
    assert_eq!(first, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    let reference = standardwebhooks::Webhook::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    let expected = reference
        .unwrap()
        .sign(key.as_str(), 1_614_265_330, BODY.as_bytes());
    assert_eq!(second, expected.unwrap());
}

/// W17: a receiver whose clock differs refuses the signature. What it answers is told, and how far its clock is away
/// stands in a metric; W7: a wait that is asked for comes with it.
#[tokio::test]
async fn w7_w17_a_refusal_and_what_it_asks_for_are_told() {
    for (head, status, wait) in [
        ("401 No\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT", 401, None),
        ("429 Later\r\nRetry-After: 7", 429, Some(7)),
        ("429 Later\r\nRetry-After: 999999", 429, Some(3600)),
        ("429 Later\r\nRetry-After: -1", 429, Some(1)),
        ("429 Later\r\nRetry-After: soon", 429, None),
    ] {
        let reply = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
        let recorder = Recorder::answering(vec![reply.into()]).await;
        let expected = Attempted::Answered {
            status,
            retry_after: wait.map(Duration::from_secs),
        };
        assert_eq!(
            attempt(config(&recorder.url("/"))).await,
            expected,
            "{head}"
        );
    }
}

/// Ids are made by gated; one that held a line break would still reach no header.
#[tokio::test]
async fn w13_a_line_break_cannot_get_into_a_header() {
    let recorder = Recorder::answering(vec!["HTTP/1.1 200 OK\r\n\r\n".into()]).await;
    let webhook = Webhook::new(&config(&recorder.url("/"))).unwrap();
    for (key, decision) in [("msg\r\nx: 1", "dec_1"), ("msg_1", "dec\nx: 1")] {
        let (key, decision) = (DeliveryKey(key.into()), DecisionId(decision.into()));
        let outcome = webhook.attempt(&key, &decision, Bytes::new(), now()).await;
        assert!(
            matches!(outcome, Attempted::NoAnswer { reached: false, .. }),
            "{outcome:?}"
        );
    }
    assert!(recorder.requests().await.is_empty());
}

/// As the dry run says it, not as a library prints it.
#[tokio::test]
async fn why_a_certificate_is_refused_is_said_with_the_way_out() {
    let own = Signed::by_itself("localhost", rcgen::IsCa::ExplicitNoCa);
    let url = scrape_tls::serve("localhost", &own, None);
    let Attempted::NoAnswer {
        reached: false,
        reason,
    } = attempt(config(&url)).await
    else {
        panic!("somebody answered");
    };
    let says = ": its certificate comes from an authority that is not trusted here: name that authority in `ca_file`";
    assert!(reason.ends_with(says), "{reason}");
}
