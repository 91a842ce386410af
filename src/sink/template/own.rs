//! A template file of the user's. The home of `minijinja`. What is undefined is an error, every value is written as JSON,
//! work and size are bounded, and what comes out must be JSON.

use std::ops::Range;
use std::sync::Arc;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::{Map, Value};

use crate::model::Notice;
use crate::sink::body;

/// Steps of one rendering; a message takes a few hundred.
const FUEL: u64 = 50_000;
/// Longest body, in bytes.
const BODY_BYTES_MAX: usize = 64_000;

/// Keys that a body may lack and a template may name all the same: they are null.
const OPTIONAL: [&str; 12] = [
    "rollout",
    "signal",
    "value",
    "links",
    "asked",
    "refused_by",
    "incident",
    "sequence",
    "level",
    "role",
    "acknowledged_by",
    "report",
];

/// A template that has been read.
#[derive(Clone, Debug)]
pub struct Own {
    name: String,
    environment: Arc<Environment<'static>>,
}

/// What is wrong with a template, and where in its file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template {template}{}: {reason}", line.map_or(String::new(), |it| format!(", line {it}")))]
pub struct TemplateFault {
    pub template: String,
    /// From 1.
    pub line: Option<usize>,
    /// In bytes of the file.
    pub span: Option<Range<usize>>,
    pub reason: String,
    pub help: &'static str,
}

impl Own {
    /// `name` is shown in messages; `text` is what the file holds.
    pub fn new(name: &str, text: &str) -> Result<Self, TemplateFault> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::Json);
        environment.set_fuel(Some(FUEL));
        environment.set_debug(true);
        environment
            .add_template_owned(name.to_owned(), text.to_owned())
            .map_err(|error| fault(name, text, &error))?;
        Ok(Self {
            name: name.to_owned(),
            environment: Arc::new(environment),
        })
    }

    pub(super) fn render(&self, notice: &Notice) -> Result<Vec<u8>, TemplateFault> {
        let template = self.environment.get_template(&self.name);
        let template = template.map_err(|error| fault(&self.name, "", &error))?;
        let context = minijinja::Value::from(Serde(context(notice)));
        let text = template
            .render(context)
            .map_err(|error| fault(&self.name, template.source(), &error))?;
        let wrong = |reason: String, help| TemplateFault {
            template: self.name.clone(),
            line: None,
            span: None,
            reason,
            help,
        };
        if text.len() > BODY_BYTES_MAX {
            let reason = format!("it makes {} bytes, more than 64 kB", text.len());
            return Err(wrong(reason, "write less of it"));
        }
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            let reason = format!("what it makes is no JSON: {error}");
            let help = "values are written as JSON, quotes included: {\"text\": {{ data.reason }}}";
            return Err(wrong(reason, help));
        }
        Ok(text.into_bytes())
    }
}

/// The generic body with every optional key in its place.
fn context(notice: &Notice) -> Value {
    let mut context = body::value(notice);
    let fill = |value: &mut Value, keys: &[&str]| {
        if let Value::Object(map) = value {
            for key in keys {
                map.entry(*key).or_insert(Value::Null);
            }
        }
    };
    fill(&mut context, &["expires_at"]);
    let data = &mut context["data"];
    fill(data, &OPTIONAL);
    if let Value::Object(data) = data {
        data.entry("labels").or_insert(Value::Object(Map::new()));
    }
    if data["rollout"].is_object() {
        fill(&mut data["rollout"], &["previous_version"]);
    }
    context
}

fn fault(name: &str, text: &str, error: &minijinja::Error) -> TemplateFault {
    use minijinja::ErrorKind::{OutOfFuel, UndefinedError, UnknownFilter};
    let span = error.range();
    let written = span.clone().and_then(|span| text.get(span));
    let (reason, help) = match (error.kind(), written) {
        (UndefinedError, Some(what)) => (
            format!("`{}` is undefined", what.trim()),
            "write a key of the generic body; of what may be missing ask first: {% if data.rollout %}",
        ),
        (OutOfFuel, _) => ("it takes too many steps".to_owned(), "loop over less"),
        (UnknownFilter, _) => (said(error), "filters are those of minijinja"),
        _ => (
            said(error),
            "see https://docs.rs/minijinja/latest/minijinja/syntax/",
        ),
    };
    TemplateFault {
        template: name.to_owned(),
        line: error.line(),
        span,
        reason,
        help,
    }
}

fn said(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}
