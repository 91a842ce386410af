//! `/api/v1/incidents`: what is open and by when somebody must answer, and the acknowledgement.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;
use serde::Serialize;

use super::Service;
use super::access;
use super::answer::Failure;
use super::answer::success;
use super::api;
use super::extract::Piece;
use super::wire::IncidentLine;
use crate::engine::Answer;
use crate::engine::Call;
use crate::model::IncidentId;

/// A note is a sentence or two.
const NOTE_BYTES_MAX: usize = 2048;

pub fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/api/v1/incidents", get(list))
        .route("/api/v1/incidents/{id}/ack", post(acknowledge))
}

async fn list(State(service): State<Arc<Service>>) -> Response {
    #[derive(Serialize)]
    struct Incidents<'a> {
        incidents: Vec<IncidentLine<'a>>,
    }
    let snapshot = service.snapshot.load_full();
    let incidents = snapshot.incidents.iter().map(IncidentLine::shown).collect();
    success(StatusCode::OK, Incidents { incidents })
}

/// Body of `POST /api/v1/incidents/{id}/ack`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Taken {
    by: String,
    note: Option<String>,
}

async fn acknowledge(
    State(service): State<Arc<Service>>,
    Piece(id): Piece,
    request: Request,
) -> Result<Response, Failure> {
    access::may_write(request.headers(), &service.token)?;
    let body: Taken = api::json(request).await?;
    api::one_name("by", &body.by)?;
    let note = body.note.filter(|note| !note.trim().is_empty());
    if let Some(note) = &note {
        api::one_text("note", note, NOTE_BYTES_MAX)?;
    }
    let call = Call::Acknowledge {
        incident: IncidentId(id),
        by: body.by,
        note,
    };
    match service.desk.act(call).await? {
        Answer::Incident(it) => Ok(success(StatusCode::OK, IncidentLine::new(&it))),
        _ => Err(Failure::other_answer()),
    }
}
