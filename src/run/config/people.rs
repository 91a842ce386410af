//! `[contacts]` and `[severity.P1]` …: who is called, when and how often.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::nearest;
use crate::engine::{Contact, People, Receiver};
use crate::incident::{Level, Path, QuietHours};
use crate::model::{NoticeKind, Severity};
use crate::runbook::{Item, Reader, Section, Text};

/// Calling a level again sooner than this helps nobody.
const REPEAT_MIN: Duration = Duration::from_secs(10);

/// What a level is checked against.
pub(super) struct Hooks<'a> {
    pub all: &'a [Receiver],
    /// `[rollback] hook`.
    pub rollback: Option<&'a str>,
    /// `[service] timezone`.
    pub timezone: &'a str,
}

pub(super) fn people(root: &mut Section, hooks: &Hooks<'_>) -> People {
    let mut people = People::default();
    for (role, mut section) in root.named("contacts") {
        let mut told = |key| section.told(key).map(|it| it.value);
        let contact = Contact {
            name: told("name"),
            phone: told("phone"),
            email: told("email"),
            backup: told("backup"),
        };
        let said = [
            &contact.name,
            &contact.phone,
            &contact.email,
            &contact.backup,
        ];
        let blank = |it: &&&Option<String>| it.as_ref().is_some_and(|it| it.starts_with('['));
        let blanks: Vec<&str> = said
            .iter()
            .filter(blank)
            .filter_map(|it| it.as_deref())
            .collect();
        if !blanks.is_empty() {
            let message = format!(
                "who is `{}`? {} stands there still",
                role.shown(),
                blanks.join(", ")
            );
            let help = "write the person's own, or take the line out";
            section.reader.warn(&role.place, message, help);
        }
        people.contacts.insert(role.value, contact);
    }
    for (name, mut section) in root.named("severity") {
        let Some(severity) = Severity::from_word(&name.value) else {
            let message = format!("there is no severity `{}`", name.shown());
            let help = "write [severity.P1], [severity.P2], [severity.P3] or [severity.P4]";
            section.reader.fault(&name.place, message, help);
            // What stands below it is not what is wrong.
            section.rest();
            continue;
        };
        let path = people.paths.of_mut(severity);
        read(&mut section, severity, path, hooks);
        for level in &path.levels {
            if !people.contacts.contains_key(&level.role) {
                let message = format!("nobody is named as `{}`", level.role);
                let help = format!("write [contacts.\"{}\"] with a name", level.role);
                section.reader.warn(&section.place, message, help);
            }
        }
    }
    people
}

fn read(section: &mut Section, severity: Severity, path: &mut Path, hooks: &Hooks<'_>) {
    let reader = section.reader;
    let place = section.key_place("acknowledge_within");
    if let Some(within) = section.duration("acknowledge_within") {
        path.acknowledge_within = within;
        if within.is_zero() {
            let message = "nobody can acknowledge anything within no time";
            reader.fault(&place, message, "write \"15m\"");
        }
    }
    let place = section.key_place("repeat");
    path.repeat = section.duration("repeat");
    if path.repeat.is_some_and(|it| it < REPEAT_MIN) {
        let message = format!(
            "a level cannot be called again every {}: {} at least",
            humantime::format_duration(path.repeat.unwrap_or_default()),
            humantime::format_duration(REPEAT_MIN)
        );
        let help = "write \"15m\", or leave `repeat` out: each level is then called once";
        reader.fault(&place, message, help);
    }
    let place = section.key_place("levels");
    let written = section.has("levels");
    for item in section.items("levels") {
        match item {
            Item::Section(level) => {
                path.levels
                    .extend(self::level(level, path.levels.last(), hooks));
            }
            Item::Text(text) => {
                let help = "write { role = \"on-call engineer\", hooks = [\"pagerduty\"] }";
                reader.fault(&text.place, "a level is a table", help);
            }
        }
    }
    if written && path.levels.is_empty() {
        let help = "write levels = [{ role = \"on-call engineer\", hooks = [\"pagerduty\"] }], or leave it out";
        reader.missing(&place, "there is no level in `levels`", help);
    }
    if let Some(text) = section.told("quiet_hours") {
        path.quiet = quiet(reader, &text, severity, hooks.timezone);
    }
}

fn level(mut section: Section, before: Option<&Level>, hooks: &Hooks<'_>) -> Option<Level> {
    let reader = section.reader;
    let role = section.required("role", "\"on-call engineer\"");
    let place = section.key_place("hooks");
    let names = section.texts("hooks");
    if names.is_empty() {
        let message = "a level without `hooks` calls nobody";
        let help = "write hooks = [\"NAME\"] with the name of a [[webhook]]";
        reader.missing(&place, message, help);
    }
    for name in &names {
        check_hook(reader, name, hooks);
    }
    let place = section.key_place("after");
    let after = section.duration("after").unwrap_or_default();
    if let Some(before) = before.filter(|before| after <= before.after) {
        let message = "a level is called later than the one before it";
        let help = format!(
            "write `after` with more than {}: it counts from when the incident opened",
            humantime::format_duration(before.after)
        );
        reader.fault(&place, message, help);
    }
    Some(Level {
        role: role?.value,
        hooks: names.into_iter().map(|it| it.value).collect(),
        after,
    })
}

fn check_hook(reader: &Reader, name: &Text, hooks: &Hooks<'_>) {
    if hooks.rollback == Some(&*name.value) {
        let message = format!("`{}` rolls back: it calls nobody", name.shown());
        let help = "name a [[webhook]] for people; [rollback] hook gets rollback requests and nothing else";
        reader.fault(&name.place, message, help);
        return;
    }
    let Some(hook) = hooks.all.iter().find(|it| it.name == name.value) else {
        let message = format!("there is no [[webhook]] named `{}`", name.shown());
        let others = hooks.all.iter().map(|it| it.name.as_str());
        let others = others.filter(|it| hooks.rollback != Some(*it));
        let near = nearest(&name.value, others);
        let help = near.map(|known| format!("did you mean \"{known}\"?"));
        let help = help.unwrap_or_else(|| {
            let name = name.shown();
            format!("write [[webhook]] with name = \"{name}\" and its url")
        });
        reader.missing(&name.place, message, help);
        return;
    };
    if !hook.takes(NoticeKind::EscalationRaised) {
        let message = format!(
            "`{}` does not take `gated.escalation.raised`, which is how a level is called",
            name.shown()
        );
        let help = "add it to the `events` of that [[webhook]]";
        reader.fault(&name.place, message, help);
    }
}

/// `22:00-07:00`, for what can wait.
fn quiet(reader: &Reader, text: &Text, severity: Severity, zone: &str) -> Option<QuietHours> {
    if matches!(severity, Severity::P1 | Severity::P2) {
        let message = format!("a {severity} cannot wait: it has no quiet hours");
        let help = "remove `quiet_hours`, or write it below [severity.P3] or [severity.P4]";
        reader.fault(&text.place, message, help);
        return None;
    }
    // A zone that is not there has been reported.
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let hours = text.value.split_once('-');
    let hours = hours.and_then(|(from, until)| QuietHours::new(from, until, zone));
    if hours.is_none() {
        let message = format!("`{}` are no hours", text.shown());
        let help = "write two different times of day, such as \"22:00-07:00\"";
        reader.fault(&text.place, message, help);
    }
    hours
}

/// Who is called when, one line for each severity that has levels.
pub(super) fn described(people: &People) -> Vec<String> {
    let paths = Severity::ALL.iter().map(|it| (*it, people.paths.of(*it)));
    let called = paths.filter(|(_, path)| !path.levels.is_empty());
    let line = called.map(|(severity, path)| {
        let levels = path.levels.iter().map(|level| {
            let contact = people.contacts.get(&level.role);
            let name = contact.and_then(|it| it.name.as_ref());
            let name = name.map_or_else(String::new, |name| format!(" ({name})"));
            let hooks = level.hooks.join(", ");
            let when = match level.after {
                Duration::ZERO => "at once".to_owned(),
                after => format!("after {}", humantime::format_duration(after)),
            };
            format!("{}{name} {when} by {hooks}", level.role)
        });
        let levels: Vec<String> = levels.collect();
        let again = path.repeat.map_or_else(String::new, |repeat| {
            format!("; again every {}", humantime::format_duration(repeat))
        });
        let within = humantime::format_duration(path.acknowledge_within);
        format!(
            "{severity} calls {}{again}; to be acknowledged within {within}",
            levels.join(", ")
        )
    });
    line.collect()
}
