//! One seed's world: what may happen, in the order of its time. The engine's surroundings are as in `run::core`: records
//! of one input commit together and later, then the rest is carried out, and a crash falls before, between or after.

mod heal;

use std::collections::BTreeMap;
use std::sync::Arc;

use gated::engine::{Attempted, Effect, Event, Input, OnDoubt, Restored, Settings};
use gated::model::{DeliveryKey, NoticeKind, Timestamp, Verdict, WallClock};

use super::dice::Dice;
use super::disk::{Committed, Disk};
use super::files;
use super::fleet::{Fleet, INTERVAL, Mood};
use super::hooks::Hooks;
use super::laws::{self, Laws};
use super::life::{Batch, Life};
use super::operators::{self, Sworn};
use super::tally::{Tally, names};

/// 2026-01-01T00:00:00Z
const START: i64 = 1_767_225_600_000;
/// How long the storm rages.
const RAGES: i64 = 160_000;

enum Happens {
    Scrape(usize),
    Commit,
    Arrives(Input),
    Operator(usize),
    Weather,
    Deploy,
    Roll(usize, String, Mood),
    Reload,
    Crash,
    Start,
    Pause,
    ClockSet,
}

#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the seed"
)]
pub struct World {
    dice: Dice,
    verbose: bool,
    /// Every other seed: a replay takes as long as what it replays.
    replays: bool,
    now: i64,
    order: u64,
    agenda: BTreeMap<(i64, u64), Happens>,
    fleet: Fleet,
    hooks: Hooks,
    disk: Disk,
    first: Settings,
    settings: Arc<Settings>,
    life: Option<Life>,
    laws: Laws,
    sworn: Sworn,
    token: u64,
    /// A commit was said to have failed and did not: only a restart makes the ledger and gated agree.
    unsaid: bool,
    healing: bool,
    lives: u64,
    pub tally: Tally,
}

impl World {
    pub fn new(seed: u64, verbose: bool) -> Self {
        let mut dice = Dice::new(seed);
        let first = files::first(&mut dice);
        let mut world = Self {
            now: START,
            order: 0,
            agenda: BTreeMap::new(),
            fleet: Fleet::new(2 + dice.below(2)),
            hooks: Hooks::default(),
            disk: Disk::new(),
            settings: Arc::new(first.clone()),
            first,
            life: None,
            laws: Laws::default(),
            sworn: Sworn::default(),
            token: 0,
            unsaid: false,
            healing: false,
            lives: 0,
            tally: Tally::default(),
            verbose,
            replays: seed.is_multiple_of(2),
            dice,
        };
        for id in 0..world.fleet.instances.len() {
            let offset = world.dice.between(0, INTERVAL);
            world.plan(offset, Happens::Scrape(id));
        }
        for (what, from, to) in [
            (Happens::Deploy, 15_000, 40_000),
            (Happens::Operator(0), 10_000, 60_000),
            (Happens::Operator(1), 10_000, 60_000),
            (Happens::Weather, 1000, 60_000),
            (Happens::Reload, 10_000, 200_000),
            (Happens::Pause, 10_000, 300_000),
            (Happens::ClockSet, 10_000, 900_000),
        ] {
            let after = world.dice.between(from, to);
            world.plan(after, what);
        }
        world.start();
        world
    }

    pub fn storm(&mut self) {
        self.go_on_until(START + RAGES);
    }

    fn plan(&mut self, after: i64, what: Happens) {
        self.order += 1;
        self.agenda.insert((self.now + after, self.order), what);
    }

    fn say(&self, what: impl AsRef<str>) {
        if self.verbose {
            println!(
                "{:>9.3}  {}",
                (self.now - START) as f64 / 1000.0,
                what.as_ref()
            );
        }
    }

    fn go_on_until(&mut self, end: i64) {
        loop {
            let planned = self.agenda.keys().next().map(|(at, _)| *at);
            let deadline = self.life.as_ref().and_then(|it| it.engine.next_deadline());
            let deadline = deadline.map(Timestamp::millis);
            let next = planned.into_iter().chain(deadline).min();
            let Some(next) = next.filter(|it| *it <= end) else {
                self.now = self.now.max(end);
                return;
            };
            self.now = self.now.max(next);
            // Of what comes at one moment either may be first.
            if deadline.is_some_and(|it| it <= planned.unwrap_or(i64::MAX)) {
                self.wake();
            } else if let Some((_, what)) = self.agenda.pop_first() {
                self.happens(what);
            }
        }
    }

    fn happens(&mut self, what: Happens) {
        match what {
            Happens::Scrape(id) => {
                self.plan(INTERVAL, Happens::Scrape(id));
                if self.life.is_some() {
                    let begun = Timestamp::from_millis(self.now - self.dice.between(0, 50));
                    let scrape = self.fleet.scrape(id, begun);
                    self.apply(scrape);
                }
            }
            Happens::Commit => self.commit(),
            Happens::Arrives(input) => {
                if let (Some(life), Input::CommitFailed { .. }) = (&mut self.life, &input) {
                    life.failures_heard += 1;
                }
                self.say(format!("arrives {input:?}"));
                self.apply(input);
            }
            Happens::Operator(who) => {
                let after = self.dice.between(500, 25_000);
                self.plan(after, Happens::Operator(who));
                let (now, shown) = (self.now, &self.disk.memory);
                let call = operators::call(who, shown, &self.fleet, now, &mut self.dice);
                self.call(call);
            }
            Happens::Weather => self.weather(),
            Happens::Deploy => self.deploy(),
            Happens::Roll(id, version, mood) => {
                self.say(format!("instance {id} runs {version}: {mood:?}"));
                self.fleet.run(id, &version, mood);
            }
            Happens::Reload => {
                let after = self.dice.between(5000, 120_000);
                self.plan(after, Happens::Reload);
                let (settings, said) = files::edited(&self.first, &mut self.dice);
                self.say(format!("reload: {said}"));
                self.reload(settings);
            }
            Happens::Crash => self.crash("at any moment"),
            Happens::Start => self.start(),
            Happens::ClockSet => {
                let after = self.dice.between(60_000, 900_000);
                self.plan(after, Happens::ClockSet);
                let hours = *self.dice.pick(&[-1, 0, 6]);
                self.say(format!("the clock on the wall is set {hours} h off"));
                self.apply(Input::ClockSet(WallClock::ahead_by(hours * 3_600_000)));
            }
            Happens::Pause => {
                let after = self.dice.between(60_000, 300_000);
                self.plan(after, Happens::Pause);
                self.now += *self.dice.pick(&[900, 4000, 20_000, 90_000]);
                self.say("the machine slept until now");
            }
        }
    }

    fn reload(&mut self, settings: Settings) {
        // What is due by now is still judged by the old files.
        self.wake();
        self.settings = Arc::new(settings);
        self.apply(Input::Reload(Arc::clone(&self.settings)));
    }

    fn weather(&mut self) {
        let after = self.dice.between(1000, 20_000);
        self.plan(after, Happens::Weather);
        let dice = &mut self.dice;
        let said = match dice.below(8) {
            0 | 1 => self.fleet.weather(dice),
            2..=4 => self.hooks.weather(files::HOOK, dice),
            5 => self.hooks.weather(files::PEOPLE, dice),
            6 => self.disk.weather(dice),
            _ => {
                let after = dice.between(1, 3000);
                self.plan(after, Happens::Crash);
                "a crash is near".to_owned()
            }
        };
        self.say(said);
    }

    fn deploy(&mut self) {
        let after = self.dice.between(30_000, 120_000);
        self.plan(after, Happens::Deploy);
        let version = self.fleet.next_version(&mut self.dice);
        let mood = Fleet::fate(&mut self.dice);
        self.say(format!("deploy of {version}: {mood:?}"));
        self.roll(&version, mood);
    }

    fn roll(&mut self, version: &str, mood: Mood) {
        for id in 0..self.fleet.instances.len() {
            let after = self.dice.between(0, 8000);
            self.plan(after, Happens::Roll(id, version.to_owned(), mood));
        }
    }

    fn call(&mut self, call: gated::engine::Call) {
        let Some(life) = &self.life else { return };
        self.say(format!("call {call:?}"));
        let at = Timestamp::from_millis(self.now).max(life.floor());
        self.token += 1;
        let token = self.token;
        self.sworn.called(token, &call, at);
        self.apply(Input::Operator { token, call });
    }

    // ── gated ──────────────────────────────────────────────────────────────────────────────────────────────────

    fn start(&mut self) {
        if self.life.is_some() {
            return;
        }
        self.say("gated starts");
        self.lives += 1;
        let restored: Restored = self.disk.memory.clone();
        self.laws.life_begins(&restored);
        self.fleet.forget();
        self.unsaid = false;
        let mut out = Vec::new();
        let settings = Arc::clone(&self.settings);
        self.life = Some(Life::begin(settings, restored, self.now, &mut out));
        self.carry_out(out, Timestamp::from_millis(self.now));
        for target in self.fleet.targets() {
            self.apply(target);
        }
    }

    fn crash(&mut self, when: &str) {
        if self.life.is_none() {
            return;
        }
        self.say(format!("gated is killed {when}"));
        self.tally.crashes += 1;
        self.bury();
        // What was on its way to it is lost.
        self.agenda
            .retain(|_, it| !matches!(it, Happens::Commit | Happens::Arrives(_)));
        let after = *self.dice.pick(&[50, 1000, 5000, 40_000]);
        self.plan(after, Happens::Start);
    }

    /// A life is over: its inputs must give its effects again.
    fn bury(&mut self) {
        let Some(life) = self.life.take() else { return };
        if !self.replays {
            return;
        }
        let wakes = self.lives.is_multiple_of(2);
        let again = life.replays(wakes.then_some(&mut self.dice));
        if let Err(how) = again {
            let law = if wakes {
                "wakes in between change nothing"
            } else {
                "a replay of its journal gives the same effects"
            };
            laws::broken(law, how);
        }
    }

    fn apply(&mut self, input: Input) {
        self.mind_the_gap();
        let mut out = Vec::new();
        if let Some(life) = &mut self.life {
            self.tally.inputs += 1;
            let at = life.apply(self.now, input, &mut out);
            self.carry_out(out, at);
            self.judge_verdict();
        }
    }

    fn wake(&mut self) {
        self.mind_the_gap();
        let mut out = Vec::new();
        if let Some(life) = &mut self.life {
            let at = life.wake(self.now, &mut out);
            self.carry_out(out, at);
            self.judge_verdict();
        }
    }

    fn mind_the_gap(&mut self) {
        let mut out = Vec::new();
        if let Some(life) = &mut self.life
            && let Some(at) = life.gap(self.now, &mut out)
        {
            self.carry_out(out, at);
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>, at: Timestamp) {
        self.laws.given(&effects, &self.settings, at);
        self.note_verdict(&effects);
        let (mut records, mut rest) = (Vec::new(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Record(record) => records.push(record),
                other => rest.push(other),
            }
        }
        if records.is_empty() {
            self.perform(rest, at);
        } else if let Some(life) = &mut self.life {
            let failures_heard = life.failures_heard;
            life.queue.push_back(Batch {
                at,
                records,
                rest,
                failures_heard,
            });
            if life.queue.len() == 1 {
                let after = self.disk.takes(&mut self.dice);
                self.plan(after, Happens::Commit);
            }
        }
    }

    fn note_verdict(&mut self, effects: &[Effect]) {
        let Some(life) = &mut self.life else { return };
        for effect in effects {
            if let Effect::Tell(Event::VerdictChanged { to, .. }) = effect {
                life.verdict = to.0;
                self.tally.went_go += u64::from(to.0 == Verdict::Go);
            }
        }
    }

    /// Not after a gap alone: the fleet knows by then what the engine is yet to be told.
    fn judge_verdict(&mut self) {
        let Some(life) = &mut self.life else { return };
        if life.verdict == Verdict::Go {
            let shown = life.engine.snapshot(Timestamp::from_millis(self.now));
            laws::unknown_is_never_go(life.verdict, &shown, &self.fleet);
        }
    }

    /// The ledger comes to the next batch. gated may be killed before it, after it, or after anything it waited for.
    fn commit(&mut self) {
        let Some(batch) = self.life.as_mut().and_then(|it| it.queue.pop_front()) else {
            return;
        };
        if self.is_killed("before a commit") {
            return;
        }
        let Batch {
            at,
            records,
            rest,
            failures_heard,
        } = batch;
        let told = self.life.as_ref().map_or(0, |it| it.failures_told);
        let committed = if failures_heard == told {
            self.disk.commit(&records, &mut self.dice)
        } else {
            Committed::No("a commit before it failed".into())
        };
        if !matches!(committed, Committed::No(_)) {
            self.say(format!("recorded {}", names(&records)));
            self.tally.committed(&records);
            let people = &self.settings.people;
            self.laws
                .committed(&records, &committed, &self.disk.memory, people);
        }
        match committed {
            Committed::Yes => {
                if self.is_killed("after a commit") {
                    return;
                }
                self.perform(rest, at);
            }
            Committed::No(ref reason) | Committed::Unsaid(ref reason) => {
                let reason = reason.clone();
                self.unsaid |= matches!(committed, Committed::Unsaid(_));
                self.tally.commits_failed += 1;
                if let Some(life) = &mut self.life {
                    life.failures_told += 1;
                }
                self.say(format!("{reason}, so {} fails", names(&records)));
                let after = self.dice.between(0, 5);
                self.plan(
                    after,
                    Happens::Arrives(Input::CommitFailed { records, reason }),
                );
            }
        }
        if self.life.as_ref().is_some_and(|it| !it.queue.is_empty()) {
            let after = self.disk.takes(&mut self.dice);
            self.plan(after, Happens::Commit);
        }
    }

    fn is_killed(&mut self, when: &str) -> bool {
        let killed = !self.healing && self.dice.one_in(150);
        if killed {
            self.crash(when);
        }
        killed
    }

    fn perform(&mut self, rest: Vec<Effect>, at: Timestamp) {
        for effect in rest {
            match effect {
                Effect::Send {
                    key,
                    receiver,
                    attempt,
                } => self.send(key, &receiver, attempt, at),
                Effect::Answer {
                    token,
                    answer: Ok(answer),
                } => self.sworn.answered(token, &answer),
                Effect::Answer { .. }
                | Effect::Alerts(_)
                | Effect::Report(_)
                | Effect::Tell(_)
                | Effect::Record(_) => {
                    continue;
                }
            }
            if self.is_killed("between two effects") {
                return;
            }
        }
    }

    fn send(&mut self, key: DeliveryKey, receiver: &str, attempt: u32, at: Timestamp) {
        self.laws.sent(&key, attempt, &self.disk.memory);
        let memory = &self.disk.memory;
        let delivery = memory.deliveries.iter().find(|it| it.key == key).cloned();
        let delivery = delivery.expect("it is recorded");
        laws::what_people_were_told_holds(&delivery, &self.sworn, at);
        if !self
            .settings
            .receivers
            .iter()
            .any(|it| it.name == *receiver)
        {
            let outcome = Attempted::NoAnswer {
                reason: format!("no webhook `{receiver}`"),
                reached: false,
            };
            self.plan(0, Happens::Arrives(Input::Attempted { key, outcome }));
            return;
        }
        let passed = self.hooks.pass(receiver, &key, &mut self.dice);
        self.say(format!("sent {key} to {receiver}: {passed:?}"));
        let acts = self.hooks.acts.get(&key).copied().unwrap_or(0);
        let on_doubt = self.on_doubt(receiver);
        laws::nothing_is_done_twice(&delivery, acts, on_doubt, &self.sworn);
        let drops = on_doubt == OnDoubt::Resend && acts > 1;
        if passed.acted && delivery.kind == NoticeKind::RollbackRequested && !drops {
            let rollouts = &self.disk.memory.rollouts;
            let rollout = rollouts
                .iter()
                .find(|it| Some(&it.id) == delivery.rollout.as_ref());
            let back = rollout.and_then(|it| it.previous_version.clone());
            // Most rollbacks help.
            let mood = if self.dice.one_in(4) {
                Mood::Errors
            } else {
                Mood::Well
            };
            self.roll(&back.unwrap_or_else(|| "v0".into()), mood);
        }
        let input = Input::Attempted {
            key,
            outcome: passed.answer,
        };
        if passed.twice {
            self.plan(passed.after, Happens::Arrives(input.clone()));
        }
        self.plan(passed.after, Happens::Arrives(input));
    }

    fn on_doubt(&self, receiver: &str) -> OnDoubt {
        let mut known = self.first.receivers.iter();
        known
            .find(|it| it.name == receiver)
            .map_or(OnDoubt::Hold, |it| it.on_doubt)
    }
}
