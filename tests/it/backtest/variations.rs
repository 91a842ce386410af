//! Hundreds of releases made by chance from fixed seeds, judged by the rules of the example scenarios unchanged: no false
//! rollback, no miss, and nobody called for nothing. `tests/data/variations.md` says how often and how soon, by kind.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use expect_test::expect_file;
use gated::run::backtest::Judge;

use super::kinds::{Case, Kind, all};
use super::luck::Luck;
use super::{Wrong, decisions_on, examples_judge, listed, played, recording_for, weigh};

/// How one variation went.
struct Went {
    kind: usize,
    /// How long after the fault it was decided, where something was to be.
    result: Result<Option<Duration>, Wrong>,
    /// What was decided, where that is wrong.
    shown: String,
}

fn judge_of(case: &Case) -> Judge {
    let mut judge = examples_judge();
    if case.inferred {
        judge.settings.rollout.version_from = Some("app_build_info".to_owned());
    }
    judge.told(!case.inferred, None)
}

fn go(kinds: &[Kind], kind: usize, number: usize) -> Went {
    let Kind { name, make, .. } = &kinds[kind];
    let mut luck = Luck::of(name, number);
    let case = make(&mut luck);
    let judge = judge_of(&case);
    let mut recording = recording_for(&judge);
    let series = case.story.record(&mut luck);
    case.packed.unpack(&series, &mut luck, &mut recording);
    let outcome = played(&judge, &recording, &case.tellings());
    let mut result = Ok(None);
    let mut told = 0;
    for (version, right) in &case.rights {
        let decisions = decisions_on(&outcome, version);
        told += decisions.len();
        let weighed = weigh(right, &decisions);
        result = match (result, weighed) {
            (Err(wrong), _) | (Ok(_), Err(wrong)) => Err(wrong),
            (Ok(before), Ok(late)) => Ok(late.or(before)),
        };
    }
    if told != outcome.decisions.len() {
        result = result.and(Err(Wrong::False));
    }
    let shown = match &result {
        Ok(_) => String::new(),
        Err(wrong) => {
            let (rights, about) = (&case.rights, case.shown());
            let packed = case.packed;
            let listed = listed(&outcome);
            format!(
                "{name} {number}: {wrong:?}\n  {about}, {packed:?}\n  right: {rights:?}\n{listed}"
            )
        }
    };
    Went {
        kind,
        result,
        shown,
    }
}

/// Every variation, on as many threads as there are cores, in the order of kinds and numbers.
fn run(kinds: &[Kind], only: Option<&str>) -> Vec<Went> {
    let chosen = kinds.iter().enumerate();
    let chosen = chosen.filter(|(_, it)| only.is_none_or(|only| it.name.contains(only)));
    let jobs: Vec<(usize, usize)> = chosen
        .flat_map(|(kind, it)| (0..it.variations).map(move |number| (kind, number)))
        .collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((kind, number)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((*kind, *number, go(kinds, *kind, *number)));
        }
        done
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let mut done = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().flat_map(|it| it.join().unwrap());
        done.collect::<Vec<_>>()
    });
    done.sort_by_key(|(kind, number, _)| (*kind, *number));
    done.into_iter().map(|(_, _, went)| went).collect()
}

fn seconds(mut delays: Vec<Duration>) -> String {
    delays.sort();
    let shown = |it: &Duration| format!("{:.1} s", it.as_secs_f64());
    match (delays.get(delays.len() / 2), delays.last()) {
        (Some(median), Some(worst)) => format!("{} | {}", shown(median), shown(worst)),
        _ => "| ".to_owned(),
    }
}

fn row(name: &str, right: &str, went: &[&Went]) -> String {
    let count = |wrong: Wrong| went.iter().filter(|it| it.result == Err(wrong)).count();
    let [of, well] = [
        went.len(),
        went.iter().filter(|it| it.result.is_ok()).count(),
    ];
    let (early, missed, noise) = (count(Wrong::False), count(Wrong::Miss), count(Wrong::Noise));
    let delays = went
        .iter()
        .filter_map(|it| it.result.ok().flatten())
        .collect();
    let delays = seconds(delays);
    format!("| {name} | {right} | {of} | {well} | {early} | {missed} | {noise} | {delays} |\n")
}

fn table(kinds: &[Kind], went: &[Went]) -> String {
    let mut text = String::new();
    text += "| kind | right | variations | decided right | false rollbacks | misses | called for nothing | median delay | worst delay |\n";
    text += "|---|---|---:|---:|---:|---:|---:|---:|---:|\n";
    for (n, kind) in kinds.iter().enumerate() {
        let went: Vec<&Went> = went.iter().filter(|it| it.kind == n).collect();
        if !went.is_empty() {
            text += &row(kind.name, kind.right, &went);
        }
    }
    text += &row("all", "", &went.iter().collect::<Vec<_>>());
    text
}

/// `GATED_KIND=burst` runs the kinds with that in their name, and prints the table.
#[test]
fn no_false_rollback_and_no_miss_in_hundreds_of_releases() {
    let kinds = all();
    let only = std::env::var("GATED_KIND").ok();
    let went = run(&kinds, only.as_deref());
    let table = table(&kinds, &went);
    let mut wrong = String::new();
    for went in went.iter().filter(|it| it.result.is_err()) {
        write!(wrong, "{}", went.shown).unwrap();
    }
    if only.is_some() {
        println!("{table}");
    } else {
        assert!(went.len() >= 250, "{}", went.len());
    }
    assert!(wrong.is_empty(), "\n{wrong}\n{table}");
    if only.is_none() {
        expect_file!["../../data/variations.md"].assert_eq(&table);
    }
}
