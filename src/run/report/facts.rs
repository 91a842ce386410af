//! The facts of a period, from what the ledger has, what the rules say, and what a running gated shows.

use std::collections::BTreeMap;

use super::Context;
use super::checklist::checklist;
use super::notes::notes;
use super::targets::targets;
use crate::engine::CriterionOutcome;
use crate::engine::Restored;
use crate::engine::Snapshot;
use crate::model::Minutes;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::report::Criterion;
use crate::report::Earlier;
use crate::report::Facts;
use crate::report::IncidentFact;
use crate::report::Kind;
use crate::report::PhaseFact;
use crate::report::SignalHistory;
use crate::report::UptimeBudget;
use crate::runbook::Rules;
use crate::runbook::UPTIME;

/// What is known of `[from, until)`; `known` has the minutes of it and of the period before.
pub(super) fn facts(
    context: &Context,
    kind: Kind,
    (from, until): (Timestamp, Timestamp),
    made_at: Timestamp,
    known: Restored,
    snapshot: Option<&Snapshot>,
) -> Facts {
    let Context { config, rules } = context;
    let zone = config.zone();
    let compared = crate::report::before((from, until), made_at, &zone);
    let (earlier_from, earlier_until) = compared.unwrap_or((from, from));
    let earlier = Earlier {
        from: earlier_from,
        until: earlier_until,
        signals: signals(rules, &known.minutes, earlier_from, from),
    };
    let checklist = checklist(context, &known, (from, until), made_at, snapshot);
    let notes = notes(&known, kind, (from, until), made_at);
    let mut minutes = known.minutes.iter();
    let uptime = minutes.find(|it| it.signal == UPTIME && !it.values.is_empty());
    let titles = titles(rules);
    let incidents = known.incidents.into_iter().map(|incident| IncidentFact {
        title: titles.get(&incident.signal).cloned().unwrap_or_default(),
        role: owner(snapshot, incident.id.as_str()),
        incident,
    });
    let runs = known.phase_runs.into_iter();
    let runs = runs.filter(|it| it.from < until && it.end.is_none_or(|(at, _)| at > from));
    let phases = runs.map(|run| {
        let title = rules.phases.iter().find(|it| it.name == run.phase);
        PhaseFact {
            title: title.map_or_else(|| run.phase.clone(), |it| it.title.clone()),
            run,
        }
    });
    let project = config.service.labels.get("project");
    Facts {
        kind,
        service: config.service.name.clone(),
        environment: config.service.environment.clone(),
        project: project.unwrap_or(&config.service.name).clone(),
        from,
        until,
        made_at,
        go_live: config.rollout.go_live,
        signals: signals(rules, &known.minutes, from, until),
        earlier: Some(earlier),
        targets: targets(context, (from, until), &known.minutes, &known.rollouts),
        incidents: incidents.collect(),
        decisions: known.decisions,
        phases: phases.collect(),
        checklist,
        notes,
        criteria: snapshot.map(criteria).unwrap_or_default(),
        acknowledge_within: Severity::ALL
            .iter()
            .map(|it| (*it, config.people.paths.of(*it).acknowledge_within))
            .collect(),
        uptime_budget: uptime
            .filter(|_| !rules.uptime.down.is_empty())
            .map(|minutes| budget(rules, minutes, until.min(made_at))),
        zone,
    }
}

fn titles(rules: &Rules) -> BTreeMap<String, String> {
    let titles = rules.signals.iter();
    titles
        .map(|it| (it.name.clone(), it.title.clone()))
        .collect()
}

fn signals(
    rules: &Rules,
    minutes: &[Minutes],
    from: Timestamp,
    until: Timestamp,
) -> Vec<SignalHistory> {
    let own = [(
        UPTIME.to_owned(),
        "Uptime".to_owned(),
        crate::model::Unit::Ratio,
    )];
    let named = rules.signals.iter();
    let named = named.map(|it| (it.name.clone(), it.title.clone(), it.unit));
    // Those that no template asks for stand there when there is something to tell.
    let told = |(name, ..): &(String, String, crate::model::Unit)| {
        crate::report::known(name).is_some() || is_known(minutes, name, from, until)
    };
    let all = own.into_iter().chain(named).filter(told);
    let histories = all.map(|(name, title, unit)| {
        let minutes = minutes.iter().find(|it| it.signal == name);
        let values = minutes.map_or(&[][..], |it| &it.values);
        // A minute is named after its end, and belongs to where it began.
        let within = values.iter().filter(|(at, _)| *at > from && *at <= until);
        let minute = std::time::Duration::from_secs(60);
        SignalHistory {
            minutes: within
                .map(|(at, value)| (*at - minute, Some(*value)))
                .collect(),
            unit: Some(unit),
            name,
            title,
        }
    });
    histories.collect()
}

/// Whether a signal has any reading in the period.
pub(super) fn is_known(
    minutes: &[Minutes],
    signal: &str,
    from: Timestamp,
    until: Timestamp,
) -> bool {
    let minutes = minutes.iter().find(|it| it.signal == signal);
    let mut values = minutes.into_iter().flat_map(|it| &it.values);
    values.any(|(at, _)| *at > from && *at <= until)
}

fn owner(snapshot: Option<&Snapshot>, incident: &str) -> Option<String> {
    let mut incidents = snapshot?.incidents.iter();
    let found = incidents.find(|it| it.incident.id.as_str() == incident)?;
    found.owner.clone()
}

fn criteria(snapshot: &Snapshot) -> Vec<Criterion> {
    let criteria = snapshot.criteria.iter().map(|it| Criterion {
        text: it.text.clone(),
        met: match it.outcome {
            CriterionOutcome::Met => Some(true),
            CriterionOutcome::NotMet(_) => Some(false),
            CriterionOutcome::Blocked(_) => None,
        },
        why: match it.outcome.earliest() {
            Some(at) => format!("{}; {at} at the earliest", it.why),
            None => it.why.clone(),
        },
    });
    criteria.collect()
}

/// What the objective left at the end of the period, of the minutes that were read.
fn budget(rules: &Rules, minutes: &Minutes, until: Timestamp) -> UptimeBudget {
    let uptime = &rules.uptime;
    let minute = std::time::Duration::from_secs(60);
    let from = until - uptime.over;
    let within = minutes
        .values
        .iter()
        .filter(|(at, _)| *at > from && *at <= until);
    let first = minutes.values.first().map_or(until, |(at, _)| *at - minute);
    let (mut known, mut down) = (0_u32, 0_u32);
    for (_, value) in within {
        known += 1;
        down += u32::from(*value < 1.0);
    }
    let seen = until.since(from.max(first));
    UptimeBudget {
        text: format!(
            "{}% over {}",
            uptime.objective * 100.0,
            humantime::format_duration(uptime.over)
        ),
        allowed: uptime.over.mul_f64(1.0 - uptime.objective),
        used: minute * down,
        unknown: seen.saturating_sub(minute * known),
    }
}
