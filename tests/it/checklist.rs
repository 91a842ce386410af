//! The runbook's checklist and the times of its day: what people attest and are told, and what holds the gate.

use std::time::Duration;

use gated::engine::{
    Answer, Call, ChecklistState, Effect, Input, ItemState, Refusal, Settings, Word,
};
use gated::model::{NoticeKind, Status, Timestamp, Verdict};
use jiff::tz::TimeZone;

use crate::world::{RULES, START, World, settings};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Two phases after a go-live at the start, which is midnight in UTC.
const DAY: &str = r#"
[[response]]
severity = "P1"
title = "Alert received"
until = "5m"
steps = ["On-call engineer acknowledges alert"]

[[response]]
severity = "P1"
title = "Post-mortem"
after = "resolution"
until = "48h"

[[phase]]
name = "first"
from = "0h"
until = "1h"
gate = "amber"
checklist = [
  { item = "On-call team confirmed", required = true },
  { item = "No errors (< 1%)", when = "error_rate < 1%", required = true },
  "Announcement draft ready",
]

[[phase.trigger]]
name = "errors"
when = "error_rate > 1%"
for = "30s"
do = "escalate"
severity = "P1"

[[phase]]
name = "second"
from = "1h"
until = "96h"
gate = "amber"

[[phase.activity]]
title = "Every morning"
at = "08:00"
text = "Look at what went on at night."
checklist = [{ item = "Review overnight metrics", required = true }, "Check incident log"]

[[phase.activity]]
title = "Look at the weather"
at = "08:00"
notify = false
checklist = ["Is it raining"]

[[phase.activity]]
title = "Weekend note"
at = "17:00"
on = ["saturday"]

[[phase.activity]]
title = "Retrospective"
at = "09:00"
once = true
notify = true
"#;

fn day(clock: &str) -> Settings {
    let head = &RULES[..RULES.find("[[phase]]").unwrap()];
    let rules = head.replace("clock = \"rollout\"", &format!("clock = \"{clock}\"")) + DAY;
    let mut settings = settings(&rules);
    settings.rollout.go_live = Some(Timestamp::from_millis(START));
    settings
}

pub fn attest(world: &mut World, item: &str, done: bool) -> Result<Answer, Refusal> {
    let said = Word {
        by: "ada".into(),
        reason: "looked".into(),
    };
    world.input(Input::Operator {
        token: 9,
        call: Call::Attest {
            item: item.into(),
            said,
            done,
        },
    });
    let mut answers = world.effects.iter().rev();
    let answer = answers.find_map(|(_, effect)| match effect {
        Effect::Answer { answer, .. } => Some(answer.clone()),
        _ => None,
    });
    answer.unwrap()
}

pub fn item(world: &World, id: &str) -> ChecklistState {
    let all = world.snapshot().checklist;
    let found = all.iter().find(|it| it.id == id);
    found.unwrap_or_else(|| panic!("{id}: {all:?}")).clone()
}

fn reminders(world: &World) -> Vec<(i64, String)> {
    let due = world.decisions().into_iter().filter_map(|it| {
        let title = it.trigger.strip_prefix("due:")?.to_owned();
        Some(((it.at.millis() - START) / MINUTE, title))
    });
    due.collect()
}

#[test]
fn a_required_line_holds_the_gate_until_somebody_attests_it() {
    let mut world = World::new(day("go_live"));
    world.rounds(120);
    let verdict = world.verdict();
    assert_eq!(verdict.verdict, Verdict::NoGo);
    let reason = "checklist: On-call team confirmed is open; when it is done: `gated attest first/on-call-team-confirmed --by NAME`";
    assert_eq!(verdict.reasons, [reason]);
    assert_eq!(item(&world, "first/no-errors-1").state, ItemState::Done);
    attest(&mut world, "first/on-call-team-confirmed", true).unwrap();
    assert_eq!(world.verdict().verdict, Verdict::Go);
    let done = item(&world, "first/on-call-team-confirmed");
    assert_eq!(
        (done.state, done.said.unwrap().by.as_str()),
        (ItemState::Done, "ada")
    );
    // What is not required is shown and holds nothing.
    assert_eq!(
        item(&world, "first/announcement-draft-ready").state,
        ItemState::Open
    );
    // … and what a machine sees is seen by it alone.
    for instance in &mut world.instances {
        instance.errors = 0.02;
    }
    world.rounds(20);
    let seen = item(&world, "first/no-errors-1");
    assert_eq!(seen.state, ItemState::Open);
    assert!(
        world
            .verdict()
            .reasons
            .iter()
            .any(|it| it.contains("No errors (< 1%) is not so"))
    );
    for instance in &mut world.instances {
        instance.down = true;
    }
    world.rounds(30);
    assert_eq!(item(&world, "first/no-errors-1").state, ItemState::Unknown);
    assert_eq!(world.verdict().verdict, Verdict::Unknown);
    // What is known to be open is no go whatever else is not known; both are said.
    attest(&mut world, "first/on-call-team-confirmed", false).unwrap();
    let verdict = world.verdict();
    assert_eq!(
        (verdict.verdict, verdict.status),
        (Verdict::NoGo, Status::Unknown)
    );
    for says in [
        "No errors (< 1%) is not known",
        "On-call team confirmed is open",
    ] {
        let said = verdict.reasons.iter().any(|it| it.contains(says));
        assert!(said, "{says}: {:?}", verdict.reasons);
    }
    attest(&mut world, "first/on-call-team-confirmed", true).unwrap();
    // Taken back, it is open again; over a restart too.
    for instance in &mut world.instances {
        (instance.down, instance.errors) = (false, 0.0);
    }
    attest(&mut world, "first/on-call-team-confirmed", false).unwrap();
    assert_eq!(
        item(&world, "first/on-call-team-confirmed").state,
        ItemState::Open
    );
    attest(&mut world, "first/on-call-team-confirmed", true).unwrap();
    let again = World::restored(day("go_live"), world.ledger(), world.now + 1000);
    assert_eq!(
        item(&again, "first/on-call-team-confirmed").state,
        ItemState::Done
    );
}

#[test]
fn an_item_that_nobody_knows_is_refused_with_the_nearest() {
    let mut world = World::new(day("go_live"));
    let refused = attest(&mut world, "first/on-call-team-confirmd", true).unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("did you mean `first/on-call-team-confirmed`?"),
        "{text}"
    );
    assert!(attest(&mut world, "report/achievement", true).is_ok());
    let refused = attest(&mut world, "report/achivement", true).unwrap_err();
    assert!(
        refused.to_string().contains("`report/achievement`"),
        "{refused}"
    );
}

/// Every morning anew: yesterday's tick is yesterday's.
#[test]
fn a_daily_line_is_due_each_day_and_people_are_told_once() {
    let mut world = World::new(day("go_live"));
    let id = "second/review-overnight-metrics";
    assert_eq!(item(&world, id).state, ItemState::Later);
    slowly(&mut world, 7 * HOUR);
    assert_eq!(
        item(&world, id).state,
        ItemState::Later,
        "its time has not come"
    );
    assert_eq!(world.verdict().verdict, Verdict::Go);
    slowly(&mut world, 2 * HOUR);
    assert_eq!(item(&world, id).state, ItemState::Open);
    assert_eq!(world.verdict().verdict, Verdict::NoGo);
    attest(&mut world, id, true).unwrap();
    assert_eq!(world.verdict().verdict, Verdict::Go);
    slowly(&mut world, 24 * HOUR);
    assert_eq!(item(&world, id).state, ItemState::Open, "another day");
    // Ticked before its time, it is ticked for the day.
    slowly(&mut world, 22 * HOUR);
    attest(&mut world, id, true).unwrap();
    slowly(&mut world, 3 * HOUR);
    assert_eq!(item(&world, id).state, ItemState::Done);
    let morning = |day: i64| ((day * 24 + 8) * 60, "Every morning".to_owned());
    // START is a Thursday: Saturday is the third day.
    let expected = [
        morning(0),
        (9 * 60, "Retrospective".to_owned()),
        morning(1),
        morning(2),
    ];
    assert_eq!(reminders(&world), expected);
    let told = world.owed();
    let told = told
        .iter()
        .filter(|(_, kind)| *kind == NoticeKind::Notification);
    assert_eq!(told.count(), expected.len());
    let reason = world
        .decisions()
        .into_iter()
        .find(|it| it.trigger == "due:Every morning")
        .unwrap()
        .reason;
    assert_eq!(
        reason,
        "Every morning\nLook at what went on at night.\n- Review overnight metrics\n- Check incident log"
    );
}

/// Scrapes every five minutes, so that days go by quickly.
fn slowly(world: &mut World, millis: i64) {
    let end = world.now + millis;
    while world.now < end {
        for _ in 0..4 {
            world.round();
        }
        world.advance_to(end.min(world.now + 4 * MINUTE));
    }
}

#[test]
fn what_was_due_while_gated_was_away_is_told_if_it_is_news() {
    let mut world = World::new(day("go_live"));
    slowly(&mut world, 7 * HOUR);
    let ledger = world.ledger();
    let ten_past = START + 8 * HOUR + 10 * MINUTE;
    let mut soon = World::restored(day("go_live"), ledger, ten_past);
    soon.rounds(60);
    let told = reminders(&soon);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!((489..=490).contains(&told[0].0), "{told:?}");
    // Once, and no second time after another restart.
    let mut again = World::restored(day("go_live"), soon.ledger(), soon.now + 1000);
    again.rounds(60);
    assert_eq!(reminders(&again), []);
    // Nobody who was not there before has missed anything.
    let empty = gated::engine::Restored::default();
    let mut first = World::restored(day("go_live"), empty, START + 8 * HOUR + 20 * MINUTE);
    first.rounds(60);
    assert_eq!(reminders(&first), []);
}

/// What is no news any more is told as what was missed: once, and of many days the last.
#[test]
fn what_was_missed_while_gated_was_away_is_told_with_how_late_it_is() {
    let mut world = World::new(day("go_live"));
    slowly(&mut world, 7 * HOUR);
    let ledger = world.ledger();
    let said = |world: &World| -> Vec<String> {
        let decisions = world.decisions();
        let due = decisions.iter().filter(|it| it.trigger.starts_with("due:"));
        let first = due.map(|it| it.reason.lines().next().unwrap().to_owned());
        first.collect()
    };
    let mut zoned = day("go_live");
    zoned.zone = TimeZone::fixed(jiff::tz::offset(-1));
    let late = |hours: i64, settings: Settings| {
        let mut late = World::restored(settings, ledger.clone(), START + hours * HOUR);
        late.advance_to(late.now + 1000);
        late
    };
    let nine = late(9, day("go_live"));
    let morning =
        "Every morning (was due at 2026-01-01 08:00; gated was away until 2026-01-01 09:00)";
    // What is due at nine is on time.
    assert_eq!(said(&nine), [morning, "Retrospective"]);
    let told = nine.owed().into_iter();
    let told = told.filter(|(_, kind)| *kind == NoticeKind::Notification);
    assert_eq!(told.count(), 2);
    let mut again = World::restored(day("go_live"), nine.ledger(), nine.now + 1000);
    again.rounds(60);
    assert_eq!(said(&again), [""; 0]);
    // Three mornings went by, and the weekend's note, whose day is over as well.
    assert_eq!(
        said(&late(3 * 24, day("go_live"))),
        [
            "Retrospective (was due at 2026-01-01 09:00; gated was away until 2026-01-04 00:00)",
            "Every morning (was due at 2026-01-03 08:00; gated was away until 2026-01-04 00:00)",
            "Weekend note (was due at 2026-01-03 17:00; gated was away until 2026-01-04 00:00)",
        ]
    );
    let there = said(&late(10, zoned));
    let morning =
        "Every morning (was due at 2026-01-01 08:00; gated was away until 2026-01-01 09:00)";
    assert_eq!(there[0], morning, "by the service's clock");
}

/// T4: on the day on which the clock goes forward, phases by the wall keep the hours that people read; those by elapsed
/// time do not.
#[test]
fn phases_by_the_wall_follow_the_clock_of_the_zone() {
    let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    // 2026-03-29T00:00 in Berlin; at 02:00 it becomes 03:00.
    let midnight: Timestamp = "2026-03-28T23:00:00Z".parse().unwrap();
    for (clock, second) in [
        ("wall", "2026-03-29T02:00:00Z"),
        ("go_live", "2026-03-29T03:00:00Z"),
    ] {
        let rules = "[signals.up]\nexpr = 'sum(up)'\nunit = \"none\"\n\n[[phase]]\nname = \"night\"\nfrom = \"0h\"\nuntil = \"4h\"\n\n\
             [[phase]]\nname = \"morning\"\nfrom = \"4h\"\nuntil = \"8h\"\n";
        let rules = format!("clock = \"{clock}\"\n{rules}");
        let mut settings = settings(&rules);
        settings.rollout.go_live = Some(midnight);
        settings.zone = berlin.clone();
        let mut world = World::restored(
            settings,
            gated::engine::Restored::default(),
            midnight.millis(),
        );
        let second: Timestamp = second.parse().unwrap();
        world.rounds(60);
        world.advance_to(second.millis() - 1);
        world.round();
        world.round();
        let runs = world.snapshot().phase_runs;
        let morning = runs.iter().find(|it| it.phase == "morning").unwrap();
        assert_eq!(morning.from, second, "{clock}");
    }
}

/// After a P1 somebody must say within two days that its post-mortem was held.
#[test]
fn a_post_mortem_is_due_after_a_grave_incident() {
    let mut world = World::new(day("go_live"));
    world.rounds(120);
    for instance in &mut world.instances {
        instance.errors = 0.2;
    }
    world.rounds(120);
    for instance in &mut world.instances {
        instance.errors = 0.0;
    }
    world.rounds(120);
    let incident = world.snapshot().incidents[0].incident.clone();
    let (over, _) = incident.resolved.clone().expect("the errors are over");
    let id = format!("incidents/{}/post-mortem", incident.id);
    let due = item(&world, &id);
    assert_eq!(
        (due.state, due.due),
        (ItemState::Open, Some(over + Duration::from_secs(48 * 3600)))
    );
    slowly(&mut world, 47 * HOUR);
    assert!(
        reminders(&world)
            .iter()
            .all(|(_, title)| title != "Post-mortem")
    );
    let mut attested = World::restored(day("go_live"), world.ledger(), world.now);
    attest(&mut attested, &id, true).unwrap();
    slowly(&mut attested, 2 * HOUR);
    assert_eq!(item(&attested, &id).state, ItemState::Done);
    assert!(
        reminders(&attested)
            .iter()
            .all(|(_, title)| title != "Post-mortem")
    );
    slowly(&mut world, 2 * HOUR);
    let overdue = reminders(&world);
    assert!(
        overdue.iter().any(|(_, title)| title == "Post-mortem"),
        "{overdue:?}"
    );
    assert_eq!(item(&world, &id).why, "overdue");
}
