//! `--compare`: two sets of rules over the same recording, decision beside decision.

use super::outcome::Outcome;
use crate::model::Decision;

/// What one set of rules decided, what the other did, or both.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    pub ours: Option<&'a Decision>,
    pub others: Option<&'a Decision>,
}

impl Pair<'_> {
    /// Whether both decided the same at the same moment.
    #[must_use]
    pub fn is_alike(&self) -> bool {
        let what = |it: &Decision| (it.at, it.asked, it.refused_by, it.severity, it.is_tried());
        let same = |a: &Decision, b: &Decision| what(a) == what(b) && a.phase == b.phase;
        self.ours.zip(self.others).is_some_and(|(a, b)| same(a, b))
    }
}

/// Decisions of both by time. Those that do the same for the same trigger and rollout are beside each other, the first
/// with the first.
#[must_use]
pub fn pairs<'a>(ours: &'a Outcome, others: &'a Outcome) -> Vec<Pair<'a>> {
    let kind = |it: &'a Decision| (it.action, &it.trigger, &it.rollout);
    let mut left: Vec<&Decision> = others.decisions.iter().collect();
    let mut pairs: Vec<Pair<'a>> = Vec::new();
    for own in &ours.decisions {
        let place = left.iter().position(|it| kind(it) == kind(own));
        let others = place.map(|place| left.remove(place));
        pairs.push(Pair {
            ours: Some(own),
            others,
        });
    }
    pairs.extend(left.into_iter().map(|it| Pair {
        ours: None,
        others: Some(it),
    }));
    let first = |it: &Pair<'_>| {
        let both = it.ours.into_iter().chain(it.others);
        both.map(|it| it.at).min()
    };
    pairs.sort_by_key(first);
    pairs
}
