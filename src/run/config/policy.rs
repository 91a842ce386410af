//! `[rollout]`, `[judging]`, `[rollback]`: what is judged, when, and what may come of it.

use std::time::Duration;

use super::nearest;
use crate::engine::{Judging, Receiver, RollbackMode, RollbackPolicy, RolloutPolicy, ToldRollout};
use crate::model::NoticeKind;
use crate::runbook::{Place, Reader, Section, Text};

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
    for guard in ["predates", "veto"] {
        let place = section.key_place(guard);
        if section.duration(guard).is_some_and(|it| !it.is_zero()) {
            not_enforced(
                section.reader,
                &place,
                guard,
                "write \"0s\", or rely on nothing here",
            );
        }
    }
    let place = section.key_place("verify_within");
    if section.duration("verify_within").is_some() {
        not_enforced(section.reader, &place, "verify_within", "");
    }
    let place = section.key_place("predates_margin");
    if section.number("predates_margin").is_some() {
        not_enforced(section.reader, &place, "predates_margin", "");
    }
    let place = section.key_place("predates_unknown");
    let answers = [("allow", ()), ("refuse", ())];
    if section.word("predates_unknown", &answers).is_some() {
        not_enforced(section.reader, &place, "predates_unknown", "");
    }
    Some(Written {
        policy: RollbackPolicy {
            mode: mode.unwrap_or(RollbackMode::Shadow),
            hook: hook.as_ref().map(|it| it.value.clone()),
            give_up_after: give_up_after.unwrap_or(unsaid.give_up_after),
            cooldown: cooldown.unwrap_or(unsaid.cooldown),
            max_per_day: max_per_day.map_or(unsaid.max_per_day, |it| {
                usize::try_from(it).unwrap_or(usize::MAX)
            }),
        },
        allowed,
        hook,
        mode_place: mode.map(|_| mode_place),
        place: section.place.clone(),
    })
}

/// A guard that people think they have and have not is worse than none.
fn not_enforced(reader: &Reader, place: &Place, key: &str, help: &str) {
    reader.warn(
        place,
        format!("`{key}` is not enforced by this version"),
        help,
    );
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
