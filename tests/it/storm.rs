//! The seeded storm: the engine in a world where everything goes wrong by chance, and laws that hold all the same.
//!
//! `GATED_STORM_SEEDS=N` runs the first N seeds, `GATED_STORM_SEED=n` replays one and prints what happens.

mod dice;
mod disk;
mod files;
mod fleet;
mod hooks;
mod laws;
mod life;
mod operators;
mod tally;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

pub use dice::Dice;
use tally::Tally;
use world::World;

const SEEDS: u64 = 2000;
/// As gated's own threads have it.
const STACK_BYTES: usize = 16 << 20;

#[test]
fn every_law_holds_in_every_storm() {
    let asked = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(
            text.parse::<u64>()
                .unwrap_or_else(|_| panic!("{name}={text} is no number")),
        )
    };
    if let Some(seed) = asked("GATED_STORM_SEED") {
        // On a thread of its own for its stack.
        let one = thread::Builder::new().stack_size(STACK_BYTES);
        let one = one.spawn(move || println!("{:?}", one_seed(seed, true)));
        assert!(one.unwrap().join().is_ok(), "{}", again(seed));
        return;
    }
    let seeds = asked("GATED_STORM_SEEDS").unwrap_or(SEEDS);
    let began = Instant::now();
    let (tally, failed) = storms(seeds);
    println!(
        "{seeds} storms in {:.1} s: {tally:?}",
        began.elapsed().as_secs_f64()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    if seeds >= SEEDS {
        for (what, times) in tally.all() {
            assert!(times >= 20, "the storm has gone calm: {what} {times} times");
        }
    }
}

/// The first that fail, each with its command, and what happened in all.
fn storms(seeds: u64) -> (Tally, Vec<String>) {
    const FAILURES_MAX: usize = 3;
    let next = AtomicU64::new(0);
    let (all, failed) = (Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds || failed.lock().unwrap().len() >= FAILURES_MAX {
            return;
        }
        match catch_unwind(AssertUnwindSafe(|| one_seed(seed, false))) {
            Ok(tally) => all.lock().unwrap().add(&tally),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                let text = text.unwrap_or("it panicked");
                let line = format!("{text}\n{}", again(seed));
                failed.lock().unwrap().push(line);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            let worker = thread::Builder::new().stack_size(STACK_BYTES);
            worker.spawn_scoped(scope, work).unwrap();
        }
    });
    (all.into_inner().unwrap(), failed.into_inner().unwrap())
}

fn one_seed(seed: u64, verbose: bool) -> Tally {
    let mut world = World::new(seed, verbose);
    world.storm();
    world.heal();
    world.tally
}

fn again(seed: u64) -> String {
    format!("GATED_STORM_SEED={seed} cargo test --locked --test it -- storm:: --nocapture")
}
