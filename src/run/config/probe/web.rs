//! What a probe over HTTP, or of JSON over HTTP, reads from its section.

use std::time::Duration;

use reqwest::header::HeaderName;

use crate::run::config::label_name;
use crate::run::config::scrape::{secret_headers, tls};
use crate::runbook::{Reader, Scalar as Written, Section, Text};
use crate::source::{
    Ask, Expect, HttpProbe, HttpRequest, JsonProbe, JsonValue, Method, Scalar, Url,
};

/// Series of one document.
const VALUES_MAX: usize = 100;
/// Labels that every series of a probe has by itself.
const OWN_LABELS: [&str; 3] = ["job", "instance", "component"];
/// What gated makes itself begins so, or is `up`.
const OWN_NAMES: [&str; 4] = ["probe_", "scrape_", "gated_", "ALERTS"];

pub(super) fn http(section: &mut Section, timeout: Duration) -> Option<Ask> {
    let url = section.text("http");
    let url = url.and_then(|text| target(section.reader, &text));
    let request = request(section, url);
    let is_secure = request.as_ref().is_none_or(|it| it.url.scheme() == "https");
    let expect = section.section("expect");
    let expect = expect.map_or_else(Expect::default, |it| expected(it, timeout, is_secure));
    let request = request?;
    Some(Ask::Http(Box::new(HttpProbe { request, expect })))
}

pub(super) fn json(section: &mut Section) -> Option<Ask> {
    let reader = section.reader;
    let mut document = section.section("json");
    let url = document
        .as_mut()
        .and_then(|it| it.required("url", "\"https://host/path\""))
        .and_then(|text| target(reader, &text));
    let request = request(section, url);
    let mut document = document?;
    let place = document.place.clone();
    let listed = document.sections("values");
    if let Some(one) = listed.get(VALUES_MAX) {
        let message = format!("{} values are more than {VALUES_MAX}", listed.len());
        reader.fault(&one.place, message, "write a [[probe]] for some of them");
    }
    let mut values: Vec<JsonValue> = Vec::new();
    if document.has("pointer") || document.has("metric") || listed.is_empty() {
        if !listed.is_empty() {
            let message = "either `pointer` and `metric`, or `values`";
            reader.fault(&place, message, "move them into `values`");
        }
        values.extend(value(&mut document));
    }
    for mut section in listed {
        let Some(value) = value(&mut section) else {
            continue;
        };
        let same = |it: &JsonValue| it.metric == value.metric && it.labels == value.labels;
        if values.iter().any(same) {
            let message = format!("`{}` is told twice with the same labels", value.metric);
            reader.fault(&section.place, message, "give one another name, or labels");
        }
        values.push(value);
    }
    let request = request?;
    (!values.is_empty()).then(|| Ask::Json(Box::new(JsonProbe { request, values })))
}

fn value(section: &mut Section) -> Option<JsonValue> {
    let reader = section.reader;
    let pointer = section.required("pointer", "\"/open_tickets\"");
    let metric = section.required("metric", "\"support_open_tickets\"");
    let mut labels = Vec::new();
    for (name, value) in section.pairs("labels") {
        label_name(reader, &name.value, &name.place);
        if OWN_LABELS.contains(&name.value.as_str()) {
            let message = format!("`{}` is a label of every probe's series", name.value);
            reader.fault(&name.place, message, "give it another name");
        }
        labels.push((name.value, value.value));
    }
    labels.sort();
    let (pointer, metric) = (pointer?, metric?);
    is_pointer(reader, &pointer);
    let name = metric.value.as_str();
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':'))
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
    if !is_name {
        let message = format!("`{}` cannot be a metric's name", metric.shown());
        let help = "write letters, digits and `_`, such as \"support_open_tickets\"";
        reader.fault(&metric.place, message, help);
    } else if name == "up" || OWN_NAMES.iter().any(|own| name.starts_with(own)) {
        let message = format!("`{}` is a name of gated's own series", metric.shown());
        reader.fault(&metric.place, message, "give it another name");
    }
    Some(JsonValue {
        pointer: pointer.value,
        metric: metric.value,
        labels,
    })
}

/// RFC 6901.
fn is_pointer(reader: &Reader, text: &Text) {
    let pointer = text.value.as_str();
    let escapes = pointer.split('~').skip(1);
    let is_pointer = (pointer.is_empty() || pointer.starts_with('/')) && { escapes }
        .all(|after| after.starts_with(['0', '1']));
    if !is_pointer {
        let message = format!("`{}` is no JSON pointer", text.shown());
        let help = "write \"/data/open_tickets\"; `/` in a name is `~1`, and `~` is `~0`";
        reader.fault(&text.place, message, help);
    }
}

fn target(reader: &Reader, text: &Text) -> Option<Url> {
    let parsed = Url::parse(text.value.trim()).ok();
    let parsed = parsed.filter(|it| matches!(it.scheme(), "http" | "https") && it.has_host());
    if parsed.is_none() {
        let message = format!("`{}` is no http or https URL", text.shown());
        reader.fault(&text.place, message, "write \"https://host/path\"");
    }
    parsed
}

fn request(section: &mut Section, url: Option<Url>) -> Option<HttpRequest> {
    let method = method(section);
    let headers = secret_headers(section);
    let tls = section.section("tls").map(tls).unwrap_or_default();
    Some(HttpRequest {
        url: url?,
        method,
        headers,
        tls,
    })
}

fn method(section: &mut Section) -> Method {
    let words = [
        ("GET", Method::GET),
        ("HEAD", Method::HEAD),
        ("OPTIONS", Method::OPTIONS),
        ("POST", Method::POST),
    ];
    let names: Vec<(&str, usize)> = words
        .iter()
        .enumerate()
        .map(|(i, (name, _))| (*name, i))
        .collect();
    let chosen = section.word("method", &names).unwrap_or(0);
    words[chosen].1.clone()
}

fn expected(mut section: Section, timeout: Duration, is_secure: bool) -> Expect {
    let reader = section.reader;
    let status = section.whole("status", 100..=599);
    let body = section.told("body").map(|it| it.value);
    let mut headers = Vec::new();
    for (name, text) in section.pairs("header") {
        if HeaderName::try_from(name.value.as_str()).is_err() {
            let message = format!("`{}` cannot be a header's name", name.shown());
            reader.fault(&name.place, message, "write letters, digits and `-`");
        }
        headers.push((name.value, text.value));
    }
    let mut json = Vec::new();
    for (pointer, wanted) in section.scalars("json") {
        is_pointer(reader, &pointer);
        let wanted = match wanted {
            Written::Text(text) => Scalar::Text(text.value),
            Written::Number(number) => Scalar::Number(number),
            Written::Flag(flag) => Scalar::Flag(flag),
        };
        json.push((pointer.value, wanted));
    }
    let place = section.key_place("latency");
    let latency = section.duration("latency");
    if latency.is_some_and(|it| it.is_zero() || it >= timeout) {
        let message = "an expected latency lies between nothing and the probe's timeout";
        reader.fault(
            &place,
            message,
            "write a shorter latency, or a longer timeout",
        );
    }
    let place = section.key_place("certificate");
    let certificate = section.duration("certificate");
    if certificate.is_some() && !is_secure {
        let message = "only an https URL shows a certificate";
        reader.fault(&place, message, "ask over https, or remove it");
    }
    Expect {
        status: status.and_then(|it| u16::try_from(it).ok()),
        body,
        headers,
        json,
        latency,
        certificate,
    }
}
