//! Why a decision was made, what guarded it and what came of it: gathered once, from the snapshot or from a ledger,
//! and drawn as JSON, as text for a terminal and as a page. Deliberately absent: what only the ledger's file knows.

mod draw;
mod routes;
mod sheet;

use std::collections::BTreeMap;

use serde::Serialize;

use super::wire;
use crate::engine::Restored;
use crate::engine::Snapshot;
use crate::model::Audit;
use crate::model::Decision;
use crate::model::Deed;
use crate::model::Delivery;
use crate::model::Guard;
use crate::model::NoticeKind;
use crate::model::Rollout;
use crate::model::Timestamp;
use crate::model::Verification;

pub(super) use routes::routes;

/// What explanations are made of, wherever it is read.
#[derive(Debug)]
pub struct Known<'a> {
    /// Oldest first.
    decisions: Vec<&'a Decision>,
    deliveries: BTreeMap<&'a str, Vec<&'a Delivery>>,
    rollouts: Vec<&'a Rollout>,
    audit: &'a [Audit],
    verifications: &'a [Verification],
}

impl<'a> Known<'a> {
    /// What a running gated shows.
    #[must_use]
    pub fn live(snapshot: &'a Snapshot) -> Self {
        let decisions = snapshot.decisions.iter();
        Self {
            decisions: decisions.clone().map(|(it, _)| it.as_ref()).collect(),
            deliveries: decisions
                .map(|(it, owed)| (it.id.as_str(), owed.iter().map(AsRef::as_ref).collect()))
                .collect(),
            rollouts: snapshot.rollouts.iter().map(AsRef::as_ref).collect(),
            audit: &snapshot.audit,
            verifications: &snapshot.verifications,
        }
    }

    /// What a ledger holds.
    #[must_use]
    pub fn recorded(ledger: &'a Restored) -> Self {
        let mut deliveries: BTreeMap<&str, Vec<&Delivery>> = BTreeMap::new();
        for delivery in &ledger.deliveries {
            let owed = deliveries.entry(delivery.decision.as_str()).or_default();
            owed.push(delivery);
        }
        Self {
            decisions: ledger.decisions.iter().collect(),
            deliveries,
            rollouts: ledger.rollouts.iter().collect(),
            audit: &ledger.audit,
            verifications: &ledger.verifications,
        }
    }

    /// The explanation of the decision that `said` names, whole or shortened; of the newest one without a name.
    ///
    /// # Errors
    /// There is none, or several begin so.
    pub fn explain(&self, said: Option<&str>) -> Result<Explanation<'a>, Unfound> {
        let found = match said {
            None => self.decisions.last().copied().ok_or(Unfound::Nothing)?,
            Some(said) => {
                let ids = self.decisions.iter().map(|it| it.id.as_str());
                let id = find("decision", ids, said)?;
                let mut all = self.decisions.iter().copied();
                all.find(|it| it.id.as_str() == id)
                    .ok_or(Unfound::Nothing)?
            }
        };
        Ok(self.of(found))
    }

    fn of(&self, decision: &'a Decision) -> Explanation<'a> {
        let mut deliveries = self
            .deliveries
            .get(decision.id.as_str())
            .cloned()
            .unwrap_or_default();
        deliveries.sort_by_key(|it| (it.created_at, &it.key));
        let of_rollout = |it: &&&Decision| it.rollout.is_some() && it.rollout == decision.rollout;
        let siblings: Vec<&Decision> = self.decisions.iter().filter(of_rollout).copied().collect();
        let place = self.decisions.iter().position(|it| it.id == decision.id);
        let later = self.decisions[place.map_or(0, |i| i + 1)..].iter();
        let named = |it: &&Rollout| Some(&it.id) == decision.rollout.as_ref();
        let mut explanation = Explanation {
            decision,
            rollout: self.rollouts.iter().copied().find(named),
            verification: self
                .verifications
                .iter()
                .find(|it| it.decision == decision.id),
            audit: Vec::new(),
            later: later.filter(of_rollout).copied().collect(),
            deliveries,
        };
        explanation.audit = explanation.trail(self.audit, &siblings);
        explanation
    }
}

/// One decision with all that belongs to it.
#[derive(Debug)]
pub struct Explanation<'a> {
    decision: &'a Decision,
    /// In the order in which they were owed.
    deliveries: Vec<&'a Delivery>,
    rollout: Option<&'a Rollout>,
    verification: Option<&'a Verification>,
    /// What people said about it, oldest first.
    audit: Vec<&'a Audit>,
    /// Later decisions of the same rollout, oldest first.
    later: Vec<&'a Decision>,
}

impl<'a> Explanation<'a> {
    /// The lines of the audit trail about it: a veto of its rollout, a word about its deliveries, and the freezes
    /// (with their ends) that were in force between the decision and the end of its request.
    fn trail(&self, audit: &'a [Audit], siblings: &[&Decision]) -> Vec<&'a Audit> {
        let mut lines = Vec::new();
        let ends = self.request_ends();
        // The last freeze on the way, and whether it touched this decision.
        let mut touched = self.decision.refused_by == Some(Guard::Store);
        for (i, line) in audit.iter().enumerate() {
            let about = match line.deed {
                Deed::Acknowledge => {
                    let mut incidents =
                        self.deliveries.iter().filter_map(|it| it.incident.as_ref());
                    incidents.any(|it| it.as_str() == line.subject)
                }
                Deed::Announce => self.decision.id.as_str() == line.subject,
                Deed::Veto => {
                    let mut ids = siblings.iter().chain([&self.decision]);
                    ids.any(|it| it.id.as_str() == line.subject)
                }
                Deed::Confirm | Deed::Resend => {
                    let mut keys = self.deliveries.iter();
                    keys.any(|it| it.key.as_str() == line.subject)
                }
                Deed::Freeze => {
                    let mut after = audit[i + 1..].iter();
                    let next = after.find(|it| matches!(it.deed, Deed::Freeze | Deed::Thaw));
                    let over = [line.until, next.map(|it| it.said.at)];
                    let over = over.into_iter().flatten().min();
                    touched = over.is_none_or(|over| over >= self.decision.at)
                        && ends.is_none_or(|ends| line.said.at <= ends);
                    touched
                }
                Deed::Thaw => line.said.at >= self.decision.at && std::mem::take(&mut touched),
            };
            if about {
                lines.push(line);
            }
        }
        lines
    }

    /// Until when a freeze would have stopped it; `None` while its request is open.
    fn request_ends(&self) -> Option<Timestamp> {
        let requests = self
            .deliveries
            .iter()
            .filter(|it| it.kind == NoticeKind::RollbackRequested);
        let ends = requests.map(|it| it.settled_at());
        let ends: Option<Vec<Timestamp>> = ends.collect();
        Some(ends?.into_iter().max().unwrap_or(self.decision.at))
    }

    /// As `GET /api/v1/decisions/{id}` writes it.
    #[must_use]
    pub fn json(&self) -> Json<'_> {
        Json {
            decision: wire::DecisionLine::new(self.decision, self.deliveries.iter().copied()),
            rollout_detail: self.rollout.map(wire::RolloutLine::new),
            verification: self.verification.map(wire::VerificationLine::new),
            audit: self
                .audit
                .iter()
                .map(|it| wire::AuditLine::new(it))
                .collect(),
            later: self.later.iter().map(|it| Later::new(it)).collect(),
        }
    }

    /// For a terminal, without colour, ending with a newline; no text of others can move the cursor.
    #[must_use]
    pub fn text(&self) -> String {
        draw::text(&sheet::of(self))
    }

    /// A whole page; every text is escaped.
    #[must_use]
    pub fn html(&self) -> String {
        draw::html(&sheet::of(self), self.decision.id.as_str())
    }
}

/// The decision's own keys, and what else is known about it.
#[derive(Debug, Serialize)]
pub struct Json<'a> {
    #[serde(flatten)]
    decision: wire::DecisionLine<'a>,
    rollout_detail: Option<wire::RolloutLine<'a>>,
    verification: Option<wire::VerificationLine>,
    audit: Vec<wire::AuditLine<'a>>,
    later: Vec<Later<'a>>,
}

#[derive(Debug, Serialize)]
struct Later<'a> {
    id: &'a str,
    at: String,
    #[serde(rename = "do")]
    action: &'static str,
    refused_by: Option<&'static str>,
    reason: &'a str,
}

impl<'a> Later<'a> {
    fn new(decision: &'a Decision) -> Self {
        Self {
            id: decision.id.as_str(),
            at: decision.at.to_string(),
            action: decision.action.word(),
            refused_by: decision.refused_by.map(Guard::word),
            reason: &decision.reason,
        }
    }
}

/// Why an id names nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfound {
    #[error("nothing has been decided yet")]
    Nothing,
    #[error("there is no {what} `{said}`")]
    Unknown { what: &'static str, said: String },
    #[error("`{said}` may be any of several: {}; write more of it", among.join(", "))]
    Ambiguous { said: String, among: Vec<String> },
}

/// How many candidates an error names.
const AMONG_MAX: usize = 5;

/// The one id that `said` names: whole, or its beginning, with `dec_`, `msg_` or without.
///
/// # Errors
/// None begins so, or several do.
pub fn find<'a>(
    what: &'static str,
    ids: impl Iterator<Item = &'a str>,
    said: &str,
) -> Result<&'a str, Unfound> {
    let mut fits: Vec<&str> = Vec::new();
    for id in ids {
        if id == said {
            return Ok(id);
        }
        let bare = id.split_once('_').map_or(id, |(_, bare)| bare);
        if !said.is_empty() && (id.starts_with(said) || bare.starts_with(said)) {
            fits.push(id);
        }
    }
    let said = said.to_owned();
    match fits[..] {
        [] => Err(Unfound::Unknown { what, said }),
        [one] => Ok(one),
        _ => {
            let mut among: Vec<String> = fits.iter().map(|it| (*it).to_owned()).collect();
            if among.len() > AMONG_MAX {
                among.truncate(AMONG_MAX);
                among.push("…".to_owned());
            }
            Err(Unfound::Ambiguous { said, among })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_may_be_shortened_while_one_begins_so() {
        let ids = ["dec_12ab", "dec_12cd", "dec_1", "dec_9", "r_e9"];
        let find = |said| find("decision", ids.into_iter(), said);
        for (said, id) in [
            ("dec_12ab", "dec_12ab"),
            ("dec_12a", "dec_12ab"),
            ("12c", "dec_12cd"),
            ("dec_1", "dec_1"),
            ("9", "dec_9"),
        ] {
            assert_eq!(find(said), Ok(id), "{said}");
        }
        for said in ["", "dec_3", "2ab", "dec_12abc"] {
            assert!(matches!(find(said), Err(Unfound::Unknown { .. })), "{said}");
        }
        let several = find("12").unwrap_err().to_string();
        assert_eq!(
            several,
            "`12` may be any of several: dec_12ab, dec_12cd; write more of it"
        );
        assert!(matches!(find("dec_"), Err(Unfound::Ambiguous { .. })));
    }
}
