//! `[[probe]]`: the components and how each is asked.

use std::time::Duration;

use super::scrape::{pace, secret_headers, tls};
use crate::runbook::{Component, Place, Reader, Section, Text};
use crate::source::{Ask, HttpProbe, Method, ProbeConfig, Url};

/// Each has a connection of its own under way.
const PROBES_MAX: usize = 500;
const HOLD_DEFAULT: Duration = Duration::from_secs(30);
const INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);

/// `[[probe]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    pub config: ProbeConfig,
    /// Its failing rolls back.
    pub critical: bool,
    /// `for`: how long it fails before that.
    pub hold: Duration,
}

impl Probe {
    pub(super) fn component(&self) -> Component {
        Component {
            name: self.config.component.clone(),
            critical: self.critical.then_some(self.hold),
        }
    }
}

pub(super) fn probes(root: &mut Section) -> Vec<Probe> {
    let mut probes: Vec<(Probe, Place)> = Vec::new();
    let sections = root.sections("probe");
    if let Some(section) = sections.get(PROBES_MAX) {
        let message = format!("{} probes are more than {PROBES_MAX}", sections.len());
        let help = "let a blackbox exporter probe, and scrape it";
        section.reader.fault(&section.place, message, help);
    }
    for section in sections {
        let Some((probe, place)) = probe(section) else {
            continue;
        };
        let name = &probe.config.component;
        if let Some((_, first)) = probes.iter().find(|(it, _)| it.config.component == *name) {
            let message = format!("component `{name}` is probed twice");
            let help = "give one another name";
            root.reader
                .clash(&place, message, help, first, "first here");
        }
        probes.push((probe, place));
    }
    probes.into_iter().map(|(probe, _)| probe).collect()
}

fn probe(mut section: Section) -> Option<(Probe, Place)> {
    let reader = section.reader;
    let later = ["command", "junit", "json"]
        .iter()
        .any(|key| section.has(key));
    section.later(&[("command", "command"), ("junit", "junit"), ("json", "json")]);
    let component = section.required("component", "\"API gateway\"");
    if let Some(it) = component.as_ref().filter(|it| it.value.trim().is_empty()) {
        reader.fault(
            &it.place,
            "the component has no name",
            "write component = \"API gateway\"",
        );
    }
    let (http, tcp) = (section.text("http"), section.text("tcp"));
    let default = (INTERVAL_DEFAULT, TIMEOUT_DEFAULT);
    let (interval, timeout) = pace(&mut section, default, "a probe");
    let critical = section.flag("critical").unwrap_or(false);
    let hold = section.duration("for").unwrap_or(HOLD_DEFAULT);
    let ask = match (http, tcp) {
        (Some(url), None) => http_probe(&mut section, &url),
        (None, Some(address)) => tcp_probe(reader, &address),
        (Some(url), Some(address)) => {
            let message = "a probe asks either over `http` or over `tcp`".to_owned();
            let help = "write a [[probe]] for each, with names of their own";
            reader.clash(&address.place, message, help, &url.place, "the other");
            None
        }
        (None, None) if later => None,
        (None, None) => {
            let help = "write http = \"https://api.example.com/health\", or tcp = \"db:5432\"";
            reader.missing(&section.place, "this [[probe]] asks nothing", help);
            None
        }
    };
    let component = component?;
    let config = ProbeConfig {
        component: component.value,
        ask: ask?,
        interval,
        timeout,
    };
    let probe = Probe {
        config,
        critical,
        hold,
    };
    Some((probe, component.place))
}

fn http_probe(section: &mut Section, url: &Text) -> Option<Ask> {
    let reader = section.reader;
    let parsed = Url::parse(url.value.trim()).ok();
    let parsed = parsed.filter(|it| matches!(it.scheme(), "http" | "https") && it.has_host());
    if parsed.is_none() {
        let message = format!("`{}` is no http or https URL", url.shown());
        reader.fault(&url.place, message, "write \"https://host/path\"");
    }
    let method = method(section);
    let headers = secret_headers(section);
    let tls = section.section("tls").map(tls).unwrap_or_default();
    let (mut status, mut body) = (None, None);
    if let Some(mut expect) = section.section("expect") {
        status = expect.whole("status", 100..=599);
        body = expect.told("body").map(|it| it.value);
    }
    Some(Ask::Http(Box::new(HttpProbe {
        url: parsed?,
        method,
        headers,
        tls,
        status: status.and_then(|it| u16::try_from(it).ok()),
        body,
    })))
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

fn tcp_probe(reader: &Reader, address: &Text) -> Option<Ask> {
    let parts = address.value.trim().rsplit_once(':');
    let parts = parts.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let bare = parts.map(|(host, port)| (host.trim_matches(['[', ']']), port));
    match bare {
        Some((host, port)) if !host.is_empty() && port > 0 && !host.contains('/') => {
            Some(Ask::Tcp {
                host: host.to_owned(),
                port,
            })
        }
        _ => {
            let message = format!("`{}` is no host with a port", address.shown());
            reader.fault(&address.place, message, "write tcp = \"db:5432\"");
            None
        }
    }
}
