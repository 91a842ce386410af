//! Faults of a file: all at once, each with line, caret and remedy. The home of `annotate-snippets`.
//! Rendering is pure: whoever prints decides about colour.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// At most this many are written out; the rest is counted.
const SHOWN_MAX: usize = 200;

/// A file's name and text, for showing faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub path: String,
    pub text: String,
}

/// Some bytes of one of the files loaded together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of the file.
    pub source: usize,
    pub span: Range<usize>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Grade {
    /// The files are refused.
    Error,
    /// The files load; somebody should look.
    Warning,
}

/// One thing that is wrong in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub grade: Grade,
    /// Index of the file among those loaded together.
    pub source: usize,
    /// Bytes at fault.
    pub span: Range<usize>,
    /// What is wrong, with the value.
    pub message: String,
    /// What to write instead.
    pub help: String,
    /// The other place, where two do not go together: `first here`.
    pub also: Option<(Place, String)>,
}

impl Fault {
    /// The line of its first byte, from 1.
    #[must_use]
    pub fn line(&self, sources: &[Source]) -> usize {
        let text = sources.get(self.source).map_or("", |it| it.text.as_str());
        1 + text[..within(text, self.span.clone()).start]
            .matches('\n')
            .count()
    }
}

/// Everything that is wrong with the files loaded together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    pub sources: Vec<Source>,
    pub faults: Vec<Fault>,
}

impl Faults {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// As a compiler shows them: message, file with line and column, the text with a caret under it, the remedy.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut shown: Vec<String> = self
            .faults
            .iter()
            .take(SHOWN_MAX)
            .map(|fault| self.render_one(fault, &renderer))
            .collect();
        if let Some(more @ 1..) = self.faults.len().checked_sub(SHOWN_MAX) {
            shown.push(format!("… and {more} more"));
        }
        shown.join("\n\n")
    }

    /// One line each, without the text around it: for a log.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let line = |fault: &Fault| {
            let path = self.sources.get(fault.source).map_or("", |it| &it.path);
            let (line, message) = (fault.line(&self.sources), &fault.message);
            let help = if fault.help.is_empty() {
                ""
            } else {
                "; help: "
            };
            format!("{path}:{line}: {message}{help}{}", fault.help)
        };
        self.faults.iter().take(SHOWN_MAX).map(line).collect()
    }

    fn render_one(&self, fault: &Fault, renderer: &Renderer) -> String {
        let level = match fault.grade {
            Grade::Error => Level::ERROR,
            Grade::Warning => Level::WARNING,
        };
        let mut here = self.snippet(
            fault.source,
            AnnotationKind::Primary,
            fault.span.clone(),
            "",
        );
        let mut elsewhere = None;
        if let Some((place, note)) = &fault.also {
            let span = within(&self.sources[place.source].text, place.span.clone());
            if place.source == fault.source {
                here = here.annotation(AnnotationKind::Context.span(span).label(note));
            } else {
                elsewhere = Some(self.snippet(place.source, AnnotationKind::Context, span, note));
            }
        }
        let mut group = level.primary_title(&fault.message).element(here);
        group = group.elements(elsewhere);
        if !fault.help.is_empty() {
            group = group.element(Level::HELP.message(&fault.help));
        }
        renderer.render(&[group])
    }

    fn snippet<'a>(
        &'a self,
        source: usize,
        kind: AnnotationKind,
        span: Range<usize>,
        label: &'a str,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let Source { path, text } = &self.sources[source];
        let mut annotation = kind.span(within(text, span));
        if !label.is_empty() {
            annotation = annotation.label(label);
        }
        Snippet::source(text).path(path).annotation(annotation)
    }
}

/// The span with both ends inside the text and on characters' borders.
fn within(text: &str, span: Range<usize>) -> Range<usize> {
    let border = |at: usize| {
        (0..=at.min(text.len()))
            .rev()
            .find(|it| text.is_char_boundary(*it))
            .unwrap_or(0)
    };
    let start = border(span.start);
    start..border(span.end).max(start)
}

/// Without colour.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Faults {}
