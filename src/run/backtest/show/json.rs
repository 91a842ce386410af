//! The pinned JSON of a backtest.

use serde::Serialize;

use crate::run::backtest::{Outcome, PhaseSpan};
use crate::serve::wire::Decided;

#[derive(Debug, Serialize)]
struct Document<'a> {
    decisions: Vec<Decided<'a>>,
    phases: Vec<PhaseLine<'a>>,
    samples: u64,
    evaluations: u64,
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
        decisions: outcome.decisions.iter().map(Decided::new).collect(),
        phases: outcome.phases.iter().map(phase).collect(),
        samples: outcome.samples,
        evaluations: outcome.evaluations,
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
