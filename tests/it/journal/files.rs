//! A journal in a real folder: written by the thread that writes it live, read by what a replay reads with.

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use gated::engine::{Columns, Effect, Engine, Input, Restored, Scrape, Settings};
use gated::model::{TargetId, Timestamp};
use gated::sink::{Journal as Writing, JournalConfig, JournalError, Keep, Recorder};
use gated::source::{Journal, Recorded, Remark};
use tempfile::TempDir;

use super::at;
use crate::binary::eventually;
use crate::ledger::disk::SmallDisk;
use crate::storm::Dice;
use crate::world::{self, World};

const MUCH: Keep = Keep {
    age: None,
    bytes: 1 << 30,
};

fn open(path: &Path, keep: Keep) -> Writing {
    let path = path.to_owned();
    Writing::open(JournalConfig { path, keep }).unwrap()
}

/// Begins a run without a past.
fn begin(journal: Writing, settings: &Settings, began: Timestamp) -> (Recorder, JoinHandle<()>) {
    let past = |_: &Settings, _: Timestamp| Ok(Restored::default());
    let settings = Arc::new(settings.clone());
    journal
        .begin(settings, Restored::default(), began, Box::new(past))
        .unwrap()
}

/// A world in which a bad version goes live, and its inputs.
fn story() -> World {
    let mut world = World::new(world::settings(world::RULES));
    world.rounds(60);
    world.deploy("2.0.0", 0.2);
    world.rounds(200);
    assert_eq!(world.decided(), ["rollback errors"]);
    world
}

/// Everything of a folder, and the effects of a replay.
fn replay(path: &Path) -> (Vec<Effect>, Vec<Remark>) {
    let (mut effects, mut remarks) = (Vec::new(), Vec::new());
    let mut engine: Option<Engine> = None;
    for recorded in Journal::open(path).unwrap().entries() {
        match recorded {
            Recorded::Opened(it) => {
                let (settings, restored) = (it.standing.settings, it.restored);
                engine = Some(Engine::new(settings, restored, it.at, &mut effects));
            }
            Recorded::Input { at, input } => {
                engine.as_mut().unwrap().apply(at, input, &mut effects);
            }
            Recorded::Woke(at) => engine.as_mut().unwrap().advance(at, &mut effects),
            Recorded::Remark(remark) => remarks.push(remark),
        }
    }
    (effects, remarks)
}

fn decided(effects: &[Effect]) -> Vec<String> {
    let decisions = effects.iter().filter_map(|it| match it {
        Effect::Record(gated::engine::Record::Decision(it)) => {
            Some(format!("{} {}", it.action, it.trigger))
        }
        _ => None,
    });
    decisions.collect()
}

fn segments(path: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(path).unwrap().map(|it| it.unwrap().path());
    let mut all: Vec<PathBuf> = all
        .filter(|it| it.extension().is_some_and(|it| it == "journal"))
        .collect();
    all.sort();
    all
}

/// Writes a whole run of these inputs.
fn record(path: &Path, inputs: &[(Timestamp, Input)]) {
    let settings = world::settings(world::RULES);
    let (mut recorder, thread) = begin(open(path, MUCH), &settings, at(0));
    for (then, input) in inputs {
        recorder.input(*then, input);
    }
    recorder.finish();
    thread.join().unwrap();
}

#[test]
fn what_was_given_is_read_and_gives_its_effects() {
    let folder = tempfile::tempdir().unwrap();
    let world = story();
    record(folder.path(), &world.inputs);
    let (effects, remarks) = replay(folder.path());
    assert_eq!(remarks, []);
    // The world's wakes are not among its inputs: a deadline after the last of them is not fired here.
    let live: Vec<String> = world
        .effects
        .iter()
        .map(|(_, it)| format!("{it:?}"))
        .collect();
    let again: Vec<String> = effects.iter().map(|it| format!("{it:?}")).collect();
    assert!(live.starts_with(&again) && live.len() < again.len() + 20);
    assert_eq!(decided(&effects), ["rollback errors"]);
}

#[test]
fn a_second_run_follows_the_first_and_two_at_once_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let world = story();
    let held = open(folder.path(), MUCH);
    let config = JournalConfig {
        path: folder.path().to_owned(),
        keep: MUCH,
    };
    let second = Writing::open(config).unwrap_err();
    let process = std::process::id();
    assert!(matches!(&second, JournalError::Locked { pid, .. } if *pid == Some(process)));
    assert!(second.to_string().contains("another gated"), "{second}");
    drop(held);
    record(folder.path(), &world.inputs);
    record(folder.path(), &world.inputs);
    assert_eq!(segments(folder.path()).len(), 2);
    let (effects, remarks) = replay(folder.path());
    assert_eq!(remarks, []);
    assert_eq!(decided(&effects), ["rollback errors"; 2]);
}

/// K1: killed at any byte, what was whole is read, and the rest is said.
#[test]
fn a_torn_end_is_cut_and_said() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &story().inputs);
    let path = segments(folder.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    for cut in (0..whole.len()).rev().step_by(whole.len() / 23) {
        fs::write(&path, &whole[..cut]).unwrap();
        let (_, remarks) = replay(folder.path());
        let [remark] = &remarks[..] else {
            panic!("{cut}: {remarks:?}")
        };
        assert!(
            matches!(remark, Remark::Torn { .. } | Remark::Unfinished { .. }),
            "{cut}: {remark}"
        );
    }
}

#[test]
fn a_damaged_block_is_named_and_ends_its_segment() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &story().inputs);
    let path = segments(folder.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    // The head, the opening's block, and the last block.
    for (place, at, why) in [
        (0, 0, "no segment of a journal"),
        (9, 0, "format"),
        (21, 0, "its head is damaged"),
        (36 + 16 + 9, 36, "not what was written"),
        (whole.len() - 1, 0, "not what was written"),
    ] {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x55;
        fs::write(&path, &bytes).unwrap();
        let (_, remarks) = replay(folder.path());
        let [remark @ Remark::Damaged { at: found, .. }] = &remarks[..] else {
            panic!("{place}: {remarks:?}")
        };
        let said = remark.to_string();
        assert!(said.contains(&name) && said.contains(why), "{said}");
        assert!(at == 0 || *found == at, "{said}");
    }
    fs::write(&path, &whole).unwrap();
    fs::rename(&path, folder.path().join("000007-000000.journal")).unwrap();
    let (_, remarks) = replay(folder.path());
    assert!(remarks[0].to_string().contains("under another name"));
}

#[test]
fn a_block_that_lies_about_its_size_is_not_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &story().inputs);
    let path = segments(folder.path()).remove(0);
    for (size, why) in [
        (100_u32, "unpacks to more than it says"),
        (200 << 20, "another size than it says"),
        (u32::MAX, "no possible size"),
    ] {
        let mut file = OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(36 + 4)).unwrap();
        file.write_all(&size.to_le_bytes()).unwrap();
        let (_, remarks) = replay(folder.path());
        assert!(remarks[0].to_string().contains(why), "{remarks:?}");
    }
}

/// Feeds a run until so many segments of it were begun; the world's inputs again and again, each time later.
fn long_run(folder: &TempDir, keep: Keep, hours: i64) -> Vec<PathBuf> {
    let settings = world::settings(world::RULES);
    let mut world = World::new(settings.clone());
    let (mut recorder, thread) = begin(open(folder.path(), keep), &settings, at(0));
    for begun in 1..=hours {
        world.rounds(20);
        // A pause of an hour ends the segment; the next entry begins another.
        for (then, input) in world.inputs.drain(..) {
            recorder.input(then, &input);
        }
        world.advance_to(at(3_600_000 * begun).millis() + 1);
        recorder.woke(world.at());
        world.now += 1;
        eventually("the next segment", || {
            recorder.woke(world.at());
            world.now += 1;
            folder
                .path()
                .join(format!("000001-{begun:06}.journal"))
                .exists()
        });
    }
    recorder.finish();
    thread.join().unwrap();
    segments(folder.path())
}

#[test]
fn segments_follow_each_other() {
    let whole = tempfile::tempdir().unwrap();
    assert_eq!(long_run(&whole, MUCH, 3).len(), 4);
    let (_, remarks) = replay(whole.path());
    assert_eq!(remarks, [], "later openings are passed over");
}

#[test]
fn the_oldest_segments_are_let_go_of() {
    let short = tempfile::tempdir().unwrap();
    let keep = Keep {
        age: Some(Duration::from_secs(2 * 3600 + 600)),
        bytes: 1 << 30,
    };
    let left = long_run(&short, keep, 4);
    assert!(left.len() < 5 && left.len() > 1, "{left:?}");
    let (_, remarks) = replay(short.path());
    let [remark @ Remark::Cold { path, .. }] = &remarks[..] else {
        panic!("{remarks:?}")
    };
    assert_eq!(*path, left[0]);
    assert!(remark.to_string().contains("may differ"), "{remark}");

    let small = tempfile::tempdir().unwrap();
    let bytes = fs::metadata(&left[0]).unwrap().len() * 3;
    let keep = Keep { age: None, bytes };
    let left = long_run(&small, keep, 4);
    let size: u64 = left.iter().map(|it| fs::metadata(it).unwrap().len()).sum();
    assert!(size <= bytes, "{size} of {bytes}");
}

#[test]
fn a_segment_that_is_missing_is_a_gap_and_the_next_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let all = long_run(&folder, MUCH, 3);
    fs::remove_file(&all[1]).unwrap();
    let (_, remarks) = replay(folder.path());
    let [Remark::Cold { path, .. }] = &remarks[..] else {
        panic!("{remarks:?}")
    };
    assert_eq!(*path, all[2]);
}

/// D1: a full disk is a gap: nobody waits for it, it is tried again, and read as one.
#[test]
fn a_full_disk_is_a_gap() {
    let disk = SmallDisk::new("256k");
    let settings = world::settings(world::RULES);
    let (mut recorder, thread) = begin(open(&disk.folder(), MUCH), &settings, at(0));
    let (mut dice, mut millis) = (Dice::new(1), 0);
    // A page that nothing makes smaller.
    let mut page = || {
        millis += 10;
        let bits = (0..500).map(|_| dice.between(0, i64::MAX).cast_unsigned());
        let values = bits.map(f64::from_bits).collect();
        recorder.input(
            at(millis),
            &Input::Scraped(Scrape {
                target: TargetId(0),
                at: at(millis),
                duration: Duration::ZERO,
                outcome: Ok(Columns {
                    values,
                    ..Columns::default()
                }),
            }),
        );
    };
    let path = |number: u32| disk.folder().join(format!("000001-{number:06}.journal"));
    let size = |number| fs::metadata(path(number)).map_or(0, |it| it.len());
    page();
    eventually("the first block", || size(0) > 4000);
    let filler = disk.fill("other");
    let full = size(0);
    // For a few of the writer's rounds: more than its file's last page has room for.
    for _ in 0..40 {
        page();
        std::thread::sleep(Duration::from_millis(80));
    }
    assert!(size(0) < full + 4096 && size(1) == 0);
    fs::remove_file(filler).unwrap();
    eventually("another segment", || {
        page();
        std::thread::sleep(Duration::from_millis(90));
        size(1) > 4000
    });
    recorder.finish();
    thread.join().unwrap();
    let (_, remarks) = replay(&disk.folder());
    assert!(
        matches!(
            &remarks[..],
            [Remark::Unfinished { .. }, Remark::Cold { .. }]
        ),
        "{remarks:?}"
    );
}

/// One page as services have them: counters, buckets of a histogram, sums, gauges with a few digits, and what stays.
fn service_page(dice: &mut Dice, values: &mut [f64]) {
    for (slot, value) in values.iter_mut().enumerate() {
        match slot % 20 {
            // Half of what is scraped does not move within five seconds.
            0..=9 => {}
            10..=14 => *value += dice.between(0, 40) as f64,
            15..=17 => *value += dice.between(0, 900) as f64,
            18 => *value = dice.between(100, 9000) as f64 / 100.0,
            // A sum of durations has all of its bits.
            _ => *value += dice.between(1, 1_000_000) as f64 / 999_983.0,
        }
    }
}

/// The number that README states: `cargo test --test it -- journal::files::a_sample --nocapture`.
#[test]
fn a_sample_takes_a_few_bytes() {
    const SERIES: usize = 200;
    const PAGES: usize = 720;
    let folder = tempfile::tempdir().unwrap();
    let settings = world::settings(world::RULES);
    let (mut recorder, thread) = begin(open(folder.path(), MUCH), &settings, at(0));
    let (mut dice, mut values) = (Dice::new(3), vec![7.0; SERIES]);
    for page in 0..PAGES {
        service_page(&mut dice, &mut values);
        let at = at(5000 * page as i64 + dice.between(0, 9));
        let input = Input::Scraped(Scrape {
            target: TargetId(0),
            at,
            duration: Duration::from_micros(dice.between(900, 4000) as u64),
            outcome: Ok(Columns {
                values: values.clone(),
                samples_scraped: SERIES as u32,
                samples_kept: SERIES as u32,
                ..Columns::default()
            }),
        });
        recorder.input(at, &input);
        // As the writer has it live: a block every half second holds one page of a target.
        if page % 60 == 59 {
            std::thread::sleep(Duration::from_millis(600));
        }
    }
    recorder.finish();
    thread.join().unwrap();
    let bytes = fs::metadata(&segments(folder.path())[0]).unwrap().len();
    let each = bytes as f64 / (SERIES * PAGES) as f64;
    println!(
        "{bytes} bytes for {} samples: {each:.2} each",
        SERIES * PAGES
    );
    assert!(each < 1.5, "{each}");
}
