//! The form by which a person with a browser attests a line of the checklist: only with the token typed in, from gated's
//! own page, and nothing of what was typed acts.

use crate::binary::{Daemon, Exporter, House, RULES, Receiver, Said, config, eventually, told};

fn house(exporter: &Exporter, hook: &Receiver) -> House {
    let items = "checklist = [{ item = \"The team is there\", required = true }]\n[phase.targets]";
    let rules = RULES.replace("[phase.targets]", items);
    House::new(&config(&[&exporter.url()], &hook.url(), &told("2")), &rules)
}

fn post(daemon: &Daemon, head: &str, pairs: &[(&str, &str)]) -> (u16, String) {
    let body: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let head = format!("content-type: application/x-www-form-urlencoded\r\n{head}");
    let reply = daemon.ask("POST", "/attest", &head, &body);
    (reply.status, reply.body)
}

#[test]
fn a_person_with_a_browser_attests() {
    let exporter = Exporter::start(false);
    let hook = Receiver::start(|_, _| Said::Status(200));
    let house = house(&exporter, &hook);
    let daemon = house.start();
    let item = "watch/the-team-is-there";
    let state = || {
        let lists = daemon.get("/api/v1/checklist").json();
        lists["data"]["items"][0]["state"].clone()
    };
    eventually("the line", || state() == "open");
    let linked = || daemon.get("/").body.contains("<a href=\"attest\">");
    eventually("the link", linked);
    let page = daemon.get("/attest?item=watch/the-team-is-there");
    assert_eq!(page.status, 200);
    let option = "<option value=\"watch/the-team-is-there\" selected>The team is there";
    assert!(page.body.contains(option), "{}", page.body);
    assert!(!page.body.contains("http-equiv"), "what is typed must stay");

    let token = house.token();
    let typed = |token: &'static str| [("item", item), ("by", "ada <b>"), ("token", token)];
    let (code, body) = post(&daemon, "", &typed("0123456789abcdef0123456789abcdef"));
    assert_eq!(code, 401, "{body}");
    // What was typed is still there, but for the token.
    assert!(body.contains("value=\"ada &lt;b&gt;\""), "{body}");
    assert!(!body.contains("0123456789abcdef"), "{body}");
    assert_eq!(post(&daemon, "", &typed("")).0, 401);
    let right = [
        ("item", item),
        ("by", "ada"),
        ("note", "all <seven>"),
        ("token", &*token),
    ];
    let elsewhere = post(&daemon, "sec-fetch-site: cross-site\r\n", &right);
    assert_eq!(elsewhere.0, 403, "{}", elsewhere.1);
    assert_eq!(state(), "open");
    let (code, body) = post(&daemon, "sec-fetch-site: same-origin\r\n", &right);
    assert_eq!(code, 200, "{body}");
    assert!(
        body.contains("watch/the-team-is-there is done: ada"),
        "{body}"
    );
    assert!(!body.contains(&token));
    eventually("the tick", || state() == "done");
    let lists = daemon.get("/api/v1/checklist").json();
    let said = &lists["data"]["items"][0]["said"];
    assert_eq!(
        (&said["by"], &said["note"]),
        (&"ada".into(), &"all <seven>".into())
    );
    assert!(daemon.get("/").body.contains("all &lt;seven&gt;"));
    let back = [
        ("item", item),
        ("by", "bob"),
        ("undo", "on"),
        ("token", &token),
    ];
    let (code, body) = post(&daemon, "", &back);
    assert!(code == 200 && body.contains("is open again: bob"), "{body}");
    eventually("the line again", || state() == "open");
    let unknown = [("item", "watch/nothing"), ("by", "bob"), ("token", &*token)];
    let (code, body) = post(&daemon, "", &unknown);
    assert!(
        (400..500).contains(&code) && body.contains("watch/nothing"),
        "{code} {body}"
    );
}
