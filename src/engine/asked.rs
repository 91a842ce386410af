//! Signals that a `[[prometheus]]` evaluates: which target of the window stands for the question, and why there may be no
//! answer. Deliberately absent: the answer itself, which is read from the window like everything else.

use std::sync::Arc;
use std::time::Duration;

use super::TargetInfo;
use super::engine::Engine;
use super::judge::INTERVAL_UNKNOWN;
use crate::model::Reading;
use crate::model::TargetId;
use crate::model::Timestamp;
use crate::model::asked;
use crate::promql::Expr;
use crate::rules::Read;
use crate::runbook::Remote;

impl Engine {
    /// Whether the series of this signal come from its source. Those of a rule test come from the test.
    pub(super) fn is_asked(&self, signal: usize) -> bool {
        let remote = &self.settings.rules.signals[signal].remote;
        remote.is_some() && !self.settings.is_scripted()
    }

    /// A question is asked from now on: its answers are those of the signal that asks it word for word. After a reload
    /// the answers to what was asked before are nobody's.
    pub(super) fn begin_asking(&mut self, info: &TargetInfo) {
        if !info.id.is_asked() {
            return;
        }
        let signals = self.settings.rules.signals.iter();
        for (signal, watch) in signals.zip(&mut self.signals) {
            let asks = |it: &Remote| {
                let labels = &info.labels;
                labels.get(asked::SOURCE) == Some(&it.source)
                    && labels.get(asked::SIGNAL) == Some(&signal.name)
                    && labels.get(asked::QUERY) == Some(&it.expr)
                    && labels.get(asked::QUERY_ENOUGH) == it.enough.as_deref()
            };
            if signal.remote.as_ref().is_some_and(asks) {
                watch.asked = Some(info.id);
            }
        }
    }

    /// After the rules were compiled: which of the targets there are stands for which signal.
    pub(super) fn go_on_asking(&mut self) {
        let asked = self.targets.values().map(|it| Arc::clone(&it.info));
        for info in asked.filter(|it| it.id.is_asked()).collect::<Vec<_>>() {
            self.begin_asking(&info);
        }
    }

    /// A question is asked no more: what it gave is no reading.
    pub(super) fn end_asking(&mut self, id: TargetId) {
        for watch in &mut self.signals {
            watch.asked = watch.asked.filter(|it| *it != id);
        }
    }

    /// Why the source of a signal gives no value, with how often it is asked; nothing where it answered. This speaks
    /// before `empty` does: that nothing was answered is no empty answer.
    pub(super) fn unanswered(&self, signal: usize, at: Timestamp) -> Option<(Read, Duration)> {
        let remote = self.settings.rules.signals[signal].remote.as_ref()?;
        if !self.is_asked(signal) {
            return None;
        }
        let source = &remote.source;
        let target = self.signals[signal].asked;
        let target = target.and_then(|id| self.targets.get(&id));
        let interval = target.map_or(INTERVAL_UNKNOWN, |it| it.info.interval);
        let read = match target.and_then(|it| it.last.as_ref()) {
            None => Read::none(Reading::Stale, format!("{source} has not answered yet")),
            Some(last) => match &last.error {
                Some(error) => Read::none(Reading::SourceError, format!("{source}: {error}")),
                None if at.since(last.at) > Expr::LOOKBACK => {
                    let why = format!("{source} was last asked at {}", last.at);
                    Read::none(Reading::Stale, why)
                }
                None => return None,
            },
        };
        Some((read, interval))
    }

    /// What the source said beside its last answer.
    pub(super) fn notes_on(&self, signal: usize) -> Vec<String> {
        let target = self.signals[signal].asked;
        let target = target.and_then(|id| self.targets.get(&id));
        let last = target.and_then(|it| it.last.as_ref());
        last.map_or(Vec::new(), |last| last.notes.clone())
    }
}
