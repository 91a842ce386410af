//! Series of one page whose final labels are equal: one of them speaks, the others wait for it to vanish.

use std::collections::{BTreeMap, HashMap};

use crate::engine::Columns;
use crate::model::{Labels, STALE, Slot};

/// Which slot speaks for which labels, as of the last page.
#[derive(Debug, Default)]
pub(super) struct Equals {
    by_slot: Vec<Option<Labels>>,
    speaker: HashMap<Labels, Slot>,
    silent: BTreeMap<Slot, Labels>,
}

impl Equals {
    /// Takes silent slots out of the page's columns. Returns how many there are.
    ///
    /// The engine never hears of a silent slot: it is born there when the one that speaks is gone.
    pub(super) fn settle(&mut self, columns: &mut Columns) -> u32 {
        let mut orphaned = false;
        columns.gone.retain(|slot| {
            if self.silent.remove(slot).is_some() {
                return false;
            }
            if let Some(labels) = self.by_slot.get_mut(slot.0 as usize).and_then(Option::take) {
                self.speaker.remove(&labels);
                orphaned = true;
            }
            true
        });
        if orphaned && !self.silent.is_empty() {
            let heirs: Vec<_> = self.silent.iter().map(|(s, l)| (*s, l.clone())).collect();
            for (slot, labels) in heirs {
                if self.speak(slot, &labels) {
                    self.silent.remove(&slot);
                    columns.born.push((slot, labels));
                }
            }
        }
        columns.born.retain(|(slot, labels)| {
            if self.speaker.get(labels) == Some(slot) || self.speak(*slot, labels) {
                return true;
            }
            self.silent.insert(*slot, labels.clone());
            false
        });
        for slot in self.silent.keys() {
            columns.values[slot.0 as usize] = STALE;
        }
        if !self.silent.is_empty() {
            columns
                .stamped
                .retain(|(slot, _)| !self.silent.contains_key(slot));
        }
        u32::try_from(self.silent.len()).unwrap_or(u32::MAX)
    }

    /// Whether `slot` may speak for `labels`: nobody else does.
    fn speak(&mut self, slot: Slot, labels: &Labels) -> bool {
        if self.speaker.contains_key(labels) {
            return false;
        }
        self.speaker.insert(labels.clone(), slot);
        let index = slot.0 as usize;
        if self.by_slot.len() <= index {
            self.by_slot.resize(index + 1, None);
        }
        self.by_slot[index] = Some(labels.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(born: &[(u32, &str)], gone: &[u32], values: &[f64]) -> Columns {
        Columns {
            born: born
                .iter()
                .map(|&(s, n)| (Slot(s), Labels::new([("__name__", n)])))
                .collect(),
            gone: gone.iter().copied().map(Slot).collect(),
            values: values.to_vec(),
            ..Columns::default()
        }
    }

    /// What the engine hears: born, gone, values (`None` for stale).
    fn heard(equals: &mut Equals, mut columns: Columns) -> (Vec<u32>, Vec<u32>, Vec<Option<f64>>) {
        equals.settle(&mut columns);
        (
            columns.born.iter().map(|(slot, _)| slot.0).collect(),
            columns.gone.iter().map(|slot| slot.0).collect(),
            columns
                .values
                .iter()
                .map(|&v| (!crate::model::is_stale(v)).then_some(v))
                .collect(),
        )
    }

    #[test]
    fn the_first_speaks_until_it_is_gone() {
        let mut equals = Equals::default();
        let mut hear = |born, gone, values: &[f64]| heard(&mut equals, page(born, gone, values));
        assert_eq!(
            hear(&[(0, "a"), (1, "a"), (2, "b")], &[], &[1.0, 2.0, 3.0]),
            (vec![0, 2], vec![], vec![Some(1.0), None, Some(3.0)])
        );
        assert_eq!(
            hear(&[], &[], &[1.0, 2.0, 3.0]),
            (vec![], vec![], vec![Some(1.0), None, Some(3.0)])
        );
        // The speaker vanishes: the other is born in its place, on the same page.
        assert_eq!(
            hear(&[], &[0], &[STALE, 2.0, 3.0]),
            (vec![1], vec![0], vec![None, Some(2.0), Some(3.0)])
        );
        // A slot that nobody heard of goes without a word.
        assert_eq!(
            hear(&[(0, "a")], &[], &[9.0, 2.0, 3.0]),
            (vec![], vec![], vec![None, Some(2.0), Some(3.0)])
        );
        assert_eq!(
            hear(&[], &[0], &[STALE, 2.0, 3.0]),
            (vec![], vec![], vec![None, Some(2.0), Some(3.0)])
        );
    }

    #[test]
    fn a_changed_head_under_the_same_labels_is_no_gap() {
        let mut equals = Equals::default();
        heard(&mut equals, page(&[(0, "a")], &[], &[1.0]));
        let next = heard(&mut equals, page(&[(1, "a")], &[0], &[STALE, 2.0]));
        assert_eq!(next, (vec![1], vec![0], vec![None, Some(2.0)]));
        // The same, where the number is taken again at once.
        let again = heard(&mut equals, page(&[(1, "a")], &[1], &[STALE, 3.0]));
        assert_eq!(again, (vec![1], vec![1], vec![None, Some(3.0)]));
    }
}
