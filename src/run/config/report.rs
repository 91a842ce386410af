//! `[[report]]`: what is reported when, where it is kept and who is told.

use std::path::PathBuf;

use crate::engine::{Receiver, ReportPlan};
use crate::model::calendar::TimeOfDay;
use crate::report::Kind;
use crate::runbook::{Place, Section, weekdays};

use super::nearest;

/// `[[report]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportConfig {
    pub plan: ReportPlan,
    /// Made where it is missing.
    pub folder: Option<PathBuf>,
}

/// When each is sent unless somebody says: the runbook's own times, and Friday for the week.
fn usual(kind: Kind) -> (&'static str, Vec<jiff::civil::Weekday>) {
    match kind {
        Kind::Day => ("20:00", Vec::new()),
        Kind::Status => ("17:00", Vec::new()),
        Kind::Week => ("16:00", vec![jiff::civil::Weekday::Friday]),
        Kind::Hypercare => ("09:00", Vec::new()),
    }
}

pub(super) fn reports(
    root: &mut Section,
    receivers: &[Receiver],
    rollback: Option<&str>,
) -> Vec<ReportConfig> {
    let mut reports: Vec<(ReportConfig, Place)> = Vec::new();
    for section in root.sections("report") {
        let place = section.place.clone();
        let Some(report) = report(section, receivers, rollback) else {
            continue;
        };
        let kind = report.plan.kind;
        if let Some((_, first)) = reports.iter().find(|(it, _)| it.plan.kind == kind) {
            let message = format!(
                "the {} report is made once a day, and stands twice",
                kind.word()
            );
            let help = "keep one: its folder and all of its hooks may stand in it";
            root.reader
                .clash(&place, message, help, first, "first here");
        }
        reports.push((report, place));
    }
    reports.into_iter().map(|(it, _)| it).collect()
}

fn report(
    mut section: Section,
    receivers: &[Receiver],
    rollback: Option<&str>,
) -> Option<ReportConfig> {
    let reader = section.reader;
    let place = section.place.clone();
    let kinds: Vec<(&str, Kind)> = Kind::ALL.iter().map(|it| (it.word(), *it)).collect();
    if !section.has("kind") {
        let help = "write kind = \"day\", \"status\", \"week\" or \"hypercare\"";
        reader.missing(&place, "`kind` is missing in [[report]]", help);
    }
    let kind = section.word("kind", &kinds);
    let (usual_at, usual_on) = usual(kind.unwrap_or(Kind::Day));
    let said = section.has("on");
    let on = weekdays(&mut section);
    let on = if said { on } else { usual_on };
    let at = section.text("at");
    let time = at.as_ref().map_or(usual_at, |it| it.value.as_str());
    let due = TimeOfDay::new(time, on);
    if let (None, Some(at)) = (&due, &at) {
        let message = format!("`{}` is no time of day", at.shown());
        let help = "write at = \"20:00\", in the time zone of [service]";
        reader.fault(&at.place, message, help);
    }
    let folder = section.told("folder").map(|it| PathBuf::from(it.value));
    let mut hooks = Vec::new();
    let texts = section.texts("hooks");
    let names_hooks = !texts.is_empty();
    for text in texts {
        let known = receivers.iter().map(|it| it.name.as_str());
        if Some(text.value.as_str()) == rollback {
            let message = format!(
                "`{}` is the rollback hook: it hears of rollbacks alone",
                text.shown()
            );
            reader.fault(&text.place, message, "name another [[webhook]]");
        } else if known.clone().any(|it| it == text.value) {
            hooks.push(text.value);
        } else {
            let message = format!("there is no [[webhook]] `{}`", text.shown());
            let help = match nearest(&text.value, known) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None => "write a [[webhook]] with that name".to_owned(),
            };
            reader.missing(&text.place, message, help);
        }
    }
    if folder.is_none() && !names_hooks {
        let message = "nobody would see this report";
        let help = "write folder = \"reports\", or hooks = [\"…\"]";
        reader.missing(&place, message, help);
    }
    let plan = ReportPlan {
        kind: kind?,
        due: due?,
        hooks,
    };
    Some(ReportConfig { plan, folder })
}
