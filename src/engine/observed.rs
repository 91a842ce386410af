//! Values that people observe: series of the window that have no target to be scraped, each for as long as its observation
//! is good for. After that it is stale, as a target that does not answer is.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::Answer;
use super::Effect;
use super::Event;
use super::Record;
use super::Refusal;
use super::engine::Engine;
use super::history::HISTORY_KEPT;
use crate::model::Labels;
use crate::model::Observation;
use crate::model::Slot;
use crate::model::TargetId;
use crate::model::Timestamp;
use crate::model::labels::is_own;

/// Samples of what stands are repeated this often: an instant selector looks back five minutes.
const REPEAT: Duration = Duration::from_secs(60);
/// Series that people observe, in all.
const SERIES_MAX: usize = 10_000;
/// The job of an observation that names none.
pub const OBSERVED_JOB: &str = "observed";

/// A value of a series, as somebody gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// With its name.
    pub labels: Labels,
    pub value: f64,
}

#[derive(Debug, Default)]
pub(super) struct ObservedBook {
    series: BTreeMap<Labels, Held>,
    by_target: BTreeMap<TargetId, Labels>,
    next: u32,
    /// All of them, for the snapshot: drawn when one changes, not each time that somebody looks.
    pub shown: Arc<[Observation]>,
    /// When the next of them has had its time.
    pub lapses: Option<Timestamp>,
}

#[derive(Debug)]
struct Held {
    observation: Observation,
    target: TargetId,
    /// Its time is over.
    lapsed: bool,
}

impl ObservedBook {
    fn target(&mut self) -> TargetId {
        self.next += 1;
        TargetId(TargetId::OBSERVED.0 + self.next - 1)
    }

    fn of(&self, target: TargetId) -> Option<&Held> {
        self.series.get(self.by_target.get(&target)?)
    }

    /// Whether what stands behind a target of the window is still good.
    pub fn stands(&self, target: TargetId) -> bool {
        self.of(target).is_some_and(|it| !it.lapsed)
    }

    /// Why a series has no value any more.
    pub fn why_not(&self, target: TargetId) -> Option<String> {
        let held = self.of(target).filter(|it| it.lapsed)?;
        let Observation {
            labels, at, until, ..
        } = &held.observation;
        Some(format!(
            "the last observation of {} is of {at} and was good until {until}; see `gated observe --help`",
            labels.name()
        ))
    }

    /// What stands and what has lapsed, by series.
    pub fn all(&self) -> impl Iterator<Item = &Observation> {
        self.series.values().map(|it| &it.observation)
    }

    fn plan(&mut self) {
        let standing = self.series.values().filter(|it| !it.lapsed);
        self.lapses = standing.map(|it| it.observation.until).min();
        let shown = self.series.values().map(|it| it.observation.clone());
        self.shown = shown.collect();
    }
}

fn of_a_job(it: Observed) -> Observed {
    let labels = match it.labels.get("job") {
        Some(_) => it.labels,
        None => it.labels.with("job", OBSERVED_JOB),
    };
    Observed { labels, ..it }
}

impl Engine {
    /// Takes all of it or nothing.
    pub(super) fn observe(
        &mut self,
        values: Vec<Observed>,
        lifetime: Duration,
        by: &str,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        let values: Vec<Observed> = values.into_iter().map(of_a_job).collect();
        self.may_observe(&values, lifetime)?;
        let mut taken = Vec::with_capacity(values.len());
        let mut unread = BTreeSet::new();
        for Observed { labels, value } in values {
            if self.interest.span(&labels).is_none() {
                unread.insert(labels.name().to_owned());
            }
            let observation = Observation {
                labels,
                value,
                at,
                until: at + lifetime,
                by: by.to_owned(),
            };
            out.push(Effect::Record(Record::Observation(observation.clone())));
            out.push(Effect::Tell(Event::Observed(Box::new(observation.clone()))));
            let target = self.stand(observation.clone());
            self.window.append(target, at, &[value], &[]);
            taken.push(observation);
        }
        self.observed.plan();
        // Once for all of them, however many were given.
        self.judge(at, None, out);
        let unread = unread.into_iter().collect();
        Ok(Answer::Observed { taken, unread })
    }

    fn may_observe(&self, values: &[Observed], lifetime: Duration) -> Result<(), Refusal> {
        let invalid = |text: String| Err(Refusal::Invalid(text));
        if lifetime < REPEAT || lifetime > HISTORY_KEPT {
            let shown = humantime::format_duration(lifetime);
            return invalid(format!(
                "an observation is good for one minute at least and 40 days at most, not {shown}"
            ));
        }
        if values.is_empty() {
            return invalid("there is nothing observed in it".into());
        }
        if let Some(own) = values.iter().find(|it| is_own(it.labels.name())) {
            let name = own.labels.name();
            return invalid(format!(
                "{name} is a series that gated makes itself: observe one of another name"
            ));
        }
        if let Some(wrong) = values.iter().find(|it| !it.value.is_finite()) {
            let name = wrong.labels.name();
            return invalid(format!("{name} is {}: observe a number", wrong.value));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = values.iter().find(|it| !seen.insert(&it.labels)) {
            return invalid(format!("{} is observed twice: give it once", twice.labels));
        }
        let known = |it: &&Observed| self.observed.series.contains_key(&it.labels);
        let fresh = values.len() - values.iter().filter(known).count();
        if self.observed.series.len() + fresh > SERIES_MAX {
            return Err(Refusal::Conflict(format!(
                "more than {SERIES_MAX} series are observed; export them as a page that gated scrapes"
            )));
        }
        Ok(())
    }

    /// Gives an observation its series in the window.
    fn stand(&mut self, observation: Observation) -> TargetId {
        let labels = observation.labels.clone();
        let known = self.observed.series.get(&labels).map(|it| it.target);
        let target = known.unwrap_or_else(|| self.observed.target());
        let held = Held {
            observation,
            target,
            lapsed: false,
        };
        self.observed.by_target.insert(target, labels.clone());
        self.observed.series.insert(labels.clone(), held);
        if let Some(span) = self.interest.span(&labels) {
            self.window.add_target(target, REPEAT);
            self.window.born(target, Slot(0), labels, span);
        }
        target
    }

    /// After a start: what was observed before and is still good.
    pub(super) fn resume_observations(&mut self, all: Vec<Observation>, at: Timestamp) {
        for observation in all {
            let value = observation.value;
            let lapsed = observation.until <= at;
            let labels = observation.labels.clone();
            let target = self.stand(observation);
            if lapsed {
                self.window.fail(target, at);
                if let Some(held) = self.observed.series.get_mut(&labels) {
                    held.lapsed = true;
                }
            } else {
                self.window.append(target, at, &[value], &[]);
            }
        }
        self.observed.plan();
    }

    /// After a reload: rules may read what they did not before.
    pub(super) fn bear_observations(&mut self, at: Timestamp) {
        let all: Vec<Observation> = self.observed.all().cloned().collect();
        for observation in all {
            let labels = observation.labels.clone();
            let known = self.observed.series.get(&labels);
            let lapsed = known.is_some_and(|it| it.lapsed);
            let value = observation.value;
            let target = self.stand(observation);
            if !lapsed {
                self.window.append(target, at, &[value], &[]);
            } else if let Some(held) = self.observed.series.get_mut(&labels) {
                held.lapsed = true;
            }
        }
        self.observed.plan();
    }

    /// What stands goes on, and what has had its time goes stale.
    pub(super) fn repeat_observations(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let mut lapsed = false;
        for held in self.observed.series.values_mut().filter(|it| !it.lapsed) {
            if held.observation.until <= at {
                held.lapsed = true;
                self.window.fail(held.target, at);
                lapsed = true;
            } else {
                self.window
                    .append(held.target, at, &[held.observation.value], &[]);
            }
        }
        let old = |it: &Held| it.lapsed && at.since(it.observation.until) > HISTORY_KEPT;
        let (window, book) = (&mut self.window, &mut self.observed);
        let by_target = &mut book.by_target;
        book.series.retain(|_, it| {
            let goes = old(it);
            if goes {
                by_target.remove(&it.target);
                window.remove_target(it.target, at);
            }
            !goes
        });
        if lapsed || self.observed.series.len() != self.observed.shown.len() {
            self.observed.plan();
        }
        if lapsed {
            self.judge(at, None, out);
        }
    }
}
