//! `JUnit` XML for pipelines: a test case per scrape and per check. Missed and firing fail; no answer is an error, and is
//! skipped where the verdict does not wait for it.

use std::fmt;
use std::fmt::Write as _;

use super::reading;
use super::scrape;
use super::title;
use crate::engine::Outcome;
use crate::engine::Snapshot;
use crate::model::Verdict;

struct Case {
    class: &'static str,
    name: String,
    seconds: f64,
    /// `failure`, `error` or `skipped` with its message.
    wrong: Option<(&'static str, String)>,
    output: String,
}

pub fn render(snapshot: &Snapshot) -> String {
    let cases = cases(snapshot);
    let count = |kind: &str| {
        let of_kind = |case: &&Case| case.wrong.as_ref().is_some_and(|(it, _)| *it == kind);
        cases.iter().filter(of_kind).count()
    };
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let totals = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\"",
        cases.len(),
        count("failure"),
        count("error")
    );
    let skipped = count("skipped");
    let suite = format!("gated: {}", snapshot.service);
    let at = snapshot
        .verdict
        .evaluated_at
        .map_or_else(String::new, |at| format!(" timestamp=\"{at}\""));
    let _ = writeln!(
        out,
        "<testsuites {totals}>\n  <testsuite name=\"{}\" {totals} skipped=\"{skipped}\"{at}>",
        Xml(&suite)
    );
    for case in &cases {
        let _ = case.write(&mut out);
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn cases(snapshot: &Snapshot) -> Vec<Case> {
    let state = &snapshot.verdict;
    // A reader of the page stops at an error, whatever the exit code says: go has none.
    let unanswered = |waited_for: bool| match state.verdict {
        Verdict::NoGo | Verdict::Unknown if waited_for => "error",
        Verdict::Go | Verdict::NoGo | Verdict::Unknown => "skipped",
    };
    let scrapes = snapshot.targets.iter().map(|target| {
        let result = scrape(target);
        Case {
            class: "scrape",
            name: format!("{} {}", target.info.job, target.info.url),
            seconds: target
                .last
                .as_ref()
                .map_or(0.0, |last| last.duration.as_secs_f64()),
            wrong: result
                .as_ref()
                .err()
                .map(|error| (unanswered(true), error.clone())),
            output: result.unwrap_or_default(),
        }
    });
    let checks = state.checks.iter().map(|check| {
        let line = format!(
            "{} {}: {}",
            reading(check),
            check.condition,
            check.outcome.word()
        );
        let text = if check.reason.is_empty() {
            line.clone()
        } else {
            format!("{line}; {}", check.reason)
        };
        Case {
            class: check.role.word(),
            name: title(check),
            seconds: 0.0,
            wrong: match check.outcome {
                // What is only tried fails no job.
                _ if check.shadow => Some(("skipped", text.clone())),
                Outcome::Met | Outcome::Quiet | Outcome::Pending => None,
                Outcome::Missed | Outcome::Firing => Some(("failure", text.clone())),
                Outcome::Unknown => Some((unanswered(check.is_waited_for()), text.clone())),
            },
            output: text,
        }
    });
    // The verdict is a case too: reasons that belong to no check (no phase, amber under --strict) must fail the job.
    let verdict = Case {
        class: "verdict",
        name: state.verdict.to_string(),
        seconds: 0.0,
        wrong: match state.verdict {
            Verdict::Go => None,
            Verdict::NoGo => Some(("failure", state.reasons.join("\n"))),
            Verdict::Unknown => Some(("error", state.reasons.join("\n"))),
        },
        output: {
            let mut output = format!("status {}, phase {}", state.status, state.phase);
            for reason in &state.reasons {
                output.push('\n');
                output.push_str(reason);
            }
            output
        },
    };
    scrapes.chain(checks).chain([verdict]).collect()
}

impl Case {
    fn write(&self, out: &mut String) -> fmt::Result {
        let (class, name, seconds) = (self.class, Xml(&self.name), self.seconds);
        write!(
            out,
            "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{seconds:.3}\""
        )?;
        if let Some((kind, text)) = &self.wrong {
            writeln!(
                out,
                ">\n      <{kind} message=\"{}\"/>\n    </testcase>",
                Xml(text)
            )
        } else {
            writeln!(
                out,
                ">\n      <system-out>{}</system-out>\n    </testcase>",
                Xml(&self.output)
            )
        }
    }
}

/// Text in XML, content or quoted attribute. What XML 1.0 cannot hold becomes U+FFFD.
struct Xml<'a>(&'a str);

impl fmt::Display for Xml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\n' => f.write_str("&#10;")?,
                '\t' => f.write_str("&#9;")?,
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
