//! The JSON that gated answers with. Keys are pinned; numbers that are not finite are null, never literals.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::engine::Check;
use crate::engine::IncidentState;
use crate::engine::ScrapeState;
use crate::engine::Snapshot;
use crate::engine::VerdictState;
use crate::engine::WouldFire;
use crate::model::Audit;
use crate::model::Cause;
use crate::model::Decision;
use crate::model::Delivery;
use crate::model::DeliveryState;
use crate::model::GuardAnswer;
use crate::model::Incident;
use crate::model::Rollout;
use crate::model::Timestamp;
use crate::model::Verdict as Word;
use crate::model::Verification;

/// The verdict as `/gate`, `/api/v1/verdict` and `--dry-run --format json` write it.
#[derive(Debug, Serialize)]
#[allow(clippy::struct_field_names, reason = "keys are pinned")]
pub struct Verdict<'a> {
    verdict: &'static str,
    ok: bool,
    fail: bool,
    status: &'static str,
    service: &'a str,
    phase: &'a str,
    evaluated_at: Option<String>,
    reasons: &'a [String],
    scrapes: Vec<Scrape<'a>>,
    checks: Vec<CheckLine<'a>>,
    would_fire: Vec<Fire<'a>>,
}

impl<'a> Verdict<'a> {
    /// The snapshot's own verdict.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot) -> Self {
        Self::new(&snapshot.service, &snapshot.targets, &snapshot.verdict)
    }

    #[must_use]
    pub fn new(service: &'a str, targets: &'a [ScrapeState], state: &'a VerdictState) -> Self {
        Self {
            verdict: state.verdict.word(),
            ok: state.verdict == Word::Go,
            fail: state.verdict == Word::NoGo,
            status: state.status.word(),
            service,
            phase: &state.phase,
            evaluated_at: state.evaluated_at.map(time),
            reasons: &state.reasons,
            scrapes: targets.iter().map(Scrape::new).collect(),
            checks: state.checks.iter().map(CheckLine::new).collect(),
            would_fire: state.would_fire.iter().map(Fire::new).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Scrape<'a> {
    job: &'a str,
    target: &'a str,
    up: bool,
    samples: u32,
    duration_seconds: Option<f64>,
    error: Option<String>,
}

impl<'a> Scrape<'a> {
    fn new(state: &'a ScrapeState) -> Self {
        let last = state.last.as_ref();
        Self {
            job: &state.info.job,
            target: &state.info.url,
            up: last.is_some_and(|last| last.error.is_none()),
            samples: last.map_or(0, |last| last.samples),
            duration_seconds: last.map(|last| last.duration.as_secs_f64()),
            error: match last {
                None => Some("not scraped yet".to_owned()),
                Some(last) => last.error.as_ref().map(ToString::to_string),
            },
        }
    }
}

#[derive(Debug, Serialize)]
struct CheckLine<'a> {
    name: &'a str,
    signal: &'a str,
    role: &'static str,
    reading: &'static str,
    value: Option<f64>,
    unit: &'static str,
    condition: &'a str,
    outcome: &'static str,
    reason: &'a str,
}

impl<'a> CheckLine<'a> {
    fn new(check: &'a Check) -> Self {
        Self {
            name: &check.name,
            signal: &check.signal,
            role: check.role.word(),
            reading: check.reading.word(),
            value: finite(check.reading.value()),
            unit: check.unit.word(),
            condition: &check.condition,
            outcome: check.outcome.word(),
            reason: &check.reason,
        }
    }
}

#[derive(Debug, Serialize)]
struct Fire<'a> {
    #[serde(rename = "do")]
    action: &'static str,
    hook: Option<&'a str>,
    because: &'a [String],
    refused_by: Option<&'static str>,
}

impl<'a> Fire<'a> {
    fn new(fire: &'a WouldFire) -> Self {
        Self {
            action: fire.action.word(),
            hook: fire.hook.as_deref(),
            because: &fire.because,
            refused_by: fire.refused_by.map(crate::model::Guard::word),
        }
    }
}

/// One rollout of `/api/v1/rollouts`.
#[derive(Debug, Serialize)]
pub struct RolloutLine<'a> {
    id: &'a str,
    service: &'a str,
    environment: &'a str,
    version: &'a str,
    previous_version: Option<&'a str>,
    started_at: String,
    seen_at: String,
    told: bool,
    irreversible: bool,
    turned_red: bool,
    baseline: BTreeMap<&'a str, Option<f64>>,
    ended_at: Option<String>,
    end: Option<&'static str>,
    vetoed: Option<SaidCell<'a>>,
}

/// What a person said.
#[derive(Debug, Serialize)]
struct SaidCell<'a> {
    at: String,
    by: &'a str,
    reason: &'a str,
}

impl<'a> RolloutLine<'a> {
    #[must_use]
    pub fn new(rollout: &'a Rollout) -> Self {
        Self {
            id: rollout.id.as_str(),
            service: &rollout.service,
            environment: &rollout.environment,
            version: &rollout.version,
            previous_version: rollout.previous_version.as_deref(),
            started_at: time(rollout.started_at),
            seen_at: time(rollout.seen_at),
            told: rollout.told,
            irreversible: rollout.irreversible,
            turned_red: rollout.turned_red,
            baseline: rollout
                .baseline
                .iter()
                .map(|(signal, value)| (signal.as_str(), finite(Some(*value))))
                .collect(),
            ended_at: rollout.end.map(|(at, _)| time(at)),
            end: rollout.end.map(|(_, end)| end.word()),
            vetoed: rollout.vetoed.as_ref().map(|said| SaidCell {
                at: time(said.at),
                by: &said.by,
                reason: &said.reason,
            }),
        }
    }
}

/// The pinned keys of a decision, wherever one is listed: what a backtest shows of it.
#[derive(Debug, Serialize)]
pub struct Decided<'a> {
    at: String,
    #[serde(rename = "do")]
    action: &'static str,
    asked: &'static str,
    refused_by: Option<&'static str>,
    trigger: &'a str,
    rollout: Option<&'a str>,
    phase: &'a str,
    severity: &'static str,
    value: Option<f64>,
    condition: &'a str,
}

impl<'a> Decided<'a> {
    #[must_use]
    pub fn new(decision: &'a Decision) -> Self {
        Self {
            at: time(decision.at),
            action: decision.action.word(),
            asked: decision.asked.word(),
            refused_by: decision.refused_by.map(crate::model::Guard::word),
            trigger: &decision.trigger,
            rollout: decision
                .rollout
                .as_ref()
                .map(crate::model::RolloutId::as_str),
            phase: &decision.phase,
            severity: decision.severity.word(),
            value: finite(decision.value),
            condition: &decision.condition,
        }
    }
}

/// One decision of `/api/v1/decisions`: the pinned keys, and its explanation.
#[derive(Debug, Serialize)]
pub struct DecisionLine<'a> {
    id: &'a str,
    #[serde(flatten)]
    decided: Decided<'a>,
    signal: Option<&'a str>,
    unit: &'static str,
    expr: &'a str,
    held_for_seconds: f64,
    reason: &'a str,
    guards: Vec<GuardLine<'a>>,
    deliveries: Vec<DeliveryLine<'a>>,
}

impl<'a> DecisionLine<'a> {
    #[must_use]
    pub fn new(decision: &'a Decision, deliveries: impl IntoIterator<Item = &'a Delivery>) -> Self {
        Self {
            id: decision.id.as_str(),
            decided: Decided::new(decision),
            signal: decision.signal.as_deref(),
            unit: decision.unit.word(),
            expr: &decision.expr,
            held_for_seconds: decision.held_for.as_secs_f64(),
            reason: &decision.reason,
            guards: decision.guards.iter().map(GuardLine::new).collect(),
            deliveries: deliveries.into_iter().map(DeliveryLine::new).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
struct GuardLine<'a> {
    guard: &'static str,
    passed: bool,
    note: &'a str,
}

impl<'a> GuardLine<'a> {
    fn new(answer: &'a GuardAnswer) -> Self {
        Self {
            guard: answer.guard.word(),
            passed: answer.passed,
            note: &answer.note,
        }
    }
}

#[derive(Debug, Serialize)]
pub struct DeliveryLine<'a> {
    id: &'a str,
    receiver: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    created_at: String,
    attempts: u32,
    last_error: Option<&'a str>,
    state: &'static str,
    /// When the next attempt is due; null once it is settled.
    next_at: Option<String>,
    /// When it was settled; null while it is owed.
    settled_at: Option<String>,
    /// The answer's HTTP status, where it was delivered.
    status: Option<u16>,
    /// Why it was cancelled, given up or held.
    why: Option<&'a str>,
    attempt_log: Vec<AttemptCell<'a>>,
}

/// What came of one attempt.
#[derive(Debug, Serialize)]
struct AttemptCell<'a> {
    attempt: u32,
    at: String,
    outcome: &'a str,
}

/// One line of the audit trail.
#[derive(Debug, Serialize)]
pub struct AuditLine<'a> {
    at: String,
    #[serde(rename = "do")]
    deed: &'static str,
    by: &'a str,
    reason: &'a str,
    subject: Option<&'a str>,
    until: Option<String>,
}

impl<'a> AuditLine<'a> {
    #[must_use]
    pub fn new(audit: &'a Audit) -> Self {
        Self {
            at: time(audit.said.at),
            deed: audit.deed.word(),
            by: &audit.said.by,
            reason: &audit.said.reason,
            subject: Some(audit.subject.as_str()).filter(|it| !it.is_empty()),
            until: audit.until.map(time),
        }
    }
}

/// Whether a delivered rollback helped.
#[derive(Debug, Serialize)]
pub struct VerificationLine {
    /// When it was delivered.
    since: String,
    /// Null while it is watched.
    outcome: Option<&'static str>,
    at: Option<String>,
}

impl VerificationLine {
    #[must_use]
    pub fn new(verification: &Verification) -> Self {
        Self {
            since: time(verification.since),
            outcome: verification.outcome.map(|(_, helped)| helped.word()),
            at: verification.outcome.map(|(at, _)| time(at)),
        }
    }
}

impl<'a> DeliveryLine<'a> {
    #[must_use]
    pub fn new(delivery: &'a Delivery) -> Self {
        let (next, settled, status, why) = match &delivery.state {
            DeliveryState::Owed { next } => (Some(*next), None, None, None),
            DeliveryState::UnderWay { .. } => (None, None, None, None),
            DeliveryState::Unconfirmed { until, status } => {
                (Some(*until), None, Some(*status), None)
            }
            DeliveryState::Held { why, .. } => (None, None, None, Some(why.as_str())),
            DeliveryState::Delivered { at, status } => (None, Some(*at), Some(*status), None),
            DeliveryState::Cancelled { at, why } | DeliveryState::GivenUp { at, why } => {
                (None, Some(*at), None, Some(why.as_str()))
            }
        };
        Self {
            id: delivery.key.as_str(),
            receiver: &delivery.receiver,
            kind: delivery.kind.word(),
            created_at: time(delivery.created_at),
            attempts: delivery.attempts,
            last_error: delivery.last_error.as_deref(),
            state: delivery.state.word(),
            next_at: next.map(time),
            settled_at: settled.map(time),
            status,
            why,
            attempt_log: delivery
                .log
                .iter()
                .map(|it| AttemptCell {
                    attempt: it.attempt,
                    at: time(it.at),
                    outcome: &it.outcome,
                })
                .collect(),
        }
    }
}

/// One incident of `/api/v1/incidents`.
#[derive(Debug, Serialize)]
pub struct IncidentLine<'a> {
    id: &'a str,
    severity: &'static str,
    /// `open`, `acknowledged` or `resolved`.
    state: &'static str,
    rollout: Option<&'a str>,
    signal: &'a str,
    reason: &'a str,
    opened_at: String,
    /// By when somebody must acknowledge it; null once nobody has to.
    acknowledge_by: Option<String>,
    /// The role called last, and who that is.
    owner: Option<&'a str>,
    contact: Option<&'a str>,
    /// Levels of the path called so far.
    level: u32,
    called_at: Option<String>,
    next_call_at: Option<String>,
    next_role: Option<&'a str>,
    acknowledged_at: Option<String>,
    acknowledged_by: Option<&'a str>,
    note: Option<&'a str>,
    /// When nobody had acknowledged it in time.
    breached_at: Option<String>,
    resolved_at: Option<String>,
    resolution: Option<&'a str>,
    decisions: Vec<&'a str>,
    causes: Vec<String>,
    told: Vec<&'a str>,
    /// What is to be done in it and by when.
    response: Vec<ResponseLine<'a>>,
}

#[derive(Debug, Serialize)]
struct ResponseLine<'a> {
    title: &'a str,
    from: String,
    until: Option<String>,
    steps: &'a [String],
}

impl<'a> IncidentLine<'a> {
    /// With who must do what by when.
    #[must_use]
    pub fn shown(it: &'a IncidentState) -> Self {
        let next = it.next.as_ref();
        Self {
            acknowledge_by: it.acknowledge_by.map(time),
            owner: it.owner.as_deref(),
            contact: it.contact.as_deref(),
            next_call_at: next.map(|(at, _)| time(*at)),
            next_role: next.and_then(|(_, role)| role.as_deref()),
            response: it
                .response
                .iter()
                .map(|it| ResponseLine {
                    title: &it.title,
                    from: time(it.from),
                    until: it.until.map(time),
                    steps: &it.steps,
                })
                .collect(),
            ..Self::new(&it.incident)
        }
    }

    #[must_use]
    pub fn new(it: &'a Incident) -> Self {
        let taken = it.acknowledged.as_ref();
        Self {
            id: it.id.as_str(),
            severity: it.severity.word(),
            state: match (&it.resolved, taken) {
                (Some(_), _) => "resolved",
                (None, Some(_)) => "acknowledged",
                (None, None) => "open",
            },
            rollout: it.rollout.as_ref().map(crate::model::RolloutId::as_str),
            signal: &it.signal,
            reason: &it.reason,
            opened_at: time(it.opened_at),
            acknowledge_by: None,
            owner: None,
            contact: None,
            level: it.reached,
            called_at: it.called_at.map(time),
            next_call_at: None,
            next_role: None,
            acknowledged_at: taken.map(|taken| time(taken.at)),
            acknowledged_by: taken.map(|taken| taken.by.as_str()),
            note: taken.and_then(|taken| taken.note.as_deref()),
            breached_at: it.breached_at.map(time),
            resolved_at: it.resolved.as_ref().map(|(at, _)| time(*at)),
            resolution: it.resolved.as_ref().map(|(_, how)| how.as_str()),
            decisions: it
                .decisions
                .iter()
                .map(crate::model::DecisionId::as_str)
                .collect(),
            causes: it.causes.iter().map(cause).collect(),
            told: it.hooks.iter().map(String::as_str).collect(),
            response: Vec::new(),
        }
    }
}

/// For people.
fn cause(it: &Cause) -> String {
    match it {
        Cause::Trigger { name, series } if series.is_empty() => format!("trigger {name}"),
        Cause::Trigger { name, series } => format!("trigger {name} for {series}"),
        Cause::Alert { labels } => format!("alert {labels}"),
        Cause::Blind { signal } => format!("no value of {signal}"),
        Cause::Verification => "did the rollback help?".to_owned(),
        Cause::Unseen { what } => what.clone(),
    }
}

fn time(at: Timestamp) -> String {
    at.to_string()
}

fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}
