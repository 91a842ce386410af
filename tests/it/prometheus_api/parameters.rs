//! What a parameter does, whatever way it comes, and what is said of one that is wrong.

use serde_json::{Value, json};

use super::{FORM, result, running};
use crate::binary::{Daemon, eventually};

/// Status and error of a refusal, after a look at its kind.
fn refused(daemon: &Daemon, path: &str) -> (u16, String) {
    let reply = daemon.get(path);
    let body = reply.json();
    assert_eq!(body["errorType"], "bad_data", "{path}: {body}");
    (reply.status, body["error"].as_str().unwrap().to_owned())
}

#[test]
fn series_are_those_of_the_asked_time() {
    let (_house, daemon, _server) = running();
    let begun = jiff::Timestamp::now().as_second() - 3600;
    let paths = [
        ("/api/v1/series?match[]=calls_total&", 2),
        ("/api/v1/labels?match[]=calls_total&", 5),
        ("/api/v1/label/code/values?", 2),
    ];
    for (path, all) in paths {
        for (times, found) in [
            (String::new(), all),
            (format!("start={begun}"), all),
            (format!("start={begun}&end={}", begun + 7200), all),
            (format!("end={begun}"), 0),
            (format!("start={}", begun + 7200), 0),
            (format!("start={}&end={begun}", begun + 7200), 0),
        ] {
            let told = result(&daemon, &format!("{path}{times}"));
            assert_eq!(told.as_array().unwrap().len(), found, "{path}{times}");
        }
        for name in ["start", "end"] {
            let (status, error) = refused(&daemon, &format!("{path}{name}=x"));
            assert_eq!(status, 400);
            assert!(
                error.starts_with(&format!("invalid parameter \"{name}\": ")),
                "{error}"
            );
        }
    }
}

#[test]
fn targets_are_narrowed_and_say_what_is_known() {
    let (_house, daemon, server) = running();
    let targets = |query: &str| {
        let told = result(&daemon, &format!("/api/v1/targets{query}"));
        (
            told["activeTargets"].as_array().unwrap().len(),
            told["droppedTargets"].as_array().unwrap().len(),
        )
    };
    for (query, active) in [
        ("", 1),
        ("?state=any", 1),
        ("?state=Active", 1),
        ("?state=dropped", 0),
        ("?scrapePool=shop", 1),
        ("?scrapePool=other", 0),
    ] {
        assert_eq!(targets(query), (active, 0), "{query}");
    }
    let told = result(&daemon, "/api/v1/targets");
    let target = &told["activeTargets"][0];
    assert_eq!(
        (&target["scrapeInterval"], &target["scrapeTimeout"]),
        (&json!("100ms"), &json!("90ms"))
    );
    let url = server.url();
    let address = url.strip_prefix("http://").unwrap();
    let address = address.strip_suffix("/metrics").unwrap();
    assert_eq!(
        target["discoveredLabels"],
        json!({
            "__address__": address, "__scheme__": "http", "__metrics_path__": "/metrics", "job": "shop",
            "__scrape_interval__": "100ms", "__scrape_timeout__": "90ms",
        })
    );
    let pools = result(&daemon, "/api/v1/scrape_pools");
    assert_eq!(pools, json!({"scrapePools": ["shop"]}));
}

#[test]
fn rules_are_narrowed_and_paged() {
    let (_house, daemon, _server) = running();
    eventually("an alert", || {
        let groups = result(&daemon, "/api/v1/rules");
        groups["groups"][0]["rules"][1]["state"] == "firing"
    });
    let names = |told: &Value| -> Vec<(String, String)> {
        let groups = told["groups"].as_array().unwrap().iter();
        let rules = groups.flat_map(|group| {
            let rules = group["rules"].as_array().unwrap().iter();
            rules.map(move |rule| (group["name"].to_string(), rule["name"].to_string()))
        });
        let unquoted = |text: String| text.trim_matches('"').to_owned();
        rules
            .map(|(group, rule)| (unquoted(group), unquoted(rule)))
            .collect()
    };
    let pair = |group: &str, rule: &str| (group.to_owned(), rule.to_owned());
    for (query, expected) in [
        (
            "match[]=%7Bseverity%3D%22warning%22%7D",
            vec![pair("calls", "Calls")],
        ),
        (
            "match[]=%7Bseverity%3D%22P1%22%7D&match[]=%7Bseverity%3D~%22warn.*%22%7D",
            vec![pair("calls", "Calls"), pair("watch", "breakage")],
        ),
        ("match[]=%7Bseverity%3D%22none%22%7D", vec![]),
    ] {
        let told = result(&daemon, &format!("/api/v1/rules?{query}"));
        assert_eq!(names(&told), expected, "{query}");
    }
    let bare = result(&daemon, "/api/v1/rules?exclude_alerts=True");
    assert_eq!(bare["groups"][0]["rules"][1]["alerts"], json!([]));
    assert_eq!(bare["groups"][0]["rules"][1]["state"], "firing");

    let first = result(&daemon, "/api/v1/rules?group_limit=1");
    assert_eq!(first["groups"].as_array().unwrap().len(), 1);
    assert_eq!(first["groups"][0]["name"], "calls");
    let token = first["groupNextToken"].as_str().unwrap();
    let path = format!("/api/v1/rules?group_limit=1&group_next_token={token}");
    let second = result(&daemon, &path);
    assert_eq!(second["groups"][0]["name"], "watch");
    assert_eq!(second.get("groupNextToken"), None);

    for (query, says) in [
        ("exclude_alerts=x", "\"exclude_alerts\""),
        ("match[]=sum(a)", "\"match[]\""),
        ("group_limit=x", "\"group_limit\""),
        ("group_limit=0", "\"group_limit\""),
        ("group_next_token=x", "\"group_next_token\""),
        ("group_next_token=x&group_limit=1", "\"group_next_token\""),
    ] {
        let (status, error) = refused(&daemon, &format!("/api/v1/rules?{query}"));
        let says = format!("invalid parameter {says}: ");
        assert!(
            status == 400 && error.starts_with(&says),
            "{query}: {error}"
        );
    }
}

#[test]
fn forms_are_read_as_go_reads_them() {
    let (_house, daemon, _server) = running();
    let value = |path: &str, head: &str, body: &str| {
        let reply = daemon.ask("POST", path, head, body);
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["data"]["result"][1].clone()
    };
    assert_eq!(value("/api/v1/query?query=1", FORM, "query=2"), "2");
    assert_eq!(value("/api/v1/query?query=1", FORM, "time=2"), "1");
    let loud = "content-type: APPLICATION/x-www-form-urlencoded; charset=UTF-8\r\n";
    assert_eq!(value("/api/v1/query", loud, "query=3"), "3");
    // Larger than what a writer may send, and no larger than a form may be.
    let more = format!("query=4&x={}", "x".repeat(1_000_000));
    assert_eq!(value("/api/v1/query", FORM, &more), "4");
    let reply = daemon.ask(
        "POST",
        "/api/v1/query",
        FORM,
        &format!("query=4&x={}", "x".repeat(1 << 20)),
    );
    let body = reply.json();
    assert_eq!(
        (reply.status, &body["errorType"]),
        (413, &json!("bad_data"))
    );
    assert_eq!(body["error"], "the form is larger than 1 MiB");
}

#[test]
fn nothing_is_a_limit_where_prometheus_means_it() {
    let (_house, daemon, _server) = running();
    assert_eq!(result(&daemon, "/api/v1/metadata?limit=0"), json!({}));
    assert_eq!(
        result(&daemon, "/api/v1/targets/metadata?limit=0"),
        json!([])
    );
    for query in ["limit=-1", "limit_per_metric=0", ""] {
        let told = result(&daemon, &format!("/api/v1/metadata?{query}"));
        assert_eq!(told.as_object().unwrap().len(), 2, "{query}");
    }
    let all = result(&daemon, "/api/v1/label/code/values?limit=0");
    assert_eq!(all, json!(["200", "500"]));
    for path in [
        "/api/v1/query?query=1&timeout=0",
        "/api/v1/query_range?query=1&start=1&end=2&step=1&timeout=0s",
    ] {
        let reply = daemon.get(path);
        assert_eq!(
            (reply.status, &reply.json()["errorType"]),
            (503, &json!("timeout")),
            "{path}"
        );
    }
}

#[test]
fn a_fault_names_its_parameter() {
    let (_house, daemon, _server) = running();
    for (path, says) in [
        (
            "/api/v1/series?match[]=a%7B",
            "invalid parameter \"match[]\": ",
        ),
        (
            "/api/v1/labels?match[]=sum(a)",
            "invalid parameter \"match[]\": ",
        ),
        (
            "/api/v1/label/code/values?match[]=%7B%7D",
            "invalid parameter \"match[]\": ",
        ),
        (
            "/api/v1/targets/metadata?match_target=a%7B",
            "invalid parameter \"match_target\": ",
        ),
        ("/api/v1/query_exemplars", "invalid parameter \"query\": "),
        (
            "/api/v1/query_exemplars?query=a&start=x",
            "invalid parameter \"start\": ",
        ),
        ("/api/v1/label/%ff/values", "invalid label name"),
    ] {
        let (status, error) = refused(&daemon, path);
        assert!(status == 400 && error.starts_with(says), "{path}: {error}");
    }
}

#[test]
fn a_fault_of_a_text_has_its_place() {
    let (_house, daemon, _server) = running();
    for (path, says) in [
        ("query?query=sum(", "\"query\": 1:4: parse error: "),
        (
            "query?query=1%2B%0A%20sum(",
            "\"query\": 2:5: parse error: ",
        ),
        (
            "query_range?start=1&end=2&step=1&query=a%7B",
            "\"query\": 1:2: parse error: ",
        ),
        (
            "format_query?query=a%20%7B",
            "\"query\": 1:3: parse error: ",
        ),
        ("series?match[]=a%7B", "\"match[]\": 1:2: parse error: "),
    ] {
        let (_, error) = refused(&daemon, &format!("/api/v1/{path}"));
        let says = format!("invalid parameter {says}");
        assert!(error.starts_with(&says), "{path}: {error}");
    }
}

#[test]
fn what_is_asked_of_prometheus_itself() {
    let (_house, daemon, _server) = running();
    let exemplars = "/api/v1/query_exemplars?query=calls_total&start=1&end=2";
    assert_eq!(result(&daemon, exemplars), json!([]));
    let build = result(&daemon, "/api/v1/status/buildinfo");
    assert_eq!(
        (&build["version"], &build["gated_version"]),
        (&json!("3.5.0"), &json!(env!("CARGO_PKG_VERSION")))
    );
    let runtime = result(&daemon, "/api/v1/status/runtimeinfo");
    let time = |key: &str| -> jiff::Timestamp { runtime[key].as_str().unwrap().parse().unwrap() };
    assert!(time("startTime") < time("serverTime"), "{runtime}");
    let flags = result(&daemon, "/api/v1/status/flags");
    assert_eq!(flags["query.lookback-delta"], "5m");
    for path in [
        "/api/v1/query",
        "/api/v1/label/code/values",
        "/api/v1/rules",
    ] {
        let reply = daemon.ask("OPTIONS", path, "origin: http://elsewhere\r\n", "");
        assert_eq!((reply.status, reply.body.as_str()), (204, ""), "{path}");
        assert!(!reply.head.contains("access-control"), "{}", reply.head);
    }
    assert_eq!(daemon.ask("OPTIONS", "/gate", "", "").status, 405);
}
