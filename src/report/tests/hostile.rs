//! Nothing that anybody writes or reads acts in a report, or stops it.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::model::Severity;
use crate::model::Timestamp;
use crate::model::Unit;
use crate::report::Report;
use crate::report::compose;
use crate::report::facts::Comparison;
use crate::report::facts::Facts;
use crate::report::facts::Kind;
use crate::report::facts::SignalHistory;
use crate::report::note::Field;
use crate::report::note::Note;
use crate::report::sample;
use crate::report::sample::facts;
use crate::report::signals::SIGNALS;

/// What a page of a report may be made of.
const TAGS: &[&str] = &[
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "main",
    "header",
    "section",
    "h1",
    "h2",
    "h3",
    "p",
    "ul",
    "ol",
    "li",
    "b",
    "i",
    "span",
    "code",
    "mark",
    "div",
    "figure",
    "figcaption",
    "svg",
    "desc",
    "rect",
    "line",
    "text",
    "path",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
];
const ATTRIBUTES: &[&str] = &[
    "lang",
    "charset",
    "name",
    "content",
    "http-equiv",
    "class",
    "scope",
    "viewBox",
    "role",
    "aria-labelledby",
    "id",
    "x",
    "y",
    "x1",
    "y1",
    "x2",
    "y2",
    "width",
    "height",
    "d",
];

/// Reads the page as XML: every element closed in its order, attributes quoted, `&` only in entities, and no element
/// or attribute but the report's own.
#[track_caller]
fn check_page(page: &str) {
    let page = page
        .strip_prefix("<!doctype html>\n")
        .expect("a document type");
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        check_text(&rest[..start]);
        let end = rest[start..].find('>').expect("a tag's end") + start;
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed out of order");
            continue;
        }
        let (inner, closed) = tag.strip_suffix('/').map_or((tag, false), |it| (it, true));
        let (name, attributes) = inner.split_once(' ').unwrap_or((inner, ""));
        assert!(TAGS.contains(&name), "`{name}` is no element of a report");
        check_attributes(attributes);
        if !closed {
            open.push(name);
        }
        if name == "style" {
            let end = rest.find("</style>").expect("its end");
            rest = &rest[end..];
        }
    }
    check_text(rest);
    assert!(open.is_empty(), "left open: {open:?}");
}

fn check_attributes(text: &str) {
    let mut rest = text;
    while !rest.is_empty() {
        let (name, behind) = rest.split_once("=\"").expect("an attribute's value");
        assert!(
            ATTRIBUTES.contains(&name.trim()),
            "`{name}` is no attribute of a report"
        );
        let (value, behind) = behind.split_once('"').expect("its end");
        check_text(value);
        assert!(!value.contains('<'));
        rest = behind;
    }
}

fn check_text(text: &str) {
    for (at, _) in text.match_indices('&') {
        let entity = text[at..].split_once(';').map(|(entity, _)| entity);
        let known = ["&amp", "&lt", "&gt", "&quot", "&#39"];
        assert!(
            entity.is_some_and(|it| known.contains(&it)),
            "a bare `&` in `{text}`"
        );
    }
    assert!(
        !text
            .chars()
            .any(|c| c != '\n' && crate::model::text::acts(c)),
        "{text:?}"
    );
}

/// A line's cells, told by the bars that nothing escapes.
fn bars(line: &str) -> usize {
    let mut escaped = false;
    let mut bars = 0;
    for c in line.chars() {
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            '|' if !escaped => bars += 1,
            _ => {}
        }
        escaped = false;
    }
    bars
}

/// A line without what is escaped, and without its spans of code.
fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '`' => {
                assert!(chars.any(|it| it == '`'), "code without an end: {line}");
            }
            c => out.push(c),
        }
    }
    out
}

/// Tables stay tables, and nothing of others begins a line or is a tag.
#[track_caller]
fn check_markdown(text: &str) {
    let mut columns = None;
    for line in text.lines() {
        if line.starts_with('|') {
            let expected = *columns.get_or_insert_with(|| bars(line));
            assert_eq!(bars(line), expected, "a row of other cells: {line}");
        } else {
            columns = None;
        }
        let plain = plain(line);
        assert!(
            !plain.contains('<') && !plain.trim_start().starts_with("# evil"),
            "{line}"
        );
        assert!(
            !plain.contains("](") && !plain.contains('~'),
            "a link: {line}"
        );
        assert!(!line.chars().any(crate::model::text::acts), "{line:?}");
    }
}

fn check(report: &Report) {
    check_page(&report.html());
    check_markdown(&report.markdown());
    let json = report.json().to_string();
    let _: serde_json::Value = serde_json::from_str(&json).expect("JSON");
}

#[test]
fn the_sample_is_well_formed_and_takes_nothing_from_outside() {
    for kind in Kind::ALL {
        let made = compose(&facts(*kind)).expect("a fit period");
        check(&made);
        let page = made.html();
        for never in [
            "<script",
            "http:",
            "https:",
            "url(",
            "@import",
            " src=",
            " href=",
            "javascript",
            " on",
        ] {
            let found = page
                .find(never)
                .map(|at| page[at..].chars().take(60).collect::<String>());
            // Words may begin with "on".
            let attribute = found.filter(|it| {
                never != " on" || it.starts_with(" on") && it.contains("=\"") && !it.contains(' ')
            });
            assert_eq!(attribute, None, "{never}");
        }
        assert!(
            page.contains("@media (prefers-color-scheme:dark)") && page.contains("@media print")
        );
        assert!(page.len() < 300 << 10, "{} bytes", page.len());
        let svgs = page.matches("<svg").count();
        assert_eq!(svgs, page.matches("<desc").count());
        assert!((5..=12).contains(&svgs), "{svgs} charts");
    }
}

const HOSTILE: &[&str] = &[
    "<evil onload=\"x\">",
    "</style><evil>",
    "</title><evil/>",
    "&",
    "&lt;",
    "'\"",
    "a|b",
    "\\|",
    "`",
    "``",
    "\n# evil",
    "\r\n- evil",
    "[x](evil:1)",
    "![x](evil:1)",
    "\u{202e}",
    "\u{0}",
    "\u{1b}[2J",
    "]]>",
    "-->",
    "*x*",
    "_x_",
    "1. x",
    "- x",
    "+ x",
    "===",
    "$x$",
    "@all",
    "😀",
    "~~",
    "",
    " ",
    "{{ x }}",
    "%s",
    "=cmd()",
    "\t",
    "ᚠ\u{301}",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => proptest::sample::select(HOSTILE).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => Just("long ".repeat(200)),
    ];
    proptest::collection::vec(piece, 0..4).prop_map(|it| it.concat())
}

fn value() -> impl Strategy<Value = Option<f64>> {
    let extreme = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        1e-300,
        1e15,
        9.1e15,
    ];
    prop_oneof![
        Just(None),
        proptest::sample::select(extreme.to_vec()).prop_map(Some),
        any::<f64>().prop_map(Some),
        (0.0..2.0).prop_map(Some),
    ]
}

fn history() -> impl Strategy<Value = SignalHistory> {
    let known: Vec<String> = SIGNALS.iter().map(|it| it.name.to_owned()).collect();
    let name = prop_oneof![4 => proptest::sample::select(known), 1 => text()];
    let unit = proptest::option::of(proptest::sample::select(Unit::ALL));
    let minute = (-100_i64..4000, value());
    let minutes = proptest::collection::vec(minute, 0..60);
    (name, text(), unit, minutes).prop_map(|(name, title, unit, minutes)| SignalHistory {
        name,
        title,
        unit,
        minutes: minutes
            .into_iter()
            .map(|(minute, value)| {
                (
                    sample::at(sample::LIVE)
                        + std::time::Duration::from_mins(1)
                            * u32::try_from(minute.max(0)).expect("small"),
                    value,
                )
            })
            .collect(),
    })
}

prop_compose! {
    fn any_facts()(
        kind in proptest::sample::select(Kind::ALL),
        signals in proptest::collection::vec(history(), 0..8),
        old in proptest::collection::vec(history(), 0..3),
        texts in proptest::collection::vec(text(), 12),
        bound in value(),
        length in prop_oneof![9 => 1_i64..100_000_000, 1 => Just(62 * 86_400_000)],
        start in prop_oneof![
            3 => Just(0_i64), 1 => any::<i64>(), 1 => -5_000_000_000_i64..5_000_000_000
        ],
        live in proptest::option::of(any::<i64>()),
        severity in proptest::sample::select(Severity::ALL),
        over in proptest::option::of(any::<i64>()),
        field in proptest::sample::select(Field::ALL.to_vec()),
        met in any::<Option<bool>>(),
    ) -> Facts {
        let mut it = facts(Kind::Day);
        let live_at = sample::at(sample::LIVE).millis();
        it.kind = kind;
        it.from = Timestamp::from_millis(live_at.saturating_add(start));
        it.until = Timestamp::from_millis(it.from.millis().saturating_add(length));
        it.made_at = it.until;
        it.go_live = live.map(Timestamp::from_millis).or(it.go_live);
        (it.service, it.environment) = (texts[0].clone(), texts[1].clone());
        it.project.clone_from(&texts[2]);
        for signal in &signals {
            let mut target = sample::target(&signal.name, &texts[3], bound.unwrap_or(1.0), Comparison::Below);
            target.during = over.map(|over| (it.from, Timestamp::from_millis(over)));
            it.targets.push(target);
        }
        it.signals = signals;
        if let Some(earlier) = &mut it.earlier {
            earlier.signals = old;
        }
        let mut incident = sample::incident(severity, "2026-12-01T10:00:00+01:00", &texts[4]);
        incident.resolved = over.map(|over| (Timestamp::from_millis(over), texts[5].clone()));
        let mut fact = sample::fact(incident, &texts[6]);
        fact.role = Some(texts[7].clone());
        it.incidents.push(fact);
        it.notes.push(Note::read(field, &texts[8], &texts[9], it.until));
        it.checklist[0].text.clone_from(&texts[10]);
        it.criteria[0].met = met;
        it.criteria[0].why.clone_from(&texts[11]);
        it.phases[0].title.clone_from(&texts[4]);
        it.decisions[0].reason.clone_from(&texts[5]);
        it
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_acts_and_nothing_panics(facts in any_facts()) {
        if let Ok(made) = compose(&facts) {
            check(&made);
            prop_assert_eq!(made.html(), compose(&facts).expect("as before").html());
        }
    }
}

#[test]
fn the_checks_can_fail() {
    for page in [
        "<p>",
        "<p></b>",
        "<evil/>",
        "<p onclick=\"x\"></p>",
        "a & b",
        "<p>\u{202e}</p>",
    ] {
        let page = format!("<!doctype html>\n{page}");
        assert!(
            std::panic::catch_unwind(|| check_page(&page)).is_err(),
            "{page}"
        );
    }
    for text in ["| a | b |\n| a | b | c |", "<evil", "# evil", "[x](evil:1)"] {
        assert!(
            std::panic::catch_unwind(|| check_markdown(text)).is_err(),
            "{text}"
        );
    }
    let tags: BTreeSet<_> = TAGS.iter().collect();
    assert!(!tags.contains(&"script") && !tags.contains(&"a"));
}
