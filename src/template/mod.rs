//! Prometheus' templates for labels and annotations: Go's `text/template` with Prometheus' functions and
//! `missingkey=zero`.
//!
//! `lex` and `parse` turn text into nodes, `walk` and `eval` execute them over `value`s, `call` holds the functions.
//! What a template can do is bounded: text, nesting, steps, output. Where Go says something, messages use its words.
//! Deliberately absent: `html/template` and console templates, native histograms, complex numbers, `call`.

mod builtin;
mod call;
mod error;
mod eval;
mod float;
mod humanize;
mod lex;
mod literal;
mod node;
mod parse;
mod pattern;
mod print;
mod printf;
mod queries;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod value;
mod walk;

use std::fmt;

use crate::model::Labels;
use crate::model::Timestamp;
use crate::template::call::Tools;
use crate::template::eval::Expansion;
use crate::template::parse::Parsed;
use crate::template::parse::parse;
use crate::template::value::Data;
use crate::template::value::Value;

pub use error::TemplateError;
pub use queries::Queries;

/// A longer template is refused, in bytes.
pub const BYTES_MAX: usize = 64 * 1024;
/// An expansion that writes or builds a longer text fails, in bytes.
pub const BYTES_OUT_MAX: usize = 1024 * 1024;
/// Nodes, commands and turns of loops of one expansion; queries and long texts count for many.
const STEPS_MAX: usize = 1_000_000;
/// Invocations of templates within each other.
const TEMPLATES_MAX: usize = 100;
/// Bodies and pipelines within each other, invoked templates included.
const DEPTH_MAX: usize = 250;

/// What Prometheus puts before every text. Variables and the columns of its messages follow from it.
const PRELUDE: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                       {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// A parsed text, which may be expanded any number of times.
#[derive(Clone, Debug)]
pub struct Template {
    /// The prelude and the text.
    text: String,
    parsed: Parsed,
}

/// Answers `query` in a template: an expression evaluated at a moment, as an instant vector in its order.
/// The message of an error becomes part of the expansion's.
pub type Query<'a> = dyn FnMut(&str, Timestamp) -> Result<Vec<(Labels, f64)>, String> + 'a;

/// What a template is expanded with.
pub struct Context<'a> {
    /// `$labels` and `.Labels`: those of the sample, not of the rule.
    pub labels: &'a Labels,
    /// `$value` and `.Value`.
    pub value: f64,
    /// `$externalLabels` and `.ExternalLabels`.
    pub external_labels: &'a Labels,
    /// `$externalURL` and `.ExternalURL`; its path is `pathPrefix`.
    pub external_url: &'a str,
    /// The moment of the evaluation: `now`, and when queries are evaluated.
    pub at: Timestamp,
    pub query: &'a mut Query<'a>,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("labels", &self.labels)
            .field("value", &self.value)
            .field("external_labels", &self.external_labels)
            .field("external_url", &self.external_url)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Template {
    /// Reads a template of at most [`BYTES_MAX`] bytes. Text without `{{` is a template too.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > BYTES_MAX {
            let message = format!("a template is at most {BYTES_MAX} bytes long");
            return Err(TemplateError::parsing("", 0, message));
        }
        let text = format!("{PRELUDE}{text}");
        let parsed = parse(&text)?;
        Ok(Self { text, parsed })
    }

    /// The text with everything in `{{ }}` carried out. Of one context, always the same text.
    pub fn expand(&self, context: &mut Context<'_>) -> Result<String, TemplateError> {
        let data = Value::Data(
            Data {
                labels: context.labels.clone(),
                external_labels: context.external_labels.clone(),
                external_url: context.external_url.into(),
                value: context.value,
            }
            .into(),
        );
        let mut expansion = Expansion::new(self, data.clone(), Tools::new(context));
        expansion.nodes(&data, &self.parsed.body)?;
        Ok(expansion.out)
    }

    /// What becomes of a label or annotation of the rule `alert`: the expanded text, and where that fails
    /// `<error expanding template: …>`, as Prometheus has it. The alert goes on either way.
    pub fn expand_text(&self, alert: &str, context: &mut Context<'_>) -> String {
        self.expand(context)
            .unwrap_or_else(|error| error.as_text(alert))
    }
}
