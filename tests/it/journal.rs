//! The journal: what an engine is given comes back to the bit, from bytes, from files, from the daemon; and a replay of it
//! decides what was decided.

mod chance;
mod daemon;
mod explain;
mod files;

use std::sync::Arc;

use chance::{Chance, KINDS};
use gated::engine::{Engine, Input, Restored};
use gated::journal::{Began, Decoder, Encoder, Entry, Malformed, Opening};
use gated::model::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use crate::world::{self, START, World};

fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

fn opening(encoder: &Encoder, began: Began, at: Timestamp) -> Opening {
    Opening {
        gated: "0.0.0".into(),
        at,
        began,
        standing: encoder.standing(),
        restored: Restored::default(),
    }
}

/// A segment's entries, up to its end or what is no entry.
fn read(bytes: &[u8]) -> (Vec<Entry>, Option<Malformed>) {
    let mut decoder = Decoder::new(&zone);
    let (mut entries, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        match decoder.entry(rest) {
            Ok((entry, bytes)) => {
                entries.push(entry);
                rest = &rest[bytes..];
            }
            Err(fault) => return (entries, Some(fault)),
        }
    }
    (entries, None)
}

/// As `Debug` has it, and the bits of a page's values, which it does not show.
fn shown(input: &Input) -> String {
    let bits = match input {
        Input::Scraped(scrape) => scrape.outcome.as_ref().map_or(Vec::new(), |page| {
            page.values.iter().map(|it| it.to_bits()).collect()
        }),
        _ => Vec::new(),
    };
    format!("{input:?} {bits:?}")
}

/// A segment with these inputs, one a second, and a wake after each.
fn segment(inputs: &[Input]) -> Vec<u8> {
    let settings = Arc::new(world::settings(world::RULES));
    let mut encoder = Encoder::new(settings, at(0));
    let mut bytes = Vec::new();
    opening(&encoder, Began::Run, at(0)).put(&mut bytes);
    for (second, input) in (1..).zip(inputs) {
        encoder.input(at(second * 1000), input, &mut bytes);
        encoder.woke(at(second * 1000 + 7), &mut bytes);
    }
    encoder.close(true, &mut bytes);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_an_engine_may_be_given_comes_back(seed: u64) {
        let mut chance = Chance::new(seed);
        let mut inputs: Vec<Input> = (0..KINDS).map(|kind| chance.input_of(kind)).collect();
        // Pages follow pages of the same target.
        inputs.extend((0..20).map(|_| chance.input_of(2)));
        let (entries, fault) = read(&segment(&inputs));
        prop_assert_eq!(fault, None);
        let mut given = inputs.iter();
        let mut woke = 0;
        for entry in &entries {
            match entry {
                Entry::Opened(opening) => prop_assert_eq!(opening.at, at(0)),
                Entry::Input { at: then, input } => {
                    woke += 1;
                    prop_assert_eq!(*then, at(woke * 1000));
                    prop_assert_eq!(shown(input), shown(given.next().unwrap()));
                }
                Entry::Woke(then) => prop_assert_eq!(*then, at(woke * 1000 + 7)),
                Entry::Closed { goes_on } => prop_assert!(goes_on),
            }
        }
        prop_assert_eq!(woke, i64::try_from(inputs.len()).unwrap());
    }

    #[test]
    fn bytes_that_nobody_wrote_are_refused_and_nothing_breaks(seed: u64, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut chance = Chance::new(seed);
        let inputs: Vec<Input> = (0..KINDS).map(|kind| chance.input_of(kind)).collect();
        let mut bytes = segment(&inputs);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let (entries, _) = read(&bytes);
        prop_assert!(entries.len() <= 2 + 2 * inputs.len());
    }
}

#[test]
fn a_segment_that_is_cut_anywhere_gives_what_is_whole() {
    let mut chance = Chance::new(7);
    let inputs: Vec<Input> = (0..KINDS).map(|kind| chance.input_of(kind)).collect();
    let bytes = segment(&inputs);
    let (all, _) = read(&bytes);
    let mut most = 0;
    for cut in (0..bytes.len()).step_by(13) {
        let (entries, fault) = read(&bytes[..cut]);
        assert!(entries.len() >= most && entries.len() < all.len());
        assert!(fault.is_none_or(|it| it == Malformed::Short), "{cut}");
        most = entries.len();
    }
}

#[test]
fn what_cannot_be_is_said() {
    let settings = Arc::new(world::settings(world::RULES));
    let mut encoder = Encoder::new(Arc::clone(&settings), at(0));
    let mut bytes = Vec::new();
    encoder.woke(at(1), &mut bytes);
    let (_, fault) = read(&bytes);
    assert_eq!(fault.unwrap().to_string(), "it begins with no opening");
    let fault_after = |then: &dyn Fn(&mut Encoder, &mut Vec<u8>)| {
        let mut encoder = Encoder::new(Arc::clone(&settings), at(0));
        let mut bytes = Vec::new();
        opening(&encoder, Began::Run, at(0)).put(&mut bytes);
        then(&mut encoder, &mut bytes);
        read(&bytes).1.unwrap().to_string()
    };
    let back = fault_after(&|it, to| {
        it.woke(at(5), to);
        it.woke(at(5), to);
    });
    assert_eq!(back, "an entry that goes back in time");
    let pause = fault_after(&|it, to| it.woke(at(400 * 86_400_000), to));
    assert_eq!(pause, "a pause of more than a year");
    let end = fault_after(&|it, to| {
        it.close(false, to);
        it.woke(at(5), to);
    });
    assert_eq!(end, "an entry after the end");
    let mut berlin = (*settings).clone();
    berlin.zone = zone("Europe/Berlin").unwrap();
    let encoder = Encoder::new(Arc::new(berlin), at(0));
    let mut bytes = Vec::new();
    opening(&encoder, Began::Run, at(0)).put(&mut bytes);
    let fault = Decoder::new(&|_| None).entry(&bytes).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "there is no time zone `Europe/Berlin` here"
    );
}

/// A change of any record changes the bytes: then `FORMAT` must be another.
#[test]
fn the_format_is_what_it_was() {
    let mut chance = Chance::new(1);
    let inputs: Vec<Input> = (0..40).map(|it| chance.input_of(it % KINDS)).collect();
    let bytes = segment(&inputs);
    let said = format!(
        "format {}: {} bytes, {:016x}\n",
        gated::journal::FORMAT,
        bytes.len(),
        xxhash_rust::xxh3::xxh3_64(&bytes)
    );
    expect_test::expect_file!["../data/journal_format.txt"].assert_eq(&said);
}

/// A later segment by itself: what stood is told anew, and from its pages on an engine sees what the first one sees.
#[test]
fn a_segment_of_the_middle_stands_alone() {
    let mut world = World::new(world::settings(world::RULES));
    let turn = 50;
    world.rounds(120);
    let (began, inputs) = (at(0), world.inputs.clone());
    let mut encoder = Encoder::new(Arc::new(world::settings(world::RULES)), began);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    opening(&encoder, Began::Run, began).put(&mut first);
    for (then, input) in &inputs[..turn] {
        encoder.input(*then, input, &mut first);
    }
    encoder.close(true, &mut first);
    let from = inputs[turn].0;
    opening(&encoder, Began::Later, from).put(&mut second);
    encoder.begin(from);
    for (then, input) in &inputs[turn..] {
        encoder.input(*then, input, &mut second);
    }
    let mut decoder = Decoder::new(&zone);
    let mut rest = &second[..];
    let mut engine: Option<Engine> = None;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (entry, bytes) = decoder.entry(rest).unwrap();
        rest = &rest[bytes..];
        match entry {
            Entry::Opened(opening) => {
                assert_eq!(opening.standing.targets.len(), 3);
                let standing = decoder.start_over(&opening);
                let mut made = Engine::new(
                    opening.standing.settings,
                    opening.restored,
                    opening.at,
                    &mut out,
                );
                for input in standing {
                    made.apply(from, input, &mut out);
                }
                engine = Some(made);
            }
            Entry::Input { at, input } => engine.as_mut().unwrap().apply(at, input, &mut out),
            Entry::Woke(_) | Entry::Closed { .. } => {}
        }
    }
    let shown = engine.unwrap().snapshot(world.at());
    let (seen, live) = (&shown.signals, &world.snapshot().signals);
    for (seen, live) in seen.iter().zip(live) {
        assert_eq!(seen.reading, live.reading, "{}", seen.name);
        assert!(seen.reading.value().is_some(), "{}: {:?}", seen.name, seen);
    }
}
