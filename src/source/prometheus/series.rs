//! Answers → columns: which series of the window each sample is of, over all answers to one question.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answer::{Answer, Answered};
use crate::engine::{Columns, Interest};
use crate::model::labels::NAME;
use crate::model::{Labels, STALE, Slot, asked};

/// What stands before a label of an answer that has the name of one that gated sets, as in Prometheus.
const EXPORTED: &str = "exported_";

/// Which series stands at which slot.
#[derive(Debug, Default)]
pub(super) struct Series {
    slots: BTreeMap<Labels, u32>,
    free: Vec<u32>,
    /// Slots that were ever used.
    used: u32,
    /// What the engine wanted when it was last told of all series.
    told: Option<Arc<Interest>>,
}

impl Series {
    /// The columns of an answer and of the one to `enough`.
    pub(super) fn columns(
        &mut self,
        (source, signal): (&str, &str),
        answer: Answer,
        enough: Option<Answer>,
        interest: Arc<Interest>,
    ) -> Columns {
        let mut notes = answer.notes;
        let mut samples = labelled(asked::ANSWER, (source, signal), answer.samples);
        if let Some(enough) = enough {
            for note in enough.notes {
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
            let there = |it: &Answered| !enough.scalar || (it.value != 0.0 && !it.value.is_nan());
            let held = enough.samples.into_iter().filter(there).collect();
            samples.extend(labelled(asked::ENOUGH, (source, signal), held));
        }
        let mut columns = Columns {
            samples_scraped: u32::try_from(samples.len()).unwrap_or(u32::MAX),
            samples_kept: u32::try_from(samples.len()).unwrap_or(u32::MAX),
            notes,
            ..Columns::default()
        };
        let gone: Vec<Labels> = self
            .slots
            .keys()
            .filter(|it| !samples.contains_key(it))
            .cloned()
            .collect();
        for labels in gone {
            let slot = self.slots.remove(&labels).expect("it was just listed");
            columns.gone.push(Slot(slot));
        }
        // Rules that changed may need the same series for longer.
        let again = self
            .told
            .as_ref()
            .is_none_or(|it| !Arc::ptr_eq(it, &interest));
        for (labels, value) in samples {
            let known = self.slots.get(&labels).copied();
            let slot = known.unwrap_or_else(|| {
                self.free.pop().unwrap_or_else(|| {
                    self.used += 1;
                    self.used - 1
                })
            });
            if known.is_none() {
                columns.series_added += 1;
                self.slots.insert(labels.clone(), slot);
            }
            if known.is_none() || again {
                columns.born.push((Slot(slot), labels));
            }
            let place = slot as usize;
            if columns.values.len() <= place {
                columns.values.resize(place + 1, STALE);
            }
            columns.values[place] = value;
        }
        columns.values.resize(self.used as usize, STALE);
        // Only the next answer takes the place of what has just gone.
        self.free.extend(columns.gone.iter().map(|it| it.0));
        self.told = Some(interest);
        columns
    }
}

/// The samples as series of the window.
fn labelled(
    name: &str,
    (source, signal): (&str, &str),
    samples: Vec<Answered>,
) -> BTreeMap<Labels, f64> {
    let own = [
        (NAME, name),
        (asked::SOURCE, source),
        (asked::SIGNAL, signal),
    ];
    let labelled = samples.into_iter().map(|sample| {
        let mut labels = sample.labels;
        for (taken, _) in own {
            if let Some(value) = labels.remove(taken) {
                let mut other = format!("{EXPORTED}{taken}");
                while labels.contains_key(&other) {
                    other.insert_str(0, EXPORTED);
                }
                labels.insert(other, value);
            }
        }
        let theirs = labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        (Labels::new(theirs.chain(own)), sample.value)
    });
    labelled.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Timestamp, is_stale};

    fn answer(series: &[(&[(&str, &str)], f64)]) -> Answer {
        let samples = series.iter().map(|(labels, value)| Answered {
            labels: labels
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
            value: *value,
            at: Timestamp::EPOCH,
        });
        Answer {
            samples: samples.collect(),
            scalar: false,
            notes: Vec::new(),
            partial: None,
        }
    }

    #[test]
    fn series_come_go_and_come_again_in_their_slots() {
        let interest = Arc::new(Interest::default());
        let mut series = Series::default();
        let mut next = |all: &[(&[(&str, &str)], f64)]| {
            let columns = series.columns(("s", "x"), answer(all), None, Arc::clone(&interest));
            let born: Vec<String> = columns
                .born
                .iter()
                .map(|(s, l)| format!("{}{l}", s.0))
                .collect();
            let values: Vec<String> = columns
                .values
                .iter()
                .map(|it| {
                    if is_stale(*it) {
                        "-".into()
                    } else {
                        it.to_string()
                    }
                })
                .collect();
            let gone: Vec<u32> = columns.gone.iter().map(|it| it.0).collect();
            format!("{born:?} {gone:?} {}", values.join(" "))
        };
        let (a, b): (&[_], &[_]) = (&[("i", "a")], &[("i", "b"), ("source", "theirs")]);
        assert_eq!(
            next(&[(a, 1.0), (b, 2.0)]),
            r#"["0gated_source{exported_source=\"theirs\",i=\"b\",signal=\"x\",source=\"s\"}", "1gated_source{i=\"a\",signal=\"x\",source=\"s\"}"] [] 2 1"#
        );
        assert_eq!(next(&[(a, 3.0), (b, 4.0)]), "[] [] 4 3");
        assert_eq!(next(&[(a, 5.0)]), "[] [0] - 5");
        let c: &[_] = &[("i", "c")];
        assert!(next(&[(c, 6.0)]).ends_with(" [1] 6 -"));
        assert!(next(&[(c, 6.0), (a, 7.0)]).ends_with(" [] 6 7"));
    }

    #[test]
    fn a_scalar_of_nought_is_not_enough() {
        let interest = Arc::new(Interest::default());
        for (value, scalar, series) in [
            (0.0, true, 1),
            (2.0, true, 2),
            (f64::NAN, true, 1),
            (0.0, false, 2),
        ] {
            let enough = Answer {
                scalar,
                ..answer(&[(&[], value)])
            };
            let mut kept = Series::default();
            let columns = kept.columns(
                ("s", "x"),
                answer(&[(&[], 1.0)]),
                Some(enough),
                Arc::clone(&interest),
            );
            assert_eq!(columns.born.len(), series, "{value} {scalar}");
        }
    }
}
