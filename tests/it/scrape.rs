//! Scraping under every fault of transport, over real sockets. Names begin with the fault's row where it has one.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use gated::engine::{Columns, Input, Interest, Scrape, ScrapeError, ScrapeFault, TargetInfo};
use gated::model::Timestamp;
use gated::source::{ScrapeConfig, Scraper, Tuning, target_url};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::fault_server::{Answer, FaultServer};

/// What never takes this long hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A scraper with the engine's end of its channel.
pub struct Rig {
    pub scraper: Scraper,
    pub interest: Arc<ArcSwap<Interest>>,
    pub inputs: mpsc::Receiver<Input>,
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

    pub async fn scrape(&mut self) -> Scrape {
        loop {
            if let Input::Scraped(scrape) = self.next().await {
                return scrape;
            }
        }
    }

    /// The first outcome that is as it should be, among those to come.
    pub async fn until(
        &mut self,
        mut done: impl FnMut(&Result<Columns, ScrapeError>) -> bool,
    ) -> Result<Columns, ScrapeError> {
        let search = async {
            loop {
                let outcome = self.outcome().await;
                if done(&outcome) {
                    return outcome;
                }
            }
        };
        timeout(PATIENCE, search)
            .await
            .expect("an outcome as it should be")
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

pub fn kind(outcome: &Result<Columns, ScrapeError>) -> Result<u32, ScrapeFault> {
    let outcome = outcome.as_ref();
    outcome
        .map(|columns| columns.samples_scraped)
        .map_err(|error| error.fault)
}

pub fn page(samples: usize) -> String {
    let mut page = String::new();
    for i in 0..samples {
        writeln!(page, "m{{i=\"{i}\"}} {i}").unwrap();
    }
    page
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
