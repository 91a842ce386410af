//! HTTP on a real socket, with a desk that answers as told.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod incidents;

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use gated::engine::Answer;
use gated::engine::Answered;
use gated::engine::Call;
use gated::engine::Question;
use gated::engine::Refusal;
use gated::engine::Snapshot;
use gated::engine::Told;
use gated::model::RolloutEnd;
use gated::model::RolloutId;
use gated::model::Status;
use gated::model::Verdict;
use gated::run::cli::Cli;
use gated::run::cli::Rollout;
use gated::run::remote::Daemon;
use gated::run::remote::RemoteError;
use gated::serve;
use gated::serve::ActError;
use gated::serve::AskFailure;
use gated::serve::Desk;
use gated::serve::Service;
use gated::serve::Token;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use crate::show::EVIL;
use crate::show::at;
use crate::show::decision;
use crate::show::rollout;
use crate::show::sample;

pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Answers as told and remembers what it was asked.
pub struct Fake {
    pub answer: Mutex<Result<Answer, ActError>>,
    pub calls: Mutex<Vec<Call>>,
    broken: Mutex<Option<String>>,
    posts: Mutex<Vec<gated::engine::AlertPost>>,
}

impl Desk for Fake {
    fn act(&self, call: Call) -> BoxFuture<'_, Result<Answer, ActError>> {
        self.calls.lock().unwrap().push(call);
        let answer = self.answer.lock().unwrap().clone();
        Box::pin(async { answer })
    }

    fn ask(
        &self,
        question: Question,
        _: Option<Duration>,
    ) -> BoxFuture<'_, Result<Answered, AskFailure>> {
        let told = Told::Text(gated::model::Timestamp::EPOCH, format!("{question:?}"));
        Box::pin(async { Ok(told.into()) })
    }

    fn receive(&self, post: gated::engine::AlertPost) -> BoxFuture<'_, Result<(), ActError>> {
        let broken = self.broken.lock().unwrap().is_some();
        self.posts.lock().unwrap().push(post);
        let answer = if broken {
            Err(ActError::Unavailable)
        } else {
            Ok(())
        };
        Box::pin(async { answer })
    }

    fn read_page(&self, page: &[u8], _: bool) -> Result<Vec<gated::engine::Observed>, String> {
        let text = String::from_utf8_lossy(page);
        Err(format!("not read here: {text}"))
    }

    fn report(
        &self,
        kind: gated::report::Kind,
        date: Option<String>,
    ) -> BoxFuture<'_, Result<gated::report::Report, gated::serve::Unreported>> {
        let told = gated::serve::Unreported::Asked(format!("{kind:?} {date:?}"));
        Box::pin(async { Err(told) })
    }

    fn reload(&self) -> BoxFuture<'_, Result<(), String>> {
        let broken = self.broken.lock().unwrap().clone();
        Box::pin(async { broken.map_or(Ok(()), Err) })
    }

    fn ready(&self) -> Result<(), String> {
        self.broken.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

pub struct House {
    pub address: SocketAddr,
    server: serve::Server,
    pub desk: Arc<Fake>,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
}

pub async fn house() -> House {
    let created = true;
    let answer = Ok(Answer::Rollout {
        rollout: Box::new(rollout("r/2", None)),
        created,
    });
    let desk = Arc::new(Fake {
        answer: Mutex::new(answer),
        calls: Mutex::default(),
        broken: Mutex::default(),
        posts: Mutex::default(),
    });
    let snapshot = Arc::new(ArcSwap::from_pointee(sample()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = Service {
        snapshot: Arc::clone(&snapshot),
        desk: Arc::clone(&desk) as Arc<dyn Desk>,
        token: Token::new(TOKEN).unwrap(),
        now: Arc::new(|| at(10)),
        stale_after: Duration::from_secs(60),
        hosts: vec!["gated.example.com".into()],
    };
    let server = serve::start(listener, service).unwrap();
    House {
        address: server.address(),
        server,
        desk,
        snapshot,
    }
}

impl House {
    pub fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = sample();
        change(&mut snapshot);
        self.snapshot.store(Arc::new(snapshot));
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "").await
    }

    pub async fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
        let host = headers
            .iter()
            .any(|header| header.to_lowercase().starts_with("host:"));
        let host = if host { "" } else { "Host: localhost\r\n" };
        let more: String = headers.iter().flat_map(|header| [header, "\r\n"]).collect();
        let head = format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{more}");
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        self.raw(&format!("{head}{length}\r\n{body}")).await
    }

    /// A write with the right token.
    pub async fn write(&self, method: &str, path: &str, body: &str) -> Reply {
        let token = format!("Authorization: Bearer {TOKEN}");
        self.ask(
            method,
            path,
            &[&token, "Content-Type: application/json"],
            body,
        )
        .await
    }

    async fn raw(&self, text: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // A server that refuses early may close while the rest is still being sent.
        let _ = stream.write_all(text.as_bytes()).await;
        read(stream).await
    }
}

/// Reads to the end of the connection. A reset after the answer is an end, too.
async fn read(mut stream: TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(1..) = stream
        .read(&mut piece)
        .await
        .inspect(|n| bytes.extend_from_slice(&piece[..*n]))
    {}
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text.as_str(), ""));
    let code = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    Reply {
        code,
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

#[derive(Debug)]
pub struct Reply {
    /// 0 when the server closed without an answer.
    pub code: u16,
    /// In lower case.
    head: String,
    pub body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// `error` and its kind, after a look at the whole envelope.
    fn error(&self) -> (u16, String) {
        let json = self.json();
        assert_eq!(json["status"], "error", "{self:?}");
        assert!(
            json["error"].as_str().is_some_and(|text| !text.is_empty()),
            "{self:?}"
        );
        assert_eq!(json.as_object().unwrap().len(), 3);
        (self.code, json["errorType"].as_str().unwrap().to_owned())
    }
}

fn error(code: u16, kind: &str) -> (u16, String) {
    (code, kind.to_owned())
}

#[tokio::test]
async fn health_and_readiness() {
    let house = house().await;
    for path in ["/-/healthy", "/livez", "/-/ready", "/readyz"] {
        assert_eq!(house.get(path).await.code, 200, "{path}");
        let head = house.ask("HEAD", path, &[], "").await;
        assert_eq!((head.code, head.body.as_str()), (200, ""), "{path}");
    }
    *house.desk.broken.lock().unwrap() = Some("the store is not open".into());
    assert_eq!(house.get("/-/healthy").await.code, 200);
    for path in ["/-/ready", "/readyz"] {
        let reply = house.get(path).await;
        assert_eq!(
            (reply.code, reply.body.as_str()),
            (503, "the store is not open\n")
        );
    }
}

#[tokio::test]
async fn the_gate_answers_by_status() {
    let house = house().await;
    for (verdict, status, code) in [
        (Verdict::Go, Status::Green, 200),
        (Verdict::Go, Status::Amber, 200),
        (Verdict::NoGo, Status::Red, 403),
        (Verdict::Unknown, Status::Unknown, 503),
    ] {
        house.change(|it| {
            let state = Arc::make_mut(&mut it.verdict);
            (state.verdict, state.status) = (verdict, status);
        });
        let gate = house.get("/gate").await;
        assert_eq!(gate.code, code, "{verdict}");
        assert_eq!(
            gate.head.contains("retry-after: 5"),
            code == 503,
            "{}",
            gate.head
        );
        let read = house.get("/api/v1/verdict").await;
        assert_eq!((read.code, &read.body), (200, &gate.body));
        let json = gate.json();
        assert_eq!(json["verdict"], verdict.word());
        assert_eq!(
            (json["ok"].as_bool(), json["fail"].as_bool()),
            (Some(code == 200), Some(code == 403))
        );
        assert_eq!(house.ask("HEAD", "/gate", &[], "").await.code, code);
    }
}

#[tokio::test]
async fn the_gate_is_shut_before_and_long_after_an_evaluation() {
    let house = house().await;
    for evaluated in [None, Some(at(-51))] {
        house.change(|it| {
            let state = Arc::make_mut(&mut it.verdict);
            (state.verdict, state.status) = (Verdict::Go, Status::Green);
            state.evaluated_at = evaluated;
        });
        let reply = house.get("/gate").await;
        assert_eq!(reply.code, 503, "{evaluated:?}");
        assert!(reply.head.contains("retry-after: 5"));
        assert_eq!(reply.json()["verdict"], "unknown");
        assert_eq!(house.get("/api/v1/verdict").await.json()["ok"], false);
        assert!(
            house
                .get("/metrics")
                .await
                .body
                .contains("gated_verdict{verdict=\"go\"} 0\n")
        );
    }
    house.change(|it| {
        let state = Arc::make_mut(&mut it.verdict);
        (state.verdict, state.evaluated_at) = (Verdict::Go, Some(at(-50)));
    });
    assert_eq!(house.get("/gate").await.code, 200);
}

#[tokio::test]
async fn the_verdict_has_exactly_the_pinned_keys_and_no_nan() {
    let house = house().await;
    let reply = house.get("/api/v1/verdict").await;
    assert!(reply.head.contains("content-type: application/json"));
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let json = reply.json();
    assert_eq!(
        keys(&json),
        "checks evaluated_at fail ok phase reasons scrapes service status verdict would_fire"
    );
    assert_eq!(
        keys(&json["scrapes"][0]),
        "duration_seconds error job samples target up"
    );
    assert_eq!(
        keys(&json["checks"][0]),
        "condition name outcome reading reason role signal unit value"
    );
    assert_eq!(keys(&json["would_fire"][0]), "because do hook refused_by");
    let fire = json!([{ "do": "rollback", "hook": "deployer", "because": ["latency"], "refused_by": "shadow" }]);
    assert_eq!(json["would_fire"], fire);
    assert_eq!(
        (&json["checks"][0]["value"], &json["checks"][6]["value"]),
        (&json!(0.62), &Value::Null)
    );
    assert!(json["scrapes"][0]["error"].is_null() && json["scrapes"][0]["up"] == true);
    assert!(
        json["scrapes"][1]["error"]
            .as_str()
            .unwrap()
            .starts_with("malformed: line 3")
    );
    for body in [&reply.body, &house.get("/api/v1/rollouts").await.body] {
        assert!(!body.contains("NaN") && !body.contains("nfinity"), "{body}");
    }
}

#[tokio::test]
async fn rollouts_are_listed_started_and_finished() {
    let house = house().await;
    let list = house.get("/api/v1/rollouts").await.json();
    assert_eq!(list["status"], "success");
    let ids: Vec<_> = list["data"]["rollouts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["id"])
        .collect();
    assert_eq!(ids, ["r1", "r/2"]);
    assert_eq!(list["data"]["rollouts"][0]["end"], "finished");

    let whole = r#"{"version":"2","previous_version":"1","irreversible":true,"started_at":"2026-12-01T01:00:00+01:00","id":"p-7"}"#;
    let reply = house.write("POST", "/api/v1/rollouts", whole).await;
    assert_eq!(
        (reply.code, &reply.json()["data"]["id"]),
        (201, &json!("r/2"))
    );
    *house.desk.answer.lock().unwrap() = Ok(Answer::Rollout {
        rollout: Box::new(rollout("p-7", None)),
        created: false,
    });
    assert_eq!(
        house
            .write("POST", "/api/v1/rollouts", r#"{"version":"2"}"#)
            .await
            .code,
        200
    );
    let end = Some((at(1), RolloutEnd::Finished));
    *house.desk.answer.lock().unwrap() = Ok(Answer::Rollout {
        rollout: Box::new(rollout("r/2", end)),
        created: false,
    });
    let finished = house
        .write("POST", "/api/v1/rollouts/r%2F2/finish", "")
        .await;
    assert_eq!(
        (finished.code, &finished.json()["data"]["end"]),
        (200, &json!("finished"))
    );

    let start =
        |id: Option<&str>, previous: Option<&str>, started_at, irreversible| Call::StartRollout {
            id: id.map(|id| RolloutId(id.into())),
            version: "2".into(),
            previous_version: previous.map(Into::into),
            started_at,
            irreversible,
        };
    let told = Some("2026-12-01T00:00:00Z".parse().unwrap());
    assert_eq!(
        *house.desk.calls.lock().unwrap(),
        [
            start(Some("p-7"), Some("1"), told, true),
            start(None, None, None, false),
            Call::FinishRollout(RolloutId("r/2".into())),
        ]
    );
}

#[tokio::test]
async fn what_names_a_rollout_is_one_short_line() {
    let house = house().await;
    let long = "x".repeat(257);
    for (body, expected) in [
        (json!({"version": " "}), "version may not be empty"),
        (
            json!({"version": long}),
            "version has 257 bytes; 256 at most",
        ),
        (
            json!({"version": "2\n3"}),
            "may not contain control characters",
        ),
        (json!({"version": "2", "id": ""}), "id may not be empty"),
        (
            json!({"version": "2", "previous_version": "\u{1b}[31m"}),
            "previous_version may not contain",
        ),
    ] {
        let reply = house
            .write("POST", "/api/v1/rollouts", &body.to_string())
            .await;
        assert_eq!(reply.error(), error(400, "bad_data"), "{body}");
        let text = reply.json()["error"].as_str().unwrap().to_owned();
        assert!(text.contains(expected), "{body}: {text}");
    }
    assert!(house.desk.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_the_engine_refuses_has_its_own_status() {
    let house = house().await;
    for (refusal, expected) in [
        (
            ActError::Refused(Refusal::NoSuchRollout("x".into())),
            error(404, "not_found"),
        ),
        (
            ActError::Refused(Refusal::Conflict("it is over".into())),
            error(409, "conflict"),
        ),
        (
            ActError::Refused(Refusal::Invalid("not yet".into())),
            error(400, "bad_data"),
        ),
        (ActError::Store, error(503, "store")),
        (ActError::Unavailable, error(503, "unavailable")),
    ] {
        *house.desk.answer.lock().unwrap() = Err(refusal);
        assert_eq!(
            house
                .write("POST", "/api/v1/rollouts/x/finish", "")
                .await
                .error(),
            expected
        );
        assert_eq!(
            house
                .write("POST", "/api/v1/rollouts", r#"{"version":"2"}"#)
                .await
                .error(),
            expected
        );
    }
}

#[tokio::test]
async fn writers_need_the_token() {
    let house = house().await;
    let body = r#"{"version":"2"}"#;
    let json = "Content-Type: application/json";
    for (method, path) in [
        ("POST", "/api/v1/rollouts"),
        ("POST", "/api/v1/rollouts/x/finish"),
        ("POST", "/api/v1/incidents/x/ack"),
        ("POST", "/-/reload"),
        ("PUT", "/-/reload"),
    ] {
        let cookie = format!("Cookie: token={TOKEN}");
        let query = format!("{path}?token={TOKEN}");
        for (path, header) in [
            (path, "X-Nothing: 1"),
            (path, "Authorization: Bearer wrong"),
            (path, "Authorization: Bearer "),
            (path, cookie.as_str()),
            (query.as_str(), "X-Nothing: 1"),
        ] {
            let reply = house.ask(method, path, &[header, json], body).await;
            assert_eq!(
                reply.error(),
                error(401, "unauthorized"),
                "{method} {path} {header}"
            );
            assert!(reply.head.contains("www-authenticate: bearer"));
            assert!(!reply.body.contains(TOKEN));
        }
        let right = format!("Authorization: Bearer {TOKEN}");
        let foreign = house
            .ask(
                method,
                path,
                &[&right, json, "Sec-Fetch-Site: cross-site"],
                body,
            )
            .await;
        assert_eq!(foreign.error(), error(403, "forbidden"));
    }
    assert_eq!(*house.desk.calls.lock().unwrap(), []);
}

#[tokio::test]
async fn alertmanagers_posts_are_taken_with_the_token_alone_and_only_garbage_is_refused_for_good() {
    let house = house().await;
    let path = "/api/v1/alerts/receive";
    let body = r#"{"groupKey":"g","alerts":[{"labels":{"alertname":"A"},"status":"firing","fingerprint":"f"}]}"#;
    assert_eq!(house.ask("POST", path, &[], body).await.code, 401);
    assert!(house.desk.posts.lock().unwrap().is_empty());
    assert_eq!(house.write("POST", path, body).await.code, 200);
    // The content type is Alertmanager's business.
    let token = format!("Authorization: Bearer {TOKEN}");
    assert_eq!(house.ask("POST", path, &[&token], body).await.code, 200);
    let posts = house.desk.posts.lock().unwrap().clone();
    assert_eq!(
        (posts.len(), posts[0].alerts[0].fingerprint.as_str()),
        (2, "f")
    );
    assert_eq!(house.write("POST", path, "[1").await.code, 400);
    // More than any other writer may send.
    let long = body.replace("\"A\"", &format!("\"{}\"", "x".repeat(1 << 20)));
    assert_eq!(house.write("POST", path, &long).await.code, 200);
    *house.desk.broken.lock().unwrap() = Some("stopping".into());
    assert_eq!(house.write("POST", path, body).await.code, 503);
    assert_eq!(house.get(path).await.code, 405);
}

#[tokio::test]
async fn reload_tells_every_fault() {
    let house = house().await;
    for method in ["POST", "PUT"] {
        assert_eq!(house.write(method, "/-/reload", "").await.code, 200);
    }
    *house.desk.broken.lock().unwrap() =
        Some("error: unknown key `tagets`\n --> gated.toml:3:1".into());
    let reply = house.write("POST", "/-/reload", "").await;
    assert_eq!(reply.error(), error(400, "bad_data"));
    assert!(
        reply.json()["error"]
            .as_str()
            .unwrap()
            .contains("gated.toml:3:1")
    );
    assert_eq!(
        house.get("/-/reload").await.error(),
        error(405, "bad_method")
    );
}

#[tokio::test]
async fn bodies_that_are_not_right_are_refused() {
    let house = house().await;
    let path = "/api/v1/rollouts";
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"version":2}"#,
        r#"{"version":""}"#,
        r#"{"version":" "}"#,
        r#"{"version":"2","id":""}"#,
        r#"{"version":"2","verison":"3"}"#,
        r#"{"version":"2","started_at":"soon"}"#,
        r#"{"version":"2"} x"#,
        "\u{feff}{}",
    ] {
        assert_eq!(
            house.write("POST", path, body).await.error(),
            error(400, "bad_data"),
            "{body}"
        );
    }
    let large = format!(r#"{{"version":"{}"}}"#, "x".repeat(70_000));
    assert_eq!(
        house.write("POST", path, &large).await.error(),
        error(413, "bad_data")
    );
    let token = format!("Authorization: Bearer {TOKEN}");
    let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let kind = "Content-Type: application/json";
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{token}\r\n{kind}\r\n"
    );
    let chunked = house
        .raw(&format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}"))
        .await;
    assert_eq!(chunked.error(), error(413, "bad_data"));
    for kind in [
        "X-No: kind",
        "Content-Type: text/plain",
        "Content-Type: application/x-www-form-urlencoded",
    ] {
        let reply = house
            .ask("POST", path, &[&token, kind], r#"{"version":"2"}"#)
            .await;
        assert_eq!(reply.error(), error(415, "bad_data"), "{kind}");
    }
    assert_eq!(*house.desk.calls.lock().unwrap(), []);
    let charset = "Content-Type: Application/JSON; charset=utf-8";
    let reply = house
        .ask("POST", path, &[&token, charset], r#"{"version":"2"}"#)
        .await;
    assert_eq!(reply.code, 201);
}

#[tokio::test]
async fn paths_methods_and_hosts_that_are_not_served() {
    let house = house().await;
    for path in [
        "/nothing",
        "/api/v1",
        "/api/v1/decisions/no",
        "/api/v1/decisions/dec_1/",
        "//gate",
        "/..%2fetc%2fpasswd",
        "/%00",
    ] {
        assert_eq!(
            house.get(path).await.error(),
            error(404, "not_found"),
            "{path}"
        );
    }
    // What is no text names nothing.
    for path in ["/api/v1/decisions/%ff", "/api/v1/label/%ff/values"] {
        let refused = house.get(path).await.error();
        assert_eq!(refused, error(400, "bad_data"), "{path}");
    }
    for (method, path) in [
        ("DELETE", "/gate"),
        ("POST", "/gate"),
        ("TRACE", "/"),
        ("PATCH", "/api/v1/rollouts"),
        ("GET", "/api/v1/rollouts/x/finish"),
    ] {
        let reply = house.ask(method, path, &[], "").await;
        assert_eq!(reply.error(), error(405, "bad_method"), "{method} {path}");
        assert!(reply.head.contains("\r\nallow: "), "{}", reply.head);
    }
    for (host, code) in [
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1:1", 200),
        ("gated.example.com", 200),
    ] {
        assert_eq!(
            house
                .ask("GET", "/gate", &[&format!("Host: {host}")], "")
                .await
                .code
                == 421,
            code == 421,
            "{host}"
        );
    }
    let many = "X-Many: 1\r\n".repeat(200);
    let long = "x".repeat(70_000);
    for (head, code) in [
        (format!("GET /gate HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"), 431),
        (format!("GET /gate HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n"), 431),
        (format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"), 414),
        ("GET /gate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".into(), 400),
        ("GET /gate\r\n\r\n".into(), 400),
        ("\u{16}\u{3}\u{1}\r\n\r\n".into(), 400),
    ] {
        let shown = &head[..40.min(head.len())];
        assert!([code, 431].contains(&house.raw(&head).await.code), "{shown:?}");
    }
}

#[tokio::test]
async fn decisions_come_with_their_explanation() {
    let house = house().await;
    let list = house.get("/api/v1/decisions").await.json();
    let one = house.get("/api/v1/decisions/dec_1").await.json();
    let listed = &list["data"]["decisions"][0];
    let mut own = one["data"].clone();
    // The explanation's keys stand beside those of the list.
    let more = ["audit", "later", "rollout_detail", "verification"];
    own.as_object_mut()
        .unwrap()
        .retain(|key, _| !more.contains(&key.as_str()));
    assert_eq!(*listed, own);
    assert_eq!(
        (&one["data"]["verification"], &one["data"]["audit"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(one["data"]["rollout_detail"]["id"], "r/2");
    assert_eq!(
        own,
        json!({
            "id": "dec_1", "at": "2027-01-15T07:59:55.000Z", "do": "escalate", "asked": "rollback", "refused_by": "shadow",
            "trigger": "latency", "rollout": "r/2", "phase": "deployment", "severity": "P1", "signal": "api_latency_p95",
            "value": 0.62, "unit": "seconds", "condition": "> 500ms", "expr": "histogram_quantile(0.95, x)",
            "held_for_seconds": 30.0, "reason": format!("latency: {EVIL}"),
            "guards": [{ "guard": "no_rollout", "passed": true, "note": "r/2" }],
            "deliveries": [{
                "id": "msg_1", "receiver": "slack", "type": "gated.escalation.raised", "created_at": "2027-01-15T07:59:55.000Z",
                "attempts": 2, "last_error": "503", "state": "owed", "next_at": "2027-01-15T08:00:03.000Z",
                "settled_at": null, "status": null, "why": null, "attempt_log": []
            }]
        })
    );
}

#[tokio::test]
async fn targets_are_prometheus_shaped() {
    let house = house().await;
    let json = house.get("/api/v1/targets").await.json();
    assert_eq!(
        (&json["status"], &json["data"]["droppedTargets"]),
        (&json!("success"), &json!([]))
    );
    let targets = json["data"]["activeTargets"].as_array().unwrap();
    let health: Vec<_> = targets
        .iter()
        .map(|it| it["health"].as_str().unwrap())
        .collect();
    assert_eq!(health, ["up", "down", "unknown"]);
    assert_eq!(
        targets[1]["lastError"],
        format!("malformed: line 3: {EVIL}")
    );
    assert_eq!(
        targets[0]["labels"],
        json!({ "job": "api", "instance": "10.0.0.1:8080" })
    );
    assert_eq!(targets[0]["scrapeUrl"], "http://10.0.0.1:8080/metrics");
    assert_eq!(
        (
            &targets[0]["lastScrapeDuration"],
            &targets[0]["scrapeInterval"]
        ),
        (&json!(0.004), &json!("5s"))
    );
    assert_eq!(targets[2]["lastScrape"], "0001-01-01T00:00:00Z");
}

#[tokio::test]
async fn the_page_runs_nothing() {
    let house = house().await;
    let reply = house.get("/").await;
    assert_eq!(reply.code, 200);
    assert!(
        !reply.body.contains("<script") && !reply.body.contains("onerror="),
        "{}",
        reply.body
    );
    assert!(
        reply.body.contains("&lt;script&gt;alert(&#39;1&#39;)"),
        "{}",
        reply.body
    );
    for text in [
        "no_go",
        "deployment",
        "api_latency_p95",
        "10.0.0.2:8080",
        "not armed",
        "never",
    ] {
        assert!(reply.body.contains(text), "{text}");
    }
    for header in [
        "content-security-policy: default-src 'none'",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
        "frame-ancestors 'none'",
    ] {
        assert!(reply.head.contains(header), "{}", reply.head);
        assert!(house.get("/gate").await.head.contains(header));
    }
}

#[tokio::test]
async fn metrics_are_what_promtool_accepts() {
    gated::serve::metrics::install();
    gated::source::metrics::describe();
    gated::sink::metrics::describe();
    metrics::counter!(gated::source::metrics::FAILURES, "reason" => "tests").increment(1);
    let house = house().await;
    let reply = house.get("/metrics").await;
    assert!(
        reply
            .head
            .contains("content-type: text/plain; version=0.0.4"),
        "{}",
        reply.head
    );
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool comes with Debian's package prometheus; tests/run installs it");
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(reply.body.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(
        output.status.success() && said.is_empty(),
        "{said}\n{}",
        reply.body
    );
    for line in [
        "gated_build_info{version=\"0.1.0\"} 1",
        "gated_verdict{verdict=\"no_go\"} 1",
        "gated_verdict{verdict=\"go\"} 0",
        "gated_status{status=\"red\"} 1",
        "gated_phase_info{phase=\"deployment\"} 1",
        "gated_signal{signal=\"api_latency_p95\",unit=\"seconds\"} 0.62",
        "gated_signal_reading{signal=\"cpu\",reading=\"stale\"} 1",
        "gated_signal_reading{signal=\"cpu\",reading=\"value\"} 0",
        "gated_threshold{signal=\"api_latency_p95\",phase=\"deployment\",role=\"trigger\",name=\"latency\",op=\">\"} 500",
        "ALERTS{alertname=\"slow\",service=\"api\",phase=\"deployment\",severity=\"P1\",series=\"\",alertstate=\"pending\"} 1",
        "gated_target_up{job=\"api\",instance=\"10.0.0.1:8080\"} 1",
        "gated_target_up{job=\"api\",instance=\"10.0.0.2:8080\"} 0",
        "gated_rule_evaluations_total 42",
        "gated_rule_evaluation_failures_total 1",
        "gated_samples_appended_total 9000",
        "gated_series 330",
        "gated_decisions_total{do=\"escalate\",refused_by=\"shadow\"} 1",
        "gated_decisions_total{do=\"rollback\",refused_by=\"\"} 0",
        "gated_deliveries{state=\"owed\"} 1",
        "gated_rollback_armed 0",
        "gated_scrape_failures_total{reason=\"tests\"} 1",
    ] {
        assert!(
            reply.body.lines().any(|it| it == line),
            "{line} is missing:\n{}",
            reply.body
        );
    }
    for absent in ["gated_signal{signal=\"cpu\"", "10.0.0.3:8080", "http://"] {
        assert!(!reply.body.contains(absent), "{absent}:\n{}", reply.body);
    }
}

#[tokio::test]
async fn decisions_are_counted_past_those_shown() {
    let house = house().await;
    let total = async || {
        let body = house.get("/metrics").await.body;
        let counted = body
            .lines()
            .filter(|it| it.starts_with("gated_decisions_total{"));
        let counts = counted.map(|it| it.rsplit_once(' ').unwrap().1.parse::<u32>().unwrap());
        counts.sum::<u32>().to_string()
    };
    assert_eq!(
        (total().await, total().await),
        ("1".to_owned(), "1".to_owned())
    );
    let show = |ids: &[&str]| {
        house.change(|it| {
            it.decisions = ids
                .iter()
                .map(|id| (Arc::new(decision(id)), Vec::new()))
                .collect();
        });
    };
    show(&["dec_1", "dec_2", "dec_3"]);
    assert_eq!(total().await, "3");
    show(&["dec_3", "dec_4"]);
    assert_eq!(total().await, "4");
}

#[tokio::test]
async fn half_open_clients_keep_nobody_out() {
    let house = house().await;
    let mut clients = Vec::new();
    for i in 0..500 {
        let mut client = TcpStream::connect(house.address).await.unwrap();
        if i % 2 == 0 {
            client
                .write_all(b"GET /gate HTTP/1.1\r\nHost: loc")
                .await
                .unwrap();
        }
        clients.push(client);
    }
    // Far below the header timeout: they make room at once, not when their time is up.
    let healthy = tokio::time::timeout(Duration::from_secs(2), house.get("/-/healthy"));
    assert_eq!(healthy.await.expect("an answer in time").code, 200);
    // The bound holds: the oldest were closed for it, well before their heads were due.
    let oldest = tokio::time::timeout(Duration::from_secs(2), read(clients.swap_remove(0)));
    assert_eq!(oldest.await.expect("closed to make room").code, 0);
    assert_eq!(house.get("/gate").await.code, 403);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_cut() {
    let house = house().await;
    let began = tokio::time::Instant::now();
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream
        .write_all(b"GET /gate HTTP/1.1\r\nHost: loc")
        .await
        .unwrap();
    assert_eq!(read(stream).await.code, 0);
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(5) && took < Duration::from_secs(6),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_cut() {
    let house = house().await;
    for (path, kind) in [
        ("/api/v1/rollouts", "application/json"),
        ("/api/v1/query", "application/x-www-form-urlencoded"),
    ] {
        let began = tokio::time::Instant::now();
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
             Content-Type: {kind}\r\nContent-Length: 100\r\n\r\n{{\"ver"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(read(stream).await.error(), error(408, "timeout"), "{path}");
        let took = began.elapsed();
        assert!(
            took >= Duration::from_secs(10) && took < Duration::from_secs(12),
            "{path}: {took:?}"
        );
    }
}

#[tokio::test]
async fn shutting_down_answers_what_was_asked_and_accepts_no_more() {
    let house = house().await;
    let idle = TcpStream::connect(house.address).await.unwrap();
    assert_eq!(house.get("/-/healthy").await.code, 200);
    let House {
        address, server, ..
    } = house;
    server.shutdown(Duration::from_secs(5)).await;
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(read(idle).await.code, 0);
}

fn rollout_command(arguments: &[&str]) -> Rollout {
    let whole = ["gated", "rollout"]
        .into_iter()
        .chain(arguments.iter().copied());
    match Cli::read(whole).unwrap().command {
        Some(gated::run::cli::Command::Rollout(command)) => command,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_command_line_talks_to_a_daemon() {
    let house = house().await;
    let daemon = Daemon::new(house.address).unwrap();
    let run = async |arguments: &[&str], token: &str| {
        let token = token.to_owned();
        daemon
            .rollout(&rollout_command(arguments), || Ok(token))
            .await
    };
    let started = run(
        &[
            "start",
            "--version",
            "2",
            "--id",
            "p-7",
            "--started-at",
            "1800000000",
        ],
        TOKEN,
    )
    .await
    .unwrap();
    assert!(
        started.contains("rollout  r/2\nversion  1.4.2 (after 1.4.1)\n"),
        "{started}"
    );
    assert!(
        started.contains("state    in progress, turned red\n"),
        "{started}"
    );
    run(&["finish"], TOKEN).await.unwrap();
    run(&["finish", "a/b c"], TOKEN).await.unwrap();
    let list = run(&["list"], "").await.unwrap();
    assert!(
        list.contains("state    finished 2027-01-15T07:59:00.000Z, turned red\n\nrollout  r/2\n"),
        "{list}"
    );
    let calls = house.desk.calls.lock().unwrap().clone();
    let Call::StartRollout {
        id,
        version,
        started_at,
        ..
    } = &calls[0]
    else {
        panic!("{calls:?}")
    };
    assert_eq!(
        (id, version.as_str(), *started_at),
        (&Some(RolloutId("p-7".into())), "2", Some(at(0)))
    );
    let finish = |id: &str| Call::FinishRollout(RolloutId(id.into()));
    assert_eq!(calls[1..], [finish("r/2"), finish("a/b c")]);

    assert!(matches!(
        run(&["finish"], "wrong").await,
        Err(RemoteError::Token { .. })
    ));
    *house.desk.answer.lock().unwrap() = Err(ActError::Store);
    assert!(run(&["finish"], TOKEN).await.unwrap_err().is_store());
    *house.desk.answer.lock().unwrap() =
        Err(ActError::Refused(Refusal::Conflict("it is over".into())));
    assert_eq!(
        run(&["finish"], TOKEN).await.unwrap_err().to_string(),
        "it is over"
    );
    house.change(|it| it.rollouts.clear());
    assert!(matches!(
        run(&["finish"], TOKEN).await,
        Err(RemoteError::NoRollout)
    ));
    assert_eq!(run(&["list"], "").await.unwrap(), "no rollout is known\n");

    house.server.shutdown(Duration::ZERO).await;
    let gone = run(&["list"], "").await.unwrap_err();
    assert!(matches!(gone, RemoteError::NoDaemon { .. }), "{gone:?}");
    assert!(gone.to_string().contains("start one with"), "{gone}");
}

/// A list is no object whose values stand in some order.
#[tokio::test]
async fn a_list_is_not_taken_for_an_object() {
    let house = house().await;
    for (path, body) in [
        ("/api/v1/rollouts", r#"["2.0.0"]"#),
        ("/api/v1/alerts/receive", r#"["4", "g", 0, []]"#),
    ] {
        let answer = house.write("POST", path, body).await;
        assert_eq!(answer.code, 400, "{path}: {}", answer.body);
        assert!(answer.body.contains("JSON object"), "{}", answer.body);
    }
    assert!(house.desk.calls.lock().unwrap().is_empty());
}
