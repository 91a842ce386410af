//! `[[prometheus]]`: the servers that evaluate signals, and how each is asked.

use std::time::Duration;

use super::path;
use super::scrape::{basic_auth, pace, secret_headers, tls};
use crate::runbook::{Place, Section, Text, is_source_name};
use crate::source::{PrometheusConfig, Secret, Url};

/// Each asks for every signal that names it.
const SOURCES_MAX: usize = 50;
/// An answer is good for the five minutes that a selector looks back, and the next must be there before.
const INTERVAL_MAX: Duration = Duration::from_secs(120);
const INTERVAL_DEFAULT: Duration = Duration::from_secs(30);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// In the order of the file.
pub(super) fn sources(root: &mut Section) -> Vec<PrometheusConfig> {
    let mut sources: Vec<(PrometheusConfig, Place)> = Vec::new();
    let sections = root.sections("prometheus");
    if let Some(section) = sections.get(SOURCES_MAX) {
        let message = format!("{} sources are more than {SOURCES_MAX}", sections.len());
        let help = "let one Thanos or Mimir answer for several";
        section.reader.fault(&section.place, message, help);
    }
    for section in sections {
        let Some((source, place)) = source(section) else {
            continue;
        };
        if let Some((_, first)) = sources.iter().find(|(it, _)| it.name == source.name) {
            let message = format!("source `{}` is there twice", source.name);
            let help = "give one another name";
            root.reader
                .clash(&place, message, help, first, "first here");
        }
        sources.push((source, place));
    }
    sources.into_iter().map(|(source, _)| source).collect()
}

fn source(mut section: Section) -> Option<(PrometheusConfig, Place)> {
    let reader = section.reader;
    let name = section.required("name", "\"thanos\"");
    if let Some(name) = name.as_ref().filter(|it| !is_source_name(&it.value)) {
        let message = format!("`{}` cannot be the name of a source", name.shown());
        let help = "write letters, digits, `_`, `-` and `.`, beginning with a letter";
        reader.fault(&name.place, message, help);
    }
    let url = section.required("url", "\"http://prometheus:9090\"");
    let url = url.and_then(|it| server_url(&section, &it));
    let default = (INTERVAL_DEFAULT, TIMEOUT_DEFAULT);
    let place = section.key_place("interval");
    let (interval, timeout) = pace(&mut section, default, "a source");
    if interval > INTERVAL_MAX {
        let message = "an answer is good for five minutes, and this interval leaves no second try";
        reader.fault(&place, message, "write \"2m\" or less");
    }
    let basic_auth = section.section("basic_auth").and_then(basic_auth);
    let bearer_token_file = path(&mut section, "bearer_token_file");
    let tls = section.section("tls").map(tls).unwrap_or_default();
    let headers = secret_headers(&mut section);
    let mut query = Vec::new();
    for (name, value) in section.pairs("query") {
        if matches!(name.value.as_str(), "query" | "time" | "timeout") {
            let message = format!("`{}` is what gated itself sends", name.value);
            reader.fault(&name.place, message, "remove it");
        }
        // Some servers take a key this way.
        value.hide(reader);
        query.push((name.value, Secret::new(value.value)));
    }
    let partial = section.word("partial", &[("refuse", false), ("accept", true)]);
    let (name, url) = (name?, url?);
    let source = PrometheusConfig {
        interval,
        timeout,
        basic_auth,
        bearer_token_file,
        tls,
        headers,
        query,
        accept_partial: partial.unwrap_or(false),
        ..PrometheusConfig::new(name.value, url)
    };
    Some((source, name.place))
}

fn server_url(section: &Section, text: &Text) -> Option<Url> {
    let shown = if text.value.contains('@') {
        // It may hold a password.
        text.hide_url(section.reader)
    } else {
        text.shown().to_owned()
    };
    let parsed = Url::parse(text.value.trim()).ok();
    let parsed = parsed.filter(|it| matches!(it.scheme(), "http" | "https") && it.has_host());
    let (message, help) = match &parsed {
        None => (
            format!("`{shown}` is no http or https URL"),
            "write \"http://prometheus:9090\"",
        ),
        Some(url) if !url.username().is_empty() || url.password().is_some() => (
            format!("`{shown}` holds credentials"),
            "write basic_auth = { username = \"…\", password_file = \"…\" }",
        ),
        Some(url) if url.query().is_some() || url.fragment().is_some() => (
            format!("`{shown}` goes on after its path"),
            "write parameters as query = { dedup = \"true\" }",
        ),
        Some(url) if url.path().trim_end_matches('/').ends_with("/api/v1/query") => (
            format!("`{shown}` names the call, and gated adds that itself"),
            "write it without /api/v1/query",
        ),
        Some(_) => return parsed,
    };
    section.reader.fault(&text.place, message, help);
    None
}
