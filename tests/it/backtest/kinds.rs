//! Kinds of releases, many variations of each, and what is right for each by the rules' text: never by what gated does.

mod before;
mod broken;
mod unseen;
mod well;

use gated::run::cli::Told;

use super::Right;
use super::fleet::{Deploy, Meets, Spot, Story, Weather};
use super::luck::Luck;
use super::packed::Packed;
use super::reckon::moment;

/// The version whose rollout is judged, and others.
pub const NEW: &str = "2.0.0";
pub const NEXT: &str = "2.1.0";

/// One release.
pub struct Case {
    pub story: Story,
    /// Seconds from the first rollout on, and the version.
    pub rollouts: Vec<(f64, &'static str)>,
    /// `version_from = "app_build_info"` instead of being told.
    pub inferred: bool,
    pub rights: Vec<(&'static str, Right)>,
    pub packed: Packed,
}

pub struct Kind {
    pub name: &'static str,
    /// What is right, in a word of the table.
    pub right: &'static str,
    pub variations: usize,
    pub make: fn(&mut Luck) -> Case,
}

/// Every kind, in the order of the table.
pub fn all() -> Vec<Kind> {
    let kinds = [well::KINDS, unseen::KINDS, broken::KINDS, before::KINDS];
    let kinds = kinds.into_iter().flatten();
    kinds
        .map(|(name, right, variations, make)| Kind {
            name,
            right,
            variations: *variations,
            make: *make,
        })
        .collect()
}

type Row = (&'static str, &'static str, usize, fn(&mut Luck) -> Case);

impl Case {
    /// A release whose one rollout somebody tells of. It is recorded until what is right must have come.
    fn told(mut story: Story, right: Right) -> Self {
        if let Right::Rollback { fault, within } | Right::Escalate { fault, within } = &right {
            let due = fault.since(moment(0.0)) + *within;
            story.until = due.as_secs_f64() + 20.0;
        }
        Self {
            story,
            rollouts: vec![(0.0, NEW)],
            inferred: false,
            rights: vec![(NEW, right)],
            packed: Packed::Pushed,
        }
    }

    pub fn tellings(&self) -> Vec<Told> {
        let told = |(at, version): &(f64, &'static str)| Told {
            version: (*version).to_owned(),
            previous_version: None,
            at: moment(*at),
        };
        self.rollouts.iter().map(told).collect()
    }

    /// What differs from others of its kind.
    pub fn shown(&self) -> String {
        let it = &self.story;
        let (n, rps, interval, base) = (it.instances, it.rps, it.interval, it.base);
        let deploys = &it.deploys;
        format!(
            "{n} instances, {rps:.0} requests/s, {base} fail, every {interval} s, {deploys:?}, lazy {}, marked {}",
            it.lazy, it.marked
        )
    }
}

const fn fine() -> Weather {
    Weather {
        load: 1.0,
        errors: 0.0,
        slower: 1.0,
    }
}

fn failing(errors: f64) -> Weather {
    Weather { errors, ..fine() }
}

fn slower(slower: f64) -> Weather {
    Weather { slower, ..fine() }
}

fn loaded(load: f64) -> Weather {
    Weather { load, ..fine() }
}

fn meets(weather: impl Fn(Spot) -> Weather + Send + Sync + 'static) -> Meets {
    Box::new(weather)
}

/// An ordinary service with an ordinary release, of which everything that may differ differs.
fn usual(luck: &mut Luck) -> Story {
    let rps = luck.by_size(30.0, 2000.0);
    with_traffic(luck, rps)
}

fn with_traffic(luck: &mut Luck, rps: f64) -> Story {
    let interval = luck.pick(&[1.0, 5.0, 5.0, 5.0, 5.0, 10.0, 10.0]);
    let instances = match interval {
        1.0 => luck.whole(2, 3),
        5.0 => luck.pick(&[2, 2, 3, 3, 4, 4, 6, 10]),
        _ => luck.pick(&[2, 3, 4, 6, 10, 20]),
    };
    let over = luck.between(0.0, 20.0);
    let deploy = luck.pick(&[
        Deploy::InPlace(over),
        Deploy::Replaced(over),
        Deploy::Switched,
    ]);
    let mut story = Story {
        jitter: luck.pick(&[0.0, 0.0, 0.05, 0.3]) * interval / 5.0,
        together: luck.happens(0.3),
        rps,
        spread: luck.between(0.3, 0.6),
        deploys: vec![(0.0, NEW, deploy)],
        lazy: luck.happens(0.3),
        marked: luck.happens(0.3),
        ..ordinary(interval, instances)
    };
    let shares = [0.0, 0.0002, 0.0005, 0.001, 0.002, 0.003];
    let calm: Vec<f64> = shares
        .into_iter()
        .filter(|it| story.is_calm(*it, rps))
        .collect();
    story.base = luck.pick(&calm);
    if interval > 1.0 && luck.happens(0.2) {
        with_past(&mut story);
    }
    story
}

/// A service without a rollout, at its plainest.
pub fn ordinary(interval: f64, instances: usize) -> Story {
    Story {
        interval,
        jitter: 0.0,
        together: false,
        late: Box::new(|_| 0.0),
        instances,
        rps: 400.0,
        base: 0.0,
        spread: 0.4,
        from: -120.0,
        until: 240.0,
        deploys: Vec::new(),
        meets: meets(|_| fine()),
        unreachable: Box::new(|_| false),
        silent: Box::new(|_| false),
        restarts: Vec::new(),
        lazy: false,
        marked: false,
    }
}

/// As much of the past as `predates` looks at.
fn with_past(story: &mut Story) {
    story.from = -660.0;
    let most = if story.interval < 5.0 { 2 } else { 6 };
    story.instances = story.instances.min(most);
}

/// Looking each second at many takes long, and shows nothing else.
fn sized(story: &mut Story, instances: usize) {
    story.instances = if story.interval < 5.0 {
        instances.min(3)
    } else {
        instances
    };
    if story.instances > 10 {
        story.interval = story.interval.max(10.0);
        story.from = story.from.max(-120.0);
    }
}

/// A service of whose ordinary failures nothing is left where a share of `failing` begins.
fn clearly(luck: &mut Luck, failing: impl Fn(&mut Luck) -> f64) -> (Story, f64) {
    loop {
        let story = usual(luck);
        let share = failing(luck);
        if story.is_clear(share) {
            return (story, share);
        }
    }
}

/// The versions of a story with two deploys are 0 (the old one), 1 and 2.
fn from_version(version: usize, weather: Weather) -> Meets {
    meets(move |spot| {
        if spot.version >= version {
            weather
        } else {
            fine()
        }
    })
}

/// Fails to answer at the moments that a seed chooses, one scrape in so many.
fn flaky(seed: u64, share: f64, interval: f64) -> super::fleet::When {
    Box::new(move |spot| {
        let scrape = (spot.t / interval).floor() as i64;
        let mut luck =
            Luck::new(seed ^ (scrape as u64).wrapping_mul(0x9e37) ^ (spot.place as u64) << 40);
        luck.next();
        luck.happens(share)
    })
}

/// The first `on` seconds of each period, from a moment on.
fn on_and_off(on: f64, period: f64, from: f64, weather: Weather) -> Meets {
    meets(move |spot| {
        let on = spot.t >= from && (spot.t - from).rem_euclid(period) < on;
        if on { weather } else { fine() }
    })
}
