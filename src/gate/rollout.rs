//! Rollouts: told, or inferred from a changed version label. At most one is in progress.
//!
//! Inferring: the running version is the majority's; absence is no change; the first version seen with an empty
//! ledger is adopted; a version whose rollback was decided begins no new rollout until another was the majority
//! for five minutes.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::guard::Bad;
use crate::model::Past;
use crate::model::Rollout;
use crate::model::RolloutEnd;
use crate::model::RolloutId;
use crate::model::Said;
use crate::model::Timestamp;

/// How long another version must have been the majority before a rolled-back one may begin again.
const REGAIN_TRUST: Duration = Duration::from_secs(300);

/// A rollout as somebody told it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub id: Option<RolloutId>,
    pub version: String,
    pub previous_version: Option<String>,
    pub started_at: Option<Timestamp>,
    pub irreversible: bool,
}

/// What a telling or an observation changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    pub ended: Option<Rollout>,
    pub begun: Option<Rollout>,
    /// The rollout in progress with better knowledge of it: same id.
    pub amended: Option<Rollout>,
}

/// All rollouts that are remembered, oldest first, and what is known of the running version.
#[derive(Debug)]
pub struct Rollouts {
    service: String,
    environment: String,
    all: Vec<Rollout>,
    /// Versions for which a rollback was decided.
    rolled_back: BTreeSet<String>,
    /// The majority's version and since when.
    running: Option<(String, Timestamp)>,
    /// How long the version before `running` had been the majority, in case `running` was rolled back before.
    before_running: Duration,
    /// When each version was first seen running anywhere, while it runs.
    first_seen: BTreeMap<String, Timestamp>,
}

impl Rollouts {
    #[must_use]
    pub fn new(
        service: &str,
        environment: &str,
        all: Vec<Rollout>,
        rolled_back: BTreeSet<String>,
    ) -> Self {
        Self {
            service: service.to_owned(),
            environment: environment.to_owned(),
            all,
            rolled_back,
            running: None,
            before_running: Duration::MAX,
            first_seen: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn all(&self) -> &[Rollout] {
        &self.all
    }

    #[must_use]
    pub fn get(&self, id: &RolloutId) -> Option<&Rollout> {
        self.all.iter().rev().find(|rollout| rollout.id == *id)
    }

    /// The one in progress.
    #[must_use]
    pub fn current(&self) -> Option<&Rollout> {
        self.all
            .last()
            .filter(|rollout| rollout.end.is_none() && !adopted(rollout))
    }

    /// For marking the one in progress.
    pub fn current_mut(&mut self) -> Option<&mut Rollout> {
        self.all
            .last_mut()
            .filter(|rollout| rollout.end.is_none() && !adopted(rollout))
    }

    /// Notes what was read before the newest rollout.
    pub fn set_past(&mut self, past: Past, medians: BTreeMap<String, f64>) {
        if let Some(newest) = self.all.last_mut() {
            newest.past = Arc::new(past);
            newest.baseline = medians;
        }
    }

    /// When the newest rollout changed what runs: its start, or the first sight of its version where that came first.
    /// A version that had been running before `earliest` says nothing about this rollout.
    #[must_use]
    pub fn change(&self, earliest: Timestamp) -> Option<Timestamp> {
        let newest = self.all.last()?;
        let told = newest.started_at.min(newest.seen_at);
        let seen = self.first_seen.get(&newest.version).copied();
        Some(
            seen.filter(|seen| *seen >= earliest)
                .map_or(told, |seen| seen.min(told)),
        )
    }

    /// A person says that this rollout is not to be rolled back.
    pub fn veto(&mut self, id: &RolloutId, said: Said) -> Option<&Rollout> {
        let rollout = self.all.iter_mut().rev().find(|it| it.id == *id)?;
        rollout.vetoed.get_or_insert(said);
        Some(rollout)
    }

    /// What the majority of instances runs.
    #[must_use]
    pub fn running(&self) -> Option<&str> {
        self.running.as_ref().map(|(version, _)| version.as_str())
    }

    /// Another version than the newest rollout's that became the majority since that rollout began. A version that
    /// only ran before it is none: the new one may still be on a few instances.
    #[must_use]
    pub fn displaced_by(&self) -> Option<&str> {
        let last = self.all.last().filter(|last| self.came_after(last))?;
        let (running, _) = self.running.as_ref()?;
        (*running != last.version).then_some(running)
    }

    /// The version that the one in progress took the place of, where something is held against it.
    #[must_use]
    pub fn known_bad(&self) -> Option<(&str, Bad)> {
        let previous = self.current()?.previous_version.as_deref()?;
        if self.rolled_back.contains(previous) {
            return Some((previous, Bad::RolledBack));
        }
        let mut before = self.all.iter().rev().skip(1);
        let newest = before.find(|rollout| rollout.version == previous)?;
        newest.turned_red.then_some((previous, Bad::Red))
    }

    /// The version that was rolled back to the one in progress.
    #[must_use]
    pub fn returned_from(&self) -> Option<&str> {
        let current = self.current()?;
        let before = self.all.iter().rev().nth(1)?;
        let back = before.previous_version.as_deref() == Some(&current.version)
            && self.rolled_back.contains(&before.version);
        back.then_some(&before.version)
    }

    /// Whether the running version became the majority after this rollout began.
    fn came_after(&self, rollout: &Rollout) -> bool {
        let since = self.running.as_ref().map(|(_, since)| *since);
        since.is_some_and(|since| since > rollout.seen_at)
    }

    /// A rollback of this version was decided.
    pub fn mark_rolled_back(&mut self, version: &str) {
        self.rolled_back.insert(version.to_owned());
    }

    /// A decided rollback could not be recorded after all.
    pub fn unmark_rolled_back(&mut self, version: &str) {
        self.rolled_back.remove(version);
    }

    /// Somebody says that a rollout began. A known id begins no second one, nor, without id and start, the version in
    /// progress: that is a pipeline's second try, or what was inferred already. Once its rollback was decided, though,
    /// a person starts it again.
    pub fn tell(&mut self, mut told: Told, at: Timestamp) -> Change {
        told.version = self.spelled(&told.version);
        if let Some(id) = &told.id
            && self.get(id).is_some()
        {
            return Change::default();
        }
        let started_at = told.started_at.unwrap_or(at);
        let again = told.started_at.is_none() && !self.rolled_back.contains(&told.version);
        if let Some(current) = self.current_mut()
            && (!current.told || again)
            && told.id.is_none()
            && current.version == told.version
        {
            current.told = true;
            current.started_at = told.started_at.unwrap_or(current.started_at);
            current.irreversible |= told.irreversible;
            current.previous_version = told.previous_version.or(current.previous_version.take());
            return Change {
                amended: Some(current.clone()),
                ..Change::default()
            };
        }
        let id = told.id.unwrap_or_else(|| {
            RolloutId(format!("{}@{}@{}", self.service, told.version, started_at))
        });
        if self.get(&id).is_some() {
            return Change::default();
        }
        let previous_version = told
            .previous_version
            .or_else(|| self.last_good(&told.version));
        let rollout = self.made(id, told.version, previous_version, started_at, at);
        self.begin(
            Rollout {
                told: true,
                irreversible: told.irreversible,
                ..rollout
            },
            at,
        )
    }

    /// How many instances run each version, as just scraped.
    pub fn observe(&mut self, seen: &BTreeMap<String, usize>, at: Timestamp) -> Change {
        let mut counts = BTreeMap::new();
        for (version, count) in seen {
            *counts.entry(self.spelled(version)).or_default() += count;
        }
        self.observe_spelled(&counts, at)
    }

    /// As the newest rollout of this version spells it: `v2.0` and `2.0` are one version.
    fn spelled(&self, version: &str) -> String {
        let mut known = self.all.iter().rev().map(|rollout| &rollout.version);
        let known = known.find(|known| bare(known) == bare(version));
        known.map_or_else(|| version.to_owned(), Clone::clone)
    }

    fn observe_spelled(&mut self, counts: &BTreeMap<String, usize>, at: Timestamp) -> Change {
        self.first_seen
            .retain(|version, _| counts.contains_key(version));
        for version in counts.keys() {
            self.first_seen.entry(version.clone()).or_insert(at);
        }
        let all: usize = counts.values().sum();
        let Some((version, _)) = counts.iter().find(|(_, count)| **count * 2 > all) else {
            return Change::default();
        };
        let since = match &self.running {
            Some((running, since)) if running == version => *since,
            Some((_, since)) => {
                self.before_running = at.since(*since);
                at
            }
            None => {
                // After a restart: the version of the newest rollout is the one that ran before.
                let before = self
                    .all
                    .last()
                    .filter(|rollout| rollout.version != *version);
                self.before_running = before.map_or(Duration::MAX, |last| at.since(last.seen_at));
                before
                    .filter(|last| self.awaited(last, version))
                    .map_or(at, |last| last.seen_at)
            }
        };
        self.running = Some((version.clone(), since));
        self.infer(&version.clone(), at)
    }

    /// Whether `last` was told of before its version ran, as far as can be known at the first look: what runs is
    /// what it is to replace.
    fn awaited(&self, last: &Rollout, running: &str) -> bool {
        let replaced = last.previous_version.as_deref();
        last.told
            && last.end.is_none()
            && !self.rolled_back.contains(&last.version)
            && replaced.is_none_or(|previous| previous == running)
    }

    fn infer(&mut self, version: &str, at: Timestamp) -> Change {
        let Some(last) = self.all.last() else {
            let id = RolloutId(format!("{}@{version}#0", self.service));
            let rollout = self.made(id, version.to_owned(), None, at, at);
            return self.begin(
                Rollout {
                    end: Some((at, RolloutEnd::Finished)),
                    ..rollout
                },
                at,
            );
        };
        // Who tells of a rollout tells before its version runs: what ran already is no change.
        if last.version == version || !self.came_after(last) {
            return Change::default();
        }
        let distrusted = self.rolled_back.contains(version) && self.before_running < REGAIN_TRUST;
        if distrusted {
            return Change::default();
        }
        let n = self
            .all
            .iter()
            .filter(|rollout| rollout.version == version)
            .count()
            + 1;
        let id = RolloutId(format!("{}@{version}#{n}", self.service));
        let started_at = self.first_seen.get(version).copied().unwrap_or(at);
        let previous_version = self.last_good(version);
        let rollout = self.made(id, version.to_owned(), previous_version, started_at, at);
        self.begin(rollout, at)
    }

    /// Ends the rollout in progress if it has this id.
    pub fn finish(&mut self, id: &RolloutId, at: Timestamp) -> Option<Rollout> {
        let current = self.current_mut().filter(|rollout| rollout.id == *id)?;
        current.end = Some((at, RolloutEnd::Finished));
        Some(current.clone())
    }

    fn begin(&mut self, rollout: Rollout, at: Timestamp) -> Change {
        let ended = self.current_mut().map(|current| {
            current.end = Some((at, RolloutEnd::Superseded));
            current.clone()
        });
        self.all.push(rollout.clone());
        Change {
            ended,
            begun: Some(rollout),
            amended: None,
        }
    }

    fn made(
        &self,
        id: RolloutId,
        version: String,
        previous_version: Option<String>,
        started_at: Timestamp,
        seen_at: Timestamp,
    ) -> Rollout {
        Rollout {
            id,
            service: self.service.clone(),
            environment: self.environment.clone(),
            version,
            previous_version,
            started_at,
            seen_at,
            told: false,
            irreversible: false,
            baseline: BTreeMap::new(),
            turned_red: false,
            end: None,
            past: Arc::default(),
            vetoed: None,
        }
    }

    /// The newest version other than `version` that never turned red and was not rolled back.
    fn last_good(&self, version: &str) -> Option<String> {
        let good = |rollout: &&Rollout| {
            rollout.version != version
                && !rollout.turned_red
                && !self.rolled_back.contains(&rollout.version)
        };
        self.all
            .iter()
            .rev()
            .find(good)
            .map(|rollout| rollout.version.clone())
    }
}

/// A version without the `v` that many write before its number.
fn bare(version: &str) -> &str {
    let rest = version.strip_prefix('v').unwrap_or_default();
    if rest.starts_with(|it: char| it.is_ascii_digit()) {
        rest
    } else {
        version
    }
}

/// The first version seen with an empty ledger was finished the moment it was adopted.
fn adopted(rollout: &Rollout) -> bool {
    rollout
        .end
        .is_some_and(|(ended, _)| ended == rollout.seen_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn counts(text: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        text.split_whitespace()
            .for_each(|version| *counts.entry(version.to_owned()).or_default() += 1);
        counts
    }

    fn empty() -> Rollouts {
        Rollouts::new("api", "production", Vec::new(), BTreeSet::new())
    }

    fn begun(change: &Change) -> Option<&str> {
        change.begun.as_ref().map(|rollout| rollout.id.as_str())
    }

    #[test]
    fn the_majority_decides_and_absence_changes_nothing() {
        let mut rollouts = empty();
        assert_eq!(
            begun(&rollouts.observe(&counts("1 1 1"), at(0))),
            Some("api@1#0")
        );
        assert!(
            rollouts.current().is_none(),
            "the first version seen is adopted, not a rollout"
        );
        for (versions, seconds) in [("1 1 2", 5), ("", 10), ("2", 12)] {
            let change = rollouts.observe(&counts(versions), at(seconds));
            assert_eq!(change.begun.is_some(), versions == "2", "{versions}");
        }
        let current = rollouts.current().unwrap();
        assert_eq!(
            (current.id.as_str(), current.previous_version.as_deref()),
            ("api@2#1", Some("1"))
        );
        // Half of the instances is no majority.
        assert_eq!(rollouts.observe(&counts("1 2"), at(20)), Change::default());
    }

    #[test]
    fn a_rollout_begins_at_the_first_sight_of_its_version() {
        let mut rollouts = empty();
        rollouts.observe(&counts("1 1 1"), at(0));
        rollouts.observe(&counts("1 1 2"), at(60));
        let change = rollouts.observe(&counts("1 2 2"), at(120)).begun.unwrap();
        assert_eq!((change.started_at, change.seen_at), (at(60), at(120)));
    }

    #[test]
    fn a_rolled_back_version_does_not_begin_again_by_flickering() {
        let mut rollouts = empty();
        rollouts.observe(&counts("1"), at(0));
        rollouts.observe(&counts("2"), at(600));
        rollouts.mark_rolled_back("2");
        assert_eq!(
            begun(&rollouts.observe(&counts("1"), at(700))),
            Some("api@1#2")
        );
        // One terminating pod of 2 answers again: four minutes of 1 are not five.
        assert_eq!(rollouts.observe(&counts("2"), at(940)), Change::default());
        assert_eq!(rollouts.observe(&counts("1"), at(950)), Change::default());
        assert_eq!(
            begun(&rollouts.observe(&counts("2"), at(1400))),
            Some("api@2#2")
        );
    }

    #[test]
    fn telling_twice_begins_once() {
        let mut rollouts = empty();
        let told = Told {
            id: Some(RolloutId("r1".into())),
            version: "2".into(),
            ..Told::default()
        };
        assert_eq!(begun(&rollouts.tell(told.clone(), at(0))), Some("r1"));
        assert_eq!(rollouts.tell(told, at(9)), Change::default());
        let next = Told {
            version: "3".into(),
            started_at: Some(at(20)),
            ..Told::default()
        };
        let change = rollouts.tell(next, at(25));
        assert_eq!(begun(&change), Some("api@3@1970-01-01T00:00:20.000Z"));
        assert_eq!(
            change.ended.unwrap().end,
            Some((at(25), RolloutEnd::Superseded))
        );
    }

    #[test]
    fn what_runs_before_the_version_told_of_is_no_change() {
        let mut rollouts = empty();
        rollouts.observe(&counts("1 1 1"), at(0));
        let told = Told {
            version: "2".into(),
            ..Told::default()
        };
        rollouts.tell(told, at(100));
        for (versions, seconds) in [("1 1 1", 105), ("1 1 2", 110), ("1 2 2", 115)] {
            let change = rollouts.observe(&counts(versions), at(seconds));
            assert_eq!(change, Change::default(), "{versions}");
            assert_eq!(rollouts.displaced_by(), None, "{versions}");
        }
        // The same after a restart, while the version is awaited and once it runs.
        for (versions, displaced) in [("1 1 2", None), ("2 2", None), ("3", Some("3"))] {
            let all = rollouts.all().to_vec();
            let mut again = Rollouts::new("api", "production", all, BTreeSet::new());
            let change = again.observe(&counts(versions), at(200));
            let version = change.begun.map(|begun| begun.version);
            assert_eq!(version.as_deref(), displaced, "{versions}");
        }
        let change = rollouts.observe(&counts("1 1"), at(300));
        assert_eq!(begun(&change), Some("api@1#2"), "back by hand");
    }

    #[test]
    fn another_version_that_comes_back_displaces() {
        let mut rollouts = empty();
        rollouts.observe(&counts("1"), at(0));
        rollouts.observe(&counts("2"), at(100));
        rollouts.mark_rolled_back("2");
        rollouts.observe(&counts("1"), at(200));
        assert_eq!(rollouts.displaced_by(), None, "1 is the newest rollout");
        rollouts.observe(&counts("2"), at(210));
        assert_eq!(rollouts.displaced_by(), Some("2"));
    }

    #[test]
    fn telling_of_an_inferred_rollout_keeps_its_id() {
        let mut rollouts = empty();
        rollouts.observe(&counts("1"), at(0));
        rollouts.observe(&counts("2"), at(100));
        let told = Told {
            version: "2".into(),
            started_at: Some(at(90)),
            irreversible: true,
            ..Told::default()
        };
        let amended = rollouts.tell(told, at(110)).amended.unwrap();
        assert_eq!(
            (amended.id.as_str(), amended.started_at, amended.told),
            ("api@2#1", at(90), true)
        );
        assert!(amended.irreversible && rollouts.all().len() == 2);
    }

    #[test]
    fn a_second_try_of_a_telling_begins_nothing() {
        let mut rollouts = empty();
        rollouts.observe(&counts("1"), at(0));
        let told = Told {
            version: "2".into(),
            ..Told::default()
        };
        let first = rollouts.tell(told.clone(), at(10)).begun.unwrap().id;
        let again = rollouts.tell(
            Told {
                irreversible: true,
                ..told.clone()
            },
            at(12),
        );
        let amended = again.amended.unwrap();
        assert_eq!((&amended.id, amended.irreversible), (&first, true));
        assert_eq!((again.begun, rollouts.all().len()), (None, 2));
        rollouts.mark_rolled_back("2");
        let third = rollouts.tell(told, at(900));
        assert!(third.begun.is_some(), "a person starts it again");
    }

    #[test]
    fn a_leading_v_makes_no_other_version() {
        let mut rollouts = empty();
        rollouts.observe(&counts("v1 v1"), at(0));
        let told = Told {
            version: "2".into(),
            previous_version: Some("1".into()),
            ..Told::default()
        };
        rollouts.tell(told, at(10));
        for (versions, seconds) in [("v1 1", 15), ("v2 v2", 20), ("2 v2", 25)] {
            let change = rollouts.observe(&counts(versions), at(seconds));
            assert_eq!(change, Change::default(), "{versions}");
        }
        assert_eq!(
            (
                rollouts.current().unwrap().version.as_str(),
                rollouts.displaced_by()
            ),
            ("2", None)
        );
        // Only before a number is it no part of the name.
        let change = rollouts.observe(&counts("vnext"), at(30)).begun.unwrap();
        assert_eq!((change.version.as_str(), bare("vnext")), ("vnext", "vnext"));
    }

    #[test]
    fn what_to_go_back_to_never_turned_red() {
        let mut rollouts = empty();
        rollouts.observe(&counts("1"), at(0));
        rollouts.observe(&counts("2"), at(600));
        rollouts.current_mut().unwrap().turned_red = true;
        rollouts.mark_rolled_back("2");
        let hotfix = rollouts.observe(&counts("3"), at(1200)).begun.unwrap();
        assert_eq!(hotfix.previous_version.as_deref(), Some("1"));
    }
}
