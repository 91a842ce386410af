//! The requests of real clients: Grafana's Prometheus data source as it words them, and the Python library
//! `prometheus-api-client` itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{FORM, result, running};
use crate::binary::{Daemon, eventually};

/// The headers that Grafana's proxy sends beside a form.
const GRAFANA: &str = "user-agent: Grafana/12.1.0\r\nx-grafana-org-id: 1\r\nx-datasource-uid: gated\r\n\
    accept: application/json, text/plain, */*\r\nfromalert: false\r\n";

#[test]
fn grafana_asks_as_it_would_ask_prometheus() {
    let (_house, daemon, _server) = running();
    let post = |path: &str, form: &str| {
        let reply = daemon.ask("POST", path, &format!("{FORM}{GRAFANA}"), form);
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        let body = reply.json();
        assert_eq!(body["status"], "success", "{path}: {body}");
        body["data"].clone()
    };
    let now = jiff::Timestamp::now().as_second();
    let times = format!("start={}&end={}", now - 60, now + 1);

    // "Save & test": a number, and the version that decides which features are offered.
    let healthy = post("/api/v1/query", &format!("query=1%2B1&time={now}"));
    assert_eq!(
        (&healthy["resultType"], &healthy["result"][1]),
        (&json!("scalar"), &json!("2"))
    );
    let version = result(&daemon, "/api/v1/status/buildinfo")["version"].clone();
    let major: u32 = version
        .as_str()
        .unwrap()
        .split('.')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(major >= 3, "{version}");

    // A panel.
    let range = format!("query=sum+by+%28code%29+%28calls_total%29&step=1&timeout=60s&{times}");
    let matrix = post("/api/v1/query_range", &range);
    assert_eq!(matrix["resultType"], "matrix");
    let series = &matrix["result"][0];
    assert_eq!(series["metric"], json!({"code": "200"}));
    assert!(series["values"][0][0].is_number() && series["values"][0][1] == "7");

    // The query builder: names, labels of the chosen metric, their values, what a metric is.
    let form = format!("match%5B%5D=calls_total&limit=40000&{times}");
    let labels = post("/api/v1/labels", &form);
    assert_eq!(
        labels,
        json!(["__name__", "code", "instance", "job", "path"])
    );
    assert_eq!(post("/api/v1/series", &form).as_array().unwrap().len(), 2);
    let names = "match%5B%5D=%7B__name__%3D~%22calls.%2A%22%7D&limit=40000";
    let path = format!("/api/v1/label/__name__/values?{names}&{times}");
    assert_eq!(result(&daemon, &path), json!(["calls:sum", "calls_total"]));
    let metadata = result(&daemon, "/api/v1/metadata?limit=40000");
    assert_eq!(
        metadata["calls"],
        json!([{"type": "counter", "help": "", "unit": ""}])
    );

    // Beside a panel: exemplars, rules for the alert list and for recording rules' expressions.
    assert_eq!(
        post(
            "/api/v1/query_exemplars",
            &format!("query=calls_total&{times}")
        ),
        json!([])
    );
    let rules = result(&daemon, "/api/v1/rules?limit_alerts=16");
    for key in [
        "name",
        "file",
        "interval",
        "rules",
        "lastEvaluation",
        "evaluationTime",
    ] {
        assert!(!rules["groups"][0][key].is_null(), "{key}: {rules}");
    }
    assert!(result(&daemon, "/api/v1/alerts")["alerts"].is_array());
}

/// What the Python library answers to these expressions, in which `p` is a connection that asks with this method.
fn library(daemon: &Daemon, method: &str, expressions: &str) -> Vec<Value> {
    let tools = std::env::var_os("GATED_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools"),
        PathBuf::from,
    );
    let script = "import json, sys\n\
        from datetime import datetime, timedelta\n\
        from prometheus_api_client import PrometheusConnect\n\
        now = datetime.now()\n\
        p = PrometheusConnect(url=sys.argv[1], method=sys.argv[2])\n\
        print(json.dumps([eval(line) for line in sys.argv[3].splitlines()]))\n";
    let url = format!("http://{}", daemon.address());
    let output = Command::new(tools.join("bin/python3"))
        .args(["-c", script, &url, method, expressions])
        .env("no_proxy", "*")
        .output()
        .expect("tests/run makes this virtual environment");
    assert!(output.status.success(), "{method}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_python_library_asks_as_it_would_ask_prometheus() {
    let (_house, daemon, _server) = running();
    eventually("metadata", || {
        result(&daemon, "/api/v1/metadata") != json!({})
    });
    let window = "now - timedelta(minutes=1), now + timedelta(seconds=1)";
    let asked = [
        ("p.check_prometheus_connection()", json!(true)),
        (
            "[it for it in p.all_metrics() if it.startswith('calls')]",
            json!(["calls:sum", "calls_total"]),
        ),
        (
            "p.get_label_names({'match[]': 'calls_total'})",
            json!(["__name__", "code", "instance", "job", "path"]),
        ),
        ("p.get_label_values('code')", json!(["200", "500"])),
        (
            "[it['value'][1] for it in p.custom_query('sum by (code) (calls_total)')]",
            json!(["7", "2"]),
        ),
        (
            "[it['value'][1] for it in p.get_current_metric_value('calls_total', {'code': '500'})]",
            json!(["2"]),
        ),
        (
            &format!("p.custom_query_range('calls:sum', {window}, '1s')[0]['values'][-1][1]"),
            json!("9"),
        ),
        (
            &format!("p.get_metric_range_data('calls:sum', None, {window})[0]['values'][0][1]"),
            json!("9"),
        ),
        (
            &format!("len(p.get_series({window}, {{'match[]': 'calls_total'}}))"),
            json!(2),
        ),
        ("p.get_scrape_pools()", json!(["shop"])),
        (
            "len(p.get_targets('active', 'shop')['activeTargets'])",
            json!(1),
        ),
        (
            "[it['type'] for it in p.get_target_metadata({'job': 'shop'}, 'calls')]",
            json!(["counter"]),
        ),
        (
            "p.get_metric_metadata('broken')",
            json!([{"metric_name": "broken", "type": "gauge", "help": "", "unit": ""}]),
        ),
    ];
    let expressions: Vec<&str> = asked.iter().map(|(expression, _)| *expression).collect();
    for method in ["GET", "POST"] {
        let answers = library(&daemon, method, &expressions.join("\n"));
        for ((expression, expected), answer) in asked.iter().zip(answers) {
            assert_eq!(answer, *expected, "{method} {expression}");
        }
    }
}
