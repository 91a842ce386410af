//! The same expressions over the same series in the same run: what an evaluation costs gated, and what it costs a
//! Prometheus (`PROMETHEUS=path`, else the one that is installed) by its own account: preparing and evaluating a query,
//! the duration of a rule group. Medians. Prometheus keeps everything on disk and answers any question; gated bound these
//! before. Run it on a machine that does nothing else.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gated::model::{Labels, TargetId};
use gated::promql::{Expr, Plan};
use gated::rules::World;
use serde_json::Value;

mod service;

use service::{ERROR_RATIO, P95, SPAN, at, group, page, thousand, values, window};

const SERIES: usize = 1000;
/// Long enough for every range to be full and caches to be warm.
const WARM: Duration = Duration::from_secs(15);

fn main() {
    // `cargo test --benches` only asks whether it starts.
    if std::env::args().any(|it| it == "--test") {
        return;
    }
    let program = std::env::var("PROMETHEUS").unwrap_or_else(|_| "prometheus".to_owned());
    let version = Command::new(&program).arg("--version").output();
    let Ok(version) = version else {
        eprintln!("{program} is not there: apt-get install prometheus, or PROMETHEUS=path");
        std::process::exit(1);
    };
    let version = [version.stdout, version.stderr].concat();
    let version = String::from_utf8_lossy(&version);
    println!("{}", version.lines().next().unwrap_or_default());
    println!(
        "{:<44} {:>12} {:>12} {:>8}",
        "median, µs", "gated", "Prometheus", "ratio"
    );

    let narrow = [(
        "p95 over 12 series",
        P95.replace(
            "bucket[",
            "bucket{instance=\"10.0.0.0:8080\",path=\"/api/v1/0\"}[",
        ),
        300,
    )];
    let wide = [
        ("p95 over 43 k of 100 k", P95.to_owned(), 20),
        ("error ratio over 40 k of 100 k", ERROR_RATIO.to_owned(), 20),
    ];
    let mut large = window(100, SERIES);
    let peer = Peer::start(&program, 100, false);
    sleep(WARM);
    for (name, text, times) in narrow.into_iter().chain(wide) {
        let expr = Expr::parse(&text).expect("written above");
        let mut plan = Plan::new(&expr);
        plan.refresh(&large);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..times {
            theirs.push(peer.query(&text));
            // A single evaluation may be shorter than the clock's tick.
            let began = Instant::now();
            for _ in 0..100 {
                assert!(plan.eval(&large, at(9)).is_ok());
            }
            ours.push(began.elapsed().as_secs_f64() / 100.0);
        }
        show(name, ours, theirs);
    }
    drop(peer);
    large = window(10, SERIES);
    let peer = Peer::start(&program, 10, true);
    sleep(WARM);
    let mut group = group();
    let none = Labels::empty();
    let world = World {
        external_labels: &none,
        external_url: "",
        span: &|_| SPAN,
        kept: &|_| Ok(()),
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for scrape in 10..40 {
        let values = values(SERIES, scrape);
        for id in 0..10 {
            large.append(TargetId(id), at(scrape), &values, &[]);
        }
        let began = Instant::now();
        group.eval(&mut large, at(scrape), &world);
        ours.push(began.elapsed().as_secs_f64());
        sleep(Duration::from_millis(500));
        theirs.push(peer.group());
    }
    assert_eq!(group.unhealthy().count(), 0);
    // The first binds its rules.
    ours.remove(0);
    show("1000 rules in one slot, 10 k series", ours, theirs);
}

fn show(name: &str, mut ours: Vec<f64>, mut theirs: Vec<f64>) {
    let middle = |all: &mut Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2] * 1e6
    };
    let (ours, theirs) = (middle(&mut ours), middle(&mut theirs));
    println!(
        "{name:<44} {ours:>12.2} {theirs:>12.0} {:>7.0}×",
        theirs / ours
    );
}

/// A Prometheus that scrapes our pages every second.
struct Peer {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    fn start(program: &str, targets: usize, rules: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder for a peer");
        let pages = serve();
        let mut config = String::from("global: {scrape_interval: 1s, evaluation_interval: 1s}\n");
        if rules {
            config += "rule_files: [rules.yml]\n";
            let mut text = String::from("groups:\n- name: bench\n  rules:\n");
            for (record, name, expr) in thousand() {
                let kind = if record { "record" } else { "alert" };
                let _ = writeln!(text, "  - {kind}: {name}\n    expr: '{expr}'");
            }
            write(&folder.path().join("rules.yml"), &text);
        }
        config += "scrape_configs:\n";
        for id in 0..targets {
            let _ = writeln!(
                config,
                "- job_name: t{id}\n  static_configs: [{{targets: ['{pages}'], labels: {{instance: '10.0.0.{id}:8080', job: app}}}}]"
            );
        }
        let file = folder.path().join("prometheus.yml");
        write(&file, &config);
        let address = free();
        let child = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it told its version");
        Self {
            child,
            address,
            _folder: folder,
        }
    }

    fn ask(&self, text: &str, more: &str) -> Value {
        let query: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let path = format!("/api/v1/query?query={query}{more}");
        let request = format!("GET {path} HTTP/1.0\r\nHost: peer\r\n\r\n");
        let mut stream = TcpStream::connect(self.address).expect("it runs");
        stream.write_all(request.as_bytes()).expect("it listens");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("it answers");
        let body = reply.split_once("\r\n\r\n").map_or("", |it| it.1);
        let reply: Value = serde_json::from_str(body).unwrap_or_default();
        assert_ne!(
            reply["data"]["result"],
            Value::Array(Vec::new()),
            "{text}: {reply}"
        );
        reply["data"].clone()
    }

    /// Seconds that one evaluation took.
    fn query(&self, text: &str) -> f64 {
        let told = self.ask(text, "&stats=all");
        let part = |name: &str| {
            told["stats"]["timings"][name]
                .as_f64()
                .expect("2.x and 3.x tell")
        };
        part("queryPreparationTime") + part("innerEvalTime")
    }

    /// Seconds that the last slot of its group took.
    fn group(&self) -> f64 {
        let mut stream = TcpStream::connect(self.address).expect("it runs");
        let request = b"GET /metrics HTTP/1.0\r\nHost: peer\r\n\r\n";
        stream.write_all(request).expect("it listens");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("it answers");
        let is = |line: &&str| line.starts_with("prometheus_rule_group_last_duration_seconds{");
        let line = page.lines().find(is).expect("it has a group");
        let value = line.rsplit(' ').next().and_then(|it| it.parse().ok());
        value.expect("a number")
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the folder is ours");
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound")
}

/// The page of every target, with counters that go on.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let heads: Vec<String> = page(SERIES).iter().map(head).collect();
    let heads = Arc::new(heads);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let heads = Arc::clone(&heads);
            std::thread::spawn(move || answer(stream.ok()?, &heads).ok());
        }
    });
    address
}

/// Without `instance`, which the scrape adds.
fn head(labels: &Labels) -> String {
    let pairs = labels
        .iter()
        .filter(|(name, _)| !matches!(*name, "__name__" | "instance"));
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("{}{{{}}} ", labels.name(), pairs.join(","))
}

fn answer(mut stream: TcpStream, heads: &[String]) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    loop {
        let len = stream.read(&mut part)?;
        if len == 0 {
            return Ok(());
        }
        request.extend_from_slice(&part[..len]);
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        request.clear();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = now.map_or(0, |it| it.as_secs() % 100_000);
        let mut body = String::new();
        for (head, value) in heads.iter().zip(values(heads.len(), seconds.cast_signed())) {
            let _ = writeln!(body, "{head}{value}");
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n";
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len())?;
    }
}
