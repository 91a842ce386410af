//! `/api/v1/reports/{day,status,week,hypercare}`: a report as it would be made at this moment, as a page, Markdown or JSON.

use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::Service;
use super::answer::Failure;
use super::answer::success;
use super::api::Shared;
use super::extract::Piece;
use crate::report::Kind;

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/api/v1/reports/{kind}", get(report))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// `2026-12-01`; today unless somebody says.
    date: Option<String>,
    format: Option<String>,
}

async fn report(
    State(service): Shared,
    Piece(kind): Piece,
    query: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Query(asked) = query.map_err(|error| Failure::bad_data(error.body_text()))?;
    let Some(kind) = Kind::from_word(&kind) else {
        let known: Vec<&str> = Kind::ALL.iter().map(|it| it.word()).collect();
        let text = format!(
            "there is no report `{kind}`; there are {}",
            known.join(", ")
        );
        return Err(Failure::not_found(text));
    };
    let report = service.desk.report(kind, asked.date).await?;
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
    let accept = accept.unwrap_or_default();
    let format = asked.format.as_deref().unwrap_or({
        // A browser names HTML among other things, and first.
        if accept.contains("text/html") {
            "html"
        } else if accept.contains("text/markdown") || accept.contains("text/plain") {
            "markdown"
        } else {
            "json"
        }
    });
    match format {
        "html" => Ok(Html(report.html()).into_response()),
        "json" => Ok(success(StatusCode::OK, report.json())),
        "markdown" => {
            let kind = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
            Ok((kind, report.markdown()).into_response())
        }
        other => Err(Failure::bad_data(format!(
            "there is no format {other:?}: write markdown, html or json"
        ))),
    }
}
