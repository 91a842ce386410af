//! `gated check config | rules | metrics`: what does not parse (exit 1), and what parses and is likely not meant (a warning).
//! Deliberately absent: printing, and looking whether files that the configuration names exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::at_hand::read_page;
use super::config::{Config, Unread, read_config, read_rules, read_what_can_be};
use super::counted;
use crate::model::Timestamp;
use crate::runbook::{Env, Fault, Faults, Grade, GroupRuleKind, Known, Rules, load_knowing};
use crate::source::exposition::{Fate, Format, Limits, PageError, Reader};

/// A page is larger than any target's; more is not read.
pub const PAGE_BYTES_MAX: u64 = 1 << 30;

/// More faulty lines of a page are not listed: they are likely the same again.
const PAGE_FAULTS_MAX: usize = 20;

/// How a page is written is checked, not how much of it a target may send.
pub const UNLIMITED: Limits = Limits {
    samples: usize::MAX,
    labels: usize::MAX,
    label_name_bytes: usize::MAX,
    label_value_bytes: usize::MAX,
};

/// What a check says and how its process exits: 0 in order, 1 does not parse, 2 cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub text: String,
    pub code: u8,
}

impl Report {
    fn unread(error: &Unread) -> Self {
        Self {
            text: format!("error: {error}\n"),
            code: 2,
        }
    }

    fn refused(faults: &Faults, colour: bool) -> Self {
        let warnings = warned(faults);
        let mut count = counted(faults.faults.len() - warnings, "fault");
        if warnings > 0 {
            let _ = write!(count, ", {}", counted(warnings, "warning"));
        }
        let text = format!("{}\n\n{count}\n", faults.render(colour));
        Self { text, code: 1 }
    }
}

/// The configuration and, unless none are named, the rules beside it.
#[must_use]
pub fn config(config: &Path, rules: &[PathBuf], env: Env<'_>, colour: bool) -> Report {
    let source = match read_config(config) {
        Ok(source) => source,
        Err(error) => return Report::unread(&error),
    };
    let name = source.path.clone();
    let mut checked = match Config::load(source, env) {
        Ok(checked) => checked,
        Err(faults) => return Report::refused(&faults, colour),
    };
    let announcement = checked.announcement.as_mut();
    let announcement = announcement.map_or(Ok(()), super::config::Announcement::read);
    if let Err(text) = checked.templates(colour).map(drop).and(announcement) {
        return Report {
            text: format!("{text}\n"),
            code: 1,
        };
    }
    let mut text = warnings(&checked.warnings, colour);
    let mut found = checked.warnings.faults.len();
    let mut judged = "no rules beside it".to_owned();
    if !rules.is_empty() {
        let sources = match read_rules(rules) {
            Ok(sources) => sources,
            Err(error) => return Report::unread(&error),
        };
        match load_knowing(&sources, env, &checked.known()) {
            Ok((rules, lints)) => {
                let lints = checked.heeded(lints);
                text.push_str(&warnings(&lints, colour));
                for sentence in checked.lacks(&rules) {
                    let _ = writeln!(text, "warning: {sentence}\n");
                    found += 1;
                }
                found += lints.faults.len();
                judged = size(&rules);
            }
            Err(faults) => {
                let mut report = Report::refused(&faults, colour);
                report.text.insert_str(0, &text);
                return report;
            }
        }
    }
    for line in checked.calls_in_words() {
        let _ = writeln!(text, "{line}");
    }
    let mut jobs = counted(checked.scrapes.len(), "job");
    if !checked.sources.is_empty() {
        let _ = write!(jobs, ", {}", counted(checked.sources.len(), "source"));
    }
    let mut hooks = counted(checked.webhooks.len(), "webhook");
    if !checked.commands.is_empty() {
        let _ = write!(hooks, ", {}", counted(checked.commands.len(), "command"));
    }
    if !checked.mails.is_empty() {
        let _ = write!(hooks, ", {}", counted(checked.mails.len(), "mail"));
    }
    let _ = writeln!(
        text,
        "{name}: ok: {jobs}, {hooks}; {judged}; {}",
        counted(found, "warning")
    );
    Report { text, code: 0 }
}

/// Rules files and folders, by themselves or against a page of a target; with the configuration's scrape intervals
/// where there is one.
#[must_use]
pub fn rules(
    files: &[PathBuf],
    config: Option<&Path>,
    page: Option<&[u8]>,
    env: Env<'_>,
    colour: bool,
) -> Report {
    let (sources, unread) = read_what_can_be(files);
    let mut text = String::new();
    for error in &unread {
        let _ = writeln!(text, "error: {error}\n");
    }
    let mut code = if unread.is_empty() { 0 } else { 2 };
    let (mut known, unknown) = match config.map(|it| scraped(it, env)) {
        None => (Known::default(), None),
        Some(Ok((known, said))) => (known, said),
        Some(Err(error)) => {
            code = 2;
            let _ = writeln!(text, "error: {error}\n");
            (Known::default(), None)
        }
    };
    let page = page.map(|page| read_page(page, format_of(page)));
    match &page {
        Some(Ok(page)) => known.page = Some(page),
        Some(Err(error)) => {
            code = 2;
            let _ = writeln!(text, "error: the page cannot be read: {error}\n");
        }
        None => {}
    }
    match load_knowing(&sources, env, &known) {
        Ok((rules, lints)) => {
            text.push_str(&warnings(&lints, colour));
            if let Some(unknown) = &unknown {
                let _ = writeln!(text, "warning: {unknown}\n");
            }
            let names: Vec<&str> = sources.iter().map(|it| it.path.as_str()).collect();
            let found = lints.faults.len() + usize::from(unknown.is_some());
            let found = counted(found, "warning");
            if !names.is_empty() {
                let checked = match names.len() {
                    0..=3 => names.join(", "),
                    many => format!("{many} files"),
                };
                let _ = writeln!(text, "{checked}: ok: {}; {found}", size(&rules));
            }
            Report { text, code }
        }
        Err(faults) => {
            let mut report = Report::refused(&faults, colour);
            report.text.insert_str(0, &text);
            report.code = report.code.max(code);
            report
        }
    }
}

/// What a configuration says of scrapes; a sentence where it is faulty, since the rules are what is checked.
fn scraped(config: &Path, env: Env<'_>) -> Result<(Known<'static>, Option<String>), Unread> {
    let source = read_config(config)?;
    Ok(match Config::load(source, env) {
        Ok(config) => (config.known(), None),
        Err(faults) => {
            let sentence = format!(
                "{} has {}, so no scrape interval is known: gated check config shows them",
                config.display(),
                counted(faults.faults.len() - warned(&faults), "fault")
            );
            (Known::default(), Some(sentence))
        }
    })
}

/// How a page is written, as its last line says.
#[must_use]
pub fn format_of(page: &[u8]) -> Format {
    if page.trim_ascii_end().ends_with(b"# EOF") {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

/// One page of exposition text.
#[must_use]
pub fn metrics(format: Format, body: &[u8]) -> Report {
    let mut names = BTreeSet::new();
    let mut series = 0;
    let outcome =
        Reader::new(UNLIMITED).read(body, format, Timestamp::EPOCH, false, &mut |labels| {
            names.insert(labels.name().to_owned());
            series += 1;
            Fate::Unwanted
        });
    let duplicates = match outcome {
        Ok((_, seen)) => seen.duplicates,
        Err(error) => return page_faults(body, format, error),
    };
    let mut lints = page_lints(&String::from_utf8_lossy(body), &names);
    if duplicates > 0 {
        let repeated = counted(duplicates as usize, "line");
        lints.push(format!(
            "{repeated} repeat a series of the same page: the first counts"
        ));
    }
    let mut text = String::new();
    for lint in &lints {
        let _ = writeln!(text, "warning: {lint}");
    }
    let found = counted(lints.len(), "warning");
    let _ = writeln!(
        text,
        "ok: {series} series of {}; {found}",
        counted(names.len(), "metric")
    );
    Report { text, code: 0 }
}

/// Every faulty line: the page is read again without those already found.
fn page_faults(body: &[u8], format: Format, first: PageError) -> Report {
    let mut lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
    let mut numbers: Vec<usize> = (1..=lines.len()).collect();
    let mut text = String::new();
    let mut faults = 0;
    let mut next = Some(first);
    while let Some(error) = next.take() {
        let (PageError::Malformed { line, .. } | PageError::LabelLimit { line, .. }) = &error
        else {
            let _ = writeln!(text, "error: {error}");
            break;
        };
        let at = (*line as usize).saturating_sub(1);
        let original = numbers.get(at).copied().unwrap_or(*line as usize);
        let what = error.to_string();
        let what = what.split_once(": ").map_or("", |it| it.1);
        let _ = writeln!(text, "error: line {original}: {what}");
        faults += 1;
        // The last line's fault may be that a line is missing after it.
        if at + 1 >= lines.len() || faults == PAGE_FAULTS_MAX {
            break;
        }
        lines.remove(at);
        numbers.remove(at);
        let mut reader = Reader::new(UNLIMITED);
        let outcome = reader.read(
            &lines.concat(),
            format,
            Timestamp::EPOCH,
            false,
            &mut |_| Fate::Unwanted,
        );
        next = outcome.err();
    }
    let capped = if faults == PAGE_FAULTS_MAX {
        " or more"
    } else {
        ""
    };
    let _ = writeln!(
        text,
        "\n{}{capped}: one is enough for a scrape of this page to fail",
        counted(faults, "faulty line")
    );
    Report { text, code: 1 }
}

/// Metrics without a type or a help text, and counters whose name does not say so.
fn page_lints(page: &str, names: &BTreeSet<String>) -> Vec<String> {
    let mut kinds = BTreeMap::new();
    let mut helped = BTreeSet::new();
    for line in page.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                kinds.insert(name, kind.trim());
            }
            (Some("#"), Some("HELP"), Some(name), _) => {
                helped.insert(name);
            }
            _ => {}
        }
    }
    let family = |name: &str| {
        let endings = [
            "", "_bucket", "_sum", "_count", "_total", "_created", "_info",
        ];
        let mut stems = endings.iter().filter_map(|it| name.strip_suffix(it));
        stems
            .find(|it| kinds.contains_key(it))
            .unwrap_or(name)
            .to_owned()
    };
    let families: BTreeSet<String> = names.iter().map(|it| family(it)).collect();
    let mut lints = Vec::new();
    for family in &families {
        match kinds.get(family.as_str()) {
            None => lints.push(format!("{family} has no # TYPE")),
            Some(&"counter") => {
                let total = format!("{family}_total");
                if !family.ends_with("_total") && !names.contains(&total) {
                    lints.push(format!("counter {family} should end in _total"));
                }
            }
            Some(_) => {}
        }
        if !helped.contains(family.as_str()) {
            lints.push(format!("{family} has no # HELP"));
        }
    }
    lints
}

fn warned(faults: &Faults) -> usize {
    let warned = |it: &&Fault| it.grade == Grade::Warning;
    faults.faults.iter().filter(warned).count()
}

fn warnings(faults: &Faults, colour: bool) -> String {
    if faults.is_empty() {
        String::new()
    } else {
        format!("{}\n\n", faults.render(colour))
    }
}

fn size(rules: &Rules) -> String {
    let signals = counted(rules.signals.len(), "signal");
    let triggers = rules.phases.iter().map(|it| it.triggers.len()).sum();
    let phases = counted(rules.phases.len(), "phase");
    let mut size = format!("{signals}, {phases}, {}", counted(triggers, "trigger"));
    if !rules.groups.is_empty() {
        let all = || rules.groups.iter().flat_map(|group| &group.rules);
        let alerts = all().filter(|rule| matches!(rule.kind, GroupRuleKind::Alert(_)));
        let alerts = alerts.count();
        let _ = write!(
            size,
            "; {}, {}, {}",
            counted(rules.groups.len(), "group"),
            counted(alerts, "alerting rule"),
            counted(all().count() - alerts, "recording rule")
        );
    }
    size
}
