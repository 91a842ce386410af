//! One report: `JUnit` XML as pytest, Surefire, Gradle, Jest, go-junit-report and others write it. Read as a stream; no
//! entity but XML's own five is ever expanded. Deliberately absent: the tests' output.

use std::io::BufRead;
use std::sync::atomic::{AtomicBool, Ordering};

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::NAMED_MAX;
use crate::model::Timestamp;

/// Elements within each other; tests' reports have four.
const DEPTH_MAX: usize = 100;

/// What reports say, added up.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub tests: u64,
    pub failures: u64,
    pub errors: u64,
    pub skipped: u64,
    /// The first failing tests by name.
    pub failing: Vec<String>,
    /// All of them.
    pub failing_count: usize,
    /// The earliest `timestamp` that says its zone.
    pub time: Option<Timestamp>,
}

impl Report {
    pub(super) fn fails(&self) -> bool {
        self.failures > 0 || self.errors > 0
    }

    pub(super) fn add(&mut self, other: Self) {
        self.tests += other.tests;
        self.failures += other.failures;
        self.errors += other.errors;
        self.skipped += other.skipped;
        self.failing_count += other.failing_count;
        self.failing.extend(other.failing);
        self.failing.truncate(NAMED_MAX);
        self.time = self.time.into_iter().chain(other.time).min();
    }

    fn name(&mut self, name: &str) {
        self.failing_count += 1;
        if self.failing.len() < NAMED_MAX {
            self.failing.push(name.to_owned());
        }
    }
}

/// An element that is open.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Open {
    Suites,
    Suite,
    Case,
    Other,
}

/// What became of a test, and what a suite says of itself outside its tests.
#[derive(Debug, Default)]
struct Fate {
    name: String,
    failed: bool,
    broke: bool,
    skipped: bool,
}

/// Reads one to its end.
pub(super) fn read(text: impl BufRead, over: &AtomicBool) -> Result<Report, String> {
    let mut reader = Reader::from_reader(text);
    let mut buffer = Vec::new();
    let mut state = State::default();
    loop {
        if over.load(Ordering::Relaxed) {
            return Err("nobody waits any more".to_owned());
        }
        buffer.clear();
        let event = reader.read_event_into(&mut buffer);
        match event.map_err(|error| format!("no XML, or not whole: {error}"))? {
            Event::Start(element) => state.open(&element)?,
            Event::Empty(element) => {
                state.open(&element)?;
                state.close();
            }
            Event::End(_) => state.close(),
            Event::Eof => break,
            Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
    if !state.stack.is_empty() {
        return Err("the report breaks off: it is not written to its end".to_owned());
    }
    if !state.is_report {
        return Err("the file is empty".to_owned());
    }
    Ok(state.end())
}

#[derive(Debug, Default)]
struct State {
    report: Report,
    stack: Vec<Open>,
    is_report: bool,
    case: Fate,
    /// What a single suite says of its tests at most, by its attributes.
    claimed: (u64, u64),
    suite: String,
}

impl State {
    fn open(&mut self, element: &BytesStart) -> Result<(), String> {
        let parent = self.stack.last().copied();
        let name = element.local_name();
        let open = match (parent, name.as_ref()) {
            (None, "testsuites") => Open::Suites,
            (None | Some(Open::Suites | Open::Suite), "testsuite") => Open::Suite,
            (Some(Open::Suites | Open::Suite), "testcase") => Open::Case,
            (None, other) => {
                let other: String = other.chars().take(40).collect();
                return Err(format!(
                    "no test report: it begins with <{other}>, not with <testsuites> or <testsuite>"
                ));
            }
            (Some(Open::Suite | Open::Case), "failure" | "error" | "skipped") => {
                self.outcome(parent, name.as_ref());
                Open::Other
            }
            (Some(_), _) => Open::Other,
        };
        match open {
            Open::Suites | Open::Suite => {
                self.is_report = true;
                self.suite(element);
            }
            Open::Case => {
                self.case = Fate {
                    name: test_name(element),
                    ..Fate::default()
                };
            }
            Open::Other => {}
        }
        if self.stack.len() >= DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} elements within each other"));
        }
        self.stack.push(open);
        Ok(())
    }

    fn suite(&mut self, element: &BytesStart) {
        let count = |name| attribute(element, name).and_then(|it| it.trim().parse::<u64>().ok());
        let (failures, errors) = (count("failures"), count("errors"));
        self.claimed.0 = self.claimed.0.max(failures.unwrap_or(0));
        self.claimed.1 = self.claimed.1.max(errors.unwrap_or(0));
        self.suite = attribute(element, "name").unwrap_or_default();
        let time = attribute(element, "timestamp");
        // Without a zone it may be anybody's; a bare number is no moment here.
        let time = time.filter(|it| it.contains(['T', 't', ' ']));
        let time = time.and_then(|it| it.trim().parse::<Timestamp>().ok());
        self.report.time = self.report.time.into_iter().chain(time).min();
    }

    fn outcome(&mut self, parent: Option<Open>, word: &str) {
        if parent == Some(Open::Case) {
            match word {
                "failure" => self.case.failed = true,
                "error" => self.case.broke = true,
                _ => self.case.skipped = true,
            }
            return;
        }
        // A suite that failed outside its tests: its set-up, its clean-up.
        match word {
            "failure" => self.report.failures += 1,
            "error" => self.report.errors += 1,
            _ => return,
        }
        let name = std::mem::take(&mut self.suite);
        self.report.name(&name);
    }

    fn close(&mut self) {
        if self.stack.pop() != Some(Open::Case) {
            return;
        }
        let case = std::mem::take(&mut self.case);
        let fails = case.failed || case.broke;
        self.report.tests += 1;
        self.report.failures += u64::from(case.failed);
        self.report.errors += u64::from(case.broke);
        self.report.skipped += u64::from(case.skipped && !fails);
        if fails {
            self.report.name(&case.name);
        }
    }

    /// A suite that says it failed did, whatever its tests show.
    fn end(self) -> Report {
        let mut report = self.report;
        report.failures = report.failures.max(self.claimed.0);
        report.errors = report.errors.max(self.claimed.1);
        report
    }
}

/// `tests.smoke.test_login`, as the report has it.
fn test_name(element: &BytesStart) -> String {
    let name = attribute(element, "name").unwrap_or_default();
    let class = attribute(element, "classname").filter(|it| !it.is_empty());
    match class {
        Some(class) => format!("{class}.{name}"),
        None => name,
    }
}

/// An attribute's value. What holds an entity that is none of XML's own stays as it is written.
fn attribute(element: &BytesStart, name: &str) -> Option<String> {
    let mut all = element.attributes().flatten();
    let found = all.find(|it| it.key.as_ref() == name)?;
    let value = found.normalized_value(XmlVersion::Implicit1_0);
    Some(match value {
        Ok(value) => value.into_owned(),
        Err(_) => found.value.into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(text: &str) -> Result<Report, String> {
        read(text.as_bytes(), &AtomicBool::new(false))
    }

    /// Tests, failures, errors, skipped, and the names.
    fn summary(text: &str) -> String {
        match reading(text) {
            Ok(it) => format!(
                "{} {} {} {} {}",
                it.tests,
                it.failures,
                it.errors,
                it.skipped,
                it.failing.join(",")
            ),
            Err(why) => why,
        }
    }

    #[test]
    fn reports_of_many_writers_are_read() {
        for (text, expected) in [
            (
                "<testsuite><testcase name='a'/><testcase classname='c' name='b'/></testsuite>",
                "2 0 0 0 ",
            ),
            (
                "<testsuites><testsuite name='outer'><testsuite name='inner'><testcase classname='c' name='a&lt;b'><failure/></testcase></testsuite><testcase name='d'><error>text</error></testcase><testcase name='e'><skipped/></testcase></testsuite></testsuites>",
                "3 1 1 1 c.a<b,d",
            ),
            // One test that fails and whose clean-up breaks is one test.
            (
                "<testsuite><testcase name='a'><failure/><error/></testcase></testsuite>",
                "1 1 1 0 a",
            ),
            // Surefire's tests that failed at first and passed then.
            (
                "<testsuite><testcase name='a'><flakyFailure/><rerunFailure/></testcase></testsuite>",
                "1 0 0 0 ",
            ),
            // What tests print is theirs.
            (
                "<testsuite><properties><failure/></properties><testcase name='a'><system-out><![CDATA[<failure/>]]></system-out></testcase></testsuite>",
                "1 0 0 0 ",
            ),
            (
                "<testsuite name='s'><error>set-up</error><testcase name='a'/></testsuite>",
                "1 0 1 0 s",
            ),
            (
                "<testsuite failures='2' errors='1'><testcase name='a'/></testsuite>",
                "1 2 1 0 ",
            ),
            (
                "<?xml version='1.0'?>\n<testsuite tests='0'/>\n",
                "0 0 0 0 ",
            ),
            ("", "the file is empty"),
            ("  \n", "the file is empty"),
            (
                "<testsuite>",
                "the report breaks off: it is not written to its end",
            ),
            (
                "<testsuite><testcase name='a'/>",
                "the report breaks off: it is not written to its end",
            ),
            (
                "<html><body/></html>",
                "no test report: it begins with <html>, not with <testsuites> or <testsuite>",
            ),
        ] {
            assert_eq!(summary(text), expected, "{text}");
        }
        for broken in [
            "<testsuite><testcase name='a'",
            "<testsuite></testsuites>",
            "<testsuite",
            "<testsuite><testcase></testsuite>",
        ] {
            let why = reading(broken).unwrap_err();
            assert!(why.starts_with("no XML, or not whole: "), "{broken}: {why}");
        }
    }

    #[test]
    fn times_count_where_they_say_their_zone() {
        let time = |text: &str| {
            let text = format!("<testsuite timestamp='{text}'/>");
            reading(&text).unwrap().time.map(|it| it.to_string())
        };
        let noon = Some("2026-12-01T12:00:00.000Z".to_owned());
        assert_eq!(time("2026-12-01T13:00:00.000+01:00"), noon);
        assert_eq!(time("2026-12-01T12:00:00Z"), noon);
        for zoneless in [
            "2026-12-01T12:00:00",
            "2026-12-01T12:00:00.5",
            "1764590400",
            "soon",
            "",
        ] {
            assert_eq!(time(zoneless), None, "{zoneless}");
        }
        let two = "<testsuites><testsuite timestamp='2026-12-01T12:00:00Z'/><testsuite timestamp='2026-12-01T14:00:00+01:00'/></testsuites>";
        assert_eq!(reading(two).unwrap().time.map(|it| it.to_string()), noon);
    }

    /// A billion laughs are nothing to laugh at: no entity is expanded.
    #[test]
    fn entities_of_a_document_stay_as_they_are_written() {
        let bomb = "<!DOCTYPE t [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'><!ENTITY c SYSTEM 'file:///etc/passwd'>]>\
            <testsuite><testcase name='&b;&c;'><failure>&b;&c;</failure></testcase></testsuite>";
        assert_eq!(summary(bomb), "1 1 0 0 &b;&c;");
        let deep = "<testsuite>".repeat(DEPTH_MAX + 1);
        assert_eq!(summary(&deep), "more than 100 elements within each other");
    }

    #[test]
    fn reports_add_up() {
        let mut all = reading("<testsuite timestamp='2026-12-01T12:00:00Z'><testcase name='a'><failure/></testcase></testsuite>").unwrap();
        all.add(reading("<testsuite timestamp='2026-12-01T11:00:00Z'><testcase name='b'><error/></testcase><testcase name='c'/></testsuite>").unwrap());
        assert_eq!(
            (all.tests, all.failures, all.errors, all.failing_count),
            (3, 1, 1, 2)
        );
        assert_eq!(all.failing, ["a", "b"]);
        assert_eq!(
            all.time.map(|it| it.to_string()).as_deref(),
            Some("2026-12-01T11:00:00.000Z")
        );
    }
}
