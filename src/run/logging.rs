//! Log lines to standard error: logfmt for people, JSON for collectors. One event is one line, whatever it holds.

use std::fmt;
use std::fmt::Write as _;
use std::io::IsTerminal as _;

use serde_json::Map;
use serde_json::Value;
use tracing::Event;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::FormatEvent;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::registry::LookupSpan;

use super::cli::LogFormat;
use super::clock::Clock;

/// Sets the process' logging up. `level`: one of tracing's levels or `RUST_LOG` filters; without it the
/// environment's, else `info`. Called once; a second call is an error.
pub fn start(format: Option<LogFormat>, level: Option<&str>, clock: Clock) -> anyhow::Result<()> {
    let said = level.map(str::to_owned);
    let said = said.or_else(|| std::env::var(EnvFilter::DEFAULT_ENV).ok());
    let mut filter = match &level {
        Some(level) => EnvFilter::try_new(level)?,
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
    };
    // It tells of every write to a watched folder: a log in that folder would be about itself, without end.
    if !said.is_some_and(|said| said.contains("notify")) {
        filter = filter.add_directive("notify=info".parse()?);
    }
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .event_format(Lines { format, clock })
        .try_init()
        .map_err(|error| anyhow::anyhow!("logging is set up already: {error}"))
}

/// `ts level target msg`, then the event's fields in their order.
struct Lines {
    format: LogFormat,
    clock: Clock,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let meta = event.metadata();
        let level = meta.level().as_str().to_ascii_lowercase();
        let head = [
            ("ts", self.clock.now().to_string()),
            ("level", level),
            ("target", meta.target().to_owned()),
            ("msg", fields.message),
        ];
        let head = head
            .into_iter()
            .map(|(name, text)| (name, Value::String(text)));
        writer.write_str(&line(self.format, head.chain(fields.others)))
    }
}

fn line(format: LogFormat, fields: impl Iterator<Item = (&'static str, Value)>) -> String {
    match format {
        LogFormat::Json => {
            let object: Map<String, Value> = fields.map(|(k, v)| (k.to_owned(), v)).collect();
            format!("{}\n", Value::Object(object))
        }
        LogFormat::Text => {
            let mut line = String::new();
            for (name, value) in fields {
                let space = if line.is_empty() { "" } else { " " };
                let _ = write!(line, "{space}{name}={}", logfmt(&value));
            }
            line.push('\n');
            line
        }
    }
}

/// Bare where nothing in it could be misread, else quoted with control characters escaped.
fn logfmt(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\');
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("{text:?}")
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn push(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, Value::from(value));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, Value::from(value));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, Value::from(value));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, Value::from(value));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, Value::from(value));
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.push(field, Value::from(text));
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, Value::from(format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(format: LogFormat) -> String {
        let fields = [
            ("msg", Value::from("scrape failed")),
            ("scrape_target", Value::from("10.0.0.7:80")),
            (
                "error",
                Value::from("bad \"line\"\n\u{1b}[31mlevel=error\u{9b}"),
            ),
            ("attempt", Value::from(3)),
            ("empty", Value::from("")),
            ("rate", Value::from(f64::NAN)),
        ];
        line(format, fields.into_iter())
    }

    #[test]
    fn one_event_is_one_line_and_no_escape_sequence() {
        assert_eq!(
            lines(LogFormat::Text),
            "msg=\"scrape failed\" scrape_target=10.0.0.7:80 \
             error=\"bad \\\"line\\\"\\n\\u{1b}[31mlevel=error\\u{9b}\" attempt=3 empty=\"\" rate=null\n"
        );
        let json = lines(LogFormat::Json);
        assert_eq!(json.lines().count(), 1);
        assert!(!json.contains('\u{1b}'));
        let back: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(back["attempt"], 3);
        assert_eq!(back["error"], "bad \"line\"\n\u{1b}[31mlevel=error\u{9b}");
    }
}
