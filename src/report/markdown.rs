//! A report as Markdown, in the runbook's own shape. Charts are left to the page.

use std::fmt::Write as _;

use super::document::Block;
use super::document::Item;
use super::document::Report;
use super::document::Span;
use super::document::Table;
use super::document::Why;
use crate::model::text::markdown;
use crate::model::text::visible;

impl Report {
    /// GitHub-flavoured Markdown, ending with a newline. Blanks read `[fill in: …]`.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = String::with_capacity(8 << 10);
        let mark = if self.title.is_subject {
            "Subject: "
        } else {
            "# "
        };
        let _ = writeln!(
            out,
            "{mark}{}\n\n{}",
            line(&self.title.spans),
            line(&self.lead)
        );
        for section in &self.sections {
            let _ = writeln!(out, "\n## {}\n", section.heading);
            for block in &section.blocks {
                match block {
                    Block::Paragraph(spans) => {
                        let _ = writeln!(out, "{}", line(spans));
                    }
                    Block::Bullets(items) => list(&mut out, items, false, ""),
                    Block::Numbered(items) => list(&mut out, items, true, ""),
                }
            }
        }
        if let Some(closing) = &self.closing {
            let _ = writeln!(out, "\n{}", text(closing));
            if !closing.below.is_empty() {
                out.push('\n');
                list(&mut out, &closing.below, false, "");
            }
        }
        if !self.dashboard.is_empty() {
            out.push_str("\n## Key Metrics Dashboard\n");
            for it in &self.dashboard {
                table(&mut out, it);
            }
        }
        out.push_str("\n## How the figures are made\n\n");
        for note in &self.footnotes {
            let _ = writeln!(out, "- {}", line(note));
        }
        out
    }
}

fn list(out: &mut String, items: &[Item], numbered: bool, before: &str) {
    for (place, item) in items.iter().enumerate() {
        let mark = if numbered {
            format!("{}.", place + 1)
        } else {
            "-".to_owned()
        };
        let _ = writeln!(out, "{before}{mark} {}", text(item));
        let deeper = " ".repeat(before.len() + mark.len() + 1);
        list(out, &item.below, false, &deeper);
    }
}

fn text(item: &Item) -> String {
    let words = line(&item.spans);
    match (item.label, item.is_strong) {
        ("", _) => words,
        (label, false) => format!("{label}: {words}"),
        (label, true) => format!("**{label}:** {words}"),
    }
}

fn table(out: &mut String, table: &Table) {
    let _ = writeln!(out, "\n### {}\n", table.heading);
    let _ = writeln!(out, "| {} |", table.columns.join(" | "));
    let _ = writeln!(out, "|{}", "---|".repeat(table.columns.len()));
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|it| line(it)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
}

fn line(spans: &[Span]) -> String {
    spans.iter().map(span).collect()
}

fn span(span: &Span) -> String {
    match span {
        Span::Own(text) => text.clone(),
        Span::Figure { shown, .. } | Span::Moment { shown, .. } => shown.clone(),
        Span::Told(text) => words(text),
        Span::Name(text) => code(text),
        Span::Said { text, by } => format!("{} (said by {})", words(text), words(by)),
        Span::Blank { what, why } => match why {
            Why::People => format!("[fill in: {}]", words(what)),
            Why::NoReadings(signal) => {
                format!(
                    "[fill in: {}, no readings of {}]",
                    words(what),
                    code(signal)
                )
            }
            Why::Because(why) => format!("[fill in: {}, {why}]", words(what)),
        },
    }
}

/// Somebody's text, which begins no list, heading or rule either.
fn words(text: &str) -> String {
    let safe = markdown(text);
    let digits = safe.len() - safe.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = safe.split_at(digits);
    match rest.chars().next() {
        Some('-' | '+' | '=' | ':') if digits == 0 => format!("\\{safe}"),
        Some('.' | ')') if digits > 0 => format!("{number}\\{rest}"),
        _ => safe,
    }
}

/// A span of code that nothing in it can end, nor its cell: a bar behind a backslash would.
fn code(text: &str) -> String {
    if text.trim().is_empty() {
        return "(no name)".to_owned();
    }
    format!("`{}`", visible(text).replace('`', "'").replace('|', "¦"))
}
