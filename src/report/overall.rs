//! The report's colour, and why. The worst row of this table that applies:
//!
//! | colour | when |
//! |---|---|
//! | RED | a P1 incident is open at the period's end |
//! | RED | a rollback was decided in the period |
//! | RED | the uptime of the period is below a target for it |
//! | UNKNOWN | no signal has a reading, and nothing above |
//! | AMBER | a P2 incident is open at the period's end |
//! | AMBER | a P1 incident was opened in the period, though it is over |
//! | AMBER | a target was missed in more than 5 % of the known minutes in which it applied |
//! | AMBER | more than 5 % of the minutes of the uptime, or of a signal with a target, are unknown |
//! | AMBER | a required item of a checklist is open, or not known |
//! | GREEN | otherwise |
//!
//! All reasons of that colour and of the worse ones are given. A rollback that was refused, or that a shadow would have
//! asked for, is none.

use std::time::Duration;

use super::facts::Facts;
use super::facts::Standing;
use super::figures::Figures;
use super::figures::Row;
use super::measure::float;
use super::number;
use super::signals::UPTIME;
use super::when;
use crate::model::Action;
use crate::model::Incident;
use crate::model::Severity;
use crate::model::Status;
use crate::model::Timestamp;

/// Of the known minutes; more makes the report amber.
pub const MISSED_SHARE_MAX: f64 = 0.05;
/// Of the period's minutes; more makes the report amber.
pub const UNKNOWN_SHARE_MAX: f64 = 0.05;
/// Reasons that are shown.
const REASONS_MAX: usize = 20;

/// The colour and its reasons, one sentence each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overall {
    pub status: Status,
    pub reasons: Vec<Reason>,
}

/// One reason; `what` is gated's own, `about` somebody else's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub status: Status,
    pub what: String,
    pub about: String,
}

/// Whether the incident was open as the period ended.
pub(super) fn is_open(incident: &Incident, until: Timestamp) -> bool {
    let over = incident
        .resolved
        .as_ref()
        .is_some_and(|(at, _)| *at < until);
    incident.opened_at < until && !over
}

/// Whether it was opened in the period.
pub(super) fn is_opened(incident: &Incident, from: Timestamp, until: Timestamp) -> bool {
    from <= incident.opened_at && incident.opened_at < until
}

/// The colour of the period up to `until`.
pub(super) fn overall(facts: &Facts, figures: &Figures, until: Timestamp) -> Overall {
    let mut reasons = Vec::new();
    incidents(facts, until, &mut reasons);
    decisions(facts, until, &mut reasons);
    for row in &figures.rows {
        targets(row, &mut reasons);
        blind(row, &mut reasons);
    }
    let seen = figures.rows.iter().any(|it| it.measure.known > 0);
    if !seen {
        reasons.push(reason(
            Status::Unknown,
            "No signal has a reading in this period",
            "",
        ));
    }
    for item in &facts.checklist {
        let what = match item.state {
            Standing::Open if item.required => "A required item is open",
            Standing::Unknown if item.required => "Whether a required item is done is not known",
            Standing::Done { .. } | Standing::Open | Standing::Unknown => continue,
        };
        reasons.push(reason(Status::Amber, what, &item.text));
    }
    let has = |status| reasons.iter().any(|it: &Reason| it.status == status);
    let status = if has(Status::Red) {
        Status::Red
    } else if !seen {
        Status::Unknown
    } else if has(Status::Amber) {
        Status::Amber
    } else {
        Status::Green
    };
    let order = |it: &Reason| match it.status {
        Status::Red => 0,
        Status::Unknown => 1,
        Status::Amber => 2,
        Status::Green => 3,
    };
    reasons.sort_by_key(order);
    let more = reasons.len().saturating_sub(REASONS_MAX);
    reasons.truncate(REASONS_MAX);
    if more > 0 {
        reasons.push(reason(status, &format!("And {more} more reasons"), ""));
    }
    if reasons.is_empty() {
        let fine = "No P1 or P2 is open, no rollback was decided, no target was missed in more than 5% of its known \
                    minutes, and no required item is open";
        reasons.push(reason(Status::Green, fine, ""));
    }
    Overall { status, reasons }
}

fn reason(status: Status, what: &str, about: &str) -> Reason {
    Reason {
        status,
        what: what.to_owned(),
        about: about.to_owned(),
    }
}

fn incidents(facts: &Facts, until: Timestamp, reasons: &mut Vec<Reason>) {
    for it in &facts.incidents {
        let incident = &it.incident;
        let open = is_open(incident, until);
        let found = match incident.severity {
            Severity::P1 if open => (Status::Red, "A P1 incident is open"),
            Severity::P1 if is_opened(incident, facts.from, until) => {
                (Status::Amber, "There was a P1 incident, which is over")
            }
            Severity::P2 if open => (Status::Amber, "A P2 incident is open"),
            Severity::P1 | Severity::P2 | Severity::P3 | Severity::P4 => continue,
        };
        reasons.push(reason(found.0, found.1, &incident.reason));
    }
}

fn decisions(facts: &Facts, until: Timestamp, reasons: &mut Vec<Reason>) {
    for it in &facts.decisions {
        if it.action == Action::Rollback && facts.from <= it.at && it.at < until {
            let at = when::moment(it.at, &facts.zone);
            let what = format!("A rollback was decided at {at}");
            reasons.push(reason(Status::Red, &what, &it.reason));
        }
    }
}

fn targets(row: &Row, reasons: &mut Vec<Reason>) {
    for it in &row.targets {
        if row.name == UPTIME {
            if it.is_met == Some(false) {
                let down =
                    Duration::from_secs(60 * u64::try_from(it.missed).unwrap_or(u64::MAX / 60));
                let what = format!("Uptime missed its target, down for {}", when::length(down));
                reasons.push(reason(Status::Red, &what, &it.target.text));
            }
        } else if it.share() > MISSED_SHARE_MAX {
            let share = number::by_unit(crate::model::Unit::Ratio, it.share());
            let what = format!(
                "A target was missed in {share} of {} known minutes",
                it.known
            );
            let about = format!("{} {}", row.title, it.target.text);
            reasons.push(reason(Status::Amber, &what, &about));
        }
    }
}

fn blind(row: &Row, reasons: &mut Vec<Reason>) {
    let measure = &row.measure;
    let unknown = measure.total - measure.known;
    let share = float(unknown) / float(measure.total.max(1));
    let judged = row.name == UPTIME || !row.targets.is_empty();
    if judged && share > UNKNOWN_SHARE_MAX {
        let shown = number::by_unit(crate::model::Unit::Ratio, share);
        let what = format!(
            "{unknown} of {} minutes are unknown ({shown})",
            measure.total
        );
        reasons.push(reason(Status::Amber, &what, &row.title));
    }
}
