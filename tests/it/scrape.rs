//! Scraping under every fault of transport, over real sockets. Names begin with the fault's row where it has one.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use gated::engine::{Columns, Input, Interest, Scrape, ScrapeError, ScrapeFault, TargetInfo};
use gated::model::{TargetId, Timestamp};
use gated::source::{
    Action, Anchored, BasicAuth, Password, Relabel, ScrapeConfig, Scraper, Secret, Tuning,
    target_url,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::fault_server::{Answer, FaultServer};

/// What never takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A scraper with the engine's end of its channel.
pub struct Rig {
    pub scraper: Scraper,
    pub interest: Arc<ArcSwap<Interest>>,
    inputs: mpsc::Receiver<Input>,
}

impl Rig {
    pub fn start(configs: Vec<ScrapeConfig>, tuning: Tuning) -> Self {
        let everything = Interest::new([], Some(Duration::from_secs(60)));
        let interest = Arc::new(ArcSwap::from_pointee(everything));
        let clock = AtomicI64::new(1_000_000);
        let now = Arc::new(move || Timestamp::from_millis(clock.fetch_add(1, Ordering::SeqCst)));
        let (sender, inputs) = mpsc::channel(16);
        Self {
            scraper: Scraper::start(configs, tuning, Arc::clone(&interest), now, sender),
            interest,
            inputs,
        }
    }

    pub async fn next(&mut self) -> Input {
        let next = timeout(PATIENCE, self.inputs.recv()).await;
        next.expect("an input").expect("a scraper")
    }

    pub async fn target(&mut self) -> TargetInfo {
        loop {
            if let Input::Target(info) = self.next().await {
                return info;
            }
        }
    }

    pub async fn gone(&mut self) -> TargetId {
        loop {
            if let Input::TargetGone(id) = self.next().await {
                return id;
            }
        }
    }

    pub async fn scrape(&mut self) -> Scrape {
        loop {
            if let Input::Scraped(scrape) = self.next().await {
                return scrape;
            }
        }
    }

    pub async fn outcome(&mut self) -> Result<Columns, ScrapeError> {
        self.scrape().await.outcome
    }
}

pub fn config(url: &str) -> ScrapeConfig {
    ScrapeConfig {
        targets: vec![target_url(url).unwrap()],
        interval: Duration::from_millis(100),
        timeout: Duration::from_secs(10),
        ..ScrapeConfig::new("api")
    }
}

/// The first scrape of one target under these settings.
pub async fn first(config: ScrapeConfig) -> Result<Columns, ScrapeError> {
    Rig::start(vec![config], Tuning::default()).outcome().await
}

async fn first_of(answer: Answer) -> Result<Columns, ScrapeError> {
    let server = FaultServer::always(answer);
    first(config(&server.url())).await
}

fn kind(outcome: &Result<Columns, ScrapeError>) -> Result<u32, ScrapeFault> {
    let outcome = outcome.as_ref();
    outcome
        .map(|columns| columns.samples_scraped)
        .map_err(|error| error.fault)
}

fn page(samples: usize) -> String {
    (0..samples)
        .map(|i| format!("m{{i=\"{i}\"}} {i}\n"))
        .collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test]
async fn s1_a_closed_port_is_refused() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    assert_eq!(
        kind(&first(config(&url)).await),
        Err(ScrapeFault::ConnectRefused)
    );
}

#[tokio::test]
async fn s2_silence_and_s3_drip_are_cut_at_the_timeout() {
    for answer in [Answer::Hang, Answer::Drip(Duration::from_millis(10))] {
        let server = FaultServer::always(answer);
        let mut config = config(&server.url());
        config.timeout = Duration::from_millis(200);
        let scrape = Rig::start(vec![config], Tuning::default()).scrape().await;
        assert_eq!(kind(&scrape.outcome), Err(ScrapeFault::Timeout));
        assert!(scrape.duration >= Duration::from_millis(200));
    }
}

#[tokio::test]
async fn s4_a_page_cut_off_is_no_page() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
    for (name, rest) in [
        ("length", "Content-Length: 1000\r\n\r\na 1\nb 2\n"),
        ("chunks", "Transfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n"),
        (
            "within a chunk",
            "Transfer-Encoding: chunked\r\n\r\nff\r\na 1\n",
        ),
        ("within the head", "Content-Le"),
    ] {
        let outcome = first_of(Answer::Raw(format!("{head}{rest}").into_bytes())).await;
        assert_eq!(
            kind(&outcome),
            Err(ScrapeFault::Truncated),
            "{name}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn s5_a_cut_at_a_lines_end_is_suspected_or_seen() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let unframed = |kind: &str, body: &str| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n");
        Answer::Raw((head + body).into_bytes())
    };
    let server =
        FaultServer::start(move |n, _| unframed("text/plain", &page(if n == 0 { 10 } else { 4 })));
    let mut rig = Rig::start(vec![config(&server.url())], Tuning::default());
    assert_eq!(kind(&rig.outcome().await), Ok(10));
    assert_eq!(kind(&rig.outcome().await), Ok(4));
    assert_eq!(kind(&rig.outcome().await), Ok(4));
    let page = recorder.handle().render();
    assert!(page.contains("gated_scrapes_suspect_total 1\n"), "{page}");

    let cut = unframed(
        "application/openmetrics-text; version=1.0.0",
        "# TYPE a gauge\na 1\n",
    );
    assert_eq!(kind(&first_of(cut).await), Err(ScrapeFault::Malformed));
}

#[tokio::test]
async fn s6_bombs_and_s7_endless_pages_stop_at_the_limit() {
    let zeros = vec![b'#'; 16 << 20];
    let zstd = zstd::encode_all(zeros.as_slice(), 1).unwrap();
    let text = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n".as_slice();
    let chunked = [text, b"Transfer-Encoding: chunked\r\n\r\n"].concat();
    let huge = [text, b"Content-Length: 999999999999\r\n\r\n"].concat();
    for (name, answer) in [
        (
            "gzip",
            Answer::With("Content-Encoding: gzip\r\n", gzip(&zeros)),
        ),
        ("zstd", Answer::With("Content-Encoding: zstd\r\n", zstd)),
        (
            "endless",
            Answer::Endless([text, b"\r\n"].concat(), page(100).into_bytes()),
        ),
        (
            "endless chunks",
            Answer::Endless(chunked, b"4\r\na 1\n\r\n".repeat(999)),
        ),
        ("huge length", Answer::Endless(huge, Vec::new())),
    ] {
        let server = FaultServer::always(answer);
        let mut config = config(&server.url());
        config.body_size_limit = 1 << 20;
        let outcome = first(config).await;
        assert_eq!(
            kind(&outcome),
            Err(ScrapeFault::BodyTooLarge),
            "{name}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn s8_encodings_decode_whole_or_fail() {
    let text = page(2000);
    let (one, two) = text.split_at(text.len() / 2);
    let good = gzip(text.as_bytes());
    let members = [gzip(one.as_bytes()), gzip(b""), gzip(two.as_bytes())].concat();
    let frames = [
        zstd::encode_all(one.as_bytes(), 1).unwrap(),
        zstd::encode_all(two.as_bytes(), 1).unwrap(),
    ];
    let mut corrupt = good.clone();
    let middle = corrupt.len() / 2;
    corrupt[middle..middle + 8].fill(0);
    let mut wrong_sum = good.clone();
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    let (gz, zs) = ("Content-Encoding: gzip\r\n", "Content-Encoding: zstd\r\n");
    let fails = Err(ScrapeFault::Encoding);
    for (name, head, body, want) in [
        ("gzip", gz, good.clone(), Ok(2000)),
        ("several members", gz, members, Ok(2000)),
        ("zstd, several frames", zs, frames.concat(), Ok(2000)),
        ("corrupt", gz, corrupt, fails),
        ("wrong checksum", gz, wrong_sum, fails),
        ("cut", gz, good[..good.len() - 1].to_vec(), fails),
        (
            "rubbish behind",
            gz,
            [good.as_slice(), b"xx"].concat(),
            fails,
        ),
        ("not gzip", gz, text.clone().into_bytes(), fails),
        ("nothing", gz, Vec::new(), fails),
        (
            "zstd cut",
            zs,
            frames[0][..frames[0].len() - 1].to_vec(),
            fails,
        ),
        ("not zstd", zs, text.clone().into_bytes(), fails),
        ("unknown", "Content-Encoding: br\r\n", good, fails),
    ] {
        let outcome = first_of(Answer::With(head, body)).await;
        assert_eq!(kind(&outcome), want, "{name}: {outcome:?}");
    }
}

#[tokio::test]
async fn s14_redirects_are_not_followed() {
    let elsewhere = FaultServer::always(Answer::Page(page(1)));
    for status in [
        "301 Moved",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let location = elsewhere.url();
        let raw =
            format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 4\r\n\r\na 1\n");
        let outcome = first_of(Answer::Raw(raw.into_bytes())).await;
        assert_eq!(kind(&outcome), Err(ScrapeFault::Status), "{status}");
    }
    assert_eq!(elsewhere.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn s15_a_status_is_named_and_its_body_never_read() {
    for status in [
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "500 Oops",
        "503 Busy",
        "204 No Content",
        "206 Partial",
    ] {
        let error = first_of(Answer::status(status, "a 1\n")).await.unwrap_err();
        assert_eq!(error.fault, ScrapeFault::Status);
        assert!(error.text.contains(&status[..3]), "{error}");
    }
}

#[tokio::test]
async fn s16_what_is_not_exposition_text_fails() {
    let html = b"<!DOCTYPE html><html><body>502</body></html>".to_vec();
    let no = Err(ScrapeFault::NotExposition);
    for (head, body, want) in [
        ("Content-Type: text/html\r\n", html.clone(), no),
        ("Content-Type: text/plain\r\n", html.clone(), no),
        ("", html, no),
        ("Content-Type: application/json\r\n", b"a 1\n".to_vec(), no),
        (
            "Content-Type: application/vnd.google.protobuf\r\n",
            b"a 1\n".to_vec(),
            no,
        ),
        ("", b"a 1\n".to_vec(), Ok(1)),
        (
            "Content-Type: TEXT/Plain ; charset=utf-8\r\n",
            b"a 1\n".to_vec(),
            Ok(1),
        ),
        (
            "Content-Type: application/openmetrics-text\r\n",
            b"a 1\n# EOF\n".to_vec(),
            Ok(1),
        ),
        (
            "Content-Type: text/plain\r\n",
            b"a 1\nb\n".to_vec(),
            Err(ScrapeFault::Malformed),
        ),
        // An empty page is a page.
        ("Content-Type: text/plain\r\n", Vec::new(), Ok(0)),
    ] {
        let outcome = first_of(Answer::With(head, body)).await;
        assert_eq!(kind(&outcome), want, "{head}{outcome:?}");
    }
}

#[tokio::test]
async fn s17_an_empty_page_ends_every_series() {
    let server = FaultServer::start(|n, _| Answer::Page(page(if n == 0 { 3 } else { 0 })));
    let mut rig = Rig::start(vec![config(&server.url())], Tuning::default());
    assert_eq!(rig.outcome().await.unwrap().born.len(), 3);
    let empty = rig.outcome().await.unwrap();
    assert_eq!((empty.gone.len(), empty.samples_scraped), (3, 0));
}

/// The environment of a process is its own: the scrape is made by this very test, in a process with proxies set.
#[tokio::test]
async fn s22_proxies_of_the_environment_are_ignored() {
    const INSIDE: &str = "GATED_TEST_BEHIND_A_PROXY";
    if std::env::var_os(INSIDE).is_some() {
        assert_eq!(kind(&first_of(Answer::Page(page(1))).await), Ok(1));
        return;
    }
    let proxy = FaultServer::always(Answer::Page(page(9)));
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again
        .args([
            "--exact",
            "scrape::s22_proxies_of_the_environment_are_ignored",
        ])
        .env(INSIDE, "1");
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        again.env(name, format!("http://{}", proxy.address));
    }
    let output = again.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
    assert_eq!(proxy.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn garbage_instead_of_http_is_named_and_harmless() {
    for (name, answer) in [
        ("binary", Answer::Raw(vec![0xff; 4096])),
        (
            "endless head",
            Answer::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X: y\r\n".repeat(99)),
        ),
        ("ssh", Answer::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())),
    ] {
        let outcome = first_of(answer).await;
        assert_eq!(
            kind(&outcome),
            Err(ScrapeFault::NotExposition),
            "{name}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn bad_targets_delay_no_good_one() {
    let good = FaultServer::always(Answer::Page(page(1)));
    let hanging = FaultServer::always(Answer::Hang);
    let mut bad = config(&hanging.url());
    bad.targets = (0..20)
        .map(|i| target_url(&format!("{}?{i}", hanging.url())).unwrap())
        .collect();
    let mut rig = Rig::start(vec![bad, config(&good.url())], Tuning::default());
    // The bad ones' first scrapes end only after their timeout, which is far longer than these take.
    for _ in 0..10 {
        assert_eq!(kind(&rig.outcome().await), Ok(1));
    }
}

#[tokio::test]
async fn one_connection_is_kept_and_asked_as_prometheus_asks() {
    let server = FaultServer::always(Answer::Page(page(5)));
    let mut rig = Rig::start(vec![config(&server.url())], Tuning::default());
    let columns = rig.outcome().await.unwrap();
    assert_eq!(
        (
            columns.born.len(),
            columns.series_added,
            columns.samples_kept
        ),
        (5, 5, 5)
    );
    for _ in 0..3 {
        let columns = rig.outcome().await.unwrap();
        assert_eq!((columns.born.len(), columns.series_added), (0, 0));
    }
    assert_eq!(server.connections(), 1);
    let request = server.requests()[0].to_ascii_lowercase();
    for line in [
        "get /metrics http/1.1\r\n",
        "accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,\
         text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n",
        "x-prometheus-scrape-timeout-seconds: 10\r\n",
        "user-agent: gated/",
    ] {
        assert!(request.contains(line), "{line} in {request}");
    }
    assert!(
        !request.contains("accept-encoding"),
        "on loopback: {request}"
    );
}

#[tokio::test]
async fn a_kept_connection_that_died_of_age_is_replaced_unseen() {
    let server = FaultServer::start(|n, _| match n {
        1 => Answer::Raw(Vec::new()),
        _ => Answer::Page(page(1)),
    });
    let mut rig = Rig::start(vec![config(&server.url())], Tuning::default());
    assert_eq!(kind(&rig.outcome().await), Ok(1));
    assert_eq!(kind(&rig.outcome().await), Ok(1));
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn credentials_come_from_the_url_the_configuration_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "canary\n").unwrap();
    let server = FaultServer::always(Answer::Page(page(1)));
    let basic = |password| BasicAuth {
        username: "user".into(),
        password,
    };
    let plain = config(&server.url());
    let with_url = config(&server.url().replace("http://", "http://user:canary@"));
    let mut here = with_url.clone();
    here.basic_auth = Some(basic(Password::Here(Secret::new("other"))));
    let mut from_file = plain.clone();
    from_file.basic_auth = Some(basic(Password::File(file.clone())));
    let mut bearer = plain.clone();
    bearer.bearer_token_file = Some(file.clone());
    for (config, want) in [
        (plain, None),
        (with_url, Some("authorization: basic dxnlcjpjyw5hcnk=\r\n")),
        (here, Some("authorization: basic dxnlcjpvdghlcg==\r\n")),
        (from_file, Some("authorization: basic dxnlcjpjyw5hcnk=\r\n")),
        (bearer.clone(), Some("authorization: bearer canary\r\n")),
    ] {
        assert_eq!(kind(&first(config).await), Ok(1));
        let request = server.requests().pop().unwrap().to_ascii_lowercase();
        assert_eq!(
            request.matches("authorization").count(),
            usize::from(want.is_some()),
            "{request}"
        );
        assert!(request.contains(want.unwrap_or_default()), "{request}");
    }
    // A file is read before each scrape; without one nothing is asked.
    let mut rig = Rig::start(vec![bearer], Tuning::default());
    assert_eq!(kind(&rig.outcome().await), Ok(1));
    std::fs::write(&file, "rotated").unwrap();
    while !server
        .requests()
        .pop()
        .unwrap()
        .contains("Bearer rotated\r\n")
    {
        assert_eq!(kind(&rig.outcome().await), Ok(1));
    }
    std::fs::remove_file(&file).unwrap();
    let error = loop {
        if let Err(error) = rig.outcome().await {
            break error;
        }
    };
    assert_eq!(error.fault, ScrapeFault::Credentials);
}

#[tokio::test]
async fn f7_limits_refuse_the_page_and_f16_labels_are_the_targets() {
    let body = "a{job=\"fake\",long=\"0123456789\"} 1\nb{x=\"1\",y=\"2\",z=\"3\"} 2\nc 3\n";
    let server = FaultServer::always(Answer::Page(body.into()));
    let limited = |limit: fn(&mut ScrapeConfig)| {
        let mut config = config(&server.url());
        limit(&mut config);
        first(config)
    };
    assert_eq!(
        kind(&limited(|c| c.sample_limit = 2).await),
        Err(ScrapeFault::SampleLimit)
    );
    assert_eq!(
        kind(&limited(|c| c.label_limit = 2).await),
        Err(ScrapeFault::LabelLimit)
    );
    assert_eq!(
        kind(&limited(|c| c.label_name_length_limit = 3).await),
        Err(ScrapeFault::LabelLimit)
    );
    assert_eq!(
        kind(&limited(|c| c.label_value_length_limit = 9).await),
        Err(ScrapeFault::LabelLimit)
    );
    let born = |columns: Columns| -> Vec<String> {
        columns
            .born
            .iter()
            .map(|(_, labels)| labels.to_string())
            .collect()
    };
    let address = server.address;
    let target = format!("instance=\"{address}\",job=\"api\",tier=\"edge\"");
    let outcome = limited(|c| {
        c.labels = vec![("tier".into(), "edge".into())];
        c.metric_relabel = vec![
            Relabel {
                action: Action::Drop,
                source_labels: vec!["__name__".into()],
                regex: Anchored::new("b").unwrap(),
                ..Relabel::default()
            },
            Relabel {
                action: Action::LabelDrop,
                regex: Anchored::new("long").unwrap(),
                ..Relabel::default()
            },
        ];
    });
    let columns = outcome.await.unwrap();
    assert_eq!(
        (
            columns.samples_scraped,
            columns.samples_kept,
            columns.series_added
        ),
        (3, 2, 2)
    );
    assert_eq!(
        born(columns),
        [
            format!("a{{exported_job=\"fake\",{target}}}"),
            format!("c{{{target}}}")
        ]
    );
    let honoured = limited(|c| c.honor_labels = true).await.unwrap();
    assert!(born(honoured)[0].contains("job=\"fake\""));
}

#[tokio::test]
async fn series_that_relabelling_makes_equal_are_one() {
    let server = FaultServer::start(|n, _| {
        Answer::Page(
            if n == 0 {
                "m{v=\"1\"} 1\nm{v=\"2\"} 2\n"
            } else {
                "m{v=\"2\"} 2\n"
            }
            .into(),
        )
    });
    let mut config = config(&server.url());
    config.metric_relabel = vec![Relabel {
        action: Action::LabelDrop,
        regex: Anchored::new("v").unwrap(),
        ..Relabel::default()
    }];
    let mut rig = Rig::start(vec![config], Tuning::default());
    let columns = rig.outcome().await.unwrap();
    assert_eq!((columns.born.len(), columns.values), (1, vec![1.0]));
    let columns = rig.outcome().await.unwrap();
    assert_eq!((columns.gone.len(), columns.values), (0, vec![2.0]));
}

#[tokio::test]
async fn other_rules_ask_about_every_series_again() {
    let server = FaultServer::always(Answer::Page(page(3)));
    let mut rig = Rig::start(vec![config(&server.url())], Tuning::default());
    assert_eq!(rig.outcome().await.unwrap().born.len(), 3);
    rig.interest.store(Arc::new(Interest::new([], None)));
    let mut gone = 0;
    while gone == 0 {
        gone = rig.outcome().await.unwrap().gone.len();
    }
    assert_eq!(gone, 3);
    rig.interest
        .store(Arc::new(Interest::new([], Some(PATIENCE))));
    let mut born = Columns::default();
    while born.born.is_empty() {
        born = rig.outcome().await.unwrap();
    }
    // They were on the page all the time.
    assert_eq!((born.born.len(), born.series_added), (3, 0));
}

#[tokio::test]
async fn a_reload_keeps_what_stayed_alike() {
    let (a, b) = (
        FaultServer::always(Answer::Page(page(1))),
        FaultServer::always(Answer::Page(page(2))),
    );
    let (first, second) = (config(&a.url()), config(&b.url()));
    let mut rig = Rig::start(vec![first.clone()], Tuning::default());
    let kept = rig.target().await;
    rig.scrape().await;
    rig.scraper
        .reload(vec![first.clone(), second.clone()])
        .await;
    let added = rig.target().await;
    assert_ne!(kept.id, added.id);
    assert_eq!(added.url, b.url());
    let changed = ScrapeConfig {
        honor_labels: true,
        ..second
    };
    // The engine's end must be read while a reload tells it what went and came.
    let Rig {
        scraper,
        mut inputs,
        ..
    } = rig;
    let reload = tokio::spawn(async move {
        scraper.reload(vec![first.clone(), first, changed]).await;
        scraper
    });
    let (mut gone, mut fresh) = (None, None);
    while gone.is_none() || fresh.is_none() {
        match timeout(PATIENCE, inputs.recv()).await.unwrap().unwrap() {
            Input::TargetGone(id) => gone = Some(id),
            Input::Target(info) => fresh = Some(info.id),
            Input::Scraped(scrape) => assert_ne!(Some(scrape.target), gone, "after its end"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(gone, Some(added.id));
    assert!(fresh != Some(added.id) && fresh != Some(kept.id));
    assert_eq!(a.connections(), 1);
    let scraper = reload.await.unwrap();
    let drain = tokio::spawn(async move { while inputs.recv().await.is_some() {} });
    scraper.stop().await;
    timeout(PATIENCE, drain).await.unwrap().unwrap();
}
