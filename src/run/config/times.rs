//! Times of the day in rules against the go-live of the configuration: an activity whose time never comes while its phase
//! goes on is told to nobody.

use std::time::Duration;

use super::Config;
use crate::model::calendar::shown;
use crate::runbook::Activity;
use crate::runbook::Clock;
use crate::runbook::Rules;

impl Config {
    /// A sentence for each phase with activities that are never due.
    pub(super) fn never_due(&self, rules: &Rules) -> Vec<String> {
        let Some(go_live) = self.rollout.go_live else {
            return Vec::new();
        };
        let zone = self.zone();
        let mut lacks = Vec::new();
        for phase in rules.phases.iter().filter(|it| it.clock != Clock::Rollout) {
            let Some((from, Some(until))) = phase.band(go_live, &zone) else {
                continue;
            };
            let comes = |it: &&Activity| {
                let next = it.due.next(from - Duration::from_millis(1), &zone);
                next.is_some_and(|next| next < until)
            };
            let never = phase.activities.iter().filter(|it| !comes(it));
            let titles: Vec<String> = never.map(|it| format!("`{}`", it.title)).collect();
            if titles.is_empty() {
                continue;
            }
            lacks.push(format!(
                "phase `{}` goes from {} to {} ({}), and no time of {} lies in it: people are not told. Their times are \
                 those of a go-live at midnight: write go_live so, or their `at` as it fits",
                phase.name,
                shown(from, &zone),
                shown(until, &zone),
                self.service.timezone,
                titles.join(", "),
            ));
        }
        lacks
    }
}
