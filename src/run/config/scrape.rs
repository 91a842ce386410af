//! `[[scrape]]` → [`ScrapeConfig`]. Names mean what they mean in Prometheus' `scrape_config`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::HeaderValue;

use super::notify::headers;
use super::{label_name, path};
use crate::runbook::{Item, Place, Reader, Section, Text};
use crate::source::{
    Action, Anchored, BasicAuth, DnsKind, DnsName, HeaderMap, Password, Relabel, ScrapeConfig,
    Secret, Tls, target_url,
};

const INTERVAL_MIN: Duration = Duration::from_millis(100);
const COUNT_MAX: u64 = 1 << 32;

/// `alone`: nothing else is asked for samples.
pub(super) fn scrapes(root: &mut Section, alone: bool) -> Vec<ScrapeConfig> {
    let mut seen = BTreeMap::new();
    let sections = root.sections("scrape");
    if sections.is_empty() && alone {
        let message = "nothing is scraped: there is no [[scrape]]";
        let help =
            "write [[scrape]] with job = \"api\" and targets = [\"http://127.0.0.1:8080/metrics\"]";
        root.reader.warn(&root.place, message, help);
    }
    sections
        .into_iter()
        .filter_map(|section| scrape(section, &mut seen))
        .collect()
}

/// Targets by job and URL, with the place where each stood first.
type Seen = BTreeMap<(String, String), Place>;

fn scrape(mut section: Section, seen: &mut Seen) -> Option<ScrapeConfig> {
    let reader = section.reader;
    section.later(&[
        ("kubernetes", "kubernetes"),
        ("relabel", "relabel"),
        ("use_proxy", "use_proxy"),
    ]);
    let job = section.required("job", "\"api\"");
    let mut config = ScrapeConfig::new(job.as_ref().map_or("", |it| it.value.as_str()));
    let targets = section.texts("targets");
    let files = section.texts("files");
    let names = section.items("dns");
    if targets.is_empty() && files.is_empty() && names.is_empty() {
        let help =
            "write targets = [\"http://127.0.0.1:8080/metrics\"], files = […] or dns = \"…\"";
        reader.missing(&section.place, "this [[scrape]] names no targets", help);
    }
    for text in targets {
        let shown = if text.value.contains('@') {
            // It may hold a password.
            text.hide_url(reader)
        } else {
            text.shown().to_owned()
        };
        let Ok(url) = target_url(&text.value) else {
            let message = format!("`{shown}` is no target");
            let help = "write \"http://host:port/metrics\" or \"host:port\"";
            reader.fault(&text.place, message, help);
            continue;
        };
        once(reader, seen, &config.job, &text, url.as_str());
        config.targets.push(url);
    }
    let files = files.into_iter();
    config.files = files.map(|it| PathBuf::from(it.value)).collect();
    config.dns = names.into_iter().filter_map(|it| dns(reader, it)).collect();
    if let Some(scheme) = section.word("scheme", &[("http", "http"), ("https", "https")]) {
        scheme.clone_into(&mut config.scheme);
    }
    if let Some(path) = section.told("metrics_path") {
        config.metrics_path = path.value;
    }
    (config.interval, config.timeout) =
        pace(&mut section, (config.interval, config.timeout), "a scrape");
    limits(&mut section, &mut config);
    for (name, value) in section.pairs("labels") {
        label_name(reader, &name.value, &name.place);
        config.labels.push((name.value, value.value));
    }
    config.honor_labels = section.flag("honor_labels").unwrap_or(config.honor_labels);
    config.honor_timestamps = section
        .flag("honor_timestamps")
        .unwrap_or(config.honor_timestamps);
    config.basic_auth = section.section("basic_auth").and_then(basic_auth);
    config.bearer_token_file = path(&mut section, "bearer_token_file");
    config.tls = section.section("tls").map(tls).unwrap_or_default();
    config.headers = secret_headers(&mut section);
    let rules = section.sections("metric_relabel").into_iter();
    config.metric_relabel = rules.filter_map(relabel).collect();
    job.map(|_| config)
}

/// What every request carries; no value is printed.
pub(super) fn secret_headers(section: &mut Section) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, _, value) in headers(section) {
        // Checked just above by the reader of headers.
        if let Ok(mut value) = HeaderValue::try_from(value) {
            value.set_sensitive(true);
            map.append(name, value);
        }
    }
    map
}

/// A target scraped twice counts twice in every sum.
fn once(reader: &Reader, seen: &mut Seen, job: &str, text: &Text, url: &str) {
    let key = (job.to_owned(), url.to_owned());
    match seen.get(&key) {
        Some(first) => {
            let message = format!("target `{}` of job `{job}` is named twice", text.shown());
            reader.clash(&text.place, message, "remove one", first, "first here");
        }
        None => {
            seen.insert(key, text.place.clone());
        }
    }
}

/// `"_metrics._tcp.api"` (SRV), `"api:8080"` (A), `{ name = "api", type = "AAAA", port = 8080 }`.
fn dns(reader: &Reader, item: Item) -> Option<DnsName> {
    let text = match item {
        Item::Text(text) => text,
        Item::Section(mut section) => {
            let name = section.required("name", "\"api\"");
            let kind = section
                .word("type", &[("SRV", 0), ("A", 4), ("AAAA", 6)])
                .unwrap_or(0);
            let place = section.key_place("port");
            let port = section
                .whole("port", 1..=65_535)
                .and_then(|it| u16::try_from(it).ok());
            let kind = match (kind, port) {
                (4, Some(port)) => DnsKind::A { port },
                (6, Some(port)) => DnsKind::Aaaa { port },
                (0, _) => DnsKind::Srv,
                _ => {
                    let message = "a name of type A or AAAA needs a `port`";
                    reader.missing(&place, message, "write port = 8080");
                    return None;
                }
            };
            return Some(DnsName {
                name: name?.value,
                kind,
            });
        }
    };
    match text.value.rsplit_once(':') {
        None if text.value.starts_with('_') => Some(DnsName {
            name: text.value,
            kind: DnsKind::Srv,
        }),
        Some((name, port)) if !name.is_empty() && port.parse::<u16>().is_ok() => Some(DnsName {
            name: name.to_owned(),
            kind: DnsKind::A {
                port: port.parse().ok()?,
            },
        }),
        _ => {
            let message = format!(
                "`{}` is neither an SRV name nor a name with a port",
                text.shown()
            );
            let help = "write \"_metrics._tcp.api\" for SRV, \"api:8080\" for A, or { name = \"api\", type = \"AAAA\", port = 8080 }";
            reader.fault(&text.place, message, help);
            None
        }
    }
}

/// `interval` and `timeout`, or what they are by `default`, of what is done again and again.
pub(super) fn pace(
    section: &mut Section,
    default: (Duration, Duration),
    what: &str,
) -> (Duration, Duration) {
    let reader = section.reader;
    let (interval_place, timeout_place) =
        (section.key_place("interval"), section.key_place("timeout"));
    let given = section.duration("interval");
    let given_timeout = section.duration("timeout");
    let interval = given.unwrap_or(default.0);
    if interval < INTERVAL_MIN {
        let message = "an interval below 100 ms is not supported";
        reader.fault(&interval_place, message, "write \"100ms\" or more");
    }
    // Four fifths leave an ended scrape time to be judged before the next begins.
    let timeout = given_timeout.unwrap_or(default.1.min(interval * 4 / 5));
    if given_timeout.is_some_and(|it| it.is_zero() || it >= interval) {
        let message = format!("{what}'s timeout lies between nothing and its interval");
        let help = "write a shorter timeout, or a longer interval";
        if given.is_some() {
            reader.clash(
                &timeout_place,
                message,
                help,
                &interval_place,
                "its interval",
            );
        } else {
            let default = humantime::format_duration(interval);
            let help = format!("write a timeout below {default}, or a longer interval");
            reader.fault(&timeout_place, message, help);
        }
    }
    (interval, timeout)
}

fn limits(section: &mut Section, config: &mut ScrapeConfig) {
    let place = section.key_place("body_size_limit");
    if let Some(bytes) = section.size("body_size_limit") {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "float to integer saturates, and the bound below refuses what does"
        )]
        let bytes = bytes as usize;
        if !(1..=1 << 30).contains(&bytes) {
            let message = "a page's size limit lies between 1B and 1GiB";
            section.reader.fault(&place, message, "write \"64MiB\"");
        }
        config.body_size_limit = bytes;
    }
    for (key, limit) in [
        ("sample_limit", &mut config.sample_limit),
        ("label_limit", &mut config.label_limit),
        (
            "label_name_length_limit",
            &mut config.label_name_length_limit,
        ),
        (
            "label_value_length_limit",
            &mut config.label_value_length_limit,
        ),
    ] {
        if let Some(number) = section.whole(key, 1..=COUNT_MAX) {
            *limit = usize::try_from(number).unwrap_or(usize::MAX);
        }
    }
}

pub(super) fn basic_auth(mut section: Section) -> Option<BasicAuth> {
    let reader = section.reader;
    let username = section.required("username", "\"gated\"");
    let here = section.text("password");
    if let Some(here) = &here {
        here.hide(section.reader);
    }
    let file = path(&mut section, "password_file");
    let password = match (here, file) {
        (Some(here), None) => {
            if here.value == here.shown() {
                let message = "a password that stands in the file is no secret";
                reader.warn(
                    &here.place,
                    message,
                    "write password_file = \"…\", or \"${PASSWORD}\"",
                );
            }
            Password::Here(Secret::new(here.value))
        }
        (None, Some(file)) => Password::File(file),
        (Some(here), Some(_)) => {
            let message = "either `password` or `password_file`, not both";
            reader.fault(&here.place, message, "remove `password`");
            return None;
        }
        (None, None) => {
            let message = "[basic_auth] has no password";
            reader.missing(&section.place, message, "write password_file = \"…\"");
            return None;
        }
    };
    Some(BasicAuth {
        username: username?.value,
        password,
    })
}

pub(super) fn tls(mut section: Section) -> Tls {
    let tls = Tls {
        ca_file: path(&mut section, "ca_file"),
        cert_file: path(&mut section, "cert_file"),
        key_file: path(&mut section, "key_file"),
        server_name: section.told("server_name").map(|it| it.value),
        insecure_skip_verify: section.flag("insecure_skip_verify").unwrap_or(false),
    };
    if tls.cert_file.is_some() != tls.key_file.is_some() {
        let message = "`cert_file` and `key_file` go together";
        section
            .reader
            .missing(&section.place, message, "write both, or neither");
    }
    tls
}

fn relabel(mut section: Section) -> Option<Relabel> {
    let reader = section.reader;
    let actions = [
        ("replace", Action::Replace),
        ("keep", Action::Keep),
        ("drop", Action::Drop),
        ("labelmap", Action::LabelMap),
        ("labeldrop", Action::LabelDrop),
        ("labelkeep", Action::LabelKeep),
    ];
    let default = Relabel::default();
    let action = if section.has("action") {
        section.word("action", &actions)
    } else {
        Some(default.action)
    };
    let source_labels = section.texts("source_labels").into_iter();
    let source_labels = source_labels.map(|it| it.value).collect();
    let separator = section
        .text("separator")
        .map_or(default.separator, |it| it.value);
    let target_label = section
        .text("target_label")
        .map_or(String::new(), |it| it.value);
    let replacement = section
        .text("replacement")
        .map_or(default.replacement, |it| it.value);
    let regex = match section.text("regex") {
        None => default.regex,
        Some(text) => match Anchored::new(&text.value) {
            Ok(regex) => regex,
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim();
                let message = format!("this is no regular expression: {reason}");
                reader.fault(&text.place, message, "write RE2 syntax, such as \"go_.*\"");
                return None;
            }
        },
    };
    if action == Some(Action::Replace) && target_label.is_empty() {
        let message = "action \"replace\" needs a `target_label`";
        reader.missing(
            &section.place,
            message,
            "write target_label = \"…\", or another action",
        );
    }
    Some(Relabel {
        action: action?,
        source_labels,
        separator,
        regex,
        target_label,
        replacement,
    })
}
