//! Components that a probe asks: the signal of each, and the trigger that rolls back when a critical one fails.

use std::sync::Arc;
use std::time::Duration;

use super::{Bound, Condition, Hold, NoData, Op, Rules, Signal, Threshold, Trigger, When};
use crate::model::{Action, Severity, Unit};
use crate::promql::Expr;

/// Before a component's name: its signal and its trigger.
const PREFIX: &str = "component:";

/// A component of a `[[probe]]`, as far as judging needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    pub name: String,
    /// How long its probe fails before a rollback is asked for; `None` where it is not critical.
    pub critical: Option<Duration>,
}

/// The component that a signal or a trigger of this name is about.
#[must_use]
pub fn component_of(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX).filter(|name| !name.is_empty())
}

/// What its probe says: 1 or 0, or nothing while the probe cannot be made.
pub(super) fn signal(name: &str) -> Signal {
    let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
    let quoted = quoted.replace('\n', "\\n");
    let expr = format!("probe_success{{component=\"{quoted}\"}}");
    Signal {
        name: format!("{PREFIX}{name}"),
        title: name.to_owned(),
        expr: Expr::parse(&expr).expect("a selector with one quoted label"),
        unit: Unit::None,
        empty: None,
        enough: None,
        remote: None,
    }
}

impl Rules {
    /// The same with a signal for each component and, in every phase, a trigger for each critical one, which is down
    /// time as well. A phase that has a trigger of that name keeps its own.
    #[must_use]
    pub fn watching(mut self, components: &[Component]) -> Self {
        if !components.is_empty() {
            let texts = Arc::make_mut(&mut self.texts);
            texts.components.extend_from_slice(components);
        }
        for component in components {
            let made = signal(&component.name);
            let known = self.signals.iter().position(|it| it.name == made.name);
            let index = known.unwrap_or(self.signals.len());
            let name = made.name.clone();
            if known.is_none() {
                self.signals.push(made);
            }
            let Some(hold) = component.critical else {
                continue;
            };
            self.uptime.watch(index);
            for phase in &mut self.phases {
                if phase.triggers.iter().all(|it| it.name != name) {
                    phase.triggers.push(trigger(&name, index, hold));
                }
            }
        }
        self
    }
}

fn trigger(name: &str, signal: usize, hold: Duration) -> Trigger {
    Trigger {
        name: name.to_owned(),
        when: When::Condition(Condition::Compare {
            signal,
            threshold: Threshold {
                op: Op::Eq,
                bound: Bound::Value(0.0),
                text: "== 0".to_owned(),
            },
        }),
        text: "probe_success == 0".to_owned(),
        hold: Hold::For(hold),
        keep_firing_for: Duration::ZERO,
        action: Action::Rollback,
        severity: Severity::P1,
        no_data: NoData::Hold,
        each: false,
        quorum: None,
        shadow: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_whatever_stands_in_it() {
        for name in ["API gateway", "a\"b\\c\nd", "ö"] {
            let signal = signal(name);
            assert_eq!(component_of(&signal.name), Some(name));
            let (matchers, _) = signal.expr.selectors().remove(0);
            let labels = [("__name__", "probe_success"), ("component", name)];
            assert!(
                matchers.matches(&crate::model::Labels::new(labels)),
                "{name}"
            );
        }
    }
}
