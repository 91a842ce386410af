//! `[rollout]`, `[judging]`, `[rollback]`: what is judged, when, and what may come of it.

use std::time::Duration;

use super::nearest;
use crate::engine::{
    Judging, PredatesPolicy, Receiver, RollbackMode, RollbackPolicy, RolloutPolicy, ToldRollout,
    UnknownPast,
};
use crate::model::NoticeKind;
use crate::runbook::{Place, Reader, Section, Text};

/// Readings of every signal are kept for as long as this.
const PREDATES_MAX: Duration = Duration::from_secs(3600);

pub(super) fn rollout(root: &mut Section) -> RolloutPolicy {
    let mut policy = RolloutPolicy {
        told: None,
        version_from: None,
        go_live: None,
        baseline: Duration::from_secs(600),
    };
    let Some(mut section) = root.section("rollout") else {
        return policy;
    };
    let version = section.told("version");
    let previous = section.told("previous_version");
    let started_at = section.time("started_at");
    policy.told = version.map(|version| ToldRollout {
        version: version.value,
        previous_version: previous.map(|it| it.value),
        started_at,
    });
    policy.version_from = section.told("version_from").map(|it| {
        metric_name(section.reader, &it);
        it.value
    });
    policy.go_live = section.time("go_live");
    policy.baseline = section.duration("baseline").unwrap_or(policy.baseline);
    policy
}

fn metric_name(reader: &Reader, text: &Text) {
    let name = &text.value;
    let good = name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | ':'))
        && !name.contains(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | '"' | '('));
    if !good {
        let message = format!("`{}` is not a metric's name", text.shown());
        let help = "write the metric that carries a label `version`, such as \"app_build_info\"";
        reader.fault(&text.place, message, help);
    }
}

pub(super) fn judging(root: &mut Section) -> Judging {
    let mut judging = Judging::default();
    let Some(mut section) = root.section("judging") else {
        return judging;
    };
    judging.settle = section.duration("settle").unwrap_or(judging.settle);
    judging.hold_for = section.duration("hold_for").unwrap_or(judging.hold_for);
    judging.blind_after = section
        .duration("blind_after")
        .unwrap_or(judging.blind_after);
    let place = section.key_place("coverage");
    if let Some(coverage) = section.share("coverage") {
        judging.coverage = coverage.get();
        if !(0.0..=1.0).contains(&judging.coverage) {
            let message = format!("a coverage of {coverage} cannot be");
            section
                .reader
                .fault(&place, message, "write a share from 0% to 100%");
        }
    }
    judging
}

/// `[rollback]` as written, with the places that the checks against `[[webhook]]` point at.
pub(super) struct Written {
    policy: RollbackPolicy,
    /// Commands that may run.
    pub allowed: Vec<Text>,
    hook: Option<Text>,
    mode_place: Option<Place>,
    place: Place,
}

impl Written {
    pub fn hook(&self) -> Option<&str> {
        self.hook.as_ref().map(|it| it.value.as_str())
    }
}

pub(super) fn rollback(root: &mut Section) -> Option<Written> {
    let mut section = root.section("rollback")?;
    let mode_place = section.key_place("mode");
    let modes = [
        ("shadow", RollbackMode::Shadow),
        ("armed", RollbackMode::Armed),
    ];
    let mode = section.word("mode", &modes);
    let hook = section.told("hook");
    let allowed = section.texts("allow_commands");
    let unsaid = RollbackPolicy::default();
    let give_up_after = section.duration("give_up_after");
    let cooldown = section.duration("cooldown");
    let max_per_day = section.whole("max_per_day", 1..=1000);
    let veto = section.duration("veto").unwrap_or(unsaid.veto);
    let verify_within = section
        .duration("verify_within")
        .unwrap_or(unsaid.verify_within);
    let predates = predates(&mut section);
    Some(Written {
        policy: RollbackPolicy {
            mode: mode.unwrap_or(RollbackMode::Shadow),
            hook: hook.as_ref().map(|it| it.value.clone()),
            give_up_after: give_up_after.unwrap_or(unsaid.give_up_after),
            cooldown: cooldown.unwrap_or(unsaid.cooldown),
            max_per_day: max_per_day.map_or(unsaid.max_per_day, |it| {
                usize::try_from(it).unwrap_or(usize::MAX)
            }),
            predates,
            verify_within,
            veto,
        },
        allowed,
        hook,
        mode_place: mode.map(|_| mode_place),
        place: section.place.clone(),
    })
}

fn predates(section: &mut Section) -> PredatesPolicy {
    let unsaid = PredatesPolicy::default();
    let place = section.key_place("predates");
    let window = section.duration("predates").unwrap_or(unsaid.window);
    if window > PREDATES_MAX {
        let message = format!(
            "`predates` looks back {}",
            humantime::format_duration(window)
        );
        section
            .reader
            .fault(&place, message, "write \"1h\" at most");
    }
    let place = section.key_place("predates_margin");
    let margin = section.number("predates_margin").unwrap_or(unsaid.margin);
    if margin <= 1.0 {
        let message = format!("a margin of {margin} makes every symptom a worse one");
        section
            .reader
            .fault(&place, message, "write 2.0, or another factor above 1");
    }
    let answers = [
        ("allow", UnknownPast::Allow),
        ("refuse", UnknownPast::Refuse),
    ];
    PredatesPolicy {
        window,
        margin,
        unknown: section.word("predates_unknown", &answers),
    }
}

/// The policy, once its hook is known to be there, and the place where `[rollback]` stands.
pub(super) fn hooked(
    reader: &Reader,
    top: &Place,
    written: Option<Written>,
    hooks: &[Receiver],
) -> (RollbackPolicy, Place) {
    let Some(Written {
        policy,
        hook,
        mode_place,
        place,
        allowed: _,
    }) = written
    else {
        return (RollbackPolicy::default(), top.clone());
    };
    match &hook {
        Some(hook) if !hooks.iter().any(|it| it.name == hook.value) => {
            let message = format!("there is no [[webhook]] named `{}`", hook.shown());
            let help = match nearest(&hook.value, hooks.iter().map(|it| it.name.as_str())) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None => format!(
                    "write [[webhook]] with name = \"{}\" and its url",
                    hook.shown()
                ),
            };
            reader.missing(&hook.place, message, help);
        }
        Some(hook) => {
            let deaf =
                |it: &Receiver| it.name == hook.value && !it.takes(NoticeKind::RollbackRequested);
            if hooks.iter().any(deaf) {
                let message = format!(
                    "`{}` does not take `gated.rollback.requested`, which is all the hook gets",
                    hook.shown()
                );
                let help = "remove `events` from that [[webhook]]";
                reader.fault(&hook.place, message, help);
            }
        }
        None if policy.mode == RollbackMode::Armed => {
            let message = "rollbacks are armed, and there is no `hook` to send them to";
            let help = "write hook = \"NAME\" with the name of a [[webhook]]";
            reader.missing(mode_place.as_ref().unwrap_or(&place), message, help);
        }
        None => {}
    }
    (policy, place)
}
