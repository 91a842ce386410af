//! Canary words: every secret of a configuration is one, and after deliveries, failures, reloads, checks and a dry run of
//! the real binary none is found anywhere but where it was sent.

use std::collections::BTreeMap;
use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gated::run::config::Config;
use gated::runbook::Source;

use crate::binary::{Exporter, House, Receiver, Said, eventually, told};
use crate::post_office::{Papers, PostOffice, Turn, Way};

/// The middle of every word; what stands before and after says which one it was.
const WORD: &str = "canaryword";

const RULES: &str = r#"
clock = "rollout"
[signals.broken]
title = "Broken parts"
expr = 'max(broken)'
unit = "count"
[signals.elsewhere]
expr = 'sum(broken)'
source = "file"
[signals.here]
expr = 'sum(broken)'
source = "words"
[[phase]]
name = "watch"
from = "0s"
rollback = "armed"
gate = "green"
[[phase.trigger]]
name = "breakage"
when = "broken > 0"
for = "100ms"
do = "rollback"
severity = "P1"
[[phase.trigger]]
name = "people"
when = "broken > 0"
for = "100ms"
do = "escalate"
severity = "P1"
"#;

/// Files that hold a secret, by name.
fn secrets(house: &House) {
    for name in [
        "signing", "bearer", "routing", "password", "scrape", "token", "url", "smtp",
    ] {
        let word = match name {
            "url" => format!("http://127.0.0.1:9/url{WORD}\n"),
            "signing" => format!("whsec_{WORD}AA raw{WORD}\n"),
            "token" => format!("for-writers-{WORD}\n"),
            other => format!("{other}{WORD}\n"),
        };
        fs::write(house.path(name), word).unwrap();
    }
}

#[allow(clippy::too_many_lines, reason = "one file with every secret there is")]
fn config(exporter: &Exporter, receiver: &Receiver, manager: &Receiver, post: u16) -> String {
    let to = |name: &str| {
        let url = receiver
            .url()
            .replace("http://", &format!("http://user:{name}pass{WORD}@"));
        format!("{url}/{name}{WORD}?key={name}query{WORD}")
    };
    let manager = manager
        .url()
        .replace("http://", &format!("http://am:am{WORD}@"));
    let rollout = told("2");
    let (target, chat, pager, own) = (exporter.url(), to("chat"), to("pager"), to("own"));
    format!(
        r#"
[service]
name = "shop"
[server]
token_file = "token"
[[scrape]]
job = "shop"
targets = [{target:?}]
interval = "100ms"
timeout = "90ms"
headers = {{ X-Key = "header{WORD}" }}
basic_auth = {{ username = "u", password = "basic{WORD}" }}
[[scrape]]
job = "bearer"
targets = ["127.0.0.1:9"]
interval = "100ms"
timeout = "90ms"
bearer_token_file = "scrape"
[[scrape]]
job = "file"
targets = ["127.0.0.1:9"]
interval = "100ms"
timeout = "90ms"
basic_auth = {{ username = "u", password_file = "password" }}
[[prometheus]]
name = "words"
url = {target:?}
interval = "100ms"
timeout = "90ms"
headers = {{ X-Scope = "scope{WORD}" }}
basic_auth = {{ username = "u", password = "asked{WORD}" }}
query = {{ key = "parameter{WORD}" }}
[[prometheus]]
name = "file"
url = {target:?}
interval = "100ms"
timeout = "90ms"
bearer_token_file = "scrape"
[rollout]
{rollout}
[judging]
settle = "0s"
[rollback]
mode = "armed"
hook = "undo"
allow_commands = ["undo"]
[[command]]
name = "undo"
run = ["sh", "-c", "echo $KEY; env >&2; exit 1"]
env = {{ KEY = "env{WORD}" }}
[[webhook]]
name = "chat"
url = "{chat}"
secret_file = "signing"
headers = {{ Authorization = "Bearer webhook{WORD}" }}
health = "http://127.0.0.1:9/health{WORD}"
[[webhook]]
name = "pager"
url = "{pager}"
template = "pagerduty"
routing_key_file = "routing"
[[webhook]]
name = "own"
url = "{own}"
template_file = "own.json.j2"
token_file = "bearer"
[[webhook]]
name = "file"
url_file = "url"
[smtp]
host = "localhost"
port = {post}
tls = "none"
username = "gated"
password_file = "smtp"
[[mail]]
name = "mail"
from = "gated@example.com"
to = ["ops@example.com"]
accepts_test = true
[severity.P1]
levels = [{{ role = "on-call engineer", hooks = ["chat", "pager", "own", "file", "mail"] }}]
[severity.P2]
levels = [{{ role = "on-call engineer", hooks = ["chat", "pager", "own", "file"] }}]
[alertmanager]
urls = ["{manager}", "http://am:gone{WORD}@127.0.0.1:9"]
resend = "1s"
"#
    )
}

/// Where a canary was seen, with what stands around it.
fn sightings(what: &str, bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let found = text.match_indices(WORD);
    let around = found.map(|(at, _)| {
        let from = (0..=at.saturating_sub(80)).rfind(|&at| text.is_char_boundary(at));
        let to = (at + WORD.len()..text.len()).find(|&at| text.is_char_boundary(at));
        format!(
            "{what}: …{}…",
            &text[from.unwrap_or(0)..to.unwrap_or(text.len())]
        )
    });
    around.take(3).collect()
}

const PATHS: [&str; 24] = [
    "/",
    "/gate",
    "/metrics",
    "/api/v1/verdict",
    "/api/v1/rollouts",
    "/api/v1/decisions",
    "/api/v1/incidents",
    "/api/v1/checklist",
    "/api/v1/targets",
    "/api/v1/targets/metadata",
    "/api/v1/scrape_pools",
    "/api/v1/rules",
    "/api/v1/alerts",
    "/api/v1/series?match[]={job=~\".*\"}",
    "/api/v1/labels",
    "/api/v1/query?query=up",
    "/api/v1/metadata",
    "/api/v1/status/buildinfo",
    "/api/v1/status/runtimeinfo",
    "/api/v1/status/flags",
    "/api/v1/status/config",
    "/-/healthy",
    "/-/ready",
    "/no-such-page",
];

#[test]
#[allow(
    clippy::too_many_lines,
    reason = "one life with every secret, looked at from everywhere"
)]
fn no_secret_is_found_anywhere_but_where_it_was_sent() {
    let exporter = Exporter::start(true);
    let receiver = Receiver::start(|number, _| match number {
        0 => Said::Status(500),
        1 => Said::Nothing,
        2 => Said::Status(400),
        _ => Said::Status(200),
    });
    let manager = Receiver::start(|number, _| Said::Status(if number == 0 { 500 } else { 200 }));
    // It repeats what it was told, as it is told it and as it stands for itself.
    let post = PostOffice::open(
        Way::Plain,
        &Papers::new("localhost"),
        None,
        |step, number| {
            let words = format!(
                "smtp{WORD} {}",
                STANDARD.encode(format!("\0gated\0smtp{WORD}"))
            );
            match (step, number % 3) {
                ("AUTH", 0) => Some(Turn::Say(format!("535 {words}"))),
                ("AUTH", _) => Some(Turn::Say("235 in".into())),
                (".", 1) => Some(Turn::Say(format!("451 smtp{WORD}"))),
                _ => None,
            }
        },
    );
    let text = config(&exporter, &receiver, &manager, post.port());
    let house = House::new(&text, RULES);
    secrets(&house);
    fs::write(house.path("own.json.j2"), "{\"text\": {{ data.reason }}}").unwrap();
    let mut seen = Vec::new();
    for arguments in [
        &["check", "config"][..],
        &["--dry-run", "--for", "1s", "--log-level", "trace"],
    ] {
        let output = house.run(arguments);
        let named = arguments.join(" ");
        seen.extend(sightings(&format!("{named}: stdout"), &output.stdout));
        seen.extend(sightings(&format!("{named}: stderr"), &output.stderr));
    }

    let daemon = house.start_at("trace");
    eventually("deliveries to everybody", || {
        let posted = receiver.posted();
        let has = |word: &str| {
            posted
                .iter()
                .any(|it| (it.head.clone() + &it.body).contains(word))
        };
        [
            "/chatcanaryword?key",
            "/pagercanaryword",
            "/owncanaryword",
            "routingcanaryword",
            "Bearer bearercanaryword",
        ]
        .iter()
        .all(|word| has(word))
    });
    eventually("mails, refused and taken", || {
        let lines = post.lines();
        let auth = lines.iter().filter(|it| it.starts_with("AUTH")).count();
        !post.letters().is_empty() && auth > 3
    });
    eventually("the command's end, shown", || {
        daemon.get("/api/v1/decisions").body.contains("[secret]")
    });
    // Faults beside, and in, the lines that hold secrets.
    for (good, bad) in [
        ("health = \"http", "health = \"htp"),
        ("url = \"http://user:chat", "url = \"ftp://user:chat"),
        ("urls = [\"http", "urls = [\"ftp"),
        ("X-Key = ", "\"X Key\" = "),
        ("query = { key", "query = { timeout"),
        (
            "bearer_token_file = \"scrape\"\n[rollout]",
            "timeout = \"scrape\"\n[rollout]",
        ),
        ("password = ", "pasword = \"\", password = "),
        ("headers = { Authorization", "headers = { Webhook-Id"),
        ("env = { KEY", "envs = { KEY"),
    ] {
        assert!(text.contains(good), "{good}");
        house.configure(&text.replacen(good, bad, 1));
        let token = fs::read_to_string(house.path("token")).unwrap();
        let head = format!("authorization: Bearer {}\r\n", token.trim());
        let reply = daemon.ask("POST", "/-/reload", &head, "");
        assert_eq!(reply.status, 400, "{bad}: {}", reply.body);
        seen.extend(sightings(
            &format!("reload with {bad}"),
            reply.body.as_bytes(),
        ));
        let output = house.run(&["check", "config"]);
        seen.extend(sightings(&format!("check with {bad}"), &output.stdout));
        seen.extend(sightings(&format!("check with {bad}"), &output.stderr));
    }
    for path in PATHS {
        let reply = daemon.get(path);
        seen.extend(sightings(path, (reply.head + &reply.body).as_bytes()));
    }
    for (name, bytes) in house.contents() {
        seen.extend(sightings(&name, &bytes));
    }
    seen.extend(sightings("log", daemon.log().as_bytes()));
    assert!(seen.is_empty(), "{}", seen.join("\n"));
}

/// A panic that prints the configuration prints no secret.
#[test]
fn the_configuration_is_debugged_without_secrets() {
    let exporter = Exporter::start(false);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let text = config(&exporter, &receiver, &receiver, 9);
    let env = BTreeMap::<String, String>::new();
    let source = Source {
        path: "gated.toml".into(),
        text,
    };
    let config = Config::load(source, &|name| env.get(name).cloned()).unwrap();
    let seen = sightings("Debug", format!("{config:?} {config:#?}").as_bytes());
    assert!(seen.is_empty(), "{}", seen.join("\n"));
}
