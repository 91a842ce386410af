//! Who is told of what: the levels of a severity's path, else Alertmanager alone, else every webhook. Whoever lists
//! events gets those. The rollback hook is told of nothing here, whatever a level or a list says. What nobody has to act on
//! and none of them is told of is an alert: see `notices`.

use std::collections::BTreeSet;

use super::Effect;
use super::Receiver;
use super::Settings;
use super::deliver::Owing;
use super::engine::Engine;
use crate::model::Decision;
use crate::model::NoticeKind;
use crate::model::Severity;
use crate::model::Timestamp;

/// A receiver's name, and the kind under which it is told.
pub(super) type Told = (String, NoticeKind);

impl Engine {
    /// Tells whoever is called first for this severity of a decision that nobody has to do anything about.
    pub(super) fn notify(&mut self, decision: &Decision, at: Timestamp, out: &mut Vec<Effect>) {
        let not_before = self.settings.people.paths.of(decision.severity).awake(at);
        for (receiver, kind) in self.called(decision.severity, 0, NoticeKind::Notification) {
            let owing = Owing {
                decision,
                receiver: &receiver,
                kind,
                event: kind.word(),
                incident: None,
                report: None,
                not_before,
            };
            self.owe(owing, at, out);
        }
    }

    /// Who is called at a level, counted from 0.
    pub(super) fn called(&self, severity: Severity, level: u32, kind: NoticeKind) -> Vec<Told> {
        self.settings.called(severity, level, kind)
    }

    /// Who hears of what became of an incident that `hooks` were told of.
    pub(super) fn hearing(&self, hooks: &BTreeSet<String>, kind: NoticeKind) -> Vec<Told> {
        self.settings.receivers(|it| {
            let told = hooks.contains(&it.name) || !it.events.is_empty();
            (told && it.takes(kind)).then_some(kind)
        })
    }
}

impl Settings {
    /// Whether anybody is told of what nobody has to act on: a receiver, else the Alertmanager.
    #[must_use]
    pub fn notifies(&self, severity: Severity) -> bool {
        let told = self.called(severity, 0, NoticeKind::Notification);
        self.alerting.is_some() || !told.is_empty()
    }

    fn called(&self, severity: Severity, level: u32, kind: NoticeKind) -> Vec<Told> {
        let levels = &self.people.paths.of(severity).levels;
        // A reload may have shortened the path below the level reached.
        let level = levels.get(level as usize).or(levels.last());
        let all = level.is_none() && self.alerting.is_none();
        self.receivers(|it| {
            let listed = !it.events.is_empty() && it.takes(kind);
            let named = level.is_some_and(|level| level.hooks.contains(&it.name));
            if listed || ((all || named) && it.takes(kind)) {
                return Some(kind);
            }
            // Whoever stands at a level is called, if not as this then as that.
            let call = NoticeKind::EscalationRaised;
            (named && it.takes(call)).then_some(call)
        })
    }

    /// In the order of the file, without the rollback hook.
    fn receivers(&self, told_as: impl Fn(&Receiver) -> Option<NoticeKind>) -> Vec<Told> {
        let hook = self.rollback.hook.as_ref();
        let people = self.receivers.iter();
        let people = people.filter(|it| hook != Some(&it.name));
        people
            .filter_map(|it| Some((it.name.clone(), told_as(it)?)))
            .collect()
    }
}
