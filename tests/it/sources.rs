//! Signals that a `[[prometheus]]` evaluates, over real sockets: what it is asked, everything that is no answer, what is
//! said beside one, reloads. What the engine makes of answers and silence is in `sources/judged.rs`, the real binary
//! before a real Prometheus in `sources/real.rs`.

mod judged;
mod real;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use gated::engine::{Columns, Input, Interest, Scrape, ScrapeError, ScrapeFault, TargetInfo};
use gated::model::{TargetId, Timestamp};
use gated::source::{
    BasicAuth, Password, PrometheusConfig, Querier, Secret, SignalQuery, Tls, Tuning, Url,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::fault_server::{Answer, FaultServer};
use crate::peers::free_address;
use crate::scrape_tls::{Authority, serve};

const PATIENCE: Duration = Duration::from_secs(20);
const JSON: &str = "Content-Type: application/json\r\n";
/// What the sources of this file take for now, in seconds.
const NOW: i64 = 1_767_225_600;

/// An answer whose result is this vector, with more keys beside it.
fn vector(result: &str, more: &str) -> Answer {
    let text = format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}{more}}}"#
    );
    Answer::With(JSON, text.into_bytes())
}

fn sample(labels: &str, value: &str) -> String {
    format!(r#"{{"metric":{{{labels}}},"value":[{NOW}.5,"{value}"]}}"#)
}

fn config(server: &FaultServer) -> PrometheusConfig {
    let url = Url::parse(&format!("http://{}", server.address)).unwrap();
    PrometheusConfig {
        interval: Duration::from_millis(200),
        timeout: Duration::from_millis(1500),
        ..PrometheusConfig::new("thanos", url)
    }
}

fn query(config: PrometheusConfig, signal: &str, expr: &str) -> SignalQuery {
    SignalQuery {
        source: Arc::new(config),
        signal: signal.into(),
        expr: expr.into(),
        enough: None,
    }
}

struct Rig {
    querier: Querier,
    interest: Arc<ArcSwap<Interest>>,
    inputs: mpsc::Receiver<Input>,
}

impl Rig {
    fn start(queries: Vec<SignalQuery>) -> Self {
        let interest = Arc::new(ArcSwap::from_pointee(Interest::default()));
        let clock = AtomicI64::new(NOW * 1000);
        let now = Arc::new(move || Timestamp::from_millis(clock.fetch_add(1, Ordering::SeqCst)));
        let (sender, inputs) = mpsc::channel(16);
        let tuning = Tuning::default();
        let querier = Querier::start(queries, &tuning, Arc::clone(&interest), now, sender);
        Self {
            querier,
            interest,
            inputs,
        }
    }

    async fn next(&mut self) -> Input {
        let next = timeout(PATIENCE, self.inputs.recv()).await;
        next.expect("an input").expect("a querier")
    }

    async fn target(&mut self) -> TargetInfo {
        loop {
            if let Input::Target(info) = self.next().await {
                return info;
            }
        }
    }

    async fn scrape(&mut self) -> Scrape {
        loop {
            if let Input::Scraped(scrape) = self.next().await {
                return scrape;
            }
        }
    }
}

async fn first(config: PrometheusConfig) -> Result<Columns, ScrapeError> {
    let mut rig = Rig::start(vec![query(config, "errors", "sum(x)")]);
    rig.scrape().await.outcome
}

async fn answered(answer: Answer) -> Result<Columns, ScrapeError> {
    let server = FaultServer::always(answer);
    first(config(&server)).await
}

fn series(columns: &Columns) -> Vec<String> {
    let born = columns.born.iter();
    let born = born.map(|(slot, labels)| format!("{labels} {}", columns.values[slot.0 as usize]));
    born.collect()
}

#[tokio::test]
async fn what_is_sent_and_what_comes_of_the_answer() {
    let server = FaultServer::start(|_, request| {
        if request.contains("sum%28y%29") {
            return vector(&sample("", "3"), "");
        }
        let one = sample(r#""__name__":"x","source":"theirs","zone":"a""#, "0.25");
        vector(&one, "")
    });
    let mut asked = config(&server);
    asked.url.set_path("/prometheus/");
    asked.query = vec![("partial_response".into(), Secret::new("false"))];
    asked
        .headers
        .insert("x-scope-orgid", "team".parse().unwrap());
    asked.basic_auth = Some(BasicAuth {
        username: "gated".into(),
        password: Password::Here(Secret::new("canary")),
    });
    let mut wanted = query(asked, "errors", "sum(x) > 1 or vector(0)");
    wanted.enough = Some("sum(y)".into());
    let mut rig = Rig::start(vec![wanted]);
    let info = rig.target().await;
    let url = format!("http://{}/prometheus/api/v1/query#errors", server.address);
    assert_eq!(
        (&info.url, &*info.job, &*info.instance),
        (&url, "source", "thanos/errors")
    );
    assert_eq!(
        info.labels.to_string(),
        r#"{enough="sum(y)", instance="thanos/errors", job="source", query="sum(x) > 1 or vector(0)", signal="errors", source="thanos"}"#
            .replace(", ", ",")
    );
    assert!(info.id.is_asked() && !info.id.is_scraped() && !info.id.is_own());
    let columns = rig.scrape().await.outcome.unwrap();
    assert_eq!(
        series(&columns),
        [
            r#"gated_source{exported_source="theirs",signal="errors",source="thanos",zone="a"} 0.25"#,
            r#"gated_source_enough{signal="errors",source="thanos"} 3"#,
        ]
    );
    assert_eq!((columns.samples_scraped, columns.series_added), (2, 2));
    for request in &server.requests()[..2] {
        let lower = request.to_lowercase();
        for part in [
            "post /prometheus/api/v1/query?partial_response=false http/1.1\r\n",
            "authorization: basic z2f0zwq6y2fuyxj5\r\n",
            "x-scope-orgid: team\r\n",
            "content-type: application/x-www-form-urlencoded\r\n",
            "&timeout=1500ms",
        ] {
            assert!(lower.contains(part), "{part} in {request}");
        }
    }
    let sent = server.requests()[..2].concat();
    assert!(
        sent.contains("\r\n\r\nquery=sum%28x%29+%3E+1+or+vector%280%29&timeout"),
        "{sent}"
    );
    // The series stay known, and are named again for other rules.
    assert_eq!(series(&rig.scrape().await.outcome.unwrap()).len(), 0);
    rig.interest.store(Arc::new(Interest::default()));
    loop {
        let columns = rig.scrape().await.outcome.unwrap();
        if !columns.born.is_empty() {
            assert_eq!((columns.born.len(), columns.series_added), (2, 0));
            break;
        }
    }
}

/// Each answer is a failure of this kind that says this.
async fn each_fails(all: Vec<(Answer, ScrapeFault, &str)>) {
    for (answer, fault, said) in all {
        let shown = format!("{answer:?}");
        let shown = &shown[..shown.len().min(200)];
        let error = answered(answer).await.expect_err(shown);
        assert_eq!(error.fault, fault, "{shown}: {error}");
        assert!(
            error.text.contains(said) && error.text.len() <= 200,
            "{shown}: {error}"
        );
    }
}

#[tokio::test]
async fn what_the_network_does_is_no_answer() {
    let endless = Answer::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b' '; 1 << 16]);
    let encoded = Answer::With("Content-Encoding: gzip\r\n", b"x".to_vec());
    let plain = "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nno org id\n";
    let late = "no answer within 1s 500ms";
    each_fails(vec![
        (Answer::Raw(Vec::new()), ScrapeFault::Truncated, "ended"),
        (
            Answer::Raw(b"SSH-2.0-x\r\n".to_vec()),
            ScrapeFault::NotExposition,
            "not HTTP",
        ),
        (Answer::Hang, ScrapeFault::Timeout, late),
        (
            Answer::Drip(Duration::from_millis(50)),
            ScrapeFault::Timeout,
            late,
        ),
        (
            endless,
            ScrapeFault::BodyTooLarge,
            "more than 8388608 bytes",
        ),
        (encoded, ScrapeFault::Encoding, "is encoded"),
        (
            Answer::status("302 Found", ""),
            ScrapeFault::Status,
            "the answer is 302 Found",
        ),
        (
            Answer::status("502 Bad Gateway", "<html>"),
            ScrapeFault::Status,
            "502 Bad Gateway",
        ),
        (
            Answer::Raw(plain.into()),
            ScrapeFault::Status,
            "401 Unauthorized: no org id",
        ),
    ])
    .await;
    let nobody = FaultServer::always(Answer::Hang);
    let mut asked = config(&nobody);
    asked.url = Url::parse(&format!("http://{}", free_address())).unwrap();
    let refused = first(asked).await.unwrap_err().fault;
    assert_eq!(refused, ScrapeFault::ConnectRefused);
    let mut asked = config(&nobody);
    asked.bearer_token_file = Some("/no/such/token".into());
    let unread = first(asked).await.unwrap_err().fault;
    assert_eq!(
        (unread, nobody.requests().len()),
        (ScrapeFault::Credentials, 0)
    );
}

#[tokio::test]
async fn what_the_server_says_else_is_no_answer() {
    let json = |line: &str, body: &str| {
        let length = body.len();
        let text = format!(
            "HTTP/1.1 {line}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        Answer::Raw(text.into_bytes())
    };
    let error = |kind: &str, words: &str| {
        format!(r#"{{"status":"error","errorType":"{kind}","error":"{words}"}}"#)
    };
    let parse = error("bad_data", "1:4: parse error: \\u001b[31mred");
    let long = error("execution", &"x\\n".repeat(500));
    let slow = error("timeout", "query timed out");
    let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    let histogram = r#"{"metric":{"__name__":"h"},"histogram":[1,{"count":"1"}]}"#;
    let lacking = r#","warnings":["store 10.0.0.1 is down"]"#;
    each_fails(vec![
        (
            json("400 Bad Request", &parse),
            ScrapeFault::Query,
            "400 bad_data: 1:4: parse error: \\u{1b}[31mred",
        ),
        (
            json("503 Service Unavailable", &long),
            ScrapeFault::Query,
            "503 execution: x\\nx",
        ),
        (
            json("200 OK", &slow),
            ScrapeFault::Query,
            "timeout: query timed out",
        ),
        (
            Answer::Page("up 1\n".into()),
            ScrapeFault::NotAnAnswer,
            "not JSON",
        ),
        (
            json("200 OK", matrix),
            ScrapeFault::NotAnAnswer,
            "the result is a matrix",
        ),
        (
            vector(histogram, ""),
            ScrapeFault::NotAnAnswer,
            "`h` is a native histogram",
        ),
        (
            vector("", lacking),
            ScrapeFault::Partial,
            "the answer may lack data: store 10.0.0.1 is down",
        ),
        (
            vector("", r#","isPartial":true"#),
            ScrapeFault::Partial,
            "isPartial",
        ),
    ])
    .await;
}

#[tokio::test]
async fn warnings_are_carried_and_a_partial_answer_counts_only_where_that_is_accepted() {
    let about = r#","warnings":["PromQL warning: bucket"],"infos":["PromQL info: no counter"]"#;
    let columns = answered(vector(&sample("", "NaN"), about)).await.unwrap();
    assert_eq!(
        columns.notes,
        ["PromQL warning: bucket", "PromQL info: no counter"]
    );
    assert!(columns.values[0].is_nan() && !gated::model::is_stale(columns.values[0]));
    let lacking = vector(
        &sample("", "1"),
        r#","warnings":["store is down"],"isPartial":true"#,
    );
    let server = FaultServer::always(lacking);
    let mut accepts = config(&server);
    accepts.accept_partial = true;
    let columns = first(accepts).await.unwrap();
    assert_eq!(
        (columns.notes.as_slice(), columns.values[0]),
        (&["store is down".to_owned()][..], 1.0)
    );
}

#[tokio::test]
async fn a_sample_that_is_older_than_the_lookback_or_far_ahead_is_none() {
    let at = |seconds: i64, zone: &str| {
        format!(r#"{{"metric":{{"zone":"{zone}"}},"value":[{seconds},"1"]}}"#)
    };
    let both = [at(NOW - 301, "a"), at(NOW - 299, "b")].join(",");
    let columns = answered(vector(&both, "")).await.unwrap();
    let [only] = &series(&columns)[..] else {
        panic!("{columns:?}")
    };
    assert!(only.contains(r#"zone="b""#), "{only}");
    // Nothing but old ones is no empty answer.
    let error = answered(vector(&at(NOW - 301, "a"), "")).await.unwrap_err();
    assert!(error.text.contains("older than five minutes"), "{error}");
    // Nor is what has yet to be; clocks differ by a little.
    let both = [at(NOW + 601, "a"), at(NOW + 599, "b")].join(",");
    let columns = answered(vector(&both, "")).await.unwrap();
    let [only] = &series(&columns)[..] else {
        panic!("{columns:?}")
    };
    assert!(only.contains(r#"zone="b""#), "{only}");
    let tomorrow = at(NOW + 3600, "a");
    let error = answered(vector(&tomorrow, "")).await.unwrap_err();
    assert!(
        error.text.contains("dated more than ten minutes ahead"),
        "{error}"
    );
    let both = [at(NOW - 301, "b"), tomorrow].join(",");
    let error = answered(vector(&both, "")).await.unwrap_err();
    assert!(
        error.text.contains("older than five minutes or dated more"),
        "{error}"
    );
    // It is the server's clock that dates them, whatever gated's says.
    let body = vector(&at(NOW - 10_000, "a"), "");
    let Answer::With(_, body) = body else {
        unreachable!()
    };
    let date = "Content-Type: application/json\r\nDate: Wed, 31 Dec 2025 21:13:30 GMT\r\n";
    assert_eq!(
        answered(Answer::With(date, body)).await.unwrap().born.len(),
        1
    );
}

#[tokio::test]
async fn a_question_that_fails_stops_no_other() {
    let server = FaultServer::start(|_, request| {
        if request.contains("slow") {
            Answer::Hang
        } else if request.contains("wrong") {
            Answer::status("500 Internal Server Error", "")
        } else {
            vector(&sample("", "1"), "")
        }
    });
    let asked = Arc::new(config(&server));
    let ask = |signal: &str| SignalQuery {
        source: Arc::clone(&asked),
        ..query(PrometheusConfig::clone(&asked), signal, signal)
    };
    let mut rig = Rig::start(vec![ask("slow"), ask("wrong"), ask("good")]);
    let (mut good, mut wrong) = (0, 0);
    loop {
        let scrape = rig.scrape().await;
        match scrape.target.0 - TargetId::ASKED.0 {
            0 => break assert_eq!(scrape.outcome.unwrap_err().fault, ScrapeFault::Timeout),
            1 => wrong += u32::from(scrape.outcome.is_err()),
            _ => good += u32::from(scrape.outcome.is_ok()),
        }
    }
    assert!(good >= 2 && wrong >= 2, "{good} {wrong}");
}

#[tokio::test]
async fn a_reload_leaves_alone_what_stayed_alike() {
    let server = FaultServer::always(vector(&sample("", "1"), ""));
    let stays = query(config(&server), "stays", "sum(x)");
    let changes = query(config(&server), "changes", "sum(x)");
    let mut rig = Rig::start(vec![stays.clone(), changes.clone()]);
    let (first, second) = (rig.target().await.id, rig.target().await.id);
    let mut ids = [first, second];
    ids.sort();
    let other = SignalQuery {
        expr: "sum(y)".into(),
        ..changes.clone()
    };
    rig.querier.reload(vec![stays.clone(), other]).await;
    let mut gone = None;
    let next = loop {
        match rig.next().await {
            Input::TargetGone(id) => gone = Some(id),
            Input::Target(info) => break info,
            Input::Scraped(scrape) => {
                assert_ne!(Some(scrape.target), gone, "nothing comes after the end");
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((gone, &*next.instance), (Some(ids[1]), "thanos/changes"));
    assert!(next.id > ids[1]);
    // Another way to ask is another source, and nothing is left of one that is removed.
    let mut slower = config(&server);
    slower.interval = Duration::from_millis(400);
    rig.querier
        .reload(vec![query(slower, "stays", "sum(x)")])
        .await;
    let mut gone = Vec::new();
    loop {
        match rig.next().await {
            Input::TargetGone(id) => gone.push(id),
            Input::Target(info) => break assert_eq!(&*info.instance, "thanos/stays"),
            _ => {}
        }
    }
    gone.sort();
    assert_eq!(gone, [ids[0], next.id]);
    rig.querier.stop().await;
}

/// Authorities and another name than the URL's; that server's page is no answer, which shows that it was reached.
#[tokio::test]
async fn tls_is_what_it_is_for_a_scrape() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let ca_file = Some(authority.write(folder.path().join("ca.pem")));
    let url = serve("localhost", &authority.sign("mimir.example", false), None);
    let server_name = Some("mimir.example".to_owned());
    let ask = async |ca_file, server_name| {
        let tls = Tls {
            ca_file,
            server_name,
            ..Tls::default()
        };
        let asked = PrometheusConfig::new("mimir", Url::parse(&url).unwrap());
        let asked = PrometheusConfig { tls, ..asked };
        first(asked).await.unwrap_err().fault
    };
    let reached = ask(ca_file.clone(), server_name.clone()).await;
    assert_eq!(reached, ScrapeFault::NotAnAnswer);
    assert_eq!(ask(ca_file, None).await, ScrapeFault::Tls);
    assert_eq!(ask(None, server_name).await, ScrapeFault::Tls);
}

/// A proxy that repeats what it was sent shows it to nobody.
#[tokio::test]
async fn secrets_are_hidden_from_what_servers_say() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "canary-token\n").unwrap();
    let said = "canary-token canary-header canary-query";
    for answer in [
        Answer::status(
            "500 No",
            &format!(r#"{{"status":"error","error":"{said}"}}"#),
        ),
        vector("", &format!(r#","warnings":["{said}"]"#)),
        vector("", &format!(r#","infos":["{said}"]"#)),
    ] {
        let server = FaultServer::always(answer);
        let mut asked = config(&server);
        asked.bearer_token_file = Some(token.clone());
        asked.query = vec![("key".into(), Secret::new("canary-query"))];
        let mut value = gated::source::HeaderMap::new();
        let mut header: reqwest::header::HeaderValue = "canary-header".parse().unwrap();
        header.set_sensitive(true);
        value.insert("x-key", header);
        asked.headers = value;
        let shown = match first(asked.clone()).await {
            Ok(columns) => columns.notes.join(" "),
            Err(error) => error.to_string(),
        };
        assert!(shown.contains("[secret] [secret] [secret]"), "{shown}");
        let shown = format!("{shown} {asked:?}");
        assert!(!shown.contains("canary-"), "{shown}");
        let sent = server.requests().concat().to_lowercase();
        assert!(
            sent.contains("authorization: bearer canary-token"),
            "{sent}"
        );
    }
}
