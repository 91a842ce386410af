//! Raw samples of a server's past, by range selectors in instant queries: what was scraped, not what a step makes of it.
//! Chunk by chunk, each within bounds. Deliberately absent: what they are for.

use std::io;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::timeout;

use super::answer::moment;
use super::ask::Asker;
use super::config::PrometheusConfig;
use super::{Resolver, Tuning};
use crate::engine::{ScrapeError, ScrapeFault};
use crate::model::{Labels, Timestamp, time};
use crate::source::recording::Recording;
use crate::source::scrape::fault::fault;

/// One answer is this large at most.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Answers are kept about this large: the next chunk is longer where one was smaller by far.
const BODY_BYTES_WANTED: usize = 8 << 20;
const CHUNK_FIRST: Duration = Duration::from_secs(3600);
const CHUNK_MIN: Duration = Duration::from_secs(60);
const CHUNK_MAX: Duration = Duration::from_secs(86_400);
/// A chunk is answered within this time.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A server that is asked for its past.
#[derive(Debug)]
pub struct History {
    asker: Asker,
}

/// Why the past cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("{selector} from {from} to {until}: {error}")]
    Asked {
        selector: String,
        from: Timestamp,
        until: Timestamp,
        error: ScrapeError,
    },
    #[error("its samples cannot be kept in the folder of temporary files: {0}")]
    Spool(#[from] io::Error),
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
    histograms: Option<serde::de::IgnoredAny>,
}

impl History {
    /// The server of this configuration; its own time limit is for smaller questions, and does not count here.
    #[must_use]
    pub fn new(config: &PrometheusConfig) -> Self {
        let config = PrometheusConfig {
            timeout: TIMEOUT,
            ..config.clone()
        };
        let resolver = Resolver::new(&Tuning::default().name_servers);
        Self {
            asker: Asker::new(config, resolver),
        }
    }

    /// Reads what the selector selects in `(from, until]` into the recording. `progress` hears of the share that is done.
    ///
    /// # Errors
    /// The server gives no answer, even for a short chunk; the temporary file cannot be written.
    pub async fn read(
        &self,
        selector: &str,
        (from, until): (Timestamp, Timestamp),
        recording: &mut Recording,
        progress: &mut dyn FnMut(f64),
    ) -> Result<(), HistoryError> {
        let whole = until.since(from).as_secs_f64().max(0.001);
        let (mut at, mut chunk) = (from, CHUNK_FIRST);
        while at < until {
            let end = (at + chunk).min(until);
            let asked = self.chunk(selector, (at, end)).await;
            match asked {
                Ok((series, bytes)) => {
                    keep(series, at, recording)?;
                    at = end;
                    progress(at.since(from).as_secs_f64() / whole);
                    if bytes < BODY_BYTES_WANTED / 2 {
                        chunk = (chunk * 2).min(CHUNK_MAX);
                    } else if bytes > BODY_BYTES_WANTED * 2 {
                        chunk = (chunk / 2).max(CHUNK_MIN);
                    }
                }
                Err(error) if is_too_much(&error) && chunk > CHUNK_MIN => {
                    chunk = (chunk / 4).max(CHUNK_MIN);
                }
                Err(error) => {
                    return Err(HistoryError::Asked {
                        selector: selector.to_owned(),
                        from: at,
                        until: end,
                        error,
                    });
                }
            }
        }
        Ok(())
    }

    async fn chunk(
        &self,
        selector: &str,
        (from, until): (Timestamp, Timestamp),
    ) -> Result<(Vec<Series>, usize), ScrapeError> {
        let millis = time::millis(until.since(from)).max(1);
        let query = format!("{selector}[{millis}ms]");
        let asked = self.asker.ask_at(&query, until, BODY_BYTES_MAX);
        let (data, bytes): (Data, usize) = timeout(TIMEOUT, asked)
            .await
            .unwrap_or_else(|_| Err(fault(ScrapeFault::Timeout, "no answer within two minutes")))?;
        if data.kind != "matrix" {
            let text = format!("the result is a {}, no matrix", data.kind);
            return Err(fault(ScrapeFault::NotAnAnswer, text));
        }
        Ok((data.result, bytes))
    }
}

/// Whether less at once may be answered.
fn is_too_much(error: &ScrapeError) -> bool {
    match error.fault {
        ScrapeFault::BodyTooLarge | ScrapeFault::Timeout | ScrapeFault::Truncated => true,
        // Prometheus: "query processing would load too many samples"; others say it in other words.
        ScrapeFault::Query => ["too many", "limit", "timed out", "timeout", "exceed"]
            .iter()
            .any(|it| error.text.contains(it)),
        ScrapeFault::Status => ["413", "422", "502", "503", "504"]
            .iter()
            .any(|it| error.text.contains(it)),
        _ => false,
    }
}

fn keep(series: Vec<Series>, after: Timestamp, recording: &mut Recording) -> io::Result<()> {
    for series in series {
        if series.histograms.is_some() && series.values.is_empty() {
            continue;
        }
        let id = recording.series(Labels::new(series.metric));
        for (seconds, value) in series.values {
            let at = moment(seconds).millis();
            let (Some(id), Ok(value)) = (id, value.parse()) else {
                recording.skip();
                continue;
            };
            // Ranges held their left end until Prometheus 3; it was in the chunk before.
            if at > after.millis() {
                recording.push(id, at, value)?;
            }
        }
    }
    Ok(())
}
