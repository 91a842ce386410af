//! An explanation laid out: headings and rows, the same for a terminal and for a page. Nothing is escaped here.

use super::Explanation;
use crate::model::Action;
use crate::model::Audit;
use crate::model::Decision;
use crate::model::Deed;
use crate::model::Delivery;
use crate::model::DeliveryState;
use crate::model::Guard;
use crate::model::Helped;
use crate::model::NoticeKind;
use crate::model::Rollout;
use crate::model::Timestamp;
use crate::model::Verification;
use crate::serve::for_people;

/// How a row is marked.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    None,
    /// It let pass, or came to a good end.
    Passed,
    /// It refused, or came to a bad end.
    Refused,
}

#[derive(Debug)]
pub struct Row {
    pub mark: Mark,
    /// Of one width within a section.
    pub key: String,
    pub text: String,
    /// A decision to read on at.
    pub link: Option<String>,
}

#[derive(Debug)]
pub struct Section {
    pub title: String,
    pub rows: Vec<Row>,
}

#[derive(Debug)]
pub struct Sheet {
    /// What was asked and what was done, in a few words.
    pub headline: String,
    pub reason: String,
    pub sections: Vec<Section>,
}

fn row(key: &str, text: impl Into<String>) -> Row {
    marked(Mark::None, key, text)
}

fn marked(mark: Mark, key: &str, text: impl Into<String>) -> Row {
    Row {
        mark,
        key: key.to_owned(),
        text: text.into(),
        link: None,
    }
}

pub fn of(it: &Explanation<'_>) -> Sheet {
    let mut sections = vec![
        section("Decision", decided(it.decision)),
        section("What tripped", tripped(it.decision)),
        section("Rollout", it.rollout.map_or_else(Vec::new, rollout)),
        section("Guards", guards(it.decision)),
        section(
            "Deliveries",
            it.deliveries.iter().flat_map(|it| delivery(it)).collect(),
        ),
        section("Around it", around(it)),
    ];
    sections.retain(|section| !section.rows.is_empty());
    Sheet {
        headline: headline(it),
        reason: it.decision.reason.clone(),
        sections,
    }
}

fn section(title: &str, rows: Vec<Row>) -> Section {
    let title = title.to_owned();
    Section { title, rows }
}

/// `no rollback: refused by frozen; escalated instead`.
fn headline(it: &Explanation<'_>) -> String {
    let decision = it.decision;
    let instead = match decision.action {
        Action::Rollback => "nothing was done instead",
        Action::Escalate => "escalated instead",
        Action::Notify => "notified instead",
    };
    // A rule that is only tried tells nobody; where all rollbacks are in shadow people are told.
    let told = if decision.is_tried() {
        "nobody was told"
    } else {
        instead
    };
    match (decision.asked, decision.refused_by) {
        (asked, Some(Guard::Shadow)) => {
            let would = match asked {
                Action::Rollback => "rolled back",
                Action::Escalate => "escalated",
                Action::Notify => "notified",
            };
            format!("would have {would} (shadow); {told}")
        }
        (Action::Rollback, Some(guard)) => format!("no rollback: refused by {guard}; {instead}"),
        (_, Some(guard)) => format!("refused by {guard}"),
        (Action::Rollback | Action::Escalate | Action::Notify, None) => match decision.action {
            Action::Rollback => {
                let mut requests = it.deliveries.iter();
                let request = requests.find(|it| it.kind == NoticeKind::RollbackRequested);
                request.map_or_else(
                    || "rollback decided; no hook is configured to ask".to_owned(),
                    |it| format!("rollback decided; {}", requested(it)),
                )
            }
            Action::Escalate => "escalated".to_owned(),
            Action::Notify => "notified".to_owned(),
        },
    }
}

fn requested(delivery: &Delivery) -> String {
    let receiver = &delivery.receiver;
    match &delivery.state {
        DeliveryState::Owed { .. } | DeliveryState::UnderWay { .. } => {
            format!("{receiver} is yet to answer")
        }
        DeliveryState::Unconfirmed { .. } => {
            format!("{receiver} answered and has yet to confirm it")
        }
        DeliveryState::Held { .. } => {
            format!("the request to {receiver} is held: a person must say")
        }
        DeliveryState::Delivered { .. } => format!("the request was delivered to {receiver}"),
        DeliveryState::Cancelled { why, .. } => format!("the request was cancelled: {why}"),
        DeliveryState::GivenUp { why, .. } => format!("the request was given up: {why}"),
    }
}

fn decided(decision: &Decision) -> Vec<Row> {
    let mut rows = vec![
        row("id", decision.id.as_str()),
        row("at", decision.at.to_string()),
        row("asked", decision.asked.word()),
        row(
            "done",
            format!("{}, {}", decision.action, decision.severity),
        ),
    ];
    if let Some(guard) = decision.refused_by {
        rows.push(marked(Mark::Refused, "refused by", guard.word()));
    }
    rows
}

fn tripped(decision: &Decision) -> Vec<Row> {
    let phase = match decision.phase.as_str() {
        "" => "in no phase".to_owned(),
        phase => format!("in phase {phase}"),
    };
    let mut rows = vec![row("trigger", format!("{}, {phase}", decision.trigger))];
    // Rules may spread an expression over lines; each is a row, so that no text can look like another row.
    for (i, line) in decision.expr.lines().enumerate() {
        rows.push(row(if i == 0 { "expression" } else { "" }, line));
    }
    let value = decision
        .value
        .map_or_else(|| "no value".to_owned(), |value| decision.unit.show(value));
    let of = decision.signal.as_ref();
    rows.push(row(
        "reading",
        of.map_or_else(|| value.clone(), |of| format!("{value} ({of})")),
    ));
    rows.push(row("threshold", decision.condition.as_str()));
    let held = for_people(decision.held_for);
    rows.push(row("held for", held));
    rows
}

fn rollout(rollout: &Rollout) -> Vec<Row> {
    let previous = rollout.previous_version.as_deref();
    let previous = previous.map_or_else(
        || "the version before it is not known".to_owned(),
        |it| format!("before it: {it}"),
    );
    let who = if rollout.told {
        format!("gated was told of it at {}", rollout.seen_at)
    } else {
        format!("inferred: first seen running at {}", rollout.seen_at)
    };
    let mut rows = vec![
        row("id", rollout.id.as_str()),
        row("version", format!("{} ({previous})", rollout.version)),
        row("began", format!("{}; {who}", rollout.started_at)),
    ];
    if rollout.irreversible {
        rows.push(row("undo", "not possible: it was marked irreversible"));
    }
    if let Some(said) = &rollout.vetoed {
        let text = format!("by {} at {}: {}", said.by, said.at, said.reason);
        rows.push(marked(Mark::Refused, "vetoed", text));
    }
    let state = match rollout.end {
        None => "in progress".to_owned(),
        Some((at, end)) => format!("{end} at {at}"),
    };
    let red = if rollout.turned_red {
        ", turned red"
    } else {
        ""
    };
    rows.push(row("state", format!("{state}{red}")));
    rows
}

fn guards(decision: &Decision) -> Vec<Row> {
    let answers = decision.guards.iter().map(|it| {
        let (mark, refused) = if it.passed {
            (Mark::Passed, "")
        } else {
            (Mark::Refused, "  <- refused")
        };
        marked(mark, it.guard.word(), format!("{}{refused}", it.note))
    });
    answers.collect()
}

fn delivery(delivery: &Delivery) -> Vec<Row> {
    let (mark, state) = match &delivery.state {
        DeliveryState::Owed { next } if delivery.attempts == 0 => {
            (Mark::None, format!("owed, first attempt at {next}"))
        }
        DeliveryState::Owed { next } => (Mark::None, format!("owed, next attempt at {next}")),
        DeliveryState::UnderWay { since } => (
            Mark::None,
            format!("attempt {} under way since {since}", delivery.attempts),
        ),
        DeliveryState::Unconfirmed { until, status } => (
            Mark::None,
            format!("answered {status}; has until {until} to confirm that it acted"),
        ),
        DeliveryState::Held { at, why } => (
            Mark::Refused,
            format!(
                "held at {at}: {why}; say `gated deliveries ack {key} --reason …` if it arrived, else `resend`",
                key = delivery.key
            ),
        ),
        // A person, or what runs, confirmed it: there was no answer.
        DeliveryState::Delivered { at, status: 0 } => (Mark::Passed, format!("delivered at {at}")),
        DeliveryState::Delivered { at, status } => {
            (Mark::Passed, format!("delivered at {at} (HTTP {status})"))
        }
        DeliveryState::Cancelled { at, why } => {
            (Mark::Refused, format!("cancelled at {at}: {why}"))
        }
        DeliveryState::GivenUp { at, why } => (Mark::Refused, format!("given up at {at}: {why}")),
    };
    let kind = delivery.kind.word();
    let kind = kind.strip_prefix("gated.").unwrap_or(kind);
    let mut rows = vec![
        marked(mark, &delivery.receiver, format!("{kind}: {state}")),
        row("", delivery.key.as_str()),
    ];
    let lines = delivery.log.iter();
    rows.extend(lines.map(|it| {
        let text = format!("attempt {} at {}: {}", it.attempt, it.at, it.outcome);
        row("", text)
    }));
    rows
}

/// What people said, whether it helped and what else was decided for the rollout, oldest first.
fn around(it: &Explanation<'_>) -> Vec<Row> {
    let mut rows: Vec<(Timestamp, Row)> = Vec::new();
    rows.extend(it.audit.iter().map(|line| (line.said.at, said(line))));
    if let Some(verification) = it.verification {
        rows.push(verified(verification));
    }
    for later in &it.later {
        let refused = later.refused_by;
        let refused = refused.map_or_else(String::new, |guard| format!(" (refused by {guard})"));
        let text = format!("decided: {}{refused}: {}", later.action, later.reason);
        let mut row = row(&later.at.to_string(), text);
        row.link = Some(later.id.0.clone());
        rows.push((later.at, row));
    }
    rows.sort_by_key(|(at, _)| *at);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn said(line: &Audit) -> Row {
    let (by, reason) = (&line.said.by, &line.said.reason);
    let deed = match line.deed {
        Deed::Freeze => line.until.map_or_else(
            || "froze rollbacks".to_owned(),
            |until| format!("froze rollbacks until {until}"),
        ),
        Deed::Thaw => "let rollbacks be decided again".to_owned(),
        Deed::Veto => "vetoed the rollback".to_owned(),
        Deed::Acknowledge => format!("acknowledged {}", line.subject),
        Deed::Confirm => format!("said that {} arrived", line.subject),
        Deed::Resend => format!("had {} sent again", line.subject),
        Deed::Announce => "told the users".to_owned(),
    };
    row(&line.said.at.to_string(), format!("{by} {deed}: {reason}"))
}

fn verified(verification: &Verification) -> (Timestamp, Row) {
    let (at, mark, text) = match verification.outcome {
        None => (
            verification.since,
            Mark::None,
            "delivered; gated watches whether it helps",
        ),
        Some((at, Helped::Verified)) => (at, Mark::Passed, "verified: the rollback helped"),
        Some((at, Helped::Ineffective)) => {
            (at, Mark::Refused, "ineffective: the rollback did not help")
        }
        Some((at, Helped::Unverified)) => (
            at,
            Mark::Refused,
            "unverified: nothing says whether the rollback helped",
        ),
    };
    (at, marked(mark, &at.to_string(), text))
}
