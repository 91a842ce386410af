//! What a request brings beside its head: a body, in time and within bounds, and the piece of its path that a route names.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::FromRequest;
use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde::de::Error as _;

use super::answer::Failure;

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The whole body, no larger than its route allows.
pub async fn body(request: Request) -> Result<Bytes, Failure> {
    tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, &()))
        .await
        .map_err(|_| {
            let text = "the body did not arrive in time";
            Failure::new(StatusCode::REQUEST_TIMEOUT, "timeout", text)
        })?
        .map_err(|error| Failure::new(error.status(), "bad_data", error.body_text()))
}

/// A JSON object; a list, which serde would read as an object's values in their order, is none.
pub fn object<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    match body.trim_ascii_start().first() {
        Some(b'[') => Err(serde_json::Error::custom("a list is no JSON object")),
        _ => serde_json::from_slice(body),
    }
}

/// The one piece of the path that the route leaves open; what it holds must be text.
pub struct Piece(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Piece {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(piece)| Self(piece))
            .map_err(|error| Failure::bad_data(error.body_text()))
    }
}
