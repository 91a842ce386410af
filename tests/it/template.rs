//! Templates as people wrote them in public rule files: all parse, and all expand whatever the labels.

use std::fs;
use std::path::Path;

use gated::model::{Labels, Timestamp};
use gated::template::Context;
use gated::template::Template;
use proptest::prelude::*;

fn templates() -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/templates/templates.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// Queries answer with two samples, the second of which sorts first by `id`.
fn expand(template: &Template, labels: &Labels, value: f64) -> String {
    let mut query = |_: &str, _: Timestamp| {
        let sample = |id: &str, value: f64| (Labels::new([("id", id)]), value);
        Ok(vec![sample("2", 20.0), sample("1", 10.0)])
    };
    let mut context = Context {
        labels,
        value,
        external_labels: &Labels::empty(),
        external_url: "http://gated.example/",
        at: Timestamp::from_millis(1_643_114_203_000),
        query: &mut query,
    };
    template.expand(&mut context).unwrap()
}

#[test]
fn all_parse_and_expand() {
    let templates = templates();
    assert!(templates.len() > 500, "only {}", templates.len());
    let labels = Labels::new([("instance", "web-1:9100"), ("job", "node")]);
    for text in &templates {
        let template = Template::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let expanded = expand(&template, &labels, 11.0);
        assert!(
            !expanded.contains("{{") && !expanded.contains("%!"),
            "{expanded}"
        );
        if text.contains("{{ $labels.instance }}") {
            assert!(expanded.contains("web-1:9100"), "{expanded}");
        }
    }
}

/// The alert generator suite's annotations (prometheus/compliance, Apache-2.0).
#[test]
fn the_alert_generator_suite() {
    let all = templates();
    let labels = Labels::new([("alertname", "Rule1"), ("foo", "bar")]);
    for (start, expected) in [
        ("The value is", "The value is 11 11"),
        (
            "Based on ALERTS",
            "Based on ALERTS. Old alertname was Rule1. foo was bar.",
        ),
        (
            "{{humanize 1048576}}",
            "1.049M 1Mi 2m 15s 95.9% 2022-01-25 12:36:43 +0000 UTC",
        ),
        (
            "{{title",
            "This Part IS TESTING the strings. ::1 127.0.0.1. 7815. replaced text. .",
        ),
        (
            "{{ define \"testtemplate\"",
            "Args are: foo bar 99. first_id:1,1:10,2:20,",
        ),
    ] {
        let text = all
            .iter()
            .find(|text| text.starts_with(start))
            .expect(start);
        let template = Template::parse(text).unwrap();
        assert_eq!(expand(&template, &labels, 11.0), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn any_labels_will_do(
        pairs in proptest::collection::btree_map("[a-z_]{1,8}|instance|job|namespace", ".{0,20}", 0..6),
        value in any::<f64>(),
    ) {
        let labels = Labels::new(&pairs);
        for text in templates() {
            expand(&Template::parse(&text).unwrap(), &labels, value);
        }
    }
}
