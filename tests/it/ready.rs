//! What a dry run says of the rollback path and of those who would be told, by the real binary before real receivers,
//! real certificates and a real Alertmanager; and that nothing but a test ever reaches a hook, and only one that asks
//! for it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::{fs, thread};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::binary::{Exporter, House, Posted, RULES, Receiver, Said};
use crate::peers::{Peer, amtool, free_address};
use crate::scrape_tls::{Signed, serve};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// A service whose metrics are well, and these ways out.
fn house(exporter: &Exporter, ways_out: &str) -> House {
    let target = exporter.url();
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
[judging]
settle = "0s"
{ways_out}
"#
    );
    House::new(&config, &RULES.replace("\"green\"", "\"amber\""))
}

/// The rollback hook, armed, with more keys of its own.
fn deployer(url: &str, more: &str) -> String {
    format!(
        "[rollback]\nmode = \"armed\"\nhook = \"deployer\"\n[[webhook]]\nname = \"deployer\"\nurl = \"{url}\"\n{more}\n"
    )
}

fn people(name: &str, url: &str, more: &str) -> String {
    format!("[[webhook]]\nname = \"{name}\"\nurl = \"{url}\"\n{more}\n")
}

fn well() -> Receiver {
    Receiver::start(|_, _| Said::Status(200))
}

/// Runs all of these at once: exit code and what was printed.
fn look(houses: &[&House], more: &[&str]) -> Vec<(i32, Value)> {
    let started: Vec<_> = houses
        .iter()
        .map(|house| {
            let mut command = house.command(&["--dry-run", "--for", "500ms", "--format", "json"]);
            command.args(more);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let ended = started.into_iter().map(|it| it.wait_with_output().unwrap());
    ended.map(|it| verdict(&it)).collect()
}

fn verdict(output: &Output) -> (i32, Value) {
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let page = serde_json::from_str(&said).unwrap_or_else(|it| panic!("{it}: {said}{errors}"));
    (output.status.code().unwrap(), page)
}

fn one(house: &House) -> (i32, Value) {
    look(&[house], &[]).remove(0)
}

fn check<'a>(page: &'a Value, name: &str) -> &'a Value {
    let checks = page["checks"].as_array().unwrap();
    let found = checks.iter().find(|it| it["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {page}"))
}

fn outcome<'a>(page: &'a Value, name: &str) -> &'a str {
    let check = check(page, name);
    assert_eq!(check["role"], "component", "{check}");
    check["outcome"].as_str().unwrap()
}

fn methods(receiver: &Receiver) -> Vec<String> {
    let posted = receiver.posted();
    let lines = posted.iter().map(|it| it.head.lines().next().unwrap());
    lines.map(str::to_owned).collect()
}

fn headers(posted: &Posted) -> HeaderMap {
    let lines = posted.head.lines().skip(1);
    lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| {
            let name = HeaderName::try_from(name).unwrap();
            (name, HeaderValue::try_from(value).unwrap())
        })
        .collect()
}

#[test]
fn only_a_hook_that_asks_for_it_gets_a_test_and_nobody_gets_anything_else() {
    let exporter = Exporter::start(false);
    let (plain, tried, chat, own) = (well(), well(), well(), well());
    let health = plain.url().replace("/hook", "/healthz");
    let ways_out = deployer(
        &plain.url(),
        &format!("health = \"{health}\"\ntoken_file = \"token\"\nheaders = {{ X-Key = \"k\" }}"),
    ) + &people(
        "pager",
        &tried.url(),
        "accepts_test = true\nsecret_file = \"secret\"",
    ) + &people("chat", &chat.url(), "template = \"slack\"")
        + &people(
            "own",
            &own.url(),
            "accepts_test = true\ntemplate_file = \"own.j2\"",
        );
    let house = house(&exporter, &ways_out);
    fs::write(house.path("token"), "tooken\n").unwrap();
    fs::write(house.path("secret"), SECRET).unwrap();
    fs::write(house.path("own.j2"), "{\"text\": {{ data.reason }}}").unwrap();
    let (code, page) = one(&house);
    // The template of one does not say what it is, which is told and costs an amber.
    assert_eq!((code, &page["status"]), (0, &"amber".into()), "{page}");
    assert_eq!(outcome(&page, "hook:deployer"), "met");
    assert_eq!(check(&page, "hook:deployer")["reason"], "healthy");
    assert_eq!(
        check(&page, "hook:pager")["reason"],
        "took a gated.test event"
    );
    assert_eq!(outcome(&page, "hook:chat"), "met");
    let untold = check(&page, "hook:own")["reason"].to_string();
    assert!(untold.contains("does not pass `type` on"), "{untold}");

    assert_eq!(methods(&plain), ["GET /healthz HTTP/1.1"]);
    let asked = headers(&plain.posted()[0]);
    assert_eq!(asked["authorization"], "Bearer tooken");
    assert_eq!(asked["x-key"], "k");
    assert_eq!(methods(&chat), [""; 0]);
    assert_eq!(methods(&own), [""; 0]);
    assert_eq!(methods(&tried), ["POST /hook HTTP/1.1"]);
    let test = &tried.posted()[0];
    let key = standardwebhooks::Webhook::new(SECRET).unwrap();
    key.verify(test.body.as_bytes(), &headers(test)).unwrap();
    let body: Value = serde_json::from_str(&test.body).unwrap();
    assert_eq!(body["type"], "gated.test");
    assert!(
        body["data"]["reason"]
            .as_str()
            .unwrap()
            .contains("nothing has happened"),
        "{body}"
    );
    assert!(body["data"].get("rollout").is_none() && body.get("expires_at").is_none());
    assert!(
        test.id.starts_with("msg_test_") && test.key == body["id"].as_str().unwrap(),
        "{test:?}"
    );
    // Another look is another event.
    assert_eq!(one(&house).0, 0);
    let posted = tried.posted();
    assert_eq!(posted.len(), 2);
    assert_ne!(posted[0].id, posted[1].id);
}

#[test]
fn a_rollback_hook_that_is_not_ready_is_no_go_and_says_why() {
    let exporter = Exporter::start(false);
    let (fine, refusing) = (well(), Receiver::start(|_, _| Said::Status(503)));
    let fallback = people("chat", &fine.url(), "");
    let dead = format!("http://{}/hook", free_address());
    let port = fine.url().rsplit(':').next().unwrap().to_owned();
    let by_name = format!("http://localhost:{port}");
    let health = format!("health = \"{}\"", refusing.url());
    let denied = "deny_cidr = [\"127.0.0.0/8\", \"::1/128\"]";
    let cases = [
        (dead.as_str(), "", "refused"),
        (&by_name, denied, "127.0.0.0/8, which `deny_cidr` forbids"),
        (
            &fine.url(),
            "secret_file = \"missing\"",
            "secret_file missing cannot be read",
        ),
        (
            &fine.url(),
            "token_file = \"empty\"",
            "token_file empty is empty",
        ),
        (
            &fine.url(),
            "ca_file = \"text\"",
            "`ca_file` holds no certificates",
        ),
        (
            &fine.url(),
            "secret_file = \"bad-key\"",
            "`whsec_` and is not base64",
        ),
        (&fine.url(), &health, "its `health` answered 503"),
        (
            &refusing.url(),
            "accepts_test = true",
            "it answered 503 to a gated.test event",
        ),
        (
            "http://no-such-host.invalid/hook",
            "",
            "no-such-host.invalid",
        ),
    ];
    let houses: Vec<House> = cases
        .iter()
        .map(|(url, more, _)| {
            let house = house(&exporter, &(deployer(url, more) + &fallback));
            fs::write(house.path("empty"), " \n").unwrap();
            fs::write(house.path("text"), "CANARY").unwrap();
            fs::write(house.path("bad-key"), "whsec_CANARY!").unwrap();
            house
        })
        .collect();
    let houses: Vec<&House> = houses.iter().collect();
    for ((code, page), (url, more, says)) in look(&houses, &[]).iter().zip(&cases) {
        assert_eq!(
            (*code, &page["verdict"], &page["status"]),
            (1, &"no_go".into(), &"red".into()),
            "{url} {more}: {page}"
        );
        assert_eq!(outcome(page, "hook:deployer"), "missed");
        let reasons = page["reasons"].to_string();
        assert!(
            reasons.contains("hook:deployer: ") && reasons.contains(says),
            "{says}: {reasons}"
        );
        assert!(!page.to_string().contains("CANARY"), "{page}");
    }
    // All that is wrong with the files of one, at once.
    let several = deployer(
        &dead,
        "secret_file = \"missing\"\ntoken_file = \"gone\"\naccepts_test = true",
    );
    let house = house(&exporter, &(several + &fallback));
    let reasons = one(&house).1["reasons"].to_string();
    for part in ["secret_file missing", "token_file gone", "refused"] {
        assert!(reasons.contains(part), "{part}: {reasons}");
    }
}

#[test]
fn who_is_left_to_be_told_decides_between_amber_and_no_go() {
    let exporter = Exporter::start(false);
    let (deploy, chat) = (well(), well());
    let hook = deployer(&deploy.url(), "");
    let dead = format!("http://{}/hook", free_address());
    let levels = |hooks: &str| {
        format!(
            "[contacts.\"on-call\"]\n[severity.P1]\nlevels = [{{ role = \"on-call\", hooks = [{hooks}] }}]\n"
        )
    };
    let cases = [
        // The only one.
        (
            people("pager", &dead, ""),
            1,
            "nobody would be told of a P1",
        ),
        // Another is there.
        (
            people("pager", &dead, "") + &people("chat", &chat.url(), ""),
            0,
            "hook:pager: no connection",
        ),
        // It is there, and not called for a P1.
        (
            people("pager", &dead, "") + &people("chat", &chat.url(), "") + &levels("\"pager\""),
            1,
            "nobody would be told of a P1",
        ),
        (
            people("pager", &dead, "") + &people("chat", &chat.url(), "") + &levels("\"chat\""),
            0,
            "hook:pager: no connection",
        ),
    ];
    let houses = cases
        .each_ref()
        .map(|(more, ..)| house(&exporter, &(hook.clone() + more)));
    let found = look(&houses.each_ref(), &[]);
    for ((code, page), (more, expected, says)) in found.iter().zip(&cases) {
        assert_eq!(code, expected, "{more}: {page}");
        assert!(page["reasons"].to_string().contains(says), "{page}");
        let status = if *expected == 0 { "amber" } else { "red" };
        assert_eq!(page["status"], status, "{page}");
    }
    // An amber is no go where somebody says so.
    let (code, page) = look(&[&houses[1]], &["--strict"]).remove(0);
    assert_eq!((code, &page["status"]), (1, &"amber".into()), "{page}");
}

/// Shakes hands with a certificate for localhost that ends on that day, and keeps what is said after it.
fn tls(authority: &CertifiedIssuer<'static, KeyPair>, ends: jiff::Timestamp) -> String {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let day = ends.to_zoned(jiff::tz::TimeZone::UTC).date();
    let (month, date) = (day.month().unsigned_abs(), day.day().unsigned_abs());
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(day.year().into(), month, date);
    let key = KeyPair::generate().unwrap();
    let signed = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for tcp in listener.incoming() {
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(tls, tcp.unwrap());
            let mut heard = [0; 4096];
            match stream.read(&mut heard) {
                Ok(0) | Err(_) => {}
                Ok(length) => {
                    // Whatever is requested, it was health.
                    let known = heard[..length].starts_with(b"GET /healthz ");
                    let status = if known { "200 OK" } else { "500 No" };
                    let head = "Content-Length: 0\r\nConnection: close\r\n\r\n";
                    let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n{head}").as_bytes());
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
            }
        }
    });
    format!("https://localhost:{port}")
}

#[test]
fn a_certificate_is_judged_by_the_hooks_own_authorities_and_by_its_end() {
    let exporter = Exporter::start(false);
    let fine = well();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = CertifiedIssuer::self_signed(params, key).unwrap();
    let now = jiff::Timestamp::now();
    let in_days = |days: i64| now + jiff::SignedDuration::from_hours(24 * days);
    let (long, short, expired) = (
        tls(&authority, in_days(91)),
        tls(&authority, in_days(4)),
        tls(&authority, in_days(-1)),
    );
    let by_address = long.replace("localhost", "127.0.0.1");
    let itself = Signed::by_itself("localhost", IsCa::Ca(BasicConstraints::Unconstrained));
    let own = serve("localhost", &itself, None);
    let own = own.trim_end_matches("/metrics").to_owned();
    let trusted = format!("ca_file = \"ca.pem\"\nhealth = \"{long}/healthz\"");
    let cases = [
        (
            &long,
            trusted.as_str(),
            0,
            "green",
            "certificate good for 90 days",
        ),
        (
            &short,
            "ca_file = \"ca.pem\"",
            0,
            "amber",
            "its certificate ends in 3 days",
        ),
        (
            &expired,
            "ca_file = \"ca.pem\"",
            1,
            "red",
            "its certificate has expired",
        ),
        (&long, "", 1, "red", "an authority that is not trusted here"),
        (
            &by_address,
            "ca_file = \"ca.pem\"",
            1,
            "red",
            "its certificate is for another name",
        ),
        (
            &own,
            "ca_file = \"own.pem\"",
            1,
            "red",
            "its certificate is an authority's own (CA:TRUE), as self-signed ones often are: issue one",
        ),
        // It speaks no TLS.
        (
            &fine.url().replace("http:", "https:"),
            "timeout = \"1s\"",
            1,
            "red",
            "mend the receiver",
        ),
    ];
    let houses = cases.each_ref().map(|(url, more, ..)| {
        let ways_out =
            deployer(&format!("{url}/rollback"), more) + &people("chat", &fine.url(), "");
        let house = house(&exporter, &ways_out);
        fs::write(house.path("ca.pem"), authority.pem()).unwrap();
        fs::write(house.path("own.pem"), itself.pem()).unwrap();
        house
    });
    let found = look(&houses.each_ref(), &[]);
    for ((code, page), (url, more, expected, status, says)) in found.iter().zip(&cases) {
        assert_eq!(
            (*code, page["status"].as_str().unwrap()),
            (*expected, *status),
            "{url} {more}: {page}"
        );
        let reason = check(page, "hook:deployer")["reason"].as_str().unwrap();
        assert!(reason.contains(says), "{says}: {reason}");
    }
}

/// Until then, in the way that amtool writes it.
fn raise(peer: &Peer, labels: &[&str]) {
    let mut arguments = vec!["alert", "add"];
    arguments.extend(labels);
    amtool(&peer.url, &arguments);
}

/// Rules that count alerts see in a dry run those that Alertmanager lists, and without one they do not know.
#[test]
fn rules_see_the_alerts_that_a_dry_run_asked_for() {
    let exporter = Exporter::start(false);
    let deploy = well();
    let peer = Peer::alertmanager();
    let rules = RULES.replace(
        "[[phase]]",
        "[signals.critical_alerts]\nexpr = 'count(alertmanager_alerts{severity=\"critical\"})'\nunit = \"count\"\nempty = 0\n\n[[phase]]",
    );
    let item = "checklist = [{ item = \"Zero critical alerts\", when = \"critical_alerts == 0\", required = true }]\n";
    let rules = rules.replace("[phase.targets]", &format!("{item}[phase.targets]"));
    let with = |more: &str| {
        let house = house(&exporter, &(deployer(&deploy.url(), "") + more));
        house.rule(&rules);
        house
    };
    // What gated itself asks about is something else, so that the rules alone speak.
    let url = &peer.url;
    let asked = with(&format!(
        "[alertmanager]\nurls = [\"{url}\"]\ncritical = 'severity=\"page\"'\n"
    ));
    let state = |page: &Value| check(page, "watch/zero-critical-alerts")["outcome"].clone();
    let (code, page) = one(&asked);
    assert_eq!((code, state(&page)), (0, "met".into()), "{page}");
    raise(&peer, &["alertname=DiskFull", "severity=critical"]);
    let (code, page) = one(&asked);
    assert_eq!((code, state(&page)), (1, "missed".into()), "{page}");
    // Nobody to ask.
    let (code, page) = one(&with(""));
    assert_eq!((code, state(&page)), (3, "unknown".into()), "{page}");
    let reasons = page["reasons"].to_string();
    assert!(reasons.contains("no Alertmanager has posted"), "{reasons}");
}

#[test]
fn critical_alerts_of_a_real_alertmanager_are_no_go_until_they_are_silenced() {
    let exporter = Exporter::start(false);
    let deploy = well();
    let peer = Peer::alertmanager();
    let config = |more: &str| {
        let url = &peer.url;
        deployer(&deploy.url(), "") + &format!("[alertmanager]\nurls = [\"{url}\"]\n{more}\n")
    };
    let house = house(&exporter, &config(""));
    let (code, page) = one(&house);
    assert_eq!((code, &page["status"]), (0, &"green".into()), "{page}");
    let place = peer.url.trim_start_matches("http://");
    let answers = check(&page, &format!("alertmanager:{place}"));
    assert!(
        answers["reason"]
            .as_str()
            .unwrap()
            .starts_with("Alertmanager 0."),
        "{answers}"
    );
    assert_eq!(check(&page, "critical alerts")["value"], 0.0);

    raise(&peer, &["alertname=DiskFull", "severity=critical"]);
    raise(&peer, &["alertname=Slow", "severity=warning"]);
    raise(
        &peer,
        &["alertname=Own", "severity=critical", "source=gated"],
    );
    let (code, page) = one(&house);
    assert_eq!((code, &page["verdict"]), (1, &"no_go".into()), "{page}");
    let alerts = check(&page, "critical alerts");
    assert_eq!(
        (&alerts["value"], &alerts["outcome"]),
        (&1.0.into(), &"missed".into())
    );
    let reason = page["reasons"][0].as_str().unwrap();
    assert!(
        reason.starts_with("critical alert `DiskFull` is active since 20")
            && reason.contains("silence it"),
        "{reason}"
    );
    assert_eq!(page["reasons"].as_array().unwrap().len(), 1, "{page}");
    // What is critical is the user's to say.
    let others = self::house(
        &exporter,
        &config("critical = 'severity=~\"warn.*\" alertname!=DiskFull'"),
    );
    let reasons = one(&others).1["reasons"].to_string();
    assert!(
        reasons.contains("`Slow`") && !reasons.contains("DiskFull"),
        "{reasons}"
    );

    amtool(
        &peer.url,
        &[
            "silence",
            "add",
            "--author=a",
            "--comment=known",
            "alertname=DiskFull",
        ],
    );
    crate::binary::eventually("the silence", || one(&house).0 == 0);
    assert_eq!(deploy.posted().len(), 0);
}

#[test]
fn an_alertmanager_that_does_not_answer_leaves_it_open_unless_another_does() {
    let exporter = Exporter::start(false);
    let (deploy, other) = (well(), Receiver::start(|_, _| Said::Status(404)));
    let peer = Peer::alertmanager();
    let dead = format!("http://{}", free_address());
    let config =
        |urls: &str| deployer(&deploy.url(), "") + &format!("[alertmanager]\nurls = [{urls}]\n");
    let cases = [
        (format!("\"{dead}\""), 3, "unknown", "no connection"),
        (
            format!("\"{}\"", other.url()),
            3,
            "unknown",
            "it answered 404",
        ),
        (
            format!("\"{dead}\", \"{}\"", peer.url),
            0,
            "amber",
            "no connection",
        ),
        (format!("\"{}\"", peer.url), 0, "green", ""),
    ];
    let houses = cases
        .each_ref()
        .map(|(urls, ..)| house(&exporter, &config(urls)));
    let found = look(&houses.each_ref(), &[]);
    for ((code, page), (urls, expected, status, says)) in found.iter().zip(&cases) {
        assert_eq!(
            (*code, page["status"].as_str().unwrap()),
            (*expected, *status),
            "{urls}: {page}"
        );
        assert!(page["reasons"].to_string().contains(says), "{page}");
    }
    assert_eq!(outcome(&found[0].1, "critical alerts"), "unknown");
    assert_eq!(outcome(&found[2].1, "critical alerts"), "met");
}

#[test]
fn a_command_is_found_and_not_run() {
    let exporter = Exporter::start(false);
    let chat = well();
    let config = |program: &str| {
        format!(
            "[rollback]\nmode = \"armed\"\nhook = \"undo\"\nallow_commands = [\"undo\"]\n[[command]]\nname = \"undo\"\nrun = [\"{program}\", \"ran\"]\n"
        ) + &people("chat", &chat.url(), "")
    };
    let cases = [
        ("touch", 0, "/touch"),
        ("./undo", 0, "./undo"),
        ("no-such-program", 1, "is in no folder of PATH"),
        ("./plain", 1, "cannot be executed"),
        ("./gone", 1, "is not there"),
    ];
    let houses = cases.each_ref().map(|(program, ..)| {
        let house = house(&exporter, &config(program));
        fs::write(house.path("plain"), "#!/bin/sh\n").unwrap();
        fs::write(house.path("undo"), "#!/bin/sh\ntouch ran\n").unwrap();
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(house.path("undo"), executable).unwrap();
        house
    });
    let found = look(&houses.each_ref(), &[]);
    for (((code, page), (program, expected, says)), house) in found.iter().zip(&cases).zip(&houses)
    {
        assert_eq!(code, expected, "{program}: {page}");
        let reason = check(page, "hook:undo")["reason"].as_str().unwrap();
        assert!(reason.contains(says), "{reason}");
        assert!(!house.path("ran").exists(), "{program} was run");
    }
}

#[test]
fn every_format_shows_it_and_a_flag_leaves_it_out() {
    let exporter = Exporter::start(false);
    let dead = format!("http://{}/hook", free_address());
    let house = house(&exporter, &deployer(&dead, ""));
    let shown = |arguments: &[&str]| {
        let output = house.run(&[&["--dry-run", "--for", "500ms"], arguments].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), text)
    };
    for format in ["table", "junit", "markdown"] {
        let (code, text) = shown(&["--format", format]);
        assert_eq!(code, 1, "{text}");
        assert!(
            text.contains("hook:deployer") && text.contains("refused"),
            "{text}"
        );
    }
    let (_, junit) = shown(&["--format", "junit"]);
    let case = "<testcase classname=\"component\" name=\"hook:deployer\"";
    assert!(
        junit.contains(case) && junit.contains("<failure message="),
        "{junit}"
    );
    for format in ["table", "junit", "markdown", "json"] {
        let (code, text) = shown(&["--skip-hooks", "--format", format]);
        assert_eq!(code, 0, "{text}");
        // Markdown has marks before hyphens' neighbours, but not within the words.
        assert!(
            text.contains("hooks and Alertmanagers were not looked at"),
            "{text}"
        );
        assert!(!text.contains("hook:deployer"), "{text}");
    }
}

/// An open line is known; that a metric is not there does not hide it.
#[test]
fn an_open_line_is_no_go_whatever_else_is_not_known() {
    let exporter = Exporter::start(false);
    let house = house(&exporter, "");
    let item = "checklist = [{ item = \"Rollback plan tested\", required = true }]";
    let rules = RULES.replace("gate = \"green\"", &format!("gate = \"amber\"\n{item}"));
    let missing = "[signals.missing]\nexpr = 'no_such_metric'\nunit = \"none\"\n[[phase]]";
    let rules = rules.replacen("[[phase]]", missing, 1);
    house.rule(&rules.replace("broken = \"== 0\"", "broken = \"== 0\"\nmissing = \"< 1\""));
    let (code, page) = one(&house);
    assert_eq!(
        (code, &page["verdict"], &page["status"]),
        (1, &"no_go".into(), &"unknown".into()),
        "{page}"
    );
    let reasons = page["reasons"].to_string();
    for says in ["no_such_metric", "Rollback plan tested is open"] {
        assert!(reasons.contains(says), "{says}: {reasons}");
    }
}

/// Before a deploy: a failing test of pytest, a critical alert at a real Alertmanager, a hook that nobody answers at, and a
/// line of the checklist that nobody has ticked: no go, four reasons, each with the way out. All four mended: go.
#[test]
fn four_reasons_against_it_and_then_none() {
    let exporter = Exporter::start(false);
    let peer = Peer::alertmanager();
    let (nobody, chat) = (free_address(), well());
    let config = |hook: &str| {
        let url = &peer.url;
        deployer(hook, "")
            + &people("chat", &chat.url(), "")
            + &format!("[alertmanager]\nurls = [\"{url}\"]\n")
            + "[[probe]]\ncomponent = \"smoke tests\"\njunit = \"smoke.xml\"\nmax_age = \"3650d\"\ninterval = \"1s\"\ntimeout = \"500ms\"\ncritical = true\n"
    };
    let house = house(&exporter, &config(&format!("http://{nobody}/rollback")));
    house.rule(&RULES.replace(
        "gate = \"green\"",
        "gate = \"amber\"\nchecklist = [{ item = \"Rollback plan tested\", required = true }]",
    ));
    let junit = |name: &str| {
        let from = format!("{}/tests/data/junit/{name}", env!("CARGO_MANIFEST_DIR"));
        fs::copy(from, house.path("smoke.xml")).unwrap();
    };
    junit("pytest_failing.xml");
    raise(&peer, &["alertname=DiskFull", "severity=critical"]);
    let (code, page) = one(&house);
    assert_eq!((code, &page["verdict"]), (1, &"no_go".into()), "{page}");
    let reasons: Vec<&str> = page["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    for (about, way_out) in [
        ("component:smoke tests: its probe fails", "test_login"),
        ("critical alert `DiskFull`", "silence it"),
        ("hook:deployer: no connection", "mend its URL"),
        (
            "checklist: Rollback plan tested is open",
            "gated attest watch/rollback-plan-tested",
        ),
    ] {
        let told = reasons
            .iter()
            .any(|it| it.contains(about) && it.contains(way_out));
        assert!(told, "{about}: {reasons:#?}");
    }
    assert_eq!(reasons.len(), 4, "{reasons:#?}");

    junit("pytest_passing.xml");
    let silence = [
        "silence",
        "add",
        "--author=a",
        "--comment=known",
        "alertname=DiskFull",
    ];
    amtool(&peer.url, &silence);
    let deploy = well();
    let text = config(&deploy.url());
    let head = fs::read_to_string(house.path("gated.toml")).unwrap();
    let head = &head[..head.find("[rollback]").unwrap()];
    house.configure(&format!("{head}{text}"));
    let daemon = house.start();
    let listen = daemon.address().to_string();
    let attest = [
        "attest",
        "watch/rollback-plan-tested",
        "--by",
        "ada",
        "--listen",
        &listen,
    ];
    let said = house.run(&attest);
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    drop(daemon);
    crate::binary::eventually("go", || {
        let (code, page) = one(&house);
        code == 0 && page["verdict"] == "go"
    });
    assert_eq!(deploy.posted().len(), 0);
}
