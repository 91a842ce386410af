//! `[uptime]`: when a minute counts as down, and the objective that leaves an error budget. Absent: counting minutes.

use std::time::Duration;

use super::file::Loading;
use super::reader::Section;
use super::{Bound, Condition, Op, Threshold};

/// The signal that is 1 for a minute that was up and 0 for one that was down: `gated_signal{signal="uptime"}`.
pub const UPTIME: &str = "uptime";
/// How far back the history of signals goes, and so the budget at most.
pub(super) const OVER_MAX: Duration = Duration::from_secs(40 * 86_400);

/// What uptime is, over all rules files.
#[derive(Clone, Debug, PartialEq)]
pub struct Uptime {
    /// A minute in which one of these held is down. Without any nothing is known of uptime.
    pub down: Vec<Condition>,
    /// The share of known minutes that should be up, below 1.
    pub objective: f64,
    /// The span over which the objective leaves a budget of minutes that may be down.
    pub over: Duration,
}

impl Default for Uptime {
    fn default() -> Self {
        Self {
            down: Vec::new(),
            objective: 0.999,
            over: Duration::from_secs(30 * 86_400),
        }
    }
}

impl Uptime {
    /// The probe of a critical component fails.
    pub(super) fn watch(&mut self, signal: usize) {
        let threshold = Threshold {
            op: Op::Eq,
            bound: Bound::Value(0.0),
            text: "== 0".to_owned(),
        };
        self.down.push(Condition::Compare { signal, threshold });
    }
}

impl<'r> Loading<'r> {
    pub(super) fn read_uptime(&mut self, mut section: Section<'r>) {
        let reader = self.reader;
        if let Some(first) = &self.uptime {
            let message = "[uptime] stands twice".to_owned();
            let help = "keep one of them: it is about all rules files together";
            reader.clash(&section.place, message, help, first, "first here");
        }
        self.uptime = Some(section.place.clone());
        if let Some(text) = section.text("down") {
            let down = self.condition(&text);
            self.rules.uptime.down.extend(down);
        }
        let place = section.key_place("objective");
        if let Some(objective) = section.share("objective") {
            if objective.get() <= 0.0 || objective.get() >= 1.0 {
                let message = "an objective is above 0% and below 100%";
                reader.fault(&place, message, "write objective = \"99.9%\"");
            }
            self.rules.uptime.objective = objective.get();
        }
        let place = section.key_place("over");
        if let Some(over) = section.duration("over") {
            if over > OVER_MAX || over < Duration::from_secs(3600) {
                let message = "uptime is counted over one hour at least and 40 days at most";
                reader.fault(&place, message, "write over = \"30d\"");
            }
            self.rules.uptime.over = over;
        }
    }
}
