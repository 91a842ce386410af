//! `gated test`: promtool's rule unit tests, and `gated_test` blocks among them. Deliberately absent: printing.

mod bench;
mod block;
mod compare;
mod file;
mod glob;
mod reading;
mod recorded;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use regex::Regex;

use self::bench::{Bench, EVALUATIONS_MAX};
use self::file::{Test, TestFile};
use super::{config, gated_test};
use crate::runbook::{Env, Fault, Faults, Grade, RuleGroup, Rules, Source, load_with};
pub use report::{junit, report};

/// How one test went.
#[derive(Debug)]
pub struct Outcome {
    /// May be empty, and need not be the only one of its name.
    pub name: String,
    /// Where it begins in its file, from 1.
    pub line: usize,
    /// Empty when it passed.
    pub failures: Vec<String>,
}

impl Outcome {
    /// What tells it from others: its name, or where it stands.
    #[must_use]
    pub fn title(&self) -> String {
        if self.name.is_empty() {
            return format!("(no name, line {})", self.line);
        }
        self.name.clone()
    }
}

/// How the tests of one file went.
#[derive(Debug)]
pub struct FileOutcome {
    pub path: String,
    /// Why the file could not be run at all.
    pub refused: Option<String>,
    pub warnings: Vec<String>,
    pub tests: Vec<Outcome>,
}

impl FileOutcome {
    #[must_use]
    pub fn passed(&self) -> bool {
        self.refused.is_none() && self.tests.iter().all(|test| test.failures.is_empty())
    }
}

/// Runs every file, or of each the tests whose name matches `only`.
#[must_use]
pub fn run(files: &[PathBuf], only: Option<&Regex>, env: Env<'_>) -> Vec<FileOutcome> {
    files.iter().map(|path| run_file(path, only, env)).collect()
}

fn run_file(path: &Path, only: Option<&Regex>, env: Env<'_>) -> FileOutcome {
    let mut outcome = FileOutcome {
        path: path.display().to_string(),
        refused: None,
        warnings: Vec::new(),
        tests: Vec::new(),
    };
    let (file, rules) = match load(path, env, &mut outcome.warnings) {
        Ok(loaded) => loaded,
        Err(why) => {
            outcome.refused = Some(why);
            return outcome;
        }
    };
    let chosen = |test: &&Test| only.is_none_or(|only| only.is_match(&test.name));
    for test in file.tests.iter().filter(chosen) {
        outcome.tests.push(Outcome {
            name: test.name.clone(),
            line: test.line,
            failures: run_test(path, &file, test, &rules),
        });
    }
    outcome
}

fn run_test(path: &Path, file: &TestFile, test: &Test, rules: &Arc<Rules>) -> Vec<String> {
    let mut failures = Vec::new();
    if !test.faults.is_empty() {
        failures.push(test.faults.render(false));
    }
    let Some(series) = &test.series else {
        return failures;
    };
    failures.extend(Bench::new(file, test, series, &rules.groups).run());
    if let Some(block) = &test.gated {
        let script = gated_test::Script {
            series,
            interval: test.interval,
            start: test.start,
            external: &test.external_labels,
        };
        let end = block.expect.iter().map(|it| it.at).max();
        let scrapes = end.unwrap_or_default().as_millis() / test.interval.as_millis().max(1);
        if scrapes > EVALUATIONS_MAX {
            failures.push(format!("{scrapes} scrapes; {EVALUATIONS_MAX} at most"));
        } else {
            failures.extend(gated_test::run(block, rules, &script));
        }
    }
    if let Some(block) = &test.recorded {
        let folder = path.parent().unwrap_or(Path::new(""));
        failures.extend(block.run(folder, rules, &test.external_labels));
    }
    failures
}

/// A test file and its rules, the groups in the order in which they are evaluated.
fn load(
    path: &Path,
    env: Env<'_>,
    warnings: &mut Vec<String>,
) -> Result<(TestFile, Arc<Rules>), String> {
    let text = std::fs::read_to_string(path);
    let source = Source {
        path: path.display().to_string(),
        text: text.map_err(|error| format!("it cannot be read: {error}"))?,
    };
    let file = file::read(&source).map_err(|faults| faults.render(false))?;
    let files = rule_files(path, &source, &file, warnings)?;
    let mut rules = rules_of(&files, env)?;
    // As promtool: what the order does not name comes with its first.
    let place = |name: &String| file.order.iter().position(|it| it == name);
    let first = |group: &RuleGroup| place(&group.name).unwrap_or(0);
    rules.groups.sort_by_key(first);
    Ok((file, Arc::new(rules)))
}

/// The files that the patterns stand for; one that stands for none is told, as promtool does, and no fault.
fn rule_files(
    path: &Path,
    source: &Source,
    file: &TestFile,
    warnings: &mut Vec<String>,
) -> Result<Vec<PathBuf>, String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let (mut files, mut empty) = (Vec::new(), Vec::new());
    let mut bad = Vec::new();
    for (pattern, span) in &file.rule_files {
        let told = |grade, message: String, help: &str| Fault {
            grade,
            source: 0,
            span: span.clone(),
            message,
            help: help.to_owned(),
            also: None,
        };
        match glob::glob(&folder.join(pattern)) {
            Ok(found) if found.is_empty() => {
                let message = format!("no file matches `{pattern}`");
                let help =
                    "the tests run without its rules; patterns count from this file's folder";
                empty.push(told(Grade::Warning, message, help));
            }
            Ok(found) => files.extend(found),
            Err(error) => bad.push(told(Grade::Error, error.to_string(), "")),
        }
    }
    let shown = |faults: Vec<Fault>| {
        let sources = vec![source.clone()];
        Faults { sources, faults }.render(false)
    };
    if !bad.is_empty() {
        return Err(shown(bad));
    }
    if !empty.is_empty() {
        warnings.push(shown(empty));
    }
    Ok(files)
}

fn rules_of(files: &[PathBuf], env: Env<'_>) -> Result<Rules, String> {
    let sources = config::read_rules(files).map_err(|error| error.to_string())?;
    let loaded = load_with(&sources, env, None);
    Ok(loaded.map_err(|faults| faults.render(false))?.0)
}
