//! What a decision rests on, as it stands: the readings that its trigger compares, and what that says of them. For who draws the
//! minutes around a decision. Deliberately absent: keeping any of it, and drawing.

use super::engine::Engine;
use super::signals::SignalWatch;
use super::triggers::{SeriesState, TriggerWatch};
use crate::model::{Reading, Timestamp, Unit};
use crate::rules::{AlertState, GroupRule, RuleKind, State, Truth, bound};
use crate::runbook::{Condition, Threshold, When};

/// What was decided about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// A trigger's name, or that of a Prometheus alert.
    pub trigger: &'a str,
    /// As written.
    pub condition: &'a str,
    /// The labels of the series that it was decided for, as text; empty where it judges no single one.
    pub series: &'a str,
    /// What is looked at where neither a trigger nor an alert has that name: being blind is a signal's own.
    pub signal: Option<&'a str>,
}

/// What stands of it.
#[derive(Clone, Debug)]
pub struct Compared<'a> {
    /// The last evaluation of any of `signals`.
    pub at: Option<Timestamp>,
    /// Whether the condition held then; `None` where that is not known.
    pub held: Option<bool>,
    pub standing: TriggerStanding,
    /// In the order in which the condition names them.
    pub signals: Vec<ComparedSignal<'a>>,
}

/// What a trigger or an alert has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerStanding {
    Calm,
    Pending,
    Firing,
}

/// One signal; a trigger that is a bare expression has one without a name.
#[derive(Clone, Debug)]
pub struct ComparedSignal<'a> {
    pub name: &'a str,
    pub unit: Unit,
    /// What it is compared with first: the number, and as written.
    pub threshold: Option<(f64, &'a str)>,
    pub reading: Reading,
    /// Why there is no value; empty where there is one.
    pub why: &'a str,
}

impl Engine {
    /// What stands of it; `None` where nothing of that name is judged.
    #[must_use]
    pub fn compared(&self, about: About<'_>) -> Option<Compared<'_>> {
        let mut triggers = self.triggers.iter();
        let named = |it: &&TriggerWatch| it.name == about.trigger && it.text == about.condition;
        if let Some(watch) = triggers.find(named) {
            return Some(self.of_trigger(watch, about.series));
        }
        let groups = self.groups.iter().flat_map(|it| &it.group.rules);
        let mut alerts = groups.filter(|it| matches!(it.kind, RuleKind::Alert { .. }));
        let asked = |it: &&GroupRule| it.name == about.trigger && it.expr == about.condition;
        if let Some(rule) = alerts.find(asked) {
            return Some(of_alert(rule, about.series));
        }
        let mut signals = self.settings.rules.signals.iter();
        let place = signals.position(|it| Some(it.name.as_str()) == about.signal)?;
        Some(Compared {
            at: self.signals[place].at,
            held: None,
            standing: TriggerStanding::Calm,
            signals: vec![self.signal(place, None)],
        })
    }

    fn of_trigger<'a>(&'a self, watch: &'a TriggerWatch, series: &str) -> Compared<'a> {
        let (phase, place) = watch.places[0];
        let trigger = &self.settings.rules.phases[phase].triggers[place];
        let state = watch.series.get(series);
        let mut signals: Vec<ComparedSignal<'a>> = match (&trigger.when, &watch.expr) {
            (When::Condition(condition), _) => {
                let all = watch.signals.iter();
                all.map(|it| self.signal(*it, Some(condition))).collect()
            }
            (When::Expr(_), Some(expr)) => vec![unnamed(expr)],
            (When::Expr(_), None) => Vec::new(),
        };
        let mut held = state.and_then(|it| truth(it.truth));
        if trigger.each || watch.expr.is_some() {
            let first = match &watch.expr {
                Some(expr) => Some(expr),
                None => watch.signals.first().map(|it| &self.signals[*it]),
            };
            if let (Some(shown), Some(watch)) = (signals.first_mut(), first) {
                one_series(shown, watch, state, series);
                // Of a series that is calm no state is kept.
                held = held.or_else(|| shown.reading.value().and(state.is_none().then_some(false)));
            }
        }
        let plans = watch.signals.iter().map(|it| &self.signals[*it]);
        Compared {
            at: plans.chain(&watch.expr).filter_map(|it| it.at).max(),
            held,
            standing: state.map_or(TriggerStanding::Calm, |it| match it.state {
                State::Inactive => TriggerStanding::Calm,
                State::Pending { .. } => TriggerStanding::Pending,
                State::Firing { .. } => TriggerStanding::Firing,
            }),
            signals,
        }
    }

    fn signal<'a>(&'a self, place: usize, of: Option<&'a Condition>) -> ComparedSignal<'a> {
        let signal = &self.settings.rules.signals[place];
        let watch = &self.signals[place];
        let threshold = of.and_then(|condition| first_threshold(condition, place));
        let threshold = threshold.and_then(|it| {
            let number = bound(it, || self.median_before(&signal.name))?;
            Some((number, it.text.as_str()))
        });
        ComparedSignal {
            name: &signal.name,
            unit: signal.unit,
            threshold,
            reading: watch.reading(),
            why: &watch.read.why,
        }
    }
}

/// The reading of one of several series; of a quorum or a bare expression the one that speaks for it.
fn one_series<'a>(
    shown: &mut ComparedSignal<'a>,
    watch: &'a SignalWatch,
    state: Option<&'a SeriesState>,
    series: &str,
) {
    if let Some(state) = state {
        (shown.reading, shown.why) = (state.reading, &state.why);
        return;
    }
    let mut all = watch.read.series.iter();
    if let Some((_, reading)) = all.find(|(labels, _)| labels.to_string() == series) {
        (shown.reading, shown.why) = (*reading, "");
    }
}

fn unnamed(expr: &SignalWatch) -> ComparedSignal<'_> {
    ComparedSignal {
        name: "",
        unit: Unit::None,
        threshold: None,
        reading: expr.reading(),
        why: &expr.read.why,
    }
}

fn of_alert<'a>(rule: &'a GroupRule, series: &str) -> Compared<'a> {
    let alert = match &rule.kind {
        RuleKind::Alert { alerts, .. } => {
            let mut active = alerts.active();
            active.find(|it| it.labels.to_string() == series)
        }
        RuleKind::Record => None,
    };
    let failed = rule.health.why();
    let (reading, why) = match (alert, failed) {
        (_, Some(why)) => (Reading::SourceError, why),
        (Some(alert), None) => (Reading::Value(alert.value), ""),
        (None, None) => (Reading::Empty, "the expression returned nothing"),
    };
    Compared {
        at: rule.evaluated_at,
        held: failed.is_none().then_some(alert.is_some()),
        standing: alert.map_or(TriggerStanding::Calm, |it| match it.state {
            AlertState::Pending => TriggerStanding::Pending,
            AlertState::Firing => TriggerStanding::Firing,
            AlertState::Resolved { .. } => TriggerStanding::Calm,
        }),
        signals: vec![ComparedSignal {
            name: "",
            unit: Unit::None,
            threshold: None,
            reading,
            why,
        }],
    }
}

const fn truth(it: Truth) -> Option<bool> {
    match it {
        Truth::True => Some(true),
        Truth::False => Some(false),
        Truth::Unknown => None,
    }
}

fn first_threshold(condition: &Condition, of: usize) -> Option<&Threshold> {
    match condition {
        Condition::Compare { signal, threshold } => (*signal == of).then_some(threshold),
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().find_map(|it| first_threshold(it, of))
        }
        Condition::Not(part) => first_threshold(part, of),
    }
}
