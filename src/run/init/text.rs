//! The shipped files with answers put in; their comments stay where they are. A pure function of the answers.

use super::answers::Answers;
use super::answers::Start;

const CONFIG: &str = include_str!("../../../config/gated.toml");
const CONFIG_DAY1: &str = include_str!("../../../config/day1.toml");
const ROLLOUT: &str = include_str!("../../../rules/rollout.toml");
const DAY1: &str = include_str!("../../../rules/day1.toml");

/// The job by which the shipped rules know the service.
const JOB: &str = "job=\"api\"";

/// `gated.toml`.
pub fn config(answers: &Answers) -> String {
    let shipped = match answers.rules {
        Start::Rollout => CONFIG,
        Start::Day1 => CONFIG_DAY1,
    };
    let mut text = shipped.to_owned();
    put(&mut text, "[service]", "name", &string(&answers.service));
    put(
        &mut text,
        "[service]",
        "timezone",
        &string(answers.timezone.trim()),
    );
    put(&mut text, "[[scrape]]", "job", &string(&job(answers)));
    let metrics = format!("[{}]", string(answers.metrics.trim()));
    put(&mut text, "[[scrape]]", "targets", &metrics);
    if let Some(at) = answers.go_live {
        put(&mut text, "[rollout]", "go_live", &string(&at.to_string()));
    }
    if let Some(hook) = &answers.hook {
        put(&mut text, "[[webhook]]", "url", &string(hook.trim()));
    }
    if let Some(url) = &answers.alertmanager {
        let urls = format!("[{}]", string(url.trim()));
        put(&mut text, "[alertmanager]", "urls", &urls);
    }
    text
}

/// The rules: their file's name and text.
pub fn rules(answers: &Answers) -> (&'static str, String) {
    let (name, text) = match answers.rules {
        Start::Rollout => ("rollout.toml", ROLLOUT),
        Start::Day1 => ("day1.toml", DAY1),
    };
    let job = format!("job=\"{}\"", job(answers));
    (name, text.replace(JOB, &job))
}

/// The service's name where that can stand in an expression as it is; else the shipped one.
fn job(answers: &Answers) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let name = answers.service.trim();
    // Jobs of these names are gated's own.
    if name.chars().all(plain) && !["probe", "alertmanager"].contains(&name) {
        name.to_owned()
    } else {
        "api".to_owned()
    }
}

/// A TOML string that means just this: a basic one is written as JSON writes it, and `${` would read the environment.
fn string(text: &str) -> String {
    let text = text.trim().replace("${", "$${");
    serde_json::to_string(&text).expect("a string is JSON")
}

/// Replaces the value of the first such key below the first such header; what stands after it stays.
fn put(text: &mut String, header: &str, key: &str, value: &str) {
    let mut inside = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let bare = line.trim_end();
        if bare.starts_with('[') {
            inside = bare == header;
        }
        let after = line.strip_prefix(key).filter(|_| inside);
        let Some(rest) = after.and_then(|it| it.trim_start().strip_prefix('=')) else {
            continue;
        };
        let written = rest.trim_start();
        let from = start + line.len() - written.len();
        let to = from + length(written);
        text.replace_range(from..to, value);
        return;
    }
    unreachable!("the shipped configuration has `{key}` in {header}");
}

/// Of the value at the beginning of a line: up to the blanks before a comment, or to the line's end.
fn length(written: &str) -> usize {
    let mut quoted = false;
    let end = written.find(|c| {
        quoted ^= c == '"';
        c == '\n' || (c == '#' && !quoted)
    });
    written[..end.unwrap_or(written.len())].trim_end().len()
}
