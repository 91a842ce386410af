//! What a decision rests on, as it stands: the readings that its trigger compares, and what that says of them. For who draws the
//! minutes around a decision. Deliberately absent: keeping any of it, and drawing.

use std::borrow::Cow;

use super::engine::Engine;
use super::signals::SignalWatch;
use super::triggers::TriggerWatch;
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
    /// Whether the condition held then, judged or not, whatever `no_data` says; `None` where that is not known.
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
    pub why: Cow<'a, str>,
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
        let baseline = |signal: usize| self.median_before(signal);
        // Not the state's: while a rollout settles readings are shown and not judged.
        let seen = watch.seen_now(trigger, series, &self.signals, &baseline);
        let mut signals: Vec<ComparedSignal<'a>> = match (&trigger.when, &watch.expr) {
            (When::Condition(condition), _) => {
                let all = watch.signals.iter();
                all.map(|it| self.signal(*it, Some(condition))).collect()
            }
            (When::Expr(_), Some(expr)) => vec![unnamed(expr)],
            (When::Expr(_), None) => Vec::new(),
        };
        // Of several series the one, of a quorum or a bare expression what speaks for it.
        if (trigger.each || watch.expr.is_some())
            && let Some(first) = signals.first_mut()
        {
            (first.reading, first.why) = match &seen {
                // It may still say why the signal as a whole has none.
                Some((_, reading @ Reading::Value(_), _)) => (*reading, "".into()),
                Some((_, reading, why)) => (*reading, why.clone().into()),
                None => (Reading::Empty, "its series is not in the result".into()),
            };
        }
        let state = watch.series.get(series).map(|it| &it.state);
        let read = watch.signals.iter().map(|it| &self.signals[*it]);
        Compared {
            at: read.chain(&watch.expr).filter_map(|it| it.at).max(),
            held: seen.and_then(|(it, ..)| truth(it)),
            standing: match state {
                None | Some(State::Inactive) => TriggerStanding::Calm,
                Some(State::Pending { .. }) => TriggerStanding::Pending,
                Some(State::Firing { .. }) => TriggerStanding::Firing,
            },
            signals,
        }
    }

    fn signal<'a>(&'a self, place: usize, of: Option<&'a Condition>) -> ComparedSignal<'a> {
        let signal = &self.settings.rules.signals[place];
        let watch = &self.signals[place];
        let threshold = of.and_then(|condition| first_threshold(condition, place));
        let threshold = threshold.and_then(|it| {
            let number = bound(it, || self.median_before(place))?;
            Some((number, it.text.as_str()))
        });
        ComparedSignal {
            name: &signal.name,
            unit: signal.unit,
            threshold,
            reading: watch.reading(),
            why: Cow::Borrowed(&watch.read.why),
        }
    }
}

fn unnamed(expr: &SignalWatch) -> ComparedSignal<'_> {
    ComparedSignal {
        name: "",
        unit: Unit::None,
        threshold: None,
        reading: expr.reading(),
        why: Cow::Borrowed(&expr.read.why),
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
            why: why.into(),
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
