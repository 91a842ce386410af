//! What is wrong with a template, where, and how Go and Prometheus say it.

use std::fmt;

use crate::template::PRELUDE;
use crate::template::node::Place;

/// Why a text is not a template, or why a template does not expand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// In Go's words where Go has any.
    pub message: String,
    /// Byte of the template's text at which it fails; the text's length where its end comes too early.
    pub offset: usize,
    /// Line and byte within the line as Go counts them, in the text with the prelude before it.
    line: usize,
    column: usize,
    /// What was being executed; `None` where parsing failed.
    executing: Option<Box<Executing>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Executing {
    /// Of a template that the text defines; `None` for the text's own body.
    name: Option<String>,
    /// The part of the template at fault, as Go prints it.
    part: String,
}

impl TemplateError {
    /// `pos` counts in the whole text, the prelude included.
    pub(super) fn parsing(whole: &str, pos: usize, message: String) -> Self {
        let before = &whole[..pos];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            message,
            offset: pos.saturating_sub(PRELUDE.len()),
            line: 1 + before.matches('\n').count(),
            column: pos - line_start,
            executing: None,
        }
    }

    /// `name` is that of a defined template; `None` for the text's own body.
    pub(super) fn executing(
        whole: &str,
        place: &dyn Place,
        name: Option<&str>,
        message: String,
    ) -> Self {
        Self {
            executing: Some(Box::new(Executing {
                name: name.map(str::to_owned),
                part: place.to_string(),
            })),
            ..Self::parsing(whole, place.pos(), message)
        }
    }

    /// The whole of Prometheus' message for the rule `alert`: `error executing template __alert_A: template:
    /// __alert_A:1:140: executing "__alert_A" at <first>: error calling first: …`. Lines and columns count the
    /// variables that Prometheus declares before the text, as its own messages do.
    #[must_use]
    pub fn describe(&self, alert: &str) -> String {
        struct Described<'a>(&'a TemplateError, &'a str);

        impl fmt::Display for Described<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self(error, alert) = self;
                let (line, message) = (error.line, &error.message);
                let Some(executing) = &error.executing else {
                    return write!(
                        f,
                        "error parsing template __alert_{alert}: template: __alert_{alert}:{line}: {message}"
                    );
                };
                let (column, part) = (error.column, &executing.part);
                write!(
                    f,
                    "error executing template __alert_{alert}: template: __alert_{alert}:{line}:{column}: executing "
                )?;
                match &executing.name {
                    Some(name) => write!(f, "{name:?}")?,
                    None => write!(f, "\"__alert_{alert}\"")?,
                }
                write!(f, " at <{part}>: {message}")
            }
        }

        Described(self, alert).to_string()
    }

    /// What Prometheus puts in place of a label or annotation that does not expand.
    #[must_use]
    pub fn as_text(&self, alert: &str) -> String {
        format!("<error expanding template: {}>", self.describe(alert))
    }
}
