//! The pinned JSON of a backtest.

use serde::Serialize;

use crate::model::{Decision, Guard, RolloutId};
use crate::run::backtest::{Outcome, PhaseSpan};

#[derive(Debug, Serialize)]
struct Document<'a> {
    decisions: Vec<DecisionLine<'a>>,
    phases: Vec<PhaseLine<'a>>,
    samples: u64,
    evaluations: u64,
}

/// As `GET /api/v1/decisions` has these keys.
#[derive(Debug, Serialize)]
struct DecisionLine<'a> {
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

#[derive(Debug, Serialize)]
struct PhaseLine<'a> {
    name: &'a str,
    from: String,
    until: String,
    status_seconds: StatusSeconds,
}

#[derive(Debug, Serialize)]
struct StatusSeconds {
    green: f64,
    amber: f64,
    red: f64,
    unknown: f64,
}

/// One document, ending with a newline.
#[must_use]
pub fn json(outcome: &Outcome) -> String {
    let document = document(outcome);
    let mut text = serde_json::to_string_pretty(&document).expect("plain texts and numbers");
    text.push('\n');
    text
}

/// The document as a part of another.
#[must_use]
pub fn value(outcome: &Outcome) -> serde_json::Value {
    serde_json::to_value(document(outcome)).expect("plain texts and numbers")
}

fn document(outcome: &Outcome) -> Document<'_> {
    Document {
        decisions: outcome.decisions.iter().map(decision).collect(),
        phases: outcome.phases.iter().map(phase).collect(),
        samples: outcome.samples,
        evaluations: outcome.evaluations,
    }
}

fn decision(it: &Decision) -> DecisionLine<'_> {
    DecisionLine {
        at: it.at.to_string(),
        action: it.action.word(),
        asked: it.asked.word(),
        refused_by: it.refused_by.map(Guard::word),
        trigger: &it.trigger,
        rollout: it.rollout.as_ref().map(RolloutId::as_str),
        phase: &it.phase,
        severity: it.severity.word(),
        value: it.value.filter(|value| value.is_finite()),
        condition: &it.condition,
    }
}

fn phase(it: &PhaseSpan) -> PhaseLine<'_> {
    #[allow(clippy::cast_precision_loss, reason = "far below 2^53 milliseconds")]
    let seconds = it.status_millis.map(|millis| millis as f64 / 1000.0);
    let [green, amber, red, unknown] = seconds;
    PhaseLine {
        name: &it.name,
        from: it.from.to_string(),
        until: it.until.to_string(),
        status_seconds: StatusSeconds {
            green,
            amber,
            red,
            unknown,
        },
    }
}
