//! What a machine would have said of a line of the checklist at a moment that is over, by the minutes and incidents of
//! the ledger. Deliberately absent: what it sees at this moment (the snapshot of a running gated has that), and how a span
//! is judged (the engine's hindsight).

use std::time::Duration;

use crate::engine::CriterionOutcome;
use crate::engine::Known;
use crate::engine::Remembers;
use crate::engine::Restored;
use crate::engine::look_back_on;
use crate::model::Incident;
use crate::model::Rollout;
use crate::model::Timestamp;
use crate::rules::Truth;
use crate::rules::judge;
use crate::runbook::Back;
use crate::runbook::Condition;
use crate::runbook::Rules;
use crate::runbook::Sight;
use crate::runbook::SightKind;
use crate::runbook::UPTIME;

const MINUTE: Duration = Duration::from_secs(60);
/// A reading stands for so long, as a sample does in Prometheus' lookback.
const LOOKBACK: Duration = Duration::from_secs(5 * 60);

/// What is known of the past.
#[derive(Copy, Clone)]
pub(super) struct Past<'a> {
    pub rules: &'a Rules,
    pub known: &'a Restored,
}

impl Past<'_> {
    /// Whether it was so at `at` in a phase whose clock began at `began`; `None`: too little is known of then.
    pub fn saw(&self, sight: &Sight, began: Timestamp, at: Timestamp) -> Option<bool> {
        if let (SightKind::Held(condition), Back::Now) = (&sight.kind, sight.back) {
            return self.held(condition, at);
        }
        match look_back_on(self, sight, Some(began), at).0 {
            CriterionOutcome::Met => Some(true),
            CriterionOutcome::NotMet(_) => Some(false),
            CriterionOutcome::Blocked(_) => None,
        }
    }

    fn held(&self, condition: &Condition, at: Timestamp) -> Option<bool> {
        let name = |signal: usize| &*self.rules.signals[signal].name;
        let last = |signal: usize| self.minutes(name(signal), (at - LOOKBACK, at)).pop();
        let value = |signal: usize| last(signal).map(|(_, value)| value);
        let median = |signal: usize| self.median_before(name(signal), at);
        match judge(condition, &value, &median).truth {
            Truth::True => Some(true),
            Truth::False => Some(false),
            Truth::Unknown => None,
        }
    }
}

impl Remembers for Past<'_> {
    fn rules(&self) -> &Rules {
        self.rules
    }

    fn began(&self) -> Option<Timestamp> {
        let since = self.known.minutes.iter().map(|it| it.since - MINUTE);
        since.min()
    }

    fn uptime(&self, span: (Timestamp, Timestamp)) -> Known {
        let minutes = self.minutes(UPTIME, span).into_iter();
        minutes.map(|(at, value)| (at, value > 0.0)).collect()
    }

    fn minutes(
        &self,
        signal: &str,
        (from, until): (Timestamp, Timestamp),
    ) -> Vec<(Timestamp, f64)> {
        let mut all = self.known.minutes.iter();
        let values = all.find(|it| it.signal == signal);
        let values = values.map_or(&[][..], |it| &it.values);
        let start = values.partition_point(|(at, _)| *at <= from);
        let end = values.partition_point(|(at, _)| *at <= until);
        values[start..end.max(start)].to_vec()
    }

    fn at(&self, signal: &str, minute: Timestamp) -> Option<f64> {
        let found = self.minutes(signal, (minute - MINUTE, minute)).pop();
        found.filter(|(at, _)| *at == minute).map(|(_, it)| it)
    }

    fn median_before(&self, signal: &str, at: Timestamp) -> Option<f64> {
        let rollouts = self.known.rollouts.iter().rev();
        let goes_on = |it: &&Rollout| it.started_at <= at && it.end.is_none_or(|(end, _)| end > at);
        let current = rollouts.into_iter().find(goes_on)?;
        current.baseline.get(signal).copied()
    }

    fn incidents(&self) -> Vec<&Incident> {
        self.known.incidents.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Minutes;
    use crate::runbook::Source;
    use crate::runbook::load;

    const RULES: &str = r#"
clock = "go_live"
[uptime]
down = "errors > 0"
[signals.errors]
expr = "errors"
[[phase]]
name = "day"
from = "0h"
until = "24h"
checklist = [
  { item = "up", uptime = "> 90%", over = "go_live" },
  { item = "calm", no_incidents = "P1", over = "go_live" },
  { item = "an hour well", when = "errors == 0", over = "1h" },
  { item = "well", when = "errors == 0" },
]
"#;

    /// Two hours, of which the first minutes are good, then bad, then not known.
    fn saw(bad: u32, unknown: u32) -> Vec<Option<bool>> {
        let began = Timestamp::EPOCH;
        let at = |minute: u32| began + MINUTE * minute;
        let good = 120 - bad - unknown;
        let values = |up: f64, down: f64| {
            let all = (1..=120 - unknown).map(move |n| (at(n), if n <= good { up } else { down }));
            all.collect::<Vec<_>>()
        };
        let minutes = |signal: &str, values: Vec<(Timestamp, f64)>| Minutes {
            signal: signal.into(),
            since: at(1),
            until: at(120 - unknown),
            values,
        };
        let known = Restored {
            minutes: vec![
                minutes("errors", values(0.0, 1.0)),
                minutes(UPTIME, values(1.0, 0.0)),
            ],
            ..Restored::default()
        };
        let source = Source {
            path: "day.toml".into(),
            text: RULES.into(),
        };
        let rules = load(&[source]).expect("the rules load");
        let past = Past {
            rules: &rules,
            known: &known,
        };
        let items = rules.phases[0].checklist.iter();
        let sights = items.filter_map(|it| it.seen.as_ref());
        sights.map(|it| past.saw(it, began, at(120))).collect()
    }

    #[test]
    fn a_span_is_judged_by_its_minutes_and_nothing_is_guessed() {
        let [yes, no] = [Some(true), Some(false)];
        assert_eq!(saw(0, 0), [yes, yes, yes, yes]);
        assert_eq!(saw(6, 0), [yes, yes, no, no]);
        assert_eq!(saw(20, 0), [no, yes, no, no]);
        assert_eq!(saw(0, 3), [yes, yes, yes, yes]);
        assert_eq!(saw(0, 30), [None, None, None, None]);
    }
}
