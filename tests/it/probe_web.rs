//! What probes over HTTP, TLS, DNS and of JSON expect of an answer, what they say when it is another, and their series.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use gated::engine::ScrapeFault;
use gated::source::{Ask, Expect, HttpProbe, JsonProbe, JsonValue, Scalar, Tls, Tuning};

use crate::discovery::{Record, resolving, zone};
use crate::fault_server::{Answer, FaultServer};
use crate::probe::{Told, asked, request};
use crate::scrape_tls::{Authority, serve};

async fn over_http(server: &FaultServer, expect: Expect) -> Told {
    let request = request(&server.url());
    let ask = Ask::Http(Box::new(HttpProbe { request, expect }));
    asked(ask, &Tuning::default()).await.unwrap()
}

fn pair(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

#[tokio::test]
async fn headers_and_json_are_as_expected_or_said() {
    let head = "Content-Type: application/json; charset=UTF-8\r\nX-Zone: a\r\nX-Zone: b\r\n";
    let body = r#"{"status":"ok","deep":{"a/b":[1,2.5]},"up":true,"none":null}"#;
    let server = FaultServer::always(Answer::With(head, body.as_bytes().to_vec()));
    let text = |text: &str| Scalar::Text(text.into());
    let json = |pointer: &str, scalar: Scalar| (pointer.to_owned(), scalar);
    let good = Expect {
        status: Some(200),
        body: Some("\"status\":\"ok\"".into()),
        headers: vec![
            pair("content-type", "Application/JSON"),
            pair("X-Zone", "b"),
        ],
        json: vec![
            json("/status", text("ok")),
            json("/deep/a~1b/1", Scalar::Number(2.5)),
            json("/up", Scalar::Flag(true)),
        ],
        latency: Some(Duration::from_secs(8)),
        certificate: None,
    };
    let told = over_http(&server, good.clone()).await;
    assert!(told.succeeded(), "{told:?}");
    assert_eq!(told.value("probe_http_status_code"), Some(200.0));
    assert_eq!(told.value("probe_ssl_earliest_cert_expiry"), None);
    let headers = |name, text| Expect {
        headers: vec![pair(name, text)],
        ..Expect::default()
    };
    let value = |pointer: &str, scalar: Scalar| Expect {
        json: vec![json(pointer, scalar)],
        ..Expect::default()
    };
    for (expect, words) in [
        (headers("X-Gone", ""), "the answer has no header X-Gone"),
        (
            headers("Content-Type", "text/html"),
            "the answer's header Content-Type does not hold `text/html`",
        ),
        (
            value("/status", text("up")),
            "/status is \"ok\", not \"up\"",
        ),
        (
            value("/status", Scalar::Flag(true)),
            "/status is \"ok\", not true",
        ),
        (
            value("/deep/a~1b/0", text("1")),
            "/deep/a~1b/0 is 1, not \"1\"",
        ),
        (value("/none", text("")), "/none is null, not \"\""),
        (
            value("/deep", Scalar::Number(1.0)),
            "/deep is an object, not 1.0",
        ),
        (value("/gone", text("")), "the answer has nothing at /gone"),
        (
            Expect {
                body: Some("down".into()),
                ..value("/up", Scalar::Flag(false))
            },
            "the answer is 200 OK, without the expected text; /up is true, not false",
        ),
    ] {
        let told = over_http(&server, expect).await;
        assert_eq!((told.succeeded(), told.note.as_str()), (false, words));
    }
    let html = FaultServer::always(Answer::Page("<html>".into()));
    let told = over_http(&html, value("/a", text("b"))).await;
    assert!(told.note.starts_with("the answer is no JSON: "), "{told:?}");
}

#[tokio::test]
async fn a_status_is_a_series_and_none_is_0() {
    let server = FaultServer::always(Answer::status("503 Service Unavailable", "{}"));
    let told = over_http(&server, Expect::default()).await;
    assert_eq!(told.note, "the answer is 503 Service Unavailable");
    assert_eq!(told.value("probe_http_status_code"), Some(503.0));
    let nobody = FaultServer::always(Answer::Raw(Vec::new()));
    let told = over_http(&nobody, Expect::default()).await;
    assert!(!told.succeeded());
    assert_eq!(told.value("probe_http_status_code"), Some(0.0));
}

#[tokio::test]
async fn what_is_slow_fails_with_how_long_it_took() {
    let server = FaultServer::start(|_, _| {
        std::thread::sleep(Duration::from_millis(80));
        Answer::Page("x".into())
    });
    let latency = |millis| Expect {
        latency: Some(Duration::from_millis(millis)),
        ..Expect::default()
    };
    let told = over_http(&server, latency(50)).await;
    assert!(!told.succeeded());
    let took = told.note.strip_prefix("it took ");
    let took = took.and_then(|it| it.strip_suffix(", more than 50ms"));
    let took = humantime::parse_duration(took.expect(&told.note)).unwrap();
    assert!(took >= Duration::from_millis(80), "{told:?}");
    assert!(over_http(&server, latency(8000)).await.succeeded());
}

#[tokio::test]
async fn a_certificate_that_expires_soon_is_said_before_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new("ours");
    let ca_file = Some(ours.write(folder.path().join("ca.pem")));
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let day = today.start_of_day().unwrap() + jiff::Span::new().days(10);
    let until = (
        day.year().into(),
        day.month().unsigned_abs(),
        day.day().unsigned_abs(),
    );
    let url = serve(
        "localhost",
        &ours.sign_until("localhost", Some(until)),
        None,
    );
    let probe = async |days: u64, tls: Tls| {
        let mut request = request(&url);
        request.tls = tls;
        let expect = Expect {
            certificate: Some(Duration::from_secs(days * 86_400)),
            ..Expect::default()
        };
        let ask = Ask::Http(Box::new(HttpProbe { request, expect }));
        asked(ask, &Tuning::default()).await.unwrap()
    };
    let trusting = Tls {
        ca_file,
        ..Tls::default()
    };
    let told = probe(8, trusting.clone()).await;
    assert!(told.succeeded(), "{told:?}");
    let seconds = day.timestamp().as_second() as f64;
    assert_eq!(told.value("probe_ssl_earliest_cert_expiry"), Some(seconds));
    let told = probe(14, trusting).await;
    assert!(!told.succeeded());
    let at = day.timestamp();
    let words = format!("the certificate expires at {at:.3}, in 9days ");
    assert!(
        told.note.starts_with(&words),
        "{} instead of {words}",
        told.note
    );
    assert!(told.note.ends_with(", less than 14days"), "{told:?}");
    assert_eq!(told.value("probe_ssl_earliest_cert_expiry"), Some(seconds));
    let blind = Tls {
        insecure_skip_verify: true,
        ..Tls::default()
    };
    assert!(probe(8, blind).await.succeeded());
}

#[tokio::test]
async fn a_name_stands_for_what_is_expected_or_fails() {
    let ips = vec![Ipv4Addr::new(10, 0, 0, 7), Ipv4Addr::new(10, 0, 0, 8)];
    let zone = zone([
        ("api.example", Record::A(ips)),
        ("gone.example", Record::NoSuchName),
        ("broken.example", Record::ServerFails),
    ]);
    let tuning = resolving(&zone);
    let look_up = async |name: &str, expected: &[&str]| {
        let addresses = expected.iter().map(|it| it.parse::<IpAddr>().unwrap());
        let ask = Ask::Dns {
            name: name.to_owned(),
            addresses: addresses.collect(),
        };
        asked(ask, &tuning).await
    };
    for expected in [&[][..], &["10.0.0.8"], &["10.0.0.7", "10.0.0.8"]] {
        let told = look_up("api.example.", expected).await.unwrap();
        assert!(told.succeeded(), "{told:?}");
        assert_eq!(told.value("probe_dns_answer_rrs"), Some(2.0));
    }
    let told = look_up("api.example.", &["10.0.0.9", "10.0.0.7"])
        .await
        .unwrap();
    assert!(!told.succeeded());
    assert_eq!(
        told.note,
        "api.example. is 10.0.0.7, 10.0.0.8, not 10.0.0.9"
    );
    let told = look_up("gone.example.", &[]).await.unwrap();
    assert!(
        !told.succeeded() && told.note.contains("there is no such name"),
        "{told:?}"
    );
    assert_eq!(told.value("probe_dns_answer_rrs"), Some(0.0));
    // What the servers of names cannot say is nothing of the component's.
    let failed = look_up("broken.example.", &[]).await.unwrap_err();
    assert_eq!(failed.fault, ScrapeFault::Dns);
}

fn value(pointer: &str, metric: &str) -> JsonValue {
    JsonValue {
        pointer: pointer.into(),
        metric: metric.into(),
        labels: Vec::new(),
    }
}

async fn numbers(server: &FaultServer, values: &[JsonValue]) -> Told {
    let request = request(&server.url());
    let values = values.to_vec();
    let ask = Ask::Json(Box::new(JsonProbe { request, values }));
    asked(ask, &Tuning::default()).await.unwrap()
}

#[tokio::test]
async fn numbers_in_json_become_series_and_what_is_none_is_said() {
    let body = r#"{"open_tickets": 12, "satisfaction": "4.5", "healthy": false, "text": "a"}"#;
    let server = FaultServer::always(Answer::With(
        "Content-Type: application/json\r\n",
        body.into(),
    ));
    let mut labelled = value("/satisfaction", "support_satisfaction");
    labelled.labels = vec![pair("of", "5")];
    let all = [
        value("/open_tickets", "support_open_tickets"),
        labelled,
        value("/healthy", "support_healthy"),
    ];
    let told = numbers(&server, &all).await;
    assert!(told.succeeded(), "{told:?}");
    for (series, expected) in [
        ("support_open_tickets", 12.0),
        ("support_satisfaction{of=\"5\"}", 4.5),
        ("support_healthy", 0.0),
    ] {
        assert_eq!(told.value(series), Some(expected), "{told:?}");
    }
    let some = [all[0].clone(), value("/text", "x"), value("/gone", "y")];
    let told = numbers(&server, &some).await;
    assert!(!told.succeeded());
    assert_eq!(
        told.note,
        "/text is \"a\", which is no number; the answer has nothing at /gone"
    );
    assert_eq!(told.value("support_open_tickets"), Some(12.0));
    assert_eq!((told.value("x"), told.value("y")), (None, None));

    for (answer, words) in [
        (
            Answer::status("404 Not Found", body),
            "the answer is 404 Not Found",
        ),
        (Answer::Page("<html>".into()), "the answer is no JSON: "),
        (
            Answer::With("", vec![b' '; (8 << 20) + 1]),
            "the answer is longer than 8 MiB",
        ),
    ] {
        let told = numbers(&FaultServer::always(answer), &all).await;
        assert!(
            !told.succeeded() && told.note.starts_with(words),
            "{told:?}"
        );
        assert_eq!(told.value("support_open_tickets"), None);
    }
    let whole = FaultServer::always(Answer::Page("7".into()));
    assert_eq!(
        numbers(&whole, &[value("", "n")]).await.value("n"),
        Some(7.0)
    );
}
