//! Probes over real sockets: what a component says is data, what gated cannot ask is not; and the two stories of a
//! release whose pages are gone, with the real binary.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use gated::engine::{Columns, Input, Interest, Scrape, ScrapeError, ScrapeFault, Times};
use gated::model::{TargetId, Timestamp};
use gated::source::{
    Ask, Expect, HttpProbe, HttpRequest, Method, ProbeConfig, Prober, Tls, Tuning, Url,
};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::binary::{Daemon, Exporter, House, Receiver, Said, config, eventually, told};
use crate::fault_server::{Answer, FaultServer};
use crate::peers::free_address;

const PATIENCE: Duration = Duration::from_secs(20);

pub fn http(url: &str) -> HttpProbe {
    HttpProbe {
        request: request(url),
        expect: Expect::default(),
    }
}

pub fn request(url: &str) -> HttpRequest {
    HttpRequest {
        url: Url::parse(url).unwrap(),
        method: Method::GET,
        headers: gated::source::HeaderMap::new(),
        tls: Tls::default(),
    }
}

pub fn probe(ask: Ask) -> ProbeConfig {
    ProbeConfig {
        component: "API gateway".into(),
        ask,
        interval: Duration::from_millis(400),
        timeout: Duration::from_millis(350),
    }
}

pub fn over_http(probed: HttpProbe) -> ProbeConfig {
    probe(Ask::Http(Box::new(probed)))
}

pub struct Rig {
    pub prober: Prober,
    pub interest: Arc<ArcSwap<Interest>>,
    pub inputs: mpsc::Receiver<Input>,
}

impl Rig {
    /// Its clock stands in 1970.
    pub fn start(configs: Vec<ProbeConfig>, tuning: &Tuning) -> Self {
        Self::start_at(1_000_000, configs, tuning)
    }

    /// Its clock goes on by a millisecond each time that it is read.
    pub fn start_at(millis: i64, configs: Vec<ProbeConfig>, tuning: &Tuning) -> Self {
        let interest = Arc::new(ArcSwap::from_pointee(Interest::default()));
        let clock = AtomicI64::new(millis);
        let now = Arc::new(move || Timestamp::from_millis(clock.fetch_add(1, Ordering::SeqCst)));
        let (sender, inputs) = mpsc::channel(16);
        let prober = Prober::start(configs, tuning, Arc::clone(&interest), now, sender);
        Self {
            prober,
            interest,
            inputs,
        }
    }

    pub async fn next(&mut self) -> Input {
        let next = timeout(PATIENCE, self.inputs.recv()).await;
        next.expect("an input").expect("a prober")
    }

    pub async fn scrape(&mut self) -> Scrape {
        loop {
            if let Input::Scraped(scrape) = self.next().await {
                return scrape;
            }
        }
    }
}

/// What one probe told the engine: its series without the labels that all of it have, and its words.
#[derive(Debug)]
pub struct Told {
    pub series: BTreeMap<String, f64>,
    pub note: String,
}

impl Told {
    pub fn of(columns: &Columns) -> Self {
        let own = ["component", "instance", "job"];
        let series = columns.born.iter().map(|(slot, labels)| {
            let value = columns.values[slot.0 as usize];
            let name = labels.filter(|name| !own.contains(&name)).to_string();
            (name, value)
        });
        Self {
            series: series.collect(),
            note: columns.note.as_deref().unwrap_or_default().to_owned(),
        }
    }

    pub fn value(&self, series: &str) -> Option<f64> {
        self.series.get(series).copied()
    }

    /// Whether it succeeded; a failing has its words and a success none.
    pub fn succeeded(&self) -> bool {
        let success = self.value("probe_success") == Some(1.0);
        assert_eq!(success, self.note.is_empty(), "{self:?}");
        success
    }
}

pub async fn asked(ask: Ask, tuning: &Tuning) -> Result<Told, ScrapeError> {
    let config = ProbeConfig {
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(9),
        ..probe(ask)
    };
    let now = jiff::Timestamp::now().as_millisecond();
    let mut rig = Rig::start_at(now, vec![config], tuning);
    let outcome = rig.scrape().await.outcome;
    outcome.map(|columns| Told::of(&columns))
}

/// What one probe came to: success, or the fault of gated's own.
async fn said(config: ProbeConfig, tuning: &Tuning) -> Result<f64, ScrapeFault> {
    let outcome = Rig::start(vec![config], tuning).scrape().await.outcome;
    outcome.map(|it| it.values[0]).map_err(|it| it.fault)
}

async fn answered(answer: Answer, change: impl FnOnce(&mut HttpProbe)) -> f64 {
    let server = FaultServer::always(answer);
    let mut probed = http(&server.url());
    change(&mut probed);
    said(over_http(probed), &Tuning::default()).await.unwrap()
}

#[tokio::test]
async fn a_component_answers_as_expected_or_fails() {
    let page = |text: &str| Answer::Page(text.into());
    let ok = |it: &mut HttpProbe| it.expect.body = Some("ok".into());
    assert_eq!(answered(page("x"), |_| {}).await, 1.0);
    assert_eq!(answered(page("all ok here"), ok).await, 1.0);
    assert_eq!(answered(page("fine"), ok).await, 0.0);
    let teapot = || Answer::status("418 I'm a teapot", "ok");
    assert_eq!(answered(teapot(), |_| {}).await, 0.0);
    assert_eq!(
        answered(teapot(), |it| it.expect.status = Some(418)).await,
        1.0
    );
    assert_eq!(
        answered(page("x"), |it| it.expect.status = Some(204)).await,
        0.0
    );
    // Nobody waits for the rest of a body in which the text stands, nor for one that has no end.
    let endless = |first: &str| {
        Answer::Endless(
            format!("HTTP/1.1 200 OK\r\n\r\n{first}").into_bytes(),
            vec![b'x'; 4096],
        )
    };
    assert_eq!(answered(endless("ok"), ok).await, 1.0);
    assert_eq!(answered(endless("no"), ok).await, 0.0);
    assert_eq!(answered(Answer::Hang, |_| {}).await, 0.0);
    assert_eq!(
        answered(Answer::Raw(b"SSH-2.0-x\r\n".to_vec()), |_| {}).await,
        0.0
    );
    let nobody = over_http(http(&format!("http://{}/", free_address())));
    assert_eq!(said(nobody, &Tuning::default()).await, Ok(0.0));
}

#[tokio::test]
async fn redirects_are_not_followed_and_the_request_is_as_configured() {
    let inside = FaultServer::always(Answer::Page("secret".into()));
    let away = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        inside.url()
    );
    let server = FaultServer::always(Answer::Raw(away.into_bytes()));
    let mut probed = http(&server.url());
    probed.request.method = Method::HEAD;
    probed
        .request
        .headers
        .insert("x-key", "abc".parse().unwrap());
    assert_eq!(said(over_http(probed), &Tuning::default()).await, Ok(0.0));
    let head = server.requests()[0].to_lowercase();
    assert!(
        head.starts_with("head /metrics ") && head.contains("x-key: abc"),
        "{head}"
    );
    assert_eq!(inside.requests().len(), 0);
}

#[tokio::test]
async fn a_connection_that_is_taken_is_enough_over_tcp() {
    let ask = |address: SocketAddr| {
        let (host, port) = (address.ip().to_string(), address.port());
        probe(Ask::Tcp { host, port })
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = ask(listener.local_addr().unwrap());
    assert_eq!(said(open.clone(), &Tuning::default()).await, Ok(1.0));
    drop(listener);
    assert_eq!(said(open, &Tuning::default()).await, Ok(0.0));
    assert_eq!(said(ask(free_address()), &Tuning::default()).await, Ok(0.0));
}

/// The other half of "a failing probe is data": what says nothing of the component must not look like its failing.
#[tokio::test]
async fn a_probe_that_gated_cannot_make_is_a_failed_scrape() {
    let mut misconfigured = http("https://127.0.0.1:1/");
    misconfigured.request.tls.ca_file = Some("/nowhere/ca.pem".into());
    let misconfigured = over_http(misconfigured);
    assert_eq!(
        said(misconfigured, &Tuning::default()).await,
        Err(ScrapeFault::Tls)
    );
    // Servers of names that do not answer, and one that answers that it cannot.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let failing = crate::discovery::failing_name_server();
    for server in [silent.local_addr().unwrap(), failing] {
        let tuning = Tuning {
            name_servers: vec![server],
            ..Tuning::default()
        };
        let ask = Ask::Tcp {
            host: "db.example.".into(),
            port: 5432,
        };
        assert_eq!(said(probe(ask), &tuning).await, Err(ScrapeFault::Dns));
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_the_components_failing() {
    let tuning = crate::discovery::knowing_nothing();
    let ask = over_http(http("http://db.example./"));
    assert_eq!(said(ask, &tuning).await, Ok(0.0));
}

#[tokio::test]
async fn a_probe_is_a_target_of_its_own_whose_series_follow_the_rules() {
    let server = FaultServer::always(Answer::Page("x".into()));
    let config = over_http(http(
        &server.url().replace("http://", "http://user:canary@"),
    ));
    let mut rig = Rig::start(vec![config.clone()], &Tuning::default());
    let Input::Target(info) = rig.next().await else {
        panic!("the target comes first");
    };
    let labels = format!(
        "component=\"API gateway\",instance=\"{}\",job=\"probe\"",
        server.address
    );
    assert_eq!(info.labels.to_string(), format!("{{{labels}}}"));
    assert!(info.id >= TargetId::PROBES && !info.id.is_scraped());
    assert!(!format!("{info:?}").contains("canary"), "{info:?}");
    let born = |columns: &Columns| -> Vec<String> {
        columns
            .born
            .iter()
            .map(|(_, labels)| labels.to_string())
            .collect()
    };
    let names = [
        "probe_success",
        "probe_duration_seconds",
        "probe_http_status_code",
    ];
    let all = names.map(|it| format!("{it}{{{labels}}}"));
    let first = rig.scrape().await;
    let columns = first.outcome.unwrap();
    assert_eq!((born(&columns), first.target), (all.to_vec(), info.id));
    assert_eq!(columns.values[2], 200.0);
    assert!(gated::model::is_stale(columns.values[3]) && columns.values.len() == 4);
    assert!(
        columns.values[1] > 0.0 && columns.values[1] < 1.0,
        "{columns:?}"
    );
    assert_eq!(
        born(&rig.scrape().await.outcome.unwrap()),
        [] as [String; 0]
    );
    // A rollout that begins changes nothing about the series.
    let times = Times {
        rollout_began: Some(Timestamp::from_millis(1)),
        ..Times::default()
    };
    rig.interest.store(Arc::new(rig.interest.load().at(times)));
    for _ in 0..3 {
        let columns = rig.scrape().await.outcome.unwrap();
        assert_eq!(born(&columns), [] as [String; 0]);
    }
    // Other rules may need the series for longer: they are named again.
    rig.interest.store(Arc::new(Interest::default()));
    loop {
        let columns = rig.scrape().await.outcome.unwrap();
        if !columns.born.is_empty() {
            assert_eq!((born(&columns), columns.series_added), (all.to_vec(), 0));
            break;
        }
    }
    // A reload that changes nothing leaves it alone, one that changes it begins another.
    rig.prober.reload(vec![config.clone()]).await;
    assert_eq!(rig.scrape().await.target, info.id);
    let other = ProbeConfig {
        timeout: Duration::from_millis(300),
        ..config
    };
    rig.prober.reload(vec![other]).await;
    let mut gone = false;
    loop {
        match rig.next().await {
            Input::TargetGone(id) => gone = id == info.id,
            Input::Target(next) => break assert!(gone && next.id != info.id),
            _ => assert!(!gone, "nothing comes after the end"),
        }
    }
}

/// Errors roll back, a release without a page holds: what the component's probe is for.
const RULES: &str = r#"
clock = "rollout"
[signals.broken]
expr = 'max(broken)'
unit = "count"
empty = 0
[[phase]]
name = "watch"
from = "0s"
rollback = "armed"
gate = "green"
[phase.targets]
broken = "== 0"
"component:API gateway" = "== 1"
[[phase.trigger]]
name = "breakage"
when = 'broken > 0 and "component:API gateway" == 0'
for = "200ms"
do = "escalate"
"#;

/// A service whose page and whose health may go away, each by itself.
struct Shop {
    server: FaultServer,
    page: Arc<AtomicBool>,
    health: Arc<AtomicBool>,
}

impl Shop {
    fn start() -> Self {
        let (page, health) = (
            Arc::new(AtomicBool::new(true)),
            Arc::new(AtomicBool::new(true)),
        );
        let (paged, healthy) = (Arc::clone(&page), Arc::clone(&health));
        let server = FaultServer::start(move |_, head| {
            let shown = if head.contains(" /metrics ") {
                &paged
            } else {
                &healthy
            };
            if shown.load(Ordering::SeqCst) {
                Answer::Page("# TYPE broken gauge\nbroken 0\n".into())
            } else {
                Answer::Raw(Vec::new())
            }
        });
        Self {
            server,
            page,
            health,
        }
    }

    fn config(&self, receiver: &Receiver) -> String {
        let probe = format!(
            "[[probe]]\ncomponent = \"API gateway\"\nhttp = \"http://{}/health\"\ninterval = \"100ms\"\ntimeout = \"90ms\"\ncritical = true\nfor = \"1s\"\n",
            self.server.address
        );
        config(&[&self.server.url()], &receiver.url(), &told("2")) + &probe
    }
}

fn check(daemon: &Daemon, name: &str, role: &str) -> Value {
    let verdict = daemon.verdict();
    let checks = verdict["checks"].as_array().unwrap().clone();
    let found = checks
        .into_iter()
        .find(|it| it["name"] == name && it["role"] == role);
    found.unwrap_or_else(|| panic!("no {name} among {verdict}"))
}

#[test]
fn a_release_that_crash_loops_is_rolled_back_through_its_components_probe() {
    let (shop, receiver) = (Shop::start(), Receiver::start(|_, _| Said::Status(200)));
    let house = House::new(&shop.config(&receiver), RULES);
    let daemon = house.start();
    daemon.wait_for("green");
    let quiet = check(&daemon, "component:API gateway", "component");
    assert_eq!(
        (&quiet["outcome"], &quiet["value"]),
        (&"quiet".into(), &1.0.into()),
        "{quiet}"
    );
    let met = check(&daemon, "component:API gateway", "target");
    assert_eq!(met["outcome"], "met", "{met}");
    let pool = daemon.get("/api/v1/targets?scrapePool=probe").json();
    let targets = pool["data"]["activeTargets"].as_array().unwrap();
    assert_eq!(
        (targets.len(), &targets[0]["health"]),
        (1, &"up".into()),
        "{pool}"
    );
    assert!(daemon.get("/").body.contains("component:API gateway"));
    let head = "gated_signal{signal=\"component:API gateway\",unit=\"none\"}";
    assert_eq!(
        daemon.metric(head),
        Some(1.0),
        "{}",
        daemon.get("/metrics").body
    );

    shop.page.store(false, Ordering::SeqCst);
    shop.health.store(false, Ordering::SeqCst);
    eventually("the rollback", || receiver.taken() == 1);
    let decisions = daemon.decisions();
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    let decided = &decisions[0];
    for (key, value) in [
        ("do", "rollback"),
        ("trigger", "component:API gateway"),
        ("severity", "P1"),
    ] {
        assert_eq!(decided[key], value, "{decided}");
    }
    let firing = check(&daemon, "component:API gateway", "component");
    assert_eq!(firing["outcome"], "firing");
    let reason = firing["reason"].as_str().unwrap();
    let words =
        "component:API gateway: its probe fails: the connection ended before the answer did";
    assert_eq!(reason, words);
    let said = decided["reason"].as_str().unwrap();
    assert!(said.contains("the connection ended before"), "{said}");
    let page = daemon.get("/").body;
    assert!(page.contains("the connection ended before"), "{page}");
    let pool = daemon.get("/api/v1/targets?scrapePool=probe").json();
    let target = &pool["data"]["activeTargets"][0];
    assert_eq!(target["health"], "up", "a failing probe is data: {pool}");
}

#[test]
fn a_scrape_outage_with_healthy_probes_rolls_nothing_back() {
    let (shop, receiver) = (Shop::start(), Receiver::start(|_, _| Said::Status(200)));
    let house = House::new(&shop.config(&receiver), RULES);
    let daemon = house.start();
    daemon.wait_for("green");
    shop.page.store(false, Ordering::SeqCst);
    daemon.wait_for("unknown");
    // As long as the probe's `for`, and once more.
    std::thread::sleep(Duration::from_secs(2));
    let check = |name, role| check(&daemon, name, role);
    assert_eq!(
        check("component:API gateway", "component")["outcome"],
        "quiet"
    );
    let blind = check("broken", "target");
    assert_eq!(
        (&blind["outcome"], &blind["reading"]),
        (&"unknown".into(), &"stale".into())
    );
    assert_eq!((daemon.decisions(), receiver.taken()), (Vec::new(), 0));
    assert_eq!(daemon.verdict()["status"], "unknown");
}

/// `empty = 0` means "no series yet" only while a page answers: a probe that answers is no page.
#[test]
fn a_probe_that_answers_makes_no_zero_of_pages_that_never_came() {
    let (shop, receiver) = (Shop::start(), Receiver::start(|_, _| Said::Status(200)));
    shop.page.store(false, Ordering::SeqCst);
    let house = House::new(&shop.config(&receiver), RULES);
    let daemon = house.start();
    eventually("the probe", || {
        check(&daemon, "component:API gateway", "target")["outcome"] == "met"
    });
    assert_eq!(check(&daemon, "broken", "target")["reading"], "stale");
}

#[test]
fn a_dry_run_asks_the_probes_and_a_critical_one_that_fails_is_no_go() {
    let (shop, receiver) = (Shop::start(), Receiver::start(|_, _| Said::Status(200)));
    let house = House::new(&shop.config(&receiver), RULES);
    let run = || {
        let output = house.run(&["--dry-run", "--format", "json", "--for", "1s"]);
        let page: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), page)
    };
    let (code, page) = run();
    assert_eq!((code, &page["verdict"]), (Some(0), &"go".into()), "{page}");
    shop.health.store(false, Ordering::SeqCst);
    let (code, page) = run();
    assert_eq!(
        (code, &page["verdict"]),
        (Some(1), &"no_go".into()),
        "{page}"
    );
    let reasons = page["reasons"].to_string();
    assert!(
        reasons.contains("component:API gateway: its probe fails"),
        "{page}"
    );
    let fired = &page["would_fire"][0];
    assert_eq!(
        (&fired["do"], &fired["because"][0]),
        (&"rollback".into(), &"component:API gateway".into()),
        "{page}"
    );
    assert_eq!(receiver.posted().len(), 0);
}

#[test]
fn a_reload_adds_and_removes_probes() {
    let (shop, receiver) = (Shop::start(), Receiver::start(|_, _| Said::Status(200)));
    let house = House::new(&shop.config(&receiver), RULES);
    let daemon = house.start();
    daemon.wait_for("green");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!(
        "[[probe]]\ncomponent = \"db\"\ntcp = \"{}\"\ninterval = \"100ms\"\n",
        listener.local_addr().unwrap()
    );
    house.configure(&(shop.config(&receiver) + &more));
    house.rule(&RULES.replace(
        "\"component:API gateway\" = \"== 1\"",
        "\"component:db\" = \"== 1\"",
    ));
    daemon.signal("HUP");
    eventually("the new probe", || {
        let verdict = daemon.verdict();
        verdict["status"] == "green" && verdict["checks"].to_string().contains("component:db")
    });
    house.rule(RULES);
    fs::write(house.path("gated.toml"), shop.config(&receiver)).unwrap();
    daemon.signal("HUP");
    eventually("its end", || {
        let pool = daemon.get("/api/v1/targets?scrapePool=probe").json();
        pool["data"]["activeTargets"].as_array().unwrap().len() == 1
    });
    drop(Exporter::start(false));
    daemon.wait_for("green");
}
