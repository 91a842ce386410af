//! When hypercare may end: each criterion met, not met, or blocked until a time, and why. What is counted is minutes, so
//! the answer is worked out once a minute and when somebody attests something.

use std::sync::Arc;

use super::Check;
use super::Outcome;
use super::Role;
use super::engine::Engine;
use super::hindsight::Known;
use super::hindsight::Remembers;
use super::hindsight::look_back_on;
use crate::model::Incident;
use crate::model::Reading;
use crate::model::Timestamp;
use crate::model::Unit;
use crate::rules::Truth;
use crate::runbook::Back;
use crate::runbook::Criterion;
use crate::runbook::Phase;
use crate::runbook::Rules;
use crate::runbook::Sight;
use crate::runbook::SightKind;

/// A criterion, as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct CriterionState {
    pub id: String,
    pub phase: String,
    pub text: String,
    pub outcome: CriterionOutcome,
    /// What was found, in words.
    pub why: String,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum CriterionOutcome {
    Met,
    /// Met at that time at the earliest, if nothing else goes wrong; `None`: nobody can say.
    NotMet(Option<Timestamp>),
    /// Too little is known: not before that time.
    Blocked(Option<Timestamp>),
}

impl CriterionOutcome {
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet(_) => "not_met",
            Self::Blocked(_) => "blocked",
        }
    }

    /// The same where no time makes it better.
    pub(super) const fn for_good(self) -> Self {
        match self {
            Self::Met => Self::Met,
            Self::NotMet(_) => Self::NotMet(None),
            Self::Blocked(_) => Self::Blocked(None),
        }
    }

    /// Not before then.
    #[must_use]
    pub const fn earliest(self) -> Option<Timestamp> {
        match self {
            Self::Met => None,
            Self::NotMet(at) | Self::Blocked(at) => at,
        }
    }
}

impl Remembers for Engine {
    fn rules(&self) -> &Rules {
        &self.settings.rules
    }

    fn began(&self) -> Option<Timestamp> {
        self.history.began()
    }

    fn uptime(&self, (from, until): (Timestamp, Timestamp)) -> Known {
        self.history.known(from, until).collect()
    }

    fn minutes(
        &self,
        signal: &str,
        (from, until): (Timestamp, Timestamp),
    ) -> Vec<(Timestamp, f64)> {
        self.history.minutes(signal, from, until).collect()
    }

    fn at(&self, signal: &str, minute: Timestamp) -> Option<f64> {
        self.history.at(signal, minute)
    }

    fn median_before(&self, signal: &str, _: Timestamp) -> Option<f64> {
        let mut names = self.settings.rules.signals.iter();
        let place = names.position(|it| it.name == signal)?;
        Self::median_before(self, place)
    }

    fn incidents(&self) -> Vec<&Incident> {
        self.incidents.all().collect()
    }
}

impl Engine {
    /// Judges every criterion of every phase.
    pub(super) fn judge_criteria(&mut self, at: Timestamp) {
        let rules = Arc::clone(&self.settings.rules);
        let mut states = Vec::new();
        for phase in &rules.phases {
            for criterion in &phase.criteria {
                let (outcome, why) = self.criterion(phase, criterion, at);
                states.push(CriterionState {
                    id: criterion.id.clone(),
                    phase: phase.name.clone(),
                    text: criterion.text.clone(),
                    outcome,
                    why,
                });
            }
        }
        self.criteria = states.into();
    }

    fn criterion(
        &self,
        phase: &Phase,
        criterion: &Criterion,
        at: Timestamp,
    ) -> (CriterionOutcome, String) {
        if let Some(sight) = &criterion.seen {
            return self.see(phase, sight, at);
        }
        let since = self.ticks_since(phase, at);
        if self.checklist.is_done(&criterion.id, since) {
            return (CriterionOutcome::Met, String::new());
        }
        let id = &criterion.id;
        let why = format!("nobody has attested it: `gated attest {id} --by NAME`");
        (CriterionOutcome::NotMet(None), why)
    }

    /// What a machine sees. What looks back ends with its phase.
    pub(super) fn see(
        &self,
        phase: &Phase,
        sight: &Sight,
        at: Timestamp,
    ) -> (CriterionOutcome, String) {
        if let (SightKind::Held(condition), Back::Now) = (&sight.kind, sight.back) {
            let (truth, why) = self.truth(condition);
            return match truth {
                Truth::True => (CriterionOutcome::Met, String::new()),
                Truth::False => (CriterionOutcome::NotMet(None), why),
                Truth::Unknown => (CriterionOutcome::Blocked(None), why),
            };
        }
        let band = self.band(phase);
        let end = band.and_then(|it| it.until).map_or(at, |it| it.min(at));
        let (outcome, why) = look_back_on(self, sight, self.clock_began(phase), end);
        // What is over gets no better.
        (
            if end < at {
                outcome.for_good()
            } else {
                outcome
            },
            why,
        )
    }

    /// The criteria of active phases as checks of the verdict.
    pub(super) fn criteria_checks(&self, active: &[usize]) -> Vec<Check> {
        let phases = &self.settings.rules.phases;
        let of_active = |it: &&CriterionState| active.iter().any(|p| phases[*p].name == it.phase);
        let checks = self.criteria.iter().filter(of_active).map(|it| {
            let earliest = it.outcome.earliest();
            let earliest =
                earliest.map_or_else(String::new, |at| format!("; {at} at the earliest"));
            let (outcome, reason) = match it.outcome {
                CriterionOutcome::Met => (Outcome::Met, String::new()),
                CriterionOutcome::NotMet(_) => {
                    let reason = format!("not met: {}: {}{earliest}", it.text, it.why);
                    (Outcome::Missed, reason)
                }
                CriterionOutcome::Blocked(_) => {
                    let reason = format!("blocked: {}: {}{earliest}", it.text, it.why);
                    (Outcome::Unknown, reason)
                }
            };
            Check {
                name: it.id.clone(),
                signal: String::new(),
                role: Role::Checklist,
                reading: Reading::Empty,
                unit: Unit::None,
                condition: it.text.clone(),
                expected: false,
                shadow: false,
                thresholds: std::collections::BTreeMap::new(),
                outcome,
                reason,
            }
        });
        checks.collect()
    }
}
