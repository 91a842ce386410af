//! Faults of a file: all at once, each with line, caret and remedy.

use std::ops::Range;

/// A file's name and text, for showing faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub path: String,
    pub text: String,
}

/// One thing that is wrong in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Index of the file among those loaded together.
    pub source: usize,
    /// Bytes at fault.
    pub span: Range<usize>,
    /// What is wrong, with the value.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// Everything that is wrong with the files loaded together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    pub sources: Vec<Source>,
    pub faults: Vec<Fault>,
}
