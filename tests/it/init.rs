//! `gated init` by the real binary: what it writes passes its own checks whatever is said, nothing is overwritten, and
//! bad values are refused with their flag's name.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::thread;

use gated::run::config::Config;
use gated::runbook::Source;

use crate::binary::gated;
use crate::fault_server::{Answer, FaultServer};

fn init(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = gated(&["init", "--dir"]);
    command.arg(dir).args(arguments);
    for name in ["APP_VERSION", "GO_LIVE", "ROLLBACK_URL"] {
        command.env_remove(name);
    }
    command.output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(text).unwrap()
}

/// What stands in a folder, by its path.
fn all(dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["config", "rules"] {
        let Ok(entries) = fs::read_dir(dir.join(folder)) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let text = fs::read_to_string(&path).unwrap();
            found.push((format!("{folder}/{name}"), text));
        }
    }
    found.sort();
    found
}

fn loaded(dir: &Path) -> Config {
    let text = fs::read_to_string(dir.join("config/gated.toml")).unwrap();
    let path = "gated.toml".to_owned();
    Config::load(Source { path, text }, &|_| None).unwrap_or_else(|faults| panic!("{faults}"))
}

const NAME: &str = r#"the "shop" \ ${HOME} 'α' # = ]"#;

#[test]
fn whatever_is_said_what_it_writes_passes_its_own_checks() {
    let flags = [
        ["--service", NAME],
        ["--metrics", "http://127.0.0.1:9/metrics?a=%22#x"],
        ["--hook", "https://deploy.example.com/r?a=\"b\"&c=${D}"],
        ["--alertmanager", "http://user:pa%22ss@am.example.com/x/"],
        ["--timezone", "Europe/Berlin"],
        ["--go-live", "2026-12-01T00:00:00+01:00"],
    ];
    let rules: [&[&str]; 3] = [&[], &["--rules", "rollout"], &["--rules", "day1"]];
    thread::scope(|scope| {
        for rules in rules {
            for chosen in [0..32, 32..64] {
                scope.spawn(move || chosen.for_each(|it| one(rules, &flags, it)));
            }
        }
    });
}

/// Says the flags whose bit is set in `chosen`.
fn one(rules: &[&str], flags: &[[&str; 2]; 6], chosen: usize) {
    let dir = tempfile::tempdir().unwrap();
    let mut arguments = rules.to_vec();
    for (at, flag) in flags.iter().enumerate() {
        if chosen >> at & 1 == 1 {
            arguments.extend(flag);
        }
    }
    let output = init(dir.path(), &arguments);
    assert_eq!(code(&output), 0, "{arguments:?}: {}", said(&output));
    let config = loaded(dir.path());
    let told = |flag: usize| chosen >> flag & 1 == 1;
    assert_eq!(config.service.name, if told(0) { NAME } else { "api" });
    let zone = if told(4) { "Europe/Berlin" } else { "UTC" };
    assert_eq!(config.service.timezone, zone);
    assert_eq!(config.rollout.go_live.is_some(), told(5));
    if told(2) {
        let url = config.webhooks[0].url.expose();
        assert!(url.contains("${D}") || url.contains("$%7BD%7D"), "{url}");
    }
    if told(3) {
        let urls = &config.alertmanager.as_ref().unwrap().urls;
        assert_eq!(urls[0].expose(), "http://user:pa%22ss@am.example.com/x");
    }
    let day1 = rules.contains(&"day1") || (rules.is_empty() && told(5));
    let name = if day1 {
        "rules/day1.toml"
    } else {
        "rules/rollout.toml"
    };
    let names: Vec<String> = all(dir.path()).into_iter().map(|it| it.0).collect();
    assert_eq!(names, ["config/gated.toml", name], "{arguments:?}");
    // The checks themselves, where the most and the least was said.
    if chosen == 0 || chosen + 1 == 1 << flags.len() {
        for check in [&["check", "config"][..], &["check", "rules", "rules"]] {
            let output = gated(check).current_dir(dir.path()).output().unwrap();
            assert_eq!(code(&output), 0, "{}", said(&output));
        }
    }
}

#[test]
fn comments_survive_and_nothing_but_answers_changes() {
    let dir = tempfile::tempdir().unwrap();
    init(
        dir.path(),
        &["--service", "shop", "--timezone", "Europe/Berlin"],
    );
    let shipped = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/gated.toml"));
    let (shipped, written) = (shipped.unwrap(), all(dir.path()).remove(0).1);
    let changed: Vec<&str> = shipped
        .lines()
        .zip(written.lines())
        .filter(|(before, after)| before != after)
        .map(|(_, after)| after)
        .collect();
    assert_eq!(shipped.lines().count(), written.lines().count());
    let [name, zone, job] = changed[..] else {
        panic!("{changed:?}");
    };
    assert_eq!(
        (name, job),
        ("name        = \"shop\"", "job      = \"shop\"")
    );
    assert!(
        zone.starts_with("timezone    = \"Europe/Berlin\"") && zone.contains("# "),
        "{zone}"
    );
    let rules = all(dir.path()).remove(1).1;
    assert!(rules.contains("{job=\"shop\"") && !rules.contains("job=\"api\""));
}

#[test]
fn nothing_is_overwritten_without_force() {
    let dir = tempfile::tempdir().unwrap();
    let first = init(dir.path(), &[]);
    let shown = said(&first);
    for next in ["gated check config", "gated --dry-run", "\n  gated  "] {
        assert!(shown.contains(next), "{next}: {shown}");
    }
    fs::write(dir.path().join("config/gated.toml"), "mine").unwrap();
    let before = all(dir.path());
    let output = init(dir.path(), &["--service", "other"]);
    assert_eq!(code(&output), 1);
    let shown = said(&output);
    for part in ["config/gated.toml", "rules/rollout.toml", "--force"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(all(dir.path()), before);
    // One of two is enough, and then the other is not written either.
    let output = init(dir.path(), &["--rules", "day1"]);
    assert_eq!((code(&output), all(dir.path())), (1, before));
    let output = init(dir.path(), &["--service", "other", "--force"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_eq!(loaded(dir.path()).service.name, "other");
}

#[test]
fn a_bad_value_is_refused_with_its_flag_and_an_example() {
    for (flag, value, example) in [
        ("--service", "  ", "shop"),
        ("--service", "a\nb", "shop"),
        (
            "--metrics",
            "shop:8080/metrics",
            "http://127.0.0.1:8080/metrics",
        ),
        ("--hook", "ftp://x", "https://deploy.example.com/rollback"),
        ("--alertmanager", "", "http://127.0.0.1:9093"),
        ("--timezone", "Mars/Olympus", "Europe/Berlin"),
        ("--go-live", "2026-12-01", "2026-12-01T00:00:00+01:00"),
        ("--rules", "week", "day1"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let output = init(dir.path(), &[flag, value]);
        let shown = said(&output);
        assert_eq!(code(&output), 2, "{flag} {value:?}: {shown}");
        let helps = shown.contains(&format!("for example: {flag} {example}"));
        assert!(
            shown.starts_with(&format!("error: {flag}: ")) && helps,
            "{shown}"
        );
        assert_eq!(all(dir.path()), [], "{flag}");
    }
}

#[test]
fn a_page_that_answers_is_compared_with_the_rules() {
    let page = "# TYPE http_request_total counter\nhttp_request_total{status=\"200\"} 1\nprocess_resident_memory_bytes 1\n";
    let server = FaultServer::start(move |_, _| Answer::Page(page.to_owned()));
    let dir = tempfile::tempdir().unwrap();
    let output = init(dir.path(), &["--metrics", &server.url()]);
    let shown = said(&output);
    assert_eq!(code(&output), 0, "{shown}");
    assert!(
        shown.contains(
            "`http_requests_total` is not on the page; did you mean `http_request_total`?"
        ),
        "{shown}"
    );
    assert!(
        shown.contains("`cpu_utilization_ratio` is not on the page"),
        "{shown}"
    );
    assert!(
        !shown.contains("`process_resident_memory_bytes`"),
        "{shown}"
    );
    // Nobody there is no fault.
    let dir = tempfile::tempdir().unwrap();
    let output = init(dir.path(), &["--metrics", "http://u:CANARY@127.0.0.1:9/m"]);
    let shown = said(&output);
    assert_eq!(code(&output), 0);
    assert!(
        shown.contains("not looked at") && !shown.contains("CANARY"),
        "{shown}"
    );
}
