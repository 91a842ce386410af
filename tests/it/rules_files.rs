//! Rules files as people write them: what loads, and what is said about what does not.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use expect_test::{Expect, expect};
use gated::model::{Action, Severity, Status, Unit};
use gated::runbook::{
    Bound, Clock, Condition, Grade, Hold, NoData, Op, Rules, Source, When, load, load_with,
};
use proptest::prelude::*;

const SIGNALS: &str = r#"
[signals.errors]
expr = 'sum(rate(errors_total[20s])) / sum(rate(requests_total[20s]))'
unit = "ratio"
enough = 'sum(increase(requests_total[1m])) >= 100'
[signals.latency]
expr = 'max(latency_seconds)'
unit = "seconds"
[signals.memory]
expr = 'max(memory_bytes)'
unit = "bytes"
[signals.tickets]
expr = 'sum(tickets)'
unit = "per_hour"
"#;

fn source(path: &str, text: &str) -> Source {
    Source {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

pub fn shared(path: &str) -> Source {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    source(
        path,
        &fs::read_to_string(file).expect("a file of this repository"),
    )
}

/// A phase with one trigger made of these lines, after the signals.
fn trigger(lines: &str) -> Source {
    let text = format!("{SIGNALS}[[phase]]\nname = \"p\"\n[[phase.trigger]]\n{lines}\n");
    source("t.toml", &text)
}

fn loaded(source: Source) -> Rules {
    load(&[source]).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Messages with their line, without the drawing.
fn messages(files: &[Source]) -> Vec<String> {
    let faults = match load_with(files, &|_| None, Some(Duration::from_secs(5))) {
        Ok((_, warnings)) => warnings,
        Err(faults) => faults,
    };
    let line = |it: &gated::runbook::Fault| {
        let help = if it.help.is_empty() {
            String::new()
        } else {
            format!(" | {}", it.help)
        };
        format!("{}: {}{help}", it.line(&faults.sources), it.message)
    };
    faults.faults.iter().map(line).collect()
}

#[test]
fn a_broken_signal_hides_no_fault_of_what_is_compared_with_it() {
    let text = r#"[signals.broken]
expr = 'sum(x'
unit = "seconds"
[signals.odd]
expr = 'y'
unit = "parsecs"
[[phase]]
name = "p"
[phase.targets]
broken = "~ 5"
odd = "< 12 parsecs"
[[phase.trigger]]
name = "t"
when = "broken > 5 apples and odd > 3 parsecs"
do = "notify"
"#;
    expect![[r#"
        2: `(` is never closed | write a `)` for each `(`
        6: `parsecs` is not known as `unit` | write "seconds" or "ratio" or "bytes" or "count" or "score" or "per_second" or "per_minute" or "per_hour" or "none"
        10: a comparison is missing here | write one of < <= > >= == != and then the bound, such as "< 100ms"
        14: `5 apples` is not a duration | write a duration with its unit, such as "30s", "500ms", "2h 30m" or "1d""#]].assert_eq(&messages(&[source("r.toml", text)]).join("\n"));
}

fn check(text: &str, expected: &Expect) {
    let faults = load(&[source("rules/day.toml", text)]).expect_err("a fault");
    expected.assert_eq(&faults.render(false));
}

#[test]
fn the_shipped_rules_load_together_and_alone_without_a_warning() {
    let files = [shared("rules/day1.toml"), shared("rules/rollout.toml")];
    let interval = Some(Duration::from_secs(5));
    for files in [&files[..], &files[..1], &files[1..]] {
        let (_, warnings) = load_with(files, &|_| None, interval).unwrap_or_else(|e| panic!("{e}"));
        assert!(warnings.is_empty(), "{warnings}");
    }
    let rules = load(&files[..1]).unwrap();
    let names: Vec<&str> = rules.phases.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        names.join(" "),
        "preflight deployment access business-hours peak sustained week-1 stabilization transition exit"
    );
    // The hours of the first day follow each other, and so do the weeks, whose first has that day in it.
    for phases in [&rules.phases[..6], &rules.phases[6..]] {
        assert!(phases[0].from.is_zero());
        for pair in phases.windows(2) {
            let name = &pair[0].name;
            assert_eq!(
                pair[0].until,
                Some(pair[1].from),
                "{name} is followed at once"
            );
        }
    }
}

/// What is wrong in uptime, checklists, activities, criteria and the clock of incidents: all of it, each in its place.
#[test]
fn faults_of_the_day_are_shown_at_once() {
    let text = r#"[uptime]
down = "no_such > 1%"
objective = "100%"
over = "90d"
[signals.uptime]
expr = "up"
[signals.tickets]
expr = "tickets"
unit = "count"
[[response]]
severity = "P9"
title = "t"
from = "5m"
until = "1m"
[[phase]]
name = "p"
checklist = ["Same words", "same: WORDS", "***", { item = "x", when = "tickets > 1", stable = "tickets" }]
[phase.targets]
tickets = "between 5 and 1"
[phase.expected]
tickets = "within 10 of it"
[[phase.activity]]
title = "a"
at = "9 am"
on = ["mon"]
[[phase.activity]]
title = "b"
at = "09:00"
on = []
[[phase.activity]]
title = "b"
at = "10:00"
[[phase.criterion]]
title = "nothing"
[[phase.criterion]]
title = "both"
attested = true
uptime = "> 99"
over = "14d"
[[phase.criterion]]
title = "no span"
no_incidents = "P1"
"#;
    expect![[r#"
        2: there is no signal `no_such` | define it: [signals.no_such]
        3: an objective is above 0% and below 100% | write objective = "99.9%"
        4: uptime is counted over one hour at least and 40 days at most | write over = "30d"
        5: `uptime` is the signal that gated makes itself, once a minute | give this one another name; what counts as down stands in [uptime]
        11: `P9` is not known as `severity` | write "P1" or "P2" or "P3" or "P4"
        13: this ends before it begins | write a `from` that is shorter than `until`
        17: `p/same-words` stands twice | give one of them other words: people attest an item by them
        17: `***` has no words to be called by | write what is to be done: "On-call team confirmed"
        17: a machine sees it in one way | write one of uptime = "> 99.9%", no_incidents = "P1", when = "user_satisfaction > 4", stable = "support_tickets_open"
        19: nothing lies between these: the first is above the second | write "between 10 and 50" or "within 10% of baseline"
        21: `10 of it` is no distance from a baseline | write "between 10 and 50" or "within 10% of baseline"
        24: `9 am` is no time of day | write at = "09:00", in the time zone of [service]
        25: `mon` is no day of the week | write on = ["monday", "friday"]
        29: this never comes: `on` names no day | write on = ["monday", "friday"], or leave it out for every day
        31: activity `b` stands twice in this phase | give one another title
        33: a criterion is either attested or seen by a machine | write attested = true, or one of uptime = "> 99.9%", no_incidents = "P1", when = "user_satisfaction > 4", stable = "support_tickets_open"
        35: a criterion is either attested or seen by a machine | write attested = true, or one of uptime = "> 99.9%", no_incidents = "P1", when = "user_satisfaction > 4", stable = "support_tickets_open"
        38: `99` as a share is 9900% | write "99%" or "9900%"
        40: `over` is missing: how far back this looks | write over = "14d", or over = "go_live""#]].assert_eq(&messages(&[source("r.toml", text)]).join("\n"));
}

#[test]
fn hours_one_and_two_are_the_runbooks() {
    let rules = loaded(shared("rules/day1.toml"));
    let armed: Vec<&str> = rules
        .phases
        .iter()
        .filter(|it| it.armed)
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(armed, ["deployment"]);
    let preflight: Vec<&str> = rules
        .phases
        .iter()
        .filter(|it| it.preflight)
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(preflight, ["preflight"]);
    let phase = rules
        .phases
        .iter()
        .find(|it| it.name == "deployment")
        .unwrap();
    assert_eq!(phase.clock, Clock::Wall);
    let hour = |n: u64| Duration::from_secs(n * 3600);
    assert_eq!((phase.from, phase.until), (hour(1), Some(hour(3))));
    let target = |name: &str| {
        let found = phase
            .targets
            .iter()
            .find(|it| rules.signals[it.signal].name == name);
        let Condition::Compare { threshold, .. } = &found.unwrap().condition else {
            panic!("{name}")
        };
        (threshold.op, threshold.bound)
    };
    assert_eq!(target("api_latency_p95"), (Op::Lt, Bound::Value(0.1)));
    assert_eq!(target("cpu_utilization"), (Op::Lt, Bound::Value(0.4)));
    assert_eq!(target("memory_utilization"), (Op::Lt, Bound::Value(0.6)));
    assert_eq!(target("error_rate"), (Op::Eq, Bound::Value(0.0)));
    assert_eq!(target("throughput"), (Op::Gt, Bound::OfBaseline(0.5)));
    let triggers: Vec<String> = phase
        .triggers
        .iter()
        .map(|it| {
            assert_eq!(
                (it.action, it.severity),
                (Action::Rollback, Severity::P1),
                "{}",
                it.name
            );
            format!("{} {:?}", it.text, it.hold)
        })
        .collect();
    assert_eq!(
        triggers,
        [
            "smoke_test_failures > 0 For(0ns)",
            "error_rate > 1% For(30s)",
            "api_latency_p95 > 500ms For(30s)",
            "components_down > 0 For(30s)",
        ]
    );
}

#[test]
fn the_scenarios_rules_load() {
    let rules = loaded(shared("tests/data/scenarios/rules/rollout.toml"));
    assert_eq!((rules.signals.len(), rules.phases.len()), (6, 2));
    assert_eq!(
        messages(&[shared("tests/data/scenarios/rules/rollout.toml")]),
        [""; 0]
    );
    let memory = rules.phases[0].targets.last().unwrap();
    let Condition::Compare { threshold, .. } = &memory.condition else {
        panic!("{memory:?}")
    };
    assert_eq!(threshold.bound, Bound::Value(419_430_400.0));
}

#[test]
fn everything_a_trigger_can_say_is_read() {
    let rules = loaded(trigger(
        r#"name = "t"
when = "errors > 1% and (latency > 300ms or not tickets <= 150% of baseline)"
after = "3 of 5"
keep_firing_for = "1m"
do = "escalate"
severity = "P3"
no_data = "trip"
each = true
quorum = "50%"
mode = "shadow""#,
    ));
    let phase = &rules.phases[0];
    assert_eq!((phase.clock, phase.gate), (Clock::Rollout, Status::Amber));
    assert_eq!(
        (phase.from, phase.until, phase.armed),
        (Duration::ZERO, None, false)
    );
    let it = &phase.triggers[0];
    assert_eq!(it.hold, Hold::After { need: 3, of: 5 });
    assert_eq!(
        (it.keep_firing_for, it.no_data),
        (Duration::from_secs(60), NoData::Trip)
    );
    assert_eq!((it.each, it.quorum, it.shadow), (true, Some(0.5), true));
    let When::Condition(Condition::All(parts)) = &it.when else {
        panic!("{:?}", it.when)
    };
    let Condition::Any(inner) = &parts[1] else {
        panic!("{parts:?}")
    };
    assert!(matches!(&inner[1], Condition::Not(_)), "{inner:?}");
    assert_eq!(rules.signals[3].unit, Unit::PerHour);
}

#[test]
fn and_binds_closer_than_or_and_not_closest() {
    let condition = |text: &str| {
        let lines = format!("name = \"t\"\nwhen = \"{text}\"\ndo = \"notify\"");
        match loaded(trigger(&lines))
            .phases
            .remove(0)
            .triggers
            .remove(0)
            .when
        {
            When::Condition(condition) => shape(&condition),
            When::Expr(_) => panic!("a condition"),
        }
    };
    for (text, expected) in [
        (
            "errors > 2% or latency > 1s and memory > 1MiB",
            "(0 | (1 & 2))",
        ),
        (
            "(errors > 2% or latency > 1s) and memory > 1MiB",
            "((0 | 1) & 2)",
        ),
        ("not errors > 2% and not (latency>1s)", "(!0 & !1)"),
        ("tickets > 5 per minute or errors==0%", "(3 | 0)"),
        ("not not latency >= 1m 30s", "!!1"),
    ] {
        assert_eq!(condition(text), expected, "{text}");
    }
}

fn shape(condition: &Condition) -> String {
    let join = |parts: &[Condition], by: &str| {
        format!("({})", parts.iter().map(shape).collect::<Vec<_>>().join(by))
    };
    match condition {
        Condition::Compare { signal, .. } => signal.to_string(),
        Condition::All(parts) => join(parts, " & "),
        Condition::Any(parts) => join(parts, " | "),
        Condition::Not(inner) => format!("!{}", shape(inner)),
    }
}

#[test]
fn eight_faults_are_shown_at_once() {
    check(
        r#"clock = "golive"

[signals.latency]
expr = 'sum(rate(x[5m])'
unit = "second"

[signals.errors]
expr = 'sum(errors)'
unit = "ratio"
empty = nan

[[phase]]
name = "deployment"
from = "3h"
until = "1h"
[phase.targets]
erors = "< 1%"
errors = "< 500ms"
[[phase.trigger]]
name = "t"
when = "errors > 1%"
for = 30
do = "rollback"
tresholds = 1
"#,
        &expect![[r#"
            error: `golive` is not known as `clock`
             --> rules/day.toml:1:9
              |
            1 | clock = "golive"
              |         ^^^^^^^^
              |
              = help: did you mean "go_live"?

            error: `(` is never closed
             --> rules/day.toml:4:12
              |
            4 | expr = 'sum(rate(x[5m])'
              |            ^
              |
              = help: write a `)` for each `(`

            error: `second` is not known as `unit`
             --> rules/day.toml:5:8
              |
            5 | unit = "second"
              |        ^^^^^^^^
              |
              = help: did you mean "seconds"?

            error: `empty` is not a finite number
              --> rules/day.toml:10:9
               |
            10 | empty = nan
               |         ^^^
               |
               = help: write a number, such as 0 or 2.5

            error: phase `deployment` ends before it begins
              --> rules/day.toml:14:1
               |
            14 | from = "3h"
               | ^^^^
               |
               = help: write a `from` that is shorter than `until`

            error: there is no signal `erors`
              --> rules/day.toml:17:1
               |
            17 | erors = "< 1%"
               | ^^^^^
               |
               = help: did you mean `errors`?

            error: `500ms` is not a share
              --> rules/day.toml:18:13
               |
            18 | errors = "< 500ms"
               |             ^^^^^
               |
               = help: write "0.5%" or 0.005

            warning: `errors > 1%` fires on a single request when there are fewer than 100
              --> rules/day.toml:20:8
               |
            20 | name = "t"
               |        ^^^
               |
               = help: 1% wants `enough` of at least 100 requests: enough = 'sum(increase(http_requests_total[1m])) >= 100'

            error: `30` has no unit
              --> rules/day.toml:22:7
               |
            22 | for = 30
               |       ^^
               |
               = help: write "30s" for seconds, "30m" for minutes

            error: unknown key `tresholds` in [[phase.trigger]]
              --> rules/day.toml:24:1
               |
            24 | tresholds = 1
               | ^^^^^^^^^
               |
               = help: keys known here: name, when, expr, for, after, keep_firing_for, do, severity, no_data, each, quorum, mode"#]],
    );
}

#[test]
fn a_fault_in_a_condition_is_shown_under_its_words() {
    check(
        r#"[signals.latency]
expr = 'max(latency_seconds)'
unit = "seconds"
[[phase]]
name = "canary"
[[phase.trigger]]
name = "slow"
when = "latency > 500 and (latncy > 1s"
do = "notify"
"#,
        &expect![[r#"
            error: `500` has no unit, and the signal is measured in seconds
             --> rules/day.toml:8:19
              |
            8 | when = "latency > 500 and (latncy > 1s"
              |                   ^^^
              |
              = help: write "500ms"

            error: there is no signal `latncy`
             --> rules/day.toml:8:28
              |
            8 | when = "latency > 500 and (latncy > 1s"
              |                            ^^^^^^
              |
              = help: did you mean `latency`?

            error: a parenthesis is not closed
             --> rules/day.toml:8:39
              |
            8 | when = "latency > 500 and (latncy > 1s"
              |                                       ^
              |
              = help: write `)` here"#]],
    );
}

#[test]
fn duplicates_name_both_places_over_files_too() {
    let one = "[signals.a]\nexpr = 'a'\n";
    let two = "# more\n[signals.a]\nexpr = 'b'\n";
    let faults = load(&[source("one.toml", one), source("two.toml", two)]).unwrap_err();
    expect![[r"
        error: signal `a` is defined twice
         --> two.toml:2:10
          |
        2 | [signals.a]
          |          ^
          |
         ::: one.toml:1:10
          |
        1 | [signals.a]
          |          - first here
          |
          = help: give one another name"]]
    .assert_eq(&faults.render(false));
    check(
        "[signals.a]\nexpr = 'a'\n[signals.a]\nexpr = 'b'\n[[phase]]\nname = \"p\"\n[[phase]]\nname = \"p\"\n",
        &expect![[r"
            error: `a` stands here a second time
             --> rules/day.toml:3:10
              |
            1 | [signals.a]
              | ----------- first here
            2 | expr = 'a'
            3 | [signals.a]
              |          ^
              |
              = help: remove one, or give it another name"]],
    );
}

/// Every kind of fault, as its lines in a trigger or in a whole file, with what is said about it.
#[test]
fn each_fault_says_what_to_write() {
    let in_trigger = |lines: &str| {
        let base = "name = \"t\"\n";
        messages(&[trigger(&format!("{base}{lines}"))])
            .into_iter()
            .map(|it| it.split_once(": ").unwrap().1.to_owned())
            .collect::<Vec<_>>()
            .join("\n")
    };
    let mut said = String::new();
    for lines in [
        "when = \"latency > 500\"\ndo = \"notify\"",
        "when = \"latency > nan\"\ndo = \"notify\"",
        "when = \"errors > 5\"\ndo = \"notify\"",
        "when = \"memory > 400\"\ndo = \"notify\"",
        "when = \"errors = 5%\"\ndo = \"notify\"",
        "when = \"errors =< 5%\"\ndo = \"notify\"",
        "when = \"errors >\"\ndo = \"notify\"",
        "when = \"errors\"\ndo = \"notify\"",
        "when = \"\"\ndo = \"notify\"",
        "when = \"errors > 10% latency > 1s\"\ndo = \"notify\"",
        "when = \"errors > 10% )\"\ndo = \"notify\"",
        "when = \"unheard > 1\"\ndo = \"notify\"",
        "when = \"errors > x% of baseline\"\ndo = \"notify\"",
        "when = \"errors > 10%\"\nfor = \"1M\"\ndo = \"notify\"",
        "when = \"errors > 10%\"\nfor = \"30\"\ndo = \"notify\"",
        "when = \"errors > 10%\"\nfor = \"2h2h\"\ndo = \"notify\"",
        "when = \"errors > 10%\"\nfor = \"soon\"\ndo = \"notify\"",
        "when = \"errors > 10%\"\nfor = \"1m\"\nafter = \"3 of 5\"\ndo = \"notify\"",
        "when = \"errors > 10%\"\nafter = \"5 of 3\"\ndo = \"notify\"",
        "when = \"errors > 10%\"\ndo = \"rolback\"",
        "when = \"errors > 10%\"",
        "when = \"errors > 10%\"\ndo = \"notify\"\nseverity = \"P9\"",
        "when = \"errors > 10%\"\ndo = \"rollback\"\nno_data = \"trip\"",
        "when = \"errors > 10%\"\ndo = \"notify\"\nquorum = \"50%\"",
        "when = \"errors > 10%\"\ndo = \"notify\"\neach = true\nquorum = \"150%\"",
        "when = \"errors > 10%\"\ndo = \"notify\"\neach = \"yes\"",
        "when = \"errors > 10%\"\nexpr = 'up'\ndo = \"notify\"",
        "do = \"notify\"",
        "expr = 'up =='\ndo = \"notify\"",
        "when = \"${NOT_SET}\"\ndo = \"notify\"",
    ] {
        let _ = writeln!(said, "{lines:?}\n{}\n", in_trigger(lines));
    }
    for text in [
        "[signals.and]\nexpr = 'a'",
        "[signals.a]\nunit = \"ratio\"",
        "[signals]\na = 1",
        "signals = 3",
        "[[phase]]\ngate = \"unknown\"",
        "[[phase]]\nname = \"a\"\npreflight = true\n[[phase]]\nname = \"b\"\npreflight = true",
        "[phase]\nname = \"a\"",
        "groups = []",
        "a = ",
        "[signals.a\nexpr = 'a'",
        "[signals.a]\nexpr = 'a'\nexpr = 'b'",
        "[signals.a]\nexpr = sum(a)",
        "[signals.a]\nexpr = 'sum(a'\n[[phase]]\nname = \"p\"\n[phase.targets]\na = \"< 1\"",
    ] {
        let _ = writeln!(
            said,
            "{text:?}\n{}\n",
            messages(&[source("f", text)]).join("\n")
        );
    }
    expect_test::expect_file!["../data/rules_faults.txt"].assert_eq(&said);
}

#[test]
fn rules_of_thumb_are_warnings() {
    let text = r#"
[signals.errors]
expr = 'sum(rate(errors_total[2m])) / sum(rate(requests_total[2m]))'
unit = "ratio"
[signals.short]
expr = 'sum(rate(x_total[10s]))'
[[phase]]
name = "p"
[[phase.trigger]]
name = "burst"
when = "errors > 1%"
for = "30s"
do = "escalate"
"#;
    assert_eq!(
        messages(&[source("f", text)]),
        [
            "6: a range of 10s holds fewer than 3 scrapes at an interval of 5s: noise | write a range of 15s at least",
            "10: a burst of 5 s fires this: its range of 2m is longer than its `for` of 30s | write a shorter range, or a longer `for`",
            "10: `errors > 1%` fires on a single request when there are fewer than 100 | 1% wants `enough` of at least 100 requests: enough = 'sum(increase(http_requests_total[1m])) >= 100'",
        ]
    );
    let (_, warnings) = load_with(&[source("f", text)], &|_| None, None).unwrap();
    assert!(warnings.faults.iter().all(|it| it.grade == Grade::Warning));
}

#[test]
fn the_environment_reaches_rules_and_promql_keeps_its_groups() {
    let text = r#"
[signals.a]
title = "${TITLE}"
expr = 'label_replace(up, "a", "${1}", "b", "(.*)")'
"#;
    let env = |name: &str| (name == "TITLE").then(|| "told".to_owned());
    let (rules, _) = load_with(&[source("f", text)], &env, None).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(rules.signals[0].title, "told");
    assert!(rules.signals[0].expr.text().contains("${1}"));
}

#[test]
fn deep_and_long_conditions_are_refused_without_a_crash() {
    for when in [
        "(".repeat(4000),
        "not ".repeat(1000),
        "x".repeat(5000),
        format!("{}errors > 10%{}", "(".repeat(1000), ")".repeat(1000)),
    ] {
        let lines = format!("name = \"t\"\nwhen = \"{when}\"\ndo = \"notify\"");
        assert!(load(&[trigger(&lines)]).is_err());
    }
}

#[test]
fn windows_line_ends_and_hostile_text_are_shown() {
    let text =
        SIGNALS.replace('\n', "\r\n") + "[[phase]]\r\nname = \"p\u{1b}[31m\"\r\nfrom = \"é\"\r\n";
    let shown = load(&[source("f", &text)]).unwrap_err().render(false);
    assert!(
        shown.contains("`é` is not a duration") && !shown.contains('\u{1b}'),
        "{shown}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever happens to a file, it loads or is refused with faults that can be shown.
    #[test]
    fn a_mutated_file_never_panics(
        cuts in proptest::collection::vec((0usize..9000, 0usize..40, "[ -~é\n\\[\\]\"'=${}]{0,6}"), 1..4),
    ) {
        let mut text = shared("tests/data/scenarios/rules/rollout.toml").text;
        for (at, remove, insert) in cuts {
            let border = |at: usize| (0..=at.min(text.len())).rev().find(|it| text.is_char_boundary(*it)).unwrap();
            let (from, to) = (border(at), border(at + remove));
            text.replace_range(from..to, &insert);
        }
        if let Err(faults) = load(&[source("f", &text)]) {
            prop_assert!(!faults.is_empty() && !faults.render(true).is_empty());
        }
    }
}

/// A ratio is a share, and what is denied turns around.
#[test]
fn conditions_that_cannot_change_are_warned_of() {
    let mut said = String::new();
    for when in [
        "errors == 200%",
        "errors != 200%",
        "not (errors <= 100%)",
        "not errors > 100%",
        "errors > 50% and not (errors <= 200% or latency < 0s)",
        // May be either.
        "errors == 100%",
        "not (errors < 100%)",
        "errors >= 100% or latency <= 0s",
    ] {
        let lines = format!("name = \"t\"\nwhen = \"{when}\"\nfor = \"1d\"\ndo = \"notify\"");
        let (_, lints) = load_with(&[trigger(&lines)], &|_| None, None).unwrap();
        let _ = writeln!(said, "{when}");
        for lint in &lints.faults {
            let _ = writeln!(said, "  {}", lint.message);
        }
    }
    expect![[r"
        errors == 200%
          `errors == 200%` is never true of a ratio
        errors != 200%
          `errors != 200%` is always true of a ratio
        not (errors <= 100%)
          `not errors <= 100%` is never true of a ratio
        not errors > 100%
          `not errors > 100%` is always true of a ratio
        errors > 50% and not (errors <= 200% or latency < 0s)
          `not errors <= 200%` is never true of a ratio
          `not latency < 0s` is always true of a value in seconds
        errors == 100%
        not (errors < 100%)
        errors >= 100% or latency <= 0s
    "]]
    .assert_eq(&said);
}
