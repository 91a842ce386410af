//! Prometheus' HTTP API over gated's window: what `promtool query`, Grafana and client libraries ask.
//!
//! What the snapshot holds (rules, alerts, targets) is answered from it; expressions, series and metadata are asked of the
//! core through the desk. Deliberately absent: whatever writes, administers or speaks of a database on disk.

mod groups;
mod metadata;
mod params;
mod query;
mod rules;
mod series;
mod status;
mod targets;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::routing::get;
use tower_http::compression::CompressionLayer;

use super::Service;
use crate::model::Timestamp;

type Shared = State<Arc<Service>>;

/// The routes, below `/api/v1`, of a server that began at `started`.
pub fn routes(started: Timestamp) -> Router<Arc<Service>> {
    Router::new()
        .route("/api/v1/query", get(query::query).post(query::query))
        .route(
            "/api/v1/query_range",
            get(query::query_range).post(query::query_range),
        )
        .route(
            "/api/v1/query_exemplars",
            get(query::query_exemplars).post(query::query_exemplars),
        )
        .route(
            "/api/v1/format_query",
            get(query::format_query).post(query::format_query),
        )
        .route("/api/v1/series", get(series::series).post(series::series))
        .route("/api/v1/labels", get(series::labels).post(series::labels))
        .route("/api/v1/label/{name}/values", get(series::label_values))
        .route("/api/v1/metadata", get(metadata::metadata))
        .route("/api/v1/targets", get(targets::targets))
        .route("/api/v1/targets/metadata", get(metadata::targets_metadata))
        .route("/api/v1/scrape_pools", get(targets::scrape_pools))
        .route("/api/v1/rules", get(rules::rules))
        .route("/api/v1/alerts", get(rules::alerts))
        .route("/api/v1/status/buildinfo", get(status::buildinfo))
        .route(
            "/api/v1/status/runtimeinfo",
            get(async move |State(service): Shared| status::runtimeinfo(&service, started)),
        )
        .route("/api/v1/status/flags", get(status::flags))
        // The limit for writers, which lies around all routes, is smaller.
        .layer(DefaultBodyLimit::max(params::FORM_BYTES_MAX))
        // A long range of many series is large and repeats itself.
        .layer(CompressionLayer::new())
}
