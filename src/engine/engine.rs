//! The engine's state and its two calls, `advance` and `apply`. What they set off stands in the files beside.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Call;
use super::Effect;
use super::Event;
use super::Input;
use super::Interest;
use super::LastScrape;
use super::Record;
use super::Restored;
use super::Scrape;
use super::Settings;
use super::TargetInfo;
use super::alerts::AlertBook;
use super::checklist::ChecklistBook;
use super::due::DueBook;
use super::groups::GroupWatch;
use super::history::HistoryBook;
use super::incidents::IncidentBook;
use super::observed::ObservedBook;
use super::outbox::Outbox;
use super::phase_runs::PhaseBook;
use super::reports::ReportBook;
use super::say::freeze_of;
use super::show::Standing;
use super::signals::SignalWatch;
use super::triggers::TriggerWatch;
use super::unrecorded::Unrecorded;
use super::verify::Watched;
use super::versions::VersionWatch;
use crate::gate::Change;
use crate::gate::Rollouts;
use crate::gate::Told;
use crate::model::Action;
use crate::model::Audit;
use crate::model::Decision;
use crate::model::DecisionId;
use crate::model::Metadata;
use crate::model::Reading;
use crate::model::STALE;
use crate::model::Slot;
use crate::model::Status;
use crate::model::TargetId;
use crate::model::Timestamp;
use crate::model::Verdict;
use crate::model::WallClock;
use crate::model::labels::ABOUT_THE_SCRAPE;
use crate::store::Window;

/// Decisions kept in memory for showing; older ones stay in the ledger.
pub(super) const DECISIONS_SHOWN_MAX: usize = 500;

/// A configured or discovered target with its last scrape.
#[derive(Debug)]
pub(super) struct Target {
    pub info: Arc<TargetInfo>,
    pub last: Option<LastScrape>,
    /// The stamp of the last input about it: that it is there, that it was scraped or could not be.
    pub heard_at: Timestamp,
    /// Which of [`ABOUT_THE_SCRAPE`] anything wants. A companion of the target holds these series, because they are known when
    /// the target is not.
    synthetic: [bool; ABOUT_THE_SCRAPE.len()],
    /// What its page says of its metrics; one copy for all targets that say the same.
    pub metadata: Arc<[Metadata]>,
}

/// Judges and decides. See the crate's documentation for the invariants it keeps.
#[derive(Debug)]
pub struct Engine {
    pub(super) settings: Arc<Settings>,
    pub(super) interest: Arc<Interest>,
    pub(super) made_at: Timestamp,
    pub(super) window: Window,
    pub(super) targets: BTreeMap<TargetId, Target>,
    pub(super) signals: Vec<SignalWatch>,
    /// What tells signals apart over a reload, in the order of `signals`.
    pub(super) signal_names: Vec<String>,
    pub(super) triggers: Vec<TriggerWatch>,
    pub(super) groups: Vec<GroupWatch>,
    /// Targets of the window handed out to rules so far.
    pub(super) rule_targets: u32,
    pub(super) groups_shown: Arc<[super::GroupState]>,
    pub(super) versions: Option<VersionWatch>,
    pub(super) rollouts: Rollouts,
    pub(super) decisions: Vec<Arc<Decision>>,
    /// When rollbacks were decided, within the last day.
    pub(super) rollbacks: Vec<Timestamp>,
    pub(super) decided: BTreeSet<DecisionId>,
    pub(super) outbox: Outbox,
    /// Rollbacks that are watched, or were.
    pub(super) watched: Vec<Watched>,
    /// Who has frozen rollbacks; over once its `until` has come.
    pub(super) freeze: Option<Audit>,
    pub(super) audit: Vec<Audit>,
    pub(super) incidents: IncidentBook,
    pub(super) alerts: AlertBook,
    /// Nothing is judged before this moment.
    pub(super) settle_until: Option<Timestamp>,
    /// Since when the active phases have been judged: being blind counts from here.
    pub(super) judged_from: Timestamp,
    /// Phase boundaries up to here have been acted on.
    pub(super) phases_at: Timestamp,
    pub(super) phase_shown: String,
    pub(super) phases: PhaseBook,
    pub(super) wall: WallClock,
    pub(super) history: HistoryBook,
    pub(super) observed: ObservedBook,
    pub(super) checklist: ChecklistBook,
    pub(super) criteria: Arc<[super::CriterionState]>,
    pub(super) due: DueBook,
    pub(super) reports: ReportBook,
    pub(super) standing: Standing,
    /// Deadlines up to here have fired; no input may be older.
    pub(super) settled: Timestamp,
    pub(super) evaluations: u64,
    pub(super) evaluation_failures: u64,
    pub(super) samples: u64,
    pub(super) unrecorded: Unrecorded,
    /// Why no rollback is decided, whatever the settings say: see [`Restored`].
    pub(super) held: Option<String>,
    /// Nobody was there until then, and not every target has been heard again since.
    pub(super) slept: Option<Timestamp>,
    /// What the ledger knew of rule groups before the restart; of the rest nothing is left in it.
    pub(super) before: Restored,
}

impl Engine {
    /// An engine at `at` with what the ledger remembers. `out` takes what follows at once: a rollout that the
    /// configuration tells of, records of it.
    #[must_use]
    pub fn new(
        settings: Arc<Settings>,
        restored: Restored,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Self {
        let rolled_back: BTreeSet<String> = restored
            .decisions
            .iter()
            .filter(|decision| decision.action == Action::Rollback)
            .filter_map(|decision| {
                restored
                    .rollouts
                    .iter()
                    .find(|it| Some(&it.id) == decision.rollout.as_ref())
            })
            .map(|rollout| rollout.version.clone())
            .collect();
        let rollbacks = restored.decisions.iter();
        let rollbacks = rollbacks.filter(|it| it.action == Action::Rollback);
        let rollbacks: Vec<Timestamp> = rollbacks.map(|decision| decision.at).collect();
        let rollouts = Rollouts::new(
            &settings.service,
            &settings.environment,
            restored.rollouts,
            rolled_back,
        );
        let last_seen = restored.minutes.iter().map(|it| it.until).max();
        let reports = ReportBook::new(&restored.decisions, last_seen, at);
        let decisions: Vec<Arc<Decision>> = restored.decisions.into_iter().map(Arc::new).collect();
        let mut engine = Self {
            interest: Arc::default(),
            made_at: at,
            window: Window::default(),
            targets: BTreeMap::new(),
            signals: Vec::new(),
            signal_names: Vec::new(),
            triggers: Vec::new(),
            groups: Vec::new(),
            rule_targets: 0,
            groups_shown: Arc::new([]),
            versions: None,
            rollouts,
            decided: decisions.iter().map(|it| it.id.clone()).collect(),
            rollbacks,
            incidents: IncidentBook::restore(restored.incidents, &decisions),
            decisions,
            outbox: Outbox::restore(restored.deliveries),
            watched: Vec::new(),
            freeze: freeze_of(&restored.audit),
            audit: restored.audit,
            alerts: AlertBook::new(at),
            settle_until: None,
            judged_from: at,
            phases_at: at,
            phase_shown: String::new(),
            phases: PhaseBook::restore(restored.phase_runs),
            wall: WallClock::default(),
            history: HistoryBook::restore(&restored.minutes, at),
            observed: ObservedBook::default(),
            checklist: ChecklistBook::restore(restored.attestations),
            criteria: Arc::new([]),
            due: DueBook::new(last_seen, at),
            reports,
            standing: Standing {
                verdict: Verdict::Unknown,
                status: Status::Unknown,
                phase: None,
                evaluated_at: None,
                at,
            },
            settled: Timestamp::from_millis(at.millis() - 1),
            evaluations: 0,
            evaluation_failures: 0,
            samples: 0,
            unrecorded: Unrecorded::default(),
            held: restored.held,
            slept: None,
            before: Restored {
                alerts: restored.alerts,
                groups: restored.groups,
                ..Restored::default()
            },
            settings,
        };
        engine.restore_watched(restored.verifications);
        engine.compile(at);
        engine.remember(&restored.minutes, at);
        engine.resume_observations(restored.observations, at);
        engine.await_restored();
        engine.restore_triggers(restored.triggers);
        engine.settle_until = engine.settling(at);
        engine.look_at_calendar(at);
        engine.tell_configured(at, out);
        engine.resume_deliveries(at, out);
        engine.conclude(at, out);
        engine.renew_times();
        engine
    }

    /// What the gate says, as of the last input or deadline, and the phase that it speaks of; empty outside of all.
    #[must_use]
    pub fn standing(&self) -> (Verdict, Status, &str) {
        let (verdict, status) = (self.standing.verdict, self.standing.status);
        let phases = &self.settings.rules.phases;
        let phase = self.standing.phase.and_then(|place| phases.get(place));
        (verdict, status, phase.map_or("", |it| &it.name))
    }

    /// What every signal gave last, in the order of the rules: when, the reading, and why it is no value.
    pub fn readings(&self) -> impl Iterator<Item = (Option<Timestamp>, Reading, &str)> {
        let signals = self.signals.iter();
        signals.map(|it| (it.at, it.reading(), it.read.why.as_ref()))
    }

    /// Whether triggers are judged: a phase is active, and no rollout is settling.
    #[must_use]
    pub fn is_judging(&self) -> bool {
        self.standing.phase.is_some() && self.settle_until.is_none()
    }

    /// Signals and triggers of a bare expression that were evaluated and whose selectors never matched a series.
    pub fn unmatched(&self) -> impl Iterator<Item = &str> {
        let signals = self.signals.iter().zip(&self.settings.rules.signals);
        let signals = signals.map(|(watch, signal)| (watch, signal.name.as_str()));
        let exprs = self.triggers.iter();
        let exprs = exprs.filter_map(|it| Some((it.expr.as_ref()?, it.name.as_str())));
        let unmatched = |(watch, _): &(&SignalWatch, &str)| watch.at.is_some() && !watch.matched;
        signals.chain(exprs).filter(unmatched).map(|(_, name)| name)
    }

    /// How many readings were taken since it began.
    #[must_use]
    pub fn evaluations(&self) -> u64 {
        self.evaluations
    }

    /// What sources should keep. A reload makes another, and a rollout that begins or ends.
    #[must_use]
    pub fn interest(&self) -> Arc<Interest> {
        Arc::clone(&self.interest)
    }

    /// Whether any deadline is due, and when the next is.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if self.settings.preview.is_some() {
            return None;
        }
        [
            self.settle_until,
            self.next_phase_boundary(),
            Some(self.next_minute()),
            self.observed.lapses,
            self.due.next,
            self.reports.next,
            self.next_group_slot(),
            self.next_blindness(),
            self.next_incident_step(),
            self.next_delivery(),
            self.next_verification(),
            self.freeze_ends(),
            self.settings
                .alerting
                .map(|alerting| self.alerts.next_resend(alerting)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Fires every deadline up to and including `to`, each at its own time, earliest first.
    pub fn advance(&mut self, to: Timestamp, out: &mut Vec<Effect>) {
        while let Some(due) = self.next_deadline().filter(|due| *due <= to) {
            // A deadline that became known late (an owed delivery of a restart) fires now, not in the past.
            let at = due
                .max(Timestamp::from_millis(self.settled.millis() + 1))
                .min(to);
            self.fire(at, out);
        }
        self.settled = self.settled.max(to);
        self.renew_times();
    }

    /// Fires deadlines before `at`, then takes one input; a deadline at `at` itself still sees it.
    pub fn apply(&mut self, at: Timestamp, input: Input, out: &mut Vec<Effect>) {
        assert!(
            at > self.settled,
            "input stamped {at}, but everything up to {} is settled",
            self.settled
        );
        self.advance(Timestamp::from_millis(at.millis() - 1), out);
        let from = out.len();
        match input {
            Input::Target(info) => self.add_target(info, at),
            Input::TargetGone(id) => self.remove_target(id, at, out),
            Input::Scraped(scrape) => self.scraped(scrape, at, out),
            Input::Operator { token, call } => self.operator(token, call, at, out),
            Input::Attempted { key, outcome } => self.attempted(&key, &outcome, at, out),
            Input::CommitFailed { records, reason } => self.not_recorded(records, &reason, at, out),
            Input::Slept { until } => self.slept = Some(until),
            Input::Reported(reported) => self.reported(reported, at, out),
            Input::ClockSet(wall) => self.clock_set(wall, at, out),
            Input::Reload(settings) => self.reload(settings, at, out),
            Input::Recalled(minutes) => {
                self.remember(&minutes, at);
                self.judge(at, None, out);
            }
        }
        self.renew_times();
        self.put_first(from, at, out);
    }

    /// The next moment at which something is evaluated without an input. When it is long past, gated slept.
    #[must_use]
    pub fn next_slot(&self) -> Option<Timestamp> {
        let previews = self.settings.preview.is_some();
        let slots = self
            .next_group_slot()
            .into_iter()
            .chain([self.next_minute()]);
        slots.min().filter(|_| !previews)
    }

    fn fire(&mut self, at: Timestamp, out: &mut Vec<Effect>) {
        let from = out.len();
        self.record_again(at, out);
        if self.settle_until.is_some_and(|until| until <= at) {
            self.settle(at, out);
        }
        if self
            .next_phase_boundary()
            .is_some_and(|boundary| boundary <= at)
        {
            self.phases_at = at;
            self.look_at_calendar(at);
            self.judge(at, None, out);
        }
        if self.next_group_slot().is_some_and(|slot| slot <= at) {
            self.eval_groups(at, out);
        }
        if self.observed.lapses.is_some_and(|lapses| lapses <= at) {
            self.repeat_observations(at, out);
        }
        self.end_minute(at, out);
        self.tell_due(at, out);
        self.ask_for_reports(at, out);
        self.end_freeze(at, out);
        self.tell_blindness(at, out);
        self.end_verifications(at, out);
        self.take_incident_steps(at, out);
        self.attempt_due(at, out);
        if let Some(alerting) = self.settings.alerting
            && self.alerts.next_resend(alerting) <= at
        {
            // What is an alert for a while ends with no input.
            self.update_alerts(&self.active_phases(at), at, out);
            if self.alerts.next_resend(alerting) <= at {
                self.send_alerts(at, out);
            }
        }
        self.put_first(from, at, out);
    }

    fn add_target(&mut self, info: TargetInfo, at: Timestamp) {
        self.window.add_target(info.id, info.interval);
        self.window.add_target(companion(info.id), info.interval);
        let (id, last) = (info.id, None);
        self.begin_asking(&info);
        self.targets.insert(
            id,
            Target {
                info: Arc::new(info),
                last,
                heard_at: at,
                synthetic: Default::default(),
                metadata: Arc::default(),
            },
        );
        self.bear_synthetic(id);
    }

    /// Gives a target's companion the series that the rules want and it does not have.
    pub(super) fn bear_synthetic(&mut self, id: TargetId) {
        let Some(target) = self.targets.get_mut(&id).filter(|_| !id.is_beside()) else {
            return;
        };
        for (slot, name) in ABOUT_THE_SCRAPE.iter().enumerate() {
            let labels = target.info.labels.with(crate::model::labels::NAME, name);
            let span = self.interest.span(&labels);
            if let (Some(span), false) = (span, target.synthetic[slot]) {
                target.synthetic[slot] = true;
                let slot = Slot(u32::try_from(slot).expect("a handful of names"));
                self.window.born(companion(id), slot, labels, span);
            }
        }
    }

    fn remove_target(&mut self, id: TargetId, at: Timestamp, out: &mut Vec<Effect>) {
        if self.targets.remove(&id).is_some() {
            self.end_asking(id);
            self.window.remove_target(id, at);
            self.window.remove_target(companion(id), at);
            self.judge(at, Some(id), out);
        }
    }

    fn keep_metadata(&mut self, id: TargetId, said: Arc<[Metadata]>) {
        let mut others = self.targets.values().map(|it| &it.metadata);
        let said = others.find(|it| **it == said).map_or(said, Arc::clone);
        if let Some(target) = self.targets.get_mut(&id) {
            target.metadata = said;
        }
    }

    /// Something became of a target's scrape.
    fn heard(&mut self, id: TargetId, at: Timestamp) {
        if let Some(target) = self.targets.get_mut(&id) {
            target.heard_at = at;
        }
        let awake = |until: &Timestamp| self.targets.values().all(|it| it.heard_at >= *until);
        self.slept = self.slept.filter(|until| !awake(until));
    }

    fn scraped(&mut self, mut scrape: Scrape, at: Timestamp, out: &mut Vec<Effect>) {
        let id = scrape.target;
        if let Ok(columns) = &mut scrape.outcome
            && let Some(said) = columns.metadata.take()
        {
            self.keep_metadata(id, said);
        }
        self.heard(id, at);
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        let was = target.last.take();
        let fault = was.and_then(|last| last.error).map(|error| error.fault);
        let instance = target.info.instance.clone();
        let mut last = LastScrape {
            at: scrape.at,
            duration: scrape.duration,
            samples: 0,
            note: None,
            error: None,
            notes: Vec::new(),
        };
        let mut synthetic = [0.0, scrape.duration.as_secs_f64(), 0.0, 0.0, 0.0];
        match scrape.outcome {
            Ok(columns) => {
                synthetic = [
                    1.0,
                    scrape.duration.as_secs_f64(),
                    f64::from(columns.samples_scraped),
                    f64::from(columns.samples_kept),
                    f64::from(columns.series_added),
                ];
                last.samples = columns.samples_scraped;
                last.note = columns.note;
                last.notes = columns.notes;
                for slot in &columns.gone {
                    self.window.gone(id, *slot, scrape.at);
                }
                for (slot, labels) in columns.born {
                    let span = self.interest.span(&labels).unwrap_or_default();
                    self.window.born(id, slot, labels, span);
                }
                self.samples += columns.values.len() as u64;
                self.window
                    .append(id, scrape.at, &columns.values, &columns.stamped);
                if fault.is_some() {
                    out.push(Effect::Tell(Event::TargetUp { instance }));
                }
            }
            Err(error) => {
                self.window.fail(id, scrape.at);
                if fault != Some(error.fault) {
                    out.push(Effect::Tell(Event::TargetDown {
                        instance,
                        error: error.clone(),
                    }));
                }
                last.error = Some(error);
            }
        }
        target.last = Some(last);
        for (value, wanted) in synthetic.iter_mut().zip(target.synthetic) {
            *value = if wanted { *value } else { STALE };
        }
        self.window
            .append(companion(id), scrape.at, &synthetic, &[]);
        if self.settings.preview.is_some() {
            self.preview_groups(at, out);
        }
        self.judge(at, Some(id), out);
    }

    fn operator(&mut self, token: u64, call: Call, at: Timestamp, out: &mut Vec<Effect>) {
        let answer = match call {
            Call::StartRollout {
                id,
                version,
                previous_version,
                started_at,
                irreversible,
            } => {
                let told = Told {
                    id,
                    version,
                    previous_version,
                    started_at,
                    irreversible,
                };
                self.start_rollout(told, at, out)
            }
            Call::FinishRollout(id) => self.finish_rollout(&id, at, out),
            Call::Observe {
                values,
                lifetime,
                by,
            } => self.observe(values, lifetime, &by, at, out),
            Call::Attest { item, said, done } => self.attest(&item, said, done, at, out),
            Call::Announce(asked) => self.announce(asked, at, out),
            Call::Freeze { said, hold } => self.freeze(said, hold, at, out),
            Call::Thaw(said) => Ok(self.thaw(said, at, out)),
            Call::Veto { decision, said } => self.veto(&decision, said, at, out),
            Call::Settle {
                delivery,
                arrived,
                said,
            } => self.settle_delivery(&delivery, arrived, said, at, out),
            Call::Acknowledge { incident, by, note } => {
                self.acknowledge(&incident, by, note, at, out)
            }
        };
        out.push(Effect::Answer { token, answer });
    }

    /// Carries out what `gate` says of rollouts: records, tells, and starts judging afresh.
    pub(super) fn changed(&mut self, change: Change, at: Timestamp, out: &mut Vec<Effect>) {
        if let Some(ended) = change.ended {
            out.push(Effect::Record(Record::Rollout(ended.clone())));
            out.push(Effect::Tell(Event::RolloutEnded(ended)));
        }
        if let Some(amended) = change.amended {
            out.push(Effect::Record(Record::Rollout(amended)));
        }
        self.phases.look_again();
        self.look_at_calendar(at);
        if change.begun.is_some() {
            self.capture_past(at);
            let begun = self.rollouts.all().last().expect("it just began").clone();
            out.push(Effect::Record(Record::Rollout(begun.clone())));
            if begun.end.is_none() {
                out.push(Effect::Tell(Event::RolloutBegan(begun)));
                self.settle_until = self.settling(at);
                if self.settle_until.is_none() {
                    self.settle(at, out);
                }
            }
        }
    }
}

/// The window's target for a target's synthetic series.
pub(super) const fn companion(id: TargetId) -> TargetId {
    TargetId(id.0 | 1 << 31)
}

/// The real target behind a window's target, and whether it is the companion.
pub(super) const fn behind(id: TargetId) -> (TargetId, bool) {
    (TargetId(id.0 & !(1 << 31)), id.0 >> 31 == 1)
}
