//! What cannot be judged, or only in part: too little traffic, scrapes that fail, a recorder that was away. Nothing is
//! rolled back from what nobody saw, and what can be seen is judged all the same.

use super::super::luck::Luck;
use super::super::reckon::{BLIND, ENOUGH, QUIET};
use super::{Case, Row, clearly, failing, fine, flaky, meets, usual, with_traffic};

pub const KINDS: &[Row] = &[
    (
        "too few requests, some fail",
        "no rollback",
        8,
        few_requests,
    ),
    (
        "no scrape succeeds for two minutes",
        "no rollback",
        7,
        scrapes_missing,
    ),
    (
        "the recorder is away for a while",
        "no rollback",
        7,
        recorder_away,
    ),
    (
        "half of the targets unreachable, well",
        "quiet",
        6,
        half_well,
    ),
    (
        "half of the targets unreachable, errors",
        "rollback",
        6,
        half_broken,
    ),
    (
        "most targets unreachable, errors on the others",
        "escalate",
        6,
        most,
    ),
    ("nothing answers any more", "escalate", 6, nothing),
    (
        "a few scrapes fail, errors",
        "rollback",
        7,
        few_scrapes_fail,
    ),
    (
        "the recorder was away, errors afterwards",
        "rollback",
        6,
        recorder_was_away,
    ),
];

/// `enough` wants more than 5 a second; 60 % of that is out of reach of chance.
fn few_requests(luck: &mut Luck) -> Case {
    let rps = luck.by_size(0.2, ENOUGH * 0.6);
    let mut story = with_traffic(luck, rps);
    let share = luck.between(0.05, 0.4);
    story.meets = meets(move |spot| {
        if spot.version > 0 {
            failing(share)
        } else {
            fine()
        }
    });
    Case::told(story, BLIND)
}

fn scrapes_missing(luck: &mut Luck) -> Case {
    let mut story = usual(luck);
    let (at, length) = (luck.between(0.0, 120.0), luck.between(90.0, 150.0));
    story.unreachable = Box::new(move |spot| (at..at + length).contains(&spot.t));
    Case::told(story, BLIND)
}

fn recorder_away(luck: &mut Luck) -> Case {
    let mut story = usual(luck);
    let (at, length) = (luck.between(-100.0, 120.0), luck.between(30.0, 170.0));
    story.silent = Box::new(move |spot| (at..at + length).contains(&spot.t));
    Case::told(story, BLIND)
}

/// `coverage` is half of the targets.
fn half_well(luck: &mut Luck) -> Case {
    let mut story = usual(luck);
    story.instances = if story.interval < 5.0 {
        2
    } else {
        luck.pick(&[2, 4, 6, 10])
    };
    let (half, at) = (story.instances / 2, luck.between(-100.0, 100.0));
    story.deploys[0].2 = super::Deploy::Switched;
    story.unreachable = Box::new(move |spot| spot.place < half && spot.t >= at);
    Case::told(story, QUIET)
}

fn half_broken(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.between(0.1, 0.6));
    story.instances = if story.interval < 5.0 {
        2
    } else {
        luck.pick(&[2, 4, 6, 10])
    };
    // Half of the traffic is seen.
    story.rps *= 2.0;
    let (half, at) = (story.instances / 2, luck.between(10.0, 100.0));
    story.deploys[0].2 = super::Deploy::Switched;
    story.unreachable = Box::new(move |spot| spot.place < half && spot.t >= 0.0);
    story.meets = meets(move |spot| if spot.t >= at { failing(share) } else { fine() });
    let right = story.soon(0.0, at, 1.0);
    Case::told(story, right)
}

/// Fewer than `coverage` answer: what the others show is no reading, and after `blind_after` people hear of it.
fn most(luck: &mut Luck) -> Case {
    let mut story = usual(luck);
    super::sized(&mut story, luck.pick(&[3, 4, 6, 10]));
    let left = (story.instances - 1) / 2;
    let at = luck.between(-60.0, 60.0);
    story.deploys[0].2 = super::Deploy::Switched;
    story.unreachable = Box::new(move |spot| spot.place >= left && spot.t >= at);
    // The targets are scraped one after the other: what some of them saw before all are known to be away is little.
    let from = at + story.interval;
    story.meets = meets(move |spot| if spot.t >= from { failing(0.3) } else { fine() });
    let right = story.told_blind(0.0, from);
    Case::told(story, right)
}

fn nothing(luck: &mut Luck) -> Case {
    let mut story = usual(luck);
    let at = luck.between(0.0, 60.0);
    story.unreachable = Box::new(move |spot| spot.t >= at);
    let right = story.told_blind(0.0, at + story.interval);
    Case::told(story, right)
}

/// What fails now and then hides a scrape, not the errors.
fn few_scrapes_fail(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.between(0.05, 0.5));
    let at = luck.between(0.0, 100.0);
    super::sized(&mut story, luck.whole(3, 6));
    story.unreachable = flaky(luck.next(), 0.02, story.interval);
    story.meets = meets(move |spot| if spot.t >= at { failing(share) } else { fine() });
    // A moment without a value does not count towards `for`: one more scrape.
    let mut right = story.soon(0.0, at, 1.0);
    if let super::Right::Rollback { within, .. } = &mut right {
        *within += std::time::Duration::from_secs_f64(2.0 * story.interval);
    }
    Case::told(story, right)
}

/// It comes back before the fault; the range is whole again by then.
fn recorder_was_away(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.between(0.05, 0.5));
    let (at, length) = (luck.between(-60.0, 40.0), luck.between(20.0, 100.0));
    story.silent = Box::new(move |spot| (at..at + length).contains(&spot.t));
    let fault = (at + length + 20.0).max(0.0);
    story.meets = meets(move |spot| {
        if spot.t >= fault {
            failing(share)
        } else {
            fine()
        }
    });
    let right = story.soon(0.0, fault, 1.0);
    Case::told(story, right)
}
