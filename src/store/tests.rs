//! Births, ends and spans of series and targets. What samples are remembered is held against a naive memory by the
//! integration tests.

use std::time::Duration;

use crate::model::{Labels, STALE, Slot, TargetId, Timestamp, is_stale};

use super::{SeriesAt, Window};

const A: TargetId = TargetId(1);
const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn labels(name: &str) -> Labels {
    Labels::new([("__name__", name), ("job", "api")])
}

fn window(names: &[&str], span: u64) -> Window {
    let mut window = Window::default();
    window.add_target(A, SECOND);
    for (slot, name) in (0..).zip(names) {
        window.born(A, Slot(slot), labels(name), Duration::from_secs(span));
    }
    window
}

fn found(window: &Window, name: Option<&str>) -> Vec<(SeriesAt, String)> {
    let mut found = Vec::new();
    window.visit(name, &mut |at, labels| {
        found.push((at, labels.name().to_owned()));
    });
    found
}

/// Seconds and values of the one series of that name, markers left out.
fn samples(window: &Window, name: &str) -> Vec<(i64, f64)> {
    let [(place, _)] = found(window, Some(name))[..] else {
        panic!("one series of {name}");
    };
    let block = window.block(place.target, place.block).unwrap();
    block
        .between(i64::MIN, i64::MAX)
        .map(|row| (row.at / 1000, row.get(place.column)))
        .filter(|(_, value)| !is_stale(*value))
        .collect()
}

#[test]
fn watched_since_the_last_gap() {
    // Interval 1 s; a gap of more than 2.5 s between good scrapes starts anew.
    for (good, failed, since) in [
        (&[][..], &[][..], None),
        (&[5][..], &[][..], Some(5)),
        (&[5, 6, 8][..], &[][..], Some(5)),
        (&[5, 6, 9][..], &[][..], Some(9)),
        (&[5, 6, 8][..], &[7][..], Some(5)),
        (&[5][..], &[6, 7][..], Some(5)),
        (&[5][..], &[6, 7, 8][..], None),
        (&[5, 9, 10][..], &[6, 7, 8][..], Some(9)),
        (&[][..], &[1][..], None),
    ] {
        let mut window = window(&["x"], 5);
        for second in 0..20 {
            if good.contains(&second) {
                window.append(A, at(second), &[1.0], &[]);
            } else if failed.contains(&second) {
                window.fail(A, at(second));
            }
        }
        assert_eq!(
            window.watched_since(A),
            since.map(at),
            "{good:?} {failed:?}"
        );
    }
}

#[test]
fn a_vanished_series_is_dropped_after_its_span() {
    let mut window = window(&["x", "y"], 3);
    window.append(A, at(10), &[1.0, 2.0], &[]);
    let version = window.version("x");
    window.gone(A, Slot(0), at(11));
    for second in 11..14 {
        window.append(A, at(second), &[STALE, 2.0], &[]);
        assert_eq!((window.series(), window.version("x")), (2, version));
    }
    window.append(A, at(14), &[STALE, 2.0], &[]);
    assert_eq!((window.series(), found(&window, Some("x")).len()), (1, 0));
    assert_ne!(window.version("x"), version);
    // Its column serves the next series, which knows nothing of it.
    window.born(A, Slot(0), labels("z"), Duration::from_secs(3));
    window.append(A, at(15), &[9.0, 2.0], &[]);
    assert_eq!(samples(&window, "z"), [(15, 9.0)]);
    assert_eq!(samples(&window, "y"), [(13, 2.0), (14, 2.0), (15, 2.0)]);
}

#[test]
fn a_series_that_comes_back_continues() {
    let mut window = window(&["x"], 9);
    window.append(A, at(1), &[1.0], &[]);
    window.gone(A, Slot(0), at(2));
    window.append(A, at(2), &[STALE], &[]);
    let generation = window.generation();
    window.born(A, Slot(4), labels("x"), Duration::from_secs(9));
    window.append(A, at(3), &[STALE, STALE, STALE, STALE, 3.0], &[]);
    assert_eq!(samples(&window, "x"), [(1, 1.0), (3, 3.0)]);
    assert_eq!((window.generation(), window.series()), (generation, 1));
}

#[test]
fn a_longer_span_keeps_what_was_there() {
    let mut window = window(&["x", "y"], 3);
    for second in 1..=3 {
        window.append(A, at(second), &[1.0, 2.0], &[]);
    }
    window.born(A, Slot(0), labels("x"), Duration::from_secs(60));
    window.append(A, at(4), &[1.0, 2.0], &[]);
    window.append(A, at(5), &[1.0, 2.0], &[]);
    assert_eq!(samples(&window, "x").len(), 5);
    assert_eq!(samples(&window, "y").len(), 3);
    assert_eq!((window.series(), found(&window, None).len()), (2, 2));
}

#[test]
fn a_slot_that_changes_hands_without_a_word_ends_the_old_series() {
    let mut window = window(&["x"], 5);
    window.append(A, at(1), &[1.0], &[]);
    window.born(A, Slot(0), labels("y"), Duration::from_secs(5));
    window.append(A, at(2), &[2.0], &[]);
    assert_eq!(samples(&window, "x"), [(1, 1.0)]);
    assert_eq!(samples(&window, "y"), [(2, 2.0)]);
}

#[test]
fn a_failed_target_stays_known_and_a_removed_one_does_not() {
    let b = TargetId(2);
    let mut window = window(&["x"], 3);
    window.add_target(b, SECOND);
    window.born(b, Slot(0), labels("x"), Duration::from_secs(3));
    for target in [A, b] {
        window.append(target, at(1), &[1.0], &[]);
    }
    for second in 2..100 {
        window.fail(A, at(second));
    }
    assert_eq!((window.series(), samples_of(&window, A)), (2, 0));
    assert!(window.has_target(A) && window.has_target(b));
    window.remove_target(b, at(100));
    assert!(!window.has_target(b) && window.series() == 2);
    // What it still says is not heard, and it is forgotten as time goes on for others.
    window.append(b, at(101), &[1.0], &[]);
    window.append(A, at(102), &[1.0], &[]);
    assert_eq!(window.series(), 2);
    window.append(A, at(103), &[1.0], &[]);
    assert_eq!((window.series(), samples_of(&window, A)), (1, 2));
}

/// Rows of the target with a value in its first column.
fn samples_of(window: &Window, target: TargetId) -> usize {
    let block = window.block(target, 0).unwrap();
    let rows = block.between(i64::MIN, i64::MAX);
    rows.filter(|row| !is_stale(row.get(0))).count()
}

#[test]
fn without_a_span_only_the_newest_row_is_held() {
    let mut window = window(&["x"], 0);
    for second in 1..50 {
        window.append(A, at(second), &[1.0], &[]);
        assert_eq!(samples(&window, "x"), [(second, 1.0)]);
    }
    // Late and repeated pages are not taken.
    window.append(A, at(49), &[7.0], &[]);
    window.append(A, at(3), &[7.0], &[]);
    assert_eq!(samples(&window, "x"), [(49, 1.0)]);
}

#[test]
fn the_oldest_scrape_held_is_one_with_samples() {
    let mut window = window(&["x"], 5);
    assert_eq!(window.held_since(), None);
    window.fail(A, at(1));
    assert_eq!(window.held_since(), None);
    for second in 2..10 {
        window.append(A, at(second), &[1.0], &[]);
        assert_eq!(window.held_since(), Some(at(second.max(6) - 4)));
    }
}

#[test]
fn names_know_their_series_and_when_they_changed() {
    let names: Vec<String> = (0..50).map(|i| format!("m{}", i % 7)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut window = Window::default();
    window.add_target(A, SECOND);
    for (slot, name) in (0..).zip(&names) {
        let labels = labels(name).with("slot", &slot.to_string());
        window.born(A, Slot(slot), labels, SECOND);
    }
    window.append(A, at(1), &[1.0; 50], &[]);
    let count = |window: &Window, name| found(window, Some(name)).len();
    assert_eq!((count(&window, "m0"), count(&window, "m6")), (8, 7));
    let (m0, m1) = (window.version("m0"), window.version("m1"));
    let mut page = [1.0; 50];
    for slot in [0u32, 7, 21, 49] {
        window.gone(A, Slot(slot), at(2));
        page[slot as usize] = STALE;
    }
    window.append(A, at(2), &page, &[]);
    window.append(A, at(3), &page, &[]);
    assert_eq!((count(&window, "m0"), window.series()), (4, 46));
    assert_eq!(found(&window, None).len(), 46);
    assert!(window.version("m0") > m0 && window.version("m1") == m1);
    assert_eq!(window.version("none"), 0);
}

#[test]
fn what_is_unknown_is_ignored() {
    let mut window = Window::default();
    window.append(A, at(1), &[1.0], &[(Slot(3), at(1))]);
    window.born(A, Slot(0), labels("x"), SECOND);
    window.gone(A, Slot(0), at(1));
    window.fail(A, at(1));
    window.remove_target(A, at(1));
    assert_eq!((window.series(), window.watched_since(A)), (0, None));
    window.add_target(A, SECOND);
    window.gone(A, Slot(9), at(1));
    window.append(A, at(1), &[1.0], &[(Slot(3), at(1))]);
    assert_eq!(window.watched_since(A), Some(at(1)));
}

/// Of every column the oldest row from which on it climbs without a hole, by [`Block::breaks`](super::Block::breaks), in
/// seconds.
fn climbs(window: &Window, names: &[&str]) -> Vec<i64> {
    let places = names.iter().map(|name| found(window, Some(name))[0].0);
    let broke = |it: SeriesAt| {
        window.block(it.target, it.block).unwrap().breaks()[it.column as usize] / 1000
    };
    places.map(broke).collect()
}

#[test]
fn where_columns_climb_is_known() {
    let names = ["a", "b"];
    let mut window = window(&names, 60);
    for (second, values, broke, why) in [
        (
            1,
            Some([5.0, 5.0]),
            [1, 1],
            "nothing stands before the first row",
        ),
        (2, Some([5.0, 6.0]), [1, 1], "to stay is not to fall"),
        (3, Some([4.0, 7.0]), [3, 1], "a fall"),
        (
            4,
            Some([f64::NAN, 8.0]),
            [4, 1],
            "what is no number is not above",
        ),
        (5, Some([9.0, 9.0]), [5, 1], "nor is anything above it"),
        (6, Some([9.0, STALE]), [5, 6], "a hole"),
        (7, Some([9.0, 9.0]), [5, 7], "and its end"),
        (
            8,
            None,
            [8, 8],
            "a scrape that failed is a row without values",
        ),
        (
            9,
            Some([9.0, 9.0]),
            [9, 9],
            "and the next row has none before it",
        ),
        (10, Some([9.0, 9.0]), [9, 9], "it goes on"),
    ] {
        match values {
            Some(values) => window.append(A, at(second), &values, &[]),
            None => window.fail(A, at(second)),
        }
        assert_eq!(climbs(&window, &names), broke, "{second}: {why}");
    }
    window.precede(A, Slot(0), &[(at(-5), 1.0)]);
    assert_eq!(
        climbs(&window, &names),
        [10, 10],
        "rows that were made are holes"
    );
    window.gone(A, Slot(0), at(11));
    window.append(A, at(11), &[STALE, 9.0], &[]);
    window.born(A, Slot(2), labels("c"), Duration::from_secs(60));
    assert_eq!(
        climbs(&window, &["c"]),
        [i64::MAX / 1000],
        "it stands in no row"
    );
}
