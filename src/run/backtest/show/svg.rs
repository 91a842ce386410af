//! One signal over time as inline SVG: what it read, its thresholds, the phases, what was decided. No script, no
//! outside resources.

use std::fmt::{self, Write as _};

use super::lines::{deed, why};
use super::{Shown, clock};
use crate::model::text::Html;
use crate::model::{Action, Decision, Status, Timestamp};
use crate::run::backtest::outcome::{Column, SignalSeen};
use crate::runbook::{Bound, Condition, Phase, When};

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 985.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 134.0;
const HEIGHT: f64 = 156.0;
/// Times below the picture.
const TICKS: usize = 6;

/// Time to the right.
struct Axis {
    start: Timestamp,
    millis: f64,
}

impl Axis {
    fn new(shown: &Shown<'_>) -> Self {
        let (start, end) = (shown.outcome.start, shown.outcome.end);
        let millis = end.since(start).as_secs_f64() * 1000.0;
        Self {
            start,
            millis: millis.max(1.0),
        }
    }

    fn x(&self, at: Timestamp) -> f64 {
        let passed = at.since(self.start).as_secs_f64() * 1000.0;
        LEFT + (RIGHT - LEFT) * (passed / self.millis).min(1.0)
    }
}

/// A line that a reading should not cross.
struct Level {
    value: f64,
    text: String,
    trigger: bool,
}

/// The status over time, with the phases and the rollouts.
pub fn status(page: &mut String, shown: &Shown<'_>) -> fmt::Result {
    let axis = Axis::new(shown);
    let outcome = shown.outcome;
    write!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} 74\" role=\"img\"><title>Status over time</title>"
    )?;
    let ends = outcome.statuses.iter().skip(1).map(|(at, _)| *at);
    for ((from, status), until) in outcome.statuses.iter().zip(ends.chain([outcome.end])) {
        let (x, width) = (axis.x(*from), axis.x(until) - axis.x(*from));
        write!(
            page,
            "<rect class=\"s-{status}\" x=\"{x:.1}\" y=\"24\" width=\"{width:.1}\" height=\"22\"><title>{status} from {}</title></rect>",
            clock(*from, &shown.settings.zone)
        )?;
    }
    for phase in &outcome.phases {
        let x = axis.x(phase.from);
        write!(
            page,
            "<path class=\"edge\" d=\"M{x:.1} 8V50\"/><text x=\"{:.1}\" y=\"16\">{}</text>",
            x + 4.0,
            Html(&phase.name)
        )?;
    }
    for decision in &outcome.decisions {
        mark(page, &axis, decision, (24.0, 50.0))?;
    }
    ticks(page, shown, &axis, 66.0)?;
    page.push_str("</svg>");
    Ok(())
}

/// What one signal read.
pub fn signal(page: &mut String, shown: &Shown<'_>, place: usize) -> fmt::Result {
    let seen = &shown.outcome.signals[place];
    let axis = Axis::new(shown);
    let levels = levels(shown, place);
    let highest = levels
        .iter()
        .map(|it| it.value)
        .fold(seen.highest, f64::max);
    let lowest = levels
        .iter()
        .map(|it| it.value)
        .fold(seen.lowest.min(0.0), f64::min);
    let span = if highest > lowest {
        (highest - lowest) * 1.05
    } else {
        1.0
    };
    let y = |value: f64| BOTTOM - (BOTTOM - TOP) * ((value - lowest) / span);
    write!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{}</title>",
        Html(&seen.name)
    )?;
    for (place, phase) in shown.outcome.phases.iter().enumerate() {
        let (x, width) = (axis.x(phase.from), axis.x(phase.until) - axis.x(phase.from));
        let odd = if place % 2 == 0 { "" } else { " odd" };
        write!(
            page,
            "<rect class=\"phase{odd}\" x=\"{x:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{}\"><title>{}</title></rect>",
            BOTTOM - TOP,
            Html(&phase.name)
        )?;
    }
    readings(page, seen, &y)?;
    for level in &levels {
        let (y, class) = (
            y(level.value),
            if level.trigger { "trigger" } else { "target" },
        );
        write!(
            page,
            "<path class=\"{class}\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/><text class=\"{class}\" x=\"{RIGHT}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            (y - 3.0).max(10.0),
            Html(&level.text)
        )?;
    }
    for value in [lowest, lowest + span / 1.05] {
        write!(
            page,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y(value) + 4.0,
            Html(&seen.unit.show(value))
        )?;
    }
    let own = |it: &&Decision| it.signal.as_ref() == Some(&seen.name);
    for decision in shown.outcome.decisions.iter().filter(own) {
        mark(page, &axis, decision, (TOP, BOTTOM))?;
    }
    write!(
        page,
        "<path class=\"edge\" d=\"M{LEFT} {BOTTOM}H{RIGHT}\"/>"
    )?;
    ticks(page, shown, &axis, HEIGHT - 6.0)?;
    page.push_str("</svg>");
    Ok(())
}

/// The envelope of the readings, and where there was none.
fn readings(page: &mut String, seen: &SignalSeen, y: &dyn Fn(f64) -> f64) -> fmt::Result {
    let columns = &seen.columns;
    #[allow(clippy::cast_precision_loss, reason = "columns of a picture")]
    let x = |place: usize| LEFT + (RIGHT - LEFT) * place as f64 / columns.len().max(1) as f64;
    let mut blind: Option<usize> = None;
    let mut gaps = Vec::new();
    let mut line = String::new();
    let mut band = String::new();
    let mut run: Vec<(f64, Column)> = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        if column.known > 0 {
            gaps.extend(blind.take().map(|from| (from, place)));
            run.push((x(place), *column));
        } else if column.readings > 0 {
            blind.get_or_insert(place);
            envelope(&mut line, &mut band, &mut run, y)?;
        }
    }
    gaps.extend(blind.map(|from| (from, columns.len())));
    envelope(&mut line, &mut band, &mut run, y)?;
    for (from, until) in gaps {
        write!(
            page,
            "<rect class=\"blind\" x=\"{:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{}\"><title>no value</title></rect>",
            x(from),
            x(until) - x(from),
            BOTTOM - TOP
        )?;
    }
    write!(
        page,
        "<path class=\"band\" d=\"{band}\"/><path class=\"line\" d=\"{line}\"/>"
    )
}

fn envelope(
    line: &mut String,
    band: &mut String,
    run: &mut Vec<(f64, Column)>,
    y: &dyn Fn(f64) -> f64,
) -> fmt::Result {
    for (place, (x, column)) in run.iter().enumerate() {
        let verb = if place == 0 { 'M' } else { 'L' };
        write!(line, "{verb}{x:.1} {:.1}", y(column.highest))?;
        write!(band, "{verb}{x:.1} {:.1}", y(column.highest))?;
    }
    for (x, column) in run.iter().rev() {
        write!(band, "L{x:.1} {:.1}", y(column.lowest))?;
    }
    if let [(x, column)] = run[..] {
        // One column alone would be no line.
        write!(line, "M{:.1} {:.1}h2", x - 1.0, y(column.highest))?;
    }
    run.clear();
    Ok(())
}

fn mark(page: &mut String, axis: &Axis, it: &Decision, (top, bottom): (f64, f64)) -> fmt::Result {
    let x = axis.x(it.at);
    let class = match it.action {
        _ if it.is_tried() => "d-shadow",
        Action::Rollback => "d-rollback",
        Action::Escalate => "d-escalate",
        Action::Notify => "d-notify",
    };
    write!(
        page,
        "<a href=\"#{id}\"><g class=\"{class}\"><title>{} {}</title><path d=\"M{x:.1} {top}V{bottom}\"/><circle cx=\"{x:.1}\" cy=\"{top}\" r=\"4\"/></g></a>",
        deed(it),
        Html(&why(it)),
        id = Html(it.id.as_str()),
    )
}

fn ticks(page: &mut String, shown: &Shown<'_>, axis: &Axis, y: f64) -> fmt::Result {
    for tick in 0..=TICKS {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "a share of the time shown"
        )]
        let passed = (axis.millis * tick as f64 / TICKS as f64) as i64;
        let at = Timestamp::from_millis(axis.start.millis() + passed);
        let anchor = match tick {
            0 => "start",
            TICKS => "end",
            _ => "middle",
        };
        write!(
            page,
            "<text x=\"{:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>",
            axis.x(at),
            clock(at, &shown.settings.zone)
        )?;
    }
    Ok(())
}

/// What the rules compare the signal with: each value once, triggers before targets.
fn levels(shown: &Shown<'_>, signal: usize) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::new();
    let judged = |phase: &&Phase| shown.outcome.phases.iter().any(|it| it.name == phase.name);
    for phase in shown.settings.rules.phases.iter().filter(judged) {
        for trigger in &phase.triggers {
            if let When::Condition(condition) = &trigger.when {
                compared(condition, signal, &mut |value, text| {
                    let text = format!("{} {text}", trigger.name);
                    add(&mut levels, value, text, true);
                });
            }
        }
        for target in &phase.targets {
            compared(&target.condition, signal, &mut |value, text| {
                add(&mut levels, value, text.to_owned(), false);
            });
        }
    }
    levels
}

fn add(levels: &mut Vec<Level>, value: f64, text: String, trigger: bool) {
    let same = |it: &Level| it.value.to_bits() == value.to_bits() && it.trigger == trigger;
    if !levels.iter().any(same) {
        levels.push(Level {
            value,
            text,
            trigger,
        });
    }
}

fn compared(condition: &Condition, signal: usize, see: &mut dyn FnMut(f64, &str)) {
    match condition {
        Condition::Compare {
            signal: own,
            threshold,
        } if *own == signal => {
            if let Bound::Value(value) = threshold.bound {
                see(value, &threshold.text);
            }
        }
        Condition::Compare { .. } => {}
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                compared(part, signal, see);
            }
        }
        Condition::Not(part) => compared(part, signal, see),
    }
}

/// The class of a status' colour is its word.
pub const fn legend() -> [Status; 4] {
    [Status::Green, Status::Amber, Status::Red, Status::Unknown]
}
