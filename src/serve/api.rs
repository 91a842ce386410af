//! The routes beside Prometheus' API and what each answers. Every read here comes from one snapshot; writes go through
//! token and desk.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Service;
use super::access;
use super::alerts;
use super::answer::ALWAYS;
use super::answer::Failure;
use super::answer::success;
use super::extract;
use super::extract::Piece;
use super::metrics;
use super::page;
use super::wire;
use crate::engine::Answer;
use crate::engine::Call;
use crate::engine::Snapshot;
use crate::engine::VerdictState;
use crate::model::RolloutId;
use crate::model::Status;
use crate::model::Verdict;

/// The largest body that a writer may send; every body here is one small object.
const BODY_BYTES_MAX: usize = 64 << 10;
/// What a client that got no verdict should wait, in seconds: about one scrape interval.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

pub(super) type Shared = State<Arc<Service>>;

/// Every route. `loopback` switches the check of `Host` on.
pub fn router(service: Arc<Service>, loopback: bool) -> Router {
    let ready = get(ready);
    let healthy = get(async || "gated is healthy.\n");
    let started = (service.now)();
    Router::new()
        .route("/", get(status_page))
        .route("/-/healthy", healthy.clone())
        .route("/livez", healthy)
        .route("/-/ready", ready.clone())
        .route("/readyz", ready)
        .route("/-/reload", post(reload).put(reload))
        .route("/gate", get(gate))
        .route(
            "/metrics",
            get(own_metrics).with_state((Arc::clone(&service), Arc::default())),
        )
        .route("/api/v1/verdict", get(verdict))
        .route("/api/v1/rollouts", get(rollouts).post(start_rollout))
        .route("/api/v1/rollouts/{id}/finish", post(finish_rollout))
        .route("/api/v1/decisions", get(decisions))
        .merge(super::acts::routes())
        .merge(super::attest::routes())
        .merge(super::announce::routes())
        .merge(super::incidents::routes())
        .route(
            "/api/v1/alerts/receive",
            post(receive_alerts).layer(DefaultBodyLimit::max(alerts::BODY_BYTES_MAX)),
        )
        .merge(super::explain::routes())
        .merge(super::reports::routes())
        .merge(super::status::routes())
        .merge(super::told::routes())
        .merge(super::prometheus::routes(started))
        .fallback(async || Failure::not_found("there is nothing at this path"))
        .method_not_allowed_fallback(async |method: Method, path: Uri| {
            // As Prometheus answers a preflight, but no other site is let in.
            if method == Method::OPTIONS && path.path().starts_with("/api/v1/") {
                return StatusCode::NO_CONTENT.into_response();
            }
            let text = "this path does not take this method";
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, "bad_method", text).into_response()
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn_with_state(
            (Arc::clone(&service), loopback),
            around,
        ))
        .with_state(service)
}

/// Refuses foreign host names on loopback, and puts the common headers on every answer.
async fn around(
    State((service, loopback)): State<(Arc<Service>, bool)>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = if loopback && !access::known_host(request.headers(), &service.hosts) {
        let text = "this name is not one of gated's; use its address or `localhost`, or set `external_url`";
        Failure::new(StatusCode::MISDIRECTED_REQUEST, "bad_host", text).into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in ALWAYS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn ready(State(service): Shared) -> Response {
    match service.desk.ready() {
        Ok(()) => "gated is ready.\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn reload(State(service): Shared, request: Request) -> Result<Response, Failure> {
    access::may_write(request.headers(), &service.token)?;
    service.desk.reload().await.map_err(Failure::bad_data)?;
    Ok(success(StatusCode::OK, ()))
}

/// The verdict to show at `now`: the snapshot's, unless nothing was evaluated yet or it is too old to stand for anything.
pub(super) fn current(snapshot: &Snapshot, service: &Service) -> Arc<VerdictState> {
    let now = (service.now)();
    let why = match snapshot.verdict.evaluated_at {
        None => "nothing has been evaluated yet".to_owned(),
        Some(at) if now.since(at) > service.stale_after => {
            let age = Duration::from_secs(now.since(at).as_secs());
            format!(
                "the last evaluation is {} old",
                humantime::format_duration(age)
            )
        }
        Some(_) => return Arc::clone(&snapshot.verdict),
    };
    let mut state = VerdictState::clone(&snapshot.verdict);
    state.verdict = Verdict::Unknown;
    state.status = Status::Unknown;
    state.reasons.insert(0, why);
    Arc::new(state)
}

async fn gate(State(service): Shared) -> Response {
    let snapshot = service.snapshot.load_full();
    let state = current(&snapshot, &service);
    let code = match state.verdict {
        Verdict::Go => StatusCode::OK,
        Verdict::NoGo => StatusCode::FORBIDDEN,
        Verdict::Unknown => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = Json(wire::Verdict::new(
        &snapshot.service,
        &snapshot.targets,
        &state,
    ));
    let mut response = (code, body).into_response();
    if state.verdict == Verdict::Unknown {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    response
}

async fn verdict(State(service): Shared) -> Response {
    let snapshot = service.snapshot.load_full();
    let state = current(&snapshot, &service);
    Json(wire::Verdict::new(
        &snapshot.service,
        &snapshot.targets,
        &state,
    ))
    .into_response()
}

async fn rollouts(State(service): Shared) -> Response {
    #[derive(Serialize)]
    struct Rollouts<'a> {
        rollouts: Vec<wire::RolloutLine<'a>>,
    }
    let snapshot = service.snapshot.load_full();
    let lines = snapshot
        .rollouts
        .iter()
        .map(|it| wire::RolloutLine::new(it));
    success(
        StatusCode::OK,
        Rollouts {
            rollouts: lines.collect(),
        },
    )
}

/// Of a version or a rollout's id: container digests and branch names fit.
const NAME_BYTES_MAX: usize = 256;

/// Body of `POST /api/v1/rollouts`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRollout {
    version: String,
    previous_version: Option<String>,
    #[serde(default)]
    irreversible: bool,
    started_at: Option<String>,
    id: Option<String>,
}

async fn start_rollout(State(service): Shared, request: Request) -> Result<Response, Failure> {
    access::may_write(request.headers(), &service.token)?;
    let body: NewRollout = json(request).await?;
    let started_at = body
        .started_at
        .map(|text| {
            text.parse()
                .map_err(|error| Failure::bad_data(format!("started_at: {error}")))
        })
        .transpose()?;
    let texts = [
        ("version", Some(&body.version)),
        ("previous_version", body.previous_version.as_ref()),
        ("id", body.id.as_ref()),
    ];
    for (key, text) in texts {
        text.map_or(Ok(()), |text| one_name(key, text))?;
    }
    let call = Call::StartRollout {
        id: body.id.map(RolloutId),
        version: body.version,
        previous_version: body.previous_version,
        started_at,
        irreversible: body.irreversible,
    };
    let Answer::Rollout { rollout, created } = service.desk.act(call).await? else {
        return Err(Failure::other_answer());
    };
    let code = if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok(success(code, wire::RolloutLine::new(&rollout)))
}

/// What names a rollout goes into logs, metrics and every webhook: one short line.
pub fn one_name(key: &str, text: &str) -> Result<(), Failure> {
    one_text(key, text, NAME_BYTES_MAX)
}

/// One line of at most `bytes_max`.
pub fn one_text(key: &str, text: &str, bytes_max: usize) -> Result<(), Failure> {
    let wrong = if text.trim().is_empty() {
        "may not be empty".to_owned()
    } else if text.len() > bytes_max {
        format!("has {} bytes; {bytes_max} at most", text.len())
    } else if text.chars().any(char::is_control) {
        format!("may not contain control characters: {text:?}")
    } else {
        return Ok(());
    };
    Err(Failure::bad_data(format!("{key} {wrong}")))
}

async fn finish_rollout(
    State(service): Shared,
    Piece(id): Piece,
    request: Request,
) -> Result<Response, Failure> {
    access::may_write(request.headers(), &service.token)?;
    let call = Call::FinishRollout(RolloutId(id));
    let Answer::Rollout { rollout, .. } = service.desk.act(call).await? else {
        return Err(Failure::other_answer());
    };
    Ok(success(StatusCode::OK, wire::RolloutLine::new(&rollout)))
}

/// Alertmanager drops what is answered with 4xx: only what can never be read is.
async fn receive_alerts(State(service): Shared, request: Request) -> Result<Response, Failure> {
    access::may_write(request.headers(), &service.token)?;
    let body = extract::body(request).await?;
    let post = alerts::parse(&body).map_err(Failure::bad_data)?;
    service.desk.receive(post).await?;
    Ok(success(StatusCode::OK, ()))
}

async fn decisions(State(service): Shared) -> Response {
    #[derive(Serialize)]
    struct Decisions<'a> {
        decisions: Vec<wire::DecisionLine<'a>>,
    }
    let snapshot = service.snapshot.load_full();
    let lines = snapshot.decisions.iter();
    let decisions = lines
        .map(|(it, owed)| wire::DecisionLine::new(it, owed.iter().map(AsRef::as_ref)))
        .collect();
    success(StatusCode::OK, Decisions { decisions })
}

async fn own_metrics(
    State((service, tally)): State<(Arc<Service>, Arc<Mutex<metrics::Tally>>)>,
) -> Response {
    let snapshot = service.snapshot.load_full();
    let state = current(&snapshot, &service);
    let kind = (
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    );
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    ([kind], metrics::render(&snapshot, &state, &mut tally)).into_response()
}

async fn status_page(State(service): Shared) -> Html<String> {
    let snapshot = service.snapshot.load_full();
    let state = current(&snapshot, &service);
    Html(page::render(&snapshot, &state))
}

/// The body as `T`: JSON by its content type, small, and in time.
pub async fn json<T: DeserializeOwned>(request: Request) -> Result<T, Failure> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let text = "the body must be JSON: `Content-Type: application/json`";
        return Err(Failure::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "bad_data",
            text,
        ));
    }
    let body = extract::body(request).await?;
    extract::object(&body).map_err(|error| {
        Failure::bad_data(format!("the body is not what is expected here: {error}"))
    })
}
