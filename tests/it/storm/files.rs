//! The configuration in the storm, and what a reload may make of it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use gated::engine::{
    Alerting, Announcement, Judging, OnDoubt, People, PredatesPolicy, Receiver, RollbackMode,
    RollbackPolicy, RolloutPolicy, Settings, UnknownPast,
};
use gated::model::Severity;
use gated::runbook::{Rules, Source, load};

use super::dice::Dice;
use crate::world::level;

pub const HOOK: &str = "deployer";
/// Never taken away: somebody is always told.
pub const PEOPLE: &str = "people";
const CHAT: &str = "chat";

const RULES: &str = r#"
clock = "rollout"

[signals.errors]
title = "Error rate"
expr = 'sum(rate(requests_total{status=~"5.."}[15s])) / sum(rate(requests_total[15s]))'
unit = "ratio"
empty = 0

[signals.latency]
title = "Latency"
expr = 'max(latency_seconds)'
unit = "seconds"

[signals.tickets]
title = "Tickets"
expr = 'sum(support_tickets_open)'
unit = "count"

[[phase]]
name = "watch"
from = "0s"
until = "5m"
rollback = "armed"
gate = "amber"
checklist = ["The team is there"]

[phase.targets]
latency = "< 500ms"

[phase.expected]
tickets = "< 50"

[[phase.trigger]]
name = "errors"
when = "errors > 5%"
for = "5s"
do = "rollback"
severity = "P1"

[[phase.trigger]]
name = "slow"
when = "latency > 1s"
for = "10s"
do = "rollback"
severity = "P1"

[[phase.trigger]]
name = "slower"
when = "latency > 500ms"
for = "5s"
do = "escalate"
severity = "P3"

[[phase]]
name = "bake"
from = "5m"
until = "2h"
gate = "amber"

[[phase.trigger]]
name = "errors"
when = "errors > 5%"
for = "5s"
do = "rollback"
severity = "P1"
"#;

/// A rule group of Prometheus: with it gated notices that it slept.
const GROUP: &str = r"
groups:
  - name: storm
    interval: 15s
    rules:
      - alert: Slow
        expr: max(latency_seconds) > 1
        for: 15s
";

static PLAIN: LazyLock<Arc<Rules>> = LazyLock::new(|| rules(RULES, false));
static STRICT: LazyLock<Arc<Rules>> =
    LazyLock::new(|| rules(&RULES.replace("latency > 1s", "latency > 800ms"), false));
static GROUPED: LazyLock<Arc<Rules>> = LazyLock::new(|| rules(RULES, true));

fn rules(text: &str, grouped: bool) -> Arc<Rules> {
    let source = |path: &str, text: &str| Source {
        path: path.into(),
        text: text.into(),
    };
    let mut sources = vec![source("rules.toml", text)];
    if grouped {
        sources.push(source("rules.yml", GROUP));
    }
    Arc::new(load(&sources).unwrap_or_else(|faults| panic!("{}", faults.render(false))))
}

/// Who is called, for every severity: two levels, the second of them soon or late.
fn people(dice: &mut Dice) -> People {
    let mut people = People::default();
    let after = *dice.pick(&[10, 60]);
    for severity in Severity::ALL {
        let path = people.paths.of_mut(*severity);
        let mut first = level("on call", PEOPLE, 0);
        first.hooks.push(CHAT.into());
        path.levels = vec![first, level("lead", CHAT, after)];
        path.repeat = dice.one_in(2).then(|| Duration::from_secs(60));
    }
    people
}

/// What the files say when a seed begins.
pub fn first(dice: &mut Dice) -> Settings {
    let seconds = Duration::from_secs;
    let receiver = |name: &str, on_doubt, confirm_within| Receiver {
        name: name.into(),
        give_up_after: seconds(300),
        events: Vec::new(),
        on_doubt,
        confirm_within,
    };
    let on_doubt = *dice.pick(&[OnDoubt::Resend, OnDoubt::Hold]);
    let confirm = dice.one_in(4).then(|| seconds(20));
    Settings {
        service: "api".into(),
        environment: "production".into(),
        labels: [].into(),
        rules: Arc::clone(if dice.one_in(4) { &GROUPED } else { &PLAIN }),
        judging: Judging {
            settle: seconds(*dice.pick(&[0, 5])),
            hold_for: seconds(30),
            blind_after: seconds(20),
            coverage: 0.5,
        },
        rollback: RollbackPolicy {
            mode: RollbackMode::Armed,
            hook: Some(HOOK.into()),
            give_up_after: seconds(120),
            cooldown: seconds(*dice.pick(&[0, 0, 60])),
            max_per_day: *dice.pick(&[1, 5, 5]),
            predates: PredatesPolicy {
                window: seconds(*dice.pick(&[0, 60])),
                unknown: Some(UnknownPast::Allow),
                ..PredatesPolicy::default()
            },
            verify_within: seconds(*dice.pick(&[0, 30, 60])),
            veto: seconds(*dice.pick(&[0, 0, 15])),
        },
        rollout: RolloutPolicy {
            told: None,
            version_from: Some("app_build_info".into()),
            go_live: None,
            baseline: seconds(60),
        },
        receivers: vec![
            receiver(HOOK, on_doubt, confirm),
            receiver(PEOPLE, OnDoubt::Resend, None),
            receiver(CHAT, *dice.pick(&[OnDoubt::Resend, OnDoubt::Hold]), None),
        ],
        alerting: dice.one_in(4).then(|| Alerting {
            resend: seconds(60),
        }),
        people: people(dice),
        reports: Vec::new(),
        zone: jiff::tz::TimeZone::UTC,
        announcement: Some(Announcement {
            hooks: vec![PEOPLE.into()],
            text: "It is live\n\nTo all of you".into(),
            blanks: Vec::new(),
        }),
        alerts_repeat: seconds(3600),
        external_url: None,
        retain: None,
        preview: None,
    }
}

/// Somebody edits the files. `first` is what stands in the repository.
pub fn edited(first: &Settings, dice: &mut Dice) -> (Settings, &'static str) {
    let mut it = first.clone();
    let said = match dice.below(7) {
        0 => {
            it.rules = Arc::clone(&STRICT);
            "a threshold is lower"
        }
        1 => {
            it.rollback.veto = Duration::from_secs(*dice.pick(&[0, 10]));
            "the time for a veto is another"
        }
        2 => {
            it.rollback.mode = RollbackMode::Shadow;
            "rollbacks are in shadow mode"
        }
        3 => {
            it.receivers.retain(|it| it.name != HOOK);
            "the hook is gone"
        }
        4 => {
            it.receivers.retain(|it| it.name != CHAT);
            "the chat is gone"
        }
        5 => {
            it.judging.settle = Duration::from_secs(10);
            "settling takes longer"
        }
        _ => "all is as it was first",
    };
    (it, said)
}
