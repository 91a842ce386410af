//! What a client asks to learn whom it is talking to. Deliberately absent: `status/config` and `status/tsdb`, for whose
//! answers gated has nothing that would be like Prometheus'.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::model::Timestamp;
use crate::serve::Service;
use crate::serve::answer::success;

/// The Prometheus whose API and whose `PromQL` are followed here. Clients (Grafana's data source above all) decide by it
/// what they may ask for, and would take gated's own version for that of a Prometheus ten years old.
const FOLLOWED: &str = "3.5.0";

pub(super) async fn buildinfo() -> Response {
    success(
        StatusCode::OK,
        json!({
            "application": "gated",
            "version": FOLLOWED,
            "gated_version": env!("CARGO_PKG_VERSION"),
            "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": "",
        }),
    )
}

/// Of Prometheus' keys only those that mean something here; `started` is when this server began to serve.
pub(super) fn runtimeinfo(service: &Service, started: Timestamp) -> Response {
    let now = (service.now)();
    let told = json!({"startTime": started.to_string(), "serverTime": now.to_string()});
    success(StatusCode::OK, told)
}

/// Of Prometheus' flags only those whose like gated has, at the values that it is built with.
pub(super) async fn flags() -> Response {
    let flags = json!({"query.lookback-delta": "5m", "query.timeout": "2m"});
    success(StatusCode::OK, flags)
}
