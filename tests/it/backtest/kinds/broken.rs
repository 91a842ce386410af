//! Releases that break something: one rollback each, not before the fault and soon after it.

use super::super::fleet::{Deploy, Meets, Spot};
use super::super::luck::Luck;
use super::super::packed::Packed;
use super::super::reckon::THRESHOLD;
use super::super::reckon::{QUIET, SETTLE};
use super::{
    Case, NEW, NEXT, Row, clearly, failing, fine, from_version, loaded, meets, on_and_off, slower,
    usual, with_traffic,
};

pub const KINDS: &[Row] = &[
    (
        "1.5 to 4 % errors, much traffic",
        "rollback",
        8,
        few_percent,
    ),
    ("5 to 60 % errors", "rollback", 10, many_percent),
    (
        "errors that only two minutes show",
        "rollback",
        7,
        little_traffic,
    ),
    ("errors that rise slowly", "rollback", 7, ramp),
    ("latency past the threshold", "rollback", 8, slow),
    ("a fault as the rollout begins", "rollback", 6, at_once),
    ("a fault within settle", "rollback", 6, within_settle),
    ("a fault as settle ends", "rollback", 6, at_settle),
    ("updated instances fail, in waves", "rollback", 7, waves),
    (
        "errors while instances restart again and again",
        "rollback",
        7,
        restarts,
    ),
    ("comes and goes, faster than `for`", "rollback", 7, flapping),
    ("comes and goes, slower than `for`", "rollback", 6, blinking),
    (
        "one bad instance, above the threshold of all",
        "rollback",
        6,
        one_bad,
    ),
    (
        "one bad instance, scraped every 10 s",
        "rollback",
        5,
        one_bad_every_10_s,
    ),
    ("scraped every 15 s", "rollback", 6, every_15_s),
    (
        "no 5xx series before the fault",
        "rollback",
        8,
        no_5xx_before,
    ),
    (
        "traffic falls to a tenth, then errors",
        "rollback",
        5,
        at_night,
    ),
    ("errors under a spike of traffic", "rollback", 5, under_load),
    ("rolled back, and well", "one rollback", 7, rolled_back),
    (
        "a second rollout during the first fails",
        "one rollback",
        6,
        second,
    ),
    (
        "a second rollout mends the first in time",
        "no rollback",
        6,
        mended,
    ),
    ("errors, inferred", "rollback", 8, inferred),
    (
        "errors, files with repeated, late, unsorted samples",
        "rollback",
        8,
        files,
    ),
];

/// From a moment on, on instances of the new version.
fn from(at: f64, weather: super::Weather) -> Meets {
    meets(move |spot: Spot| {
        let here = spot.t >= at && spot.version > 0;
        if here { weather } else { fine() }
    })
}

/// Errors of a share that is clear, at some moment after the rollout has settled.
fn errors(luck: &mut Luck, lowest: f64, highest: f64) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.by_size(lowest, highest));
    let at = luck.between(SETTLE, 140.0);
    story.meets = from(at, failing(share));
    let right = story.soon_of(0.0, at, share);
    Case::told(story, right)
}

fn few_percent(luck: &mut Luck) -> Case {
    errors(luck, 0.015, 0.04)
}

/// Long enough afterwards for a second one.
fn many_percent(luck: &mut Luck) -> Case {
    let mut case = errors(luck, 0.05, 0.6);
    case.story.until += 240.0;
    case
}

/// Every 15 s say now this and now that; two minutes are clear.
fn little_traffic(luck: &mut Luck) -> Case {
    loop {
        let rps = luck.by_size(8.0, 60.0);
        let mut story = with_traffic(luck, rps);
        let share = luck.by_size(0.025, 0.15);
        if story.is_clear(share) || !story.is_clear_in_long(share) {
            continue;
        }
        // A range counts once it was watched in full: new instances would need two minutes more.
        story.deploys[0].2 = luck.pick(&[Deploy::InPlace(10.0), Deploy::Switched]);
        let at = luck.between(0.0, 60.0);
        story.meets = from(at, failing(share));
        let right = story.later(0.0, at, share);
        return Case::told(story, right);
    }
}

/// From nothing to 3 to 10 % in two to four minutes. It is clear before it is all there.
fn ramp(luck: &mut Luck) -> Case {
    loop {
        let mut story = usual(luck);
        let (top, length, at) = (
            luck.between(0.03, 0.1),
            luck.between(120.0, 240.0),
            luck.between(0.0, 60.0),
        );
        let reaches = |share: f64| at + length * share / top;
        let clear = (1..=100)
            .map(|n| top * f64::from(n) / 100.0)
            .find(|it| story.is_clear(*it));
        let Some(clear) = clear.filter(|it| *it < top * 0.8) else {
            continue;
        };
        story.meets = meets(move |spot| {
            if spot.t < at || spot.version == 0 {
                return fine();
            }
            failing(top * ((spot.t - at) / length).min(1.0))
        });
        // Right from when it passes the threshold on; what fails in ordinary times passes it a little sooner.
        let passes = reaches((THRESHOLD - story.base) * 0.8);
        let right = story.soon(0.0, passes, (reaches(clear) - passes) / 15.0 + 1.0);
        return Case::told(story, right);
    }
}

/// p95 between 700 ms and some seconds: at least an eighth of the requests is above 500 ms.
fn slow(luck: &mut Luck) -> Case {
    let rps = luck.by_size(60.0, 2000.0);
    let mut story = with_traffic(luck, rps);
    let p95 = luck.by_size(0.75, 3.0);
    let usually = 0.04 * (1.645 * story.spread).exp();
    // The drift takes a tenth away.
    let factor = p95 / usually * 1.1;
    let at = luck.between(0.0, 140.0);
    story.meets = from(at, slower(factor));
    let right = story.soon(0.0, at, 0.7);
    Case::told(story, right)
}

fn at_once(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.by_size(0.03, 0.6));
    story.deploys[0].2 = luck.pick(&[
        Deploy::InPlace(0.0),
        Deploy::Replaced(0.0),
        Deploy::Switched,
    ]);
    story.meets = from_version(1, failing(share));
    let right = story.soon(0.0, 0.0, 1.0);
    Case::told(story, right)
}

fn within_settle(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.by_size(0.03, 0.6));
    let at = luck.between(2.0, SETTLE - 2.0);
    story.deploys[0].2 = luck.pick(&[
        Deploy::InPlace(0.0),
        Deploy::Replaced(0.0),
        Deploy::Switched,
    ]);
    story.meets = from(at, failing(share));
    let right = story.soon(0.0, at, 1.0);
    Case::told(story, right)
}

fn at_settle(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.by_size(0.03, 0.6));
    story.meets = from(SETTLE, failing(share));
    let right = story.soon_of(0.0, SETTLE, share);
    Case::told(story, right)
}

/// The share of all grows with the deploy: it is clear once so many are updated.
fn waves(luck: &mut Luck) -> Case {
    loop {
        let mut story = usual(luck);
        let (share, over) = (luck.between(0.06, 0.4), luck.between(30.0, 180.0));
        super::sized(&mut story, luck.whole(3, 8));
        let needed = (1..=story.instances).find(|n| {
            let of_all = 0.8 * share * *n as f64 / story.instances as f64;
            story.is_clear(of_all)
        });
        let Some(needed) = needed else { continue };
        story.deploys[0].2 = luck.pick(&[Deploy::InPlace(over), Deploy::Replaced(over)]);
        story.meets = from_version(1, failing(share));
        let all_needed = over * (needed - 1) as f64 / story.instances as f64;
        // A new instance is first seen at its second scrape.
        let right = story.soon(0.0, 0.0, (all_needed + story.interval) / 15.0 + 1.0);
        return Case::told(story, right);
    }
}

/// Each instance dies every 40 to 90 s: its counters begin again at 0.
fn restarts(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.between(0.1, 0.4));
    (story.interval, story.jitter) = (5.0, 0.0);
    super::sized(&mut story, luck.whole(2, 6));
    story.deploys[0].2 = Deploy::InPlace(5.0);
    let at = luck.between(30.0, 110.0);
    for place in 0..story.instances {
        let (mut t, every) = (luck.between(20.0, 80.0), luck.between(40.0, 90.0));
        while t < story.until {
            story.restarts.push((t, place));
            t += every;
        }
    }
    story.meets = from(at, failing(share));
    let right = story.soon(0.0, at, 1.0);
    Case::told(story, right)
}

/// 10 s of 60: never over the threshold for 30 s in 15 s, always in two minutes.
fn flapping(luck: &mut Luck) -> Case {
    loop {
        let mut story = usual(luck);
        let (on, period) = (luck.between(6.0, 11.0), luck.between(40.0, 60.0));
        let share = luck.between(0.2, 0.6);
        // The first burst alone must be clear in two minutes.
        let mean = share * on / 120.0;
        if !story.is_clear_in_long(mean * 0.8) || mean < 2.0 * THRESHOLD {
            continue;
        }
        story.deploys[0].2 = luck.pick(&[Deploy::InPlace(5.0), Deploy::Switched]);
        let at = luck.between(SETTLE, 100.0);
        story.meets = on_and_off(on, period, at, failing(share));
        let right = story.later(0.0, at, share);
        return Case::told(story, right);
    }
}

fn blinking(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.between(0.05, 0.6));
    let (on, period) = (luck.between(65.0, 90.0), luck.between(120.0, 200.0));
    let at = luck.between(SETTLE, 100.0);
    story.meets = on_and_off(on, period, at, failing(share));
    let right = story.soon_of(0.0, at, share);
    Case::told(story, right)
}

/// The range shows one instance all of the time only where it holds three of its scrapes.
fn one_bad(luck: &mut Luck) -> Case {
    loop {
        let mut story = usual(luck);
        story.interval = story.interval.min(5.0);
        super::sized(&mut story, luck.whole(3, 10));
        let share = luck.between(0.3, 0.8);
        let of_all = share / story.instances as f64 * 0.8;
        if !story.is_clear(of_all) {
            continue;
        }
        let (place, at) = (
            luck.whole(0, story.instances - 1),
            luck.between(SETTLE, 100.0),
        );
        story.meets = meets(move |spot: Spot| {
            if spot.place == place && spot.t >= at {
                failing(share)
            } else {
                fine()
            }
        });
        let right = story.soon(0.0, at, 1.0);
        return Case::told(story, right);
    }
}

/// Scraped every 10 s, a range of 15 s shows an instance half of the time: what one of many does wrong comes and goes in
/// it, and two minutes show it.
fn one_bad_every_10_s(luck: &mut Luck) -> Case {
    loop {
        let mut story = usual(luck);
        (story.interval, story.jitter, story.together) = (10.0, 0.0, false);
        story.instances = luck.whole(4, 10);
        story.deploys[0].2 = luck.pick(&[Deploy::InPlace(5.0), Deploy::Switched]);
        let share = luck.between(0.3, 0.8);
        let of_all = share / story.instances as f64 * 0.8;
        if !story.is_clear_in_long(of_all) {
            continue;
        }
        let (place, at) = (
            luck.whole(0, story.instances - 1),
            luck.between(SETTLE, 60.0),
        );
        story.meets = meets(move |spot: Spot| {
            if spot.place == place && spot.t >= at {
                failing(share)
            } else {
                fine()
            }
        });
        let right = story.later(0.0, at, of_all);
        return Case::told(story, right);
    }
}

/// A range of 15 s shows nothing of samples that are 15 s apart; that of two minutes does.
fn every_15_s(luck: &mut Luck) -> Case {
    loop {
        let mut story = usual(luck);
        (story.interval, story.jitter) = (15.0, 0.0);
        story.instances = luck.whole(2, 10);
        story.deploys[0].2 = Deploy::InPlace(5.0);
        let share = luck.by_size(0.03, 0.5);
        if !story.is_clear_in_long(share) {
            continue;
        }
        let at = luck.between(0.0, 100.0);
        story.meets = from(at, failing(share));
        let right = story.later(0.0, at, share);
        return Case::told(story, right);
    }
}

/// The series of failures comes with the first failure; its first value is no increase.
fn no_5xx_before(luck: &mut Luck) -> Case {
    let mut case = errors(luck, 0.03, 0.6);
    (case.story.base, case.story.lazy) = (0.0, true);
    if let super::Right::Rollback { within, .. } = &mut case.rights[0].1 {
        *within += std::time::Duration::from_secs_f64(case.story.interval);
    }
    case
}

fn at_night(luck: &mut Luck) -> Case {
    loop {
        let rps = luck.by_size(200.0, 2000.0);
        let mut story = with_traffic(luck, rps);
        let share = luck.by_size(0.05, 0.5);
        story.rps = rps / 10.0;
        let clear = story.is_clear(share) && story.is_calm(story.base, rps / 10.0);
        story.rps = rps;
        if !clear {
            continue;
        }
        let (night, at) = (luck.between(-60.0, 40.0), luck.between(60.0, 120.0));
        story.meets = meets(move |spot| super::Weather {
            load: if spot.t < night { 1.0 } else { 0.1 },
            ..if spot.t < at { fine() } else { failing(share) }
        });
        let right = story.soon(0.0, at, 1.0);
        return Case::told(story, right);
    }
}

fn under_load(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.between(0.05, 0.4));
    story.rps = story.rps.min(400.0).max(story.rps / 5.0);
    let at = luck.between(SETTLE, 100.0);
    story.meets = meets(move |spot| {
        if spot.t < at {
            return fine();
        }
        super::Weather {
            errors: share,
            ..loaded(5.0)
        }
    });
    let right = story.soon(0.0, at, 1.0);
    Case::told(story, right)
}

/// Somebody rolls back well after gated has decided it.
fn rolled_back(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.by_size(0.05, 0.6));
    let at = luck.between(SETTLE, 60.0);
    let back = at + luck.between(90.0, 150.0);
    let how = story.deploys[0].2;
    story.deploys.push((back, "1.9.0", how));
    story.until = back + 250.0;
    story.meets = meets(move |spot| {
        let here = spot.version == 1 && spot.t >= at;
        if here { failing(share) } else { fine() }
    });
    let right = story.soon(0.0, at, 1.0);
    Case {
        rollouts: vec![(0.0, NEW), (back, "1.9.0")],
        rights: vec![(NEW, right), ("1.9.0", QUIET)],
        ..Case::told(story, QUIET)
    }
}

fn second(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.by_size(0.05, 0.6));
    let next = luck.between(40.0, 120.0);
    let how = story.deploys[0].2;
    story.deploys.push((next, NEXT, how));
    story.meets = from_version(2, failing(share));
    let right = story.soon(next, next + 20.0, 1.0);
    // Right from the first failure on.
    let super::Right::Rollback { within, .. } = right else {
        unreachable!("it asks for one");
    };
    let right = super::Right::Rollback {
        fault: super::moment(next),
        within: within + std::time::Duration::from_secs(20),
    };
    Case {
        rollouts: vec![(0.0, NEW), (next, NEXT)],
        rights: vec![(NEW, QUIET), (NEXT, right)],
        ..Case::told(story, QUIET)
    }
}

/// The first fails for less than `for` when the second begins, which is well.
fn mended(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.by_size(0.05, 0.6));
    let at = luck.between(SETTLE, 60.0);
    let next = at + luck.between(15.0, 25.0);
    story.deploys[0].2 = Deploy::InPlace(5.0);
    story.deploys.push((next, NEXT, Deploy::InPlace(3.0)));
    story.meets = meets(move |spot| {
        let here = spot.version == 1 && spot.t >= at;
        if here { failing(share) } else { fine() }
    });
    Case {
        rollouts: vec![(0.0, NEW), (next, NEXT)],
        rights: vec![(NEW, QUIET), (NEXT, QUIET)],
        ..Case::told(story, QUIET)
    }
}

/// Ten minutes of past are there, so that it is known what was before a rollout that nobody told of.
fn inferred(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.by_size(0.05, 0.6));
    super::with_past(&mut story);
    let at = luck.between(40.0, 120.0);
    story.meets = from(at, failing(share));
    let right = story.soon(20.0, at, 1.0);
    Case {
        inferred: true,
        rollouts: Vec::new(),
        ..Case::told(story, right)
    }
}

fn files(luck: &mut Luck) -> Case {
    let packed = luck.pick(&[
        Packed::Whole,
        Packed::Repeated,
        Packed::Late,
        Packed::ByTime,
        Packed::BySeries,
        Packed::Overlapping,
    ]);
    Case {
        packed,
        ..errors(luck, 0.05, 0.5)
    }
}
