//! The outcome of tests for people and for pipelines. Deliberately absent: printing.

use std::fmt::Write as _;

use super::FileOutcome;
use crate::run::check::Report;

/// What a person reads, and how the process exits: 0 all passed, 1 not, 2 a file cannot be run.
#[must_use]
pub fn report(outcomes: &[FileOutcome]) -> Report {
    let mut text = String::new();
    let mut code = 0;
    for outcome in outcomes {
        let _ = writeln!(text, "{}", outcome.path);
        for warning in &outcome.warnings {
            indented(&mut text, 2, warning);
        }
        if let Some(why) = &outcome.refused {
            code = 2;
            text.push_str("  FAILED: the file cannot be run\n");
            indented(&mut text, 2, why);
        }
        for test in &outcome.tests {
            if test.failures.is_empty() {
                let _ = writeln!(text, "  ok      {}", test.title());
                continue;
            }
            code = code.max(1);
            let _ = writeln!(text, "  FAILED  {}", test.title());
            for failure in &test.failures {
                indented(&mut text, 10, failure);
            }
        }
    }
    let all = outcomes.iter().flat_map(|it| &it.tests);
    let failed = all.clone().filter(|it| !it.failures.is_empty()).count();
    let refused = outcomes.iter().filter(|it| it.refused.is_some()).count();
    let _ = writeln!(
        text,
        "{} passed, {failed} failed{}",
        all.count() - failed,
        match refused {
            0 => String::new(),
            1 => ", 1 file could not be run".to_owned(),
            n => format!(", {n} files could not be run"),
        }
    );
    Report { text, code }
}

fn indented(text: &mut String, blanks: usize, lines: &str) {
    for line in lines.lines() {
        let line = format!("{:blanks$}{line}", "");
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// For a pipeline: one suite a file, one case a test.
#[must_use]
pub fn junit(outcomes: &[FileOutcome]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for outcome in outcomes {
        let failures = outcome.tests.iter().filter(|it| !it.failures.is_empty());
        let refused = usize::from(outcome.refused.is_some());
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{refused}\">",
            escaped(&outcome.path),
            outcome.tests.len() + refused,
            failures.count()
        );
        if let Some(why) = &outcome.refused {
            let first = why.lines().next().unwrap_or_default();
            let _ = writeln!(
                xml,
                "    <testcase name=\"file\"><error message=\"{}\">{}</error></testcase>",
                escaped(first),
                escaped(why)
            );
        }
        for test in &outcome.tests {
            let _ = write!(xml, "    <testcase name=\"{}\"", escaped(&test.title()));
            if test.failures.is_empty() {
                xml.push_str("/>\n");
            } else {
                let text = test.failures.join("\n");
                let _ = writeln!(xml, "><failure>{}</failure></testcase>", escaped(&text));
            }
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            c if c.is_control() && c != '\n' => " ".to_owned(),
            c => c.to_string(),
        })
        .collect()
}
