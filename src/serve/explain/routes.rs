//! `/explain/{id}`: a page; the same as text or JSON to who asks for that.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;

use super::Known;
use super::Unfound;
use crate::serve::Service;
use crate::serve::answer::Failure;
use crate::serve::answer::success;
use crate::serve::api::Shared;
use crate::serve::extract::Piece;

pub fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/explain", get(newest))
        .route("/explain/{id}", get(named))
        .route("/api/v1/decisions/{id}", get(decision))
}

impl From<Unfound> for Failure {
    fn from(unfound: Unfound) -> Self {
        let text = unfound.to_string();
        match unfound {
            Unfound::Nothing | Unfound::Unknown { .. } => Self::not_found(text),
            Unfound::Ambiguous { .. } => Self::bad_data(text),
        }
    }
}

async fn newest(State(service): Shared, headers: HeaderMap) -> Result<Response, Failure> {
    answer(&service, None, &headers)
}

async fn named(
    State(service): Shared,
    Piece(id): Piece,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    answer(&service, Some(&id), &headers)
}

fn answer(service: &Service, said: Option<&str>, headers: &HeaderMap) -> Result<Response, Failure> {
    let snapshot = service.snapshot.load_full();
    let explanation = Known::live(&snapshot).explain(said)?;
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
    let accept = accept.unwrap_or_default();
    // A browser names HTML among other things, and first; a script names what it wants.
    Ok(if accept.contains("text/html") {
        Html(explanation.html()).into_response()
    } else if accept.contains("application/json") {
        success(StatusCode::OK, explanation.json())
    } else if accept.contains("text/plain") {
        explanation.text().into_response()
    } else {
        Html(explanation.html()).into_response()
    })
}

/// By its whole id: who writes programs means one thing.
async fn decision(State(service): Shared, Piece(id): Piece) -> Result<Response, Failure> {
    let snapshot = service.snapshot.load_full();
    let mut decisions = snapshot.decisions.iter();
    if !decisions.any(|(it, _)| it.id.as_str() == id) {
        return Err(Failure::not_found(format!("there is no decision `{id}`")));
    }
    let explanation = Known::live(&snapshot).explain(Some(&id))?;
    Ok(success(StatusCode::OK, explanation.json()))
}
