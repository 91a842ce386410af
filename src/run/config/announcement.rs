//! `[announcement]`: what users are told of the go-live, in the runbook's own words, with its blanks filled. Deliberately
//! absent: when it may go out (the engine's decision).

use std::path::PathBuf;

use super::path;
use crate::engine::{Announcement as Filled, Receiver};
use crate::model::NoticeKind;
use crate::runbook::{Section, nearest};

/// The runbook's text of hours 3-4.
pub const TEXT: &str = "\
Subject: 🚀 [Project Name] Now Live!

Dear [Users],

We're excited to announce that [Project Name] is now live!

Access: https://[app-url]
📚 User Guide: https://[docs-url]
🆘 Support: [support-email]
Help Desk: [phone-number]

What to expect in the first 24 hours:
- Enhanced support (24/7 available)
- Quick response to any questions
- Continuous monitoring

Thank you for your patience!
[Team Name]
";

/// What fills which of the text's marks.
const MARKS: [(&str, &str); 7] = [
    ("project", "[Project Name]"),
    ("users", "[Users]"),
    ("app_url", "[app-url]"),
    ("docs_url", "[docs-url]"),
    ("support_email", "[support-email]"),
    ("help_desk", "[phone-number]"),
    ("team", "[Team Name]"),
];

/// Receivers are told this much of a decision's reason, in bytes.
const TEXT_BYTES_MAX: usize = 2000;

/// `[announcement]`.
#[derive(Clone, Debug)]
pub struct Announcement {
    pub hooks: Vec<String>,
    /// By the text's mark, where it is filled.
    fillings: Vec<(&'static str, Option<String>)>,
    /// A text of the user's instead of the runbook's, with the same marks.
    pub template_file: Option<PathBuf>,
    /// What the file holds, once it was read.
    pub template: Option<String>,
}

pub(super) fn announcement(
    root: &mut Section,
    receivers: &[Receiver],
    rollback: Option<&str>,
) -> Option<Announcement> {
    let mut section = root.section("announcement")?;
    let place = section.place.clone();
    let reader = section.reader;
    let mut fillings = Vec::new();
    for (key, mark) in MARKS {
        let told = section.told(key);
        if let Some(text) = told
            .as_ref()
            .filter(|it| it.value.contains(char::is_control))
        {
            let message = format!("`{key}` has more than one line");
            reader.fault(&text.place, message, "write one line");
        }
        fillings.push((mark, told.map(|it| it.value.trim().to_owned())));
    }
    let template_file = path(&mut section, "template_file");
    let hooks = section.texts_or_one("hooks");
    if hooks.is_empty() {
        let help = "write hooks = [\"users-mail\"] with the name of a [[mail]] or a [[webhook]]";
        reader.missing(
            &place,
            "nobody is told: [announcement] has no `hooks`",
            help,
        );
    }
    for hook in &hooks {
        let Some(known) = receivers.iter().find(|it| it.name == hook.value) else {
            let help = match nearest(&hook.value, receivers.iter().map(|it| it.name.as_str())) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None => "write a [[mail]] or a [[webhook]] of that name".to_owned(),
            };
            let message = format!("there is no receiver named `{}`", hook.shown());
            reader.missing(&hook.place, message, help);
            continue;
        };
        if rollback == Some(&*known.name) {
            let message = format!("`{}` gets rollback requests and nothing else", known.name);
            reader.fault(&hook.place, message, "name a receiver for people");
        } else if !known.takes(NoticeKind::Notification) {
            let message = format!("`{}` does not take `gated.notification`", known.name);
            let help = "add \"gated.notification\" to its `events`, or name another";
            reader.fault(&hook.place, message, help);
        }
    }
    Some(Announcement {
        hooks: hooks.into_iter().map(|it| it.value).collect(),
        fillings,
        template_file,
        template: None,
    })
}

impl Announcement {
    /// The text with what is known put in; the marks that are left are blanks.
    #[must_use]
    pub fn filled(&self) -> Filled {
        let mut rest = self.template.as_deref().unwrap_or(TEXT);
        let (mut text, mut blanks) = (String::new(), Vec::new());
        // From left to right: what was put in is not looked at again.
        let next = |rest: &str| {
            let found = self.fillings.iter();
            let found = found.filter_map(|(mark, told)| Some((rest.find(mark)?, *mark, told)));
            found.min_by_key(|(at, ..)| *at)
        };
        while let Some((at, mark, told)) = next(rest) {
            text.push_str(&rest[..at]);
            rest = &rest[at + mark.len()..];
            if let Some(told) = told {
                // The text says `https://` before its marks, and people write whole URLs.
                if told.contains("://") && text.ends_with("https://") {
                    text.truncate(text.len() - "https://".len());
                }
                text.push_str(told);
                continue;
            }
            text.push_str(mark);
            if !blanks.iter().any(|it| it == mark) {
                blanks.push(mark.to_owned());
            }
        }
        text.push_str(rest);
        Filled {
            hooks: self.hooks.clone(),
            text,
            blanks,
        }
    }

    /// Reads the user's text, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or makes more than receivers are told.
    pub fn read(&mut self) -> Result<(), String> {
        if let Some(file) = &self.template_file {
            let read = std::fs::read_to_string(file);
            let read = read.map_err(|error| {
                let file = file.display();
                format!("error: template_file of [announcement]: {file} cannot be read: {error}\n  help: put it there, as text, or remove `template_file`: the runbook's own text is then used")
            })?;
            self.template = Some(read);
        }
        let length = self.filled().text.len();
        if length > TEXT_BYTES_MAX {
            return Err(format!(
                "error: the announcement has {length} bytes, and receivers are told {TEXT_BYTES_MAX}\n  help: shorten the template_file of [announcement]"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(fillings: &[(&'static str, &str)]) -> Announcement {
        let of = |mark| fillings.iter().find(|(it, _)| *it == mark);
        Announcement {
            hooks: vec!["users-mail".to_owned()],
            fillings: MARKS
                .iter()
                .map(|(_, mark)| (*mark, of(*mark).map(|(_, told)| (*told).to_owned())))
                .collect(),
            template_file: None,
            template: None,
        }
    }

    #[test]
    fn what_nobody_has_filled_in_keeps_its_mark() {
        let it = told(&[
            ("[Project Name]", "[Users]"),
            ("[app-url]", "http://app.example"),
        ]);
        let filled = it.filled();
        assert!(
            filled
                .text
                .starts_with("Subject: 🚀 [Users] Now Live!\n\nDear [Users],")
        );
        assert!(
            filled.text.contains("\nAccess: http://app.example\n"),
            "{}",
            filled.text
        );
        assert!(filled.text.contains("https://[docs-url]"));
        let blanks = [
            "[Users]",
            "[docs-url]",
            "[support-email]",
            "[phone-number]",
            "[Team Name]",
        ];
        assert_eq!(filled.blanks, blanks);
        let bare = told(&[("[app-url]", "app.example")]).filled();
        assert!(bare.text.contains("\nAccess: https://app.example\n"));
    }
}
