//! The past of a Prometheus-compatible server: only the series that the rules read, and whether their targets were up.

use std::collections::BTreeSet;

use crate::model::Timestamp;
use crate::run::bar::Bar;
use crate::run::config::Config;
use crate::source::recording::Recording;
use crate::source::{History, PrometheusConfig, base_url};

/// The server that is meant: a `[[prometheus]]` of the configuration by its name, else by its URL.
///
/// # Errors
/// What to write instead.
pub fn server(said: &str, config: Option<&Config>) -> Result<PrometheusConfig, String> {
    let sources = config.map_or(&[][..], |it| &it.sources);
    if let Some(found) = sources.iter().find(|it| it.name == said) {
        return Ok(found.clone());
    }
    let url = base_url(said).map_err(|error| {
        format!("--prometheus {said:?} is neither the name of a [[prometheus]] nor a URL: {error}")
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        let help = "write a [[prometheus]] with basic_auth in the configuration, and its name here";
        return Err(format!(
            "--prometheus holds a password, which others on this machine can see: {help}"
        ));
    }
    Ok(PrometheusConfig::new("--prometheus", url))
}

/// Reads all that the selectors select between two moments.
///
/// # Errors
/// The server has no answer.
pub async fn read(
    server: &PrometheusConfig,
    selectors: &BTreeSet<String>,
    span: (Timestamp, Timestamp),
    recording: &mut Recording,
) -> Result<(), String> {
    let history = History::new(server);
    let mut bar = Bar::new("asking");
    let told = |error: crate::source::HistoryError| format!("{}: {error}", server.url);
    #[allow(clippy::cast_precision_loss, reason = "a share for people")]
    let whole = (selectors.len() + 1) as f64;
    for (place, selector) in selectors.iter().enumerate() {
        #[allow(clippy::cast_precision_loss, reason = "a share for people")]
        let before = place as f64;
        let mut show = |share: f64| bar.show((before + share) / whole);
        let read = history.read(selector, span, recording, &mut show).await;
        read.map_err(told)?;
    }
    if let Some(ups) = recording.ups() {
        let mut show = |share: f64| bar.show((whole - 1.0 + share) / whole);
        history
            .read(&ups, span, recording, &mut show)
            .await
            .map_err(told)?;
    }
    bar.clear();
    let sorted = recording.sort();
    sorted.map_err(|error| format!("the samples cannot be put in order: {error}"))
}
