//! `gated.toml` as people write it, and `gated check`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use expect_test::{Expect, expect};
use gated::engine::{OnDoubt, PredatesPolicy, RollbackMode, UnknownPast};
use gated::model::{Action, NoticeKind, Severity};
use gated::run::check;
use gated::run::config::{Config, Held, Probe};
use gated::runbook::{Faults, Rules, Source, load};
use gated::source::exposition::Format;
use gated::source::{Ask, DnsKind, Password, Scalar};
use proptest::prelude::*;

const BASE: &str = r#"[service]
name = "api"
[[scrape]]
job = "api"
targets = ["http://127.0.0.1:8080/metrics"]
[alertmanager]
urls = ["http://127.0.0.1:9093"]
"#;

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn no_env(_: &str) -> Option<String> {
    None
}

fn load_with(text: &str, env: &[(&str, &str)]) -> Result<Config, Faults> {
    let env: BTreeMap<&str, &str> = env.iter().copied().collect();
    let source = Source {
        path: "gated.toml".to_owned(),
        text: text.to_owned(),
    };
    Config::load(source, &|name| env.get(name).map(|it| (*it).to_owned()))
}

fn loaded(text: &str) -> Config {
    load_with(text, &[]).unwrap_or_else(|faults| panic!("{faults}"))
}

fn messages(faults: &Faults) -> Vec<String> {
    let line = |it: &gated::runbook::Fault| {
        format!("{}: {} | {}", it.line(&faults.sources), it.message, it.help)
    };
    faults.faults.iter().map(line).collect()
}

fn check(text: &str, expected: &Expect) {
    let faults = load_with(text, &[]).expect_err("a fault");
    expected.assert_eq(&faults.render(false));
}

#[test]
fn the_shipped_configuration_loads_without_any_environment_and_without_a_warning() {
    let config = loaded(&fs::read_to_string(at("config/gated.toml")).unwrap());
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    assert_eq!(config.rollback.mode, RollbackMode::Shadow);
    assert_eq!((config.rollout.told, config.rollout.go_live), (None, None));
    let report = check::config(&at("config/gated.toml"), &[at("rules")], &no_env, false);
    assert_eq!(report.code, 0, "{}", report.text);
}

/// That of a go-live: whole but for the people's names, which it says, and for a go-live at another time than midnight.
#[test]
fn the_shipped_configuration_of_a_go_live_says_what_is_left_to_fill_in() {
    let checked = |go_live: &'static str| {
        let environment = move |name: &str| (name == "GO_LIVE").then(|| go_live.to_owned());
        check::config(
            &at("config/day1.toml"),
            &[at("rules/day1.toml")],
            &environment,
            false,
        )
    };
    let report = checked("2026-12-01T00:00:00Z");
    assert_eq!(report.code, 0, "{}", report.text);
    let of_people = report.text.matches("stands there still").count();
    assert!(
        of_people == 6 && report.text.contains("6 warnings"),
        "{}",
        report.text
    );
    let report = checked("2026-12-01T07:00:00Z");
    for words in [
        "phase `sustained` goes from 2026-12-01 20:00 to 2026-12-02 07:00",
        "a go-live at midnight",
    ] {
        assert!(report.text.contains(words), "{words}: {}", report.text);
    }
}

#[test]
fn the_scenarios_configuration_loads() {
    let config = loaded(&fs::read_to_string(at("tests/data/scenarios/gated.toml")).unwrap());
    assert_eq!(config.rollback.mode, RollbackMode::Armed);
    assert_eq!(config.rollback.hook.as_deref(), Some("deployer"));
    assert!(config.warnings.is_empty(), "{}", config.warnings);
}

#[test]
fn every_key_is_read() {
    let text = r#"
[service]
name = "shop"
environment = "staging"
timezone = "Europe/Berlin"
owner = "team-shop"
links = { runbook = "https://wiki.example.com" }
[server]
listen = "0.0.0.0:0"
token_file = "/etc/gated/token"
external_url = "https://gated.example.com/"
[[scrape]]
job = "shop"
targets = ["shop:8080", "https://shop.example.com/m"]
files = ["targets/*.json"]
dns = ["_metrics._tcp.shop", "shop:81", { name = "shop6", type = "AAAA", port = 82 }]
interval = "100ms"
timeout = "50ms"
body_size_limit = "1MiB"
sample_limit = 10
label_limit = 11
label_name_length_limit = 12
label_value_length_limit = 13
labels = { tier = "edge" }
honor_labels = true
honor_timestamps = false
basic_auth = { username = "u", password_file = "/p" }
bearer_token_file = "/b"
headers = { X-Key = "${KEY}" }
tls.ca_file = "/ca"
tls.cert_file = "/cert"
tls.key_file = "/key"
tls.server_name = "shop"
tls.insecure_skip_verify = true
[[scrape.metric_relabel]]
action = "drop"
source_labels = ["__name__"]
regex = "go_.*"
[[probe]]
component = "API gateway"
http = "https://api.example.com/health"
method = "POST"
headers = { X-Key = "${KEY}" }
tls.ca_file = "/probe-ca"
expect = { status = 204, body = "ok" }
interval = "1s"
timeout = "500ms"
critical = true
for = "10s"
[[probe]]
component = "db"
tcp = "[::1]:5432"
[[probe]]
component = "front"
http = "https://shop.example.com/"
[probe.expect]
header = { "Content-Type" = "application/json" }
json = { "/status" = "ok", "/depth" = 3, "/up" = true }
latency = "500ms"
certificate = "14d"
[[probe]]
component = "name"
dns = "api.example.com"
expect = { address = ["10.0.0.7", "fd00::7"] }
[[probe]]
component = "smoke"
command = ["pytest", "--key=${KEY}", "tests/smoke"]
expect = { exit = 5 }
env = { TOKEN = "${KEY}" }
critical = true
[[probe]]
component = "tests"
junit = "reports/*.xml"
max_age = "2h"
[[probe]]
component = "support"
json = { url = "https://help.example.com/stats", pointer = "/open_tickets", metric = "support_open_tickets" }
headers = { Authorization = "Bearer ${KEY}" }
[[probe]]
component = "shop"
json.url = "https://shop.example.com/stats"
json.values = [{ pointer = "/a", metric = "shop_orders", labels = { kind = "open" } }, { pointer = "/b", metric = "shop_orders" }]
interval = "10m"
[rollout]
version = "2.0"
previous_version = "1.9"
started_at = 2026-12-01T00:00:00Z
version_from = "app_build_info"
go_live = "2026-12-01T01:00:00+01:00"
baseline = "5m"
[judging]
settle = "0s"
hold_for = "1m"
blind_after = "2m"
coverage = 0.75
[rollback]
mode = "armed"
hook = "deployer"
cooldown = "0s"
predates = "0s"
veto = "0s"
give_up_after = "1m"
[[webhook]]
name = "deployer"
url = "http://127.0.0.1:9/rollback"
secret_file = "/secret"
headers = { Authorization = "Bearer ${KEY}" }
timeout = "1s"
give_up_after = "2h"
health = "http://127.0.0.1:9/healthz"
accepts_test = true
events = ["gated.rollback.requested", "gated.test"]
template = "generic"
on_doubt = "hold"
confirm = "5m"
ca_file = "/c"
deny_cidr = ["10.0.0.0/8"]
[[webhook]]
name = "people"
url = "http://127.0.0.1:9/people"
[alertmanager]
urls = ["http://127.0.0.1:9093/"]
resend = "30s"
repeat = "5m"
labels = { region = "eu" }
bearer_token_file = "/am-token"
critical = 'severity=~"critical|page", team!=db'
[window]
retain = "15m"
[storage]
path = "/var/lib/gated/gated.db"
"#;
    let mut config = load_with(text, &[("KEY", "canary")]).unwrap_or_else(|e| panic!("{e}"));
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    assert_eq!(config.service.labels["owner"], "team-shop");
    assert_eq!(
        config.service.labels["link_runbook"],
        "https://wiki.example.com"
    );
    assert_eq!(
        config.server.external_url.as_deref(),
        Some("https://gated.example.com")
    );
    let scrape = &config.scrapes[0];
    let targets: Vec<&str> = scrape
        .targets
        .iter()
        .map(gated::source::Url::as_str)
        .collect();
    assert_eq!(
        targets,
        ["http://shop:8080/metrics", "https://shop.example.com/m"]
    );
    let kinds: Vec<DnsKind> = scrape.dns.iter().map(|it| it.kind).collect();
    assert_eq!(
        kinds,
        [
            DnsKind::Srv,
            DnsKind::A { port: 81 },
            DnsKind::Aaaa { port: 82 }
        ]
    );
    assert_eq!(scrape.interval, Duration::from_millis(100));
    assert_eq!(
        (
            scrape.body_size_limit,
            scrape.sample_limit,
            scrape.label_limit
        ),
        (1 << 20, 10, 11)
    );
    assert_eq!(
        (
            scrape.label_name_length_limit,
            scrape.label_value_length_limit
        ),
        (12, 13)
    );
    assert!(scrape.honor_labels && !scrape.honor_timestamps && scrape.tls.insecure_skip_verify);
    assert!(matches!(
        scrape.basic_auth.as_ref().unwrap().password,
        Password::File(_)
    ));
    assert_eq!((scrape.headers.len(), scrape.metric_relabel.len()), (1, 1));
    let [gateway, db, others @ ..] = &config.probes[..] else {
        panic!("{:?}", config.probes);
    };
    assert_eq!(
        (gateway.critical, gateway.hold),
        (true, Duration::from_secs(10))
    );
    let pace = |it: &Probe| {
        (
            it.config.interval.as_millis(),
            it.config.timeout.as_millis(),
        )
    };
    assert_eq!((pace(gateway), pace(db)), ((1000, 500), (5000, 2000)));
    let Ask::Http(http) = &gateway.config.ask else {
        panic!("{gateway:?}");
    };
    assert_eq!(
        (http.expect.status, http.expect.body.as_deref()),
        (Some(204), Some("ok"))
    );
    assert_eq!(
        (http.request.method.as_str(), http.request.headers.len()),
        ("POST", 1)
    );
    let (host, port) = ("::1".to_owned(), 5432);
    assert_eq!(db.config.ask, Ask::Tcp { host, port });
    assert_eq!((db.critical, db.hold), (false, Duration::from_secs(30)));
    every_kind_of_probe(others);
    let told = config.rollout.told.as_ref().unwrap();
    assert_eq!(told.started_at, config.rollout.go_live);
    assert!((config.judging.coverage - 0.75).abs() < 1e-9 && config.judging.settle.is_zero());
    let hook = &config.webhooks[0];
    assert_eq!(hook.url.expose(), "http://127.0.0.1:9/rollback");
    assert_eq!(
        (hook.headers[0].0.as_str(), hook.headers[0].1.expose()),
        ("authorization", "Bearer canary")
    );
    let sender = hook.sender(Held::default());
    assert_eq!(
        (sender.name.as_str(), sender.timeout),
        ("deployer", Duration::from_secs(1))
    );
    let settings = config.settings(Arc::new(Rules::default()));
    assert_eq!(
        settings.receivers[0].give_up_after,
        Duration::from_secs(7200)
    );
    assert_eq!(
        settings.receivers[0].events,
        [NoticeKind::RollbackRequested]
    );
    assert_eq!(
        (
            settings.receivers[0].on_doubt,
            settings.receivers[0].confirm_within
        ),
        (OnDoubt::Hold, Some(Duration::from_secs(300)))
    );
    assert_eq!(settings.alerting.unwrap().resend, Duration::from_secs(30));
    assert_eq!(settings.retain, Some(Duration::from_secs(900)));
    assert_eq!(
        (settings.service.as_str(), settings.environment.as_str()),
        ("shop", "staging")
    );
    config.store_in(Path::new("data"));
    assert_eq!(config.storage, Path::new("data/gated.db"));
    let alertmanager = config.alertmanager.as_ref().unwrap();
    let critical = alertmanager.critical.iter().map(gated::sink::Matcher::text);
    let critical: Vec<&str> = critical.collect();
    assert_eq!(critical, ["severity=~\"critical|page\"", "team!=\"db\""]);
    assert_eq!(alertmanager.labels["region"], "eu");
    assert_eq!(settings.alerts_repeat, Duration::from_secs(300));
    assert_eq!(config.unreadable().len(), 9, "{:?}", config.unreadable());
    assert!(!format!("{config:?}").contains("canary"), "{config:?}");
}

/// What each kind reads, with the pace and the `for` that hold where the file says none.
fn every_kind_of_probe(probes: &[Probe]) {
    let [front, name, smoke, tests, support, shop] = probes else {
        panic!("{probes:?}");
    };
    let pace = |it: &Probe| {
        let seconds = [it.config.interval, it.config.timeout, it.hold];
        seconds.map(|it| it.as_secs())
    };
    let paces = [front, name, smoke, tests, support, shop].map(pace);
    let expected = [
        [5, 2, 30],
        [5, 2, 30],
        [300, 120, 0],
        [60, 10, 0],
        [60, 10, 30],
        [600, 10, 30],
    ];
    assert_eq!(paces, expected);
    let Ask::Http(http) = &front.config.ask else {
        panic!("{front:?}");
    };
    let expect = &http.expect;
    assert_eq!(
        expect.headers,
        [("Content-Type".to_owned(), "application/json".to_owned())]
    );
    let json = [
        ("/status".to_owned(), Scalar::Text("ok".into())),
        ("/depth".to_owned(), Scalar::Number(3.0)),
        ("/up".to_owned(), Scalar::Flag(true)),
    ];
    assert_eq!(expect.json, json);
    assert_eq!(expect.latency, Some(Duration::from_millis(500)));
    assert_eq!(expect.certificate, Some(Duration::from_secs(14 * 86_400)));
    let Ask::Dns { name, addresses } = &name.config.ask else {
        panic!("{name:?}");
    };
    assert_eq!((name.as_str(), addresses.len()), ("api.example.com", 2));
    let Ask::Command(command) = &smoke.config.ask else {
        panic!("{smoke:?}");
    };
    let run: Vec<&str> = command
        .run
        .iter()
        .map(gated::source::Secret::expose)
        .collect();
    assert_eq!(run, ["pytest", "--key=canary", "tests/smoke"]);
    assert_eq!(command.shown, ["pytest", "--key=${KEY}", "tests/smoke"]);
    assert_eq!((command.exit, command.env.len()), (5, 1));
    let Ask::Junit(junit) = &tests.config.ask else {
        panic!("{tests:?}");
    };
    assert_eq!(junit.reports.to_string(), "reports/*.xml");
    assert_eq!(junit.max_age, Duration::from_secs(7200));
    let (Ask::Json(one), Ask::Json(two)) = (&support.config.ask, &shop.config.ask) else {
        panic!("{support:?} {shop:?}");
    };
    assert_eq!((one.values.len(), one.request.headers.len()), (1, 1));
    assert_eq!(one.values[0].metric, "support_open_tickets");
    assert_eq!((two.values.len(), two.values[0].labels.len()), (2, 1));
    assert!(!format!("{front:?} {support:?}").contains("canary"));
}

#[test]
fn defaults_are_the_documented_ones() {
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    assert_eq!(loaded(BASE).alerts_repeat, minutes(240));
    // One that posts here need not be posted to.
    let urls = "urls = [\"http://127.0.0.1:9093\"]";
    let receiving = loaded(&BASE.replace(urls, "repeat = \"5m\""));
    assert_eq!(receiving.alerts_repeat, minutes(5));
    assert!(receiving.alertmanager.is_none());
    let config = loaded(BASE);
    assert_eq!(config.server.listen, "127.0.0.1:9755");
    assert_eq!(config.interval(), Some(Duration::from_secs(5)));
    assert_eq!(config.scrapes[0].timeout, Duration::from_secs(2));
    assert_eq!(config.rollback.mode, RollbackMode::Shadow);
    assert_eq!(config.rollout.baseline, Duration::from_secs(600));
    assert_eq!(
        (config.retain, config.service.timezone.as_str()),
        (None, "UTC")
    );
    let fast = loaded(&BASE.replace("job =", "interval = \"1s\"\njob ="));
    assert!(fast.scrapes[0].timeout < fast.scrapes[0].interval);
}

#[test]
fn all_faults_of_a_file_are_shown_together() {
    check(
        r#"[service]
name = "api"
[server]
listen = "9755"
[[scrape]]
job = "api"
targets = ["http://127.0.0.1:8080/metrics", "127.0.0.1:8080"]
interval = "2s"
timeout = "5s"
sample_limt = 5
[rollback]
mode = "armed"
hook = "deployr"
[[webhook]]
name = "deployer"
url = "${ROLLBACK_URL}"
[[report]]
kind = "day"
"#,
        &expect![[r#"
            error: `9755` is no address to listen on
             --> gated.toml:4:10
              |
            4 | listen = "9755"
              |          ^^^^^^
              |
              = help: write host and port: "127.0.0.1:9755", or "0.0.0.0:9755" for every address

            error: target `127.0.0.1:8080` of job `api` is named twice
             --> gated.toml:7:45
              |
            7 | targets = ["http://127.0.0.1:8080/metrics", "127.0.0.1:8080"]
              |            -------------------------------  ^^^^^^^^^^^^^^^^
              |            |
              |            first here
              |
              = help: remove one

            error: a scrape's timeout lies between nothing and its interval
             --> gated.toml:9:1
              |
            8 | interval = "2s"
              | -------- its interval
            9 | timeout = "5s"
              | ^^^^^^^
              |
              = help: write a shorter timeout, or a longer interval

            error: unknown key `sample_limt` in [[scrape]]
              --> gated.toml:10:1
               |
            10 | sample_limt = 5
               | ^^^^^^^^^^^
               |
               = help: did you mean `sample_limit`?

            error: there is no [[webhook]] named `deployr`
              --> gated.toml:13:8
               |
            13 | hook = "deployr"
               |        ^^^^^^^^^
               |
               = help: did you mean "deployer"?

            error: the environment variable ROLLBACK_URL is not set
              --> gated.toml:16:7
               |
            16 | url = "${ROLLBACK_URL}"
               |       ^^^^^^^^^^^^^^^^^
               |
               = help: set ROLLBACK_URL, or write "${ROLLBACK_URL:-default}"

            error: nobody would see this report
              --> gated.toml:17:1
               |
            17 | [[report]]
               | ^^^^^^^^^^
               |
               = help: write folder = "reports", or hooks = ["…"]"#]],
    );
}

/// What stands in `BASE`, and what is put in its place.
const WRONG: &[(&str, &str)] = &[
    ("[service]\nname = \"api\"\n", ""),
    ("name = \"api\"", "name = \"\""),
    ("name = \"api\"", "name = \"api\"\nbad-label = \"x\""),
    ("job = \"api\"", "job = \"api\"\ninterval = \"50ms\""),
    ("job = \"api\"", "job = \"api\"\ninterval = 5"),
    ("job = \"api\"", "job = \"api\"\ntimeout = \"5s\""),
    ("job = \"api\"", "job = \"api\"\nbody_size_limit = 1000"),
    ("job = \"api\"", "job = \"api\"\nsample_limit = -1"),
    (
        "job = \"api\"",
        "job = \"api\"\nlabels = { \"__x\" = \"1\" }",
    ),
    ("job = \"api\"", "job = \"api\"\nlabels = [\"a\"]"),
    ("job = \"api\"", "job = \"api\"\ndns = \"api\""),
    (
        "job = \"api\"",
        "job = \"api\"\nheaders = { \"a b\" = \"1\" }",
    ),
    (
        "job = \"api\"",
        "job = \"api\"\ntls = { cert_file = \"c\" }",
    ),
    (
        "job = \"api\"",
        "job = \"api\"\nbasic_auth = { username = \"u\" }",
    ),
    (
        "job = \"api\"",
        "job = \"api\"\nmetric_relabel = [{ action = \"hashmod\" }]",
    ),
    (
        "job = \"api\"",
        "job = \"api\"\nmetric_relabel = [{ action = \"drop\", regex = \"(\" }]",
    ),
    ("job = \"api\"", "job = \"api\"\nkubernetes = {}"),
    (
        "[alertmanager]",
        "[[prometheus]]\nurls = []\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[prometheus]]\nname = \"a b\"\nurl = \"thanos:9090\"\ninterval = \"5m\"\npartial = \"yes\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[prometheus]]\nname = \"a\"\nurl = \"http://a/api/v1/query\"\nquery = { time = \"1\" }\ntimeout = \"30s\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[prometheus]]\nname = \"a\"\nurl = \"http://u:p@a\"\n[[prometheus]]\nname = \"b\"\nurl = \"http://b?x=1\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[prometheus]]\nname = \"a\"\nurl = \"http://a\"\n[[prometheus]]\nname = \"a\"\nurl = \"http://b\"\n[alertmanager]",
    ),
    ("[alertmanager]", "[[probe]]\n[alertmanager]"),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\nhttp = \"a:80\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \" \"\ntcp = \"a\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\ntcp = \"a:1\"\nexpect = { status = 200 }\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\ntcp = \"a:1\"\nhttp = \"http://a\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\nhttp = \"http://a\"\nexpect = { status = 20, text = \"\" }\nmethod = \"PUT\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\ncommand = [\"pytest\"]\n[[probe]]\ncomponent = \"b\"\ntcp = \"b:1\"\ntimeout = \"5s\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\ntcp = \"a:1\"\n[[probe]]\ncomponent = \"a\"\ntcp = \"b:1\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\ndns = \"10.0.0.1\"\nexpect = { address = \"db\" }\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\ndns = \"api\"\nexpect = { address = [\"10.0.0.7\", 8], status = 200 }\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\ncommand = \"pytest\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\ncommand = []\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\ncommand = [\"x\"]\nexpect = { exit = 256 }\nenv = { \"A=B\" = \"c\" }\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\ncommand = [\"x\"]\ntimeout = \"5m\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\njunit = \"reports/**\"\nmax_age = 5\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\njunit = \"[a.xml\"\nexpect = { exit = 0 }\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\njson = \"http://a\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\njson = { url = \"a\", pointer = \"n\", metric = \"9\" }\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\njson = { url = \"http://a\", pointer = \"/a~2\", metric = \"probe_success\", labels = { job = \"x\" } }\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\njson = { url = \"http://a\" }\nexpect = { status = 200 }\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\njson = { url = \"http://a\", pointer = \"/a\", metric = \"a\", values = [{ pointer = \"/b\", metric = \"a\" }] }\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\nhttp = \"http://a\"\nexpect = { latency = \"2s\", certificate = \"14d\", header = { \"a b\" = \"c\" }, json = { \"n\" = [1], \"/m\" = 1 } }\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\nhttp = \"https://a\"\nexpect = { latency = \"0s\", certificate = 14, header = \"a\", json = { \"/n\" = \"${UNSET}\" } }\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[probe]]\ncomponent = \"a\"\nhtpp = \"https://a\"\n[alertmanager]",
    ),
    ("http://127.0.0.1:8080/metrics", "ftp://x"),
    (
        "targets = [\"http://127.0.0.1:8080/metrics\"]",
        "targets = []",
    ),
    (
        "[alertmanager]",
        "[rollout]\ngo_live = 2026-12-01T00:00:00\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[rollout]\nversion_from = \"a{b}\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[judging]\ncoverage = \"150%\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[judging]\nsettle = \"1M\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[rollback]\nmode = \"armed\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[rollback]\nmode = \"arm\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[webhook]]\nname = \"a\"\nurl = \"host\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[webhook]]\nname = \"a\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[webhook]]\nname = \"a\"\nurl = \"http://a\"\ntemplate = \"slak\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[webhook]]\nname = \"a\"\nurl = \"http://a\"\nevents = [\"gated.escalation\"]\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[window]\nretain = \"all\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[contacts.a]\nname = \"x\"\nfax = \"1\"\n[severity.P5]\nrepeat = \"1m\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[webhook]]\nname = \"slack\"\nurl = \"http://s\"\n[[webhook]]\nname = \"undo\"\nurl = \"http://u\"\n[rollback]\nhook = \"undo\"\n[contacts.a]\nname = \"Ada\"\n[contacts.b]\n[severity.P1]\nlevels = [{ role = \"a\", hooks = [\"slakc\"] }]\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[webhook]]\nname = \"slack\"\nurl = \"http://s\"\n[[webhook]]\nname = \"undo\"\nurl = \"http://u\"\n[rollback]\nhook = \"undo\"\n[contacts.a]\nname = \"Ada\"\n[contacts.b]\n[severity.P1]\nlevels = [{ role = \"a\", hooks = [\"undo\"] }]\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[webhook]]\nname = \"slack\"\nurl = \"http://s\"\n[[webhook]]\nname = \"undo\"\nurl = \"http://u\"\n[rollback]\nhook = \"undo\"\n[contacts.a]\nname = \"Ada\"\n[contacts.b]\n[severity.P1]\nlevels = [{ role = \"a\", hooks = [] }, { hooks = [\"slack\"], after = \"5m\" }]\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[webhook]]\nname = \"slack\"\nurl = \"http://s\"\n[[webhook]]\nname = \"undo\"\nurl = \"http://u\"\n[rollback]\nhook = \"undo\"\n[contacts.a]\nname = \"Ada\"\n[contacts.b]\n[severity.P1]\nlevels = [{ role = \"a\", hooks = [\"slack\"], after = \"5m\" }, { role = \"b\", hooks = [\"slack\"], after = \"5m\" }]\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[webhook]]\nname = \"slack\"\nurl = \"http://s\"\n[[webhook]]\nname = \"undo\"\nurl = \"http://u\"\n[rollback]\nhook = \"undo\"\n[contacts.a]\nname = \"Ada\"\n[contacts.b]\n[severity.P1]\nlevels = [\"a\"]\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[severity.P1]\nacknowledge_within = \"0s\"\nrepeat = \"1s\"\nlevels = []\nquiet_hours = \"22:00-07:00\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[severity.P3]\nquiet_hours = \"22-7\"\n[severity.P4]\nquiet_hours = \"07:00-7:00\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[webhook]]\nname = \"slack\"\nurl = \"http://s\"\nevents = [\"gated.notification\"]\n[[webhook]]\nname = \"undo\"\nurl = \"http://u\"\n[rollback]\nhook = \"undo\"\n[contacts.a]\nname = \"Ada\"\n[contacts.b]\n[severity.P2]\nlevels = [{ role = \"a\", hooks = [\"slack\"] }]\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[webhook]]\nname = \"a\"\nurl = \"http://a\"\nevents = [\"gated.test\"]\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[rollback]\nhook = \"a\"\n[[webhook]]\nname = \"a\"\nurl = \"http://a\"\nevents = [\"gated.notification\"]\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[[webhook]]\nname = \"a\"\nurl = \"http://a\"\nheaders = { Webhook-Id = \"1\" }\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[rollback]\nhook = \"a\"\n[[webhook]]\nname = \"a\"\nurl = \"http://a\"\ntemplate = \"argocd\"\napplication = \"a\"\ntoken_file = \"t\"\ntargets = { \"1\" = \"4\" }\naccepts_test = true\n[[webhook]]\nname = \"b\"\ntemplate = \"pagerduty\"\nrouting_key_file = \"k\"\naccepts_test = true\n[alertmanager]",
    ),
    (
        "name = \"api\"",
        "name = \"api\"\ntimezone = \"Mars/Olympus\"",
    ),
    (
        "[alertmanager]",
        "[[mail]]\nname = \"ops\"\nfrom = \"gated@example.com\"\nto = [\"ops@example.com\"]\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[smtp]\nhost = \"smtp.example.com:587\"\ntls = \"ssl\"\nport = 0\nusername = \"u\"\nhello = \"a b\"\ntimeout = \"0s\"\n[[mail]]\nname = \"ops\"\nfrom = \"gated\"\nto = []\ncc = [\"a@b, c@d\"]\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[smtp]\nhost = \"smtp.example.com\"\ntls = \"none\"\nusername = \"u\"\npassword_file = \"p\"\n[[mail]]\nname = \"ops\"\nfrom = \"g@example.com\"\nto = [\"o@example.com\"]\nevents = [\"gated.report\"]\n[[mail]]\nname = \"ops\"\nfrom = \"g@example.com\"\nto = \"o@example.com\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[smtp]\npassword_file = \"p\"\n[[mail]]\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[smtp]\nhost = \"127.0.0.1\"\n[[mail]]\nname = \"ops\"\nfrom = \"g@example.com\"\nto = \"o@example.com\"\nevents = [\"gated.report.ready\"]\n[announcement]\nhooks = [\"opps\", \"ops\"]\nteam = \"a\\nb\"\n[rollback]\nhook = \"ops\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[announcement]\nproject = \"Atlas\"\n[alertmanager]",
    ),
    ("[alertmanager]", "[alertmanger]"),
    (
        "[alertmanager]",
        "[[report]]\nkind = \"dya\"\nat = \"25:00\"\nhooks = [\"deployr\"]\n[[report]]\nkind = \"day\"\nfolder = \"a\"\n[[report]]\nkind = \"day\"\non = []\nfolder = \"b\"\n[[report]]\nat = \"1\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[journal]\npaht = \"journal\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[journal]\npath = \" \"\nkeep = \"5m\"\nsize_limit = \"1MiB\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[journal]\npath = \"journal\"\nkeep = \"1MB\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[journal]\npath = \"journal\"\nkeep = \"64MiB\"\nsize_limit = \"1GiB\"\n[alertmanager]",
    ),
    (
        "[alertmanager]",
        "[journal]\npath = \"journal\"\nkeep = 7\nsize_limit = \"big\"\n[alertmanager]",
    ),
    ("[alertmanager]", "[alertmanager]\ncritical = \"critical\""),
    (
        "[alertmanager]",
        "[alertmanager]\ncritical = 'severity=\"critical'",
    ),
    ("urls = [\"http://127.0.0.1:9093\"]", ""),
    ("urls = [\"http://127.0.0.1:9093\"]", "repeat = \"0s\""),
    (
        "urls = [\"http://127.0.0.1:9093\"]",
        "urls = [\"127.0.0.1:9093\"]",
    ),
];

#[test]
fn each_fault_says_what_to_write() {
    let mut said = String::new();
    for (drop, add) in WRONG {
        let text = BASE.replacen(drop, add, 1);
        assert_ne!(text, BASE, "{drop}");
        let faults = load_with(&text, &[]).expect_err(add);
        let _ = writeln!(said, "{add:?}\n{}\n", messages(&faults).join("\n"));
    }
    expect_test::expect_file!["../data/config_faults.txt"].assert_eq(&said);
}

#[test]
fn duplicates_name_both_lines() {
    let text = BASE.to_owned()
        + "[[scrape]]\njob = \"api\"\ntargets = [\"127.0.0.1:8080\"]\n[[webhook]]\nname = \"a\"\nurl = \"http://a\"\n[[webhook]]\nname = \"a\"\nurl = \"http://b\"\n";
    check(
        &text,
        &expect![[r#"
        error: target `127.0.0.1:8080` of job `api` is named twice
          --> gated.toml:10:12
           |
         5 | targets = ["http://127.0.0.1:8080/metrics"]
           |            ------------------------------- first here
        ...
        10 | targets = ["127.0.0.1:8080"]
           |            ^^^^^^^^^^^^^^^^
           |
           = help: remove one

        error: webhook `a` is defined twice
          --> gated.toml:15:8
           |
        12 | name = "a"
           |        --- first here
        ...
        15 | name = "a"
           |        ^^^
           |
           = help: give one another name"#]],
    );
}

#[test]
fn what_came_from_the_environment_is_never_shown() {
    let text =
        BASE.to_owned() + "[[webhook]]\nname = \"a\"\nurl = \"${HOOK}\"\ntimeout = \"${T}\"\n";
    let faults = load_with(&text, &[("HOOK", "canary"), ("T", "canary")]).unwrap_err();
    assert_eq!(faults.faults.len(), 2, "{faults}");
    assert!(!faults.render(false).contains("canary"), "{faults}");
}

#[test]
fn where_nobody_would_be_told_a_warning_says_so() {
    let text = BASE.split("[alertmanager]").next().unwrap().to_owned()
        + "[rollback]\nhook = \"deployer\"\n[[webhook]]\nname = \"deployer\"\nurl = \"http://a\"\n";
    let warnings = messages(&loaded(&text).warnings);
    assert!(
        warnings[0].starts_with("6: nobody would be told"),
        "{warnings:?}"
    );
    let told = loaded(&(text + "[[webhook]]\nname = \"people\"\nurl = \"http://b\"\n"));
    assert!(told.warnings.is_empty());
}

/// The README's example, as it stands there.
#[test]
fn who_is_called_is_read_said_and_warned_of() {
    let readme = include_str!("../../README.md");
    let from = readme.split("### Who is called").nth(1).unwrap();
    let example = from
        .split("```")
        .nth(1)
        .unwrap()
        .strip_prefix("toml")
        .unwrap();
    let config = loaded(&format!("{BASE}{example}"));
    assert!(config.warnings.faults.is_empty(), "{:?}", config.warnings);
    let words = "P1 calls on-call engineer (Ada) at once by pager, operations manager (Bob) after 5m by chat; \
                 again every 15m; to be acknowledged within 15m";
    assert_eq!(config.calls_in_words(), [words]);
    let p3 = config.people.paths.of(gated::model::Severity::P3);
    assert!(p3.quiet.is_some());
    let four_hours = std::time::Duration::from_secs(4 * 3600);
    assert_eq!((p3.acknowledge_within, p3.repeat), (four_hours, None));
    let unnamed = example.replace("[contacts.\"operations manager\"]\nname = \"Bob\"", "");
    let warnings = messages(&loaded(&format!("{BASE}{unnamed}")).warnings);
    assert!(
        warnings[0].contains("nobody is named as `operations manager`"),
        "{warnings:?}"
    );
}

/// A webhook that hears of endings alone calls nobody.
#[test]
fn a_severity_that_would_call_nobody_is_said() {
    let base = BASE.split("[alertmanager]").next().unwrap().to_owned();
    let hook = "[[webhook]]\nname = \"a\"\nurl = \"http://a\"\n";
    let source = Source {
        path: "rules.toml".into(),
        text: crate::world::RULES.into(),
    };
    let rules = gated::runbook::load(&[source]).unwrap();
    for (more, lacks) in [
        (hook.to_owned(), 0),
        (format!("{hook}events = [\"gated.incident.resolved\"]\n"), 1),
        ("[alertmanager]\nurls = [\"http://a\"]\n".into(), 0),
    ] {
        let lacking = loaded(&(base.clone() + &more)).lacks(&rules);
        assert_eq!(lacking.len(), lacks, "{lacking:?}");
        assert!(
            lacking
                .iter()
                .all(|it| it.starts_with("a P1 would call nobody"))
        );
    }
}

/// What `gated init` writes without an Alertmanager: the deployer is all there is, and it is told of rollbacks alone.
#[test]
fn what_would_be_told_to_nobody_is_said() {
    let base = BASE.split("[alertmanager]").next().unwrap().to_owned();
    let hook =
        "[rollback]\nhook = \"deployer\"\n[[webhook]]\nname = \"deployer\"\nurl = \"http://a\"\n";
    let people = "[[webhook]]\nname = \"people\"\nurl = \"http://b\"\n";
    let listing = |event: &str| format!("{hook}{people}events = [\"{event}\"]\n");
    let text = crate::world::RULES.to_owned()
        + "[[phase.activity]]\ntitle = \"Stand-up\"\nat = \"09:00\"\n\
           [[phase.activity]]\ntitle = \"Quiet\"\nat = \"09:00\"\nnotify = false\n\
           [[phase.trigger]]\nname = \"slow\"\nwhen = \"throughput < 1/s\"\ndo = \"notify\"\n";
    let source = Source {
        path: "rules.toml".into(),
        text,
    };
    let rules = gated::runbook::load(&[source]).unwrap_or_else(|it| panic!("{it}"));
    for (more, unheard) in [
        (hook.to_owned(), true),
        (listing("gated.escalation.raised"), true),
        (listing("gated.notification"), false),
        (format!("{hook}{people}"), false),
        (
            format!("{hook}[alertmanager]\nurls = [\"http://a\"]\n"),
            false,
        ),
    ] {
        let lacking = loaded(&(base.clone() + &more)).lacks(&rules);
        let said = lacking
            .iter()
            .find(|it| it.starts_with("activity `Stand-up` (and 1 more) would be told to nobody"));
        assert_eq!(said.is_some(), unheard, "{more}: {lacking:?}");
        let ways_out = ["[alertmanager] urls", "[[webhook]]", "[severity.P3] levels"];
        assert!(said.is_none_or(|it| ways_out.iter().all(|way| it.contains(way))));
    }
}

#[test]
fn the_guards_of_a_rollback_load() {
    let policy = |text: &str| loaded(&format!("{BASE}[rollback]\n{text}\n")).rollback;
    let said = policy(
        "predates = \"5m\"\npredates_margin = 3\npredates_unknown = \"refuse\"\nveto = \"1m\"\nverify_within = \"0s\"",
    );
    let seconds = Duration::from_secs;
    let expected = PredatesPolicy {
        window: seconds(300),
        margin: 3.0,
        unknown: Some(UnknownPast::Refuse),
    };
    assert_eq!(
        (said.predates, said.veto, said.verify_within),
        (expected, seconds(60), seconds(0))
    );
    let unsaid = policy("cooldown = \"1h\"");
    assert_eq!(unsaid.predates, PredatesPolicy::default());
    assert_eq!(
        (unsaid.veto, unsaid.verify_within),
        (seconds(0), seconds(600))
    );
    for (text, says) in [
        ("predates = \"2h\"", "`predates` looks back 2h"),
        ("predates_margin = 1", "makes every symptom a worse one"),
        ("predates_unknown = \"perhaps\"", "perhaps"),
    ] {
        let faults = load_with(&format!("{BASE}[rollback]\n{text}\n"), &[]).expect_err("a fault");
        let faults = faults.render(false);
        assert!(faults.contains(says), "{faults}");
    }
}

#[test]
fn check_config_needs_no_file_that_the_configuration_names() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gated.toml");
    let text = BASE.to_owned()
        + "[server]\ntoken_file = \"/not/there\"\n[[webhook]]\nname = \"a\"\nurl = \"http://a\"\nsecret_file = \"/not/there\"\n";
    fs::write(&config, &text).unwrap();
    let report = check::config(&config, &[], &no_env, false);
    assert_eq!(report.code, 0, "{}", report.text);
    assert!(
        report
            .text
            .ends_with("ok: 1 job, 1 webhook; no rules beside it; 0 warnings\n")
    );
    let sentences = loaded(&text).unreadable();
    assert_eq!(sentences.len(), 2);
    assert!(sentences[1].starts_with("secret_file of webhook `a`: /not/there cannot be read"));
}

#[test]
fn rules_are_checked_against_a_page_at_hand() {
    let folder = tempfile::tempdir().unwrap();
    let toml = "[signals.errors]
expr = 'sum(rate(call_total{job=\"shop\",code=\"500\"}[1m])) / sum(rate(calls_total[1m]))'
enough = 'sum(increase(calls_total{code=\"600\"}[1m])) > 100'
[signals.heat]
expr = 'rate(temperature_total[1m])'
[signals.up]
expr = 'min(up) + min(job:calls)'
[signals.p95]
expr = 'histogram_quantile(0.95, sum by (le) (rate(seconds_bucket{job=\"shop\"}[1m])))'
unit = \"seconds\"
[[phase]]
name = \"watch\"
[[phase.trigger]]
name = \"slow\"
when = \"p95 > 2s or p95 > 900ms\"
for = \"5m\"
do = \"notify\"
";
    let groups = "groups: [{name: a, rules: [{record: 'job:calls', expr: sum by (job) (calls_total)}, {alert: A, expr: absent(nothing_like_it)}, {alert: B, expr: nothing_like_it > 0 or nothing_like_it < 0}, {alert: C, expr: '1000 * histogram_quantile(0.5, rate(seconds_bucket[5m])) > 1000'}]}]";
    fs::write(folder.path().join("a.toml"), toml).unwrap();
    fs::write(folder.path().join("b.yml"), groups).unwrap();
    let page = "# TYPE temperature_total gauge\ntemperature_total 3\n# TYPE calls_total counter\ncalls_total{code=\"500\"} 7\n\
        # TYPE seconds histogram\nseconds_bucket{le=\"0.5\"} 1\nseconds_bucket{le=\"1\"} 1\nseconds_bucket{le=\"+Inf\"} 2\nseconds_sum 3\nseconds_count 2\n";
    let check = |page: &str| {
        check::rules(
            &[folder.path().to_owned()],
            None,
            Some(page.as_bytes()),
            &no_env,
            false,
        )
    };
    let report = check(page);
    let shown = report
        .text
        .replace(&folder.path().display().to_string(), "");
    expect_test::expect_file!["../data/page_lints.txt"].assert_eq(&shown);
    assert_eq!(report.code, 0);
    let faulty = check("calls_total{\n");
    assert_eq!(faulty.code, 2);
    assert!(
        faulty
            .text
            .contains("error: the page cannot be read: line 1: "),
        "{}",
        faulty.text
    );
}

#[test]
fn checks_exit_with_1_on_faults_and_2_on_what_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let code = |files: &[PathBuf]| check::rules(files, None, None, &no_env, false).code;
    let good = file("good.toml", "[signals.a]\nexpr = 'a'\n");
    let bad = file(
        "bad.toml",
        "[signals.b]\nexpr = 'b('\n[signals.a]\nexpr = 'a'\n",
    );
    assert_eq!(code(std::slice::from_ref(&good)), 0);
    assert_eq!(code(&[good.clone(), good.clone()]), 0);
    assert_eq!(code(&[folder.path().to_owned()]), 1);
    let both = check::rules(&[good.clone(), bad], None, None, &no_env, false);
    assert!(both.text.ends_with("\n\n2 faults\n"), "{}", both.text);
    let mixed = file(
        "mixed.toml",
        &format!("{BASE}typo = 1\n[rollback]\ngive_up_after = \"1M\"\n"),
    );
    let report = check::config(&mixed, &[], &no_env, false);
    assert!(report.text.ends_with("2 faults\n"), "{}", report.text);
    assert_eq!(code(&[folder.path().join("none.toml")]), 2);
    assert_eq!(code(&[file("groups.yml", "groups: []")]), 0);
    assert_eq!(code(&[file("group.yml", "group: []")]), 1);
    assert_eq!(check::config(&good, &[], &no_env, false).code, 1);
    assert_eq!(
        check::config(Path::new("/not/there"), &[], &no_env, false).code,
        2
    );
    let config = file("gated.toml", BASE);
    let missing = [at("rules/day1.toml"), folder.path().join("none.toml")];
    let report = check::config(&config, &missing, &no_env, false);
    assert_eq!(report.code, 2, "{}", report.text);
    let with_rules = check::config(&config, &[at("rules/day1.toml")], &no_env, false);
    assert!(
        with_rules
            .text
            .contains("go_live is not set: it never begins"),
        "{}",
        with_rules.text
    );
    assert_eq!(with_rules.code, 0);
}

#[test]
fn check_metrics_reads_a_page() {
    let metrics = |format, page: &str| check::metrics(format, page.as_bytes());
    let good = "# HELP a_total x\n# TYPE a_total counter\na_total{b=\"c\"} 1\na_total{b=\"d\"} 2\n";
    let report = metrics(Format::Text, good);
    assert_eq!(
        (report.text.as_str(), report.code),
        ("ok: 2 series of 1 metric; 0 warnings\n", 0)
    );
    let lints = metrics(Format::Text, "# TYPE b counter\nb 1\nc 2\n");
    expect![[r"
        warning: counter b should end in _total
        warning: b has no # HELP
        warning: c has no # TYPE
        warning: c has no # HELP
        ok: 2 series of 2 metrics; 4 warnings
    "]]
    .assert_eq(&lints.text);
    assert_eq!(lints.code, 0);
    let bad = metrics(Format::Text, "a 1\nb{ 2\n");
    assert_eq!(bad.code, 1);
    assert!(bad.text.starts_with("error: line 2"), "{}", bad.text);
    assert_eq!(metrics(Format::OpenMetrics, "a 1\n").code, 1);
}

#[test]
fn check_metrics_lists_every_faulty_line() {
    let metrics = |format, page: &str| check::metrics(format, page.as_bytes()).text;
    let page = "a 1\nb{ 2\nc 3\nd x\n# TYPE a counter\n\ne 5\nf";
    expect![[r"
        error: line 2: expected a label name: b{ 2
        error: line 4: expected a number: d x
        error: line 5: second TYPE line for this metric, or TYPE after its samples: # TYPE a counter
        error: line 8: expected a blank and a value after the metric: f

        4 faulty lines: one is enough for a scrape of this page to fail
    "]]
    .assert_eq(&metrics(Format::Text, page));
    expect![[r"
        error: line 3: expected a label name: b{ 2

        1 faulty line: one is enough for a scrape of this page to fail
    "]]
    .assert_eq(&metrics(
        Format::OpenMetrics,
        "# TYPE a counter\na_total 1\nb{ 2\n",
    ));
    let many = metrics(Format::Text, &"{ 1\n".repeat(100));
    assert!(many.contains("20 faulty lines or more"), "{many}");
}

#[test]
fn a_mistyped_key_is_named_where_the_right_one_is_missing() {
    let text = BASE.replacen("name = \"api\"", "nmae = \"api\"", 1);
    let faults = load_with(&text, &[]).unwrap_err().to_string();
    assert!(
        faults.contains("did you mean `name` where it says `nmae`?"),
        "{faults}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever happens to a file, it loads or is refused with faults that can be shown.
    #[test]
    fn a_mutated_file_never_panics(
        cuts in proptest::collection::vec((0usize..6000, 0usize..40, "[ -~é\n\\[\\]\"'=${}]{0,6}"), 1..4),
    ) {
        let mut text = fs::read_to_string(at("config/gated.toml")).unwrap();
        for (at, remove, insert) in cuts {
            let border = |at: usize| (0..=at.min(text.len())).rev().find(|it| text.is_char_boundary(*it)).unwrap();
            let (from, to) = (border(at), border(at + remove));
            text.replace_range(from..to, &insert);
        }
        if let Err(faults) = load_with(&text, &[]) {
            prop_assert!(!faults.is_empty() && !faults.render(true).is_empty());
        }
    }
}

/// One look says everything of all files.
#[test]
fn rules_that_cannot_be_read_hide_none_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let files = [
        folder.path().join("missing.yml"),
        file(
            "unknown.yml",
            b"groups: [{name: a, rules: [{record: b, expr: raet(c[5m])}]}]\n",
        ),
        file("latin.yml", b"groups:\n- name: caf\xe9\n"),
        file("notes.txt", b"text\n"),
        file(
            "old.rules",
            b"groups: [{name: a, rules: [{record: d, expr: up}]}]\n",
        ),
        folder.path().join("missing.toml"),
    ];
    let report = check::rules(&files, None, None, &no_env, false);
    let shown = report
        .text
        .replace(&format!("{}/", folder.path().display()), "");
    expect![[r"
        error: missing.yml cannot be read: No such file or directory (os error 2)

        error: latin.yml:2:12: a byte that is no UTF-8: save the file as UTF-8

        error: notes.txt is no rules file by its name: *.toml are gated's own, *.yml, *.yaml and *.rules are Prometheus'

        error: missing.toml cannot be read: No such file or directory (os error 2)

        error: while parsing a flow mapping, did not find expected ',' or '}'
         --> unknown.yml:1:52
          |
        1 | groups: [{name: a, rules: [{record: b, expr: raet(c[5m])}]}]
          |                                                    ^^^^^^^^^
          |
          = help: a rule file is YAML: keys and values, lists with `- `, each level indented by spaces

        1 fault
    "]]
    .assert_eq(&shown);
    assert_eq!(report.code, 2);
    assert_eq!(
        check::rules(&files[4..5], None, None, &no_env, false).code,
        0
    );
}

#[test]
fn rules_are_checked_with_the_scrapes_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let rules = file(
        "a.yml",
        "groups: [{name: a, rules: [{alert: b, expr: 'rate(c_total[20s]) > 1'}]}]\n",
    );
    let scrape = "[service]\nname = \"a\"\n[[scrape]]\njob = \"a\"\ntargets = [\"a:1\"]\ninterval = \"15s\"\n[alertmanager]\nurls = [\"http://a\"]\n";
    let good = file("good.toml", scrape);
    let bad = file("bad.toml", "[service]\n");
    let check = |config: &Path| {
        check::rules(
            std::slice::from_ref(&rules),
            Some(config),
            None,
            &no_env,
            false,
        )
    };
    let report = check(&good);
    assert!(
        report
            .text
            .contains("a range of 20s holds fewer than 3 scrapes at an interval of 15s"),
        "{}",
        report.text
    );
    let report = check(&bad);
    assert!(
        report
            .text
            .contains("bad.toml has 1 fault, so no scrape interval is known"),
        "{}",
        report.text
    );
    assert_eq!(report.code, 0);
    assert_eq!(check(&folder.path().join("none.toml")).code, 2);
}

/// What a template asks for may be known too late for its series to be kept: no matter where all are.
#[test]
fn a_query_that_is_built_is_warned_of_unless_every_series_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let rules = file(
        "r.yml",
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up == 0\n    annotations:\n      says: '{{ $labels.expr | query }}'\n",
    );
    let all = format!("{BASE}[window]\nretain = \"15m\"\n");
    for (config, warned) in [(BASE, true), (&*all, false)] {
        let config = file("gated.toml", config);
        let report = check::config(&config, std::slice::from_ref(&rules), &no_env, false);
        let told = report.text.contains("[window] retain");
        assert_eq!((report.code, told), (0, warned), "{}", report.text);
    }
}

/// A component's signal is there because its probe is: by its name, with blanks too.
#[test]
fn rules_may_name_the_components_that_are_probed_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let rules = |when: &str| {
        let text = format!(
            "[[phase]]\nname = \"p\"\n[phase.targets]\n\"component:db\" = \"== 1\"\n[[phase.trigger]]\nname = \"t\"\nwhen = '{when}'\ndo = \"notify\"\n"
        );
        [file("r.toml", &text)]
    };
    let probes = "[[probe]]\ncomponent = \"db\"\ntcp = \"db:1\"\n[[probe]]\ncomponent = \"API gateway\"\ntcp = \"api:1\"\n";
    let config = file("gated.toml", &format!("{BASE}{probes}"));
    let known = rules("component:db == 0 or \"component:API gateway\" == 0");
    let report = check::config(&config, &known, &no_env, false);
    assert_eq!(report.code, 0, "{}", report.text);
    // Without a configuration any component may be meant.
    let alone = check::rules(&known, None, None, &no_env, false);
    assert_eq!(alone.code, 0, "{}", alone.text);
    let report = check::config(&config, &rules("component:api == 0"), &no_env, false);
    assert_eq!(report.code, 1, "{}", report.text);
    for said in [
        "there is no signal `component:api`",
        "write [[probe]] with component = \"api\"",
    ] {
        assert!(report.text.contains(said), "{}", report.text);
    }
    // What the configuration adds to them: a signal for each, a trigger for each critical one and each phase.
    let critical = BASE.to_owned() + probes + "critical = true\n";
    let source = |text: &str| Source {
        path: "r.toml".into(),
        text: text.into(),
    };
    let text = "[[phase]]\nname = \"a\"\n[[phase]]\nname = \"b\"\n[[phase.trigger]]\nname = \"component:API gateway\"\nwhen = '\"component:API gateway\" == 0'\ndo = \"notify\"\n";
    let settings = loaded(&critical).settings(Arc::new(load(&[source(text)]).unwrap()));
    let names: Vec<&str> = settings
        .rules
        .signals
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(names, ["component:API gateway", "component:db"]);
    let [a, b] = &settings.rules.phases[..] else {
        panic!("{:?}", settings.rules);
    };
    let [made] = &a.triggers[..] else {
        panic!("{:?}", a.triggers);
    };
    assert_eq!(
        (made.action, made.severity),
        (Action::Rollback, Severity::P1)
    );
    assert_eq!(b.triggers.len(), 1);
    assert_eq!(
        b.triggers[0].action,
        Action::Notify,
        "a phase keeps its own"
    );
}

/// A key whose value is not there: the file was cut short, or its line was.
#[test]
fn an_empty_url_is_a_fault_and_no_panic() {
    for text in [
        "[[webhook]]\nname = \"a\"\nurl = \"\"\n",
        "[[webhook]]\nname = \"a\"\ntemplate = \"argocd\"\nurl = \n",
        "[[webhook]]\nname = \"a\"\nurl = \"é\"\n",
        "[[webhook]]\nname = \"a\"\nurl = \"${NOTHING}\"\n",
        "[[webhook]]\nname = \"a\"\ntemplate = \"argo-rollouts\"\n",
    ] {
        assert!(load_with(&format!("{BASE}{text}"), &[]).is_err(), "{text}");
    }
}
