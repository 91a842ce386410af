//! The service in the storm: instances with a version each, that come, misbehave and are rolled forth and back.

use std::time::Duration;

use gated::engine::{Input, Scrape, ScrapeError, ScrapeFault, TargetInfo};
use gated::model::{Labels, TargetId, Timestamp};

use super::dice::Dice;
use crate::world::columns;

pub const INTERVAL: i64 = 5000;

/// What an instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    Errors,
    Slow,
    /// Its latency is not a number.
    Nan,
    /// It answers, and what is judged is not on its page.
    Silent,
    Refuses,
    Hangs,
}

const BAD: [Mood; 2] = [Mood::Errors, Mood::Slow];
const ODD: [Mood; 5] = [
    Mood::Nan,
    Mood::Silent,
    Mood::Refuses,
    Mood::Hangs,
    Mood::Errors,
];

#[derive(Debug)]
pub struct Instance {
    pub version: String,
    pub mood: Mood,
    ok: f64,
    bad: f64,
    slots: Vec<Labels>,
    /// Whether its last scrape, in this life of gated, gave a latency; `None` before the first.
    pub seen: Option<bool>,
}

#[derive(Debug)]
pub struct Fleet {
    pub instances: Vec<Instance>,
    /// Versions so far.
    newest: usize,
}

impl Fleet {
    pub fn new(size: usize) -> Self {
        let instance = || Instance {
            version: "v0".into(),
            mood: Mood::Well,
            ok: 0.0,
            bad: 0.0,
            slots: Vec::new(),
            seen: None,
        };
        Self {
            instances: (0..size).map(|_| instance()).collect(),
            newest: 0,
        }
    }

    /// A version that nobody has seen, or now and then one of before.
    pub fn next_version(&mut self, dice: &mut Dice) -> String {
        if self.newest > 0 && dice.one_in(5) {
            return format!("v{}", dice.below(self.newest + 1));
        }
        self.newest += 1;
        format!("v{}", self.newest)
    }

    pub fn run(&mut self, id: usize, version: &str, mood: Mood) {
        let it = &mut self.instances[id];
        if it.version != version {
            version.clone_into(&mut it.version);
            (it.ok, it.bad) = (0.0, 0.0);
        }
        it.mood = mood;
    }

    /// How a new version turns out.
    pub fn fate(dice: &mut Dice) -> Mood {
        match dice.below(10) {
            0..=5 => *dice.pick(&BAD),
            6..=7 => Mood::Well,
            _ => *dice.pick(&ODD),
        }
    }

    pub fn weather(&mut self, dice: &mut Dice) -> String {
        let id = dice.below(self.instances.len());
        let mood = if dice.one_in(2) {
            Mood::Well
        } else {
            *dice.pick(&ODD)
        };
        self.instances[id].mood = mood;
        format!("instance {id} is {mood:?}")
    }

    /// gated starts: it knows no slots, and nothing was scraped.
    pub fn forget(&mut self) {
        for it in &mut self.instances {
            it.slots.clear();
            it.seen = None;
        }
    }

    pub fn targets(&self) -> Vec<Input> {
        let target = |id: usize| {
            let instance = format!("i{id}");
            Input::Target(TargetInfo {
                id: TargetId(id as u32),
                job: "api".into(),
                url: format!("http://{instance}/metrics"),
                labels: Labels::new([("job", "api"), ("instance", &instance)]),
                instance,
                interval: Duration::from_millis(INTERVAL as u64),
                timeout: Duration::from_millis(INTERVAL as u64),
            })
        };
        (0..self.instances.len()).map(target).collect()
    }

    pub fn scrape(&mut self, id: usize, at: Timestamp) -> Input {
        let it = &mut self.instances[id];
        let share = if it.mood == Mood::Errors { 0.5 } else { 0.0 };
        it.ok += 100.0 * (1.0 - share);
        it.bad += 100.0 * share;
        let failed = |fault: ScrapeFault| ScrapeError {
            fault,
            text: "as the storm has it".into(),
        };
        let outcome = match it.mood {
            Mood::Refuses => Err(failed(ScrapeFault::ConnectRefused)),
            Mood::Hangs => Err(failed(ScrapeFault::Timeout)),
            Mood::Well | Mood::Errors | Mood::Slow | Mood::Nan | Mood::Silent => {
                let page = page(it, &format!("i{id}"));
                Ok(columns(&mut it.slots, &page))
            }
        };
        it.seen = Some(matches!(it.mood, Mood::Well | Mood::Errors | Mood::Slow));
        Input::Scraped(Scrape {
            target: TargetId(id as u32),
            at,
            duration: Duration::from_millis(1),
            outcome,
        })
    }

    /// Whether anything that was scraped last says how slow the service is.
    pub fn is_seen(&self) -> bool {
        self.instances.iter().any(|it| it.seen == Some(true))
    }

    /// Everything is well from here on.
    pub fn heal(&mut self) {
        for it in &mut self.instances {
            it.mood = Mood::Well;
        }
    }
}

fn page(it: &Instance, instance: &str) -> Vec<(Labels, f64)> {
    let series = |name: &str, label: (&str, &str)| {
        Labels::new([
            ("__name__", name),
            ("job", "api"),
            ("instance", instance),
            label,
        ])
    };
    let mut page = vec![(series("app_build_info", ("version", &it.version)), 1.0)];
    if it.mood == Mood::Silent {
        return page;
    }
    let latency = match it.mood {
        Mood::Slow => 2.0,
        Mood::Nan => f64::NAN,
        _ => 0.1,
    };
    page.push((series("latency_seconds", ("quantile", "0.9")), latency));
    page.push((series("requests_total", ("status", "200")), it.ok));
    if it.bad > 0.0 {
        page.push((series("requests_total", ("status", "500")), it.bad));
    }
    page
}
