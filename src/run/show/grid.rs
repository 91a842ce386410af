//! Columns of text for a terminal.

use std::fmt::Write as _;

use super::{BOLD, paint};
use crate::model::text::visible;

/// A piece of a line, with the colour it takes when there is colour.
pub struct Cell(String, Option<&'static str>);

impl Cell {
    pub fn plain(text: impl AsRef<str>) -> Self {
        Self(visible(text.as_ref()).into_owned(), None)
    }

    pub fn painted(text: impl AsRef<str>, colour: &'static str) -> Self {
        Self(visible(text.as_ref()).into_owned(), Some(colour))
    }
}

/// Columns as wide as their widest cell; nothing where there are no rows.
pub fn grid(out: &mut String, heads: &[&str], rows: Vec<Vec<Cell>>, colour: bool) {
    if rows.is_empty() {
        return;
    }
    let width = |text: &str| text.chars().count();
    let mut widths: Vec<usize> = heads.iter().map(|head| width(head)).collect();
    for row in &rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = width(&cell.0).max(*widest);
        }
    }
    let head = heads
        .iter()
        .map(|head| Cell(head.to_uppercase(), Some(BOLD)))
        .collect();
    for row in std::iter::once(head).chain(rows) {
        let mut line = String::new();
        for (Cell(text, shade), widest) in row.iter().zip(&widths) {
            let gap = widest - width(text);
            let shown = shade.map_or_else(
                || text.clone(),
                |code| paint(text, code, colour && !text.is_empty()),
            );
            let _ = write!(line, "{shown}{:gap$}  ", "");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out.push('\n');
}
