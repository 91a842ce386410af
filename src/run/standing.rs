//! How a running gated stands, drawn for people from what `/api/v1/status` says. Every text is made safe on a terminal.

use std::fmt::Write as _;

use serde_json::Value;

use super::show::BOLD;
use super::show::GREEN;
use super::show::RED;
use super::show::YELLOW;
use super::show::paint;
use crate::model::Unit;
use crate::model::text::visible;

fn shown(value: &Value) -> String {
    visible(value.as_str().unwrap_or_default()).into_owned()
}

fn line(out: &mut String, key: &str, text: &str) {
    let _ = writeln!(out, "{key:<11} {text}");
}

/// The whole picture, ending with a newline.
pub(super) fn draw(status: &Value, colour: bool) -> String {
    let mut out = String::new();
    let verdict = &status["verdict"];
    let (words, shade) = match verdict["verdict"].as_str() {
        Some("go") => ("GO", GREEN),
        Some("no_go") => ("NO GO", RED),
        _ => ("UNKNOWN", YELLOW),
    };
    let phase = match verdict["phase"].as_str() {
        None | Some("") => "no phase".to_owned(),
        Some(phase) => format!("phase {}", visible(phase)),
    };
    let word = paint(&paint(words, shade, colour), BOLD, colour);
    let (service, status_word) = (shown(&verdict["service"]), shown(&verdict["status"]));
    let _ = writeln!(out, "{service} · {phase}: {word} ({status_word})");
    for reason in verdict["reasons"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "- {}", shown(reason));
    }
    out.push('\n');
    line(&mut out, "rollout", &rollout(&status["rollout"]));
    let armed = if status["rollback_armed"] == true && status["held"].is_string() {
        "armed, and held"
    } else if status["rollback_armed"] == true {
        "armed"
    } else {
        "shadow: decided and shown, not sent"
    };
    line(&mut out, "rollback", armed);
    if status["frozen"].is_string() {
        let text = shown(&status["frozen"]);
        let text = text.strip_prefix("frozen ").unwrap_or(&text);
        line(&mut out, "frozen", &paint(text, YELLOW, colour));
    }
    if status["held"].is_string() {
        let text = shown(&status["held"]);
        let text = format!("{text}; `gated thaw` lets rollbacks be decided again");
        line(&mut out, "held", &paint(&text, RED, colour));
    }
    for gone in status["gone"].as_array().into_iter().flatten() {
        let text = format!(
            "{} answered 410: nothing is sent there until a reload",
            shown(gone)
        );
        line(&mut out, "gone", &paint(&text, RED, colour));
    }
    phases(&mut out, &status["phases"], colour);
    uptime(&mut out, &status["uptime"], colour);
    reports(&mut out, &status["reports"], colour);
    let open = status["open_items"].as_array().into_iter().flatten();
    for (i, item) in open.enumerate() {
        let key = if i == 0 { "open" } else { "" };
        line(&mut out, key, &shown(item));
    }
    targets(&mut out, verdict, colour);
    notes(&mut out, &status["notes"]);
    firing(&mut out, &status["firing"], colour);
    let open = status["open_deliveries"].as_array();
    let open = open.map_or(&[][..], Vec::as_slice);
    let count = match open.len() {
        0 => "none open".to_owned(),
        count => format!("{count} open"),
    };
    line(&mut out, "deliveries", &count);
    for it in open {
        delivery(&mut out, it);
    }
    line(&mut out, "decided", &last(&status["last_decision"]));
    out
}

fn rollout(rollout: &Value) -> String {
    if rollout.is_null() {
        return "none in progress".to_owned();
    }
    let previous = match rollout["previous_version"].as_str() {
        Some(previous) => format!(" (before it: {})", visible(previous)),
        None => String::new(),
    };
    let (version, since) = (shown(&rollout["version"]), shown(&rollout["started_at"]));
    let vetoed = &rollout["vetoed"];
    let vetoed = if vetoed.is_null() {
        String::new()
    } else {
        let (by, reason) = (shown(&vetoed["by"]), shown(&vetoed["reason"]));
        format!(", vetoed by {by}: {reason}")
    };
    format!("{version}{previous}, since {since}{vetoed}")
}

fn uptime(out: &mut String, uptime: &Value, colour: bool) {
    if uptime.is_null() {
        return;
    }
    let Some(share) = uptime["ratio"].as_f64() else {
        return line(out, "uptime", "no minute is known yet");
    };
    let share = format!("{:.3}%", share * 100.0);
    let left = uptime["error_budget_left_seconds"].as_f64().unwrap_or(0.0);
    let left = if left < 0.0 {
        let over = Unit::Seconds.show(-left);
        paint(&format!("{over} over the error budget"), RED, colour)
    } else {
        format!("{} of the error budget left", Unit::Seconds.show(left))
    };
    let unknown = uptime["unknown_seconds"].as_f64().unwrap_or(0.0);
    let unknown = Unit::Seconds.show(unknown);
    line(
        out,
        "uptime",
        &format!("{share}; {left}; {unknown} not known"),
    );
}

fn reports(out: &mut String, reports: &Value, colour: bool) {
    for it in reports.as_array().into_iter().flatten() {
        let trouble = &it["trouble"];
        let next = match it["next_at"].as_str() {
            Some(at) => format!("next {}", visible(at)),
            None => "none is due".to_owned(),
        };
        let text = format!("{}: {next}", shown(&it["kind"]));
        line(out, "report", &text);
        if !trouble.is_null() {
            let (date, reason) = (shown(&trouble["date"]), shown(&trouble["reason"]));
            let text = format!("that of {date} is tried again: {reason}");
            line(out, "", &paint(&text, RED, colour));
        }
    }
}

/// How the phases before ended; the one that goes on stands above.
fn phases(out: &mut String, phases: &Value, colour: bool) {
    let over = phases.as_array().into_iter().flatten();
    let over = over.filter(|it| it["outcome"].is_string());
    for (i, it) in over.enumerate() {
        let (phase, ended_at) = (shown(&it["phase"]), shown(&it["ended_at"]));
        let outcome = shown(&it["outcome"]);
        let shade = match outcome.as_str() {
            "passed" => GREEN,
            "failed" => RED,
            _ => YELLOW,
        };
        let text = format!("{phase}: {}, over at {ended_at}", outcome.replace('_', " "));
        let key = if i == 0 { "phases" } else { "" };
        line(out, key, &paint(&text, shade, colour));
    }
}

fn targets(out: &mut String, verdict: &Value, colour: bool) {
    let targets = verdict["scrapes"].as_array();
    let targets = targets.map_or(&[][..], Vec::as_slice);
    let up = targets.iter().filter(|it| it["up"] == true).count();
    let text = format!("{up} of {} up", targets.len());
    let all = up == targets.len() && up > 0;
    line(
        out,
        "targets",
        &paint(&text, if all { GREEN } else { YELLOW }, colour),
    );
    for down in targets.iter().filter(|it| it["up"] != true) {
        let (target, error) = (shown(&down["target"]), shown(&down["error"]));
        line(out, "", &format!("{target}: {error}"));
    }
}

/// What sources said beside their answers.
fn notes(out: &mut String, noted: &Value) {
    for it in noted.as_array().into_iter().flatten() {
        for note in it["notes"].as_array().into_iter().flatten() {
            let (signal, note) = (shown(&it["signal"]), shown(note));
            line(out, "noted", &format!("{signal}: {note}"));
        }
    }
}

fn firing(out: &mut String, firing: &Value, colour: bool) {
    let firing = firing.as_array().map_or(&[][..], Vec::as_slice);
    if firing.is_empty() {
        line(out, "firing", "nothing");
    }
    for (i, it) in firing.iter().enumerate() {
        let (name, condition) = (shown(&it["trigger"]), shown(&it["condition"]));
        let series = match it["series"].as_str() {
            None | Some("") => String::new(),
            Some(series) => format!(" for {}", visible(series)),
        };
        let since = shown(&it["fired_at"]);
        let text = format!("{name}: {condition}{series}, since {since}");
        let key = if i == 0 { "firing" } else { "" };
        line(out, key, &paint(&text, RED, colour));
    }
}

/// One delivery, indented: what, to whom, how it stands and what the last attempt said.
pub(super) fn delivery(out: &mut String, delivery: &Value) {
    let kind = shown(&delivery["type"]);
    let kind = kind.strip_prefix("gated.").unwrap_or(&kind);
    let (receiver, state) = (shown(&delivery["receiver"]), shown(&delivery["state"]));
    let mut text = format!("{receiver}: {kind}: {}", state.replace('_', " "));
    for (key, before) in [
        ("next_at", ", next at "),
        ("settled_at", " at "),
        ("why", ": "),
    ] {
        if let Some(said) = delivery[key].as_str() {
            let _ = write!(text, "{before}{}", visible(said));
        }
    }
    if let Some(attempts) = delivery["attempts"].as_u64().filter(|it| *it > 0) {
        let times = if attempts == 1 { "attempt" } else { "attempts" };
        let _ = write!(text, " ({attempts} {times}");
        if let Some(error) = delivery["last_error"].as_str() {
            let _ = write!(text, ", the last: {}", visible(error));
        }
        text.push(')');
    }
    let _ = writeln!(out, "            {text}");
    let _ = writeln!(out, "            {}", shown(&delivery["id"]));
}

fn last(decision: &Value) -> String {
    if decision.is_null() {
        return "nothing yet".to_owned();
    }
    let (action, at) = (shown(&decision["do"]), shown(&decision["at"]));
    if decision["refused_by"] == "shadow" {
        let (asked, at) = (shown(&decision["asked"]), shown(&decision["at"]));
        let (reason, id) = (shown(&decision["reason"]), shown(&decision["id"]));
        return format!("would have: {asked} (shadow) at {at}: {reason} [{id}]");
    }
    let refused = match decision["refused_by"].as_str() {
        Some(guard) => format!(" (rollback refused by {})", visible(guard)),
        None => String::new(),
    };
    let (reason, id) = (shown(&decision["reason"]), shown(&decision["id"]));
    format!("{action}{refused} at {at}: {reason} [{id}]")
}
