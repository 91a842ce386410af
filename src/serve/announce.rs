//! The go-live announcement over HTTP: `POST /api/v1/announce`. Writing needs the token, and looking at it too, since what
//! it says comes from the configuration.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;
use serde::Serialize;

use super::Service;
use super::access;
use super::answer::Failure;
use super::answer::success;
use super::api::Shared;
use super::api::current;
use super::api::json;
use super::api::one_name;
use crate::engine::Announce;
use crate::engine::Answer;
use crate::engine::Call;
use crate::model::Verdict;

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/api/v1/announce", post(announce))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    by: Option<String>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    force: bool,
}

#[derive(Serialize)]
struct Shown {
    /// Whether it goes out.
    announced: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
    text: String,
    hooks: Vec<String>,
    /// As the text marks them.
    blanks: Vec<String>,
    /// Why it is not sent unless forced.
    against: Vec<String>,
}

async fn announce(State(service): Shared, request: Request) -> Result<Response, Failure> {
    access::may_write(request.headers(), &service.token)?;
    let body: Body = json(request).await?;
    let by = body.by.unwrap_or_else(|| "somebody".to_owned());
    one_name("by", &by)?;
    // The engine judges what it last saw; whether that still stands for anything is known here.
    let snapshot = service.snapshot.load_full();
    let (seen, shown) = (&snapshot.verdict, current(&snapshot, &service));
    let stale = (seen.verdict == Verdict::Go && shown.verdict != Verdict::Go).then(|| {
        let why = shown.reasons.first().map_or("", String::as_str);
        format!("the gate says {} ({why})", shown.verdict)
    });
    if let (Some(why), false, false) = (&stale, body.force, body.dry_run) {
        let text = format!("not announced: {why}; --force announces all the same");
        return Err(Failure::new(StatusCode::CONFLICT, "conflict", text));
    }
    let asked = Announce {
        by,
        look: body.dry_run,
        forced: body.force,
    };
    let Answer::Announced(it) = service.desk.act(Call::Announce(asked)).await? else {
        return Err(Failure::other_answer());
    };
    let shown = Shown {
        announced: it.decision.is_some(),
        decision: it.decision.map(|id| id.0),
        text: it.text,
        hooks: it.hooks,
        blanks: it.blanks,
        against: stale.into_iter().chain(it.against).collect(),
    };
    Ok(success(StatusCode::OK, shown))
}
