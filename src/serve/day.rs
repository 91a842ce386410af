//! The day on the status page: uptime and what it leaves, the lines of the checklist that are due, the criteria of the exit,
//! and what is to be done in each open incident.

use std::fmt;
use std::fmt::Write as _;

use super::page::row;
use crate::engine::ChecklistState;
use crate::engine::ItemState;
use crate::engine::Snapshot;
use crate::model::Unit;
use crate::model::text::Html;

/// Lines of the checklist that are shown: those of the active phases and of incidents, and what is open elsewhere.
const LINES_MAX: usize = 200;

pub(super) fn write(page: &mut String, snapshot: &Snapshot) -> fmt::Result {
    uptime(page, snapshot)?;
    responses(page, snapshot)?;
    checklist(page, snapshot)?;
    criteria(page, snapshot)?;
    contacts(page, snapshot)
}

fn contacts(page: &mut String, snapshot: &Snapshot) -> fmt::Result {
    if snapshot.contacts.is_empty() {
        return Ok(());
    }
    page.push_str(
        "<h2>Key contacts</h2><table><tr><th>role<th>name<th>phone<th>email<th>backup</tr>",
    );
    for (role, it) in &snapshot.contacts {
        let cells = [&it.name, &it.phone, &it.email, &it.backup];
        let [name, phone, email, backup] = cells.map(|it| it.as_deref().unwrap_or_default());
        row(page, &[role, name, phone, email, backup])?;
    }
    page.write_str("</table>")
}

fn uptime(page: &mut String, snapshot: &Snapshot) -> fmt::Result {
    let Some(uptime) = &snapshot.uptime else {
        return Ok(());
    };
    let Some(share) = uptime.share() else {
        return page.write_str("<h2>Uptime</h2><p>No minute is known yet.</p>");
    };
    let share = format!("{:.3}%", share * 100.0);
    let left = uptime.budget_left();
    let budget = if left < 0.0 {
        format!("{} over the error budget", Unit::Seconds.show(-left))
    } else {
        format!("{} of the error budget left", Unit::Seconds.show(left))
    };
    write!(
        page,
        "<h2>Uptime</h2><p>{share} of the known minutes of {}; {} down, {} not known; objective {}%: {budget}.</p>",
        humantime::format_duration(uptime.span),
        humantime::format_duration(uptime.down),
        humantime::format_duration(uptime.unknown),
        uptime.objective * 100.0,
    )
}

/// What is due now in incidents that are open.
fn responses(page: &mut String, snapshot: &Snapshot) -> fmt::Result {
    let open = snapshot.incidents.iter().filter(|it| it.incident.is_open());
    let due = open.flat_map(|it| {
        let steps = it.response.iter().filter(|step| step.is_due(snapshot.at));
        steps.map(move |step| (it, step))
    });
    let mut due = due.peekable();
    if due.peek().is_none() {
        return Ok(());
    }
    page.push_str("<h2>Due in incidents</h2><table><tr><th>incident<th>now<th>until<th>what</tr>");
    for (incident, step) in due {
        let until = step
            .until
            .map_or_else(|| "it is over".to_owned(), |at| at.to_string());
        row(
            page,
            &[
                incident.incident.id.as_str(),
                &step.title,
                &until,
                &step.steps.join("; "),
            ],
        )?;
    }
    page.write_str("</table>")
}

/// Whether a line stands on the page: it is due, or it belongs to a phase that goes on.
fn stands(it: &ChecklistState, snapshot: &Snapshot) -> bool {
    let on = |run: &crate::model::PhaseRun| run.phase == it.phase && run.end.is_none();
    it.phase == "incidents" || snapshot.phase_runs.iter().any(on)
}

fn checklist(page: &mut String, snapshot: &Snapshot) -> fmt::Result {
    let lines = snapshot.checklist.iter().filter(|it| stands(it, snapshot));
    let mut lines = lines.take(LINES_MAX).peekable();
    if lines.peek().is_none() {
        return Ok(());
    }
    page.push_str(
        "<h2>Checklist</h2><p>A line is <a href=\"attest\">attested here</a>, or with <code>gated attest ITEM --by NAME</code>.</p>\
         <table><tr><th>state<th>what<th>item<th>due<th>who, when, note</tr>",
    );
    for it in lines {
        let required = if it.required { " (required)" } else { "" };
        let due = it.due.map_or_else(String::new, |at| at.to_string());
        let said = it
            .said
            .as_ref()
            .filter(|_| it.state == ItemState::Done && !it.by_machine);
        let about = match said {
            Some(said) => {
                let note = said.note.as_deref().unwrap_or_default();
                format!("{}, {} {note}", said.by, said.at)
            }
            None if it.by_machine && it.state == ItemState::Done => "seen by gated".to_owned(),
            None => it.why.clone(),
        };
        row(
            page,
            &[
                it.state.word(),
                &format!("{}{required}", it.text),
                &it.id,
                &due,
                &about,
            ],
        )?;
    }
    page.write_str("</table>")
}

fn criteria(page: &mut String, snapshot: &Snapshot) -> fmt::Result {
    if snapshot.criteria.is_empty() {
        return Ok(());
    }
    page.push_str(
        "<h2>Exit to business as usual</h2><table><tr><th>state<th>criterion<th>at the earliest<th>why</tr>",
    );
    for it in snapshot.criteria.iter() {
        let earliest = it.outcome.earliest();
        let earliest = earliest.map_or_else(String::new, |at| at.to_string());
        row(page, &[it.outcome.word(), &it.text, &earliest, &it.why])?;
    }
    write!(
        page,
        "</table><p>Reports: {}</p>",
        crate::report::Kind::ALL
            .iter()
            .map(|it| {
                let word = Html(it.word());
                format!("<a href=\"api/v1/reports/{word}?format=html\">{word}</a>")
            })
            .collect::<Vec<_>>()
            .join(" ")
    )
}
