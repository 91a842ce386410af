//! The runbook's checklist, the times of its day, and the criteria of the exit: what a machine sees, what people attest,
//! what holds the gate and until when.

use std::sync::Arc;
use std::time::Duration;

use gated::engine::{
    Answer, Call, ChecklistState, CriterionOutcome, CriterionState, Effect, Input, ItemState,
    Observed, Refusal, Settings, Word,
};
use gated::model::labels::NAME;
use gated::model::{Labels, NoticeKind, Status, Timestamp, Verdict};
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

fn attest(world: &mut World, item: &str, done: bool) -> Result<Answer, Refusal> {
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

fn item(world: &World, id: &str) -> ChecklistState {
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

const EXIT: &str = r#"
[uptime]
down = "error_rate > 1%"

[signals.tickets]
expr = 'sum(support_tickets_open)'
unit = "count"

[[phase]]
name = "watch"
from = "0s"
until = "1h"

[[phase.trigger]]
name = "errors"
when = "error_rate > 1%"
for = "30s"
do = "escalate"
severity = "P1"

[[phase]]
name = "exit"
from = "1h"

[[phase.criterion]]
title = "Uptime > 90%"
uptime = "> 90%"
over = "2h"

[[phase.criterion]]
title = "Zero P1 incidents"
no_incidents = "P1"
over = "2h"

[[phase.criterion]]
title = "Few errors"
when = "error_rate < 0.5%"
over = "2h"

[[phase.criterion]]
title = "Few errors of late"
when = "error_rate < 0.5%"
over = "1h"

[[phase.criterion]]
title = "Errors now"
when = "error_rate < 0.5%"

[[phase.criterion]]
title = "Tickets stable"
stable = "tickets"
over = "2h"

[[phase.criterion]]
title = "Team trained"
attested = true
"#;

fn exit() -> Settings {
    let head = &RULES[..RULES.find("[[phase]]").unwrap()];
    let rules = head.to_owned() + EXIT;
    let mut settings = settings(&rules.replace("clock = \"rollout\"", "clock = \"go_live\""));
    settings.rollout.go_live = Some(Timestamp::from_millis(START));
    settings
}

fn criterion(world: &World, id: &str) -> CriterionState {
    let all = world.snapshot().criteria;
    all.iter()
        .find(|it| it.id == format!("exit/{id}"))
        .unwrap()
        .clone()
}

fn minute(at: Option<Timestamp>) -> i64 {
    let at = at.expect("a time");
    (at.millis() - START) / MINUTE
}

#[test]
fn criteria_say_met_or_not_and_from_when_at_the_earliest() {
    let mut world = World::new(exit());
    world.rounds(10 * 60);
    // Ten minutes are no two hours: blocked until they are over, whatever was good so far.
    for id in ["uptime-90", "zero-p1-incidents", "few-errors"] {
        let it = criterion(&world, id);
        let CriterionOutcome::Blocked(until) = it.outcome else {
            panic!("{it:?}");
        };
        assert!((110..=121).contains(&minute(until)), "{it:?}");
    }
    assert_eq!(
        criterion(&world, "errors-now").outcome,
        CriterionOutcome::Met
    );
    // Three bad minutes.
    for instance in &mut world.instances {
        instance.errors = 0.2;
    }
    world.rounds(3 * 60);
    for instance in &mut world.instances {
        instance.errors = 0.0;
    }
    world.rounds(118 * 60);
    let calm = criterion(&world, "zero-p1-incidents");
    let CriterionOutcome::NotMet(until) = calm.outcome else {
        panic!("{calm:?}");
    };
    let resolved = world.snapshot().incidents[0]
        .incident
        .resolved
        .clone()
        .unwrap()
        .0;
    assert_eq!(until, Some(resolved + Duration::from_secs(7200)));
    let few = criterion(&world, "few-errors");
    let CriterionOutcome::NotMet(until) = few.outcome else {
        panic!("{few:?}");
    };
    assert!((132..=135).contains(&minute(until)), "{few:?}");
    assert_eq!(
        criterion(&world, "uptime-90").outcome,
        CriterionOutcome::Met
    );
    assert!(
        criterion(&world, "team-trained")
            .why
            .contains("gated attest exit/team-trained")
    );
    let verdict = world.verdict();
    assert_ne!(verdict.verdict, Verdict::Go);
    assert!(
        verdict
            .reasons
            .iter()
            .any(|it| it.starts_with("not met: Zero P1 incidents")),
        "{:?}",
        verdict.reasons
    );
    // Each turns met when it said, not a minute before.
    let earliest = minute(until);
    world.advance_to(world.now);
    while (world.now - START) / MINUTE < earliest - 1 {
        world.rounds(60);
    }
    assert_ne!(
        criterion(&world, "few-errors").outcome,
        CriterionOutcome::Met
    );
    world.rounds(120);
    assert_eq!(
        criterion(&world, "few-errors").outcome,
        CriterionOutcome::Met
    );
    attest(&mut world, "exit/team-trained", true).unwrap();
    assert_eq!(
        criterion(&world, "team-trained").outcome,
        CriterionOutcome::Met
    );
}

/// A signal that is looked back on twice has its minutes once, after a restart as well.
#[test]
fn a_restart_counts_no_minute_twice() {
    let mut world = World::new(exit());
    world.rounds(70 * 60);
    let before = criterion(&world, "few-errors");
    assert!(
        matches!(before.outcome, CriterionOutcome::Blocked(_)),
        "{before:?}"
    );
    let mut again = World::restored(exit(), world.ledger(), world.now + 1000);
    again.rounds(60);
    let after = criterion(&again, "few-errors");
    assert!(
        matches!(after.outcome, CriterionOutcome::Blocked(_)),
        "{after:?}"
    );
}

/// What gated did not see for more than a twentieth of the time it does not call good.
#[test]
fn unknown_minutes_block_a_criterion() {
    let mut world = World::new(exit());
    world.rounds(60 * 60);
    for instance in &mut world.instances {
        instance.down = true;
    }
    world.rounds(10 * 60);
    for instance in &mut world.instances {
        instance.down = false;
    }
    world.rounds(55 * 60);
    let it = criterion(&world, "uptime-90");
    assert!(
        matches!(it.outcome, CriterionOutcome::Blocked(Some(_))),
        "{it:?}"
    );
    assert!(it.why.contains("unknown"), "{it:?}");
    // Who did not look has not seen that there was no incident.
    let calm = criterion(&world, "zero-p1-incidents");
    let CriterionOutcome::Blocked(Some(until)) = calm.outcome else {
        panic!("{calm:?}");
    };
    assert!(minute(Some(until)) > 125, "{calm:?}");
}

/// An incident is a reason at once, and for as long when the ledger has let go of the decisions about it.
#[test]
fn an_incident_counts_at_once_and_without_its_decisions() {
    let mut world = World::new(exit());
    // Seconds past the minute, so that no end of one is near.
    world.rounds(50 * 60 + 10);
    for instance in &mut world.instances {
        instance.errors = 0.2;
    }
    while world.snapshot().incidents.is_empty() {
        world.round();
    }
    let calm = |world: &World| criterion(world, "zero-p1-incidents");
    assert!(calm(&world).why.contains("is open"), "{:?}", calm(&world));
    for instance in &mut world.instances {
        instance.errors = 0.0;
    }
    while world.snapshot().incidents[0].incident.is_open() {
        world.round();
    }
    assert!(calm(&world).why.contains(" ended "), "{:?}", calm(&world));
    world.rounds(60 * 60);
    let mut ledger = world.ledger();
    ledger.decisions.clear();
    ledger.deliveries.clear();
    let later = World::restored(exit(), ledger, world.now + 1000);
    assert!(calm(&later).why.contains(" ended "), "{:?}", calm(&later));
}

/// A word stands for what no machine sees, and for nothing that it does see.
#[test]
fn a_word_counts_where_the_machine_is_blind() {
    let item_of = r#"until = "1h"
checklist = [{ item = "Few tickets", when = "tickets < 5" }]"#;
    let head = &RULES[..RULES.find("[[phase]]").unwrap()];
    let text = head.to_owned() + &EXIT.replacen("until = \"1h\"", item_of, 1);
    let mut seeing = exit();
    seeing.rules = settings(&text.replace("clock = \"rollout\"", "clock = \"go_live\"")).rules;
    let mut world = World::new(seeing);
    world.rounds(60);
    let state = |world: &World| {
        let it = item(world, "watch/few-tickets");
        (it.state, it.by_machine)
    };
    assert_eq!(state(&world), (ItemState::Unknown, true));
    attest(&mut world, "watch/few-tickets", true).unwrap();
    world.rounds(10);
    assert_eq!(state(&world), (ItemState::Done, false));
    for (value, expected) in [(9.0, ItemState::Open), (2.0, ItemState::Done)] {
        let labels = Labels::new([(NAME, "support_tickets_open")]);
        let call = Call::Observe {
            values: vec![Observed { labels, value }],
            lifetime: Duration::from_secs(3600),
            by: "ada".into(),
        };
        world.input(Input::Operator { token: 7, call });
        world.rounds(10);
        assert_eq!(state(&world), (expected, true), "{value}");
    }
}

/// Criteria that a reload brings look back on the ledger's minutes.
#[test]
fn criteria_of_a_reload_count_what_was_before() {
    let before = || {
        let mut settings = exit();
        let text = EXIT.split("[[phase.criterion]]").next().unwrap();
        let head = &RULES[..RULES.find("[[phase]]").unwrap()];
        let text = (head.to_owned() + text).replace("clock = \"rollout\"", "clock = \"go_live\"");
        settings.rules = crate::world::settings(&text).rules;
        settings
    };
    let mut world = World::new(before());
    world.rounds(130 * 60);
    world.input(Input::Reload(Arc::new(exit())));
    world.rounds(2 * 60);
    let few = |world: &World| criterion(world, "few-errors").outcome;
    assert!(
        matches!(few(&world), CriterionOutcome::Blocked(_)),
        "{:?}",
        few(&world)
    );
    let minutes = world.ledger().minutes;
    world.input(Input::Recalled(minutes));
    world.rounds(60);
    assert_eq!(few(&world), CriterionOutcome::Met);
}

/// Totals of the day count from the go-live to the end of their phase, whatever comes after.
#[test]
fn totals_since_the_go_live_end_with_their_phase() {
    let since = r#"until = "1h"
checklist = [
  { item = "No P1 so far", no_incidents = "P1", over = "go_live" },
  { item = "Up so far", uptime = "> 90%", over = "go_live" },
]"#;
    let totals = || {
        let mut settings = exit();
        let text = EXIT.replacen("until = \"1h\"", since, 1)
            + r#"
[[phase.trigger]]
name = "errors of the exit"
when = "error_rate > 1%"
for = "30s"
do = "escalate"
severity = "P1"
"#;
        let head = &RULES[..RULES.find("[[phase]]").unwrap()];
        let text = (head.to_owned() + &text).replace("clock = \"rollout\"", "clock = \"go_live\"");
        settings.rules = crate::world::settings(&text).rules;
        settings
    };
    let states = |world: &World| {
        let state = |id: &str| item(world, &format!("watch/{id}")).state;
        (state("no-p1-so-far"), state("up-so-far"))
    };
    let bad = |world: &mut World, minutes: i64| {
        for instance in &mut world.instances {
            instance.errors = 0.2;
        }
        world.rounds(minutes * 60);
        for instance in &mut world.instances {
            instance.errors = 0.0;
        }
    };
    // A bad start is not forgotten.
    let mut world = World::new(totals());
    world.rounds(5 * 60);
    bad(&mut world, 3);
    world.rounds(51 * 60);
    assert_eq!(states(&world), (ItemState::Open, ItemState::Done));
    world.rounds(90 * 60);
    assert_eq!(states(&world), (ItemState::Open, ItemState::Done));
    // What comes after the hour is none of its.
    let mut world = World::new(totals());
    world.rounds(61 * 60);
    assert_eq!(states(&world), (ItemState::Done, ItemState::Done));
    bad(&mut world, 20);
    assert_eq!(world.snapshot().incidents.len(), 1);
    world.rounds(20 * 60);
    assert_eq!(states(&world), (ItemState::Done, ItemState::Done));
}
