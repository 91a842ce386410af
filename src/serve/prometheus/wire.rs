//! How values look: series, moments, numbers, and what is said beside an answer.

use axum::Json;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;

use crate::engine::Note;
use crate::model::Labels;
use crate::model::Timestamp;

/// What Prometheus writes for a moment that has not come: Go's zero time.
pub(super) const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) fn answered(data: Value, cut: bool) -> Response {
    answered_noting(data, cut, &[])
}

pub(super) fn answered_noting(data: Value, cut: bool, notes: &[Note]) -> Response {
    let mut body = serde_json::Map::new();
    body.insert("status".to_owned(), "success".into());
    body.insert("data".to_owned(), data);
    let said = |warns: bool| notes.iter().filter(move |it| it.warns == warns);
    let mut warnings: Vec<&str> = said(true).map(|it| it.text.as_str()).collect();
    if cut {
        warnings.push("results truncated due to limit");
    }
    let infos: Vec<&str> = said(false).map(|it| it.text.as_str()).collect();
    for (name, texts) in [("warnings", warnings), ("infos", infos)] {
        if !texts.is_empty() {
            body.insert(name.to_owned(), json!(texts));
        }
    }
    Json(body).into_response()
}

pub(super) fn metric(labels: &Labels) -> Value {
    let pairs = labels.iter();
    pairs
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect::<serde_json::Map<String, Value>>()
        .into()
}

#[allow(
    clippy::cast_precision_loss,
    reason = "milliseconds stay below 2^53 for 285 000 years"
)]
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.millis() as f64 / 1000.0
}

/// As Go writes a float without an exponent.
pub(super) fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}
