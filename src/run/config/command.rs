//! `[[command]]`, and who may undo a release: what does gets rollback requests alone, and a command must be allowed by
//! name.

use std::time::Duration;

use super::notify::{on_doubt, timeout};
use super::{Webhook, nearest, targets};
use crate::engine::{OnDoubt, Receiver};
use crate::model::NoticeKind;
use crate::runbook::{Place, Reader, Section, Text};
use crate::sink::command::{PLACEHOLDERS, placeholders};
use crate::sink::{CommandConfig, Secret, Targets};

use super::service::Form;

/// `[[command]]`.
#[derive(Clone, Debug)]
pub struct Command {
    pub config: CommandConfig,
    pub give_up_after: Duration,
    pub on_doubt: OnDoubt,
    pub confirm_within: Option<Duration>,
}

impl Command {
    pub(super) fn receiver(&self) -> Receiver {
        Receiver {
            name: self.config.name.clone(),
            give_up_after: self.give_up_after,
            events: vec![NoticeKind::RollbackRequested],
            on_doubt: self.on_doubt,
            confirm_within: self.confirm_within,
        }
    }
}

/// Every command with the place of its name.
pub(super) fn commands(root: &mut Section) -> Vec<(Command, Place)> {
    let sections = root.sections("command");
    sections.into_iter().filter_map(command).collect()
}

fn command(mut section: Section) -> Option<(Command, Place)> {
    const RUN: &str =
        "[\"kubectl\", \"rollout\", \"undo\", \"deployment/api\", \"--to-revision={target}\"]";
    let name = section.required("name", "\"undo\"");
    let place = section.place.clone();
    let run = section.texts("run");
    let targets = targets(&mut section);
    if run.is_empty() {
        let help = format!("write run = {RUN}");
        section
            .reader
            .missing(&place, "`run` is missing in [[command]]", help);
    }
    arguments(section.reader, &run, targets.is_empty());
    let env = section.pairs("env").into_iter();
    let env = env.map(|(name, value)| {
        value.hide(section.reader);
        (name.value, Secret::new(value.value))
    });
    let env: Vec<(String, Secret)> = env.collect();
    let config = CommandConfig {
        name: name.as_ref().map_or(String::new(), |it| it.value.clone()),
        run: run.into_iter().map(|it| it.value).collect(),
        env,
        timeout: timeout(&mut section, Duration::from_secs(60)),
        targets: Targets::listed(targets.into_iter().collect()),
    };
    let give_up_after = section.duration("give_up_after");
    let on_doubt = on_doubt(&mut section).unwrap_or(OnDoubt::Hold);
    let confirm_within = section.duration("confirm");
    let command = Command {
        config,
        give_up_after: give_up_after.unwrap_or(Duration::from_secs(86_400)),
        on_doubt,
        confirm_within,
    };
    Some((command, name?.place))
}

/// The program is fixed, and what stands in braces is known.
fn arguments(reader: &Reader, run: &[Text], no_targets: bool) {
    if let Some(program) = run.first()
        && (program.value.is_empty() || placeholders(&program.value).next().is_some())
    {
        let message = "the program must stand there as it is";
        reader.fault(&program.place, message, "write its name or its path");
    }
    for argument in run {
        for word in placeholders(&argument.value) {
            if !PLACEHOLDERS.contains(&word) {
                let help = match nearest(word, PLACEHOLDERS) {
                    Some(known) => format!("did you mean `{{{known}}}`?"),
                    None => format!("known here: {{{}}}", PLACEHOLDERS.join("}, {")),
                };
                let message = format!("`{{{word}}}` stands for nothing");
                reader.fault(&argument.place, message, help);
            } else if word == "target" && no_targets {
                let message = "`{target}` needs `targets`, and there are none";
                let help = "write targets = { \"1.9.0\" = \"41\" }, or use {previous_version}";
                reader.missing(&argument.place, message, help);
            }
        }
    }
}

/// What changes what runs must be the rollback hook, and a command must be allowed besides.
pub(super) fn who_may_undo(
    reader: &Reader,
    hook: Option<&str>,
    allowed: &[Text],
    webhooks: &[(Webhook, Place)],
    commands: &[(Command, Place)],
) {
    let is_hook = |name: &str| hook == Some(name);
    for (webhook, place) in webhooks {
        if let Form::Ready(template) = &webhook.form
            && template.undoes()
            && !is_hook(&webhook.name)
        {
            let (name, word) = (&webhook.name, template.word());
            let message = format!("`{word}` undoes a release, and [rollback] hook is not `{name}`");
            let help = format!("write hook = \"{name}\" in [rollback], or remove this webhook");
            reader.fault(place, message, help);
        }
    }
    for (command, place) in commands {
        let name = &command.config.name;
        if webhooks.iter().any(|(it, _)| it.name == *name)
            || commands
                .iter()
                .any(|(it, other)| it.config.name == *name && other.span.start < place.span.start)
        {
            let message = format!("`{name}` is the name of another receiver too");
            reader.fault(place, message, "give one another name");
        }
        if !is_hook(name) {
            let message = format!(
                "a command is run for rollback requests, and [rollback] hook is not `{name}`"
            );
            let help = format!("write hook = \"{name}\" in [rollback], or remove this command");
            reader.fault(place, message, help);
        } else if !allowed.iter().any(|it| it.value == *name) {
            let message = format!("the command `{name}` is not allowed to run");
            let help = format!("write allow_commands = [\"{name}\"] in [rollback]");
            reader.missing(place, message, help);
        }
    }
    for text in allowed {
        let known = commands.iter().map(|(it, _)| it.config.name.as_str());
        if !known.clone().any(|it| it == text.value) {
            let help = match nearest(&text.value, known) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None => "remove it, or write a [[command]] of that name".to_owned(),
            };
            let message = format!("there is no [[command]] named `{}`", text.shown());
            reader.fault(&text.place, message, help);
        }
    }
}
