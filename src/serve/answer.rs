//! How answers look: Prometheus' envelope around data and errors, and the headers that every answer carries.

use axum::Json;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Serialize;

use super::ActError;
use super::AskFailure;
use super::Unreported;
use super::access::Denied;
use crate::engine::AskError;
use crate::engine::Refusal;

/// `{"status":"success","data":…}`.
#[derive(Serialize)]
pub struct Success<T> {
    status: &'static str,
    data: T,
}

/// A success with this status code.
pub fn success<T: Serialize>(code: StatusCode, data: T) -> Response {
    let status = "success";
    (code, Json(Success { status, data })).into_response()
}

/// `{"status":"error","errorType":"…","error":"…"}` with its status code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: StatusCode,
    pub kind: &'static str,
    pub text: String,
}

impl Failure {
    pub fn new(code: StatusCode, kind: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { code, kind, text }
    }

    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", text)
    }

    pub fn bad_data(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_data", text)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            status: &'static str,
            #[serde(rename = "errorType")]
            kind: &'a str,
            error: &'a str,
        }
        let body = Json(Body {
            status: "error",
            kind: self.kind,
            error: &self.text,
        });
        let mut response = (self.code, body).into_response();
        if self.code == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<AskFailure> for Failure {
    fn from(error: AskFailure) -> Self {
        let text = error.to_string();
        match error {
            AskFailure::Refused(AskError::BadData(_)) => Self::bad_data(text),
            AskFailure::Refused(AskError::Execution(_)) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", text)
            }
            AskFailure::Timeout => Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", text),
            AskFailure::Busy | AskFailure::Unavailable => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text)
            }
        }
    }
}

impl Failure {
    /// The engine answered something else than was asked: a bug, and said so.
    pub fn other_answer() -> Self {
        let text = "the engine answered something else than was asked; please report it";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", text)
    }
}

impl From<ActError> for Failure {
    fn from(error: ActError) -> Self {
        let text = error.to_string();
        match error {
            ActError::Refused(
                Refusal::NoSuchRollout(_)
                | Refusal::NoSuchDecision(_)
                | Refusal::NoSuchDelivery(_)
                | Refusal::NoSuchIncident(_)
                | Refusal::NoSuchItem { .. },
            ) => Self::not_found(text),
            ActError::Refused(Refusal::Invalid(_)) => Self::bad_data(text),
            ActError::Refused(Refusal::Conflict(_)) => {
                Self::new(StatusCode::CONFLICT, "conflict", text)
            }
            ActError::Store => Self::new(StatusCode::SERVICE_UNAVAILABLE, "store", text),
            ActError::Unavailable => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text)
            }
        }
    }
}

impl From<Unreported> for Failure {
    fn from(error: Unreported) -> Self {
        let text = error.to_string();
        match error {
            Unreported::Asked(_) => Self::bad_data(text),
            Unreported::Failed(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "store", text),
        }
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NoToken => Self::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "this changes state and needs a token: `Authorization: Bearer …`",
            ),
            Denied::WrongToken => Self::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "the token is not the right one",
            ),
            Denied::CrossSite => Self::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "a page of another site may not change anything here",
            ),
        }
    }
}

/// Headers of every answer: nothing is cached, framed, sniffed or run.
pub const ALWAYS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
];
