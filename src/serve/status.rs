//! `/api/v1/status`: what a person wants to know first, in one answer. The command line draws it.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;

use super::Service;
use super::answer::success;
use super::api::Shared;
use super::api::current;
use super::wire;
use crate::engine::Outcome;
use crate::engine::TriggerState;

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/api/v1/status", get(status))
}

#[derive(Serialize)]
struct Standing<'a> {
    verdict: wire::Verdict<'a>,
    environment: &'a str,
    rollback_armed: bool,
    /// By whom, until when and why.
    frozen: Option<&'a str>,
    /// Why rollbacks are held until a person has looked.
    held: Option<&'a str>,
    /// The one in progress.
    rollout: Option<wire::RolloutLine<'a>>,
    firing: Vec<Firing<'a>>,
    /// Oldest first.
    open_deliveries: Vec<Open<'a>>,
    last_decision: Option<wire::DecisionLine<'a>>,
}

#[derive(Serialize)]
struct Firing<'a> {
    trigger: &'a str,
    phase: &'a str,
    series: &'a str,
    condition: &'a str,
    severity: &'static str,
    #[serde(rename = "do")]
    action: &'static str,
    fired_at: Option<String>,
}

impl<'a> Firing<'a> {
    fn new(state: &'a TriggerState) -> Self {
        Self {
            trigger: &state.name,
            phase: &state.phase,
            series: &state.series,
            condition: &state.condition,
            severity: state.severity.word(),
            action: state.action.word(),
            fired_at: state.fired_at.map(|at| at.to_string()),
        }
    }
}

#[derive(Serialize)]
struct Open<'a> {
    decision: &'a str,
    #[serde(flatten)]
    delivery: wire::DeliveryLine<'a>,
}

async fn status(State(service): Shared) -> Response {
    let snapshot = service.snapshot.load_full();
    let state = current(&snapshot, &service);
    let firing = |it: &&TriggerState| it.outcome == Outcome::Firing;
    let open = snapshot.decisions.iter().flat_map(|(_, owed)| owed);
    let open = open.filter(|it| !it.is_settled()).map(|it| Open {
        decision: it.decision.as_str(),
        delivery: wire::DeliveryLine::new(it),
    });
    let last = snapshot.decisions.last();
    let rollout = snapshot.rollouts.iter().rfind(|it| it.end.is_none());
    let standing = Standing {
        verdict: wire::Verdict::new(&snapshot.service, &snapshot.targets, &state),
        environment: &snapshot.environment,
        rollback_armed: snapshot.rollback_armed,
        frozen: snapshot.frozen.as_deref(),
        held: snapshot.held.as_deref(),
        rollout: rollout.map(|it| wire::RolloutLine::new(it)),
        firing: snapshot
            .triggers
            .iter()
            .filter(firing)
            .map(Firing::new)
            .collect(),
        open_deliveries: open.collect(),
        last_decision: last
            .map(|(it, owed)| wire::DecisionLine::new(it, owed.iter().map(AsRef::as_ref))),
    };
    success(StatusCode::OK, standing)
}
