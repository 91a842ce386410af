//! What a client asks to learn whom it is talking to.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::serve::answer::success;

pub(super) async fn buildinfo() -> Response {
    success(
        StatusCode::OK,
        json!({
            "application": "gated",
            "version": env!("CARGO_PKG_VERSION"),
            "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": "",
        }),
    )
}
