//! The plain status page: verdict, reasons, checks, targets, decisions, links. No script; every text is escaped.

use std::fmt;
use std::fmt::Write as _;

use crate::engine::Snapshot;
use crate::engine::VerdictState;
use crate::model::DeliveryState;
use crate::model::Guard;
use crate::model::text::Html;

pub(super) const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #ddd;vertical-align:top}\
.go{color:#17692b}.no_go{color:#b3261e}.unknown{color:#6b5b00}";

/// The page for `snapshot`, with `state` as its verdict.
pub fn render(snapshot: &Snapshot, state: &VerdictState) -> String {
    let mut page = String::with_capacity(8 << 10);
    write(&mut page, snapshot, state).expect("writing to a string does not fail");
    page
}

fn write(page: &mut String, snapshot: &Snapshot, state: &VerdictState) -> fmt::Result {
    let (service, verdict) = (Html(&snapshot.service), state.verdict);
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"5\">\
         <title>{verdict} · {service}</title><style>{STYLE}</style></head><body>\
         <h1>{service}: <span class=\"{verdict}\">{verdict}</span></h1>\
         <p>Status {}, phase {}, evaluated {}. Rollback is {}.</p><ul>",
        state.status,
        Html(if state.phase.is_empty() {
            "none"
        } else {
            &state.phase
        }),
        state
            .evaluated_at
            .map_or_else(|| "never".to_owned(), |at| at.to_string()),
        if snapshot.rollback_armed {
            "armed"
        } else {
            "not armed"
        },
    )?;
    for reason in &state.reasons {
        write!(page, "<li>{}</li>", Html(reason))?;
    }
    page.push_str("</ul>");
    stopped(page, snapshot)?;
    page.push_str(
        "<h2>Checks</h2><table><tr><th>check<th>reading<th>condition<th>outcome<th>reason</tr>",
    );
    for check in &state.checks {
        let value = check.reading.value();
        let reading = value.map_or_else(
            || check.reading.word().to_owned(),
            |value| format!("{value} {}", check.unit),
        );
        row(
            page,
            &[
                &check.name,
                &reading,
                &check.condition,
                check.outcome.word(),
                &check.reason,
            ],
        )?;
    }
    page.push_str("</table>");
    notes(page, snapshot)?;
    incidents(page, snapshot)?;
    super::day::write(page, snapshot)?;
    page.push_str("<h2>Targets</h2><table><tr><th>job<th>target<th>last scrape<th>error, or why a probe fails</tr>");
    for target in &snapshot.targets {
        let last = target.last.as_ref();
        let at = last.map_or_else(|| "never".to_owned(), |last| last.at.to_string());
        let error = last.and_then(|last| {
            let error = last.error.as_ref().map(ToString::to_string);
            error.or_else(|| last.note.as_deref().map(str::to_owned))
        });
        row(
            page,
            &[
                &target.info.job,
                &target.info.url,
                &at,
                error.as_deref().unwrap_or(""),
            ],
        )?;
    }
    page.push_str("</table>");
    decisions(page, snapshot)?;
    deliveries(page, snapshot)?;
    page.push_str("<p>");
    for path in [
        "gate",
        "api/v1/verdict",
        "api/v1/rollouts",
        "api/v1/decisions",
        "api/v1/incidents",
        "api/v1/audit",
        "api/v1/checklist",
        "api/v1/observations",
        "api/v1/targets",
        "metrics",
    ] {
        write!(page, "<a href=\"{path}\">{path}</a> ")?;
    }
    page.push_str("</p></body></html>\n");
    Ok(())
}

/// What sources said beside their answers; nothing where none did.
fn notes(page: &mut String, snapshot: &Snapshot) -> fmt::Result {
    let mut noted = snapshot
        .signals
        .iter()
        .filter(|it| !it.notes.is_empty())
        .peekable();
    if noted.peek().is_none() {
        return Ok(());
    }
    page.push_str("<h2>Said beside answers</h2><table><tr><th>signal<th>what its source said</tr>");
    for signal in noted {
        for note in &signal.notes {
            row(page, &[&signal.name, note])?;
        }
    }
    page.write_str("</table>")
}

/// What somebody owns or should, and by when.
fn incidents(page: &mut String, snapshot: &Snapshot) -> fmt::Result {
    let mut open = snapshot
        .incidents
        .iter()
        .filter(|it| it.incident.is_open())
        .peekable();
    if open.peek().is_none() {
        return page.write_str("<h2>Incidents</h2><p>None is open.</p>");
    }
    page.push_str(
        "<h2>Incidents</h2><table><tr><th>severity<th>opened<th>who<th>by when<th>next call<th>reason<th>id</tr>",
    );
    for it in open {
        let incident = &it.incident;
        let who = match (&incident.acknowledged, &it.owner, &it.contact) {
            (Some(taken), ..) => format!("{} has it", taken.by),
            (None, Some(role), Some(name)) => format!("{role} ({name})"),
            (None, Some(role), None) => role.clone(),
            (None, None, _) => "whoever is told".to_owned(),
        };
        let missed = incident
            .breached_at
            .map(|_| " (missed)")
            .unwrap_or_default();
        let by = it
            .acknowledge_by
            .map_or_else(String::new, |at| format!("{at}{missed}"));
        let next = it.next.as_ref().map_or_else(String::new, |(at, role)| {
            format!("{at} {}", role.as_deref().unwrap_or_default())
        });
        row(
            page,
            &[
                incident.severity.word(),
                &incident.opened_at.to_string(),
                &who,
                &by,
                &next,
                &incident.reason,
                incident.id.as_str(),
            ],
        )?;
    }
    page.write_str("</table><p>Take one with <code>gated ack ID</code>.</p>")
}

/// Who or what keeps rollbacks from being decided.
fn stopped(page: &mut String, snapshot: &Snapshot) -> fmt::Result {
    if let Some(frozen) = &snapshot.frozen {
        write!(
            page,
            "<p class=\"unknown\"><strong>Rollbacks are {}.</strong> <code>gated thaw</code> ends it.</p>",
            Html(frozen)
        )?;
    }
    if let Some(held) = &snapshot.held {
        write!(
            page,
            "<p class=\"no_go\"><strong>Rollbacks are held: {}.</strong> Look at what was rolled back before; \
             <code>gated thaw</code> then lets them be decided again.</p>",
            Html(held)
        )?;
    }
    Ok(())
}

/// Newest first, each with the way to its explanation.
fn decisions(page: &mut String, snapshot: &Snapshot) -> fmt::Result {
    page.push_str(
        "<h2>Decisions</h2><table><tr><th>at<th>done<th>asked<th>refused by<th>reason</tr>",
    );
    for (decision, _) in snapshot.decisions.iter().rev() {
        let refused = decision.refused_by.map_or("", Guard::word);
        let (at, id) = (decision.at, Html(decision.id.as_str()));
        write!(page, "<tr><td><a href=\"explain/{id}\">{at}</a>")?;
        let asked = decision.asked.word();
        let done = match decision.refused_by {
            Some(Guard::Shadow) => format!("would have: {asked}"),
            Some(_) | None => decision.action.word().to_owned(),
        };
        cells(page, &[&done, asked, refused, &decision.reason])?;
    }
    page.push_str("</table>");
    Ok(())
}

/// What is not settled yet, oldest first; nothing where there is nothing.
fn deliveries(page: &mut String, snapshot: &Snapshot) -> fmt::Result {
    let owed = snapshot.decisions.iter().flat_map(|(_, owed)| owed);
    let mut open = owed.filter(|it| !it.is_settled()).peekable();
    if open.peek().is_none() {
        return Ok(());
    }
    page.push_str(
        "<h2>Open deliveries</h2><table><tr><th>decision<th>receiver<th>type<th>state<th>attempts<th>next or why</tr>",
    );
    for delivery in open {
        let next = match &delivery.state {
            DeliveryState::Owed { next } => next.to_string(),
            DeliveryState::UnderWay { since } => format!("since {since}"),
            DeliveryState::Unconfirmed { until, .. } => format!("until {until}"),
            DeliveryState::Held { why, .. } => format!(
                "{why}; gated deliveries ack {key} if it arrived, else gated deliveries resend {key}",
                key = delivery.key
            ),
            DeliveryState::Delivered { .. }
            | DeliveryState::Cancelled { .. }
            | DeliveryState::GivenUp { .. } => String::new(),
        };
        let error = delivery.last_error.as_deref();
        let attempts = match error {
            Some(error) => format!("{}, the last: {error}", delivery.attempts),
            None => delivery.attempts.to_string(),
        };
        let id = Html(delivery.decision.as_str());
        write!(page, "<tr><td><a href=\"explain/{id}\">{id}</a>")?;
        let (kind, state) = (delivery.kind.word(), delivery.state.word());
        cells(page, &[&delivery.receiver, kind, state, &attempts, &next])?;
    }
    page.push_str("</table>");
    Ok(())
}

pub(super) fn row(page: &mut String, texts: &[&str]) -> fmt::Result {
    page.push_str("<tr>");
    cells(page, texts)
}

/// The rest of a row.
fn cells(page: &mut String, texts: &[&str]) -> fmt::Result {
    for text in texts {
        write!(page, "<td>{}", Html(text))?;
    }
    page.push_str("</tr>");
    Ok(())
}
