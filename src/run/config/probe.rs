//! `[[probe]]`: the components and how each is asked. What is particular to a kind stands in the files beside.

mod kinds;
mod web;

use std::time::Duration;

use super::scrape::pace;
use crate::runbook::{Component, Place, Section};
use crate::source::{Ask, ProbeConfig};

/// Each has a connection of its own under way.
const PROBES_MAX: usize = 500;

/// A key that says how a component is asked, with what holds unless the file says otherwise.
struct Kind {
    key: &'static str,
    interval: Duration,
    timeout: Duration,
    /// `for`: what runs rarely is news when it fails once.
    hold: Duration,
}

const KINDS: [Kind; 6] = [
    Kind::new("http", 5, 2, 30),
    Kind::new("tcp", 5, 2, 30),
    Kind::new("dns", 5, 2, 30),
    Kind::new("command", 300, 120, 0),
    Kind::new("junit", 60, 10, 0),
    Kind::new("json", 60, 10, 30),
];

impl Kind {
    const fn new(key: &'static str, interval: u64, timeout: u64, hold: u64) -> Self {
        Self {
            key,
            interval: Duration::from_secs(interval),
            timeout: Duration::from_secs(timeout),
            hold: Duration::from_secs(hold),
        }
    }
}

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
    let component = section.required("component", "\"API gateway\"");
    if let Some(it) = component.as_ref().filter(|it| it.value.trim().is_empty()) {
        reader.fault(
            &it.place,
            "the component has no name",
            "write component = \"API gateway\"",
        );
    }
    let kinds: Vec<&Kind> = KINDS.iter().filter(|it| section.has(it.key)).collect();
    let places: Vec<Place> = kinds.iter().map(|it| section.key_place(it.key)).collect();
    let kind = kinds.first().copied().unwrap_or(&KINDS[0]);
    let default = (kind.interval, kind.timeout);
    let (interval, timeout) = pace(&mut section, default, "a probe");
    let critical = section.flag("critical").unwrap_or(false);
    let hold = section.duration("for").unwrap_or(kind.hold);
    let mut asks = Vec::new();
    for kind in &kinds {
        asks.push(ask(&mut section, kind.key, timeout));
    }
    match (kinds.as_slice(), places.as_slice()) {
        ([first, second, ..], [at_first, at_second, ..]) => {
            let (first, second) = (first.key, second.key);
            let message =
                format!("a probe asks in one way, and this one has `{first}` and `{second}`");
            let help = "write a [[probe]] for each, with names of their own";
            reader.clash(at_second, message, help, at_first, "the other");
        }
        ([], _) => {
            let help = "write http = \"https://api.example.com/health\", tcp = \"db:5432\", dns, command, junit or json";
            reader.missing(&section.place, "this [[probe]] asks nothing", help);
            // So that a key that is nearly right is told of.
            for kind in &KINDS {
                section.text(kind.key);
            }
        }
        _ => {}
    }
    let component = component?;
    let config = ProbeConfig {
        component: component.value,
        ask: asks.into_iter().next()??,
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

fn ask(section: &mut Section, key: &'static str, timeout: Duration) -> Option<Ask> {
    match key {
        "http" => web::http(section, timeout),
        "json" => web::json(section),
        "tcp" => kinds::tcp(section),
        "dns" => kinds::dns(section),
        "command" => kinds::command(section),
        _ => kinds::junit(section),
    }
}
