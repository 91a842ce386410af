//! What a probe over TCP, DNS, by a command or of reports reads from its section.

use std::net::IpAddr;
use std::time::Duration;

use crate::runbook::Section;
use crate::source::{Ask, CommandProbe, JunitProbe, ReportPattern, Secret};

const MAX_AGE_DEFAULT: Duration = Duration::from_secs(86_400);

pub(super) fn tcp(section: &mut Section) -> Option<Ask> {
    let address = section.text("tcp")?;
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
            let help = "write tcp = \"db:5432\"";
            section.reader.fault(&address.place, message, help);
            None
        }
    }
}

pub(super) fn dns(section: &mut Section) -> Option<Ask> {
    let reader = section.reader;
    let name = section.text("dns");
    let mut addresses = Vec::new();
    if let Some(mut expect) = section.section("expect") {
        for text in expect.texts_or_one("address") {
            if let Ok(address) = text.value.trim().parse::<IpAddr>() {
                addresses.push(address);
            } else {
                let message = format!("`{}` is no address", text.shown());
                reader.fault(&text.place, message, "write address = \"10.0.0.7\"");
            }
        }
    }
    let name = name?;
    let bare = name.value.trim();
    let is_name = !bare.is_empty()
        && bare.parse::<IpAddr>().is_err()
        && !bare.contains(|c: char| c.is_whitespace() || matches!(c, '/' | ':' | '@'));
    if !is_name {
        let message = format!("`{}` is no name to look up", name.shown());
        reader.fault(&name.place, message, "write dns = \"api.example.com\"");
        return None;
    }
    Some(Ask::Dns {
        name: bare.to_owned(),
        addresses,
    })
}

pub(super) fn command(section: &mut Section) -> Option<Ask> {
    let reader = section.reader;
    let place = section.key_place("command");
    let nothing = section.is_empty_list("command");
    let run = section.texts("command");
    let program = run.first().map(|it| it.value.trim());
    if nothing || program.is_some_and(str::is_empty) {
        let help = "write command = [\"pytest\", \"-q\", \"tests/smoke\"]";
        reader.fault(&place, "the command names no program", help);
    }
    let mut env = Vec::new();
    for (name, value) in section.pairs("env") {
        value.hide(reader);
        if name.value.is_empty() || name.value.contains(['=', '\0']) {
            let message = format!("`{}` cannot be a variable's name", name.shown());
            reader.fault(&name.place, message, "write letters, digits and `_`");
        }
        env.push((name.value, Secret::new(value.value)));
    }
    let mut exit = None;
    if let Some(mut expect) = section.section("expect") {
        exit = expect.whole("exit", 0..=255);
    }
    if run.is_empty() {
        return None;
    }
    let shown = run.iter().map(|it| it.shown().to_owned()).collect();
    Some(Ask::Command(CommandProbe {
        shown,
        run: run.into_iter().map(|it| Secret::new(it.value)).collect(),
        exit: exit.and_then(|it| u8::try_from(it).ok()).unwrap_or(0),
        env,
    }))
}

pub(super) fn junit(section: &mut Section) -> Option<Ask> {
    let text = section.text("junit");
    let max_age = section.duration("max_age").unwrap_or(MAX_AGE_DEFAULT);
    let text = text?;
    match ReportPattern::new(text.value.trim()) {
        Ok(reports) => Some(Ask::Junit(JunitProbe { reports, max_age })),
        Err(why) => {
            let message = format!("`{}` is no pattern of files: {why}", text.shown());
            let help = "write junit = \"reports/*.xml\"";
            section.reader.fault(&text.place, message, help);
            None
        }
    }
}
