//! Releases that are well, whatever it looks like for a while: nothing is rolled back and nobody called.

use super::super::fleet::{Deploy, Spot};
use super::super::luck::Luck;
use super::super::packed::Packed;
use super::super::reckon::{HOLD, QUIET, RANGE, THRESHOLD};
use super::{
    Case, NEW, Row, clearly, failing, fine, flaky, from_version, loaded, meets, slower, usual,
    with_traffic,
};

pub const KINDS: &[Row] = &[
    ("good release", "quiet", 12, good),
    ("good, no 5xx series", "quiet", 8, no_5xx),
    ("good, restarted one by one", "quiet", 7, one_by_one),
    ("good, replaced in waves", "quiet", 7, in_waves),
    ("slow for the first seconds", "quiet", 7, slow_start),
    ("a burst of errors shorter than `for`", "quiet", 8, burst),
    ("latency doubles, below the threshold", "quiet", 6, doubled),
    (
        "one bad instance, below the threshold of all",
        "quiet",
        8,
        one_bad,
    ),
    ("traffic falls to a tenth", "quiet", 6, night),
    ("traffic rises fivefold", "quiet", 6, spike),
    (
        "old version's errors end with the rollout",
        "quiet",
        6,
        cured,
    ),
    ("a few scrapes fail", "quiet", 7, few_scrapes_fail),
    ("good, inferred", "quiet", 7, inferred),
    (
        "no rollout: versions come and go unseen",
        "quiet",
        5,
        nothing_rolled_out,
    ),
    (
        "good, files with repeated, late, unsorted samples",
        "quiet",
        10,
        files,
    ),
];

fn good(luck: &mut Luck) -> Case {
    Case::told(usual(luck), QUIET)
}

fn no_5xx(luck: &mut Luck) -> Case {
    let mut story = usual(luck);
    (story.base, story.lazy) = (0.0, true);
    Case::told(story, QUIET)
}

fn one_by_one(luck: &mut Luck) -> Case {
    let mut story = usual(luck);
    let over = luck.between(60.0, 240.0);
    story.deploys = vec![(0.0, NEW, Deploy::InPlace(over))];
    // Some restart once more afterwards.
    let again = (0..story.instances).filter(|it| it % 2 == 0);
    story.restarts = again
        .map(|place| (luck.between(245.0, 290.0), place))
        .collect();
    Case::told(story, QUIET)
}

fn in_waves(luck: &mut Luck) -> Case {
    let mut story = usual(luck);
    let over = luck.between(30.0, 240.0);
    story.deploys = vec![(0.0, NEW, Deploy::Replaced(over))];
    Case::told(story, QUIET)
}

/// Above 500 ms for at most 28 s and the range behind them: when the rollout has settled, less than `for` is left.
fn slow_start(luck: &mut Luck) -> Case {
    let mut story = usual(luck);
    let (until, factor) = (luck.between(8.0, 28.0), luck.between(8.0, 40.0));
    story.meets = meets(move |spot| {
        if (0.0..until).contains(&spot.t) {
            slower(factor)
        } else {
            fine()
        }
    });
    Case::told(story, QUIET)
}

/// The burst and the range behind it are shorter than `for`; over two minutes it is gone after two minutes.
fn burst(luck: &mut Luck) -> Case {
    let mut story = usual(luck);
    let (at, length) = (
        luck.between(5.0, 200.0),
        luck.between(3.0, HOLD - RANGE - 3.0),
    );
    let share = luck.between(0.2, 0.6);
    story.meets = meets(move |spot| {
        if (at..at + length).contains(&spot.t) {
            failing(share)
        } else {
            fine()
        }
    });
    Case::told(story, QUIET)
}

/// p95 is at most 120 ms with the widest spread and drift, and 250 ms doubled.
fn doubled(luck: &mut Luck) -> Case {
    let mut story = usual(luck);
    let factor = luck.between(1.6, 2.2);
    story.meets = from_version(1, slower(factor));
    Case::told(story, QUIET)
}

/// One of ten with 9 % is 0.9 % of all, where there is traffic enough to tell that from 1 %.
fn one_bad(luck: &mut Luck) -> Case {
    loop {
        let mut story = usual(luck);
        story.interval = story.interval.max(5.0);
        super::sized(&mut story, luck.pick(&[10, 20]));
        story.from = -120.0;
        story.base = 0.0;
        let share = luck.between(0.03, 0.09);
        // An instance gets up to 15 % more than its part.
        if story.is_calm(1.2 * share / story.instances as f64, story.rps) {
            let place = luck.whole(0, story.instances - 1);
            story.meets = meets(move |spot: Spot| {
                if spot.place == place && spot.version > 0 {
                    failing(share)
                } else {
                    fine()
                }
            });
            return Case::told(story, QUIET);
        }
    }
}

fn night(luck: &mut Luck) -> Case {
    loop {
        let rps = luck.by_size(120.0, 2000.0);
        let mut story = with_traffic(luck, rps);
        if story.is_calm(story.base, rps / 10.0) {
            let at = luck.between(-100.0, 100.0);
            story.meets = meets(move |spot| loaded(if spot.t < at { 1.0 } else { 0.1 }));
            return Case::told(story, QUIET);
        }
    }
}

fn spike(luck: &mut Luck) -> Case {
    let rps = luck.by_size(30.0, 400.0);
    let mut story = with_traffic(luck, rps);
    let (at, length) = (luck.between(0.0, 100.0), luck.between(20.0, 150.0));
    story.meets = meets(move |spot| {
        loaded(if (at..at + length).contains(&spot.t) {
            5.0
        } else {
            1.0
        })
    });
    Case::told(story, QUIET)
}

/// What two minutes hold of them is gone before three minutes have passed since the rollout settled.
fn cured(luck: &mut Luck) -> Case {
    let mut story = usual(luck);
    let share = luck.between(0.02, 0.3);
    story.meets = meets(move |spot| {
        if spot.version == 0 {
            failing(share)
        } else {
            fine()
        }
    });
    if luck.happens(0.5) {
        story.deploys = vec![(0.0, NEW, Deploy::InPlace(40.0))];
    }
    Case::told(story, QUIET)
}

fn few_scrapes_fail(luck: &mut Luck) -> Case {
    let mut story = usual(luck);
    story.unreachable = flaky(luck.next(), 0.03, story.interval);
    Case::told(story, QUIET)
}

fn inferred(luck: &mut Luck) -> Case {
    let mut story = usual(luck);
    let over = luck.between(0.0, 120.0);
    story.deploys[0].2 = luck.pick(&[
        Deploy::InPlace(over),
        Deploy::Replaced(over),
        Deploy::Switched,
    ]);
    Case {
        inferred: true,
        rollouts: Vec::new(),
        ..Case::told(story, QUIET)
    }
}

/// Errors far above the threshold, instances that are away for a while, and no other version: there is nothing that could
/// be rolled back, and no phase in which anybody asked to be called.
fn nothing_rolled_out(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.between(0.05, 0.3));
    assert!(share > THRESHOLD);
    story.deploys = Vec::new();
    story.meets = meets(move |spot| {
        if spot.t > 30.0 {
            failing(share)
        } else {
            fine()
        }
    });
    story.unreachable = Box::new(|spot| spot.place == 0 && (0.0..90.0).contains(&spot.t));
    story.restarts = vec![(100.0, 0), (150.0, 1)];
    Case {
        inferred: true,
        rollouts: Vec::new(),
        ..Case::told(story, QUIET)
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
        ..good(luck)
    }
}
