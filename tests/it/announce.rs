//! The go-live announcement by the real binary: not while the gate says no, not with blanks, once for a go-live, over
//! restarts too.

use std::process::Output;

use serde_json::Value;

use crate::binary::{Daemon, Exporter, House, RULES, Receiver, Said, eventually};

const FILLED: &str = r#"
project = "Atlas"
users = "colleagues"
app_url = "https://atlas.example.com"
docs_url = "docs.example.com/atlas"
support_email = "help@example.com"
help_desk = "+49 30 1234"
team = "The Atlas team"
"#;

/// Live for a minute already; who is told, and how the announcement is filled.
fn house(exporter: &Exporter, users: &Receiver, begins_in: i64, announcement: &str) -> House {
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(begins_in);
    let (target, hook) = (exporter.url(), users.url());
    let config = format!(
        r#"
[service]
name = "shop"
environment = "test"
[[scrape]]
job = "shop"
targets = ["{target}"]
interval = "100ms"
timeout = "90ms"
[rollout]
version = "2"
go_live = "{at:.0}"
[judging]
settle = "0s"
[[webhook]]
name = "users"
url = "{hook}"
[alertmanager]
urls = ["http://127.0.0.1:9"]
{announcement}
"#
    );
    House::new(&config, RULES)
}

fn section(filled: &str) -> String {
    format!("[announcement]\nhooks = [\"users\"]\n{filled}")
}

fn run(house: &House, daemon: &Daemon, more: &[&str]) -> (i32, String) {
    let address = daemon.address().to_string();
    let mut arguments = vec!["announce", "--by", "ada", "--listen", &address];
    arguments.extend(more);
    let Output {
        status,
        stdout,
        stderr,
    } = house.run(&arguments);
    let text = [stdout, stderr].concat();
    (status.code().unwrap(), String::from_utf8(text).unwrap())
}

fn told(users: &Receiver) -> Vec<Value> {
    let posted = users.posted().into_iter();
    posted
        .map(|it| serde_json::from_str(&it.body).unwrap())
        .collect()
}

/// While the new version may still be rolled back nobody is told that it is there.
#[test]
fn an_armed_phase_holds_it_back_until_it_ends() {
    let exporter = Exporter::start(false);
    let users = Receiver::start(|_, _| Said::Status(200));
    let house = house(&exporter, &users, -60, &section(FILLED));
    let armed = "rollback = \"armed\"\n";
    assert!(RULES.contains(armed));
    house.rule(&RULES.replace(armed, "rollback = \"armed\"\nuntil = \"1h\"\n"));
    let daemon = house.start();
    daemon.wait_for("green");
    let (code, said) = run(&house, &daemon, &[]);
    assert!(
        code == 1 && said.contains("may still be rolled back until"),
        "{said}"
    );
    assert!(told(&users).is_empty());
}

#[test]
fn users_are_told_once_for_a_go_live_while_the_gate_says_go() {
    let exporter = Exporter::start(true);
    let users = Receiver::start(|_, _| Said::Status(200));
    let house = house(&exporter, &users, -60, &section(FILLED));
    let mut daemon = house.start();
    daemon.wait_for("red");
    let (code, said) = run(&house, &daemon, &[]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("not announced: the gate says no_go (") && said.contains("broken"),
        "{said}"
    );
    let head = format!(
        "authorization: Bearer {}\r\ncontent-type: application/json\r\n",
        house.token()
    );
    let reply = daemon.ask("POST", "/api/v1/announce", &head, "{}");
    assert_eq!(reply.status, 409, "{}", reply.body);
    assert_eq!(daemon.ask("POST", "/api/v1/announce", "", "{}").status, 401);

    let (code, said) = run(&house, &daemon, &["--dry-run"]);
    assert_eq!(code, 0);
    assert!(
        said.starts_with("Subject: 🚀 Atlas Now Live!\n\nDear colleagues,\n"),
        "{said}"
    );
    for line in [
        "\nAccess: https://atlas.example.com\n",
        "\n📚 User Guide: https://docs.example.com/atlas\n",
        "\nHelp Desk: +49 30 1234\n",
        "\nto users\n",
        "not sent unless forced: the gate says no_go",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }

    exporter.set(false);
    daemon.wait_for("green");
    let of_users = |it: &Value| it["data"]["trigger"] == "announcement";
    assert!(!told(&users).iter().any(of_users));
    let (code, said) = run(&house, &daemon, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.starts_with("announced to users; `gated explain dec_"),
        "{said}"
    );
    let count = |users: &Receiver| told(users).iter().filter(|it| of_users(it)).count();
    eventually("the announcement", || count(&users) == 1);
    let all = told(&users);
    let body = all.iter().find(|it| of_users(it)).unwrap();
    assert_eq!(body["type"], "gated.notification");
    let text = body["data"]["reason"].as_str().unwrap();
    assert!(
        text.contains("Thank you for your patience!\nThe Atlas team\n"),
        "{text}"
    );
    let again = |daemon: &Daemon| {
        let (code, said) = run(&house, daemon, &[]);
        assert_eq!(code, 1);
        assert!(
            said.contains("this go-live was announced already"),
            "{said}"
        );
    };
    again(&daemon);
    daemon.kill();
    let daemon = house.start();
    daemon.wait_for("green");
    again(&daemon);
    let (code, said) = run(&house, &daemon, &["--force"]);
    assert_eq!(code, 0, "{said}");
    eventually("the second", || count(&users) == 2);
    let audit = daemon.get("/api/v1/audit").body;
    assert!(
        audit.contains("\"announce\"") && audit.contains("\"ada\""),
        "{audit}"
    );
    assert!(
        audit.contains("although this go-live was announced already"),
        "{audit}"
    );
    let shown = house.run(&["explain", "--listen", &daemon.address().to_string()]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("ada told the users"), "{shown}");
}

#[test]
fn blanks_and_a_go_live_to_come_hold_it_back_and_without_a_section_gated_says_what_to_write() {
    let exporter = Exporter::start(false);
    let users = Receiver::start(|_, _| Said::Status(200));
    let house = house(&exporter, &users, 3600, &section("project = \"Atlas\""));
    let daemon = house.start();
    daemon.wait_for("green");
    let (code, said) = run(&house, &daemon, &[]);
    assert_eq!(code, 1);
    let blank =
        "still blank: [Users], [app-url], [docs-url], [support-email], [phone-number], [Team Name]";
    assert!(
        said.contains(blank) && said.contains("the go-live begins at "),
        "{said}"
    );
    let (_, said) = run(&house, &daemon, &["--dry-run"]);
    assert!(
        said.contains("Access: https://[app-url]\n") && said.contains(blank),
        "{said}"
    );
    assert!(told(&users).is_empty());

    let text = std::fs::read_to_string(house.path("gated.toml")).unwrap();
    let own = text.replace("project =", "template_file = \"own.txt\"\nproject =");
    std::fs::write(
        house.path("own.txt"),
        "Subject: Hello\n[Project Name] for you.\n",
    )
    .unwrap();
    house.configure(&own);
    let head = format!("authorization: Bearer {}\r\n", house.token());
    assert_eq!(daemon.ask("POST", "/-/reload", &head, "").status, 200);
    let (_, said) = run(&house, &daemon, &["--dry-run"]);
    assert!(
        said.starts_with("Subject: Hello\nAtlas for you.\n") && !said.contains("blank"),
        "{said}"
    );
    std::fs::write(house.path("own.txt"), "x".repeat(3000)).unwrap();
    let reply = daemon.ask("POST", "/-/reload", &head, "");
    assert!(reply.body.contains("has 3000 bytes"), "{}", reply.body);

    house.configure(text.split("[announcement]").next().unwrap());
    assert_eq!(daemon.ask("POST", "/-/reload", &head, "").status, 200);
    for more in [&["--dry-run"][..], &["--force"]] {
        let (code, said) = run(&house, &daemon, more);
        assert_eq!(code, 1);
        assert!(
            said.contains("there is no announcement: write [announcement] with project"),
            "{said}"
        );
    }
}

/// The runbook's own words, mark for mark.
#[test]
fn the_text_is_the_runbooks() {
    let config = include_str!("../../src/run/config/announcement.rs");
    for line in [
        "Subject: 🚀 [Project Name] Now Live!",
        "Dear [Users],",
        "We're excited to announce that [Project Name] is now live!",
        "Access: https://[app-url]",
        "📚 User Guide: https://[docs-url]",
        "🆘 Support: [support-email]",
        "Help Desk: [phone-number]",
        "What to expect in the first 24 hours:",
        "- Enhanced support (24/7 available)",
        "- Quick response to any questions",
        "- Continuous monitoring",
        "Thank you for your patience!",
        "[Team Name]",
    ] {
        assert!(config.lines().any(|it| it == line), "{line}");
    }
}
