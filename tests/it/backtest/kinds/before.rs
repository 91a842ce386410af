//! What was broken before the rollout already: people are called, and nothing is rolled back that is not the cause.

use super::super::fleet::Deploy;
use super::super::luck::Luck;
use super::super::reckon::{LONG_RANGE, THRESHOLD};
use super::{Case, Row, clearly, failing, fine, meets, on_and_off, usual};

pub const KINDS: &[Row] = &[
    ("broken before, steadily", "escalate", 8, steady),
    ("broken for the last minutes before", "escalate", 6, lately),
    ("rising before the rollout", "escalate", 6, rising),
    ("comes and goes, before and after", "escalate", 6, flapping),
    ("slow before and after", "escalate", 5, slow),
    ("broken before, much worse after", "rollback", 7, worse),
    ("breaks after the watch", "escalate", 6, late),
];

fn steady(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.by_size(0.02, 0.3));
    super::with_past(&mut story);
    story.meets = meets(move |_| failing(share));
    let right = story.called(0.0, story.from, false);
    Case::told(story, right)
}

/// Without a break over the last minute is enough.
fn lately(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.by_size(0.04, 0.3));
    super::with_past(&mut story);
    let at = -luck.between(100.0, 280.0);
    story.meets = meets(move |spot| if spot.t >= at { failing(share) } else { fine() });
    let right = story.called(0.0, at, false);
    Case::told(story, right)
}

/// It has reached its height minutes before the rollout, so that it is not worse afterwards.
fn rising(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.by_size(0.03, 0.2));
    super::with_past(&mut story);
    let (at, top) = (-luck.between(400.0, 540.0), -luck.between(200.0, 250.0));
    story.meets = meets(move |spot| failing(share * ((spot.t - at) / (top - at)).clamp(0.0, 1.0)));
    let right = story.called(0.0, top, false);
    Case::told(story, right)
}

/// Never above the threshold for 30 s in 15 s, always in two minutes: before and after alike.
fn flapping(luck: &mut Luck) -> Case {
    loop {
        let mut story = usual(luck);
        let (on, period) = (luck.between(6.0, 10.0), luck.pick(&[30.0, 40.0, 60.0]));
        let share = luck.between(0.2, 0.6);
        let mean = share * on / LONG_RANGE;
        if !story.is_clear_in_long(mean * 0.8) || mean < 2.0 * THRESHOLD {
            continue;
        }
        super::with_past(&mut story);
        story.deploys[0].2 = Deploy::Switched;
        story.meets = on_and_off(on, period, story.from, failing(share));
        let right = story.called(0.0, story.from, true);
        return Case::told(story, right);
    }
}

fn slow(luck: &mut Luck) -> Case {
    let mut story = usual(luck);
    story.rps = story.rps.max(60.0);
    super::with_past(&mut story);
    let p95 = luck.by_size(0.75, 3.0);
    let factor = p95 / (0.04 * (1.645 * story.spread).exp()) * 1.1;
    story.meets = meets(move |_| super::slower(factor));
    let right = story.called(0.0, story.from, false);
    Case::told(story, right)
}

/// Three times what it was, and more: worse by `predates_margin`, chance included.
fn worse(luck: &mut Luck) -> Case {
    loop {
        let (mut story, share) = clearly(luck, |luck| luck.by_size(0.02, 0.06));
        let after = share * luck.between(3.0, 8.0);
        if !story.is_clear(after) {
            continue;
        }
        super::with_past(&mut story);
        story.base = 0.0;
        story.deploys[0].2 = luck.pick(&[Deploy::InPlace(0.0), Deploy::Switched]);
        story.meets = meets(move |spot| failing(if spot.version > 0 { after } else { share }));
        let right = story.soon(0.0, 0.0, 1.0);
        return Case::told(story, right);
    }
}

/// 20 minutes are watched; from then on people are called.
fn late(luck: &mut Luck) -> Case {
    let (mut story, share) = clearly(luck, |luck| luck.by_size(0.04, 0.5));
    story.interval = story.interval.max(5.0);
    story.instances = story.instances.min(4);
    story.from = -200.0;
    let at = 1200.0 + luck.between(10.0, 120.0);
    story.meets = meets(move |spot| if spot.t >= at { failing(share) } else { fine() });
    let right = story.called(0.0, at, false);
    Case::told(story, right)
}
