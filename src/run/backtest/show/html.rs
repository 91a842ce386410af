//! One self-contained page: signals, thresholds, phases and decisions over time. Every text is escaped; no script.

use std::fmt::{self, Write as _};

use super::lines::{Tone, deed, lines, tone, why};
use super::notes::{decided, looked_at, notes, span};
use super::table::{missing, percent, seconds};
use super::{Shown, counted, moment, svg};
use crate::model::text::Html;

const STYLE: &str = include_str!("page.css");

/// The page.
#[must_use]
pub fn html(shown: &Shown<'_>) -> String {
    let mut page = String::with_capacity(64 << 10);
    write(&mut page, shown).expect("writing to a string does not fail");
    page
}

fn write(page: &mut String, shown: &Shown<'_>) -> fmt::Result {
    let service = Html(&shown.settings.service);
    let decided = decided(shown);
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{service}: what gated would have done</title><style>{STYLE}</style></head><body>\
         <h1>{service}: {decided}</h1><p class=\"quiet\">What gated would have done, {}; {}.</p>",
        Html(&span(shown)),
        looked_at(shown)
    )?;
    for note in notes(shown) {
        write!(page, "<p class=\"quiet\">{}</p>", Html(&note))?;
    }
    page.push_str("<h2>Status</h2><p class=\"quiet\">");
    for status in svg::legend() {
        write!(page, "<span class=\"key s-{status}\"></span>{status}")?;
    }
    page.push_str("</p>");
    svg::status(page, shown)?;
    decisions(page, shown)?;
    page.push_str("<h2>Signals</h2><p class=\"quiet\">Dashed: what a trigger compares with. Dotted: what should hold. Grey: no value.</p>");
    for (place, seen) in shown.outcome.signals.iter().enumerate() {
        let missing = match missing(seen) {
            none if none.is_empty() => none,
            some => format!("; without a value: {some}"),
        };
        write!(
            page,
            "<h3>{}</h3><p class=\"quiet\">known in {} of {} readings{missing}</p>",
            Html(title(shown, place)),
            percent(seen),
            seen.readings
        )?;
        svg::signal(page, shown, place)?;
    }
    phases(page, shown)?;
    timeline(page, shown)?;
    page.push_str("</body></html>\n");
    Ok(())
}

fn title<'a>(shown: &Shown<'a>, place: usize) -> &'a str {
    &shown.settings.rules.signals[place].title
}

fn decisions(page: &mut String, shown: &Shown<'_>) -> fmt::Result {
    if shown.outcome.decisions.is_empty() {
        return Ok(());
    }
    page.push_str(
        "<h2>Decisions</h2><div class=\"scroll\"><table><tr><th>at<th>decision<th>trigger<th>phase<th>severity<th>why, and what guarded it</tr>",
    );
    for it in &shown.outcome.decisions {
        write!(
            page,
            "<tr id=\"{}\"><td class=\"t\">{}<td class=\"{}\">{}<td>{}<td>{}<td>{}<td>{}",
            Html(it.id.as_str()),
            moment(it.at, &shown.settings.zone),
            class(tone(it)),
            deed(it),
            Html(&it.trigger),
            Html(&it.phase),
            it.severity,
            Html(&why(it))
        )?;
        let passed = it.guards.iter().filter(|guard| guard.passed);
        if passed.clone().next().is_some() {
            let count = passed.clone().count();
            write!(
                page,
                "<details class=\"quiet\"><summary>passed {}</summary>",
                counted(count, "guard")
            )?;
            for guard in passed {
                write!(page, "{}: {}<br>", guard.guard, Html(&guard.note))?;
            }
            page.push_str("</details>");
        }
        page.push_str("</tr>");
    }
    page.push_str("</table></div>");
    Ok(())
}

fn phases(page: &mut String, shown: &Shown<'_>) -> fmt::Result {
    if shown.outcome.phases.is_empty() {
        return Ok(());
    }
    page.push_str("<h2>Phases</h2><div class=\"scroll\"><table><tr><th>phase<th>from<th>until<th>green<th>amber<th>red<th>unknown</tr>");
    for it in &shown.outcome.phases {
        let zone = &shown.settings.zone;
        write!(
            page,
            "<tr><td>{}<td class=\"t\">{}<td class=\"t\">{}",
            Html(&it.name),
            moment(it.from, zone),
            moment(it.until, zone)
        )?;
        for millis in it.status_millis {
            write!(page, "<td>{}", seconds(millis))?;
        }
        page.push_str("</tr>");
    }
    page.push_str("</table></div>");
    Ok(())
}

fn timeline(page: &mut String, shown: &Shown<'_>) -> fmt::Result {
    page.push_str("<h2>Timeline</h2><div class=\"scroll\"><table>");
    for line in lines(shown) {
        write!(
            page,
            "<tr><td class=\"t\">{}<td class=\"{}\">{}<td>{}</tr>",
            moment(line.at, &shown.settings.zone),
            class(line.tone),
            line.word,
            Html(&line.text)
        )?;
    }
    page.push_str("</table></div>");
    Ok(())
}

const fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "plain",
        Tone::Good => "good",
        Tone::Warn => "warn",
        Tone::Bad => "bad",
    }
}
