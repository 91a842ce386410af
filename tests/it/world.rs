//! A small world for the engine: instances of a service whose counters the test moves, stamped inputs, effects kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gated::engine::{
    Alerting, Attempted, Call, Columns, Effect, Engine, Event, Input, Judging, OnDoubt, People,
    PredatesPolicy, Receiver, Record, Restored, RollbackMode, RollbackPolicy, RolloutPolicy,
    Scrape, ScrapeError, ScrapeFault, Settings, Snapshot, TargetInfo, UnknownPast, VerdictState,
};
use gated::incident::Level;
use gated::model::{
    Decision, DeliveryKey, Labels, Minute, Minutes, NoticeKind, PhaseRun, Severity, Slot, TargetId,
    Timestamp,
};
use gated::runbook::{Source, load};

pub const INTERVAL: Duration = Duration::from_secs(5);

/// 2026-01-01T00:00:00Z, so that go-lives and Unix times look like themselves.
pub const START: i64 = 1_767_225_600_000;

/// Error rate and latency over 15 s, armed for twenty minutes after a rollout, then bake.
pub const RULES: &str = r#"
clock = "rollout"

[signals.error_rate]
title = "Error rate"
expr = 'sum(rate(http_requests_total{status=~"5.."}[15s])) / sum(rate(http_requests_total[15s]))'
unit = "ratio"
empty = 0
enough = 'sum(increase(http_requests_total[15s])) >= 100'

[signals.throughput]
title = "Throughput"
expr = 'sum(rate(http_requests_total[15s]))'
unit = "per_second"

[[phase]]
name = "watch"
from = "0s"
until = "20m"
rollback = "armed"
gate = "amber"

[phase.targets]
error_rate = "< 0.5%"

[[phase.trigger]]
name = "errors"
when = "error_rate > 1%"
for = "30s"
do = "rollback"
severity = "P1"

[[phase]]
name = "bake"
from = "20m"
until = "2h"
gate = "amber"

[[phase.trigger]]
name = "errors"
when = "error_rate > 1%"
for = "30s"
do = "escalate"
severity = "P1"
"#;

/// Prometheus' rule groups of a text.
pub fn groups(text: &str) -> Vec<gated::runbook::RuleGroup> {
    let source = Source {
        path: "rules.yml".into(),
        text: text.into(),
    };
    let rules = load(&[source]).unwrap_or_else(|faults| panic!("{}", faults.render(false)));
    rules.groups
}

pub fn settings(rules: &str) -> Settings {
    let source = Source {
        path: "rules.toml".into(),
        text: rules.into(),
    };
    let rules = load(&[source]).unwrap_or_else(|faults| panic!("{}", faults.render(false)));
    let receiver = |name: &str| Receiver {
        name: name.into(),
        give_up_after: Duration::from_secs(86_400),
        events: Vec::new(),
        on_doubt: OnDoubt::Resend,
        confirm_within: None,
    };
    Settings {
        service: "api".into(),
        environment: "production".into(),
        labels: [("owner".to_owned(), "team-api".to_owned())].into(),
        rules: Arc::new(rules),
        judging: Judging::default(),
        rollback: RollbackPolicy {
            mode: RollbackMode::Armed,
            hook: Some("deployer".into()),
            // Most worlds are young when their rollout begins; `predates.rs` lets them grow old.
            predates: PredatesPolicy {
                unknown: Some(UnknownPast::Allow),
                ..PredatesPolicy::default()
            },
            ..RollbackPolicy::default()
        },
        rollout: RolloutPolicy {
            told: None,
            version_from: Some("app_build_info".into()),
            go_live: None,
            baseline: Duration::from_secs(600),
        },
        receivers: vec![receiver("deployer"), receiver("people")],
        people: everybody(),
        alerting: Some(Alerting {
            resend: Duration::from_secs(60),
        }),
        external_url: Some("http://gated.example".into()),
        retain: None,
        reports: Vec::new(),
        zone: jiff::tz::TimeZone::UTC,
        announcement: None,
        alerts_repeat: Duration::from_secs(240),
        preview: None,
    }
}

/// For every severity `people` are called at once, and once.
fn everybody() -> People {
    let mut people = People::default();
    for severity in Severity::ALL {
        people.paths.of_mut(*severity).levels = vec![level("on-call engineer", "people", 0)];
    }
    people
}

/// A step of an escalation path, `after` in seconds.
pub fn level(role: &str, hook: &str, after: u64) -> Level {
    Level {
        role: role.into(),
        hooks: vec![hook.into()],
        after: Duration::from_secs(after),
    }
}

/// One instance's counters.
#[derive(Clone, Debug)]
pub struct Instance {
    pub version: &'static str,
    pub ok: f64,
    pub bad: f64,
    /// Requests in each interval.
    pub traffic: f64,
    /// Share of them that fails.
    pub errors: f64,
    /// Its scrapes fail.
    pub down: bool,
}

pub struct World {
    pub engine: Engine,
    pub now: i64,
    pub instances: Vec<Instance>,
    /// Everything that came out, with its stamp.
    pub effects: Vec<(Timestamp, Effect)>,
    /// Inputs as they went in: what a replay takes.
    pub inputs: Vec<(Timestamp, Input)>,
    slots: BTreeMap<u32, Vec<Labels>>,
}

impl World {
    pub fn new(settings: Settings) -> Self {
        Self::restored(settings, Restored::default(), START)
    }

    pub fn restored(settings: Settings, restored: Restored, now: i64) -> Self {
        let mut out = Vec::new();
        let at = Timestamp::from_millis(now);
        let engine = Engine::new(Arc::new(settings), restored, at, &mut out);
        let mut world = Self {
            engine,
            now,
            instances: Vec::new(),
            effects: out.into_iter().map(|effect| (at, effect)).collect(),
            inputs: Vec::new(),
            slots: BTreeMap::new(),
        };
        for id in 0..3 {
            world.instances.push(Instance {
                version: "1.0.0",
                ok: 0.0,
                bad: 0.0,
                traffic: 100.0,
                errors: 0.0,
                down: false,
            });
            let instance = format!("10.0.0.{id}:80");
            world.input(Input::Target(TargetInfo {
                id: TargetId(id),
                job: "api".into(),
                instance: instance.clone(),
                url: format!("http://{instance}/metrics"),
                labels: Labels::new([("job", "api"), ("instance", &instance)]),
                interval: INTERVAL,
                timeout: INTERVAL,
            }));
        }
        world
    }

    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    pub fn input(&mut self, input: Input) {
        let (at, mut out) = (self.at(), Vec::new());
        self.inputs.push((at, input.clone()));
        self.engine.apply(at, input, &mut out);
        self.effects
            .extend(out.into_iter().map(|effect| (at, effect)));
        self.now += 1;
    }

    /// One interval: every instance's scrape lands, then the clock goes on and deadlines fire.
    pub fn round(&mut self) {
        let begin = self.now;
        for id in 0..self.instances.len() {
            self.scrape(id);
        }
        self.advance_to(begin + 5000);
    }

    pub fn advance_to(&mut self, now: i64) {
        let mut out = Vec::new();
        let to = Timestamp::from_millis(now - 1);
        self.engine.advance(to, &mut out);
        self.effects
            .extend(out.into_iter().map(|effect| (to, effect)));
        self.now = now;
    }

    pub fn rounds(&mut self, seconds: i64) {
        for _ in 0..seconds / 5 {
            self.round();
        }
    }

    pub fn scrape(&mut self, id: usize) {
        let it = &mut self.instances[id];
        it.ok += it.traffic * (1.0 - it.errors);
        it.bad += it.traffic * it.errors;
        let target = TargetId(id as u32);
        let outcome = if it.down {
            Err(ScrapeError {
                fault: ScrapeFault::ConnectRefused,
                text: "refused".into(),
            })
        } else {
            let instance = format!("10.0.0.{id}:80");
            let series = |name: &str, label: (&str, &str)| {
                Labels::new([
                    ("__name__", name),
                    ("job", "api"),
                    ("instance", &instance),
                    label,
                ])
            };
            let mut page = vec![
                (series("http_requests_total", ("status", "200")), it.ok),
                (series("app_build_info", ("version", it.version)), 1.0),
            ];
            if it.bad > 0.0 {
                page.push((series("http_requests_total", ("status", "500")), it.bad));
            }
            Ok(columns(self.slots.entry(target.0).or_default(), &page))
        };
        let at = self.at();
        self.input(Input::Scraped(Scrape {
            target,
            at,
            duration: Duration::from_millis(1),
            outcome,
        }));
    }

    /// Restarts every instance with a version: counters from zero, as a rollout does.
    pub fn deploy(&mut self, version: &'static str, errors: f64) {
        for it in &mut self.instances {
            (it.version, it.errors, it.ok, it.bad) = (version, errors, 0.0, 0.0);
        }
    }

    pub fn tell(&mut self, version: &str, irreversible: bool) {
        self.tell_of(version, None, irreversible);
    }

    /// Somebody says what is going live, and what it replaces.
    pub fn tell_of(&mut self, version: &str, previous: Option<&str>, irreversible: bool) {
        self.input(Input::Operator {
            token: 1,
            call: Call::StartRollout {
                id: None,
                version: version.into(),
                previous_version: previous.map(str::to_owned),
                started_at: None,
                irreversible,
            },
        });
    }

    pub fn answer(&mut self, key: &DeliveryKey, status: u16) {
        let outcome = Attempted::Answered {
            status,
            retry_after: None,
        };
        self.input(Input::Attempted {
            key: key.clone(),
            outcome,
        });
    }

    pub fn snapshot(&self) -> Snapshot {
        self.engine.snapshot(self.at())
    }

    pub fn verdict(&self) -> Arc<VerdictState> {
        self.snapshot().verdict
    }

    pub fn records(&self) -> Vec<Record> {
        let record = |(_, effect): &(Timestamp, Effect)| match effect {
            Effect::Record(record) => Some(record.clone()),
            _ => None,
        };
        self.effects.iter().filter_map(record).collect()
    }

    /// Decisions as recorded: (action, refused by, trigger).
    pub fn decisions(&self) -> Vec<Decision> {
        let decision = |record| match record {
            Record::Decision(decision) => Some(*decision),
            _ => None,
        };
        self.records().into_iter().filter_map(decision).collect()
    }

    /// `rollback errors`, `escalate errors (not_armed)` …
    pub fn decided(&self) -> Vec<String> {
        let text = |it: Decision| {
            let refused = it
                .refused_by
                .map_or_else(String::new, |guard| format!(" ({guard})"));
            format!("{} {}{refused}", it.action, it.trigger)
        };
        self.decisions().into_iter().map(text).collect()
    }

    /// Every attempt that was begun: receiver and key.
    pub fn sent(&self) -> Vec<(String, DeliveryKey)> {
        let sent = |(_, effect): &(Timestamp, Effect)| match effect {
            Effect::Send { key, receiver, .. } => Some((receiver.clone(), key.clone())),
            _ => None,
        };
        self.effects.iter().filter_map(sent).collect()
    }

    pub fn sent_to(&self, receiver: &str) -> Vec<DeliveryKey> {
        let to = self.sent().into_iter().filter(|(name, _)| name == receiver);
        to.map(|(_, key)| key).collect()
    }

    pub fn owed(&self) -> Vec<(String, NoticeKind)> {
        let owed = |record| match record {
            Record::Owed(delivery, notice) => Some((delivery.receiver.clone(), notice.kind)),
            _ => None,
        };
        self.records().into_iter().filter_map(owed).collect()
    }

    pub fn told(&self, is: impl Fn(&Event) -> bool) -> usize {
        let told =
            |(_, effect): &&(Timestamp, Effect)| matches!(effect, Effect::Tell(event) if is(event));
        self.effects.iter().filter(told).count()
    }

    /// What a ledger that took every record would remember.
    pub fn ledger(&self) -> Restored {
        let mut restored = Restored::default();
        for record in self.records() {
            match record {
                Record::Rollout(it) => {
                    restored.rollouts.retain(|known| known.id != it.id);
                    restored.rollouts.push(it);
                }
                Record::Decision(it) => restored.decisions.push(*it),
                Record::Owed(it, _) => restored.deliveries.push(*it),
                Record::Delivery(it) => {
                    restored.deliveries.retain(|known| known.key != it.key);
                    restored.deliveries.push(*it);
                }
                Record::Incident(it) => {
                    restored.incidents.retain(|known| known.id != it.id);
                    restored.incidents.push(*it);
                }
                Record::PhaseRun(it) => {
                    let same =
                        |known: &PhaseRun| (&known.phase, known.from) == (&it.phase, it.from);
                    match restored.phase_runs.iter_mut().find(|known| same(known)) {
                        Some(known) => *known = it,
                        None => restored.phase_runs.push(it),
                    }
                }
                Record::Observation(it) => {
                    restored
                        .observations
                        .retain(|known| known.labels != it.labels);
                    restored.observations.push(it);
                }
                Record::Attestation(it) => restored.attestations.push(it),
                Record::Minute(it) => remember_minute(&mut restored.minutes, it),
                Record::Trigger(it) => restored.triggers.push(it),
                Record::Alert(it) => {
                    let same = |known: &gated::engine::RestoredAlert| {
                        (&known.rule, &known.labels) == (&it.rule, &it.labels)
                    };
                    restored.alerts.retain(|known| !same(known));
                    restored.alerts.push(it);
                }
                Record::AlertGone(it) => restored
                    .alerts
                    .retain(|known| (&known.rule, &known.labels) != (&it.rule, &it.labels)),
                Record::AlertsSeen(it) => {
                    let same = |known: &gated::engine::RestoredGroup| {
                        (&known.group, &known.file) == (&it.group, &it.file)
                    };
                    restored.groups.retain(|known| !same(known));
                    restored.groups.push(it);
                }
                Record::Audit(it) => restored.audit.push(*it),
                Record::Verification(it) => {
                    let other = |known: &gated::model::Verification| known.decision != it.decision;
                    restored.verifications.retain(other);
                    restored.verifications.push(it);
                }
                Record::TriggerGone { name, series } => {
                    restored
                        .triggers
                        .retain(|known| (&known.name, &known.series) != (&name, &series));
                }
            }
        }
        restored
    }
}

/// The minutes of each signal, by name, as a restart reads them.
pub fn remember_minute(all: &mut Vec<Minutes>, it: Minute) {
    for (signal, value) in it.values {
        let place = all.partition_point(|known| known.signal < signal);
        if all.get(place).is_none_or(|known| known.signal != signal) {
            let values = Vec::new();
            all.insert(
                place,
                Minutes {
                    signal: signal.clone(),
                    since: it.at,
                    until: it.at,
                    values,
                },
            );
        }
        let known = &mut all[place];
        (known.since, known.until) = (known.since.min(it.at), known.until.max(it.at));
        let values = &mut known.values;
        let place = values.partition_point(|(at, _)| *at < it.at);
        match values.get_mut(place) {
            Some(known) if known.0 == it.at => known.1 = value,
            _ => values.insert(place, (it.at, value)),
        }
    }
}

/// What a source makes of a page: the slots it had, born and gone.
pub fn columns(slots: &mut Vec<Labels>, page: &[(Labels, f64)]) -> Columns {
    let mut columns = Columns {
        samples_scraped: page.len() as u32,
        samples_kept: page.len() as u32,
        ..Columns::default()
    };
    for (slot, known) in slots.iter_mut().enumerate() {
        if !known.is_empty() && !page.iter().any(|(labels, _)| labels == known) {
            columns.gone.push(Slot(slot as u32));
            *known = Labels::empty();
        }
    }
    for (labels, _) in page {
        if !slots.contains(labels) {
            let free = slots.iter().position(Labels::is_empty);
            let slot = free.unwrap_or(slots.len());
            slots.resize(slots.len().max(slot + 1), Labels::empty());
            slots[slot] = labels.clone();
            columns.born.push((Slot(slot as u32), labels.clone()));
        }
    }
    let value = |known: &Labels| {
        let found = page.iter().find(|(labels, _)| labels == known);
        found.map_or(gated::model::STALE, |(_, value)| *value)
    };
    columns.values = slots.iter().map(value).collect();
    columns
}
