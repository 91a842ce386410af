//! `source = "thanos"` on a signal: a `[[prometheus]]` evaluates its texts, and gated reads what it answered.
//! Deliberately absent: asking it, which `source` does.

use std::time::Duration;

use super::condition::nearest;
use super::file::Loading;
use super::reader::Text;
use crate::model::asked;
use crate::promql::Expr;

/// More is no query that a person wrote.
const BYTES_MAX: usize = 64 << 10;

/// Who evaluates a signal's texts instead of gated. They need not be `PromQL` that gated reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The name of a `[[prometheus]]`.
    pub source: String,
    pub expr: String,
    pub enough: Option<String>,
    /// The longest range in `expr`; `None` where gated cannot read it.
    pub range: Option<Duration>,
}

/// What a signal is read by; without an `expr` something is at fault.
#[derive(Default)]
pub(super) struct Evaluated {
    pub expr: Option<Expr>,
    pub enough: Option<Expr>,
    pub remote: Option<Remote>,
}

/// The longest range of a query, where gated can read it.
struct Range(Option<Duration>);

/// Whether a `[[prometheus]]` can have this name: it stands in series, log lines and addresses.
#[must_use]
pub fn is_source_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 64
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

impl Loading<'_> {
    /// What reads the answers of `source` to a signal's texts; nothing where one of them is missing or at fault.
    pub(super) fn asked(
        &self,
        signal: &str,
        source: &Text,
        expr: Option<&Text>,
        enough: Option<&Text>,
    ) -> Evaluated {
        let known = self.known_source(source);
        // Both are looked at, so that the faults of both are told.
        let range = expr.and_then(|it| self.sent(it, source));
        let enough_range = enough.map(|it| self.sent(it, source));
        let lacks = enough_range.is_some_and(|it| it.is_none());
        let (Some(expr), Some(Range(range)), true, false) = (expr, range, known, lacks) else {
            return Evaluated::default();
        };
        let remote = Remote {
            source: source.value.clone(),
            expr: expr.value.clone(),
            enough: enough.map(|it| it.value.clone()),
            range,
        };
        let reads = |series| reading(series, &remote.source, signal);
        Evaluated {
            expr: Some(reads(asked::ANSWER)),
            enough: enough.map(|_| reads(asked::ENOUGH)),
            remote: Some(remote),
        }
    }

    /// Without a configuration any name may be right.
    fn known_source(&self, source: &Text) -> bool {
        let name = source.value.as_str();
        let message = match self.sources {
            Some(known) if known.iter().any(|it| it == name) => return true,
            None if is_source_name(name) => return true,
            Some(_) => format!("there is no [[prometheus]] `{}`", source.shown()),
            None => format!("`{}` cannot be the name of a source", source.shown()),
        };
        let known = self.sources.unwrap_or_default().iter().map(String::as_str);
        let help = match nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.sources.is_some() => format!(
                "write [[prometheus]] with name = \"{}\" in the configuration",
                source.shown()
            ),
            None => "write letters, digits, `_`, `-` and `.`, beginning with a letter".to_owned(),
        };
        self.reader.fault(&source.place, message, help);
        false
    }

    /// A text as it is sent: its longest range where gated can read it, which it need not; nothing where it is none.
    fn sent(&self, text: &Text, source: &Text) -> Option<Range> {
        let bytes = text.value.len();
        if text.value.trim().is_empty() || bytes > BYTES_MAX {
            let message = format!("a query has 1 to {BYTES_MAX} bytes, and this has {bytes}");
            let help = "write what the source is to evaluate";
            self.reader.fault(&text.place, message, help);
            return None;
        }
        match Expr::parse(&text.value) {
            Ok(expr) => Some(Range(Some(expr.longest_range()))),
            Err(error) => {
                let place = error.span.clone().map(|span| text.spot().at(span));
                let message = format!(
                    "gated does not read this as PromQL, and sends it as it stands: {}",
                    error.message
                );
                let help = format!("see that {} understands it", source.shown());
                let place = place.as_ref().unwrap_or(&text.place);
                self.reader.warn(place, message, help);
                Some(Range(None))
            }
        }
    }
}

/// What reads the answers of a source, with the labels that they came with.
fn reading(series: &str, source: &str, signal: &str) -> Expr {
    let (by_source, by_signal) = (asked::SOURCE, asked::SIGNAL);
    // Each set of labels is there once, so that the sum of it is its value.
    let text = format!(
        "sum without ({by_source}, {by_signal}) ({series}{{{by_source}=\"{source}\", {by_signal}=\"{signal}\"}})"
    );
    Expr::parse(&text).expect("a sum over a selector of names without quotes")
}
