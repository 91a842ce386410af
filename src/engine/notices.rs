//! What people should know and nobody has to act on (what is due in the runbook's day, a report that was made), as alerts:
//! for Alertmanager where no receiver is told. Deliberately absent: triggers that notify, which are alerts already.

use std::time::Duration;

use super::Alert;
use super::DUE;
use super::REPORTED;
use super::engine::Engine;
use crate::model::Action;
use crate::model::Decision;
use crate::model::Severity;
use crate::model::Timestamp;

/// A notice is an alert for this long. Nothing ends it sooner, and nobody wants it later.
pub(super) const NOTICE_HELD: Duration = Duration::from_secs(15 * 60);

impl Engine {
    /// The notices of the last minutes that are owed to no receiver. The ledger remembers both, so a restart neither ends
    /// one early nor tells it again.
    pub(super) fn unheard_notices(&self, at: Timestamp) -> Vec<Alert> {
        let lately = self.decisions.iter().rev();
        let lately = lately.take_while(|it| at.since(it.at) < NOTICE_HELD);
        let notices = lately.filter(|it| it.action == Action::Notify);
        let unheard = notices.filter(|it| self.outbox.of(&it.id).next().is_none());
        unheard.filter_map(|it| self.notice_of(it)).collect()
    }

    /// One alert for each notice: the decision is among its labels, so that two of one title are two.
    fn notice_of(&self, decision: &Decision) -> Option<Alert> {
        let due = decision.trigger.strip_prefix(DUE);
        let (name, label, what) = match due {
            Some(title) => ("ActivityDue", "activity", title),
            None => (
                "ReportReady",
                "report",
                decision.trigger.strip_prefix(REPORTED)?,
            ),
        };
        let id = decision.id.as_str();
        let labels = [
            (label, what),
            ("phase", decision.phase.as_str()),
            ("decision", id),
        ];
        let reason = decision.reason.as_str();
        let (summary, more) = reason.split_once('\n').unwrap_or((reason, ""));
        // Whatever its urgency on a path that somebody wrote: by itself it must wake nobody.
        let severity = Severity::P4;
        let mut alert = self.alert(name, severity, labels, summary.to_owned(), decision.at);
        let mut say = |key: &str, text: &str| alert.annotations.insert(key.into(), text.into());
        if !more.is_empty() {
            say("description", more);
        }
        say("decision", id);
        alert.generator_url = self.explanation(&decision.id);
        Some(alert)
    }
}
