//! An incident's life: opened, joined by more decisions, acknowledged, resolved. Each is a function of the incident and
//! the moment; whom to tell is the caller's, and when to call whom is `sla`'s.

use std::collections::BTreeSet;

use crate::model::Acknowledgement;
use crate::model::Cause;
use crate::model::DecisionId;
use crate::model::Incident;
use crate::model::IncidentId;
use crate::model::RolloutId;
use crate::model::Severity;
use crate::model::Timestamp;

/// What an incident is opened with, or joined by.
#[derive(Clone, Debug)]
pub struct Report {
    pub decision: DecisionId,
    pub severity: Severity,
    pub cause: Cause,
    /// One sentence for a person.
    pub reason: String,
    /// The clocks start again however bad it was before: what was done about it did not help.
    pub afresh: bool,
}

/// What a report changed about an incident that was open already.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It is no worse: whoever was called hears of it, and the clocks run on.
    Alike,
    /// It is worse: nobody has acknowledged that, and the path begins again.
    Worse,
}

/// What became of an incident's causes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Left {
    Unchanged,
    /// Some are over, others are not.
    Fewer,
    /// None is left, or none that acknowledging it has not ended.
    Resolved,
}

/// Why an incident cannot be acknowledged: it is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("incident `{id}` was resolved at {at}: {how}")]
pub struct Over {
    pub id: IncidentId,
    pub at: Timestamp,
    pub how: String,
}

/// A new incident. `service` and `environment` go into its id.
#[must_use]
pub fn open(
    (service, environment): (&str, &str),
    rollout: Option<RolloutId>,
    signal: String,
    report: Report,
    at: Timestamp,
) -> Incident {
    let of = rollout.as_ref().map_or("", RolloutId::as_str);
    let opened = at.millis().to_string();
    Incident {
        id: IncidentId::new(&[service, environment, of, &signal, &opened]),
        rollout,
        signal,
        severity: report.severity,
        opened_at: at,
        since: at,
        rounds: 0,
        reason: report.reason,
        decisions: vec![report.decision],
        causes: BTreeSet::from([report.cause]),
        reached: 0,
        called_at: None,
        repeats: 0,
        hooks: BTreeSet::new(),
        acknowledged: None,
        resolved: None,
        breached_at: None,
    }
}

/// One more decision about the same rollout and signal.
pub fn join(it: &mut Incident, report: Report, at: Timestamp) -> Joined {
    if !it.decisions.contains(&report.decision) {
        it.decisions.push(report.decision);
    }
    it.causes.insert(report.cause);
    // P1 is the least of them and the worst.
    if report.severity >= it.severity && !report.afresh {
        return Joined::Alike;
    }
    it.severity = it.severity.min(report.severity);
    it.reason = report.reason;
    it.since = at;
    it.rounds += 1;
    it.reached = 0;
    it.called_at = None;
    it.repeats = 0;
    it.acknowledged = None;
    it.breached_at = None;
    Joined::Worse
}

/// Somebody takes it. `Ok(false)`: somebody has already, and stays the one who did.
///
/// # Errors
/// It is resolved and nobody had taken it.
pub fn acknowledge(it: &mut Incident, taken: Acknowledgement) -> Result<bool, Over> {
    if it.acknowledged.is_some() {
        return Ok(false);
    }
    if let Some((at, how)) = &it.resolved {
        return Err(Over {
            id: it.id.clone(),
            at: *at,
            how: how.clone(),
        });
    }
    it.acknowledged = Some(taken);
    Ok(true)
}

/// Takes out the causes that are over and resolves an incident that has none left. What no machine sees end stays
/// noted, and is over when somebody has acknowledged the incident.
pub fn settle(it: &mut Incident, is_over: impl Fn(&Cause) -> bool, at: Timestamp) -> Left {
    if !it.is_open() {
        return Left::Unchanged;
    }
    let before = it.causes.len();
    it.causes
        .retain(|cause| !cause.is_seen() || !is_over(cause));
    let changed = it.causes.len() < before;
    let goes_on = it.causes.iter().any(Cause::is_seen);
    let how = match (&it.acknowledged, it.causes.is_empty()) {
        (_, true) => "what opened it is over".to_owned(),
        (Some(taken), false) => format!("acknowledged by {}", taken.by),
        (None, false) => String::new(),
    };
    if !goes_on && !how.is_empty() {
        it.resolved = Some((at, how));
        return Left::Resolved;
    }
    if changed {
        Left::Fewer
    } else {
        Left::Unchanged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn trigger(name: &str) -> Cause {
        let (name, series) = (name.to_owned(), String::new());
        Cause::Trigger { name, series }
    }

    fn unseen() -> Cause {
        Cause::Unseen {
            what: "given up".into(),
        }
    }

    fn report(decision: &str, severity: Severity, cause: Cause) -> Report {
        Report {
            decision: DecisionId(decision.into()),
            severity,
            cause,
            reason: format!("because of {decision}"),
            afresh: false,
        }
    }

    fn opened(severity: Severity, cause: Cause) -> Incident {
        let rollout = Some(RolloutId("r1".into()));
        let report = report("d1", severity, cause);
        open(
            ("api", "production"),
            rollout,
            "errors".into(),
            report,
            at(10),
        )
    }

    fn taken(by: &str) -> Acknowledgement {
        Acknowledgement {
            at: at(20),
            by: by.into(),
            note: None,
        }
    }

    #[test]
    fn its_id_says_what_it_is_about_and_when_it_opened() {
        let one = opened(Severity::P1, trigger("errors"));
        assert_eq!(one.id, opened(Severity::P3, unseen()).id);
        let later = open(
            ("api", "production"),
            one.rollout.clone(),
            one.signal.clone(),
            report("d1", Severity::P1, unseen()),
            at(11),
        );
        assert_ne!(one.id, later.id);
    }

    #[test]
    fn only_what_is_worse_starts_the_clocks_again() {
        use Severity::{P1, P2, P3};
        for (before, joins, afresh, expected, severity) in [
            (P2, P2, false, Joined::Alike, P2),
            (P2, P3, false, Joined::Alike, P2),
            (P2, P1, false, Joined::Worse, P1),
            (P1, P1, true, Joined::Worse, P1),
            (P1, P2, true, Joined::Worse, P1),
        ] {
            let mut it = opened(before, trigger("errors"));
            it.reached = 2;
            it.called_at = Some(at(15));
            acknowledge(&mut it, taken("ada")).unwrap();
            let mut report = report("d2", joins, trigger("latency"));
            report.afresh = afresh;
            assert_eq!(join(&mut it, report, at(30)), expected);
            let worse = expected == Joined::Worse;
            assert_eq!((it.severity, it.acknowledged.is_none()), (severity, worse));
            assert_eq!(it.since, if worse { at(30) } else { at(10) });
            assert_eq!((it.reached == 0, it.rounds == 1), (worse, worse));
            assert_eq!((it.decisions.len(), it.causes.len()), (2, 2));
            assert_eq!(
                it.decisions[0].as_str(),
                "d1",
                "notices stay about the first"
            );
        }
    }

    #[test]
    fn the_first_who_acknowledges_it_stays_the_one_who_did() {
        let mut it = opened(Severity::P1, trigger("errors"));
        assert_eq!(acknowledge(&mut it, taken("ada")), Ok(true));
        assert_eq!(acknowledge(&mut it, taken("bob")), Ok(false));
        assert_eq!(it.acknowledged.as_ref().unwrap().by, "ada");
        assert_eq!(settle(&mut it, |_| true, at(30)), Left::Resolved);
        assert_eq!(
            acknowledge(&mut it, taken("ada")),
            Ok(false),
            "the command came twice"
        );
        let mut late = opened(Severity::P1, trigger("errors"));
        settle(&mut late, |_| true, at(30));
        let over = acknowledge(&mut late, taken("ada")).unwrap_err();
        assert!(
            over.to_string().ends_with("what opened it is over"),
            "{over}"
        );
    }

    /// Causes, those that are over, whether somebody acknowledged it, what is left, how it ended.
    type Case<'a> = (&'a [&'a Cause], &'a [&'a Cause], bool, Left, &'a str);

    #[test]
    fn it_ends_with_its_last_cause() {
        let (fires, other) = (trigger("errors"), trigger("latency"));
        let cases: [Case<'_>; 7] = [
            (&[&fires], &[], true, Left::Unchanged, ""),
            (&[&fires, &other], &[&fires], false, Left::Fewer, ""),
            (
                &[&fires],
                &[&fires],
                false,
                Left::Resolved,
                "what opened it is over",
            ),
            (
                &[&fires, &Cause::Verification],
                &[&fires],
                true,
                Left::Fewer,
                "",
            ),
            (&[&unseen()], &[&unseen()], false, Left::Unchanged, ""),
            (
                &[&unseen()],
                &[],
                true,
                Left::Resolved,
                "acknowledged by ada",
            ),
            (&[&unseen(), &fires], &[], true, Left::Unchanged, ""),
        ];
        for (causes, over, acknowledged, left, how) in cases {
            let mut it = opened(Severity::P1, causes[0].clone());
            it.causes
                .extend(causes.iter().map(|cause| (*cause).clone()));
            if acknowledged {
                acknowledge(&mut it, taken("ada")).unwrap();
            }
            let is_over = |cause: &Cause| over.contains(&cause);
            assert_eq!(settle(&mut it, is_over, at(30)), left, "{causes:?}");
            let said = it.resolved.as_ref().map_or("", |(_, how)| how);
            assert_eq!(said, how, "{causes:?}");
            assert_eq!(
                settle(&mut it, is_over, at(31)),
                Left::Unchanged,
                "once: {causes:?}"
            );
        }
    }
}
