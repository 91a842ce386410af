//! The import table: which room may use which, and which words stay out of the pure rooms. Reads all of `src/`
//! and fails with file and line.
//!
//! It looks at tokens, with comments and literals taken out, so it sees `use` trees and inline paths alike. It does
//! not resolve names: renaming a crate with `use … as …` is seen, a macro that writes paths for us is not.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Room, and the rooms it may import. A room stands after all pure rooms it imports.
const TABLE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("store", &["model"]),
    ("promql", &["model", "store"]),
    ("template", &["model"]),
    ("runbook", &["model", "promql", "template"]),
    (
        "rules",
        &["model", "store", "promql", "template", "runbook"],
    ),
    ("incident", &["model", "runbook"]),
    ("gate", &["model", "runbook"]),
    ("report", &["model"]),
    ("engine", JUDGING),
    (
        "journal",
        &["model", "runbook", "incident", "report", "engine"],
    ),
    ("source", &["model", "engine", "journal"]),
    ("sink", &["model", "engine", "journal"]),
    ("serve", &["model", "engine", "report"]),
    ("run", ALL),
];

/// What the engine is made of.
const JUDGING: &[&str] = &[
    "model", "store", "promql", "template", "runbook", "rules", "incident", "gate", "report",
    "engine",
];

const PURE: &[&str] = &[
    "model", "store", "promql", "template", "runbook", "rules", "incident", "gate", "report",
    "engine", "journal",
];

const ALL: &[&str] = &[
    "model", "store", "promql", "template", "runbook", "rules", "incident", "gate", "report",
    "engine", "journal", "source", "sink", "serve", "run",
];

/// Rooms of the table that need not exist yet.
const TO_COME: &[&str] = &[];

/// Whole words that a pure room never mentions. `Instant` is a word of `PromQL` too, so it is refused as a path.
const IMPURE_WORDS: &[&str] = &[
    "tokio",
    "reqwest",
    "rusqlite",
    "tracing",
    "rand",
    "SystemTime",
];

/// Modules of `std` that a pure room never mentions.
const IMPURE_STD: &[&str] = &["fs", "net", "env", "thread", "process"];

/// Parser and storage crates, and where each is at home. An entry ending in `/` is a folder.
const HOMES: &[(&str, &[&str])] = &[
    ("annotate_snippets", &["runbook/fault.rs"]),
    ("clap", &["run/cli.rs", "run/cli/"]),
    // The crate is at home in the first; the second is a file of ours, with Go's patterns.
    ("glob", &["source/probe/junit/pattern.rs", "run/rule_test/"]),
    ("lettre", &["sink/mail/"]),
    ("mail_builder", &["sink/mail/letter.rs"]),
    ("minijinja", &["sink/template/own.rs"]),
    ("prometheus_parse", &["source/exposition/"]),
    ("promql_parser", &["promql/parse.rs", "promql/parse/"]),
    ("quick_xml", &["source/probe/junit/report.rs"]),
    ("rusqlite", &["sink/ledger/"]),
    // Targets are typed as they are read; rules and tests of rules are trees, so that every fault has its place.
    ("serde_saphyr", &["source/discovery/", "runbook/yaml.rs"]),
    // Two kinds of file are TOML, rules files and the configuration; both are read through one reader.
    ("toml", &["runbook/reader.rs", "runbook/reader/"]),
    ("x509_parser", &["source/probe/http.rs"]),
];

/// The only file that reads a clock.
const CLOCK: &str = "run/clock.rs";
/// The parser crate gives the moment of `@` as a `SystemTime`, which only its distance from the epoch makes a number.
const EPOCH: &str = "promql/parse/selector.rs";

#[test]
fn every_file_keeps_to_the_import_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(
        files.len() > 20,
        "only {} files under {}",
        files.len(),
        root.display()
    );
    let mut wrong = Vec::new();
    let mut rooms = BTreeSet::new();
    for file in &files {
        let path = file.strip_prefix(&root).expect("collected below the root");
        let path = path.to_str().expect("a UTF-8 file name").replace('\\', "/");
        let text = fs::read_to_string(file).expect("a readable source file");
        rooms.insert(room_of(&path).to_owned());
        wrong.extend(check(&path, &text));
    }
    for (room, _) in TABLE {
        if !rooms.contains(*room) && !TO_COME.contains(room) {
            wrong.push(format!(
                "the table names the room `{room}`, which does not exist"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_table_has_no_way_back_up() {
    for (place, (room, may)) in TABLE.iter().enumerate() {
        for other in *may {
            let at = TABLE
                .iter()
                .position(|(name, _)| name == other)
                .expect("a room of the table");
            assert!(
                at <= place,
                "`{room}` may import `{other}`, which stands after it"
            );
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files.sort();
}

/// `store` for `store/window.rs` and `store.rs`; `lib` and `main` for themselves.
fn room_of(path: &str) -> &str {
    path.split('/')
        .next()
        .expect("never empty")
        .trim_end_matches(".rs")
}

/// Everything wrong with one file, each as `src/file:line: what`.
fn check(path: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if !text.starts_with("//!") && path != "main.rs" {
        wrong.push(format!("src/{path}:1: the file does not open with `//!`"));
    }
    let tokens = tokens(text);
    let paths = paths(&tokens);
    let mut at = |line: usize, what: String| wrong.push(format!("src/{path}:{line}: {what}"));
    let room = room_of(path);
    match room {
        "lib" => {}
        "main" => {
            for found in paths
                .iter()
                .filter(|p| p.first("gated") || p.first("crate"))
            {
                if found.word(1) != Some("run") {
                    at(
                        found.line,
                        format!("main imports `run` only, not `{}`", found.text()),
                    );
                }
            }
        }
        _ => match TABLE.iter().find(|(name, _)| *name == room) {
            Some((_, may)) => edges(path, room, may, &tokens, &paths, &mut at),
            None => at(
                1,
                format!("the room `{room}` is missing from the import table"),
            ),
        },
    }
    words(path, room, &tokens, &paths, &mut at);
    wrong
}

/// What the file imports from other rooms, and how it writes that.
fn edges(
    path: &str,
    room: &str,
    may: &[&str],
    tokens: &[Token],
    paths: &[Found],
    at: &mut impl FnMut(usize, String),
) {
    for found in paths.iter().filter(|p| p.first("crate")) {
        match found.word(1) {
            Some("{") => at(
                found.line,
                "a `crate::{…}` group: write one `use` per room".into(),
            ),
            Some(other) if other == room || may.contains(&other) => {}
            Some(other) => at(found.line, format!("`{room}` must not import `{other}`")),
            None => at(found.line, "`crate` without a room behind it".into()),
        }
    }
    for found in paths.iter().filter(|p| p.first("gated")) {
        at(
            found.line,
            format!("write `crate::` instead of `{}`", found.text()),
        );
    }
    let own = path == format!("{room}/mod.rs") || path == format!("{room}.rs");
    for (index, token) in tokens.iter().enumerate() {
        if token.text != "super" {
            continue;
        }
        let second = tokens.get(index + 1).is_some_and(|t| t.text == "::")
            && tokens.get(index + 2).is_some_and(|t| t.text == "super");
        if second {
            at(
                token.line,
                "`super::super`: write the path from `crate::`".into(),
            );
        } else if own && token.modules == 0 {
            at(
                token.line,
                "`super` in a room's own file leaves the room: write `crate::`".into(),
            );
        }
    }
}

/// Words and crates that belong elsewhere.
fn words(
    path: &str,
    room: &str,
    tokens: &[Token],
    paths: &[Found],
    at: &mut impl FnMut(usize, String),
) {
    let pure = PURE.contains(&room);
    for token in tokens {
        if token.text == "unsafe" || token.text == "unsafe_code" {
            at(token.line, format!("`{}` is forbidden", token.text));
        }
        if pure && IMPURE_WORDS.contains(&token.text) {
            at(
                token.line,
                format!("`{room}` is pure and must not mention `{}`", token.text),
            );
        }
    }
    let timer = paths
        .iter()
        .any(|p| p.text().starts_with("tokio::time::Instant"));
    for found in paths {
        let second = found.word(1).unwrap_or_default();
        if pure && found.first("metrics") {
            at(
                found.line,
                format!("`{room}` is pure and must not mention `metrics`"),
            );
        }
        if pure && found.first("std") && (IMPURE_STD.contains(&second) || second == "*") {
            at(
                found.line,
                format!("`{room}` is pure and must not mention `std::{second}`"),
            );
        }
        if let Some((name, homes)) = HOMES.iter().find(|(name, _)| found.first(name)) {
            let home = |h: &&str| path == *h || (h.ends_with('/') && path.starts_with(*h));
            if !homes.iter().any(home) {
                at(
                    found.line,
                    format!("`{name}` is at home in {} only", homes.join(" and ")),
                );
            }
        }
        let epoch = path == EPOCH && found.text().ends_with("::UNIX_EPOCH");
        if path != CLOCK && !epoch && reads_clock(found, timer) {
            at(
                found.line,
                format!("only {CLOCK} reads a clock, not `{}` here", found.text()),
            );
        }
    }
}

/// Whether the path is a clock of the standard library or of a time crate. Tokio's own instant may set timers, and
/// `SystemTime` is also what a file says of its last change.
fn reads_clock(found: &Found, timer: bool) -> bool {
    const CLOCKS: &[&str] = &[
        "SystemTime::now",
        "SystemTime::UNIX_EPOCH",
        "time::UNIX_EPOCH",
        "std::time::Instant",
        "std::time::*",
        "Zoned::now",
        "Timestamp::now",
        "Utc::now",
        "Local::now",
    ];
    let text = format!("::{}::", found.text());
    let holds = |path: &str| text.contains(&format!("::{path}::"));
    CLOCKS.iter().any(|path| holds(path)) || (holds("Instant::now") && !timer)
}

#[derive(Debug)]
struct Token<'a> {
    text: &'a str,
    line: usize,
    /// How many inline `mod … { }` stand around it.
    modules: usize,
}

/// One path as written, `use` trees unfolded: `use a::{b, c::d}` gives `a::b` and `a::c::d`.
#[derive(Debug)]
struct Found<'a> {
    words: Vec<&'a str>,
    line: usize,
}

impl Found<'_> {
    fn first(&self, word: &str) -> bool {
        self.words.first() == Some(&word)
    }

    fn word(&self, index: usize) -> Option<&str> {
        self.words.get(index).copied()
    }

    fn text(&self) -> String {
        self.words.join("::")
    }
}

/// Identifiers, `::` and single characters; comments, strings, characters and lifetimes are left out.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut line = 1;
    let mut depth = 0_usize;
    let mut modules: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let skipped = skip(&bytes[at..]);
        if skipped > 0 {
            line += text[at..at + skipped].matches('\n').count();
            at += skipped;
            continue;
        }
        let length = match bytes[at] {
            b if word_byte(b) => bytes[at..].iter().take_while(|b| word_byte(**b)).count(),
            b':' if bytes.get(at + 1) == Some(&b':') => 2,
            _ => 1,
        };
        // A character outside ASCII can only stand in a comment or literal, which are skipped, or an identifier.
        let word = &text[at..at + length];
        if word == "{" {
            depth += 1;
            if tokens.iter().rev().nth(1).is_some_and(|t| t.text == "mod") {
                modules.push(depth);
            }
        } else if word == "}" {
            if modules.last() == Some(&depth) {
                modules.pop();
            }
            depth = depth.saturating_sub(1);
        }
        tokens.push(Token {
            text: word,
            line,
            modules: modules.len(),
        });
        at += length;
    }
    tokens
}

fn word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Length of the white space, comment or literal that begins here; 0 if there is none.
fn skip(rest: &[u8]) -> usize {
    let until = |end: &[u8], from: usize| {
        rest[from..]
            .windows(end.len())
            .position(|w| w == end)
            .map_or(rest.len(), |p| from + p + end.len())
    };
    match rest {
        [b, ..] if b.is_ascii_whitespace() => 1,
        [b'/', b'/', ..] => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => comment(rest),
        [b'"', ..] => 1 + string(&rest[1..]),
        [b'b' | b'c', b'"', ..] => 2 + string(&rest[2..]),
        [b'r', b'"' | b'#', ..] => raw(rest, 1).map_or(0, |(from, end)| until(&end, from)),
        [b'b' | b'c', b'r', b'"' | b'#', ..] => {
            raw(rest, 2).map_or(0, |(from, end)| until(&end, from))
        }
        [b'b', b'\'', ..] => 1 + character(&rest[1..]),
        [b'\'', ..] => character(rest),
        [b'0'..=b'9', ..] => rest.iter().take_while(|b| word_byte(**b)).count(),
        // The rest of an identifier must not be taken for the `r` or `b` of a literal.
        _ => 0,
    }
}

/// Comments nest.
fn comment(rest: &[u8]) -> usize {
    let (mut at, mut open) = (0, 0_usize);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (open, at) = (open + 1, at + 2),
            [b'*', b'/', ..] => (open, at) = (open - 1, at + 2),
            _ => at += 1,
        }
        if open == 0 {
            break;
        }
    }
    at
}

/// Length up to and with the closing quote.
fn string(rest: &[u8]) -> usize {
    let mut at = 0;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// Where a raw string's text begins and what ends it; nothing for a raw identifier.
fn raw(rest: &[u8], prefix: usize) -> Option<(usize, Vec<u8>)> {
    let hashes = rest[prefix..].iter().take_while(|b| **b == b'#').count();
    let from = prefix + hashes;
    let mut end = vec![b'"'];
    end.resize(1 + hashes, b'#');
    (rest.get(from) == Some(&b'"')).then_some((from + 1, end))
}

/// A character literal, or the quote and name of a lifetime.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        return rest[3..]
            .iter()
            .position(|b| *b == b'\'')
            .map_or(rest.len(), |p| p + 4);
    }
    let name = rest[1..].iter().take_while(|b| word_byte(**b)).count();
    match rest.get(1 + name) {
        Some(b'\'') if name > 0 => name + 2,
        _ if name == 0 && rest.get(2) == Some(&b'\'') => 3,
        _ => 1 + name,
    }
}

fn paths<'a>(tokens: &[Token<'a>]) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        // `use<…>` says what an `impl` captures.
        let captures = tokens.get(at + 1).is_some_and(|it| it.text == "<");
        if tokens[at].text == "use" && !captures {
            at = tree(tokens, at + 1, &[], &mut found);
        } else if word_byte(tokens[at].text.as_bytes()[0]) {
            at = inline(tokens, at, &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// A path outside a `use`: only those of two words and more say anything.
fn inline<'a>(tokens: &[Token<'a>], from: usize, found: &mut Vec<Found<'a>>) -> usize {
    let mut words = vec![tokens[from].text];
    let mut at = from + 1;
    while let [colons, word, ..] = &tokens[at.min(tokens.len())..] {
        if colons.text != "::" || !word_byte(word.text.as_bytes()[0]) {
            break;
        }
        words.push(word.text);
        at += 2;
    }
    if words.len() > 1 {
        found.push(Found {
            words,
            line: tokens[from].line,
        });
    }
    at
}

/// One branch of a `use` tree, from its first word to the `,`, `}` or `;` behind it.
fn tree<'a>(
    tokens: &[Token<'a>],
    from: usize,
    stem: &[&'a str],
    found: &mut Vec<Found<'a>>,
) -> usize {
    let mut words = stem.to_vec();
    let mut at = from;
    let mut leaf = true;
    while let Some(token) = tokens.get(at) {
        match token.text {
            "::" => at += 1,
            "{" => {
                leaf = false;
                if words == ["crate"] {
                    found.push(Found {
                        words: vec!["crate", "{"],
                        line: token.line,
                    });
                }
                at += 1;
                while tokens.get(at).is_some_and(|t| t.text != "}") {
                    at = tree(tokens, at, &words, found);
                    at += usize::from(tokens.get(at).is_some_and(|t| t.text == ","));
                }
                at += 1;
            }
            "as" => at += 2,
            "self" if !words.is_empty() => at += 1,
            "," | "}" | ";" => break,
            word => {
                words.push(word);
                at += 1;
            }
        }
    }
    if leaf && !words.is_empty() {
        found.push(Found {
            words,
            line: tokens[from].line,
        });
    }
    at
}

/// What the checker must refuse, and where; and what it must let pass.
mod checker {
    use super::check;

    #[track_caller]
    fn refused(path: &str, body: &str, line: usize, word: &str) {
        let wrong = check(path, &format!("//! Text.\n{body}"));
        let place = format!("src/{path}:{line}: ");
        let hit = wrong
            .iter()
            .any(|w| w.starts_with(&place) && w.contains(word));
        assert!(hit, "expected `{place}…{word}…`, got {wrong:#?}");
    }

    #[track_caller]
    fn passes(path: &str, body: &str) {
        let wrong = check(path, &format!("//! Text.\n{body}"));
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn refuses_edges_outside_the_table() {
        refused("model/id.rs", "use crate::store::Window;", 2, "store");
        refused(
            "store/a.rs",
            "\n\nfn f() { crate::engine::run() }",
            4,
            "engine",
        );
        refused("sink/a.rs", "use crate::source::Scrape;", 2, "source");
        refused("serve/a.rs", "fn f(x: &crate::sink::Ledger) {}", 2, "sink");
        refused("gate/a.rs", "pub use crate::rules::State;", 2, "rules");
        refused("engine/a.rs", "use crate::run;", 2, "run");
        refused("main.rs", "use gated::engine::Input;", 2, "engine");
        refused("store/a.rs", "use gated::model::Labels;", 2, "crate::");
        refused(
            "store/a.rs",
            "use crate::{\n    model::Labels,\n};",
            2,
            "group",
        );
        refused("store/a.rs", "use crate as root;", 2, "crate");
    }

    #[test]
    fn lets_edges_of_the_table_pass() {
        passes(
            "store/a.rs",
            "use crate::model::{Labels, Timestamp};\nuse crate::store::Window;",
        );
        passes(
            "serve/a.rs",
            "use crate::report::Day;\nuse crate::engine::Snapshot;",
        );
        passes(
            "run/live.rs",
            "use crate::sink::Ledger;\nuse crate::serve;\nuse crate::run::clock;",
        );
        passes("main.rs", "fn main() { gated::run::main() }");
        passes(
            "store/a.rs",
            "pub(crate) fn f() {}\npub(in crate::store) fn g() -> impl Fn() + use<> {}",
        );
    }

    #[test]
    fn refuses_rooms_and_files_it_does_not_know() {
        refused("helpers/mod.rs", "", 1, "missing from the import table");
        refused("util.rs", "", 1, "missing from the import table");
        assert!(
            !check("model/id.rs", "use std::fmt;").is_empty(),
            "no `//!`"
        );
    }

    #[test]
    fn refuses_ways_around_the_table() {
        refused(
            "store/a/b.rs",
            "use super::super::promql;",
            2,
            "super::super",
        );
        refused(
            "store/mod.rs",
            "use super::promql::Plan;",
            2,
            "leaves the room",
        );
        refused(
            "store/mod.rs",
            "mod a { }\nfn f() { super::promql::f() }",
            3,
            "leaves the room",
        );
        passes("store/mod.rs", "mod tests {\n    use super::*;\n}");
        passes(
            "store/a.rs",
            "use super::Window;\nmod tests { use super::Ring; }",
        );
    }

    #[test]
    fn refuses_impure_words_in_pure_rooms() {
        for word in ["tokio", "reqwest", "rusqlite", "tracing", "rand"] {
            refused("engine/a.rs", &format!("use {word}::thing;"), 2, word);
        }
        for word in ["fs", "net", "env", "thread", "process"] {
            refused(
                "rules/a.rs",
                &format!("fn f() {{ std::{word}::x() }}"),
                2,
                word,
            );
            refused(
                "rules/a.rs",
                &format!("use std::{{fmt, {word}::x}};"),
                2,
                word,
            );
            refused("rules/a.rs", &format!("use std::{word} as other;"), 2, word);
        }
        refused(
            "store/a.rs",
            "use std::time::{Duration, Instant};",
            2,
            "Instant",
        );
        refused("store/a.rs", "fn f(at: SystemTime) {}", 2, "SystemTime");
        refused("gate/a.rs", "use metrics::counter;", 2, "metrics");
        refused(
            "gate/a.rs",
            "fn f() { metrics::counter!(\"x\") }",
            2,
            "metrics",
        );
        refused("model/a.rs", "mod tests { use std::fs::read; }", 2, "fs");
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        passes(
            "engine/a.rs",
            "// tokio, Instant, crate::sink\n/* a /* tokio */ tokio */\n/// std::fs",
        );
        passes(
            "engine/a.rs",
            "const A: &str = \"tokio \\\" crate::sink // Instant\";",
        );
        passes(
            "engine/a.rs",
            "const A: &str = r#\"tokio \" Instant\"#; const B: &[u8] = b\"rand\";",
        );
        passes(
            "engine/a.rs",
            "fn f<'tokio>(a: &'tokio str) -> char { '\"' }",
        );
        passes(
            "engine/a.rs",
            "const Q: (char, char, u8) = ('\\'', '\\u{41}', b'\"');",
        );
        passes(
            "engine/a.rs",
            "fn f(metrics: u8, operand: u8, instant: u8) { let tokio_like = 1; }",
        );
        refused(
            "engine/a.rs",
            "const Q: char = '\"'; use tokio::x; const R: char = '\"';",
            2,
            "tokio",
        );
        refused(
            "engine/a.rs",
            "const Q: &str = \"\\\\\"; use tokio::x;",
            2,
            "tokio",
        );
        refused(
            "engine/a.rs",
            "const Q: &str = \"a\nb\";\nuse tokio::x;",
            4,
            "tokio",
        );
    }

    #[test]
    fn each_parser_has_one_home() {
        refused(
            "source/scrape.rs",
            "use prometheus_parse::Scrape;",
            2,
            "at home in",
        );
        refused(
            "promql/eval.rs",
            "fn f(e: promql_parser::parser::Expr) {}",
            2,
            "promql/parse.rs",
        );
        refused("serve/a.rs", "use toml::Value;", 2, "toml");
        refused(
            "run/live.rs",
            "use rusqlite::Connection;",
            2,
            "sink/ledger/",
        );
        refused("run/live.rs", "use clap::Parser;", 2, "run/cli.rs");
        refused("sink/a.rs", "use serde_saphyr as yaml;", 2, "serde_saphyr");
        refused(
            "run/a.rs",
            "use annotate_snippets::Renderer;",
            2,
            "runbook/fault.rs",
        );
        passes("sink/ledger/write.rs", "use rusqlite::Connection;");
        passes("promql/parse.rs", "use promql_parser::parser;");
        passes("run/cli.rs", "#[derive(clap::Parser)] struct Cli;");
    }

    #[test]
    fn one_file_reads_the_clock() {
        refused("run/live.rs", "fn f() { SystemTime::now(); }", 2, "clock");
        refused(
            "run/live.rs",
            "fn f() { std::time::UNIX_EPOCH.elapsed(); }",
            2,
            "clock",
        );
        refused("run/live.rs", "use std::time::*;", 2, "clock");
        refused(
            "promql/a.rs",
            "use std::time::{Duration, Instant as T};",
            2,
            "clock",
        );
        refused(
            "source/a.rs",
            "use std::time::{Duration, Instant};",
            2,
            "clock",
        );
        refused("source/a.rs", "fn f() { Instant::now(); }", 2, "clock");
        refused("sink/a.rs", "fn f() { jiff::Zoned::now(); }", 2, "clock");
        refused("model/a.rs", "fn f() { Timestamp::now(); }", 2, "clock");
        passes(
            "run/clock.rs",
            "use std::time::{Instant, SystemTime};\nfn f() { Instant::now(); }",
        );
        passes(
            "source/a.rs",
            "use tokio::time::{Instant, sleep};\nfn f() { Instant::now(); }",
        );
        passes("source/a.rs", "fn f() { tokio::time::Instant::now(); }");
        passes(
            "source/a.rs",
            "use std::time::SystemTime;\nfn f(changed: SystemTime) {}",
        );
        passes(
            "promql/a.rs",
            "enum Kind { Instant, Range }\nconst K: Kind = Kind::Instant;",
        );
    }

    #[test]
    fn nothing_is_unsafe() {
        refused("run/a.rs", "fn f() { unsafe { g() } }", 2, "unsafe");
        refused("main.rs", "#![allow(unsafe_code)]", 2, "unsafe_code");
    }
}
