//! What people say to a running gated: freeze, thaw, veto, and what became of a delivery in doubt. Each needs the token
//! and leaves a line in the audit trail.

use std::sync::Arc;
use std::time::Duration;

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
use super::api::Shared;
use super::api::json;
use super::api::one_name;
use super::extract::Piece;
use super::wire;
use crate::engine::Answer;
use crate::engine::Call;
use crate::engine::Word;
use crate::model::DecisionId;
use crate::model::DeliveryKey;

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/api/v1/freeze", post(freeze))
        .route("/api/v1/thaw", post(thaw))
        .route("/api/v1/decisions/{id}/veto", post(veto))
        .route("/api/v1/deliveries/{id}/ack", post(confirm))
        .route("/api/v1/deliveries/{id}/resend", post(resend))
        .route("/api/v1/audit", get(audit))
}

/// Who says it and why; `for` belongs to a freeze.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    by: String,
    reason: String,
    r#for: Option<String>,
}

/// A receiver need not say more than that it acted.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arrived {
    by: Option<String>,
    reason: Option<String>,
}

impl Body {
    async fn read(request: Request, lasts: bool) -> Result<(Word, Option<Duration>), Failure> {
        let body: Self = json(request).await?;
        for (key, text) in [("by", &body.by), ("reason", &body.reason)] {
            one_name(key, text)?;
        }
        let hold = body.r#for.map(|text| {
            let parsed = humantime::parse_duration(&text);
            parsed.map_err(|error| Failure::bad_data(format!("for: {error}: {text:?}")))
        });
        let hold = hold.transpose()?;
        if hold.is_some() && !lasts {
            return Err(Failure::bad_data("`for` belongs to a freeze"));
        }
        let (by, reason) = (body.by, body.reason);
        Ok((Word { by, reason }, hold))
    }
}

async fn freeze(State(service): Shared, request: Request) -> Result<Response, Failure> {
    #[derive(Serialize)]
    struct Frozen {
        frozen_until: String,
    }
    access::may_write(request.headers(), &service.token)?;
    let (said, hold) = Body::read(request, true).await?;
    let hold = hold.ok_or_else(|| Failure::bad_data("for is missing: say how long, such as 1h"))?;
    let Answer::Frozen { until } = service.desk.act(Call::Freeze { said, hold }).await? else {
        return Err(Failure::other_answer());
    };
    let frozen_until = until.to_string();
    Ok(success(StatusCode::OK, Frozen { frozen_until }))
}

async fn thaw(State(service): Shared, request: Request) -> Result<Response, Failure> {
    #[derive(Serialize)]
    struct Thawed {
        /// Whether rollbacks had been frozen.
        frozen: bool,
        /// Whether they had been held because the ledger was damaged.
        held: bool,
    }
    access::may_write(request.headers(), &service.token)?;
    let (said, _) = Body::read(request, false).await?;
    let Answer::Thawed { frozen, held } = service.desk.act(Call::Thaw(said)).await? else {
        return Err(Failure::other_answer());
    };
    Ok(success(StatusCode::OK, Thawed { frozen, held }))
}

async fn veto(
    State(service): Shared,
    Piece(id): Piece,
    request: Request,
) -> Result<Response, Failure> {
    #[derive(Serialize)]
    struct Vetoed {
        decision: String,
        rollout: String,
    }
    access::may_write(request.headers(), &service.token)?;
    let (said, _) = Body::read(request, false).await?;
    let decision = DecisionId(id);
    let Answer::Vetoed { decision, rollout } =
        service.desk.act(Call::Veto { decision, said }).await?
    else {
        return Err(Failure::other_answer());
    };
    let (decision, rollout) = (decision.0, rollout.0);
    Ok(success(StatusCode::OK, Vetoed { decision, rollout }))
}

async fn confirm(
    State(service): Shared,
    Piece(id): Piece,
    request: Request,
) -> Result<Response, Failure> {
    settle(&service, id, true, request).await
}

async fn resend(
    State(service): Shared,
    Piece(id): Piece,
    request: Request,
) -> Result<Response, Failure> {
    settle(&service, id, false, request).await
}

async fn settle(
    service: &Service,
    id: String,
    arrived: bool,
    request: Request,
) -> Result<Response, Failure> {
    access::may_write(request.headers(), &service.token)?;
    let body: Arrived = json(request).await?;
    let by = body.by.unwrap_or_else(|| "the receiver".to_owned());
    let reason = body.reason.unwrap_or_else(|| "it says so".to_owned());
    for (key, text) in [("by", &by), ("reason", &reason)] {
        one_name(key, text)?;
    }
    let call = Call::Settle {
        delivery: DeliveryKey(id),
        arrived,
        said: Word { by, reason },
    };
    let Answer::Delivery(delivery) = service.desk.act(call).await? else {
        return Err(Failure::other_answer());
    };
    Ok(success(StatusCode::OK, wire::DeliveryLine::new(&delivery)))
}

async fn audit(State(service): Shared) -> Response {
    #[derive(Serialize)]
    struct Trail<'a> {
        items: Vec<wire::AuditLine<'a>>,
    }
    let snapshot = service.snapshot.load_full();
    let items = snapshot.audit.iter().map(wire::AuditLine::new).collect();
    success(StatusCode::OK, Trail { items })
}
