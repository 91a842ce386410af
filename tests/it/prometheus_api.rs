//! Prometheus' HTTP API as the real binary answers it, asked by `promtool` and by hand.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

mod clients;
mod parameters;

use serde_json::{Value, json};

use crate::binary::{Daemon, House, RULES, config, eventually, told};
use crate::fault_server::{Answer, FaultServer};
use crate::peers::installed;

const PAGE: &str = "# TYPE broken gauge\nbroken 0\n# TYPE calls counter\ncalls_total{code=\"200\",path=\"/a\"} 7\ncalls_total{code=\"500\",path=\"/b\"} 2\n";

/// What a form's head says.
const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";

const GROUPS: &str = "groups:
- name: calls
  interval: 100ms
  rules:
  - record: calls:sum
    expr: sum(calls_total)
  - alert: Calls
    expr: calls_total > 1
    labels: {severity: warning}
    annotations: {summary: some}
  - alert: Fails
    expr: calls_total * on (job) calls_total
";

fn running() -> (House, Daemon, FaultServer) {
    over(FaultServer::always(Answer::Page(PAGE.to_owned())))
}

fn over(server: FaultServer) -> (House, Daemon, FaultServer) {
    let hook = "http://127.0.0.1:9/";
    let config = config(&[&server.url()], hook, &told("2")) + "[window]\nretain = \"10m\"\n";
    let house = House::new(&config, RULES);
    fs::write(house.path("rules.yml"), GROUPS).unwrap();
    let daemon = house.start();
    eventually("recorded", || {
        let told = daemon.get("/api/v1/query?query=calls:sum").json();
        told["data"]["result"] != json!([])
    });
    (house, daemon, server)
}

fn result(daemon: &Daemon, path: &str) -> Value {
    let reply = daemon.get(path);
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    let body = reply.json();
    assert_eq!(body["status"], "success", "{body}");
    body["data"].clone()
}

#[test]
fn queries_are_answered_in_prometheus_words() {
    let (_house, daemon, _server) = running();
    let vector = result(
        &daemon,
        "/api/v1/query?query=calls_total%7Bcode%3D%22500%22%7D",
    );
    let instance = vector["result"][0]["metric"]["instance"].clone();
    assert_eq!(
        vector["result"][0]["metric"],
        json!({"__name__": "calls_total", "code": "500", "path": "/b", "job": "shop", "instance": instance})
    );
    assert_eq!(vector["resultType"], "vector");
    assert_eq!(vector["result"][0]["value"][1], "2");
    for (query, kind, value) in [
        ("1%2B1", "scalar", json!("2")),
        ("1%2F0", "scalar", json!("+Inf")),
        ("%22a+b%22", "string", json!("a b")),
    ] {
        let told = result(&daemon, &format!("/api/v1/query?time=12.5&query={query}"));
        assert_eq!(
            told,
            json!({"resultType": kind, "result": [12.5, value]}),
            "{query}"
        );
    }
    let raw = result(&daemon, "/api/v1/query?query=calls:sum%5B1m%5D");
    assert_eq!(raw["resultType"], "matrix");
    assert_eq!(raw["result"][0]["values"][0][1], "9");
    // A form does as well as a query.
    let posted = daemon
        .ask("POST", "/api/v1/query", FORM, "query=calls%3Asum")
        .json();
    assert_eq!(posted["data"]["result"][0]["value"][1], "9");
    let now = posted["data"]["result"][0]["value"][0].as_f64().unwrap();
    let range = format!(
        "/api/v1/query_range?query=vector(time())&start={}&end={now}&step=1s",
        now - 10.0
    );
    let matrix = result(&daemon, &range);
    assert_eq!(matrix["resultType"], "matrix");
    let values = matrix["result"][0]["values"].as_array().unwrap();
    assert_eq!(values.len(), 11);
    let formatted = result(
        &daemon,
        "/api/v1/format_query?query=sum(calls_total)by(job)",
    );
    assert_eq!(formatted, "sum by (job) (calls_total)");
    let info = "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"broken\" (1:6)";
    eventually("a rate", || {
        let noted = daemon
            .get("/api/v1/query?query=rate(broken%5B1m%5D)")
            .json();
        noted["infos"] == json!([info])
    });
    let warned = daemon
        .get("/api/v1/query?query=quantile(2,calls_total)")
        .json();
    let warning = "PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)";
    assert_eq!(warned["warnings"], json!([warning]));
    let cut = daemon.get("/api/v1/query?query=calls_total&limit=1").json();
    assert_eq!(cut["data"]["result"].as_array().unwrap().len(), 1);
    assert_eq!(cut["warnings"], json!(["results truncated due to limit"]));
}

#[test]
fn metadata_is_what_the_pages_say() {
    let helped = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&helped);
    let server = FaultServer::start(move |_, _| {
        let help = if switch.load(Ordering::Relaxed) {
            "# HELP calls Asked \\n or \\\\not.\n"
        } else {
            ""
        };
        Answer::Page(PAGE.replace("# TYPE calls", &format!("{help}# TYPE calls")))
    });
    let (_house, daemon, _server) = over(server);
    let calls = json!([{"type": "counter", "help": "", "unit": ""}]);
    let broken = json!([{"type": "gauge", "help": "", "unit": ""}]);
    let all = result(&daemon, "/api/v1/metadata");
    assert_eq!(all, json!({"broken": broken, "calls": calls}));
    let one = result(&daemon, "/api/v1/metadata?metric=calls");
    assert_eq!(one, json!({"calls": calls}));
    let one = result(&daemon, "/api/v1/metadata?limit=1");
    assert_eq!(one, json!({"broken": broken}));
    let told = result(&daemon, "/api/v1/targets/metadata?metric=calls");
    assert_eq!(told[0]["target"]["job"], "shop", "{told}");
    assert_eq!(
        (&told[0]["metric"], &told[0]["type"]),
        (&json!("calls"), &json!("counter"))
    );
    let none = "/api/v1/targets/metadata?match_target=%7Bjob%3D%22other%22%7D";
    assert_eq!(result(&daemon, none), json!([]));
    assert_eq!(daemon.get("/api/v1/metadata?limit=few").status, 400);
    // The series are as they were; only what is said of them is new.
    helped.store(true, Ordering::Relaxed);
    eventually("the new help is shown", || {
        result(&daemon, "/api/v1/metadata")["calls"][0]["help"] == "Asked \n or \\not."
    });
}

#[test]
fn answers_are_squeezed_for_who_asks() {
    let (_house, daemon, _server) = running();
    for (path, holds) in [
        ("/api/v1/query?query=calls_total", "calls_total"),
        ("/api/v1/targets", "scrapeUrl"),
    ] {
        let mut stream = TcpStream::connect(daemon.address()).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert!(
            text.to_lowercase().contains("content-encoding: gzip"),
            "{text}"
        );
        let start = answer.windows(2).position(|it| it == [0x1f, 0x8b]).unwrap();
        let mut body = String::new();
        let mut gzip = flate2::read::GzDecoder::new(&answer[start..]);
        // The end of the chunk follows the end of the stream.
        gzip.read_to_string(&mut body).unwrap();
        assert!(body.contains(holds), "{body}");
    }
}

#[test]
fn what_is_wrong_is_said_as_prometheus_says_it() {
    let (_house, daemon, _server) = running();
    for (path, status, kind, says) in [
        ("/api/v1/query", 400, "bad_data", "\"query\""),
        ("/api/v1/query?query=sum(", 400, "bad_data", "never closed"),
        (
            "/api/v1/query?query=1&time=noon",
            400,
            "bad_data",
            "\"time\"",
        ),
        (
            "/api/v1/query?query=1&timeout=x",
            400,
            "bad_data",
            "\"timeout\"",
        ),
        (
            "/api/v1/query?query=1&limit=x",
            400,
            "bad_data",
            "\"limit\"",
        ),
        (
            "/api/v1/query?query=calls_total*on(job)calls_total",
            422,
            "execution",
            "many-to-many",
        ),
        (
            "/api/v1/query_range?query=1&start=0&end=1",
            400,
            "bad_data",
            "\"step\"",
        ),
        (
            "/api/v1/query_range?query=1&start=0&end=99999&step=1",
            400,
            "bad_data",
            "11,000 points",
        ),
        (
            "/api/v1/query_range?query=1&start=2&end=1&step=1",
            400,
            "bad_data",
            "must not be before",
        ),
        (
            "/api/v1/query_range?query=1&start=1&end=2&step=0",
            400,
            "bad_data",
            "zero or negative",
        ),
        ("/api/v1/series", 400, "bad_data", "match[]"),
        (
            "/api/v1/series?match[]=sum(a)",
            400,
            "bad_data",
            "series selector",
        ),
        ("/api/v1/rules?type=x", 400, "bad_data", "\"type\""),
    ] {
        let reply = daemon.get(path);
        let body = reply.json();
        assert_eq!(
            (reply.status, &body["errorType"]),
            (status, &kind.into()),
            "{path}: {body}"
        );
        assert!(
            body["error"].as_str().unwrap().contains(says),
            "{path}: {body}"
        );
    }
}

#[test]
fn rules_and_alerts_are_shown_with_their_health() {
    let (_house, daemon, _server) = running();
    eventually("the failure", || {
        let groups = result(&daemon, "/api/v1/rules");
        groups["groups"][0]["rules"][2]["health"] == "err"
    });
    let groups = result(&daemon, "/api/v1/rules");
    let calls = &groups["groups"][0];
    assert_eq!(
        (&calls["name"], &calls["interval"]),
        (&json!("calls"), &json!(0.1))
    );
    let rules = calls["rules"].as_array().unwrap();
    let seen: Vec<(&Value, &Value, &Value)> = rules
        .iter()
        .map(|rule| (&rule["type"], &rule["health"], &rule["state"]))
        .collect();
    assert_eq!(
        seen,
        [
            (&json!("recording"), &json!("ok"), &Value::Null),
            (&json!("alerting"), &json!("ok"), &json!("firing")),
            (&json!("alerting"), &json!("err"), &json!("inactive")),
        ]
    );
    assert!(
        rules[2]["lastError"]
            .as_str()
            .unwrap()
            .contains("many-to-many")
    );
    assert_eq!(groups["groups"][1]["rules"][0]["name"], "breakage");
    let narrowed = result(&daemon, "/api/v1/rules?type=record&rule_name[]=calls:sum");
    assert_eq!(narrowed["groups"].as_array().unwrap().len(), 1);
    let alerts = result(&daemon, "/api/v1/alerts");
    let alert = &alerts["alerts"][0];
    assert_eq!(
        (
            &alert["labels"]["alertname"],
            &alert["state"],
            &alert["value"]
        ),
        (&json!("Calls"), &json!("firing"), &json!("7e+00"))
    );
    assert_eq!(alert["annotations"], json!({"summary": "some"}));
    // A rule that fails leaves the verdict open.
    let verdict = daemon.verdict();
    assert_eq!(verdict["verdict"], "unknown", "{verdict}");
}

#[test]
fn promtool_asks_as_it_would_ask_prometheus() {
    let (_house, daemon, _server) = running();
    let url = format!("http://{}", daemon.address());
    let promtool = |arguments: &[&str]| {
        let said = Command::new(installed("promtool", "prometheus"))
            .arg("query")
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
        assert!(said.status.success(), "{arguments:?}: {text}");
        text
    };
    let instant = promtool(&["instant", &url, "sum by (code) (calls_total)"]);
    assert!(instant.contains("{code=\"200\"} => 7 @["), "{instant}");
    let range = promtool(&["range", "--step=1s", &url, "calls:sum"]);
    assert!(
        range.contains("calls:sum =>") && range.contains("9 @["),
        "{range}"
    );
    let series = promtool(&["series", "--match=calls_total", &url]);
    assert_eq!(series.matches("calls_total").count(), 2, "{series}");
    let labels = promtool(&["labels", &url, "code"]);
    assert_eq!(
        labels.split_whitespace().collect::<Vec<_>>(),
        ["200", "500"],
        "{labels}"
    );
}
