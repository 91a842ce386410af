//! `--sweep`: what would have been decided with other thresholds, value by value.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::outcome::Outcome;
use super::play::{Play, PlayError, play};
use crate::engine::Settings;
use crate::model::{Action, Decision, Timestamp};
use crate::run::bar::Bar;
use crate::run::entry::STACK_BYTES;
use crate::runbook::Sweep;

/// Runs of one command at most.
const RUNS_MAX: usize = 400;

/// What came of one set of values.
#[derive(Clone, Debug)]
pub struct Row {
    /// One for each sweep; empty for the rules as they are written.
    pub values: Vec<String>,
    pub rollbacks: usize,
    pub first_rollback: Option<Timestamp>,
    pub escalations: usize,
    pub first_escalation: Option<Timestamp>,
}

impl Row {
    fn new(values: Vec<String>, outcome: &Outcome) -> Self {
        let of = |action| -> Vec<&Decision> { outcome.of(action).collect() };
        let (rollbacks, escalations) = (of(Action::Rollback), of(Action::Escalate));
        Self {
            values,
            rollbacks: rollbacks.len(),
            first_rollback: rollbacks.first().map(|it| it.at),
            escalations: escalations.len(),
            first_escalation: escalations.first().map(|it| it.at),
        }
    }
}

/// Every combination of values, the rules as they are written first.
///
/// # Errors
/// A sweep that the rules have nothing for, or too many runs; what [`play`] refuses.
pub fn sweep(
    texts: &[String],
    it: &Play<'_>,
    settings: &Settings,
) -> Result<(Vec<Sweep>, Vec<Row>), String> {
    let parsed = texts.iter().map(|text| Sweep::parse(text, &settings.rules));
    let (sweeps, faults): (Vec<_>, Vec<_>) = parsed.partition(Result::is_ok);
    let faults: Vec<String> = faults.into_iter().filter_map(Result::err).collect();
    if !faults.is_empty() {
        return Err(faults.join("\n"));
    }
    let sweeps: Vec<Sweep> = sweeps.into_iter().filter_map(Result::ok).collect();
    for (place, sweep) in sweeps.iter().enumerate() {
        if sweeps[..place].iter().any(|it| it.name == sweep.name) {
            return Err(format!("`{}` is swept twice: say it once", sweep.name));
        }
    }
    let runs = combinations(sweeps.iter().map(Sweep::len));
    let runs = runs.filter(|runs| *runs <= RUNS_MAX).ok_or_else(|| {
        format!("these are more than {RUNS_MAX} combinations: sweep fewer values or shorter ranges")
    })?;
    let rows = all(&sweeps, runs, it, settings)?;
    Ok((sweeps, rows))
}

/// Runs them side by side: nothing is shared but what was recorded.
fn all(
    sweeps: &[Sweep],
    runs: usize,
    it: &Play<'_>,
    settings: &Settings,
) -> Result<Vec<Row>, String> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new((Vec::with_capacity(runs + 1), Bar::new("sweeping")));
    let work = || {
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run > runs {
                break;
            }
            let row = one(sweeps, run, it, settings);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.0.push((run, row));
            #[allow(clippy::cast_precision_loss, reason = "a share for people")]
            let share = done.0.len() as f64 / (runs + 1) as f64;
            done.1.show(share);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(runs + 1) {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            thread.spawn_scoped(scope, work)?;
        }
        Ok::<(), std::io::Error>(())
    })
    .map_err(|error| format!("cannot start a thread: {error}"))?;
    let (mut rows, mut bar) = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    bar.clear();
    rows.sort_by_key(|(run, _)| *run);
    let rows = rows.into_iter().map(|(_, row)| row);
    rows.collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

/// Run 0 is the rules as they are written.
fn one(sweeps: &[Sweep], run: usize, it: &Play<'_>, settings: &Settings) -> Result<Row, PlayError> {
    let mut rules = (*settings.rules).clone();
    // Whoever looks for the right number wants to know what would become of it.
    for phase in &mut rules.phases {
        phase.shadow = false;
        for trigger in &mut phase.triggers {
            trigger.shadow = false;
        }
    }
    let mut values = Vec::new();
    if let Some(mut place) = run.checked_sub(1) {
        // The last sweep's value changes fastest.
        for sweep in sweeps.iter().rev() {
            let step = place % sweep.len();
            place /= sweep.len();
            sweep.apply(step, &mut rules);
            values.push(sweep.text(step).to_owned());
        }
        values.reverse();
    }
    let settings = Settings {
        rules: Arc::new(rules),
        ..settings.clone()
    };
    let outcome = play(it, Arc::new(settings), &mut |_| ())?;
    Ok(Row::new(values, &outcome))
}

/// How many runs there are; `None` for more than can be counted.
fn combinations(lengths: impl Iterator<Item = usize>) -> Option<usize> {
    let mut lengths = lengths;
    lengths.try_fold(1, usize::checked_mul)
}

#[cfg(test)]
mod tests {
    use super::combinations;

    #[test]
    fn more_combinations_than_can_be_counted_are_none() {
        assert_eq!(combinations([3, 4].into_iter()), Some(12));
        assert_eq!(combinations(std::iter::repeat_n(12, 18)), None);
    }
}
