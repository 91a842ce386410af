//! Charts as small inline SVG: no script, no outside resources, colours from the page's style.

use std::fmt;
use std::fmt::Write as _;
use std::ops::Range;

use super::chart::Band;
use super::chart::Chart;
use super::chart::Shape;
use super::chart::State;
use super::measure::float;
use super::number;
use crate::model::Severity;
use crate::model::text::Html;

/// In units of the picture; on a phone one unit is a little less than a pixel.
const WIDTH: f64 = 400.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 392.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 122.0;
const STRIP: f64 = 28.0;
/// What the text of a target takes.
const ROOM: f64 = 70.0;

/// The chart as one `<svg>`; `id` tells it from the page's others.
pub(super) fn draw(page: &mut String, chart: &Chart, id: usize) -> fmt::Result {
    let (bottom, height) = match chart.shape {
        Shape::Line { .. } => (BOTTOM, BOTTOM + 22.0),
        Shape::Strip(_) => (TOP + STRIP, TOP + STRIP + 22.0),
    };
    write!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"t{id} d{id}\"><title id=\"t{id}\">{}</title>\
         <desc id=\"d{id}\">{}</desc>",
        Html(&chart.title),
        Html(&chart.description)
    )?;
    for (place, band) in chart.phases.iter().enumerate() {
        let class = if place % 2 == 0 { "ph" } else { "ph odd" };
        rect(
            page,
            chart,
            &band.places,
            (TOP - 8.0, 5.0),
            class,
            &band.text,
        )?;
    }
    for band in &chart.unknown {
        rect(page, chart, band, (TOP, bottom - TOP), "un", "unknown")?;
    }
    for band in &chart.incidents {
        rect(
            page,
            chart,
            &band.places,
            (TOP, bottom - TOP),
            severity(band),
            &band.text,
        )?;
    }
    match &chart.shape {
        Shape::Line {
            pieces,
            bottom,
            top,
        } => line(page, chart, pieces, (*bottom, *top))?,
        Shape::Strip(parts) => {
            for (places, state) in parts {
                let (class, text) = match state {
                    State::Up => ("up", "up"),
                    State::Down => ("down", "down"),
                    State::Unknown => ("un", "unknown"),
                };
                rect(page, chart, places, (TOP + 4.0, STRIP - 8.0), class, text)?;
            }
        }
    }
    let below = bottom + 16.0;
    write!(
        page,
        "<line class=\"ax\" x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{RIGHT}\" y2=\"{bottom}\"/>\
         <text x=\"{LEFT}\" y=\"{below}\">{}</text><text x=\"{RIGHT}\" y=\"{below}\" class=\"end\">{}</text></svg>",
        Html(&chart.begins),
        Html(&chart.ends)
    )
}

fn line(
    page: &mut String,
    chart: &Chart,
    pieces: &[Vec<(usize, f64)>],
    (low, high): (f64, f64),
) -> fmt::Result {
    let span = high / 2.0 - low / 2.0;
    let y = |value: f64| BOTTOM - (value / 2.0 - low / 2.0) / span * (BOTTOM - TOP);
    for target in &chart.targets {
        let (from, to, at) = (
            x(chart, target.places.start),
            x(chart, target.places.end),
            y(target.value),
        );
        let above = if at < TOP + 12.0 { at + 12.0 } else { at - 3.0 };
        // Beside the axis it begins where the target does, so as not to write over the axis.
        let (beside, class) = if to < LEFT + ROOM {
            (from, "tgt")
        } else {
            (to, "tgt end")
        };
        write!(
            page,
            "<line class=\"tg\" x1=\"{from:.1}\" y1=\"{at:.1}\" x2=\"{to:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{beside:.1}\" y=\"{above:.1}\" class=\"{class}\">{}</text>",
            Html(&target.text)
        )?;
    }
    page.push_str("<path class=\"ln\" d=\"");
    for piece in pieces {
        for (nth, (place, value)) in piece.iter().enumerate() {
            let letter = if nth == 0 { 'M' } else { 'L' };
            write!(
                page,
                "{letter}{:.1} {:.1}",
                middle(chart, *place),
                y(*value)
            )?;
        }
        // A minute by itself is a dot.
        if let [(_, _)] = piece[..] {
            page.push_str("h0.1");
        }
    }
    page.push_str("\"/>");
    for (value, at) in [(high, TOP + 10.0), (low, BOTTOM)] {
        let shown = number::on_axis(chart.unit, value);
        let x = LEFT - 6.0;
        write!(
            page,
            "<text x=\"{x}\" y=\"{at}\" class=\"end\">{}</text>",
            Html(&shown)
        )?;
    }
    Ok(())
}

fn rect(
    page: &mut String,
    chart: &Chart,
    places: &Range<usize>,
    (y, height): (f64, f64),
    class: &str,
    text: &str,
) -> fmt::Result {
    let from = x(chart, places.start);
    // What lasted a minute is still seen in a month.
    let width = (x(chart, places.end) - from).max(1.5);
    write!(
        page,
        "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{height}\"><title>{}</title></rect>",
        Html(text)
    )
}

/// Where a minute begins.
fn x(chart: &Chart, place: usize) -> f64 {
    LEFT + float(place) / float(chart.minutes.max(1)) * (RIGHT - LEFT)
}

fn middle(chart: &Chart, place: usize) -> f64 {
    x(chart, place).midpoint(x(chart, place + 1))
}

fn severity(band: &Band) -> &'static str {
    match band.severity {
        Some(Severity::P1) => "p1",
        Some(Severity::P2) => "p2",
        Some(Severity::P3 | Severity::P4) | None => "p3",
    }
}
