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
use crate::engine::ReportState;
use crate::engine::Role;
use crate::engine::TriggerState;
use crate::engine::UptimeState;
use crate::model::PhaseOutcome;
use crate::model::PhaseRun;

/// A day has ten, a release two or three.
const PHASES_SHOWN: usize = 10;

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/api/v1/status", get(status))
}

#[derive(Serialize)]
struct Standing<'a> {
    verdict: wire::Verdict<'a>,
    environment: &'a str,
    rollback_armed: bool,
    /// Webhooks that answered 410: nothing is sent to them.
    gone: &'a [String],
    /// By whom, until when and why.
    frozen: Option<&'a str>,
    /// Why rollbacks are held until a person has looked.
    held: Option<&'a str>,
    /// The one in progress.
    rollout: Option<wire::RolloutLine<'a>>,
    /// The newest runs of phases, oldest first.
    phases: Vec<Run<'a>>,
    /// Null where nothing says what counts as down.
    uptime: Option<Uptime>,
    /// Each kind of report that is asked for.
    reports: Vec<Report<'a>>,
    /// Required lines of the checklist that hold the gate: their names.
    open_items: Vec<&'a str>,
    firing: Vec<Firing<'a>>,
    /// Signals whose source said something beside its last answer.
    notes: Vec<Noted<'a>>,
    /// Oldest first.
    open_deliveries: Vec<Open<'a>>,
    last_decision: Option<wire::DecisionLine<'a>>,
}

#[derive(Serialize)]
struct Uptime {
    /// Of the known minutes; null while none is known.
    ratio: Option<f64>,
    objective: f64,
    over_seconds: u64,
    down_seconds: u64,
    unknown_seconds: u64,
    /// Negative once more was down than the objective allows.
    error_budget_left_seconds: f64,
}

impl Uptime {
    fn new(it: &UptimeState) -> Self {
        Self {
            ratio: it.share(),
            objective: it.objective,
            over_seconds: it.span.as_secs(),
            down_seconds: it.down.as_secs(),
            unknown_seconds: it.unknown.as_secs(),
            error_budget_left_seconds: it.budget_left(),
        }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    kind: &'static str,
    next_at: Option<String>,
    made_at: Option<String>,
    /// The newest that could not be made or kept. It is tried again.
    trouble: Option<Trouble<'a>>,
}

#[derive(Serialize)]
struct Trouble<'a> {
    date: String,
    reason: &'a str,
}

impl<'a> Report<'a> {
    fn new(it: &'a ReportState) -> Self {
        Self {
            kind: it.kind.word(),
            next_at: it.next.map(|at| at.to_string()),
            made_at: it.made_at.map(|at| at.to_string()),
            trouble: it.trouble.as_ref().map(|(date, reason)| Trouble {
                date: date.to_string(),
                reason,
            }),
        }
    }
}

#[derive(Serialize)]
struct Run<'a> {
    phase: &'a str,
    /// When it was to begin.
    from: String,
    /// The first scrape that was judged in it.
    entered_at: Option<String>,
    ended_at: Option<String>,
    /// `passed`, `failed`, `unknown` or `not_evaluated`; nothing while it goes on.
    outcome: Option<&'static str>,
}

impl<'a> Run<'a> {
    fn new(run: &'a PhaseRun) -> Self {
        let (ended_at, outcome) = run.end.unzip();
        Self {
            phase: &run.phase,
            from: run.from.to_string(),
            entered_at: run.entered_at.map(|at| at.to_string()),
            ended_at: ended_at.map(|at| at.to_string()),
            outcome: outcome.map(PhaseOutcome::word),
        }
    }
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
struct Noted<'a> {
    signal: &'a str,
    notes: &'a [String],
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
    let noted = snapshot.signals.iter().filter(|it| !it.notes.is_empty());
    let noted = noted.map(|it| Noted {
        signal: &it.name,
        notes: &it.notes,
    });
    let last = snapshot.decisions.last();
    let rollout = snapshot.rollouts.iter().rfind(|it| it.end.is_none());
    let newest = snapshot.phase_runs.len().saturating_sub(PHASES_SHOWN);
    let standing = Standing {
        verdict: wire::Verdict::new(&snapshot.service, &snapshot.targets, &state),
        environment: &snapshot.environment,
        rollback_armed: snapshot.rollback_armed,
        gone: &snapshot.gone,
        frozen: snapshot.frozen.as_deref(),
        held: snapshot.held.as_deref(),
        rollout: rollout.map(|it| wire::RolloutLine::new(it)),
        phases: snapshot.phase_runs[newest..].iter().map(Run::new).collect(),
        uptime: snapshot.uptime.as_ref().map(Uptime::new),
        reports: snapshot.reports.iter().map(Report::new).collect(),
        open_items: state
            .checks
            .iter()
            .filter(|it| it.role == Role::Checklist && it.outcome != Outcome::Met)
            .map(|it| it.name.as_str())
            .collect(),
        firing: snapshot
            .triggers
            .iter()
            .filter(firing)
            .map(Firing::new)
            .collect(),
        notes: noted.collect(),
        open_deliveries: open.collect(),
        last_decision: last
            .map(|(it, owed)| wire::DecisionLine::new(it, owed.iter().map(AsRef::as_ref))),
    };
    success(StatusCode::OK, standing)
}
