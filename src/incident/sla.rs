//! Who is called when, and by when somebody must have answered. Everything counts from what is recorded of the incident,
//! so waking more often, or a restart, changes nothing; what came due while nobody was there is due at once.

use std::time::Duration;

use super::quiet::QuietHours;
use crate::model::Incident;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::model::WallClock;

/// `[severity.P1]`: the escalation path of one severity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub acknowledge_within: Duration,
    /// The level last reached is called again this often; `None`: once.
    pub repeat: Option<Duration>,
    /// In the order in which they are called. Without any there is one call, to whoever hears of everything.
    pub levels: Vec<Level>,
    /// Calls wait for their end.
    pub quiet: Option<QuietHours>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// `on-call engineer`.
    pub role: String,
    /// Names of `[[webhook]]`s.
    pub hooks: Vec<String>,
    /// How long after the incident opened it is called, unless somebody has acknowledged it.
    pub after: Duration,
}

/// The path of every severity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    pub p1: Path,
    pub p2: Path,
    pub p3: Path,
    pub p4: Path,
}

impl Paths {
    #[must_use]
    pub const fn of(&self, severity: Severity) -> &Path {
        match severity {
            Severity::P1 => &self.p1,
            Severity::P2 => &self.p2,
            Severity::P3 => &self.p3,
            Severity::P4 => &self.p4,
        }
    }

    /// Quiet hours go by the clock on the wall.
    pub fn set_wall(&mut self, wall: WallClock) {
        for path in [&mut self.p1, &mut self.p2, &mut self.p3, &mut self.p4] {
            if let Some(quiet) = &mut path.quiet {
                quiet.set_wall(wall);
            }
        }
    }

    pub const fn of_mut(&mut self, severity: Severity) -> &mut Path {
        match severity {
            Severity::P1 => &mut self.p1,
            Severity::P2 => &mut self.p2,
            Severity::P3 => &mut self.p3,
            Severity::P4 => &mut self.p4,
        }
    }
}

/// The runbook's times, and nobody in particular.
impl Default for Paths {
    fn default() -> Self {
        let path = |minutes: u64| Path {
            acknowledge_within: Duration::from_secs(60 * minutes),
            repeat: None,
            levels: Vec::new(),
            quiet: None,
        };
        Self {
            p1: path(15),
            p2: path(60),
            p3: path(4 * 60),
            p4: path(24 * 60),
        }
    }
}

impl Path {
    /// `at`, or the end of the quiet hours that it falls in.
    #[must_use]
    pub fn awake(&self, at: Timestamp) -> Timestamp {
        self.quiet.as_ref().map_or(at, |quiet| quiet.end(at))
    }

    fn after(&self, level: u32) -> Option<Duration> {
        if self.levels.is_empty() {
            return (level == 0).then_some(Duration::ZERO);
        }
        self.levels.get(level as usize).map(|it| it.after)
    }
}

/// What is to be done about an incident that nobody has acknowledged.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The next level is called, counted from 0.
    Call { level: u32 },
    /// The level last reached is called again.
    Repeat { level: u32 },
    /// It should have been acknowledged by now.
    Breach,
}

/// By when somebody must have acknowledged it. One that opens in quiet hours is nobody's before their end.
#[must_use]
pub fn acknowledge_by(incident: &Incident, path: &Path) -> Timestamp {
    path.awake(incident.since) + path.acknowledge_within
}

/// The next step and its moment; `None` when nothing more is to come.
#[must_use]
pub fn next(incident: &Incident, path: &Path) -> Option<(Timestamp, Step)> {
    steps(incident, path)
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
}

/// A step that is due at `at`. The next level goes before another call to the one before it: of what was missed while
/// nobody was there each level is called once, and repeats that were missed are one.
#[must_use]
pub fn due(incident: &Incident, path: &Path, at: Timestamp) -> Option<Step> {
    let steps = steps(incident, path).into_iter().flatten();
    let mut due = steps.filter(|(when, _)| *when <= at);
    due.next().map(|(_, step)| step)
}

/// Breach, next level, repeat: in the order in which they are taken when several are due.
fn steps(incident: &Incident, path: &Path) -> [Option<(Timestamp, Step)>; 3] {
    if !incident.is_open() || incident.acknowledged.is_some() {
        return [None; 3];
    }
    let begin = path.awake(incident.since);
    let breach = incident.breached_at.is_none();
    let breach = breach.then(|| (acknowledge_by(incident, path), Step::Breach));
    let level = incident.reached;
    let call = path.after(level).map(|after| {
        let at = path.awake(begin + after);
        (at, Step::Call { level })
    });
    let repeat = path.repeat.filter(|it| !it.is_zero());
    let again = repeat.zip(incident.called_at).map(|(repeat, called_at)| {
        let level = level.saturating_sub(1);
        (path.awake(called_at + repeat), Step::Repeat { level })
    });
    [breach, call, again]
}

/// Notes that a step was taken at `at`.
pub fn done(incident: &mut Incident, path: &Path, step: Step, at: Timestamp) {
    match step {
        Step::Call { level } => {
            incident.reached = level + 1;
            incident.repeats = 0;
            incident.called_at = Some(at);
        }
        Step::Repeat { .. } => {
            incident.repeats += 1;
            incident.called_at = Some(at);
        }
        // When it should have been, whenever that was noticed.
        Step::Breach => incident.breached_at = Some(acknowledge_by(incident, path)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::model::Acknowledgement;
    use crate::model::IncidentId;

    const START: i64 = 1_767_225_600_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(START + seconds * 1000)
    }

    fn incident() -> Incident {
        Incident {
            id: IncidentId("inc_1".into()),
            rollout: None,
            signal: "errors".into(),
            severity: Severity::P1,
            opened_at: at(0),
            since: at(0),
            rounds: 0,
            reason: String::new(),
            decisions: Vec::new(),
            causes: BTreeSet::new(),
            reached: 0,
            called_at: None,
            repeats: 0,
            hooks: BTreeSet::new(),
            acknowledged: None,
            resolved: None,
            breached_at: None,
        }
    }

    fn path(after: &[u64], repeat: u64, within: u64) -> Path {
        let level = |after: &u64| Level {
            role: format!("after {after}"),
            hooks: vec!["people".into()],
            after: Duration::from_secs(*after),
        };
        Path {
            acknowledge_within: Duration::from_secs(within),
            repeat: (repeat > 0).then(|| Duration::from_secs(repeat)),
            levels: after.iter().map(level).collect(),
            quiet: None,
        }
    }

    /// Wakes at each of `wakes` (and takes what is due then), in seconds; the steps with their seconds.
    fn walk(
        it: &mut Incident,
        path: &Path,
        wakes: impl IntoIterator<Item = i64>,
    ) -> Vec<(i64, Step)> {
        let mut taken = Vec::new();
        for wake in wakes {
            while let Some(step) = due(it, path, at(wake)) {
                done(it, path, step, at(wake));
                taken.push((wake, step));
            }
        }
        taken
    }

    fn text(taken: &[(i64, Step)]) -> String {
        let one = |(second, step): &(i64, Step)| match step {
            Step::Call { level } => format!("{second}:L{}", level + 1),
            Step::Repeat { level } => format!("{second}:l{}", level + 1),
            Step::Breach => format!("{second}:!"),
        };
        taken.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn levels_are_called_in_order_and_the_last_again() {
        for (after, repeat, within, expected) in [
            (
                &[0, 5, 10, 15][..],
                15,
                15,
                "0:L1 5:L2 10:L3 15:! 15:L4 30:l4 45:l4",
            ),
            (
                &[0, 20],
                6,
                60,
                "0:L1 6:l1 12:l1 18:l1 20:L2 26:l2 32:l2 38:l2 44:l2",
            ),
            (&[3], 0, 4, "3:L1 4:!"),
            // Nobody in particular.
            (&[], 20, 100, "0:L1 20:l1 40:l1"),
        ] {
            let mut it = incident();
            let taken = walk(&mut it, &path(after, repeat, within), 0..50);
            assert_eq!(text(&taken), expected);
        }
    }

    #[test]
    fn what_was_missed_is_done_at_once_and_repeats_are_one() {
        let four = path(&[0, 5, 10, 15], 3, 15);
        let mut it = incident();
        assert_eq!(text(&walk(&mut it, &four, [0])), "0:L1");
        assert_eq!(text(&walk(&mut it, &four, [12, 13])), "12:L2 12:L3");
        assert_eq!(text(&walk(&mut it, &four, [60])), "60:! 60:L4");
        assert_eq!(it.breached_at, Some(at(15)), "when it was missed");
        assert_eq!(text(&walk(&mut it, &four, [600, 601])), "600:l4");
    }

    #[test]
    fn acknowledged_or_resolved_nothing_more_is_due() {
        let four = path(&[0, 5, 10, 15], 3, 15);
        let mut it = incident();
        walk(&mut it, &four, [0]);
        let mut resolved = it.clone();
        resolved.resolved = Some((at(1), "over".into()));
        let (by, note) = ("ada".into(), None);
        it.acknowledged = Some(Acknowledgement {
            at: at(1),
            by,
            note,
        });
        for it in [it, resolved] {
            assert_eq!((next(&it, &four), due(&it, &four, at(9999))), (None, None));
        }
    }

    #[test]
    fn quiet_hours_hold_calls_and_what_opens_in_them_has_its_whole_time_after() {
        // START is midnight.
        let mut night = path(&[0, 300], 3600, 900);
        night.quiet = QuietHours::new("22:00", "07:00", TimeZone::UTC);
        let seven = 7 * 3600;
        let mut it = incident();
        assert_eq!(
            next(&it, &night),
            Some((at(seven), Step::Call { level: 0 }))
        );
        assert_eq!(acknowledge_by(&it, &night), at(seven + 900));
        let taken = walk(&mut it, &night, [0, seven, seven + 300, seven + 900]);
        assert_eq!(text(&taken), "25200:L1 25500:L2 26100:!");
        // A repeat of the evening waits until the morning.
        it.called_at = Some(at(21 * 3600 + 1800));
        let morning = at(24 * 3600 + seven);
        assert_eq!(
            next(&it, &night),
            Some((morning, Step::Repeat { level: 1 }))
        );
    }

    #[test]
    fn a_path_that_was_shortened_repeats_its_level_and_goes_no_further() {
        let mut it = incident();
        walk(&mut it, &path(&[0, 5, 10], 0, 60), 0..11);
        assert_eq!(text(&walk(&mut it, &path(&[0], 4, 60), 11..16)), "14:l3");
    }

    proptest! {
        /// Never early, never lost, in order; extra wakes and restarts (which keep what is recorded) change nothing.
        #[test]
        fn calls_are_a_function_of_the_recorded_times(
            mut after in proptest::collection::btree_set(0..200_u64, 0..5),
            repeat in 0..60_u64, within in 1..300_u64,
            extra in proptest::collection::vec(0..400_i64, 0..20),
            down in 0..300_i64, up in 0..100_i64,
        ) {
            after.insert(0);
            let after: Vec<u64> = after.into_iter().collect();
            let path = path(&after, repeat, within);
            // Woken for its deadlines only.
            let (mut exact, mut taken) = (incident(), Vec::new());
            while let Some((when, _)) = next(&exact, &path).filter(|(when, _)| *when <= at(400)) {
                let second = (when.millis() - START) / 1000;
                taken.extend(walk(&mut exact, &path, [second]));
            }
            // Woken every second and more.
            let mut wakes: Vec<i64> = (0..=400).chain(extra).collect();
            wakes.sort_unstable();
            let mut often = incident();
            prop_assert_eq!(&walk(&mut often, &path, wakes.clone()), &taken);
            prop_assert_eq!(often, exact);
            // Away for a while.
            let mut away = incident();
            let gap = down..down + up;
            let calls = walk(&mut away, &path, wakes.into_iter().filter(|it| !gap.contains(it)));
            let mut levels = Vec::new();
            for (second, step) in &calls {
                if let Step::Call { level } = step {
                    let due = i64::try_from(after[*level as usize]).unwrap();
                    let expected = if gap.contains(&due) { gap.end } else { due };
                    prop_assert_eq!(*second, expected);
                    levels.push(*level);
                }
            }
            prop_assert_eq!(levels, (0..u32::try_from(after.len()).unwrap()).collect::<Vec<_>>());
            let breaches = calls.iter().filter(|(_, step)| *step == Step::Breach).count();
            prop_assert_eq!(breaches, usize::from(within <= 400));
            let at_return = calls.iter().filter(|(second, step)| *second == gap.end && matches!(step, Step::Repeat { .. }));
            prop_assert!(at_return.count() <= 1);
        }
    }
}
