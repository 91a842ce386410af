//! Odd recordings, and the scrapes that they become.

#![allow(
    clippy::format_push_string,
    clippy::cast_precision_loss,
    clippy::needless_pass_by_value,
    reason = "a test's text is read once, by who wonders why it is red"
)]

use std::time::Duration;

use expect_test::{Expect, expect};

use super::{Pages, Reads, Recording, openmetrics};
use crate::engine::{Input, Interest};
use crate::model::is_stale;

/// A set of rules that reads everything.
fn everything() -> Reads {
    Reads {
        interest: Interest::new([], Some(Duration::from_secs(60))),
        ..Reads::default()
    }
}

/// Lines of `series value second` as OpenMetrics text, read and sorted.
fn recorded(files: &[&str]) -> Recording {
    let mut recording = Recording::new(vec![everything()], 1 << 20);
    for file in files {
        let lines = file.lines().map(str::trim).filter(|it| !it.is_empty());
        let text: String = lines.chain(["# EOF"]).flat_map(|it| [it, "\n"]).collect();
        openmetrics::read(text.as_bytes(), &mut recording).unwrap();
    }
    recording.sort().unwrap();
    recording
}

/// One series at several seconds: `name{labels}` and `second=value`, separated by blanks.
fn series(head: &str, samples: &str) -> String {
    let line = |sample: &str| {
        let (at, value) = sample.split_once('=').unwrap();
        format!("{head} {value} {at}\n")
    };
    samples.split_whitespace().map(line).collect()
}

/// Every input on a line of its own: the second, the target, the values by the order of their labels, what is born (+) and
/// gone (-).
fn shown(recording: &Recording, interval: Option<u64>) -> String {
    let interval = interval.map(Duration::from_secs);
    let mut text = String::new();
    let mut slots: std::collections::BTreeMap<u32, Vec<String>> = std::collections::BTreeMap::new();
    for input in Pages::new(recording, &everything(), interval).unwrap() {
        let (at, input) = input.unwrap();
        let seconds = at.millis() as f64 / 1000.0;
        text += &match input {
            Input::Target(info) => {
                let every = info.interval.as_secs_f64();
                format!(
                    "{seconds} {} target {} every {every}\n",
                    info.id.0 % 1000,
                    info.labels
                )
            }
            Input::TargetGone(id) => format!("{seconds} {} gone\n", id.0 % 1000),
            Input::Scraped(scrape) => {
                let id = scrape.target.0 % 1000;
                let names = slots.entry(scrape.target.0).or_default();
                match scrape.outcome {
                    Err(error) => format!("{seconds} {id} failed: {}\n", error.text),
                    Ok(page) => {
                        let mut line = format!("{seconds} {id}");
                        names.resize(names.len().max(page.values.len()), String::new());
                        for slot in &page.gone {
                            line += &format!(" -{}", names[slot.0 as usize]);
                        }
                        for (slot, labels) in &page.born {
                            names[slot.0 as usize] = labels.name().to_owned();
                            line += &format!(" +{}", labels.name());
                        }
                        for (name, value) in names.iter().zip(&page.values) {
                            if !is_stale(*value) {
                                line += &format!(" {name}={value}");
                            }
                        }
                        line + "\n"
                    }
                }
            }
            other => panic!("{other:?}"),
        };
    }
    text
}

fn check(files: &[&str], expected: Expect) {
    expected.assert_eq(&shown(&recorded(files), None));
}

const UP: &str = "up{job=\"j\",instance=\"i\"}";
const A: &str = "a_total{job=\"j\",instance=\"i\"}";
const B: &str = "b_total{job=\"j\",instance=\"i\"}";
const G: &str = "gauge{job=\"j\",instance=\"i\"}";

#[test]
fn a_page_is_what_came_with_up_and_what_is_absent_is_gone() {
    let text = [
        series(UP, "0=1 5=1 10=0 15=1 20=1"),
        series(A, "0=1 5=2 15=3 20=4"),
        series(B, "0=7 20=8"),
    ];
    check(
        &[&text.concat()],
        expect![[r#"
        0 0 target {instance="i",job="j"} every 5
        0 0 +a_total +b_total a_total=1 b_total=7
        5 0 -b_total a_total=2
        10 0 failed: `up` is 0 in the recording
        15 0 a_total=3
        20 0 +b_total a_total=4 b_total=8
        27.5 0 gone
    "#]],
    );
}

#[test]
fn who_is_silent_did_not_answer_and_who_never_comes_back_is_no_target() {
    let other = "a_total{job=\"j\",instance=\"other\"}";
    let text = [
        series(A, "0=1 5=2 10=3 30=4 35=5"),
        series(other, "1=1 6=2 11=3"),
    ];
    check(
        &[&text.concat()],
        expect![[r#"
            0 0 target {instance="i",job="j"} every 20
            0 0 +a_total a_total=1
            1 1 target {instance="other",job="j"} every 5
            1 1 +a_total a_total=1
            5 0 a_total=2
            6 1 a_total=2
            10 0 a_total=3
            11 1 a_total=3
            18.5 1 gone
            30 0 a_total=4
            35 0 a_total=5
            65 0 gone
        "#]],
    );
}

#[test]
fn up_alone_is_a_page_of_its_own_kind() {
    check(
        &[&series(UP, "0=1 5=0 10=1")],
        expect![[r#"
        0 0 target {instance="i",job="j"} every 5
        0 0
        5 0 failed: `up` is 0 in the recording
        10 0
        17.5 0 gone
    "#]],
    );
}

/// An export shows Prometheus' staleness marker as a value that is no number.
#[test]
fn a_counter_that_is_no_number_has_ended() {
    let text = [
        series(UP, "0=1 5=1 10=1 15=1 20=1 25=1 30=1 35=NaN"),
        // Gone for one page, as after a restart; and at the end.
        series(A, "0=1 5=NaN 10=0 15=1 20=NaN"),
        // What may be no number is one where it stays so, and has ended where a number or nothing follows.
        series(G, "0=1 5=NaN 10=NaN 15=1 20=NaN 25=2 30=NaN"),
    ];
    check(
        &[&text.concat()],
        expect![[r#"
            0 0 target {instance="i",job="j"} every 5
            0 0 +a_total +gauge a_total=1 gauge=1
            5 0 -a_total gauge=NaN
            10 0 +a_total a_total=0 gauge=NaN
            15 0 a_total=1 gauge=1
            20 0 -a_total -gauge
            25 0 +gauge gauge=2
            30 0 -gauge
            37.5 0 gone
        "#]],
    );
}

/// Two servers that scrape the same instances.
#[test]
fn two_servers_with_labels_of_their_own_are_two_targets() {
    let server = |name: &str, up: &str, a: &str| {
        let with = |head: &str| head.replace('}', &format!(",replica=\"{name}\"}}"));
        [series(&with(UP), up), series(&with(A), a)].concat()
    };
    let (one, two) = (
        server("one", "0=1 5=1 10=1", "0=1 5=2 10=3"),
        server("two", "2=1 7=0 12=1", "2=1 12=4"),
    );
    check(
        &[&one, &two],
        expect![[r#"
        0 0 target {instance="i",job="j",replica="one"} every 5
        0 0 +a_total a_total=1
        2 1 target {instance="i",job="j",replica="two"} every 5
        2 1 +a_total a_total=1
        5 0 a_total=2
        7 1 failed: `up` is 0 in the recording
        10 0 a_total=3
        12 1 a_total=4
        17.5 0 gone
        19.5 1 gone
    "#]],
    );
}

/// The same without such labels: the samples of both make one target, whose scrapes are not evenly apart.
#[test]
fn two_servers_without_labels_of_their_own_are_one_target_that_answers() {
    let (mut up, mut a) = (String::new(), String::new());
    for n in 0..5 {
        for at in [5 * n, 5 * n + 1] {
            up += &format!("{at}=1 ");
            a += &format!("{at}={at} ");
        }
    }
    let text = [series(UP, &up), series(A, &a)].concat();
    let shown = shown(&recorded(&[&text]), None);
    assert!(!shown.contains("failed"), "{shown}");
    assert_eq!(shown.matches(" a_total=").count(), 10, "{shown}");
}

#[test]
fn a_rules_series_has_moments_of_its_own() {
    let text = [
        series(UP, "0=1 5=1 10=1 15=1 20=1"),
        series(A, "0=1 5=2 10=3 15=4 20=5"),
        series("rule{job=\"j\",instance=\"i\"}", "3=1 13=2"),
        series("job:rule{job=\"j\"}", "3=9 13=9"),
    ];
    check(
        &[&text.concat()],
        expect![[r#"
        0 0 target {instance="i",job="j"} every 5
        0 0 +a_total a_total=1
        3 728 target {instance="i",job="j"} every 10
        3 728 +rule rule=1
        3 1 target {job="j"} every 10
        3 1 +job:rule job:rule=9
        5 0 a_total=2
        10 0 a_total=3
        13 728 rule=2
        13 1 job:rule=9
        15 0 a_total=4
        20 0 a_total=5
        27.5 0 gone
        28 728 gone
        28 1 gone
    "#]],
    );
}

/// One series has a sample more than its page: a second server had recorded it alone.
#[test]
fn a_sample_between_two_pages_ends_nothing() {
    let text = [
        series(UP, "0=1 5=1 10=1 15=1 20=1 25=1 30=1 35=1 40=1"),
        series(A, "0=1 5=2 10=3 15=4 20=5 25=6 30=7 35=8 40=9"),
        series(G, "0=1 5=2 10=3 12=9 15=4 20=5 25=6 30=7 35=8 40=9"),
    ];
    let shown = shown(&recorded(&[&text.concat()]), None);
    assert!(!shown.contains("-a_total"), "{shown}");
    assert!(shown.contains("gauge=9"), "{shown}");
}

#[test]
fn a_single_sample_that_is_late_ends_nothing_and_is_nowhere_missing() {
    let every: Vec<i64> = (0..60).map(|it| it * 5).collect();
    for late in 1..59 {
        let all = |moved: bool| -> String {
            let at = |place: usize| every[place] + i64::from(moved && place == late);
            let samples: Vec<String> = (0..60)
                .map(|place| format!("{}={place}", at(place)))
                .collect();
            samples.join(" ")
        };
        let text = [
            series(UP, &all(false)),
            series(A, &all(false)),
            series(G, &all(true)),
        ];
        let shown = shown(&recorded(&[&text.concat()]), None);
        assert!(
            !shown.contains('-'),
            "the sample at {}: {shown}",
            every[late]
        );
    }
}

#[test]
fn a_sample_is_enough_for_a_target() {
    let text = [series(A, "0=1"), series("b{job=\"k\"}", "2=1 4=1 6=1")];
    check(
        &[&text.concat()],
        expect![[r#"
        0 0 target {instance="i",job="j"} every 2
        0 0 +a_total a_total=1
        2 1 target {job="k"} every 2
        2 1 +b b=1
        3 0 gone
        4 1 b=1
        6 1 b=1
        9 1 gone
    "#]],
    );
}

#[test]
fn by_time_or_by_series_repeated_or_late_it_is_the_same() {
    let (up, a, b) = (
        series(UP, "0=1 5=1 10=1"),
        series(A, "0=1 5=2 10=3"),
        series(B, "0=4 5=5 10=6"),
    );
    let plain = shown(&recorded(&[&[&*up, &a, &b].concat()]), None);
    let all = [up, a, b].concat();
    let mut lines: Vec<&str> = all.lines().collect();
    lines.sort_by_key(|it| it.rsplit(' ').next().unwrap().parse::<u32>().unwrap());
    let by_time = lines.join("\n");
    lines.reverse();
    let backwards = lines.join("\n");
    let again = [&*by_time, "\n", A, " 77 5\n"].concat();
    for (text, late, duplicates) in [(&by_time, 0, 0), (&backwards, 6, 0), (&again, 0, 1)] {
        let recording = recorded(&[text]);
        assert_eq!(shown(&recording, None), plain, "{text}");
        let tally = recording.tally();
        assert_eq!((tally.late, tally.duplicates), (late, duplicates), "{text}");
    }
    // Two files that overlap.
    let (first, second) = (&lines[3..], &lines[..6]);
    let files = [first.join("\n"), second.join("\n")];
    let recording = recorded(&[&files[0], &files[1]]);
    assert_eq!(shown(&recording, None), plain);
    assert_eq!(recording.tally().duplicates, 3);
}

#[test]
fn looked_at_less_often_it_is_every_third_page() {
    let (mut up, mut a) = (String::new(), String::new());
    for n in 0..13 {
        // Scrapes are never quite in time.
        let at = f64::from(5 * n) + if n % 2 == 0 { 0.0 } else { 0.125 };
        up += &format!("{at}=1 ");
        a += &format!("{at}={n} ");
    }
    let text = [series(UP, &up), series(A, &a)].concat();
    expect![[r#"
        0 0 target {instance="i",job="j"} every 15
        0 0 +a_total a_total=0
        15.125 0 a_total=3
        30 0 a_total=6
        45.125 0 a_total=9
        60 0 a_total=12
        82.5 0 gone
    "#]]
    .assert_eq(&shown(&recorded(&[&text]), Some(15)));
}

#[test]
fn it_lasts_as_long_as_its_targets_are_said_to_be_up_or_down() {
    let text = [
        series(UP, "0=1 5=1 10=0 15=0"),
        series(A, "0=1 5=2"),
        series("up{job=\"another\"}", "0=1 100=1"),
    ];
    let reads = Reads {
        // Whether targets are up is not read by the rules.
        written: vec!["up".to_owned()],
        ..everything()
    };
    let mut recording = Recording::new(vec![reads], 1 << 20);
    let text = text.concat() + "# EOF\n";
    openmetrics::read(text.as_bytes(), &mut recording).unwrap();
    recording.sort().unwrap();
    let (from, until) = recording.span().unwrap().unwrap();
    assert_eq!((from.millis(), until.millis()), (0, 15_000));
}

#[test]
fn a_target_that_is_often_silent_is_told() {
    // Every 5 s for a while, then every 30 s: what is due between is missing.
    let quick: String = (0..40)
        .map(|it| format!("{}=1 ", it * 5))
        .collect::<Vec<_>>()
        .concat();
    let slow: String = (7..20)
        .map(|it| format!("{}=1 ", it * 30))
        .collect::<Vec<_>>()
        .concat();
    let recording = recorded(&[&series(A, &format!("{quick}{slow}"))]);
    let mut pages = Pages::new(&recording, &everything(), None).unwrap();
    assert!(pages.by_ref().all(|it| it.is_ok()));
    let silent = pages.often_silent();
    assert_eq!(silent.len(), 1);
    assert_eq!((silent[0].0.as_str(), silent[0].2), ("i", 53));
    let recording = recorded(&[&series(A, &quick)]);
    let mut pages = Pages::new(&recording, &everything(), None).unwrap();
    assert!(pages.by_ref().all(|it| it.is_ok()));
    assert!(pages.often_silent().is_empty());
}

#[test]
fn repeats_of_a_source_that_answers_twice_are_no_fault_of_it() {
    let twice = |mut recording: Recording| {
        for _ in 0..2 {
            let text = series(A, "0=1 5=2 10=3") + "# EOF\n";
            openmetrics::read(text.as_bytes(), &mut recording).unwrap();
        }
        recording.sort().unwrap();
        (recording.tally().kept, recording.tally().duplicates)
    };
    let new = || Recording::new(vec![everything()], 1 << 20);
    assert_eq!(twice(new()), (3, 3));
    assert_eq!(twice(new().overlapping()), (3, 0));
}
