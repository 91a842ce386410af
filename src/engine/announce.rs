//! The go-live announcement: users are told once, by a person, while the gate says go. Deliberately absent: its text (the
//! configuration fills the runbook's) and how receivers show it.

use std::time::Duration;

use super::Answer;
use super::Effect;
use super::Refusal;
use super::Word;
use super::deliver::Owing;
use super::engine::Engine;
use crate::model::Action;
use crate::model::Decision;
use crate::model::DecisionId;
use crate::model::Deed;
use crate::model::NoticeKind;
use crate::model::Severity;
use crate::model::Timestamp;
use crate::model::Unit;
use crate::model::Verdict;

/// In place of a trigger's name. The reason of such a decision is the announcement itself, its subject on the first line.
pub const ANNOUNCED: &str = "announcement";

/// `[announcement]`, filled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// Who is told: names of receivers, at least one.
    pub hooks: Vec<String>,
    /// The subject on the first line, then what users read.
    pub text: String,
    /// What nobody has filled in, as the text marks it: `[app-url]`.
    pub blanks: Vec<String>,
}

/// What somebody asks of the announcement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announce {
    pub by: String,
    /// Show it and send nothing.
    pub look: bool,
    /// Send it whatever stands against it.
    pub forced: bool,
}

/// The announcement as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcing {
    pub text: String,
    pub hooks: Vec<String>,
    pub blanks: Vec<String>,
    /// Why it is not sent unless forced, one sentence each.
    pub against: Vec<String>,
    /// What was recorded, where it was sent.
    pub decision: Option<DecisionId>,
}

const UNWRITTEN: &str = "there is no announcement: write [announcement] with project = \"…\", users, app_url, docs_url, support_email, help_desk, team and hooks = [\"NAME\"] into the configuration";

impl Engine {
    pub(super) fn announce(
        &mut self,
        asked: Announce,
        at: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        let written = self.settings.announcement.clone();
        let Some(written) = written else {
            return Err(Refusal::Conflict(UNWRITTEN.to_owned()));
        };
        let of = self.go_live_parts();
        let against = self.against_announcing(&written, &of, at);
        let mut announcing = Announcing {
            text: written.text,
            hooks: written.hooks,
            blanks: written.blanks,
            against,
            decision: None,
        };
        if asked.look {
            return Ok(Answer::Announced(Box::new(announcing)));
        }
        if !asked.forced && !announcing.against.is_empty() {
            return Err(Refusal::Conflict(format!(
                "not announced: {}; --force announces all the same",
                announcing.against.join("; ")
            )));
        }
        let mut id = self.announcement_id(&of, None);
        if self.decided.contains(&id) {
            id = self.announcement_id(&of, Some(at));
        }
        let mut reason = "announced the go-live".to_owned();
        if !announcing.against.is_empty() {
            reason = format!("{reason} although {}", announcing.against.join("; "));
        }
        let word = Word {
            by: asked.by,
            reason,
        };
        self.note(Deed::Announce, word, id.0.clone(), None, at, out);
        let decision = self.announcement(id.clone(), &announcing.text, at);
        self.record(decision.clone(), false, at, out);
        let hook = self.settings.rollback.hook.clone();
        for receiver in announcing
            .hooks
            .iter()
            .filter(|it| Some(*it) != hook.as_ref())
        {
            let kind = NoticeKind::Notification;
            let owing = Owing {
                decision: &decision,
                receiver,
                kind,
                event: kind.word(),
                incident: None,
                report: None,
                not_before: at,
            };
            self.owe(owing, at, out);
        }
        self.attempt_due(at, out);
        announcing.decision = Some(id);
        Ok(Answer::Announced(Box::new(announcing)))
    }

    /// Why it should not go out, one sentence each.
    fn against_announcing(
        &self,
        written: &Announcement,
        of: &[String],
        at: Timestamp,
    ) -> Vec<String> {
        let mut against = Vec::new();
        let go_live = self.settings.rollout.go_live;
        match go_live.map(|it| self.wall.when_it_shows(it)) {
            Some(begins) if at < begins => {
                against.push(format!("the go-live begins at {begins}"));
            }
            None if of.is_empty() => against.push(
                "there is no go-live: set [rollout] go_live, or tell gated of a rollout".to_owned(),
            ),
            Some(_) | None => {}
        }
        if let Some(until) = self.armed_until().filter(|until| at < *until) {
            let text = format!("the new version may still be rolled back until {until}");
            against.push(text);
        }
        if self.decided.contains(&self.announcement_id(of, None)) {
            against.push("this go-live was announced already".to_owned());
        }
        if self.standing.verdict != Verdict::Go {
            let why = self.verdict_at(self.standing.at).reasons;
            let mut said = format!("the gate says {}", self.standing.verdict);
            if !why.is_empty() {
                said = format!("{said} ({})", why.join("; "));
            }
            against.push(said);
        }
        if !written.blanks.is_empty() {
            against.push(format!("still blank: {}", written.blanks.join(", ")));
        }
        against
    }

    /// When the last phase ends in which a rollback may be fired, of those that end.
    fn armed_until(&self) -> Option<Timestamp> {
        let armed = self.settings.rules.phases.iter().filter(|it| it.armed);
        armed.filter_map(|phase| self.band(phase)?.until).max()
    }

    /// What tells this go-live from others: its time, else the rollout.
    fn go_live_parts(&self) -> Vec<String> {
        match (self.settings.rollout.go_live, self.rollouts.current()) {
            (Some(go_live), _) => vec![go_live.millis().to_string()],
            (None, Some(rollout)) => vec!["rollout".to_owned(), rollout.id.0.clone()],
            (None, None) => Vec::new(),
        }
    }

    /// The same after every restart; forced again, one of its own.
    fn announcement_id(&self, of: &[String], again: Option<Timestamp>) -> DecisionId {
        let again = again.map(|it| it.millis().to_string());
        let (service, environment) = (&*self.settings.service, &*self.settings.environment);
        let head = [service, environment, ANNOUNCED];
        let rest = of.iter().chain(&again).map(String::as_str);
        DecisionId::other(&head.into_iter().chain(rest).collect::<Vec<_>>())
    }

    fn announcement(&self, id: DecisionId, text: &str, at: Timestamp) -> Decision {
        Decision {
            id,
            at,
            action: Action::Notify,
            asked: Action::Notify,
            refused_by: None,
            guards: Vec::new(),
            trigger: ANNOUNCED.to_owned(),
            // It stands whatever is shipped afterwards.
            rollout: None,
            phase: self.phase_shown.clone(),
            severity: Severity::P4,
            signal: None,
            value: None,
            unit: Unit::None,
            condition: String::new(),
            expr: String::new(),
            held_for: Duration::ZERO,
            reason: text.to_owned(),
        }
    }
}
